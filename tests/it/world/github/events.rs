//! What was done to issues on the played GitHub, as the issue's own history has it.

use jiff::Timestamp;
use serde_json::json;

use super::GitHub;
use super::call::{Call, Reply};
use super::state::{Issue, State};
use super::writer::time;

/// An act in an issue's history.
pub(super) struct Act {
    id: u64,
    at: Timestamp,
    by: String,
    event: String,
    /// The label, the account, or the sub-issue's number.
    what: Option<String>,
}

impl Issue {
    /// Notes what somebody has done.
    pub(super) fn note(&mut self, id: u64, by: &str, event: &str, what: Option<&str>) {
        self.updated = Timestamp::now();
        self.note_at(id, by, event, what, self.updated);
    }

    /// The same for an act of another moment.
    pub(super) fn note_at(&mut self, id: u64, by: &str, event: &str, what: Option<&str>, at: Timestamp) {
        let (by, event, what) = (by.to_owned(), event.to_owned(), what.map(str::to_owned));
        self.acts.push(Act { id, at, by, event, what });
    }
}

pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let Some(issue) = repository.issues.get(&call.number("issue_number")) else { return Reply::not_found() };
    let writer = github.writer();
    let address = format!("{}/repos/{}/issues/events", writer.api, repository.full_name);
    let write = |act: &Act| {
        let mut written = json!({
            "id": act.id, "node_id": format!("event-{}", act.id), "url": format!("{address}/{}", act.id),
            "actor": writer.user(&act.by), "event": act.event, "commit_id": null, "commit_url": null,
            "created_at": time(act.at), "performed_via_github_app": null,
        });
        match (act.event.as_str(), &act.what) {
            ("labeled" | "unlabeled", Some(label)) => {
                written["label"] = json!({"name": label, "color": "ededed"})
            }
            ("assigned", Some(to)) => {
                written["assignee"] = writer.user(to);
                written["assigner"] = writer.user(&act.by);
            }
            ("sub_issue_added", Some(number)) => {
                let number: u64 = number.parse().expect("a number");
                let title = &repository.issue(number).title;
                written["sub_issue"] = json!({"number": number, "title": title});
            }
            ("locked", _) => written["lock_reason"] = json!(null),
            _ => {}
        }
        written
    };
    let all: Vec<_> = issue.acts.iter().map(write).collect();
    Reply::page(github, call, &all)
}
