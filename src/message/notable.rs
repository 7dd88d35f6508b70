//! What the people who review a pull request should look at closely, and why.

use serde::{Deserialize, Serialize};

use crate::language::{Language, word};

/// The most paths to look at closely that are named.
pub const MOST_NOTABLE: usize = 20;

/// A path that a reviewer should look at closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notable {
    /// The path.
    pub path: String,
    /// What such a file does.
    pub why: Why,
}

/// What a file does whose change does more than it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A person has to let it through.
    IsProtected,
    /// It runs in CI.
    RunsInCi,
    /// It says how hob works.
    SaysHowHobWorks,
    /// It says who reviews.
    SaysWhoReviews,
    /// It configures agents.
    ConfiguresAgents,
    /// It runs when the program is built.
    RunsInTheBuild,
    /// It makes an image.
    MakesAnImage,
    /// It says what the program depends on.
    SaysWhatItDependsOn,
    /// It is a licence.
    IsALicence,
}

impl Why {
    /// In words, behind the path.
    pub(super) fn words(self, language: Language) -> &'static str {
        match self {
            Self::IsProtected => word!(language, "is protected", "ist geschützt"),
            Self::RunsInCi => word!(language, "runs in CI", "läuft in der CI"),
            Self::SaysHowHobWorks => word!(language, "says how hob works", "bestimmt, wie hob arbeitet"),
            Self::SaysWhoReviews => word!(language, "says who reviews", "bestimmt, wer Reviews macht"),
            Self::ConfiguresAgents => word!(language, "configures agents", "stellt Agenten ein"),
            Self::RunsInTheBuild => {
                word!(language, "runs when the program is built", "läuft, wenn das Programm gebaut wird")
            }
            Self::MakesAnImage => word!(language, "makes an image", "baut ein Image"),
            Self::SaysWhatItDependsOn => {
                word!(language, "says what it depends on", "bestimmt, wovon das Programm abhängt")
            }
            Self::IsALicence => word!(language, "is a licence", "ist eine Lizenz"),
        }
    }
}
