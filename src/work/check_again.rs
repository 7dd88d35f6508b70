//! The repository's checks once more, on the head of the story branch, because somebody asked for that on the check run. The task
//! is done and stays so; no agent works. May be repeated from the top.

use anyhow::Context as _;

use super::start::{blocking, make_private_folder, remote_hitch};
use super::{Hitch, Job, Worker};
use crate::git::{Mirror, RemoteError};
use crate::story::Task;

impl Worker {
    /// Runs the checks of a task that is done again.
    pub(super) async fn check_again(&self, job: &Job) -> Result<(), Hitch> {
        let run = self.store.latest_run(&job.task).await?.context("a task that is done has a run")?;
        let head = job.story.remote_head.clone().context("a story with a check run has a head")?;
        let remote = self.remote(&job.story).await?;
        let mirror = self.data.mirror(&job.story.repo);
        let (story, at) = (job.story.id, head.clone());
        let is_there = blocking(move || {
            let mirror = Mirror::ensure(&mirror).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            Ok(mirror.pin(story, &at).is_ok())
        })
        .await?
        .map_err(remote_hitch)?;
        if !is_there {
            return Err(Hitch::not_ready("The commit is not in the repository any more."));
        }
        // All of it lies in the mirror; the containers of checks look into a quarantine beside it.
        let quarantine = self.data.run(run.id).quarantine.join("objects");
        blocking(move || make_private_folder(&quarantine, None)).await??;
        tracing::info!(%head, "the checks run again");
        let checked = self.run_checks(job, &run, &head).await?;
        self.clear_hand_over(&run).await?;
        Ok(self.store.checked_again(&job.task, Some((run.id, &checked))).await?)
    }

    /// Lets it be: the checks could not run. What came of them before stands.
    pub(super) async fn not_checked_again(&self, task: &Task) -> Result<(), Hitch> {
        if let Some(run) = self.store.latest_run(task).await? {
            self.clear_hand_over(&run).await?;
        }
        Ok(self.store.checked_again(task, None).await?)
    }
}
