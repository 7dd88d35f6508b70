//! The repository's checks on a commit that no agent has handed over: on the head of the story
//! branch once more, because somebody asked for that on the check run (the task is done and stays
//! so; no agent works), and on what hob has pushed by itself, suggestions and merges of the base.
//! May be repeated from the top.

use anyhow::Context as _;

use super::start::{blocking, make_private_folder, remote_error};
use super::{Job, StepError, Worker};
use crate::git::{Mirror, RemoteError};
use crate::ids::Sha;
use crate::message::Detail;
use crate::store::{Effect, NewEffect};
use crate::story::checks::Checked;
use crate::story::{Run, Task};

impl Worker {
    /// Runs the checks of a task that is done again.
    pub(super) async fn check_again(&self, job: &Job) -> Result<(), StepError> {
        let run = self.run_for_checks(job).await?.context("loading the story's run")?;
        let head = job.story.remote_head.clone().context("loading the story's head")?;
        tracing::info!(%head, "rerunning checks");
        let checked = Box::pin(self.check_branch(job, &run, &head)).await?;
        let checked = checked.ok_or_else(|| StepError::not_ready(Detail::NoCommitAnyMore))?;
        let effects: Vec<NewEffect> = evidence(job, Some(&checked)).into_iter().collect();
        Ok(self.store.checked_again(&job.task, Some((run.id, &checked)), &effects).await?)
    }

    /// What came of the repository's checks on a commit that hob has pushed by itself; nothing
    /// where it has none. Where they have run on it for this task before, that counts.
    pub(super) async fn check_pushed(&self, job: &Job, tip: &Sha) -> Result<Option<Checked>, StepError> {
        if job.file.checks.is_empty() {
            return Ok(None);
        }
        if let Some(checked) = self.store.checked(job.task.id, tip).await? {
            return Ok(Some(checked));
        }
        // A branch on which no agent ever worked has nothing of hob's but what people wrote.
        let Some(run) = self.run_for_checks(job).await? else { return Ok(None) };
        let checked = Box::pin(self.check_branch(job, &run, tip)).await?;
        if let Some(checked) = &checked {
            self.store.keep_checked(&job.task, run.id, checked).await?;
        }
        Ok(checked)
    }

    /// A run whose folder and names serve for checks that belong to no run: the newest of the task,
    /// or of the story.
    async fn run_for_checks(&self, job: &Job) -> Result<Option<Run>, StepError> {
        if let Some(run) = self.store.latest_run(&job.task).await? {
            return Ok(Some(run));
        }
        Ok(self.store.last_started_run(job.story.id).await?.map(|(_, run)| run))
    }

    /// The checks on a commit of the repository; nothing where it has no such commit any more.
    async fn check_branch(&self, job: &Job, run: &Run, tip: &Sha) -> Result<Option<Checked>, StepError> {
        let remote = self.remote(&job.story).await?;
        let mirror = self.data.mirror(&job.story.mirror);
        let (story, at) = (job.story.id, tip.clone());
        let is_there = blocking(move || {
            let mirror = Mirror::ensure(&mirror).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            Ok(mirror.pin(story, &at).is_ok())
        })
        .await?
        .map_err(remote_error)?;
        if !is_there {
            return Ok(None);
        }
        // All of it lies in the mirror; the containers of checks look into a quarantine beside it.
        let quarantine = self.data.run(run.id).quarantine.join("objects");
        blocking(move || make_private_folder(&quarantine, None)).await??;
        let checked = Box::pin(self.run_checks(job, run, tip)).await?;
        self.clear_hand_over(run).await?;
        Ok(Some(checked))
    }

    /// Lets it be: the checks could not run. What came of them before stands.
    pub(super) async fn not_checked_again(&self, task: &Task) -> Result<(), StepError> {
        let job = self.job(task.clone()).await?;
        if let Some(run) = self.run_for_checks(&job).await? {
            self.clear_hand_over(&run).await?;
        }
        Ok(self.store.checked_again(task, None, &[]).await?)
    }
}

/// The report in the pull request shows what came of the checks: for what is pushed without the
/// report being made again.
pub(super) fn evidence(job: &Job, checked: Option<&Checked>) -> Option<NewEffect> {
    let pull = checked.and(job.story.pull)?;
    Some(NewEffect::new(Effect::Evidence { pull }))
}
