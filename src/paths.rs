//! Where things lie in the data folder, and the lock that keeps a second hob out of it. The layout
//! is drawn in `docs/internals.md`; no other module puts a path together.

mod tree;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};

use crate::fail_point::{Timing, reach};
use crate::ids::{RunId, StoryId};

pub use tree::{DiskUsage, measure, remove_tree, used_space};

/// Of so many bytes that are to be free, one is for a file. Disks are usually made with four times
/// as many.
const BYTES_PER_FILE: u64 = 64 << 10;
/// The ending of a folder that is only waiting to be removed.
const GONE: &str = "gone";
/// The ending of a folder that is being made.
const DRAFT: &str = "new";

/// The data folder.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// The lock on a data folder; it is held as long as this lives, and the kernel lets it go when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct DataLock(#[allow(dead_code)] Flock<File>);

/// The folders of one story that its container sees.
#[derive(Debug, Clone)]
pub struct StoryPaths {
    /// The folder that holds the rest.
    pub folder: PathBuf,
    /// The agent's clone, `/workspace` in the container.
    pub workspace: PathBuf,
    /// The agent's home, `/home/agent` in the container.
    pub home: PathBuf,
    /// The exchange, `/hob` in the container.
    pub exchange: PathBuf,
    /// The throw-away repository in which a base branch is merged. hob's own. Temporary.
    pub join: PathBuf,
    /// The base branch's agent settings, for a workspace to be put back to. hob's own.
    pub settings: PathBuf,
}

/// The record of one run.
#[derive(Debug, Clone)]
pub struct RunPaths {
    /// The folder that holds the rest.
    pub folder: PathBuf,
    /// What the agent printed.
    pub stdout: PathBuf,
    /// What it complained.
    pub stderr: PathBuf,
    /// Files that the agent left for people.
    pub drops: PathBuf,
    /// What the agent is told, where it can be told things while it works: its prompt, then
    /// messages, JSON lines.
    pub inbox: PathBuf,
    /// hob's own record of the run, JSON.
    pub record: PathBuf,
    /// What the agent was told.
    pub prompt: PathBuf,
    /// The template that it was made with.
    pub template: PathBuf,
    /// What is to be known of its making, JSON; it becomes a part of the record.
    pub prompt_facts: PathBuf,
    /// The hand-over as it came out of the container. Temporary.
    pub bundle: PathBuf,
    /// The throw-away repository that a hand-over is imported into. Temporary.
    pub quarantine: PathBuf,
    /// The checkout and the home of a check. Temporary.
    pub checks: PathBuf,
}

impl DataDir {
    /// Takes a folder as data folder and makes what is missing. Nobody else may look inside.
    pub fn ensure(root: &Path) -> anyhow::Result<DataDir> {
        let make = |path: &Path| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .with_context(|| format!("creating {}", path.display()))
        };
        make(root)?;
        // Mounts are made from paths, and Docker wants them absolute.
        let root = root.canonicalize().with_context(|| format!("resolving {}", root.display()))?;
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("restricting access to {}", root.display()))?;
        for name in ["mirrors", "stories", "runs"] {
            make(&root.join(name))?;
        }
        Ok(DataDir { root })
    }

    /// A data folder as it is, for a look beside a running hob: nothing is made and nothing is
    /// changed.
    pub fn beside(root: &Path) -> DataDir {
        DataDir { root: root.to_owned() }
    }

    /// What the parts of the folder take up on disk: their names and bytes, the store last.
    pub fn space(&self) -> Vec<(&'static str, u64)> {
        let parts = ["stories", "runs", "mirrors"];
        let mut space: Vec<_> = parts.map(|name| (name, used_space(&self.root.join(name)))).into();
        // Two files of SQLite's lie beside the store while it is open.
        let files = ["hob.db", "hob.db-wal", "hob.db-shm"];
        space.push(("store", files.map(|name| used_space(&self.root.join(name))).iter().sum()));
        space
    }

    /// Takes the lock, or says that another hob has it.
    pub fn lock(&self) -> anyhow::Result<DataLock> {
        let path = self.root.join("lock");
        let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(DataLock(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                anyhow::bail!(
                    "another hob is using {}; use a separate data folder for each",
                    self.root.display()
                )
            }
            Err((_, e)) => Err(e).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Whether a hob is using it. Makes nothing.
    pub fn is_in_use(&self) -> bool {
        let Ok(file) = File::open(self.root.join("lock")) else { return false };
        matches!(Flock::lock(file, FlockArg::LockExclusiveNonblock), Err((_, nix::errno::Errno::EWOULDBLOCK)))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.root.join("hob.db")
    }

    /// The folder of all mirrors.
    pub fn mirrors(&self) -> PathBuf {
        self.root.join("mirrors")
    }

    /// The bare mirror of a repository, by its folder as the store knows it.
    pub fn mirror(&self, folder: &str) -> PathBuf {
        self.mirrors().join(folder)
    }

    /// hob's own program as containers can run it. Made again by each hob that needs it.
    pub fn proxy(&self) -> PathBuf {
        self.root.join("proxy")
    }

    /// The folders of a story.
    pub fn story(&self, story: StoryId) -> StoryPaths {
        let folder = self.stories().join(story.to_string());
        StoryPaths {
            workspace: folder.join("workspace"),
            home: folder.join("home"),
            exchange: folder.join("exchange"),
            settings: folder.join("settings"),
            join: folder.join("join.git"),
            folder,
        }
    }

    /// The folder in which each story has its own.
    pub fn stories(&self) -> PathBuf {
        self.root.join("stories")
    }

    /// The folder in which each run has its record.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The record of a run.
    pub fn run(&self, run: RunId) -> RunPaths {
        let folder = self.runs().join(run.to_string());
        RunPaths {
            stdout: folder.join("stdout.jsonl"),
            stderr: folder.join("stderr.log"),
            drops: folder.join("drops"),
            inbox: folder.join("inbox.jsonl"),
            record: folder.join("run.json"),
            prompt: folder.join("prompt.md"),
            template: folder.join("prompt.md.j2"),
            prompt_facts: folder.join("prompt.json"),
            bundle: folder.join("hand-over.bundle"),
            quarantine: folder.join("quarantine.git"),
            checks: folder.join("checks"),
            folder,
        }
    }
}

/// What is free on a disk, as far as hob may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// In bytes.
    pub bytes: u64,
    /// How many files there may be more. Nothing where the disk does not count them.
    pub files: Option<u64>,
}

impl DiskSpace {
    /// Whether there is less than so many bytes, or than the files that go with them: empty ones
    /// use a disk up too.
    pub fn is_below(&self, bytes: u64) -> bool {
        self.bytes < bytes || self.files.is_some_and(|files| files < bytes / BYTES_PER_FILE)
    }
}

/// What is free on the disk of a folder.
pub fn free_space(path: &Path) -> anyhow::Result<DiskSpace> {
    let disk = nix::sys::statvfs::statvfs(path)
        .with_context(|| format!("reading the free space of {}", path.display()))?;
    Ok(DiskSpace {
        bytes: disk.blocks_available() * disk.fragment_size(),
        files: (disk.files() > 0).then(|| disk.files_available()),
    })
}

/// Makes a file, or empties it, that only its owner may read and write.
pub fn create_private(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // One that was there keeps its mode otherwise.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The same, with this content.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    create_private(path)?.write_all(content)
}

/// Removes a file, if it is there.
pub fn remove_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Takes a folder out of use, whole and at once: it gets another name, under which [`remove_gone`]
/// finds it. What has that name from before must be removed already. False: there is no such
/// folder.
pub fn put_away(path: &Path) -> anyhow::Result<bool> {
    reach("disk", "put-away", Timing::Before);
    match std::fs::rename(path, gone(path)) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e).with_context(|| format!("moving {} away", path.display())),
    }
    reach("disk", "put-away", Timing::After);
    Ok(true)
}

/// Removes what [`put_away`] left. It can be large.
pub fn remove_gone(path: &Path) -> anyhow::Result<()> {
    let gone = gone(path);
    if gone.symlink_metadata().is_err() {
        return Ok(());
    }
    reach("disk", "remove-gone", Timing::Before);
    remove_tree(&gone)?;
    reach("disk", "remove-gone", Timing::After);
    Ok(())
}

/// Whether something was put away there and not yet removed.
pub fn is_gone(path: &Path) -> bool {
    gone(path).symlink_metadata().is_ok()
}

/// Where a folder is made that will be at `path` when it is complete.
pub fn draft(path: &Path) -> PathBuf {
    path.with_extension(DRAFT)
}

fn gone(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(GONE);
    PathBuf::from(name)
}

/// The names in a folder that can be read as ids. Others are not hob's, or are what is left of one:
/// `id.gone`.
pub fn ids_in<T: std::str::FromStr>(folder: &Path) -> anyhow::Result<Vec<T>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_suffix(".gone").unwrap_or(&name).parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_hob_is_kept_out_and_let_in_when_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::ensure(&folder.path().join("data")).unwrap();
        let lock = data.lock().unwrap();
        assert!(data.lock().unwrap_err().to_string().starts_with("another hob is using"));
        drop(lock);
        data.lock().unwrap();
    }

    #[test]
    fn a_folder_is_put_away_at_once_and_removed_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workspace");
        assert!(!put_away(&path).unwrap());
        std::fs::create_dir_all(path.join("deep")).unwrap();
        assert!(put_away(&path).unwrap());
        assert!(!path.exists() && is_gone(&path));
        remove_gone(&path).unwrap();
        remove_gone(&path).unwrap();
        assert!(!is_gone(&path) && std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_disk_without_files_left_is_as_full_as_one_without_bytes() {
        let gib = 1 << 30;
        let free = |bytes, files| DiskSpace { bytes, files };
        assert!(!free(gib, Some(20_000)).is_below(gib) && free(gib - 1, Some(20_000)).is_below(gib));
        assert!(free(u64::MAX, Some(10_000)).is_below(gib) && !free(gib, None).is_below(gib));
        assert!(!free(0, Some(0)).is_below(0));
        let here = free_space(Path::new("/tmp")).unwrap();
        assert!(here.bytes > 0 && here.files != Some(0), "{here:?}");
    }
}
