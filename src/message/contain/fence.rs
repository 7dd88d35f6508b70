//! Code blocks of an agent's, written again: at the start of a line, closed, and with a fence that
//! nothing in them ends.

use super::BREAK;
use crate::markdown::FencedBlock;

/// Quotations in quotations beyond this are one.
const MAX_DEPTH: usize = 6;
/// A fence that is further in is none.
const MAX_INDENT: usize = 3;

/// The lines of a code block, written again.
pub(super) fn written(block: &FencedBlock) -> Vec<String> {
    let quotes = "> ".repeat(block.quotes.min(MAX_DEPTH));
    let mut lines = Vec::new();
    let marks = block.before.trim_end();
    if block.quotes == 0 && !marks.is_empty() {
        // An item with nothing in it would make a heading of the line before.
        lines.push(format!("{marks} {BREAK}"));
    }
    let code: Vec<String> = block.code.lines().map(marker_broken).collect();
    let longest = code.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+#._-".contains(c);
    let info =
        if block.info.len() <= 30 && block.info.chars().all(is_plain) { block.info.as_str() } else { "" };
    lines.push(format!("{quotes}{fence}{info}"));
    lines.extend(code.into_iter().map(|line| format!("{quotes}{line}")));
    lines.push(format!("{quotes}{fence}"));
    lines
}

/// The line that opens a code block again that was open where a text was cut.
pub(super) fn reopened(block: &FencedBlock) -> String {
    let quotes = "> ".repeat(block.quotes.min(MAX_DEPTH));
    let indent = if block.quotes == 0 { " ".repeat(block.indent.min(MAX_INDENT)) } else { String::new() };
    format!("{quotes}{indent}{}{}", block.fence, block.info)
}

/// Lines as a code block that nothing in them ends.
pub(super) fn block(lines: &[&str]) -> String {
    let code: Vec<String> = lines.iter().map(|line| marker_broken(line)).collect();
    let longest = code.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", code.join("\n"))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Code in which no marker of hob's stands.
pub(super) fn marker_broken(code: &str) -> String {
    code.replace("<!-- hob", &format!("<!--{BREAK} hob"))
}
