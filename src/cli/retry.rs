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
    /// The effect's id, as `hob status` shows it.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    effect: Option<EffectId>,
    /// All that hob has given up.
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
            anyhow::bail!("no effect {effect} is parked; `hob status` shows those that are");
        }
        match retried {
            0 => say("Nothing is parked; nothing was changed.")?,
            1 => say("1 effect is wanted again.")?,
            _ => say(format_args!("{retried} effects are wanted again."))?,
        }
        if retried > 0 {
            say(format_args!(
                "A hob that runs tries within {} s, otherwise the next start does. \
                 It looks first whether an earlier try got through.",
                config.work.poll.as_secs().max(1)
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
