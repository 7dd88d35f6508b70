//! A review of a pull request of hob's becomes a task, or a part of one that has not begun.

use super::{Happening, Intake, Settled};
use crate::event::{Pull, Review};

impl Intake {
    /// Takes a review.
    pub(super) async fn on_review(
        &self,
        _on: &Happening<'_>,
        _pull: &Pull,
        _review: &Review,
    ) -> anyhow::Result<Settled> {
        Ok(Settled::Ignored("a review".to_owned()))
    }
}
