//! What a reader sees of a text that GitHub renders: made again from the tree, so that nothing can
//! be in it that is not rendered. The form stays that of Markdown: lists, quotations, tables and
//! code are told apart as before, emphasis is not. Links and images have their addresses beside
//! them, since a reader can look at those.
//!
//! Where it cannot be told whether GitHub shows something, it counts as hidden: too little text is
//! noticed, too much is not. Letters that merely look like others stay, and so does `<details>`,
//! which people can open.

use std::collections::HashSet;
use std::ops::AddAssign;

use comrak::Node;
use comrak::arena_tree::NodeEdge;
use comrak::nodes::{NodeCodeBlock, NodeMath, NodeValue};
use serde::{Deserialize, Serialize};

use super::html::{self, Piece, Tag};
use super::shapeless::without_shapeless;
use super::{MAX_CHARS, bounded, with_tree};

/// Quotations and lists in each other beyond this are not told apart any more.
const MAX_DEPTH: usize = 8;
/// No longer address is of use to anybody.
const MAX_ADDRESS: usize = 2_000;

/// Where an address may lead that GitHub keeps.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "ftp"];

/// Languages of code blocks, by which GitHub colours them. Other words behind a fence are shown
/// nowhere.
const LANGUAGES: &[&str] = &[
    "ada",
    "asm",
    "awk",
    "bash",
    "bat",
    "batch",
    "c",
    "c#",
    "c++",
    "cfg",
    "clojure",
    "cmake",
    "cmd",
    "cobol",
    "conf",
    "console",
    "cpp",
    "crystal",
    "cs",
    "csharp",
    "css",
    "csv",
    "cuda",
    "cxx",
    "d",
    "dart",
    "diff",
    "docker",
    "dockerfile",
    "dotenv",
    "ebnf",
    "elixir",
    "elm",
    "env",
    "erb",
    "erlang",
    "f#",
    "fish",
    "fortran",
    "fsharp",
    "gherkin",
    "glsl",
    "go",
    "gradle",
    "graphql",
    "groovy",
    "h",
    "haml",
    "handlebars",
    "haskell",
    "hcl",
    "html",
    "http",
    "ini",
    "java",
    "javascript",
    "jinja",
    "jinja2",
    "js",
    "json",
    "json5",
    "jsonc",
    "jsonl",
    "jsx",
    "julia",
    "kotlin",
    "kt",
    "latex",
    "less",
    "lisp",
    "log",
    "lua",
    "make",
    "makefile",
    "markdown",
    "matlab",
    "md",
    "mermaid",
    "mjs",
    "nasm",
    "nginx",
    "nim",
    "nix",
    "none",
    "objc",
    "objective-c",
    "ocaml",
    "openscad",
    "output",
    "pascal",
    "patch",
    "perl",
    "php",
    "plain",
    "plaintext",
    "powershell",
    "prisma",
    "prolog",
    "properties",
    "proto",
    "protobuf",
    "ps1",
    "pug",
    "puppet",
    "py",
    "python",
    "python3",
    "qml",
    "r",
    "raku",
    "rb",
    "regex",
    "rs",
    "rst",
    "ruby",
    "rust",
    "sass",
    "scala",
    "scheme",
    "scss",
    "sh",
    "shell",
    "solidity",
    "sql",
    "starlark",
    "suggestion",
    "svelte",
    "svg",
    "swift",
    "systemd",
    "tcl",
    "terraform",
    "tex",
    "text",
    "tf",
    "toml",
    "ts",
    "tsx",
    "txt",
    "typescript",
    "v",
    "vb",
    "verilog",
    "vhdl",
    "vim",
    "vue",
    "wasm",
    "wat",
    "xml",
    "yaml",
    "yml",
    "zig",
    "zsh",
];

/// Code blocks that GitHub draws as a map or a body: the words in them are not shown.
const DRAWN: [&str; 3] = ["geojson", "stl", "topojson"];

/// What makes a formula show less than it says.
const UNSHOWN_TEX: &[&str] = &[
    "phantom",
    "color",
    "label",
    "def",
    "newcommand",
    "renewcommand",
    "let",
    "class",
    "cssid",
    "style",
    "href",
    "smash",
    "llap",
    "rlap",
    "hspace",
    "kern",
    "tiny",
    "require",
];

/// How much was taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Comments, titles, alternative texts and other markup that GitHub does not show.
    pub comments: usize,
    /// Characters that have no shape: of no width, for the direction of text, tags, fillers,
    /// controls.
    pub characters: usize,
}

impl Hidden {
    /// Whether nothing was taken out.
    pub fn is_none(self) -> bool {
        self == Hidden::default()
    }
}

impl AddAssign for Hidden {
    fn add_assign(&mut self, other: Self) {
        self.comments += other.comments;
        self.characters += other.characters;
    }
}

/// What a reader sees of a text.
#[derive(Debug, Default)]
pub struct Rendering {
    /// The words.
    pub text: String,
    /// How much there was beside them.
    pub hidden: Hidden,
    /// The addresses of images, each once, in order.
    pub images: Vec<String>,
    /// The words that are no code, a line for each piece of text.
    pub words: String,
    /// Where links lead.
    pub links: Vec<String>,
}

/// What people see of a text, and how much they do not.
pub fn visible(text: &str) -> (String, Hidden) {
    let rendering = render(text);
    (rendering.text, rendering.hidden)
}

/// What people see of a text.
pub fn render(text: &str) -> Rendering {
    let source = bounded(text);
    let mut writer = with_tree(&source, Writer::write);
    writer.count_traceless(&source);
    let is_cut = text.len() > source.len() && text.chars().nth(MAX_CHARS).is_some();
    let Writer { out, mut hidden, images, words, links, .. } = writer;
    let (shown, characters) = without_shapeless(out.trim_end());
    hidden.characters += characters;
    let text = if is_cut { format!("{shown}\n\n[hob has cut off the rest]") } else { shown };
    Rendering { text, hidden, images: once(images), words: without_shapeless(&words).0, links: once(links) }
}

fn once(all: Vec<String>) -> Vec<String> {
    let mut known = HashSet::new();
    all.into_iter().filter(|one| known.insert(one.clone())).collect()
}

/// A quotation or an item of a list, around what is written.
struct Container {
    /// What stands before its first line.
    first: String,
    /// What stands before the others.
    rest: &'static str,
    is_begun: bool,
}

/// A list.
struct List {
    is_tight: bool,
    is_begun: bool,
    /// The number of the next item, where they are numbered.
    number: Option<usize>,
}

/// An element whose contents are not shown.
struct Unshown {
    name: String,
    /// Elements of the same name in it.
    inner: usize,
}

/// Writes a tree down.
#[derive(Default)]
struct Writer {
    out: String,
    hidden: Hidden,
    images: Vec<String>,
    words: String,
    links: Vec<String>,
    containers: Vec<Container>,
    lists: Vec<List>,
    /// The block under way.
    inline: String,
    /// Where in it links begin.
    begun: Vec<usize>,
    /// The alternative text of the image under way, and images in it.
    alternative: Option<(String, usize)>,
    /// The rows of the table under way, and the cells of the row.
    rows: Vec<String>,
    cells: Vec<String>,
    columns: usize,
    unshown: Option<Unshown>,
    /// Something of HTML is not ended: the rest of the text belongs to it.
    is_over: bool,
    /// Links of HTML that are open.
    anchors: Vec<Option<String>>,
    /// Closing tags that are still to come, by name.
    closing: Vec<(&'static str, usize)>,
    /// Lines of code and HTML, where nothing is a definition.
    literal_lines: Vec<(usize, usize)>,
    /// Lines of tables, with the number of columns.
    row_lines: Vec<(usize, usize)>,
    /// Titles of links that were counted.
    titles: HashSet<String>,
    /// The names of footnotes that are shown.
    footnotes: HashSet<String>,
    at_footnote: usize,
}

impl Writer {
    fn write(root: Node<'_>) -> Writer {
        let mut writer = Writer { closing: closing_tags(root), ..Writer::default() };
        for edge in root.traverse() {
            match edge {
                NodeEdge::Start(node) => writer.begin(node),
                NodeEdge::End(node) => writer.end(&node.data().value),
            }
        }
        writer
    }

    /// Whether what comes now is shown.
    fn is_shown(&self) -> bool {
        !self.is_over && self.unshown.is_none()
    }

    fn begin(&mut self, node: Node<'_>) {
        let data = node.data();
        match (&data.value, &mut self.alternative) {
            (NodeValue::Image(_), Some((_, inner))) => *inner += 1,
            (NodeValue::Text(text), Some((alternative, _))) => alternative.push_str(text),
            (NodeValue::Code(code), Some((alternative, _))) => alternative.push_str(&code.literal),
            (_, Some(_)) => {}
            (value, None) => {
                let lines = (data.sourcepos.start.line, data.sourcepos.end.line);
                self.begin_shown(value, lines);
            }
        }
    }

    fn begin_shown(&mut self, value: &NodeValue, lines: (usize, usize)) {
        match value {
            NodeValue::BlockQuote | NodeValue::MultilineBlockQuote(_) => self.contain("> ".to_owned(), "> "),
            NodeValue::Alert(alert) => {
                self.contain("> ".to_owned(), "> ");
                self.block(&format!("{}:", alert.alert_type.default_title()));
            }
            NodeValue::List(list) => {
                let number = (list.list_type == comrak::nodes::ListType::Ordered).then_some(list.start);
                self.lists.push(List { is_tight: list.tight, is_begun: false, number });
            }
            NodeValue::Item(_) => self.item(""),
            NodeValue::TaskItem(task) => self.item(if task.symbol.is_some() { "[x] " } else { "[ ] " }),
            NodeValue::FootnoteDefinition(definition) => {
                self.footnotes.insert(definition.name.clone());
                self.at_footnote += 1;
                self.contain(format!("[{}] ", self.at_footnote), "    ");
            }
            NodeValue::CodeBlock(code) => {
                self.literal_lines.push(lines);
                self.code_block(code);
            }
            NodeValue::HtmlBlock(html) => {
                self.literal_lines.push(lines);
                self.inline.clear();
                self.html(&html.literal);
                self.flush("");
            }
            NodeValue::ThematicBreak => self.block("---"),
            NodeValue::Paragraph | NodeValue::Heading(_) | NodeValue::TableCell => self.inline.clear(),
            NodeValue::Table(table) => {
                self.rows.clear();
                self.columns = table.num_columns;
            }
            NodeValue::TableRow(_) => self.row_lines.push((lines.0, self.columns)),
            NodeValue::Text(text) => self.text(text),
            NodeValue::SoftBreak | NodeValue::LineBreak => self.text("\n"),
            NodeValue::Code(code) => self.code(&code.literal),
            NodeValue::Math(math) => self.math(math),
            NodeValue::HtmlInline(html) => self.html(html),
            NodeValue::Strikethrough => self.mark("~~"),
            NodeValue::Link(_) => self.begun.push(self.inline.len()),
            NodeValue::Image(image) => {
                self.title(&image.title);
                self.image(&image.url);
                self.alternative = Some((String::new(), 0));
            }
            NodeValue::FootnoteReference(reference) => self.mark(&format!("[{}]", reference.ix)),
            _ => {}
        }
    }

    fn end(&mut self, value: &NodeValue) {
        match (value, &mut self.alternative) {
            (NodeValue::Image(_), Some((_, inner))) if *inner > 0 => *inner -= 1,
            (NodeValue::Image(_), Some((text, _))) => {
                self.hidden.comments += usize::from(!html::is_usual_alternative(text));
                self.alternative = None;
            }
            (_, Some(_)) => {}
            (value, None) => self.end_shown(value),
        }
    }

    fn end_shown(&mut self, value: &NodeValue) {
        match value {
            NodeValue::BlockQuote
            | NodeValue::MultilineBlockQuote(_)
            | NodeValue::Alert(_)
            | NodeValue::Item(_)
            | NodeValue::TaskItem(_)
            | NodeValue::FootnoteDefinition(_) => {
                self.containers.pop();
            }
            NodeValue::List(_) => {
                self.lists.pop();
            }
            NodeValue::Paragraph => self.flush(""),
            NodeValue::Heading(heading) => self.flush(&format!("{} ", "#".repeat(heading.level.into()))),
            NodeValue::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                self.words.push('\n');
                self.cells.push(cell.replace('\n', " ").trim().to_owned());
            }
            NodeValue::TableRow(is_header) => {
                let mut cells = std::mem::take(&mut self.cells);
                // The parser fills up short rows.
                cells.truncate(cells.iter().rposition(|cell| !cell.is_empty()).map_or(1, |last| last + 1));
                self.rows.push(format!("| {} |", cells.join(" | ")));
                if *is_header {
                    self.rows.push(format!("|{}", "---|".repeat(self.columns)));
                }
            }
            NodeValue::Table(_) => {
                let rows = std::mem::take(&mut self.rows).join("\n");
                if self.is_shown() {
                    self.block(&rows);
                }
            }
            NodeValue::Strikethrough => self.mark("~~"),
            NodeValue::Link(link) => {
                self.title(&link.title);
                self.link(&link.url);
            }
            _ => {}
        }
    }

    fn contain(&mut self, first: String, rest: &'static str) {
        self.containers.push(Container { first, rest, is_begun: false });
    }

    fn item(&mut self, box_before: &str) {
        let number = self.lists.last_mut().and_then(|list| list.number.as_mut());
        let marker = match number {
            Some(number) => {
                *number = number.saturating_add(1);
                format!("{}. ", *number - 1)
            }
            None => "- ".to_owned(),
        };
        self.contain(format!("{marker}{box_before}"), if marker.len() > 2 { "   " } else { "  " });
    }

    /// Ends a block of words.
    fn flush(&mut self, before: &str) {
        let inline = std::mem::take(&mut self.inline);
        self.begun.clear();
        self.words.push('\n');
        let lines: Vec<&str> =
            inline.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            self.block(&format!("{before}{}", lines.join("\n").trim_start()));
        }
    }

    /// Writes the lines of a block, behind what its containers put before each.
    fn block(&mut self, lines: &str) {
        if !self.is_shown() {
            return;
        }
        let is_tight = self.lists.iter().rev().find(|list| list.is_begun).is_some_and(|list| list.is_tight);
        if !self.out.is_empty() && !is_tight {
            let quotes = self.containers.iter().take(MAX_DEPTH).take_while(|around| around.is_begun);
            let before: String = quotes.map(|around| around.rest).collect();
            self.out.push_str(before.trim_end());
            self.out.push('\n');
        }
        // Where one has begun, those around it have.
        for list in self.lists.iter_mut().rev().take_while(|list| !list.is_begun) {
            list.is_begun = true;
        }
        for line in lines.split('\n') {
            let start = self.out.len();
            for around in self.containers.iter_mut().take(MAX_DEPTH) {
                self.out.push_str(if around.is_begun { around.rest } else { &around.first });
                around.is_begun = true;
            }
            self.out.push_str(line);
            if line.is_empty() {
                self.out.truncate(start + self.out[start..].trim_end().len());
            }
            self.out.push('\n');
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_shown() {
            // These end a line for a reader, and none in Markdown.
            let text = text.replace(['\u{2028}', '\u{2029}'], "\n");
            self.inline.push_str(&text);
            self.words.push_str(&text);
        }
    }

    /// Writes signs that are no words.
    fn mark(&mut self, signs: &str) {
        if self.is_shown() {
            self.inline.push_str(signs);
        }
    }

    fn code(&mut self, code: &str) {
        if !self.is_shown() {
            return;
        }
        self.words.push(' ');
        let fence = "`".repeat(longest_run(code) + 1);
        let space = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
        self.inline.push_str(&format!("{fence}{space}{code}{space}{fence}"));
    }

    fn code_block(&mut self, block: &NodeCodeBlock) {
        let info = block.info.trim();
        let language = info.split_whitespace().next().unwrap_or_default();
        let lower = language.to_ascii_lowercase();
        let is_known = LANGUAGES.contains(&lower.as_str());
        if DRAWN.contains(&lower.as_str()) {
            self.hidden.comments += 1;
            return;
        }
        self.hidden.comments += usize::from(info.len() > language.len() || !(is_known || info.is_empty()));
        let code = match lower.as_str() {
            "math" => {
                return self.math(&NodeMath {
                    dollar_math: true,
                    display_math: true,
                    literal: block.literal.clone(),
                });
            }
            "mermaid" => self.without_comments_of_mermaid(&block.literal),
            _ => block.literal.clone(),
        };
        let fence = "`".repeat((longest_run(&code) + 1).max(3));
        let end = if code.is_empty() || code.ends_with('\n') { "" } else { "\n" };
        self.block(&format!("{fence}{}\n{code}{end}{fence}", if is_known { language } else { "" }));
    }

    fn without_comments_of_mermaid(&mut self, code: &str) -> String {
        let is_shown = |line: &&str| !line.trim_start().starts_with("%%");
        self.hidden.comments += code.lines().filter(|line| !is_shown(line)).count();
        code.lines().filter(is_shown).map(|line| format!("{line}\n")).collect()
    }

    /// A formula is drawn. One that can draw less than it says is taken out.
    fn math(&mut self, math: &NodeMath) {
        let tex = &math.literal;
        let commands = tex.split('\\').skip(1).map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase()
        });
        let mut commands =
            commands.filter(|command| UNSHOWN_TEX.iter().any(|unshown| command.contains(unshown)));
        let is_comment = tex.match_indices('%').any(|(at, _)| !tex[..at].ends_with('\\'));
        if is_comment || commands.next().is_some() {
            self.hidden.comments += 1;
            return;
        }
        let signs = if math.display_math { "$$" } else { "$" };
        self.mark(&format!("{signs}{tex}{signs}"));
    }

    fn image(&mut self, url: &str) {
        if !self.is_shown() {
            return;
        }
        match self.address(url) {
            Some(url) => {
                self.inline.push_str(&format!("![]({url})"));
                if url.starts_with("http") {
                    self.images.push(url);
                }
            }
            None => self.hidden.comments += 1,
        }
    }

    /// Ends a link.
    fn link(&mut self, url: &str) {
        let Some(start) = self.begun.pop().filter(|start| *start <= self.inline.len()) else { return };
        if !self.is_shown() {
            return;
        }
        let Some(url) = self.address(url) else {
            self.hidden.comments += 1;
            return;
        };
        let text = &self.inline[start..];
        let is_bare = url == text
            || url.strip_prefix("http://").is_some_and(|rest| rest == text)
            || url.strip_prefix("mailto:").is_some_and(|rest| rest == text);
        if is_bare {
            self.noted(url);
            return;
        }
        self.inline.insert(start, '[');
        self.inline.push_str(&format!("]({url})"));
        self.noted(url);
    }

    fn title(&mut self, title: &str) {
        if !title.is_empty() {
            self.hidden.comments += 1;
            self.titles.insert(title.to_owned());
        }
    }

    fn noted(&mut self, url: String) {
        // GitHub shows what was attached wherever its address stands.
        if url.starts_with("http") && url.contains("/user-attachments/assets/") {
            self.images.push(url.clone());
        }
        self.links.push(url);
    }

    /// An address as a reader sees it, where GitHub keeps it.
    fn address(&self, url: &str) -> Option<String> {
        let url = url.trim();
        let scheme =
            url.split(['/', '?', '#']).next().unwrap_or_default().split_once(':').map(|(scheme, _)| scheme);
        let is_kept =
            scheme.is_none_or(|scheme| SCHEMES.iter().any(|kept| scheme.eq_ignore_ascii_case(kept)));
        let fits = url.len() <= MAX_ADDRESS && !url.is_empty();
        (is_kept && fits).then(|| url.replace(char::is_whitespace, "%20"))
    }

    fn html(&mut self, html: &str) {
        for piece in html::pieces(html) {
            if self.is_over {
                return;
            }
            match piece {
                Piece::Text(text) => self.text(&html::unescaped(text)),
                Piece::Comment => self.hidden.comments += 1,
                Piece::Unended => {
                    self.hidden.comments += 1;
                    self.is_over = true;
                }
                Piece::Close(name) => self.close(&name),
                Piece::Open(tag) => self.open(&tag),
            }
        }
    }

    fn open(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        if let Some(unshown) = &mut self.unshown {
            unshown.inner += usize::from(unshown.name == name);
            return;
        }
        self.hidden.comments += tag.hidden_attributes() + usize::from(!tag.is_known());
        if tag.is_unshown() && !html::is_void(name) {
            self.hidden.comments += usize::from(tag.is_known());
            // One that is never closed says nothing about what follows.
            if self.closing.iter().any(|(known, left)| *known == key(name) && *left > 0) {
                // What stands before it and what follows do not become one word.
                if self.inline.ends_with(char::is_alphanumeric) {
                    self.text(" ");
                }
                self.unshown = Some(Unshown { name: name.to_owned(), inner: 0 });
            }
            return;
        }
        if html::is_block(name) || name == "br" {
            self.text("\n");
        }
        match name {
            "img" => self.image_of(tag),
            "a" => self.anchors.push(tag.attribute("href").map(|href| href.into_owned())),
            "li" => self.mark("- "),
            "del" | "s" | "strike" => self.mark("~~"),
            "sup" => self.mark("^"),
            "td" | "th" => self.mark(" "),
            "hr" => self.mark("---\n"),
            _ => {}
        }
    }

    fn image_of(&mut self, tag: &Tag<'_>) {
        if let Some(src) = tag.attribute("src") {
            self.image(&src);
        }
    }

    fn close(&mut self, name: &str) {
        self.hidden.comments += usize::from(self.unshown.is_none() && !html::is_known(name));
        if let Some((_, left)) = self.closing.iter_mut().find(|(known, _)| *known == key(name)) {
            *left = left.saturating_sub(1);
        }
        if let Some(unshown) = &mut self.unshown {
            match (unshown.name == name, unshown.inner) {
                (true, 0) => self.unshown = None,
                (true, _) => unshown.inner -= 1,
                (false, _) => {}
            }
            return;
        }
        match name {
            "a" => {
                if let Some(href) = self.anchors.pop().flatten() {
                    match self.address(&href) {
                        Some(href) => {
                            self.mark(&format!(" ({href})"));
                            self.noted(href);
                        }
                        None => self.hidden.comments += 1,
                    }
                }
            }
            "del" | "s" | "strike" => self.mark("~~"),
            name if html::is_block(name) => self.text("\n"),
            _ => {}
        }
    }

    /// Counts what the parser leaves no trace of: definitions of links that hold more than where a
    /// link leads, footnotes that nothing refers to, and cells beyond the columns of their table.
    fn count_traceless(&mut self, source: &str) {
        let shown: HashSet<&str> = self.out.lines().map(content).collect();
        let links: HashSet<&str> = self.links.iter().chain(&self.images).map(String::as_str).collect();
        let mut literal = self.literal_lines.iter().peekable();
        let mut rows = self.row_lines.iter().peekable();
        let mut lines = source.lines().enumerate().peekable();
        let mut found = 0;
        while let Some((at, line)) = lines.next() {
            while literal.next_if(|(_, last)| *last < at + 1).is_some() {}
            if literal.peek().is_some_and(|(first, _)| *first <= at + 1) {
                continue;
            }
            if let Some((_, columns)) = rows.next_if(|(row, _)| *row == at + 1) {
                found += usize::from(cells_of(line) > *columns);
            }
            let line = content(line);
            let Some((label, target)) = line.strip_prefix('[').and_then(|rest| rest.split_once("]:")) else {
                continue;
            };
            if let Some(name) = label.strip_prefix('^') {
                found += usize::from(!self.footnotes.contains(name) && !shown.contains(line));
                continue;
            }
            let (target, title) =
                target.trim().split_once(char::is_whitespace).unwrap_or((target.trim(), ""));
            let next = lines.peek().map(|(_, next)| content(next)).unwrap_or_default();
            let is_below = title.is_empty() && next.starts_with(['"', '\'', '(']);
            let title = if is_below { next } else { title };
            let title = title.trim().trim_matches(['"', '\'', '(', ')']);
            let is_counted = links.contains(target.trim_start_matches('<').trim_end_matches('>'))
                && (title.is_empty() || self.titles.contains(title) || (is_below && shown.contains(next)));
            found += usize::from(!shown.contains(line) && !is_counted);
        }
        self.hidden.comments += found;
    }
}

/// A line without the marks of lists and quotations before it.
fn content(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || c.is_ascii_digit() || ">-+*.)#|".contains(c))
        .trim_end()
}

/// How many cells a line of a table has.
fn cells_of(line: &str) -> usize {
    let row = line.trim_end();
    let row = row.trim_start_matches(|c: char| c.is_whitespace() || c == '>');
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row.strip_suffix('|').filter(|row| !row.ends_with('\\')).unwrap_or(row);
    1 + row.match_indices('|').filter(|(at, _)| !row[..*at].ends_with('\\')).count()
}

fn longest_run(code: &str) -> usize {
    code.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Names of elements that are counted one by one; all others are counted as one.
const COUNTED: [&str; 10] =
    ["script", "style", "template", "rp", "head", "noscript", "object", "svg", "math", "div"];

fn key(name: &str) -> &'static str {
    COUNTED.into_iter().find(|known| *known == name).unwrap_or("")
}

/// How many closing tags a text has, by name.
fn closing_tags(root: Node<'_>) -> Vec<(&'static str, usize)> {
    let mut closing: Vec<(&'static str, usize)> =
        COUNTED.into_iter().chain([""]).map(|name| (name, 0)).collect();
    for node in root.descendants() {
        let data = node.data();
        let html = match &data.value {
            NodeValue::HtmlBlock(html) => &html.literal,
            NodeValue::HtmlInline(html) => html,
            _ => continue,
        };
        for piece in html::pieces(html) {
            if let Piece::Close(name) = piece
                && let Some((_, count)) = closing.iter_mut().find(|(known, _)| *known == key(&name))
            {
                *count += 1;
            }
        }
    }
    closing
}

#[cfg(test)]
mod tests;
