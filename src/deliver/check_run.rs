//! The check run `hob` on the head of each story's branch, brought up to date; with a token, which
//! may make none, the commit status. Like the status comment this is no queue: what is shown is
//! read from the store at the moment it is written. A check run is looked for by the story's id
//! before one is made, so that a hob that died in between makes no second.

use super::log::end_of_log;
use super::pace::{Pace, PaceKey};
use super::status::{Lines, phase_of, status_text};
use super::{Deliver, FIRST_WAIT, MAX_NOT_FOUND, MAX_REFUSALS, MAX_WAIT, is_refusal};
use crate::github::{
    Button, CheckRun, CheckRunText, CheckState, CommitStatus, Conclusion, GitHubError, MAX_DESCRIPTION,
    Repository,
};
use crate::ids::{CheckRunId, CommentId, Sha, TaskId};
use crate::message::{self, Phase};
use crate::store::{CheckToShow, CheckedHead, ShownCheck, StatusFacts};
use crate::story::checks::Checked;
use crate::story::{RETRY_BUTTON, STOP_BUTTON, Story, TaskState, button};
use sha2::{Digest as _, Sha256};

/// The name of hob's check run, and the context of its commit status.
pub const CHECK_NAME: &str = "hob";

/// What is to be shown beside a story's head.
struct Wanted {
    state: CheckState,
    title: String,
    summary: String,
    text: Option<String>,
    buttons: Vec<Button>,
    /// Where people read more.
    details_url: String,
}

/// Why nothing, or not all, was written.
pub(super) enum NotPublished {
    /// GitHub did not take it.
    GitHub(GitHubError),
    /// The store did not.
    Store(anyhow::Error),
}

impl From<GitHubError> for NotPublished {
    fn from(error: GitHubError) -> Self {
        Self::GitHub(error)
    }
}

impl From<anyhow::Error> for NotPublished {
    fn from(error: anyhow::Error) -> Self {
        Self::Store(error)
    }
}

impl Deliver {
    /// Ends what stands on earlier heads, and writes what is wanted on this one. The story's facts
    /// name the check run then.
    pub(super) async fn write_checks(
        &self,
        repository: &Repository,
        to_show: &CheckToShow,
        facts: &mut StatusFacts,
    ) -> Result<(), NotPublished> {
        let Some(head) = facts.story.remote_head.clone() else { return Ok(()) };
        let wanted = self.wanted(facts, &head, to_show.comment).await?;
        let story = facts.story.clone();
        for earlier in to_show.heads.iter().filter(|known| known.head != head && !known.is_completed) {
            self.end_earlier(repository, &story, &head, earlier, &wanted.details_url).await?;
        }
        let known = to_show.heads.iter().find(|known| known.head == head);
        if !repository.makes_check_runs() {
            return self.write_status_of(repository, &story, &head, known, commit_status(&wanted)).await;
        }
        facts.check_run = Some(self.write_check_run(repository, &story, &head, known, &wanted).await?);
        Ok(())
    }

    /// Records what came of writing a check run.
    pub(super) async fn check_is_shown(
        &self,
        to_show: &CheckToShow,
        facts: &StatusFacts,
        shown: Result<(), NotPublished>,
        (pace, who): (&Pace, PaceKey),
    ) -> anyhow::Result<()> {
        let is_over = matches!(
            phase_of(facts),
            Phase::Over | Phase::NotProposed | Phase::Waiting(_) | Phase::WaitingForGo(_)
        );
        let error = match shown {
            Ok(()) => {
                let pause = if is_over { FIRST_WAIT } else { self.pause_of(facts) };
                return self.store.checks_shown(to_show.story, facts.version, pause).await;
            }
            Err(NotPublished::Store(error)) => return Err(error),
            Err(NotPublished::GitHub(error)) => error,
        };
        if let GitHubError::RateLimited { .. } = error {
            pace.limit(who, error.retry_after().unwrap_or(FIRST_WAIT));
        }
        // Somebody has deleted it, or the commit; the next try makes another.
        if error == GitHubError::NotFound && to_show.tries >= MAX_NOT_FOUND {
            let head = facts.story.remote_head.as_ref();
            for known in to_show.heads.iter().filter(|known| Some(&known.head) == head || !known.is_completed)
            {
                self.store.check_is_gone(to_show.story, &known.head).await?;
            }
        }
        // What the App's rights do not allow is not asked for again until the story comes to stand
        // elsewhere.
        let is_hopeless = matches!(error, GitHubError::Forbidden(_)) || to_show.tries >= MAX_REFUSALS;
        if is_refusal(&error) && is_hopeless {
            tracing::error!(story = %to_show.story, %error, "GitHub rejected the check run");
            return self.store.checks_shown(to_show.story, facts.version, MAX_WAIT).await;
        }
        tracing::warn!(story = %to_show.story, %error, "updating the check run failed; will retry");
        let wait = (FIRST_WAIT * 2u32.pow(to_show.tries.min(10))).min(MAX_WAIT);
        self.store.checks_put_off(to_show.story, error.retry_after().unwrap_or(wait), true).await
    }

    async fn write_check_run(
        &self,
        repository: &Repository,
        story: &Story,
        head: &Sha,
        known: Option<&CheckedHead>,
        wanted: &Wanted,
    ) -> Result<CheckRunId, NotPublished> {
        let run = CheckRun::from(CheckRunText {
            name: CHECK_NAME,
            head: head.clone(),
            external_id: story.id.to_string(),
            details_url: wanted.details_url.clone(),
            state: wanted.state,
            title: wanted.title.clone(),
            summary: wanted.summary.clone(),
            text: wanted.text.clone(),
            buttons: wanted.buttons.clone(),
        });
        let says = digest(&run);
        let is_completed = matches!(wanted.state, CheckState::Completed(_));
        let says_so = known.and_then(|known| known.says.as_ref()) == Some(&says);
        let id = match known.and_then(|known| known.check_run) {
            Some(id) if says_so => id,
            Some(id) => {
                repository.update_check_run(id, &run).await?;
                id
            }
            None => self.ensure_check_run(repository, story, head, &run).await?,
        };
        if !says_so || known.is_none_or(|known| known.check_run != Some(id)) {
            let shown = ShownCheck { head, check_run: Some(id), says: &says, is_completed };
            self.store.check_written(story.id, shown).await?;
        }
        if is_completed && known.is_some_and(|known| known.is_unclear) {
            self.end_doubles(repository, story, head).await?;
        }
        Ok(id)
    }

    /// The story's check run on a commit: found, where an earlier try may have made it, or made.
    async fn ensure_check_run(
        &self,
        repository: &Repository,
        story: &Story,
        head: &Sha,
        run: &CheckRun,
    ) -> Result<CheckRunId, NotPublished> {
        let found = repository.find_check_runs(head, CHECK_NAME, &story.id.to_string()).await?;
        if let Some(found) = found.first() {
            repository.update_check_run(found.id, run).await?;
            return Ok(found.id);
        }
        match repository.create_check_run(run).await {
            Ok(id) => Ok(id),
            Err(error) => {
                // GitHub may carry it out later still, after the next look.
                if matches!(error, GitHubError::Unavailable(_) | GitHubError::Unexpected(_)) {
                    self.store.check_is_unclear(story.id, head).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Ends what GitHub has made of a try that hob believed lost. A check run cannot be deleted.
    async fn end_doubles(
        &self,
        repository: &Repository,
        story: &Story,
        head: &Sha,
    ) -> Result<(), NotPublished> {
        let own = self.store.check_run_of(story.id).await?;
        for found in repository.find_check_runs(head, CHECK_NAME, &story.id.to_string()).await? {
            if Some(found.id) != own && !found.is_completed {
                tracing::info!(check_run = %found.id, "completing a duplicate check run");
                let said = message::told_elsewhere();
                repository.end_check_run(found.id, Conclusion::Neutral, said, said).await?;
            }
        }
        Ok(self.store.check_is_clear(story.id, head).await?)
    }

    /// Ends what stands on a commit that is not the branch's head any more.
    async fn end_earlier(
        &self,
        repository: &Repository,
        story: &Story,
        head: &Sha,
        earlier: &CheckedHead,
        details_url: &str,
    ) -> Result<(), NotPublished> {
        let summary = message::moved_on(&self.web(story), &story.branch, head.as_str());
        let end = async |id: CheckRunId| {
            repository.end_check_run(id, Conclusion::Neutral, message::has_moved_on(), &summary).await
        };
        if !repository.makes_check_runs() {
            let status = CommitStatus {
                context: CHECK_NAME,
                state: "success",
                description: message::has_moved_on().to_owned(),
                target_url: details_url.to_owned(),
            };
            return self.write_status_of(repository, story, &earlier.head, Some(earlier), status).await;
        }
        match earlier.check_run {
            Some(id) => end(id).await?,
            // Perhaps there, and not recorded.
            None => {
                let name = story.id.to_string();
                for found in repository.find_check_runs(&earlier.head, CHECK_NAME, &name).await? {
                    end(found.id).await?;
                }
            }
        }
        let shown = ShownCheck {
            head: &earlier.head,
            check_run: earlier.check_run,
            says: message::has_moved_on(),
            is_completed: true,
        };
        Ok(self.store.check_written(story.id, shown).await?)
    }

    /// Sets a commit status, where it is another than the one that was set last.
    async fn write_status_of(
        &self,
        repository: &Repository,
        story: &Story,
        head: &Sha,
        known: Option<&CheckedHead>,
        status: CommitStatus,
    ) -> Result<(), NotPublished> {
        let says = digest(&status);
        if known.and_then(|known| known.says.as_ref()) == Some(&says) {
            return Ok(());
        }
        repository.set_commit_status(head, &status).await?;
        let shown =
            ShownCheck { head, check_run: None, says: &says, is_completed: status.state != "pending" };
        Ok(self.store.check_written(story.id, shown).await?)
    }

    /// What is to be shown.
    async fn wanted(
        &self,
        facts: &StatusFacts,
        head: &Sha,
        comment: Option<CommentId>,
    ) -> anyhow::Result<Wanted> {
        let story = &facts.story;
        let checked = self.store.checked_on(story.id, head).await?;
        let web = self.web(story);
        let lines = Lines::of(facts);
        let mut text = status_text(facts, &lines, &web, &self.config.agent);
        text.log = None;
        let log = match &facts.run {
            Some(run) => {
                let (record, agent) = (self.data.run(run.id).stdout, run.agent);
                let secrets = self.secrets.redactor();
                tokio::task::spawn_blocking(move || end_of_log(&record, agent, &secrets)).await?
            }
            None => Vec::new(),
        };
        let is_checking = self.store.is_checking_again(story.id).await?;
        let (state, title) = if is_checking && text.phase == Phase::Over {
            (CheckState::InProgress, message::checked_again().to_owned())
        } else {
            // Of what was stopped or failed, that is the news.
            let is_done = facts.task.as_ref().is_some_and(|task| task.state == TaskState::Done);
            let judged = checked.as_ref().filter(|_| is_done);
            (state_of(facts, judged), message::check_run_title(&text, judged))
        };
        let fragment = comment.map_or(String::new(), |comment| format!("#issuecomment-{comment}"));
        Ok(Wanted {
            state,
            title: self.secrets.redact(&title),
            summary: self.secrets.redact(&message::check_run_summary(&text)),
            text: message::check_run_text(checked.as_ref(), &log).map(|text| self.secrets.redact(&text)),
            buttons: buttons(facts),
            details_url: format!("{web}/issues/{}{fragment}", story.issue),
        })
    }

    /// A repository's page.
    fn web(&self, story: &Story) -> String {
        format!("{}/{}", self.config.github.git_url.trim_end_matches('/'), story.repo)
    }
}

/// Where the check run stands, which is where the story does.
fn state_of(facts: &StatusFacts, checked: Option<&Checked>) -> CheckState {
    use CheckState::{Completed, InProgress, Queued};
    match phase_of(facts) {
        Phase::Queued { .. }
        | Phase::WaitsUntil(_)
        | Phase::Retrying(..)
        | Phase::Gathering(_)
        | Phase::Listening(_)
        | Phase::WaitsForLimit(..) => Queued,
        Phase::Starting | Phase::Working | Phase::Planning | Phase::Stopping | Phase::Publishing => {
            InProgress
        }
        Phase::Waiting(_) | Phase::WaitingForGo(_) => Completed(Conclusion::ActionRequired),
        Phase::NotProposed => Completed(Conclusion::Failure),
        Phase::Over => Completed(match facts.task.as_ref().map(|task| task.state) {
            Some(TaskState::Failed) => Conclusion::Failure,
            Some(TaskState::Cancelled) => Conclusion::Cancelled,
            _ if checked.and_then(Checked::failing).is_some() => Conclusion::Failure,
            // What is on the branch waits for a review. Without a pull request nothing was to be
            // done.
            _ if facts.story.pull.is_some() && !facts.story.pull_unfinished => Conclusion::Success,
            _ => Conclusion::Neutral,
        }),
    }
}

/// The buttons that mean something now. Each names its task, so that one that is pressed late or
/// twice does no harm.
fn buttons(facts: &StatusFacts) -> Vec<Button> {
    let Some(task) = facts.task.as_ref().filter(|_| facts.ended.is_none()) else { return Vec::new() };
    let retry = |task: TaskId| Button {
        label: "Retry",
        description: "Do it again from where it stopped",
        identifier: button(RETRY_BUTTON, task),
    };
    let stop = |task: TaskId| Button {
        label: "Stop",
        description: "Stop, and push what has been done",
        identifier: button(STOP_BUTTON, task),
    };
    match phase_of(facts) {
        Phase::Stopping | Phase::Publishing => Vec::new(),
        Phase::Over | Phase::NotProposed => match task.state {
            TaskState::Failed | TaskState::Cancelled => vec![retry(task.id)],
            _ => Vec::new(),
        },
        _ => vec![stop(task.id)],
    }
}

fn commit_status(wanted: &Wanted) -> CommitStatus {
    let state = match wanted.state {
        CheckState::Queued | CheckState::InProgress => "pending",
        // A person is waited for: nothing has failed.
        CheckState::Completed(Conclusion::ActionRequired) => "pending",
        CheckState::Completed(Conclusion::Success | Conclusion::Neutral) => "success",
        CheckState::Completed(Conclusion::Failure) => "failure",
        CheckState::Completed(Conclusion::Cancelled) => "error",
    };
    CommitStatus {
        context: CHECK_NAME,
        state,
        description: wanted.title.chars().take(MAX_DESCRIPTION).collect(),
        target_url: wanted.details_url.clone(),
    }
}

/// By which hob knows what it has written last.
pub(super) fn digest(written: &impl serde::Serialize) -> String {
    let json = serde_json::to_vec(written).unwrap_or_default();
    hex::encode(&Sha256::digest(json)[..16])
}
