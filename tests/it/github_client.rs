//! The GitHub client against a small server that says what each test has it say, and remembers what
//! it was asked. (The world's GitHub, which keeps state, is for stories; this one is for what it
//! would not do: fail in a certain way at a certain request.)

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use hob::github::{
    Credentials, GitHub, GitHubError, NewPull, Permission, ReactTo, Repository, RepositoryLocation,
};
use hob::ids::{CommentId, InstallationId, IssueNumber, PullNumber, Repo, RepositoryId, RepositoryRef};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TOKEN: &str = "ghp_of-a-test";
const ISSUE: IssueNumber = IssueNumber(7);

/// One request as it arrived.
#[derive(Debug, Clone)]
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

impl Request {
    /// `GET /path`, the way tests name a request.
    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

type Answer = Response<Body>;
type Script = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// The server: a script for what to say, and the requests so far.
#[derive(Clone)]
struct Server {
    script: Script,
    seen: Arc<Mutex<Vec<Request>>>,
    url: String,
}

impl Server {
    async fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server { script: Arc::new(script), seen: Arc::default(), url };
        let routes = axum::Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        server
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Request::line).collect()
    }

    fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|seen| *seen == line).count()
    }

    /// Reached with a personal token, which needs no request of its own.
    async fn repository(&self) -> Repository {
        user(&self.url).named(&at(None))
    }
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let request = Request {
        method,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    server.seen.lock().unwrap().push(request.clone());
    (server.script)(&request)
}

fn says(status: u16, body: Value) -> Answer {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

fn with(mut answer: Answer, name: &'static str, value: &str) -> Answer {
    answer.headers_mut().append(name, value.parse().unwrap());
    answer
}

/// What a script says to a request it does not expect: a status that no test wants.
fn unknown(request: &Request) -> Answer {
    says(418, json!({"message": format!("unexpected {}", request.line())}))
}

fn repo() -> Repo {
    "acme/tool".parse().unwrap()
}

/// The repository, as far as it matters which installation was heard of last.
fn at(installation: Option<InstallationId>) -> RepositoryRef {
    RepositoryRef { id: None, repo: repo(), installation }
}

fn user(url: &str) -> GitHub {
    GitHub::new(url, Credentials::Token(TOKEN.into())).unwrap()
}

fn app(url: &str) -> GitHub {
    let private_key_pem = SecretString::from(include_str!("../data/github-app.test-key.pem"));
    GitHub::new(url, Credentials::App { app_id: 77, private_key_pem }).unwrap()
}

/// A moment in seconds from now, as GitHub writes it.
fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

fn comment(id: u64, login: &str, body: &str) -> Value {
    json!({
        "id": id, "body": body, "user": {"login": login, "type": "User"},
        "html_url": format!("https://github.example/c/{id}"), "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z", "node_id": format!("IC_{id}"),
    })
}

fn pull(number: u64, head: &str, head_repo: Option<u64>) -> Value {
    json!({
        "number": number, "node_id": "PR_x", "html_url": format!("https://github.example/p/{number}"), "title": "t", "body": null,
        "head": {"ref": head, "sha": "a".repeat(40), "repo": head_repo.map(|id| json!({"id": id}))},
        "base": {"ref": "main", "sha": "b".repeat(40), "repo": {"id": 1}}, "draft": true,
    })
}

fn new_pull() -> NewPull {
    NewPull {
        title: "t".into(),
        body: "b".into(),
        head: "hob/issue-7".into(),
        base: "main".into(),
        draft: true,
    }
}

#[tokio::test]
async fn the_path_of_the_address_is_kept_and_every_request_names_its_sender() {
    let server = Server::start(|request| match request.line().as_str() {
        "GET /api/v3/user" => says(200, json!({"login": "hob-bot"})),
        "GET /api/v3/repos/acme/tool" => says(200, json!({"default_branch": "trunk"})),
        "POST /api/v3/repos/acme/tool/issues/7/reactions" => says(201, json!({})),
        _ => unknown(request),
    })
    .await;
    let github = user(&format!("{}/api/v3/", server.url));
    assert_eq!(github.own_login().await.unwrap(), "hob-bot");
    let repository = github.named(&at(None));
    assert_eq!(repository.default_branch().await.unwrap(), "trunk");
    repository.react(ReactTo::Issue(ISSUE), "eyes").await.unwrap();
    assert_eq!(repository.token().await.unwrap().expose_secret(), TOKEN);

    for request in server.seen() {
        assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"), "{}", request.line());
        let agents = request.headers.get_all("user-agent");
        assert!(agents.iter().any(|agent| agent == concat!("hob/", env!("CARGO_PKG_VERSION"))));
    }
    assert_eq!(server.seen().last().unwrap().body, json!({"content": "eyes"}));
    // The login is asked once.
    github.own_login().await.unwrap();
    assert_eq!(server.count("GET /api/v3/user"), 1);
}

#[tokio::test]
async fn a_path_that_begins_like_a_request_is_kept_too() {
    let server = Server::start(|request| match request.line().as_str() {
        "GET /repos/repos/acme/tool" => says(200, json!({"default_branch": "main"})),
        _ => unknown(request),
    })
    .await;
    let repository = user(&format!("{}/repos", server.url)).named(&at(None));
    assert_eq!(repository.default_branch().await.unwrap(), "main");
}

/// A host with an App: tokens are numbered as they are handed out, each with `lifetime` seconds to
/// live, and `refused` is one of them that the host takes no more.
fn app_host(lifetime: i64, refused: Option<&'static str>) -> impl Fn(&Request) -> Answer + Send + Sync {
    let tokens = AtomicUsize::new(0);
    move |request| match request.line().as_str() {
        "GET /app" => says(200, json!({"slug": "hob"})),
        "GET /repos/acme/tool/installation" => says(200, json!({"id": 42})),
        "POST /app/installations/42/access_tokens" => {
            let number = tokens.fetch_add(1, Ordering::SeqCst) + 1;
            let body = json!({"token": format!("ghs_{number}"), "expires_at": in_seconds(lifetime)});
            says(201, body)
        }
        _ if refused.is_some_and(|refused| request.header("authorization").ends_with(refused)) => {
            says(401, json!({"message": "Bad credentials"}))
        }
        "GET /repos/acme/tool" => says(200, json!({"default_branch": "main"})),
        "POST /repos/acme/tool/issues/7/comments" => says(201, comment(1, "hob[bot]", "x")),
        _ => unknown(request),
    }
}

#[tokio::test]
async fn an_app_signs_as_itself_and_is_called_by_its_slug() {
    let server = Server::start(app_host(3600, None)).await;
    assert_eq!(app(&server.url).own_login().await.unwrap(), "hob[bot]");

    let request = server.seen().remove(0);
    let token = request.header("authorization").strip_prefix("Bearer ").unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims: Value = serde_json::from_slice(&base64::Engine::decode(&engine, claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], 77);
    let (now, issued) = (jiff::Timestamp::now().as_second(), claims["iat"].as_i64().unwrap());
    assert!((55..=75).contains(&(now - issued)), "issued {} s ago", now - issued);
    assert!(claims["exp"].as_i64().unwrap() - issued <= 600, "GitHub accepts ten minutes");
}

#[tokio::test]
async fn ten_cold_calls_at_once_ask_for_one_token() {
    let server = Server::start(app_host(3600, None)).await;
    let github = app(&server.url);
    let calls = (0..10).map(|_| {
        let github = github.clone();
        tokio::spawn(async move {
            let repository = github.named(&at(Some(InstallationId(42))));
            repository.default_branch().await?;
            repository.token().await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().expose_secret(), "ghs_1");
    }
    assert_eq!(server.count("POST /app/installations/42/access_tokens"), 1);
    let reads = server.seen().into_iter().filter(|request| request.path == "/repos/acme/tool");
    let senders: Vec<_> = reads.map(|read| read.header("authorization").to_owned()).collect();
    assert_eq!(senders, vec!["Bearer ghs_1"; 10]);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_last_ten_minutes() {
    for (lifetime, renewed) in [(-5, true), (9 * 60, true), (11 * 60, false)] {
        let server = Server::start(app_host(lifetime, None)).await;
        let repository = app(&server.url).named(&at(Some(InstallationId(42))));
        let first = repository.token().await.unwrap();
        let second = repository.token().await.unwrap();
        assert_eq!(first.expose_secret() != second.expose_secret(), renewed, "with {lifetime} s to live");
    }
}

#[tokio::test]
async fn a_token_revoked_early_is_replaced_for_a_read_and_the_write_after_it() {
    let server = Server::start(app_host(3600, Some("ghs_1"))).await;
    let repository = app(&server.url).named(&at(Some(InstallationId(42))));
    let error = repository.create_comment(ISSUE, "x").await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unauthorized(_)) && !error.to_string().contains("ghs_"), "{error}");
    assert_eq!(server.count("POST /repos/acme/tool/issues/7/comments"), 1, "a write is not repeated");
    repository.create_comment(ISSUE, "x").await.unwrap();

    let server = Server::start(app_host(3600, Some("ghs_1"))).await;
    let repository = app(&server.url).named(&at(Some(InstallationId(42))));
    assert_eq!(repository.default_branch().await.unwrap(), "main");
    assert_eq!(server.count("POST /app/installations/42/access_tokens"), 2);
}

#[tokio::test]
async fn an_installation_is_looked_up_once_and_again_when_it_is_gone() {
    let first_is_gone = Arc::new(AtomicUsize::new(0));
    let gone = first_is_gone.clone();
    let server = Server::start(move |request| {
        let is_gone = gone.load(Ordering::SeqCst) == 1;
        match request.line().as_str() {
            "GET /repos/acme/tool/installation" => says(200, json!({"id": if is_gone { 43 } else { 42 }})),
            "POST /app/installations/42/access_tokens" if is_gone => {
                says(404, json!({"message": "Not Found"}))
            }
            // Ten minutes or less are left at once, so that each use asks again.
            "POST /app/installations/42/access_tokens" => {
                says(201, json!({"token": "ghs_42", "expires_at": in_seconds(60)}))
            }
            "POST /app/installations/43/access_tokens" => {
                says(201, json!({"token": "ghs_43", "expires_at": in_seconds(3600)}))
            }
            "GET /repos/acme/other/installation" => says(404, json!({"message": "Not Found"})),
            _ => unknown(request),
        }
    })
    .await;
    let github = app(&server.url);
    let kept = github.named(&at(None));
    kept.token().await.unwrap();
    let same = RepositoryRef { repo: "ACME/Tool".parse().unwrap(), ..at(None) };
    github.named(&same).token().await.unwrap();
    assert_eq!(server.count("GET /repos/acme/tool/installation"), 1);

    first_is_gone.store(1, Ordering::SeqCst);
    // What a delivery or the store named before is no reason to give up either.
    let again = github.named(&at(Some(InstallationId(42))));
    assert_eq!(again.token().await.unwrap().expose_secret(), "ghs_43");
    assert_eq!(kept.token().await.unwrap().expose_secret(), "ghs_43");
    assert_eq!(server.count("GET /repos/acme/tool/installation"), 2);
    // Not `NotFound`, which would be about a person or an issue.
    let other = RepositoryRef { repo: "acme/other".parse().unwrap(), ..at(None) };
    let error = github.repository(&other).await.err().unwrap();
    assert!(matches!(&error, GitHubError::Forbidden(why) if why.contains("acme/other")), "{error}");
}

#[tokio::test]
async fn after_a_bad_gateway_a_read_is_repeated_and_a_write_is_not() {
    let failures = AtomicUsize::new(2);
    let server = Server::start(move |request| {
        let fails = request.method != Method::GET
            || failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            return Response::builder().status(502).body(Body::from("<html>Unicorn!</html>")).unwrap();
        }
        says(200, json!({"default_branch": "main"}))
    })
    .await;
    let repository = server.repository().await;
    assert_eq!(repository.default_branch().await.unwrap(), "main");
    assert_eq!(server.count("GET /repos/acme/tool"), 3);

    let errors = [
        repository.create_comment(ISSUE, "x").await.unwrap_err(),
        repository.update_comment(CommentId(5), "x").await.unwrap_err(),
        repository.react(ReactTo::Comment(CommentId(5)), "+1").await.unwrap_err(),
        repository.open_pull(&new_pull()).await.unwrap_err(),
        repository.update_pull(PullNumber(3), None, Some("x")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error, GitHubError::Unavailable("HTTP status 502".into()));
        assert!(error.is_transient());
    }
    assert_eq!(
        server.lines()[3..],
        [
            "POST /repos/acme/tool/issues/7/comments",
            "PATCH /repos/acme/tool/issues/comments/5",
            "POST /repos/acme/tool/issues/comments/5/reactions",
            "POST /repos/acme/tool/pulls",
            "PATCH /repos/acme/tool/pulls/3",
        ]
    );
}

#[tokio::test]
async fn a_read_gives_up_after_two_repeats() {
    let server = Server::start(|_| says(503, json!({"message": "down"}))).await;
    let error = server.repository().await.issue(ISSUE).await.unwrap_err();
    assert_eq!(error, GitHubError::Unavailable("down (HTTP status 503)".into()));
    assert_eq!(server.seen().len(), 3);
}

/// Serves `answered` requests on each connection, then reads one more and resets. Returns the
/// address and the first lines of the requests it has read.
async fn resetting_server(answered: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let record = seen.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let record = record.clone();
            tokio::spawn(async move {
                for number in 0..=answered {
                    let Some(line) = read_request(&mut stream).await else { return };
                    record.lock().unwrap().push(line);
                    if number == answered {
                        // Dropped with this set, the connection ends in a reset instead of a close.
                        stream.set_zero_linger().unwrap();
                        return;
                    }
                    let body = r#"{"default_branch":"main"}"#;
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (url, seen)
}

/// Reads one request with its body; none if the client has closed.
async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length =
                text.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
            if bytes.len() >= end + 4 + length.trim().parse::<usize>().unwrap() {
                return Some(text.lines().next().unwrap().to_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

#[tokio::test]
async fn after_a_reset_a_read_is_repeated_and_a_write_is_not() {
    let (url, seen) = resetting_server(0).await;
    let repository = user(&url).named(&at(None));
    let error = repository.create_comment(ISSUE, "x").await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error}");
    assert_eq!(*seen.lock().unwrap(), ["post /repos/acme/tool/issues/7/comments http/1.1"]);

    let error = repository.default_branch().await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error}");
    assert_eq!(seen.lock().unwrap()[1..], ["get /repos/acme/tool http/1.1"; 3]);
}

#[tokio::test]
async fn a_reset_of_a_connection_used_before_does_not_repeat_a_write_either() {
    let (url, seen) = resetting_server(1).await;
    let repository = user(&url).named(&at(None));
    repository.default_branch().await.unwrap();
    let error = repository.create_comment(ISSUE, "x").await.unwrap_err();
    assert!(matches!(error, GitHubError::Unavailable(_)), "{error}");
    let expected = ["get /repos/acme/tool http/1.1", "post /repos/acme/tool/issues/7/comments http/1.1"];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn nobody_listening_is_a_passing_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let repository = user(&url).named(&at(None));
    let error = repository.create_comment(ISSUE, "x").await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn each_shape_of_a_rate_limit_is_recognised() {
    let reset = jiff::Timestamp::now().as_second() + 1000;
    let server = Server::start(move |request| {
        let secondary = json!({"message": "You have exceeded a secondary rate limit."});
        match request.path.rsplit('/').nth(1).unwrap() {
            "1" => with(says(403, secondary), "retry-after", "30"),
            "2" => says(403, secondary),
            "3" => with(says(429, json!({})), "retry-after", "90"),
            "4" => {
                let answer = with(says(403, json!({"message": "x"})), "x-ratelimit-remaining", "0");
                with(answer, "x-ratelimit-reset", &reset.to_string())
            }
            _ => with(says(403, json!({"message": "Not yours"})), "x-ratelimit-remaining", "12"),
        }
    })
    .await;
    let repository = server.repository().await;
    let wait = async |issue| {
        let error = repository.create_comment(IssueNumber(issue), "x").await.unwrap_err();
        assert!(matches!(error, GitHubError::RateLimited { .. }) && error.is_transient(), "{issue}: {error}");
        error.retry_after().unwrap().as_secs()
    };
    assert_eq!(wait(1).await, 30);
    assert_eq!(wait(2).await, 60, "GitHub's advice where it names no time");
    assert_eq!(wait(3).await, 90);
    assert!((990..=1000).contains(&wait(4).await));
    assert_eq!(server.seen().len(), 4);
    let error = repository.create_comment(IssueNumber(5), "x").await.unwrap_err();
    assert_eq!(error, GitHubError::Forbidden("Not yours (HTTP status 403)".into()));
    assert_eq!((error.is_transient(), error.retry_after()), (false, None));
}

#[tokio::test]
async fn a_short_wait_is_sat_out_by_a_read_and_a_long_one_is_handed_up() {
    let server = Server::start(|request| match request.line().as_str() {
        "GET /repos/acme/tool" => with(says(429, json!({})), "retry-after", "1"),
        _ => with(says(429, json!({})), "retry-after", "6"),
    })
    .await;
    let repository = server.repository().await;
    let begin = std::time::Instant::now();
    repository.default_branch().await.unwrap_err();
    assert_eq!(server.count("GET /repos/acme/tool"), 3);
    assert!(begin.elapsed() >= Duration::from_secs(2), "two waits of a second");

    let error = repository.issue(ISSUE).await.unwrap_err();
    assert_eq!(error, GitHubError::RateLimited { retry_after: Some(Duration::from_secs(6)) });
    assert_eq!(server.count("GET /repos/acme/tool/issues/7"), 1);
}

#[tokio::test]
async fn a_pull_request_that_exists_is_told_and_found() {
    let server = Server::start(|request| match request.line().as_str() {
        "POST /repos/acme/tool/pulls" => {
            let reason = "A pull request already exists for acme:hob/issue-7.";
            says(
                422,
                json!({"message": "Validation Failed", "errors": [{"code": "custom", "message": reason}]}),
            )
        }
        "GET /repos/acme/tool/pulls" => {
            assert_eq!(request.query("head"), Some("acme:hob%2Fissue-7"));
            assert_eq!(request.query("state"), Some("open"));
            let head = "hob/issue-7";
            says(
                200,
                json!([
                    pull(1, "other", Some(1)),
                    pull(2, head, Some(2)),
                    pull(3, head, None),
                    pull(4, head, Some(1))
                ]),
            )
        }
        _ => unknown(request),
    })
    .await;
    let repository = server.repository().await;
    let error = repository.open_pull(&new_pull()).await.unwrap_err();
    assert!(matches!(error, GitHubError::Unprocessable { already_exists: true, .. }), "{error}");
    assert!(!error.is_transient());
    assert_eq!(server.seen()[0].body, serde_json::to_value(new_pull()).unwrap());

    let found = repository.find_pull("hob/issue-7").await.unwrap().unwrap();
    assert_eq!(found.number, PullNumber(4), "neither another branch nor another repository's");
    assert_eq!((found.base.as_str(), found.body.as_str(), found.is_draft), ("main", "", true));
}

#[tokio::test]
async fn a_pull_request_is_opened_and_only_what_is_given_is_changed() {
    let server = Server::start(|request| match request.line().as_str() {
        "POST /repos/acme/tool/pulls" => says(201, pull(8, "hob/issue-7", Some(1))),
        "PATCH /repos/acme/tool/pulls/8" => says(200, pull(8, "hob/issue-7", Some(1))),
        "GET /repos/acme/tool/pulls" => says(200, json!([])),
        _ => unknown(request),
    })
    .await;
    let repository = server.repository().await;
    assert_eq!(repository.find_pull("hob/issue-7").await.unwrap(), None);
    let opened = repository.open_pull(&new_pull()).await.unwrap();
    assert_eq!((opened.number, opened.url.as_str()), (PullNumber(8), "https://github.example/p/8"));
    repository.update_pull(opened.number, None, Some("new")).await.unwrap();
    assert_eq!(server.seen().last().unwrap().body, json!({"body": "new"}));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_but_no_token_goes_to_another_host() {
    let elsewhere = Server::start(|_| says(200, json!({"default_branch": "main"}))).await;
    let away = format!("{}/repositories/1", elsewhere.url);
    let server = Server::start(move |request| match request.line().as_str() {
        "GET /repos/acme/tool" => with(says(301, json!({})), "location", "/repositories/1"),
        "POST /repos/acme/tool/issues/7/comments" => {
            with(says(307, json!({})), "location", "/repositories/1/issues/7/comments")
        }
        "GET /repositories/1" => says(200, json!({"default_branch": "main"})),
        "POST /repositories/1/issues/7/comments" => says(201, comment(1, "hob-bot", "x")),
        "PATCH /repos/acme/tool/issues/comments/1" => with(says(307, json!({})), "location", &away),
        _ => with(says(302, json!({})), "location", &away),
    })
    .await;
    let repository = server.repository().await;
    assert_eq!(repository.default_branch().await.unwrap(), "main");
    repository.create_comment(ISSUE, "x").await.unwrap();
    assert_eq!(server.seen().last().unwrap().body, json!({"body": "x"}));
    assert_eq!(server.lines().len(), 4);
    for request in server.seen() {
        assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"), "{}", request.line());
    }
    repository.issue(ISSUE).await.unwrap_err();
    repository.update_comment(CommentId(1), "x").await.unwrap_err();
    assert!(elsewhere.seen().iter().all(|request| request.header("authorization").is_empty()));
}

const MARKER: &str = "<!-- hob:0198 -->";

/// An issue with three pages of comments, the marker in one of somebody else's on the first and in
/// one of hob's own on the third. The second page is short, as GitHub's are where it hides a
/// comment.
fn three_pages(request: &Request) -> Answer {
    let chatter = |count: u64| (0..count).map(|id| comment(id, "alice", "hm")).collect::<Vec<_>>();
    let next = "<http://elsewhere.example/?page=3>; rel=\"next\", <http://elsewhere.example/>; rel=\"last\"";
    match (request.line().as_str(), request.query("page")) {
        ("GET /user", _) => says(200, json!({"login": "hob-bot"})),
        ("GET /repos/acme/tool/issues/7/comments", Some("1")) => {
            let mut page = chatter(99);
            page.push(comment(500, "mallory", MARKER));
            says(200, page.into())
        }
        ("GET /repos/acme/tool/issues/7/comments", Some("2")) => {
            with(says(200, chatter(98).into()), "link", next)
        }
        ("GET /repos/acme/tool/issues/7/comments", Some("3")) => {
            let nobody = json!({
                "id": 8, "user": null, "body": null, "html_url": "x", "created_at": "2026-01-02T03:04:05Z",
            });
            let own = comment(900, "Hob-Bot", &format!("Done.\n\n{MARKER}"));
            says(200, json!([nobody, comment(7, "hob-bot", "other"), own]))
        }
        ("PATCH /repos/acme/tool/issues/comments/900", _) => says(200, comment(900, "hob-bot", "y")),
        ("POST /repos/acme/tool/issues/7/comments", _) => says(201, comment(901, "hob-bot", "z")),
        _ => unknown(request),
    }
}

#[tokio::test]
async fn a_comment_is_found_on_the_third_page_by_marker_and_author() {
    let server = Server::start(three_pages).await;
    let repository = server.repository().await;
    let since = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let found = repository.find_comment(ISSUE, MARKER, Some(since)).await.unwrap().unwrap();
    assert_eq!((found.id, found.url.as_str()), (CommentId(900), "https://github.example/c/900"));
    let pages: Vec<_> =
        server.seen().into_iter().filter(|request| request.path.ends_with("/comments")).collect();
    assert_eq!(pages.len(), 3);
    for page in pages {
        assert_eq!(page.query("per_page"), Some("100"));
        assert_eq!(page.query("since"), Some("2026-01-02T02:04:05Z"), "an hour of margin for the clocks");
    }
    assert_eq!(repository.find_comment(ISSUE, "<!-- hob:other -->", None).await.unwrap(), None);
    assert_eq!(server.seen().last().unwrap().query("since"), None);
}

#[tokio::test]
async fn sub_issues_are_read_beyond_a_page_that_is_short() {
    let sub_issue = |number: u64| {
        json!({
            "number": number, "state": "open", "repository_url": "https://x.example/repos/acme/tool", "user": null,
            "created_at": "2026-01-02T03:04:05Z",
        })
    };
    // GitHub leaves out what it hides after it has cut the pages.
    let server = Server::start(move |request| match request.query("page") {
        Some("1") => {
            let next = "<http://elsewhere.example/?page=2>; rel=\"next\"";
            with(says(200, json!([sub_issue(8)])), "link", next)
        }
        Some("2") => says(200, json!([sub_issue(9)])),
        _ => unknown(request),
    })
    .await;
    let found = server.repository().await.sub_issues(ISSUE).await.unwrap();
    assert_eq!(found.iter().map(|found| found.number.0).collect::<Vec<_>>(), [8, 9]);
    // One that is cut short at a whole page goes on too, and a list without an end has one.
    let server = Server::start(move |_| says(200, vec![sub_issue(8); 100].into())).await;
    let found = server.repository().await.sub_issues(ISSUE).await.unwrap();
    assert!(found.len() >= 1_000 && found.len() <= 10_000, "{}", found.len());
}

#[tokio::test]
async fn comments_are_read_written_and_changed() {
    let server = Server::start(three_pages).await;
    let repository = server.repository().await;
    let reader = repository.clone();
    let all = tokio::spawn(async move { reader.comments(ISSUE).await }).await.unwrap().unwrap();
    assert_eq!(all.len(), 100 + 98 + 3);
    assert_eq!((all[99].author.login.as_str(), all[99].body.as_str()), ("mallory", MARKER));
    assert_eq!((all[198].author.login.as_str(), all[198].body.as_str()), ("ghost", ""));
    assert_eq!(all[0].created_at, "2026-01-02T03:04:05Z".parse().unwrap());

    repository.update_comment(CommentId(900), "y").await.unwrap();
    assert_eq!(server.count("PATCH /repos/acme/tool/issues/comments/900"), 1);
    assert_eq!(server.seen().last().unwrap().body, json!({"body": "y"}));
    let written = repository.create_comment(ISSUE, "z").await.unwrap();
    assert_eq!(written.id, CommentId(901));
}

#[tokio::test]
async fn permissions_are_read_from_the_role_and_a_stranger_is_not_found() {
    let server = Server::start(|request| {
        let (permission, role) = match request.path.split('/').nth(5).unwrap() {
            "maintainer" => ("write", Some("maintain")),
            "triager" => ("read", Some("triage")),
            "custom" => ("write", Some("release-managers")),
            "old-server" => ("admin", None),
            "dependabot%5Bbot%5D" => ("read", Some("read")),
            _ => return says(404, json!({"message": "Not Found"})),
        };
        says(200, json!({"permission": permission, "role_name": role, "user": {"login": "x"}}))
    })
    .await;
    let repository = server.repository().await;
    for (login, permission) in [
        ("maintainer", Permission::Maintain),
        ("triager", Permission::Triage),
        ("custom", Permission::Write),
        ("old-server", Permission::Admin),
        ("dependabot[bot]", Permission::Read),
    ] {
        assert_eq!(repository.permission(login, None).await.unwrap(), permission, "{login}");
    }
    assert_eq!(repository.permission("stranger", None).await.unwrap_err(), GitHubError::NotFound);
}

#[tokio::test]
async fn an_issue_is_read_and_an_answer_that_makes_no_sense_is_an_error() {
    let server = Server::start(|request| match request.path.rsplit('/').next().unwrap() {
        "7" => says(
            200,
            json!({"number": 7, "title": "t", "body": null, "state": "open", "pull_request": {},
                "updated_at": "2026-11-24T08:00:00Z"}),
        ),
        "8" => says(200, json!({"number": "eight"})),
        _ => says(410, json!({"message": "This issue was deleted"})),
    })
    .await;
    let repository = server.repository().await;
    let issue = repository.issue(ISSUE).await.unwrap();
    assert!(issue.is_open && issue.is_pull_request && issue.body.is_empty());
    let error = repository.issue(IssueNumber(8)).await.unwrap_err();
    assert!(matches!(&error, GitHubError::Unexpected(why) if why.contains("number")), "{error}");
    assert_eq!(repository.issue(IssueNumber(9)).await.unwrap_err(), GitHubError::NotFound);
}

/// The answer that GitHub's own description of its API gives as an example for this request.
fn documented(request: &Request) -> Answer {
    static DESCRIPTION: &str = include_str!("../data/github-openapi.json");
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let line = request.line();
    let fits = |route: &str| {
        let (mut route, mut parts) = (route.split(['/', ' ']), line.split(['/', ' ']));
        // A part in braces stands for any value, except where another route names that very part.
        route.clone().count() == parts.clone().count()
            && route.all(|name| {
                let part = parts.next().unwrap_or_default();
                name == part || (name.starts_with('{') && part != "comments")
            })
    };
    let route = description["routes"].as_object().unwrap().iter().find(|(route, _)| fits(route));
    let Some((_, route)) = route else { return unknown(request) };
    let status = route["responses"].as_object().unwrap().keys().find(|status| status.starts_with('2'));
    says(status.unwrap().parse().unwrap(), route["example"].clone())
}

#[tokio::test]
async fn githubs_documented_answers_are_understood() {
    let server = Server::start(documented).await;
    assert_eq!(user(&server.url).own_login().await.unwrap(), "octocat");
    let github = app(&server.url);
    assert_eq!(github.own_login().await.unwrap(), "octoapp[bot]");
    let repository = github.named(&at(None));
    let token = repository.token().await.unwrap();
    assert_eq!(token.expose_secret(), "ghs_16C7e42F292c6912E7710c838347Ae178B4a");

    assert_eq!(repository.default_branch().await.unwrap(), "master");
    assert_eq!(repository.permission("octocat", None).await.unwrap(), Permission::Admin);
    let issue = repository.issue(ISSUE).await.unwrap();
    assert_eq!((issue.number, issue.title.as_str(), issue.is_open), (IssueNumber(1347), "Found a bug", true));
    let comments = repository.comments(ISSUE).await.unwrap();
    assert_eq!((comments[0].body.as_str(), comments[0].author.login.as_str()), ("Me too", "octocat"));
    assert_eq!(repository.find_comment(ISSUE, "Me too", None).await.unwrap(), None, "not hob's own");
    let written = repository.create_comment(ISSUE, "x").await.unwrap();
    assert_eq!(written.url, "https://github.com/octocat/Hello-World/issues/1347#issuecomment-1");
    repository.update_comment(CommentId(1), "x").await.unwrap();
    repository.react(ReactTo::Issue(ISSUE), "eyes").await.unwrap();
    repository.react(ReactTo::Comment(CommentId(1)), "rocket").await.unwrap();

    let found = repository.find_pull("new-topic").await.unwrap().unwrap();
    let opened = repository.open_pull(&new_pull()).await.unwrap();
    let updated = repository.update_pull(PullNumber(1347), Some("x"), None).await.unwrap();
    for pull in [found, opened, updated] {
        assert_eq!((pull.number, pull.head.as_str()), (PullNumber(1347), "new-topic"));
        assert_eq!(pull.url, "https://github.com/octocat/Hello-World/pull/1347");
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_refused_without_being_shown() {
    let pem =
        SecretString::from("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n");
    let credentials = Credentials::App { app_id: 1, private_key_pem: pem };
    assert!(!format!("{credentials:?}").contains("c2Vj"));
    let error = GitHub::new("https://api.github.com", credentials).err().unwrap();
    assert!(error.to_string().contains("private key") && !error.to_string().contains("c2Vj"), "{error}");

    let server = Server::start(unknown).await;
    let github = GitHub::new(&server.url, Credentials::Token("ghp_a\nb".into())).unwrap();
    let error = github.own_login().await.unwrap_err();
    assert!(matches!(error, GitHubError::Unexpected(_)) && !error.to_string().contains("ghp_a"), "{error}");
    assert_eq!(server.seen().len(), 0);
}

fn listed_comment(id: u64, second: u32) -> Value {
    let mut listed = comment(id, "alice", "hello");
    listed["issue_url"] = json!("https://github.example/repos/acme/tool/issues/7");
    listed["updated_at"] = json!(format!("2026-01-02T03:04:{second:02}Z"));
    listed
}

#[tokio::test]
async fn a_list_of_changes_is_read_on_from_its_last_change_so_that_none_is_passed_over() {
    // While the first page is read, comment 3 is changed and moves to the end: by page numbers 101
    // would be missed.
    let first: Vec<Value> = (1..=100).map(|id| listed_comment(id, if id < 50 { 1 } else { 2 })).collect();
    let rest = vec![listed_comment(100, 2), listed_comment(101, 3), listed_comment(3, 4)];
    let server = Server::start(move |request| match (request.line().as_str(), request.query("since")) {
        ("GET /repos/acme/tool/issues/comments", Some("2026-01-02T03:00:00Z")) => {
            with(says(200, json!(first)), "date", "Fri, 02 Jan 2026 03:05:00 GMT")
        }
        ("GET /repos/acme/tool/issues/comments", Some("2026-01-02T03:04:02Z")) => {
            with(says(200, json!(rest)), "date", "Fri, 02 Jan 2026 03:06:00 GMT")
        }
        _ => unknown(request),
    })
    .await;
    let since = "2026-01-02T03:00:00Z".parse().unwrap();
    let listed = server.repository().await.comments_since(since).await.unwrap();
    let ids: std::collections::BTreeSet<u64> = listed.items.iter().map(|comment| comment.id.0).collect();
    assert_eq!(ids, (1..=101).collect());
    assert!(listed.items.iter().all(|comment| comment.issue == ISSUE));
    assert_eq!(listed.until, "2026-01-02T03:05:00Z".parse().unwrap(), "GitHub's clock at the first page");
    assert!(server.seen().iter().all(|request| request.query("page") == Some("1")));
}

#[tokio::test]
async fn more_changes_of_one_second_than_a_page_holds_are_all_read() {
    let server = Server::start(|request| match request.query("page") {
        Some("1") => says(200, json!((1..=100).map(|id| listed_comment(id, 0)).collect::<Vec<_>>())),
        Some("2") => says(200, json!([listed_comment(101, 0)])),
        _ => unknown(request),
    })
    .await;
    let since = "2026-01-02T03:04:00Z".parse().unwrap();
    assert_eq!(server.repository().await.comments_since(since).await.unwrap().items.len(), 101);
}

#[tokio::test]
async fn deliveries_are_read_by_cursor_back_to_where_it_is_enough() {
    let attempt = |id: u64, hour: u32, status: u16| {
        json!({"id": id, "guid": format!("guid-{id}"), "delivered_at": format!("2026-01-04T{hour:02}:00:00Z"),
            "redelivery": false, "status": "x", "status_code": status, "event": "issues", "action": null})
    };
    let server = Server::start(move |request| match (request.line().as_str(), request.query("cursor")) {
        ("GET /app/hook/deliveries", None) => {
            let link = "<https://github.example/app/hook/deliveries?per_page=100&cursor=v1_9>; rel=\"next\"";
            with(says(200, json!([attempt(9, 12, 200), attempt(8, 11, 502)])), "link", link)
        }
        ("GET /app/hook/deliveries", Some("v1_9")) => {
            let link = "<https://github.example/app/hook/deliveries?per_page=100&cursor=v1_7>; rel=\"next\"";
            with(says(200, json!([attempt(7, 10, 0), attempt(6, 8, 200)])), "link", link)
        }
        ("POST /app/hook/deliveries/7/attempts", _) => says(202, json!({})),
        _ => unknown(request),
    })
    .await;
    let github = app(&server.url);
    let ids = async |since: Option<&str>, hours| {
        let since = since.map(|since| since.parse().unwrap());
        let found = github.hook_deliveries(since, jiff::SignedDuration::from_hours(hours)).await.unwrap();
        found.into_iter().map(|delivery| (delivery.id, delivery.succeeded())).collect::<Vec<_>>()
    };
    let newest = [(9, true), (8, false), (7, false)];
    assert_eq!(ids(Some("2026-01-04T09:00:00Z"), 72).await, newest);
    assert_eq!(ids(None, 3).await, newest, "no longer back than asked for");
    assert_eq!(ids(Some("2026-01-04T12:00:00Z"), 72).await, newest[..1]);
    github.redeliver(7).await.unwrap();
    assert_eq!(server.count("POST /app/hook/deliveries/7/attempts"), 1);
    let user = user(&server.url);
    assert!(matches!(user.redeliver(7).await, Err(GitHubError::Unexpected(_))), "only an App has deliveries");
}

#[tokio::test]
async fn graphql_is_asked_beside_the_rest_api_and_its_refusals_are_understood() {
    let answers = Arc::new(Mutex::new(vec![
        json!({"data": {"repository": null}, "errors": [{"type": "NOT_FOUND", "message": "no"}]}),
        json!({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}),
        json!({"data": {"repository": {"issue": {"title": "T", "body": "B", "lastEditedAt": null, "editor": null,
            "renames": {"nodes": []}, "labelings": {"nodes": []}}}}}),
    ]));
    let server = Server::start(move |request| match request.line().as_str() {
        "POST /api/graphql" => says(200, answers.lock().unwrap().pop().unwrap()),
        _ => unknown(request),
    })
    .await;
    let repository = user(&format!("{}/api/v3", server.url)).named(&at(None));
    let history = repository.issue_history(ISSUE).await.unwrap();
    assert_eq!((history.title.as_str(), history.edited, history.renamed), ("T", None, None));
    let variables = json!({"owner": "acme", "name": "tool", "number": 7});
    assert_eq!(server.seen()[0].body["variables"], variables);
    assert!(matches!(repository.issue_history(ISSUE).await, Err(GitHubError::RateLimited { .. })));
    assert_eq!(repository.issue_history(ISSUE).await, Err(GitHubError::NotFound));
}

#[tokio::test]
async fn an_app_lists_the_repositories_of_its_installations_and_leaves_out_one_that_does_not_let_it_in() {
    let server = Server::start(|request| match request.line().as_str() {
        "GET /app/installations" => says(
            200,
            json!([{"id": 1, "suspended_at": null}, {"id": 2, "suspended_at": "2026-01-01T00:00:00Z"},
                {"id": 3, "suspended_at": null}]),
        ),
        "POST /app/installations/1/access_tokens" => {
            says(201, json!({"token": "ghs_1", "expires_at": in_seconds(3600)}))
        }
        "POST /app/installations/3/access_tokens" => says(403, json!({"message": "This was suspended"})),
        "GET /installation/repositories" => says(
            200,
            json!({"total_count": 1, "repositories": [{"id": 9, "full_name": "acme/tool", "default_branch": "trunk"}]}),
        ),
        _ => unknown(request),
    })
    .await;
    let found = app(&server.url).installed_repositories().await.unwrap();
    let found: Vec<_> = found.into_iter().map(|f| (f.repo, f.default_branch, f.installation)).collect();
    assert_eq!(found, [(repo(), "trunk".to_owned(), Some(InstallationId(1)))]);
}

/// A host with repositories, by their names and ids, of which one was renamed: `acme/tool` was what
/// `acme/instrument` is.
fn moving_host(of_name: &'static [(&'static str, u64)]) -> impl Fn(&Request) -> Answer + Send + Sync {
    move |request| {
        let facts = |(name, id): &(&str, u64)| {
            says(200, json!({"id": id, "full_name": name, "default_branch": "main"}))
        };
        let path = request.path.as_str();
        let named = of_name.iter().find(|(name, _)| path == format!("/repos/{name}"));
        let of_id = of_name.iter().find(|(_, id)| path == format!("/repositories/{id}"));
        match (named.or(of_id), path) {
            (Some(found), _) => facts(found),
            (None, "/repos/acme/tool") if of_name.iter().any(|(_, id)| *id == 1) => {
                with(says(301, json!({})), "location", "/repositories/1")
            }
            _ => says(404, json!({"message": "Not Found"})),
        }
    }
}

#[tokio::test]
async fn a_repository_is_found_under_the_name_that_it_has_now_and_never_taken_for_another() {
    let known = RepositoryRef { id: Some(RepositoryId(1)), ..at(None) };
    // Renamed, and the old name free; renamed, and the old name another's; deleted, with the name
    // another's; and gone.
    for (of_name, name) in [
        (&[("acme/tool", 1)][..], Some("acme/tool")),
        (&[("acme/instrument", 1)][..], Some("acme/instrument")),
        (&[("acme/instrument", 1), ("acme/tool", 2)][..], Some("acme/instrument")),
        (&[("acme/tool", 2)][..], None),
    ] {
        let server = Server::start(moving_host(of_name)).await;
        let github = user(&server.url);
        match (github.repository(&known).await, name) {
            (Ok(repository), Some(name)) => {
                assert_eq!(repository.repo().to_string(), name);
                assert_eq!(repository.git_access().await.unwrap().0.to_string(), name);
                // Asked for once, and once more for git.
                let before = server.seen().len();
                github.repository(&known).await.unwrap();
                assert_eq!(server.seen().len(), before);
            }
            (Err(error), None) => {
                assert!(
                    matches!(&error, GitHubError::Forbidden(why) if why.contains("a different repository")),
                    "{error}"
                );
                assert_eq!(github.whereabouts(&known).await.unwrap(), RepositoryLocation::Replaced);
            }
            (other, _) => panic!("{of_name:?}: {:?}", other.map(|found| found.repo().to_string())),
        }
        let learned = github.take_learned();
        let is_news = name.is_some_and(|name| name != "acme/tool");
        assert_eq!(!learned.is_empty(), is_news, "{of_name:?}");
        assert!(learned.iter().all(|learned| learned.now.repo.to_string() == "acme/instrument"));
        assert!(github.take_learned().is_empty());
    }
    let server = Server::start(moving_host(&[])).await;
    assert_eq!(user(&server.url).whereabouts(&known).await.unwrap(), RepositoryLocation::Nowhere);
}

#[tokio::test]
async fn an_id_that_is_not_known_yet_is_learned_with_the_first_answer() {
    let server = Server::start(moving_host(&[("acme/instrument", 1)])).await;
    let github = user(&server.url);
    github.repository(&at(None)).await.unwrap();
    let learned = github.take_learned();
    assert_eq!(learned.len(), 1);
    assert_eq!((learned[0].before.clone(), learned[0].now.id), (at(None), RepositoryId(1)));
}

#[tokio::test]
async fn a_permission_is_that_of_the_account_with_the_id_whatever_it_is_called() {
    let server = Server::start(|request| {
        let of = |permission: &str, id: u64| {
            says(
                200,
                json!({"permission": permission, "role_name": permission, "user": {"login": "x", "id": id}}),
            )
        };
        match request.path.as_str() {
            "/repos/acme/tool/collaborators/alice/permission" => of("admin", 2),
            "/repos/acme/tool/collaborators/alicia/permission" => of("read", 1),
            "/repos/acme/tool/collaborators/mover/permission" => of("admin", 9),
            "/user/1" => says(200, json!({"login": "alicia", "id": 1})),
            "/user/4" => says(200, json!({"login": "mover", "id": 4})),
            _ => says(404, json!({"message": "Not Found"})),
        }
    })
    .await;
    let repository = server.repository().await;
    for (login, id, expected) in [
        ("alice", Some(2), Ok(Permission::Admin)),
        ("alice", None, Ok(Permission::Admin)),
        // Alice had this login before, and is called otherwise now.
        ("alice", Some(1), Ok(Permission::Read)),
        ("nobody-any-more", Some(1), Ok(Permission::Read)),
        // The account is gone, and its login somebody else's; or that changes all the time.
        ("alice", Some(3), Err(GitHubError::NotFound)),
        ("mover", Some(4), Err(GitHubError::NotFound)),
    ] {
        assert_eq!(repository.permission(login, id).await, expected, "{login} {id:?}");
    }
}
