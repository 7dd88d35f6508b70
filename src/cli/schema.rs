//! `hob schema`: the JSON schema of the file by which a repository says how hob works in it.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::repository_file_schema;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(repository_file_schema().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
