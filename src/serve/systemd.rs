//! What systemd is told: that hob is ready, how it fares, that it stops, and, while all is well,
//! that it need not be restarted. Where systemd has not started hob, nothing is told and nobody is
//! asked anything.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::heartbeat::Heartbeat;
use crate::store::{Counts, Store};

/// How often the line that `systemctl status` shows is renewed where no watchdog wants to hear from
/// hob.
const EVERY: Duration = Duration::from_secs(30);
/// The longest wait for the store before it counts as one that cannot be written.
const MAX_CHECK: Duration = Duration::from_secs(10);

/// hob listens and works.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// hob stops, and takes this long at most; so a larger `work.drain` needs no larger
/// `TimeoutStopSec`.
pub(super) fn stopping(at_most: Duration) {
    let micros = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("stopping; running agents continue"),
        NotifyState::ExtendTimeoutUsec(micros),
    ]);
}

/// Tells how hob fares until it is dropped. The watchdog hears from hob while the store can be
/// written and no loop hangs; when it hears nothing for its time, systemd ends hob and starts it
/// again, and agents do not notice.
pub(super) async fn report(store: Store, pulses: Vec<Heartbeat>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return std::future::pending().await;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(EVERY, |within| within / 2);
    let mut round = tokio::time::interval(every);
    loop {
        round.tick().await;
        let trouble = trouble(&store, &pulses, MAX_CHECK.min(every / 2)).await;
        if let Some(trouble) = &trouble {
            tracing::error!(error = trouble, "hob is unhealthy; not notifying the watchdog");
            tell(&[NotifyState::Status(trouble)]);
            continue;
        }
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        if let Ok(counts) = store.counts().await {
            tell(&[NotifyState::Status(&describe(&counts))]);
        }
    }
}

async fn trouble(store: &Store, pulses: &[Heartbeat], within: Duration) -> Option<String> {
    if let Some(late) = pulses.iter().find(|pulse| pulse.is_late()) {
        return Some(format!("the loop `{}` hangs", late.name()));
    }
    match tokio::time::timeout(within, store.check()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("cannot write to the store: {error:#}")),
        Err(_) => Some("cannot write to the store: no response".to_owned()),
    }
}

fn describe(counts: &Counts) -> String {
    let Counts { deliveries, queued, running, blocked, effects, parked } = counts;
    let mut text = format!(
        "tasks: {running} in progress, {queued} queued, {blocked} waiting for an answer; pending: {deliveries} \
        deliveries, {effects} writes to GitHub"
    );
    if *parked > 0 {
        text.push_str(&format!("; {parked} FAILED, see `hob status`"));
    }
    text
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, "notifying systemd failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_hangs_and_a_store_that_is_gone_are_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hob.db")).await.unwrap();
        let pulses = [Heartbeat::new("intake", MAX_CHECK), Heartbeat::new("deliver", Duration::ZERO)];
        assert_eq!(trouble(&store, &pulses[..1], MAX_CHECK).await, None);
        let late = trouble(&store, &pulses, MAX_CHECK).await;
        assert_eq!(late.as_deref(), Some("the loop `deliver` hangs"));
        store.close().await;
        let closed = trouble(&store, &pulses[..1], MAX_CHECK).await.unwrap();
        assert!(closed.starts_with("cannot write to the store: "), "{closed}");
    }
}
