//! Hand-overs: sound ones, and what a hostile container could send instead.

use super::world::*;
use hob::git::{ChangeKind, ImportError, ImportLimits, ObjectKind};

fn object(world: &World, kind: &str, bytes: &[u8]) -> String {
    let output = with_input(&world.work, &["hash-object", "-w", "--literally", "-t", kind, "--stdin"], bytes);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn tree(world: &World, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(&hex::decode(id).unwrap());
    }
    object(world, "tree", &bytes)
}

fn commit(world: &World, tree: &str, parent: &str) -> String {
    let who = "Ada <ada@example.com> 1700000000 +0000";
    let text = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nby hand\n");
    object(world, "commit", text.as_bytes())
}

/// A bundle of exactly these objects, whatever they need.
fn bundle_of_objects(world: &World, tip: &str, objects: &[&str]) -> Vec<u8> {
    let list = objects.join("\n") + "\n";
    let output = with_input(&world.work, &["pack-objects", "-q", "--stdout"], list.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bundle_of(&format!("# v2 git bundle\n{tip} refs/heads/story\n"), &output.stdout)
}

#[test]
fn a_good_bundle_is_described_whole() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("secret.env", "KEY=hunter2\n");
    world.commit_all("add\x07 a file\n\nwith a body");
    std::fs::remove_file(world.work.join("secret.env")).unwrap();
    std::fs::remove_file(world.work.join("src/run.sh")).unwrap();
    std::fs::create_dir(world.work.join("src/run.sh")).unwrap();
    world.write("src/run.sh/inner", "now a folder\n");
    world.write("README.md", "hello, hob\n");
    std::os::unix::fs::symlink("../outside", world.work.join("away")).unwrap();
    git(&world.work, &["add", "-A"]);
    git(&world.work, &["update-index", "--add", "--cacheinfo", &format!("160000,{base},sub")]);
    let tip = world.commit("the rest");
    let packs = |path: &std::path::Path| std::fs::read_dir(path.join("pack")).unwrap().count();
    let before = packs(&mirror.objects());

    let imported = world.import(&mirror, &base, &world.bundle("story", &base)).unwrap();
    assert_eq!(imported.tip, tip);
    assert_eq!(packs(&mirror.objects()), before, "the mirror was written to");
    let subjects: Vec<_> = imported.commits.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!((subjects, imported.commit_count), (vec!["add a file", "the rest"], 2));
    assert_eq!(imported.commits[1].sha, tip);
    assert_eq!(imported.commits[0].author_name, "Ada");
    assert_eq!(imported.commits[0].author_email, "ada@example.com");

    let changes: Vec<_> = imported.changes.iter().map(|c| (c.path.as_str(), c.kind, c.size)).collect();
    use ChangeKind::{Added, Deleted, Modified};
    assert_eq!(
        changes,
        [
            ("README.md", Modified, 11),
            ("away", Added, 10),
            ("src/run.sh", Deleted, 0),
            ("src/run.sh/inner", Added, 13),
            ("sub", Added, 0),
        ]
    );
    assert!(!imported.changes_truncated);
    assert_eq!(imported.changes[2].old_mode, Some(0o100755));
    assert!(imported.changes[4].is_gitlink());
    assert!(imported.changes[1].link_leaves_tree());

    let mut found = Vec::new();
    imported
        .for_each_new_blob(|object| {
            found.push((object.name.to_owned(), object.bytes.to_vec()));
            Ok(())
        })
        .unwrap();
    found.sort();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    // Also what a later commit took back.
    assert_eq!(names, ["README.md", "away", "inner", "secret.env"]);
    assert_eq!(found[3].1, b"KEY=hunter2\n");
    let mut commits = 0;
    imported
        .for_each_new_object(|object| {
            commits += usize::from(object.kind == ObjectKind::Commit);
            Ok(())
        })
        .unwrap();
    assert_eq!(commits, 2);
}

#[test]
fn merging_what_the_mirror_has_is_descending_from_the_base() {
    let world = World::new();
    let old_base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("a", "a");
    world.commit_all("ours");
    git(&world.work, &["checkout", "-q", "main"]);
    world.write("b", "b");
    let moved = world.commit_all("theirs");
    git(&world.work, &["push", "-q", "origin", "main"]);
    let mirror = world.mirror();
    git(&world.work, &["checkout", "-q", "story"]);
    git(&world.work, &["merge", "-q", "-m", "merge", "main"]);
    let bundle = bundle(&world.work, &["story", "^main"]);
    for base in [&old_base, &moved] {
        let imported = world.import(&mirror, base, &bundle).unwrap();
        let wanted = if *base == moved { vec!["a"] } else { vec!["a", "b"] };
        assert_eq!(imported.changes.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), wanted);
    }
    let limits = ImportLimits { max_changes: 1, max_commits: 1, ..ImportLimits::default() };
    let imported = world.import_within(&mirror, &old_base, &bundle, limits).unwrap();
    assert!(imported.changes_truncated);
    assert_eq!((imported.commits[0].subject.as_str(), imported.commit_count), ("merge", 3));
}

#[test]
fn bytes_that_are_no_bundle_leave_nothing_behind() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("data", &"x".repeat(5000));
    world.write("src/deep/data.txt", &("line\n".repeat(500) + "more\n"));
    world.commit_all("work");
    let good = world.bundle("story", &base);
    for length in (0..good.len()).step_by(7) {
        let error = world.import(&mirror, &base, &good[..length]).unwrap_err();
        assert!(matches!(error, ImportError::Malformed(_)), "{length}: {error}");
        assert!(!world.quarantine().exists());
    }
    for position in (0..good.len()).step_by(5) {
        let mut broken = good.clone();
        broken[position] ^= 0x10;
        // A flip may hit the reference's name, which does not matter, but nothing else.
        if let Ok(imported) = world.import(&mirror, &base, &broken) {
            assert_eq!(imported.tip, world.sha("story"), "{position}");
            assert!(position < 200, "{position}");
        }
    }
    let error = world.import(&mirror, &base, &[good.as_slice(), b"more"].concat()).unwrap_err();
    assert!(matches!(error, ImportError::Malformed(_)), "{error}");
    assert!(world.import(&mirror, &base, &good).is_ok());
}

#[test]
fn a_bundle_must_be_of_one_commit() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("data", "x");
    world.commit_all("work");
    git(&world.work, &["branch", "second"]);
    git(&world.work, &["tag", "-m", "a tag", "v1"]);
    let not_base = format!("^{base}");
    let two = bundle(&world.work, &["story", "second", &not_base]);
    assert!(matches!(world.import(&mirror, &base, &two), Err(ImportError::Malformed(_))));
    let tag = bundle(&world.work, &["v1", &not_base]);
    let error = world.import(&mirror, &base, &tag).unwrap_err();
    assert!(matches!(&error, ImportError::Malformed(text) if text.contains("is a tag")), "{error}");
    let blob = object(&world, "blob", b"just a file");
    let error = world.import(&mirror, &base, &bundle_of_objects(&world, &blob, &[&blob])).unwrap_err();
    assert!(matches!(&error, ImportError::Malformed(text) if text.contains("is a blob")), "{error}");
}

#[test]
fn a_bundle_over_a_limit_is_not_taken() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    // Compresses to a few kilobytes.
    world.write("zeros", &"0".repeat(3 << 20));
    world.commit_all("work");
    let bundle = world.bundle("story", &base);
    let bytes = bundle.len() as u64;
    assert!(bytes < 50_000);
    let all = ImportLimits::default();
    for limits in [
        ImportLimits { max_bytes: bytes - 1, ..all.clone() },
        ImportLimits { max_objects: 2, ..all.clone() },
        ImportLimits { max_object_bytes: 1 << 20, ..all.clone() },
        ImportLimits { max_unpacked_bytes: 3 << 20, ..all.clone() },
    ] {
        let error = world.import_within(&mirror, &base, &bundle, limits).unwrap_err();
        assert!(matches!(error, ImportError::TooLarge { .. }), "{error}");
    }
    let exact = ImportLimits { max_bytes: bytes, max_objects: 3, max_object_bytes: 3 << 20, ..all };
    assert!(world.import_within(&mirror, &base, &bundle, exact).is_ok());
}

#[test]
fn a_delta_that_would_fill_the_memory_is_seen_before_it_is_built() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    // A delta against README.md whose result would be 4 GiB.
    let mut delta = vec![12];
    delta.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x10]);
    delta.extend_from_slice(&[0x01, b'x']);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &delta).unwrap();
    let against = git(&world.work, &["rev-parse", "main:README.md"]);
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x01".to_vec();
    pack.push(0x70 | delta.len() as u8);
    pack.extend_from_slice(&hex::decode(against).unwrap());
    pack.extend_from_slice(&packed.finish().unwrap());
    pack.extend_from_slice(&[0; 20]);
    let bundle = bundle_of(&format!("# v2 git bundle\n{base} x\n"), &pack);
    let error = world.import(&mirror, &base, &bundle).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { what: "size of one object in bytes", .. }), "{error}");
}

#[test]
fn a_tip_that_does_not_build_on_the_base_is_not_taken() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story", "main~1"]);
    world.write("data", "x");
    world.commit_all("work");
    let bundle_beside = bundle(&world.work, &["story", "^main~1"]);
    assert!(matches!(world.import(&mirror, &base, &bundle_beside), Err(ImportError::NotDescended)));
    git(&world.work, &["checkout", "-q", "--orphan", "alone"]);
    world.commit_all("alone");
    let bundle_alone = bundle(&world.work, &["alone"]);
    assert!(matches!(world.import(&mirror, &base, &bundle_alone), Err(ImportError::NotDescended)));
}

#[test]
fn a_bundle_that_lacks_something_is_incomplete() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    git(&world.work, &["checkout", "-q", "-b", "story"]);
    world.write("src/deep/new.txt", "new\n");
    let middle = world.commit_all("one");
    world.write("src/deep/data.txt", &("line\n".repeat(500) + "more\n"));
    let tip = world.commit_all("two");
    let listed = git(&world.work, &["rev-list", "--objects", "--no-object-names", "story", "^main"]);
    let objects: Vec<&str> = listed.lines().collect();
    let whole = bundle_of_objects(&world, tip.as_str(), &objects);
    assert_eq!(world.import(&mirror, &base, &whole).unwrap().tip, tip);
    for left_out in &objects {
        let rest: Vec<&str> = objects.iter().filter(|id| *id != left_out).copied().collect();
        let error =
            world.import(&mirror, &base, &bundle_of_objects(&world, tip.as_str(), &rest)).unwrap_err();
        assert!(matches!(&error, ImportError::Incomplete(text) if text.contains(left_out)), "{error}");
    }
    // Built on a commit the mirror never saw: said by the header, and by a delta whose base is
    // nowhere.
    let bundle = world.bundle("story", &middle);
    assert!(matches!(world.import(&mirror, &base, &bundle), Err(ImportError::Incomplete(_))));
    let end = bundle.windows(6).position(|window| window == b"\n\nPACK").unwrap();
    let header = format!("# v2 git bundle\n{tip} refs/heads/story\n");
    let silent = bundle_of(&header, &bundle[end + 2..]);
    let error = world.import(&mirror, &base, &silent).unwrap_err();
    assert!(matches!(&error, ImportError::Malformed(text) if text.contains("missing delta")), "{error}");
}

#[test]
fn objects_no_git_would_make_are_refused() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    let base_tree = git(&world.work, &["rev-parse", "main^{tree}"]);
    let blob = object(&world, "blob", b"#!/bin/sh\n");
    let known_blob = git(&world.work, &["rev-parse", "main:README.md"]);
    let trees = [
        vec![("100644", ".git", blob.as_str())],
        vec![("100644", ".GIT", blob.as_str())],
        vec![("100644", "..", blob.as_str())],
        vec![("100644", "a/b", blob.as_str())],
        vec![("100644", "a", blob.as_str()), ("100755", "a", blob.as_str())],
        vec![("104755", "setuid", blob.as_str())],
        vec![("40000", "folder", blob.as_str())],
        vec![("40000", "folder", known_blob.as_str())],
        vec![("100644", "file", base_tree.as_str())],
    ];
    for entries in trees {
        let tree = tree(&world, &entries);
        let tip = commit(&world, &tree, base.as_str());
        let bundle = bundle_of_objects(&world, &tip, &[&blob, &tree, &tip]);
        let error = world.import(&mirror, &base, &bundle).unwrap_err();
        assert!(
            matches!(error, ImportError::Malformed(_) | ImportError::Incomplete(_)),
            "{entries:?}: {error}"
        );
    }
    for text in ["", "tree 0\n", "not a commit at all"] {
        let tip = object(&world, "commit", text.as_bytes());
        let error = world.import(&mirror, &base, &bundle_of_objects(&world, &tip, &[&tip])).unwrap_err();
        assert!(matches!(error, ImportError::Malformed(_)), "{text}: {error}");
    }
}

#[test]
fn trees_with_more_paths_than_atoms_are_given_up_on() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    let blob = object(&world, "blob", b"boom\n");
    // 40 folders, each holding the one below ten times: 10^40 paths in 42 objects.
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let mut objects = vec![blob.clone()];
    let mut inner = tree(&world, &[("100644", "f", &blob)]);
    for _ in 0..40 {
        objects.push(inner.clone());
        let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_str(), inner.as_str())).collect();
        inner = tree(&world, &entries);
    }
    let tip = commit(&world, &inner, base.as_str());
    objects.extend([inner, tip.clone()]);
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let bundle = bundle_of_objects(&world, &tip, &objects);
    let error = world.import(&mirror, &base, &bundle).unwrap_err();
    assert!(matches!(error, ImportError::CheckoutTooLarge(_)), "{error}");
    let endless = ImportLimits { max_checkout_bytes: u64::MAX, ..ImportLimits::default() };
    assert!(world.import_within(&mirror, &base, &bundle, endless).unwrap().changes_truncated);
}

#[test]
fn a_nest_of_folders_that_would_break_the_stack_is_refused() {
    let world = World::new();
    let mirror = world.mirror();
    let base = world.sha("main");
    let blob = object(&world, "blob", b"deep\n");
    for (depth, is_fine) in [(500, true), (520, false)] {
        let mut objects = vec![blob.clone()];
        let mut inner = tree(&world, &[("100644", "f", &blob)]);
        for _ in 1..depth {
            objects.push(inner.clone());
            inner = tree(&world, &[("40000", "d", &inner)]);
        }
        let tip = commit(&world, &inner, base.as_str());
        objects.extend([inner, tip.clone()]);
        let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
        let result = world.import(&mirror, &base, &bundle_of_objects(&world, &tip, &objects));
        match result {
            Ok(imported) => assert!(is_fine && imported.tip.as_str() == tip),
            Err(error) => assert!(!is_fine && matches!(error, ImportError::Malformed(_)), "{depth}: {error}"),
        }
    }
}

#[test]
fn what_the_base_has_is_told_from_what_is_new() {
    let world = World::new();
    let blob = |text: &str| object(&world, "blob", text.as_bytes());
    let (away, near) = (blob("../../shared/style.md"), blob("../x"));
    let (text, more) = (blob("text\n"), blob("more\n"));
    let module = "0123456789abcdef0123456789abcdef01234567";
    let old = [
        ("120000", "away", away.as_str()),
        ("160000", "module", module),
        ("120000", "near", near.as_str()),
        ("100664", "old", text.as_str()),
    ];
    let docs = tree(&world, &old);
    let first = commit(&world, &tree(&world, &[("40000", "docs", &docs)]), world.sha("main").as_str());
    git(&world.work, &["push", "-q", "origin", &format!("{first}:refs/heads/main")]);
    let (mirror, base) = (world.mirror(), first.parse().unwrap());
    // As git writes it once somebody has added a file; and the folder under another name, with its
    // links one deeper and higher.
    let new = [old[0], old[1], ("100644", "new", more.as_str()), old[2], ("100644", "old", text.as_str())];
    let kept = tree(&world, &new);
    let deeper = tree(&world, &[("40000", "docs", &docs)]);
    let root = tree(
        &world,
        &[
            ("120000", "away", &away),
            ("40000", "docs", &kept),
            ("40000", "manual", &deeper),
            ("120000", "near", &near),
        ],
    );
    let tip = commit(&world, &root, &first);
    let objects = [&more, &kept, &deeper, &root, &tip].map(String::as_str);
    let imported = world.import(&mirror, &base, &bundle_of_objects(&world, &tip, &objects)).unwrap();
    let found: Vec<(&str, bool, bool)> = imported
        .changes
        .iter()
        .map(|change| (change.path.as_str(), change.link_leaves_tree(), change.is_moved))
        .collect();
    assert_eq!(
        found,
        [
            ("away", true, true),
            ("docs/new", false, false),
            ("manual/docs/away", false, false),
            ("manual/docs/module", false, true),
            ("manual/docs/near", false, false),
            ("manual/docs/old", false, false),
            // It led to what lies beside the folder, and would lead out now.
            ("near", true, false),
        ]
    );
}
