//! The status comment of a story, changed in place, the labels beside it, and what people do to an
//! issue without a word: they take the label off, close the issue, give it to hob.

use std::path::PathBuf;

use crate::world::github::Fault;
use crate::world::{BOT, REPO, World};

/// The texts that the status comment on an issue has had, oldest first.
fn texts(w: &World, issue: u64) -> Vec<String> {
    let status = w.status(issue).expect("a status comment");
    status.revisions.into_iter().map(|(_, text)| text).collect()
}

async fn shows(w: &World, issue: u64, what: &str) -> String {
    w.until(what, |_| w.status(issue).map(|c| c.body).filter(|body| body.contains(what))).await
}

async fn is_labeled(w: &World, issue: u64, labels: &[&str]) {
    let sorted = |mut labels: Vec<String>| {
        labels.sort();
        labels
    };
    let wanted = sorted(labels.iter().map(|label| (*label).to_owned()).collect());
    let what = format!("the labels {wanted:?}");
    w.until(&what, |github| (sorted(github.labels(REPO, issue)) == wanted).then_some(())).await;
}

fn go_on(w: &World) {
    let story = std::fs::read_dir(w.data().join("stories")).unwrap().flatten().next().expect("a story");
    let file: PathBuf = story.path().join("exchange/go-on");
    std::fs::write(file, "").expect("the agent is told to go on");
}

/// Every delivery is settled, and nobody's wish to stop the work was heard.
async fn is_not_to_be_stopped(w: &World, why: &str) {
    w.quiet_deliveries().await;
    let story = &w.store().stories().await.unwrap()[0];
    let task = w.store().open_task_of(story.id).await.unwrap().expect("the task is under way");
    assert_eq!(w.store().stop_wanted(&task).await.unwrap(), None, "{why}");
}

/// Has an agent work that goes on when it is told to.
async fn at_work(w: &World) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: todo]").await;
    w.alice().labels(issue, "hob").await;
    shows(w, issue, "Now I add the flag.").await;
    issue
}

#[tokio::test]
async fn one_comment_tells_what_is_happening_and_how_it_ended() {
    let w = World::start().await;
    let issue = at_work(&w).await;
    let now = shows(&w, issue, "- [ ] **Add the flag**").await;
    assert!(now.starts_with("**At work** · Claude Code · "), "{now}");
    assert!(now.contains("> Now I add the flag.") && now.contains("- [x] Read the parser"), "{now}");
    assert!(now.contains("<sub>run `"), "{now}");
    is_labeled(&w, issue, &["hob", "hob: working"]).await;

    go_on(&w);
    w.next_pull_request().await;
    let end = w.next_comment(issue).await.body;
    assert!(end.starts_with("Done: #2 has 1 commit for you to review.\n\n<sub>finished in "), "{end}");
    is_labeled(&w, issue, &["hob", "hob: review"]).await;
    w.quiet().await;
    let last = w.status(issue).unwrap().body;
    assert!(last.contains("/acme/tool/tree/hob/issue-1) · #2 · run `"), "{last}");
    assert_eq!(w.written(issue).len(), 1, "all of it is one comment");
    w.finish().await;
}

#[tokio::test]
async fn a_later_task_is_told_in_the_same_comment_and_the_earlier_end_stays_there() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: crash]").await;
    w.alice().labels(issue, "hob").await;
    assert!(w.next_comment(issue).await.body.starts_with("**The agent ended with an error.**"));
    is_labeled(&w, issue, &["hob", "hob: failed"]).await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
    w.quiet().await;
    let status = w.status(issue).unwrap().body;
    let (now, before) =
        status.split_once("<details><summary>Before that</summary>").expect("what was before");
    assert!(now.starts_with("Done: #2") && before.contains("**The agent ended with an error.**"), "{status}");
    assert_eq!(w.written(issue).len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_story_that_waits_says_for_what_and_is_labeled_so() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    let question = w.next_comment(issue).await;
    let status = shows(&w, issue, "**Waiting for an answer**").await;
    w.quiet().await;
    let status = w.status(issue).map_or(status, |c| c.body);
    assert!(status.contains(&format!("/acme/tool/issues/{issue}#issuecomment-{}", question.id)), "{status}");
    is_labeled(&w, issue, &["hob", "hob: waiting"]).await;
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    is_labeled(&w, issue, &["hob", "hob: review"]).await;
    w.finish().await;
}

#[tokio::test]
async fn github_that_is_away_holds_up_the_status_and_loses_none_of_it() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.github.fault("PATCH", "/issues/comments/", Fault::Status(502, vec![]), 3);
    w.github.fault("POST", "/issues/1/labels", Fault::Status(502, vec![]), 1);
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    shows(&w, issue, "**Waiting for an answer**").await;
    is_labeled(&w, issue, &["hob", "hob: waiting"]).await;
    w.finish().await;
}

#[tokio::test]
async fn a_status_comment_that_somebody_deletes_is_made_again() {
    let w = World::start().await;
    let issue = at_work(&w).await;
    let first = w.status(issue).unwrap().id;
    w.github.delete_comment(REPO, first);
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_ne!(w.status(issue).unwrap().id, first);
    w.finish().await;
}

#[tokio::test]
async fn the_states_labels_are_made_with_a_colour_and_a_label_of_ones_own_stays() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Nothing", "[scenario: ask]").await;
    w.alice().labels(issue, "bug").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    is_labeled(&w, issue, &["bug", "hob", "hob: waiting"]).await;
    let has_colour = |color: String| (color == "fbca04").then_some(());
    w.until("its colour", |github| github.label_color(REPO, "hob: waiting").and_then(has_colour)).await;
    // Put on by somebody, and wrong: the next change sets it right.
    w.alice().labels(issue, "hob: failed").await;
    w.alice().comments(issue, "/hob stop").await;
    w.next_comment(issue).await;
    is_labeled(&w, issue, &["bug", "hob"]).await;
    w.finish().await;
}

#[tokio::test]
async fn taking_the_label_off_stops_the_work_and_putting_it_back_starts_it_again() {
    let w = World::start().await;
    let issue = at_work(&w).await;
    w.tina().unlabels(issue, "hob").await;
    is_not_to_be_stopped(&w, "tina may not stop it").await;
    w.alice().labels(issue, "hob").await;
    let labeled = jiff::Timestamp::now().as_second();
    w.bob().unlabels(issue, "hob").await;
    let end = w.next_comment(issue).await.body;
    assert!(end.starts_with("**Stopped: @bob removed the label.**"), "{end}");
    is_labeled(&w, issue, &[]).await;
    w.quiet().await;
    assert!(w.containers().await.is_empty());

    // GitHub's times are whole seconds, and a second apart may be one act.
    w.eventually("another time", async || (jiff::Timestamp::now().as_second() > labeled + 1).then_some(()))
        .await;
    w.alice().labels(issue, "hob").await;
    w.until("the agent to work again", |_| {
        w.status(issue).filter(|c| c.body.starts_with("**At work**")).map(|_| ())
    })
    .await;
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn of_two_labels_the_one_that_chooses_counts_and_either_keeps_the_work_going() {
    let w = World::with(|config| {
        config.agent.keys.insert("CODEX_API_KEY".to_owned(), "sk-another-0123456789-canary".into());
    })
    .await;
    let issue = w.alice().opens_issue("Both", "[codex: slow]").await;
    w.alice().labels(issue, "hob").await;
    w.alice().labels(issue, "hob:codex").await;
    w.until("Codex to work", |_| w.status(issue).filter(|c| c.body.starts_with("**At work**")).map(|_| ()))
        .await;
    let number = hob::ids::IssueNumber(issue);
    let story = w.store().story_at(&REPO.parse().unwrap(), number).await.unwrap().expect("a story");
    let tasks = w.store().tasks_of(story.id).await.unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].ask.choice.agent, Some(hob::ids::AgentKind::Codex));
    // One of two is still on.
    w.bob().unlabels(issue, "hob").await;
    is_not_to_be_stopped(&w, "hob:codex is on the issue").await;
    // A label for another agent comes too late, and is not lost without a word.
    w.alice().labels(issue, "hob:claude").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**`hob:claude` came after Codex had begun.**"), "{said}");
    w.bob().unlabels(issue, "hob:claude").await;
    is_not_to_be_stopped(&w, "hob:codex is still on the issue").await;
    w.bob().unlabels(issue, "hob:codex").await;
    let end = w.next_comment(issue).await.body;
    assert!(end.starts_with("**Stopped: @bob removed the label.**"), "{end}");
    w.finish().await;
}

#[tokio::test]
async fn closing_the_issue_stops_the_work_unless_its_author_may_not() {
    let w = World::start().await;
    let issue = at_work(&w).await;
    assert_eq!(w.mallory().ends(issue, "closed").await, 202);
    is_not_to_be_stopped(&w, "mallory may close her issue, and not stop the work").await;
    w.alice().ends(issue, "closed").await;
    let end = w.next_comment(issue).await.body;
    assert!(end.starts_with("**Stopped: the issue was closed by @alice.**"), "{end}");
    is_labeled(&w, issue, &["hob"]).await;
    w.quiet().await;
    assert!(w.containers().await.is_empty());
    w.finish().await;
}

#[tokio::test]
async fn an_issue_that_is_locked_moved_or_deleted_ends_its_story() {
    for action in ["locked", "transferred", "deleted"] {
        let w = World::start().await;
        let issue = at_work(&w).await;
        w.alice().ends(issue, action).await;
        w.quiet().await;
        assert!(w.containers().await.is_empty(), "{action}");
        let story = &w.store().stories().await.unwrap()[0];
        let facts = w.store().status_facts(story.id).await.unwrap();
        assert_eq!(facts.ended.as_deref(), Some(action));
        assert_eq!(facts.over.len(), 1);
        if action == "locked" {
            assert!(w.next_comment(issue).await.body.starts_with("**Stopped: the issue was locked by"));
        }
        w.finish().await;
    }
}

#[tokio::test]
async fn an_issue_that_is_given_to_hobs_account_is_asked_for() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Nothing", "[scenario: nothing]").await;
    w.alice().assigns(issue, "bob").await;
    w.tina().assigns(issue, BOT).await;
    w.quiet_deliveries().await;
    assert!(w.store().stories().await.unwrap().is_empty());
    w.alice().assigns(issue, BOT).await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    w.finish().await;
}

#[tokio::test]
async fn who_waits_for_a_worker_sees_the_queue_move_on() {
    let w = World::with(|config| config.work.parallel = 1).await;
    let first = at_work(&w).await;
    let second = w.alice().opens_issue("Nothing", "[scenario: ask]").await;
    w.alice().labels(second, "hob").await;
    let third = w.alice().opens_issue("Nothing", "[scenario: nothing]").await;
    w.alice().labels(third, "hob").await;
    shows(&w, third, "**Queued.** One task is before it.").await;
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(first).await;
    assert!(w.next_comment(third).await.body.starts_with("**Nothing to change.**"));
    let moved_up = texts(&w, third).iter().any(|text| text.starts_with("**Queued.** I begin as soon as"));
    assert!(moved_up, "{:#?}", texts(&w, third));
    w.next_comment(second).await;
    w.alice().comments(second, "/hob stop").await;
    w.next_comment(second).await;
    w.finish().await;
}

#[tokio::test]
async fn many_lines_of_an_agent_are_few_edits() {
    let w = World::with(|config| config.github.status_every = std::time::Duration::from_secs(2)).await;
    let event = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"line %s"}]}}\n"#;
    let lines = format!("for i in $(seq 60); do printf '{event}' $i >&3; sleep 0.05; done");
    let issue = w.alice().opens_issue("Talk", "").await;
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{lines}\n```")).await;
    w.next_comment(issue).await;
    w.quiet().await;
    let edits = texts(&w, issue).len();
    assert!(edits <= 10, "{edits} edits");
    w.finish().await;
}
