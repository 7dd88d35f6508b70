//! `[pull_request]`: what hob does about its pull requests by itself.

use std::time::Duration;

use serde::Deserialize;

/// `[pull_request]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullRequest {
    /// How long hob waits after a review, or a check that has failed, for more of them, before it takes them up together.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub wait: Duration,
    /// How often hob takes up failed checks on one pull request by itself. 0: never.
    pub fixes: u32,
    /// Labels that a new pull request gets, where the repository names none.
    pub labels: Vec<String>,
    /// Whether the story branch is removed once its pull request is merged.
    pub delete_branch: bool,
    /// Whether hob shows a check run, or with a token a commit status, on the head of each story branch.
    pub check_run: bool,
}

impl Default for PullRequest {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            fixes: 2,
            labels: Vec::new(),
            delete_branch: false,
            check_run: true,
        }
    }
}
