//! The pull requests of a repository, looked through for what no webhook told of: that one of hob's
//! was closed, merged or opened again.

use jiff::Timestamp;

use super::CatchUp;
use super::repository::{Found, RepositoryPoll};
use crate::event::PullTransition;
use crate::github::{GitHubError, PullFacts, found};
use crate::ids::IssueNumber;
use crate::story::Story;
use crate::story::pull::PullState;

impl CatchUp {
    /// Finds what became of hob's pull requests since then. The outer error is the store's.
    pub(super) async fn pulls(
        &self,
        looked: &RepositoryPoll<'_>,
        since: Timestamp,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let stories = self.store.stories_with_pulls(&looked.place.repo).await?;
        if stories.is_empty() {
            return Ok(None);
        }
        let changed = match looked.repository.pulls_since(since).await {
            Ok(changed) => changed,
            Err(error) => return Ok(Some(error)),
        };
        for pull in &changed {
            if let Some(story) = stories.iter().find(|story| story.goes_elsewhere(pull.number, &pull.base))
                && pull.over.is_none()
            {
                tracing::info!(story = %story.id, pull = %pull.number, base = pull.base, "base branch of the pull \
                    request changed");
                self.store.pull_goes_to(None, story.id, pull.number, &pull.base).await?;
            }
            let Some(to) = stories.iter().find_map(|story| moved(story, pull)) else { continue };
            match self.told_of_pull(looked, pull, to).await {
                Ok(found) => all.push(found),
                Err(GitHubError::NotFound) => {}
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(None)
    }

    /// The delivery that tells of it. Who did it stands in no list.
    async fn told_of_pull(
        &self,
        looked: &RepositoryPoll<'_>,
        pull: &PullFacts,
        to: PullTransition,
    ) -> Result<Found, GitHubError> {
        let by = match to {
            PullTransition::Merged => looked.repository.pull_facts(pull.number).await?.merged_by,
            PullTransition::Closed => looked.repository.closed_by(IssueNumber(pull.number.0)).await?,
            PullTransition::Reopened => None,
        };
        let body = found::pull_moved(&looked.place, pull, to, pull.at, by.as_ref());
        let guid =
            format!("look-{}-pull-{}-{}-{}", looked.place.repo.key(), pull.number, to.as_str(), pull.at);
        Ok(Found { at: pull.at, guid, event: "pull_request", body })
    }
}

/// What became of a pull request, if it is this story's and the story does not know.
fn moved(story: &Story, pull: &PullFacts) -> Option<PullTransition> {
    let to = pull.over.unwrap_or(PullTransition::Reopened);
    if story.pull == Some(pull.number) {
        return story.is_news(to, pull.at).then_some(to);
    }
    let is_reopened = to == PullTransition::Reopened
        && story.pull.is_none()
        && story.past_pull == Some((pull.number, PullState::Closed))
        && story.pull_moved_at.is_none_or(|moved| pull.at > moved);
    is_reopened.then_some(to)
}
