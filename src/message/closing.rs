//! The words by which GitHub closes issues: the text of commits is kept free of them, and text in
//! comments is broken near them (`contain.rs`). Pure.

/// How such words begin, and how they may end: `closes`, `fixed`, `resolve`.
pub(super) const WORDS: [(&str, [&str; 3]); 3] =
    [("clos", ["e", "es", "ed"]), ("fix", ["", "es", "ed"]), ("resolv", ["e", "es", "ed"])];

/// What stands in the place of such a word. The issue is linked all the same.
const HARMLESS: &str = "refs";

/// A commit's message in which no such word stands before an issue. Once the commit is on the
/// default branch, GitHub would close that issue, whichever it is. Every other byte stays, whatever
/// the encoding.
pub fn without_closing_words(message: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(message.len());
    let mut issues = Issues::of(message);
    let mut rest = message;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let (word, after) = rest.split_at(length.max(1));
        if is_closing_word(word) && issues.is_next(message.len() - after.len()) {
            let harmless = if first.is_ascii_uppercase() { "Refs" } else { HARMLESS };
            kept.extend_from_slice(harmless.as_bytes());
        } else {
            kept.extend_from_slice(word);
        }
        rest = after;
    }
    kept
}

fn is_closing_word(word: &[u8]) -> bool {
    let word = word.to_ascii_lowercase();
    WORDS.iter().any(|(stem, endings)| {
        word.strip_prefix(stem.as_bytes())
            .is_some_and(|ending| endings.iter().any(|known| known.as_bytes() == ending))
    })
}

/// Where issues are named in a message. Each byte is looked at once, however many words stand
/// before it.
struct Issues<'a> {
    message: &'a [u8],
    /// The end of the word that was looked at last, and the last place in it where an issue's
    /// number or address is.
    word: Option<(usize, Option<usize>)>,
}

impl<'a> Issues<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self { message, word: None }
    }

    /// Whether the next thing is an issue: `#3`, `GH-3`, `owner/name#3` or an address. Spaces, line
    /// ends, a colon and signs that only set a word off may stand before it; what ends a clause may
    /// not.
    fn is_next(&mut self, from: usize) -> bool {
        let ends_clause = |byte: &u8| matches!(byte, b'.' | b',' | b';' | b'!' | b'?');
        let begins = |byte: &u8| byte.is_ascii_alphanumeric() || ends_clause(byte);
        let after = &self.message[from..];
        for (at, byte) in after.iter().enumerate() {
            if *byte == b'#' && after.get(at + 1).is_some_and(u8::is_ascii_digit) {
                return true;
            }
            if begins(byte) {
                return !ends_clause(byte) && self.is_issue(from + at);
            }
        }
        false
    }

    /// Whether the word that goes on there names an issue in another way than `#3`.
    fn is_issue(&mut self, at: usize) -> bool {
        let rest = &self.message[at..];
        if rest.len() > 3 && rest[..3].eq_ignore_ascii_case(b"gh-") && rest[3].is_ascii_digit() {
            return true;
        }
        let (end, last) = match self.word.filter(|(end, _)| at < *end) {
            Some(word) => word,
            None => {
                let length = rest.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
                (at + length, last_issue(&rest[..length]).map(|found| at + found))
            }
        };
        self.word = Some((end, last));
        last.is_some_and(|last| last >= at)
    }
}

/// The last place in a word where an issue's number is, or how its address ends.
fn last_issue(word: &[u8]) -> Option<usize> {
    const BEFORE_NUMBERS: [&[u8]; 5] = [b"#", b"issues/", b"pull/", b"pulls/", b"discussions/"];
    (0..word.len()).rev().find(|at| {
        BEFORE_NUMBERS.iter().any(|before| {
            let end = at + before.len();
            word.get(end).is_some_and(u8::is_ascii_digit) && word[*at..end].eq_ignore_ascii_case(before)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(message: &str) -> String {
        String::from_utf8(without_closing_words(message.as_bytes())).unwrap()
    }

    #[test]
    fn no_word_that_closes_stands_before_an_issue() {
        for (written, pushed) in [
            ("Add it, fixes #3", "Add it, refs #3"),
            ("Closes: #3\n", "Refs: #3\n"),
            ("FIXED\n\n**#3**", "Refs\n\n**#3**"),
            ("resolve GH-4", "refs GH-4"),
            ("This closed acme/tool#12.", "This refs acme/tool#12."),
            (
                "fix https://github.com/acme/tool/issues/9 now",
                "refs https://github.com/acme/tool/issues/9 now",
            ),
            ("resolves\u{a0}[#7]", "refs\u{a0}[#7]"),
            ("fixes #1, closes #2", "refs #1, refs #2"),
        ] {
            assert_eq!(changed(written), pushed);
        }
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        for kept in [
            "Fix the door\n\nIt was stuck. See #3, and fixtures #4.",
            "fixed. #3 comes next",
            "closes the file",
            "Fix issue #3",
            "prefixes #3, fixing #3",
            "fix #x and # 3",
            "",
        ] {
            assert_eq!(changed(kept), kept);
        }
        let latin = b"\xe4ndern: fixes #3 f\xfcr immer\n";
        assert_eq!(without_closing_words(latin), b"\xe4ndern: refs #3 f\xfcr immer\n");
    }
}
