//! The pull request itself: what people do with it, and what hob does then. Merged or closed the
//! story ends, opened again it goes on.

use crate::world::github::{Fault, Merging};
use crate::world::network::in_container;
use crate::world::{REPO, World};

/// An issue that hob has worked on, with its pull request.
async fn proposed(w: &World) -> (u64, u64) {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await.number;
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    w.quiet().await;
    (issue, pull)
}

/// What the agent does next: a commit.
fn another(file: &str) -> String {
    format!(
        "/hob work [scenario: script]\n```sh\necho more > {file}; git add -A; git commit -qm 'Add {file}'\n```"
    )
}

/// Has an agent work on and on.
async fn at_work(w: &World, issue: u64) {
    let script = "echo half > half.txt; touch /hob/so-far; sleep 600";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    w.eventually("the agent to get so far", async || {
        let folders = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        folders.map(|folder| folder.path().join("exchange/so-far")).find(|file| file.exists())
    })
    .await;
}

fn status(w: &World, issue: u64) -> String {
    w.status(issue).expect("a status comment").body
}

fn has_branch(w: &World, branch: &str) -> bool {
    !w.github.commits(REPO, branch).is_empty()
}

fn pulls(w: &World) -> Vec<(u64, String, String)> {
    w.github.pulls(REPO).into_iter().map(|pull| (pull.number, pull.head, pull.state)).collect()
}

fn pull_at(number: u64, head: &str, state: &str) -> (u64, String, String) {
    (number, head.to_owned(), state.to_owned())
}

async fn wants_follow_ups(w: &World, issue: u64) -> bool {
    let repo = REPO.parse().expect("a repository");
    let story = w.store().story_at(&repo, hob::ids::IssueNumber(issue)).await.unwrap();
    story.is_some_and(|story| story.open_pull().is_some() && !story.is_gone)
}

#[tokio::test]
async fn a_merge_is_the_good_end_and_work_begins_anew_on_a_branch_of_its_own() {
    let w = World::start().await;
    let (issue, pull) = proposed(&w).await;
    assert!(wants_follow_ups(&w, issue).await);
    assert_eq!(w.github.labels(REPO, issue), ["hob", "hob: review"]);
    at_work(&w, issue).await;

    // GitHub tells of the issue first, which the merge has closed.
    w.bob().merges(pull, Merging::Commit).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped: the pull request was merged by @bob.**"), "{said}");
    w.quiet().await;
    let shown = status(&w, issue);
    assert!(shown.contains("\n**Merged.** #2 was merged by bob, and I am done here."), "{shown}");
    assert!(!shown.contains("issue was closed"), "{shown}");
    assert_eq!(w.github.labels(REPO, issue), ["hob"]);
    assert!(!wants_follow_ups(&w, issue).await && w.containers().await.is_empty());
    assert!(has_branch(&w, "hob/issue-1"), "the branch stays unless the settings say otherwise");

    // The branch is still there, with what was cut short; the work begins at the base all the same.
    w.alice().comments(issue, &another("more.md")).await;
    let next = w.next_pull_request().await;
    assert_eq!((next.number, next.head.as_str(), next.base.as_str()), (3, "hob/issue-1-2", "main"));
    assert!(next.body.contains("Follows #2, which was merged.\n"), "{}", next.body);
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done: #3 has 1 commit for you to review."), "{done}");
    let shown = status(&w, issue);
    let (_, before) = shown.split_once("<summary>Before that</summary>").expect("what was before");
    assert!(before.contains("Done: #2 has 1 commit") && !before.contains("#3"), "{shown}");
    let ours = w.github.commits(REPO, "hob/issue-1-2");
    assert_eq!(ours[1].sha, w.github.commits(REPO, "main")[0].sha, "it begins at what was merged");
    w.quiet().await;
    assert!(wants_follow_ups(&w, issue).await);
    assert_eq!(w.github.labels(REPO, issue), ["hob", "hob: review"]);
    w.finish().await;
}

#[tokio::test]
async fn a_merged_branch_is_removed_where_the_settings_say_so_unless_it_has_moved() {
    let w = World::start().await;
    w.bob().pushes("main", &[(".github/hob.toml", "delete_branch = true\n")], "Tidy up").await;
    let (issue, pull) = proposed(&w).await;
    w.bob().merges(pull, Merging::Squash).await;
    w.quiet().await;
    assert!(!has_branch(&w, "hob/issue-1"), "the branch is removed");
    let shown = status(&w, issue);
    assert!(shown.starts_with("**Merged.**") && !shown.contains("/tree/"), "{shown}");

    // After a squash nothing of the branch is in main, and the branch is gone.
    w.alice().comments(issue, &another("more.md")).await;
    let next = w.next_pull_request().await;
    assert_eq!(next.head, "hob/issue-1-2");
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1-2"), ["more.md"]);

    // Somebody pushes between the merge and hob's look.
    w.github.merge_pull_quietly(REPO, next.number, "bob", Merging::Squash);
    w.bob().pushes("hob/issue-1-2", &[("late.md", "late\n")], "One more thing").await;
    w.github.tell_of_pull(REPO, next.number, "bob", "closed").await;
    w.quiet().await;
    assert!(status(&w, issue).starts_with("**Merged.** #3"), "{}", status(&w, issue));
    assert!(has_branch(&w, "hob/issue-1-2"), "what bob pushed stays");

    // Merged between the push and hob's look at the pull request: the webhook that tells of it is
    // no news then.
    w.alice().comments(issue, &another("last.md")).await;
    let last = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    w.github.fault("GET", "/pulls?state=open", Fault::Status(502, Vec::new()), 1_000);
    w.alice().comments(issue, &another("end.md")).await;
    w.until("the push", |github| github.file_at(REPO, "hob/issue-1-3", "end.md")).await;
    w.github.merge_pull_quietly(REPO, last.number, "bob", Merging::Squash);
    w.github.end_faults();
    w.eventually("the merge to be found", async || {
        status(&w, issue).contains("**Merged.** #4").then_some(())
    })
    .await;
    w.github.tell_of_pull(REPO, last.number, "bob", "closed").await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(!has_branch(&w, "hob/issue-1-3"), "the branch is removed");
    w.finish().await;
}

#[tokio::test]
async fn what_a_merge_leaves_unpushed_is_pushed_or_given_up_aloud_and_is_not_begun_with() {
    let w = World::start().await;
    let (issue, pull) = proposed(&w).await;
    let fails = |lines: &str| {
        let half = "echo half > half.txt; git add -A; git commit -qm 'Half of it'";
        format!("/hob work [scenario: script]\n```sh\n{lines}\n{half}; exit 3\n```")
    };
    w.alice().comments(issue, &fails("")).await;
    w.next_comment(issue).await;

    // GitHub removes the branch by itself.
    w.github.merge_pull_quietly(REPO, pull, "bob", Merging::Squash);
    w.github.remove_branch(REPO, "hob/issue-1");
    w.github.tell_of_pull(REPO, pull, "bob", "closed").await;
    let said = w.next_comment(issue).await.body;
    assert!(
        said.starts_with("**The pull request was merged without what was left in my workspace.**"),
        "{said}"
    );
    assert!(said.contains("is on the branch `hob/issue-1`: 1 commit."), "{said}");
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "half.txt").as_deref(), Some("half\n"));

    w.alice().comments(issue, &another("more.md")).await;
    let next = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1-2"), ["more.md"]);

    // What cannot be pushed stays until it would be in the way.
    w.alice().comments(issue, &fails("printf '%s' \"$ANTHROPIC_API_KEY\" > key.txt")).await;
    w.next_comment(issue).await;
    w.bob().merges(next.number, Merging::Squash).await;
    w.quiet().await;
    w.alice().comments(issue, &another("last.md")).await;
    let said = w.next_comment(issue).await.body;
    assert!(
        said.starts_with("**I start again from what was merged.** What was left in my workspace"),
        "{said}"
    );
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1-3"), ["last.md"]);
    w.finish().await;
}

#[tokio::test]
async fn a_merge_while_work_is_published_is_said_with_where_the_work_is() {
    let w = World::start().await;
    let check = "[ ! -e more.md ] || until [ -e /tmp/go-on ]; do sleep 0.1; done";
    let settings = format!("checks = [\"{check}\"]\n");
    w.bob().pushes("main", &[(".github/hob.toml", &settings)], "How we check").await;
    let (issue, pull) = proposed(&w).await;
    w.alice().comments(issue, &another("more.md")).await;
    let checking = w
        .eventually("the check to run", async || {
            w.containers().await.into_iter().find(|name| name.contains("-check-"))
        })
        .await;
    w.bob().merges(pull, Merging::Squash).await;
    w.quiet_deliveries().await;
    w.eventually("the check to be let on", async || {
        in_container(&checking, &["touch", "/tmp/go-on"]).then_some(())
    })
    .await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped: the pull request was merged by @bob.**"), "{said}");
    assert!(said.contains("is on the branch `hob/issue-1`: 1 commit."), "{said}");
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "more.md").as_deref(), Some("more\n"));
    assert_eq!(w.github.pulls(REPO).len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn the_report_fits_the_repositorys_template_and_what_people_write_around_it_stays() {
    let w = World::start().await;
    let settings = "checks = [\"test -e good\"]\ncheck_retries = 0\nlabels = [\"bot\"]\n";
    let template = "## What\n\n<!-- what is it -->\n\n## Why\n";
    let files = [(".github/hob.toml", settings), (".github/PULL_REQUEST_TEMPLATE.md", template)];
    w.bob().pushes("main", &files, "How we work").await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert!(pull.draft, "a check fails, so that it is not done");
    assert!(w.next_comment(issue).await.body.contains("still fails"));
    w.quiet().await;
    let pull = w.github.pulls(REPO).into_iter().find(|at| at.number == pull.number).unwrap();
    assert_eq!(
        (pull.reviewers, w.github.labels(REPO, pull.number)),
        (vec!["alice".into()], vec!["bot".into()])
    );
    assert!(pull.body.starts_with("<!-- hob:report -->\n## What\n\n"), "{}", pull.body);
    assert!(pull.body.contains("## Why") && pull.body.contains("Closes #1\n"), "{}", pull.body);

    // People reword it and add to it; the next run fixes the check, and makes it ready.
    w.github.edit_pull(
        REPO,
        pull.number,
        "bob",
        "JSON, at last",
        &format!("Read me.\n\n{}\n\n- [ ] told", pull.body),
    );
    w.alice().comments(issue, &another("good")).await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    w.quiet().await;
    let pull = w.github.pulls(REPO).remove(0);
    assert!(!pull.draft, "it is done");
    assert_eq!(pull.title, "JSON, at last");
    assert!(pull.body.starts_with("Read me.\n\n<!-- hob:report -->"), "{}", pull.body);
    assert!(pull.body.ends_with("<!-- /hob:report -->\n\n- [ ] told"), "{}", pull.body);

    // A person says that it is not ready; hob leaves it at that.
    w.github.set_draft(REPO, pull.number, true);
    w.alice().comments(issue, &another("more.md")).await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).remove(0).draft, "bob has decided");
    w.finish().await;
}

#[tokio::test]
async fn what_people_close_is_not_opened_again_until_somebody_asks() {
    let w = World::start().await;
    let (issue, pull) = proposed(&w).await;
    at_work(&w, issue).await;
    w.bob().closes(pull).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped: the pull request was closed by @bob.**"), "{said}");
    assert!(said.contains("on the branch `hob/issue-1`"), "{said}");
    w.quiet().await;
    let shown = status(&w, issue);
    assert!(shown.contains("\n**Closed.** #2 was closed by bob without a merge"), "{shown}");
    assert_eq!(w.github.labels(REPO, issue), ["hob"]);
    assert!(!wants_follow_ups(&w, issue).await && w.containers().await.is_empty());

    // Opened again: the same pull request goes on.
    w.bob().reopens(pull).await;
    w.quiet().await;
    assert!(wants_follow_ups(&w, issue).await);
    w.alice().comments(pull, &another("more.md")).await;
    assert_eq!(w.next_pull_request().await.number, pull);
    w.next_comment(issue).await;
    w.quiet().await;

    // Closed by somebody who may not push: it is closed, but nothing is stopped.
    let slow = "until [ -e /hob/go ]; do sleep 0.2; done; echo x > x.md; git add -A; git commit -qm x";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{slow}\n```")).await;
    let exchange = w
        .eventually("the agent at work", async || {
            w.status(issue).filter(|status| status.body.starts_with("**At work**"))?;
            let folders = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
            folders.map(|folder| folder.path().join("exchange")).next()
        })
        .await;
    w.tina().closes(pull).await;
    w.quiet_deliveries().await;
    std::fs::write(exchange.join("go"), "").unwrap();
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    w.quiet().await;
    assert_eq!(pulls(&w), [pull_at(2, "hob/issue-1", "closed")], "it is not opened again");

    // Asked for, it goes on from its branch, with another pull request.
    w.alice().comments(issue, &another("again.md")).await;
    let next = w.next_pull_request().await;
    assert_eq!((next.number, next.head.as_str()), (3, "hob/issue-1"));
    assert!(next.body.contains("Replaces #2, which was closed.\n"), "{}", next.body);
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(
        w.github.diff_files(REPO, "hob/issue-1"),
        ["NOTES.md", "again.md", "half.txt", "more.md", "x.md"]
    );
    w.finish().await;
}

#[tokio::test]
async fn what_no_webhook_tells_of_a_pull_request_is_found_by_looking() {
    let mut w = World::prepare_without_webhook(|config| config.pull_request.delete_branch = true).await;
    w.start_hob().await;
    let (issue, pull) = proposed(&w).await;
    w.github.close_pull_quietly(REPO, pull, "bob");
    w.until("hob to see that", |_| {
        w.status(issue).filter(|status| status.body.starts_with("**Closed.** #2 was closed by bob"))
    })
    .await;
    w.bob().reopens(pull).await;
    w.until("hob to see that", |_| w.status(issue).filter(|status| status.body.starts_with("Done: #2")))
        .await;
    w.bob().pushes("release/1", &[("release.md", "release\n")], "For a release").await;
    w.github.retarget_pull_quietly(REPO, pull, "release/1");
    w.eventually("hob to see that", async || {
        let story = w.store().story_at(&REPO.parse().unwrap(), hob::ids::IssueNumber(issue)).await.unwrap();
        (story.expect("a story").base_branch == "release/1").then_some(())
    })
    .await;
    w.github.merge_pull_quietly(REPO, pull, "bob", Merging::Squash);
    w.until("hob to see that", |_| {
        w.status(issue).filter(|status| status.body.starts_with("**Merged.** #2 was merged by bob"))
    })
    .await;
    w.quiet().await;
    assert!(!has_branch(&w, "hob/issue-1"));
    w.finish().await;
}
