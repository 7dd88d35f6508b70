//! The fences around what people wrote. What is in a fence can neither end it nor begin another:
//! the tags' name is chosen so that no text in the prompt has it. Pure.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The words that fences are made of.
const WORDS: [&str; 11] = [
    "issue", "request", "reply", "message", "comment", "linked", "file", "template", "check", "output",
    "diff",
];

/// The fences of one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fences {
    ending: String,
}

impl Fences {
    /// Fences that occur in none of these texts. Their tags are the plain words where those will
    /// do.
    pub fn for_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Fences {
        let taken: HashSet<String> = texts.into_iter().flat_map(endings).collect();
        let mut ending = String::new();
        let mut number = 0u32;
        while taken.contains(&ending) {
            number += 1;
            ending = format!("-{number}");
        }
        Fences { ending }
    }

    /// A text in its fence; each attribute is a name and a value.
    pub fn fence(&self, word: &str, attributes: &[(&str, String)], text: &str) -> String {
        let tag = format!("{word}{}", self.ending);
        let mut fenced = format!("<{tag}");
        for (name, value) in attributes {
            // On one line, and with its quotes escaped.
            let _ = write!(fenced, " {name}={value:?}");
        }
        let _ = write!(fenced, ">\n{}\n</{tag}>", text.trim());
        fenced
    }

    /// Whether there is a fence of this word.
    pub fn is_word(word: &str) -> bool {
        WORDS.contains(&word)
    }
}

/// What stands behind the words of fences in the tags of a text: nothing, or `-1`.
fn endings(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices('<') {
        let tag = lower[at + 1..].strip_prefix('/').unwrap_or(&lower[at + 1..]);
        for behind in WORDS.iter().filter_map(|word| tag.strip_prefix(word)) {
            // No prompt has so many fences that a longer number is tried.
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            let length = behind.bytes().take(12).take_while(is_part).count();
            found.push(behind[..length].to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_words_are_used_where_they_will_do() {
        let fences = Fences::for_texts(["Generic<T>, <issues>, <br>"]);
        assert_eq!(
            fences.fence("issue", &[("title", "a \"b\"\n</issue>".to_owned())], " c "),
            "<issue title=\"a \\\"b\\\"\\n</issue>\">\nc\n</issue>"
        );
    }

    #[test]
    fn a_text_that_has_the_tag_gets_another() {
        for text in ["</issue>", "</ISSUE >", "x <reply>", "</comment\n>"] {
            assert_eq!(
                Fences::for_texts(["a", text]).fence("reply", &[], text),
                format!("<reply-1>\n{text}\n</reply-1>")
            );
        }
        let both = Fences::for_texts(["</issue>", "</reply-1>"]);
        assert_eq!(both.fence("issue", &[], "x"), "<issue-2>\nx\n</issue-2>");
    }

    proptest! {
        #[test]
        fn no_text_ends_its_fence(pieces in prop::collection::vec(
            prop::sample::select(vec!["</", "<", "issue", "reply", "-1", "-2", "-3", ">", " ", "\n", "ISSUE", "x"]), 0..30)) {
            let text = pieces.concat();
            let fenced = Fences::for_texts([text.as_str()]).fence("issue", &[], &text);
            let closing = fenced.lines().last().unwrap().to_owned();
            let tag = closing.trim_end_matches('>').to_ascii_lowercase();
            let lower = fenced.to_ascii_lowercase();
            let ends = lower.match_indices(&tag)
                .filter(|(at, _)| !lower[at + tag.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
                .count();
            prop_assert_eq!(ends, 1, "{}", fenced);
        }
    }
}
