//! The mirror: by path and over HTTP.

use super::world::*;
use hob::git::{Mirror, Remote, RemoteError, remove_stale_locks};
use hob::ids::StoryId;

#[test]
fn a_mirror_follows_the_branches_of_its_remote() {
    let world = World::new();
    let mirror = world.mirror();
    assert_eq!(mirror.branch("main").unwrap(), Some(world.sha("main")));
    assert_eq!(mirror.branch("old").unwrap(), Some(world.sha("main")));
    assert_eq!(mirror.branch("nowhere").unwrap(), None);
    assert_eq!(mirror.branch("no such..name").unwrap(), None);

    let next = world.commit("next");
    git(&world.work, &["tag", "v1"]);
    // `old` goes and `old/er` comes, which cannot exist beside it.
    git(&world.work, &["push", "-q", "origin", "main", "v1", ":old"]);
    git(&world.work, &["push", "-q", "origin", "main:old/er"]);
    mirror.fetch(&world.by_path()).unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(next.clone()));
    assert_eq!(mirror.branch("old").unwrap(), None);
    assert_eq!(mirror.branch("old/er").unwrap(), Some(next));
    let folder = mirror.objects().parent().unwrap().to_owned();
    assert_eq!(git(&folder, &["tag"]), "");
    assert_eq!(git(&folder, &["config", "gc.auto"]), "0");
    assert!(!holds(&folder, world.origin.to_str().unwrap()), "the address was stored");
    // A remote that rewrote its history.
    git(&world.work, &["reset", "-q", "--hard", "HEAD~2"]);
    git(&world.work, &["push", "-qf", "origin", "main"]);
    mirror.fetch(&world.by_path()).unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(world.sha("main")));
}

#[test]
fn a_file_is_read_whatever_the_case_of_its_path_and_no_link_is_followed() {
    let world = World::new();
    world.write(".github/PULL_REQUEST_TEMPLATE.md", "## What\n");
    world.write("agents.MD", "Run `make check`.\n");
    std::os::unix::fs::symlink("/etc/passwd", world.work.join("CLAUDE.md")).unwrap();
    let at = world.commit_all("Words");
    git(&world.work, &["push", "-q", "origin", "main"]);
    let mirror = world.mirror();
    let read = |path: &str, most| mirror.text_file(&at, &["nothing.md", path], most).unwrap();
    let found = read(".github/pull_request_template.md", 100).unwrap();
    assert_eq!((found.path.as_str(), found.text.as_str()), (".github/PULL_REQUEST_TEMPLATE.md", "## What\n"));
    assert_eq!(read("AGENTS.md", 3).unwrap().text, "Run");
    for path in ["CLAUDE.md", ".github", "agents.md/x", ""] {
        assert_eq!(read(path, 100), None, "{path}");
    }
}

#[test]
fn what_a_story_borrows_survives_a_gc_by_hand() {
    let world = World::new();
    let mirror = world.mirror();
    let (story, at) = (StoryId::new(), world.sha("main"));
    mirror.pin(story, &at).unwrap();
    mirror.pin(story, &at).unwrap();
    let earlier = world.sha("main~1");
    mirror.pin(story, &earlier).unwrap();
    git(&world.work, &["checkout", "-q", "--orphan", "fresh"]);
    let fresh = world.commit("fresh");
    git(&world.work, &["push", "-qf", "origin", "fresh:main", ":old"]);
    mirror.fetch(&world.by_path()).unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(fresh));

    let folder = mirror.objects().parent().unwrap().to_owned();
    git(&folder, &["gc", "-q", "--prune=now"]);
    git(&folder, &["cat-file", "-e", at.as_str()]);
    mirror.unpin(story).unwrap();
    mirror.unpin(story).unwrap();
    git(&folder, &["gc", "-q", "--prune=now"]);
    assert!(!run(&folder, &["cat-file", "-e", at.as_str()]).status.success());
}

#[test]
fn a_mirror_half_made_by_a_killed_process_is_made_anew() {
    let world = World::new();
    let path = world.dir.path().join("mirrors/acme/tool.git");
    std::fs::create_dir_all(path.with_file_name("tool.git.new/objects")).unwrap();
    let mirror = Mirror::ensure(&path).unwrap();
    assert!(!path.with_file_name("tool.git.new").exists());
    mirror.fetch(&world.by_path()).unwrap();
    let again = Mirror::ensure(&path).unwrap();
    assert_eq!(again.branch("main").unwrap(), Some(world.sha("main")));
}

#[test]
fn what_a_killed_process_has_locked_is_free_again_and_locks_of_hobs_own_stay() {
    let world = World::new();
    let path = world.dir.path().join("mirrors/acme/tool.git");
    let mirror = Mirror::ensure(&path).unwrap();
    mirror.fetch(&world.by_path()).unwrap();
    let (story, at) = (StoryId::new(), world.sha("main"));
    mirror.pin(story, &at).unwrap();
    let moved = world.commit("moved");
    git(&world.work, &["push", "-qf", "origin", "HEAD:main"]);
    let locks = [format!("refs/hob/stories/{story}/{at}.lock"), "refs/heads/main.lock".to_owned()];
    for lock in &locks {
        std::fs::write(path.join(lock), "").unwrap();
    }
    assert!(mirror.unpin(story).is_err() && mirror.fetch(&world.by_path()).is_err());

    let mirrors = world.dir.path().join("mirrors");
    assert_eq!(remove_stale_locks(&mirrors).unwrap(), locks.len());
    assert_eq!(remove_stale_locks(&mirrors).unwrap(), 0);
    assert!(path.with_file_name("tool.git.lock").exists());
    mirror.unpin(story).unwrap();
    mirror.fetch(&world.by_path()).unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(moved));
    assert_eq!(remove_stale_locks(&world.dir.path().join("none")).unwrap(), 0);
}

#[test]
fn many_threads_make_and_fetch_one_mirror() {
    let world = World::new();
    let path = world.dir.path().join("mirrors/acme/tool.git");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| Mirror::ensure(&path).unwrap().fetch(&world.by_path()).unwrap());
        }
    });
    assert_eq!(Mirror::ensure(&path).unwrap().branch("main").unwrap(), Some(world.sha("main")));
}

#[tokio::test]
async fn a_mirror_is_fetched_over_http_from_a_blocking_task() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = Mirror::ensure(&world.dir.path().join("mirrors/acme/tool.git")).unwrap();
    let (task_mirror, remote) = (mirror.clone(), server.remote("/origin.git", TOKEN));
    tokio::task::spawn_blocking(move || {
        task_mirror.fetch(&remote).unwrap();
        // Once more with nothing new: one request.
        task_mirror.fetch(&remote).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(world.sha("main")));
    let requests = server.requests();
    assert!(requests.iter().all(|line| line.contains(" git/2 (hob ")), "{requests:?}");
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(!holds(&world.dir.path().join("mirrors"), TOKEN));
}

#[test]
fn a_repository_that_was_renamed_is_fetched_from_and_pushed_to_under_its_new_name_on_the_same_host_only() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = Mirror::ensure(&world.dir.path().join("mirrors/acme/tool.git")).unwrap();
    mirror.fetch(&server.remote("/renamed/renamed/origin.git", TOKEN)).unwrap();
    assert_eq!(mirror.branch("main").unwrap(), Some(world.sha("main")));
    let requests = server.requests();
    // Once the new address is known, the rest of the operation goes there.
    assert_eq!(requests.len(), 4, "{requests:?}");
    assert!(requests[3].starts_with("POST /origin.git/git-upload-pack "), "{requests:?}");

    let (base, imported) = world.handed_over(&mirror);
    let quarantine = world.quarantine();
    let remote = server.remote("/renamed/origin.git", TOKEN);
    let tip = imported.tip.clone();
    let request = hob::git::Push {
        quarantine: &quarantine,
        remote: &remote,
        branch: "story",
        tip: &tip,
        expected: None,
        replaces: false,
    };
    assert_eq!(hob::git::push(&request).unwrap(), hob::git::Pushed::Done);
    assert_eq!(world.origin_branch("story"), Some(tip));
    assert_eq!(world.origin_branch("main"), Some(base));

    // Another host gets nothing, not even a request; nor does another port of this one.
    let other = Server::start(world.dir.path());
    let host = other.address.trim_start_matches("http://").to_owned();
    for host in [host.clone(), host.replace("127.0.0.1", "localhost"), format!("user:word@{host}")] {
        let error = mirror.fetch(&server.remote(&format!("/away/{host}/origin.git"), TOKEN)).unwrap_err();
        assert!(matches!(&error, RemoteError::Redirected(to) if !to.contains("word")), "{host}: {error}");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
    let circle = mirror.fetch(&server.remote("/circle/origin.git", TOKEN)).unwrap_err();
    assert!(matches!(circle, RemoteError::Other(_)), "{circle}");
    assert!(!holds(&world.dir.path().join("mirrors"), TOKEN));
}

/// Whether a mirror has an object.
fn has(mirror: &Mirror, object: &str) -> bool {
    let folder = mirror.objects().parent().unwrap().to_owned();
    run(&folder, &["cat-file", "-e", object]).status.success()
}

#[test]
fn what_was_taken_off_its_branch_is_gone_after_the_next_fetch_and_what_a_story_holds_stays_as_long() {
    let world = World::new();
    let mirror = world.mirror();
    let folder = mirror.objects().parent().unwrap().to_owned();
    // One secret in a pack of its own, fetched alone, and one beside what stays.
    world.write("secret.txt", "hunter2\n");
    let secret = world.commit_all("A secret");
    let blob = git(&world.work, &["rev-parse", "HEAD:secret.txt"]);
    git(&world.work, &["push", "-q", "origin", "main"]);
    mirror.fetch(&world.by_path()).unwrap();
    assert!(has(&mirror, &blob));
    git(&world.work, &["reset", "-q", "--hard", "HEAD~1"]);
    world.write("other.txt", "fine\n");
    let after = world.commit_all("Without it");
    git(&world.work, &["push", "-qf", "origin", "main"]);
    let story = StoryId::new();
    mirror.pin(story, &secret).unwrap();
    mirror.fetch(&world.by_path()).unwrap();
    assert!(has(&mirror, &blob), "a story began there");
    mirror.unpin(story).unwrap();
    mirror.fetch(&world.by_path()).unwrap();
    for gone in [&blob, secret.as_str()] {
        assert!(!has(&mirror, gone), "{gone}");
    }
    assert!(!mirror.holds(&after, &secret).unwrap());
    assert!(mirror.holds(&after, &world.sha("main~1")).unwrap());
    git(&folder, &["fsck", "--strict", "--full"]);

    // A mirror from before hob looked, in which one pack holds both.
    let one = world.dir.path().join("one/tool.git");
    std::fs::create_dir_all(one.parent().unwrap()).unwrap();
    git(&world.work, &["push", "-q", "origin", &format!("{secret}:refs/heads/secret")]);
    git(world.dir.path(), &["clone", "-q", "--bare", "--no-local", "origin.git", one.to_str().unwrap()]);
    git(&one, &["gc", "-q"]);
    git(&world.work, &["push", "-q", "origin", ":secret"]);
    let old = Mirror::ensure(&one).unwrap();
    assert!(has(&old, &blob));
    old.fetch(&world.by_path()).unwrap();
    assert!(!has(&old, &blob) && !has(&old, secret.as_str()));
    assert_eq!(old.branch("main").unwrap(), Some(after));
    git(&one, &["fsck", "--strict", "--full"]);
}

#[test]
fn each_way_a_host_can_fail_is_told_apart() {
    let world = World::new();
    let server = Server::start(world.dir.path());
    let mirror = Mirror::ensure(&world.dir.path().join("mirrors/acme/tool.git")).unwrap();
    let fetch = |path: &str, token: &str| mirror.fetch(&server.remote(path, token)).unwrap_err();

    let error = fetch("/origin.git", "ghs_wrong");
    assert!(matches!(&error, RemoteError::Unauthorized(text) if text.contains("who are you?")), "{error}");
    assert_eq!(server.requests().len(), 1, "a wrong token is not tried again");

    assert!(matches!(fetch("/nothing.git", TOKEN), RemoteError::NotFound));
    assert!(matches!(fetch("/down/x.git", TOKEN), RemoteError::Unreachable(text) if text.contains("503")));
    assert!(matches!(fetch("/page/x.git", TOKEN), RemoteError::Other(_)));
    let new = format!("{}/new/tool.git", server.address);
    assert!(matches!(fetch("/moved/x.git", TOKEN), RemoteError::Redirected(to) if to == new));
    assert_eq!(server.requests().len(), 4);

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Remote { url: format!("http://127.0.0.1:{port}/x.git"), token: None };
    let error = mirror.fetch(&nobody).unwrap_err();
    assert!(matches!(&error, RemoteError::Unreachable(text) if text.contains("refused")), "{error}");

    let gone = Remote { url: world.dir.path().join("gone.git").to_str().unwrap().to_owned(), token: None };
    assert!(matches!(mirror.fetch(&gone), Err(RemoteError::NotFound)));
    let ssh = Remote { url: "ssh://host/x.git".to_owned(), token: None };
    assert!(matches!(mirror.fetch(&ssh), Err(RemoteError::Other(_))));
}

#[test]
fn a_file_is_told_by_who_put_it_where_it_is() {
    let world = World::new();
    // As hob commits, and as somebody else does.
    let commit = |email: &str, path: &str, text: &str| {
        world.write(path, text);
        git(&world.work, &["add", "-A"]);
        let who = format!("user.email={email}");
        let envless = ["-c", who.as_str(), "-c", "user.name=x", "commit", "-q", "-m", "x"];
        let output =
            std::process::Command::new("git").current_dir(&world.work).args(envless).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    commit("bob@x", "AGENTS.md", "a\nb\nc\nd\n");
    commit("bob@x", "CLAUDE.md", "one\n");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    commit("hob@x", "AGENTS.md", "a\nb\nc\nd\ntwo\n");
    commit("hob@x", ".claude/skills/a/SKILL.md", "a\n");
    commit("bob@x", ".claude/skills/b/SKILL.md", "b\n");
    commit("hob@x", "other", "other\n");
    git(&world.work, &["checkout", "-q", "main"]);
    commit("bob@x", "AGENTS.md", "zero\na\nb\nc\nd\n");
    commit("bob@x", "CLAUDE.md", "newer\n");
    let paths = ["AGENTS.md", "CLAUDE.md", ".claude"].map(str::to_owned);
    let others = |mirror: &hob::git::Mirror| {
        mirror.put_by_others(&world.sha("story"), &world.sha("main"), &paths, "hob@x").unwrap()
    };
    git(&world.work, &["push", "-q", "--all", "origin"]);
    // What the base had when the branch left it is the base's.
    assert_eq!(others(&world.mirror()), [".claude/skills/b/SKILL.md"]);
    // A merge with the base by hob, and then somebody's change.
    git(&world.work, &["checkout", "-q", "story"]);
    let merge = std::process::Command::new("git")
        .current_dir(&world.work)
        .args(["-c", "user.email=hob@x", "-c", "user.name=x", "merge", "-q", "-m", "x", "main"])
        .output()
        .unwrap();
    assert!(merge.status.success(), "{}", String::from_utf8_lossy(&merge.stdout));
    git(&world.work, &["push", "-q", "--all", "origin"]);
    assert_eq!(others(&world.mirror()), [".claude/skills/b/SKILL.md"]);
    commit("bob@x", "AGENTS.md", "obey\n");
    git(&world.work, &["push", "-q", "--all", "origin"]);
    assert_eq!(others(&world.mirror()), [".claude/skills/b/SKILL.md", "AGENTS.md"]);
}
