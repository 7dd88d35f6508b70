//! The check run `hob` on the head of the story branch, the commit status in its place where hob
//! has a token only, their buttons, and the evidence that stands in them.

use std::time::Duration;

use crate::world::github::{CheckRunSeen, Fault, StatusSeen};
use crate::world::{KEY, REPO, World};

const BRANCH: &str = "hob/issue-1";

/// A world whose hob is an App.
async fn app() -> World {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    w
}

async fn checks_are(w: &World, checks: &str) {
    let text = format!("checks = [\"{checks}\"]\ncheck_retries = 0\n");
    w.bob().pushes("main", &[(".github/hob.toml", &text)], "Say what is checked").await;
}

async fn asked(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

fn head(w: &World) -> String {
    w.github.commits(REPO, BRANCH)[0].sha.clone()
}

/// hob's check run on a commit: there is one.
fn check_run(w: &World, sha: &str) -> Option<CheckRunSeen> {
    let own: Vec<_> = w.github.check_runs(REPO, sha).into_iter().filter(|run| run.name == "hob").collect();
    assert!(own.len() <= 1, "{own:#?}");
    own.into_iter().next()
}

/// Waits until the check run on a commit is so.
async fn until(w: &World, sha: &str, what: &str, is_so: impl Fn(&CheckRunSeen) -> bool) -> CheckRunSeen {
    w.until(what, |_| check_run(w, sha).filter(|run| is_so(run))).await
}

fn is(run: &CheckRunSeen, conclusion: &str) -> bool {
    run.status == "completed" && run.conclusion.as_deref() == Some(conclusion)
}

fn go_on(w: &World) {
    let story = std::fs::read_dir(w.data().join("stories")).unwrap().flatten().next().expect("a story");
    std::fs::write(story.path().join("exchange/go-on"), "").expect("the agent is told to go on");
}

fn containers_that_ran(w: &World) -> usize {
    std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn one_check_run_tells_on_each_head_where_the_story_stands_with_evidence_and_log() {
    let w = app().await;
    checks_are(&w, "test -e NOTES.md").await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let first = head(&w);
    let done = until(&w, &first, "the end", |run| is(run, "success")).await;
    assert_eq!(done.title, "Done: #2 has 1 commit for you to review");
    assert!(done.summary.starts_with("Done: #2 has 1 commit for you to review."), "{}", done.summary);
    let evidence =
        format!("Each ran on {}, in a clean container without keys or network, of the image", &first[..12]);
    for part in
        [evidence.as_str(), "(`sha256:", "| `test -e NOTES.md` | ✅ passed, exit code 0 | ", "### Log\n"]
    {
        assert!(done.text.contains(part), "{part}: {}", done.text);
    }
    w.quiet().await;
    let status = w.status(issue).expect("a status comment");
    assert_eq!(
        done.details_url,
        Some(format!("{}/{REPO}/issues/{issue}#issuecomment-{}", w.github.git_url(), status.id))
    );
    assert!(
        status.body.contains(&format!("[log]({}/{REPO}/runs/{})", w.github.git_url(), done.id)),
        "{}",
        status.body
    );
    assert!(done.buttons.is_empty(), "{:?}", done.buttons);

    w.alice().comments(issue, "/hob work [scenario: todo]").await;
    let now = until(&w, &first, "the list", |run| run.summary.contains("- [ ] **Add the flag**")).await;
    assert_eq!(
        (now.status.as_str(), now.conclusion.as_deref(), now.title.as_str()),
        ("in_progress", None, "At work: 1 of 2 done")
    );
    assert!(
        now.summary.contains("> Now I add the flag.") && now.text.contains("Now I add the flag."),
        "{now:#?}"
    );
    assert!(now.buttons.len() == 1 && now.buttons[0].starts_with("stop:"), "{:?}", now.buttons);
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let second = head(&w);
    assert_ne!(first, second);
    until(&w, &second, "the end of the second", |run| is(run, "success")).await;
    w.quiet().await;
    let left = check_run(&w, &first).unwrap();
    assert!(is(&left, "neutral") && left.title == "The branch has moved on", "{left:#?}");
    assert!(left.summary.contains(&second[..12]) && left.buttons.is_empty(), "{left:#?}");
    let words: Vec<&str> = left.history.iter().map(|(status, ..)| status.as_str()).collect();
    assert!(words.starts_with(&["completed"]) && words.contains(&"in_progress"), "{words:?}");

    // A question waits for a person.
    w.alice().comments(issue, "/hob work [scenario: ask]").await;
    w.next_comment(issue).await;
    let waits = until(&w, &second, "the question", |run| is(run, "action_required")).await;
    assert_eq!(waits.title, "Waiting for an answer");
    for run in [done, left, waits] {
        assert!(![KEY, w.github.token()].iter().any(|secret| format!("{run:?}").contains(secret)));
    }
    w.finish().await;
}

#[tokio::test]
async fn a_button_is_about_the_task_that_it_is_shown_for_and_none_is_where_there_are_no_check_runs() {
    let w = app().await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.alice().comments(issue, "/hob work [scenario: todo]").await;
    let at_work = until(&w, &head(&w), "the work", |run| run.summary.contains("Add the flag")).await;
    // It waits for what is under way.
    w.alice().comments(issue, "/hob rebase").await;
    w.quiet_deliveries().await;
    w.bob().presses(Some(&at_work.buttons[0]), at_work.id).await;
    let stopped = w.next_comment(issue).await.body;
    assert!(stopped.starts_with("**Stopped, as @bob asked.** The agent has been stopped."), "{stopped}");
    assert!(w.next_comment(issue).await.body.contains("The agent had not started"));
    w.quiet().await;
    assert!(w.containers().await.is_empty());
    w.finish().await;

    let mut w = World::prepare_app(|config| config.pull_request.check_run = false).await;
    w.start_hob().await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(check_run(&w, &head(&w)).is_none());
    w.alice().reruns_all(&head(&w)).await;
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn buttons_do_what_commands_do_once_and_for_those_who_may() {
    let w = app().await;
    // What it prints tells one time from another.
    checks_are(&w, "date +%s%N; exit 3").await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done, but `date +%s%N; exit 3` still fails"));
    let first = head(&w);
    let failed = until(&w, &first, "the failing check", |run| is(run, "failure")).await;
    assert_eq!(failed.title, "Fails: date +%s%N; exit 3");
    assert!(
        failed.text.contains("❌ exit code 3") && failed.text.contains("printed at the end:\n\n```text\n"),
        "{}",
        failed.text
    );

    // GitHub's own button: the checks run again on what was pushed, and no agent works.
    w.quiet().await;
    let before = check_run(&w, &first).unwrap();
    w.mallory().presses(None, before.id).await;
    w.quiet().await;
    assert_eq!(check_run(&w, &first).unwrap(), before, "somebody who may not push was heard");
    let pull = || w.github.pulls(REPO).remove(0);
    let stale = pull().body.replace("❌ exit code 3", "as I remember it");
    assert!(stale.contains("as I remember it"), "{stale}");
    w.alice().edits(pull().number, &pull().title, &stale);
    w.alice().presses(None, before.id).await;
    let again =
        until(&w, &first, "the checks to run again", |run| is(run, "failure") && run.text != before.text)
            .await;
    assert!(again.history.iter().any(|(status, ..)| status == "in_progress"), "{again:#?}");
    // And the pull request has it.
    w.until("the evidence", |_| Some(pull().body).filter(|body| body.contains("❌ exit code 3"))).await;
    // "Re-run all checks" does the same.
    w.mallory().reruns_all(&first).await;
    w.quiet().await;
    assert_eq!(check_run(&w, &first).unwrap().text, again.text);
    w.alice().reruns_all(&first).await;
    until(&w, &first, "all to run again", |run| is(run, "failure") && run.text != again.text).await;
    w.quiet().await;
    assert_eq!(containers_that_ran(&w), 1, "an agent worked");

    // Stop.
    w.alice().comments(issue, "/hob work [scenario: todo]").await;
    let at_work = until(&w, &first, "the work", |run| run.summary.contains("Add the flag")).await;
    let stop = at_work.buttons[0].clone();
    w.mallory().presses(Some(&stop), at_work.id).await;
    w.quiet_deliveries().await;
    assert!(
        check_run(&w, &first).unwrap().buttons.contains(&stop),
        "somebody who may not push has stopped it"
    );
    w.bob().presses(Some(&stop), at_work.id).await;
    assert!(w.next_comment(issue).await.body.starts_with("**Stopped, as @bob asked.**"));
    let stopped = until(&w, &first, "the stop", |run| is(run, "cancelled")).await;
    assert_eq!(stopped.title.replace('\u{2060}', ""), "Stopped, as @bob asked");

    // Retry, pressed twice: it names its task, so the second press is about one that is over.
    w.quiet().await;
    let retry = check_run(&w, &first).unwrap().buttons[0].clone();
    assert!(retry.starts_with("retry:"), "{retry}");
    w.mallory().presses(Some(&retry), stopped.id).await;
    w.quiet().await;
    assert_eq!(containers_that_ran(&w), 2, "somebody who may not push has begun something");
    let press = || w.github.press(REPO, "alice", stopped.id, Some(&retry));
    press().await;
    press().await;
    until(&w, &first, "the second try", |run| {
        run.summary.contains("Add the flag") && run.status == "in_progress"
    })
    .await;
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(containers_that_ran(&w), 3, "two presses began two tasks");

    // "Re-run" where the last task failed is a retry.
    w.alice().comments(issue, "/hob work [scenario: crash]").await;
    w.next_comment(issue).await;
    let second = head(&w);
    let crashed = until(&w, &second, "the crash", |run| {
        is(run, "failure") && run.title.contains("ended with an error")
    })
    .await;
    w.alice().presses(None, crashed.id).await;
    assert!(w.next_comment(issue).await.body.starts_with("**The agent ended with an error.**"));
    assert_eq!(containers_that_ran(&w), 5);
    w.finish().await;
}

#[tokio::test]
async fn with_a_token_a_commit_status_says_the_same_and_both_can_be_switched_off() {
    let w = World::start().await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let first = head(&w);
    let newest = |sha: &str| w.github.statuses(REPO, sha).pop();
    let is = |state: &'static str| move |status: &StatusSeen| status.state == state;
    let done = w.until("the status", |_| newest(&first).filter(is("success"))).await;
    let comment = w.status(issue).expect("a status comment").id;
    let url = format!("{}/{REPO}/issues/{issue}#issuecomment-{comment}", w.github.git_url());
    assert_eq!((done.context.as_str(), done.target_url), ("hob", Some(url)));
    assert_eq!(done.description, "Done: #2 has 1 commit for you to review");
    w.alice().comments(issue, "/hob work [scenario: todo]").await;
    w.until("the work", |_| {
        newest(&first).filter(|status| status.description.starts_with("At work: 1 of 2"))
    })
    .await;
    go_on(&w);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let left = newest(&first).unwrap();
    assert_eq!((left.state.as_str(), left.description.as_str()), ("success", "The branch has moved on"));
    assert!(newest(&head(&w)).is_some_and(|status| status.state == "success"));
    w.alice().comments(issue, "/hob work [scenario: crash]").await;
    w.next_comment(issue).await;
    w.until("the failure", |_| newest(&head(&w)).filter(is("failure"))).await;
    w.quiet().await;
    let said: Vec<String> =
        w.github.statuses(REPO, &first).into_iter().map(|s| s.state + &s.description).collect();
    let mut once = said.clone();
    once.dedup();
    assert_eq!(said, once, "the same was said twice");
    assert!(w.github.check_runs(REPO, &first).is_empty());
    w.finish().await;

    let w = World::with(|config| config.pull_request.check_run = false).await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(w.github.statuses(REPO, &head(&w)).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn github_that_stumbles_or_says_no_gets_one_check_run_and_holds_up_nothing() {
    // Made, and the answer lost; made later still, after a second one; nothing taken for a while.
    for fault in [Fault::AnswerLost, Fault::EffectDelayed(Duration::from_secs(2)), Fault::Status(502, vec![])]
    {
        let w = app().await;
        let is_made_twice = matches!(fault, Fault::EffectDelayed(_));
        w.github.fault("POST", "/check-runs", fault, 1);
        let issue = asked(&w, "work").await;
        w.next_pull_request().await;
        w.next_comment(issue).await;
        let sha = head(&w);
        let own = |w: &World| w.github.check_runs(REPO, &sha);
        w.until("the end", |_| own(&w).into_iter().find(|run| is(run, "success"))).await;
        if is_made_twice {
            w.until("the second", |_| (own(&w).len() == 2).then_some(())).await;
            // It is looked for when the story comes to an end again.
            w.alice().comments(issue, "/hob work [scenario: nothing]").await;
            w.next_comment(issue).await;
            w.until("its end", |_| own(&w).iter().all(|run| run.status == "completed").then_some(())).await;
        } else {
            w.quiet().await;
            assert_eq!(own(&w).len(), 1, "{:#?}", own(&w));
        }
        w.finish().await;
    }

    // An App without the right to it.
    let w = app().await;
    w.github.fault("POST", "/check-runs", Fault::Forbidden, 1);
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(w.github.check_runs(REPO, &head(&w)).is_empty());
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    until(&w, &head(&w), "the check run", |run| is(run, "success")).await;
    w.finish().await;
}
