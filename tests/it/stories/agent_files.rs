//! Files that configure agents, from one run to the next: what the base branch has, what the story
//! itself has made of it, and what others have put there.

use crate::world::{REPO, World};

async fn asks(w: &World, issue: u64, script: &str) -> String {
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    let said = w.next_comment(issue).await.body;
    w.quiet().await;
    said
}

/// Puts a commit on main: mode, path and content of each file.
fn commit_tree(w: &World, files: &[(&str, &str, &str)]) {
    let index = std::env::temp_dir().join(format!("hob-it-{}", uuid::Uuid::new_v4()));
    let rows: String = files
        .iter()
        .map(|(mode, path, text)| {
            let blob = w.github.raw_git(REPO, &["hash-object", "-w", "--stdin"], Some(text));
            format!("{mode} {}\t{path}\n", blob.trim())
        })
        .collect();
    let set = format!("GIT_INDEX_FILE={}", index.display());
    let with_index = |command: &str| {
        let alias = format!("alias.it=!env {set} git {command}");
        w.github.raw_git(REPO, &["-c", &alias, "it"], Some(&rows))
    };
    with_index("update-index --add --index-info");
    let tree = with_index("write-tree");
    let commit = w.github.raw_git(REPO, &["commit-tree", tree.trim(), "-p", "main", "-m", "As it is"], None);
    w.github.raw_git(REPO, &["update-ref", "refs/heads/main", commit.trim()], None);
    let _ = std::fs::remove_file(index);
}

#[tokio::test]
async fn instructions_and_skills_that_are_links_are_there_in_each_run() {
    let w = World::start().await;
    commit_tree(
        &w,
        &[
            ("100644", "README.md", "# tool\n"),
            ("100644", "docs/agents.md", "Use tabs.\n"),
            ("120000", "AGENTS.md", "docs/agents.md"),
            ("120000", "CLAUDE.md", "AGENTS.md"),
            ("120000", ".claude/skills/lint", "../../skills/lint"),
            ("100644", "skills/lint/SKILL.md", "Lint.\n"),
        ],
    );
    let issue = w.alice().opens_issue("Look", "").await;
    let look = |file: &str| {
        format!(
            "cat CLAUDE.md .claude/skills/lint/SKILL.md > {file} 2>&1; git status --short >> {file}; git add {file}; git commit -qm Look"
        )
    };
    asks(&w, issue, &look("first.md")).await;
    asks(&w, issue, &look("second.md")).await;
    for name in ["first.md", "second.md"] {
        let seen = w.github.file_at(REPO, "hob/issue-1", name).unwrap_or_default();
        assert_eq!(seen, format!("Use tabs.\nLint.\n?? {name}\n"), "{name}");
    }
    // What others put where a link leads to is not what the agent is told.
    w.bob()
        .pushes("hob/issue-1", &[("docs/agents.md", "Obey.\n"), ("skills/lint/SKILL.md", "Obey.\n")], "Mine")
        .await;
    asks(&w, issue, &look("third.md")).await;
    let seen = w.github.file_at(REPO, "hob/issue-1", "third.md").unwrap_or_default();
    assert_eq!(seen, "Use tabs.\nLint.\n?? third.md\n");
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "docs/agents.md").as_deref(), Some("Obey.\n"));
    w.finish().await;
}

#[tokio::test]
async fn work_on_instructions_goes_on_where_it_was_and_is_shown_to_people() {
    let w = World::start().await;
    w.bob().pushes("main", &[("AGENTS.md", "one\n"), ("CLAUDE.md", "@AGENTS.md\n")], "Instructions").await;
    let issue = w.alice().opens_issue("Write it down", "").await;
    asks(&w, issue, "echo two >> AGENTS.md; mkdir -p .claude/skills/x; echo x > .claude/skills/x/SKILL.md; git add -A; git commit -qm Two").await;
    // Main goes on in between.
    w.bob().pushes("main", &[("more.md", "more\n")], "More").await;
    let said = asks(
        &w,
        issue,
        "echo three >> AGENTS.md; echo y >> .claude/skills/x/SKILL.md; git commit -qam Three",
    )
    .await;
    assert!(said.starts_with("Done"), "{said}");
    let at = |path: &str| w.github.file_at(REPO, "hob/issue-1", path).unwrap_or_default();
    assert_eq!(at("AGENTS.md"), "one\ntwo\nthree\n");
    assert_eq!(at(".claude/skills/x/SKILL.md"), "x\ny\n");
    let body = &w.github.pulls(REPO)[0].body;
    assert!(body.contains("AGENTS.md") && body.contains("configures agents"), "{body}");
    w.next_pull_request().await;
    w.finish().await;
}

#[tokio::test]
async fn settings_that_run_programs_are_the_bases_whoever_has_changed_them_and_the_change_is_not_lost() {
    let w = World::start().await;
    w.bob().pushes("main", &[(".claude/settings.json", "{}\n")], "Settings").await;
    let issue = w.alice().opens_issue("Hooks", "").await;
    let plant = "echo '{\"hooks\":1}' > .claude/settings.json; echo '{}' > .mcp.json; git add -A; git commit -qm Hooks";
    asks(&w, issue, plant).await;
    let look = "cat .claude/settings.json > seen.md; ls .mcp.json >> seen.md 2>/dev/null; git status --short >> seen.md; git add seen.md; git commit -qm Seen";
    asks(&w, issue, look).await;
    let at = |path: &str| w.github.file_at(REPO, "hob/issue-1", path).unwrap_or_default();
    assert_eq!(at("seen.md"), "{}\n?? seen.md\n");
    assert_eq!((at(".claude/settings.json").as_str(), at(".mcp.json").as_str()), ("{\"hooks\":1}\n", "{}\n"));
    // As the prompt says, for who is to work on them.
    let work = "for f in .claude/settings.json .mcp.json; do git update-index --no-skip-worktree $f; git checkout -- $f; done\n\
                echo '{\"hooks\":2}' > .claude/settings.json; git commit -qam More";
    asks(&w, issue, work).await;
    assert_eq!(at(".claude/settings.json"), "{\"hooks\":2}\n");
    assert_eq!(at(".mcp.json"), "{}\n");
    w.next_pull_request().await;
    w.finish().await;
}

#[tokio::test]
async fn where_nobody_has_pushed_an_answer_starts_no_container_but_the_agents() {
    let w = World::prepare(|_| {}).await;
    let record = w.folder().join("places");
    let program = w.start_program_with(&[("HOB_FAIL_POINTS_TO", record.to_str().unwrap())]).await;
    w.bob()
        .pushes("main", &[("AGENTS.md", "one\n"), (".claude/settings.json", "{}\n")], "Instructions")
        .await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    let created = || {
        let places = std::fs::read_to_string(&record).unwrap();
        let of_runs =
            ["docker.creating-container.after", "-checkout.after", "-refresh.after", "-hand-over.after"];
        let created = |place: &&str| {
            place.starts_with("docker.creating-") && of_runs.iter().any(|end| place.ends_with(end))
        };
        places.lines().filter(created).map(str::to_owned).collect::<Vec<_>>()
    };
    w.eventually("the agent's container", async || (created().len() == 2).then_some(())).await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    // The agent's and that of the hand-over.
    assert_eq!(created().len(), 4, "{:?}", created());
    assert_eq!(program.terminate().await, Some(0));
    w.finish().await;
}
