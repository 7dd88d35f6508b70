//! A process of hob's own for what may go wrong: hob's program with another command, without its
//! environment, with a time limit and a cap on what it says. The limits on memory and processors it
//! sets itself, before it reads anything else (`import_child.rs`, `prompt_child.rs`).

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::Worker;

/// As much of its complaints as the log needs.
const MAX_COMPLAINTS: u64 = 16 << 10;

/// Signals by which people and the system end a process, and not what it reads.
pub(super) const OF_OTHERS: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// A process to be.
pub(super) struct Asked<'a> {
    /// The command of hob's program.
    pub(super) command: &'static str,
    /// Its standard input.
    pub(super) request: &'a [u8],
    /// The longest that it may take.
    pub(super) timeout: Duration,
    /// The most that it may answer, in bytes.
    pub(super) most_answer: u64,
}

impl Worker {
    /// How the process ended, and what it answered. Nothing if it took too long: then it is ended.
    pub(super) async fn ask_child(&self, asked: &Asked<'_>) -> anyhow::Result<Option<(ExitStatus, Vec<u8>)>> {
        let command = asked.command;
        let mut child = Command::new(&self.program)
            .arg(command)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {command}"))?;
        let said = tokio::time::timeout(asked.timeout, talk(&mut child, asked)).await;
        let Ok(said) = said else {
            end(&mut child).await;
            return Ok(None);
        };
        let (status, answer, complaints) = said.with_context(|| format!("communicating with {command}"))?;
        if !complaints.is_empty() {
            let complaints = self.secrets.redact(&String::from_utf8_lossy(&complaints));
            tracing::warn!(command, complaints, "child process wrote to standard error");
        }
        Ok(Some((status, answer)))
    }
}

/// hob's own program, also after its file was replaced by another version.
pub fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Hands the request over and takes what comes until the process ends.
async fn talk(child: &mut Child, asked: &Asked<'_>) -> anyhow::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let mut stdin = child.stdin.take().context("opening its standard input")?;
    let stdout = child.stdout.take().context("opening its standard output")?;
    let stderr = child.stderr.take().context("opening its standard error")?;
    let tell = async {
        // A process that ended before it had read everything says more by how it ended.
        let _ = stdin.write_all(asked.request).await;
        drop(stdin);
    };
    let ((), answer, complaints) =
        tokio::join!(tell, capped(stdout, asked.most_answer), capped(stderr, MAX_COMPLAINTS));
    Ok((child.wait().await?, answer?, complaints?))
}

/// The first `most` bytes; the rest is read and dropped, so that nobody waits at a full pipe.
async fn capped(mut from: impl AsyncRead + Unpin, most: u64) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut from).take(most).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// Ends the process with all that it may have started.
async fn end(child: &mut Child) {
    if let Some(pid) = child.id() {
        // It leads a group of its own; one that is gone needs no signal.
        let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
    if let Err(error) = child.wait().await {
        tracing::warn!(%error, "waiting for a child process failed");
    }
}
