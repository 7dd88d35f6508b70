//! Base branches that have moved without a webhook: for stories that follow theirs, a look asks
//! GitHub where it is. What is found is recorded as the push that it was. Whether something follows
//! from it is intake's matter.

use super::CatchUp;
use super::repository::{Found, RepositoryPoll};
use crate::clock;
use crate::config::{FollowBase, RepositoryFile};
use crate::github::{GitHubError, found};

impl CatchUp {
    /// Finds where the base branches are of stories that follow them. Errors as with
    /// [`labels`](Self::labels).
    pub(super) async fn bases(
        &self,
        looked: &RepositoryPoll<'_>,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        if self.config.follow_base_of(&looked.file) == FollowBase::Never {
            return Ok(None);
        }
        for branch in self.store.bases_of(&looked.place.repo).await? {
            let head = match looked.repository.branch_head(&branch).await {
                Ok(head) => head,
                // It was removed, and so there is nothing to follow.
                Err(GitHubError::NotFound) => continue,
                Err(error) => return Ok(Some(error)),
            };
            let guid = format!("look-{}-push-{branch}-{head}", looked.place.repo.key());
            if !self.store.has_delivery(&guid).await? {
                let body = found::pushed(&looked.place, &branch, &head);
                all.push(Found { at: clock::now(), guid, event: "push", body });
            }
        }
        Ok(None)
    }
}

/// What of a repository's settings a look goes by, as far as they can be read.
pub(super) fn file_of(text: Option<&str>, config: &crate::config::Config) -> RepositoryFile {
    match text.map(|text| RepositoryFile::parse(text, config)) {
        None => RepositoryFile::default(),
        Some(Ok(file)) => file,
        Some(Err(fault)) => RepositoryFile { label: fault.label, ..RepositoryFile::default() },
    }
}
