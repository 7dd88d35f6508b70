//! Arguments, the log, the exit code. One file a command in `cli/`.

mod check;
mod import_hand_over;
mod serve;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, VARIABLES};

/// hob turns labelled GitHub issues into pull requests: it runs a coding agent in a container on the
/// issue's own branch, asks on the issue when the agent is unsure, and leaves the result for review.
#[derive(Debug, Parser)]
#[command(name = "hob", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks and work, until stopped.
    ///
    /// SIGTERM and Ctrl-C stop hob: it takes no new work, ends the steps under way and leaves running
    /// agents alone; the next start takes them up again. A second signal ends hob at once.
    #[command(after_long_help = environment_help())]
    Serve(ConfigArguments),
    /// Check the configuration, Docker and the way to GitHub, and say what is missing.
    #[command(after_long_help = environment_help())]
    Check(ConfigArguments),
    /// Read a hand-over, as told on standard input. hob starts this itself.
    #[command(name = crate::work::IMPORT_COMMAND, hide = true)]
    ImportHandOver,
}

/// Where the settings come from.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file. Without it, `hob.toml` in the current folder if it is there; the
    /// environment goes on top.
    #[arg(long, short, value_name = "FILE", env = "HOB_CONFIG")]
    config: Option<PathBuf>,
    /// The form of log lines.
    #[arg(long, value_name = "FORM", env = "HOB_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(given) => given.load().and_then(serve::run),
        Command::Check(given) => given.load().and_then(check::run),
        Command::ImportHandOver => import_hand_over::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hob: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl ConfigArguments {
    /// Starts the log and reads the settings.
    fn load(&self) -> anyhow::Result<Config> {
        start_log(self.log_format);
        let usual = PathBuf::from("hob.toml");
        let file = match &self.config {
            Some(path) => Some(path.clone()),
            None => usual.exists().then_some(usual),
        };
        let environment = |name: &str| std::env::var(name).ok();
        Config::load(file.as_deref(), &environment).map_err(|error: ConfigError| error.into())
    }
}

/// octocrab logs each failed request as an error of its own; hob says what became of it.
const USUAL_FILTER: &str = "info,octocrab=off";

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("HOB_LOG").unwrap_or_else(|_| EnvFilter::new(USUAL_FILTER));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}

fn environment_help() -> String {
    let mut text = String::from("Environment (goes on top of the file):\n");
    for (name, key) in VARIABLES {
        text.push_str(&format!("  {name:<42} {key}\n"));
    }
    text.push_str("  ANTHROPIC_API_KEY, OPENAI_API_KEY, …       the agent's key\n");
    text.push_str("  HOB_LOG                                    what is logged, for example info,hob=debug");
    text
}

/// A runtime for a command.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
