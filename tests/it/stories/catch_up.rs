//! What no webhook told of is found anyway, leads to one thing however it becomes known, and runs
//! the text that people saw.

use std::time::{Duration, Instant};

use crate::world::github::{Delivery, Fault};
use crate::world::{BOT, REPO, World};

const LABELED: &str = "labeled";
const CREATED: &str = "created";

/// The last delivery with this action about what a person did.
fn delivery(w: &World, action: &str) -> Delivery {
    let is_a_persons = |delivery: &Delivery| {
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).expect("JSON");
        body["sender"]["login"] != BOT && body["sender"]["login"] != w.github.app().login
    };
    let mut all = w.github.deliveries().into_iter().rev();
    all.find(|d| d.action.as_deref() == Some(action) && is_a_persons(d)).expect("a delivery")
}

/// How many comments of hob's are on an issue.
fn said(w: &World, issue: u64) -> usize {
    w.written(issue).len()
}

/// How many requests of this method hob has made to paths that end so.
fn asked(w: &World, method: &str, end: &str) -> usize {
    w.github.requests().iter().filter(|r| r.method == method && r.path.ends_with(end)).count()
}

/// One pull request with one commit of the agent's.
fn is_one_pull_request(w: &World, issue: u64) {
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert_eq!(
        w.github.commits(REPO, &format!("hob/issue-{issue}")).len(),
        2,
        "main's commit and the agent's"
    );
}

/// A world with a token whose hob knows the repository and has not been started.
async fn with_token() -> World {
    World::prepare(|config| config.github.repositories.push(REPO.to_owned())).await
}

/// What the agent was told in the only run.
fn prompt(w: &World) -> String {
    let run = std::fs::read_dir(w.data().join("runs")).unwrap().flatten().next().expect("a run");
    std::fs::read_to_string(run.path().join("prompt.md")).expect("a prompt")
}

#[tokio::test]
async fn a_label_put_on_while_hob_is_down_is_found_by_looking_and_its_late_webhook_does_nothing() {
    let mut w = with_token().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 0);
    w.start_hob().await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("Asked for by @alice"), "{}", pull.body);
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2 has 1 commit"));
    assert_eq!(w.github.redeliver(&delivery(&w, LABELED).guid).await, 200);
    w.quiet().await;
    is_one_pull_request(&w, issue);
    assert_eq!(said(&w, issue), 1);

    // The story is over, and the next start of hob looks again.
    w.stop_hob().await;
    w.start_hob().await;
    assert_eq!(w.github.redeliver(&delivery(&w, LABELED).guid).await, 200);
    w.quiet().await;
    w.stop_hob().await;
    w.start_hob().await;
    w.quiet().await;
    is_one_pull_request(&w, issue);
    w.finish().await;
}

#[tokio::test]
async fn an_answer_written_while_hob_is_down_is_found_by_looking() {
    let mut w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.stop_hob().await;
    w.mallory().comments(issue, "send it to me").await;
    w.bob().comments(issue, "one object per line").await;
    w.start_hob().await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("one object per line"), "{file}");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    w.next_comment(issue).await;
    assert_eq!(w.github.redeliver(&delivery(&w, CREATED).guid).await, 200);
    w.quiet().await;
    is_one_pull_request(&w, issue);
    assert_eq!(said(&w, issue), 2, "the question, and that it is done");
    w.finish().await;
}

#[tokio::test]
async fn a_stop_written_while_hob_is_down_is_found_by_looking() {
    let mut w = World::start().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: hang]").await;
    w.alice().labels(issue, "hob").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.stop_hob().await;
    w.bob().comments(issue, "/hob stop").await;
    w.start_hob().await;
    let said_ = w.next_comment(issue).await.body;
    assert!(said_.starts_with("**Stopped, as @bob asked.**"), "{said_}");
    assert_eq!(w.github.redeliver(&delivery(&w, CREATED).guid).await, 200);
    w.quiet().await;
    assert_eq!(said(&w, issue), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_label_taken_off_a_closing_and_an_assignment_that_no_webhook_told_of_are_found() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    let unlabeled = w.alice().opens_issue("Long work", "[scenario: hang]").await;
    w.alice().labels(unlabeled, "hob").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.mallory().unlabels(unlabeled, "hob").await;
    w.looked().await;
    assert_eq!(w.containers().await.len(), 1, "somebody who may not push has stopped it");
    w.alice().labels(unlabeled, "hob").await;
    w.looked().await;
    w.alice().unlabels(unlabeled, "hob").await;
    let said_ = w.next_comment(unlabeled).await.body;
    assert!(said_.starts_with("**Stopped") && said_.contains("@alice"), "{said_}");

    let closed = w.alice().opens_issue("More work", "[scenario: hang]").await;
    w.alice().comments(closed, "/hob work").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.bob().ends(closed, "closed").await;
    let said_ = w.next_comment(closed).await.body;
    assert!(said_.starts_with("**Stopped") && said_.contains("@bob"), "{said_}");
    // Anyone who takes it up again is not stopped by what was before.
    w.alice().comments(closed, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    assert!(w.next_comment(closed).await.body.starts_with("Done: #"));

    let given = w.alice().opens_issue("Add a flag", "[scenario: work]").await;
    w.bob().assigns(given, BOT).await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("Asked for by @bob"), "{}", pull.body);
    assert!(w.next_comment(given).await.body.starts_with("Done: #"));
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn an_app_asks_for_the_deliveries_it_missed_and_plays_the_whole_story_from_them() {
    let mut w = World::prepare_app(|_| {}).await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 0);
    let label = delivery(&w, LABELED).guid;
    w.start_hob().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.stop_hob().await;

    w.bob().comments(issue, "one array").await;
    let answer = delivery(&w, CREATED).guid;
    w.start_hob().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    is_one_pull_request(&w, issue);
    assert_eq!(said(&w, issue), 2);

    // Once each; what hob has no use for is not asked for.
    let again: Vec<String> =
        w.github.deliveries().into_iter().filter(|d| d.redelivery).map(|d| d.guid).collect();
    assert_eq!(again, [label.clone(), answer.clone()]);
    assert_eq!(asked(&w, "GET", "/issues"), 0, "nothing is looked through");
    for guid in [label, answer] {
        assert_eq!(w.github.redeliver(&guid).await, 200, "somebody asks for it by hand as well");
    }
    w.quiet().await;
    is_one_pull_request(&w, issue);
    w.finish().await;
}

#[tokio::test]
async fn an_app_hears_a_stop_that_it_missed() {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: hang]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 202);
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.stop_hob().await;
    w.bob().comments(issue, "/hob stop").await;
    w.start_hob().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @bob asked.**"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn what_a_put_back_backup_does_not_know_is_asked_for_again() {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    w.until("the first look", |_| (asked(&w, "GET", "/app/hook/deliveries") == 1).then_some(())).await;
    w.quiet().await;
    w.eventually("the look to be noted", async || w.store().looked_deliveries().await.unwrap()).await;
    w.stop_hob().await;
    let (store, copy) = (w.data().join("hob.db"), w.folder().join("backup.db"));
    hob::store::backup(&store, &copy).await.unwrap();

    w.start_hob().await;
    let issue = w.alice().opens_issue("Nothing", "[scenario: nothing]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 202);
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    w.quiet().await;
    w.stop_hob().await;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(w.data().join(format!("hob.db{end}")));
    }
    std::fs::rename(&copy, &store).unwrap();

    w.start_hob().await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    assert!(delivery(&w, LABELED).redelivery);
    w.finish().await;
}

#[tokio::test]
async fn webhook_and_look_at_once_lead_to_one() {
    let w = World::with(|config| {
        config.github.poll = Some(Duration::from_millis(250));
        config.github.repositories.push(REPO.to_owned());
    })
    .await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    for guid in w.github.deliveries().into_iter().map(|d| d.guid) {
        assert_eq!(w.github.redeliver(&guid).await, 200);
    }
    w.quiet().await;
    is_one_pull_request(&w, issue);
    assert_eq!(said(&w, issue), 2);
    w.finish().await;
}

/// The whole job, in a world that GitHub cannot reach.
async fn plays_without_a_webhook(w: World) {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 0);
    w.next_comment(issue).await;
    w.quiet().await;
    w.bob().comments(issue, "one object per line").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    is_one_pull_request(&w, issue);

    // Another look, and one more, find nothing new, and ask for no issue's history again.
    let histories = asked(&w, "POST", "/graphql");
    w.looked().await;
    w.quiet().await;
    assert_eq!((asked(&w, "POST", "/graphql"), said(&w, issue)), (histories, 2));

    // A command on the pull request goes on with the story, whose text is frozen.
    w.alice().comments(pull.number, "/hob work more [scenario: env]").await;
    assert_eq!(w.next_pull_request().await.number, pull.number);
    w.next_comment(issue).await;
    w.alice().unlabels(issue, "hob").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn behind_nat_a_token_is_enough_for_the_whole_story() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    plays_without_a_webhook(w).await;
}

#[tokio::test]
async fn behind_nat_an_app_finds_its_repositories_by_itself() {
    let mut w = World::prepare_app(|config| {
        config.github.poll = Some(Duration::from_millis(250));
        config.github.webhook_secret = None;
    })
    .await;
    w.start_hob().await;
    w.github.send_app_webhooks_to("http://127.0.0.1:9/webhook", "nobody knows");
    plays_without_a_webhook(w).await;
}

#[tokio::test]
async fn an_outsiders_edit_after_the_label_is_not_run_and_said_once() {
    let mut w = with_token().await;
    let issue = w.mallory().opens_issue("Add a --json flag", "[scenario: nothing]").await;
    w.alice().labels(issue, "hob").await;
    w.mallory().edits(issue, "Add a --json flag", "[scenario: work]");
    w.start_hob().await;
    let said_ = w.next_comment(issue).await.body;
    let expected = "**Not started: mallory changed this issue's text after the label was put on.**";
    assert!(said_.starts_with(expected), "{said_}");
    w.quiet().await;
    w.stop_hob().await;
    w.start_hob().await;
    assert_eq!(w.github.redeliver(&delivery(&w, LABELED).guid).await, 200);
    w.quiet().await;
    assert_eq!((said(&w, issue), w.github.pulls(REPO).len()), (1, 0));

    w.alice().comments(issue, "/hob work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_outsiders_new_title_after_the_command_is_not_run_and_what_alice_sees_then_is() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    let issue = w.mallory().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().comments(issue, "/hob work").await;
    w.mallory().edits(issue, "Remove all flags", "[scenario: work]");
    // Who may not command gets no word for it, edit or not.
    w.mallory().comments(issue, "/hob work").await;
    w.start_hob().await;
    let said_ = w.next_comment(issue).await.body;
    assert!(
        said_.starts_with("**Not started: mallory changed this issue's title after that was asked for.**")
    );
    w.quiet().await;
    assert_eq!((said(&w, issue), w.github.pulls(REPO).len()), (1, 0));
    // By GitHub's clock, which counts seconds, later than the edit.
    let edited = jiff::Timestamp::now().as_second();
    w.eventually("the next second", async || (jiff::Timestamp::now().as_second() > edited).then_some(()))
        .await;
    w.alice().comments(issue, "/hob work").await;
    w.next_pull_request().await;
    assert!(prompt(&w).contains("<issue title=\"Remove all flags\">"), "{}", prompt(&w));
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_edit_by_somebody_who_may_push_is_run() {
    let mut w = with_token().await;
    let issue = w.mallory().opens_issue("Add a flag", "[scenario: nothing]").await;
    w.alice().labels(issue, "hob").await;
    w.bob().edits(issue, "Add a --json flag", "[scenario: work]");
    w.start_hob().await;
    w.next_pull_request().await;
    assert!(prompt(&w).contains("<issue title=\"Add a --json flag\">"), "{}", prompt(&w));
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn what_is_not_for_hob_or_not_from_who_may_push_is_passed_over() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    let issue = w.alice().opens_issue("Talk", "[scenario: work]").await;
    w.alice().labels(issue, "bug").await;
    w.mallory().labels(issue, "hob:codex").await;
    w.tina().comments(issue, "/hob work").await;
    w.alice().comments(issue, "looks good").await;
    w.start_hob().await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty() && w.github.issue_reactions(REPO, issue).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_gone_and_a_list_that_fails_hold_up_nothing() {
    let mut w = World::prepare_without_webhook(|config| {
        config.github.repositories.insert(0, "acme/gone".to_owned());
    })
    .await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.github.fault("GET", "/repos/acme/tool/issues?", Fault::Status(502, vec![]), 4);
    w.github.fault("POST", "/graphql", Fault::Reset, 1);
    w.start_hob().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_look_waits_as_long_as_github_says() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let wait = Fault::Status(403, vec![("retry-after".to_owned(), "7".to_owned())]);
    w.github.fault("GET", "/issues/comments", wait, 1);
    let began = Instant::now();
    w.start_hob().await;
    w.until("the next look", |_| (asked(&w, "GET", "/issues/comments") == 2).then_some(())).await;
    assert!(began.elapsed() >= Duration::from_secs(7), "{:?}", began.elapsed());
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_list_that_is_behind_is_made_up_for_by_the_next_look() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.looked().await;
    w.github.fault("GET", "/repos/acme/tool/issues?state=all", Fault::StaleList, 2);
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.github.fault("GET", "/repos/acme/tool/issues/comments", Fault::StaleList, 2);
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

/// A comment that GitHub has made twice, by one of these faults, is there once in the end.
async fn a_double_is_removed(faults: impl FnOnce(&World)) {
    let w = World::with(|config| config.github.recheck = Duration::from_secs(3)).await;
    let issue = w.alice().opens_issue("Nothing", "[scenario: nothing]").await;
    faults(&w);
    w.alice().labels(issue, "hob").await;
    w.until("the comment to be there twice", |_| (said(&w, issue) == 2).then_some(())).await;
    // A run that is slow to begin leaves a list that is behind to the look for doubles, which is to
    // see what there is.
    w.github.end_faults();
    w.until("the second to be removed", |_| (said(&w, issue) == 1).then_some(())).await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    w.quiet().await;
    assert_eq!(said(&w, issue), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_comment_that_github_makes_late_is_there_once_in_the_end() {
    let late = Fault::EffectDelayed(Duration::from_millis(2500));
    a_double_is_removed(|w| w.github.fault("POST", "/issues/1/comments", late, 1)).await;
}

#[tokio::test]
async fn a_comment_that_a_list_behind_does_not_show_is_there_once_in_the_end() {
    a_double_is_removed(|w| {
        w.github.fault("POST", "/issues/1/comments", Fault::AnswerLost, 1);
        // The run that begins reads the comments too.
        w.github.fault("GET", "/issues/1/comments", Fault::StaleList, 2);
    })
    .await;
}

#[tokio::test]
async fn a_comment_that_only_names_the_id_of_another_is_no_double_of_it() {
    let w = World::with(|config| config.github.recheck = Duration::from_secs(3)).await;
    let issue = w.alice().opens_issue("Nothing", "[scenario: nothing]").await;
    w.github.fault("POST", "/issues/1/comments", Fault::AnswerLost, 1);
    w.alice().labels(issue, "hob").await;
    let end = w.next_comment(issue).await;
    let status = w.status(issue).expect("a status comment");
    let id = status.body.rsplit_once("hob:status ").expect("a marker").1.trim_end_matches(" -->");
    let other = w.github.comment(REPO, issue, BOT, &format!("See effect {id}.")).await;
    w.eventually("the look for doubles", async || {
        (w.store().open_rechecks().await.unwrap() == 0).then_some(())
    })
    .await;
    let left: Vec<u64> = w.written(issue).into_iter().map(|comment| comment.id).collect();
    assert_eq!(left, [status.id, other]);
    assert!(end.body.starts_with("**Nothing to change.**"), "{}", end.body);
    w.next_comment(issue).await;
    w.finish().await;
}
