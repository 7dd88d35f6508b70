//! What housekeeping asks of the store and writes there: which stories and runs may lose their
//! files, and that the work of a story is to be pushed before its workspace goes. What is removed
//! from disk, and when, is decided in `sweep/`.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{NewEffect, want};
use super::tasks::hold;
use super::write::Write;
use super::{Store, after, now, rows};
use crate::ids::{RunId, Sha, StoryId};
use crate::story::Task;

/// A story, as far as its folders are concerned.
#[derive(Debug, Clone)]
pub struct StoredStory {
    /// The story's id.
    pub id: StoryId,
    /// The mirror that its workspace borrows from.
    pub mirror: String,
    /// When something happened on it last.
    pub touched: Timestamp,
    /// Whether it waits or works: a task is not over, or a worker is not done with one.
    pub is_busy: bool,
    /// Whether all its tasks are over.
    pub is_over: bool,
    /// Whether its workspace may hold work that was not pushed. A task that is done without a run
    /// says nothing about what an earlier one has left.
    pub has_unpushed_work: bool,
    /// How far saving that work is.
    pub saving: Option<SaveState>,
    /// Whether its home holds a session.
    pub has_session: bool,
}

/// How far saving the work of a story that is over has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveState {
    /// A worker is to do it.
    Wanted {
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be pushed.
    Refused {
        /// When it was first tried.
        since: Timestamp,
    },
}

/// A run, as far as its record is concerned.
#[derive(Debug, Clone, Copy)]
pub struct StoredRun {
    /// The run's id.
    pub id: RunId,
    /// Its place in the order in which runs were made.
    pub seq: i64,
    /// When it ended, or began where it did not end.
    pub at: Timestamp,
    /// Whether it is over, so that nothing of it is needed but its record.
    pub is_over: bool,
    /// Whether its story waits or works, or its work is about to be saved.
    pub is_busy: bool,
}

/// A story that no worker can take up while this lives, since it holds the store's one write.
/// Nothing slow may happen meanwhile: a rename, no more.
pub struct IdleStory {
    write: Write,
    story: StoryId,
}

const IS_OPEN: &str = "state IN ('queued', 'running', 'publishing', 'blocked')";

/// Whether an agent has worked in the workspace of the story `s`, and what it did was not handed
/// over.
const HAS_LEFT_WORK: &str = "(s.handed_over = 0 AND EXISTS (
    SELECT 1 FROM runs AS r JOIN tasks AS worked ON worked.id = r.task
    WHERE worked.story = s.id AND r.started_at IS NOT NULL))";

impl Store {
    /// A story, if there is one of that id.
    pub async fn kept_story(&self, id: StoryId) -> anyhow::Result<Option<StoredStory>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(kept_stories_where("s.id = $2")))
            .bind(now())
            .bind(id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(kept_story).transpose()
    }

    /// The stories whose homes are to hold a session.
    pub async fn stories_with_session(&self) -> anyhow::Result<Vec<StoryId>> {
        let found = sqlx::query("SELECT id FROM stories WHERE session_id IS NOT NULL ORDER BY id")
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(|row| rows::parsed(row, "id")).collect()
    }

    /// A run, if there is one of that id.
    pub async fn kept_run(&self, id: RunId) -> anyhow::Result<Option<StoredRun>> {
        let query = format!(
            "SELECT r.id, r.seq, COALESCE(r.ended_at, r.created_at) AS at,
                 (r.ended IS NOT NULL OR t.state IN ('done', 'failed', 'cancelled')) AS is_over,
                 EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story
                         AND (other.{IS_OPEN} OR other.lease_until > $1 OR other.save_work = 'wanted')) AS is_busy
             FROM runs AS r JOIN tasks AS t ON t.id = r.task WHERE r.id = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(now())
            .bind(id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        let read = |row: &SqliteRow| {
            Ok(StoredRun {
                id: rows::parsed(row, "id")?,
                seq: row.try_get("seq")?,
                at: rows::time(row, "at")?,
                is_over: rows::is_true(row, "is_over")?,
                is_busy: rows::is_true(row, "is_busy")?,
            })
        };
        row.as_ref().map(read).transpose()
    }

    /// Holds a story, if it neither waits nor works and nothing has happened on it since it was
    /// looked at.
    pub async fn hold_idle(&self, seen: &StoredStory) -> anyhow::Result<Option<IdleStory>> {
        let mut write = self.begin("hold-idle").await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(kept_stories_where("s.id = $2")))
            .bind(now())
            .bind(seen.id.to_string())
            .fetch_optional(&mut *write)
            .await?;
        let is_idle = match row.as_ref().map(kept_story).transpose()? {
            Some(story) => !story.is_busy && story.touched == seen.touched,
            None => false,
        };
        if is_idle {
            return Ok(Some(IdleStory { write, story: seen.id }));
        }
        write.undo().await?;
        Ok(None)
    }

    /// Has a worker push what a story that is over has left in its workspace. Does nothing where
    /// that is wanted or was refused already, or where there is new work.
    pub async fn want_work_saved(&self, story: StoryId) -> anyhow::Result<bool> {
        let mut write = self.begin("want-work-saved").await?;
        let marked = sqlx::query(
            "UPDATE tasks SET save_work = 'wanted', save_work_at = $2, not_before = 0
             WHERE story = $1 AND state IN ('done', 'failed', 'cancelled') AND save_work IS NULL
               AND seq = (SELECT MAX(newest.seq) FROM tasks AS newest WHERE newest.story = $1)",
        )
        .bind(story.to_string())
        .bind(now())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        Ok(marked.rows_affected() > 0)
    }

    /// Whether the work of a task that is over is to be saved.
    pub async fn is_work_to_be_saved(&self, task: &Task) -> anyhow::Result<bool> {
        let wanted = sqlx::query("SELECT 1 FROM tasks WHERE id = $1 AND save_work = 'wanted'")
            .bind(task.id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(wanted.is_some())
    }

    /// Records that the work of a task that is over was pushed, up to a commit, or that there was
    /// none. This is nothing that happens on the story: its age goes on.
    pub async fn work_saved(
        &self,
        task: &Task,
        tip: Option<&Sha>,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("work-saved").await?;
        hold(&mut write, task).await?;
        sqlx::query(
            "UPDATE stories SET handed_over = 1, base = COALESCE($2, base), remote_head = COALESCE($2, remote_head)
             WHERE id = $1",
        )
        .bind(task.story.to_string())
        .bind(tip.map(Sha::as_str))
        .execute(&mut *write)
        .await?;
        sqlx::query("UPDATE tasks SET save_work = NULL, save_work_at = NULL WHERE id = $1")
            .bind(task.id.to_string())
            .execute(&mut *write)
            .await?;
        want(&mut write, task.story, effects).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Records that the work of a task that is over cannot be pushed.
    pub async fn work_not_saved(&self, task: &Task) -> anyhow::Result<()> {
        let mut write = self.begin("work-not-saved").await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET save_work = 'refused' WHERE id = $1 AND save_work = 'wanted'")
            .bind(task.id.to_string())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Puts the saving of a task's work off: something outside was not ready.
    pub async fn save_work_later(&self, task: &Task, wait: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("save-work-later").await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET not_before = $2 WHERE id = $1")
            .bind(task.id.to_string())
            .bind(after(wait))
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

/// Has a worker push what a story has left in its workspace, now that its pull request is merged:
/// work that begins again begins at what was merged, and not there. Nothing where the story is
/// under work, which is stopped and pushed then.
pub(super) async fn want_left_work_saved(write: &mut Write, story: StoryId) -> anyhow::Result<()> {
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "UPDATE tasks SET save_work = 'wanted', save_work_at = $2, not_before = 0
         WHERE story = $1 AND NOT {IS_OPEN} AND save_work IS NULL
           AND seq = (SELECT MAX(newest.seq) FROM tasks AS newest WHERE newest.story = $1)
           AND EXISTS (SELECT 1 FROM stories AS s WHERE s.id = $1 AND {HAS_LEFT_WORK})"
    )))
    .bind(story.to_string())
    .bind(now())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Gives up what a story may have left in its workspace, since work begins again without it. Tells
/// whether there may be some; what a worker is just pushing is not given up.
pub(super) async fn give_up_left_work(write: &mut Write, story: StoryId) -> anyhow::Result<bool> {
    let given_up = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT 1 FROM stories AS s WHERE s.id = $1 AND {HAS_LEFT_WORK}
           AND NOT EXISTS (SELECT 1 FROM tasks WHERE story = $1 AND save_work = 'wanted' AND lease_until > $2)"
    )))
    .bind(story.to_string())
    .bind(now())
    .fetch_optional(&mut **write)
    .await?;
    sqlx::query("UPDATE stories SET handed_over = 1, base = NULL WHERE id = $1")
        .bind(story.to_string())
        .execute(&mut **write)
        .await?;
    Ok(given_up.is_some())
}

impl IdleStory {
    /// Forgets the story's session, since its home is gone, and lets the story go.
    pub async fn forget_session(mut self) -> anyhow::Result<()> {
        sqlx::query("UPDATE stories SET session_agent = NULL, session_id = NULL WHERE id = $1")
            .bind(self.story.to_string())
            .execute(&mut *self.write)
            .await?;
        self.write.commit().await
    }

    /// Lets the story go.
    pub async fn let_go(self) -> anyhow::Result<()> {
        self.write.undo().await
    }
}

fn kept_stories_where(condition: &str) -> String {
    format!(
        "SELECT s.id, s.mirror, s.updated_at, newest.save_work, newest.save_work_at,
             ((s.handed_over = 0 AND newest.state IN ('failed', 'cancelled')) OR {HAS_LEFT_WORK}) AS has_unpushed_work,
             (s.session_id IS NOT NULL) AS has_session,
             (SELECT MAX(each.updated_at) FROM tasks AS each WHERE each.story = s.id) AS task_updated_at,
             EXISTS (SELECT 1 FROM tasks AS each WHERE each.story = s.id
                     AND (each.{IS_OPEN} OR each.lease_until > $1)) AS is_busy,
             NOT EXISTS (SELECT 1 FROM tasks AS each WHERE each.story = s.id AND each.{IS_OPEN}) AS is_over
         FROM stories AS s LEFT JOIN tasks AS newest ON newest.story = s.id
             AND newest.seq = (SELECT MAX(last.seq) FROM tasks AS last WHERE last.story = s.id)
         WHERE {condition}"
    )
}

fn kept_story(row: &SqliteRow) -> anyhow::Result<StoredStory> {
    let touched = rows::time(row, "updated_at")?;
    let since = rows::time_option(row, "save_work_at")?.unwrap_or(touched);
    let saving: Option<String> = row.try_get("save_work")?;
    Ok(StoredStory {
        id: rows::parsed(row, "id")?,
        mirror: row.try_get("mirror")?,
        touched: rows::time_option(row, "task_updated_at")?.map_or(touched, |task| task.max(touched)),
        is_busy: rows::is_true(row, "is_busy")?,
        is_over: rows::is_true(row, "is_over")?,
        has_unpushed_work: rows::is_true(row, "has_unpushed_work")?,
        saving: match saving.as_deref() {
            None => None,
            Some("wanted") => Some(SaveState::Wanted { since }),
            Some("refused") => Some(SaveState::Refused { since }),
            Some(other) => anyhow::bail!("column save_work of the store: unknown value {other}"),
        },
        has_session: rows::is_true(row, "has_session")?,
    })
}
