//! The sub-issues of an issue, in the order in which people have put them. What is done with them
//! is decided above.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::people::{User, person};
use super::{GitHubError, Repository};
use crate::event::Person;
use crate::ids::{IssueNumber, Repo};

/// The most that GitHub gives at once, and lets an issue have.
const PAGE: usize = 100;
/// After so many pages a list is left as it is.
const MAX_PAGES: usize = 50;

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
    /// When the sub-issue was created.
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

#[derive(Deserialize)]
struct WireEvent {
    event: String,
    created_at: Timestamp,
    sub_issue: Option<WireReference>,
}

#[derive(Deserialize)]
struct WireReference {
    number: Option<IssueNumber>,
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
    /// The sub-issues of an issue, open or not, in their order. [`GitHubError::NotFound`] also
    /// comes from a GitHub Enterprise Server that does not know them yet.
    pub async fn sub_issues(&self, number: IssueNumber) -> Result<Vec<ListedSubIssue>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("/issues/{number}/sub_issues?per_page={PAGE}&page={page}");
            let answer = self.get(&path).await?;
            let found: Vec<WireSubIssue> = answer.json()?;
            let is_full = found.len() == PAGE;
            all.extend(found.into_iter().map(ListedSubIssue::from));
            if !(is_full || answer.has_next_page()) {
                break;
            }
        }
        Ok(all)
    }

    /// When each sub-issue was last made one of this issue's, as far as its history says.
    pub async fn sub_issues_added(
        &self,
        number: IssueNumber,
    ) -> Result<HashMap<IssueNumber, Timestamp>, GitHubError> {
        let mut added = HashMap::new();
        for page in 1..=MAX_PAGES {
            let path = format!("/issues/{number}/events?per_page={PAGE}&page={page}");
            let answer = self.get(&path).await?;
            let found: Vec<WireEvent> = answer.json()?;
            let is_full = found.len() == PAGE;
            for event in found.into_iter().filter(|event| event.event == "sub_issue_added") {
                if let Some(number) = event.sub_issue.and_then(|reference| reference.number) {
                    added.insert(number, event.created_at);
                }
            }
            if !(is_full || answer.has_next_page()) {
                break;
            }
        }
        Ok(added)
    }
}
