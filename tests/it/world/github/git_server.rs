//! Git over HTTP: `git http-backend` as a CGI program behind the played GitHub's door. Only here
//! are tokens checked; what a push may do is the repository's matter (`http.receivepack`, its
//! hook).

use std::process::Stdio;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use super::GitHub;
use super::account::{Rejected, identify_git};
use super::pushes::Branches;
use super::repository::isolate;
use super::routes::unknown;
use super::state::Permission;

/// Bytes read from git at once: the size of a pipe's buffer.
const CHUNK: usize = 64 * 1024;

/// The requests that git makes over HTTP.
const SERVICES: [&str; 3] = ["info/refs", "git-upload-pack", "git-receive-pack"];

/// Answers a git request, or says that there is no such route.
pub(super) async fn serve(Extract(github): Extract<GitHub>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some((name, service)) = parse(head.uri.path()) else {
        return unknown(&github, &head.method, &head.uri);
    };
    match admit(&github, &head, &name, &service) {
        Ok(admitted) => run(github, head, body, admitted).await,
        Err(refusal) => *refusal,
    }
}

/// `owner/repo` and the service of a git request's path.
fn parse(path: &str) -> Option<(String, String)> {
    let (name, service) = path.trim_start_matches('/').split_once(".git/")?;
    let is_repository = name.split('/').count() == 2;
    (is_repository && SERVICES.contains(&service)).then(|| (name.to_owned(), service.to_owned()))
}

/// A request that may be made.
struct Admitted {
    /// The path that git http-backend gets.
    path_info: String,
    /// A push: the repository, its branches before, and who pushes.
    push: Option<(String, Branches, String)>,
}

/// What git http-backend gets, if this account may do this with this repository.
fn admit(github: &GitHub, head: &Parts, name: &str, service: &str) -> Result<Admitted, Box<Response>> {
    let writes = service == "git-receive-pack" || head.uri.query().unwrap_or("").contains("git-receive-pack");
    let needed = if writes { Permission::Write } else { Permission::Read };
    let mut state = github.state();
    let actor = identify_git(&state, &head.headers).map_err(|rejected| {
        // git asks without credentials first, so their absence is no failure.
        if rejected != Rejected::Missing {
            state.git_auth_failures += 1;
        }
        if let Rejected::Wrong(why) = rejected {
            state.violation(format!("git {service} of {name}: {why}"));
        }
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        Box::new((StatusCode::UNAUTHORIZED, challenge, "Invalid username or token.\n").into_response())
    })?;
    let repository = state.repositories.get(&name.to_ascii_lowercase());
    let visible = repository.filter(|repository| {
        repository.permission(actor.login()) >= Permission::Read && actor.reaches(repository.name())
    });
    let Some(repository) = visible else {
        return Err(Box::new((StatusCode::NOT_FOUND, "Repository not found.\n").into_response()));
    };
    if writes && repository.is_archived {
        let text = "This repository was archived so it is read-only.\n";
        return Err(Box::new((StatusCode::FORBIDDEN, text).into_response()));
    }
    if repository.permission(actor.login()) < needed {
        let text = format!("Permission to {} denied to {}.\n", repository.full_name, actor.login());
        return Err(Box::new((StatusCode::FORBIDDEN, text).into_response()));
    }
    let push = (service == "git-receive-pack")
        .then(|| (repository.full_name.clone(), repository.bare.branches(), actor.login().to_owned()));
    Ok(Admitted { path_info: format!("/{}.git/{service}", repository.full_name), push })
}

/// Runs `git http-backend` for one request, streaming both ways.
async fn run(github: GitHub, head: Parts, body: Body, admitted: Admitted) -> Response {
    let mut command = Command::new("git");
    isolate(|name, value| {
        command.env(name, value);
    });
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", github.repositories())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", admitted.path_info)
        .env("QUERY_STRING", head.uri.query().unwrap_or(""))
        .env("REQUEST_METHOD", head.method.as_str())
        .env("REMOTE_USER", "hob")
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    // CONTENT_LENGTH only where the request has one: git reads a chunked body to its end.
    for (variable, name) in [
        ("CONTENT_TYPE", "content-type"),
        ("CONTENT_LENGTH", "content-length"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        if let Some(value) = head.headers.get(name).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn().expect("start git http-backend");
    let mut stdin = child.stdin.take().expect("a pipe");
    // In a task of its own, since git may answer before it has read everything.
    tokio::spawn(async move {
        let mut chunks = body.into_data_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            if stdin.write_all(&chunk).await.is_err() {
                break; // git has heard enough
            }
        }
    });
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    match read_head(&mut stdout).await {
        Some((status, headers)) => {
            (status, headers, pump(github, child, stdout, admitted.push)).into_response()
        }
        None => (StatusCode::INTERNAL_SERVER_ERROR, "git http-backend failed\n").into_response(),
    }
}

/// The status and headers that a CGI program writes before its answer.
async fn read_head(stdout: &mut BufReader<ChildStdout>) -> Option<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((status, headers));
        }
        let (name, value) = line.split_once(": ")?;
        if name.eq_ignore_ascii_case("status") {
            status = value.split(' ').next()?.parse().ok()?;
        } else {
            headers.insert(name.parse::<header::HeaderName>().ok()?, value.parse().ok()?);
        }
    }
}

/// The rest of git's answer. Read to its end even where nobody listens any more, so that a push
/// whose client has gone is finished, as on GitHub; and announced before the client sees the end of
/// it.
fn pump(
    github: GitHub,
    mut child: Child,
    mut stdout: BufReader<ChildStdout>,
    push: Option<(String, Branches, String)>,
) -> Body {
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
            // An error means that the client is gone.
            let _ = sender.send(Bytes::copy_from_slice(&buffer[..read])).await;
        }
        let _ = child.wait().await;
        if let Some((repo, before, login)) = push {
            github.tell_of_pushes(&repo, &before, &login);
        }
        github.announce();
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(chunk), receiver))
    }))
}
