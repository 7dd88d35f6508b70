//! A task that failed, in words: what happened, what became of the work, and what to do, for each class of failures.

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
    /// Files that were left uncommitted.
    pub uncommitted: &'a [String],
    /// What it took.
    pub took: Spent,
}

/// Said on the issue when a task failed: what happened, what became of the work, what to do.
pub fn failed(failure: &FailureText<'_>) -> String {
    let words = match failure.class {
        FailureClass::NotReady if failure.has_worked => cut_off(),
        class => failure_words(class),
    };
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
pub(super) struct FailureWords {
    pub(super) happened: &'static str,
    work: &'static str,
    to_do: &'static str,
}

/// What is said in the place of the words about a start, where something was missing after it.
fn cut_off() -> FailureWords {
    FailureWords {
        happened: "hob could not bring this work to its end.",
        work: "The workspace is kept as the agent left it.",
        to_do: "Once what is named above is put right, `/hob retry` goes on from there.",
    }
}

pub(super) fn failure_words(class: FailureClass) -> FailureWords {
    use FailureClass as F;
    let kept = "The workspace is kept as the agent left it.";
    let again = "`/hob work` goes on from there.";
    let (happened, work, to_do) = match class {
        F::Authentication => (
            "The agent could not log in to its model's service.",
            kept,
            "Whoever runs hob has to renew the agent's key or login; then `/hob work` goes on.",
        ),
        F::Billing => (
            "The model's service refuses to work: the account has no credit left.",
            kept,
            "Whoever runs hob has to see to the account; then `/hob work` goes on.",
        ),
        F::RateLimit => {
            ("The model's service is limiting requests.", kept, "Try `/hob work` again in a while.")
        }
        F::UsageLimit => (
            "The usage limit of the model's account is reached.",
            kept,
            "Try `/hob work` again when the limit has been reset.",
        ),
        F::Overloaded => (
            "The model's service was overloaded or out of reach, also after several tries.",
            kept,
            "Try `/hob work` again in a while.",
        ),
        F::ContextOverflow => (
            "The conversation has become too long for the model.",
            kept,
            "Split the issue into smaller ones, or say with `/hob work …` what is left to do.",
        ),
        F::TurnLimit => ("The agent reached the limit of turns for one run.", kept, again),
        F::BudgetLimit => ("The agent has used its budget up.", kept, again),
        F::Refused => {
            ("The model refused the task.", kept, "Say with `/hob work …` what is wanted in other words.")
        }
        F::ModelUnknown => (
            "The model that is configured does not exist, or the account may not use it.",
            kept,
            "Whoever runs hob has to correct the model's name; then `/hob work` goes on.",
        ),
        F::RequestRefused => (
            "The agent ended with an error.",
            kept,
            "The model's service does not take the request itself. `/hob retry --fresh` goes on from there in a new session.",
        ),
        F::SessionLost => (
            "The agent's session was lost, and starting over failed too.",
            kept,
            "`/hob work` starts a new session.",
        ),
        F::Interrupted => ("The run was interrupted.", kept, again),
        F::OutOfMemory => (
            "The agent's container ran out of memory and was stopped.",
            kept,
            "`/hob work` goes on from there; whoever runs hob can raise `container.memory`.",
        ),
        F::TimedOut => (
            "The agent did not finish within the time limit and was stopped.",
            kept,
            "`/hob work` goes on from there; a smaller issue helps.",
        ),
        F::Stalled => ("The agent said nothing for too long and was stopped.", kept, again),
        F::Crashed => ("The agent ended with an error.", kept, "`/hob work` tries again from there."),
        F::HandOverRefused => (
            "The agent's commits could not be taken over.",
            kept,
            "`/hob work …` with a hint at what to do differently goes on from there.",
        ),
        F::LeftUncommitted => (
            "The agent left work uncommitted, also after it was asked to commit it.",
            kept,
            "`/hob work commit your changes`, or what else should become of them, goes on from there.",
        ),
        F::PushRefused => (
            "The git host refused the push.",
            "The commits and the workspace are kept.",
            "Change what the message above names (a branch's protection, for example); then `/hob work` tries again.",
        ),
        F::BranchMoved => (
            "Somebody else moved the branch while the agent worked, and the two do not go together by themselves.",
            "Nothing was overwritten: the branch is as they left it, and the agent's commits are kept in its workspace.",
            "`/hob work` brings what is on the branch into the workspace and goes on.",
        ),
        F::NotReady => (
            "hob could not start the agent.",
            "Nothing was changed.",
            "Once what is named above is put right, `/hob work` starts again. An option of yours (`--base`, `--image`, `--agent`) you can put right yourself; the rest is for whoever runs hob.",
        ),
        F::SetUpFailed => (
            "The repository's set-up command failed, so the agent was not started.",
            kept,
            "Mend `setup` in `.github/hob.toml`, or what it runs; if whoever runs hob has set it, they have to. Then `/hob work` goes on.",
        ),
        F::TemplateUnusable => (
            "The repository's template for the prompt cannot be used, so the agent was not started.",
            "Nothing is lost.",
            "Mend the template on the base branch, and `/hob retry` starts again. Or take `prompt` out of `.github/hob.toml`; then `/hob work` does.",
        ),
        F::DiskFull => (
            "The agent was stopped: it took up more disk than it may, or the server's disk is nearly full.",
            kept,
            "Say with `/hob work …` what to delete. hob's log says which of the two it was; whoever runs hob can make room, or raise `container.disk`.",
        ),
        F::ContainerLost => {
            ("The agent's container vanished while it worked; somebody or something removed it.", kept, again)
        }
    };
    FailureWords { happened, work, to_do }
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
    fn what_is_missing_after_the_start_is_not_said_to_be_missing_at_it() {
        insta::assert_snapshot!("what_is_missing_after_the_start_is_not_said_to_be_missing_at_it", {
            failed(&FailureText {
                class: FailureClass::NotReady,
                detail: "Docker does not answer.",
                has_worked: true,
                uncommitted: &[],
                took: Spent::default(),
            })
        });
    }
}
