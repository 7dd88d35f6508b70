//! The bare mirror of a repository: hob's own copy, fetched by hob alone and therefore trusted.
//! Workspaces and quarantines borrow its objects. Only what its branches and the pins of stories
//! reach stays in it (`prune.rs`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use git2::{
    AutotagOption, Direction, ErrorCode, FetchOptions, ObjectType, RemoteUpdateFlags, Repository,
    RepositoryInitOptions,
};

use super::{Remote, RemoteError, oid, prepare, prune, sha, transport};
use crate::fail_point::around;
use crate::ids::{Sha, StoryId};
use crate::paths::{remove_file, remove_tree};

/// Every branch of the remote, under its own name. Tags and everything else stay where they are.
const BRANCHES: &str = "+refs/heads/*:refs/heads/*";

/// The file that is there while a mirror is known to hold nothing but what its references reach.
const CLEAN: &str = "hob-clean";

/// A bare mirror on disk. Cheap to clone; each call opens the repository again.
#[derive(Debug, Clone)]
pub struct Mirror {
    path: PathBuf,
}

impl Mirror {
    /// The mirror at `path` (`<data>/mirrors/_/<id>.git`), made empty if it is not there yet.
    pub fn ensure(path: &Path) -> anyhow::Result<Mirror> {
        prepare()?;
        let parent = path.parent().context("the mirror's path has no parent folder")?;
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        let _lock = lock(path)?;
        if !path.exists() {
            // Made beside its place and renamed: a mirror that exists is a whole one, whenever hob
            // is killed.
            let new = sibling(path, "new")?;
            remove_tree(&new)?;
            init_bare(&new)?;
            File::create(new.join(CLEAN)).context("marking the mirror as clean")?;
            around("disk", "mirror-rename", || fs::rename(&new, path))
                .with_context(|| format!("renaming {} into place", new.display()))?;
        }
        // Absolute and without links, since it is written into alternates and mounted at the same
        // path.
        let path = fs::canonicalize(path).with_context(|| format!("resolving {}", path.display()))?;
        let mirror = Mirror { path };
        mirror.open()?;
        Ok(mirror)
    }

    /// Makes the branches here those of `remote`: new and moved ones are fetched, vanished ones
    /// dropped, and so are objects that nothing reaches any more. Nothing about the remote is
    /// stored. Two fetches of one mirror take turns.
    pub fn fetch(&self, remote: &Remote) -> Result<(), RemoteError> {
        let _lock = lock(&self.path).map_err(RemoteError::Other)?;
        let repository = self.open().map_err(RemoteError::Other)?;
        let clean = self.path.join(CLEAN);
        let was_clean = clean.exists();
        let before = prune::tips(&repository, "refs/heads/*").map_err(RemoteError::Other)?;
        let fetch = || {
            let mut source = repository.remote_anonymous(&remote.url)?;
            source.connect(Direction::Fetch)?;
            let mut options = FetchOptions::new();
            options.download_tags(AutotagOption::None).update_fetchhead(false);
            source.download(&[BRANCHES], Some(&mut options))?;
            // Until it is known what the update has left behind.
            remove_file(&clean).map_err(|error| git2::Error::from_str(&format!("{error:#}")))?;
            // Before the update, or a branch `a/b` could not come where a vanished branch `a` was.
            source.prune(None)?;
            source.update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)?;
            source.disconnect()
        };
        around("git", "fetch", || transport::with_session(remote, &self.path, fetch))?;
        let before: Vec<_> = before.into_iter().collect();
        let tidied = (|| {
            if !was_clean || !prune::is_reached(&repository, &before)? {
                let (began, removed) = (Instant::now(), prune::prune(&repository)?);
                tracing::debug!(removed, duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), mirror = %self.path.display(), "pruned unreachable objects");
            }
            File::create(&clean).context("marking the mirror as clean").map(drop)
        })();
        tidied.map_err(RemoteError::Other)
    }

    /// The commit a branch points at, or `None` if there is no such branch.
    pub fn branch(&self, name: &str) -> anyhow::Result<Option<Sha>> {
        let repository = self.open()?;
        let found = match repository.find_reference(&super::branch_reference(name)) {
            Ok(reference) => reference.peel(ObjectType::Commit).context("reading a branch")?.id(),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("looking up the branch {name}")),
        };
        sha(found).map(Some)
    }

    /// Whether the remote had no branch at all.
    pub fn is_empty(&self) -> anyhow::Result<bool> {
        let repository = self.open()?;
        let mut branches = repository.references_glob("refs/heads/*").context("listing branches")?;
        Ok(branches.next().is_none())
    }

    /// The branches that keep one of this name from being made: git keeps a branch where another
    /// needs a folder. At most `most`.
    pub fn in_the_way_of(&self, name: &str, most: usize) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for (at, _) in name.match_indices('/') {
            if self.branch(&name[..at])?.is_some() {
                found.push(name[..at].to_owned());
            }
        }
        let repository = self.open()?;
        let below = repository.references_glob(&format!("{}/*", super::branch_reference(name)));
        for reference in below.context("listing branches")? {
            let reference = reference.context("listing branches")?;
            // One whose name is not UTF-8 is in the way all the same, and cannot be named.
            let name = reference.name().ok().and_then(|name| name.strip_prefix("refs/heads/"));
            found.extend(name.map(str::to_owned));
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    /// Whether a commit holds another in its history. A commit holds itself. One that is not here
    /// is in the history of none.
    pub fn holds(&self, commit: &Sha, other: &Sha) -> anyhow::Result<bool> {
        let (commit, other) = (oid(commit)?, oid(other)?);
        if commit != other && self.open()?.find_commit(other).is_err() {
            return Ok(false);
        }
        let holds = commit == other
            || self.open()?.graph_descendant_of(commit, other).context("comparing two commits")?;
        Ok(holds)
    }

    /// The newest commit that lies in the history of both, if there is one.
    pub fn merge_base(&self, one: &Sha, other: &Sha) -> anyhow::Result<Option<Sha>> {
        match self.open()?.merge_base(oid(one)?, oid(other)?) {
            Ok(found) => sha(found).map(Some),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error).context("finding the merge base"),
        }
    }

    /// How many commits lie in the history of one commit and not in that of the other.
    pub fn ahead(&self, commit: &Sha, of: &Sha) -> anyhow::Result<usize> {
        let (commit, of) = (oid(commit)?, oid(of)?);
        let (ahead, _) = self.open()?.graph_ahead_behind(commit, of).context("comparing two commits")?;
        Ok(ahead)
    }

    /// The folder of objects, absolute. A container that uses a workspace needs it read-only at
    /// this path.
    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Holds on to `at` and everything behind it for a story, even if its branch vanishes and
    /// somebody runs a gc by hand. Adds to what the story holds already: its workspace may borrow
    /// from older commits.
    pub fn pin(&self, story: StoryId, at: &Sha) -> anyhow::Result<()> {
        // Not while a fetch looks for what nothing reaches.
        let _lock = lock(&self.path)?;
        let repository = self.open()?;
        let commit =
            repository.find_commit(oid(at)?).with_context(|| format!("finding {at} in the mirror"))?;
        let name = format!("{}{at}", pins(story));
        around("git", "pin", || repository.reference(&name, commit.id(), true, "hob: pin"))
            .with_context(|| format!("pinning {at}"))?;
        Ok(())
    }

    /// Lets go of everything a story held. To be called when its workspace is gone. Calling it
    /// twice is fine.
    pub fn unpin(&self, story: StoryId) -> anyhow::Result<()> {
        let _lock = lock(&self.path)?;
        let repository = self.open()?;
        let found = repository.references_glob(&format!("{}*", pins(story))).context("listing pins")?;
        let mut held = Vec::new();
        for reference in found {
            let mut reference = reference.context("removing a pin")?;
            held.extend(reference.target());
            reference.delete().context("removing a pin")?;
        }
        // What it alone has held goes with the next fetch, before anybody else gets a workspace.
        if !held.is_empty() && !prune::is_reached(&repository, &held)? {
            remove_file(&self.path.join(CLEAN))?;
        }
        Ok(())
    }

    pub(super) fn open(&self) -> anyhow::Result<Repository> {
        prepare()?;
        Repository::open_bare(&self.path)
            .with_context(|| format!("opening the mirror {}", self.path.display()))
    }
}

/// Removes the lock files that a hob which was killed has left in the mirrors below `folder`
/// (`<owner>/<repo>.git`): libgit2 makes one beside each file of references that it writes, and
/// while it is there nobody writes that file again. Returns how many there were. Only for who has
/// the mirrors for themselves and has begun nothing yet.
pub fn remove_stale_locks(folder: &Path) -> anyhow::Result<usize> {
    let mut removed = 0;
    for mirror in
        entries(folder)?.iter().map(|owner| entries(owner)).collect::<anyhow::Result<Vec<_>>>()?.concat()
    {
        // The mirror's own files, and all references; a `<repo>.git.lock` beside it is hob's own
        // and stays.
        let mut left = vec![mirror.join("refs")];
        let mut files = entries(&mirror)?;
        while let Some(folder) = left.pop() {
            for entry in entries(&folder)? {
                let is_folder = entry.symlink_metadata().is_ok_and(|found| found.is_dir());
                if is_folder { left.push(entry) } else { files.push(entry) }
            }
        }
        for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "lock")) {
            fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
            tracing::warn!(file = %file.display(), "removing a stale git lock");
            removed += 1;
        }
    }
    Ok(removed)
}

/// What lies in a folder; nothing where it is none.
pub(super) fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let listed: std::io::Result<Vec<PathBuf>> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    listed.with_context(|| format!("listing {}", folder.display()))
}

fn pins(story: StoryId) -> String {
    format!("refs/hob/stories/{story}/")
}

/// Makes an empty bare repository without templates, in which no gc runs by itself.
pub(super) fn init_bare(path: &Path) -> anyhow::Result<Repository> {
    let mut options = RepositoryInitOptions::new();
    options.bare(true).no_reinit(true).mkpath(true).external_template(false);
    let repository =
        Repository::init_opts(path, &options).with_context(|| format!("creating {}", path.display()))?;
    let mut config = repository.config().context("opening the configuration")?;
    config.set_i32("gc.auto", 0).context("turning gc off")?;
    Ok(repository)
}

/// The path with `.<ending>` added to its last part.
pub(super) fn sibling(path: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| anyhow!("{} has no name", path.display()))?.to_owned();
    name.push(".");
    name.push(ending);
    Ok(path.with_file_name(name))
}

/// Waits for the mirror's lock and holds it until dropped. The kernel lets go of it should hob be
/// killed.
fn lock(mirror: &Path) -> anyhow::Result<File> {
    let path = sibling(mirror, "lock")?;
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(file)
}
