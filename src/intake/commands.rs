//! Carries out commands that neither simply open a task nor stop one: going on, more money, and
//! those that are answered with words. What is to be done was decided in `decide.rs`.

use anyhow::Context as _;
use jiff::Timestamp;

use super::decide::{Continuation, Input};
use super::{EventContext, Intake, Settled};
use crate::clock;
use crate::ids::{AgentKind, IssueNumber};
use crate::message::{self, CommandRejection, StoryState};
use crate::store::{Heard, NewEffect};
use crate::story::plan::TaskMode;
use crate::story::{Choice, RunReason, Story, TaskKind, TaskRequest};

/// A task that is to be opened, beyond the issue's text.
pub(super) struct TaskDraft {
    /// What was chosen.
    pub(super) choice: Choice,
    /// What was said.
    pub(super) text: Option<String>,
    /// Whether it is to change anything.
    pub(super) mode: TaskMode,
    /// Why its first run is made.
    pub(super) turn: RunReason,
    /// What it is about beyond the issue.
    pub(super) about: TaskKind,
    /// Where questions are asked, where that is not where it was asked for.
    pub(super) asked_on: Option<IssueNumber>,
}

impl Intake {
    /// Opens a task that goes on where the story's newest stopped, with the same choice.
    pub(super) async fn go_on(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: Option<Story>,
        (with, turn): (Continuation, RunReason),
    ) -> anyhow::Result<Settled> {
        let id = story.as_ref().map(|story| story.id).context("loading the story")?;
        let last = self.store.last_task(id).await?.context("loading the story's last task")?;
        let turn = match (&with, turn) {
            (Continuation::SameText, RunReason::GoOn) if self.store.is_to_publish_again(&last).await? => {
                RunReason::PublishAgain
            }
            (_, turn) => turn,
        };
        let text = match with {
            Continuation::SameText => last.ask.text.clone(),
            Continuation::Text(text) => text,
        };
        let TaskRequest { choice, about, on: asked_on, .. } = last.ask;
        let choice = Choice { fresh: false, ..choice };
        let about = match about {
            TaskKind::Checks(checks) => TaskKind::Checks(checks.again()),
            other => other,
        };
        let opening = TaskDraft {
            choice,
            text,
            mode: last.mode,
            turn,
            asked_on: asked_on.filter(|_| !about.is_issue()),
            about,
        };
        self.open_task(on, act, story, opening).await
    }

    /// What is said in words at once when a task is opened.
    pub(super) fn opening_effects(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        choice: &Choice,
    ) -> Vec<NewEffect> {
        let mut effects = Vec::new();
        if let Some(story) = story
            && let (Some(pull), Some(chosen)) = (story.open_pull(), &choice.base)
            && *chosen != story.base_branch
        {
            effects.push(on.say(message::base_stays(pull, &story.base_branch, chosen)));
        }
        effects
    }

    /// Lets a story cost more.
    pub(super) async fn grant(
        &self,
        on: &EventContext<'_>,
        story: Option<Story>,
        more_usd: f64,
    ) -> anyhow::Result<Settled> {
        let Some(story) = story else {
            let words = message::nothing_done(CommandRejection::NothingBegun);
            return self.reply(on, None, "eyes", words).await;
        };
        let asks = self.store.asks_of(story.id).await?;
        let has_cap = self.config.has_caps_in_dollars(&on.settings.file())
            || asks.iter().any(|ask| ask.choice.budget_usd.is_some());
        if !has_cap {
            tracing::info!(more_usd, "there is no cap to raise");
            return self.reply(on, Some(story), "eyes", message::no_cap()).await;
        }
        let by = &on.sender.login;
        let seen = [on.seen("eyes")];
        self.store.grant_budget(&on.delivery.guid, story.id, more_usd, by, &seen).await?;
        Ok(Settled::Done("granted more budget"))
    }

    /// Says where the story stands.
    pub(super) async fn tell_status(
        &self,
        on: &EventContext<'_>,
        story: Option<Story>,
    ) -> anyhow::Result<Settled> {
        let facts = match &story {
            Some(story) => Some(self.store.status_facts(story.id).await?),
            None => None,
        };
        let is_blocked = match &story {
            Some(story) => self.store.wish_of(story.id).await?.is_some(),
            None => false,
        };
        let body = match facts.as_ref().and_then(|facts| Some((facts, facts.task.as_ref()?))) {
            Some((facts, task)) => {
                let now = clock::now();
                let between = |earlier: Timestamp, later: Timestamp| {
                    u64::try_from(later.duration_since(earlier).as_millis()).unwrap_or(0)
                };
                message::where_it_stands(&StoryState {
                    state: task.state,
                    mode: task.mode,
                    for_ms: facts.since.map_or(0, |since| between(since, now)),
                    again_in_ms: facts.waits_until.map(|at| between(now, at)),
                    ahead: facts.ahead.unwrap_or(0),
                    behind: facts.queued_behind,
                    failure: facts.failure,
                    branch: &facts.story.branch,
                    pull: facts.story.pull,
                })
            }
            None if is_blocked => message::waits_for_blockers(),
            None => message::nothing_done(CommandRejection::NothingBegun),
        };
        self.reply(on, story, "eyes", body).await
    }

    /// The agents that can be started: the one that works where nobody chooses, and those with a
    /// key or a login.
    pub(super) fn agents(&self) -> Vec<AgentKind> {
        let has_account = |agent: AgentKind| {
            let names = agent.key_names();
            let has_key = names.iter().any(|name| self.config.agent.keys.contains_key(*name));
            match agent {
                AgentKind::Command => !self.config.agent.command.is_empty(),
                _ => has_key || self.config.login_dir(agent).is_some(),
            }
        };
        AgentKind::ALL
            .into_iter()
            .filter(|agent| *agent == self.config.agent.kind || has_account(*agent))
            .collect()
    }

    /// Answers with a reaction and with words, and does nothing else.
    pub(super) async fn reply(
        &self,
        on: &EventContext<'_>,
        story: Option<Story>,
        reaction: &str,
        body: String,
    ) -> anyhow::Result<Settled> {
        let effects = [on.seen(reaction), on.say(body)];
        let about = self.story_ask(on, on.issue, story.as_ref());
        self.store.only_say(&on.delivery.guid, &about, &Heard::Words, &effects).await?;
        Ok(Settled::Done("sent a reply"))
    }
}
