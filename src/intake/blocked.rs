//! An issue that waits for others on GitHub is not begun: hob says for which.

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Happening, Intake, Settled, is_believed};
use crate::github::{Blocker, GitHubError};
use crate::message;
use crate::store::Heard;
use crate::story::Story;

impl Intake {
    /// The open issues that this one is blocked by, as they are written in a comment. Work that was begun before is gone on
    /// with whatever it is blocked by since.
    pub(super) async fn blockers(
        &self,
        on: &Happening<'_>,
        story: Option<&Story>,
    ) -> anyhow::Result<Vec<String>> {
        if let Some(story) = story
            && !self.store.asks_of(story.id).await?.is_empty()
        {
            return Ok(Vec::new());
        }
        let repository = self.github.repository(&on.place.repo, on.place.installation).await?;
        let blockers = match repository.blocked_by(on.issue.number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => Vec::new(),
            blockers => blockers.context("asking what the issue is blocked by")?,
        };
        let named = |blocker: Blocker| match blocker.repo {
            Some(repo) if repo != on.place.repo => format!("{repo}#{}", blocker.number),
            _ => format!("#{}", blocker.number),
        };
        Ok(blockers.into_iter().filter(|blocker| blocker.is_open).map(named).collect())
    }

    /// Says that nothing is started, and what it waits for.
    pub(super) async fn decline_as_blocked(
        &self,
        on: &Happening<'_>,
        story: Option<&Story>,
        labeled_at: Option<Timestamp>,
        blockers: &[String],
    ) -> anyhow::Result<Settled> {
        let effects = [on.seen("confused"), on.say(message::blocked_by(blockers))];
        let heard = labeled_at.map_or(Heard::Words, Heard::Label);
        let about = self.story_ask(on, on.issue, story);
        self.store.only_say(&on.delivery.guid, &about, &heard, &effects).await?;
        Ok(Settled::Done("said what the issue is blocked by"))
    }
}
