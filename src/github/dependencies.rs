//! What an issue waits for on GitHub: the issues that it is blocked by. What follows from that is
//! decided above.

use serde::Deserialize;

use super::{GitHubError, Repository};
use crate::ids::{IssueNumber, Repo};

/// An issue that another is blocked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Where it is, where GitHub says so.
    pub repo: Option<Repo>,
    /// Its number there.
    pub number: IssueNumber,
    /// Whether it is still open.
    pub is_open: bool,
}

#[derive(Deserialize)]
struct WireBlocker {
    number: IssueNumber,
    state: String,
    /// Ends with `/repos/owner/name`.
    repository_url: String,
}

impl From<WireBlocker> for Blocker {
    fn from(wire: WireBlocker) -> Blocker {
        let repo = wire.repository_url.rsplit_once("/repos/").and_then(|(_, name)| name.parse().ok());
        Blocker { repo, number: wire.number, is_open: wire.state == "open" }
    }
}

impl Repository {
    /// The issues that an issue is blocked by, the first hundred of them: GitHub allows fifty.
    /// [`GitHubError::NotFound`] also comes from a GitHub Enterprise Server that does not know this
    /// yet.
    pub async fn blocked_by(&self, number: IssueNumber) -> Result<Vec<Blocker>, GitHubError> {
        let path = format!("/issues/{number}/dependencies/blocked_by?per_page=100");
        let blockers: Vec<WireBlocker> = self.get(&path).await?.json()?;
        Ok(blockers.into_iter().map(Blocker::from).collect())
    }
}
