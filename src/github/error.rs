//! How GitHub says no, sorted by what a caller can do about it. Turns an answer's status, headers
//! and body into a [`GitHubError`]; sends nothing and knows no octocrab.

use std::error::Error;
use std::time::Duration;

use axum::http::HeaderMap;

use serde::Deserialize;

/// GitHub's advice where a secondary rate limit names no time: a minute at least.
const UNNAMED_WAIT: Duration = Duration::from_secs(60);
/// GitHub's longest window is an hour. Anything beyond is a mistake, and callers add this to a
/// clock.
const MAX_WAIT: Duration = Duration::from_secs(3600);
/// Characters kept of a text GitHub sent: enough for any message of its own.
const MAX_MESSAGE: usize = 400;

/// Why GitHub did not do what hob asked. The texts are GitHub's own or the connection's; none holds
/// a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// 401: the key, the token or the App's number is wrong.
    #[error("GitHub rejects hob's credentials: {0}")]
    Unauthorized(String),
    /// 404 or 410: not there, or not for hob's eyes.
    #[error("GitHub does not know this resource, or does not show it to hob")]
    NotFound,
    /// 403: seen, and not allowed.
    #[error("GitHub denied access: {0}")]
    Forbidden(String),
    /// A primary or secondary rate limit (403 or 429). Nothing was done.
    #[error("GitHub limits hob's request rate")]
    RateLimited {
        /// How long GitHub asked to wait, if it said.
        retry_after: Option<Duration>,
    },
    /// 422: understood, and impossible as things are.
    #[error("GitHub rejected the request: {message}")]
    Unprocessable {
        /// GitHub's reasons.
        message: String,
        /// Whether the reason is that the thing exists: look for it instead.
        already_exists: bool,
    },
    /// A server error, a broken connection or silence. A write may have taken effect, or not.
    #[error("GitHub is unavailable: {0}")]
    Unavailable(String),
    /// An answer that makes no sense to hob. Of a write, it may have taken effect.
    #[error("hob does not understand GitHub's response: {0}")]
    Unexpected(String),
    /// A setting with which nothing can be asked.
    #[error("{0}")]
    Setting(String),
}

impl GitHubError {
    /// Whether the same request may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable(_))
    }

    /// How long to wait at least before asking anything again: GitHub's wish, or its documented
    /// minute where it named none. `None` if GitHub wishes nothing.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(retry_after.unwrap_or(UNNAMED_WAIT)),
            _ => None,
        }
    }
}

#[derive(Deserialize, Default)]
struct Complaint {
    #[serde(default)]
    message: String,
    /// Objects on most routes, plain texts on some.
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// What an answer that is no success means.
pub(super) fn failure(status: u16, headers: &HeaderMap, body: &str) -> GitHubError {
    // A proxy in between answers in HTML, which is of no use in a log.
    let complaint: Complaint = serde_json::from_str(body).unwrap_or_default();
    let message = match complaint.message.as_str() {
        "" => format!("HTTP status {status}"),
        words => format!("{} (HTTP status {status})", clip(words)),
    };
    match status {
        401 => GitHubError::Unauthorized(message),
        403 | 429 if status == 429 || is_rate_limit(headers, &complaint.message) => {
            GitHubError::RateLimited { retry_after: named_wait(headers) }
        }
        403 => GitHubError::Forbidden(message),
        404 | 410 => GitHubError::NotFound,
        422 => unprocessable(&complaint),
        408 | 500..=599 => GitHubError::Unavailable(message),
        _ => GitHubError::Unexpected(message),
    }
}

/// What an answer of the GraphQL API complains of. Its status is 200 all the same.
#[derive(Deserialize)]
pub(super) struct GraphQl {
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

/// Why a GraphQL answer is none, if it is none.
pub(super) fn complaint(answer: &GraphQl, headers: &HeaderMap) -> Option<GitHubError> {
    let error = answer.errors.first()?;
    let message = clip(&error.message);
    Some(match error.kind.as_str() {
        "RATE_LIMITED" | "RATE_LIMIT" => GitHubError::RateLimited { retry_after: named_wait(headers) },
        "NOT_FOUND" => GitHubError::NotFound,
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => GitHubError::Forbidden(message),
        // "Something went wrong while executing your query", which has no type.
        "" => GitHubError::Unavailable(message),
        _ => GitHubError::Unexpected(message),
    })
}

/// A 403 is also the answer to a missing permission, so it takes one of GitHub's three signs.
fn is_rate_limit(headers: &HeaderMap, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    headers.contains_key("retry-after")
        || number(headers, "x-ratelimit-remaining") == Some(0)
        || message.contains("rate limit")
        || message.contains("abuse detection")
}

/// How long GitHub asks to wait: `retry-after`, or, with the allowance used up, until it is
/// renewed.
pub(super) fn named_wait(headers: &HeaderMap) -> Option<Duration> {
    let until_renewal = || {
        let reset = number(headers, "x-ratelimit-reset")?;
        let now = crate::clock::now().as_second().cast_unsigned();
        // At least a second: by GitHub's clock the window may not be over yet.
        (number(headers, "x-ratelimit-remaining")? == 0).then(|| reset.saturating_sub(now).max(1))
    };
    let seconds = number(headers, "retry-after").or_else(until_renewal)?;
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn unprocessable(complaint: &Complaint) -> GitHubError {
    let text = |error: &serde_json::Value, field: &str| Some(error.get(field)?.as_str()?.to_owned());
    let mut reasons = vec![complaint.message.clone()];
    let mut already_exists = false;
    for error in &complaint.errors {
        let code = text(error, "code").unwrap_or_default();
        let reason = text(error, "message").or_else(|| error.as_str().map(str::to_owned));
        let reason = reason.unwrap_or_else(|| {
            format!("{} {code}", text(error, "field").unwrap_or_default()).trim().to_owned()
        });
        // The reason for a second pull request has the code `custom`, and only its words tell.
        already_exists |= code == "already_exists" || reason.contains("already exists");
        reasons.push(reason);
    }
    reasons.retain(|reason| !reason.is_empty());
    GitHubError::Unprocessable { message: clip(&reasons.join(": ")), already_exists }
}

/// At most a few hundred characters on one line: the text comes from outside and goes into logs.
pub(super) fn clip(text: &str) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    one_line.take(MAX_MESSAGE).collect()
}

/// An error with its causes, each said once.
pub(super) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        match parts.last_mut() {
            // Many wrappers repeat their cause at the end: keep the wrapper's text, drop the copy.
            Some(last) if last.ends_with(&text) => {}
            _ => parts.push(text),
        }
        next = error.source();
    }
    clip(&parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn limited(seconds: Option<u64>) -> GitHubError {
        GitHubError::RateLimited { retry_after: seconds.map(Duration::from_secs) }
    }

    #[test]
    fn a_rate_limit_is_told_from_a_missing_permission() {
        let none = HeaderMap::new();
        let missing = r#"{"message":"Resource not accessible by integration"}"#;
        let denied =
            GitHubError::Forbidden("Resource not accessible by integration (HTTP status 403)".into());
        assert_eq!(failure(403, &none, missing), denied);
        let plenty =
            headers(&[("x-ratelimit-remaining", "4999".into()), ("x-ratelimit-reset", "99999999999".into())]);
        assert_eq!(failure(403, &plenty, missing), denied);

        let secondary = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
        assert_eq!(failure(403, &none, secondary), limited(None));
        assert_eq!(failure(403, &headers(&[("retry-after", "7".into())]), missing), limited(Some(7)));
        assert_eq!(failure(429, &none, "<html>"), limited(None));
        assert_eq!(failure(429, &headers(&[("retry-after", "60".into())]), ""), limited(Some(60)));
    }

    #[test]
    fn the_wait_is_until_the_allowance_is_renewed_and_never_absurd() {
        let until = |reset: i64| {
            headers(&[("x-ratelimit-remaining", "0".into()), ("x-ratelimit-reset", reset.to_string())])
        };
        let now = Timestamp::now().as_second();
        let wait = failure(403, &until(now + 100), "{}").retry_after().unwrap();
        assert!((95..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(failure(403, &until(now - 100), "{}").retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(failure(403, &until(i64::MAX), "{}").retry_after(), Some(MAX_WAIT));
        let absurd = headers(&[("retry-after", u64::MAX.to_string())]);
        assert_eq!(failure(429, &absurd, "").retry_after(), Some(MAX_WAIT));
        assert_eq!(limited(None).retry_after(), Some(UNNAMED_WAIT));
    }

    #[test]
    fn what_exists_already_is_recognised_by_code_or_by_words() {
        let pull = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom",
            "message":"A pull request already exists for acme:hob/issue-1."}],"status":"422"}"#;
        assert_eq!(
            failure(422, &HeaderMap::new(), pull),
            GitHubError::Unprocessable {
                message: "Validation Failed: A pull request already exists for acme:hob/issue-1.".into(),
                already_exists: true,
            }
        );
        let branch = r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}"#;
        assert_eq!(
            failure(422, &HeaderMap::new(), branch),
            GitHubError::Unprocessable {
                message: "Validation Failed: head invalid".into(),
                already_exists: false
            }
        );
        let plain = r#"{"message":"Sorry","errors":["Name already exists on this account"]}"#;
        let error = failure(422, &HeaderMap::new(), plain);
        assert!(matches!(error, GitHubError::Unprocessable { already_exists: true, .. }), "{error}");
    }

    #[test]
    fn a_graphql_answer_says_no_with_the_status_200() {
        let said = |body: &str| complaint(&serde_json::from_str(body).unwrap(), &HeaderMap::new());
        assert_eq!(said(r#"{"data":{}}"#), None);
        assert_eq!(
            said(r#"{"errors":[{"type":"RATE_LIMITED","message":"API rate limit"}]}"#),
            Some(limited(None))
        );
        assert_eq!(
            said(r#"{"data":{"x":null},"errors":[{"type":"NOT_FOUND","path":["x"],"message":"no"}]}"#),
            Some(GitHubError::NotFound)
        );
        let stumbled = said(r#"{"errors":[{"message":"Something went wrong"}]}"#);
        assert_eq!(stumbled, Some(GitHubError::Unavailable("Something went wrong".into())));
    }

    #[test]
    fn a_page_of_html_does_not_get_into_the_log() {
        let error = failure(502, &HeaderMap::new(), "<html><h1>Unicorn!</h1></html>");
        assert_eq!(error, GitHubError::Unavailable("HTTP status 502".into()));
        assert!(error.is_transient());
        let long = format!(r#"{{"message":"{}\n"}}"#, "x".repeat(5000));
        assert!(failure(401, &HeaderMap::new(), &long).to_string().len() < 500);
    }
}
