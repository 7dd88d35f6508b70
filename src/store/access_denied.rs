//! That GitHub does not let hob in: noted for `hob status`, which asks nobody.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;

use super::{Store, rows};
use crate::clock;

const KEY: &str = "shut-out";

/// GitHub does not let hob in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessDenied {
    /// Since when that is known.
    pub since: Timestamp,
    /// Why, and what to do.
    pub why: String,
}

impl Store {
    /// Notes why GitHub does not let hob in, or that it does.
    pub async fn note_shut_out(&self, why: Option<&str>) -> anyhow::Result<()> {
        let mut write = self.begin("shut-out").await?;
        let known = shut_out(&mut write).await?;
        match (why, known) {
            // No write where nothing changes.
            (None, None) => return write.undo().await,
            (Some(why), Some(known)) if why == known.why => return write.undo().await,
            (Some(why), known) => {
                let since = known.map_or_else(clock::now, |known| known.since);
                let noted = rows::to_json(&AccessDenied { since, why: why.to_owned() })?;
                sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
                    .bind(KEY)
                    .bind(noted)
                    .execute(&mut *write)
                    .await?;
            }
            (None, Some(_)) => {
                sqlx::query("DELETE FROM meta WHERE key = $1").bind(KEY).execute(&mut *write).await?;
            }
        }
        write.commit().await
    }
}

/// What is noted.
pub(super) async fn shut_out(connection: &mut SqliteConnection) -> anyhow::Result<Option<AccessDenied>> {
    let found: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
        .bind(KEY)
        .fetch_optional(connection)
        .await?;
    found.map(|text| serde_json::from_str(&text).with_context(|| format!("{KEY} of the store"))).transpose()
}
