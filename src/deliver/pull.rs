//! The story's pull request on GitHub: opened or brought up to date, and its branch removed once it is merged.

use super::{Deliver, is_refusal};
use crate::event::PullMove;
use crate::github::{GitHubError, NewPull, Pull, Repository};
use crate::ids::{IssueNumber, Sha};
use crate::message;
use crate::store::{PullNews, WantedEffect};
use crate::story::Story;
use crate::story::pull::PullState;

/// A pull request as it should be.
pub(super) struct Wanted<'a> {
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    pub(super) draft: bool,
    pub(super) reviewers: &'a [String],
}

/// What became of a pull request that was wanted.
enum Ensured {
    /// It is there.
    There(Pull),
    /// People have closed or merged it, so that it is not opened again.
    Over(PullNews),
}

impl Deliver {
    /// Has a story's pull request as it should be, unless people have closed or merged it since. An error is the store's.
    pub(super) async fn propose(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &WantedEffect,
        pull: &Wanted<'_>,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        if story.pull_state != PullState::Open {
            tracing::info!(story = %story.id, "the pull request is closed; it is not opened again");
            return self.store.not_proposed(wanted).await.map(Ok);
        }
        match self.ensure_pull(repository, story, pull).await {
            Ok(Ensured::There(open)) => self.store.pull_request_open(wanted, open.number).await.map(Ok),
            Ok(Ensured::Over(news)) => {
                self.store.pull_moved(None, story.id, &news).await?;
                self.store.not_proposed(wanted).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// The pull request, with reviewers where it is new. Its text says which of them GitHub does not take.
    async fn ensure_pull(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &Wanted<'_>,
    ) -> Result<Ensured, GitHubError> {
        let pull = match self.ensure_open_pull(repository, story, wanted).await? {
            Ensured::There(pull) => pull,
            over @ Ensured::Over(_) => return Ok(over),
        };
        let mut refused = Vec::new();
        // One by one: GitHub takes none of several of whom it does not take one. Asking for one twice changes nothing.
        for reviewer in wanted.reviewers.iter().filter(|_| story.pull.is_none()) {
            match repository.request_review(pull.number, reviewer).await {
                Ok(()) => {}
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(story = %story.id, reviewer, %error, "a review could not be requested");
                    refused.push(reviewer.clone());
                }
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() {
            return Ok(Ensured::There(pull));
        }
        let body = format!("{}\n\n{}", wanted.body, message::reviewers_refused(&refused));
        repository.update_pull(pull.number, None, Some(&body)).await.map(Ensured::There)
    }

    /// One pull request for the story branch: the open one brought up to date, or a new one.
    async fn ensure_open_pull(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &Wanted<'_>,
    ) -> Result<Ensured, GitHubError> {
        if let Some(open) = repository.find_pull(&story.branch).await? {
            // The title may have been reworded by people; the body is hob's report.
            return repository.update_pull(open.number, None, Some(wanted.body)).await.map(Ensured::There);
        }
        // Closed a moment ago, or a list that is behind: another one would be against people's will.
        if let Some(news) = self.is_over(repository, story).await? {
            return Ok(Ensured::Over(news));
        }
        let new = NewPull {
            title: wanted.title.to_owned(),
            body: wanted.body.to_owned(),
            head: story.branch.clone(),
            base: story.base_branch.clone(),
            draft: wanted.draft,
        };
        match repository.open_pull(&new).await {
            // An earlier try made it, and the list that was just read did not have it yet.
            Err(GitHubError::Unprocessable { already_exists: true, message }) => {
                Err(GitHubError::Unavailable(message))
            }
            result => result.map(Ensured::There),
        }
    }

    /// What became of the story's pull request, where it has one that is not in the list of the open ones.
    async fn is_over(&self, repository: &Repository, story: &Story) -> Result<Option<PullNews>, GitHubError> {
        let Some(number) = story.pull else { return Ok(None) };
        let pull = match repository.pull_facts(number).await {
            Err(GitHubError::NotFound) => return Ok(None),
            pull => pull?,
        };
        let Some(to) = pull.over else {
            return Err(GitHubError::Unavailable("the list of pull requests is behind".to_owned()));
        };
        let by = match to {
            PullMove::Merged => pull.merged_by,
            _ => repository.closed_by(IssueNumber(number.0)).await?,
        };
        let by = by.map(|by| by.login);
        let stops = match &by {
            Some(login) if to == PullMove::Closed => may_push(repository, login).await?,
            _ => to == PullMove::Merged,
        };
        Ok(Some(PullNews { number, to, at: pull.at, by, stops, ended: None, effects: Vec::new() }))
    }

    /// Removes a branch that was merged, if it is still where it was then.
    pub(super) async fn remove_branch(
        &self,
        repository: &Repository,
        wanted: &WantedEffect,
        branch: &str,
        head: &Sha,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        match repository.branch_head(branch).await {
            Err(GitHubError::NotFound) => self.store.branch_gone(wanted, branch).await.map(Ok),
            Ok(now) if now != *head => {
                tracing::info!(branch, %now, "a merged branch has got other commits since, and stays");
                self.store.effect_done(wanted.id).await.map(Ok)
            }
            Ok(_) => match repository.delete_branch(branch).await {
                Ok(()) => self.store.branch_gone(wanted, branch).await.map(Ok),
                Err(error) if is_refusal(&error) && wanted.attempts > 0 => {
                    tracing::warn!(branch, %error, "GitHub does not let hob remove a merged branch; it stays");
                    self.store.effect_done(wanted.id).await.map(Ok)
                }
                Err(error) => Ok(Err(error)),
            },
            Err(error) => Ok(Err(error)),
        }
    }
}

async fn may_push(repository: &Repository, login: &str) -> Result<bool, GitHubError> {
    match repository.permission(login).await {
        Ok(permission) => Ok(permission.at_least_write()),
        Err(GitHubError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
