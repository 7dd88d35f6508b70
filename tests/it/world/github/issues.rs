//! Routes about issues: reading them, comments, reactions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::call::{Call, Reply};
use super::state::{Issue, Reaction, State};
use super::webhooks::{self, CommentChange, Outgoing};

/// The longest comment that GitHub takes, in characters.
const MAX_COMMENT: usize = 65_536;

pub(super) fn get(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    match repository.issues.get(&call.number("issue_number")) {
        Some(issue) => {
            let written = github.writer().issue(repository, issue);
            Reply::new(200, with_html(github, call, written))
        }
        None => Reply::not_found(),
    }
}

/// The issues that one is blocked by, open or not.
pub(super) fn list_blockers(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let Some(issue) = repository.issues.get(&call.number("issue_number")) else { return Reply::not_found() };
    let writer = github.writer();
    let blockers = issue.blocked_by.iter().map(|number| writer.issue(repository, repository.issue(*number)));
    Reply::page(github, call, &blockers.collect::<Vec<_>>())
}

pub(super) fn list_comments(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let Some(issue) = repository.issues.get(&call.number("issue_number")) else { return Reply::not_found() };
    let since = match since(call) {
        Ok(since) => since,
        Err(refusal) => return refusal,
    };
    let writer = github.writer();
    // Compared as GitHub shows them, in whole seconds.
    let comments = issue.comments.iter().filter(|comment| comment.updated.as_second() >= since.as_second());
    let written = comments.map(|comment| writer.comment(repository, issue, comment));
    let all: Vec<_> = written.map(|comment| with_html(github, call, comment)).collect();
    Reply::page(github, call, &all)
}

/// Adds the text as HTML, where it is wanted.
pub(super) fn with_html(github: &GitHub, call: &Call, mut written: Value) -> Value {
    if call.wants_html {
        let html = github.html_of(written["body"].as_str().unwrap_or_default());
        written["body_html"] = json!(html);
    }
    written
}

/// The comments of a whole repository.
pub(super) fn list_all_comments(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let since = match since(call) {
        Ok(since) => since,
        Err(refusal) => return refusal,
    };
    let comments =
        repository.issues.values().flat_map(|issue| issue.comments.iter().map(move |c| (issue, c)));
    let mut found: Vec<_> =
        comments.filter(|(_, comment)| comment.updated.as_second() >= since.as_second()).collect();
    found.sort_by_key(|(_, comment)| (by_time(call, comment.created, comment.updated), comment.id));
    let writer = github.writer();
    let all: Vec<_> =
        found.into_iter().map(|(issue, comment)| writer.comment(repository, issue, comment)).collect();
    Reply::page(github, call, &ordered(call, all, "asc"))
}

/// The issues and pull requests of a repository.
pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let since = match since(call) {
        Ok(since) => since,
        Err(refusal) => return refusal,
    };
    let wanted = call.query.get("state").map_or("open", String::as_str);
    // All of them, not one of them.
    let labels: Vec<&str> =
        call.query.get("labels").map(|names| names.split(',').collect()).unwrap_or_default();
    let fits = |issue: &&Issue| {
        let has = |name: &&str| issue.labels.iter().any(|label| label.eq_ignore_ascii_case(name));
        let state_fits = wanted == "all" || issue.is_open == (wanted == "open");
        state_fits && labels.iter().all(has) && issue.updated.as_second() >= since.as_second()
    };
    let mut found: Vec<_> = repository.issues.values().filter(fits).collect();
    found.sort_by_key(|issue| (by_time(call, issue.created, issue.updated), issue.number));
    let writer = github.writer();
    let all: Vec<_> = found.into_iter().map(|issue| writer.issue(repository, issue)).collect();
    Reply::page(github, call, &ordered(call, all, "desc"))
}

/// The moment that a list is to begin with, as GitHub shows times: in whole seconds.
fn since(call: &Call) -> Result<Timestamp, Reply> {
    match call.query.get("since").map(|text| text.parse::<Timestamp>()) {
        None => Ok(Timestamp::MIN),
        Some(Ok(since)) => Ok(since),
        Some(Err(_)) => Err(Reply::refuse(422, "Invalid since parameter.")),
    }
}

/// The time that a list is sorted by.
fn by_time(call: &Call, created: Timestamp, updated: Timestamp) -> i64 {
    let by_change = call.query.get("sort").is_some_and(|sort| sort == "updated");
    if by_change { updated.as_second() } else { created.as_second() }
}

fn ordered(call: &Call, mut ascending: Vec<Value>, usual: &str) -> Vec<Value> {
    if call.query.get("direction").map_or(usual, String::as_str) == "desc" {
        ascending.reverse();
    }
    ascending
}

pub(super) fn create_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let number = call.number("issue_number");
    if !state.repository(&name).issues.contains_key(&number) {
        return Reply::not_found();
    }
    let body = match acceptable(call) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let id = state.new_id();
    let login = call.actor.login();
    state.repository_mut(&name).issue_mut(number).add_comment(id, login, body);
    let event = webhooks::issue_comment(github, state, &name, id, login, CommentChange::Created);
    state.outgoing.push(Outgoing::New(event));
    written(github, state, &name, id, 201)
}

pub(super) fn get_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    written(github, state, &call.repository(), call.number("comment_id"), 200)
}

pub(super) fn update_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let id = call.number("comment_id");
    let body = match acceptable(call) {
        Ok(body) => body.to_owned(),
        Err(refusal) => return refusal,
    };
    let login = call.actor.login().to_owned();
    let revision = state.new_id();
    let Some(comment) = state.repository_mut(&name).comment_mut(id) else { return Reply::not_found() };
    let before = comment.revise(revision, &login, body);
    let change = CommentChange::Edited { before };
    let event = webhooks::issue_comment(github, state, &name, id, call.actor.login(), change);
    state.outgoing.push(Outgoing::New(event));
    written(github, state, &name, id, 200)
}

pub(super) fn delete_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let id = call.number("comment_id");
    if state.repository(&name).comment(id).is_none() {
        return Reply::not_found();
    }
    let login = call.actor.login();
    let event = webhooks::issue_comment(github, state, &name, id, login, CommentChange::Deleted);
    state.outgoing.push(Outgoing::New(event));
    for issue in state.repository_mut(&name).issues.values_mut() {
        issue.comments.retain(|comment| comment.id != id);
    }
    Reply::new(204, Value::Null)
}

pub(super) fn list_labels(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    issue_labels(github, state, call)
}

pub(super) fn add_labels(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (name, number) = (call.repository(), call.number("issue_number"));
    if !state.repository(&name).issues.contains_key(&number) {
        return Reply::not_found();
    }
    // GitHub takes a bare list too; hob sends the documented object.
    let wanted: Vec<String> = call.body["labels"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|l| l.as_str())
        .map(str::to_owned)
        .collect();
    for label in wanted {
        let issue = state.repository_mut(&name).issue_mut(number);
        if issue.has_label(&label) {
            continue;
        }
        issue.put_label(&label, call.actor.login());
        // As on GitHub: one that the repository does not have is made, grey.
        let labels = &mut state.repository_mut(&name).labels;
        labels.entry(label.to_lowercase()).or_insert_with(|| ("ededed".to_owned(), None));
        let event =
            webhooks::issues(github, state, &name, number, call.actor.login(), "labeled", Some(&label));
        state.outgoing.push(Outgoing::New(event));
    }
    issue_labels(github, state, call)
}

pub(super) fn remove_label(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (name, number, label) =
        (call.repository(), call.number("issue_number"), call.part("name").to_owned());
    if !state.repository(&name).issues.get(&number).is_some_and(|issue| issue.has_label(&label)) {
        return Reply::refuse(404, "Label does not exist");
    }
    state.repository_mut(&name).issue_mut(number).take_label(&label);
    let event = webhooks::issues(github, state, &name, number, call.actor.login(), "unlabeled", Some(&label));
    state.outgoing.push(Outgoing::New(event));
    issue_labels(github, state, call)
}

pub(super) fn create_label(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (repository, name) = (call.repository(), call.text("name").expect("checked").to_owned());
    let made = &mut state.repository_mut(&repository).labels;
    if made.contains_key(&name.to_lowercase()) {
        return Reply::invalid(json!({"resource": "Label", "code": "already_exists", "field": "name"}));
    }
    let color = call.text("color").unwrap_or("ededed").to_owned();
    made.insert(name.to_lowercase(), (color, call.text("description").map(str::to_owned)));
    Reply::new(201, github.writer().label(state.repository(&repository), &name))
}

pub(super) fn update_label(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (repository, name) = (call.repository(), call.part("name").to_owned());
    let Some(label) = state.repository_mut(&repository).labels.get_mut(&name.to_lowercase()) else {
        return Reply::not_found();
    };
    if let Some(color) = call.text("color") {
        label.0 = color.to_owned();
    }
    if let Some(description) = call.text("description") {
        label.1 = Some(description.to_owned());
    }
    Reply::new(200, github.writer().label(state.repository(&repository), &name))
}

fn issue_labels(github: &GitHub, state: &State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    match repository.issues.get(&call.number("issue_number")) {
        None => Reply::not_found(),
        Some(issue) => {
            let writer = github.writer();
            Reply::new(200, issue.labels.iter().map(|name| writer.label(repository, name)).collect())
        }
    }
}

pub(super) fn react(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let id = state.new_id();
    let repository = state.repository_mut(&call.repository());
    match repository.issues.get_mut(&call.number("issue_number")) {
        Some(issue) => add_reaction(github, &mut issue.reactions, id, call),
        None => Reply::not_found(),
    }
}

pub(super) fn react_to_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let id = state.new_id();
    let repository = state.repository_mut(&call.repository());
    match repository.comment_mut(call.number("comment_id")) {
        Some(comment) => add_reaction(github, &mut comment.reactions, id, call),
        None => Reply::not_found(),
    }
}

/// Adds a reaction, or answers 200 with the one this account has given already.
pub(super) fn add_reaction(github: &GitHub, reactions: &mut Vec<Reaction>, id: u64, call: &Call) -> Reply {
    let author = call.actor.login();
    let content = call.text("content").expect("checked against the description");
    if let Some(old) = reactions.iter().find(|old| old.author == author && old.content == content) {
        return Reply::new(200, github.writer().reaction(old));
    }
    let reaction =
        Reaction { id, author: author.to_owned(), content: content.to_owned(), created: Timestamp::now() };
    let reply = Reply::new(201, github.writer().reaction(&reaction));
    reactions.push(reaction);
    reply
}

/// The comment of this id as an answer.
fn written(github: &GitHub, state: &State, repository: &str, id: u64, status: u16) -> Reply {
    let repository = state.repository(repository);
    match repository.comment(id) {
        Some((issue, comment)) => Reply::new(status, github.writer().comment(repository, issue, comment)),
        None => Reply::not_found(),
    }
}

/// The text of a comment, if GitHub would take it.
fn acceptable(call: &Call) -> Result<&str, Reply> {
    let body = call.text("body").expect("checked against the description");
    let refuse = |message: &str| {
        Reply::invalid(
            json!({"resource": "IssueComment", "field": "data", "code": "unprocessable", "message": message}),
        )
    };
    if body.trim().is_empty() {
        return Err(refuse("Body cannot be blank"));
    }
    if body.chars().count() > MAX_COMMENT {
        return Err(refuse("Body is too long (maximum is 65536 characters)"));
    }
    Ok(body)
}
