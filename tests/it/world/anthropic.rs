//! Anthropic's Messages API for the tests: the part that Claude Code uses, over HTTP, where a
//! container reaches it. It answers by a script instead of a model (`script`), in the wire format
//! (`wire`), and writes down what it was asked. What it is asked and does not know is written down
//! as a surprise, for the test to fail on. It never keeps a key, only whether the right one came.

#[path = "anthropic/script.rs"]
mod script;
#[path = "anthropic/wire.rs"]
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use script::Answer;

/// A played model API. It lives as long as the tokio runtime that it was started on.
pub struct Anthropic {
    address: SocketAddr,
    seen: Arc<Seen>,
}

/// What the API was asked.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    surprises: Mutex<Vec<String>>,
}

/// One request for an answer of the model's.
#[derive(Debug, Clone)]
pub struct Request {
    /// The session, as the program names it in a header of its own.
    pub session: String,
    /// Whether the key came along that the agent was given.
    pub has_key: bool,
    /// The model that was asked for.
    pub model: String,
    /// Prompts of hob's in the conversation so far: one, and one more for each time it was resumed.
    pub prompts: usize,
    /// Results of tools in the conversation so far, as text.
    pub tool_results: Vec<String>,
}

impl Anthropic {
    /// Starts the API on a free port of every interface, since the bridge to containers is one of
    /// them.
    pub async fn start() -> Anthropic {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("bind the played API");
        let address = listener.local_addr().expect("address of the played API");
        let seen = Arc::<Seen>::default();
        let routes = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .fallback(surprise)
            .with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Anthropic { address, seen }
    }

    /// The address that a container finds it at.
    pub fn url(&self) -> String {
        format!("http://host.docker.internal:{}", self.address.port())
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().expect("the played API broke earlier").clone()
    }

    /// What it was asked and did not understand.
    pub fn surprises(&self) -> Vec<String> {
        self.seen.surprises.lock().expect("the played API broke earlier").clone()
    }
}

impl Seen {
    fn wonder(&self, what: String) {
        self.surprises.lock().expect("the played API broke earlier").push(what);
    }
}

async fn messages(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked: Value = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            seen.wonder(format!("a body that is no JSON: {error}"));
            return wire::error(StatusCode::BAD_REQUEST);
        }
    };
    let talk = script::Talk::read(&asked["messages"]);
    let model = asked["model"].as_str().unwrap_or_default();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    seen.requests.lock().expect("the played API broke earlier").push(Request {
        session: header("x-claude-code-session-id").to_owned(),
        has_key: header("x-api-key") == super::KEY,
        model: model.to_owned(),
        prompts: talk.prompts(),
        tool_results: talk.tool_results().map(str::to_owned).collect(),
    });
    match talk.answer() {
        Some(Answer::Refuse(status)) => wire::error(status),
        Some(answer) if asked["stream"] == true => wire::stream(model, &answer),
        Some(answer) => wire::whole(model, &answer),
        None => {
            seen.wonder("a conversation without a scenario that is known".to_owned());
            wire::error(StatusCode::BAD_REQUEST)
        }
    }
}

async fn count_tokens(body: Bytes) -> Response {
    axum::Json(json!({"input_tokens": body.len() / 4})).into_response()
}

async fn surprise(State(seen): State<Arc<Seen>>, method: Method, uri: Uri) -> Response {
    seen.wonder(format!("{method} {}", uri.path()));
    wire::error(StatusCode::NOT_FOUND)
}
