//! The App's own webhook deliveries: GitHub keeps three days of them, and makes another attempt
//! where it is asked to. Asked for is what failed and hob does not have, and also what hob took and
//! does not have any more, because its data folder was put back from a backup. They come to the
//! webhook's door as the first attempt did, with the same GUID.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{CatchUp, Memory};
use crate::clock;
use crate::github::webhook::is_of_use;
use crate::github::{GitHubError, HookDelivery};
use crate::store::DeliveryPoll;

/// How long GitHub keeps a delivery.
const KEPT: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How far a look goes back behind the end of the one before: an attempt is on record only after it
/// has ended.
const MARGIN: SignedDuration = SignedDuration::from_mins(60);
/// How long after an attempt that was asked for the same delivery is not asked for again. It
/// doubles with each attempt that hob asks for, so that one which hob always turns away, because of
/// its size for example, takes few requests.
const AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How often it doubles: up to five hours.
const MAX_DOUBLINGS: u32 = 5;

impl CatchUp {
    /// Asks for every delivery that hob should have and does not.
    pub(super) async fn look_at_deliveries(&self, memory: &mut Memory) -> anyhow::Result<()> {
        if memory.is_limited(None) {
            return Ok(());
        }
        let looked = self.store.looked_deliveries().await?;
        let since = looked.and_then(|looked| looked.until.checked_sub(MARGIN).ok());
        let attempts = self.github.hook_deliveries(since, self.longest()).await?;
        let newest = attempts.first().map(|attempt| attempt.delivered_at);
        let from = looked.map_or(newest.unwrap_or(Timestamp::UNIX_EPOCH), |looked| looked.from);

        let mut missing = Vec::new();
        for last in last_attempts(&attempts) {
            let may_be_missing = !last.succeeded() || (looked.is_some() && last.delivered_at > from);
            if may_be_missing
                && is_of_use(&last.event, last.action.as_deref())
                && !self.store.has_delivery(&last.guid).await?
            {
                missing.push(last);
            }
        }
        memory.asked.retain(|guid, _| missing.iter().any(|missing| missing.guid == *guid));
        for missing in &missing {
            self.ask_again(memory, missing).await?;
        }
        // What is asked for may fail once more: the next look begins with the oldest that is not
        // here yet.
        let oldest_missing = missing.iter().map(|missing| missing.delivered_at).min();
        let until = oldest_missing.or(newest).or(looked.map(|looked| looked.until)).unwrap_or(from);
        let now = DeliveryPoll { from, until };
        if looked != Some(now) {
            self.store.note_looked_deliveries(now).await?;
        }
        Ok(())
    }

    /// How far back a delivery is asked for. What the store has settled and forgotten must not come
    /// again.
    fn longest(&self) -> SignedDuration {
        let kept = SignedDuration::try_from(self.config.keep.deliveries.0).unwrap_or(KEPT);
        kept.min(KEPT)
    }

    async fn ask_again(&self, memory: &mut Memory, missing: &HookDelivery) -> anyhow::Result<()> {
        let times = match memory.asked.get(&missing.guid) {
            Some((at, times)) if at.elapsed() < AGAIN_AFTER * 2u32.pow((times - 1).min(MAX_DOUBLINGS)) => {
                return Ok(());
            }
            Some((_, times)) => *times,
            None => 0,
        };
        let age = clock::now().duration_since(missing.delivered_at);
        // By a hob before this one, or by a person.
        if missing.redelivery && age.unsigned_abs() < AGAIN_AFTER {
            return Ok(());
        }
        match self.github.redeliver(missing.id).await {
            Ok(()) => {
                tracing::info!(
                    delivery = missing.guid,
                    event = missing.event,
                    "requesting a missed delivery"
                );
            }
            // GitHub has it no more, or will not. That holds up no other.
            Err(error @ (GitHubError::NotFound | GitHubError::Unprocessable { .. })) => {
                tracing::warn!(delivery = missing.guid, %error, "requesting a missed delivery failed");
            }
            Err(error) => return Err(error.into()),
        }
        memory.asked.insert(missing.guid.clone(), (Instant::now(), times + 1));
        Ok(())
    }
}

/// The last attempt at each delivery, those first whose last attempt is the oldest; `attempts` are
/// newest first.
fn last_attempts(attempts: &[HookDelivery]) -> Vec<&HookDelivery> {
    let mut seen = HashSet::new();
    let mut last: Vec<&HookDelivery> = attempts.iter().filter(|attempt| seen.insert(&attempt.guid)).collect();
    last.reverse();
    last
}
