//! Repositories' settings, as far as they are kept: the text that a task was asked for with, and of
//! which faulty version people were told on an issue.

use super::effects::{NewEffect, want};
use super::stories::{ensure_story, note_heard};
use super::write::Write;
use super::{Heard, Store, StoryAsk, deliveries};
use crate::ids::{StoryId, TaskId};

impl Store {
    /// The text of the repository's settings as it was when a task was asked for, where there was
    /// one.
    pub async fn settings_of(&self, task: TaskId) -> anyhow::Result<Option<String>> {
        let text = sqlx::query_scalar("SELECT settings FROM tasks WHERE id = $1")
            .bind(task.to_string())
            .fetch_one(&self.reader)
            .await?;
        Ok(text)
    }

    /// Settles a delivery that asked for work which a mistake in the repository's settings keeps
    /// from starting. `seen` is wanted each time, `said` only where this version of the file was
    /// not told of on that issue.
    pub async fn tell_settings_fault(
        &self,
        guid: &str,
        on: &StoryAsk,
        heard: &Heard,
        version: &str,
        (seen, said): (NewEffect, NewEffect),
    ) -> anyhow::Result<()> {
        let mut write = self.begin("tell-settings-fault").await?;
        let story = ensure_story(&mut write, on).await?;
        note_heard(&mut write, story, heard).await?;
        want(&mut write, story, &[seen]).await?;
        want_once(&mut write, story, version, said).await?;
        deliveries::settle(&mut write, guid, "done", "the repository's settings have errors").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Settles a delivery that nothing comes of for such a mistake, and says so once for this
    /// version of the file on this story.
    pub async fn tell_fault_once(
        &self,
        guid: &str,
        story: StoryId,
        version: &str,
        said: NewEffect,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("tell-fault-once").await?;
        want_once(&mut write, story, version, said).await?;
        deliveries::settle(&mut write, guid, "done", "the repository's settings have errors").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }
}

/// Has something said about a version of the file, unless it was said of it on this story before.
async fn want_once(write: &mut Write, story: StoryId, version: &str, said: NewEffect) -> anyhow::Result<()> {
    let is_new = sqlx::query(
        "UPDATE stories SET settings_told = $2 WHERE id = $1 AND COALESCE(settings_told, '') <> $2",
    )
    .bind(story.to_string())
    .bind(version)
    .execute(&mut **write)
    .await?;
    if is_new.rows_affected() == 1 {
        want(write, story, &[said]).await?;
    }
    Ok(())
}
