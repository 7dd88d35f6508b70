//! What hob shows beside commits: one row for each head that a story's branch has had, with the
//! check run there, and up to which change of the story it was shown. Like the status comment this
//! is no queue: see `shown.rs`. What is shown is made in `deliver/check_run.rs`.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{Excluded, want};
use super::shown::{show, show_soon};
use super::tasks::hold;
use super::{NewEffect, Store, after, deliveries, now, rows};
use crate::ids::{CheckRunId, CommentId, InstallationId, Repo, RunId, Sha, StoryId};
use crate::story::Task;
use crate::story::checks::Checked;

/// A story whose check run does not say yet what it should.
#[derive(Debug, Clone)]
pub struct CheckToShow {
    /// The story that it belongs to.
    pub story: StoryId,
    /// Its status comment, once there is one.
    pub comment: Option<CommentId>,
    /// How often GitHub did not take the change.
    pub tries: u32,
    /// What is known of each head that the branch has had.
    pub heads: Vec<CheckedHead>,
    /// The key of its repository.
    pub repo_key: String,
    /// Whose pace it goes by.
    pub installation: Option<InstallationId>,
}

/// What hob shows beside one commit.
#[derive(Debug, Clone)]
pub struct CheckedHead {
    /// The commit.
    pub head: Sha,
    /// The check run there.
    pub check_run: Option<CheckRunId>,
    /// A digest of what it says.
    pub says: Option<String>,
    /// Whether it has ended.
    pub is_completed: bool,
    /// Whether there may be two.
    pub is_unclear: bool,
}

/// What was written beside a commit.
#[derive(Debug, Clone, Copy)]
pub struct ShownCheck<'a> {
    /// The commit.
    pub head: &'a Sha,
    /// The check run, where it is one.
    pub check_run: Option<CheckRunId>,
    /// A digest of what it says.
    pub says: &'a str,
    /// Whether it has ended.
    pub is_completed: bool,
}

impl Store {
    /// The stories whose check runs are to be changed now; `beside` and `elsewhere` as with status
    /// comments.
    pub async fn checks_to_show(
        &self,
        beside: &Excluded,
        elsewhere: bool,
    ) -> anyhow::Result<Vec<CheckToShow>> {
        let found = sqlx::query(
            "SELECT id, status_comment, check_tries, repo_key, installation FROM stories
             WHERE remote_head IS NOT NULL AND status_wanted <> check_shown AND check_not_before <= $1
               AND repo_key NOT IN (SELECT value FROM json_each($2))
               AND COALESCE(installation, 0) NOT IN (SELECT value FROM json_each($3))
             ORDER BY check_not_before LIMIT 100",
        )
        .bind(if elsewhere { 0 } else { now() })
        .bind(beside.repositories()?)
        .bind(beside.installations()?)
        .fetch_all(&self.reader)
        .await?;
        let mut to_show = Vec::new();
        for row in &found {
            let story = rows::parsed(row, "id")?;
            to_show.push(CheckToShow {
                story,
                comment: rows::number_option(row, "status_comment")?.map(CommentId),
                tries: u32::try_from(rows::number(row, "check_tries")?).unwrap_or(u32::MAX),
                heads: self.checked_heads(story).await?,
                repo_key: row.try_get("repo_key")?,
                installation: rows::number_option(row, "installation")?.map(InstallationId),
            });
        }
        Ok(to_show)
    }

    /// How many stories' check runs do not say yet what they should.
    pub async fn checks_behind(&self) -> anyhow::Result<i64> {
        let behind = sqlx::query_scalar(
            "SELECT COUNT(*) FROM stories WHERE remote_head IS NOT NULL AND status_wanted <> check_shown",
        );
        Ok(behind.fetch_one(&self.reader).await?)
    }

    /// What is shown beside the commits of a story.
    pub async fn checked_heads(&self, story: StoryId) -> anyhow::Result<Vec<CheckedHead>> {
        let found = sqlx::query("SELECT * FROM check_runs WHERE story = $1 ORDER BY rowid")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        let read = |row: &SqliteRow| {
            anyhow::Ok(CheckedHead {
                head: rows::parsed(row, "head")?,
                check_run: rows::number_option(row, "check_run")?.map(CheckRunId),
                says: row.try_get("says")?,
                is_completed: rows::is_true(row, "is_completed")?,
                is_unclear: rows::is_true(row, "is_unclear")?,
            })
        };
        found.iter().map(read).collect()
    }

    /// The check run on the head of a story's branch.
    pub async fn check_run_of(&self, story: StoryId) -> anyhow::Result<Option<CheckRunId>> {
        let row = sqlx::query(
            "SELECT c.check_run FROM check_runs AS c JOIN stories AS s ON s.id = c.story
             WHERE s.id = $1 AND c.head = s.remote_head",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map_or(Ok(None), |row| Ok(rows::number_option(row, "check_run")?.map(CheckRunId)))
    }

    /// The story that a check run of hob's tells about.
    pub async fn story_of_check_run(
        &self,
        repo: &Repo,
        check_run: CheckRunId,
    ) -> anyhow::Result<Option<StoryId>> {
        let row = sqlx::query(
            "SELECT s.id FROM check_runs AS c JOIN stories AS s ON s.id = c.story
             WHERE c.check_run = $1 AND s.repo_key = $2",
        )
        .bind(rows::to_i64(check_run.0)?)
        .bind(repo.key())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(|row| rows::parsed(row, "id")).transpose()
    }

    /// The newest story that hob has made a check run for on this commit.
    pub async fn story_of_checked(&self, repo: &Repo, head: &Sha) -> anyhow::Result<Option<StoryId>> {
        let row = sqlx::query(
            "SELECT s.id FROM check_runs AS c JOIN stories AS s ON s.id = c.story
             WHERE c.head = $1 AND s.repo_key = $2 AND c.check_run IS NOT NULL ORDER BY s.rowid DESC LIMIT 1",
        )
        .bind(head.as_str())
        .bind(repo.key())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(|row| rows::parsed(row, "id")).transpose()
    }

    /// Whether hob is about to make a check run on a commit, or has made it and not written down
    /// yet which it is.
    pub async fn is_check_run_under_way(&self, repo: &Repo, head: &Sha) -> anyhow::Result<bool> {
        let row = sqlx::query(
            "SELECT 1 FROM stories AS s LEFT JOIN check_runs AS c ON c.story = s.id AND c.head = s.remote_head
             WHERE s.repo_key = $1 AND s.remote_head = $2 AND c.check_run IS NULL
               AND s.status_wanted <> s.check_shown",
        )
        .bind(repo.key())
        .bind(head.as_str())
        .fetch_optional(&self.reader)
        .await?;
        Ok(row.is_some())
    }

    /// What came of the checks on a commit of a story, when they ran there last.
    pub async fn checked_on(&self, story: StoryId, head: &Sha) -> anyhow::Result<Option<Checked>> {
        let row = sqlx::query(
            "SELECT checked FROM checks WHERE tip = $2 AND task IN (SELECT id FROM tasks WHERE story = $1)
             ORDER BY at DESC LIMIT 1",
        )
        .bind(story.to_string())
        .bind(head.as_str())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(|row| rows::json(row, "checked")).transpose()
    }

    /// Records what was written beside a commit. Where that is a check run that was not known, the
    /// status comment is to link to it.
    pub async fn check_written(&self, story: StoryId, shown: ShownCheck<'_>) -> anyhow::Result<()> {
        let mut write = self.begin("check-written").await?;
        let check_run = shown.check_run.map(|id| rows::to_i64(id.0)).transpose()?;
        let known: Option<Option<i64>> =
            sqlx::query_scalar("SELECT check_run FROM check_runs WHERE story = $1 AND head = $2")
                .bind(story.to_string())
                .bind(shown.head.as_str())
                .fetch_optional(&mut *write)
                .await?;
        let is_news = check_run.is_some() && known.flatten() != check_run;
        sqlx::query(
            "INSERT INTO check_runs (story, head, check_run, says, is_completed) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (story, head) DO UPDATE
                 SET check_run = excluded.check_run, says = excluded.says, is_completed = excluded.is_completed",
        )
        .bind(story.to_string())
        .bind(shown.head.as_str())
        .bind(check_run)
        .bind(shown.says)
        .bind(i64::from(shown.is_completed))
        .execute(&mut *write)
        .await?;
        if is_news {
            show_soon(&mut write, story).await?;
        }
        write.commit().await
    }

    /// Records that a try to make a check run got no answer.
    pub async fn check_is_unclear(&self, story: StoryId, head: &Sha) -> anyhow::Result<()> {
        let mut write = self.begin("check-is-unclear").await?;
        sqlx::query(
            "INSERT INTO check_runs (story, head, is_unclear) VALUES ($1, $2, 1)
             ON CONFLICT (story, head) DO UPDATE SET is_unclear = 1",
        )
        .bind(story.to_string())
        .bind(head.as_str())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Records that there is one check run, and no other that is under way.
    pub async fn check_is_clear(&self, story: StoryId, head: &Sha) -> anyhow::Result<()> {
        let mut write = self.begin("check-is-clear").await?;
        sqlx::query("UPDATE check_runs SET is_unclear = 0 WHERE story = $1 AND head = $2")
            .bind(story.to_string())
            .bind(head.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Records that a check run is not there any more.
    pub async fn check_is_gone(&self, story: StoryId, head: &Sha) -> anyhow::Result<()> {
        let mut write = self.begin("check-is-gone").await?;
        sqlx::query("DELETE FROM check_runs WHERE story = $1 AND head = $2")
            .bind(story.to_string())
            .bind(head.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Records up to which change a story's check runs are shown; they are changed next after
    /// `pause` at the earliest, unless the story comes to stand elsewhere.
    pub async fn checks_shown(&self, story: StoryId, version: i64, pause: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("checks-shown").await?;
        sqlx::query(
            "UPDATE stories SET check_shown = $2, check_tries = 0,
                 check_not_before = CASE WHEN status_wanted <> $2 AND check_not_before = 0 THEN 0 ELSE $3 END
             WHERE id = $1",
        )
        .bind(story.to_string())
        .bind(version)
        .bind(after(pause))
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Puts the change of a story's check runs off; `was_tried` where GitHub did not take it.
    pub async fn checks_put_off(
        &self,
        story: StoryId,
        wait: Duration,
        was_tried: bool,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("checks-put-off").await?;
        sqlx::query("UPDATE stories SET check_tries = check_tries + $3, check_not_before = $2 WHERE id = $1")
            .bind(story.to_string())
            .bind(after(wait))
            .bind(i64::from(was_tried))
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Has a story's check run written once more with a delivery that asks for it; where its newest
    /// task is done, the repository's checks run again first. `again`: whether there are any.
    pub async fn want_check_again(&self, guid: &str, story: StoryId, again: bool) -> anyhow::Result<()> {
        let mut write = self.begin("want-check-again").await?;
        sqlx::query("UPDATE check_runs SET says = NULL WHERE story = $1")
            .bind(story.to_string())
            .execute(&mut *write)
            .await?;
        if again {
            sqlx::query(
                "UPDATE tasks SET check_again = $2, not_before = 0 WHERE story = $1 AND state = 'done'
                   AND seq = (SELECT MAX(newest.seq) FROM tasks AS newest WHERE newest.story = $1)",
            )
            .bind(story.to_string())
            .bind(now())
            .execute(&mut *write)
            .await?;
        }
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "the check run is shown again").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Whether the checks of a task that is done are to run again.
    pub async fn is_to_check_again(&self, task: &Task) -> anyhow::Result<bool> {
        let wanted = sqlx::query("SELECT 1 FROM tasks WHERE id = $1 AND check_again IS NOT NULL")
            .bind(task.id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(wanted.is_some())
    }

    /// Whether the checks of a story run again, or are about to.
    pub async fn is_checking_again(&self, story: StoryId) -> anyhow::Result<bool> {
        let wanted = sqlx::query(
            "SELECT 1 FROM tasks WHERE story = $1 AND check_again IS NOT NULL
               AND seq = (SELECT MAX(newest.seq) FROM tasks AS newest WHERE newest.story = $1)",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        Ok(wanted.is_some())
    }

    /// Writes down what came of the checks that ran again, in place of what came of them before,
    /// and wants effects with it; nothing: they could not run.
    pub async fn checked_again(
        &self,
        task: &Task,
        ran: Option<(RunId, &Checked)>,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("checked-again").await?;
        hold(&mut write, task).await?;
        if let Some((run, checked)) = ran {
            sqlx::query(
                "INSERT INTO checks (task, tip, run, checked, at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (task, tip) DO UPDATE SET checked = excluded.checked, at = excluded.at",
            )
            .bind(task.id.to_string())
            .bind(checked.tip.as_str())
            .bind(run.to_string())
            .bind(rows::to_json(checked)?)
            .bind(now())
            .execute(&mut *write)
            .await?;
        }
        sqlx::query("UPDATE tasks SET check_again = NULL WHERE id = $1")
            .bind(task.id.to_string())
            .execute(&mut *write)
            .await?;
        want(&mut write, task.story, effects).await?;
        show(&mut write, task.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }
}
