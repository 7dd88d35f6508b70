//! One repository, looked through for what no webhook told of: comments that command or answer,
//! hob's labels, and what else was done to issues that have a story (`acts.rs`). What is found is
//! recorded as the delivery that its webhook would have been. Whether its author may command hob,
//! whether the text is still what people saw, and what it leads to, is intake's matter.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{CatchUp, Memory, bases};
use crate::clock;
use crate::command;
use crate::config::RepositoryFile;
use crate::event::{EventRepository, Issue};
use crate::github::{
    GitHubError, Labeling, ListedComment, ListedIssue, Repository, RepositoryLocation, found, webhook,
};
use crate::ids::{Repo, RepositoryRef};
use crate::message;
use crate::store::{KnownRepository, Recorded};

/// How far a look goes back behind the end of the one before. GitHub's lists can be behind what was
/// written for a moment.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How far the first look at a repository goes back. An older comment was written to nobody that is
/// here now.
const FIRST: SignedDuration = SignedDuration::from_hours(1);
/// GitHub notes the same act with times that can be a second apart; see `intake/decide.rs`.
const SAME_ACT: SignedDuration = SignedDuration::from_secs(1);

/// How old what is known of a repository's settings may be, for knowing its label.
const SETTINGS_AGE: Duration = Duration::from_secs(60);

/// A delivery that no webhook brought, or not yet.
pub(super) struct Found {
    /// When it was done, by GitHub's clock.
    pub(super) at: Timestamp,
    /// The same at each look.
    pub(super) guid: String,
    pub(super) event: &'static str,
    pub(super) body: Vec<u8>,
}

/// The repository of a look, and the way to it.
pub(super) struct RepositoryPoll<'a> {
    pub(super) repository: &'a Repository,
    pub(super) place: EventRepository,
    /// Labels that were put on before were looked at before.
    labels_from: Timestamp,
    /// The repository's own settings, as far as they can be read.
    pub(super) file: RepositoryFile,
    /// The label of hob's there.
    label: String,
}

impl RepositoryPoll<'_> {
    pub(super) fn is_labeled(&self, issue: &ListedIssue) -> bool {
        issue.labels.iter().any(|label| self.is_own(label))
    }

    pub(super) fn is_own(&self, label: &str) -> bool {
        command::chosen_by_label(&self.label, label).is_some()
    }
}

impl CatchUp {
    /// Looks through a repository from where the look before ended.
    pub(super) async fn look_through(&self, memory: &mut Memory, at: &RepositoryRef) -> anyhow::Result<()> {
        let Some(known) = self.known_now(at).await? else { return Ok(()) };
        let repository = self.github.repository(&known.at()).await?;
        let file = self.file_of(&repository).await?;
        let label = self.config.label_of(&file).to_owned();
        let place = EventRepository {
            id: known.id,
            repo: known.repo.clone(),
            default_branch: known.default_branch.clone(),
            installation: known.installation,
        };
        let since = self.since(&known);
        // At the first look, whenever they were put on.
        let labels_from = known.looked_until.map_or(Timestamp::MIN, |_| since);
        let looked = RepositoryPoll { repository: &repository, place, labels_from, file, label };
        let comments = repository.comments_since(since).await?;
        let (issues, until) = match known.looked_until {
            None => (with_labels(&looked).await?, comments.until),
            Some(_) => {
                let issues = repository.issues_since(since).await?;
                (issues.items, issues.until.min(comments.until))
            }
        };
        let mut all = Vec::new();
        let mut trouble = self.labels(memory, &looked, &issues, &mut all).await?;
        if trouble.as_ref().is_none_or(is_about_one) {
            // A comment from before was looked at before, as it was then: an edit is no command.
            let new = comments.items.iter().filter(|comment| comment.created_at >= since);
            let failed = self.comments(&looked, new, &mut all).await?;
            trouble = failed.or(trouble);
        }
        if trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.edited_cards(&looked, &comments.items, &mut all).await?;
            trouble = failed.or(trouble);
        }
        if trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.bases(&looked, &mut all).await?;
            trouble = failed.or(trouble);
        }
        if trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.pulls(&looked, since, &mut all).await?;
            trouble = failed.or(trouble);
        }
        if trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.reviews(&looked, &issues, since, &mut all).await?;
            trouble = failed.or(trouble);
        }
        if known.looked_until.is_some() && trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.acts(memory, &looked, (&issues, since, until), &mut all).await?;
            trouble = failed.or(trouble);
        }
        if trouble.as_ref().is_none_or(is_about_one) {
            let failed = self.failed_checks(memory, &looked, &mut all).await?;
            trouble = failed.or(trouble);
        }
        self.record(all).await?;
        match trouble {
            Some(error) => Err(error.into()),
            None => self.store.looked_until(&known.repo, until).await,
        }
    }

    /// What is known of a repository, brought up to date; nothing under a name that the settings
    /// have and that is its own no longer.
    async fn known_now(&self, at: &RepositoryRef) -> anyhow::Result<Option<KnownRepository>> {
        let by_name = RepositoryRef { id: None, ..at.clone() };
        let found = match self.github.whereabouts(at).await? {
            // The repository that has the name now is known from then on, and the other one is
            // looked for.
            RepositoryLocation::Replaced if at.id.is_some() => self.github.whereabouts(&by_name).await?,
            found => found,
        };
        let RepositoryLocation::Here(facts) = found else { return Err(GitHubError::NotFound.into()) };
        self.store.know_repository(&facts.at(), &facts.default_branch).await?;
        let is_renamed = facts.repo != at.repo;
        if is_renamed {
            tracing::info!(repo = %facts.repo, old_repo = %at.repo, "repository renamed");
        }
        // By its id it was looked for on purpose; by its name it is looked through under the new
        // one too.
        if is_renamed && at.id.is_none() { Ok(None) } else { self.store.repository(&facts.repo).await }
    }

    /// The moment that a look begins with. What the store has settled and forgotten must not be
    /// found again.
    fn since(&self, known: &KnownRepository) -> Timestamp {
        let now = clock::now();
        let back =
            |from: Timestamp, by: SignedDuration| from.checked_sub(by).unwrap_or(Timestamp::UNIX_EPOCH);
        let kept = SignedDuration::try_from(self.config.keep.deliveries.0).unwrap_or(SignedDuration::MAX);
        let since = known.looked_until.map_or(back(now, FIRST), |until| back(until, MARGIN));
        since.max(back(now, kept))
    }

    /// The repository's own settings, as far as they can be read. Whether there is a mistake in
    /// them is looked at where work is asked for.
    async fn file_of(&self, repository: &Repository) -> anyhow::Result<RepositoryFile> {
        let now = Instant::now();
        let text = repository.settings_text(now.checked_sub(SETTINGS_AGE).unwrap_or(now)).await?.text;
        Ok(bases::file_of(text.as_deref(), &self.config))
    }

    /// Finds labels that the stories have not taken up. An error is the store's; what GitHub did
    /// not answer for an issue is told, and holds up no other issue.
    async fn labels(
        &self,
        memory: &mut Memory,
        looked: &RepositoryPoll<'_>,
        issues: &[ListedIssue],
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let examined = memory.examined.entry(looked.place.repo.key()).or_default();
        examined.retain(|number, _| issues.iter().any(|issue| issue.number == *number));
        let mut trouble = None;
        let asks = |issue: &&ListedIssue| issue.is_open && !issue.is_pull_request && looked.is_labeled(issue);
        for issue in issues.iter().filter(asks) {
            if examined.get(&issue.number) == Some(&issue.updated_at) {
                continue;
            }
            let story = self.store.story_at(&looked.place.repo, issue.number).await?;
            let taken = story.and_then(|story| story.labeled_at);
            match self.labels_of(looked, issue, taken).await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    all.extend(found);
                    examined.insert(issue.number, issue.updated_at);
                }
                // It was deleted since, or moved to another repository.
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    /// The labels of hob's that are on an issue and were put on since what was looked at and
    /// `taken` up before. Nothing where GitHub's history of the issue is behind its list: the next
    /// looks go back far enough to see it.
    async fn labels_of(
        &self,
        looked: &RepositoryPoll<'_>,
        issue: &ListedIssue,
        taken: Option<Timestamp>,
    ) -> Result<Option<Vec<Found>>, GitHubError> {
        let is_new = |at: Timestamp| {
            at >= looked.labels_from
                && taken.is_none_or(|taken| at > taken.saturating_add(SAME_ACT).unwrap_or(taken))
        };
        // Putting a label on changes the issue, so that nothing can be newer than that.
        if !is_new(issue.updated_at) {
            return Ok(Some(Vec::new()));
        }
        let history = looked.repository.issue_history(issue.number).await?;
        let mut found = Vec::new();
        for label in issue.labels.iter().filter(|label| looked.is_own(label)) {
            let last = history.labeled.iter().rfind(|labeling| labeling.label == *label);
            let Some(Labeling { change, .. }) = last else {
                tracing::warn!(repo = %looked.place.repo, issue = %issue.number, label, "GitHub does not report who \
                    added the label");
                return Ok(None);
            };
            if !is_new(change.at) {
                continue;
            }
            let text = Issue {
                number: issue.number,
                title: history.title.clone(),
                body: history.body.clone(),
                is_pull_request: false,
                is_open: true,
                read_later: true,
            };
            found.push(Found {
                at: change.at,
                guid: format!("look-{}#{}-{label}-{}", looked.place.repo.key(), issue.number, change.at),
                event: "issues",
                body: found::labeled(&looked.place, &text, label, change.at, &change.by),
            });
        }
        Ok(Some(found))
    }

    /// Finds comments that are for hob and not recorded. Errors as with [`labels`](Self::labels).
    async fn comments<'a>(
        &self,
        looked: &RepositoryPoll<'_>,
        comments: impl Iterator<Item = &'a ListedComment>,
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let mut trouble = None;
        for comment in comments {
            let guid = format!("look-{}-comment-{}", looked.place.repo.key(), comment.id);
            if !self.matters(&looked.place.repo, comment).await? || self.store.has_delivery(&guid).await? {
                continue;
            }
            match self.told(looked, comment).await {
                Ok(None) => {}
                Ok(Some(body)) => {
                    all.push(Found { at: comment.created_at, guid, event: "issue_comment", body });
                }
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    /// Whether a comment may be a command, or is on a story: an answer, a message to the agent, or
    /// about a pull request of hob's.
    async fn matters(&self, repo: &Repo, comment: &ListedComment) -> anyhow::Result<bool> {
        if comment.author.is_bot {
            return Ok(false);
        }
        if command::read(&comment.body, &self.github.own_login().await?).command.is_some() {
            return Ok(true);
        }
        // After the end of work somebody is told once that nobody listens.
        Ok(self.store.story_at(repo, comment.issue).await?.is_some())
    }

    /// The delivery that tells of a comment; none for hob's own.
    async fn told(
        &self,
        looked: &RepositoryPoll<'_>,
        comment: &ListedComment,
    ) -> Result<Option<Vec<u8>>, GitHubError> {
        if message::has_marker(&comment.body) && self.github.is_own(&comment.author).await? {
            return Ok(None);
        }
        let issue = Issue { read_later: true, ..looked.repository.issue(comment.issue).await? };
        let ListedComment { id, body, created_at, author, .. } = comment;
        Ok(Some(found::commented(&looked.place, &issue, *id, body, *created_at, author)))
    }

    /// Writes down what was found, in the order in which it was done.
    async fn record(&self, mut all: Vec<Found>) -> anyhow::Result<()> {
        all.sort_by_key(|found| found.at);
        for found in all {
            let event = webhook::decode(found.event, &found.body)?;
            let recorded =
                self.store.record_delivery(&found.guid, found.event, &found.body, Some(&event)).await?;
            if recorded == Recorded::New {
                tracing::info!(delivery = found.guid, "found an event without a webhook");
            }
        }
        Ok(())
    }
}

/// Every open issue with a label of hob's.
async fn with_labels(looked: &RepositoryPoll<'_>) -> anyhow::Result<Vec<ListedIssue>> {
    let mut all: Vec<ListedIssue> = Vec::new();
    for label in command::labels(&looked.label) {
        for issue in looked.repository.issues_with_label(&label).await? {
            if all.iter().all(|known| known.number != issue.number) {
                all.push(issue);
            }
        }
    }
    Ok(all)
}

/// Whether GitHub did not answer for one thing, as opposed to not letting hob in at all.
pub(super) fn is_about_one(error: &GitHubError) -> bool {
    !matches!(error, GitHubError::RateLimited { .. } | GitHubError::Unauthorized(_))
}
