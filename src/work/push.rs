//! The push: what every way to the story branch has in common. What is pushed, and what follows
//! where the git host does not take it, is the caller's.

use std::path::PathBuf;

use super::start::blocking;
use super::{StepError, Worker};
use crate::git::{self, Push, PushError, Pushed};
use crate::ids::Sha;
use crate::story::{Story, Task};

/// What is to be on a story's branch.
pub(super) struct PushPlan {
    /// The repository of hob's own that has it.
    pub(super) quarantine: PathBuf,
    /// The commit.
    pub(super) tip: Sha,
    /// Where the branch has to be now; none if it must not be there.
    pub(super) expected: Option<Sha>,
    /// Whether the branch's commits were made again.
    pub(super) replaces: bool,
}

impl Worker {
    /// Pushes to a story's branch, or finds that this has been done. `holder` is the task that this
    /// worker has.
    pub(super) async fn push_to_branch(
        &self,
        holder: &Task,
        story: &Story,
        push: PushPlan,
    ) -> Result<Result<Pushed, PushError>, StepError> {
        let remote = self.remote(story).await?;
        let branch = story.branch.clone();
        // The git host knows nothing of leases: a worker that has lost the task pushes nothing.
        self.store.still_holds(holder).await?;
        blocking(move || {
            git::push(&Push {
                quarantine: &push.quarantine,
                remote: &remote,
                branch: &branch,
                tip: &push.tip,
                expected: push.expected.as_ref(),
                replaces: push.replaces,
            })
        })
        .await
    }
}
