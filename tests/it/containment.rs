//! What agents write, hostile and by chance, put into everything that hob says with an agent's
//! words in it, and rendered as GitHub renders it: nobody is mentioned, nothing is closed or linked
//! elsewhere, there is no image and no HTML beyond hob's own, and hob's own words around it stand
//! as they always do.
//!
//! `HOB_CONTAINMENT=N` tries so many texts instead of 10,000, and `HOB_CONTAINMENT_SEED=N` others.

#[path = "containment/hostile.rs"]
mod hostile;
#[path = "containment/rendered.rs"]
mod rendered;

use std::io::Write as _;

use hob::agent::{FailureClass, Signal, TodoItem, TodoState};
use hob::command::CommandError;
use hob::ids::{AgentKind, CommentId, IssueNumber, PullNumber, QuestionId, StoryId};
use hob::message::review::{Answered, AnsweredReview};
use hob::message::{
    self, FailureText, FollowUp, PartLimits, Phase, PullRequestText, Refusal, SavedWork, Spent, StatusText,
};
use hob::story::checks::{CheckEnd, CheckResult, Checked};
use hob::story::{
    Answer, AskedQuestion, OverflowLinks, Question, QuestionComment, QuestionKind, SelectedAnswer,
    StopReason, TaskKind,
};

use rendered::{Rendered, skeleton};

/// A word that stands where the agent's text will, and nowhere in hob's own.
const HARMLESS: &str = "harmless";

/// A function of `message` with an agent's, or anybody's, text in it.
struct Place {
    name: &'static str,
    /// The text has one line there, and makes no block.
    one_line: bool,
    say: fn(&str) -> String,
}

/// Everything that hob says with somebody else's words in it. A new such message gets a line here.
const PLACES: &[Place] = &[
    Place { name: "question", one_line: false, say: |text| ask(text, "?", &[]) },
    Place { name: "question's context", one_line: false, say: |text| ask("Which?", text, &["a", "b"]) },
    Place { name: "question's option", one_line: true, say: |text| ask("Which?", "", &["a", text, "b"]) },
    Place { name: "all of a question", one_line: false, say: |text| ask(text, text, &[text, text]) },
    Place { name: "two questions", one_line: false, say: |text| ask_both(text, text) },
    Place { name: "a default", one_line: true, say: by_default },
    Place {
        name: "an answer on the card",
        one_line: true,
        say: |text| card(question("Which?", "", &["a", "b"]), Some(by_alice(text))),
    },
    Place {
        name: "answered_before",
        one_line: true,
        say: |text| message::card::answered_before("bob", &by_alice(text), None),
    },
    Place { name: "a plan", one_line: false, say: plan },
    Place {
        name: "a command that is none",
        one_line: true,
        say: |text| misunderstood(&CommandError::UnknownCommand(format!("dance {text}"))),
    },
    Place {
        name: "a line that is no command",
        one_line: true,
        say: |text| misunderstood(&CommandError::Unclear { written: text.to_owned(), meant: "stop" }),
    },
    Place {
        name: "a command in a quotation",
        one_line: true,
        say: |text| misunderstood(&CommandError::Quoted(text.to_owned())),
    },
    Place {
        name: "a command that is not carried out",
        one_line: true,
        say: |text| message::only_the_first(&[text.to_owned()]),
    },
    Place {
        name: "an option that is none",
        one_line: true,
        say: |text| {
            misunderstood(&CommandError::UnknownOption { command: "work", option: format!("--dance {text}") })
        },
    },
    Place { name: "an option's value", one_line: true, say: bad_value },
    Place {
        name: "base_stays",
        one_line: true,
        say: |text| message::base_stays(PullNumber(5), "main", text),
    },
    Place { name: "pull_request_title", one_line: true, say: message::pull_request_title },
    Place { name: "pull_request_body", one_line: false, say: |text| pull_request(Some(text), &[], &[]) },
    Place {
        name: "what was done later, in it",
        one_line: false,
        say: |text| pull_request_with(None, &[later(text), later(text)], &[], &[]),
    },
    Place { name: "a question in it", one_line: true, say: |text| pull_request(None, &[(text, "b")], &[]) },
    Place { name: "an answer in it", one_line: true, say: |text| pull_request(None, &[("a?", text)], &[]) },
    Place { name: "a file in it", one_line: true, say: |text| pull_request(None, &[], &[text]) },
    Place {
        name: "nothing_to_change",
        one_line: false,
        say: |text| message::nothing_to_change(Some(text), Spent::default()),
    },
    Place { name: "failed", one_line: false, say: |text| failed(text, &[]) },
    Place { name: "a file that was left", one_line: true, say: |text| failed("", &[text.to_owned()]) },
    Place {
        name: "stopped",
        one_line: false,
        say: |text| message::stopped(&StopReason::WaitedTooLong, &not_pushed(text), Spent::default()),
    },
    Place { name: "put_away", one_line: false, say: |text| message::put_away(&not_pushed(text)) },
    Place { name: "an answer in a thread", one_line: false, say: in_thread },
    Place { name: "an answer to a review", one_line: false, say: |text| to_review("a", text) },
    Place { name: "what it answers", one_line: true, say: |text| to_review(text, "a") },
    Place {
        name: "paths that stay out of the commits",
        one_line: true,
        say: |text| message::left_behind(&[text.to_owned()], &[text.to_owned()], false).join(" "),
    },
    Place {
        name: "why GitHub does not take a pull request",
        one_line: true,
        say: |text| message::pull_refused(&Refusal::Other(text.to_owned()), "hob/issue-1", "main"),
    },
    Place {
        name: "a question that GitHub does not take",
        one_line: false,
        say: |text| message::question_refused(&Refusal::Locked, &question(text, "", &[])),
    },
    Place { name: "status, said", one_line: true, say: |text| status(Some(text), "a") },
    Place { name: "check run, log", one_line: true, say: |text| check_run("a", text) },
    Place { name: "check run, what a check printed", one_line: false, say: |text| check_run(text, "a") },
    Place { name: "status, to do", one_line: true, say: |text| status(Some("a"), text) },
    Place { name: "the first part of a text", one_line: false, say: |text| part_of(text, 0) },
    Place { name: "the rest of a text", one_line: false, say: |text| part_of(text, 1) },
];

/// A part of a text that is cut in the middle; of one that has no such part, the whole.
fn part_of(text: &str, nth: usize) -> String {
    let half = text.chars().count() / 2;
    let sizes = PartLimits { first: half.max(HARMLESS.len()), more: 10_000, parts: 2 };
    let parts = message::contain_in_parts(text, sizes);
    message::rest_comment(parts.get(nth).unwrap_or(&parts[0]), 2, 2)
}

fn in_thread(text: &str) -> String {
    message::review::thread_reply(Answered { reply: Some(text), commit: None, applied: None })
}

fn to_review(said: &str, reply: &str) -> String {
    let one = |by| AnsweredReview { by, said, reply: Some(reply) };
    message::review::whole_replies(&[one("alice"), one("bob")], None)
}

fn status(said: Option<&str>, todo: &str) -> String {
    message::status(&StatusText {
        phase: Phase::Working,
        web: "https://github.com/acme/tool",
        issue: 1,
        asked_on: 1,
        agent: Some(AgentKind::Claude),
        took: Spent::default(),
        cap_usd: None,
        said,
        todo: &[TodoItem { text: todo.to_owned(), state: TodoState::Pending }],
        branch: None,
        draft: None,
        pull: None,
        pull_over: None,
        run: None,
        log: None,
        told: &[],
        heard: &[],
        sub_issues: &[],
        can_be_retried: false,
        queued_behind: 0,
        over: &[],
        refused: &[],
    })
}

fn check_run(output: &str, said: &str) -> String {
    let result = CheckResult {
        command: "make test".to_owned(),
        end: CheckEnd::Exited(1),
        duration_ms: 1,
        output: format!("it says:\n{output}"),
        refused: Vec::new(),
    };
    let checked = Checked {
        tip: "0123456789abcdef0123456789abcdef01234567".parse().expect("a commit"),
        image: "image".to_owned(),
        image_id: "sha256:1".to_owned(),
        network: false,
        hosts: Vec::new(),
        results: vec![result],
    };
    let log = [Signal::Says(format!("it says: {said}"))];
    message::check_run_text(Some(&checked), &log).expect("there is something to say")
}

fn question(text: &str, context: &str, options: &[&str]) -> Question {
    Question {
        text: text.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        context: Some(context.to_owned()),
        ..Question::default()
    }
}

fn ask(text: &str, context: &str, options: &[&str]) -> String {
    card(question(text, context, options), None)
}

/// Two questions in one card.
fn ask_both(first: &str, second: &str) -> String {
    card(Question { also: vec![question(second, second, &["c"])], ..question(first, first, &["a"]) }, None)
}

fn by_default(default: &str) -> String {
    card(Question { default: Some(default.to_owned()), ..question("Which?", "", &["a", "b"]) }, None)
}

/// The card, answered where there is an answer.
fn card(question: Question, answer: Option<Answer>) -> String {
    let given = answer.map(|answer| SelectedAnswer { answer, shown_at: None });
    message::card::card(&QuestionComment {
        id: "01a20ba9-548f-767a-8884-d8d02bdb13df".parse().expect("an id"),
        story: StoryId::new(),
        kind: QuestionKind::Agent,
        on: IssueNumber(1),
        comment: Some(CommentId(7)),
        is_open: given.is_none(),
        answers: vec![given; question.count()],
        question,
        draft_pull: None,
        deadline_at: Some("2026-11-30T09:00:00Z".parse().expect("a time")),
        rests: OverflowLinks::new(),
    })
}

fn by_alice(text: &str) -> Answer {
    Answer { text: text.to_owned(), by: "alice".to_owned() }
}

fn plan(text: &str) -> String {
    // Of a plan without words other things are said.
    card(message::may_this_be_done(Some(&format!("First:\n\n{text}"))), None)
}

fn misunderstood(mistake: &CommandError) -> String {
    message::misunderstood(mistake, &[AgentKind::Claude])
}

fn bad_value(value: &str) -> String {
    misunderstood(&CommandError::BadValue { option: "--model", value: value.to_owned() })
}

fn pull_request(summary: Option<&str>, answered: &[(&str, &str)], drops: &[&str]) -> String {
    pull_request_with(summary, &[], answered, drops)
}

/// What was done on a pull request after it was opened.
fn later(text: &str) -> FollowUp {
    FollowUp { about: TaskKind::Issue, by: "who-asked".to_owned(), summary: text.to_owned() }
}

fn pull_request_with(
    summary: Option<&str>,
    later: &[FollowUp],
    answered: &[(&str, &str)],
    drops: &[&str],
) -> String {
    let questions: Vec<AskedQuestion> = answered
        .iter()
        .map(|(text, answer)| AskedQuestion {
            kind: QuestionKind::Agent,
            id: QuestionId::new(),
            question: Question { text: (*text).to_owned(), ..Question::default() },
            asked_on: None,
            comment: None,
            answer: Some(by_alice(answer)),
        })
        .collect();
    message::pull_request_body(&PullRequestText {
        checked: None,
        notable: &[],
        model: None,
        template: None,
        to_default_branch: true,
        follows: None,
        closes: &[IssueNumber(4711)],
        asked_by: "who-asked",
        summary,
        unfinished: None,
        later,
        agent: AgentKind::Claude,
        spent: Spent::default(),
        questions: &questions,
        drops: &drops.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
    })
}

fn failed(detail: &str, uncommitted: &[String]) -> String {
    let class = FailureClass::LeftUncommitted;
    message::failed(&FailureText {
        class,
        detail,
        has_worked: true,
        for_requester: false,
        uncommitted,
        took: Spent::default(),
    })
}

fn not_pushed(detail: &str) -> SavedWork {
    SavedWork::NotPushed { class: FailureClass::HandOverRefused, detail: detail.to_owned() }
}

impl Place {
    /// What is wrong with how a text came out there.
    fn fault(&self, text: &str, usual: &Usual) -> Option<String> {
        let said = (self.say)(text);
        let found = Rendered::of(&said);
        let same = [
            ("mentions", &found.mentions, &usual.rendered.mentions),
            ("closes", &found.closed, &usual.rendered.closed),
            ("links elsewhere", &found.elsewhere, &usual.rendered.elsewhere),
            ("images", &found.images, &usual.rendered.images),
            ("HTML", &found.html, &usual.rendered.html),
        ];
        if let Some((what, found, usual)) = same.into_iter().find(|(_, found, usual)| found != usual) {
            return Some(format!("{what}: {found:?} where {usual:?} is usual"));
        }
        let blocks = &found.blocks;
        if usual.before.len() + usual.after.len() > blocks.len()
            || !blocks.starts_with(&usual.before)
            || !blocks.ends_with(&usual.after)
        {
            return Some(format!("hob's own words do not stand as usual: {:#?}", usual.after));
        }
        if self.one_line && !message::contain_line(text, 100).is_empty() && skeleton(&said) != usual.skeleton
        {
            return Some(format!("other blocks than usual: {:?}, not {:?}", skeleton(&said), usual.skeleton));
        }
        (markers(&said) != usual.markers).then(|| "a marker of hob's".to_owned())
    }
}

/// What a place looks like with a harmless text in it.
struct Usual {
    rendered: Rendered,
    before: Vec<String>,
    after: Vec<String>,
    skeleton: Vec<String>,
    markers: usize,
}

fn markers(said: &str) -> usize {
    said.matches("<!-- hob:").count()
}

impl Usual {
    fn of(place: &Place) -> Usual {
        let said = (place.say)(HARMLESS);
        let rendered = Rendered::of(&said);
        let holds: Vec<bool> = rendered.blocks.iter().map(|block| block.contains(HARMLESS)).collect();
        let first = holds.iter().position(|holds| *holds).unwrap_or_else(|| panic!("{}: {said}", place.name));
        let last = holds.iter().rposition(|holds| *holds).expect("a last one");
        let (before, after) = (rendered.blocks[..first].to_vec(), rendered.blocks[last + 1..].to_vec());
        Usual { before, after, skeleton: skeleton(&said), markers: markers(&said), rendered }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Tries texts by their numbers; tells how many of them would do harm as they are. Fails on the
/// first that does.
fn harmful(seed: u64, numbers: impl Iterator<Item = u64>) -> u64 {
    let usual: Vec<Usual> = PLACES.iter().map(Usual::of).collect();
    let mut unlike = 0;
    for number in numbers {
        let text = hostile::text(&mut fastrand::Rng::with_seed(seed << 32 | number));
        unlike += u64::from(Rendered::of(&text).does_harm());
        for (place, usual) in PLACES.iter().zip(&usual) {
            if let Some(fault) = place.fault(&text, usual) {
                let (name, said) = (place.name, (place.say)(&text));
                panic!("{name}, text {number}: {fault}\n--- text\n{text}\n--- said\n{said}");
            }
        }
    }
    unlike
}

#[test]
fn of_ten_thousand_hostile_texts_none_mentions_closes_shows_or_opens_anything() {
    let (count, seed) = (number("HOB_CONTAINMENT", 10_000), number("HOB_CONTAINMENT_SEED", 1));
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let unlike: u64 = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || harmful(seed, (worker..count).step_by(workers as usize))))
            .collect();
        tries.into_iter().map(|tries| tries.join().expect("all is contained")).sum()
    });
    // Texts that could do no harm would prove nothing.
    assert!(unlike * 2 > count, "only {unlike} of {count} texts would do harm as they are");
    let words = format!("{count} texts, {unlike} of them harmful as they are, in {} places\n", PLACES.len());
    std::io::stderr().write_all(words.as_bytes()).expect("standard error");
}

/// The other way round: what people wrote and an agent is given.
#[test]
fn every_word_that_an_agent_is_given_is_in_the_rendering() {
    let (count, seed) = (number("HOB_CONTAINMENT", 10_000), number("HOB_CONTAINMENT_SEED", 1));
    let words = |text: &str| -> Vec<String> {
        let all = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        // Who shows items and footnotes numbers them.
        all.filter(|word| !word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
    };
    let mut hidden = 0;
    for number in 0..count {
        let text = hostile::text(&mut fastrand::Rng::with_seed(seed << 32 | number));
        let (given, found) = hob::prompt::visible(&text);
        hidden += u64::from(!found.is_none());
        let seen = rendered::text_of(&text);
        // White space in an address is escaped, also such as has no shape.
        let spaced = hob::markdown::without_shapeless(&seen.replace(char::is_whitespace, "%20")).0;
        let seen = hob::markdown::without_shapeless(&seen).0;
        let joined = seen.replace(' ', "");
        // A box that is ticked is a sign, no word.
        for word in words(&given.replace("[x] ", "")) {
            let is_seen = [&seen, &spaced, &joined].iter().any(|seen| seen.contains(&word));
            assert!(
                is_seen,
                "text {number}: {word:?}\n--- text\n{text}\n--- given\n{given}\n--- seen\n{seen}"
            );
        }
    }
    assert!(hidden * 2 > count, "only {hidden} of {count} texts hide something");
}

#[test]
fn an_ordinary_summary_stays_readable() {
    let summary = "Adds `--json` to `tool list`, see #12.\n\n## What changed\n\n\
        - `src/list.rs`: new `Format` enum, `Vec<Item>` is written with `serde_json`\n\
        - tests for `a | b` and *empty* lists\n  - nested: 3 < 4 && 5 > 2\n\n\
        1. Build:\n   ```sh\n   cargo build --release && echo \"<done>\"\n   ```\n2. Try it.\n\n\
        | case | before | after |\n|---|---|---|\n| `tool list` | text | text |\n| `--json` | – | ~~array~~ lines |\n\n\
        > **Note:** [the docs](https://docs.example/json#lines \"JSON lines\") say so, and \
        https://github.com/acme/tool/issues/7 asked for it.\n\n\
        ```rust\nfn main() { println!(\"{:?} @bob <b>\", 1); }\n```\n\nFixes #12. Thanks to @bob!";
    // The invisible character is shown here, so that one sees where it is.
    let body = pull_request(Some(summary), &[("Which shape?", "lines")], &["report.txt"]);
    insta::assert_snapshot!(body.replace('\u{2060}', "⁞"));
}
