//! A button that somebody pressed on a check run of hob's.

use super::{Intake, Settled};
use crate::event::{Person, Place};
use crate::ids::{CheckRunId, Sha};
use crate::store::Delivery;

/// A button that was pressed.
#[derive(Debug)]
#[expect(dead_code, reason = "read once there are check runs")]
pub(super) struct Pressed {
    /// On which check run.
    pub(super) check_run: CheckRunId,
    /// The commit that it is about.
    pub(super) head: Sha,
    /// What hob called the button; absent for GitHub's own button "Re-run".
    pub(super) button: Option<String>,
}

impl Intake {
    /// Takes a button.
    pub(super) async fn on_button(
        &self,
        _delivery: &Delivery,
        _place: &Place,
        _pressed: &Pressed,
        _sender: &Person,
    ) -> anyhow::Result<Settled> {
        Ok(Settled::Ignored("a button".to_owned()))
    }
}
