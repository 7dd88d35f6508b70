//! The inbox. The door records a delivery and answers; intake takes the oldest and settles it.
//! A delivery is settled in the same transaction as what it led to, in `stories.rs`.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::write::Write;
use super::{Store, after, now, rows};
use crate::event::Event;

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
    /// The key of its repository, or nothing.
    pub lane: String,
}

/// What recording a delivery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is new, and durable now.
    New,
    /// One of that GUID is there already; nothing was changed.
    Seen,
    /// Another one said the same. That it came is noted; it leads to nothing.
    SaysTheSame,
}

/// What is kept of a body that is of no use. A delivery without one was never signed.
const NO_BODY: &[u8] = b"";

/// The number of a new row.
const NEXT: &str = "(SELECT COALESCE(MAX(seq), 0) + 1 FROM deliveries)";

impl Store {
    /// Writes a delivery down. When this returns, the delivery survives a power cut. `said` is what
    /// it says, where it can be read: two of one meaning lead to one thing, whatever their GUIDs
    /// are, and those of one repository are settled one after the other.
    pub async fn record_delivery(
        &self,
        guid: &str,
        event: &str,
        body: &[u8],
        said: Option<&Event>,
    ) -> anyhow::Result<Recorded> {
        let meaning = said.and_then(Event::meaning);
        let lane = said.and_then(Event::place).map(|place| place.repo.key());
        let mut write = self.begin("record-delivery").await?;
        let insert = format!(
            "INSERT INTO deliveries (guid, event, body, received_at, state, meaning, lane, seq)
             VALUES ($1, $2, $3, $4, 'new', $5, $6, {NEXT}) ON CONFLICT DO NOTHING"
        );
        let written = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(guid)
            .bind(event)
            .bind(body)
            .bind(now())
            .bind(&meaning)
            .bind(lane.unwrap_or_default())
            .execute(&mut *write)
            .await?;
        if written.rows_affected() == 1 {
            write.commit().await?;
            self.wakes.deliveries.notify_one();
            return Ok(Recorded::New);
        }
        // Its GUID is kept, so that it is not asked for as one that was missed.
        let noted = format!(
            "INSERT INTO deliveries (guid, event, body, received_at, state, note, seq)
             SELECT $1, $2, $3, $4, 'done', 'says the same as ' || guid, {NEXT} FROM deliveries WHERE meaning = $5
             ON CONFLICT DO NOTHING"
        );
        let noted = sqlx::query(sqlx::AssertSqlSafe(noted))
            .bind(guid)
            .bind(event)
            .bind(NO_BODY)
            .bind(now())
            .bind(meaning)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(if noted.rows_affected() == 1 { Recorded::SaysTheSame } else { Recorded::Seen })
    }

    /// Notes that a delivery came which leads to nothing, without what it says: so it is not asked
    /// for as one that was missed.
    pub async fn note_delivery(&self, guid: &str, event: &str, note: &str) -> anyhow::Result<Recorded> {
        let mut write = self.begin("note-delivery").await?;
        let insert = format!(
            "INSERT INTO deliveries (guid, event, body, received_at, state, note, seq)
             VALUES ($1, $2, $3, $4, 'done', $5, {NEXT}) ON CONFLICT DO NOTHING"
        );
        let written = sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(guid)
            .bind(event)
            .bind(NO_BODY)
            .bind(now())
            .bind(note)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(if written.rows_affected() == 1 { Recorded::New } else { Recorded::Seen })
    }

    /// Puts a recorded delivery into the inbox once more, under a GUID of its own, because the
    /// operator says so. Tells that GUID.
    ///
    /// # Errors
    /// If none is recorded under that GUID, or without its body; then nothing is changed.
    pub async fn replay_delivery(&self, guid: &str) -> anyhow::Result<String> {
        let again = format!("replay-{}", Uuid::new_v4());
        let mut write = self.begin("replay-delivery").await?;
        let found = sqlx::query("SELECT length(body) AS bytes, note FROM deliveries WHERE guid = $1")
            .bind(guid)
            .fetch_optional(&mut *write)
            .await?;
        let Some(found) = found else {
            anyhow::bail!("no delivery {guid} is recorded; processed deliveries are kept for keep.deliveries")
        };
        if found.try_get::<i64, _>("bytes")? == 0 {
            let note: Option<String> = found.try_get("note")?;
            anyhow::bail!(
                "delivery {guid} was recorded without its body, so it cannot be replayed: {}. Nothing was changed",
                note.unwrap_or_else(|| "no reason was recorded".to_owned())
            );
        }
        let insert = format!(
            "INSERT INTO deliveries (guid, event, body, received_at, state, note, lane, seq)
             SELECT $2, event, body, $3, 'new', 'a replay of ' || guid, lane, {NEXT} FROM deliveries WHERE guid = $1"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(guid)
            .bind(&again)
            .bind(now())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        self.wakes.deliveries.notify_one();
        Ok(again)
    }

    /// Whether a delivery of that GUID was recorded.
    pub async fn has_delivery(&self, guid: &str) -> anyhow::Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM deliveries WHERE guid = $1")
            .bind(guid)
            .fetch_optional(&self.reader)
            .await?;
        Ok(found.is_some())
    }

    /// Whether a delivery of that meaning was recorded.
    pub async fn has_meaning(&self, meaning: &str) -> anyhow::Result<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM deliveries WHERE meaning = $1")
            .bind(meaning)
            .fetch_optional(&self.reader)
            .await?;
        Ok(found.is_some())
    }

    /// The oldest delivery that is not settled and due. Deliveries are worked off in the order of
    /// their arrival, except that one which had to be put off does not hold up the others.
    pub async fn next_delivery(&self) -> anyhow::Result<Option<Delivery>> {
        self.next_delivery_beside(&[]).await
    }

    /// The same, beside those of lanes that are busy.
    pub async fn next_delivery_beside(&self, busy: &[String]) -> anyhow::Result<Option<Delivery>> {
        // Each lane is found from the one before it, so that a long one is not read to find the
        // others.
        let row = sqlx::query(
            "WITH RECURSIVE lanes (lane) AS (
                 SELECT MIN(lane) FROM deliveries WHERE state = 'new'
                 UNION ALL SELECT (SELECT MIN(d.lane) FROM deliveries AS d WHERE d.state = 'new' AND d.lane > known.lane)
                 FROM lanes AS known WHERE known.lane IS NOT NULL),
             heads (seq) AS (
                 SELECT (SELECT d.seq FROM deliveries AS d
                         WHERE d.state = 'new' AND d.lane = lanes.lane AND d.not_before <= $1 ORDER BY d.seq LIMIT 1)
                 FROM lanes WHERE lanes.lane IS NOT NULL AND lanes.lane NOT IN (SELECT value FROM json_each($2)))
             SELECT guid, event, body, attempts, lane FROM deliveries WHERE seq = (SELECT MIN(seq) FROM heads)",
        )
        .bind(now())
        .bind(rows::to_json(&busy)?)
        .fetch_optional(&self.reader)
        .await?;
        row.map(|r| delivery(&r)).transpose()
    }

    /// When the next delivery that is put off is due again, or a wish is to be looked at.
    pub async fn next_intake_at(&self) -> anyhow::Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT MIN(at) FROM (
                 SELECT MIN(not_before) AS at FROM deliveries WHERE state = 'new' AND not_before > $1
                 UNION ALL SELECT MIN(look_at) FROM wishes WHERE look_at > $1) AS next",
        );
        Ok(next.bind(now()).fetch_one(&self.reader).await?)
    }

    /// How many deliveries are not settled, due or not.
    pub async fn open_deliveries(&self) -> anyhow::Result<i64> {
        let open = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries WHERE state = 'new'");
        Ok(open.fetch_one(&self.reader).await?)
    }

    /// Settles a delivery that leads to nothing; `note` says why. Its body stays, for a replay.
    pub async fn ignore_delivery(&self, guid: &str, note: &str) -> anyhow::Result<()> {
        let mut write = self.begin("ignore-delivery").await?;
        settle(&mut write, guid, "done", note).await?;
        write.commit().await
    }

    /// Settles a delivery that can lead to nothing, whenever it is looked at; `note` says why. Its
    /// body is not kept.
    pub async fn drop_delivery(&self, guid: &str, note: &str) -> anyhow::Result<()> {
        let mut write = self.begin("drop-delivery").await?;
        settle(&mut write, guid, "done", note).await?;
        sqlx::query("UPDATE deliveries SET body = $2 WHERE guid = $1")
            .bind(guid)
            .bind(NO_BODY)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Settles a delivery that hob cannot decode. It is kept for the operator.
    pub async fn set_aside_delivery(&self, guid: &str, note: &str) -> anyhow::Result<()> {
        let mut write = self.begin("set-aside-delivery").await?;
        settle(&mut write, guid, "unreadable", note).await?;
        write.commit().await
    }

    /// Forgets settled deliveries that came before a moment, at most so many at once; tells how
    /// many. The one that opened a task which is not over, or asked for one that waits, is kept, so
    /// that it is known should it come again, whatever the clock says.
    pub async fn forget_deliveries(&self, before: Timestamp, most: u32) -> anyhow::Result<u64> {
        let mut write = self.begin("forget-deliveries").await?;
        let forgotten = sqlx::query(
            "DELETE FROM deliveries WHERE guid IN (
                 SELECT d.guid FROM deliveries AS d WHERE d.state <> 'new' AND d.received_at < $1
                   AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.delivery = d.guid
                                   AND t.state IN ('queued', 'running', 'publishing', 'blocked'))
                   AND NOT EXISTS (SELECT 1 FROM wishes AS w WHERE w.delivery = d.guid)
                 ORDER BY d.received_at LIMIT $2)",
        )
        .bind(before.as_millisecond())
        .bind(i64::from(most))
        .execute(&mut *write)
        .await?
        .rows_affected();
        // Nothing is the usual answer, and no write.
        if forgotten > 0 {
            write.commit().await?
        } else {
            write.undo().await?
        }
        Ok(forgotten)
    }

    /// Puts a delivery off: something outside was not ready.
    pub async fn postpone_delivery(&self, guid: &str, wait: Duration, note: &str) -> anyhow::Result<()> {
        let mut write = self.begin("postpone-delivery").await?;
        sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, not_before = $2, note = $3 WHERE guid = $1",
        )
        .bind(guid)
        .bind(after(wait))
        .bind(note)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}

/// Marks a delivery as settled, once. A second worker at the same delivery would be a fault of
/// hob's.
pub(super) async fn settle(write: &mut Write, guid: &str, state: &str, note: &str) -> anyhow::Result<()> {
    let settled =
        sqlx::query("UPDATE deliveries SET state = $2, note = $3 WHERE guid = $1 AND state = 'new'")
            .bind(guid)
            .bind(state)
            .bind(note)
            .execute(&mut **write)
            .await?;
    anyhow::ensure!(settled.rows_affected() == 1, "delivery {guid} is already settled");
    Ok(())
}

fn delivery(row: &SqliteRow) -> anyhow::Result<Delivery> {
    let attempts: i64 = row.try_get("attempts")?;
    Ok(Delivery {
        guid: row.try_get("guid")?,
        event: row.try_get("event")?,
        body: row.try_get("body").context("column body of the store")?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        lane: row.try_get("lane")?,
    })
}
