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
    let Some(tip) = repository.bare.tip(branch) else {
        let renamed = repository.renamed_branches.iter().find(|(old, _)| old == branch);
        return renamed.map_or_else(Reply::not_found, |(_, new)| {
            let new = new.replace('/', "%2F");
            Reply::moved(format!("{}/repos/{}/branches/{new}", github.api_url(), repository.full_name))
        });
    };
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
