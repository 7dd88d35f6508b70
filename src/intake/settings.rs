//! The repository's settings at the door: which label is hob's there, who may steer hob, and what
//! is said where the file has a mistake. Reading the file is `github`'s, understanding it
//! `config`'s.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{EventContext, Intake, Settled};
use crate::config::{Config, Fault, RepositoryFile, SettingsPermission};
use crate::event::EventRepository;
use crate::github::Permission;
use crate::message;
use crate::store::Heard;
use crate::story::Story;

/// How long what was read serves for telling hob's labels from others: labels come in bursts, most
/// of them not hob's. What leads to something has the file read again.
const MAX_AGE: Duration = Duration::from_secs(60);

/// What a repository's file says.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    text: Option<Arc<str>>,
    file: Result<RepositoryFile, Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { text: None, file: Ok(RepositoryFile::default()) }
    }
}

impl Settings {
    /// The label that asks for work.
    pub(super) fn label<'a>(&'a self, config: &'a Config) -> &'a str {
        match &self.file {
            Ok(file) => config.label_of(file),
            Err(fault) => fault.label.as_deref().unwrap_or(&config.github.label),
        }
    }

    /// The least right of who may have hob work, answer it and steer it.
    pub(super) fn who(&self) -> Permission {
        let who = self.file.as_ref().map_or_else(|fault| fault.who, |file| file.who);
        match who {
            SettingsPermission::Write => Permission::Write,
            SettingsPermission::Maintain => Permission::Maintain,
            SettingsPermission::Admin => Permission::Admin,
        }
    }

    /// The mistake in it, if there is one.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.file.as_ref().err()
    }

    /// The text, for a task to go by.
    pub(super) fn text(&self) -> Option<String> {
        self.text.as_deref().map(str::to_owned)
    }

    /// What it says; nothing, where it has a mistake.
    pub(super) fn file(&self) -> RepositoryFile {
        self.file.clone().unwrap_or_default()
    }

    /// The branch that pull requests go to.
    pub(super) fn base_branch(&self, place: &EventRepository, story: Option<&Story>) -> String {
        match (&self.file, story) {
            (Ok(file), _) => file.base.clone().unwrap_or_else(|| place.default_branch.clone()),
            (Err(_), Some(story)) => story.base_branch.clone(),
            (Err(_), None) => place.default_branch.clone(),
        }
    }

    /// Which version of the file it is.
    pub(super) fn version(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_deref().unwrap_or_default().as_bytes()))
    }
}

impl Intake {
    /// The settings of a repository, good enough to know its label by.
    pub(super) async fn settings_lately(&self, place: &EventRepository) -> anyhow::Result<Settings> {
        let now = Instant::now();
        self.settings(place, now.checked_sub(MAX_AGE).unwrap_or(now)).await
    }

    /// The settings of a repository, read at this time or later.
    pub(super) async fn settings(
        &self,
        place: &EventRepository,
        not_before: Instant,
    ) -> anyhow::Result<Settings> {
        let repository = self.github.repository(&place.at()).await?;
        let text = repository.settings_text(not_before).await?.text;
        let file = text
            .as_deref()
            .map_or(Ok(RepositoryFile::default()), |text| RepositoryFile::parse(text, &self.config));
        Ok(Settings { text, file })
    }

    /// Says that nothing is started because of a mistake in the repository's settings: once for
    /// each version of the file.
    pub(super) async fn decline_for_settings(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        heard: Heard,
        fault: &Fault,
    ) -> anyhow::Result<Settled> {
        let about = self.story_ask(on, on.issue, story);
        let said = on.say(message::settings_at_fault(fault, &on.place.default_branch));
        let effects = (on.seen("confused"), said);
        let version = on.settings.version();
        self.store.tell_settings_fault(&on.delivery.guid, &about, &heard, &version, effects).await?;
        Ok(Settled::Done("reported errors in the repository's settings"))
    }
}
