//! A task about a review, before it is begun: what of it still counts. And at its end: what is
//! answered to whom, and whose review is asked for again.

use std::collections::HashMap;

use super::fix::Preflight;
use super::start::github_error;
use super::{Job, StepError, Worker};
use crate::ids::{IssueNumber, Sha};
use crate::message;
use crate::message::review::{Answered, AnsweredReview, thread_reply, whole_replies};
use crate::store::{Effect, NewEffect, Transition};
use crate::story::review::{ReviewWithdrawal, ThreadKind};
use crate::story::{RunReason, TaskKind, TaskState};

impl Worker {
    /// Looks whether there is still something to do for a task that has not begun.
    pub(super) async fn take_up(&self, job: &Job) -> Result<Preflight, StepError> {
        match self.take_up_checks(job).await? {
            Preflight::Ready(None) => self.take_up_review(job).await,
            other => Ok(other),
        }
    }

    /// Looks which reviews still count, where a task is about a round that has not begun: people
    /// dismiss a review, or approve, and the delivery may come late or not at all. What somebody
    /// has asked for by a command they have seen.
    async fn take_up_review(&self, job: &Job) -> Result<Preflight, StepError> {
        let (TaskKind::Review(round), RunReason::Begin, Some(pull)) =
            (&job.task.ask.about, &job.task.turn, job.story.pull)
        else {
            return Ok(Preflight::Ready(None));
        };
        let has_begun = self.store.latest_run(&job.task).await?.is_some()
            || self.store.suggested(job.task.id).await?.is_some();
        if has_begun || round.reviewers().is_empty() {
            return Ok(Preflight::Ready(None));
        }
        let repository = self.github.repository(&job.story.at()).await.map_err(github_error)?;
        let taken_back = repository.reviews_taken_back(pull).await.map_err(github_error)?;
        let rest = round.without_taken_back(&taken_back);
        if rest == *round {
            return Ok(Preflight::Ready(None));
        }
        tracing::info!(was = round.reviews.len(), left = rest.reviews.len(), "reviews were withdrawn");
        if !rest.reviews.is_empty() {
            return Ok(Preflight::Ready(Some(Box::new(self.store.note_round(&job.task, rest).await?))));
        }
        let is_approval = |one: &ReviewWithdrawal| matches!(one, ReviewWithdrawal::Approved { .. });
        let approvals: Vec<ReviewWithdrawal> = taken_back.into_iter().filter(is_approval).collect();
        let last = round.reviews.last().filter(|_| round.without_taken_back(&approvals).reviews.is_empty());
        let words = match last {
            Some(last) => message::review::approved(&last.by),
            None => message::review::dismissed(),
        };
        let advance = Transition { words: Some(words), ..Transition::default() };
        let done = self.store.advance(&job.task, TaskState::Done, &advance).await?;
        Ok(Preflight::Over(Box::new(done)))
    }

    /// The answers to a round of reviews, once its work is pushed or nothing was to be changed.
    /// Nothing for other tasks.
    pub(super) async fn review_answers(
        &self,
        job: &Job,
        commit: Option<&Sha>,
    ) -> Result<Vec<NewEffect>, StepError> {
        let (TaskKind::Review(round), Some(pull)) = (&job.task.ask.about, job.story.pull) else {
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
                ThreadKind::Whole(review) => {
                    whole.push(AnsweredReview { by: &review.by, said: &review.body, reply });
                }
                ThreadKind::Lines(remarks) => {
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
