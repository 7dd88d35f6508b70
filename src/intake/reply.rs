//! What people's replies and edits mean for a question card: which option a tick, a number, a letter or a quotation picks, and
//! which part of several some words are for. Pure. Whose word counts, and when, is decided elsewhere.

use crate::message::card::{OPEN, TICKED, card, option_line};
use crate::story::card::plain_words;
use crate::story::{Card, PartAnswer, Question};

/// What an edit did to a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardEdit {
    /// It says what it should.
    AsItShouldBe,
    /// Boxes were ticked, and nothing else was done; at most one of a part.
    Ticked(Vec<PartAnswer>),
    /// Something else was changed.
    Altered,
}

/// What an edit did to a card that read `before` and reads `after`.
pub fn read_edit(of: &Card, before: &str, after: &str) -> CardEdit {
    if lines(after) == lines(&card(of)) {
        return CardEdit::AsItShouldBe;
    }
    let (before, after) = (lines(before), lines(after));
    if before.len() != after.len() {
        return CardEdit::Altered;
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
            _ => return CardEdit::Altered,
        }
    }
    if picked.is_empty() { CardEdit::Altered } else { CardEdit::Ticked(picked) }
}

/// The answers that a comment gives to a card, to open parts and to answered ones that it names. None: it only quotes.
pub fn read_reply(of: &Card, reply: &str) -> Vec<PartAnswer> {
    let Words { text, quoted } = without_quotes(of, reply);
    let parts: Vec<&Question> = of.question.parts().collect();
    let quoted: Vec<(usize, &str)> = parts
        .iter()
        .enumerate()
        .flat_map(|(part, asked)| asked.options.iter().map(move |option| (part, option.as_str())))
        .filter(|(_, option)| quoted.iter().any(|line| plain(line) == plain(&option_line(option))))
        .collect();
    // Who quotes one option means it; who quotes them all, or more than options, answers in words.
    if let [(part, option)] = quoted.as_slice()
        && !quotes_more(of, reply)
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

/// What stands behind numbers at the start of lines, by part. What comes before the first number goes with it.
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
}

/// A comment without what it quotes of the card. Other quotations are words like all others.
fn without_quotes(of: &Card, reply: &str) -> Words {
    // Also as it read when it was open, which may be what they saw.
    let as_asked = Card { answers: vec![None; of.answers.len()], is_open: true, ..of.clone() };
    let shown: Vec<String> =
        [card(of), card(&as_asked)].iter().flat_map(|text| lines(text)).map(|line| plain(&line)).collect();
    let (mut text, mut quoted) = (Vec::new(), Vec::new());
    for line in lines(reply) {
        let Some(inner) = line.trim_start().strip_prefix('>') else {
            text.push(line);
            continue;
        };
        let bare = plain(inner);
        if bare.is_empty() || shown.contains(&bare) {
            quoted.push(inner.to_owned());
        } else {
            text.push(line);
        }
    }
    Words { text: text.join("\n").trim().to_owned(), quoted }
}

/// Whether a comment quotes anything of the card beside options.
fn quotes_more(of: &Card, reply: &str) -> bool {
    let options: Vec<String> = of
        .question
        .parts()
        .flat_map(|asked| &asked.options)
        .map(|option| plain(&option_line(option)))
        .collect();
    let quoted = reply.lines().filter_map(|line| line.trim_start().strip_prefix('>'));
    quoted.map(plain).any(|line| !line.is_empty() && !options.contains(&line))
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

    fn shape() -> Card {
        card_of(asking("Which shape?", &["one object per line", "one array"]))
    }

    fn two() -> Card {
        let also = vec![asking("A short form?", &["yes", "no"])];
        card_of(Question { also, ..asking("A long form?", &["yes", "no"]) })
    }

    fn ticked(of: &Card, nth: usize) -> String {
        let text = card(of);
        let at = text.match_indices(OPEN).nth(nth).expect("a box").0;
        format!("{}{TICKED}{}", &text[..at], &text[at + OPEN.len()..])
    }

    fn picks(edit: CardEdit) -> Vec<(usize, String)> {
        let CardEdit::Ticked(picked) = edit else { panic!("{edit:?}") };
        picked.into_iter().map(|picked| (picked.part, picked.text)).collect()
    }

    fn reply(of: &Card, text: &str) -> Vec<(usize, String)> {
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
        assert_eq!(read_edit(&of, "anything", &card(&of)), CardEdit::AsItShouldBe);
    }

    #[test]
    fn the_same_words_in_two_parts_are_told_apart_and_a_tick_counts_before_the_card_shows_the_last_one() {
        let of = two();
        assert_eq!(picks(read_edit(&of, &card(&of), &ticked(&of, 3))), [at(1, "no")]);
        // Alice has ticked in the first part, which the store knows and GitHub does not show; bob ticks in the second.
        let by_alice = ticked(&of, 0);
        let by_both = by_alice.replacen("- [ ] yes", "- [x] yes", 1);
        let known = Card { answers: vec![given("yes", "alice"), None], ..of };
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
            assert_eq!(read_edit(&of, &text, &after), CardEdit::Altered, "{after}");
        }
        let unticked = Card { answers: vec![given("one array", "alice")], is_open: false, ..shape() };
        let text = card(&unticked);
        assert_eq!(read_edit(&unticked, &text, &text.replace(TICKED, OPEN)), CardEdit::Altered);
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
    fn numbered_lines_go_to_their_parts_and_others_to_all_that_are_open() {
        assert_eq!(reply(&two(), "1: B\n2. yes"), [at(0, "no"), at(1, "yes")]);
        assert_eq!(
            reply(&two(), "Thanks!\n2) not now,\nperhaps later"),
            [at(1, "not now,\nperhaps later\n\nThanks!")]
        );
        assert_eq!(reply(&two(), "yes"), [at(0, "yes"), at(1, "yes")]);
        let half = Card { answers: vec![given("yes", "alice"), None], ..two() };
        assert_eq!(reply(&half, "as you like"), [at(1, "as you like")]);
        assert_eq!(reply(&half, "1: no"), [at(0, "no")]);
    }
}
