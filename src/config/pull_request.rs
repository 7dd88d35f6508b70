//! `[pull_request]`: what hob does about its pull requests by itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values;

/// `[pull_request]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullRequest {
    /// How long hob waits after a review, a check that has failed, or a push to a base branch, for more of them, before it takes them
    /// up together.
    #[serde(deserialize_with = "values::duration")]
    pub wait: Duration,
    /// How often hob takes up failed checks on one pull request by itself. 0: never.
    pub fixes: u32,
    /// Labels that a new pull request gets, where the repository names none.
    pub labels: Vec<String>,
    /// Whether the story branch is removed once its pull request is merged.
    pub delete_branch: bool,
    /// Whether hob shows a check run, or with a token a commit status, on the head of each story branch.
    pub check_run: bool,
    /// Whether story branches take in what their base branch gets.
    pub follow_base: FollowBase,
}

/// Whether story branches take in what their base branch gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowBase {
    /// Only on `/hob rebase`.
    #[default]
    Never,
    /// When the two would conflict.
    Conflicts,
    /// Whenever it moves.
    Always,
}

impl Default for PullRequest {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            fixes: 2,
            labels: Vec::new(),
            delete_branch: false,
            check_run: true,
            follow_base: FollowBase::default(),
        }
    }
}
