//! Lists of what happened, for finding what no webhook told of: the webhook's own deliveries, the
//! repositories that an App is installed on, and the comments and issues of a repository that
//! changed since a moment. What of it matters is decided above.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Answer, Client, escape};
use super::people::{User, person};
use super::{GitHub, GitHubError, Identity, Repository};
use crate::clock;
use crate::event::Person;
use crate::ids::{CommentId, InstallationId, IssueNumber, Repo, RepositoryId, RepositoryRef};

/// The most that GitHub gives at once.
const PAGE: usize = 100;
/// After so many pages a list is left as it is, and read on at the next look: a request's worth
/// each, of 5,000 an hour.
const MAX_PAGES: usize = 100;

/// One attempt of GitHub's to deliver a webhook of the App's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// The attempt's id, by which it is asked for again.
    pub id: u64,
    /// The delivery's GUID, the same for all attempts.
    pub guid: String,
    /// When, by GitHub's clock.
    pub delivered_at: Timestamp,
    /// Whether somebody asked for it again.
    pub redelivery: bool,
    /// What hob answered; 0 or an error of GitHub's own where nothing came.
    pub status_code: u16,
    /// The event's name.
    pub event: String,
    /// Its action, if it has one.
    pub action: Option<String>,
}

impl HookDelivery {
    /// Whether hob has taken it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// A repository as it is known to GitHub now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// GitHub's id of it.
    pub id: RepositoryId,
    /// Its name, which may not be the one that was asked for.
    pub repo: Repo,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// The App's installation through which it was found.
    pub installation: Option<InstallationId>,
}

impl RepositoryFacts {
    /// Which repository it is.
    pub fn at(&self) -> RepositoryRef {
        RepositoryRef { id: Some(self.id), repo: self.repo.clone(), installation: self.installation }
    }
}

/// A list that was read, and when.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// The moment up to which nothing that belongs into it is missing, by GitHub's clock.
    pub until: Timestamp,
}

/// A comment, as a list of a whole repository has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedComment {
    /// Its id on the host.
    pub id: CommentId,
    /// The issue or pull request that it is on.
    pub issue: IssueNumber,
    /// Who wrote it.
    pub author: Person,
    /// Markdown, as it is now.
    pub body: String,
    /// When it was written, by GitHub's clock.
    pub created_at: Timestamp,
    /// When it was changed last, by GitHub's clock.
    pub updated_at: Timestamp,
    /// Its id for GitHub's GraphQL API.
    pub node_id: String,
}

/// An issue or pull request, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedIssue {
    /// Its number in the repository.
    pub number: IssueNumber,
    /// Whether it is a pull request.
    pub is_pull_request: bool,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether its conversation is locked.
    pub is_locked: bool,
    /// The labels that are on it.
    pub labels: Vec<String>,
    /// Logins of those that it is given to.
    pub assignees: Vec<String>,
    /// When anything about it changed last, by GitHub's clock.
    pub updated_at: Timestamp,
}

#[derive(Deserialize)]
struct WireFacts {
    id: RepositoryId,
    full_name: Repo,
    default_branch: String,
}

#[derive(Deserialize)]
struct WireComment {
    id: CommentId,
    /// Ends with the issue's number, which stands nowhere else.
    issue_url: String,
    user: Option<User>,
    body: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    node_id: String,
}

#[derive(Deserialize)]
struct WireIssue {
    number: IssueNumber,
    pull_request: Option<serde::de::IgnoredAny>,
    state: String,
    #[serde(default)]
    locked: bool,
    labels: Vec<WireLabel>,
    #[serde(default)]
    assignees: Option<Vec<User>>,
    updated_at: Timestamp,
}

/// GitHub's description allows both forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireLabel {
    Name(String),
    Object { name: Option<String> },
}

impl GitHub {
    /// Whether hob is an App here, and not a user.
    pub fn is_app(&self) -> bool {
        matches!(self.shared.identity, Identity::App(_))
    }

    /// The attempts to deliver the App's webhook, newest first, made since a moment and not longer
    /// ago than `longest` before the newest.
    pub async fn hook_deliveries(
        &self,
        since: Option<Timestamp>,
        longest: SignedDuration,
    ) -> Result<Vec<HookDelivery>, GitHubError> {
        let app = self.app()?;
        let mut all: Vec<HookDelivery> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let at = cursor.map_or(String::new(), |cursor| format!("&cursor={}", escape(&cursor)));
            let answer = app.get(&format!("/app/hook/deliveries?per_page={PAGE}{at}")).await?;
            let page: Vec<HookDelivery> = answer.json()?;
            let newest = all.first().or(page.first()).map(|delivery| delivery.delivered_at);
            let Some(newest) = newest else { return Ok(all) };
            let oldest =
                newest.checked_sub(longest).unwrap_or(Timestamp::MIN).max(since.unwrap_or(Timestamp::MIN));
            let (before, listed) = (all.len(), page.len());
            all.extend(page.into_iter().take_while(|delivery| delivery.delivered_at >= oldest));
            cursor = answer.next_cursor();
            if cursor.is_none() || all.len() < before + listed {
                return Ok(all);
            }
        }
        Err(GitHubError::Unexpected("the list of deliveries does not end".to_owned()))
    }

    /// Has GitHub make one more attempt at a delivery. It comes to the webhook's address, or fails
    /// there, later.
    pub async fn redeliver(&self, attempt: u64) -> Result<(), GitHubError> {
        self.app()?.post_nothing(&format!("/app/hook/deliveries/{attempt}/attempts")).await
    }

    /// Every repository that the App is installed on and may see. An installation that does not let
    /// it in is left out, and said.
    pub async fn installed_repositories(&self) -> Result<Vec<RepositoryFacts>, GitHubError> {
        #[derive(Deserialize)]
        struct Installation {
            id: InstallationId,
            suspended_at: Option<Timestamp>,
        }
        let installations: Vec<Installation> =
            pages(self.app()?, "/app/installations?", |answer| answer.json()).await?;
        let mut all = Vec::new();
        for installation in
            installations.into_iter().filter(|installation| installation.suspended_at.is_none())
        {
            match self.repositories_of(installation.id).await {
                Ok(found) => all.extend(found),
                Err(error @ (GitHubError::NotFound | GitHubError::Forbidden(_))) => {
                    tracing::warn!(installation = %installation.id, %error, "listing an installation's repositories failed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    async fn repositories_of(&self, id: InstallationId) -> Result<Vec<RepositoryFacts>, GitHubError> {
        #[derive(Deserialize)]
        struct Repositories {
            repositories: Vec<WireFacts>,
        }
        let Identity::App(tokens) = &self.shared.identity else { return Ok(Vec::new()) };
        let client = tokens.app().with_token(&tokens.token(id).await?)?;
        let found = pages(&client, "/installation/repositories?", |answer| {
            Ok(answer.json::<Repositories>()?.repositories)
        });
        Ok(found.await?.into_iter().map(|wire| facts(wire, Some(id))).collect())
    }

    fn app(&self) -> Result<&Client, GitHubError> {
        match &self.shared.identity {
            Identity::App(tokens) => Ok(tokens.app()),
            Identity::User { .. } => {
                Err(GitHubError::Unexpected("hob does not work as a GitHub App".to_owned()))
            }
        }
    }
}

impl Repository {
    /// The repository's own facts, as they are now. An old name leads to the repository's new one.
    pub async fn facts(&self) -> Result<RepositoryFacts, GitHubError> {
        let answer = self.get("").await?;
        facts_from(&answer, self.installation().await?)
    }

    /// The comments on all issues and pull requests that were written or changed since then.
    pub async fn comments_since(&self, since: Timestamp) -> Result<Listed<ListedComment>, GitHubError> {
        let path = "/issues/comments?";
        let read: Listed<WireComment> =
            self.changed_since(path, since, |comment: &WireComment| comment.updated_at).await?;
        let items = read.items.into_iter().filter_map(|comment| {
            let issue = comment.issue_url.rsplit('/').next()?.parse().ok().map(IssueNumber)?;
            Some(ListedComment {
                id: comment.id,
                issue,
                author: person(comment.user),
                body: comment.body.unwrap_or_default(),
                created_at: comment.created_at,
                updated_at: comment.updated_at,
                node_id: comment.node_id,
            })
        });
        Ok(Listed { items: items.collect(), until: read.until })
    }

    /// The issues and pull requests, open or not, about which anything has changed since then.
    pub async fn issues_since(&self, since: Timestamp) -> Result<Listed<ListedIssue>, GitHubError> {
        let read: Listed<WireIssue> =
            self.changed_since("/issues?state=all&", since, |issue: &WireIssue| issue.updated_at).await?;
        Ok(Listed { items: read.items.into_iter().map(listed).collect(), until: read.until })
    }

    /// The open issues and pull requests with this label, whenever it was put on.
    pub async fn issues_with_label(&self, label: &str) -> Result<Vec<ListedIssue>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let label = escape(label);
            let path = format!(
                "/issues?state=open&labels={label}&sort=created&direction=asc&per_page={PAGE}&page={page}"
            );
            let answer = self.get(&path).await?;
            let issues: Vec<WireIssue> = answer.json()?;
            let is_full = issues.len() == PAGE;
            all.extend(issues.into_iter().map(listed));
            if !(is_full || answer.has_next_page()) {
                return Ok(all);
            }
        }
        Err(GitHubError::Unexpected(format!("the issues with the label {label} do not end")))
    }

    /// Reads a list in the order of its changes, from the oldest. Each page begins at the last
    /// change of the one before it: by page numbers something would be passed over that moves to
    /// the list's end meanwhile.
    async fn changed_since<T: DeserializeOwned>(
        &self,
        path: &str,
        since: Timestamp,
        changed: impl Fn(&T) -> Timestamp,
    ) -> Result<Listed<T>, GitHubError> {
        let (mut from, mut page) = (since, 1);
        let mut items = Vec::new();
        let mut began = None;
        for _ in 0..MAX_PAGES {
            let time = from.strftime("%Y-%m-%dT%H:%M:%SZ");
            let path = format!("{path}sort=updated&direction=asc&per_page={PAGE}&page={page}&since={time}");
            let answer = self.get(&path).await?;
            let until = *began.get_or_insert_with(|| answer.date().unwrap_or_else(clock::now));
            let found: Vec<T> = answer.json()?;
            let (is_full, last) = (found.len() == PAGE, found.last().map(&changed));
            items.extend(found);
            if !(is_full || answer.has_next_page()) {
                return Ok(Listed { items, until });
            }
            match last.filter(|last| last.as_second() > from.as_second()) {
                Some(last) => (from, page) = (last, 1),
                // More of one second than a page holds.
                None => page += 1,
            }
        }
        Ok(Listed { items, until: from })
    }
}

/// Every page of a list that counts its pages.
pub(super) async fn pages<T>(
    client: &Client,
    path: &str,
    read: impl Fn(&Answer) -> Result<Vec<T>, GitHubError>,
) -> Result<Vec<T>, GitHubError> {
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let answer = client.get(&format!("{path}per_page={PAGE}&page={page}")).await?;
        let found = read(&answer)?;
        let is_full = found.len() == PAGE;
        all.extend(found);
        if !(is_full || answer.has_next_page()) {
            return Ok(all);
        }
    }
    Err(GitHubError::Unexpected(format!("the list {path} does not end")))
}

fn facts(wire: WireFacts, installation: Option<InstallationId>) -> RepositoryFacts {
    let WireFacts { id, full_name, default_branch } = wire;
    RepositoryFacts { id, repo: full_name, default_branch, installation }
}

/// The facts in an answer of GitHub's about one repository.
pub(super) fn facts_from(
    answer: &Answer,
    installation: Option<InstallationId>,
) -> Result<RepositoryFacts, GitHubError> {
    Ok(facts(answer.json()?, installation))
}

fn listed(issue: WireIssue) -> ListedIssue {
    let name = |label| match label {
        WireLabel::Name(name) => Some(name),
        WireLabel::Object { name } => name,
    };
    ListedIssue {
        number: issue.number,
        is_pull_request: issue.pull_request.is_some(),
        is_open: issue.state == "open",
        is_locked: issue.locked,
        assignees: issue
            .assignees
            .unwrap_or_default()
            .into_iter()
            .map(|user| person(Some(user)).login)
            .collect(),
        labels: issue.labels.into_iter().filter_map(name).collect(),
        updated_at: issue.updated_at,
    }
}
