//! Branches as the API has them: where one is, and that one is removed.

use serde_json::{Value, json};

use super::GitHub;
use super::call::{Call, Reply};
use super::description::example;
use super::state::State;

/// `GET /repos/{owner}/{repo}/branches/{branch}`
pub(super) fn get_branch(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let repository = state.repository(&name);
    let branch = call.part("branch");
    let Some(tip) = repository.bare.tip(branch) else { return Reply::not_found() };
    let mut answer = example("GET /repos/{owner}/{repo}/branches/{branch}");
    github.writer().localise(&mut answer, repository);
    answer["name"] = json!(branch);
    answer["commit"]["sha"] = json!(tip);
    Reply::new(200, answer)
}

/// `DELETE /repos/{owner}/{repo}/git/refs/{ref}`
pub(super) fn delete(_github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let repository = state.repository(&name);
    let Some(branch) = call.part("ref").strip_prefix("heads/") else { return Reply::not_found() };
    if repository.bare.tip(branch).is_none() {
        return Reply::not_found();
    }
    repository.bare.remove(branch);
    Reply::new(204, Value::Null)
}
