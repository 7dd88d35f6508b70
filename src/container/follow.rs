//! A container's output as it comes, from the daemon's log. Where lines end, what they mean and how
//! much of them is kept is the reader's business.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use super::{ContainerError, Docker, State};

/// How long the daemon may take from closing a log to saying that the container has ended. It does
/// both under one lock, so this only covers a daemon that does it otherwise.
const END_GRACE: Duration = Duration::from_secs(5);

/// A piece of a container's output, as large as the daemon happened to send it: neither a line nor
/// a character is kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// From standard output.
    Stdout(Bytes),
    /// From standard error. Its order against standard output is not kept.
    Stderr(Bytes),
}

impl Docker {
    /// Everything that a started container said, from the beginning, and then what it says, until it
    /// ends. May be called again at any time, also after its end, and begins anew: two readings give
    /// the same bytes to each of the two streams, which is how a reader that was cut off finds its
    /// place again. There is no time limit.
    ///
    /// Docker's log is text: each byte that is not UTF-8 comes as U+FFFD. Podman's has the bytes.
    ///
    /// After an error the stream ends. It also ends with an error if the container is removed, or if
    /// the daemon closes the log while the container runs, which a daemon that is stopping does
    /// without a word.
    pub fn follow(&self, name: &str) -> BoxStream<'static, Result<Output, ContainerError>> {
        let reading = Reading {
            docker: self.clone(),
            name: name.to_owned(),
            log: None,
            stdout: Count::default(),
            stderr: Count::default(),
        };
        stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(output)) => Some((Ok(output), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }
}

type Frames = BoxStream<'static, Result<LogOutput, bollard::errors::Error>>;

struct Reading {
    docker: Docker,
    name: String,
    log: Option<OpenLog>,
    stdout: Count,
    stderr: Count,
}

enum OpenLog {
    /// Opened while the container ran; grows until it ends.
    Growing(Frames),
    /// Opened after its end.
    Complete(Frames),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Output>, ContainerError> {
        let operation = format!("read the log of {}", self.name);
        loop {
            let (frames, complete) = match &mut self.log {
                None => {
                    self.open().await?;
                    continue;
                }
                Some(OpenLog::Growing(frames)) => (frames, false),
                Some(OpenLog::Complete(frames)) => (frames, true),
            };
            match next_output(frames, &operation).await {
                Ok(Some(Output::Stdout(bytes))) => {
                    if let Some(new) = self.stdout.take(bytes) {
                        return Ok(Some(Output::Stdout(new)));
                    }
                }
                Ok(Some(Output::Stderr(bytes))) => {
                    if let Some(new) = self.stderr.take(bytes) {
                        return Ok(Some(Output::Stderr(new)));
                    }
                }
                Ok(None) if complete => return Ok(None),
                Ok(None) => self.reopen().await?,
                Err(ContainerError::Refused { status: 404, .. }) => return Err(self.gone()),
                Err(error) => return Err(error),
            }
        }
    }

    async fn open(&mut self) -> Result<(), ContainerError> {
        // Asked before the log is opened: a container that has ended by now says nothing more.
        let state = self.docker.state(&self.name).await?;
        let follow = match state {
            Some(State::Running { .. }) => true,
            Some(State::Exited(_)) => false,
            Some(State::Created) => {
                return Err(ContainerError::Other(format!("the container {} was never started", self.name)));
            }
            Some(State::Removing) | None => return Err(self.gone()),
        };
        let options = LogsOptionsBuilder::new().follow(follow).stdout(true).stderr(true).tail("all").build();
        let frames = self.docker.client().await?.logs(&self.name, Some(options)).boxed();
        self.log = Some(if follow { OpenLog::Growing(frames) } else { OpenLog::Complete(frames) });
        Ok(())
    }

    /// Reads the log once more when it has ended while it was followed: Docker 20.10 sometimes ends a
    /// followed log before its last line, which for an agent is the line that matters most.
    async fn reopen(&mut self) -> Result<(), ContainerError> {
        self.docker.until_not_running(&self.name, END_GRACE).await?;
        if let Some(State::Running { .. }) = self.docker.state(&self.name).await? {
            return Err(ContainerError::Unreachable(format!(
                "the log of {} was closed while it runs",
                self.name
            )));
        }
        self.stdout.rewind();
        self.stderr.rewind();
        self.open().await
    }

    fn gone(&self) -> ContainerError {
        ContainerError::NoContainer(self.name.clone())
    }
}

/// How much of one of the two streams was passed on, so that reading it again passes on only more.
#[derive(Default)]
struct Count {
    passed_on: u64,
    to_skip: u64,
}

impl Count {
    fn rewind(&mut self) {
        self.to_skip = self.passed_on;
    }

    /// What of these bytes is new, if anything is.
    fn take(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let skipped = bytes.len().min(usize::try_from(self.to_skip).unwrap_or(usize::MAX));
        self.to_skip -= skipped as u64;
        let new = bytes.split_off(skipped);
        self.passed_on += new.len() as u64;
        (!new.is_empty()).then_some(new)
    }
}

/// The next piece of output out of the daemon's frames.
pub(super) async fn next_output(
    frames: &mut (impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Unpin),
    operation: &str,
) -> Result<Option<Output>, ContainerError> {
    loop {
        return match frames.next().await {
            Some(Ok(LogOutput::StdOut { message })) => Ok(Some(Output::Stdout(message))),
            Some(Ok(LogOutput::StdErr { message })) => Ok(Some(Output::Stderr(message))),
            Some(Ok(LogOutput::StdIn { .. })) => continue,
            // bollard's word for bytes without a frame. Our containers have no terminal, so this is
            // the rest of a frame whose end did not come.
            Some(Ok(LogOutput::Console { .. })) => {
                Err(ContainerError::Unreachable(format!("{operation}: it broke off in the middle")))
            }
            Some(Err(error)) => Err(ContainerError::from_api(operation, error)),
            None => Ok(None),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_reading_passes_on_only_what_the_first_did_not() {
        let mut count = Count::default();
        assert_eq!(count.take(Bytes::from_static(b"abcde")).as_deref(), Some(&b"abcde"[..]));
        count.rewind();
        // In other pieces than before, with the border within one.
        assert_eq!(count.take(Bytes::from_static(b"abc")), None);
        assert_eq!(count.take(Bytes::from_static(b"defg")).as_deref(), Some(&b"fg"[..]));
        assert_eq!(count.take(Bytes::from_static(b"h")).as_deref(), Some(&b"h"[..]));
        count.rewind();
        assert_eq!(count.take(Bytes::from_static(b"abcdefgh")), None);
    }
}
