//! The status comment of each story, brought up to date, the label beside it, and with it the check
//! run (`check_run.rs`). This is no queue: what is shown is read from the store at the moment it is
//! written, so a repeated or a late edit does no harm, and many changes become one. What says the
//! same is not sent again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::check_run::digest;
use super::pace::{Pace, PaceKey, Urgency};
use super::{Deliver, Ended, FIRST_WAIT, MAX_NOT_FOUND, MAX_REFUSALS, MAX_WAIT, Running, is_refusal};
use crate::clock;
use crate::config::Agent;
use crate::github::{GitHubError, Repository};
use crate::ids::{CommentId, EffectId, InstallationId, StoryId};
use crate::lanes::Lanes;
use crate::markdown::Hidden;
use crate::message::{self, EndedPull, Phase, RetryCount, Spent, StatusText};
use crate::redact::Secrets;
use crate::store::{CheckToShow, StatusFacts, StoryToShow, WantedEffect};
use crate::story::plan::TaskMode;
use crate::story::pull::PullState;
use crate::story::{Outcome, QuestionKind, Run, Story, TaskKind, TaskState};

/// The longest pause between two edits while an agent works.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// What is over sooner is not shown before its end, nor what is over before twice
/// `github.status_every`.
const MIN_SHOWN: Duration = Duration::from_secs(3);
/// After so many times `github.status_every` of an agent's work the issue is labelled: two minutes,
/// by default.
const LABELLED_AFTER: u32 = 24;

/// The label of an issue that is worked on, behind hob's own.
const WORKING: &str = "working";

/// The labels that say where a story stands: how each is called behind hob's own label, its colour,
/// and what it means.
const STATE_LABELS: [(&str, &str, &str); 4] = [
    (WORKING, "1d76db", "hob works on this"),
    ("waiting", "fbca04", "hob waits for an answer, or for a usage limit to be reset"),
    ("review", "0e8a16", "hob's pull request waits for a review"),
    ("failed", "d93f0b", "hob's work has failed; the status comment says why"),
];

/// When labels change though nothing else does: a run has lasted so long that its issue is
/// labelled. A restart forgets it, and the next change brings the label.
#[derive(Clone, Default)]
pub(super) struct LabelTimes(Arc<Mutex<HashMap<StoryId, Instant>>>);

impl LabelTimes {
    /// In what time the next is due.
    pub(super) fn next(&self) -> Option<Duration> {
        let now = Instant::now();
        self.all().values().map(|at| at.saturating_duration_since(now)).min()
    }

    fn set(&self, story: StoryId, wait: Option<Duration>) {
        match wait {
            Some(wait) => self.all().insert(story, Instant::now() + wait),
            None => self.all().remove(&story),
        };
    }

    fn take_due(&self) -> Vec<StoryId> {
        let now = Instant::now();
        let mut all = self.all();
        let due: Vec<StoryId> = all.iter().filter(|(_, at)| **at <= now).map(|(story, _)| *story).collect();
        for story in &due {
            all.remove(story);
        }
        due
    }

    fn all(&self) -> MutexGuard<'_, HashMap<StoryId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A story of which something is to be shown.
#[derive(Default)]
struct ToShow {
    status: Option<StoryToShow>,
    check: Option<CheckToShow>,
}

impl Deliver {
    /// Begins to bring status comments and check runs up to date, as far as there is room.
    pub(super) async fn begin_shows<'a>(
        &'a self,
        running: &mut Running,
        lanes: &mut Lanes<'a, Ended>,
    ) -> anyhow::Result<()> {
        for story in running.labels.take_due() {
            self.store.show_again(story).await?;
        }
        // First those that stand elsewhere now; what an agent says can wait.
        for (urgency, elsewhere) in [(Urgency::Soon, true), (Urgency::Status, false)] {
            if !lanes.has_room() {
                break;
            }
            let beside = self.beside(running, lanes, urgency);
            let mut found: Vec<(StoryId, String, Option<InstallationId>, ToShow)> = Vec::new();
            for status in self.store.stories_to_show(&beside, elsewhere).await? {
                let to_show = ToShow { status: Some(status.clone()), check: None };
                found.push((status.story, status.repo_key, status.installation, to_show));
            }
            let checks = match self.config.pull_request.check_run {
                true => self.store.checks_to_show(&beside, elsewhere).await?,
                false => Vec::new(),
            };
            for check in checks {
                match found.iter_mut().find(|(story, ..)| *story == check.story) {
                    Some((.., to_show)) => to_show.check = Some(check),
                    None => {
                        let (story, repo_key) = (check.story, check.repo_key.clone());
                        let installation = check.installation;
                        found.push((
                            story,
                            repo_key,
                            installation,
                            ToShow { status: None, check: Some(check) },
                        ));
                    }
                }
            }
            for (story, repo_key, who, to_show) in found {
                let Some(leave) = self.leave(running, lanes, (story, &repo_key), (who, urgency)) else {
                    continue;
                };
                let (pace, labels) = (running.pace.clone(), running.labels.clone());
                lanes.begin(repo_key, async move {
                    let result = self.show(story, to_show, (&pace, who), &labels).await;
                    drop(leave);
                    Ended { story, result }
                });
            }
        }
        Ok(())
    }

    /// Brings a story's status comment, its label and its check run up to date. An error is the
    /// store's.
    async fn show(
        &self,
        story: StoryId,
        to_show: ToShow,
        pace: (&Pace, PaceKey),
        labels: &LabelTimes,
    ) -> anyhow::Result<()> {
        let mut facts = self.store.status_facts(story).await?;
        // The story is elsewhere now, and GitHub with it: nothing can be shown, and nobody looks.
        if matches!(facts.ended.as_deref(), Some("deleted" | "transferred")) {
            self.store.status_given_up(story, facts.version).await?;
            return self.store.checks_shown(story, facts.version, FIRST_WAIT).await;
        }
        if let Some(wait) = self.is_passing(&facts) {
            return self.store.show_later(story, facts.version, wait).await;
        }
        let repository = self.github.repository(&facts.story.at()).await;
        // What both of them link to.
        let rests = match (&repository, &to_show.status) {
            (Ok(repository), Some(_)) => self.with_rests_of_ends(repository, &mut facts).await?,
            (Ok(_), None) => self.with_known_rests(&mut facts).await.map(Ok)?,
            (Err(error), _) => Err(error.clone()),
        };
        if let Some(check) = to_show.check {
            let shown = match &repository {
                Ok(repository) => self.write_checks(repository, &check, &mut facts).await,
                Err(error) => Err(error.clone().into()),
            };
            self.check_is_shown(&check, &facts, shown, pace).await?;
        }
        if let Some(status) = to_show.status {
            let shown = match (&repository, rests) {
                (Ok(repository), Ok(())) => self.write_status_and_label(repository, &status, &facts).await,
                (Err(error), _) => Err(error.clone()),
                (_, Err(error)) => Err(error),
            };
            self.status_is_shown(&status, &facts, shown, pace, labels).await?;
        }
        Ok(())
    }

    /// How long a story has to stand where it does before that is shown, where it soon stands
    /// elsewhere: what is over in seconds is told with its end.
    fn is_passing(&self, facts: &StatusFacts) -> Option<Duration> {
        let since = match phase_of(facts) {
            // What has moved up in the queue is news.
            Phase::Queued { ahead: None | Some(0) } if facts.run.is_some() => facts.since,
            Phase::Starting | Phase::Publishing => facts.since,
            Phase::Working | Phase::Planning => facts.run.as_ref().and_then(|run| run.started_at),
            _ => None,
        }?;
        let least = (self.config.github.status_every * 2).max(MIN_SHOWN);
        least.checked_sub(age_of(since)).filter(|wait| !wait.is_zero())
    }

    /// Records what came of writing a status comment.
    async fn status_is_shown(
        &self,
        to_show: &StoryToShow,
        facts: &StatusFacts,
        shown: Result<Shown, GitHubError>,
        (pace, who): (&Pace, PaceKey),
        labels: &LabelTimes,
    ) -> anyhow::Result<()> {
        let error = match shown {
            Ok(Shown { says, label }) => {
                let (story, pause) = (to_show.story, self.pause_of(facts));
                labels.set(story, self.label_comes_in(facts, label.as_deref()));
                return self.store.status_shown(story, facts.version, label.as_deref(), &says, pause).await;
            }
            Err(error) => error,
        };
        if let GitHubError::RateLimited { .. } = error {
            pace.limit(who, error.retry_after().unwrap_or(FIRST_WAIT));
        }
        if error == GitHubError::NotFound && to_show.tries >= MAX_NOT_FOUND {
            tracing::info!(story = %to_show.story, "status comment was deleted; creating another");
            return self.store.status_is_gone(to_show.story).await;
        }
        if is_refusal(&error) && to_show.tries >= MAX_REFUSALS {
            tracing::error!(story = %to_show.story, %error, "GitHub rejected the status comment");
            return self.store.status_given_up(to_show.story, facts.version).await;
        }
        tracing::warn!(story = %to_show.story, %error, "updating the status failed; will retry");
        let wait = (FIRST_WAIT * 2u32.pow(to_show.tries.min(10))).min(MAX_WAIT);
        self.store.status_put_off(to_show.story, error.retry_after().unwrap_or(wait), true).await
    }

    /// Writes comment and label as they should be, where they are not.
    async fn write_status_and_label(
        &self,
        repository: &Repository,
        to_show: &StoryToShow,
        facts: &StatusFacts,
    ) -> Result<Shown, GitHubError> {
        let body = with_marker(&self.status_body(facts), to_show.effect);
        let says = digest(&body);
        if to_show.says.as_ref() != Some(&says) {
            repository.update_comment(to_show.comment, &body).await?;
        }
        let label = self.label_of(facts, to_show.label.as_deref());
        if self.config.github.state_labels && label != to_show.label {
            self.set_state_label(repository, &facts.story, label.as_deref()).await?;
        }
        Ok(Shown { says, label })
    }

    /// The label that says where a story stands, where there is one now.
    fn label_of(&self, facts: &StatusFacts, present: Option<&str>) -> Option<String> {
        let label = |state: &str| format!("{}: {state}", self.config.github.label);
        let state = state_of(facts)?;
        let is_at_work = state == WORKING;
        let is_shown = present == Some(label(WORKING).as_str()) && facts.waits_until.is_none();
        (!is_at_work || is_shown || self.has_worked_long(facts)).then(|| label(state))
    }

    /// Whether a run has lasted so long that its issue is labelled. What is over sooner is two
    /// labels less.
    fn has_worked_long(&self, facts: &StatusFacts) -> bool {
        self.worked_until_labelled(facts).is_some_and(|left| left.is_zero())
    }

    fn worked_until_labelled(&self, facts: &StatusFacts) -> Option<Duration> {
        if !matches!(phase_of(facts), Phase::Working | Phase::Planning) {
            return None;
        }
        let started_at = facts.run.as_ref()?.started_at?;
        Some((self.config.github.status_every * LABELLED_AFTER).saturating_sub(age_of(started_at)))
    }

    /// In what time an agent at work has the issue labelled, where it is not.
    fn label_comes_in(&self, facts: &StatusFacts, label: Option<&str>) -> Option<Duration> {
        let is_wanted = self.config.github.state_labels && label.is_none();
        self.worked_until_labelled(facts).filter(|_| is_wanted)
    }

    /// Has the label say where a story stands whose status comment GitHub does not take. Nothing
    /// more can be said there.
    pub(super) async fn show_label_alone(&self, story: &Story) -> anyhow::Result<()> {
        if !self.config.github.state_labels {
            return Ok(());
        }
        let facts = self.store.status_facts(story.id).await?;
        let label = state_of(&facts).map(|state| format!("{}: {state}", self.config.github.label));
        let shown = match self.github.repository(&story.at()).await {
            Ok(repository) => self.set_state_label(&repository, story, label.as_deref()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = shown {
            tracing::warn!(story = %story.id, %error, "setting the label failed");
        }
        Ok(())
    }

    /// Has exactly this one of the labels that say where a story stands on its issue, or none.
    async fn set_state_label(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: Option<&str>,
    ) -> Result<(), GitHubError> {
        let own = |state: &str| format!("{}: {state}", self.config.github.label);
        let present = repository.labels(story.issue).await?;
        let has = |name: &str| present.iter().any(|label| label.eq_ignore_ascii_case(name));
        if let Some(wanted) = wanted.filter(|name| !has(name))
            && repository.add_label(story.issue, wanted).await?
        {
            self.describe_state_label(repository, wanted).await?;
        }
        for name in STATE_LABELS.iter().map(|(state, ..)| own(state)) {
            if has(&name) && wanted != Some(name.as_str()) {
                repository.remove_label(story.issue, &name).await?;
            }
        }
        Ok(())
    }

    /// Gives a label that the repository did not have its colour. Without it, it says the same.
    async fn describe_state_label(&self, repository: &Repository, wanted: &str) -> Result<(), GitHubError> {
        let own = |state: &str| format!("{}: {state}", self.config.github.label);
        for (state, color, description) in STATE_LABELS.iter().filter(|(state, ..)| own(state) == wanted) {
            match repository.describe_label(&own(state), color, description).await {
                Err(error) if is_refusal(&error) => {
                    tracing::info!(label = wanted, %error, "creating the label failed");
                }
                described => described?,
            }
        }
        Ok(())
    }

    /// Makes the status comment of a story, or finds that an earlier try has made it; with a digest
    /// of what it says, if it was made now.
    pub(super) async fn ensure_status(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &WantedEffect,
    ) -> anyhow::Result<Result<(CommentId, Option<String>), GitHubError>> {
        let mut facts = self.store.status_facts(story.id).await?;
        if let Err(error) = self.with_rests_of_ends(repository, &mut facts).await? {
            return Ok(Err(error));
        }
        let body = with_marker(&self.status_body(&facts), wanted.id);
        let made = async {
            let marker = message::status_marker(wanted.id);
            if wanted.attempts > 0
                && let Some(found) = repository.find_comment(story.issue, &marker, None).await?
            {
                return Ok((found.id, None));
            }
            Ok((repository.create_comment(story.issue, &body).await?.id, Some(digest(&body))))
        };
        Ok(made.await)
    }

    fn status_body(&self, facts: &StatusFacts) -> String {
        let web = format!("{}/{}", self.config.github.git_url.trim_end_matches('/'), facts.story.repo);
        let body = status_body(facts, &web, &self.config.agent, &self.secrets);
        match facts.run.as_ref().and_then(|run| message::left_out(self.hidden_in(run))) {
            Some(left_out) => format!("{body}\n\n{left_out}"),
            None => body,
        }
    }

    /// What was left out of what the agent of a run was given, as the run's record has it. Nothing
    /// where the record is gone.
    fn hidden_in(&self, run: &Run) -> Hidden {
        #[derive(Default, Deserialize)]
        struct Facts {
            hidden: Hidden,
        }
        let facts = std::fs::read(self.data.run(run.id).prompt_facts).ok();
        let facts = facts.and_then(|bytes| serde_json::from_slice::<Facts>(&bytes).ok());
        facts.unwrap_or_default().hidden
    }

    /// How long the comment stays as it is now, unless the story comes to stand elsewhere: as long
    /// again as the run has lasted, so that a short one is told of a few times and a long one every
    /// minute.
    pub(super) fn pause_of(&self, facts: &StatusFacts) -> Duration {
        let age = facts.run.as_ref().and_then(|run| run.started_at).map_or(Duration::ZERO, age_of);
        age.clamp(self.config.github.status_every, MAX_PAUSE.max(self.config.github.status_every))
    }
}

fn age_of(at: jiff::Timestamp) -> Duration {
    clock::now().duration_since(at).try_into().unwrap_or(Duration::ZERO)
}

/// What a status comment shows, and the label beside it.
struct Shown {
    says: String,
    label: Option<String>,
}

fn with_marker(body: &str, effect: EffectId) -> String {
    format!("{body}\n\n{}", message::status_marker(effect))
}

fn status_body(facts: &StatusFacts, web: &str, agent: &Agent, secrets: &Secrets) -> String {
    let lines = Lines::of(facts);
    secrets.redact(&message::status(&status_text(facts, &lines, web, agent)))
}

/// What is borrowed of the facts for [`status_text`].
pub(super) struct Lines<'a> {
    over: Vec<&'a str>,
    told: Vec<&'a str>,
    heard: Vec<&'a str>,
    refused: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(facts: &'a StatusFacts) -> Self {
        // A task that is over in the store is not over for people before its pull request is there.
        let is_told_too_early = phase_of(facts) == Phase::Publishing
            && facts.task.as_ref().is_some_and(|task| task.state.is_final());
        let over = facts.over.iter().skip(usize::from(is_told_too_early));
        Self {
            over: over.map(|task| task.words.as_str()).collect(),
            told: facts.told.iter().map(String::as_str).collect(),
            heard: facts.heard.iter().map(String::as_str).collect(),
            refused: facts.refused.iter().map(String::as_str).collect(),
        }
    }
}

/// Where a story stands, as it is told.
pub(super) fn status_text<'a>(
    facts: &'a StatusFacts,
    lines: &'a Lines<'a>,
    web: &'a str,
    agent: &Agent,
) -> StatusText<'a> {
    let story = &facts.story;
    let phase = match phase_of(facts) {
        Phase::Retrying(at, class, tries) => {
            let most = agent.retries.saturating_add(1).max(tries.most);
            Phase::Retrying(at, class, RetryCount { most, ..tries })
        }
        phase => phase,
    };
    StatusText {
        phase,
        web,
        issue: story.issue.0,
        asked_on: facts.question.as_ref().and_then(|asked| asked.asked_on).unwrap_or(story.issue).0,
        agent: facts.run.as_ref().map(|run| run.agent),
        took: took(facts),
        cap_usd: facts.run.as_ref().map_or(agent.max_budget_usd, |run| run.budget_limit.usd),
        said: facts.said.as_deref(),
        todo: &facts.todo,
        branch: story.remote_head.as_ref().map(|_| story.branch.as_str()),
        pull: story.pull,
        draft: story.draft_pull(),
        pull_over: pull_over(facts),
        run: facts.run.as_ref().map(|run| run.id),
        log: facts.check_run,
        told: &lines.told,
        heard: &lines.heard,
        refused: &lines.refused,
        sub_issues: &facts.sub_issues,
        can_be_retried: facts
            .task
            .as_ref()
            .is_some_and(|task| matches!(task.state, TaskState::Failed | TaskState::Cancelled)),
        queued_behind: facts.queued_behind,
        over: &lines.over,
    }
}

/// What people have done with the pull request, once it is not open any more.
fn pull_over(facts: &StatusFacts) -> Option<EndedPull<'_>> {
    let story = &facts.story;
    let task_was_done = facts.over.first().is_none_or(|task| task.state == TaskState::Done);
    let over = |merged| EndedPull { merged, by: story.pull_moved_by.as_deref(), task_was_done };
    match story.pull_state {
        PullState::Open => None,
        PullState::Closed => Some(over(false)),
        PullState::Merged => Some(over(true)),
    }
}

/// What the newest run has taken so far.
fn took(facts: &StatusFacts) -> Spent {
    let Some(run) = &facts.run else { return Spent::default() };
    let stand_in = run.fallback_for.map(|usual| (run.agent, usual));
    match &run.end {
        Some(end) => Spent {
            duration_ms: end.duration_ms,
            cost_usd: end.cost_usd,
            turns: end.turns,
            tokens: end.tokens.filter(|_| end.cost_usd.is_none()),
            stand_in,
        },
        None => {
            let age = run.started_at.map_or(Duration::ZERO, age_of);
            let duration_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Spent { duration_ms, cost_usd: facts.reported_cost_usd, turns: None, tokens: None, stand_in }
        }
    }
}

pub(super) fn phase_of(facts: &StatusFacts) -> Phase {
    let Some(task) = &facts.task else { return Phase::Over };
    match task.state {
        TaskState::Queued | TaskState::Running if facts.is_to_be_stopped => Phase::Stopping,
        TaskState::Queued => match (facts.waits_until, facts.waits_for) {
            (Some(at), Some(agent)) => Phase::WaitsForLimit(agent, at),
            (Some(at), None) if facts.run.is_none() && matches!(task.ask.about, TaskKind::Review(_)) => {
                Phase::Listening(at)
            }
            (Some(at), None) if matches!(task.ask.about, TaskKind::Checks(_)) && facts.run.is_none() => {
                Phase::Gathering(at)
            }
            (Some(at), None) => {
                match facts.run.as_ref().and_then(|run| run.end.as_ref()).map(|end| &end.outcome) {
                    Some(Outcome::Failed { class, .. }) if task.retries > 0 => {
                        let attempt = task.retries.saturating_add(1);
                        Phase::Retrying(at, *class, RetryCount { attempt, most: attempt })
                    }
                    _ => Phase::WaitsUntil(at),
                }
            }
            (None, _) => Phase::Queued { ahead: facts.ahead },
        },
        TaskState::Running => match &facts.run {
            Some(run) if run.end.is_some() => Phase::Publishing,
            Some(run) if run.started_at.is_some() && task.mode == TaskMode::Plan => Phase::Planning,
            Some(run) if run.started_at.is_some() => Phase::Working,
            _ => Phase::Starting,
        },
        TaskState::Publishing => Phase::Publishing,
        TaskState::Blocked => {
            let asked = facts.question.as_ref();
            let comment = asked.and_then(|asked| asked.comment);
            match asked.map(|asked| asked.kind) {
                Some(QuestionKind::Plan) => Phase::WaitingForGo(comment),
                _ => Phase::Waiting(comment),
            }
        }
        // The words about a task name its pull request.
        TaskState::Done if facts.is_proposing => Phase::Publishing,
        TaskState::Done if facts.proposal_is_parked && facts.story.pull.is_none() => Phase::NotProposed,
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => Phase::Over,
    }
}

/// Which of the labels says where the story stands.
fn state_of(facts: &StatusFacts) -> Option<&'static str> {
    let state = facts.task.as_ref()?.state;
    // The good end of it, or people's own.
    let is_pull_over = facts.story.pull_state != PullState::Open && state.is_final();
    if facts.ended.is_some() || is_pull_over {
        return None;
    }
    match state {
        // Nothing is done until the limit is reset.
        TaskState::Queued if matches!(phase_of(facts), Phase::WaitsForLimit(..)) => Some("waiting"),
        TaskState::Queued | TaskState::Running | TaskState::Publishing => Some(WORKING),
        TaskState::Blocked => Some("waiting"),
        TaskState::Done if phase_of(facts) == Phase::NotProposed => Some("failed"),
        TaskState::Done => facts.story.pull.filter(|_| !facts.story.pull_unfinished).map(|_| "review"),
        TaskState::Failed => Some("failed"),
        TaskState::Cancelled => None,
    }
}
