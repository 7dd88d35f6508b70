//! Texts that are made to be slow, given to everything that reads what others write: what that
//! costs grows as the text does, and no faster. It is measured in the processor's time of one
//! thread, which other work on the machine does not change, and judged by how it grows from 64 KiB
//! to 1 MiB: sixteen times is linear, 256 times is quadratic.

use std::time::Duration;

use hob::command;
use hob::ids::{CommentId, IssueNumber, QuestionId, StoryId};
use hob::intake::reply::{read_edit, read_reply};
use hob::message;
use hob::prompt;
use hob::redact::Redactor;
use hob::story::{OverflowLinks, Question, QuestionComment};

const SMALL: usize = 64 << 10;
const LARGE: usize = 1 << 20;
/// Linear is 16; what is quadratic is far above this even where the small text costs next to
/// nothing.
const MAX_GROWTH: u32 = 64;
/// Below this a clock says nothing.
const MIN_TIME: Duration = Duration::from_millis(4);
/// What 1 MiB may cost in a program as it is released.
const MAX_COST: Duration = Duration::from_millis(100);

/// What is repeated up to the size; and what stands before and after.
const PATTERNS: &[(&str, &str, &str)] = &[
    ("", "a", ""),
    ("", "//", ""),
    ("", "www.", ""),
    ("", "http", ""),
    ("", "http://", ""),
    ("", "https://a/b/c", ""),
    ("", "![](https://a.b/c", ""),
    ("", "<img src=\"https://", ""),
    ("", "@a", ""),
    ("", "a@b.", ""),
    ("", "[", "]"),
    ("", "[a](", ""),
    ("", "](", ""),
    ("", "[a]: b\n", ""),
    ("", "[a][b] ", ""),
    ("", "![a](b \"", ""),
    ("", "`a", ""),
    ("", "` `` ", ""),
    ("", "```\n", ""),
    ("", "> ", "a"),
    ("", "> > - ", "a"),
    ("", "- a\n\n", ""),
    ("", "1. ", "a"),
    ("", "<", ""),
    ("", "<!--", ""),
    ("", "<!-- -->", ""),
    ("", "<a b=\"", ""),
    ("", "<script>", "</script>"),
    ("", "<div hidden>", ""),
    ("", "&", ""),
    ("", "&#8203;", ""),
    ("", "&eacute;", ""),
    ("", "*a **b ", ""),
    ("", "|a\n|-\n", ""),
    ("| a |\n|---|\n", "| b ", "|"),
    ("", "$a ", ""),
    ("", "fix-", "#3"),
    ("", "fixes ", ""),
    ("", "[^a]", "\n\n[^a]: b"),
    ("", "/hob work\n", ""),
    ("", "/hob work --agent codex ", ""),
    ("/hob work ", "\u{2014}agent codex ", ""),
    ("", "On 1.1.2026 10:00 a <b@c> wrote:\n", ""),
    ("", "From: a@b\n", ""),
    ("", "____________\n", ""),
    ("", "> - [ ] one\n", ""),
    ("", "1: a\n", ""),
    ("", "</issue", ""),
    ("", "<issue-1>", ""),
    ("", "\n", ""),
    ("", "\u{200b}", ""),
    ("", "s e c r e t ", ""),
    ("", "c2VjcmV0", ""),
    ("", "\\u0073", ""),
];

struct Reader {
    name: &'static str,
    read: fn(&str),
}

const READERS: &[Reader] = &[
    Reader { name: "visible", read: |text| drop(prompt::visible(text)) },
    Reader { name: "images", read: |text| drop(prompt::images(text)) },
    Reader { name: "references", read: |text| drop(prompt::references(text, "https://github.com")) },
    Reader { name: "message", read: |text| drop(prompt::message("alice", text)) },
    Reader { name: "fences", read: |text| drop(prompt::Fences::for_texts([text])) },
    Reader { name: "command", read: |text| drop(command::read(text, "hob-bot")) },
    Reader {
        name: "aside",
        read: |text| {
            command::is_aside(text, "hob-bot");
        },
    },
    Reader { name: "contain", read: |text| drop(message::contain(text, usize::MAX / 4)) },
    Reader { name: "contain_line", read: |text| drop(message::contain_line(text, usize::MAX / 4)) },
    Reader { name: "closing words", read: |text| drop(message::without_closing_words(text.as_bytes())) },
    Reader { name: "reply", read: |text| drop(read_reply(&asked(), text)) },
    Reader { name: "edit", read: |text| drop(read_edit(&asked(), text, text)) },
    Reader { name: "redact", read: |text| drop(Redactor::new(["secret-of-many-letters"]).redact(text)) },
];

fn asked() -> QuestionComment {
    let question = Question {
        text: "Which shape should it have?".to_owned(),
        options: vec!["one".to_owned(), "one array of all".to_owned()],
        ..Question::default()
    };
    QuestionComment {
        id: QuestionId::new(),
        story: StoryId::new(),
        kind: hob::story::QuestionKind::Agent,
        on: IssueNumber(1),
        comment: Some(CommentId(7)),
        answers: vec![None],
        question,
        is_open: true,
        deadline_at: None,
        rests: OverflowLinks::new(),
        draft_pull: None,
    }
}

fn text(pattern: &(&str, &str, &str), size: usize) -> String {
    let (before, repeated, after) = pattern;
    format!("{before}{}{after}", repeated.repeat(size / repeated.len()))
}

/// The processor's time that this thread has had.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the thread's own figures");
    let nanoseconds = stat.split(' ').next().expect("a figure");
    Duration::from_nanos(nanoseconds.parse().expect("a number"))
}

fn cost(read: fn(&str), text: &str) -> Duration {
    let before = spent();
    read(text);
    spent() - before
}

#[test]
fn no_text_costs_more_than_its_length() {
    let mut slow = Vec::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = READERS.iter().map(|reader| scope.spawn(|| slow_for(reader))).collect();
        all.into_iter().for_each(|found| slow.extend(found.join().expect("a thread")));
    });
    assert!(slow.is_empty(), "{slow:#?}");
}

fn slow_for(reader: &Reader) -> Vec<String> {
    let mut slow = Vec::new();
    for pattern in PATTERNS {
        let small = cost(reader.read, &text(pattern, SMALL));
        let large = cost(reader.read, &text(pattern, LARGE));
        let is_quick = cfg!(debug_assertions) || large <= MAX_COST;
        if large > small.max(MIN_TIME) * MAX_GROWTH || !is_quick {
            slow.push(format!("{} of {:?}: {small:?}, then {large:?}", reader.name, pattern.1));
        }
    }
    slow
}
