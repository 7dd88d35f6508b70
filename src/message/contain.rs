//! Text that an agent wrote, made safe to stand in a comment of hob's: it notifies nobody, closes no
//! issue, hides nothing and cannot pass for hob's own marker. The meaning of the text is kept.

/// Put between the parts of a word that must not act: invisible, and it breaks the word for GitHub.
const BREAK: char = '\u{2060}';

/// Makes an agent's text safe, cut to at most `most` characters.
pub fn contain(text: &str, most: usize) -> String {
    let mut safe = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n");
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        match c {
            // A mention notifies people, teams included.
            '@' if !previous.is_ascii_alphanumeric() && next_is(rest, |n| n.is_ascii_alphanumeric()) => {
                safe.extend(['@', BREAK]);
            }
            // HTML: comments hide text and could carry a marker; tags could do worse.
            '<' if next_is(rest, |n| n.is_ascii_alphabetic() || matches!(n, '!' | '/' | '?')) => {
                safe.push_str("&lt;")
            }
            // `fixes #3` in a pull request's body closes issue 3, `fixes owner/repo#3` elsewhere too.
            '#' if next_is(rest, |n| n.is_ascii_digit()) => safe.extend(['#', BREAK]),
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c if is_invisible(c) => {}
            c => safe.push(c),
        }
        previous = c;
    }
    cut(&close_fences(safe.trim()), most)
}

fn next_is(rest: &str, test: impl Fn(char) -> bool) -> bool {
    rest.chars().nth(1).is_some_and(test)
}

/// Characters that show nothing or turn the reading order: a way to hide text from the reader.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A code block that the agent did not close would swallow what hob says after it.
fn close_fences(text: &str) -> String {
    let mut open: Option<(char, usize)> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let Some(mark) = trimmed.chars().next().filter(|c| matches!(c, '`' | '~')) else { continue };
        let length = trimmed.chars().take_while(|c| *c == mark).count();
        match open {
            None if length >= 3 => open = Some((mark, length)),
            Some((c, least)) if c == mark && length >= least && trimmed[length..].trim().is_empty() => {
                open = None
            }
            _ => {}
        }
    }
    match open {
        Some((mark, length)) => format!("{text}\n{}", mark.to_string().repeat(length)),
        None => text.to_owned(),
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => close_fences(&format!("{}…\n\n(cut: the text was longer)", &text[..at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_mentioned_and_nothing_is_closed() {
        assert_eq!(contain("ask @bob, fixes #3", 100), "ask @\u{2060}bob, fixes #\u{2060}3");
        assert_eq!(contain("mail a@b.c", 100), "mail a@b.c");
    }

    #[test]
    fn nothing_is_hidden_and_no_marker_is_forged() {
        let contained = contain("<!-- hob:1 --> <img src=x> a\u{200b}b \u{202e}c 1 < 2", 100);
        assert_eq!(contained, "&lt;!-- hob:1 --> &lt;img src=x> ab c 1 < 2");
    }

    #[test]
    fn an_open_code_block_is_closed() {
        assert_eq!(contain("```rust\nlet a = 1;", 100), "```rust\nlet a = 1;\n```");
        assert_eq!(contain("~~~\n```\n~~~", 100), "~~~\n```\n~~~");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(contain(&"ä".repeat(10), 3), "äää…\n\n(cut: the text was longer)");
        assert_eq!(contain("```\nlong text", 6), "```\nlo…\n\n(cut: the text was longer)\n```");
    }
}
