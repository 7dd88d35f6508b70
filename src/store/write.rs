//! One write to the store, from `BEGIN IMMEDIATE` to its commit. It has a name, so that tests can
//! end hob right before and right after the commit; dropped without a commit it leaves nothing.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{SqlitePool, Transaction};

use crate::fail_point::{Timing, reach};

/// A write under way. Queries run on it as on a connection.
pub(super) struct Write {
    name: &'static str,
    transaction: Transaction<'static, Sqlite>,
}

impl Write {
    /// Takes the write lock at once, so that a write that reads before it changes something cannot
    /// fail halfway with a stale snapshot.
    pub(super) async fn begin(pool: &SqlitePool, name: &'static str) -> anyhow::Result<Write> {
        let transaction = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .with_context(|| format!("starting a transaction ({name})"))?;
        Ok(Write { name, transaction })
    }

    /// Makes it durable: when this returns, it survives a power cut.
    pub(super) async fn commit(self) -> anyhow::Result<()> {
        reach("store", self.name, Timing::Before);
        self.transaction
            .commit()
            .await
            .with_context(|| format!("committing a transaction ({})", self.name))?;
        reach("store", self.name, Timing::After);
        Ok(())
    }

    /// Leaves everything as it was.
    pub(super) async fn undo(self) -> anyhow::Result<()> {
        self.transaction.rollback().await.context("rolling back a transaction")
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}
