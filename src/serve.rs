//! Wires everything and runs it: HTTP and the loops, from the caller's listener until the caller's
//! stop. A loop that ends before it was told to ends the process: a hob that accepts deliveries and
//! does nothing with them would be worse than one that is down.

mod access;
mod systemd;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use nix::unistd::{getegid, geteuid};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::account::Login;
use crate::catch_up::{self, CatchUp};
use crate::config::{Config, Credentials};
use crate::container::Docker;
use crate::deliver::{self, Deliver};
use crate::git::{self, SigningKey};
use crate::github::{self, GitHub};
use crate::heartbeat::Heartbeat;
use crate::http::{self, Http};
use crate::intake::{self, Intake};
use crate::paths::{DataDir, DataLock};
use crate::prompt::Template;
use crate::redact::Secrets;
use crate::store::{Store, StoreFault};
use crate::sweep::{self, Sweep};
use crate::work::{self, Worker};

/// How long after `work.drain` hob ends whatever still hangs: time to write down what the drain has
/// brought.
pub const GRACE: Duration = Duration::from_secs(5);

/// What Docker and Podman put into a container.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// A hob that is ready to run.
pub struct Hob {
    config: Arc<Config>,
    data: DataDir,
    store: Store,
    docker: Docker,
    github: GitHub,
    instance: String,
    secrets: Secrets,
    template: Arc<Template>,
    signing_key: Option<SigningKey>,
    program: PathBuf,
    _lock: DataLock,
}

impl Hob {
    /// Opens what hob needs: the data folder and its lock, the store, the ways to Docker and
    /// GitHub. The latter two need not answer yet.
    pub async fn open(config: Config) -> anyhow::Result<Hob> {
        let (data, lock) = take_data_folder(&config.data.dir)?;
        let store = Store::open(&data.store()).await?;
        git::remove_stale_locks(&data.mirrors()).context("removing stale locks from the mirrors")?;
        let instance = store.instance().await?;
        let docker = Docker::connect(&config.container.docker)?;
        let credentials = match config.github.credentials()? {
            Credentials::App { id, key } => github::Credentials::App { app_id: id, private_key_pem: key },
            Credentials::Token(token) => github::Credentials::Token(token),
        };
        let github =
            GitHub::new(&config.github.api_url, credentials).context("setting up the GitHub client")?;
        let secrets = Secrets::new(config.secrets());
        let template = Arc::new(work::operators_template(&config)?);
        let signing_key = work::signing_key(&config)?;
        let (config, program) = (Arc::new(config), work::own_program());
        Ok(Hob {
            config,
            data,
            store,
            docker,
            github,
            instance,
            secrets,
            template,
            signing_key,
            program,
            _lock: lock,
        })
    }

    /// The same, with another file as hob's own program: for who has hob as a library.
    pub fn with_program(self, program: PathBuf) -> Hob {
        Hob { program, ..self }
    }

    /// The store, to look into it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs until `stop` is set, then drains: no new work, steps under way end, containers go on.
    /// Whatever hangs, it returns within `work.drain` and [`GRACE`]. Returns an error if a part
    /// ended by itself.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        // Its own token, so that a part that fails stops the others too.
        let stop = stop.child_token();
        let (under_way, longest) = (UnderWay::default(), self.config.work.drain + GRACE);
        let too_late = async {
            stop.cancelled().await;
            systemd::stopping(longest);
            tokio::time::sleep(longest).await;
        };
        tokio::select! {
            result = self.run_parts(listener, &stop, &under_way) => result,
            () = too_late => {
                tracing::warn!(
                    still_under_way = under_way.names(),
                    "shutdown timed out; the next start resumes"
                );
                under_way.failure()
            }
        }
    }

    async fn run_parts(
        &self,
        listener: TcpListener,
        stop: &CancellationToken,
        under_way: &UnderWay,
    ) -> anyhow::Result<()> {
        under_way.begin("start");
        self.prepare(stop).await?;
        let report =
            tokio::spawn(report_engine(self.docker.clone(), Arc::clone(&self.config), self.data.clone()));
        let mut parts = self.start_parts(listener, stop, under_way);
        under_way.end("start");
        systemd::ready();
        while let Some(ended) = parts.join_next().await {
            let (name, result) = ended.context("a part of hob panicked")?;
            under_way.end(name);
            if !stop.is_cancelled() {
                stop.cancel();
                let error = result.err().unwrap_or_else(|| anyhow::anyhow!("it ended unexpectedly"));
                tracing::error!(
                    component = name,
                    error = format!("{error:#}"),
                    "component failed; stopping hob"
                );
                under_way.fail(error.context(format!("the part `{name}` ended")));
            } else if let Err(error) = result {
                tracing::warn!(
                    component = name,
                    error = format!("{error:#}"),
                    "component failed during shutdown"
                );
            }
        }
        report.abort();
        under_way.begin("closing the store");
        self.store.close().await;
        under_way.failure()
    }

    /// What comes before the loops.
    async fn prepare(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            match self.store.release_all_tasks().await {
                Ok(0) => break,
                Ok(tasks) => {
                    tracing::info!(tasks, "resuming open tasks");
                    break;
                }
                Err(error) => self.store.sit_out(error, stop).await?,
            }
        }
        let agent = self.config.agent.kind;
        for (path, mode) in
            self.config.login_dir(agent).map(|folder| Login::open_files(folder, agent)).unwrap_or_default()
        {
            let mode = format!("{mode:04o}");
            tracing::warn!(path = %path.display(), mode, "login file accessible to other users");
        }
        let weak = self.config.weak_webhook_secret();
        for warning in self.config.warnings.iter().chain(&weak) {
            tracing::warn!(warning, "configuration warning");
        }
        if self.config.container.ssh_agent {
            tracing::warn!("agents can use every key in the SSH agent (container.ssh_agent)");
        }
        self.sweep().at_start().await;
        Ok(())
    }

    fn start_parts(
        &self,
        listener: TcpListener,
        stop: &CancellationToken,
        under_way: &UnderWay,
    ) -> JoinSet<(&'static str, anyhow::Result<()>)> {
        let mut parts = JoinSet::new();
        let mut start = |name: &'static str, part: BoxFuture<'static, anyhow::Result<()>>| {
            under_way.begin(name);
            parts.spawn(async move { (name, part.await) });
        };
        let poll = self.config.work.poll;
        // A loop that nothing calls comes round rarely.
        let pulse = |name, longest: Duration| Heartbeat::new(name, longest + poll * 12);
        let intake = pulse("intake", intake::MAX_STEP);
        let work = pulse("work", work::MAX_STEP);
        let deliver = pulse("deliver", deliver::MAX_STEP);
        let catch_up = pulse("catch-up", catch_up::MAX_STEP);
        let sweep = pulse("sweep", sweep::MAX_STEP);
        let pulses = vec![intake.clone(), work.clone(), deliver.clone(), catch_up.clone(), sweep.clone()];
        let (shut_out, told) = watch::channel(None);
        let access = access::watch_access(self.github.clone(), self.store.clone(), shut_out, stop.clone());
        start("access", Box::pin(access));
        start("http", Box::pin(serve_http(self.http(told), listener, stop.clone())));
        start("intake", Box::pin(self.intake().run(stop.clone(), intake)));
        start("work", Box::pin(self.worker(stop.clone()).run(work)));
        start("deliver", Box::pin(self.deliver().run(stop.clone(), deliver)));
        start("catch-up", Box::pin(self.catch_up().run(stop.clone(), catch_up)));
        start("sweep", Box::pin(self.sweep().run(stop.clone(), sweep)));
        start("store", Box::pin(end_with_store(self.store.clone(), stop.clone())));
        start("systemd", Box::pin(tell_systemd(self.store.clone(), pulses, stop.clone())));
        parts
    }

    fn http(&self, shut_out: watch::Receiver<Option<String>>) -> Http {
        Http {
            store: self.store.clone(),
            docker: self.docker.clone(),
            shut_out,
            webhook_secret: self.config.webhook_secret(),
            body_limit: self.config.server.body_limit.as_usize(),
        }
    }

    fn intake(&self) -> Intake {
        Intake { config: self.config.clone(), store: self.store.clone(), github: self.github.clone() }
    }

    fn catch_up(&self) -> CatchUp {
        CatchUp { config: self.config.clone(), store: self.store.clone(), github: self.github.clone() }
    }

    fn deliver(&self) -> Deliver {
        Deliver {
            config: self.config.clone(),
            store: self.store.clone(),
            github: self.github.clone(),
            data: self.data.clone(),
            secrets: self.secrets.clone(),
        }
    }

    fn sweep(&self) -> Sweep {
        Sweep {
            config: self.config.clone(),
            store: self.store.clone(),
            docker: self.docker.clone(),
            data: self.data.clone(),
            instance: self.instance.clone(),
        }
    }

    fn worker(&self, stop: CancellationToken) -> Worker {
        Worker {
            config: self.config.clone(),
            store: self.store.clone(),
            github: self.github.clone(),
            docker: self.docker.clone(),
            data: self.data.clone(),
            instance: self.instance.clone(),
            user: agent_user(&self.config),
            secrets: self.secrets.clone(),
            template: self.template.clone(),
            signing_key: self.signing_key.clone(),
            program: self.program.clone(),
            proxy_program: Arc::default(),
            stop,
        }
    }
}

/// The data folder and its lock. What is wrong with its disk is said as for the store on it.
fn take_data_folder(folder: &Path) -> anyhow::Result<(DataDir, DataLock)> {
    let taken = DataDir::ensure(folder).and_then(|data| data.lock().map(|lock| (data, lock)));
    taken.map_err(|error| match StoreFault::of(&error) {
        Some(fault) => error.context(fault.advice()),
        None => error,
    })
}

/// Logs what containers will run on and what that cannot do. Beside the start, which neither waits
/// for the daemon nor needs it.
async fn report_engine(docker: Docker, config: Arc<Config>, data: DataDir) {
    let engine = match docker.engine().await {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "inspecting the container engine failed; tasks wait");
            return;
        }
    };
    tracing::info!(
        engine = engine.kind.name(),
        version = engine.version,
        api = engine.api_version,
        cpus = engine.cpus,
        memory_mib = engine.memory_bytes >> 20,
        rootless = engine.rootless,
        "container engine found"
    );
    for shortcoming in engine.shortcomings() {
        tracing::warn!(shortcoming, "limitation of the container engine");
    }
    let is_in_container = CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists());
    let folders = [data.root(), &config.container.secrets_dir];
    for folder in folders.into_iter().filter(|_| is_in_container) {
        match docker.sees(folder, config.container.image_of(config.agent.kind)).await {
            Ok(true) => {}
            Ok(false) => tracing::error!(
                folder = %folder.display(),
                "Docker does not see hob's files; see `hob check`"
            ),
            Err(error) => {
                tracing::debug!(folder = %folder.display(), error = format!("{error:#}"), "checking whether Docker sees \
                    a folder failed");
            }
        }
    }
}

/// The uid and gid that agents run as: hob's own, or a fixed one where hob is root and can hand
/// folders over.
fn agent_user(config: &Config) -> (u32, u32) {
    if geteuid().is_root() {
        (config.container.uid, config.container.uid)
    } else {
        (geteuid().as_raw(), getegid().as_raw())
    }
}

/// Ends hob when somebody has met a fault of the store that will not pass.
async fn end_with_store(store: Store, stop: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        fault = store.until_broken() => Err(anyhow::anyhow!(fault.advice())),
    }
}

async fn tell_systemd(store: Store, pulses: Vec<Heartbeat>, stop: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => {}
        () = systemd::report(store, pulses) => {}
    }
    Ok(())
}

/// What has begun and has not ended, and what went wrong meanwhile.
#[derive(Debug, Default)]
struct UnderWay {
    names: Mutex<BTreeSet<&'static str>>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl UnderWay {
    fn begin(&self, name: &'static str) {
        locked(&self.names).insert(name);
    }

    fn end(&self, name: &'static str) {
        locked(&self.names).remove(name);
    }

    fn names(&self) -> String {
        locked(&self.names).iter().copied().collect::<Vec<_>>().join(", ")
    }

    /// The first failure is the one that hob ends with.
    fn fail(&self, error: anyhow::Error) {
        locked(&self.failure).get_or_insert(error);
    }

    fn failure(&self) -> anyhow::Result<()> {
        locked(&self.failure).take().map_or(Ok(()), Err)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve_http(http: Http, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    let limits = http::Limits::for_bodies_up_to(http.body_limit);
    http::serve(listener, http::router(http), limits, stop).await;
    Ok(())
}
