//! Reviews: each becomes a task, or joins the one that waits for more of them. Which of the two is
//! decided by one write at a time, so that none is lost and none counts twice. A task has begun
//! once a worker holds it or has made a run of it; then nothing is added to it any more. Also what
//! hob has applied of a review's suggestions by itself.

use std::time::Duration;

use anyhow::Context as _;
use sqlx::sqlite::SqliteRow;

use super::effects::want;
use super::shown::show;
use super::stories::{NewTask, ensure_story};
use super::tasks::{Queued, hold, queue};
use super::write::Write;
use super::{Store, after, deliveries, now, rows};
use crate::event::Verdict;
use crate::ids::{Repo, ReviewId, StoryId, TaskId};
use crate::story::review::{Applied, AppliedSuggestions, ReviewBatch, Source};
use crate::story::{Story, Task, TaskKind, TaskRequest};

/// In all, a round waits no longer for more than so many times what it waits for one.
const MAX_WAITS: u32 = 10;

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewTaken {
    /// It is a task of its own.
    Opened,
    /// It is a part of a task that has not begun.
    Joined,
    /// It was taken up before.
    Known,
}

impl Store {
    /// Takes a review up: `new` asks for a round of this review alone. It begins after `wait`,
    /// counted from the last that joins. An approval takes the place of what its author has said
    /// before.
    pub async fn take_review(
        &self,
        guid: &str,
        new: &NewTask,
        wait: Duration,
    ) -> anyhow::Result<ReviewTaken> {
        let TaskKind::Review(round) = &new.ask.about else { anyhow::bail!("the task is not about a review") };
        let mut write = self.begin("take-review").await?;
        let story = ensure_story(&mut write, &new.on).await?;
        if is_known(&mut write, story, round).await? {
            deliveries::settle(&mut write, guid, "done", "the review was already handled").await?;
            write.commit().await?;
            return Ok(ReviewTaken::Known);
        }
        let waiting = waiting_round(&mut write, story).await?;
        let taken = if waiting.is_some() { ReviewTaken::Joined } else { ReviewTaken::Opened };
        match waiting {
            Some((task, mut ask, mut all)) => {
                for review in &round.reviews {
                    if let Source::Review { id, verdict: Verdict::Approved } = review.source {
                        all = all.without(&review.by, id);
                    }
                }
                all.reviews.extend(round.reviews.iter().cloned());
                ask.about = TaskKind::Review(all);
                join(&mut write, task, &ask, new.settings.as_deref(), wait).await?;
            }
            None => open(&mut write, guid, story, new, wait).await?,
        }
        sqlx::query("UPDATE stories SET ended = NULL WHERE id = $1")
            .bind(story.to_string())
            .execute(&mut *write)
            .await?;
        want(&mut write, story, &new.effects).await?;
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "opened a task for a review").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(taken)
    }

    /// Takes out of the round that waits what somebody has said who approves now. If nothing is
    /// left in it, it is over, with these words. Returns false, and leaves the delivery unsettled,
    /// where there is nothing of theirs.
    pub async fn take_approval(
        &self,
        guid: &str,
        story: StoryId,
        (by, approval): (&str, ReviewId),
        words: &str,
    ) -> anyhow::Result<bool> {
        let mut write = self.begin("take-approval").await?;
        let Some((task, mut ask, round)) = waiting_round(&mut write, story).await? else {
            write.undo().await?;
            return Ok(false);
        };
        let rest = round.without(by, approval);
        if rest == round {
            write.undo().await?;
            return Ok(false);
        }
        let is_over = rest.reviews.is_empty();
        if !is_over {
            ask = about_the_rest(ask, rest);
        }
        sqlx::query(
            "UPDATE tasks SET ask = $2, fence = fence + 1, updated_at = $3,
                 state = CASE WHEN $4 THEN 'done' ELSE state END, words = CASE WHEN $4 THEN $5 ELSE words END
             WHERE id = $1",
        )
        .bind(task.to_string())
        .bind(rows::to_json(&ask)?)
        .bind(now())
        .bind(is_over)
        .bind(words)
        .execute(&mut *write)
        .await?;
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "handled an approval").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Writes down what is left of a task's round.
    pub async fn note_round(&self, task: &Task, rest: ReviewBatch) -> anyhow::Result<Task> {
        self.rewrite_ask("note-round", task, about_the_rest(task.ask.clone(), rest)).await
    }

    /// The story that works on a branch and has no pull request that is recorded yet.
    pub async fn unproposed_story_on(&self, repo: &Repo, branch: &str) -> anyhow::Result<Option<Story>> {
        let row = sqlx::query("SELECT * FROM stories WHERE repo_key = $1 AND branch = $2 AND pull IS NULL")
            .bind(repo.key())
            .bind(branch)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(rows::story).transpose()
    }

    /// The story whose branch this is.
    pub async fn story_on_branch(&self, repo: &Repo, branch: &str) -> anyhow::Result<Option<Story>> {
        let row = sqlx::query(
            "SELECT * FROM stories WHERE repo_key = $1 AND branch = $2 AND EXISTS (SELECT 1 FROM tasks WHERE story = stories.id)",
        )
        .bind(repo.key())
        .bind(branch)
        .fetch_optional(&self.reader)
        .await?;
        row.as_ref().map(rows::story).transpose()
    }

    /// What hob has applied of a task's suggestions, or is about to push.
    pub async fn suggested(&self, task: TaskId) -> anyhow::Result<Option<AppliedSuggestions>> {
        let row = sqlx::query("SELECT suggested FROM tasks WHERE id = $1 AND suggested IS NOT NULL")
            .bind(task.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(|row| rows::json(row, "suggested")).transpose()
    }

    /// The suggestions that were applied and pushed in all of a story's tasks: a task that is done
    /// again has them too.
    pub async fn applied_suggestions(&self, story: StoryId) -> anyhow::Result<Applied> {
        let found = sqlx::query(
            "SELECT suggested FROM tasks WHERE story = $1 AND suggested IS NOT NULL ORDER BY seq",
        )
        .bind(story.to_string())
        .fetch_all(&self.reader)
        .await?;
        let mut applied = Applied::default();
        for row in &found {
            let suggested: AppliedSuggestions = rows::json(row, "suggested")?;
            applied.0.extend(suggested.applied.into_iter().filter(|_| suggested.is_pushed));
        }
        Ok(applied)
    }

    /// Writes down what hob applies of a task's suggestions: before the push, and once more after
    /// it.
    pub async fn note_suggested(&self, task: &Task, suggested: &AppliedSuggestions) -> anyhow::Result<()> {
        let mut write = self.begin("note-suggested").await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET suggested = $2 WHERE id = $1")
            .bind(task.id.to_string())
            .bind(rows::to_json(suggested)?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

/// What is asked for, where some of its reviews are taken out: by somebody whose review is left.
fn about_the_rest(mut ask: TaskRequest, rest: ReviewBatch) -> TaskRequest {
    let is_left = |login: &str| rest.reviews.iter().any(|review| review.by.eq_ignore_ascii_case(login));
    if !is_left(&ask.by)
        && let Some(first) = rest.reviews.first()
    {
        (ask.by, ask.by_id) = (first.by.clone(), first.by_id);
    }
    ask.about = TaskKind::Review(rest);
    ask
}

fn round_of(row: &SqliteRow) -> anyhow::Result<(TaskRequest, ReviewBatch)> {
    let ask: TaskRequest = rows::json(row, "ask")?;
    let round = match &ask.about {
        TaskKind::Review(round) => round.clone(),
        _ => ReviewBatch::default(),
    };
    Ok((ask, round))
}

async fn is_known(write: &mut Write, story: StoryId, new: &ReviewBatch) -> anyhow::Result<bool> {
    let found = sqlx::query("SELECT ask FROM tasks WHERE story = $1 AND about = 'review'")
        .bind(story.to_string())
        .fetch_all(&mut **write)
        .await?;
    for row in &found {
        let (_, round) = round_of(row)?;
        if new.reviews.iter().any(|review| round.has(review.source)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The story's task about reviews that has not begun, with what it is about.
async fn waiting_round(
    write: &mut Write,
    story: StoryId,
) -> anyhow::Result<Option<(TaskId, TaskRequest, ReviewBatch)>> {
    let row = sqlx::query(
        "SELECT id, ask FROM tasks AS t
         WHERE story = $1 AND about = 'review' AND state = 'queued' AND stop_why IS NULL AND lease_until <= $2
           AND NOT EXISTS (SELECT 1 FROM runs WHERE task = t.id) AND suggested IS NULL
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(story.to_string())
    .bind(now())
    .fetch_optional(&mut **write)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (ask, round) = round_of(&row)?;
    Ok(Some((rows::parsed(&row, "id")?, ask, round)))
}

/// A worker whose lease has run out may still think that it has the task: with another fence it has
/// not.
async fn join(
    write: &mut Write,
    task: TaskId,
    ask: &TaskRequest,
    settings: Option<&str>,
    wait: Duration,
) -> anyhow::Result<()> {
    let longest = i64::try_from((wait * MAX_WAITS).as_millis()).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE tasks SET ask = $2, settings = $3, fence = fence + 1, updated_at = $4,
             not_before = MAX(CASE WHEN waits_for IS NULL THEN 0 ELSE not_before END, MIN($5, created_at + $6))
         WHERE id = $1",
    )
    .bind(task.to_string())
    .bind(rows::to_json(ask)?)
    .bind(settings)
    .bind(now())
    .bind(after(wait))
    .bind(longest)
    .execute(&mut **write)
    .await?;
    Ok(())
}

async fn open(
    write: &mut Write,
    guid: &str,
    story: StoryId,
    new: &NewTask,
    wait: Duration,
) -> anyhow::Result<()> {
    let queued = Queued { wait, ..Queued::asked(story, guid, new) };
    queue(write, &queued).await?.context("queueing a second task for a delivery")?;
    Ok(())
}
