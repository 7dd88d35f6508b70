//! Issues that are blocked by others: hob says by which, keeps what was asked for, and begins by
//! itself when the last of them is closed, if who asked may still push and nobody has called it
//! off.

use crate::world::{BOT, REPO, World};

fn runs(w: &World) -> usize {
    std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count)
}

/// An issue that is blocked by these, asked for with the label, and what hob says about it.
async fn blocked(w: &World, title: &str, body: &str, by: &[u64]) -> u64 {
    let issue = w.alice().opens_issue(title, body).await;
    for blocker in by {
        w.github.block_issue(REPO, issue, *blocker);
    }
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    let names: Vec<String> = by.iter().map(|number| format!("#{number}")).collect();
    assert!(
        said.starts_with(&format!("**Not started yet: this is blocked by {}.**", names.join(", "))),
        "{said}"
    );
    issue
}

async fn wishes(w: &World) -> i64 {
    w.store().wishes().await.unwrap()
}

#[tokio::test]
async fn blocked_work_begins_by_itself_with_the_text_that_was_asked_for_when_the_last_blocker_is_closed() {
    let mut w = World::start().await;
    let first = w.alice().opens_issue("First this", "").await;
    let second = w.alice().opens_issue("And this", "").await;
    let issue = blocked(&w, "Then that", "[scenario: work] As it was.", &[first, second]).await;
    w.quiet().await;
    assert_eq!((runs(&w), wishes(&w).await), (0, 1));
    assert_eq!(w.github.issue_reactions(REPO, issue), [(BOT.to_owned(), "eyes".to_owned())]);
    w.bob().comments(issue, "/hob status").await;
    assert!(w.next_comment(issue).await.body.starts_with("Nothing is started yet: this issue is blocked"));
    // The operator sees it too.
    let (code, status) = w.command(&["status"]).await;
    assert!(code == Some(0) && status.contains("Blocked requests: 1\n"), "{status}");
    let line = status.lines().find(|line| line.contains("acme/tool#3")).expect("a line about it");
    assert!(line.contains("alice") && line.ends_with("acme/tool#1, acme/tool#2"), "{line}");

    // Who may not push changes it meanwhile; what was asked for stands.
    w.github.edit_issue_as(REPO, issue, "mallory", "Then that", "[scenario: fail] Something else.");
    w.tina().ends(first, "closed").await;
    w.quiet_deliveries().await;
    assert_eq!((runs(&w), wishes(&w).await), (0, 1), "one of two is still open");

    // It is in the store: a hob that starts again knows of it.
    w.stop_hob().await;
    w.start_hob().await;
    w.tina().ends(second, "closed").await;
    let pull = w.next_pull_request().await;
    assert_eq!(
        (pull.title.as_str(), pull.head.as_str()),
        ("Noted one more change in `NOTES.md`", "hob/issue-3")
    );
    assert!(pull.body.contains("Asked for by @alice"), "{}", pull.body);
    assert!(w.next_comment(issue).await.body.starts_with("Done: #"));
    let run = std::fs::read_dir(w.data().join("runs")).unwrap().flatten().next().expect("a run").path();
    let prompt = std::fs::read_to_string(run.join("prompt.md")).unwrap();
    assert!(prompt.contains("As it was.") && !prompt.contains("Something else."), "{prompt}");
    assert_eq!((runs(&w), wishes(&w).await), (1, 0));
    w.finish().await;
}

#[tokio::test]
async fn blocked_work_that_is_called_off_does_not_begin_nor_that_of_somebody_who_may_push_no_more() {
    let w = World::start().await;
    let blocker = w.alice().opens_issue("First this", "").await;
    let unlabeled = blocked(&w, "One", "", &[blocker]).await;
    let stopped = blocked(&w, "Two", "", &[blocker]).await;
    let closed = blocked(&w, "Three", "", &[blocker]).await;
    // No webhook tells of these two.
    let closed_quietly = blocked(&w, "Four", "", &[blocker]).await;
    let unlabeled_quietly = blocked(&w, "Five", "", &[blocker]).await;
    w.github.close_quietly(REPO, closed_quietly);
    w.github.unlabel_quietly(REPO, unlabeled_quietly, "hob");
    let alone = w.bob().opens_issue("Six", "").await;
    w.github.block_issue(REPO, alone, blocker);
    w.bob().comments(alone, "/hob work").await;
    w.next_comment(alone).await;
    w.quiet().await;
    assert_eq!(wishes(&w).await, 6);

    w.mallory().unlabels(unlabeled, "hob").await;
    w.quiet().await;
    assert_eq!(wishes(&w).await, 6, "somebody who may not push has called it off");
    w.alice().unlabels(unlabeled, "hob").await;
    w.bob().comments(stopped, "/hob stop").await;
    let said = w.next_comment(stopped).await.body;
    assert!(said.starts_with("I no longer wait for what blocks this"), "{said}");
    w.alice().ends(closed, "closed").await;
    w.quiet().await;
    assert_eq!(wishes(&w).await, 3);
    w.github.set_permission(REPO, "bob", "read");

    w.alice().ends(blocker, "closed").await;
    let said = w.next_comment(alone).await.body;
    assert!(
        said.starts_with("**Not started: what blocked this is closed, but bob is no longer allowed"),
        "{said}"
    );
    w.eventually("every wish to end", async || (wishes(&w).await == 0).then_some(())).await;
    w.quiet().await;
    assert_eq!((runs(&w), w.github.pulls(REPO).len()), (0, 0));
    w.finish().await;
}

#[tokio::test]
async fn a_blocker_whose_end_no_webhook_tells_of_is_found() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    let blocker = w.alice().opens_issue("First this", "").await;
    let issue = blocked(&w, "Then that", "[scenario: work]", &[blocker]).await;
    w.quiet().await;
    assert_eq!((runs(&w), wishes(&w).await), (0, 1));
    w.github.close_quietly(REPO, blocker);
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #"));
    w.finish().await;
}
