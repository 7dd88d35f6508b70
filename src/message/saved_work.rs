//! What became of work that was cut short, in words: by a stop, by the end of patience, by time.

use std::time::Duration;

use jiff::Timestamp;

use super::budget::{at_cap_subject, cap_is_reached};
use super::left::left_out;
use super::{
    FailureClass, MAX_BRANCH, Spent, code, commits_in_words, failure_words, finished, login, quoted, whole,
};
use crate::event::{Ending, PullTransition};
use crate::ids::IssueNumber;
use crate::story::StopReason;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavedWork {
    /// The agent had not begun.
    NotBegun,
    /// The agent had changed nothing.
    Nothing,
    /// It is on the branch.
    Pushed {
        /// Which branch.
        branch: String,
        /// How many commits.
        commits: usize,
        /// Whether the last of them is what was not committed.
        is_wip: bool,
        /// Paths that no commit can take.
        left_out: Vec<String>,
    },
    /// It is not on the branch, and stays where it was.
    NotPushed {
        /// The class of the failure.
        class: FailureClass,
        /// Why, more exactly; may hold the agent's words.
        detail: String,
    },
}

/// The message of the commit that is made of what was not committed.
pub fn work_in_progress(why: &StopReason) -> String {
    match why {
        StopReason::Asked { by } | StopReason::Unlabeled { by } => {
            format!("WIP: stopped by @{}", login(by))
        }
        StopReason::AtMost { .. } => at_cap_subject(),
        StopReason::Ended { ending, .. } => format!("WIP: the issue was {}", ending.as_str()),
        StopReason::Pull { to, .. } => format!("WIP: the pull request was {}", to.as_str()),
        StopReason::WaitedTooLong => "WIP: waited too long for an answer".to_owned(),
        StopReason::Untouched => "WIP: workspace removed after a long silence".to_owned(),
    }
}

/// Said on the issue when work was stopped.
pub fn stopped(why: &StopReason, kept: &SavedWork, took: Spent) -> String {
    let happened = what_happened(why, kept);
    let again = match why {
        StopReason::Asked { .. } => "`/hob work` continues from there.",
        StopReason::AtMost { .. } => "Once they allow more, `/hob work` continues from there.",
        StopReason::Unlabeled { .. } => "The label or `/hob work` continues from there.",
        StopReason::Ended { .. } => "`/hob work` continues from there, if it is wanted after all.",
        StopReason::Pull { is_adopted: true, .. } => {
            "Nothing more is done here; `/hob work` on an issue starts new work."
        }
        StopReason::Pull { to: PullTransition::Merged, .. }
            if matches!(kept, SavedWork::NotPushed { .. }) =>
        {
            "`/hob work` discards it and starts again from what was merged."
        }
        StopReason::Pull { to: PullTransition::Merged, .. } => {
            "`/hob work` starts again from what was merged."
        }
        StopReason::Pull { .. } => "`/hob work` continues from there, with another pull request.",
        StopReason::WaitedTooLong | StopReason::Untouched => {
            "`/hob work …`, with your answer, continues from there."
        }
    };
    format!("{happened} {}\n\n{}", what_became(kept, again), finished(took))
}

fn what_happened(why: &StopReason, kept: &SavedWork) -> String {
    match why {
        StopReason::Asked { by } => {
            // Nobody is gone who never came.
            let gone = match kept {
                SavedWork::NotBegun => "",
                _ => " The agent has been stopped.",
            };
            format!("**Stopped, as @{by} asked.**{gone}")
        }
        StopReason::AtMost { reached } => {
            let reached = cap_is_reached(reached);
            format!("**Stopped. {reached} hob's operator allows no more.**")
        }
        StopReason::Unlabeled { by } => format!("**Stopped: @{by} removed the label.**"),
        StopReason::Ended { ending, by } => {
            let ended = ending_words(*ending);
            format!("**Stopped: the issue was {ended} by @{by}.**")
        }
        StopReason::Pull { to, by, .. } => {
            let moved = move_words(*to);
            match by.as_str() {
                "" => format!("**Stopped: the pull request was {moved}.**"),
                by => format!("**Stopped: the pull request was {moved} by @{by}.**"),
            }
        }
        StopReason::WaitedTooLong | StopReason::Untouched => {
            "**I stopped waiting for an answer.**".to_owned()
        }
    }
}

pub(super) fn ending_words(ending: Ending) -> &'static str {
    ending.as_str()
}

fn move_words(to: PullTransition) -> &'static str {
    to.as_str()
}

/// Said on the issue when a workspace was put away on which nothing had happened for long, and work
/// in it was pushed.
pub fn put_away(kept: &SavedWork) -> String {
    let again = "`/hob work` continues from there.";
    let what = what_became(kept, again);
    format!(
        "**I have removed my workspace** to save space, because nothing has happened here for a while. {what}"
    )
}

/// Said on the issue when the pull request was merged, and what an earlier task had left in the
/// workspace was pushed.
pub fn left_work_pushed(kept: &SavedWork) -> String {
    let again = "`/hob work` starts again from what was merged.";
    let what = what_became(kept, again);
    format!("**The pull request was merged without what was left in my workspace.** {what}")
}

/// Said on the issue when work begins again after a merge, and what was left in the workspace could
/// not be pushed before.
pub fn left_work_given_up() -> String {
    "**I start again from what was merged.** What was left in my workspace could not be pushed and is discarded."
    .to_owned()
}

/// Said on a pull request that is ready for review where work that was cut short is on its branch
/// now.
pub fn cut_short_on_branch(commits: usize, is_wip: bool, issue: IssueNumber) -> String {
    let commits = commits_of(commits, is_wip);
    format!(
        "**Work that was stopped is on this branch now:** {commits}. Nothing in it has been checked. #{issue} says why it was stopped and how to continue."
    )
}

pub(super) fn what_became(kept: &SavedWork, again: &str) -> String {
    match kept {
        SavedWork::NotBegun => {
            "The agent had not started, so nothing was changed. `/hob work` starts it.".to_owned()
        }
        SavedWork::Nothing => "The agent had changed nothing. `/hob work` starts again.".to_owned(),
        SavedWork::Pushed { branch, commits, is_wip, left_out: apart } => {
            let commits = commits_of(*commits, *is_wip);
            let branch = code(branch, MAX_BRANCH);
            let apart = left_out(apart).map(|apart| format!("{apart} ")).unwrap_or_default();
            format!("The agent's work is on the branch {branch}: {commits}. {apart}{again}")
        }
        SavedWork::NotPushed { class, detail } => {
            let mut why = Vec::new();
            // Its words are about a start, and nothing was to be started.
            if *class != FailureClass::NotReady {
                why.push(failure_words(*class).happened.to_owned());
            }
            let detail = whole(detail.trim(), 2_000);
            why.extend(Some(detail).filter(|detail| !detail.is_empty()));
            let why = quoted(&why.join("\n\n"));
            format!(
                "The agent's work could not be pushed:\n\n{why}\n\nThe workspace is kept as the agent left it. {again}"
            )
        }
    }
}

fn commits_of(commits: usize, is_wip: bool) -> String {
    let counted = commits_in_words(commits);
    match (commits, is_wip) {
        (_, false) => counted,
        (1, true) => format!("{counted}, `WIP`, with the uncommitted changes"),
        (_, true) => format!("{counted}, the last of them, `WIP`, with the uncommitted changes"),
    }
}

/// Said on the issue when a question has been open for long.
pub fn still_waiting(waited: Duration, until: Timestamp, branch: &str) -> String {
    let (waited, until, branch) = (for_people(waited), day(until), code(branch, MAX_BRANCH));
    format!(
        "**I am still waiting for an answer to my question,** {waited} by now. If there is none by {until}, I push what I have to \
         the branch {branch} and remove my workspace.\n\nAny answer keeps it."
    )
}

/// `53 days`; hours or minutes where it is less than one.
fn for_people(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (count, one, several) = match (minutes / (24 * 60), minutes / 60) {
        (0, 0) => (minutes, "minute", "minutes"),
        (0, hours) => (hours, "hour", "hours"),
        (days, _) => (days, "day", "days"),
    };
    format!("{count} {}", if count == 1 { one } else { several })
}

/// `2026-11-30 14:00 UTC`
fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPENT: Spent =
        Spent { duration_ms: 252_000, cost_usd: Some(0.834), turns: Some(3), tokens: None, stand_in: None };

    #[test]
    fn what_is_said_when_work_is_cut_short() {
        let asked = StopReason::Asked { by: "alice".to_owned() };
        let branch = || "hob/issue-1".to_owned();
        let pushed =
            |commits, is_wip| SavedWork::Pushed { branch: branch(), commits, is_wip, left_out: vec![] };
        let secret = SavedWork::NotPushed {
            class: FailureClass::HandOverRefused,
            detail: "They contain what hob does not push:\n\n- `a` contains a secret".to_owned(),
        };
        let moved = SavedWork::NotPushed { class: FailureClass::BranchMoved, detail: String::new() };
        let away = SavedWork::NotPushed { class: FailureClass::NotReady, detail: "Out of reach.".to_owned() };
        let said = || {
            [
                stopped(&asked, &SavedWork::NotBegun, SPENT),
                stopped(&asked, &SavedWork::Nothing, SPENT),
                stopped(&StopReason::Unlabeled { by: "alice".to_owned() }, &pushed(1, true), SPENT),
                stopped(
                    &StopReason::Ended { ending: Ending::Closed, by: "bob".to_owned() },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    &StopReason::Pull { to: PullTransition::Closed, by: "bob".to_owned(), is_adopted: false },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    &StopReason::Pull { to: PullTransition::Closed, by: "bob".to_owned(), is_adopted: true },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    &StopReason::Pull { to: PullTransition::Merged, by: String::new(), is_adopted: false },
                    &SavedWork::Nothing,
                    SPENT,
                ),
                stopped(
                    &StopReason::Pull { to: PullTransition::Merged, by: "bob".to_owned(), is_adopted: false },
                    &moved,
                    SPENT,
                ),
                left_work_pushed(&pushed(2, true)),
                left_work_given_up(),
                stopped(&asked, &pushed(1, false), SPENT),
                stopped(&asked, &pushed(1, true), SPENT),
                stopped(&asked, &pushed(3, true), SPENT),
                stopped(&asked, &secret, SPENT),
                stopped(&asked, &moved, SPENT),
                stopped(&asked, &away, SPENT),
                stopped(&StopReason::WaitedTooLong, &pushed(2, false), SPENT),
                stopped(&StopReason::WaitedTooLong, &moved, SPENT),
                put_away(&pushed(2, true)),
                still_waiting(
                    Duration::from_secs(53 * 24 * 3600 + 5),
                    Timestamp::from_second(1_800_000_000).unwrap(),
                    "hob/issue-1",
                ),
            ]
            .join("\n\n=====\n\n")
        };
        insta::assert_snapshot!("what_is_said_when_work_is_cut_short", said());
    }

    #[test]
    fn the_commit_of_work_in_progress_names_who_stopped_it_in_one_line() {
        let by = |by: &str| work_in_progress(&StopReason::Asked { by: by.to_owned() });
        assert_eq!(by("alice"), "WIP: stopped by @alice");
        assert_eq!(by("a\nlice"), "WIP: stopped by @alice");
    }

    #[test]
    fn times_are_for_people() {
        let told = [0, 60, 3_600, 2 * 3_600, 86_400, 60 * 86_400].map(Duration::from_secs).map(for_people);
        assert_eq!(told, ["0 minutes", "1 minute", "1 hour", "2 hours", "1 day", "60 days"]);
    }
}
