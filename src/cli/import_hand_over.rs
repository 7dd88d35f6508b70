//! `hob import-hand-over`: the process that reads a hand-over. hob starts it; it is of no use to
//! people.

use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    crate::work::run_import()?;
    Ok(ExitCode::SUCCESS)
}
