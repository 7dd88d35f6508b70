//! A base that moved, and people's pushes: what both sides did ends on the story branch, which
//! stays mergeable, and nothing that people have pushed is overwritten.

use crate::world::{REPO, World};
use hob::config::FollowBase;

/// A story with a pull request, for which the agent ran a script.
async fn proposed(w: &World, script: &str) -> u64 {
    let issue = w.alice().opens_issue("A change", "").await;
    asks(w, issue, script).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    issue
}

/// Has the agent run a script.
async fn asks(w: &World, issue: u64, script: &str) {
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
}

fn commit(file: &str, text: &str) -> String {
    format!("printf '%s\\n' '{text}' > {file}; git add -A; git commit -qm 'Write {file}'")
}

fn file(w: &World, path: &str) -> Option<String> {
    w.github.file_at(REPO, "hob/issue-1", path)
}

fn runs(w: &World) -> usize {
    std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count)
}

/// Waits until an agent works, and lets it go on.
async fn goes_on(w: &World) {
    let exchange = w.eventually("the agent to work", async || at_work(w)).await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
}

/// The exchange of the agent that has committed its file and waits, if one does.
fn at_work(w: &World) -> Option<std::path::PathBuf> {
    let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
    let exchanges = stories.map(|story| story.path().join("exchange"));
    exchanges.into_iter().find(|exchange| exchange.join("waits").exists() && !exchange.join("go-on").exists())
}

async fn status(w: &World, issue: u64) -> String {
    w.quiet().await;
    w.status(issue).expect("a status comment").body
}

#[tokio::test]
async fn a_base_is_merged_or_rebased_without_an_agent_where_nothing_conflicts() {
    let w = World::start().await;
    let issue = proposed(&w, &commit("ours.md", "ours")).await;
    let pull = w.github.pulls(REPO)[0].number;
    let pull_body = w.github.pulls(REPO)[0].body.clone();
    let first = w.bob().pushes("main", &[("one.md", "one\n")], "One").await;
    let second = w
        .bob()
        .pushes("main", &[("two.md", "two\n"), (".github/workflows/ci.yml", "on: push\n")], "Two")
        .await;

    w.alice().comments(pull, "/hob rebase").await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("**Merged `main` (2 commits) into `hob/issue-1`.**"), "{told}");
    let head = &w.github.commits(REPO, "hob/issue-1")[0];
    assert_eq!(head.message, "Merge branch 'main' into hob/issue-1");
    assert_eq!((head.author.as_str(), &head.author), ("hob <hob@users.noreply.github.com>", &head.committer));
    for sha in [&first, &second] {
        assert!(w.github.has_commit(REPO, "hob/issue-1", sha));
    }
    assert_eq!((runs(&w), w.github.pulls(REPO)[0].body.as_str()), (1, pull_body.as_str()), "no agent ran");

    w.alice().comments(issue, "/hob rebase").await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("**Nothing to do:** `hob/issue-1` has all of `main`"), "{told}");

    // The same as one straight line, bob's commit with it.
    let theirs = w.bob().pushes("hob/issue-1", &[("bob.md", "bob\n")], "By hand").await;
    let third = w.bob().pushes("main", &[("three.md", "three\n")], "Three").await;
    w.alice().comments(issue, "/hob rebase --rewrite").await;
    let told = status(&w, issue).await;
    assert!(
        told.starts_with("**Rebased `hob/issue-1` onto `main`:** its 2 commits were rewritten"),
        "{told}"
    );
    assert!(told.contains(&theirs[..10]), "where the branch was: {told}");
    let commits = w.github.commits(REPO, "hob/issue-1");
    let messages: Vec<&str> = commits.iter().map(|commit| commit.message.lines().next().unwrap()).collect();
    assert_eq!(messages[..3], ["By hand", "Write ours.md", "Three"]);
    assert_eq!(commits[2].sha, third);
    assert!(commits[0].author.starts_with("bob") && commits[0].committer.starts_with("hob"));
    assert_eq!(file(&w, "bob.md").as_deref(), Some("bob\n"));
    assert!(w.github.is_mergeable(REPO, "main", "hob/issue-1"));

    // The story continues from there.
    asks(&w, issue, &commit("more.md", "more")).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert!(["ours.md", "bob.md", "more.md", "three.md"].iter().all(|path| file(&w, path).is_some()));

    // People have it go elsewhere: what it went to before is not merged into it any more, whatever
    // the settings say.
    let release = w.bob().pushes("release/1", &[("release.md", "release\n")], "For a release").await;
    let main = w.bob().pushes("main", &[("five.md", "five\n")], "Five").await;
    w.github.retarget_pull_quietly(REPO, pull, "release/1");
    w.alice().comments(issue, "/hob rebase").await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("**Merged `release/1` ("), "{told}");
    let has = |sha: &str| w.github.has_commit(REPO, "hob/issue-1", sha);
    assert!(has(&release) && !has(&main));
    let base = async || {
        let story = w.store().story_at(&REPO.parse().unwrap(), hob::ids::IssueNumber(issue)).await.unwrap();
        story.expect("a story").base_branch
    };
    w.alice().comments(issue, "/hob help").await;
    assert!(w.next_comment(issue).await.body.starts_with("| You write"));
    assert_eq!(base().await, "release/1", "a command has put it back");
    w.github.retarget_pull(REPO, pull, "bob", "main").await;
    w.quiet().await;
    assert_eq!(base().await, "main");
    // What no webhook has told is found where the pull request is changed.
    w.github.retarget_pull_quietly(REPO, pull, "release/1");
    asks(&w, issue, &commit("later.md", "later")).await;
    w.next_pull_request().await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("Done: #2"), "{told}");
    assert_eq!(base().await, "release/1");
    w.github.retarget_pull_quietly(REPO, pull, "main");

    // What the host does not take is said, and nothing is lost.
    w.bob().pushes("main", &[("four.md", "four\n")], "Four").await;
    w.github.protect_branch(REPO, "hob/*");
    w.alice().comments(issue, "/hob rebase").await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("**GitHub rejected the push to `hob/issue-1`.**"), "{told}");
    assert!(told.contains("GH006") && runs(&w) == 3, "{told}");
    w.finish().await;
}

#[tokio::test]
async fn a_base_that_conflicts_goes_to_the_agent_and_its_changes_are_not_the_agents() {
    let w = World::with(|config| config.policy.max_files = 3).await;
    let issue = w.alice().opens_issue("A change", "[scenario: merges]").await;
    w.alice().labels(issue, "hob").await;
    goes_on(&w).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let mut files: Vec<(String, String)> = (0..9).map(|n| (format!("n{n}.md"), format!("{n}\n"))).collect();
    files.push((".github/workflows/ci.yml".to_owned(), "on: push\n".to_owned()));
    files.push(("shared.md".to_owned(), "theirs\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let moved = w.bob().pushes("main", &files, "Meanwhile on main").await;

    w.alice().comments(issue, "/hob rebase --rewrite").await;
    let told = status(&w, issue).await;
    assert!(told.starts_with("**Not rebased:**") && told.contains("- `shared.md`"), "{told}");
    assert!(!w.github.has_commit(REPO, "hob/issue-1", &moved) && runs(&w) == 1);

    w.alice().comments(issue, "/hob rebase").await;
    let merged = w.next_comment(issue).await.body;
    assert!(
        merged.starts_with("**Merged `main` (1 commit) into `hob/issue-1`.** There were conflicts"),
        "{merged}"
    );
    assert_eq!(file(&w, "shared.md").as_deref(), Some("from the agent\ntheirs\n"));
    assert!(w.github.has_commit(REPO, "hob/issue-1", &moved));
    assert!(w.github.is_mergeable(REPO, "main", "hob/issue-1"));
    w.finish().await;
}

#[tokio::test]
async fn what_people_push_while_an_agent_works_is_merged_and_a_base_that_moved_too() {
    let w = World::with(|config| config.pull_request.follow_base = FollowBase::Always).await;
    let issue = w.alice().opens_issue("A change", "[scenario: merges]").await;
    w.alice().labels(issue, "hob").await;
    goes_on(&w).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;

    // Everything at once: bob pushes to the branch and to its base, several times, while the agent
    // works on more.
    w.alice().comments(issue, "/hob work more").await;
    let exchange = w.eventually("the agent to work", async || at_work(&w)).await;
    let mut theirs = vec![w.bob().pushes("hob/issue-1", &[("bob.md", "bob\n")], "By hand").await];
    for name in ["one", "two", "three"] {
        theirs.push(w.bob().pushes("main", &[(&format!("{name}.md"), name)], name).await);
    }
    theirs.push(w.bob().pushes("hob/issue-1", &[("bob.md", "bob again\n")], "By hand again").await);
    std::fs::write(exchange.join("go-on"), "").unwrap();
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has 1 commit"), "{said}");
    assert!(said.contains("What people pushed to `hob/issue-1` meanwhile is merged in."), "{said}");
    let told = status(&w, issue).await;
    assert!(told.starts_with("**Merged `main` (3 commits) into `hob/issue-1`.**"), "{told}");
    assert!(theirs.iter().all(|sha| w.github.has_commit(REPO, "hob/issue-1", sha)), "everybody's commits");
    assert_eq!(file(&w, "bob.md").as_deref(), Some("bob again\n"));
    assert_eq!(file(&w, "shared.md").as_deref(), Some("from the agent\nfrom the agent\n"));
    assert!(w.github.is_mergeable(REPO, "main", "hob/issue-1"));
    assert_eq!(runs(&w), 2, "no agent ran for a merge");
    w.next_pull_request().await;

    // A conflict is the agent's to solve, in the same task.
    w.alice().comments(issue, "/hob work and more").await;
    let exchange = w.eventually("the agent to work", async || at_work(&w)).await;
    let theirs = w.bob().pushes("hob/issue-1", &[("shared.md", "from bob\n")], "Mine").await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: #2 has "), "{said}");
    assert!(w.github.has_commit(REPO, "hob/issue-1", &theirs));
    let shared = file(&w, "shared.md").unwrap_or_default();
    assert!(shared.contains("from bob\n") && shared.contains("from the agent\n"), "{shared}");
    assert_eq!(runs(&w), 4, "one more run of the same task");
    w.next_pull_request().await;

    // A push to another branch, and hob's own, lead to nothing.
    let asked = |w: &World| w.github.requests().iter().filter(|r| !r.path.ends_with("/comments")).count();
    w.quiet().await;
    let (before, commits) = (asked(&w), w.github.commits(REPO, "hob/issue-1").len());
    w.bob().pushes("elsewhere", &[("e.md", "e\n")], "Elsewhere").await;
    w.quiet().await;
    assert_eq!((asked(&w), w.github.commits(REPO, "hob/issue-1").len()), (before, commits));
    w.finish().await;
}

#[tokio::test]
async fn where_only_conflicts_are_followed_a_look_finds_a_base_that_moved_and_the_rest_is_quiet() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.bob()
        .pushes("main", &[(".github/hob.toml", "follow_base = \"conflicts\"\n")], "Say how hob works")
        .await;
    w.start_hob().await;
    let issue = w.alice().opens_issue("A change", "[scenario: merges]").await;
    w.alice().labels(issue, "hob").await;
    goes_on(&w).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let told = w.status(issue).expect("a status comment");
    let labels = w.github.labels(REPO, issue);

    let harmless = w.bob().pushes("main", &[("other.md", "other\n")], "Harmless").await;
    w.quiet().await;
    assert!(!w.github.has_commit(REPO, "hob/issue-1", &harmless), "it does not conflict");
    let now = w.status(issue).expect("a status comment");
    assert_eq!((now.body, w.github.labels(REPO, issue)), (told.body, labels), "nobody is told");

    let moved = w.bob().pushes("main", &[("shared.md", "from main\n")], "A conflict").await;
    let said = w.next_comment(issue).await.body;
    assert!(
        said.starts_with("**Merged `main` (2 commits) into `hob/issue-1`.** There were conflicts"),
        "{said}"
    );
    assert!(w.github.has_commit(REPO, "hob/issue-1", &moved));
    assert!(w.github.is_mergeable(REPO, "main", "hob/issue-1"));
    w.finish().await;
}
