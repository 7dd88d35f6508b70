//! Orders of events, each against `decide`.

use super::*;
use crate::message::card::card;
use crate::message::card::tests::{asking, card_of, given};
use crate::story::SelectedAnswer;

const LABEL_AT: i64 = 1_000;

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn label(second: i64) -> Input {
    Input::Label { choice: Some(Choice::default()), label: "hob".to_owned(), at: time(second) }
}

fn comment(id: u64, second: i64, text: &str) -> Input {
    Input::Comment {
        id: CommentId(id),
        at: time(second),
        command: crate::command::parse(text),
        body: text.to_owned(),
        by: "alice".to_owned(),
    }
}

fn known(story: KnownStory) -> InputContext {
    InputContext { on_pull_request: false, story: Some(story) }
}

fn waiting(posted: Posted) -> InputContext {
    let question = Some(OpenQuestion { card: shape(), posted });
    known(KnownStory { question, is_under_work: true, ..KnownStory::default() })
}

/// A question that is comment 7.
fn shape() -> QuestionComment {
    card_of(asking("Which shape?", &["one object per line", "one array"]))
}

fn about(card: &QuestionComment) -> InputContext {
    known(KnownStory { card: Some(card.clone()), is_under_work: true, ..KnownStory::default() })
}

fn edit(by: &str, second: i64, before: &str, after: &str) -> Input {
    Input::Edit {
        id: CommentId(7),
        at: time(second),
        before: before.to_owned(),
        after: after.to_owned(),
        by: by.to_owned(),
        by_hob: by == "hob-bot",
    }
}

fn answered_by_alice(shown: Option<i64>) -> QuestionComment {
    let given =
        given("one array", "alice").map(|given| SelectedAnswer { shown_at: shown.map(time), ..given });
    QuestionComment { answers: vec![given], is_open: false, ..shape() }
}

fn texts(decision: Decision) -> Vec<String> {
    let Decision::Answer { answers, .. } = decision else { panic!("{decision:?}") };
    answers.into_iter().map(|answer| answer.text).collect()
}

fn opens(decision: &Decision) -> bool {
    matches!(decision, Decision::Open { .. })
}

#[test]
fn a_label_that_was_taken_up_starts_nothing_again_and_a_later_one_does() {
    let taken = || known(KnownStory { labeled_at: Some(time(LABEL_AT)), ..KnownStory::default() });
    assert!(opens(&decide(&label(LABEL_AT), &InputContext::default())));
    for second in [LABEL_AT - 10, LABEL_AT, LABEL_AT + 1] {
        assert!(matches!(decide(&label(second), &taken()), Decision::Nothing(_)), "{second}");
    }
    assert!(opens(&decide(&label(LABEL_AT + 2), &taken())));
}

#[test]
fn what_was_asked_for_before_a_stop_and_arrives_after_it_starts_nothing() {
    let stopped = known(KnownStory { stopped_at: Some(time(50)), ..KnownStory::default() });
    for act in [label(49), comment(7, 49, "/hob work"), comment(7, 49, "/hob stop")] {
        assert!(matches!(decide(&act, &stopped), Decision::Nothing(_)), "{act:?}");
    }
    assert!(opens(&decide(&label(51), &stopped)));
    assert!(opens(&decide(&comment(7, 51, "/hob work"), &stopped)));
    assert_eq!(decide(&comment(7, 51, "/hob stop"), &stopped), Decision::Stop);
}

#[test]
fn a_comment_from_before_the_question_is_no_answer() {
    let asked = waiting(Posted::As(CommentId(100)));
    assert!(matches!(decide(&comment(99, 1, "looks good"), &asked), Decision::Nothing(_)));
    assert!(opens(&decide(&comment(99, 1, "/hob work"), &asked)), "it asks for something else");
    assert!(matches!(decide(&comment(101, 2, "the first"), &asked), Decision::Answer { .. }));
}

#[test]
fn a_comment_while_an_agent_works_is_said_to_it_unless_it_is_a_command_or_an_answer() {
    let at_work = KnownStory { is_under_work: true, is_spoken_to: true, ..KnownStory::default() };
    assert_eq!(decide(&comment(7, 1, "also this"), &known(at_work.clone())), Decision::Hear);
    assert!(opens(&decide(&comment(7, 1, "/hob work also this"), &known(at_work.clone()))));
    let nobody = KnownStory { is_spoken_to: false, ..at_work.clone() };
    assert!(matches!(decide(&comment(7, 1, "also this"), &known(nobody)), Decision::Nothing(_)));
    let stopped = KnownStory { stopped_at: Some(time(50)), ..at_work.clone() };
    assert!(matches!(decide(&comment(7, 49, "also this"), &known(stopped)), Decision::Nothing(_)));
    let question = waiting(Posted::As(CommentId(1))).story.unwrap().question;
    let asked = KnownStory { question, ..at_work };
    assert!(matches!(decide(&comment(7, 1, "the first"), &known(asked)), Decision::Answer { .. }));
}

#[test]
fn a_base_is_brought_in_at_once_or_after_what_is_under_way_and_not_while_a_question_is_open() {
    let rebase = |story: Option<KnownStory>| {
        decide(&comment(7, 1, "/hob rebase --rewrite"), &InputContext { on_pull_request: false, story })
    };
    let last = Some(TaskState::Done);
    let ended = KnownStory { last, ..KnownStory::default() };
    let at_work = KnownStory { is_under_work: true, is_spoken_to: true, ..ended.clone() };
    for story in [ended, at_work] {
        assert_eq!(rebase(Some(story)), Decision::Rebase { rewrite: true });
    }
    let asked = KnownStory { last, ..waiting(Posted::As(CommentId(1))).story.unwrap() };
    assert_eq!(rebase(Some(asked)), Decision::Refuse(CommandRejection::Waits));
    for nothing in [None, Some(KnownStory::default())] {
        assert_eq!(rebase(nothing), Decision::Refuse(CommandRejection::NothingBegun));
    }
}

#[test]
fn a_question_that_may_have_been_read_is_waited_for() {
    assert!(matches!(decide(&comment(9, 1, "the first"), &waiting(Posted::NotYet)), Decision::NotYet(_)));
    assert_eq!(decide(&comment(9, 1, "/hob stop"), &waiting(Posted::NotYet)), Decision::Stop);
    let parked = waiting(Posted::Parked);
    assert!(matches!(decide(&comment(9, 1, "hello"), &parked), Decision::Nothing(_)));
    assert!(matches!(decide(&comment(9, 1, "/hob work go on"), &parked), Decision::Answer { .. }));
}

#[test]
fn a_label_on_a_story_under_work_is_remembered_and_starts_nothing() {
    let busy = known(KnownStory { is_under_work: true, ..KnownStory::default() });
    assert_eq!(decide(&label(5), &busy), Decision::RememberLabel);
    let foreign = Input::Label { choice: None, label: "bug".to_owned(), at: time(5) };
    assert!(matches!(decide(&foreign, &busy), Decision::Nothing(_)));
}

#[test]
fn of_two_labels_the_one_that_chooses_counts_in_any_order_and_once() {
    let chooses = |second: i64| Input::Label {
        choice: Some(Choice { agent: Some(AgentKind::Codex), ..Choice::default() }),
        label: "hob:codex".to_owned(),
        at: time(second),
    };
    let busy = |chosen| {
        let labeled_at = Some(time(LABEL_AT));
        known(KnownStory { is_under_work: true, labeled_at, chosen, ..KnownStory::default() })
    };
    for second in [LABEL_AT - 1, LABEL_AT, LABEL_AT + 1, LABEL_AT + 100] {
        assert_eq!(decide(&chooses(second), &busy(None)), Decision::Choose(AgentKind::Codex), "{second}");
        let same = decide(&chooses(second), &busy(Some(AgentKind::Codex)));
        assert!(!matches!(same, Decision::Choose(_) | Decision::Open { .. }), "{second}");
        let plain = decide(&label(second), &busy(Some(AgentKind::Codex)));
        assert!(matches!(plain, Decision::Nothing(_) | Decision::RememberLabel), "{second}");
    }
    // An earlier act is over, and so is work that was stopped since.
    assert!(matches!(decide(&chooses(LABEL_AT - 2), &busy(None)), Decision::Nothing(_)));
    let stopped = known(KnownStory {
        is_under_work: true,
        stopped_at: Some(time(LABEL_AT + 50)),
        labeled_at: Some(time(LABEL_AT)),
        ..KnownStory::default()
    });
    assert!(matches!(decide(&chooses(LABEL_AT + 10), &stopped), Decision::Nothing(_)));
}

#[test]
fn taking_the_label_off_stops_what_it_asked_for_and_nothing_later() {
    let off = |second| Input::Unlabel { is_own: true, at: time(second) };
    let busy = |labeled| {
        known(KnownStory { is_under_work: true, labeled_at: Some(time(labeled)), ..KnownStory::default() })
    };
    assert_eq!(decide(&off(60), &busy(50)), Decision::Unlabeled);
    assert!(matches!(decide(&off(40), &busy(50)), Decision::Nothing(_)), "it arrives late");
    let foreign = Input::Unlabel { is_own: false, at: time(60) };
    assert!(matches!(decide(&foreign, &busy(50)), Decision::Nothing(_)));
    assert!(matches!(decide(&off(60), &known(KnownStory::default())), Decision::Nothing(_)));
}

#[test]
fn an_issue_that_is_given_to_hob_is_asked_for_and_one_that_ends_ends_its_story() {
    let given = |is_own| Input::Assign { is_own, at: time(9) };
    assert!(opens(&decide(&given(true), &InputContext::default())));
    assert!(matches!(decide(&given(false), &InputContext::default()), Decision::Nothing(_)));
    let busy = known(KnownStory { is_under_work: true, ..KnownStory::default() });
    assert!(matches!(decide(&given(true), &busy), Decision::Nothing(_)));
    assert_eq!(decide(&Input::End(Ending::Closed), &busy), Decision::End(Ending::Closed));
    assert!(matches!(decide(&Input::End(Ending::Closed), &InputContext::default()), Decision::Nothing(_)));
}

#[test]
fn on_other_peoples_pull_requests_nothing_but_a_command_gets_an_answer() {
    let on_pull = InputContext { on_pull_request: true, story: None };
    for act in [label(1), comment(1, 1, "hello")] {
        assert!(matches!(decide(&act, &on_pull), Decision::Nothing(_)), "{act:?}");
    }
    let leads_to = |command: &str| decide(&comment(1, 1, command), &on_pull);
    assert!(matches!(leads_to("/hob work"), Decision::Open { mode: TaskMode::Work, .. }));
    assert!(matches!(leads_to("/hob plan"), Decision::Open { mode: TaskMode::Plan, .. }));
    assert_eq!(leads_to("/hob fix mind it"), Decision::Fix { text: Some("mind it".to_owned()) });
    for command in ["/hob retry", "/hob resume", "/hob rebase", "/hob budget +1"] {
        assert_eq!(leads_to(command), Decision::Refuse(CommandRejection::NothingBegun), "{command}");
    }
    assert_eq!((leads_to("/hob help"), leads_to("/hob status")), (Decision::Help, Decision::Status));
    assert!(matches!(leads_to("/hob dance"), Decision::Explain(_)));
}

#[test]
fn a_comment_on_hobs_pull_request_needs_no_command() {
    let discussed = KnownStory {
        is_discussed: true,
        last: Some(TaskState::Done),
        stopped_at: Some(time(50)),
        ..KnownStory::default()
    };
    let at = |second, story: KnownStory| decide(&comment(7, second, "also this"), &known(story));
    assert_eq!(at(51, discussed.clone()), Decision::Discuss);
    assert!(matches!(at(49, discussed.clone()), Decision::Nothing(_)), "stopped since");
    let spoken_to = KnownStory { is_spoken_to: true, ..discussed.clone() };
    assert_eq!(at(51, spoken_to), Decision::Hear);
    let question = waiting(Posted::As(CommentId(1))).story.unwrap().question;
    assert!(matches!(at(51, KnownStory { question, ..discussed }), Decision::Answer { .. }));
}

#[test]
fn a_tick_answers_once_and_any_other_edit_is_put_back() {
    let open = shape();
    let (before, ticked) = (card(&open), card(&open).replacen("- [ ] one array", "- [x] one array", 1));
    assert_eq!(texts(decide(&edit("alice", 5, &before, &ticked), &about(&open))), ["one array"]);
    let altered = before.replace("Which shape?", "Which form?");
    assert_eq!(decide(&edit("alice", 5, &before, &altered), &about(&open)), Decision::PutBack(open.clone()));
    assert!(matches!(decide(&edit("hob-bot", 5, &before, &altered), &about(&open)), Decision::Nothing(_)));
    // Where a person shares hob's account, a tick is theirs: hob ticks only what is answered.
    assert_eq!(texts(decide(&edit("hob-bot", 5, &before, &ticked), &about(&open))), ["one array"]);
    let stopped = QuestionComment { is_open: false, ..open.clone() };
    assert_eq!(decide(&edit("alice", 5, &before, &ticked), &about(&stopped)), Decision::PutBack(stopped));
    let question = Some(OpenQuestion {
        card: QuestionComment { comment: None, ..open.clone() },
        posted: Posted::NotYet,
    });
    let unrecorded = known(KnownStory { question, ..KnownStory::default() });
    assert!(matches!(decide(&edit("alice", 5, &before, &ticked), &unrecorded), Decision::NotYet(_)));
    assert!(matches!(decide(&edit("alice", 5, "a", "b"), &unrecorded), Decision::Nothing(_)));
    let other = QuestionComment { comment: Some(CommentId(8)), ..open };
    assert!(matches!(decide(&edit("alice", 5, &before, &ticked), &about(&other)), Decision::Nothing(_)));
    assert!(matches!(
        decide(&edit("alice", 5, &before, &ticked), &InputContext::default()),
        Decision::Nothing(_)
    ));
}

#[test]
fn who_answers_before_the_card_shows_it_is_told_and_who_writes_later_is_not() {
    let shown = answered_by_alice(Some(10));
    let told = |act: Input, card: &QuestionComment| {
        matches!(decide(&act, &about(card)), Decision::Late { part: 0, .. })
    };
    let by_bob = |second| {
        let Input::Comment { id, at, command, body, .. } = comment(9, second, "the first") else { panic!() };
        Input::Comment { id, at, command, body, by: "bob".to_owned() }
    };
    assert!(
        told(by_bob(9), &shown) && told(by_bob(10), &shown) && told(by_bob(99), &answered_by_alice(None))
    );
    assert!(!told(by_bob(11), &shown) && !told(comment(9, 9, "and thanks"), &shown));
    let before = card(&shape());
    let tick = |text: &str, second| {
        let ticked = before.replacen(&format!("- [ ] {text}"), &format!("- [x] {text}"), 1);
        edit("bob", second, &before, &ticked)
    };
    assert!(told(tick("one object", 10), &shown));
    let put_back = Decision::PutBack(shown.clone());
    assert_eq!(decide(&tick("one object", 11), &about(&shown)), put_back);
    assert_eq!(decide(&tick("one array", 9), &about(&shown)), put_back);
}

#[test]
fn a_reply_to_a_part_that_has_an_answer_is_late_and_one_to_the_others_answers() {
    let also = vec![asking("A short form?", &["-j", "no"])];
    let asked = card_of(crate::story::Question { also, ..asking("Which shape?", &["lines", "array"]) });
    let half = QuestionComment { answers: vec![given("lines", "alice"), None], ..asked };
    let question = Some(OpenQuestion { card: half, posted: Posted::As(CommentId(7)) });
    let waits = known(KnownStory { question, is_under_work: true, ..KnownStory::default() });
    assert!(matches!(decide(&comment(9, 1, "1: array"), &waits), Decision::Late { part: 0, .. }));
    assert_eq!(texts(decide(&comment(9, 1, "1: array\n2: A"), &waits)), ["-j"]);
    assert_eq!(texts(decide(&comment(9, 1, "/hob work B"), &waits)), ["no"]);
}

fn waiting_with_plan() -> InputContext {
    let mut known = waiting(Posted::As(CommentId(100)));
    if let Some(question) = known.story.as_mut().and_then(|story| story.question.as_mut()) {
        question.card.kind = QuestionKind::Plan;
    }
    known
}

fn after(last: TaskState) -> InputContext {
    known(KnownStory { last: Some(last), ..KnownStory::default() })
}

#[test]
fn what_github_refused_is_tried_again_and_what_failed_is_done_again() {
    let refused = |last, is_under_work| {
        known(KnownStory { last: Some(last), has_refused: true, is_under_work, ..KnownStory::default() })
    };
    for (last, is_under_work) in
        [(TaskState::Done, false), (TaskState::Blocked, true), (TaskState::Running, true)]
    {
        assert_eq!(says("/hob retry", &refused(last, is_under_work)), Decision::Redeliver, "{last:?}");
    }
    let failed = Decision::GoOn(Continuation::SameText);
    assert_eq!(says("/hob retry", &refused(TaskState::Failed, false)), failed);
}

fn says(text: &str, known: &InputContext) -> Decision {
    decide(&comment(101, 2, text), known)
}

/// The answer that a comment gives.
fn answers(text: &str, known: &InputContext) -> String {
    texts(says(text, known)).remove(0)
}

#[test]
fn a_command_answers_a_question_with_its_text() {
    let asked = waiting(Posted::As(CommentId(100)));
    for command in ["work", "resume", "go"] {
        assert_eq!(answers(&format!("/hob {command} tabs"), &asked).as_str(), "tabs");
        let without = answers(&format!("/hob {command}"), &asked);
        assert_eq!(without, "Decide yourself, and go on.");
    }
    assert_eq!(answers("tabs", &asked), "tabs");
    assert_eq!(answers("/hob tabs", &asked), "/hob tabs", "a mistake answers in its own words");
    for command in ["/hob plan", "/hob plan tabs", "/hob retry"] {
        assert_eq!(says(command, &asked), Decision::Refuse(CommandRejection::Waits), "{command}");
    }
    let before = decide(&comment(99, 1, "/hob resume tabs"), &asked);
    assert_eq!(before, Decision::Refuse(CommandRejection::Waits), "written before the question");
}

#[test]
fn on_a_plan_a_command_to_work_carries_it_out_and_words_change_it() {
    let asked = waiting_with_plan();
    for (text, answer) in [
        ("/hob go", "/hob go"),
        ("/hob go but use tabs", "/hob go but use tabs"),
        ("/hob work", "/hob go"),
        ("/hob work with tabs", "/hob go with tabs"),
        ("/hob resume", "/hob go"),
        ("/hob resume smaller", "smaller"),
        ("/hob plan smaller", "smaller"),
        ("smaller", "smaller"),
        ("go", "go"),
    ] {
        assert_eq!(answers(text, &asked), answer, "{text}");
    }
    assert_eq!(says("/hob plan", &asked), Decision::Refuse(CommandRejection::Waits));
    assert_eq!(says("/hob stop", &asked), Decision::Stop);
}

#[test]
fn a_go_without_a_plan_starts_nothing() {
    assert_eq!(says("/hob go", &InputContext::default()), Decision::Refuse(CommandRejection::NoPlan));
    assert_eq!(says("/hob go", &after(TaskState::Done)), Decision::Refuse(CommandRejection::NoPlan));
    let busy = known(KnownStory { is_under_work: true, ..KnownStory::default() });
    assert_eq!(says("/hob go", &busy), Decision::Refuse(CommandRejection::UnderWay));
}

#[test]
fn a_plan_is_a_task_that_works_on_nothing_yet() {
    let opened = says("/hob plan small steps", &InputContext::default());
    assert!(matches!(opened, Decision::Open { mode: TaskMode::Plan, text: Some(_), .. }), "{opened:?}");
}

#[test]
fn what_failed_or_was_stopped_is_done_again_and_nothing_else_is() {
    for state in TaskState::ALL {
        let mut known = after(state);
        known.story.as_mut().unwrap().is_under_work = !state.is_final();
        let wanted = |ended: Continuation, well: CommandRejection| match state {
            TaskState::Failed | TaskState::Cancelled => Decision::GoOn(ended),
            TaskState::Done => Decision::Refuse(well),
            _ => Decision::Refuse(CommandRejection::UnderWay),
        };
        assert_eq!(
            says("/hob retry", &known),
            wanted(Continuation::SameText, CommandRejection::LastEndedWell),
            "{state:?}"
        );
        let resumed = wanted(Continuation::Text(None), CommandRejection::LastEndedWell);
        assert_eq!(says("/hob resume", &known), resumed, "{state:?}");
    }
    for command in ["/hob retry", "/hob resume", "/hob resume tabs", "/hob budget +5"] {
        assert_eq!(
            says(command, &InputContext::default()),
            Decision::Refuse(CommandRejection::NothingBegun),
            "{command}"
        );
    }
    let more = says("/hob resume tabs too", &after(TaskState::Done));
    assert!(opens(&more), "with words there is something to do after a good end: {more:?}");
    let text = Continuation::Text(Some("tabs".to_owned()));
    assert_eq!(says("/hob resume tabs", &after(TaskState::Failed)), Decision::GoOn(text));
}

#[test]
fn a_button_does_what_its_command_does_and_says_nothing() {
    for state in TaskState::ALL {
        let mut known = after(state);
        known.story.as_mut().unwrap().is_under_work = !state.is_final();
        let ended_badly = matches!(state, TaskState::Failed | TaskState::Cancelled);
        let pressed = |press| decide(&Input::Press(press), &known);
        match ended_badly {
            true => {
                assert_eq!(pressed(ButtonAction::Retry), Decision::GoOn(Continuation::SameText), "{state:?}");
                assert_eq!(pressed(ButtonAction::Again), Decision::GoOn(Continuation::SameText), "{state:?}");
            }
            false => {
                assert!(matches!(pressed(ButtonAction::Retry), Decision::Nothing(_)), "{state:?}");
                assert_eq!(pressed(ButtonAction::Again), Decision::CheckAgain, "{state:?}");
            }
        }
        assert_eq!(pressed(ButtonAction::Stop) == Decision::Stop, !state.is_final(), "{state:?}");
    }
    for press in [ButtonAction::Retry, ButtonAction::Stop, ButtonAction::Again] {
        assert!(matches!(decide(&Input::Press(press), &InputContext::default()), Decision::Nothing(_)));
    }
}

#[test]
fn status_and_help_are_told_at_any_time_and_never_answer() {
    let posted = [Posted::NotYet, Posted::Parked, Posted::As(CommentId(1))];
    let places = posted.map(waiting).into_iter().chain([InputContext::default(), waiting_with_plan()]);
    for known in places {
        assert_eq!(says("/hob status", &known), Decision::Status);
        assert_eq!(says("/hob help", &known), Decision::Help);
    }
}

#[test]
fn what_was_asked_for_before_a_stop_leads_to_nothing_whatever_the_command() {
    let stopped = known(KnownStory {
        stopped_at: Some(time(50)),
        last: Some(TaskState::Cancelled),
        ..KnownStory::default()
    });
    for row in crate::command::TABLE {
        let before = decide(&comment(7, 49, row.example), &stopped);
        match row.name {
            "status" => assert_eq!(before, Decision::Status),
            "help" => assert_eq!(before, Decision::Help),
            _ => assert!(matches!(before, Decision::Nothing(_)), "{}: {before:?}", row.example),
        }
        let after = decide(&comment(7, 51, row.example), &stopped);
        assert!(!matches!(after, Decision::Nothing(_)), "{}: {after:?}", row.example);
    }
}
