//! A check that has failed on what hob pushed becomes a task, or a part of one that has not begun.
//! What is failing in the end, and whether that is the work's doing, is looked at when the task is
//! taken up (`work/fix.rs`).

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::Instant;

use super::commands::TaskDraft;
use super::decide::Input;
use super::{EventContext, Intake, Settled, permission};
use crate::event::{EndedCheck, EventRepository, Person};
use crate::ids::IssueNumber;
use crate::message;
use crate::store::{Delivery, Effect, Fix, NewEffect, NewFix};
use crate::story::fix::{FailedChecks, is_own};
use crate::story::plan::TaskMode;
use crate::story::{Choice, RunReason, Story, TaskKind};

impl Intake {
    /// Takes the end of a check. Most of them are on commits that are none of hob's, and cost no
    /// more than a look into the store.
    pub(super) async fn on_check_ended(
        &self,
        delivery: &Delivery,
        place: &EventRepository,
        check: &EndedCheck,
        _at: Timestamp,
    ) -> anyhow::Result<Settled> {
        let ignored = |why: &str| Ok(Settled::Ignored(why.to_owned()));
        if !check.failed {
            return ignored("the check has not failed");
        }
        if is_own(check.kind, &check.name, check.app_id, self.config.github.app_id) {
            return ignored("hob's own check");
        }
        let Some(story) = self.store.story_to_fix(&place.repo, &check.head).await? else {
            return ignored("a check of a commit that hob does not fix");
        };
        let settings = self.settings(place, Instant::now()).await?;
        if let Some(fault) = settings.fault() {
            let Some(pull) = story.pull else { return ignored("the repository's settings have errors") };
            let on = IssueNumber(pull.0);
            let body = message::fix_settings_at_fault(fault, &place.default_branch);
            let said = NewEffect::new(Effect::Comment { on, body });
            self.store.tell_fault_once(&delivery.guid, story.id, &settings.version(), said).await?;
            return Ok(Settled::Done("reported errors in the repository's settings"));
        }
        if self.config.fixes_of(&settings.file()) == 0 {
            return ignored("this repository does not ask hob to fix failed checks");
        }
        // It follows up what somebody has asked for. Who may ask no more has nothing followed up.
        let asks = self.store.asks_of(story.id).await?;
        let ask = asks.last().context("loading the story's last task")?;
        let by = Person { login: ask.by.clone(), id: ask.by_id, is_bot: false };
        let repository = self.github.repository(&place.at()).await?;
        if permission(&repository, delivery, &by).await? < settings.who() {
            return Ok(Settled::Ignored(format!(
                "{}, who asked for the work, may no longer command hob",
                by.login
            )));
        }
        let new = NewFix {
            story: story.id,
            head: check.head.clone(),
            wait: self.config.pull_request.wait,
            settings: settings.text(),
        };
        match self.store.open_fix(&delivery.guid, &new).await? {
            Fix::Opened => {
                tracing::info!(story = %story.id, check = check.name, head = %check.head, "check failed");
                Ok(Settled::Done("opened a task about failed checks"))
            }
            Fix::Joined => Ok(Settled::Done("a task about failed checks is already queued")),
            Fix::Past => ignored("the work has moved on, was stopped, or has failed"),
        }
    }

    /// Opens a task about the checks that fail, because a person asks for it.
    pub(super) async fn fix(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: Option<Story>,
        text: Option<String>,
    ) -> anyhow::Result<Settled> {
        // There is none yet on a pull request of somebody else's.
        let last = match &story {
            Some(story) => self.store.asks_of(story.id).await?.pop(),
            None => None,
        };
        let about = TaskKind::Checks(FailedChecks { by_command: true, ..FailedChecks::default() });
        let choice = Choice { base: None, ..last.map(|last| last.choice).unwrap_or_default() };
        let opening =
            TaskDraft { choice, text, mode: TaskMode::Work, turn: RunReason::Begin, about, asked_on: None };
        self.open_task(on, act, story, opening).await
    }
}
