//! `hob config`: what can be set.

use std::process::ExitCode;

use clap::Subcommand;

use super::out::print;
use crate::config::reference;

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum Command {
    /// Print a Markdown reference of every setting and environment variable.
    Reference,
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Reference => print(reference())?,
    }
    Ok(ExitCode::SUCCESS)
}
