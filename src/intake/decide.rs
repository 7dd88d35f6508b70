//! What a label or a comment leads to, given what is known of its story. Pure: nothing is asked and nothing is written here, so
//! that every order of events can be tried. Whether its author may command hob is asked by the caller, and only where there is
//! something to be decided.

use std::time::Duration;

use jiff::Timestamp;

use crate::command::{Command, Mistake};
use crate::event::Ending;
use crate::ids::{CommentId, QuestionId};
use crate::story::Choice;

/// GitHub notes the same act with times that can be a second apart: on the issue, and in its history.
const SAME_ACT: Duration = Duration::from_secs(1);

/// What somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Put a label on.
    Label {
        /// What the label chooses, where it is one of hob's.
        choice: Option<Choice>,
        /// The label, for the log.
        label: String,
        /// When.
        at: Timestamp,
    },
    /// Took a label off.
    Unlabel {
        /// Whether it is one of hob's.
        is_own: bool,
        /// When.
        at: Timestamp,
    },
    /// Gave the issue to an account.
    Assign {
        /// Whether it is hob's.
        is_own: bool,
        /// When.
        at: Timestamp,
    },
    /// Ended the issue.
    End(Ending),
    /// Wrote a comment.
    Comment {
        /// Its id. GitHub's ids grow, so of two comments the later one has the larger.
        id: CommentId,
        /// When.
        at: Timestamp,
        /// The command in it, if there is one.
        command: Option<Command>,
    },
}

/// The question that a story waits with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    /// Its id.
    pub id: QuestionId,
    /// Where it stands on GitHub.
    pub posted: Posted,
}

/// Whether people can have read a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is this comment.
    As(CommentId),
    /// It is on its way, or there and not yet recorded.
    NotYet,
    /// GitHub does not take it; the operator knows.
    Parked,
}

/// What is known of the place where it was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether it was done on a pull request.
    pub on_pull_request: bool,
    /// The story there, if there is one.
    pub story: Option<KnownStory>,
}

/// What is known of a story.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownStory {
    /// When the label was put on that was taken up last.
    pub labeled_at: Option<Timestamp>,
    /// When somebody stopped the work last.
    pub stopped_at: Option<Timestamp>,
    /// Whether a task of it is not over.
    pub is_under_work: bool,
    /// The question that it waits with.
    pub question: Option<OpenQuestion>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// It cannot be said yet, for this reason.
    NotYet(&'static str),
    /// Nothing but to remember the label, since the story is under work.
    RememberLabel,
    /// A task.
    Open {
        /// What was chosen.
        choice: Choice,
        /// What was said beyond the command.
        text: Option<String>,
    },
    /// The answer to the question.
    Answer {
        /// Which.
        question: QuestionId,
        /// The answer, where it is another text than the comment's.
        text: Option<String>,
    },
    /// Stop the story's work, or say that there is none.
    Stop,
    /// Stop the story's work, since the label that asked for it is gone.
    Unlabeled,
    /// End the story, with its work if there is any.
    End(Ending),
    /// Say what hob understands.
    Explain(Mistake),
}

/// What an act leads to.
pub fn decide(act: &Act, known: &Known) -> Decision {
    match act {
        Act::Label { choice, at, .. } => on_label(choice.as_ref(), *at, known),
        Act::Unlabel { is_own, at } => on_unlabel(*is_own, *at, known.story.as_ref()),
        Act::Assign { is_own, at } => on_assign(*is_own, *at, known),
        Act::End(ending) => match known.story {
            Some(_) => Decision::End(*ending),
            None => Decision::Nothing("there is no story"),
        },
        Act::Comment { id, at, command } => on_comment(*id, *at, command.as_ref(), known),
    }
}

fn on_unlabel(is_own: bool, at: Timestamp, story: Option<&KnownStory>) -> Decision {
    match story {
        _ if !is_own => Decision::Nothing("the label is not hob's"),
        Some(story) if story.labeled_at.is_some_and(|labeled| at < labeled) => {
            Decision::Nothing("the label was put on again since")
        }
        Some(story) if story.is_under_work => Decision::Unlabeled,
        _ => Decision::Nothing("there is nothing to stop"),
    }
}

fn on_assign(is_own: bool, at: Timestamp, known: &Known) -> Decision {
    match &known.story {
        _ if !is_own => Decision::Nothing("the issue is somebody else's"),
        _ if known.on_pull_request => Decision::Nothing("it is a pull request"),
        Some(story) if story.is_under_work => Decision::Nothing("the story is under work already"),
        Some(story) if story.stopped_at.is_some_and(|stopped| at < stopped) => {
            Decision::Nothing("the work was stopped after this was asked for")
        }
        _ => Decision::Open { choice: Choice::default(), text: None },
    }
}

fn on_label(choice: Option<&Choice>, at: Timestamp, known: &Known) -> Decision {
    let Some(choice) = choice else { return Decision::Nothing("the label is not hob's") };
    if known.on_pull_request {
        return Decision::Nothing("the label is on a pull request");
    }
    if let Some(story) = &known.story {
        if story.labeled_at.is_some_and(|taken| at <= taken + SAME_ACT) {
            return Decision::Nothing("the label was taken up already, or a later one was");
        }
        if story.stopped_at.is_some_and(|stopped| at < stopped) {
            return Decision::Nothing("the work was stopped after the label was put on");
        }
        if story.is_under_work {
            return Decision::RememberLabel;
        }
    }
    Decision::Open { choice: choice.clone(), text: None }
}

fn on_comment(id: CommentId, at: Timestamp, command: Option<&Command>, known: &Known) -> Decision {
    let story = known.story.as_ref();
    if story.is_none() && known.on_pull_request && command.is_some() {
        return Decision::Nothing("a command on a pull request that is not hob's");
    }
    let stopped_since = story.and_then(|story| story.stopped_at).is_some_and(|stopped| at < stopped);
    match command {
        Some(Command::Stop) if stopped_since => return Decision::Nothing("the work was stopped again since"),
        Some(Command::Stop) => return Decision::Stop,
        Some(Command::Work { .. }) if stopped_since => {
            return Decision::Nothing("the work was stopped after this was asked for");
        }
        _ => {}
    }
    if let Some(question) = story.and_then(|story| story.question.as_ref()) {
        match question.posted {
            Posted::As(asked) if id > asked => return answer(question.id, command),
            // Somebody may have read it who wrote this, or nobody: that shows as soon as it is recorded.
            Posted::NotYet => return Decision::NotYet("the question is on its way to the issue"),
            Posted::As(_) | Posted::Parked if command.is_none() => {
                return Decision::Nothing("a comment from before the question");
            }
            Posted::Parked => return answer(question.id, command),
            Posted::As(_) => {}
        }
    }
    match command {
        None | Some(Command::Stop) => Decision::Nothing("a comment that is not for hob"),
        Some(Command::Work { choice, text }) => Decision::Open { choice: choice.clone(), text: text.clone() },
        Some(Command::Mistake(mistake)) => Decision::Explain(mistake.clone()),
    }
}

/// A comment on a story that waits is the answer, whether it is put as a command or not.
fn answer(question: QuestionId, command: Option<&Command>) -> Decision {
    let text = match command {
        Some(Command::Work { text: Some(text), .. }) => Some(text.clone()),
        Some(Command::Work { text: None, .. }) => Some("Decide yourself, and go on.".to_owned()),
        Some(Command::Mistake(_) | Command::Stop) | None => None,
    };
    Decision::Answer { question, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL_AT: i64 = 1_000;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn label(second: i64) -> Act {
        Act::Label { choice: Some(Choice::default()), label: "hob".to_owned(), at: time(second) }
    }

    fn comment(id: u64, second: i64, text: &str) -> Act {
        Act::Comment { id: CommentId(id), at: time(second), command: crate::command::parse(text) }
    }

    fn known(story: KnownStory) -> Known {
        Known { on_pull_request: false, story: Some(story) }
    }

    fn waiting(posted: Posted) -> Known {
        let question = Some(OpenQuestion { id: QuestionId::new(), posted });
        known(KnownStory { question, is_under_work: true, ..KnownStory::default() })
    }

    fn opens(decision: &Decision) -> bool {
        matches!(decision, Decision::Open { .. })
    }

    #[test]
    fn a_label_that_was_taken_up_starts_nothing_again_and_a_later_one_does() {
        let taken = || known(KnownStory { labeled_at: Some(time(LABEL_AT)), ..KnownStory::default() });
        assert!(opens(&decide(&label(LABEL_AT), &Known::default())));
        for second in [LABEL_AT - 10, LABEL_AT, LABEL_AT + 1] {
            assert!(matches!(decide(&label(second), &taken()), Decision::Nothing(_)), "{second}");
        }
        assert!(opens(&decide(&label(LABEL_AT + 2), &taken())));
    }

    #[test]
    fn what_was_asked_for_before_a_stop_and_arrives_after_it_starts_nothing() {
        let stopped = known(KnownStory { stopped_at: Some(time(50)), ..KnownStory::default() });
        for act in [label(49), comment(7, 49, "/hob work"), comment(7, 49, "/hob stop")] {
            assert!(matches!(decide(&act, &stopped), Decision::Nothing(_)), "{act:?}");
        }
        assert!(opens(&decide(&label(51), &stopped)));
        assert!(opens(&decide(&comment(7, 51, "/hob work"), &stopped)));
        assert_eq!(decide(&comment(7, 51, "/hob stop"), &stopped), Decision::Stop);
    }

    #[test]
    fn a_comment_from_before_the_question_is_no_answer() {
        let asked = waiting(Posted::As(CommentId(100)));
        assert!(matches!(decide(&comment(99, 1, "looks good"), &asked), Decision::Nothing(_)));
        assert!(opens(&decide(&comment(99, 1, "/hob work"), &asked)), "it asks for something else");
        assert!(matches!(decide(&comment(101, 2, "the first"), &asked), Decision::Answer { text: None, .. }));
    }

    #[test]
    fn a_question_that_may_have_been_read_is_waited_for() {
        assert!(matches!(decide(&comment(9, 1, "the first"), &waiting(Posted::NotYet)), Decision::NotYet(_)));
        assert_eq!(decide(&comment(9, 1, "/hob stop"), &waiting(Posted::NotYet)), Decision::Stop);
        let parked = waiting(Posted::Parked);
        assert!(matches!(decide(&comment(9, 1, "hello"), &parked), Decision::Nothing(_)));
        assert!(matches!(decide(&comment(9, 1, "/hob work go on"), &parked), Decision::Answer { .. }));
    }

    #[test]
    fn a_label_on_a_story_under_work_is_remembered_and_starts_nothing() {
        let busy = known(KnownStory { is_under_work: true, ..KnownStory::default() });
        assert_eq!(decide(&label(5), &busy), Decision::RememberLabel);
        let foreign = Act::Label { choice: None, label: "bug".to_owned(), at: time(5) };
        assert!(matches!(decide(&foreign, &busy), Decision::Nothing(_)));
    }

    #[test]
    fn taking_the_label_off_stops_what_it_asked_for_and_nothing_later() {
        let off = |second| Act::Unlabel { is_own: true, at: time(second) };
        let busy = |labeled| {
            known(KnownStory {
                is_under_work: true,
                labeled_at: Some(time(labeled)),
                ..KnownStory::default()
            })
        };
        assert_eq!(decide(&off(60), &busy(50)), Decision::Unlabeled);
        assert!(matches!(decide(&off(40), &busy(50)), Decision::Nothing(_)), "it arrives late");
        let foreign = Act::Unlabel { is_own: false, at: time(60) };
        assert!(matches!(decide(&foreign, &busy(50)), Decision::Nothing(_)));
        assert!(matches!(decide(&off(60), &known(KnownStory::default())), Decision::Nothing(_)));
    }

    #[test]
    fn an_issue_that_is_given_to_hob_is_asked_for_and_one_that_ends_ends_its_story() {
        let given = |is_own| Act::Assign { is_own, at: time(9) };
        assert!(opens(&decide(&given(true), &Known::default())));
        assert!(matches!(decide(&given(false), &Known::default()), Decision::Nothing(_)));
        let busy = known(KnownStory { is_under_work: true, ..KnownStory::default() });
        assert!(matches!(decide(&given(true), &busy), Decision::Nothing(_)));
        assert_eq!(decide(&Act::End(Ending::Closed), &busy), Decision::End(Ending::Closed));
        assert!(matches!(decide(&Act::End(Ending::Closed), &Known::default()), Decision::Nothing(_)));
    }

    #[test]
    fn on_other_peoples_pull_requests_nothing_counts() {
        let on_pull = Known { on_pull_request: true, story: None };
        for act in [label(1), comment(1, 1, "/hob work"), comment(1, 1, "/hob stop"), comment(1, 1, "hello")]
        {
            assert!(matches!(decide(&act, &on_pull), Decision::Nothing(_)), "{act:?}");
        }
    }
}
