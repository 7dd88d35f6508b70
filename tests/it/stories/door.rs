//! The door, and who may command hob.

use crate::world::github::Fault;
use crate::world::{BOT, REPO, World};

#[tokio::test]
async fn outsiders_and_bots_get_nothing() {
    let w = World::start().await;
    let issue = w.mallory().opens_issue("Mine bitcoin", "[scenario: work]").await;
    assert_eq!(w.mallory().labels(issue, "hob").await, 202);
    assert_eq!(w.tina().labels(issue, "hob").await, 202);
    w.mallory().comments(issue, "/hob work").await;
    w.quiet().await;
    assert!(w.github.issue_reactions(REPO, issue).is_empty() && w.github.pulls(REPO).is_empty());
    assert!(!w.data().join("stories").read_dir().unwrap().any(|_| true));
    w.finish().await;
}

#[tokio::test]
async fn an_outsiders_comment_is_no_answer() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.mallory().comments(issue, "send it to me").await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty());
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn other_labels_and_talk_about_commands_do_nothing() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Talk", "[scenario: work]").await;
    w.alice().labels(issue, "bug").await;
    w.alice().comments(issue, "You could write:\n```\n/hob work\n```").await;
    w.alice().comments(issue, "> /hob work\n\nno").await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn of_the_changes_of_a_status_comment_only_is_kept_that_they_came() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await;
    // Whoever writes a status comment's end under a card has not made it one: the card is put back.
    let end = w.status(issue).expect("a status comment").body;
    let end = end.lines().last().expect("a marker");
    w.bob().rewrites(card.id, &format!("{}\n{end}", card.body)).await;
    w.until("the card to be put back", |github| {
        (github.comment_text(REPO, card.id) == card.body).then_some(())
    })
    .await;
    w.bob().ticks(card.id, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;

    let (mut changes, mut others) = (0, 0);
    for delivery in w.github.deliveries() {
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).expect("JSON");
        let text = body["comment"]["body"].as_str().unwrap_or_default();
        let recorded = w.store().recorded_delivery(&delivery.guid).await.unwrap().expect("it came");
        let is_noted = recorded.note.as_deref() == Some("a status comment says something else");
        let is_change = delivery.action.as_deref() == Some("edited")
            && text.contains("<!-- hob:status ")
            && body["comment"]["id"] != card.id;
        assert_eq!(is_noted, is_change, "{text}");
        *(if is_noted { &mut changes } else { &mut others }) += 1;
    }
    assert!(changes >= 3 && others < 30, "{changes} changes of the status, {others} other deliveries");
    w.finish().await;
}

#[tokio::test]
async fn a_delivery_that_comes_twice_changes_nothing_the_second_time() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let labeled = w.github.deliveries().into_iter().find(|d| d.action.as_deref() == Some("labeled")).unwrap();
    assert_eq!(w.github.redeliver(&labeled.guid).await, 200);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.redeliver(&labeled.guid).await, 200);
    w.quiet().await;
    assert_eq!(w.github.commits(REPO, "hob/issue-1").len(), 2);
    w.finish().await;
}

#[tokio::test]
async fn a_label_put_on_again_while_hob_works_is_no_second_task() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.bob().labels(issue, "hob").await;
    w.quiet().await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn the_text_is_what_the_delivery_carried() {
    let mut w = World::prepare(|_| {}).await;
    w.start_hob().await;
    // hob asks whether alice may; until it knows, the issue is changed behind her back.
    w.github.fault("GET", "/permission", Fault::Delay(std::time::Duration::from_secs(1)), 1);
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: nothing]").await;
    w.alice().labels(issue, "hob").await;
    w.github.edit_issue(REPO, issue, "Steal", "[scenario: work]");
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Nothing to change.**"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn the_door_answers_each_mistake_with_its_own_code() {
    let w = World::with(|config| config.server.body_limit = hob::config::ByteSize(100_000)).await;
    let body = br#"{"zen":"Keep it logically awesome."}"#.to_vec();
    let good = w.github.sign(&body);
    let send = async |event: &str, guid: &str, body: Vec<u8>, signature: Option<String>| {
        w.github.send_raw(event, guid, body, signature).await
    };
    assert_eq!(send("ping", "guid-1", body.clone(), Some(good.clone())).await, 202);
    assert_eq!(send("ping", "guid-1", body.clone(), Some(good.clone())).await, 200, "seen before");
    assert_eq!(send("ping", "guid-2", body.clone(), Some(w.github.sign(b"else"))).await, 401);
    assert_eq!(send("ping", "guid-2", body.clone(), Some("sha256=xyz".to_owned())).await, 400);
    assert_eq!(send("ping", "guid-2", body.clone(), None).await, 400);
    assert_eq!(send("ping", "", body.clone(), Some(good.clone())).await, 400);
    assert_eq!(send(&"x".repeat(200), "guid-2", body.clone(), Some(good)).await, 400);
    let large = vec![b' '; 200_000];
    let signature = w.github.sign(&large);
    assert_eq!(send("ping", "guid-3", large, Some(signature)).await, 413);
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_delivery_that_cannot_be_decoded_is_set_aside_and_holds_up_nothing() {
    let w = World::start().await;
    let body = br#"{"action":"labeled"}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("issues", "guid-1", body, Some(signature)).await, 202);
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn the_health_pages_tell_the_truth() {
    let w = World::start().await;
    let get = async |w: &World, path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}{path}", w.address())).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get(&w, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&w, "/readyz").await, (200, "store: ok\ndocker: ok\n".to_owned()));
    assert_eq!(get(&w, "/webhook").await.0, 405);
    w.finish().await;
    let w = World::with(|config| config.container.docker = "unix:///nowhere".to_owned()).await;
    assert_eq!(get(&w, "/readyz").await, (503, "store: ok\ndocker: not ready\n".to_owned()));
    w.finish().await;
}

#[tokio::test]
async fn github_that_is_away_for_a_moment_loses_nothing_and_doubles_nothing() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.github.fault("GET", "/permission", Fault::Status(502, vec![]), 4);
    w.github.fault("POST", "/pulls", Fault::Status(502, vec![]), 1);
    w.github.fault("POST", "/issues/1/comments", Fault::AnswerLost, 1);
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
    w.quiet().await;
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert_eq!(w.github.comments(REPO, issue).iter().filter(|c| c.author == BOT).count(), 1);
    // Looked for, and not written a second time.
    let written = w.github.requests();
    let written = written.iter().filter(|r| r.method == "POST" && r.path.ends_with("/issues/1/comments"));
    assert_eq!(written.count(), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_command_that_is_none_is_answered_with_what_hob_understands() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Talk", "[scenario: work]").await;
    w.alice().comments(issue, "/hob dance").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("There is no command `/hob dance`. Nothing was started."), "{said}");
    w.mallory().comments(issue, "/hob dance").await;
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_label_or_an_option_chooses_agent_and_image() {
    let w = World::with(|config| {
        config.agent.command = vec!["exchange-agent".to_owned()];
        config.container.allowed_images = vec!["also-allowed:1".to_owned()];
    })
    .await;
    let issue = w.alice().opens_issue("By label", "[scenario: work]").await;
    w.alice().labels(issue, "hob:command").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("a command of this hob's"), "{}", pull.body);
    w.next_comment(issue).await;

    let issue = w.alice().opens_issue("By option", "[scenario: work]").await;
    w.alice().comments(issue, "/hob work --agent command").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("a command of this hob's"), "{}", pull.body);
    w.next_comment(issue).await;

    let issue = w.alice().opens_issue("By image", "[scenario: work]").await;
    w.alice().comments(issue, "/hob work --image also-allowed:1").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> Docker has no image `also-allowed:1`."), "{said}");
    w.alice().comments(issue, "/hob work --image somebody/elses:1").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> The image `somebody/elses:1` is not one that may be chosen."), "{said}");
    w.finish().await;
}
