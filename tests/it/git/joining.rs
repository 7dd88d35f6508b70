//! Two sides brought together: merges, rebases, the one forced push, and what a hand-over that
//! merges its base is held to.

use super::world::*;
use hob::git::{
    ImportLimits, ImportTarget, Join, Joined, Mirror, Push, PushError, empty_quarantine, import, merge, push,
    rebase,
};
use hob::ids::Sha;

fn join<'a>(world: &World, ours: &'a Sha, theirs: &'a Sha, quarantine: &'a std::path::Path) -> Join<'a> {
    empty_quarantine(&world.mirror(), quarantine).unwrap();
    Join {
        quarantine,
        ours,
        theirs,
        after: None,
        message: "Merge it",
        by: ("hob", "hob@example.com"),
        at: 1_700_000_000,
    }
}

/// `main` and `story` both with commits of their own, pushed.
fn two_sides(world: &World) -> (Sha, Sha) {
    git(&world.work, &["checkout", "-q", "-B", "story", "main"]);
    world.write("ours.md", "ours\n");
    let ours = world.commit_all("ours\n\nwith a body\n\nSigned-off-by: Ada <ada@example.com>");
    git(&world.work, &["checkout", "-q", "main"]);
    world.write("theirs.md", "theirs\n");
    world.commit_all("theirs");
    world.write("theirs.md", "theirs again\n");
    let theirs = world.commit_all("theirs again");
    git(&world.work, &["push", "-q", "--force", "origin", "main", "story"]);
    (ours, theirs)
}

fn tip(joined: Joined) -> (Sha, usize) {
    match joined {
        Joined::Done { tip, commits } => (tip, commits),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_sides_are_merged_as_git_would() {
    let world = World::new();
    let (ours, theirs) = two_sides(&world);
    let quarantine = world.quarantine();
    let (merged, commits) = tip(merge(&join(&world, &ours, &theirs, &quarantine)).unwrap());
    assert_eq!(commits, 2);
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-edit", "main"]);
    let shown = |what: &str| git(&quarantine, &["show", "-s", &format!("--format={what}"), merged.as_str()]);
    assert_eq!(shown("%T"), git(&world.work, &["rev-parse", "HEAD^{tree}"]));
    assert_eq!(shown("%P"), format!("{ours} {theirs}"));
    assert_eq!(shown("%an <%ae> %at %cn %s"), "hob <hob@example.com> 1700000000 hob Merge it");
    let again = |a: &Sha, b: &Sha| merge(&join(&world, a, b, &quarantine)).unwrap();
    assert_eq!(again(&theirs, &theirs), Joined::UpToDate);
    assert_eq!(again(&theirs, &world.sha("main~2")), Joined::UpToDate);
    assert_eq!(again(&world.sha("main~2"), &theirs), Joined::Contained);

    git(&world.work, &["checkout", "-q", "--orphan", "other"]);
    let other = world.commit_all("unrelated");
    git(&world.work, &["push", "-q", "origin", "other"]);
    assert_eq!(again(&ours, &other), Joined::Unrelated);
}

#[test]
fn what_the_repository_wants_merged_otherwise_is_left_to_git() {
    let world = World::new();
    git(&world.work, &["checkout", "-q", "main"]);
    world.write(".gitattributes", "*.md merge=union\n*.lock -merge\nplain.md merge=text\n");
    std::fs::create_dir_all(world.work.join("deep")).unwrap();
    world.write("deep/.gitattributes", "*.gen merge=ours-always\n");
    for file in ["log.md", "a.lock", "plain.md", "deep/a.gen", "a.gen"] {
        world.write(file, "one\ntwo\nthree\nfour\nfive\n");
    }
    world.commit_all("begin");
    let sides = |files: &[&str]| {
        git(&world.work, &["checkout", "-q", "-B", "story", "main"]);
        files.iter().for_each(|file| world.write(file, "ONE\ntwo\nthree\nfour\nfive\n"));
        let ours = world.commit_all("ours");
        git(&world.work, &["checkout", "-q", "-B", "other", "main"]);
        files.iter().for_each(|file| world.write(file, "one\ntwo\nthree\nfour\nFIVE\n"));
        let theirs = world.commit_all("theirs");
        git(&world.work, &["push", "-q", "--force", "origin", "main", "story", "other"]);
        (ours, theirs)
    };
    let quarantine = world.quarantine();
    for (files, named) in [
        (&["log.md"][..], &["log.md"][..]),
        (&["a.lock", "plain.md"], &["a.lock"]),
        (&["deep/a.gen", "a.gen"], &["deep/a.gen"]),
    ] {
        let (ours, theirs) = sides(files);
        let named = Joined::Conflicts(named.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(merge(&join(&world, &ours, &theirs, &quarantine)).unwrap(), named);
        assert_eq!(rebase(&join(&world, &ours, &theirs, &quarantine)).unwrap(), named);
    }
    let (ours, theirs) = sides(&["plain.md", "a.gen"]);
    assert_eq!(tip(merge(&join(&world, &ours, &theirs, &quarantine)).unwrap()).1, 1);
}

#[test]
fn what_conflicts_is_named_and_nothing_is_made() {
    let world = World::new();
    let (_, theirs) = two_sides(&world);
    git(&world.work, &["checkout", "-q", "story"]);
    world.write("theirs.md", "mine\n");
    std::fs::remove_file(world.work.join("README.md")).unwrap();
    let ours = world.commit_all("conflict");
    git(&world.work, &["checkout", "-q", "main"]);
    world.write("README.md", "changed\n");
    let changed = world.commit_all("change what ours removes");
    git(&world.work, &["push", "-q", "origin", "main", "story"]);
    let quarantine = world.quarantine();
    let files = |paths: &[&str]| Joined::Conflicts(paths.iter().map(|path| (*path).to_owned()).collect());
    let (one, both) = (files(&["theirs.md"]), files(&["README.md", "theirs.md"]));
    assert_eq!(merge(&join(&world, &ours, &theirs, &quarantine)).unwrap(), one);
    assert_eq!(merge(&join(&world, &ours, &changed, &quarantine)).unwrap(), both);
    assert_eq!(rebase(&join(&world, &ours, &changed, &quarantine)).unwrap(), both);
}

#[test]
fn a_rebase_keeps_authors_and_messages_drops_merges_and_what_is_there_and_is_pushed_only_with_a_lease() {
    let world = World::new();
    let (_, theirs) = two_sides(&world);
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-edit", "main~1"]);
    git(&world.work, &["cherry-pick", "main"]);
    world.write("more.md", "more\n");
    let ours = world.commit_all("more");
    git(&world.work, &["push", "-q", "origin", "story"]);
    let quarantine = world.quarantine();
    let (rebased, commits) = tip(rebase(&join(&world, &ours, &theirs, &quarantine)).unwrap());
    assert_eq!(commits, 2);
    let log = git(&quarantine, &["log", "--format=%an %cn %s", &format!("{theirs}..{rebased}")]);
    assert_eq!(log, "Ada hob more\nAda hob ours");
    let body = git(&quarantine, &["log", "-1", "--format=%B", &format!("{rebased}~1")]);
    assert_eq!(body, "ours\n\nwith a body\n\nSigned-off-by: Ada <ada@example.com>");
    let tree = git(&quarantine, &["rev-parse", &format!("{rebased}^{{tree}}")]);
    git(&world.work, &["rebase", "-q", "main"]);
    assert_eq!(tree, git(&world.work, &["rev-parse", "HEAD^{tree}"]));

    let remote = world.by_path();
    let request = Push {
        quarantine: &quarantine,
        remote: &remote,
        branch: "story",
        tip: &rebased,
        expected: Some(&ours),
        replaces: true,
    };
    assert!(
        matches!(push(&Push { replaces: false, ..request }), Err(PushError::Refused(_))),
        "never without"
    );
    let elsewhere = Push { expected: Some(&theirs), ..request };
    assert!(matches!(push(&elsewhere), Err(PushError::Moved { found: Some(found) }) if found == ours));
    assert!(matches!(push(&Push { expected: None, ..request }), Err(PushError::Moved { .. })));
    push(&request).unwrap();
    assert_eq!(world.origin_branch("story"), Some(rebased.clone()));
    assert_eq!(rebase(&join(&world, &rebased, &theirs, &quarantine)).unwrap(), Joined::UpToDate);
    assert_eq!(world.origin_branch("main"), Some(theirs));
}

#[test]
fn what_a_hand_over_merges_of_its_base_branch_is_not_of_its_making() {
    let world = World::new();
    let (ours, theirs) = two_sides(&world);
    git(&world.work, &["checkout", "-q", "main"]);
    world.write(".github/workflows/ci.yml", "on: push\n");
    std::fs::remove_file(world.work.join("link")).unwrap();
    let newest = world.commit_all("guard");
    git(&world.work, &["push", "-q", "origin", "main"]);
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-edit", &theirs.to_string()]);
    git(&world.work, &["merge", "-q", "--no-edit", "main"]);
    world.write("theirs.md", "changed by the agent\n");
    world.write(".github/workflows/ci.yml", "on: push\n");
    let tip = world.commit_all("on top");
    let mirror = world.mirror();
    let bundle = bundle(&world.work, &["story", &format!("^{ours}"), &format!("^{newest}")]);
    let taken = |base_branch: Option<&Sha>| {
        let limits = ImportLimits::default();
        let hand_over = ImportTarget { quarantine: &world.quarantine(), base: &ours, base_branch, limits };
        import(&mirror, &hand_over, &mut &bundle[..]).unwrap()
    };
    let imported = taken(Some(&newest));
    assert_eq!((&imported.tip, imported.commit_count, imported.merged_in), (&tip, 3, 3));
    let paths: Vec<&str> = imported.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["theirs.md"], "main's own changes are not the agent's");

    // From any other branch they would be.
    let other = world.sha("main~3");
    let counted = taken(Some(&other)).changes.len();
    assert_eq!((counted, taken(None).changes.len()), (3, 3));

    // An older state of a protected file is a change, though main once had it.
    world.write(".github/workflows/ci.yml", "on: pull_request\n");
    git(&world.work, &["checkout", "-q", "main"]);
    world.write(".github/workflows/ci.yml", "on: pull_request\n");
    let later = world.commit_all("guard better");
    git(&world.work, &["push", "-q", "origin", "main"]);
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "--no-edit", "main"]);
    git(&world.work, &["checkout", "-q", newest.as_str(), "--", ".github"]);
    world.commit_all("put back");
    let mirror: Mirror = world.mirror();
    let put_back = super::world::bundle(&world.work, &["story", &format!("^{ours}")]);
    let hand_over = ImportTarget {
        quarantine: &world.quarantine(),
        base: &ours,
        base_branch: Some(&later),
        limits: ImportLimits::default(),
    };
    let imported = import(&mirror, &hand_over, &mut &put_back[..]).unwrap();
    assert!(imported.changes.iter().any(|change| change.path == ".github/workflows/ci.yml"));
}
