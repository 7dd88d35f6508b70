//! Publishing: what the hand-over brought is checked in quarantine, pushed from hob's own repository,
//! and becomes the pull request. May be repeated from the top: a push that has happened is recognised
//! by the commit that the branch is at.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use anyhow::Context as _;

use super::hand_over::{HandedOver, refused};
use super::settle::comment;
use super::start::blocking;
use super::{Hitch, Job, Worker};
use crate::agent::FailureClass;
use crate::git::{self, HandOver, ImportError, ImportLimits, Imported, Mirror, Push, PushError};
use crate::ids::Sha;
use crate::message::{self, PullRequestText};
use crate::paths;
use crate::store::{Advance, Effect, NewEffect, StoryChange};
use crate::story::{self, AfterHandOver, Findings, Outcome, Run, Task, TaskState, Turn};

impl Worker {
    /// Takes the agent's work over and brings it to the git host.
    pub(super) async fn publish(&self, job: &Job, run: &Run) -> Result<Task, Hitch> {
        let base = job.story.base.clone().context("a story that publishes has a base")?;
        let handed = self.hand_over(job, run, &base).await?;
        if handed.bundle.is_none() && handed.tip != base {
            return Err(refused("The branch was moved back behind the commit that the work started from."));
        }
        let findings =
            Findings { uncommitted: handed.uncommitted.clone(), has_commits: handed.bundle.is_some() };
        let task = match story::after_hand_over(&run.turn, findings) {
            AfterHandOver::Push => self.push(job, run, &base, &handed).await?,
            AfterHandOver::NothingToChange => self.say_nothing_to_change(job, run).await?,
            AfterHandOver::AskToCommit(files) => {
                tracing::info!(files = files.len(), "the agent is asked to commit what it left");
                let turn = Some(Turn::CommitLeftovers { files });
                self.store
                    .advance(&job.task, TaskState::Queued, &Advance { turn, ..Advance::default() })
                    .await?
            }
            AfterHandOver::LeftUncommitted(files) => {
                self.fail(job, FailureClass::LeftUncommitted, "", &files).await?
            }
        };
        let run_paths = self.data.run(run.id);
        blocking(move || {
            paths::remove_tree(&run_paths.quarantine)?;
            std::fs::remove_file(&run_paths.bundle).context("removing the hand-over's file")
        })
        .await??;
        Ok(task)
    }

    async fn push(&self, job: &Job, run: &Run, base: &Sha, handed: &HandedOver) -> Result<Task, Hitch> {
        let imported = self.import(job, run, base, handed).await?;
        if imported.tip != handed.tip {
            return Err(refused("The bundle holds another commit than the workspace named."));
        }
        let remote = self.remote(&job.story).await?;
        let (branch, expected) = (job.story.branch.clone(), job.story.remote_head.clone());
        let (quarantine, tip) = (self.data.run(run.id).quarantine, imported.tip.clone());
        let pushed = blocking(move || {
            git::push(&Push {
                quarantine: &quarantine,
                remote: &remote,
                branch: &branch,
                tip: &tip,
                expected: expected.as_ref(),
            })
        })
        .await?;
        match pushed {
            Ok(outcome) => tracing::info!(?outcome, branch = job.story.branch, tip = %imported.tip, "pushed"),
            Err(error) => return Err(push_hitch(error)),
        }
        let effects = vec![self.pull_request(job, run, imported.commits.len()).await?];
        let story = StoryChange {
            base: Some((imported.tip.clone(), Some(imported.tip.clone()))),
            ..StoryChange::default()
        };
        let advance = Advance { story, effects, ..Advance::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    async fn import(&self, job: &Job, run: &Run, base: &Sha, handed: &HandedOver) -> Result<Imported, Hitch> {
        let (path, start) = handed.bundle.clone().context("only commits are imported")?;
        let mirror = self.data.mirror(&job.story.repo);
        let quarantine = self.data.run(run.id).quarantine;
        let base = base.clone();
        let limits =
            ImportLimits { max_bytes: self.config.container.hand_over_limit.0, ..ImportLimits::default() };
        blocking(move || {
            let mirror = Mirror::ensure(&mirror).map_err(ImportError::Other)?;
            let mut bundle = open_at(&path, start).map_err(ImportError::Other)?;
            let hand_over = HandOver { quarantine: &quarantine, base: &base, limits };
            git::import(&mirror, &hand_over, &mut bundle)
        })
        .await?
        .map_err(import_hitch)
    }

    /// The pull request as it should be after this task.
    async fn pull_request(&self, job: &Job, run: &Run, commits: usize) -> Result<NewEffect, Hitch> {
        let questions = self.store.questions(job.story.id).await?;
        let summary = self.summary(&job.task).await?;
        let ends = self.store.runs_of(&job.task).await?.into_iter().filter_map(|run| run.end);
        let drops: Vec<String> = ends.flat_map(|end| end.drops).collect();
        let body = message::pull_request_body(&PullRequestText {
            issue: job.story.issue,
            asked_by: &job.task.ask.by,
            summary: summary.as_deref(),
            agent: run.agent,
            spent: self.spent_on_story(&job.story).await?,
            questions: &questions,
            drops: &drops,
        });
        Ok(NewEffect::new(Effect::PullRequest {
            title: message::pull_request_title(&job.story.title),
            body,
            announcement: message::pull_request_ready(commits, self.spent_on(&job.task).await?),
        }))
    }

    async fn say_nothing_to_change(&self, job: &Job, _run: &Run) -> Result<Task, Hitch> {
        let summary = self.summary(&job.task).await?;
        let body = message::nothing_to_change(summary.as_deref(), self.spent_on(&job.task).await?);
        let advance = Advance { effects: vec![comment(&job.story, body, None)], ..Advance::default() };
        Ok(self.store.advance(&job.task, TaskState::Done, &advance).await?)
    }

    /// The agent's summary of a task: the newest that is about the work, and not about committing it.
    async fn summary(&self, task: &Task) -> Result<Option<String>, Hitch> {
        let runs = self.store.runs_of(task).await?;
        let told = |run: &Run| match run.end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Completed { summary }) => summary.clone(),
            _ => None,
        };
        let about_work = runs.iter().rev().filter(|run| !matches!(run.turn, Turn::CommitLeftovers { .. }));
        Ok(about_work.filter_map(told).next().or_else(|| runs.iter().rev().find_map(told)))
    }
}

fn open_at(path: &Path, start: u64) -> anyhow::Result<File> {
    let mut file = File::open(path).context("opening the bundle")?;
    file.seek(SeekFrom::Start(start)).context("finding the bundle")?;
    Ok(file)
}

fn import_hitch(error: ImportError) -> Hitch {
    match error {
        ImportError::Other(error) => Hitch::Later(error),
        refusal => refused(format!("The commits were not accepted: {refusal}.")),
    }
}

fn push_hitch(error: PushError) -> Hitch {
    match error {
        PushError::Refused(text) => Hitch::Fail { class: FailureClass::PushRefused, detail: text },
        PushError::Moved { .. } => Hitch::Fail { class: FailureClass::BranchMoved, detail: String::new() },
        PushError::Unauthorized(_) => Hitch::Fail {
            class: FailureClass::PushRefused,
            detail: "The git host does not accept hob's token for this repository.".to_owned(),
        },
        other => Hitch::Later(other.into()),
    }
}
