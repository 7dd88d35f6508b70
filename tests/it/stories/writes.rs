//! What hob writes to GitHub: as little as tells people what they need, what they wait for first,
//! and no repository at the expense of another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hob::deliver::Deliver;
use hob::github::{Credentials, GitHub};
use hob::heartbeat::Heartbeat;
use hob::ids::{AgentKind, IssueNumber};
use hob::paths::DataDir;
use hob::redact::Secrets;
use hob::store::{Effect, NewEffect, NewTask, Sharing, Store, StoryAsk, Transition};
use hob::story::plan::TaskMode;
use hob::story::{Choice, RunReason, TaskKind, TaskRequest, TaskState};
use tokio_util::sync::CancellationToken;

use crate::world::github::{Fault, RequestLog};
use crate::world::{REPO, World};

/// What GitHub allows in a minute.
const MAX_IN_A_MINUTE: usize = 80;

/// Everything that hob has sent to GitHub that is no question: all but git's own requests and
/// GraphQL's questions.
fn writes(w: &World) -> Vec<RequestLog> {
    let is_write = |request: &RequestLog| {
        request.method != "GET" && !request.path.contains(".git/") && !request.path.contains("graphql")
    };
    w.github.requests().into_iter().filter(is_write).collect()
}

/// Each of these has changed something.
fn have_effect(w: &World, issue: u64, writes: &[RequestLog]) {
    for write in writes {
        assert!((200..300).contains(&write.status), "{write:?}");
    }
    let status = w.status(issue).expect("a status comment");
    let changes = writes.iter().filter(|write| write.path.ends_with(&format!("/comments/{}", status.id)));
    assert_eq!(changes.count(), status.revisions.len() - 1);
    for pair in status.revisions.windows(2) {
        assert_ne!(pair[0].1, pair[1].1, "the same was sent again");
    }
    let mut once: Vec<&RequestLog> =
        writes.iter().filter(|write| write.method != "PATCH" && !write.path.ends_with("/comments")).collect();
    let all = once.len();
    once.sort_by_key(|write| (write.method.clone(), write.path.clone(), write.query.clone()));
    once.dedup_by_key(|write| (write.method.clone(), write.path.clone(), write.query.clone()));
    assert_eq!(once.len(), all, "one thing was made twice: {writes:#?}");
}

async fn done(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    w.quiet().await;
    issue
}

/// As operators have it.
fn as_by_default(config: &mut hob::config::Config) {
    config.github.status_every = hob::config::Config::default().github.status_every;
}

#[tokio::test]
async fn a_simple_story_takes_eight_writes_at_most_and_each_has_an_effect() {
    for is_app in [false, true] {
        let mut w = match is_app {
            true => World::prepare_app(as_by_default).await,
            false => World::prepare(as_by_default).await,
        };
        w.start_hob().await;
        let first = done(&w, "work").await;
        let of_first = writes(&w);
        assert!(of_first.len() <= 8, "{} writes: {of_first:#?}", of_first.len());
        have_effect(&w, first, &of_first);

        // What a repository's first story has made is there for the next.
        let next = done(&w, "work").await;
        let of_next = &writes(&w)[of_first.len()..];
        assert!(of_next.len() <= 6, "{} writes: {of_next:#?}", of_next.len());
        have_effect(&w, next, of_next);
        w.finish().await;
    }
}

#[tokio::test]
async fn a_label_that_somebody_deletes_is_made_again_with_its_colour() {
    let w = World::start().await;
    let count = |w: &World| writes(w).iter().filter(|write| write.path.contains("/tool/labels")).count();
    done(&w, "work").await;
    assert_eq!(w.github.label_color(REPO, "hob: review").as_deref(), Some("0e8a16"));
    assert_eq!(count(&w), 1);
    done(&w, "work").await;
    assert_eq!(count(&w), 1, "it is there");
    w.github.delete_label(REPO, "hob: review");
    done(&w, "work").await;
    assert_eq!(w.github.label_color(REPO, "hob: review").as_deref(), Some("0e8a16"));
    assert_eq!(count(&w), 2);
    w.finish().await;
}

/// A story whose work is done, and whose pull request is to be opened.
async fn is_done(w: &World, store: &Store, number: u64) {
    let issue = w.alice().opens_issue("Do it", "").await;
    let branch = format!("hob/issue-{number}");
    w.alice().pushes(&branch, &[("done.md", "done\n")], "Do it").await;
    let on = StoryAsk {
        repo: REPO.parse().unwrap(),
        github_id: None,
        issue: IssueNumber(issue),
        title: "Do it".to_owned(),
        installation: None,
        base_branch: "main".to_owned(),
        branch,
        theirs: None,
    };
    let ask = TaskRequest {
        by: "alice".to_owned(),
        by_id: None,
        title: "Do it".to_owned(),
        body: String::new(),
        text: None,
        choice: Choice::default(),
        on: None,
        about: TaskKind::Issue,
    };
    let (mode, turn) = (TaskMode::Work, RunReason::Begin);
    let new = NewTask { on, ask, mode, turn, labeled_at: None, settings: None, effects: vec![] };
    let guid = format!("guid-{number}");
    store.record_delivery(&guid, "issues", b"{}", None).await.unwrap();
    store.open_task(&guid, &new).await.unwrap();
    let task = store.claim_task(Duration::from_secs(600), &Sharing::default()).await.unwrap().unwrap();
    let (task, _) = store.begin_run(&task, AgentKind::Claude).await.unwrap();
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
    let words = Some("Done: #{pull} has 1 commit for you to review.".to_owned());
    let change = Transition { effects: vec![NewEffect::new(pull)], words, ..Transition::default() };
    let task = store.advance(&task, TaskState::Done, &change).await.unwrap();
    store.release_task(&task, Duration::ZERO).await.unwrap();
}

/// Thirty stories are done at once, and each has a status comment to write, a label to put on, and
/// a pull request to open: more than GitHub allows in a minute.
#[tokio::test]
async fn where_many_stories_end_at_once_no_pull_request_waits_for_a_status() {
    const STORIES: u64 = 30;
    let w = World::prepare(as_by_default).await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("hob.db")).await.unwrap();
    for number in 1..=STORIES {
        is_done(&w, &store, number).await;
    }
    let credentials = Credentials::Token(w.config.github.token.clone().unwrap());
    let deliver = Deliver {
        config: Arc::new(w.config.clone()),
        store: store.clone(),
        github: GitHub::new(&w.config.github.api_url, credentials).unwrap(),
        data: DataDir::ensure(&folder.path().join("data")).unwrap(),
        secrets: Secrets::new(w.config.secrets()),
    };
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running =
        tokio::spawn(deliver.run(stop.clone(), Heartbeat::new("deliver", Duration::from_secs(600))));
    w.until("all pull requests", |github| (github.pulls(REPO).len() == STORIES as usize).then_some(())).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let before = writes(&w);
    let pulls = before.iter().filter(|write| write.path.ends_with("/pulls")).count();
    assert!(before.len() <= pulls + 12, "they went first: {} of {}", pulls, before.len());
    // The rest goes on, within what GitHub allows.
    w.until("status comments", |_| {
        (writes(&w).iter().filter(|write| write.path.ends_with("/comments")).count() >= 20).then_some(())
    })
    .await;
    assert!(began.elapsed() > Duration::from_secs(60) || writes(&w).len() <= MAX_IN_A_MINUTE);
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// The API of one repository hangs, for what hob reads there and for what it writes; the story of
/// another goes through.
#[tokio::test]
async fn a_repository_that_hangs_holds_up_no_other() {
    const SLOW: &str = "acme/slow";
    let w = World::start().await;
    w.github.create_repo(SLOW, &[("README.md", "# slow\n")]).await;
    w.github.set_permission(SLOW, "alice", "write");
    // One story there has got so far that it has something to write; of others, deliveries wait.
    let begun = w.github.open_issue(SLOW, "alice", "Begun", "[scenario: ask]").await;
    w.github.label_issue(SLOW, begun, "alice", "hob").await;
    w.until("a question", |github| {
        github.comments(SLOW, begun).iter().find(|said| said.body.contains("Which shape")).map(|_| ())
    })
    .await;
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        w.github.fault(method, "/repos/acme/slow", Fault::Delay(Duration::from_secs(300)), 1000);
    }
    w.github.comment(SLOW, begun, "alice", "/hob stop").await;
    for number in 0..5 {
        let issue = w.github.open_issue(SLOW, "alice", &format!("Issue {number}"), "[scenario: work]").await;
        w.github.label_issue(SLOW, issue, "alice", "hob").await;
    }
    let began = Instant::now();
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(w.store().open_deliveries().await.unwrap() > 0, "the others wait");
    // What hangs is not waited for: hob is told to stop, and the faults are over.
    w.github.end_faults();
}
