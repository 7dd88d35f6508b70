//! Sub-issues on the played GitHub.

use jiff::{SignedDuration, Timestamp};

use super::GitHub;
use super::call::{Call, Reply};
use super::state::State;

impl GitHub {
    /// Makes an issue the last sub-issue of another. No webhook of hob's tells of it.
    pub fn add_sub_issue(&self, repo: &str, parent: u64, number: u64) {
        self.link(repo, parent, number, "alice", Timestamp::now());
    }

    /// The same by somebody, some seconds from now by GitHub's clock: after what is done next.
    pub fn add_sub_issue_later(&self, repo: &str, parent: u64, number: u64, login: &str) {
        self.link(repo, parent, number, login, Timestamp::now() + SignedDuration::from_secs(5));
    }

    fn link(&self, repo: &str, parent: u64, number: u64, login: &str, at: Timestamp) {
        self.change(|state| {
            let id = state.new_id();
            let issue = state.repository_mut(repo).issue_mut(parent);
            issue.sub_issues.push(number);
            issue.note_at(id, login, "sub_issue_added", Some(&number.to_string()), at);
        });
    }
}

/// The sub-issues of one, open or not, in their order.
pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let Some(issue) = repository.issues.get(&call.number("issue_number")) else { return Reply::not_found() };
    let writer = github.writer();
    let parts = issue.sub_issues.iter().map(|number| writer.issue(repository, repository.issue(*number)));
    Reply::page(github, call, &parts.collect::<Vec<_>>())
}
