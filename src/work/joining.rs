//! The side of hob that has two sides of a history brought together by a process of its own
//! (`join_child.rs`), and that judges how it ended. What is too much for hob is the agent's to do,
//! like what conflicts.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::Context as _;

use super::child::{Asked, OF_OTHERS};
use super::join_child::{Answer, Request};
use super::start::blocking;
use super::{StepError, Worker};
use crate::clock;
use crate::fail_point::{Timing, reach};
use crate::git::{self, Joined, Mirror};
use crate::ids::Sha;
use crate::story::Story;

/// The command of hob's program that is the process.
pub const COMMAND: &str = "join";

/// As much as the process may answer: the names of what conflicts.
const MAX_ANSWER: u64 = 4 << 20;

/// Two sides to bring together.
pub(super) struct MergeSides {
    /// The repository of hob's own that has both.
    pub(super) quarantine: PathBuf,
    /// The commit that is built on.
    pub(super) ours: Sha,
    /// The commit that is brought in.
    pub(super) theirs: Sha,
    /// What is to be done.
    pub(super) how: MergeMethod,
}

/// How two sides are brought together.
pub(super) enum MergeMethod {
    /// With a merge of this message.
    Merge(String),
    /// Ours is made again on top of theirs, from behind the commit where ours begins, if that is
    /// not where the two parted. Made at this time, in seconds since 1970; absent: now.
    Rewrite { after: Option<Sha>, at: Option<i64> },
}

impl Worker {
    /// Signs the merge, or the commits made again, that lie in a repository of hob's own, where
    /// signing is wanted. The key stays in hob.
    pub(super) async fn sign_join(
        &self,
        story: &Story,
        quarantine: PathBuf,
        tip: Sha,
    ) -> Result<Sha, StepError> {
        let Some(key) = self.signing_key.clone() else { return Ok(tip) };
        let mirror = self.data.mirror(&story.mirror);
        Ok(blocking(move || git::sign(&Mirror::ensure(&mirror)?, &quarantine, &tip, &key)).await??)
    }

    /// Brings two sides together. Conflicts without a path: it is too much for hob.
    pub(super) async fn join_sides(&self, sides: MergeSides) -> anyhow::Result<Joined> {
        let config = &self.config;
        let timeout = config.container.hand_over_timeout;
        let (message, rewrite, after, at) = match sides.how {
            MergeMethod::Merge(message) => (message, false, None, None),
            MergeMethod::Rewrite { after, at } => (String::new(), true, after, at),
        };
        let request = Request {
            quarantine: sides.quarantine,
            ours: sides.ours,
            theirs: sides.theirs,
            after,
            message,
            by: (config.git.author_name.clone(), config.git.author_email.clone()),
            at: at.unwrap_or_else(|| clock::now().as_second()),
            rewrite,
            memory_bytes: config.policy.import_memory.0,
            cpu_seconds: timeout.as_secs().max(1),
            max_bytes: config.container.hand_over_limit.0,
        };
        let request = serde_json::to_vec(&request).context("writing the request")?;
        let asked = Asked { command: COMMAND, request: &request, timeout, most_answer: MAX_ANSWER };
        reach("process", "join", Timing::Before);
        let said = self.ask_child(&asked).await?;
        reach("process", "join", Timing::After);
        said.map_or_else(|| Ok(too_much()), |(status, answer)| judged(status, &answer))
    }
}

/// What follows from the process's end.
fn judged(status: ExitStatus, answer: &[u8]) -> anyhow::Result<Joined> {
    if let Some(signal) = status.signal() {
        tracing::warn!(signal, "merge process was killed");
        let is_of_others = OF_OTHERS.iter().any(|other| *other as i32 == signal);
        anyhow::ensure!(!is_of_others, "the merge process was killed by {signal}");
        return Ok(too_much());
    }
    anyhow::ensure!(status.success(), "the merge process ended with {status}");
    if answer.len() as u64 >= MAX_ANSWER {
        tracing::warn!("merge has too many conflicts");
        return Ok(too_much());
    }
    match serde_json::from_slice(answer).context("parsing the merge process's answer")? {
        Answer::Joined(joined) => Ok(joined),
        // libgit2 says so with its own words or the system's, and with no code.
        Answer::Failed(text)
            if ["Cannot allocate memory", "ut of memory"].iter().any(|s| text.contains(s)) =>
        {
            tracing::warn!(error = text, "merge exceeds its memory limit");
            Ok(too_much())
        }
        Answer::Failed(text) => Err(anyhow::anyhow!(text)),
    }
}

fn too_much() -> Joined {
    Joined::Conflicts(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn a_process_that_its_limits_have_ended_leaves_it_to_the_agent_and_one_that_was_told_to_end_does_not() {
        for signal in [Signal::SIGKILL, Signal::SIGXCPU, Signal::SIGXFSZ, Signal::SIGSEGV] {
            assert_eq!(judged(ExitStatus::from_raw(signal as i32), b"").unwrap(), too_much(), "{signal}");
        }
        let no_memory = serde_json::to_vec(&Answer::Failed("merging: Out of memory".to_owned())).unwrap();
        assert_eq!(judged(ExitStatus::from_raw(0), &no_memory).unwrap(), too_much());
        assert!(judged(ExitStatus::from_raw(Signal::SIGTERM as i32), b"").is_err());
        assert!(judged(ExitStatus::from_raw(1 << 8), b"").is_err());
        assert!(judged(ExitStatus::from_raw(0), b"{").is_err());
        let cut_off = vec![b'['; MAX_ANSWER as usize];
        assert_eq!(judged(ExitStatus::from_raw(0), &cut_off).unwrap(), too_much());
        let failed = serde_json::to_vec(&Answer::Failed("no such object".to_owned())).unwrap();
        assert!(judged(ExitStatus::from_raw(0), &failed).is_err());
        let done = serde_json::to_vec(&Answer::Joined(Joined::UpToDate)).unwrap();
        assert_eq!(judged(ExitStatus::from_raw(0), &done).unwrap(), Joined::UpToDate);
    }
}
