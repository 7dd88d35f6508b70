//! The store: the only home of SQL. One SQLite file holds the inbox (deliveries), the stories with
//! their tasks, runs and questions, and the outbox (effects). Every public function here is one
//! transaction; what belongs together is written together or not at all. Nothing here speaks to
//! GitHub, Docker or git, and nothing here decides: see `story.rs` for the rules.

mod deliveries;
mod effects;
mod held_back;
mod rows;
mod runs;
mod stories;
mod tasks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{SqlSafeStr as _, Transaction};
use tokio::sync::Notify;
use uuid::Uuid;

pub use deliveries::{Delivery, Recorded};
pub use effects::{Effect, NewEffect, ReactTo, WantedEffect};
pub use held_back::HeldBackQuestion;
pub use stories::{NewTask, StoryAsk};
pub use tasks::{Advance, Lost, NewQuestion, StoryChange};

/// The schema, oldest step first. A step is never edited once it has shipped.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "first", include_str!("../migrations/0001_first.sql"))];

/// How long a statement waits for another process that holds the file, a backup for example.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers beside the one writer. WAL lets them go on while it writes.
const READERS: u32 = 4;

/// The open store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// SQLite has one writer at a time; one connection makes that a queue instead of an error.
    writer: SqlitePool,
    reader: SqlitePool,
    wakes: Arc<Wakes>,
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
}

impl Store {
    /// Opens the file, makes it if it is not there, and brings its schema up to date. Refuses a file
    /// that a newer hob has written.
    pub async fn open(file: &Path) -> anyhow::Result<Store> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .with_context(|| format!("opening the store {}", file.display()))?;
        migrator().run(&writer).await.with_context(|| {
            format!("bringing the store {} up to date (was it written by a newer hob?)", file.display())
        })?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.create_if_missing(false))
            .await
            .context("opening the store for reading")?;
        Ok(Store { writer, reader, wakes: Arc::default() })
    }

    /// The id of this data folder, made when the store was. Containers carry it, so that two hobs on
    /// one Docker daemon leave each other's alone.
    pub async fn instance(&self) -> anyhow::Result<String> {
        sqlx::query("INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING")
            .bind(Uuid::now_v7().to_string())
            .execute(&self.writer)
            .await?;
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = 'instance'")
            .fetch_one(&self.writer)
            .await?)
    }

    /// What to wait on for new work.
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Whether the store can be written right now.
    pub async fn check(&self) -> anyhow::Result<()> {
        let transaction = self.begin().await?;
        transaction.rollback().await.context("ending the probe of the store")
    }

    /// Closes the file; waits for statements under way.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A write transaction. `BEGIN IMMEDIATE` takes the write lock at once, so that a transaction that
    /// reads before it writes cannot fail halfway with a stale snapshot.
    async fn begin(&self) -> anyhow::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.context("starting a transaction in the store")
    }
}

fn migrator() -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// Now, as the store keeps it: milliseconds since 1970.
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A moment from now, as the store keeps it.
fn after(wait: Duration) -> i64 {
    now().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
