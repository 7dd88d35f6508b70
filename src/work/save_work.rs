//! Work in progress is not lost: what an agent has done when its task is stopped, or when its
//! workspace is about to go, is brought to the story branch, commits and uncommitted changes. And
//! the end of a workspace that is needed no more. May be repeated from the top: the same workspace
//! makes the same commits, and a push that has happened is recognised by the commit that the branch
//! is at.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::export::{WorkInProgress, hand_over_name, refused};
use super::publish::check_not_moved_back;
use super::settle::comment;
use super::start::{blocking, make_private_folder};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::event::PullTransition;
use crate::git::Mirror;
use crate::ids::{IssueNumber, Sha};
use crate::message::{self, Detail, SavedWork, WhyUnfinished};
use crate::paths;
use crate::store::{Effect, NewEffect, StoryUpdate, Transition};
use crate::story::pull::PullState;
use crate::story::{Run, StopReason, Story, Task, TaskState};

/// The wait before work that could not be saved is tried again. Nobody waits for it.
const SAVE_AGAIN: Duration = Duration::from_secs(60 * 60);

/// What became of the work, with the commit that was pushed.
pub(super) type SavedAt = (SavedWork, Option<Sha>);

impl Worker {
    /// Ends a task that is to be stopped: its work goes to the branch, and its issue is told.
    pub(super) async fn cancel(&self, job: &Job) -> Result<Task, StepError> {
        let why = self.why_stopped(job).await?;
        self.cancel_because(job, &why).await
    }

    /// The same, where it is known why.
    pub(super) async fn cancel_because(&self, job: &Job, why: &StopReason) -> Result<Task, StepError> {
        let kept = match self.store.latest_run(&job.task).await? {
            None => (SavedWork::NotBegun, None),
            Some(run) => self.work_so_far(job, &run, message::work_in_progress(why)).await?,
        };
        self.cancelled(job, why, kept).await
    }

    /// Ends a task without a push, if it is to be stopped and nothing but that is missing.
    pub(super) async fn cancel_without_push(
        &self,
        job: &Job,
        class: FailureClass,
        detail: &str,
    ) -> Result<Option<Task>, StepError> {
        // Work that is being published is done; a stop that came too late changes nothing about its
        // failure.
        let can_be_stopped = matches!(job.task.state, TaskState::Queued | TaskState::Running);
        if !can_be_stopped || self.store.stop_wanted(&job.task).await?.is_none() {
            return Ok(None);
        }
        let why = self.why_stopped(job).await?;
        let kept = SavedWork::NotPushed { class, detail: self.secrets.redact(detail) };
        Ok(Some(self.cancelled(job, &why, (kept, None)).await?))
    }

    /// Pushes what a task that is over has left, before its workspace goes: since nobody has
    /// touched it for long, or since the pull request was merged without it.
    pub(super) async fn save_work(&self, job: &Job) -> Result<(), StepError> {
        let Some((task, run)) = self.store.last_started_run(job.story.id).await? else {
            return Ok(self.store.work_saved(&job.task, None, &[]).await?);
        };
        // The task that is over last may have needed no run.
        let of_run = self.job(task).await?;
        let is_merged = job.story.pull_state == PullState::Merged;
        let left_by = match is_merged {
            true => StopReason::Pull {
                to: PullTransition::Merged,
                by: String::new(),
                is_adopted: job.story.is_adopted(),
            },
            false => StopReason::Untouched,
        };
        let subject = message::work_in_progress(&left_by);
        let (kept, tip) = self.push_work_in_progress(&job.task, &of_run, &run, subject).await?;
        match kept {
            SavedWork::NotPushed { class, detail } => {
                tracing::warn!(%class, detail, "pushing work left in a workspace failed");
                self.store.work_not_saved(&job.task).await?;
            }
            SavedWork::Pushed { .. } => {
                tracing::info!(branch = job.story.branch, is_merged, "pushing work left in a workspace");
                let why = WhyUnfinished::Stopped(&left_by);
                let mut effects: Vec<NewEffect> =
                    self.draft(&of_run, why, Some(&kept)).await?.into_iter().collect();
                let words = match is_merged {
                    true => message::left_work_pushed(&kept),
                    false => message::put_away(&kept),
                };
                effects.push(comment(&job.story, words));
                effects.extend(cut_short_on_ready(job, &kept));
                self.store.work_saved(&job.task, tip.as_ref(), &effects).await?;
            }
            SavedWork::Nothing | SavedWork::NotBegun => self.store.work_saved(&job.task, None, &[]).await?,
        }
        Ok(())
    }

    /// Puts the saving of a task's work off.
    pub(super) async fn save_later(&self, task: &Task) -> Result<(), StepError> {
        Ok(self.store.save_work_later(task, SAVE_AGAIN).await?)
    }

    async fn why_stopped(&self, job: &Job) -> Result<StopReason, StepError> {
        let wanted = self.store.stop_wanted(&job.task).await?;
        Ok(wanted.unwrap_or_else(|| StopReason::Asked { by: job.task.ask.by.clone() }))
    }

    pub(super) async fn cancelled(
        &self,
        job: &Job,
        why: &StopReason,
        (kept, tip): SavedAt,
    ) -> Result<Task, StepError> {
        tracing::info!(reason = ?why, ?kept, "task stopped");
        let is_needed_no_more = matches!(kept, SavedWork::Pushed { .. } | SavedWork::Nothing);
        let story = StoryUpdate {
            base: tip.map(|tip| (tip.clone(), Some(tip))),
            handed_over: is_needed_no_more.then_some(true),
            ..StoryUpdate::default()
        };
        let words = message::stopped(why, &kept, self.spent_on(&job.task).await?);
        let draft = self.draft(job, WhyUnfinished::Stopped(why), Some(&kept)).await?;
        let mut effects: Vec<NewEffect> = draft.into_iter().collect();
        effects.extend(cut_short_on_ready(job, &kept));
        let advance = Transition { story, words: Some(words), effects, ..Transition::default() };
        Ok(self.store.advance(&job.task, TaskState::Cancelled, &advance).await?)
    }

    /// Brings what a run has done to the story branch. `holder` is the task that this worker has;
    /// `job` is whose work it is. What cannot be pushed is no error: it is told, and stays where it
    /// is.
    pub(super) async fn push_work_in_progress(
        &self,
        holder: &Task,
        job: &Job,
        run: &Run,
        subject: String,
    ) -> Result<SavedAt, StepError> {
        let workspace = self.data.story(job.story.id).workspace;
        let (Some(base), false, true) = (&job.story.base, job.story.handed_over, workspace.exists()) else {
            return Ok((SavedWork::Nothing, None));
        };
        let pushed = self.hand_over_and_push_all(holder, (job, run), base, subject).await;
        if matches!(pushed, Ok(_) | Err(StepError::Fail { .. })) {
            // Also of what is refused: a secret may be in it.
            self.clear_hand_over(run).await?;
        }
        match pushed {
            Err(StepError::Fail { class, detail }) => {
                let detail = self.secrets.redact(&detail.describe());
                Ok((SavedWork::NotPushed { class, detail }, None))
            }
            other => other,
        }
    }

    async fn hand_over_and_push_all(
        &self,
        holder: &Task,
        (job, run): (&Job, &Run),
        base: &Sha,
        subject: String,
    ) -> Result<SavedAt, StepError> {
        let image = self.settings_for(job, run.agent).image;
        if !self.config.allows_image(&image) {
            return Err(refused(Detail::ImageNotAllowedAnyMore));
        }
        self.ensure_alone(job, &hand_over_name(run)).await?;
        // The record of a run may be gone before the workspace is.
        let folder = self.data.run(run.id).folder;
        blocking(move || make_private_folder(&folder, None)).await??;
        let wip = WorkInProgress { message: subject, at: ended_at(run) };
        let handed = self.hand_over(job, run, base, Some(&wip)).await?;
        check_not_moved_back(&handed, base)?;
        if handed.bundle.is_none() {
            return Ok((SavedWork::Nothing, None));
        }
        let (taken, _) = self.take_over(job, run, base, &handed).await?;
        // Nobody is asked about protected paths: they would be asked about work that is over.
        if !taken.objections.is_empty() {
            let (objections, more) = (&taken.objections, taken.more_objections);
            return Err(refused(message::policy_violations(objections, more)));
        }
        let tip = self.push(holder, &job.story, run, &taken).await?;
        if let Some(onto) = &taken.onto {
            let root = Some((job.story.base_branch.clone(), onto.clone()));
            self.store.change_story(holder, &StoryUpdate { root, ..StoryUpdate::default() }).await?;
        }
        let kept = SavedWork::Pushed {
            branch: job.story.branch.clone(),
            commits: taken.commits,
            is_wip: handed.is_wip,
            left_out: handed.left.apart,
        };
        Ok((kept, Some(tip)))
    }

    /// Removes the workspace of a story whose task has just ended, if nothing in it is needed any
    /// more. Only disk space is at stake, so a failure is logged, and the sweep tries again.
    pub(super) async fn clear_if_handed_over(&self, task: &Task) {
        let cleared = async {
            let story = self.store.story(task.story).await?;
            if story.handed_over { self.clear_workspace(&story).await } else { Ok(()) }
        };
        if let Err(step_error) = cleared.await {
            tracing::warn!(?step_error, "workspace not removed");
        }
    }

    /// Removes a story's workspace; its home, with the agent's session, stays for what comes next.
    /// When this returns, no workspace is there; what is left to be removed of it is the sweep's,
    /// too.
    pub(super) async fn clear_workspace(&self, story: &Story) -> Result<(), StepError> {
        let paths = self.data.story(story.id);
        let (mirror, id) = (self.data.mirror(&story.mirror), story.id);
        blocking(move || -> anyhow::Result<()> {
            paths::remove_gone(&paths.workspace)?;
            paths::put_away(&paths.workspace)?;
            // Nothing borrows from the mirror any more.
            Mirror::ensure(&mirror)?.unpin(id)?;
            let rest = paths::remove_gone(&paths.workspace)
                .and_then(|()| paths::remove_tree(&paths.settings))
                .and_then(|()| paths::remove_tree(&paths.exchange));
            if let Err(error) = rest {
                tracing::warn!(error = format!("{error:#}"), "story folder not removed");
            }
            Ok(())
        })
        .await??;
        Ok(())
    }
}

/// Said on the pull request where work that was cut short is on its branch now, and people may take
/// it for what they were asked to review: a draft says so in its text.
pub(super) fn cut_short_on_ready(job: &Job, kept: &SavedWork) -> Option<NewEffect> {
    let story = &job.story;
    let is_told = |on: u64| on == story.issue.0 || job.task.ask.on == Some(IssueNumber(on));
    let pull = story.open_pull().filter(|pull| story.draft_pull().is_none() && !is_told(pull.0))?;
    let SavedWork::Pushed { commits, is_wip, .. } = kept else { return None };
    let body = message::cut_short_on_branch(*commits, *is_wip, story.issue);
    Some(NewEffect::new(Effect::Comment { on: IssueNumber(pull.0), body }))
}

/// When a run ended, as it is recorded: a moment that stays the same however often it is asked for.
pub(super) fn ended_at(run: &Run) -> Timestamp {
    let started = run.started_at.unwrap_or(Timestamp::UNIX_EPOCH);
    let took = run.end.as_ref().map_or(0, |end| i64::try_from(end.duration_ms).unwrap_or(0));
    started.checked_add(SignedDuration::from_millis(took)).unwrap_or(started)
}
