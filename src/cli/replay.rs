//! `hob replay`: puts a recorded webhook into the inbox once more. What it leads to is decided
//! again.

use std::process::ExitCode;

use clap::Args;

use super::ConfigArguments;
use super::out::say;
use crate::paths::DataDir;
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The delivery's GUID, as shown by GitHub and `hob status`.
    guid: String,
}

pub(super) fn run(given: &Arguments) -> anyhow::Result<ExitCode> {
    let config = given.config.load_without_secrets()?;
    super::runtime()?.block_on(async {
        let store = Store::open_beside(&DataDir::beside(&config.data.dir).store()).await?;
        let before = store.recorded_delivery(&given.guid).await?;
        let again = store.replay_delivery(&given.guid).await?;
        store.close().await;
        if let Some(before) = before {
            let became = before.note.unwrap_or_else(|| "not processed yet".to_owned());
            say(format_args!("{}, received {:.0}: {became}.", before.event, before.received_at))?;
        }
        say(format_args!("It is queued again as {again}."))?;
        say(format_args!(
            "A running hob processes it within {} s, otherwise the next start does. hob treats it as if GitHub had sent \
            it now: the sender must still be allowed to command hob, a label that was already handled starts nothing \
            again, and a command runs again.",
            config.work.poll.as_secs().max(1)
        ))?;
        Ok(ExitCode::SUCCESS)
    })
}
