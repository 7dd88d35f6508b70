//! The outbox at work: probe, act, record, for every effect on GitHub. GitHub has no key that would make
//! a repeated comment one comment, so before an effect is tried a second time hob looks whether the
//! first try got through: a comment by its hidden marker, a pull request by its head branch. What to
//! say is decided elsewhere; here it is only said, once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::github::{self, GitHub, GitHubError, NewPull, Pull, Repository};
use crate::ids::{CommentId, IssueNumber};
use crate::message;
use crate::redact::Secrets;
use crate::store::{Effect, NewEffect, ReactTo, Store, WantedEffect};
use crate::story::Story;

/// Effects of different stories that are under way at once. GitHub asks for few parallel writes.
const PARALLEL: usize = 4;
/// The first wait after a failure; it doubles up to `LONGEST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Refusals, as opposed to outages, after which an effect is parked.
const MOST_REFUSALS: u32 = 5;

/// Everything the outbox works with.
#[derive(Clone)]
pub struct Deliver {
    /// Settings.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The git host.
    pub github: GitHub,
    /// What must not be said. What comes here has been cleaned before; this is the last line.
    pub secrets: Secrets,
}

impl Deliver {
    /// Works off the outbox until `stop` is set.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            let due = self.store.due_effects().await?;
            if due.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.store.wakes().effects.notified() => {}
                    () = tokio::time::sleep(self.config.work.poll) => {}
                }
                continue;
            }
            let tried = futures_util::stream::iter(due)
                .map(|wanted| self.carry_out(wanted))
                .buffer_unordered(PARALLEL);
            let results: Vec<anyhow::Result<()>> = tried.collect().await;
            for result in results {
                result?;
            }
        }
        Ok(())
    }

    /// Tries one effect. An error is the store's; what GitHub says is recorded.
    async fn carry_out(&self, wanted: WantedEffect) -> anyhow::Result<()> {
        let story = self.store.story(wanted.story).await?;
        self.store.effect_attempted(wanted.id).await?;
        let Err(error) = self.act(&story, &wanted).await? else {
            return Ok(());
        };
        let refusals = wanted.attempts + 1;
        if !error.is_transient() && refusals >= MOST_REFUSALS {
            tracing::error!(effect = %wanted.id, story = %story.id, %error, "GitHub refuses an effect; it is parked");
            return self.store.effect_parked(wanted.id, &error.to_string()).await;
        }
        let wait = (FIRST_WAIT * 2u32.pow(wanted.attempts.min(10))).min(LONGEST_WAIT);
        tracing::warn!(effect = %wanted.id, story = %story.id, %error, "an effect did not succeed; it is tried again");
        self.store.effect_failed(wanted.id, error.retry_after().unwrap_or(wait), &error.to_string()).await
    }

    async fn act(&self, story: &Story, wanted: &WantedEffect) -> anyhow::Result<Result<(), GitHubError>> {
        let repository = match self.github.repository(&story.repo, story.installation).await {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        match &wanted.effect {
            Effect::React { to, content } => match repository.react(react_to(*to), content).await {
                // GitHub makes one reaction of two; nothing to look for.
                Ok(()) => self.store.effect_done(wanted.id).await.map(Ok),
                // The comment was deleted: nobody is there to see it.
                Err(GitHubError::NotFound) => self.store.effect_done(wanted.id).await.map(Ok),
                Err(error) => Ok(Err(error)),
            },
            Effect::Comment { on, body, question } => {
                let body = self.secrets.redact(body);
                match ensure_comment(&repository, wanted, *on, &body).await {
                    Ok(comment) => self.store.comment_posted(wanted.id, *question, comment).await.map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            }
            Effect::PullRequest { title, body, announcement } => {
                let (title, body) = (self.secrets.redact(title), self.secrets.redact(body));
                match self.ensure_pull(&repository, story, &title, &body).await {
                    Ok(pull) => {
                        let text = announcement.replace("{pull}", &pull.number.to_string());
                        let said = Effect::Comment { on: story.issue, body: text, question: None };
                        self.store
                            .pull_request_open(wanted, pull.number, &[NewEffect::new(said)])
                            .await
                            .map(Ok)
                    }
                    Err(error) => Ok(Err(error)),
                }
            }
        }
    }

    /// One pull request for the story branch: the open one brought up to date, or a new one.
    async fn ensure_pull(
        &self,
        repository: &Repository,
        story: &Story,
        title: &str,
        body: &str,
    ) -> Result<Pull, GitHubError> {
        if let Some(open) = repository.find_pull(&story.branch).await? {
            // The title may have been reworded by people; the body is hob's report.
            return repository.update_pull(open.number, None, Some(body)).await;
        }
        let new = NewPull {
            title: title.to_owned(),
            body: body.to_owned(),
            head: story.branch.clone(),
            base: story.base_branch.clone(),
            draft: self.config.github.draft,
        };
        repository.open_pull(&new).await
    }
}

/// The comment with this effect's marker: found, where an earlier try may have made it, or made.
async fn ensure_comment(
    repository: &Repository,
    wanted: &WantedEffect,
    on: IssueNumber,
    body: &str,
) -> Result<CommentId, GitHubError> {
    let marker = message::marker(wanted.id);
    if wanted.attempts > 0
        && let Some(found) = repository.find_comment(on, &marker, None).await?
    {
        return Ok(found.id);
    }
    let made = repository.create_comment(on, &format!("{body}\n\n{marker}")).await?;
    Ok(made.id)
}

fn react_to(to: ReactTo) -> github::ReactTo {
    match to {
        ReactTo::Issue(number) => github::ReactTo::Issue(number),
        ReactTo::Comment(id) => github::ReactTo::Comment(id),
    }
}
