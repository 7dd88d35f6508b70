//! How rows become domain types. A row that does not parse is a fault of hob's, said with its
//! column.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::question_kinds;
use crate::event::Ending;
use crate::ids::{CommentId, InstallationId, IssueNumber, PullNumber, RepositoryId};
use crate::story::budget::Limit;
use crate::story::plan::TaskMode;
use crate::story::pull::PullState;
use crate::story::{Answer, AskedQuestion, MessageState, Run, Session, Story, Task, TaskState};

/// A text column that holds something with a parser.
pub(super) fn parsed<T>(row: &SqliteRow, column: &str) -> anyhow::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.try_get(column)?;
    text.parse().with_context(|| format!("column {column} of the store"))
}

pub(super) fn parsed_option<T>(row: &SqliteRow, column: &str) -> anyhow::Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: Option<String> = row.try_get(column)?;
    text.map(|t| t.parse().with_context(|| format!("column {column} of the store"))).transpose()
}

/// A text column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> anyhow::Result<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).with_context(|| format!("column {column} of the store"))
}

pub(super) fn number(row: &SqliteRow, column: &str) -> anyhow::Result<u64> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).with_context(|| format!("column {column} of the store"))
}

pub(super) fn number_option(row: &SqliteRow, column: &str) -> anyhow::Result<Option<u64>> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(|v| u64::try_from(v).with_context(|| format!("column {column} of the store"))).transpose()
}

/// A time, in milliseconds since 1970.
pub(super) fn time_option(row: &SqliteRow, column: &str) -> anyhow::Result<Option<Timestamp>> {
    let value: Option<i64> = row.try_get(column)?;
    value
        .map(|v| Timestamp::from_millisecond(v).with_context(|| format!("column {column} of the store")))
        .transpose()
}

/// A time that is there.
pub(super) fn time(row: &SqliteRow, column: &str) -> anyhow::Result<Timestamp> {
    time_option(row, column)?.with_context(|| format!("column {column} of the store is empty"))
}

/// A condition: SQLite has numbers for them.
pub(super) fn is_true(row: &SqliteRow, column: &str) -> anyhow::Result<bool> {
    Ok(row.try_get::<Option<i64>, _>(column)?.unwrap_or(0) != 0)
}

/// JSON for a text column. The types written here cannot fail to serialise.
pub(super) fn to_json<T: Serialize>(value: &T) -> anyhow::Result<String> {
    serde_json::to_string(value).context("writing JSON for the store")
}

/// A number for a BIGINT column.
pub(super) fn to_i64(value: u64) -> anyhow::Result<i64> {
    i64::try_from(value).context("converting a number that is too large for the store")
}

pub(super) fn story(row: &SqliteRow) -> anyhow::Result<Story> {
    let agent = parsed_option(row, "session_agent")?;
    let session: Option<String> = row.try_get("session_id")?;
    Ok(Story {
        id: parsed(row, "id")?,
        repo: parsed(row, "repo")?,
        github_id: number_option(row, "github_id")?.map(RepositoryId),
        mirror: row.try_get("mirror")?,
        issue: IssueNumber(number(row, "issue")?),
        title: row.try_get("title")?,
        installation: number_option(row, "installation")?.map(InstallationId),
        base_branch: row.try_get("base_branch")?,
        branch: row.try_get("branch")?,
        base: parsed_option(row, "base")?,
        remote_head: parsed_option(row, "remote_head")?,
        root: row.try_get::<Option<String>, _>("root_branch")?.zip(parsed_option(row, "root_commit")?),
        session: agent.zip(session).map(|(agent, id)| Session { agent, id }),
        pull: number_option(row, "pull")?.map(PullNumber),
        pull_state: pull_state(row, "pull_state")?,
        pull_moved_at: time_option(row, "pull_moved_at")?,
        pull_moved_by: row.try_get("pull_moved_by")?,
        pull_draft: number_option(row, "pull_draft")?.map(|draft| draft == 1),
        pull_title: row.try_get("pull_title")?,
        pull_unfinished: is_true(row, "pull_unfinished")?,
        past_pull: match number_option(row, "past_pull")? {
            Some(past) => Some((PullNumber(past), pull_state(row, "past_pull_state")?)),
            None => None,
        },
        pull_since: time_option(row, "pull_since")?,
        is_gone: row
            .try_get::<Option<String>, _>("ended")?
            .and_then(|word| Ending::from_word(&word))
            .is_some_and(Ending::is_gone),
        labeled_at: time_option(row, "labeled_at")?,
        stopped_at: time_option(row, "stopped_at")?,
        handed_over: is_true(row, "handed_over")?,
    })
}

fn pull_state(row: &SqliteRow, column: &str) -> anyhow::Result<PullState> {
    let Some(word) = row.try_get::<Option<String>, _>(column)? else { return Ok(PullState::Open) };
    PullState::from_word(&word).with_context(|| format!("unknown state of a pull request: {word}"))
}

pub(super) fn task_state(row: &SqliteRow, column: &str) -> anyhow::Result<TaskState> {
    let word: String = row.try_get(column)?;
    TaskState::from_word(&word).with_context(|| format!("unknown task state: {word}"))
}

pub(super) fn message_state(row: &SqliteRow, column: &str) -> anyhow::Result<MessageState> {
    let word: String = row.try_get(column)?;
    MessageState::from_word(&word).with_context(|| format!("unknown state of a message: {word}"))
}

pub(super) fn mode(row: &SqliteRow) -> anyhow::Result<TaskMode> {
    let word: String = row.try_get("mode")?;
    TaskMode::from_word(&word).with_context(|| format!("unknown mode of a task: {word}"))
}

pub(super) fn task(row: &SqliteRow) -> anyhow::Result<Task> {
    Ok(Task {
        id: parsed(row, "id")?,
        story: parsed(row, "story")?,
        ask: json(row, "ask")?,
        mode: mode(row)?,
        state: task_state(row, "state")?,
        turn: json(row, "turn")?,
        retries: u32::try_from(number(row, "retries")?).unwrap_or(u32::MAX),
        not_before: time_option(row, "not_before")?.filter(|at| at.as_millisecond() > 0),
        fence: row.try_get("fence")?,
    })
}

pub(super) fn run(row: &SqliteRow) -> anyhow::Result<Run> {
    let ended: Option<String> = row.try_get("ended")?;
    Ok(Run {
        id: parsed(row, "id")?,
        task: parsed(row, "task")?,
        turn: json(row, "turn")?,
        agent: parsed(row, "agent")?,
        fallback_for: parsed_option(row, "fallback_for")?,
        budget_limit: match row.try_get::<Option<String>, _>("budget_limit")? {
            Some(text) => serde_json::from_str(&text).context("column budget_limit of the store")?,
            None => Limit::default(),
        },
        started_at: time_option(row, "started_at")?,
        end: ended
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .context("column ended of the store")?,
    })
}

pub(super) fn question(row: &SqliteRow) -> anyhow::Result<AskedQuestion> {
    let answer: Option<String> = row.try_get("answer")?;
    let by: Option<String> = row.try_get("answered_by")?;
    Ok(AskedQuestion {
        kind: question_kinds::kind(row)?,
        id: parsed(row, "id")?,
        question: json(row, "question")?,
        asked_on: number_option(row, "asked_on")?.map(IssueNumber),
        comment: number_option(row, "comment")?.map(CommentId),
        answer: answer.zip(by).map(|(text, by)| Answer { text, by }),
    })
}
