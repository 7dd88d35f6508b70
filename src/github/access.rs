//! What GitHub lets hob do: whether it accepts hob's credentials at all, and what an App was
//! granted and where. For `hob check`, and for a hob that runs and must say so when it is shut out.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::client::Client;
use super::error::clip;
use super::looks::pages;
use super::{GitHub, GitHubError, Identity};
use crate::ids::{Repo, RepositoryRef};

/// What an App must be granted, with the level.
const PERMISSIONS: [(&str, &str); 7] = [
    ("issues", "write"),
    ("pull_requests", "write"),
    ("contents", "write"),
    ("checks", "write"),
    ("statuses", "read"),
    ("actions", "read"),
    ("metadata", "read"),
];
/// What an App must be told of, where hob does not look by itself.
const EVENTS: [&str; 8] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "check_run",
    "status",
    "push",
    "workflow_run",
];

/// The longest wait for any answer of a server.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Who hob is to GitHub, and what it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A GitHub App.
    App(AppAccess),
    /// An account.
    User {
        /// Its login.
        login: String,
        /// The scopes of its token, where it is of the kind that has scopes.
        scopes: Option<Vec<String>>,
    },
}

/// What an App was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppAccess {
    /// Its name in addresses.
    pub slug: String,
    /// What it asks for.
    pub granted: Granted,
    /// Where it is installed.
    pub installations: Vec<Installation>,
    /// Whether every account can install it. Nothing where that cannot be seen.
    pub is_public: Option<bool>,
}

/// Where an App is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The account.
    pub account: String,
    /// Whether somebody has suspended it.
    pub is_suspended: bool,
    /// What that account has agreed to, which may be less than what the App asks for now.
    pub granted: Granted,
}

/// Permissions and events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Granted {
    permissions: BTreeMap<String, String>,
    events: Vec<String>,
}

impl Granted {
    /// What hob needs and has not, as GitHub's settings name it.
    pub fn missing_permissions(&self) -> Vec<String> {
        let is_missing = |(name, level): &&(&str, &str)| {
            let granted = self.permissions.get(*name).map(String::as_str);
            !(granted == Some("write") || granted == Some("admin") || granted == Some(*level))
        };
        let words = |(name, level): &(&str, &str)| {
            let level = if *level == "write" { "read and write" } else { "read" };
            format!("{} ({level})", title(name))
        };
        PERMISSIONS.iter().filter(is_missing).map(words).collect()
    }

    /// The events that hob needs and is not told of, as GitHub's settings name them.
    pub fn missing_events(&self) -> Vec<String> {
        let is_missing = |name: &&&str| !self.events.iter().any(|event| event == **name);
        EVENTS.iter().filter(is_missing).map(|name| title(name)).collect()
    }
}

/// `pull_requests` as GitHub's settings have it.
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let (first, rest) = words.split_at(words.len().min(1));
    let words = format!("{}{rest}", first.to_uppercase());
    if name == "statuses" { "Commit statuses".to_owned() } else { words }
}

#[derive(Deserialize)]
struct WireApp {
    slug: String,
    #[serde(flatten)]
    granted: Granted,
}

#[derive(Deserialize)]
struct WireInstallation {
    account: Option<WireAccount>,
    suspended_at: Option<Timestamp>,
    #[serde(flatten)]
    granted: Granted,
}

/// A user or organisation has a login, an enterprise a slug.
#[derive(Deserialize)]
struct WireAccount {
    login: Option<String>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct WireUser {
    login: String,
}

impl GitHub {
    /// Asks whether GitHub accepts hob's credentials. The cheapest question that there is.
    pub async fn is_let_in(&self) -> Result<(), GitHubError> {
        let asked = match &self.shared.identity {
            Identity::App(tokens) => tokens.app().get("/app").await,
            Identity::User { client, .. } => client.get("/user").await,
        };
        asked.map(drop)
    }

    /// Returns when GitHub has not accepted the credentials of some request.
    pub async fn was_refused(&self) {
        match &self.shared.identity {
            Identity::App(tokens) => tokens.app().was_refused().await,
            Identity::User { client, .. } => client.was_refused().await,
        }
    }

    /// Asks what hob was granted.
    pub async fn access(&self) -> Result<Access, GitHubError> {
        match &self.shared.identity {
            Identity::App(tokens) => Ok(Access::App(app_access(tokens.app()).await?)),
            Identity::User { client, .. } => {
                let answer = client.get("/user").await?;
                let scopes = answer.header("x-oauth-scopes").map(|scopes| {
                    scopes.split(',').map(|scope| scope.trim().to_owned()).filter(|s| !s.is_empty()).collect()
                });
                Ok(Access::User { login: answer.json::<WireUser>()?.login, scopes })
            }
        }
    }

    /// Whether hob can see a repository and may push to it.
    pub async fn may_push_to(&self, repo: &Repo) -> Result<bool, GitHubError> {
        #[derive(Deserialize)]
        struct Answer {
            permissions: Option<Permissions>,
        }
        #[derive(Deserialize)]
        struct Permissions {
            push: bool,
        }
        let at = RepositoryRef { id: None, repo: repo.clone(), installation: None };
        let answer = self.repository(&at).await?.get("").await?.json::<Answer>()?;
        // An App has permissions of its own, which were looked at already.
        Ok(self.is_app() || answer.permissions.is_none_or(|permissions| permissions.push))
    }
}

/// Whether a server answers at an address, whatever it says; else why not.
pub async fn answers(url: &str) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWERS_WITHIN)
        .build();
    let asked = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(_) => Ok(()),
        Err(error) if error.is_timeout() => Err(format!("no response within {} s", ANSWERS_WITHIN.as_secs())),
        Err(error) => Err(no_connection(&error)),
    }
}

/// Why there is no connection, without the names of those who noticed.
fn no_connection(error: &(dyn Error + 'static)) -> String {
    let io = error.downcast_ref::<std::io::Error>();
    match (io.map(std::io::Error::kind), error.source()) {
        (Some(std::io::ErrorKind::ConnectionRefused), _) => "nothing listens there".to_owned(),
        (_, Some(cause)) => no_connection(cause),
        (_, None) => clip(&error.to_string()),
    }
}

async fn app_access(app: &Client) -> Result<AppAccess, GitHubError> {
    let own: WireApp = app.get("/app").await?.json()?;
    let installations: Vec<WireInstallation> =
        pages(app, "/app/installations?", |answer| answer.json()).await?;
    let installation = |wire: WireInstallation| Installation {
        account: wire.account.and_then(|account| account.login.or(account.slug)).unwrap_or_default(),
        is_suspended: wire.suspended_at.is_some(),
        granted: wire.granted,
    };
    // An App that only its own account can install is shown to nobody who does not say who they
    // are.
    let is_public = match app.without_credentials()?.get(&format!("/apps/{}", own.slug)).await {
        Ok(_) => Some(true),
        Err(GitHubError::NotFound) => Some(false),
        Err(_) => None,
    };
    Ok(AppAccess {
        slug: own.slug,
        granted: own.granted,
        installations: installations.into_iter().map(installation).collect(),
        is_public,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_as_githubs_settings_name_it() {
        let granted: Granted = serde_json::from_value(serde_json::json!({
            "permissions": {"issues": "read", "contents": "write", "statuses": "write", "metadata": "read"},
            "events": ["issues", "push", "issue_comment", "check_run", "status", "workflow_run"],
        }))
        .unwrap();
        let permissions = [
            "Issues (read and write)",
            "Pull requests (read and write)",
            "Checks (read and write)",
            "Actions (read)",
        ];
        assert_eq!(granted.missing_permissions(), permissions);
        assert_eq!(granted.missing_events(), ["Pull request", "Pull request review"]);
        assert_eq!(Granted::default().missing_permissions().len(), PERMISSIONS.len());
        assert_eq!(Granted::default().missing_permissions()[4], "Commit statuses (read)");
    }
}
