//! What an operator does beside a running hob: look, copy the store, put a webhook into the inbox
//! once more, have something tried again.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hob::ids::IssueNumber;
use hob::paths::DataDir;
use hob::store::{Effect, NewEffect, Store, StoryAsk};

use super::quick_check;
use crate::world::{REPO, World};

#[tokio::test]
async fn a_backup_under_heavy_writes_is_whole_and_hob_starts_on_it() {
    let mut w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    let store = w.store().clone();
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, stop, written) = (store.clone(), stop.clone(), written.clone());
            tokio::spawn(async move {
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let guid = format!("writer-{writer}-{n}");
                    store.record_delivery(&guid, "star", b"{\"action\":\"created\"}", None).await.unwrap();
                    written.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut copies = Vec::new();
    // Over all copies: on a busy machine one may be made while no writer has its turn.
    let mut during = 0;
    for n in 0..5 {
        let before = written.load(Ordering::SeqCst);
        let copy = w.folder().join(format!("copy-{n}.db"));
        let (code, said) = w.command(&["backup", copy.to_str().unwrap()]).await;
        assert!(code == Some(0) && said.contains("To restore it: stop hob"), "{said}");
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        during += written.load(Ordering::SeqCst) - before;
        assert_eq!(quick_check(&copy).await, "ok");
        copies.push(copy);
    }
    assert!(during > 0, "nothing was written meanwhile");
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    let (code, said) = w.command(&["backup", copies[0].to_str().unwrap()]).await;
    assert!(code == Some(1) && said.contains("already exists; nothing was written"), "{said}");

    // The machine is gone; hob starts on the last copy, with the folders of its stories.
    w.quiet().await;
    w.stop_hob().await;
    let (code, _) = w.command(&["backup", w.folder().join("stopped.db").to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "it works without a running hob too");
    std::fs::rename(copies.last().unwrap(), w.data().join("hob.db")).unwrap();
    let hob = w.start_program().await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn status_tells_what_is_under_way_and_what_waits() {
    let w = World::start().await;
    let (code, said) = w.command(&["status"]).await;
    assert_eq!(code, Some(0), "{said}");
    for part in ["Failed writes to GitHub: none", "Open tasks: none", "Store: schema "] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let asks = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(asks, "hob").await;
    w.next_comment(asks).await;
    let works = w.alice().opens_issue("Long work", "[scenario: slow 20]").await;
    w.alice().labels(works, "hob").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;

    let (code, said) = w.command(&["status"]).await;
    assert_eq!(code, Some(0), "{said}");
    let line =
        |words: &str| said.lines().find(|line| line.contains(words)).map(str::to_owned).unwrap_or_default();
    let asking = line(&format!("{REPO}#{asks}"));
    assert!(
        asking.contains("blocked") && asking.contains("asks: Which shape should the output have?"),
        "{said}"
    );
    let working = line(&format!("{REPO}#{works}"));
    assert!(working.contains("running") && working.contains("claude") && working.contains("yes"), "{said}");
    let (_, said) = w.command(&["status", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON and nothing else");
    assert_eq!(report["tasks"][0]["question"], "Which shape should the output have?");
    assert_eq!(report["tasks"][1]["is_leased"], true);
    assert!(
        report["disk"]["free"].as_u64().unwrap() > 0
            && report["disk"]["used"]["stories"].as_u64().unwrap() > 0
    );
    assert_eq!(report["repositories"][0]["repo"], REPO);

    w.alice().comments(works, "/hob stop").await;
    w.next_comment(works).await;
    w.alice().comments(asks, "one array").await;
    w.next_pull_request().await;
    w.next_comment(asks).await;
    w.finish().await;
}

#[tokio::test]
async fn a_backup_that_is_put_back_says_nothing_twice() {
    let w = World::prepare(|_| {}).await;
    let issue = w.alice().opens_issue("Add a note", "").await;
    with_a_comment(&w, issue).await.0.close().await;
    let copy = w.folder().join("copy.db");
    assert_eq!(w.command(&["backup", copy.to_str().unwrap()]).await.0, Some(0));
    let hob = w.start_program().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));

    std::fs::rename(&copy, w.data().join("hob.db")).unwrap();
    let (_, said) = w.command(&["status"]).await;
    assert!(said.contains("Pending writes to GitHub: 1"), "the copy is from before: {said}");
    let hob = w.start_program().await;
    w.eventually("hob to find the comment", async || {
        w.command(&["status"]).await.1.contains("Pending writes to GitHub: none").then_some(())
    })
    .await;
    assert_eq!(w.said(issue).len(), 1);
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

/// A data folder in which hob wants to say something.
async fn with_a_comment(w: &World, issue: u64) -> (Store, NewEffect) {
    let data = DataDir::ensure(w.data()).unwrap();
    let store = Store::open(&data.store()).await.unwrap();
    let on = StoryAsk {
        repo: REPO.parse().unwrap(),
        github_id: None,
        issue: IssueNumber(issue),
        title: "Add a note".to_owned(),
        installation: None,
        base_branch: "main".to_owned(),
        branch: "hob/issue-1".to_owned(),
        theirs: None,
    };
    let said = Effect::Comment { on: on.issue, body: "There was something to say.".to_owned() };
    let said = NewEffect::new(said);
    store.record_delivery("guid-1", "issue_comment", b"{}", None).await.unwrap();
    store.only_say("guid-1", &on, &hob::store::Heard::Words, std::slice::from_ref(&said)).await.unwrap();
    (store, said)
}

/// A data folder in which hob has given up on a comment.
async fn with_a_parked_comment(w: &World, issue: u64) -> NewEffect {
    let (store, said) = with_a_comment(w, issue).await;
    store.effect_attempted(said.id).await.unwrap();
    store.effect_parked(said.id, "422 Validation Failed\n\u{1b}[31m").await.unwrap();
    store.close().await;
    said
}

#[tokio::test]
async fn what_is_parked_is_shown_and_tried_again_when_the_operator_says_so() {
    let w = World::prepare(|_| {}).await;
    let issue = w.alice().opens_issue("Add a note", "").await;
    let parked = with_a_parked_comment(&w, issue).await;
    let (code, said) = w.command(&["status"]).await;
    assert_eq!(code, Some(1), "{said}");
    let line = said.lines().find(|line| line.contains(&parked.id.to_string())).expect("the parked effect");
    assert!(
        line.contains(&format!("a comment on #{issue}")) && line.ends_with("422 Validation Failed  [31m"),
        "{line:?}"
    );

    let hob = w.start_program().await;
    for (id, words) in
        [("01a20ba9-52f9-74d8-b1c4-bb6171650b10", "no failed write 01a20ba9"), ("x", "is not a hob id")]
    {
        let (code, said) = w.command(&["retry", id]).await;
        assert!(code != Some(0) && said.contains(words), "{said}");
    }
    assert!(w.said(issue).is_empty(), "a start tries nothing that is parked");
    let (code, said) = w.command(&["retry", &parked.id.to_string()]).await;
    assert!(code == Some(0) && said.contains("1 write is queued again"), "{said}");
    assert!(w.next_comment(issue).await.body.starts_with("There was something to say."));
    w.eventually("nothing to be parked", async || (w.command(&["status"]).await.0 == Some(0)).then_some(()))
        .await;
    let (code, said) = w.command(&["retry", "--all"]).await;
    assert!(code == Some(0) && said.contains("There are no failed writes"), "{said}");
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_delivery_is_replayed_when_the_operator_says_so() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    let issue = w.tina().opens_issue("Add a note", "[scenario: work]").await;
    w.tina().labels(issue, "hob").await;
    let guid = w.github.deliveries().pop().expect("a delivery").guid;
    w.eventually("hob to turn it down", async || w.log().contains("tina may not command hob").then_some(()))
        .await;
    w.github.set_permission(REPO, "tina", "write");

    let (code, said) = w.command(&["replay", "no-such-guid"]).await;
    assert!(code == Some(1) && said.contains("no delivery no-such-guid is recorded"), "{said}");
    let (code, said) = w.command(&["replay", &guid]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("tina may not command hob in acme/tool.") && said.contains("as replay-"), "{said}");
    w.next_pull_request().await;
    w.next_comment(issue).await;

    // Without a running hob it waits for the next; the label was taken up, so nothing comes of it.
    assert_eq!(hob.terminate().await, Some(0));
    assert_eq!(w.command(&["replay", &guid]).await.0, Some(0));
    let hob = w.start_program().await;
    w.eventually("hob to settle it", async || {
        w.log().contains("the label, or a later one, was already handled").then_some(())
    })
    .await;
    assert_eq!(hob.terminate().await, Some(0));
    assert_eq!(w.github.pulls(REPO).len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn check_looks_at_the_store_and_makes_none() {
    let w = World::prepare(|config| {
        let container = &mut config.container;
        let image = std::mem::replace(&mut container.image, "not-there:1".to_owned());
        container.images.insert(config.agent.kind, image);
    })
    .await;
    let (_, said) = w.command(&["check"]).await;
    assert!(said.contains("does not exist yet; `hob serve` creates it"), "{said}");
    assert!(said.contains(" for the agent claude exists") && !said.contains("not-there:1"), "{said}");
    assert!(!w.data().exists(), "a check makes nothing");
    let (code, said) = w.command(&["status"]).await;
    assert!(code == Some(1) && said.contains("it does not exist; `hob serve` creates it"), "{said}");
    let hob = w.start_program().await;
    let (_, said) = w.command(&["check"]).await;
    assert!(said.contains("hob.db is intact, schema "), "{said}");
    assert_eq!(hob.terminate().await, Some(0));
    let (_, said) = w.command(&["check"]).await;
    assert!(said.contains("hob.db is intact, schema "), "{said}");
    w.finish().await;
}
