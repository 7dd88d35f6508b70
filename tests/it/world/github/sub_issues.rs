//! Sub-issues on the played GitHub.

use super::GitHub;
use super::call::{Call, Reply};
use super::state::State;

impl GitHub {
    /// Makes an issue the last sub-issue of another. No webhook of hob's tells of it.
    pub fn add_sub_issue(&self, repo: &str, parent: u64, number: u64) {
        self.change(|state| state.repository_mut(repo).issue_mut(parent).sub_issues.push(number));
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
