//! What hob says in a pull request: its title, a body that people have filled, and the draft of
//! work that was cut short.

use crate::world::github::{Merging, Pull, Verdict};
use crate::world::{REPO, World};
use hob::config::FollowBase;

/// What the agent does next.
async fn asks(w: &World, on: u64, script: &str) {
    w.alice().comments(on, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
}

/// An agent's commit, with what it wants to be told of it.
fn commit(file: &str, also: &str) -> String {
    format!("echo more > {file}; git add -A; git commit -qm 'Add {file}'\n{also}")
}

fn the_pull(w: &World) -> Pull {
    w.github.pulls(REPO).pop().expect("a pull request")
}

fn status(w: &World, issue: u64) -> String {
    w.status(issue).expect("a status comment").body
}

/// The prompts of all runs so far, oldest first.
fn prompts(w: &World) -> Vec<String> {
    let runs = std::fs::read_dir(w.data().join("runs")).expect("the folder of runs").flatten();
    let mut folders: Vec<_> = runs.map(|run| run.path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| std::fs::read_to_string(folder.join("prompt.md")).ok()).collect()
}

/// Has an agent work on and on, with a list of things to do; waits until it has got so far.
async fn at_work(w: &World) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", "").await;
    let script = "echo half > half.txt; touch /hob/so-far; sleep 600";
    asks(w, issue, script).await;
    w.eventually("the agent to get so far", async || {
        let folders = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        folders.map(|folder| folder.path().join("exchange/so-far")).find(|file| file.exists())
    })
    .await;
    issue
}

#[tokio::test]
async fn the_agent_names_the_pull_request_and_what_people_make_of_it_stays() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "").await;
    asks(
        &w,
        issue,
        &commit("one.md", "printf '\\n# Fixes #1 for @bob: print JSON\\nmore\\n' > /hob/title.txt"),
    )
    .await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.title.replace('\u{2060}', "·"), "Fixes #·1 for @·bob: print JSON");
    w.next_comment(issue).await;
    w.quiet().await;
    let (first, told) = (pull.body, prompts(&w));
    assert!(told[0].contains("Write the title of the pull request to /hob/title.txt"), "{}", told[0]);

    // A later run says nothing of it, and then something else.
    asks(&w, issue, &commit("two.md", "")).await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(the_pull(&w).title, pull.title);
    assert!(prompts(&w)[1].contains("The pull request has a title."), "{}", prompts(&w)[1]);
    asks(&w, issue, &commit("three.md", "echo 'Print JSON and more' > /hob/title.txt")).await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(the_pull(&w).title, "Print JSON and more");

    // People's text leaves no room for all of the report: what must be in it is.
    let theirs = "y".repeat(64_000);
    w.github.edit_pull(REPO, pull.number, "bob", "JSON, at last", &format!("{theirs}\n\n{first}"));
    let talk = "yes 'A long summary.' | head -c 1400 > /hob/summary.md; echo 'Never' > /hob/title.txt";
    asks(&w, issue, &commit("four.md", talk)).await;
    w.next_comment(issue).await;
    w.quiet().await;
    let now = the_pull(&w);
    assert_eq!(now.title, "JSON, at last");
    assert!(now.body.starts_with(&format!("{theirs}\n\n<!-- hob:report -->\n")), "bob's text is cut");
    let report = &now.body[theirs.len()..];
    assert!(
        report.contains("The rest of my report is left out") && report.contains("Closes #1\n"),
        "{report}"
    );
    assert!(now.body.chars().count() <= 65_536 && !report.contains("### Since then"), "{report}");

    // And then for none of it.
    let full = "z".repeat(65_500);
    w.github.edit_pull(REPO, pull.number, "bob", "JSON, at last", &full);
    asks(&w, issue, &commit("five.md", "")).await;
    w.next_comment(issue).await;
    let said = w.next_comment(pull.number).await.body;
    assert!(
        said.starts_with("The description here is at GitHub's size limit") && said.contains("Closes #1\n"),
        "{said}"
    );
    w.quiet().await;
    assert_eq!(the_pull(&w).body, full);
    w.finish().await;
}

#[tokio::test]
async fn work_that_is_stopped_is_a_draft_that_nothing_goes_on_with_before_a_person_does() {
    let w = World::with(|config| config.pull_request.follow_base = FollowBase::Always).await;
    let settings = "reviewers = [\"bob\"]\nchecks = [\"true\"]\nlabels = [\"bot\"]\n";
    w.bob().pushes("main", &[(".github/hob.toml", settings)], "How we work").await;
    let issue = at_work(&w).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    w.quiet().await;
    let draft = the_pull(&w);
    assert!(draft.draft && draft.reviewers.is_empty(), "{draft:?}");
    assert_eq!(
        (draft.title.as_str(), w.github.labels(REPO, draft.number)),
        ("Add a --json flag", vec!["bot".into()])
    );
    let start = "<!-- hob:report -->\n**Not finished.** alice has stopped the work. `/hob work` continues from here.\n\n\
                 The repository's checks have not run on this.\n\nIt is a draft until it is done. #1 says where it stands.";
    assert!(draft.body.starts_with(start) && draft.body.contains("Closes #1\n"), "{}", draft.body);
    let shown = status(&w, issue);
    assert!(shown.contains("\n#2 shows what is done so far, as a draft.\n"), "{shown}");
    assert_eq!(w.github.labels(REPO, issue), ["hob: working"][..0], "nobody is to review it yet");

    // A check that fails on it, and a base that moves, are nothing that hob takes up by itself.
    let head = w.github.commits(REPO, &draft.head)[0].sha.clone();
    w.ci().fails("build", &head, "half of it\n").await;
    w.bob().pushes("main", &[("other.md", "other\n")], "Another thing").await;
    w.quiet().await;
    assert_eq!((w.github.commits(REPO, &draft.head)[0].sha.clone(), prompts(&w).len()), (head, 1));

    // Asked to fix the check, it fixes that, and the draft stays one.
    let mend = "/hob fix [scenario: script]\n```sh\necho mended >> half.txt; git commit -qam Mend\n```";
    w.alice().comments(draft.number, mend).await;
    let mended = w.next_comment(issue).await.body;
    assert!(mended.contains("about the check that failed: `build`"), "{mended}");
    w.quiet().await;
    assert!(the_pull(&w).draft && the_pull(&w).body == draft.body, "{:?}", the_pull(&w));
    let mended = w.github.commits(REPO, &draft.head)[0].sha.clone();
    w.ci().fails("build", &mended, "still half of it\n").await;
    w.quiet().await;
    assert_eq!(w.github.commits(REPO, &draft.head)[0].sha, mended);

    // A review is a person's word: the agent goes on, and what it ends with is to be reviewed.
    let rest = "Do the rest.\n\n[scenario: script]\n```sh\necho done > done.md; git add -A; git commit -qm Done\n```";
    w.alice().reviews(draft.number, Verdict::Commented, rest, &[]).await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2 has "));
    w.next_comment(draft.number).await;
    w.quiet().await;
    let told = prompts(&w).pop().unwrap();
    assert!(told.contains("Your pull request is a draft, since the work on it was cut short."), "{told}");
    let ready = the_pull(&w);
    assert_eq!((ready.number, ready.draft), (draft.number, false));
    assert!(!ready.body.contains("Not finished") && ready.reviewers.contains(&"bob".to_owned()), "{ready:?}");
    assert!(!status(&w, issue).contains("as a draft"), "{}", status(&w, issue));
    w.finish().await;
}

#[tokio::test]
async fn where_there_are_no_drafts_unfinished_work_is_on_its_branch_alone() {
    let w = World::start().await;
    w.github.without_drafts(REPO);
    w.bob().pushes("main", &[(".github/hob.toml", "draft = true\n")], "We like drafts").await;
    w.bob().pushes("release", &[("release.md", "1.0\n")], "The release").await;
    let issue = at_work(&w).await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("is on the branch `hob/issue-1`: 1 commit"), "{said}");
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty());
    let shown = status(&w, issue);
    assert!(shown.contains("/tree/hob/issue-1)") && !shown.contains("draft"), "{shown}");

    // The first that is done is proposed, with all of it.
    asks(&w, issue, &commit("done.md", "")).await;
    let pull = w.next_pull_request().await;
    assert!(!pull.draft, "{pull:?}");
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done: #2 has 2 commits for you to review."), "{done}");

    // GitHub closes an issue by what goes to the default branch, and nothing else is promised.
    let other = w.alice().opens_issue("Mend the release", "").await;
    let work = "[scenario: script]\n```sh\necho mended > release.md; git commit -qam Mend\n```";
    w.alice().comments(other, &format!("/hob work --base release {work}")).await;
    let pull = w.next_pull_request().await;
    assert_eq!((pull.number, pull.base.as_str()), (4, "release"));
    assert!(pull.body.contains("For #3\n") && !pull.body.contains("Closes"), "{}", pull.body);
    w.next_comment(other).await;
    w.bob().merges(pull.number, Merging::Commit).await;
    w.quiet().await;
    assert!(status(&w, other).starts_with("**Merged.** #4"), "{}", status(&w, other));
    assert!(w.github.is_open(REPO, other), "the issue is closed");
    w.finish().await;
}
