//! Where a branch is, how it is called by now, and what a repository is like as a place for work.
//! What follows from that is decided above.

use serde::Deserialize;

use super::client::escape;
use super::{GitHubError, Repository};
use crate::ids::Sha;

#[derive(Deserialize)]
struct WireBranch {
    name: String,
    commit: WireCommit,
}

#[derive(Deserialize)]
struct WireCommit {
    sha: Sha,
}

/// A repository as a place for work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RepositoryState {
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// Whether people have archived it: it can only be read then.
    #[serde(default)]
    pub archived: bool,
    /// Whether GitHub has disabled it.
    #[serde(default)]
    pub disabled: bool,
    /// What the account of the token may do there. Says nothing about an App.
    #[serde(default)]
    permissions: Option<Permissions>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Permissions {
    #[serde(default)]
    push: bool,
}

impl RepositoryState {
    /// Whether the account of hob's token may not push there.
    pub fn refuses_pushes(&self) -> bool {
        self.permissions.as_ref().is_some_and(|permissions| !permissions.push)
    }
}

impl Repository {
    /// The commit that a branch is at. [`GitHubError::NotFound`] where there is none of that name.
    pub async fn branch_head(&self, name: &str) -> Result<Sha, GitHubError> {
        Ok(self.branch(name).await?.commit.sha)
    }

    /// What the repository is like as a place for work.
    pub async fn state(&self) -> Result<RepositoryState, GitHubError> {
        self.get("").await?.json()
    }

    /// The name of a branch by now: GitHub sends on who asks for one by a name that it had before.
    /// Where there is none of that name any more, the default branch, if it is that which is meant
    /// (`or_default`).
    pub async fn present_branch(&self, name: &str, or_default: bool) -> Result<Option<String>, GitHubError> {
        match self.branch(name).await {
            Ok(found) => return Ok(Some(found.name)),
            Err(error) if error.is_transient() => return Err(error),
            Err(_) if !or_default => return Ok(None),
            Err(_) => {}
        }
        let default = self.state().await?.default_branch;
        match self.branch(&default).await {
            Ok(found) => Ok(Some(found.name)),
            Err(GitHubError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn branch(&self, name: &str) -> Result<WireBranch, GitHubError> {
        self.get(&format!("/branches/{}", escape(name))).await?.json()
    }
}
