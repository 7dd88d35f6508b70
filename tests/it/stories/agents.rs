//! Agents other than Claude Code: one takes over where another's usage limit is reached, each in
//! its own program's way; what is said while one works is told to it next; and where a program
//! tells neither money nor tokens, minutes are a cap.

use std::time::Duration;

use hob::agent::AgentKind;
use hob::store::{Sharing, StoryUpdate, Transition};
use hob::story::{Choice, Outcome, RunEnd, TaskState};

use super::budgets::{a_task, beside, opened, runs_of};
use crate::world::{REPO, World};

const BRANCH: &str = "hob/issue-1";

/// A hob with a key for each of them.
async fn all_agents(fallback: &[AgentKind]) -> World {
    World::with(|config| {
        config.agent.fallback = fallback.to_vec();
        for name in ["CODEX_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"] {
            config.agent.keys.insert(name.to_owned(), "sk-another-0123456789-canary".into());
        }
    })
    .await
}

#[tokio::test]
async fn codex_and_gemini_and_opencode_take_over_where_the_limit_before_them_is_reached() {
    use AgentKind::{Claude, Codex, Gemini, OpenCode};
    let w = all_agents(&[Codex, Gemini, OpenCode]).await;
    let body = "[scenario: usage-limit 600] [codex: limit]";
    let issue = w.alice().opens_issue("Whoever can", body).await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #"));
    let runs = runs_of(w.store(), issue).await;
    let agents: Vec<_> = runs.iter().map(|run| (run.agent, run.fallback_for)).collect();
    assert_eq!(agents, [(Claude, None), (Codex, Some(Claude)), (Gemini, Some(Claude))]);
    assert!(pull.body.contains("Done by gemini.") && pull.body.contains("· Gemini CLI ·"), "{}", pull.body);
    let end = runs[2].end.as_ref().unwrap();
    assert_eq!((end.tokens, end.cost_usd), (Some(360), None));

    // The session that goes on is Gemini's own; then its limit is reached too, and the last one
    // goes on without a session.
    w.alice().comments(issue, "/hob work once more").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob work [gemini: limit]").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let runs = runs_of(w.store(), issue).await;
    let agents: Vec<_> = runs.iter().map(|run| run.agent).collect();
    assert_eq!(agents, [Claude, Codex, Gemini, Gemini, Gemini, OpenCode]);
    let wrote = w.github.file_at(REPO, &pull.head, "agents.md").unwrap();
    assert_eq!(wrote, "gemini resumed: no\ngemini resumed: yes\nopencode resumed: no\n");
    assert!(runs[5].end.as_ref().unwrap().cost_usd.is_some(), "OpenCode tells its cost");
    w.finish().await;
}

#[tokio::test]
async fn what_is_said_while_codex_works_is_its_next_task() {
    let w = all_agents(&[]).await;
    let issue = w.alice().opens_issue("Indent", "[codex: slow]").await;
    w.alice().labels(issue, "hob:codex").await;
    let exchange = w
        .eventually("the agent to work", async || {
            let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
            stories.map(|story| story.path().join("exchange")).find(|folder| folder.join("waits").exists())
        })
        .await;
    w.bob().comments(issue, "use tabs").await;
    let told = "What bob wrote goes to the agent next, or becomes the next task.";
    w.until("hob to say so", |_| w.status(issue).filter(|status| status.body.contains(told))).await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let wrote = w.github.file_at(REPO, &pull.head, "agents.md").unwrap();
    assert_eq!(wrote, "codex resumed: no\ncodex resumed: yes\n");
    let mut runs: Vec<_> =
        std::fs::read_dir(w.data().join("runs")).unwrap().flatten().map(|run| run.path()).collect();
    runs.sort();
    let prompt = std::fs::read_to_string(runs[1].join("prompt.md")).unwrap();
    assert!(prompt.contains("use tabs"), "{prompt}");
    w.finish().await;
}

#[tokio::test]
async fn minutes_are_a_cap_where_neither_money_nor_tokens_are_told() {
    let mut w = World::prepare(|config| {
        config.agent.kind = AgentKind::Command;
        let script = "if [ -e part.txt ]; then echo b >whole.txt; git add -A; git commit -qm 'All of it'; \
                      echo done >/hob/summary.md; exit; fi; echo a >part.txt; sleep 300 & wait";
        config.agent.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        config.budget.story_minutes = Some(1);
    })
    .await;
    let issue = w.alice().opens_issue("Slow", "Whatever.").await;
    // An earlier run of the task, which had to be tried again, has taken all but four seconds of
    // the minute.
    beside(&w, async |store| {
        opened(store, "g-1", &a_task(REPO, issue, "alice", "Whatever.", Choice::default())).await;
        let task =
            store.claim_task(Duration::from_millis(1), &Sharing::default()).await.unwrap().expect("the task");
        let (task, mut run) = store.begin_run(&task, AgentKind::Command).await.unwrap();
        let end = RunEnd {
            outcome: Outcome::Completed { summary: None },
            cost_usd: None,
            turns: None,
            tokens: None,
            session_tokens: None,
            duration_ms: 56_000,
            exit_code: Some(0),
            session: None,
            drops: Vec::new(),
            resets_at: None,
            renewal: None,
            replies: Vec::new(),
            title: None,
        };
        store.end_run(&task, &mut run, end, &StoryUpdate::default()).await.unwrap();
        store.advance(&task, TaskState::Queued, &Transition::default()).await.unwrap();
    })
    .await;
    w.start_hob().await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("This story has reached its cap of 1 min (took "), "{question}");
    assert!(
        question.contains("Take 1 min more?") && question.contains("- [ ] Take 1 min more\n"),
        "{question}"
    );
    assert!(question.contains("is on the branch `hob/issue-1`: 1 commit, `WIP`"), "{question}");
    w.quiet().await;
    assert!(w.github.file_at(REPO, BRANCH, "part.txt").is_some() && w.containers().await.is_empty());
    let runs = runs_of(w.store(), issue).await;
    assert_eq!(runs[1].budget_limit.ms, Some(4_000), "what was left of the minute");

    w.alice().comments(issue, "Take 1 min more").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, "whole.txt").is_some());
    w.next_comment(issue).await;
    w.finish().await;
}
