//! What the proxy says: that it listens, and each thing that it refused, a line of JSON each. The
//! other side reads the lines.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::story::checks::Refused;

/// More places than anybody adds to a list by hand.
const MAX_REFUSED: usize = 50;

/// One line of the proxy's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyMessage {
    /// It listens there.
    Listens(SocketAddr),
    /// It did not open this.
    Refused(Refused),
}

/// Says things, each once.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    told: Mutex<HashSet<Refused>>,
}

impl Reporter {
    pub(super) fn refused(&self, refused: Refused) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MAX_REFUSED && told.insert(refused.clone()) {
            say(&ProxyMessage::Refused(refused));
        }
    }
}

/// Writes a line, whole and at once.
pub(super) fn say(said: &ProxyMessage) {
    let Ok(mut line) = serde_json::to_vec(said) else { return };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    // The listener is gone; then nobody misses it.
    let _ = out.write_all(&line).and_then(|()| out.flush());
}
