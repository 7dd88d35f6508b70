//! Where a branch is. What follows from that is decided above.

use serde::Deserialize;

use super::client::escape;
use super::{GitHubError, Repository};
use crate::ids::Sha;

#[derive(Deserialize)]
struct WireBranch {
    commit: WireCommit,
}

#[derive(Deserialize)]
struct WireCommit {
    sha: Sha,
}

impl Repository {
    /// The commit that a branch is at. [`GitHubError::NotFound`] where there is none of that name.
    pub async fn branch_head(&self, name: &str) -> Result<Sha, GitHubError> {
        let branch: WireBranch = self.get(&format!("/branches/{}", escape(name))).await?.json()?;
        Ok(branch.commit.sha)
    }
}
