//! `[questions]`: who may answer, and what happens while nobody does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Age;

/// `[questions]`
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Questions {
    /// Whose answers count: `write` (everyone who may push), `maintain`, `admin`, or `asker` (the
    /// person who asked for the work). Answers by bots never count.
    pub who: WhoAnswers,
    /// How long a question that has a default but no deadline of its own waits before the default
    /// is taken. If it is not set, it waits indefinitely.
    #[schemars(with = "String")]
    pub deadline: Option<Age>,
    /// How long a question waits before people are reminded, once. If it is not set, there is no
    /// reminder.
    #[schemars(with = "String")]
    pub remind: Option<Age>,
}

/// Whose answers count. Bots' never do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
