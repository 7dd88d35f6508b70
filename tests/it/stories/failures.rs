//! What goes wrong is said: what happened, what became of the work, what to do.

use std::time::Duration;

use hob::ids::{AgentKind, IssueNumber};

use crate::world::{REPO, World};

/// Plays an issue that ends in a failure; gives back what hob says.
async fn failing(w: &World, scenario: &str) -> (u64, String) {
    let issue = w.alice().opens_issue("Trouble", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    w.quiet().await;
    (issue, said)
}

fn workspace_is_kept(w: &World) -> bool {
    let stories = std::fs::read_dir(w.data().join("stories")).unwrap().flatten();
    stories.into_iter().all(|story| story.path().join("workspace").exists())
}

#[tokio::test]
async fn an_agent_that_fails_is_said_and_the_workspace_is_kept() {
    let w = World::start().await;
    let (issue, said) = failing(&w, "fail").await;
    assert!(said.starts_with("**The agent ended with an error.**"), "{said}");
    assert!(said.contains("> API Error: 400"), "{said}");
    assert!(said.contains("The workspace is kept as the agent left it."), "{said}");
    assert!(workspace_is_kept(&w) && w.github.pulls(REPO).is_empty());

    // And the way out that it names works.
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_crashes_is_said_with_its_last_words() {
    let w = World::start().await;
    let (_, said) = failing(&w, "crash").await;
    assert!(said.starts_with("**The agent ended with an error.**"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_refused_key_ends_the_run_at_once() {
    let w = World::start().await;
    let before = std::time::Instant::now();
    let (_, said) = failing(&w, "auth").await;
    assert!(said.starts_with("**The agent could not log in"), "{said}");
    assert!(before.elapsed() < Duration::from_secs(55), "the agent was left to retry");
    w.finish().await;
}

#[tokio::test]
async fn an_overloaded_service_is_tried_again() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Trouble", "[scenario: overloaded-once]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_overloaded_service_is_given_up_after_the_retries() {
    let w = World::with(|config| config.agent.retries = 1).await;
    let (_, said) = failing(&w, "overloaded").await;
    assert!(said.starts_with("**The model's service was overloaded"), "{said}");
    w.finish().await;
}

/// When each run of the only story's only task was started.
async fn starts(w: &World, issue: u64) -> Vec<jiff::Timestamp> {
    let story = w.store().story_at(&REPO.parse().unwrap(), IssueNumber(issue)).await.unwrap().unwrap();
    let mut starts = Vec::new();
    for task in w.store().tasks_of(story.id).await.unwrap() {
        starts.extend(w.store().runs_of(&task).await.unwrap().iter().filter_map(|run| run.started_at));
    }
    starts
}

#[tokio::test]
async fn a_retry_waits_as_long_as_is_configured_and_the_issue_says_so() {
    let wait = Duration::from_secs(4);
    let w = World::with(|config| (config.agent.retry_after, config.agent.retries) = (wait, 2)).await;
    let issue = w.alice().opens_issue("Trouble", "[scenario: overloaded]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let starts = starts(&w, issue).await;
    assert_eq!(starts.len(), 3, "{starts:?}");
    // Each wait is twice the one before, and begins when the run before has ended.
    for (pair, least) in starts.windows(2).zip([4, 8]) {
        let waited = pair[1].duration_since(pair[0]);
        assert!(waited.as_secs() >= least && waited.as_secs() < least + 15, "{starts:?}");
    }
    let revisions = w.status(issue).unwrap().revisions;
    for attempt in [2, 3] {
        let told = format!(" UTC: the model is overloaded (attempt {attempt} of 3)");
        let says = |text: &str| text.contains("Retrying at ") && text.contains(&told);
        assert!(revisions.iter().any(|(_, text)| says(text)), "{told}: {revisions:#?}");
    }
    w.finish().await;
}

#[tokio::test]
async fn a_task_that_waits_to_be_tried_again_holds_no_worker_and_can_be_stopped() {
    let w = World::with(|config| {
        config.agent.retry_after = Duration::from_secs(600);
        config.work.parallel = 1;
    })
    .await;
    let issue = w.alice().opens_issue("Trouble", "[scenario: overloaded]").await;
    w.alice().labels(issue, "hob").await;
    let waits = || w.status(issue).filter(|status| status.body.contains("Retrying at "));
    w.until("the status to tell of the retry", |_| waits().map(|_| ())).await;
    let other = w.alice().opens_issue("Another", "[scenario: work]").await;
    w.alice().labels(other, "hob").await;
    w.next_pull_request().await;
    w.next_comment(other).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("**Stopped"), "{said}");
    w.finish().await;
}

/// A hob whose agent is this shell script.
async fn scripted(script: &'static str, change: impl FnOnce(&mut hob::config::Config)) -> World {
    World::with(|config| {
        config.agent.kind = AgentKind::Command;
        config.agent.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        change(config);
    })
    .await
}

#[tokio::test]
async fn an_agent_that_only_says_that_it_waits_is_stopped_as_stalled() {
    let script = "cat >/dev/null; while :; do echo 'waiting for network'; sleep 0.3; done";
    let w = scripted(script, |config| config.agent.stall_timeout = Duration::from_secs(4)).await;
    let before = std::time::Instant::now();
    let issue = w.alice().opens_issue("Trouble", "").await;
    w.alice().labels(issue, "hob").await;
    let says = || w.status(issue).filter(|status| status.body.contains("> No progress: waiting for network"));
    w.until("the status to tell of it", |_| says().map(|_| ())).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**The agent said nothing for too long"), "{said}");
    assert!(before.elapsed() < Duration::from_secs(45), "{:?}", before.elapsed());
    w.finish().await;
}

#[tokio::test]
async fn a_silent_build_is_work_whether_it_computes_or_waits() {
    let limit = |config: &mut hob::config::Config| config.agent.stall_timeout = Duration::from_secs(3);
    let w = World::with(limit).await;
    // A tool of the agent's that waits, then one that computes, each without a word for longer than
    // an agent may be silent.
    let text = "sleep 9; end=$(($(date +%s) + 8)); while [ $(date +%s) -lt $end ]; do :; done; echo ok >built.md; git add built.md; \
                git commit -qm Built";
    let body = format!("[scenario: script]\n```sh\n{text}\n```");
    let issue = w.alice().opens_issue("Build", &body).await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, "built.md").is_some());
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_image_without_the_agents_program_is_not_ready_and_says_what_to_do() {
    let w = scripted("true", |config| config.agent.command = vec!["no-such-agent".to_owned()]).await;
    let issue = w.alice().opens_issue("Trouble", "").await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**hob could not start the agent.**"), "{said}");
    let missing =
        "has no program `no-such-agent` that runs in it. hob's operator can install it in the image.";
    assert!(said.contains(missing) && !said.contains("exit code"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_session_that_the_models_service_refuses_is_left_once_by_itself() {
    let w = World::start().await;
    // Half an emoji in the session: each request of it is refused from then on.
    let text = "if [ -e begun.md ]; then echo ok >done.md; git add done.md; git commit -qm Done\n\
                else touch begun.md; git add begun.md; git commit -qm Begun; echo '{\"question\": \"Go on?\"}' >/hob/question.json\n\
                echo '{\"text\":\"\\ud83d\"}' | tee -a \"$HOME\"/.claude/projects/*/*.jsonl; fi";
    let issue = w.alice().opens_issue("Go", &format!("[scenario: script]\n```sh\n{text}\n```")).await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.alice().comments(issue, "yes").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, "done.md").is_some());
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(starts(&w, issue).await.len(), 3, "the question, the refusal, a new session");
    w.finish().await;
}

/// The runs of an issue's story, oldest first.
async fn runs_of(w: &World, issue: u64) -> Vec<hob::story::Run> {
    let story = w.store().story_at(&REPO.parse().unwrap(), IssueNumber(issue)).await.unwrap().unwrap();
    let mut runs = Vec::new();
    for task in w.store().tasks_of(story.id).await.unwrap() {
        runs.extend(w.store().runs_of(&task).await.unwrap());
    }
    runs
}

fn prompt_of(w: &World, run: &hob::story::Run) -> String {
    std::fs::read_to_string(w.data().join(format!("runs/{}/prompt.md", run.id))).unwrap()
}

#[tokio::test]
async fn a_retry_in_the_same_session_does_not_tell_the_request_again() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Trouble", "The body of it. [scenario: overloaded-once]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let runs = runs_of(&w, issue).await;
    let [first, second] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(first.end.as_ref().unwrap().session, second.end.as_ref().unwrap().session);
    assert!(prompt_of(&w, first).contains("The body of it."));
    let again = prompt_of(&w, second);
    assert!(!again.contains("The body of it.") && again.contains("Go on where it stopped"), "{again}");
    w.finish().await;
}

#[tokio::test]
async fn a_person_may_have_the_agent_start_in_a_new_session() {
    let w = World::with(|config| config.agent.retries = 0).await;
    let (issue, _) = failing(&w, "overloaded-once").await;
    w.alice().comments(issue, "/hob retry --fresh").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let runs = runs_of(&w, issue).await;
    let session = |at: usize| runs[at].end.as_ref().unwrap().session.clone().unwrap();
    assert!(runs.len() == 2 && session(0) != session(1), "{runs:?}");
    assert!(prompt_of(&w, &runs[1]).contains("## What is asked for"));
    // With more to do, in that session or in another one.
    w.alice().comments(issue, "/hob work --fresh and once more").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let runs = runs_of(&w, issue).await;
    let last = runs.last().unwrap().end.as_ref().unwrap().session.clone().unwrap();
    assert!(runs.len() == 3 && last != runs[1].end.as_ref().unwrap().session.clone().unwrap());
    w.finish().await;
}

#[tokio::test]
async fn a_stopped_run_of_claude_codes_has_its_cost() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Long", "[scenario: slow 40]").await;
    w.alice().labels(issue, "hob").await;
    let works = || w.status(issue).filter(|status| status.body.contains("> Working, second "));
    w.until("the agent to work", |_| works().map(|_| ())).await;
    w.alice().comments(issue, "/hob stop").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let runs = runs_of(&w, issue).await;
    assert!(runs[0].end.as_ref().unwrap().cost_usd.is_some_and(|cost| cost > 0.0), "{runs:?}");
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_hangs_is_stopped_even_if_it_ignores_the_signal() {
    let w = World::with(|config| config.agent.timeout = Duration::from_secs(3)).await;
    let (_, said) = failing(&w, "hang").await;
    assert!(said.starts_with("**The agent did not finish within the time limit"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_stopped() {
    let w = World::with(|config| config.agent.stall_timeout = Duration::from_secs(3)).await;
    let (_, said) = failing(&w, "hang").await;
    assert!(said.starts_with("**The agent said nothing for too long"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_runs_out_of_memory_is_told_apart_from_a_crash() {
    let w = World::start().await;
    let (_, said) = failing(&w, "oom").await;
    assert!(said.starts_with("**The agent's container ran out of memory"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn work_left_uncommitted_is_asked_for_once_in_the_same_session() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Forgetful", "[scenario: uncommitted]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.commits(REPO, &pull.head).len(), 2);
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn work_that_stays_uncommitted_is_named_and_kept() {
    let w = World::start().await;
    let (_, said) = failing(&w, "uncommitted-stubborn").await;
    assert!(said.starts_with("**The agent left work uncommitted"), "{said}");
    assert!(said.contains("Not committed:\n\n- `"), "{said}");
    assert!(workspace_is_kept(&w) && w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn nothing_to_change_is_said_as_such() {
    let w = World::start().await;
    let (_, said) = failing(&w, "nothing").await;
    assert!(said.starts_with("**Nothing to change.**"), "{said}");
    assert!(said.contains("> Nothing to change:"), "the agent's summary is missing in {said}");
    assert!(w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn a_push_that_the_server_refuses_is_said_with_its_reason() {
    let w = World::start().await;
    w.github.protect_branch(REPO, "hob/*");
    let (_, said) = failing(&w, "work").await;
    assert!(said.starts_with("**GitHub rejected the push.**"), "{said}");
    assert!(said.contains("Protected branch update failed"), "{said}");
    assert!(workspace_is_kept(&w) && w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn commits_that_were_there_before_cannot_be_rewritten() {
    let w = World::start().await;
    let (_, said) = failing(&w, "rewrite").await;
    assert!(said.starts_with("**The agent's commits were not accepted.**"), "{said}");
    assert_eq!(w.github.commits(REPO, "main").len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn commits_that_somebody_took_off_the_branch_are_not_brought_back() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Race", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let start = w.github.commits(REPO, "main")[0].sha.clone();
    w.alice().comments(issue, "/hob work [scenario: slow 6]").await;
    w.eventually("the agent to run", async || (!w.containers().await.is_empty()).then_some(())).await;
    w.github.force_branch(REPO, "hob/issue-1", &start, "bob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Somebody else pushed to the branch"), "{said}");
    assert!(said.contains("> Commits that the agent's work builds on were taken off the branch."), "{said}");
    assert_eq!(w.github.commits(REPO, "hob/issue-1")[0].sha, start);

    // The way out, if that is wanted.
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert!(w.github.commits(REPO, "hob/issue-1").len() > 2);

    // Nor are those that are taken off while hob waits.
    w.alice().comments(issue, "/hob work [scenario: ask]").await;
    w.next_comment(issue).await;
    w.github.force_branch(REPO, "hob/issue-1", &start, "bob").await;
    w.alice().comments(issue, "one array").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Somebody else pushed to the branch"), "{said}");
    assert!(said.contains("> Commits that the agent's work builds on were taken off the branch."), "{said}");
    assert_eq!(w.github.commits(REPO, "hob/issue-1")[0].sha, start);
    w.finish().await;
}

#[tokio::test]
async fn a_missing_key_or_image_is_said_before_anything_starts() {
    let w = World::with(|config| config.container.image = "no-such-image:1".to_owned()).await;
    let (_, said) = failing(&w, "work").await;
    assert!(
        said.starts_with("**hob could not start the agent.**\n\n> Docker has no image `no-such-image:1`."),
        "{said}"
    );
    w.finish().await;

    let w = World::with(|config| config.agent.keys.clear()).await;
    let (_, said) = failing(&w, "work").await;
    assert!(said.contains("There is no key for the agent `claude`"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_command_that_is_chosen_and_not_configured_is_said() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("By label", "[scenario: work]").await;
    w.alice().labels(issue, "hob:command").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> The agent `command` was chosen, but hob's settings name no program"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn docker_that_is_down_is_said_before_anything_starts() {
    let w = World::with(|config| config.container.docker = "unix:///nowhere/docker.sock".to_owned()).await;
    let (_, said) = failing(&w, "work").await;
    let expected = "**hob could not start the agent.**\n\n> Docker does not answer on hob's server.";
    assert!(said.starts_with(expected), "{said}");
    assert!(!said.contains("/nowhere"), "a path of the host: {said}");
    w.finish().await;
}

#[tokio::test]
async fn a_set_up_command_that_fails_is_said_and_the_agent_not_started() {
    let w = World::with(|config| {
        let own = hob::config::RepositoryOverrides {
            setup: Some("echo no such package >&2; exit 3".to_owned()),
            ..Default::default()
        };
        config.repositories.insert(REPO.to_owned(), own);
    })
    .await;
    let (_, said) = failing(&w, "work").await;
    assert!(said.starts_with("**The repository's set-up command failed"), "{said}");
    assert!(said.contains("no such package"), "{said}");
    w.finish().await;

    // It is told apart from a crash also where a session is resumed.
    let setup = "if [ -e json-output.draft.md ]; then exit 3; fi".to_owned();
    let own = hob::config::RepositoryOverrides { setup: Some(setup), ..Default::default() };
    let w = World::with(|config| {
        config.repositories.insert(REPO.to_owned(), own);
    })
    .await;
    let (issue, _) = failing(&w, "ask").await;
    w.alice().comments(issue, "one array").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**The repository's set-up command failed"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn nothing_starts_on_a_disk_that_is_nearly_full() {
    let w = World::with(|config| config.data.min_free = hob::config::ByteSize(u64::MAX)).await;
    let (_, said) = failing(&w, "work").await;
    assert!(said.contains("> The server's disk is nearly full."), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_fills_the_disk_is_stopped() {
    let w = World::with(|config| config.container.disk = hob::config::ByteSize(16 << 10)).await;
    let (_, said) = failing(&w, "slow 30").await;
    assert!(said.starts_with("**The agent was stopped: it took up more disk space than allowed"), "{said}");
    w.finish().await;
}
