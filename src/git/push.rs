//! The push of one commit to one branch: one exact refspec, and only if the branch is where the
//! caller last saw it. Never forced, unless the caller says that the branch's commits are to be
//! replaced by those of a rebase. Made to be called again after a crash or a lost answer.

use std::cell::RefCell;
use std::path::Path;

use anyhow::anyhow;
use git2::{ErrorClass, ErrorCode, Oid, PushOptions, RemoteCallbacks, Repository};

use super::import::{HAND_OVER, open_quarantine};
use super::{Remote, RemoteError, branch_reference, check_branch, oid, prepare, sha, transport};
use crate::fail_point::around;
use crate::ids::Sha;

/// How much of what the host says during a push is kept, in bytes. Hosts put their reasons there.
const PROGRESS_BYTES: usize = 8 * 1024;

/// One push.
#[derive(Debug)]
pub struct Push<'a> {
    /// The quarantine of an import.
    pub quarantine: &'a Path,
    /// Where it goes.
    pub remote: &'a Remote,
    /// The branch to create or move forward.
    pub branch: &'a str,
    /// The commit that was imported.
    pub tip: &'a Sha,
    /// What the branch must point at now; `None` if it must not exist.
    pub expected: Option<&'a Sha>,
    /// Whether the branch need not move forward: its commits were made again. It has to be at
    /// `expected` all the same.
    pub replaces: bool,
}

/// How a push went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch was created or moved.
    Done,
    /// The branch was there already, most likely by an earlier call whose answer was lost.
    AlreadyThere,
}

/// Why the branch is not at the tip.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Somebody else moved the branch. Nothing was changed.
    #[error("the branch has moved: it is now at {}", found.as_ref().map_or("gone", Sha::as_str))]
    Moved {
        /// Where it points now; `None` if it does not exist.
        found: Option<Sha>,
    },
    /// The host refused the update. Holds what it said, fit for people.
    #[error("the git host rejected the push: {0}")]
    Refused(String),
    /// See [`RemoteError::Unauthorized`].
    #[error("the git host rejects the credentials: {0}")]
    Unauthorized(String),
    /// See [`RemoteError::NotFound`].
    #[error("the git host does not know the repository")]
    NotFound,
    /// See [`RemoteError::Redirected`].
    #[error("the repository has moved to {0}")]
    Redirected(String),
    /// See [`RemoteError::Unreachable`]. The push may have been done all the same: call again to
    /// find out.
    #[error("the git host is unreachable: {0}")]
    Unreachable(String),
    /// Anything else.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

impl From<RemoteError> for PushError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Unauthorized(text) => Self::Unauthorized(text),
            RemoteError::NotFound => Self::NotFound,
            RemoteError::Redirected(address) => Self::Redirected(address),
            RemoteError::Unreachable(text) => Self::Unreachable(text),
            RemoteError::Other(error) => Self::Other(error),
        }
    }
}

/// What one attempt came to, as far as the connection held.
#[derive(Debug, PartialEq)]
enum Attempt {
    Done,
    AlreadyThere,
    Moved(Option<Oid>),
    Refused(String),
}

/// Whether an attempt goes on when the branch is where it is expected.
#[derive(Clone, Copy, PartialEq)]
enum Intent {
    Push,
    Look,
}

/// Pushes, or finds that it has been done.
pub fn push(push: &Push<'_>) -> Result<Pushed, PushError> {
    let tip = check(push).map_err(PushError::Other)?;
    let expected = push.expected.map(oid).transpose().map_err(PushError::Other)?;
    let repository = open_quarantine(push.quarantine).map_err(PushError::Other)?;
    if repository.refname_to_id(HAND_OVER).ok() != Some(tip) {
        return Err(PushError::Other(anyhow!("the quarantine does not contain {tip}")));
    }
    let attempt = |intent| {
        transport::with_session(push.remote, push.quarantine, || {
            attempt(&repository, push, tip, expected, intent)
        })
    };
    let mut outcome = around("git", "push", || attempt(Intent::Push))?;
    if let Attempt::Refused(_) = outcome {
        // The branch may have moved between our look and our push; then that is the reason, and the
        // text is only the host's way of saying it. If it cannot be seen now, the text is what we
        // have.
        if let Ok(seen @ (Attempt::AlreadyThere | Attempt::Moved(_))) = attempt(Intent::Look) {
            outcome = seen;
        }
    }
    match outcome {
        Attempt::Done => Ok(Pushed::Done),
        Attempt::AlreadyThere => Ok(Pushed::AlreadyThere),
        Attempt::Moved(found) => {
            Err(PushError::Moved { found: found.map(sha).transpose().map_err(PushError::Other)? })
        }
        Attempt::Refused(text) => Err(PushError::Refused(text)),
    }
}

fn check(push: &Push<'_>) -> anyhow::Result<Oid> {
    prepare()?;
    check_branch(push.branch)?;
    oid(push.tip)
}

fn attempt(
    repository: &Repository,
    push: &Push<'_>,
    tip: Oid,
    expected: Option<Oid>,
    intent: Intent,
) -> Result<Attempt, git2::Error> {
    // Outlives the remote, whose callbacks write to it.
    let heard = Heard::default();
    let mut remote = repository.remote_anonymous(&push.remote.url)?;
    let mut options = PushOptions::new();
    options.remote_callbacks(heard.callbacks(expected, tip, intent));
    let forced = if push.replaces && expected.is_some() { "+" } else { "" };
    let refspec = format!("{forced}{HAND_OVER}:{}", branch_reference(push.branch));
    let result = remote.push(&[refspec], Some(&mut options));
    drop(options);
    let Heard { found, progress, refusal } = heard;
    if let Some(found) = found.into_inner() {
        // The negotiation stopped the push, unless all was as expected.
        if found == Some(tip) {
            return Ok(Attempt::AlreadyThere);
        }
        if found != expected {
            return Ok(Attempt::Moved(found));
        }
    }
    if let Some(reason) = refusal.into_inner() {
        return Ok(Attempt::Refused(said(&progress.into_inner(), &reason)));
    }
    match result {
        Ok(()) => Ok(Attempt::Done),
        Err(error) if error.code() == ErrorCode::NotFastForward => {
            Ok(Attempt::Refused("the commit does not build on the branch's head".to_owned()))
        }
        // The host took the pack and would not unpack it, as with a size limit or a failed check.
        Err(error) if error.class() == ErrorClass::Net && error.message().starts_with("unpacking") => {
            Ok(Attempt::Refused(said(&progress.into_inner(), error.message())))
        }
        Err(error) => Err(error),
    }
}

/// What the host told us during a push.
#[derive(Default)]
struct Heard {
    /// Where the branch points, once the host has listed its references.
    found: RefCell<Option<Option<Oid>>>,
    progress: RefCell<Vec<u8>>,
    refusal: RefCell<Option<String>>,
}

impl Heard {
    fn callbacks(&self, expected: Option<Oid>, tip: Oid, intent: Intent) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        // Compare and swap: the host accepts the push only if the branch is still where this list
        // says, and we go on only if that is where it should be. (`Remote::list` would tell too,
        // but panics if anybody has pushed a reference whose name is not UTF-8.)
        callbacks.push_negotiation(move |updates| {
            let [update] = updates else { return Err(git2::Error::from_str("expected exactly one update")) };
            let found = Some(update.src()).filter(|id| !id.is_zero());
            *self.found.borrow_mut() = Some(found);
            let may_go_on = intent == Intent::Push && found == expected && found != Some(tip);
            if may_go_on && update.dst() == tip {
                Ok(())
            } else {
                Err(git2::Error::from_str("cancelled before the push"))
            }
        });
        callbacks.push_update_reference(|_, status| {
            // A refused push is `Ok` to libgit2; only this tells.
            if let Some(status) = status {
                *self.refusal.borrow_mut() = Some(status.to_owned());
            }
            Ok(())
        });
        callbacks.sideband_progress(|bytes| {
            let mut progress = self.progress.borrow_mut();
            let room = PROGRESS_BYTES - progress.len();
            progress.extend_from_slice(&bytes[..bytes.len().min(room)]);
            true
        });
        callbacks
    }
}

/// The host's text, its own words first. Called within the session, which knows what to leave out.
fn said(progress: &[u8], reason: &str) -> String {
    let lines = String::from_utf8_lossy(progress).replace('\r', "\n");
    let lines: Vec<&str> = lines.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    transport::clean(&format!("{}\n{reason}", lines.join("\n")))
}
