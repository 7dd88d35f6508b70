//! Restarts of the real program in the middle of a run. The agent does not notice.

use crate::world::{REPO, World};

async fn agent_runs(w: &World) -> String {
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await
}

#[tokio::test]
async fn a_hob_that_is_terminated_leaves_the_agent_running_and_the_next_one_finishes() {
    let w = World::prepare(|_| {}).await;
    let first = w.start_program().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: slow 8]").await;
    w.alice().labels(issue, "hob").await;
    let container = agent_runs(&w).await;
    assert_eq!(first.terminate().await, Some(0), "SIGTERM is a clean end");
    assert_eq!(w.containers().await, std::slice::from_ref(&container), "the agent goes on without hob");

    let second = w.start_program().await;
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.commits(REPO, &pull.head).len(), 2);
    w.next_comment(issue).await;
    assert_eq!(second.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_hob_that_is_killed_while_the_agent_works_loses_nothing() {
    let w = World::prepare(|_| {}).await;
    let first = w.start_program().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: slow 5]").await;
    w.alice().labels(issue, "hob").await;
    agent_runs(&w).await;
    first.kill().await;
    // As if it had been about to write a branch's file.
    let lock = w.mirror(REPO).join("refs/heads/main.lock");
    std::fs::write(&lock, "").expect("a lock of git's");
    // The agent may end while nobody looks; its output and its end are in Docker.
    let second = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.bob().pushes("main", &[("more.md", "more\n")], "More").await;
    w.alice().comments(issue, "/hob rebase").await;
    w.until("the merge", |_| w.status(issue).filter(|status| status.body.contains("**Merged `main`"))).await;
    assert!(w.github.file_at(REPO, "hob/issue-1", "more.md").is_some());
    assert_eq!(second.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_question_survives_a_restart() {
    let mut w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.stop_hob().await;
    w.start_hob().await;
    w.alice().comments(issue, "one array").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_stop_that_comes_while_hob_is_away_is_heard_when_it_is_back() {
    let w = World::prepare(|_| {}).await;
    let first = w.start_program().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: hang]").await;
    w.alice().labels(issue, "hob").await;
    agent_runs(&w).await;
    first.kill().await;
    // GitHub cannot deliver it now. hob finds it when it is back, and then it comes all the same.
    w.alice().comments(issue, "/hob stop").await;
    let missed = w.github.deliveries().pop().expect("a delivery");
    let second = w.start_program().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    assert_eq!(w.github.redeliver(&missed.guid).await, 200);
    assert_eq!(second.terminate().await, Some(0));
    w.finish().await;
}
