//! The status comment of each story, brought up to date, and the label beside it. This is no queue: what is shown is read from
//! the store at the moment it is written, so a repeated or a late edit does no harm, and many changes become one.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::{Deliver, ENOUGH_NOT_FOUND, FIRST_WAIT, LONGEST_WAIT, MOST_REFUSALS, ensure_comment, is_refusal};
use crate::clock;
use crate::config::Agent;
use crate::github::{GitHubError, Repository};
use crate::ids::{CommentId, EffectId};
use crate::message::{self, Phase, PullOver, Spent, StatusText, Tries};
use crate::pulse::Pulse;
use crate::redact::Secrets;
use crate::store::{StatusFacts, StoryToShow, WantedEffect};
use crate::story::plan::Mode;
use crate::story::pull::PullState;
use crate::story::{About, Outcome, Story, TaskState};

/// The longest pause between two edits while an agent works.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A run's age is so many pauses: what is said once is read later, and GitHub counts edits.
const PAUSES: u32 = 24;

/// The labels that say where a story stands: how each is called behind hob's own label, its colour, and what it means.
const STATE_LABELS: [(&str, &str, &str); 4] = [
    ("working", "1d76db", "hob works on this, or is about to"),
    ("waiting", "fbca04", "hob waits for an answer"),
    ("review", "0e8a16", "hob's pull request waits for a review"),
    ("failed", "d93f0b", "hob's work has failed; the status comment says why"),
];

impl Deliver {
    /// Brings status comments up to date, until all are or `stop` is set. An error is the store's.
    pub(super) async fn show_statuses(
        &self,
        pace: &Pace,
        stop: &CancellationToken,
        pulse: &Pulse,
    ) -> anyhow::Result<()> {
        for to_show in self.store.stories_to_show().await? {
            if stop.is_cancelled() {
                break;
            }
            self.show_status(&to_show, pace).await?;
            pulse.beat();
        }
        Ok(())
    }

    async fn show_status(&self, to_show: &StoryToShow, pace: &Pace) -> anyhow::Result<()> {
        let mut facts = self.store.status_facts(to_show.story).await?;
        let installation = facts.story.installation;
        // The story is elsewhere now, and GitHub with it: nothing can be shown, and nobody looks.
        if matches!(facts.ended.as_deref(), Some("deleted" | "transferred")) {
            return self.store.status_given_up(to_show.story, facts.version).await;
        }
        // What an agent says, or a place in the queue, can wait; where a story has come to stand cannot.
        let can_wait = matches!(phase_of(&facts), Phase::Working | Phase::Planning | Phase::Queued { .. });
        let taken = if can_wait { pace.take_spare(installation) } else { pace.take(installation) };
        if let Err(wait) = taken {
            return self.store.status_put_off(to_show.story, wait, false).await;
        }
        let error = match self.write_status(to_show, &mut facts).await? {
            Ok(label) => {
                let pause = self.pause_of(&facts);
                return self.store.status_shown(to_show.story, facts.version, label.as_deref(), pause).await;
            }
            Err(error) => error,
        };
        if let GitHubError::RateLimited { .. } = error {
            pace.limit(installation, error.retry_after().unwrap_or(FIRST_WAIT));
        }
        if error == GitHubError::NotFound && to_show.tries >= ENOUGH_NOT_FOUND {
            tracing::info!(story = %to_show.story, "somebody has deleted the status comment; another is made");
            return self.store.status_is_gone(to_show.story).await;
        }
        if is_refusal(&error) && to_show.tries >= MOST_REFUSALS {
            tracing::error!(story = %to_show.story, %error, "GitHub does not take the status comment's change");
            return self.store.status_given_up(to_show.story, facts.version).await;
        }
        tracing::warn!(story = %to_show.story, %error, "the status could not be shown; it is tried again");
        let wait = (FIRST_WAIT * 2u32.pow(to_show.tries.min(10))).min(LONGEST_WAIT);
        self.store.status_put_off(to_show.story, error.retry_after().unwrap_or(wait), true).await
    }

    /// Writes comment and label as they should be; returns the label.
    async fn write_status(
        &self,
        to_show: &StoryToShow,
        facts: &mut StatusFacts,
    ) -> anyhow::Result<Result<Option<String>, GitHubError>> {
        let repository = match self.github.repository(&facts.story.repo, facts.story.installation).await {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.with_rests_of_ends(&repository, facts).await? {
            return Ok(Err(error));
        }
        Ok(self.write_status_and_label(&repository, to_show, facts).await)
    }

    async fn write_status_and_label(
        &self,
        repository: &Repository,
        to_show: &StoryToShow,
        facts: &StatusFacts,
    ) -> Result<Option<String>, GitHubError> {
        let body = with_marker(&self.status_body(facts), to_show.effect);
        repository.update_comment(to_show.comment, &body).await?;
        let label = state_of(facts).map(|state| format!("{}: {state}", self.config.github.label));
        if self.config.github.state_labels && label != to_show.label {
            self.set_state_label(repository, &facts.story, label.as_deref()).await?;
        }
        Ok(label)
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
        if let Some(wanted) = wanted.filter(|name| !has(name)) {
            for (state, color, description) in STATE_LABELS.iter().filter(|(state, ..)| own(state) == wanted)
            {
                repository.ensure_label(&own(state), color, description).await?;
            }
            repository.add_label(story.issue, wanted).await?;
        }
        for name in STATE_LABELS.iter().map(|(state, ..)| own(state)) {
            if has(&name) && wanted != Some(name.as_str()) {
                repository.remove_label(story.issue, &name).await?;
            }
        }
        Ok(())
    }

    /// Makes the status comment of a story, or finds that an earlier try has made it.
    pub(super) async fn ensure_status(
        &self,
        repository: &Repository,
        story: &Story,
        wanted: &WantedEffect,
    ) -> anyhow::Result<Result<CommentId, GitHubError>> {
        let mut facts = self.store.status_facts(story.id).await?;
        if let Err(error) = self.with_rests_of_ends(repository, &mut facts).await? {
            return Ok(Err(error));
        }
        let body = self.status_body(&facts);
        let marker = message::status_marker(wanted.id);
        Ok(ensure_comment(repository, wanted, story.issue, &body, &marker).await)
    }

    fn status_body(&self, facts: &StatusFacts) -> String {
        let web = format!("{}/{}", self.config.github.git_url.trim_end_matches('/'), facts.story.repo);
        status_body(facts, &web, &self.config.agent, &self.secrets)
    }

    /// How long the comment stays as it is now, unless the story comes to stand elsewhere.
    pub(super) fn pause_of(&self, facts: &StatusFacts) -> Duration {
        let age = facts.run.as_ref().and_then(|run| run.started_at).map_or(Duration::ZERO, age_of);
        (age / PAUSES)
            .clamp(self.config.github.status_every, LONGEST_PAUSE.max(self.config.github.status_every))
    }
}

fn age_of(at: jiff::Timestamp) -> Duration {
    clock::now().duration_since(at).try_into().unwrap_or(Duration::ZERO)
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
            Phase::Retrying(at, class, Tries { most, ..tries })
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
        cap_usd: facts.run.as_ref().map_or(agent.max_budget_usd, |run| run.may_use.usd),
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
fn pull_over(facts: &StatusFacts) -> Option<PullOver<'_>> {
    let story = &facts.story;
    let task_was_done = facts.over.first().is_none_or(|task| task.state == TaskState::Done);
    let over = |merged| PullOver { merged, by: story.pull_moved_by.as_deref(), task_was_done };
    match story.pull_state {
        PullState::Open => None,
        PullState::Closed => Some(over(false)),
        PullState::Merged => Some(over(true)),
    }
}

/// What the newest run has taken so far.
fn took(facts: &StatusFacts) -> Spent {
    let Some(run) = &facts.run else { return Spent::default() };
    let stand_in = run.instead_of.map(|usual| (run.agent, usual));
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
            Spent { duration_ms, cost_usd: facts.so_far_usd, turns: None, tokens: None, stand_in }
        }
    }
}

pub(super) fn phase_of(facts: &StatusFacts) -> Phase {
    let Some(task) = &facts.task else { return Phase::Over };
    match task.state {
        TaskState::Queued | TaskState::Running if facts.is_to_be_stopped => Phase::Stopping,
        TaskState::Queued => match (facts.waits_until, facts.waits_for) {
            (Some(at), Some(agent)) => Phase::WaitsForLimit(agent, at),
            (Some(at), None) if facts.run.is_none() && matches!(task.ask.about, About::Review(_)) => {
                Phase::Listening(at)
            }
            (Some(at), None) if matches!(task.ask.about, About::Checks(_)) && facts.run.is_none() => {
                Phase::Gathering(at)
            }
            (Some(at), None) => {
                match facts.run.as_ref().and_then(|run| run.end.as_ref()).map(|end| &end.outcome) {
                    Some(Outcome::Failed { class, .. }) if task.retries > 0 => {
                        let attempt = task.retries.saturating_add(1);
                        Phase::Retrying(at, *class, Tries { attempt, most: attempt })
                    }
                    _ => Phase::WaitsUntil(at),
                }
            }
            (None, _) => Phase::Queued { ahead: facts.ahead },
        },
        TaskState::Running => match &facts.run {
            Some(run) if run.end.is_some() => Phase::Publishing,
            Some(run) if run.started_at.is_some() && task.mode == Mode::Plan => Phase::Planning,
            Some(run) if run.started_at.is_some() => Phase::Working,
            _ => Phase::Starting,
        },
        TaskState::Publishing => Phase::Publishing,
        TaskState::Blocked => {
            let comment = facts.question.as_ref().and_then(|asked| asked.comment);
            if facts.is_plan { Phase::WaitingForGo(comment) } else { Phase::Waiting(comment) }
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
        TaskState::Queued | TaskState::Running | TaskState::Publishing => Some("working"),
        TaskState::Blocked => Some("waiting"),
        TaskState::Done => facts.story.pull.filter(|_| !facts.story.pull_unfinished).map(|_| "review"),
        TaskState::Failed => Some("failed"),
        TaskState::Cancelled => None,
    }
}
