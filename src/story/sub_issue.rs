//! Sub-issues that are worked on together: the parts of their parent's story, one task after the
//! other. A task holds all of them, and which one is its own; the next task is made when it has
//! ended well (`store/sub_issues.rs`), so that one that fails holds up the rest. Pure.

use serde::{Deserialize, Serialize};

use super::{TaskKind, TaskRequest};
use crate::ids::IssueNumber;

/// More sub-issues than this are not taken up at once.
pub const MAX_PARTS: usize = 50;

/// Sub-issues in their order, and the one whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubIssueOrder {
    /// All of them, as they were when the work was asked for.
    pub parts: Vec<SubIssue>,
    /// Which of them the task is about, counted from 0.
    pub at: usize,
}

/// A sub-issue, frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubIssue {
    /// Its number, in the repository of its parent.
    pub number: IssueNumber,
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// Who wrote it.
    pub by: String,
    /// Whether they might push to the repository then.
    pub may_push: bool,
}

impl SubIssueOrder {
    /// The one whose turn it is.
    pub fn part(&self) -> Option<&SubIssue> {
        self.parts.get(self.at)
    }

    /// The same with the next one's turn, where there is one.
    pub fn next(&self) -> Option<SubIssueOrder> {
        let at = self.at + 1;
        (at < self.parts.len()).then(|| SubIssueOrder { parts: self.parts.clone(), at })
    }
}

/// Where a sub-issue of a story stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubIssueStatus {
    /// Its number.
    pub number: IssueNumber,
    /// One line.
    pub title: String,
    /// Whether a task about it has ended well.
    pub is_done: bool,
    /// Whether the story's newest task about sub-issues is about it.
    pub is_current: bool,
}

/// Where each sub-issue of a story stands, in order; `tasks` are all of the story's, oldest first:
/// what was asked for, and whether it has ended well.
pub fn standings<'a>(tasks: impl Iterator<Item = (&'a TaskRequest, bool)>) -> Vec<SubIssueStatus> {
    let mut all: Vec<SubIssueStatus> = Vec::new();
    for (ask, ended_well) in tasks {
        let TaskKind::SubIssue(together) = &ask.about else { continue };
        for (at, part) in together.parts.iter().enumerate() {
            let place = all.iter().position(|known| known.number == part.number).unwrap_or_else(|| {
                let (number, title) = (part.number, part.title.clone());
                all.push(SubIssueStatus { number, title, is_done: false, is_current: false });
                all.len() - 1
            });
            all[place].is_current = at == together.at;
            all[place].is_done |= ended_well && at == together.at;
        }
        // Those of an earlier request that are not in this one.
        let is_of_now = |number| together.parts.iter().any(|part| part.number == number);
        all.iter_mut().filter(|known| !is_of_now(known.number)).for_each(|known| known.is_current = false);
    }
    all
}

/// The issues that a story's pull request closes: each sub-issue that is done, and the story's own
/// issue once all of them are.
pub fn to_close(issue: IssueNumber, standings: &[SubIssueStatus]) -> Vec<IssueNumber> {
    let own = standings.iter().all(|standing| standing.is_done).then_some(issue);
    let done = standings.iter().filter(|standing| standing.is_done).map(|standing| standing.number);
    own.into_iter().chain(done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Choice;

    fn together(numbers: &[u64], at: usize) -> TaskRequest {
        let part = |number: &u64| SubIssue {
            number: IssueNumber(*number),
            title: format!("T{number}"),
            body: String::new(),
            by: "alice".into(),
            may_push: true,
        };
        let about = TaskKind::SubIssue(SubIssueOrder { parts: numbers.iter().map(part).collect(), at });
        TaskRequest {
            by: "alice".into(),
            by_id: None,
            title: "Parent".into(),
            body: String::new(),
            text: None,
            choice: Choice::default(),
            on: None,
            about,
        }
    }

    fn of(tasks: &[(TaskRequest, bool)]) -> Vec<(u64, bool, bool)> {
        let all = standings(tasks.iter().map(|(ask, done)| (ask, *done)));
        all.iter().map(|one| (one.number.0, one.is_done, one.is_current)).collect()
    }

    fn closed(tasks: &[(TaskRequest, bool)]) -> Vec<u64> {
        let all = standings(tasks.iter().map(|(ask, done)| (ask, *done)));
        to_close(IssueNumber(1), &all).into_iter().map(|number| number.0).collect()
    }

    #[test]
    fn the_next_comes_after_each_but_the_last() {
        let TaskKind::SubIssue(first) = together(&[2, 3], 0).about else { panic!() };
        let second = first.next().expect("another");
        assert_eq!(second.part().map(|part| part.number), Some(IssueNumber(3)));
        assert_eq!(second.next(), None);
    }

    #[test]
    fn what_is_done_stays_done_when_the_rest_is_asked_for_again() {
        let plain = TaskRequest { about: TaskKind::Issue, ..together(&[2], 0) };
        assert!(of(&[(plain.clone(), true)]).is_empty());
        assert_eq!(closed(&[(plain.clone(), true)]), [1], "an issue without parts is closed itself");

        let mut tasks = vec![(together(&[2, 3, 4], 0), true), (together(&[2, 3, 4], 1), false)];
        assert_eq!(of(&tasks), [(2, true, false), (3, false, true), (4, false, false)]);
        assert_eq!(closed(&tasks), [2], "the parent is not done yet");

        // The failed one is tried again, then the rest is asked for again, with one more.
        tasks.extend([(together(&[2, 3, 4], 1), true), (plain, true), (together(&[4, 5], 0), true)]);
        assert_eq!(of(&tasks), [(2, true, false), (3, true, false), (4, true, true), (5, false, false)]);
        assert_eq!(closed(&tasks), [2, 3, 4]);
        tasks.push((together(&[4, 5], 1), true));
        assert_eq!(closed(&tasks), [1, 2, 3, 4, 5]);
    }
}
