//! Plans: a task that may not change anything yet ends its run with a plan, which a person agrees
//! to, with or without a change, or has changed. What follows from their words is decided here;
//! `message.rs` has hob's own.

use super::{Outcome, RunReason};
use serde::{Deserialize, Serialize};

use crate::ids::QuestionId;

/// Whether a task is to change anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskMode {
    /// It works.
    #[default]
    Work,
    /// It only plans: its agent cannot write to the workspace, and nothing of it is pushed.
    Plan,
}

impl TaskMode {
    /// The word in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Plan => "plan",
        }
    }

    /// The mode of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Work, Self::Plan].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The answer by which a plan is carried out, as it is offered.
pub const GO: &str = "Go";

/// The command that says the same. What follows it is to be different from the plan.
pub const GO_COMMAND: &str = "/hob go";

/// The command as an answer, with what is to be different.
pub fn go_answer(but: Option<&str>) -> String {
    but.map_or_else(|| GO_COMMAND.to_owned(), |but| format!("{GO_COMMAND} {but}"))
}

/// Whether an answer has a plan carried out. Any other words change the plan: who begins a sentence
/// with "go" may go on in any way.
pub fn agrees(answer: &str) -> bool {
    let answer = answer.trim();
    if answer
        .strip_prefix(GO_COMMAND)
        .is_some_and(|but| but.is_empty() || but.starts_with(char::is_whitespace))
    {
        return true;
    }
    let plain = answer.trim_end_matches(['.', '!']).to_lowercase();
    let plain = plain.strip_prefix("1.").unwrap_or(&plain).trim();
    ["go", "yes", "1"].contains(&plain)
}

/// Whether a completed run hands in a plan, which a person is asked about, and no work to publish.
pub fn is_plan(mode: TaskMode, outcome: &Outcome) -> bool {
    mode == TaskMode::Plan && matches!(outcome, Outcome::Completed { .. })
}

/// What an answer makes of a task: why its next run is made, and whether it may change anything.
/// `about_plan`: it answers the question that the plan was put as.
pub fn after_answer(
    mode: TaskMode,
    about_plan: bool,
    question: QuestionId,
    answer: &str,
) -> (RunReason, TaskMode) {
    if about_plan && agrees(answer) {
        return (RunReason::CarryOut { question }, TaskMode::Work);
    }
    (RunReason::Answer { question }, mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_go_agrees_and_other_words_change_the_plan() {
        for text in [
            "Go",
            "go!",
            "yes",
            "Yes.",
            "1",
            "1. Go",
            "/hob go",
            "/hob go but use tabs",
            "/hob go\nbut slowly",
        ] {
            assert!(agrees(text), "{text}");
        }
        for text in [
            "",
            "go over the second part again",
            "yes, but use tabs",
            "no",
            "2",
            "/hob gone",
            "leave out 3",
            "yes?",
        ] {
            assert!(!agrees(text), "{text}");
        }
        assert!(agrees(&go_answer(Some("but use tabs"))) && agrees(&go_answer(None)));
    }

    #[test]
    fn only_a_word_about_the_plan_itself_has_it_carried_out() {
        let question = QuestionId::new();
        let answer = RunReason::Answer { question };
        assert_eq!(
            after_answer(TaskMode::Plan, true, question, "go"),
            (RunReason::CarryOut { question }, TaskMode::Work)
        );
        assert_eq!(after_answer(TaskMode::Plan, true, question, "smaller"), (answer.clone(), TaskMode::Plan));
        assert_eq!(after_answer(TaskMode::Plan, false, question, "go"), (answer.clone(), TaskMode::Plan));
        assert_eq!(after_answer(TaskMode::Work, false, question, "yes"), (answer, TaskMode::Work));
    }

    #[test]
    fn what_a_planning_task_completes_is_a_plan() {
        let completed = Outcome::Completed { summary: None };
        assert!(is_plan(TaskMode::Plan, &completed));
        assert!(!is_plan(TaskMode::Work, &completed) && !is_plan(TaskMode::Plan, &Outcome::Cancelled));
        assert!(
            [TaskMode::Work, TaskMode::Plan]
                .iter()
                .all(|mode| TaskMode::from_word(mode.as_str()) == Some(*mode))
        );
    }
}
