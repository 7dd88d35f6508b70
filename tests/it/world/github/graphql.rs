//! The GraphQL API, as far as hob asks it: two questions, word for word (`tests/data/*.graphql`;
//! `tests/data/github.md` says how they were checked against GitHub's schema). Any other fails the
//! test that asks it.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::GitHub;
use super::account::{Actor, Rejected, identify};
use super::call::Reply;
use super::routes::unknown;
use super::state::{Change, Issue, Permission, Repository, State};
use super::writer::{node_id, time, user_id};

/// The question about a comment that is understood.
const COMMENT_QUESTION: &str = include_str!("../../../data/comment-edit.graphql");

/// The changes that are understood: what says them, and whether a pull request is a draft then.
const DRAFT_CHANGES: [(&str, bool); 2] = [
    (include_str!("../../../data/make-ready.graphql"), false),
    (include_str!("../../../data/make-draft.graphql"), true),
];

/// A question about a repository that is understood, and what answers it.
type Question = (&'static str, fn(&Repository, &Value) -> Value);

const QUESTIONS: [Question; 2] = [
    (include_str!("../../../data/issue-history.graphql"), answer_history),
    (include_str!("../../../data/settings-file.graphql"), answer_file),
];
/// What an issue's history is asked for at most.
const MAX_LABELINGS: usize = 100;
const LARGEST_BODY: usize = 1024 * 1024;

pub(super) async fn serve(Extract(github): Extract<GitHub>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return unknown(&github, &head.method, &head.uri);
    }
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut state = github.state();
    if !head.headers.contains_key(header::USER_AGENT) {
        state.violation("POST /graphql: no User-Agent".to_owned());
    }
    let actor = match identify(&state, &head.headers) {
        Ok(actor) => actor,
        Err(rejected) => {
            if rejected != Rejected::Expired {
                state.violation(format!("POST /graphql: {rejected:?}"));
            }
            return Reply::refuse(401, "Bad credentials").into_response();
        }
    };
    if actor == Actor::App {
        state.violation("POST /graphql: the App itself may not ask this".to_owned());
    }
    let asked = body["query"].as_str().unwrap_or_default();
    if describe(asked) == describe(COMMENT_QUESTION) {
        return Reply::new(200, comment_answer(&state, &actor, &body["variables"])).into_response();
    }
    for (change, draft) in DRAFT_CHANGES {
        if describe(asked) == describe(change) {
            let answered = change_draft(&mut state, &actor, &body["variables"], draft);
            drop(state);
            github.announce();
            return Reply::new(200, answered).into_response();
        }
    }
    let known = QUESTIONS.iter().find(|(question, _)| describe(asked) == describe(question));
    let known = known.filter(|_| body.as_object().is_some_and(|fields| fields.len() == 2));
    let Some((_, respond)) = known else {
        state.violation(format!("POST /graphql: an unknown question: {body}"));
        return Reply::new(200, complaint("INVALID", "this question is not played")).into_response();
    };
    Reply::new(200, answer(&state, &actor, &body["variables"], *respond)).into_response()
}

fn answer(
    state: &State,
    actor: &Actor,
    variables: &Value,
    respond: fn(&Repository, &Value) -> Value,
) -> Value {
    let text = |name: &str| variables[name].as_str().unwrap_or_default();
    let key = format!("{}/{}", text("owner"), text("name")).to_ascii_lowercase();
    let key = state
        .renamed
        .iter()
        .find(|(old, _)| old.eq_ignore_ascii_case(&key))
        .map_or(key, |(_, new)| new.to_ascii_lowercase());
    let repository = state.repositories.get(&key).filter(|repository| {
        repository.permission(actor.login()) >= Permission::Read && actor.reaches(repository.name())
    });
    let Some(repository) = repository else {
        return complaint("NOT_FOUND", "Could not resolve to a Repository with that name.");
    };
    respond(repository, variables)
}

fn answer_history(repository: &Repository, variables: &Value) -> Value {
    // A pull request is no issue here.
    let number = variables["number"].as_u64().unwrap_or_default();
    match repository.issues.get(&number).filter(|issue| issue.pull.is_none()) {
        Some(issue) => json!({"data": {"repository": {"issue": history(issue)}}}),
        None => complaint("NOT_FOUND", "Could not resolve to an Issue with that number."),
    }
}

/// Makes a pull request a draft, or ready, as who may push can.
fn change_draft(state: &mut State, actor: &Actor, variables: &Value, draft: bool) -> Value {
    let wanted = variables["id"].as_str().unwrap_or_default();
    let name = if draft { "convertPullRequestToDraft" } else { "markPullRequestReadyForReview" };
    let reached = state.repositories.values_mut().filter(|repository| {
        repository.permission(actor.login()) >= Permission::Write && actor.reaches(repository.name())
    });
    let mut issues = reached.flat_map(|repository| repository.issues.values_mut());
    let found = issues.find(|issue| issue.pull.is_some() && node_id("PullRequest", issue.id) == wanted);
    let Some(part) = found.and_then(|issue| issue.pull.as_mut()) else {
        return json!({"data": {name: null}, "errors": [{"type": "NOT_FOUND", "path": [name],
            "message": "Could not resolve to a node with that id."}]});
    };
    part.draft = draft;
    json!({"data": {name: {"pullRequest": {"isDraft": draft}}}})
}

fn comment_answer(state: &State, actor: &Actor, variables: &Value) -> Value {
    let wanted = variables["id"].as_str().unwrap_or_default();
    let seen = state.repositories.values().filter(|repository| {
        repository.permission(actor.login()) >= Permission::Read && actor.reaches(repository.name())
    });
    let mut comments =
        seen.flat_map(|repository| repository.issues.values()).flat_map(|issue| &issue.comments);
    let found = comments.find(|comment| node_id("IssueComment", comment.id) == wanted);
    let Some(comment) = found else {
        return json!({"data": {"node": null}, "errors": [{"type": "NOT_FOUND", "path": ["node"],
            "message": "Could not resolve to a node with that id."}]});
    };
    let edited_at = comment.edited_by.as_ref().map(|_| time(comment.updated));
    json!({"data": {"node": {
        "body": comment.body, "lastEditedAt": edited_at, "editor": comment.edited_by.as_deref().map(who),
    }}})
}

/// A file of the default branch, which `HEAD` is; null where there is none.
fn answer_file(repository: &Repository, variables: &Value) -> Value {
    let expression = variables["file"].as_str().unwrap_or_default();
    let text = expression.strip_prefix("HEAD:").and_then(|path| repository.bare.file("main", path));
    let object = text.map(|text| json!({"__typename": "Blob", "text": text, "isTruncated": false}));
    json!({"data": {"repository": {"object": object}}})
}

fn history(issue: &Issue) -> Value {
    let last_rename = issue.renames.last();
    let skipped = issue.labelings.len().saturating_sub(MAX_LABELINGS);
    let labelings = issue.labelings.iter().skip(skipped).map(|labeling| {
        let mut node = node(&labeling.change);
        node["label"] = json!({"name": labeling.label});
        node
    });
    json!({
        "title": issue.title,
        "body": issue.body.clone().unwrap_or_default(),
        "lastEditedAt": issue.edited.as_ref().map(|edited| time(edited.at)),
        "editor": issue.edited.as_ref().map(|edited| who(&edited.by)),
        "renames": {"nodes": last_rename.map(node).into_iter().collect::<Vec<_>>()},
        "labelings": {"nodes": labelings.collect::<Vec<_>>()},
    })
}

fn node(change: &Change) -> Value {
    json!({"createdAt": time(change.at), "actor": who(&change.by)})
}

/// An account, as this API names it: an App by its slug alone.
fn who(login: &str) -> Value {
    match login.strip_suffix("[bot]") {
        Some(slug) => json!({"__typename": "Bot", "login": slug}),
        None => json!({"__typename": "User", "login": login, "databaseId": user_id(login)}),
    }
}

fn complaint(kind: &str, message: &str) -> Value {
    json!({"data": {"repository": null}, "errors": [{"type": kind, "path": ["repository"], "message": message}]})
}

fn describe(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
