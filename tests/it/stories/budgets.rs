//! What work may cost: at a cap the agent is stopped, its work is on the branch, and a person is
//! asked. And who works when: a usage limit is waited out or another agent takes over, and workers
//! are shared out.

use std::time::Duration;

use hob::agent::AgentKind;
use hob::ids::{IssueNumber, StoryId, TaskId};
use hob::store::{NewTask, Sharing, Store, StoryAsk};
use hob::story::budget::{Limit, Usage};
use hob::story::plan::TaskMode;
use hob::story::{Choice, Run, RunReason, Story, TaskRequest, TaskState};

use crate::world::{REPO, World};
use jiff::Timestamp;

const BRANCH: &str = "hob/issue-1";

async fn asked(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("Costly", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

async fn story_of(store: &Store, issue: u64) -> Story {
    let at = store.story_at(&REPO.parse().unwrap(), IssueNumber(issue)).await.unwrap();
    at.expect("a story")
}

/// Every run of an issue, oldest first.
pub(super) async fn runs_of(store: &Store, issue: u64) -> Vec<Run> {
    let mut runs = Vec::new();
    for task in store.tasks_of(story_of(store, issue).await.id).await.unwrap() {
        runs.extend(store.runs_of(&task).await.unwrap());
    }
    runs
}

pub(super) fn a_task(repo: &str, issue: u64, by: &str, body: &str, choice: Choice) -> NewTask {
    let on = StoryAsk {
        repo: repo.parse().unwrap(),
        github_id: None,
        issue: IssueNumber(issue),
        title: "A task".to_owned(),
        installation: None,
        base_branch: "main".to_owned(),
        branch: format!("hob/issue-{issue}"),
        theirs: None,
    };
    let ask = TaskRequest {
        by: by.to_owned(),
        by_id: None,
        title: "A task".to_owned(),
        body: body.to_owned(),
        text: None,
        choice,
        on: None,
        about: hob::story::TaskKind::Issue,
    };
    NewTask {
        on,
        ask,
        mode: TaskMode::Work,
        turn: RunReason::Begin,
        labeled_at: None,
        settings: None,
        effects: Vec::new(),
    }
}

/// Opens a task as intake does, for a delivery that is recorded.
pub(super) async fn opened(store: &Store, guid: &str, task: &NewTask) -> TaskId {
    store.record_delivery(guid, "issue_comment", b"{}", None).await.unwrap();
    store.open_task(guid, task).await.unwrap()
}

/// Grants more, as intake does.
async fn granted(store: &Store, guid: &str, story: StoryId, usd: f64) -> bool {
    store.record_delivery(guid, "issue_comment", b"{}", None).await.unwrap();
    store.grant_budget(guid, story, usd, "alice", &[]).await.unwrap()
}

/// Does something in the store while hob does not run.
pub(super) async fn beside<T>(w: &World, act: impl AsyncFnOnce(&Store) -> T) -> T {
    std::fs::create_dir_all(w.data()).unwrap();
    let store = Store::open(&w.data().join("hob.db")).await.unwrap();
    let done = act(&store).await;
    store.close().await;
    done
}

fn newest_message(w: &World, branch: &str) -> String {
    w.github.commits(REPO, branch).first().map(|commit| commit.message.clone()).unwrap_or_default()
}

#[tokio::test]
async fn at_the_cap_of_a_story_the_work_is_pushed_and_more_is_spent_after_a_yes() {
    let w = World::with(|config| config.budget.story_usd = Some(5.0)).await;
    let issue = asked(&w, "spend 700").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("This story has reached its cap of $5.00 (spent $5.03). Spend $3.00 more?"),
        "{question}"
    );
    assert!(question.contains("- [ ] Spend $3.00 more\n- [ ] Stop here"), "{question}");
    assert!(question.contains("is on the branch `hob/issue-1`: 1 commit"), "{question}");
    w.quiet().await;
    assert!(newest_message(&w, BRANCH).starts_with("WIP: stopped at the cap of the budget"));
    assert!(w.github.file_at(REPO, BRANCH, "parts/spent.txt").is_some());
    assert!(w.containers().await.is_empty());
    assert!(question.contains("\n#2 shows what is done so far, as a draft.\n"), "{question}");
    let draft = w.github.pulls(REPO).remove(0);
    assert!(draft.draft && draft.reviewers.is_empty(), "{draft:?}");
    let why = "**Not finished.** This story has reached its cap of $5.00 (spent $5.03). I have asked on #1 whether it may cost more.";
    assert!(draft.body.contains(why), "{}", draft.body);

    // Somebody who may not write has no say in it.
    w.mallory().comments(issue, "Spend $3.00 more").await;
    w.quiet().await;
    assert_eq!(runs_of(w.store(), issue).await.len(), 1);

    w.alice().comments(issue, "Spend $3.00 more").await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.number, 2);
    assert!(w.github.file_at(REPO, &pull.head, "NOTES.md").is_some());
    // Asked and answered is what the agent asked; the caps are hob's own matter.
    assert!(!pull.body.contains("cap of"), "{}", pull.body);
    w.next_comment(issue).await;
    let runs = runs_of(w.store(), issue).await;
    let sessions: Vec<_> = runs.iter().map(|run| run.end.as_ref().unwrap().session.clone()).collect();
    assert!(sessions.len() == 2 && sessions[0] == sessions[1], "the session was not resumed: {sessions:?}");
    let budget_limit: Vec<_> =
        runs.iter().map(|run| run.budget_limit.usd.map(|usd| (usd * 100.0).round())).collect();
    assert_eq!(budget_limit, [Some(500.0), Some(297.0)]);
    let spent: Usage = w.store().spent(story_of(w.store(), issue).await.id).await.unwrap();
    w.quiet().await;
    let pull = w.github.pulls(REPO).remove(0);
    assert!(!pull.draft && pull.reviewers == ["alice"], "it is done: {pull:?}");
    assert!((spent.usd - 7.03).abs() < 0.001 && spent.tokens > 0 && spent.ms > 0, "{spent:?}");
    w.finish().await;
}

#[tokio::test]
async fn who_says_stop_here_ends_the_work_and_finds_it_on_the_branch() {
    let w = World::with(|config| config.budget.story_usd = Some(1.0)).await;
    let issue = asked(&w, "spend 200").await;
    w.next_comment(issue).await;
    w.bob().comments(issue, "Stop here").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @bob asked.**"), "{said}");
    assert!(said.contains("The agent's work is on the branch `hob/issue-1`: 1 commit"), "{said}");
    let story = story_of(w.store(), issue).await;
    assert_eq!(w.store().tasks_of(story.id).await.unwrap()[0].state, TaskState::Cancelled);
    assert_eq!(runs_of(w.store(), issue).await.len(), 1);

    // The story is still at its cap: the next task is asked about before a run is made.
    w.alice().comments(issue, "/hob work").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("This story has reached its cap of $1.00 (spent $1.03). Spend $0.60 more?"),
        "{question}"
    );
    assert_eq!(runs_of(w.store(), issue).await.len(), 1);
    w.alice().comments(issue, "$3").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_stop_while_it_is_asked_says_where_the_work_is() {
    let w = World::with(|config| config.agent.max_budget_usd = Some(1.0)).await;
    let issue = asked(&w, "spend 200").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("The agent's work is on the branch `hob/issue-1`: 1 commit"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn an_answer_that_names_no_amount_spends_nothing_and_is_asked_about() {
    let w = World::with(|config| config.agent.max_budget_usd = Some(1.0)).await;
    let issue = asked(&w, "spend 150").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("This run has reached its cap of $1.00 (spent $1.03). Spend $0.60 more?"),
        "{question}"
    );
    w.alice().comments(issue, "What has it done so far?").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("I could not tell from your answer how much I may spend."), "{question}");
    assert!(
        question.contains("Spend $0.60 more?") && question.contains("branch `hob/issue-1`"),
        "{question}"
    );
    assert_eq!(runs_of(w.store(), issue).await.len(), 1);
    w.alice().comments(issue, "yes").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let runs = runs_of(w.store(), issue).await;
    assert_eq!(runs.iter().map(|run| run.budget_limit.usd).collect::<Vec<_>>(), [Some(1.0), Some(0.6)]);
    w.finish().await;
}

#[tokio::test]
async fn a_hob_that_is_killed_between_the_push_and_the_question_asks_once() {
    let w = World::prepare(|config| config.budget.story_usd = Some(1.0)).await;
    let program = w.start_program_with(&[("HOB_KILL_AT", "store.blocked.before#1")]).await;
    let issue = asked(&w, "spend 150").await;
    program.dies().await;
    let pushed = w.github.commits(REPO, BRANCH);
    assert!(!pushed.is_empty() && w.said(issue).is_empty());
    let program = w.start_program().await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("Spend $0.60 more?") && question.contains("1 commit"), "{question}");
    let now = w.github.commits(REPO, BRANCH);
    assert_eq!(now.len(), pushed.len());
    w.alice().comments(issue, "yes").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(program.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn an_answer_to_the_agent_that_a_cap_holds_up_reaches_it_all_the_same() {
    let w = World::with(|config| config.budget.story_usd = Some(0.01)).await;
    let issue = asked(&w, "ask").await;
    w.next_comment(issue).await;
    // The agent has asked within its budget; what it cost leaves less than a cent.
    w.alice().comments(issue, "one object per line").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("This story has reached its cap of $0.01"), "{question}");
    w.alice().comments(issue, "$5").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").unwrap();
    assert!(file.contains("one object per line\n\nsession: resumed"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn nobody_lets_a_story_cost_more_than_the_operator_allows() {
    let w = World::with(|config| {
        config.budget.story_usd = Some(1.0);
        config.budget.most_usd = Some(1.5);
    })
    .await;
    let issue = asked(&w, "spend 900").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("Spend $0.50 more?"), "{question}");
    w.alice().comments(issue, "$100").await;
    let said = w.next_comment(issue).await.body;
    let wanted =
        "**Stopped. This story has reached its cap of $1.50 (spent $1.53). hob's operator allows no more.**";
    assert!(said.starts_with(wanted), "{said}");
    assert!(said.contains("is on the branch `hob/issue-1`: "), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn the_cap_of_a_repositorys_day_holds_up_its_next_story() {
    let w = World::with(|config| config.budget.repository_day_usd = Some(2.0)).await;
    let issue = asked(&w, "spend 150").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let second = asked(&w, "spend 100").await;
    let question = w.next_comment(second).await.body;
    assert!(
        question.contains("This repository has reached its cap of $2.00 for today (spent $2.03)."),
        "{question}"
    );
    assert!(
        question.contains("- [ ] Spend $1.20 more\n- [ ] Wait for the next day (UTC)\n- [ ] Stop here"),
        "{question}"
    );
    let third = asked(&w, "work").await;
    let question = w.next_comment(third).await.body;
    assert!(question.contains("This repository has reached its cap"), "{question}");
    assert_eq!(runs_of(w.store(), third).await.len(), 0, "a run was made for nothing");
    w.alice().comments(third, "no").await;
    let said = w.next_comment(third).await.body;
    assert!(said.contains("The agent had not started"), "{said}");
    w.alice().comments(second, "1").await;
    w.next_pull_request().await;
    w.next_comment(second).await;
    w.finish().await;
}

#[tokio::test]
async fn at_the_next_day_a_story_that_waited_for_it_goes_on_by_itself() {
    let w = World::prepare(|config| {
        config.budget.day_usd = Some(1.0);
        config.work.sweep = Duration::from_millis(500);
        // A jump of the clock ends no lease.
        config.work.lease = Duration::from_secs(3600 * 48);
    })
    .await;
    let shift = w.folder().join("clock");
    std::fs::write(&shift, "0").unwrap();
    let program = w.start_program_with(&[("HOB_CLOCK_SHIFT", shift.to_str().unwrap())]).await;
    let issue = asked(&w, "spend 150").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("I have reached my cap of $1.00 for today, over all repositories (spent $1.03)."),
        "{question}"
    );
    assert!(question.contains("When the next day begins (UTC), I go on by myself."), "{question}");
    // One who says that it shall wait is heard, and nothing is asked twice.
    w.alice().comments(issue, "Wait for the next day (UTC)").await;
    let second = asked(&w, "work").await;
    w.next_comment(second).await;
    std::fs::write(&shift, (24 * 3600).to_string()).unwrap();
    // Both go on: the one that was told to wait, and the one whose question nobody has answered.
    w.next_pull_request().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.next_comment(second).await;
    assert_eq!(program.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_program_that_tells_its_cost_is_stopped_at_the_cap() {
    let w = World::with(|config| {
        config.agent.kind = AgentKind::Command;
        let script = "echo a >part.txt; echo '{\"cost_usd\": 0.40}'; sleep 1; echo '{\"cost_usd\": 1.10}'; sleep 300 & wait";
        config.agent.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        config.budget.story_usd = Some(1.0);
    })
    .await;
    let issue = w.alice().opens_issue("Told", "Whatever.").await;
    w.alice().labels(issue, "hob").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("This story has reached its cap of $1.00 (spent $1.10). Spend $0.60 more?"),
        "{question}"
    );
    assert!(w.github.file_at(REPO, BRANCH, "part.txt").is_some());
    w.alice().comments(issue, "no").await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn tokens_are_a_cap_where_no_money_is_told() {
    let w = World::with(|config| {
        config.agent.kind = AgentKind::Command;
        let script = "echo a >part.txt; echo '{\"tokens\": 900}'; sleep 1; echo '{\"tokens\": 1200}'; sleep 300 & wait";
        config.agent.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        config.budget.run_tokens = Some(1000);
    })
    .await;
    let issue = w.alice().opens_issue("Told", "Whatever.").await;
    w.alice().labels(issue, "hob").await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains(
            "This run has reached its cap of 1,000 tokens (used 1,200 tokens). Use 600 tokens more?"
        ),
        "{question}"
    );
    w.alice().comments(issue, "Stop here").await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_budget_that_somebody_chose_for_the_task_takes_the_place_of_the_caps() {
    let mut w = World::prepare(|config| {
        config.agent.max_budget_usd = Some(0.1);
        config.budget.story_usd = Some(0.2);
    })
    .await;
    // As `/hob work --budget 2` asks for it.
    let issue = w.alice().opens_issue("Chosen", "[scenario: spend 250]").await;
    let choice = Choice { budget_usd: Some(2.0), ..Choice::default() };
    beside(&w, async |store| {
        opened(store, "g-1", &a_task(REPO, issue, "alice", "[scenario: spend 250]", choice)).await;
    })
    .await;
    w.start_hob().await;
    let question = w.next_comment(issue).await.body;
    assert!(
        question.contains("This task has reached its budget of $2.00 (spent $2.03). Spend $1.20 more?"),
        "{question}"
    );
    w.alice().comments(issue, "yes").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let runs = runs_of(w.store(), issue).await;
    assert_eq!(runs[0].budget_limit.usd, Some(2.0));
    w.finish().await;
}

#[tokio::test]
async fn what_is_granted_by_command_answers_the_question_or_raises_the_cap() {
    let mut w = World::with(|config| config.budget.story_usd = Some(1.0)).await;
    let issue = asked(&w, "spend 150").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let story = story_of(w.store(), issue).await.id;
    w.stop_hob().await;
    // As `/hob budget +5` does it.
    assert!(beside(&w, async |store| granted(store, "g-1", story, 5.0).await).await, "it was no answer");
    w.start_hob().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.stop_hob().await;
    let answered = beside(&w, async |store| {
        let answered = granted(store, "g-2", story, 2.0).await;
        // A delivery that was forgotten and comes again grants nothing more.
        store.forget_deliveries(Timestamp::MAX, 100).await.unwrap();
        answered || granted(store, "g-2", story, 2.0).await
    });
    assert!(!answered.await, "nothing was asked");
    w.start_hob().await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let last = runs_of(w.store(), issue).await.pop().unwrap();
    let left = last.budget_limit.usd.unwrap();
    assert!((left - (1.0 + 5.0 + 2.0 - 1.53)).abs() < 0.001, "{left}");
    w.finish().await;
}

#[tokio::test]
async fn a_usage_limit_is_waited_out_without_using_up_retries() {
    let w = World::with(|config| config.agent.retries = 0).await;
    let issue = asked(&w, "usage-limit 6").await;
    let waits = w
        .eventually("the story to wait for the limit", async || {
            let story = w.store().story_at(&REPO.parse().unwrap(), IssueNumber(issue)).await.unwrap()?;
            w.store().waits_for_limit(story.id).await.unwrap()
        })
        .await;
    assert_eq!(waits.agent, AgentKind::Claude);
    let told = waits
        .until
        .strftime("**Waiting until %Y-%m-%d %H:%M UTC**: the usage limit of Claude Code is reached.");
    let told = told.to_string();
    let status =
        || w.status(issue).filter(|status| status.revisions.iter().any(|(_, text)| text.contains(&told)));
    w.until("the status to say so", |_| status().map(|_| ())).await;
    // No other story tries that agent meanwhile.
    let second = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.next_comment(second).await;
    let first_runs = runs_of(w.store(), issue).await;
    assert_eq!(first_runs.len(), 2);
    for run in [&first_runs[1], &runs_of(w.store(), second).await[0]] {
        let started = run.started_at.unwrap();
        assert!(started >= waits.until, "{started} is before {}", waits.until);
    }
    w.finish().await;
}

#[tokio::test]
async fn another_agent_takes_over_at_once_where_the_settings_allow_it() {
    let w = World::with(|config| {
        config.agent.fallback = vec![AgentKind::Command];
        let script = "cp /hob/prompt.md prompt-of-the-other.md; git add -A; git commit -qm 'By the other'; \
                      echo done >/hob/summary.md";
        config.agent.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    })
    .await;
    let issue = asked(&w, "usage-limit 600").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let prompt = w.github.file_at(REPO, &pull.head, "prompt-of-the-other.md").unwrap();
    assert!(
        prompt.contains("## What is asked for") && prompt.contains("[scenario: usage-limit 600]"),
        "{prompt}"
    );
    let runs = runs_of(w.store(), issue).await;
    let agents: Vec<_> = runs.iter().map(|run| (run.agent, run.fallback_for)).collect();
    assert_eq!(agents, [(AgentKind::Claude, None), (AgentKind::Command, Some(AgentKind::Claude))]);

    // The first is not tried again for any story before its limit is reset.
    let second = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(second).await;
    let runs = runs_of(w.store(), second).await;
    assert_eq!(runs.iter().map(|run| run.agent).collect::<Vec<_>>(), [AgentKind::Command]);
    assert_eq!(runs[0].budget_limit, Limit::default());
    w.finish().await;
}

#[tokio::test]
async fn one_person_and_one_repository_have_so_many_tasks_under_way_and_no_more() {
    for by_person in [true, false] {
        let w = World::with(|config| {
            config.work.parallel = 3;
            let work = &mut config.work;
            *(if by_person { &mut work.per_person } else { &mut work.per_repository }) = Some(1);
        })
        .await;
        let first = asked(&w, "slow 4").await;
        let second = asked(&w, "slow 1").await;
        let third = w.bob().opens_issue("Bob's", "[scenario: slow 1]").await;
        w.bob().labels(third, "hob").await;
        for _ in 0..3 {
            w.next_pull_request().await;
        }
        for issue in [first, second, third] {
            w.next_comment(issue).await;
        }
        w.quiet().await;
        let mut times = Vec::new();
        for issue in [first, second, third] {
            let run = runs_of(w.store(), issue).await.remove(0);
            let took = Duration::from_millis(run.end.as_ref().unwrap().duration_ms);
            times.push((run.started_at.unwrap(), run.started_at.unwrap() + took));
        }
        assert!(times[1].0 >= times[0].1, "two tasks of alice's were under way at once: {times:?}");
        let bob_waited = times[2].0 >= times[0].1;
        assert_eq!(bob_waited, !by_person, "{times:?}");
        w.finish().await;
    }
}

/// Takes every task that there is for that many workers, as they would, and says who got what, in
/// order.
async fn claimed(store: &Store, workers: usize, sharing: &Sharing) -> Vec<String> {
    let mut claimed = Vec::new();
    for _ in 0..workers {
        let Some(task) = store.claim_task(Duration::from_secs(60), sharing).await.unwrap() else { break };
        let story = store.story(task.story).await.unwrap();
        claimed.push(format!("{}#{} for {}", story.repo, story.issue, task.ask.by));
    }
    claimed
}

#[tokio::test]
async fn workers_are_shared_out_fairly_between_repositories_and_people() {
    let sharings = [
        Sharing::default(),
        Sharing { per_repository: Some(2), per_person: None },
        Sharing { per_repository: None, per_person: Some(1) },
    ];
    let mut told = Vec::new();
    for sharing in sharings {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hob.db")).await.unwrap();
        // Twenty of one repository, all asked for by alice, and then a few of others.
        for issue in 1..=20 {
            let task = a_task("busy/one", issue, "Alice", "", Choice::default());
            opened(&store, &format!("busy-{issue}"), &task).await;
        }
        for (issue, by) in [(1, "bob"), (2, "bob"), (3, "carol")] {
            let task = a_task("calm/two", issue, by, "", Choice::default());
            opened(&store, &format!("calm-{issue}"), &task).await;
        }
        let last = a_task("calm/three", 1, "alice", "", Choice::default());
        let last = opened(&store, "last", &last).await;
        let place = store.place_in_queue(last).await.unwrap();
        let order = claimed(&store, 7, &sharing).await;
        println!("{sharing:?}: the last is number {place:?}\n  {}", order.join("\n  "));
        assert_eq!(place, Some(3), "it goes by the repository, not by the twenty before it");
        let still = store.place_in_queue(last).await.unwrap();
        let is_claimed = order.contains(&"calm/three#1 for alice".to_owned());
        assert_eq!(still.is_none(), is_claimed);
        told.push(order);
        store.close().await;
    }
    let fair = [
        "busy/one#1 for Alice",
        "calm/two#1 for bob",
        "calm/three#1 for alice",
        "busy/one#2 for Alice",
        "calm/two#2 for bob",
        "busy/one#3 for Alice",
        "calm/two#3 for carol",
    ];
    assert_eq!(told[0], fair);
    assert_eq!(told[1], [fair[0], fair[1], fair[2], fair[3], fair[4]], "two of each repository");
    // A login is written in more ways than one.
    assert_eq!(told[2], [fair[0], fair[1], fair[6]], "one of each person");
}
