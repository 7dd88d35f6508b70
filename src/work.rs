//! The worker: takes tasks from the queue and brings each as far as it gets. One step looks at
//! where the task stands and does the one thing that is next; a restart, an answer and a retry all
//! come in through the same door (`story/step.rs`). What the steps do is in `work/`, one file each;
//! what follows from what they find is decided in `story/next.rs`.

mod account;
mod agent_files;
mod base;
mod budget;
mod check_again;
mod checkout;
mod checks;
mod child;
mod commits;
mod concurrent_push;
mod egress;
mod export;
mod fix;
mod gather;
mod import_child;
mod importing;
mod join_child;
mod joining;
mod policy;
mod preflight;
mod prompt_child;
mod prompting;
mod publish;
mod push;
mod refresh;
mod review;
mod review_hints;
mod run_log;
mod save_work;
mod settle;
mod start;
mod suggest;
mod talk;
mod unfinished;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::agent::FailureClass;
use crate::clock;
use crate::config::{Chosen, Config, RepositoryFile, TaskSettings};
use crate::container::Docker;
use crate::git::SigningKey;
use crate::github::GitHub;
use crate::heartbeat::Heartbeat;
use crate::ids::AgentKind;
use crate::message::Detail;
use crate::paths::DataDir;
use crate::prompt::Template;
use crate::redact::Secrets;
use crate::store::{LeaseLost, Sharing, Store, StoreFault, Transition};
use crate::story::step::{self, RunSnapshot, Step, TaskSnapshot};
use crate::story::{Outcome, Run, RunReason, Story, Task, TaskKind, TaskState};

pub use child::own_program;
pub use commits::signing_key;
use fix::Preflight;
pub use import_child::run as run_import;
pub use importing::COMMAND as IMPORT_COMMAND;
pub use join_child::run as run_join;
pub use joining::COMMAND as JOIN_COMMAND;
pub use prompt_child::run as run_prompt;
pub use prompting::{COMMAND as PROMPT_COMMAND, operators_template};

/// Tasks that are being stopped beside those that agents are at.
const MAX_STOPS: usize = 4;
/// The first wait after a passing failure. It doubles up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Tries of a step that is refused, beyond the first. With the pauses between them some seconds.
const MORE_TRIES: u32 = 3;
/// The longest wait between two tries of a step.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The longest honest step of the loop, which only claims tasks; what it has begun is not waited
/// for.
pub const MAX_STEP: Duration = Duration::from_secs(5 * 60);

/// Everything a worker works with. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    /// hob's settings.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The git host.
    pub github: GitHub,
    /// The containers.
    pub docker: Docker,
    /// The disk.
    pub data: DataDir,
    /// This data folder's id, for labels.
    pub instance: String,
    /// The uid and gid that agents run as, and that their folders belong to.
    pub user: (u32, u32),
    /// What must not be written anywhere.
    pub secrets: Secrets,
    /// The template of what agents are told.
    pub template: Arc<Template>,
    /// The key with which commits are signed, where there is one.
    pub signing_key: Option<SigningKey>,
    /// hob's own program, for the processes that read what is not to be trusted.
    pub program: PathBuf,
    /// Where that program is laid out for containers, once it is.
    pub proxy_program: Arc<OnceCell<PathBuf>>,
    /// Set when hob is to stop. Containers go on; following them ends.
    pub stop: CancellationToken,
}

/// Why a step did not lead to the next.
#[derive(Debug)]
pub(crate) enum StepError {
    /// Something is away for the moment; the same step again later.
    Later(anyhow::Error),
    /// The task cannot go on.
    Fail {
        /// The class of the failure.
        class: FailureClass,
        /// What is told to people on GitHub.
        detail: Detail,
    },
    /// Somebody outside said no, in a way that is a moment's at times: a token that was just
    /// renewed, a host that is being upgraded. Tried a few times more, then the task cannot go on.
    Refused {
        /// What is told to people on GitHub.
        detail: Detail,
    },
    /// hob is stopping.
    Stopping,
}

impl StepError {
    /// Said no, perhaps for a moment only.
    fn refused(detail: impl Into<Detail>) -> Self {
        Self::Refused { detail: detail.into() }
    }

    /// The task cannot start, for a reason that the operator has to see to.
    fn not_ready(detail: impl Into<Detail>) -> Self {
        Self::Fail { class: FailureClass::NotReady, detail: detail.into() }
    }
}

impl From<anyhow::Error> for StepError {
    fn from(error: anyhow::Error) -> Self {
        Self::Later(error)
    }
}

/// A task in a worker's hands, with what every step needs to know.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) story: Story,
    /// The repository's settings as they were when the task was asked for.
    pub(crate) file: RepositoryFile,
}

/// Where nothing calls and nothing is due, the loop looks after so many times `work.poll`: the
/// sweep wakes it when the store changes.
const IDLE_POLLS: u32 = 12;

impl Worker {
    /// Works off the queue until `stop` is set, then waits for the steps under way, but not for
    /// containers.
    pub async fn run(self, pulse: Heartbeat) -> anyhow::Result<()> {
        let mut jobs = JoinSet::new();
        while !self.stop.is_cancelled() {
            pulse.beat();
            let wait = match self.claim(&mut jobs).await {
                Ok(wait) => wait,
                Err(error) => {
                    self.store.sit_out(error, &self.stop).await?;
                    Duration::ZERO
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.store.wakes().tasks.notified() => {}
                () = tokio::time::sleep(wait) => {}
                Some(_) = jobs.join_next() => {}
            }
        }
        let drained = async {
            while jobs.join_next().await.is_some() {}
            self.docker.settled().await;
        };
        if tokio::time::timeout(self.config.work.drain, drained).await.is_err() {
            tracing::warn!(
                tasks = jobs.len(),
                "shutdown timed out with steps in progress; the next start repeats them"
            );
        }
        Ok(())
    }

    /// Takes as many tasks as there is room for; tells in what time to look again, if nothing
    /// happens before.
    async fn claim(&self, jobs: &mut JoinSet<()>) -> anyhow::Result<Duration> {
        let work = &self.config.work;
        let sharing = Sharing { per_repository: work.per_repository, per_person: work.per_person };
        while jobs.len() < work.parallel {
            let Some(task) = self.store.claim_task(self.config.work.lease, &sharing).await? else { break };
            let span = tracing::info_span!("task", task = %task.id, story = %task.story);
            jobs.spawn(self.clone().hold_and_drive(task).instrument(span));
        }
        // Who wants work stopped that no agent is at does not wait until one has time.
        while (work.parallel..work.parallel + MAX_STOPS).contains(&jobs.len()) {
            let Some(task) = self.store.claim_task_to_stop(work.lease).await? else { break };
            let span = tracing::info_span!("task", task = %task.id, story = %task.story);
            jobs.spawn(self.clone().hold_and_drive(task).instrument(span));
        }
        let next = self.store.next_task_at().await?.map(crate::clock::until_ms);
        let idle = work.poll * IDLE_POLLS;
        Ok(next.map_or(idle, |next| next.min(idle)))
    }

    /// Drives a task while its lease is kept.
    async fn hold_and_drive(self, task: Task) {
        let renewing = async {
            loop {
                tokio::time::sleep(self.config.work.lease / 3).await;
                match self.store.renew_lease(&task, self.config.work.lease).await {
                    Ok(()) => {}
                    Err(error) if error.is::<LeaseLost>() => return,
                    // The store may be back before the lease is over.
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "renewing the lease failed"),
                }
            }
        };
        tokio::select! {
            () = self.drive(task.clone()) => {}
            () = renewing => tracing::warn!("lease lost to another worker"),
        }
    }

    /// Brings a task as far as it gets, then gives it back.
    async fn drive(&self, mut task: Task) {
        let mut trouble = FailingSince::default();
        loop {
            let before = task.state;
            let step_error = match self.step(task.clone(), &mut trouble).await {
                Ok(Some(next)) => {
                    if next.state != before {
                        tracing::info!(
                            from = before.as_str(),
                            to = next.state.as_str(),
                            "task changed state"
                        );
                    }
                    task = next;
                    trouble = FailingSince::default();
                    // A retry has its time; the worker that claims the task then makes the run.
                    if task.state == TaskState::Queued && task.not_before.is_some_and(|at| at > clock::now())
                    {
                        break;
                    }
                    continue;
                }
                Ok(None) => break,
                Err(step_error) => step_error,
            };
            match step_error {
                StepError::Stopping => break,
                StepError::Later(error) if error.is::<LeaseLost>() => {
                    tracing::warn!("task was taken over or ended elsewhere");
                    return;
                }
                // Where the store, or its disk, is in trouble no failure could be written down
                // either, and an agent would be ended for nothing: such a step is repeated for as
                // long as it takes.
                StepError::Later(error)
                    if StoreFault::of(&error).is_some()
                        || !trouble.lasts_longer_than(self.config.work.patience) =>
                {
                    self.store.report(&error);
                    tracing::warn!(error = format!("{error:#}"), "step failed; will retry");
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = tokio::time::sleep(trouble.next_pause()) => {}
                    }
                }
                StepError::Later(error) => {
                    tracing::error!(error = format!("{error:#}"), "step kept failing; the task fails");
                    self.give_up(&task, FailureClass::NotReady, &Detail::OutOfReach).await;
                    break;
                }
                StepError::Refused { detail } if trouble.refusals < MORE_TRIES => {
                    trouble.refusals += 1;
                    tracing::warn!(detail = self.for_log(&detail), "step was rejected; will retry");
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = tokio::time::sleep(trouble.next_pause()) => {}
                    }
                }
                StepError::Refused { detail } => {
                    tracing::warn!(detail = self.for_log(&detail), "task failed");
                    self.give_up(&task, FailureClass::NotReady, &detail).await;
                    break;
                }
                StepError::Fail { class, detail } => {
                    tracing::warn!(%class, detail = self.for_log(&detail), "task failed");
                    self.give_up(&task, class, &detail).await;
                    break;
                }
            }
        }
        if task.state.is_final() {
            self.clear_if_handed_over(&task).await;
        }
        if let Err(error) = self.store.release_task(&task, Duration::ZERO).await {
            tracing::warn!(error = format!("{error:#}"), "releasing the lease failed; it expires by itself");
        }
        self.store.wakes().tasks.notify_one();
    }

    fn for_log(&self, detail: &Detail) -> String {
        self.secrets.redact(&detail.describe())
    }

    /// The one thing that is next. `None`: nothing is, for this worker.
    async fn step(&self, task: Task, trouble: &mut FailingSince) -> Result<Option<Task>, StepError> {
        if self.stop.is_cancelled() {
            return Err(StepError::Stopping);
        }
        let mut job = self.job(task).await?;
        let run = self.store.latest_run(&job.task).await?;
        let look = TaskSnapshot {
            state: job.task.state,
            stop_wanted: self.store.stop_wanted(&job.task).await?.is_some(),
            may_push: self.may_push_held_back(&job).await?,
            publish_again: self.is_published_again(&job, run.as_ref()),
            save_wanted: self.store.is_work_to_be_saved(&job.task).await?,
            check_wanted: self.store.is_to_check_again(&job.task).await?,
            run: run
                .as_ref()
                .map(|run| if run.end.is_some() { RunSnapshot::Ended } else { RunSnapshot::Open }),
        };
        if job.task.turn == RunReason::PublishAgain && !look.publish_again {
            // What was to be published is not there any more.
            job.task.turn = RunReason::GoOn;
        }
        match (step::step(&look), run) {
            (Step::Rest, _) => Ok(None),
            (Step::Stop, _) => Ok(Some(self.cancel(&job).await?)),
            (Step::PublishLastRun, _) => {
                Ok(Some(self.store.advance(&job.task, TaskState::Publishing, &Transition::default()).await?))
            }
            (Step::BeginRun, None) if matches!(job.task.ask.about, TaskKind::Base(_)) => {
                Box::pin(self.follow_base(&job)).await
            }
            (Step::BeginRun, _) => match self.take_up(&job).await? {
                Preflight::Ready(None) => Box::pin(self.begin_run(&job)).await,
                Preflight::Ready(Some(task)) => Box::pin(self.begin_run(&self.job(*task).await?)).await,
                Preflight::Over(task) => Ok(Some(*task)),
                Preflight::Waits => Ok(None),
            },
            (Step::FollowRun, Some(mut run)) => {
                self.start(&job, &mut run).await?;
                let began = Instant::now();
                let watched = self.watch(&job, &mut run).await;
                if self.is_within_its_time(&run) {
                    trouble.has_followed_since(began);
                }
                watched?;
                // The same task again, with its run at an end.
                Ok(Some(job.task))
            }
            (Step::Settle, Some(run)) => {
                self.clear_container(&run).await?;
                Ok(Some(self.settle_run(&job, &run).await?))
            }
            (Step::Publish, Some(run)) => Ok(Some(self.publish(&job, &run).await?)),
            (Step::SaveWork, _) => {
                self.save_work(&job).await?;
                Ok(None)
            }
            (Step::CheckAgain, _) => {
                Box::pin(self.check_again(&job)).await?;
                Ok(None)
            }
            (Step::NoRun | Step::FollowRun | Step::Settle | Step::Publish, _) => {
                let (task, state) = (job.task.id, job.task.state);
                Err(StepError::Later(anyhow::anyhow!("task {task} is {state:?} but has no run")))
            }
        }
    }

    /// Whether what a task's last run made is to be published without another run, and can be.
    fn is_published_again(&self, job: &Job, run: Option<&Run>) -> bool {
        let is_done = run
            .and_then(|run| run.end.as_ref())
            .is_some_and(|end| matches!(end.outcome, Outcome::Completed { .. }));
        let is_there = !job.story.handed_over && self.data.story(job.story.id).workspace.exists();
        job.task.turn == RunReason::PublishAgain && is_done && is_there
    }

    /// Whether the task waits no more because a person has allowed what its last run handed over.
    async fn may_push_held_back(&self, job: &Job) -> Result<bool, StepError> {
        let RunReason::Answer { question } = job.task.turn else { return Ok(false) };
        let held_back = self.store.held_back(job.story.id).await?;
        let asked = held_back.into_iter().find(|asked| asked.id == question);
        Ok(asked.and_then(|asked| asked.answer).is_some_and(|answer| answer.allows_push()))
    }

    /// A task with what every step needs to know.
    async fn job(&self, task: Task) -> anyhow::Result<Job> {
        let story = self.store.story(task.story).await?;
        let text = self.store.settings_of(task.id).await?;
        let file = text.map(|text| RepositoryFile::parse_kept(&text)).unwrap_or_default();
        Ok(Job { task, story, file })
    }

    /// The settings of a task.
    fn settings(&self, job: &Job) -> TaskSettings {
        let choice = &job.task.ask.choice;
        let chosen =
            Chosen { agent: choice.agent, model: choice.model.as_deref(), image: choice.image.as_deref() };
        self.config.for_task(&job.story.repo, &job.file, chosen)
    }

    /// The same for a run of that agent: the model and image that a person chose are for the agent
    /// that they chose.
    fn settings_for(&self, job: &Job, agent: AgentKind) -> TaskSettings {
        let usual = self.settings(job);
        if usual.agent == agent {
            return usual;
        }
        let chosen = Chosen { agent: Some(agent), ..Chosen::default() };
        self.config.for_task(&job.story.repo, &job.file, chosen)
    }
}

/// How long a step has been failing for a reason that may pass.
#[derive(Debug, Default)]
struct FailingSince {
    since: Option<Instant>,
    pauses: u32,
    refusals: u32,
}

impl FailingSince {
    /// Whether the patience is used up, by a try that has just failed. That a try took long is no
    /// reason to be patient again: what it looks at is the agent's, and may have been made so that
    /// each try takes long.
    fn lasts_longer_than(&mut self, patience: Duration) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() > patience
    }

    /// A run was followed since then. If that was long, what was wrong before is over, and the time
    /// counts again: an agent that has worked for an hour does not pay for a Docker that was away
    /// twice.
    fn has_followed_since(&mut self, began: Instant) {
        if began.elapsed() > MAX_PAUSE {
            *self = Self::default();
        }
    }

    fn next_pause(&mut self) -> Duration {
        self.pauses += 1;
        (FIRST_PAUSE * 2u32.pow((self.pauses - 1).min(10))).min(MAX_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);
    const LONG: Duration = Duration::from_secs(120);

    #[tokio::test(start_paused = true)]
    async fn tries_that_each_take_long_use_up_the_patience() {
        let mut trouble = FailingSince::default();
        let mut tries = 0;
        while tries < 100 {
            tokio::time::advance(LONG).await;
            tries += 1;
            if trouble.lasts_longer_than(PATIENCE) {
                break;
            }
        }
        // The first one begins the time.
        assert_eq!(tries, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_was_followed_for_long_begins_the_time_anew_and_a_short_look_at_it_does_not() {
        let mut trouble = FailingSince::default();
        assert!(!trouble.lasts_longer_than(PATIENCE));
        let began = Instant::now();
        tokio::time::advance(PATIENCE + LONG).await;
        trouble.has_followed_since(began);
        assert!(!trouble.lasts_longer_than(PATIENCE), "an agent worked meanwhile");
        tokio::time::advance(PATIENCE).await;
        let began = Instant::now();
        tokio::time::advance(FIRST_PAUSE).await;
        trouble.has_followed_since(began);
        assert!(trouble.lasts_longer_than(PATIENCE));
    }
}
