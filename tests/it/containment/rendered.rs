//! A text as GitHub would show it, and what would come of it there: comrak with GitHub's
//! extensions, and GitHub's rules for mentions, closing words and links to issues, read strictly.

use std::sync::LazyLock;

use comrak::arena_tree::NodeEdge;
use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, format_html, parse_document};
use regex::Regex;

/// What is in place of code in a text: neither a letter nor a space.
const CODE: char = '\u{1}';

static MENTION: LazyLock<Regex> = LazyLock::new(|| regex(r"(?:^|[^A-Za-z0-9])@([A-Za-z0-9][A-Za-z0-9/-]*)"));
/// Wider than GitHub's: with whatever is no letter and no digit between the two.
static CLOSED: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?)[^A-Za-z0-9\x{2060}\x{1}]{0,8}",
        r"((?:[\w.-]+/[\w.-]+)?#[0-9]+|gh-[0-9]+|https?://(?:www\.)?(?:github\.com|ghes\.example)/[^/\s]+/+[^/\s]+/+(?:issues|pull)/[0-9]+)"
    ))
});
static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)[\w.-]+/[\w.-]+#[0-9]+|[A-Za-z0-9]#[0-9]+|\bgh-[0-9]+|[A-Za-z0-9]@[0-9a-f]{7,40}\b")
});
static NOTED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^(?:https?:)?//(?:[^/]*@)?(?:www\.)?(?:github\.com|ghes\.example)\.?(?::[0-9]+)?/+[^/]+/+[^/]+/+(?:issues|pull|discussions|commit)/",
    )
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// What would come of a text.
#[derive(Debug, Default)]
pub struct Rendered {
    pub mentions: Vec<String>,
    pub closed: Vec<String>,
    pub elsewhere: Vec<String>,
    pub images: Vec<String>,
    pub html: Vec<String>,
    /// The blocks at the top, as HTML.
    pub blocks: Vec<String>,
}

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
    options.render.r#unsafe = true;
    options
}

impl Rendered {
    pub fn of(markdown: &str) -> Rendered {
        let arena = Arena::new();
        let options = options();
        let root = parse_document(&arena, markdown, &options);
        let mut rendered = Rendered::default();
        for block in root.children() {
            let mut html = String::new();
            format_html(block, &options, &mut html).expect("HTML");
            rendered.blocks.push(html);
            rendered.look(block);
        }
        rendered
    }

    /// Whether anything would come of it that an agent may not bring about.
    pub fn does_harm(&self) -> bool {
        [&self.mentions, &self.closed, &self.elsewhere, &self.images, &self.html]
            .iter()
            .any(|found| !found.is_empty())
    }

    fn look<'a>(&mut self, node: &'a AstNode<'a>) {
        match &node.data.borrow().value {
            NodeValue::HtmlBlock(html) => self.html.push(html.literal.clone()),
            NodeValue::HtmlInline(html) => self.html.push(html.clone()),
            NodeValue::Image(image) => self.images.push(image.url.clone()),
            NodeValue::Link(link) if NOTED.is_match(&link.url) => self.elsewhere.push(link.url.clone()),
            NodeValue::Text(text) => self.mentions.extend(found(&MENTION, text)),
            value if value.contains_inlines() => {
                let mut text = String::new();
                describe(node, &mut text);
                self.closed.extend(found(&CLOSED, &text));
                self.elsewhere.extend(found(&ELSEWHERE, &text));
                // Words that are set in parts, `@**bob**` for one.
                let in_parts: Vec<String> = found(&MENTION, &text).collect();
                self.mentions.extend(in_parts);
            }
            _ => {}
        }
        for child in node.children() {
            self.look(child);
        }
    }
}

fn found(pattern: &Regex, text: &str) -> impl Iterator<Item = String> {
    let all: Vec<String> = pattern.find_iter(text).map(|found| found.as_str().trim().to_owned()).collect();
    all.into_iter()
}

/// The text of a block, without its code.
fn describe<'a>(node: &'a AstNode<'a>, text: &mut String) {
    for child in node.children() {
        match &child.data.borrow().value {
            NodeValue::Text(words) => text.push_str(words),
            NodeValue::Code(_) | NodeValue::Math(_) => text.push(CODE),
            NodeValue::SoftBreak | NodeValue::LineBreak => text.push('\n'),
            _ => describe(child, text),
        }
    }
}

static TAG: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)<!--.*?-->|<[A-Za-z/!?][^>]*>"));
static ENTITY: LazyLock<Regex> = LazyLock::new(|| regex("&#?[A-Za-z0-9]+;"));
static TARGET: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?i)(?:href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"#));

/// What a reader of a text sees, and where its links lead; without its code's colours, titles,
/// alternative texts and comments.
pub fn text_of(markdown: &str) -> String {
    let arena = Arena::new();
    let (mut seen, mut targets) = (String::new(), String::new());
    for edge in parse_document(&arena, markdown, &options()).traverse() {
        match edge {
            NodeEdge::Start(node) => see(node, &mut seen, &mut targets),
            NodeEdge::End(node) if !node.data().value.contains_inlines() => {}
            NodeEdge::End(_) => seen.push('\n'),
        }
    }
    // At the end, so that they stand between no words.
    seen + &targets
}

fn see<'a>(node: &'a AstNode<'a>, seen: &mut String, targets: &mut String) {
    let is_alternative = |around: &AstNode<'a>| matches!(around.data().value, NodeValue::Image(_));
    let is_in_image = node.ancestors().skip(1).any(is_alternative);
    let mut html = |html: &str| {
        let words = TAG.replace_all(html, "");
        seen.push_str(&ENTITY.replace_all(&words, |found: &regex::Captures<'_>| character(&found[0])));
        let found = TARGET.captures_iter(html).flat_map(|found| {
            (1..4).filter_map(move |nth| found.get(nth)).map(|target| target.as_str()).collect::<Vec<_>>()
        });
        found.for_each(|target| targets.push_str(&format!(" {target} ")));
    };
    match &node.data().value {
        NodeValue::Image(image) => targets.push_str(&format!(" {} ", image.url)),
        _ if is_in_image => {}
        NodeValue::Text(words) => seen.push_str(words),
        NodeValue::Code(code) => seen.push_str(&code.literal),
        NodeValue::Math(math) => seen.push_str(&math.literal),
        NodeValue::SoftBreak | NodeValue::LineBreak => seen.push('\n'),
        NodeValue::CodeBlock(code) => {
            let language = code.info.split_whitespace().next().unwrap_or_default();
            seen.push_str(&format!("\n{language}\n{}\n", code.literal));
        }
        NodeValue::Link(link) => targets.push_str(&format!(" {} ", link.url)),
        NodeValue::Alert(alert) => seen.push_str(&format!("\n{}\n", alert.alert_type.default_title())),
        NodeValue::HtmlBlock(block) => html(&block.literal),
        NodeValue::HtmlInline(inline) => html(inline),
        _ => {}
    }
}

/// What stands in HTML for a character is one, as it is in Markdown.
fn character(entity: &str) -> String {
    let arena = Arena::new();
    let mut read = String::new();
    describe(parse_document(&arena, entity, &options()), &mut read);
    read
}

/// The kinds of blocks of a text, in order.
pub fn skeleton(markdown: &str) -> Vec<String> {
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options());
    let blocks = root.descendants().filter(|node| node.data.borrow().value.block());
    blocks.map(|node| node.data.borrow().value.xml_node_name().to_owned()).collect()
}
