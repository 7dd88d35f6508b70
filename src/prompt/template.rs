//! The template of a prompt: hob's own, or one of the operator's or a repository's, in Jinja's
//! language. Whether a template is any good is found out before a run is made with it. Where it
//! comes from is decided above.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::fence::Fences;

/// hob's own.
const BUILT_IN: &str = include_str!("prompt.md.j2");
/// The name of a template in its errors.
const NAME: &str = "prompt";
/// Steps that a template may take. The built-in one takes some hundred.
const MAX_STEPS: u64 = 500_000;
/// A longer template is a mistake.
pub const MAX_TEMPLATE: usize = 256 * 1024;
/// A longer prompt is too much for any agent: Claude Code takes 10 MB.
pub const MAX_PROMPT: usize = 4 << 20;

/// Where a template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It is hob's own.
    BuiltIn,
    /// From hob's settings.
    Operator,
    /// From the repository's settings.
    Repository,
}

/// A template that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Where it comes from.
    pub origin: Origin,
    /// Its text.
    pub text: String,
}

/// What is wrong with a template, with the line, in words for anyone who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl Default for Template {
    fn default() -> Self {
        Self { origin: Origin::BuiltIn, text: BUILT_IN.to_owned() }
    }
}

impl Template {
    /// A template of somebody else's, if it can be used: it is tried on prompts of each kind.
    pub fn new(origin: Origin, text: String) -> Result<Template, TemplateError> {
        if text.len() > MAX_TEMPLATE {
            return Err(TemplateError(format!("it is longer than {} KiB", MAX_TEMPLATE / 1024)));
        }
        let template = Template { origin, text };
        super::samples::try_on_each(&template)?;
        Ok(template)
    }

    /// A repository's template, which may be any text: it is tried where it is used, in a process
    /// of its own.
    pub fn unread(text: String) -> Template {
        Template { origin: Origin::Repository, text }
    }

    /// The SHA-256 of its text, in hex.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    /// The prompt that it makes. A template of somebody else's gets hob's own prompt as `standard`.
    pub(super) fn render(&self, context: &impl Serialize, fences: &Fences) -> Result<String, TemplateError> {
        let context = Value::from(Serde(context));
        let standard = expand(BUILT_IN, context.clone(), fences)?;
        if self.origin == Origin::BuiltIn {
            return Ok(standard);
        }
        let standard = standard.trim_end();
        write(&self.text, minijinja::context! { standard, ..context }, fences)
    }
}

/// The prompt that somebody else's template makes.
pub(super) fn write(template: &str, context: Value, fences: &Fences) -> Result<String, TemplateError> {
    let prompt = expand(template, context, fences)?;
    match prompt.trim() {
        "" => Err(TemplateError("it makes an empty prompt".to_owned())),
        _ if prompt.len() > MAX_PROMPT => {
            Err(TemplateError(format!("it makes a prompt of more than {} MiB", MAX_PROMPT >> 20)))
        }
        _ => Ok(prompt),
    }
}

fn expand(template: &str, context: Value, fences: &Fences) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    // A line with nothing but a `{% … %}` leaves nothing behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| complaint(&error))?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // A misspelt name is an error, and not nothing.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_STEPS));
    let fences = fences.clone();
    environment.add_filter("fence", move |text: String, word: String, attributes: Kwargs| {
        fenced(&fences, &text, &word, &attributes)
    });
    environment.add_template(NAME, template).map_err(|error| complaint(&error))?;
    let template = environment.get_template(NAME).map_err(|error| complaint(&error))?;
    let text = template.render(context).map_err(|error| complaint(&error))?;
    Ok(text.trim().to_owned() + "\n")
}

fn fenced(fences: &Fences, text: &str, word: &str, attributes: &Kwargs) -> Result<String, minijinja::Error> {
    if !Fences::is_word(word) {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            format!("there is no fence `{word}`"),
        ));
    }
    let mut pairs = Vec::new();
    for name in attributes.args() {
        let value: Value = attributes.get(name)?;
        if !value.is_none() && !value.is_undefined() {
            pairs.push((name.replace('_', "-"), value.to_string()));
        }
    }
    let pairs: Vec<(&str, String)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Ok(fences.fence(word, &pairs, text))
}

/// What the library says, with the line before it.
fn complaint(error: &minijinja::Error) -> TemplateError {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "it takes too many steps".to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    TemplateError(match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    })
}
