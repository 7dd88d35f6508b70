//! The race between a comment and the end of a run, move by move: whatever comes first, what was
//! said is told or becomes the next task, once.

use std::time::Duration;

use hob::ids::{AgentKind, CommentId, IssueNumber, StoryId};
use hob::store::{Effect, NewEffect, NewMessage, NewTask, ReactTo, Store, StoryAsk, Transition};
use hob::story::plan::TaskMode;
use hob::story::{Choice, MessageState, Run, RunReason, Task, TaskRequest, TaskState};
use jiff::Timestamp;

struct Desk {
    store: Store,
    story: StoryId,
    task: Task,
    run: Run,
    _folder: tempfile::TempDir,
}

fn seen(comment: u64) -> NewEffect {
    let to = ReactTo::Comment(CommentId(comment));
    NewEffect::new(Effect::React { to, content: "eyes".to_owned() })
}

async fn claim(store: &Store) -> Task {
    store.claim_task(Duration::from_secs(60), &hob::store::Sharing::default()).await.unwrap().expect("a task")
}

impl Desk {
    /// A story whose first run has begun.
    async fn set(agent: AgentKind) -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("hob.db")).await.expect("a store");
        store.record_delivery("first", "issues", b"{}", None).await.unwrap();
        let on = StoryAsk {
            repo: "acme/tool".parse().unwrap(),
            github_id: None,
            issue: IssueNumber(1),
            title: "t".to_owned(),
            installation: None,
            base_branch: "main".to_owned(),
            branch: "hob/issue-1".to_owned(),
            theirs: None,
        };
        let ask = TaskRequest {
            by: "alice".to_owned(),
            by_id: None,
            title: "t".to_owned(),
            body: "b".to_owned(),
            text: None,
            choice: Choice::default(),
            on: None,
            about: hob::story::TaskKind::Issue,
        };
        store
            .open_task(
                "first",
                &NewTask {
                    on,
                    ask,
                    mode: TaskMode::Work,
                    turn: RunReason::Begin,
                    labeled_at: None,
                    settings: Some("checks = [\"true\"]".to_owned()),
                    effects: vec![],
                },
            )
            .await
            .unwrap();
        let (task, run) = store.begin_run(&claim(&store).await, agent).await.unwrap();
        Desk { store, story: task.story, task, run, _folder: folder }
    }

    async fn says(&self, guid: &str, by: &str, text: &str) {
        self.store.record_delivery(guid, "issue_comment", b"{}", None).await.unwrap();
        let comment = CommentId(guid.len() as u64);
        let new = NewMessage {
            text: text.to_owned(),
            by: by.to_owned(),
            by_id: None,
            comment,
            at: Timestamp::UNIX_EPOCH,
        };
        self.store.hear(guid, self.story, &new, &seen(comment.0)).await.unwrap();
    }

    async fn moves(&mut self, to: TaskState) {
        self.task = self.store.advance(&self.task, to, &Transition::default()).await.unwrap();
    }

    async fn states(&self) -> Vec<MessageState> {
        self.store.messages_of(self.story).await.unwrap().into_iter().map(|message| message.state).collect()
    }

    /// What the tasks of the story ask for beyond the issue.
    async fn asked(&self) -> Vec<Option<String>> {
        self.store.asks_of(self.story).await.unwrap().into_iter().map(|ask| ask.text).collect()
    }
}

#[tokio::test]
async fn what_is_said_before_the_end_is_told_and_what_comes_after_is_the_next_task() {
    let mut desk = Desk::set(AgentKind::Claude).await;
    desk.says("a", "bob", "early").await;
    assert!(!desk.store.end_input(&desk.task, desk.run.id).await.unwrap(), "something waits");
    let wanted = desk.store.messages_wanted(desk.story).await.unwrap();
    desk.store.message_told(&desk.task, desk.run.id, &wanted[0]).await.unwrap();
    assert!(desk.store.end_input(&desk.task, desk.run.id).await.unwrap());
    desk.says("bb", "bob", "late").await;
    desk.moves(TaskState::Publishing).await;
    desk.says("ccc", "carol", "later").await;
    assert_eq!(desk.asked().await, [None]);
    desk.moves(TaskState::Done).await;
    let both = "bob wrote:\n\nlate\n\ncarol wrote:\n\nlater".to_owned();
    assert_eq!(desk.asked().await, [None, Some(both.clone())]);
    // Decided while the task was open, written when it was over.
    desk.says("dddd", "bob", "last").await;
    assert_eq!(desk.asked().await, [None, Some(both), Some("last".to_owned())]);
    use MessageState::{Next, Told};
    assert_eq!(desk.states().await, [Told, Next, Next, Next]);
    for task in desk.store.tasks_of(desk.story).await.unwrap() {
        let settings = desk.store.settings_of(task.id).await.unwrap();
        assert_eq!(
            settings.as_deref(),
            Some("checks = [\"true\"]"),
            "the repository's settings hold for all of them"
        );
    }
}

#[tokio::test]
async fn what_was_told_to_a_run_that_broke_off_is_told_again() {
    let mut desk = Desk::set(AgentKind::Claude).await;
    desk.says("a", "bob", "early").await;
    let wanted = desk.store.messages_wanted(desk.story).await.unwrap();
    desk.store.message_told(&desk.task, desk.run.id, &wanted[0]).await.unwrap();
    desk.moves(TaskState::Queued).await;
    assert_eq!(desk.states().await, [MessageState::Wanted]);
    desk.says("bb", "bob", "between").await;
    assert_eq!(desk.states().await, [MessageState::Wanted; 2], "the next run is told both");
    desk.moves(TaskState::Cancelled).await;
    assert_eq!(desk.states().await, [MessageState::Dropped; 2]);
    assert_eq!(desk.asked().await, [None]);
}

#[tokio::test]
async fn an_agent_that_cannot_listen_is_not_waited_for() {
    let mut desk = Desk::set(AgentKind::Codex).await;
    desk.says("a", "bob", "early").await;
    assert_eq!(desk.states().await, [MessageState::Next]);
    desk.moves(TaskState::Failed).await;
    assert_eq!(desk.asked().await, [None, Some("early".to_owned())]);
}
