//! Pull requests from a branch of the repository itself: finding, opening, changing. hob opens none
//! from forks.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{Verb, escape};
use super::{GitHubError, Repository};
use crate::ids::{PullNumber, Sha};

/// A pull request that GitHub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number in the repository.
    pub number: PullNumber,
    /// Where a person reads it.
    pub url: String,
    /// One line.
    pub title: String,
    /// Markdown; empty where GitHub sent null.
    pub body: String,
    /// The branch with the work.
    pub head: String,
    /// The branch it is to go to.
    pub base: String,
    /// Whether it is marked as not ready.
    pub is_draft: bool,
    /// Its id for GitHub's GraphQL API.
    pub node_id: String,
}

/// A pull request to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPull {
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// The branch with the work, already pushed.
    pub head: String,
    /// The branch it is to go to.
    pub base: String,
    /// Whether to mark it as not ready. Some plans have no drafts and answer `Unprocessable`.
    pub draft: bool,
}

#[derive(Deserialize)]
struct WirePull {
    number: PullNumber,
    node_id: String,
    html_url: String,
    title: String,
    body: Option<String>,
    head: Side,
    base: Side,
    #[serde(default)]
    draft: bool,
}

/// The branch that a pull request comes from, or goes to, as GitHub sends it in answers and in
/// webhooks.
#[derive(Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) branch: String,
    pub(super) sha: Sha,
    /// Null where a fork was deleted.
    pub(super) repo: Option<SideRepo>,
}

#[derive(Deserialize, PartialEq, Eq)]
pub(super) struct SideRepo {
    id: u64,
}

impl From<WirePull> for Pull {
    fn from(pull: WirePull) -> Pull {
        Pull {
            number: pull.number,
            url: pull.html_url,
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            head: pull.head.branch,
            base: pull.base.branch,
            is_draft: pull.draft,
            node_id: pull.node_id,
        }
    }
}

/// REST cannot change whether a pull request is a draft. Checked against GitHub's schema as the
/// question in `history.rs`.
const MAKE_READY: &str = "
mutation($id: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } }
}
";
const MAKE_DRAFT: &str = "
mutation($id: ID!) {
  convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } }
}
";

impl Repository {
    /// Makes a pull request a draft, or ready for review.
    pub async fn set_draft(&self, node_id: &str, draft: bool) -> Result<(), GitHubError> {
        let question = if draft { MAKE_DRAFT } else { MAKE_READY };
        self.count_write();
        self.graphql(&json!({"query": question, "variables": {"id": node_id}})).await.map(drop)
    }

    /// The open pull request from `head_branch` of this repository, if there is one.
    pub async fn find_pull(&self, head_branch: &str) -> Result<Option<Pull>, GitHubError> {
        let owner = escape(self.repo.owner());
        let path = format!("/pulls?state=open&per_page=100&head={owner}:{}", escape(head_branch));
        let pulls: Vec<WirePull> = self.get(&path).await?.json()?;
        // GitHub leaves the filter away where it does not like it, and a fork under the same owner
        // may have a branch of the same name.
        let is_ours = |pull: &WirePull| pull.head.branch == head_branch && pull.head.repo == pull.base.repo;
        Ok(pulls.into_iter().find(is_ours).map(Pull::from))
    }

    /// Opens a pull request.
    ///
    /// # Errors
    /// `Unprocessable` with `already_exists` if the branch has one: [`find_pull`](Self::find_pull)
    /// finds it.
    pub async fn open_pull(&self, new: &NewPull) -> Result<Pull, GitHubError> {
        Ok(self.send(Verb::Post, "/pulls", new).await?.json::<WirePull>()?.into())
    }

    /// Requests somebody's review.
    ///
    /// # Errors
    /// `Unprocessable` for somebody who may not see the repository, or whose pull request it is.
    pub async fn request_review(&self, number: PullNumber, reviewer: &str) -> Result<(), GitHubError> {
        let path = format!("/pulls/{number}/requested_reviewers");
        self.send(Verb::Post, &path, &json!({ "reviewers": [reviewer] })).await.map(drop)
    }

    /// Replaces what is given, and leaves the rest as it is.
    pub async fn update_pull(
        &self,
        number: PullNumber,
        title: Option<&str>,
        body: Option<&str>,
    ) -> Result<Pull, GitHubError> {
        #[derive(Serialize)]
        struct Change<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            title: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            body: Option<&'a str>,
        }
        let path = format!("/pulls/{number}");
        Ok(self.send(Verb::Patch, &path, &Change { title, body }).await?.json::<WirePull>()?.into())
    }
}
