//! What the people who review a pull request should look at closely, and why.

use serde::{Deserialize, Serialize};

/// The most paths to look at closely that are named.
pub const MAX_NOTABLE: usize = 20;

/// A path that a reviewer should look at closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewHint {
    /// The path.
    pub path: String,
    /// What such a file does.
    pub why: HintReason,
}

/// What a file does whose change does more than it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HintReason {
    /// A person has to let it through.
    IsProtected,
    /// It runs in CI.
    RunsInCi,
    /// It configures hob.
    SaysHowHobWorks,
    /// It says who reviews.
    SaysWhoReviews,
    /// It configures agents.
    ConfiguresAgents,
    /// It runs during the build.
    RunsInTheBuild,
    /// It makes an image.
    MakesAnImage,
    /// It says what the program depends on.
    SaysWhatItDependsOn,
    /// It is a licence.
    IsALicence,
}

impl HintReason {
    /// In words, behind the path.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::IsProtected => "is protected",
            Self::RunsInCi => "runs in CI",
            Self::SaysHowHobWorks => "configures hob",
            Self::SaysWhoReviews => "says who reviews",
            Self::ConfiguresAgents => "configures agents",
            Self::RunsInTheBuild => "runs during the build",
            Self::MakesAnImage => "makes an image",
            Self::SaysWhatItDependsOn => "declares dependencies",
            Self::IsALicence => "is a licence",
        }
    }
}
