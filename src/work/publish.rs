//! Publishing: what the hand-over brought is read into quarantine, held against the policy, pushed from
//! hob's own repository, and becomes the pull request. May be repeated from the top: a push that has
//! happened is recognised by the commit that the branch is at.

use anyhow::Context as _;

use super::hand_over::{HandedOver, refused};
use super::import_child::Taken;
use super::settle::ask;
use super::start::blocking;
use super::theirs::Brought;
use super::{Hitch, Job, Worker};
use crate::agent::FailureClass;
use crate::fail_point::around;
use crate::git::Mirror;
use crate::ids::Sha;
use crate::message::{self, Later, Notable, Objection, PullRequestText};
use crate::paths;
use crate::store::{Advance, Effect, NewEffect, StoryChange};
use crate::story::checks::{self, Checked};
use crate::story::pull::PullState;
use crate::story::sub_issue::to_close;
use crate::story::{
    self, About, AfterHandOver, Answer, Findings, HeldBack, Outcome, Run, Story, Task, TaskState, Turn,
};

impl Worker {
    /// Takes the agent's work over and brings it to the git host.
    pub(super) async fn publish(&self, job: &Job, run: &Run) -> Result<Task, Hitch> {
        let published = self.hand_over_and_push(job, run).await;
        if matches!(published, Ok(_) | Err(Hitch::Fail { .. })) {
            // Also of what is refused: a secret may be in it.
            self.clear_hand_over(run).await?;
        }
        published
    }

    async fn hand_over_and_push(&self, job: &Job, run: &Run) -> Result<Task, Hitch> {
        let base = job.story.base.clone().context("a story that publishes has a base")?;
        let handed = self.hand_over(job, run, &base, None).await?;
        check_not_moved_back(&handed, &base)?;
        let findings =
            Findings { uncommitted: handed.uncommitted.clone(), has_commits: handed.bundle.is_some() };
        match story::after_hand_over(&run.turn, findings) {
            AfterHandOver::Push => self.push_if_allowed(job, run, &base, &handed).await,
            AfterHandOver::NothingToChange => self.propose_or_say_nothing(job, run).await,
            AfterHandOver::AskToCommit(files) => {
                tracing::info!(files = files.len(), "the agent is asked to commit what it left");
                let turn = Some(Turn::CommitLeftovers { files });
                let advance = Advance { turn, ..Advance::default() };
                Ok(self.store.advance(&job.task, TaskState::Queued, &advance).await?)
            }
            AfterHandOver::LeftUncommitted(files) => {
                self.fail(job, FailureClass::LeftUncommitted, "", &files).await
            }
        }
    }

    /// Removes what a hand-over leaves with its run.
    pub(super) async fn clear_hand_over(&self, run: &Run) -> Result<(), Hitch> {
        let run_paths = self.data.run(run.id);
        blocking(move || {
            around("disk", "checks-removal", || paths::remove_tree(&run_paths.checks))?;
            around("disk", "quarantine-removal", || paths::remove_tree(&run_paths.quarantine))?;
            paths::remove_file(&run_paths.bundle)
        })
        .await??;
        Ok(())
    }

    /// Pushes, unless the policy has something against the commits. Protected paths are a person's to
    /// allow, for exactly these commits; everything else is refused.
    async fn push_if_allowed(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &HandedOver,
    ) -> Result<Task, Hitch> {
        let taken = self.take_over(job, run, base, handed).await?;
        if !taken.objections.iter().all(Objection::can_be_allowed) {
            return Err(refused(message::objections(job.story.language, &taken.objections)));
        }
        let protected = taken.objections.iter().filter_map(|objection| match objection {
            Objection::Protected { path } => Some(path.clone()),
            _ => None,
        });
        let checked = self.check(job, run, &taken).await?;
        if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
            return self.back(job, turn).await;
        }
        let held_back = HeldBack { tip: taken.handed_tip.clone(), paths: protected.collect() };
        if !held_back.paths.is_empty() && !self.is_allowed(job, &held_back).await? {
            if self.store.stop_wanted(&job.task).await?.is_some() {
                return self.cancel(job).await;
            }
            tracing::info!(paths = held_back.paths.len(), "a person is asked about protected paths");
            let question = message::may_this_be_pushed(job.story.language, &held_back);
            let advance = ask(&job.story, question, Some(held_back));
            return Ok(self.store.advance(&job.task, TaskState::Blocked, &advance).await?);
        }
        match self.bring(job, run, taken, checked).await? {
            Brought::There(taken, checked) => self.propose(job, run, &taken, checked.as_ref()).await,
            Brought::Back(turn) => self.back(job, turn).await,
        }
    }

    /// Reads a hand-over into quarantine. What is against its commits stands in what comes back.
    pub(super) async fn take_over(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        handed: &HandedOver,
    ) -> Result<Taken, Hitch> {
        let taken = self.import(job, run, base, handed).await?;
        if taken.handed_tip != handed.tip {
            return Err(refused("The bundle holds another commit than the workspace named."));
        }
        Ok(taken)
    }

    /// Has the agent go on, unless nobody wants that any more.
    async fn back(&self, job: &Job, turn: Turn) -> Result<Task, Hitch> {
        if self.store.stop_wanted(&job.task).await?.is_some() {
            return self.cancel(job).await;
        }
        let advance = Advance { turn: Some(turn), ..Advance::default() };
        Ok(self.store.advance(&job.task, TaskState::Queued, &advance).await?)
    }

    /// The reason for which the agent goes on, where a check failed and it has not had that back too often.
    pub(super) async fn back_to_agent(
        &self,
        job: &Job,
        checked: Option<&Checked>,
    ) -> Result<Option<Turn>, Hitch> {
        let Some(checked) = checked else { return Ok(None) };
        let runs = self.store.runs_of(&job.task).await?;
        Ok(checks::back_to_agent(checked, &runs, job.file.check_retries()))
    }

    async fn is_allowed(&self, job: &Job, held_back: &HeldBack) -> Result<bool, Hitch> {
        let asked = self.store.held_back(job.story.id).await?;
        Ok(asked.iter().any(|asked| {
            asked.held_back.covers(&held_back.tip, &held_back.paths)
                && asked.answer.as_ref().is_some_and(Answer::allows_push)
        }))
    }

    /// Ends a task whose work is pushed, with the pull request.
    async fn propose(
        &self,
        job: &Job,
        run: &Run,
        taken: &Taken,
        checked: Option<&Checked>,
    ) -> Result<Task, Hitch> {
        let commits = taken.commits + self.unproposed(&job.story).await?;
        let (effect, words) = self.pull_request(job, run, commits, checked, &taken.notable).await?;
        let story = StoryChange {
            base: Some((taken.tip.clone(), Some(taken.tip.clone()))),
            handed_over: Some(true),
            pushed: Some(taken.tip.clone()),
            ..StoryChange::default()
        };
        let words = self.words_with_joins(job, words, taken).await?;
        // A merge of the base is not what the pull request is about.
        let is_merge = matches!(job.task.ask.about, About::Base(_)) && job.story.pull.is_some();
        let mut effects = if is_merge { Vec::new() } else { vec![effect] };
        effects.extend(self.review_answers(job, Some(&taken.tip)).await?);
        let advance = Advance { story, effects, words: Some(words), ..Advance::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    /// Ends a task that made no commit. What lies on the branch from work that was cut short is proposed all the same:
    /// the agent has looked at it and found it complete.
    async fn propose_or_say_nothing(&self, job: &Job, run: &Run) -> Result<Task, Hitch> {
        let (mut effects, words) = match self.unproposed(&job.story).await? {
            0 => (Vec::new(), self.nothing_to_change(job).await?),
            commits => {
                let (effect, words) = self.pull_request(job, run, commits, None, &[]).await?;
                (vec![effect], words)
            }
        };
        effects.extend(self.review_answers(job, None).await?);
        let story = StoryChange { handed_over: Some(true), ..StoryChange::default() };
        let advance = Advance { story, effects, words: Some(words), ..Advance::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    /// How many commits were on the story branch before this task, without a pull request that shows them.
    async fn unproposed(&self, story: &Story) -> Result<usize, Hitch> {
        let (None, Some(head)) = (story.pull, story.remote_head.clone()) else { return Ok(0) };
        let (mirror, base) = (self.data.mirror(&story.repo), story.base_branch.clone());
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
        notable: &[Notable],
    ) -> Result<(NewEffect, String), Hitch> {
        let questions = self.store.questions(job.story.id).await?;
        let standings = self.store.standings(job.story.id, Some(job.task.id)).await?;
        let mut told = self.summaries(job).await?;
        let later = told.split_off(told.len().min(1));
        let ends = self.store.runs_of(&job.task).await?.into_iter().filter_map(|run| run.end);
        let drops: Vec<String> = ends.flat_map(|end| end.drops).collect();
        let body = message::pull_request_body(&PullRequestText {
            language: job.story.language,
            closes: &to_close(job.story.issue, &standings),
            asked_by: &job.task.ask.by,
            summary: told.first().map(|first| first.summary.as_str()),
            later: &later,
            agent: run.agent,
            spent: self.spent_on_story(&job.story).await?,
            questions: &questions,
            drops: &drops,
            checked,
            notable,
            model: self.settings_for(job, run.agent).model.as_deref(),
            template: self.pull_template(&job.story).await?.as_deref(),
            to_default_branch: self.goes_to_default_branch(&job.story).await?,
            follows: job.story.past_pull.map(|(past, state)| (past, state == PullState::Merged)),
        });
        let title = message::pull_request_title(job.story.language, &job.story.title);
        let took = self.spent_on(&job.task).await?;
        let failing = checked.and_then(Checked::failing);
        let words = match failing {
            None if let About::Checks(checks) = &job.task.ask.about => {
                message::checks_mended(job.story.language, &checks.names(), commits, took)
            }
            Some(failing) => {
                message::pull_request_with_failing_check(job.story.language, commits, took, failing)
            }
            None => message::pull_request_ready(job.story.language, commits, took),
        };
        let draft = Some(failing.is_some() || self.config.draft_of(&job.file));
        let reviewers = job.file.reviewers.clone();
        let asker = Some(job.task.ask.by.clone());
        let labels = self.config.pull_labels_of(&job.file).to_vec();
        let effect = Effect::PullRequest { title, body, draft, reviewers, asker, labels };
        Ok((NewEffect::new(effect), words))
    }

    async fn goes_to_default_branch(&self, story: &Story) -> Result<bool, Hitch> {
        let known = self.store.repository(&story.repo).await?;
        Ok(known.is_none_or(|known| known.default_branch == story.base_branch))
    }

    async fn nothing_to_change(&self, job: &Job) -> Result<String, Hitch> {
        let summary = self.summary(&job.task).await?;
        let took = self.spent_on(&job.task).await?;
        Ok(match &job.task.ask.about {
            About::Checks(checks) => {
                message::checks_left(job.story.language, &checks.names(), summary.as_deref(), took)
            }
            _ => message::nothing_to_change(job.story.language, summary.as_deref(), took),
        })
    }

    /// What the agent has said of the work that this pull request has, this task's last.
    async fn summaries(&self, job: &Job) -> Result<Vec<Later>, Hitch> {
        let since = job.story.pull_moved_at.filter(|_| job.story.past_pull.is_some());
        let mut told = Vec::new();
        for task in self.store.tasks_of(job.story.id).await? {
            let is_this = task.id == job.task.id;
            if matches!(task.ask.about, About::Base(_)) || !(is_this || task.state == TaskState::Done) {
                continue;
            }
            let runs = self.store.runs_of(&task).await?;
            let began = runs.first().and_then(|run| run.started_at);
            let is_past = since.zip(began).is_some_and(|(since, began)| began < since);
            if let Some(summary) = self.summary(&task).await?.filter(|_| is_this || !is_past) {
                told.push(Later { about: task.ask.about, by: task.ask.by, summary });
            }
            if is_this {
                break;
            }
        }
        Ok(told)
    }

    /// The agent's summary of a task: the newest that is about the work, and not about committing it.
    async fn summary(&self, task: &Task) -> Result<Option<String>, Hitch> {
        let runs = self.store.runs_of(task).await?;
        // Before that there were plans.
        let began = runs.iter().position(|run| matches!(run.turn, Turn::CarryOut { .. })).unwrap_or(0);
        let runs = runs.get(began..).unwrap_or_default();
        let told = |run: &Run| match run.end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Completed { summary }) => summary.clone(),
            _ => None,
        };
        let about_work = runs.iter().rev().filter(|run| !matches!(run.turn, Turn::CommitLeftovers { .. }));
        Ok(about_work.filter_map(told).next().or_else(|| runs.iter().rev().find_map(told)))
    }
}

/// Commits that were there before cannot be taken back.
pub(super) fn check_not_moved_back(handed: &HandedOver, base: &Sha) -> Result<(), Hitch> {
    if handed.bundle.is_none() && handed.tip != *base {
        return Err(refused("The branch was moved back behind the commit that the work started from."));
    }
    Ok(())
}
