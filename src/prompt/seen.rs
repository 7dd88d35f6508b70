//! What the agent sees beside what was asked for, as it was gathered for one run. How it is
//! gathered is in `work/gather.rs`.

use jiff::Timestamp;

use serde::Serialize;

/// Everything that was gathered.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Labels of the issue's, without hob's own.
    pub labels: Vec<String>,
    /// Who wrote the issue.
    pub author: Option<Author>,
    /// Comments, oldest first.
    pub comments: Vec<Comment>,
    /// How many comments there are beyond these.
    pub comments_left_out: usize,
    /// Issues that were named.
    pub linked: Vec<Linked>,
    /// Issues that were named and could not be read.
    pub unreadable: Vec<String>,
    /// Images that lie in the exchange.
    pub images: Vec<Image>,
    /// Images that do not.
    pub images_missing: Vec<MissingImage>,
    /// What the repository tells agents, from the base branch.
    pub guides: Vec<File>,
    /// The repository's template for pull requests, from the base branch.
    pub pull_template: Option<File>,
    /// Checks that have failed on the branch.
    pub failing: Option<Failing>,
}

/// Checks that have failed on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// The commit.
    pub head: String,
    /// The checks.
    pub checks: Vec<FailingCheck>,
    /// The names of those that are beyond these.
    pub more: Vec<String>,
}

/// A check that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailingCheck {
    /// Its name.
    pub name: String,
    /// Whose it is, in words.
    pub of: String,
    /// Where people read about it.
    pub url: Option<String>,
    /// The end of what it has printed, or what it says.
    pub output: Option<String>,
}

/// Somebody who wrote something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Author {
    /// Their login.
    pub login: String,
    /// Whether they may push to the repository.
    pub may_push: bool,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Who wrote it.
    pub author: Author,
    /// When the comment was written.
    pub at: Timestamp,
    /// Where: `issue` or `pull request`.
    pub on: &'static str,
    /// The text, in Markdown.
    pub text: String,
}

/// An issue or pull request that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// As it was named: `#12`, `owner/name#12`.
    pub name: String,
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// `open` or `closed`.
    pub state: &'static str,
    /// Who wrote it.
    pub by: String,
}

/// An image that was downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// Where it lies in the container.
    pub file: String,
    /// The address that stands in the text.
    pub url: String,
}

/// An image that was not downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingImage {
    /// The address that stands in the text.
    pub url: String,
    /// Why not, in words.
    pub why: String,
}

/// A file of the repository's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its path.
    pub name: String,
    /// What is in it, perhaps cut.
    pub text: String,
}
