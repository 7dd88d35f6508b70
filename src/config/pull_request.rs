//! `[pull_request]`: what hob does about its pull requests by itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values;

/// `[pull_request]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullRequest {
    /// How long hob waits after a review, a failed check or a push to a base branch, so that it
    /// handles several of them together.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub wait: Duration,
    /// How often hob works on failed checks of one pull request by itself. `0` means never.
    pub fixes: u32,
    /// Labels for new pull requests, unless the repository names its own.
    pub labels: Vec<String>,
    /// Whether the story branch is removed once its pull request is merged, if nobody has pushed to
    /// it since.
    pub delete_branch: bool,
    /// Whether hob shows a check run on the head of each story branch; with a token, a commit
    /// status.
    pub check_run: bool,
    /// Whether hob brings the base branch of a pull request into its story branch: `"never"` (only
    /// on `/hob rebase`), `"conflicts"` (when the two would conflict; an agent resolves the
    /// conflict) or `"always"` (whenever the base branch changes; without a conflict hob merges
    /// without an agent). It needs the event *Push* or `github.poll`.
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
