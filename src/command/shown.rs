//! What a reader of a comment sees of each line as plain text. Text in code blocks, quotes and HTML comments is somebody
//! showing a command, not giving one.

/// One line of a comment.
pub(super) struct Line<'a> {
    /// The line as written.
    pub(super) raw: &'a str,
    /// What a reader sees of it as plain text; empty inside code blocks, quotes and HTML comments.
    pub(super) text: String,
}

/// The lines of a comment.
pub(super) fn lines(comment: &str) -> Vec<Line<'_>> {
    let mut fence: Option<(char, usize)> = None;
    let mut in_html_comment = false;
    let mut lines = Vec::new();
    for raw in comment.lines() {
        let marker = fence_marker(raw);
        let text = match (fence, marker) {
            (Some((open, length)), Some((close, closing, true))) if close == open && closing >= length => {
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
