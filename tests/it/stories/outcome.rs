//! The outcome of work reaches people: finished commits are delivered whatever else lies in the
//! workspace, a push that was refused is retried as a push, what would be in the way is said before
//! an agent is paid, and a write that GitHub refuses for good is told.

use crate::world::github::Fault;
use crate::world::{REPO, World};

/// Has the agent run a script on a new issue; tells the issue.
async fn runs_script(w: &World, script: &str) -> u64 {
    let issue = w.alice().opens_issue("A task", "").await;
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    issue
}

fn commit(file: &str) -> String {
    format!("echo x > {file}; git add {file}; git commit -qm 'Add {file}'")
}

/// How many runs of agents there were.
fn runs(w: &World) -> usize {
    std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn what_git_status_shows_keeps_no_finished_commit_from_people() {
    let w = World::start().await;
    // In a fresh workspace already: its line ends are not those that the attributes ask for.
    w.bob().pushes("main", &[("legacy.txt", "one\r\ntwo\r\n")], "Old").await;
    w.bob().pushes("main", &[(".gitattributes", "*.txt text\n")], "Attributes").await;
    let script = format!(
        "{}; touch legacy.txt; git init -q reference; git -C reference commit -q --allow-empty -m r; git init -q empty; \
         echo x > locked; chmod 0 locked",
        commit("mine.md")
    );
    let issue = runs_script(&w, &script).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    assert!(
        said.contains("Left out, because a commit cannot contain it: `empty/`, `locked`, `reference/`."),
        "{said}"
    );
    assert!(!said.contains("legacy.txt"), "{said}");
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1"), ["mine.md"]);
    assert_eq!(runs(&w), 1, "nothing was to be committed");
    w.finish().await;
}

#[tokio::test]
async fn a_status_that_cannot_be_listed_keeps_no_commit_back() {
    let w = World::start().await;
    // An index that is broken, and a submodule whose repository is not there.
    let broken = format!("{}; echo junk > .git/index", commit("mine.md"));
    let issue = runs_script(&w, &broken).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    assert!(said.contains("git could not list what is uncommitted"), "{said}");
    let submodule = "mkdir lib; echo 'gitdir: ../.git/modules/lib' > lib/.git; \
                     git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),lib";
    let issue = runs_script(&w, &format!("{}; {submodule}", commit("other.md"))).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #4 has 1 commit"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn what_the_agent_does_not_commit_though_it_is_asked_is_named_beside_its_commits() {
    let w = World::start().await;
    // Asked to commit the rest, it finds no script to run, and does nothing.
    let issue = runs_script(&w, &format!("{}; echo y > rest.md", commit("mine.md"))).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    assert!(
        said.contains("The agent left changes uncommitted, and they are not in it: `rest.md`."),
        "{said}"
    );
    assert_eq!((w.github.diff_files(REPO, "hob/issue-1"), runs(&w)), (vec!["mine.md".to_owned()], 2));
    w.finish().await;
}

#[tokio::test]
async fn a_stop_pushes_work_in_progress_beside_what_no_commit_can_take() {
    let w = World::start().await;
    w.bob().pushes("main", &[("legacy.txt", "one\r\ntwo\r\n")], "Old").await;
    w.bob().pushes("main", &[(".gitattributes", "*.txt text\n")], "Attributes").await;
    let script = "echo y > half.md; touch legacy.txt; git init -q reference; \
                  git -C reference commit -q --allow-empty -m r; git init -q empty; touch /hob/there; sleep 60";
    let issue = runs_script(&w, script).await;
    w.eventually("the agent to be in the middle of it", async || {
        let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        stories.into_iter().find(|story| story.path().join("exchange/there").exists())
    })
    .await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("is on the branch `hob/issue-1`: 1 commit"), "{said}");
    assert!(said.contains("Left out, because a commit cannot contain it: `empty/`, `reference/`."), "{said}");
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1"), ["half.md"]);
    w.finish().await;
}

#[tokio::test]
async fn a_refused_push_is_retried_without_another_run() {
    let w = World::start().await;
    w.github.protect_branch(REPO, "hob/*");
    let issue = w.alice().opens_issue("Small", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**GitHub rejected the push.**"), "{said}");
    w.quiet().await;
    // Refused once more, it is as it was.
    w.alice().comments(issue, "/hob retry").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**GitHub rejected the push.**"), "{said}");
    w.quiet().await;
    w.github.raw_git(REPO, &["config", "core.hooksPath", "/dev/null"], None);
    w.bob().comments(issue, "/hob retry").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    assert_eq!((runs(&w), w.github.commits(REPO, "hob/issue-1").len()), (1, 2));
    // With what the agent said of it.
    let body = w.github.pulls(REPO).remove(0).body;
    assert!(body.contains("NOTES.md"), "{body}");
    w.finish().await;
}

/// An issue whose agent waits for an answer.
async fn asked(w: &World) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    issue
}

/// What an issue says that fails before anything starts.
async fn not_started(w: &World, title: &str) -> String {
    let issue = w.alice().opens_issue(title, "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**hob could not start the agent.**"), "{said}");
    assert!(said.contains("`/hob retry` then starts the task.") && !said.contains("operator"), "{said}");
    w.quiet().await;
    said
}

fn status(w: &World, issue: u64) -> String {
    w.status(issue).map_or_else(String::new, |status| status.body)
}

#[tokio::test]
async fn branches_in_the_way_are_said_before_an_agent_is_started() {
    let w = World::start().await;
    w.bob().pushes("hob", &[("x.md", "x\n")], "A branch of mine").await;
    let said = not_started(&w, "First").await;
    assert!(said.contains("cannot make it while the repository has `hob`. Rename or delete it."), "{said}");
    w.github.remove_branch(REPO, "hob");
    w.bob().pushes("hob/issue-2/old", &[("x.md", "x\n")], "Another").await;
    let said = not_started(&w, "Second").await;
    assert!(said.contains("while the repository has `hob/issue-2/old`."), "{said}");
    assert_eq!(runs(&w), 0, "nobody was paid");
    // A branch that is there already is no obstacle, and what was in the way is no more.
    w.bob().pushes("hob/issue-3", &[("y.md", "y\n")], "Begun").await;
    w.github.remove_branch(REPO, "hob/issue-2/old");
    w.alice().comments(2, "/hob retry").await;
    let said = w.next_comment(2).await.body;
    assert!(said.starts_with("Done"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_empty_archived_or_closed_to_hob_is_said_before_an_agent_is_started() {
    let w = World::start().await;
    let repo = "acme/fresh";
    w.github.create_empty_repo(repo).await;
    w.github.set_permission(repo, "alice", "write");
    let issue = w.github.open_issue(repo, "alice", "Begin", "[scenario: work]").await;
    w.github.label_issue(repo, issue, "alice", "hob").await;
    let said = w
        .until("the empty repository to be told of", |github| {
            let comments = github.comments(repo, issue).into_iter();
            comments.map(|comment| comment.body).find(|body| body.contains("could not start"))
        })
        .await;
    assert!(said.contains("> The repository is empty. Push a first commit to `main`."), "{said}");
    assert!(!said.contains("operator"), "{said}");

    w.github.set_permission(REPO, "hob-bot", "triage");
    let said = not_started(&w, "Read only").await;
    assert!(said.contains("may not push to this repository"), "{said}");
    w.github.set_permission(REPO, "hob-bot", "write");
    assert_eq!(runs(&w), 0, "nobody was paid");
    w.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_archived_while_a_question_waits_costs_no_further_run() {
    let w = World::start().await;
    let issue = asked(&w).await;
    w.github.archive_repo(REPO, true);
    w.bob().comments(issue, "one array").await;
    w.eventually("the task to be over", async || {
        let story = w.store().stories().await.ok()?.pop()?;
        let task = w.store().tasks_of(story.id).await.ok()?.pop()?;
        task.state.is_final().then_some(())
    })
    .await;
    assert_eq!(runs(&w), 1, "the answer led to a run for nothing");
    w.github.archive_repo(REPO, false);
    w.alice().comments(issue, "/hob retry").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("> The repository is archived or disabled"), "{said}");
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
}

#[tokio::test]
async fn a_default_branch_that_is_renamed_is_where_the_work_goes() {
    let w = World::start().await;
    let issue = asked(&w).await;
    w.github.rename_branch(REPO, "main", "trunk");
    w.bob().comments(issue, "one array").await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.base, "trunk");
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    // With an agent at work, and a base that somebody named.
    w.bob().pushes("release/1", &[("release.md", "1\n")], "A release").await;
    let other = w.alice().opens_issue("Backport", "").await;
    w.alice().comments(other, "/hob work --base release/1 [scenario: slow 5]").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.github.rename_branch(REPO, "release/1", "release/one");
    let pull = w
        .until("the second pull request", |github| {
            github.pulls(REPO).into_iter().find(|pull| pull.number > 3)
        })
        .await;
    assert_eq!(pull.base, "release/one");
    assert!(w.next_comment(other).await.body.starts_with("Done: #4"));
    w.finish().await;
}

#[tokio::test]
async fn a_base_that_is_gone_when_the_pull_request_is_opened_is_said_and_the_write_retried() {
    let w = World::start().await;
    w.bob().pushes("release/1", &[("release.md", "1\n")], "A release").await;
    let release = w.github.branches(REPO)["release/1"].clone();
    let issue = w.alice().opens_issue("Backport", "").await;
    w.alice().comments(issue, "/hob work --base release/1 [scenario: slow 5]").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.github.remove_branch(REPO, "release/1");
    let refused = "**GitHub rejected the pull request:** the repository has no branch `release/1` any more. The commits are on \
                   the branch `hob/issue-1`.";
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with(refused), "{said}");
    assert!(status(&w, issue).contains("`/hob retry` opens the pull request without another run"));
    w.until("the label", |github| {
        github.labels(REPO, issue).contains(&"hob: failed".to_owned()).then_some(())
    })
    .await;
    // Once it is there again, what was refused is tried again, and nobody works.
    w.github.raw_git(REPO, &["update-ref", "refs/heads/release/1", &release], None);
    w.alice().comments(issue, "/hob retry").await;
    let pull = w.next_pull_request().await;
    assert_eq!((pull.base.as_str(), runs(&w)), ("release/1", 1));
    w.until("the end", |_| status(&w, issue).starts_with("Done: #2").then_some(())).await;
    assert!(!status(&w, issue).contains("GitHub rejected"), "{}", status(&w, issue));
    w.finish().await;
}

#[tokio::test]
async fn a_pull_request_or_a_question_that_hob_may_not_write_is_said_and_the_write_retried() {
    let w = World::start().await;
    w.github.fault("POST", "/repos/acme/tool/pulls", Fault::Forbidden, 100);
    let issue = w.alice().opens_issue("Small", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let refused =
        "**GitHub rejected the pull request:** I am not allowed to (Resource not accessible by integration";
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with(refused), "{said}");
    w.github.end_faults();
    w.alice().comments(issue, "/hob retry").await;
    w.next_pull_request().await;
    w.until("the end", |_| status(&w, issue).starts_with("Done: #2").then_some(())).await;
    assert_eq!(runs(&w), 1);

    let other = w.alice().opens_issue("Which shape", "[scenario: ask]").await;
    w.alice().labels(other, "hob").await;
    w.until("the status comment", |_| (!status(&w, other).is_empty()).then_some(())).await;
    w.github.fault("POST", &format!("/issues/{other}/comments"), Fault::Forbidden, 100);
    w.until("the refusal to be told", |_| {
        let said = status(&w, other);
        let tells = said.contains("**GitHub rejected my question:** I am not allowed to");
        (tells && said.contains("> Which shape should the output have?")).then_some(())
    })
    .await;
    w.github.end_faults();
    w.alice().comments(other, "/hob retry").await;
    w.next_comment(other).await;
    w.alice().comments(other, "one array").await;
    assert!(w.next_comment(other).await.body.starts_with("Done"));
    w.finish().await;
}

#[tokio::test]
async fn a_status_comment_that_github_refuses_is_made_once_it_takes_it() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Locked", "[scenario: nothing]").await;
    w.github.fault("POST", &format!("/issues/{issue}/comments"), Fault::Forbidden, 100);
    w.alice().labels(issue, "hob").await;
    w.eventually("the comment to be given up", async || {
        (w.store().effect_counts().await.ok()?.1 == 1).then_some(())
    })
    .await;
    w.github.end_faults();
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    assert!(w.next_comment(issue).await.body.starts_with("Done"));
    assert_eq!(w.written(issue).iter().filter(|comment| comment.body.contains("Done")).count(), 1);
    w.finish().await;
}

/// Takes a commit off main, with a secret in it, and pushes another there; tells the commit that is
/// gone.
async fn rewrites_main(w: &World, good: &str, bad: &str) {
    w.github.force_branch(REPO, "main", good, "bob").await;
    w.bob().pushes("main", &[("other.md", "x\n")], "Other").await;
    assert!(!w.github.has_commit(REPO, "main", bad));
}

#[tokio::test]
async fn what_was_taken_off_the_base_while_a_question_waited_does_not_come_back() {
    let w = World::start().await;
    let good = w.github.commits(REPO, "main")[0].sha.clone();
    let bad = w.bob().pushes("main", &[("secret.txt", "hunter2\n")], "Oops").await;
    let issue = asked(&w).await;
    rewrites_main(&w, &good, &bad).await;
    w.bob().comments(issue, "one array").await;
    let said = w.next_comment(issue).await.body;
    assert!(
        said.starts_with("Done: #2 has 1 commit") && said.contains("The history of `main` was rewritten"),
        "{said}"
    );
    assert!(!w.github.has_commit(REPO, "hob/issue-1", &bad));
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1"), ["json-output.md"]);
    w.quiet().await;

    // On a branch that is there already, nothing is pushed by itself, nobody is paid, and the
    // command does it.
    let (before, ran) = (w.github.commits(REPO, "main")[0].sha.clone(), runs(&w));
    let worse = w.bob().pushes("main", &[("secret.txt", "hunter3\n")], "Oops again").await;
    w.alice().comments(issue, "/hob rebase").await;
    w.until("the merge", |github| github.has_commit(REPO, "hob/issue-1", &worse).then_some(())).await;
    w.quiet().await;
    rewrites_main(&w, &before, &worse).await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**The history of the base branch was rewritten"), "{said}");
    assert_eq!(runs(&w), ran, "nobody was paid");
    w.alice().comments(issue, "/hob rebase").await;
    w.until("that it is not merged", |_| {
        status(&w, issue).starts_with("**The history of `main` was rewritten:**").then_some(())
    })
    .await;
    assert!(w.github.has_commit(REPO, "hob/issue-1", &worse), "nothing was pushed by itself");
    w.quiet().await;
    w.alice().comments(issue, "/hob rebase --rewrite").await;
    w.until("the rebase", |github| (!github.has_commit(REPO, "hob/issue-1", &worse)).then_some(())).await;
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1"), ["json-output.md"]);
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn a_whole_history_that_was_written_anew_is_not_undone_also_by_a_stop() {
    let w = World::start().await;
    let leaked = w.bob().pushes("main", &[("secret.txt", "hunter2\n")], "Oops").await;
    let (answered, stopped) = (asked(&w).await, asked(&w).await);
    let readme = w.github.raw_git(REPO, &["rev-parse", "main:README.md"], None);
    let tree = format!("100644 blob {}\tREADME.md\n", readme.trim());
    let tree = w.github.raw_git(REPO, &["mktree"], Some(&tree));
    let clean = w.github.raw_git(REPO, &["commit-tree", tree.trim(), "-m", "Initial commit"], None);
    w.github.force_branch(REPO, "main", clean.trim(), "bob").await;
    w.bob().comments(answered, "one array").await;
    let said = w.next_comment(answered).await.body;
    assert!(said.starts_with("Done:"), "{said}");
    w.alice().comments(stopped, "/hob stop").await;
    let said = w.next_comment(stopped).await.body;
    assert!(said.contains("is on the branch"), "{said}");
    for issue in [answered, stopped] {
        let branch = format!("hob/issue-{issue}");
        assert!(!w.github.has_commit(REPO, &branch, &leaked), "{branch}");
        assert!(w.github.has_commit(REPO, &branch, clean.trim()), "{branch}");
    }
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn commits_that_conflict_with_a_base_that_was_rewritten_are_told_and_the_work_is_done_there() {
    let w = World::start().await;
    let good = w.github.commits(REPO, "main")[0].sha.clone();
    let bad = w.bob().pushes("main", &[("secret.txt", "hunter2\n")], "Oops").await;
    let script = "echo more >> secret.txt; git commit -qam 'Add to the secret'; touch /hob/there; sleep 4";
    let issue = runs_script(&w, script).await;
    w.eventually("the agent to be in the middle of it", async || {
        let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        stories.into_iter().find(|story| story.path().join("exchange/there").exists())
    })
    .await;
    rewrites_main(&w, &good, &bad).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**The history of the base branch was rewritten"), "{said}");
    assert!(said.contains("`secret.txt`") && w.github.commits(REPO, "hob/issue-1").is_empty(), "{said}");
    w.quiet().await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done:") && !w.github.has_commit(REPO, "hob/issue-1", &bad), "{said}");
    w.finish().await;
}
