//! Webhooks out: GitHub's example payloads with the values of the state put in, signed over the
//! exact bytes, sent with the headers of the real one, and kept for redelivery.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::GitHub;
use super::account::{APP_ID, INSTALLATION_ID};
use super::state::{Issue, Repository, State};
use super::writer::put;

const HOOK_ID: u64 = 109_948_940;

/// Where webhooks go, and how they are signed.
#[derive(Clone)]
pub(super) struct Hook {
    url: String,
    secret: String,
    pub(super) of_app: bool,
}

impl Hook {
    pub(super) fn new(url: &str, secret: &str, of_app: bool) -> Self {
        Self { url: url.to_owned(), secret: secret.to_owned(), of_app }
    }

    pub(super) fn sign(&self, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key of any length");
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }
}

/// A webhook that is to be sent.
pub(super) struct Webhook {
    pub(super) event: &'static str,
    pub(super) payload: Value,
}

impl Webhook {
    pub(super) fn new(event: &'static str, payload: Value) -> Self {
        Self { event, payload }
    }

    /// Puts one more field into it.
    pub(super) fn set(&mut self, field: &str, value: Value) {
        self.payload[field] = value;
    }
}

/// What is sent after an answer.
pub(super) enum Outgoing {
    /// A webhook about what was done.
    New(Webhook),
    /// Another attempt at a delivery.
    Again(Delivery),
}

/// One attempt to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The attempt's id.
    pub id: u64,
    /// The delivery's GUID: the same again when it is redelivered.
    pub guid: String,
    /// As in `X-GitHub-Event`.
    pub event: String,
    /// The payload's action, where the event has one.
    pub action: Option<String>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// The status that came back; 0 while it is under way, and where none came in ten seconds.
    pub status: u16,
    /// Whether somebody asked for it again.
    pub redelivery: bool,
    /// When the attempt was over; absent while it is under way.
    pub delivered: Option<Timestamp>,
    /// Whether it is the App's webhook, or a repository's own.
    pub of_app: bool,
}

/// `issues`: opened, or labeled or unlabeled with a label.
pub(super) fn issues(
    github: &GitHub,
    state: &State,
    repository: &str,
    number: u64,
    sender: &str,
    action: &str,
    label: Option<&str>,
) -> Webhook {
    let repository = state.repository(repository);
    let issue = repository.issue(number);
    let mut payload = template("issues.labeled");
    payload["action"] = json!(action);
    fill(github, state, &mut payload, repository, Some(issue), sender);
    match label {
        Some(label) => payload["label"] = github.writer().label(repository, label),
        None => drop(payload.as_object_mut().expect("an object").remove("label")),
    }
    Webhook { event: "issues", payload }
}

/// What happened to a comment.
pub(super) enum CommentChange {
    Created,
    Edited {
        before: String,
    },
    /// Told before it is done.
    Deleted,
}

/// `issue_comment`: created, edited or deleted.
pub(super) fn issue_comment(
    github: &GitHub,
    state: &State,
    repository: &str,
    comment: u64,
    sender: &str,
    change: CommentChange,
) -> Webhook {
    let repository = state.repository(repository);
    let (issue, comment) = repository.comment(comment).expect("the comment that it is about");
    let mut payload = template("issue_comment.created");
    fill(github, state, &mut payload, repository, Some(issue), sender);
    github.writer().put_comment(&mut payload["comment"], repository, issue, comment);
    match change {
        CommentChange::Created => {}
        CommentChange::Edited { before } => {
            put(&mut payload, json!({"action": "edited", "changes": {"body": {"from": before}}}));
        }
        CommentChange::Deleted => payload["action"] = json!("deleted"),
    }
    Webhook { event: "issue_comment", payload }
}

/// `repository`: renamed, transferred or deleted.
pub(super) fn repository(
    github: &GitHub,
    state: &State,
    repository: &str,
    action: &str,
    sender: &str,
) -> Webhook {
    let repository = state.repository(repository);
    let mut payload = template("ping");
    let fields = payload.as_object_mut().expect("an object");
    for field in ["zen", "hook", "hook_id"] {
        fields.remove(field);
    }
    payload["action"] = json!(action);
    fill(github, state, &mut payload, repository, None, sender);
    Webhook { event: "repository", payload }
}

/// `ping`, which GitHub sends when a webhook is set up.
pub(super) fn ping(github: &GitHub, state: &State, repository: &str) -> Webhook {
    let repository = state.repository(repository);
    let mut payload = template("ping");
    fill(github, state, &mut payload, repository, None, repository.owner());
    payload["hook_id"] = json!(HOOK_ID);
    Webhook { event: "ping", payload }
}

/// Puts in what every event has.
pub(super) fn fill(
    github: &GitHub,
    state: &State,
    payload: &mut Value,
    repository: &Repository,
    issue: Option<&Issue>,
    sender: &str,
) {
    let writer = github.writer();
    writer.localise(payload, repository);
    writer.put_repository(&mut payload["repository"], repository);
    if let Some(issue) = issue {
        writer.put_issue(&mut payload["issue"], repository, issue);
    }
    payload["sender"] = writer.user(sender);
    if state.hook.as_ref().is_some_and(|hook| hook.of_app) {
        let node_id = super::writer::node_id("Integration", INSTALLATION_ID);
        payload["installation"] = json!({"id": INSTALLATION_ID + state.reinstalled, "node_id": node_id});
    }
}

fn template(name: &str) -> Value {
    static LABELED: OnceLock<Value> = OnceLock::new();
    static COMMENTED: OnceLock<Value> = OnceLock::new();
    static PING: OnceLock<Value> = OnceLock::new();
    let (cell, text) = match name {
        "issues.labeled" => (&LABELED, include_str!("../../../data/webhooks/issues.labeled.json")),
        "issue_comment.created" => {
            (&COMMENTED, include_str!("../../../data/webhooks/issue_comment.created.json"))
        }
        "ping" => (&PING, include_str!("../../../data/webhooks/ping.json")),
        other => panic!("no example payload {other}"),
    };
    cell.get_or_init(|| serde_json::from_str(text).expect("an example payload is JSON")).clone()
}

/// Sends what the use of the API caused, one after the other.
pub(super) async fn send_all(github: GitHub, mut queue: mpsc::UnboundedReceiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::New(webhook) => drop(github.deliver(webhook).await),
            Outgoing::Again(delivery) => drop(github.attempt_again(delivery).await),
        }
    }
}

impl GitHub {
    /// Sends a webhook for the first time. It is on record even where nobody listens, so that it
    /// can be redelivered to a hob that was down.
    pub(super) async fn deliver(&self, webhook: Webhook) -> Delivery {
        let delivery = Delivery {
            id: 0,
            guid: Uuid::new_v4().to_string(),
            event: webhook.event.to_owned(),
            action: webhook.payload["action"].as_str().map(str::to_owned),
            body: webhook.payload.to_string().into_bytes(),
            status: 0,
            redelivery: false,
            delivered: None,
            of_app: false,
        };
        self.attempt(delivery).await
    }

    /// Sends a delivery again: the same GUID, the same body, a signature by the present secret.
    /// Returns the status, 0 where none came.
    pub async fn redeliver(&self, guid: &str) -> u16 {
        let first = self.deliveries().into_iter().find(|delivery| delivery.guid == guid);
        let first = first.unwrap_or_else(|| panic!("there was no delivery {guid}"));
        self.attempt_again(first).await.status
    }

    async fn attempt_again(&self, earlier: Delivery) -> Delivery {
        self.attempt(Delivery { redelivery: true, status: 0, delivered: None, ..earlier }).await
    }

    async fn attempt(&self, mut delivery: Delivery) -> Delivery {
        let index = self.change(|state| {
            delivery.id = state.new_id();
            delivery.of_app = state.hook.as_ref().is_some_and(|hook| hook.of_app);
            state.deliveries.push(delivery.clone());
            state.deliveries.len() - 1
        });
        let signature = self.state().hook.as_ref().map(|hook| hook.sign(&delivery.body));
        if signature.is_some() {
            delivery.status =
                self.send_raw(&delivery.event, &delivery.guid, delivery.body.clone(), signature).await;
        }
        delivery.delivered = Some(Timestamp::now());
        self.change(|state| state.deliveries[index] = delivery.clone());
        delivery
    }

    /// Sends these bytes as if GitHub did, with this signature or none, and keeps no record of it.
    /// Returns the status; 0 where no answer came in ten seconds, or no webhook is set up.
    pub async fn send_raw(&self, event: &str, guid: &str, body: Vec<u8>, signature: Option<String>) -> u16 {
        let Some(hook) = self.state().hook.clone() else { return 0 };
        let (target, target_id) =
            if hook.of_app { ("integration", APP_ID) } else { ("repository", 186_853_002) };
        let mut request = self
            .inner
            .http
            .post(&hook.url)
            .header("User-Agent", "GitHub-Hookshot/044aadd")
            .header("Accept", "*/*")
            .header("Content-Type", "application/json")
            .header("X-GitHub-Event", event)
            .header("X-GitHub-Delivery", guid)
            .header("X-GitHub-Hook-ID", HOOK_ID.to_string())
            .header("X-GitHub-Hook-Installation-Target-Type", target)
            .header("X-GitHub-Hook-Installation-Target-ID", target_id.to_string());
        if let Some(signature) = signature {
            request = request.header("X-Hub-Signature-256", signature);
        }
        match request.body(body).send().await {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        }
    }

    /// The signature GitHub would put on this body. Panics where no webhook is set up.
    pub fn sign(&self, body: &[u8]) -> String {
        self.state().hook.as_ref().expect("a webhook was set up").sign(body)
    }
}
