//! What commands ask of the store beyond opening, stopping and answering: whether a story waits
//! with a plan, and the branch that somebody has chosen for its pull request.

use sqlx::sqlite::SqliteConnection;

use super::write::Write;
use super::{Store, rows};
use crate::ids::{QuestionId, StoryId};
use crate::story::plan::TaskMode;

impl Store {
    /// Whether a question is what a plan was put as.
    pub async fn is_plan(&self, question: QuestionId) -> anyhow::Result<bool> {
        let mut reader = self.reader.acquire().await?;
        Ok(plan_at(&mut reader, question).await?.1)
    }
}

/// The mode of the task that asks a question, and whether the question is what its plan was put as.
pub(super) async fn plan_at(
    connection: &mut SqliteConnection,
    question: QuestionId,
) -> anyhow::Result<(TaskMode, bool)> {
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

/// Has a story's pull request go to a branch that somebody has chosen, unless it is open already:
/// moving it is a person's, on GitHub.
pub(super) async fn choose_base(write: &mut Write, story: StoryId, base: &str) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET base_branch = $2, base_chosen = 1 WHERE id = $1 AND pull IS NULL")
        .bind(story.to_string())
        .bind(base)
        .execute(&mut **write)
        .await?;
    Ok(())
}
