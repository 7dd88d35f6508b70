//! What is said about a repository's own settings, `.github/hob.toml`.

use super::{MAX_BRANCH, code, contain, login};
use crate::config::{Fault, REPOSITORY_FILE};
use crate::ids::{IssueNumber, PullNumber};

/// Said where work was asked for and the file has a mistake.
pub fn settings_at_fault(fault: &Fault, default_branch: &str) -> String {
    let default_branch = code(default_branch, MAX_BRANCH);
    let remedy = contain(&fault.remedy, 500).replace('\n', " ");
    let end = if remedy.ends_with(['?', '.']) { "" } else { "." };
    format!(
        "**Not started: line {} of `{REPOSITORY_FILE}` has a mistake.**\n\n> {}\n\nTo fix it: {remedy}{end}\n\nUntil that is fixed on \
         {default_branch} I start nothing in this repository. Then `/hob work`, or adding the label again, starts this.",
        fault.line,
        contain(&fault.what, 500).replace('\n', " "),
    )
}

/// Said on the pull request where a check has failed and the file has a mistake.
pub fn fix_settings_at_fault(fault: &Fault, default_branch: &str) -> String {
    let default_branch = code(default_branch, MAX_BRANCH);
    let remedy = contain(&fault.remedy, 500).replace('\n', " ");
    let end = if remedy.ends_with(['?', '.']) { "" } else { "." };
    format!(
        "**I cannot look at the failed check: line {} of `{REPOSITORY_FILE}` has a mistake.**\n\n> {}\n\nTo fix it: \
         {remedy}{end}\n\nOnce that is fixed on {default_branch}, `/hob fix` has me look.",
        fault.line,
        contain(&fault.what, 500).replace('\n', " "),
    )
}

/// Said where work was asked for on an issue that waits for others. They are written as GitHub
/// links them.
pub fn blocked_by(blockers: &[String]) -> String {
    let blockers = blockers.join(", ");
    format!(
        "**Not started yet: this is blocked by {blockers}.** I begin by myself as soon as that is closed, with the text as it is now. \
         `/hob stop` or removing the label cancels it."
    )
}

/// A blocker of a sub-issue, among the others.
pub fn blocked_for(blocker: &str, sub_issue: IssueNumber) -> String {
    format!("{blocker} (for #{sub_issue})")
}

/// Said where blocked work could begin, and who asked for it may not any more.
pub fn may_no_more(by: &str) -> String {
    let by = login(by);
    format!(
        "**Not started: what blocked this is closed, but {by} is no longer allowed to start work here.** `/hob work` from somebody who is allowed starts it."
    )
}

/// Said to somebody who asks where work stands that waits for what blocks the issue.
pub fn waits_for_blockers() -> String {
    "Nothing is started yet: this issue is blocked by others. I begin by myself as soon as the last of them is closed."
    .to_owned()
}

/// Said to somebody who calls off work that waits for what blocks the issue.
pub fn waits_no_more() -> String {
    "I no longer wait for what blocks this, and start nothing. `/hob work` asks for it again.".to_owned()
}

/// Said where work is asked for on a sub-issue that its parent's story has; `pull` is there where
/// it is done with it.
pub fn part_of(parent: IssueNumber, pull: Option<PullNumber>) -> String {
    match pull {
        None => format!(
            "**Not started: #{parent} has it.** I work on the sub-issues of #{parent} one after the other, this one among them. Comment there if there is something to add."
        ),
        Some(pull) => format!(
            "**Not started: it is done with #{parent}.** #{pull} has it for you to review. `/hob work` starts separate work on it."
        ),
    }
}

/// Added to what is said about a pull request, where GitHub does not take a reviewer.
pub fn reviewers_refused(reviewers: &[String]) -> String {
    let names: Vec<String> = reviewers.iter().map(|name| format!("`{}`", name.replace('`', "'"))).collect();
    let names = names.join(", ");
    format!(
        "I could not request a review from {names}: GitHub accepts only people with access to this repository. The names are from \
         `{REPOSITORY_FILE}`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SettingsPermission;

    #[test]
    fn what_is_said_about_a_repositorys_settings() {
        let fault = Fault {
            line: 3,
            what: "unknown key `reviewer`".to_owned(),
            remedy: "did you mean `reviewers`?".to_owned(),
            label: None,
            who: SettingsPermission::Write,
        };
        let all = || {
            [
                settings_at_fault(&fault, "main"),
                fix_settings_at_fault(&fault, "main"),
                reviewers_refused(&["bob".to_owned(), "eve".to_owned()]),
                blocked_by(&["#3".to_owned(), blocked_for("acme/lib#4", IssueNumber(2))]),
                may_no_more("alice"),
                waits_for_blockers(),
                waits_no_more(),
                part_of(IssueNumber(1), None),
                part_of(IssueNumber(1), Some(PullNumber(7))),
            ]
            .join("\n\n=====\n\n")
        };
        insta::assert_snapshot!("what_is_said_about_a_repositorys_settings", all());
    }
}
