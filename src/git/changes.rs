//! What differs between two commits, path by path. libgit2's own diff would go through every path,
//! and a tree made on purpose can have more paths than atoms: this one counts its steps and gives
//! up. What the differences mean is for the caller to judge.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context;
use git2::{Oid, Repository};

const TREE_MODE: i32 = 0o040000;
/// The bits of a mode that say what kind of entry it is, and which of them a file has.
const KIND_OF_MODE: i32 = 0o170000;
const FILE_KIND: i32 = 0o100000;
const OWNER_EXECUTES: i32 = 0o100;
const LINK_MODE: u32 = 0o120000;
const GITLINK_MODE: u32 = 0o160000;
/// The longest path Linux takes, and so the longest target of a link that means anything.
const PATH_BYTES: usize = 4096;
/// Folders of the base in which is looked for what has been moved: more than any repository has
/// that people work in.
const MAX_FOLDERS: usize = 200_000;

/// How a path changed. A rename is a removal and an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content or its mode is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the root of the repository. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// How it changed.
    pub kind: ChangeKind,
    /// The mode before, as in `0o100644`.
    pub old_mode: Option<u32>,
    /// The mode after.
    pub new_mode: Option<u32>,
    /// Bytes of the new content; nothing for what is gone and for another repository.
    pub size: u64,
    /// Where a symbolic link points, if it is one now.
    pub link: Option<String>,
    /// Whether what is there now, a link that leads out of the work tree or a submodule at this
    /// commit, was in the base before, at whatever path: it has been moved, or copied.
    pub is_moved: bool,
}

impl Change {
    /// Whether the path is now another repository (a submodule).
    pub fn is_gitlink(&self) -> bool {
        self.new_mode == Some(GITLINK_MODE)
    }

    /// Whether the path is now a link that may lead out of the work tree. `..` is accepted only at
    /// the beginning of a target: further on it would follow the folder before it, which may be a
    /// link too.
    pub fn link_leaves_tree(&self) -> bool {
        self.link.as_ref().is_some_and(|target| leaves_tree(target, self.path.matches('/').count()))
    }
}

/// Whether a link so many folders deep may lead out of the work tree.
fn leaves_tree(target: &str, depth: usize) -> bool {
    let up = target.split('/').take_while(|part| *part == "..").count();
    let later = target.split('/').skip(up).any(|part| part == "..");
    target.is_empty() || target.starts_with('/') || later || up > depth
}

/// The differences found.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub changes: Vec<Change>,
    /// Whether there are more than were asked for.
    pub truncated: bool,
    /// What was there before in the places that differ: folders, and files.
    pub replaced: Vec<Oid>,
}

type Entries = BTreeMap<Vec<u8>, (i32, Oid)>;

/// What is in a tree, by side: the trees before in their order, and the new one.
type Sides = (Vec<Option<(i32, Oid)>>, Option<(i32, Oid)>);

/// Compares a tree with the one before it, up to `limit` changed paths and as many folders. Where
/// there are several before, the parents of a merge for example, a path that is as one of them has
/// it has not changed, and the first is what it is held against.
pub(super) fn between(
    repository: &Repository,
    before: &[Oid],
    new: Oid,
    limit: usize,
) -> anyhow::Result<Changes> {
    let mut found: Vec<(Change, Option<Oid>)> = Vec::new();
    let mut truncated = false;
    let roots = before.to_vec();
    let before: Vec<Option<Oid>> = before.iter().copied().map(Some).collect();
    let mut waiting = vec![(Vec::new(), before, Some(new))];
    let mut folders = 0;
    let mut replaced: HashSet<Oid> = HashSet::new();
    'folders: while let Some((prefix, before, new)) = waiting.pop() {
        folders += 1;
        if folders > limit {
            truncated = true;
            break;
        }
        replaced.extend(before.iter().flatten());
        for (name, (before, new)) in sides(repository, &before, new)? {
            if before.contains(&new) {
                continue;
            }
            let path = [prefix.as_slice(), &name].concat();
            let is_tree = |entry: &(i32, Oid)| entry.0 == TREE_MODE;
            let is_here = |entry: &&(i32, Oid)| entry.0 as u32 != GITLINK_MODE;
            replaced.extend(before.iter().flatten().filter(is_here).map(|entry| entry.1));
            let tree = |entry: Option<(i32, Oid)>| entry.filter(is_tree).map(|entry| entry.1);
            let trees: Vec<Option<Oid>> = before.iter().copied().map(tree).collect();
            if path.len() > PATH_BYTES {
                truncated = true;
            } else if tree(new).is_some() || trees.iter().any(Option::is_some) {
                waiting.push(([path.as_slice(), b"/"].concat(), trees, tree(new)));
            }
            let old = before.first().copied().flatten();
            let (old, new) = (old.filter(|entry| !is_tree(entry)), new.filter(|entry| !is_tree(entry)));
            let Some(change) = change(repository, &path, old, new)? else { continue };
            if found.len() == limit {
                truncated = true;
                break 'folders;
            }
            found.push((change, new.map(|(_, id)| id)));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
    find_moved(repository, &roots, &mut found)?;
    Ok(Changes {
        changes: found.into_iter().map(|(change, _)| change).collect(),
        truncated,
        replaced: replaced.into_iter().collect(),
    })
}

/// Marks the links that lead out and the submodules that the trees before have too, whatever their
/// path there. A link counts only where it led out before.
fn find_moved(
    repository: &Repository,
    roots: &[Oid],
    changes: &mut [(Change, Option<Oid>)],
) -> anyhow::Result<()> {
    let is_sought = |change: &Change| change.is_gitlink() || change.link_leaves_tree();
    let mut sought: HashMap<Oid, Vec<usize>> = HashMap::new();
    for (at, (change, id)) in changes.iter().enumerate() {
        if let Some(id) = id.filter(|_| is_sought(change)) {
            sought.entry(id).or_default().push(at);
        }
    }
    if sought.is_empty() {
        return Ok(());
    }
    // Where a link leads depends on how deep it is, and so does what is below a folder.
    let mut waiting: Vec<(Oid, usize)> = roots.iter().map(|root| (*root, 0)).collect();
    let mut seen: HashSet<(Oid, usize)> = waiting.iter().copied().collect();
    let mut folders = 0;
    while let Some((tree, depth)) = waiting.pop() {
        folders += 1;
        if folders > MAX_FOLDERS {
            break;
        }
        for (mode, id) in entries(repository, Some(tree))?.into_values() {
            if mode == TREE_MODE {
                if depth < PATH_BYTES && seen.insert((id, depth + 1)) {
                    waiting.push((id, depth + 1));
                }
                continue;
            }
            for at in sought.get(&id).into_iter().flatten() {
                let change = &mut changes[*at].0;
                let leaves = |target: &String| leaves_tree(target, depth);
                let is_same = change.new_mode == Some(mode as u32);
                change.is_moved |= is_same && change.link.as_ref().is_none_or(leaves);
            }
        }
    }
    Ok(())
}

/// What stands under each name in any of some trees.
fn sides(
    repository: &Repository,
    before: &[Option<Oid>],
    new: Option<Oid>,
) -> anyhow::Result<BTreeMap<Vec<u8>, Sides>> {
    let mut all: BTreeMap<Vec<u8>, Sides> = BTreeMap::new();
    let none = || (vec![None; before.len()], None);
    for (side, tree) in before.iter().enumerate() {
        for (name, entry) in entries(repository, *tree)? {
            all.entry(name).or_insert_with(none).0[side] = Some(entry);
        }
    }
    for (name, entry) in entries(repository, new)? {
        all.entry(name).or_insert_with(none).1 = Some(entry);
    }
    Ok(all)
}

fn entries(repository: &Repository, tree: Option<Oid>) -> anyhow::Result<Entries> {
    let Some(id) = tree else { return Ok(Entries::new()) };
    let tree = repository.find_tree(id).with_context(|| format!("reading the tree {id}"))?;
    Ok(tree
        .iter()
        .map(|entry| (entry.name_bytes().to_vec(), (git_mode(entry.filemode_raw()), entry.id())))
        .collect())
}

/// The mode as git writes it today: of a file's rights only whether its owner may execute it
/// counts. Git once wrote others, and anyone who commits in such a folder changes them without
/// knowing.
fn git_mode(mode: i32) -> i32 {
    match (mode & KIND_OF_MODE, mode & OWNER_EXECUTES) {
        (FILE_KIND, 0) => 0o100644,
        (FILE_KIND, _) => 0o100755,
        _ => mode,
    }
}

fn change(
    repository: &Repository,
    path: &[u8],
    old: Option<(i32, Oid)>,
    new: Option<(i32, Oid)>,
) -> anyhow::Result<Option<Change>> {
    let kind = match (old, new) {
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), Some(_)) => ChangeKind::Modified,
        (Some(_), None) => ChangeKind::Deleted,
        (None, None) => return Ok(None),
    };
    let mode = |entry: Option<(i32, Oid)>| entry.map(|(mode, _)| mode as u32);
    let mut change = Change {
        path: String::from_utf8_lossy(path).into_owned(),
        kind,
        old_mode: mode(old),
        new_mode: mode(new),
        size: 0,
        link: None,
        is_moved: false,
    };
    if let Some((_, id)) = new
        && !change.is_gitlink()
    {
        let blob = repository.find_blob(id).with_context(|| format!("reading the blob {id}"))?;
        change.size = blob.size() as u64;
        if change.new_mode == Some(LINK_MODE) {
            let target = blob.content();
            let target = &target[..target.len().min(PATH_BYTES)];
            change.link = Some(String::from_utf8_lossy(target).into_owned());
        }
    }
    Ok(Some(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_may_lead_outside_is_told_from_one_that_cannot() {
        let leaves = |path: &str, target: &str| {
            let change = Change {
                path: path.to_owned(),
                kind: ChangeKind::Added,
                old_mode: None,
                new_mode: Some(LINK_MODE),
                size: 0,
                link: Some(target.to_owned()),
                is_moved: false,
            };
            change.link_leaves_tree()
        };
        for (path, target) in
            [("l", "a"), ("l", "a/b"), ("a/l", "../b"), ("a/b/l", "../../c"), ("l", "./a"), ("l", "..a")]
        {
            assert!(!leaves(path, target), "{path} -> {target}");
        }
        for (path, target) in
            [("l", "/etc"), ("l", ".."), ("a/l", "../../b"), ("a/b/l", "c/../d"), ("l", ""), ("l", "./../x")]
        {
            assert!(leaves(path, target), "{path} -> {target}");
        }
    }
}
