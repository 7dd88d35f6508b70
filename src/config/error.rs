//! What a person reads who made a mistake in the configuration.

use std::path::{Path, PathBuf};

/// A mistake in the configuration, told so that it can be mended without reading the source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file says something that hob does not understand.
    #[error(
        "{path}:{line}: {what}{hint}",
        path = path.display(),
        hint = hint.as_deref().map(|h| format!("; {h}")).unwrap_or_default()
    )]
    InFile {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Key and mistake.
        what: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
    /// Something that hob cannot do without is not set.
    #[error("`{key}` is not set: {what}")]
    Missing {
        /// The key as written in the file, with its section.
        key: String,
        /// What it is for, and how to set it.
        what: String,
    },
    /// A value that cannot be right.
    #[error("`{key}` {what}; it wants {wanted}")]
    Invalid {
        /// The key, or the environment's variable.
        key: String,
        /// What is wrong.
        what: String,
        /// What would be right.
        wanted: String,
    },
}

impl ConfigError {
    pub(super) fn missing(key: &str, what: &str) -> Self {
        Self::Missing { key: key.to_owned(), what: what.to_owned() }
    }

    pub(super) fn invalid(key: &str, what: &str, wanted: &str) -> Self {
        Self::Invalid { key: key.to_owned(), what: what.to_owned(), wanted: wanted.to_owned() }
    }
}

/// Turns an error of the TOML reader into one for people. `key` is the path to the value, as far as
/// the reader got.
pub(super) fn from_toml(text: &str, path: &Path, key: &str, error: &toml::de::Error) -> ConfigError {
    let line = match error.span() {
        Some(span) => text[..span.start.min(text.len())].matches('\n').count() + 1,
        None => 1,
    };
    let key = if key == "." { "" } else { key };
    let (what, hint) = match unknown_field(error.message()) {
        Some(("language", _)) => (
            "`language` is no longer a setting".to_owned(),
            Some(
                "hob writes English, and agents answer in the language of the issue; remove this line"
                    .to_owned(),
            ),
        ),
        Some((field, known)) => {
            let section = key.strip_suffix(field).unwrap_or(key);
            let nearest = nearest(field, &known);
            (
                format!("unknown key `{section}{field}`"),
                Some(match nearest {
                    Some(name) => format!("did you mean `{section}{name}`?"),
                    None => format!("known here: {}", known.join(", ")),
                }),
            )
        }
        None if key.is_empty() => (error.message().to_owned(), None),
        None => (format!("`{key}`: {}", error.message()), None),
    };
    ConfigError::InFile { path: path.to_owned(), line, what, hint }
}

/// serde says it in a fixed form: ``unknown field `a`, expected one of `b`, `c` ``.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, rest) = rest.split_once('`')?;
    Some((field, rest.split('`').skip(1).step_by(2).collect()))
}

/// The known name that a person most likely meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Below this similarity (1 is the same) a suggestion confuses more than it helps.
    const CLOSE_ENOUGH: f64 = 0.75;
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(name, k), *k))
        .filter(|(similarity, _)| *similarity >= CLOSE_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
