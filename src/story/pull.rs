//! What becomes of a story's pull request: closed, merged, opened again; a draft, or ready. Pure.

use jiff::Timestamp;

use super::Story;
use crate::event::PullMove;

/// Where a story's pull request stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullState {
    /// It is open, or there is none.
    #[default]
    Open,
    /// It was closed, and its commits are not in.
    Closed,
    /// It was merged.
    Merged,
}

impl PullState {
    /// The word in the store; none for what is open.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Closed => Some("closed"),
            Self::Merged => Some("merged"),
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Closed, Self::Merged].into_iter().find(|state| state.as_str() == Some(word))
    }
}

impl From<PullMove> for PullState {
    fn from(to: PullMove) -> Self {
        match to {
            PullMove::Closed => Self::Closed,
            PullMove::Merged => Self::Merged,
            PullMove::Reopened => Self::Open,
        }
    }
}

impl Story {
    /// Whether hob follows its pull request up by itself: reviews, failed checks, a base that moves. Where people have closed
    /// or merged it, or closed the issue, only a command begins again.
    pub fn wants_follow_ups(&self) -> bool {
        self.pull.is_some() && self.pull_state == PullState::Open && !self.is_ended
    }

    /// Whether what GitHub tells of the story's pull request is news. Deliveries come late, twice and in any order.
    pub fn is_news(&self, to: PullMove, at: Timestamp) -> bool {
        let is_later = self.pull_moved_at.is_none_or(|moved| at >= moved);
        is_later && self.pull_state != PullState::from(to)
    }
}
