//! How far hob has looked through GitHub's record of its own webhook deliveries. How far each
//! repository was looked through is kept with the repository.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Store, rows};

const KEY: &str = "deliveries-looked";

/// A part of GitHub's record of deliveries, by GitHub's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPoll {
    /// Where the record stood when this store first looked. What hob has taken before that, it took
    /// into another store.
    pub from: Timestamp,
    /// Up to when each delivery of the record is in this store, or needs not to be.
    pub until: Timestamp,
}

impl Store {
    /// The part of the record that was looked through, if there was a whole look.
    pub async fn looked_deliveries(&self) -> anyhow::Result<Option<DeliveryPoll>> {
        let found: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(KEY)
            .fetch_optional(&self.reader)
            .await?;
        found
            .map(|text| serde_json::from_str(&text).with_context(|| format!("{KEY} of the store")))
            .transpose()
    }

    /// Notes the part of the record that was looked through.
    pub async fn note_looked_deliveries(&self, looked: DeliveryPoll) -> anyhow::Result<()> {
        let mut write = self.begin("looked-deliveries").await?;
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(KEY)
            .bind(rows::to_json(&looked)?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}
