//! Trees that an agent has written, removed and measured whatever their shape: nested deeper than a
//! path can name, with folders that are closed to their owner, with links that lead elsewhere. One
//! way down for each, by descriptors and never by a path that leads through the tree: no link is
//! followed, and neither the stack nor the number of open files grows with the depth.

use std::ffi::{CStr, CString, OsStr};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::NixPath;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Folders that are open at once, one in another.
const MAX_OPEN: usize = 32;
/// Names that are held at once of one folder.
const AT_ONCE: usize = 1024;
/// Bytes of a path below an open folder, beyond which another folder is opened to go on from. With
/// one more name, the longest being 255, far less than the 4,096 that Linux takes.
const FAR: usize = 2048;
/// What an entry takes up at least, however empty: its place in the folder and in the disk's table
/// of files.
const MIN_FILES: u64 = 1024;

/// What its owner needs to list a folder and to look at what is in it.
const OWNER_LOOKS: Mode = Mode::S_IRUSR.union(Mode::S_IXUSR);

fn folder_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC
}

/// Removes a folder that an agent has written, or that it had before it ended, whatever is in it.
/// Links are removed, not followed. Folders that are closed to their owner are opened first, as
/// Go's module cache wants. Must not be called while somebody can still write there: what is added
/// meanwhile makes it fail.
pub fn remove_tree(path: &Path) -> anyhow::Result<()> {
    let context = || format!("removing {}", path.display());
    match path.symlink_metadata() {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(context),
        Ok(found) if !found.is_dir() => return super::remove_file(path),
        Ok(_) => {}
    }
    // As the errors of std, by which a disk's trouble is known (`store/fault.rs`).
    let emptied = open_to_empty(AT_FDCWD, path).and_then(|top| top.map_or(Ok(()), empty));
    let removed = emptied.map_err(std::io::Error::from).and_then(|()| std::fs::remove_dir(path));
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).with_context(context),
        _ => Ok(()),
    }
}

/// A folder on the way down.
struct Level {
    folder: Dir,
    /// Its name in the one above.
    name: CString,
    /// Folders in it that are still to be emptied.
    inner: Vec<CString>,
}

/// Removes all that is in a folder. What lies deeper than may be open is moved up to the top, and
/// has its turn there.
fn empty(top: Dir) -> nix::Result<()> {
    let mut levels = vec![Level { folder: top, name: CString::default(), inner: Vec::new() }];
    let mut moved = 0;
    loop {
        let is_deepest = levels.len() == MAX_OPEN;
        let Some(here) = levels.last_mut() else { return Ok(()) };
        if let Some(name) = here.inner.pop() {
            if is_deepest {
                move_up(&levels, &name, &mut moved)?;
            } else if let Some(folder) = open_to_empty(&here.folder, name.as_c_str())? {
                levels.push(Level { folder, name, inner: Vec::new() });
            }
            continue;
        }
        let entries = some_of(&mut here.folder)?;
        if entries.is_empty() {
            let done = levels.pop();
            if let (Some(done), Some(above)) = (done, levels.last()) {
                gone(unlinkat(&above.folder, done.name.as_c_str(), UnlinkatFlags::RemoveDir))?;
            }
            continue;
        }
        for (name, is_folder) in entries {
            if is_folder || !remove_one(&here.folder, &name)? {
                here.inner.push(name);
            }
        }
    }
}

/// The first entries of a folder, and whether each is a folder for sure.
fn some_of(folder: &mut Dir) -> nix::Result<Vec<(CString, bool)>> {
    let mut found = Vec::new();
    for entry in folder.iter() {
        let entry = entry?;
        if !is_dots(entry.file_name()) {
            found.push((entry.file_name().to_owned(), entry.file_type() == Some(Type::Directory)));
        }
        if found.len() == AT_ONCE {
            break;
        }
    }
    Ok(found)
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Removes what is no folder. False: it is one.
fn remove_one(folder: &Dir, name: &CStr) -> nix::Result<bool> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR) => Ok(false),
        removed => gone(removed).map(|()| true),
    }
}

/// Moves a folder of the deepest level to the top, under a name that is free there.
fn move_up(levels: &[Level], name: &CStr, moved: &mut u64) -> nix::Result<()> {
    let (Some(top), Some(here)) = (levels.first(), levels.last()) else { return Ok(()) };
    let mut is_unlocked = false;
    loop {
        *moved += 1;
        match renameat(&here.folder, name, &top.folder, format!(".moved-{moved}").as_str()) {
            // Taken by something of the agent's. An empty folder would have made room.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
            // What moves must itself be open to its owner, since its `..` changes.
            Err(Errno::EACCES) if !is_unlocked => {
                unlock(&here.folder, name, Mode::S_IRWXU)?;
                is_unlocked = true;
            }
            moved => return gone(moved),
        }
    }
}

/// Opens a folder with all that its owner may do there. Nothing: there is no folder of that name
/// any more.
fn open_to_empty<P: ?Sized + NixPath>(at: impl AsFd, name: &P) -> nix::Result<Option<Dir>> {
    let at = at.as_fd();
    let opened = match Dir::openat(at, name, folder_flags(), Mode::empty()) {
        Err(Errno::EACCES) => {
            unlock(at, name, Mode::S_IRWXU)?;
            Dir::openat(at, name, folder_flags(), Mode::empty())
        }
        opened => opened,
    };
    let folder = match opened {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
        opened => opened?,
    };
    let mode = Mode::from_bits_truncate(fstat(&folder)?.st_mode);
    if !mode.contains(Mode::S_IRWXU) {
        // A failure shows again, with its reason, when something in there is removed.
        let _ = fchmod(&folder, mode | Mode::S_IRWXU);
    }
    Ok(Some(folder))
}

/// Gives the owner of a folder these rights, though it cannot be opened.
fn unlock<P: ?Sized + NixPath>(at: impl AsFd, name: &P, rights: Mode) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(at, name, flags, Mode::empty()) {
        Ok(closed) => give(&closed, rights),
        // Something else by now.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The same of a folder that is held without being open: `fchmod` takes no such descriptor.
fn give(closed: &OwnedFd, rights: Mode) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(fstat(closed)?.st_mode) | rights;
    let itself = format!("/proc/self/fd/{}", closed.as_raw_fd());
    std::fs::set_permissions(itself, std::fs::Permissions::from_mode(mode.bits()))
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}

/// What is not there is removed.
fn gone(removed: nix::Result<()>) -> nix::Result<()> {
    match removed {
        Err(Errno::ENOENT) => Ok(()),
        removed => removed,
    }
}

/// What a tree takes up on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUsage {
    /// In bytes. Links are not followed; a sparse file counts with what it really takes, and
    /// nothing counts as nothing.
    pub bytes: u64,
    /// Whether all of it was seen. What lies deeper than anybody nests folders, or in a folder that
    /// cannot be opened, was not.
    pub is_all: bool,
}

/// What a tree takes up, as far as it can be told while somebody writes there. Folders that are
/// closed to their owner are opened, or an agent could keep in them whatever it likes.
pub fn measure(path: &Path) -> DiskUsage {
    used(path, true)
}

/// The same, for who may only look: nothing is opened.
pub fn used_space(path: &Path) -> u64 {
    used(path, false).bytes
}

/// An open folder, and the paths of folders below it that are still to be looked into.
struct Anchor {
    folder: OwnedFd,
    waiting: Vec<PathBuf>,
}

fn used(path: &Path, may_unlock: bool) -> DiskUsage {
    let mut used = DiskUsage { bytes: 0, is_all: true };
    let Ok(found) = path.symlink_metadata() else { return used };
    used.bytes = (found.blocks() * 512).max(MIN_FILES);
    if !found.is_dir() {
        return used;
    }
    let top = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let Ok(top) = openat(AT_FDCWD, path, top, Mode::empty()) else { return used };
    let mut anchors = vec![Anchor { folder: top, waiting: vec![PathBuf::from(".")] }];
    while let Some(anchor) = anchors.last_mut() {
        let Some(at) = anchor.waiting.pop() else {
            anchors.pop();
            continue;
        };
        let looked = open_to_look(&anchor.folder, &at, may_unlock)
            .and_then(|folder| Ok((look_into(&folder, may_unlock, &mut used)?, folder)));
        let (inner, folder) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                // It was closed again just then. Anything else is no doing of the agent's: the
                // folder is gone by now, or another user's, or hob has no descriptor left.
                used.is_all &= error != Errno::EACCES;
                continue;
            }
        };
        if at.as_os_str().len() <= FAR {
            anchor.waiting.extend(inner.into_iter().map(|name| at.join(name)));
        } else if anchors.len() < MAX_OPEN {
            anchors.push(Anchor { folder, waiting: inner });
        } else {
            used.is_all &= inner.is_empty();
        }
    }
    used
}

/// Counts what is in a folder. Gives back the names of the folders in it.
fn look_into(folder: &OwnedFd, may_unlock: bool, used: &mut DiskUsage) -> nix::Result<Vec<PathBuf>> {
    let again = folder.try_clone().map_err(|_| Errno::EMFILE)?;
    let mut inner = Vec::new();
    for entry in Dir::from_fd(again)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if is_dots(name) {
            continue;
        }
        let look = || fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let found = match look() {
            Err(Errno::EACCES) if may_unlock => {
                fchmod(folder, Mode::from_bits_truncate(fstat(folder)?.st_mode) | OWNER_LOOKS)?;
                look()
            }
            found => found,
        };
        let found = match found {
            Err(Errno::ENOENT) => continue,
            found => found?,
        };
        used.bytes += u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512).max(MIN_FILES);
        if SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR {
            inner.push(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
        }
    }
    Ok(inner)
}

/// Opens a folder below another one, through folders alone.
fn open_to_look(anchor: &OwnedFd, at: &Path, may_unlock: bool) -> nix::Result<OwnedFd> {
    let open = |flags: OFlag| {
        let beneath = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(anchor, at, OpenHow::new().flags(flags).resolve(beneath))
    };
    match open(folder_flags()) {
        Err(Errno::EACCES) if may_unlock => {
            let closed = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            give(&open(closed)?, OWNER_LOOKS)?;
            open(folder_flags())
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::mkdirat;
    use nix::unistd::{Uid, setfsuid};

    const LEVELS: usize = 20_000;

    /// An ordinary user, to whom folders can be closed, also where the tests are root's.
    const NOBODY: u32 = 65_534;

    /// A folder of that user's, whose end takes no recursion either, also where a test fails. In
    /// memory where that is possible: a disk that others use takes a minute for so many levels.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let memory = Path::new("/dev/shm");
            let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            let path = tempfile::tempdir_in(root).unwrap().keep();
            if Uid::effective().is_root() {
                std::os::unix::fs::chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            Self(path)
        }
    }

    impl std::ops::Drop for Place {
        fn drop(&mut self) {
            let removed = std::process::Command::new("rm").arg("-rf").arg(&self.0).status();
            assert!(removed.is_ok_and(|status| status.success()), "{} is left", self.0.display());
        }
    }

    /// Does something in such a folder, as that user, and on a thread with little stack.
    fn in_place(work: impl FnOnce(&Path) + Send + 'static) {
        let place = Place::new();
        let path = place.0.clone();
        let work = move || {
            if Uid::effective().is_root() {
                // For files, and of this thread alone.
                setfsuid(Uid::from_raw(NOBODY));
            }
            work(&path);
        };
        let done = std::thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap().join();
        drop(place);
        done.unwrap();
    }

    /// Makes folders one in another, each with these names in it; gives back the innermost.
    fn nest(path: &Path, name: &str, levels: usize) -> OwnedFd {
        std::fs::create_dir(path).unwrap();
        let mut here = OwnedFd::from(std::fs::File::open(path).unwrap());
        for _ in 0..levels {
            mkdirat(&here, name, Mode::S_IRWXU).unwrap();
            here = openat(&here, name, folder_flags(), Mode::empty()).unwrap();
        }
        here
    }

    fn close(folder: &Path, mode: u32) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_tree_of_twenty_thousand_levels_is_measured_and_removed() {
        in_place(|place| {
            let tree = place.join("tree");
            let innermost = nest(&tree, "d", LEVELS);
            for name in ["a", "b"] {
                mkdirat(&innermost, name, Mode::S_IRWXU).unwrap();
            }
            drop(innermost);
            // Names that the removal would like to use.
            std::fs::create_dir_all(tree.join(".moved-1/full")).unwrap();
            std::fs::write(tree.join(".moved-2"), "").unwrap();
            let used = measure(&tree);
            assert!(used.is_all && used.bytes > LEVELS as u64 * MIN_FILES, "{used:?}");
            remove_tree(&tree).unwrap();
            assert!(!tree.exists());
        });
    }

    #[test]
    fn what_lies_deeper_than_anybody_nests_is_not_taken_for_nothing() {
        in_place(|place| {
            let tree = place.join("tree");
            drop(nest(&tree, &"n".repeat(255), 300));
            assert!(!measure(&tree).is_all);
            remove_tree(&tree).unwrap();
            assert!(!tree.exists());
        });
    }

    #[test]
    fn removing_a_tree_opens_closed_folders_and_follows_no_link() {
        in_place(|place| {
            let canary = place.join("canary");
            std::fs::create_dir(&canary).unwrap();
            std::fs::write(canary.join("alive"), "").unwrap();
            let tree = place.join("tree");
            for (name, mode) in
                [("read-only", 0o500), ("closed", 0), ("blind", 0o300), ("unsearchable", 0o600)]
            {
                let folder = tree.join(name);
                std::fs::create_dir_all(folder.join("inner")).unwrap();
                std::fs::write(folder.join("inner/file"), "").unwrap();
                close(&folder.join("inner"), mode);
                close(&folder, mode);
            }
            // Deep enough to be moved, and closed to its owner.
            let deep = nest(&tree.join("deep"), "d", MAX_OPEN - 2);
            mkdirat(&deep, "closed", Mode::empty()).unwrap();
            for n in 0..=AT_ONCE {
                std::fs::write(tree.join(n.to_string()), "").unwrap();
            }
            let itself = place.join("itself");
            for link in [tree.join("link"), itself.clone()] {
                std::os::unix::fs::symlink(&canary, link).unwrap();
            }
            remove_tree(&tree).unwrap();
            remove_tree(&tree).unwrap();
            remove_tree(&itself).unwrap();
            assert!(!tree.exists() && itself.symlink_metadata().is_err());
            assert!(canary.join("alive").exists());
        });
    }

    #[test]
    fn what_is_hidden_in_closed_folders_is_measured_and_so_are_empty_files() {
        in_place(|place| {
            let tree = place.join("tree");
            std::fs::create_dir_all(tree.join("many")).unwrap();
            for n in 0..100 {
                std::fs::write(tree.join(format!("many/{n}")), "").unwrap();
            }
            for (name, mode) in [("blind", 0o300), ("closed", 0), ("unsearchable", 0o400)] {
                let folder = tree.join(name);
                std::fs::create_dir_all(folder.join("inner")).unwrap();
                std::fs::write(folder.join("inner/file"), vec![b'x'; 1 << 20]).unwrap();
                close(&folder.join("inner"), mode);
                close(&folder, mode);
            }
            let large = place.join("large");
            std::fs::write(&large, vec![b'x'; 4 << 20]).unwrap();
            std::os::unix::fs::symlink(&large, tree.join("link")).unwrap();
            std::fs::File::create(tree.join("sparse")).unwrap().set_len(1 << 30).unwrap();
            assert!(used_space(&tree) < 1 << 20, "it only looks");
            let used = measure(&tree);
            assert!(used.is_all);
            let (least, most) = ((3 << 20) + 100 * MIN_FILES, 4 << 20);
            assert!(used.bytes >= least && used.bytes < most, "{used:?} is not between {least} and {most}");
        });
    }
}
