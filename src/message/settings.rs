//! What is said about a repository's own settings, `.github/hob.toml`.

use super::contain;
use crate::config::{Fault, REPOSITORY_FILE};
use crate::ids::{IssueNumber, PullNumber};

/// Said where work was asked for and the file has a mistake.
pub fn settings_at_fault(fault: &Fault, default_branch: &str) -> String {
    let remedy = contain(&fault.remedy, 500).replace('\n', " ");
    let end = if remedy.ends_with(['?', '.']) { "" } else { "." };
    format!(
        "**Not started: line {} of `{REPOSITORY_FILE}` has a mistake.**\n\n> {}\n\nTo mend it: {remedy}{end}\n\nUntil that is mended on \
         `{default_branch}` I start nothing in this repository. Then `/hob work`, or the label put on anew, starts this.",
        fault.line,
        contain(&fault.what, 500).replace('\n', " "),
    )
}

/// Said where work was asked for on an issue that waits for others. They are written as GitHub links them.
pub fn blocked_by(blockers: &[String]) -> String {
    format!(
        "**Not started: this is blocked by {}.** When that is closed, `/hob work` starts it; I do not look by myself.",
        blockers.join(", ")
    )
}

/// Said where work is asked for on a sub-issue that its parent's story has; `pull` is there where it is done with it.
pub fn part_of(parent: IssueNumber, pull: Option<PullNumber>) -> String {
    match pull {
        None => format!(
            "**Not started: #{parent} has it.** I work on the sub-issues of #{parent} one after the other, this one among \
             them. Say there what is to be said about it."
        ),
        Some(pull) => format!(
            "**Not started: it is done with #{parent}.** #{pull} has it for you to review. `/hob work` has me work on it once \
             more, apart from that."
        ),
    }
}

/// Added to what is said about a pull request, where GitHub does not take a reviewer.
pub fn reviewers_refused(reviewers: &[String]) -> String {
    let names: Vec<String> = reviewers.iter().map(|name| format!("`{}`", name.replace('`', "'"))).collect();
    format!(
        "I could not request a review from {}: GitHub takes only people who may see this repository. The names are from \
         `{REPOSITORY_FILE}`.",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Who;

    #[test]
    fn what_is_said_about_a_repositorys_settings() {
        let fault = Fault {
            line: 3,
            what: "unknown key `reviewer`".to_owned(),
            remedy: "did you mean `reviewers`?".to_owned(),
            label: None,
            who: Who::Write,
        };
        let all = [
            settings_at_fault(&fault, "main"),
            reviewers_refused(&["bob".to_owned(), "eve".to_owned()]),
            blocked_by(&["#3".to_owned(), "acme/lib#4".to_owned()]),
            part_of(IssueNumber(1), None),
            part_of(IssueNumber(1), Some(PullNumber(7))),
        ];
        insta::assert_snapshot!(all.join("\n\n=====\n\n"));
    }
}
