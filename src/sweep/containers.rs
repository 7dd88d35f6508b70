//! Containers whose run has ended, or is not known, are removed, and the networks that were made
//! for them. What a live task owns is left to its worker.

use std::collections::BTreeMap;

use super::Sweep;
use crate::ids::{LABEL_INSTANCE, LABEL_RUN, RunId};
use crate::story::TaskState;

impl Sweep {
    pub(super) async fn containers(&self, no_worker_runs: bool) -> anyhow::Result<()> {
        let ours = (LABEL_INSTANCE, self.instance.as_str());
        for container in self.docker.list(ours).await? {
            if !self.is_needed(&container.name, &container.labels, no_worker_runs).await? {
                tracing::info!(container = container.name, "removing a container without a live run");
                self.docker.remove(&container.name).await?;
            }
        }
        // Afterwards: a network that a container is on cannot be removed.
        for network in self.docker.list_networks(ours).await? {
            if !self.is_needed(&network.name, &network.labels, no_worker_runs).await? {
                tracing::info!(network = network.name, "removing a network without a live run");
                self.docker.remove_network_by_id(&network.id).await?;
            }
        }
        Ok(())
    }

    /// Whether a worker may be at something of this name and with these labels.
    async fn is_needed(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        no_worker_runs: bool,
    ) -> anyhow::Result<bool> {
        let run = labels.get(LABEL_RUN).and_then(|id| id.parse::<RunId>().ok());
        let known = match run {
            Some(id) => self.store.run_at_work(id).await?,
            None => None,
        };
        Ok(known.is_some_and(|(run, state, is_held)| match () {
            // A hand-over's or a refresh's: its worker removes it, unless that worker is gone.
            () if name != run.container_name() => {
                let is_at_work = is_held || matches!(state, TaskState::Running | TaskState::Publishing);
                !no_worker_runs && is_at_work
            }
            // A run whose task is over without it: given up while Docker was away.
            () => run.end.is_none() && !state.is_final(),
        }))
    }
}
