//! A branch was pushed to, or somebody wants a base branch brought in: the stories whose pull
//! requests go there may have to take its commits in. How that is done is the worker's matter.

use super::{EventContext, Intake, Settled};
use crate::config::FollowBase as Follow;
use crate::event::{EventRepository, Person};
use crate::ids::Sha;
use crate::message::{self, CommandRejection};
use crate::store::{Delivery, FollowBase, Heard, NewTask};
use crate::story::base::{BaseMoved, MergeReason};
use crate::story::plan::TaskMode;
use crate::story::{Choice, RunReason, Story, TaskKind, TaskRequest};

/// A branch that was pushed to.
#[derive(Debug)]
pub(super) struct Pushed {
    /// Its name.
    pub(super) branch: String,
    /// Where it is. Absent: it no longer exists.
    pub(super) after: Option<Sha>,
}

impl Intake {
    /// Takes a push. GitHub is asked something only where a story is on that branch.
    pub(super) async fn on_push(
        &self,
        delivery: &Delivery,
        place: &EventRepository,
        pushed: &Pushed,
        sender: &Person,
    ) -> anyhow::Result<Settled> {
        if pushed.after.is_none() {
            return Ok(Settled::Ignored("a branch was removed".to_owned()));
        }
        let stories = self.store.stories_on_base(&place.repo, &pushed.branch).await?;
        if stories.is_empty() {
            return Ok(Settled::Ignored(
                "a push to a branch that is not the base of a hob pull request".to_owned(),
            ));
        }
        let settings = self.settings_lately(place).await?;
        if settings.fault().is_some() {
            return Ok(Settled::Ignored("the repository's settings have errors".to_owned()));
        }
        let because = match self.config.follow_base_of(&settings.file()) {
            Follow::Never => {
                return Ok(Settled::Ignored(
                    "stories do not follow their base in this repository".to_owned(),
                ));
            }
            Follow::Always => MergeReason::Moved,
            Follow::Conflicts => MergeReason::MovedIfConflict,
        };
        tracing::info!(
            branch = pushed.branch,
            by = sender.login,
            stories = stories.len(),
            "base branch moved"
        );
        let ids: Vec<_> = stories.iter().map(|story| story.id).collect();
        let follow = FollowBase {
            guid: &delivery.guid,
            stories: &ids,
            moved: BaseMoved { rewrite: false, because },
            settings: settings.text(),
            wait: self.config.pull_request.wait,
        };
        let opened = self.store.follow_base(&follow).await?;
        Ok(Settled::Done(if opened == 0 {
            "the base branch will be merged"
        } else {
            "the base branch moved"
        }))
    }

    /// Opens a task that brings the base branch in.
    pub(super) async fn rebase(
        &self,
        on: &EventContext<'_>,
        story: Option<Story>,
        rewrite: bool,
    ) -> anyhow::Result<Settled> {
        let Some(story) = story else {
            let words = message::nothing_done(CommandRejection::NothingBegun);
            return self.reply(on, None, "eyes", words).await;
        };
        if let Some(fault) = on.settings.fault() {
            return self.decline_for_settings(on, Some(&story), Heard::Words, fault).await;
        }
        let issue = self.issue_of(&story, on.issue).await?;
        let last = self.store.asks_of(story.id).await?.pop();
        // The same agent as before: it knows the branch.
        let before = last.map(|ask| ask.choice).unwrap_or_default();
        let choice =
            Choice { agent: before.agent, model: before.model, image: before.image, ..Choice::default() };
        let about = TaskKind::Base(BaseMoved { rewrite, because: MergeReason::Asked });
        let new = NewTask {
            on: self.story_ask(on, &issue, Some(&story)),
            effects: vec![on.seen("eyes")],
            ask: TaskRequest { about, ..self.ask(on, &issue, None, choice) },
            mode: TaskMode::Work,
            turn: RunReason::Begin,
            labeled_at: None,
            settings: on.settings.text(),
        };
        self.store.open_task(&on.delivery.guid, &new).await?;
        Ok(Settled::Done("opened a task that merges the base branch"))
    }
}
