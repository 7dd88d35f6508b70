//! What people have said about a pull request, as it becomes one task. Pure.

use serde::{Deserialize, Serialize};

use crate::ids::ReviewId;

/// One round of reviews: what was said shortly after one another, by one person or by several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// The reviews, oldest first.
    pub reviews: Vec<Review>,
}

/// One review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its id on the host.
    pub id: ReviewId,
    /// Who wrote it.
    pub by: String,
    /// What it says about the whole; empty where it says nothing.
    pub body: String,
}
