//! The values of `.github/hob.toml`, each held against what it may be, and what to write where one
//! cannot be.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::ids::is_branch_name;

/// GitHub's longest label.
const MAX_LABEL: usize = 50;
/// Each is a container; more belong into one script.
const MAX_CHECKS: usize = 20;
/// A check that fails eleven times over costs more than it finds.
const MAX_RETRIES: u32 = 10;
/// GitHub's most requested reviewers.
const MAX_REVIEWERS: usize = 15;
const MAX_LABELS: usize = 15;
/// GitHub's longest login.
const MAX_LOGIN: usize = 39;
const MAX_NAME: usize = 200;

/// What to write for each key, for those whose mistake does not say it by itself.
const EXAMPLES: &[(&str, &str)] = &[
    ("label", "label = \"hob\""),
    ("agent", "agent = \"claude\""),
    ("model", "model = \"opus\""),
    ("image", "image = \"hob-claude:latest\""),
    ("setup", "setup = \"npm ci\""),
    ("checks", "checks = [\"make test\", \"make lint\"]"),
    ("check_retries", "check_retries = 2"),
    ("check_timeout", "check_timeout = \"15m\""),
    ("checks_network", "checks_network = [\"crates.io\", \"*.npmjs.org\"]"),
    ("branch", "branch = \"hob/issue-{issue}\""),
    ("base", "base = \"main\""),
    ("draft", "draft = true"),
    ("fixes", "fixes = 2"),
    ("squash", "squash = true"),
    ("sign_off", "sign_off = true"),
    ("reviewers", "reviewers = [\"octocat\"]"),
    ("labels", "labels = [\"bot\"]"),
    ("delete_branch", "delete_branch = true"),
    ("protected_paths", "protected_paths = [\"deploy/**\"]"),
    ("who", "who = \"write\""),
    ("prompt", "prompt = \".github/hob-prompt.j2\""),
    ("sub_issues", "sub_issues = \"together\""),
    ("follow_base", "follow_base = \"conflicts\""),
    ("budget", "[budget]` and below it `run_usd = 2.5"),
];

/// What to write in the place of a key's value.
pub(super) fn remedy(key: &str) -> String {
    let top = key.split(['.', '[']).next().unwrap_or_default();
    match EXAMPLES.iter().find(|(name, _)| *name == top) {
        Some((_, example)) => format!("for example `{example}`"),
        None => "write TOML: `key = \"text\"`, `key = true`, `key = [\"a\", \"b\"]`".to_owned(),
    }
}

pub(super) fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(from)?;
    if all.len() > MAX_LABELS {
        return Err(D::Error::custom(format!(
            "{} labels are too many; at most {MAX_LABELS} are allowed",
            all.len()
        )));
    }
    match all.iter().find(|label| !is_label(label)) {
        Some(label) => Err(D::Error::custom(format!("`{label}` is not a valid label"))),
        None => Ok(all),
    }
}

fn is_label(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_LABEL && !text.chars().any(char::is_control)
}

pub(super) fn label<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if is_label(&text) {
        Ok(Some(text))
    } else {
        Err(D::Error::custom(format!("`{text}` is not a valid label")))
    }
}

/// A model's or an image's name. It becomes an argument of a program, so it must not look like an
/// option.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '[' | ']');
    let fits = (1..=MAX_NAME).contains(&text.len()) && !text.starts_with('-') && text.chars().all(allowed);
    if fits { Ok(Some(text)) } else { Err(D::Error::custom(format!("`{text}` is not a valid name"))) }
}

pub(super) fn command<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    checked_command(String::deserialize(from)?).map(Some)
}

pub(super) fn commands<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(from)?;
    if all.len() > MAX_CHECKS {
        return Err(D::Error::custom(format!(
            "{} checks are too many; at most {MAX_CHECKS} are allowed",
            all.len()
        )));
    }
    all.into_iter().map(checked_command).collect()
}

fn checked_command<E: serde::de::Error>(text: String) -> Result<String, E> {
    let fits = !text.trim().is_empty() && !text.contains('\0');
    if fits { Ok(text) } else { Err(E::custom("an empty command line")) }
}

pub(super) fn fixes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    check_retries(from)
}

pub(super) fn check_retries<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let count = u32::deserialize(from)?;
    if count <= MAX_RETRIES {
        Ok(Some(count))
    } else {
        Err(D::Error::custom(format!("{count} is more than {MAX_RETRIES}")))
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let parsed = text.trim().parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    match parsed.filter(|duration| *duration >= Duration::from_secs(1)) {
        Some(duration) => Ok(Some(duration)),
        None => Err(D::Error::custom(format!("`{text}` is not a duration of at least one second"))),
    }
}

pub(super) fn branch<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if is_branch_name(&text) {
        Ok(Some(text))
    } else {
        Err(D::Error::custom(format!("`{text}` is not a valid branch name")))
    }
}

pub(super) fn logins<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(from)?;
    let fits = |login: &str| {
        (1..=MAX_LOGIN).contains(&login.len())
            && login.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    match all.iter().find(|login| !fits(login)) {
        Some(login) => Err(D::Error::custom(format!("`{login}` is not a valid login"))),
        None if all.len() > MAX_REVIEWERS => Err(D::Error::custom(format!(
            "{} reviewers are too many; at most {MAX_REVIEWERS} are allowed",
            all.len()
        ))),
        None => Ok(all),
    }
}

pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let fits = !text.is_empty()
        && !text.contains(['\\', '\0'])
        && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if fits {
        Ok(Some(text))
    } else {
        Err(D::Error::custom(format!("`{text}` is not a path relative to the repository's root")))
    }
}

pub(super) fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let amount = f64::deserialize(from)?;
    if amount.is_finite() && amount > 0.0 {
        Ok(Some(amount))
    } else {
        Err(D::Error::custom(format!("{amount} is not an amount of dollars above 0")))
    }
}
