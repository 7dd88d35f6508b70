//! What commands print. Anyone who reads it may stop reading, as `head` does; that is no failure.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

use anyhow::Context as _;

/// Prints a text as it is.
///
/// # Errors
/// If it could not be written, to a disk that is full for example.
pub(super) fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("writing the output"),
        _ => Ok(()),
    }
}

/// Prints a line.
///
/// # Errors
/// As [`print`].
pub(super) fn say(line: impl fmt::Display) -> anyhow::Result<()> {
    print(format_args!("{line}\n"))
}

/// Says on standard error why hob ends. If nobody can hear it, hob ends all the same.
pub(super) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "hob: {error:#}");
}
