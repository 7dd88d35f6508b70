//! The side of hob that has a hand-over read by a process of its own (`import_child.rs`), and that
//! judges how it ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use secrecy::ExposeSecret as _;

use super::child::{Asked, OF_OTHERS};
use super::export::{ExportReport, refused};
use super::import_child::{Answer, ImportedCommits, Request};
use super::policy::Rules;
use super::{Job, StepError, Worker};
use crate::fail_point::{Timing, reach};
use crate::ids::Sha;
use crate::message::Detail;
use crate::story::Run;

/// The command of hob's program that is the process.
pub const COMMAND: &str = "import-hand-over";

/// As much as the process may answer.
const MAX_ANSWER: u64 = 4 << 20;

impl Worker {
    /// Has the commits of a hand-over read into quarantine, looked through, written again and
    /// signed.
    pub(super) async fn import(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &ExportReport,
    ) -> Result<ImportedCommits, StepError> {
        let request = self.import_request(job, run, base, handed)?;
        let request = serde_json::to_vec(&request).context("writing the request")?;
        let asked = Asked {
            command: COMMAND,
            request: &request,
            timeout: self.config.container.hand_over_timeout,
            most_answer: MAX_ANSWER,
        };
        reach("process", "import", Timing::Before);
        let said = tokio::select! {
            said = self.ask_child(&asked) => said?,
            _ = self.until_too_much_disk(vec![self.data.run(run.id).folder]) => {
                return Err(StepError::not_ready(Detail::DiskFull));
            }
        };
        reach("process", "import", Timing::After);
        let Some((status, answer)) = said else {
            return Err(refused(Detail::CommitsTooSlow));
        };
        self.signed(job, run, judged(status, &answer)?).await
    }

    fn import_request(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &ExportReport,
    ) -> anyhow::Result<Request> {
        let config = &self.config;
        // The key that signs has never been in a container, so no commit can hold it; the process
        // does not get it.
        let signing = config.git.signing_key.as_ref().map(|key| key.expose_secret());
        let secrets = self.secrets.values();
        let secrets = secrets.iter().map(|secret| secret.expose_secret()).filter(|s| Some(*s) != signing);
        Ok(Request {
            mirror: self.data.mirror(&job.story.mirror),
            quarantine: self.data.run(run.id).quarantine,
            bundle: handed.bundle.clone().context("the hand-over has no commits to import")?,
            base: base.clone(),
            base_branch: handed.base_branch.clone(),
            max_bytes: config.container.hand_over_limit.0,
            max_checkout_bytes: config.container.disk.0,
            memory_bytes: config.policy.import_memory.0,
            cpu_seconds: config.container.hand_over_timeout.as_secs().max(1),
            rules: Rules::from(&config.policy_of(&job.file)),
            authorship: self.authorship(job, handed.is_wip),
            secrets: secrets.map(str::to_owned).collect(),
        })
    }
}

/// What follows from the process's end.
fn judged(status: ExitStatus, answer: &[u8]) -> Result<ImportedCommits, StepError> {
    if let Some(signal) = status.signal() {
        tracing::warn!(signal, "import process was killed");
        // SIGBUS: libgit2 writes packs through memory, and a full disk shows there.
        let mut may_pass = OF_OTHERS.into_iter().chain([Signal::SIGBUS]);
        return Err(if may_pass.any(|s| s as i32 == signal) {
            StepError::Later(anyhow::anyhow!("the import process was killed by {signal}"))
        } else {
            // Its limits end it, or what it read did; both would happen again.
            refused(Detail::CommitsTooMuch)
        });
    }
    if !status.success() {
        return Err(StepError::Later(anyhow::anyhow!("the import process ended with {status}")));
    }
    if answer.len() as u64 >= MAX_ANSWER {
        // It was cut off there, and would be each time.
        return Err(refused(Detail::CommitsTooMuch));
    }
    match serde_json::from_slice(answer).context("parsing the import process's answer")? {
        Answer::Taken(taken) => Ok(taken),
        Answer::Refused(reason) => Err(refused(Detail::CommitsNotSound(reason))),
        Answer::TooMuch(reason) => {
            tracing::warn!(reason, "hand-over exceeds its limits");
            Err(refused(Detail::CommitsTooMuch))
        }
        Answer::Failed(reason) => Err(StepError::Later(anyhow::anyhow!(reason))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::FailureClass;

    #[test]
    fn a_process_that_is_killed_by_its_limits_is_a_refusal_and_one_that_is_told_to_end_is_not() {
        for signal in [Signal::SIGKILL, Signal::SIGXCPU, Signal::SIGXFSZ, Signal::SIGABRT, Signal::SIGSEGV] {
            let step_error = judged(ExitStatus::from_raw(signal as i32), b"").unwrap_err();
            assert!(
                matches!(step_error, StepError::Fail { class: FailureClass::HandOverRefused, .. }),
                "{signal}"
            );
        }
        for signal in [Signal::SIGTERM, Signal::SIGBUS] {
            let told = judged(ExitStatus::from_raw(signal as i32), b"").unwrap_err();
            assert!(matches!(told, StepError::Later(_)), "{signal}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_tried_again() {
        assert!(matches!(judged(ExitStatus::from_raw(0), b"{"), Err(StepError::Later(_))));
        assert!(matches!(judged(ExitStatus::from_raw(1 << 8), b""), Err(StepError::Later(_))));
        let cut_off = vec![b'['; MAX_ANSWER as usize];
        assert!(matches!(judged(ExitStatus::from_raw(0), &cut_off), Err(StepError::Fail { .. })));
        let refusal = serde_json::to_vec(&Answer::Refused("it is empty".to_owned())).unwrap();
        assert!(matches!(judged(ExitStatus::from_raw(0), &refusal), Err(StepError::Fail { .. })));
    }
}
