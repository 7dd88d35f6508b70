//! Where the code blocks of a text are.

use comrak::Node;
use comrak::nodes::NodeValue;

use super::with_tree;

/// A code block between fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencedBlock {
    /// The line that opens it; the first is 0.
    pub first: usize,
    /// The line after it.
    pub end: usize,
    /// What stands before its fence on that line: the marks of lists and quotations.
    pub before: String,
    /// How far in the fence is.
    pub indent: usize,
    /// How many quotations are around it.
    pub quotes: usize,
    /// Its fence.
    pub fence: String,
    /// What stands behind the fence.
    pub info: String,
    /// The code.
    pub code: String,
    /// Whether there is a fence at its end.
    pub is_closed: bool,
}

/// The code blocks between fences of a text, in order. The text is read to its end.
pub fn fenced_blocks(text: &str) -> Vec<FencedBlock> {
    // Most texts have none.
    if !text.contains("```") && !text.contains("~~~") {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    with_tree(text, |root| root.descendants().filter_map(|node| block(node, &lines)).collect())
}

fn block(node: Node<'_>, lines: &[&str]) -> Option<FencedBlock> {
    let data = node.data();
    let NodeValue::CodeBlock(code) = &data.value else { return None };
    if !code.fenced {
        return None;
    }
    let start = data.sourcepos.start;
    let first = start.line.checked_sub(1)?;
    let before = lines.get(first)?.get(..start.column.saturating_sub(1)).unwrap_or_default();
    let is_marks = before.chars().all(|c| c.is_ascii_digit() || ".)-+*> \t".contains(c));
    let quotes = node.ancestors().skip(1).filter(|around| {
        matches!(
            around.data().value,
            NodeValue::BlockQuote | NodeValue::MultilineBlockQuote(_) | NodeValue::Alert(_)
        )
    });
    let code_lines = code.literal.lines().count();
    Some(FencedBlock {
        first,
        end: first + 1 + code_lines + usize::from(code.closed),
        before: if is_marks { before.to_owned() } else { String::new() },
        indent: before.chars().count(),
        quotes: quotes.count(),
        fence: char::from(code.fence_char).to_string().repeat(code.fence_length),
        info: code.info.clone(),
        code: code.literal.clone(),
        is_closed: code.closed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_where_the_parser_sees_them() {
        let text = "a\n```rust\nb\n\nc\n```\n> ~~~~\n> d\n> ~~~~\n- e\n  1. ```\n     f\n     ```\n<pre>\n```\n</pre>\n\n```\ng";
        let found: Vec<_> = fenced_blocks(text)
            .into_iter()
            .map(|block| {
                (block.first, block.end, block.before, block.quotes, block.fence, block.code, block.is_closed)
            })
            .collect();
        let expected = [
            (1, 6, "", 0, "```", "b\n\nc\n", true),
            (6, 9, "> ", 1, "~~~~", "d\n", true),
            (10, 13, "  1. ", 0, "```", "f\n", true),
            (17, 19, "", 0, "```", "g", false),
        ];
        let expected = expected.map(|(first, end, before, quotes, fence, code, closed)| {
            (first, end, before.to_owned(), quotes, fence.to_owned(), code.to_owned(), closed)
        });
        assert_eq!(found, expected);
    }
}
