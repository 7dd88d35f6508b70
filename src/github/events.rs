//! What was done to an issue, as far as hob acts on it where its webhook is lost. What comes of it
//! is decided above.

use jiff::Timestamp;
use serde::Deserialize;

use super::people::{User, person};
use super::{GitHubError, Repository};
use crate::event::{Ending, Person};
use crate::ids::IssueNumber;

/// The most that GitHub gives at once.
const PAGE: usize = 100;
/// After so many pages an issue's history is left as it is.
const MAX_PAGES: usize = 50;

/// Something that somebody did to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueEvent {
    /// Its number among all of GitHub's events.
    pub id: u64,
    /// When, by GitHub's clock.
    pub at: Timestamp,
    /// The person who caused it.
    pub by: Person,
    /// The kind of event.
    pub what: Done,
}

/// What somebody did to an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Took this label off.
    Unlabeled(String),
    /// Gave it to this account.
    Assigned(Person),
    /// Closed or locked it.
    Ended(Ending),
}

#[derive(Deserialize)]
struct WireEvent {
    id: u64,
    event: String,
    created_at: Timestamp,
    actor: Option<User>,
    label: Option<WireLabel>,
    assignee: Option<User>,
    /// Who gave it, where `actor` is who got it.
    assigner: Option<User>,
}

#[derive(Deserialize)]
struct WireLabel {
    name: String,
}

impl Repository {
    /// What was done to an issue, oldest first.
    pub async fn issue_events(&self, number: IssueNumber) -> Result<Vec<IssueEvent>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("/issues/{number}/events?per_page={PAGE}&page={page}");
            let answer = self.get(&path).await?;
            let found: Vec<WireEvent> = answer.json()?;
            let is_full = found.len() == PAGE;
            all.extend(found.into_iter().filter_map(event));
            if !(is_full || answer.has_next_page()) {
                break;
            }
        }
        Ok(all)
    }
}

fn event(wire: WireEvent) -> Option<IssueEvent> {
    let WireEvent { id, event, created_at: at, actor, label, assignee, assigner } = wire;
    let what = match event.as_str() {
        "unlabeled" => Done::Unlabeled(label?.name),
        "assigned" => Done::Assigned(person(Some(assignee?))),
        "closed" => Done::Ended(Ending::Closed),
        "locked" => Done::Ended(Ending::Locked),
        _ => return None,
    };
    let by = person(if event == "assigned" { assigner.or(actor) } else { actor });
    Some(IssueEvent { id, at, by, what })
}
