//! Code blocks of an agent's, written anew: at the start of a line, closed, and with a fence that nothing in them ends.

use super::BREAK;

/// A fence that opens a code block, wherever in lists and quotations it stands.
pub(super) struct Fence<'a> {
    /// The list markers before it.
    lead: String,
    in_quotation: bool,
    /// How far it is indented.
    indent: usize,
    mark: char,
    length: usize,
    info: &'a str,
}

impl<'a> Fence<'a> {
    /// The fence that a line opens.
    pub(super) fn opened_by(line: &'a str) -> Option<Self> {
        let (mut lead, mut in_quotation) = (String::new(), false);
        let mut rest = line.trim_start();
        loop {
            let after = if let Some(after) = rest.strip_prefix('>') {
                in_quotation = true;
                after
            } else if let Some((marker, after)) = list_marker(rest) {
                lead.push_str(marker);
                lead.push(' ');
                after
            } else {
                break;
            };
            rest = after.trim_start();
        }
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = rest.trim_start_matches(mark);
        let length = rest.len() - info.len();
        let is_span = mark == '`' && info.contains('`');
        let indent = line.chars().count() - rest.chars().count();
        (length >= 3 && !is_span).then(|| Fence {
            lead,
            in_quotation,
            indent,
            mark,
            length,
            info: info.trim(),
        })
    }

    /// Writes the block that goes on at line `at`; tells the line after it.
    pub(super) fn write(&self, lines: &[&str], at: usize, safe: &mut Vec<String>) -> usize {
        let code: Vec<&str> =
            lines[at..].iter().copied().take_while(|line| !self.is_closed_by(line)).collect();
        let next = (at + code.len() + 1).min(lines.len());
        if !self.lead.is_empty() && !self.in_quotation {
            // An item with nothing in it would make a heading of the line before.
            safe.push(format!("{}{BREAK}", self.lead));
        }
        let code: Vec<String> = code.into_iter().map(|line| marker_broken(self.inside(line))).collect();
        let longest = code.iter().map(|line| longest_run(line)).max().unwrap_or(0);
        let fence = "`".repeat((longest + 1).max(3));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "+#._-".contains(c);
        let info = if self.info.len() <= 30 && self.info.chars().all(is_plain) { self.info } else { "" };
        safe.push(format!("{fence}{info}"));
        safe.extend(code);
        safe.push(fence);
        next
    }

    /// The line that closes the block which goes on at line `at`.
    pub(super) fn closed_at(&self, lines: &[&str], at: usize) -> Option<usize> {
        lines[at..].iter().position(|line| self.is_closed_by(line)).map(|found| at + found)
    }

    /// A line that opens such a block as `line` does, without the list that it stands in.
    pub(super) fn again(&self, line: &str) -> String {
        if self.in_quotation {
            return line.to_owned();
        }
        let mark: String = std::iter::repeat_n(self.mark, self.length).collect();
        format!("{}{mark}{}", " ".repeat(self.indent), self.info)
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let text = self.unquoted(line).trim();
        text.len() >= self.length && text.chars().all(|c| c == self.mark)
    }

    fn unquoted<'l>(&self, line: &'l str) -> &'l str {
        let quoted = line.trim_start().strip_prefix('>').filter(|_| self.in_quotation);
        quoted.map_or(line, |text| text.trim_start_matches(['>', ' ']))
    }

    /// A line of the block, without the indent of its fence.
    fn inside<'l>(&self, line: &'l str) -> &'l str {
        let line = self.unquoted(line);
        let blank =
            |(count, (_, c)): &(usize, (usize, char))| *count < self.indent && matches!(c, ' ' | '\t');
        let indent = line.char_indices().enumerate().take_while(blank).count();
        &line[indent..]
    }
}

/// Lines as a code block that nothing in them ends.
pub(super) fn block(lines: &[&str]) -> String {
    let code: Vec<String> = lines.iter().map(|line| marker_broken(line)).collect();
    let longest = code.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", code.join("\n"))
}

/// A list's marker at the start of a text, and what follows.
fn list_marker(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let bytes = text.as_bytes();
    let length = match (digits, bytes.get(digits)?) {
        (0, b'-' | b'+' | b'*') => 1,
        (1..=9, b'.' | b')') => digits + 1,
        _ => return None,
    };
    matches!(bytes.get(length), Some(b' ' | b'\t')).then(|| text.split_at(length))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Code in which no marker of hob's stands.
pub(super) fn marker_broken(code: &str) -> String {
    code.replace("<!-- hob", &format!("<!--{BREAK} hob"))
}
