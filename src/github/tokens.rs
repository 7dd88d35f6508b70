//! Installation tokens: one per installation, shared by everything that speaks for it, renewed in
//! good time.
//!
//! octocrab could do this, but its cache belongs to one client value: a clone taken while it is
//! cold asks for a token of its own, ten at once for ten. So the tokens are held here, behind one
//! lock per installation, and octocrab is handed the token as if it were a personal one. All
//! clients share one set of connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::client::{Client, Verb};
use super::error::GitHubError;
use crate::clock;
use crate::ids::InstallationId;

/// A token lives an hour. Renewed this long before its end, it outlasts any single fetch or push
/// begun with it, and a clock that is wrong by some minutes.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(10);

type Slot = Arc<tokio::sync::Mutex<Option<AccessToken>>>;

#[derive(Deserialize)]
struct AccessToken {
    token: SecretString,
    expires_at: Timestamp,
}

/// The tokens of an App's installations.
pub(super) struct InstallationTokens {
    app: Client,
    slots: Mutex<HashMap<InstallationId, Slot>>,
}

impl InstallationTokens {
    pub(super) fn new(app: Client) -> Self {
        Self { app, slots: Mutex::default() }
    }

    /// The client that signs as the App itself.
    pub(super) fn app(&self) -> &Client {
        &self.app
    }

    /// A token with at least ten minutes left. A caller that comes while one is being fetched waits
    /// for that one.
    pub(super) async fn token(&self, id: InstallationId) -> Result<SecretString, GitHubError> {
        let slot = self.slot(id);
        let mut slot = slot.lock().await;
        if let Some(held) = &*slot
            && held.expires_at.duration_since(clock::now()) > RENEW_BEFORE
        {
            return Ok(held.token.clone());
        }
        let path = format!("/app/installations/{id}/access_tokens");
        let fresh: AccessToken = self.app.send(Verb::Post, &path, &serde_json::json!({})).await?.json()?;
        Ok(slot.insert(fresh).token.clone())
    }

    /// Throws away `refused`, unless somebody has renewed it meanwhile.
    pub(super) async fn forget(&self, refused: &SecretString) {
        let slots: Vec<Slot> =
            self.slots.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for slot in slots {
            slot.lock().await.take_if(|held| held.token.expose_secret() == refused.expose_secret());
        }
    }

    fn slot(&self, id: InstallationId) -> Slot {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }
}
