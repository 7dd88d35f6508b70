//! The story's pull request on GitHub: opened or brought up to date, with what came of checks
//! since, and its branch removed once it is merged.

use super::refused::is_base_gone;
use super::{Deliver, is_refusal};
use crate::config::RepositoryFile;
use crate::event::PullTransition;
use crate::github::{GitHubError, NewPull, Pull, PullFacts, Repository};
use crate::ids::{IssueNumber, PullNumber, Sha};
use crate::message::{self, Report};
use crate::store::{Effect, NewEffect, PublishedPull, PullUpdate, WantedEffect};
use crate::story::Story;
use crate::story::pull::{PullState, draft_change, title_change};

/// A pull request as it should be. Its report is without links to its rests still.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) title: &'a str,
    pub(super) report: Report<'a>,
    pub(super) unfinished: bool,
    pub(super) draft: bool,
    pub(super) reviewers: &'a [String],
    pub(super) asker: Option<&'a str>,
    pub(super) labels: &'a [String],
}

/// A pull request that is there, with what hob is to remember of it.
struct There {
    pull: Pull,
    /// Whose doing it is that it is a draft, or ready.
    draft: Option<bool>,
    /// What hob has called it.
    title: Option<String>,
    /// Whether people's own text leaves room for the report.
    has_room: bool,
}

/// What became of a pull request that was wanted.
enum Ensured {
    /// It is there.
    There(There),
    /// People have closed or merged it, so that it is not opened again.
    Over(PullUpdate, Box<PullFacts>),
    /// There are no drafts here, and it is not to be anything else.
    NoDrafts,
}

impl Deliver {
    /// Has a story's pull request as it should be, unless people have closed or merged it since. An
    /// error is the store's.
    pub(super) async fn propose(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &WantedEffect,
        pull: &Wanted<'_>,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        if story.pull_state != PullState::Open {
            tracing::info!(story = %story.id, "pull request is closed; not reopened");
            return self.store.not_proposed(wanted).await.map(Ok);
        }
        // Parked, and tried again when the work is done: it would say what is not so any more.
        if pull.unfinished && story.pull.is_some() && !story.pull_unfinished {
            return self.store.not_proposed(wanted).await.map(Ok);
        }
        // Where there is no pull request yet, the issue is the place for what it has no room for.
        let on = story.pull.map_or(story.issue, |pull| IssueNumber(pull.0));
        let whole = match self.with_rests(repository, story.id, on, pull.report.whole).await? {
            Ok(whole) => self.secrets.redact(&whole),
            Err(error) => return Ok(Err(error)),
        };
        let report = Report { whole: &whole, ..pull.report };
        let pull = &Wanted { report, ..*pull };
        match self.ensure_pull(repository, story, pull, wanted.attempts > 0).await {
            Ok(Ensured::There(there)) => {
                let number = there.pull.number;
                let told = NewEffect::new(Effect::Comment {
                    on: IssueNumber(number.0),
                    body: message::no_room_for_report(pull.report.short),
                });
                let effects = if there.has_room { Vec::new() } else { vec![told] };
                let (draft, title) = (there.draft, there.title);
                let (unfinished, base) = (pull.unfinished, there.pull.base);
                let shown = PublishedPull { number, draft, title, unfinished, base };
                self.store.pull_request_open(wanted, &shown, &effects).await.map(Ok)
            }
            Ok(Ensured::Over(mut news, pull)) => {
                news.effects = self.after_merge(story, &pull).await?;
                self.store.pull_moved(None, story.id, &news).await?;
                self.store.not_proposed(wanted).await.map(Ok)
            }
            Ok(Ensured::NoDrafts) => {
                tracing::info!(story = %story.id, "drafts are not available; unfinished work stays on its branch");
                self.store.not_proposed(wanted).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// The pull request, with labels where it is new, and with reviewers once it is there to be
    /// reviewed. Its text says which reviewers GitHub does not take.
    async fn ensure_pull(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &Wanted<'_>,
        tried: bool,
    ) -> Result<Ensured, GitHubError> {
        let ensured = self.ensure_open_pull(repository, story, wanted, tried).await?;
        let Ensured::There(there) = ensured else { return Ok(ensured) };
        if story.pull.is_none() {
            for label in wanted.labels {
                repository.add_label(IssueNumber(there.pull.number.0), label).await?;
            }
        }
        let is_asked_for = !wanted.unfinished && (story.pull.is_none() || story.pull_unfinished);
        let refused = match is_asked_for {
            true => self.request_reviews(repository, &there.pull, wanted).await?,
            false => Vec::new(),
        };
        if refused.is_empty() {
            return Ok(Ensured::There(there));
        }
        let refused = message::reviewers_refused(&refused);
        let [whole, short] =
            [wanted.report.whole, wanted.report.short].map(|report| format!("{report}\n\n{refused}"));
        let body = Report { whole: &whole, short: &short }.in_body(&there.pull.body);
        let pull = repository.update_pull(there.pull.number, None, body.as_deref()).await?;
        Ok(Ensured::There(There { pull, ..there }))
    }

    /// Requests reviews; tells whose the settings name and GitHub does not take.
    async fn request_reviews(
        &self,
        repository: &Repository,
        pull: &Pull,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<String>, GitHubError> {
        let mut refused = Vec::new();
        // One by one: GitHub takes none of several of whom it does not take one. Asking for one
        // twice changes nothing.
        for reviewer in wanted.reviewers {
            match repository.request_review(pull.number, reviewer).await {
                Ok(()) => {}
                Err(error) if is_refusal(&error) => {
                    tracing::warn!(pull = %pull.number, reviewer, %error, "requesting a review failed");
                    refused.push(reviewer.clone());
                }
                Err(error) => return Err(error),
            }
        }
        // With a token hob is somebody, who may have asked as well; nobody reviews what they
        // opened.
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
            return self.bring_up_to_date(repository, story, open, (wanted, tried)).await.map(Ensured::There);
        }
        // Closed a moment ago, or a list that is behind: another one would be against people's
        // will.
        if let Some((news, pull)) = self.is_over(repository, story).await? {
            return Ok(Ensured::Over(news, pull));
        }
        let body = wanted.report.in_body("");
        let has_room = body.is_some();
        let new = NewPull {
            title: wanted.title.to_owned(),
            body: body.unwrap_or_default(),
            head: story.branch.clone(),
            base: story.base_branch.clone(),
            draft: wanted.draft,
        };
        let opened = match repository.open_pull(&new).await {
            // Some plans have no drafts.
            Err(GitHubError::Unprocessable { message, .. })
                if new.draft && message.to_lowercase().contains("draft") =>
            {
                if wanted.unfinished {
                    return Ok(Ensured::NoDrafts);
                }
                repository.open_pull(&NewPull { draft: false, ..new.clone() }).await
            }
            opened => opened,
        };
        let opened = match opened {
            Err(error) if is_base_gone(&error) => match self.base_by_now(repository, story).await? {
                Some(base) => {
                    tracing::info!(old_base = story.base_branch, base, "base branch renamed");
                    repository.open_pull(&NewPull { base, ..new }).await
                }
                None => Err(error),
            },
            opened => opened,
        };
        match opened {
            // An earlier try made it, and the list that was just read did not have it yet.
            Err(GitHubError::Unprocessable { already_exists: true, message }) => {
                Err(GitHubError::Unavailable(message))
            }
            result => result.map(|pull| {
                let (draft, title) = (Some(pull.is_draft), Some(wanted.title.to_owned()));
                Ensured::There(There { draft, title, has_room, pull })
            }),
        }
    }

    /// The branch that a story's pull request is to go to, where people have given it another name
    /// since.
    async fn base_by_now(
        &self,
        repository: &Repository,
        story: &Story,
    ) -> Result<Option<String>, GitHubError> {
        let is_default = self.follows_default(story).await.unwrap_or_default();
        let name = repository.present_branch(&story.base_branch, is_default).await?;
        Ok(name.filter(|name| *name != story.base_branch))
    }

    /// Whether a story's pull request goes to the default branch because nobody has named another.
    async fn follows_default(&self, story: &Story) -> anyhow::Result<bool> {
        let is_chosen = self.store.is_base_chosen(story.id).await?;
        let file = self.settings_of_newest(story).await?;
        Ok(!is_chosen && file.base.as_ref() != Some(&story.base_branch))
    }

    /// The repository's settings as the story's newest task goes by them.
    async fn settings_of_newest(&self, story: &Story) -> anyhow::Result<RepositoryFile> {
        let text = match self.store.tasks_of(story.id).await?.last() {
            Some(task) => self.store.settings_of(task.id).await?,
            None => None,
        };
        Ok(text.map(|text| RepositoryFile::parse_kept(&text)).unwrap_or_default())
    }

    /// Brings an open pull request up to date: what people have made of it, its title, and what
    /// stands around the report, is theirs.
    async fn bring_up_to_date(
        &self,
        repository: &Repository,
        story: &Story,
        open: Pull,
        (wanted, tried): (&Wanted<'_>, bool),
    ) -> Result<There, GitHubError> {
        let draft = self.settle_draft(repository, story, &open, wanted.draft, tried).await?;
        let (title, by_hob) = title_change(story.pull_title.as_deref(), &open.title, wanted.title, tried);
        let body = wanted.report.in_body(&open.body);
        let has_room = body.is_some();
        let pull = repository.update_pull(open.number, title, body.as_deref()).await?;
        Ok(There { pull, draft, title: by_hob.map(str::to_owned), has_room })
    }

    /// Makes a pull request a draft or ready, where hob made it what it is; tells whose doing it is
    /// then.
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
                tracing::warn!(pull = %open.number, draft, %error, "changing the draft state failed");
                Ok(story.pull_draft)
            }
            Err(error) => Err(error),
        }
    }

    /// What became of the story's pull request, where it has one that is not in the list of the
    /// open ones.
    async fn is_over(
        &self,
        repository: &Repository,
        story: &Story,
    ) -> Result<Option<(PullUpdate, Box<PullFacts>)>, GitHubError> {
        let Some(number) = story.pull else { return Ok(None) };
        let pull = match repository.pull_facts(number).await {
            Err(GitHubError::NotFound) => return Ok(None),
            pull => pull?,
        };
        let Some(to) = pull.over else {
            return Err(GitHubError::Unavailable("the list of pull requests is not up to date".to_owned()));
        };
        let by = match to {
            PullTransition::Merged => pull.merged_by.clone(),
            _ => repository.closed_by(IssueNumber(number.0)).await?,
        };
        let by = by.map(|by| by.login);
        let stops = match &by {
            Some(login) if to == PullTransition::Closed => may_push(repository, login).await?,
            _ => to == PullTransition::Merged,
        };
        let news = PullUpdate { number, to, at: pull.at, by, stops, ended: None, effects: Vec::new() };
        Ok(Some((news, Box::new(pull))))
    }

    /// What follows from a merge that was found here: the delivery that tells of it will be no news
    /// any more. The settings are those of the story's newest task.
    async fn after_merge(&self, story: &Story, pull: &PullFacts) -> anyhow::Result<Vec<NewEffect>> {
        if pull.over != Some(PullTransition::Merged) {
            return Ok(Vec::new());
        }
        let known = self.store.repository(&story.repo).await?;
        let default_branch = known.as_ref().map(|known| known.default_branch.as_str());
        let file = self.settings_of_newest(story).await?;
        if !story.is_own_branch(&pull.head, &pull.base, default_branch) || !self.config.deletes_branch(&file)
        {
            return Ok(Vec::new());
        }
        let (branch, head) = (pull.head.clone(), pull.head_sha.clone());
        Ok(vec![NewEffect::new(Effect::DeleteBranch { branch, head })])
    }

    /// Has the report in a pull request show what came of the repository's checks on its head.
    /// People's text around it stays.
    pub(super) async fn show_evidence(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &WantedEffect,
        pull: PullNumber,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        // Of work that was cut short the report says that nothing has been checked: it is made
        // again with the end.
        let is_shown =
            story.pull == Some(pull) && story.pull_state == PullState::Open && !story.pull_unfinished;
        let checked = match story.remote_head.as_ref().filter(|_| is_shown) {
            Some(head) => self.store.checked_on(story.id, head).await?,
            None => None,
        };
        // Somebody has pushed since: what comes of that is shown with it.
        let Some(checked) = checked else { return self.store.effect_done(wanted.id).await.map(Ok) };
        let section = message::checks_section(&checked);
        let section = self.secrets.redact(&section);
        let shown = async {
            let body = repository.pull_facts(pull).await?.body;
            match message::with_evidence(&body, &section) {
                Some(new) if new != body => repository.update_pull(pull, None, Some(&new)).await.map(drop),
                _ => Ok(()),
            }
        };
        match shown.await {
            Ok(()) => self.store.effect_done(wanted.id).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
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
                tracing::info!(branch, %now, "merged branch has new commits; not deleted");
                self.store.effect_done(wanted.id).await.map(Ok)
            }
            Ok(_) => match repository.delete_branch(branch).await {
                Ok(()) => self.store.branch_gone(wanted, branch).await.map(Ok),
                Err(error) if is_refusal(&error) && wanted.attempts > 0 => {
                    tracing::warn!(branch, %error, "deleting the merged branch failed");
                    self.store.effect_done(wanted.id).await.map(Ok)
                }
                Err(error) => Ok(Err(error)),
            },
            Err(error) => Ok(Err(error)),
        }
    }
}

async fn may_push(repository: &Repository, login: &str) -> Result<bool, GitHubError> {
    match repository.permission(login, None).await {
        Ok(permission) => Ok(permission.at_least_write()),
        Err(GitHubError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
