//! Question cards: what an agent asks, part by part, what was answered, and what a whole answer is
//! made of. Pure. How a card reads is in `message/card.rs`; what people's replies and ticks mean is
//! in `intake/reply.rs`.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::budget::CapQuestionState;
use super::{Answer, PendingApproval};
use crate::ids::{CommentId, IssueNumber, PullNumber, QuestionId, StoryId};

/// What an agent asks: one thing, or several in one card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question.
    pub text: String,
    /// Possible answers.
    #[serde(default)]
    pub options: Vec<String>,
    /// What one must know to answer.
    #[serde(default)]
    pub context: Option<String>,
    /// The answer that is taken when nobody gives one by the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The deadline, in seconds from when the card is there. Absent: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// What is asked in the same card as well; each is a part like this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Question>,
}

impl Question {
    /// Everything that is asked, in the order of the card.
    pub fn parts(&self) -> impl Iterator<Item = &Question> {
        std::iter::once(self).chain(&self.also)
    }

    /// How many parts there are.
    pub fn count(&self) -> usize {
        1 + self.also.len()
    }

    /// The text of all parts; numbered, where there are several.
    pub fn whole_text(&self) -> String {
        numbered(&self.parts().map(|part| part.text.as_str()).collect::<Vec<_>>())
    }

    /// The option of this part that words pick, by its number, its letter or its own words; or else
    /// the words.
    pub fn pick(&self, words: &str) -> String {
        let words = words.trim();
        let bare = plain_words(words);
        let by_words = self.options.iter().find(|option| plain_words(option) == bare && !bare.is_empty());
        let by_sign = || {
            let end = words.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(words.len());
            let (sign, rest) = words.split_at(end);
            let rest = rest.trim_start_matches(['.', ')', ':']).trim();
            let option = self.options.get(position(sign)?)?;
            (rest.is_empty() || plain_words(rest) == plain_words(option)).then_some(option)
        };
        by_words.or_else(by_sign).cloned().unwrap_or_else(|| words.to_owned())
    }

    /// The same question with every text of it changed.
    pub fn map_texts(self, change: &impl Fn(String) -> String) -> Question {
        Question {
            text: change(self.text),
            options: self.options.into_iter().map(change).collect(),
            context: self.context.map(change),
            default: self.default.map(change),
            deadline: self.deadline,
            also: self.also.into_iter().map(|part| part.map_texts(change)).collect(),
        }
    }
}

/// What kind of question is asked. Each opens with a sentence of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QuestionKind {
    /// The agent asks.
    #[default]
    Agent,
    /// Whether a plan is to be carried out.
    Plan,
    /// Whether the work may cost more.
    Cap,
    /// Whether changes to protected paths may be pushed.
    Protected,
}

impl QuestionKind {
    const ALL: [QuestionKind; 4] = [Self::Agent, Self::Plan, Self::Cap, Self::Protected];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Plan => "plan",
            Self::Cap => "budget",
            Self::Protected => "protected_change",
        }
    }

    /// The kind that the store has this word for.
    pub fn from_word(word: &str) -> Option<QuestionKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A kind of question, with what its answer is about.
#[derive(Debug, Clone)]
pub enum QuestionSubject {
    /// The agent asks.
    Agent,
    /// Whether the plan in the question's context is to be carried out.
    Plan,
    /// Whether the work may cost more than this cap.
    Cap(CapQuestionState),
    /// Whether this hand-over, which changes protected paths, may be pushed.
    Protected(PendingApproval),
}

impl QuestionSubject {
    /// The kind alone.
    pub fn kind(&self) -> QuestionKind {
        match self {
            Self::Agent => QuestionKind::Agent,
            Self::Plan => QuestionKind::Plan,
            Self::Cap(_) => QuestionKind::Cap,
            Self::Protected(_) => QuestionKind::Protected,
        }
    }
}

/// A question as it stands on GitHub, or is on its way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionComment {
    /// The question's id. The card's hidden marker holds it.
    pub id: QuestionId,
    /// Whose it is.
    pub story: StoryId,
    /// What kind it is.
    pub kind: QuestionKind,
    /// The issue or pull request that it stands on.
    pub on: IssueNumber,
    /// The comment, once it is there.
    pub comment: Option<CommentId>,
    /// What is asked.
    pub question: Question,
    /// What was answered, part by part.
    pub answers: Vec<Option<SelectedAnswer>>,
    /// Whether a task waits for the answer.
    pub is_open: bool,
    /// When defaults are taken.
    pub deadline_at: Option<Timestamp>,
    /// Where the rests of the story's texts are that were too long.
    pub rests: OverflowLinks,
    /// The draft pull request that shows what was done before it was asked, where there was one
    /// when the card was posted.
    pub draft_pull: Option<PullNumber>,
}

/// Where rests are: by their key, the addresses of the comments that hold their parts.
pub type OverflowLinks = HashMap<String, Vec<String>>;

/// The answer to one part of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedAnswer {
    /// What, and by whom; by nobody, where the default was taken.
    pub answer: Answer,
    /// When the card showed it, by GitHub's clock.
    pub shown_at: Option<Timestamp>,
}

/// What somebody answers to one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartAnswer {
    /// Which; the first is 0.
    pub part: usize,
    /// The answer.
    pub text: String,
}

impl QuestionComment {
    /// The parts that wait for an answer.
    pub fn open_parts(&self) -> Vec<usize> {
        let parts = self.answers.iter().enumerate();
        parts.filter(|(_, answer)| answer.is_none()).map(|(part, _)| part).collect()
    }

    /// The parts that wait, with the default that each has.
    pub fn open_defaults(&self) -> Vec<PartAnswer> {
        let parts = self.question.parts().zip(&self.answers).enumerate();
        let open = parts.filter(|(_, (_, answer))| answer.is_none());
        open.filter_map(|(part, (asked, _))| Some(PartAnswer { part, text: asked.default.clone()? }))
            .collect()
    }
}

/// `1` and `A` are the first.
fn position(sign: &str) -> Option<usize> {
    if let Ok(number) = sign.parse::<usize>() {
        return number.checked_sub(1);
    }
    let [letter] = sign.as_bytes() else { return None };
    letter.is_ascii_alphabetic().then(|| usize::from(letter.to_ascii_lowercase() - b'a'))
}

/// A text without what does not matter when two are compared: letter case, spaces, most
/// punctuation.
pub fn plain_words(text: &str) -> String {
    let matters =
        |c: &char| c.is_alphanumeric() || matches!(c, '-' | '+' | '=' | '<' | '>' | '/' | '#' | '*');
    text.chars().filter(matters).flat_map(char::to_lowercase).collect()
}

/// The answer to a whole question, where every part has one.
pub fn whole_answer(given: &[Option<SelectedAnswer>]) -> Option<Answer> {
    let all: Vec<&Answer> =
        given.iter().map(|given| given.as_ref().map(|given| &given.answer)).collect::<Option<_>>()?;
    let mut people: Vec<&str> = Vec::new();
    for by in all.iter().map(|answer| answer.by.as_str()).filter(|by| !by.is_empty()) {
        if !people.contains(&by) {
            people.push(by);
        }
    }
    let texts: Vec<&str> = all.iter().map(|answer| answer.text.as_str()).collect();
    Some(Answer { text: numbered(&texts), by: people.join(", ") })
}

fn numbered(texts: &[&str]) -> String {
    match texts {
        [one] => (*one).to_owned(),
        several => {
            let lines: Vec<String> =
                several.iter().enumerate().map(|(at, text)| format!("{}. {}", at + 1, text.trim())).collect();
            lines.join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, by: &str) -> Option<SelectedAnswer> {
        Some(SelectedAnswer { answer: Answer { text: text.to_owned(), by: by.to_owned() }, shown_at: None })
    }

    #[test]
    fn a_whole_answer_needs_every_part_and_names_everybody_once() {
        assert_eq!(whole_answer(&[given("a", "alice"), None]), None);
        let answer = whole_answer(&[given("a", "alice"), given("b", "bob"), given("c", "alice")]).unwrap();
        assert_eq!((answer.text.as_str(), answer.by.as_str()), ("1. a\n2. b\n3. c", "alice, bob"));
        let one = whole_answer(&[given("as it\nwas written", "alice")]).unwrap();
        assert_eq!(one.text, "as it\nwas written");
        assert_eq!(whole_answer(&[given("a", "")]).unwrap().by, "");
    }

    #[test]
    fn a_question_of_an_earlier_hob_reads_as_one_part() {
        let old: Question =
            serde_json::from_str(r#"{"text":"Which?","options":["a"],"context":null}"#).unwrap();
        assert_eq!((old.count(), old.whole_text().as_str()), (1, "Which?"));
        // And is written as it was, so that nothing that reads it has to know of parts.
        assert_eq!(
            serde_json::to_string(&old).unwrap(),
            r#"{"text":"Which?","options":["a"],"context":null}"#
        );
    }
}
