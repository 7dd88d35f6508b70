//! Settings: what they are, their defaults, and how they are read once, at start, from `hob.toml`
//! and the environment. A mistake in the file is reported with the key, the file, the line and, for
//! a misspelt key, the nearest one that exists. Nothing is read again while hob runs, and whether
//! an address answers or a folder can be written is not asked here. Each table of the file has a
//! module; the small ones stand here.

mod agent;
mod budget;
mod check;
mod container;
mod error;
mod github;
mod hosts;
mod policy;
mod pull_request;
mod questions;
mod reading;
mod reference;
mod repository;
mod secret;
mod task;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

pub use agent::Agent;
pub use budget::Budget;
pub use container::Container;
pub use error::ConfigError;
pub use github::{Credentials, GitHub};
pub use hosts::{ChecksNetwork, Host};
pub use policy::{PathGlobs, Policy};
pub use pull_request::{FollowBase, PullRequest};
pub use questions::{Questions, WhoAnswers};
pub use reference::reference;
pub use repository::{
    Budgets, Fault, REPOSITORY_FILE, RepositoryFile, SettingsPermission, SubIssues, lower,
    repository_file_schema,
};
pub use secret::{KEY_NAMES, VARIABLES};
pub use task::{Chosen, RepositoryOverrides, TaskSettings};
pub use values::{Age, BranchTemplate, ByteSize, CommentsOf};

use crate::ids::{AgentKind, IssueNumber, Repo};
use reading::Document;

/// Everything that can be set. Sections are the tables of `hob.toml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// The data folder, in which hob keeps everything that it must not lose.
    pub data: Data,
    /// GitHub: how hob signs in (as a GitHub App, or with a token), which repositories it works
    /// for, and how it shows its work there. Each secret is set here or in a file, not both.
    pub github: GitHub,
    /// The commits that hob pushes.
    pub git: Git,
    /// The coding agent.
    pub agent: Agent,
    /// The container that the agent runs in, and how its commits are read out of it.
    pub container: Container,
    /// What commits may contain.
    pub policy: Policy,
    /// What work may cost. Dollars per run are `agent.max_budget_usd`, minutes per run are
    /// `agent.timeout`. See [what it may cost](operations.md#what-it-may-cost).
    pub budget: Budget,
    /// What the agent is told.
    pub prompt: Prompt,
    /// How many tasks run at once, and how often hob looks for work.
    pub work: Work,
    /// What is kept, and for how long. A story that waits for an answer is only affected by
    /// `keep.waiting`.
    pub keep: Retention,
    /// Who may answer the agent's questions, and what happens when nobody does.
    pub questions: Questions,
    /// What hob does about its pull requests by itself.
    pub pull_request: PullRequest,
    /// Settings for one repository, in a table `[repositories."owner/name"]`. They take precedence
    /// over the repository's own `.github/hob.toml`, which takes precedence over the settings
    /// above.
    pub repositories: BTreeMap<String, RepositoryOverrides>,
    /// What is not as it should be, though hob can work with it.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address and port to listen on. hob speaks plain HTTP; put a TLS proxy in front of it.
    #[serde(deserialize_with = "values::address")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The largest webhook body that is accepted. GitHub sends up to 25 MB.
    #[schemars(with = "String")]
    pub body_limit: ByteSize,
    /// The URL at which agents reach hob's HTTP server, given to them as `HOB_API_URL`. A
    /// `localhost` in it becomes `host.docker.internal`.
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The data folder: store, mirrors, workspaces and run records. Two hobs cannot share one.
    pub dir: PathBuf,
    /// No run starts when the disk of the data folder has less free space than this; below half of
    /// it, runs are stopped. One file for each 64 KiB of it has to be free as well.
    #[schemars(with = "String")]
    pub min_free: ByteSize,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("/var/lib/hob"), min_free: ByteSize::mib(1024) }
    }
}

/// `[git]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Git {
    /// The author and committer of the agent's commits.
    pub author_name: String,
    /// The email address of that author.
    pub author_email: String,
    /// Whether commits by any other author are rewritten before the push. A rewritten commit names
    /// as co-authors the person who asked and the reviewers, and links to the story. See
    /// [commits](operations.md#commits).
    pub rewrite_authors: bool,
    /// Whether the commits of each push are squashed into one. A repository can override it.
    pub squash: bool,
    /// Whether commits get a `Signed-off-by` line with the author above. A repository can override
    /// it.
    pub sign_off: bool,
    /// A file with the SSH key that signs commits: an Ed25519 key without a passphrase, not
    /// readable by everyone. See [commits](operations.md#commits).
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
            sign_off: false,
            signing_key_file: None,
            signing_key: None,
        }
    }
}

/// `[prompt]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prompt {
    /// A file with the prompt's template, in place of the built-in one. See [the
    /// prompt](prompt.md).
    pub template: Option<PathBuf>,
    /// Whose comments the agent sees: those of `"writers"`, who may push to the repository, or of
    /// `"everyone"` except bots.
    pub comments_of: CommentsOf,
    /// The most issues that are read because the request mentions them.
    pub linked_issues: usize,
    /// The most images that are downloaded for a run.
    pub images: usize,
    /// The largest image that is downloaded.
    #[schemars(with = "String")]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Work {
    /// The most tasks that are worked on at once.
    pub parallel: usize,
    /// The most tasks of one repository that are worked on at once. If it is not set, only
    /// `work.parallel` counts.
    pub per_repository: Option<u32>,
    /// The most tasks requested by one person that are worked on at once. If it is not set, only
    /// `work.parallel` counts.
    pub per_person: Option<u32>,
    /// How often hob checks whether another process has changed the store. Changes that hob makes
    /// itself need no polling.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub poll: Duration,
    /// How often hob compares the containers and folders that exist with those that should, and
    /// cleans up.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub sweep: Duration,
    /// How long a worker may be silent before another may take over its task.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub lease: Duration,
    /// How long a task waits for something that is unavailable, such as Docker or GitHub, before it
    /// fails and says so.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub patience: Duration,
    /// How long a shutdown waits for steps in progress. It never waits for containers.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
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
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How long a processed webhook is kept. GitHub can redeliver it for three days.
    #[schemars(with = "String")]
    pub deliveries: Age,
    /// How long the record of a run is kept: its output, and the files that the agent left.
    #[schemars(with = "String")]
    pub runs: Age,
    /// The disk space for all run records. The oldest are removed first.
    #[schemars(with = "String")]
    pub runs_size: ByteSize,
    /// How long the workspace and home of an inactive story are kept. Unpushed work is pushed
    /// first; if that fails, it is kept for the same time again.
    #[schemars(with = "String")]
    pub workspaces: Age,
    /// The disk space for all workspaces and homes. Those unused for longest are removed first.
    #[schemars(with = "String")]
    pub workspaces_size: ByteSize,
    /// How long a story waits for an answer before its workspace is given up. Unpushed work is
    /// pushed first.
    #[schemars(with = "String")]
    pub waiting: Age,
    /// How long before the end of `keep.waiting` a comment on the issue announces it.
    #[schemars(with = "String")]
    pub notice: Age,
}

impl Default for Retention {
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

impl Config {
    /// Reads the file and the environment. `environment` answers what a variable holds; it is an
    /// argument so that tests need not change the process.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let (config, mistakes) = Self::look(file, environment);
        ConfigError::of(mistakes).map_or(Ok(config.unwrap_or_default()), Err)
    }

    /// The same, with everything that is wrong beside what could be read; nothing could of a file
    /// that is not there, or is not TOML.
    pub fn look(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> (Option<Config>, Vec<ConfigError>) {
        let path = file.unwrap_or(Path::new(""));
        let text = match file.map(read_text).transpose() {
            Ok(text) => text.unwrap_or_default(),
            Err(mistake) => return (None, vec![mistake]),
        };
        let document = match Document::parse(&text, path) {
            Ok(document) => document,
            Err(mistakes) => {
                return (None, mistakes.into_iter().map(reading::with_example).collect());
            }
        };
        let (mut config, mut mistakes) = Self::of(&document);
        mistakes.extend(secret::check_file(&mut config, file));
        mistakes.extend(secret::overlay_environment(&mut config, environment));
        mistakes.extend(secret::read_files(&mut config, environment));
        let follows = |mistake: &ConfigError| mistakes.iter().any(|known| mistake.follows_from(known));
        let checked: Vec<_> = config.check().into_iter().filter(|mistake| !follows(mistake)).collect();
        mistakes.extend(checked);
        let mut mistakes: Vec<_> = mistakes.into_iter().map(|mistake| document.with_line(mistake)).collect();
        // What stands on no line is told last.
        mistakes.sort_by_key(|mistake| mistake.line().unwrap_or(usize::MAX));
        (Some(config), mistakes)
    }

    /// The same for commands beside a running hob, which need no secret and may not be able to read
    /// one: the files that hold them are not opened, and nothing is checked but the form.
    pub fn load_without_secrets(
        file: Option<&Path>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let mut config = match file {
            Some(path) => Self::parse(&read_text(path)?, path)?,
            None => Config::default(),
        };
        let mistakes = secret::overlay_environment(&mut config, environment);
        ConfigError::of(mistakes).map_or(Ok(config), Err)
    }

    /// Reads the text of a configuration file; `path` is used in errors only.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
        let (config, mistakes) = match Document::parse(text, path) {
            Ok(document) => Self::of(&document),
            Err(mistakes) => (Config::default(), mistakes.into_iter().map(reading::with_example).collect()),
        };
        ConfigError::of(mistakes).map_or(Ok(config), Err)
    }

    /// What a file says, as far as it can be read, and what cannot.
    fn of(document: &Document<'_>) -> (Config, Vec<ConfigError>) {
        let (config, mut mistakes) = document.read::<Config>();
        let config = config.unwrap_or_default();
        for name in config.repositories.keys().filter(|name| name.parse::<Repo>().is_err()) {
            let key = format!("repositories.\"{name}\"");
            mistakes.push(document.with_line(ConfigError::invalid(
                &key,
                "is not a repository name",
                "owner/name",
            )));
        }
        mistakes.sort_by_key(|mistake| mistake.line().unwrap_or(usize::MAX));
        (config, mistakes.into_iter().map(reading::with_example).collect())
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

    /// Whether dollars are capped anywhere, so that people may be asked for more.
    pub fn has_caps_in_dollars(&self, file: &RepositoryFile) -> bool {
        let (all, own) = (&self.budget, &file.budget);
        let caps =
            [all.story_usd, all.repository_day_usd, all.day_usd, all.most_usd, own.story_usd, own.day_usd];
        self.run_budget_of(file).is_some() || caps.iter().any(Option::is_some)
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

fn read_text(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let mut reason = error::reason(&error);
        if path.starts_with("~") {
            reason.push_str("; hob does not expand `~`, so write the full path");
        }
        ConfigError::Unreadable { path: path.to_owned(), reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    pub(super) fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("hob.toml")).map_err(|e| e.to_string())
    }

    pub(super) fn load(vars: &[(&str, &str)]) -> Result<Config, String> {
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
        assert_eq!(error, "hob.toml:2: unknown key `data.zzz`; known keys: dir, min_free");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_line() {
        let error = parse("[work]\n\nparallel = \"two\"\n").unwrap_err();
        let wanted =
            "hob.toml:3: `work.parallel` is a string, but must be an integer; for example `parallel = 2`";
        assert_eq!(error, wanted);
        let error = parse("[agent]\ntimeout = \"soon\"\n").unwrap_err();
        assert!(error.starts_with("hob.toml:2: `agent.timeout`: "), "{error}");
        let error = parse("[github]\nbranch = \"hob\"\n").unwrap_err();
        assert!(error.contains("hob.toml:2: `github.branch`: `hob` does not contain `{issue}`"), "{error}");
        let error = parse("[agent]\nkind = \"clod\"\n").unwrap_err();
        assert_eq!(
            error,
            "hob.toml:2: `agent.kind`: unknown value `clod`; known values: claude, codex, gemini, opencode, command"
        );
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        let error = parse("[github]\nlabel = \n").unwrap_err();
        assert!(error.starts_with("hob.toml:2: "), "{error}");
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
        match config.github.credentials().unwrap() {
            Credentials::App { id, key } => assert_eq!((id, key.expose_secret()), (7, "a\nb")),
            Credentials::Token(_) => panic!("an App was configured"),
        }
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
            let mode = format!(
                "which other users of this machine can read or change (mode {mode:04o}); use mode 0600"
            );
            assert!(error.contains(":5: `git.signing_key_file` names ") && error.contains(&mode), "{error}");
        }
        let error = load(0o600, "rewrite_authors = false\n").unwrap_err();
        assert!(error.contains(":6: `git.rewrite_authors` is false although"), "{error}");
    }

    #[test]
    fn the_ssh_agent_is_looked_for_only_where_it_is_wanted() {
        let vars = [("WEBHOOK_SECRET", "s"), ("HOB_GITHUB_TOKEN", "t"), ("SSH_AUTH_SOCK", "/run/a.sock")];
        assert!(!Config::default().container.ssh_agent);
        let environment = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        assert_eq!(Config::load(None, &environment).unwrap().container.ssh_auth_sock, None);
        let mut wanted = Config::default();
        wanted.container.ssh_agent = true;
        assert_eq!(secret::overlay_environment(&mut wanted, &environment), []);
        assert_eq!(wanted.container.ssh_auth_sock, Some(PathBuf::from("/run/a.sock")));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let config = load(&[("WEBHOOK_SECRET", "sesame"), ("HOB_GITHUB_TOKEN", "ghp_x")]).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("sesame") && !shown.contains("ghp_x"), "{shown}");
    }
}
