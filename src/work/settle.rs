//! After a run: the task moves on, with what is to be said on GitHub in the same transaction.

use std::time::Duration;

use super::{Job, StepError, Worker};
use crate::agent::{self, FailureClass};
use crate::ids::{IssueNumber, QuestionId};
use crate::message::{self, Detail, FailureText, Spent, WhyUnfinished};
use crate::store::{Effect, NewEffect, NewQuestion, StoryUpdate, Transition};
use crate::story::budget::Limit;
use crate::story::plan;
use crate::story::{
    self, Next, Outcome, Question, QuestionSubject, Run, RunEnd, RunReason, Story, Task, TaskHistory,
    TaskKind, TaskState,
};

/// A retry's wait doubles with each, up to so many times.
const MAX_DOUBLINGS: u32 = 6;

impl Worker {
    /// Moves a task whose run has ended.
    pub(super) async fn settle_run(&self, job: &Job, run: &Run) -> Result<Task, StepError> {
        let Some(end) = &run.end else {
            return Err(StepError::Later(anyhow::anyhow!("run {} has not ended", run.id)));
        };
        self.take_login_back(job, run).await?;
        if let Some(until) = self.usage_limit(run, end) {
            return self.wait_for_limit(job, run, until).await;
        }
        let settings = &self.config.agent;
        let synced = self.was_login_renewed(job, run).await?;
        let history = TaskHistory {
            retries: job.task.retries,
            retries_allowed: settings.retries,
            can_sync: self.can_renew_login(run.agent),
            synced,
        };
        let next = match story::after_run(&run.turn, &end.outcome, history) {
            // A session in which nothing had been said yet is no reason for the refusal.
            Next::Again { turn: RunReason::StartOver, .. }
                if has_failed(end, FailureClass::RequestRefused)
                    && !self.had_said_something(job, run).await? =>
            {
                Next::Fail(FailureClass::RequestRefused)
            }
            next => next,
        };
        let (to, advance) = match next {
            Next::Publish if plan::is_plan(job.task.mode, &end.outcome) => {
                if self.store.stop_wanted(&job.task).await?.is_some() {
                    return self.cancel(job).await;
                }
                (TaskState::Blocked, ask_about_plan(&end.outcome))
            }
            Next::Publish => (TaskState::Publishing, Transition::default()),
            // The agent was done before it heard that nobody wants it to go on.
            Next::Ask(_) if self.store.stop_wanted(&job.task).await?.is_some() => {
                return self.cancel(job).await;
            }
            Next::Ask(question) => (TaskState::Blocked, ask(question, QuestionSubject::Agent)),
            Next::Again { turn, retry } => {
                // Nothing is wrong outside where the process was only ended.
                let first_wait = match has_failed(end, FailureClass::Interrupted) {
                    true => Duration::ZERO,
                    false => settings.retry_after,
                };
                let retry_in = retry.map(|n| first_wait * 2u32.pow(n.min(MAX_DOUBLINGS)));
                // A limit that says when it ends is waited for that long.
                let retry_in = retry_in.map(|wait| wait.max(end.resets_at.map_or(Duration::ZERO, until)));
                (TaskState::Queued, Transition { turn: Some(turn), retry_in, ..Transition::default() })
            }
            Next::RenewLogin { turn } => {
                let renewal = self.renew_login(job, run, end).await?;
                if renewal.succeeded() {
                    (TaskState::Queued, Transition { turn: Some(turn), ..Transition::default() })
                } else {
                    let detail = message::login_not_renewed(&renewal, settings.sync_timeout);
                    let class = FailureClass::Authentication;
                    (TaskState::Failed, self.failure(job, class, &Detail::Said(detail), &[]).await?)
                }
            }
            Next::Cancel => return self.cancel(job).await,
            Next::Fail(FailureClass::BudgetLimit) if run.budget_limit != Limit::default() => {
                return self.ask_after_run(job, run, end).await;
            }
            Next::Fail(class) => {
                let detail = match &end.outcome {
                    Outcome::Failed { class: FailureClass::NotReady, .. } => {
                        let settings = self.settings_for(job, run.agent);
                        let program = agent::program(run.agent, &self.config.agent.command).to_owned();
                        Detail::NoProgram { image: settings.image, program }.describe()
                    }
                    Outcome::Failed { detail, .. } if synced => message::login_refused_again(detail),
                    Outcome::Failed { detail, .. } => detail.clone(),
                    _ => String::new(),
                };
                (TaskState::Failed, self.failure(job, class, &Detail::Said(detail), &[]).await?)
            }
        };
        Ok(self.store.advance(&job.task, to, &advance).await?)
    }

    /// Whether the session of a run had anything in it: an earlier run had begun it, or the model
    /// has answered in this one.
    async fn had_said_something(&self, job: &Job, run: &Run) -> Result<bool, StepError> {
        if run.turn != RunReason::Begin
            || run.end.as_ref().and_then(|end| end.tokens).is_some_and(|tokens| tokens > 0)
        {
            return Ok(true);
        }
        for task in self.store.tasks_of(job.story.id).await? {
            let runs = self.store.runs_of(&task).await?;
            if runs.iter().any(|before| before.id != run.id && before.started_at.is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fails a task and says so on its issue.
    pub(super) async fn fail(
        &self,
        job: &Job,
        class: FailureClass,
        detail: &Detail,
        uncommitted: &[String],
    ) -> Result<Task, StepError> {
        let advance = self.failure(job, class, detail, uncommitted).await?;
        Ok(self.store.advance(&job.task, TaskState::Failed, &advance).await?)
    }

    /// Fails a task from wherever it stands; one that is to be stopped ends as stopped, and says
    /// why its work was not pushed. If even that cannot be written down, the task stays open and is
    /// taken up again: it does not end in silence.
    pub(super) async fn give_up(&self, task: &Task, class: FailureClass, detail: &Detail) {
        if task.state == TaskState::Running {
            self.end_container(task).await;
        }
        let given_up = async {
            if task.state == TaskState::Done && self.store.is_to_check_again(task).await? {
                return self.not_checked_again(task).await;
            }
            if task.state.is_final() {
                // Its work could not be saved; only its folder is at stake.
                return self.save_later(task).await;
            }
            let job = self.job(task.clone()).await?;
            // A hand-over that did not get to its end may hold a secret. The sweep looks after it
            // too.
            if let Some(run) = self.store.latest_run(task).await?
                && let Err(step_error) = self.clear_hand_over(&run).await
            {
                tracing::warn!(?step_error, "hand-over not removed");
            }
            if self.cancel_without_push(&job, class, &detail.describe()).await?.is_none() {
                self.fail(&job, class, detail, &[]).await?;
            }
            Ok::<_, StepError>(())
        };
        match given_up.await {
            Ok(()) => {}
            Err(step_error) => {
                tracing::error!(?step_error, "recording the failure failed; will retry")
            }
        }
    }

    /// Ends the container of a run that nobody will follow any more. Where Docker does not answer,
    /// the sweep does it later, and no other run of the story begins before.
    async fn end_container(&self, task: &Task) {
        let ended = async {
            if let Some(run) = self.store.latest_run(task).await? {
                let name = run.container_name();
                self.docker.stop(&name, self.config.container.stop_grace).await?;
                self.docker.remove(&name).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = ended.await {
            tracing::warn!(error = format!("{error:#}"), "removing the container of a failed run failed");
        }
    }

    pub(super) async fn failure(
        &self,
        job: &Job,
        class: FailureClass,
        detail: &Detail,
        uncommitted: &[String],
    ) -> Result<Transition, StepError> {
        let took = self.spent_on(&job.task).await?;
        let secrets = self.secrets.redactor();
        let words = detail.describe();
        let uncommitted: Vec<String> =
            uncommitted.iter().map(|path| secrets.redact(path).into_owned()).collect();
        let is_work = |run: &Run| {
            run.started_at.is_some()
                && !run.end.as_ref().is_some_and(|end| has_failed(end, FailureClass::NotReady))
        };
        let has_worked = self.store.latest_run(&job.task).await?.as_ref().is_some_and(is_work);
        let words = message::failed(&FailureText {
            class,
            detail: &secrets.redact(&words),
            has_worked,
            for_requester: detail.is_for_requester(),
            uncommitted: &uncommitted,
            took,
        });
        let mut effects: Vec<NewEffect> =
            self.draft(job, WhyUnfinished::Failed, None).await?.into_iter().collect();
        effects.extend(failed_on(job).map(|on| {
            let body = message::failed_here(&job.task.ask.about, &words);
            NewEffect::new(Effect::Comment { on, body })
        }));
        // Commits that do not apply to a base that was rewritten are of no use: what comes next
        // begins there.
        let is_of_no_use = class == FailureClass::BaseRewritten && job.story.remote_head.is_none();
        let story = StoryUpdate { handed_over: is_of_no_use.then_some(true), ..StoryUpdate::default() };
        Ok(Transition { failure: Some(class), words: Some(words), effects, story, ..Transition::default() })
    }

    /// What all runs of a task took.
    pub(super) async fn spent_on(&self, task: &Task) -> Result<Spent, StepError> {
        Ok(self.store.runs_of(task).await?.iter().fold(Spent::default(), add))
    }

    /// What all runs of a story took.
    pub(super) async fn spent_on_story(&self, story: &Story) -> Result<Spent, StepError> {
        let mut spent = Spent::default();
        for task in self.store.tasks_of(story.id).await? {
            spent = self.store.runs_of(&task).await?.iter().fold(spent, add);
        }
        Ok(spent)
    }
}

/// The pull request, where a task was asked for there: its people do not look at the issue, where
/// the status comment is.
fn failed_on(job: &Job) -> Option<IssueNumber> {
    let pull = IssueNumber(job.story.pull?.0);
    let is_of_pull = match &job.task.ask.about {
        TaskKind::Review(_) => true,
        TaskKind::Checks(failed) if !failed.by_command => true,
        _ => job.task.ask.on == Some(pull),
    };
    is_of_pull.then_some(pull)
}

fn has_failed(end: &RunEnd, as_: FailureClass) -> bool {
    matches!(&end.outcome, Outcome::Failed { class, .. } if *class == as_)
}

/// The time until a moment, in seconds since 1970; at most a week, so that a wrong clock parks
/// nothing for ever.
fn until(seconds: i64) -> Duration {
    let left = seconds.saturating_sub(crate::clock::now().as_second());
    Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(Duration::from_secs(7 * 24 * 3600))
}

fn add(sum: Spent, run: &Run) -> Spent {
    let Some(end) = &run.end else { return sum };
    // A run that met a limit at once is none of the figures of those that worked.
    let has_used = end.cost_usd.is_some_and(|cost| cost > 0.0)
        || end.tokens.is_some_and(|tokens| tokens > 0)
        || !matches!(end.outcome, Outcome::Failed { .. });
    let cost = end.cost_usd.filter(|_| has_used);
    // Where there is a price, the number of tokens says nothing more.
    let tokens = end.tokens.filter(|tokens| *tokens > 0 && end.cost_usd.is_none());
    Spent {
        duration_ms: sum.duration_ms + end.duration_ms,
        cost_usd: cost.map(|cost| sum.cost_usd.unwrap_or(0.0) + cost).or(sum.cost_usd),
        turns: end.turns.filter(|_| has_used).map(|turns| sum.turns.unwrap_or(0) + turns).or(sum.turns),
        tokens: tokens.map(|tokens| sum.tokens.unwrap_or(0).saturating_add(tokens)).or(sum.tokens),
        stand_in: run.fallback_for.map(|usual| (run.agent, usual)).or(sum.stand_in),
    }
}

/// The question whether what a run hands in as its plan may be carried out.
fn ask_about_plan(outcome: &Outcome) -> Transition {
    let plan = match outcome {
        Outcome::Completed { summary } => summary.as_deref(),
        _ => None,
    };
    ask(message::may_this_be_done(plan), QuestionSubject::Plan)
}

/// A question to a person.
pub(super) fn ask(question: Question, subject: QuestionSubject) -> Transition {
    let id = QuestionId::new();
    Transition {
        question: Some(NewQuestion { id, question, subject }),
        effects: vec![NewEffect::new(Effect::Card { question: id })],
        ..Transition::default()
    }
}

/// A comment on the story's issue.
pub(super) fn comment(story: &Story, body: String) -> NewEffect {
    NewEffect::new(Effect::Comment { on: story.issue, body })
}
