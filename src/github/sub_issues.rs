//! The sub-issues of an issue, in the order in which people have put them. What is done with them is decided above.

use jiff::Timestamp;
use serde::Deserialize;

use super::people::{User, person};
use super::{GitHubError, Repository};
use crate::event::Person;
use crate::ids::{IssueNumber, Repo};

/// The most that GitHub gives at once, and lets an issue have.
const PAGE: usize = 100;

/// A sub-issue, as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSubIssue {
    /// Where it is, where GitHub says so.
    pub repo: Option<Repo>,
    /// Its number there.
    pub number: IssueNumber,
    /// Whether it is open.
    pub is_open: bool,
    /// Who wrote it.
    pub author: Person,
    /// When.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct WireSubIssue {
    number: IssueNumber,
    state: String,
    /// Ends with `/repos/owner/name`.
    repository_url: String,
    user: Option<User>,
    created_at: Timestamp,
}

impl From<WireSubIssue> for ListedSubIssue {
    fn from(wire: WireSubIssue) -> ListedSubIssue {
        ListedSubIssue {
            repo: wire.repository_url.rsplit_once("/repos/").and_then(|(_, name)| name.parse().ok()),
            number: wire.number,
            is_open: wire.state == "open",
            author: person(wire.user),
            created_at: wire.created_at,
        }
    }
}

impl Repository {
    /// The sub-issues of an issue, open or not, in their order. [`GitHubError::NotFound`] also comes from a GitHub Enterprise
    /// Server that does not know them yet.
    pub async fn sub_issues(&self, number: IssueNumber) -> Result<Vec<ListedSubIssue>, GitHubError> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("/issues/{number}/sub_issues?per_page={PAGE}&page={page}");
            let answer = self.get(&path).await?;
            let found: Vec<WireSubIssue> = answer.json()?;
            let is_full = found.len() == PAGE;
            all.extend(found.into_iter().map(ListedSubIssue::from));
            if !(is_full && answer.has_next_page()) {
                break;
            }
        }
        Ok(all)
    }
}
