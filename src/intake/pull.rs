//! A pull request of hob's was closed, merged or opened again.

use jiff::Timestamp;

use super::{Happening, Intake, Settled};
use crate::event::{Pull, PullMove};

impl Intake {
    /// Takes what became of a pull request.
    pub(super) async fn on_pull_moved(
        &self,
        _on: &Happening<'_>,
        _pull: &Pull,
        _to: PullMove,
        _at: Timestamp,
    ) -> anyhow::Result<Settled> {
        Ok(Settled::Ignored("a pull request".to_owned()))
    }
}
