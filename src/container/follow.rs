//! A container's output as it comes, from the daemon's log. Where lines end, what they mean and how
//! much of them is kept is the reader's business.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};

use jiff::Timestamp;

use super::{ContainerError, Docker, Kind, State};

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
    /// Everything that a started container said, from the beginning, and then what it says, until
    /// it ends. May be called again at any time, also after its end, and begins again: two readings
    /// give the same bytes to each of the two streams, which is how a reader that was cut off finds
    /// its place again. There is no time limit.
    ///
    /// Docker's log is text: each byte that is not UTF-8 comes as U+FFFD. Podman's has the bytes.
    ///
    /// After an error the stream ends. It also ends with an error if the container is removed, or
    /// if the daemon closes the log while the container runs, which a daemon that is stopping does
    /// without a word.
    pub fn follow(&self, name: &str) -> BoxStream<'static, Result<Output, ContainerError>> {
        let reading = Reading {
            docker: self.clone(),
            name: name.to_owned(),
            log: None,
            stdout: Place::default(),
            stderr: Place::default(),
            has_times: false,
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
    stdout: Place,
    stderr: Place,
    /// Whether the daemon puts the time before each piece. Docker's does; of Podman's it is not
    /// known where one begins.
    has_times: bool,
}

enum OpenLog {
    /// Opened while the container ran; grows until it ends.
    Growing(Frames),
    /// Opened after its end.
    Complete(Frames),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Output>, ContainerError> {
        let operation = format!("reading the log of {}", self.name);
        loop {
            let (frames, complete) = match &mut self.log {
                None => {
                    self.has_times = self.docker.kind().await? == Kind::Docker;
                    self.open(0).await?;
                    continue;
                }
                Some(OpenLog::Growing(frames)) => (frames, false),
                Some(OpenLog::Complete(frames)) => (frames, true),
            };
            match next_output(frames, &operation).await {
                Ok(Some(Output::Stdout(bytes))) => {
                    if let Some(new) = self.stdout.take(bytes, self.has_times) {
                        return Ok(Some(Output::Stdout(new)));
                    }
                }
                Ok(Some(Output::Stderr(bytes))) => {
                    if let Some(new) = self.stderr.take(bytes, self.has_times) {
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

    /// Opens the log with what was said since a time, in seconds since 1970.
    async fn open(&mut self, since: i32) -> Result<(), ContainerError> {
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
        let options = LogsOptionsBuilder::new().follow(follow).stdout(true).stderr(true).tail("all");
        let options = options.timestamps(self.has_times).since(since).build();
        let frames = self.docker.client().await?.logs(&self.name, Some(options)).boxed();
        self.log = Some(if follow { OpenLog::Growing(frames) } else { OpenLog::Complete(frames) });
        Ok(())
    }

    /// Reads the end of the log once more when it has ended while it was followed: Docker 20.10
    /// sometimes ends a followed log before its last line, which for an agent is the line that
    /// matters most. Only where the times tell nothing, all of it.
    async fn reopen(&mut self) -> Result<(), ContainerError> {
        self.docker.until_not_running(&self.name, END_GRACE).await?;
        if let Some(State::Running { .. }) = self.docker.state(&self.name).await? {
            return Err(ContainerError::Unreachable(format!(
                "the log of {} was closed while the container runs",
                self.name
            )));
        }
        let newest = self.stdout.at.max(self.stderr.at);
        let since = newest.filter(|_| self.stdout.is_in_order() && self.stderr.is_in_order());
        let since =
            since.and_then(|at| i32::try_from(at.as_second() - BACK_SECONDS).ok()).filter(|at| *at > 0);
        self.stdout.rewind(since.is_some());
        self.stderr.rewind(since.is_some());
        self.open(since.unwrap_or(0)).await
    }

    fn gone(&self) -> ContainerError {
        ContainerError::NoContainer(self.name.clone())
    }
}

/// The two streams are in order for themselves; between them there may be a moment.
const BACK_SECONDS: i64 = 5;

/// How much of one of the two streams was passed on, so that reading it again passes on only more.
#[derive(Default)]
struct Place {
    passed_on: u64,
    to_skip: u64,
    /// The time of the last piece, and how many of that time there were.
    at: Option<Timestamp>,
    count: u64,
    /// A piece had no time, or an earlier one than the piece before: somebody has put the clock
    /// back.
    is_out_of_order: bool,
    /// The end is read again: pieces up to that time were passed on.
    again: Option<(Timestamp, u64)>,
}

impl Place {
    fn is_in_order(&self) -> bool {
        !self.is_out_of_order
    }

    /// Another reading begins: of the end, by the times, or of everything.
    fn rewind(&mut self, only_the_end: bool) {
        if only_the_end {
            self.again = self.at.map(|at| (at, self.count));
        } else {
            self.to_skip = self.passed_on;
            self.again = None;
        }
    }

    /// What of a piece is new, if anything is; without its time, where it has one.
    fn take(&mut self, bytes: Bytes, has_time: bool) -> Option<Bytes> {
        let mut bytes = bytes;
        if has_time {
            match split_time(&bytes) {
                Some((at, length)) => {
                    bytes = bytes.split_off(length);
                    if self.was_passed_on(at) {
                        return None;
                    }
                }
                None => self.is_out_of_order = true,
            }
        }
        let skipped = bytes.len().min(usize::try_from(self.to_skip).unwrap_or(usize::MAX));
        self.to_skip -= skipped as u64;
        let new = bytes.split_off(skipped);
        self.passed_on += new.len() as u64;
        (!new.is_empty()).then_some(new)
    }

    fn was_passed_on(&mut self, at: Timestamp) -> bool {
        match &mut self.again {
            Some((last, _)) if at < *last => return true,
            Some((last, left)) if at == *last && *left > 0 => {
                *left -= 1;
                return true;
            }
            _ => {}
        }
        match self.at {
            Some(last) if at == last => self.count += 1,
            Some(last) if at < last => self.is_out_of_order = true,
            _ => (self.at, self.count) = (Some(at), 1),
        }
        false
    }
}

/// The time at the start of a piece, and where the piece itself begins.
fn split_time(bytes: &[u8]) -> Option<(Timestamp, usize)> {
    let end = bytes.iter().take(MAX_TIME).position(|byte| *byte == b' ')?;
    let at = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    Some((at, end + 1))
}

/// `2026-11-30T17:47:48.123456789Z `
const MAX_TIME: usize = 40;

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
                Err(ContainerError::Unreachable(format!("{operation}: the connection broke")))
            }
            Some(Err(error)) => Err(ContainerError::from_api(operation, error)),
            None => Ok(None),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(place: &mut Place, piece: &'static str, has_time: bool) -> Option<String> {
        let new = place.take(Bytes::from_static(piece.as_bytes()), has_time);
        new.map(|new| String::from_utf8(new.to_vec()).unwrap())
    }

    #[test]
    fn a_second_reading_passes_on_only_what_the_first_did_not() {
        let mut place = Place::default();
        assert_eq!(take(&mut place, "abcde", false).as_deref(), Some("abcde"));
        place.rewind(false);
        // In other pieces than before, with the border within one.
        assert_eq!(take(&mut place, "abc", false), None);
        assert_eq!(take(&mut place, "defg", false).as_deref(), Some("fg"));
        assert_eq!(take(&mut place, "h", false).as_deref(), Some("h"));
        place.rewind(false);
        assert_eq!(take(&mut place, "abcdefgh", false), None);
    }

    #[test]
    fn a_second_reading_of_the_end_goes_by_the_times() {
        let pieces = [
            "2026-11-30T17:47:48.100000000Z one\n",
            "2026-11-30T17:47:49.200000000Z two\n",
            "2026-11-30T17:47:49.200000000Z three\n",
            "2026-11-30T17:47:49.200000000Z four\n",
            "2026-11-30T17:47:50.000000000Z five\n",
        ];
        // Whatever the first reading ends with, the two have each piece once.
        for known in 0..=pieces.len() {
            let mut place = Place::default();
            let mut all: String =
                pieces[..known].iter().filter_map(|piece| take(&mut place, piece, true)).collect();
            assert!(place.is_in_order());
            place.rewind(true);
            all.extend(pieces.iter().filter_map(|piece| take(&mut place, piece, true)));
            assert_eq!(all, "one\ntwo\nthree\nfour\nfive\n", "{known}");
        }
    }

    #[test]
    fn a_clock_that_was_put_back_and_a_piece_without_a_time_are_noticed() {
        let mut place = Place::default();
        take(&mut place, "2026-11-30T17:47:48.1Z one\n", true);
        take(&mut place, "2026-11-30T16:47:48.1Z two\n", true);
        assert!(!place.is_in_order());
        place.rewind(false);
        assert_eq!(take(&mut place, "2026-11-30T17:47:48.1Z one\n", true), None);
        assert_eq!(take(&mut place, "2026-11-30T16:47:48.1Z two\n", true), None);
        assert_eq!(take(&mut place, "2026-11-30T16:47:49.1Z three\n", true).as_deref(), Some("three\n"));
        let mut place = Place::default();
        assert_eq!(take(&mut place, "no time", true).as_deref(), Some("no time"));
        assert!(!place.is_in_order());
    }
}
