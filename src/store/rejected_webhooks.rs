//! How many webhooks the door has turned away: somebody who has set up a webhook without its secret
//! looks here.

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;

use super::{Store, rows};
use crate::clock;

const KEY: &str = "turned-away";

/// After so long without one the count begins again.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Webhooks that were turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedWebhooks {
    /// How many.
    pub count: u64,
    /// When the first of them came.
    pub since: Timestamp,
    /// When the last of them came.
    pub last: Timestamp,
    /// Why that one was turned away.
    pub why: String,
}

impl Store {
    /// Adds so many to the count.
    pub async fn note_turned_away(&self, count: u64, why: &str) -> anyhow::Result<()> {
        let mut write = self.begin("turned-away").await?;
        let (known, now) = (turned_away(&mut write).await?, clock::now());
        let fresh = RejectedWebhooks { count: 0, since: now, last: now, why: String::new() };
        let known = known.filter(|known| now.duration_since(known.last) < FORGOTTEN_AFTER).unwrap_or(fresh);
        let noted = RejectedWebhooks {
            count: known.count.saturating_add(count),
            last: now,
            why: why.to_owned(),
            ..known
        };
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(KEY)
            .bind(rows::to_json(&noted)?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

/// The count, if there is one.
pub(super) async fn turned_away(
    connection: &mut SqliteConnection,
) -> anyhow::Result<Option<RejectedWebhooks>> {
    let found: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
        .bind(KEY)
        .fetch_optional(connection)
        .await?;
    found.map(|text| serde_json::from_str(&text).with_context(|| format!("{KEY} of the store"))).transpose()
}
