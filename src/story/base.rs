//! A base branch that has moved on, and what follows from it for a story. Pure.

use serde::{Deserialize, Serialize};

/// The wish to have the base branch's newest commits on the story branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseMoved {
    /// Whether the story branch's commits are to be made anew on top of them, where it would otherwise be merged.
    pub rewrite: bool,
}
