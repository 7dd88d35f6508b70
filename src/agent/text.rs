//! Reading and shortening what agents write: text without terminal codes, tool calls as one line,
//! lists of things to do, amounts. It knows no CLI in particular. What leaves the parser is neither
//! cleaned nor shortened: most of it is shown to nobody. Anyone who shows a text takes terminal
//! codes out of it, then secrets, and shortens it then: a secret that is cut is known to nobody any
//! more.

use serde_json::Value;

use super::{Signal, TodoItem, TodoState};

/// Characters that are kept of what was said, a tool's subject, an entry of a list or a failure's
/// message: far more than is shown of it, so that nothing of what was cut off here is shown.
const KEPT_CHARS: usize = 65_536;
/// Characters that are shown of what was said or done: one line on a page.
const LINE_CHARS: usize = 300;
/// Characters that are shown of a failure's detail: one paragraph in a comment.
const DETAIL_CHARS: usize = 600;
/// Characters of the final text: more than hob tells on GitHub, where it says so.
const FINAL_TEXT_CHARS: usize = 300_000;
/// Entries of a list that are kept.
const TODO_ITEMS: usize = 100;
/// Lines of standard error that explain a failure: most programs say it in the last one.
const STDERR_LINES: usize = 3;
/// The longest session id that is believed: the known ones have 36 characters or fewer.
const SESSION_ID_BYTES: usize = 200;

/// What a tool works on, by the names that the four CLIs give it, the most telling first.
const TOOL_SUBJECTS: [&str; 9] =
    ["command", "file_path", "filePath", "path", "pattern", "query", "url", "description", "prompt"];

/// The text without terminal codes and control characters. Newlines and tabs stay.
pub fn printable(text: &str) -> impl Iterator<Item = char> {
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            let c = chars.next()?;
            if c == '\u{1b}' {
                if chars.next_if_eq(&'[').is_some() {
                    while chars.next().is_some_and(|c| !matches!(c, '@'..='~')) {}
                }
            } else if !c.is_control() || matches!(c, '\n' | '\t') {
                return Some(c);
            }
        }
    })
}

/// The text on one line, every run of white space one space, cut after `max_chars`. Looks at no
/// more of a long text than it needs.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut space_is_due = false;
    for c in printable(text) {
        if c.is_whitespace() {
            space_is_due = count > 0;
            continue;
        }
        if count + usize::from(space_is_due) >= max_chars {
            line.push('…');
            break;
        }
        if space_is_due {
            line.push(' ');
            count += 1;
            space_is_due = false;
        }
        line.push(c);
        count += 1;
    }
    line
}

/// The text of a [`Signal`] as one short line. Secrets are taken out before.
pub fn short_line(text: &str) -> String {
    one_line(text, LINE_CHARS)
}

/// The message of a failure as one short paragraph. Secrets are taken out before.
pub fn detail(text: &str) -> String {
    one_line(text, DETAIL_CHARS)
}

/// The text as the final text of a run: its lines stay, a very long one is cut.
pub fn final_text(text: &str) -> String {
    kept(text, FINAL_TEXT_CHARS)
}

/// The text of a signal, or the message of a failure, with its lines.
pub fn whole(text: &str) -> String {
    kept(text, KEPT_CHARS)
}

fn kept(text: &str, max_chars: usize) -> String {
    let mut chars = printable(text.trim());
    let kept: String = chars.by_ref().take(max_chars).collect();
    let is_cut = chars.next().is_some();
    // What was a terminal code at an end has left its white space.
    format!("{}{}", kept.trim(), if is_cut { "…" } else { "" })
}

/// Makes `words` the agent's last ones, if there are any: an empty block must not hide what it
/// said. They are kept as they are: only the last of all is cleaned, as the [`final_text`].
pub fn keep_last(last_words: &mut Option<String>, words: &str) {
    if has_words(words) {
        let words = last_words.insert(words.to_owned());
        // Terminal codes and space included, that is more than is kept of it.
        words.truncate(words.floor_char_boundary(8 * FINAL_TEXT_CHARS));
    }
}

/// Whether there is something to read in a text. Looks no further than to the first of it.
pub fn has_words(text: &str) -> bool {
    printable(text).any(|c| !c.is_whitespace())
}

/// The last lines of standard error that say something, as the message of a failure.
pub fn last_lines(stderr: &str) -> String {
    let mut lines: Vec<&str> =
        stderr.lines().rev().filter(|line| !line.trim().is_empty()).take(STDERR_LINES).collect();
    lines.reverse();
    whole(&lines.join("\n"))
}

/// Whether the text can be an argument of a CLI as the id of a session.
pub fn is_session_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SESSION_ID_BYTES
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// The agent's own words as a signal, if there are any.
pub fn says(text: &str) -> Option<Signal> {
    has_words(text).then(|| Signal::Says(text.to_owned()))
}

/// Words in which programs say that they wait for something outside, in lower case.
const WAITING: [&str; 22] = [
    "waiting for network",
    "waiting for the network",
    "waiting for internet",
    "waiting for connect",
    "waiting for the connect",
    "waiting for a connect",
    "waiting to reconnect",
    "waiting to retry",
    "waiting before",
    "still waiting",
    "reconnecting",
    "retrying",
    "will retry",
    "retry in",
    "retry after",
    "trying again",
    "trying to reconnect",
    "network unavailable",
    "network is unreachable",
    "no network",
    "connection lost",
    "unable to connect",
];
/// What says that it waits is short; a longer text tells more than that.
const WAITING_CHARS: usize = 300;

/// Whether a text says nothing but that its program waits for something outside, such as the
/// network.
pub fn only_waits(text: &str) -> bool {
    if text.len() > 4 * WAITING_CHARS {
        return false;
    }
    let text = one_line(text, WAITING_CHARS + 1).to_lowercase();
    let is_attempt = text.starts_with("attempt ") && text.contains("failed");
    is_attempt || WAITING.iter().any(|words| text.contains(words))
}

/// Whether an event of a kind that hob does not know says nothing but that its program waits, or is
/// still there.
pub fn event_only_waits(event: &Value) -> bool {
    const KINDS: [&str; 9] = [
        "heartbeat",
        "ping",
        "keepalive",
        "keep_alive",
        "keep-alive",
        "retry",
        "wait",
        "reconnect",
        "offline",
    ];
    const TEXTS: [&str; 6] = ["message", "text", "status", "detail", "reason", "subtype"];
    let says_so = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| only_waits(text) || KINDS.iter().any(|kind| text.eq_ignore_ascii_case(kind)))
    };
    let kind = event["type"].as_str().unwrap_or_default().to_ascii_lowercase();
    kind.split(['.', '_', '-', '/', ' ']).any(|word| KINDS.iter().any(|known| word.starts_with(known)))
        || TEXTS.iter().any(|name| says_so(&event[*name]))
        || ["item", "part", "status", "data", "error"].iter().any(|part| {
            event[*part].is_object()
                && (says_so(&event[*part]["type"]) || TEXTS.iter().any(|name| says_so(&event[*part][*name])))
        })
}

/// A tool call as a signal: its name and what it is used on.
pub fn uses(tool: &str, input: &Value) -> Signal {
    let subject = TOOL_SUBJECTS.iter().find_map(|name| input[*name].as_str()).unwrap_or_default();
    Signal::Uses(if subject.is_empty() { tool.to_owned() } else { format!("{tool}: {subject}") })
}

/// A list of things to do as a signal. The CLIs differ in the names only: the text is `content`,
/// `description` or `text`; the state is `status`, or `completed` as a truth value.
pub fn todo(list: &Value) -> Option<Signal> {
    let items = list.as_array()?.iter().take(TODO_ITEMS).filter_map(|item| {
        let text = ["content", "description", "text"].iter().find_map(|name| item[*name].as_str())?;
        let state = match item["status"].as_str() {
            Some("in_progress") => TodoState::InProgress,
            Some("completed") => TodoState::Completed,
            Some("cancelled") => TodoState::Cancelled,
            None if item["completed"].as_bool() == Some(true) => TodoState::Completed,
            _ => TodoState::Pending,
        };
        Some(TodoItem { text: text.to_owned(), state })
    });
    Some(Signal::Todo(items.collect()))
}

/// An amount of money or a count. All numbers are read as floating point, since CLIs change between
/// the two; a negative one is no amount.
pub fn amount(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| *number >= 0.0)
}

/// A count of tokens or turns.
pub fn count(value: &Value) -> Option<u64> {
    amount(value).map(|number| number as u64) // saturates
}

/// The sum of counts, if there is at least one of them.
pub fn sum_counts<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<u64> {
    values.into_iter().filter_map(count).reduce(u64::saturating_add)
}

/// `total` with `more` added, where either may be unknown.
pub fn add_counts(total: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (total, more) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_terminal_codes_and_single_spaces() {
        assert_eq!(
            short_line("\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession\r\n\tnot  found\u{7}\n"),
            "Error: Session not found"
        );
        assert_eq!(short_line(" \n "), "");
        assert_eq!(short_line("\u{1b}"), "");
        assert_eq!(short_line("\u{1b}[12"), "");
    }

    #[test]
    fn a_long_line_is_cut_with_a_mark() {
        assert_eq!(one_line("abc def", 7), "abc def");
        assert_eq!(one_line("abc def", 6), "abc de…");
        assert_eq!(one_line("abc def", 3), "abc…");
        assert_eq!(one_line("ääää", 2), "ää…");
    }

    #[test]
    fn a_final_text_keeps_its_lines() {
        assert_eq!(final_text("\none\n\n\u{1b}[1mtwo\u{1b}[0m\n"), "one\n\ntwo");
        let long = final_text(&"x".repeat(FINAL_TEXT_CHARS + 1));
        assert_eq!(long.chars().count(), FINAL_TEXT_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn the_last_lines_are_those_with_text() {
        assert_eq!(last_lines("a\nb\n\nc\nd\n\n"), "b\nc\nd");
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn a_session_id_is_a_plain_word_and_no_option() {
        assert!(is_session_id("9c02aee8-94c4-4b4c-9bab-e4e5f1c916c5"));
        assert!(is_session_id("ses_df8322633ffeLDxzrOvjggQS3W"));
        for text in ["", "-c", "--config=x", "a b", "a\0", "a/../b", &"a".repeat(201)] {
            assert!(!is_session_id(text), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_amounts_only_when_they_are_none_below_zero() {
        let list: Value = serde_json::from_str("[1, 2.5, -1, \"3\", null, 1e300]").unwrap();
        assert_eq!(amount(&list[1]), Some(2.5));
        assert_eq!(amount(&list[2]), None);
        assert_eq!(count(&list[5]), Some(u64::MAX));
        assert_eq!(sum_counts([&list[0], &list[1], &list[3], &list[4]]), Some(3));
        assert_eq!(sum_counts([&list[3]]), None);
    }
}
