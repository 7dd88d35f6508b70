//! The REST API's front: the table of routes, and what happens around every request (record, fault,
//! authentication, access, checks against the description). What a route does is in `app`, `issues`
//! and `pulls`. To add a route: one line in `ROUTES`, one function, and one line in the script that
//! makes `github-openapi.json`.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Query, RawPathParams, Request, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::Value;

use super::account::{Actor, Rejected, identify};
use super::call::{Call, Reply};
use super::faults::{Fault, Scissors};
use super::state::{LastAnswer, Permission, State};
use super::{
    API_PREFIX, GRAPHQL_PATH, GitHub, actions, app, assets, checks, description, events, git_server, graphql,
    issues, pulls, refs, reviews, sub_issues,
};

/// The largest request body that is read: GitHub refuses far smaller ones.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// Who may use a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The App, with a signed token.
    App,
    /// A person, with a personal token.
    Person,
    /// A person or an installation, with a token.
    Token,
    /// An installation, with a token.
    Installation,
}

type Handle = fn(&GitHub, &mut State, &Call) -> Reply;

const ROUTES: &[(&str, &str, Who, Handle)] = &[
    ("GET", "/user", Who::Person, app::get_user),
    ("GET", "/app", Who::App, app::get_app),
    ("GET", "/app/hook/deliveries", Who::App, app::list_deliveries),
    ("POST", "/app/hook/deliveries/{delivery_id}/attempts", Who::App, app::attempt_delivery),
    ("GET", "/app/installations", Who::App, app::list_installations),
    ("GET", "/installation/repositories", Who::Installation, app::list_installed),
    ("POST", "/app/installations/{installation_id}/access_tokens", Who::App, app::create_token),
    ("GET", "/repos/{owner}/{repo}/installation", Who::App, app::get_installation),
    ("GET", "/repos/{owner}/{repo}", Who::Token, app::get_repository),
    ("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", Who::Token, app::get_permission),
    ("GET", "/repos/{owner}/{repo}/issues", Who::Token, issues::list),
    ("GET", "/repos/{owner}/{repo}/issues/comments", Who::Token, issues::list_all_comments),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}", Who::Token, issues::get),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Who::Token, issues::list_comments),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", Who::Token, issues::create_comment),
    ("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Who::Token, issues::get_comment),
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Who::Token, issues::update_comment),
    ("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", Who::Token, issues::delete_comment),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", Who::Token, issues::react),
    (
        "POST",
        "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        Who::Token,
        issues::react_to_comment,
    ),
    (
        "GET",
        "/repos/{owner}/{repo}/issues/{issue_number}/dependencies/blocked_by",
        Who::Token,
        issues::list_blockers,
    ),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/sub_issues", Who::Token, sub_issues::list),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/events", Who::Token, events::list),
    ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Who::Token, issues::list_labels),
    ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", Who::Token, issues::add_labels),
    ("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}", Who::Token, issues::remove_label),
    ("POST", "/repos/{owner}/{repo}/labels", Who::Token, issues::create_label),
    ("PATCH", "/repos/{owner}/{repo}/labels/{name}", Who::Token, issues::update_label),
    ("GET", "/repos/{owner}/{repo}/pulls", Who::Token, pulls::list),
    ("POST", "/repos/{owner}/{repo}/pulls", Who::Token, pulls::create),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", Who::Token, pulls::get),
    ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", Who::Token, pulls::update),
    ("GET", "/repos/{owner}/{repo}/branches/{branch}", Who::Token, refs::get_branch),
    ("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}", Who::Token, refs::delete),
    (
        "POST",
        "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
        Who::Token,
        pulls::request_reviewers,
    ),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", Who::Token, reviews::list),
    ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/comments", Who::Token, reviews::list_comments),
    (
        "POST",
        "/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
        Who::Token,
        reviews::reply_to_comment,
    ),
    ("DELETE", "/repos/{owner}/{repo}/pulls/comments/{comment_id}", Who::Token, reviews::delete_comment),
    (
        "POST",
        "/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions",
        Who::Token,
        reviews::react_to_comment,
    ),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", Who::Token, checks::list),
    ("POST", "/repos/{owner}/{repo}/check-runs", Who::Token, checks::create),
    ("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Who::Token, checks::get),
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", Who::Token, checks::update),
    (
        "GET",
        "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
        Who::Token,
        checks::list_annotations,
    ),
    ("GET", "/repos/{owner}/{repo}/commits/{ref}/status", Who::Token, checks::combined_status),
    ("POST", "/repos/{owner}/{repo}/statuses/{sha}", Who::Token, checks::create_status),
    ("GET", "/repos/{owner}/{repo}/actions/runs", Who::Token, actions::list_workflow_runs),
    ("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs", Who::Token, actions::list_jobs),
    ("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs", Who::Token, actions::get_log),
];

/// One request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the API's address (`/repos/acme/tool/pulls`), or of a git request
    /// (`/acme/tool.git/info/refs`).
    pub path: String,
    /// What follows the `?`, or nothing.
    pub query: String,
    /// The status; 0 where the connection was cut instead.
    pub status: u16,
}

/// The whole server: the API, the git repositories beside it, and the record of every request.
pub(super) fn router(github: &GitHub) -> Router {
    let mut paths: Vec<_> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut router = Router::new();
    for path in paths {
        let endpoint = move |Extract(github): Extract<GitHub>, parts: RawPathParams, request: Request| async move {
            let parts = parts.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            endpoint(github, path, parts, request).await
        };
        router = router.route(&format!("{API_PREFIX}{path}"), any(endpoint));
    }
    let router = router
        .route(&format!("{API_PREFIX}/apps/{{slug}}"), get(app::public_page))
        .route("/", get(async || "GitHub's start page"))
        .route(GRAPHQL_PATH, any(graphql::serve))
        .route(&format!("{}{{id}}", actions::LOG_PATH), get(actions::serve_log))
        .route("/user-attachments/assets/{id}", get(assets::serve))
        .fallback(git_server::serve)
        .route(&format!("{API_PREFIX}/user/{{id}}"), get(user_by_id))
        .route(&format!("{API_PREFIX}/repositories/{{*rest}}"), any(async || Reply::not_found()))
        .layer(middleware::from_fn_with_state(github.clone(), observe))
        .with_state(github.clone());
    // Before the routes are looked at.
    let by_id = middleware::map_request_with_state(github.clone(), by_id);
    Router::new().fallback_service(router).layer(by_id)
}

/// What surrounds every request: faults on command, and the record.
async fn observe(
    Extract(github): Extract<GitHub>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().to_string();
    let path = below_api(request.uri()).to_owned();
    let query = request.uri().query().unwrap_or("").to_owned();
    let fault = github.change(|state| {
        let address = format!("{path}?{query}");
        let known = state.installation_tokens.keys().map(String::as_str).chain([github.token()]);
        if known.into_iter().any(|token| address.contains(token)) {
            state.violation(format!("{method} {path}: a token in the address"));
        }
        state.faults.take(&method, &address)
    });
    if let Some(to) = moved(&github, &path, &query) {
        let status = if method == "GET" { 301 } else { 307 };
        github.change(|state| state.requests.push(RequestLog { method, path, query, status }));
        let status = StatusCode::from_u16(status).expect("a status");
        return (status, [(header::LOCATION, to)], "{}").into_response();
    }
    let (response, cut) = match fault {
        None => (remembered(&github, next.run(request).await, &method, &path, &query).await, false),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            (next.run(request).await, false)
        }
        Some(Fault::Status(status, headers)) => (commanded(status, &headers), false),
        Some(Fault::Forbidden) => {
            (Reply::refuse(403, "Resource not accessible by integration").into_response(), false)
        }
        Some(Fault::EffectDelayed(time)) => {
            do_later(request, next, time).await;
            (commanded(502, &[]), false)
        }
        Some(Fault::StaleList) => (last_answer(&github, &path, &query), false),
        Some(Fault::Reset) => (Response::default(), true),
        Some(Fault::AnswerLost) => {
            // Read to the end before cutting: a push has happened only when git has said all it has
            // to say.
            let answer = next.run(request).await.into_body();
            drop(to_bytes(answer, usize::MAX).await);
            (Response::default(), true)
        }
    };
    if cut {
        scissors.cut();
    }
    let status = if cut { 0 } else { response.status().as_u16() };
    github.change(|state| state.requests.push(RequestLog { method, path, query, status }));
    response
}

/// The account with an id, whatever it is called.
async fn user_by_id(Extract(github): Extract<GitHub>, Path(id): Path<u64>) -> Reply {
    let writer = github.writer();
    let state = github.state();
    let mut known = state.repositories.values().flat_map(|repository| repository.permissions.keys());
    match known.find(|login| writer.account_id(login) == id) {
        Some(login) => Reply::new(200, writer.user(login)),
        None => Reply::not_found(),
    }
}

/// Where a request goes on that is for a name which its repository has no more, as long as no other
/// one has it: GitHub sends it to the repository's id in the API, and to its new name in git.
fn moved(github: &GitHub, path: &str, query: &str) -> Option<String> {
    let (base, state) = (github.git_url(), github.state());
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let is_free = |name: &str| !state.repositories.contains_key(&name.to_ascii_lowercase());
    let mut old = state.renamed.iter().rev().filter(|(old, _)| is_free(old));
    old.find_map(|(old, new)| {
        // It may have been renamed again.
        let now = state.renamed.iter().rev().fold(new.clone(), |name, (from, to)| {
            if name.eq_ignore_ascii_case(from) && is_free(from) { to.clone() } else { name }
        });
        let below = |start: String| {
            let start = path.get(..start.len()).filter(|found| found.eq_ignore_ascii_case(&start))?;
            path.get(start.len()..).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(rest) = below(format!("/{old}.git")) {
            return Some(format!("{base}/{now}.git{rest}{query}"));
        }
        let id = state.repositories.get(&now.to_ascii_lowercase())?.id;
        let rest = below(format!("/repos/{old}"))?;
        Some(format!("{base}{API_PREFIX}/repositories/{id}{rest}{query}"))
    })
}

/// A request for a repository by its id, made one for its name. One for an id that no repository
/// has stays what it is.
async fn by_id(Extract(github): Extract<GitHub>, mut request: Request) -> Request {
    let named = || {
        let rest = below_api(request.uri()).strip_prefix("/repositories/")?;
        let (id, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let id: u64 = id.parse().ok()?;
        let name = github.state().repositories.values().find(|known| known.id == id)?.full_name.clone();
        let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
        format!("{API_PREFIX}/repos/{name}{rest}{query}").parse().ok()
    };
    if let Some(uri) = named() {
        *request.uri_mut() = uri;
    }
    request
}

/// Has a request handled after this time; its answer reaches nobody.
async fn do_later(request: Request, next: Next, time: Duration) {
    let (head, body) = request.into_parts();
    // Read before the answer, with which the connection may end.
    let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        let answer = next.run(Request::from_parts(head, Body::from(body))).await;
        drop(to_bytes(answer.into_body(), usize::MAX).await);
    });
}

/// The answer itself, kept where it may be asked for as the last one.
async fn remembered(github: &GitHub, answer: Response, method: &str, path: &str, query: &str) -> Response {
    if method != "GET" || !path.starts_with("/repos/") || answer.status() != StatusCode::OK {
        return answer;
    }
    let (head, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("an answer of our own");
    let last = LastAnswer { headers: head.headers.clone(), body: body.clone() };
    github.state().answers.insert(without_since(path, query), last);
    Response::from_parts(head, Body::from(body))
}

/// What was answered last to the same, or an empty list.
fn last_answer(github: &GitHub, path: &str, query: &str) -> Response {
    let last = github.state().answers.get(&without_since(path, query)).cloned();
    match last {
        None => Reply::new(200, Value::Array(Vec::new())).into_response(),
        Some(last) => (last.headers, last.body).into_response(),
    }
}

/// The address of a list. Anyone who looks again and again asks for what came since another time
/// each time.
fn without_since(path: &str, query: &str) -> String {
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("since=")).collect();
    format!("{path}?{}", rest.join("&"))
}

fn below_api(uri: &Uri) -> &str {
    uri.path().strip_prefix(API_PREFIX).unwrap_or(uri.path())
}

/// The answer of a fault, worded as GitHub words the ones that come from it.
fn commanded(status: u16, headers: &[(String, String)]) -> Response {
    let message = match status {
        403 | 429 => {
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        }
        500.. => "Server Error",
        _ => "Failed on the test's command",
    };
    let mut response = Reply::refuse(status, message).into_response();
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().expect("a header's name");
        response.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    response
}

/// Answers a request that is for nothing the played GitHub has, which fails the test.
pub(super) fn unknown(github: &GitHub, method: &Method, uri: &Uri) -> Response {
    github.change(|state| state.violation(format!("{method} {}: unknown route", below_api(uri))));
    Reply::not_found().into_response()
}

async fn endpoint(
    github: GitHub,
    path: &'static str,
    parts: HashMap<String, String>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    let found = ROUTES.iter().find(|(method, candidate, ..)| *candidate == path && head.method == *method);
    let Some((method, _, who, handle)) = found else { return unknown(&github, &head.method, &head.uri) };
    let route = format!("{method} {path}");
    let body = match to_bytes(body, LARGEST_BODY).await {
        Ok(body) => body,
        Err(_) => return Reply::refuse(400, "The body was not sent whole").into_response(),
    };
    let query =
        Query::<HashMap<String, String>>::try_from_uri(&head.uri).map(|query| query.0).unwrap_or_default();
    let address = below_api(&head.uri).to_owned();
    let (handle, who) = (*handle, *who);
    // On a thread that may block, since some handlers ask git.
    let answered = tokio::task::spawn_blocking(move || {
        let (reply, events) = {
            let mut state = github.state();
            let request = Raw { route: &route, who, headers: &head.headers, parts, query, body, address };
            let reply = match admit(&mut state, request) {
                Ok(call) if is_read_only(&state, &route, &call) => {
                    Reply::refuse(403, "Repository was archived so is read-only.")
                }
                Ok(call) => handle(&github, &mut state, &call),
                Err(refusal) => refusal,
            };
            for wrong in description::check_answer(&route, reply.status, &reply.body) {
                state.violation(format!("the played GitHub itself: {wrong}"));
            }
            (reply, std::mem::take(&mut state.outgoing))
        };
        github.announce();
        for event in events {
            // The receiver ends with the runtime only, and then nobody waits for the event.
            let _ = github.inner.outgoing.send(event);
        }
        reply.into_response()
    });
    answered.await.expect("answer a request")
}

/// Whether a call would change something in a repository that is archived.
fn is_read_only(state: &State, route: &str, call: &Call) -> bool {
    route.contains("/repos/{owner}/{repo}")
        && !route.starts_with("GET ")
        && state.repository(&call.repository()).is_archived
}

struct Raw<'a> {
    route: &'a str,
    who: Who,
    headers: &'a HeaderMap,
    parts: HashMap<String, String>,
    query: HashMap<String, String>,
    body: Bytes,
    address: String,
}

/// Everything that comes before a route's own work.
fn admit(state: &mut State, raw: Raw<'_>) -> Result<Call, Reply> {
    if !raw.headers.contains_key(header::USER_AGENT) {
        state.violation(format!("{}: no User-Agent", raw.route));
        return Err(Reply::refuse(
            403,
            "Request forbidden by administrative rules. Set a User-Agent header.",
        ));
    }
    let actor = identify(state, raw.headers).map_err(|rejected| {
        if rejected != Rejected::Expired {
            state.violation(format!("{}: {rejected:?}", raw.route));
        }
        match rejected {
            Rejected::Missing => Reply::refuse(401, "Requires authentication"),
            _ => Reply::refuse(401, "Bad credentials"),
        }
    })?;
    allow(state, &raw, &actor)?;
    let body = if raw.body.is_empty() {
        None
    } else {
        let body = serde_json::from_slice(&raw.body).map_err(|_| {
            state.violation(format!("{}: the body is not JSON", raw.route));
            Reply::refuse(400, "Problems parsing JSON")
        })?;
        Some(body)
    };
    let wrong = description::check_request(raw.route, &raw.query, body.as_ref());
    if !wrong.is_empty() {
        state.violations.extend(wrong);
        return Err(Reply::refuse(422, "Validation Failed"));
    }
    Ok(Call {
        actor,
        path: raw.parts,
        query: raw.query,
        body: body.unwrap_or(Value::Null),
        address: raw.address,
        wants_html: raw
            .headers
            .get(header::ACCEPT)
            .is_some_and(|form| form == "application/vnd.github.full+json"),
    })
}

/// What an account needs to be in a repository for a route: anyone who reads may comment and react,
/// anyone who sorts issues may label them, and everything else that changes something takes write
/// access.
fn needed(route: &str) -> Permission {
    let is_talk =
        ["/comments", "/reactions", "/comments/{comment_id}"].iter().any(|end| route.ends_with(end));
    match route {
        _ if route.starts_with("GET ") || (is_talk && route.contains("/issues/")) => Permission::Read,
        _ if route.contains("/issues/{issue_number}/labels") => Permission::Triage,
        _ => Permission::Write,
    }
}

/// Whether this account may use this route on this repository. What it may not see does not exist
/// for it; hob has nothing to write where it may only read, so that is told in the same way.
fn allow(state: &mut State, raw: &Raw<'_>, actor: &Actor) -> Result<(), Reply> {
    let fits = match raw.who {
        Who::App => *actor == Actor::App,
        Who::Person => *actor == Actor::User,
        Who::Token => *actor != Actor::App,
        Who::Installation => matches!(actor, Actor::Installation { .. }),
    };
    if !fits {
        state.violation(format!("{}: {actor:?} may not ask this", raw.route));
        return Err(match raw.who {
            Who::Person | Who::Installation => Reply::refuse(403, "Resource not accessible by integration"),
            _ => Reply::refuse(401, "Bad credentials"),
        });
    }
    if let (Some(owner), Some(name)) = (raw.parts.get("owner"), raw.parts.get("repo")) {
        let key = format!("{owner}/{name}").to_ascii_lowercase();
        let repository = state.repositories.get(&key).ok_or_else(Reply::not_found)?;
        let needed = needed(raw.route);
        if repository.permission(actor.login()) < needed || !actor.reaches(name) {
            return Err(Reply::not_found());
        }
    }
    Ok(())
}
