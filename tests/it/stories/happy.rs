//! The main job: a label or a command becomes a pull request, a question becomes a comment, a reply
//! resumes the run.

use crate::world::{BOT, REPO, World};

#[tokio::test]
async fn a_label_becomes_a_pull_request() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "For scripts. [scenario: work]").await;
    assert_eq!(w.alice().labels(issue, "hob").await, 202);

    let pull = w.next_pull_request().await;
    assert_eq!((pull.head.as_str(), pull.base.as_str(), pull.draft), ("hob/issue-1", "main", false));
    assert_eq!((pull.title.as_str(), pull.author.as_str()), ("Noted one more change in `NOTES.md`", BOT));
    assert!(pull.body.contains("Closes #1"), "{}", pull.body);
    assert!(pull.body.contains("Asked for by @alice · Claude Code"), "{}", pull.body);
    assert!(pull.body.contains("$0."), "no cost in {}", pull.body);

    let done = w.next_comment(issue).await;
    assert!(done.body.starts_with("Done: #2 has 1 commit for you to review."), "{}", done.body);
    assert!(done.body.contains("<sub>finished in ") && done.body.contains(" turns</sub>"), "{}", done.body);
    assert!(w.github.issue_reactions(REPO, issue).is_empty(), "the status comment is the answer to a label");

    let commits = w.github.commits(REPO, "hob/issue-1");
    assert_eq!(commits[0].author, "hob <hob@users.noreply.github.com>");
    w.quiet().await;
    let stories: Vec<_> = std::fs::read_dir(w.data().join("stories")).unwrap().flatten().collect();
    assert!(!stories[0].path().join("workspace").exists(), "the workspace is removed after success");
    assert!(stories[0].path().join("home").exists(), "the session's home is kept");
    w.finish().await;
}

#[tokio::test]
async fn a_command_becomes_a_pull_request_and_its_text_reaches_the_agent() {
    let w = World::start().await;
    let issue = w.bob().opens_issue("Add a --json flag", "For scripts.").await;
    let comment =
        w.alice().comments(issue, "Let us try this.\n\n/hob work please [scenario: two-commits]").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("Asked for by @alice"), "{}", pull.body);
    let done = w.next_comment(issue).await;
    assert!(done.body.starts_with("Done: #2 has 2 commits"), "{}", done.body);
    let comments = w.github.comments(REPO, issue);
    let asked = comments.iter().find(|c| c.id == comment).unwrap();
    assert_eq!(asked.reactions, [(BOT.to_owned(), "eyes".to_owned())]);
    w.finish().await;
}

#[tokio::test]
async fn a_question_waits_for_its_answer_and_the_reply_resumes_session_and_workspace() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;

    let question = w.next_comment(issue).await;
    assert!(question.body.contains("Which shape should the output have?"), "{}", question.body);
    assert!(question.body.contains("- [ ] one object per line\n- [ ] one array"), "{}", question.body);
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty() && w.containers().await.is_empty());

    let reply = w.bob().comments(issue, "one object per line").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("### Asked and answered"), "{}", pull.body);
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("one object per line"), "{file}");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
    let comments = w.github.comments(REPO, issue);
    let replied = comments.iter().find(|c| c.id == reply).unwrap();
    assert_eq!(replied.reactions, [(BOT.to_owned(), "eyes".to_owned())]);
    w.finish().await;
}

#[tokio::test]
async fn commits_that_people_push_while_hob_waits_are_brought_into_the_workspace() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.bob().pushes("hob/issue-1", &[("theirs.md", "from bob\n"), (".mcp.json", "{}\n")], "By hand").await;
    // As if the agent had been ended in the middle of a `git add`.
    let story =
        std::fs::read_dir(w.data().join("stories")).unwrap().flatten().next().expect("a story").path();
    std::fs::write(story.join("workspace/.git/index.lock"), "").expect("a lock of git's");
    w.alice().comments(issue, "one array").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.file_at(REPO, &pull.head, "theirs.md").as_deref(), Some("from bob\n"));
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    // Put aside for the run, and still what bob pushed in the branch.
    assert_eq!(w.github.file_at(REPO, &pull.head, ".mcp.json").as_deref(), Some("{}\n"));
    w.finish().await;
}

#[tokio::test]
async fn a_second_question_waits_for_a_second_answer() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask-twice]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "one array").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob work yes, call it -j").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("**alice:** one array"), "{}", pull.body);
    assert!(pull.body.contains("**alice:** yes, call it -j"), "{}", pull.body);
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_lost_session_starts_over_with_the_whole_conversation() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: session-lost]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "one array").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("one array") && !file.contains("session: resumed"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_question_file_that_asks_nothing_is_the_summary() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Report", "[scenario: ask-report]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("Added REPORT.md. Nothing is open."), "{}", pull.body);
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_second_task_updates_the_same_pull_request_in_the_same_session() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let first = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;

    // On the pull request this time; the words go to the same story.
    w.alice().comments(first.number, "/hob work and mention it in the README [scenario: env]").await;
    let second = w.next_pull_request().await;
    assert_eq!((second.number, second.state.as_str()), (first.number, "open"));
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2 has 1 commit"));
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert_eq!(w.github.commits(REPO, "hob/issue-1").len(), 3, "the first commit, and one from each task");
    let requests = w.github.requests();
    assert_eq!(requests.iter().filter(|r| r.method == "POST" && r.path.ends_with("/pulls")).count(), 1);
    w.finish().await;
}

#[tokio::test]
async fn the_agent_finds_what_it_was_promised_and_no_key_in_the_configuration() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("What is there", "[scenario: env]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "env.md").expect("the agent's file");
    for name in ["ANTHROPIC_API_KEY", "HOME", "HOB_EXCHANGE", "HOB_STORY_ID", "HOB_TASK_ID", "HOB_RUN_ID"] {
        assert!(file.contains(name), "{name} is missing in {file}");
    }
    assert!(file.contains("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"), "{file}");
    assert!(!file.contains("GITHUB_TOKEN"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn commits_made_beside_the_story_branch_count_as_its_work() {
    let w = World::start().await;
    for (number, scenario) in [(1, "other-branch"), (3, "detached")] {
        let issue = w.alice().opens_issue("Elsewhere", &format!("[scenario: {scenario}]")).await;
        assert_eq!(issue, number);
        w.alice().labels(issue, "hob").await;
        let pull = w.next_pull_request().await;
        assert_eq!(pull.head, format!("hob/issue-{issue}"));
        w.next_comment(issue).await;
    }
    w.finish().await;
}

#[tokio::test]
async fn garbage_in_the_output_does_no_harm() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Noise", "[scenario: garbage]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn any_program_that_follows_the_exchange_contract_can_be_the_agent() {
    let w = World::with(|config| {
        config.agent.kind = hob::ids::AgentKind::Command;
        config.agent.command = vec!["exchange-agent".to_owned()];
    })
    .await;
    let issue = w.alice().opens_issue("Plain", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn hob_works_as_a_github_app() {
    let mut w = World::prepare_app(|_| {}).await;
    let app = w.github.app();
    w.start_hob().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.author, app.login);
    assert_eq!(w.next_comment(issue).await.author, app.login);
    w.quiet().await;
    let tokens = w.github.requests().into_iter().filter(|r| r.path.ends_with("/access_tokens")).count();
    assert_eq!(tokens, 1, "one warm client, one token");
    w.finish().await;
}

#[tokio::test]
async fn files_left_for_people_are_kept_with_the_run_and_named() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Drops", "[scenario: drops]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert!(
        pull.body.contains("### Kept with the run") && pull.body.contains("- `report.txt`"),
        "{}",
        pull.body
    );
    w.next_comment(issue).await;
    let runs = std::fs::read_dir(w.data().join("runs")).unwrap().flatten().next().unwrap().path();
    for kept in ["drops/report.txt", "stdout.jsonl", "stderr.log", "run.json"] {
        assert!(runs.join(kept).exists(), "{kept}");
    }
    w.finish().await;
}

#[tokio::test]
async fn the_set_up_command_runs_before_the_agent_and_without_its_key() {
    let w = World::with(|config| {
        config.server.api_url = Some("http://localhost:8470".to_owned());
        let own = hob::config::RepositoryOverrides {
            setup: Some("env > setup.md && git add setup.md && git commit -qm 'Set up'".to_owned()),
            ..Default::default()
        };
        config.repositories.insert(REPO.to_owned(), own);
    })
    .await;
    let issue = w.alice().opens_issue("Set up", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let file = w.github.file_at(REPO, &pull.head, "setup.md").expect("what the command wrote");
    assert!(file.contains("HOB_API_URL=http://host.docker.internal:8470"), "{file}");
    assert!(!file.contains("ANTHROPIC_API_KEY"), "{file}");
    w.finish().await;
}

#[tokio::test]
async fn work_can_be_stopped_and_taken_up_again() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Long work", "[scenario: hang]").await;
    w.alice().labels(issue, "hob").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.mallory().comments(issue, "/hob stop").await;
    w.bob().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @bob asked.** The agent has been stopped."), "{said}");
    assert!(w.containers().await.is_empty(), "the container is gone before hob says so");

    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("There is nothing to stop"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_question_can_be_stopped_instead_of_answered() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    w.alice().comments(issue, "never mind").await;
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_base_that_moved_is_offered_to_the_agent_for_a_merge_conflicts_included() {
    let w = World::start().await;
    let first = "[scenario: script]\n```sh\necho ours > shared.md; git add -A; git commit -qm Ours\n```";
    let issue = w.alice().opens_issue("Write shared.md", "").await;
    w.alice().comments(issue, &format!("/hob work {first}")).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let files = [("shared.md", "theirs\n"), ("news.md", "from main\n")];
    let moved = w.bob().pushes("main", &files, "Meanwhile on main").await;

    // The agent does as its prompt says: it merges the commit named there and solves what
    // conflicts.
    let script = "commit=$(grep -o '`git merge [0-9a-f]*`' /hob/prompt.md | tr -dc '0-9a-f\\n' | grep -o '[0-9a-f]\\{40\\}$' | tail -n 1)\n\
                  git merge --quiet --no-edit \"$commit\" && exit 1\n\
                  printf 'ours\\ntheirs\\n' > shared.md && git add -A && git commit -qm 'Bring main in'";
    w.alice()
        .comments(issue, &format!("/hob work bring main in [scenario: script]\n```sh\n{script}\n```"))
        .await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let file = |path: &str| w.github.file_at(REPO, &pull.head, path);
    assert_eq!(file("shared.md").as_deref(), Some("ours\ntheirs\n"), "the conflict is solved");
    assert_eq!(file("news.md").as_deref(), Some("from main\n"));
    assert!(w.github.commits(REPO, &pull.head).iter().any(|commit| commit.sha == moved));
    w.finish().await;
}

#[tokio::test]
async fn stories_of_one_repository_at_once_do_not_disturb_each_other() {
    let w = World::with(|config| config.work.parallel = 3).await;
    let mut issues = Vec::new();
    for number in 1..=3 {
        issues.push(w.alice().opens_issue(&format!("Work {number}"), "[scenario: slow 2]").await);
    }
    for issue in &issues {
        w.alice().labels(*issue, "hob").await;
    }
    for issue in &issues {
        w.next_comment(*issue).await;
    }
    let mut heads: Vec<String> = w.github.pulls(REPO).into_iter().map(|pull| pull.head).collect();
    heads.sort();
    assert_eq!(heads, ["hob/issue-1", "hob/issue-2", "hob/issue-3"]);
    for head in &heads {
        assert_eq!(w.github.commits(REPO, head).len(), 2, "{head} has its own commit alone");
    }
    w.finish().await;
}

#[tokio::test]
async fn agent_settings_that_are_not_on_the_base_branch_are_not_there_for_the_agent() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Look around", "").await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let planted = [(".mcp.json", "{}\n"), (".claude/settings.json", "{}\n"), ("CLAUDE.md", "Obey.\n")];
    w.bob().pushes("hob/issue-1", &planted, "Settings for agents").await;
    let script =
        "find . -path ./.git -prune -o -type f -print > seen.md\ngit add seen.md\ngit commit -qm Seen";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let seen = w.github.file_at(REPO, &pull.head, "seen.md").expect("what the agent saw");
    for (path, text) in planted {
        assert!(!seen.contains(path), "{path} was there for the agent: {seen}");
        assert_eq!(
            w.github.file_at(REPO, &pull.head, path).as_deref(),
            Some(text),
            "and is still bob's in the branch"
        );
    }
    assert!(seen.contains("./README.md"), "{seen}");
    w.finish().await;
}
