//! What agents write that is longer than a comment may be: all of it can be read, in comments that
//! are linked to, each there once.

use std::time::Duration;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};

use crate::world::github::Fault;
use crate::world::{REPO, World};

/// An issue whose agent runs this.
async fn script(w: &World, title: &str, script: &str) -> u64 {
    let issue = w.alice().opens_issue(title, &format!("[scenario: script]\n\n```sh\n{script}\n```")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

/// What stands in code blocks of a text, as GitHub shows it, and what stands elsewhere.
fn shown(text: &str) -> (String, String) {
    let arena = Arena::new();
    let root = parse_document(&arena, text, &Options::default());
    let (mut code, mut words) = (String::new(), String::new());
    for node in root.descendants() {
        match &node.data.borrow().value {
            NodeValue::CodeBlock(block) => code.push_str(&block.literal),
            NodeValue::Text(text) => words.push_str(text),
            _ => {}
        }
    }
    (code, words)
}

/// The comments that a text links to.
fn linked(text: &str) -> Vec<u64> {
    let link = regex::Regex::new(r"\]\([^)]*#issuecomment-([0-9]+)\)").unwrap();
    link.captures_iter(text).map(|found| found[1].parse().unwrap()).collect()
}

#[tokio::test]
async fn a_report_of_two_hundred_thousand_characters_is_read_in_parts_though_hob_is_killed_between_them() {
    let w = World::prepare(|_| {}).await;
    // The second of three parts is on GitHub, and hob dies before it has written that down.
    let program = w.start_program_with(&[("HOB_KILL_AT", "store.rest-posted.before#2")]).await;
    // A code block that the agent never closes.
    let lines = "{ echo 'Looked at it.'; echo '```text'; seq -f 'line %g of what it printed, @alice' 5600; } >/hob/summary.md";
    let issue = script(&w, "Report", lines).await;
    program.dies().await;
    assert_eq!(w.said(issue).len(), 2, "the parts come first");
    assert!(linked(&w.status(issue).expect("a status").body).is_empty(), "a link to what is not there yet");

    let program = w.start_program().await;
    let parts = [w.next_comment(issue).await, w.next_comment(issue).await, w.next_comment(issue).await];
    let end = w.next_comment(issue).await;
    let ids: Vec<u64> = parts.iter().map(|part| part.id).collect();
    assert_eq!(linked(&end.body), ids, "{}", end.body.len());
    assert!(end.body.contains("… the rest: [part 2](") && end.body.contains("`/hob work …`"));
    let whole: Vec<(String, String)> =
        std::iter::once(&end).chain(&parts).map(|part| shown(&part.body)).collect();
    let code: String = whole.iter().map(|(code, _)| code.as_str()).collect();
    let wanted: String = (1..=5600).map(|n| format!("line {n} of what it printed, @alice\n")).collect();
    assert!(wanted.len() > 200_000 && code == wanted, "{} of {}", code.len(), wanted.len());
    assert!(
        whole.iter().all(|(_, words)| !words.contains("of what it printed")),
        "text outside of its code block"
    );
    assert!(whole[1].1.contains("The rest of what the agent wrote. Part 2 of 4."), "{}", whole[1].1);
    assert_eq!(program.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_long_question_can_be_ticked_and_a_pull_request_links_to_the_rest_of_its_report() {
    let w = World::with(|config| config.github.recheck = Duration::from_secs(3)).await;
    let question = r#"{ printf '{"question": "Which?", "options": ["one", "two"], "context": "'; seq -f 'fact %g\n' 3000 | tr -d '\n'; printf '"}'; } >/hob/question.json"#;
    let issue = script(&w, "Ask at length", question).await;
    let rest = w.next_comment(issue).await;
    let card = w.next_comment(issue).await;
    assert_eq!(linked(&card.body), [rest.id], "{}", card.body.len());
    assert!(card.body.contains("> fact 1\n") && rest.body.contains("fact 3000"));
    w.alice().ticks(card.id, "two").await;
    let end = w.next_comment(issue).await;
    assert!(end.body.starts_with("**Nothing to change.**"), "{}", end.body);
    w.quiet().await;
    let answered = w.github.comment_text(REPO, card.id);
    assert!(answered.contains("- [x] two") && linked(&answered) == [rest.id], "{}", answered.len());

    // GitHub makes the comment late, when hob has made another: the second goes.
    let report = "touch /hob/so-far; until [ -e /hob/go-on ]; do sleep 0.2; done; echo a >a.txt; git add a.txt; git commit -qm a; { echo '# All of it'; seq -f 'It is so for %g.' 4000; } >/hob/summary.md";
    let issue = script(&w, "Report at length", report).await;
    let exchange = w
        .eventually("the agent to get so far", async || {
            let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
            stories.map(|story| story.path().join("exchange")).find(|folder| folder.join("so-far").exists())
        })
        .await;
    let late = Fault::EffectDelayed(Duration::from_millis(2500));
    w.github.fault("POST", &format!("/issues/{issue}/comments"), late, 1);
    std::fs::write(exchange.join("go-on"), "").unwrap();
    let rests =
        |w: &World| w.said(issue).iter().filter(|said| said.body.contains("It is so for 4000.")).count();
    w.until("the rest to be there twice", |_| (rests(&w) == 2).then_some(())).await;
    w.until("the second to be removed", |_| (rests(&w) == 1).then_some(())).await;
    let rest = w.next_comment(issue).await;
    assert!(rest.body.contains("It is so for 4000."), "{}", rest.body.len());
    let pull = w.next_pull_request().await;
    assert_eq!(linked(&pull.body), [rest.id], "{}", pull.body.len());
    assert!(pull.body.contains("It is so for 1.") && pull.body.contains("Asked for by @alice"));
    w.next_comment(issue).await;
    // The body is made again with each task; what was told once is linked to.
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("### Since then") && linked(&pull.body) == [rest.id], "{}", pull.body.len());
    w.next_comment(issue).await;
    w.finish().await;
}
