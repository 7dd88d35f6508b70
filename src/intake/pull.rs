//! A pull request of hob's was closed, merged or opened again: that ends the story, or has it go
//! on. hob closes nothing itself.

use jiff::Timestamp;

use super::{EventContext, Intake, Settled, is_believed};
use crate::event::{Ending, EventRepository, Pull, PullTransition};
use crate::github::{GitHubError, Permission};
use crate::ids::{IssueNumber, PullNumber, Sha};
use crate::store::{Delivery, Effect, NewEffect, PullUpdate};
use crate::story::Story;
use crate::story::pull::PullState;

/// An issue that is closed by a merge is closed within this time of it.
const SAME_ACT: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// What was merged.
struct Merged<'a> {
    number: PullNumber,
    head: &'a str,
    head_sha: &'a Sha,
    base: &'a str,
    at: Timestamp,
    by: Option<String>,
}

impl Intake {
    /// Takes what became of a pull request.
    pub(super) async fn on_pull_moved(
        &self,
        on: &EventContext<'_>,
        pull: &Pull,
        to: PullTransition,
        at: Timestamp,
    ) -> anyhow::Result<Settled> {
        let story = self.store.story_at(&on.place.repo, on.issue.number).await?;
        let is_own = |story: &Story| {
            story.pull == Some(pull.number) || story.past_pull.is_some_and(|(past, _)| past == pull.number)
        };
        let Some(story) = story.filter(is_own) else {
            return Ok(Settled::Ignored("a pull request that is not hob's".to_owned()));
        };
        let by = Some(on.sender.login.clone());
        let news = match to {
            PullTransition::Merged => {
                let merged = Merged {
                    number: pull.number,
                    head: &pull.head,
                    head_sha: &pull.head_sha,
                    base: &pull.base,
                    at,
                    by,
                };
                self.merged(on, &story, merged, None).await?
            }
            PullTransition::Closed | PullTransition::Reopened => {
                // It is closed, no matter who did it. What is under way stops only those may who
                // may push.
                let stops = to == PullTransition::Closed
                    && self.may_not_command(on, Permission::Write).await?.is_none();
                PullUpdate { number: pull.number, to, at, by, stops, ended: None, effects: Vec::new() }
            }
        };
        self.take(on, &story, &news).await
    }

    /// Takes that a pull request goes to another branch. Deliveries come in any order: where it
    /// goes now is asked for.
    pub(super) async fn on_retarget(
        &self,
        delivery: &Delivery,
        place: &EventRepository,
        pull: &Pull,
    ) -> anyhow::Result<Settled> {
        let story = self.store.story_at(&place.repo, IssueNumber(pull.number.0)).await?;
        let Some(story) = story.filter(|story| story.open_pull() == Some(pull.number)) else {
            return Ok(Settled::Ignored("a pull request that is not hob's, or is finished".to_owned()));
        };
        let repository = self.github.repository(&place.at()).await?;
        let now = match repository.pull_facts(pull.number).await {
            Err(GitHubError::NotFound) if is_believed(delivery) => {
                return Ok(Settled::Ignored("the pull request no longer exists".to_owned()));
            }
            now => now?,
        };
        self.store.pull_goes_to(Some(&delivery.guid), story.id, pull.number, &now.base).await?;
        tracing::info!(story = %story.id, pull = %pull.number, base = now.base, "base branch of the pull request changed");
        Ok(Settled::Done("the base branch of the pull request changed"))
    }

    /// Takes the end of an issue as the good end that it is, where a merge of the story's pull
    /// request has closed it. Nothing where it has not.
    pub(super) async fn closed_by_merge(
        &self,
        on: &EventContext<'_>,
        story: &Story,
        at: Timestamp,
    ) -> anyhow::Result<Option<Settled>> {
        let merged_before = story.past_pull.is_some_and(|(_, state)| state == PullState::Merged);
        let is_of_it = |merge: Timestamp| at.duration_since(merge) <= SAME_ACT;
        if merged_before && story.pull_moved_at.is_some_and(is_of_it) {
            return Ok(Some(Settled::Ignored(
                "a merge closed the issue, but new work has started since".to_owned(),
            )));
        }
        let Some(number) = story.pull.filter(|_| story.pull_state == PullState::Open) else {
            return Ok(None);
        };
        let repository = self.github.repository(&on.place.at()).await?;
        let pull = match repository.pull_facts(number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => return Ok(None),
            pull => pull?,
        };
        if pull.over != Some(PullTransition::Merged) {
            return Ok(None);
        }
        let merged = Merged {
            number,
            head: &pull.head,
            head_sha: &pull.head_sha,
            base: &pull.base,
            at: pull.at,
            by: pull.merged_by.map(|by| by.login),
        };
        let news = self.merged(on, story, merged, Some(Ending::Closed)).await?;
        Ok(Some(self.take(on, story, &news).await?))
    }

    async fn take(&self, on: &EventContext<'_>, story: &Story, news: &PullUpdate) -> anyhow::Result<Settled> {
        if !self.store.pull_moved(Some(&on.delivery.guid), story.id, news).await? {
            return Ok(Settled::Ignored("already known, or about an earlier pull request".to_owned()));
        }
        tracing::info!(story = %story.id, repo = %story.repo, pull = %news.number, to = news.to.as_str(), "pull request \
            changed state");
        Ok(Settled::Done("the pull request changed state"))
    }

    /// What follows from a merge. The branch goes where the settings say so, and never one that
    /// others work on.
    async fn merged(
        &self,
        on: &EventContext<'_>,
        story: &Story,
        merged: Merged<'_>,
        ended: Option<Ending>,
    ) -> anyhow::Result<PullUpdate> {
        let settings = self.settings(on.place, on.began).await?;
        let is_own = story.is_own_branch(merged.head, merged.base, Some(&on.place.default_branch));
        let effects = if is_own && self.config.deletes_branch(&settings.file()) {
            let (branch, head) = (merged.head.to_owned(), merged.head_sha.clone());
            vec![NewEffect::new(Effect::DeleteBranch { branch, head })]
        } else {
            Vec::new()
        };
        let Merged { number, at, by, .. } = merged;
        Ok(PullUpdate { number, to: PullTransition::Merged, at, by, stops: true, ended, effects })
    }
}
