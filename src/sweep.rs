//! The sweep: what is against what should be. At start and every few minutes it removes what nobody
//! needs any more, containers, folders, records, old deliveries, and ends the waiting for an answer
//! that does not come. What a story that waits or works needs is left alone, whatever the clock
//! says. It runs no agent and pushes nothing: where work is to be pushed first, it says so in the
//! store, and a worker does it.

mod cards;
mod containers;
mod folders;
mod records;
mod sizes;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{ByteSize, Config};
use crate::container::Docker;
use crate::heartbeat::Heartbeat;
use crate::ids::StoryId;
use crate::paths::{self, DataDir};
use crate::store::{ChangeWatch, ClockWatch, Store};
use sizes::MeasuredSizes;

/// So many deliveries are forgotten in one write, so that nobody waits long for the store.
const DELIVERIES_AT_ONCE: u32 = 500;
/// How often it looks whether the clock was put back, and whether somebody has changed the store,
/// unless `work.poll` is shorter.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(5);
/// So long it waits between two looks at least.
const MIN_PAUSE: Duration = Duration::from_millis(200);

/// The longest honest step. Nobody waits for the sweep, so it may take its time.
pub const MAX_STEP: Duration = Duration::from_secs(2 * 60 * 60);

/// Everything the sweep works with.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// hob's settings.
    pub config: Arc<Config>,
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
    /// Removes containers that an earlier hob left behind. Only right while no worker runs.
    pub async fn at_start(&self) {
        logged("containers", self.containers(true).await);
    }

    /// Sweeps at once and then again and again until `stop` is set, and minds the clock meanwhile.
    /// A part that fails is logged; the next sweep tries again.
    pub async fn run(self, stop: CancellationToken, pulse: Heartbeat) -> anyhow::Result<()> {
        let mut clock = ClockWatch::default();
        let mut sizes = MeasuredSizes::default();
        let mut next = Instant::now();
        let (mut changes, mut deadline) = (ChangeWatch::default(), None);
        while !stop.is_cancelled() {
            pulse.beat();
            if let Err(error) = self.mind_the_clock(&mut clock).await {
                self.store.sit_out(error, &stop).await?;
            }
            let has_changed = self.store.has_changed(&mut changes).await.unwrap_or(true);
            if has_changed {
                self.wake_all();
                deadline = self.store.next_deadline().await.unwrap_or(deadline);
            }
            let look = self.config.work.poll.min(LOOK_AT_CLOCK);
            let wait = deadline.map_or(look, |deadline| clock::until_ms(deadline).min(look));
            let wait = wait.min(next.saturating_duration_since(Instant::now())).max(MIN_PAUSE);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            if deadline.is_some_and(|deadline| deadline <= clock::now_ms()) {
                logged("defaults", self.defaults().await);
                deadline = self.store.next_deadline().await.unwrap_or(deadline);
            }
            if Instant::now() < next {
                continue;
            }
            next = Instant::now() + self.config.work.sweep;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.sweep(&mut sizes) => {}
            }
        }
        Ok(())
    }

    async fn mind_the_clock(&self, watch: &mut ClockWatch) -> anyhow::Result<()> {
        if let Some(back) = self.store.mind_the_clock(watch).await? {
            tracing::warn!(?back, "clock was set back; adjusted stored times");
            self.wake_all();
        }
        Ok(())
    }

    /// Somebody has changed something: each loop looks whether it is for it.
    fn wake_all(&self) {
        self.store.wakes().tasks.notify_one();
        self.store.wakes().effects.notify_one();
        self.store.wakes().deliveries.notify_one();
    }

    /// May be cut short anywhere.
    async fn sweep(&self, sizes: &mut MeasuredSizes) {
        logged("containers", self.containers(false).await);
        logged("a new day", self.new_day().await);
        logged("questions", self.waiting().await);
        logged("reminders", self.reminders().await);
        logged("deliveries", self.deliveries().await);
        logged("records of runs", self.records(sizes).await);
        logged("keys", self.keys().await);
        logged("stories' folders", self.folders(sizes).await);
        logged("mirrors", self.mirrors().await);
        logged("the disk", self.look_at_disk().await);
    }

    /// What waits for no more than the next day goes on when it has come.
    async fn new_day(&self) -> anyhow::Result<()> {
        let tasks = self.store.begin_new_day().await?;
        if tasks > 0 {
            tracing::info!(tasks, "resuming tasks that waited for a new day");
        }
        Ok(())
    }

    async fn deliveries(&self) -> anyhow::Result<()> {
        let mut forgotten = 0;
        loop {
            let before = ago(self.config.keep.deliveries.0);
            let now = self.store.forget_deliveries(before, DELIVERIES_AT_ONCE).await?;
            forgotten += now;
            if now < u64::from(DELIVERIES_AT_ONCE) {
                break;
            }
        }
        if forgotten > 0 {
            tracing::info!(forgotten, "deleted settled deliveries");
        }
        Ok(())
    }

    /// Removes the mirrors of repositories that were put away, once no workspace borrows from them
    /// any more.
    async fn mirrors(&self) -> anyhow::Result<()> {
        for (mirror, stories) in self.store.mirrors_put_away().await? {
            let path = self.data.mirror(&mirror);
            let borrows = |story: &StoryId| {
                let paths = self.data.story(*story);
                [paths.workspace.clone(), paths::draft(&paths.workspace), paths.join]
                    .iter()
                    .any(|path| path.exists())
            };
            if path.exists() && !stories.iter().any(borrows) {
                tracing::info!(mirror, "removed the mirror of an archived repository");
                remove(path).await?;
            }
        }
        Ok(())
    }

    async fn look_at_disk(&self) -> anyhow::Result<()> {
        let (root, wanted) = (self.data.root().to_owned(), self.config.data.min_free);
        let free = blocking(move || paths::free_space(&root)).await?;
        if free.is_below(wanted.0) {
            let (free_mib, free_files, wanted_mib) = (free.bytes >> 20, free.files, wanted.0 >> 20);
            tracing::warn!(free_mib, free_files, wanted_mib, "disk nearly full; no runs are started");
        }
        Ok(())
    }
}

/// Removes a folder that nobody can take up meanwhile.
async fn remove(folder: PathBuf) -> anyhow::Result<()> {
    blocking(move || {
        paths::remove_gone(&folder)?;
        paths::put_away(&folder)?;
        paths::remove_gone(&folder)
    })
    .await
}

fn logged(what: &str, swept: anyhow::Result<()>) {
    if let Err(error) = swept {
        tracing::warn!(what, error = format!("{error:#}"), "part of the sweep failed");
    }
}

/// Runs work that blocks where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("a part of the sweep panicked")?
}

/// A moment that lies so far back.
fn ago(age: Duration) -> Timestamp {
    clock::now().checked_sub(age).unwrap_or(Timestamp::MIN)
}

/// How old something is. What lies ahead, because the clock was put back, is new.
fn age(at: Timestamp) -> Duration {
    clock::now().duration_since(at).try_into().unwrap_or(Duration::ZERO)
}

/// Whether so much is more than may be there.
fn is_over(total: u64, limit: ByteSize) -> bool {
    total > limit.0
}
