//! The deliveries about pull requests and their commits: reviews, closing, checks, buttons, pushes.
//! A part of [`decode`](super::decode).

use jiff::Timestamp;
use serde::Deserialize;

use super::{Installation, Repository, person, place, read};
use crate::event::{CheckKind, EndedCheck, Event, Pull, PullTransition, Review};
use crate::github::failed_checks::FAILED;
use crate::github::people::User;
use crate::github::pulls::Side;
use crate::github::reviews::verdict;
use crate::ids::{CheckRunId, PullNumber, ReviewId, Sha};

/// What hob could use of a delivery; nothing where it is about something else.
pub(super) fn decode(event: &str, action: Option<&str>, body: &[u8]) -> Result<Option<Event>, String> {
    Ok(match (event, action) {
        ("pull_request_review", Some("submitted")) => reviewed(read(body)?),
        ("pull_request", Some("closed" | "reopened")) => Some(moved(read(body)?, action == Some("closed"))),
        ("pull_request", Some("edited")) => retargeted(read(body)?),
        ("check_run", Some("completed")) => check_ended(read(body)?),
        ("check_run", Some("requested_action" | "rerequested")) => Some(button(read(body)?)),
        ("check_suite", Some("rerequested")) => Some(all_again(read(body)?)),
        ("workflow_run", Some("completed")) => Some(workflow_ended(read(body)?)),
        ("status", None) => status(read(body)?),
        ("push", None) => pushed(read(body)?),
        _ => None,
    })
}

#[derive(Deserialize)]
struct OnPull {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    pull_request: WirePull,
    review: Option<WireReview>,
    changes: Option<Changes>,
}

/// What an edit has changed.
#[derive(Deserialize)]
struct Changes {
    base: Option<serde::de::IgnoredAny>,
}

/// A pull request as GitHub sends it, in webhooks as in answers.
#[derive(Deserialize)]
pub(in crate::github) struct WirePull {
    number: PullNumber,
    title: String,
    body: Option<String>,
    user: Option<User>,
    head: Side,
    base: Side,
    state: String,
    /// Null, or absent, while it is open, and in deliveries about reviews.
    merged_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct WireReview {
    id: ReviewId,
    body: Option<String>,
    state: String,
    commit_id: Option<Sha>,
    submitted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct OnCheckRun {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    check_run: WireCheckRun,
    requested_action: Option<RequestedAction>,
}

#[derive(Deserialize)]
struct OnCheckSuite {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    check_suite: WireCheckSuite,
}

#[derive(Deserialize)]
struct WireCheckSuite {
    head_sha: Sha,
}

#[derive(Deserialize)]
struct WireCheckRun {
    id: u64,
    name: String,
    head_sha: Sha,
    conclusion: Option<String>,
    completed_at: Option<Timestamp>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    #[serde(default)]
    id: Option<u64>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct RequestedAction {
    identifier: String,
}

#[derive(Deserialize)]
struct OnWorkflowRun {
    repository: Repository,
    installation: Option<Installation>,
    workflow_run: WireWorkflowRun,
}

#[derive(Deserialize)]
struct WireWorkflowRun {
    id: u64,
    name: Option<String>,
    head_sha: Sha,
    conclusion: Option<String>,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct OnStatus {
    repository: Repository,
    installation: Option<Installation>,
    id: u64,
    sha: Sha,
    context: String,
    state: String,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct OnPush {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    #[serde(rename = "ref")]
    full_name: String,
    before: Sha,
    after: Sha,
}

impl From<WirePull> for Pull {
    fn from(pull: WirePull) -> Pull {
        Pull {
            number: pull.number,
            title: pull.title,
            body: pull.body.unwrap_or_default(),
            author: person(pull.user),
            is_from_fork: pull.head.repo != pull.base.repo,
            head: pull.head.branch,
            head_sha: pull.head.sha,
            base: pull.base.branch,
            is_open: pull.state == "open",
        }
    }
}

fn reviewed(delivery: OnPull) -> Option<Event> {
    let review = delivery.review?;
    // None: not sent yet, or taken back.
    let verdict = verdict(&review.state)?;
    Some(Event::Reviewed {
        place: place(delivery.repository, delivery.installation),
        review: Review {
            id: review.id,
            verdict,
            body: review.body.unwrap_or_default(),
            commit: review.commit_id,
            at: review.submitted_at?,
        },
        pull: delivery.pull_request.into(),
        sender: person(delivery.sender),
    })
}

fn moved(delivery: OnPull, is_closed: bool) -> Event {
    let to = match (is_closed, delivery.pull_request.merged_at) {
        (true, Some(_)) => PullTransition::Merged,
        (true, None) => PullTransition::Closed,
        (false, _) => PullTransition::Reopened,
    };
    Event::PullMoved {
        place: place(delivery.repository, delivery.installation),
        // A look finds the same moment, whatever has changed since.
        at: delivery.pull_request.closed_at.filter(|_| is_closed).unwrap_or(delivery.pull_request.updated_at),
        pull: delivery.pull_request.into(),
        to,
        sender: person(delivery.sender),
    }
}

/// Of the edits of a pull request, those of its texts are nobody's business here.
fn retargeted(delivery: OnPull) -> Option<Event> {
    delivery.changes.and_then(|changes| changes.base)?;
    Some(Event::PullRetargeted {
        place: place(delivery.repository, delivery.installation),
        pull: delivery.pull_request.into(),
    })
}

/// `cancelled` is somebody's wish, and `action_required` and `stale` wait for somebody.
fn has_failed(conclusion: Option<&str>) -> bool {
    conclusion.is_some_and(|conclusion| FAILED.contains(&conclusion))
}

fn check_ended(delivery: OnCheckRun) -> Option<Event> {
    let run = delivery.check_run;
    Some(Event::CheckEnded {
        place: place(delivery.repository, delivery.installation),
        at: run.completed_at?,
        check: EndedCheck {
            kind: CheckKind::CheckRun,
            id: run.id,
            name: run.name,
            head: run.head_sha,
            failed: has_failed(run.conclusion.as_deref()),
            app_id: run.app.as_ref().and_then(|app| app.id),
            app: run.app.and_then(|app| app.slug),
        },
    })
}

fn button(delivery: OnCheckRun) -> Event {
    Event::CheckButton {
        place: place(delivery.repository, delivery.installation),
        check_run: Some(CheckRunId(delivery.check_run.id)),
        head: delivery.check_run.head_sha,
        button: delivery.requested_action.map(|action| action.identifier),
        sender: person(delivery.sender),
    }
}

fn all_again(delivery: OnCheckSuite) -> Event {
    Event::CheckButton {
        place: place(delivery.repository, delivery.installation),
        check_run: None,
        head: delivery.check_suite.head_sha,
        button: None,
        sender: person(delivery.sender),
    }
}

fn workflow_ended(delivery: OnWorkflowRun) -> Event {
    let run = delivery.workflow_run;
    Event::CheckEnded {
        place: place(delivery.repository, delivery.installation),
        at: run.updated_at,
        check: EndedCheck {
            kind: CheckKind::WorkflowRun,
            id: run.id,
            name: run.name.unwrap_or_default(),
            head: run.head_sha,
            failed: has_failed(run.conclusion.as_deref()),
            app: None,
            app_id: None,
        },
    }
}

/// A status that is still pending has not ended.
fn status(delivery: OnStatus) -> Option<Event> {
    let failed = match delivery.state.as_str() {
        "failure" | "error" => true,
        "success" => false,
        _ => return None,
    };
    Some(Event::CheckEnded {
        place: place(delivery.repository, delivery.installation),
        at: delivery.updated_at,
        check: EndedCheck {
            kind: CheckKind::Status,
            id: delivery.id,
            name: delivery.context,
            head: delivery.sha,
            failed,
            app: None,
            app_id: None,
        },
    })
}

/// A push of a tag is about no branch.
fn pushed(delivery: OnPush) -> Option<Event> {
    let branch = delivery.full_name.strip_prefix("refs/heads/")?.to_owned();
    let there = |sha: Sha| sha.as_str().bytes().any(|digit| digit != b'0').then_some(sha);
    Some(Event::Pushed {
        place: place(delivery.repository, delivery.installation),
        branch,
        before: there(delivery.before),
        after: there(delivery.after),
        sender: person(delivery.sender),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::github::webhook::decode as decode_delivery;

    macro_rules! example {
        ($event:literal, $name:literal) => {
            decode_delivery($event, include_bytes!(concat!("../../../tests/data/webhooks/", $name, ".json")))
                .unwrap()
        };
    }

    #[test]
    fn githubs_own_examples_say_what_they_say() {
        let Event::Reviewed { place, pull, review, sender } =
            example!("pull_request_review", "pull_request_review.submitted")
        else {
            panic!("not a review");
        };
        assert_eq!(
            (place.default_branch.as_str(), pull.number, pull.base.as_str()),
            ("master", PullNumber(2), "master")
        );
        assert!(pull.is_open && !pull.is_from_fork);
        assert_eq!(
            (review.verdict, review.body.as_str(), sender.login.as_str()),
            (Verdict::Commented, "", "Codertocat")
        );
        assert_eq!(review.commit, Some(pull.head_sha));

        let Event::PullMoved { to, pull, .. } = example!("pull_request", "pull_request.closed") else {
            panic!("not closed");
        };
        assert_eq!((to, pull.is_open), (PullTransition::Closed, false));

        let Event::CheckEnded { check, .. } = example!("check_run", "check_run.completed") else {
            panic!("no check");
        };
        assert_eq!(
            (check.kind, check.id, check.name.as_str()),
            (CheckKind::CheckRun, 128_620_228, "Octocoders-linter")
        );

        let Event::CheckButton { button, .. } = example!("check_run", "check_run.requested_action") else {
            panic!("no button");
        };
        assert_eq!(button.as_deref(), Some("lgtm|26764"));
        let Event::CheckButton { button: None, .. } = example!("check_run", "check_run.rerequested") else {
            panic!("not asked for again");
        };
        let Event::CheckButton { button: None, check_run: None, head, .. } =
            example!("check_suite", "check_suite.rerequested")
        else {
            panic!("not all asked for again");
        };
        assert_eq!(head.as_str(), "ec26c3e57ca3a959ca5aad62de7213c562f8c821");
        let Event::CheckEnded { check, .. } = example!("status", "status") else { panic!("no status") };
        assert_eq!((check.kind, check.failed, check.name.as_str()), (CheckKind::Status, false, "default"));
        assert!(matches!(example!("workflow_run", "workflow_run.completed"), Event::CheckEnded { .. }));
        // Of a tag.
        assert!(matches!(example!("push", "push"), Event::Other { .. }));
    }

    #[test]
    fn a_push_tells_where_a_branch_was_and_is() {
        let body = serde_json::json!({
            "ref": "refs/heads/a/b", "before": "0".repeat(40), "after": "a".repeat(40), "sender": null,
            "repository": {"full_name": "Acme/tool", "default_branch": "main"},
        });
        let event = decode_delivery("push", body.to_string().as_bytes()).unwrap();
        let Event::Pushed { branch, before: None, after: Some(_), .. } = &event else { panic!("{event:?}") };
        assert_eq!(branch, "a/b");
        let meaning = event.meaning().unwrap();
        assert!(meaning.starts_with("push acme/tool a/b none aaaa"), "{meaning}");
    }
}
