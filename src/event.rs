//! The small set of things that happen on the git host and matter to hob. The adapter
//! (`github/webhook.rs`) turns each delivery into one `Event`; what hob does about it is decided
//! in `intake.rs`. Only fields that hob uses are here, frozen as the delivery carried them.

use jiff::Timestamp;

use crate::ids::{CommentId, InstallationId, IssueNumber, Repo};

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// GitHub's test of the webhook, sent when it is set up.
    Ping,
    /// `issues.labeled`: somebody put one label on an issue.
    IssueLabeled {
        /// Where it happened.
        place: Place,
        /// The issue as it was at that moment.
        issue: Issue,
        /// The label that was put on.
        label: String,
        /// When, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `issues.unlabeled`: somebody took one label off an issue.
    IssueUnlabeled {
        /// Where it happened.
        place: Place,
        /// The issue as it was at that moment.
        issue: Issue,
        /// The label that was taken off.
        label: String,
        /// When, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `issues.assigned`: somebody gave an issue to an account.
    IssueAssigned {
        /// Where it happened.
        place: Place,
        /// The issue as it was at that moment.
        issue: Issue,
        /// Who it was given to.
        to: Person,
        /// When, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `issues.closed` and what else takes an issue out of people's hands.
    IssueEnded {
        /// Where it happened.
        place: Place,
        /// The issue as it was at that moment.
        issue: Issue,
        /// What became of it.
        ending: Ending,
        /// When, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `issue_comment.created`: somebody commented on an issue or a pull request.
    Commented {
        /// Where it happened.
        place: Place,
        /// The issue or pull request as it was at that moment.
        issue: Issue,
        /// The comment.
        comment: Comment,
        /// Who did it.
        sender: Person,
    },
    /// Anything else: a correct delivery that hob has no use for.
    Other {
        /// The event's name, from the header.
        event: String,
        /// Its `action`, if it has one.
        action: Option<String>,
    },
}

impl Event {
    /// What it says, in one line, where hob acts on it: two deliveries of one meaning are about the same act of the same
    /// person. A comment is written once, whatever becomes of it; a label can be put on again, at another time.
    pub fn meaning(&self) -> Option<String> {
        match self {
            Self::IssueLabeled { place, issue, label, at, sender } => {
                let (repo, issue, by) = (place.repo.key(), issue.number, &sender.login);
                Some(format!("issues.labeled {repo}#{issue} {label} {by} {at}"))
            }
            Self::Commented { place, comment, .. } => {
                Some(format!("issue_comment.created {} {}", place.repo.key(), comment.id))
            }
            Self::IssueUnlabeled { place, issue, label, at, sender } => {
                let (repo, issue, by) = (place.repo.key(), issue.number, &sender.login);
                Some(format!("issues.unlabeled {repo}#{issue} {label} {by} {at}"))
            }
            Self::IssueAssigned { place, issue, to, at, sender } => {
                let (repo, issue, by) = (place.repo.key(), issue.number, &sender.login);
                Some(format!("issues.assigned {repo}#{issue} {} {by} {at}", to.login))
            }
            Self::IssueEnded { place, issue, ending, at, sender } => {
                let (repo, issue, by) = (place.repo.key(), issue.number, &sender.login);
                Some(format!("issues.{} {repo}#{issue} {by} {at}", ending.as_str()))
            }
            Self::Ping | Self::Other { .. } => None,
        }
    }

    /// Where it happened, where hob can use it.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::IssueLabeled { place, .. }
            | Self::IssueUnlabeled { place, .. }
            | Self::IssueAssigned { place, .. }
            | Self::IssueEnded { place, .. }
            | Self::Commented { place, .. } => Some(place),
            Self::Ping | Self::Other { .. } => None,
        }
    }
}

/// What became of an issue on which no more work is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was closed.
    Closed,
    /// It was deleted, or made a discussion.
    Deleted,
    /// It was moved to another repository.
    Transferred,
    /// Its conversation was locked.
    Locked,
}

impl Ending {
    /// GitHub's word for it, and the store's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Deleted => "deleted",
            Self::Transferred => "transferred",
            Self::Locked => "locked",
        }
    }

    /// The ending of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Closed, Self::Deleted, Self::Transferred, Self::Locked]
            .into_iter()
            .find(|ending| ending.as_str() == word)
    }

    /// Whether nothing can be said on the issue any more.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Deleted | Self::Transferred)
    }
}

/// The repository of an event, and the way back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `owner/name`.
    pub repo: Repo,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// The App's installation, absent when the webhook belongs to a repository or organisation.
    pub installation: Option<InstallationId>,
}

/// An issue, or the issue side of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the repository.
    pub number: IssueNumber,
    /// One line.
    pub title: String,
    /// Markdown; empty where GitHub sent null.
    pub body: String,
    /// Whether this is a pull request's conversation.
    pub is_pull_request: bool,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether hob has read it by itself, later than what it is told with: then its text may have been changed since.
    pub read_later: bool,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id on the host.
    pub id: CommentId,
    /// Markdown.
    pub body: String,
    /// When it was written, by GitHub's clock.
    pub at: Timestamp,
}

/// An account on the git host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The login name, without `@`. `ghost` where the account was deleted.
    pub login: String,
    /// Its number, where the delivery has it.
    pub id: Option<u64>,
    /// Whether GitHub says that it is a bot.
    pub is_bot: bool,
}
