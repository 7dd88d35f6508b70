//! What is done on GitHub after a round of reviews: an answer in each thread, and the request for
//! another review.

use super::{MAX_NOT_FOUND, is_refusal};
use crate::github::{GitHubError, Repository};
use crate::ids::{PullNumber, ReviewCommentId};
use crate::message;
use crate::store::{DuplicateComment, WantedEffect};
use crate::story::Story;

/// The answer with this effect's marker: found, where an earlier try may have made it, or made.
/// None: the thread is gone.
pub(super) async fn ensure_reply(
    repository: &Repository,
    wanted: &WantedEffect,
    pull: PullNumber,
    thread: ReviewCommentId,
    body: &str,
) -> Result<Option<ReviewCommentId>, GitHubError> {
    let marker = message::marker(wanted.id);
    if wanted.attempts > 0
        && let Some(found) = repository.review_comments_with(pull, &marker).await?.first()
    {
        return Ok(Some(*found));
    }
    match repository.reply_in_thread(pull, thread, &format!("{body}\n\n{marker}")).await {
        Ok(made) => Ok(Some(made)),
        // Somebody has deleted what is answered. Not believed at the first word.
        Err(GitHubError::NotFound) if wanted.refusals >= MAX_NOT_FOUND => {
            tracing::info!(%thread, "review thread no longer exists; not answered");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks for a review. That GitHub does not take somebody for it (they have left, or it is their own
/// pull request) is no trouble. A 404 or 403 may be about something that passes, and is not
/// believed at the first word.
pub(super) async fn request(
    repository: &Repository,
    wanted: &WantedEffect,
    story: &Story,
    pull: PullNumber,
    reviewer: &str,
) -> Result<(), GitHubError> {
    match repository.request_review(pull, reviewer).await {
        Err(error @ (GitHubError::NotFound | GitHubError::Forbidden(_)))
            if wanted.refusals < MAX_NOT_FOUND =>
        {
            Err(error)
        }
        Err(error) if is_refusal(&error) => {
            tracing::info!(story = %story.id, reviewer, %error, "requesting a review failed");
            Ok(())
        }
        other => other,
    }
}

/// Removes answers that GitHub has made twice, which end with `marker`. False: the one that counts
/// is not there.
pub(super) async fn remove_double(
    repository: &Repository,
    double: &DuplicateComment,
    marker: &str,
) -> Result<bool, GitHubError> {
    let found = repository.review_comments_with(PullNumber(double.on.0), marker).await?;
    let counts = ReviewCommentId(double.comment.0);
    let is_there = found.contains(&counts);
    for other in found.iter().filter(|other| is_there && **other != counts) {
        tracing::info!(comment = %other, "removing a duplicate reply");
        repository.delete_review_comment(*other).await?;
    }
    Ok(is_there)
}
