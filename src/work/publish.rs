//! Publishing: what the hand-over brought is read into quarantine, held against the policy, pushed
//! from hob's own repository, and becomes the pull request. May be repeated from the top: a push
//! that has happened is recognised by the commit that the branch is at.

use anyhow::Context as _;

use super::check_again::evidence;
use super::concurrent_push::PushOutcome;
use super::export::{ExportReport, UncommittedFiles, refused};
use super::import_child::ImportedCommits;
use super::settle::ask;
use super::start::blocking;
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::event::PullTransition;
use crate::fail_point::around;
use crate::git::{self, Mirror};
use crate::ids::{AgentKind, Sha};
use crate::message::{self, Detail, FollowUp, PolicyViolation, PullRequestText, ReviewHint, SavedWork};
use crate::paths;
use crate::store::{Effect, NewEffect, StoryUpdate, Transition};
use crate::story::checks::{self, Checked};
use crate::story::pull::PullState;
use crate::story::sub_issue::to_close;
use crate::story::{
    self, Answer, Findings, NextStep, Outcome, PendingApproval, QuestionSubject, Run, RunEnd, RunReason,
    StopReason, Story, Task, TaskKind, TaskState,
};

/// Whether a run of Codex has left no word at all. Of what it declined it gives none.
fn has_said_nothing(run: &Run) -> bool {
    let is_silent =
        |end: &RunEnd| matches!(end.outcome, Outcome::Completed { summary: None }) && end.replies.is_empty();
    run.agent == AgentKind::Codex && run.end.as_ref().is_some_and(is_silent)
}

impl Worker {
    /// Takes the agent's work over and brings it to the git host.
    pub(super) async fn publish(&self, job: &Job, run: &Run) -> Result<Task, StepError> {
        let published = self.hand_over_and_push(job, run).await;
        if matches!(published, Ok(_) | Err(StepError::Fail { .. })) {
            // Also of what is refused: a secret may be in it.
            self.clear_hand_over(run).await?;
        }
        published
    }

    async fn hand_over_and_push(&self, job: &Job, run: &Run) -> Result<Task, StepError> {
        let base = job.story.base.clone().context("loading the story's base")?;
        let handed = self.hand_over(job, run, &base, None).await?;
        check_not_moved_back(&handed, &base)?;
        let left = &handed.left;
        let findings =
            Findings { uncommitted: left.uncommitted.clone(), has_commits: handed.bundle.is_some() };
        match story::after_hand_over(&run.turn, findings) {
            NextStep::Push => self.push_if_allowed(job, run, &base, &handed).await,
            // A model that declines in the middle of its work says so by saying nothing.
            NextStep::NothingToChange if has_said_nothing(run) => {
                let mut advance =
                    self.failure(job, FailureClass::Refused, &Detail::Said(String::new()), &[]).await?;
                advance.story.session = Some(None);
                Ok(self.store.advance(&job.task, TaskState::Failed, &advance).await?)
            }
            NextStep::NothingToChange => self.propose_or_say_nothing(job, run, left).await,
            NextStep::AskToCommit(files) => {
                tracing::info!(files = files.len(), "asking the agent to commit its changes");
                let turn = Some(RunReason::CommitLeftovers { files });
                let advance = Transition { turn, ..Transition::default() };
                Ok(self.store.advance(&job.task, TaskState::Queued, &advance).await?)
            }
            NextStep::LeftUncommitted(files) => {
                self.fail(job, FailureClass::LeftUncommitted, &Detail::Said(String::new()), &files).await
            }
        }
    }

    /// Removes what a hand-over leaves with its run.
    pub(super) async fn clear_hand_over(&self, run: &Run) -> Result<(), StepError> {
        let run_paths = self.data.run(run.id);
        blocking(move || {
            around("disk", "checks-removal", || paths::remove_tree(&run_paths.checks))?;
            around("disk", "quarantine-removal", || paths::remove_tree(&run_paths.quarantine))?;
            paths::remove_file(&run_paths.bundle)
        })
        .await??;
        Ok(())
    }

    /// Pushes, unless the policy has something against the commits. Protected paths are a person's
    /// to allow, for exactly these commits; everything else is refused.
    async fn push_if_allowed(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &ExportReport,
    ) -> Result<Task, StepError> {
        let (taken, note) = self.take_over(job, run, base, handed).await?;
        if !taken.objections.iter().all(PolicyViolation::can_be_allowed) {
            let (objections, more) = (&taken.objections, taken.more_objections);
            return Err(refused(message::policy_violations(objections, more)));
        }
        let protected = taken.objections.iter().filter_map(|objection| match objection {
            PolicyViolation::Protected { path } => Some(path.clone()),
            _ => None,
        });
        let checked = self.check(job, run, &taken).await?;
        if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
            return self.back(job, turn).await;
        }
        let held_back = PendingApproval {
            tip: taken.handed_tip.clone(),
            paths: protected.collect(),
            more: taken.more_objections,
        };
        if !held_back.paths.is_empty() && !self.is_allowed(job, &held_back).await? {
            if self.store.stop_wanted(&job.task).await?.is_some() {
                return self.cancel(job).await;
            }
            tracing::info!(
                paths = held_back.paths.len() + held_back.more,
                "asking a person about protected paths"
            );
            let question = message::may_this_be_pushed(&held_back);
            let advance = ask(question, QuestionSubject::Protected(held_back));
            return Ok(self.store.advance(&job.task, TaskState::Blocked, &advance).await?);
        }
        if let Some((of_merged, why)) = self.merged_meanwhile(job).await? {
            let tip = self.push(&job.task, &of_merged.story, run, &taken).await?;
            return self.pushed_after_merge(&of_merged, &why, taken.commits, tip).await;
        }
        match self.bring(job, run, taken, checked).await? {
            PushOutcome::There(taken, checked) => match self.merged_meanwhile(job).await? {
                Some((of_merged, why)) => {
                    self.pushed_after_merge(&of_merged, &why, taken.commits, taken.tip).await
                }
                None => {
                    let notes: Vec<String> = note.into_iter().chain(handed.left.named()).collect();
                    self.propose(job, run, (&*taken, &notes), checked.as_ref()).await
                }
            },
            PushOutcome::Back(turn) => self.back(job, turn).await,
        }
    }

    /// Whether the pull request has been merged while the work was published, which checks can make
    /// long. A stop leaves what is being published alone, but what is pushed to a merged branch is
    /// in no base.
    async fn merged_meanwhile(&self, job: &Job) -> Result<Option<(Job, StopReason)>, StepError> {
        let now = self.job(job.task.clone()).await?;
        if now.story.pull_state != PullState::Merged {
            return Ok(None);
        }
        let by = now.story.pull_moved_by.clone().unwrap_or_default();
        let is_adopted = now.story.is_adopted();
        Ok(Some((now, StopReason::Pull { to: PullTransition::Merged, by, is_adopted })))
    }

    /// Ends a task whose work is on the branch of a pull request that was merged before it got
    /// there.
    async fn pushed_after_merge(
        &self,
        job: &Job,
        why: &StopReason,
        commits: usize,
        tip: Sha,
    ) -> Result<Task, StepError> {
        let branch = job.story.branch.clone();
        let kept = SavedWork::Pushed { branch, commits, is_wip: false, left_out: Vec::new() };
        self.cancelled(job, why, (kept, Some(tip))).await
    }

    /// Reads a hand-over into quarantine, and puts it on the base as it is now where that was
    /// rewritten. What is against its commits stands in what comes back, beside what is to be said
    /// of the base.
    pub(super) async fn take_over(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &ExportReport,
    ) -> Result<(ImportedCommits, Option<String>), StepError> {
        let taken = self.import(job, run, base, handed).await?;
        if taken.handed_tip != handed.tip {
            return Err(refused(Detail::OtherCommits));
        }
        self.on_present_base(job, run, taken).await
    }

    /// Has the agent go on, unless nobody wants that any more.
    async fn back(&self, job: &Job, turn: RunReason) -> Result<Task, StepError> {
        if let Some((of_merged, why)) = self.merged_meanwhile(job).await? {
            return self.cancel_because(&of_merged, &why).await;
        }
        if self.store.stop_wanted(&job.task).await?.is_some() {
            return self.cancel(job).await;
        }
        let advance = Transition { turn: Some(turn), ..Transition::default() };
        Ok(self.store.advance(&job.task, TaskState::Queued, &advance).await?)
    }

    /// The reason for which the agent goes on, where a check failed and it has not had that back
    /// too often.
    pub(super) async fn back_to_agent(
        &self,
        job: &Job,
        checked: Option<&Checked>,
    ) -> Result<Option<RunReason>, StepError> {
        let Some(checked) = checked else { return Ok(None) };
        let runs = self.store.runs_of(&job.task).await?;
        Ok(checks::back_to_agent(checked, &runs, job.file.check_retries()))
    }

    async fn is_allowed(&self, job: &Job, held_back: &PendingApproval) -> Result<bool, StepError> {
        let asked = self.store.held_back(job.story.id).await?;
        Ok(asked.iter().any(|asked| {
            asked.held_back.covers(held_back) && asked.answer.as_ref().is_some_and(Answer::allows_push)
        }))
    }

    /// Ends a task whose work is pushed, with the pull request.
    async fn propose(
        &self,
        job: &Job,
        run: &Run,
        (taken, notes): (&ImportedCommits, &[String]),
        checked: Option<&Checked>,
    ) -> Result<Task, StepError> {
        let commits = taken.commits + self.unproposed(&job.story).await?;
        let (effect, words) = self.pull_request(job, run, commits, checked, &taken.notable).await?;
        let story = StoryUpdate {
            base: Some((taken.tip.clone(), Some(taken.tip.clone()))),
            root: self.root_after(job, run, taken).await?,
            handed_over: Some(true),
            ..StoryUpdate::default()
        };
        let words = self.words_with_joins(job, words, taken, checked).await?;
        let words = message::with_notes(&words, notes);
        // A merge of the base is not what the pull request is about.
        let is_merge = matches!(job.task.ask.about, TaskKind::Base(_)) && job.story.pull.is_some();
        let stays = is_merge || job.story.is_adopted() || job.story.stays_unfinished(&job.task.ask.about);
        let mut effects: Vec<NewEffect> = match stays {
            true => evidence(job, checked).into_iter().collect(),
            false => vec![effect],
        };
        effects.extend(self.review_answers(job, Some(&taken.tip)).await?);
        let advance = Transition { story, effects, words: Some(words), ..Transition::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    /// The commit of the base that work which is pushed builds on, where that is another than
    /// before.
    async fn root_after(
        &self,
        job: &Job,
        run: &Run,
        taken: &ImportedCommits,
    ) -> Result<Option<(String, Sha)>, StepError> {
        let story = self.job(job.task.clone()).await?.story;
        let root = match (&taken.onto, taken.merged_in) {
            (Some(onto), _) => Some(onto.clone()),
            (None, 0) => None,
            // The agent has merged the base, perhaps not its newest commit.
            (None, _) => match self.known_base(&story).await? {
                Some(base) => {
                    let (quarantine, tip) = (self.data.run(run.id).quarantine, taken.tip.clone());
                    blocking(move || git::merge_base_in(&quarantine, &tip, &base)).await??
                }
                None => None,
            },
        };
        Ok(root.map(|root| (story.base_branch, root)))
    }

    /// Ends a task that made no commit. What lies on the branch from work that was cut short is
    /// proposed all the same: the agent has looked at it and found it complete.
    async fn propose_or_say_nothing(
        &self,
        job: &Job,
        run: &Run,
        left: &UncommittedFiles,
    ) -> Result<Task, StepError> {
        // The suggestions that hob has pushed before this run are on the branch, and no agent's
        // commit beside them.
        let suggested = self.store.suggested(job.task.id).await?.filter(|suggested| suggested.is_pushed);
        let checked =
            match suggested.filter(|suggested| Some(&suggested.tip) == job.story.remote_head.as_ref()) {
                Some(suggested) => Box::pin(self.check_pushed(job, &suggested.tip)).await?,
                None => None,
            };
        if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
            return self.back(job, turn).await;
        }
        let (mut effects, words): (Vec<NewEffect>, String) = match self.unproposed(&job.story).await? {
            commits if commits > 0 && !job.story.stays_unfinished(&job.task.ask.about) => {
                let (effect, words) = self.pull_request(job, run, commits, checked.as_ref(), &[]).await?;
                (vec![effect], words)
            }
            _ => {
                let failing = message::still_failing(checked.as_ref());
                let words = message::with_notes(&self.nothing_to_change(job).await?, failing.as_slice());
                (evidence(job, checked.as_ref()).into_iter().collect(), words)
            }
        };
        effects.extend(self.review_answers(job, None).await?);
        let words = message::with_notes(&words, &left.named());
        let story = StoryUpdate { handed_over: Some(true), ..StoryUpdate::default() };
        let advance = Transition { story, effects, words: Some(words), ..Transition::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    /// How many commits were on the story branch before this task, without a pull request that
    /// shows them as done.
    async fn unproposed(&self, story: &Story) -> Result<usize, StepError> {
        let is_proposed = story.pull.is_some() && story.draft_pull().is_none();
        let (false, Some(head)) = (is_proposed, story.remote_head.clone()) else { return Ok(0) };
        let (mirror, base) = (self.data.mirror(&story.mirror), story.base_branch.clone());
        let counted = blocking(move || {
            let mirror = Mirror::ensure(&mirror)?;
            mirror.branch(&base)?.map_or(Ok(0), |base| mirror.ahead(&head, &base))
        });
        Ok(counted.await??)
    }

    /// The pull request as it should be after this task, and the words about the task.
    async fn pull_request(
        &self,
        job: &Job,
        run: &Run,
        commits: usize,
        checked: Option<&Checked>,
        notable: &[ReviewHint],
    ) -> Result<(NewEffect, String), StepError> {
        let parts = self.parts_to_come(job).await?;
        let proposed = Proposed { ends_well: true, unfinished: parts.as_deref(), checked, notable };
        let effect = self.proposal(job, run, &proposed).await?;
        let took = self.spent_on(&job.task).await?;
        let words = match checked.and_then(Checked::failing) {
            None if let TaskKind::Checks(checks) = &job.task.ask.about => {
                message::checks_fixed(&checks.names(), commits, took)
            }
            Some(failing) => message::pull_request_with_failing_check(commits, took, failing),
            None => message::pull_request_ready(commits, took),
        };
        Ok((NewEffect::new(effect), words))
    }

    /// The pull request as it should be.
    pub(super) async fn proposal(
        &self,
        job: &Job,
        run: &Run,
        proposed: &Proposed<'_>,
    ) -> Result<Effect, StepError> {
        let questions = self.store.questions(job.story.id).await?;
        let ends_well = proposed.ends_well.then_some(job.task.id);
        let standings = self.store.standings(job.story.id, ends_well).await?;
        let on_it = self.tasks_on_pull(job).await?;
        let mut told = summaries(job, &on_it);
        let later = told.split_off(told.len().min(1));
        let summary = told.first().map(|first| first.summary.as_str());
        let runs = on_it.last().map(|(_, runs)| runs.as_slice()).unwrap_or_default();
        let drops: Vec<String> =
            runs.iter().filter_map(|run| run.end.as_ref()).flat_map(|end| end.drops.clone()).collect();
        let (settings, template) = (self.settings_for(job, run.agent), self.pull_template(&job.story).await?);
        let text = PullRequestText {
            closes: &to_close(job.story.issue, &standings),
            // Later tasks may be about what others have said of it.
            asked_by: on_it.first().map_or(&job.task.ask.by, |(first, _)| &first.ask.by),
            summary,
            unfinished: proposed.unfinished,
            later: &later,
            agent: run.agent,
            spent: self.spent_on_story(&job.story).await?,
            questions: &questions,
            drops: &drops,
            checked: proposed.checked,
            notable: proposed.notable,
            model: settings.model.as_deref(),
            template: template.as_deref(),
            to_default_branch: self.goes_to_default_branch(&job.story).await?,
            follows: job.story.past_pull.map(|(past, state)| (past, state == PullState::Merged)),
        };
        let own_titles =
            on_it.iter().flat_map(|(_, runs)| runs).filter_map(|run| run.end.as_ref()?.title.as_deref());
        let is_failing = proposed.checked.and_then(Checked::failing).is_some();
        Ok(Effect::PullRequest {
            title: message::title_of_work(own_titles.rev(), summary, &job.story.title),
            body: message::pull_request_body(&text),
            short: message::short_body(&text),
            unfinished: proposed.unfinished.is_some(),
            draft: Some(proposed.unfinished.is_some() || is_failing || self.config.draft_of(&job.file)),
            reviewers: job.file.reviewers.clone(),
            asker: Some(job.task.ask.by.clone()),
            labels: self.config.pull_labels_of(&job.file).to_vec(),
        })
    }

    async fn goes_to_default_branch(&self, story: &Story) -> Result<bool, StepError> {
        let known = self.store.repository(&story.repo).await?;
        Ok(known.is_none_or(|known| known.default_branch == story.base_branch))
    }

    async fn nothing_to_change(&self, job: &Job) -> Result<String, StepError> {
        let summary = self.summary(&job.task).await?;
        let took = self.spent_on(&job.task).await?;
        Ok(match &job.task.ask.about {
            TaskKind::Checks(checks) => message::checks_left(&checks.names(), summary.as_deref(), took),
            _ => message::nothing_to_change(summary.as_deref(), took),
        })
    }

    /// The tasks whose work this pull request has, up to this one, each with its runs. What only
    /// brings the base in is none of them.
    async fn tasks_on_pull(&self, job: &Job) -> Result<Vec<(Task, Vec<Run>)>, StepError> {
        let since = job.story.pull_since;
        let mut found = Vec::new();
        for task in self.store.tasks_of(job.story.id).await? {
            let is_this = task.id == job.task.id;
            let runs = self.store.runs_of(&task).await?;
            let began = runs.first().and_then(|run| run.started_at);
            let is_past = since.zip(began).is_some_and(|(since, began)| began < since);
            if is_this || !(is_past || matches!(task.ask.about, TaskKind::Base(_))) {
                found.push((task, runs));
            }
            if is_this {
                break;
            }
        }
        Ok(found)
    }

    /// The agent's summary of a task.
    async fn summary(&self, task: &Task) -> Result<Option<String>, StepError> {
        Ok(summary_of(&self.store.runs_of(task).await?))
    }
}

/// A pull request, beside what the store knows of it.
pub(super) struct Proposed<'a> {
    /// Whether the task ends well with it.
    pub(super) ends_well: bool,
    /// What is missing in it and what comes next, where it is not finished.
    pub(super) unfinished: Option<&'a str>,
    /// What came of the repository's checks.
    pub(super) checked: Option<&'a Checked>,
    /// Paths in it to look at closely.
    pub(super) notable: &'a [ReviewHint],
}

/// What the agent has said of the work of tasks that are done, and of this one.
fn summaries(job: &Job, on_pull: &[(Task, Vec<Run>)]) -> Vec<FollowUp> {
    let told = on_pull.iter().filter(|(task, _)| {
        let is_merge = matches!(task.ask.about, TaskKind::Base(_));
        !is_merge && (task.id == job.task.id || task.state == TaskState::Done)
    });
    let later = |(task, runs): &(Task, Vec<Run>)| {
        let summary = summary_of(runs)?;
        Some(FollowUp { about: task.ask.about.clone(), by: task.ask.by.clone(), summary })
    };
    told.filter_map(later).collect()
}

/// The newest summary that is about the work, and not about committing it.
fn summary_of(runs: &[Run]) -> Option<String> {
    // Before that there were plans.
    let began = runs.iter().position(|run| matches!(run.turn, RunReason::CarryOut { .. })).unwrap_or(0);
    let runs = runs.get(began..).unwrap_or_default();
    let told = |run: &Run| match run.end.as_ref().map(|end| &end.outcome) {
        Some(Outcome::Completed { summary }) => summary.clone(),
        _ => None,
    };
    let about_work = runs.iter().rev().filter(|run| !matches!(run.turn, RunReason::CommitLeftovers { .. }));
    about_work.filter_map(told).next().or_else(|| runs.iter().rev().find_map(told))
}

/// Commits that were there before cannot be taken back.
pub(super) fn check_not_moved_back(handed: &ExportReport, base: &Sha) -> Result<(), StepError> {
    if handed.bundle.is_none() && handed.tip != *base {
        return Err(refused(Detail::MovedBack));
    }
    Ok(())
}
