//! A task about a review, before it is begun: what of it still counts. And at its end: what is answered to whom, and whose review is
//! asked for again.

use std::collections::HashMap;

use super::fix::TakenUp;
use super::start::github_hitch;
use super::{Hitch, Job, Worker};
use crate::ids::{IssueNumber, Sha};
use crate::message;
use crate::message::review::{Answered, WholeAnswered, thread_reply, whole_replies};
use crate::store::{Advance, Effect, NewEffect};
use crate::story::review::{TakenBack, What};
use crate::story::{About, TaskState, Turn};

impl Worker {
    /// Looks whether there is still something to do for a task that has not begun.
    pub(super) async fn take_up(&self, job: &Job) -> Result<TakenUp, Hitch> {
        match self.take_up_checks(job).await? {
            TakenUp::Ready(None) => self.take_up_review(job).await,
            other => Ok(other),
        }
    }

    /// Looks which reviews still count, where a task is about a round that has not begun: people dismiss a review, or approve, and the
    /// delivery may come late or not at all. What somebody has asked for by a command they have seen.
    async fn take_up_review(&self, job: &Job) -> Result<TakenUp, Hitch> {
        let (About::Review(round), Turn::Begin, Some(pull)) =
            (&job.task.ask.about, &job.task.turn, job.story.pull)
        else {
            return Ok(TakenUp::Ready(None));
        };
        let has_begun = self.store.latest_run(&job.task).await?.is_some()
            || self.store.suggested(job.task.id).await?.is_some();
        if has_begun || round.reviewers().is_empty() {
            return Ok(TakenUp::Ready(None));
        }
        let repository = self.github.repository(&job.story.at()).await.map_err(github_hitch)?;
        let taken_back = repository.reviews_taken_back(pull).await.map_err(github_hitch)?;
        let rest = round.without_taken_back(&taken_back);
        if rest == *round {
            return Ok(TakenUp::Ready(None));
        }
        tracing::info!(was = round.reviews.len(), left = rest.reviews.len(), "reviews were taken back");
        if !rest.reviews.is_empty() {
            return Ok(TakenUp::Ready(Some(Box::new(self.store.note_round(&job.task, rest).await?))));
        }
        let is_approval = |one: &TakenBack| matches!(one, TakenBack::Approved { .. });
        let approvals: Vec<TakenBack> = taken_back.into_iter().filter(is_approval).collect();
        let last = round.reviews.last().filter(|_| round.without_taken_back(&approvals).reviews.is_empty());
        let words = match last {
            Some(last) => message::review::approved(&last.by),
            None => message::review::dismissed(),
        };
        let advance = Advance { words: Some(words), ..Advance::default() };
        let done = self.store.advance(&job.task, TaskState::Done, &advance).await?;
        Ok(TakenUp::Over(Box::new(done)))
    }

    /// The answers to a round of reviews, once its work is pushed or nothing was to be changed. Nothing for other tasks.
    pub(super) async fn review_answers(
        &self,
        job: &Job,
        commit: Option<&Sha>,
    ) -> Result<Vec<NewEffect>, Hitch> {
        let (About::Review(round), Some(pull)) = (&job.task.ask.about, job.story.pull) else {
            return Ok(Vec::new());
        };
        let applied = self.store.applied_suggestions(job.story.id).await?;
        let suggested = self.store.suggested(job.task.id).await?.filter(|suggested| suggested.is_pushed);
        let commit = commit.or(suggested.as_ref().map(|suggested| &suggested.tip));
        // A later run of the same task knows better.
        let mut replies: HashMap<String, String> = HashMap::new();
        for end in self.store.runs_of(&job.task).await?.into_iter().filter_map(|run| run.end) {
            replies.extend(end.replies.into_iter().map(|answer| (answer.thread, answer.reply)));
        }
        let (mut effects, mut whole) = (Vec::new(), Vec::new());
        for thread in round.threads() {
            let reply = replies.get(&thread.name).map(String::as_str);
            match thread.what {
                What::Whole(review) => {
                    whole.push(WholeAnswered { by: &review.by, said: &review.body, reply });
                }
                What::Lines(remarks) => {
                    let applied = remarks.iter().rev().find_map(|(_, remark)| applied.commit_of(remark.id));
                    let body = thread_reply(Answered { reply, commit, applied });
                    let thread = remarks[0].1.thread;
                    effects.push(NewEffect::new(Effect::ReviewReply { pull, thread, body }));
                }
            }
        }
        if !whole.is_empty() {
            let (on, body) = (IssueNumber(pull.0), whole_replies(&whole, commit));
            effects.push(NewEffect::new(Effect::Comment { on, body }));
        }
        let ask = |reviewer: &str| Effect::RequestReview { pull, reviewer: reviewer.to_owned() };
        effects.extend(round.reviewers().into_iter().map(|reviewer| NewEffect::new(ask(reviewer))));
        Ok(effects)
    }
}
