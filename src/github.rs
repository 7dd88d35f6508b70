//! GitHub, as far as hob needs it: who hob is, and one [`Repository`] at a time to read and write.
//! Also the front door's half, [`webhook`], which checks and decodes deliveries and speaks to
//! nobody.
//!
//! octocrab signs the App's requests and carries all of them; its types never leave this module,
//! and neither do GitHub's own: what comes out are hob's types and [`GitHubError`]. What to write,
//! and whether an effect that may have happened is there already, is decided above: no write is
//! ever repeated here.

mod access;
mod assets;
mod branches;
mod checks;
mod client;
mod comments;
mod conversation;
mod dependencies;
mod edits;
mod error;
mod events;
mod failed_checks;
pub mod found;
mod history;
mod issues;
mod labels;
mod located;
mod looks;
mod people;
mod pull_facts;
mod pulls;
mod reviews;
mod settings;
mod sub_issues;
mod tokens;
pub mod webhook;

use crate::event::Person;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::ids::{InstallationId, Repo, RepositoryId};
use client::{Answer, Client, Verb};
use located::KnownLocations;
use tokens::InstallationTokens;

pub use access::{Access, AppAccess, Granted, Installation, answers};
pub use assets::{AssetHosts, ImageFile, NoImage};
pub use checks::{
    Button, CheckRun, CheckRunText, CheckState, CommitStatus, Conclusion, FoundCheckRun, MAX_DESCRIPTION,
};
pub use comments::{FoundComment, IssueComment};
pub use conversation::{Conversation, OtherIssue};
pub use dependencies::Blocker;
pub use edits::CommentEdit;
pub use error::GitHubError;
pub use events::{Done, IssueEvent};
pub use failed_checks::{CheckOutput, JobLog};
pub use history::{Change, IssueHistory, Labeling};
pub use issues::ReactTo;
pub use located::{RepositoryLocation, RepositoryUpdate};
pub use looks::{HookDelivery, Listed, ListedComment, ListedIssue, RepositoryFacts};
pub use people::Permission;
pub use pull_facts::PullFacts;
pub use pulls::{NewPull, Pull};
pub use reviews::ReviewComment;
pub use settings::SettingsText;
pub use sub_issues::ListedSubIssue;

/// With what hob shows GitHub who it is.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A GitHub App: each repository is reached through the App's installation on it.
    App {
        /// The number GitHub gave the App.
        app_id: u64,
        /// The App's RSA key as GitHub's download has it.
        private_key_pem: SecretString,
    },
    /// The personal access token of a user made for hob.
    Token(SecretString),
}

/// One GitHub host, seen as one App or one user. Cheap to clone: clones share connections, tokens
/// and what was learned.
#[derive(Clone)]
pub struct GitHub {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    /// The account that hob acts as, once GitHub has said.
    own: Mutex<Option<Person>>,
    /// Where repositories are, as far as GitHub has said.
    located: KnownLocations,
    /// How many requests that make or change something were sent for each installation.
    writes: Mutex<HashMap<Option<InstallationId>, u64>>,
    /// What was read of repositories' settings, by id, or by `Repo::key` where there is none.
    known_settings: Mutex<HashMap<String, SettingsText>>,
}

enum Identity {
    App(InstallationTokens),
    User { client: Client, token: SecretString },
}

impl GitHub {
    /// A client for the API at `api_url`: `https://api.github.com`, or with a path as in
    /// `https://ghe.example/api/v3`. Sends nothing yet.
    ///
    /// # Errors
    /// `Unexpected` if the address or the key is none, if the system has no root certificates, or
    /// outside a tokio runtime, in which the connections live.
    pub fn new(api_url: &str, credentials: Credentials) -> Result<GitHub, GitHubError> {
        let identity = match credentials {
            Credentials::App { app_id, private_key_pem } => {
                Identity::App(InstallationTokens::new(Client::for_app(api_url, app_id, &private_key_pem)?))
            }
            Credentials::Token(token) => {
                let client = Client::anonymous(api_url)?.with_token(&token)?;
                Identity::User { client, token }
            }
        };
        let shared = Shared {
            identity,
            own: Mutex::default(),
            located: KnownLocations::default(),
            writes: Mutex::default(),
            known_settings: Mutex::default(),
        };
        Ok(GitHub { shared: Arc::new(shared) })
    }

    /// How many requests that make or change something were sent so far for an installation;
    /// without one, for all.
    pub fn writes(&self, installation: Option<InstallationId>) -> u64 {
        let writes = self.shared.writes.lock().unwrap_or_else(PoisonError::into_inner);
        match installation {
            Some(_) => writes.get(&installation).copied().unwrap_or(0),
            None => writes.values().sum(),
        }
    }

    /// The account that hob acts as: the token's user, or `<slug>[bot]` for an App, whose id is
    /// known once hob has written a comment. Asked once and kept.
    ///
    /// # Errors
    /// Whatever kept GitHub from answering; the next call asks again.
    pub async fn own_account(&self) -> Result<Person, GitHubError> {
        #[derive(Deserialize)]
        struct App {
            slug: String,
        }
        #[derive(Deserialize)]
        struct Account {
            login: String,
            id: Option<u64>,
        }
        if let Some(own) = self.own().clone() {
            return Ok(own);
        }
        let own = match &self.shared.identity {
            Identity::App(tokens) => {
                let login = format!("{}[bot]", tokens.app().get("/app").await?.json::<App>()?.slug);
                Person { login, id: None, is_bot: true }
            }
            Identity::User { client, .. } => {
                let Account { login, id } = client.get("/user").await?.json()?;
                Person { login, id, is_bot: false }
            }
        };
        Ok(self.own().get_or_insert(own).clone())
    }

    /// The login of that account, which people mention.
    ///
    /// # Errors
    /// As [`own_account`](Self::own_account).
    pub async fn own_login(&self) -> Result<String, GitHubError> {
        Ok(self.own_account().await?.login)
    }

    /// Whether somebody is that account. Where its id says so and it has another login now, hob
    /// goes by that from then on.
    ///
    /// # Errors
    /// As [`own_account`](Self::own_account).
    pub async fn is_own(&self, person: &Person) -> Result<bool, GitHubError> {
        let own = self.own_account().await?;
        let is_own = own.is_same_as(person);
        if is_own && own.id.is_some() && own.login != person.login {
            tracing::info!(old_login = own.login, login = person.login, "hob's own account was renamed");
            *self.own() = Some(Person { login: person.login.clone(), ..own });
        }
        Ok(is_own)
    }

    /// Learns the id of hob's own account from something that it has written.
    fn learn_own_id(&self, author: &Person) {
        if let Some(own) = self.own().as_mut().filter(|own| own.id.is_none() && own.is_same_as(author)) {
            own.id = author.id;
        }
    }

    fn own(&self) -> MutexGuard<'_, Option<Person>> {
        self.shared.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A 404 about the installation must not reach a caller that takes 404 for "no such comment" or "no
/// rights here".
fn not_installed(error: GitHubError, repo: &Repo) -> GitHubError {
    match error {
        GitHubError::NotFound => GitHubError::Forbidden(format!("the GitHub App is not installed on {repo}")),
        other => other,
    }
}

/// One repository and the right to use it. Cheap to clone; renews its token by itself, so it may be
/// kept.
///
/// All methods fail with [`GitHubError`]; a method's own docs name only what is particular to it.
#[derive(Clone)]
pub struct Repository {
    github: GitHub,
    repo: Repo,
    /// GitHub's id of it, where that is known.
    id: Option<RepositoryId>,
    /// The repository whose installation lets hob in: this one, or the one that it is looked at
    /// from.
    covered: Repo,
    /// The installation that was known for that, where none has been looked up.
    hint: Option<InstallationId>,
}

impl Repository {
    /// Which repository this is, by its name.
    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// The token that lets hob in.
    pub async fn token(&self) -> Result<SecretString, GitHubError> {
        match &self.github.shared.identity {
            Identity::App(_) => Ok(self.github.installation_token(&self.covered, self.hint).await?.1),
            Identity::User { token, .. } => Ok(token.clone()),
        }
    }

    /// The App's installation that lets hob in.
    async fn installation(&self) -> Result<Option<InstallationId>, GitHubError> {
        match &self.github.shared.identity {
            Identity::App(_) => Ok(Some(self.github.installation_token(&self.covered, self.hint).await?.0)),
            Identity::User { .. } => Ok(None),
        }
    }

    /// Reads `/repos/{owner}/{name}{path}`, again after a passing failure.
    async fn get(&self, path: &str) -> Result<Answer, GitHubError> {
        self.get_as(path, None).await
    }

    /// The same, in a form of GitHub's.
    async fn get_as(&self, path: &str, form: Option<&'static str>) -> Result<Answer, GitHubError> {
        let path = format!("/repos/{}{path}", self.repo);
        let (client, token) = self.client().await?;
        match client.get_as(&path, form).await {
            // The token was revoked before its time: a fresh one tells whether hob as a whole was
            // shut out.
            Err(GitHubError::Unauthorized(_)) if self.forget(&token).await => {
                self.client().await?.0.get_as(&path, form).await
            }
            result => result,
        }
    }

    /// Where GitHub sends anyone who asks for `/repos/{owner}/{name}{path}`.
    async fn redirect_of(&self, path: &str) -> Result<String, GitHubError> {
        let path = format!("/repos/{}{path}", self.repo);
        let (client, token) = self.client().await?;
        match client.redirect_of(&path, &token).await {
            Err(GitHubError::Unauthorized(_)) if self.forget(&token).await => {
                let (client, token) = self.client().await?;
                client.redirect_of(&path, &token).await
            }
            result => result,
        }
    }

    /// Counts a write that is about to be sent.
    fn count_write(&self) {
        let mut writes = self.github.shared.writes.lock().unwrap_or_else(PoisonError::into_inner);
        *writes.entry(self.hint).or_default() += 1;
    }

    /// Writes to `/repos/{owner}/{name}{path}`, once, whatever happens.
    async fn send(&self, verb: Verb, path: &str, body: &impl Serialize) -> Result<Answer, GitHubError> {
        let (client, token) = self.client().await?;
        self.count_write();
        let result = client.send(verb, &format!("/repos/{}{path}", self.repo), body).await;
        if let Err(GitHubError::Unauthorized(_)) = result {
            self.forget(&token).await;
        }
        result
    }

    /// Asks GitHub's GraphQL API, again where the token was revoked before its time.
    async fn graphql(&self, question: &impl Serialize) -> Result<Answer, GitHubError> {
        let (client, token) = self.client().await?;
        match client.graphql(question).await {
            Err(GitHubError::Unauthorized(_)) if self.forget(&token).await => {
                self.client().await?.0.graphql(question).await
            }
            result => result,
        }
    }

    async fn client(&self) -> Result<(Client, SecretString), GitHubError> {
        let token = self.token().await?;
        let client = match &self.github.shared.identity {
            Identity::App(tokens) => tokens.app().with_token(&token)?,
            Identity::User { client, .. } => client.clone(),
        };
        Ok((client, token))
    }

    /// Whether there was a token to forget, so that another try makes sense.
    async fn forget(&self, token: &SecretString) -> bool {
        match &self.github.shared.identity {
            Identity::App(tokens) => {
                tokens.forget(token).await;
                true
            }
            Identity::User { .. } => false,
        }
    }
}
