//! Commits of two sides brought together: by a merge, or by a rebase, which makes one side's
//! commits again on top of the other's. It happens in a throw-away repository of hob's own that
//! borrows from the mirror, without a work tree; what conflicts is told, and left to someone who
//! can solve it. `push.rs` pushes from there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use git2::{Commit, ErrorCode, Index, ObjectType, Oid, Repository, Signature, Sort, Time};

use super::drivers::merged_otherwise;
use super::import::{HAND_OVER, make_quarantine, open_quarantine};
use super::{Mirror, oid, prepare, sha};
use crate::ids::Sha;
use serde::{Deserialize, Serialize};

/// Two sides to bring together.
#[derive(Debug)]
pub struct Join<'a> {
    /// The repository that it is done in: an import's, or an [`empty_quarantine`].
    pub quarantine: &'a Path,
    /// The commit that is built on.
    pub ours: &'a Sha,
    /// The commit that is brought in.
    pub theirs: &'a Sha,
    /// Where ours begins, for a rebase onto a history that was rewritten: this commit and all
    /// before it stay behind. Absent: where the two parted.
    pub after: Option<&'a Sha>,
    /// The message of a merge.
    pub message: &'a str,
    /// Whose name stands on it.
    pub by: (&'a str, &'a str),
    /// When, in seconds since 1970.
    pub at: i64,
}

/// How that went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joined {
    /// This commit has both, and can be pushed. So many commits are new in it: those brought in by
    /// a merge, or those that a rebase made again.
    Done {
        /// The commit.
        tip: Sha,
        /// How many.
        commits: usize,
    },
    /// Ours has all of theirs.
    UpToDate,
    /// Theirs has all of ours.
    Contained,
    /// These paths conflict, or are to be merged in a way that libgit2 does not know.
    Conflicts(Vec<String>),
    /// The two have no commit in common.
    Unrelated,
}

/// Makes a repository for a [`Join`] of commits that the mirror has. What is there from an earlier
/// attempt is removed.
pub fn empty_quarantine(mirror: &Mirror, path: &Path) -> anyhow::Result<()> {
    prepare()?;
    make_quarantine(mirror, path).map(drop)
}

/// Merges theirs into ours.
pub fn merge(join: &Join<'_>) -> anyhow::Result<Joined> {
    let repository = open(join)?;
    let (ours, theirs) = sides(&repository, join)?;
    if let Some(known) = compared(&repository, &ours, &theirs)? {
        return Ok(known);
    }
    if let Some(others) = otherwise(&repository, &ours, &theirs, None)? {
        return Ok(others);
    }
    let mut index = repository.merge_commits(&ours, &theirs, None).context("merging two commits")?;
    if let Some(conflicts) = conflicts(&index)? {
        return Ok(conflicts);
    }
    let tree = index.write_tree_to(&repository).context("writing the merge")?;
    let tree = repository.find_tree(tree).context("reading the merge")?;
    let by = Signature::new(join.by.0, join.by.1, &Time::new(join.at, 0))
        .context("creating the author's signature")?;
    let tip = repository
        .commit(None, &by, &by, join.message, &tree, &[&ours, &theirs])
        .context("committing the merge")?;
    let (commits, _) =
        repository.graph_ahead_behind(theirs.id(), ours.id()).context("counting the commits")?;
    done(&repository, tip, commits)
}

/// Replays the commits that only ours has on top of theirs. As `git rebase` does
/// it: merges fall away, and so does what theirs has already.
pub fn rebase(join: &Join<'_>) -> anyhow::Result<Joined> {
    let repository = open(join)?;
    let (ours, theirs) = sides(&repository, join)?;
    let after = join.after.map(oid).transpose()?;
    let own = own_commits(&repository, ours.id(), &[Some(theirs.id()), after])?;
    match compared(&repository, &ours, &theirs)? {
        // With merges in between it can be made straight all the same.
        Some(Joined::UpToDate) if own.iter().any(|commit| commit.parent_count() > 1) => {}
        // What was rewritten may have gone back behind ours, or have nothing in common with it.
        Some(_) if after.is_some() => {}
        Some(known) => return Ok(known),
        None => {}
    }
    if let Some(others) = otherwise(&repository, &ours, &theirs, after)? {
        return Ok(others);
    }
    let mut onto = theirs;
    let mut commits = 0;
    for commit in own.iter().filter(|commit| commit.parent_count() == 1) {
        let mut index = repository.cherrypick_commit(commit, &onto, 0, None).context("replaying a commit")?;
        if let Some(conflicts) = conflicts(&index)? {
            return Ok(conflicts);
        }
        let tree = index.write_tree_to(&repository).context("rewriting a commit")?;
        let was_empty = commit.parent(0)?.tree_id() == commit.tree_id();
        if tree == onto.tree_id() && !was_empty {
            continue;
        }
        onto = replayed(&repository, commit, tree, onto.id(), join)?;
        commits += 1;
    }
    if commits == 0 {
        return Ok(Joined::Contained);
    }
    done(&repository, onto.id(), commits)
}

/// The newest commit that lies in the history of both, as a quarantine and the mirror that it
/// borrows from know them.
pub fn merge_base_in(quarantine: &Path, one: &Sha, other: &Sha) -> anyhow::Result<Option<Sha>> {
    prepare()?;
    match open_quarantine(quarantine)?.merge_base(oid(one)?, oid(other)?) {
        Ok(found) => sha(found).map(Some),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error).context("finding the merge base"),
    }
}

fn open(join: &Join<'_>) -> anyhow::Result<Repository> {
    prepare()?;
    open_quarantine(join.quarantine)
}

fn sides<'a>(repository: &'a Repository, join: &Join<'_>) -> anyhow::Result<(Commit<'a>, Commit<'a>)> {
    let find = |id: &Sha| -> anyhow::Result<Commit<'a>> {
        repository.find_commit(oid(id)?).with_context(|| format!("finding {id}"))
    };
    Ok((find(join.ours)?, find(join.theirs)?))
}

/// What is known without a merge.
fn compared(
    repository: &Repository,
    ours: &Commit<'_>,
    theirs: &Commit<'_>,
) -> anyhow::Result<Option<Joined>> {
    let base = match repository.merge_base(ours.id(), theirs.id()) {
        Ok(base) => base,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Some(Joined::Unrelated)),
        Err(error) => return Err(error).context("finding the merge base"),
    };
    Ok(match base {
        base if base == theirs.id() => Some(Joined::UpToDate),
        base if base == ours.id() => Some(Joined::Contained),
        _ => None,
    })
}

fn otherwise(
    repository: &Repository,
    ours: &Commit<'_>,
    theirs: &Commit<'_>,
    since: Option<Oid>,
) -> anyhow::Result<Option<Joined>> {
    let paths = merged_otherwise(repository, ours, theirs, since)?;
    Ok((!paths.is_empty()).then_some(Joined::Conflicts(paths)))
}

/// The commits that ours has and none of the others, each after its parents.
fn own_commits<'a>(
    repository: &'a Repository,
    ours: Oid,
    others: &[Option<Oid>],
) -> anyhow::Result<Vec<Commit<'a>>> {
    let mut walk = repository.revwalk().context("listing commits")?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(ours)?;
    for other in others.iter().flatten() {
        walk.hide(*other)?;
    }
    walk.map(|id| Ok(repository.find_commit(id.context("listing commits")?)?)).collect()
}

fn conflicts(index: &Index) -> anyhow::Result<Option<Joined>> {
    if !index.has_conflicts() {
        return Ok(None);
    }
    let mut paths = BTreeSet::new();
    for conflict in index.conflicts().context("listing conflicts")? {
        let conflict = conflict.context("reading a conflict")?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        paths.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    Ok(Some(Joined::Conflicts(paths.into_iter().collect())))
}

/// A commit on another parent: author, message and its encoding stay; a signature would not fit any
/// more.
fn replayed<'a>(
    repository: &'a Repository,
    commit: &Commit<'_>,
    tree: Oid,
    parent: Oid,
    join: &Join<'_>,
) -> anyhow::Result<Commit<'a>> {
    let head = commit.raw_header_bytes();
    let line = |name: &[u8]| head.split(|byte| *byte == b'\n').find(|line| line.starts_with(name));
    let Some(author) = line(b"author ") else { bail!("{} has no author", commit.id()) };
    let committer = format!("committer {} <{}> {} +0000", join.by.0, join.by.1, join.at);
    let mut bytes = format!("tree {tree}\nparent {parent}\n").into_bytes();
    for line in [Some(author), Some(committer.as_bytes()), line(b"encoding ")].into_iter().flatten() {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(commit.message_raw_bytes());
    let odb = repository.odb().context("opening the quarantine's object database")?;
    let new = odb.write(ObjectType::Commit, &bytes).context("rewriting a commit")?;
    repository.find_commit(new).context("reading the rewritten commit")
}

/// Names the commit, since libgit2 pushes references only.
fn done(repository: &Repository, tip: Oid, commits: usize) -> anyhow::Result<Joined> {
    repository.reference(HAND_OVER, tip, true, "hob: join").context("creating the reference for the join")?;
    Ok(Joined::Done { tip: sha(tip)?, commits })
}
