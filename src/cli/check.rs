//! `hob check`: says whether hob could work with these settings. Everything is looked at, whatever
//! else is wrong, and each thing that is wrong is a line with what to do about it. Nothing is
//! changed.

mod github;
pub(super) mod machine;

use std::process::ExitCode;
use std::time::Duration;

use super::ConfigArguments;
use super::out::say;
use crate::account::Login;
use crate::config::Config;
use crate::ids::AgentKind;
use crate::paths::DataDir;
use crate::store::{self, Store};
use crate::work;

/// The longest that one part may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(45);

/// What was found about one part.
enum Found {
    /// As it should be.
    Good(String),
    /// hob can work so, and should not have to.
    Doubtful(String),
    /// hob cannot work so.
    Wrong(String),
}

use Found::{Doubtful, Good, Wrong};

impl From<anyhow::Result<String>> for Found {
    fn from(result: anyhow::Result<String>) -> Found {
        result.map_or_else(|error| Wrong(format!("{error:#}")), Good)
    }
}

pub(super) fn run(given: &ConfigArguments) -> anyhow::Result<ExitCode> {
    let (config, mistakes) = given.look()?;
    let mut told = Told::default();
    let Some(config) = config else {
        told.part("configuration", mistakes.iter().map(|mistake| Wrong(mistake.to_string())).collect())?;
        say("\nThe settings could not be read, so nothing else was checked.")?;
        return Ok(ExitCode::FAILURE);
    };
    told.part("configuration", configuration(&config, mistakes))?;
    super::runtime()?.block_on(parts(&config, &mut told))?;
    if told.wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let things = if told.wrong == 1 { "1 problem" } else { &format!("{} problems", told.wrong) };
    say(format_args!("\n{things} found; hob cannot work with these settings."))?;
    Ok(ExitCode::FAILURE)
}

async fn parts(config: &Config, told: &mut Told) -> anyhow::Result<()> {
    told.part("data folder", machine::data_folder(config))?;
    told.part("store", vec![store(config).await.into()])?;
    told.part("address", machine::address(config))?;
    let docker = in_time(machine::docker(config));
    let (docker, on_github, git_host) =
        tokio::join!(docker, in_time(github::access(config)), in_time(github::git_host(config)));
    told.part("docker", docker)?;
    told.part("agent key", keys(config))?;
    told.part("prompt", vec![prompt(config).into()])?;
    told.part("commits", vec![commits(config).into()])?;
    told.part("github", on_github)?;
    told.part("git host", git_host)
}

async fn in_time(part: impl Future<Output = Vec<Found>>) -> Vec<Found> {
    let late = || vec![Wrong(format!("no response within {} s", CHECK_TIMEOUT.as_secs()))];
    tokio::time::timeout(CHECK_TIMEOUT, part).await.unwrap_or_else(|_| late())
}

/// What was told so far.
#[derive(Default)]
struct Told {
    wrong: usize,
}

impl Told {
    fn part(&mut self, name: &str, found: Vec<Found>) -> anyhow::Result<()> {
        for found in found {
            match found {
                Good(words) if words.is_empty() => say(format_args!("{name:<15} ok"))?,
                Good(words) => say(format_args!("{name:<15} ok: {words}"))?,
                Doubtful(words) => say(format_args!("{name:<15} WARNING: {words}"))?,
                Wrong(words) => {
                    self.wrong += 1;
                    say(format_args!("{name:<15} NOT ok: {words}"))?;
                }
            }
        }
        Ok(())
    }
}

fn configuration(config: &Config, mistakes: Vec<crate::config::ConfigError>) -> Vec<Found> {
    let weak = config.weak_webhook_secret().map(Wrong);
    let mut found: Vec<Found> =
        mistakes.iter().map(|mistake| Wrong(mistake.to_string())).chain(weak).collect();
    if found.is_empty() {
        found.push(Good(String::new()));
    }
    found.extend(config.warnings.iter().cloned().map(Doubtful));
    found
}

/// Looks without changing anything; the data folder need not be there yet.
async fn store(config: &Config) -> anyhow::Result<String> {
    let file = DataDir::beside(&config.data.dir).store();
    let newest = Store::newest_schema();
    Ok(match store::look_at(&file).await? {
        None => format!("{} does not exist yet; `hob serve` creates it", file.display()),
        Some(schema) if schema < newest => {
            format!("{} is intact; `hob serve` migrates it from schema {schema} to {newest}", file.display())
        }
        Some(schema) => format!("{} is intact, schema {schema}", file.display()),
    })
}

/// The agents that can get work by these settings, without those that only a repository or a person
/// chooses.
fn agents(config: &Config) -> Vec<AgentKind> {
    let own = config.repositories.values().filter_map(|own| own.agent);
    let mut agents = vec![config.agent.kind];
    for agent in config.agent.fallback.iter().copied().chain(own) {
        if !agents.contains(&agent) {
            agents.push(agent);
        }
    }
    agents
}

fn keys(config: &Config) -> Vec<Found> {
    let agents = agents(config);
    let open = agents
        .iter()
        .filter_map(|agent| Some(Login::open_files(config.login_dir(*agent)?, *agent)))
        .flatten();
    let open = open.map(|(path, mode)| {
        let path = path.display();
        Doubtful(format!(
            "other users on this machine can read or change {path} (mode {mode:04o}): `chmod 0600 {path}`"
        ))
    });
    agents.iter().map(|agent| key(config, *agent).into()).chain(open).collect()
}

fn key(config: &Config, agent: AgentKind) -> anyhow::Result<String> {
    if let Some(folder) = config.login_dir(agent) {
        Login::read(folder, agent)?;
        return Ok(format!("{agent}: the login in {}", folder.display()));
    }
    let names = agent.key_names();
    let found = names.iter().find(|name| config.agent.keys.contains_key(**name));
    match found {
        Some(name) => Ok(format!("{agent}: {name}")),
        None if names.is_empty() => {
            Ok(format!("{agent}: your own program; it gets the keys in agent.key_files"))
        }
        None => anyhow::bail!(
            "{agent}: none of {} is set; name a key file in agent.key_files, or set the variable in hob's environment",
            names.join(", ")
        ),
    }
}

fn prompt(config: &Config) -> anyhow::Result<String> {
    let template = work::operators_template(config)?;
    Ok(match &config.prompt.template {
        Some(file) => format!("the template in {}, SHA-256 {}", file.display(), template.hash()),
        None => "the built-in template".to_owned(),
    })
}

fn commits(config: &Config) -> anyhow::Result<String> {
    let git = &config.git;
    let key = work::signing_key(config)?;
    let signed = key.map_or_else(|| "not signed".to_owned(), |key| format!("signed, {}", key.fingerprint()));
    Ok(format!("{} <{}>, {signed}", git.author_name, git.author_email))
}
