//! `[questions]`: who may answer, and what happens while nobody does.

use serde::Deserialize;

use super::Age;

/// `[questions]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Questions {
    /// Whose answers count.
    pub who: WhoAnswers,
    /// After how long the default is taken of a question that has one and names no deadline of its own. Not set: never.
    pub deadline: Option<Age>,
    /// After how long people are reminded, once. Not set: never.
    pub remind: Option<Age>,
}

/// Whose answers count. Bots' never do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhoAnswers {
    /// Everybody who may push.
    #[default]
    Write,
    /// Who may maintain the repository.
    Maintain,
    /// Its administrators.
    Admin,
    /// Who asked for the work, while they may push.
    Asker,
}
