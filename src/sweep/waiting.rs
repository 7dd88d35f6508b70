//! Stories that wait for an answer too long: people are told where the question is, and when nobody
//! has answered by the day that was named, the task is ended. Its worker pushes what is there.

use super::{Sweep, age};
use crate::clock;
use crate::message;
use crate::store::{Effect, NewEffect, Waiting};

impl Sweep {
    pub(super) async fn waiting(&self) -> anyhow::Result<()> {
        let keep = &self.config.keep;
        for waiting in self.store.waiting_stories().await? {
            let waited = age(waiting.asked_at);
            match waiting.warned_at {
                None if waited >= keep.waiting.0.saturating_sub(keep.notice.0) => self.warn(&waiting).await?,
                // The clock may have jumped: people have had the time that they were told of.
                Some(warned_at) if waited >= keep.waiting.0 && age(warned_at) >= keep.notice.0 => {
                    self.give_up_waiting(&waiting).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn give_up_waiting(&self, waiting: &Waiting) -> anyhow::Result<()> {
        if self.store.give_up_waiting(waiting).await? {
            tracing::info!(story = %waiting.story, "question was not answered; ending the task");
        }
        Ok(())
    }

    async fn warn(&self, waiting: &Waiting) -> anyhow::Result<()> {
        let keep = &self.config.keep;
        let by_patience = waiting.asked_at.checked_add(keep.waiting.0)?;
        let by_notice = clock::now().checked_add(keep.notice.0)?;
        let until = by_patience.max(by_notice);
        let body = message::still_waiting(age(waiting.asked_at), until, &waiting.branch);
        let effect = NewEffect::new(Effect::Comment { on: waiting.asked_on, body });
        if self.store.warn_waiting(waiting, &effect).await? {
            tracing::info!(story = %waiting.story, %until, "announcing the end of the wait");
        }
        Ok(())
    }
}
