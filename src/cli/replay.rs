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
    /// The delivery's GUID, as GitHub lists it and `hob status` shows it.
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
            let became = before.note.unwrap_or_else(|| "not settled yet".to_owned());
            say(format_args!("{}, received {:.0}: {became}.", before.event, before.received_at))?;
        }
        say(format_args!("It is in the inbox once more, as {again}."))?;
        say(format_args!(
            "A hob that runs takes it up within {} s, otherwise the next start does. It is decided as if GitHub had sent it \
             now: whoever it names must still be allowed to command hob, a label that was taken up starts nothing \
             again, a command is carried out again.",
            config.work.poll.as_secs().max(1)
        ))?;
        Ok(ExitCode::SUCCESS)
    })
}
