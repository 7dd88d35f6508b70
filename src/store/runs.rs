//! Runs: one row for each attempt at a task. The row exists before the container does and holds the
//! outcome before the container is removed, so that at any moment one of the two can tell the
//! truth.

use sqlx::sqlite::SqliteRow;

use super::queue::show_line;
use super::shown::{show, show_soon};
use super::tasks::{advance, change_story, hold};
use super::{Store, StoryUpdate, Transition, now, rows};
use crate::agent::TodoItem;
use crate::ids::{AgentKind, RunId, StoryId};
use crate::story::budget::Limit;
use crate::story::{Run, RunEnd, RunReason, Task, TaskState};

/// A run to be made.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Why it is made, where that is not what its task says.
    pub turn: Option<RunReason>,
    /// The agent that runs.
    pub agent: AgentKind,
    /// The agent in whose place.
    pub fallback_for: Option<AgentKind>,
    /// What it may use.
    pub budget_limit: Limit,
}

impl From<AgentKind> for NewRun {
    /// A run of the agent that should, without a limit.
    fn from(agent: AgentKind) -> Self {
        Self { turn: None, agent, fallback_for: None, budget_limit: Limit::default() }
    }
}

impl Store {
    /// Makes a run and moves its task from queued to running, together.
    pub async fn begin_run(&self, task: &Task, new: impl Into<NewRun>) -> anyhow::Result<(Task, Run)> {
        let NewRun { turn, agent, fallback_for, budget_limit } = new.into();
        let run = Run {
            id: RunId::new(),
            task: task.id,
            turn: turn.unwrap_or_else(|| task.turn.clone()),
            agent,
            fallback_for,
            budget_limit,
            started_at: None,
            end: None,
        };
        let chosen = task.ask.choice.agent;
        let mut write = self.begin("begin-run").await?;
        let task = advance(&mut write, task, TaskState::Running, &Transition::default()).await?;
        if task.ask.choice.agent != chosen {
            // The caller looks again, and takes the one that was chosen.
            write.undo().await?;
            anyhow::bail!("the agent of the task was changed at the same time");
        }
        // Those behind it move up.
        show_line(&mut write).await?;
        sqlx::query(
            "INSERT INTO runs (id, task, turn, agent, fallback_for, budget_limit, created_at, seq)
             VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT COALESCE(MAX(seq), 0) + 1 FROM runs))",
        )
        .bind(run.id.to_string())
        .bind(run.task.to_string())
        .bind(rows::to_json(&run.turn)?)
        .bind(run.agent.as_str())
        .bind(run.fallback_for.map(AgentKind::as_str))
        .bind(rows::to_json(&run.budget_limit)?)
        .bind(now())
        .execute(&mut *write)
        .await?;
        // What the task had waited for is over.
        sqlx::query("UPDATE tasks SET waits_for = NULL WHERE id = $1")
            .bind(run.task.to_string())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok((task, run))
    }

    /// The newest run of a task.
    pub async fn latest_run(&self, task: &Task) -> anyhow::Result<Option<Run>> {
        let row = sqlx::query("SELECT * FROM runs WHERE task = $1 ORDER BY seq DESC LIMIT 1")
            .bind(task.id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(rows::run).transpose()
    }

    /// One run, where its task stands, and whether a worker is at its story, if there is a run of
    /// that id.
    pub async fn run_at_work(&self, id: RunId) -> anyhow::Result<Option<(Run, TaskState, bool)>> {
        let row = sqlx::query(
            "SELECT r.*, t.state AS task_state,
                 EXISTS (SELECT 1 FROM tasks AS each WHERE each.story = t.story AND each.lease_until > $2) AS is_held
             FROM runs AS r JOIN tasks AS t ON t.id = r.task WHERE r.id = $1",
        )
        .bind(id.to_string())
        .bind(now())
        .fetch_optional(&self.reader)
        .await?;
        let read = |row: &SqliteRow| {
            anyhow::Ok((
                rows::run(row)?,
                rows::task_state(row, "task_state")?,
                rows::is_true(row, "is_held")?,
            ))
        };
        row.as_ref().map(read).transpose()
    }

    /// The newest run of a story in which an agent may have worked, with its task.
    pub async fn last_started_run(&self, story: StoryId) -> anyhow::Result<Option<(Task, Run)>> {
        let row = sqlx::query(
            "SELECT r.* FROM runs AS r JOIN tasks AS t ON t.id = r.task
             WHERE t.story = $1 AND r.started_at IS NOT NULL ORDER BY r.seq DESC LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        let Some(run) = row.as_ref().map(rows::run).transpose()? else { return Ok(None) };
        let task = sqlx::query("SELECT * FROM tasks WHERE id = $1")
            .bind(run.task.to_string())
            .fetch_one(&self.reader)
            .await?;
        Ok(Some((rows::task(&task)?, run)))
    }

    /// Every run of a task, oldest first.
    pub async fn runs_of(&self, task: &Task) -> anyhow::Result<Vec<Run>> {
        let found = sqlx::query("SELECT * FROM runs WHERE task = $1 ORDER BY seq")
            .bind(task.id.to_string())
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(|row: &SqliteRow| rows::run(row)).collect()
    }

    /// Notes that the run's container was started. From here on, a container that is not there has
    /// been lost, and is not made again.
    pub async fn run_started(&self, task: &Task, run: &mut Run) -> anyhow::Result<()> {
        let at = now();
        let mut transaction = self.begin("run-started").await?;
        hold(&mut transaction, task).await?;
        sqlx::query("UPDATE runs SET started_at = $2 WHERE id = $1 AND started_at IS NULL")
            .bind(run.id.to_string())
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        show(&mut transaction, task.story).await?;
        transaction.commit().await?;
        self.wakes.effects.notify_one();
        run.started_at.get_or_insert(jiff::Timestamp::from_millisecond(at)?);
        Ok(())
    }

    /// Notes what a run tells of itself, for people who watch: the agent's last line, its own list
    /// of things to do, and what it has cost so far. Absent: as before.
    pub async fn run_progress(
        &self,
        task: &Task,
        run: RunId,
        said: Option<&str>,
        todo: Option<&[TodoItem]>,
        reported_cost_usd: Option<f64>,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("run-progress").await?;
        hold(&mut write, task).await?;
        sqlx::query(
            "UPDATE runs SET said = COALESCE($2, said), todo = COALESCE($3, todo),
                 reported_cost_usd = COALESCE($4, reported_cost_usd) WHERE id = $1",
        )
        .bind(run.to_string())
        .bind(said)
        .bind(todo.map(|items| rows::to_json(&items)).transpose()?)
        .bind(reported_cost_usd)
        .execute(&mut *write)
        .await?;
        show_soon(&mut write, task.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Records how a run ended, and what that means for the story's session. Once: the first record
    /// stays.
    pub async fn end_run(
        &self,
        task: &Task,
        run: &mut Run,
        end: RunEnd,
        change: &StoryUpdate,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin("end-run").await?;
        hold(&mut transaction, task).await?;
        sqlx::query("UPDATE runs SET ended = $2, ended_at = $3 WHERE id = $1 AND ended IS NULL")
            .bind(run.id.to_string())
            .bind(rows::to_json(&end)?)
            .bind(now())
            .execute(&mut *transaction)
            .await?;
        change_story(&mut transaction, task.story, change).await?;
        transaction.commit().await?;
        run.end = Some(end);
        Ok(())
    }

    /// Writes a run's record again, now that how renewing the agent's login went stands in it too.
    pub async fn login_renewed(&self, task: &Task, run: RunId, end: &RunEnd) -> anyhow::Result<()> {
        let mut transaction = self.begin("login-renewed").await?;
        hold(&mut transaction, task).await?;
        sqlx::query("UPDATE runs SET ended = $2 WHERE id = $1 AND ended IS NOT NULL")
            .bind(run.to_string())
            .bind(rows::to_json(end)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
