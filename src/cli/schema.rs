//! `hob schema`: the JSON schema of the file by which a repository configures hob.

use std::process::ExitCode;

use super::out::print;
use crate::config::repository_file_schema;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    print(repository_file_schema())?;
    Ok(ExitCode::SUCCESS)
}
