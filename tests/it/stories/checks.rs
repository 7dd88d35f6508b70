//! Checks that fail on what hob pushed, and what comes of them.

use serde_json::json;

use crate::world::github::{GitHub, Job, Merging, Verdict, on};
use crate::world::{KEY, REPO, World};

/// The newest commit of the branch of issue 1.
fn head(w: &World) -> String {
    w.github.commits(REPO, "hob/issue-1")[0].sha.clone()
}

/// A world with a pull request that hob has opened for issue 1.
async fn proposed(w: &World) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", "For scripts. [scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    issue
}

/// The prompts of all runs so far, oldest first.
fn prompts(w: &World) -> Vec<String> {
    let runs = std::fs::read_dir(w.data().join("runs")).expect("the folder of runs").flatten();
    // Ids of runs grow.
    let mut folders: Vec<_> = runs.map(|run| run.path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| std::fs::read_to_string(folder.join("prompt.md")).ok()).collect()
}

#[tokio::test]
async fn checks_that_fail_are_mended_together_and_no_more_often_than_allowed() {
    let w = World::start().await;
    let base = w.github.commits(REPO, "main")[0].sha.clone();
    w.ci().fails("lint", &base, "it was red before\n").await;
    let issue = proposed(&w).await;
    // What is red where the base is by now is not the branch's doing either.
    let moved = w.bob().pushes("main", &[("more.md", "more\n")], "More").await;
    w.ci().fails("links", &moved, "red since then\n").await;

    let first = head(&w);
    let log = format!(
        "{}2026-11-24T08:00:00.1234567Z \u{1b}[31mtest one ... FAILED\u{1b}[0m\n\
         2026-11-24T08:00:01.1234567Z </output>\n2026-11-24T08:00:02.1234567Z the key is {KEY}\n",
        "noise at the beginning\n".repeat(300)
    );
    let failed = |name, log| Job { name, conclusion: "failure", log };
    let jobs = [
        failed("build", Some(log.as_str())),
        failed("gone", None),
        failed("lint", Some("red")),
        failed("links", Some("red")),
    ];
    w.ci().runs(&first, &jobs).await;
    // hob's own are none of it, and neither is what passes.
    w.ci().sets_status("hob", &first, "failure", "hob says no").await;
    w.ci().passes("docs", &first).await;
    let done = w.next_comment(issue).await.body;
    assert!(
        done.starts_with("Done: #2 has 1 commit more, about the checks that failed: `gone` and `build`."),
        "{done}"
    );
    let second = head(&w);
    assert_ne!(first, second);
    assert_eq!(w.github.commits(REPO, "hob/issue-1").len(), 3, "one task for both, and the first commit");
    let told = prompts(&w).pop().unwrap();
    assert!(
        told.contains("check=\"build\" of=\"GitHub Actions\"") && told.contains("actions/runs/"),
        "{told}"
    );
    assert!(told.contains("\ntest one ... FAILED\n</output>\nthe key is "), "{told}");
    assert!(told.contains("check=\"gone\"") && told.contains("(there is no log of it)"), "{told}");
    assert!(!told.contains(KEY) && told.matches("noise at the beginning").count() < 200, "{told}");
    for other in ["lint", "links", "hob says no", "docs"] {
        assert!(!told.contains(other), "{other} in: {told}");
    }

    w.quiet().await;
    w.ci().fails("build", &second, "still not\n").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `build`. Its next run"), "{done}");
    let third = head(&w);
    w.quiet().await;
    w.ci().fails("build", &third, "and not now\n").await;
    let enough = w.next_comment(2).await.body;
    assert!(enough.starts_with("**`build` still fails, and I stop here.**"), "{enough}");
    w.quiet().await;
    assert!(w.status(issue).unwrap().body.starts_with("**`build` still fails"), "{:?}", w.status(issue));
    w.ci().fails("test", &third, "another\n").await;
    w.quiet().await;
    assert_eq!(head(&w), third, "said once, and done");

    // A person can always have it try.
    w.alice().comments(2, "/hob fix mind the flag").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the checks that failed: `test` and `build`"), "{done}");
    assert!(prompts(&w).pop().unwrap().contains("mind the flag"));
    w.quiet().await;
    w.alice().comments(2, "/hob fix").await;
    let none = w.next_comment(2).await.body;
    assert!(none.starts_with(&format!("**No check fails** on `{}`", &head(&w)[..7])), "{none}");
    w.finish().await;
}

#[tokio::test]
async fn what_is_not_hobs_to_mend_costs_nothing_until_somebody_asks() {
    let w = World::start().await;
    let issue = proposed(&w).await;
    let pushed = head(&w);

    // It passes by the time hob looks: nothing is begun, and the status comment says so.
    w.ci().fails("flaky", &pushed, "a bad day\n").await;
    w.ci().passes("flaky", &pushed).await;
    let said = |_: &GitHub| w.status(issue).filter(|status| status.body.starts_with("**No check fails**"));
    w.until("hob to say that nothing fails", said).await;
    w.quiet().await;
    assert_eq!(head(&w), pushed);

    // Commits that hob has not pushed last are nothing to it: no question to GitHub, whatever fails
    // there.
    let main = w.github.commits(REPO, "main")[0].sha.clone();
    let theirs = w.bob().pushes("hob/issue-1", &[("theirs.md", "from bob\n")], "By hand").await;
    let before = w.github.requests().len();
    for sha in [&main, &theirs] {
        w.ci().fails("build", sha, "no\n").await;
        w.ci().sets_status("deploy", sha, "error", "no disk").await;
        w.ci().cannot_start("release", sha).await;
    }
    w.quiet().await;
    let asked: Vec<_> = w.github.requests().drain(before..).collect();
    assert_eq!(asked, [], "hob has asked about commits that are not its own");

    // What fails on the commit from before people pushed is of the past by the time hob looks.
    w.ci().fails("late", &pushed, "no\n").await;
    w.quiet().await;
    assert_eq!(head(&w), theirs, "nothing is pushed onto what bob pushed");

    // Anyone who asks gets it, on what is there now. Every kind of check is told with what it has
    // to say; what fails on the base too is left alone.
    let note = json!({"path": "run.sh", "start_line": 2, "end_line": 2, "annotation_level": "failure", "message": "no --json"});
    w.ci().lint_fails("style", &theirs, ["1 error", "One thing is wrong.", "Details."], vec![note]).await;
    w.ci().sets_status("preview", &theirs, "failure", "the page is blank").await;
    w.ci().cannot_start("nightly", &theirs).await;
    w.mallory().comments(2, "/hob fix").await;
    w.alice().comments(issue, "/hob fix").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the checks that failed: `style`, `preview` and `nightly`."), "{done}");
    let told = prompts(&w).pop().unwrap();
    let expected = "1 error\n\nOne thing is wrong.\n\nDetails.\n\nrun.sh:2: no --json";
    for part in [
        expected,
        "the page is blank",
        "of=\"a workflow that could not start\"",
        "page=\"https://ci.example/preview\"",
    ] {
        assert!(told.contains(part), "{part} not in: {told}");
    }
    assert!(!told.contains("check=\"build\"") && !told.contains("check=\"deploy\""), "{told}");
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "theirs.md").as_deref(), Some("from bob\n"));
    w.quiet().await;

    // Anyone who asked last may not push any more: nothing of theirs is followed up.
    let pushed = head(&w);
    w.github.set_permission(REPO, "alice", "read");
    w.ci().fails("build", &pushed, "no\n").await;
    w.quiet().await;
    assert_eq!(head(&w), pushed);
    w.finish().await;
}

#[tokio::test]
async fn what_fails_on_what_hob_pushed_without_an_agent_is_mended_and_each_pull_request_has_its_own_count() {
    let w = World::start().await;
    let issue = proposed(&w).await;
    let merged = async |times: usize| {
        w.bob().pushes("main", &[(&format!("more-{times}.md"), "more\n")], "More").await;
        let before = head(&w);
        w.alice().comments(issue, "/hob rebase").await;
        w.until("the merge", |_| Some(head(&w)).filter(|now| *now != before)).await;
        w.quiet().await;
        head(&w)
    };
    let mended = async |head: &str| {
        w.ci().fails("build", head, "no\n").await;
        let done = w.next_comment(issue).await.body;
        assert!(done.contains("about the check that failed: `build`"), "{done}");
        w.quiet().await;
    };
    // What a person asks for does not count.
    let theirs = w.bob().pushes("hob/issue-1", &[("theirs.md", "from bob\n")], "By hand").await;
    w.ci().fails("build", &theirs, "no\n").await;
    w.alice().comments(2, "/hob fix").await;
    assert!(w.next_comment(issue).await.body.contains("about the check that failed: `build`"));
    w.quiet().await;

    // A merge of the base, and a suggestion.
    mended(&merged(1).await).await;
    let before = head(&w);
    let suggestion = on("NOTES.md", 1, "```suggestion\n- better\n```");
    w.bob().reviews(2, Verdict::Commented, "", &[suggestion]).await;
    w.until("the suggestion", |_| Some(head(&w)).filter(|now| *now != before)).await;
    w.quiet().await;
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "NOTES.md").unwrap().lines().next(), Some("- better"));
    mended(&head(&w)).await;
    w.ci().fails("build", &head(&w), "no\n").await;
    let enough = w.next_comment(2).await.body;
    assert!(enough.starts_with("**`build` still fails, and I stop here.**"), "{enough}");
    w.quiet().await;

    // Another pull request begins again with that, and so it does with what is said of it.
    w.bob().merges(2, Merging::Commit).await;
    w.quiet().await;
    w.alice().comments(issue, "/hob work add a short form too [scenario: work]").await;
    let other = |github: &GitHub| github.pulls(REPO).into_iter().find(|pull| pull.number > 2);
    let second = w.until("another pull request", other).await;
    w.quiet().await;
    let tip = || w.github.commits(REPO, &second.head)[0].sha.clone();
    let before = tip();
    w.ci().fails("build", &before, "no\n").await;
    w.until("the check to be mended", |_| Some(tip()).filter(|now| *now != before)).await;
    w.quiet().await;
    // Closed and opened again it is still about all that was done for it.
    let reported = || {
        let now = w.github.pulls(REPO).into_iter().find(|pull| pull.number == second.number);
        now.expect("the pull request").body.matches("Noted one more change").count()
    };
    let before = reported();
    w.bob().closes(second.number).await;
    w.bob().reopens(second.number).await;
    w.quiet().await;
    w.alice().comments(second.number, "rename it [scenario: work]").await;
    w.until("the report of it", |_| (reported() == before + 1).then_some(())).await;
    w.next_comment(second.number).await;
    w.finish().await;
}

#[tokio::test]
async fn a_failure_ends_it_a_retry_keeps_it_and_a_repository_can_have_none_of_it() {
    let w = World::with(|config| config.agent.retries = 0).await;
    let issue = proposed(&w).await;
    let pushed = head(&w);
    // The last task has failed: what fails after that waits for somebody.
    w.alice().comments(issue, "/hob work [scenario: crash]").await;
    let failed = w.next_comment(issue).await.body;
    assert!(failed.starts_with("**"), "{failed}");
    w.quiet().await;
    w.ci().fails("build", &pushed, "no\n").await;
    w.quiet().await;
    assert_eq!(prompts(&w).len(), 2);

    // Asked for on the pull request, it is said there too.
    w.alice().comments(2, "/hob fix [scenario: crash]").await;
    for _ in 0..2 {
        let failed = w.next_comment(issue).await.body;
        let here = w.next_comment(2).await.body;
        assert!(failed.starts_with("**"), "{failed}");
        assert!(here.starts_with("The failed checks are not fixed. **") && here.contains("`/hob "), "{here}");
        w.quiet().await;
        if prompts(&w).len() == 3 {
            w.alice().comments(issue, "/hob retry").await;
        }
    }
    assert!(prompts(&w).pop().unwrap().contains("check=\"build\""), "a retry is about the same");
    w.quiet().await;
    w.alice().comments(issue, "/hob resume [scenario: work]").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let pushed = head(&w);

    let off = [(".github/hob.toml", "fixes = 0\n")];
    w.alice().pushes("main", &off, "No fixes here").await;
    w.ci().fails("build", &pushed, "no\n").await;
    w.quiet().await;
    assert_eq!(head(&w), pushed);

    // A mistake in the settings keeps hob from it: said once, where people look.
    w.alice().pushes("main", &[(".github/hob.toml", "fixes = \"many\"\n")], "A mistake").await;
    for job in ["build", "test"] {
        w.ci().fails(job, &pushed, "no\n").await;
    }
    let said = w.next_comment(2).await.body;
    assert!(said.starts_with("**I cannot look at the failed check: line 1 of `.github/hob.toml`"), "{said}");
    assert!(said.contains("`/hob fix`"), "{said}");
    w.finish().await;
}

/// Has an agent work until it is let go on, and then run these lines; gives its exchange.
async fn at_work(w: &World, issue: u64, lines: &str) -> std::path::PathBuf {
    let script = format!("touch /hob/so-far; until [ -e /hob/go-on ]; do sleep 0.2; done\n{lines}");
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    w.eventually("the agent to get so far", async || {
        let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        let exchanges = stories.map(|story| story.path().join("exchange"));
        exchanges.into_iter().find(|at| at.join("so-far").exists() && !at.join("go-on").exists())
    })
    .await
}

#[tokio::test]
async fn what_fails_waits_for_checks_that_still_run_and_for_the_agent_at_work() {
    let w = World::start().await;
    let issue = proposed(&w).await;
    let pushed = head(&w);

    // One has failed and another still runs: nothing is begun before that has ended, and then both
    // are one task.
    w.ci().sets_status("deploy", &pushed, "pending", "it runs").await;
    w.ci().fails("build", &pushed, "no\n").await;
    let waits = |_: &GitHub| w.status(issue).filter(|at| at.body.starts_with("**A check has failed.**"));
    w.until("hob to say that it waits", waits).await;
    assert_eq!(prompts(&w).len(), 1);
    w.ci().sets_status("deploy", &pushed, "failure", "no disk").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the checks that failed: `build` and `deploy`."), "{done}");
    assert_eq!(prompts(&w).len(), 2, "one task for both");
    w.quiet().await;

    // It fails while the agent works on something else, whose commits are another matter.
    let pushed = head(&w);
    let exchange = at_work(&w, issue, "echo more > more.md; git add -A; git commit -qm More").await;
    w.ci().fails("build", &pushed, "no\n").await;
    w.quiet_deliveries().await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    w.quiet().await;
    assert_eq!(prompts(&w).len(), 3, "the branch has moved on");

    // Where it leaves the branch as it was, what failed is next.
    let pushed = head(&w);
    let exchange = at_work(&w, issue, "true").await;
    w.ci().fails("build", &pushed, "no\n").await;
    w.quiet_deliveries().await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    w.next_comment(issue).await;
    w.quiet().await;
    let told = prompts(&w);
    assert!(told.len() == 5 && told[4].contains("check=\"build\""), "{told:?}");
    w.finish().await;
}

#[tokio::test]
async fn a_stop_and_a_cap_reach_a_fix_that_waits() {
    let long = std::time::Duration::from_secs(3600);
    let w = World::with(|config| config.pull_request.wait = long).await;
    let issue = proposed(&w).await;
    w.ci().fails("build", &head(&w), "no\n").await;
    let waits = |_: &GitHub| w.status(issue).filter(|at| at.body.starts_with("**A check has failed.**"));
    w.until("hob to say that it waits", waits).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.** The agent had not started"), "{said}");
    w.quiet().await;
    assert!(!w.github.pulls(REPO)[0].draft, "what was done before it is done");
    w.finish().await;

    // The cap is reached by the work itself, so that the fix is asked about.
    let w = World::with(|config| config.budget.story_usd = Some(1.0)).await;
    let issue = w.alice().opens_issue("Costly", "[scenario: spend 100]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.ci().fails("build", &head(&w), "no\n").await;
    let asked = w.next_comment(issue).await.body;
    assert!(asked.contains("This story has reached its cap of $1.00"), "{asked}");
    assert!(!asked.contains("as a draft"), "{asked}");
    w.quiet().await;
    assert!(!w.github.pulls(REPO)[0].draft && prompts(&w).len() == 1);
    // While it waits for the answer, people fix it: hob looks again, and leaves what they pushed
    // alone until somebody asks.
    let theirs = w.bob().pushes("hob/issue-1", &[("theirs.md", "mended\n")], "Mend it").await;
    w.alice().comments(issue, "Spend $0.60 more").await;
    w.quiet().await;
    assert_eq!(
        (head(&w), prompts(&w).len()),
        (theirs.clone(), 1),
        "an agent worked on what people had pushed"
    );
    w.ci().fails("build", &theirs, "no\n").await;
    w.alice().comments(issue, "/hob fix").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `build`"), "{done}");
    assert!(prompts(&w)[1].contains("check=\"build\""), "{:?}", prompts(&w));
    w.finish().await;
}

#[tokio::test]
async fn a_failed_check_that_no_webhook_told_of_is_found_by_looking() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    let issue = w.alice().opens_issue("Add a --json flag", "For scripts. [scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let pushed = head(&w);
    w.ci().fails("build", &pushed, "no\n").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `build`"), "{done}");
    w.finish().await;
}

#[tokio::test]
async fn an_apps_own_check_run_starts_nothing_and_a_failed_check_that_was_missed_is_delivered_again() {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    let issue = proposed(&w).await;
    let pushed = head(&w);
    w.github.own_check_fails(REPO, &pushed).await;
    w.quiet().await;
    assert_eq!(head(&w), pushed);
    w.stop_hob().await;
    w.ci().fails("build", &pushed, "no\n").await;
    w.start_hob().await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `build`"), "{done}");
    w.finish().await;
}

#[tokio::test]
async fn a_check_is_told_by_its_workflow_and_what_waits_for_a_person_has_not_passed() {
    let w = World::start().await;
    let base = w.github.commits(REPO, "main")[0].sha.clone();
    let job = |conclusion, log| [Job { name: "test", conclusion, log: Some(log) }];
    w.github.run_workflow(REPO, "Nightly", &base, &job("failure", "a mirror is away\n")).await;
    w.github.run_workflow(REPO, "CI", &base, &job("success", "ok\n")).await;
    let issue = proposed(&w).await;
    let pushed = head(&w);
    // The nightly job fails as it did before, and is left alone; that of the same name in another
    // workflow is the work's doing.
    w.github.run_workflow(REPO, "Nightly", &pushed, &job("failure", "a mirror is away\n")).await;
    let said =
        |_: &GitHub| w.status(issue).filter(|status| status.body.contains("failed before this work began"));
    w.until("hob to leave the nightly job", said).await;
    w.quiet().await;
    assert_eq!((head(&w), prompts(&w).len()), (pushed.clone(), 1));
    w.github.run_workflow(REPO, "CI", &pushed, &job("failure", "the new flag is not parsed\n")).await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `test`."), "{done}");
    let told = prompts(&w).pop().unwrap();
    assert!(told.contains("the new flag is not parsed") && !told.contains("a mirror is away"), "{told}");
    w.quiet().await;

    // An App waits for something: that is no failure, and nothing that has passed.
    let pushed = head(&w);
    w.github
        .lint(REPO, "DCO", &pushed, "action_required", ["Unsigned", "Sign the commits off.", ""], vec![])
        .await;
    w.ci().fails("flaky", &pushed, "a bad day\n").await;
    w.ci().passes("flaky", &pushed).await;
    let said = |_: &GitHub| w.status(issue).filter(|status| status.body.contains("`DCO` has not passed"));
    w.until("hob to say what has not passed", said).await;
    w.quiet().await;
    assert_eq!(head(&w), pushed);
    w.alice().comments(issue, "/hob fix").await;
    let done = w.next_comment(issue).await.body;
    assert!(done.contains("about the check that failed: `DCO`."), "{done}");
    assert!(prompts(&w).pop().unwrap().contains("Sign the commits off."));
    w.finish().await;
}
