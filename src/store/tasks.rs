//! The queue: claiming a task, keeping it, and moving it on. A claim is a lease with a fence: the
//! row's `fence` grows with each claim, and every change names the fence it was made under, so that
//! a worker that slept through its lease can change nothing.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::Row as _;

use super::effects::{NewEffect, want};
use super::queue::{BUSY, IS_FIRST, IS_FREE, IS_NEWEST, REPOSITORIES};
use super::shown::show;
use super::stories::NewTask;
use super::write::Write;
use super::{Sharing, Store, after, deliveries, messages, now, question_kinds, rows, stories, sub_issues};
use crate::agent::FailureClass;
use crate::ids::{AgentKind, QuestionId, Sha, StoryId, TaskId};
use crate::story::plan::TaskMode;
use crate::story::{Question, QuestionSubject, RunReason, Session, StopReason, Task, TaskRequest, TaskState};

/// The task is not this worker's any more: its lease ran out and another took it, or it was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another worker holds the task")]
pub struct LeaseLost;

/// A change to a task and all that belongs to the same moment.
#[derive(Debug, Default)]
pub struct Transition {
    /// Why the next run is made, where there is one.
    pub turn: Option<RunReason>,
    /// When the next run may start at the earliest, for a retry. Counts as one.
    pub retry_in: Option<Duration>,
    /// The question that is being asked.
    pub question: Option<NewQuestion>,
    /// Why the task failed.
    pub failure: Option<FailureClass>,
    /// What people are told about the task's end, in its story's status comment. `{pull}` stands
    /// for the pull request's number.
    pub words: Option<String>,
    /// What changes on its story.
    pub story: StoryUpdate,
    /// What is wanted on GitHub.
    pub effects: Vec<NewEffect>,
}

/// A question to be written down.
#[derive(Debug)]
pub struct NewQuestion {
    /// Its id.
    pub id: QuestionId,
    /// What is asked.
    pub question: Question,
    /// What the answer is about.
    pub subject: QuestionSubject,
}

/// What changes on a story. Absent: it stays as it is.
#[derive(Debug, Default, Clone)]
pub struct StoryUpdate {
    /// Where the workspace starts from, and what the story branch on the remote is.
    pub base: Option<(Sha, Option<Sha>)>,
    /// The base branch's newest commit that the work builds on, and the branch's name.
    pub root: Option<(String, Sha)>,
    /// The agent's session; `Some(None)` forgets it.
    pub session: Option<Option<Session>>,
    /// Whether nothing in the workspace is needed any more.
    pub handed_over: Option<bool>,
    /// The commit that is about to be pushed with work that is proposed.
    pub pushed: Option<Sha>,
    /// Two commits, where hob has pushed the second on top of the first by itself: what was
    /// proposed before is, with it.
    pub pushed_onto: Option<(Sha, Sha)>,
    /// Whether people are told now that hob fixes no more checks by itself.
    pub ends_fixing: bool,
}

impl Store {
    /// Takes a task that is due and free, for as long as the lease lasts: first one that was under
    /// way, then one of the repository that has the fewest under way, the oldest first, within the
    /// limits of repository and person; one that is to be stopped takes nobody's place. A story
    /// whose task is running, publishing or blocked, or still in a worker's hands, lends out no
    /// other; one about failed checks that waits for more of them holds up nobody. A task that is
    /// over is lent out once more where its work is to be saved, or its checks are to run again,
    /// unless the story has a newer one.
    pub async fn claim_task(&self, lease: Duration, sharing: &Sharing) -> anyhow::Result<Option<Task>> {
        let mut write = self.begin("claim-task").await?;
        let (per_repository, per_person) = sharing.limits();
        let claim = format!(
            "WITH RECURSIVE {BUSY},
             of_person AS MATERIALIZED (SELECT asked_by, COUNT(*) AS busy FROM busy GROUP BY asked_by),
             {REPOSITORIES},
             candidates (id, turn) AS (
                 SELECT t.id, 0 FROM tasks AS t WHERE t.state IN ('running', 'publishing') AND {IS_FREE}
                 UNION ALL SELECT (
                     SELECT t.id FROM tasks AS t
                     WHERE t.state = 'queued' AND t.repo_key = repositories_with_tasks.repo_key AND {IS_FREE} AND {IS_FIRST}
                       AND (t.stop_why IS NOT NULL
                            OR (COALESCE((SELECT busy FROM of_repository AS r WHERE r.repo_key = t.repo_key), 0) < $2
                                AND COALESCE((SELECT busy FROM of_person AS p WHERE p.asked_by = t.asked_by), 0) < $3))
                     ORDER BY t.seq LIMIT 1), 1
                 FROM repositories_with_tasks WHERE repositories_with_tasks.repo_key IS NOT NULL
                 UNION ALL SELECT t.id, 1 FROM tasks AS t
                 WHERE t.save_work = 'wanted' AND t.state IN ('done', 'failed', 'cancelled') AND {IS_FREE} AND {IS_NEWEST}
                 UNION ALL SELECT t.id, 1 FROM tasks AS t
                 WHERE t.check_again IS NOT NULL AND t.state = 'done' AND {IS_FREE} AND {IS_NEWEST})
             UPDATE tasks SET fence = fence + 1, lease_until = $4 WHERE id = (
                 SELECT t.id FROM candidates AS c CROSS JOIN tasks AS t WHERE t.id = c.id
                 ORDER BY c.turn, COALESCE((SELECT busy FROM of_repository AS r WHERE r.repo_key = t.repo_key), 0), t.seq
                 LIMIT 1)
             RETURNING *"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(claim))
            .bind(now())
            .bind(per_repository)
            .bind(per_person)
            .bind(after(lease))
            .fetch_optional(&mut *write)
            .await?;
        // Nothing to claim is the usual answer, and no write.
        match &row {
            Some(_) => write.commit().await?,
            None => write.undo().await?,
        }
        row.as_ref().map(rows::task).transpose()
    }

    /// When the next task can be claimed that cannot be now: one that waits is due, or a lease runs
    /// out.
    pub async fn next_task_at(&self) -> anyhow::Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT MIN(at) FROM (
                 SELECT MIN(not_before) AS at FROM tasks WHERE state = 'queued' AND not_before > $1
                 UNION ALL SELECT MIN(lease_until) FROM tasks WHERE lease_until > 0 AND lease_until > $1
                 UNION ALL SELECT MIN(not_before) FROM tasks WHERE save_work = 'wanted' AND not_before > $1
                 UNION ALL SELECT MIN(not_before) FROM tasks WHERE check_again IS NOT NULL AND not_before > $1) AS next",
        );
        Ok(next.bind(now()).fetch_one(&self.reader).await?)
    }

    /// Takes a task that is to be stopped and that no worker has, as [`Store::claim_task`] does: it
    /// takes no agent's place.
    pub async fn claim_task_to_stop(&self, lease: Duration) -> anyhow::Result<Option<Task>> {
        let mut write = self.begin("claim-task-to-stop").await?;
        let row = sqlx::query(
            "UPDATE tasks SET fence = fence + 1, lease_until = $1 WHERE id = (
                 SELECT t.id FROM tasks AS t
                 WHERE t.state = 'queued' AND t.stop_why IS NOT NULL AND t.lease_until <= $2 AND t.not_before <= $2
                   AND NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.id <> t.id
                                   AND (other.state IN ('running', 'publishing', 'blocked') OR other.lease_until > $2
                                        OR (other.state = 'queued' AND other.seq < t.seq)))
                 ORDER BY t.seq LIMIT 1)
             RETURNING *",
        )
        .bind(after(lease))
        .bind(now())
        .fetch_optional(&mut *write)
        .await?;
        match &row {
            Some(_) => write.commit().await?,
            None => write.undo().await?,
        }
        row.as_ref().map(rows::task).transpose()
    }

    /// Keeps a claimed task for another while. An error of type [`LeaseLost`] means that it is too
    /// late.
    pub async fn renew_lease(&self, task: &Task, lease: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("renew-lease").await?;
        let kept = sqlx::query("UPDATE tasks SET lease_until = $3 WHERE id = $1 AND fence = $2")
            .bind(task.id.to_string())
            .bind(task.fence)
            .bind(after(lease))
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        if kept.rows_affected() == 1 { Ok(()) } else { Err(LeaseLost.into()) }
    }

    /// Gives a claimed task back: another worker, or the next hob, may take it after `wait`.
    pub async fn release_task(&self, task: &Task, wait: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("release-task").await?;
        sqlx::query("UPDATE tasks SET lease_until = $3 WHERE id = $1 AND fence = $2")
            .bind(task.id.to_string())
            .bind(task.fence)
            // No time at all: whatever the clock does, it is free.
            .bind(if wait.is_zero() { 0 } else { after(wait) })
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Ends all leases. Only right while no worker runs: at start, under the data folder's lock.
    pub async fn release_all_tasks(&self) -> anyhow::Result<u64> {
        let mut write = self.begin("release-all-tasks").await?;
        let freed = sqlx::query("UPDATE tasks SET lease_until = 0 WHERE lease_until > 0")
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(freed.rows_affected())
    }

    /// Moves a task on, with everything that belongs to the move. The returned task is in the new
    /// state. An error of type [`LeaseLost`] means that nothing was written, because the task is
    /// not where this worker left it.
    pub async fn advance(&self, task: &Task, to: TaskState, change: &Transition) -> anyhow::Result<Task> {
        let mut write = self.begin(to.as_str()).await?;
        let moved = advance(&mut write, task, to, change).await?;
        write.commit().await?;
        // The move may have freed the story for its next task.
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(moved)
    }

    /// Fails with [`LeaseLost`] unless the task is still this worker's, by the store and by the
    /// clock: asked right before something that no transaction covers.
    pub async fn still_holds(&self, task: &Task) -> anyhow::Result<()> {
        let held = sqlx::query(
            "SELECT 1 FROM tasks WHERE id = $1 AND fence = $2 AND state = $3 AND lease_until > $4",
        )
        .bind(task.id.to_string())
        .bind(task.fence)
        .bind(task.state.as_str())
        .bind(now())
        .fetch_optional(&self.reader)
        .await?;
        held.map(|_| ()).ok_or_else(|| LeaseLost.into())
    }

    /// Why a task is to be stopped, if it is.
    pub async fn stop_wanted(&self, task: &Task) -> anyhow::Result<Option<StopReason>> {
        let row = sqlx::query(
            "SELECT t.stop_by, t.stop_why, s.pull, s.issue FROM tasks AS t JOIN stories AS s ON s.id = t.story
             WHERE t.id = $1",
        )
        .bind(task.id.to_string())
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(why) = row.try_get::<Option<String>, _>("stop_why")? else { return Ok(None) };
        let by = row.try_get::<Option<String>, _>("stop_by")?.unwrap_or_default();
        let is_adopted = rows::number_option(&row, "pull")? == Some(rows::number(&row, "issue")?);
        let reason = StopReason::from_word(&why, by, is_adopted);
        reason.map(Some).with_context(|| format!("column stop_why of the store: unknown reason {why}"))
    }

    /// Changes a story in the hands of the worker that holds its task.
    pub async fn change_story(&self, task: &Task, change: &StoryUpdate) -> anyhow::Result<()> {
        let mut transaction = self.begin("change-story").await?;
        hold(&mut transaction, task).await?;
        change_story(&mut transaction, task.story, change).await?;
        transaction.commit().await
    }

    /// Has a task that has not begun be about what was found since.
    pub(super) async fn rewrite_ask(
        &self,
        place: &'static str,
        task: &Task,
        ask: TaskRequest,
    ) -> anyhow::Result<Task> {
        let mut write = self.begin(place).await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET ask = $2 WHERE id = $1")
            .bind(task.id.to_string())
            .bind(rows::to_json(&ask)?)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(Task { ask, ..task.clone() })
    }

    /// Settles a delivery that chooses the agent for a story's task, if none was chosen and none
    /// has begun.
    pub async fn choose_agent(
        &self,
        guid: &str,
        story: StoryId,
        agent: AgentKind,
        at: Timestamp,
    ) -> anyhow::Result<bool> {
        let mut write = self.begin("choose-agent").await?;
        let row = sqlx::query(
            "SELECT * FROM tasks AS t WHERE story = $1 AND state = 'queued' AND stop_why IS NULL
               AND NOT EXISTS (SELECT 1 FROM runs WHERE task = t.id) ORDER BY seq LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&mut *write)
        .await?;
        let task = row.as_ref().map(rows::task).transpose()?;
        let Some(mut task) = task.filter(|task| task.ask.choice.agent.is_none()) else {
            write.undo().await?;
            return Ok(false);
        };
        task.ask.choice.agent = Some(agent);
        sqlx::query("UPDATE tasks SET ask = $2 WHERE id = $1")
            .bind(task.id.to_string())
            .bind(rows::to_json(&task.ask)?)
            .execute(&mut *write)
            .await?;
        stories::note_label(&mut write, story, at).await?;
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "another label chose the agent").await?;
        write.commit().await?;
        Ok(true)
    }

    /// The agent that was chosen for a task since it was claimed, if one was.
    pub async fn chosen_since(&self, task: &Task) -> anyhow::Result<Option<Task>> {
        let row = sqlx::query("SELECT * FROM tasks WHERE id = $1")
            .bind(task.id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        let now = row.as_ref().map(rows::task).transpose()?.map(|task| task.ask.choice.agent);
        Ok(now.filter(|agent| *agent != task.ask.choice.agent).map(|agent| {
            let mut task = task.clone();
            task.ask.choice.agent = agent;
            task
        }))
    }

    /// The task of a story that is not over, if there is one.
    pub async fn open_task_of(&self, story: StoryId) -> anyhow::Result<Option<Task>> {
        let row = sqlx::query(
            "SELECT * FROM tasks WHERE story = $1 AND state IN ('queued', 'running', 'publishing', 'blocked')
             ORDER BY seq LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::task).transpose()
    }

    /// Whether a story has a task that is not over, that people are told of, and that nobody wants
    /// stopped.
    pub async fn is_under_work(&self, story: StoryId) -> anyhow::Result<bool> {
        let open = sqlx::query(
            "SELECT 1 FROM shown_tasks WHERE story = $1 AND stop_why IS NULL
               AND state IN ('queued', 'running', 'publishing', 'blocked') LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        Ok(open.is_some())
    }

    /// Every task of a story, oldest first.
    pub async fn tasks_of(&self, story: StoryId) -> anyhow::Result<Vec<Task>> {
        let found = sqlx::query("SELECT * FROM tasks WHERE story = $1 ORDER BY seq")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(rows::task).collect()
    }

    /// When the newest task of a story was made, by this machine's clock.
    pub async fn newest_task_at(&self, story: StoryId) -> anyhow::Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT MAX(created_at) AS made FROM tasks WHERE story = $1")
            .bind(story.to_string())
            .fetch_one(&self.reader)
            .await?;
        rows::time_option(&row, "made")
    }

    /// What was asked for on a story so far, oldest first.
    pub async fn asks_of(&self, story: StoryId) -> anyhow::Result<Vec<TaskRequest>> {
        Ok(self.tasks_of(story).await?.into_iter().map(|task| task.ask).collect())
    }

    /// How many tasks wait for a worker or are with one.
    pub async fn waiting_tasks(&self) -> anyhow::Result<i64> {
        let waiting = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM tasks WHERE state = 'queued')
                  + (SELECT COUNT(*) FROM tasks WHERE state IN ('running', 'publishing'))
                  + (SELECT COUNT(*) FROM tasks AS t WHERE check_again IS NOT NULL AND state NOT IN ('queued', 'running', 'publishing')
                       AND NOT EXISTS (SELECT 1 FROM tasks AS newer WHERE newer.story = t.story AND newer.seq > t.seq))",
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(waiting)
    }

    /// How many leases are held now.
    pub async fn live_leases(&self) -> anyhow::Result<i64> {
        let held =
            sqlx::query_scalar("SELECT COUNT(*) FROM tasks WHERE lease_until > 0 AND lease_until > $1")
                .bind(now())
                .fetch_one(&self.reader)
                .await?;
        Ok(held)
    }
}

/// A task to be put into the queue.
pub(super) struct Queued<'a> {
    /// Whose it is.
    pub(super) story: StoryId,
    /// What led to it. That leads to one task only.
    pub(super) delivery: &'a str,
    /// What is asked for.
    pub(super) ask: &'a TaskRequest,
    /// Whether it is to change anything.
    pub(super) mode: TaskMode,
    /// Why its first run is made.
    pub(super) turn: &'a RunReason,
    /// The text of the repository's settings that holds for it.
    pub(super) settings: Option<&'a str>,
    /// How long it waits for more of its kind.
    pub(super) wait: Duration,
    /// Whether nobody is told of it before something comes of it.
    pub(super) is_quiet: bool,
}

impl<'a> Queued<'a> {
    /// What somebody asks for: at once, and told.
    pub(super) fn asked(story: StoryId, delivery: &'a str, new: &'a NewTask) -> Self {
        Self {
            story,
            delivery,
            ask: &new.ask,
            mode: new.mode,
            turn: &new.turn,
            settings: new.settings.as_deref(),
            wait: Duration::ZERO,
            is_quiet: false,
        }
    }
}

/// Puts a task into the queue. Nothing where its delivery has led to one before.
pub(super) async fn queue(write: &mut Write, new: &Queued<'_>) -> anyhow::Result<Option<TaskId>> {
    let id = TaskId::new();
    let inserted = sqlx::query(
        "INSERT INTO tasks (id, story, delivery, ask, mode, settings, state, turn, not_before, silent, created_at, updated_at, seq,
             repo_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, (SELECT COALESCE(MAX(seq), 0) + 1 FROM tasks),
             (SELECT repo_key FROM stories WHERE id = $2))
         ON CONFLICT (delivery) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(new.story.to_string())
    .bind(new.delivery)
    .bind(rows::to_json(new.ask)?)
    .bind(new.mode.as_str())
    .bind(new.settings)
    .bind(TaskState::Queued.as_str())
    .bind(rows::to_json(new.turn)?)
    .bind(if new.wait.is_zero() { 0 } else { after(new.wait) })
    .bind(i64::from(new.is_quiet))
    .bind(now())
    .execute(&mut **write)
    .await?;
    Ok((inserted.rows_affected() == 1).then_some(id))
}

/// Moves a task on as part of a write.
pub(super) async fn advance(
    write: &mut Write,
    task: &Task,
    to: TaskState,
    advance: &Transition,
) -> anyhow::Result<Task> {
    anyhow::ensure!(task.state.may_become(to), "a task cannot change from {:?} to {to:?}", task.state);
    let turn = advance.turn.as_ref().unwrap_or(&task.turn);
    let row = sqlx::query(
        "UPDATE tasks SET state = $4, turn = $5, retries = retries + $6, not_before = $7, failure = $8, updated_at = $9,
             words = $10
         WHERE id = $1 AND fence = $2 AND state = $3 RETURNING *",
    )
    .bind(task.id.to_string())
    .bind(task.fence)
    .bind(task.state.as_str())
    .bind(to.as_str())
    .bind(rows::to_json(turn)?)
    .bind(i64::from(advance.retry_in.is_some()))
    .bind(advance.retry_in.map_or(0, after))
    .bind(advance.failure.map(|f| f.to_string()))
    .bind(now())
    .bind(&advance.words)
    .fetch_optional(&mut **write)
    .await?;
    let moved = rows::task(&row.ok_or(LeaseLost)?)?;
    if let Some(new) = &advance.question {
        ask_question(write, task, new).await?;
    }
    change_story(write, task.story, &advance.story).await?;
    want(write, task.story, &advance.effects).await?;
    messages::move_on(write, task, to).await?;
    sub_issues::move_on(write, task, to).await?;
    show(write, task.story).await?;
    Ok(moved)
}

/// Fails with [`LeaseLost`] unless the task is still this worker's.
pub(super) async fn hold(transaction: &mut Write, task: &Task) -> anyhow::Result<()> {
    let held = sqlx::query("SELECT 1 FROM tasks WHERE id = $1 AND fence = $2 AND state = $3")
        .bind(task.id.to_string())
        .bind(task.fence)
        .bind(task.state.as_str())
        .fetch_optional(&mut **transaction)
        .await?;
    held.map(|_| ()).ok_or_else(|| LeaseLost.into())
}

async fn ask_question(transaction: &mut Write, task: &Task, new: &NewQuestion) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO questions (id, story, task, question, asked_at, asked_on, kind, payload, seq)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT COALESCE(MAX(seq), 0) + 1 FROM questions))",
    )
    .bind(new.id.to_string())
    .bind(task.story.to_string())
    .bind(task.id.to_string())
    .bind(rows::to_json(&new.question)?)
    .bind(now())
    .bind(task.ask.on.map(|on| rows::to_i64(on.0)).transpose()?)
    .bind(new.subject.kind().as_str())
    .bind(question_kinds::payload(&new.subject)?)
    .execute(&mut **transaction)
    .await?;
    // What people were told about an earlier question does not count for this one.
    sqlx::query("UPDATE stories SET warned_at = NULL WHERE id = $1")
        .bind(task.story.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

pub(super) async fn change_story(
    transaction: &mut Write,
    story: StoryId,
    change: &StoryUpdate,
) -> anyhow::Result<()> {
    if let Some((base, remote_head)) = &change.base {
        sqlx::query("UPDATE stories SET base = $2, remote_head = $3, updated_at = $4 WHERE id = $1")
            .bind(story.to_string())
            .bind(base.as_str())
            .bind(remote_head.as_ref().map(Sha::as_str))
            .bind(now())
            .execute(&mut **transaction)
            .await?;
    }
    if let Some((branch, commit)) = &change.root {
        sqlx::query("UPDATE stories SET root_branch = $2, root_commit = $3 WHERE id = $1")
            .bind(story.to_string())
            .bind(branch)
            .bind(commit.as_str())
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(handed_over) = change.handed_over {
        sqlx::query("UPDATE stories SET handed_over = $2, updated_at = $3 WHERE id = $1")
            .bind(story.to_string())
            .bind(i64::from(handed_over))
            .bind(now())
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(pushed) = &change.pushed {
        sqlx::query("UPDATE stories SET pushed_head = $2, updated_at = $3 WHERE id = $1")
            .bind(story.to_string())
            .bind(pushed.as_str())
            .bind(now())
            .execute(&mut **transaction)
            .await?;
    }
    if let Some((from, to)) = &change.pushed_onto {
        // What people have pushed stays theirs, and what is not finished is not proposed by it.
        sqlx::query(
            "UPDATE stories SET pushed_head = $3, updated_at = $4 WHERE id = $1 AND pushed_head = $2",
        )
        .bind(story.to_string())
        .bind(from.as_str())
        .bind(to.as_str())
        .bind(now())
        .execute(&mut **transaction)
        .await?;
    }
    if change.ends_fixing {
        sqlx::query("UPDATE stories SET fixes_told_at = $2 WHERE id = $1")
            .bind(story.to_string())
            .bind(now())
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(session) = &change.session {
        sqlx::query("UPDATE stories SET session_agent = $2, session_id = $3, updated_at = $4 WHERE id = $1")
            .bind(story.to_string())
            .bind(session.as_ref().map(|s| s.agent.as_str()))
            .bind(session.as_ref().map(|s| s.id.as_str()))
            .bind(now())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
