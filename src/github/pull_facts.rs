//! What became of pull requests, and of the branches behind them: asked where no delivery has told
//! of it, or before something is done that rests on it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::client::{Verb, escape};
use super::people::{User, person};
use super::pulls::Side;
use super::{GitHubError, Repository};
use crate::event::{Person, PullTransition};
use crate::ids::{IssueNumber, PullNumber, Sha};

/// The most that GitHub gives at once.
const PAGE: usize = 100;
/// After so many pages the rest is left: nobody moves so many pull requests between two looks.
const MAX_PAGES: usize = 20;

/// A pull request as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullFacts {
    /// Its number in the repository.
    pub number: PullNumber,
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// Who opened it.
    pub author: Person,
    /// The branch with the work.
    pub head: String,
    /// The commit that it is at, or was at in the end.
    pub head_sha: Sha,
    /// The branch that it is to go to, or went to.
    pub base: String,
    /// Whether the branch with the work is in another repository.
    pub is_from_fork: bool,
    /// Whether it is marked as not ready.
    pub is_draft: bool,
    /// What has ended it; none while it is open.
    pub over: Option<PullTransition>,
    /// Since when that is so. While it is open: when anything about it changed last.
    pub at: Timestamp,
    /// Who merged it, where it was and GitHub says so; lists do not.
    pub merged_by: Option<Person>,
    /// Its id for GitHub's GraphQL API.
    pub node_id: String,
}

#[derive(Deserialize)]
struct WirePull {
    number: PullNumber,
    node_id: String,
    title: String,
    body: Option<String>,
    user: Option<User>,
    head: Side,
    base: Side,
    state: String,
    #[serde(default)]
    draft: bool,
    merged_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    updated_at: Timestamp,
    merged_by: Option<User>,
}

impl From<WirePull> for PullFacts {
    fn from(pull: WirePull) -> PullFacts {
        let over = match (pull.state == "open", pull.merged_at) {
            (true, _) => None,
            (false, Some(_)) => Some(PullTransition::Merged),
            (false, None) => Some(PullTransition::Closed),
        };
        PullFacts {
            number: pull.number,
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            author: person(pull.user),
            is_from_fork: pull.head.repo != pull.base.repo,
            head: pull.head.branch,
            head_sha: pull.head.sha,
            base: pull.base.branch,
            is_draft: pull.draft,
            over,
            at: pull.closed_at.filter(|_| over.is_some()).unwrap_or(pull.updated_at),
            merged_by: pull.merged_by.map(|user| person(Some(user))),
            node_id: pull.node_id,
        }
    }
}

impl Repository {
    /// A pull request as it is now.
    pub async fn pull_facts(&self, number: PullNumber) -> Result<PullFacts, GitHubError> {
        Ok(self.get(&format!("/pulls/{number}")).await?.json::<WirePull>()?.into())
    }

    /// The pull requests, open or not, about which anything has changed since then, the newest
    /// change first.
    pub async fn pulls_since(&self, since: Timestamp) -> Result<Vec<PullFacts>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("/pulls?state=all&sort=updated&direction=desc&per_page={PAGE}&page={page}");
            let answer = self.get(&path).await?;
            let pulls: Vec<WirePull> = answer.json()?;
            let is_full = pulls.len() == PAGE;
            let before = all.len();
            let new = pulls.into_iter().filter(|pull| pull.updated_at.as_second() >= since.as_second());
            all.extend(new.map(PullFacts::from));
            let reaches_back = all.len() < before + PAGE;
            if reaches_back || !(is_full || answer.has_next_page()) {
                break;
            }
        }
        Ok(all)
    }

    /// Who closed an issue or a pull request, where GitHub says so.
    pub async fn closed_by(&self, number: IssueNumber) -> Result<Option<Person>, GitHubError> {
        #[derive(Deserialize)]
        struct WireIssue {
            closed_by: Option<User>,
        }
        let issue: WireIssue = self.get(&format!("/issues/{number}")).await?.json()?;
        Ok(issue.closed_by.map(|user| person(Some(user))))
    }

    /// Removes a branch.
    pub async fn delete_branch(&self, branch: &str) -> Result<(), GitHubError> {
        let path = format!("/git/refs/{}", escape(&format!("heads/{branch}")));
        self.send(Verb::Delete, &path, &json!(null)).await.map(drop)
    }
}
