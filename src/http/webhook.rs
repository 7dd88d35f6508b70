//! `POST /webhook`: record, then answer. Three failures, three answers: what the sender did wrong is a
//! 4xx, what hob cannot do right now is 503, so that GitHub shows the delivery as failed and it can be
//! sent again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::{Http, in_time};
use crate::event::Event;
use crate::github::webhook::{self, SignatureError};
use crate::message;
use crate::store::Recorded;

const EVENT: &str = "X-GitHub-Event";
const DELIVERY: &str = "X-GitHub-Delivery";
const SIGNATURE: &str = "X-Hub-Signature-256";

/// GUIDs and event names are short; what is longer comes from somebody else.
const MOST_HEADER: usize = 100;

/// What is kept of a delivery that tells of a change of a status comment.
const CHANGE_OF_STATUS: &str = "a status comment says something else";

/// Takes a delivery in.
pub(super) async fn receive(State(http): State<Arc<Http>>, request: Request) -> Response {
    match accept(&http, request).await {
        Ok((status, words)) | Err((status, words)) => (status, format!("{words}\n")).into_response(),
    }
}

type Answer = (StatusCode, String);

async fn accept(http: &Http, request: Request) -> Result<Answer, Answer> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| {
        let status = rejection.status();
        (status, format!("the body was not read: {rejection}"))
    })?;
    let event = header(&headers, EVENT)?;
    let guid = header(&headers, DELIVERY)?;
    let signature = header(&headers, SIGNATURE)?;
    webhook::verify(&http.webhook_secret, &body, signature).map_err(|error| {
        let status = match error {
            SignatureError::Malformed => StatusCode::BAD_REQUEST,
            SignatureError::Mismatch => StatusCode::UNAUTHORIZED,
        };
        tracing::warn!(guid, event, %error, "a delivery was turned away");
        (status, format!("{SIGNATURE}: {error}"))
    })?;
    // Its GUID is not signed, so that somebody who has seen a delivery could send it under another. What cannot be read
    // has no meaning and is recorded all the same: intake says what is wrong with it.
    let said = webhook::decode(event, &body).ok();
    if said.as_ref().is_some_and(is_change_of_status) {
        return answer(
            http,
            guid,
            event,
            in_time(http.store.note_delivery(guid, event, CHANGE_OF_STATUS)).await,
        );
    }
    let meaning = said.and_then(|event| event.meaning());
    answer(
        http,
        guid,
        event,
        in_time(http.store.record_delivery(guid, event, &body, meaning.as_deref())).await,
    )
}

/// Whether a delivery tells that a status comment says something else now. hob changes each every few seconds; there is nothing to
/// tick in one, and whoever else edits it triggers nothing either. A card is none, whatever somebody writes at its end.
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
) -> Result<Answer, Answer> {
    match recorded {
        Ok(Recorded::New) => Ok((StatusCode::ACCEPTED, "recorded".to_owned())),
        Ok(Recorded::Seen) => Ok((StatusCode::OK, "seen before; nothing was changed".to_owned())),
        Ok(Recorded::SaysTheSame) => Ok((StatusCode::OK, "another delivery said the same".to_owned())),
        Err(error) => {
            tracing::error!(guid, event, error = format!("{error:#}"), "a delivery was not recorded");
            http.store.report(&error);
            Err((StatusCode::SERVICE_UNAVAILABLE, "the delivery was not recorded; send it again".to_owned()))
        }
    }
}

/// A header that must be there: short, and of visible characters.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Answer> {
    let value = headers
        .get(name)
        .ok_or_else(|| (StatusCode::BAD_REQUEST, format!("the header {name} is missing")))?;
    let text = value.to_str().unwrap_or_default();
    let is_fine = !text.is_empty() && text.len() <= MOST_HEADER && text.chars().all(|c| c.is_ascii_graphic());
    if is_fine { Ok(text) } else { Err((StatusCode::BAD_REQUEST, format!("the header {name} is malformed"))) }
}
