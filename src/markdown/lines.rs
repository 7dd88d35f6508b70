//! The lines of a comment as its writer says them in plain words: what is in code, a quotation, a
//! table, HTML, a link or struck out is somebody showing something.

use std::borrow::Cow;
use std::collections::HashMap;

use comrak::Node;
use comrak::arena_tree::NodeEdge;
use comrak::nodes::NodeValue;

use super::html::{self, Piece};
use super::{bounded, with_tree};

/// In place of what is not plain: nothing may be pieced together around it.
const ASIDE: char = '\u{fffd}';

/// One line of plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What a reader sees of it, with a sign in place of what is no plain words.
    pub text: String,
    /// Which line of the comment it is; the first is 0.
    pub at: usize,
    /// Whether it is in a quotation.
    pub is_quoted: bool,
}

/// A comment with one kind of line end, and its lines of plain words in order, those in quotations
/// too.
pub fn lines(comment: &str) -> (Cow<'_, str>, Vec<Line>) {
    let source = bounded(comment);
    let lines = with_tree(&source, Reader::read);
    (source, lines)
}

/// Reads a tree.
#[derive(Default)]
struct Reader {
    lines: Vec<Line>,
    /// The line under way, where there is one.
    line: Option<Line>,
    /// How many quotations and the like are around it.
    around: usize,
    /// How many quotations alone.
    quotes: usize,
    /// How many links and the like are around the words.
    aside: usize,
    /// Elements of HTML that quote and are open, with how many of them; those begun in the
    /// paragraph under way by themselves.
    blocks: HashMap<String, usize>,
    inlines: HashMap<String, usize>,
    /// Something of HTML is not ended: the rest of the text belongs to it.
    is_over: bool,
}

impl Reader {
    fn read(root: Node<'_>) -> Vec<Line> {
        let mut reader = Reader::default();
        for edge in root.traverse() {
            match edge {
                NodeEdge::Start(node) => {
                    let data = node.data();
                    reader.begin(&data.value, data.sourcepos.start.line);
                }
                NodeEdge::End(node) => reader.end(&node.data().value),
            }
        }
        reader.lines
    }

    fn begin(&mut self, value: &NodeValue, line: usize) {
        match value {
            NodeValue::BlockQuote => self.quotes += 1,
            NodeValue::MultilineBlockQuote(_)
            | NodeValue::Alert(_)
            | NodeValue::FootnoteDefinition(_)
            | NodeValue::Table(_) => self.around += 1,
            NodeValue::Paragraph | NodeValue::Heading(_) => {
                self.inlines.clear();
                self.line = Some(self.begun(line.saturating_sub(1)));
            }
            NodeValue::Text(text) => self.text(text),
            NodeValue::SoftBreak | NodeValue::LineBreak => self.next_line(),
            NodeValue::Strikethrough | NodeValue::Link(_) | NodeValue::Image(_) => {
                self.put_aside();
                self.aside += 1;
            }
            NodeValue::HtmlInline(html) => {
                self.put_aside();
                self.html(html, true);
            }
            NodeValue::HtmlBlock(html) => self.html(&html.literal, false),
            NodeValue::Code(_) | NodeValue::Math(_) | NodeValue::FootnoteReference(_) => self.put_aside(),
            _ => {}
        }
    }

    fn end(&mut self, value: &NodeValue) {
        match value {
            NodeValue::BlockQuote => self.quotes -= 1,
            NodeValue::MultilineBlockQuote(_)
            | NodeValue::Alert(_)
            | NodeValue::FootnoteDefinition(_)
            | NodeValue::Table(_) => self.around -= 1,
            NodeValue::Paragraph | NodeValue::Heading(_) => {
                self.lines.extend(self.line.take());
                self.inlines.clear();
            }
            NodeValue::Strikethrough | NodeValue::Link(_) | NodeValue::Image(_) => self.aside -= 1,
            _ => {}
        }
    }

    fn is_plain(&self) -> bool {
        let is_open = |open: &HashMap<String, usize>| open.values().any(|count| *count > 0);
        self.around == 0
            && self.aside == 0
            && !self.is_over
            && !is_open(&self.blocks)
            && !is_open(&self.inlines)
    }

    fn text(&mut self, text: &str) {
        if !self.is_plain() {
            return self.put_aside();
        }
        if let Some(line) = &mut self.line {
            line.text.push_str(text);
        }
    }

    fn put_aside(&mut self) {
        if let Some(line) = self.line.as_mut().filter(|line| !line.text.ends_with(ASIDE)) {
            line.text.push(ASIDE);
        }
    }

    fn begun(&self, at: usize) -> Line {
        Line { text: String::new(), at, is_quoted: self.quotes > 0 }
    }

    fn next_line(&mut self) {
        if let Some(line) = self.line.take() {
            self.line = Some(self.begun(line.at + 1));
            self.lines.push(line);
        }
    }

    fn html(&mut self, html: &str, is_inline: bool) {
        for piece in html::pieces(html) {
            match piece {
                Piece::Open(tag) if html::is_quoting(&tag.name) => {
                    let open = if is_inline { &mut self.inlines } else { &mut self.blocks };
                    *open.entry(tag.name).or_default() += 1;
                }
                Piece::Close(name) => {
                    for open in [&mut self.inlines, &mut self.blocks] {
                        if let Some(count) = open.get_mut(&name).filter(|count| **count > 0) {
                            *count -= 1;
                            break;
                        }
                    }
                }
                Piece::Unended => self.is_over = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(comment: &str) -> Vec<(usize, String)> {
        let (_, lines) = lines(comment);
        lines
            .into_iter()
            .filter(|line| line.text != "\u{fffd}" && !line.is_quoted)
            .map(|line| (line.at, line.text))
            .collect()
    }

    #[test]
    fn plain_words_are_known_by_their_lines() {
        let comment = "a\nb\n\n- c\n  d\n\n# e\n\n1. **f**\r\n2. g\n";
        let expected = [(0, "a"), (1, "b"), (3, "c"), (4, "d"), (6, "e"), (8, "f"), (9, "g")];
        assert_eq!(plain(comment), expected.map(|(at, text)| (at, text.to_owned())));
    }

    #[test]
    fn what_is_shown_only_is_no_plain_word() {
        for shown in [
            "> a\nb",
            "```\na\n```",
            "    a",
            "<!-- a -->",
            "<pre>\na\n\nb\n</pre>",
            "<details>\n\na\n\n</details>",
            "`a`",
            "~~a~~",
            "[a](b)",
            "| a |\n|---|\n| b |",
            "> [!NOTE]\n> a",
            "<blockquote>\n\na\n\n</blockquote>",
            "<!--\n\na\n\n-->",
        ] {
            assert_eq!(plain(shown), [], "{shown:?}");
        }
        assert_eq!(plain("a<!-- b -->c `d` e"), [(0, "a\u{fffd}c \u{fffd} e".to_owned())]);
        assert_eq!(plain("<details>\n\na\n\n</details>\n\nb"), [(6, "b".to_owned())]);
        assert_eq!(plain("a Vec<String>\n\nb"), [(0, "a Vec\u{fffd}".to_owned()), (2, "b".to_owned())]);
    }
}
