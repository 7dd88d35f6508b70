//! A button that somebody pressed on a check run of hob's does what its command does. GitHub's own
//! button, "Re-run", has the last task done again where that did not come to its end; else the
//! repository's checks run again on the head, and the check run says what came of it.

use anyhow::Context as _;

use super::decide::Input;
use super::settings::Settings;
use super::{EventContext, Intake, Settled};
use crate::config::RepositoryFile;
use crate::event::{EventRepository, Issue, Person};
use crate::ids::{CheckRunId, Sha};
use crate::store::Delivery;
use crate::story::{Story, pressed};

/// A button that was pressed.
#[derive(Debug)]
pub(super) struct ButtonPress {
    /// On which check run; absent: GitHub's button "Re-run all checks".
    pub(super) check_run: Option<CheckRunId>,
    /// The commit that it is about.
    pub(super) head: Sha,
    /// What hob called the button; absent for GitHub's own button "Re-run".
    pub(super) button: Option<String>,
}

impl Intake {
    /// Takes a button.
    pub(super) async fn on_button(
        &self,
        delivery: &Delivery,
        place: &EventRepository,
        button: &ButtonPress,
        sender: &Person,
    ) -> anyhow::Result<Settled> {
        if !self.config.pull_request.check_run {
            return Ok(Settled::Ignored("hob shows no check runs in this repository".to_owned()));
        }
        let story = match button.check_run {
            Some(check_run) => self.store.story_of_check_run(&place.repo, check_run).await?,
            None => self.store.story_of_checked(&place.repo, &button.head).await?,
        };
        let Some(id) = story else {
            // hob may have died between making the check run and writing down which it is.
            if self.store.is_check_run_under_way(&place.repo, &button.head).await? {
                anyhow::bail!("the check run exists, but is not recorded yet");
            }
            return Ok(Settled::Ignored("a check run of another app".to_owned()));
        };
        let story = self.store.story(id).await?;
        // The one that buttons are shown for: others may wait behind it, and of some nobody is
        // told.
        let shown = self.store.status_facts(id).await?.task.context("loading the story's current task")?;
        let Some(press) = pressed(button.button.as_deref(), shown.id) else {
            return Ok(Settled::Ignored("the story has moved on since the button was shown".to_owned()));
        };
        // Frozen when it was asked for: a button says nothing of its own.
        let issue = Issue {
            number: story.issue,
            title: shown.ask.title,
            body: shown.ask.body,
            is_pull_request: false,
            is_open: true,
            read_later: false,
        };
        let on = EventContext {
            delivery,
            began: tokio::time::Instant::now(),
            place,
            issue: &issue,
            sender,
            comment: None,
            others: Vec::new(),
            settings: Settings::default(),
        };
        self.follow(&on, &Input::Press(press)).await
    }

    /// Has the check run shown once more, after the repository's checks have run again where it has
    /// any.
    pub(super) async fn check_again(&self, on: &EventContext<'_>, story: &Story) -> anyhow::Result<Settled> {
        let newest = self.store.tasks_of(story.id).await?.pop().context("loading the story's last task")?;
        let file = self.store.settings_of(newest.id).await?;
        let file = file.map(|text| RepositoryFile::parse_kept(&text)).unwrap_or_default();
        self.store.want_check_again(&on.delivery.guid, story.id, !file.checks.is_empty()).await?;
        Ok(Settled::Done("shows the check run again"))
    }
}
