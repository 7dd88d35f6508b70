//! Settings: what they are, their defaults, and how they are read once, at start, from `hob.toml`
//! and the environment. A mistake in the file is reported with the key, the file, the line and,
//! for a misspelt key, the nearest one that exists. Nothing is read again while hob runs, and
//! whether an address answers or a folder can be written is not asked here.

mod budget;
mod error;
mod hosts;
mod policy;
mod pull_request;
mod questions;
mod repository;
mod secret;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use budget::Budget;
pub use error::ConfigError;
pub use hosts::{ChecksNetwork, Host};
pub use policy::{PathGlobs, Policy};
pub use pull_request::{FollowBase, PullRequest};
pub use questions::{Questions, WhoAnswers};
pub use repository::{
    Budgets, Fault, REPOSITORY_FILE, RepositoryFile, SubIssues, Who, lower, repository_file_schema,
};
pub use secret::{KEY_NAMES, VARIABLES};
pub use values::{Age, BranchTemplate, ByteSize, CommentsOf, is_well_formed_branch};

use crate::ids::{AgentKind, IssueNumber, Repo};
use crate::language::Language;

/// Looking through GitHub more often than this gets hob limited.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// For so long GitHub can send a delivery again.
const REDELIVERED: Age = Age::days(3);

/// Everything that can be set. Sections are the tables of `hob.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP side.
    pub server: Server,
    /// Where hob keeps what it must not lose.
    pub data: Data,
    /// The git host.
    pub github: GitHub,
    /// Whose name stands on the agent's commits.
    pub git: Git,
    /// The coding agent.
    pub agent: Agent,
    /// The container it runs in.
    pub container: Container,
    /// What a hand-over may hold.
    pub policy: Policy,
    /// What work may cost.
    pub budget: Budget,
    /// What the agent is told.
    pub prompt: Prompt,
    /// How much at once, and how often to look.
    pub work: Work,
    /// What is kept, and for how long.
    pub keep: Keep,
    /// Who answers questions, and what happens while nobody does.
    pub questions: Questions,
    /// What hob does about its pull requests by itself.
    pub pull_request: PullRequest,
    /// Settings for one repository, by `owner/name`.
    pub repositories: BTreeMap<String, RepositoryOverrides>,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The largest webhook body that is accepted. GitHub sends up to 25 MB.
    pub body_limit: ByteSize,
    /// Where agents reach hob's own HTTP side, given to them as `HOB_API_URL`. A `localhost` in it becomes
    /// `host.docker.internal`.
    pub api_url: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            body_limit: ByteSize::mib(25),
            api_url: None,
        }
    }
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The data folder: store, mirrors, workspaces, run records. One hob a folder.
    pub dir: PathBuf,
    /// Free space on its disk under which no run is started.
    pub min_free: ByteSize,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("/var/lib/hob"), min_free: ByteSize::mib(1024) }
    }
}

/// `[github]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GitHub {
    /// Base of the REST API. For GitHub Enterprise Server `https://HOST/api/v3`.
    pub api_url: String,
    /// Base of git over HTTPS: `<git_url>/<owner>/<repo>.git` is cloned and pushed to.
    pub git_url: String,
    /// The App's id; then hob works as a GitHub App.
    pub app_id: Option<u64>,
    /// The App's private key, PEM.
    pub private_key: Option<SecretString>,
    /// A file that holds it.
    pub private_key_file: Option<PathBuf>,
    /// A token, for working without an App.
    pub token: Option<SecretString>,
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// The secret that webhooks are signed with.
    pub webhook_secret: Option<SecretString>,
    /// A file that holds it.
    pub webhook_secret_file: Option<PathBuf>,
    /// The label that asks for work.
    pub label: String,
    /// The language of what hob says, where a repository does not say another.
    pub language: Language,
    /// The story branch; `{issue}` stands for the issue's number.
    pub branch: BranchTemplate,
    /// Whether pull requests are opened as drafts.
    pub draft: bool,
    /// How often GitHub is looked through for labels and comments that no webhook told of. Set it where GitHub cannot reach
    /// hob; then hob needs no webhook. Not set: an App asks GitHub every five minutes for deliveries that failed, and with a
    /// token hob looks through as often.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    pub poll: Option<Duration>,
    /// Repositories to look through beside those that hob has heard from, `owner/name`. An App knows them by itself.
    pub repositories: Vec<String>,
    /// How long after an answer that did not come hob looks whether GitHub has made a comment twice.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub recheck: Duration,
    /// How often the status comment is changed at most while an agent works.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub status_every: Duration,
    /// Whether issues get labels that say where the story stands.
    pub state_labels: bool,
}

impl Default for GitHub {
    fn default() -> Self {
        Self {
            api_url: "https://api.github.com".to_owned(),
            git_url: "https://github.com".to_owned(),
            app_id: None,
            private_key: None,
            private_key_file: None,
            token: None,
            token_file: None,
            webhook_secret: None,
            webhook_secret_file: None,
            label: "hob".to_owned(),
            language: Language::default(),
            branch: BranchTemplate::default(),
            draft: false,
            poll: None,
            repositories: Vec::new(),
            recheck: Duration::from_secs(60),
            status_every: Duration::from_secs(5),
            state_labels: true,
        }
    }
}

/// `[git]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Git {
    /// Author and committer of the agent's commits.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
    /// Whether commits that name somebody else are written anew before the push. The agent's container asks
    /// git for the author above, but the agent can ask for another.
    pub rewrite_authors: bool,
    /// Whether the commits of one hand-over become one.
    pub squash: bool,
    /// A file that holds the private SSH key with which commits are signed: Ed25519, without a passphrase.
    pub signing_key_file: Option<PathBuf>,
    /// What it holds, read at start.
    #[serde(skip)]
    pub signing_key: Option<SecretString>,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            author_name: "hob".to_owned(),
            author_email: "hob@users.noreply.github.com".to_owned(),
            rewrite_authors: true,
            squash: false,
            signing_key_file: None,
            signing_key: None,
        }
    }
}

/// `[agent]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Which CLI: `claude`, `codex`, `gemini`, `opencode` or `command`.
    pub kind: AgentKind,
    /// Program and arguments for the kind `command`.
    pub command: Vec<String>,
    /// Agents that take over, the first first, while the usage limit of the one that should work is used up.
    pub fallback: Vec<AgentKind>,
    /// The model's name, passed on to the CLI.
    pub model: Option<String>,
    /// Turns after which a run is ended.
    pub max_turns: Option<u32>,
    /// Dollars after which a run is ended: the cap of a run. Those of a story and a day are in `[budget]`.
    pub max_budget_usd: Option<f64>,
    /// The longest a run may take.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub timeout: Duration,
    /// The longest a run may stay without a word.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub stall_timeout: Duration,
    /// How often a run that failed for a passing reason (overload, rate limit) is tried again.
    pub retries: u32,
    /// The wait before the first such retry; it doubles each time.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retry_after: Duration,
    /// Environment names of keys given to the agent, each with the file that holds its value. Keys
    /// of the agent's own CLI are also taken from hob's environment.
    pub key_files: BTreeMap<String, PathBuf>,
    /// The folder of a login on this machine, for working with a person's account instead of a key: for
    /// `kind = "claude"` a `~/.claude` with `.credentials.json` in it (and `.claude.json` in it or beside
    /// it), for `codex` a `~/.codex`, for `gemini` a `~/.gemini`, for `opencode` a
    /// `~/.local/share/opencode`. hob copies the login into the agent's home before each run and takes it
    /// out again after it; tokens that the CLI renewed meanwhile are written back to the folder, which hob
    /// must therefore be able to write. It serves the agent named by `kind` alone. Keys of that CLI in
    /// hob's environment are then not handed on; those in `key_files` are, and come first for the CLI.
    pub login_dir: Option<PathBuf>,
    /// Program and arguments of a command that renews the login, run when the model's service has refused
    /// it; then the run is made once more. It runs as hob's own user, without hob's secrets in its
    /// environment and without input; exit code 0 means that the login is renewed.
    pub sync_command: Vec<String>,
    /// The longest that command may take. After that it is killed with everything it has started.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub sync_timeout: Duration,
    /// Further environment values for the agent. Not for secrets.
    pub env: BTreeMap<String, String>,
    /// The keys themselves, resolved at start.
    #[serde(skip)]
    pub keys: BTreeMap<String, SecretString>,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            kind: AgentKind::Claude,
            command: Vec::new(),
            fallback: Vec::new(),
            model: None,
            max_turns: None,
            max_budget_usd: None,
            timeout: Duration::from_secs(60 * 60),
            stall_timeout: Duration::from_secs(15 * 60),
            retries: 3,
            retry_after: Duration::from_secs(60),
            key_files: BTreeMap::new(),
            login_dir: None,
            sync_command: Vec::new(),
            sync_timeout: Duration::from_secs(60),
            env: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}

/// `[container]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// The Docker Engine API.
    pub docker: String,
    /// The image with the agent in it, unless the repository or the task names another.
    pub image: String,
    /// The image for an agent other than the usual one, by its name: `codex = "hob-codex:latest"`.
    pub images: BTreeMap<AgentKind, String>,
    /// Images that a person may choose for a task with `--image`, besides those named here anyway.
    pub allowed_images: Vec<String>,
    /// `bridge`, or the name of a network of the operator's.
    pub network: String,
    /// Memory, without swap.
    pub memory: ByteSize,
    /// Processors.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: i64,
    /// Open files a process.
    pub nofile: i64,
    /// The size of `/tmp`. It counts as memory.
    pub tmp: ByteSize,
    /// The uid and gid that the agent runs as when hob itself is root.
    pub uid: u32,
    /// A folder on tmpfs where keys lie while a container starts.
    pub secrets_dir: PathBuf,
    /// What a story's workspace, home and exchange may take up together on disk. Looked at every few
    /// seconds while an agent runs; one that passes it is stopped.
    pub disk: ByteSize,
    /// Files that an agent may leave in `/hob/drops`, to be kept with the run.
    pub max_drops: usize,
    /// How large they may be together.
    pub drops_limit: ByteSize,
    /// Whether agents get at the SSH agent of hob's environment (`SSH_AUTH_SOCK`). Off by default, for it
    /// gives much away: while it runs, an agent can use **every** key in the SSH agent, to log in wherever
    /// they open a door or to push to any repository, and hob sees nothing of it. Keys cannot be copied
    /// that way. An SSH agent serves its own user only, so hob must run as that user and not as root.
    pub ssh_agent: bool,
    /// The SSH agent's socket, resolved at start.
    #[serde(skip)]
    pub ssh_auth_sock: Option<PathBuf>,
    /// What the checks that a repository names in its `.github/hob.toml` may reach on the network, where it asks for that.
    pub checks_network: ChecksNetwork,
    /// How long an agent has to end after it is told to.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub stop_grace: Duration,
    /// The longest that reading the result out of the workspace may take.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub hand_over_timeout: Duration,
    /// The largest hand-over: the agent's commits as one packed bundle.
    pub hand_over_limit: ByteSize,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            docker: "unix:///var/run/docker.sock".to_owned(),
            image: "hob-claude:latest".to_owned(),
            images: BTreeMap::new(),
            allowed_images: Vec::new(),
            network: "bridge".to_owned(),
            memory: ByteSize::mib(4096),
            cpus: 2.0,
            pids: 1024,
            nofile: 16_384,
            tmp: ByteSize::mib(1024),
            uid: 10_001,
            secrets_dir: PathBuf::from("/dev/shm"),
            disk: ByteSize::mib(20 * 1024),
            max_drops: 50,
            drops_limit: ByteSize::mib(100),
            ssh_agent: false,
            ssh_auth_sock: None,
            checks_network: ChecksNetwork::Nothing,
            stop_grace: Duration::from_secs(10),
            hand_over_timeout: Duration::from_secs(300),
            hand_over_limit: ByteSize::mib(512),
        }
    }
}

/// `[prompt]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompt {
    /// A file with the template, in place of hob's own.
    pub template: Option<PathBuf>,
    /// Whose comments the agent sees.
    pub comments_of: CommentsOf,
    /// The most issues that are read because they are named in what was asked for.
    pub linked_issues: usize,
    /// The most images that are downloaded for a run.
    pub images: usize,
    /// The largest of them.
    pub image_limit: ByteSize,
}

impl Default for Prompt {
    fn default() -> Self {
        Self {
            template: None,
            comments_of: CommentsOf::Writers,
            linked_issues: 5,
            images: 10,
            image_limit: ByteSize::mib(5),
        }
    }
}

/// `[work]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Work {
    /// Tasks under work at once.
    pub parallel: usize,
    /// How many of them may be of one repository. Not set: all.
    pub per_repository: Option<u32>,
    /// How many of them may be asked for by one person. Not set: all.
    pub per_person: Option<u32>,
    /// How often the loops look for work that no one told them of.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub poll: Duration,
    /// How often hob compares what is there with what should be, and tidies up.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub sweep: Duration,
    /// How long a worker may be silent before its task is free for another.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub lease: Duration,
    /// How long a task waits for something that is away, Docker or the git host for example, before
    /// it fails and says so.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub patience: Duration,
    /// How long a stop waits for steps that are under way. Containers are never waited for.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub drain: Duration,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            parallel: 2,
            per_repository: None,
            per_person: None,
            poll: Duration::from_secs(5),
            sweep: Duration::from_secs(5 * 60),
            lease: Duration::from_secs(60),
            patience: Duration::from_secs(10 * 60),
            drain: Duration::from_secs(20),
        }
    }
}

/// `[keep]`. A story that waits for an answer loses nothing to ages and sizes but to `waiting`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// How long a settled delivery is kept. GitHub can send one again for three days.
    pub deliveries: Age,
    /// How long the record of a run is kept: what the agent printed, and the files it left.
    pub runs: Age,
    /// How much space the records may take up together; the oldest go first.
    pub runs_size: ByteSize,
    /// How long workspace and home are kept of a story on which nothing happens.
    pub workspaces: Age,
    /// How much space those may take up together; of the longest untouched first.
    pub workspaces_size: ByteSize,
    /// How long a story waits for an answer before its workspace is given up. What is not pushed is pushed first.
    pub waiting: Age,
    /// How long before that people are told on the issue.
    pub notice: Age,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            deliveries: Age::days(30),
            runs: Age::days(90),
            runs_size: ByteSize::mib(10 * 1024),
            workspaces: Age::days(30),
            workspaces_size: ByteSize::mib(100 * 1024),
            waiting: Age::days(60),
            notice: Age::days(7),
        }
    }
}

/// `[repositories."owner/name"]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepositoryOverrides {
    /// The image with the agent in it.
    pub image: Option<String>,
    /// Which CLI.
    pub agent: Option<AgentKind>,
    /// The model's name.
    pub model: Option<String>,
    /// A command line for `/bin/sh`, run in the agent's container before the agent, without its keys.
    pub setup: Option<String>,
}

/// How hob proves who it is to the git host.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// As a GitHub App.
    App {
        /// The App's id.
        id: u64,
        /// Its private key, PEM.
        key: SecretString,
    },
    /// With the token of an account.
    Token(SecretString),
}

impl Config {
    /// Reads the file and the environment. `environment` answers what a variable holds; it is an
    /// argument so that tests need not change the process.
    pub fn load(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let mut config = Self::load_without_secrets(file, environment)?;
        secret::read_files(&mut config, environment)?;
        config.check()?;
        Ok(config)
    }

    /// The same for commands beside a running hob, which need no secret and may not be able to read one: the files that
    /// hold them are not opened, and nothing is checked but the form.
    pub fn load_without_secrets(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let mut config = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| ConfigError::Unreadable { path: path.to_owned(), reason: e.to_string() })?;
                Self::parse(&text, path)?
            }
            None => Config::default(),
        };
        secret::overlay_environment(&mut config, environment)?;
        Ok(config)
    }

    /// Reads the text of a configuration file; `path` is used in errors only.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let deserializer =
            toml::Deserializer::parse(text).map_err(|e| error::from_toml(text, path, "", &e))?;
        let config: Config = serde_path_to_error::deserialize(deserializer).map_err(|e| {
            let key = e.path().to_string();
            error::from_toml(text, path, &key, e.inner())
        })?;
        for name in config.repositories.keys() {
            name.parse::<Repo>().map_err(|e| {
                ConfigError::invalid(&format!("repositories.\"{name}\""), &e.to_string(), "owner/name")
            })?;
        }
        Ok(config)
    }

    /// What can be known to be wrong without asking the world.
    fn check(&self) -> Result<(), ConfigError> {
        let github = &self.github;
        let has_secret = github.webhook_secret.as_ref().is_some_and(|s| !s.expose_secret().is_empty());
        if !has_secret && github.poll.is_none() {
            return Err(ConfigError::missing(
                "github.webhook_secret",
                "the secret set at the webhook; without it anybody could command hob. \
                 Set HOB_WEBHOOK_SECRET or github.webhook_secret_file, or github.poll to work without a webhook",
            ));
        }
        for name in &github.repositories {
            name.parse::<Repo>()
                .map_err(|e| ConfigError::invalid("github.repositories", &e.to_string(), "owner/name"))?;
        }
        self.check_intervals()?;
        self.credentials()?;
        for (key, url) in [("github.api_url", &github.api_url), ("github.git_url", &github.git_url)] {
            if url.contains('@') {
                return Err(ConfigError::invalid(key, "holds a user or password", "a plain address"));
            }
            if !is_safe_for_a_token(url) {
                let what = "would send hob's token unencrypted over the network";
                return Err(ConfigError::invalid(key, what, "https://, or http:// to this machine"));
            }
        }
        if self.agent.kind == AgentKind::Command && self.agent.command.is_empty() {
            return Err(ConfigError::missing(
                "agent.command",
                "the program to run, for agent.kind = \"command\"",
            ));
        }
        self.check_account()?;
        self.check_queue()?;
        self.budget.check(self.agent.max_budget_usd)?;
        for (key, text) in
            [("git.author_name", &self.git.author_name), ("git.author_email", &self.git.author_email)]
        {
            if text.trim().is_empty() || text.contains(['<', '>', '\n', '\0']) {
                return Err(ConfigError::invalid(key, "is not what git takes", "a plain name or address"));
            }
        }
        if self.git.signing_key_file.is_some() && !self.git.rewrite_authors {
            return Err(ConfigError::invalid(
                "git.rewrite_authors",
                "is false beside git.signing_key_file: hob would sign for whomever the agent names",
                "true, or no key",
            ));
        }
        if self.container.uid == 0 {
            return Err(ConfigError::invalid("container.uid", "is 0, which is root", "an unprivileged uid"));
        }
        if self.container.network == "none" && self.container.checks_network != ChecksNetwork::Nothing {
            return Err(ConfigError::invalid(
                "container.checks_network",
                "lets checks reach servers, and container.network is \"none\"",
                "false, or a network",
            ));
        }
        Ok(())
    }

    fn check_queue(&self) -> Result<(), ConfigError> {
        let work = &self.work;
        if work.parallel == 0 {
            return Err(ConfigError::invalid("work.parallel", "is 0", "1 or more"));
        }
        for (key, limit) in
            [("work.per_repository", work.per_repository), ("work.per_person", work.per_person)]
        {
            if limit == Some(0) {
                return Err(ConfigError::invalid(key, "is 0", "1 or more, or nothing for no limit"));
            }
        }
        if self.agent.fallback.contains(&AgentKind::Command) && self.agent.command.is_empty() {
            let what = "the program to run, since agent.fallback names `command`";
            return Err(ConfigError::missing("agent.command", what));
        }
        Ok(())
    }

    fn check_intervals(&self) -> Result<(), ConfigError> {
        // GitHub allows 5,000 requests an hour, and a look takes two for each repository.
        if self.github.poll.is_some_and(|poll| poll < SHORTEST_POLL) {
            return Err(ConfigError::invalid("github.poll", "is too short", "\"1s\" or longer"));
        }
        if self.work.sweep.is_zero() {
            return Err(ConfigError::invalid("work.sweep", "is 0", "for example \"5m\""));
        }
        // One that is forgotten and comes again would count as new.
        if self.keep.deliveries < REDELIVERED {
            return Err(ConfigError::invalid(
                "keep.deliveries",
                "is shorter than GitHub can send a delivery again",
                "\"3d\" or longer",
            ));
        }
        if self.keep.notice.0 >= self.keep.waiting.0 {
            return Err(ConfigError::invalid(
                "keep.notice",
                "is not shorter than keep.waiting",
                "for example \"7d\" with keep.waiting = \"60d\"",
            ));
        }
        Ok(())
    }

    fn check_account(&self) -> Result<(), ConfigError> {
        let agent = &self.agent;
        if agent.login_dir.is_some() && agent.kind == AgentKind::Command {
            return Err(ConfigError::invalid(
                "agent.login_dir",
                "is set, but hob knows no login of a command",
                "agent.key_files, or another agent.kind",
            ));
        }
        if !agent.sync_command.is_empty() && agent.login_dir.is_none() {
            let what = "the folder of the login that agent.sync_command renews";
            return Err(ConfigError::missing("agent.login_dir", what));
        }
        if agent.sync_timeout.is_zero() {
            return Err(ConfigError::invalid("agent.sync_timeout", "is 0", "for example \"60s\""));
        }
        if self.container.ssh_agent && self.container.ssh_auth_sock.is_none() {
            let what =
                "the environment variable that names the SSH agent's socket, for container.ssh_agent = true";
            return Err(ConfigError::missing("SSH_AUTH_SOCK", what));
        }
        Ok(())
    }

    /// The folder of the login that an agent works with, where it does not work with a key.
    pub fn login_dir(&self, agent: AgentKind) -> Option<&Path> {
        self.agent.login_dir.as_deref().filter(|_| agent == self.agent.kind)
    }

    /// Every secret that hob is given at start.
    pub fn secrets(&self) -> Vec<SecretString> {
        let github = &self.github;
        let own = [&github.private_key, &github.token, &github.webhook_secret];
        let own = own.into_iter().flatten().chain(&self.git.signing_key);
        own.chain(self.agent.keys.values()).cloned().collect()
    }

    /// The way in to the git host that is configured: exactly one.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let github = &self.github;
        match (github.app_id, &github.private_key, &github.token) {
            (Some(id), Some(key), None) => Ok(Credentials::App { id, key: key.clone() }),
            (None, None, Some(token)) => Ok(Credentials::Token(token.clone())),
            (Some(_), None, _) => Err(ConfigError::missing(
                "github.private_key_file",
                "the private key of the GitHub App named by github.app_id",
            )),
            (None, Some(_), _) => Err(ConfigError::missing(
                "github.app_id",
                "the id of the GitHub App whose private key is given",
            )),
            (Some(_), Some(_), Some(_)) => Err(ConfigError::invalid(
                "github.token",
                "is set beside a GitHub App",
                "either github.app_id and its key, or github.token",
            )),
            (None, None, None) => Err(ConfigError::missing(
                "github.app_id",
                "a way in to GitHub: github.app_id with github.private_key_file, or github.token_file",
            )),
        }
    }

    /// What applies to one task: the general settings, on top of them the repository's file, that repository's settings
    /// of the operator's, and what the person chose who asked.
    pub fn for_task(&self, repo: &Repo, file: &RepositoryFile, chosen: Chosen<'_>) -> TaskSettings {
        let own = self.overrides(repo);
        let general = self.agent.kind;
        let of_file = file.agent.unwrap_or(general);
        let of_own = own.agent.unwrap_or(of_file);
        let agent = chosen.agent.unwrap_or(of_own);
        // Each one's model and image belong to the agent that it is about, and mean nothing to another.
        let belongs = |to: AgentKind| agent == to;
        let image = own.image.filter(|_| belongs(of_own)).or(file.image.clone().filter(|_| belongs(of_file)));
        let image = image.as_ref().or(self.container.images.get(&agent)).unwrap_or(&self.container.image);
        let model = own.model.filter(|_| belongs(of_own)).or(file.model.clone().filter(|_| belongs(of_file)));
        let model = model.or(self.agent.model.clone().filter(|_| belongs(general)));
        TaskSettings {
            setup: own.setup.or_else(|| file.setup.clone()),
            image: chosen.image.map_or_else(|| image.clone(), str::to_owned),
            agent,
            model: chosen.model.map(str::to_owned).or(model),
        }
    }

    /// Whether dollars are capped anywhere, so that people may be asked for more.
    pub fn has_caps_in_dollars(&self, file: &RepositoryFile) -> bool {
        let (all, own) = (&self.budget, &file.budget);
        let caps =
            [all.story_usd, all.repository_day_usd, all.day_usd, all.most_usd, own.story_usd, own.day_usd];
        self.run_budget_of(file).is_some() || caps.iter().any(Option::is_some)
    }

    /// What the operator has set for one repository.
    fn overrides(&self, repo: &Repo) -> RepositoryOverrides {
        let mut named = self.repositories.iter();
        let own = named.find(|(name, _)| name.parse::<Repo>().is_ok_and(|named| named == *repo));
        own.map(|(_, own)| own.clone()).unwrap_or_default()
    }

    /// Whether a person may choose this image for a task.
    pub fn allows_image(&self, image: &str) -> bool {
        let container = &self.container;
        let own = self.repositories.values().filter_map(|own| own.image.as_ref());
        let known = container.images.values().chain(&container.allowed_images).chain(own);
        container.image == image || known.into_iter().any(|allowed| allowed == image)
    }

    /// The story branch of an issue.
    pub fn branch_for(&self, issue: IssueNumber) -> String {
        self.github.branch.for_issue(issue)
    }

    /// The webhook secret. `load` has made sure that there is one.
    pub fn webhook_secret(&self) -> SecretString {
        self.github.webhook_secret.clone().unwrap_or_default()
    }
}

/// Whether a token may be sent there: encrypted, or to this machine itself.
fn is_safe_for_a_token(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |h| h.0);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What the person chose who asked for a task.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chosen<'a> {
    /// Which CLI.
    pub agent: Option<AgentKind>,
    /// The model's name.
    pub model: Option<&'a str>,
    /// The image with the agent in it.
    pub image: Option<&'a str>,
}

/// The settings of one task, resolved.
#[derive(Debug, Clone)]
pub struct TaskSettings {
    /// The image with the agent in it.
    pub image: String,
    /// Which CLI.
    pub agent: AgentKind,
    /// The model's name.
    pub model: Option<String>,
    /// A command line to run before the agent.
    pub setup: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("hob.toml")).map_err(|e| e.to_string())
    }

    fn load(vars: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::load(None, &environment).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.github.label, "hob");
        assert_eq!(config.branch_for(IssueNumber(3)), "hob/issue-3");
        assert_eq!(config.server.body_limit, ByteSize::mib(25));
    }

    #[test]
    fn a_misspelt_key_is_named_with_file_line_and_the_nearest_key() {
        let error = parse("[github]\nlabel = \"hob\"\nwebhook_secert_file = \"x\"\n").unwrap_err();
        assert_eq!(
            error,
            "hob.toml:3: unknown key `github.webhook_secert_file`; did you mean `github.webhook_secret_file`?"
        );
        let error = parse("[githbu]\n").unwrap_err();
        assert_eq!(error, "hob.toml:1: unknown key `githbu`; did you mean `github`?");
    }

    #[test]
    fn a_key_like_no_other_is_answered_with_the_list() {
        let error = parse("[data]\nzzz = 1\n").unwrap_err();
        assert_eq!(error, "hob.toml:2: unknown key `data.zzz`; known here: dir, min_free");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_line() {
        let error = parse("[work]\n\nparallel = \"two\"\n").unwrap_err();
        assert!(error.starts_with("hob.toml:3: `work.parallel`: invalid type"), "{error}");
        let error = parse("[agent]\ntimeout = \"soon\"\n").unwrap_err();
        assert!(error.starts_with("hob.toml:2: `agent.timeout`: "), "{error}");
        let error = parse("[github]\nbranch = \"hob\"\n").unwrap_err();
        assert!(error.contains("hob.toml:2: `github.branch`: `hob` lacks `{issue}`"), "{error}");
        let error = parse("[agent]\nkind = \"clod\"\n").unwrap_err();
        assert!(error.contains("hob.toml:2: `agent.kind`: unknown variant `clod`"), "{error}");
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        let error = parse("[github]\nlabel = \n").unwrap_err();
        assert!(error.starts_with("hob.toml:2: "), "{error}");
    }

    #[test]
    fn without_a_webhook_secret_or_a_way_in_hob_does_not_start() {
        assert!(load(&[]).unwrap_err().starts_with("`github.webhook_secret` is not set"));
        assert!(load(&[("WEBHOOK_SECRET", "s")]).unwrap_err().starts_with("`github.app_id` is not set"));
        let error = load(&[("WEBHOOK_SECRET", "s"), ("APP_ID", "7")]).unwrap_err();
        assert!(error.starts_with("`github.private_key_file` is not set"), "{error}");
    }

    #[test]
    fn the_environment_goes_on_top_and_probots_names_are_understood() {
        let config = load(&[
            ("WEBHOOK_SECRET", "s"),
            ("APP_ID", "7"),
            ("PRIVATE_KEY", "a\\nb"),
            ("HOB_LISTEN", "[::1]:9"),
        ])
        .unwrap();
        assert_eq!(config.server.listen.port(), 9);
        match config.credentials().unwrap() {
            Credentials::App { id, key } => assert_eq!((id, key.expose_secret()), (7, "a\nb")),
            Credentials::Token(_) => panic!("an App was configured"),
        }
    }

    #[test]
    fn a_repository_may_have_settings_of_its_own() {
        let config =
            parse("[repositories.\"Acme/Tool\"]\nimage = \"tool:1\"\nagent = \"command\"\n").unwrap();
        let own =
            config.for_task(&"acme/tool".parse().unwrap(), &RepositoryFile::default(), Chosen::default());
        assert_eq!((own.image.as_str(), own.agent), ("tool:1", AgentKind::Command));
        let other =
            config.for_task(&"acme/other".parse().unwrap(), &RepositoryFile::default(), Chosen::default());
        assert_eq!(other.image, "hob-claude:latest");
        let error = parse("[repositories.acme]\nimage = \"x\"\n").unwrap_err();
        assert!(error.contains("repositories.\"acme\""), "{error}");
    }

    #[test]
    fn a_task_may_choose_agent_model_and_image() {
        let config = parse(
            "[agent]\nmodel = \"opus\"\n[container]\nallowed_images = [\"big:1\"]\n[container.images]\ncodex = \"hob-codex:1\"\n",
        )
        .unwrap();
        let repo = "acme/tool".parse().unwrap();
        let file = RepositoryFile::default();
        let codex =
            config.for_task(&repo, &file, Chosen { agent: Some(AgentKind::Codex), ..Chosen::default() });
        // Another agent's model would mean nothing to this one.
        assert_eq!((codex.image.as_str(), codex.model), ("hob-codex:1", None));
        let big = config.for_task(&repo, &file, Chosen { image: Some("big:1"), ..Chosen::default() });
        assert_eq!((big.image.as_str(), big.model.as_deref()), ("big:1", Some("opus")));
        assert!(config.allows_image("big:1") && config.allows_image("hob-codex:1"));
        assert!(!config.allows_image("postgres:17"));
    }

    #[test]
    fn a_repositorys_file_stands_between_the_operators_settings_for_it_and_the_general_ones() {
        let text = "[agent]\nmodel = \"opus\"\n[container]\nallowed_images = [\"node:1\"]\n\
                    [container.images]\ncodex = \"hob-codex:1\"\n[repositories.\"acme/tool\"]\nsetup = \"ours\"\n";
        let config = parse(text).unwrap();
        let repo = "acme/tool".parse().unwrap();
        let of = |text: &str, chosen: Chosen<'_>| {
            let file = RepositoryFile::parse(text, &config).unwrap();
            config.for_task(&repo, &file, chosen)
        };
        let task = of("model = \"haiku\"\nimage = \"node:1\"\nsetup = \"theirs\"\n", Chosen::default());
        assert_eq!((task.image.as_str(), task.model.as_deref()), ("node:1", Some("haiku")));
        assert_eq!(task.setup.as_deref(), Some("ours"));
        // Another agent has its own image, and no model of Claude's.
        let task = of("agent = \"codex\"\n", Chosen::default());
        assert_eq!((task.agent, task.image.as_str(), task.model), (AgentKind::Codex, "hob-codex:1", None));
        let claude = Chosen { agent: Some(AgentKind::Claude), ..Chosen::default() };
        let task = of("agent = \"codex\"\nmodel = \"gpt\"\nimage = \"node:1\"\n", claude);
        assert_eq!((task.image.as_str(), task.model.as_deref()), ("hob-claude:latest", Some("opus")));
    }

    #[test]
    fn a_key_that_signs_is_private_and_signs_for_hob_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "a key\n").unwrap();
        let text = format!(
            "[github]\nwebhook_secret = \"s\"\ntoken = \"t\"\n[git]\nsigning_key_file = {:?}\n",
            file.path()
        );
        let settings = tempfile::NamedTempFile::new().unwrap();
        let load = |mode: u32, more: &str| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            std::fs::write(&settings, format!("{text}{more}")).unwrap();
            Config::load(Some(settings.path()), &|_| None).map_err(|error| error.to_string())
        };
        let config = load(0o640, "").unwrap();
        assert!(config.secrets().iter().any(|secret| secret.expose_secret() == "a key"));
        for mode in [0o644, 0o660, 0o602] {
            let error = load(mode, "").unwrap_err();
            let mode = format!("which is not hob's alone (mode {mode:04o}); it wants mode 0600");
            assert!(error.starts_with("`git.signing_key_file` names ") && error.contains(&mode), "{error}");
        }
        let error = load(0o600, "rewrite_authors = false\n").unwrap_err();
        assert!(error.starts_with("`git.rewrite_authors` is false beside"), "{error}");
    }

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_only() {
        for (url, safe) in [
            ("https://github.example", true),
            ("http://127.0.0.1:8080/api/v3", true),
            ("http://localhost", true),
            ("http://[::1]:9", true),
            ("http://github.example", false),
            ("http://127.0.0.1.example:80/", false),
        ] {
            let vars = [("WEBHOOK_SECRET", "s"), ("HOB_GITHUB_TOKEN", "t"), ("HOB_GITHUB_GIT_URL", url)];
            assert_eq!(load(&vars).is_ok(), safe, "{url}");
        }
    }

    #[test]
    fn a_login_belongs_to_the_usual_agent_and_its_command_to_a_login() {
        let config = parse(
            "[agent]\nlogin_dir = \"/home/me/.claude\"\nsync_command = [\"renew\", \"-q\"]\nsync_timeout = \"5s\"\n",
        )
        .unwrap();
        assert_eq!(config.login_dir(AgentKind::Claude), Some(Path::new("/home/me/.claude")));
        assert_eq!(config.login_dir(AgentKind::Codex), None);
        assert_eq!(config.agent.sync_timeout, Duration::from_secs(5));
        for (text, wanted) in [
            ("[agent]\nsync_command = [\"renew\"]\n", "`agent.login_dir` is not set"),
            ("[agent]\nkind = \"command\"\nlogin_dir = \"/x\"\n", "`agent.login_dir` is set, but"),
            ("[agent]\nsync_timeout = \"0s\"\n", "`agent.sync_timeout` is 0"),
            ("[container]\nssh_agent = true\n", "`SSH_AUTH_SOCK` is not set"),
        ] {
            let error = parse(text).unwrap().check_account().unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn the_ssh_agent_is_looked_for_only_where_it_is_wanted() {
        let vars = [("WEBHOOK_SECRET", "s"), ("HOB_GITHUB_TOKEN", "t"), ("SSH_AUTH_SOCK", "/run/a.sock")];
        assert!(!Config::default().container.ssh_agent);
        let environment = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        assert_eq!(Config::load(None, &environment).unwrap().container.ssh_auth_sock, None);
        let mut wanted = Config::default();
        wanted.container.ssh_agent = true;
        secret::overlay_environment(&mut wanted, &environment).unwrap();
        assert_eq!(wanted.container.ssh_auth_sock, Some(PathBuf::from("/run/a.sock")));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = load(&[("WEBHOOK_SECRET", "sesame"), ("HOB_GITHUB_TOKEN", "ghp_x")]).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("sesame") && !shown.contains("ghp_x"), "{shown}");
    }
}
