//! Reviews of pull requests: reading them and their comments on lines, and answering in their
//! threads.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::client::Verb;
use super::conversation::WITH_HTML;
use super::people::{User, person};
use super::webhook::WirePull;
use super::{GitHubError, Repository};
use crate::event::{Person, Pull, Review, Verdict};
use crate::ids::{PullNumber, ReviewCommentId, ReviewId, Sha};
use crate::story::review::ReviewWithdrawal;

/// The most that GitHub gives at once.
const PAGE: usize = 100;
/// Ten thousand comments on lines; more are no list that ends.
const MAX_PAGES: usize = 100;

/// A comment on lines of a pull request's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewComment {
    /// Its id on the host.
    pub id: ReviewCommentId,
    /// The review that it is a part of.
    pub review: Option<ReviewId>,
    /// The first comment of its thread, where it is not that itself.
    pub in_reply_to: Option<ReviewCommentId>,
    /// Who wrote it.
    pub author: Person,
    /// The text, in Markdown.
    pub body: String,
    /// The file.
    pub path: String,
    /// The first of its lines, as they are in `commit`; absent for a whole file, and where the
    /// lines begin on the other side of the diff than they end.
    pub first: Option<u32>,
    /// The last of them; absent for a whole file.
    pub last: Option<u32>,
    /// Whether the last is a line that the change took out.
    pub is_old_side: bool,
    /// The commit that has these lines.
    pub commit: Option<Sha>,
    /// The part of the diff that it was written under.
    pub hunk: String,
    /// When it was written, by GitHub's clock.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct WireComment {
    id: ReviewCommentId,
    pull_request_review_id: Option<ReviewId>,
    in_reply_to_id: Option<ReviewCommentId>,
    user: Option<User>,
    body: String,
    path: String,
    diff_hunk: String,
    /// Null where the lines have changed since.
    line: Option<u32>,
    start_line: Option<u32>,
    original_line: Option<u32>,
    original_start_line: Option<u32>,
    side: Option<String>,
    /// Where the first of several lines is.
    start_side: Option<String>,
    /// `line` or `file`. A comment on a whole file has a line too, which says nothing.
    subject_type: Option<String>,
    commit_id: Sha,
    original_commit_id: Sha,
    created_at: Timestamp,
}

impl From<WireComment> for ReviewComment {
    fn from(comment: WireComment) -> ReviewComment {
        let (first, last, commit) = match comment.line {
            Some(line) => (comment.start_line, Some(line), comment.commit_id),
            None => (comment.original_start_line, comment.original_line, comment.original_commit_id),
        };
        let last = last.filter(|_| comment.subject_type.as_deref() != Some("file"));
        // The numbers of the two sides count in different files.
        let is_on_one_side = comment.start_side.is_none() || comment.start_side == comment.side;
        ReviewComment {
            id: comment.id,
            review: comment.pull_request_review_id,
            in_reply_to: comment.in_reply_to_id,
            author: person(comment.user),
            body: comment.body,
            path: comment.path,
            first: last.map(|last| first.unwrap_or(last)).filter(|_| is_on_one_side),
            last,
            is_old_side: comment.side.as_deref() == Some("LEFT"),
            commit: Some(commit),
            hunk: comment.diff_hunk,
            created_at: comment.created_at,
        }
    }
}

#[derive(Deserialize)]
struct WireReview {
    id: ReviewId,
    user: Option<User>,
    body: Option<String>,
    state: String,
    commit_id: Option<Sha>,
    /// Absent while it is not sent.
    submitted_at: Option<Timestamp>,
}

/// GitHub's word for what a reviewer thinks: in capitals in its answers, small in deliveries. None
/// for a review that was not sent, or that was taken back.
pub(super) fn verdict(word: &str) -> Option<Verdict> {
    match word.to_ascii_lowercase().as_str() {
        "approved" => Some(Verdict::Approved),
        "changes_requested" => Some(Verdict::ChangesRequested),
        "commented" => Some(Verdict::Commented),
        _ => None,
    }
}

impl Repository {
    /// A pull request as it is now.
    pub async fn pull(&self, number: PullNumber) -> Result<Pull, GitHubError> {
        Ok(self.get(&format!("/pulls/{number}")).await?.json::<WirePull>()?.into())
    }

    /// Every review of a pull request that was sent, oldest first, with who wrote it.
    pub async fn reviews(&self, number: PullNumber) -> Result<Vec<(Review, Person)>, GitHubError> {
        let all: Vec<WireReview> = self.all_pages(&format!("/pulls/{number}/reviews?")).await?;
        let read = |review: WireReview| {
            let author = person(review.user);
            let at = review.submitted_at?;
            let (id, commit) = (review.id, review.commit_id);
            let body = review.body.unwrap_or_default();
            Some((Review { id, verdict: verdict(&review.state)?, body, commit, at }, author))
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// What has taken reviews of a pull request back. What GitHub does not list yet is not told.
    pub async fn reviews_taken_back(&self, number: PullNumber) -> Result<Vec<ReviewWithdrawal>, GitHubError> {
        let all: Vec<WireReview> = self.all_pages(&format!("/pulls/{number}/reviews?")).await?;
        let read = |review: WireReview| match verdict(&review.state) {
            Some(Verdict::Approved) => {
                Some(ReviewWithdrawal::Approved { id: review.id, by: person(review.user).login })
            }
            None if review.state.eq_ignore_ascii_case("dismissed") => {
                Some(ReviewWithdrawal::Dismissed(review.id))
            }
            _ => None,
        };
        Ok(all.into_iter().filter_map(read).collect())
    }

    /// Every comment on lines of a pull request, oldest first.
    pub async fn review_comments(&self, number: PullNumber) -> Result<Vec<ReviewComment>, GitHubError> {
        let path = format!("/pulls/{number}/comments?sort=created&direction=asc&");
        let all: Vec<WireComment> = self.all_pages(&path).await?;
        Ok(all.into_iter().map(ReviewComment::from).collect())
    }

    /// The comments on lines of hob's own that contain `marker`, oldest first.
    pub async fn review_comments_with(
        &self,
        number: PullNumber,
        marker: &str,
    ) -> Result<Vec<ReviewCommentId>, GitHubError> {
        let own = self.github.own_account().await?;
        let all = self.review_comments(number).await?.into_iter();
        let is_own = |comment: &ReviewComment| own.is_same_as(&comment.author);
        Ok(all.filter(|c| is_own(c) && c.body.contains(marker)).map(|comment| comment.id).collect())
    }

    /// Answers in a thread, whose first comment is named. GitHub writes a second answer if asked
    /// twice.
    pub async fn reply_in_thread(
        &self,
        number: PullNumber,
        thread: ReviewCommentId,
        body: &str,
    ) -> Result<ReviewCommentId, GitHubError> {
        #[derive(Deserialize)]
        struct Written {
            id: ReviewCommentId,
        }
        let path = format!("/pulls/{number}/comments/{thread}/replies");
        Ok(self.send(Verb::Post, &path, &json!({ "body": body })).await?.json::<Written>()?.id)
    }

    /// Deletes a comment on lines of hob's own. One that is gone already is fine.
    pub async fn delete_review_comment(&self, id: ReviewCommentId) -> Result<(), GitHubError> {
        match self.send(Verb::Delete, &format!("/pulls/comments/{id}"), &()).await {
            Ok(_) | Err(GitHubError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The texts of all reviews and their comments as HTML, in which the addresses of images are
    /// signed.
    pub async fn reviews_as_html(&self, number: PullNumber) -> Result<String, GitHubError> {
        #[derive(Deserialize)]
        struct Written {
            body_html: Option<String>,
        }
        let mut html = String::new();
        for what in ["reviews", "comments"] {
            let path = format!("/pulls/{number}/{what}?");
            let all: Vec<Written> = self.all_pages_as(&path, Some(WITH_HTML)).await?;
            html.extend(all.into_iter().filter_map(|written| written.body_html));
        }
        Ok(html)
    }

    async fn all_pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, GitHubError> {
        self.all_pages_as(path, None).await
    }

    async fn all_pages_as<T: DeserializeOwned>(
        &self,
        path: &str,
        form: Option<&'static str>,
    ) -> Result<Vec<T>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer = self.get_as(&format!("{path}per_page={PAGE}&page={page}"), form).await?;
            let found: Vec<T> = answer.json()?;
            let is_full = found.len() == PAGE;
            all.extend(found);
            if !(is_full || answer.has_next_page()) {
                return Ok(all);
            }
        }
        Err(GitHubError::Unexpected("the list of a pull request's reviews does not end".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comment as GitHub lists it, with these fields.
    fn comment(fields: &serde_json::Value) -> ReviewComment {
        let mut whole = json!({
            "id": 7, "pull_request_review_id": 3, "user": {"login": "bob", "id": 2}, "body": "Why?", "path": "run.sh",
            "diff_hunk": "@@ -1,9 +1,4 @@", "original_line": 4, "original_start_line": null, "side": "RIGHT",
            "commit_id": "a".repeat(40), "original_commit_id": "b".repeat(40), "created_at": "2026-11-29T20:00:00Z"
        });
        for (name, value) in fields.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value::<WireComment>(whole).unwrap().into()
    }

    #[test]
    fn lines_are_those_that_somebody_selected_on_one_side_of_the_diff() {
        for (fields, first, last) in [
            (json!({"line": 4}), Some(4), Some(4)),
            (json!({"line": 4, "start_line": 2, "start_side": "RIGHT"}), Some(2), Some(4)),
            (json!({"line": 4, "start_line": null, "start_side": null}), Some(4), Some(4)),
            // What is outdated has its lines in the commit from before.
            (json!({"line": null, "original_start_line": 3, "start_side": "RIGHT"}), Some(3), Some(4)),
            // From a line that was taken out to one that was added.
            (json!({"line": 4, "start_line": 2, "start_side": "LEFT"}), None, Some(4)),
            (json!({"line": null, "original_start_line": 9, "start_side": "LEFT"}), None, Some(4)),
            // A whole file.
            (json!({"line": 1, "subject_type": "file"}), None, None),
            (json!({"line": null, "original_line": 1, "subject_type": "file"}), None, None),
        ] {
            let read = comment(&fields);
            assert_eq!((read.first, read.last), (first, last), "{fields}");
        }
        let old = comment(&json!({"line": 4, "side": "LEFT", "start_line": 2, "start_side": "LEFT"}));
        assert!(old.is_old_side && old.first == Some(2));
    }
}
