//! What a workspace holds is what the agent's own git would have written, and what comes back is
//! what people's git expects.

use crate::world::{REPO, World};

/// Has the agent run a script on a new issue.
async fn asks_for(w: &World, script: &str) -> u64 {
    let issue = w.alice().opens_issue("Change it", "").await;
    w.alice().comments(issue, &format!("/hob work [scenario: script]\n```sh\n{script}\n```")).await;
    issue
}

/// Puts a commit with this tree on main, in the form of `git ls-tree`.
fn commit_tree(w: &World, tree: &str) {
    let tree = w.github.raw_git(REPO, &["mktree"], Some(tree));
    let commit = w.github.raw_git(REPO, &["commit-tree", tree.trim(), "-p", "main", "-m", "As it is"], None);
    w.github.raw_git(REPO, &["update-ref", "refs/heads/main", commit.trim()], None);
}

fn blob(w: &World, text: &str) -> String {
    w.github.raw_git(REPO, &["hash-object", "-w", "--stdin"], Some(text)).trim().to_owned()
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
                       oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[tokio::test]
async fn the_workspace_is_what_the_agents_git_expects_by_every_attribute() {
    let w = World::start().await;
    let attributes = "*.rc text working-tree-encoding=UTF-16LE-BOM eol=crlf\n*.u32 text working-tree-encoding=UTF-32BE\n\
                      *.bat text eol=crlf\n*.id ident\n*.bin binary\n*.png filter=lfs diff=lfs merge=lfs -text\n";
    let rows = [
        ("100644", ".gitattributes", attributes),
        ("100644", "app.rc", "BEGIN\nEND\n"),
        ("100644", "app.u32", "one\n"),
        ("100644", "logo.png", POINTER),
        ("100644", "raw.bin", "a\r\nb\n"),
        ("100644", "run.bat", "echo\n"),
        ("100755", "run.sh", "#!/bin/sh\n"),
        ("100644", "version.id", "$Id$\n"),
        ("120000", "way", "run.sh"),
    ];
    let rows = rows.map(|(mode, name, text)| format!("{mode} blob {}\t{name}\n", blob(&w, text)));
    commit_tree(&w, &rows.concat());
    // Each file as it is there; and nothing counts as changed, before and after all of them were
    // touched.
    let script = "for f in app.rc app.u32 run.bat raw.bin version.id; do printf '%s %s\\n' \"$f\" \"$(od -An -tx1 $f | tr -d ' \\n')\"; done > /tmp/seen\n\
                  head -n 1 logo.png >> /tmp/seen; readlink way >> /tmp/seen; stat -c %a run.sh >> /tmp/seen\n\
                  git status --porcelain >> /tmp/seen; find . -path ./.git -prune -o -type f -exec touch {} +\n\
                  git status --porcelain >> /tmp/seen\n\
                  find .git/objects -type f | grep -v info/ | wc -l >> /tmp/seen\n\
                  grep -c TREE .git/index >> /tmp/seen\n\
                  mv /tmp/seen seen.md; git add seen.md; git commit -qm Seen";
    let issue = asks_for(&w, script).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let utf16: String = "BEGIN\r\nEND\r\n".bytes().map(|byte| format!("{byte:02x}00")).collect();
    let utf32: String = "one\n".bytes().map(|byte| format!("000000{byte:02x}")).collect();
    let id = blob(&w, "$Id$\n");
    let id: String = format!("$Id: {id} $\n").bytes().map(|byte| format!("{byte:02x}")).collect();
    let wanted = format!(
        "app.rc fffe{utf16}\napp.u32 {utf32}\nrun.bat 6563686f0d0a\nraw.bin 610d0a620a\nversion.id {id}\n\
         version https://git-lfs.github.com/spec/v1\nrun.sh\n755\n0\n1\n"
    );
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "seen.md").unwrap(), wanted);
    assert_eq!(w.github.diff_files(REPO, "hob/issue-1"), ["seen.md"]);
    w.finish().await;
}

#[tokio::test]
async fn a_file_in_another_encoding_is_changed_and_checked_in_it_and_pushed_whole() {
    let w = World::start().await;
    let attributes = "*.rc text working-tree-encoding=UTF-16LE-BOM eol=crlf\n";
    let check =
        "[ $(head -c 2 app.rc | od -An -tx1 | tr -d ' ') = fffe ] && [ -z \"$(git status --porcelain)\" ]";
    let settings = format!("checks = [{}]\n", serde_json::json!(check));
    let files =
        [(".gitattributes", attributes), ("app.rc", "BEGIN\nEND\n"), (".github/hob.toml", settings.as_str())];
    w.bob().pushes("main", &files, "Resources").await;
    let script = "iconv -f UTF-16 -t UTF-8 app.rc | sed 's/BEGIN/BEGIN 12/' > /tmp/new\n\
                  { printf '\\377\\376'; iconv -f UTF-8 -t UTF-16LE /tmp/new; } > app.rc\n\
                  git commit -qam 'Change app.rc'";
    let issue = asks_for(&w, script).await;
    w.next_pull_request().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done"), "{said}");
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "app.rc").as_deref(), Some("BEGIN 12\nEND\n"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn what_belongs_in_git_lfs_is_never_pushed_as_content_and_a_pointer_nobody_can_follow_is_not_either() {
    let w = World::start().await;
    let attributes = "*.png filter=lfs diff=lfs merge=lfs -text\n";
    let files = [(".gitattributes", attributes), ("a.png", POINTER), ("b.png", POINTER)];
    w.bob().pushes("main", &files, "Images").await;
    let new = POINTER.replace("4d7a", "5d7a");
    let issue = asks_for(
        &w,
        &format!(
            "printf '\\211PNG raw' > a.png; printf '{}' > new.png; git mv b.png moved.png; git add -A; git commit -qm Images",
            new.replace('\n', "\\n")
        ),
    )
    .await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("`a.png` belongs in Git LFS, and contains content instead of a pointer"), "{said}");
    assert!(said.contains("`new.png` is a Git LFS pointer to new content"), "{said}");
    assert!(!said.contains("moved.png"), "{said}");
    assert_eq!(w.github.commits(REPO, "hob/issue-1").len(), 0);
    let issue = asks_for(&w, "git mv b.png moved.png; echo more >> README.md; git commit -qam Move").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.file_at(REPO, "hob/issue-2", "moved.png").as_deref(), Some(POINTER));
    w.finish().await;
}

#[tokio::test]
async fn a_small_hand_over_that_is_large_when_checked_out_is_refused_and_a_repository_like_that_before_the_agent_runs()
 {
    let w = World::with(|config| config.container.disk = hob::config::ByteSize::mib(300)).await;
    w.bob().pushes("main", &[(".github/hob.toml", "checks = [\"true\"]\n")], "Checks").await;
    let many = "head -c 10485000 /dev/zero > /tmp/zeros; blob=$(git hash-object -w /tmp/zeros)\n\
                { git ls-tree HEAD; for n in $(seq 40); do printf '100644 blob %s\\tf%s\\n' \"$blob\" $n; done; } > /tmp/tree\n\
                git update-ref HEAD \"$(git commit-tree -p HEAD -m Many \"$(git mktree < /tmp/tree)\")\"\n\
                git read-tree HEAD; for n in $(seq 40); do echo f$n; done | git update-index --skip-worktree --stdin";
    let issue = asks_for(&w, many).await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("a checkout of the work would exceed the 300 MiB"), "{said}");
    let used = hob::paths::measure(w.data()).bytes;
    assert!(used < 100 << 20, "{used} bytes are used");

    let blob = blob(&w, &"0".repeat(10 << 20));
    let tree: String = (1..=40).map(|n| format!("100644 blob {blob}\tf{n}\n")).collect();
    commit_tree(&w, &tree);
    let issue = w.alice().opens_issue("Second", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("Checked out, the branch takes more disk space than the 300 MiB"), "{said}");
    assert!(said.starts_with("**Not started") || !said.contains("workspace is kept"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_branch_that_git_cannot_check_out_is_said_before_an_agent_runs_and_nothing_half_is_left() {
    let w = World::start().await;
    let (long, blob) = ("n".repeat(300), blob(&w, "x"));
    commit_tree(&w, &format!("100644 blob {blob}\tREADME.md\n100644 blob {blob}\t{long}\n"));
    let issue = w.alice().opens_issue("Work", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("git could not check the branch out"), "{said}");
    let stories = std::fs::read_dir(w.data().join("stories")).unwrap().flatten();
    assert!(stories.into_iter().all(|story| !story.path().join("workspace").exists()));
    // Once it can be, the same task goes on.
    commit_tree(&w, &format!("100644 blob {blob}\tREADME.md\n"));
    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}
