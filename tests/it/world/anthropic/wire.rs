//! The Messages API's wire format: an answer as one JSON object, as a stream of server-sent events,
//! and errors. What is answered is decided in `script`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::script::Answer;

/// Tokens that each answer says it took: enough that a run costs some cents.
const INPUT_TOKENS: u64 = 2_000;
const OUTPUT_TOKENS: u64 = 400;

/// The answer as one object.
pub(super) fn whole(model: &str, answer: &Answer) -> Response {
    let mut message = message(model);
    message["content"] = json!([block(answer)]);
    message["stop_reason"] = json!(stop_reason(answer));
    message["usage"] = usage(OUTPUT_TOKENS);
    axum::Json(message).into_response()
}

/// The answer as a stream of events, in the order in which the real API sends them.
pub(super) fn stream(model: &str, answer: &Answer) -> Response {
    let (start, delta) = match answer {
        Answer::Use { id, tool, input } => (
            json!({"type": "tool_use", "id": id, "name": tool, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
        ),
        Answer::Say(text) => {
            (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}))
        }
        Answer::Refuse(status) => return error(*status),
    };
    let events = [
        json!({"type": "message_start", "message": message(model)}),
        json!({"type": "content_block_start", "index": 0, "content_block": start}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
            "usage": {"output_tokens": OUTPUT_TOKENS},
        }),
        json!({"type": "message_stop"}),
    ];
    let text: String = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect();
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    (kind, [("request-id", id("req"))], text).into_response()
}

/// A refusal with the error that the real API has for the status.
pub(super) fn error(status: StatusCode) -> Response {
    let (kind, message) = match status {
        StatusCode::UNAUTHORIZED => ("authentication_error", "invalid x-api-key"),
        StatusCode::TOO_MANY_REQUESTS => ("rate_limit_error", "This request would exceed your rate limit."),
        StatusCode::NOT_FOUND => ("not_found_error", "Not found"),
        _ => ("invalid_request_error", "This request is not in the script."),
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    let mut response = (status, axum::Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// An id in the API's manner.
pub(super) fn id(kind: &str) -> String {
    format!("{kind}_{}", Uuid::new_v4().simple())
}

fn message(model: &str) -> Value {
    json!({
        "id": id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(1),
    })
}

fn usage(output_tokens: u64) -> Value {
    json!({
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
    })
}

fn block(answer: &Answer) -> Value {
    match answer {
        Answer::Use { id, tool, input } => {
            json!({"type": "tool_use", "id": id, "name": tool, "input": input})
        }
        Answer::Say(text) => json!({"type": "text", "text": text}),
        Answer::Refuse(_) => Value::Null,
    }
}

fn stop_reason(answer: &Answer) -> &'static str {
    if matches!(answer, Answer::Use { .. }) { "tool_use" } else { "end_turn" }
}
