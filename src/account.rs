//! An account by login: the files that an agent's CLI keeps on the host once a person has logged
//! in. They are copied into the story's home before a run; tokens that the CLI renewed there are
//! copied back after it; a configured command renews them. Which files these are is in
//! `account/files.rs`.
//!
//! What an agent has left is a claim, also where it looks like tokens: the login that it takes the
//! place of is kept beside it until a run has worked with the new one, and put back if that is
//! refused.
//!
//! The login's folder is the operator's. The home has been in an agent's hands: nothing there is
//! opened or replaced but below the home and without following a link. When to do what is the
//! worker's decision.

mod files;
mod home;
mod sync;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{Gid, Uid, fchown};
use secrecy::SecretString;
use serde_json::Value;

pub use home::Obstructed;
pub use sync::sync;

use crate::fail_point::around;
use crate::ids::AgentKind;
use crate::message::LoginFault;
use files::LoginFile;

/// A login's file on the host is far smaller; `.claude.json` alone grows with what its owner did.
const MAX_HOST_BYTES: u64 = 16 << 20;
/// What an agent's home may hold in place of a renewed login.
const MAX_HOME_BYTES: u64 = 1 << 20;

/// The login before the one that an agent's CLI has renewed lies beside it under its name with this
/// behind it.
const BEFORE: &str = ".before-hob";

/// Whether there is a login of this kind of agent at all.
pub fn has_login(kind: AgentKind) -> bool {
    !files::of(kind).is_empty()
}

/// A login that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct LoginError {
    /// The file's name in the login's folder.
    pub file: &'static str,
    /// What is wrong, for people.
    pub fault: LoginFault,
    /// What is wrong, for the log: it names a path of the host.
    pub reason: String,
}

/// The files of a login as they are on the host now.
#[derive(Debug)]
pub struct Login {
    files: Vec<(&'static LoginFile, Value)>,
}

impl Login {
    /// Reads a login from its folder. It must be complete and look like one; whether the service
    /// still accepts it is not asked.
    pub fn read(folder: &Path, kind: AgentKind) -> Result<Login, LoginError> {
        let mut files = Vec::new();
        for file in files::of(kind) {
            match read_host_file(folder, file)? {
                Some((_, content)) => files.push((file, content)),
                None if file.required => {
                    let reason = format!("{} does not contain this file", folder.display());
                    return Err(LoginError { file: file.name, fault: LoginFault::Missing, reason });
                }
                None => {}
            }
        }
        Ok(Login { files })
    }

    /// The files of a login that everybody on the machine can read, with their modes.
    pub fn open_files(folder: &Path, kind: AgentKind) -> Vec<(PathBuf, u32)> {
        let places = files::of(kind).iter().flat_map(|file| {
            let beside = folder.parent().filter(|_| file.may_lie_beside);
            [Some(folder), beside].into_iter().flatten().map(|place| place.join(file.name))
        });
        let open = places.filter_map(|path| {
            let mode = path.metadata().ok()?.permissions().mode() & 0o777;
            (mode & 0o006 != 0).then_some((path, mode))
        });
        open.collect()
    }

    /// The secret values in it, for whatever keeps secrets out of logs, comments and commits.
    pub fn secrets(&self) -> Vec<SecretString> {
        self.files.iter().flat_map(|(file, content)| file.secrets(content)).map(SecretString::from).collect()
    }

    /// Puts the files into a story's home, readable for `owner` alone. An error of type
    /// [`Obstructed`] means that the agent has put something else where a folder must be.
    pub fn copy_in(&self, home: &Path, owner: (u32, u32)) -> anyhow::Result<()> {
        let home = home::open(home)?;
        for (file, content) in &self.files {
            let text = serde_json::to_vec(&file.for_agent(content)).context("writing a login's file")?;
            home::replace(&home, file.target, &text, owner)?;
        }
        Ok(())
    }
}

/// The end of a file in an agent's home, as much as `most` bytes of it; nothing where it is no
/// regular file, or not there.
pub fn read_end(home: &Path, path: &str, most: u64) -> Option<Vec<u8>> {
    home::open(home).and_then(|home| home::read_end(&home, path, most)).ok().flatten()
}

/// Makes a file in a home that an agent may have had in its hands, if nothing has its name.
pub fn ensure_file(home: &Path, path: &str, content: &str, owner: (u32, u32)) -> anyhow::Result<()> {
    home::ensure(&home::open(home)?, path, content.as_bytes(), owner)
}

/// Takes a login out of a home whose agent has ended, after copying tokens that its CLI renewed
/// back to the login's folder. Gives back the names of the files that were written there. A file of
/// the agent's that is not a renewed login is not used, and says why in the log.
pub fn take_back(home: &Path, kind: AgentKind, folder: &Path) -> anyhow::Result<Vec<&'static str>> {
    let home = match home::open(home) {
        Ok(home) => home,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut written = Vec::new();
    for file in files::of(kind).iter().filter(|file| file.renewed.is_some()) {
        let text = match home::read(&home, file.target, MAX_HOME_BYTES) {
            Ok(Some(text)) => text,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(
                    file = file.name,
                    error = format!("{error:#}"),
                    "reading the login back failed"
                );
                continue;
            }
        };
        if copy_back(file, &text, folder)? {
            written.push(file.name);
        }
        // Stories' homes are kept for long, and none of them needs a login while no agent runs
        // there.
        home::remove(&home, file.target)?;
    }
    Ok(written)
}

/// Writes renewed tokens into the login's own file. Everything else in it stays as the host has it:
/// what an agent wrote must not become settings of a program that runs on the host.
fn copy_back(file: &'static LoginFile, text: &[u8], folder: &Path) -> anyhow::Result<bool> {
    let Some(rule) = &file.renewed else { return Ok(false) };
    let Ok(theirs) = serde_json::from_slice::<Value>(text) else {
        tracing::warn!(file = file.name, "login in the agent's home is not valid JSON; not copied back");
        return Ok(false);
    };
    // Two runs that end at once: the second compares with what the first wrote.
    let _lock = lock(folder)?;
    let Some((path, ours)) = read_host_file(folder, file)? else { return Ok(false) };
    match rule.merge(&ours, &theirs, crate::clock::now()) {
        Ok(None) => Ok(false),
        Ok(Some(merged)) => {
            let text = serde_json::to_vec_pretty(&merged).context("writing a renewed login")?;
            keep_before(&path)?;
            replace_host_file(&path, &text).with_context(|| format!("writing {}", path.display()))?;
            Ok(true)
        }
        Err(reason) => {
            tracing::warn!(file = file.name, reason, "login in the agent's home not copied back");
            Ok(false)
        }
    }
}

/// Keeps a login that is about to be replaced. One that is kept already is the last that has
/// worked.
fn keep_before(path: &Path) -> anyhow::Result<()> {
    let path = path.canonicalize().with_context(|| format!("finding {}", path.display()))?;
    let before = before_of(&path);
    if !before.try_exists()? {
        let text = read_capped(&path).with_context(|| format!("reading {}", path.display()))?;
        write_beside(&path, &before, &text).with_context(|| format!("writing {}", before.display()))?;
    }
    Ok(())
}

/// Where the login before a login is kept; the path is that of the file itself.
fn before_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(BEFORE);
    path.with_file_name(name)
}

/// What a run that has ended says of the login that it was given at its start. If it worked, the
/// one before is removed; if it was refused, the one before is put back, and the refused one kept
/// in its place: the agent may have lied about that as well. A login that was written since says
/// nothing. Gives back the names of the files that were put back.
pub fn judge(
    folder: &Path,
    kind: AgentKind,
    started_at: Timestamp,
    has_worked: bool,
) -> anyhow::Result<Vec<&'static str>> {
    let mut put_back = Vec::new();
    for file in files::of(kind).iter().filter(|file| file.renewed.is_some()) {
        let _lock = lock(folder)?;
        let Some((path, _)) = read_host_file(folder, file)? else { continue };
        let path = path.canonicalize().with_context(|| format!("finding {}", path.display()))?;
        let before = before_of(&path);
        let kept = match read_capped(&before) {
            Ok(kept) => kept,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(|| format!("reading {}", before.display())),
        };
        if Timestamp::try_from(path.metadata()?.modified()?)? > started_at {
            continue;
        }
        if has_worked {
            std::fs::remove_file(&before).with_context(|| format!("removing {}", before.display()))?;
            continue;
        }
        // The good one gets its place before the refused one is kept: killed between the two, both
        // are there or the good one is there twice.
        let refused = read_capped(&path).with_context(|| format!("reading {}", path.display()))?;
        replace_host_file(&path, &kept).with_context(|| format!("writing {}", path.display()))?;
        write_beside(&path, &before, &refused).with_context(|| format!("writing {}", before.display()))?;
        put_back.push(file.name);
    }
    Ok(put_back)
}

/// Locks the folder itself, so that no file of ours is left in it.
fn lock(folder: &Path) -> anyhow::Result<Flock<File>> {
    let opened = File::open(folder).with_context(|| format!("opening {}", folder.display()))?;
    Flock::lock(opened, FlockArg::LockExclusive)
        .map_err(|(_, e)| e)
        .with_context(|| format!("locking {}", folder.display()))
}

/// The first of a file's places where there is one, with its content.
fn read_host_file(folder: &Path, file: &'static LoginFile) -> Result<Option<(PathBuf, Value)>, LoginError> {
    let unusable = |fault, path: &Path, reason: &dyn std::fmt::Display| LoginError {
        file: file.name,
        fault,
        reason: format!("{}: {reason}", path.display()),
    };
    let beside = folder.parent().filter(|_| file.may_lie_beside);
    for place in [Some(folder), beside].into_iter().flatten() {
        let path = place.join(file.name);
        let text = match read_capped(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(unusable(LoginFault::Unreadable, &path, &e)),
        };
        let content = serde_json::from_slice::<Value>(&text)
            // serde_json's own words would quote the file.
            .map_err(|e| unusable(LoginFault::NotALogin, &path, &format!("not JSON, line {}", e.line())))?;
        if !file.is_plausible(&content) {
            return Err(unusable(LoginFault::NotALogin, &path, &"it contains no login"));
        }
        return Ok(Some((path, content)));
    }
    Ok(None)
}

fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    // Non-blocking, or a pipe of that name would hold hob for ever. A link is the operator's own.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_HOST_BYTES {
        return Err(std::io::Error::other("not a regular file, or too large for a login"));
    }
    let mut text = Vec::new();
    file.take(MAX_HOST_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

/// Replaces a file of the operator's at once and for good; owner and place stay, the mode
/// becomes 0600.
fn replace_host_file(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    // Where the operator has put a link, the file behind it is meant.
    let path = path.canonicalize()?;
    write_beside(&path, &path, text)
}

/// Writes a file in the place of a login, or beside it, as its owner's.
fn write_beside(login: &Path, path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let folder = login.parent().context("the login is not in a folder")?;
    let old = login.metadata()?;
    let mut new = tempfile::Builder::new().prefix(".hob-login-").tempfile_in(folder)?;
    let meanwhile = new.as_file().metadata()?;
    if (old.uid(), old.gid()) != (meanwhile.uid(), meanwhile.gid()) {
        fchown(new.as_file().as_fd(), Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))
            .context("keeping the file's owner")?;
    }
    new.write_all(text)?;
    around("disk", "login-sync", || new.as_file().sync_all())?;
    around("disk", "login-rename", || new.persist(path))?;
    around("disk", "login-folder-sync", || File::open(folder)?.sync_all())?;
    Ok(())
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<nix::errno::Errno>() == Some(&nix::errno::Errno::ENOENT)
}

#[cfg(test)]
mod tests;
