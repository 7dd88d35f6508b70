//! Files in a home that an agent has had in its hands. Every step is taken from an open folder of
//! the home and follows no link; a file is replaced as a whole, never written through.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open as open_path, openat2, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};

/// What a file is written as before it gets its name.
const NEW: &str = ".hob-login.new";

/// Something of the agent's lies where hob has to put a login.
#[derive(Debug, thiserror::Error)]
#[error("`~/{path}` in the agent's home has the wrong type: {errno}")]
pub struct Obstructed {
    /// Relative to the agent's home.
    pub path: String,
    errno: Errno,
}

/// Opens the home itself, which lies in a folder of hob's.
pub(super) fn open(home: &Path) -> anyhow::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // The error's kind is looked at: no context.
    Ok(File::from(open_path(home, flags, Mode::empty())?))
}

/// Reads a regular file, or finds that there is none. One that is larger than `most` is an error.
pub(super) fn read(home: &File, path: &str, most: u64) -> anyhow::Result<Option<Vec<u8>>> {
    // Non-blocking, or a pipe would hold hob for ever.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match open_below(home, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(obstructed(path, errno).into()),
    };
    let metadata = file.metadata().context("inspecting the login")?;
    anyhow::ensure!(metadata.is_file(), "~/{path} is not a regular file");
    anyhow::ensure!(metadata.len() <= most, "~/{path} is too large for a login");
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).context("reading the login")?;
    Ok(Some(bytes))
}

/// Reads the end of a regular file, or finds that there is none.
pub(super) fn read_end(home: &File, path: &str, most: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file = match open_below(home, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(_) => return Ok(None),
    };
    let metadata = file.metadata().context("inspecting a file in the agent's home")?;
    anyhow::ensure!(metadata.is_file(), "~/{path} is not a regular file");
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(most)))
        .context("reading a file in the agent's home")?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).context("reading a file in the agent's home")?;
    Ok(Some(bytes))
}

/// Puts a file in place of whatever has its name, with mode 0600. Folders on the way are made if
/// they are missing; if one is a link, or no folder, that is an error of type [`Obstructed`].
pub(super) fn replace(home: &File, path: &str, content: &[u8], owner: (u32, u32)) -> anyhow::Result<()> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = home.try_clone().context("duplicating the handle of the agent's home")?;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        folder = ensure_folder(&folder, part, owner).map_err(|errno| obstructed(folders, errno))?;
    }
    write_new(&folder, content, owner)
        .and_then(|()| renameat(folder.as_fd(), NEW, folder.as_fd(), name))
        .map_err(|errno| obstructed(path, errno))?;
    folder.sync_all().context("writing a login into the agent's home")
}

/// Makes a file as [`replace`] does, if nothing has its name. What an agent has put there, or in
/// the place of a folder on the way, stays.
pub(super) fn ensure(home: &File, path: &str, content: &[u8], owner: (u32, u32)) -> anyhow::Result<()> {
    match open_below(home, path, OFlag::O_PATH, Mode::empty()) {
        Err(Errno::ENOENT) => replace(home, path, content, owner),
        Ok(_) => Ok(()),
        Err(errno) => {
            tracing::warn!(path, error = %errno, "file in the agent's home has the wrong type");
            Ok(())
        }
    }
}

/// Removes a file, or the link of that name. Nothing there is as good.
pub(super) fn remove(home: &File, path: &str) -> anyhow::Result<()> {
    let (folders, name) = path.rsplit_once('/').unwrap_or((".", path));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let removed = open_below(home, folders, flags, Mode::empty())
        .and_then(|folder| unlinkat(folder.as_fd(), name, UnlinkatFlags::NoRemoveDir));
    match removed {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(obstructed(path, errno).into()),
    }
}

fn ensure_folder(parent: &File, name: &str, (uid, gid): (u32, u32)) -> nix::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    match open_below(parent, name, flags, Mode::empty()) {
        Err(Errno::ENOENT) => {
            mkdirat(parent.as_fd(), name, Mode::S_IRWXU)?;
            let folder = open_below(parent, name, flags, Mode::empty())?;
            fchown(folder.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            Ok(folder)
        }
        other => other,
    }
}

fn write_new(folder: &File, content: &[u8], (uid, gid): (u32, u32)) -> nix::Result<()> {
    match unlinkat(folder.as_fd(), NEW, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut file = open_below(folder, NEW, flags, mode)?;
    fchmod(file.as_fd(), mode)?;
    fchown(file.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(Errno::EIO as i32)))
}

fn open_below(folder: &File, path: &str, flags: OFlag, mode: Mode) -> nix::Result<File> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(mode).resolve(
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    );
    openat2(folder.as_fd(), path, how).map(File::from)
}

fn obstructed(path: &str, errno: Errno) -> Obstructed {
    Obstructed { path: path.to_owned(), errno }
}
