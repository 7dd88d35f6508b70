//! Work that was cut short is shown as a draft pull request: opened with the first of it that comes
//! to the branch, and brought up to date each time it is cut short again. It becomes ready with the
//! task that ends well (`publish.rs`).

use super::publish::Proposed;
use super::{Job, StepError, Worker};
use crate::message::{self, SavedWork, UnfinishedText, WhyUnfinished};
use crate::store::NewEffect;
use crate::story::StopReason;
use crate::story::TaskKind;
use crate::story::pull::PullState;

impl Worker {
    /// The draft that shows the work of a task that ends, or waits, before it is done. Nothing
    /// where people look at the work as it is already, where none of it is on the branch, or where
    /// it is not wanted any more.
    pub(super) async fn draft(
        &self,
        job: &Job,
        why: WhyUnfinished<'_>,
        kept: Option<&SavedWork>,
    ) -> Result<Option<NewEffect>, StepError> {
        let story = &job.story;
        let is_wanted = match story.pull {
            Some(_) => story.draft_pull().is_some(),
            None => matches!(kept, Some(SavedWork::Pushed { .. })) && !is_the_end(&why),
        };
        if !is_wanted || story.pull_state != PullState::Open || story.is_gone {
            return Ok(None);
        }
        let Some(run) = self.store.latest_run(&job.task).await? else { return Ok(None) };
        let asked_on = job.task.ask.on.unwrap_or(story.issue);
        let todo = self.store.todo_of(&job.task).await?;
        let has_checks = !job.file.checks.is_empty();
        let unfinished = message::unfinished(&UnfinishedText {
            why,
            issue: story.issue,
            asked_on,
            todo: &todo,
            has_checks,
        });
        let proposed =
            Proposed { ends_well: false, unfinished: Some(&unfinished), checked: None, notable: &[] };
        Ok(Some(NewEffect::new(self.proposal(job, &run, &proposed).await?)))
    }

    /// What a pull request says of the sub-issues that come after the one of this task: it is not
    /// done before they are.
    pub(super) async fn parts_to_come(&self, job: &Job) -> Result<Option<String>, StepError> {
        let TaskKind::SubIssue(together) = &job.task.ask.about else { return Ok(None) };
        if together.next().is_none() {
            return Ok(None);
        }
        let standings = self.store.standings(job.story.id, Some(job.task.id)).await?;
        let done = standings.iter().filter(|standing| standing.is_done).count();
        let why = WhyUnfinished::Parts { done, of: standings.len() };
        let issue = job.story.issue;
        let text = UnfinishedText { why, issue, asked_on: issue, todo: &[], has_checks: false };
        Ok(Some(message::unfinished(&text)))
    }
}

/// Whether nobody is to look at what there is, unless they look already.
fn is_the_end(why: &WhyUnfinished<'_>) -> bool {
    matches!(why, WhyUnfinished::Stopped(StopReason::Ended { .. } | StopReason::Pull { .. }))
}
