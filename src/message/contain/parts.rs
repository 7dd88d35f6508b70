//! A long text of an agent's in parts, each of which stands in a comment of its own: a code block
//! that is open where one part ends is closed there, and begins again with the next.

use super::{cut_here, fence, fit, lines_of, plain};
use crate::markdown::fenced_blocks;

/// How long the parts of a text may be, in characters.
#[derive(Debug, Clone, Copy)]
pub struct PartLimits {
    /// The first.
    pub first: usize,
    /// Each after it.
    pub more: usize,
    /// How many there are at most; what is left then is cut off, and the last says so.
    pub parts: usize,
}

/// Makes an agent's text safe, in as many parts as it takes.
pub fn contain_in_parts(text: &str, sizes: PartLimits) -> Vec<String> {
    let text = plain(text);
    let mut rest = text.trim();
    let mut reopened = String::new();
    let mut parts = Vec::new();
    loop {
        let most = if parts.is_empty() { sizes.first } else { sizes.more };
        let (part, end) = next_part(&mut reopened, rest, most);
        let seen = format!("{reopened}{}", &rest[..end]);
        reopened = left_open(&seen).map_or(String::new(), |line| line + "\n");
        rest = rest[end..].strip_prefix('\n').unwrap_or(&rest[end..]);
        parts.push(part);
        if rest.trim().is_empty() {
            return parts;
        }
        if parts.len() >= sizes.parts {
            let last = parts.pop().unwrap_or_default();
            parts.push(last + cut_here());
            return parts;
        }
    }
}

/// As much of a text as fits, made safe, and where it ends; at the end of a line, where that is not
/// far back.
fn next_part(reopened: &mut String, rest: &str, most: usize) -> (String, usize) {
    let (part, end) = fit(&format!("{reopened}{rest}"), most, lines_of);
    let Some(end) = end.checked_sub(reopened.len()).filter(|end| *end > 0) else {
        // There is no room for the fence that was open, or not for one character.
        reopened.clear();
        let one = rest.chars().next().map_or(0, char::len_utf8);
        let (part, end) = fit(rest, most, lines_of);
        return if end > 0 { (part, end) } else { (lines_of(&rest[..one]), one) };
    };
    match rest[..end].rfind('\n').filter(|line| end < rest.len() && line * 2 > end) {
        Some(line) => (lines_of(&format!("{reopened}{}", &rest[..line])), line),
        None => (part, end),
    }
}

/// The line that opens, again, the code block that is open at the end of a text.
fn left_open(text: &str) -> Option<String> {
    let last = fenced_blocks(text).pop()?;
    (!last.is_closed && last.end >= text.lines().count()).then(|| fence::reopened(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, first: usize, more: usize) -> Vec<String> {
        contain_in_parts(text, PartLimits { first, more, parts: 4 })
    }

    #[test]
    fn what_fits_is_one_part_and_all_parts_are_the_whole() {
        assert_eq!(parts("one\ntwo", 20, 20), ["one\ntwo"]);
        assert_eq!(parts("one\ntwo\nthree", 8, 20), ["one\ntwo", "three"]);
        let text = (0..300).map(|n| format!("line {n}\n")).collect::<String>();
        assert_eq!(parts(&text, 1000, 2000).join("\n"), text.trim());
    }

    #[test]
    fn an_open_code_block_is_closed_at_the_cut_and_opened_again() {
        let text = "Text.\n```rust\nlet a = 1;\nlet b = 2;\nlet c = 3;\n```\nMore.";
        let made = parts(text, 34, 100);
        assert_eq!(made, ["Text.\n```rust\nlet a = 1;\n```", "```rust\nlet b = 2;\nlet c = 3;\n```\nMore."]);
        let listed = parts("- ```\n  one\n  two\n  three\n  ```\n- b", 22, 100);
        assert!(
            listed.len() > 1 && listed[1].starts_with("```\n") && listed[1].ends_with("```\n- b"),
            "{listed:?}"
        );
        let quoted = parts("> ```\n> one one one\n> two\n> three\n> ```\nb", 30, 100);
        assert!(quoted[0].ends_with("\n> ```") && quoted[1].starts_with("> ```\n> t"), "{quoted:?}");
        assert!(quoted[1].ends_with("> ```\nb"), "{quoted:?}");
    }

    #[test]
    fn what_is_too_long_for_all_parts_is_cut_and_says_so() {
        let made = parts(&"a line of it\n".repeat(100), 50, 50);
        assert_eq!(made.len(), 4);
        assert!(made[3].ends_with(cut_here()) && !made[2].contains(cut_here()), "{made:?}");
    }

    #[test]
    fn a_part_always_takes_something_in() {
        // A fence that no part has room for.
        let text = format!("{}\ncode\nmore code\n", "`".repeat(80));
        for first in 0..12 {
            let made = contain_in_parts(&text, PartLimits { first, more: 5, parts: 1000 });
            let whole = made.concat().replace('\n', "");
            assert!(made.len() < 200 && whole.ends_with("codemore code"), "{made:?}");
        }
    }
}
