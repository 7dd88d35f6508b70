//! What is said about a repository's own settings, `.github/hob.toml`.

use super::{contain, login};
use crate::config::{Fault, REPOSITORY_FILE};
use crate::ids::{IssueNumber, PullNumber};
use crate::language::{Language, say, word};

/// Said where work was asked for and the file has a mistake. In English: what language to speak in stands in the file.
pub fn settings_at_fault(fault: &Fault, default_branch: &str) -> String {
    let remedy = contain(Language::En, &fault.remedy, 500).replace('\n', " ");
    let end = if remedy.ends_with(['?', '.']) { "" } else { "." };
    format!(
        "**Not started: line {} of `{REPOSITORY_FILE}` has a mistake.**\n\n> {}\n\nTo mend it: {remedy}{end}\n\nUntil that is mended on \
         `{default_branch}` I start nothing in this repository. Then `/hob work`, or the label put on anew, starts this.",
        fault.line,
        contain(Language::En, &fault.what, 500).replace('\n', " "),
    )
}

/// Said on the pull request where a check has failed and the file has a mistake.
pub fn fix_settings_at_fault(fault: &Fault, default_branch: &str) -> String {
    let remedy = contain(Language::En, &fault.remedy, 500).replace('\n', " ");
    let end = if remedy.ends_with(['?', '.']) { "" } else { "." };
    format!(
        "**I do not look at the check that failed: line {} of `{REPOSITORY_FILE}` has a mistake.**\n\n> {}\n\nTo mend it: \
         {remedy}{end}\n\nOnce that is mended on `{default_branch}`, `/hob fix` has me look.",
        fault.line,
        contain(Language::En, &fault.what, 500).replace('\n', " "),
    )
}

/// Said where work was asked for on an issue that waits for others. They are written as GitHub links them.
pub fn blocked_by(language: Language, blockers: &[String]) -> String {
    let blockers = blockers.join(", ");
    say!(
        language,
        "**Not started yet: this is blocked by {blockers}.** I begin by myself as soon as that is closed, with the text as it is now. \
         `/hob stop` calls it off, and so does taking the label off.",
        "**Noch nicht begonnen: Das ist blockiert durch {blockers}.** Ich beginne von selbst, sobald das geschlossen ist, mit dem \
         Text, wie er jetzt ist. `/hob stop` sagt es ab, und das Label zu entfernen auch."
    )
}

/// A blocker of a sub-issue, among the others.
pub fn blocked_for(language: Language, blocker: &str, sub_issue: IssueNumber) -> String {
    say!(language, "{blocker} (for #{sub_issue})", "{blocker} (für #{sub_issue})")
}

/// Said where blocked work could begin, and who asked for it may not any more.
pub fn may_no_more(language: Language, by: &str) -> String {
    let by = login(by);
    say!(
        language,
        "**Not started: what blocked this is closed, but {by} may not have me work here any more.** `/hob work` of somebody \
         who may starts it.",
        "**Nicht begonnen: Was das blockiert hat, ist geschlossen, aber {by} darf mich hier nicht mehr arbeiten lassen.** `/hob work` \
         von jemandem, der es darf, beginnt."
    )
}

/// Said to somebody who asks where work stands that waits for what blocks the issue.
pub fn waits_for_blockers(language: Language) -> String {
    word!(
        language,
        "Nothing is begun yet: this issue is blocked by others. I begin by myself as soon as the last of them is closed.",
        "Noch ist nichts begonnen: Dieses Issue ist durch andere blockiert. Ich beginne von selbst, sobald das letzte davon \
         geschlossen ist."
    )
    .to_owned()
}

/// Said to somebody who calls off work that waits for what blocks the issue.
pub fn waits_no_more(language: Language) -> String {
    word!(
        language,
        "I do not wait for what blocks this any more, and begin nothing. `/hob work` asks for it again.",
        "Ich warte nicht mehr auf das, was hier blockiert, und beginne nichts. `/hob work` bittet wieder darum."
    )
    .to_owned()
}

/// Said where work is asked for on a sub-issue that its parent's story has; `pull` is there where it is done with it.
pub fn part_of(language: Language, parent: IssueNumber, pull: Option<PullNumber>) -> String {
    match pull {
        None => say!(
            language,
            "**Not started: #{parent} has it.** I work on the sub-issues of #{parent} one after the other, this one among \
             them. Say there what is to be said about it.",
            "**Nicht begonnen: Das gehört zu #{parent}.** Ich bearbeite die Sub-Issues von #{parent} nacheinander, dieses \
             auch. Sag dort, was dazu zu sagen ist."
        ),
        Some(pull) => say!(
            language,
            "**Not started: it is done with #{parent}.** #{pull} has it for you to review. `/hob work` has me work on it once \
             more, apart from that.",
            "**Nicht begonnen: Das ist mit #{parent} erledigt.** #{pull} enthält es für dein Review. Mit `/hob work` bearbeite ich \
             es noch einmal, getrennt davon."
        ),
    }
}

/// Added to what is said about a pull request, where GitHub does not take a reviewer.
pub fn reviewers_refused(language: Language, reviewers: &[String]) -> String {
    let names: Vec<String> = reviewers.iter().map(|name| format!("`{}`", name.replace('`', "'"))).collect();
    let names = names.join(", ");
    say!(
        language,
        "I could not request a review from {names}: GitHub takes only people who may see this repository. The names are from \
         `{REPOSITORY_FILE}`.",
        "Ein Review von {names} konnte ich nicht anfragen: GitHub nimmt nur Leute, die dieses Repository sehen dürfen. Die Namen \
         stehen in `{REPOSITORY_FILE}`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Who;
    use crate::message::assert_said;

    #[test]
    fn what_is_said_about_a_repositorys_settings() {
        let fault = Fault {
            line: 3,
            what: "unknown key `reviewer`".to_owned(),
            remedy: "did you mean `reviewers`?".to_owned(),
            label: None,
            who: Who::Write,
        };
        let all = |language| {
            [
                settings_at_fault(&fault, "main"),
                fix_settings_at_fault(&fault, "main"),
                reviewers_refused(language, &["bob".to_owned(), "eve".to_owned()]),
                blocked_by(language, &["#3".to_owned(), blocked_for(language, "acme/lib#4", IssueNumber(2))]),
                may_no_more(language, "alice"),
                waits_for_blockers(language),
                waits_no_more(language),
                part_of(language, IssueNumber(1), None),
                part_of(language, IssueNumber(1), Some(PullNumber(7))),
            ]
            .join("\n\n=====\n\n")
        };
        assert_said!("what_is_said_about_a_repositorys_settings", all);
    }
}
