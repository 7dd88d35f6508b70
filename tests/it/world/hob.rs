//! hob in the world: as a library in this process, or as the real program in one of its own.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hob::config::{ChecksNetwork, Config};
use hob::container::{Docker, Listed, State};
use hob::ids::LABEL_INSTANCE;
use hob::serve::Hob;
use hob::store::Store;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, SECRET};

/// How long the program may take until it listens. Far more than it takes on a machine that does
/// other work.
const LISTENS_WITHIN: Duration = Duration::from_secs(120);

/// hob as a library.
pub struct RunningHob {
    address: String,
    store: Store,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl RunningHob {
    /// The port that hob will listen on: anyone who speaks to hob can know it before hob starts.
    pub async fn listen(config: &Config) -> TcpListener {
        hob::http::listen(config.server.listen).expect("a port")
    }

    pub async fn start(config: Config, listener: TcpListener) -> RunningHob {
        let address = listener.local_addr().expect("an address").to_string();
        let hob = Hob::open(config).await.expect("hob opens").with_program(binary());
        let store = hob.store().clone();
        let stop = CancellationToken::new();
        let running = tokio::spawn(hob.run(listener, stop.clone()));
        RunningHob { address, store, stop, running }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    pub fn webhook(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("hob did not panic").expect("hob ended well");
    }
}

/// hob as the real program.
pub struct Program {
    child: Child,
    address: String,
    /// Ends when the whole log is in its file.
    log: JoinHandle<()>,
}

impl Program {
    /// Starts it with these settings, and waits until it listens.
    pub async fn start(folder: &Path, config: &Config) -> Program {
        Self::start_under(&[], folder, config).await
    }

    /// The same, under a program that watches it. `wrapper` is that program and its arguments; it
    /// must become hob itself (`strace -D` does), so that signals reach hob.
    pub async fn start_under(wrapper: &[&str], folder: &Path, config: &Config) -> Program {
        let command = match wrapper {
            [] => Command::new(binary()),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary());
                command
            }
        };
        Self::launch(command, folder, config).await.expect("hob listens")
    }

    /// The same, with more in its environment.
    pub async fn start_with(variables: &[(&str, &str)], folder: &Path, config: &Config) -> Program {
        let mut command = Command::new(binary());
        command.envs(variables.iter().copied());
        Self::launch(command, folder, config).await.expect("hob listens")
    }

    /// The same. How it ended, where it does before it listens.
    pub async fn try_start(
        folder: &Path,
        config: &Config,
        variables: &[(String, String)],
    ) -> Result<Program, ExitStatus> {
        let mut command = Command::new(binary());
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::launch(command, folder, config).await
    }

    async fn launch(mut command: Command, folder: &Path, config: &Config) -> Result<Program, ExitStatus> {
        let mut child = serving(&mut command, folder, config).kill_on_drop(true).spawn().expect("hob starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
        // Its log goes on; somebody has to read it or it blocks. A file beside its data keeps it.
        let mut kept =
            OpenOptions::new().create(true).append(true).open(folder.join("hob.log")).expect("a log");
        let address = tokio::time::timeout(LISTENS_WITHIN, async {
            while let Ok(Some(line)) = log.next_line().await {
                let _ = writeln!(kept, "{line}");
                let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if entry["fields"]["message"] == "hob is listening" {
                    return Some(entry["fields"]["address"].as_str().expect("an address").to_owned());
                }
            }
            None
        });
        let Some(address) = address.await.expect("hob listens in time") else {
            return Err(child.wait().await.expect("it ends"));
        };
        let log = tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                let _ = writeln!(kept, "{line}");
            }
        });
        Ok(Program { child, address, log })
    }

    pub fn webhook(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until it ends by itself; tells its exit code, or the signal that ended it.
    pub async fn wait(&mut self) -> (Option<i32>, Option<i32>) {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().await.expect("it ends");
        (status.code(), status.signal())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).expect("a signal");
    }

    /// SIGTERM, and its exit code.
    pub async fn terminate(self) -> Option<i32> {
        self.tell_to_stop();
        self.ended().await
    }

    /// SIGTERM.
    pub fn tell_to_stop(&self) {
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM).expect("a signal");
    }

    /// Waits until it ends, by itself or because it was told to; its exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let code = self.child.wait().await.expect("it ends").code();
        self.log.await.expect("its log is read");
        code
    }

    /// The address that it listens on.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it has died by itself, at a place where it was told to.
    pub async fn dies(mut self) {
        let died = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = died.expect("it dies in time").expect("it ends");
        assert_eq!(status.code(), None, "it ended by itself: {status}");
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it ends");
    }
}

/// The program that belongs to this build: cargo tells it to tests, and puts examples in a folder
/// beside.
pub fn binary() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_hob") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe().expect("the path of this program");
            own.ancestors().nth(2).expect("target/PROFILE/examples").join("hob")
        }
    }
}

/// Starts `hob serve` and waits for nothing; what it says is lost.
pub fn spawn(folder: &Path, config: &Config) -> Child {
    let mut command = Command::new(binary());
    serving(&mut command, folder, config)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("hob starts")
}

/// Starts `hob serve` with a log that goes there.
pub fn spawn_logging_to(folder: &Path, config: &Config, filter: &str, log: Stdio) -> Child {
    let mut command = Command::new(binary());
    command.env("HOB_LOG", filter);
    serving(&mut command, folder, config).stderr(log).kill_on_drop(true).spawn().expect("hob starts")
}

/// Runs a command of hob's, with or without settings, that nobody listens to: its exit code, and
/// what it complained where somebody listens to that.
pub async fn run_unheard(
    folder: &Path,
    config: Option<&Config>,
    arguments: &[&str],
    complaints_too: bool,
) -> (Option<i32>, String) {
    let nobody = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = Command::new(binary());
    command.args(arguments);
    if let Some(config) = config {
        configured(&mut command, folder, config);
    }
    command.stdout(nobody()).stderr(if complaints_too { nobody() } else { Stdio::piped() });
    let running = command.kill_on_drop(true).spawn().expect("hob starts");
    drop(command);
    let ended = tokio::time::timeout(DEADLINE, running.wait_with_output());
    let output = ended.await.expect("the command ends in time").expect("its end");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs hob with a settings file and an environment that say everything; `prepare` may change how
/// it is run. Its exit code, and what it said.
pub async fn run_by(
    file: Option<&Path>,
    environment: &[(&str, &str)],
    arguments: &[&str],
    prepare: impl FnOnce(&mut Command),
) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("HOB_LOG").current_dir("/");
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    command.envs(environment.iter().copied());
    prepare(&mut command);
    let output = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output());
    let output = output.await.expect("hob ends in time").expect("hob starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// What `hob serve` does that is expected to end by itself: its exit code and what it said.
pub async fn serve_in_vain(folder: &Path, config: &Config) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    let ended =
        tokio::time::timeout(DEADLINE, serving(&mut command, folder, config).kill_on_drop(true).output());
    let output = ended.await.expect("hob ends in time").expect("hob starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs another command of hob's on the same settings: its exit code, and what it printed and
/// complained.
pub async fn run(folder: &Path, config: &Config, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.args(arguments);
    let ended =
        tokio::time::timeout(DEADLINE, configured(&mut command, folder, config).kill_on_drop(true).output());
    let output = ended.await.expect("the command ends in time").expect("hob starts");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn serving<'a>(command: &'a mut Command, folder: &Path, config: &Config) -> &'a mut Command {
    command.args(["serve", "--log-format", "json"]);
    configured(command, folder, config).stderr(Stdio::piped())
}

fn configured<'a>(command: &'a mut Command, folder: &Path, config: &Config) -> &'a mut Command {
    let file = folder.join("hob.toml");
    std::fs::write(&file, toml_of(config)).expect("writing hob.toml");
    for (name, key) in &config.agent.keys {
        command.env(name, key.expose_secret());
    }
    let github = &config.github;
    for (name, secret) in [("HOB_GITHUB_TOKEN", &github.token), ("HOB_PRIVATE_KEY", &github.private_key)] {
        if let Some(secret) = secret {
            command.env(name, secret.expose_secret());
        }
    }
    command.arg("--config").arg(&file).env("HOB_WEBHOOK_SECRET", SECRET)
}

fn toml_of(config: &Config) -> String {
    let millis = |duration: Duration| format!("\"{}ms\"", duration.as_millis());
    let images = config.container.images.iter();
    let images: Vec<String> = images.map(|(agent, image)| format!("{agent} = {image:?}")).collect();
    let lines = [
        "[server]".to_owned(),
        format!("listen = \"{}\"", config.server.listen),
        "[data]".to_owned(),
        format!("dir = {:?}", config.data.dir),
        format!("min_free = {}", config.data.min_free.0),
        "[github]".to_owned(),
        format!("api_url = {:?}", config.github.api_url),
        format!("git_url = {:?}", config.github.git_url),
        config.github.app_id.map_or(String::new(), |id| format!("app_id = {id}")),
        format!("recheck = {}", millis(config.github.recheck)),
        format!("writes_per_hour = {}", config.github.writes_per_hour),
        config.github.poll.map_or(String::new(), |poll| format!("poll = {}", millis(poll))),
        format!("repositories = {:?}", config.github.repositories),
        "[git]".to_owned(),
        format!("squash = {}", config.git.squash),
        config
            .git
            .signing_key_file
            .as_ref()
            .map_or(String::new(), |file| format!("signing_key_file = {file:?}")),
        "[agent]".to_owned(),
        format!("timeout = {}", millis(config.agent.timeout)),
        format!("stall_timeout = {}", millis(config.agent.stall_timeout)),
        format!("retries = {}", config.agent.retries),
        format!("retry_after = {}", millis(config.agent.retry_after)),
        config.agent.max_budget_usd.map_or(String::new(), |usd| format!("max_budget_usd = {usd:?}")),
        "[budget]".to_owned(),
        config.budget.story_usd.map_or(String::new(), |usd| format!("story_usd = {usd:?}")),
        config.budget.day_usd.map_or(String::new(), |usd| format!("day_usd = {usd:?}")),
        "[container]".to_owned(),
        format!("docker = {:?}", config.container.docker),
        format!("image = {:?}", config.container.image),
        format!("images = {{ {} }}", images.join(", ")),
        format!("network = {:?}", config.container.network),
        format!("checks_network = {}", config.container.checks_network != ChecksNetwork::Nothing),
        format!("memory = {}", config.container.memory.0),
        format!("tmp = {}", config.container.tmp.0),
        format!("pids = {}", config.container.pids),
        format!("stop_grace = {}", millis(config.container.stop_grace)),
        format!("hand_over_timeout = {}", millis(config.container.hand_over_timeout)),
        format!("hand_over_limit = {}", config.container.hand_over_limit.0),
        "[prompt]".to_owned(),
        config.prompt.template.as_ref().map_or(String::new(), |file| format!("template = {file:?}")),
        "[work]".to_owned(),
        format!("parallel = {}", config.work.parallel),
        format!("drain = {}", millis(config.work.drain)),
        format!("poll = {}", millis(config.work.poll)),
        format!("lease = {}", millis(config.work.lease)),
        format!("patience = {}", millis(config.work.patience)),
        format!("sweep = {}", millis(config.work.sweep)),
        "[questions]".to_owned(),
        config.questions.deadline.map_or(String::new(), |age| format!("deadline = {}", millis(age.0))),
        config.questions.remind.map_or(String::new(), |age| format!("remind = {}", millis(age.0))),
        "[pull_request]".to_owned(),
        format!("wait = {}", millis(config.pull_request.wait)),
        "[keep]".to_owned(),
        format!("runs = {}", millis(config.keep.runs.0)),
        format!("runs_size = {}", config.keep.runs_size.0),
        format!("workspaces = {}", millis(config.keep.workspaces.0)),
        format!("workspaces_size = {}", config.keep.workspaces_size.0),
        format!("waiting = {}", millis(config.keep.waiting.0)),
        format!("notice = {}", millis(config.keep.notice.0)),
    ];
    lines.join("\n") + "\n"
}

/// Seconds that a Docker daemon may take to be back, on a machine that is busy.
const DAEMON_TRIES: u32 = 90;

/// The containers in which something runs for an agent or a check, and networks, that belong to the
/// hob of this data folder. Those that have ended are removed while the work goes on, and a
/// checkout is only the beginning of a run.
pub async fn containers(config: &Config) -> Vec<String> {
    let is_live = |container: &Listed| {
        !matches!(container.state, State::Exited(_) | State::Removing)
            && !container.name.ends_with("-checkout")
    };
    listed(config, is_live).await
}

/// Whatever there is of that hob in Docker.
pub async fn everything(config: &Config) -> Vec<String> {
    let mut all = listed(config, |_| true).await;
    let Ok(store) = Store::open_beside(&config.data.dir.join("hob.db")).await else { return all };
    let instance = store.instance().await.expect("the instance");
    store.close().await;
    let docker = Docker::connect(&super::docker_address()).expect("an address");
    // It may be being restarted, or already have removed what was listed.
    let networks = docker.list_networks((LABEL_INSTANCE, &instance)).await.unwrap_or_default();
    all.extend(networks.into_iter().map(|network| network.name));
    all
}

async fn listed(config: &Config, is_wanted: impl Fn(&Listed) -> bool) -> Vec<String> {
    let file = config.data.dir.join("hob.db");
    if !file.exists() {
        return Vec::new();
    }
    // A hob that has been killed while it made the store has no container, and one that makes it
    // now is not to be disturbed.
    let Ok(store) = Store::open_beside(&file).await else { return Vec::new() };
    let instance = store.instance().await.expect("the instance");
    store.close().await;
    let docker = Docker::connect(&super::docker_address()).expect("an address");
    let mut tries = 0;
    let listed = loop {
        match docker.list((LABEL_INSTANCE, &instance)).await {
            Ok(listed) => break listed,
            // It may be being restarted.
            Err(error) if tries == DAEMON_TRIES => panic!("docker answers: {error}"),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let networks = docker.list_networks((LABEL_INSTANCE, &instance)).await.expect("docker answers");
    let networks = networks.into_iter().map(|network| network.name);
    listed.into_iter().filter(is_wanted).map(|container| container.name).chain(networks).collect()
}

/// Larger files are not shown: those that hob writes stay far below, and an agent may leave one of
/// terabytes that is one hole.
const MAX_SHOWN: u64 = 600 << 20;

/// Shows every regular file below a folder, links not followed.
pub fn for_each_file(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            for_each_file(&entry.path(), look);
        } else if kind.is_file() && entry.metadata().is_ok_and(|m| m.len() <= MAX_SHOWN) {
            look(&entry.path(), &std::fs::read(entry.path()).unwrap_or_default());
        }
    }
}
