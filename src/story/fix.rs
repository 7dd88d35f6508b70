//! Checks that have failed on a commit that hob pushed, as they become one task. Pure.

use serde::{Deserialize, Serialize};

use crate::ids::Sha;

/// Checks of the git host's that have failed on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedChecks {
    /// The commit.
    pub head: Sha,
}
