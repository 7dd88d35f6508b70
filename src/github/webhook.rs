//! Deliveries: is this one really from GitHub, and what does it say? Pure: bytes in, verdict or
//! [`Event`] out. Recording it, and recognising one that comes twice, is done above.
//!
//! Decoded with few fields of our own rather than octocrab's full models: those refuse 18 of
//! GitHub's 329 published examples, and one field that GitHub drops would lose an event.

mod on_pull;

pub(super) use on_pull::WirePull;

use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;

use super::error::clip;
use super::issues::WireIssue;
use super::people::{User, person};
use crate::event::{Comment, Ending, Event, EventRepository};
use crate::ids::{CommentId, InstallationId, Repo, RepositoryId};

/// Why a delivery is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is missing, or not `sha256=` with 64 hexadecimal digits.
    #[error("the signature is not `sha256=` followed by 64 hexadecimal digits")]
    Malformed,
    /// Signed with another secret, or changed on its way.
    #[error("the signature does not match: the webhook has a different secret, or the body was changed")]
    Mismatch,
}

/// A delivery that is signed and still cannot be read. Names the field, not the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read a `{event}` delivery: {reason}")]
pub struct DecodeError {
    event: String,
    reason: String,
}

/// The signature of a delivery, as its header `X-Hub-Signature-256` has it: of the right form, and
/// not believed yet.
#[derive(Debug, Clone)]
pub struct Signature([u8; 32]);

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(header: &str) -> Result<Self, SignatureError> {
        let digits = header.strip_prefix("sha256=").ok_or(SignatureError::Malformed)?;
        let mut signature = [0; 32];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureError::Malformed)?;
        Ok(Self(signature))
    }
}

/// Checks a signature against a body that comes piece by piece.
pub struct Verifier {
    /// Nothing where there is no secret: with an empty one anybody can sign.
    mac: Option<Hmac<Sha256>>,
}

impl Verifier {
    /// For deliveries that are signed with this secret.
    pub fn new(secret: &SecretString) -> Verifier {
        let secret = Some(secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty());
        // An HMAC takes a key of any length.
        Verifier { mac: secret.and_then(|secret| Hmac::<Sha256>::new_from_slice(secret).ok()) }
    }

    /// Takes the next piece of the raw body.
    pub fn update(&mut self, piece: &[u8]) {
        if let Some(mac) = &mut self.mac {
            mac.update(piece);
        }
    }

    /// Whether the whole body is what was signed, in a time that does not tell how much of it was
    /// right.
    ///
    /// # Errors
    /// `Mismatch` if it is not.
    pub fn verify(self, signature: &Signature) -> Result<(), SignatureError> {
        let mac = self.mac.ok_or(SignatureError::Mismatch)?;
        mac.verify_slice(&signature.0).map_err(|_| SignatureError::Mismatch)
    }
}

/// Checks the header `X-Hub-Signature-256` against the raw body.
///
/// # Errors
/// `Malformed` or `Mismatch`; never believed with an empty secret, with which anybody can sign.
pub fn verify(secret: &SecretString, body: &[u8], signature_header: &str) -> Result<(), SignatureError> {
    let signature = signature_header.parse()?;
    let mut verifier = Verifier::new(secret);
    verifier.update(body);
    verifier.verify(&signature)
}

/// Whether a delivery of this event and action can lead to something.
pub fn is_of_use(event: &str, action: Option<&str>) -> bool {
    match (event, action) {
        ("issues", Some("labeled" | "unlabeled" | "assigned"))
        | ("issue_comment", Some("created" | "edited"))
        | ("pull_request_review", Some("submitted"))
        | ("pull_request", Some("closed" | "reopened"))
        | ("check_run", Some("completed" | "requested_action" | "rerequested"))
        | ("check_suite", Some("rerequested"))
        | ("repository", Some("renamed" | "transferred" | "deleted"))
        | ("workflow_run", Some("completed"))
        | ("status" | "push", None) => true,
        ("issues", Some(action)) => Ending::from_word(action).is_some(),
        _ => false,
    }
}

/// What a delivery says; `event` is the header `X-GitHub-Event`. What hob has no use for becomes
/// [`Event::Other`], looked at no further than its `action`.
///
/// # Errors
/// If the body is not JSON, or lacks what an event that hob uses must have.
pub fn decode(event: &str, body: &[u8]) -> Result<Event, DecodeError> {
    let failed = |reason: String| DecodeError { event: clip(event), reason: clip(&reason) };
    if body.starts_with(b"payload=") {
        return Err(failed(
            "the body is a form; set the webhook's content type to application/json".to_owned(),
        ));
    }
    let action = read::<Envelope>(body).map_err(failed)?.action;
    match (event, action.as_deref()) {
        ("ping", _) => Ok(Event::Ping),
        (
            "issues",
            Some("labeled" | "unlabeled" | "assigned" | "closed" | "deleted" | "transferred" | "locked"),
        ) => {
            let delivery: OnIssue = read(body).map_err(failed)?;
            // GitHub's schema lets the label be absent, and without one there is nothing to act on.
            Ok(on_issue(action.as_deref().unwrap_or_default(), delivery)
                .unwrap_or_else(|| Event::Other { event: event.to_owned(), action }))
        }
        ("issue_comment", Some("created")) => {
            let delivery: Commented = read(body).map_err(failed)?;
            Ok(Event::Commented {
                place: place(delivery.repository, delivery.installation),
                issue: delivery.issue.into(),
                comment: Comment {
                    id: delivery.comment.id,
                    body: delivery.comment.body.unwrap_or_default(),
                    at: delivery.comment.created_at,
                },
                sender: person(delivery.sender),
            })
        }
        ("issue_comment", Some("edited")) => {
            let delivery: Edited = read(body).map_err(failed)?;
            Ok(match delivery.changes.and_then(|changes| changes.body) {
                Some(Changed { from }) => Event::CommentEdited {
                    place: place(delivery.repository, delivery.installation),
                    issue: delivery.issue.into(),
                    comment: Comment {
                        id: delivery.comment.id,
                        body: delivery.comment.body.unwrap_or_default(),
                        at: delivery.comment.created_at,
                    },
                    before: from,
                    at: delivery.comment.updated_at,
                    sender: person(delivery.sender),
                },
                // GitHub's schema lets it be absent where the text is as it was.
                None => Event::Other { event: event.to_owned(), action },
            })
        }
        ("repository", Some("renamed" | "transferred" | "deleted")) => {
            let delivery: OnRepository = read(body).map_err(failed)?;
            Ok(Event::RepositoryChanged { place: place(delivery.repository, delivery.installation) })
        }
        _ => {
            let known = on_pull::decode(event, action.as_deref(), body).map_err(failed)?;
            Ok(known.unwrap_or_else(|| Event::Other { event: event.to_owned(), action }))
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    action: Option<String>,
}

#[derive(Deserialize)]
struct OnIssue {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    issue: WireIssue,
    label: Option<Label>,
    assignee: Option<User>,
}

#[derive(Deserialize)]
struct OnRepository {
    repository: Repository,
    installation: Option<Installation>,
}

#[derive(Deserialize)]
struct Commented {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    issue: WireIssue,
    comment: WireComment,
}

#[derive(Deserialize)]
struct Edited {
    repository: Repository,
    installation: Option<Installation>,
    sender: Option<User>,
    issue: WireIssue,
    comment: WireEditedComment,
    changes: Option<Changes>,
}

#[derive(Deserialize)]
struct WireEditedComment {
    id: CommentId,
    body: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Changes {
    body: Option<Changed>,
}

#[derive(Deserialize)]
struct Changed {
    from: String,
}

#[derive(Deserialize)]
struct Repository {
    /// Absent only in what hob wrote itself before it knew ids.
    id: Option<RepositoryId>,
    full_name: Repo,
    default_branch: String,
}

#[derive(Deserialize)]
struct Installation {
    id: InstallationId,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct WireComment {
    id: CommentId,
    body: Option<String>,
    created_at: Timestamp,
}

/// Something that was done to an issue; nothing where the delivery does not say to what.
fn on_issue(action: &str, delivery: OnIssue) -> Option<Event> {
    let OnIssue { repository, installation, sender, issue, label, assignee } = delivery;
    let (place, sender) = (place(repository, installation), person(sender));
    let (at, issue) = (issue.updated_at, issue.into());
    Some(match action {
        "labeled" => Event::IssueLabeled { place, issue, label: label?.name, at, sender },
        "unlabeled" => Event::IssueUnlabeled { place, issue, label: label?.name, at, sender },
        "assigned" => Event::IssueAssigned { place, issue, to: person(Some(assignee?)), at, sender },
        _ => Event::IssueEnded { place, issue, ending: Ending::from_word(action)?, at, sender },
    })
}

fn place(repository: Repository, installation: Option<Installation>) -> EventRepository {
    EventRepository {
        id: repository.id,
        repo: repository.full_name,
        default_branch: repository.default_branch,
        installation: installation.map(|installation| installation.id),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::{Issue, Person};
    use crate::ids::IssueNumber;

    /// GitHub's documented example.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_own_example_is_believed() {
        assert_eq!(verify(&SECRET.into(), BODY, SIGNATURE), Ok(()));
    }

    #[test]
    fn another_secret_body_or_signature_is_not() {
        let changed = SIGNATURE.replace("757107", "757108");
        assert_eq!(verify(&"other".into(), BODY, SIGNATURE), Err(SignatureError::Mismatch));
        assert_eq!(verify(&SECRET.into(), b"Hello, World", SIGNATURE), Err(SignatureError::Mismatch));
        assert_eq!(verify(&SECRET.into(), BODY, &changed), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_of_another_form_is_malformed() {
        let sha1 = SIGNATURE.replace("sha256", "sha1");
        let twice = SIGNATURE.replace("sha256=", "sha256=sha256=");
        for header in ["", "sha256=", &SIGNATURE[7..], &sha1, &twice, &SIGNATURE[..70], "sha256=é"] {
            assert_eq!(verify(&SECRET.into(), BODY, header), Err(SignatureError::Malformed), "{header}");
        }
        assert_eq!(verify(&SECRET.into(), BODY, &format!("{SIGNATURE}00")), Err(SignatureError::Malformed));
    }

    #[test]
    fn an_empty_secret_believes_nobody() {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"").unwrap();
        mac.update(BODY);
        let forged = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert_eq!(verify(&"".into(), BODY, &forged), Err(SignatureError::Mismatch));
    }

    fn labeled() -> Value {
        json!({
            "action": "labeled",
            "issue": {"number": 7, "title": "Add a flag", "body": null, "state": "open", "user": null,
                "updated_at": "2026-11-24T08:00:00Z"},
            "label": {"name": "hob"},
            "repository": {"id": 1_296_269, "full_name": "Acme/tool", "default_branch": "main"},
            "installation": {"id": 42, "node_id": "x"},
            "sender": {"login": "alice", "id": 583_231, "type": "User"},
        })
    }

    fn decoded(event: &str, body: &Value) -> Result<Event, DecodeError> {
        decode(event, body.to_string().as_bytes())
    }

    fn expected_place() -> EventRepository {
        EventRepository {
            id: Some(RepositoryId(1_296_269)),
            repo: "acme/tool".parse().unwrap(),
            default_branch: "main".into(),
            installation: Some(InstallationId(42)),
        }
    }

    #[test]
    fn a_label_is_read_with_its_issue() {
        let expected = Event::IssueLabeled {
            place: expected_place(),
            issue: Issue {
                number: IssueNumber(7),
                title: "Add a flag".into(),
                body: String::new(),
                is_pull_request: false,
                is_open: true,
                read_later: false,
            },
            label: "hob".into(),
            at: "2026-11-24T08:00:00Z".parse().unwrap(),
            sender: Person { login: "alice".into(), id: Some(583_231), is_bot: false },
        };
        assert_eq!(decoded("issues", &labeled()).unwrap(), expected);
    }

    #[test]
    fn a_comment_on_a_pull_request_by_a_deleted_account_is_read() {
        let mut body = labeled();
        body["action"] = "created".into();
        body["issue"]["pull_request"] = json!({"url": "x"});
        body["issue"]["state"] = "closed".into();
        body["comment"] = json!({"id": 99, "body": "/hob work\r\nplease", "user": null,
            "created_at": "2026-11-24T08:00:00Z"});
        body["sender"] = Value::Null;
        let Event::Commented { place, issue, comment, sender } = decoded("issue_comment", &body).unwrap()
        else {
            panic!("not a comment");
        };
        assert_eq!(place, expected_place());
        assert!(issue.is_pull_request && !issue.is_open);
        let at = "2026-11-24T08:00:00Z".parse().unwrap();
        assert_eq!(comment, Comment { id: CommentId(99), body: "/hob work\r\nplease".into(), at });
        assert_eq!(sender, Person { login: "ghost".into(), id: None, is_bot: false });
    }

    #[test]
    fn an_edit_is_read_with_what_was_there_before_and_told_from_another_in_the_same_second() {
        let mut body = labeled();
        body["action"] = "edited".into();
        body["comment"] = json!({"id": 99, "body": "- [x] a", "user": null,
            "created_at": "2026-11-24T08:00:00Z", "updated_at": "2026-11-24T09:00:00Z"});
        assert!(matches!(decoded("issue_comment", &body).unwrap(), Event::Other { .. }));
        body["changes"] = json!({"body": {"from": "- [ ] a"}});
        let event = decoded("issue_comment", &body).unwrap();
        let Event::CommentEdited { comment, before, at, .. } = &event else { panic!("not an edit") };
        assert_eq!((comment.body.as_str(), before.as_str()), ("- [x] a", "- [ ] a"));
        assert_eq!(*at, "2026-11-24T09:00:00Z".parse().unwrap());
        let again = decoded("issue_comment", &body).unwrap();
        assert_eq!(event.meaning(), again.meaning());
        body["comment"]["body"] = "- [ ] a\n".into();
        assert_ne!(event.meaning(), decoded("issue_comment", &body).unwrap().meaning());
    }

    #[test]
    fn what_hob_has_no_use_for_is_named_and_left() {
        let other = |event: &str, action: Option<&str>| Event::Other {
            event: event.into(),
            action: action.map(Into::into),
        };
        assert_eq!(decoded("star", &json!({"x": "x"})).unwrap(), other("star", None));
        assert_eq!(decoded("issues", &json!({"action": "opened"})).unwrap(), other("issues", Some("opened")));
        let mut without_label = labeled();
        without_label.as_object_mut().unwrap().remove("label");
        assert_eq!(decoded("issues", &without_label).unwrap(), other("issues", Some("labeled")));
        assert_eq!(decoded("ping", &json!({"zen": "x"})).unwrap(), Event::Ping);
    }

    #[test]
    fn a_body_that_cannot_be_read_says_where() {
        let mut body = labeled();
        body["repository"]["full_name"] = "../../etc".into();
        let error = decoded("issues", &body).unwrap_err().to_string();
        assert!(error.starts_with("cannot read a `issues` delivery: repository.full_name:"), "{error}");
        for body in [&b""[..], b"[]", b"null", b"\xff", b"{} {}", b"{\"action\":7}"] {
            assert!(decode("push", body).is_err(), "{body:?}");
        }
        let error = decode("push", b"payload=%7B%7D").unwrap_err().to_string();
        assert!(error.contains("application/json"), "{error}");
    }
}
