//! A comment becomes a command. The grammar is prow's, known from many GitHub bots: `/hob NAME TEXT`
//! at the start of a line. Text in code blocks, quotes and HTML comments is somebody showing a
//! command, not giving one. Who may give it is not decided here.

/// What a comment tells hob to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/hob work [text]`: work on this issue; the text says what, beyond the issue itself.
    Work {
        /// The rest of the comment.
        text: Option<String>,
    },
    /// `/hob` with a word that is not a command.
    Unknown {
        /// The word, empty where there was none.
        name: String,
    },
}

/// The first command in a comment, if there is one. What follows the command, on its line and below,
/// is its text.
pub fn parse(comment: &str) -> Option<Command> {
    let shown = ShownLines::of(comment);
    let mut lines = shown.into_iter();
    let rest = lines.by_ref().find_map(|line| command_line(&line.text).map(str::to_owned))?;
    let (name, first) = match rest.split_once(char::is_whitespace) {
        Some((name, first)) => (name, first.trim()),
        None => (rest.as_str(), ""),
    };
    if name != "work" {
        return Some(Command::Unknown { name: name.to_owned() });
    }
    // Below the command everything counts as text, code blocks included: they are what to work on.
    let below: Vec<&str> = lines.map(|line| line.raw).collect();
    let text = [&[first], below.as_slice()].concat().join("\n");
    let text = text.trim();
    Some(Command::Work { text: (!text.is_empty()).then(|| text.to_owned()) })
}

/// What follows `/hob` where a line starts with it. Up to three spaces before it are still plain text
/// in Markdown; four make a code block.
fn command_line(line: &str) -> Option<&str> {
    let trimmed = line.trim_start_matches(' ');
    if line.len() - trimmed.len() > 3 {
        return None;
    }
    let rest = trimmed.strip_prefix("/hob")?;
    if rest.is_empty() || rest.starts_with(char::is_whitespace) { Some(rest.trim()) } else { None }
}

/// One line of a comment.
struct Line<'a> {
    /// The line as written.
    raw: &'a str,
    /// What a reader sees of it as plain text; empty inside code blocks, quotes and HTML comments.
    text: String,
}

struct ShownLines;

impl ShownLines {
    fn of(comment: &str) -> Vec<Line<'_>> {
        let mut fence: Option<(char, usize)> = None;
        let mut in_html_comment = false;
        let mut lines = Vec::new();
        for raw in comment.lines() {
            let marker = fence_marker(raw);
            let text = match (fence, marker) {
                (Some((open, length)), Some((close, closing, true)))
                    if close == open && closing >= length =>
                {
                    fence = None;
                    String::new()
                }
                (Some(_), _) => String::new(),
                (None, Some((open, length, _))) if !in_html_comment => {
                    fence = Some((open, length));
                    String::new()
                }
                (None, _) if raw.trim_start().starts_with('>') && !in_html_comment => String::new(),
                (None, _) => without_html_comments(raw, &mut in_html_comment),
            };
            lines.push(Line { raw, text });
        }
        lines
    }
}

/// The character and length of a code fence that starts or ends on this line, and whether it is bare,
/// as a closing fence must be.
fn fence_marker(line: &str) -> Option<(char, usize, bool)> {
    let trimmed = line.trim_start_matches(' ');
    if line.len() - trimmed.len() > 3 {
        return None;
    }
    let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = trimmed.chars().take_while(|c| *c == mark).count();
    (length >= 3).then(|| (mark, length, trimmed[length..].trim().is_empty()))
}

fn without_html_comments(line: &str, inside: &mut bool) -> String {
    let mut shown = String::new();
    let mut rest = line;
    loop {
        let (mark, toggled) = if *inside { ("-->", false) } else { ("<!--", true) };
        let Some((before, after)) = rest.split_once(mark) else {
            if !*inside {
                shown.push_str(rest);
            }
            return shown;
        };
        if !*inside {
            shown.push_str(before);
            // A command may not be pieced together around a comment.
            shown.push('\u{fffd}');
        }
        *inside = toggled;
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(text: &str) -> Option<Command> {
        Some(Command::Work { text: (!text.is_empty()).then(|| text.to_owned()) })
    }

    #[test]
    fn a_command_stands_at_the_start_of_a_line() {
        assert_eq!(parse("/hob work"), work(""));
        assert_eq!(parse("/hob work use tabs"), work("use tabs"));
        assert_eq!(parse("Thanks!\n\n  /hob work\nuse tabs\n"), work("use tabs"));
        assert_eq!(parse("please /hob work"), None);
        assert_eq!(parse("/hobby work"), None);
        assert_eq!(parse("nothing of the kind"), None);
    }

    #[test]
    fn the_text_keeps_its_lines_and_its_code() {
        assert_eq!(parse("/hob work do this:\n```\n/hob stop\n```"), work("do this:\n```\n/hob stop\n```"));
    }

    #[test]
    fn a_command_that_is_only_shown_is_not_given() {
        for comment in [
            "> /hob work",
            "```\n/hob work\n```",
            "~~~~ sh\n/hob work\n~~~\n/hob work\n~~~~",
            "    /hob work",
            "<!-- /hob work -->",
            "<!--\n/hob work\n-->",
            "/h<!-- -->ob work",
            "``` \nunclosed\n/hob work",
        ] {
            assert_eq!(parse(comment), None, "{comment:?}");
        }
    }

    #[test]
    fn an_unknown_word_is_told_apart_from_no_command() {
        assert_eq!(parse("/hob dance"), Some(Command::Unknown { name: "dance".to_owned() }));
        assert_eq!(parse("/hob"), Some(Command::Unknown { name: String::new() }));
    }
}
