//! Questions that nobody answers: people are reminded once, and at the deadline that a card names
//! its default is taken. What ends a story's patience for good is in `waiting.rs`.

use super::{Sweep, ago};
use crate::clock;
use crate::message;
use crate::store::{Effect, NewAnswers, NewEffect};

impl Sweep {
    /// Takes the defaults whose time has come. Asked every second, since people were told a time.
    pub(super) async fn defaults(&self) -> anyhow::Result<()> {
        if !self.store.has_deadline_before(clock::now()).await? {
            return Ok(());
        }
        for card in self.store.waiting_cards().await? {
            let answers = card.open_defaults();
            let Some(deadline) = card.deadline_at.filter(|at| *at <= clock::now()) else { continue };
            if answers.is_empty() {
                continue;
            }
            let new = NewAnswers { question: card.id, answers, by: String::new() };
            if self.store.take_defaults(&new, deadline).await? {
                tracing::info!(story = %card.story, question = %card.id, "question deadline passed; taking the default");
            }
        }
        Ok(())
    }

    pub(super) async fn reminders(&self) -> anyhow::Result<()> {
        let Some(after) = self.config.questions.remind else { return Ok(()) };
        for question in self.store.cards_to_remind_of(ago(after.0)).await? {
            let card = self.store.card(question).await?;
            let body = message::card::reminder(&card);
            let effect = NewEffect::new(Effect::Comment { on: card.on, body });
            if self.store.remind(&card, &effect).await? {
                tracing::info!(story = %card.story, question = %card.id, "reminding people of a question");
            }
        }
        Ok(())
    }
}
