//! The push: by path, over HTTP, and against a host that says no.

use std::os::unix::fs::PermissionsExt;

use super::world::*;
use hob::git::{Push, PushError, Pushed, Remote, push};
use hob::ids::Sha;

fn to<'a>(remote: &'a Remote, quarantine: &'a std::path::Path, tip: &'a Sha) -> Push<'a> {
    Push { quarantine, remote, branch: "hob/issue-1", tip, expected: None, replaces: false }
}

/// Some megabytes, also when packed.
fn incompressible() -> String {
    (0..400_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect()
}

#[test]
fn a_push_creates_the_branch_then_finds_it_then_moves_it() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = world.mirror();
    let (base, imported) = world.handed_over(&mirror);
    let remote = server.remote("/origin.git", TOKEN);
    let first = imported.tip.clone();
    let request = to(&remote, imported.quarantine(), &first);
    assert_eq!(push(&request).unwrap(), Pushed::Done);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(world.origin_branch("hob/issue-1"), Some(first.clone()));
    git(&world.origin, &["fsck", "--strict", "--connectivity-only"]);
    assert_eq!(push(&request).unwrap(), Pushed::AlreadyThere);
    assert_eq!(server.requests().len(), 1);

    // The next task of the story, on top, and so large that the host is asked first whether it may
    // come.
    mirror.fetch(&remote).unwrap();
    server.requests();
    world.write("large.txt", &incompressible());
    let second = world.commit_all("fourth");
    let imported = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap();
    assert_eq!(imported.tip, second);
    let request = Push { expected: Some(&first), ..to(&remote, imported.quarantine(), &second) };
    assert_eq!(push(&request).unwrap(), Pushed::Done);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(world.origin_branch("hob/issue-1"), Some(second));
    for folder in [world.quarantine(), mirror.objects().parent().unwrap().to_owned()] {
        assert!(!holds(&folder, TOKEN), "the token was stored in {}", folder.display());
        assert!(!holds(&folder, &server.address), "the address was stored in {}", folder.display());
    }
}

#[test]
fn a_branch_somebody_else_moved_is_not_touched() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = world.mirror();
    let (base, imported) = world.handed_over(&mirror);
    let remote = server.remote("/origin.git", TOKEN);
    git(&world.origin, &["branch", "hob/issue-1", base.as_str()]);

    let request = to(&remote, imported.quarantine(), &imported.tip);
    let error = push(&request).unwrap_err();
    assert!(matches!(&error, PushError::Moved { found: Some(found) } if *found == base), "{error}");
    git(&world.origin, &["branch", "-D", "hob/issue-1"]);
    let error = push(&Push { expected: Some(&base), ..request }).unwrap_err();
    assert!(matches!(&error, PushError::Moved { found: None }), "{error}");
    assert_eq!(world.origin_branch("hob/issue-1"), None);
}

#[test]
fn a_push_is_never_forced() {
    let world = World::new();
    let mirror = world.mirror();
    let (base, imported) = world.handed_over(&mirror);
    // A commit the quarantine knows nothing of, and one it knows that is no ancestor.
    git(&world.work, &["checkout", "-q", "-B", "side", "main"]);
    let side = world.commit("side");
    git(&world.work, &["push", "-q", "origin", "side:hob/issue-1"]);
    let remote = world.by_path();
    let request = Push { expected: Some(&side), ..to(&remote, imported.quarantine(), &imported.tip) };
    for _ in 0..2 {
        let error = push(&request).unwrap_err();
        assert!(matches!(&error, PushError::Refused(text) if text.contains("does not build on")), "{error}");
        assert_eq!(world.origin_branch("hob/issue-1"), Some(side.clone()));
        mirror.fetch(&remote).unwrap();
    }
    git(&world.origin, &["update-ref", "refs/heads/hob/issue-1", base.as_str()]);
    let request = Push { expected: Some(&base), ..request };
    assert_eq!(push(&request).unwrap(), Pushed::Done);
    assert_eq!(world.origin_branch("hob/issue-1"), Some(imported.tip.clone()));
}

fn hook(world: &World, name: &str, script: &str) {
    let path = world.origin.join("hooks").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_the_host_says_when_it_refuses_is_passed_on() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = world.mirror();
    let (_, imported) = world.handed_over(&mirror);
    let remote = server.remote("/origin.git", TOKEN);
    let request = to(&remote, imported.quarantine(), &imported.tip);
    let said = format!("printf 'error: GH006: Protected branch\\033[0m {TOKEN}\\n' >&2; exit 1");
    hook(&world, "pre-receive", &said);
    let Err(PushError::Refused(text)) = push(&request) else { panic!("not refused") };
    assert_eq!(text, "error: GH006: Protected branch[0m ***\npre-receive hook declined");
    assert_eq!(world.origin_branch("hob/issue-1"), None);

    // A host that talks without end.
    hook(&world, "pre-receive", "yes 'no' | head -c 200000 >&2; exit 1");
    let Err(PushError::Refused(text)) = push(&request) else { panic!("not refused") };
    assert!(text.len() <= 2000, "{}", text.len());

    // The branch moves while the host is at it: that is the reason then.
    let other = world.sha("main");
    hook(&world, "pre-receive", "exit 0");
    hook(&world, "update", &format!("env -i PATH=\"$PATH\" git update-ref refs/heads/hob/issue-1 {other}"));
    let error = push(&request).unwrap_err();
    assert!(matches!(&error, PushError::Moved { found: Some(found) } if *found == other), "{error}");
}

#[test]
fn a_token_that_may_not_write_is_told_from_a_refusal() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = world.mirror();
    let (_, imported) = world.handed_over(&mirror);
    let wrong = server.remote("/origin.git", "ghs_wrong");
    let error = push(&to(&wrong, imported.quarantine(), &imported.tip)).unwrap_err();
    assert!(matches!(error, PushError::Unauthorized(_)), "{error}");
    assert_eq!(server.requests().len(), 1);
    let read_only = server.remote("/readonly/origin.git", TOKEN);
    let error = push(&to(&read_only, imported.quarantine(), &imported.tip)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the git host rejects the credentials: 403 Forbidden archived; you sent Basic ***"
    );
    world.write("large.txt", &incompressible());
    let large = world.commit_all("large");
    let base = world.sha("main");
    let imported_large = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap();
    let error = push(&to(&read_only, imported_large.quarantine(), &large)).unwrap_err();
    assert!(matches!(error, PushError::Unauthorized(_)), "{error}");
    let imported = imported_large;
    let down = server.remote("/down/origin.git", TOKEN);
    let error = push(&to(&down, imported.quarantine(), &imported.tip)).unwrap_err();
    assert!(matches!(error, PushError::Unreachable(_)), "{error}");

    let good = server.remote("/origin.git", TOKEN);
    let other = world.sha("main");
    let error = push(&to(&good, imported.quarantine(), &other)).unwrap_err();
    assert!(matches!(error, PushError::Other(_)), "only what was imported is pushed: {error}");
}
