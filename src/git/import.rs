//! The import of a hand-over: a git bundle whose bytes come from a container an agent has been in.
//! It goes into a throw-away bare repository, the quarantine, that borrows from the mirror;
//! `push.rs` pushes from there. Found here: is it a bundle of one commit, small enough, whole, and
//! built on what was expected. Whether what it changes may be published is the caller's to decide.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use git2::{Commit, ErrorClass, ErrorCode, ObjectType, Oid, Repository, Sort};

use super::bundle::{self, Header};
use super::changes::{self, Change};
use super::connectivity::{self, MissingObjects};
use super::filtered::{self, Filtered};
use super::mirror::init_bare;
use super::workspace::tree_size;
use super::{Mirror, borrow_objects, oid, pack, prepare, sha};
use crate::config::ByteSize;
use crate::ids::Sha;
use crate::paths::remove_tree;

/// The reference in a quarantine that holds the imported commit.
pub(super) const HAND_OVER: &str = "refs/hob/hand-over";
/// How many characters of a commit's subject or author are kept.
const SUMMARY_CHARS: usize = 200;

/// Where a hand-over goes and what it has to build on.
#[derive(Debug)]
pub struct ImportTarget<'a> {
    /// The folder for the throw-away repository. What is there from an earlier attempt is removed.
    pub quarantine: &'a Path,
    /// The commit its tip must be, or descend from. The mirror must have it.
    pub base: &'a Sha,
    /// The newest commit of the branch that the work is to go to. What a hand-over merges from
    /// there is not of its making.
    pub base_branch: Option<&'a Sha>,
    /// How much is taken.
    pub limits: ImportLimits,
}

/// How much of a hand-over is taken.
#[derive(Debug, Clone)]
pub struct ImportLimits {
    /// Bytes of the bundle.
    pub max_bytes: u64,
    /// Objects in its pack.
    pub max_objects: u64,
    /// Bytes of one object, unpacked. libgit2 holds such an object in memory, more than once.
    pub max_object_bytes: u64,
    /// Bytes of all objects together, unpacked.
    pub max_unpacked_bytes: u64,
    /// Bytes on disk of a checkout of the tip, in which each path counts: a blob of 10 MB in 500
    /// places is small in a pack.
    pub max_checkout_bytes: u64,
    /// Commits listed in the result; there may be more.
    pub max_commits: usize,
    /// Changed paths listed in the result; there may be more.
    pub max_changes: usize,
}

impl Default for ImportLimits {
    /// Room for large work of people's, and for any file GitHub takes (100 MiB).
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_objects: 200_000,
            max_object_bytes: 100 << 20,
            max_unpacked_bytes: 1 << 30,
            max_checkout_bytes: 20 << 30,
            max_commits: 250,
            max_changes: 10_000,
        }
    }
}

/// Why a hand-over was not taken. The texts may go to people; none quotes what the agent wrote.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is over one of the limits.
    #[error("the hand-over is too large: its {what} exceeds {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit it is over.
        limit: u64,
    },
    /// Checked out it would take more disk than this.
    #[error("a checkout of the work would exceed the {0} that `container.disk` allows")]
    CheckoutTooLarge(ByteSize),
    /// It is not a bundle, or not one git would make.
    #[error("the hand-over is not a valid bundle: {0}")]
    Malformed(String),
    /// Something its commits need is in neither bundle nor mirror.
    #[error("the hand-over is incomplete: {0}")]
    Incomplete(String),
    /// Its tip does not build on the commit it should.
    #[error("the hand-over does not build on the commit that the agent was given")]
    NotDescended,
    /// Our side failed: the disk, the mirror.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

/// One commit of a hand-over. Texts are shortened and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// Its id.
    pub sha: Sha,
    /// The first line of its message.
    pub subject: String,
    /// Who it says wrote it. Anyone can write anything here.
    pub author_name: String,
    /// Their address, by the same claim.
    pub author_email: String,
}

/// What kind of object [`Imported::for_each_new_object`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A file's content, or a link's target.
    Blob,
    /// A commit with its message.
    Commit,
    /// A folder: names and modes.
    Tree,
}

/// One object that is not in the mirror.
#[derive(Debug)]
pub struct NewObject<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// Its id.
    pub id: String,
    /// A blob's file name, without its folder; one of them, if it has several. Else empty.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A hand-over that is whole, in its quarantine.
#[derive(Debug)]
pub struct Imported {
    /// Its one commit.
    pub tip: Sha,
    /// The commits since the base, oldest first, at most `max_commits`, the newest if there are
    /// more. With what was merged in.
    pub commits: Vec<CommitSummary>,
    /// How many commits there are since the base.
    pub commit_count: usize,
    /// How many commits of the base branch were merged in. They count as no commits and as no
    /// changes here.
    pub merged_in: usize,
    /// The paths that differ between base and tip, in order.
    pub changes: Vec<Change>,
    /// Whether `changes` is not all. A policy that looks at paths has to refuse then.
    pub changes_truncated: bool,
    /// The changed files that are not what their filters make.
    pub filtered: Vec<Filtered>,
    /// The paths in which the whole branch differs from the base branch it left, as many as the
    /// limit allows. Empty where no base branch is named.
    pub branch_paths: Vec<String>,
    pub(super) quarantine: PathBuf,
    pub(super) base: Oid,
    pub(super) fresh: MissingObjects,
    pub(super) replaced: Vec<Oid>,
}

impl Imported {
    /// The repository it lies in, for [`super::Push`].
    pub fn quarantine(&self) -> &Path {
        &self.quarantine
    }

    /// Shows every object a push would make public and the mirror does not have, also those of
    /// commits whose changes a later commit took back. Stops at the first error of `look`.
    pub fn for_each_new_object(
        &self,
        mut look: impl FnMut(NewObject<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let repository = open_quarantine(&self.quarantine)?;
        let odb = repository.odb().context("opening the quarantine's object database")?;
        let commits = self.fresh.commits.iter().map(|id| (ObjectKind::Commit, *id, ""));
        let trees = self.fresh.trees.iter().map(|id| (ObjectKind::Tree, *id, ""));
        let blobs = self.fresh.blobs.iter().map(|(id, name)| (ObjectKind::Blob, *id, name.as_str()));
        for (kind, id, name) in commits.chain(trees).chain(blobs) {
            let object = odb.read(id).with_context(|| format!("reading {id}"))?;
            look(NewObject { kind, id: id.to_string(), name, bytes: object.data() })?;
        }
        Ok(())
    }

    /// Shows what stood, in the base and in what was merged of its branch, where something is
    /// different now: the bytes of files and folders.
    pub fn for_each_replaced_object(
        &self,
        mut look: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let repository = open_quarantine(&self.quarantine)?;
        let odb = repository.odb().context("opening the quarantine's object database")?;
        for id in &self.replaced {
            look(odb.read(*id).with_context(|| format!("reading {id}"))?.data())?;
        }
        Ok(())
    }

    /// Shows the content of every new file, as [`Self::for_each_new_object`] does.
    pub fn for_each_new_blob(
        &self,
        mut look: impl FnMut(NewObject<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.for_each_new_object(|object| match object.kind {
            ObjectKind::Blob => look(object),
            _ => Ok(()),
        })
    }
}

/// Takes a bundle in. On an error nothing of it is left.
pub fn import(
    mirror: &Mirror,
    hand_over: &ImportTarget<'_>,
    bundle: &mut dyn Read,
) -> Result<Imported, ImportError> {
    prepare().map_err(ImportError::Other)?;
    let result = import_into(mirror, hand_over, bundle);
    if result.is_err() {
        // If this fails too, the next attempt will meet the same folder and say so.
        let _ = remove_tree(hand_over.quarantine);
    }
    result
}

fn import_into(
    mirror: &Mirror,
    hand_over: &ImportTarget<'_>,
    bundle: &mut dyn Read,
) -> Result<Imported, ImportError> {
    let repository = make_quarantine(mirror, hand_over.quarantine).map_err(ImportError::Other)?;
    let base = oid(hand_over.base).map_err(ImportError::Other)?;
    let known = mirror.open().map_err(ImportError::Other)?;
    let known = known.odb().map_err(failed("opening the mirror's object database"))?;
    if !known.exists(base) {
        return Err(ImportError::Other(anyhow!("the mirror does not have the base {base}")));
    }
    let (header, mut spool) = receive(hand_over, bundle)?;
    if let Some(missing) = header.prerequisites.iter().find(|id| !known.exists(**id)) {
        return Err(ImportError::Incomplete(format!(
            "it builds on {missing}, which the mirror does not have"
        )));
    }
    pack::survey(&mut BufReader::new(&mut spool), &hand_over.limits)?;
    spool.rewind().context("rewinding the pack").map_err(ImportError::Other)?;
    index(&repository, &mut spool)?;
    drop(spool);

    check_tip(&repository, header.tip)?;
    let fresh = connectivity::walk(&repository, &known, header.tip)?;
    if header.tip != base {
        let descends = repository.graph_descendant_of(header.tip, base);
        if !descends.map_err(failed("looking for the base"))? {
            return Err(ImportError::NotDescended);
        }
    }
    check_size(&repository, header.tip, hand_over.limits.max_checkout_bytes)?;
    describe(&repository, hand_over, base, header.tip, fresh).map_err(ImportError::Other)
}

/// Anyone who looks at the work has to check it out.
fn check_size(repository: &Repository, tip: Oid, limit: u64) -> Result<(), ImportError> {
    let tree = repository.find_commit(tip).map_err(failed("reading the tip"))?.tree_id();
    match tree_size(repository, tree).map_err(ImportError::Other)? {
        bytes if bytes > limit => Err(ImportError::CheckoutTooLarge(ByteSize(limit))),
        _ => Ok(()),
    }
}

pub(super) fn make_quarantine(mirror: &Mirror, path: &Path) -> anyhow::Result<Repository> {
    remove_tree(path)?;
    init_bare(path)?;
    borrow_objects(path, mirror)?;
    open_quarantine(path)
}

pub(super) fn open_quarantine(path: &Path) -> anyhow::Result<Repository> {
    Repository::open_bare(path).with_context(|| format!("opening the quarantine {}", path.display()))
}

/// Reads the header and puts the pack into a file without a name, so that it can be looked through
/// first.
fn receive(
    hand_over: &ImportTarget<'_>,
    bundle: &mut dyn Read,
) -> Result<(Header, std::fs::File), ImportError> {
    let limit = hand_over.limits.max_bytes;
    let mut input = BufReader::new(bundle.take(limit.saturating_add(1)));
    let header = bundle::read_header(&mut input)?;
    let mut spool = tempfile::tempfile_in(hand_over.quarantine)
        .context("creating a file for the pack")
        .map_err(ImportError::Other)?;
    let length = io::copy(&mut input, &mut spool).context("storing the pack").map_err(ImportError::Other)?;
    if header.length + length > limit {
        return Err(ImportError::TooLarge { what: "size in bytes", limit });
    }
    spool.rewind().context("rewinding the pack").map_err(ImportError::Other)?;
    Ok((header, spool))
}

/// Hands the pack to libgit2, which checks its sums and gives each object the id of its content.
fn index(repository: &Repository, pack: &mut std::fs::File) -> Result<(), ImportError> {
    let odb = repository.odb().map_err(failed("opening the quarantine's object database"))?;
    let mut writer = odb.packwriter().map_err(failed("opening the quarantine for a pack"))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = pack.read(&mut buffer).context("reading the pack").map_err(ImportError::Other)?;
        if count == 0 {
            break;
        }
        if writer.write_all(&buffer[..count]).is_err() {
            // The error itself says nothing; libgit2 keeps the reason.
            return Err(not_indexed(git2::Error::last_error(-1)));
        }
    }
    writer.commit().map_err(not_indexed)?;
    Ok(())
}

fn not_indexed(error: git2::Error) -> ImportError {
    match error.class() {
        ErrorClass::Os | ErrorClass::NoMemory => failed("storing the pack")(error),
        _ => ImportError::Malformed(format!("its pack is unreadable: {}", error.message())),
    }
}

fn check_tip(repository: &Repository, tip: Oid) -> Result<(), ImportError> {
    let odb = repository.odb().map_err(failed("opening the quarantine's object database"))?;
    match odb.read_header(tip) {
        Ok((_, ObjectType::Commit)) => Ok(()),
        Ok((_, kind)) => Err(ImportError::Malformed(format!("its tip is a {kind}, not a commit"))),
        Err(error) if error.code() == ErrorCode::NotFound => {
            Err(ImportError::Incomplete(format!("its tip {tip} is missing")))
        }
        Err(error) => Err(ImportError::Malformed(format!("its tip is unreadable: {}", error.message()))),
    }
}

fn describe(
    repository: &Repository,
    hand_over: &ImportTarget<'_>,
    base: Oid,
    tip: Oid,
    fresh: MissingObjects,
) -> anyhow::Result<Imported> {
    // Needed to push: libgit2 pushes references only.
    repository
        .reference(HAND_OVER, tip, true, "hob: hand-over")
        .context("creating the reference for the hand-over")?;
    let merged = merged_in(repository, hand_over, base, tip, &fresh)?;
    let mut walk = repository.revwalk().context("listing the new commits")?;
    walk.push(tip)?;
    walk.hide(base)?;
    for id in &merged {
        walk.hide(*id)?;
    }
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    let mut commits = Vec::new();
    let mut commit_count = 0;
    for id in walk {
        commit_count += 1;
        if commits.len() < hand_over.limits.max_commits {
            commits.push(summary(&repository.find_commit(id.context("listing the new commits")?)?)?);
        }
    }
    commits.reverse();
    let tree = |commit: Oid| repository.find_commit(commit).map(|commit| commit.tree_id());
    let before: Vec<Oid> = [base].iter().chain(&merged).map(|id| tree(*id)).collect::<Result<_, _>>()?;
    let found = changes::between(repository, &before, tree(tip)?, hand_over.limits.max_changes)?;
    let new: HashSet<Oid> = fresh.blobs.iter().map(|(id, _)| *id).collect();
    let filtered = filtered::faults(repository, tip, &found.changes, &new)?;
    Ok(Imported {
        tip: sha(tip)?,
        commits,
        commit_count,
        merged_in: count(repository, &merged, base)?,
        changes: found.changes,
        changes_truncated: found.truncated,
        filtered,
        replaced: found.replaced,
        branch_paths: branch_paths(repository, hand_over, tip)?,
        quarantine: hand_over.quarantine.to_owned(),
        base,
        fresh,
    })
}

/// What the branch as a whole changes, path by path.
fn branch_paths(
    repository: &Repository,
    hand_over: &ImportTarget<'_>,
    tip: Oid,
) -> anyhow::Result<Vec<String>> {
    let Some(branch) = hand_over.base_branch else { return Ok(Vec::new()) };
    let left = match repository.merge_base(tip, oid(branch)?) {
        Ok(left) => left,
        // Two histories that have nothing in common.
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("finding the merge base"),
    };
    let tree = |commit: Oid| repository.find_commit(commit).map(|commit| commit.tree_id());
    let found = changes::between(repository, &[tree(left)?], tree(tip)?, hand_over.limits.max_changes)?;
    Ok(found.changes.into_iter().map(|change| change.path).collect())
}

/// The newest commits of the base branch that a hand-over has merged in.
fn merged_in(
    repository: &Repository,
    hand_over: &ImportTarget<'_>,
    base: Oid,
    tip: Oid,
    fresh: &MissingObjects,
) -> anyhow::Result<Vec<Oid>> {
    let Some(branch) = hand_over.base_branch else { return Ok(Vec::new()) };
    let branch = oid(branch)?;
    let holds = |commit: Oid, other: Oid| -> Result<bool, git2::Error> {
        Ok(commit == other || repository.graph_descendant_of(commit, other)?)
    };
    let new: HashSet<Oid> = fresh.commits.iter().copied().collect();
    // Where the history goes on that the mirror has.
    let mut known: BTreeSet<Oid> = BTreeSet::new();
    for id in &fresh.commits {
        known.extend(repository.find_commit(*id)?.parent_ids().filter(|parent| !new.contains(parent)));
    }
    known.extend((!new.contains(&tip)).then_some(tip));
    let mut merged: Vec<Oid> = Vec::new();
    for id in known {
        if holds(base, id)? || !holds(branch, id)? {
            continue;
        }
        let mut is_older = false;
        for other in &merged {
            is_older |= holds(*other, id)?;
        }
        if is_older {
            continue;
        }
        let mut kept = Vec::new();
        for other in merged {
            if !holds(id, other)? {
                kept.push(other);
            }
        }
        kept.push(id);
        merged = kept;
    }
    Ok(merged)
}

/// How many commits lie in the histories of some and not in that of the other.
fn count(repository: &Repository, commits: &[Oid], without: Oid) -> anyhow::Result<usize> {
    let mut walk = repository.revwalk().context("counting commits")?;
    for id in commits {
        walk.push(*id)?;
    }
    walk.hide(without)?;
    Ok(walk.count())
}

fn summary(commit: &Commit<'_>) -> anyhow::Result<CommitSummary> {
    let message = String::from_utf8_lossy(commit.message_bytes());
    let author = commit.author();
    Ok(CommitSummary {
        sha: sha(commit.id())?,
        subject: shortened(message.trim_start().lines().next().unwrap_or("")),
        author_name: shortened(&String::from_utf8_lossy(author.name_bytes())),
        author_email: shortened(&String::from_utf8_lossy(author.email_bytes())),
    })
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SUMMARY_CHARS).collect()
}

fn failed(doing: &'static str) -> impl Fn(git2::Error) -> ImportError {
    move |error| ImportError::Other(anyhow::Error::new(error).context(doing))
}
