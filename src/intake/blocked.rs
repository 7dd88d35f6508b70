//! An issue that waits for others on GitHub is begun when the last of them is closed: hob says for
//! which it waits, keeps what was asked for as it was, and asks GitHub again when one of them ends
//! and every few minutes, since not every end is told of. What people may do, and the repository's
//! settings, count as they are when it begins.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::commands::TaskDraft;
use super::sub_issues::SubIssuePlan;
use super::{EventContext, FIRST_WAIT, Intake, MAX_WAIT, Settled, is_believed};
use crate::command;
use crate::event::{EventRepository, Issue, Person};
use crate::github::{Blocker, GitHubError, Repository};
use crate::ids::IssueNumber;
use crate::message;
use crate::store::{BlockedBy, Delivery, DueRequest, NewEffect, PendingRequest};
use crate::story::{Story, TaskKind};

/// How often GitHub is asked whether an issue is still blocked, where nothing is heard of it and
/// `github.poll` does not say.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);

impl Intake {
    /// The open issues that this one is blocked by. Work that was begun before is gone on with
    /// whatever it is blocked by since.
    pub(super) async fn blockers(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
    ) -> anyhow::Result<Vec<BlockedBy>> {
        if let Some(story) = story
            && !self.store.asks_of(story.id).await?.is_empty()
        {
            return Ok(Vec::new());
        }
        let repository = self.github.repository(&on.place.at()).await?;
        let mut all = self.blockers_of(on, &repository, on.issue.number, None).await?;
        // Those that are worked on with it do not wait for each other: they have their order.
        let parts = self.open_sub_issues(on, &repository).await?;
        for part in &parts {
            let blockers = self.blockers_of(on, &repository, *part, Some(*part)).await?;
            let is_one_of_them = |blocker: &BlockedBy| {
                let is_here = blocker.repo.key() == on.place.repo.key();
                is_here && (blocker.number == on.issue.number || parts.contains(&blocker.number))
            };
            all.extend(blockers.into_iter().filter(|blocker| !is_one_of_them(blocker)));
        }
        Ok(all)
    }

    async fn blockers_of(
        &self,
        on: &EventContext<'_>,
        repository: &Repository,
        number: IssueNumber,
        of: Option<IssueNumber>,
    ) -> anyhow::Result<Vec<BlockedBy>> {
        let blockers = match repository.blocked_by(number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => Vec::new(),
            blockers => blockers.context("listing the blocking issues")?,
        };
        let place = |blocker: Blocker| BlockedBy {
            repo: blocker.repo.unwrap_or_else(|| on.place.repo.clone()),
            number: blocker.number,
            of,
        };
        Ok(blockers.into_iter().filter(|blocker| blocker.is_open).map(place).collect())
    }

    /// Says what it waits for, and keeps what was asked for.
    pub(super) async fn wait_for(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        wish: &PendingRequest,
        blockers: &[BlockedBy],
    ) -> anyhow::Result<Settled> {
        let effects = [on.seen("eyes"), on.say(message::blocked_by(&named(on, blockers)))];
        let about = self.story_ask(on, on.issue, story);
        let look_in = self.look_every();
        self.store.keep_wish(&on.delivery.guid, &about, (wish, blockers), look_in, &effects).await?;
        Ok(Settled::Done("waits for blocking issues"))
    }

    /// Looks whether a wish can begin. An error is the store's.
    pub(super) async fn look_at_wish(&self, due: &DueRequest) -> anyhow::Result<()> {
        let story = self.store.story(due.story).await?;
        let span = tracing::info_span!("blocked_request", story = %story.id, repo = %story.repo, issue = %story.issue);
        match self.begin_if_free(due, &story).await {
            Ok(what) => {
                span.in_scope(|| tracing::info!(outcome = what, "checked a blocked request"));
                Ok(())
            }
            Err(error) if error.is::<GitHubError>() => {
                let wait = (FIRST_WAIT * 2u32.pow(due.tries.min(10))).min(MAX_WAIT);
                let named = error.downcast_ref::<GitHubError>().and_then(GitHubError::retry_after);
                span.in_scope(|| {
                    tracing::warn!(error = format!("{error:#}"), "checking a blocked request failed")
                });
                self.store.put_wish_off(due.story, named.unwrap_or(wait)).await
            }
            Err(error) => Err(error),
        }
    }

    async fn begin_if_free(&self, due: &DueRequest, story: &Story) -> anyhow::Result<&'static str> {
        let DueRequest { wish, .. } = due;
        let place = EventRepository {
            id: story.github_id,
            repo: story.repo.clone(),
            default_branch: wish.default_branch.clone(),
            installation: story.installation,
        };
        let issue = Issue {
            number: story.issue,
            title: wish.title.clone(),
            body: wish.body.clone(),
            is_pull_request: false,
            is_open: true,
            read_later: false,
        };
        let sender = Person { login: wish.by.clone(), id: wish.by_id, is_bot: false };
        let delivery = Delivery {
            guid: due.guid.clone(),
            event: String::new(),
            body: Vec::new(),
            attempts: due.tries,
            lane: due.lane.clone(),
        };
        let settings = self.settings(&place, Instant::now()).await?;
        let on = EventContext {
            delivery: &delivery,
            began: Instant::now(),
            place: &place,
            issue: &issue,
            sender: &sender,
            comment: None,
            others: Vec::new(),
            settings,
        };
        let blockers = self.blockers(&on, None).await?;
        if !blockers.is_empty() {
            self.store.wish_waits(story.id, &blockers, self.look_every()).await?;
            return Ok("still blocked");
        }
        if !self.is_wanted(&on, wish).await? {
            self.store.end_wish(story.id, &[]).await?;
            return Ok("closed, or no longer labelled");
        }
        let about = match self.free_to_begin(&on, story, wish).await? {
            Ok(about) => about,
            Err(words) => {
                self.store.end_wish(story.id, &[words]).await?;
                return Ok("reported why it does not start");
            }
        };
        let PendingRequest { text, choice, mode, .. } = wish.clone();
        let turn = choice.first_turn();
        let opening = TaskDraft { choice, text, mode, turn, about, asked_on: None };
        self.store.grant_wish(due, &self.new_task(&on, &issue, Some(story), opening)).await?;
        Ok("starts")
    }

    /// Whether the issue is still open, and has the label that asked. A webhook that would have
    /// told otherwise may be lost.
    async fn is_wanted(&self, on: &EventContext<'_>, wish: &PendingRequest) -> anyhow::Result<bool> {
        let repository = self.github.repository(&on.place.at()).await?;
        let is_open = match repository.issue(on.issue.number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => false,
            issue => issue?.is_open,
        };
        if !is_open || !wish.by_label {
            return Ok(is_open);
        }
        let own = on.settings.label(&self.config);
        let labels = repository.labels(on.issue.number).await?;
        Ok(labels.iter().any(|label| command::chosen_by_label(own, label).is_some()))
    }

    /// What the task is about, or why it may not begin although nothing blocks it.
    async fn free_to_begin(
        &self,
        on: &EventContext<'_>,
        story: &Story,
        wish: &PendingRequest,
    ) -> anyhow::Result<Result<TaskKind, NewEffect>> {
        if let Some(fault) = on.settings.fault() {
            return Ok(Err(on.say(message::settings_at_fault(fault, &on.place.default_branch))));
        }
        if self.may_not_command(on, on.settings.who()).await?.is_some() {
            return Ok(Err(on.say(message::may_no_more(&wish.by))));
        }
        let labeled_at = wish.by_label.then_some(wish.at);
        if let Some(parent) = self.parent_of(on, labeled_at).await? {
            return Ok(Err(
                on.say(message::part_of(parent.issue, parent.pull.filter(|_| !parent.is_under_work)))
            ));
        }
        Ok(match self.parts_of_new(on, Some(story), wish.mode, wish.at).await? {
            SubIssuePlan::Ask(about) => Ok(about),
            SubIssuePlan::Other(part, changed) => {
                Err(on.say(message::text_changed(&changed, Some(part), wish.by_label)))
            }
        })
    }

    fn look_every(&self) -> Duration {
        self.config.github.poll.unwrap_or(LOOK_EVERY)
    }
}

/// Issues, as they are written in a comment.
fn named(on: &EventContext<'_>, blockers: &[BlockedBy]) -> Vec<String> {
    let name = |blocker: &BlockedBy| match blocker.repo.key() == on.place.repo.key() {
        true => format!("#{}", blocker.number),
        false => format!("{}#{}", blocker.repo, blocker.number),
    };
    let of = |blocker: &BlockedBy| match blocker.of {
        Some(sub_issue) => message::blocked_for(&name(blocker), sub_issue),
        None => name(blocker),
    };
    blockers.iter().map(of).collect()
}
