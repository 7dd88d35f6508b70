//! What a label, a comment or an edit leads to, given what is known of its story. Pure: nothing is
//! asked and nothing is written here, so that every order of events can be tried. Whether its
//! author may command hob is asked by the caller, and only where there is something to be decided.

use std::time::Duration;

use jiff::Timestamp;

use super::reply::{QuestionEdit, read_edit, read_reply};
use crate::command::{Command, CommandError};
use crate::event::Ending;
use crate::ids::{AgentKind, CommentId, QuestionId};
use crate::message::CommandRejection;
use crate::message::card::marker;
use crate::story::plan::{self, TaskMode};
use crate::story::{ButtonAction, Choice, PartAnswer, QuestionComment, QuestionKind, TaskState};

/// GitHub notes the same act with times that can be a second apart: on the issue, and in its
/// history.
const SAME_ACT: Duration = Duration::from_secs(1);

/// What somebody did.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Put a label on.
    Label {
        /// What the label chooses, where it is one of hob's.
        choice: Option<Choice>,
        /// The label, for the log.
        label: String,
        /// When it happened, by GitHub's clock.
        at: Timestamp,
    },
    /// Took a label off.
    Unlabel {
        /// Whether it is one of hob's.
        is_own: bool,
        /// When it happened, by GitHub's clock.
        at: Timestamp,
    },
    /// Gave the issue to an account.
    Assign {
        /// Whether it is hob's.
        is_own: bool,
        /// When it happened, by GitHub's clock.
        at: Timestamp,
    },
    /// Ended the issue.
    End(Ending),
    /// Pressed a button on hob's check run, about the story's newest task.
    Press(ButtonAction),
    /// Wrote a comment.
    Comment {
        /// Its id. GitHub's ids grow, so of two comments the later one has the larger.
        id: CommentId,
        /// When it happened, by GitHub's clock.
        at: Timestamp,
        /// The command in it, if there is one.
        command: Option<Command>,
        /// Its text.
        body: String,
        /// Who wrote it.
        by: String,
    },
    /// Changed the text of a comment.
    Edit {
        /// The comment's id.
        id: CommentId,
        /// When it happened, by GitHub's clock.
        at: Timestamp,
        /// As it read before.
        before: String,
        /// As it reads now.
        after: String,
        /// Who did it.
        by: String,
        /// Whether that is the account that hob writes as.
        by_hob: bool,
    },
}

/// The question that a story waits with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    /// What is asked, and answered so far.
    pub card: QuestionComment,
    /// Where it stands on GitHub.
    pub posted: Posted,
}

impl OpenQuestion {
    /// Whether it is a plan that waits for a go.
    pub fn is_plan(&self) -> bool {
        self.card.kind == QuestionKind::Plan
    }
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
pub struct InputContext {
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
    /// The agent that was chosen for that task, where one was.
    pub chosen: Option<AgentKind>,
    /// Whether work waits for what blocks its issue.
    pub is_blocked: bool,
    /// The question that it waits with.
    pub question: Option<OpenQuestion>,
    /// Where a comment was changed: the card that it is, if it is one. Else the story's last card
    /// that is answered.
    pub card: Option<QuestionComment>,
    /// Where its newest task stands.
    pub last: Option<TaskState>,
    /// Whether GitHub has refused something of it for good that people wait for.
    pub has_refused: bool,
    /// Whether hob has proposed something whose checks could fail.
    pub has_pull: bool,
    /// Whether an agent is at work that a comment, this one where it is one, may be meant for.
    pub is_spoken_to: bool,
    /// Whether a comment is one on the story's open pull request, and not clearly for somebody
    /// else: it is taken as a review is.
    pub is_discussed: bool,
    /// Whether a comment may be meant for an agent though none is at work: the issue is open, and
    /// it is not clearly for somebody else.
    pub is_at_rest: bool,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// It cannot be said yet, for this reason.
    NotYet(&'static str),
    /// Nothing but to remember the label, since the story is under work.
    RememberLabel,
    /// Let the agent do the work that the label names: it was put on beside the one that asked for
    /// the work.
    Choose(AgentKind),
    /// A task.
    Open {
        /// What was chosen.
        choice: Choice,
        /// What was said beyond the command.
        text: Option<String>,
        /// Whether it is to change anything.
        mode: TaskMode,
    },
    /// A task about the checks that fail on the pull request.
    Fix {
        /// What was said beyond the command.
        text: Option<String>,
    },
    /// A task that goes on where the newest one stopped, with what was chosen for that.
    GoOn(Continuation),
    /// The same in a new session.
    GoOnAfresh(Continuation),
    /// Try again what GitHub has refused: the pull request, a question, an answer.
    Redeliver,
    /// Answers to the question.
    Answer {
        /// The question that is answered.
        question: QuestionId,
        /// What, by part.
        answers: Vec<PartAnswer>,
    },
    /// A message to the agent at work.
    Hear,
    /// A comment that reaches no agent, since the work is over.
    Unheard,
    /// A part of a round of reviews.
    Discuss,
    /// Nothing but to say that somebody had answered this part before.
    Late {
        /// The question comment that it came too late for.
        card: QuestionComment,
        /// The part.
        part: usize,
    },
    /// The card is to say again what it should.
    PutBack(QuestionComment),
    /// Stop the story's work, or say that there is none.
    Stop,
    /// Stop the story's work, since the label that asked for it is gone.
    Unlabeled,
    /// End the story, with its work if there is any.
    End(Ending),
    /// Look at the branch's head once more, and show what comes of it.
    CheckAgain,
    /// Let the story cost so many dollars more.
    Grant {
        /// How many.
        more_usd: f64,
    },
    /// Bring the base branch's newest commits into the story branch.
    Rebase {
        /// Whether the branch's own commits are to be made again on top of them.
        rewrite: bool,
    },
    /// Say what was got wrong.
    Explain(CommandError),
    /// Say what hob understands.
    Help,
    /// Say where the story stands.
    Status,
    /// Say why nothing is done.
    Refuse(CommandRejection),
}

/// With what a task goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// What was said for the one before.
    SameText,
    /// What is said now.
    Text(Option<String>),
}

/// What an act leads to.
pub fn decide(act: &Input, known: &InputContext) -> Decision {
    match act {
        Input::Label { choice, at, .. } => on_label(choice.as_ref(), *at, known),
        Input::Unlabel { is_own, at } => on_unlabel(*is_own, *at, known.story.as_ref()),
        Input::Assign { is_own, at } => on_assign(*is_own, *at, known),
        Input::End(ending) => match known.story {
            Some(_) => Decision::End(*ending),
            None => Decision::Nothing("there is no story"),
        },
        Input::Press(press) => on_press(*press, known.story.as_ref()),
        Input::Comment { .. } => on_comment(act, known),
        Input::Edit { .. } => on_edit(act, known),
    }
}

fn on_unlabel(is_own: bool, at: Timestamp, story: Option<&KnownStory>) -> Decision {
    match story {
        _ if !is_own => Decision::Nothing("the label is not hob's"),
        Some(story) if story.labeled_at.is_some_and(|labeled| at < labeled) => {
            Decision::Nothing("the label was added again since")
        }
        Some(story) if story.is_under_work || story.is_blocked => Decision::Unlabeled,
        _ => Decision::Nothing("there is nothing to stop"),
    }
}

fn on_assign(is_own: bool, at: Timestamp, known: &InputContext) -> Decision {
    match &known.story {
        _ if !is_own => Decision::Nothing("the issue was assigned to someone else"),
        _ if known.on_pull_request => Decision::Nothing("it is a pull request"),
        Some(story) if story.is_under_work => Decision::Nothing("the story is already in progress"),
        Some(story) if story.stopped_at.is_some_and(|stopped| at < stopped) => {
            Decision::Nothing("the work was stopped after this request")
        }
        _ => Decision::Open { choice: Choice::default(), text: None, mode: TaskMode::Work },
    }
}

fn on_label(choice: Option<&Choice>, at: Timestamp, known: &InputContext) -> Decision {
    let Some(choice) = choice else { return Decision::Nothing("the label is not hob's") };
    if known.on_pull_request {
        return Decision::Nothing("the label is on a pull request");
    }
    if let Some(story) = &known.story {
        // Of two labels that are put on together the one that chooses an agent counts, whichever
        // hob hears of first.
        let adds = choice.agent.filter(|agent| story.is_under_work && story.chosen != Some(*agent));
        let is_same_act = story.labeled_at.is_some_and(|taken| taken <= at + SAME_ACT);
        if story.labeled_at.is_some_and(|taken| at <= taken + SAME_ACT) && !(is_same_act && adds.is_some()) {
            return Decision::Nothing("the label, or a later one, was already handled");
        }
        if story.stopped_at.is_some_and(|stopped| at < stopped) {
            return Decision::Nothing("the work was stopped after the label was added");
        }
        if story.is_under_work {
            return adds.map_or(Decision::RememberLabel, Decision::Choose);
        }
    }
    Decision::Open { choice: choice.clone(), text: None, mode: TaskMode::Work }
}

fn on_comment(act: &Input, known: &InputContext) -> Decision {
    let Input::Comment { id, at, command, .. } = act else { return Decision::Nothing("not a comment") };
    let (id, at, command) = (*id, *at, command.as_ref());
    let story = known.story.as_ref();
    if story.is_none() && known.on_pull_request {
        match command {
            None => return Decision::Nothing("a comment on a pull request that is not hob's"),
            Some(Command::Fix { text }) => return Decision::Fix { text: text.clone() },
            Some(_) => {}
        }
    }
    let stopped_since = story.and_then(|story| story.stopped_at).is_some_and(|stopped| at < stopped);
    match command {
        Some(Command::Help) => return Decision::Help,
        Some(Command::Status) => return Decision::Status,
        Some(Command::Stop) if stopped_since => return Decision::Nothing("the work was stopped again since"),
        Some(Command::Stop) => return Decision::Stop,
        // A slip of the pen is no answer either.
        Some(Command::Mistake(mistake)) if !mistake.may_be_an_answer() => {
            return Decision::Explain(mistake.clone());
        }
        None | Some(Command::Mistake(_)) => {}
        Some(_) if stopped_since => {
            return Decision::Nothing("the work was stopped after this request");
        }
        Some(Command::Retry { fresh }) => return on_retry(*fresh, story),
        Some(Command::Budget { more_usd }) => return on_budget(*more_usd, story),
        Some(Command::Rebase { rewrite }) => return on_rebase(*rewrite, story),
        Some(_) => {}
    }
    if let Some(question) = story.and_then(|story| story.question.as_ref()) {
        match question.posted {
            Posted::As(asked) if id > asked => return answer(question, act),
            // Somebody may have read it who wrote this, or nobody: that shows as soon as it is
            // recorded.
            Posted::NotYet => return Decision::NotYet("the question is not yet on the issue"),
            Posted::As(_) | Posted::Parked if command.is_none() => {
                return Decision::Nothing("a comment older than the question");
            }
            Posted::Parked => return answer(question, act),
            Posted::As(_) => {}
        }
    }
    match command {
        None => late(act, story).unwrap_or(match story {
            Some(story) if story.is_spoken_to && !stopped_since => Decision::Hear,
            Some(story) if story.is_discussed && !stopped_since => Decision::Discuss,
            Some(story) if is_unheard(story) && !stopped_since => Decision::Unheard,
            _ => Decision::Nothing("a comment that is not for hob"),
        }),
        Some(command) => on_idle(command, story),
    }
}

/// Whether a comment was written after the end of work, where it reaches no agent.
fn is_unheard(story: &KnownStory) -> bool {
    story.is_at_rest
        && story.last.is_some_and(TaskState::is_final)
        && !story.is_under_work
        && !story.is_blocked
}

/// What a command leads to where it answers nothing.
fn on_idle(command: &Command, story: Option<&KnownStory>) -> Decision {
    let open = |choice: &Choice, text: &Option<String>, mode| Decision::Open {
        choice: choice.clone(),
        text: text.clone(),
        mode,
    };
    match command {
        Command::Work { choice, text } => open(choice, text, TaskMode::Work),
        Command::Plan { choice, text } => open(choice, text, TaskMode::Plan),
        Command::Go { .. } => Decision::Refuse(busy(story).unwrap_or(CommandRejection::NoPlan)),
        Command::Resume { fresh, text } => on_resume(*fresh, text, story),
        Command::Fix { text } if story.is_some_and(|story| story.has_pull) => {
            Decision::Fix { text: text.clone() }
        }
        Command::Fix { .. } => Decision::Refuse(CommandRejection::NoPull),
        Command::Mistake(mistake) => Decision::Explain(mistake.clone()),
        // Decided before.
        Command::Stop
        | Command::Retry { .. }
        | Command::Budget { .. }
        | Command::Rebase { .. }
        | Command::Status
        | Command::Help => Decision::Nothing("a comment that is not for hob"),
    }
}

/// A comment on a story that waits is the answer, whether it is put as a command or not. On a plan,
/// every command to work is the word to carry it out.
fn answer(question: &OpenQuestion, act: &Input) -> Decision {
    const DECIDE_YOURSELF: &str = "Decide yourself, and go on.";
    let Input::Comment { command, body, .. } = act else { return Decision::Nothing("not a comment") };
    let decide = || DECIDE_YOURSELF.to_owned();
    let words = match command {
        Some(Command::Work { text, .. } | Command::Go { text }) if question.is_plan() => {
            plan::go_answer(text.as_deref())
        }
        Some(Command::Resume { text: None, .. }) if question.is_plan() => plan::go_answer(None),
        Some(Command::Plan { text: Some(text), .. }) if question.is_plan() => text.clone(),
        Some(Command::Plan { .. } | Command::Fix { .. }) => return Decision::Refuse(CommandRejection::Waits),
        Some(Command::Work { text, .. } | Command::Go { text } | Command::Resume { text, .. }) => {
            text.clone().unwrap_or_else(decide)
        }
        // Its own words are the answer.
        _ => body.clone(),
    };
    let card = &question.card;
    let (open, answered): (Vec<PartAnswer>, Vec<PartAnswer>) =
        read_reply(card, &words).into_iter().partition(|answer| card.answers[answer.part].is_none());
    match (open.is_empty(), answered.first()) {
        (false, _) => Decision::Answer { question: card.id, answers: open },
        (true, Some(answer)) => Decision::Late { card: card.clone(), part: answer.part },
        (true, None) => Decision::Nothing("a comment that only quotes the question"),
    }
}

/// Whether a comment was written as the answer to a question that somebody else had answered,
/// without the author having seen that. What is written later is about something else.
fn late(act: &Input, story: Option<&KnownStory>) -> Option<Decision> {
    let Input::Comment { id, at, body, by, .. } = act else { return None };
    let story = story.filter(|story| story.is_under_work)?;
    let card = story.card.as_ref().filter(|card| card.comment.is_some_and(|asked| *id > asked))?;
    // As if all parts were open: which of them is meant?
    let asked = QuestionComment { answers: vec![None; card.answers.len()], ..card.clone() };
    let part = read_reply(&asked, body).first()?.part;
    is_late(card, part, *at, by).then(|| Decision::Late { card: card.clone(), part })
}

/// Whether somebody cannot have seen that this part had an answer, which is another's.
fn is_late(card: &QuestionComment, part: usize, at: Timestamp, by: &str) -> bool {
    card.answers[part].as_ref().is_some_and(|given| {
        // GitHub's times are whole seconds: within the second in which the card was changed nobody
        // had read it.
        let unseen = given.shown_at.is_none_or(|shown| at.as_second() <= shown.as_second());
        unseen && !given.answer.by.eq_ignore_ascii_case(by)
    })
}

fn on_edit(act: &Input, known: &InputContext) -> Decision {
    let Input::Edit { id, at, before, after, by, by_hob } = act else {
        return Decision::Nothing("not an edit");
    };
    let card = known.story.as_ref().and_then(|story| story.card.as_ref());
    let Some(card) = card.filter(|card| card.comment == Some(*id)) else {
        let question = known.story.as_ref().and_then(|story| story.question.as_ref());
        let unrecorded = question.filter(|open| open.posted == Posted::NotYet);
        return match unrecorded {
            // hob may have died between making the comment and writing down which it is.
            Some(open) if before.contains(&marker(open.card.id)) => {
                Decision::NotYet("the question comment exists, but is not recorded yet")
            }
            _ => Decision::Nothing("an edited comment triggers nothing"),
        };
    };
    match read_edit(card, before, after) {
        QuestionEdit::AsItShouldBe => Decision::Nothing("the question comment is up to date"),
        QuestionEdit::Ticked(picked) => {
            let open = picked.iter().filter(|picked| card.answers[picked.part].is_none());
            let open: Vec<PartAnswer> = open.cloned().collect();
            if card.is_open && !open.is_empty() {
                return Decision::Answer { question: card.id, answers: open };
            }
            let other = |picked: &&PartAnswer| {
                let given = card.answers[picked.part].as_ref();
                given.is_some_and(|given| given.answer.text != picked.text)
            };
            match picked.iter().find(other) {
                Some(picked) if is_late(card, picked.part, *at, by) => {
                    Decision::Late { card: card.clone(), part: picked.part }
                }
                _ => Decision::PutBack(card.clone()),
            }
        }
        // As an earlier state of the card was.
        QuestionEdit::Altered if *by_hob => Decision::Nothing("hob's own edit"),
        QuestionEdit::Altered => Decision::PutBack(card.clone()),
    }
}

/// A button does what its command does, and says nothing where that would only be words: the check
/// run says where the story stands.
fn on_press(press: ButtonAction, story: Option<&KnownStory>) -> Decision {
    let Some(known) = story else { return Decision::Nothing("there is no story") };
    match (press, on_retry(false, story)) {
        (ButtonAction::Stop, _) if known.is_under_work => Decision::Stop,
        (ButtonAction::Stop, _) => Decision::Nothing("there is nothing to stop"),
        // What failed is not better for being looked at once more.
        (ButtonAction::Retry | ButtonAction::Again, Decision::GoOn(with)) => Decision::GoOn(with),
        (ButtonAction::Retry | ButtonAction::Again, Decision::Redeliver) => Decision::Redeliver,
        (ButtonAction::Retry, _) => Decision::Nothing("there is nothing to retry"),
        (ButtonAction::Again, _) => Decision::CheckAgain,
    }
}

fn going_on(fresh: bool, with: Continuation) -> Decision {
    if fresh { Decision::GoOnAfresh(with) } else { Decision::GoOn(with) }
}

fn on_retry(fresh: bool, story: Option<&KnownStory>) -> Decision {
    let has_refused = story.is_some_and(|story| story.has_refused);
    match (busy(story), story.and_then(|story| story.last)) {
        (Some(_), _) | (None, Some(TaskState::Done)) if has_refused => Decision::Redeliver,
        (Some(busy), _) => Decision::Refuse(busy),
        (None, Some(TaskState::Done)) => Decision::Refuse(CommandRejection::LastEndedWell),
        // Or is about to end, since it was stopped.
        (None, Some(_)) => going_on(fresh, Continuation::SameText),
        (None, None) => Decision::Refuse(CommandRejection::NothingBegun),
    }
}

fn on_resume(fresh: bool, text: &Option<String>, story: Option<&KnownStory>) -> Decision {
    match (busy(story), story.and_then(|story| story.last)) {
        (Some(busy), _) => Decision::Refuse(busy),
        // It goes on all the same, with something new.
        (None, Some(TaskState::Done)) if text.is_some() => {
            let choice = Choice { fresh, ..Choice::default() };
            Decision::Open { choice, text: text.clone(), mode: TaskMode::Work }
        }
        (None, Some(TaskState::Done)) => Decision::Refuse(CommandRejection::LastEndedWell),
        (None, Some(_)) => going_on(fresh, Continuation::Text(text.clone())),
        (None, None) => Decision::Refuse(CommandRejection::NothingBegun),
    }
}

fn on_budget(more_usd: f64, story: Option<&KnownStory>) -> Decision {
    match story.and_then(|story| story.last) {
        Some(_) => Decision::Grant { more_usd },
        None => Decision::Refuse(CommandRejection::NothingBegun),
    }
}

/// While an agent works it waits until that is over; while a question is open, nothing would
/// happen.
fn on_rebase(rewrite: bool, story: Option<&KnownStory>) -> Decision {
    match story {
        Some(KnownStory { question: Some(_), .. }) => Decision::Refuse(CommandRejection::Waits),
        Some(KnownStory { last: Some(_), .. }) => Decision::Rebase { rewrite },
        _ => Decision::Refuse(CommandRejection::NothingBegun),
    }
}

/// Why a story cannot begin anything now.
fn busy(story: Option<&KnownStory>) -> Option<CommandRejection> {
    let story = story.filter(|story| story.is_under_work)?;
    Some(if story.question.is_some() { CommandRejection::Waits } else { CommandRejection::UnderWay })
}

#[cfg(test)]
mod tests;
