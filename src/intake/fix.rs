//! A check that has failed on what hob pushed becomes a task, or a part of one that has not begun.

use jiff::Timestamp;

use super::{Intake, Settled};
use crate::event::{EndedCheck, Place};
use crate::store::Delivery;

impl Intake {
    /// Takes the end of a check.
    pub(super) async fn on_check_ended(
        &self,
        _delivery: &Delivery,
        _place: &Place,
        _check: &EndedCheck,
        _at: Timestamp,
    ) -> anyhow::Result<Settled> {
        Ok(Settled::Ignored("a check".to_owned()))
    }
}
