//! An issue as an agent is shown it: its labels, its author and what was said on it last. Also what
//! another issue says. Which of it an agent gets is decided above.

use jiff::Timestamp;
use serde::Deserialize;

use super::people::{User, person};
use super::{GitHubError, Repository};
use crate::event::Person;
use crate::ids::{IssueNumber, Repo};

use super::comments::IssueComment;

/// With it GitHub also gives the text as HTML, in which the addresses of images are signed.
pub(super) const WITH_HTML: &str = "application/vnd.github.full+json";
/// The most that GitHub gives at once.
const PAGE: u64 = 100;
/// The pages that are read, of which the last may hold one comment only.
const PAGES: u64 = 2;

/// What is to be known of an issue, or of the issue side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Who opened it.
    pub author: Person,
    /// The last hundred comments at least, oldest first.
    pub comments: Vec<IssueComment>,
    /// How many comments there are beyond these, all of them older.
    pub older: u64,
    /// Its text and those of the comments as HTML, one after another.
    pub html: String,
}

/// An issue or pull request that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherIssue {
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// Whether it is open.
    pub is_open: bool,
    /// Who opened it.
    pub author: Person,
}

#[derive(Deserialize)]
struct WireIssue {
    title: String,
    body: Option<String>,
    body_html: Option<String>,
    state: Option<String>,
    user: Option<User>,
    #[serde(default)]
    labels: Vec<Label>,
    #[serde(default)]
    comments: u64,
}

/// GitHub's description allows a text in place of an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Whole { name: Option<String> },
    Name(String),
}

#[derive(Deserialize)]
struct WireComment {
    id: crate::ids::CommentId,
    user: Option<User>,
    body: Option<String>,
    body_html: Option<String>,
    created_at: Timestamp,
}

impl Repository {
    /// An issue with the last that was said on it.
    pub async fn conversation(&self, number: IssueNumber) -> Result<Conversation, GitHubError> {
        let issue: WireIssue = self.get_as(&format!("/issues/{number}"), Some(WITH_HTML)).await?.json()?;
        let pages = issue.comments.div_ceil(PAGE);
        let first = pages.saturating_sub(PAGES) + 1;
        let mut html = issue.body_html.unwrap_or_default();
        let mut comments = Vec::new();
        for page in first..=pages {
            let path = format!("/issues/{number}/comments?per_page={PAGE}&page={page}");
            let found: Vec<WireComment> = self.get_as(&path, Some(WITH_HTML)).await?.json()?;
            for comment in found {
                html.push_str(comment.body_html.as_deref().unwrap_or_default());
                comments.push(IssueComment {
                    id: comment.id,
                    author: person(comment.user),
                    body: comment.body.unwrap_or_default(),
                    created_at: comment.created_at,
                });
            }
        }
        let name = |label| match label {
            Label::Whole { name } => name,
            Label::Name(name) => Some(name),
        };
        Ok(Conversation {
            labels: issue.labels.into_iter().filter_map(name).collect(),
            author: person(issue.user),
            comments,
            older: (first - 1) * PAGE,
            html,
        })
    }

    /// What an issue or pull request says now.
    pub async fn other_issue(&self, number: IssueNumber) -> Result<OtherIssue, GitHubError> {
        let issue: WireIssue = self.get(&format!("/issues/{number}")).await?.json()?;
        Ok(OtherIssue {
            title: issue.title,
            body: issue.body.unwrap_or_default(),
            is_open: issue.state.as_deref() == Some("open"),
            author: person(issue.user),
        })
    }

    /// Another repository, with no more rights than hob has here: as an App it sees what its
    /// installation here covers, and what everybody sees.
    pub fn beside(&self, repo: &Repo) -> Repository {
        Repository { repo: repo.clone(), id: None, ..self.clone() }
    }

    /// Whether only some may see the repository.
    pub async fn is_private(&self) -> Result<bool, GitHubError> {
        #[derive(Deserialize)]
        struct Facts {
            private: bool,
            visibility: Option<String>,
        }
        let facts: Facts = self.get("").await?.json()?;
        // `internal` is for everybody in an enterprise, and nobody else.
        Ok(facts.private || facts.visibility.is_some_and(|visibility| visibility != "public"))
    }
}
