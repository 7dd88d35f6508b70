//! `[github]`: the git host, how hob proves there who it is, and how it is found and looked through
//! there.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{BranchTemplate, ConfigError, values};
use crate::ids::Repo;

/// `[github]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitHub {
    /// The base URL of the REST API. For GitHub Enterprise Server: `https://HOST/api/v3`.
    pub api_url: String,
    /// The base URL for git over HTTPS. Repositories are cloned from
    /// `<git_url>/<owner>/<repo>.git`. For GitHub Enterprise Server: `https://HOST`.
    pub git_url: String,
    /// The id of the GitHub App that hob works as.
    pub app_id: Option<u64>,
    /// The App's private key, in PEM format.
    #[schemars(with = "String")]
    pub private_key: Option<SecretString>,
    /// A file that contains the App's private key.
    pub private_key_file: Option<PathBuf>,
    /// A token, for working without an App.
    #[schemars(with = "String")]
    pub token: Option<SecretString>,
    /// A file that contains the token.
    pub token_file: Option<PathBuf>,
    /// The secret that webhooks are signed with. Required unless `github.poll` is set.
    #[schemars(with = "String")]
    pub webhook_secret: Option<SecretString>,
    /// A file that contains the webhook secret.
    pub webhook_secret_file: Option<PathBuf>,
    /// The label that asks for work. `LABEL:codex` also chooses the agent.
    pub label: String,
    /// The name of the story branch. `{issue}` stands for the number.
    #[schemars(with = "String")]
    pub branch: BranchTemplate,
    /// Whether pull requests are opened as drafts.
    pub draft: bool,
    /// How often hob searches GitHub for labels, comments and reviews that no webhook reported. Set
    /// it where GitHub cannot reach hob; no webhook is needed then. If it is not set, hob catches
    /// up every five minutes: an App asks GitHub for failed deliveries, and with a token hob
    /// searches its repositories.
    #[serde(deserialize_with = "values::some_duration")]
    #[schemars(with = "String")]
    pub poll: Option<Duration>,
    /// With a token: repositories (`owner/name`) to search, in addition to those that hob has
    /// received webhooks from. An App knows its repositories.
    pub repositories: Vec<String>,
    /// Owners (`"acme"`) and repositories (`"acme/tool"`) that hob works for. Events from others
    /// are ignored. If it is empty, hob works for every repository that reaches it.
    pub allow: Vec<String>,
    /// How long after a request without a response hob checks whether GitHub created a comment
    /// twice.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub recheck: Duration,
    /// The shortest time between two changes of the status comment while an agent works. In long
    /// runs it changes less often.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub status_every: Duration,
    /// The most write requests that hob sends to GitHub in an hour; at most a sixth of them in one
    /// minute. GitHub.com accepts about 500 from an installation or account. A GitHub Enterprise
    /// Server without rate limits accepts more.
    pub writes_per_hour: u32,
    /// Whether issues get the labels `hob: working`, `hob: waiting`, `hob: review` and `hob:
    /// failed`.
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
            branch: BranchTemplate::default(),
            draft: false,
            poll: None,
            repositories: Vec::new(),
            allow: Vec::new(),
            recheck: Duration::from_secs(60),
            status_every: Duration::from_secs(5),
            writes_per_hour: 480,
            state_labels: true,
        }
    }
}

impl GitHub {
    /// Whether hob works for a repository.
    pub fn allows(&self, repo: &Repo) -> bool {
        let is_it = |name: &String| match name.parse::<Repo>() {
            Ok(allowed) => allowed == *repo,
            Err(_) => name.eq_ignore_ascii_case(repo.owner()),
        };
        self.allow.is_empty() || self.allow.iter().any(is_it)
    }

    /// The way in to the git host that is configured: exactly one.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        match (self.app_id, &self.private_key, &self.token) {
            (Some(id), Some(key), None) => Ok(Credentials::App { id, key: key.clone() }),
            (None, None, Some(token)) => Ok(Credentials::Token(token.clone())),
            (Some(_), None, _) => Err(ConfigError::missing(
                "github.private_key_file",
                "the private key of the GitHub App that github.app_id names",
            )),
            (None, Some(_), _) => Err(ConfigError::missing(
                "github.app_id",
                "the id of the GitHub App that the private key belongs to",
            )),
            (Some(_), Some(_), Some(_)) => Err(ConfigError::invalid(
                "github.token",
                "is set together with a GitHub App",
                "either github.app_id with its key, or github.token",
            )),
            (None, None, None) => Err(ConfigError::missing(
                "github.app_id",
                "the credentials for GitHub: github.app_id with github.private_key_file, or github.token_file",
            )),
        }
    }
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
