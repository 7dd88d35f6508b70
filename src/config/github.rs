//! `[github]`: the git host, how hob proves there who it is, and how it is found and looked through there.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::{BranchTemplate, ConfigError, values};
use crate::ids::Repo;

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
    /// The story branch; `{issue}` stands for the number.
    pub branch: BranchTemplate,
    /// Whether pull requests are opened as drafts.
    pub draft: bool,
    /// How often GitHub is looked through for labels and comments that no webhook told of. Set it where GitHub cannot reach
    /// hob; then hob needs no webhook. Not set: an App asks GitHub every five minutes for deliveries that failed, and with a
    /// token hob looks through as often.
    #[serde(deserialize_with = "values::some_duration")]
    pub poll: Option<Duration>,
    /// Repositories to look through beside those that hob has heard from, `owner/name`. An App knows them by itself.
    pub repositories: Vec<String>,
    /// Owners (`acme`) and repositories (`acme/tool`) that hob works for; nothing else is heard. Empty: all that reach hob.
    pub allow: Vec<String>,
    /// How long after an answer that did not come hob looks whether GitHub has made a comment twice.
    #[serde(deserialize_with = "values::duration")]
    pub recheck: Duration,
    /// How often the status comment is changed at most while an agent works.
    #[serde(deserialize_with = "values::duration")]
    pub status_every: Duration,
    /// How many writes hob sends in an hour at most, and a sixth of them in a minute. GitHub.com takes about 500 from an
    /// installation or a token's account; an Enterprise Server without rate limits takes more.
    pub writes_per_hour: u32,
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
