//! `hob write-prompt`: the process that writes a prompt with a repository's template. hob starts
//! it; it is of no use to people.

use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    crate::work::run_prompt()?;
    Ok(ExitCode::SUCCESS)
}
