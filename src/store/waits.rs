//! What becomes of waits when the machine's clock is put back. Everything that waits has a time in its row at which it is due; a
//! clock that is put back by an hour would make all of it wait an hour longer. Put forward, waits only end early, and a
//! lease that seems to be over costs no more than a takeover.

use std::time::Duration;

use super::{Store, now};

/// The key in `meta` under which the latest time is kept that was seen.
const SEEN: &str = "clock";

/// Clocks are corrected by seconds all the time; that much longer a wait may be.
const ADJUSTMENT: Duration = Duration::from_secs(5);

/// How old the time on record may become, so that a clock put back while hob was down is noticed too. Each record is a
/// write to the disk.
const RECORD_EVERY: Duration = Duration::from_secs(60);

/// What was seen of the clock. A new one begins with what is on record.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<i64>,
    recorded: i64,
}

impl Store {
    /// Looks at the clock, and where it was put back since the last look, moves everything that waits back with it. Tells by how
    /// much.
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
            for move_back in [
                "UPDATE deliveries SET not_before = not_before - $1 WHERE state = 'new' AND not_before > $1",
                "UPDATE tasks SET not_before = not_before - $1 WHERE state = 'queued' AND not_before > $1",
                "UPDATE tasks SET lease_until = lease_until - $1 WHERE lease_until > $1",
                "UPDATE effects SET not_before = not_before - $1 WHERE state = 'wanted' AND not_before > $1",
                "UPDATE stories SET check_not_before = check_not_before - $1 WHERE check_not_before > $1",
                "UPDATE effects SET recheck_at = recheck_at - $1 WHERE recheck_at > $1",
            ] {
                sqlx::query(move_back).bind(back).execute(&mut *write).await?;
            }
        }
        write.commit().await
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
