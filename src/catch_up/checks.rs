//! Checks that have failed on what hob pushed, found by looking: what their webhooks would have
//! told. A commit is checked often while it is young, when its checks end, and rarely later.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::repository::{Found, RepositoryPoll, is_about_one};
use super::{CatchUp, Memory};
use crate::clock;
use crate::github::{GitHubError, found};
use crate::story::fix::{CheckState, FoundCheck, is_own};

/// How long nothing has happened on a story whose checks are looked at no more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(14 * 24);
/// From one look to the next, a commit's time since the first look is divided by this.
const PART_OF_AGE: u32 = 4;

/// A commit whose checks are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    first: Instant,
    last: Instant,
}

impl Watched {
    fn new() -> Self {
        let now = Instant::now();
        Self { first: now, last: now }
    }

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.pause()
    }

    fn pause(&self) -> Duration {
        self.last.duration_since(self.first) / PART_OF_AGE
    }
}

impl CatchUp {
    /// Finds checks that have failed on commits that hob would fix. Errors as with the labels: the
    /// store's, or what GitHub did not answer for one.
    pub(super) async fn failed_checks(
        &self,
        memory: &mut Memory,
        looked: &RepositoryPoll<'_>,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let since = clock::now().checked_sub(FORGOTTEN).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let heads = self.store.heads_to_fix(&looked.place.repo, since).await?;
        let watched = memory.watched.entry(looked.place.repo.key()).or_default();
        watched.retain(|head, _| heads.contains(head));
        let mut trouble = None;
        for head in heads {
            let watched = watched.entry(head.clone()).or_insert_with(Watched::new);
            if !watched.is_due() {
                continue;
            }
            match looked.repository.checks_on(&head).await {
                Ok(on) => {
                    watched.last = Instant::now();
                    let failed = on.found.iter().filter(|found| self.may_be_fixed(found));
                    for found in failed {
                        let Some(at) = found.at else { continue };
                        let (kind, id) = (found.check.kind, found.check.id);
                        let repo = looked.place.repo.key();
                        let guid = format!("look-{repo}-{}-{id}-{at}", kind.as_str());
                        if !self.store.has_delivery(&guid).await? {
                            let body = found::check_ended(&looked.place, &head, found, at);
                            all.push(Found { at, guid, event: kind.as_str(), body });
                        }
                    }
                }
                // The branch was thrown away, and the commit with it.
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    fn may_be_fixed(&self, found: &FoundCheck) -> bool {
        let own_app = self.config.github.app_id;
        found.state == CheckState::Failed
            && !is_own(found.check.kind, &found.check.name, found.app_id, own_app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_old_commit_is_looked_at_seldom() {
        let mut watched = Watched::new();
        let mut looks = 0;
        // A day, with a look every half minute.
        for _ in 0..2 * 60 * 24 {
            if watched.is_due() {
                looks += 1;
                watched.last = Instant::now();
            }
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert!((20..50).contains(&looks), "{looks}");
    }
}
