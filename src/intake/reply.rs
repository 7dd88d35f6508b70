//! What people's replies and edits mean for a question card: which option a tick, a number, a
//! letter or a quotation picks, and which part of several some words are for. Pure. Whose word
//! counts, and when, is decided elsewhere.

use std::collections::HashSet;

use crate::markdown::{attribution, is_closing, original_at, without_shapeless};
use crate::message::card::{OPEN, TICKED, card, option_line};
use crate::story::card::plain_words;
use crate::story::{PartAnswer, Question, QuestionComment};

/// What an edit did to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionEdit {
    /// It says what it should.
    AsItShouldBe,
    /// Boxes were ticked, and nothing else was done; at most one of a part.
    Ticked(Vec<PartAnswer>),
    /// Something else was changed.
    Altered,
}

/// What an edit did to a card that read `before` and reads `after`.
pub fn read_edit(of: &QuestionComment, before: &str, after: &str) -> QuestionEdit {
    if lines(after) == lines(&card(of)) {
        return QuestionEdit::AsItShouldBe;
    }
    let (before, after) = (lines(before), lines(after));
    if before.len() != after.len() {
        return QuestionEdit::Altered;
    }
    let options = of.question.parts().enumerate();
    let mut options =
        options.flat_map(|(part, asked)| asked.options.iter().map(move |text| (part, text))).peekable();
    let mut picked: Vec<PartAnswer> = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        // The boxes stand in the order of the options, so that two parts may offer the same words.
        let behind = behind_box(before);
        let option = options.next_if(|(_, text)| behind == Some(option_line(text).as_str()));
        if before == after {
            continue;
        }
        let was_ticked = before.starts_with(OPEN)
            && after.to_lowercase().starts_with(TICKED)
            && behind_box(after) == behind;
        match option {
            Some((part, text)) if was_ticked && picked.iter().all(|other| other.part != part) => {
                picked.push(PartAnswer { part, text: text.clone() });
            }
            _ => return QuestionEdit::Altered,
        }
    }
    if picked.is_empty() { QuestionEdit::Altered } else { QuestionEdit::Ticked(picked) }
}

/// The answers that a comment gives to a card, to open parts and to answered ones that it names.
/// None: it only quotes.
pub fn read_reply(of: &QuestionComment, reply: &str) -> Vec<PartAnswer> {
    let Words { text, quoted, quotes_more } = own_words(of, reply);
    let parts: Vec<&Question> = of.question.parts().collect();
    let quoted: Vec<(usize, &str)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, asked)| asked.options.iter().map(move |option| (part, option.as_str())))
        .filter(|(_, option)| quoted.iter().any(|line| plain(line) == plain(&option_line(option))))
        .collect();
    // Who quotes one option means it; who quotes them all, or more than options, answers in words.
    if let [(part, option)] = quoted.as_slice()
        && !quotes_more
    {
        let text = if text.is_empty() { (*option).to_owned() } else { format!("{option}\n\n{text}") };
        return vec![PartAnswer { part: *part, text }];
    }
    if text.is_empty() {
        return Vec::new();
    }
    let numbered = if parts.len() > 1 { by_number(&text, parts.len()) } else { Vec::new() };
    if numbered.is_empty() {
        let open = of.open_parts().into_iter();
        return open.map(|part| PartAnswer { part, text: parts[part].pick(&text) }).collect();
    }
    numbered.into_iter().map(|(part, text)| PartAnswer { part, text: parts[part].pick(&text) }).collect()
}

/// What stands behind numbers at the start of lines, by part. What comes before the first number
/// goes with it.
fn by_number(text: &str, parts: usize) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut preamble: Vec<&str> = Vec::new();
    for line in text.lines() {
        match part_number(line, parts) {
            Some((part, rest)) if found.iter().all(|(other, _)| *other != part) => {
                found.push((part, vec![rest]));
            }
            _ => match found.last_mut() {
                Some((_, lines)) => lines.push(line),
                None => preamble.push(line),
            },
        }
    }
    let preamble = preamble.join("\n").trim().to_owned();
    let mut found: Vec<(usize, String)> = found
        .into_iter()
        .map(|(part, lines)| (part, lines.join("\n").trim().to_owned()))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    if let Some((_, first)) = found.first_mut().filter(|_| !preamble.is_empty()) {
        *first = format!("{first}\n\n{preamble}");
    }
    found
}

/// The part that a line names, and the rest of the line: `1: …`, `2. …`, `3) …`.
fn part_number(line: &str, parts: usize) -> Option<(usize, &str)> {
    let line = line.trim_start().trim_start_matches("**");
    let end = line.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
    let rest = line[end..].strip_prefix([':', '.', ')'])?.trim_start_matches("**");
    let number: usize = line[..end].parse().ok()?;
    (1..=parts).contains(&number).then(|| (number - 1, rest.trim()))
}

struct Words {
    /// What they wrote themselves.
    text: String,
    /// The lines of the card that they quoted.
    quoted: Vec<String>,
    /// Whether they quoted anything of the card beside options.
    quotes_more: bool,
}

/// A comment without what it quotes of the card, whether with a sign before each line or, as mail
/// programs do it, without one. Other quotations are words like all others.
fn own_words(of: &QuestionComment, reply: &str) -> Words {
    let reply = without_shapeless(&reply.replace("\r\n", "\n")).0;
    let lines: Vec<&str> = without_mail(&reply);
    let mut shown = Shown::of(of);
    let (mut text, mut quoted, mut quotes_more) = (Vec::new(), Vec::new(), false);
    for line in lines {
        let Some(inner) = line.trim_start().strip_prefix('>') else {
            if !shown.has_unquoted(line) {
                text.push(line);
            }
            continue;
        };
        let bare = letters(inner);
        if bare.is_empty() || shown.has_quoted(&bare) {
            quotes_more |= !bare.is_empty() && !shown.options.contains(&bare);
            quoted.push(inner.to_owned());
        } else {
            text.push(line);
        }
    }
    Words { text: text.join("\n").trim().to_owned(), quoted, quotes_more }
}

/// The lines of a comment without what a mail program has put around an answer: the head of what is
/// answered to and all below it, the line that says who wrote it, a signature.
fn without_mail(reply: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = reply.trim().lines().map(str::trim_end).collect();
    if let Some(at) = original_at(reply.trim()) {
        if lines[..at].iter().any(|line| !line.is_empty()) {
            lines.truncate(at);
        } else {
            // The answer stands below what it answers to.
            let head = lines[at..].iter().take_while(|line| !line.is_empty()).count();
            lines.drain(..at + head);
        }
    }
    let mut own = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if is_closing(line) && own.iter().any(|line: &&str| !line.is_empty()) {
            break;
        }
        match attribution(&lines[at..]) {
            Some(length) => at += length,
            None => {
                own.push(*line);
                at += 1;
            }
        }
    }
    own
}

/// So many letters and digits are no chance.
const MIN_LETTERS: usize = 12;
/// How far ahead in the card a line is looked for that is not the next one.
const WINDOW: usize = 4_000;

/// What the card shows, to know it again in what people write.
struct Shown {
    /// Its lines, in letters and digits alone.
    lines: HashSet<String>,
    options: HashSet<String>,
    /// The whole of it, as it reads and as it read when it was open.
    texts: [Whole; 2],
    /// How far a copy without signs before its lines has come, where there is one.
    copied: Option<(usize, usize)>,
}

/// A whole card in letters and digits alone, and where its lines end.
struct Whole {
    letters: String,
    ends: HashSet<usize>,
}

impl Whole {
    fn of(card: &str) -> Whole {
        let mut whole = Whole { letters: String::new(), ends: HashSet::new() };
        for line in card.lines().filter(|line| !line.starts_with("<!--")) {
            whole.letters.push_str(&letters(line));
            whole.ends.insert(whole.letters.len());
        }
        whole
    }

    /// Where in it some letters end that are next, or not far; few letters have to be a line, or
    /// the end of one.
    fn after(&self, from: usize, bare: &str) -> Option<usize> {
        let rest = &self.letters[from..];
        if rest.starts_with(bare) {
            let end = from + bare.len();
            return (bare.len() >= MIN_LETTERS || self.ends.contains(&end)).then_some(end);
        }
        if bare.len() < MIN_LETTERS {
            return None;
        }
        let window = rest.char_indices().map(|(at, _)| at).take_while(|at| *at <= WINDOW).last().unwrap_or(0);
        rest[..window].find(bare).map(|at| from + at + bare.len())
    }
}

impl Shown {
    fn of(of: &QuestionComment) -> Shown {
        // Also as it read when it was open, which may be what they saw.
        let as_asked = QuestionComment { answers: vec![None; of.answers.len()], is_open: true, ..of.clone() };
        let texts = [card(&as_asked), card(of)];
        let options = of.question.parts().flat_map(|part| &part.options);
        Shown {
            lines: texts.iter().flat_map(|text| text.lines()).map(letters).collect(),
            options: options.map(|option| letters(&option_line(option))).collect(),
            texts: texts.map(|text| Whole::of(&text)),
            copied: None,
        }
    }

    /// Whether a line that is quoted, in letters and digits, is of the card: a line of it, or a
    /// part of one that was wrapped.
    fn has_quoted(&mut self, bare: &str) -> bool {
        let is_line = self.lines.contains(bare);
        if let Some((text, from)) = self.copied
            && let Some(end) = self.texts[text].after(from, bare)
        {
            self.copied = Some((text, end));
            return true;
        }
        if bare.len() >= MIN_LETTERS
            && let Some((text, end)) = self.found(bare)
        {
            self.copied = Some((text, end));
            return true;
        }
        is_line
    }

    /// Whether a line that is not quoted is of a copy of the card. A copy begins with a line that
    /// nobody writes as an answer.
    fn has_unquoted(&mut self, line: &str) -> bool {
        let bare = letters(line);
        if bare.is_empty() {
            return false;
        }
        if let Some((text, from)) = self.copied {
            if let Some(end) = self.texts[text].after(from, &bare) {
                self.copied = Some((text, end));
                return true;
            }
            return bare.len() >= MIN_LETTERS && self.lines.contains(&bare) && !self.options.contains(&bare);
        }
        let is_its_own = bare.len() >= MIN_LETTERS && !self.options.contains(&bare);
        let is_wrapped = bare.len() >= 2 * MIN_LETTERS;
        let begins = is_its_own && (self.lines.contains(&bare) || is_wrapped);
        match begins.then(|| self.found(&bare)).flatten() {
            Some((text, end)) if self.lines.contains(&bare) || self.begins_line(text, end - bare.len()) => {
                self.copied = Some((text, end));
                true
            }
            _ => false,
        }
    }

    fn begins_line(&self, text: usize, at: usize) -> bool {
        at == 0 || self.texts[text].ends.contains(&at)
    }

    /// Where some letters end in the card.
    fn found(&self, bare: &str) -> Option<(usize, usize)> {
        self.texts
            .iter()
            .enumerate()
            .find_map(|(text, whole)| whole.letters.find(bare).map(|at| (text, at + bare.len())))
    }
}

/// The letters and digits of a line, small, without the box before them.
fn letters(line: &str) -> String {
    let line = line.trim().trim_start_matches(['>', ' ']);
    let line = line.trim_start_matches(['-', '*', '+', '•', ' ']);
    let line = ["[ ]", "[x]", "[X]"].iter().find_map(|sign| line.strip_prefix(sign)).unwrap_or(line);
    line.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a line, without box and quotation mark before them.
fn plain(text: &str) -> String {
    let text = text.trim().trim_start_matches('>').trim();
    let signs = [OPEN, TICKED, "- [X] ", "* [ ] ", "* [x] "];
    let text = signs.iter().find_map(|sign| text.strip_prefix(sign)).unwrap_or(text);
    plain_words(text)
}

/// The lines of a text, whichever way they end.
fn lines(text: &str) -> Vec<String> {
    text.trim().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// What stands behind a box.
fn behind_box(line: &str) -> Option<&str> {
    [OPEN, TICKED, "- [X] "].iter().find_map(|sign| line.strip_prefix(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::card::tests::{asking, card_of, given};

    fn shape() -> QuestionComment {
        card_of(asking("Which shape?", &["one object per line", "one array"]))
    }

    fn two() -> QuestionComment {
        let also = vec![asking("A short form?", &["yes", "no"])];
        card_of(Question { also, ..asking("A long form?", &["yes", "no"]) })
    }

    fn ticked(of: &QuestionComment, nth: usize) -> String {
        let text = card(of);
        let at = text.match_indices(OPEN).nth(nth).expect("a box").0;
        format!("{}{TICKED}{}", &text[..at], &text[at + OPEN.len()..])
    }

    fn picks(edit: QuestionEdit) -> Vec<(usize, String)> {
        let QuestionEdit::Ticked(picked) = edit else { panic!("{edit:?}") };
        picked.into_iter().map(|picked| (picked.part, picked.text)).collect()
    }

    fn reply(of: &QuestionComment, text: &str) -> Vec<(usize, String)> {
        read_reply(of, text).into_iter().map(|answer| (answer.part, answer.text)).collect()
    }

    fn at(part: usize, text: &str) -> (usize, String) {
        (part, text.to_owned())
    }

    #[test]
    fn a_tick_picks_its_option_whatever_ends_the_lines() {
        let of = shape();
        assert_eq!(picks(read_edit(&of, &card(&of), &ticked(&of, 1))), [at(0, "one array")]);
        let windows = ticked(&of, 0).replace('\n', "\r\n").replace("[x]", "[X]");
        assert_eq!(picks(read_edit(&of, &card(&of), &windows)), [at(0, "one object per line")]);
        assert_eq!(read_edit(&of, "anything", &card(&of)), QuestionEdit::AsItShouldBe);
    }

    #[test]
    fn the_same_words_in_two_parts_are_told_apart_and_a_tick_counts_before_the_card_shows_the_last_one() {
        let of = two();
        assert_eq!(picks(read_edit(&of, &card(&of), &ticked(&of, 3))), [at(1, "no")]);
        // Alice has ticked in the first part, which the store knows and GitHub does not show; bob
        // ticks in the second.
        let by_alice = ticked(&of, 0);
        let by_both = by_alice.replacen("- [ ] yes", "- [x] yes", 1);
        let known = QuestionComment { answers: vec![given("yes", "alice"), None], ..of };
        assert_eq!(picks(read_edit(&known, &by_alice, &by_both)), [at(1, "yes")]);
    }

    #[test]
    fn any_other_edit_answers_nothing() {
        let of = shape();
        let text = card(&of);
        for after in [
            text.replace("Which shape?", "Which form?"),
            ticked(&of, 0).replace("Which shape?", "Which form?"),
            ticked(&of, 0).replace("one object per line", "rm -rf"),
            format!("{text}\nmore"),
            text.replace(OPEN, TICKED),
            String::new(),
        ] {
            assert_eq!(read_edit(&of, &text, &after), QuestionEdit::Altered, "{after}");
        }
        let unticked =
            QuestionComment { answers: vec![given("one array", "alice")], is_open: false, ..shape() };
        let text = card(&unticked);
        assert_eq!(read_edit(&unticked, &text, &text.replace(TICKED, OPEN)), QuestionEdit::Altered);
    }

    #[test]
    fn numbers_letters_and_words_pick_an_option() {
        for words in ["2", "2.", " 2) ", "B", "b.", "one array", "One array!", "2. one array", "B: one array"]
        {
            assert_eq!(reply(&shape(), words), [at(0, "one array")], "{words}");
        }
        for words in ["3", "0", "c", "one array, but sorted", "2 of them", "a new one", "both"] {
            assert_eq!(reply(&shape(), words), [at(0, words)], "{words}");
        }
        let free = card_of(asking("How many?", &[]));
        assert_eq!(reply(&free, "2"), [at(0, "2")]);
    }

    #[test]
    fn a_quotation_of_the_card_is_not_the_answer_and_one_of_an_option_is() {
        let whole: String = card(&shape()).lines().map(|line| format!("> {line}\n")).collect();
        assert_eq!(reply(&shape(), &format!("{whole}\nsorted, please")), [at(0, "sorted, please")]);
        assert_eq!(reply(&shape(), &whole), []);
        assert_eq!(reply(&shape(), "> - [ ] one array"), [at(0, "one array")]);
        assert_eq!(reply(&shape(), "> one array\r\n"), [at(0, "one array")]);
        assert_eq!(reply(&shape(), "> one array\n\nsorted"), [at(0, "one array\n\nsorted")]);
        let spec = "> 3.1 Objects are separated\n\nas this says";
        assert_eq!(reply(&shape(), spec), [at(0, spec)]);
    }

    #[test]
    fn a_copy_of_the_card_by_mail_answers_nothing_in_whatever_form_it_is() {
        let asked = card(&two());
        let unmarked = asked.split("<!--").next().unwrap().to_owned();
        // As mail programs show it.
        let plain = unmarked.replace("**", "").replace("- [ ]", "  *");
        let wrapped: String = plain.lines().map(|line| wrapped(line, 50)).collect::<Vec<_>>().join("\n");
        let head = "From: hob-bot <notifications@example.com>\nSent: Monday, 30 November 2026 10:00\nTo: acme/tool\nSubject: Re: [acme/tool] A task (Issue #1)";
        let german = "Von: hob-bot <n@example.com>\nGesendet: Montag, 30. November 2026 10:00\nAn: acme/tool\nBetreff: AW: x";
        let heads = [
            head.to_owned(),
            german.to_owned(),
            format!("________________________________\n{head}"),
            "-----Original Message-----".to_owned(),
            "On Mon, Nov 30, 2026 at 10:00 AM hob-bot <n@example.com> wrote:".to_owned(),
            "On Mon, Nov 30, 2026 at 10:00 AM hob-bot[bot]\n<n@example.com> wrote:".to_owned(),
            "Am 30.11.2026 um 10:00 schrieb hob-bot:".to_owned(),
            "Sent from my iPhone".to_owned(),
            "-- \nBob, Acme Inc.".to_owned(),
            String::new(),
        ];
        for below in [&unmarked, &plain, &wrapped] {
            for head in &heads {
                let quoted: String = below.lines().map(|line| format!("> {line}\n")).collect();
                for below in [below.as_str(), &quoted] {
                    let mail = format!("1: B\n\n{head}\n\n{below}").replace('\n', "\r\n");
                    assert_eq!(reply(&two(), &mail), [at(0, "no")], "{mail}");
                    let both = format!("no\n\n{head}\n\n{below}");
                    assert_eq!(reply(&two(), &both), [at(0, "no"), at(1, "no")], "{both}");
                }
            }
            assert_eq!(reply(&two(), below), [], "{below}");
            assert_eq!(reply(&two(), &format!("{below}\n\n1: B")), [at(0, "no")], "{below}");
        }
        let within =
            unmarked.replace("- [ ] yes\n- [ ] no\n\n**2.**", "- [ ] yes\n- [ ] no\n\n1: A\n\n**2.**");
        assert_eq!(reply(&two(), &within), [at(0, "yes")], "{within}");
    }

    fn wrapped(line: &str, width: usize) -> String {
        let mut lines = vec![String::new()];
        for word in line.split(' ') {
            let last = lines.last_mut().unwrap();
            if !last.is_empty() && last.len() + word.len() >= width {
                lines.push(word.to_owned());
            } else {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
        }
        lines.join("\n")
    }

    #[test]
    fn words_that_are_also_on_the_card_are_an_answer() {
        let of = card_of(asking(
            "Should it be one object per line or one array of objects?",
            &["lines", "one array of objects"],
        ));
        for words in ["one object per line", "one array of objects", "lines", "Should it be sorted?"] {
            let picked = reply(&of, words);
            assert_eq!(picked, [at(0, words)], "{words}");
        }
    }

    #[test]
    fn numbered_lines_go_to_their_parts_and_others_to_all_that_are_open() {
        assert_eq!(reply(&two(), "1: B\n2. yes"), [at(0, "no"), at(1, "yes")]);
        assert_eq!(
            reply(&two(), "Thanks!\n2) not now,\nperhaps later"),
            [at(1, "not now,\nperhaps later\n\nThanks!")]
        );
        assert_eq!(reply(&two(), "yes"), [at(0, "yes"), at(1, "yes")]);
        let half = QuestionComment { answers: vec![given("yes", "alice"), None], ..two() };
        assert_eq!(reply(&half, "as you like"), [at(1, "as you like")]);
        assert_eq!(reply(&half, "1: no"), [at(0, "no")]);
    }
}
