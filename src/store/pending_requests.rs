//! Wishes: work that was asked for on an issue that others block, with what was asked for frozen,
//! until the last of them is closed. A story has one at most. It becomes a task, or ends without
//! one, in one write; when GitHub is asked about it again is kept here, and what comes of that is
//! decided in `intake/blocked.rs`.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::effects::{NewEffect, want};
use super::stories::{ensure_story, insert_task, note_heard, note_stop};
use super::write::Write;
use super::{Heard, NewTask, Stop, Store, StoryAsk, after, deliveries, now, rows};
use crate::ids::{IssueNumber, Repo, StoryId};
use crate::story::Choice;
use crate::story::plan::TaskMode;

/// What somebody wants done as soon as it can begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingRequest {
    /// The login of the person who asked.
    pub by: String,
    /// Their account's number, where it is known.
    pub by_id: Option<u64>,
    /// When they asked, by GitHub's clock.
    pub at: Timestamp,
    /// Whether a label of hob's asked.
    pub by_label: bool,
    /// The issue's title at that moment.
    pub title: String,
    /// The issue's text at that moment.
    pub body: String,
    /// What they said beyond the command.
    pub text: Option<String>,
    /// What they chose.
    pub choice: Choice,
    /// Whether it is to change anything.
    pub mode: TaskMode,
    /// The repository's default branch.
    pub default_branch: String,
}

/// A wish that is to be looked at.
#[derive(Debug, Clone)]
pub struct DueRequest {
    /// The story that it belongs to.
    pub story: StoryId,
    /// The delivery that asked.
    pub guid: String,
    /// What was asked for.
    pub wish: PendingRequest,
    /// How often a look has not succeeded.
    pub tries: u32,
    /// The key of its repository.
    pub lane: String,
}

/// An issue that blocks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedBy {
    /// Where it is.
    pub repo: Repo,
    /// Its number there.
    pub number: IssueNumber,
    /// The sub-issue that waits for it, where the issue itself does not.
    pub of: Option<IssueNumber>,
}

impl BlockedBy {
    fn key(&self) -> String {
        format!("{}#{}", self.repo.key(), self.number)
    }
}

impl Store {
    /// Settles a delivery that asked for work on an issue that is blocked: the wish is kept, in the
    /// place of an earlier one, and looked at in so much time unless a blocker ends before.
    pub async fn keep_wish(
        &self,
        guid: &str,
        on: &StoryAsk,
        (wish, blockers): (&PendingRequest, &[BlockedBy]),
        look_in: Duration,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("keep-wish").await?;
        let story = ensure_story(&mut write, on).await?;
        let heard = if wish.by_label { Heard::Label(wish.at) } else { Heard::Words };
        note_heard(&mut write, story, &heard).await?;
        sqlx::query(
            "INSERT INTO wishes (story, delivery, wish, blockers, look_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (story) DO UPDATE SET delivery = excluded.delivery, wish = excluded.wish,
                 blockers = excluded.blockers, look_at = excluded.look_at, tries = 0",
        )
        .bind(story.to_string())
        .bind(guid)
        .bind(rows::to_json(wish)?)
        .bind(keys(blockers)?)
        .bind(after(look_in))
        .execute(&mut *write)
        .await?;
        want(&mut write, story, effects).await?;
        deliveries::settle(&mut write, guid, "done", "waits for blocking issues").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// The wish of a story.
    pub async fn wish_of(&self, story: StoryId) -> anyhow::Result<Option<PendingRequest>> {
        let row = sqlx::query("SELECT wish FROM wishes WHERE story = $1")
            .bind(story.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(|row| rows::json(row, "wish")).transpose()
    }

    /// How many wishes wait.
    pub async fn wishes(&self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM wishes").fetch_one(&self.reader).await?)
    }

    /// The wish that is to be looked at first, if one is due, beside those of repositories that are
    /// busy.
    pub async fn due_wish(&self, busy: &[String]) -> anyhow::Result<Option<DueRequest>> {
        let row = sqlx::query(
            "SELECT w.*, s.repo_key FROM wishes AS w CROSS JOIN stories AS s
             WHERE w.look_at <= $1 AND s.id = w.story AND s.repo_key NOT IN (SELECT value FROM json_each($2))
             ORDER BY w.look_at, w.story LIMIT 1",
        )
        .bind(now())
        .bind(rows::to_json(&busy)?)
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(DueRequest {
            story: rows::parsed(&row, "story")?,
            guid: row.try_get("delivery")?,
            wish: rows::json(&row, "wish")?,
            tries: u32::try_from(rows::number(&row, "tries")?).unwrap_or(u32::MAX),
            lane: row.try_get("repo_key")?,
        }))
    }

    /// An issue has ended: every wish that it blocks is looked at now. GitHub is asked then, so
    /// that too often does no harm.
    pub async fn look_at_blocked_by(&self, ended: &BlockedBy) -> anyhow::Result<()> {
        let mut write = self.begin("blocker-ended").await?;
        let due = sqlx::query(
            "UPDATE wishes SET look_at = 0 WHERE EXISTS (SELECT 1 FROM json_each(blockers) WHERE value = $1)",
        )
        .bind(ended.key())
        .execute(&mut *write)
        .await?;
        // None is the usual answer, and no write.
        if due.rows_affected() > 0 { write.commit().await } else { write.undo().await }
    }

    /// A wish is still blocked, by these.
    pub async fn wish_waits(
        &self,
        story: StoryId,
        blockers: &[BlockedBy],
        look_in: Duration,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("wish-waits").await?;
        sqlx::query("UPDATE wishes SET blockers = $2, look_at = $3, tries = 0 WHERE story = $1")
            .bind(story.to_string())
            .bind(keys(blockers)?)
            .bind(after(look_in))
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// A look at a wish did not succeed.
    pub async fn put_wish_off(&self, story: StoryId, wait: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("wish-put-off").await?;
        sqlx::query("UPDATE wishes SET look_at = $2, tries = tries + 1 WHERE story = $1")
            .bind(story.to_string())
            .bind(after(wait))
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// A wish becomes the task that was asked for.
    pub async fn grant_wish(&self, due: &DueRequest, new: &NewTask) -> anyhow::Result<()> {
        let mut write = self.begin("grant-wish").await?;
        // With the task the wish is gone.
        insert_task(&mut write, &due.guid, new).await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Takes a delivery as the word that a wish is not to be waited for any more.
    pub async fn call_wish_off(
        &self,
        guid: &str,
        story: StoryId,
        stop: &Stop,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("call-wish-off").await?;
        forget(&mut write, story).await?;
        note_stop(&mut write, story, stop).await?;
        want(&mut write, story, effects).await?;
        deliveries::settle(&mut write, guid, "done", "no longer waits").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// A wish ends without a task.
    pub async fn end_wish(&self, story: StoryId, effects: &[NewEffect]) -> anyhow::Result<()> {
        let mut write = self.begin("end-wish").await?;
        forget(&mut write, story).await?;
        want(&mut write, story, effects).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }
}

/// A story's wish is fulfilled, or nobody has it any more. Tells whether there was one.
pub(super) async fn forget(write: &mut Write, story: StoryId) -> anyhow::Result<bool> {
    let gone = sqlx::query("DELETE FROM wishes WHERE story = $1")
        .bind(story.to_string())
        .execute(&mut **write)
        .await?;
    Ok(gone.rows_affected() > 0)
}

fn keys(blockers: &[BlockedBy]) -> anyhow::Result<String> {
    rows::to_json(&blockers.iter().map(BlockedBy::key).collect::<Vec<_>>())
}
