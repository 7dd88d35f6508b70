//! The store: the only home of SQL. One SQLite file holds the inbox (deliveries), the stories with
//! their tasks, runs and questions, and the outbox (effects). Every public function here is one
//! transaction; what belongs together is written together or not at all. Nothing here speaks to
//! GitHub, Docker or git, and nothing here decides: see `story.rs` for the rules.

mod access_denied;
mod base;
mod budgets;
mod cards;
mod check_runs;
mod checks;
mod clock_steps;
mod commands;
mod deliveries;
mod effects;
mod fault;
mod fixes;
mod messages;
mod open;
mod overflow;
mod pending_requests;
mod polls;
mod pulls;
mod question_kinds;
mod queue;
mod rejected_webhooks;
mod repositories;
mod retention;
mod reviews;
mod rows;
mod runs;
mod settings;
mod shown;
mod status;
mod stories;
mod sub_issues;
mod tasks;
mod waiting;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub use access_denied::AccessDenied;
pub use base::FollowBase;
pub use budgets::{CapQuestion, WaitsForLimit};
pub use cards::NewAnswers;
pub use check_runs::{CheckToShow, CheckedHead, ShownCheck};
pub use clock_steps::{ChangeWatch, ClockWatch};
pub use deliveries::{Delivery, Recorded};
pub use effects::{
    DuplicateComment, DuplicateKind, Effect, EffectClass, Excluded, NewEffect, PublishedPull, ReactTo,
    WantedEffect, once_id,
};
pub use fault::StoreFault;
pub use fixes::{Fix, NewFix};
pub use messages::NewMessage;
pub use open::{backup, look_at};
pub use overflow::OverflowPart;
pub use pending_requests::{BlockedBy, DueRequest, PendingRequest};
pub use polls::DeliveryPoll;
pub use pulls::PullUpdate;
pub use question_kinds::ApprovalQuestion;
pub use queue::Sharing;
pub use rejected_webhooks::RejectedWebhooks;
pub use repositories::KnownRepository;
pub use retention::{IdleStory, SaveState, StoredRun, StoredStory};
pub use reviews::ReviewTaken;
pub use runs::NewRun;
pub use shown::{EndedTask, StatusFacts, StoryToShow};
pub use status::{BlockedRequest, Counts, OpenDelivery, OpenEffect, OpenTask, RecordedDelivery, StoreStatus};
pub use stories::{AdoptedPull, Heard, NewTask, Stop, StoryAsk};
pub use sub_issues::ParentStory;
pub use tasks::{LeaseLost, NewQuestion, StoryUpdate, Transition};
pub use waiting::Waiting;

use crate::clock;
use write::Write;

/// The open store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// SQLite has one writer at a time; one connection makes that a queue instead of an error.
    writer: SqlitePool,
    reader: SqlitePool,
    wakes: Arc<Wakes>,
    /// A fault that will not pass, once somebody has met one.
    broken: Arc<watch::Sender<Option<StoreFault>>>,
    file: Arc<Path>,
}

/// Wakes a loop as soon as there is something for it. Only a hint, and only within this process:
/// each loop also looks by itself, since after a crash nobody remembers to call.
#[derive(Debug, Default)]
pub struct Wakes {
    /// A delivery was recorded.
    pub deliveries: Notify,
    /// A task was opened, answered or freed.
    pub tasks: Notify,
    /// An effect was wanted.
    pub effects: Notify,
    /// Somebody has said something to an agent at work.
    pub messages: Notify,
}

impl Store {
    /// The id of this data folder, made when the store was. Containers carry it, so that two hobs
    /// on one Docker daemon leave each other's alone.
    pub async fn instance(&self) -> anyhow::Result<String> {
        let made = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'instance'");
        if let Some(instance) = made.fetch_optional(&self.reader).await? {
            return Ok(instance);
        }
        let mut write = self.begin("instance").await?;
        let instance = sqlx::query_scalar(
            "INSERT INTO meta (key, value) VALUES ('instance', $1)
             ON CONFLICT (key) DO UPDATE SET value = value RETURNING value",
        )
        .bind(Uuid::now_v7().to_string())
        .fetch_one(&mut *write)
        .await?;
        write.commit().await?;
        Ok(instance)
    }

    /// What to wait on for new work.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Whether the store can be written right now: nobody else holds its lock for long.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.begin("check").await?.undo().await
    }

    /// Closes the file; waits for statements under way.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn begin(&self, name: &'static str) -> anyhow::Result<Write> {
        Write::begin(&self.writer, name).await
    }
}

/// Now, as the store keeps it: milliseconds since 1970.
fn now() -> i64 {
    clock::now_ms()
}

/// A moment from now, as the store keeps it.
fn after(wait: Duration) -> i64 {
    now().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
