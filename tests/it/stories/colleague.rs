//! A pull request among people: reviewers, commits of somebody's own and a base branch that moves,
//! all at once. What comes of it has everybody's commits, and is merged.

use std::time::Duration;

use hob::config::FollowBase;

use crate::world::github::{Merging, Verdict, on};
use crate::world::{BOT, REPO, World};

#[tokio::test]
async fn two_reviewers_a_push_in_between_and_a_base_that_moved_end_in_a_branch_that_merges() {
    let w = World::with(|config| {
        config.pull_request.follow_base = FollowBase::Always;
        config.pull_request.wait = Duration::from_secs(1);
    })
    .await;
    let issue = w.alice().opens_issue("Note it", "[scenario: review]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let (number, branch) = (pull.number, pull.head.as_str());
    let first = w.github.commits(REPO, branch)[0].sha.clone();

    let slow = [on("NOTES.md", 1, "SLOW: say why.")];
    let bobs = w.bob().reviews(number, Verdict::ChangesRequested, "", &slow).await[0];
    let stop = [on("NOTES.md", 1, "No full stop.")];
    let alices = w.alice().reviews(number, Verdict::Commented, "", &stop).await[0];
    w.eventually("the agent to work on both", async || {
        let runs = std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count);
        (runs == 2 && !w.containers().await.is_empty()).then_some(())
    })
    .await;
    let by_hand = w.bob().pushes(branch, &[("bob.md", "by hand\n")], "By hand").await;
    let meanwhile = w.alice().pushes("main", &[("main.md", "meanwhile\n")], "Meanwhile on main").await;

    for thread in [bobs, alices] {
        let answered = |github: &crate::world::github::GitHub| {
            let mut all = github.thread_comments(REPO, number).into_iter();
            all.find(|comment| comment.in_reply_to == Some(thread) && comment.author == BOT)
        };
        w.until("an answer in the thread", answered).await;
    }
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("What people pushed to `hob/issue-1` meanwhile is merged in."), "{done}");
    w.until("the base to be merged in", |github| github.has_commit(REPO, branch, &meanwhile).then_some(()))
        .await;
    w.quiet().await;

    for sha in [&first, &by_hand, &meanwhile] {
        assert!(w.github.has_commit(REPO, branch, sha), "{sha} is lost");
    }
    let files = ["NOTES.md", "review.md", "bob.md", "main.md"];
    assert!(files.iter().all(|path| w.github.file_at(REPO, branch, path).is_some()));
    assert!(w.github.is_mergeable(REPO, "main", branch));
    let now = w.github.pulls(REPO).into_iter().find(|now| now.number == number).expect("the pull request");
    assert_eq!(now.reviewers, ["bob", "alice"], "both are asked again");

    w.bob().approves(number).await;
    w.bob().merges(number, Merging::Commit).await;
    w.quiet().await;
    assert!(files.iter().all(|path| w.github.file_at(REPO, "main", path).is_some()));
    let labels = w.github.labels(REPO, issue);
    assert_eq!(labels, ["hob"], "nothing is under work any more");
    w.next_pull_request().await;
    w.finish().await;
}
