//! Webhooks that hob turned away: counted, and told of. Anyone who reaches the address can send as
//! many as they want, so the log gets one line a minute and the store one write, however many there
//! are.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::Store;

/// How often they are told of.
const EVERY: Duration = Duration::from_secs(60);

/// Counts what is turned away.
#[derive(Debug, Clone)]
pub(super) struct RejectedWebhooks {
    store: Store,
    untold: Arc<Mutex<Untold>>,
}

/// What was not told yet.
#[derive(Debug, Default)]
struct Untold {
    count: u64,
    /// The newest.
    last: Option<Sent>,
    told_at: Option<Instant>,
    /// Whether somebody waits until it may be told.
    is_awaited: bool,
}

#[derive(Debug)]
struct Sent {
    why: String,
    event: String,
    guid: String,
    from: Option<IpAddr>,
}

impl RejectedWebhooks {
    pub(super) fn new(store: Store) -> RejectedWebhooks {
        RejectedWebhooks { store, untold: Arc::default() }
    }

    /// One more was turned away. Event and GUID are empty where the request did not say them in
    /// their form.
    pub(super) fn note(&self, why: &str, event: &str, guid: &str, from: Option<IpAddr>) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.count += 1;
        let sent = Sent { why: why.to_owned(), event: event.to_owned(), guid: guid.to_owned(), from };
        untold.last = Some(sent);
        if untold.is_awaited {
            return;
        }
        untold.is_awaited = true;
        let wait = untold.told_at.map_or(Duration::ZERO, |told_at| EVERY.saturating_sub(told_at.elapsed()));
        let own = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            own.tell().await;
        });
    }

    async fn tell(&self) {
        let (count, last) = {
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            untold.is_awaited = false;
            untold.told_at = Some(Instant::now());
            (std::mem::take(&mut untold.count), untold.last.take())
        };
        let Some(Sent { why, event, guid, from }) = last else { return };
        let from = from.map(|from| from.to_string()).unwrap_or_default();
        tracing::warn!(count, reason = why, event, delivery = guid, from, "webhooks rejected");
        if let Err(error) = self.store.note_turned_away(count, &why).await {
            tracing::warn!(error = format!("{error:#}"), "recording rejected webhooks failed");
        }
    }
}
