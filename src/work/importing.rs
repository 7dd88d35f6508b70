//! The side of hob that has a hand-over read by a process of its own (`import_child.rs`), and that looks
//! after that process: nothing of hob's environment, a time limit, a cap on what it says.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::hand_over::{HandedOver, refused};
use super::import_child::{Answer, Request, Taken};
use super::policy::Rules;
use super::{Hitch, Job, Worker};
use crate::fail_point::{When, reach};
use crate::ids::Sha;
use crate::story::Run;

/// The command of hob's program that is the process.
pub const COMMAND: &str = "import-hand-over";

/// As much as the process may answer.
const MOST_ANSWER: u64 = 4 << 20;
/// As much of its complaints as the log needs.
const MOST_COMPLAINTS: u64 = 16 << 10;

const TOO_MUCH: &str = "Reading the commits took more memory, disk space or time than they may take.";

impl Worker {
    /// Has the commits of a hand-over read into quarantine, looked through, written anew and signed.
    pub(super) async fn import(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &HandedOver,
    ) -> Result<Taken, Hitch> {
        let request = self.import_request(job, run, base, handed)?;
        let request = serde_json::to_vec(&request).context("writing the request")?;
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the process that reads a hand-over")?;
        reach("process", "import", When::Before);
        let timeout = self.config.container.hand_over_timeout;
        let (status, answer, complaints) =
            match tokio::time::timeout(timeout, talk(&mut child, &request)).await {
                Ok(said) => said.context("talking to the process that reads a hand-over")?,
                Err(_) => {
                    end(&mut child).await;
                    return Err(refused("Reading the commits took too long."));
                }
            };
        reach("process", "import", When::After);
        if !complaints.is_empty() {
            let complaints = self.secrets.redact(&String::from_utf8_lossy(&complaints));
            tracing::warn!(complaints, "the process that reads a hand-over complained");
        }
        self.signed(job, run, judged(status, &answer)?).await
    }

    fn import_request(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &HandedOver,
    ) -> anyhow::Result<Request> {
        let config = &self.config;
        // The key that signs has never been in a container, so no commit can hold it; the process does not get it.
        let signing = config.git.signing_key.as_ref().map(|key| key.expose_secret());
        let secrets = self.secrets.values();
        let secrets = secrets.iter().map(|secret| secret.expose_secret()).filter(|s| Some(*s) != signing);
        Ok(Request {
            mirror: self.data.mirror(&job.story.repo),
            quarantine: self.data.run(run.id).quarantine,
            bundle: handed.bundle.clone().context("only commits are imported")?,
            base: base.clone(),
            base_branch: handed.base_branch.clone(),
            max_bytes: config.container.hand_over_limit.0,
            memory_bytes: config.policy.import_memory.0,
            cpu_seconds: config.container.hand_over_timeout.as_secs().max(1),
            rules: Rules::from(&config.policy_of(&job.file)),
            authorship: self.authorship(job, handed.is_wip),
            secrets: secrets.map(str::to_owned).collect(),
        })
    }
}

/// hob's own program, also after its file was replaced by another version.
pub fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Hands the request over and takes what comes until the process ends.
async fn talk(child: &mut Child, request: &[u8]) -> anyhow::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let mut stdin = child.stdin.take().context("its standard input")?;
    let stdout = child.stdout.take().context("its standard output")?;
    let stderr = child.stderr.take().context("its standard error")?;
    let tell = async {
        // A process that ended before it had read everything says more by how it ended.
        let _ = stdin.write_all(request).await;
        drop(stdin);
    };
    let ((), answer, complaints) =
        tokio::join!(tell, capped(stdout, MOST_ANSWER), capped(stderr, MOST_COMPLAINTS));
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
        tracing::warn!(%error, "the process that reads a hand-over was not waited for");
    }
}

/// What follows from the process's end.
fn judged(status: ExitStatus, answer: &[u8]) -> Result<Taken, Hitch> {
    if let Some(signal) = status.signal() {
        tracing::warn!(signal, "the process that reads a hand-over was ended by a signal");
        // SIGBUS: libgit2 writes packs through memory, and a full disk shows there.
        let may_pass = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGBUS];
        return Err(if may_pass.iter().any(|s| *s as i32 == signal) {
            Hitch::Later(anyhow::anyhow!("the process that reads a hand-over was ended by {signal}"))
        } else {
            // Its limits end it, or what it read did; both would happen again.
            refused(TOO_MUCH)
        });
    }
    if !status.success() {
        return Err(Hitch::Later(anyhow::anyhow!("the process that reads a hand-over ended with {status}")));
    }
    match serde_json::from_slice(answer).context("reading what the process made of a hand-over")? {
        Answer::Taken(taken) => Ok(taken),
        Answer::Refused(reason) => Err(refused(format!("The commits were not accepted: {reason}."))),
        Answer::TooMuch(reason) => {
            tracing::warn!(reason, "a hand-over is over its limits");
            Err(refused(TOO_MUCH))
        }
        Answer::Failed(reason) => Err(Hitch::Later(anyhow::anyhow!(reason))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::FailureClass;

    #[test]
    fn a_process_that_is_killed_by_its_limits_is_a_refusal_and_one_that_is_told_to_end_is_not() {
        for signal in [Signal::SIGKILL, Signal::SIGXCPU, Signal::SIGXFSZ, Signal::SIGABRT, Signal::SIGSEGV] {
            let hitch = judged(ExitStatus::from_raw(signal as i32), b"").unwrap_err();
            assert!(matches!(hitch, Hitch::Fail { class: FailureClass::HandOverRefused, .. }), "{signal}");
        }
        for signal in [Signal::SIGTERM, Signal::SIGBUS] {
            let told = judged(ExitStatus::from_raw(signal as i32), b"").unwrap_err();
            assert!(matches!(told, Hitch::Later(_)), "{signal}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_tried_again() {
        assert!(matches!(judged(ExitStatus::from_raw(0), b"{"), Err(Hitch::Later(_))));
        assert!(matches!(judged(ExitStatus::from_raw(1 << 8), b""), Err(Hitch::Later(_))));
        let refusal = serde_json::to_vec(&Answer::Refused("it is empty".to_owned())).unwrap();
        assert!(matches!(judged(ExitStatus::from_raw(0), &refusal), Err(Hitch::Fail { .. })));
    }
}
