//! What the status comment of a story is made from, and whether it shows that yet. Every change of
//! a story, its tasks, runs or questions counts `status_wanted` up; `deliver/status.rs` writes the
//! comment again until `status_shown` is the same. So a change is never forgotten, and many changes
//! in a row are one edit. The words are in `message/status.rs`.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{Effect, Excluded, NewEffect, PULL_REQUEST, want};
use super::write::Write;
use super::{Store, after, now, rows};
use crate::agent::{FailureClass, TodoItem};
use crate::ids::{AgentKind, CheckRunId, CommentId, EffectId, InstallationId, StoryId};
use crate::story::sub_issue::SubIssueStatus;
use crate::story::{AskedQuestion, Run, Story, Task, TaskState};

/// How many tasks that are over are told of, the newest included.
const MAX_ENDED: i64 = 6;

/// How much of what GitHub has refused is told of.
const MAX_REFUSED: i64 = 3;

/// A status comment that does not say yet what it should.
#[derive(Debug, Clone)]
pub struct StoryToShow {
    /// The story that it belongs to.
    pub story: StoryId,
    /// The effect that made it, whose marker it carries.
    pub effect: EffectId,
    /// The comment.
    pub comment: CommentId,
    /// The label that was put on last to say where the story stands.
    pub label: Option<String>,
    /// A digest of what it says, where that is known.
    pub says: Option<String>,
    /// How often GitHub did not take the change.
    pub tries: u32,
    /// The key of its repository.
    pub repo_key: String,
    /// Whose pace it goes by.
    pub installation: Option<InstallationId>,
}

/// Where a story stands, for people.
#[derive(Debug, Clone)]
pub struct StatusFacts {
    /// What is shown once this is.
    pub version: i64,
    /// The story.
    pub story: Story,
    /// What has ended it beyond its tasks.
    pub ended: Option<String>,
    /// The task that is not over, or the newest.
    pub task: Option<Task>,
    /// Since when the task stands where it does.
    pub since: Option<Timestamp>,
    /// Why it failed, if it did.
    pub failure: Option<FailureClass>,
    /// When the task goes on at the earliest, where it waits for a time.
    pub waits_until: Option<Timestamp>,
    /// The agent whose usage limit it waits for until then.
    pub waits_for: Option<AgentKind>,
    /// How many tasks are before it in the queue, where it waits for its turn.
    pub ahead: Option<usize>,
    /// Whether somebody wants the task stopped.
    pub is_to_be_stopped: bool,
    /// The newest run of the task.
    pub run: Option<Run>,
    /// What the agent said last in that run.
    pub said: Option<String>,
    /// What that run had cost when it told so last.
    pub reported_cost_usd: Option<f64>,
    /// The agent's own list of things to do.
    pub todo: Vec<TodoItem>,
    /// The question that the story waits with.
    pub question: Option<AskedQuestion>,
    /// Who wrote what the agent was told in that run.
    pub told: Vec<String>,
    /// Who wrote what waits to be told, or to be taken up next.
    pub heard: Vec<String>,
    /// Further tasks of the story that wait their turn.
    pub queued_behind: u32,
    /// Where the issue's sub-issues stand, where the story works on them.
    pub sub_issues: Vec<SubIssueStatus>,
    /// Whether the pull request is still to be opened or brought up to date.
    pub is_proposing: bool,
    /// Whether GitHub did not take the pull request.
    pub proposal_is_parked: bool,
    /// What people are told about what GitHub has refused for good, newest first.
    pub refused: Vec<String>,
    /// The tasks that are over, newest first, as far as there are words about them.
    pub over: Vec<EndedTask>,
    /// The check run on the branch's head.
    pub check_run: Option<CheckRunId>,
}

/// A task that is over.
#[derive(Debug, Clone)]
pub struct EndedTask {
    /// How it ended.
    pub state: TaskState,
    /// What people are told about it. `{pull}` stands for the number of the story's present pull
    /// request; an earlier one is named.
    pub words: String,
}

/// There is something to show, at once: the story stands elsewhere now. Sees to it that there is a
/// comment to show it.
pub(super) async fn show(write: &mut Write, story: StoryId) -> anyhow::Result<()> {
    let row = sqlx::query(
        "UPDATE stories SET status_wanted = status_wanted + 1, status_not_before = 0, check_not_before = 0
         WHERE id = $1 RETURNING status_effect, status_comment",
    )
    .bind(story.to_string())
    .fetch_one(&mut **write)
    .await?;
    if let Some(effect) = row.try_get::<Option<String>, _>("status_effect")? {
        // GitHub did not take the comment when there was something to say last. It may now.
        if row.try_get::<Option<i64>, _>("status_comment")?.is_none() {
            sqlx::query(
                "UPDATE effects SET state = 'wanted', not_before = 0, refusals = 0 WHERE id = $1 AND state = 'parked'",
            )
            .bind(effect)
            .execute(&mut **write)
            .await?;
        }
        return Ok(());
    }
    let effect = NewEffect::new(Effect::Status);
    sqlx::query("UPDATE stories SET status_effect = $2 WHERE id = $1")
        .bind(story.to_string())
        .bind(effect.id.to_string())
        .execute(&mut **write)
        .await?;
    want(write, story, &[effect]).await
}

/// There is something to show when the comment may be changed next.
pub(super) async fn show_soon(write: &mut Write, story: StoryId) -> anyhow::Result<()> {
    sqlx::query("UPDATE stories SET status_wanted = status_wanted + 1 WHERE id = $1")
        .bind(story.to_string())
        .execute(&mut **write)
        .await?;
    Ok(())
}

impl Store {
    /// The status comments that are to be changed now, beside those of whom nothing can be: where
    /// the story stands elsewhere, or also others. First where no task waits or is at work: those
    /// tell how one ended.
    pub async fn stories_to_show(
        &self,
        beside: &Excluded,
        elsewhere: bool,
    ) -> anyhow::Result<Vec<StoryToShow>> {
        let found = sqlx::query(
            "SELECT id, status_effect, status_comment, state_label, status_digest, status_tries, repo_key, installation FROM stories
             WHERE status_wanted <> status_shown AND status_comment IS NOT NULL AND status_not_before <= $1
               AND repo_key NOT IN (SELECT value FROM json_each($2))
               AND COALESCE(installation, 0) NOT IN (SELECT value FROM json_each($3))
             ORDER BY EXISTS (SELECT 1 FROM tasks WHERE story = stories.id AND state IN ('running', 'publishing'))
                   OR EXISTS (SELECT 1 FROM tasks WHERE story = stories.id AND state = 'queued'),
                 status_not_before LIMIT 100",
        )
        .bind(if elsewhere { 0 } else { now() })
        .bind(beside.repositories()?)
        .bind(beside.installations()?)
        .fetch_all(&self.reader)
        .await?;
        let read = |row: &SqliteRow| {
            anyhow::Ok(StoryToShow {
                story: rows::parsed(row, "id")?,
                effect: rows::parsed(row, "status_effect")?,
                comment: CommentId(rows::number(row, "status_comment")?),
                label: row.try_get("state_label")?,
                says: row.try_get("status_digest")?,
                repo_key: row.try_get("repo_key")?,
                installation: rows::number_option(row, "installation")?.map(InstallationId),
                tries: u32::try_from(rows::number(row, "status_tries")?).unwrap_or(u32::MAX),
            })
        };
        found.iter().map(read).collect()
    }

    /// When the next status comment or check run that is not to be changed yet will be.
    pub async fn next_show_at(&self) -> anyhow::Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT MIN(at) FROM (
                 SELECT MIN(status_not_before) AS at FROM stories
                 WHERE status_wanted <> status_shown AND status_not_before > $1
                 UNION ALL SELECT MIN(check_not_before) FROM stories
                 WHERE remote_head IS NOT NULL AND status_wanted <> check_shown AND check_not_before > $1) AS next",
        );
        Ok(next.bind(now()).fetch_one(&self.reader).await?)
    }

    /// Puts off what is to be shown of a story, unless something has happened since its facts were
    /// read.
    pub async fn show_later(&self, story: StoryId, version: i64, wait: Duration) -> anyhow::Result<()> {
        let mut write = self.begin("show-later").await?;
        sqlx::query(
            "UPDATE stories SET status_not_before = $3, check_not_before = $3 WHERE id = $1 AND status_wanted = $2",
        )
        .bind(story.to_string())
        .bind(version)
        .bind(after(wait))
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Has a story shown once more: it stands where it did, and something has become worth to be
    /// shown with time.
    pub async fn show_again(&self, story: StoryId) -> anyhow::Result<()> {
        let mut write = self.begin("show-again").await?;
        show_soon(&mut write, story).await?;
        write.commit().await
    }

    /// How many status comments do not say yet what they should.
    pub async fn stories_behind(&self) -> anyhow::Result<i64> {
        let behind = sqlx::query_scalar(
            "SELECT COUNT(*) FROM stories WHERE status_wanted <> status_shown AND status_comment IS NOT NULL",
        );
        Ok(behind.fetch_one(&self.reader).await?)
    }

    /// How many tasks of its story wait beside this one.
    async fn queued_beside(&self, task: &Task) -> anyhow::Result<u32> {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM shown_tasks WHERE story = $1 AND state = 'queued' AND id <> $2",
        )
        .bind(task.story.to_string())
        .bind(task.id.to_string())
        .fetch_one(&self.reader)
        .await?;
        Ok(u32::try_from(waiting).unwrap_or(u32::MAX))
    }

    /// Where a story stands.
    pub async fn status_facts(&self, story: StoryId) -> anyhow::Result<StatusFacts> {
        // Read first: what changes after it counts as not shown.
        let row = sqlx::query(
            "SELECT status_wanted, ended,
                 EXISTS (SELECT 1 FROM effects WHERE story = $1 AND state = 'wanted' AND kind = $2) AS is_proposing,
                 EXISTS (SELECT 1 FROM effects WHERE story = $1 AND state = 'parked' AND kind = $2) AS is_parked
             FROM stories WHERE id = $1",
        )
        .bind(story.to_string())
        .bind(PULL_REQUEST)
        .fetch_one(&self.reader)
        .await?;
        let task = sqlx::query(
            "SELECT * FROM shown_tasks WHERE story = $1
             ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'publishing' THEN 0 WHEN 'blocked' THEN 0 WHEN 'queued' THEN 1 ELSE 2 END,
                 CASE state WHEN 'queued' THEN seq ELSE -seq END LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        let mut facts = StatusFacts {
            version: row.try_get("status_wanted")?,
            story: self.story(story).await?,
            ended: row.try_get("ended")?,
            task: task.as_ref().map(rows::task).transpose()?,
            since: None,
            failure: None,
            waits_until: None,
            waits_for: None,
            ahead: None,
            is_to_be_stopped: false,
            run: None,
            said: None,
            reported_cost_usd: None,
            todo: Vec::new(),
            question: self.open_question(story).await?,
            told: Vec::new(),
            heard: Vec::new(),
            queued_behind: 0,
            is_proposing: rows::is_true(&row, "is_proposing")?,
            proposal_is_parked: rows::is_true(&row, "is_parked")?,
            refused: self.refusals(story).await?,
            over: self.ended_tasks(story).await?,
            check_run: self.check_run_of(story).await?,
            sub_issues: self.standings(story, None).await?,
        };
        if let Some((task, row)) = facts.task.as_ref().zip(task.as_ref()) {
            facts.waits_until =
                rows::time_option(row, "not_before")?.filter(|at| at.as_millisecond() > now());
            facts.since = rows::time_option(row, "updated_at")?;
            let failure: Option<String> = row.try_get("failure")?;
            facts.failure =
                FailureClass::ALL.iter().copied().find(|class| Some(class.to_string()) == failure);
            facts.is_to_be_stopped = row.try_get::<Option<String>, _>("stop_why")?.is_some();
            facts.queued_behind = self.queued_beside(task).await?;
            facts.waits_for = rows::parsed_option(row, "waits_for")?;
            if task.state == TaskState::Queued {
                facts.ahead = self.place_in_queue(task.id).await?.map(|place| place.saturating_sub(1));
            }
            (facts.run, facts.said, facts.todo) = self.progress_of(task).await?;
            if let Some(run) = &facts.run {
                facts.reported_cost_usd =
                    sqlx::query_scalar("SELECT reported_cost_usd FROM runs WHERE id = $1")
                        .bind(run.id.to_string())
                        .fetch_one(&self.reader)
                        .await?;
            }
        }
        if let Some(run) = facts.run.as_ref().filter(|run| run.end.is_none()) {
            let found = sqlx::query(
                "SELECT said_by, state = 'told' AS is_told FROM messages
                 WHERE story = $1 AND task IS NULL AND (state IN ('wanted', 'next') OR (state = 'told' AND run = $2)) ORDER BY seq",
            )
            .bind(story.to_string())
            .bind(run.id.to_string())
            .fetch_all(&self.reader)
            .await?;
            for row in &found {
                let by: String = row.try_get("said_by")?;
                if rows::is_true(row, "is_told")? { facts.told.push(by) } else { facts.heard.push(by) }
            }
        }
        Ok(facts)
    }

    async fn progress_of(&self, task: &Task) -> anyhow::Result<(Option<Run>, Option<String>, Vec<TodoItem>)> {
        let row = sqlx::query("SELECT * FROM runs WHERE task = $1 ORDER BY seq DESC LIMIT 1")
            .bind(task.id.to_string())
            .fetch_optional(&self.reader)
            .await?;
        let Some(row) = row else { return Ok((None, None, Vec::new())) };
        let has_list = row.try_get::<Option<String>, _>("todo")?.is_some();
        let todo = if has_list { rows::json(&row, "todo")? } else { Vec::new() };
        Ok((Some(rows::run(&row)?), row.try_get("said")?, todo))
    }

    /// The agent's own list of things to do, as it left it in the newest run of a task.
    pub async fn todo_of(&self, task: &Task) -> anyhow::Result<Vec<TodoItem>> {
        Ok(self.progress_of(task).await?.2)
    }

    /// What is to be said of what GitHub has refused for good since the story's newest task that
    /// people are told of was asked for.
    async fn refusals(&self, story: StoryId) -> anyhow::Result<Vec<String>> {
        let found = sqlx::query_scalar(
            "SELECT refusal FROM effects WHERE story = $1 AND state = 'parked' AND refusal IS NOT NULL
               AND created_at >= COALESCE((SELECT created_at FROM shown_tasks WHERE story = $1 ORDER BY seq DESC LIMIT 1), 0)
             ORDER BY seq DESC LIMIT $2",
        )
        .bind(story.to_string())
        .bind(MAX_REFUSED)
        .fetch_all(&self.reader)
        .await?;
        Ok(found)
    }

    async fn ended_tasks(&self, story: StoryId) -> anyhow::Result<Vec<EndedTask>> {
        let found = sqlx::query(
            "SELECT state, words, pull FROM tasks WHERE story = $1 AND words IS NOT NULL
               AND state IN ('done', 'failed', 'cancelled') ORDER BY seq DESC LIMIT $2",
        )
        .bind(story.to_string())
        .bind(MAX_ENDED)
        .fetch_all(&self.reader)
        .await?;
        let read = |row: &SqliteRow| {
            let mut words: String = row.try_get("words")?;
            if let Some(pull) = rows::number_option(row, "pull")? {
                words = words.replace("#{pull}", &format!("#{pull}"));
            }
            anyhow::Ok(EndedTask { state: rows::task_state(row, "state")?, words })
        };
        found.iter().map(read).collect()
    }

    /// Records that a story has a status comment, and a digest of what it says, where that is
    /// known. `recheck` says in what time to look whether an earlier try has made a second one.
    /// What the comment says is still to be shown.
    pub async fn status_posted(
        &self,
        effect: EffectId,
        comment: CommentId,
        says: Option<&str>,
        recheck: Option<Duration>,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("status-posted").await?;
        super::effects::finish(&mut write, effect).await?;
        sqlx::query("UPDATE effects SET comment = $2, recheck_at = $3 WHERE id = $1")
            .bind(effect.to_string())
            .bind(rows::to_i64(comment.0)?)
            .bind(recheck.map(after))
            .execute(&mut *write)
            .await?;
        sqlx::query(
            "UPDATE stories SET status_comment = $2, status_digest = $3, status_tries = 0
             WHERE id = (SELECT story FROM effects WHERE id = $1) AND status_effect = $1",
        )
        .bind(effect.to_string())
        .bind(rows::to_i64(comment.0)?)
        .bind(says)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Records what a status comment shows, with its digest, and the label beside it; it is changed
    /// next after `pause` at the earliest.
    pub async fn status_shown(
        &self,
        story: StoryId,
        version: i64,
        label: Option<&str>,
        says: &str,
        pause: Duration,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("status-shown").await?;
        sqlx::query(
            "UPDATE stories SET status_shown = $2, state_label = $3, status_digest = $5, status_tries = 0,
                 status_not_before = CASE WHEN status_wanted <> $2 AND status_not_before = 0 THEN 0 ELSE $4 END
             WHERE id = $1",
        )
        .bind(story.to_string())
        .bind(version)
        .bind(label)
        .bind(after(pause))
        .bind(says)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Puts the change of a status comment off; `was_tried` where GitHub did not take it.
    pub async fn status_put_off(
        &self,
        story: StoryId,
        wait: Duration,
        was_tried: bool,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("status-put-off").await?;
        sqlx::query(
            "UPDATE stories SET status_tries = status_tries + $3, status_not_before = $2 WHERE id = $1",
        )
        .bind(story.to_string())
        .bind(after(wait))
        .bind(i64::from(was_tried))
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Gives up what a status comment should show: GitHub does not take it. The next change is
    /// tried again.
    pub async fn status_given_up(&self, story: StoryId, version: i64) -> anyhow::Result<()> {
        let mut write = self.begin("status-given-up").await?;
        sqlx::query("UPDATE stories SET status_shown = $2, status_tries = 0 WHERE id = $1")
            .bind(story.to_string())
            .bind(version)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Wants another status comment in the place of one that somebody deleted.
    pub async fn status_is_gone(&self, story: StoryId) -> anyhow::Result<()> {
        let mut write = self.begin("status-is-gone").await?;
        sqlx::query(
            "UPDATE stories SET status_effect = NULL, status_comment = NULL, status_digest = NULL, status_tries = 0 WHERE id = $1",
        )
        .bind(story.to_string())
        .execute(&mut *write)
        .await?;
        show(&mut write, story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }
}
