//! Commands on pull requests that hob did not open. Where one asks for work, the story is on that
//! pull request and its branch: hob pushes there and leaves everything else about it to people.
//! What cannot be: forks, branches that are nobody's to work on.

use anyhow::Context as _;

use super::{EventContext, Intake, Settled};
use crate::ids::PullNumber;
use crate::message::{self, AdoptionRefusal};
use crate::store::AdoptedPull;
use crate::story::Story;

impl Intake {
    /// The pull request of somebody else's that work is asked for on; none where this is another
    /// place. Or why not there.
    pub(super) async fn their_pull(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
    ) -> anyhow::Result<Result<Option<AdoptedPull>, AdoptionRefusal>> {
        let number = PullNumber(on.issue.number.0);
        if !on.issue.is_pull_request || story.is_some_and(|story| story.pull == Some(number)) {
            return Ok(Ok(None));
        }
        let repository = self.github.repository(&on.place.at()).await?;
        let pull = repository.pull(number).await.context("reading the pull request")?;
        self.check_recorded(on, &pull).await?;
        // One of hob's own that is past is not open either.
        if !pull.is_open || story.is_some_and(|story| story.issue != on.issue.number) {
            return Ok(Err(AdoptionRefusal::Over));
        }
        if pull.is_from_fork {
            return Ok(Err(AdoptionRefusal::Fork));
        }
        if pull.head == on.place.default_branch || pull.head == pull.base {
            return Ok(Err(AdoptionRefusal::DefaultBranch(pull.head)));
        }
        let owner = self.store.story_on_branch(&on.place.repo, &pull.head).await?;
        if let Some(owner) = owner.filter(|owner| owner.issue != on.issue.number) {
            return Ok(Err(AdoptionRefusal::StoryBranch(pull.head, owner.issue)));
        }
        Ok(Ok(Some(AdoptedPull { number, head: pull.head, base: pull.base })))
    }

    /// Says why nothing is done on a pull request that hob did not open.
    pub(super) async fn not_there(
        &self,
        on: &EventContext<'_>,
        story: Option<Story>,
        why: AdoptionRefusal,
    ) -> anyhow::Result<Settled> {
        self.reply(on, story, "confused", message::not_there(&why)).await
    }
}
