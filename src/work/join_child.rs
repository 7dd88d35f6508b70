//! The process that brings two sides of a history together (`git/join.rs`). What people have pushed
//! may be large enough to hold a worker up for ever, or to take all memory; then this process ends,
//! and the agent is asked to do it, in its container. It is hob's own program with the command
//! `join`; the request comes on standard input, the answer goes to standard output. Its side that
//! starts it is `joining.rs`.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use crate::git::{self, Join, Joined};
use crate::ids::Sha;

/// Open files: packs of the mirror and little else.
const OPEN_FILES: u64 = 1024;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) quarantine: PathBuf,
    pub(super) ours: Sha,
    pub(super) theirs: Sha,
    /// Where ours begins, if not where the two parted.
    pub(super) after: Option<Sha>,
    /// The message of a merge.
    pub(super) message: String,
    /// Whose name stands on it.
    pub(super) by: (String, String),
    /// When, in seconds since 1970.
    pub(super) at: i64,
    /// Whether to make ours again on top of theirs.
    pub(super) rewrite: bool,
    /// Address space, in bytes.
    pub(super) memory_bytes: u64,
    /// Time on a processor.
    pub(super) cpu_seconds: u64,
    /// The largest file that it may write.
    pub(super) max_bytes: u64,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// How it went.
    Joined(Joined),
    /// The disk, the mirror; for the log.
    Failed(String),
}

/// Runs the process: one request, one answer.
///
/// # Errors
/// If the request cannot be read, the limits cannot be set or the answer cannot be written.
pub fn run() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading the request")?;
    let request: Request = serde_json::from_str(&text).context("parsing the request")?;
    let limits = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_CPU, request.cpu_seconds),
        (Resource::RLIMIT_FSIZE, request.max_bytes),
        (Resource::RLIMIT_NOFILE, OPEN_FILES),
        (Resource::RLIMIT_AS, request.memory_bytes),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).with_context(|| format!("setting {resource:?} to {limit}"))?;
    }
    git::map_little()?;
    let join = Join {
        quarantine: &request.quarantine,
        ours: &request.ours,
        theirs: &request.theirs,
        after: request.after.as_ref(),
        message: &request.message,
        by: (&request.by.0, &request.by.1),
        at: request.at,
    };
    let joined = if request.rewrite { git::rebase(&join) } else { git::merge(&join) };
    let answer = match joined {
        Ok(joined) => Answer::Joined(joined),
        Err(error) => Answer::Failed(format!("{error:#}")),
    };
    let answer = serde_json::to_vec(&answer).context("writing the answer")?;
    std::io::stdout().write_all(&answer).context("writing the answer")
}
