//! What is said about failed checks: that there is nothing to fix, what was fixed, and that hob
//! stops trying.

use super::{Spent, below, code, commits_in_words, finished};
use crate::ids::Sha;
use crate::story::TaskKind;

/// The longest name of a check that is shown.
const MAX_NAME_LEN: usize = 100;
/// Names that are shown.
const MAX_NAMES: usize = 10;
/// As much of a commit's id as tells it from others.
const SHORT: usize = 7;

/// Why there is nothing to do about checks.
#[derive(Debug, Clone)]
pub enum NothingToFix<'a> {
    /// There is no open pull request, or it has moved on.
    NoPull,
    /// Nothing fails there that is the work's doing.
    NoneFails {
        /// The commit.
        head: &'a Sha,
        /// What fails, and failed before the work began.
        red_before: &'a [String],
        /// What waits for somebody to do something.
        needs_action: &'a [String],
        /// Whether some have not come to their end.
        is_pending: bool,
        /// Whether hob may not see all of them.
        is_hidden: bool,
    },
}

/// Said where checks were to be fixed and there is nothing to fix.
pub fn nothing_to_fix(found: &NothingToFix<'_>) -> String {
    let NothingToFix::NoneFails { head, red_before, needs_action, is_pending, is_hidden } = found else {
        return "There is no open pull request here whose checks I could fix. `/hob work` has me work on the issue, and opens \
             one; with a pull request that was closed, reopen it first."
        .to_owned();
    };
    let head: String = head.as_str().chars().take(SHORT).collect();
    let waiting = names(needs_action);
    let names = names(red_before);
    let mut text = match red_before.len() {
        0 => format!("**No check fails** on `{head}` now, so there is nothing to fix."),
        1 => format!(
            "**Nothing to fix on `{head}`:** {names} fails, and it failed before this work began. I leave it as it is."
        ),
        _ => format!(
            "**Nothing to fix on `{head}`:** {names} fail, and they failed before this work began. I leave them as they are."
        ),
    };
    match needs_action.len() {
        0 => {}
        1 => text.push_str(&format!(" {waiting} has not passed: it waits for a person to act.")),
        _ => text.push_str(&format!(" {waiting} have not passed: they wait for a person to act.")),
    }
    if *is_pending {
        text.push_str(" Some checks are still running.");
    }
    if *is_hidden {
        text.push_str(
            " I may not see all of them: I need the permissions *Checks* and *Commit statuses* for that.",
        );
    }
    text
}

/// Said on the issue when checks were to be fixed and there are new commits. `{pull}` as in
/// `pull_request_ready`.
pub fn checks_fixed(checks: &[&str], commits: usize, took: Spent) -> String {
    let (commits, took) = (commits_in_words(commits), finished(took));
    let names = names(checks);
    match checks.len() {
        1 => format!(
            "Done: #{{pull}} has {commits} more, about the check that failed: {names}. Its next run shows whether that fixed it.\n\n{took}"
        ),
        _ => format!(
            "Done: #{{pull}} has {commits} more, about the checks that failed: {names}. Their next run shows whether that fixed it.\n\n{took}"
        ),
    }
}

/// Said on the issue when the agent looked at failed checks and changed nothing.
pub fn checks_left(checks: &[&str], summary: Option<&str>, took: Spent) -> String {
    let names = names(checks);
    let fail = fail(checks.len());
    let mut text =
        format!("**Nothing changed.** {names} {fail}, and the agent found nothing to fix in the code.");
    text.push_str(&below(summary));
    let took = finished(took);
    text.push_str(&format!("\n\n`/hob fix` with a hint has it try again.\n\n{took}"));
    text
}

/// Said on the pull request, once, when checks still fail and hob has taken them up as often as it
/// may.
pub fn fixes_used_up(checks: &[&str], most: u32) -> String {
    let (names, fail) = (names(checks), fail(checks.len()));
    let times = match most {
        1 => "once".to_owned(),
        most => format!("{most} times"),
    };
    format!(
        "**{names} still {fail}, and I stop here.** I have worked on failed checks of this pull request {times}, and now leave them to you. `/hob fix` with a hint has me try once more."
    )
}

/// What one check, or several, do.
fn fail(checks: usize) -> &'static str {
    match checks {
        1 => "fails",
        _ => "fail",
    }
}

/// Said on the pull request where a task about it has failed, whose status comment stands on the
/// issue. `words` are those.
pub fn failed_here(about: &TaskKind, words: &str) -> String {
    let what = match about {
        TaskKind::Review(_) => "The review is not addressed.",
        TaskKind::Checks(_) => "The failed checks are not fixed.",
        TaskKind::Base(_) => "The base branch is not merged.",
        TaskKind::Issue | TaskKind::SubIssue(_) => "The request is not done.",
    };
    format!("{what} {words}")
}

/// Names of checks, which come from outside.
fn names(checks: &[impl AsRef<str>]) -> String {
    let mut shown: Vec<String> =
        checks.iter().take(MAX_NAMES).map(|name| code(name.as_ref(), MAX_NAME_LEN)).collect();
    if checks.len() > MAX_NAMES {
        let more = checks.len() - MAX_NAMES;
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => {
            let rest = rest.join(", ");
            format!("{rest} and {last}")
        }
        None => "a check".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::review::ReviewBatch;

    #[test]
    fn what_is_said_about_failed_checks() {
        let head: Sha = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let took = Spent {
            duration_ms: 252_000,
            cost_usd: Some(0.83),
            turns: Some(3),
            tokens: None,
            stand_in: None,
        };
        let none = |red_before| NothingToFix::NoneFails {
            head: &head,
            red_before,
            needs_action: &[],
            is_pending: false,
            is_hidden: false,
        };
        let deploy = ["deploy".to_owned(), "approval".to_owned()];
        let hidden = NothingToFix::NoneFails {
            head: &head,
            red_before: &[],
            needs_action: &deploy[..1],
            is_pending: true,
            is_hidden: true,
        };
        let waiting = NothingToFix::NoneFails {
            head: &head,
            red_before: &deploy[..1],
            needs_action: &deploy,
            is_pending: false,
            is_hidden: false,
        };
        let red = ["lint".to_owned(), "build `x`\n@all".to_owned()];
        let many: Vec<String> = (1..=12).map(|n| format!("job {n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = || {
            [
                nothing_to_fix(&NothingToFix::NoPull),
                nothing_to_fix(&none(&[])),
                nothing_to_fix(&none(&red[..1])),
                nothing_to_fix(&none(&red)),
                nothing_to_fix(&hidden),
                nothing_to_fix(&waiting),
                checks_fixed(&["build"], 1, took),
                checks_fixed(&many, 2, took),
                checks_left(&["build", "test"], Some("The runner has no network."), took),
                fixes_used_up(&["build"], 2),
                fixes_used_up(&["build", "test"], 1),
                failed_here(
                    &TaskKind::Review(ReviewBatch::default()),
                    "**The agent ended with an error.**\n\nMore.",
                ),
            ]
            .join("\n\n=====\n\n")
        };
        insta::assert_snapshot!("what_is_said_about_failed_checks", all());
    }
}
