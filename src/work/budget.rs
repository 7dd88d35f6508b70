//! What the next run may cost, and who makes it: before a run begins, what was used is held against
//! the caps, and an agent is chosen whose usage limit is not used up. At a cap the work is pushed,
//! as for a stop, and a person is asked.

use std::time::Duration;

use super::save_work::{SavedAt, cut_short_on_ready};
use super::settle::ask;
use super::suggest::Suggestions;
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::clock;
use crate::config::lower;
use crate::ids::AgentKind;
use crate::message::{self, Detail, SavedWork, WhyUnfinished};
use crate::store::{CapQuestion, NewRun, StoryUpdate, Transition};
use crate::story::budget::{
    self, CapAnswer, CapQuestionState, Caps, Limit, Pushed, ReachedCap, RemainingBudget, Usage,
};
use crate::story::{Outcome, QuestionSubject, Run, RunEnd, RunReason, StopReason, Task, TaskState};
use jiff::Timestamp;

/// How long a usage limit is thought to last whose end the agent's program does not tell.
const UNKNOWN_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What is to be done before a run about the answer to a question about a cap.
enum Answered {
    /// Nothing; go on, with what the question had held up.
    GoOn(Option<RunReason>),
    /// The task is in another state now.
    Moved(Box<Task>),
    /// The task waits.
    Waits,
}

/// How it comes that a question about a cap is asked.
#[derive(Debug, Default)]
struct Asking {
    /// What the run was to be made for that it holds up.
    held_up: Option<RunReason>,
    /// Whether it was asked before, and the answer was none.
    was_unclear: bool,
}

/// What a run that is held up was to be made for, unless it was to commit what is committed at the
/// cap.
fn worth_telling(turn: &RunReason) -> Option<RunReason> {
    Some(turn.clone()).filter(|turn| !matches!(turn, RunReason::CommitLeftovers { .. }))
}

impl Worker {
    /// Makes a run, unless a cap is reached or every agent that may work has used its limit up.
    /// `None`: the task waits.
    pub(super) async fn begin_run(&self, job: &Job) -> Result<Option<Task>, StepError> {
        match Box::pin(self.apply_suggestions(job)).await? {
            Suggestions::WereAll(done) => Ok(Some(*done)),
            Suggestions::GoOn(reason) => self.begin_run_for(job, reason).await,
        }
    }

    /// The same, for a reason of its own where there is one.
    pub(super) async fn begin_run_for(
        &self,
        job: &Job,
        reason: Option<RunReason>,
    ) -> Result<Option<Task>, StepError> {
        let held_up = match self.follow_answer(job).await? {
            Answered::GoOn(held_up) => held_up,
            Answered::Moved(task) => return Ok(Some(*task)),
            Answered::Waits => return Ok(None),
        };
        let ledger = self.store.ledger(&job.story, &job.task).await?;
        let budget_limit = match budget::room(&self.caps(job), &ledger) {
            RemainingBudget::Left(budget_limit) => budget_limit,
            RemainingBudget::Reached(reached) => {
                let held_up = held_up.or_else(|| worth_telling(&job.task.turn));
                return Ok(Some(
                    self.ask_for_more(job, reached, Asking { held_up, was_unclear: false }).await?,
                ));
            }
        };
        // A label beside the one that asked for the work may have chosen another agent.
        if let Some(task) = self.store.chosen_since(&job.task).await? {
            return Ok(Some(task));
        }
        let Some((agent, fallback_for)) = self.agent_for_run(job).await? else { return Ok(None) };
        let new = NewRun { turn: reason.or(held_up), agent, fallback_for, budget_limit };
        Ok(Some(self.store.begin_run(&job.task, new).await?.0))
    }

    /// The caps of a task.
    pub(super) fn caps(&self, job: &Job) -> Caps {
        // A repository's own caps can only be lower.
        let (caps, own) = (&self.config.budget, &job.file.budget);
        let ms = |minutes: Option<u64>| minutes.map(|minutes| minutes.saturating_mul(60_000));
        let all = Caps {
            run: Limit { usd: self.config.run_budget_of(&job.file), tokens: caps.run_tokens, ms: None },
            task: Limit::default(),
            story: Limit {
                usd: lower(caps.story_usd, own.story_usd),
                tokens: caps.story_tokens,
                ms: ms(caps.story_minutes),
            },
            repository_day: Limit { usd: lower(caps.repository_day_usd, own.day_usd), ..Limit::default() },
            day: Limit { usd: caps.day_usd, tokens: caps.day_tokens, ms: ms(caps.day_minutes) },
            most_usd: caps.most_usd,
        };
        match job.task.ask.choice.budget_usd {
            Some(usd) => all.with_chosen(usd),
            None => all,
        }
    }

    /// Does what was answered to the question about a cap that the next run is made for, if it is.
    async fn follow_answer(&self, job: &Job) -> Result<Answered, StepError> {
        let RunReason::Answer { question } = job.task.turn else { return Ok(Answered::GoOn(None)) };
        let Some(asked) = self.store.at_cap(question).await? else { return Ok(Answered::GoOn(None)) };
        let held_up = asked.at_cap.held_up.clone();
        let by = asked.answer.as_ref().map(|answer| answer.by.clone()).unwrap_or_default();
        match asked.said() {
            Some(CapAnswer::Stop) => {
                let kept = self.kept_at_cap(job, message::at_cap_subject()).await?;
                let why = StopReason::Asked { by };
                Ok(Answered::Moved(Box::new(self.cancelled(job, &why, kept).await?)))
            }
            Some(CapAnswer::Wait) => {
                let until = budget::next_day(asked.at_cap.asked_at);
                if clock::now() >= until {
                    return Ok(Answered::GoOn(held_up));
                }
                tracing::info!(%until, "task waits for the next day");
                self.store.park(&job.task, until, None).await?;
                Ok(Answered::Waits)
            }
            Some(CapAnswer::Unclear) => {
                tracing::info!("unclear answer about a cap; asking again");
                let asking = Asking { held_up, was_unclear: true };
                let asked = self.ask_for_more(job, asked.at_cap.reached, asking).await?;
                Ok(Answered::Moved(Box::new(asked)))
            }
            Some(CapAnswer::More(_) | CapAnswer::NewDay) | None => Ok(Answered::GoOn(held_up)),
        }
    }

    /// Asks whether a task whose run has ended at a cap may cost more.
    pub(super) async fn ask_after_run(&self, job: &Job, run: &Run, end: &RunEnd) -> Result<Task, StepError> {
        if self.store.stop_wanted(&job.task).await?.is_some() {
            return self.cancel(job).await;
        }
        let used =
            Usage { usd: end.cost_usd.unwrap_or(0.0), tokens: end.tokens.unwrap_or(0), ms: end.duration_ms };
        // What was granted for this run is used up with it.
        let mut ledger = self.store.ledger(&job.story, &job.task).await?;
        ledger.granted_now = Usage::default();
        let reached = match budget::room(&self.caps(job), &ledger) {
            RemainingBudget::Reached(reached) => Some(reached),
            RemainingBudget::Left(_) => budget::reached_by_run(run.budget_limit, used),
        };
        match reached {
            Some(reached) => self.ask_for_more(job, reached, Asking::default()).await,
            None => self.fail(job, FailureClass::BudgetLimit, &Detail::Said(String::new()), &[]).await,
        }
    }

    /// Pushes the work so far and asks. Where people may grant no more, the task ends.
    async fn ask_for_more(&self, job: &Job, reached: ReachedCap, asking: Asking) -> Result<Task, StepError> {
        let kept = self.kept_at_cap(job, message::at_cap_subject()).await?;
        if reached.more.is_none() && !reached.scope.is_days() {
            return self.cancelled(job, &StopReason::AtMost { reached }, kept).await;
        }
        tracing::info!(?reached, "cap reached; asking a person");
        let (kept, tip) = kept;
        let pushed = match &kept {
            SavedWork::Pushed { commits, is_wip, .. } => Some(Pushed { commits: *commits, is_wip: *is_wip }),
            _ => None,
        };
        let told = tip.as_ref().and_then(|_| cut_short_on_ready(job, &kept));
        let question = message::may_it_cost_more(&reached, &kept, asking.was_unclear);
        let state = CapQuestionState { reached, asked_at: clock::now(), held_up: asking.held_up, pushed };
        let mut advance = Transition {
            story: StoryUpdate {
                base: tip.map(|tip| (tip.clone(), Some(tip))),
                handed_over: matches!(kept, SavedWork::Pushed { .. }).then_some(true),
                ..StoryUpdate::default()
            },
            ..ask(question, QuestionSubject::Cap(state))
        };
        // Before the card, which names it.
        let draft = self.draft(job, WhyUnfinished::AtCap(&reached), Some(&kept)).await?;
        advance.effects.splice(0..0, draft);
        advance.effects.extend(told);
        Ok(self.store.advance(&job.task, TaskState::Blocked, &advance).await?)
    }

    /// Pushes what the task has done, if it has begun.
    async fn kept_at_cap(&self, job: &Job, subject: String) -> Result<SavedAt, StepError> {
        match self.store.latest_run(&job.task).await? {
            None => Ok((SavedWork::NotBegun, None)),
            Some(run) => self.work_so_far(job, &run, subject).await,
        }
    }

    /// Pushes what a run has done. What was pushed at a cap before, with nothing done since, is
    /// told again.
    pub(super) async fn work_so_far(
        &self,
        job: &Job,
        run: &Run,
        subject: String,
    ) -> Result<SavedAt, StepError> {
        let kept = self.push_work_in_progress(&job.task, job, run, subject).await?;
        if kept.0 != SavedWork::Nothing || !job.story.handed_over {
            return Ok(kept);
        }
        let before = self.store.last_at_cap(job.task.id).await?;
        let pushed = before.and_then(|CapQuestion { at_cap, .. }| at_cap.pushed);
        Ok(pushed.map_or(kept, |Pushed { commits, is_wip }| {
            let branch = job.story.branch.clone();
            (SavedWork::Pushed { branch, commits, is_wip, left_out: Vec::new() }, None)
        }))
    }

    /// The agent of the next run, and in whose place it works if it is not the one that should.
    /// `None`: all of them have used their limits up, and the task waits for the first that is
    /// reset.
    async fn agent_for_run(&self, job: &Job) -> Result<Option<(AgentKind, Option<AgentKind>)>, StepError> {
        let usual = self.settings(job).agent;
        let others = self.config.agent.fallback.iter().copied().filter(|agent| *agent != usual);
        let mut first_reset: Option<(Timestamp, AgentKind)> = None;
        for agent in [usual].into_iter().chain(others) {
            match self.store.limited_until(agent).await? {
                None => return Ok(Some((agent, (agent != usual).then_some(usual)))),
                Some(until) if first_reset.is_none_or(|(first, _)| until < first) => {
                    first_reset = Some((until, agent));
                }
                Some(_) => {}
            }
        }
        if let Some((until, agent)) = first_reset {
            tracing::info!(%agent, %until, "task waits for a usage limit to reset");
            self.store.park(&job.task, until, Some(agent)).await?;
        }
        Ok(None)
    }

    /// Until when the agent of a run must not be tried again, where the run has met a usage limit.
    /// A limit without a time is waited out like other passing failures, unless another agent can
    /// take over.
    pub(super) fn usage_limit(&self, run: &Run, end: &RunEnd) -> Option<Timestamp> {
        let Outcome::Failed { class, .. } = end.outcome else { return None };
        let now = clock::now();
        let soonest = now.checked_add(self.config.agent.retry_after).ok()?;
        match (class, end.resets_at.and_then(|seconds| Timestamp::from_second(seconds).ok())) {
            // Not sooner than any retry: clocks differ.
            (FailureClass::UsageLimit | FailureClass::RateLimit, Some(at)) if at > now => {
                Some(at.max(soonest))
            }
            (FailureClass::UsageLimit, None) => {
                let others = self.config.agent.fallback.iter().any(|agent| *agent != run.agent);
                others.then(|| now.checked_add(UNKNOWN_LIMIT).ok()).flatten()
            }
            _ => None,
        }
    }

    /// Queues the task again, for another agent or for the time when the limit is reset. It is no
    /// retry.
    pub(super) async fn wait_for_limit(
        &self,
        job: &Job,
        run: &Run,
        until: Timestamp,
    ) -> Result<Task, StepError> {
        tracing::info!(agent = %run.agent, %until, "usage limit of the agent exhausted");
        self.store.limit_agent(run.agent, until).await?;
        Ok(self.store.advance(&job.task, TaskState::Queued, &Transition::default()).await?)
    }
}
