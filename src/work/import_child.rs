//! The process that reads a hand-over. What an agent's container printed is unpacked here and not
//! in hob itself: a pack made to crash libgit2, or to eat memory without end, ends this process
//! alone. It is hob's own program with the command `import-hand-over`; the request comes on
//! standard input, since it holds the secrets to look for, and the answer goes to standard output.
//! Its side that starts it is `importing.rs`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::policy::{self, Rules};
use crate::git::{self, Authorship, ImportError, ImportLimits, ImportTarget, Mirror};
use crate::ids::Sha;
use crate::message::{PolicyViolation, ReviewHint};
use crate::redact::Redactor;

/// Open files: packs of the mirror and little else.
const OPEN_FILES: u64 = 1024;
/// libgit2 writes beside the pack its index, which is smaller.
const FILE_SLACK: u64 = 16 << 20;

/// What is to be done.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) mirror: PathBuf,
    pub(super) quarantine: PathBuf,
    /// The file that holds the bundle, and where it begins.
    pub(super) bundle: (PathBuf, u64),
    pub(super) base: Sha,
    /// The newest commit of the branch that the work is to go to.
    pub(super) base_branch: Option<Sha>,
    pub(super) max_bytes: u64,
    pub(super) max_checkout_bytes: u64,
    /// Address space, in bytes.
    pub(super) memory_bytes: u64,
    /// Time on a processor.
    pub(super) cpu_seconds: u64,
    pub(super) rules: Rules,
    pub(super) authorship: Authorship,
    /// The secrets to look for.
    pub(super) secrets: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The commits are whole. They may still meet objections.
    Taken(ImportedCommits),
    /// They are not; for people.
    Refused(String),
    /// It is too much for the limits.
    TooMuch(String),
    /// The disk, the mirror; for the log.
    Failed(String),
}

/// Commits in quarantine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ImportedCommits {
    /// The commit that was handed over.
    pub(super) handed_tip: Sha,
    /// The commit to push: the same one, written again and signed.
    pub(super) tip: Sha,
    /// How many commits there are since the base.
    pub(super) commits: usize,
    /// How many commits of the base branch the agent has merged in.
    pub(super) merged_in: usize,
    /// Whether what people pushed meanwhile is in it.
    pub(super) with_theirs: bool,
    /// The commit of the base branch that they were put on, since its history was rewritten under
    /// them.
    #[serde(default)]
    pub(super) onto: Option<Sha>,
    /// What the policy has against them, the worst first.
    pub(super) objections: Vec<PolicyViolation>,
    /// How many more there are, none of which is worse.
    pub(super) more_objections: usize,
    /// What the whole branch changes that a reviewer should look at closely.
    pub(super) notable: Vec<ReviewHint>,
}

/// Runs the process: one request, one answer.
///
/// # Errors
/// If the request cannot be read, the limits cannot be set or the answer cannot be written.
pub fn run() -> anyhow::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading the request")?;
    let request: Request = serde_json::from_str(&text).context("parsing the request")?;
    drop(text);
    set_limits(&request)?;
    git::map_little()?;
    let answer = serde_json::to_vec(&answer(&request)).context("writing the answer")?;
    std::io::stdout().write_all(&answer).context("writing the answer")
}

/// Before anything of the agent's is read. What is over a limit then fails, or ends this process.
fn set_limits(request: &Request) -> anyhow::Result<()> {
    let limits = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_CPU, request.cpu_seconds),
        (Resource::RLIMIT_FSIZE, request.max_bytes.saturating_add(FILE_SLACK)),
        (Resource::RLIMIT_NOFILE, OPEN_FILES),
        (Resource::RLIMIT_AS, request.memory_bytes),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).with_context(|| format!("setting {resource:?} to {limit}"))?;
    }
    Ok(())
}

fn answer(request: &Request) -> Answer {
    match take(request) {
        Ok(taken) => Answer::Taken(taken),
        Err(ImportError::Other(error)) => {
            let text = format!("{error:#}");
            // libgit2 says so with its own words or the system's, and with no code.
            let out_of_memory = ["Cannot allocate memory", "ut of memory"].iter().any(|s| text.contains(s));
            if out_of_memory { Answer::TooMuch(text) } else { Answer::Failed(text) }
        }
        Err(refusal) => Answer::Refused(refusal.to_string()),
    }
}

fn take(request: &Request) -> Result<ImportedCommits, ImportError> {
    let mirror = Mirror::ensure(&request.mirror).map_err(ImportError::Other)?;
    let mut bundle = open_at(&request.bundle).map_err(ImportError::Other)?;
    let limits = ImportLimits {
        max_bytes: request.max_bytes,
        max_checkout_bytes: request.max_checkout_bytes,
        ..ImportLimits::default()
    };
    let hand_over = ImportTarget {
        quarantine: &request.quarantine,
        base: &request.base,
        base_branch: request.base_branch.as_ref(),
        limits,
    };
    let mut imported = git::import(&mirror, &hand_over, &mut bundle)?;
    let handed_tip = imported.tip.clone();
    let secrets = Redactor::new(request.secrets.iter().map(String::as_str));
    let (objections, more_objections) =
        policy::examine(&imported, &request.rules, &secrets).map_err(ImportError::Other)?;
    let notable = policy::notable_paths(&imported, &request.rules, &secrets).map_err(ImportError::Other)?;
    git::rewrite_commits(&mut imported, &request.authorship).map_err(ImportError::Other)?;
    Ok(ImportedCommits {
        handed_tip,
        tip: imported.tip.clone(),
        commits: imported.commit_count,
        merged_in: imported.merged_in,
        with_theirs: false,
        onto: None,
        objections,
        more_objections,
        notable,
    })
}

fn open_at((path, start): &(PathBuf, u64)) -> anyhow::Result<File> {
    let mut file = File::open(path).context("opening the bundle")?;
    file.seek(SeekFrom::Start(*start)).context("finding the bundle")?;
    Ok(file)
}
