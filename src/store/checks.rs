//! What came of a repository's checks: one row for each task and commit, so that a hand-over that
//! is repeated, after a restart or a person's word, does not check the same commit again.

use super::{Store, now, rows};
use crate::ids::{RunId, Sha, TaskId};
use crate::story::Task;
use crate::story::checks::Checked;

impl Store {
    /// What came of the checks on a commit, if they have come to their end.
    pub async fn checked(&self, task: TaskId, tip: &Sha) -> anyhow::Result<Option<Checked>> {
        let row = sqlx::query("SELECT checked FROM checks WHERE task = $1 AND tip = $2")
            .bind(task.to_string())
            .bind(tip.as_str())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(|row| rows::json(row, "checked")).transpose()
    }

    /// Writes down what came of the checks on a commit.
    pub async fn keep_checked(&self, task: &Task, run: RunId, checked: &Checked) -> anyhow::Result<()> {
        let mut write = self.begin("keep-checked").await?;
        super::tasks::hold(&mut write, task).await?;
        sqlx::query(
            "INSERT INTO checks (task, tip, run, checked, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (task, tip) DO NOTHING",
        )
        .bind(task.id.to_string())
        .bind(checked.tip.as_str())
        .bind(run.to_string())
        .bind(rows::to_json(checked)?)
        .bind(now())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}
