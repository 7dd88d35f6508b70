//! The folders of stories: workspace, home and exchange go when nothing has happened on a story for
//! long, or when all of them together take up too much; work that was not pushed is pushed before.
//! A story that waits or works keeps everything, and one that is taken up at the same moment wins:
//! its folders are put away while the store is held.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::sizes::MeasuredSizes;
use super::{Sweep, age, blocking, is_over, remove};
use crate::git::Mirror;
use crate::ids::StoryId;
use crate::paths::{self, StoryPaths};
use crate::store::{SaveState, StoredStory};

/// What became of a story's folders that should go.
#[derive(Debug, PartialEq, Eq)]
enum Removal {
    /// They are gone.
    Gone,
    /// They go as soon as a worker has pushed what is in there.
    Soon,
    /// They stay for now: what is in there cannot be pushed, or somebody took the story up.
    Kept,
}

impl Sweep {
    pub(super) async fn folders(&self, sizes: &mut MeasuredSizes) -> anyhow::Result<()> {
        // The folders first: a story has its row before it has a folder.
        let folder = self.data.stories();
        let there: Vec<StoryId> = blocking(move || paths::ids_in(&folder)).await?;
        let with_session = self.store.stories_with_session().await?;
        // Those that have something on disk, or should have: what is long gone costs nothing.
        let ids: BTreeSet<String> = there.iter().chain(&with_session).map(ToString::to_string).collect();
        let mut stories = Vec::new();
        for id in ids {
            let id: StoryId = id.parse()?;
            match self.store.kept_story(id).await? {
                Some(story) => stories.push(story),
                None => {
                    tracing::info!(story = %id, "removing folders of an unknown story");
                    remove(self.data.story(id).folder).await?;
                }
            }
        }
        stories.sort_by_key(|story| (story.touched, story.id.to_string()));
        let mut kept = Vec::new();
        for story in stories {
            self.tidy(&story).await?;
            let folder = self.data.story(story.id).folder;
            if folder.exists() {
                let size = sizes.measure(&folder, self.stamp(&story)).await?;
                kept.push((story, size));
            }
        }
        self.give_up_old(kept, sizes).await
    }

    /// Puts right what a hob that died, or failed, left half done on a story that is idle.
    async fn tidy(&self, story: &StoredStory) -> anyhow::Result<()> {
        let paths = self.data.story(story.id);
        if story.is_busy {
            return Ok(());
        }
        if places(&paths).iter().any(|place| paths::is_gone(place)) {
            self.remove_put_away(story).await?;
        }
        let drafts = [&paths.workspace, &paths.home].map(|made| paths::draft(made));
        let mut unneeded: Vec<PathBuf> = drafts.into_iter().filter(|draft| draft.exists()).collect();
        if !story.has_unpushed_work {
            // Handed over: what lies beside the workspace was for the run in it.
            let of_the_run = [&paths.workspace, &paths.exchange, &paths.settings];
            unneeded.extend(of_the_run.into_iter().filter(|folder| folder.exists()).cloned());
        }
        if !unneeded.is_empty() {
            tracing::info!(story = %story.id, ?unneeded, "removing unneeded folders");
            self.put_away(story, unneeded, false).await?;
        }
        let has_lost_home = story.has_session && !paths.home.exists();
        if has_lost_home && let Some(held) = self.store.hold_idle(story).await? {
            held.forget_session().await?;
        }
        Ok(())
    }

    async fn give_up_old(
        &self,
        stories: Vec<(StoredStory, u64)>,
        sizes: &mut MeasuredSizes,
    ) -> anyhow::Result<()> {
        let keep = &self.config.keep;
        // A worker that is at a story which is over removes what is in there.
        let stays = |story: &StoredStory| !(story.is_busy && story.is_over);
        let staying = stories.iter().filter(|(story, _)| stays(story));
        let mut total: u64 = staying.map(|(_, size)| size).sum();
        for (story, size) in stories {
            let is_wanted = age(story.touched) < keep.workspaces.0 && !is_over(total, keep.workspaces_size);
            if is_wanted || story.is_busy {
                continue;
            }
            match self.give_up(&story).await? {
                Removal::Gone => {
                    tracing::info!(story = %story.id, size, "removing a story's folders");
                    sizes.forget(&self.data.story(story.id).folder);
                    total -= size;
                }
                Removal::Soon => total -= size,
                Removal::Kept => {}
            }
        }
        Ok(())
    }

    async fn give_up(&self, story: &StoredStory) -> anyhow::Result<Removal> {
        let paths = self.data.story(story.id);
        let limit = self.config.keep.workspaces.0;
        if story.has_unpushed_work && paths.workspace.exists() {
            let since = match story.saving {
                None => {
                    let is_wanted = self.store.want_work_saved(story.id).await?;
                    return Ok(if is_wanted { Removal::Soon } else { Removal::Kept });
                }
                Some(SaveState::Wanted { since } | SaveState::Refused { since }) => since,
            };
            if age(story.touched) < limit.saturating_mul(2) || age(since) < limit {
                let is_refused = matches!(story.saving, Some(SaveState::Refused { .. }));
                return Ok(if is_refused { Removal::Kept } else { Removal::Soon });
            }
            tracing::warn!(story = %story.id, "removing work that could not be pushed");
        }
        let is_gone = self.put_away(story, vec![paths.folder], true).await?;
        Ok(if is_gone { Removal::Gone } else { Removal::Kept })
    }

    /// Takes folders of a story out of use, if nobody has taken it up since, and removes them.
    /// Where its home is among them the session goes too.
    async fn put_away(
        &self,
        story: &StoredStory,
        folders: Vec<PathBuf>,
        with_home: bool,
    ) -> anyhow::Result<bool> {
        let before = folders.clone();
        blocking(move || before.iter().try_for_each(|folder| paths::remove_gone(folder))).await?;
        let Some(held) = self.store.hold_idle(story).await? else { return Ok(false) };
        for folder in &folders {
            paths::put_away(folder)?;
        }
        if with_home {
            held.forget_session().await?
        } else {
            held.let_go().await?
        }
        self.remove_put_away(story).await?;
        Ok(true)
    }

    /// Removes what was put away of a story, and lets go of what its workspace borrowed from the
    /// mirror, unless it has another one by now.
    async fn remove_put_away(&self, story: &StoredStory) -> anyhow::Result<()> {
        let paths = self.data.story(story.id);
        let (mirror, id) = (self.data.mirror(&story.mirror), story.id);
        blocking(move || {
            let has_workspace = paths.workspace.exists() || paths::draft(&paths.workspace).exists();
            if !has_workspace && mirror.exists() {
                Mirror::ensure(&mirror)?.unpin(id)?;
            }
            places(&paths).iter().try_for_each(|place| paths::remove_gone(place))
        })
        .await
    }

    /// Changes whenever what the folders of a story take up can have changed. None: it may change
    /// at any moment.
    fn stamp(&self, story: &StoredStory) -> Option<String> {
        let paths = self.data.story(story.id);
        let there = [paths.workspace.exists(), paths.home.exists()];
        (!story.is_busy).then(|| format!("{} {there:?}", story.touched))
    }
}

/// What of a story may have been put away: each folder by itself, or all of them together.
fn places(paths: &StoryPaths) -> [PathBuf; 6] {
    let [workspace, home] = [&paths.workspace, &paths.home].map(|made| paths::draft(made));
    let [exchange, settings] = [&paths.exchange, &paths.settings].map(PathBuf::clone);
    [paths.workspace.clone(), workspace, home, exchange, settings, paths.folder.clone()]
}
