//! The repositories of workspaces, checked out and looked at with the git program as in a
//! container.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::world::*;
use hob::git::{ImportError, ImportLimits, Mirror, NewWorkspace, checkout_size, lay_out};
use hob::ids::Sha;

/// A user and group that exist nowhere.
const OWNER: (u32, u32) = (54321, 54322);

/// Checked out, unless it belongs to somebody else.
fn create(world: &World, mirror: &Mirror, start: &Sha, owner: Option<(u32, u32)>) -> PathBuf {
    let path = world.dir.path().join("stories/1/workspace");
    let new = NewWorkspace {
        path: &path,
        branch: "hob/issue-1",
        start,
        base_branch: "main",
        origin: "https://example.com/acme/tool.git",
        owner,
    };
    lay_out(mirror, None, &new).unwrap();
    if owner.is_none() {
        git(&path, &["read-tree", "--reset", "-u", "HEAD"]);
    }
    path
}

fn size(path: &Path) -> u64 {
    let found = path.symlink_metadata().unwrap();
    if !found.is_dir() {
        return found.len();
    }
    std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
}

#[test]
fn a_workspace_is_a_clean_checkout_that_borrows_its_objects() {
    let world = World::new();
    let mirror = world.mirror();
    let start = world.sha("main~1");
    let path = create(&world, &mirror, &start, None);

    assert_eq!(git(&path, &["status", "--porcelain"]), "");
    assert_eq!(git(&path, &["branch", "--show-current"]), "hob/issue-1");
    assert_eq!(git(&path, &["rev-parse", "HEAD"]), start.as_str());
    assert_eq!(git(&path, &["rev-parse", "origin/main"]), world.sha("main").as_str());
    assert_eq!(git(&path, &["symbolic-ref", "refs/remotes/origin/HEAD"]), "refs/remotes/origin/main");
    assert_eq!(git(&path, &["remote", "get-url", "origin"]), "https://example.com/acme/tool.git");
    assert_eq!(git(&path, &["log", "--format=%s", "origin/HEAD"]), "second\nfirst");
    git(&path, &["fsck", "--strict"]);

    assert_eq!(std::fs::read_to_string(path.join("README.md")).unwrap(), "hello\n");
    assert_eq!(std::fs::read_link(path.join("link")).unwrap(), Path::new("src/run.sh"));
    assert_eq!(path.join("src/run.sh").metadata().unwrap().permissions().mode() & 0o111, 0o111);
    let alternates = std::fs::read_to_string(path.join(".git/objects/info/alternates")).unwrap();
    assert_eq!(Path::new(alternates.trim_end()), mirror.objects());
    assert!(size(&path.join(".git/objects")) < 200, "objects were copied");
    assert!(size(&mirror.objects()) > 500);
}

#[test]
fn a_workspace_is_given_away_whole() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let mirror = world.mirror();
    let path = create(&world, &mirror, &world.sha("main"), Some(OWNER));
    let strangers = std::process::Command::new("find")
        .arg(&path)
        .args(["(", "!", "-uid", "54321", "-o", "!", "-gid", "54322", ")"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(strangers.stdout).unwrap(), "");
}

#[test]
fn what_a_try_before_has_left_is_made_again() {
    let world = World::new();
    let mirror = world.mirror();
    let path = world.dir.path().join("stories/1/workspace");
    std::fs::create_dir_all(path.join(".git/objects")).unwrap();
    std::fs::write(path.join("half"), "half").unwrap();
    create(&world, &mirror, &world.sha("main"), None);
    assert!(!path.join("half").exists());
    assert_eq!(git(&path, &["status", "--porcelain"]), "");
}

#[test]
fn a_checkout_counts_each_path_however_often_its_content_is_there() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    let before = checkout_size(&mirror, None, &base).unwrap();
    // README.md, link, src/run.sh, src/deep/data.txt, and three folders.
    assert_eq!(before, 7 * 4096);
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    for folder in 0..4 {
        for file in 0..5 {
            world.write(&format!("d{folder}/{file}"), &"0".repeat(1 << 20));
        }
    }
    world.commit_all("work");
    let bundle = world.bundle("story", &base);
    assert!(bundle.len() < 10_000);
    let size = before + 4 * (4096 + 5 * (1 << 20));
    let limits = |max_checkout_bytes| ImportLimits { max_checkout_bytes, ..ImportLimits::default() };
    let error = world.import_within(&mirror, &base, &bundle, limits(size - 1)).unwrap_err();
    assert!(matches!(error, ImportError::CheckoutTooLarge(_)), "{error}");
    let imported = world.import_within(&mirror, &base, &bundle, limits(size)).unwrap();
    assert_eq!(checkout_size(&mirror, Some(imported.quarantine()), &imported.tip).unwrap(), size);
}

#[test]
fn a_tree_that_nests_itself_a_million_times_over_is_measured_at_once() {
    let world = World::new();
    let mirror = world.mirror();
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    let blob = String::from_utf8(
        with_input(&world.work, &["hash-object", "-w", "--stdin"], &vec![b'0'; 1 << 20]).stdout,
    )
    .unwrap()
    .trim()
    .to_owned();
    let mut tree = String::from_utf8(
        with_input(&world.work, &["mktree"], format!("100644 blob {blob}\tf\n").as_bytes()).stdout,
    )
    .unwrap()
    .trim()
    .to_owned();
    for _ in 0..20 {
        let lines =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| format!("040000 tree {tree}\t{name}\n"));
        tree = String::from_utf8(with_input(&world.work, &["mktree"], lines.concat().as_bytes()).stdout)
            .unwrap()
            .trim()
            .to_owned();
    }
    let tip = git(&world.work, &["commit-tree", "-p", "main", "-m", "many", &tree]);
    git(&world.work, &["reset", "-q", "--soft", &tip]);
    let base = world.sha("main");
    let error = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap_err();
    assert!(matches!(error, ImportError::CheckoutTooLarge(_)), "{error}");
}

#[test]
fn names_and_addresses_that_would_do_harm_are_refused() {
    let world = World::new();
    let mirror = world.mirror();
    let path = world.dir.path().join("workspace");
    let start = world.sha("main");
    let good = NewWorkspace {
        path: &path,
        branch: "story",
        start: &start,
        base_branch: "main",
        origin: "https://example.com/acme/tool.git",
        owner: None,
    };
    for branch in ["-x", "a..b", "a b", "", "a.lock", "a/../b", "HEAD", "@{-1}"] {
        assert!(lay_out(&mirror, None, &NewWorkspace { branch, ..good }).is_err(), "{branch}");
    }
    let origin = "https://x-access-token:secret@example.com/acme/tool.git";
    assert!(lay_out(&mirror, None, &NewWorkspace { origin, ..good }).is_err());
    assert!(!path.exists());
    let missing = "0123456789012345678901234567890123456789".parse().unwrap();
    assert!(lay_out(&mirror, None, &NewWorkspace { start: &missing, ..good }).is_err());
    assert!(lay_out(&mirror, None, &NewWorkspace { base_branch: "nowhere", ..good }).is_err());
}
