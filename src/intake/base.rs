//! A branch was pushed to: where it is the base of stories, they may have to take its commits in.

use super::{Intake, Settled};
use crate::event::{Person, Place};
use crate::ids::Sha;
use crate::store::Delivery;

/// A branch that was pushed to.
#[derive(Debug)]
#[expect(dead_code, reason = "read once stories follow their base")]
pub(super) struct Pushed {
    /// Its name.
    pub(super) branch: String,
    /// Where it was. Absent: it was not there.
    pub(super) before: Option<Sha>,
    /// Where it is. Absent: it is there no more.
    pub(super) after: Option<Sha>,
}

impl Intake {
    /// Takes a push.
    pub(super) async fn on_push(
        &self,
        _delivery: &Delivery,
        _place: &Place,
        _pushed: &Pushed,
        _sender: &Person,
    ) -> anyhow::Result<Settled> {
        Ok(Settled::Ignored("a push".to_owned()))
    }
}
