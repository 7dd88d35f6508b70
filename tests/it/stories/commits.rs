//! The commits that hob pushes: whose they are, what they are about, that they close nothing, how
//! many they are, and that git itself verifies their signature.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::github::CommitInfo;
use crate::world::hob::for_each_file;
use crate::world::{REPO, World};
use secrecy::SecretString;

const BRANCH: &str = "hob/issue-1";
const SPIRIT: &str = "House Spirit <spirit@acme.example>";

/// Makes a key as people do, and gives its file.
fn ssh_keygen(folder: &Path) -> PathBuf {
    let file = folder.join("signing-key");
    let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "hob", "-f"];
    let made = Command::new("ssh-keygen").args(arguments).arg(&file).status();
    assert!(made.expect("ssh-keygen runs").success());
    file
}

/// Verifies commits in a clone of the repository on GitHub, with what a reader has: the public key
/// and an address.
fn verify(w: &World, key: &Path, commits: &[CommitInfo]) {
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = key.with_extension("signers");
    std::fs::write(&signers, format!("* {public}")).unwrap();
    let clone = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(clone.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.output().expect("git runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["clone", "-q", "--bare", &w.github.repo_path(REPO).to_string_lossy(), "."]);
    let signers = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    for commit in commits {
        git(&["-c", &signers, "verify-commit", &commit.sha]);
    }
    git(&["fsck", "--strict"]);
}

/// A command that has the agent run a script of shell.
fn script(lines: &str) -> String {
    format!("/hob work [scenario: script]\n```sh\n{lines}\n```")
}

/// Commits of one file each.
fn commits(messages: &[&str]) -> String {
    let one = |(at, message): (usize, &&str)| {
        format!("echo {at} >> {at}.txt; git add -A; printf '{message}' | git commit -qF -")
    };
    messages.iter().enumerate().map(one).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn commits_are_hobs_name_who_took_part_close_nothing_and_are_signed() {
    let mut w = World::prepare(|config| {
        config.git.author_name = "House Spirit".to_owned();
        config.git.author_email = "spirit@acme.example".to_owned();
    })
    .await;
    let key = ssh_keygen(w.folder());
    let secret = std::fs::read_to_string(&key).unwrap();
    w.config.git.signing_key_file = Some(key.clone());
    w.config.git.signing_key = Some(SecretString::from(secret.clone()));
    w.start_hob().await;
    let link = format!("Hob-Story: {}/{REPO}/issues/1", w.github.git_url());
    let named = |login: &str| format!("Co-authored-by: {login} <");

    let issue = w.alice().opens_issue("Count to two", "").await;
    let messages = [
        "Count one, fixes #7\\n\\nHob-Story: https://elsewhere.example/9\\n",
        "Count two\\n\\nResolves: acme/tool#3\\nSigned-off-by: M <m@x.example>\\n\
         Reviewed-by: Bob <b@x.example>\\nSigned-off-by: House Spirit <spirit@acme.example>\\n",
    ];
    w.alice().comments(issue, &script(&commits(&messages))).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let first = w.github.commits(REPO, BRANCH);
    let (two, one) = (&first[0], &first[1]);
    for commit in [one, two] {
        assert_eq!((commit.author.as_str(), commit.committer.as_str()), (SPIRIT, SPIRIT));
        assert_eq!(commit.message.matches("Hob-Story: ").count(), 1, "{}", commit.message);
        let last: Vec<&str> = commit.message.lines().rev().take(2).collect();
        assert!(last[0].starts_with(&named("alice")) && last[1] == link, "{}", commit.message);
    }
    assert!(one.message.starts_with("Count one, refs #7\n\nHob-Story: "), "{}", one.message);
    let kept = format!("Count two\n\nRefs: acme/tool#3\nSigned-off-by: {SPIRIT}\nHob-Story: ");
    assert!(two.message.starts_with(&kept), "{}", two.message);
    verify(&w, &key, &first[..2]);

    // The repository wants one commit of each piece of work.
    w.bob().pushes("main", &[(".github/hob.toml", "squash = true\n")], "Squash").await;
    w.bob().comments(issue, &script(&commits(&["Three", "Four closes #4", "Five"]))).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let second = w.github.commits(REPO, BRANCH);
    assert_eq!(second[1].sha, first[0].sha, "commits that were there are written anew, or there are three");
    let body = "Three\n\n* Three\n* Four refs #4\n* Five\n\nHob-Story: ";
    assert!(second[0].message.starts_with(body), "{}", second[0].message);
    assert!(second[0].message.contains(&named("bob")), "{}", second[0].message);
    assert_eq!(w.github.file_at(REPO, BRANCH, "2.txt").as_deref(), Some("2\n"));

    // Work that was cut short is pushed as it is, so that it can be told from what is done.
    let slow = format!("{}\necho half > half.txt; touch /hob/so-far; sleep 600", commits(&["Six"]));
    w.bob().comments(issue, &script(&slow)).await;
    w.eventually("the agent to get so far", async || {
        let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
        stories.map(|story| story.path().join("exchange/so-far")).find(|file| file.exists())
    })
    .await;
    w.bob().comments(issue, "/hob stop").await;
    w.next_comment(issue).await;
    // The pull request was ready, and nobody has looked at this.
    let told = w.next_comment(2).await.body;
    assert!(
        told.starts_with(
            "**Work that was stopped is on this branch now:** 2 commits, the last of them, `WIP`"
        ),
        "{told}"
    );
    let third = w.github.commits(REPO, BRANCH);
    assert!(
        third[0].message.starts_with(&format!("WIP: stopped by @bob\n\n{link}\n")),
        "{}",
        third[0].message
    );
    assert!(third[1].message.starts_with("Six\n\n") && third[2].sha == second[0].sha);
    verify(&w, &key, &third[..5]);

    // The key is nowhere but where the operator has put it.
    let line = secret.lines().nth(1).unwrap().to_owned();
    for_each_file(w.data(), &mut |path, bytes| {
        assert!(!String::from_utf8_lossy(bytes).contains(&line), "the key is in {}", path.display());
    });
    w.finish().await;
}

#[tokio::test]
async fn what_hob_merges_and_makes_anew_is_signed_and_held_to_the_checks() {
    let mut w = World::prepare(|_| {}).await;
    let key = ssh_keygen(w.folder());
    w.config.git.signing_key_file = Some(key.clone());
    w.config.git.signing_key = Some(SecretString::from(std::fs::read_to_string(&key).unwrap()));
    w.start_hob().await;
    let settings = "checks = [\"! grep -q broken bob.md\"]\ncheck_retries = 0\n";
    w.bob().pushes("main", &[(".github/hob.toml", settings)], "How we check").await;
    let issue = w.alice().opens_issue("Count to two", "").await;
    w.alice().comments(issue, &script(&commits(&["One"]))).await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));

    // What bob pushes meanwhile passes by itself, and so does the agent's; together the check
    // fails.
    let waits = "for n in two three; do echo $n > $n.txt; git add -A; git commit -qm $n; done\n\
                 touch /hob/so-far; until [ -e /hob/go-on ]; do sleep 0.2; done";
    w.alice().comments(issue, &script(waits)).await;
    let exchange = w
        .eventually("the agent to get so far", async || {
            let stories = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
            let exchanges = stories.map(|story| story.path().join("exchange"));
            exchanges.into_iter().find(|exchange| exchange.join("so-far").exists())
        })
        .await;
    let theirs = w.bob().pushes(BRANCH, &[("bob.md", "broken\n")], "By hand").await;
    std::fs::write(exchange.join("go-on"), "").unwrap();
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("still fails") && said.contains("meanwhile is merged in"), "{said}");
    w.quiet().await;
    let merged = w.github.commits(REPO, BRANCH);
    assert!(
        merged[0].message.starts_with("Merge ") && w.github.has_commit(REPO, BRANCH, &theirs),
        "{merged:?}"
    );
    assert!(w.github.pulls(REPO)[0].draft, "a check fails on the merge");
    // The merge, and what the agent had handed over before it was merged.
    let (bobs, ours): (Vec<CommitInfo>, _) =
        merged.iter().take(4).cloned().partition(|commit| commit.sha == theirs);
    assert_eq!((bobs.len(), ours.len()), (1, 3), "{merged:?}");
    verify(&w, &key, &ours);

    w.bob().pushes("main", &[("other.md", "other\n")], "Another thing").await;
    for (command, newest) in [("/hob rebase", 1), ("/hob rebase --rewrite", 4)] {
        w.alice().comments(issue, command).await;
        w.quiet().await;
        let joined = w.github.commits(REPO, BRANCH);
        assert_ne!(joined[0].sha, merged[0].sha, "{command}: {:?}", w.status(issue));
        verify(&w, &key, &joined[..newest]);
    }
    w.finish().await;
}

#[tokio::test]
async fn a_first_piece_of_work_that_becomes_one_commit_is_called_as_the_issue() {
    let w = World::with(|config| {
        config.git.squash = true;
        config.git.rewrite_authors = false;
    })
    .await;
    let issue = w.alice().opens_issue("Count to two", "").await;
    w.alice().comments(issue, &script(&commits(&["One fixes #1", "Two"]))).await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let pushed = w.github.commits(REPO, BRANCH);
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    assert_eq!(pushed[0].message, "Count to two\n\n* One refs #1\n* Two");
    w.finish().await;
}

#[tokio::test]
async fn a_push_that_is_repeated_finds_the_same_signed_commit_and_a_key_that_is_none_is_said() {
    let mut w = World::prepare(|config| config.git.squash = true).await;
    let key = ssh_keygen(w.folder());
    w.config.git.signing_key_file = Some(key.with_extension("pub"));
    let (code, said) = w.serve_in_vain().await;
    let wrong =
        "signing-key.pub, which other users of this machine can read or change (mode 0644); use mode 0600";
    assert!(code == Some(1) && said.contains(wrong), "{said}");
    std::fs::set_permissions(key.with_extension("pub"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = w.serve_in_vain().await;
    assert!(code == Some(1) && said.contains("signing-key.pub, which is a public key"), "{said}");
    let (code, said) = w.command(&["check"]).await;
    assert!(code == Some(1) && said.contains("commits         NOT ok: `git.signing_key_file`"), "{said}");

    w.config.git.signing_key_file = Some(key.clone());
    let (_, said) = w.command(&["check"]).await;
    let signed = "commits         ok: hob <hob@users.noreply.github.com>, signed, SHA256:";
    assert!(said.contains(signed), "{said}");
    let program = w.start_program_with(&[("HOB_KILL_AT", "git.push.after#1")]).await;
    let issue = w.alice().opens_issue("Count to two", "").await;
    w.alice().comments(issue, &script(&commits(&["One", "Two"]))).await;
    program.dies().await;
    let pushed = w.github.commits(REPO, BRANCH);
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    verify(&w, &key, &pushed[..1]);
    let program = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let after = w.github.commits(REPO, BRANCH);
    assert_eq!((after.len(), &after[0].sha), (2, &pushed[0].sha));
    program.terminate().await;
    w.finish().await;
}
