//! The story's pull request on GitHub: opened or brought up to date, and its branch removed once it is merged.

use super::{Deliver, is_refusal};
use crate::event::PullMove;
use crate::github::{GitHubError, NewPull, Pull, Repository};
use crate::ids::{IssueNumber, Sha};
use crate::message;
use crate::store::{PullNews, WantedEffect};
use crate::story::Story;
use crate::story::pull::{PullState, draft_change};

/// A pull request as it should be.
pub(super) struct Wanted<'a> {
    pub(super) title: &'a str,
    pub(super) report: &'a str,
    pub(super) draft: bool,
    pub(super) reviewers: &'a [String],
    pub(super) asker: Option<&'a str>,
    pub(super) labels: &'a [String],
}

/// What became of a pull request that was wanted.
enum Ensured {
    /// It is there, and whose doing it is that it is a draft, or ready.
    There { pull: Pull, draft: Option<bool> },
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
        match self.ensure_pull(repository, story, pull, wanted.attempts > 0).await {
            Ok(Ensured::There { pull, draft }) => {
                self.store.pull_request_open(wanted, pull.number, draft).await.map(Ok)
            }
            Ok(Ensured::Over(news)) => {
                self.store.pull_moved(None, story.id, &news).await?;
                self.store.not_proposed(wanted).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// The pull request, with reviewers and labels where it is new. Its text says which reviewers GitHub does not take.
    async fn ensure_pull(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &Wanted<'_>,
        tried: bool,
    ) -> Result<Ensured, GitHubError> {
        let there = self.ensure_open_pull(repository, story, wanted, tried).await?;
        let (Ensured::There { pull, draft }, None) = (&there, story.pull) else { return Ok(there) };
        for label in wanted.labels {
            repository.add_label(IssueNumber(pull.number.0), label).await?;
        }
        let refused = self.request_reviews(repository, pull, wanted).await?;
        if refused.is_empty() {
            return Ok(there);
        }
        let report = format!("{}\n\n{}", wanted.report, message::reviewers_refused(story.language, &refused));
        let body = message::with_report(&pull.body, &report);
        let pull = repository.update_pull(pull.number, None, Some(&body)).await?;
        Ok(Ensured::There { pull, draft: *draft })
    }

    /// Requests reviews; tells whose the settings name and GitHub does not take.
    async fn request_reviews(
        &self,
        repository: &Repository,
        pull: &Pull,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<String>, GitHubError> {
        let mut refused = Vec::new();
        // One by one: GitHub takes none of several of whom it does not take one. Asking for one twice changes nothing.
        for reviewer in wanted.reviewers {
            match repository.request_review(pull.number, reviewer).await {
                Ok(()) => {}
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(pull = %pull.number, reviewer, %error, "a review could not be requested");
                    refused.push(reviewer.clone());
                }
                Err(error) => return Err(error),
            }
        }
        // With a token hob is somebody, who may have asked as well; nobody reviews what they opened.
        let own = self.github.own_login().await?;
        let asker =
            wanted.asker.filter(|asker| wanted.reviewers.is_empty() && !own.eq_ignore_ascii_case(asker));
        if let Some(asker) = asker {
            match repository.request_review(pull.number, asker).await {
                Err(error) if !is_refusal(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(refused)
    }

    /// One pull request for the story branch: the open one brought up to date, or a new one.
    async fn ensure_open_pull(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &Wanted<'_>,
        tried: bool,
    ) -> Result<Ensured, GitHubError> {
        if let Some(open) = repository.find_pull(&story.branch).await? {
            let draft = self.settle_draft(repository, story, &open, wanted.draft, tried).await?;
            // The title may have been reworded by people, and what stands around the report is theirs.
            let body = message::with_report(&open.body, wanted.report);
            let pull = repository.update_pull(open.number, None, Some(&body)).await?;
            return Ok(Ensured::There { pull, draft });
        }
        // Closed a moment ago, or a list that is behind: another one would be against people's will.
        if let Some(news) = self.is_over(repository, story).await? {
            return Ok(Ensured::Over(news));
        }
        let new = NewPull {
            title: wanted.title.to_owned(),
            body: message::with_report("", wanted.report),
            head: story.branch.clone(),
            base: story.base_branch.clone(),
            draft: wanted.draft,
        };
        let opened = match repository.open_pull(&new).await {
            // Some plans have no drafts.
            Err(GitHubError::Unprocessable { message, .. })
                if new.draft && message.to_lowercase().contains("draft") =>
            {
                repository.open_pull(&NewPull { draft: false, ..new }).await
            }
            opened => opened,
        };
        match opened {
            // An earlier try made it, and the list that was just read did not have it yet.
            Err(GitHubError::Unprocessable { already_exists: true, message }) => {
                Err(GitHubError::Unavailable(message))
            }
            result => result.map(|pull| Ensured::There { draft: Some(pull.is_draft), pull }),
        }
    }

    /// Makes a pull request a draft or ready, where hob made it what it is; tells whose doing it is then.
    async fn settle_draft(
        &self,
        repository: &Repository,
        story: &Story,
        open: &Pull,
        wanted: bool,
        tried: bool,
    ) -> Result<Option<bool>, GitHubError> {
        if story.pull.is_none() {
            // An earlier try has opened it, or a person has.
            return Ok(tried.then_some(open.is_draft));
        }
        let (change, by_hob) = draft_change(story.pull_draft, open.is_draft, wanted, tried);
        let Some(draft) = change else { return Ok(by_hob) };
        match repository.set_draft(&open.node_id, draft).await {
            Ok(()) => Ok(by_hob),
            Err(error) if is_refusal(&error) => {
                tracing::warn!(pull = %open.number, draft, %error, "GitHub does not let hob change whether it is a draft");
                Ok(story.pull_draft)
            }
            Err(error) => Err(error),
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
