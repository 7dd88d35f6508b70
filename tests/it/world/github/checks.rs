//! What looks at commits: check runs and commit statuses, with the routes about them. A check run
//! is an App's: a personal token can read them and make none. What CI does here is in `ci`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::account::{APP_ID, APP_SLUG, Actor};
use super::actions::WorkflowRun;
use super::call::{Call, Reply};
use super::ci;
use super::description::example;
use super::state::{Repository, State};
use super::writer::{node_id, put, time, user_id};

/// hob's App.
pub(super) const HOB: (u64, &str) = (APP_ID, APP_SLUG);
/// The most statuses of one context that GitHub keeps for a commit.
const MAX_STATUSES: usize = 1000;

/// What a repository has of these.
#[derive(Default)]
pub(super) struct Checks {
    /// Oldest first, of all commits.
    pub(super) runs: Vec<CheckRun>,
    pub(super) statuses: Vec<Status>,
    pub(super) workflow_runs: Vec<WorkflowRun>,
}

#[derive(Debug, Clone)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) sha: String,
    /// Id and name in addresses of the App that made it.
    pub(super) app: (u64, &'static str),
    pub(super) external_id: String,
    pub(super) details_url: Option<String>,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) completed: Option<Timestamp>,
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
    pub(super) text: Option<String>,
    pub(super) annotations: Vec<Value>,
    pub(super) actions: Vec<Value>,
    /// The run of a workflow that it is a job of.
    pub(super) workflow_run: Option<u64>,
    /// What the job has printed, while GitHub keeps it.
    pub(super) log: Option<String>,
    /// Status, conclusion and summary, each time that one of them changed.
    pub(super) history: Vec<(String, Option<String>, String)>,
}

pub(super) struct Status {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
    pub(super) target_url: Option<String>,
    pub(super) creator: String,
    pub(super) at: Timestamp,
}

impl CheckRun {
    pub(super) fn new(id: u64, name: &str, sha: &str, app: (u64, &'static str)) -> Self {
        Self {
            id,
            name: name.to_owned(),
            sha: sha.to_owned(),
            app,
            external_id: String::new(),
            details_url: None,
            status: "queued".to_owned(),
            conclusion: None,
            started: None,
            completed: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            actions: Vec::new(),
            workflow_run: None,
            log: None,
            history: Vec::new(),
        }
    }

    /// Its suite: the check runs of one App, or of one workflow, on one commit.
    pub(super) fn suite(&self) -> u64 {
        suite(self.app.1, &self.sha, self.workflow_run)
    }

    /// Takes what a request says. A conclusion completes it, whatever the request calls it.
    fn take(&mut self, body: &Value) {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let time = |name: &str| body[name].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        self.name = text("name").unwrap_or_else(|| self.name.clone());
        self.external_id = text("external_id").unwrap_or_else(|| self.external_id.clone());
        self.details_url = text("details_url").or(self.details_url.take());
        self.status = text("status").unwrap_or_else(|| self.status.clone());
        self.started = time("started_at").or(self.started);
        match text("conclusion") {
            Some(conclusion) => {
                self.status = "completed".to_owned();
                self.conclusion = Some(conclusion);
                self.completed = Some(time("completed_at").unwrap_or_else(Timestamp::now));
            }
            None if self.status != "completed" => (self.conclusion, self.completed) = (None, None),
            None => {}
        }
        let output = &body["output"];
        if output.is_object() {
            let text = |name: &str| output[name].as_str().map(str::to_owned);
            self.title = text("title").or(self.title.take());
            self.summary = text("summary");
            self.text = text("text");
            self.annotations.extend(output["annotations"].as_array().into_iter().flatten().cloned());
        }
        if let Some(actions) = body["actions"].as_array() {
            self.actions = actions.clone();
        }
        self.note();
    }

    /// Writes down where it stands, where that is news.
    pub(super) fn note(&mut self) {
        let now = (self.status.clone(), self.conclusion.clone(), self.summary.clone().unwrap_or_default());
        if self.history.last() != Some(&now) {
            self.history.push(now);
        }
    }
}

pub(super) fn create(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    if !matches!(call.actor, Actor::Installation { .. }) {
        return Reply::refuse(403, "You must authenticate via a GitHub App.");
    }
    let sha = call.text("head_sha").unwrap_or_default().to_owned();
    if !state.repository(&name).bare.has(&sha) {
        return Reply::refuse(422, &format!("No commit found for SHA: {sha}"));
    }
    let mut run = CheckRun::new(state.new_id(), call.text("name").unwrap_or_default(), &sha, HOB);
    run.take(&call.body);
    state.repository_mut(&name).checks.runs.push(run.clone());
    ended(github, state, &name, &run);
    Reply::new(201, written(github, state.repository(&name), &run))
}

pub(super) fn update(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    if !matches!(call.actor, Actor::Installation { .. }) {
        return Reply::refuse(403, "You must authenticate via a GitHub App.");
    }
    let id = call.number("check_run_id");
    let Some(run) = state.repository_mut(&name).checks.runs.iter_mut().find(|run| run.id == id) else {
        return Reply::not_found();
    };
    if run.app != HOB {
        return Reply::refuse(403, "Check run can only be modified by the GitHub App that created it.");
    }
    let was_completed = run.status == "completed";
    run.take(&call.body);
    let run = run.clone();
    if !was_completed {
        ended(github, state, &name, &run);
    }
    Reply::new(200, written(github, state.repository(&name), &run))
}

/// Tells of a check run that has come to its end.
fn ended(github: &GitHub, state: &mut State, repository: &str, run: &CheckRun) {
    if run.status == "completed" {
        let webhook = ci::check_run(github, state, repository, run, ci::Moment::Completed);
        state.outgoing.push(super::webhooks::Outgoing::New(webhook));
    }
}

pub(super) fn get(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let id = call.number("check_run_id");
    match repository.checks.runs.iter().find(|run| run.id == id) {
        Some(run) => Reply::new(200, written(github, repository, run)),
        None => Reply::not_found(),
    }
}

/// The check runs of a commit; the newest of each name of each suite, unless all are asked for.
pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let Some(sha) = resolve(repository, call.part("ref")) else {
        return Reply::refuse(422, &format!("No commit found for SHA: {}", call.part("ref")));
    };
    let wanted = |name: &str, value: &str| call.query.get(name).is_none_or(|wanted| wanted == value);
    let latest = call.query.get("filter").is_none_or(|filter| filter == "latest");
    let of_commit: Vec<&CheckRun> = repository.checks.runs.iter().filter(|run| run.sha == sha).collect();
    let is_newest = |run: &CheckRun| {
        let same = |other: &&&CheckRun| other.name == run.name && other.suite() == run.suite();
        of_commit.iter().filter(same).max_by_key(|other| other.id).is_some_and(|last| last.id == run.id)
    };
    let found = of_commit.iter().rev().filter(|run| {
        (!latest || is_newest(run))
            && wanted("check_name", &run.name)
            && wanted("status", &run.status)
            && wanted("app_id", &run.app.0.to_string())
    });
    let all: Vec<Value> = found.map(|run| written(github, repository, run)).collect();
    let mut page = Reply::page(github, call, &all);
    page.body = json!({"total_count": all.len(), "check_runs": page.body});
    page
}

pub(super) fn list_annotations(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let id = call.number("check_run_id");
    let Some(run) = repository.checks.runs.iter().find(|run| run.id == id) else { return Reply::not_found() };
    let all: Vec<Value> = run
        .annotations
        .iter()
        .map(|annotation| {
            let mut whole =
                example("GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations")[0].take();
            put(
                &mut whole,
                json!({"start_column": null, "end_column": null, "title": null, "raw_details": null}),
            );
            put(&mut whole, annotation.clone());
            github.writer().localise(&mut whole, repository);
            whole
        })
        .collect();
    Reply::page(github, call, &all)
}

/// Where all statuses of a commit stand together: the newest of each context.
pub(super) fn combined_status(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    const ROUTE: &str = "GET /repos/{owner}/{repo}/commits/{ref}/status";
    let repository = state.repository(&call.repository());
    let Some(sha) = resolve(repository, call.part("ref")) else { return Reply::not_found() };
    let statuses: Vec<&Status> =
        repository.checks.statuses.iter().filter(|status| status.sha == sha).collect();
    let newest: Vec<&Status> = statuses
        .iter()
        .filter(|status| {
            !statuses.iter().any(|other| other.context == status.context && other.id > status.id)
        })
        .copied()
        .collect();
    let all: Vec<Value> = newest
        .iter()
        .map(|status| {
            let mut value = example(ROUTE)["statuses"][0].take();
            put_status(github, &mut value, repository, status);
            value
        })
        .collect();
    let has = |states: &[&str]| newest.iter().any(|status| states.contains(&status.state.as_str()));
    let together = match () {
        () if has(&["failure", "error"]) => "failure",
        () if has(&["pending"]) || newest.is_empty() => "pending",
        () => "success",
    };
    let mut page = Reply::page(github, call, &all);
    let mut value = example(ROUTE);
    github.writer().localise(&mut value, repository);
    github.writer().put_repository(&mut value["repository"], repository);
    put(&mut value, json!({"state": together, "sha": sha, "total_count": all.len(), "statuses": page.body}));
    page.body = value;
    page
}

pub(super) fn create_status(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let name = call.repository();
    let sha = call.part("sha").to_owned();
    if !state.repository(&name).bare.has(&sha) {
        return Reply::refuse(422, &format!("No commit found for SHA: {sha}"));
    }
    let text = |name: &str| call.text(name).map(str::to_owned);
    let status = Status {
        id: state.new_id(),
        sha,
        context: text("context").unwrap_or_else(|| "default".to_owned()),
        state: text("state").unwrap_or_default(),
        description: text("description"),
        target_url: text("target_url"),
        creator: call.actor.login().to_owned(),
        at: Timestamp::now(),
    };
    if status.description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        let error = json!({"resource": "Status", "code": "custom", "field": "description",
            "message": "description is too long (maximum is 140 characters)"});
        return Reply::invalid(error);
    }
    let before = &state.repository(&name).checks.statuses;
    let same = before.iter().filter(|other| other.sha == status.sha && other.context == status.context);
    if same.count() >= MAX_STATUSES {
        return Reply::refuse(422, "Validation Failed");
    }
    let mut value = example("POST /repos/{owner}/{repo}/statuses/{sha}");
    put_status(github, &mut value, state.repository(&name), &status);
    value["creator"] = github.writer().user(&status.creator);
    let webhook = ci::status(github, state, &name, &status);
    state.outgoing.push(super::webhooks::Outgoing::New(webhook));
    state.repository_mut(&name).checks.statuses.push(status);
    Reply::new(201, value)
}

/// The commit of a name: its own, or a branch's.
fn resolve(repository: &Repository, name: &str) -> Option<String> {
    let is_sha = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = if is_sha { Some(name.to_owned()) } else { repository.bare.tip(name) };
    found.filter(|sha| repository.bare.has(sha))
}

/// A check run as an answer.
pub(super) fn written(github: &GitHub, repository: &Repository, run: &CheckRun) -> Value {
    let mut value = example("GET /repos/{owner}/{repo}/check-runs/{check_run_id}");
    github.writer().localise(&mut value, repository);
    value["pull_requests"] = json!([]);
    put_check_run(github, &mut value, repository, run);
    value
}

/// The suite of an App, or of one run of a workflow, on one commit.
pub(super) fn suite(app: &str, sha: &str, workflow_run: Option<u64>) -> u64 {
    user_id(&format!("{app} {sha} {workflow_run:?}"))
}

/// Puts a check run's values over an example that is localised already.
pub(super) fn put_check_run(github: &GitHub, value: &mut Value, repository: &Repository, run: &CheckRun) {
    let writer = github.writer();
    let url = format!("{}/repos/{}/check-runs/{}", writer.api, repository.full_name, run.id);
    let html_url = match run.workflow_run {
        Some(id) => format!("{}/{}/actions/runs/{id}/job/{}", writer.web, repository.full_name, run.id),
        None => format!("{}/{}/runs/{}", writer.web, repository.full_name, run.id),
    };
    let details = run.details_url.clone().unwrap_or_else(|| html_url.clone());
    let output = json!({
        "title": run.title, "summary": run.summary, "text": run.text,
        "annotations_count": run.annotations.len(), "annotations_url": format!("{url}/annotations"),
    });
    put(&mut value["app"], json!({"id": run.app.0, "slug": run.app.1, "name": run.app.1}));
    put(&mut value["check_suite"], json!({"id": run.suite()}));
    let own = json!({
        "id": run.id, "node_id": node_id("CheckRun", run.id), "name": run.name, "head_sha": run.sha,
        "external_id": run.external_id, "details_url": details, "url": url, "html_url": html_url,
        "status": run.status, "conclusion": run.conclusion, "started_at": run.started.map(time),
        "completed_at": run.completed.map(time), "output": output,
    });
    put(value, own);
}

/// Puts a status's values over an example.
fn put_status(github: &GitHub, value: &mut Value, repository: &Repository, status: &Status) {
    github.writer().localise(value, repository);
    let url = format!("{}/repos/{}/statuses/{}", github.api_url(), repository.full_name, status.sha);
    let own = json!({
        "id": status.id, "node_id": node_id("Status", status.id), "url": url, "context": status.context,
        "state": status.state, "description": status.description, "target_url": status.target_url,
        "created_at": time(status.at), "updated_at": time(status.at),
    });
    put(value, own);
}
