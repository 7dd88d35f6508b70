//! Messages: what people say on the issue while an agent works on it. Each is told to the agent, or
//! becomes part of the next task; which of the two is decided by one write at a time, so that none
//! is lost and none counts twice.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::want;
use super::shown::show_soon;
use super::tasks::{Queued, hold, queue};
use super::write::Write;
use super::{Effect, NewEffect, ReactTo, Store, deliveries, rows};
use crate::ids::{CommentId, MessageId, RunId, StoryId, TaskId};
use crate::story::{Message, MessageState, RunReason, Task, TaskKind, TaskRequest, TaskState};

/// The reaction that says that a comment was handed to the agent that works.
const TOLD: &str = "rocket";

/// What somebody has said.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Their words.
    pub text: String,
    /// Their login.
    pub by: String,
    /// Their account's number, where it is known.
    pub by_id: Option<u64>,
    /// The comment that says it.
    pub comment: CommentId,
    /// When, by GitHub's clock.
    pub at: jiff::Timestamp,
}

impl Store {
    /// Takes a delivery as a message to the agent at work. If the work has come to its end at this
    /// moment, the message is the next task at once.
    pub async fn hear(
        &self,
        guid: &str,
        story: StoryId,
        new: &NewMessage,
        seen: &NewEffect,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("hear").await?;
        let (task, can_be_told) = ear(&mut write, story).await?;
        let state = if can_be_told { MessageState::Wanted } else { MessageState::Next };
        let written = sqlx::query(
            "INSERT INTO messages (id, story, delivery, text, said_by, by_id, comment, said_at, state, seq)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT COALESCE(MAX(seq), 0) + 1 FROM messages))
             ON CONFLICT (delivery) DO NOTHING",
        )
        .bind(MessageId::new().to_string())
        .bind(story.to_string())
        .bind(guid)
        .bind(&new.text)
        .bind(&new.by)
        .bind(new.by_id.map(rows::to_i64).transpose()?)
        .bind(rows::to_i64(new.comment.0)?)
        .bind(new.at.as_millisecond())
        .bind(state.as_str())
        .execute(&mut *write)
        .await?;
        if written.rows_affected() == 1 {
            want(&mut write, story, std::slice::from_ref(seen)).await?;
            show_soon(&mut write, story).await?;
            move_on(&mut write, &task, task.state).await?;
        }
        deliveries::settle(&mut write, guid, "done", "message for the agent").await?;
        write.commit().await?;
        self.wakes.messages.notify_waiters();
        self.wakes.effects.notify_one();
        self.wakes.tasks.notify_one();
        Ok(())
    }

    /// Whether a comment on a story can be a message: a task of it has a run, or had one, and is
    /// not over.
    pub async fn is_listening(&self, story: StoryId) -> anyhow::Result<bool> {
        let found = sqlx::query(AT_WORK).bind(story.to_string()).fetch_optional(&self.reader).await?;
        Ok(found.is_some())
    }

    /// What is to be told to the agent, oldest first.
    pub async fn messages_wanted(&self, story: StoryId) -> anyhow::Result<Vec<Message>> {
        let messages = self.messages_of(story).await?.into_iter();
        Ok(messages.filter(|message| message.state == MessageState::Wanted).collect())
    }

    /// All that people have said to the agents of a story while they worked, oldest first.
    pub async fn messages_of(&self, story: StoryId) -> anyhow::Result<Vec<Message>> {
        let found = sqlx::query("SELECT * FROM messages WHERE story = $1 ORDER BY seq")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(message).collect()
    }

    /// Notes that a message was told to the agent of a run, and says so on its comment.
    pub async fn message_told(&self, task: &Task, run: RunId, told: &Message) -> anyhow::Result<()> {
        let mut write = self.begin("message-told").await?;
        hold(&mut write, task).await?;
        let noted =
            sqlx::query("UPDATE messages SET state = 'told', run = $2 WHERE id = $1 AND state = 'wanted'")
                .bind(told.id.to_string())
                .bind(run.to_string())
                .execute(&mut *write)
                .await?;
        // Told once more after a run that broke off: the reaction is there.
        if noted.rows_affected() == 1 {
            let (to, content) = (ReactTo::Comment(told.comment), TOLD.to_owned());
            want(&mut write, task.story, &[NewEffect::new(Effect::React { to, content })]).await?;
            show_soon(&mut write, task.story).await?;
        }
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Notes that nothing more is told to the agent of a run. Returns false where something waits
    /// to be told.
    pub async fn end_input(&self, task: &Task, run: RunId) -> anyhow::Result<bool> {
        let mut write = self.begin("end-input").await?;
        hold(&mut write, task).await?;
        let waits = sqlx::query("SELECT 1 FROM messages WHERE story = $1 AND state = 'wanted'")
            .bind(task.story.to_string())
            .fetch_optional(&mut *write)
            .await?;
        if waits.is_some() {
            write.undo().await?;
            return Ok(false);
        }
        sqlx::query("UPDATE runs SET input_ended = 1 WHERE id = $1")
            .bind(run.to_string())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(true)
    }

    /// The comments of a story that its agent is told, was told, or will be told by another way
    /// than as a comment in its prompt: in its inbox, or as the request of a task. Where a session
    /// is resumed, that knows what it was told.
    pub async fn messages_told(&self, story: StoryId, resumes: bool) -> anyhow::Result<Vec<CommentId>> {
        let found = sqlx::query(
            "SELECT comment FROM messages WHERE story = $1
               AND (state IN ('wanted', 'next') OR (state = 'told' AND $2))",
        )
        .bind(story.to_string())
        .bind(i64::from(resumes))
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(|row| Ok(CommentId(rows::number(row, "comment")?))).collect()
    }

    /// Whether nothing more is told to the agent of a run.
    pub async fn is_input_ended(&self, run: RunId) -> anyhow::Result<bool> {
        let row = sqlx::query("SELECT input_ended FROM runs WHERE id = $1")
            .bind(run.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map_or(Ok(false), |row| rows::is_true(row, "input_ended"))
    }
}

/// The newest run of the story's open task. A task that has had none is told all in its prompt,
/// one that waits for an answer takes it for that.
const AT_WORK: &str = "SELECT 1 FROM runs AS r JOIN tasks AS t ON t.id = r.task
     WHERE t.story = $1 AND t.state IN ('queued', 'running', 'publishing') LIMIT 1";

/// The task of a story that a message is about, and whether its agent can be told things, in its
/// run or in one that is made later.
async fn ear(write: &mut Write, story: StoryId) -> anyhow::Result<(Task, bool)> {
    let newest =
        "SELECT r.*, t.id AS task_id FROM runs AS r JOIN tasks AS t ON t.id = r.task WHERE t.story = $1
         ORDER BY t.state IN ('queued', 'running', 'publishing', 'blocked') DESC, r.seq DESC LIMIT 1";
    let row = sqlx::query(newest).bind(story.to_string()).fetch_one(&mut **write).await?;
    let id: TaskId = rows::parsed(&row, "task_id")?;
    let task =
        sqlx::query("SELECT * FROM tasks WHERE id = $1").bind(id.to_string()).fetch_one(&mut **write).await?;
    let (run, task) = (rows::run(&row)?, rows::task(&task)?);
    let is_open = run.end.is_none() && !rows::is_true(&row, "input_ended")?;
    let comes_again = matches!(task.state, TaskState::Queued | TaskState::Blocked);
    let can_be_told = run.agent.listens() && (is_open || comes_again) && !task.state.is_final();
    Ok((task, can_be_told))
}

/// A task moves on. A run that broke off and is made again is told again what it was told, as it is
/// given its prompt again. When the task is over, what was not told becomes the story's next task,
/// unless the work was stopped.
pub(super) async fn move_on(write: &mut Write, task: &Task, state: TaskState) -> anyhow::Result<()> {
    if (task.state, state) == (TaskState::Running, TaskState::Queued) {
        sqlx::query(
            "UPDATE messages SET state = 'wanted'
             WHERE state = 'told' AND run = (SELECT id FROM runs WHERE task = $1 ORDER BY seq DESC LIMIT 1)",
        )
        .bind(task.id.to_string())
        .execute(&mut **write)
        .await?;
    }
    if !state.is_final() {
        return Ok(());
    }
    let found = sqlx::query(
        "SELECT * FROM messages WHERE story = $1 AND state IN ('wanted', 'next') AND task IS NULL ORDER BY seq",
    )
    .bind(task.story.to_string())
    .fetch_all(&mut **write)
    .await?;
    let waiting: Vec<Message> = found.iter().map(message).collect::<anyhow::Result<_>>()?;
    let Some((row, last)) = found.last().zip(waiting.last()) else { return Ok(()) };
    if state == TaskState::Cancelled {
        return note(write, task, MessageState::Dropped, None).await;
    }
    let by_id = rows::number_option(row, "by_id")?;
    let text = Some(together(&waiting));
    let ask = TaskRequest { text, by: last.by.clone(), by_id, about: TaskKind::Issue, ..task.ask.clone() };
    let delivery: String = row.try_get("delivery")?;
    // What the repository asks for holds for them too.
    let settings = sqlx::query_scalar("SELECT settings FROM tasks WHERE id = $1");
    let settings: Option<String> = settings.bind(task.id.to_string()).fetch_one(&mut **write).await?;
    let queued = Queued {
        story: task.story,
        delivery: &delivery,
        ask: &ask,
        // Words said while a plan was made allow no more than the plan does.
        mode: task.mode,
        turn: &RunReason::Begin,
        settings: settings.as_deref(),
        wait: Duration::ZERO,
        is_quiet: false,
    };
    let next = queue(write, &queued).await?.context("queueing a second task for a delivery")?;
    note(write, task, MessageState::Next, Some(next)).await
}

async fn note(
    write: &mut Write,
    task: &Task,
    state: MessageState,
    next: Option<TaskId>,
) -> anyhow::Result<()> {
    sqlx::query(
        "UPDATE messages SET state = $2, task = $3 WHERE story = $1 AND state IN ('wanted', 'next') AND task IS NULL",
    )
    .bind(task.story.to_string())
    .bind(state.as_str())
    .bind(next.map(|next| next.to_string()))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// One request of what several people may have said.
fn together(messages: &[Message]) -> String {
    match messages {
        [only] => only.text.clone(),
        all => {
            let said = all.iter().map(|message| format!("{} wrote:\n\n{}", message.by, message.text));
            said.collect::<Vec<_>>().join("\n\n")
        }
    }
}

fn message(row: &SqliteRow) -> anyhow::Result<Message> {
    Ok(Message {
        id: rows::parsed(row, "id")?,
        text: row.try_get("text")?,
        by: row.try_get("said_by")?,
        comment: CommentId(rows::number(row, "comment")?),
        state: rows::message_state(row, "state")?,
    })
}
