//! Comments on issues and on the conversation of pull requests: reading them all, finding one of
//! hob's own again by its hidden marker, writing and changing them.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::client::Verb;
use super::people::{User, person};
use super::{GitHubError, Repository};
use crate::event::Person;
use crate::ids::{CommentId, IssueNumber};

/// The most that GitHub gives at once.
const PAGE: usize = 100;
/// GitHub refuses comments on an issue after 2,500; four times that ends a paging that never would.
const MAX_PAGES: usize = 100;
/// `since` is compared with GitHub's clock, and a comment that is overlooked is written twice: so
/// search from this much earlier than asked, more than a clock that still works with GitHub can be
/// wrong.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// A comment of hob's own that GitHub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundComment {
    /// Its id on the host.
    pub id: CommentId,
    /// Where a person reads it.
    pub url: String,
}

/// One comment of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueComment {
    /// Its id on the host.
    pub id: CommentId,
    /// Who wrote it.
    pub author: Person,
    /// The text, in Markdown.
    pub body: String,
    /// When, by GitHub's clock.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct WireComment {
    id: CommentId,
    html_url: String,
    user: Option<User>,
    body: Option<String>,
    created_at: Timestamp,
}

impl Repository {
    /// The first comment of hob's own on `issue` that contains `marker`, among those written or
    /// changed since then. Anybody can copy a marker, so nobody else's comment counts.
    pub async fn find_comment(
        &self,
        issue: IssueNumber,
        marker: &str,
        since: Option<Timestamp>,
    ) -> Result<Option<FoundComment>, GitHubError> {
        let own = self.github.own_account().await?;
        let mut found = None;
        self.each_page(issue, since, |comments| {
            found = comments.into_iter().find(|comment| {
                let is_own = own.is_same_as(&person(comment.user.clone()));
                is_own && comment.body.as_deref().is_some_and(|body| body.contains(marker))
            });
            found.is_some()
        })
        .await?;
        Ok(found.map(|comment| FoundComment { id: comment.id, url: comment.html_url }))
    }

    /// All comments of hob's own on `issue` that contain `marker`, oldest first. More than one
    /// means that GitHub carried out two tries.
    pub async fn comments_with(
        &self,
        issue: IssueNumber,
        marker: &str,
    ) -> Result<Vec<FoundComment>, GitHubError> {
        let own = self.github.own_account().await?;
        let mut all = Vec::new();
        self.each_page(issue, None, |comments| {
            let ours = comments.into_iter().filter(|comment| {
                let is_own = own.is_same_as(&person(comment.user.clone()));
                is_own && comment.body.as_deref().is_some_and(|body| body.contains(marker))
            });
            all.extend(ours.map(|comment| FoundComment { id: comment.id, url: comment.html_url }));
            false
        })
        .await?;
        Ok(all)
    }

    /// Deletes a comment of hob's own. One that is gone already is fine.
    pub async fn delete_comment(&self, id: CommentId) -> Result<(), GitHubError> {
        match self.send(Verb::Delete, &format!("/issues/comments/{id}"), &()).await {
            Ok(_) | Err(GitHubError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All comments on `issue`, oldest first.
    pub async fn comments(&self, issue: IssueNumber) -> Result<Vec<IssueComment>, GitHubError> {
        let mut all = Vec::new();
        self.each_page(issue, None, |comments| {
            all.extend(comments.into_iter().map(|comment| IssueComment {
                id: comment.id,
                author: person(comment.user),
                body: comment.body.unwrap_or_default(),
                created_at: comment.created_at,
            }));
            false
        })
        .await?;
        Ok(all)
    }

    /// Writes a comment on `issue`. GitHub writes a second one if asked twice: after `Unavailable`,
    /// look with [`find_comment`](Self::find_comment) before trying again.
    pub async fn create_comment(&self, issue: IssueNumber, body: &str) -> Result<FoundComment, GitHubError> {
        #[derive(Deserialize)]
        struct Written {
            id: CommentId,
            html_url: String,
            user: Option<User>,
        }
        let path = format!("/issues/{issue}/comments");
        let written: Written = self.send(Verb::Post, &path, &json!({ "body": body })).await?.json()?;
        self.github.learn_own_id(&person(written.user));
        Ok(FoundComment { id: written.id, url: written.html_url })
    }

    /// Replaces the text of a comment of hob's own; tells when, by GitHub's clock.
    pub async fn update_comment(&self, id: CommentId, body: &str) -> Result<Timestamp, GitHubError> {
        #[derive(Deserialize)]
        struct Changed {
            updated_at: Timestamp,
        }
        // octocrab's own call would POST here, which GitHub does not document.
        let answer =
            self.send(Verb::Patch, &format!("/issues/comments/{id}"), &json!({ "body": body })).await?;
        Ok(answer.json::<Changed>()?.updated_at)
    }

    /// Gives the pages of a conversation to `is_enough`, until it says so or they end.
    async fn each_page(
        &self,
        issue: IssueNumber,
        since: Option<Timestamp>,
        mut is_enough: impl FnMut(Vec<WireComment>) -> bool,
    ) -> Result<(), GitHubError> {
        let since = since.map(|since| since.checked_sub(CLOCK_MARGIN).unwrap_or(Timestamp::MIN));
        let since =
            since.map_or(String::new(), |since| since.strftime("&since=%Y-%m-%dT%H:%M:%SZ").to_string());
        for page in 1..=MAX_PAGES {
            let path = format!("/issues/{issue}/comments?per_page={PAGE}&page={page}{since}");
            let answer = self.get(&path).await?;
            let comments: Vec<WireComment> = answer.json()?;
            let is_full = comments.len() == PAGE;
            if is_enough(comments) || !(is_full || answer.has_next_page()) {
                return Ok(());
            }
        }
        // To say "not found" here could make a second comment.
        Err(GitHubError::Unexpected(format!("the list of comments on issue {issue} does not end")))
    }
}
