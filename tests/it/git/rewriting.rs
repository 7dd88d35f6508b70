//! Authorship: what is written anew and what is not.

use super::world::*;
use hob::git::{Authorship, rewrite_authors};

fn authorship() -> Authorship {
    Authorship {
        name: "Spirit".to_owned(),
        email: "spirit@example.com".to_owned(),
        co_author: Some("alice <1+alice@users.noreply.github.com>".to_owned()),
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
        rewrite_authors(&mut imported, &authorship()).unwrap();
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
    assert_eq!(
        field(&world, tip, "%B"),
        format!("merge b\n\nCo-authored-by: {}", authorship().co_author.unwrap())
    );
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
    rewrite_authors(&mut imported, &authorship()).unwrap();
    let raw = git(&world.quarantine(), &["cat-file", "commit", imported.tip.as_str()]);
    let spirit = "Spirit <spirit@example.com> 1700000000 -0130";
    let trailer = "Co-authored-by: alice <1+alice@users.noreply.github.com>";
    assert_eq!(
        raw,
        format!("tree {tree}\nparent {base}\nauthor {spirit}\ncommitter {spirit}\n\nsigned\n\n{trailer}")
    );
}
