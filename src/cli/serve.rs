//! `hob serve`: opens the listener and runs hob until a signal.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::check::machine::cannot_listen;
use crate::config::Config;
use crate::http;
use crate::serve::Hob;

pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime()?;
    let result = runtime.block_on(serve(config));
    // Not waited for: a push to a host that does not answer has no end, and is found again by the
    // next start.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let address = config.server.listen;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let hob = tokio::select! {
        hob = Hob::open(config) => hob?,
        // A large store takes its time to be looked through or brought up to date; both begin
        // again.
        () = stop.cancelled() => return Ok(()),
    };
    let listener =
        http::listen(address).map_err(|error| anyhow::anyhow!("{}", cannot_listen(address, &error)))?;
    tracing::info!(address = %listener.local_addr()?, "hob is listening");
    hob.run(listener, stop).await?;
    tracing::info!("hob has stopped");
    Ok(())
}

fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_second {
                tracing::warn!("second signal, exiting immediately");
                // Everything durable is in the store and in Docker; the next start goes on from
                // there.
                std::process::exit(130);
            }
            // First: whatever becomes of the log, hob stops.
            stop.cancel();
            tracing::info!("stopping; running agents continue");
        }
    });
    Ok(())
}
