//! The core under random interleavings: what deliveries lead to (`intake::decide`), what is next
//! for a task (`story::step`), what follows from a run (`story::after_run`), and the store that all
//! of it is written to. People act, webhooks come late, twice, in any order and under false GUIDs,
//! workers take steps, lose their leases and die, the outbox delivers. Played are only the outside
//! ends: no agent runs, and GitHub is a counter of comments. What is checked in the end is what
//! people would see.

use std::collections::BTreeMap;
use std::time::Duration;

use hob::command;
use hob::event::Event;
use hob::github::webhook;
use hob::ids::{AgentKind, CommentId, PullNumber, QuestionId, Repo, StoryId, TaskId};
use hob::intake::decide::{Decision, Input, InputContext, KnownStory, OpenQuestion, Posted, decide};
use hob::store::{
    Delivery, Effect, Heard, LeaseLost, NewAnswers, NewEffect, NewQuestion, NewTask, PublishedPull, ReactTo,
    Recorded, Stop, Store, StoryAsk, StoryUpdate, Transition, WantedEffect,
};
use hob::story::step::{RunSnapshot, Step, TaskSnapshot, step};
use hob::story::{
    self, Choice, Findings, Next, Outcome, Question, RunEnd, RunReason, StopReason, Story, Task, TaskHistory,
    TaskRequest, TaskState,
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const REPO: &str = "acme/tool";
const ISSUES: u64 = 2;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Op {
    /// A person labels the issue.
    Label(u64),
    /// A person comments: words, a command, a stop.
    Say(u64, Words),
    /// A person ticks the first open box of a card.
    Tick(usize),
    /// A webhook of those sent so far arrives: for the first time or again.
    Arrive(usize),
    /// The same body under another GUID, as somebody could send it who has seen one.
    Forge(usize),
    /// Intake settles the oldest delivery.
    Intake,
    /// A worker takes a task. With a lease that is over at once, any other may take it from it.
    Claim { lease_is_short: bool },
    /// A worker takes a step; how a run or a hand-over ends, if it comes to that.
    Work(usize, Luck),
    /// The outbox delivers the first effect of a story.
    Outbox(usize),
    /// hob dies and starts again.
    Crash,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Words {
    Plain,
    Work,
    Stop,
}

#[derive(Debug, Clone, Copy)]
enum Luck {
    Good,
    Asks,
    Overloaded,
    Crashes,
    LeavesWork,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let issue = 1..=ISSUES;
    let words = prop_oneof![3 => Just(Words::Plain), 2 => Just(Words::Work), 1 => Just(Words::Stop)];
    let luck = prop_oneof![
        3 => Just(Luck::Good),
        2 => Just(Luck::Asks),
        1 => Just(Luck::Overloaded),
        1 => Just(Luck::Crashes),
        1 => Just(Luck::LeavesWork)
    ];
    let one = prop_oneof![
        2 => issue.clone().prop_map(Op::Label),
        4 => (issue, words).prop_map(|(issue, words)| Op::Say(issue, words)),
        2 => (0..4usize).prop_map(Op::Tick),
        6 => (0..50usize).prop_map(Op::Arrive),
        1 => (0..50usize).prop_map(Op::Forge),
        6 => Just(Op::Intake),
        4 => any::<bool>().prop_map(|lease_is_short| Op::Claim { lease_is_short }),
        10 => (0..4usize, luck).prop_map(|(worker, luck)| Op::Work(worker, luck)),
        4 => (0..4usize).prop_map(Op::Outbox),
        1 => Just(Op::Crash)
    ];
    prop::collection::vec(one, 1..120)
}

/// A webhook that GitHub has sent, or will.
struct Sent {
    guid: String,
    event: &'static str,
    body: Vec<u8>,
    arrived: bool,
}

/// hob and the outside, as far as they are played.
struct Scene {
    store: Store,
    _folder: tempfile::TempDir,
    sent: Vec<Sent>,
    /// Tasks in workers' hands, newest last. A worker may hold one that is not its own any more.
    held: Vec<Task>,
    second: i64,
    last_comment: u64,
    /// Comments of hob's on GitHub: which effect made them.
    posted: Vec<(StoryId, Option<QuestionId>, CommentId)>,
    /// How the cards of questions read on GitHub, by comment.
    cards: BTreeMap<u64, String>,
    forged: usize,
    /// How often each act was decided to open a task, by GUID.
    opened: BTreeMap<String, usize>,
    /// Which comment answered which question.
    answers: Vec<(QuestionId, CommentId)>,
    /// When the stops were given that hob has heard, the latest of each issue.
    stopped: BTreeMap<u64, Timestamp>,
    /// The newest claim of each task.
    claims: BTreeMap<TaskId, i64>,
}

impl Scene {
    async fn new() -> Scene {
        // In memory: what is under test is what is written, not the disk.
        let shm = std::path::Path::new("/dev/shm");
        let folder =
            if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.expect("a folder");
        let store = Store::open(&folder.path().join("hob.db")).await.expect("a store");
        Scene {
            store,
            _folder: folder,
            sent: Vec::new(),
            held: Vec::new(),
            second: 1_800_000_000,
            last_comment: 100,
            posted: Vec::new(),
            cards: BTreeMap::new(),
            forged: 0,
            opened: BTreeMap::new(),
            answers: Vec::new(),
            stopped: BTreeMap::new(),
            claims: BTreeMap::new(),
        }
    }

    async fn happen(&mut self, op: &Op) {
        match op {
            Op::Label(issue) => self.label(*issue),
            Op::Say(issue, words) => self.say(*issue, *words),
            Op::Tick(at) if !self.cards.is_empty() => self.tick(at % self.cards.len()).await,
            Op::Arrive(at) if !self.sent.is_empty() => self.arrive(at % self.sent.len()).await,
            Op::Forge(at) if self.sent.iter().any(|sent| sent.arrived) => self.forge(*at).await,
            Op::Intake => drop(self.intake().await),
            Op::Claim { lease_is_short } => {
                let lease = if *lease_is_short { Duration::ZERO } else { Duration::from_secs(600) };
                self.claim(lease).await;
            }
            Op::Work(at, luck) if !self.held.is_empty() => {
                let at = at % self.held.len();
                self.work(at, *luck).await;
            }
            Op::Outbox(at) => drop(self.outbox(*at).await),
            Op::Crash => {
                self.held.clear();
                self.store.release_all_tasks().await.expect("a start");
            }
            Op::Tick(_) | Op::Arrive(_) | Op::Forge(_) | Op::Work(..) => {}
        }
    }

    /// False if there was nothing to take.
    async fn claim(&mut self, lease: Duration) -> bool {
        let Some(task) =
            self.store.claim_task(lease, &hob::store::Sharing::default()).await.expect("a claim")
        else {
            return false;
        };
        self.claims.insert(task.id, task.fence);
        self.held.push(task);
        true
    }

    // ---- GitHub and its people

    fn label(&mut self, issue: u64) {
        self.second += 3;
        let time = hob_time(self.second);
        let body = json!({"action": "labeled", "label": {"name": "hob"}, "issue": self.issue(issue, &time),
            "repository": repository(), "sender": {"login": "alice", "id": 1}});
        self.send("issues", body);
    }

    fn say(&mut self, issue: u64, words: Words) {
        self.second += 3;
        self.last_comment += 1;
        let time = hob_time(self.second);
        let text = match words {
            Words::Plain => "the first one",
            Words::Work => "/hob work on it",
            Words::Stop => "/hob stop",
        };
        let comment = json!({"id": self.last_comment, "body": text, "created_at": time});
        let body = json!({"action": "created", "comment": comment, "issue": self.issue(issue, &time),
            "repository": repository(), "sender": {"login": "alice", "id": 1}});
        self.send("issue_comment", body);
    }

    /// Ticks the first box that is open in a card.
    async fn tick(&mut self, at: usize) {
        let (comment, before) =
            self.cards.iter().nth(at).map(|(id, text)| (*id, text.clone())).expect("a card");
        let after = before.replacen("- [ ] ", "- [x] ", 1);
        if after == before {
            return;
        }
        self.cards.insert(comment, after.clone());
        self.second += 3;
        let time = hob_time(self.second);
        let of = self.posted.iter().find(|(.., id)| id.0 == comment).expect("it was posted").0;
        let issue = self.store.story(of).await.unwrap().issue.0;
        let edited = json!({"id": comment, "body": after, "created_at": time, "updated_at": time});
        let body = json!({"action": "edited", "comment": edited, "changes": {"body": {"from": before}},
            "issue": self.issue(issue, &time), "repository": repository(), "sender": {"login": "alice", "id": 1}});
        self.send("issue_comment", body);
    }

    fn issue(&self, number: u64, time: &str) -> serde_json::Value {
        json!({"number": number, "title": "t", "body": "b", "state": "open", "updated_at": time})
    }

    fn send(&mut self, event: &'static str, body: serde_json::Value) {
        let guid = format!("guid-{}", self.sent.len());
        let body = body.to_string().into_bytes();
        self.sent.push(Sent { guid, event, body, arrived: false });
    }

    // ---- hob

    async fn record(&mut self, guid: &str, event: &str, body: &[u8]) -> Recorded {
        let said = webhook::decode(event, body).expect("a body");
        self.store.record_delivery(guid, event, body, Some(&said)).await.expect("a record")
    }

    async fn arrive(&mut self, at: usize) {
        let (guid, event, body) =
            (self.sent[at].guid.clone(), self.sent[at].event, self.sent[at].body.clone());
        let recorded = self.record(&guid, event, &body).await;
        assert_eq!(recorded == Recorded::New, !self.sent[at].arrived, "{guid}");
        self.sent[at].arrived = true;
    }

    async fn forge(&mut self, at: usize) {
        let arrived: Vec<_> = self.sent.iter().filter(|sent| sent.arrived).collect();
        let one = arrived[at % arrived.len()];
        let (event, body) = (one.event, one.body.clone());
        self.forged += 1;
        let guid = format!("forged-{}", self.forged);
        assert_eq!(self.record(&guid, event, &body).await, Recorded::SaysTheSame);
    }

    /// Settles a delivery as `src/intake.rs` does. Everybody here may command. False if there was
    /// none.
    async fn intake(&mut self) -> bool {
        let Some(delivery) = self.store.next_delivery().await.expect("a delivery") else { return false };
        let event = webhook::decode(&delivery.event, &delivery.body).expect("a body");
        let (act, issue) = match event {
            Event::IssueLabeled { issue, label, at, .. } => {
                (Input::Label { choice: Some(Choice::default()), label, at }, issue)
            }
            Event::Commented { issue, comment, .. } => {
                let command = command::parse(&comment.body);
                let (id, at, body) = (comment.id, comment.at, comment.body);
                (Input::Comment { id, at, command, body, by: "alice".to_owned() }, issue)
            }
            Event::CommentEdited { issue, comment, before, at, .. } => {
                let (id, after, by) = (comment.id, comment.body, "alice".to_owned());
                (Input::Edit { id, at, before, after, by, by_hob: false }, issue)
            }
            other => panic!("{other:?}"),
        };
        let repo: Repo = REPO.parse().unwrap();
        let story = self.store.story_at(&repo, issue.number).await.unwrap();
        let known = InputContext { on_pull_request: false, story: self.known(&act, story.as_ref()).await };
        self.settle(&delivery, act, story, &known, issue.number.0).await;
        true
    }

    async fn known(&self, act: &Input, story: Option<&Story>) -> Option<KnownStory> {
        let story = story?;
        let cards = self.store.cards_of(story.id).await.unwrap();
        let question = cards.iter().rfind(|card| card.is_open).map(|card| OpenQuestion {
            card: card.clone(),
            posted: card.comment.map_or(Posted::NotYet, Posted::As),
        });
        let card = match act {
            Input::Edit { id, .. } => cards.iter().find(|card| card.comment == Some(*id)).cloned(),
            _ => cards.into_iter().rfind(|card| card.open_parts().is_empty()),
        };
        Some(KnownStory {
            has_refused: false,
            has_pull: false,
            is_blocked: false,
            chosen: None,
            labeled_at: story.labeled_at,
            stopped_at: story.stopped_at,
            is_under_work: self.store.open_task_of(story.id).await.unwrap().is_some(),
            question,
            card,
            last: None,
            // Messages have stories of their own.
            is_spoken_to: false,
            is_discussed: false,
            is_at_rest: false,
        })
    }

    async fn settle(
        &mut self,
        delivery: &Delivery,
        act: Input,
        story: Option<Story>,
        known: &InputContext,
        issue: u64,
    ) {
        let guid = delivery.guid.as_str();
        let on = StoryAsk {
            repo: REPO.parse().unwrap(),
            github_id: None,
            issue: hob::ids::IssueNumber(issue),
            title: "t".to_owned(),
            installation: None,
            base_branch: "main".to_owned(),
            branch: format!("hob/issue-{issue}"),
            theirs: None,
        };
        match decide(&act, known) {
            Decision::Nothing(why) => self.store.ignore_delivery(guid, why).await.unwrap(),
            // At the end of the queue, so that what it waits for can happen.
            Decision::NotYet(why) => {
                self.store.postpone_delivery(guid, Duration::from_millis(1), why).await.unwrap();
            }
            Decision::Unlabeled | Decision::End(_) => panic!("nobody does that here"),
            Decision::RememberLabel => {
                let Input::Label { at, .. } = act else { panic!("a label") };
                self.store.remember_label(guid, story.unwrap().id, at).await.unwrap();
            }
            Decision::Open { choice, text, mode } => {
                let labeled_at = match act {
                    Input::Label { at, .. } => Some(at),
                    _ => None,
                };
                let asked_at = match act {
                    Input::Label { at, .. } | Input::Comment { at, .. } | Input::Edit { at, .. } => at,
                    other => panic!("{other:?} asks for nothing"),
                };
                let stopped = self.stopped.get(&issue).copied();
                assert!(stopped.is_none_or(|at| asked_at >= at), "asked for before a stop that was heard");
                *self.opened.entry(guid.to_owned()).or_default() += 1;
                let effects = vec![react(issue)];
                let new = NewTask {
                    on,
                    ask: ask(choice, text),
                    mode,
                    turn: RunReason::Begin,
                    labeled_at,
                    settings: None,
                    effects,
                };
                self.store.open_task(guid, &new).await.unwrap();
            }
            Decision::Answer { question, answers } => {
                let (Input::Comment { id, .. } | Input::Edit { id, .. }) = act else { panic!("no answer") };
                let new = NewAnswers { question, answers, by: "alice".to_owned() };
                let first = self.store.answer(guid, &new, &[react(issue)]).await.unwrap();
                if first {
                    self.answers.push((question, id));
                } else {
                    self.store.ignore_delivery(guid, "answered meanwhile").await.unwrap();
                }
            }
            Decision::Late { .. } => panic!("alice answers only herself"),
            Decision::PutBack(card) => self.store.show_card_again(guid, &card, &[]).await.unwrap(),
            Decision::Stop => {
                let Input::Comment { at, .. } = act else { panic!("a comment") };
                let reason = StopReason::Asked { by: "alice".to_owned() };
                let stop = Stop { reason, at };
                let latest = self.stopped.entry(issue).or_insert(at);
                *latest = (*latest).max(at);
                let stopped = match story {
                    Some(story) => self.store.stop(guid, story.id, &stop, Some(&react(issue))).await.unwrap(),
                    None => false,
                };
                if !stopped {
                    self.store.only_say(guid, &on, &Heard::Stop(stop), &[react(issue)]).await.unwrap();
                }
            }
            other => panic!("nobody here says what leads to {other:?}"),
        }
    }

    /// One step of a worker, as `src/work.rs` takes it. A worker that has lost its task lets it go.
    async fn work(&mut self, at: usize, luck: Luck) {
        let task = self.held[at].clone();
        let is_its_own = self.claims.get(&task.id) == Some(&task.fence);
        match self.one_step(&task, luck).await {
            Ok(Some(next)) => {
                assert!(
                    is_its_own,
                    "a worker that had lost its task went from {:?} to {:?}",
                    task.state, next.state
                );
                self.held[at] = next;
            }
            Ok(None) => {
                self.store.release_task(&task, Duration::ZERO).await.unwrap();
                self.held.remove(at);
            }
            Err(error) => {
                assert!(error.is::<LeaseLost>(), "{error:#}");
                self.held.remove(at);
            }
        }
    }

    async fn one_step(&mut self, task: &Task, luck: Luck) -> anyhow::Result<Option<Task>> {
        let run = self.store.latest_run(task).await?;
        let look = TaskSnapshot {
            state: task.state,
            stop_wanted: self.store.stop_wanted(task).await?.is_some(),
            may_push: false,
            publish_again: false,
            save_wanted: false,
            check_wanted: false,
            run: run
                .as_ref()
                .map(|run| if run.end.is_some() { RunSnapshot::Ended } else { RunSnapshot::Open }),
        };
        match (step(&look), run) {
            (Step::Rest, _) => Ok(None),
            (Step::BeginRun, _) => Ok(Some(self.store.begin_run(task, AgentKind::Claude).await?.0)),
            (Step::FollowRun, Some(mut run)) => {
                self.store.run_started(task, &mut run).await?;
                let end = run_end(outcome(luck, look.stop_wanted));
                self.store.end_run(task, &mut run, end, &StoryUpdate::default()).await?;
                Ok(Some(task.clone()))
            }
            (Step::Settle, Some(run)) => {
                let history =
                    TaskHistory { retries: task.retries, retries_allowed: 2, can_sync: false, synced: false };
                let outcome = run.end.expect("an end").outcome;
                let (to, advance) = match story::after_run(&run.turn, &outcome, history) {
                    Next::Publish => (TaskState::Publishing, Transition::default()),
                    Next::Ask(question) => {
                        let id = QuestionId::new();
                        let new = NewQuestion { id, question, subject: hob::story::QuestionSubject::Agent };
                        let effects = vec![NewEffect::new(Effect::Card { question: id })];
                        (
                            TaskState::Blocked,
                            Transition { question: Some(new), effects, ..Transition::default() },
                        )
                    }
                    Next::Again { turn, retry } => {
                        let retry_in = retry.map(|_| Duration::ZERO);
                        (
                            TaskState::Queued,
                            Transition { turn: Some(turn), retry_in, ..Transition::default() },
                        )
                    }
                    Next::Fail(class) => (TaskState::Failed, Transition { failure: Some(class), ..ended() }),
                    Next::Cancel => (TaskState::Cancelled, ended()),
                    Next::RenewLogin { .. } => panic!("there is no login"),
                };
                Ok(Some(self.store.advance(task, to, &advance).await?))
            }
            (Step::Stop, _) => Ok(Some(self.store.advance(task, TaskState::Cancelled, &ended()).await?)),
            (Step::Publish, Some(run)) => {
                let uncommitted =
                    if matches!(luck, Luck::LeavesWork) { vec!["a".to_owned()] } else { Vec::new() };
                let findings = Findings { uncommitted, has_commits: true };
                let (to, advance) = match story::after_hand_over(&run.turn, findings) {
                    story::NextStep::Push | story::NextStep::NothingToChange => {
                        let effect = Effect::PullRequest {
                            title: "t".to_owned(),
                            body: "b".to_owned(),
                            short: String::new(),
                            unfinished: false,
                            draft: None,
                            reviewers: Vec::new(),
                            asker: None,
                            labels: Vec::new(),
                        };
                        let effects = vec![NewEffect::new(effect)];
                        (TaskState::Done, Transition { effects, ..ended() })
                    }
                    story::NextStep::AskToCommit(files) => {
                        let turn = Some(RunReason::CommitLeftovers { files });
                        (TaskState::Queued, Transition { turn, ..Transition::default() })
                    }
                    story::NextStep::LeftUncommitted(_) => (TaskState::Failed, ended()),
                };
                Ok(Some(self.store.advance(task, to, &advance).await?))
            }
            (next, _) => panic!("{next:?}"),
        }
    }

    /// Delivers one effect. False if none is wanted.
    async fn outbox(&mut self, at: usize) -> bool {
        let due = self.store.due_effects().await.unwrap();
        if due.is_empty() {
            return false;
        }
        let wanted = &due[at % due.len()];
        self.store.effect_attempted(wanted.id).await.unwrap();
        match &wanted.effect {
            Effect::React { .. } | Effect::RequestReview { .. } | Effect::Evidence { .. } => {
                self.store.effect_done(wanted.id).await.unwrap()
            }
            Effect::ReviewReply { .. } => panic!("there are no reviews here"),
            Effect::Comment { .. } => {
                self.last_comment += 1;
                let comment = CommentId(self.last_comment);
                self.posted.push((wanted.story, None, comment));
                self.store.comment_posted(wanted.id, None, comment, None).await.unwrap();
            }
            Effect::Card { question } => self.show_card(wanted, *question).await,
            Effect::Status => {
                self.last_comment += 1;
                let comment = CommentId(self.last_comment);
                self.store.status_posted(wanted.id, comment, None, None).await.unwrap();
            }
            Effect::DeleteBranch { branch, .. } => self.store.branch_gone(wanted, branch).await.unwrap(),
            Effect::PullRequest { .. } => {
                let story = self.store.story(wanted.story).await.unwrap();
                let pull = PullNumber(1_000 + story.issue.0);
                let shown = PublishedPull {
                    number: pull,
                    draft: Some(false),
                    title: None,
                    unfinished: false,
                    base: "main".to_owned(),
                };
                self.store.pull_request_open(wanted, &shown, &[]).await.unwrap();
            }
        }
        true
    }

    /// As `src/deliver/card.rs` does.
    async fn show_card(&mut self, wanted: &WantedEffect, question: QuestionId) {
        let card = self.store.card(question).await.unwrap();
        let text = hob::message::card::card(&card);
        match card.comment {
            None if !card.is_open => self.store.effect_done(wanted.id).await.unwrap(),
            None => {
                self.last_comment += 1;
                let comment = CommentId(self.last_comment);
                self.posted.push((wanted.story, Some(question), comment));
                self.cards.insert(comment.0, text);
                self.store.comment_posted(wanted.id, Some(question), comment, None).await.unwrap();
            }
            Some(comment) => {
                self.cards.insert(comment.0, text);
                let at = Timestamp::from_second(self.second).unwrap();
                let shown = if card.answers[0].is_some() { &[0][..] } else { &[] };
                self.store.card_shown(wanted.id, question, shown, at).await.unwrap();
            }
        }
    }

    // ---- The end

    /// Everything comes to its end: all webhooks arrive, all work is done, all that is said is
    /// said, all questions are answered.
    async fn drain(&mut self) {
        for round in 0.. {
            assert!(round < 200, "it does not come to an end");
            for at in 0..self.sent.len() {
                if !self.sent[at].arrived {
                    self.arrive(at).await;
                }
            }
            while self.outbox(0).await {}
            // What was put off is due again by then.
            tokio::time::sleep(Duration::from_millis(2)).await;
            while self.intake().await {}
            self.held.clear();
            self.store.release_all_tasks().await.unwrap();
            while self.claim(Duration::from_secs(600)).await {
                while !self.held.is_empty() {
                    self.work(0, Luck::Good).await;
                }
            }
            while self.outbox(0).await {}
            let waiting = self.waiting().await;
            if waiting.is_empty() && self.store.open_deliveries().await.unwrap() == 0 {
                return;
            }
            for issue in waiting {
                self.say(issue, Words::Plain);
            }
        }
    }

    async fn waiting(&self) -> Vec<u64> {
        let mut waiting = Vec::new();
        for story in self.store.stories().await.unwrap() {
            if self.store.open_question(story.id).await.unwrap().is_some() {
                waiting.push(story.issue.0);
            }
        }
        waiting
    }

    async fn check(&self) {
        let stories = self.store.stories().await.unwrap();
        assert!(stories.len() <= ISSUES as usize, "one story an issue");
        assert!(self.opened.values().all(|count| *count == 1), "twice from one delivery: {:?}", self.opened);
        let mut tasks = 0;
        for story in &stories {
            let of_story = self.store.tasks_of(story.id).await.unwrap();
            tasks += of_story.len();
            assert!(of_story.iter().all(|task| task.state.is_final()), "{of_story:?}");
            let questions = self.store.questions(story.id).await.unwrap();
            let said = self.posted.iter().filter(|(of, ..)| *of == story.id).count();
            // Each question is a comment, and nothing else is; each task's end stands in the one
            // status comment. One that was stopped before its question was posted asks nobody.
            let posted = questions.iter().filter(|asked| asked.comment.is_some()).count();
            assert_eq!(said, posted, "comments on #{}", story.issue);
            let facts = self.store.status_facts(story.id).await.unwrap();
            assert_eq!(facts.over.len(), of_story.len().min(6), "ends told on #{}", story.issue);
            for asked in &questions {
                let posts: Vec<_> = self.posted.iter().filter(|(_, q, _)| *q == Some(asked.id)).collect();
                let is_asked = asked.comment.is_some();
                assert_eq!(posts.len(), usize::from(is_asked), "a question is posted once");
                assert!(is_asked || asked.answer.is_none(), "nobody answers what was never asked");
                let card = self.store.card(asked.id).await.unwrap();
                if let Some(comment) = card.comment {
                    assert_eq!(
                        self.cards[&comment.0],
                        hob::message::card::card(&card),
                        "the card tells the truth"
                    );
                }
                let answers: Vec<_> = self.answers.iter().filter(|(q, _)| *q == asked.id).collect();
                assert!(answers.len() <= 1, "a question is answered once");
                if let [(_, by)] = answers.as_slice() {
                    assert!(*by >= posts[0].2, "the answer was written before the question could be read");
                }
            }
        }
        assert_eq!(tasks, self.opened.len(), "a task for each that was opened");
        assert_eq!(self.store.effect_counts().await.unwrap(), (0, 0));
    }
}

fn hob_time(second: i64) -> String {
    Timestamp::from_second(second).unwrap().to_string()
}

fn repository() -> serde_json::Value {
    json!({"full_name": REPO, "default_branch": "main"})
}

fn react(issue: u64) -> NewEffect {
    let to = ReactTo::Issue(hob::ids::IssueNumber(issue));
    NewEffect::new(Effect::React { to, content: "eyes".to_owned() })
}

fn ask(choice: Choice, text: Option<String>) -> TaskRequest {
    TaskRequest {
        by: "alice".to_owned(),
        by_id: None,
        title: "t".to_owned(),
        body: "b".to_owned(),
        text,
        choice,
        on: None,
        about: hob::story::TaskKind::Issue,
    }
}

fn outcome(luck: Luck, stop_wanted: bool) -> Outcome {
    use hob::agent::FailureClass;
    let failed = |class| Outcome::Failed { class, detail: String::new() };
    match luck {
        _ if stop_wanted => Outcome::Cancelled,
        Luck::Good | Luck::LeavesWork => Outcome::Completed { summary: None },
        Luck::Asks => Outcome::Blocked {
            question: Question {
                text: "which?".to_owned(),
                options: vec!["a".to_owned(), "b".to_owned()],
                ..Question::default()
            },
        },
        Luck::Overloaded => failed(FailureClass::Overloaded),
        Luck::Crashes => failed(FailureClass::Crashed),
    }
}

fn run_end(outcome: Outcome) -> RunEnd {
    RunEnd {
        outcome,
        cost_usd: None,
        turns: None,
        tokens: None,
        session_tokens: None,
        duration_ms: 1,
        exit_code: Some(0),
        session: None,
        drops: Vec::new(),
        resets_at: None,
        renewal: None,
        title: None,
        replies: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("HOB_CORE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256),
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_order_of_events_loses_nothing_and_does_nothing_twice(ops in ops()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new().await;
            for op in &ops {
                scene.happen(op).await;
            }
            scene.drain().await;
            scene.check().await;
            scene.store.close().await;
        });
    }
}

/// What is written down at the end of a task: the words about it.
fn ended() -> Transition {
    Transition { words: Some("It is over.".to_owned()), ..Transition::default() }
}
