//! What becomes of a story's pull request: closed, merged, opened again; a draft, or ready. Pure.

use jiff::Timestamp;

use super::{Story, TaskKind};
use crate::event::PullTransition;
use crate::ids::PullNumber;

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

impl From<PullTransition> for PullState {
    fn from(to: PullTransition) -> Self {
        match to {
            PullTransition::Closed => Self::Closed,
            PullTransition::Merged => Self::Merged,
            PullTransition::Reopened => Self::Open,
        }
    }
}

impl Story {
    /// Whether its pull request is somebody else's: a command has hob work there, and the story is
    /// on it and on no issue. hob pushes to its branch and leaves the rest of it to people.
    pub fn is_adopted(&self) -> bool {
        self.pull.is_some_and(|pull| pull.0 == self.issue.0)
    }

    /// The pull request, where it is open.
    pub fn open_pull(&self) -> Option<PullNumber> {
        self.pull.filter(|_| self.pull_state == PullState::Open)
    }

    /// Whether an open pull request is the story's and goes to another branch than is known.
    pub fn goes_elsewhere(&self, pull: PullNumber, base: &str) -> bool {
        self.open_pull() == Some(pull) && self.base_branch != base
    }

    /// Whether a branch that was merged into another is the story's own, and nobody else's: one
    /// that hob may remove then.
    pub fn is_own_branch(&self, head: &str, base: &str, default_branch: Option<&str>) -> bool {
        let is_others =
            self.is_adopted() || head == base || head == self.base_branch || Some(head) == default_branch;
        head == self.branch && !is_others
    }

    /// The pull request, where it is open and shows work that was cut short.
    pub fn draft_pull(&self) -> Option<PullNumber> {
        self.open_pull().filter(|_| self.pull_unfinished)
    }

    /// Whether a task leaves such a pull request as it is: it is about less than the whole of the
    /// work.
    pub fn stays_unfinished(&self, about: &TaskKind) -> bool {
        self.draft_pull().is_some() && matches!(about, TaskKind::Checks(_) | TaskKind::Base(_))
    }

    /// Whether what GitHub tells of the story's pull request is news. Deliveries come late, twice
    /// and in any order.
    pub fn is_news(&self, to: PullTransition, at: Timestamp) -> bool {
        let is_later = self.pull_moved_at.is_none_or(|moved| at >= moved);
        is_later && self.pull_state != PullState::from(to)
    }
}

/// What is to be done about a pull request being a draft, where it should be `wanted` and is `is`:
/// the change, and whose doing it is then, as [`Story::pull_draft`] says it. What a person has
/// decided stays. `tried` is whether an earlier try may have made the change and not lived to write
/// it down.
pub fn draft_change(
    by_hob: Option<bool>,
    is: bool,
    wanted: bool,
    tried: bool,
) -> (Option<bool>, Option<bool>) {
    match by_hob {
        Some(made) if made == is => ((is != wanted).then_some(wanted), Some(wanted)),
        Some(_) if tried && is == wanted => (None, Some(wanted)),
        _ => (None, None),
    }
}

/// What is to be done about a pull request's title, where it should be `wanted` and is `is`: the
/// change, and what hob has called it then, as [`Story::pull_title`] says it. What a person has
/// called it stays. `tried` as with [`draft_change`].
pub fn title_change<'a>(
    by_hob: Option<&str>,
    is: &str,
    wanted: &'a str,
    tried: bool,
) -> (Option<&'a str>, Option<&'a str>) {
    match by_hob {
        Some(called) if called == is => ((is != wanted).then_some(wanted), Some(wanted)),
        _ if tried && is == wanted => (None, Some(wanted)),
        _ => (None, None),
    }
}

/// The branch for work that begins again after a merge: `hob/issue-1-2`, then `-3`. The one that
/// was merged may be there still, and a squash has left its commits out of the base.
pub fn next_branch(first: &str, last: &str) -> String {
    if last == first {
        return format!("{first}-2");
    }
    let count = last.strip_prefix(first).and_then(|rest| rest.strip_prefix('-')?.parse::<u32>().ok());
    match count {
        Some(count) => format!("{first}-{}", count + 1),
        // The settings have changed since; no branch of that name was this story's.
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_made_ready_by_whom_it_was_made() {
        // hob's own draft, done now; hob's own, not done yet; hob's own ready one, with a failing
        // check now.
        assert_eq!(draft_change(Some(true), true, false, false), (Some(false), Some(false)));
        assert_eq!(draft_change(Some(true), true, true, false), (None, Some(true)));
        assert_eq!(draft_change(Some(false), false, true, false), (Some(true), Some(true)));
        // A person made it a draft, or ready, since, or opened it.
        assert_eq!(draft_change(Some(false), true, false, false), (None, None));
        assert_eq!(draft_change(Some(true), false, true, false), (None, None));
        assert_eq!(draft_change(None, true, false, true), (None, None));
        // An earlier try has changed it, and died before it could say so.
        assert_eq!(draft_change(Some(true), false, false, true), (None, Some(false)));
    }

    #[test]
    fn a_title_is_changed_by_whom_it_was_given() {
        assert_eq!(title_change(Some("A"), "A", "B", false), (Some("B"), Some("B")));
        assert_eq!(title_change(Some("A"), "A", "A", false), (None, Some("A")));
        // A person has changed it, or opened it.
        assert_eq!(title_change(Some("A"), "Mine", "B", false), (None, None));
        assert_eq!(title_change(None, "Mine", "B", true), (None, None));
        // An earlier try has changed it, and died before it could say so.
        assert_eq!(title_change(Some("A"), "B", "B", true), (None, Some("B")));
    }

    #[test]
    fn after_each_merge_there_is_another_branch() {
        assert_eq!(next_branch("hob/issue-1", "hob/issue-1"), "hob/issue-1-2");
        assert_eq!(next_branch("hob/issue-1", "hob/issue-1-2"), "hob/issue-1-3");
        assert_eq!(next_branch("hob/issue-1", "hob/issue-12"), "hob/issue-1");
        assert_eq!(next_branch("bot/1", "hob/issue-1"), "bot/1");
    }
}
