//! Arguments, the log, the exit code. One file a command in `cli/`.

mod backup;
mod check;
mod config;
mod import_hand_over;
mod join;
mod log;
mod out;
mod replay;
mod retry;
mod schema;
mod serve;
mod status;
mod table;
mod write_prompt;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigError, VARIABLES};

/// hob turns labelled GitHub issues into pull requests: it runs a coding agent in a container on
/// the issue's own branch, asks on the issue when the agent is unsure, and leaves the result for
/// review.
#[derive(Debug, Parser)]
#[command(name = "hob", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive webhooks and work on issues until stopped.
    ///
    /// SIGTERM or Ctrl-C stops hob: it starts no new work, finishes the steps in progress and
    /// leaves running agents alone; the next start resumes them. A second signal ends hob
    /// immediately.
    #[command(after_long_help = environment_help())]
    Serve(ConfigArguments),
    /// Check the configuration, the store, Docker and the access to GitHub, and report what is
    /// missing.
    #[command(after_long_help = environment_help())]
    Check(ConfigArguments),
    /// Show what is in progress, what is waiting, and what has failed.
    ///
    /// Works whether or not hob is running, and changes nothing. The exit code is 1 if something
    /// needs attention: GitHub rejects hob's credentials, a write to GitHub has failed (see `hob
    /// retry`), or hob cannot read a delivery.
    Status(status::Arguments),
    /// Copy the store to a new file. hob may be running.
    ///
    /// The copy is consistent and contains everything that was committed before. Only its owner can
    /// read it (mode 0600). It does not include workspaces and mirrors.
    Backup(backup::Arguments),
    /// Reprocess a recorded webhook.
    Replay(replay::Arguments),
    /// Retry writes to GitHub that have failed.
    Retry(retry::Arguments),
    /// Print the JSON schema of `.github/hob.toml`, for editors.
    Schema,
    /// Describe the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Import the hand-over that standard input describes. For internal use.
    #[command(name = crate::work::IMPORT_COMMAND, hide = true)]
    ImportHandOver,
    /// Merge or rebase as standard input describes. For internal use.
    #[command(name = crate::work::JOIN_COMMAND, hide = true)]
    Join,
    /// Render a prompt with a repository's template, as standard input describes. For internal use.
    #[command(name = crate::work::PROMPT_COMMAND, hide = true)]
    WritePrompt,
    /// Copy this program and the libraries that it needs into a new folder. For internal use.
    #[command(name = crate::egress::LAYOUT_COMMAND, hide = true)]
    LayOutProxy,
    /// Run the proxy that limits which servers checks can reach. For internal use.
    #[command(name = crate::egress::PROXY_COMMAND, hide = true)]
    ProxyChecks {
        /// The servers that it allows, as JSON.
        order: String,
    },
}

/// Where the settings come from.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file. Defaults to `hob.toml` in the current directory, if that exists.
    /// Environment variables take precedence over it.
    #[arg(long, short, value_name = "FILE", env = "HOB_CONFIG")]
    config: Option<PathBuf>,
    /// The format of the log.
    #[arg(long, value_name = "FORMAT", env = "HOB_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(given) => given.load().and_then(serve::run),
        Command::Check(given) => check::run(&given),
        Command::Status(given) => status::run(&given),
        Command::Backup(given) => backup::run(&given),
        Command::Replay(given) => replay::run(&given),
        Command::Retry(given) => retry::run(&given),
        Command::Schema => schema::run(),
        Command::Config(command) => config::run(command),
        Command::ImportHandOver => import_hand_over::run(),
        Command::Join => join::run(),
        Command::WritePrompt => write_prompt::run(),
        Command::LayOutProxy => crate::egress::run_layout().map(|()| ExitCode::SUCCESS),
        Command::ProxyChecks { order } => crate::egress::run_proxy(&order).map(|()| ExitCode::SUCCESS),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            out::complain(&error);
            ExitCode::FAILURE
        }
    }
}

impl ConfigArguments {
    /// Starts the log and reads the settings.
    fn load(&self) -> anyhow::Result<Config> {
        log::start(self.log_format)?;
        let environment = |name: &str| std::env::var(name).ok();
        Config::load(self.file().as_deref(), &environment).map_err(|error: ConfigError| error.into())
    }

    /// The same, with everything that is wrong with them.
    fn look(&self) -> anyhow::Result<(Option<Config>, Vec<ConfigError>)> {
        log::start(self.log_format)?;
        let environment = |name: &str| std::env::var(name).ok();
        Ok(Config::look(self.file().as_deref(), &environment))
    }

    /// The same for a command beside a running hob, which needs no secrets.
    fn load_without_secrets(&self) -> anyhow::Result<Config> {
        log::start(self.log_format)?;
        let environment = |name: &str| std::env::var(name).ok();
        let loaded = Config::load_without_secrets(self.file().as_deref(), &environment);
        loaded.map_err(|error: ConfigError| error.into())
    }

    fn file(&self) -> Option<PathBuf> {
        let usual = PathBuf::from("hob.toml");
        self.config.clone().or_else(|| usual.exists().then_some(usual))
    }
}

fn environment_help() -> String {
    let mut text = String::from("Environment variables (they take precedence over the file):\n");
    for (name, key) in VARIABLES {
        text.push_str(&format!("  {name:<42} {key}\n"));
    }
    text.push_str("  ANTHROPIC_API_KEY, OPENAI_API_KEY, …       API keys for the agent\n");
    text.push_str("  HOB_LOG                                    the log filter, for example info,hob=debug");
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
