//! Wires everything and runs it: HTTP and the loops, from the caller's listener until the caller's stop.
//! A loop that ends before it was told to ends the process: a hob that accepts deliveries and does
//! nothing with them would be worse than one that is down.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use nix::unistd::{getegid, geteuid};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Credentials};
use crate::container::Docker;
use crate::deliver::Deliver;
use crate::github::{self, GitHub};
use crate::http::{self, Http};
use crate::intake::Intake;
use crate::paths::{DataDir, DataLock};
use crate::redact::Secrets;
use crate::store::Store;
use crate::sweep::Sweep;
use crate::work::{self, Worker};

/// A hob that is ready to run.
pub struct Hob {
    config: Arc<Config>,
    data: DataDir,
    store: Store,
    docker: Docker,
    github: GitHub,
    instance: String,
    secrets: Secrets,
    program: PathBuf,
    _lock: DataLock,
}

impl Hob {
    /// Opens what hob needs: the data folder and its lock, the store, the ways to Docker and GitHub. The
    /// latter two need not answer yet.
    pub async fn open(config: Config) -> anyhow::Result<Hob> {
        let data = DataDir::ensure(&config.data.dir)?;
        let lock = data.lock()?;
        let store = Store::open(&data.store()).await?;
        let instance = store.instance().await?;
        let docker = Docker::connect(&config.container.docker)?;
        let credentials = match config.credentials()? {
            Credentials::App { id, key } => github::Credentials::App { app_id: id, private_key_pem: key },
            Credentials::Token(token) => github::Credentials::Token(token),
        };
        let github =
            GitHub::new(&config.github.api_url, credentials).context("preparing the way to GitHub")?;
        let secrets = Secrets::new(config.secrets());
        let (config, program) = (Arc::new(config), work::own_program());
        Ok(Hob { config, data, store, docker, github, instance, secrets, program, _lock: lock })
    }

    /// The same, with another file as hob's own program: for who has hob as a library.
    pub fn with_program(self, program: PathBuf) -> Hob {
        Hob { program, ..self }
    }

    /// The store, to look into it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs until `stop` is set, then drains: no new work, steps under way end, containers go on. Returns
    /// an error if a part ended by itself.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let freed = self.store.release_all_tasks().await?;
        if freed > 0 {
            tracing::info!(tasks = freed, "tasks of the last hob are taken up again");
        }
        if self.config.container.ssh_agent {
            tracing::warn!(
                "container.ssh_agent is on: while it runs, an agent can use every key in the SSH agent"
            );
        }
        let report = tokio::spawn(report_engine(self.docker.clone()));
        self.sweep().at_start().await;
        // Its own token, so that a part that fails stops the others too.
        let stop = stop.child_token();
        let mut parts = JoinSet::new();
        parts.spawn(part("http", serve_http(self.http(), listener, stop.clone())));
        parts.spawn(part("intake", self.intake().run(stop.clone())));
        parts.spawn(part("work", self.worker(stop.clone()).run()));
        parts.spawn(part("deliver", self.deliver().run(stop.clone())));
        parts.spawn(part("sweep", self.sweep().run(stop.clone())));
        let mut failure = None;
        while let Some(ended) = parts.join_next().await {
            let (name, result) = ended.context("a part of hob panicked")?;
            if !stop.is_cancelled() {
                stop.cancel();
                let error = result.err().unwrap_or_else(|| anyhow::anyhow!("it ended without being told to"));
                tracing::error!(part = name, error = format!("{error:#}"), "a part of hob ended; hob stops");
                failure.get_or_insert(error.context(format!("the part `{name}` ended")));
            } else if let Err(error) = result {
                tracing::warn!(part = name, error = format!("{error:#}"), "a part of hob ended badly");
            }
        }
        report.abort();
        self.store.close().await;
        failure.map_or(Ok(()), Err)
    }

    fn http(&self) -> Http {
        Http {
            store: self.store.clone(),
            docker: self.docker.clone(),
            webhook_secret: self.config.webhook_secret(),
            body_limit: self.config.server.body_limit.as_usize(),
        }
    }

    fn intake(&self) -> Intake {
        Intake { config: self.config.clone(), store: self.store.clone(), github: self.github.clone() }
    }

    fn deliver(&self) -> Deliver {
        Deliver {
            config: self.config.clone(),
            store: self.store.clone(),
            github: self.github.clone(),
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
            program: self.program.clone(),
            stop,
        }
    }
}

/// Logs what containers will run on and what that cannot do. Beside the start, which neither waits for the
/// daemon nor needs it.
async fn report_engine(docker: Docker) {
    let engine = match docker.engine().await {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "the container engine could not be asked what it is; tasks wait for it");
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
        "containers run here"
    );
    for shortcoming in engine.shortcomings() {
        tracing::warn!("{shortcoming}");
    }
}

/// The uid and gid that agents run as: hob's own, or a fixed one where hob is root and can hand folders
/// over.
fn agent_user(config: &Config) -> (u32, u32) {
    if geteuid().is_root() {
        (config.container.uid, config.container.uid)
    } else {
        (geteuid().as_raw(), getegid().as_raw())
    }
}

async fn part(
    name: &'static str,
    run: impl Future<Output = anyhow::Result<()>>,
) -> (&'static str, anyhow::Result<()>) {
    (name, run.await)
}

async fn serve_http(http: Http, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    axum::serve(listener, http::router(http))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("serving HTTP")
}
