//! Tasks about failed checks: opened by a delivery that tells of one, or joined where one waits for
//! more of the same.

use std::time::Duration;

use anyhow::Context as _;

use super::shown::show;
use super::tasks::{Queued, queue};
use super::write::Write;
use super::{Store, deliveries, rows};
use crate::ids::{Repo, Sha, StoryId};
use crate::story::fix::FailedChecks;
use crate::story::plan::TaskMode;
use crate::story::{RunReason, Story, Task, TaskKind, TaskRequest, TaskState};

/// A task about failed checks that is to be opened.
#[derive(Debug, Clone)]
pub struct NewFix {
    /// The story.
    pub story: StoryId,
    /// The commit on which a check has failed.
    pub head: Sha,
    /// How long it waits for more of them.
    pub wait: Duration,
    /// The text of the repository's settings at this moment.
    pub settings: Option<String>,
}

/// What became of a delivery that tells of a failed check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fix {
    /// It has opened a task.
    Opened,
    /// A task about that commit waits, and looks at all of them when it is taken up.
    Joined,
    /// The story has moved on. The delivery is not settled.
    Past,
}

/// A task about the checks on a commit that has not begun.
const WAITS: &str = "SELECT id FROM tasks AS t WHERE story = $1 AND about = 'checks' AND state = 'queued' AND stop_why IS NULL
     AND json_extract(ask, '$.about.head') = $2 AND NOT EXISTS (SELECT 1 FROM runs WHERE task = t.id)";

impl Store {
    /// The story whose proposed work hob pushed last as this commit, as long as its failed checks
    /// are hob's to fix.
    pub async fn story_to_fix(&self, repo: &Repo, head: &Sha) -> anyhow::Result<Option<Story>> {
        let row = sqlx::query(
            "SELECT * FROM stories WHERE repo_key = $1 AND pushed_head = $2 AND ended IS NULL AND pull_state IS NULL
               AND fixes_told_at IS NULL",
        )
        .bind(repo.key())
        .bind(head.as_str())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::story).transpose()
    }

    /// The commits of a repository whose failed checks are hob's to fix, of stories that something
    /// has happened on since.
    pub async fn heads_to_fix(&self, repo: &Repo, since: jiff::Timestamp) -> anyhow::Result<Vec<Sha>> {
        let found = sqlx::query(
            "SELECT pushed_head FROM stories WHERE repo_key = $1 AND pushed_head IS NOT NULL AND ended IS NULL
               AND pull_state IS NULL AND fixes_told_at IS NULL AND updated_at >= $2 ORDER BY updated_at DESC",
        )
        .bind(repo.key())
        .bind(since.as_millisecond())
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(|row| rows::parsed(row, "pushed_head")).collect()
    }

    /// Settles a delivery that tells of a failed check: with a task that follows up what was asked
    /// for last.
    pub async fn open_fix(&self, guid: &str, new: &NewFix) -> anyhow::Result<Fix> {
        let mut write = self.begin("open-fix").await?;
        let before = sqlx::query("SELECT id FROM tasks WHERE delivery = $1")
            .bind(guid)
            .fetch_optional(&mut *write)
            .await?;
        let waits = sqlx::query(WAITS)
            .bind(new.story.to_string())
            .bind(new.head.as_str())
            .fetch_optional(&mut *write)
            .await?;
        if before.or(waits).is_some() {
            deliveries::settle(&mut write, guid, "done", "a task about failed checks is already queued")
                .await?;
            write.commit().await?;
            return Ok(Fix::Joined);
        }
        if !insert(&mut write, guid, new).await? {
            write.undo().await?;
            return Ok(Fix::Past);
        }
        show(&mut write, new.story).await?;
        deliveries::settle(&mut write, guid, "done", "opened a task about failed checks").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(Fix::Opened)
    }

    /// Notes what was found to fail when a task about checks was taken up.
    pub async fn note_failing(&self, task: &Task, failed: FailedChecks) -> anyhow::Result<Task> {
        let about = TaskKind::Checks(failed);
        self.rewrite_ask("note-failing", task, TaskRequest { about, ..task.ask.clone() }).await
    }

    /// How often an agent has worked on failed checks of a story's present pull request without
    /// anybody's asking.
    pub async fn fixes_made(&self, story: StoryId) -> anyhow::Result<u32> {
        let made: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM tasks AS t JOIN stories AS s ON s.id = t.story WHERE t.story = $1 AND t.about = 'checks'
               AND COALESCE(json_extract(t.ask, '$.about.by_command'), 0) = 0
               AND EXISTS (SELECT 1 FROM runs WHERE task = t.id AND (s.pull_since IS NULL OR started_at >= s.pull_since))",
        )
        .bind(story.to_string())
        .fetch_one(&self.reader)
        .await?;
        Ok(u32::try_from(made).unwrap_or(u32::MAX))
    }
}

/// Writes the task, if the commit is still the one that hob pushed last.
async fn insert(write: &mut Write, guid: &str, new: &NewFix) -> anyhow::Result<bool> {
    let last = sqlx::query(
        "SELECT t.* FROM tasks AS t JOIN stories AS s ON s.id = t.story
         WHERE s.id = $1 AND s.pushed_head = $2 AND s.ended IS NULL AND s.pull_state IS NULL ORDER BY t.seq DESC LIMIT 1",
    )
    .bind(new.story.to_string())
    .bind(new.head.as_str())
    .fetch_optional(&mut **write)
    .await?;
    let Some(last) = last.as_ref().map(rows::task).transpose()? else { return Ok(false) };
    // Somebody has stopped the work, or has to see to it.
    if matches!(last.state, TaskState::Cancelled | TaskState::Failed) {
        return Ok(false);
    }
    let about = TaskKind::Checks(FailedChecks { head: Some(new.head.clone()), ..FailedChecks::default() });
    let mut ask = TaskRequest { text: None, about, ..last.ask };
    ask.choice.base = None;
    let queued = Queued {
        story: new.story,
        delivery: guid,
        ask: &ask,
        mode: TaskMode::Work,
        turn: &RunReason::Begin,
        settings: new.settings.as_deref(),
        wait: new.wait,
        is_quiet: false,
    };
    queue(write, &queued).await?.context("queueing a second task for a delivery")?;
    Ok(true)
}
