//! What can go wrong with a container, as far as a caller does something about it. Turns bollard's
//! errors, of which there are thirty, into these.

use std::time::Duration;

use bollard::errors::Error as ApiError;

use crate::fail_point::{Timing, reach};

/// An operation on a container that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The daemon does not answer, or stopped answering half way. Nothing is known about the
    /// operation; all of them may be made again later.
    #[error("docker does not respond: {0}")]
    Unreachable(String),
    /// The daemon does not have this image.
    #[error("docker has no image `{0}`")]
    NoImage(String),
    /// There is no container of this name, or no longer.
    #[error("there is no container `{0}`")]
    NoContainer(String),
    /// A container of this name exists and is not ours: it does not carry the labels.
    #[error("a container that hob did not create has the name `{0}`")]
    NameTaken(String),
    /// The specification cannot be carried out, and would be unsafe or meaningless.
    #[error("invalid container specification: {0}")]
    Invalid(String),
    /// The daemon understood and refused.
    #[error("docker rejected a request with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The operation and the daemon's reason.
        message: String,
    },
    /// What the container said could not be kept: the disk is full, for example. Nothing is wrong
    /// with Docker.
    #[error("storing the container's output failed")]
    NotKept(#[source] std::io::Error),
    /// Anything else. Trying again will not help.
    #[error("{0}")]
    Other(String),
}

impl ContainerError {
    /// Sorts an error of the client's. `operation` is a gerund, `creating the container x`.
    pub(super) fn from_api(operation: &str, error: ApiError) -> Self {
        match error {
            ApiError::DockerResponseServerError { status_code, message } => {
                let message = message.trim();
                // What Podman says of a container that somebody removes while it looks.
                let is_gone = status_code == 500 && message.ends_with(": no such container");
                let status = if is_gone { 404 } else { status_code };
                Self::Refused { status, message: format!("{operation}: {message}") }
            }
            // Sockets that do not exist, connections that broke, answers that did not come or that
            // stopped in the middle: the daemon is down, or going down.
            ApiError::SocketNotFoundError(path) => Self::Unreachable(format!(
                "{operation}: the socket {path} does not exist; check that Docker is installed and running"
            )),
            error @ (ApiError::RequestTimeoutError
            | ApiError::IOError { .. }
            | ApiError::HyperResponseError { .. }
            | ApiError::HyperLegacyError { .. }) => match no_connection(&error) {
                Some(why) => Self::Unreachable(why.to_owned()),
                None => Self::Unreachable(format!("{operation}: {}", root_cause(&error))),
            },
            error => Self::Other(format!("{operation}: {}", with_causes(&error))),
        }
    }
}

impl ContainerError {
    /// Whether this is Podman's `stopped`: the process has ended, its exit code is not written down
    /// yet. Docker has no such state, so bollard cannot read it, and the text is all that is left
    /// of it.
    pub(super) fn is_half_ended(&self) -> bool {
        matches!(self, Self::Other(text) if text.contains("unknown variant `stopped`"))
    }
}

/// Waits for one answer of the daemon, at most `longest`. bollard's own limit ends at the answer's
/// first byte, this one at its last.
pub(super) async fn within<T>(
    longest: Duration,
    operation: &str,
    question: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ContainerError> {
    let place = place(operation);
    reach("docker", &place, Timing::Before);
    let answer = match tokio::time::timeout(longest, question).await {
        Ok(answer) => answer.map_err(|error| ContainerError::from_api(operation, error)),
        Err(_) => Err(ContainerError::Unreachable(format!("{operation}: no response within {longest:?}"))),
    };
    reach("docker", &place, Timing::After);
    answer
}

/// A question's name for a test that ends hob there: its words, and of a container's name only what
/// it is for.
fn place(operation: &str) -> String {
    let words = operation.split(' ').filter(|word| !matches!(*word, "the" | "to" | "a")).map(|word| {
        match word.strip_prefix("hob-") {
            // A UUID has 36 characters.
            Some(named) => named.get(36..).unwrap_or_default().trim_start_matches('-').to_owned(),
            None => word.chars().filter(|c| c.is_ascii_alphabetic()).collect(),
        }
    });
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// Why there is no connection at all, and what to do about it, where that is known.
fn no_connection(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(std::io::ErrorKind::PermissionDenied) => {
                return Some(
                    "hob's user may not use its socket, probably because it is not in the group `docker`: run `usermod \
                    -aG docker USER`, then restart hob",
                );
            }
            Some(std::io::ErrorKind::ConnectionRefused) => {
                return Some("nothing listens at its address; start Docker: `systemctl start docker`");
            }
            Some(std::io::ErrorKind::NotFound) => {
                return Some("there is no socket at its address; check that Docker is installed and running");
            }
            _ => next = error.source(),
        }
    }
    None
}

/// What is behind a connection that broke. The layers above it say only which library noticed.
fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => root_cause(cause),
        None => error.to_string(),
    }
}

/// The error with what caused it: hyper's own text says only `client error (Connect)`.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_daemon_is_a_refusal_and_a_broken_connection_is_not() {
        let refused =
            ApiError::DockerResponseServerError { status_code: 409, message: "name in use\n".to_owned() };
        assert_eq!(
            ContainerError::from_api("creating x", refused).to_string(),
            "docker rejected a request with status 409: creating x: name in use"
        );
        let broken = ApiError::IOError { err: std::io::Error::other("connection reset") };
        assert!(matches!(ContainerError::from_api("creating x", broken), ContainerError::Unreachable(_)));
    }

    #[test]
    fn podmans_words_for_its_own_states_are_understood() {
        let message = "container 7f3 does not exist in database: no such container".to_owned();
        let gone = ApiError::DockerResponseServerError { status_code: 500, message };
        let gone = ContainerError::from_api("inspect x", gone);
        assert!(matches!(gone, ContainerError::Refused { status: 404, .. }), "{gone:?}");

        let answer = r#"{"State": {"Status": "stopped", "Running": false}}"#;
        let unread = serde_json::from_str::<bollard::models::ContainerInspectResponse>(answer).unwrap_err();
        let half = ApiError::JsonDataError { message: unread.to_string(), column: 1 };
        assert!(ContainerError::from_api("inspect x", half).is_half_ended());
    }

    #[tokio::test]
    async fn a_daemon_that_never_answers_is_unreachable() {
        let silence = std::future::pending::<Result<(), ApiError>>();
        let error = within(Duration::from_millis(5), "ping", silence).await.unwrap_err();
        assert_eq!(error.to_string(), "docker does not respond: ping: no response within 5ms");
    }
}
