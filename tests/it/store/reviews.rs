//! Reviews that meet in the store, move by move: one joins the round that waits until a worker has
//! it, the wait has an end, none counts twice, and an approval takes out what is not begun.

use std::path::PathBuf;
use std::time::Duration;

use hob::event::Verdict;
use hob::ids::{IssueNumber, ReviewId, StoryId};
use hob::store::{NewTask, ReviewTaken, Sharing, Store, StoryAsk};
use hob::story::plan::TaskMode;
use hob::story::review::{Review, ReviewBatch, Source};
use hob::story::{Choice, RunReason, Task, TaskKind, TaskRequest, TaskState};
use sqlx::Row as _;

use super::{change, open_raw};

const WAIT: Duration = Duration::from_secs(60);

struct Desk {
    store: Store,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn set() -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hob.db");
        let store = Store::open(&file).await.expect("a store");
        Desk { store, file, _folder: folder }
    }

    async fn reviews(&self, id: u64, by: &str) -> ReviewTaken {
        self.says(id, by, Verdict::Commented).await
    }

    async fn says(&self, id: u64, by: &str, verdict: Verdict) -> ReviewTaken {
        let review = Review {
            source: Source::Review { id: ReviewId(id), verdict },
            by: by.to_owned(),
            by_id: Some(7),
            body: format!("{by} {id}"),
            remarks: Vec::new(),
        };
        let ask = TaskRequest {
            by: by.to_owned(),
            by_id: Some(7),
            title: "t".to_owned(),
            body: "b".to_owned(),
            text: None,
            choice: Choice::default(),
            on: Some(IssueNumber(2)),
            about: TaskKind::Review(ReviewBatch { reviews: vec![review] }),
        };
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
        let (mode, turn) = (TaskMode::Work, RunReason::Begin);
        let new = NewTask { on, ask, mode, turn, labeled_at: None, settings: None, effects: vec![] };
        let guid = uuid::Uuid::new_v4().to_string();
        self.store.record_delivery(&guid, "pull_request_review", b"{}", None).await.unwrap();
        self.store.take_review(&guid, &new, WAIT).await.unwrap()
    }

    async fn approves(&self, id: u64, by: &str) -> bool {
        let guid = uuid::Uuid::new_v4().to_string();
        self.store.record_delivery(&guid, "pull_request_review", b"{}", None).await.unwrap();
        self.store.take_approval(&guid, self.story().await, (by, ReviewId(id)), "approved").await.unwrap()
    }

    async fn story(&self) -> StoryId {
        self.store.stories().await.unwrap()[0].id
    }

    /// Every task, with what was said in its round.
    async fn rounds(&self) -> Vec<(TaskState, String)> {
        let said = |task: Task| {
            let TaskKind::Review(round) = task.ask.about else { panic!("about a review") };
            let said: Vec<String> = round.reviews.into_iter().map(|review| review.body).collect();
            (task.state, said.join(", "))
        };
        self.store.tasks_of(self.story().await).await.unwrap().into_iter().map(said).collect()
    }

    /// How long after it was opened the newest task begins.
    async fn begins_after(&self) -> Duration {
        let mut connection = open_raw(&self.file).await;
        let found =
            sqlx::query("SELECT not_before - created_at AS wait FROM tasks ORDER BY seq DESC LIMIT 1");
        let wait: i64 = found.fetch_one(&mut connection).await.expect("a task").get("wait");
        Duration::from_millis(wait.unsigned_abs())
    }

    async fn claim(&self) -> Option<Task> {
        self.store.claim_task(Duration::from_secs(600), &Sharing::default()).await.unwrap()
    }
}

#[tokio::test]
async fn a_round_takes_more_in_until_it_begins_and_waits_no_longer_than_ten_times() {
    let desk = Desk::set().await;
    assert_eq!(desk.reviews(1, "alice").await, ReviewTaken::Opened);
    assert!(desk.claim().await.is_none(), "it waits");
    assert_eq!(desk.reviews(2, "bob").await, ReviewTaken::Joined);
    assert_eq!(desk.reviews(2, "bob").await, ReviewTaken::Known, "each once");
    assert_eq!(desk.rounds().await, [(TaskState::Queued, "alice 1, bob 2".to_owned())]);
    // Somebody says something each minute, and has begun nine and a half minutes ago.
    change(&desk.file, "UPDATE tasks SET created_at = created_at - 570000, not_before = not_before - 570000")
        .await;
    assert_eq!(desk.reviews(3, "alice").await, ReviewTaken::Joined);
    assert_eq!(desk.begins_after().await, WAIT * 10);

    // Who holds it works on what was there then, and what comes after that is next.
    change(&desk.file, "UPDATE tasks SET not_before = 0").await;
    let held = desk.claim().await.expect("it is due");
    assert_eq!(desk.reviews(4, "bob").await, ReviewTaken::Opened);
    assert_eq!(desk.reviews(1, "alice").await, ReviewTaken::Known);
    let queued = |said: &str| (TaskState::Queued, said.to_owned());
    assert_eq!(desk.rounds().await, [queued("alice 1, bob 2, alice 3"), queued("bob 4")]);
    // Whose lease has run out is not the holder any more, once something has joined.
    desk.store.release_task(&held, Duration::ZERO).await.unwrap();
    change(&desk.file, "UPDATE tasks SET state = 'cancelled' WHERE seq = (SELECT MAX(seq) FROM tasks)").await;
    assert_eq!(desk.reviews(5, "bob").await, ReviewTaken::Joined);
    let begun = desk.store.begin_run(&held, hob::ids::AgentKind::Claude).await;
    assert!(begun.is_err(), "it would not know of the last review");
}

#[tokio::test]
async fn an_approval_takes_out_what_its_author_said_and_is_not_begun() {
    let desk = Desk::set().await;
    for (id, by) in [(1, "alice"), (2, "bob"), (3, "alice")] {
        desk.reviews(id, by).await;
    }
    assert!(!desk.approves(11, "carol").await, "she had said nothing");
    assert!(desk.approves(12, "Alice").await);
    assert_eq!(desk.rounds().await, [(TaskState::Queued, "bob 2".to_owned())]);
    let task = desk.store.tasks_of(desk.story().await).await.unwrap().remove(0);
    assert_eq!(task.ask.by, "bob", "whoever is left asks for it");
    assert!(desk.approves(13, "bob").await);
    assert_eq!(desk.rounds().await[0].0, TaskState::Done);
    assert!(!desk.approves(14, "bob").await);
    assert_eq!(desk.reviews(15, "bob").await, ReviewTaken::Opened, "what is said after that is new");
    // An approval that is heard of late, and one that says something: that stands in the place of
    // what was said before.
    assert!(!desk.approves(14, "bob").await);
    assert_eq!(desk.says(16, "bob", Verdict::Approved).await, ReviewTaken::Joined);
    assert_eq!(desk.rounds().await[1].1, "bob 16");

    // Who has it may take out what was taken back meanwhile; who does not have it any more may not.
    desk.reviews(17, "alice").await;
    change(&desk.file, "UPDATE tasks SET not_before = 0").await;
    let held = desk.claim().await.expect("it is due");
    let TaskKind::Review(round) = &held.ask.about else { panic!("about a review") };
    let rest = round.without("bob", ReviewId(18));
    let left = desk.store.note_round(&held, rest.clone()).await.unwrap();
    assert_eq!((left.ask.by.as_str(), desk.rounds().await[1].1.as_str()), ("alice", "alice 17"));
    desk.store.release_task(&held, Duration::ZERO).await.unwrap();
    desk.reviews(19, "carol").await;
    assert!(desk.store.note_round(&held, rest).await.is_err());
}
