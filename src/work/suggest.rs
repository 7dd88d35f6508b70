//! Suggestions in reviews, applied as such: before a run is made, hob itself makes a commit of each
//! that fits and pushes them, the reviewer as co-author. An agent that works after that finds them
//! on its branch, as it finds what people push. What does not fit any more it is told as words. A
//! round of nothing but suggestions that fit needs no agent.
//!
//! May be repeated from the top: what is about to be pushed is written down first, and is known
//! again by its commit.

use anyhow::Context as _;

use super::check_again::evidence;
use super::commits::{co_author, login};
use super::concurrent_push::push_error;
use super::push::PushPlan;
use super::start::{blocking, remote_error};
use super::{Job, StepError, Worker};
use crate::config::PathGlobs;
use crate::fail_point::around;
use crate::git::{self, Mirror, PushError, RemoteError, Replacement, STORY_TRAILER};
use crate::ids::{ReviewCommentId, Sha};
use crate::message;
use crate::paths;
use crate::redact::Redactor;
use crate::store::{StoryUpdate, Transition};
use crate::story::plan::TaskMode;
use crate::story::review::{Applied, AppliedSuggestions, LineComment, ReviewBatch, ThreadKind, suggestion};
use crate::story::{RunReason, Task, TaskKind, TaskState};

/// The throw-away repository, in the story's folder.
const FOLDER: &str = "suggestions";
/// Tries where somebody pushes to the branch at the same time.
const MAX_TRIES: u32 = 3;

impl Worker {
    /// Applies what a task's reviews suggest, before its first run.
    pub(super) async fn apply_suggestions(&self, job: &Job) -> Result<Suggestions, StepError> {
        let TaskKind::Review(round) = &job.task.ask.about else { return Ok(Suggestions::GoOn(None)) };
        let has_begun = self.store.latest_run(&job.task).await?.is_some();
        if has_begun || job.task.mode != TaskMode::Work || job.story.pull.is_none() {
            return Ok(Suggestions::GoOn(None));
        }
        let mut tip = None;
        for _ in 0..MAX_TRIES {
            match self.try_suggestions(job, round).await? {
                Tried::Done(pushed) => {
                    tip = pushed;
                    break;
                }
                Tried::Moved => {}
            }
        }
        let applied = self.store.applied_suggestions(job.story.id).await?;
        if !round.is_done_with(&applied) {
            return Ok(Suggestions::GoOn(None));
        }
        let before = self.store.suggested(job.task.id).await?.filter(|suggested| suggested.is_pushed);
        tip = tip.or(before.map(|suggested| suggested.tip));
        // What people suggest can break what they did not look at.
        let checked = match &tip {
            Some(tip) => Box::pin(self.check_pushed(job, tip)).await?,
            None => None,
        };
        if let Some(turn) = self.back_to_agent(job, checked.as_ref()).await? {
            return Ok(Suggestions::GoOn(Some(turn)));
        }
        tracing::info!(
            suggestions = round.remarks().count(),
            "review consists of suggestions that all apply"
        );
        let words = message::review::suggestions_applied(round.remarks().count());
        let failing = message::still_failing(checked.as_ref());
        let words = message::with_notes(&words, failing.as_slice());
        let mut effects = self.review_answers(job, tip.as_ref()).await?;
        effects.extend(evidence(job, checked.as_ref()));
        let advance = Transition { words: Some(words), effects, ..Transition::default() };
        let done = self.store.advance(&job.task, TaskState::Done, &advance).await?;
        Ok(Suggestions::WereAll(Box::new(done)))
    }

    async fn try_suggestions(&self, job: &Job, round: &ReviewBatch) -> Result<Tried, StepError> {
        let applied = self.store.applied_suggestions(job.story.id).await?;
        let wanted = self.replacements(job, round, &applied);
        if wanted.is_empty() {
            return Ok(Tried::Done(None));
        }
        let planned = self.store.suggested(job.task.id).await?;
        let Some((head, is_there)) = self.look_at_branch(job, planned.as_ref()).await? else {
            return Ok(Tried::Done(None));
        };
        if let Some(planned) = planned.filter(|_| is_there) {
            return self.suggestions_are_pushed(job, planned).await;
        }
        let folder = self.data.story(job.story.id).folder.join(FOLDER);
        let Some(suggested) = self.commit_suggestions(job, &head, &folder, wanted).await? else {
            return Ok(Tried::Done(None));
        };
        self.store.note_suggested(&job.task, &suggested).await?;
        let to_push = PushPlan {
            quarantine: folder.clone(),
            tip: suggested.tip.clone(),
            expected: Some(head),
            replaces: false,
        };
        match self.push_to_branch(&job.task, &job.story, to_push).await? {
            Ok(_) => {
                blocking(move || paths::remove_tree(&folder)).await??;
                self.suggestions_are_pushed(job, suggested).await
            }
            Err(PushError::Moved { .. }) => Ok(Tried::Moved),
            // A protected path for example: the agent is told what is suggested, and what comes of
            // that is told to people.
            Err(PushError::Refused(why)) => {
                tracing::warn!(reason = why, "pushing suggestions failed; the agent handles them");
                Ok(Tried::Done(None))
            }
            Err(error) => Err(push_error(error)),
        }
    }

    /// Where the story branch is now, and whether what was planned is on it.
    async fn look_at_branch(
        &self,
        job: &Job,
        planned: Option<&AppliedSuggestions>,
    ) -> Result<Option<(Sha, bool)>, StepError> {
        let remote = self.remote(&job.story).await?;
        let (path, branch) = (self.data.mirror(&job.story.mirror), job.story.branch.clone());
        let planned = planned.map(|planned| planned.tip.clone());
        let found = blocking(move || {
            let mirror = Mirror::ensure(&path).map_err(RemoteError::Other)?;
            mirror.fetch(&remote)?;
            let Some(head) = mirror.branch(&branch).map_err(RemoteError::Other)? else { return Ok(None) };
            // A commit that the mirror does not have is on no branch.
            let is_there = planned.is_some_and(|tip| mirror.holds(&head, &tip).unwrap_or(false));
            Ok::<_, RemoteError>(Some((head, is_there)))
        });
        found.await?.map_err(remote_error)
    }

    async fn suggestions_are_pushed(
        &self,
        job: &Job,
        suggested: AppliedSuggestions,
    ) -> Result<Tried, StepError> {
        let suggested = AppliedSuggestions { is_pushed: true, ..suggested };
        self.store.note_suggested(&job.task, &suggested).await?;
        tracing::info!(commits = suggested.applied.len(), tip = %suggested.tip, "suggestions applied");
        // A workspace that is kept takes them in before its next run, as it does what people push.
        let is_free = job.story.handed_over || !self.data.story(job.story.id).workspace.exists();
        let change = StoryUpdate {
            base: is_free.then(|| (suggested.tip.clone(), Some(suggested.tip.clone()))),
            pushed_onto: Some((suggested.from, suggested.tip.clone())),
            ..StoryUpdate::default()
        };
        self.store.change_story(&job.task, &change).await?;
        Ok(Tried::Done(Some(suggested.tip)))
    }

    /// Makes the commits. None: not one suggestion fits.
    async fn commit_suggestions(
        &self,
        job: &Job,
        head: &Sha,
        folder: &std::path::Path,
        wanted: Vec<(ReviewCommentId, Replacement)>,
    ) -> Result<Option<AppliedSuggestions>, StepError> {
        let author = self.author();
        let (path, folder, from) = (self.data.mirror(&job.story.mirror), folder.to_owned(), head.clone());
        let key = self.signing_key.clone();
        let made = blocking(move || -> anyhow::Result<Option<AppliedSuggestions>> {
            let mirror = Mirror::ensure(&path)?;
            let (ids, replacements): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
            let commits = around("git", "suggestions", || {
                git::apply_replacements(&mirror, &folder, &from, &author, &replacements)
            })?;
            let fit = ids.into_iter().zip(commits).filter_map(|(id, commit)| Some((id, commit?)));
            let mut applied: Vec<(ReviewCommentId, Sha)> = fit.collect();
            let Some((_, last)) = applied.last().cloned() else { return Ok(None) };
            let tip = match &key {
                None => last,
                Some(key) => {
                    let tip = git::sign(&mirror, &folder, &last, key)?;
                    let signed = git::chain(&folder, &tip, applied.len())?;
                    for ((_, commit), signed) in applied.iter_mut().zip(signed) {
                        *commit = signed;
                    }
                    tip
                }
            };
            Ok(Some(AppliedSuggestions { from, tip, applied, is_pushed: false }))
        });
        Ok(made.await?.context("creating commits from suggestions")?)
    }

    /// What is to be replaced: each suggestion that stands alone in its thread, is about lines of
    /// the change, and touches nothing that a person has to allow.
    fn replacements(
        &self,
        job: &Job,
        round: &ReviewBatch,
        applied: &Applied,
    ) -> Vec<(ReviewCommentId, Replacement)> {
        let protected = self.config.policy_of(&job.file).protected_paths;
        let secrets = self.secrets.redactor();
        let mut wanted = Vec::new();
        for thread in round.threads() {
            let ThreadKind::Lines(remarks) = &thread.what else { continue };
            let [(by, remark)] = remarks.as_slice() else { continue };
            if applied.commit_of(remark.id).is_some() {
                continue;
            }
            let Some(Exact { lines, seen_at, with }) = exact(remark, &protected, &secrets) else { continue };
            let number =
                round.reviews.iter().find(|review| review.by == **by).and_then(|review| review.by_id);
            wanted.push((
                remark.id,
                Replacement {
                    file: remark.at.file.clone(),
                    lines,
                    seen_at,
                    with,
                    message: self.suggestion_message(job, &remark.at.file, by, number),
                    at_second: remark.at_second,
                },
            ));
        }
        wanted
    }

    fn suggestion_message(&self, job: &Job, file: &str, by: &str, number: Option<u64>) -> String {
        let (git_url, story) = (self.config.github.git_url.trim_end_matches('/'), &job.story);
        let file: String = file.chars().filter(|c| !c.is_control()).collect();
        let by = login(by);
        let message = format!(
            "Apply a suggestion of {by}'s to {file}\n\n{STORY_TRAILER}: {git_url}/{}/issues/{}\nCo-authored-by: {}\n",
            story.repo,
            story.issue.0,
            co_author(&by, number)
        );
        self.signed_off(job, &message)
    }
}

/// What a comment suggests, where it can be put in as it stands.
#[derive(Debug, PartialEq, Eq)]
struct Exact {
    /// The first and the last line that go.
    lines: (u32, u32),
    /// The commit that has them.
    seen_at: Sha,
    /// What comes in their place.
    with: Vec<String>,
}

/// None where it is not about lines that the change has, where a person has to allow the path, and
/// where it holds a secret.
fn exact(remark: &LineComment, protected: &PathGlobs, secrets: &Redactor) -> Option<Exact> {
    let with = suggestion(&remark.text)?.lines;
    let at = &remark.at;
    let (lines, seen_at) = ((at.first?, at.last?), at.commit.clone()?);
    let holds_secret = secrets.finds(with.join("\n").as_bytes());
    let may_be = !at.is_old_side && !holds_secret && !protected.matches(&at.file);
    may_be.then_some(Exact { lines, seen_at, with })
}

/// What follows from a task's suggestions.
pub(super) enum Suggestions {
    /// They were all that there was to do.
    WereAll(Box<Task>),
    /// An agent has to work, for this reason where it is one that comes of them.
    GoOn(Option<RunReason>),
}

/// What came of a try to apply suggestions.
enum Tried {
    /// It is done, with the last commit, or there was nothing to do.
    Done(Option<Sha>),
    /// Somebody has pushed meanwhile.
    Moved,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::review::tests::remark;

    #[test]
    fn only_what_may_be_put_in_as_it_stands_is() {
        let protected = PathGlobs::new(vec!["deploy/**".to_owned()]).unwrap();
        let secrets = Redactor::new(["canary-0123456789"]);
        let exact = |remark: &LineComment| exact(remark, &protected, &secrets);
        let fine = remark(1, "run.sh", (2, 3), "```suggestion\na\nb\n```");
        let made = exact(&fine).unwrap();
        assert_eq!((made.lines, made.with), ((2, 3), vec!["a".to_owned(), "b".to_owned()]));

        let changed = |change: fn(&mut LineComment)| {
            let mut other = fine.clone();
            change(&mut other);
            other
        };
        for other in [
            changed(|other| other.text = "a".to_owned()),
            // Lines that the change has taken out, lines that begin there, and a whole file.
            changed(|other| other.at.is_old_side = true),
            changed(|other| other.at.first = None),
            changed(|other| (other.at.first, other.at.last) = (None, None)),
            changed(|other| other.at.commit = None),
            changed(|other| other.at.file = "deploy/run.sh".to_owned()),
            changed(|other| other.text = "```suggestion\nkey=canary-0123456789\n```".to_owned()),
        ] {
            assert_eq!(exact(&other), None, "{other:?}");
        }
    }
}
