//! Text that people do not see and an agent would: taken out of what people wrote, until nothing more is found, and counted. Pure.
//!
//! Where it cannot be told whether GitHub shows something, it counts as hidden: too little text is noticed, too much is not.
//! Letters that merely look like others stay, and so does `<details>`, which people can open.

use std::ops::AddAssign;

use serde::Serialize;

/// What is hidden can be nested, so that each round finds one layer. Each costs time.
const MOST_ROUNDS: usize = 30;

/// How much was taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hidden {
    /// Comments and other markup that GitHub does not show.
    pub comments: usize,
    /// Characters that have no shape: of no width, for the direction of text, tags, fillers, controls.
    pub characters: usize,
}

impl AddAssign for Hidden {
    fn add_assign(&mut self, other: Self) {
        self.comments += other.comments;
        self.characters += other.characters;
    }
}

/// What people see of a text, and how much they do not.
pub fn visible(text: &str) -> (String, Hidden) {
    let mut text = text.replace("\r\n", "\n").replace(['\u{2028}', '\u{2029}'], "\n");
    let mut hidden = Hidden::default();
    for round in 0.. {
        if round == MOST_ROUNDS {
            // Nobody writes like this. Without these two there is nothing left to nest.
            text.retain(|c| c != '<' && c != '&');
            hidden.comments += 1;
        }
        let mut found = Hidden::default();
        let shown = without_entities(&text, &mut found);
        let shown = without_characters(&shown, &mut found);
        // What was taken out of its middle may have kept a comment from being one.
        let shown = without_comments(&shown, &mut found);
        if found == Hidden::default() {
            return (shown, hidden);
        }
        hidden += found;
        text = shown;
    }
    (text, hidden)
}

/// Whether a character has no shape of its own.
fn is_shapeless(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Symbols that a joiner or a selector after them changes: arrows, signs, emoji.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{2bff}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn without_characters(text: &str, hidden: &mut Hidden) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut shown = String::with_capacity(text.len());
    for (at, c) in characters.iter().copied().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let after = characters.get(at + 1).copied();
        if is_shapeless(c) && !belongs_to_a_symbol(c, before, after) {
            hidden.characters += 1;
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Emoji are made of several characters, some of which are shapeless: one selector after a symbol, one joiner between two.
fn belongs_to_a_symbol(c: char, before: Option<char>, after: Option<char>) -> bool {
    let follows_symbol = before.is_some_and(is_pictograph);
    match c {
        '\u{fe0e}' | '\u{fe0f}' => {
            let is_keycap = before.is_some_and(|c| c.is_ascii_digit() || c == '#' || c == '*');
            follows_symbol || (is_keycap && after == Some('\u{20e3}'))
        }
        '\u{200d}' => (follows_symbol || before == Some('\u{fe0f}')) && after.is_some_and(is_pictograph),
        _ => false,
    }
}

/// Takes out `&#8203;` and its like: a browser makes of it what is taken out above, an agent may too.
fn without_entities(text: &str, hidden: &mut Hidden) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("&#") {
        let (before, entity) = rest.split_at(start);
        shown.push_str(before);
        match shapeless_entity(entity) {
            Some(length) => {
                hidden.characters += 1;
                rest = &entity[length..];
            }
            None => {
                shown.push_str("&#");
                rest = &entity[2..];
            }
        }
    }
    shown + rest
}

/// How long the entity is that `text` begins with, where it stands for a shapeless character.
fn shapeless_entity(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("&#")?;
    let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let c = char::from_u32(u32::from_str_radix(&digits[..end], radix).ok()?)?;
    let length = text.len() - digits.len() + end;
    // Browsers do without the semicolon.
    let length = if text[length..].starts_with(';') { length + 1 } else { length };
    is_shapeless(c).then_some(length)
}

/// What is known of a text by its lines so far, as far as it decides whether a comment in it would be shown.
#[derive(Default)]
struct Lines {
    /// The fence of the code block that the line is in.
    fence: Option<(u8, usize)>,
    /// A line may be in a block of HTML, or in a code block that is not understood here.
    is_unclear: bool,
}

/// Takes out comments, declarations and instructions (`<!-- -->`, `<!X>`, `<?X>`), and definitions of links that lead nowhere
/// (`[//]: # (text)`). In a code block they are text, and stay.
fn without_comments(text: &str, hidden: &mut Hidden) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut lines = Lines::default();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split_inclusive('\n').next().unwrap_or_default();
        if lines.is_code(line) {
            shown.push_str(line);
            rest = &rest[line.len()..];
        } else if is_definition_to_nowhere(line) {
            hidden.comments += 1;
            rest = &rest[line.len()..];
        } else if let Some(start) = hidden_markup(line) {
            let (before, markup) = rest.split_at(start);
            shown.push_str(before);
            match end_of_markup(markup) {
                Some(end) => {
                    hidden.comments += 1;
                    // A block of HTML lasts to the end of the line in which its comment ends.
                    let after = markup[end..].split('\n').next().unwrap_or_default();
                    lines.is_unclear |= !after.trim().is_empty() || !before.trim().is_empty();
                    rest = &markup[end..];
                }
                None if lines.shows_unended(before) => {
                    shown.push_str(&markup[..2]);
                    rest = &markup[2..];
                }
                None => {
                    hidden.comments += 1;
                    rest = "";
                }
            }
        } else {
            lines.read(line);
            shown.push_str(line);
            rest = &rest[line.len()..];
        }
    }
    shown
}

impl Lines {
    /// Whether a line is in a code block, or begins or ends one: only what begins at the margin, where no list, quote or HTML can
    /// have a say, is sure to be one.
    fn is_code(&mut self, line: &str) -> bool {
        if self.is_unclear {
            return false;
        }
        match (self.fence, fence_of(line)) {
            (Some((mark, length)), Some((closing, longer, rest))) => {
                let indent = line.len() - line.trim_start_matches(' ').len();
                if closing == mark && longer >= length && rest.trim().is_empty() && indent < 4 {
                    self.fence = None;
                }
                true
            }
            (Some(_), None) => true,
            (None, Some((mark, length, rest))) => {
                let begins = line.starts_with(char::from(mark)) && !(mark == b'`' && rest.contains('`'));
                self.fence = begins.then_some((mark, length));
                self.is_unclear = !begins;
                begins
            }
            (None, None) => false,
        }
    }

    /// Takes note of a line that is no code.
    fn read(&mut self, line: &str) {
        let inner = content(line);
        self.is_unclear |= inner.starts_with('<') || inner.starts_with("```") || inner.starts_with("~~~");
    }

    /// Whether a comment that is never ended is shown, as it is in the middle of a line of plain text.
    fn shows_unended(&self, before: &str) -> bool {
        !self.is_unclear && !content(before).is_empty() && !content(before).starts_with('<')
    }
}

/// A line without the marks of lists and quotes at its beginning.
fn content(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || c.is_ascii_digit() || ">-+*.)".contains(c))
}

/// The fence that a line begins with: its mark, its length, and what follows.
fn fence_of(line: &str) -> Option<(u8, usize, &str)> {
    let line = line.trim_start_matches([' ', '\t']);
    let mark = *line.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
    let length = line.bytes().take_while(|byte| *byte == mark).count();
    (length >= 3).then(|| (mark, length, &line[length..]))
}

/// Where in a line something begins that a browser does not show.
fn hidden_markup(line: &str) -> Option<usize> {
    let begins = |(at, _): &(usize, &str)| {
        let next = line[at + 1..].chars();
        match next.clone().next() {
            Some('!') => next.clone().nth(1).is_some_and(|c| c == '-' || c == '[' || c.is_ascii_alphabetic()),
            Some('?') => true,
            _ => false,
        }
    };
    line.match_indices('<').find(begins).map(|(at, _)| at)
}

/// Where it ends.
fn end_of_markup(markup: &str) -> Option<usize> {
    let end = if markup.starts_with("<!--") {
        "-->"
    } else if markup.starts_with("<![CDATA[") {
        "]]>"
    } else {
        ">"
    };
    // `<!-->` is a whole comment.
    markup[2..].find(end).map(|at| 2 + at + end.len())
}

/// `[//]: # (text)`: known as a way to write a comment in Markdown.
fn is_definition_to_nowhere(line: &str) -> bool {
    let Some(rest) = content(line).strip_prefix('[') else { return false };
    let Some((_, target)) = rest.split_once("]:") else { return false };
    let target = target.trim_start();
    ["#", "<>", "<#>"].iter().any(|nowhere| {
        target
            .strip_prefix(nowhere)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(comments: usize, characters: usize) -> Hidden {
        Hidden { comments, characters }
    }

    #[track_caller]
    fn check(text: &str, shown: &str, comments: usize, characters: usize) {
        assert_eq!(visible(text), (shown.to_owned(), counts(comments, characters)), "{text:?}");
    }

    #[test]
    fn comments_are_taken_out_to_the_last() {
        check("a <!-- x --> b", "a  b", 1, 0);
        check("a <!<!-- y -->-- x --> b", "a  b", 2, 0);
        check("a <!-<!-- -->- x --> b", "a - x --> b", 1, 0);
        check("a <!\u{200b}-- x --> b", "a  b", 1, 1);
        check("<!-- x\n\ny -->\nb", "\nb", 1, 0);
        check("a\n<!-- never ended\nb", "a\n", 1, 0);
        check("<div>\nb <!-- never ended\nb", "<div>\nb ", 1, 0);
        check("a <?php x ?> b <!DOCTYPE y> c <![CDATA[z]]>", "a  b  c ", 3, 0);
        check("[//]: # (do as I say)\nb", "b", 1, 0);
        check("[comment]: <> \"do as I say\"\nb", "b", 1, 0);
    }

    #[test]
    fn what_github_shows_stays() {
        for text in [
            "Write `<!--` in front of it.",
            "```html\n<!-- a comment in code -->\n```\nb",
            "~~~\n```\n<!-- x -->\n~~~\nb",
            "<details><summary>log</summary>\n\nline\n</details>",
            "a < b, c <= d, <T>, x<!y",
            "see [the docs](#docs) and [1]: #12",
            "日本語 العربية עברית ไทย 👩‍👩‍👧 ❤️ 1️⃣ ©️ é",
            "\tindented\nline\n",
        ] {
            check(text, text, 0, 0);
        }
    }

    #[test]
    fn a_code_block_is_believed_only_where_it_is_sure_to_be_one() {
        // The list ends the code block that was begun in it.
        check("- a\n  ```\nb\n<!-- x -->\n  ```", "- a\n  ```\nb\n\n  ```", 1, 0);
        check("  ```\n```\n<!-- x -->", "  ```\n```\n", 1, 0);
        check("<pre>\n```\n<!-- x -->\n```", "<pre>\n```\n\n```", 1, 0);
        check("> ```\n\n```\n<!-- x -->\n```", "> ```\n\n```\n\n```", 1, 0);
        check("```a`b\n<!-- x -->\n```", "```a`b\n\n```", 1, 0);
        // Templates of issues begin with one; what follows is as sure as before.
        let code = "```html\n<!-- a comment in code -->\n```\n";
        check(&format!("<!-- Thank you! -->\n{code}"), &format!("\n{code}"), 1, 0);
    }

    #[test]
    fn deep_nesting_costs_no_more_than_some_rounds() {
        let depth = 8_000;
        let text = format!("{}<!-- -->{} end", "<!".repeat(depth), "-- -->".repeat(depth));
        let (shown, hidden) = visible(&text);
        assert!(!shown.contains('<') && shown.ends_with(" end") && hidden.comments > 0);
    }

    #[test]
    fn shapeless_characters_are_taken_out() {
        check("a\u{200b}b\u{202e}c\u{e0041}d\u{feff}\u{3164}", "abcd", 0, 5);
        check("a\u{fe00}\u{e0100}❤\u{fe0f}\u{fe0f}", "a❤\u{fe0f}", 0, 3);
        check("a&#8203;b&#xE0041;c&#65;", "abc&#65;", 0, 2);
        check("&&#8203;#8203;", "", 0, 2);
        check("\u{1b}[8mhidden\u{1b}[0m\r\nb", "[8mhidden[0m\nb", 0, 2);
        check("x\u{200d}\u{200d}y 👩\u{200d}", "xy 👩", 0, 3);
    }

    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "<",
            "!",
            "-",
            "--",
            "<!--",
            "-->",
            "<!-",
            ">",
            "<?",
            "?>",
            "<![CDATA[",
            "]]>",
            "<!a",
            "`",
            "```",
            "~~~",
            "\n",
            "\n\n",
            " ",
            "    ",
            "- ",
            "> ",
            "<div>",
            "[x]: # (y)",
            "&#",
            "8203;",
            "x200b",
            "&#xE0041;",
            "\u{200b}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{202e}",
            "\r\n",
            "\r",
            "👩",
            "❤",
            "1",
            "a",
            "word",
            "é",
            "\u{2028}",
        ]);
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        #[test]
        fn nothing_hidden_is_left_and_a_second_time_changes_nothing(text in hostile()) {
            let (shown, hidden) = visible(&text);
            prop_assert_eq!(visible(&shown), (shown.clone(), Hidden::default()));
            let characters: Vec<char> = shown.chars().collect();
            for (at, c) in characters.iter().copied().enumerate() {
                let before = at.checked_sub(1).map(|at| characters[at]);
                prop_assert!(!is_shapeless(c) || belongs_to_a_symbol(c, before, characters.get(at + 1).copied()));
            }
            if !text.contains("```") && !text.contains("~~~") {
                prop_assert!(!shown.contains("<!--") || !shown[shown.find("<!--").unwrap()..].contains("-->"), "{:?}", shown);
            }
            prop_assert!(shown.len() <= text.len());
            let lines = text.replace("\r\n", "\n").replace('\u{2028}', "\n");
            prop_assert_eq!(hidden == Hidden::default(), shown == lines);
        }

        #[test]
        fn text_without_anything_hidden_stays_as_it_is(text in "[a-zA-Z0-9 .,;:()#*_`'\"/é日本👩\n-]{0,200}") {
            prop_assert_eq!(visible(&text), (text.clone(), Hidden::default()));
        }
    }
}
