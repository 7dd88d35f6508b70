//! What a mirror is to hold: what its branches and the pins of stories reach, and nothing else.
//! Agents read its objects by their ids, so a commit that was taken off its branch, with a secret
//! for example, must not stay in it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use git2::{ObjectType, Oid, Repository};

use super::mirror::entries;
use crate::fail_point::around;
use crate::paths::remove_tree;

/// Where the names of objects begin in the index of a pack: behind its mark and version.
const FANOUT: usize = 8;
/// How long the table before the names is.
const FANOUT_BYTES: usize = 256 * 4;
/// The bytes of an object's id.
const ID_BYTES: usize = 20;

/// Whether everything in the history of these commits is in that of the references.
pub(super) fn is_reached(repository: &Repository, commits: &[Oid]) -> anyhow::Result<bool> {
    let tips = tips(repository, "refs/*")?;
    let lost: Vec<&Oid> = commits.iter().filter(|commit| !tips.contains(commit)).collect();
    if lost.is_empty() {
        return Ok(true);
    }
    let mut walk = repository.revwalk().context("finding commits that no branch contains")?;
    for tip in &tips {
        walk.hide(*tip).context("finding commits that no branch contains")?;
    }
    for commit in lost {
        walk.push(*commit).context("finding commits that no branch contains")?;
    }
    Ok(walk.next().is_none())
}

/// The commits that references with such a name point at.
pub(super) fn tips(repository: &Repository, names: &str) -> anyhow::Result<HashSet<Oid>> {
    let mut tips = HashSet::new();
    for reference in repository.references_glob(names).context("listing references")? {
        let reference = reference.context("listing references")?;
        tips.insert(reference.peel(ObjectType::Commit).context("reading a reference")?.id());
    }
    Ok(tips)
}

/// Removes every object that no reference reaches. A pack that holds some is made again without
/// them; the others stay as they are. Cut short at any moment it leaves a whole repository, with
/// something left to be removed.
pub(super) fn prune(repository: &Repository) -> anyhow::Result<usize> {
    let reached = reached(repository)?;
    let packs = repository.path().join("objects/pack");
    let mut removed = 0;
    for index in entries(&packs)?.iter().filter(|file| file.extension().is_some_and(|end| end == "idx")) {
        let held = ids_in(index)?;
        let (kept, gone): (Vec<Oid>, Vec<Oid>) = held.into_iter().partition(|id| reached.contains(id));
        if gone.is_empty() {
            continue;
        }
        if !kept.is_empty() {
            write_pack(repository, &packs, &kept)?;
        }
        // The pack first: without it, its index is of no use, and is not looked into.
        for file in parts_of(index) {
            around("disk", "prune-pack", || remove_if_there(&file))
                .with_context(|| format!("removing {}", file.display()))?;
        }
        removed += gone.len();
    }
    for folder in entries(&repository.path().join("objects"))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.len() != 2 {
            continue;
        }
        for file in entries(&folder)? {
            let rest = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Ok(id) = Oid::from_str(&format!("{name}{rest}"))
                && !reached.contains(&id)
            {
                remove_if_there(&file).with_context(|| format!("removing {}", file.display()))?;
                removed += 1;
            }
        }
    }
    if removed > 0 {
        // Lists of what is there, which somebody's gc has made. They would name what is gone.
        for list in ["info/commit-graph", "pack/multi-pack-index"] {
            remove_if_there(&repository.path().join("objects").join(list))
                .context("removing a commit graph or pack index")?;
        }
        remove_tree(&repository.path().join("objects/info/commit-graphs"))?;
    }
    Ok(removed)
}

/// Every object that references reach.
fn reached(repository: &Repository) -> anyhow::Result<HashSet<Oid>> {
    let mut walk = repository.revwalk().context("walking the history")?;
    for tip in tips(repository, "refs/*")? {
        walk.push(tip).context("walking the history")?;
    }
    let mut reached = HashSet::new();
    let mut trees = Vec::new();
    for commit in walk {
        let commit = commit.context("walking the history")?;
        reached.insert(commit);
        trees.push(repository.find_commit(commit).context("reading a commit")?.tree_id());
        while let Some(tree) = trees.pop() {
            if !reached.insert(tree) {
                continue;
            }
            for entry in &repository.find_tree(tree).context("reading a folder")? {
                match entry.kind() {
                    Some(ObjectType::Tree) => trees.push(entry.id()),
                    Some(ObjectType::Blob) => drop(reached.insert(entry.id())),
                    // A commit of another repository.
                    _ => {}
                }
            }
        }
    }
    Ok(reached)
}

fn write_pack(repository: &Repository, folder: &Path, ids: &[Oid]) -> anyhow::Result<()> {
    let mut builder = repository.packbuilder().context("rewriting a pack")?;
    for id in ids {
        builder.insert_object(*id, None).context("rewriting a pack")?;
    }
    around("disk", "prune-write", || builder.write(folder, 0o444)).context("rewriting a pack")
}

/// The ids of the objects in a pack, by its index.
fn ids_in(index: &Path) -> anyhow::Result<Vec<Oid>> {
    let bytes = fs::read(index).with_context(|| format!("reading {}", index.display()))?;
    let names = FANOUT + FANOUT_BYTES;
    let count = bytes.get(names - 4..names).and_then(|count| count.try_into().ok()).map(u32::from_be_bytes);
    let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let listed = count.checked_mul(ID_BYTES).and_then(|length| bytes.get(names..names.checked_add(length)?));
    let (true, Some(listed)) = (bytes.starts_with(b"\xfftOc\0\0\0\x02"), listed) else {
        bail!("{} is not a pack index", index.display());
    };
    listed.chunks_exact(ID_BYTES).map(|id| Oid::from_bytes(id).context("reading an id")).collect()
}

/// The files of a pack, the pack itself first.
fn parts_of(index: &Path) -> Vec<PathBuf> {
    ["pack", "rev", "bitmap", "idx"].map(|ending| index.with_extension(ending)).to_vec()
}

fn remove_if_there(file: &Path) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
