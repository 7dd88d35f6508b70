//! The log, on standard error. It never holds hob up: what its reader does not take is left out,
//! and that some of it was left out is said when the reader takes more. A reader that is gone is no
//! reason for anything.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// octocrab logs each failed request as an error of its own; hob says what became of it.
const USUAL_FILTER: &str = "info,octocrab=off";
/// The environment variable that names another filter.
const VARIABLE: &str = "HOB_LOG";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How long the reader may take before it counts as one that does not read.
const PATIENCE: Duration = Duration::from_secs(1);
/// A pipe that is ready takes so much at once without making the writer wait.
const PIECE: usize = 4096;

/// Starts the log.
pub(super) fn start(format: LogFormat) -> anyhow::Result<()> {
    let wanted = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = filter(wanted.as_deref().unwrap_or(USUAL_FILTER))?;
    // A subscriber that says on standard error that it could not write there panics where that is
    // closed.
    let log = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    let log = log.with_writer(StandardError::default());
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Reads a filter. A single word that is no level would be one for a part of the program of that
/// name, and hide everything.
fn filter(text: &str) -> anyhow::Result<EnvFilter> {
    let wrong = |part: &str, why: &str| {
        let example = "for example `info`, `debug`, or `info,hob=debug`";
        anyhow::anyhow!("`{VARIABLE}`: `{}` {why}; use {example}", part.escape_debug())
    };
    // What is in brackets names spans, and may hold commas.
    if !text.contains('[') {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
                return Err(wrong(part, &format!("has no valid level ({})", LEVELS.join(", "))));
            }
        }
    }
    EnvFilter::builder().parse(text).map_err(|_| wrong(text, "cannot be parsed"))
}

/// Standard error, as the log writes to it.
#[derive(Debug, Default)]
struct StandardError {
    line: Line,
}

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(&self.line)
    }
}

/// The way to one reader.
#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the reader did not read when it was last tried.
    is_stuck: bool,
    /// How many lines were left out.
    left_out: u64,
}

/// Takes whole lines.
struct LineWriter<'a>(&'a Line);

impl Write for LineWriter<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write(io::stderr().as_fd(), text);
        // Whatever became of it: nobody could do anything about it.
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line, if its reader takes it. Waits for [`PATIENCE`] once, and not again until the
    /// reader reads.
    fn write(&self, to: BorrowedFd<'_>, line: &[u8]) {
        let mut state = self.state();
        let until = Instant::now() + if state.is_stuck { Duration::ZERO } else { PATIENCE };
        if state.left_out > 0 {
            let notice = format!(
                "hob: {} log lines were dropped because the log was not being read\n",
                state.left_out
            );
            if !write_until(to, notice.as_bytes(), until) {
                state.left_out += 1;
                return;
            }
            state.left_out = 0;
        }
        state.is_stuck = !write_until(to, line, until);
        state.left_out += u64::from(state.is_stuck);
    }
}

/// Whether all of it was written, or can never be.
fn write_until(to: BorrowedFd<'_>, mut text: &[u8], until: Instant) -> bool {
    while !text.is_empty() {
        // Rounded up to whole milliseconds, in which the system counts.
        let wait = until.saturating_duration_since(Instant::now()) + Duration::from_nanos(999_999);
        let mut ready = [PollFd::new(to, PollFlags::POLLOUT)];
        match poll(&mut ready, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)) {
            Ok(0) => return false,
            Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return true,
        }
        match nix::unistd::write(to, &text[..text.len().min(PIECE)]) {
            Ok(written) => text = &text[written..],
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => return true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_filter_that_means_nothing_is_told() {
        for fine in [
            "info",
            "WARN",
            "info,hob=debug",
            "hob::work=trace,off",
            "info,[delivery{guid=x}]=debug",
            USUAL_FILTER,
        ] {
            assert!(filter(fine).is_ok(), "{fine}");
        }
        for (wrong, part) in [
            ("verbose", "verbose"),
            ("debgu", "debgu"),
            ("info,hob=loud", "hob=loud"),
            ("hob", "hob"),
            ("hob==", "hob=="),
            ("info;debug", "info;debug"),
        ] {
            let error = filter(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`HOB_LOG`: `{part}` has no valid level")), "{error}");
            assert!(error.ends_with("use for example `info`, `debug`, or `info,hob=debug`"), "{error}");
        }
        let error = filter("[x{=info").unwrap_err().to_string();
        assert!(error.contains("cannot be parsed"), "{error}");
    }

    #[test]
    fn a_reader_that_does_not_read_costs_a_second_once_and_is_told_what_it_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let line = Line::default();
        let began = Instant::now();
        let text = "x".repeat(5000) + "\n";
        for _ in 0..200 {
            line.write(writer.as_fd(), text.as_bytes());
        }
        assert!((PATIENCE..PATIENCE * 3).contains(&began.elapsed()), "{:?}", began.elapsed());
        let left_out = line.state().left_out;
        assert!((150..200).contains(&left_out), "{left_out}");
        let reading = std::thread::spawn(move || {
            let mut read = String::new();
            reader.read_to_string(&mut read).unwrap();
            read
        });
        while line.state().left_out > 0 {
            line.write(writer.as_fd(), b"again\n");
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(writer);
        let read = reading.join().unwrap();
        let end = read.split_once("hob: ").unwrap().1;
        assert!(end.contains(" log lines were dropped because the log was not being read\nagain\n"), "{end}");
    }

    #[test]
    fn a_reader_that_is_gone_costs_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (line, began) = (Line::default(), Instant::now());
        for _ in 0..1000 {
            line.write(writer.as_fd(), b"a line\n");
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
}
