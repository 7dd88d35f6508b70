//! A task about failed checks, before it is begun: what fails now, on which commit, and whether
//! that is the work's doing. And what the checks have to say, for the agent. What a check prints
//! anybody can have a say in who can change what it runs: it is shown as output and as nothing
//! else.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::gather::Gatherer;
use super::start::{blocking, github_error, remote_error};
use super::{Job, StepError, Worker};
use crate::clock;
use crate::event::CheckKind;
use crate::git::{Mirror, RemoteError};
use crate::github::{CheckOutput, Repository};
use crate::ids::{IssueNumber, Sha};
use crate::message::{self, NothingToFix};
use crate::prompt::{Failing, FailingCheck};
use crate::redact::CONTEXT;
use crate::store::{Effect, NewEffect, StoryUpdate, Transition};
use crate::story::fix::{self, ACTIONS, CheckVerdict, FailedCheck, FailedChecks, MAX_SHOWN, log_tail};
use crate::story::{Run, RunReason, Task, TaskKind, TaskState};

/// How long checks are waited for that have not come to their end, in times of `pull_request.wait`.
const PATIENCE: u32 = 30;

/// What is to be done about a task before its first run.
pub(super) enum Preflight {
    /// Make the run, of the task with what was found where that is new.
    Ready(Option<Box<Task>>),
    /// There is nothing to be done: the task is at its end.
    Over(Box<Task>),
    /// It waits.
    Waits,
}

/// Commits that a look at checks needs to know.
struct Commits {
    /// The story branch's newest.
    head: Sha,
    /// Where the branch left its base, and where that is now.
    base: Vec<Sha>,
}

impl Worker {
    /// Looks what fails, where a task is about failed checks and has not begun.
    pub(super) async fn take_up_checks(&self, job: &Job) -> Result<Preflight, StepError> {
        let TaskKind::Checks(failed) = &job.task.ask.about else { return Ok(Preflight::Ready(None)) };
        // Until there is a run it may have waited, for a limit or at a cap, and what was found then
        // need not be so any more.
        if self.store.latest_run(&job.task).await?.is_some() {
            return Ok(Preflight::Ready(None));
        }
        let repository = self.github.repository(&job.story.at()).await.map_err(github_error)?;
        let commits = self.commits(job).await?;
        let Some(commits) = self.still_there(job, failed, &repository, commits).await? else {
            return self.nothing_to_fix(job, failed, &NothingToFix::NoPull).await;
        };
        let own_app = self.config.github.app_id;
        let on_head = repository.checks_on(&commits.head).await.map_err(github_error)?;
        let mut before = Vec::new();
        if !fix::judge(&on_head.found, &[], own_app, failed.by_command).failing.is_empty() {
            for base in &commits.base {
                before.extend(repository.checks_on(base).await.map_err(github_error)?.found);
            }
        }
        let judged = fix::judge(&on_head.found, &before, own_app, failed.by_command);
        tracing::info!(
            failing = judged.failing.len(), red_before = judged.red_before.len(), head = %commits.head, "evaluated checks"
        );
        if judged.failing.is_empty() {
            let found = NothingToFix::NoneFails {
                head: &commits.head,
                red_before: &judged.red_before,
                needs_action: &judged.needs_action,
                is_pending: judged.is_pending,
                is_hidden: on_head.is_hidden,
            };
            return self.nothing_to_fix(job, failed, &found).await;
        }
        if !failed.by_command {
            if judged.is_pending && self.wait_for_more(job).await? {
                return Ok(Preflight::Waits);
            }
            let most = self.config.fixes_of(&job.file);
            if self.store.fixes_made(job.story.id).await? >= most {
                return self.stop_fixing(job, &judged, most).await;
            }
        }
        let CheckVerdict { failing, .. } = judged;
        let found = FailedChecks { head: Some(commits.head), failing, by_command: failed.by_command };
        Ok(Preflight::Ready(Some(Box::new(self.store.note_failing(&job.task, found).await?))))
    }

    /// The commits to look at; nothing where there is no story branch.
    async fn commits(&self, job: &Job) -> Result<Option<Commits>, StepError> {
        let story = &job.story;
        let (remote, path) = (self.remote(story).await?, self.data.mirror(&story.mirror));
        let names = (story.branch.clone(), story.base_branch.clone());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            let branches = || {
                let Some(head) = mirror.branch(&names.0)? else { return Ok(None) };
                let mut base: Vec<Sha> = Vec::new();
                if let Some(tip) = mirror.branch(&names.1)? {
                    base.extend(mirror.merge_base(&head, &tip)?);
                    base.extend(Some(tip).filter(|tip| !base.contains(tip)));
                }
                Ok(Some(Commits { head, base }))
            };
            branches().map_err(RemoteError::Other)
        });
        found.await?.map_err(remote_error)
    }

    /// The same, as long as the task is about them: the pull request is open, and without a
    /// person's word the branch is at the commit that hob pushed last.
    async fn still_there(
        &self,
        job: &Job,
        failed: &FailedChecks,
        repository: &Repository,
        commits: Option<Commits>,
    ) -> Result<Option<Commits>, StepError> {
        let Some(commits) = commits else { return Ok(None) };
        if !failed.by_command {
            let is_newest = failed.head.as_ref() == Some(&commits.head);
            if !is_newest || self.store.story_to_fix(&job.story.repo, &commits.head).await?.is_none() {
                return Ok(None);
            }
        }
        let pull = repository.find_pull(&job.story.branch).await.map_err(github_error)?;
        // One that GitHub has not taken yet is not there, and is not closed.
        let is_closed = pull.is_none() && job.story.pull.is_some();
        Ok((!is_closed).then_some(commits))
    }

    /// Puts the task off, as long as it is worth waiting for checks that have not ended.
    async fn wait_for_more(&self, job: &Job) -> Result<bool, StepError> {
        let wait = self.config.pull_request.wait;
        let now = clock::now();
        let opened = job.task.id.made_at().unwrap_or(now);
        let waited = Duration::try_from(now.duration_since(opened)).unwrap_or(Duration::ZERO);
        if waited > wait * PATIENCE {
            return Ok(false);
        }
        // Longer each time: a task that takes long takes longer.
        let pause = SignedDuration::try_from(wait.max(waited)).unwrap_or(SignedDuration::ZERO);
        let until = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        tracing::info!(%until, "waiting for unfinished checks");
        self.store.park(&job.task, until, None).await?;
        Ok(true)
    }

    /// Ends a task that has nothing to do. Who asked is told; nobody else has to hear that
    /// something is well, or left to others.
    async fn nothing_to_fix(
        &self,
        job: &Job,
        failed: &FailedChecks,
        found: &NothingToFix<'_>,
    ) -> Result<Preflight, StepError> {
        let said = message::nothing_to_fix(found);
        let advance = match found {
            _ if failed.by_command => {
                let on = job.task.ask.on.unwrap_or(job.story.issue);
                let effect = NewEffect::new(Effect::Comment { on, body: said });
                Transition { effects: vec![effect], ..Transition::default() }
            }
            // Somebody has pushed, or closed the pull request: they know.
            NothingToFix::NoPull => Transition::default(),
            NothingToFix::NoneFails { .. } => Transition { words: Some(said), ..Transition::default() },
        };
        let ended = self.store.advance(&job.task, TaskState::Done, &advance).await?;
        Ok(Preflight::Over(Box::new(ended)))
    }

    /// Says that hob leaves the checks to people from now on.
    async fn stop_fixing(&self, job: &Job, judged: &CheckVerdict, most: u32) -> Result<Preflight, StepError> {
        let failed = FailedChecks { failing: judged.failing.clone(), ..FailedChecks::default() };
        let said = self.secrets.redact(&message::fixes_used_up(&failed.names(), most));
        tracing::info!(most, "checks still fail; limit of fixes reached");
        let mut effects = Vec::new();
        if let Some(pull) = job.story.pull {
            let on = IssueNumber(pull.0);
            effects.push(NewEffect::new(Effect::Comment { on, body: said.clone() }));
        }
        let advance = Transition {
            words: Some(said),
            effects,
            story: StoryUpdate { ends_fixing: true, ..StoryUpdate::default() },
            ..Transition::default()
        };
        let ended = self.store.advance(&job.task, TaskState::Done, &advance).await?;
        Ok(Preflight::Over(Box::new(ended)))
    }
}

impl Gatherer<'_> {
    /// What the checks have to say that a task is about, where the agent does not know it from
    /// before.
    pub(super) async fn failing_checks(
        &self,
        run: &Run,
        resumes: bool,
    ) -> Result<Option<Failing>, StepError> {
        let TaskKind::Checks(failed) = &self.job.task.ask.about else { return Ok(None) };
        let is_told =
            resumes && !matches!(run.turn, RunReason::Begin | RunReason::GoOn | RunReason::StartOver);
        let Some(head) = failed.head.as_ref().filter(|_| !is_told) else { return Ok(None) };
        let mut checks = Vec::new();
        for check in failed.failing.iter().take(MAX_SHOWN) {
            let output = self.output_of(check).await?;
            // Without what stands before each line, and before it is shortened.
            let output = output.map(|(log, from)| {
                let begun = fix::plain_log(&log[..log.floor_char_boundary(from)]).len();
                log_tail(&self.worker.secrets.redactor().redact_from(&fix::plain_log(&log), begun))
            });
            let output = output.filter(|text| !text.is_empty());
            let of = match (check.kind, check.app.as_deref()) {
                (CheckKind::CheckRun, Some(ACTIONS)) => "GitHub Actions".to_owned(),
                (CheckKind::CheckRun, app) => app.unwrap_or("a GitHub App").to_owned(),
                (CheckKind::Status, _) => "a commit status".to_owned(),
                (CheckKind::WorkflowRun, _) => "a workflow that could not start".to_owned(),
            };
            checks.push(FailingCheck { name: check.name.clone(), of, url: check.url.clone(), output });
        }
        let more = failed.failing.iter().skip(MAX_SHOWN).map(|check| check.name.clone()).collect();
        Ok(Some(Failing { head: head.to_string(), checks, more }))
    }

    /// What a check has to say, if anything, and where in that what may be told of it begins.
    async fn output_of(&self, check: &FailedCheck) -> Result<Option<(String, usize)>, StepError> {
        Ok(match check.kind {
            CheckKind::CheckRun => {
                if check.app.as_deref() == Some(ACTIONS)
                    && let Some(log) = self.repository.job_log(check.id).await.map_err(github_error)?
                {
                    // Of a secret that began before the end that is kept, nothing is told.
                    return Ok(Some((log.end, if log.is_cut { CONTEXT } else { 0 })));
                }
                let output = self.repository.check_output(check.id).await.map_err(github_error)?;
                output.map(|output| (told(&output), 0))
            }
            CheckKind::Status => check.said.clone().map(|said| (said, 0)),
            CheckKind::WorkflowRun => None,
        })
    }
}

/// What a check run says, as one text.
fn told(output: &CheckOutput) -> String {
    let mut told = [output.title.as_str(), &output.summary, &output.text].map(str::trim).to_vec();
    told.retain(|text| !text.is_empty());
    let notes = output.notes.iter().map(|(path, line, message)| format!("{path}:{line}: {message}"));
    let notes: Vec<String> = notes.collect();
    let notes = notes.join("\n");
    if !notes.is_empty() {
        told.push(&notes);
    }
    told.join("\n\n")
}
