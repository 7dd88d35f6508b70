//! Where a repository is now. GitHub's id says which repository it is; its name, its owner and the
//! App's installation on it change, and a name that was given up can belong to another repository
//! the next moment. So before a repository is used, GitHub is asked whether it still has its name:
//! at most once a minute, and each time right before git gets a token. What is learned that way is
//! kept for the caller that writes it into the store ([`GitHub::take_learned`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::looks::{RepositoryFacts, facts_from};
use super::{GitHub, GitHubError, Identity, Repository, not_installed};
use crate::ids::{InstallationId, Repo, RepositoryId, RepositoryRef};

/// How long an answer of GitHub's about where a repository is counts.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// What was learned about a repository, and what was known of it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryUpdate {
    /// What was known.
    pub before: RepositoryRef,
    /// What is so now.
    pub now: RepositoryFacts,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryLocation {
    /// It has this name and these facts now.
    Here(RepositoryFacts),
    /// GitHub shows hob no such repository, and none under its name.
    Nowhere,
    /// GitHub shows hob no such repository, and its name belongs to another one.
    Replaced,
}

/// The last answer about one repository. Who comes while GitHub is asked waits for that answer.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, RepositoryFacts)>>>;

/// What GitHub has said about where repositories are.
#[derive(Default)]
pub(super) struct KnownLocations {
    slots: Mutex<HashMap<String, Slot>>,
    /// Which installation covers a repository, by `Repo::key`.
    installations: Mutex<HashMap<String, InstallationId>>,
    learned: Mutex<Vec<RepositoryUpdate>>,
    /// The newest answer about each repository, whatever it was asked for by.
    newest: Mutex<HashMap<RepositoryId, (Instant, RepositoryFacts)>>,
}

impl KnownLocations {
    /// Keeps an answer, unless one that was asked for later is known; tells the newest.
    fn newest(&self, asked: Instant, facts: RepositoryFacts) -> (Instant, RepositoryFacts) {
        let mut newest = lock(&self.newest);
        let known = newest.entry(facts.id).or_insert_with(|| (asked, facts.clone()));
        if known.0 < asked {
            *known = (asked, facts);
        }
        known.clone()
    }

    fn slot(&self, at: &RepositoryRef) -> Slot {
        let key = at.id.map_or_else(|| at.repo.key(), |id| id.to_string());
        lock(&self.slots).entry(key).or_default().clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GitHub {
    /// The way to one repository, under the name that it has now. For an App the token of its
    /// installation is fetched, if none is held, so that a missing installation shows here; the
    /// installation that is named is where it is looked for first.
    ///
    /// # Errors
    /// `Forbidden` if the App is not installed there, or if the name belongs to another repository
    /// by now and hob does not see the one that is meant; else what kept GitHub from answering.
    pub async fn repository(&self, at: &RepositoryRef) -> Result<Repository, GitHubError> {
        match self.locate(at, COUNTS_FOR).await? {
            RepositoryLocation::Here(facts) => Ok(self.found(facts)),
            // Whatever is asked for there is not found.
            RepositoryLocation::Nowhere => Ok(self.named(at)),
            RepositoryLocation::Replaced => Err(replaced(&at.repo)),
        }
    }

    /// Where a repository is, asked of GitHub at this moment.
    pub async fn whereabouts(&self, at: &RepositoryRef) -> Result<RepositoryLocation, GitHubError> {
        self.locate(at, Duration::ZERO).await
    }

    /// What was learned about repositories since the last call, oldest first, as it is known now.
    pub fn take_learned(&self) -> Vec<RepositoryUpdate> {
        let learned = std::mem::take(&mut *lock(&self.shared.located.learned));
        let newest = lock(&self.shared.located.newest);
        let as_known_now = |RepositoryUpdate { before, now }| {
            let now = newest.get(&now.id).map_or(now, |(_, facts)| facts.clone());
            RepositoryUpdate { before, now }
        };
        learned.into_iter().map(as_known_now).collect()
    }

    /// Notes the installation that a delivery named. A late delivery may name one that is gone,
    /// which shows when it is used.
    pub fn heard_installation(&self, repo: &Repo, installation: InstallationId) {
        lock(&self.shared.located.installations).insert(repo.key(), installation);
    }

    async fn locate(
        &self,
        at: &RepositoryRef,
        counts_for: Duration,
    ) -> Result<RepositoryLocation, GitHubError> {
        let slot = self.shared.located.slot(at);
        let mut slot = slot.lock().await;
        let located = &self.shared.located;
        let known = slot.take().map(|(asked, facts)| located.newest(asked, facts));
        if let Some((asked, facts)) = &known
            && asked.elapsed() < counts_for
        {
            let facts = facts.clone();
            *slot = known;
            return Ok(RepositoryLocation::Here(facts));
        }
        let asked = Instant::now();
        let found = self.look_for(at, known.map(|(_, facts)| facts.repo)).await?;
        if let RepositoryLocation::Here(facts) = &found {
            located.newest(asked, facts.clone());
            let known = (at.id, at.repo.to_string(), at.installation);
            if known != (Some(facts.id), facts.repo.to_string(), facts.installation) {
                lock(&self.shared.located.learned)
                    .push(RepositoryUpdate { before: at.clone(), now: facts.clone() });
            }
            *slot = Some((asked, facts.clone()));
        }
        Ok(found)
    }

    /// Asks for the repository by its names, newest first, and then by its id.
    async fn look_for(
        &self,
        at: &RepositoryRef,
        newer: Option<Repo>,
    ) -> Result<RepositoryLocation, GitHubError> {
        let (mut is_taken, mut shut_out) = (false, None);
        let names = newer.into_iter().filter(|newer| *newer != at.repo).chain([at.repo.clone()]);
        for name in names {
            // GitHub answers for an old name with the repository that had it, as long as nobody
            // else has taken it.
            let named = RepositoryRef { id: None, repo: name, installation: at.installation };
            match self.named(&named).facts().await {
                Ok(facts) if at.id.is_none_or(|id| id == facts.id) => {
                    return Ok(RepositoryLocation::Here(facts));
                }
                Ok(_) => is_taken = true,
                Err(GitHubError::NotFound) => {}
                Err(error @ GitHubError::Forbidden(_)) => shut_out = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(id) = at.id
            && let Some(facts) = self.by_id(id, at.installation).await?
        {
            return Ok(RepositoryLocation::Here(facts));
        }
        match shut_out {
            _ if is_taken => Ok(RepositoryLocation::Replaced),
            Some(error) => Err(error),
            None => Ok(RepositoryLocation::Nowhere),
        }
    }

    /// A repository by its id, if hob may see it. An App that does not see it through the
    /// installation it knows looks through all.
    async fn by_id(
        &self,
        id: RepositoryId,
        installation: Option<InstallationId>,
    ) -> Result<Option<RepositoryFacts>, GitHubError> {
        let (client, installation) = match &self.shared.identity {
            Identity::User { client, .. } => (Some(client.clone()), None),
            Identity::App(tokens) => {
                let token = match installation {
                    Some(installation) => tokens.token(installation).await.map(Some),
                    None => Ok(None),
                };
                match token {
                    Ok(Some(token)) => (Some(tokens.app().with_token(&token)?), installation),
                    Ok(None) | Err(GitHubError::NotFound | GitHubError::Forbidden(_)) => (None, None),
                    Err(error) => return Err(error),
                }
            }
        };
        if let Some(client) = client {
            match client.get(&format!("/repositories/{id}")).await {
                Ok(answer) => {
                    return Ok(Some(facts_from(&answer, installation)?).filter(|facts| facts.id == id));
                }
                Err(GitHubError::NotFound | GitHubError::Forbidden(_) | GitHubError::Unauthorized(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.is_app() {
            return Ok(None);
        }
        Ok(self.installed_repositories().await?.into_iter().find(|facts| facts.id == id))
    }

    fn found(&self, facts: RepositoryFacts) -> Repository {
        self.named(&facts.at())
    }

    /// The way to a repository by its name, whichever repository has that name now.
    pub fn named(&self, at: &RepositoryRef) -> Repository {
        let RepositoryRef { id, repo, installation } = at.clone();
        Repository { github: self.clone(), covered: repo.clone(), repo, id, hint: installation }
    }

    /// The App's installation on a repository with a token of it: the one that GitHub or a delivery
    /// named last, or if that no longer exists, the one that GitHub names now.
    pub(super) async fn installation_token(
        &self,
        repo: &Repo,
        hint: Option<InstallationId>,
    ) -> Result<(InstallationId, SecretString), GitHubError> {
        #[derive(serde::Deserialize)]
        struct Installation {
            id: InstallationId,
        }
        let Identity::App(tokens) = &self.shared.identity else {
            return Err(GitHubError::Unexpected("hob does not work as a GitHub App".to_owned()));
        };
        let remembered = lock(&self.shared.located.installations).get(&repo.key()).copied();
        if let Some(id) = remembered.or(hint) {
            match tokens.token(id).await {
                Ok(token) => return Ok((id, token)),
                // The App was removed since, and perhaps installed again under another number.
                Err(GitHubError::NotFound) => {
                    lock(&self.shared.located.installations).remove(&repo.key());
                }
                Err(error) => return Err(error),
            }
        }
        let path = format!("/repos/{repo}/installation");
        let answer = tokens.app().get(&path).await.map_err(|error| not_installed(error, repo))?;
        let id = answer.json::<Installation>()?.id;
        let token = tokens.token(id).await.map_err(|error| not_installed(error, repo))?;
        lock(&self.shared.located.installations).insert(repo.key(), id);
        Ok((id, token))
    }
}

impl Repository {
    /// What git needs to fetch and push: the name that the repository has now, and the token, as
    /// the password of `x-access-token`. An App's is good for ten minutes at least. GitHub is asked
    /// first, so that nothing is pushed to a repository that has taken the name of another, and no
    /// token is used that was revoked.
    pub async fn git_access(&self) -> Result<(Repo, SecretString), GitHubError> {
        let at = RepositoryRef { id: self.id, repo: self.repo.clone(), installation: self.hint };
        let repository = match self.github.locate(&at, Duration::ZERO).await? {
            RepositoryLocation::Here(facts) => self.github.found(facts),
            RepositoryLocation::Nowhere => self.clone(),
            RepositoryLocation::Replaced => return Err(replaced(&self.repo)),
        };
        let token = repository.token().await?;
        Ok((repository.repo, token))
    }
}

fn replaced(repo: &Repo) -> GitHubError {
    GitHubError::Forbidden(format!(
        "{repo} is a different repository now, and GitHub does not show hob the one that had this name"
    ))
}
