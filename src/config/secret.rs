//! What comes from outside the configuration file: the environment, and the files that hold
//! secrets. Probot's names (`APP_ID`, `PRIVATE_KEY`, `WEBHOOK_SECRET`) are understood beside hob's
//! own, since people who have run a GitHub App before have them set.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigError};

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every variable that hob reads for itself, for `hob serve --help` and the README.
pub const VARIABLES: &[(&str, &str)] = &[
    ("HOB_LISTEN", "server.listen"),
    ("HOB_DATA_DIR", "data.dir"),
    ("HOB_GITHUB_API_URL", "github.api_url"),
    ("HOB_GITHUB_GIT_URL", "github.git_url"),
    ("HOB_GITHUB_TOKEN", "github.token"),
    ("HOB_APP_ID, APP_ID", "github.app_id"),
    ("HOB_PRIVATE_KEY, PRIVATE_KEY", "github.private_key"),
    ("HOB_PRIVATE_KEY_FILE, PRIVATE_KEY_PATH", "github.private_key_file"),
    ("HOB_WEBHOOK_SECRET, WEBHOOK_SECRET", "github.webhook_secret"),
    ("HOB_DOCKER, DOCKER_HOST", "container.docker"),
    ("HOB_IMAGE", "container.image"),
    ("SSH_AUTH_SOCK", "the SSH agent, where container.ssh_agent is true"),
];

/// Puts the environment on top of the file.
pub(super) fn overlay_environment(config: &mut Config, environment: Environment) -> Result<(), ConfigError> {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| environment(name).filter(|v| !v.is_empty()).map(|v| (*name, v)))
    };
    let secret = |names: &[&'static str]| first(names).map(|(_, v)| SecretString::from(v));
    if let Some((name, v)) = first(&["HOB_LISTEN"]) {
        config.server.listen = v
            .parse()
            .map_err(|_| ConfigError::invalid(name, "is not an address", "for example 127.0.0.1:8470"))?;
    }
    if let Some((name, v)) = first(&["HOB_APP_ID", "APP_ID"]) {
        config.github.app_id =
            Some(v.parse().map_err(|_| ConfigError::invalid(name, "is not a number", "the App's id"))?);
    }
    if let Some((_, v)) = first(&["HOB_DATA_DIR"]) {
        config.data.dir = PathBuf::from(v);
    }
    if let Some((_, v)) = first(&["HOB_PRIVATE_KEY_FILE", "PRIVATE_KEY_PATH"]) {
        config.github.private_key_file = Some(PathBuf::from(v));
    }
    for (names, value) in [
        (&["HOB_GITHUB_API_URL"][..], &mut config.github.api_url),
        (&["HOB_GITHUB_GIT_URL"], &mut config.github.git_url),
        (&["HOB_DOCKER", "DOCKER_HOST"], &mut config.container.docker),
        (&["HOB_IMAGE"], &mut config.container.image),
    ] {
        if let Some((_, v)) = first(names) {
            *value = v;
        }
    }
    if config.container.ssh_agent {
        config.container.ssh_auth_sock = first(&["SSH_AUTH_SOCK"]).map(|(_, path)| PathBuf::from(path));
    }
    let github = &mut config.github;
    github.token = secret(&["HOB_GITHUB_TOKEN"]).or(github.token.take());
    // A key pasted into an environment file has its line ends written as `\n`.
    let key = secret(&["HOB_PRIVATE_KEY", "PRIVATE_KEY"])
        .map(|k| SecretString::from(k.expose_secret().replace("\\n", "\n")));
    github.private_key = key.or(github.private_key.take());
    github.webhook_secret =
        secret(&["HOB_WEBHOOK_SECRET", "WEBHOOK_SECRET"]).or(github.webhook_secret.take());
    Ok(())
}

/// Reads the files that hold secrets, and the agent's keys.
pub(super) fn read_files(config: &mut Config, environment: Environment) -> Result<(), ConfigError> {
    let github = &mut config.github;
    for (key, file, value) in [
        ("github.token_file", &github.token_file, &mut github.token),
        ("github.private_key_file", &github.private_key_file, &mut github.private_key),
        ("github.webhook_secret_file", &github.webhook_secret_file, &mut github.webhook_secret),
    ] {
        if let (Some(file), None) = (file, &value) {
            *value = Some(read_secret(key, file)?);
        }
    }
    if let Some(file) = &config.git.signing_key_file {
        let key = "git.signing_key_file";
        config.git.signing_key = Some(read_secret(key, file)?);
        check_private(key, file)?;
    }
    let agent = &mut config.agent;
    let mut keys = BTreeMap::new();
    for name in KEY_NAMES {
        if let Some(value) = environment(name).filter(|v| !v.is_empty()) {
            keys.insert((*name).to_owned(), SecretString::from(value));
        }
    }
    for (name, file) in &agent.key_files {
        keys.insert(name.clone(), read_secret(&format!("agent.key_files.{name}"), file)?);
    }
    agent.keys = keys;
    Ok(())
}

/// Keys of the agents' services that are taken from hob's own environment when they are there.
pub const KEY_NAMES: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "GEMINI_API_KEY",
    "OPENROUTER_API_KEY",
    "OPENCODE_API_KEY",
];

/// The content of a secret's file without the line end that editors add.
fn read_secret(key: &str, file: &Path) -> Result<SecretString, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        ConfigError::invalid(key, &format!("names {}: {e}", file.display()), "a readable file")
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(ConfigError::invalid(
            key,
            &format!("names {}, which is empty", file.display()),
            "a secret",
        ));
    }
    Ok(SecretString::from(text))
}

/// A file that everybody on the machine can read, or that others can put something else into, is no place for a key.
fn check_private(key: &str, file: &Path) -> Result<(), ConfigError> {
    const OTHERS: u32 = 0o007;
    const GROUP_WRITES: u32 = 0o020;
    let mode = std::fs::metadata(file).map(|found| found.permissions().mode() & 0o777);
    match mode {
        Ok(mode) if mode & (OTHERS | GROUP_WRITES) != 0 => Err(ConfigError::invalid(
            key,
            &format!("names {}, which is not hob's alone (mode {mode:04o})", file.display()),
            "mode 0600, or 0640 with hob's group",
        )),
        _ => Ok(()),
    }
}
