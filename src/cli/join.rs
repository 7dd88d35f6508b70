//! `hob join`: the process that merges or rebases two sides of a history. hob starts it; it is of
//! no use to people.

use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    crate::work::run_join()?;
    Ok(ExitCode::SUCCESS)
}
