//! How a question card reads: open, partly and wholly answered, and when it needs no answer any
//! more; and what is said beside it. A card changes its words only where its question changes: so
//! that what people ticked in it can be told from what hob wrote, each option is one line of its
//! own.

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::budget::answer_words;
use super::{
    MARKER_END, MARKER_START, MAX_AGENT_TEXT, Overflow, contain_line, login, quoted, rests, shown_as_draft,
    whole_changed, with_links,
};
use crate::ids::QuestionId;
use crate::story::{Answer, Question, QuestionComment, QuestionKind};

/// Longer options and answers are cut.
const MAX_LINE_LEN: usize = 500;

/// The hidden text at the end of a card by which hob knows it again.
pub fn marker(question: QuestionId) -> String {
    format!("{MARKER_START}{question}{MARKER_END}")
}

/// The card as it should be, with its marker.
pub fn card(card: &QuestionComment) -> String {
    with_links(&unlinked(card), |rest| card.rests.get(&rest.key).cloned())
}

/// What is too long for the card.
pub fn rests_of(card: &QuestionComment) -> Vec<Overflow> {
    rests(&unlinked(card))
}

fn unlinked(card: &QuestionComment) -> String {
    let mut sections = vec![headline(card)];
    let is_one = card.question.count() == 1;
    for (at, (part, given)) in card.question.parts().zip(&card.answers).enumerate() {
        let number = (!is_one).then_some(at + 1);
        sections.extend(asked(part, number, card.question.count()));
        let chosen = given.as_ref().map(|given| &given.answer);
        let boxes: Vec<String> = part
            .options
            .iter()
            .map(|option| {
                let is_chosen = chosen.is_some_and(|answer| answer.text == *option);
                format!("{}{}", if is_chosen { TICKED } else { OPEN }, option_line(option))
            })
            .collect();
        sections.extend((!boxes.is_empty()).then(|| boxes.join("\n")));
        sections.extend(chosen.map(|answer| answered(answer, card.deadline_at)));
    }
    if card.is_open {
        sections.extend(card.draft_pull.map(shown_as_draft));
        sections.push(how_to_answer(card));
        sections.extend(what_else_happens(card));
    }
    sections.push(marker(card.id));
    sections.join("\n\n")
}

/// How the line of an option begins.
pub const OPEN: &str = "- [ ] ";
/// How it begins once it is ticked.
pub const TICKED: &str = "- [x] ";

/// An option, as its line in the card has it behind the box.
pub fn option_line(option: &str) -> String {
    let line = contain_line(option, MAX_LINE_LEN);
    if line.is_empty() {
        return "(an option without text)".to_owned();
    }
    line
}

fn headline(card: &QuestionComment) -> String {
    let count = card.question.count();
    match (card.is_open, card.open_parts().len()) {
        (_, 0) => "**Answered; I go on.**".to_owned(),
        (false, _) => "**This needs no answer any more.**".to_owned(),
        (true, _) if card.kind != QuestionKind::Agent => opening(card.kind).to_owned(),
        (true, _) if count == 1 => "**I have a question before I can go on.**".to_owned(),
        (true, open) if open == count => format!("**I have {count} questions before I can go on.**"),
        (true, open) => format!("**I have {count} questions before I can go on; {open} of them open.**"),
    }
}

/// How a question begins that is not the agent's.
fn opening(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Agent => "**I have a question before I can go on.**",
        QuestionKind::Plan => "**Here is my plan. Nothing is changed yet.**",
        QuestionKind::Cap => "**Budget reached: may I spend more?**",
        QuestionKind::Protected => {
            "**Approval needed: the work is done, but it changes protected paths, so I have not pushed it yet.**"
        }
    }
}

/// What is asked in one part, without its options.
fn asked(part: &Question, number: Option<usize>, parts: usize) -> Vec<String> {
    let most = MAX_AGENT_TEXT / 2 / parts;
    let text = match number {
        None => whole_changed(&part.text, most, without_boxes),
        Some(number) if part.text.trim().contains(['\n', '\r']) => {
            // A block of code, for one, begins on a line of its own.
            format!("**{number}.**\n\n{}", whole_changed(&part.text, most, without_boxes))
        }
        Some(number) => format!("**{number}.** {}", without_boxes(&contain_line(&part.text, most))),
    };
    let context = part.context.as_deref().filter(|context| !context.trim().is_empty());
    let room = MAX_AGENT_TEXT / 4 / parts;
    let context = context.map(|context| quoted(&whole_changed(context, room, without_boxes)));
    [Some(text), context].into_iter().flatten().collect()
}

/// A box that an agent wrote could be ticked too, and would mean nothing.
fn without_boxes(text: &str) -> String {
    text.replace("[ ]", "\\[ ]").replace("[x]", "\\[x]").replace("[X]", "\\[X]")
}

fn answered(answer: &Answer, deadline: Option<Timestamp>) -> String {
    let text = contain_line(&answer_words(answer), MAX_LINE_LEN);
    match (answer.by.is_empty(), deadline.map(moment)) {
        (false, _) => format!("**{}:** {text}", login(&answer.by)),
        (true, Some(deadline)) => format!("**Nobody answered by {deadline}, so I took:** {text}"),
        (true, None) => format!("**Nobody answered, so I took:** {text}"),
    }
}

fn how_to_answer(card: &QuestionComment) -> String {
    let has_options = card.question.parts().any(|part| !part.options.is_empty());
    let how = match (card.question.count(), has_options) {
        (1, true) => "Tick a box, or answer with a comment: the option, its number, or your own answer.",
        (1, false) => "Answer with a comment here.",
        (_, true) => {
            "Tick boxes, or answer with a comment, in any order. Lines that begin with `1:` or `2:` answer that question; a \
             comment without numbers answers all that are open."
        }
        (_, false) => {
            "Answer with a comment, in any order. Lines that begin with `1:` or `2:` answer that question; a comment \
             without numbers answers all that are open."
        }
    };
    format!("{how} Then I go on where I stopped; my workspace and session are kept until then.")
}

fn what_else_happens(card: &QuestionComment) -> Option<String> {
    let deadline = moment(card.deadline_at?);
    let defaults: Vec<String> = card
        .open_defaults()
        .iter()
        .map(|default| {
            let text = format!("**{}**", option_line(&default.text));
            if card.question.count() == 1 {
                return text;
            }
            let number = default.part + 1;
            format!("{text} for {number}")
        })
        .collect();
    let taken = defaults.join(", ");
    (!defaults.is_empty()).then(|| format!("If nobody answers by {deadline}, I take {taken}."))
}

/// `Monday 2026-11-30 09:00 UTC`, with seconds where there are some: nothing happens before the
/// moment that is named.
fn moment(at: Timestamp) -> String {
    let form = if at.as_millisecond() % 60_000 == 0 { "%Y-%m-%d %H:%M UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
    // Up to the next second, which the words then name.
    let at = Timestamp::from_millisecond(at.as_millisecond() + 999).unwrap_or(at);
    let at = at.to_zoned(TimeZone::UTC);
    format!("{} {}", weekday(at.weekday()), at.strftime(form))
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// Said once where nobody has answered for a while.
pub fn reminder(card: &QuestionComment) -> String {
    let question = match card.comment {
        Some(comment) => {
            format!("[my question](#issuecomment-{comment})")
        }
        None => "my question".to_owned(),
    };
    match card.deadline_at.filter(|_| !card.open_defaults().is_empty()) {
        Some(deadline) => {
            let deadline = moment(deadline);
            format!("I still wait for an answer to {question}, until {deadline}.")
        }
        None => format!("I still wait for an answer to {question}; the work is paused until then."),
    }
}

/// Said to somebody who answered when there was an answer already.
pub fn answered_before(late: &str, first: &Answer, deadline: Option<Timestamp>) -> String {
    let (late, by) = (login(late), login(&first.by));
    let text = contain_line(&answer_words(first), MAX_LINE_LEN);
    let before = match (first.by.is_empty(), deadline.map(moment)) {
        (false, _) => format!("{by} had answered before you: {text}"),
        (true, Some(deadline)) => format!("nobody had answered by {deadline}, so I took: {text}"),
        (true, None) => {
            format!("I had taken the default: {text}")
        }
    };
    format!("{late}: {before}\n\nI go on with that. If it should be different, say so with `/hob work …`.")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::{CommentId, IssueNumber, StoryId};
    use crate::story::{OverflowLinks, SelectedAnswer};

    const ID: &str = "01a20ba9-548f-767a-8884-d8d02bdb13df";

    /// An open card.
    pub fn card_of(question: Question) -> QuestionComment {
        QuestionComment {
            id: ID.parse().unwrap(),
            story: StoryId::new(),
            kind: QuestionKind::Agent,
            on: IssueNumber(1),
            comment: Some(CommentId(7)),
            answers: vec![None; question.count()],
            question,
            is_open: true,
            deadline_at: None,
            rests: OverflowLinks::default(),
            draft_pull: None,
        }
    }

    /// A question with options.
    pub fn asking(text: &str, options: &[&str]) -> Question {
        Question {
            text: text.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..Question::default()
        }
    }

    /// An answer.
    pub fn given(text: &str, by: &str) -> Option<SelectedAnswer> {
        Some(SelectedAnswer { answer: Answer { text: text.to_owned(), by: by.to_owned() }, shown_at: None })
    }

    fn shape() -> Question {
        let context = Some("Both are easy to parse.\n- [ ] The issue does not say.".to_owned());
        Question {
            context,
            ..asking("Which shape should the output have?", &["one object per line", "one array"])
        }
    }

    fn said(cards: &[QuestionComment]) -> String {
        let said: Vec<String> = cards.iter().map(|of| card(&QuestionComment { ..of.clone() })).collect();
        said.join("\n\n=====\n\n")
    }

    fn deadline() -> Option<Timestamp> {
        Some("2026-11-30T09:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_card_of_one_question() {
        let open = card_of(shape());
        let free = card_of(asking("What should it be called?", &[]));
        let mut dated = card_of(Question { default: Some("one array".to_owned()), ..shape() });
        dated.deadline_at = deadline();
        let ticked =
            QuestionComment { answers: vec![given("one array", "alice")], is_open: false, ..open.clone() };
        let worded = QuestionComment {
            answers: vec![given("one array, @bob,\nbut sorted", "alice")],
            is_open: false,
            ..open.clone()
        };
        let taken =
            QuestionComment { answers: vec![given("one array", "")], is_open: false, ..dated.clone() };
        let stopped = QuestionComment { is_open: false, ..open.clone() };
        let drafted = QuestionComment { draft_pull: Some(crate::ids::PullNumber(2)), ..open.clone() };
        let kinds = [QuestionKind::Plan, QuestionKind::Cap, QuestionKind::Protected]
            .map(|kind| QuestionComment { kind, ..free.clone() });
        let all = [vec![open, free, dated, ticked, worded, taken, stopped, drafted], kinds.to_vec()].concat();
        insta::assert_snapshot!("a_card_of_one_question", said(&all));
    }

    #[test]
    fn a_card_of_several_questions() {
        let also =
            Question { default: Some("no".to_owned()), ..asking("Is there a short form?", &["-j", "no"]) };
        let mut open = card_of(Question { also: vec![also], ..shape() });
        open.deadline_at = deadline();
        let half = QuestionComment { answers: vec![given("one array", "alice"), None], ..open.clone() };
        let done = QuestionComment {
            answers: vec![given("one array", "alice"), given("-j", "bob")],
            is_open: false,
            ..open.clone()
        };
        insta::assert_snapshot!(
            "a_card_of_several_questions",
            said(&[open.clone(), half.clone(), done.clone()])
        );
    }

    #[test]
    fn what_is_said_beside_a_card() {
        let open = card_of(shape());
        let mut dated = card_of(Question { default: Some("one array".to_owned()), ..shape() });
        dated.deadline_at = deadline();
        let first = Answer { text: "one array".to_owned(), by: "alice".to_owned() };
        let nobody = Answer { by: String::new(), ..first.clone() };
        insta::assert_snapshot!("what_is_said_beside_a_card", {
            let (open, dated) = (QuestionComment { ..open.clone() }, QuestionComment { ..dated.clone() });
            [
                reminder(&open),
                reminder(&dated),
                answered_before("bob", &first, None),
                answered_before("bob", &nobody, deadline()),
                answered_before("bob", &nobody, None),
            ]
            .join("\n\n=====\n\n")
        });
    }
}
