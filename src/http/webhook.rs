//! `POST /webhook`: record, then answer. Three failures, three answers: what the sender did wrong
//! is a 4xx, what hob cannot do right now is 503, so that GitHub shows the delivery as failed and
//! it can be sent again. The headers are looked at before a byte of the body is read.
//!
//! What is signed is decoded here already, for two things only: a delivery that says the same as
//! another is not recorded twice (its GUID is outside of the signature), and of one that leads to
//! nothing only that it came is kept. What it leads to is intake's matter, which decodes it for
//! itself.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::body::{self, BodyError, LARGE};
use super::listening::Peer;
use super::{Door, Http, in_time};
use crate::event::Event;
use crate::github::webhook::{self, Signature, Verifier};
use crate::message;
use crate::store::Recorded;

const EVENT: &str = "X-GitHub-Event";
const DELIVERY: &str = "X-GitHub-Delivery";
const SIGNATURE: &str = "X-Hub-Signature-256";

/// GUIDs and event names are short; what is longer comes from somebody else.
const MAX_HEADER: usize = 100;

/// What is kept of a delivery that tells of a change of a status comment.
const CHANGE_OF_STATUS: &str = "the status comment changed";

/// Takes a delivery in.
pub(super) async fn receive(
    State(door): State<Arc<Door>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    match accept(&door, &peer, request).await {
        Ok((status, words)) => (status, format!("{words}\n")).into_response(),
        Err(refusal) => {
            if let Some(why) = &refusal.is_senders {
                door.turned_away.note(why, &refusal.event, &refusal.guid, Some(peer.address()));
            }
            // The rest of the body is not read, so nothing can follow it.
            let close = [(CONNECTION, "close")];
            (refusal.status, close, format!("{}\n", refusal.words)).into_response()
        }
    }
}

type Answer = (StatusCode, String);

/// Why a delivery was not recorded.
struct Refusal {
    status: StatusCode,
    words: String,
    /// Why it is the sender's doing, if it is.
    is_senders: Option<String>,
    event: String,
    guid: String,
}

impl Refusal {
    fn by_sender(status: StatusCode, words: &str) -> Refusal {
        Refusal { is_senders: Some(words.to_owned()), ..Refusal::own(status, words) }
    }

    fn own(status: StatusCode, words: &str) -> Refusal {
        let words = words.to_owned();
        Refusal { status, words, is_senders: None, event: String::new(), guid: String::new() }
    }

    /// The same, of a delivery whose headers are in their form.
    fn of(self, event: &str, guid: &str) -> Refusal {
        Refusal { event: event.to_owned(), guid: guid.to_owned(), ..self }
    }
}

async fn accept(door: &Door, peer: &Peer, request: Request) -> Result<Answer, Refusal> {
    let http = &door.http;
    let (head, body) = request.into_parts();
    let event = header(&head.headers, EVENT)?;
    let guid = header(&head.headers, DELIVERY)?;
    let signature = signature(&head.headers).map_err(|refusal| refusal.of(event, guid))?;
    let verifier = Verifier::new(&http.webhook_secret);
    let signed = body::read(body, http.body_limit, peer.begin_body(), &signature, verifier).await;
    let signed = signed.map_err(|why| not_taken(why, http.body_limit).of(event, guid))?;
    match worth(event, &signed.bytes).await {
        DeliveryKind::Nothing(note) => {
            tracing::debug!(delivery = guid, event, reason = note, "delivery needs no work");
            let noted = in_time(http.store.note_delivery(guid, event, &note)).await;
            answer(http, guid, event, noted)
        }
        DeliveryKind::Recording { said } => {
            let (bytes, said) = (&signed.bytes, said.as_deref());
            let recorded = in_time(http.store.record_delivery(guid, event, bytes, said)).await;
            answer(http, guid, event, recorded)
        }
    }
}

/// What a delivery is worth.
enum DeliveryKind {
    /// It is intake's. What it says, where it can be read.
    Recording { said: Option<Box<Event>> },
    /// Nothing; why not.
    Nothing(String),
}

async fn worth(event: &str, body: &Bytes) -> DeliveryKind {
    if body.len() <= LARGE {
        return decode(event, body);
    }
    let (name, bytes) = (event.to_owned(), body.clone());
    let decoded = tokio::task::spawn_blocking(move || decode(&name, &bytes)).await;
    decoded.unwrap_or(DeliveryKind::Recording { said: None })
}

fn decode(event: &str, body: &[u8]) -> DeliveryKind {
    match webhook::decode(event, body) {
        Ok(Event::Ping) => DeliveryKind::Nothing("GitHub's test of the webhook".to_owned()),
        Ok(Event::Other { event, action }) => {
            let action = action.map(|action| format!(".{action}")).unwrap_or_default();
            DeliveryKind::Nothing(format!("hob does not handle {event}{action}"))
        }
        Ok(event) if is_change_of_status(&event) => DeliveryKind::Nothing(CHANGE_OF_STATUS.to_owned()),
        Ok(event) => DeliveryKind::Recording { said: Some(Box::new(event)) },
        // What cannot be read is recorded all the same: intake says what is wrong with it.
        Err(_) => DeliveryKind::Recording { said: None },
    }
}

/// Whether a delivery tells that a status comment says something else now. hob changes each every
/// few seconds; there is nothing to tick in one, and anybody else who edits it triggers nothing
/// either. A card is none, whatever somebody writes at its end.
fn is_change_of_status(event: &Event) -> bool {
    match event {
        Event::CommentEdited { comment, before, .. } => {
            message::is_status(before) && message::is_status(&comment.body)
        }
        _ => false,
    }
}

fn answer(
    http: &Http,
    guid: &str,
    event: &str,
    recorded: anyhow::Result<Recorded>,
) -> Result<Answer, Refusal> {
    match recorded {
        Ok(Recorded::New) => Ok((StatusCode::ACCEPTED, "recorded".to_owned())),
        Ok(Recorded::Seen) => Ok((StatusCode::OK, "already received; nothing was changed".to_owned())),
        Ok(Recorded::SaysTheSame) => Ok((StatusCode::OK, "another delivery reported the same".to_owned())),
        Err(error) => {
            tracing::error!(
                delivery = guid,
                event,
                error = format!("{error:#}"),
                "recording a delivery failed"
            );
            http.store.report(&error);
            let words = "the delivery could not be recorded; send it again";
            Err(Refusal::own(StatusCode::SERVICE_UNAVAILABLE, words))
        }
    }
}

fn not_taken(why: BodyError, limit: usize) -> Refusal {
    match why {
        BodyError::TooLarge => Refusal::by_sender(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the body is larger than {limit} bytes, the limit set by server.body_limit"),
        ),
        BodyError::TooSlow => Refusal::by_sender(StatusCode::REQUEST_TIMEOUT, "the body arrived too slowly"),
        BodyError::Broken => Refusal::by_sender(StatusCode::BAD_REQUEST, "the body is incomplete"),
        BodyError::NotSigned(error) => {
            Refusal::by_sender(StatusCode::UNAUTHORIZED, &format!("{SIGNATURE}: {error}"))
        }
        BodyError::NoRoom => {
            let words = "hob is receiving too many bodies at once; send it again";
            Refusal::by_sender(StatusCode::SERVICE_UNAVAILABLE, words)
        }
    }
}

fn signature(headers: &HeaderMap) -> Result<Signature, Refusal> {
    let text = header(headers, SIGNATURE)?;
    text.parse()
        .map_err(|error| Refusal::by_sender(StatusCode::BAD_REQUEST, &format!("{SIGNATURE}: {error}")))
}

/// A header that must be there: short, and of visible characters.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let refuse = |words: String| Refusal::by_sender(StatusCode::BAD_REQUEST, &words);
    let value = headers.get(name).ok_or_else(|| refuse(missing(name)))?;
    let text = value.to_str().unwrap_or_default();
    let is_fine = !text.is_empty() && text.len() <= MAX_HEADER && text.chars().all(|c| c.is_ascii_graphic());
    if is_fine { Ok(text) } else { Err(refuse(format!("the header {name} is malformed"))) }
}

fn missing(name: &str) -> String {
    match name {
        SIGNATURE => {
            format!("the header {name} is missing: the webhook has no secret; set hob's secret there")
        }
        _ => format!("the header {name} is missing"),
    }
}
