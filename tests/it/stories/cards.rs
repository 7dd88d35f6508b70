//! Question cards: answered by a tick, a number, a quotation or in words, part by part, by those
//! who may, once; edited to say who answered what; and what happens while nobody answers.

use std::time::Duration;

use hob::config::{Age, Config, WhoAnswers};
use hob::ids::{AgentKind, IssueNumber};
use hob::story::QuestionComment;

use crate::world::github::{Comment, Fault};
use crate::world::{REPO, World};

/// Two questions in one card.
const TWO: &str = r#"{"questions": [
    {"question": "Which shape?", "options": ["lines", "array"], "context": "Both are easy."},
    {"question": "A short form?", "options": ["-j", "no"]}
]}"#;

/// A hob whose agent asks this and commits what it is answered.
async fn asking(question: &str, change: impl FnOnce(&mut Config)) -> World {
    let script = format!(
        "set -eu\nif ! grep -q '<reply>' /hob/prompt.md; then cat >/hob/question.json <<'JSON'\n{question}\nJSON\nexit 0\nfi\n\
         sed -n '/<reply>/,/<\\/reply>/p' /hob/prompt.md | sed '/reply>/d' >answer.txt\n\
         git add answer.txt\ngit commit -q -m Answer\necho Done. >/hob/summary.md\n"
    );
    World::with(|config| {
        config.agent.kind = AgentKind::Command;
        config.agent.command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
        change(config);
    })
    .await
}

/// Asks for work, and waits for the question.
async fn asked(w: &World) -> (u64, Comment) {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await;
    w.quiet().await;
    (issue, card)
}

/// Waits until the card reads like this.
async fn reads(w: &World, card: &Comment, what: &str) -> String {
    let look = |github: &crate::world::github::GitHub| {
        let text = github.comment_text(REPO, card.id);
        text.contains(what).then_some(text)
    };
    w.until(&format!("the card to say {what:?}"), look).await
}

/// The answer as the agent has written it down, and the end of the task read.
async fn answer(w: &World, issue: u64) -> String {
    let pull = w.next_pull_request().await;
    let done = w.next_comment(issue).await;
    assert!(done.body.starts_with("Done: #"), "{}", done.body);
    w.github.file_at(REPO, &pull.head, "answer.txt").expect("the agent's file").trim().to_owned()
}

async fn stored(w: &World, issue: u64) -> QuestionComment {
    let story = w.store().story_at(&REPO.parse().unwrap(), IssueNumber(issue)).await.unwrap();
    w.store().cards_of(story.expect("a story").id).await.unwrap().pop().expect("a card")
}

const SHAPE: &str = r#"{"question": "Which shape?", "options": ["lines", "array"]}"#;

#[tokio::test]
async fn a_tick_answers_and_the_card_says_who_chose_what() {
    let w = World::start().await;
    let (issue, card) = asked(&w).await;
    assert!(card.body.contains("- [ ] one object per line\n- [ ] one array"), "{}", card.body);
    let tick = w.bob().ticks(card.id, "one array").await;
    let text = reads(&w, &card, "**bob:** one array").await;
    assert!(text.starts_with("**Answered; I go on.**"), "{text}");
    assert!(text.contains("- [ ] one object per line\n- [x] one array"), "{text}");
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("one array") && file.contains("session: resumed, workspace: kept"), "{file}");
    assert!(pull.body.contains("**bob:** one array"), "{}", pull.body);
    w.next_comment(issue).await;

    // The same delivery again, and an edit of the card that is done with, change nothing.
    assert_eq!(w.github.redeliver(&tick).await, 200, "it is known");
    w.bob().ticks(card.id, "one object per line").await;
    w.quiet().await;
    assert_eq!(w.github.comment_text(REPO, card.id), text);
    assert_eq!(w.said(issue).len(), 2, "nothing more is said");
    w.finish().await;
}

#[tokio::test]
async fn an_option_is_picked_by_number_letter_quotation_and_its_words() {
    for reply in ["2", "B", "2.", "Array", "> - [ ] array", "> array\n"] {
        let w = asking(SHAPE, |_| {}).await;
        let (issue, card) = asked(&w).await;
        w.alice().comments(issue, reply).await;
        assert_eq!(answer(&w, issue).await, "array", "{reply:?}");
        let text = reads(&w, &card, "**alice:** array").await;
        assert!(text.contains("- [ ] lines\n- [x] array"), "{text}");
        w.finish().await;
    }
}

#[tokio::test]
async fn of_an_answer_by_mail_the_card_below_is_no_answer_whatever_stands_before_it() {
    let w = asking(TWO, |_| {}).await;
    let (issue, card) = asked(&w).await;
    let below = card.body.split("<!--").next().unwrap_or_default().replace('\n', "\r\n");
    let head = "Von: hob-bot <notifications@example.com>\r\nGesendet: Montag, 30. November 2026 10:00\r\nAn: acme/tool";
    w.bob().comments(issue, &format!("1: B\r\n\r\n{head}\r\n\r\n{below}")).await;
    let text = reads(&w, &card, "**bob:** array").await;
    assert!(text.contains("1 of them open"), "{text}");
    w.alice().comments(issue, &format!("no\r\n\r\n-- \r\nAlice\r\n\r\n{below}")).await;
    reads(&w, &card, "**alice:** no").await;
    assert_eq!(answer(&w, issue).await, "1. array\n2. no");
    w.finish().await;
}

#[tokio::test]
async fn who_quotes_the_card_is_answered_by_their_own_words() {
    let w = asking(SHAPE, |_| {}).await;
    let (issue, card) = asked(&w).await;
    let quoted: String = card.body.lines().map(|line| format!("> {line}\n")).collect();
    w.alice().comments(issue, &format!("{quoted}\nlines, but @bob sorts them")).await;
    assert_eq!(answer(&w, issue).await, "lines, but @bob sorts them");
    let text = reads(&w, &card, "**alice:** lines, but").await;
    assert!(text.contains("- [ ] lines\n- [ ] array") && !text.contains("@bob"), "{text}");
    w.finish().await;
}

#[tokio::test]
async fn several_questions_are_answered_in_any_order_by_several_people() {
    let w = asking(TWO, |_| {}).await;
    let (issue, card) = asked(&w).await;
    assert!(card.body.starts_with("**I have 2 questions"), "{}", card.body);
    w.bob().ticks(card.id, "-j").await;
    let text = reads(&w, &card, "**bob:** -j").await;
    assert!(text.contains("1 of them open"), "{text}");
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty(), "one is open");
    w.alice().comments(issue, "1: lines, with a header").await;
    assert_eq!(answer(&w, issue).await, "1. lines, with a header\n2. -j");
    let text = reads(&w, &card, "**alice:** lines, with a header").await;
    assert!(text.starts_with("**Answered; I go on.**") && text.contains("- [x] -j"), "{text}");
    w.finish().await;
}

#[tokio::test]
async fn a_reply_answers_all_that_are_open_and_two_ticks_in_a_row_are_both_heard() {
    let w = asking(TWO, |_| {}).await;
    let (issue, card) = asked(&w).await;
    w.alice().comments(issue, "1. B\n2. as you like").await;
    assert_eq!(answer(&w, issue).await, "1. array\n2. as you like");
    reads(&w, &card, "**alice:** as you like").await;
    w.finish().await;

    let w = asking(TWO, |_| {}).await;
    let (issue, card) = asked(&w).await;
    // The second before hob has shown the first.
    w.github.fault("PATCH", "/issues/comments/", Fault::Delay(Duration::from_secs(1)), 1);
    w.alice().ticks(card.id, "lines").await;
    w.bob().ticks(card.id, "no").await;
    assert_eq!(answer(&w, issue).await, "1. lines\n2. no");
    let text = reads(&w, &card, "**bob:** no").await;
    assert!(text.contains("**alice:** lines"), "{text}");
    w.finish().await;
}

#[tokio::test]
async fn who_may_not_answer_changes_nothing_by_tick_or_words_and_the_card_is_put_back() {
    let w = World::start().await;
    let (issue, card) = asked(&w).await;
    // GitHub lets neither edit the comment; if ever it did, it would count for nothing.
    for person in [w.mallory(), w.tina()] {
        person.ticks(card.id, "one array").await;
        reads(&w, &card, "- [ ] one array").await;
        person.comments(issue, "one array").await;
    }
    w.quiet().await;
    assert_eq!(w.github.comment_text(REPO, card.id), card.body);
    assert!(w.github.pulls(REPO).is_empty() && stored(&w, issue).await.is_open);

    // Nor does an edit of other words, or of the options, no matter who does it.
    for text in [
        card.body.replace("Which shape", "Which form"),
        card.body.replace("- [ ] one array", "- [x] one banana"),
        "Nothing to see here.".to_owned(),
    ] {
        w.bob().rewrites(card.id, &text).await;
        w.until("the card to be put back", |github| {
            (github.comment_text(REPO, card.id) == card.body).then_some(())
        })
        .await;
    }
    w.quiet().await;
    assert!(stored(&w, issue).await.is_open);
    w.bob().ticks(card.id, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_edited_comment_that_is_no_card_triggers_nothing() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    let comment = w.alice().comments(issue, "hello").await;
    w.alice().rewrites(comment, "/hob work").await;
    w.quiet().await;
    assert!(w.said(issue).is_empty() && w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn of_two_answers_the_first_wins_and_the_second_is_told() {
    let w = asking(SHAPE, |_| {}).await;
    let (issue, card) = asked(&w).await;
    // The card shows the first only after the second was given.
    w.github.fault("PATCH", "/issues/comments/", Fault::Delay(Duration::from_secs(2)), 1);
    w.alice().ticks(card.id, "array").await;
    w.bob().comments(issue, "lines").await;
    let told = w.next_comment(issue).await.body;
    assert!(told.starts_with("bob: alice had answered before you: array"), "{told}");
    assert!(!told.contains('@'), "nobody is pinged: {told}");
    assert_eq!(answer(&w, issue).await, "array");
    reads(&w, &card, "**alice:** array").await;
    // Later words are about something else.
    w.bob().comments(issue, "Thank you both.").await;
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn at_its_deadline_a_question_is_answered_by_its_default() {
    let question =
        r#"{"question": "Which shape?", "options": ["lines", "array"], "default": "B", "deadline": "3s"}"#;
    let w = asking(question, |_| {}).await;
    let (issue, card) = asked(&w).await;
    assert!(
        card.body.contains("If nobody answers by ") && card.body.contains("I take **array**."),
        "{}",
        card.body
    );
    let deadline = stored(&w, issue).await.deadline_at.expect("a deadline");
    let text = reads(&w, &card, "**Nobody answered by ").await;
    assert!(jiff::Timestamp::now() >= deadline, "not before");
    assert!(text.contains("so I took:** array") && text.contains("- [x] array"), "{text}");
    assert_eq!(answer(&w, issue).await, "array");
    w.finish().await;
}

#[tokio::test]
async fn an_answer_before_the_deadline_counts_and_the_default_is_forgotten() {
    let question = r#"{"question": "Which shape?", "options": ["lines", "array"], "default": "array"}"#;
    let w = asking(question, |config| config.questions.deadline = Some(Age(Duration::from_secs(4)))).await;
    let (issue, card) = asked(&w).await;
    assert!(card.body.contains("I take **array**."), "the settings' deadline: {}", card.body);
    let deadline = stored(&w, issue).await.deadline_at.expect("a deadline");
    w.bob().ticks(card.id, "lines").await;
    assert_eq!(answer(&w, issue).await, "lines");
    w.eventually("the deadline to pass", async || (jiff::Timestamp::now() > deadline).then_some(())).await;
    let text = reads(&w, &card, "**bob:** lines").await;
    assert!(!text.contains("Nobody"), "{text}");
    w.finish().await;
}

#[tokio::test]
async fn a_deadline_of_a_day_is_kept_by_the_clock_also_over_a_restart() {
    let w = World::prepare(|_| {}).await;
    let shift = w.folder().join("clock-shift");
    std::fs::write(&shift, "0").unwrap();
    let clock = [("HOB_CLOCK_SHIFT", shift.to_str().unwrap())];
    let hob = w.start_program_with(&clock).await;
    let with_deadline = async |deadline: &str| {
        let question = format!(
            r#"{{"question": "Which?", "options": ["a", "b"], "default": "b", "deadline": "{deadline}"}}"#
        );
        let body = format!("[scenario: script]\n```sh\necho '{question}' >/hob/question.json\n```");
        let issue = w.alice().opens_issue("Some work", &body).await;
        w.alice().labels(issue, "hob").await;
        issue
    };
    let issue = with_deadline("1d").await;
    let card = w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    // An hour before the deadline nothing is taken, by a hob that was started then.
    std::fs::write(&shift, (23 * 3600).to_string()).unwrap();
    let hob = w.start_program_with(&clock).await;
    // Another's deadline passes, so it has looked.
    let other = with_deadline("1s").await;
    let soon = w.next_comment(other).await;
    reads(&w, &soon, "so I took:** b").await;
    assert!(w.next_comment(other).await.body.starts_with("**Nothing to change.**"));
    assert_eq!(w.github.comment_text(REPO, card.id), card.body);
    std::fs::write(&shift, (24 * 3600 + 61).to_string()).unwrap();
    reads(&w, &card, "so I took:** b").await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn people_are_reminded_once() {
    let w = asking(SHAPE, |config| {
        config.questions.remind = Some(Age(Duration::from_secs(1)));
        config.work.sweep = Duration::from_millis(200);
    })
    .await;
    let issue = w.alice().opens_issue("Add a --json flag", "").await;
    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await;
    let reminder = w.next_comment(issue).await.body;
    assert!(
        reminder
            .starts_with(&format!("I still wait for an answer to [my question](#issuecomment-{})", card.id))
    );
    // Another story is reminded of its question, so hob has looked again.
    let other = w.alice().opens_issue("Add a --csv flag", "").await;
    w.alice().labels(other, "hob").await;
    w.next_comment(other).await;
    assert!(w.next_comment(other).await.body.starts_with("I still wait"));
    assert_eq!(w.said(issue).len(), 2, "once");
    w.alice().comments(other, "/hob stop").await;
    w.next_comment(other).await;
    w.alice().comments(issue, "1").await;
    assert_eq!(answer(&w, issue).await, "lines");
    w.finish().await;
}

#[tokio::test]
async fn a_question_from_the_pull_request_is_asked_there_and_answered_on_either_place() {
    for on_pull in [true, false] {
        let w = World::start().await;
        let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
        w.alice().labels(issue, "hob").await;
        let pull = w.next_pull_request().await;
        w.next_comment(issue).await;
        w.alice().comments(pull.number, "/hob work and describe it [scenario: ask]").await;
        let card = w.next_comment(pull.number).await;
        assert!(card.body.starts_with("**I have a question"), "{}", card.body);
        if on_pull {
            w.bob().ticks(card.id, "one array").await;
        } else {
            w.bob().comments(issue, "one array").await;
        }
        reads(&w, &card, "**bob:** one array").await;
        let pull = w.next_pull_request().await;
        assert!(pull.body.contains("**bob:** one array"), "{}", pull.body);
        w.next_comment(issue).await;
        w.finish().await;
    }
}

#[tokio::test]
async fn a_restart_between_the_tick_and_the_cards_edit_loses_neither() {
    for fault in [Fault::Status(502, vec![]), Fault::AnswerLost] {
        let mut w = World::start().await;
        let (issue, card) = asked(&w).await;
        w.github.fault("PATCH", "/issues/comments/", fault, 1);
        w.bob().ticks(card.id, "one array").await;
        w.until("hob to try to edit the card", |github| {
            github.requests().iter().any(|request| request.method == "PATCH").then_some(())
        })
        .await;
        w.stop_hob().await;
        w.start_hob().await;
        reads(&w, &card, "**bob:** one array").await;
        w.next_pull_request().await;
        w.next_comment(issue).await;
        assert_eq!(w.said(issue).len(), 2, "one card, one end");
        w.finish().await;
    }
}

#[tokio::test]
async fn a_stopped_question_says_that_it_needs_no_answer() {
    let w = World::start().await;
    let (issue, card) = asked(&w).await;
    w.bob().comments(issue, "/hob stop").await;
    let text = reads(&w, &card, "**This needs no answer any more.**").await;
    w.next_comment(issue).await;
    w.alice().ticks(card.id, "one array").await;
    w.until("the tick to be undone", |github| (github.comment_text(REPO, card.id) == text).then_some(()))
        .await;
    w.quiet().await;
    // What the stop brought to the branch is shown as a draft. The tick started nothing that would
    // finish it.
    let drafts: Vec<bool> = w.github.pulls(REPO).iter().map(|pull| pull.draft).collect();
    assert_eq!(drafts, [true]);
    w.finish().await;
}

#[tokio::test]
async fn a_tick_lets_a_protected_path_through() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a workflow", "[scenario: workflow]").await;
    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await;
    w.quiet().await;
    w.alice().ticks(card.id, "Push it anyway").await;
    reads(&w, &card, "**alice:** Push it anyway").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn who_may_answer_can_be_narrowed() {
    for who in [WhoAnswers::Maintain, WhoAnswers::Admin, WhoAnswers::Asker] {
        let w = asking(SHAPE, |config| config.questions.who = who).await;
        let role = if who == WhoAnswers::Admin { "admin" } else { "maintain" };
        w.github.set_permission(REPO, "alice", role);
        let (issue, card) = asked(&w).await;
        w.bob().ticks(card.id, "array").await;
        reads(&w, &card, "- [ ] array").await;
        w.bob().comments(issue, "array").await;
        w.quiet().await;
        assert!(stored(&w, issue).await.is_open, "{who:?}");
        w.alice().ticks(card.id, "lines").await;
        assert_eq!(answer(&w, issue).await, "lines");
        w.finish().await;
    }
}

#[tokio::test]
async fn a_tick_is_seen_where_no_webhook_tells_of_it() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    let (issue, card) = asked(&w).await;
    w.mallory().ticks(card.id, "one array").await;
    reads(&w, &card, "- [ ] one array").await;
    w.bob().ticks(card.id, "one object per line").await;
    reads(&w, &card, "**bob:** one object per line").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(w.said(issue).len(), 2, "one card, one end");
    w.finish().await;
}
