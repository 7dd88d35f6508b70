//! What people push to a story branch while an agent works: their commits stand, and the agent's
//! are brought together with them. hob merges by itself where nothing conflicts, in the run's
//! quarantine; else the agent is asked to, in its own workspace.

use super::import_child::ImportedCommits;
use super::joining::{MergeMethod, MergeSides};
use super::push::PushPlan;
use super::start::{blocking, remote_error};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::git::{Joined, Mirror, PushError, RemoteError};
use crate::ids::Sha;
use crate::message::{self, Detail};
use crate::store::StoryUpdate;
use crate::story::base::conflict_for_agent;
use crate::story::checks::Checked;
use crate::story::pull::PullState;
use crate::story::{Run, RunReason, Story, Task};

/// How often what is pushed meanwhile is merged in one go. Who pushes more often does so in a loop.
const MAX_MERGES: usize = 10;

/// How bringing an agent's commits to the story branch ended.
#[derive(Debug)]
pub(super) enum PushOutcome {
    /// They are there, with people's where there were some, and with what came of the checks on
    /// that.
    There(Box<ImportedCommits>, Option<Checked>),
    /// The agent goes on first, for this reason.
    Back(RunReason),
}

/// How the agent's commits and people's go together.
enum MergeResult {
    /// The branch has the agent's already.
    There,
    /// In this commit, which lies in the quarantine.
    Merged(Sha),
    /// Not without a hand: these paths conflict.
    Conflicts(Vec<String>),
    /// People have taken commits off the branch that the agent's build on.
    TakenBack,
}

impl Worker {
    /// Pushes what lies in a run's quarantine to its story's branch, or finds that this has been
    /// done, with what people have pushed since. A merge with that is checked like what was handed
    /// over.
    pub(super) async fn bring(
        &self,
        job: &Job,
        run: &Run,
        mut taken: ImportedCommits,
        mut checked: Option<Checked>,
    ) -> Result<PushOutcome, StepError> {
        let mut expected = job.story.remote_head.clone();
        // Nobody has asked for what fails in a draft that is not done, or in a pull request of
        // somebody else's.
        let is_proposed = !job.story.stays_unfinished(&job.task.ask.about) && !job.story.is_adopted();
        for _ in 0..MAX_MERGES {
            if is_proposed {
                // Before it is there: a check may fail on it within seconds, and what people push
                // on top is not hob's.
                let change = StoryUpdate { pushed: Some(taken.tip.clone()), ..StoryUpdate::default() };
                self.store.change_story(&job.task, &change).await?;
            }
            let Some(found) = self.push_at(&job.task, &job.story, run, &taken, expected.as_ref()).await?
            else {
                return Ok(PushOutcome::There(Box::new(taken), checked));
            };
            match self.meet(&job.story, run, &taken.tip, &found).await? {
                MergeResult::There => {
                    return Ok(PushOutcome::There(
                        Box::new(ImportedCommits { tip: found, ..taken }),
                        checked,
                    ));
                }
                MergeResult::Merged(tip) => {
                    tracing::info!(theirs = %found, %tip, "merged a concurrent push");
                    (taken.tip, expected) = (tip, Some(found));
                    taken.with_theirs = true;
                    checked = self.check(job, run, &taken).await?;
                    if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
                        return Ok(PushOutcome::Back(turn));
                    }
                }
                MergeResult::Conflicts(files) => {
                    let runs = self.store.runs_of(&job.task).await?;
                    let again = message::theirs_conflict(&files);
                    let turn = conflict_for_agent(files, &runs).ok_or_else(|| moved(again))?;
                    tracing::info!(theirs = %found, "concurrent push conflicts; the agent resolves it");
                    return Ok(PushOutcome::Back(turn));
                }
                MergeResult::TakenBack => return Err(moved(message::theirs_took_back())),
            }
        }
        Err(moved(String::new()))
    }

    /// The same for work that is cut short: nothing is checked, and what conflicts cannot be
    /// pushed. Gives back the commit that the branch is at.
    pub(super) async fn push(
        &self,
        holder: &Task,
        story: &Story,
        run: &Run,
        taken: &ImportedCommits,
    ) -> Result<Sha, StepError> {
        let mut taken = taken.clone();
        let mut expected = story.remote_head.clone();
        for _ in 0..MAX_MERGES {
            let Some(found) = self.push_at(holder, story, run, &taken, expected.as_ref()).await? else {
                return Ok(taken.tip);
            };
            match self.meet(story, run, &taken.tip, &found).await? {
                MergeResult::There => return Ok(found),
                MergeResult::Merged(tip) => (taken.tip, expected) = (tip, Some(found)),
                MergeResult::Conflicts(files) => {
                    return Err(moved(message::theirs_conflict(&files)));
                }
                MergeResult::TakenBack => return Err(moved(message::theirs_took_back())),
            }
        }
        Err(moved(String::new()))
    }

    /// One push. Gives back where the branch is, if that is not where it was expected. `holder` is
    /// the task that this worker has.
    async fn push_at(
        &self,
        holder: &Task,
        story: &Story,
        run: &Run,
        taken: &ImportedCommits,
        expected: Option<&Sha>,
    ) -> Result<Option<Sha>, StepError> {
        let to_push = PushPlan {
            quarantine: self.data.run(run.id).quarantine,
            tip: taken.tip.clone(),
            expected: expected.cloned(),
            replaces: false,
        };
        match self.push_to_branch(holder, story, to_push).await? {
            Ok(outcome) => {
                tracing::info!(?outcome, branch = story.branch, tip = %taken.tip, "pushed");
                Ok(None)
            }
            Err(PushError::Moved { found: Some(found) }) => Ok(Some(found)),
            // Gone with the merge, as GitHub does it by itself where it is set so: with what was
            // not merged it is there again.
            Err(PushError::Moved { found: None })
                if expected.is_some() && story.pull_state == PullState::Merged =>
            {
                Box::pin(self.push_at(holder, story, run, taken, None)).await
            }
            Err(error) => Err(push_error(error)),
        }
    }

    /// Merges what the branch is at into the agent's commits, in the run's quarantine.
    async fn meet(&self, story: &Story, run: &Run, tip: &Sha, found: &Sha) -> Result<MergeResult, StepError> {
        let remote = self.remote(story).await?;
        let path = self.data.mirror(&story.mirror);
        let quarantine = self.data.run(run.id).quarantine;
        let (theirs, before) = (found.clone(), story.remote_head.clone());
        let is_taken_back = blocking(move || {
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            Ok::<_, RemoteError>(
                before.is_some_and(|before| !mirror.holds(&theirs, &before).unwrap_or(false)),
            )
        });
        if is_taken_back.await?.map_err(remote_error)? {
            return Ok(MergeResult::TakenBack);
        }
        let sides = MergeSides {
            quarantine: quarantine.clone(),
            ours: tip.clone(),
            theirs: found.clone(),
            how: MergeMethod::Merge(message::theirs_merge_subject(&story.branch)),
        };
        Ok(match self.join_sides(sides).await? {
            Joined::Done { tip, .. } => MergeResult::Merged(self.sign_join(story, quarantine, tip).await?),
            Joined::Contained => MergeResult::There,
            Joined::Conflicts(files) => MergeResult::Conflicts(files),
            Joined::UpToDate | Joined::Unrelated => MergeResult::TakenBack,
        })
    }
}

/// What follows from a push that did not succeed.
pub(super) fn push_error(error: PushError) -> StepError {
    match error {
        PushError::Refused(text) => StepError::Fail { class: FailureClass::PushRefused, detail: text.into() },
        // Somebody has removed the branch: it is not for hob to bring it back.
        PushError::Moved { found: None } => moved(message::theirs_removed()),
        PushError::Moved { found: Some(_) } => moved(String::new()),
        PushError::Unauthorized(_) => {
            StepError::Fail { class: FailureClass::PushRefused, detail: Detail::TokenRefused }
        }
        other => StepError::Later(other.into()),
    }
}

pub(super) fn moved(detail: String) -> StepError {
    StepError::Fail { class: FailureClass::BranchMoved, detail: detail.into() }
}
