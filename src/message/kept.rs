//! What became of work that was cut short, in words: by a stop, by the end of patience, by time.

use std::time::Duration;

use jiff::Timestamp;

use super::budget::{at_cap_subject, cap_is_reached};
use super::{FailureClass, Spent, commits_in_words, failure_words, finished, login, quoted, whole};
use crate::event::{Ending, PullMove};
use crate::language::{Language, say, word};
use crate::story::budget::Reached;

/// Why work was cut short.
#[derive(Debug, Clone, PartialEq)]
pub enum WhyStopped {
    /// A person said so.
    Asked {
        /// Who.
        by: String,
    },
    /// A person took the label off.
    Unlabeled {
        /// Who.
        by: String,
    },
    /// The issue came to an end.
    Ended {
        /// What became of it.
        ending: Ending,
        /// By whom.
        by: String,
    },
    /// The pull request was closed or merged.
    Pull {
        /// Which of the two.
        to: PullMove,
        /// By whom; empty where that is not known.
        by: String,
        /// Whether it is somebody else's, on which hob worked.
        theirs: bool,
    },
    /// Nobody answered its question.
    WaitedTooLong,
    /// It reached the most that whoever runs hob lets it cost.
    AtMost {
        /// Which cap.
        reached: Reached,
    },
    /// Nothing happened for so long that its workspace is put away.
    Untouched,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
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
    },
    /// It is not on the branch, and stays where it was.
    NotPushed {
        /// Why.
        class: FailureClass,
        /// Why, more exactly; may hold the agent's words.
        detail: String,
    },
}

/// The message of the commit that is made of what was not committed.
pub fn work_in_progress(why: &WhyStopped) -> String {
    match why {
        WhyStopped::Asked { by } | WhyStopped::Unlabeled { by } => {
            format!("WIP: stopped by @{}", login(by))
        }
        WhyStopped::AtMost { .. } => at_cap_subject(),
        WhyStopped::Ended { ending, .. } => format!("WIP: the issue was {}", ending.as_str()),
        WhyStopped::Pull { to, .. } => format!("WIP: the pull request was {}", to.as_str()),
        WhyStopped::WaitedTooLong => "WIP: waited too long for an answer".to_owned(),
        WhyStopped::Untouched => "WIP: put away after a long silence".to_owned(),
    }
}

/// Said on the issue when work was stopped.
pub fn stopped(language: Language, why: &WhyStopped, kept: &Kept, took: Spent) -> String {
    let happened = what_happened(language, why, kept);
    let again = match why {
        WhyStopped::Asked { .. } => {
            word!(language, "`/hob work` goes on from there.", "`/hob work` macht dort weiter.")
        }
        WhyStopped::AtMost { .. } => word!(
            language,
            "When they allow more, `/hob work` goes on from there.",
            "Wenn mehr erlaubt ist, macht `/hob work` dort weiter."
        ),
        WhyStopped::Unlabeled { .. } => word!(
            language,
            "The label or `/hob work` goes on from there.",
            "Das Label oder `/hob work` macht dort weiter."
        ),
        WhyStopped::Ended { .. } => word!(
            language,
            "`/hob work` goes on from there, should it be wanted after all.",
            "`/hob work` macht dort weiter, falls es doch noch gewünscht ist."
        ),
        WhyStopped::Pull { theirs: true, .. } => word!(
            language,
            "Nothing more is done here; `/hob work` on an issue begins anew.",
            "Hier geschieht nichts mehr; `/hob work` auf einem Issue beginnt neu."
        ),
        WhyStopped::Pull { to: PullMove::Merged, .. } if matches!(kept, Kept::NotPushed { .. }) => word!(
            language,
            "`/hob work` gives it up, and begins anew from what was merged.",
            "`/hob work` gibt ihn auf und beginnt neu, vom gemergten Stand aus."
        ),
        WhyStopped::Pull { to: PullMove::Merged, .. } => word!(
            language,
            "`/hob work` begins anew, from what was merged.",
            "`/hob work` beginnt neu, vom gemergten Stand aus."
        ),
        WhyStopped::Pull { .. } => word!(
            language,
            "`/hob work` goes on from there, with another pull request.",
            "`/hob work` macht dort weiter, mit einem anderen Pull Request."
        ),
        WhyStopped::WaitedTooLong | WhyStopped::Untouched => word!(
            language,
            "`/hob work …`, with your answer, goes on from there.",
            "`/hob work …`, mit deiner Antwort, macht dort weiter."
        ),
    };
    format!("{happened} {}\n\n{}", what_became(language, kept, again), finished(language, took))
}

fn what_happened(language: Language, why: &WhyStopped, kept: &Kept) -> String {
    match why {
        WhyStopped::Asked { by } => {
            // Nobody is gone who never came.
            let gone = match kept {
                Kept::NotBegun => "",
                _ => word!(language, " The agent is gone.", " Der Agent läuft nicht mehr."),
            };
            say!(language, "**Stopped, as @{by} asked.**{gone}", "**Angehalten, wie @{by} es wollte.**{gone}")
        }
        WhyStopped::AtMost { reached } => {
            let reached = cap_is_reached(language, reached);
            say!(
                language,
                "**Stopped. {reached} Whoever runs hob allows no more.**",
                "**Angehalten. {reached} Wer hob betreibt, erlaubt nicht mehr.**"
            )
        }
        WhyStopped::Unlabeled { by } => say!(
            language,
            "**Stopped: @{by} took the label off.**",
            "**Angehalten: @{by} hat das Label entfernt.**"
        ),
        WhyStopped::Ended { ending, by } => {
            let ended = ending_words(language, *ending);
            say!(
                language,
                "**Stopped: the issue was {ended} by @{by}.**",
                "**Angehalten: Das Issue wurde von @{by} {ended}.**"
            )
        }
        WhyStopped::Pull { to, by, .. } => {
            let moved = move_words(language, *to);
            match by.as_str() {
                "" => say!(
                    language,
                    "**Stopped: the pull request was {moved}.**",
                    "**Angehalten: Der Pull Request wurde {moved}.**"
                ),
                by => say!(
                    language,
                    "**Stopped: the pull request was {moved} by @{by}.**",
                    "**Angehalten: Der Pull Request wurde von @{by} {moved}.**"
                ),
            }
        }
        WhyStopped::WaitedTooLong | WhyStopped::Untouched => word!(
            language,
            "**I have given up waiting for an answer.**",
            "**Ich habe aufgehört, auf eine Antwort zu warten.**"
        )
        .to_owned(),
    }
}

pub(super) fn ending_words(language: Language, ending: Ending) -> &'static str {
    word!(
        language,
        ending.as_str(),
        match ending {
            Ending::Closed => "geschlossen",
            Ending::Deleted => "gelöscht",
            Ending::Transferred => "verschoben",
            Ending::Locked => "gesperrt",
        }
    )
}

fn move_words(language: Language, to: PullMove) -> &'static str {
    word!(
        language,
        to.as_str(),
        match to {
            PullMove::Closed => "geschlossen",
            PullMove::Merged => "gemergt",
            PullMove::Reopened => "wieder geöffnet",
        }
    )
}

/// Said on the issue when a workspace was put away on which nothing had happened for long, and work in it was pushed.
pub fn put_away(language: Language, kept: &Kept) -> String {
    let again = word!(language, "`/hob work` goes on from there.", "`/hob work` macht dort weiter.");
    let what = what_became(language, kept, again);
    say!(
        language,
        "**I have put my workspace away** to save space, since nothing has happened here for a while. {what}",
        "**Ich habe meinen Workspace weggeräumt**, um Platz zu sparen, denn hier ist eine Weile nichts geschehen. {what}"
    )
}

/// Said on the issue when the pull request was merged, and what an earlier task had left in the workspace was pushed.
pub fn left_work_pushed(language: Language, kept: &Kept) -> String {
    let again = word!(
        language,
        "`/hob work` begins anew, from what was merged.",
        "`/hob work` beginnt neu, vom gemergten Stand aus."
    );
    let what = what_became(language, kept, again);
    say!(
        language,
        "**The pull request was merged without what was left in my workspace.** {what}",
        "**Der Pull Request wurde ohne das gemergt, was noch in meinem Workspace lag.** {what}"
    )
}

/// Said on the issue when work begins anew after a merge, and what was left in the workspace could not be pushed before.
pub fn left_work_given_up(language: Language) -> String {
    word!(
        language,
        "**I begin anew, from what was merged.** What was left in my workspace from before could not be pushed, and is given up.",
        "**Ich beginne neu, vom gemergten Stand aus.** Was von vorher noch in meinem Workspace lag, konnte nicht gepusht werden und \
         ist aufgegeben."
    )
    .to_owned()
}

pub(super) fn what_became(language: Language, kept: &Kept, again: &str) -> String {
    match kept {
        Kept::NotBegun => word!(
            language,
            "The agent had not begun, so nothing was changed. `/hob work` starts it.",
            "Der Agent hatte noch nicht begonnen, also ist nichts geändert. `/hob work` startet ihn."
        )
        .to_owned(),
        Kept::Nothing => word!(
            language,
            "The agent had changed nothing. `/hob work` starts again.",
            "Der Agent hatte nichts geändert. `/hob work` beginnt neu."
        )
        .to_owned(),
        Kept::Pushed { branch, commits, is_wip } => {
            let commits = commits_of(language, *commits, *is_wip);
            say!(
                language,
                "What the agent had done is on the branch `{branch}`: {commits}. {again}",
                "Was der Agent getan hatte, liegt auf dem Branch `{branch}`: {commits}. {again}"
            )
        }
        Kept::NotPushed { class, detail } => {
            let mut why = Vec::new();
            // Its words are about a start, and nothing was to be started.
            if *class != FailureClass::NotReady {
                why.push(failure_words(language, *class).happened.to_owned());
            }
            let detail = whole(language, detail.trim(), 2_000);
            why.extend(Some(detail).filter(|detail| !detail.is_empty()));
            let why = quoted(&why.join("\n\n"));
            say!(
                language,
                "What the agent had done could not be pushed:\n\n{why}\n\nThe workspace is kept as the agent left it. {again}",
                "Was der Agent getan hatte, konnte nicht gepusht werden:\n\n{why}\n\nDer Workspace bleibt, wie der Agent ihn verlassen \
                 hat. {again}"
            )
        }
    }
}

fn commits_of(language: Language, commits: usize, is_wip: bool) -> String {
    let counted = commits_in_words(language, commits);
    match (commits, is_wip) {
        (_, false) => counted,
        (1, true) => say!(
            language,
            "{counted}, `WIP`, of what was not committed yet",
            "{counted}, `WIP`, aus dem, was noch nicht committet war"
        ),
        (_, true) => say!(
            language,
            "{counted}, the last of them, `WIP`, of what was not committed yet",
            "{counted}, der letzte davon, `WIP`, aus dem, was noch nicht committet war"
        ),
    }
}

/// Said on the issue when a question has been open for long.
pub fn still_waiting(language: Language, waited: Duration, until: Timestamp, branch: &str) -> String {
    let (waited, until) = (for_people(language, waited), day(until));
    say!(
        language,
        "**I am still waiting for an answer to my question,** {waited} by now. If there is none by {until}, I push what I have to \
         the branch `{branch}` and give my workspace up.\n\nAny answer keeps it.",
        "**Ich warte immer noch auf eine Antwort auf meine Frage,** inzwischen {waited}. Wenn bis {until} keine da ist, pushe ich, \
         was ich habe, auf den Branch `{branch}` und gebe meinen Workspace auf.\n\nJede Antwort erhält ihn."
    )
}

/// `53 days`; hours or minutes where it is less than one.
fn for_people(language: Language, time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (count, one, several) = match (minutes / (24 * 60), minutes / 60) {
        (0, 0) => (minutes, word!(language, "minute", "Minute"), word!(language, "minutes", "Minuten")),
        (0, hours) => (hours, word!(language, "hour", "Stunde"), word!(language, "hours", "Stunden")),
        (days, _) => (days, word!(language, "day", "Tag"), word!(language, "days", "Tage")),
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
    use crate::message::assert_said;

    const SPENT: Spent = Spent { duration_ms: 252_000, cost_usd: Some(0.834), turns: Some(3) };

    #[test]
    fn what_is_said_when_work_is_cut_short() {
        let asked = WhyStopped::Asked { by: "alice".to_owned() };
        let pushed = |commits, is_wip| Kept::Pushed { branch: "hob/issue-1".to_owned(), commits, is_wip };
        let secret = Kept::NotPushed {
            class: FailureClass::HandOverRefused,
            detail: "They hold what hob does not push:\n\n- `a` holds a secret".to_owned(),
        };
        let moved = Kept::NotPushed { class: FailureClass::BranchMoved, detail: String::new() };
        let away = Kept::NotPushed { class: FailureClass::NotReady, detail: "Out of reach.".to_owned() };
        let said = |language| {
            [
                stopped(language, &asked, &Kept::NotBegun, SPENT),
                stopped(language, &asked, &Kept::Nothing, SPENT),
                stopped(language, &WhyStopped::Unlabeled { by: "alice".to_owned() }, &pushed(1, true), SPENT),
                stopped(
                    language,
                    &WhyStopped::Ended { ending: Ending::Closed, by: "bob".to_owned() },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    language,
                    &WhyStopped::Pull { to: PullMove::Closed, by: "bob".to_owned(), theirs: false },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    language,
                    &WhyStopped::Pull { to: PullMove::Closed, by: "bob".to_owned(), theirs: true },
                    &pushed(1, true),
                    SPENT,
                ),
                stopped(
                    language,
                    &WhyStopped::Pull { to: PullMove::Merged, by: String::new(), theirs: false },
                    &Kept::Nothing,
                    SPENT,
                ),
                stopped(
                    language,
                    &WhyStopped::Pull { to: PullMove::Merged, by: "bob".to_owned(), theirs: false },
                    &moved,
                    SPENT,
                ),
                left_work_pushed(language, &pushed(2, true)),
                left_work_given_up(language),
                stopped(language, &asked, &pushed(1, false), SPENT),
                stopped(language, &asked, &pushed(1, true), SPENT),
                stopped(language, &asked, &pushed(3, true), SPENT),
                stopped(language, &asked, &secret, SPENT),
                stopped(language, &asked, &moved, SPENT),
                stopped(language, &asked, &away, SPENT),
                stopped(language, &WhyStopped::WaitedTooLong, &pushed(2, false), SPENT),
                stopped(language, &WhyStopped::WaitedTooLong, &moved, SPENT),
                put_away(language, &pushed(2, true)),
                still_waiting(
                    language,
                    Duration::from_secs(53 * 24 * 3600 + 5),
                    Timestamp::from_second(1_800_000_000).unwrap(),
                    "hob/issue-1",
                ),
            ]
            .join("\n\n=====\n\n")
        };
        assert_said!("what_is_said_when_work_is_cut_short", said);
    }

    #[test]
    fn the_commit_of_work_in_progress_names_who_stopped_it_in_one_line() {
        let by = |by: &str| work_in_progress(&WhyStopped::Asked { by: by.to_owned() });
        assert_eq!(by("alice"), "WIP: stopped by @alice");
        assert_eq!(by("a\nlice"), "WIP: stopped by @alice");
    }

    #[test]
    fn times_are_for_people() {
        let told = [0, 60, 3_600, 2 * 3_600, 86_400, 60 * 86_400]
            .map(Duration::from_secs)
            .map(|time| for_people(Language::En, time));
        assert_eq!(told, ["0 minutes", "1 minute", "1 hour", "2 hours", "1 day", "60 days"]);
    }
}
