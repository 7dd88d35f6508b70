//! Which repository a delivery is about. Its id says so; the name that stands in it may be an old
//! one, since deliveries come late, or may have become another repository's meanwhile. Where id and
//! name do not fit what is known, GitHub is asked, so that neither the order of deliveries nor a
//! name that was given up and taken again decides anything.

use std::time::Duration;

use tokio::time::Instant;

use super::{Intake, is_believed};
use crate::event::EventRepository;
use crate::github::{GitHubError, RepositoryLocation, RepositoryUpdate};
use crate::ids::RepositoryRef;
use crate::store::{Delivery, KnownRepository};

/// How often the ids are asked for that are not known yet.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);
/// How soon it is looked again for a repository that lost its name, where GitHub did not answer.
const LOOK_SOON: Duration = Duration::from_secs(30);

/// When it is looked for what is not known of repositories.
#[derive(Debug, Default)]
pub(super) struct NextLookup {
    ids: Option<Instant>,
    displaced: Option<Instant>,
}

impl Intake {
    /// Why a delivery of a repository that hob has never heard of leads to nothing, if the operator
    /// leaves such ones out.
    pub(super) async fn is_left_out(&self, place: &EventRepository) -> anyhow::Result<Option<String>> {
        if self.config.github.allows(&place.repo) {
            return Ok(None);
        }
        let known = match place.id {
            Some(id) => self.store.repository_of_id(id).await?,
            None => None,
        };
        Ok(known.is_none().then(|| format!("github.allow does not include {}", place.repo)))
    }

    /// Puts the name that the repository of a delivery has now in place of the one in it. Tells why
    /// it leads to nothing, if so.
    pub(super) async fn find_place(
        &self,
        delivery: &Delivery,
        place: &mut EventRepository,
        has_changed: bool,
    ) -> anyhow::Result<Option<String>> {
        if let Some(installation) = place.installation {
            self.github.heard_installation(&place.repo, installation);
        }
        let Some(id) = place.id else {
            self.know(&place.at(), &place.default_branch).await?;
            return Ok(None);
        };
        let mut of_id = self.store.repository_of_id(id).await?;
        let mut of_name = self.store.repository(&place.repo).await?;
        if of_id.is_none() && of_name.is_none() && self.learn_ids().await? {
            of_id = self.store.repository_of_id(id).await?;
            of_name = self.store.repository(&place.repo).await?;
        }
        let is_as_known = match (&of_id, &of_name) {
            (Some(known), _) => known.repo == place.repo && !known.is_aside,
            (None, Some(known)) => known.id.is_none(),
            (None, None) => true,
        };
        if is_as_known && !has_changed {
            self.know(&place.at(), &place.default_branch).await?;
            return Ok(None);
        }
        let found = match self.github.whereabouts(&place.at()).await {
            // It is somewhere where hob is let in no longer.
            Err(GitHubError::Forbidden(_)) if is_believed(delivery) => RepositoryLocation::Nowhere,
            found => found?,
        };
        match found {
            RepositoryLocation::Here(facts) => {
                self.know(&facts.at(), &facts.default_branch).await?;
                place.repo = facts.repo;
                place.default_branch = facts.default_branch;
                place.installation = facts.installation.or(place.installation);
                Ok(None)
            }
            RepositoryLocation::Nowhere | RepositoryLocation::Replaced if !is_believed(delivery) => {
                anyhow::bail!("GitHub does not show the repository {}", place.repo)
            }
            RepositoryLocation::Nowhere | RepositoryLocation::Replaced => {
                if let Some(known) = of_id {
                    self.store.put_repository_away(&known).await?;
                }
                Ok(Some(format!("GitHub no longer shows the repository {}", place.repo)))
            }
        }
    }

    /// Writes down what the way to GitHub has shown of repositories meanwhile. Tells whether there
    /// was anything.
    pub(super) async fn learn(&self) -> anyhow::Result<bool> {
        let learned = self.github.take_learned();
        for RepositoryUpdate { before, now } in &learned {
            let displaced = self.store.learn_repository(before, &now.at(), &now.default_branch).await?;
            if let Some(displaced) = displaced {
                self.find(&displaced).await?;
            }
        }
        Ok(!learned.is_empty())
    }

    /// Whether it is time to look for what is not known of repositories.
    pub(super) async fn is_repository_sought(&self, next: &NextLookup) -> anyhow::Result<bool> {
        Ok(is_due(next.ids)
            || (is_due(next.displaced) && !self.store.displaced_repositories().await?.is_empty()))
    }

    /// Looks for what is not known of repositories: where those are that lost their name, and from
    /// time to time which ids others have.
    pub(super) async fn look_for_repositories(&self, next: &mut NextLookup) -> anyhow::Result<()> {
        if is_due(next.ids) {
            self.learn_ids().await?;
            next.ids = Some(Instant::now() + LOOK_EVERY);
        }
        if is_due(next.displaced) {
            let mut is_open = false;
            for displaced in self.store.displaced_repositories().await? {
                is_open |= !self.find(&displaced).await?;
            }
            next.displaced = is_open.then(|| Instant::now() + LOOK_SOON);
        }
        Ok(())
    }

    async fn know(&self, at: &RepositoryRef, default_branch: &str) -> anyhow::Result<()> {
        if let Some(displaced) = self.store.know_repository(at, default_branch).await? {
            self.find(&displaced).await?;
        }
        Ok(())
    }

    /// Asks for the ids of repositories that an earlier hob knew by their names only. Tells whether
    /// any was learned.
    async fn learn_ids(&self) -> anyhow::Result<bool> {
        for known in self.store.repositories_without_id().await? {
            if let Err(error) = self.github.whereabouts(&known.at()).await {
                tracing::debug!(repo = %known.repo, %error, "the repository's id is not known yet");
            }
        }
        Box::pin(self.learn()).await
    }

    /// Finds out where a repository is whose name another one has taken: it has another name, or it
    /// is put away. Tells whether that could be found out.
    async fn find(&self, displaced: &KnownRepository) -> anyhow::Result<bool> {
        let found = match displaced.id {
            Some(_) => self.github.whereabouts(&displaced.at()).await,
            None => Ok(RepositoryLocation::Replaced),
        };
        match found {
            Ok(RepositoryLocation::Here(facts)) => {
                // Whatever that displaces is found at the next look.
                self.store.know_repository(&facts.at(), &facts.default_branch).await?;
            }
            Ok(RepositoryLocation::Nowhere | RepositoryLocation::Replaced) => {
                tracing::warn!(repo = %displaced.repo, id = ?displaced.id, "repository no longer visible; archiving its \
                    stories");
                self.store.put_repository_away(displaced).await?;
            }
            Err(error @ GitHubError::Forbidden(_)) => {
                tracing::warn!(repo = %displaced.repo, %error, "access to the repository was lost; archiving its stories");
                self.store.put_repository_away(displaced).await?;
            }
            Err(error) => {
                tracing::warn!(repo = %displaced.repo, %error, "locating the repository failed; will retry");
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_none_or(|at| Instant::now() >= at)
}
