//! The sweep: what is against what should be. Containers whose run has ended, or is not known, are
//! removed at start and every few minutes; workspaces of stories that are done are removed at start,
//! while no worker can be making a new one. What a live task owns is left to its worker.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::container::Docker;
use crate::ids::{LABEL_INSTANCE, LABEL_RUN, RunId};
use crate::paths::{self, DataDir};
use crate::pulse::Pulse;
use crate::store::{ClockWatch, Store};
use crate::story::TaskState;

/// How often the sweep looks.
const EVERY: Duration = Duration::from_secs(300);
/// How often it looks whether the clock was put back.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);

/// The longest honest step. Nobody waits for the sweep, so it may take its time.
pub const LONGEST_STEP: Duration = Duration::from_secs(2 * 60 * 60);

/// Everything the sweep works with.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The store.
    pub store: Store,
    /// The containers.
    pub docker: Docker,
    /// The disk.
    pub data: DataDir,
    /// This data folder's id.
    pub instance: String,
}

impl Sweep {
    /// Puts right what an earlier hob left behind. Only right while no worker runs.
    pub async fn at_start(&self) {
        if let Err(error) = self.containers(true).await {
            tracing::warn!(error = format!("{error:#}"), "containers were not swept");
        }
        if let Err(error) = self.workspaces().await {
            tracing::warn!(error = format!("{error:#}"), "workspaces were not swept");
        }
    }

    /// Sweeps until `stop` is set. A sweep that fails is logged; the next one tries again.
    pub async fn run(self, stop: CancellationToken, pulse: Pulse) -> anyhow::Result<()> {
        let mut clock = ClockWatch::default();
        let mut next = Instant::now() + EVERY;
        while !stop.is_cancelled() {
            pulse.beat();
            if let Err(error) = self.mind_the_clock(&mut clock).await {
                self.store.sit_out(error, &stop).await?;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_AT_CLOCK) => {}
            }
            if Instant::now() < next {
                continue;
            }
            next = Instant::now() + EVERY;
            if let Err(error) = self.containers(false).await {
                tracing::warn!(error = format!("{error:#}"), "containers were not swept");
            }
        }
        Ok(())
    }

    async fn mind_the_clock(&self, watch: &mut ClockWatch) -> anyhow::Result<()> {
        if let Some(back) = self.store.mind_the_clock(watch).await? {
            tracing::warn!(?back, "the machine's clock was put back; what waits was moved back with it");
            self.store.wakes().tasks.notify_one();
            self.store.wakes().effects.notify_one();
            self.store.wakes().deliveries.notify_one();
        }
        Ok(())
    }

    async fn containers(&self, no_worker_runs: bool) -> anyhow::Result<()> {
        let ours = self.docker.list((LABEL_INSTANCE, &self.instance)).await?;
        for container in ours {
            let run = container.labels.get(LABEL_RUN).and_then(|id| id.parse::<RunId>().ok());
            let known = match run {
                Some(id) => self.store.run_and_state(id).await?,
                None => None,
            };
            let is_needed = known.is_some_and(|(run, state)| match () {
                // A hand-over's or a refresh's: its worker removes it, unless that worker is gone.
                () if container.name != run.container_name() => {
                    !no_worker_runs && matches!(state, TaskState::Running | TaskState::Publishing)
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

    async fn workspaces(&self) -> anyhow::Result<()> {
        for story in self.store.stories().await? {
            let tasks = self.store.tasks_of(story.id).await?;
            let is_done = tasks.iter().all(|task| task.state.is_final())
                && tasks.last().is_some_and(|task| task.state == TaskState::Done);
            let workspace = self.data.story(story.id).workspace;
            if is_done && workspace.exists() {
                tracing::info!(story = %story.id, "the workspace of a finished story is removed");
                tokio::task::spawn_blocking(move || paths::remove_tree(&workspace))
                    .await
                    .context("removing a workspace")??;
            }
        }
        Ok(())
    }
}
