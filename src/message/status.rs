//! The status comment of a story: one for each story, changed in place. It says what is happening
//! now and, once that is over, how it ended; what ended before is folded in below.

use jiff::Timestamp;

use super::{
    MAX_BRANCH, Spent, agent_name, code, contain_line, dollars, in_address, login, shown_as_draft, spent,
    waits_for_limit,
};
use crate::agent::{FailureClass, TodoItem, TodoState};
use crate::ids::{AgentKind, CheckRunId, CommentId, PullNumber, RunId};
use crate::story::sub_issue::SubIssueStatus;

/// Entries of an agent's list that are shown.
const MAX_TODO: usize = 30;
/// Characters of the agent's last line.
const MAX_SAID: usize = 300;
/// Characters of all that ended before. GitHub takes 65,536 for the whole comment.
const MAX_BEFORE: usize = 10_000;

/// What a status comment is made from.
#[derive(Debug, Clone)]
pub struct StatusText<'a> {
    /// Where the story stands.
    pub phase: Phase,
    /// The repository's page, without a slash at its end.
    pub web: &'a str,
    /// The issue that the comment is on.
    pub issue: u64,
    /// Where the question that it waits with is asked.
    pub asked_on: u64,
    /// The agent of the newest run.
    pub agent: Option<AgentKind>,
    /// What the task has taken so far.
    pub took: Spent,
    /// What it may cost, in dollars.
    pub cap_usd: Option<f64>,
    /// What the agent said last.
    pub said: Option<&'a str>,
    /// The agent's own list.
    pub todo: &'a [TodoItem],
    /// The story branch, once it is on the git host.
    pub branch: Option<&'a str>,
    /// The pull request.
    pub pull: Option<PullNumber>,
    /// The pull request, where it is a draft that shows work that was cut short.
    pub draft: Option<PullNumber>,
    /// What people have done with the pull request, once it is not open any more.
    pub pull_over: Option<EndedPull<'a>>,
    /// The newest run, whose log the operator has.
    pub run: Option<RunId>,
    /// The check run that holds the end of that log.
    pub log: Option<CheckRunId>,
    /// Whose comments the agent was told while it works.
    pub told: &'a [&'a str],
    /// Whose comments wait to be told, or become the next task.
    pub heard: &'a [&'a str],
    /// The issue's sub-issues, where the story works on them.
    pub sub_issues: &'a [SubIssueStatus],
    /// Whether the newest task has ended without success, so that it can be tried again.
    pub can_be_retried: bool,
    /// Further tasks that wait their turn.
    pub queued_behind: u32,
    /// What is to be said about tasks that are over, newest first.
    pub over: &'a [&'a str],
    /// What is to be said about what GitHub has refused for good.
    pub refused: &'a [&'a str],
}

/// Where a story stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A task waits for a worker.
    Queued {
        /// Tasks before it in the queue, where that is known.
        ahead: Option<usize>,
    },
    /// A task waits for a time.
    WaitsUntil(Timestamp),
    /// A task is tried again at a time, for that reason.
    Retrying(Timestamp, FailureClass, RetryCount),
    /// A task waits for more of what it is about.
    Gathering(Timestamp),
    /// A task about a review waits for what else is said.
    Listening(Timestamp),
    /// A task waits for the reset of an agent's usage limit.
    WaitsForLimit(AgentKind, Timestamp),
    /// The run is being prepared.
    Starting,
    /// The agent works.
    Working,
    /// The agent makes a plan, and changes nothing.
    Planning,
    /// Somebody wants the work stopped, and it is being brought to the branch.
    Stopping,
    /// The agent is done; its work is on the way.
    Publishing,
    /// A question waits for its answer; the comment that asks it, once it is there.
    Waiting(Option<CommentId>),
    /// A plan waits for a go; the comment that shows it, once it is there.
    WaitingForGo(Option<CommentId>),
    /// The work is on the branch, and GitHub rejected the pull request.
    NotProposed,
    /// Nothing is under way.
    Over,
}

/// Which try the next one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryCount {
    /// Counted from 1.
    pub attempt: u32,
    /// How many there are at most.
    pub most: u32,
}

/// A pull request that is not open any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedPull<'a> {
    /// Whether it was merged; else it was closed.
    pub merged: bool,
    /// By whom, where that is known.
    pub by: Option<&'a str>,
    /// Whether the newest task had ended well before. Then what was said about it is history.
    pub task_was_done: bool,
}

/// The status comment, without its marker.
pub fn status(text: &StatusText<'_>) -> String {
    let is_over = matches!(text.phase, Phase::Over | Phase::NotProposed);
    let mut parts = Vec::new();
    if let Some(now) = happening(text) {
        parts.push(now);
    }
    if matches!(text.phase, Phase::Working | Phase::Planning) {
        parts.extend(text.said.map(said).filter(|said| !said.is_empty()));
        parts.extend(todo_list(text.todo));
    }
    parts.extend(text.refused.iter().map(|words| (*words).to_owned()));
    parts.extend(listening(text));
    let sub_issues = sub_issues(text, is_over);
    let mut over = text.over.iter().map(|words| fill_in(words, text.pull));
    if let (true, Some(end), Some(pull)) = (is_over, text.pull_over, text.pull) {
        // What was cut short is still to be told.
        if !end.task_was_done {
            parts.extend(over.next());
        }
        parts.push(pull_over(pull, end));
    } else if is_over {
        parts.push(over.next().unwrap_or_else(|| nothing_under_way(text.pull)));
    }
    parts.extend(sub_issues);
    parts.extend(queued_behind(text));
    if is_over || matches!(text.phase, Phase::Waiting(_)) {
        parts.extend(text.draft.map(shown_as_draft));
    }
    parts.extend(links(text));
    parts.extend(before(over));
    parts.join("\n\n")
}

fn queued_behind(text: &StatusText<'_>) -> Option<String> {
    match text.queued_behind {
        0 => None,
        1 => Some("1 more request on this issue waits for that to end.".to_owned()),
        count => Some(format!("{count} more requests on this issue wait for that to end.")),
    }
}

/// What became of the pull request, and what can be done.
fn pull_over(pull: PullNumber, end: EndedPull<'_>) -> String {
    let by = end.by.map(login).map(|by| format!(" by {by}")).unwrap_or_default();
    if end.merged {
        format!(
            "**Merged.** #{pull} was merged{by}, and I am done here. If something is missing, `/hob work …` starts on a new branch, with another pull request."
        )
    } else {
        format!(
            "**Closed.** #{pull} was closed{by} without a merge, so I do nothing more. If #{pull} is reopened, I continue with it. `/hob work …` goes on from its branch with another pull request."
        )
    }
}

/// What is happening now, in one line; nothing where all is over.
fn happening(text: &StatusText<'_>) -> Option<String> {
    Some(match text.phase {
        Phase::Queued { ahead } => queued(ahead.unwrap_or(0)),
        Phase::WaitsUntil(at) => {
            let at = at.strftime("%Y-%m-%d %H:%M UTC");
            format!("**Waiting until {at}** to try again.")
        }
        Phase::Retrying(at, class, RetryCount { attempt, most }) => {
            let (at, why) = (at.strftime("%H:%M UTC"), passing(class));
            format!("**Retrying at {at}: {why} (attempt {attempt} of {most}).** I go on by myself.")
        }
        Phase::Gathering(at) => {
            let at = at.strftime("%H:%M:%S UTC");
            format!("**A check has failed.** I look into it at {at}, together with whatever else has failed by then.")
        }
        Phase::Listening(at) => {
            let at = at.strftime("%H:%M:%S UTC");
            format!("**Reading the review.** I begin at {at}, together with further comments made by then.")
        }
        Phase::WaitsForLimit(agent, until) => waits_for_limit(agent, until),
        Phase::Working => {
            let facts = facts(text);
            format!("**At work** · {facts}")
        }
        Phase::Planning => {
            let facts = facts(text);
            format!("**Planning,** nothing is changed yet · {facts}")
        }
        Phase::Publishing => {
            let facts = facts(text);
            format!("**Handing over.** The agent is done; its commits are on the way. · {facts}")
        }
        Phase::Waiting(comment) => {
            let question = linked(text, comment, "my question");
            format!("**Waiting for an answer** to {question}.")
        }
        Phase::WaitingForGo(comment) => {
            let plan = linked(text, comment, "my plan");
            format!("**Waiting for your approval** of {plan}: `/hob go` carries it out.")
        }
        Phase::Starting => "**Getting ready:** workspace and container.".to_owned(),
        Phase::Stopping if text.run.is_none() => "**Stopping.**".to_owned(),
        Phase::Stopping => "**Stopping.** The agent's work is being pushed to the branch.".to_owned(),
        // Where it is known why, that is said.
        Phase::NotProposed if !text.refused.is_empty() => return None,
        Phase::NotProposed => "**GitHub rejected the pull request.** The commits are on the branch. hob's operator sees the reason \
                               with `hob status`; `/hob retry` tries it again."
            .to_owned(),
        Phase::Over => return None,
    })
}

/// Why a run is tried again, as a clause.
fn passing(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Overloaded => "the model is overloaded",
        FailureClass::RateLimit => "the model's service limits requests",
        FailureClass::UsageLimit => "the usage limit of the model's account is reached",
        _ => "the last try failed",
    }
}

/// A place further back is not told: it changes with each run that begins, and is no news.
pub const MAX_AHEAD: usize = 10;

fn queued(ahead: usize) -> String {
    match ahead {
        0 => "**Queued.** I begin as soon as a worker is free.".to_owned(),
        1 => "**Queued.** One task is before it.".to_owned(),
        MAX_AHEAD.. => format!("**Queued.** {MAX_AHEAD} tasks or more are before it."),
        ahead => format!("**Queued.** {ahead} tasks are before it."),
    }
}

/// Words as a link to a comment, once it is there.
fn linked(text: &StatusText<'_>, comment: Option<CommentId>, words: &str) -> String {
    match comment {
        Some(comment) => format!("[{words}]({}/issues/{}#issuecomment-{comment})", text.web, text.asked_on),
        None => words.to_owned(),
    }
}

/// `Claude Code · 4 m 12 s · $0.83 of $5.00 · 3 turns`
fn facts(text: &StatusText<'_>) -> String {
    let cap = text.cap_usd.map(|cap| {
        let so_far = text.took.cost_usd.unwrap_or(0.0);
        format!("{} of {}", dollars(so_far), dollars(cap))
    });
    let took = match cap {
        None => spent(text.took),
        Some(cap) => format!("{} · {cap}", spent(Spent { cost_usd: None, ..text.took })),
    };
    match text.agent.filter(|_| text.took.stand_in.is_none()) {
        Some(agent) => format!("{} · {took}", agent_name(agent)),
        None => took,
    }
}

fn said(line: &str) -> String {
    let line = contain_line(line, MAX_SAID);
    if line.is_empty() { line } else { format!("> {line}") }
}

/// What becomes of comments that people write while the agent works.
fn listening(text: &StatusText<'_>) -> Option<String> {
    let of = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| login(name)).collect();
        names.dedup();
        names.join(", ")
    };
    let told = (!text.told.is_empty()).then(|| {
        let by = of(text.told);
        format!("The agent has received what {by} wrote.")
    });
    let heard = (!text.heard.is_empty()).then(|| {
        let by = of(text.heard);
        format!("What {by} wrote goes to the agent next, or becomes the next task.")
    });
    let said: Vec<String> = [told, heard].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn todo_list(items: &[TodoItem]) -> Option<String> {
    let mut lines: Vec<String> = items
        .iter()
        .take(MAX_TODO)
        .map(|item| {
            let text = contain_line(&item.text, 200);
            match item.state {
                TodoState::Completed => format!("- [x] {text}"),
                TodoState::Pending => format!("- [ ] {text}"),
                TodoState::InProgress => format!("- [ ] **{text}**"),
                TodoState::Cancelled => format!("- [ ] ~~{text}~~"),
            }
        })
        .collect();
    if items.len() > MAX_TODO {
        let more = items.len() - MAX_TODO;
        lines.push(format!("- and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The issue's sub-issues, with the one that is worked on in bold.
fn sub_issues(text: &StatusText<'_>, is_over: bool) -> Option<String> {
    let line = |standing: &SubIssueStatus| {
        let (tick, title) = (if standing.is_done { "x" } else { " " }, contain_line(&standing.title, 200));
        let words = format!("#{} {title}", standing.number);
        let words = words.trim_end();
        let is_now = standing.is_current && !standing.is_done && !is_over;
        if is_now { format!("- [{tick}] **{words}**") } else { format!("- [{tick}] {words}") }
    };
    let mut lines: Vec<String> = text.sub_issues.iter().map(line).collect();
    if is_over && text.sub_issues.iter().any(|standing| !standing.is_done) {
        let command = if text.can_be_retried { "/hob retry" } else { "/hob work" };
        lines.push(format!("\nItems without a tick are not done: `{command}` continues with it."));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn links(text: &StatusText<'_>) -> Option<String> {
    let to = |branch| format!("[{}]({}/tree/{})", code(branch, MAX_BRANCH), text.web, in_address(branch));
    let branch = text.branch.map(to);
    let pull = text.pull.map(|pull| format!("#{pull}"));
    let run = text.run.map(|run| format!("run `{run}`"));
    let log = "log";
    let log = text.log.map(|check_run| format!("[{log}]({}/runs/{check_run})", text.web));
    let parts: Vec<String> = [branch, pull, log, run].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("<sub>{}</sub>", parts.join(" · ")))
}

fn nothing_under_way(pull: Option<PullNumber>) -> String {
    match pull {
        Some(pull) => format!("Nothing is under way. #{pull} is ready for your review."),
        None => "Nothing is under way. `/hob work` starts.".to_owned(),
    }
}

/// What ended before, folded in.
fn before(over: impl Iterator<Item = String>) -> Option<String> {
    let mut room = MAX_BEFORE;
    let mut told = Vec::new();
    for words in over {
        let length = words.chars().count();
        if length > room {
            break;
        }
        room -= length;
        told.push(words);
    }
    (!told.is_empty()).then(|| {
        let title = "Before that";
        format!("<details><summary>{title}</summary>\n\n{}\n\n</details>", told.join("\n\n---\n\n"))
    })
}

/// The words about a task, with the pull request's number where it goes.
fn fill_in(words: &str, pull: Option<PullNumber>) -> String {
    match pull {
        Some(pull) => words.replace("#{pull}", &format!("#{pull}")),
        None => words.replace("#{pull}", the_branch()),
    }
}

/// What stands in the place of a pull request that there is not.
pub(super) fn the_branch() -> &'static str {
    "the branch"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const TOOK: Spent =
        Spent { duration_ms: 252_000, cost_usd: Some(0.83), turns: None, tokens: None, stand_in: None };

    pub(in crate::message) fn text(phase: Phase) -> StatusText<'static> {
        StatusText {
            phase,
            web: "https://github.com/acme/tool",
            issue: 1,
            asked_on: 1,
            agent: Some(AgentKind::Claude),
            took: TOOK,
            cap_usd: None,
            said: None,
            todo: &[],
            branch: None,
            pull: None,
            draft: None,
            pull_over: None,
            refused: &[],
            run: None,
            log: None,
            told: &[],
            heard: &[],
            sub_issues: &[],
            can_be_retried: false,
            queued_behind: 0,
            over: &[],
        }
    }

    #[test]
    fn the_status_of_a_story() {
        let item = |text: &str, state| TodoItem { text: text.to_owned(), state };
        let todo = [
            item("Read the parser", TodoState::Completed),
            item("Add the flag, @alice", TodoState::InProgress),
            item("Write a test", TodoState::Pending),
        ];
        let run = "01a20ba9-52c0-71be-86a3-317a53630772".parse().ok();
        let over =
            ["Done: #{pull} has 1 commit for you to review.\n\n<sub>finished in 4 m 12 s · $0.83</sub>"];
        let two = ["**Stopped, as @bob asked.**\n\n<sub>finished in 3 s</sub>", over[0]];
        let working = StatusText {
            said: Some("I add the flag to the\nparser. Fixes #1"),
            todo: &todo,
            cap_usd: Some(5.0),
            run,
            told: &["alice", "alice"],
            heard: &["bob"],
            queued_behind: 1,
            ..text(Phase::Working)
        };
        let pull = Some(PullNumber(2));
        let standing = |number, title: &str, is_done, is_current| SubIssueStatus {
            number: crate::ids::IssueNumber(number),
            title: title.to_owned(),
            is_done,
            is_current,
        };
        let sub_issues = [
            standing(3, "Read the format", true, false),
            standing(4, "Write it, @alice", false, true),
            standing(5, "Tell of it", false, false),
        ];
        let failed = ["**The agent ended with an error.**\n\n<sub>finished in 3 s</sub>"];
        let branch = Some("hob/issue-1");
        let all = || {
            let said = text;
            [
                status(&said(Phase::Queued { ahead: Some(3) })),
                status(&said(Phase::WaitsUntil("2026-11-24T14:05:00Z".parse().unwrap()))),
                status(&said(Phase::Retrying(
                    "2026-11-24T14:05:00Z".parse().unwrap(),
                    FailureClass::Overloaded,
                    RetryCount { attempt: 2, most: 4 },
                ))),
                status(&said(Phase::WaitsForLimit(
                    AgentKind::Claude,
                    "2026-11-24T14:05:00Z".parse().unwrap(),
                ))),
                status(&said(Phase::Gathering("2026-11-24T14:05:00Z".parse().unwrap()))),
                status(&said(Phase::Starting)),
                status(&working),
                status(&StatusText { said: Some("The parser is the place."), ..said(Phase::Planning) }),
                status(&said(Phase::WaitingForGo(Some(CommentId(78))))),
                status(&said(Phase::Publishing)),
                status(&StatusText { branch, ..said(Phase::Waiting(Some(CommentId(77)))) }),
                status(&StatusText {
                    over: &over,
                    branch,
                    pull,
                    run,
                    log: Some(CheckRunId(5)),
                    ..said(Phase::Over)
                }),
                status(&StatusText { over: &two, branch, pull, ..said(Phase::Over) }),
                status(&StatusText { over: &over, branch, ..said(Phase::NotProposed) }),
                status(&StatusText {
                    over: &over,
                    branch,
                    refused: &["**GitHub rejected the pull request:** it is archived."],
                    ..said(Phase::NotProposed)
                }),
                status(&StatusText { over: &two[..1], branch, pull, draft: pull, ..said(Phase::Over) }),
                status(&StatusText {
                    branch,
                    pull,
                    draft: pull,
                    ..said(Phase::Waiting(Some(CommentId(77))))
                }),
                status(&StatusText {
                    pull_over: Some(EndedPull { merged: true, by: Some("bob"), task_was_done: true }),
                    ..StatusText { over: &over, branch, pull, ..said(Phase::Over) }
                }),
                status(&StatusText {
                    pull_over: Some(EndedPull { merged: false, by: None, task_was_done: false }),
                    ..StatusText { over: &two, branch, pull, ..said(Phase::Over) }
                }),
                status(&said(Phase::Over)),
                status(&StatusText { sub_issues: &sub_issues, run, ..said(Phase::Working) }),
                status(&StatusText {
                    sub_issues: &sub_issues,
                    can_be_retried: true,
                    over: &failed,
                    ..said(Phase::Over)
                }),
            ]
            .join("\n\n=====\n\n")
        };
        insta::assert_snapshot!("the_status_of_a_story", all());
    }
}
