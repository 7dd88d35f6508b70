//! `hob retry`: has effects on GitHub tried again that hob has given up.

use std::process::ExitCode;

use clap::Args;

use super::ConfigArguments;
use super::out::say;
use crate::ids::EffectId;
use crate::paths::DataDir;
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// The id of the write, as shown by `hob status`.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    effect: Option<EffectId>,
    /// Retry all failed writes.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(given: &Arguments) -> anyhow::Result<ExitCode> {
    let config = given.config.load_without_secrets()?;
    super::runtime()?.block_on(async {
        let store = Store::open_beside(&DataDir::beside(&config.data.dir).store()).await?;
        let retried = store.retry_effects(given.effect).await?;
        store.close().await;
        if let (Some(effect), 0) = (given.effect, retried) {
            anyhow::bail!("there is no failed write {effect}; `hob status` lists the failed writes");
        }
        match retried {
            0 => say("There are no failed writes; nothing was changed.")?,
            1 => say("1 write is queued again.")?,
            _ => say(format_args!("{retried} writes are queued again."))?,
        }
        if retried > 0 {
            say(format_args!(
                "A running hob retries within {} s, otherwise the next start does. It first checks whether an earlier \
                attempt succeeded.",
                config.work.poll.as_secs().max(1)
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
