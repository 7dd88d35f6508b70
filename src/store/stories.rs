//! Stories, and how a delivery changes one: it opens a task, or stops one. It is settled in the
//! same transaction, so that a delivery leads to its task exactly once. Answers to questions are in
//! `cards.rs`.

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::Row as _;

use super::effects::{Effect, NewEffect, want};
use super::shown::show;
use super::tasks::{Queued, queue};
use super::write::Write;
use super::{Store, cards, commands, deliveries, now, pending_requests, pulls, rows, sub_issues};
use crate::event::Ending;
use crate::ids::{InstallationId, IssueNumber, PullNumber, QuestionId, Repo, RepositoryId, StoryId, TaskId};
use crate::story::plan::TaskMode;
use crate::story::{AskedQuestion, RunReason, StopReason, Story, TaskRequest};

/// What is known of a story when somebody asks for work on it. The parts that may have changed
/// since (title, installation, base branch) are brought up to date; where an open pull request goes
/// is what GitHub says of it.
#[derive(Debug, Clone)]
pub struct StoryAsk {
    /// Where the issue is.
    pub repo: Repo,
    /// GitHub's id of that repository, where it is known.
    pub github_id: Option<RepositoryId>,
    /// The issue.
    pub issue: IssueNumber,
    /// Its title.
    pub title: String,
    /// The App's installation.
    pub installation: Option<InstallationId>,
    /// The branch that the pull request goes to.
    pub base_branch: String,
    /// The story branch, for a story without a task yet.
    pub branch: String,
    /// The pull request of somebody else's that it is on, if it is on one.
    pub theirs: Option<PullNumber>,
}

/// An open pull request that hob did not open, in whose repository its branch is too.
#[derive(Debug, Clone)]
pub struct AdoptedPull {
    /// Its number.
    pub number: PullNumber,
    /// Its branch.
    pub head: String,
    /// The branch that it goes to.
    pub base: String,
}

/// A task to be opened.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The story it is on.
    pub on: StoryAsk,
    /// What is asked for. A base branch that was chosen becomes the story's, unless it has a pull
    /// request.
    pub ask: TaskRequest,
    /// Whether it is to change anything.
    pub mode: TaskMode,
    /// Why its first run is made: to begin, or to go on.
    pub turn: RunReason,
    /// When the label was put on that asks for it, where one does.
    pub labeled_at: Option<Timestamp>,
    /// The text of the repository's settings at that moment, for the worker to go by.
    pub settings: Option<String>,
    /// What hob says at once: that it has seen it.
    pub effects: Vec<NewEffect>,
}

/// The wish to have a story's work stopped.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Why, and who wants it.
    pub reason: StopReason,
    /// When they said so, by GitHub's clock. What was asked for before starts nothing any more.
    pub at: Timestamp,
}

/// What counts as heard with a delivery that starts and stops nothing.
#[derive(Debug, Clone)]
pub enum Heard {
    /// Nothing that matters later.
    Words,
    /// The wish to stop, where there was nothing to stop.
    Stop(Stop),
    /// The label that was put on at this time, by GitHub's clock.
    Label(Timestamp),
}

impl Store {
    /// Opens a task for a delivery, and its story if this is the first.
    pub async fn open_task(&self, guid: &str, new: &NewTask) -> anyhow::Result<TaskId> {
        let mut transaction = self.begin("open-task").await?;
        // A delivery that was forgotten, since it is old, and comes again all the same.
        let before = sqlx::query("SELECT id FROM tasks WHERE delivery = $1")
            .bind(guid)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(row) = before {
            deliveries::settle(&mut transaction, guid, "done", "its task was already opened").await?;
            transaction.commit().await?;
            return rows::parsed(&row, "id");
        }
        let task = insert_task(&mut transaction, guid, new).await?;
        deliveries::settle(&mut transaction, guid, "done", "opened a task").await?;
        transaction.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(task)
    }

    /// Says something on an issue that needs no task: a help, for example, or that there is nothing
    /// to `stop`.
    pub async fn only_say(
        &self,
        guid: &str,
        on: &StoryAsk,
        heard: &Heard,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin("only-say").await?;
        let story = ensure_story(&mut transaction, on).await?;
        note_heard(&mut transaction, story, heard).await?;
        want(&mut transaction, story, effects).await?;
        deliveries::settle(&mut transaction, guid, "done", "sent a reply").await?;
        transaction.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Takes a delivery as the wish to stop a story's work: every open task is marked, and the
    /// worker that has it, or takes it next, ends it and says so. A task that waited for an answer
    /// waits no more. One that is publishing is let go on: its work is done, and only the
    /// sub-issues after it are called off. Returns false, and leaves the delivery unsettled, where
    /// there is nothing to stop.
    pub async fn stop(
        &self,
        guid: &str,
        story: StoryId,
        stop: &Stop,
        seen: Option<&NewEffect>,
    ) -> anyhow::Result<bool> {
        let mut transaction = self.begin("stop").await?;
        let has_stopped = mark_stopped(&mut transaction, story, stop).await?;
        match &stop.reason {
            StopReason::Ended { ending, .. } => end(&mut transaction, story, *ending).await?,
            StopReason::Asked { .. } | StopReason::Unlabeled { .. } if !has_stopped => {
                transaction.undo().await?;
                return Ok(false);
            }
            _ => {}
        }
        note_stop(&mut transaction, story, stop).await?;
        want(&mut transaction, story, seen.map(std::slice::from_ref).unwrap_or_default()).await?;
        show(&mut transaction, story).await?;
        cards::close_cards(&mut transaction, story).await?;
        deliveries::settle(&mut transaction, guid, "done", "stops the work").await?;
        transaction.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Settles a delivery that tells of a label on a story that is under work: the label counts as
    /// taken up.
    pub async fn remember_label(&self, guid: &str, story: StoryId, at: Timestamp) -> anyhow::Result<()> {
        let mut write = self.begin("remember-label").await?;
        note_label(&mut write, story, at).await?;
        deliveries::settle(&mut write, guid, "done", "recorded a label").await?;
        write.commit().await
    }

    /// One story.
    pub async fn story(&self, id: StoryId) -> anyhow::Result<Story> {
        let row = sqlx::query("SELECT * FROM stories WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.reader)
            .await?
            .with_context(|| format!("no story {id}"))?;
        rows::story(&row)
    }

    /// The story of an issue, or of a pull request of hob's: people write on both.
    pub async fn story_at(&self, repo: &Repo, number: IssueNumber) -> anyhow::Result<Option<Story>> {
        let row = sqlx::query(
            "SELECT * FROM stories WHERE repo_key = $1 AND (issue = $2 OR pull = $2 OR past_pull = $2)",
        )
        .bind(repo.key())
        .bind(rows::to_i64(number.0)?)
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::story).transpose()
    }

    /// Every story, oldest first.
    pub async fn stories(&self) -> anyhow::Result<Vec<Story>> {
        let found =
            sqlx::query("SELECT * FROM stories ORDER BY created_at, id").fetch_all(&self.reader).await?;
        found.iter().map(rows::story).collect()
    }

    /// The question that a story waits for, if it waits.
    pub async fn open_question(&self, story: StoryId) -> anyhow::Result<Option<AskedQuestion>> {
        let row = sqlx::query(
            "SELECT q.* FROM questions AS q JOIN tasks AS t ON t.id = q.task
             WHERE q.story = $1 AND q.answer IS NULL AND t.state = 'blocked' ORDER BY q.seq DESC LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::question).transpose()
    }

    /// Whether GitHub did not take the comment that asks a question, so that nobody can have read
    /// it.
    pub async fn is_question_parked(&self, story: StoryId, question: QuestionId) -> anyhow::Result<bool> {
        let parked = sqlx::query("SELECT effect FROM effects WHERE story = $1 AND state = 'parked'")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        for row in &parked {
            match rows::json(row, "effect")? {
                Effect::Card { question: id } if id == question => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Every question of a story but those about caps, oldest first.
    pub async fn questions(&self, story: StoryId) -> anyhow::Result<Vec<AskedQuestion>> {
        let found = sqlx::query("SELECT * FROM questions WHERE story = $1 AND kind <> 'budget' ORDER BY seq")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(rows::question).collect()
    }

    /// The pull request of a story, where it is known.
    pub async fn pull_of(&self, story: StoryId) -> anyhow::Result<Option<PullNumber>> {
        Ok(self.story(story).await?.pull)
    }
}

/// Marks every task of a story that can be stopped, and calls off what was to come after them;
/// tells whether there was any.
pub(super) async fn mark_stopped(write: &mut Write, story: StoryId, stop: &Stop) -> anyhow::Result<bool> {
    let stop_after_current = sub_issues::call_off(write, story).await?;
    let had_wish = pending_requests::forget(write, story).await?;
    let marked = sqlx::query(
        "UPDATE tasks SET stop_by = $2, stop_why = $4, not_before = 0, updated_at = $3,
             state = CASE WHEN state = 'blocked' THEN 'queued' ELSE state END
         WHERE story = $1 AND state IN ('queued', 'running', 'blocked')",
    )
    .bind(story.to_string())
    .bind(stop.reason.by())
    .bind(now())
    .bind(stop.reason.as_str())
    .execute(&mut **write)
    .await?;
    Ok(stop_after_current || had_wish || marked.rows_affected() > 0)
}

/// Writes a new task, and its story if this is the first.
pub(super) async fn insert_task(write: &mut Write, guid: &str, new: &NewTask) -> anyhow::Result<TaskId> {
    let story = ensure_story(write, &new.on).await?;
    pulls::start_over(write, story, &new.on.branch).await?;
    let queued = Queued::asked(story, guid, new);
    let task = queue(write, &queued).await?.context("queueing a second task for a delivery")?;
    if new.turn == RunReason::PublishAgain {
        take_runs_over(write, story, task).await?;
    }
    if let Some(base) = &new.ask.choice.base {
        commands::choose_base(write, story, base).await?;
    }
    if let Some(at) = new.labeled_at {
        note_label(write, story, at).await?;
    }
    sqlx::query("UPDATE stories SET ended = NULL WHERE id = $1")
        .bind(story.to_string())
        .execute(&mut **write)
        .await?;
    want(write, story, &new.effects).await?;
    show(write, story).await?;
    pending_requests::forget(write, story).await?;
    Ok(task)
}

/// Hands the runs of the task that a new one publishes again to that one: they are its attempt,
/// with all that was said and spent.
async fn take_runs_over(write: &mut Write, story: StoryId, task: TaskId) -> anyhow::Result<()> {
    sqlx::query(
        "UPDATE runs SET task = $2 WHERE task = (
             SELECT id FROM tasks WHERE story = $1 AND id <> $2 AND NOT (about IS 'base' AND state = 'done')
             ORDER BY seq DESC LIMIT 1)",
    )
    .bind(story.to_string())
    .bind(task.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Ends a story. On an issue that is gone nothing is wanted any more.
pub(super) async fn end(write: &mut Write, story: StoryId, ending: Ending) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET ended = $2, updated_at = $3 WHERE id = $1")
        .bind(story.to_string())
        .bind(ending.as_str())
        .bind(now())
        .execute(&mut **write)
        .await?;
    if ending.is_gone() {
        let note = format!("the issue was {}", ending.as_str());
        for given_up in [
            "UPDATE effects SET state = 'done', done_at = $2, error = $3 WHERE story = $1 AND state = 'wanted'",
            "UPDATE effects SET state = 'done', done_at = $2, error = $3 WHERE story = $1 AND state = 'parked'",
        ] {
            sqlx::query(given_up)
                .bind(story.to_string())
                .bind(now())
                .bind(&note)
                .execute(&mut **write)
                .await?;
        }
    }
    Ok(())
}

pub(super) async fn note_label(write: &mut Write, story: StoryId, at: Timestamp) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET labeled_at = $2 WHERE id = $1 AND COALESCE(labeled_at, 0) < $2")
        .bind(story.to_string())
        .bind(at.as_millisecond())
        .execute(&mut **write)
        .await?;
    Ok(())
}

pub(super) async fn note_stop(write: &mut Write, story: StoryId, stop: &Stop) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET stopped_at = $2 WHERE id = $1 AND COALESCE(stopped_at, 0) < $2")
        .bind(story.to_string())
        .bind(stop.at.as_millisecond())
        .execute(&mut **write)
        .await?;
    Ok(())
}

pub(super) async fn note_heard(write: &mut Write, story: StoryId, heard: &Heard) -> anyhow::Result<()> {
    match heard {
        Heard::Words => Ok(()),
        Heard::Stop(stop) => note_stop(write, story, stop).await,
        Heard::Label(at) => note_label(write, story, *at).await,
    }
}

pub(super) async fn ensure_story(transaction: &mut Write, on: &StoryAsk) -> anyhow::Result<StoryId> {
    let github_id = on.github_id.map(|id| rows::to_i64(id.0)).transpose()?;
    // It may have got another name since the delivery was looked at.
    let now_called = sqlx::query("SELECT repo, repo_key FROM repositories WHERE github_id = $1")
        .bind(github_id)
        .fetch_optional(&mut **transaction)
        .await?;
    let (repo, key) = match &now_called {
        Some(row) => (row.try_get("repo")?, row.try_get("repo_key")?),
        None => (on.repo.to_string(), on.repo.key()),
    };
    let row = sqlx::query(
        "INSERT INTO stories (id, repo, repo_key, issue, title, installation, base_branch, branch, created_at, updated_at, pull,
             github_id, mirror)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10,
             $11, COALESCE((SELECT mirror FROM repositories WHERE repo_key = $3), $3 || '.git'))
         ON CONFLICT (repo_key, issue) DO UPDATE SET repo = excluded.repo, title = excluded.title,
             installation = excluded.installation, updated_at = excluded.updated_at, pull = COALESCE(stories.pull, excluded.pull),
             base_branch = CASE WHEN stories.base_chosen = 1
                                  OR (stories.pull IS NOT NULL AND stories.pull_state IS NULL) THEN stories.base_branch ELSE excluded.base_branch END,
             branch = CASE WHEN EXISTS (SELECT 1 FROM tasks WHERE story = stories.id) THEN branch ELSE excluded.branch END
         RETURNING id",
    )
    .bind(StoryId::new().to_string())
    .bind(repo)
    .bind(key)
    .bind(rows::to_i64(on.issue.0)?)
    .bind(&on.title)
    .bind(on.installation.map(|i| rows::to_i64(i.0)).transpose()?)
    .bind(&on.base_branch)
    .bind(&on.branch)
    .bind(now())
    .bind(on.theirs.map(|pull| rows::to_i64(pull.0)).transpose()?)
    .bind(github_id)
    .fetch_one(&mut **transaction)
    .await?;
    rows::parsed(&row, "id")
}
