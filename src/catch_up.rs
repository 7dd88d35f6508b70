//! Catching up: what no webhook told of is found anyway. At start and then again and again, an App
//! asks GitHub for its own deliveries that hob does not have (`catch_up/deliveries.rs`); with a
//! token, or where `github.poll` is set, the repositories are looked through
//! (`catch_up/repository.rs`). What is found goes into the inbox, under the meaning that its
//! webhook has, so that the two lead to one thing. What it leads to is intake's matter.
//!
//! How far each look came is in the store, and moves on only after everything that was found is
//! recorded. So a look may be cut off anywhere: the next one finds the same again.

mod acts;
mod bases;
mod cards;
mod checks;
mod deliveries;
mod pulls;
mod repository;
mod reviews;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::github::{GitHub, GitHubError, RepositoryFacts};
use crate::heartbeat::Heartbeat;
use crate::ids::{InstallationId, IssueNumber, RepositoryRef, Sha};
use crate::store::Store;

/// How often hob looks where `github.poll` does not say.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// How soon it looks again where something could not be seen: what it would have found waits.
const SOON: Duration = Duration::from_secs(30);
/// The longest honest step: many repositories, and a GitHub that is slow. Nobody waits for it, so
/// it may take its time.
pub const MAX_STEP: Duration = Duration::from_secs(2 * 60 * 60);
/// How often an App is asked again what it is installed on.
const INSTALLED_EVERY: Duration = Duration::from_secs(10 * 60);

/// Everything that catching up works with.
#[derive(Clone)]
pub struct CatchUp {
    /// hob's settings.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The git host.
    pub github: GitHub,
}

/// What is worth remembering from one look to the next. Without it GitHub is asked more often, and
/// nothing else changes.
#[derive(Default)]
struct Memory {
    /// Until when GitHub wants no requests for an installation; of the token, or of the App itself,
    /// where there is none.
    limited: HashMap<Option<InstallationId>, Instant>,
    /// What did not succeed at the last look, so that it is not in the log each time.
    troubled: HashSet<String>,
    /// Deliveries that were asked for, by GUID: when last, and how often.
    asked: HashMap<String, (Instant, u32)>,
    /// What the App is installed on, and when that was asked.
    installed: Option<(Instant, Vec<RepositoryFacts>)>,
    /// Commits whose checks are looked at, by `Repo::key`.
    watched: HashMap<String, HashMap<Sha, checks::Watched>>,
    /// Issues whose labels were looked at, by `Repo::key`, with their last change at that time.
    examined: HashMap<String, HashMap<IssueNumber, Timestamp>>,
    /// The same of issues whose history was looked at.
    acts: HashMap<String, HashMap<IssueNumber, Timestamp>>,
}

impl CatchUp {
    /// Looks until `stop` is set. What GitHub does not answer is logged and tried at the next look.
    pub async fn run(self, stop: CancellationToken, pulse: Heartbeat) -> anyhow::Result<()> {
        let mut memory = Memory::default();
        let every = self.config.github.poll.unwrap_or(EVERY);
        while !stop.is_cancelled() {
            pulse.beat();
            let looked = tokio::select! {
                () = stop.cancelled() => break,
                looked = self.look(&mut memory) => looked,
            };
            if let Err(error) = looked {
                self.store.sit_out(error, &stop).await?;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(if memory.troubled.is_empty() { every } else { every.min(SOON) }) => {}
            }
        }
        Ok(())
    }

    /// One look. An error is the store's.
    async fn look(&self, memory: &mut Memory) -> anyhow::Result<()> {
        if self.github.is_app() {
            if self.config.github.poll.is_none() {
                let looked = self.look_at_deliveries(memory).await;
                return memory.note(None, "the App's deliveries", looked);
            }
            let installed = self.installed(memory).await?.into_iter();
            for facts in installed.filter(|facts| self.config.github.allows(&facts.repo)) {
                self.look_at(memory, &facts.at()).await?;
            }
        } else {
            for at in self.known().await? {
                self.look_at(memory, &at).await?;
            }
        }
        Ok(())
    }

    /// Looks through one repository. One that GitHub does not show does not hold up the others.
    async fn look_at(&self, memory: &mut Memory, at: &RepositoryRef) -> anyhow::Result<()> {
        if memory.is_limited(at.installation) {
            return Ok(());
        }
        let looked = self.look_through(memory, at).await;
        if looked.is_err() {
            // What was found may not have been recorded, on a full disk for example: it has to be
            // found again.
            memory.examined.remove(&at.repo.key());
            memory.acts.remove(&at.repo.key());
        }
        memory.note(at.installation, &at.repo.to_string(), looked)
    }

    /// The repositories to look through with a token: those that hob has heard from, and those that
    /// the settings name.
    async fn known(&self) -> anyhow::Result<Vec<RepositoryRef>> {
        let heard = self.store.repositories().await?.into_iter().map(|known| known.at());
        let named = self.config.github.repositories.iter().chain(self.config.repositories.keys());
        let named = named.filter_map(|name| name.parse().ok());
        let named = named.map(|repo| RepositoryRef { id: None, repo, installation: None });
        let mut keys = HashSet::new();
        let all = heard.chain(named).filter(|at| self.config.github.allows(&at.repo));
        Ok(all.filter(|at| keys.insert(at.repo.key())).collect())
    }

    /// The repositories that the App is installed on.
    async fn installed(&self, memory: &mut Memory) -> anyhow::Result<Vec<RepositoryFacts>> {
        if let Some((asked, installed)) = &memory.installed
            && asked.elapsed() < INSTALLED_EVERY
        {
            return Ok(installed.clone());
        }
        if memory.is_limited(None) {
            return Ok(memory.installed.as_ref().map(|(_, installed)| installed.clone()).unwrap_or_default());
        }
        let asked = self.github.installed_repositories().await;
        if let Ok(installed) = &asked {
            memory.installed = Some((Instant::now(), installed.clone()));
        }
        memory.note(None, "the App's installations", asked.map(drop).map_err(Into::into))?;
        Ok(memory.installed.as_ref().map(|(_, installed)| installed.clone()).unwrap_or_default())
    }
}

impl Memory {
    fn is_limited(&mut self, whose: Option<InstallationId>) -> bool {
        self.limited.retain(|_, until| *until > Instant::now());
        self.limited.contains_key(&whose)
    }

    /// Logs what GitHub did not do, and remembers how long it wants to be left alone. Any other
    /// error is handed back.
    fn note(
        &mut self,
        whose: Option<InstallationId>,
        what: &str,
        looked: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = looked else {
            self.troubled.remove(what);
            return Ok(());
        };
        let Some(github) = error.downcast_ref::<GitHubError>() else { return Err(error) };
        if let Some(wait) = github.retry_after() {
            self.limited.insert(whose, Instant::now() + wait);
        }
        if self.troubled.insert(what.to_owned()) {
            tracing::warn!(what, error = %github, "polling GitHub failed; retrying with the next poll");
        } else {
            tracing::debug!(what, error = %github, "polling GitHub failed again");
        }
        Ok(())
    }
}
