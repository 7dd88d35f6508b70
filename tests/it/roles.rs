//! Who may do what: every role × every event × every command. GitHub is played; of hob there is the
//! store and the intake, which asks that GitHub what somebody may do. Worker and outbox are played
//! here, so that no container starts, and GitHub's limit on writing holds nothing up. Shows that
//! nobody below write access starts, steers, answers or stops anything, and that everybody else is
//! heard. The commands come from hob's own table: a new one without a row here fails.
//!
//! A new event is one more row in `EVENTS`, with where its story stands (`Stage`), how it is done
//! (`act`) and what it leads to for those who may (`leads_to`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hob::agent::FailureClass;
use hob::command::TABLE;
use hob::github::{Button, CheckRun, CheckRunText, CheckState, Credentials, GitHub, webhook};
use hob::heartbeat::Heartbeat;
use hob::ids::{AgentKind, CommentId, EffectId, IssueNumber, PullNumber, QuestionId, ReviewCommentId, Sha};
use hob::intake::Intake;
use hob::message;
use hob::store::{
    Effect, NewEffect, NewQuestion, PublishedPull, ReactTo, Sharing, ShownCheck, Store, StoryUpdate,
    Transition,
};
use hob::story::{Outcome, Question, RETRY_BUTTON, RunEnd, STOP_BUTTON, Story, Task, TaskState, button};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::github::{Verdict, on};
use crate::world::{BOT, REPO, World};

/// Longer than the slowest machine takes to set the stage: nobody is to take a task twice.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// The App's login.
const HOB: &str = "hob[bot]";

/// Somebody, and how they stand to the repository.
struct Role {
    name: &'static str,
    login: &'static str,
    /// GitHub's word for it.
    permission: &'static str,
    /// Whether hob does what they say.
    may: bool,
}

const ROLES: [Role; 8] = [
    Role { name: "owner", login: "acme", permission: "admin", may: true },
    Role { name: "maintainer", login: "mina", permission: "maintain", may: true },
    Role { name: "writer", login: "wanda", permission: "write", may: true },
    Role { name: "triager", login: "tina", permission: "triage", may: false },
    Role { name: "reader", login: "mallory", permission: "read", may: false },
    Role { name: "outsider", login: "oscar", permission: "none", may: false },
    Role { name: "bot", login: "helper[bot]", permission: "write", may: false },
    Role { name: "hob itself", login: HOB, permission: "write", may: false },
];

/// Where a story stands before something happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Stage {
    /// There is none.
    Fresh,
    /// An agent works on it.
    Busy,
    /// It waits for an answer.
    Asked,
    /// It waits for a word on its plan.
    Planned,
    /// It has a pull request, and nothing is under way.
    Proposed,
    /// Its task has failed.
    Failed,
    /// It is no story: a pull request of somebody else's.
    Foreign,
}

/// What an event can lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leads {
    Nothing,
    Task,
    Answer,
    /// The agent at work is told.
    Message,
    Stop,
    Words,
}

/// How something is done on GitHub.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    /// The label is put on an issue with the command in its text.
    Label,
    /// A comment.
    Comment,
    /// A comment that was something else gets the command by an edit.
    Edit,
    /// The label is taken off.
    Unlabel,
    /// The issue is closed.
    Close,
    /// A button is pressed on the story's check run: one of hob's by its name, or GitHub's own
    /// "Re-run".
    Press(Option<&'static str>),
    /// A review that wants changes, with a comment on a line.
    Review,
}

impl Input {
    /// Whether there is something that hob can react to.
    fn can_be_acknowledged(self) -> bool {
        matches!(self, Self::Label | Self::Comment | Self::Press(_) | Self::Review)
    }
}

struct Event {
    name: &'static str,
    stage: Stage,
    act: Input,
    /// For those who may, by the command's name; `words` is no command, `dance` is none that hob
    /// knows.
    leads_to: fn(&str) -> Leads,
}

const EVENTS: [Event; 14] = [
    Event { name: "issue labelled", stage: Stage::Fresh, act: Input::Label, leads_to: |_| Leads::Task },
    Event { name: "comment on an issue", stage: Stage::Fresh, act: Input::Comment, leads_to: on_fresh },
    Event {
        name: "comment on an issue under work",
        stage: Stage::Busy,
        act: Input::Comment,
        leads_to: on_busy,
    },
    Event { name: "reply to a question", stage: Stage::Asked, act: Input::Comment, leads_to: on_question },
    Event { name: "reply to a plan", stage: Stage::Planned, act: Input::Comment, leads_to: on_plan },
    Event {
        name: "comment on hob's pull request",
        stage: Stage::Proposed,
        act: Input::Comment,
        leads_to: on_proposed,
    },
    Event {
        name: "comment on somebody else's pull request",
        stage: Stage::Foreign,
        act: Input::Comment,
        leads_to: on_foreign,
    },
    Event { name: "review", stage: Stage::Proposed, act: Input::Review, leads_to: on_review },
    Event { name: "label taken off", stage: Stage::Busy, act: Input::Unlabel, leads_to: |_| Leads::Stop },
    Event { name: "issue closed", stage: Stage::Asked, act: Input::Close, leads_to: |_| Leads::Stop },
    Event { name: "edited comment", stage: Stage::Asked, act: Input::Edit, leads_to: |_| Leads::Nothing },
    Event {
        name: "button Stop",
        stage: Stage::Busy,
        act: Input::Press(Some(STOP_BUTTON)),
        leads_to: |_| Leads::Stop,
    },
    Event {
        name: "button Retry",
        stage: Stage::Failed,
        act: Input::Press(Some(RETRY_BUTTON)),
        leads_to: |_| Leads::Task,
    },
    Event { name: "button Re-run", stage: Stage::Failed, act: Input::Press(None), leads_to: |_| Leads::Task },
];

/// Work is done there, and what fails is fixed, as on a pull request of hob's own.
fn on_foreign(command: &str) -> Leads {
    if command == "fix" { Leads::Task } else { on_fresh(command) }
}

fn on_fresh(command: &str) -> Leads {
    match command {
        "words" => Leads::Nothing,
        "work" | "plan" => Leads::Task,
        "go" | "stop" | "retry" | "resume" | "fix" | "rebase" | "budget" | "status" | "help" | "dance" => {
            Leads::Words
        }
        other => panic!("no row for the command {other}"),
    }
}

fn on_busy(command: &str) -> Leads {
    match command {
        "words" => Leads::Message,
        "stop" => Leads::Stop,
        "rebase" => Leads::Task,
        command => on_fresh(command),
    }
}

fn on_question(command: &str) -> Leads {
    match command {
        "words" | "dance" | "work" | "go" | "resume" => Leads::Answer,
        "stop" => Leads::Stop,
        "plan" | "retry" | "fix" | "rebase" | "budget" | "status" | "help" => Leads::Words,
        other => panic!("no row for the command {other}"),
    }
}

fn on_plan(command: &str) -> Leads {
    match command {
        // The example has words, and they change the plan.
        "plan" => Leads::Answer,
        command => on_question(command),
    }
}

fn on_proposed(command: &str) -> Leads {
    match command {
        // The example of `resume` has words, so that there is something to go on with.
        "words" | "resume" | "fix" | "rebase" => Leads::Task,
        command => on_fresh(command),
    }
}

/// Commands are for the conversation.
fn on_review(command: &str) -> Leads {
    if command == "words" { Leads::Task } else { Leads::Nothing }
}

/// Every command as it is written, by name, and what is none.
fn said() -> Vec<(&'static str, &'static str)> {
    let commands = TABLE.iter().map(|row| (row.name, row.example));
    commands.chain([("words", "the first one, please"), ("dance", "/hob dance")]).collect()
}

/// What is said in an event. Reviews do not know one command from another, and each needs a pull
/// request of its own; a button says nothing.
fn said_in(event: &Event) -> Vec<(&'static str, &'static str)> {
    let is_wanted = |name: &str| match event.act {
        Input::Review => matches!(name, "words" | "work" | "stop"),
        Input::Press(_) => name == "words",
        _ => true,
    };
    said().into_iter().filter(|(name, _)| is_wanted(name)).collect()
}

struct Case {
    role: &'static Role,
    event: &'static Event,
    command: &'static str,
    says: &'static str,
    issue: u64,
    /// The pull request that it is said on, where it is not said on the issue.
    on: u64,
    /// The comment that said it.
    comment: Option<CommentId>,
    /// The same, of a review.
    remark: Option<ReviewCommentId>,
}

impl Case {
    fn name(&self) -> String {
        format!("{} × {} × {} (#{})", self.role.name, self.event.name, self.command, self.issue)
    }
}

/// What there is of a story, on either side.
#[derive(Clone, PartialEq, Debug)]
struct Look {
    tasks: usize,
    states: Vec<TaskState>,
    stops: usize,
    answers: usize,
    /// What is to be told to an agent.
    messages: usize,
    /// Comments of hob's.
    words: usize,
    /// Reactions of hob's to what was done.
    reactions: usize,
}

/// GitHub, and hob's ears.
struct Scene {
    w: World,
    store: Store,
    github: GitHub,
    stop: CancellationToken,
    intake: JoinHandle<anyhow::Result<()>>,
    /// How many of GitHub's webhooks hob has heard.
    heard: usize,
    /// What hob has said, by issue or pull request, and what it has reacted to.
    words: HashMap<u64, usize>,
    reactions: HashMap<ReactTo, usize>,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn begin() -> Scene {
        // hob is an App here, so that it can be told from everybody else.
        let w = World::prepare_app(|config| config.work.poll = Duration::from_millis(10)).await;
        for role in &ROLES {
            w.github.set_permission(REPO, role.login, role.permission);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("hob.db")).await.expect("a store");
        let app = w.github.app();
        let credentials = Credentials::App { app_id: app.app_id, private_key_pem: app.private_key.into() };
        let github = GitHub::new(&w.github.api_url(), credentials).expect("a way to GitHub");
        let (config, stop) = (Arc::new(w.config.clone()), CancellationToken::new());
        let intake = Intake { config, store: store.clone(), github: github.clone() };
        let intake =
            tokio::spawn(intake.run(stop.clone(), Heartbeat::new("intake", Duration::from_secs(600))));
        let (words, reactions) = (HashMap::new(), HashMap::new());
        Scene { w, store, github, stop, intake, heard: 0, words, reactions, _folder: folder }
    }

    async fn end(self) {
        self.stop.cancel();
        self.intake.await.expect("no panic").expect("the intake ends well");
        assert_eq!(self.w.github.violations(), Vec::<String>::new());
    }

    /// Has hob hear every webhook that it has not heard, and settle all that follows, until nothing
    /// does.
    async fn settle(&mut self) {
        loop {
            let sent = self.w.github.deliveries();
            for delivery in &sent[self.heard..] {
                self.hears(&delivery.guid, &delivery.event, &delivery.body).await;
            }
            self.heard = sent.len();
            // A thousand of them take long on a busy machine: what is waited for is that it goes
            // on.
            let mut open = self.store.open_deliveries().await.unwrap();
            while open > 0 {
                let fewer = async || {
                    let now = self.store.open_deliveries().await.unwrap();
                    (now < open).then_some(now)
                };
                open = self.w.eventually("hob to settle a delivery", fewer).await;
            }
            if !self.post().await {
                return;
            }
        }
    }

    async fn hears(&self, guid: &str, event: &str, body: &[u8]) {
        let said = webhook::decode(event, body).expect("a body");
        self.store.record_delivery(guid, event, body, Some(&said)).await.expect("a record");
    }

    /// Plays the outbox. False if there was nothing.
    async fn post(&mut self) -> bool {
        let due = self.store.due_effects().await.unwrap();
        for wanted in &due {
            match &wanted.effect {
                Effect::React { to, .. } => {
                    *self.reactions.entry(*to).or_default() += 1;
                    self.store.effect_done(wanted.id).await.unwrap();
                }
                Effect::Comment { on, body } => {
                    *self.words.entry(on.0).or_default() += 1;
                    let body = format!("{body}\n\n{}", message::marker(wanted.id));
                    let posted = CommentId(self.w.github.comment(REPO, on.0, HOB, &body).await);
                    self.store.comment_posted(wanted.id, None, posted, None).await.unwrap();
                }
                Effect::ReviewReply { .. } | Effect::RequestReview { .. } | Effect::Evidence { .. } => {
                    panic!("no worker is played that ends a review")
                }
                // It follows from what is looked at.
                Effect::Status => {
                    let body = message::marker(wanted.id);
                    let on = self.store.story(wanted.story).await.unwrap().issue;
                    let posted = CommentId(self.w.github.comment(REPO, on.0, HOB, &body).await);
                    self.store.status_posted(wanted.id, posted, None, None).await.unwrap();
                }
                Effect::Card { question } => {
                    let card = self.store.card(*question).await.unwrap();
                    if card.comment.is_some() || !card.is_open {
                        // How it is shown afterwards follows from what is looked at.
                        self.store.effect_done(wanted.id).await.unwrap();
                        continue;
                    }
                    let body = message::card::card(&card);
                    let posted = CommentId(self.w.github.comment(REPO, card.on.0, HOB, &body).await);
                    self.store.comment_posted(wanted.id, Some(*question), posted, None).await.unwrap();
                }
                Effect::DeleteBranch { branch, .. } => {
                    self.store.branch_gone(wanted, branch).await.unwrap();
                }
                Effect::PullRequest { title, .. } => {
                    let story = self.store.story(wanted.story).await.unwrap();
                    let pull = self.w.github.open_pull(REPO, HOB, title, &story.branch, "main");
                    let number = PullNumber(pull);
                    let shown = PublishedPull {
                        number,
                        draft: Some(false),
                        title: None,
                        unfinished: false,
                        base: "main".to_owned(),
                    };
                    self.store.pull_request_open(wanted, &shown, &[]).await.unwrap();
                }
            }
        }
        !due.is_empty()
    }

    async fn story(&self, issue: u64) -> Option<Story> {
        let repo = REPO.parse().expect("a repository");
        self.store.story_at(&repo, IssueNumber(issue)).await.unwrap()
    }
}

async fn look(scene: &Scene, case: &Case) -> Look {
    let (states, reactions) = (Vec::new(), 0);
    let mut look = Look { tasks: 0, states, stops: 0, answers: 0, messages: 0, words: 0, reactions };
    if let Some(story) = scene.story(case.issue).await {
        let tasks = scene.store.tasks_of(story.id).await.unwrap();
        for task in &tasks {
            look.stops += usize::from(scene.store.stop_wanted(task).await.unwrap().is_some());
        }
        look.tasks = tasks.len();
        look.states = tasks.iter().map(|task| task.state).collect();
        let questions = scene.store.questions(story.id).await.unwrap();
        look.messages = scene.store.messages_wanted(story.id).await.unwrap().len();
        look.answers = questions.iter().filter(|asked| asked.answer.is_some()).count();
    }
    let places = HashSet::from([case.issue, case.on]);
    look.words = places.iter().filter_map(|place| scene.words.get(place)).sum();
    let to = match (case.comment, case.remark) {
        (_, Some(remark)) => ReactTo::ReviewComment(remark),
        (Some(comment), None) => ReactTo::Comment(comment),
        (None, None) => ReactTo::Issue(IssueNumber(case.issue)),
    };
    look.reactions = scene.reactions.get(&to).copied().unwrap_or(0);
    look
}

fn leads(before: &Look, after: &Look) -> Vec<Leads> {
    let mut found = Vec::new();
    let told = [
        (after.tasks > before.tasks, Leads::Task),
        (after.answers > before.answers, Leads::Answer),
        (after.messages > before.messages, Leads::Message),
        (after.stops > before.stops, Leads::Stop),
        (after.words > before.words, Leads::Words),
    ];
    found.extend(told.into_iter().filter(|(is_so, _)| *is_so).map(|(_, leads)| leads));
    if found.is_empty() && before != after {
        panic!("something else has changed: {before:?}, {after:?}");
    }
    if found.is_empty() { vec![Leads::Nothing] } else { found }
}

// ---- Setting the stage

/// A case for each role, event and command, with its issue.
async fn cases(w: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for event in &EVENTS {
        for role in &ROLES {
            for (command, says) in said_in(event) {
                let body = if event.act == Input::Label { says } else { "" };
                let issue = match event.stage {
                    Stage::Foreign => foreign_pull(w, &format!("topic-{}", cases.len())).await,
                    _ => w.alice().opens_issue(command, body).await,
                };
                cases.push(Case {
                    role,
                    event,
                    command,
                    says,
                    issue,
                    on: issue,
                    comment: None,
                    remark: None,
                });
            }
        }
    }
    cases
}

/// On a branch of its own: hob works for one story on each.
async fn foreign_pull(w: &World, branch: &str) -> u64 {
    w.alice().pushes(branch, &[("topic.md", "mine\n")], "Something of mine").await;
    w.github.open_pull(REPO, "alice", "Something of mine", branch, "main")
}

/// Brings each story to where its event finds it.
async fn set_the_stage(scene: &mut Scene, cases: &mut [Case]) {
    let stages: HashMap<u64, Stage> = cases.iter().map(|case| (case.issue, case.event.stage)).collect();
    let begins = |stage| match stage {
        Stage::Busy | Stage::Asked | Stage::Proposed | Stage::Failed => Some("/hob work"),
        Stage::Planned => Some("/hob plan"),
        Stage::Fresh | Stage::Foreign => None,
    };
    for case in cases.iter() {
        if let Some(command) = begins(case.event.stage) {
            scene.w.alice().comments(case.issue, command).await;
        }
    }
    scene.settle().await;
    while let Some(task) = scene.store.claim_task(LEASE, &Sharing::default()).await.unwrap() {
        let story = scene.store.story(task.story).await.unwrap();
        bring(scene, task, &story, stages[&story.issue.0]).await;
    }
    scene.settle().await;
    for case in cases.iter_mut().filter(|case| case.event.stage == Stage::Proposed) {
        let story = scene.story(case.issue).await;
        case.on = story.and_then(|story| story.pull).expect("a pull request").0;
    }
}

/// Plays the worker: a run that is under way, asks, plans or proposes.
async fn bring(scene: &Scene, task: Task, story: &Story, stage: Stage) {
    let store = &scene.store;
    let (task, mut run) = store.begin_run(&task, AgentKind::Claude).await.unwrap();
    if stage == Stage::Busy {
        return;
    }
    let question = || Question {
        text: "Which one?".to_owned(),
        options: vec!["the first one".to_owned()],
        ..Question::default()
    };
    let outcome = match stage {
        Stage::Asked => Outcome::Blocked { question: question() },
        Stage::Failed => Outcome::Failed { class: FailureClass::Crashed, detail: String::new() },
        _ => Outcome::Completed { summary: None },
    };
    let end = RunEnd {
        outcome,
        cost_usd: None,
        turns: None,
        duration_ms: 0,
        exit_code: Some(0),
        session: None,
        drops: Vec::new(),
        resets_at: None,
        renewal: None,
        title: None,
        replies: Vec::new(),
        tokens: None,
        session_tokens: None,
    };
    store.end_run(&task, &mut run, end, &StoryUpdate::default()).await.unwrap();
    let task = if stage == Stage::Proposed {
        scene.w.alice().pushes(&story.branch, &[("done.md", "done\n")], "Do it").await;
        let task = store.advance(&task, TaskState::Publishing, &Transition::default()).await.unwrap();
        let pull = Effect::PullRequest {
            title: "Do it".to_owned(),
            body: "Done.".to_owned(),
            short: String::new(),
            unfinished: false,
            draft: None,
            reviewers: Vec::new(),
            asker: None,
            labels: Vec::new(),
        };
        let change = Transition { effects: vec![NewEffect::new(pull)], ..Transition::default() };
        store.advance(&task, TaskState::Done, &change).await.unwrap()
    } else if stage == Stage::Failed {
        store.advance(&task, TaskState::Failed, &Transition::default()).await.unwrap()
    } else {
        let id = QuestionId::new();
        let subject = match stage {
            Stage::Planned => hob::story::QuestionSubject::Plan,
            _ => hob::story::QuestionSubject::Agent,
        };
        let change = Transition {
            question: Some(NewQuestion { id, question: question(), subject }),
            effects: vec![NewEffect::new(Effect::Card { question: id })],
            ..Transition::default()
        };
        store.advance(&task, TaskState::Blocked, &change).await.unwrap()
    };
    store.release_task(&task, Duration::ZERO).await.unwrap();
}

// ---- Acting

/// Every issue as a webhook has it, by its number.
fn issues_as_sent(w: &World) -> HashMap<u64, Value> {
    let opened = w.github.deliveries().into_iter().filter(|sent| sent.action.as_deref() == Some("opened"));
    let issue = |body: Vec<u8>| serde_json::from_slice::<Value>(&body).expect("JSON")["issue"].take();
    opened.map(|sent| issue(sent.body)).filter_map(|issue| Some((issue["number"].as_u64()?, issue))).collect()
}

async fn act(scene: &Scene, case: &mut Case, sent: &HashMap<u64, Value>, foreign: u64) {
    let (github, login) = (&scene.w.github, case.role.login);
    // What hob writes ends with its marker; that is how it knows itself.
    let own = if login == HOB { format!("\n\n{}", message::marker(EffectId::new())) } else { String::new() };
    let says = format!("{}{own}", case.says);
    match case.event.act {
        Input::Label => drop(github.label_issue(REPO, case.issue, login, "hob").await),
        Input::Comment => case.comment = Some(CommentId(github.comment(REPO, case.on, login, &says).await)),
        Input::Unlabel => drop(github.unlabel_issue(REPO, case.issue, login, "hob").await),
        Input::Press(button) => press(scene, case, button).await,
        Input::Review => {
            let said = [on("done.md", 1, &says)];
            let made = github.review(REPO, case.on, login, Verdict::ChangesRequested, "", &said).await;
            case.remark = made.first().copied().map(ReviewCommentId);
        }
        Input::Close => drop(github.end_issue(REPO, case.issue, login, "closed").await),
        Input::Edit => {
            // Written where it leads to nothing, so that only the edit is told of the story.
            case.comment = Some(CommentId(github.comment(REPO, foreign, login, "> quoted").await));
            let written = github.deliveries().pop().expect("a webhook");
            let mut body: Value = serde_json::from_slice(&written.body).expect("JSON");
            body["action"] = json!("edited");
            body["changes"] = json!({"body": {"from": "> quoted"}});
            body["comment"]["body"] = json!(says);
            body["issue"] = sent[&case.issue].clone();
            let guid = uuid::Uuid::new_v4().to_string();
            scene.hears(&guid, "issue_comment", body.to_string().as_bytes()).await;
        }
    }
}

/// Presses a button on a check run that tells about the case's story.
async fn press(scene: &Scene, case: &Case, name: Option<&str>) {
    let story = scene.story(case.issue).await.expect("a story");
    let task = scene.store.tasks_of(story.id).await.unwrap().pop().expect("a task").id;
    let buttons = [STOP_BUTTON, RETRY_BUTTON].map(|name| Button {
        label: "A button",
        description: "Does something",
        identifier: button(name, task),
    });
    let head: Sha = scene.w.github.commits(REPO, "main")[0].sha.parse().expect("a commit");
    let run = CheckRun::from(CheckRunText {
        name: "hob",
        head: head.clone(),
        external_id: story.id.to_string(),
        details_url: "https://hob.example/".to_owned(),
        state: CheckState::InProgress,
        title: "At work".to_owned(),
        summary: "At work".to_owned(),
        text: None,
        buttons: buttons.to_vec(),
    });
    let repository = scene.github.repository(&story.at()).await.expect("a way there");
    let id = repository.create_check_run(&run).await.expect("a check run");
    let shown = ShownCheck { head: &head, check_run: Some(id), says: "", is_completed: false };
    scene.store.check_written(story.id, shown).await.unwrap();
    let pressed = name.map(|name| button(name, task));
    scene.w.github.press(REPO, case.role.login, id.0, pressed.as_deref()).await;
}

/// Whether the status comment is the answer: where a label or a button begins work.
fn is_answered(case: &Case, wanted: Leads) -> bool {
    matches!(case.event.act, Input::Label | Input::Press(_)) && wanted == Leads::Task
}

/// What is wrong with a case: it led to something else than it should, or was not acknowledged.
fn objection(case: &Case, before: &Look, after: &Look) -> Option<String> {
    let wanted = if case.role.may { (case.event.leads_to)(case.command) } else { Leads::Nothing };
    let found = leads(before, after);
    let acknowledged = after.reactions > before.reactions;
    let is_right = found == [wanted]
        && acknowledged
            == (wanted != Leads::Nothing
                && case.event.act.can_be_acknowledged()
                && !is_answered(case, wanted));
    let seen = if acknowledged { "with" } else { "without" };
    (!is_right).then(|| format!("{}: {found:?} {seen} a reaction instead of {wanted:?}", case.name()))
}

#[tokio::test]
async fn nobody_below_write_access_starts_steers_answers_or_stops_anything() {
    let began = Instant::now();
    let mut scene = Scene::begin().await;
    let foreign = foreign_pull(&scene.w, "topic").await;
    let mut cases = cases(&scene.w).await;
    set_the_stage(&mut scene, &mut cases).await;
    let mut before = Vec::new();
    for case in &cases {
        before.push(look(&scene, case).await);
    }
    let sent = issues_as_sent(&scene.w);
    for case in &mut cases {
        act(&scene, case, &sent, foreign).await;
    }
    scene.settle().await;

    let mut wrong = Vec::new();
    for (case, before) in cases.iter().zip(&before) {
        wrong.extend(objection(case, before, &look(&scene, case).await));
    }
    assert!(wrong.is_empty(), "{} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let led = cases
        .iter()
        .filter(|case| case.role.may && (case.event.leads_to)(case.command) != Leads::Nothing)
        .count();
    let said_in_all: usize = EVENTS.iter().map(|event| said_in(event).len()).sum();
    assert_eq!(cases.len(), ROLES.len() * said_in_all);
    println!(
        "roles: {} × {said_in_all} in {} events = {} cases; {led} led to something, the other {} to nothing ({:.0?})",
        ROLES.len(),
        EVENTS.len(),
        cases.len(),
        cases.len() - led,
        began.elapsed()
    );
    scene.end().await;
}

#[tokio::test]
async fn what_hob_itself_writes_is_no_command_also_where_it_writes_as_a_person() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Quiet", "").await;
    for row in TABLE {
        w.github
            .comment(REPO, issue, BOT, &format!("{}\n\n{}", row.example, message::marker(EffectId::new())))
            .await;
    }
    w.quiet().await;
    let repo = REPO.parse().expect("a repository");
    assert!(w.store().story_at(&repo, IssueNumber(issue)).await.unwrap().is_none());
    assert!(w.github.issue_reactions(REPO, issue).is_empty());
    assert_eq!(w.said(issue).len(), TABLE.len(), "hob answered itself");
    for _ in TABLE {
        w.next_comment(issue).await;
    }
    w.finish().await;
}
