//! The hand-over's policy: what is refused, what is asked, whose name stands on commits, and that a
//! known secret gets nowhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::hob::for_each_file;
use crate::world::{KEY, REPO, World};
use base64::Engine as _;
use hob::config::ByteSize;

const BRANCH: &str = "hob/issue-1";

async fn asked(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("Policy", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

/// Plays an issue whose commits are refused; gives back what hob says.
async fn refused(w: &World, scenario: &str) -> String {
    let issue = asked(w, scenario).await;
    let said = w.next_comment(issue).await.body;
    w.quiet().await;
    assert!(said.starts_with("**The agent's commits were not accepted.**"), "{said}");
    assert!(said.contains("The workspace is kept as the agent left it."), "{said}");
    assert!(w.github.commits(REPO, BRANCH).is_empty() && w.github.pulls(REPO).is_empty(), "it was pushed");
    let runs = std::fs::read_dir(w.data().join("runs")).unwrap().flatten();
    for run in runs {
        let left =
            ["bundle", "quarantine"].map(|name| run.path().join(name)).into_iter().find(|p| p.exists());
        assert_eq!(left, None, "what was refused was left over");
    }
    said
}

/// The workspace and the home are the agent's: it may write what it knows there.
fn forget_the_agents_folders(w: &World) {
    for story in std::fs::read_dir(w.data().join("stories")).unwrap().flatten() {
        std::fs::remove_dir_all(story.path()).unwrap();
    }
}

/// Every object of the repositories below a folder, unpacked, as text.
fn objects(folder: &Path) -> String {
    let mut repositories: Vec<PathBuf> = Vec::new();
    for_each_file(folder, &mut |path, _| {
        if path.ends_with("HEAD") {
            repositories.push(path.parent().unwrap().to_owned());
        }
    });
    assert!(!repositories.is_empty(), "there is no repository in {}", folder.display());
    let mut all = String::new();
    for repository in repositories {
        let output = Command::new("git")
            .args(["cat-file", "--batch-all-objects", "--batch", "--buffer"])
            .current_dir(&repository)
            .output()
            .unwrap();
        assert!(output.status.success() && output.stdout.len() > 100, "{}", repository.display());
        all.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    all
}

/// The key in the forms that the scenarios give it.
fn shapes_of_the_key() -> Vec<String> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let padded = base64.encode(format!("padding, api_key = {KEY}\n"));
    vec![KEY.to_owned(), base64.encode(KEY), hex::encode(KEY), padded]
}

/// Looks at everything that outlives a task.
fn assert_the_key_is_nowhere(w: &World) {
    forget_the_agents_folders(w);
    let shapes = shapes_of_the_key();
    let check = |place: &str, text: &str| {
        let joined = text.replace("\\n", "").replace(['\n', ' '], "");
        for shape in &shapes {
            assert!(!text.contains(shape) && !joined.contains(shape.trim_end_matches('=')), "in {place}");
        }
    };
    for_each_file(w.data(), &mut |path, bytes| {
        check(&path.display().to_string(), &String::from_utf8_lossy(bytes));
    });
    check("the mirror", &objects(&w.data().join("mirrors")));
    check("GitHub's git", &objects(&w.github.repo_path(REPO)));
    for issue in w.github.issues(REPO) {
        for comment in w.said(issue) {
            check("a comment", &comment.body);
        }
    }
}

#[tokio::test]
async fn a_workflow_is_asked_about_and_pushed_after_a_persons_yes() {
    let w = World::start().await;
    let issue = asked(&w, "workflow").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("protected paths: `.github/workflows/x.yml`"), "{question}");
    assert!(question.contains("- [ ] Push it anyway\n- [ ] Leave it out"), "{question}");
    w.quiet().await;
    assert!(w.github.commits(REPO, BRANCH).is_empty(), "it was pushed before anybody answered");

    // Somebody who may not write has no say in it.
    w.mallory().comments(issue, "Push it anyway").await;
    w.quiet().await;
    assert!(w.github.commits(REPO, BRANCH).is_empty());

    w.alice().comments(issue, "Push it anyway").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, ".github/workflows/x.yml").is_some());
    let named = "### Look closely at\n\n- `.github/workflows/x.yml` is protected\n";
    assert!(pull.body.contains(named), "{}", pull.body);
    w.next_comment(issue).await;
    // The agent did not run again for it.
    assert_eq!(std::fs::read_dir(w.data().join("runs")).unwrap().count(), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_workflow_that_is_to_be_left_out_goes_back_to_the_agent() {
    let w = World::start().await;
    let issue = asked(&w, "workflow").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "Leave it out").await;
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.file_at(REPO, &pull.head, ".github/workflows/x.yml"), None);
    assert!(w.github.file_at(REPO, &pull.head, "x.txt").is_some());
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_key_in_a_commit_is_refused_and_gets_nowhere() {
    let w = World::start().await;
    let said = refused(&w, "leak").await;
    assert!(said.contains("> - `settings.ini` contains a secret that hob knows"), "{said}");
    assert!(said.contains("the commits have to be recreated without it"), "{said}");
    assert_the_key_is_nowhere(&w);
    w.finish().await;
}

#[tokio::test]
async fn a_key_in_base64_is_refused_though_a_later_commit_takes_it_back() {
    let w = World::start().await;
    let said = refused(&w, "leak-base64").await;
    assert!(said.contains("`settings.b64` contains a secret that hob knows"), "{said}");
    assert_the_key_is_nowhere(&w);
    w.finish().await;
}

#[tokio::test]
async fn a_key_in_what_the_agent_says_is_taken_out_everywhere() {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    let issue = asked(&w, "leak-words").await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("My key is [secret], in base64 [secret]"), "{}", pull.body);
    w.next_comment(issue).await;
    w.quiet().await;
    let (mut stdout, mut stderr) = (String::new(), String::new());
    for_each_file(&w.data().join("runs"), &mut |path, bytes| {
        let text = String::from_utf8_lossy(bytes);
        match path.file_name().and_then(|name| name.to_str()) {
            Some("stdout.jsonl") => stdout.push_str(&text),
            Some("stderr.log") => stderr.push_str(&text),
            _ => {}
        }
    });
    assert!(stdout.contains("Done with [secret].") && stdout.ends_with('\n'), "{stdout}");
    for line in stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("still JSON");
    }
    assert_eq!(stderr, "the key is [secret]\n");

    // Where a tool wraps it, and where what is said is shortened within it. The last digit of
    // base64 tells no byte.
    let script = "printf '%s' \"$ANTHROPIC_API_KEY\" | base64 -w 20; echo; \
                  printf '%0206d%s\\n' 0 \"$ANTHROPIC_API_KEY\"";
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    w.next_comment(issue).await;
    w.quiet().await;
    let shown: Vec<String> = w
        .github
        .check_runs(REPO, &w.github.commits(REPO, BRANCH)[0].sha)
        .into_iter()
        .map(|run| run.text)
        .collect();
    let log = shown.concat();
    assert!(log.contains("The script ended with 0: [secret]k= 00000"), "{log}");
    assert!(!log.contains(&KEY[..8]), "{log}");
    assert_the_key_is_nowhere(&w);
    w.finish().await;
}

#[tokio::test]
async fn author_and_committer_are_the_configured_ones_and_who_asked_is_co_author() {
    let w = World::with(|config| {
        config.git.author_name = "House Spirit".to_owned();
        config.git.author_email = "spirit@acme.example".to_owned();
    })
    .await;
    let issue = asked(&w, "author").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let commits = w.github.commits(REPO, &pull.head);
    let messages: Vec<&str> = commits.iter().map(|commit| commit.message.as_str()).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for commit in &commits[..2] {
        let spirit = "House Spirit <spirit@acme.example>";
        assert_eq!((commit.author.as_str(), commit.committer.as_str()), (spirit, spirit));
        let last = commit.message.lines().last().unwrap();
        let address = last.strip_prefix("Co-authored-by: alice <").expect(last);
        let number = address.strip_suffix("+alice@users.noreply.github.com>").expect(last);
        number.parse::<u64>().expect("the account's number");
    }
    assert!(
        messages[0].contains("Signed-off-by: House Spirit <spirit@acme.example>\nHob-Story: "),
        "{messages:?}"
    );
    assert!(messages[1].starts_with("Add one\n\nHob-Story: "), "{messages:?}");
    assert!(!messages[2].contains("Co-authored-by"), "a commit that was there before was rewritten");

    // The next task builds on what was pushed, not on what the agent had.
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.commits(REPO, &pull.head)[1].sha, commits[0].sha);
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn authors_can_be_left_as_they_are() {
    let w = World::with(|config| config.git.rewrite_authors = false).await;
    let issue = asked(&w, "author").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    let commits = w.github.commits(REPO, &pull.head);
    assert_eq!(commits[0].author, "Mallory <m@evil.example>");
    assert!(!commits[0].message.contains("Co-authored-by"));
    w.finish().await;
}

#[tokio::test]
async fn a_submodule_is_refused_unless_the_operator_allows_them() {
    let w = World::start().await;
    let said = refused(&w, "submodule").await;
    assert!(said.contains("`vendor/lib` is a submodule that was added or moved"), "{said}");
    w.finish().await;

    let w = World::with(|config| config.policy.submodules = true).await;
    let issue = asked(&w, "submodule").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_link_out_of_the_tree_is_refused() {
    let w = World::start().await;
    let said = refused(&w, "outside-link").await;
    assert!(said.contains("`docs/away` is a symbolic link that may lead out of the repository"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn what_the_base_has_is_not_held_against_the_work() {
    let w = World::with(|config| config.policy.max_files = 4).await;
    let git =
        |arguments: &[&str], input: Option<&str>| w.github.raw_git(REPO, arguments, input).trim().to_owned();
    let blob = |text: &str| git(&["hash-object", "-w", "--stdin"], Some(text));
    let (link, text) = (blob("../../shared/style.md"), blob("text\n"));
    let workflows = git(&["mktree"], Some(&format!("100664 blob {text}\ta.yml\n")));
    let settings = git(&["mktree"], Some(&format!("040000 tree {workflows}\tworkflows\n")));
    let many: String = (0..9).map(|n| format!("100664 blob {text}\tf{n}\n")).collect();
    let many = git(&["mktree"], Some(&many));
    let docs = git(&["mktree"], Some(&format!("120000 blob {link}\tstyle.md\n")));
    let tree = format!(
        "040000 tree {settings}\t.github\n040000 tree {docs}\tdocs\n040000 tree {many}\tmany\n100664 blob {}\tkey.md\n",
        blob(&format!("It is {KEY}.\n"))
    );
    let tree = git(&["mktree"], Some(&tree));
    let commit = git(&["commit-tree", &tree, "-p", "main", "-m", "As it is"], None);
    git(&["update-ref", "refs/heads/main", &commit], None);
    let script =
        "git mv docs manual; echo x > many/new; echo x >> key.md; git add -A; git commit -qm 'Rename docs'";
    let issue = w.alice().opens_issue("Rename", &format!("[scenario: script]\n\n```sh\n{script}\n```")).await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn too_many_files_and_a_file_too_large_are_refused() {
    let w = World::with(|config| config.policy.max_files = 50).await;
    let said = refused(&w, "many-files 51").await;
    assert!(said.contains("more than 50 files are changed"), "{said}");
    w.finish().await;

    let w = World::with(|config| config.policy.max_file_size = ByteSize(1000)).await;
    let said = refused(&w, "large-file 1001").await;
    assert!(said.contains("`large.bin` is larger than 1 KiB"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_process_that_reads_a_hand_over_and_is_ended_by_its_limits_is_said() {
    let w = World::with(|config| config.policy.import_memory = ByteSize::mib(8)).await;
    let said = refused(&w, "work").await;
    assert!(said.contains("> Reading the commits took more memory, disk space or time"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_large_hand_over_passes_the_usual_limits() {
    let w = World::with(|config| config.policy.max_file_size = ByteSize::mib(100)).await;
    let issue = asked(&w, "large-file 62914560").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}
