//! Every word that hob says on GitHub. Each message is a function from facts to Markdown, so that
//! all of them can be read, and tested, in one place. What agents wrote goes through `contain`; no
//! function here is given a secret, a path of the host or an error of a library. What the agent is
//! told is in `prompt.rs`.

mod base;
mod budget;
pub mod card;
mod check_run;
mod checks;
mod closing;
mod commands;
mod concurrent_push;
mod contain;
mod detail;
mod failed;
mod fix;
mod left;
mod login;
mod marker;
mod overflow;
mod policy_violations;
mod pull_request;
mod refused;
pub mod review;
mod review_hints;
mod saved_work;
mod settings;
mod status;
mod title;
mod unfinished;

pub use base::{
    Branches, base_has_it_all, base_merge_subject, base_merged, base_merged_by_agent, base_merged_note,
    base_not_pushed, base_rebased, base_unrelated, base_up_to_date, base_was_rewritten,
    conflicts_with_rewritten_base, no_branch_yet, put_on_rewritten_base, rebase_conflicts, rebase_would_lose,
    theirs_conflict, theirs_merge_subject, theirs_merged_note, theirs_removed, theirs_took_back, with_notes,
};
use budget::thousands;
pub use budget::{at_cap_subject, cap_is_reached, caps, may_it_cost_more, waits_for_limit};
pub use check_run::{
    check_run_summary, check_run_text, check_run_title, checked_again, has_moved_on, moved_on, told_elsewhere,
};
pub use checks::{checks_section, checks_table, pull_request_with_failing_check, still_failing};
pub use closing::without_closing_words;
pub use commands::{
    CommandRejection, StoryState, base_stays, help, left_out, may_this_be_done, misunderstood, no_cap,
    nobody_listens, nothing_done, only_the_first, where_it_stands,
};
pub use concurrent_push::{AdoptionRefusal, not_there};
pub use contain::{PartLimits, contain, contain_in_parts, contain_line};
use contain::{code, login};
pub use detail::Detail;
use failed::failure_words;
pub use failed::{FailureText, failed};
pub use fix::{NothingToFix, checks_fixed, checks_left, failed_here, fixes_used_up, nothing_to_fix};
pub use left::left_behind;
pub use login::{
    LoginFault, login_not_renewed, login_obstructed, login_refused_again, login_unusable, no_account,
    no_ssh_agent,
};
use marker::{MARKER_END, MARKER_START};
pub use marker::{has_marker, is_status, marker, status_marker};
pub use overflow::{Overflow, rest_comment, rests, with_links};
use overflow::{whole, whole_changed};
pub use policy_violations::{PolicyViolation, may_this_be_pushed, policy_violations};
pub use pull_request::{
    FollowUp, PullRequestText, Report, no_room_for_report, pull_request_body, short_body, with_evidence,
    with_report,
};
pub use refused::{Refusal, comment_refused, pull_refused, question_refused};
pub use review_hints::{HintReason, MAX_NOTABLE, ReviewHint};
pub use saved_work::{
    SavedWork, cut_short_on_branch, left_work_given_up, left_work_pushed, put_away, still_waiting, stopped,
    work_in_progress,
};
pub use settings::{
    blocked_by, blocked_for, fix_settings_at_fault, may_no_more, part_of, reviewers_refused,
    settings_at_fault, waits_for_blockers, waits_no_more,
};
pub use status::{EndedPull, MAX_AHEAD, Phase, RetryCount, StatusText, status};
pub use title::{pull_request_title, title_of_work};
pub use unfinished::{UnfinishedText, WhyUnfinished, shown_as_draft, unfinished};

use crate::agent::FailureClass;
use crate::ids::{AgentKind, IssueNumber};

/// Characters of a branch's name that are shown: all of them.
const MAX_BRANCH: usize = 255;

/// GitHub refuses a comment or a body above 65,536 characters; the rest of a message needs room
/// too.
const MAX_AGENT_TEXT: usize = 50_000;

/// A change of an issue by somebody who may not push, after somebody who may had asked for work on
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextChanged {
    /// What they changed.
    pub part: Part,
    /// Their login.
    pub by: String,
}

/// A part of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its title.
    Title,
    /// Its text.
    Text,
}

/// Said where work was asked for, hob read the text later, and the issue had been changed in
/// between, or its sub-issue `of`.
pub fn text_changed(changed: &TextChanged, of: Option<IssueNumber>, since_label: bool) -> String {
    let part = match changed.part {
        Part::Title => "title",
        Part::Text => "text",
    };
    let what = match of {
        None => format!("this issue's {part}"),
        Some(sub_issue) => format!("the {part} of #{sub_issue}"),
    };
    let asked = match since_label {
        true => "the label was put on",
        false => "that was asked for",
    };
    // Not addressed: who changes a text gets no voice here, and may be anybody.
    let by = login(&changed.by);
    format!(
        "**Not started: {by} changed {what} after {asked}.** I only start on text that someone with push access has seen. Review the edit, then comment `/hob work`."
    )
}

/// What the runs of a task took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Time in containers, milliseconds.
    pub duration_ms: u64,
    /// Dollars, where the agent tells them.
    pub cost_usd: Option<f64>,
    /// Turns of the model, where the agent tells them.
    pub turns: Option<u32>,
    /// Tokens of the runs whose price the agent does not tell.
    pub tokens: Option<u64>,
    /// The agent that worked, and the one in whose place, where that one's usage limit was used up.
    pub stand_in: Option<(AgentKind, AgentKind)>,
}

/// Several logins, as they stand in a whole answer.
fn people(logins: &str) -> String {
    logins.split(", ").map(login).collect::<Vec<_>>().join(", ")
}

/// `1 commit`, `2 commits`
fn commits_in_words(commits: usize) -> String {
    if commits == 1 {
        return "1 commit".to_owned();
    }
    format!("{commits} commits")
}

/// Said on the issue when the pull request is open or has new commits. `{pull}` is filled in once
/// the pull request's number is known; it is the subject of its sentence, since "the branch" may
/// stand in its place.
pub fn pull_request_ready(commits: usize, took: Spent) -> String {
    let (commits, took) = (commits_in_words(commits), finished(took));
    format!("Done: #{{pull}} has {commits} for you to review.\n\n{took}")
}

/// What an agent has said, as a quotation below hob's own words; nothing where it said nothing.
fn below(summary: Option<&str>) -> String {
    let summary = summary.map(str::trim).filter(|summary| !summary.is_empty());
    summary.map_or(String::new(), |summary| format!("\n\n{}", quoted(&whole(summary, MAX_AGENT_TEXT))))
}

/// Said on the issue when the agent found nothing to do.
pub fn nothing_to_change(summary: Option<&str>, took: Spent) -> String {
    let mut text =
        "**Nothing to change.** The agent ended without a commit and without a question.".to_owned();
    text.push_str(&below(summary));
    let took = finished(took);
    text.push_str(&format!("\n\nIf that is wrong, say what is missing with `/hob work …`.\n\n{took}"));
    text
}

/// Said to somebody who wants to stop what cannot be stopped: no agent works. `is_publishing`: its
/// work is on the way.
pub fn nothing_to_stop(is_publishing: bool) -> String {
    if is_publishing {
        return "There is nothing left to stop: the agent is done, and its work is being checked and pushed. Close the \
             pull request if you do not want it."
        .to_owned();
    }
    "There is nothing to stop: no work is under way here.".to_owned()
}

/// Said where a label names an agent and another one has begun the work.
pub fn label_too_late(label: &str, at_work: AgentKind, chosen: AgentKind) -> String {
    let (label, has_it, other) = (code(label, 100), agent_name(at_work), agent_name(chosen));
    format!(
        "**{label} came after {has_it} had begun.** The work continues with {has_it}. To use {other} instead, comment `/hob stop`, then \
         `/hob work --agent {}`.",
        chosen.as_str()
    )
}

/// `finished in 4 m 12 s · $0.83 · 3 turns`; of what ended before an agent ran, that.
fn finished(took: Spent) -> String {
    if took.duration_ms == 0 && took.cost_usd.is_none() {
        return "<sub>no agent ran</sub>".to_owned();
    }
    let spent = spent(took);
    format!("<sub>finished in {spent}</sub>")
}

fn spent(spent: Spent) -> String {
    let mut parts = vec![duration(spent.duration_ms)];
    parts.extend(spent.cost_usd.map(dollars));
    parts.extend(spent.turns.map(|turns| match turns {
        1 => "1 turn".to_owned(),
        turns => format!("{turns} turns"),
    }));
    parts.extend(spent.tokens.map(|tokens| format!("{} tokens", thousands(tokens))));
    parts.extend(spent.stand_in.map(|(agent, usual)| {
        format!("{} in place of {}, whose usage limit was reached", agent_name(agent), agent_name(usual))
    }));
    parts.join(" · ")
}

/// `$0.83`; of less than a cent, as much as there is of it: `$0.0046`.
fn dollars(usd: f64) -> String {
    match usd {
        0.01.. => format!("${usd:.2}"),
        0.0001..0.01 => format!("${}", format!("{usd:.4}").trim_end_matches('0')),
        _ if usd > 0.0 => "less than $0.0001".to_owned(),
        _ => "$0.00".to_owned(),
    }
}

fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} m {s} s"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

fn agent_name(agent: AgentKind) -> &'static str {
    match agent {
        AgentKind::Claude => "Claude Code",
        AgentKind::Codex => "Codex",
        AgentKind::Gemini => "Gemini CLI",
        AgentKind::OpenCode => "OpenCode",
        AgentKind::Command => "a command of this hob's",
    }
}

/// A branch's name or a path as a part of an address: nothing in it means anything there but the
/// slashes.
fn in_address(path: &str) -> String {
    let mut address = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// More files than this are counted, not listed.
const MAX_FILES: usize = 20;

fn file_list(files: &[String]) -> String {
    let mut lines: Vec<String> = files
        .iter()
        .take(MAX_FILES)
        // A file's name is the agent's text too.
        .map(|file| format!("- {}", code(file, 300)))
        .collect();
    if files.len() > MAX_FILES {
        let more = files.len() - MAX_FILES;
        lines.push(format!("- and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPENT: Spent =
        Spent { duration_ms: 252_000, cost_usd: Some(0.834), turns: Some(3), tokens: None, stand_in: None };

    #[test]
    fn what_is_said_on_the_issue() {
        insta::assert_snapshot!("what_is_said_on_the_issue", {
            [
                pull_request_ready(2, SPENT),
                nothing_to_change(Some("It is there already."), Spent::default()),
                nothing_to_stop(false),
                nothing_to_stop(true),
                text_changed(&TextChanged { part: Part::Text, by: "mallory".to_owned() }, None, true),
                text_changed(
                    &TextChanged { part: Part::Title, by: "sorter[bot]".to_owned() },
                    Some(IssueNumber(3)),
                    false,
                ),
                failed(&FailureText {
                    class: FailureClass::LeftUncommitted,
                    detail: "",
                    has_worked: true,
                    for_requester: false,
                    uncommitted: &["src/a.rs".to_owned(), "odd`name".to_owned()],
                    took: SPENT,
                }),
            ]
            .join("\n\n=====\n\n")
        });
    }

    #[test]
    fn what_a_task_took_is_told_for_each_agent() {
        let took = Spent { duration_ms: 4_000, ..Spent::default() };
        assert_eq!(spent(SPENT), "4 m 12 s · $0.83 · 3 turns");
        assert_eq!(spent(Spent { tokens: Some(12_345), ..took }), "4 s · 12,345 tokens");
        let stand_in = Some((AgentKind::Codex, AgentKind::Claude));
        let told = spent(Spent { tokens: Some(240), stand_in, ..took });
        assert_eq!(told, "4 s · 240 tokens · Codex in place of Claude Code, whose usage limit was reached");
    }

    #[test]
    fn durations_are_for_people() {
        assert_eq!(
            ["0 s", "1 s", "4 m 12 s", "2 h 0 m"],
            [0, 1, 252_000, 7_200_000].map(duration).each_ref().map(String::as_str)
        );
    }
}
