//! Work that was cut short, as its draft pull request tells of it: what is missing, and what comes
//! next. And the line by which other texts name that draft.

use super::budget::cap_is_reached;
use super::saved_work::ending_words;
use super::{contain_line, login};
use crate::agent::{TodoItem, TodoState};
use crate::event::PullTransition;
use crate::ids::{IssueNumber, PullNumber};
use crate::story::StopReason;
use crate::story::budget::ReachedCap;

/// Entries of the agent's list that are told.
const MAX_TODO: usize = 30;

/// Why work is not finished.
#[derive(Debug, Clone)]
pub enum WhyUnfinished<'a> {
    /// It was stopped.
    Stopped(&'a StopReason),
    /// It has reached a cap, and people are asked whether it may cost more.
    AtCap(&'a ReachedCap),
    /// It has failed.
    Failed,
    /// So many of its sub-issues are done.
    Parts {
        /// How many.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// What a draft tells of unfinished work.
#[derive(Debug, Clone)]
pub struct UnfinishedText<'a> {
    /// Why the work was cut short.
    pub why: WhyUnfinished<'a>,
    /// The story's issue.
    pub issue: IssueNumber,
    /// Where the work was asked for, and questions stand.
    pub asked_on: IssueNumber,
    /// The agent's own list.
    pub todo: &'a [TodoItem],
    /// Whether the repository has checks.
    pub has_checks: bool,
}

/// What stands at the beginning of a draft's body.
pub fn unfinished(text: &UnfinishedText<'_>) -> String {
    let (why, issue) = (why(text), text.issue);
    let mut parts = vec![format!("**Not finished.** {why}")];
    let open: Vec<&TodoItem> = text
        .todo
        .iter()
        .filter(|item| matches!(item.state, TodoState::Pending | TodoState::InProgress))
        .collect();
    let mut lines: Vec<String> =
        open.iter().take(MAX_TODO).map(|item| format!("- {}", contain_line(&item.text, 200))).collect();
    if open.len() > MAX_TODO {
        let more = open.len() - MAX_TODO;
        lines.push(format!("- and {more} more"));
    }
    if !lines.is_empty() {
        let lines = lines.join("\n");
        parts.push(format!("Still to do, by the agent's own list:\n\n{lines}"));
    }
    if text.has_checks {
        let not_run = "The repository's checks have not run on this.";
        parts.push(not_run.to_owned());
    }
    parts.push(format!("It is a draft until it is done. #{issue} says where it stands."));
    parts.join("\n\n")
}

fn why(text: &UnfinishedText<'_>) -> String {
    let issue = text.issue;
    match &text.why {
        WhyUnfinished::Failed => format!("The work has failed; #{issue} says why, and what to do."),
        WhyUnfinished::Parts { done, of } => format!("{done} of {of} sub-issues of #{issue} are done."),
        WhyUnfinished::AtCap(reached) => {
            let day = match reached.scope.is_days() {
                true => ", or when the next day begins (UTC)",
                false => "",
            };
            let (asked, cap) = (text.asked_on, cap_is_reached(reached));
            format!("{cap} I have asked on #{asked} whether it may cost more. I continue after a yes{day}.")
        }
        WhyUnfinished::Stopped(why) => why_stopped(why),
    }
}

fn why_stopped(why: &StopReason) -> String {
    match why {
        StopReason::Asked { by } => {
            let by = login(by);
            format!("{by} has stopped the work. `/hob work` continues from here.")
        }
        StopReason::Unlabeled { by } => {
            let by = login(by);
            format!("{by} removed the label. The label or `/hob work` continues from here.")
        }
        StopReason::Ended { ending, by } => {
            let (ended, by) = (ending_words(*ending), login(by));
            format!(
                "The issue was {ended} by {by}. `/hob work` continues from here, if it is wanted after all."
            )
        }
        StopReason::Pull { to: PullTransition::Merged, .. } => "It was merged as it is.".to_owned(),
        StopReason::Pull { .. } => "`/hob work` continues from here, with another pull request.".to_owned(),
        StopReason::WaitedTooLong => {
            "Nobody answered my question. `/hob work …`, with your answer, continues from here.".to_owned()
        }
        StopReason::AtMost { reached } => {
            let cap = cap_is_reached(reached);
            format!("{cap} hob's operator allows no more. Once they do, `/hob work` continues from here.")
        }
        StopReason::Untouched => {
            "Nothing has happened on it for a while. `/hob work` continues from here.".to_owned()
        }
    }
}

/// The line that names such a draft beside other words.
pub fn shown_as_draft(pull: PullNumber) -> String {
    format!("#{pull} shows what is done so far, as a draft.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Ending;
    use crate::story::budget::{Amount, Scope};

    #[test]
    fn what_a_draft_of_unfinished_work_says() {
        let item = |text: &str, state| TodoItem { text: text.to_owned(), state };
        let todo = [
            item("Read the parser", TodoState::Completed),
            item("Add the flag, @alice", TodoState::InProgress),
            item("Write a test\nFixes #3", TodoState::Pending),
        ];
        let reached = ReachedCap {
            scope: Scope::Story,
            cap: Amount::Usd(5.0),
            used: Amount::Usd(5.03),
            more: Some(Amount::Usd(3.0)),
        };
        let day = ReachedCap { scope: Scope::Day, ..reached };
        let bob = || "bob".to_owned();
        let stops = [
            StopReason::Asked { by: bob() },
            StopReason::Unlabeled { by: bob() },
            StopReason::Ended { ending: Ending::Closed, by: bob() },
            StopReason::WaitedTooLong,
            StopReason::AtMost { reached },
            StopReason::Untouched,
        ];
        let parts = WhyUnfinished::Parts { done: 2, of: 3 };
        let others =
            [WhyUnfinished::AtCap(&reached), WhyUnfinished::AtCap(&day), WhyUnfinished::Failed, parts];
        let (issue, asked_on) = (IssueNumber(1), IssueNumber(4));
        insta::assert_snapshot!("what_a_draft_of_unfinished_work_says", {
            let with = |why, todo, has_checks| {
                unfinished(&UnfinishedText { why, issue, asked_on, todo, has_checks })
            };
            let mut said = vec![with(WhyUnfinished::AtCap(&reached), &todo[..], true)];
            let all = others.iter().cloned().chain(stops.iter().map(WhyUnfinished::Stopped));
            said.extend(all.map(|why| with(why, &[], false)));
            said.push(shown_as_draft(PullNumber(2)));
            said.join("\n\n=====\n\n")
        });
    }
}
