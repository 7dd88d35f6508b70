//! What becomes of a story's pull request: closed and merged it ends the story, opened again the
//! story goes on. And how work begins again after that, with another pull request.

use jiff::Timestamp;

use super::effects::{NewEffect, WantedEffect, finish, want};
use super::shown::show;
use super::stories::{end, mark_stopped, note_stop};
use super::write::Write;
use super::{Effect, Stop, Store, cards, deliveries, now, retention, rows};
use crate::event::{Ending, PullTransition};
use crate::ids::{PullNumber, Repo, StoryId};
use crate::message;
use crate::story::StopReason;
use crate::story::Story;
use crate::story::pull::{PullState, next_branch};

/// What became of a story's pull request.
#[derive(Debug, Clone)]
pub struct PullUpdate {
    /// The number of the pull request.
    pub number: PullNumber,
    /// What became of it.
    pub to: PullTransition,
    /// When, by GitHub's clock.
    pub at: Timestamp,
    /// Who did it, where that is known.
    pub by: Option<String>,
    /// Whether that stops what is under way. It does not where somebody closed it who may not push.
    pub stops: bool,
    /// What became of the issue with it.
    pub ended: Option<Ending>,
    /// What is wanted then.
    pub effects: Vec<NewEffect>,
}

impl Store {
    /// Takes what became of a story's pull request, and settles the delivery that tells of it, if
    /// one does. Returns false, and leaves the delivery unsettled, where that is known already, or
    /// about a pull request that is past.
    pub async fn pull_moved(
        &self,
        guid: Option<&str>,
        story: StoryId,
        news: &PullUpdate,
    ) -> anyhow::Result<bool> {
        let mut write = self.begin("pull-moved").await?;
        let row = sqlx::query("SELECT * FROM stories WHERE id = $1")
            .bind(story.to_string())
            .fetch_one(&mut *write)
            .await?;
        let before = rows::story(&row)?;
        if !is_taken(&before, news) {
            write.undo().await?;
            return Ok(false);
        }
        sqlx::query(
            "UPDATE stories SET pull_state = $3, pull_moved_at = $4, pull_moved_by = $5, updated_at = $6, pull = $2,
                 past_pull = NULLIF(past_pull, $2) WHERE id = $1",
        )
        .bind(story.to_string())
        .bind(rows::to_i64(news.number.0)?)
        .bind(PullState::from(news.to).as_str())
        .bind(news.at.as_millisecond())
        .bind(&news.by)
        .bind(now())
        .execute(&mut *write)
        .await?;
        if news.stops && news.to != PullTransition::Reopened {
            let by = news.by.clone().unwrap_or_default();
            let is_adopted = before.is_adopted();
            let reason = StopReason::Pull { to: news.to, by, is_adopted };
            let stop = Stop { reason, at: news.at };
            mark_stopped(&mut write, story, &stop).await?;
            note_stop(&mut write, story, &stop).await?;
            cards::close_cards(&mut write, story).await?;
        }
        if news.to == PullTransition::Merged {
            retention::want_left_work_saved(&mut write, story).await?;
        }
        if let Some(ending) = news.ended {
            end(&mut write, story, ending).await?;
        }
        want(&mut write, story, &news.effects).await?;
        show(&mut write, story).await?;
        if let Some(guid) = guid {
            deliveries::settle(&mut write, guid, "done", "the pull request changed state").await?;
        }
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Takes where a story's open pull request goes, as GitHub says: people may have it go
    /// elsewhere than it was opened for. Settles the delivery that tells of it, if one does.
    /// Returns whether that was news.
    pub async fn pull_goes_to(
        &self,
        guid: Option<&str>,
        story: StoryId,
        pull: PullNumber,
        base: &str,
    ) -> anyhow::Result<bool> {
        let mut write = self.begin("pull-goes-to").await?;
        let changed = sqlx::query(
            "UPDATE stories SET base_branch = $3, updated_at = $4
             WHERE id = $1 AND pull = $2 AND pull_state IS NULL AND base_branch <> $3",
        )
        .bind(story.to_string())
        .bind(rows::to_i64(pull.0)?)
        .bind(base)
        .bind(now())
        .execute(&mut *write)
        .await?;
        if let Some(guid) = guid {
            deliveries::settle(&mut write, guid, "done", "the base branch of the pull request changed")
                .await?;
        }
        write.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Gives up a pull request that was wanted: people have closed or merged it since, and nobody
    /// has asked for another.
    pub async fn not_proposed(&self, effect: &WantedEffect) -> anyhow::Result<()> {
        let mut write = self.begin("not-proposed").await?;
        finish(&mut write, effect.id).await?;
        show(&mut write, effect.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Records that a branch of a story no longer exists.
    pub async fn branch_gone(&self, effect: &WantedEffect, branch: &str) -> anyhow::Result<()> {
        let mut write = self.begin("branch-gone").await?;
        finish(&mut write, effect.id).await?;
        sqlx::query("UPDATE stories SET remote_head = NULL, updated_at = $3 WHERE id = $1 AND branch = $2")
            .bind(effect.story.to_string())
            .bind(branch)
            .bind(now())
            .execute(&mut *write)
            .await?;
        show(&mut write, effect.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// The stories of a repository that have a pull request, or had one.
    pub async fn stories_with_pulls(&self, repo: &Repo) -> anyhow::Result<Vec<Story>> {
        let found = sqlx::query(
            "SELECT * FROM stories WHERE repo_key = $1 AND (pull IS NOT NULL OR past_pull IS NOT NULL)",
        )
        .bind(repo.key())
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(rows::story).collect()
    }
}

/// Whether news about a pull request is about the story's own, and news. One that was closed, and
/// in whose place no other is yet, can be opened again.
fn is_taken(story: &Story, news: &PullUpdate) -> bool {
    if story.pull == Some(news.number) {
        return story.is_news(news.to, news.at);
    }
    let was_closed = Some((news.number, PullState::Closed));
    let is_later = story.pull_moved_at.is_none_or(|moved| news.at >= moved);
    story.pull.is_none() && story.past_pull == was_closed && news.to == PullTransition::Reopened && is_later
}

/// Work begins again: where the pull request was closed or merged, there will be another. What was
/// merged is in, so that its branch is not gone on with, whether it exists or not; nor is a
/// workspace that builds on its commits, which a squash leaves out of the base.
pub(super) async fn start_over(write: &mut Write, story: StoryId, first_branch: &str) -> anyhow::Result<()> {
    let row = sqlx::query("SELECT * FROM stories WHERE id = $1")
        .bind(story.to_string())
        .fetch_one(&mut **write)
        .await?;
    let before = rows::story(&row)?;
    if before.pull_state == PullState::Open {
        return Ok(());
    }
    // What was said about the tasks so far is about this one.
    sqlx::query("UPDATE tasks SET pull = $2 WHERE story = $1 AND words IS NOT NULL AND pull IS NULL")
        .bind(story.to_string())
        .bind(before.pull.map(|pull| rows::to_i64(pull.0)).transpose()?)
        .execute(&mut **write)
        .await?;
    sqlx::query(
        "UPDATE stories SET past_pull = pull, past_pull_state = pull_state, pull_since = $2, pull = NULL, pull_state = NULL,
             pull_draft = NULL, pull_title = NULL, pull_unfinished = 0, fixes_told_at = NULL
         WHERE id = $1",
    )
    .bind(story.to_string())
    .bind(now())
    .execute(&mut **write)
    .await?;
    if before.pull_state == PullState::Merged {
        sqlx::query("UPDATE stories SET branch = $2, remote_head = NULL WHERE id = $1")
            .bind(story.to_string())
            .bind(next_branch(first_branch, &before.branch))
            .execute(&mut **write)
            .await?;
        if retention::give_up_left_work(write, story).await? {
            let body = message::left_work_given_up();
            let told = Effect::Comment { on: before.issue, body };
            want(write, story, &[NewEffect::new(told)]).await?;
        }
    }
    Ok(())
}
