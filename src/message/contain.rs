//! Text that an agent wrote, made safe to stand in a comment of hob's: it notifies nobody, closes
//! and links no issue elsewhere, shows no image, holds no HTML, leaves nothing open behind it, and
//! cannot pass for hob's own marker. The meaning of the text is kept, and code stays as it is.
//!
//! Two means. Outside of code an invisible character is put between the signs that would act
//! together. And where a code block begins is not left to be guessed: hob writes each one again, at
//! the start of a line, with a fence that nothing in it can close. Whether a word is in a code
//! *span* GitHub decides by rules that links, tables, addresses and formulas have a say in; where
//! one of those is near (`doubt`), code spans are treated as text too, which shows no difference.

mod address;
mod fence;
mod parts;

use std::collections::HashMap;

use super::closing::WORDS;
use crate::markdown::fenced_blocks;
use address::redirected;
use fence::marker_broken;
pub use parts::{PartLimits, contain_in_parts};

/// Put between the parts of a word that must not act: invisible, and it breaks the word for GitHub.
const BREAK: char = '\u{2060}';

/// Said where a text was cut.
pub(super) fn cut_here() -> &'static str {
    "…\n\n*(cut here: the whole text is in the run's record on hob's server)*"
}

/// For how many paragraphs after a word such as `fixes` a number of an issue is no link.
const NEAR: u8 = 2;

/// Makes an agent's text safe, cut to about `most` characters.
pub fn contain(text: &str, most: usize) -> String {
    fitted(plain(text).trim(), most, cut_here(), lines_of)
}

/// Where code blocks are, the parser says; each is written again, and everything else is made safe
/// line by line.
fn lines_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut inline = Inline::default();
    let mut safe: Vec<String> = Vec::new();
    let mut at = 0;
    for block in fenced_blocks(text) {
        for line in lines.iter().take(block.first).skip(at) {
            safe.push(inline.line(line));
        }
        safe.extend(fence::written(&block));
        inline.doubt = false;
        at = block.end.max(at);
    }
    for line in lines.iter().skip(at) {
        safe.push(inline.line(line));
    }
    safe.join("\n")
}

/// The same for a place that has room for one line, among words of hob's: what would begin a block
/// is text there, and what would go on into hob's words ends. Not for the cells of a table.
pub fn contain_line(text: &str, most: usize) -> String {
    let text = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    fitted(&text, most, "…", |text| {
        let safe = Inline { alone: false, ..Inline::default() }.line(text);
        // `--json` begins nothing, and people copy it.
        let signs = safe.chars().take_while(|c| matches!(c, '-' | '+')).count();
        let is_word = signs > 0 && safe[signs..].starts_with(|c: char| c.is_ascii_alphabetic());
        let begins_block =
            !is_word && safe.starts_with(|c: char| c.is_ascii_digit() || "#>-+*=|~[:".contains(c));
        if begins_block { format!("{BREAK}{safe}") } else { safe }
    })
}

/// A name, a path for example, in a code span: there only a backtick could do harm.
pub(super) fn code(name: &str, most: usize) -> String {
    let name = plain(name).replace('`', "'").split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = name.chars().take(most).collect();
    // Two backticks with nothing between them are no code.
    format!("`{}`", if short.is_empty() { " ".to_owned() } else { marker_broken(&short) })
}

/// The end of what a program printed, as a code block in which nothing acts: cut at the beginning
/// of a line.
pub(super) fn tail_as_code(text: &str, most: usize) -> String {
    let text = plain(text.trim_matches('\n'));
    let over = text.chars().count().saturating_sub(most);
    let cut = text.char_indices().nth(over).map_or("", |(at, _)| &text[at..]);
    let kept = match cut.split_once('\n').filter(|_| over > 0) {
        Some((_, rest)) => format!("…\n{rest}"),
        None => cut.to_owned(),
    };
    fence::block(&kept.lines().collect::<Vec<_>>())
}

/// The login of an account, with nothing in it that a login cannot have.
pub(super) fn login(login: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '[' | ']');
    login.chars().filter(plain).take(100).collect()
}

/// Without what shows nothing or turns the reading order, and with one kind of line end.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_shown = |c: &char| matches!(c, '\n' | '\t') || !(c.is_control() || is_invisible(*c));
    text.chars().filter(is_shown).collect()
}

/// Characters that show nothing or turn the reading order: a way to hide text from the reader.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// As much of a text as fits when it is made safe, with `cut` behind it where that is not all.
fn fitted(text: &str, most: usize, cut: &str, safe: impl Fn(&str) -> String) -> String {
    let (made, end) = fit(text, most, safe);
    if end < text.len() { format!("{made}{cut}") } else { made }
}

/// So often the place to cut is looked for with care.
const MAX_LOOKS: u32 = 4;

/// As much of a text as fits when it is made safe, and where it ends. What makes it safe makes it
/// longer too, so that the place to cut is looked for.
fn fit(text: &str, most: usize, safe: impl Fn(&str) -> String) -> (String, usize) {
    let mut characters = text.chars().count().min(most);
    for look in 0.. {
        let end = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
        let made = safe(&text[..end]);
        let length = made.chars().count();
        if length <= most.max(1) || characters == 0 {
            return (made, end);
        }
        let fewer = (characters * most / length).min(characters - 1);
        characters = if look < MAX_LOOKS { fewer } else { fewer / 2 };
    }
    (String::new(), 0)
}

/// Makes lines safe that are no code block, one after the other.
struct Inline {
    out: String,
    /// Whether the paragraph is the agent's alone, so that what is not closed in it reaches nothing
    /// of hob's.
    alone: bool,
    /// Whether GitHub may see code spans elsewhere than they seem to be, until the next empty line.
    doubt: bool,
    /// How many more paragraphs with words in them are near a word that closes issues.
    near: u8,
    /// Whether the paragraph under way has words.
    has_words: bool,
    /// The last letters and digits, small, to know such a word by, however it is set.
    heard: String,
    /// Whether the word under way looks like an address.
    in_address: bool,
    /// Whether it has an `@` already.
    has_at: bool,
}

impl Default for Inline {
    fn default() -> Self {
        Self {
            out: String::new(),
            alone: true,
            doubt: false,
            near: 0,
            has_words: false,
            heard: String::new(),
            in_address: false,
            has_at: false,
        }
    }
}

/// A part of a line.
enum Piece<'a> {
    Text(&'a str),
    /// Between two runs of so many backticks.
    Code(usize, &'a str),
    /// A run of backticks that ends nowhere on the line.
    Loose(usize),
}

impl Inline {
    /// A paragraph ends here. Empty lines after it are no paragraphs more.
    fn blank(&mut self) {
        self.doubt = false;
        self.near -= u8::from(std::mem::take(&mut self.has_words) && self.near > 0);
    }

    /// A line, safe.
    fn line(&mut self, line: &str) -> String {
        self.out.clear();
        (self.in_address, self.has_at) = (false, false);
        if is_blank(line) {
            self.blank();
            return line.trim_end().to_owned();
        }
        let pieces = pieces(line);
        // In a table the bar ends a cell, and with it what was begun there.
        let is_cut = |piece: &Piece| matches!(piece, Piece::Code(_, code) if code.contains('|'));
        self.doubt |=
            self.alone && (pieces.iter().any(is_cut) || ['|', '\\', '`'].iter().all(|c| line.contains(*c)));
        for piece in pieces {
            // An address goes on to the next space, whatever is in it.
            self.doubt |= self.in_address && !matches!(piece, Piece::Text(_));
            match piece {
                Piece::Text(text) => self.text(text),
                Piece::Code(run, code) if self.doubt && !self.alone => {
                    self.escaped(run);
                    self.text(code);
                    self.escaped(run);
                }
                Piece::Code(run, code) => {
                    self.backticks(run);
                    if self.doubt {
                        self.text(code)
                    } else {
                        self.out.push_str(&marker_broken(code))
                    }
                    self.backticks(run);
                }
                Piece::Loose(run) if run < 3 && self.alone => {
                    self.doubt = true;
                    self.backticks(run);
                }
                // Where it began a line it would be a fence.
                Piece::Loose(run) => self.escaped(run),
            }
        }
        std::mem::take(&mut self.out)
    }

    fn escaped(&mut self, run: usize) {
        (0..run).for_each(|_| self.out.push_str("\\`"));
    }

    fn backticks(&mut self, run: usize) {
        self.out.extend(std::iter::repeat_n('`', run));
    }

    fn text(&mut self, text: &str) {
        let text = redirected(text);
        let mut rest = text.as_str();
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match c {
                ']' if after.starts_with('(') => self.link(after),
                '~' if rest.starts_with("~~~") => {
                    let others = rest.trim_start_matches('~');
                    (0..rest.len() - others.len()).for_each(|_| self.out.push_str("\\~"));
                    others
                }
                _ => {
                    let is_broken = self.must_break(c, after);
                    if c == '@' && self.in_address {
                        self.out.push_str("%40");
                    } else {
                        self.push(c);
                    }
                    if is_broken {
                        self.out.push(BREAK);
                    }
                    after
                }
            };
        }
    }

    fn push(&mut self, c: char) {
        self.out.push(c);
        match c {
            c if c.is_whitespace() => (self.in_address, self.has_at) = (false, false),
            '/' => self.in_address |= self.out.ends_with("://"),
            '.' => self.in_address |= self.tail_is("www."),
            '@' => self.has_at = true,
            '$' => self.doubt = true,
            c if c.is_ascii_alphanumeric() => self.hear(c),
            _ => {}
        }
    }

    fn tail_is(&self, word: &str) -> bool {
        let start = self.out.len().checked_sub(word.len());
        start.and_then(|at| self.out.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    }

    fn hear(&mut self, c: char) {
        self.has_words = true;
        if self.heard.len() > 16 {
            self.heard.drain(..8);
        }
        self.heard.push(c.to_ascii_lowercase());
        if WORDS.iter().any(|(stem, _)| self.heard.ends_with(stem)) {
            self.near = NEAR;
        }
    }

    /// Whether what follows `c` must not follow it directly.
    fn must_break(&self, c: char, after: &str) -> bool {
        let before = self.out.chars().next_back().unwrap_or(' ');
        let next = after.chars().next();
        let next_is = |test: fn(char) -> bool| next.is_some_and(test);
        match c {
            '@' if self.in_address => false,
            // An address of mail, and nobody's name; but `name@commit` is a link to another
            // repository.
            '@' if before.is_ascii_alphanumeric() && !self.has_at => is_commit(after),
            '@' => !next_is(char::is_whitespace),
            '<' => next_is(|n| n.is_ascii_alphabetic() || matches!(n, '!' | '/' | '?')),
            '!' => next == Some('['),
            // Definitions of links and footnotes are shown nowhere.
            ']' => next == Some(':'),
            '&' => is_entity(after),
            // An escape that would put an address together.
            '.' | '/' | ':' | '%' => before == '\\',
            '#' if next_is(|n| n.is_ascii_digit()) => {
                self.near > 0 || !(before.is_whitespace() || matches!(before, '(' | ','))
            }
            '#' => self.near > 0 && !next_is(|n| n.is_whitespace() || n == '#' || n.is_alphabetic()),
            '-' => (self.tail_is("gh")) && next_is(|n| n.is_ascii_digit()),
            _ => false,
        }
    }

    /// After the `]` of a link: its address, if it is a plain one, is kept, and its title, which
    /// nobody sees, is not. Anything else is no link.
    fn link<'a>(&mut self, after: &'a str) -> &'a str {
        let Some((address, rest)) = plain_link(after) else {
            self.out.extend([']', BREAK]);
            return after;
        };
        self.out.push_str("](");
        self.text_of_address(address);
        self.out.push(')');
        rest
    }

    fn text_of_address(&mut self, address: &str) {
        for (at, c) in address.char_indices() {
            if c == '@' {
                self.out.push_str("%40");
                continue;
            }
            let is_broken = self.must_break(c, &address[at + c.len_utf8()..]);
            self.push(c);
            if is_broken {
                self.out.push(BREAK);
            }
        }
    }
}

/// The address of `(address "title")`, and what follows.
fn plain_link(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('(')?;
    let mut depth = 0;
    let end = text.char_indices().find_map(|(at, c)| match c {
        '(' => {
            depth += 1;
            None
        }
        ')' if depth > 0 => {
            depth -= 1;
            None
        }
        c if c.is_whitespace() || ")<>\"'`\\[]".contains(c) => Some(at),
        _ => None,
    })?;
    let (address, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(' ');
    let rest = match rest.strip_prefix('"') {
        None => rest,
        Some(title) => {
            let (title, rest) = title.split_once('"')?;
            (!title.contains(['`', '\\'])).then_some(rest)?
        }
    };
    (depth == 0).then(|| Some((address, rest.strip_prefix(')')?)))?
}

/// Whether a line ends a paragraph, in quotations too: it has nothing behind their signs. A sign
/// that is further in is text.
fn is_blank(line: &str) -> bool {
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(' ');
        let said = (rest.len() - trimmed.len() <= 3).then(|| trimmed.strip_prefix('>')).flatten();
        let Some(said) = said else { return rest.trim().is_empty() };
        rest = said.strip_prefix(' ').unwrap_or(said);
    }
}

/// Whether an entity follows the `&`: it would be decoded after all this.
fn is_entity(after: &str) -> bool {
    // No name is longer.
    let end = after.bytes().take(42).position(|byte| byte == b';');
    let name = end.map_or("", |end| &after[..end]);
    let plain = name.strip_prefix('#').unwrap_or(name);
    (1..=40).contains(&plain.len()) && plain.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether the beginning of a commit's id follows.
fn is_commit(after: &str) -> bool {
    after.chars().take_while(char::is_ascii_hexdigit).count() >= 7
}

/// A line in text and code spans, where none of what brings `doubt` is near.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    let bytes = line.as_bytes();
    // Where no run of so many backticks comes any more.
    let mut unclosed: HashMap<usize, usize> = HashMap::new();
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii_punctuation) => at += 2,
            b'`' => {
                let run = backticks(&line[at..]);
                pieces.push(Piece::Text(&line[from..at]));
                let inside = &line[at + run..];
                at += run;
                let is_unclosed = unclosed.get(&run).is_some_and(|from| at >= *from);
                match (!is_unclosed).then(|| end_of_code(inside, run)).flatten() {
                    Some(end) => {
                        pieces.push(Piece::Code(run, &inside[..end]));
                        at += end + run;
                    }
                    None => {
                        unclosed.entry(run).or_insert(at);
                        pieces.push(Piece::Loose(run));
                    }
                }
                from = at;
            }
            _ => at += 1,
        }
    }
    pieces.push(Piece::Text(&line[from..]));
    pieces
}

fn backticks(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'`').count()
}

/// Where the next run of exactly so many backticks is.
fn end_of_code(text: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let length = backticks(&text[at + found..]);
        if length == run {
            return Some(at + found);
        }
        at += found + length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(text: &str, most: usize) -> String {
        super::contain(text, most)
    }

    const B: char = BREAK;

    #[test]
    fn nobody_is_mentioned_and_nothing_is_closed() {
        assert_eq!(contain("ask @bob, fixes #3", 100), format!("ask @{B}bob, fixes #{B}3"));
        assert_eq!(contain("Fixed:\n\n**#3** and GH-4", 100), format!("Fixed:\n\n**#{B}3** and GH-{B}4"));
        for between in
            ["\n\n\n", "\n\n\n\n\n", "\n\n---\n\n", "\n>\n>\n>\n> ", "\n\n>\n\n> > ", "\n\n- \n\n- "]
        {
            let closed = contain(&format!("closes{between}#3"), 100);
            assert!(closed.ends_with(&format!("#{B}3")), "{closed:?}");
        }
        assert_eq!(contain("closes it\n\nand so\n\nsee #3", 100), "closes it\n\nand so\n\nsee #3");
        assert_eq!(contain("see #3, not acme/tool#3", 100), format!("see #3, not acme/tool#{B}3"));
        assert_eq!(contain("mail a@b.c, &#64;bob", 100), format!("mail a@b.c, &{B}#{B}64;bob"));
    }

    #[test]
    fn an_issue_elsewhere_does_not_hear_of_it_and_the_link_works() {
        let at = |host: &str| format!("see https://{host}/o/r/issues/3.");
        assert_eq!(contain(&at("github.com"), 100), at("redirect.github.com"));
        assert_eq!(
            contain("[x](https://GitHub.com/o/r/pull/3)", 100),
            "[x](https://redirect.github.com/o/r/pull/3)"
        );
        assert_eq!(
            contain("fixes https://ghes.example/o/r/issues/3", 100),
            format!("fixes https:{B}//ghes.example/o/r/issues/3")
        );
        for kept in ["https://github.com/o/r", "https://github.com/o/r/blob/main/a.rs", "https://docs.rs/a#b"]
        {
            assert_eq!(contain(kept, 100), kept);
        }
    }

    #[test]
    fn nothing_is_hidden_and_no_marker_is_forged() {
        let contained = contain("<!-- hob:1 --> <img src=x> a\u{200b}b \u{202e}c 1 < 2", 100);
        assert_eq!(contained, format!("<{B}!-- hob:1 --> <{B}img src=x> ab c 1 < 2"));
        assert!(!contain("```\n<!-- hob:1 -->\n```", 100).contains("<!-- hob:"));
        assert_eq!(
            contain("![x](https://e.example/x.png)", 100),
            format!("!{B}[x](https://e.example/x.png)")
        );
        assert_eq!(contain("[a]: https://e.example", 100), format!("[a]{B}: https://e.example"));
    }

    #[test]
    fn code_stays_as_it_is() {
        for kept in ["`@bob <b> #3`", "- `a` and ``b`c``", "```rust\nlet a = \"<b> @bob\";\n```"] {
            assert_eq!(contain(kept, 100), kept);
        }
    }

    #[test]
    fn a_code_span_that_may_be_none_is_text() {
        for near in ["$a`$ ", "[x](/`a) ", "https://x.example/`a ", "a ` b\n", "`a | b` "] {
            let contained = contain(&format!("{near}`@bob`"), 100);
            assert!(contained.contains(&format!("@{B}bob")), "{contained}");
        }
    }

    #[test]
    fn an_open_code_block_is_closed_and_one_in_a_list_or_a_quotation_stays_code() {
        assert_eq!(contain("```rust\nlet a = 1;", 100), "```rust\nlet a = 1;\n```");
        assert_eq!(contain("~~~\n```\n~~~\nb", 100), "````\n```\n````\nb");
        assert_eq!(contain("1. run\n   ```sh\n   ls\n   ```\n2. b", 100), "1. run\n```sh\nls\n```\n2. b");
        assert_eq!(contain("> ```\n> @bob", 100), "> ```\n> @bob\n> ```");
        assert_eq!(contain("- ```\n  x\n  ```\nb", 100), format!("- {B}\n```\nx\n```\nb"));
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(contain(&"ä".repeat(10), 3), format!("äää{}", cut_here()));
        let cut = contain("```\nlong text", 14);
        assert!(cut.starts_with("```\nlong t\n```…\n\n*(cut here") || cut.starts_with("```\nlong"), "{cut}");
        let cut = contain(&"@a ".repeat(50_000), 50_000);
        assert!(cut.chars().count() < 50_100 && cut.ends_with(cut_here()), "{}", cut.len());
        assert_eq!(contain_line("@alice and bob", 9), format!("@{B}alice a…"));
    }

    #[test]
    fn what_stands_on_one_line_begins_no_block() {
        assert_eq!(contain_line(" # a\n- b ", 100), format!("{B}# a - b"));
        assert_eq!(contain_line("```sh\nls\n```", 100), "```sh ls ```");
        assert_eq!(contain_line("~~~\nls", 100), "\\~\\~\\~ ls");
        assert_eq!(contain_line("[x] done", 100), format!("{B}[x] done"));
    }
}
