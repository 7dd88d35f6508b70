//! What becomes of waits when the machine's clock is put back. Everything that waits has a time in
//! its row at which it is due; a clock that is put back by an hour would make all of it wait an
//! hour longer. Put forward, waits only end early, and a lease that seems to be over costs no more
//! than a takeover.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::Sqlite;

use super::{Store, now};

/// The key in `meta` under which the latest time is kept that was seen.
const SEEN: &str = "clock";

/// Clocks are corrected by seconds all the time; that much longer a wait may be.
const ADJUSTMENT: Duration = Duration::from_secs(5);

/// How old the time on record may become, so that a clock put back while hob was down is noticed
/// too. Each record is a write to the disk.
const RECORD_EVERY: Duration = Duration::from_secs(60);

/// Every column that says when something that waits is due, with the rows in which it does.
const WAITS: [(&str, &str, &str); 9] = [
    ("deliveries", "not_before", "state = 'new'"),
    ("tasks", "not_before", "state = 'queued' OR save_work = 'wanted' OR check_again IS NOT NULL"),
    ("tasks", "lease_until", "lease_until > 0"),
    ("effects", "not_before", "state = 'wanted'"),
    ("effects", "recheck_at", "recheck_at IS NOT NULL"),
    ("rests", "recheck_at", "recheck_at IS NOT NULL"),
    ("stories", "status_not_before", "status_not_before > 0"),
    ("stories", "check_not_before", "check_not_before > 0"),
    ("wishes", "look_at", "look_at > 0"),
];

/// What was seen of the clock. A new one begins with what is on record.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<i64>,
    recorded: i64,
}

/// What was seen of the file, by which a change that another process has made is noticed:
/// `hob retry` and `hob replay` write beside a hob that runs, and cannot wake its loops.
#[derive(Debug, Default)]
pub struct ChangeWatch {
    /// The same one each time: each connection counts for itself.
    connection: Option<PoolConnection<Sqlite>>,
    version: Option<i64>,
}

impl Store {
    /// Whether anybody has written to the file since the last look, this process included. The
    /// first look says yes.
    pub async fn has_changed(&self, watch: &mut ChangeWatch) -> anyhow::Result<bool> {
        let connection = match &mut watch.connection {
            Some(connection) => connection,
            None => watch.connection.insert(self.reader.acquire().await?),
        };
        let read = sqlx::query_scalar::<_, i64>("PRAGMA data_version").fetch_one(&mut **connection).await;
        let version = match read {
            Ok(version) => version,
            Err(error) => {
                *watch = ChangeWatch::default();
                return Err(error.into());
            }
        };
        Ok(watch.version.replace(version) != Some(version))
    }

    /// Looks at the clock, and where it was put back since the last look, moves everything that
    /// waits back with it. Tells by how much.
    pub async fn mind_the_clock(&self, watch: &mut ClockWatch) -> anyhow::Result<Option<Duration>> {
        if watch.last.is_none() {
            let recorded: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
                .bind(SEEN)
                .fetch_optional(&self.reader)
                .await?;
            watch.last = recorded.and_then(|text| text.parse().ok());
        }
        let now = now();
        let back = watch.last.map_or(0, |last| last - now);
        let was_put_back = back > millis(ADJUSTMENT);
        if was_put_back || now - watch.recorded > millis(RECORD_EVERY) {
            self.record_clock(now, if was_put_back { back } else { 0 }).await?;
            watch.recorded = now;
        }
        watch.last = Some(now);
        Ok(was_put_back.then(|| Duration::from_millis(back.unsigned_abs())))
    }

    async fn record_clock(&self, now: i64, back: i64) -> anyhow::Result<()> {
        let mut write = self.begin("clock").await?;
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(SEEN)
        .bind(now.to_string())
        .execute(&mut *write)
        .await?;
        if back > 0 {
            for (table, column, waits) in WAITS {
                let move_back =
                    format!("UPDATE {table} SET {column} = {column} - $1 WHERE ({waits}) AND {column} > $1");
                sqlx::query(sqlx::AssertSqlSafe(move_back)).bind(back).execute(&mut *write).await?;
            }
        }
        write.commit().await
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sqlx::Row as _;

    use super::*;

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hob.db")).await.unwrap();
        (folder, store)
    }

    /// A new column of this kind fails here until it is in the list.
    #[tokio::test]
    async fn every_column_that_is_a_wait_is_in_the_list() {
        let (_folder, store) = store().await;
        let columns = sqlx::query(
            "SELECT m.name AS of_table, c.name AS of_column FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
             WHERE m.type = 'table'",
        );
        let is_wait = |column: &str| {
            ["not_before", "lease_until", "recheck_at", "look_at"].iter().any(|end| column.ends_with(end))
        };
        let found: BTreeSet<(String, String)> = columns
            .fetch_all(&store.reader)
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get("of_table"), row.get("of_column")))
            .filter(|(_, column): &(String, String)| is_wait(column))
            .collect();
        let listed = WAITS.map(|(table, column, _)| (table.to_owned(), column.to_owned()));
        assert_eq!(found, BTreeSet::from(listed));
    }

    /// The clock goes back by an hour: what was due in a minute is due in a minute, and not in an
    /// hour and a minute.
    #[tokio::test]
    async fn a_clock_that_is_put_back_makes_nothing_wait_longer() {
        const HOUR: i64 = 3_600_000;
        let (_folder, store) = store().await;
        let due = now() + HOUR + 60_000;
        let mut write = store.begin("test").await.unwrap();
        for row in [
            "INSERT INTO stories (id, repo, repo_key, issue, title, base_branch, branch, remote_head, created_at, updated_at,
                 status_wanted, status_not_before, check_not_before)
             VALUES ('s', 'a/b', 'a/b', 1, '', 'main', 'hob', 'c', 0, 0, 1, $1, $1)",
            "INSERT INTO tasks (id, story, delivery, ask, state, turn, not_before, lease_until, created_at, updated_at)
             VALUES ('t', 's', 'd', '{}', 'queued', '\"begin\"', $1, $1, 0, 0)",
            "INSERT INTO deliveries (guid, event, body, received_at, state, not_before) VALUES ('d', 'issues', X'', 0, 'new', $1)",
            "INSERT INTO effects (id, story, effect, state, created_at, not_before, recheck_at)
             VALUES ('e', 's', '{}', 'wanted', 0, $1, $1)",
            "INSERT INTO rests (story, key, part, id, on_issue, recheck_at) VALUES ('s', 'k', 0, 'r', 1, $1)",
            "INSERT INTO wishes (story, delivery, wish, blockers, look_at) VALUES ('s', 'd', '{}', '[]', $1)",
        ] {
            sqlx::query(row).bind(due).execute(&mut *write).await.unwrap();
        }
        write.commit().await.unwrap();
        let mut watch = ClockWatch { last: Some(now() + HOUR), recorded: 0 };
        let back = store.mind_the_clock(&mut watch).await.unwrap().expect("it was put back");
        assert!(back.as_secs() > 3_590, "{back:?}");
        for (table, column, _) in WAITS {
            let select = format!("SELECT {column} FROM {table}");
            let at: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(&store.reader).await.unwrap();
            assert!((at - now() - 60_000).abs() < 30_000, "{table}.{column} waits for {} ms", at - now());
        }
    }
}
