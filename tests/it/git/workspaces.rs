//! Workspaces, looked at with the git program as an agent would.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::world::*;
use hob::git::{Mirror, NewWorkspace, Workspace, create_workspace};
use hob::ids::Sha;

/// A user and group that exist nowhere.
const OWNER: (u32, u32) = (54321, 54322);

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
    assert_eq!(create_workspace(mirror, &new).unwrap(), Workspace::Created);
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
fn a_workspace_is_given_away_whole_and_its_index_still_fits() {
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
    // A link is given away itself, not what it points at.
    assert_eq!(path.join("link").symlink_metadata().unwrap().uid(), OWNER.0);
    // `diff-files` believes the index: it lists every file whose stamp differs.
    let safe = format!("safe.directory={}", path.display());
    assert_eq!(git(&path, &["-c", &safe, "diff-files"]), "");
    assert_eq!(git(&path, &["-c", &safe, "status", "--porcelain"]), "");
}

#[test]
fn a_workspace_that_is_there_is_left_alone_and_a_draft_is_not() {
    let world = World::new();
    let mirror = world.mirror();
    let path = world.dir.path().join("workspace");
    let start = world.sha("main");
    let new = NewWorkspace {
        path: &path,
        branch: "story",
        start: &start,
        base_branch: "main",
        origin: "https://example.com/acme/tool.git",
        owner: None,
    };
    let draft = world.dir.path().join("workspace.new");
    std::fs::create_dir_all(draft.join(".git")).unwrap();
    assert_eq!(create_workspace(&mirror, &new).unwrap(), Workspace::Created);
    assert!(!draft.exists());
    std::fs::remove_dir_all(path.join(".git")).unwrap();
    assert_eq!(create_workspace(&mirror, &new).unwrap(), Workspace::Found);
    assert!(!path.join(".git").exists());
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
        assert!(create_workspace(&mirror, &NewWorkspace { branch, ..good }).is_err(), "{branch}");
    }
    let origin = "https://x-access-token:secret@example.com/acme/tool.git";
    assert!(create_workspace(&mirror, &NewWorkspace { origin, ..good }).is_err());
    let missing = "0123456789012345678901234567890123456789".parse().unwrap();
    assert!(create_workspace(&mirror, &NewWorkspace { start: &missing, ..good }).is_err());
    assert!(create_workspace(&mirror, &NewWorkspace { base_branch: "nowhere", ..good }).is_err());
    assert!(!path.exists());
}
