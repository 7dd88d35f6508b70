//! Checks that have failed on a commit that hob pushed, as they become one task: which of them are
//! the work's doing, and what of a log an agent gets to read. Pure.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::CheckKind;
use crate::ids::Sha;

/// What hob calls its own check run and commit status.
pub const OWN_NAME: &str = "hob";
/// The App that the jobs of GitHub Actions are check runs of.
pub const ACTIONS: &str = "github-actions";
/// Checks whose output an agent gets. The others are named.
pub const MAX_SHOWN: usize = 10;

/// Lines of a log that an agent gets.
const MAX_LINES: usize = 200;
/// Bytes of it.
const MAX_BYTES: usize = 16 * 1024;
/// The length of the time that GitHub Actions puts before each line, without the fraction of the
/// second and the space.
const TIME: &str = "2026-11-24T08:00:00";

/// Checks of the git host's that have failed on one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedChecks {
    /// The commit. Absent: the branch's newest, whichever that is when the task is taken up.
    #[serde(default)]
    pub head: Option<Sha>,
    /// Whether a person has asked for it. Then it is no matter who pushed the commit, and how often
    /// hob has tried before.
    #[serde(default)]
    pub by_command: bool,
    /// What was found to fail there when the task was taken up. Empty before that.
    #[serde(default)]
    pub failing: Vec<FailedCheck>,
}

/// One check that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheck {
    /// Which of the host's kinds it is.
    pub kind: CheckKind,
    /// Its id on the host, of its kind.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The App that made it, by its name in addresses.
    pub app: Option<String>,
    /// Where people read about it.
    pub url: Option<String>,
    /// What it says about itself in a line.
    pub said: Option<String>,
}

/// A check as it stands on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCheck {
    /// What it is.
    pub check: FailedCheck,
    /// The App that made it, by its number.
    pub app_id: Option<u64>,
    /// The workflow of GitHub Actions that it is of, by its number, where that is known.
    pub workflow: Option<u64>,
    /// Where it stands.
    pub state: CheckState,
    /// When it came to its end, by the host's clock.
    pub at: Option<Timestamp>,
}

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It has not come to its end.
    Pending,
    /// It has found nothing wrong, or was not meant to look.
    Passed,
    /// It has found something wrong, or could not look.
    Failed,
    /// It waits for somebody to do something, and has not passed before that.
    NeedsAction,
}

/// What stands on a commit, as far as hob may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChecksOn {
    /// All that was found; the newest of each name.
    pub found: Vec<FoundCheck>,
    /// Whether the host does not show some of it to hob.
    pub is_hidden: bool,
}

/// What is to be made of the checks on a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckVerdict {
    /// What fails there and did not before.
    pub failing: Vec<FailedCheck>,
    /// The names of what fails there, and failed before the work began too.
    pub red_before: Vec<String>,
    /// The names of what waits for somebody to do something.
    pub needs_action: Vec<String>,
    /// Whether some have not come to their end.
    pub is_pending: bool,
}

impl FoundCheck {
    /// Whether it is the same check as one on another commit. Names alone do not tell: two
    /// workflows may each have a job `test`.
    fn is_same(&self, other: &FoundCheck) -> bool {
        (self.check.kind, self.app_id, &self.check.name)
            == (other.check.kind, other.app_id, &other.check.name)
            && (self.workflow == other.workflow || self.workflow.is_none() || other.workflow.is_none())
    }

    /// Whether it failed before too. Where it is not known which of several checks of that name it
    /// is, all of them must have.
    fn was_red(&self, before: &[FoundCheck]) -> bool {
        let mut same = before.iter().filter(|found| self.is_same(found)).peekable();
        let failed = |found: &FoundCheck| found.state == CheckState::Failed;
        match self.workflow {
            Some(_) => {
                let (known, unknown): (Vec<_>, Vec<_>) = same.partition(|found| found.workflow.is_some());
                if known.is_empty() {
                    !unknown.is_empty() && unknown.into_iter().all(failed)
                } else {
                    known.into_iter().any(failed)
                }
            }
            None if self.check.app.as_deref() == Some(ACTIONS) => same.peek().is_some() && same.all(failed),
            None => same.any(failed),
        }
    }
}

impl FailedChecks {
    /// The names of what fails, each once.
    pub fn names(&self) -> Vec<&str> {
        let mut known = HashSet::new();
        self.failing.iter().map(|check| check.name.as_str()).filter(|name| known.insert(*name)).collect()
    }

    /// The same once more, since a person wants it: no matter who has pushed since.
    pub fn again(&self) -> FailedChecks {
        FailedChecks { by_command: true, ..FailedChecks::default() }
    }
}

/// Whether a check is hob's own. `own_app` is hob's App, where it is one.
pub fn is_own(kind: CheckKind, name: &str, app_id: Option<u64>, own_app: Option<u64>) -> bool {
    match kind {
        CheckKind::CheckRun => own_app.is_some() && app_id == own_app,
        CheckKind::Status => name == OWN_NAME,
        CheckKind::WorkflowRun => false,
    }
}

/// Which checks on a commit are the work's doing: those that fail there, and did not fail where the
/// work began. With `is_asked` a person wants them seen to, and what an App waits for counts too:
/// that may be something about the commits. What GitHub Actions waits for is a person's approval.
pub fn judge(
    on_head: &[FoundCheck],
    before: &[FoundCheck],
    own_app: Option<u64>,
    is_asked: bool,
) -> CheckVerdict {
    let of_others = |found: &&FoundCheck| !is_own(found.check.kind, &found.check.name, found.app_id, own_app);
    let mut judged = CheckVerdict::default();
    for found in on_head.iter().filter(of_others) {
        let name = || found.check.name.clone();
        match found.state {
            CheckState::Passed => {}
            CheckState::Pending => judged.is_pending = true,
            CheckState::Failed if found.was_red(before) => judged.red_before.push(name()),
            CheckState::NeedsAction if !is_asked || found.check.app.as_deref() == Some(ACTIONS) => {
                judged.needs_action.push(name());
            }
            CheckState::Failed | CheckState::NeedsAction => judged.failing.push(found.check.clone()),
        }
    }
    judged
}

/// A log as a person reads it: without the time before each line, and without colours.
pub fn plain_log(log: &str) -> String {
    let plain = without_escapes(log);
    plain.lines().map(without_time).collect::<Vec<_>>().join("\n")
}

/// The end of a log, as an agent gets it: no more than so much of it. Secrets are taken out before.
pub fn log_tail(plain: &str) -> String {
    let lines: Vec<&str> = plain.lines().collect();
    let mut first = lines.len().saturating_sub(MAX_LINES);
    let mut bytes: usize = lines[first..].iter().map(|line| line.len() + 1).sum();
    while bytes > MAX_BYTES && first + 1 < lines.len() {
        bytes -= lines[first].len() + 1;
        first += 1;
    }
    let mut tail = lines[first..].join("\n");
    if tail.len() > MAX_BYTES {
        // One line, and longer than all may be.
        tail = tail.split_off(tail.ceil_char_boundary(tail.len() - MAX_BYTES));
    }
    tail.trim().to_owned()
}

/// A line without the time that GitHub Actions puts before it: `2026-11-24T08:00:00.1234567Z `.
fn without_time(line: &str) -> &str {
    let line = line.trim_start_matches('\u{feff}');
    let Some((time, rest)) = line.split_at_checked(TIME.len()) else { return line };
    let fits = time.bytes().zip(TIME.bytes()).all(|(is, should)| match should {
        b'0'..=b'9' => is.is_ascii_digit(),
        _ => is == should,
    });
    let fraction = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    match fraction.strip_prefix('Z') {
        Some(text) if fits => text.strip_prefix(' ').unwrap_or(text),
        _ => line,
    }
}

/// A text without the sequences by which terminals are steered, and without characters that nobody
/// sees.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // To the letter that ends it.
                while let Some(c) = characters.next_if(|c| !c.is_control()) {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
            '\n' | '\t' => plain.push(c),
            // Of no width, for the direction of text, tags: what people do not see.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e0fff}' => {}
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: CheckKind, name: &str, app_id: Option<u64>, state: CheckState) -> FoundCheck {
        let check = FailedCheck { kind, id: 1, name: name.to_owned(), app: None, url: None, said: None };
        FoundCheck { check, app_id, workflow: None, state, at: None }
    }

    fn job(name: &str, workflow: Option<u64>, state: CheckState) -> FoundCheck {
        let mut job = found(CheckKind::CheckRun, name, Some(15368), state);
        job.check.app = Some(ACTIONS.to_owned());
        FoundCheck { workflow, ..job }
    }

    #[test]
    fn a_check_is_known_by_app_workflow_and_name() {
        use CheckState::{Failed, Passed};
        let excused =
            |head: FoundCheck, before: &[FoundCheck]| judge(&[head], before, None, false).failing.is_empty();
        let red = |workflow| job("test", Some(workflow), Failed);
        assert!(excused(red(1), &[red(1)]));
        assert!(!excused(red(1), &[red(2), job("test", Some(1), Passed)]), "another workflow's");
        assert!(!excused(red(1), &[red(2)]), "another workflow's, and this one is new");
        let of_app = found(CheckKind::CheckRun, "test", Some(7), Failed);
        assert!(
            !excused(red(1), std::slice::from_ref(&of_app)) && !excused(of_app, &[red(1)]),
            "another App's"
        );
        // hob may not see which workflow it is.
        let unknown = |state| job("test", None, state);
        assert!(excused(unknown(Failed), &[unknown(Failed)]) && excused(red(1), &[unknown(Failed)]));
        assert!(!excused(unknown(Failed), &[unknown(Failed), unknown(Passed)]), "one of two");
        assert!(!excused(unknown(Failed), &[]) && !excused(red(1), &[]));
    }

    #[test]
    fn what_waits_for_somebody_has_not_passed_and_is_taken_up_where_a_person_asks() {
        let app = found(CheckKind::CheckRun, "DCO", Some(7), CheckState::NeedsAction);
        let on_head = [app, job("deploy", Some(1), CheckState::NeedsAction)];
        let judged = judge(&on_head, &[], None, false);
        assert_eq!(
            (judged.failing.len(), judged.needs_action),
            (0, vec!["DCO".to_owned(), "deploy".to_owned()])
        );
        let judged = judge(&on_head, &[], None, true);
        let failing: Vec<&str> = judged.failing.iter().map(|check| check.name.as_str()).collect();
        assert_eq!((failing, judged.needs_action), (vec!["DCO"], vec!["deploy".to_owned()]));
    }

    #[test]
    fn only_what_fails_now_did_not_before_and_is_not_hobs_own_is_the_works_doing() {
        use CheckKind::{CheckRun, Status};
        let on_head = [
            found(CheckRun, "build", Some(1), CheckState::Failed),
            found(CheckRun, "old", Some(1), CheckState::Failed),
            found(CheckRun, "fine", Some(1), CheckState::Passed),
            found(CheckRun, "hob", Some(7), CheckState::Failed),
            found(Status, "hob", None, CheckState::Failed),
            found(Status, "old", None, CheckState::Failed),
        ];
        let before = [
            found(CheckRun, "old", Some(1), CheckState::Failed),
            found(CheckRun, "build", Some(1), CheckState::Passed),
        ];
        let judged = judge(&on_head, &before, Some(7), false);
        let names: Vec<(CheckKind, &str)> =
            judged.failing.iter().map(|check| (check.kind, check.name.as_str())).collect();
        assert_eq!(names, [(CheckRun, "build"), (Status, "old")], "a status is no check run");
        assert_eq!((judged.red_before, judged.is_pending), (vec!["old".to_owned()], false));
        // Somebody else's check run may have that name, and so may a job of this very project's.
        assert!(!is_own(CheckRun, "hob", Some(1), Some(7)));
        assert!(!is_own(CheckRun, "hob", Some(1), None));
        let pending = [found(CheckRun, "slow", Some(1), CheckState::Pending)];
        assert!(judge(&pending, &[], None, false).is_pending);
        let own = [found(CheckRun, "hob", Some(7), CheckState::Pending)];
        assert!(!judge(&own, &[], Some(7), false).is_pending);
    }

    #[test]
    fn the_end_of_a_log_is_what_a_person_would_read() {
        let log = "\u{feff}2026-11-24T08:00:00.1234567Z \u{1b}[36;1mmake\u{1b}[0m\r\n\
                   2026-11-24T08:00:01.1234567Z ##[error]no\u{202e} \u{1b}]x\u{7}\n\
                   2026-11-24 is a day\nplain\n";
        assert_eq!(log_tail(&plain_log(log)), "make\n##[error]no ]x\n2026-11-24 is a day\nplain");
    }

    #[test]
    fn a_long_log_is_cut_at_its_beginning() {
        let log: String = (0..1000).map(|line| format!("line {line}\n")).collect();
        let tail = log_tail(&log);
        assert_eq!((tail.lines().count(), tail.lines().last()), (MAX_LINES, Some("line 999")));
        let wide: String = (0..100).map(|line| format!("{line} {}\n", "é".repeat(400))).collect();
        let tail = log_tail(&wide);
        assert!(tail.len() <= MAX_BYTES && tail.lines().count() == 20, "{}", tail.lines().count());
        let one = log_tail(&"é".repeat(MAX_BYTES));
        assert!(one.len() <= MAX_BYTES && one.len() > MAX_BYTES - 4, "{}", one.len());
    }
}
