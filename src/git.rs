//! Git for hob, all of it through libgit2: the mirror of a repository, the repository of a
//! workspace, the import of what an agent hands over, merge and rebase, and the push. Every
//! function blocks: call it from `tokio::task::spawn_blocking`, never from an async task.
//!
//! No git program is run, and no repository is opened in which an agent has run (promise P2): a
//! workspace is hob's until git has checked it out, and is never looked at from here again. What
//! may be in a hand-over is the caller's policy; this module answers only what is in it and that it
//! is whole.

mod bundle;
mod changes;
mod connectivity;
mod drivers;
mod export;
mod filtered;
mod import;
mod join;
mod mirror;
mod pack;
mod prune;
mod push;
mod rewrite;
mod signing;
mod squash;
mod suggest;
mod transport;
mod workspace;

pub use changes::{Change, ChangeKind};
pub use export::TextFile;
pub use filtered::{FilterFault, Filtered};
pub use import::{
    CommitSummary, ImportError, ImportLimits, ImportTarget, Imported, NewObject, ObjectKind, import,
};
pub use join::{Join, Joined, empty_quarantine, merge, merge_base_in, rebase};
pub use mirror::{Mirror, remove_stale_locks};
pub use push::{Push, PushError, Pushed, push};
pub use rewrite::{Author, Authorship, SIGN_OFF, STORY_TRAILER, rewrite_commits};
pub use signing::{NoSigningKey, SigningKey, sign};
pub use squash::Squash;
pub use suggest::{Replacement, apply_replacements, chain};
pub use workspace::{NewWorkspace, checkout_size, lay_out};

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail};
use git2::{ConfigLevel, Oid, Reference};
use secrecy::SecretString;

use crate::ids::{Sha, is_branch_name};

/// A repository somewhere else, and the token that opens it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `https://host/owner/repo.git`, `http://…`, or an absolute local path. Never with credentials
    /// in it.
    pub url: String,
    /// Sent as the password of `x-access-token`. Not used for a local path.
    pub token: Option<SecretString>,
}

/// Why the other side could not be read from or written to.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The host wants other credentials (401), or these may not do it (403). Trying again with the
    /// same token is useless. Holds what the host said.
    #[error("the git host rejects the credentials: {0}")]
    Unauthorized(String),
    /// No such repository, or none that this token may see: hosts do not tell the two apart.
    #[error("the git host does not know the repository")]
    NotFound,
    /// The host sends us to another one, which is not followed: the token was meant for the host
    /// that we know. Or it sends us elsewhere in the middle of an operation. Holds the new address.
    #[error("the repository has moved to {0}")]
    Redirected(String),
    /// The network or the host failed; the same call may succeed later.
    #[error("the git host is unreachable: {0}")]
    Unreachable(String),
    /// Anything else: our disk, a broken answer, an address that cannot be used.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

/// Whether a branch of this name can exist and is safe to hand to programs as an argument.
pub fn is_valid_branch(name: &str) -> bool {
    is_branch_name(name) && Reference::is_valid_name(&branch_reference(name))
}

fn branch_reference(name: &str) -> String {
    format!("refs/heads/{name}")
}

fn check_branch(name: &str) -> anyhow::Result<()> {
    if is_valid_branch(name) { Ok(()) } else { bail!("`{name}` is not a valid branch name") }
}

fn oid(sha: &Sha) -> anyhow::Result<Oid> {
    if sha.as_str().len() != 40 {
        bail!("{sha} is a SHA-256 id; only SHA-1 repositories are supported");
    }
    Oid::from_str(sha.as_str()).with_context(|| format!("reading the object id {sha}"))
}

fn sha(oid: Oid) -> anyhow::Result<Sha> {
    oid.to_string().parse().context("converting an object id")
}

/// Lets `repository` read the objects of `mirror` without copying any.
fn borrow_objects(repository: &Path, mirror: &Mirror) -> anyhow::Result<()> {
    borrow_from(repository, &[mirror.objects()])
}

/// The same for folders with objects.
fn borrow_from(repository: &Path, lenders: &[PathBuf]) -> anyhow::Result<()> {
    let mut lines = String::new();
    for objects in lenders {
        let line = objects.to_str().with_context(|| format!("{} is not UTF-8", objects.display()))?;
        // Git reads one path a line, `#` as a comment and `"` as a quoted path.
        if line.contains('\n') || line.starts_with(['#', '"']) {
            bail!("git cannot borrow objects from {}", objects.display());
        }
        lines.push_str(&format!("{line}\n"));
    }
    let alternates = repository.join("objects/info/alternates");
    std::fs::create_dir_all(repository.join("objects/info")).context("making objects/info")?;
    std::fs::write(&alternates, lines).with_context(|| format!("writing {}", alternates.display()))
}

/// Sets libgit2 up, once in the life of the process. Everything public here calls it before libgit2
/// is used.
fn prepare() -> anyhow::Result<()> {
    static PREPARED: OnceLock<Result<(), String>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| set_up_libgit2().map_err(|error| error.to_string()));
    prepared.as_ref().map(|_| ()).map_err(|error| anyhow!("setting up libgit2: {error}"))
}

/// Has libgit2 map packs in small pieces, for a process whose address space is limited. Call it
/// before any other use of git in the process.
///
/// # Errors
/// If libgit2 does not take the settings.
#[allow(unsafe_code)] // git2 offers no safe way; the reason is below.
pub fn map_little() -> anyhow::Result<()> {
    const WINDOW: usize = 32 << 20;
    const MAPPED: usize = 512 << 20;
    prepare()?;
    // SAFETY: the caller does this first, so no other thread uses libgit2.
    unsafe {
        git2::opts::set_mwindow_size(WINDOW).context("setting the size of windows")?;
        git2::opts::set_mwindow_mapped_limit(MAPPED).context("setting the limit of windows")
    }
}

#[allow(unsafe_code)] // git2 offers no safe way to either; the reasons are below.
fn set_up_libgit2() -> Result<(), git2::Error> {
    git2::opts::strict_hash_verification(true);
    git2::opts::strict_object_creation(true);
    for level in [ConfigLevel::ProgramData, ConfigLevel::System, ConfigLevel::XDG, ConfigLevel::Global] {
        // The operator's own git configuration is for the operator: an `insteadOf` in it would send
        // hob to an address hob did not compute, and `core.autocrlf` would change what agents see.
        // SAFETY: the caller runs this once under a lock, before any other use of libgit2.
        unsafe { git2::opts::set_search_path(level, "")? };
    }
    // SAFETY: the same; no transport can be created while this runs.
    unsafe { transport::register() }
}
