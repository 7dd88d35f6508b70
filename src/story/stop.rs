//! Why work on a story is stopped: one list for the act of a person, for what the store keeps until
//! a worker has stopped the task, and for what people read about it (`message/saved_work.rs`).

use super::budget::ReachedCap;
use crate::event::{Ending, PullTransition};

/// Why work on a story is stopped. `by` is the login of the person who did it; empty where that is
/// not known.
#[derive(Debug, Clone, PartialEq)]
pub enum StopReason {
    /// Somebody gave the command.
    Asked {
        /// The login of the person.
        by: String,
    },
    /// Somebody took hob's label off.
    Unlabeled {
        /// The login of the person.
        by: String,
    },
    /// The issue was closed, locked, transferred or deleted.
    Ended {
        /// Which of them.
        ending: Ending,
        /// The login of the person.
        by: String,
    },
    /// The pull request was closed or merged.
    Pull {
        /// Which of the two.
        to: PullTransition,
        /// The login of the person.
        by: String,
        /// Whether hob only worked on it, and somebody else opened it.
        is_adopted: bool,
    },
    /// Nobody answered a question, though people were told what would follow.
    WaitedTooLong,
    /// It reached a cap that people on GitHub cannot raise.
    AtMost {
        /// The cap.
        reached: ReachedCap,
    },
    /// Nothing happened for so long that its workspace is removed.
    Untouched,
}

impl StopReason {
    /// The word in the store. A cap and a long silence stop a task at once and are not stored.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Asked { .. } => "asked",
            Self::Unlabeled { .. } => "unlabeled",
            Self::Ended { ending, .. } => ending.as_str(),
            Self::Pull { to: PullTransition::Merged, .. } => "pull_merged",
            Self::Pull { .. } => "pull_closed",
            Self::WaitedTooLong => "waited",
            Self::AtMost { .. } => "cap",
            Self::Untouched => "untouched",
        }
    }

    /// The reason that the store has this word for.
    pub fn from_word(word: &str, by: String, is_adopted: bool) -> Option<StopReason> {
        Some(match word {
            "asked" => Self::Asked { by },
            "unlabeled" => Self::Unlabeled { by },
            "pull_merged" => Self::Pull { to: PullTransition::Merged, by, is_adopted },
            "pull_closed" => Self::Pull { to: PullTransition::Closed, by, is_adopted },
            "waited" => Self::WaitedTooLong,
            other => Self::Ended { ending: Ending::from_word(other)?, by },
        })
    }

    /// Who stopped it; empty where no person did, or it is not known who.
    pub fn by(&self) -> &str {
        match self {
            Self::Asked { by } | Self::Unlabeled { by } | Self::Ended { by, .. } | Self::Pull { by, .. } => {
                by
            }
            Self::WaitedTooLong | Self::AtMost { .. } | Self::Untouched => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_reads_as_it_was() {
        let by = || "alice".to_owned();
        let pull = |to, is_adopted| StopReason::Pull { to, by: by(), is_adopted };
        for reason in [
            StopReason::Asked { by: by() },
            StopReason::Unlabeled { by: by() },
            StopReason::Ended { ending: Ending::Closed, by: by() },
            StopReason::Ended { ending: Ending::Transferred, by: by() },
            pull(PullTransition::Merged, false),
            pull(PullTransition::Closed, true),
            StopReason::WaitedTooLong,
        ] {
            let is_adopted = matches!(reason, StopReason::Pull { is_adopted: true, .. });
            let read = StopReason::from_word(reason.as_str(), reason.by().to_owned(), is_adopted);
            assert_eq!(read, Some(reason));
        }
        assert_eq!(StopReason::from_word("bored", by(), false), None);
    }
}
