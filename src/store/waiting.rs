//! Stories that wait for an answer, and the end of their patience. Each change is made only while
//! the story still waits with the same question, so that an answer that comes at the same moment
//! counts.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{NewEffect, want};
use super::shown::show;
use super::{Store, cards, now, rows};
use crate::ids::{IssueNumber, QuestionId, StoryId, TaskId};

/// A story that waits for an answer.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The story that waits.
    pub story: StoryId,
    /// The issue or pull request that the question is asked on.
    pub asked_on: IssueNumber,
    /// Its branch.
    pub branch: String,
    /// The task that waits.
    pub task: TaskId,
    /// The question.
    pub question: QuestionId,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When people were told that the waiting has an end.
    pub warned_at: Option<Timestamp>,
}

impl Store {
    /// Every story that waits for an answer, of the longest first.
    pub async fn waiting_stories(&self) -> anyhow::Result<Vec<Waiting>> {
        let found = sqlx::query(
            "SELECT s.id, COALESCE(q.asked_on, s.issue) AS asked_on, s.branch, s.warned_at, t.id AS task, q.id AS question, q.asked_at
             FROM tasks AS t CROSS JOIN stories AS s CROSS JOIN questions AS q
             WHERE t.state = 'blocked' AND s.id = t.story AND q.task = t.id AND q.answer IS NULL
               AND q.seq = (SELECT MAX(last.seq) FROM questions AS last WHERE last.task = t.id)
             ORDER BY q.seq",
        )
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(waiting).collect()
    }

    /// Tells people that the waiting has an end, once. False: the story waits no more, or they were
    /// told.
    pub async fn warn_waiting(&self, waiting: &Waiting, effect: &NewEffect) -> anyhow::Result<bool> {
        let mut write = self.begin("warn-waiting").await?;
        let warned = sqlx::query(
            "UPDATE stories SET warned_at = $2 WHERE id = $1 AND warned_at IS NULL
               AND EXISTS (SELECT 1 FROM tasks AS t JOIN questions AS q ON q.task = t.id
                           WHERE t.id = $3 AND t.state = 'blocked' AND q.id = $4 AND q.answer IS NULL)",
        )
        .bind(waiting.story.to_string())
        .bind(now())
        .bind(waiting.task.to_string())
        .bind(waiting.question.to_string())
        .execute(&mut *write)
        .await?;
        if warned.rows_affected() == 0 {
            write.undo().await?;
            return Ok(false);
        }
        want(&mut write, waiting.story, std::slice::from_ref(effect)).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Has a task that waited for too long ended; the worker that takes it next keeps its work.
    /// False: it waits no more.
    pub async fn give_up_waiting(&self, waiting: &Waiting) -> anyhow::Result<bool> {
        let mut write = self.begin("give-up-waiting").await?;
        let given_up = sqlx::query(
            "UPDATE tasks SET stop_why = 'waited', not_before = 0, updated_at = $3, state = 'queued'
             WHERE id = $1 AND state = 'blocked'
               AND EXISTS (SELECT 1 FROM questions WHERE id = $2 AND answer IS NULL)",
        )
        .bind(waiting.task.to_string())
        .bind(waiting.question.to_string())
        .bind(now())
        .execute(&mut *write)
        .await?;
        if given_up.rows_affected() > 0 {
            cards::close_cards(&mut write, waiting.story).await?;
        }
        show(&mut write, waiting.story).await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(given_up.rows_affected() > 0)
    }
}

fn waiting(row: &SqliteRow) -> anyhow::Result<Waiting> {
    Ok(Waiting {
        story: rows::parsed(row, "id")?,
        asked_on: IssueNumber(rows::number(row, "asked_on")?),
        branch: row.try_get("branch")?,
        task: rows::parsed(row, "task")?,
        question: rows::parsed(row, "question")?,
        asked_at: rows::time(row, "asked_at")?,
        warned_at: rows::time_option(row, "warned_at")?,
    })
}
