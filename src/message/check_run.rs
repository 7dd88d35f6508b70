//! What stands in hob's check run beside a commit: a title, and below what the status comment says
//! the evidence, which is what came of the repository's checks, and the end of the agent's log.
//! With a token, the one line of the commit status.

use super::contain::{contain_line, tail_as_code};
use super::status::the_branch;
use super::{MAX_BRANCH, StatusText, code, status};
use crate::agent::Signal;
use crate::message::Phase;
use crate::story::checks::Checked;

/// Characters of a title. A commit status has room for 140.
const MAX_TITLE: usize = 120;
/// Characters of the status in a summary. GitHub takes 65,535.
const MAX_SUMMARY: usize = 60_000;
/// Characters of all that stands below it. GitHub takes 65,535, and what is taken out of it may
/// leave something longer.
const MAX_TEXT: usize = 65_000;
/// Characters of the agent's log, where there is room.
const MAX_LOG_LEN: usize = 30_000;
/// Characters of what a check has printed, where there is room.
const MAX_OUTPUT: usize = 10_000;

/// Said where a commit is not the story branch's head any more.
pub fn has_moved_on() -> &'static str {
    "The branch has moved on"
}

/// Said in a check run that GitHub has made of a try that hob believed lost.
pub fn told_elsewhere() -> &'static str {
    "Another check run shows this"
}

/// Said while the checks run once more because somebody asked for that.
pub fn checked_again() -> &'static str {
    "The checks run again"
}

/// The title of a check run: where the story stands, in one line. `checked` is what came of the
/// checks on this commit.
pub fn check_run_title(text: &StatusText<'_>, checked: Option<&Checked>) -> String {
    let title = match text.phase {
        Phase::Queued { .. } => "Queued",
        Phase::WaitsUntil(_) | Phase::Retrying(..) => "Waiting to try again",
        Phase::Gathering(_) => "A check has failed",
        Phase::Listening(_) => "Reading the review",
        Phase::WaitsForLimit(..) => "Waiting for a usage limit",
        Phase::Starting => "Getting ready",
        Phase::Working => &at_work(text),
        Phase::Planning => "Planning, nothing is changed yet",
        Phase::Stopping => "Stopping",
        Phase::Publishing => "Handing over",
        Phase::Waiting(_) => "Waiting for an answer",
        Phase::WaitingForGo(_) => "A plan waits for your approval",
        Phase::NotProposed => "GitHub rejected the pull request",
        Phase::Over => match checked.and_then(Checked::failing) {
            Some(failing) => {
                let command = &failing.command;
                &format!("Fails: {command}")
            }
            None => &headline(text),
        },
    };
    contain_line(title, MAX_TITLE)
}

fn at_work(text: &StatusText<'_>) -> String {
    use crate::agent::TodoState::{Cancelled, Completed};
    let done = text.todo.iter().filter(|item| item.state == Completed).count();
    let all = text.todo.iter().filter(|item| item.state != Cancelled).count();
    if all == 0 {
        return "At work".to_owned();
    }
    format!("At work: {done} of {all} done")
}

/// What the words about the newest task begin with.
fn headline(text: &StatusText<'_>) -> String {
    let nothing = "Nothing is under way";
    let words = text.over.first().copied().unwrap_or(nothing);
    let line = words.lines().next().unwrap_or_default();
    let bold = line.strip_prefix("**").and_then(|rest| rest.split_once("**")).map(|(bold, _)| bold);
    let pull = text.pull.map_or_else(|| the_branch().to_owned(), |pull| format!("#{pull}"));
    bold.unwrap_or(line).replace("#{pull}", &pull).trim_end_matches(['.', ',', ':']).to_owned()
}

/// The summary of a check run: what the status comment says.
pub fn check_run_summary(text: &StatusText<'_>) -> String {
    status(text).chars().take(MAX_SUMMARY).collect()
}

/// The summary of a check run of a commit that is not the story branch's head any more.
pub fn moved_on(web: &str, branch: &str, to: &str) -> String {
    let short: String = to.chars().take(12).collect();
    let branch = code(branch, MAX_BRANCH);
    format!("{branch} is at [{short}]({web}/commit/{to}) now. hob reports there.")
}

/// What stands below the summary: the evidence, and the end of the agent's log. Nothing where there
/// is neither.
pub fn check_run_text(checked: Option<&Checked>, log: &[Signal]) -> Option<String> {
    // Of each output and of the log a smaller part, until all of it has room.
    let shares = (0..).map(|halvings| 1_usize << halvings).take_while(|share| *share <= MAX_LOG_LEN);
    let mut texts = shares.filter_map(|share| text_with(checked, log, share));
    texts.find(|text| text.chars().count() <= MAX_TEXT)
}

fn text_with(checked: Option<&Checked>, log: &[Signal], share: usize) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(checked) = checked {
        parts.push(format!("### Checks\n\n{}", super::checks_table(checked)));
        for result in checked.results.iter().filter(|result| !result.passed()) {
            if !result.output.trim().is_empty() {
                let command = super::checks::command(&result.command);
                let output = tail_as_code(&result.output, MAX_OUTPUT / share);
                parts.push(format!("What {command} printed at the end:\n\n{output}"));
            }
        }
    }
    let lines: Vec<String> = log
        .iter()
        .filter_map(|signal| match signal {
            Signal::Says(words) => Some(words.clone()),
            Signal::Uses(tool) => Some(format!("  · {tool}")),
            _ => None,
        })
        .collect();
    if !lines.is_empty() {
        let log = tail_as_code(&lines.join("\n"), MAX_LOG_LEN / share);
        parts.push(format!("### Log\n\nThe end of what the agent said and did:\n\n{log}"));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{TodoItem, TodoState};
    use crate::ids::PullNumber;
    use crate::message::{Spent, status};
    use crate::story::checks::{CheckEnd, CheckResult};

    fn text(phase: Phase) -> StatusText<'static> {
        StatusText {
            took: Spent::default(),
            branch: Some("hob/issue-1"),
            pull: Some(PullNumber(2)),
            ..status::tests::text(phase)
        }
    }

    fn checked() -> Checked {
        let result = |command: &str, code, output: &str| CheckResult {
            command: command.to_owned(),
            end: CheckEnd::Exited(code),
            duration_ms: 12_000,
            output: output.to_owned(),
            refused: Vec::new(),
        };
        Checked {
            tip: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            image: "hob-claude:latest".to_owned(),
            image_id: "sha256:6cca1c50e0e1a2e621ec4afe4319".to_owned(),
            network: false,
            hosts: Vec::new(),
            results: vec![
                result("make test", 0, "ok\n"),
                result("make lint", 2, "…\nsrc/main.rs: `x` is not used\n```\n@alice, see\n"),
            ],
        }
    }

    #[test]
    fn the_title_says_where_the_story_stands() {
        let item = |state| TodoItem { text: "a".to_owned(), state };
        let todo = [item(TodoState::Completed), item(TodoState::Pending), item(TodoState::Cancelled)];
        let over = |over: &[&str]| check_run_title(&StatusText { over, ..text(Phase::Over) }, None);
        let done = "Done: #{pull} has 1 commit for you to review.\n\n<sub>finished in 3 s</sub>";
        let at = "2026-11-24T14:05:00Z".parse().unwrap();
        let phases = [
            Phase::Queued { ahead: None },
            Phase::WaitsUntil(at),
            Phase::Gathering(at),
            Phase::Listening(at),
            Phase::WaitsForLimit(crate::ids::AgentKind::Claude, at),
            Phase::Starting,
            Phase::Working,
            Phase::Planning,
            Phase::Stopping,
            Phase::Publishing,
            Phase::Waiting(None),
            Phase::WaitingForGo(None),
            Phase::NotProposed,
        ];
        let titles = || {
            let failing = StatusText { over: &[done], ..text(Phase::Over) };
            let mut titles = vec![
                check_run_title(&StatusText { todo: &todo, ..text(Phase::Working) }, None),
                over(&[done]),
                over(&["**The agent ended with an error.**\n\nMore."]),
                over(&["**Stopped, as @bob asked.** The branch has it."]),
                check_run_title(&failing, Some(&checked())),
                over(&[]),
            ];
            titles.extend(phases.map(|phase| check_run_title(&text(phase), None)));
            titles.extend([has_moved_on(), told_elsewhere(), checked_again()].map(str::to_owned));
            titles.push(moved_on("https://github.com/acme/tool", "hob/issue-1", &"a".repeat(40)));
            titles.join("\n")
        };
        insta::assert_snapshot!("the_title_says_where_the_story_stands", titles());
    }

    #[test]
    fn evidence_and_log_stand_below() {
        let log = [
            Signal::Says("I add the flag.".to_owned()),
            Signal::Uses("Bash: cargo test".to_owned()),
            Signal::TurnEnded,
            Signal::Says("```done```".to_owned()),
        ];
        insta::assert_snapshot!("evidence_and_log_stand_below", {
            check_run_text(Some(&checked()), &log).unwrap()
        });
        assert_eq!(check_run_text(None, &[]), None);
    }

    #[test]
    fn however_much_there_is_to_tell_github_takes_it_and_something_of_all_is_told() {
        let log = vec![Signal::Says("x".repeat(300)); 1000];
        for output in ["a line that a check has printed\n".repeat(300), "`".repeat(9_000)] {
            let mut checked = checked();
            checked.results = (0..20)
                .map(|at| CheckResult {
                    command: format!("check-{at} {}", "y".repeat(300)),
                    end: CheckEnd::Exited(1),
                    duration_ms: 1,
                    output: output.clone(),
                    refused: Vec::new(),
                })
                .collect();
            let text = check_run_text(Some(&checked), &log).unwrap();
            assert!(text.chars().count() <= MAX_TEXT, "{}", text.len());
            assert_eq!(text.matches(" printed at the end:").count(), 20);
            assert!(text.contains("### Log") && text.contains("xxx"));
        }
    }
}
