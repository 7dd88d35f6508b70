//! Sub-issues that their parent's story works on: the next one's task is made in the write in which
//! the one before ends well, so that none is lost and none comes twice. Which sub-issues, and in
//! which order, stands in each task (`story/sub_issue.rs`).

use std::time::Duration;

use anyhow::Context as _;
use sqlx::Row as _;

use super::tasks::{Queued, queue};
use super::write::Write;
use super::{Store, rows};
use crate::ids::{IssueNumber, PullNumber, Repo, StoryId, TaskId};
use crate::story::sub_issue::{SubIssueStatus, standings};
use crate::story::{RunReason, Task, TaskKind, TaskRequest, TaskState};

/// The story that works on a sub-issue of its own issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentStory {
    /// The story's issue.
    pub issue: IssueNumber,
    /// Its pull request, if there is one.
    pub pull: Option<PullNumber>,
    /// Whether it is at work on its sub-issues. If not, it has done this one.
    pub is_under_work: bool,
}

impl Store {
    /// The story that works on this issue as a sub-issue of its own, or has done it and has an open
    /// pull request.
    pub async fn parent_of(&self, repo: &Repo, number: IssueNumber) -> anyhow::Result<Option<ParentStory>> {
        let row = sqlx::query(
            "SELECT s.issue, s.pull, t.state <> 'done' AS is_under_work
             FROM tasks AS t JOIN stories AS s ON s.id = t.story, json_each(t.ask, '$.about.parts') AS part
             WHERE t.about = 'sub_issue' AND s.repo_key = $1 AND s.issue <> $2 AND s.ended IS NULL
               AND json_extract(part.value, '$.number') = $2
               AND ((t.state IN ('queued', 'running', 'publishing', 'blocked') AND t.stop_why IS NULL)
                    OR (t.state = 'done' AND s.pull IS NOT NULL AND s.pull_state IS NULL AND part.key = json_extract(t.ask, '$.about.at')))
             ORDER BY is_under_work DESC, t.seq DESC LIMIT 1",
        )
        .bind(repo.key())
        .bind(rows::to_i64(number.0)?)
        .fetch_optional(&self.reader)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ParentStory {
            issue: IssueNumber(rows::number(&row, "issue")?),
            pull: rows::number_option(&row, "pull")?.map(PullNumber),
            is_under_work: rows::is_true(&row, "is_under_work")?,
        }))
    }

    /// Where the sub-issues of a story stand, in order; `publishing` is a task whose work is on the
    /// way and counts as done.
    pub async fn standings(
        &self,
        story: StoryId,
        publishing: Option<TaskId>,
    ) -> anyhow::Result<Vec<SubIssueStatus>> {
        let found = sqlx::query(
            "SELECT ask, state = 'done' OR id = $2 AS is_done FROM tasks
             WHERE story = $1 AND about = 'sub_issue' ORDER BY seq",
        )
        .bind(story.to_string())
        .bind(publishing.map(|task| task.to_string()))
        .fetch_all(&self.reader)
        .await?;
        let mut tasks: Vec<(TaskRequest, bool)> = Vec::new();
        for row in &found {
            tasks.push((rows::json(row, "ask")?, row.try_get::<Option<bool>, _>("is_done")? == Some(true)));
        }
        Ok(standings(tasks.iter().map(|(ask, is_done)| (ask, *is_done))))
    }
}

/// A task moves on. Where it was about a sub-issue and has ended well, the next one's task is made,
/// unless somebody has called it off.
pub(super) async fn move_on(write: &mut Write, task: &Task, state: TaskState) -> anyhow::Result<()> {
    let TaskKind::SubIssue(together) = &task.ask.about else { return Ok(()) };
    let (TaskState::Done, Some(next)) = (state, together.next()) else { return Ok(()) };
    let ask = TaskRequest { about: TaskKind::SubIssue(next), ..task.ask.clone() };
    let going_on = sqlx::query("SELECT settings FROM tasks WHERE id = $1 AND stop_after_current = 0");
    let row = going_on.bind(task.id.to_string()).fetch_optional(&mut **write).await?;
    let Some(row) = row else { return Ok(()) };
    let settings: Option<String> = row.try_get("settings")?;
    let queued = Queued {
        story: task.story,
        // No delivery has it, and of each task there is one that comes after it.
        delivery: &format!("after-{}", task.id),
        ask: &ask,
        mode: task.mode,
        turn: &RunReason::Begin,
        settings: settings.as_deref(),
        wait: Duration::ZERO,
        is_quiet: false,
    };
    queue(write, &queued).await?.context("queueing a follow-up task twice")?;
    Ok(())
}

/// Somebody wants the story's work stopped: no further sub-issue is begun. Tells whether one would
/// have been.
pub(super) async fn call_off(write: &mut Write, story: StoryId) -> anyhow::Result<bool> {
    let stop_after_current = sqlx::query(
        "UPDATE tasks SET stop_after_current = 1
         WHERE story = $1 AND about = 'sub_issue' AND stop_after_current = 0
           AND state IN ('queued', 'running', 'publishing', 'blocked')
           AND json_array_length(ask, '$.about.parts') > json_extract(ask, '$.about.at') + 1",
    )
    .bind(story.to_string())
    .execute(&mut **write)
    .await?;
    Ok(stop_after_current.rows_affected() > 0)
}
