//! The inbox. The door records a delivery and answers; intake takes the oldest and settles it.
//! A delivery is settled in the same transaction as what it led to, in `stories.rs`.

use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row as _, Transaction};

use super::{Store, after, now};

/// A webhook as received.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// GitHub's id of the delivery; the same when it is sent again.
    pub guid: String,
    /// The event's name, from the header.
    pub event: String,
    /// The body, as it was signed.
    pub body: Vec<u8>,
    /// How often intake tried it before.
    pub attempts: u32,
}

/// What recording a delivery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is new, and durable now.
    New,
    /// One of that GUID is there already; nothing was changed.
    Seen,
}

impl Store {
    /// Writes a delivery down. When this returns, the delivery survives a power cut.
    pub async fn record_delivery(&self, guid: &str, event: &str, body: &[u8]) -> anyhow::Result<Recorded> {
        let written = sqlx::query(
            "INSERT INTO deliveries (guid, event, body, received_at, state) VALUES ($1, $2, $3, $4, 'new')
             ON CONFLICT (guid) DO NOTHING",
        )
        .bind(guid)
        .bind(event)
        .bind(body)
        .bind(now())
        .execute(&self.writer)
        .await?;
        if written.rows_affected() == 0 {
            return Ok(Recorded::Seen);
        }
        self.wakes.deliveries.notify_one();
        Ok(Recorded::New)
    }

    /// The oldest delivery that is not settled and due. Deliveries are worked off in the order of their
    /// arrival, except that one which had to be put off does not hold up the others.
    pub async fn next_delivery(&self) -> anyhow::Result<Option<Delivery>> {
        let row = sqlx::query(
            "SELECT guid, event, body, attempts FROM deliveries
             WHERE state = 'new' AND not_before <= $1 ORDER BY received_at, guid LIMIT 1",
        )
        .bind(now())
        .fetch_optional(&self.reader)
        .await?;
        row.map(|r| delivery(&r)).transpose()
    }

    /// Settles a delivery that leads to nothing; `note` says why.
    pub async fn ignore_delivery(&self, guid: &str, note: &str) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        settle(&mut transaction, guid, "done", note).await?;
        Ok(transaction.commit().await?)
    }

    /// Settles a delivery that hob cannot decode. It is kept for the operator.
    pub async fn set_aside_delivery(&self, guid: &str, note: &str) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        settle(&mut transaction, guid, "unreadable", note).await?;
        Ok(transaction.commit().await?)
    }

    /// Puts a delivery off: something outside was not ready.
    pub async fn postpone_delivery(&self, guid: &str, wait: Duration, note: &str) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, not_before = $2, note = $3 WHERE guid = $1",
        )
        .bind(guid)
        .bind(after(wait))
        .bind(note)
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

/// Marks a delivery as settled, once. A second worker at the same delivery would be a fault of hob's.
pub(super) async fn settle(
    transaction: &mut Transaction<'static, Sqlite>,
    guid: &str,
    state: &str,
    note: &str,
) -> anyhow::Result<()> {
    let settled =
        sqlx::query("UPDATE deliveries SET state = $2, note = $3 WHERE guid = $1 AND state = 'new'")
            .bind(guid)
            .bind(state)
            .bind(note)
            .execute(&mut **transaction)
            .await?;
    anyhow::ensure!(settled.rows_affected() == 1, "delivery {guid} is settled already");
    Ok(())
}

fn delivery(row: &SqliteRow) -> anyhow::Result<Delivery> {
    let attempts: i64 = row.try_get("attempts")?;
    Ok(Delivery {
        guid: row.try_get("guid")?,
        event: row.try_get("event")?,
        body: row.try_get("body")?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
    })
}
