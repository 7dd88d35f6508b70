//! Whether GitHub lets hob in. Asked at start, now and then, and when GitHub has refused something:
//! a token that ran out would otherwise show in nothing but work that does not come. What is found
//! is in the log, in the store for `hob status`, and on `/readyz`.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::github::{GitHub, GitHubError};
use crate::store::Store;

/// How often it is asked while all is well.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How often while GitHub refuses hob.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How often a refusal is said again.
const SAID_EVERY: Duration = Duration::from_secs(10 * 60);

/// Asks until `stop` is set. `shut_out` gets why hob is not let in, while it is not.
pub(super) async fn watch_access(
    github: GitHub,
    store: Store,
    shut_out: watch::Sender<Option<String>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut said: Option<Instant> = None;
    let mut is_noted = None;
    while !stop.is_cancelled() {
        let asked = tokio::select! {
            () = stop.cancelled() => break,
            asked = github.is_let_in() => asked,
        };
        let why = match asked {
            Ok(()) => None,
            // GitHub says 404 about an App that is gone, and 403 to an account that was suspended.
            Err(
                error @ (GitHubError::Unauthorized(_) | GitHubError::NotFound | GitHubError::Forbidden(_)),
            ) => Some(describe(&error, github.is_app())),
            // It is away, or busy: that says nothing about hob's credentials.
            Err(_) => shut_out.borrow().clone(),
        };
        match &why {
            Some(why) if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) => {
                tracing::error!(reason = why, "GitHub rejects hob's credentials");
                said = Some(Instant::now());
            }
            None if said.take().is_some() => tracing::info!("GitHub accepts hob's credentials again"),
            _ => {}
        }
        shut_out.send_replace(why.clone());
        if is_noted.as_ref() != Some(&why) {
            match store.note_shut_out(why.as_deref()).await {
                Ok(()) => is_noted = Some(why.clone()),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "recording the access to GitHub failed")
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(if why.is_some() { AGAIN_AFTER } else { EVERY }) => {}
            () = github.was_refused(), if why.is_none() => {}
        }
    }
    Ok(())
}

fn describe(error: &GitHubError, is_app: bool) -> String {
    let remedy = if is_app {
        "Check github.app_id, the App's private key and this machine's clock, then restart hob"
    } else {
        "Replace the token with a new one, then restart hob"
    };
    format!("{error}. Until then, hob does no work. {remedy}; `hob check` shows more")
}
