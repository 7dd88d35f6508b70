//! The small set of things that happen on the git host and matter to hob. The adapter
//! (`github/webhook.rs`) turns each delivery into one `Event`; what hob does about it is decided
//! in `intake.rs`. Only fields that hob uses are here, frozen as the delivery carried them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::{
    CheckRunId, CommentId, InstallationId, IssueNumber, PullNumber, Repo, RepositoryId, RepositoryRef,
    ReviewId, Sha,
};

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// GitHub's test of the webhook, sent when it is set up.
    Ping,
    /// `issues.labeled`: somebody put one label on an issue.
    IssueLabeled {
        /// Where it happened.
        place: EventRepository,
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
        place: EventRepository,
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
        place: EventRepository,
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
        place: EventRepository,
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
        place: EventRepository,
        /// The issue or pull request as it was at that moment.
        issue: Issue,
        /// The comment.
        comment: Comment,
        /// Who did it.
        sender: Person,
    },
    /// `issue_comment.edited`: somebody changed the text of a comment.
    CommentEdited {
        /// Where it happened.
        place: EventRepository,
        /// The issue or pull request as it was at that moment.
        issue: Issue,
        /// The comment as it reads now.
        comment: Comment,
        /// As it read before.
        before: String,
        /// When it was changed, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `pull_request_review.submitted`: somebody has sent a review, or a single comment on a line,
    /// or a reply to one; each of them is a review to GitHub. What it says on lines is not in the
    /// delivery.
    Reviewed {
        /// Where it happened.
        place: EventRepository,
        /// The pull request as it was at that moment.
        pull: Pull,
        /// The review.
        review: Review,
        /// Who did it.
        sender: Person,
    },
    /// `pull_request.closed` and `pull_request.reopened`.
    PullMoved {
        /// Where it happened.
        place: EventRepository,
        /// The pull request as it was at that moment.
        pull: Pull,
        /// What became of it.
        to: PullTransition,
        /// When, by GitHub's clock.
        at: Timestamp,
        /// Who did it.
        sender: Person,
    },
    /// `pull_request.edited`, where that changed which branch the pull request goes to.
    PullRetargeted {
        /// Where it happened.
        place: EventRepository,
        /// The pull request as it was after that.
        pull: Pull,
    },
    /// `check_run.completed`, `status` and `workflow_run.completed`: something that looks at
    /// commits has come to an end.
    CheckEnded {
        /// Where it happened.
        place: EventRepository,
        /// What ended.
        check: EndedCheck,
        /// When, by GitHub's clock.
        at: Timestamp,
    },
    /// `check_run.requested_action` and `check_run.rerequested`: somebody pressed a button on a
    /// check run of hob's; and `check_suite.rerequested`: "Re-run all checks", which names no check
    /// run. GitHub sends them to the App whose check run it is.
    CheckButton {
        /// Where it happened.
        place: EventRepository,
        /// The check run; absent: all of the App's on the commit.
        check_run: Option<CheckRunId>,
        /// The commit that it is about.
        head: Sha,
        /// What hob called the button; absent for GitHub's own button "Re-run".
        button: Option<String>,
        /// Who did it.
        sender: Person,
    },
    /// `push`: a branch is at another commit now.
    Pushed {
        /// Where it happened.
        place: EventRepository,
        /// The branch.
        branch: String,
        /// Where it was. Absent: it was not there.
        before: Option<Sha>,
        /// Where it is. Absent: it no longer exists.
        after: Option<Sha>,
        /// Who did it.
        sender: Person,
    },
    /// `repository.renamed`, `repository.transferred` and `repository.deleted`.
    RepositoryChanged {
        /// The repository as it is after that.
        place: EventRepository,
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
    /// What it says, in one line, where hob acts on it: two deliveries of one meaning are about the
    /// same act of the same person. A comment is written once, whatever becomes of it; a label can
    /// be put on again, at another time.
    pub fn meaning(&self) -> Option<String> {
        match self {
            Self::IssueLabeled { place, issue, label, at, sender } => {
                let (repo, issue, by) = (place.key(), issue.number, &sender.login);
                Some(format!("issues.labeled {repo}#{issue} {label} {by} {at}"))
            }
            Self::Commented { place, comment, .. } => {
                Some(format!("issue_comment.created {} {}", place.key(), comment.id))
            }
            // GitHub's times are whole seconds, in which two people can tick two boxes, or the same
            // one.
            Self::CommentEdited { place, comment, at, sender, .. } => {
                let (repo, text) = (place.key(), hex::encode(&Sha256::digest(&comment.body)[..8]));
                Some(format!("issue_comment.edited {repo} {} {} {at} {text}", comment.id, sender.login))
            }
            Self::IssueUnlabeled { place, issue, label, at, sender } => {
                let (repo, issue, by) = (place.key(), issue.number, &sender.login);
                Some(format!("issues.unlabeled {repo}#{issue} {label} {by} {at}"))
            }
            Self::IssueAssigned { place, issue, to, at, sender } => {
                let (repo, issue, by) = (place.key(), issue.number, &sender.login);
                Some(format!("issues.assigned {repo}#{issue} {} {by} {at}", to.login))
            }
            Self::IssueEnded { place, issue, ending, at, sender } => {
                let (repo, issue, by) = (place.key(), issue.number, &sender.login);
                Some(format!("issues.{} {repo}#{issue} {by} {at}", ending.as_str()))
            }
            Self::Reviewed { place, review, .. } => {
                Some(format!("pull_request_review.submitted {} {}", place.key(), review.id))
            }
            Self::PullMoved { place, pull, to, at, sender } => {
                let (repo, number, by) = (place.key(), pull.number, &sender.login);
                Some(format!("pull_request.{} {repo}#{number} {by} {at}", to.as_str()))
            }
            Self::CheckEnded { place, check, at } => {
                let EndedCheck { kind, id, head, .. } = check;
                Some(format!("{} {} {id} {head} {at}", kind.as_str(), place.key()))
            }
            // Where it goes now is asked for.
            Self::PullRetargeted { .. } | Self::RepositoryChanged { .. } => None,
            // Somebody may press the same button again, and GitHub notes no time for it.
            Self::CheckButton { .. } => None,
            Self::Pushed { place, branch, before, after, .. } => {
                let name = |sha: &Option<Sha>| sha.as_ref().map_or("none".to_owned(), Sha::to_string);
                Some(format!("push {} {branch} {} {}", place.key(), name(before), name(after)))
            }
            Self::Ping | Self::Other { .. } => None,
        }
    }

    /// Where it happened, where hob can use it.
    pub fn place(&self) -> Option<&EventRepository> {
        match self {
            Self::IssueLabeled { place, .. }
            | Self::IssueUnlabeled { place, .. }
            | Self::IssueAssigned { place, .. }
            | Self::IssueEnded { place, .. }
            | Self::Commented { place, .. }
            | Self::CommentEdited { place, .. }
            | Self::Reviewed { place, .. }
            | Self::PullMoved { place, .. }
            | Self::PullRetargeted { place, .. }
            | Self::CheckEnded { place, .. }
            | Self::CheckButton { place, .. }
            | Self::RepositoryChanged { place }
            | Self::Pushed { place, .. } => Some(place),
            Self::Ping | Self::Other { .. } => None,
        }
    }

    /// The same, for putting the repository's present name there.
    pub fn place_mut(&mut self) -> Option<&mut EventRepository> {
        match self {
            Self::IssueLabeled { place, .. }
            | Self::IssueUnlabeled { place, .. }
            | Self::IssueAssigned { place, .. }
            | Self::IssueEnded { place, .. }
            | Self::Commented { place, .. }
            | Self::CommentEdited { place, .. }
            | Self::Reviewed { place, .. }
            | Self::PullMoved { place, .. }
            | Self::PullRetargeted { place, .. }
            | Self::CheckEnded { place, .. }
            | Self::CheckButton { place, .. }
            | Self::RepositoryChanged { place }
            | Self::Pushed { place, .. } => Some(place),
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

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullTransition {
    /// It was closed, and its commits are not in.
    Closed,
    /// It was merged.
    Merged,
    /// It was opened again.
    Reopened,
}

impl PullTransition {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Merged => "merged",
            Self::Reopened => "reopened",
        }
    }
}

/// A pull request, as deliveries about it carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number in the repository.
    pub number: PullNumber,
    /// One line.
    pub title: String,
    /// Markdown; empty where GitHub sent null.
    pub body: String,
    /// Who opened it.
    pub author: Person,
    /// The branch with the work.
    pub head: String,
    /// The commit that it is at.
    pub head_sha: Sha,
    /// Whether that branch is in another repository, or in one that was deleted.
    pub is_from_fork: bool,
    /// The branch that it is to go to.
    pub base: String,
    /// Whether it is open.
    pub is_open: bool,
}

/// A review of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its id on the host.
    pub id: ReviewId,
    /// What the reviewer thinks.
    pub verdict: Verdict,
    /// Markdown; empty where there is none.
    pub body: String,
    /// The commit that it was written about, where GitHub says so.
    pub commit: Option<Sha>,
    /// When it was sent, by GitHub's clock.
    pub at: Timestamp,
}

/// What a reviewer thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may go in.
    Approved,
    /// It must be changed first.
    ChangesRequested,
    /// It neither approves nor requests changes.
    Commented,
}

/// Something that has looked at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedCheck {
    /// Which of GitHub's kinds it is.
    pub kind: CheckKind,
    /// Its id on the host, of its kind.
    pub id: u64,
    /// Its name; of a status, the context.
    pub name: String,
    /// The commit.
    pub head: Sha,
    /// Whether it found something wrong, or could not look.
    pub failed: bool,
    /// The App that made it, by its name in addresses, where GitHub says so.
    pub app: Option<String>,
    /// The same App by its number.
    pub app_id: Option<u64>,
}

/// GitHub's kinds of things that look at commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// A check run of an App; each job of GitHub Actions is one.
    CheckRun,
    /// A commit status.
    Status,
    /// A run of a workflow of GitHub Actions, which has jobs unless it could not start.
    WorkflowRun,
}

impl CheckKind {
    /// GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CheckRun => "check_run",
            Self::Status => "status",
            Self::WorkflowRun => "workflow_run",
        }
    }
}

/// The repository of an event, and the way back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRepository {
    /// GitHub's id of the repository. Absent in deliveries that hob wrote itself before it knew
    /// ids.
    pub id: Option<RepositoryId>,
    /// `owner/name`, when the delivery was written.
    pub repo: Repo,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// The App's installation, absent when the webhook belongs to a repository or organisation.
    pub installation: Option<InstallationId>,
}

impl EventRepository {
    /// Which repository it is.
    pub fn at(&self) -> RepositoryRef {
        RepositoryRef { id: self.id, repo: self.repo.clone(), installation: self.installation }
    }

    /// The repository in an event's meaning. The id, so that two deliveries of one meaning are
    /// alike though the repository was renamed between them.
    fn key(&self) -> String {
        self.id.map_or_else(|| self.repo.key(), |id| id.to_string())
    }
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
    /// Whether hob has read it by itself, later than what it is told with: then its text may have
    /// been changed since.
    pub read_later: bool,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id on the host.
    pub id: CommentId,
    /// The text, in Markdown.
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

impl Person {
    /// Whether the two are one account. The ids say so; logins only where an id is not known.
    pub fn is_same_as(&self, other: &Person) -> bool {
        match (self.id, other.id) {
            (Some(id), Some(other)) => id == other,
            _ => self.login.eq_ignore_ascii_case(&other.login),
        }
    }
}
