//! GitHub Actions, as far as it is more than check runs: runs of workflows, their jobs, and the
//! logs of those.

use axum::extract::{Path, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::call::{Call, Reply};
use super::checks::suite;
use super::description::example;
use super::state::{Repository, State};
use super::writer::{node_id, put, time, user_id};

/// The App that GitHub Actions makes its check runs as.
pub(super) const ACTIONS: (u64, &str) = (15_368, "github-actions");
/// What comes before a log's id.
pub(super) const LOG_PATH: &str = "/job-logs/";

#[derive(Clone)]
pub(super) struct WorkflowRun {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) sha: String,
    pub(super) conclusion: String,
    pub(super) at: Timestamp,
}

/// The runs of workflows on a commit, newest first.
pub(super) fn list_workflow_runs(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let wanted = |name: &str, value: &str| call.query.get(name).is_none_or(|wanted| wanted == value);
    let runs = repository.checks.workflow_runs.iter().rev();
    let found = runs.filter(|run| wanted("head_sha", &run.sha) && wanted("status", &run.conclusion));
    let all: Vec<Value> = found
        .map(|run| {
            let mut value = example("GET /repos/{owner}/{repo}/actions/runs")["workflow_runs"][0].take();
            put_workflow_run(github, &mut value, repository, run);
            value
        })
        .collect();
    let mut page = Reply::page(github, call, &all);
    page.body = json!({"total_count": all.len(), "workflow_runs": page.body});
    page
}

/// The jobs of a run of a workflow: its check runs. One that could not start has none.
pub(super) fn list_jobs(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let id = call.number("run_id");
    if !repository.checks.workflow_runs.iter().any(|run| run.id == id) {
        return Reply::not_found();
    }
    let jobs = repository.checks.runs.iter().filter(|run| run.workflow_run == Some(id));
    let all: Vec<Value> = jobs
        .map(|run| {
            let mut value = example("GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs")["jobs"][0].take();
            github.writer().localise(&mut value, repository);
            let own = json!({
                "id": run.id, "run_id": id, "node_id": node_id("Job", run.id), "name": run.name, "head_sha": run.sha,
                "status": run.status, "conclusion": run.conclusion, "created_at": run.started.map(time), "completed_at": run.completed.map(time),
            });
            put(&mut value, own);
            value
        })
        .collect();
    let mut page = Reply::page(github, call, &all);
    page.body = json!({"total_count": all.len(), "jobs": page.body});
    page
}

/// The way to a job's log, which lies elsewhere and opens to anyone who has the address.
pub(super) fn get_log(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let id = call.number("job_id");
    let of_actions = repository.checks.runs.iter().find(|run| run.id == id && run.app == ACTIONS);
    match of_actions.map(|run| &run.log) {
        Some(Some(_)) => Reply::redirect(log_address(github, id)),
        Some(None) => Reply::refuse(410, "Server Error"),
        None => Reply::not_found(),
    }
}

/// Puts the values of a run of a workflow over an example.
pub(super) fn put_workflow_run(
    github: &GitHub,
    value: &mut Value,
    repository: &Repository,
    run: &WorkflowRun,
) {
    let writer = github.writer();
    writer.localise(value, repository);
    for whose in ["repository", "head_repository"] {
        writer.put_repository(&mut value[whose], repository);
    }
    let url = format!("{}/repos/{}/actions/runs/{}", writer.api, repository.full_name, run.id);
    let page = format!("{}/{}/actions/runs/{}", writer.web, repository.full_name, run.id);
    let own = json!({
        "id": run.id, "node_id": node_id("WorkflowRun", run.id), "name": run.name, "head_sha": run.sha,
        "status": "completed", "conclusion": run.conclusion, "created_at": time(run.at), "updated_at": time(run.at),
        "url": url, "html_url": page, "jobs_url": format!("{url}/jobs"), "pull_requests": [],
        "head_branch": null, "workflow_id": user_id(&run.name), "path": format!(".github/workflows/{}.yml", run.name),
        "check_suite_id": suite(ACTIONS.1, &run.sha, Some(run.id)),
    });
    put(value, own);
}

/// Where a job's log lies: at another address of this server, to which no token may be sent.
pub(super) fn log_address(github: &GitHub, id: u64) -> String {
    format!("{}{LOG_PATH}{id}?sig=by-github", github.git_url().replace("127.0.0.1", "localhost"))
}

/// Gives a log out.
pub(super) async fn serve_log(
    Extract(github): Extract<GitHub>,
    Path(id): Path<u64>,
    request: Request,
) -> Response {
    github.change(|state| {
        if request.headers().contains_key(header::AUTHORIZATION) {
            state.violation(format!("{}: a token sent to where logs are kept", request.uri().path()));
            return StatusCode::FORBIDDEN.into_response();
        }
        let mut runs = state.repositories.values().flat_map(|repository| &repository.checks.runs);
        match runs.find(|run| run.id == id).and_then(|run| run.log.clone()) {
            Some(log) if request.uri().query() == Some("sig=by-github") => log.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    })
}
