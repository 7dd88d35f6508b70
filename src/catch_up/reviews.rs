//! Reviews of hob's pull requests that no webhook told of. A review changes its pull request, so
//! only those are looked at that have changed since the last look.

use jiff::Timestamp;

use super::CatchUp;
use super::repository::{Found, RepositoryPoll, is_about_one};
use crate::event::{Person, Review};
use crate::github::{GitHubError, ListedIssue, found};
use crate::ids::PullNumber;

impl CatchUp {
    /// Finds reviews that were sent since a moment and are not recorded. Errors as with the labels:
    /// the store's, or what GitHub did not answer for one pull request.
    pub(super) async fn reviews(
        &self,
        looked: &RepositoryPoll<'_>,
        issues: &[ListedIssue],
        since: Timestamp,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let mut trouble = None;
        for issue in issues.iter().filter(|issue| issue.is_pull_request) {
            let pull = PullNumber(issue.number.0);
            let story = self.store.story_at(&looked.place.repo, issue.number).await?;
            if story.is_none_or(|story| story.pull != Some(pull)) {
                continue;
            }
            match looked.repository.reviews(pull).await {
                Ok(reviews) => {
                    let new =
                        reviews.into_iter().filter(|(review, author)| review.at >= since && !author.is_bot);
                    let found = self.reviews_of(looked, pull, new.collect(), all).await?;
                    trouble = found.or(trouble);
                }
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    async fn reviews_of(
        &self,
        looked: &RepositoryPoll<'_>,
        number: PullNumber,
        reviews: Vec<(Review, Person)>,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let mut unknown = Vec::new();
        for (review, author) in reviews {
            let guid = format!("look-{}-review-{}", looked.place.repo.key(), review.id);
            if !self.store.has_delivery(&guid).await? {
                unknown.push((guid, review, author));
            }
        }
        if unknown.is_empty() {
            return Ok(None);
        }
        let pull = match looked.repository.pull(number).await {
            Ok(pull) => pull,
            Err(error) => return Ok(Some(error)),
        };
        all.extend(unknown.into_iter().map(|(guid, review, author)| Found {
            at: review.at,
            guid,
            event: "pull_request_review",
            body: found::reviewed(&looked.place, &pull, &review, &author),
        }));
        Ok(None)
    }
}
