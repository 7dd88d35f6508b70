//! Before an agent is paid: what would keep its work from the git host and its pull request, as far
//! as that is known beforehand. And the base branch: whether it is there, how it is called by now,
//! and whether it still has what the story's work builds on. People rewrite a history to take
//! something off it; hob does not bring that back.

use super::base::branches_of;
use super::import_child::ImportedCommits;
use super::joining::{MergeMethod, MergeSides};
use super::save_work::ended_at;
use super::start::{blocking, github_error, remote_error};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::git::{Joined, Mirror, RemoteError};
use crate::ids::Sha;
use crate::message::{self, Detail};
use crate::store::StoryUpdate;
use crate::story::{Run, Story};

/// More branches than this are not named as what is in the way.
const MAX_IN_THE_WAY: usize = 5;

/// What the git host has of a story's branches.
struct Branches {
    /// Where the story branch is.
    story: Option<Sha>,
    /// Where its base is.
    base: Option<Sha>,
    /// Branches that keep the story branch from being made.
    in_the_way: Vec<String>,
    /// Whether there is no branch at all.
    is_empty: bool,
}

impl Worker {
    /// Looks for what would keep the work of a run that is about to start from people, with the
    /// mirror fetched. Gives back the job with its base as it is called by now. `is_kept`: whether
    /// the run goes on in a workspace that is there.
    pub(super) async fn preflight(&self, job: &Job, is_kept: bool) -> Result<Job, StepError> {
        self.check_repository(job).await?;
        let branches = self.fetch_branches(&job.story).await?;
        if branches.is_empty {
            return Err(StepError::not_ready(Detail::EmptyRepository(job.story.base_branch.clone())));
        }
        let mut story = job.story.clone();
        let Some(base) = self.find_base(job, &mut story, branches.base).await? else {
            return Err(StepError::not_ready(Detail::NoBaseToStart(story.base_branch)));
        };
        if story.branch == story.base_branch {
            return Err(StepError::not_ready(Detail::BaseIsStoryBranch(story.branch)));
        }
        if branches.story.is_none() && !branches.in_the_way.is_empty() {
            let detail = Detail::BranchInTheWay { branch: story.branch, others: branches.in_the_way };
            return Err(StepError::not_ready(detail));
        }
        if !story.is_adopted() {
            story.root = self.check_root(job, &story, branches.story.as_ref(), &base, is_kept).await?;
        }
        Ok(Job { task: job.task.clone(), story, file: job.file.clone() })
    }

    /// A repository that can only be read is found out for one request. Where GitHub does not tell,
    /// git will.
    async fn check_repository(&self, job: &Job) -> Result<(), StepError> {
        let story = &job.story;
        let state = match self.github.repository(&story.at()).await {
            Ok(repository) => repository.state().await,
            Err(error) => Err(error),
        };
        match state {
            Ok(state) if state.archived || state.disabled => {
                Err(StepError::not_ready(Detail::RepositoryReadOnly))
            }
            Ok(state) if story.installation.is_none() && state.refuses_pushes() => {
                Err(StepError::not_ready(Detail::MayNotPush))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "reading the repository's state failed");
                Ok(())
            }
        }
    }

    async fn fetch_branches(&self, story: &Story) -> Result<Branches, StepError> {
        let remote = self.remote(story).await?;
        let path = self.data.mirror(&story.mirror);
        let names = (story.branch.clone(), story.base_branch.clone());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            let read = || -> anyhow::Result<Branches> {
                Ok(Branches {
                    story: mirror.branch(&names.0)?,
                    base: mirror.branch(&names.1)?,
                    in_the_way: mirror.in_the_way_of(&names.0, MAX_IN_THE_WAY)?,
                    is_empty: mirror.is_empty()?,
                })
            };
            read().map_err(RemoteError::Other)
        });
        found.await?.map_err(remote_error)
    }

    /// The commit that a story's base is at. A base that is not there under its name any more is
    /// looked for under the one that people have given it; that is noted.
    pub(super) async fn find_base(
        &self,
        job: &Job,
        story: &mut Story,
        found: Option<Sha>,
    ) -> Result<Option<Sha>, StepError> {
        if found.is_some() {
            return Ok(found);
        }
        let repository = self.github.repository(&story.at()).await.map_err(github_error)?;
        let is_chosen = self.store.is_base_chosen(story.id).await?;
        let is_default =
            !is_chosen && job.file.base.as_ref() != Some(&story.base_branch) && !story.is_adopted();
        let name = repository.present_branch(&story.base_branch, is_default).await.map_err(github_error)?;
        let Some(name) = name.filter(|name| *name != story.base_branch) else { return Ok(None) };
        let (path, wanted) = (self.data.mirror(&story.mirror), name.clone());
        let Some(base) = blocking(move || Mirror::ensure(&path)?.branch(&wanted)).await?? else {
            return Ok(None);
        };
        tracing::info!(old_base = story.base_branch, base = name, "base branch renamed");
        self.store.base_is_called(&job.task, &name).await?;
        story.root = story.root.take().map(|(branch, commit)| match branch == story.base_branch {
            true => (name.clone(), commit),
            false => (branch, commit),
        });
        story.base_branch = name;
        Ok(Some(base))
    }

    /// The commit of the base that a story's work builds on, as far as there is work; noted where
    /// it was not known. A base that does not have it any more was rewritten: what is on the story
    /// branch would bring back what people took off. Work that is not pushed yet can be put on the
    /// base as it is now, and is, when it is published.
    async fn check_root(
        &self,
        job: &Job,
        story: &Story,
        branch: Option<&Sha>,
        base: &Sha,
        is_kept: bool,
    ) -> Result<Option<(String, Sha)>, StepError> {
        let Some(work) = branch.or(story.base.as_ref().filter(|_| is_kept)) else { return Ok(None) };
        let Some(root) = self.root_of(story, work, base, branch.is_none()).await? else {
            let (branch, base) = (story.branch.clone(), story.base_branch.clone());
            return match is_kept {
                true => Ok(None),
                false => Err(StepError::not_ready(Detail::Unrelated { branch, base })),
            };
        };
        if branch.is_some() && !is_kept && !self.base_has(story, base, &root).await? {
            return Err(rewritten(message::base_was_rewritten(branches_of(story))));
        }
        let root = (story.base_branch.clone(), root);
        if story.root.as_ref() != Some(&root) {
            let change = StoryUpdate { root: Some(root.clone()), ..StoryUpdate::default() };
            self.store.change_story(&job.task, &change).await?;
        }
        Ok(Some(root))
    }

    /// The commit of the base that `work` builds on. Where that was not noted, work that is on no
    /// branch yet began with a commit of the base; other work left it where the two part now.
    pub(super) async fn root_of(
        &self,
        story: &Story,
        work: &Sha,
        base: &Sha,
        is_unpushed: bool,
    ) -> Result<Option<Sha>, StepError> {
        if let Some(known) = story.root_on_base() {
            return Ok(Some(known.clone()));
        }
        if is_unpushed && story.base.is_some() {
            return Ok(story.base.clone());
        }
        let (path, work, base) = (self.data.mirror(&story.mirror), work.clone(), base.clone());
        Ok(blocking(move || Mirror::ensure(&path)?.merge_base(&work, &base)).await??)
    }

    /// Whether the base has a commit in its history. One that the mirror does not know any more it
    /// has not.
    pub(super) async fn base_has(&self, story: &Story, base: &Sha, commit: &Sha) -> Result<bool, StepError> {
        let (path, base, commit) = (self.data.mirror(&story.mirror), base.clone(), commit.clone());
        blocking(move || Ok(Mirror::ensure(&path)?.holds(&base, &commit).unwrap_or(false))).await?
    }

    /// Commits that were handed over, put on the base as it is now where its history was rewritten
    /// under them. Those of a branch that people have already stay as they are; gives back what is
    /// to be said of that.
    pub(super) async fn on_present_base(
        &self,
        job: &Job,
        run: &Run,
        mut taken: ImportedCommits,
    ) -> Result<(ImportedCommits, Option<String>), StepError> {
        if job.story.is_adopted() {
            return Ok((taken, None));
        }
        let mut story = job.story.clone();
        let found = self.fetch_branches(&story).await?.base;
        let Some(base) = self.find_base(job, &mut story, found).await? else { return Ok((taken, None)) };
        let is_unpushed = story.remote_head.is_none();
        let work = story.base.clone().unwrap_or_else(|| base.clone());
        let Some(root) = self.root_of(&story, &work, &base, is_unpushed).await? else {
            return Ok((taken, None));
        };
        if self.base_has(&story, &base, &root).await? {
            return Ok((taken, None));
        }
        tracing::warn!(%root, %base, "history of the base branch was rewritten");
        if !is_unpushed {
            return Ok((taken, Some(message::base_was_rewritten(branches_of(&story)))));
        }
        let quarantine = self.data.run(run.id).quarantine;
        let sides = MergeSides {
            quarantine: quarantine.clone(),
            ours: taken.tip.clone(),
            theirs: base.clone(),
            // The same commits each time that the same work is published.
            how: MergeMethod::Rewrite { after: Some(root), at: Some(ended_at(run).as_second()) },
        };
        match self.join_sides(sides).await? {
            Joined::Done { tip, commits } => {
                taken.tip = self.sign_join(&story, quarantine, tip).await?;
                (taken.commits, taken.merged_in) = (commits, 0);
                taken.onto = Some(base);
                let note = message::put_on_rewritten_base(branches_of(&story));
                Ok((taken, Some(note)))
            }
            Joined::Conflicts(files) => {
                Err(rewritten(message::conflicts_with_rewritten_base(branches_of(&story), &files)))
            }
            Joined::UpToDate | Joined::Contained | Joined::Unrelated => {
                Err(rewritten(message::conflicts_with_rewritten_base(branches_of(&story), &[])))
            }
        }
    }
}

fn rewritten(words: String) -> StepError {
    StepError::Fail { class: FailureClass::BaseRewritten, detail: words.into() }
}
