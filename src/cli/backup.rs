//! `hob backup`: copies the store to a new file, also while a hob works with it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ConfigArguments;
use super::out::say;
use crate::paths::DataDir;
use crate::store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The file to create. It must not exist yet.
    file: PathBuf,
}

pub(super) fn run(given: &Arguments) -> anyhow::Result<ExitCode> {
    let config = given.config.load_without_secrets()?;
    let file = DataDir::beside(&config.data.dir).store();
    let bytes = super::runtime()?.block_on(store::backup(&file, &given.file))?;
    let (copy, store) = (given.file.display(), file.display());
    say(format_args!("Backed up the store to {copy} ({:.1} MiB).", bytes as f64 / f64::from(1 << 20)))?;
    say(format_args!("To restore it: stop hob; move {store}, {store}-wal and {store}-shm away;"))?;
    say(format_args!("copy {copy} to {store}, owned by hob's user; start hob."))?;
    Ok(ExitCode::SUCCESS)
}
