//! The languages that hob speaks with people on GitHub. A text stands in all of them side by side, in the place where it is said:
//! `say!` and `word!` take one for each language, in the order of `Language`, so that none can be forgotten, and a third language is
//! one more column. What is for the operator, for git and for programs (log, command line, commits, markers, labels, the commands
//! themselves) is English.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language in which hob speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The word in settings and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// Its name in English, for an agent.
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "German",
        }
    }
}

/// No language of hob's.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no language of hob's")]
pub struct UnknownLanguage(String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|language| language.as_str() == word);
        known.ok_or_else(|| UnknownLanguage(word.to_owned()))
    }
}

/// A text in the language that is asked for, with what it names put in as `format!` does.
macro_rules! say {
    ($language:expr, $english:literal, $german:literal $(,)?) => {
        match $language {
            $crate::language::Language::En => format!($english),
            $crate::language::Language::De => format!($german),
        }
    };
}

/// Words that nothing is put into, in the language that is asked for.
macro_rules! word {
    ($language:expr, $english:expr, $german:expr $(,)?) => {
        match $language {
            $crate::language::Language::En => $english,
            $crate::language::Language::De => $german,
        }
    };
}

pub(crate) use {say, word};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_word() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse::<Language>().unwrap(), language);
        }
        assert!("fr".parse::<Language>().is_err());
    }

    #[test]
    fn a_text_is_said_in_one_language_with_what_it_names() {
        let n = 3;
        let said = Language::ALL.map(|language| say!(language, "{n} tasks", "{n} Aufgaben"));
        assert_eq!(said, ["3 tasks", "3 Aufgaben"]);
    }
}
