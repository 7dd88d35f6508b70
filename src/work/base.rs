//! A base branch that has moved on, brought into the story branch: where nothing conflicts by hob
//! itself, in a throw-away repository of its own and without any run; else the agent gets the task.
//! May be repeated from the top: what is about to be pushed is written down first, so that a push
//! that has happened is known by the commit that the branch is at.

use super::check_again::evidence;
use super::import_child::ImportedCommits;
use super::joining::{MergeMethod, MergeSides};
use super::push::PushPlan;
use super::start::{blocking, github_error, make_private_folder, remote_error};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::fail_point::around;
use crate::git::{self, Joined, Mirror, PushError, Remote, RemoteError};
use crate::github::GitHubError;
use crate::ids::Sha;
use crate::message::{self, Branches, Detail};
use crate::paths;
use crate::prompt::PromptPurpose;
use crate::store::{StoryUpdate, Transition};
use crate::story::base::{AboutToPush, MergeReason};
use crate::story::checks::Checked;
use crate::story::{Run, RunReason, Story, Task, TaskKind, TaskState};

/// Where the two branches are.
struct Heads {
    story: Option<Sha>,
    base: Option<Sha>,
}

impl Worker {
    /// Brings the base branch in, or makes a run for it.
    pub(super) async fn follow_base(&self, job: &Job) -> Result<Option<Task>, StepError> {
        let TaskKind::Base(moved) = &job.task.ask.about else { return self.begin_run(job).await };
        let job = &self.with_present_base(job).await?;
        let story = &job.story;
        let branches = branches_of(story);
        let heads = self.heads(story, self.remote(story).await?).await?;
        if let Some(noted) = self.store.noted_push(&job.task).await?
            && heads.story.as_ref() == Some(&noted.tip)
        {
            return self.base_is_in(job, &noted).await;
        }
        let Some(head) = heads.story else {
            return Ok(Some(self.nothing_brought_in(job, message::no_branch_yet(branches)).await?));
        };
        let mut story = story.clone();
        let base = self.find_base(job, &mut story, heads.base).await?;
        let base =
            base.ok_or_else(|| StepError::not_ready(Detail::NoBaseAnyMore(story.base_branch.clone())))?;
        let job = &Job { task: job.task.clone(), story, file: job.file.clone() };
        let (story, branches) = (&job.story, branches_of(&job.story));
        let keeps_work = !story.handed_over && self.data.story(story.id).workspace.exists();
        if moved.rewrite && keeps_work {
            return Ok(Some(self.nothing_brought_in(job, message::rebase_would_lose(branches)).await?));
        }
        let root = self.root_of(story, &head, &base, false).await?;
        let gone = match &root {
            Some(root) if !self.base_has(story, &base, root).await? => Some(root.clone()),
            _ => None,
        };
        if gone.is_some() && !moved.rewrite {
            // Said also where nobody has asked: merged by people, the pull request would bring it
            // back.
            tracing::warn!(%base, "history of the base branch was rewritten; not merging it");
            let words = Some(message::base_was_rewritten(branches));
            let ended = self.end_join(job, TaskState::Done, Transition { words, ..Transition::default() });
            return Ok(Some(ended.await?));
        }
        let how = match moved.rewrite {
            true => MergeMethod::Rewrite { after: gone, at: None },
            false => MergeMethod::Merge(self.signed_off(job, &message::base_merge_subject(branches))),
        };
        let words = match self.join(job, how, &head, &base).await? {
            Joined::Done { .. } if moved.because == MergeReason::MovedIfConflict => String::new(),
            Joined::Done { tip, commits } => {
                let words = match moved.rewrite {
                    false => message::base_merged(branches, commits),
                    true => message::base_rebased(branches, commits, &head.as_str()[..10]),
                };
                let root = Some((story.base_branch.clone(), base));
                let push = AboutToPush { tip, from: Some(head.clone()), words, root };
                return self.push_joined(job, &head, push).await;
            }
            Joined::Conflicts(files) if moved.rewrite => message::rebase_conflicts(branches, &files),
            Joined::Conflicts(files) => {
                tracing::info!(
                    files = files.len(),
                    "base conflicts with the story branch; the agent resolves it"
                );
                return self.begin_run(job).await;
            }
            Joined::UpToDate => message::base_up_to_date(branches),
            Joined::Contained => message::base_has_it_all(branches),
            Joined::Unrelated => message::base_unrelated(branches),
        };
        Ok(Some(self.nothing_brought_in(job, words).await?))
    }

    /// The job with the base that its pull request has now: people may have it go elsewhere, and
    /// what it went to before must not be merged into it.
    async fn with_present_base(&self, job: &Job) -> Result<Job, StepError> {
        let mut job = self.job(job.task.clone()).await?;
        let Some(number) = job.story.open_pull() else { return Ok(job) };
        let repository = self.github.repository(&job.story.at()).await.map_err(github_error)?;
        let pull = match repository.pull_facts(number).await {
            Err(GitHubError::NotFound) => return Ok(job),
            pull => pull.map_err(github_error)?,
        };
        if pull.over.is_none() && job.story.goes_elsewhere(number, &pull.base) {
            tracing::info!(pull = %number, base = pull.base, "base branch of the pull request changed");
            self.store.pull_goes_to(None, job.story.id, number, &pull.base).await?;
            job.story.base_branch = pull.base;
        }
        Ok(job)
    }

    async fn heads(&self, story: &Story, remote: Remote) -> Result<Heads, StepError> {
        let path = self.data.mirror(&story.mirror);
        let (branch, base) = (story.branch.clone(), story.base_branch.clone());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            let find = |name: &str| mirror.branch(name).map_err(RemoteError::Other);
            Ok::<_, RemoteError>(Heads { story: find(&branch)?, base: find(&base)? })
        });
        found.await?.map_err(remote_error)
    }

    /// Merges or rebases in the story's throw-away repository.
    async fn join(&self, job: &Job, how: MergeMethod, head: &Sha, base: &Sha) -> Result<Joined, StepError> {
        let (mirror, paths) = (self.data.mirror(&job.story.mirror), self.data.story(job.story.id));
        let quarantine = paths.join.clone();
        blocking(move || -> anyhow::Result<()> {
            make_private_folder(&paths.folder, None)?;
            let mirror = Mirror::ensure(&mirror)?;
            around("disk", "join", || git::empty_quarantine(&mirror, &paths.join))
        })
        .await??;
        let sides = MergeSides { quarantine, ours: head.clone(), theirs: base.clone(), how };
        let mut joined = self.join_sides(sides).await?;
        match &mut joined {
            Joined::Done { tip, .. } => {
                *tip = self.sign_join(&job.story, self.data.story(job.story.id).join, tip.clone()).await?;
            }
            _ => {
                let folder = self.data.story(job.story.id).join;
                blocking(move || paths::remove_tree(&folder)).await??;
            }
        }
        Ok(joined)
    }

    async fn push_joined(&self, job: &Job, head: &Sha, push: AboutToPush) -> Result<Option<Task>, StepError> {
        self.store.note_push(&job.task, &push).await?;
        let replaces = matches!(&job.task.ask.about, TaskKind::Base(moved) if moved.rewrite);
        let to_push = PushPlan {
            quarantine: self.data.story(job.story.id).join,
            tip: push.tip.clone(),
            expected: Some(head.clone()),
            replaces,
        };
        match self.push_to_branch(&job.task, &job.story, to_push).await? {
            Ok(outcome) => {
                tracing::info!(?outcome, branch = job.story.branch, tip = %push.tip, replaces, "brought the base branch in");
                self.base_is_in(job, &push).await
            }
            // Looked at again: what was pushed meanwhile is built on then.
            Err(PushError::Moved { .. }) => Err(StepError::Later(anyhow::anyhow!(
                "the story branch moved while its base branch was brought in"
            ))),
            Err(PushError::Refused(text)) => {
                let detail = self.secrets.redact(&text);
                let words = message::base_not_pushed(branches_of(&job.story), &detail);
                let failure = Some(FailureClass::PushRefused);
                self.end_join(
                    job,
                    TaskState::Failed,
                    Transition { words: Some(words), failure, ..Transition::default() },
                )
                .await
                .map(Some)
            }
            Err(PushError::Unauthorized(_)) => Err(StepError::refused(Detail::TokenRefused)),
            Err(error) => Err(StepError::Later(error.into())),
        }
    }

    /// Ends a task whose push has happened, unless the repository's checks fail there: then an
    /// agent goes on.
    async fn base_is_in(&self, job: &Job, push: &AboutToPush) -> Result<Option<Task>, StepError> {
        if let Some(from) = &push.from {
            let pushed_onto = Some((from.clone(), push.tip.clone()));
            let change = StoryUpdate { pushed_onto, ..StoryUpdate::default() };
            self.store.change_story(&job.task, &change).await?;
        }
        let checked = Box::pin(self.check_pushed(job, &push.tip)).await?;
        if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
            let folder = self.data.story(job.story.id).join;
            blocking(move || paths::remove_tree(&folder)).await??;
            return self.begin_run_for(job, Some(turn)).await;
        }
        // A workspace that is still needed takes the commits in before its next run, like those
        // that people push.
        let is_free = job.story.handed_over || !self.data.story(job.story.id).workspace.exists();
        let base = is_free.then(|| (push.tip.clone(), Some(push.tip.clone())));
        let story = StoryUpdate { base, root: push.root.clone(), ..StoryUpdate::default() };
        let failing = message::still_failing(checked.as_ref());
        let words = Some(message::with_notes(&push.words, failing.as_slice()));
        let effects = evidence(job, checked.as_ref()).into_iter().collect();
        let advance = Transition { story, effects, words, ..Transition::default() };
        self.end_join(job, TaskState::Done, advance).await.map(Some)
    }

    /// Ends a task that changes nothing: with words where somebody waits for some.
    async fn nothing_brought_in(&self, job: &Job, words: String) -> Result<Task, StepError> {
        let is_asked = matches!(&job.task.ask.about, TaskKind::Base(moved) if moved.because.is_asked());
        tracing::info!(is_asked, "base branch has no new commits");
        let words = Some(words).filter(|_| is_asked);
        self.end_join(job, TaskState::Done, Transition { words, ..Transition::default() }).await
    }

    async fn end_join(&self, job: &Job, to: TaskState, advance: Transition) -> Result<Task, StepError> {
        let folder = self.data.story(job.story.id).join;
        blocking(move || paths::remove_tree(&folder)).await??;
        Ok(self.store.advance(&job.task, to, &advance).await?)
    }

    /// What a run is for that brings the base branch in, if it is for that. `moved`: the commit to
    /// merge.
    pub(super) fn purpose_of_base<'a>(
        job: &Job,
        run: &Run,
        moved: Option<&'a Sha>,
    ) -> Option<PromptPurpose<'a>> {
        let is_begun_with = matches!(run.turn, RunReason::Begin | RunReason::StartOver | RunReason::GoOn);
        (is_begun_with && matches!(job.task.ask.about, TaskKind::Base(_)))
            .then_some(PromptPurpose::MergeBase(moved))
    }

    /// The words about the end of a task of an agent's, with what was merged beside its work.
    pub(super) async fn words_with_joins(
        &self,
        job: &Job,
        words: String,
        taken: &ImportedCommits,
        checked: Option<&Checked>,
    ) -> Result<String, StepError> {
        let branches = branches_of(&job.story);
        let mut notes = Vec::new();
        let is_merge = matches!(job.task.ask.about, TaskKind::Base(_));
        let words = match taken.merged_in {
            0 => words,
            commits if is_merge => {
                notes.extend(message::still_failing(checked));
                message::base_merged_by_agent(branches, commits, self.spent_on(&job.task).await?)
            }
            commits => {
                notes.push(message::base_merged_note(branches, commits));
                words
            }
        };
        notes.extend(taken.with_theirs.then(|| message::theirs_merged_note(branches.story)));
        Ok(message::with_notes(&words, &notes))
    }
}

pub(super) fn branches_of(story: &Story) -> Branches<'_> {
    Branches { base: &story.base_branch, story: &story.branch }
}
