//! How fast hob may write to GitHub. GitHub allows an installation, or a token's account, about 80 requests a minute and 500 an
//! hour that make something, and says in an answer when it wants to be left alone for a while. Kept in memory: a restart
//! asks once too often at worst, and is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::InstallationId;

/// GitHub's documented limits on requests that make content, a little below.
const WINDOWS: [(Duration, usize); 2] = [(Duration::from_secs(60), 75), (Duration::from_secs(3600), 480)];

/// One pace for each installation; the token's account counts as one.
#[derive(Debug, Default)]
pub(super) struct Pace {
    of: Mutex<HashMap<Option<InstallationId>, One>>,
}

#[derive(Debug, Default)]
struct One {
    limited_until: Option<Instant>,
    writes: VecDeque<Instant>,
}

impl Pace {
    /// Counts a write that is about to be made, or says how long to wait before it may be.
    pub(super) fn take(&self, who: Option<InstallationId>) -> Result<(), Duration> {
        let now = Instant::now();
        let mut all = self.all();
        let one = all.entry(who).or_default();
        if let Some(until) = one.limited_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        one.limited_until = None;
        let longest = WINDOWS.iter().map(|(window, _)| *window).max().unwrap_or_default();
        while one.writes.front().is_some_and(|at| now - *at >= longest) {
            one.writes.pop_front();
        }
        for (window, most) in WINDOWS {
            // The write that has to leave the window before another may come in.
            let oldest = one.writes.len().checked_sub(most).and_then(|at| one.writes.get(at));
            if let Some(oldest) = oldest.filter(|at| now - **at < window) {
                return Err(window - (now - *oldest));
            }
        }
        one.writes.push_back(now);
        Ok(())
    }

    /// The same for a write that can wait: it leaves a third of what GitHub allows to those that cannot.
    pub(super) fn take_spare(&self, who: Option<InstallationId>) -> Result<(), Duration> {
        let now = Instant::now();
        for (window, most) in WINDOWS {
            let writes = self
                .all()
                .get(&who)
                .map_or(0, |one| one.writes.iter().filter(|at| now - **at < window).count());
            if writes * 3 >= most * 2 {
                return Err(window / 10);
            }
        }
        self.take(who)
    }

    /// GitHub wants no requests for this long.
    pub(super) fn limit(&self, who: Option<InstallationId>, wait: Duration) {
        let until = Instant::now() + wait;
        let mut all = self.all();
        let one = all.entry(who).or_default();
        one.limited_until = one.limited_until.max(Some(until));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Option<InstallationId>, One>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn no_more_is_written_in_a_minute_or_an_hour_than_github_allows() {
        let pace = Pace::default();
        for hour in 0..3 {
            let began = Instant::now();
            let mut times = Vec::new();
            while began.elapsed() < Duration::from_secs(3600) {
                match pace.take(None) {
                    Ok(()) => times.push(Instant::now()),
                    Err(wait) => tokio::time::advance(wait).await,
                }
            }
            assert!((400..=480).contains(&times.len()), "hour {hour}: {}", times.len());
            for (at, time) in times.iter().enumerate() {
                let in_a_minute = times[at..].iter().take_while(|t| **t - *time < 60 * SECOND).count();
                assert!(in_a_minute <= 75, "{in_a_minute} in a minute");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_wait_leaves_a_third_to_what_cannot() {
        let pace = Pace::default();
        let spare = std::iter::from_fn(|| pace.take_spare(None).ok()).count();
        assert_eq!(spare, 50);
        let urgent = std::iter::from_fn(|| pace.take(None).ok()).count();
        assert_eq!(urgent, 25);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_limited_does_not_hold_up_another() {
        let pace = Pace::default();
        let (limited, other) = (Some(InstallationId(1)), Some(InstallationId(2)));
        pace.limit(limited, 60 * SECOND);
        pace.limit(limited, 10 * SECOND);
        assert_eq!(pace.take(limited), Err(60 * SECOND));
        assert_eq!(pace.take(other), Ok(()));
        tokio::time::advance(60 * SECOND).await;
        assert_eq!(pace.take(limited), Ok(()));
    }
}
