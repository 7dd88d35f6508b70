//! What commands ask of the store beyond opening, stopping and answering: where a story stands, whether it waits with a
//! plan, and the branch that somebody has chosen for its pull request.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::write::Write;
use super::{Store, rows};
use crate::agent::FailureClass;
use crate::ids::{QuestionId, StoryId};
use crate::story::Task;
use crate::story::plan::Mode;

/// Where a story stands, by its task that is not over or, where all are, by its newest.
#[derive(Debug, Clone)]
pub struct Standing {
    /// That task.
    pub task: Task,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// When it is tried again at the earliest, where it waits for that.
    pub not_before: Option<Timestamp>,
    /// How many tasks are before it in the queue, where it waits there.
    pub ahead: u64,
    /// How many more tasks of the story wait for this one.
    pub behind: u64,
    /// Why it failed, if it did.
    pub failure: Option<FailureClass>,
}

impl Store {
    /// Where a story stands; `None` where no task was ever opened.
    pub async fn standing(&self, story: StoryId) -> anyhow::Result<Option<Standing>> {
        let row = sqlx::query(
            "SELECT t.*,
                 (SELECT COUNT(*) FROM tasks AS o WHERE o.state = 'queued' AND o.seq < t.seq) AS ahead,
                 (SELECT COUNT(*) FROM tasks AS o WHERE o.story = t.story AND o.state = 'queued' AND o.id <> t.id) AS behind
             FROM tasks AS t WHERE t.story = $1
             ORDER BY CASE WHEN t.state IN ('running', 'publishing', 'blocked') THEN 0
                           WHEN t.state = 'queued' THEN 1 ELSE 2 END,
                 CASE WHEN t.state = 'queued' THEN t.seq ELSE -t.seq END
             LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(standing).transpose()
    }

    /// Whether a question is what a plan was put as.
    pub async fn is_plan(&self, question: QuestionId) -> anyhow::Result<bool> {
        let mut reader = self.reader.acquire().await?;
        Ok(plan_at(&mut reader, question).await?.1)
    }
}

fn standing(row: &SqliteRow) -> anyhow::Result<Standing> {
    let task = rows::task(row)?;
    let failure: Option<String> = row.try_get("failure")?;
    Ok(Standing {
        since: rows::time(row, "updated_at")?,
        not_before: rows::time_option(row, "not_before")?.filter(|at| *at > crate::clock::now()),
        ahead: rows::number(row, "ahead")?,
        behind: rows::number(row, "behind")?,
        failure: failure
            .and_then(|name| FailureClass::ALL.iter().copied().find(|class| class.to_string() == name)),
        task,
    })
}

/// The mode of the task that asks a question, and whether the question is what its plan was put as.
pub(super) async fn plan_at(
    connection: &mut SqliteConnection,
    question: QuestionId,
) -> anyhow::Result<(Mode, bool)> {
    let row = sqlx::query(
        "SELECT t.mode, q.is_plan FROM questions AS q JOIN tasks AS t ON t.id = q.task WHERE q.id = $1",
    )
    .bind(question.to_string())
    .fetch_one(&mut *connection)
    .await?;
    Ok((rows::mode(&row)?, rows::is_true(&row, "is_plan")?))
}

/// Notes that a question is what a plan was put as.
pub(super) async fn mark_plan(write: &mut Write, question: QuestionId) -> anyhow::Result<()> {
    sqlx::query("UPDATE questions SET is_plan = 1 WHERE id = $1")
        .bind(question.to_string())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Has a story's pull request go to a branch that somebody has chosen, unless it is open already: moving it is a
/// person's, on GitHub.
pub(super) async fn choose_base(write: &mut Write, story: StoryId, base: &str) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET base_branch = $2, base_chosen = 1 WHERE id = $1 AND pull IS NULL")
        .bind(story.to_string())
        .bind(base)
        .execute(&mut **write)
        .await?;
    Ok(())
}
