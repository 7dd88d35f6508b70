//! The operator's command that renews a login: run in a process group of its own, ended as a group
//! when it takes too long or is no longer wanted. What it does is its own matter; only its end is
//! known.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::story::Renewal;

/// What is kept of the command's output, for the log. The rest is read and dropped.
const MAX_OUTPUT: usize = 8 * 1024;

/// What the command said last may still be in the pipe when it has ended. A process that it left
/// running can hold the pipe open for ever, and is not waited for.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// hob's own secrets, which the command has no need of.
const HIDDEN: &[&str] =
    &["HOB_GITHUB_TOKEN", "HOB_PRIVATE_KEY", "PRIVATE_KEY", "HOB_WEBHOOK_SECRET", "WEBHOOK_SECRET"];

/// Tasks often lose the same login at the same moment; renewals that overlap could spoil each
/// other.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs the command: the program, then its arguments. How it ended is the result, whether well or
/// not; an error is only that it could not be run at all. Dropping the future kills the whole
/// group.
pub async fn sync(command: &[String], limit: Duration) -> anyhow::Result<Renewal> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (program, arguments) = command.split_first().context("no sync command is configured")?;
    let began = Instant::now();
    let mut spawning = Command::new(program);
    spawning.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in HIDDEN {
        spawning.env_remove(name);
    }
    let mut child = spawning.process_group(0).spawn().with_context(|| format!("running {program}"))?;
    let mut group = Group::of(&child);
    let output = tokio::spawn(collect(child.stdout.take(), child.stderr.take()));
    let stop_reading = output.abort_handle();
    let (exit_code, timed_out) = match timeout(limit, child.wait()).await {
        Ok(status) => {
            group.release();
            (status.context("waiting for the sync command")?.code(), false)
        }
        Err(_) => {
            group.kill();
            (child.wait().await.as_ref().ok().and_then(ExitStatus::code), true)
        }
    };
    if let Ok(Ok(text)) = timeout(OUTPUT_GRACE, output).await {
        tracing::debug!(output = text, "sync command output");
    }
    stop_reading.abort();
    let renewal = Renewal {
        exit_code,
        timed_out,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    tracing::info!(?renewal, "sync command ended");
    Ok(renewal)
}

/// A process group that is killed unless it is released.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        // Its leader has not been waited for, so the number is still its own.
        Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn release(&mut self) {
        self.0 = None;
    }

    fn kill(&mut self) {
        let Some(group) = self.0.take() else { return };
        match killpg(group, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => tracing::warn!(error = %errno, "killing the sync command failed"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn collect(stdout: Option<impl AsyncRead + Unpin>, stderr: Option<impl AsyncRead + Unpin>) -> String {
    let (mut text, complaints) = tokio::join!(read(stdout), read(stderr));
    text.extend(complaints);
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads to the end, so that the command does not block, and keeps the beginning.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut pipe) = pipe else { return kept };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut piece).await {
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..length.min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    /// Gone, or dead and waiting for the process that reaps orphans here.
    fn is_dead(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')))
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let looking = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), looking)
            .await
            .unwrap_or_else(|_| panic!("waited without success for {what}"));
    }

    #[tokio::test]
    async fn a_command_is_known_by_its_exit() {
        let well = sync(&shell("echo renewed"), Duration::from_secs(20)).await.unwrap();
        assert!(well.succeeded(), "{well:?}");
        let badly = sync(&shell("exit 3"), Duration::from_secs(20)).await.unwrap();
        assert_eq!((badly.exit_code, badly.timed_out, badly.succeeded()), (Some(3), false, false));
        assert!(sync(&["/no/such/program".to_owned()], Duration::from_secs(1)).await.is_err());
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("trap '' TERM; sleep 1000 & echo $! >{}; wait; wait", file.display());
        let renewal = sync(&shell(&script), Duration::from_secs(1)).await.unwrap();
        assert!(renewal.timed_out && !renewal.succeeded(), "{renewal:?}");
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        until("the grandchild to be dead", || is_dead(&pid)).await;
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_any_more_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let command = shell(&format!("sleep 1000 & echo $! >{}; wait", file.display()));
        let running = tokio::spawn(async move { sync(&command, Duration::from_secs(1000)).await });
        let pid = || std::fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
        until("the command to run", || !pid().is_empty()).await;
        running.abort();
        until("the grandchild to be dead", || is_dead(&pid())).await;
    }

    #[tokio::test]
    async fn a_process_left_in_the_background_is_neither_waited_for_nor_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 30 & echo $! >{}", file.display());
        let renewal = sync(&shell(&script), Duration::from_secs(20)).await.unwrap();
        assert!(renewal.succeeded() && renewal.duration_ms < 15_000, "{renewal:?}");
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        assert!(!is_dead(&pid));
        nix::sys::signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}
