//! What comes from outside the configuration file: the environment, and the files that hold
//! secrets. Probot's names (`APP_ID`, `PRIVATE_KEY`, `WEBHOOK_SECRET`) are understood beside hob's
//! own, since people who have run a GitHub App before have them set.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigError, error};

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every variable that hob reads for itself, for `hob serve --help` and `hob config reference`.
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

/// Puts the environment on top of the file. What cannot be read leaves what the file says, and is
/// told.
pub(super) fn overlay_environment(config: &mut Config, environment: Environment) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| environment(name).filter(|v| !v.is_empty()).map(|v| (*name, v)))
    };
    let secret = |names: &[&'static str]| first(names).map(|(_, v)| SecretString::from(v));
    if let Some((name, v)) = first(&["HOB_LISTEN"]) {
        match v.trim().parse() {
            Ok(listen) => config.server.listen = listen,
            Err(_) => mistakes.push(ConfigError::invalid(
                name,
                "is not an address with a port",
                "for example 127.0.0.1:8470",
            )),
        }
    }
    if let Some((name, v)) = first(&["HOB_APP_ID", "APP_ID"]) {
        match v.trim().parse() {
            Ok(id) => config.github.app_id = Some(id),
            Err(_) => mistakes.push(ConfigError::invalid(name, "is not a number", "the App's id")),
        }
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
    mistakes
}

/// Looks at the settings file itself: whether it says a secret twice, and who else may read or
/// change it.
pub(super) fn check_file(config: &mut Config, file: Option<&Path>) -> Vec<ConfigError> {
    let github = &config.github;
    let secrets = [
        ("token", &github.token, &github.token_file),
        ("private_key", &github.private_key, &github.private_key_file),
        ("webhook_secret", &github.webhook_secret, &github.webhook_secret_file),
    ];
    let twice = secrets.iter().filter(|(_, value, file)| value.is_some() && file.is_some());
    let mut mistakes: Vec<ConfigError> = twice
        .map(|(name, ..)| {
            let (key, what) = (format!("github.{name}_file"), format!("is set together with github.{name}"));
            ConfigError::invalid(&key, &what, "only one of the two")
        })
        .collect();
    let holds_secrets = secrets.iter().any(|(_, value, _)| value.is_some());
    let Some(file) = file else { return mistakes };
    match mode_of(file) {
        Some(mode) if mode & OTHERS_WRITE != 0 => {
            let reason = format!(
                "every user of this machine can change it (mode {mode:04o}): `chmod o-w {}`",
                file.display()
            );
            mistakes.push(ConfigError::Unreadable { path: file.to_owned(), reason });
        }
        Some(mode) if mode & OTHERS_READ != 0 && holds_secrets => {
            config.warnings.push(readable(&format!("{} holds a secret", file.display()), file, mode));
        }
        _ => {}
    }
    mistakes
}

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

fn mode_of(file: &Path) -> Option<u32> {
    std::fs::metadata(file).ok().map(|found| found.permissions().mode() & 0o777)
}

fn readable(what: &str, file: &Path, mode: u32) -> String {
    format!(
        "{what}, and every user of this machine can read it (mode {mode:04o}): `chmod o-rwx {}`",
        file.display()
    )
}

/// Reads the files that hold secrets, and the agent's keys.
pub(super) fn read_files(config: &mut Config, environment: Environment) -> Vec<ConfigError> {
    let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
    let mut read = |key: &str, file: &Path| match read_secret(key, file) {
        Ok((secret, warning)) => {
            warnings.extend(warning);
            Some(secret)
        }
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
    };
    let github = &mut config.github;
    for (key, file, value) in [
        ("github.token_file", &github.token_file, &mut github.token),
        ("github.private_key_file", &github.private_key_file, &mut github.private_key),
        ("github.webhook_secret_file", &github.webhook_secret_file, &mut github.webhook_secret),
    ] {
        let Some(file) = file else { continue };
        // One that is not used, because the environment says it, is looked at all the same: the
        // next start may need it.
        let found = read(key, file);
        *value = value.take().or(found);
    }
    if let Some(file) = &config.git.signing_key_file {
        config.git.signing_key = read("git.signing_key_file", file);
    }
    let agent = &mut config.agent;
    let mut keys = BTreeMap::new();
    for name in KEY_NAMES {
        if let Some(value) = environment(name).filter(|v| !v.is_empty()) {
            keys.insert((*name).to_owned(), SecretString::from(value));
        }
    }
    for (name, file) in &agent.key_files {
        if let Some(secret) = read(&format!("agent.key_files.{name}"), file) {
            keys.insert(name.clone(), secret);
        }
    }
    agent.keys = keys;
    if let Some(file) = &config.git.signing_key_file
        && config.git.signing_key.is_some()
    {
        mistakes.extend(check_private("git.signing_key_file", file).err());
        // Which is told as a mistake.
        warnings.retain(|warning| !warning.starts_with("`git.signing_key_file`"));
    }
    config.warnings.extend(warnings);
    mistakes
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

/// The content of a secret's file without the line end that editors add, and what is to be said
/// about the file.
fn read_secret(key: &str, file: &Path) -> Result<(SecretString, Option<String>), ConfigError> {
    if let Some(mistake) = with_tilde(key, file) {
        return Err(mistake);
    }
    let named = format!("names {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| {
        ConfigError::invalid(
            key,
            &format!("{named}: {}", error::reason(&error)),
            "a file that hob's user can read",
        )
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(ConfigError::invalid(key, &format!("{named}, which is empty"), "a secret"));
    }
    let warning = match mode_of(file) {
        Some(mode) if mode & OTHERS_WRITE != 0 && key != "git.signing_key_file" => {
            let what = format!("{named}, which every user of this machine can change (mode {mode:04o})");
            return Err(ConfigError::invalid(key, &what, "mode 0600, or 0640 with hob's group"));
        }
        Some(mode) if mode & OTHERS_READ != 0 => {
            Some(readable(&format!("`{key}` names {}", file.display()), file, mode))
        }
        _ => None,
    };
    Ok((SecretString::from(text), warning))
}

/// What is wrong with a path that begins with `~`, which only a shell understands.
pub(super) fn with_tilde(key: &str, path: &Path) -> Option<ConfigError> {
    let is_one = path.to_string_lossy().starts_with('~');
    let what = format!("is {}, but hob does not expand `~`", path.display());
    is_one.then(|| ConfigError::invalid(key, &what, "the full path"))
}

/// A file that everybody on the machine can read, or that others can put something else into, is no
/// place for a key.
fn check_private(key: &str, file: &Path) -> Result<(), ConfigError> {
    const OTHERS: u32 = 0o007;
    const GROUP_WRITES: u32 = 0o020;
    let mode = std::fs::metadata(file).map(|found| found.permissions().mode() & 0o777);
    match mode {
        Ok(mode) if mode & (OTHERS | GROUP_WRITES) != 0 => Err(ConfigError::invalid(
            key,
            &format!(
                "names {}, which other users of this machine can read or change (mode {mode:04o})",
                file.display()
            ),
            "mode 0600, or 0640 with hob's group",
        )),
        _ => Ok(()),
    }
}
