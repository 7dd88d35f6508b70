//! The store: the only home of SQL. One SQLite file holds the inbox (deliveries), the stories with
//! their tasks, runs and questions, and the outbox (effects). Every public function here is one
//! transaction; what belongs together is written together or not at all. Nothing here speaks to
//! GitHub, Docker or git, and nothing here decides: see `story.rs` for the rules.

mod base;
mod budgets;
mod cards;
mod check_runs;
mod checks;
mod commands;
mod deliveries;
mod effects;
mod fault;
mod fixes;
mod held_back;
mod keep;
mod looks;
mod messages;
mod open;
mod pulls;
mod queue;
mod repositories;
mod rests;
mod reviews;
mod rows;
mod runs;
mod settings;
mod shown;
mod shut_out;
mod status;
mod stories;
mod sub_issues;
mod tasks;
mod turned_away;
mod waiting;
mod waits;
mod wishes;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

pub use base::FollowBase;
pub use budgets::{CapQuestion, WaitsForLimit};
pub use cards::NewAnswers;
pub use check_runs::{CheckToShow, CheckedHead, ShownCheck};
pub use deliveries::{Delivery, Recorded};
pub use effects::{
    Double, DoubleKind, Effect, EffectClass, Excluded, NewEffect, PullShown, ReactTo, WantedEffect, once_id,
};
pub use fault::StoreFault;
pub use fixes::{Fix, NewFix};
pub use held_back::ApprovalQuestion;
pub use keep::{IdleStory, SaveState, StoredRun, StoredStory};
pub use looks::DeliveryPoll;
pub use messages::NewMessage;
pub use open::{backup, look_at};
pub use pulls::PullNews;
pub use queue::Sharing;
pub use repositories::KnownRepository;
pub use rests::OverflowPart;
pub use reviews::ReviewTaken;
pub use runs::NewRun;
pub use shown::{EndedTask, StatusFacts, StoryToShow};
pub use shut_out::AccessDenied;
pub use status::{BlockedRequest, Counts, OpenDelivery, OpenEffect, OpenTask, RecordedDelivery, StoreStatus};
pub use stories::{Heard, HowStopped, NewTask, Stop, StoryAsk, TheirPull};
pub use sub_issues::ParentStory;
pub use tasks::{Lost, NewQuestion, StopWanted, StoryUpdate, Transition};
pub use turned_away::RejectedWebhooks;
pub use waiting::Waiting;
pub use waits::{ChangeWatch, ClockWatch};
pub use wishes::{BlockedBy, DueRequest, PendingRequest};

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

/// Wakes a loop as soon as there is something for it. Only a hint, and only within this process: each
/// loop also looks by itself, since after a crash nobody remembers to call.
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
    /// The id of this data folder, made when the store was. Containers carry it, so that two hobs on
    /// one Docker daemon leave each other's alone.
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
