//! What a workspace is before git has checked it out: a repository that borrows its objects from
//! the mirror, so that its cost does not follow the length of the history. The checkout is the git
//! program's, in a container (`work/checkout.rs`): libgit2 does not do all that attributes ask for.
//! Once a workspace is in place it belongs to the agent, and nothing in hob opens it again.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use git2::{ObjectType, Odb, Oid, Repository, RepositoryInitOptions};

use super::import::open_quarantine;
use super::{Mirror, borrow_from, branch_reference, check_branch, oid, prepare, transport};
use crate::ids::Sha;
use crate::paths::remove_tree;

/// What a file takes up on disk is a multiple of this.
const BLOCK_BYTES: u64 = 4096;

/// What a workspace should be.
#[derive(Debug)]
pub struct NewWorkspace<'a> {
    /// Where it should lie. Nothing may be there, or a workspace made earlier.
    pub path: &'a Path,
    /// The story branch, which is checked out.
    pub branch: &'a str,
    /// Where the story branch begins, or is by now. The mirror must have it.
    pub start: &'a Sha,
    /// The branch the work is for, as `origin/<base_branch>`. The mirror must have it.
    pub base_branch: &'a str,
    /// The address `origin` gets, for people and tools to read. No credentials.
    pub origin: &'a str,
    /// The user and group the container runs as, to which everything is given. Needs root.
    pub owner: Option<(u32, u32)>,
}

/// Makes the repository of a workspace, without a work tree in it. What is at the path is removed,
/// which nobody may be using. A commit that is not in the mirror has to lie in the quarantine,
/// whose objects are borrowed too.
pub fn lay_out(mirror: &Mirror, quarantine: Option<&Path>, new: &NewWorkspace<'_>) -> anyhow::Result<()> {
    prepare()?;
    check_branch(new.branch)?;
    check_branch(new.base_branch)?;
    transport::check_address(new.origin)?;
    remove_tree(new.path)?;
    let lenders: Vec<PathBuf> =
        [mirror.objects()].into_iter().chain(quarantine.map(|path| path.join("objects"))).collect();
    drop(init(mirror, &lenders, new, new.path)?);
    if let Some((uid, gid)) = new.owner {
        change_owner(new.path, uid, gid)?;
    }
    Ok(())
}

/// How many bytes on disk a checkout of a commit takes. Each path counts, also where many have the
/// same content.
pub fn checkout_size(mirror: &Mirror, quarantine: Option<&Path>, at: &Sha) -> anyhow::Result<u64> {
    prepare()?;
    let repository = match quarantine {
        Some(path) => open_quarantine(path)?,
        None => mirror.open()?,
    };
    let commit = repository.find_commit(oid(at)?).with_context(|| format!("finding {at}"))?;
    tree_size(&repository, commit.tree_id())
}

/// A folder whose size is being added up.
struct Open {
    id: Oid,
    bytes: u64,
    folders: Vec<Oid>,
}

/// The same of a tree. One that stands in many places is read once, and counts for each.
pub(super) fn tree_size(repository: &Repository, root: Oid) -> anyhow::Result<u64> {
    let odb = repository.odb().context("opening the object database")?;
    let mut files = HashMap::new();
    let mut known: HashMap<Oid, u64> = HashMap::new();
    let mut way = vec![open(repository, &odb, root, &mut files)?];
    while let Some(here) = way.last_mut() {
        if let Some(folder) = here.folders.pop() {
            match known.get(&folder) {
                Some(bytes) => here.bytes = here.bytes.saturating_add(*bytes),
                None => way.push(open(repository, &odb, folder, &mut files)?),
            }
            continue;
        }
        let (id, bytes) = (here.id, here.bytes);
        way.pop();
        known.insert(id, bytes);
        match way.last_mut() {
            Some(above) => above.bytes = above.bytes.saturating_add(bytes),
            None => return Ok(bytes),
        }
    }
    Ok(0)
}

fn open(
    repository: &Repository,
    odb: &Odb<'_>,
    id: Oid,
    files: &mut HashMap<Oid, u64>,
) -> anyhow::Result<Open> {
    let tree = repository.find_tree(id).with_context(|| format!("reading the tree {id}"))?;
    let mut here = Open { id, bytes: BLOCK_BYTES, folders: Vec::new() };
    for entry in &tree {
        match entry.kind() {
            Some(ObjectType::Tree) => here.folders.push(entry.id()),
            Some(ObjectType::Blob) => {
                let bytes = match files.get(&entry.id()) {
                    Some(bytes) => *bytes,
                    None => {
                        let (size, _) = odb.read_header(entry.id()).context("reading the size of a file")?;
                        let bytes = (size as u64).checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX);
                        files.insert(entry.id(), bytes);
                        bytes
                    }
                };
                here.bytes = here.bytes.saturating_add(bytes);
            }
            // A submodule is an empty folder.
            _ => here.bytes = here.bytes.saturating_add(BLOCK_BYTES),
        }
    }
    Ok(here)
}

fn init(
    mirror: &Mirror,
    lenders: &[PathBuf],
    new: &NewWorkspace<'_>,
    path: &Path,
) -> anyhow::Result<Repository> {
    let mut options = RepositoryInitOptions::new();
    options.no_reinit(true).mkpath(true).external_template(false).initial_head(new.branch);
    let empty =
        Repository::init_opts(path, &options).with_context(|| format!("creating {}", path.display()))?;
    borrow_from(empty.path(), lenders)?;
    drop(empty);
    // Opened again, because libgit2 reads the alternates only when it opens a repository.
    let repository = Repository::open(path).with_context(|| format!("opening {}", path.display()))?;
    let start = repository.find_commit(oid(new.start)?).context("finding the commit to start at")?.id();
    let Some(base) = mirror.branch(new.base_branch)? else {
        bail!("the mirror has no branch `{}`", new.base_branch);
    };
    let remote_base = format!("refs/remotes/origin/{}", new.base_branch);
    repository.reference(&branch_reference(new.branch), start, true, "hob: start")?;
    repository.reference(&remote_base, oid(&base)?, true, "hob: base")?;
    repository.reference_symbolic("refs/remotes/origin/HEAD", &remote_base, true, "hob: base")?;
    repository.remote("origin", new.origin).context("adding the remote `origin`")?;
    Ok(repository)
}

/// Gives `path` and everything in it away. Links themselves are given, not what they point at.
fn change_owner(path: &Path, uid: u32, gid: u32) -> anyhow::Result<()> {
    let context = || format!("changing the owner of {}", path.display());
    if fs::symlink_metadata(path).with_context(context)?.is_dir() {
        for entry in fs::read_dir(path).with_context(context)? {
            change_owner(&entry.with_context(context)?.path(), uid, gid)?;
        }
    }
    lchown(path, Some(uid), Some(gid)).with_context(context)
}
