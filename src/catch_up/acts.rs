//! What was done to issues without words: hob's label taken off, the issue closed or locked, or
//! given to hob's account. Found in an issue's own history where it has a story, or is given to
//! hob; only what still holds, since what was undone again asks for nothing any more.

use jiff::{SignedDuration, Timestamp};

use super::repository::{Found, RepositoryPoll, is_about_one};
use super::{CatchUp, Memory};
use crate::event::{Ending, Event, EventRepository, Issue};
use crate::github::{Done, GitHubError, IssueEvent, ListedIssue, found, webhook};

/// GitHub notes the same act with times that can be a second apart; see `intake/decide.rs`.
const SAME_ACT: SignedDuration = SignedDuration::from_secs(1);
/// hob's clock and GitHub's may differ by this much.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_secs(60);

impl CatchUp {
    /// Finds acts since a moment that are not recorded. Errors as with the labels: the store's, or
    /// what GitHub did not answer for one issue.
    pub(super) async fn acts(
        &self,
        memory: &mut Memory,
        looked: &RepositoryPoll<'_>,
        (issues, since, until): (&[ListedIssue], Timestamp, Timestamp),
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let own = match self.github.own_login().await {
            Ok(own) => own,
            Err(error) => return Ok(Some(error)),
        };
        let repo = &looked.place.repo;
        let examined = memory.acts.entry(repo.key()).or_default();
        examined.retain(|number, _| issues.iter().any(|issue| issue.number == *number));
        let mut trouble = None;
        for issue in issues.iter().filter(|issue| !issue.is_pull_request) {
            if examined.get(&issue.number) == Some(&issue.updated_at) {
                continue;
            }
            let story = self.store.story_at(repo, issue.number).await?;
            let is_given = issue.assignees.iter().any(|login| login.eq_ignore_ascii_case(&own));
            if story.is_none() && !is_given {
                continue;
            }
            let newest = match &story {
                Some(story) => self.store.newest_task_at(story.id).await?,
                None => None,
            };
            match looked.repository.issue_events(issue.number).await {
                Ok(events) => {
                    // What came well before the newest task is not about it.
                    let is_of_now = |event: &&IssueEvent| {
                        event.at >= since
                            && newest.is_none_or(|newest| {
                                event.at.saturating_add(CLOCK_MARGIN).is_ok_and(|at| at > newest)
                            })
                            && still_holds(looked, issue, &event.what, &own)
                    };
                    let events: Vec<&IssueEvent> = events.iter().filter(is_of_now).collect();
                    match self.tell(looked, issue, &events, all).await? {
                        // More may be done within the second in which the list was read.
                        None if issue.updated_at.as_second() < until.as_second() => {
                            examined.insert(issue.number, issue.updated_at);
                        }
                        None => {}
                        Some(error) => trouble = Some(error),
                    }
                }
                // It was deleted since, or moved to another repository.
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    /// Adds the deliveries that would have told of these events, as far as none has.
    async fn tell(
        &self,
        looked: &RepositoryPoll<'_>,
        issue: &ListedIssue,
        events: &[&IssueEvent],
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let place = &looked.place;
        let mut read: Option<Issue> = None;
        for event in events {
            let guid = format!("look-{}#{}-event-{}", place.repo.key(), issue.number, event.id);
            if self.store.has_delivery(&guid).await? {
                continue;
            }
            let text = match &read {
                Some(text) => text.clone(),
                None => match looked.repository.issue(issue.number).await {
                    Ok(text) => read.insert(Issue { read_later: true, ..text }).clone(),
                    Err(GitHubError::NotFound) => return Ok(None),
                    Err(error) => return Ok(Some(error)),
                },
            };
            if !self.is_told_of(place, &text, event).await? {
                let body = body(place, &text, event, event.at);
                all.push(Found { at: event.at, guid, event: "issues", body });
            }
        }
        Ok(None)
    }

    /// Whether a webhook has told of it, which names the same second or one beside it.
    async fn is_told_of(
        &self,
        place: &EventRepository,
        issue: &Issue,
        event: &IssueEvent,
    ) -> anyhow::Result<bool> {
        let around = [event.at.checked_sub(SAME_ACT), Ok(event.at), event.at.checked_add(SAME_ACT)];
        for at in around.into_iter().flatten() {
            let told: Event = webhook::decode("issues", &body(place, issue, event, at))?;
            if let Some(meaning) = told.meaning()
                && self.store.has_meaning(&meaning).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether nobody has undone it.
fn still_holds(looked: &RepositoryPoll<'_>, issue: &ListedIssue, done: &Done, own: &str) -> bool {
    match done {
        Done::Unlabeled(label) => looked.is_own(label) && !looked.is_labeled(issue),
        Done::Assigned(to) => {
            to.login.eq_ignore_ascii_case(own)
                && issue.assignees.iter().any(|login| login.eq_ignore_ascii_case(own))
        }
        Done::Ended(Ending::Closed) => !issue.is_open,
        Done::Ended(Ending::Locked) => issue.is_locked,
        Done::Ended(_) => false,
    }
}

fn body(place: &EventRepository, issue: &Issue, event: &IssueEvent, at: Timestamp) -> Vec<u8> {
    match &event.what {
        Done::Unlabeled(label) => found::unlabeled(place, issue, label, at, &event.by),
        Done::Assigned(to) => found::assigned(place, issue, to, at, &event.by),
        Done::Ended(ending) => found::ended(place, issue, *ending, at, &event.by),
    }
}
