//! Stopping: what the agent has done so far is brought to the story branch, and `/hob work` goes on
//! from there. Where it cannot be pushed, that is said, and it stays where it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::world::github::Fault;
use crate::world::hob::for_each_file;
use crate::world::{REPO, World};

const BRANCH: &str = "hob/issue-1";

/// What an agent does that is stopped half way: a commit, a change to a file, new files, one that
/// git ignores.
const HALF_DONE: &str = "echo one > one.txt; git add -A; git commit -qm 'Add one'\n\
                         echo changed >> README.md; mkdir notes; echo two > notes/two.txt\n\
                         echo '*.log' > .gitignore; echo noise > build.log";

/// Has an agent run a script that then goes on for ever; waits until it has got so far.
async fn at_work(w: &World, script: &str) -> u64 {
    let issue = w.alice().opens_issue("Long work", "").await;
    goes_on(w, issue, script).await;
    issue
}

async fn goes_on(w: &World, issue: u64, script: &str) {
    let script = format!("{script}\ntouch /hob/so-far; sleep 600");
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    w.eventually("the agent to get so far", async || {
        story_folder(w).is_some_and(|story| story.join("exchange/so-far").exists()).then_some(())
    })
    .await;
}

/// Has it stopped; gives back what hob says.
async fn stopped(w: &World, issue: u64) -> String {
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    w.quiet().await;
    assert!(w.containers().await.is_empty());
    said
}

fn story_folder(w: &World) -> Option<PathBuf> {
    let folders = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
    folders.map(|folder| folder.path()).next()
}

fn workspace_is_there(w: &World) -> bool {
    story_folder(w).is_some_and(|story| story.join("workspace").exists())
}

fn subjects(w: &World, branch: &str) -> Vec<String> {
    let commits = w.github.commits(REPO, branch).into_iter();
    commits.map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()).collect()
}

/// hob's records of the runs, in the order of time.
fn records(w: &World) -> Vec<serde_json::Value> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(w.data().join("runs")).unwrap().flatten().map(|run| run.path()).collect();
    folders.sort();
    let read = |folder: &PathBuf| std::fs::read_to_string(folder.join("run.json")).expect("a record");
    folders.iter().map(|folder| serde_json::from_str(&read(folder)).expect("JSON")).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn nothing_is_left_of_the_hand_over(w: &World) {
    for run in std::fs::read_dir(w.data().join("runs")).unwrap().flatten() {
        for name in ["hand-over.bundle", "quarantine.git"] {
            assert!(!run.path().join(name).exists(), "{name} was left over");
        }
    }
}

#[tokio::test]
async fn what_a_stopped_agent_has_done_is_on_the_branch_and_work_goes_on_from_there() {
    let w = World::start().await;
    let issue = at_work(&w, HALF_DONE).await;
    let said = stopped(&w, issue).await;
    assert!(
        said.contains("is on the branch `hob/issue-1`: 2 commits, the last of them, `WIP`, with the"),
        "{said}"
    );

    let commits = w.github.commits(REPO, BRANCH);
    assert_eq!(subjects(&w, BRANCH)[..2], ["WIP: stopped by @alice", "Add one"]);
    assert_eq!(commits.len(), 3);
    assert!(commits[0].message.contains("\nCo-authored-by: alice <"), "{}", commits[0].message);
    assert_eq!(commits[0].author, "hob <hob@users.noreply.github.com>");
    let file = |path: &str| w.github.file_at(REPO, BRANCH, path);
    assert_eq!(file("notes/two.txt").as_deref(), Some("two\n"));
    assert!(file("README.md").is_some_and(|text| text.ends_with("changed\n")));
    assert_eq!((file(".gitignore").as_deref(), file("build.log")), (Some("*.log\n"), None));
    let draft = w.github.pulls(REPO).remove(0);
    assert!(draft.draft && draft.body.contains("**Not finished.** alice has stopped the work."), "{draft:?}");
    assert!(!workspace_is_there(&w) && story_folder(&w).unwrap().join("home").exists());
    nothing_is_left_of_the_hand_over(&w);

    // The commit's time is the run's end, so that the same work makes the same commit.
    let record = &records(&w)[0];
    let began: jiff::Timestamp = record["started_at"].as_str().unwrap().parse().unwrap();
    let ended = began.as_millisecond() + record["end"]["duration_ms"].as_i64().unwrap();
    let times = git(&w.github.repo_path(REPO), &["log", "-1", "--format=%at %ct", BRANCH]);
    assert_eq!(times, format!("{0} {0}", ended.div_euclid(1000)));

    let script = "cat notes/two.txt >> one.txt && git commit -qam 'Put them together'";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    w.next_pull_request().await;
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done: #2 has 3 commits for you to review."), "{done}");
    assert!(!w.github.pulls(REPO)[0].draft, "it is done");
    assert_eq!(subjects(&w, BRANCH)[..3], ["Put them together", "WIP: stopped by @alice", "Add one"]);
    assert_eq!(w.github.pulls(REPO).len(), 1);
    let sessions: Vec<_> =
        records(&w).iter().map(|record| record["end"]["session"].as_str().map(str::to_owned)).collect();
    assert!(sessions[0].is_some() && sessions[0] == sessions[1], "another session: {sessions:?}");
    w.finish().await;
}

#[tokio::test]
async fn a_stop_with_commits_alone_pushes_them_as_they_are_and_reaches_the_open_pull_request() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Long work", "").await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    goes_on(&w, issue, "echo more > more.txt; git add -A; git commit -qm 'Add more'").await;
    let said = stopped(&w, issue).await;
    assert!(said.contains("is on the branch `hob/issue-1`: 1 commit. `/hob work` continues"), "{said}");
    assert_eq!(subjects(&w, BRANCH)[0], "Add more");
    assert_eq!(w.github.pulls(REPO).len(), 1);

    // The agent finds that nothing is missing, and the pull request that is there stands.
    w.alice().comments(issue, "/hob work [scenario: nothing]").await;
    assert!(w.next_comment(issue).await.body.starts_with("**Nothing to change.**"));
    w.finish().await;
}

#[tokio::test]
async fn work_that_was_stopped_when_it_was_done_is_proposed_though_nothing_is_added() {
    let w = World::start().await;
    let issue = at_work(&w, "echo one > one.txt; git add -A; git commit -qm 'Add one'").await;
    stopped(&w, issue).await;
    w.alice().comments(issue, "/hob work [scenario: nothing]").await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.head, BRANCH);
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2 has 1 commit for you to review."));
    w.finish().await;
}

#[tokio::test]
async fn a_question_that_is_stopped_leaves_its_draft_on_the_branch() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    let said = stopped(&w, issue).await;
    assert!(said.contains("1 commit, `WIP`, with the uncommitted changes"), "{said}");
    assert_eq!(subjects(&w, BRANCH)[0], "WIP: stopped by @alice");
    assert!(w.github.file_at(REPO, BRANCH, "json-output.draft.md").is_some());

    // The session is the one that asked, and finds its draft again.
    w.alice().comments(issue, "/hob work one array [scenario: ask]").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_agent_that_has_changed_nothing_leaves_no_branch() {
    let w = World::start().await;
    let issue = at_work(&w, "true").await;
    let said = stopped(&w, issue).await;
    assert!(said.contains("The agent had changed nothing."), "{said}");
    assert!(w.github.commits(REPO, BRANCH).is_empty() && !workspace_is_there(&w));
    w.finish().await;
}

#[tokio::test]
async fn work_that_had_not_begun_is_stopped_without_a_push() {
    let w = World::with(|config| config.work.parallel = 1).await;
    let first = at_work(&w, "true").await;
    let second = w.alice().opens_issue("Next in the queue", "[scenario: work]").await;
    w.alice().labels(second, "hob").await;
    w.alice().comments(second, "/hob stop").await;
    stopped(&w, first).await;
    let said = w.next_comment(second).await.body;
    let expected = "**Stopped, as @alice asked.** The agent had not started, so nothing was changed.";
    assert!(said.starts_with(expected), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_merge_that_was_not_finished_is_kept_with_both_its_sides() {
    let w = World::start().await;
    let script = "echo ours > shared.md; git add -A; git commit -qm Ours\n\
                  git checkout -qb side HEAD~1; echo theirs > shared.md; git add -A; git commit -qm Theirs\n\
                  git checkout -q hob/issue-1; git merge -q side || echo solved > half.md";
    let issue = at_work(&w, script).await;
    let said = stopped(&w, issue).await;
    assert!(said.contains("3 commits, the last of them, `WIP`"), "{said}");
    let parents = git(&w.github.repo_path(REPO), &["log", "-1", "--format=%p", BRANCH]);
    assert_eq!(parents.split(' ').count(), 2, "{parents}");
    let shared = w.github.file_at(REPO, BRANCH, "shared.md").unwrap();
    assert!(shared.contains("<<<<<<<") && shared.contains("theirs"), "{shared}");
    assert_eq!(w.github.file_at(REPO, BRANCH, "half.md").as_deref(), Some("solved\n"));
    w.finish().await;
}

#[tokio::test]
async fn agent_settings_that_hob_put_back_are_not_taken_for_work_in_progress() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Look around", "").await;
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.bob().pushes(BRANCH, &[("CLAUDE.md", "Be brief.\n")], "Settings for agents").await;
    goes_on(&w, issue, "test ! -e CLAUDE.md && echo new > new.txt").await;
    stopped(&w, issue).await;
    assert_eq!(subjects(&w, BRANCH)[..2], ["WIP: stopped by @alice", "Settings for agents"]);
    assert_eq!(w.github.file_at(REPO, BRANCH, "CLAUDE.md").as_deref(), Some("Be brief.\n"));
    assert_eq!(w.github.file_at(REPO, BRANCH, "new.txt").as_deref(), Some("new\n"));
    w.finish().await;
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_repeated_from_the_workspace_and_makes_the_same_commits() {
    let w = World::start().await;
    let issue = at_work(&w, HALF_DONE).await;
    w.github.fault("POST", "git-receive-pack", Fault::AnswerLost, 1);
    let said = stopped(&w, issue).await;
    assert!(said.contains("2 commits, the last of them, `WIP`"), "{said}");
    assert_eq!(w.github.commits(REPO, BRANCH).len(), 3, "{:?}", subjects(&w, BRANCH));
    let pushes = w.github.requests().into_iter().filter(|r| r.path.ends_with("/git-receive-pack"));
    assert_eq!(pushes.count(), 1, "the second time it was found to be there");
    w.finish().await;
}

#[cfg(feature = "fail-points")]
#[tokio::test]
async fn a_hob_that_dies_anywhere_in_a_stop_makes_the_same_commits_and_says_so_once() {
    let points = [
        "git.push.before",
        "git.push.after",
        "store.cancelled.before",
        "store.cancelled.after",
        "disk.put-away.before",
        "disk.put-away.after",
        "disk.remove-gone.before",
        "disk.remove-gone.after",
    ];
    for point in points {
        let w = World::prepare(|_| {}).await;
        let first = w.start_program_under(&["env", &format!("HOB_KILL_AT={point}#1")]).await;
        let issue = at_work(&w, HALF_DONE).await;
        w.alice().comments(issue, "/hob stop").await;
        first.dies().await;
        let second = w.start_program().await;
        let said = w.next_comment(issue).await.body;
        assert!(said.contains("2 commits, the last of them, `WIP`"), "{point}: {said}");
        assert_eq!(w.github.commits(REPO, BRANCH).len(), 3, "{point}: {:?}", subjects(&w, BRANCH));
        let story = story_folder(&w).unwrap();
        for name in ["workspace", "workspace.gone"] {
            w.eventually("the workspace to go", async || (!story.join(name).exists()).then_some(())).await;
        }
        assert!(story.join("home").exists(), "{point}");
        assert_eq!(second.terminate().await, Some(0));
        w.finish().await;
    }
}

/// What is not pushed is said, is nowhere on GitHub, and stays in the workspace.
async fn not_pushed(w: &World, issue: u64) -> String {
    let said = stopped(w, issue).await;
    assert!(said.contains("The agent's work could not be pushed:\n\n> "), "{said}");
    assert!(said.contains("The workspace is kept as the agent left it. `/hob work` continues"), "{said}");
    assert!(workspace_is_there(w), "the workspace is kept");
    nothing_is_left_of_the_hand_over(w);
    said
}

#[tokio::test]
async fn a_secret_in_what_was_not_committed_is_not_pushed() {
    let w = World::start().await;
    let issue = at_work(&w, "printf '%s' \"$ANTHROPIC_API_KEY\" > key.txt").await;
    let said = not_pushed(&w, issue).await;
    assert!(said.contains("> - `key.txt` contains a secret that hob knows"), "{said}");
    assert!(w.github.commits(REPO, BRANCH).is_empty());
    // The workspace is the agent's, and it may write what it knows there. Nothing else of hob's
    // holds it.
    std::fs::remove_dir_all(story_folder(&w).unwrap()).unwrap();
    let mut files = 0;
    for_each_file(w.data(), &mut |_, _| files += 1);
    assert!(files > 0);
    w.finish().await;
}

#[tokio::test]
async fn protected_paths_are_not_pushed_by_a_stop_and_nobody_is_asked() {
    let w = World::start().await;
    let issue = at_work(&w, "mkdir -p .github/workflows; echo 'on: push' > .github/workflows/x.yml").await;
    let said = not_pushed(&w, issue).await;
    assert!(said.contains("`.github/workflows/x.yml`") && !said.contains("Push it anyway"), "{said}");
    assert!(w.github.commits(REPO, BRANCH).is_empty());

    // In its own time the question is asked.
    let commit = "git add -A; git commit -qm 'Add a workflow'";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{commit}\n```")).await;
    assert!(w.next_comment(issue).await.body.contains("- [ ] Push it anyway"));
    w.alice().comments(issue, "Push it anyway").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn what_people_pushed_meanwhile_is_merged_at_a_stop_and_a_conflict_leaves_both_where_they_are() {
    let w = World::start().await;
    let issue = at_work(&w, HALF_DONE).await;
    let theirs = w.bob().pushes(BRANCH, &[("theirs.md", "mine\n")], "A commit of Bob's").await;
    let said = stopped(&w, issue).await;
    assert!(said.contains("is on the branch `hob/issue-1`: 2 commits"), "{said}");
    assert!(w.github.has_commit(REPO, BRANCH, &theirs));
    assert_eq!(w.github.file_at(REPO, BRANCH, "notes/two.txt").as_deref(), Some("two\n"));

    goes_on(&w, issue, "echo agent > both.md").await;
    let theirs = w.bob().pushes(BRANCH, &[("both.md", "bob\n")], "Another").await;
    let said = not_pushed(&w, issue).await;
    assert!(said.contains("> Somebody else pushed to the branch while the agent worked"), "{said}");
    assert!(said.contains("`both.md`"), "{said}");
    assert_eq!(w.github.commits(REPO, BRANCH)[0].sha, theirs);

    // Its own version is not committed, so git lets it merge theirs itself.
    let commit = "git add -A; git commit -qm Mine; commit=$(grep -o '`git merge [0-9a-f]*`' /hob/prompt.md | tr -dc '0-9a-f')\n\
                  git merge -q \"${commit: -40}\" && exit 1; printf 'agent\\nbob\\n' > both.md; git commit -qam 'Both'";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{commit}\n```")).await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.file_at(REPO, &pull.head, "both.md").as_deref(), Some("agent\nbob\n"));
    assert!(w.github.has_commit(REPO, &pull.head, &theirs));
    w.finish().await;
}

#[tokio::test]
async fn changes_that_the_agent_put_away_or_made_elsewhere_are_not_lost_with_the_workspace() {
    let cases = [
        ("echo away >> README.md; git stash -q", "left changes in `git stash`"),
        (
            "echo one > one.txt; git add -A; git commit -qm One; git checkout -q --detach HEAD~1; echo x > x.txt",
            "are not based on the branch's newest commit",
        ),
    ];
    for (script, why) in cases {
        let w = World::start().await;
        let issue = at_work(&w, script).await;
        let said = not_pushed(&w, issue).await;
        assert!(said.contains(why), "{said}");
        assert!(w.github.commits(REPO, BRANCH).is_empty());
        w.finish().await;
    }
}

#[tokio::test]
async fn a_stop_ends_as_a_stop_also_where_the_push_is_refused_or_the_host_is_away() {
    let w = World::start().await;
    w.github.protect_branch(REPO, "hob/*");
    let issue = at_work(&w, HALF_DONE).await;
    let said = not_pushed(&w, issue).await;
    assert!(said.contains("> GitHub rejected the push.\n") && said.contains("Protected branch"), "{said}");
    w.finish().await;

    let w = World::with(|config| config.work.patience = Duration::ZERO).await;
    let issue = at_work(&w, HALF_DONE).await;
    w.github.fault("GET", "service=git-receive-pack", Fault::Status(503, Vec::new()), 1);
    let said = not_pushed(&w, issue).await;
    assert!(said.contains("> A service that hob needs was unreachable for too long"), "{said}");
    // And the way out that is named works.
    let commit = "git add -A; git commit -qm 'Add the rest'";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{commit}\n```")).await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.file_at(REPO, &pull.head, "notes/two.txt").as_deref(), Some("two\n"));
    w.finish().await;
}

#[tokio::test]
async fn what_waits_in_the_queue_is_stopped_at_once_and_kept_as_promised() {
    let w = World::with(|config| config.work.parallel = 1).await;
    let first = at_work(&w, HALF_DONE).await;
    let waits = w.alice().opens_issue("Waits", "[scenario: work]").await;
    w.alice().labels(waits, "hob").await;
    w.until("it to wait", |_| w.status(waits).filter(|c| c.body.contains("Queued")).map(|_| ())).await;
    let began = std::time::Instant::now();
    w.alice().comments(waits, "/hob stop").await;
    let said = w.next_comment(waits).await.body;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let nothing = "**Stopped, as @alice asked.** The agent had not started, so nothing was changed. `/hob work` starts it.";
    assert_eq!(said.lines().next(), Some(nothing));
    assert!(said.ends_with("\n\n<sub>no agent ran</sub>"), "{said}");
    assert_eq!(w.containers().await.len(), 1, "the other goes on");
    stopped(&w, first).await;
    w.finish().await;
}
