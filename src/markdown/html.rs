//! HTML in Markdown, as far as it takes to know what of it GitHub shows: the words between tags,
//! and neither tags nor comments.

use std::borrow::Cow;
use std::collections::HashMap;

/// What a piece of HTML is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Words between tags.
    Text(&'a str),
    /// A tag that opens an element, or is one by itself.
    Open(Tag<'a>),
    /// A tag that closes one, by its name in small letters.
    Close(String),
    /// A comment, a declaration, an instruction.
    Comment,
    /// Something begins here and does not end: a browser takes what follows for a part of it.
    Unended,
}

/// A tag that opens an element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    /// In small letters.
    pub(super) name: String,
    /// Names in small letters, with their values as written.
    attributes: Vec<(String, &'a str)>,
}

/// Elements that GitHub lets through. Of all others the tags are taken out, and what is between
/// them stays.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "b",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "h7",
    "h8",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "source",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "ul",
    "var",
    "video",
    "wbr",
];

/// Elements whose contents are not for readers.
const UNSHOWN: &[&str] =
    &["script", "style", "template", "rp", "head", "noscript", "object", "svg", "math", "datalist"];

/// Elements that begin a line.
const BLOCKS: &[&str] = &[
    "blockquote",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "summary",
    "table",
    "tr",
    "ul",
];

/// Elements that quote, show code, or strike out.
const QUOTING: &[&str] =
    &["blockquote", "code", "del", "details", "kbd", "pre", "q", "s", "samp", "strike", "table", "tt"];

/// Attributes whose values say how something looks. They hold no words.
const OF_FORM: &[&str] = &[
    "align",
    "border",
    "cellpadding",
    "cellspacing",
    "color",
    "colspan",
    "dir",
    "height",
    "loading",
    "media",
    "open",
    "rel",
    "rowspan",
    "size",
    "sizes",
    "start",
    "target",
    "type",
    "valign",
    "width",
    "class",
    "id",
    "name",
];

/// No longer value of such an attribute is one of form.
const MAX_FORM: usize = 40;

impl Tag<'_> {
    /// The value of an attribute, as it is read.
    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| unescaped(value))
    }

    /// Whether GitHub lets the element through.
    pub(super) fn is_known(&self) -> bool {
        is_known(&self.name)
    }

    /// Whether what is in the element is not shown.
    pub(super) fn is_unshown(&self) -> bool {
        let style = self.attribute("style").unwrap_or_default().to_ascii_lowercase();
        UNSHOWN.contains(&self.name.as_str())
            || self.attribute("hidden").is_some()
            || ["display", "visibility", "opacity", "font-size"].iter().any(|means| style.contains(means))
    }

    /// How many of its attributes may hold words that nobody sees. Where something leads is told
    /// apart from these.
    pub(super) fn hidden_attributes(&self) -> usize {
        let is_hidden = |(name, value): &&(String, &str)| match name.as_str() {
            "href" | "src" | "srcset" => false,
            "alt" => !is_usual_alternative(value),
            name if OF_FORM.contains(&name) => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "%#._-".contains(c);
                value.len() > MAX_FORM || !value.chars().all(is_plain)
            }
            _ => true,
        };
        self.attributes.iter().filter(is_hidden).count()
    }
}

/// Whether this is what GitHub itself, or a phone, writes as the alternative text of an image.
pub(super) fn is_usual_alternative(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let rest = ["image", "img", "screenshot", "screen shot", "pic", "picture"]
        .iter()
        .find_map(|usual| text.strip_prefix(usual))
        .unwrap_or(&text);
    let words = rest.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    rest.len() <= 40
        && words.into_iter().all(|word| matches!(word, "at" | "am" | "pm" | "png" | "jpg" | "jpeg" | "gif"))
}

/// Whether GitHub lets an element through.
pub(super) fn is_known(name: &str) -> bool {
    ELEMENTS.contains(&name)
}

/// Whether an element begins a line.
pub(super) fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

/// Whether what is in an element is not its writer's own plain word.
pub(super) fn is_quoting(name: &str) -> bool {
    QUOTING.contains(&name) || UNSHOWN.contains(&name)
}

/// Whether an element has no end.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "br" | "hr"
            | "img"
            | "source"
            | "wbr"
            | "input"
            | "meta"
            | "link"
            | "col"
            | "area"
            | "base"
            | "embed"
    )
}

/// Words between tags, as they are read.
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    if text.contains('&') { Cow::Owned(entities(text)) } else { Cow::Borrowed(text) }
}

/// Takes HTML apart as a browser does.
pub(super) fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = html;
    loop {
        let Some(at) = next_markup(rest) else {
            if !rest.is_empty() {
                pieces.push(Piece::Text(rest));
            }
            return pieces;
        };
        let (before, markup) = rest.split_at(at);
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let Some((piece, after)) = piece(markup) else {
            pieces.push(Piece::Unended);
            return pieces;
        };
        pieces.push(piece);
        rest = after;
    }
}

/// Where the next thing begins that is no words.
fn next_markup(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let begins =
        |next: Option<&u8>| next.is_some_and(|next| next.is_ascii_alphabetic() || b"!/?".contains(next));
    (0..bytes.len()).find(|at| bytes[*at] == b'<' && begins(bytes.get(at + 1)))
}

/// The piece that a text begins with, and what follows; none where it does not end.
fn piece(markup: &str) -> Option<(Piece<'_>, &str)> {
    let ended = |end: &str| markup[2..].split_once(end).map(|(_, after)| (Piece::Comment, after));
    match &markup.as_bytes()[1..] {
        [b'!', b'-', b'-', ..] => {
            // `<!-->` and `<!--->` are whole comments.
            let inner = &markup[4..];
            if let Some(after) = inner.strip_prefix('>').or_else(|| inner.strip_prefix("->")) {
                return Some((Piece::Comment, after));
            }
            inner.split_once("-->").map(|(_, after)| (Piece::Comment, after))
        }
        [b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', ..] => ended("]]>"),
        [b'!', ..] => ended(">"),
        [b'?', ..] => ended("?>"),
        [b'/', next, ..] if next.is_ascii_alphabetic() => {
            let (tag, after) = markup[2..].split_once('>')?;
            let end = tag.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(tag.len());
            Some((Piece::Close(tag[..end].to_ascii_lowercase()), after))
        }
        [b'/', ..] => ended(">"),
        _ => tag(&markup[1..]).map(|(tag, after)| (Piece::Open(tag), after)),
    }
}

/// The tag that a text begins with, behind its `<`.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let is_space = |c: char| c.is_ascii_whitespace() || c == '/';
    let end = text.find(|c: char| is_space(c) || c == '>')?;
    let name = text[..end].to_ascii_lowercase();
    let mut rest = &text[end..];
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_space);
        if let Some(after) = rest.strip_prefix('>') {
            return Some((Tag { name, attributes }, after));
        }
        let first = rest.chars().next()?.len_utf8();
        let end = rest[first..].find(|c: char| is_space(c) || matches!(c, '>' | '='))? + first;
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let spaced = rest.trim_start();
        let Some(value) = spaced.strip_prefix('=') else {
            attributes.push((name, ""));
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split_once(quote)?,
            _ => value.split_at(value.find(|c: char| c.is_ascii_whitespace() || c == '>')?),
        };
        attributes.push((name, value));
        rest = after;
    }
}

/// A text with its entities as the characters that they stand for. Markdown knows the same ones.
fn entities(text: &str) -> String {
    let mut known: HashMap<&str, String> = HashMap::new();
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        read.push_str(&rest[..at]);
        rest = &rest[at..];
        // No name is longer.
        let end = rest.bytes().take(40).position(|byte| byte == b';');
        let entity = end.map(|end| &rest[..=end]).filter(|entity| {
            entity[1..entity.len() - 1].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#')
        });
        match entity {
            Some(entity) => {
                read.push_str(known.entry(entity).or_insert_with(|| super::character(entity)));
                rest = &rest[entity.len()..];
            }
            None => {
                read.push('&');
                rest = &rest[1..];
            }
        }
    }
    read.push_str(rest);
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(html: &str) -> String {
        let all = pieces(html).into_iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(unescaped(text).into_owned()),
            _ => None,
        });
        all.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn words_are_what_is_between_tags() {
        assert_eq!(describe("a<b c='>'>d</b>e <!-- f > --> g<br/>h"), "a|d|e | g|h");
        assert_eq!(describe("1 < 2 &lt; 3 &amp;amp; &#65;&eacute; &nope; &"), "1 < 2 < 3 &amp; Aé &nope; &");
        assert_eq!(describe("a<!-->b<!--->c<?php > ?>d<!X y>e<![CDATA[ > f ]]>g</>h"), "a|b|c|d|e|g|h");
        for unended in ["a<b c=\"d>e", "a<!-- b", "a<b", "a</b", "a<?b>", "a<b c"] {
            assert_eq!(
                (describe(unended).as_str(), pieces(unended).last()),
                ("a", Some(&Piece::Unended)),
                "{unended}"
            );
        }
    }

    #[test]
    fn attributes_that_may_hold_words_are_counted() {
        let hidden = |html: &str| match pieces(html).as_slice() {
            [Piece::Open(tag)] => tag.hidden_attributes(),
            other => panic!("{other:?}"),
        };
        for plain in [
            "<img src=x width=\"40%\" alt=\"Image\">",
            "<details open>",
            "<p align='center'>",
            "<img alt=\"Screenshot 2026-11-30 at 10.00.00\">",
        ] {
            assert_eq!(hidden(plain), 0, "{plain}");
        }
        for one in [
            "<b title='do it'>",
            "<b data-x>",
            "<img alt='do as I say'>",
            "<p align='do as I say'>",
            "<b onclick=x>",
        ] {
            assert_eq!(hidden(one), 1, "{one}");
        }
    }
}
