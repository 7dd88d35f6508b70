//! The HTTP side: the webhook door and the health pages. The door verifies, writes the delivery
//! down and answers; nothing else happens while GitHub waits. The address is the caller's; so would
//! TLS be.

mod body;
mod listening;
mod places;
mod ready;
mod rejected_webhooks;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use secrecy::SecretString;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

pub use listening::{BACKLOG, listen, serve};
pub use places::Limits;

use crate::container::Docker;
use crate::store::Store;
use ready::Readiness;
use rejected_webhooks::RejectedWebhooks;

/// GitHub gives up after ten seconds; an answer after that is of no use to it.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);
/// The longest wait for the store, well below that: then hob says itself that it could not.
const STORE_WITHIN: Duration = Duration::from_secs(5);

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct Http {
    /// The store.
    pub store: Store,
    /// The containers, for `/readyz`.
    pub docker: Docker,
    /// Why GitHub does not let hob in, while it does not.
    pub shut_out: watch::Receiver<Option<String>>,
    /// What webhooks are signed with.
    pub webhook_secret: SecretString,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
}

/// What the routes work with, and what they remember from one request to the next.
struct Door {
    http: Http,
    readiness: Readiness,
    turned_away: RejectedWebhooks,
}

/// All routes, for [`serve`].
pub fn router(http: Http) -> Router {
    let readiness = Readiness::new(http.store.clone(), http.docker.clone(), http.shut_out.clone());
    let turned_away = RejectedWebhooks::new(http.store.clone());
    Router::new()
        .route("/webhook", post(webhook::receive))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Door { http, readiness, turned_away }))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_WITHIN))
        .layer(CatchPanicLayer::new())
}

/// The process is alive and answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// hob can do its work: the store can be written, Docker answers, GitHub lets hob in.
async fn readyz(State(door): State<Arc<Door>>) -> (StatusCode, String) {
    let report = door.readiness.report().await;
    let status = if report.is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, report.text)
}

/// What is asked of the store, unless it takes too long. What is under way there then is undone, or
/// is done and not told of: anyone who sends the same again learns that it was seen.
async fn in_time<T>(asked: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(STORE_WITHIN, asked).await {
        Ok(result) => result,
        Err(_) => anyhow::bail!("the store did not respond within {} s", STORE_WITHIN.as_secs()),
    }
}
