//! Authorship: what is written again and what is not.

use super::world::*;
use hob::git::{Author, Authorship, Imported, SigningKey, Squash, rewrite_commits, sign};

const ALICE: &str = "Co-authored-by: alice <1+alice@users.noreply.github.com>";

fn spirit() -> Author {
    Author { name: "Spirit".to_owned(), email: "spirit@example.com".to_owned() }
}

fn authorship() -> Authorship {
    Authorship {
        author: Some(spirit()),
        signer: Some(spirit()),
        trailers: vec![ALICE.to_owned()],
        squash: None,
    }
}

/// A field of a commit in quarantine, as git itself reads it.
fn field(world: &World, commit: &str, format: &str) -> String {
    git(&world.quarantine(), &["log", "-1", &format!("--format={format}"), commit])
}

#[test]
fn a_merge_is_rewritten_with_its_parents_the_same_way_every_time() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("a.txt", "a\n");
    world.commit_all("add a");
    git(&world.work, &["checkout", "-q", "-b", "side", "main"]);
    world.write("b.txt", "b\n");
    world.commit_all("add b");
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "merge b", "side"]);
    let old = world.sha("story");
    let bundle = world.bundle("story", &base);

    let mut tips = Vec::new();
    for _ in 0..2 {
        let mut imported = world.import(&mirror, &base, &bundle).unwrap();
        rewrite_commits(&mut imported, &authorship()).unwrap();
        tips.push(imported.tip.clone());
        assert_eq!(imported.commits.last().map(|commit| commit.sha.clone()), Some(imported.tip.clone()));
        assert!(imported.commits.iter().all(|commit| commit.author_name == "Spirit"));
    }
    assert!(tips[0] == tips[1] && tips[0] != old, "{tips:?}");

    let tip = tips[0].as_str();
    let before = |format: &str| git(&world.work, &["log", "-1", &format!("--format={format}"), "story"]);
    for same in ["%T", "%ai", "%ci"] {
        assert_eq!(field(&world, tip, same), before(same), "{same}");
    }
    assert_eq!(field(&world, tip, "%an %ae %cn %ce"), "Spirit spirit@example.com Spirit spirit@example.com");
    assert_eq!(field(&world, tip, "%B"), format!("merge b\n\n{ALICE}"));
    let authors = git(&world.quarantine(), &["log", "--format=%an", &format!("{base}..{tip}")]);
    assert_eq!(authors, "Spirit\nSpirit\nSpirit");
    assert_eq!(git(&world.quarantine(), &["merge-base", "--is-ancestor", base.as_str(), tip]), "");
    git(&world.quarantine(), &["fsck", "--strict", tip]);
}

#[test]
fn a_signature_is_dropped_and_a_commit_that_the_mirror_has_stays() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    let tree = git(&world.work, &["rev-parse", "main^{tree}"]);
    let who = "Ada <ada@example.com> 1700000000 -0130";
    let signed = format!(
        "tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\nsigned\n"
    );
    let output =
        with_input(&world.work, &["hash-object", "-w", "-t", "commit", "--stdin"], signed.as_bytes());
    let commit = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    git(&world.work, &["update-ref", "refs/heads/story", &commit]);

    let mut imported = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap();
    rewrite_commits(&mut imported, &authorship()).unwrap();
    let raw = git(&world.quarantine(), &["cat-file", "commit", imported.tip.as_str()]);
    let spirit = "Spirit <spirit@example.com> 1700000000 -0130";
    assert_eq!(
        raw,
        format!("tree {tree}\nparent {base}\nauthor {spirit}\ncommitter {spirit}\n\nsigned\n\n{ALICE}")
    );
}

/// Commits on a branch `story`, each of one file that is named as the message.
fn commit_files(world: &World, messages: &[&str]) {
    for message in messages {
        let name = message.lines().next().unwrap_or_default().replace(char::is_whitespace, "-");
        world.write(&format!("{name}.txt"), message);
        world.commit_all(message);
    }
}

fn squashed(world: &World, title: Option<&str>) -> Imported {
    let (mirror, base) = (world.mirror(), world.sha("main"));
    let bundle = world.bundle("story", &base);
    let mut imported = world.import(&mirror, &base, &bundle).unwrap();
    let squash = Some(Squash { title: title.map(str::to_owned) });
    rewrite_commits(&mut imported, &Authorship { squash, ..authorship() }).unwrap();
    git(&world.quarantine(), &["fsck", "--strict", imported.tip.as_str()]);
    imported
}

fn subjects(world: &World, tip: &str) -> String {
    let range = format!("{}..{tip}", world.sha("main"));
    git(&world.quarantine(), &["log", "--first-parent", "--format=%s", &range])
}

#[test]
fn commits_become_one_with_the_same_tree_and_say_what_is_in_it() {
    let world = World::new();
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    commit_files(
        &world,
        &["one", "two\n\nCo-authored-by: Bo <bo@x>\nCo-Authored-By: Claude <noreply@anthropic.com>"],
    );
    git(&world.work, &["checkout", "-q", "-b", "side"]);
    commit_files(&world, &["three closes #3"]);
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "merge side", "side"]);

    let imported = squashed(&world, Some("Do it, all of it"));
    let tip = imported.tip.as_str();
    assert_eq!((imported.commit_count, imported.commits.len()), (1, 1));
    assert_eq!(field(&world, tip, "%T"), git(&world.work, &["log", "-1", "--format=%T", "story"]));
    assert_eq!(field(&world, tip, "%P"), world.sha("main").as_str());
    assert_eq!(
        field(&world, tip, "%B"),
        format!(
            "Do it, all of it\n\n* one\n* two\n* three refs #3\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n{ALICE}"
        )
    );
    assert!(field(&world, squashed(&world, None).tip.as_str(), "%B").starts_with("one\n\n* one\n* two"));
}

#[test]
fn a_merge_that_brought_in_the_base_stays_and_what_is_beside_it_becomes_one_each() {
    let world = World::new();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "moved", "main"]);
    commit_files(&world, &["theirs"]);
    let theirs = world.sha("moved");
    git(&world.work, &["push", "-q", "origin", "moved"]);
    git(&world.work, &["checkout", "-q", "-b", "story", base.as_str()]);
    commit_files(&world, &["one", "two"]);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "bring main in", "moved"]);
    commit_files(&world, &["three", "four"]);

    let imported = squashed(&world, Some("Do it"));
    let tip = imported.tip.as_str();
    assert_eq!(subjects(&world, tip), "three\nbring main in\nDo it");
    assert_eq!(git(&world.quarantine(), &["merge-base", "--is-ancestor", theirs.as_str(), tip]), "");
    assert_eq!(field(&world, tip, "%T"), git(&world.work, &["log", "-1", "--format=%T", "story"]));

    // Where a branch of the agent's own brought it in, all commits stay.
    git(&world.work, &["checkout", "-q", "-b", "side", base.as_str()]);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "side brings", "moved"]);
    git(&world.work, &["checkout", "-q", "-B", "story", base.as_str()]);
    commit_files(&world, &["five"]);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    let imported = squashed(&world, Some("Do it"));
    assert_eq!(subjects(&world, imported.tip.as_str()), "merge side\nfive");
    assert_eq!(imported.commit_count, 4, "side brings and theirs are there too");
}

#[test]
fn without_an_author_only_what_closes_issues_is_written_anew() {
    let world = World::new();
    let (mirror, base) = (world.mirror(), world.sha("main"));
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    commit_files(&world, &["one", "two fixes #3"]);
    let old = git(&world.work, &["rev-parse", "story~1"]);
    let mut imported = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap();
    rewrite_commits(&mut imported, &Authorship::default()).unwrap();
    let tip = imported.tip.as_str();
    assert_eq!((field(&world, tip, "%P"), field(&world, tip, "%s")), (old, "two refs #3".to_owned()));
    assert_eq!(field(&world, tip, "%an"), git(&world.work, &["log", "-1", "--format=%an", "story"]));
}

#[test]
fn commits_are_signed_as_git_itself_verifies_them_and_the_same_way_every_time() {
    let world = World::new();
    let (mirror, base) = (world.mirror(), world.sha("main"));
    let key_file = world.dir.path().join("key");
    let key = |kind: &str, phrase: &str| {
        let _ = std::fs::remove_file(&key_file);
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", phrase, "-C", "hob", "-f"])
            .arg(&key_file)
            .status();
        assert!(made.unwrap().success());
        SigningKey::parse(&std::fs::read_to_string(&key_file).unwrap())
    };
    for (kind, phrase, wrong) in
        [("rsa", "", "ssh-rsa"), ("ecdsa", "", "not an Ed25519 key"), ("ed25519", "secret", "passphrase")]
    {
        assert!(key(kind, phrase).unwrap_err().to_string().contains(wrong), "{kind}");
    }
    let key = key("ed25519", "").unwrap();
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    commit_files(&world, &["one", "two"]);
    let bundle = world.bundle("story", &base);
    let mut tips = Vec::new();
    for _ in 0..2 {
        let mut imported = world.import(&mirror, &base, &bundle).unwrap();
        rewrite_commits(&mut imported, &authorship()).unwrap();
        tips.push(sign(&mirror, imported.quarantine(), &imported.tip, &key).unwrap());
        assert_eq!(
            field(&world, tips[0].as_str(), "%T %an %B"),
            field(&world, imported.tip.as_str(), "%T %an %B")
        );
    }
    assert_eq!(tips[0], tips[1]);
    let public = std::fs::read_to_string(key_file.with_extension("pub")).unwrap();
    let allowed = world.dir.path().join("allowed");
    std::fs::write(&allowed, format!("spirit@example.com {public}")).unwrap();
    let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    for commit in [format!("{}~1", tips[0]), tips[0].to_string()] {
        git(&world.quarantine(), &["-c", &allowed, "verify-commit", &commit]);
    }
    git(&world.quarantine(), &["fsck", "--strict", tips[0].as_str()]);
}

#[test]
fn nobody_vouches_for_a_commit_but_its_author_and_whom_hob_names() {
    let world = World::new();
    let (mirror, base) = (world.mirror(), world.sha("main"));
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    let forged = "Reviewed\n\nSigned-off-by: Linus <torvalds@example.com>\nsigned-off-by : Mallory <m@x>\n  and on\n\
                  Co-authored-by: Bob <2+bob@users.noreply.github.com>\nCO-AUTHORED-BY: alice <1+alice@users.noreply.github.com>\n\
                  Hob-Story: https://e.example/9\nHob-Anything: x\nReviewed-by: Bob <b@x>\nOn-behalf-of: @acme <x@acme.example>\n\
                  Fixes-up: the parser\n";
    // Signed off by anyone who the agent has called itself: Ada.
    for message in [
        "one\n\nSigned-off-by: Ada <ADA@example.com>",
        forged,
        "two\n\nSigned-off-by: Spirit <spirit@example.com>",
    ] {
        world.write("a.txt", message);
        world.commit_all(message);
    }
    let bundle = world.bundle("story", &base);
    let messages = |authorship: &Authorship| {
        let mut imported = world.import(&mirror, &base, &bundle).unwrap();
        rewrite_commits(&mut imported, authorship).unwrap();
        git(
            &world.quarantine(),
            &["log", "--reverse", "--format=%B%x00", &format!("{base}..{}", imported.tip)],
        )
    };
    let signed = spirit().sign_off();
    let clean = messages(&authorship());
    assert_eq!(
        clean.split('\0').map(str::trim).collect::<Vec<_>>(),
        [
            format!("one\n\n{signed}\n{ALICE}"),
            "Reviewed\n\nCO-AUTHORED-BY: alice <1+alice@users.noreply.github.com>\nFixes-up: the parser"
                .to_owned(),
            format!("two\n\n{signed}\n{ALICE}"),
            String::new(),
        ]
    );
    let all = Authorship { trailers: vec![ALICE.to_owned(), signed.clone()], ..authorship() };
    assert_eq!(messages(&all).matches(&signed).count(), 3);
    let one = Authorship { squash: Some(Squash { title: None }), ..authorship() };
    let told = messages(&one);
    let people = format!("\n\n{signed}\nCO-AUTHORED-BY: alice <1+alice@users.noreply.github.com>");
    assert!(told.starts_with("one\n\n* one\n* Reviewed\n* two") && told.contains(&people), "{told}");
    // Where authors stay as they are, each may sign off for themselves.
    let left = messages(&Authorship { signer: Some(spirit()), ..Authorship::default() });
    assert!(left.contains("Signed-off-by: Ada <ADA@example.com>") && left.contains(&signed), "{left}");
    assert!(
        !left.contains("Linus")
            && !left.contains("Mallory")
            && !left.contains("and on")
            && !left.contains("alice"),
        "{left}"
    );
}
