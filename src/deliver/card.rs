//! Question cards on GitHub: posted once, and edited in place to what the store holds at that
//! moment. Doing it again changes nothing, and the last one leaves the truth; so it does not matter
//! how often a card is wanted.

use jiff::Timestamp;

use super::{Deliver, MAX_NOT_FOUND};
use crate::clock;
use crate::github::{GitHubError, Repository};
use crate::ids::{CommentId, QuestionId};
use crate::message;
use crate::store::WantedEffect;
use crate::story::QuestionComment;

/// Deadlines that are at least so far away, in seconds, end with a whole minute.
const WHOLE_MINUTES_FROM: i64 = 600;

impl Deliver {
    /// Has the card of a question say what it should.
    pub(super) async fn show_card(
        &self,
        repository: &Repository,
        wanted: &WantedEffect,
        question: QuestionId,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        let card = self.store.card(question).await?;
        let rests = message::card::rests_of(&card);
        if let Err(error) = self.ensure_rests(repository, card.story, card.on, &rests).await? {
            return Ok(Err(error));
        }
        let card = QuestionComment { rests: self.store.rests_of(card.story).await?, ..card };
        match card.comment {
            Some(comment) => self.edit_card(repository, wanted, &card, comment).await,
            None => self.post_card(repository, wanted, card).await,
        }
    }

    async fn edit_card(
        &self,
        repository: &Repository,
        wanted: &WantedEffect,
        card: &QuestionComment,
        comment: CommentId,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        let at = match repository.update_comment(comment, &self.text_of(card)).await {
            Ok(at) => at,
            // The comment was deleted: nobody is there to see it. Not believed at the first word.
            Err(GitHubError::NotFound) if wanted.refusals >= MAX_NOT_FOUND => {
                return self.store.effect_done(wanted.id).await.map(Ok);
            }
            Err(error) => return Ok(Err(error)),
        };
        let parts: Vec<usize> =
            (0..card.answers.len()).filter(|part| card.answers[*part].is_some()).collect();
        self.store.card_shown(wanted.id, card.id, &parts, at).await.map(Ok)
    }

    async fn post_card(
        &self,
        repository: &Repository,
        wanted: &WantedEffect,
        card: QuestionComment,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        // More than one try: GitHub may carry out an earlier one later still.
        let tried = wanted.attempts > 0;
        let recheck = tried.then_some(self.config.github.recheck);
        let found = match self.find_card(repository, &card, tried).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if found.is_none() && !card.is_open {
            // It could not be posted while it mattered.
            return self.store.effect_done(wanted.id).await.map(Ok);
        }
        let card = self.with_draft(self.with_deadline(card).await?).await?;
        let text = self.text_of(&card);
        let posted = match found {
            // An earlier try may have named another deadline.
            Some(comment) => repository.update_comment(comment, &text).await.map(|_| comment),
            None => repository.create_comment(card.on, &text).await.map(|made| made.id),
        };
        match posted {
            Ok(comment) => {
                self.store.comment_posted(wanted.id, Some(card.id), comment, recheck).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn find_card(
        &self,
        repository: &Repository,
        card: &QuestionComment,
        tried: bool,
    ) -> Result<Option<CommentId>, GitHubError> {
        if !tried {
            return Ok(None);
        }
        let found = repository.find_comment(card.on, &message::card::marker(card.id), None).await?;
        Ok(found.map(|found| found.id))
    }

    /// The card with its deadline, where it has one: the time for an answer begins when the
    /// question is there to be read.
    async fn with_deadline(&self, card: QuestionComment) -> anyhow::Result<QuestionComment> {
        let named = card.question.deadline;
        let after = named.or(self.config.questions.deadline.map(|deadline| deadline.0.as_secs()));
        let Some(after) = after.filter(|_| card.is_open && !card.open_defaults().is_empty()) else {
            return Ok(card);
        };
        let at = deadline_at(clock::now(), after);
        self.store.begin_deadline(card.id, at).await?;
        Ok(QuestionComment { deadline_at: Some(at), ..card })
    }

    /// The card with the draft pull request that shows the work so far. Its own is named nowhere.
    async fn with_draft(&self, card: QuestionComment) -> anyhow::Result<QuestionComment> {
        let draft_pull = self.store.story(card.story).await?.draft_pull().filter(|pull| pull.0 != card.on.0);
        if draft_pull != card.draft_pull {
            self.store.name_draft(card.id, draft_pull).await?;
        }
        Ok(QuestionComment { draft_pull, ..card })
    }

    fn text_of(&self, card: &QuestionComment) -> String {
        self.secrets.redact(&message::card::card(card))
    }
}

/// The moment so many seconds from now; what lies too far ahead for a calendar is the end of all
/// time.
fn deadline_at(now: Timestamp, after: u64) -> Timestamp {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let at = now.as_second().saturating_add(after).saturating_add(1);
    let at = if after >= WHOLE_MINUTES_FROM { at.saturating_add(59) / 60 * 60 } else { at };
    Timestamp::from_second(at).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_too_early_and_a_long_one_ends_with_a_minute() {
        let now: Timestamp = "2026-11-24T08:00:00.7Z".parse().unwrap();
        assert_eq!(deadline_at(now, 2).to_string(), "2026-11-24T08:00:03Z");
        assert_eq!(deadline_at(now, 3600).to_string(), "2026-11-24T09:01:00Z");
        assert_eq!(deadline_at(now, u64::MAX), Timestamp::MAX);
    }
}
