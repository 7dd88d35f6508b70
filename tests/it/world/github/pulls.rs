//! Routes about pull requests. The branches are those of the bare repository: a pull request for a
//! branch that was never pushed is refused here as there.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::call::{Call, Reply};
use super::repository::Distance;
use super::reviews::Talk;
use super::state::{Issue, Permission, PullPart, Repository, State};
use super::writer::PullFacts;

pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let wanted = call.query.get("state").map_or("open", String::as_str);
    // A head without its owner is no filter at all on GitHub: everything is listed.
    let head = call.query.get("head").filter(|head| head.contains(':'));
    let base = call.query.get("base");
    let matches = |issue: &&Issue| {
        let Some(part) = &issue.pull else { return false };
        let label = format!("{}:{}", repository.owner(), part.head);
        let state_fits = wanted == "all" || issue.is_open == (wanted == "open");
        let head_fits = head.is_none_or(|head| {
            // The owner is compared without regard to case, the branch is not.
            let (owner, branch) = head.split_once(':').expect("checked above");
            owner.eq_ignore_ascii_case(repository.owner()) && label.ends_with(&format!(":{branch}"))
        });
        state_fits && head_fits && base.is_none_or(|base| *base == part.base)
    };
    let ascending = call.query.get("direction").is_some_and(|direction| direction == "asc");
    let mut all: Vec<Value> = repository
        .issues
        .values()
        .filter(matches)
        .map(|issue| written(github, repository, issue, true))
        .collect();
    if !ascending {
        all.reverse();
    }
    Reply::page(github, call, &all)
}

pub(super) fn get(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    match repository.issues.get(&call.number("pull_number")).filter(|issue| issue.pull.is_some()) {
        Some(issue) => Reply::new(200, written(github, repository, issue, false)),
        None => Reply::not_found(),
    }
}

pub(super) fn create(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let id = state.new_id();
    let repository = state.repository_mut(&name);
    let number = repository.next_number();
    let (part, title) = match acceptable(repository, call) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal,
    };
    let body = call.text("body").map(str::to_owned);
    let mut issue = Issue::new(id, number, call.actor.login(), title, body);
    issue.pull = Some(part);
    repository.issues.insert(number, issue);
    Reply::new(201, written(github, repository, repository.issue(number), false))
}

pub(super) fn update(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository_mut(&call.repository());
    let number = call.number("pull_number");
    let base_exists = call.text("base").is_none_or(|base| repository.bare.tip(base).is_some());
    let Some(issue) = repository.issues.get_mut(&number) else { return Reply::not_found() };
    let Some(part) = &mut issue.pull else { return Reply::not_found() };
    if !base_exists {
        return invalid("base");
    }
    if let Some(base) = call.text("base") {
        part.base = base.to_owned();
    }
    if let Some(title) = call.text("title") {
        issue.title = title.to_owned();
    }
    if let Some(body) = call.text("body") {
        issue.body = Some(body.to_owned());
    }
    if let Some(state) = call.text("state") {
        issue.is_open = state == "open";
    }
    issue.updated = Timestamp::now();
    Reply::new(200, written(github, repository, repository.issue(number), false))
}

/// Asks people for a review: only those who are known to the repository, and not the author.
pub(super) fn request_reviewers(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository_mut(&call.repository());
    let number = call.number("pull_number");
    let wanted: Vec<String> = call.body["reviewers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let known = |login: &String| {
        repository.permissions.get(&login.to_ascii_lowercase()).is_some_and(|p| *p >= Permission::Read)
    };
    let all_known = wanted.iter().all(known);
    let Some(issue) = repository.issues.get_mut(&number) else { return Reply::not_found() };
    let Some(part) = &mut issue.pull else { return Reply::not_found() };
    if !all_known {
        return custom(
            "Reviews may only be requested from collaborators. One or more of the users or teams you \
                       specified is not a collaborator of the repository.",
        );
    }
    if wanted.contains(&issue.author) {
        return custom("Review cannot be requested from pull request author.");
    }
    for reviewer in wanted {
        if !part.reviewers.contains(&reviewer) {
            part.reviewers.push(reviewer);
        }
    }
    Reply::new(201, written(github, repository, repository.issue(number), true))
}

/// The branches and the title of a new pull request, if GitHub would take it.
fn acceptable<'a>(repository: &Repository, call: &'a Call) -> Result<(PullPart, &'a str), Reply> {
    let (Some(head), Some(base)) = (call.text("head"), call.text("base")) else {
        return Err(invalid("head"));
    };
    let head = match head.split_once(':') {
        None => head,
        Some((owner, branch)) if owner.eq_ignore_ascii_case(repository.owner()) => branch,
        Some(_) => return Err(invalid("head")), // forks are not played
    };
    let Some(title) = call.text("title").filter(|title| !title.trim().is_empty()) else {
        return Err(Reply::invalid(
            json!({"resource": "PullRequest", "code": "missing_field", "field": "title"}),
        ));
    };
    let head_sha = repository.bare.tip(head).ok_or_else(|| invalid("head"))?;
    if repository.bare.tip(base).is_none() {
        return Err(invalid("base"));
    }
    let same = |issue: &&Issue| {
        issue.is_open && issue.pull.as_ref().is_some_and(|part| part.head == head && part.base == base)
    };
    if repository.issues.values().find(same).is_some() {
        let owner = repository.owner();
        return Err(custom(&format!("A pull request already exists for {owner}:{head}.")));
    }
    if !repository.bare.have_common_history(base, head) {
        return Err(custom(&format!("The {head} branch has no history in common with {base}")));
    }
    if repository.bare.distance(base, head).commits == 0 {
        return Err(custom(&format!("No commits between {base} and {head}")));
    }
    let draft = call.body["draft"].as_bool().unwrap_or(false);
    if draft && !repository.has_drafts {
        return Err(custom("Draft pull requests are not supported in this repository."));
    }
    Ok((
        PullPart {
            head: head.to_owned(),
            base: base.to_owned(),
            draft,
            head_sha,
            reviewers: Vec::new(),
            merged: None,
            talk: Talk::default(),
        },
        title,
    ))
}

fn invalid(field: &str) -> Reply {
    Reply::invalid(json!({"resource": "PullRequest", "field": field, "code": "invalid"}))
}

fn custom(message: &str) -> Reply {
    Reply::invalid(json!({"resource": "PullRequest", "code": "custom", "message": message}))
}

/// A pull request as an answer, with what its branches hold now.
pub(super) fn written(github: &GitHub, repository: &Repository, issue: &Issue, in_list: bool) -> Value {
    let part = issue.pull.as_ref().expect("a pull request");
    // What was merged stays where it was, whatever becomes of the branch.
    let now = repository.bare.tip(&part.head).filter(|_| part.merged.is_none());
    let head_sha = now.unwrap_or_else(|| part.head_sha.clone());
    let base_sha = repository.bare.tip(&part.base).unwrap_or_default();
    // Only shown of one by itself, and git takes a while to count it.
    let distance =
        if in_list { Distance::default() } else { repository.bare.distance(&part.base, &part.head) };
    github.writer().pull(repository, issue, part, &PullFacts { head_sha, base_sha, distance }, in_list)
}
