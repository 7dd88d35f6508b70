//! The making of a story's workspace: a checkout that borrows its objects from the mirror, so that its
//! cost does not follow the length of the history. Once it is in place it belongs to the agent, and
//! nothing in hob opens it again. An overlay over a shared checkout could take the place of
//! [`check_out`] later; the rest would stay.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use git2::build::CheckoutBuilder;
use git2::{IndexTime, Repository, RepositoryInitOptions};

use super::mirror::sibling;
use super::{Mirror, borrow_from, branch_reference, check_branch, oid, prepare, transport};
use crate::fail_point::around;
use crate::ids::Sha;
use crate::paths::remove_tree;

/// The mode of an index entry that stands for another repository.
const GITLINK_MODE: u32 = 0o160000;

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

/// Whether a workspace was made or was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workspace {
    /// It was made by this call.
    Created,
    /// Something is at the path already. It was made whole by an earlier call, and was not looked into,
    /// since an agent may have been there.
    Found,
}

/// Makes a workspace, unless there is one. A call that was cut short has left nothing at `path`; what it
/// left beside it is removed by the next. The caller sees to it that one path is made by one call at a time.
pub fn create_workspace(mirror: &Mirror, new: &NewWorkspace<'_>) -> anyhow::Result<Workspace> {
    prepare()?;
    check_branch(new.branch)?;
    check_branch(new.base_branch)?;
    transport::check_address(new.origin)?;
    // `symlink_metadata`, because even a dangling link is something that is there.
    if fs::symlink_metadata(new.path).is_ok() {
        return Ok(Workspace::Found);
    }
    let draft = sibling(new.path, "new")?;
    remove_tree(&draft)?;
    let repository = init(mirror, &[mirror.objects()], new, &draft)?;
    check_out(&repository)?;
    if let Some((uid, gid)) = new.owner {
        hand_to(&repository, &draft, uid, gid)?;
    }
    drop(repository);
    // Until here a crash leaves only the draft; from here on the workspace is whole.
    around("disk", "workspace-rename", || fs::rename(&draft, new.path))
        .with_context(|| format!("renaming {} into place", draft.display()))?;
    Ok(Workspace::Created)
}

/// Makes a checkout of a commit that lies in a quarantine, for something that looks at it and is gone again. What is at the
/// path is removed. The quarantine's objects are borrowed as the mirror's are.
pub fn create_checkout(mirror: &Mirror, quarantine: &Path, new: &NewWorkspace<'_>) -> anyhow::Result<()> {
    prepare()?;
    check_branch(new.branch)?;
    check_branch(new.base_branch)?;
    transport::check_address(new.origin)?;
    remove_tree(new.path)?;
    let repository = init(mirror, &[mirror.objects(), quarantine.join("objects")], new, new.path)?;
    check_out(&repository)?;
    match new.owner {
        Some((uid, gid)) => hand_to(&repository, new.path, uid, gid),
        None => Ok(()),
    }
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
        Repository::init_opts(path, &options).with_context(|| format!("making {}", path.display()))?;
    borrow_from(empty.path(), lenders)?;
    drop(empty);
    // Opened anew, because libgit2 reads the alternates only when it opens a repository.
    let repository = Repository::open(path).with_context(|| format!("opening {}", path.display()))?;
    let start = repository.find_commit(oid(new.start)?).context("finding the commit to start at")?.id();
    let Some(base) = mirror.branch(new.base_branch)? else {
        bail!("the mirror has no branch `{}`", new.base_branch);
    };
    let remote_base = format!("refs/remotes/origin/{}", new.base_branch);
    repository.reference(&branch_reference(new.branch), start, true, "hob: start")?;
    repository.reference(&remote_base, oid(&base)?, true, "hob: base")?;
    repository.reference_symbolic("refs/remotes/origin/HEAD", &remote_base, true, "hob: base")?;
    repository.remote("origin", new.origin).context("naming the origin")?;
    Ok(repository)
}

fn check_out(repository: &Repository) -> anyhow::Result<()> {
    // Forced: the folder is empty, and without force libgit2 takes every file for one deleted on purpose.
    repository.checkout_head(Some(CheckoutBuilder::new().force())).context("checking the branch out")
}

fn hand_to(repository: &Repository, root: &Path, uid: u32, gid: u32) -> anyhow::Result<()> {
    for entry in fs::read_dir(root).context("listing the workspace")? {
        let entry = entry.context("listing the workspace")?;
        if entry.file_name() != ".git" {
            change_owner(&entry.path(), uid, gid)?;
        }
    }
    // The index notes each file's owner and time of change. Left as they were, the agent's first
    // `git status` would have to read every file again.
    restamp(repository, root)?;
    change_owner(&root.join(".git"), uid, gid)?;
    lchown(root, Some(uid), Some(gid)).context("giving the workspace away")
}

/// Gives `path` and everything in it away. Links themselves are given, not what they point at.
fn change_owner(path: &Path, uid: u32, gid: u32) -> anyhow::Result<()> {
    let context = || format!("giving {} away", path.display());
    if fs::symlink_metadata(path).with_context(context)?.is_dir() {
        for entry in fs::read_dir(path).with_context(context)? {
            change_owner(&entry.with_context(context)?.path(), uid, gid)?;
        }
    }
    lchown(path, Some(uid), Some(gid)).with_context(context)
}

fn restamp(repository: &Repository, root: &Path) -> anyhow::Result<()> {
    let mut index = repository.index().context("opening the index")?;
    for position in 0..index.len() {
        let Some(mut entry) = index.get(position) else { break };
        if entry.mode == GITLINK_MODE {
            continue;
        }
        let path = root.join(OsStr::from_bytes(&entry.path));
        let found = fs::symlink_metadata(&path).with_context(|| format!("looking at {}", path.display()))?;
        // The index keeps the low 32 bits of each, as git does.
        entry.ctime = IndexTime::new(found.ctime() as i32, found.ctime_nsec() as u32);
        entry.uid = found.uid();
        entry.gid = found.gid();
        index.add(&entry).with_context(|| format!("restamping {}", path.display()))?;
    }
    index.write().context("writing the index")
}
