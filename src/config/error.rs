//! What a person reads who made a mistake in the configuration.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

/// A mistake in the configuration, told so that it can be fixed without reading the source.
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
        /// The key, as far as there is one.
        key: String,
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
    #[error("`{key}` {what}; use {wanted}")]
    Invalid {
        /// The key, or the environment's variable.
        key: String,
        /// What is wrong.
        what: String,
        /// What would be right.
        wanted: String,
    },
    /// More than one of these.
    #[error("{} errors in the settings:{}", .0.len(), .0.iter().map(|mistake| format!("\n  {mistake}")).collect::<String>())]
    Several(Vec<ConfigError>),
}

/// What says who hob is on GitHub. Where one of these is wrong, that the others are not set is no
/// mistake of its own.
const IDENTITY: [&str; 4] = ["github.app_id", "github.private_key", "github.token", "APP_ID"];

impl ConfigError {
    /// All of them as one, if there is any.
    pub(super) fn of(mut mistakes: Vec<ConfigError>) -> Option<ConfigError> {
        match mistakes.len() {
            0 | 1 => mistakes.pop(),
            _ => Some(Self::Several(mistakes)),
        }
    }

    /// Whether this is wrong only because something else is: a secret that could not be read is not
    /// set.
    pub(super) fn follows_from(&self, other: &ConfigError) -> bool {
        let stem = |key: &str| key.strip_suffix("_file").unwrap_or(key).to_owned();
        match (self, other) {
            (
                Self::Missing { key, .. },
                Self::InFile { key: known, .. } | Self::Invalid { key: known, .. },
            ) => {
                stem(key) == stem(known)
                    || (key == "github.app_id" && IDENTITY.contains(&stem(known).as_str()))
            }
            (
                Self::Invalid { key, .. },
                Self::InFile { key: known, .. } | Self::Invalid { key: known, .. },
            ) => key == known,
            _ => false,
        }
    }

    /// Its line, where it has one.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            Self::InFile { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// Each by itself.
    pub fn each(self) -> Vec<ConfigError> {
        match self {
            Self::Several(all) => all,
            one => vec![one],
        }
    }

    pub(super) fn missing(key: &str, what: &str) -> Self {
        Self::Missing { key: key.to_owned(), what: what.to_owned() }
    }

    pub(super) fn invalid(key: &str, what: &str, wanted: &str) -> Self {
        Self::Invalid { key: key.to_owned(), what: what.to_owned(), wanted: wanted.to_owned() }
    }
}

/// The line of a place in a text, counted from 1.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// What is wrong with a line that is not TOML.
pub(super) fn of_form(text: &str, path: &Path, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or_default();
    let named = text.get(span.clone()).unwrap_or_default().trim();
    let message = error.message();
    let has = |part: &str| message.contains(part);
    let (what, hint) = if has("duplicate key") {
        let name = named.trim_matches(['"', '\'']);
        (format!("the key `{name}` is defined twice"), Some("remove one of them".to_owned()))
    } else if has("missing key") || has("unquoted keys") || (has("extra `=`")) {
        ("this is not TOML: a value has no key".to_owned(), None)
    } else if named.is_empty() && (has("value") || has("quoted")) {
        ("this is not TOML: a key has no value".to_owned(), None)
    } else if has("quoted") || has("opening quote") {
        ("this is not TOML: a string needs quotes".to_owned(), None)
    } else if has("unclosed")
        || has("invalid basic string")
        || has("invalid literal string")
        || has("multi-line")
    {
        ("this is not TOML: a quote or bracket is not closed".to_owned(), None)
    } else if has("key with no value") || has("missing value") {
        ("this is not TOML: a key has no value".to_owned(), None)
    } else {
        ("this is not TOML".to_owned(), None)
    };
    let line = line_at(text, span.start);
    ConfigError::InFile { path: path.to_owned(), line, key: String::new(), what, hint }
}

/// What is wrong with a value that is TOML. `keys` lead to it, and `found` is what stands there. No
/// text of a library is handed on, and of the value only what cannot be a secret.
pub(super) fn of_value(
    text: &str,
    path: &Path,
    keys: &[String],
    found: Option<&DeValue<'_>>,
    error: &toml::de::Error,
) -> ConfigError {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    let key = shown(keys);
    let message = error.message().trim();
    let (what, hint) = if let Some((field, known)) = listed(message, "unknown field `") {
        unknown_key(keys, field, &known)
    } else if let Some((variant, known)) = listed(message, "unknown variant `") {
        (format!("`{key}`: unknown value `{variant}`"), Some(format!("known values: {}", known.join(", "))))
    } else if let Some(number) = number_out_of_range(message, found) {
        let limit = if number.starts_with('-') { "which is negative" } else { "which is too large" };
        (format!("`{key}` is {number}, {limit}"), None)
    } else if of_library(message) {
        let wanted = wanted(message).map(|wanted| format!(", but must be {wanted}")).unwrap_or_default();
        let (said, found) = (kind_in(message), found.map_or("something else", kind));
        // The reader names the whole of a table whose keys are no texts.
        match said.filter(|said| *said != found && found == "a table") {
            Some(said) => (format!("`{key}` contains {said}{wanted}"), None),
            None => (format!("`{key}` is {found}{wanted}"), None),
        }
    } else {
        (format!("`{key}`: {}", message.replace('\n', " ")), None)
    };
    ConfigError::InFile { path: path.to_owned(), line, key, what, hint }
}

fn unknown_key(keys: &[String], field: &str, known: &[&str]) -> (String, Option<String>) {
    if field == "language" {
        let hint = "hob writes in English, and agents answer in the language of the issue; remove this line";
        return ("`language` is no longer a setting".to_owned(), Some(hint.to_owned()));
    }
    let above = keys.strip_suffix(&[field.to_owned()]).unwrap_or(keys);
    let whole = |name: &str| shown(&above.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>());
    let hint = match nearest(field, known) {
        Some(name) => format!("did you mean `{}`?", whole(name)),
        None => format!("known keys: {}", known.join(", ")),
    };
    (format!("unknown key `{}`", whole(field)), Some(hint))
}

/// Keys as they are written: with dots between, and in quotes where they have to be.
fn shown(keys: &[String]) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let part = |key: &String| if key.chars().all(is_bare) { key.clone() } else { format!("\"{key}\"") };
    keys.iter().map(part).collect::<Vec<_>>().join(".")
}

/// What a value is, for people.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date-time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// What serde says was there.
fn kind_in(message: &str) -> Option<&'static str> {
    let said = message.strip_prefix("invalid type: ")?;
    const KINDS: [(&str, &str); 6] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("floating point", "a float"),
        ("boolean", "a boolean"),
        ("sequence", "an array"),
        ("map", "a table"),
    ];
    KINDS.iter().find(|(kind, _)| said.starts_with(kind)).map(|(_, words)| *words)
}

/// Whether serde or the TOML reader says so, and not a type of hob's own.
fn of_library(message: &str) -> bool {
    const FORMS: [&str; 9] = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "data did not match any variant",
        "missing field ",
        "duplicate field ",
        "wanted ",
        "expected ",
        "value is missing",
    ];
    FORMS.iter().any(|form| message.starts_with(form))
}

/// What a library wants in the place of something else.
fn wanted(message: &str) -> Option<&'static str> {
    if message.contains("RawSize") {
        return Some("a size");
    }
    let wanted = message.rsplit_once("expected ").map_or(message, |(_, wanted)| wanted);
    Some(match wanted {
        "usize" | "u64" | "u32" | "u16" | "u8" | "i64" | "i32" => "an integer",
        "f64" | "f32" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "an array",
        wanted if wanted.contains("string") => "a string",
        wanted if wanted.contains("map") || wanted.starts_with("struct ") => "a table",
        _ => return None,
    })
}

/// The number that is there, if it is one of the right kind and not of the right size.
fn number_out_of_range(message: &str, found: Option<&DeValue<'_>>) -> Option<String> {
    let Some(DeValue::Integer(number)) = found else { return None };
    let number = number.to_string();
    let is_out = message.starts_with("invalid value: ")
        || message.contains("overflowed")
        || (message.contains("RawSize") && number.starts_with('-'));
    is_out.then_some(number)
}

/// serde says it in a fixed form: ``unknown field `a`, expected one of `b`, `c` ``.
fn listed<'a>(message: &'a str, form: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(form)?;
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

/// Why a file could not be read, in words.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "hob's user cannot read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::InvalidData => "it is not valid UTF-8".to_owned(),
        _ => error.to_string(),
    }
}
