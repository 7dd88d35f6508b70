//! Base branches that move: the stories that follow them, the tasks that nobody has asked for, and
//! the push of a task without a run.

use std::time::Duration;

use super::tasks::{Queued, hold, queue};
use super::{Store, deliveries, rows};
use crate::agent::FailureClass;
use crate::ids::{Repo, StoryId};
use crate::story::base::{AboutToPush, BaseMoved};
use crate::story::plan::TaskMode;
use crate::story::{RunReason, Story, Task, TaskKind, TaskRequest, publishes_again};

/// A base branch that has moved on, for the stories that follow it.
#[derive(Debug)]
pub struct FollowBase<'a> {
    /// The delivery that tells of it.
    pub guid: &'a str,
    /// The stories.
    pub stories: &'a [StoryId],
    /// What is to be done.
    pub moved: BaseMoved,
    /// The text of the repository's settings, for the worker to go by.
    pub settings: Option<String>,
    /// How long more of the same is waited for.
    pub wait: Duration,
}

impl Store {
    /// The stories whose open pull requests, hob's own, go to a branch. What was cut short follows
    /// no base before it is gone on with.
    pub async fn stories_on_base(&self, repo: &Repo, base: &str) -> anyhow::Result<Vec<Story>> {
        let found = sqlx::query(
            "SELECT * FROM stories WHERE repo_key = $1 AND base_branch = $2 AND pull <> issue AND pull_state IS NULL AND pull_unfinished = 0
               AND ended IS NULL
             ORDER BY created_at, id",
        )
        .bind(repo.key())
        .bind(base)
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(rows::story).collect()
    }

    /// The branches that such pull requests of a repository go to.
    pub async fn bases_of(&self, repo: &Repo) -> anyhow::Result<Vec<String>> {
        let found = sqlx::query_scalar(
            "SELECT DISTINCT base_branch FROM stories WHERE repo_key = $1 AND pull <> issue AND pull_state IS NULL AND pull_unfinished = 0 AND ended IS NULL",
        );
        Ok(found.bind(repo.key()).fetch_all(&self.reader).await?)
    }

    /// Opens a task for each story that has none of the kind that waits to be begun. Tells how
    /// many. A story whose agent is at work gets it too, for when that is over. Nobody is told of a
    /// task of these before something comes of it.
    pub async fn follow_base(&self, follow: &FollowBase<'_>) -> anyhow::Result<u64> {
        let mut write = self.begin("follow-base").await?;
        let mut opened = 0;
        for story in follow.stories {
            // The newest words that were asked for are what the branch is about.
            let last = sqlx::query(
                "SELECT * FROM tasks WHERE story = $1 AND NOT EXISTS (
                     SELECT 1 FROM tasks AS t WHERE t.story = $1 AND t.about = 'base' AND t.state = 'queued'
                       AND t.stop_why IS NULL AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.task = t.id))
                 ORDER BY seq DESC LIMIT 1",
            )
            .bind(story.to_string())
            .fetch_optional(&mut *write)
            .await?;
            let Some(last) = last.as_ref().map(rows::task).transpose()? else { continue };
            let about = TaskKind::Base(follow.moved.clone());
            let ask = TaskRequest { text: None, on: None, about, ..last.ask };
            let queued = Queued {
                story: *story,
                // One delivery can be about many stories.
                delivery: &format!("{}/{story}", follow.guid),
                ask: &ask,
                mode: TaskMode::Work,
                turn: &RunReason::Begin,
                settings: follow.settings.as_deref(),
                wait: follow.wait,
                is_quiet: true,
            };
            opened += u64::from(queue(&mut write, &queued).await?.is_some());
        }
        deliveries::settle(&mut write, follow.guid, "done", "the base branch of stories moved").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        Ok(opened)
    }

    /// The newest task of a story, but for those that have brought its base in: what is done again,
    /// or gone on with, is before them.
    pub async fn last_task(&self, story: StoryId) -> anyhow::Result<Option<Task>> {
        let row = sqlx::query(
            "SELECT * FROM tasks WHERE story = $1 AND NOT (about IS 'base' AND state = 'done') ORDER BY seq DESC LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::task).transpose()
    }

    /// Notes that people have given a story's base branch another name. Its pull request, where it
    /// has one, GitHub has taken along.
    pub async fn base_is_called(&self, task: &Task, name: &str) -> anyhow::Result<()> {
        let mut write = self.begin("base-is-called").await?;
        hold(&mut write, task).await?;
        sqlx::query(
            "UPDATE stories SET base_branch = $2, root_branch = CASE WHEN root_branch = base_branch THEN $2 ELSE root_branch END
             WHERE id = $1",
        )
        .bind(task.story.to_string())
        .bind(name)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Whether a person has chosen the branch that a story's pull request goes to.
    pub async fn is_base_chosen(&self, story: StoryId) -> anyhow::Result<bool> {
        let chosen: i64 = sqlx::query_scalar("SELECT base_chosen FROM stories WHERE id = $1")
            .bind(story.to_string())
            .fetch_one(&self.reader)
            .await?;
        Ok(chosen == 1)
    }

    /// Whether a task is over, and is tried again by publishing what its last run made.
    pub async fn is_to_publish_again(&self, task: &Task) -> anyhow::Result<bool> {
        let failure: Option<String> = sqlx::query_scalar(
            "SELECT failure FROM tasks WHERE id = $1 AND state = 'failed' AND mode = 'work'",
        )
        .bind(task.id.to_string())
        .fetch_optional(&self.reader)
        .await?
        .flatten();
        let class = failure.and_then(|failure| failure.parse::<FailureClass>().ok());
        let end = self.latest_run(task).await?.and_then(|run| run.end);
        Ok(class.zip(end).is_some_and(|(class, end)| publishes_again(class, &end.outcome)))
    }

    /// Writes down what a task is about to push.
    pub async fn note_push(&self, task: &Task, push: &AboutToPush) -> anyhow::Result<()> {
        let mut write = self.begin("note-push").await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET about_to_push = $2 WHERE id = $1")
            .bind(task.id.to_string())
            .bind(rows::to_json(push)?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// What a task was about to push when it was taken up last.
    pub async fn noted_push(&self, task: &Task) -> anyhow::Result<Option<AboutToPush>> {
        let noted =
            sqlx::query("SELECT about_to_push FROM tasks WHERE id = $1 AND about_to_push IS NOT NULL")
                .bind(task.id.to_string())
                .fetch_optional(&self.reader)
                .await?;
        noted.as_ref().map(|row| rows::json(row, "about_to_push")).transpose()
    }
}
