//! Whether hob can do its work, for `/readyz`. Anyone who reaches the address may ask, so a
//! question is answered from the last look, and at most one look is under way: many questions cost
//! the store and Docker no more than one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::in_time;
use crate::container::Docker;
use crate::store::Store;

/// How long the result of a look is told before the next question makes hob look again.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// The longest wait for Docker.
const DOCKER_WITHIN: Duration = Duration::from_secs(5);

/// What the last look found.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) is_ready: bool,
    pub(super) text: String,
}

/// Looks when asked, and not more often than [`FRESH_FOR`] allows.
#[derive(Debug, Clone)]
pub(super) struct Readiness {
    store: Store,
    docker: Docker,
    shut_out: watch::Receiver<Option<String>>,
    last: Arc<Mutex<Option<(Instant, Report)>>>,
}

impl Readiness {
    pub(super) fn new(store: Store, docker: Docker, shut_out: watch::Receiver<Option<String>>) -> Readiness {
        Readiness { store, docker, shut_out, last: Arc::default() }
    }

    /// What the last look found; where that is too old, what a new one finds.
    pub(super) async fn report(&self) -> Report {
        // In a task of its own: somebody who hangs up does not make the next one begin again.
        let looking = tokio::spawn(self.clone().look());
        looking.await.unwrap_or_else(|_| Report { is_ready: false, text: String::new() })
    }

    async fn look(self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH_FOR
        {
            return report.clone();
        }
        let docker = async {
            match timeout(DOCKER_WITHIN, self.docker.ping()).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no response within {} s", DOCKER_WITHIN.as_secs())),
            }
        };
        let store = async { in_time(self.store.check()).await.map_err(|error| format!("{error:#}")) };
        let (store, docker) = tokio::join!(store, docker);
        let mut text = String::new();
        let github = self.shut_out.borrow().clone().map_or(Ok(()), Err);
        let parts = [("store", &store), ("docker", &docker), ("github", &github)];
        for (name, result) in parts {
            text.push_str(&format!("{name}: {}\n", if result.is_ok() { "ok" } else { "not ready" }));
        }
        // Once, however often somebody asks.
        if last.as_ref().is_none_or(|(_, last)| last.text != text) {
            for (name, error) in
                parts.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?)))
            {
                tracing::warn!(dependency = name, error, "dependency not ready");
            }
        }
        let report = Report { is_ready: parts.iter().all(|(_, result)| result.is_ok()), text };
        last.insert((Instant::now(), report)).1.clone()
    }
}
