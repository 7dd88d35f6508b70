//! What a look found, written as the webhook that would have told of it, so that intake takes up
//! both alike. Only the fields that [`webhook::decode`](super::webhook::decode) reads are written,
//! and one that GitHub never sends: that the issue's text was read after the act.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::PullFacts;
use crate::event::{
    CheckKind, Comment, Ending, EventRepository, Issue, Person, Pull, PullTransition, Review, Verdict,
};
use crate::ids::{CommentId, Sha};
use crate::story::fix::{CheckState, FoundCheck};

/// A body of `issues.labeled`: `at` is when the label was put on.
pub fn labeled(place: &EventRepository, issue: &Issue, label: &str, at: Timestamp, by: &Person) -> Vec<u8> {
    let mut body = envelope("labeled", place, issue, at, by);
    body["label"] = json!({ "name": label });
    body.to_string().into_bytes()
}

/// A body of `issues.unlabeled`.
pub fn unlabeled(place: &EventRepository, issue: &Issue, label: &str, at: Timestamp, by: &Person) -> Vec<u8> {
    let mut body = envelope("unlabeled", place, issue, at, by);
    body["label"] = json!({ "name": label });
    body.to_string().into_bytes()
}

/// A body of `issues.assigned`.
pub fn assigned(place: &EventRepository, issue: &Issue, to: &Person, at: Timestamp, by: &Person) -> Vec<u8> {
    let mut body = envelope("assigned", place, issue, at, by);
    body["assignee"] = json!({"login": to.login, "id": to.id});
    body.to_string().into_bytes()
}

/// A body of `issues.closed` or another end.
pub fn ended(place: &EventRepository, issue: &Issue, ending: Ending, at: Timestamp, by: &Person) -> Vec<u8> {
    envelope(ending.as_str(), place, issue, at, by).to_string().into_bytes()
}

/// A body of `issue_comment.created`.
pub fn commented(
    place: &EventRepository,
    issue: &Issue,
    id: CommentId,
    text: &str,
    at: Timestamp,
    by: &Person,
) -> Vec<u8> {
    let mut body = envelope("created", place, issue, at, by);
    body["comment"] = json!({"id": id, "body": text, "created_at": at});
    body.to_string().into_bytes()
}

/// A body of `issue_comment.edited`: `comment` is as it was written, `after` what it reads now,
/// since `at`.
pub fn edited(
    place: &EventRepository,
    issue: &Issue,
    comment: &Comment,
    after: &str,
    at: Timestamp,
    by: &Person,
) -> Vec<u8> {
    let mut body = envelope("edited", place, issue, at, by);
    body["comment"] = json!({"id": comment.id, "body": after, "created_at": comment.at, "updated_at": at});
    body["changes"] = json!({"body": {"from": comment.body}});
    body.to_string().into_bytes()
}

/// A body of `push`: the branch is at this commit. Where it was is not known.
pub fn pushed(place: &EventRepository, branch: &str, head: &Sha) -> Vec<u8> {
    let mut body = json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "0".repeat(head.as_str().len()),
        "after": head,
        "repository": repository(place),
    });
    if let Some(installation) = place.installation {
        body["installation"] = json!({ "id": installation });
    }
    body.to_string().into_bytes()
}

/// A body of `pull_request.closed`, or `reopened`: `at` is when that was done.
pub fn pull_moved(
    place: &EventRepository,
    pull: &PullFacts,
    to: PullTransition,
    at: Timestamp,
    by: Option<&Person>,
) -> Vec<u8> {
    let is_open = to == PullTransition::Reopened;
    let closed_at = (!is_open).then_some(at);
    let repo = |is_own: bool| if is_own { json!({"id": 0}) } else { Value::Null };
    let mut body = json!({
        "action": if is_open { "reopened" } else { "closed" },
        "repository": repository(place),
        "sender": by.map(account),
        "pull_request": {
            "number": pull.number, "title": pull.title, "body": pull.body, "user": account(&pull.author),
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": repo(!pull.is_from_fork)},
            "base": {"ref": pull.base, "sha": pull.head_sha, "repo": repo(true)},
            "state": if is_open { "open" } else { "closed" }, "updated_at": at, "closed_at": closed_at,
            "merged_at": closed_at.filter(|_| to == PullTransition::Merged),
        },
    });
    if let Some(installation) = place.installation {
        body["installation"] = json!({ "id": installation });
    }
    body.to_string().into_bytes()
}

/// A body of `check_run.completed`, `status` or `workflow_run.completed`, as the check's kind is.
pub fn check_ended(place: &EventRepository, head: &Sha, found: &FoundCheck, at: Timestamp) -> Vec<u8> {
    let check = &found.check;
    let conclusion = if found.state == CheckState::Failed { "failure" } else { "success" };
    let mut body = json!({
        "repository": repository(place),
    });
    if let Some(installation) = place.installation {
        body["installation"] = json!({ "id": installation });
    }
    match check.kind {
        CheckKind::CheckRun => {
            body["action"] = json!("completed");
            body["check_run"] = json!({
                "id": check.id, "name": check.name, "head_sha": head, "conclusion": conclusion, "completed_at": at,
                "app": {"id": found.app_id, "slug": check.app},
            });
        }
        CheckKind::WorkflowRun => {
            body["action"] = json!("completed");
            body["workflow_run"] = json!({
                "id": check.id, "name": check.name, "head_sha": head, "conclusion": conclusion, "updated_at": at,
            });
        }
        CheckKind::Status => {
            for (field, value) in [
                ("id", json!(check.id)),
                ("sha", json!(head)),
                ("context", json!(check.name)),
                ("state", json!(conclusion)),
                ("updated_at", json!(at)),
            ] {
                body[field] = value;
            }
        }
    }
    body.to_string().into_bytes()
}

/// A review, as the delivery that tells of it.
pub fn reviewed(place: &EventRepository, pull: &Pull, review: &Review, by: &Person) -> Vec<u8> {
    let state = match review.verdict {
        Verdict::Approved => "approved",
        Verdict::ChangesRequested => "changes_requested",
        Verdict::Commented => "commented",
    };
    // Which repositories they are does not matter, only whether it is one.
    let head_repository = if pull.is_from_fork { 2 } else { 1 };
    let mut body = json!({
        "action": "submitted",
        "repository": repository(place),
        "sender": account(by),
        "pull_request": {
            "number": pull.number, "title": pull.title, "body": pull.body, "user": account(&pull.author),
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": {"id": head_repository}},
            "base": {"ref": pull.base, "repo": {"id": 1}, "sha": pull.head_sha},
            "state": if pull.is_open { "open" } else { "closed" }, "updated_at": review.at,
        },
        "review": {
            "id": review.id, "body": review.body, "state": state, "commit_id": review.commit,
            "submitted_at": review.at,
        },
    });
    if let Some(installation) = place.installation {
        body["installation"] = json!({ "id": installation });
    }
    body.to_string().into_bytes()
}

fn repository(place: &EventRepository) -> Value {
    json!({"id": place.id, "full_name": place.repo, "default_branch": place.default_branch})
}

fn account(person: &Person) -> Value {
    let kind = if person.is_bot { "Bot" } else { "User" };
    json!({"login": person.login, "id": person.id, "type": kind})
}

fn envelope(action: &str, place: &EventRepository, issue: &Issue, at: Timestamp, by: &Person) -> Value {
    let mut body = json!({
        "action": action,
        "repository": repository(place),
        "sender": account(by),
        "issue": {
            "number": issue.number, "title": issue.title, "body": issue.body, "updated_at": at,
            "state": if issue.is_open { "open" } else { "closed" },
            "hob_read_later": true,
        },
    });
    if issue.is_pull_request {
        body["issue"]["pull_request"] = json!({});
    }
    if let Some(installation) = place.installation {
        body["installation"] = json!({ "id": installation });
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EndedCheck, Event};
    use crate::github::webhook::decode;
    use crate::ids::{InstallationId, IssueNumber, RepositoryId};
    use crate::story::fix::FailedCheck;

    #[test]
    fn what_is_written_is_read_back_as_the_same_event() {
        let place = EventRepository {
            id: Some(RepositoryId(5)),
            repo: "acme/tool".parse().unwrap(),
            default_branch: "main".into(),
            installation: Some(InstallationId(42)),
        };
        let issue = Issue {
            number: IssueNumber(7),
            title: "T".into(),
            body: "B".into(),
            is_pull_request: true,
            is_open: true,
            read_later: true,
        };
        let sender = Person { login: "alice".into(), id: Some(3), is_bot: false };
        let at = "2026-11-24T08:00:00Z".parse().unwrap();

        let body = labeled(&place, &issue, "hob", at, &sender);
        let (label, sender_, issue_, place_) =
            ("hob".to_owned(), sender.clone(), issue.clone(), place.clone());
        let expected = Event::IssueLabeled { place: place_, issue: issue_, label, at, sender: sender_ };
        assert_eq!(decode("issues", &body).unwrap(), expected);

        let body = unlabeled(&place, &issue, "hob", at, &sender);
        let Event::IssueUnlabeled { label, sender: by, .. } = decode("issues", &body).unwrap() else {
            panic!()
        };
        assert_eq!((label.as_str(), &by), ("hob", &sender));
        let body = assigned(&place, &issue, &sender, at, &sender);
        let Event::IssueAssigned { to, .. } = decode("issues", &body).unwrap() else { panic!() };
        assert_eq!(to.login, sender.login);
        for ending in [Ending::Closed, Ending::Locked] {
            let body = ended(&place, &issue, ending, at, &sender);
            let Event::IssueEnded { ending: read, at: when, .. } = decode("issues", &body).unwrap() else {
                panic!()
            };
            assert_eq!((read, when), (ending, at));
        }

        let body = commented(&place, &issue, CommentId(9), "/hob work", at, &sender);
        let comment = Comment { id: CommentId(9), body: "/hob work".into(), at };
        let expected = Event::Commented {
            place: place.clone(),
            issue: issue.clone(),
            comment: comment.clone(),
            sender: sender.clone(),
        };
        assert_eq!(decode("issue_comment", &body).unwrap(), expected);

        let pull = Pull {
            number: crate::ids::PullNumber(7),
            title: "T".into(),
            body: "B".into(),
            author: sender.clone(),
            head: "hob/issue-1".into(),
            head_sha: "a".repeat(40).parse().unwrap(),
            is_from_fork: false,
            base: "main".into(),
            is_open: true,
        };
        let review = Review {
            id: crate::ids::ReviewId(5),
            verdict: Verdict::ChangesRequested,
            body: "Not yet.".into(),
            commit: Some(pull.head_sha.clone()),
            at,
        };
        let body = reviewed(&place, &pull, &review, &sender);
        let expected = Event::Reviewed { place: place.clone(), pull, review, sender: sender.clone() };
        assert_eq!(decode("pull_request_review", &body).unwrap(), expected);

        let body = edited(&place, &issue, &comment, "- [x] a", at, &sender);
        let now = Comment { body: "- [x] a".into(), ..comment };
        let before = "/hob work".into();
        let expected = Event::CommentEdited { place, issue, comment: now, before, at, sender };
        assert_eq!(decode("issue_comment", &body).unwrap(), expected);
    }

    #[test]
    fn a_push_that_was_found_is_read_back_as_one() {
        let place = EventRepository {
            id: None,
            repo: "acme/tool".parse().unwrap(),
            default_branch: "main".into(),
            installation: None,
        };
        let head: Sha = "a".repeat(40).parse().unwrap();
        let read = decode("push", &pushed(&place, "main", &head)).unwrap();
        let Event::Pushed { branch, before: None, after: Some(after), .. } = read else { panic!("{read:?}") };
        assert_eq!((branch.as_str(), after), ("main", head));
    }

    #[test]
    fn a_failed_check_is_read_back_as_its_webhook_would_be() {
        let place = EventRepository {
            id: None,
            repo: "acme/tool".parse().unwrap(),
            default_branch: "main".into(),
            installation: None,
        };
        let head: Sha = "a".repeat(40).parse().unwrap();
        let at: Timestamp = "2026-11-24T08:00:00Z".parse().unwrap();
        for kind in [CheckKind::CheckRun, CheckKind::Status, CheckKind::WorkflowRun] {
            let app = (kind == CheckKind::CheckRun).then(|| "github-actions".to_owned());
            let app_id = app.as_ref().map(|_| 15_368);
            let check =
                FailedCheck { kind, id: 7, name: "build".into(), app: app.clone(), url: None, said: None };
            let found = FoundCheck { check, app_id, workflow: None, state: CheckState::Failed, at: Some(at) };
            let body = check_ended(&place, &head, &found, at);
            let ended = EndedCheck {
                kind,
                id: 7,
                name: "build".into(),
                head: head.clone(),
                failed: true,
                app,
                app_id,
            };
            let expected = Event::CheckEnded { place: place.clone(), check: ended, at };
            assert_eq!(decode(kind.as_str(), &body).unwrap(), expected);
        }
    }
}
