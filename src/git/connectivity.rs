//! Whether everything a commit needs is there: libgit2 indexes a pack without asking. What the
//! mirror has is whole already, so the walk goes only through what is new, and notes it for the
//! caller to look at.

use std::collections::{HashMap, HashSet};

use git2::{ErrorCode, ObjectType, Odb, OdbLookupFlags, Oid, Repository};

use super::ImportError;

/// How deep folders may nest. libgit2 goes through trees by recursion, so an endless nest would end
/// in a crash of hob; nothing deeper than this could be checked out anywhere.
const TREE_DEPTH: u32 = 512;
/// The modes git itself writes, and the group-writable file of its first years.
const FILE_MODES: [i32; 4] = [0o100644, 0o100755, 0o100664, 0o120000];
const TREE_MODE: i32 = 0o040000;
const GITLINK_MODE: i32 = 0o160000;

/// Everything reachable from a commit that the mirror does not have.
#[derive(Debug, Default)]
pub(super) struct MissingObjects {
    pub commits: Vec<Oid>,
    pub trees: Vec<Oid>,
    /// Each with the file name under which it was met first.
    pub blobs: Vec<(Oid, String)>,
}

/// Walks from `tip` to what `known` has. An object that is missing, of another kind than its place
/// asks for, or that cannot be read is an error.
pub(super) fn walk(
    repository: &Repository,
    known: &Odb<'_>,
    tip: Oid,
) -> Result<MissingObjects, ImportError> {
    let all = repository.odb().map_err(other)?;
    let mut walk = Walk {
        repository,
        all,
        known,
        fresh: MissingObjects::default(),
        blobs: HashSet::new(),
        depths: HashMap::new(),
    };
    let mut seen = HashSet::from([tip]);
    let mut waiting = vec![tip];
    while let Some(id) = waiting.pop() {
        if walk.is_known(id, ObjectType::Commit)? {
            continue;
        }
        let commit = repository.find_commit(id).map_err(|error| unreadable(&error, "commit", id))?;
        walk.tree(commit.tree_id())?;
        waiting.extend(commit.parent_ids().filter(|parent| seen.insert(*parent)));
        walk.fresh.commits.push(id);
    }
    Ok(walk.fresh)
}

struct Walk<'a> {
    repository: &'a Repository,
    all: Odb<'a>,
    known: &'a Odb<'a>,
    fresh: MissingObjects,
    /// The blobs looked at, new or not.
    blobs: HashSet<Oid>,
    /// How deep each tree that was walked nests; nothing for what the mirror has.
    depths: HashMap<Oid, u32>,
}

/// A tree on the way down.
struct Open {
    id: Oid,
    folders: Vec<Oid>,
    depth: u32,
}

impl Walk<'_> {
    /// Whether the mirror has the object. If it does, it must be of the kind that is asked for.
    fn is_known(&self, id: Oid, kind: ObjectType) -> Result<bool, ImportError> {
        // Without the refresh libgit2 would list the mirror's packs again for every new object.
        if !self.known.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            return Ok(false);
        }
        let (_, found) = self.known.read_header(id).map_err(other)?;
        if found == kind { Ok(true) } else { Err(wrong_kind(id, kind, found)) }
    }

    /// Walks a tree and all below it, each once, without recursion.
    fn tree(&mut self, root: Oid) -> Result<(), ImportError> {
        let mut path = Vec::new();
        self.enter(root, &mut path)?;
        while let Some(open) = path.last_mut() {
            if let Some(folder) = open.folders.pop() {
                match self.depths.get(&folder) {
                    Some(depth) => open.depth = open.depth.max(depth + 1),
                    None => self.enter(folder, &mut path)?,
                }
            } else {
                let Open { id, depth, .. } = *open;
                path.pop();
                self.depths.insert(id, depth);
                if let Some(above) = path.last_mut() {
                    above.depth = above.depth.max(depth + 1);
                }
            }
            // The way down and the way below, whichever is known to be longer.
            let below = path.last().map_or(0, |open| open.depth);
            if path.len() as u32 + below > TREE_DEPTH {
                return Err(ImportError::Malformed("its folders nest too deeply".to_owned()));
            }
        }
        Ok(())
    }

    fn enter(&mut self, id: Oid, path: &mut Vec<Open>) -> Result<(), ImportError> {
        if self.depths.contains_key(&id) {
            return Ok(());
        }
        if self.is_known(id, ObjectType::Tree)? {
            self.depths.insert(id, 0);
            return Ok(());
        }
        let tree = self.repository.find_tree(id).map_err(|error| unreadable(&error, "tree", id))?;
        let mut names = HashSet::new();
        let mut folders = Vec::new();
        for entry in &tree {
            let name = entry.name_bytes();
            if !is_sound_name(name) || !names.insert(name.to_vec()) {
                return Err(ImportError::Malformed(format!("the tree {id} has an invalid entry")));
            }
            match entry.filemode_raw() {
                TREE_MODE => folders.push(entry.id()),
                // Names a commit of another repository, which is not ours to have.
                GITLINK_MODE => {}
                mode if FILE_MODES.contains(&mode) => self.blob(entry.id(), name)?,
                mode => {
                    return Err(ImportError::Malformed(format!(
                        "the tree {id} has an entry of mode {mode:o}"
                    )));
                }
            }
        }
        self.fresh.trees.push(id);
        path.push(Open { id, folders, depth: 0 });
        Ok(())
    }

    fn blob(&mut self, id: Oid, name: &[u8]) -> Result<(), ImportError> {
        if !self.blobs.insert(id) || self.is_known(id, ObjectType::Blob)? {
            return Ok(());
        }
        match self.all.read_header(id) {
            Ok((_, ObjectType::Blob)) => {
                self.fresh.blobs.push((id, String::from_utf8_lossy(name).into_owned()));
                Ok(())
            }
            Ok((_, found)) => Err(wrong_kind(id, ObjectType::Blob, found)),
            Err(error) => Err(unreadable(&error, "blob", id)),
        }
    }
}

/// Whether a checkout of the entry stays where it belongs.
fn is_sound_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.eq_ignore_ascii_case(b".git")
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

fn wrong_kind(id: Oid, wanted: ObjectType, found: ObjectType) -> ImportError {
    ImportError::Malformed(format!("{id} should be a {wanted} but is a {found}"))
}

fn unreadable(error: &git2::Error, kind: &str, id: Oid) -> ImportError {
    match error.code() {
        // libgit2 says the same of an object that is missing and of one of another kind.
        ErrorCode::NotFound => ImportError::Incomplete(format!("the {kind} {id} is missing")),
        _ => ImportError::Malformed(format!("the {kind} {id} is unreadable: {}", error.message())),
    }
}

fn other(error: git2::Error) -> ImportError {
    ImportError::Other(anyhow::Error::new(error).context("reading the imported objects"))
}
