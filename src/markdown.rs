//! Markdown as GitHub renders it. One parser (comrak, with GitHub's extensions) decides everywhere
//! in hob what is visible, what is code, a quotation or HTML, and where a line begins. Pure.
//!
//! Nothing here takes more time than a text is long: the parser is linear, no text is read beyond
//! what GitHub takes, and nothing that walks the tree calls itself, since a text may nest as deep
//! as it is long.

mod code;
mod html;
mod lines;
mod mail;
mod shapeless;
mod visible;

use std::borrow::Cow;

use comrak::nodes::NodeValue;
use comrak::{Arena, Node, Options, parse_document};

pub use code::{FencedBlock, fenced_blocks};
pub use lines::{Line, lines};
pub use mail::{attribution, is_closing, original_at};
pub use shapeless::without_shapeless;
pub use visible::{Hidden, Rendering, render, visible};

/// Characters of a comment, an issue or a pull request. GitHub takes no more.
pub const MAX_CHARS: usize = 65_536;

/// Longer texts are read on a thread of their own by those who must not be held up.
pub const LARGE: usize = 16 * 1024;

/// Which Markdown GitHub reads.
fn options() -> Options<'static> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    extension.strikethrough = true;
    extension.table = true;
    extension.autolink = true;
    extension.tasklist = true;
    extension.footnotes = true;
    extension.alerts = true;
    extension.math_dollars = true;
    extension.math_code = true;
    options
}

/// Reads a text and looks at its tree.
fn with_tree<T>(text: &str, look: impl for<'a> FnOnce(Node<'a>) -> T) -> T {
    let arena = Arena::new();
    look(parse_document(&arena, text, &options()))
}

/// As much of a text as GitHub takes, with one kind of line end.
fn bounded(text: &str) -> Cow<'_, str> {
    let end = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(at, _)| at);
    let text = &text[..end];
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The characters that an entity stands for: `é` for `&eacute;`. What is none stays as it is.
fn character(entity: &str) -> String {
    with_tree(entity, |root| {
        let texts = root.descendants().filter_map(|node| match &node.data().value {
            NodeValue::Text(text) => Some(text.to_string()),
            _ => None,
        });
        texts.collect()
    })
}
