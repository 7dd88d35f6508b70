//! `hob check`: says whether hob could work with these settings, a line for each part.

use std::process::ExitCode;

use super::out::say;
use crate::account::Login;
use crate::config::{Config, Credentials};
use crate::container::Docker;
use crate::github::{self, GitHub};
use crate::paths::DataDir;
use crate::store::{self, Store};
use crate::work;

pub(super) fn run(config: Config) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(async {
        say("configuration   ok")?;
        let parts = [
            ("store", store(&config).await),
            ("docker", docker(&config).await),
            ("agent image", image(&config).await),
            ("agent key", key(&config)),
            ("prompt", prompt(&config)),
            ("commits", commits(&config)),
            ("github", github(&config).await),
        ];
        let mut code = ExitCode::SUCCESS;
        for (name, result) in parts {
            match result {
                Ok(words) => say(format_args!("{name:<15} ok: {words}"))?,
                Err(error) => {
                    say(format_args!("{name:<15} NOT ok: {error:#}"))?;
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    })
}

/// Looks without changing anything; the data folder need not be there yet.
async fn store(config: &Config) -> anyhow::Result<String> {
    let file = DataDir::beside(&config.data.dir).store();
    let newest = Store::newest_schema();
    Ok(match store::look_at(&file).await? {
        None => format!("{} is not there yet; `hob serve` makes it", file.display()),
        Some(schema) if schema < newest => {
            format!("{} is whole; `hob serve` brings it from schema {schema} to {newest}", file.display())
        }
        Some(schema) => format!("{} is whole, schema {schema}", file.display()),
    })
}

async fn docker(config: &Config) -> anyhow::Result<String> {
    let engine = Docker::connect(&config.container.docker)?.engine().await?;
    let missing = if engine.missing.is_empty() {
        String::new()
    } else {
        format!("; it cannot: {}", engine.missing.join(", "))
    };
    Ok(format!("{} {}, {} processors{missing}", engine.kind.name(), engine.version, engine.cpus))
}

async fn image(config: &Config) -> anyhow::Result<String> {
    let image = config.container.image_of(config.agent.kind);
    let there = Docker::connect(&config.container.docker)?.has_image(image).await?;
    anyhow::ensure!(there, "Docker has no image `{image}`; deploy/image/build.sh makes one");
    Ok(image.to_owned())
}

fn key(config: &Config) -> anyhow::Result<String> {
    if let Some(folder) = config.login_dir(config.agent.kind) {
        Login::read(folder, config.agent.kind)?;
        return Ok(format!("the login in {}", folder.display()));
    }
    let names = config.agent.kind.key_names();
    let found = names.iter().find(|name| config.agent.keys.contains_key(**name));
    match found {
        Some(name) => Ok((*name).to_owned()),
        None if names.is_empty() => {
            Ok("the agent is a command; it gets the keys in agent.key_files".to_owned())
        }
        None => anyhow::bail!("none of {} is set", names.join(", ")),
    }
}

fn prompt(config: &Config) -> anyhow::Result<String> {
    let template = work::operators_template(config)?;
    Ok(match &config.prompt.template {
        Some(file) => format!("the template in {}, SHA-256 {}", file.display(), template.hash()),
        None => "hob's own template".to_owned(),
    })
}

fn commits(config: &Config) -> anyhow::Result<String> {
    let git = &config.git;
    let key = work::signing_key(config)?;
    let signed = key.map_or_else(|| "not signed".to_owned(), |key| format!("signed, {}", key.fingerprint()));
    Ok(format!("{} <{}>, {signed}", git.author_name, git.author_email))
}

async fn github(config: &Config) -> anyhow::Result<String> {
    let credentials = match config.github.credentials()? {
        Credentials::App { id, key } => github::Credentials::App { app_id: id, private_key_pem: key },
        Credentials::Token(token) => github::Credentials::Token(token),
    };
    let github = GitHub::new(&config.github.api_url, credentials)?;
    Ok(format!("{} answers; hob is {}", config.github.api_url, github.own_login().await?))
}
