//! Tests of the played GitHub itself: a world that is wrong would make every other test worthless.

#[path = "world_github/checks.rs"]
mod checks;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use octocrab::jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::world::github::{Fault, GitHub};

const REPO: &str = "acme/tool";

/// How long a test waits for the played GitHub: far longer than it ever needs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A GitHub with one repository, in which `alice` may write, and one issue of hers.
async fn world() -> (GitHub, u64) {
    let github = GitHub::start().await;
    github.create_repo(REPO, &[("README.md", "a tool\n"), ("run.sh", "#!/bin/sh\necho hi\n")]).await;
    github.set_permission(REPO, "alice", "write");
    let issue = github.open_issue(REPO, "alice", "Add a --json flag", "It should print JSON.").await;
    (github, issue)
}

struct Client {
    http: reqwest::Client,
    api: String,
    token: String,
}

impl Client {
    fn new(github: &GitHub, token: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().user_agent("hob-tests").build().unwrap();
        Self { http, api: github.api_url(), token: token.to_owned() }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<reqwest::Response> {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.api)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        request.send().await
    }

    async fn json(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self.send(method, path, body).await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.json("GET", path, None).await
    }
}

/// A small hob: takes webhooks, answers 202, and passes them on.
async fn listen() -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let accept = move |headers: HeaderMap, body: Bytes| async move {
        sender.send((headers, body)).unwrap();
        StatusCode::ACCEPTED
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/webhook", post(accept))).await });
    (url, receiver)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

fn git(folder: &Path, token: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_TERMINAL_PROMPT", "0").env_remove("GIT_ASKPASS").env_remove("SSH_ASKPASS");
    if let Some(token) = token {
        let credentials = STANDARD.encode(format!("x-access-token:{token}"));
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraHeader");
        command.env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {credentials}"));
    }
    command.args(["-c", "user.name=hob", "-c", "user.email=hob@localhost"]).args(arguments).output().unwrap()
}

async fn git_async(folder: &Path, token: Option<&str>, arguments: &[&str]) -> Output {
    let (folder, token) = (folder.to_owned(), token.map(str::to_owned));
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        git(&folder, token.as_deref(), &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_arrives_as_signed_webhooks() {
    let (github, issue) = world().await;
    let (url, mut arrived) = listen().await;
    github.send_webhooks_to(&url, "secret");

    let delivery = github.label_issue(REPO, issue, "alice", "hob").await;
    assert_eq!((delivery.event.as_str(), delivery.action.as_deref()), ("issues", Some("labeled")));
    assert_eq!(delivery.status, 202);

    let (headers, body) = arrived.recv().await.unwrap();
    assert_eq!(header(&headers, "x-github-event"), "issues");
    assert_eq!(header(&headers, "x-github-delivery"), delivery.guid);
    assert!(header(&headers, "user-agent").starts_with("GitHub-Hookshot/"));
    assert_eq!(header(&headers, "x-hub-signature-256"), github.sign(&body));

    let payload: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(payload["label"]["name"], "hob");
    assert_eq!(payload["issue"]["labels"][0]["name"], "hob");
    assert_eq!(payload["issue"]["body"], "It should print JSON.");
    assert_eq!(payload["issue"]["url"], format!("{}/repos/acme/tool/issues/{issue}", github.api_url()));
    assert_eq!(payload["sender"]["login"], "alice");
    assert_eq!(payload["repository"]["full_name"], REPO);
    assert_eq!(payload["repository"]["owner"]["login"], "acme");
    assert_eq!(payload["repository"]["default_branch"], "main");
    assert_eq!(payload["installation"], Value::Null);
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(!text.contains("Codertocat") && !text.contains("https://api.github.com"), "{text}");

    assert_eq!(github.redeliver(&delivery.guid).await, 202);
    let (again, same_body) = arrived.recv().await.unwrap();
    assert_eq!(header(&again, "x-github-delivery"), delivery.guid);
    assert_eq!(same_body, body);
    assert!(github.deliveries().last().unwrap().redelivery);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signature_is_the_one_of_githubs_own_example() {
    let github = GitHub::start().await;
    github.send_webhooks_to("http://127.0.0.1:9/", "It's a Secret to Everybody");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(github.sign(b"Hello, World!"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn hobs_own_comments_come_back_as_webhooks_of_its_account() {
    let (github, issue) = world().await;
    let (url, mut arrived) = listen().await;
    github.send_app_webhooks_to(&url, "secret");
    let app = github.app();
    let path = format!("/repos/{REPO}/issues/{issue}/comments");

    for (token, login, kind) in [
        (github.token().to_owned(), "hob-bot", "User"),
        (installation_token(&github).await, "hob[bot]", "Bot"),
    ] {
        let (status, comment) =
            Client::new(&github, &token).json("POST", &path, Some(json!({"body": "a question"}))).await;
        assert_eq!(
            (status, &comment["user"]["login"], &comment["user"]["type"]),
            (201, &json!(login), &json!(kind))
        );
        let (headers, body) = arrived.recv().await.unwrap();
        assert_eq!(header(&headers, "x-github-event"), "issue_comment");
        let payload: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&payload["action"], &payload["sender"]["type"]), (&json!("created"), &json!(kind)));
        assert_eq!(payload["comment"]["id"], comment["id"]);
        assert_eq!(payload["installation"]["id"], app.installation_id);
    }
    assert_eq!(github.comments(REPO, issue).len(), 2);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_nobody_is_kept_for_redelivery() {
    let (github, issue) = world().await;
    let delivery = github.label_issue(REPO, issue, "alice", "hob").await;
    assert_eq!(delivery.status, 0);
    let (url, mut arrived) = listen().await;
    github.send_webhooks_to(&url, "secret");
    assert_eq!(github.redeliver(&delivery.guid).await, 202);
    let (_, body) = arrived.recv().await.unwrap();
    assert_eq!(body, delivery.body);
    assert_eq!(github.send_raw("ping", "g", b"{}".to_vec(), None).await, 202);
    assert!(!arrived.recv().await.unwrap().0.contains_key("x-hub-signature-256"));
    assert_eq!(github.ping(REPO).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_listed_in_pages() {
    let (github, issue) = world().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(github.comment(REPO, issue, "alice", &format!("comment {number}")).await);
    }
    let client = Client::new(&github, github.token());
    let mut next =
        Some(format!("/repos/{REPO}/issues/{issue}/comments?per_page=2&since=2020-01-01T00:00:00Z"));
    let mut seen = Vec::new();
    let mut pages = 0;
    while let Some(path) = next {
        let answer = client.send("GET", &path, None).await.unwrap();
        let link = answer.headers().get("link").unwrap().to_str().unwrap().to_owned();
        let comments: Vec<Value> = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        seen.extend(comments.iter().map(|comment| comment["id"].as_u64().unwrap()));
        pages += 1;
        let found = link.split(", ").find_map(|part| part.strip_suffix(">; rel=\"next\""));
        next = found.map(|url| url.strip_prefix(&format!("<{}", github.api_url())).unwrap().to_owned());
    }
    assert_eq!((seen, pages), (ids, 3));
    let later = format!("/repos/{REPO}/issues/{issue}/comments?since=2999-01-01T00:00:00Z");
    assert_eq!(client.get(&later).await, (200, json!([])));
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_needs_a_pushed_branch_with_commits_and_is_made_once() {
    let (github, _) = world().await;
    let client = Client::new(&github, github.token());
    let path = format!("/repos/{REPO}/pulls");
    let wanted = json!({"title": "Add --json", "head": "hob/issue-1", "base": "main", "body": "Closes #1"});

    let (status, refusal) = client.json("POST", &path, Some(wanted.clone())).await;
    assert_eq!((status, &refusal["errors"][0]["field"]), (422, &json!("head")));

    let sha =
        github.push_commit(REPO, "hob/issue-1", &[("json.rs", "fn json() {}\n")], "Add it", "bob").await;
    let (status, pull) = client.json("POST", &path, Some(wanted.clone())).await;
    assert_eq!((status, &pull["head"]["sha"]), (201, &json!(sha)));
    assert_eq!((&pull["number"], &pull["commits"], &pull["additions"]), (&json!(2), &json!(1), &json!(1)));

    let (status, refusal) = client.json("POST", &path, Some(wanted)).await;
    let message = &refusal["errors"][0]["message"];
    assert_eq!((status, message), (422, &json!("A pull request already exists for acme:hob/issue-1.")));
    let empty = json!({"title": "Nothing", "head": "main", "base": "main"});
    let (status, refusal) = client.json("POST", &path, Some(empty)).await;
    assert_eq!((status, &refusal["errors"][0]["message"]), (422, &json!("No commits between main and main")));

    let found = client.get(&format!("{path}?head=acme:hob/issue-1&state=all&base=main")).await.1;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["number"]), (1, &json!(2)));
    assert_eq!(client.get(&format!("{path}?head=acme:other")).await, (200, json!([])));

    let change = json!({"title": "Better", "state": "closed"});
    assert_eq!(client.json("PATCH", &format!("{path}/2"), Some(change)).await.1["state"], "closed");
    assert_eq!(client.get(&path).await, (200, json!([])));
    assert_eq!(github.pulls(REPO)[0].title, "Better");
    assert!(github.diff(REPO, "main", "hob/issue-1").contains("+fn json() {}"));
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn git_needs_the_token_and_may_be_refused_a_branch() {
    let (github, _) = world().await;
    github.protect_branch(REPO, "main");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/{REPO}.git", github.git_url());
    let token = github.token();

    let refused = git_async(folder.path(), None, &["clone", &url, "none"]).await;
    assert!(!refused.status.success());
    assert!(github.requests().iter().all(|request| request.status == 401));
    assert_eq!((github.git_auth_failures(), github.violations()), (0, Vec::new()), "{}", said(&refused));
    let refused = git_async(folder.path(), Some("ghp_wrong"), &["clone", &url, "wrong"]).await;
    assert!(!refused.status.success());
    assert_eq!(github.git_auth_failures(), 1);
    assert!(!github.take_violations().is_empty());

    let cloned = git_async(folder.path(), Some(token), &["clone", &url, "clone"]).await;
    assert!(cloned.status.success(), "{}", said(&cloned));
    let clone = folder.path().join("clone");
    assert_eq!(std::fs::read_to_string(clone.join("README.md")).unwrap(), "a tool\n");
    // Larger than git's post buffer, so that the push is sent in chunks.
    std::fs::write(clone.join("large"), noise(3 << 20)).unwrap();
    git(&clone, None, &["add", "-A"]);
    git(&clone, None, &["commit", "-m", "Add a large file"]);

    let refused = git_async(&clone, Some(token), &["push", "origin", "HEAD:main"]).await;
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("GH006: Protected branch update failed for refs/heads/main"),
        "{}",
        said(&refused)
    );
    assert_eq!(github.commits(REPO, "main").len(), 1);

    let mut changes = github.changes();
    changes.borrow_and_update();
    let pushed = git_async(&clone, Some(token), &["push", "origin", "HEAD:hob/issue-1"]).await;
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert!(changes.has_changed().unwrap());
    let commits = github.commits(REPO, "hob/issue-1");
    assert_eq!((commits.len(), commits[0].message.as_str()), (2, "Add a large file"));
    assert_eq!(commits[0].author, "hob <hob@localhost>");
    assert_eq!(github.file_at(REPO, "hob/issue-1", "README.md").unwrap(), "a tool\n");

    github.set_permission(REPO, "hob-bot", "read");
    let refused = git_async(&clone, Some(token), &["push", "origin", "HEAD:other"]).await;
    assert!(said(&refused).contains("403"), "{}", said(&refused));
    github.set_permission(REPO, "hob-bot", "none");
    let refused = git_async(&clone, Some(token), &["fetch", "origin"]).await;
    assert!(said(&refused).contains("not found"), "{}", said(&refused));
    assert_eq!(github.violations(), Vec::<String>::new());
}

/// Bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_when_told_and_do_what_they_say() {
    let (github, issue) = world().await;
    let client = Client::new(&github, github.token());
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    let comment = || Some(json!({"body": "hello"}));

    github.fault("POST", "/comments", Fault::Reset, 1);
    assert!(client.send("POST", &path, comment()).await.is_err());
    assert_eq!(github.comments(REPO, issue).len(), 0);

    github.fault("POST", "/comments", Fault::AnswerLost, 1);
    assert!(client.send("POST", &path, comment()).await.is_err());
    assert_eq!(github.comments(REPO, issue).len(), 1);

    let headers = vec![("retry-after".to_owned(), "7".to_owned())];
    github.fault("POST", "/comments", Fault::Status(429, headers), 1);
    let answer = client.send("POST", &path, comment()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "7"));

    github.fault("POST", "/comments", Fault::Delay(Duration::from_millis(50)), 1);
    let before = std::time::Instant::now();
    assert_eq!(client.json("POST", &path, comment()).await.0, 201);
    assert!(before.elapsed() >= Duration::from_millis(50));

    assert_eq!(github.comments(REPO, issue).len(), 2);
    let statuses: Vec<_> = github.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [0, 0, 429, 201]);
    assert_eq!(github.unused_faults(), Vec::<String>::new());
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_answer_is_lost_has_happened() {
    let (github, _) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/{REPO}.git", github.git_url());
    git_async(folder.path(), Some(github.token()), &["clone", &url, "clone"]).await;
    let clone = folder.path().join("clone");
    github.fault("POST", "git-receive-pack", Fault::AnswerLost, 1);
    let pushed = git_async(&clone, Some(github.token()), &["push", "origin", "HEAD:hob/issue-1"]).await;
    assert!(!pushed.status.success());
    assert_eq!(github.commits(REPO, "hob/issue-1").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_real_one_would_not_take_is_a_violation() {
    let (github, issue) = world().await;
    let client = Client::new(&github, github.token());
    let comments = format!("/repos/{REPO}/issues/{issue}/comments");
    let expect = async |method: &str, path: &str, body: Option<Value>, status: u16, violation: &str| {
        assert_eq!(client.json(method, path, body).await.0, status, "{method} {path}");
        let violations = github.take_violations();
        assert!(violations.len() == 1 && violations[0].contains(violation), "{violations:?}");
    };
    expect("GET", "/repos/acme/tool/milestones", None, 404, "unknown route").await;
    expect("DELETE", &comments, None, 404, "unknown route").await;
    expect("GET", &format!("{comments}?pages=2"), None, 422, "query parameter pages").await;
    expect("GET", &format!("{comments}?page=two"), None, 422, "query page").await;
    expect("POST", &comments, Some(json!({"body": 5})), 422, "request body").await;
    expect("POST", &comments, Some(json!({"body": "a", "text": "b"})), 422, "request field text").await;
    expect("GET", &format!("{comments}?since={}", github.token()), None, 422, "a token in the address").await;
    expect("GET", "/app", None, 401, "may not ask this").await;

    let stranger = Client::new(&github, "ghp_stranger");
    assert_eq!(stranger.get("/user").await.0, 401);
    assert!(github.take_violations()[0].contains("never handed out"));

    // Not seeing a repository, and comments GitHub refuses, happen to honest clients too.
    assert_eq!(client.get("/repos/acme/other").await.0, 404);
    assert_eq!(client.json("POST", &comments, Some(json!({"body": " "}))).await.0, 422);
    github.set_permission(REPO, "hob-bot", "read");
    // Anyone who may read may comment, and label nothing.
    assert_eq!(client.json("POST", &comments, Some(json!({"body": "hello"}))).await.0, 201);
    let labels = format!("/repos/{REPO}/issues/{issue}/labels");
    assert_eq!(client.json("POST", &labels, Some(json!({"labels": ["hob"]}))).await.0, 404);
    assert_eq!(client.get(&comments).await.0, 200);
    assert_eq!(github.violations(), Vec::<String>::new());
}

fn signed_token(issuer: &str, key: &EncodingKey, valid_for: i64) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"iss": issuer, "iat": now - 60, "exp": now + valid_for});
    encode(&Header::new(Algorithm::RS256), &claims, key).unwrap()
}

async fn installation_token(github: &GitHub) -> String {
    let app = github.app();
    let key = EncodingKey::from_rsa_pem(app.private_key.as_bytes()).unwrap();
    let client = Client::new(github, &signed_token(&app.app_id.to_string(), &key, 540));
    let path = format!("/app/installations/{}/access_tokens", app.installation_id);
    let body = json!({"repositories": ["tool"], "permissions": {"issues": "write", "contents": "write"}});
    let (status, token) = client.json("POST", &path, Some(body)).await;
    assert_eq!(status, 201, "{token}");
    token["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_gets_tokens_that_are_limited_and_end() {
    let (github, _) = world().await;
    github.create_repo("acme/other", &[("README.md", "other\n")]).await;
    let app = github.app();
    let key = EncodingKey::from_rsa_pem(app.private_key.as_bytes()).unwrap();
    let id = app.app_id.to_string();

    let client = Client::new(&github, &signed_token(&id, &key, 540));
    assert_eq!(client.get("/app").await.1["id"], app.app_id);
    let installation = client.get(&format!("/repos/{REPO}/installation")).await.1;
    assert_eq!(installation["id"], app.installation_id);
    let path = format!("/app/installations/{}/access_tokens", app.installation_id);
    let too_much = json!({"permissions": {"administration": "write"}});
    assert_eq!(client.json("POST", &path, Some(too_much)).await.0, 422);

    let token = installation_token(&github).await;
    let client = Client::new(&github, &token);
    assert_eq!(client.get(&format!("/repos/{REPO}")).await.0, 200);
    assert_eq!(client.get("/repos/acme/other").await.0, 404);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/{REPO}.git", github.git_url());
    assert!(git_async(folder.path(), Some(&token), &["clone", &url, "clone"]).await.status.success());
    assert_eq!(github.violations(), Vec::<String>::new());

    github.expire_installation_tokens();
    assert_eq!(client.get(&format!("/repos/{REPO}")).await.0, 401);
    assert_eq!(github.violations(), Vec::<String>::new(), "an hour may pass under an honest client");

    let good = signed_token(&id, &key, 540);
    let (claims, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{}", signature.chars().rev().collect::<String>());
    for wrong in [forged, signed_token("1", &key, 540), signed_token(&id, &key, 3600)] {
        assert_eq!(Client::new(&github, &wrong).get("/app").await.0, 401);
        assert_eq!(github.take_violations().len(), 1);
    }
}

/// Every answer is checked against GitHub's description as it is given, so it is enough to ask for
/// all.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_as_described_and_as_octocrab_reads_it() {
    let (github, issue) = world().await;
    github.label_issue(REPO, issue, "alice", "hob").await;
    let comment = github.comment(REPO, issue, "alice", "/hob work").await;
    github.push_commit(REPO, "hob/issue-1", &[("new", "new\n")], "Add new", "bob").await;
    let client = Client::new(&github, github.token());
    let repo = format!("/repos/{REPO}");

    let eyes = || Some(json!({"content": "eyes"}));
    for path in
        [format!("{repo}/issues/{issue}/reactions"), format!("{repo}/issues/comments/{comment}/reactions")]
    {
        assert_eq!(client.json("POST", &path, eyes()).await.0, 201);
        assert_eq!(client.json("POST", &path, eyes()).await.0, 200);
    }
    assert_eq!(github.issue_reactions(REPO, issue), [("hob-bot".to_owned(), "eyes".to_owned())]);
    assert_eq!(github.comments(REPO, issue)[0].reactions, [("hob-bot".to_owned(), "eyes".to_owned())]);

    let own = json!({"body": "working"});
    let (_, own) = client.json("POST", &format!("{repo}/issues/{issue}/comments"), Some(own)).await;
    let own = format!("{repo}/issues/comments/{}", own["id"]);
    assert_eq!(client.json("PATCH", &own, Some(json!({"body": "done"}))).await.0, 200);
    assert_eq!(client.get(&own).await.1["body"], "done");

    for (login, permission, role) in [
        ("acme", "admin", "admin"),
        ("alice", "write", "write"),
        ("mallory", "read", "read"),
        ("hob%5Bbot%5D", "write", "write"),
    ] {
        let answer = client.get(&format!("{repo}/collaborators/{login}/permission")).await.1;
        assert_eq!(
            (&answer["permission"], &answer["role_name"]),
            (&json!(permission), &json!(role)),
            "{login}"
        );
    }
    github.set_permission(REPO, "carol", "maintain");
    let carol = client.get(&format!("{repo}/collaborators/carol/permission")).await.1;
    assert_eq!((&carol["permission"], &carol["role_name"]), (&json!("write"), &json!("maintain")));

    assert_eq!(client.get("/user").await.1["login"], "hob-bot");
    let pull = json!({"title": "New", "head": "hob/issue-1", "base": "main", "draft": true});
    let (_, pull) = client.json("POST", &format!("{repo}/pulls"), Some(pull)).await;
    let number = pull["number"].as_u64().unwrap();
    assert_eq!(client.get(&format!("{repo}/pulls/{number}")).await.1["draft"], true);
    let as_issue = client.get(&format!("{repo}/issues/{number}")).await.1;
    assert_eq!(as_issue["pull_request"]["url"], pull["url"]);
    assert!(client.get(&format!("{repo}/issues/{issue}")).await.1.get("pull_request").is_none());

    let octocrab = octocrab::Octocrab::builder()
        .base_uri(github.api_url())
        .unwrap()
        .personal_token(github.token())
        .build()
        .unwrap();
    let issues = octocrab.issues("acme", "tool");
    assert_eq!(issues.get(issue).await.unwrap().labels[0].name, "hob");
    assert_eq!(issues.create_comment(issue, "from octocrab").await.unwrap().user.login, "hob-bot");
    assert_eq!(issues.list_comments(issue).send().await.unwrap().items.len(), 3);
    let pulls = octocrab.pulls("acme", "tool");
    assert_eq!(pulls.get(number).await.unwrap().head.ref_field, "hob/issue-1");
    assert_eq!(pulls.list().head("acme:hob/issue-1").send().await.unwrap().items.len(), 1);
    assert_eq!(octocrab.repos("acme", "tool").get().await.unwrap().default_branch.unwrap(), "main");
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_can_wait_for_what_happens() {
    let (github, issue) = world().await;
    let waiting = {
        let github = github.clone();
        tokio::spawn(async move {
            let first = |github: &GitHub| github.comments(REPO, issue).first().cloned();
            github.until("a comment", DEADLINE, first).await
        })
    };
    github.comment(REPO, issue, "alice", "here").await;
    assert_eq!(waiting.await.unwrap().body, "here");
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_listed_by_all_their_labels_and_by_their_last_change() {
    let (github, issue) = world().await;
    let other = github.open_issue(REPO, "alice", "Another", "").await;
    github.label_issue(REPO, issue, "alice", "hob").await;
    github.label_issue(REPO, other, "alice", "hob").await;
    github.label_issue(REPO, other, "alice", "bug").await;
    let client = Client::new(&github, github.token());
    let numbers = async |query: &str| -> Vec<u64> {
        let (status, list) = client.get(&format!("/repos/{REPO}/issues?{query}")).await;
        assert_eq!(status, 200, "{list}");
        list.as_array().unwrap().iter().map(|issue| issue["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("labels=hob&direction=asc").await, [issue, other]);
    assert_eq!(numbers("labels=hob,bug").await, [other]);
    assert_eq!(numbers("since=2999-01-01T00:00:00Z&sort=updated").await, [0; 0]);
    github.unlabel_issue(REPO, other, "alice", "hob").await;
    assert_eq!(numbers("labels=hob").await, [issue]);

    let comment = github.comment(REPO, issue, "alice", "hello").await;
    let everywhere = format!("/repos/{REPO}/issues/comments");
    assert_eq!(client.get(&everywhere).await.1[0]["id"], comment);
    let one = format!("{everywhere}/{comment}");
    let answer = client.send("DELETE", &one, None).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (204, 0));
    assert_eq!(client.get(&everywhere).await.1, json!([]));
    assert_eq!(client.get(&one).await.0, 404);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_answers_the_one_question_of_hobs_and_no_other() {
    let (github, issue) = world().await;
    github.label_issue(REPO, issue, "alice", "hob").await;
    github.unlabel_issue(REPO, issue, "alice", "hob").await;
    github.label_issue(REPO, issue, "sorter[bot]", "hob").await;
    github.edit_issue_as(REPO, issue, "mallory", "New", "It should print JSON.");
    let client = reqwest::Client::builder().no_proxy().user_agent("hob-tests").build().unwrap();
    let url = format!("{}/api/graphql", github.git_url());
    let ask = async |query: &str| -> Value {
        let variables = json!({"owner": "acme", "name": "tool", "number": issue});
        let body = json!({"query": query, "variables": variables}).to_string();
        let answer = client.post(&url).bearer_auth(github.token()).body(body).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let history =
        ask(include_str!("../data/issue-history.graphql")).await["data"]["repository"]["issue"].take();
    assert_eq!(
        (&history["title"], &history["lastEditedAt"]),
        (&json!("New"), &Value::Null),
        "a rename is no edit"
    );
    assert_eq!(history["renames"]["nodes"][0]["actor"]["login"], "mallory");
    let labelings = history["labelings"]["nodes"].as_array().unwrap();
    assert_eq!(labelings.len(), 2, "history, not what is on");
    assert_eq!(labelings[1]["actor"], json!({"__typename": "Bot", "login": "sorter"}));
    assert_eq!(github.violations(), Vec::<String>::new());
    assert_eq!(ask("{ viewer { login } }").await["errors"][0]["type"], "INVALID");
    assert_eq!(github.take_violations().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_can_be_late_and_a_list_behind() {
    let (github, issue) = world().await;
    let client = Client::new(&github, github.token());
    let path = format!("/repos/{REPO}/issues/{issue}/comments");
    github.fault("GET", &path, Fault::StaleList, 1);
    github.comment(REPO, issue, "alice", "first").await;
    assert_eq!(client.get(&path).await, (200, json!([])), "it was never asked for");
    let then = client.get(&path).await.1;
    github.fault("POST", &path, Fault::EffectDelayed(Duration::from_millis(200)), 1);
    let (status, _) = client.json("POST", &path, Some(json!({"body": "late"}))).await;
    assert_eq!((status, github.comments(REPO, issue).len()), (502, 1));
    let made = |github: &GitHub| (github.comments(REPO, issue).len() == 2).then_some(());
    github.until("the late effect", DEADLINE, made).await;
    github.fault("GET", &path, Fault::StaleList, 1);
    assert_eq!(client.get(&path).await.1, then);
    assert_eq!(client.get(&path).await.1.as_array().unwrap().len(), 2);
    assert_eq!(github.violations(), Vec::<String>::new());
}
