//! Containers whose run has ended, or is not known, are removed. What a live task owns is left to its worker.

use super::Sweep;
use crate::ids::{LABEL_INSTANCE, LABEL_RUN, RunId};
use crate::story::TaskState;

impl Sweep {
    pub(super) async fn containers(&self, no_worker_runs: bool) -> anyhow::Result<()> {
        let ours = self.docker.list((LABEL_INSTANCE, &self.instance)).await?;
        for container in ours {
            let run = container.labels.get(LABEL_RUN).and_then(|id| id.parse::<RunId>().ok());
            let known = match run {
                Some(id) => self.store.run_at_work(id).await?,
                None => None,
            };
            let is_needed = known.is_some_and(|(run, state, is_held)| match () {
                // A hand-over's or a refresh's: its worker removes it, unless that worker is gone.
                () if container.name != run.container_name() => {
                    let is_at_work = is_held || matches!(state, TaskState::Running | TaskState::Publishing);
                    !no_worker_runs && is_at_work
                }
                // A run whose task is over without it: given up while Docker was away.
                () => run.end.is_none() && !state.is_final(),
            });
            if !is_needed {
                tracing::info!(container = container.name, "a container without a live run is removed");
                self.docker.remove(&container.name).await?;
            }
        }
        Ok(())
    }
}
