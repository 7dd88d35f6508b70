//! A task that failed, in words: what happened, what became of the work, and what to do, for each
//! class of failures.

use super::{Spent, file_list, finished, quoted, whole};
use crate::agent::FailureClass;

/// A failure, as far as a person on GitHub may know it.
#[derive(Debug, Clone)]
pub struct FailureText<'a> {
    /// What kind it was.
    pub class: FailureClass,
    /// The agent's or the server's own words.
    pub detail: &'a str,
    /// Whether the agent had worked: what is missing then is not its start.
    pub has_worked: bool,
    /// Whether who asked can put right what is missing, as opposed to hob's operator.
    pub for_requester: bool,
    /// Files that were left uncommitted.
    pub uncommitted: &'a [String],
    /// What it took.
    pub took: Spent,
}

/// Said on the issue when a task failed: what happened, what became of the work, what to do.
pub fn failed(failure: &FailureText<'_>) -> String {
    let mut words = match failure.class {
        FailureClass::NotReady if failure.has_worked => cut_off(),
        class => failure_words(class),
    };
    if failure.class == FailureClass::NotReady && failure.for_requester {
        words.to_do = match failure.has_worked {
            true => "`/hob retry` then continues from there, without another run where the agent was done.",
            false => "`/hob retry` then starts the task.",
        };
    }
    let mut text = format!("**{}**", words.happened);
    let detail = failure.detail.trim();
    if !detail.is_empty() {
        text.push_str("\n\n");
        text.push_str(&quoted(&whole(detail, 2_000)));
    }
    if !failure.uncommitted.is_empty() {
        text.push_str("\n\nNot committed:\n\n");
        text.push_str(&file_list(failure.uncommitted));
    }
    text.push_str(&format!("\n\n{} {}\n\n{}", words.work, words.to_do, finished(failure.took)));
    text
}

/// What is said of a class of failures, a sentence or two each.
pub(super) struct FailureAdvice {
    pub(super) happened: &'static str,
    work: &'static str,
    to_do: &'static str,
}

/// What is said in the place of the words about a start, where something was missing after it.
fn cut_off() -> FailureAdvice {
    FailureAdvice {
        happened: "hob could not finish this task.",
        work: "The workspace is kept as the agent left it.",
        to_do: "hob's operator has to fix this; `/hob retry` then continues from there, without another run where the agent was done.",
    }
}

pub(super) fn failure_words(class: FailureClass) -> FailureAdvice {
    use FailureClass as F;
    let kept = "The workspace is kept as the agent left it.";
    let again = "`/hob retry` continues from there.";
    let (happened, work, to_do) = match class {
        F::Authentication => (
            "The agent could not log in to its model's service.",
            kept,
            "hob's operator has to renew the agent's key or login; `/hob retry` then continues.",
        ),
        F::Billing => (
            "The model's service refuses to work: the account has no credit left.",
            kept,
            "hob's operator has to top up the account; `/hob retry` then continues.",
        ),
        F::RateLimit => ("The model's service is limiting requests.", kept, "Try `/hob retry` in a while."),
        F::UsageLimit => (
            "The usage limit of the model's account is reached.",
            kept,
            "Try `/hob retry` when the limit has been reset.",
        ),
        F::Overloaded => (
            "The model's service was overloaded or unreachable, even after several attempts.",
            kept,
            "Try `/hob retry` in a while.",
        ),
        F::ContextOverflow => (
            "The conversation has become too long for the model.",
            kept,
            "Split the issue into smaller ones, or say with `/hob resume …` what is left to do.",
        ),
        F::TurnLimit => ("The agent reached the limit of turns for one run.", kept, again),
        F::BudgetLimit => ("The agent used up its budget.", kept, again),
        F::Refused => ("The model refused the task.", kept, "Rephrase what you want with `/hob resume …`."),
        F::ModelUnknown => (
            "The configured model does not exist, or the account may not use it.",
            kept,
            "Choose another with `/hob work --model …`, or have hob's operator correct it; `/hob retry` then continues.",
        ),
        F::RequestRefused => (
            "The agent ended with an error.",
            kept,
            "The model's service rejects the request itself. `/hob retry --fresh` continues from there in a new session.",
        ),
        F::SessionLost => (
            "The agent's session was lost, and starting over failed too.",
            kept,
            "`/hob retry` starts a new session.",
        ),
        F::Interrupted => ("The run was interrupted.", kept, again),
        F::OutOfMemory => (
            "The agent's container ran out of memory and was stopped.",
            kept,
            "`/hob retry` continues from there; hob's operator can raise `container.memory`.",
        ),
        F::TimedOut => (
            "The agent did not finish within the time limit and was stopped.",
            kept,
            "`/hob retry` continues from there; a smaller issue helps.",
        ),
        F::Stalled => ("The agent said nothing for too long and was stopped.", kept, again),
        F::Crashed => ("The agent ended with an error.", kept, "`/hob retry` tries again from there."),
        F::HandOverRefused => (
            "The agent's commits were not accepted.",
            kept,
            "Say with `/hob resume …` what to do differently.",
        ),
        F::LeftUncommitted => (
            "The agent left work uncommitted, even after it was asked to commit it.",
            kept,
            "Say with `/hob resume …` what to do with it, `/hob resume commit your changes` for example.",
        ),
        F::PushRefused => (
            "GitHub rejected the push.",
            "The commits and the workspace are kept.",
            "Change what the message above names, a branch's protection for example; `/hob retry` then pushes again, without \
             another run.",
        ),
        F::BranchMoved => (
            "Somebody else pushed to the branch while the agent worked, and the changes do not merge automatically.",
            "Nothing was overwritten: the branch is as they left it, and the agent's commits are kept in its workspace.",
            "`/hob retry` brings what is on the branch into the workspace and continues.",
        ),
        F::BaseRewritten => (
            "The history of the base branch was rewritten, and this work builds on commits that are no longer on it.",
            "Nothing was pushed, so nothing that was removed from the base branch comes back.",
            "If the work has a branch on GitHub, `/hob rebase --rewrite` puts it on the base branch as it is now. `/hob retry` then \
             continues there.",
        ),
        F::NotReady => (
            "hob could not start the agent.",
            "Nothing was changed.",
            "hob's operator has to fix this; `/hob retry` then starts the task.",
        ),
        F::SetUpFailed => (
            "The repository's set-up command failed, so the agent was not started.",
            kept,
            "Correct `setup` in `.github/hob.toml`, or what it runs; if hob's operator has set it, they have to correct it. `/hob retry` then \
             continues.",
        ),
        F::TemplateUnusable => (
            "The repository's template for the prompt cannot be used, so the agent was not started.",
            "Nothing is lost.",
            "Correct the template on the base branch, or remove `prompt` from `.github/hob.toml`; `/hob retry` then starts the task.",
        ),
        F::DiskFull => (
            "The agent was stopped: it took up more disk space than allowed.",
            kept,
            "Say with `/hob resume …` what to delete; hob's operator can raise `container.disk`.",
        ),
        F::ServerDiskFull => (
            "The agent was stopped: the disk of hob's server is nearly full.",
            kept,
            "hob's operator has to free disk space; `/hob retry` then continues from there.",
        ),
        F::ContainerLost => {
            ("The agent's container vanished while it worked; somebody or something removed it.", kept, again)
        }
    };
    FailureAdvice { happened, work, to_do }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_says_what_happened_what_became_of_the_work_and_what_to_do() {
        let name = "every_failure_says_what_happened_what_became_of_the_work_and_what_to_do";
        let all = || {
            FailureClass::ALL
                .iter()
                .map(|class| {
                    let words = failure_words(*class);
                    assert!(
                        [words.happened, words.work, words.to_do].iter().all(|w| w.ends_with('.')),
                        "{class}"
                    );
                    format!("{class}: {} {} {}", words.happened, words.work, words.to_do)
                })
                .collect::<Vec<String>>()
                .join("\n")
        };
        insta::assert_snapshot!(name, all());
    }

    #[test]
    fn every_failure_names_a_command_that_keeps_options_and_session() {
        for class in FailureClass::ALL {
            let to_do = failure_words(class).to_do;
            assert!(
                ["`/hob retry", "`/hob resume "].iter().any(|command| to_do.contains(command)),
                "{class}"
            );
        }
    }

    #[test]
    fn what_who_asked_can_put_right_is_not_sent_to_the_operator() {
        let text = |for_requester, has_worked| {
            failed(&FailureText {
                class: FailureClass::NotReady,
                detail: "The repository is empty.",
                has_worked,
                for_requester,
                uncommitted: &[],
                took: Spent::default(),
            })
        };
        for has_worked in [true, false] {
            assert!(
                !text(true, has_worked).contains("operator") && text(false, has_worked).contains("operator")
            );
        }
        insta::assert_snapshot!(text(true, false));
    }

    #[test]
    fn what_is_missing_after_the_start_is_not_said_to_be_missing_at_it() {
        insta::assert_snapshot!("what_is_missing_after_the_start_is_not_said_to_be_missing_at_it", {
            failed(&FailureText {
                class: FailureClass::NotReady,
                detail: "Docker does not answer.",
                has_worked: true,
                for_requester: false,
                uncommitted: &[],
                took: Spent::default(),
            })
        });
    }
}
