//! Issues, reactions, and the repository's own few facts. Comments have a file of their own.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::client::Verb;
use super::{GitHubError, Repository};
use crate::event::Issue;
use crate::ids::{CommentId, IssueNumber, ReviewCommentId};

/// What to put a reaction on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReactTo {
    /// An issue's or pull request's first text.
    Issue(IssueNumber),
    /// A comment in the conversation of an issue or pull request.
    Comment(CommentId),
    /// A comment on lines of a pull request.
    ReviewComment(ReviewCommentId),
}

impl Repository {
    /// An issue, or the issue side of a pull request, as it is now.
    pub async fn issue(&self, number: IssueNumber) -> Result<Issue, GitHubError> {
        Ok(self.get(&format!("/issues/{number}")).await?.json::<WireIssue>()?.into())
    }

    /// The branch that pull requests go to unless told otherwise, as it is now.
    pub async fn default_branch(&self) -> Result<String, GitHubError> {
        #[derive(Deserialize)]
        struct Facts {
            default_branch: String,
        }
        Ok(self.get("").await?.json::<Facts>()?.default_branch)
    }

    /// Puts a reaction (`eyes`, `+1`, `confused`, `rocket`) on something. GitHub keeps one of each
    /// kind for each user, so that a second time changes nothing.
    pub async fn react(&self, subject: ReactTo, content: &str) -> Result<(), GitHubError> {
        let path = match subject {
            ReactTo::Issue(number) => format!("/issues/{number}/reactions"),
            ReactTo::Comment(id) => format!("/issues/comments/{id}/reactions"),
            ReactTo::ReviewComment(id) => format!("/pulls/comments/{id}/reactions"),
        };
        self.send(Verb::Post, &path, &json!({ "content": content })).await?;
        Ok(())
    }
}

/// An issue as GitHub sends it, in webhooks as in answers.
#[derive(Debug, Deserialize)]
pub(super) struct WireIssue {
    number: IssueNumber,
    title: String,
    body: Option<String>,
    /// Present on a pull request; what is in it does not matter.
    pull_request: Option<serde::de::IgnoredAny>,
    state: Option<String>,
    /// Only in what hob has found by itself; see `found.rs`.
    #[serde(default)]
    hob_read_later: bool,
    /// When anything about it changed last.
    pub(super) updated_at: Timestamp,
}

impl From<WireIssue> for Issue {
    fn from(issue: WireIssue) -> Issue {
        Issue {
            number: issue.number,
            title: issue.title,
            body: issue.body.unwrap_or_default(),
            is_pull_request: issue.pull_request.is_some(),
            is_open: issue.state.as_deref() == Some("open"),
            read_later: issue.hob_read_later,
        }
    }
}
