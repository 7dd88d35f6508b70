//! The outbox: carries out every effect on GitHub that the store wants, by *probe, act, record*.
//! GitHub has no key that would make a repeated comment one comment, so before an effect is tried a
//! second time hob looks whether the first try got through: a comment by its hidden marker, a pull
//! request by its head branch. Where a try was unclear, hob looks again later, and removes what
//! GitHub has made twice. What to say is decided elsewhere; here it is only said, once.

mod card;
mod check_run;
mod log;
mod overflow;
mod pace;
mod pull;
mod refused;
mod review;
mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Config;
use crate::github::{self, FoundComment, GitHub, GitHubError, Repository};
use crate::heartbeat::Heartbeat;
use crate::ids::{CommentId, InstallationId, IssueNumber, StoryId};
use crate::lanes::{LaneLimits, Lanes};
use crate::message;
use crate::message::Report;
use crate::paths::DataDir;
use crate::redact::Secrets;
use crate::store::{
    DuplicateComment, DuplicateKind, Effect, EffectClass, Excluded, ReactTo, Store, WantedEffect,
};
use crate::story::Story;
use pace::{Pace, Urgency, WritePermit};
use status::LabelTimes;

/// What is under way at once: of different stories, since GitHub asks for few parallel writes, and
/// of one repository.
const ROOM: LaneLimits = LaneLimits { most: 4, of_lane: 2 };
/// Where nothing calls and nothing is due, the loop looks after so many times `work.poll`: the
/// sweep wakes it when the store changes.
const IDLE_POLLS: u32 = 12;
/// The first wait after a failure; it doubles up to `MAX_WAIT`.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// Refusals, as opposed to outages, after which an effect is parked: half a minute of them.
const MAX_REFUSALS: u32 = 6;
/// Answers that there is no such thing after which one that no longer exists is not looked for
/// again.
const MAX_NOT_FOUND: u32 = 2;
/// Tries of any kind after which an effect is parked. With the longest wait between them that is
/// three days.
const MAX_TRIES: u32 = 850;
/// The longest honest step: one effect, for which GitHub is asked a few times, each read with two
/// repeats of a minute.
pub const MAX_STEP: Duration = Duration::from_secs(20 * 60);

/// Everything the outbox works with.
#[derive(Clone)]
pub struct Deliver {
    /// hob's settings.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The git host.
    pub github: GitHub,
    /// The disk, for the end of an agent's log.
    pub data: DataDir,
    /// What must not be said. What comes here has been cleaned before; this is the last line.
    pub secrets: Secrets,
}

/// What ended.
struct Ended {
    story: StoryId,
    /// An error is the store's.
    result: anyhow::Result<()>,
}

/// What the outbox knows while it runs.
struct Running {
    pace: Pace,
    /// Stories of which something is under way: one thing at a time.
    busy: HashSet<StoryId>,
    /// When a story's label changes though nothing else does.
    labels: LabelTimes,
}

impl Deliver {
    /// Works off the outbox until `stop` is set.
    pub async fn run(self, stop: CancellationToken, pulse: Heartbeat) -> anyhow::Result<()> {
        let mut running = Running {
            pace: Pace::new(self.config.github.writes_per_hour),
            busy: HashSet::new(),
            labels: LabelTimes::default(),
        };
        let mut lanes = Lanes::new(ROOM);
        while !stop.is_cancelled() {
            pulse.beat();
            let wait = match self.begin_due(&mut running, &mut lanes).await {
                Ok(wait) => wait,
                Err(error) => {
                    self.store.sit_out(error, &stop).await?;
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                ended = lanes.next() => {
                    running.busy.remove(&ended.story);
                    if let Err(error) = ended.result {
                        self.store.sit_out(error, &stop).await?;
                    }
                }
                () = self.store.wakes().effects.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // A stop lets those come to an end that are under way, and begins no other.
        while !lanes.is_empty() {
            if let Err(error) = lanes.next().await.result {
                tracing::warn!(error = format!("{error:#}"), "recording a write failed");
            }
        }
        Ok(())
    }

    /// Begins what is due, as far as there is room; tells in what time to look again, if nothing
    /// happens before.
    async fn begin_due<'a>(
        &'a self,
        running: &mut Running,
        lanes: &mut Lanes<'a, Ended>,
    ) -> anyhow::Result<Duration> {
        self.begin_doubles(running, lanes).await?;
        let mut wait = self.config.work.poll * IDLE_POLLS;
        for (class, urgency) in [(EffectClass::First, Urgency::Outcome), (EffectClass::Second, Urgency::Soon)]
        {
            let beside = self.beside(running, lanes, urgency);
            for wanted in self.store.due_effects_of(class, &beside).await? {
                let (story, repo_key) = (wanted.story, wanted.repo_key.clone());
                let Some(leave) =
                    self.leave(running, lanes, (story, &repo_key), (wanted.installation, urgency))
                else {
                    continue;
                };
                let pace = running.pace.clone();
                lanes.begin(repo_key, async move {
                    let result = self.carry_out(wanted, &pace).await;
                    drop(leave);
                    Ended { story, result }
                });
            }
        }
        self.begin_shows(running, lanes).await?;
        for urgency in Urgency::ALL {
            wait = wait.min(running.pace.held_up(&self.github, urgency).1.unwrap_or(wait));
        }
        wait = wait.min(running.labels.next().unwrap_or(wait));
        wait = wait.min(lanes.room_in().unwrap_or(wait));
        for next in [self.store.next_effect_at().await?, self.store.next_show_at().await?] {
            wait = wait.min(next.map_or(wait, clock::until_ms));
        }
        Ok(wait)
    }

    /// What nothing can be begun for now.
    fn beside(&self, running: &Running, lanes: &Lanes<'_, Ended>, urgency: Urgency) -> Excluded {
        let (installations, _) = running.pace.held_up(&self.github, urgency);
        Excluded { repositories: lanes.full(), installations }
    }

    /// Leave to begin something on a story, where there is room for it.
    fn leave(
        &self,
        running: &mut Running,
        lanes: &Lanes<'_, Ended>,
        (story, repo_key): (StoryId, &str),
        (who, urgency): (Option<InstallationId>, Urgency),
    ) -> Option<WritePermit> {
        if running.busy.contains(&story) || !lanes.has_room() || !lanes.has_room_in(repo_key) {
            return None;
        }
        let leave = running.pace.take(&self.github, who, urgency).ok()?;
        running.busy.insert(story);
        Some(leave)
    }

    async fn begin_doubles<'a>(
        &'a self,
        running: &mut Running,
        lanes: &mut Lanes<'a, Ended>,
    ) -> anyhow::Result<()> {
        for double in self.store.possible_doubles().await? {
            let (story, repo_key) = (double.story, double.repo_key.clone());
            if running.busy.contains(&story) || !lanes.has_room() || !lanes.has_room_in(&repo_key) {
                continue;
            }
            running.busy.insert(story);
            lanes.begin(repo_key, async move { Ended { story, result: self.remove_double(&double).await } });
        }
        Ok(())
    }

    /// Tries one effect. An error is the store's; what GitHub says is recorded.
    async fn carry_out(&self, wanted: WantedEffect, pace: &Pace) -> anyhow::Result<()> {
        let story = self.store.story(wanted.story).await?;
        self.store.effect_attempted(wanted.id).await?;
        let Err(error) = self.act(&story, &wanted).await? else {
            return Ok(());
        };
        let refused = is_refusal(&error);
        let (tries, refusals) = (wanted.attempts + 1, wanted.refusals + u32::from(refused));
        if refused::is_for_good(&error, refusals, MAX_REFUSALS) || tries >= MAX_TRIES {
            return self.give_up(&story, &wanted, &error).await;
        }
        if let GitHubError::RateLimited { .. } = error {
            pace.limit(wanted.installation, error.retry_after().unwrap_or(FIRST_WAIT));
        }
        // Refusals are counted from zero when somebody has them tried again; tries are not, since
        // one of them may have got through.
        let before = if refused { wanted.refusals } else { wanted.attempts };
        let wait = (FIRST_WAIT * 2u32.pow(before.min(10))).min(MAX_WAIT);
        tracing::warn!(effect = %wanted.id, story = %story.id, %error, "write failed; will retry");
        let wait = error.retry_after().unwrap_or(wait);
        self.store.effect_failed(wanted.id, wait, &error.to_string(), refused).await
    }

    async fn act(&self, story: &Story, wanted: &WantedEffect) -> anyhow::Result<Result<(), GitHubError>> {
        let repository = match self.github.repository(&story.at()).await {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        match &wanted.effect {
            Effect::React { to, content } => match repository.react(react_to(*to), content).await {
                // GitHub makes one reaction of two; nothing to look for.
                Ok(()) => self.store.effect_done(wanted.id).await.map(Ok),
                // The comment was deleted: nobody is there to see it. Not believed at the first
                // word.
                Err(GitHubError::NotFound) if wanted.refusals >= MAX_NOT_FOUND => {
                    self.store.effect_done(wanted.id).await.map(Ok)
                }
                Err(error) => Ok(Err(error)),
            },
            Effect::Comment { on, body } => {
                let body = match self.with_rests(&repository, story.id, *on, body).await? {
                    Ok(body) => self.secrets.redact(&body),
                    Err(error) => return Ok(Err(error)),
                };
                // More than one try: GitHub may carry out an earlier one later still.
                let recheck = (wanted.attempts > 0).then_some(self.config.github.recheck);
                match ensure_comment(&repository, wanted, *on, &body, &message::marker(wanted.id)).await {
                    Ok(comment) => self.store.comment_posted(wanted.id, None, comment, recheck).await.map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            }
            Effect::ReviewReply { pull, thread, body } => {
                let body = match self.with_rests(&repository, story.id, IssueNumber(pull.0), body).await? {
                    Ok(body) => self.secrets.redact(&body),
                    Err(error) => return Ok(Err(error)),
                };
                let recheck = (wanted.attempts > 0).then_some(self.config.github.recheck);
                match review::ensure_reply(&repository, wanted, *pull, *thread, &body).await {
                    Ok(Some(reply)) => self.store.reply_posted(wanted.id, reply, recheck).await.map(Ok),
                    Ok(None) => self.store.effect_done(wanted.id).await.map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            }
            Effect::RequestReview { pull, reviewer } => {
                match review::request(&repository, wanted, story, *pull, reviewer).await {
                    Ok(()) => self.store.effect_done(wanted.id).await.map(Ok),
                    Err(error) => Ok(Err(error)),
                }
            }
            Effect::Card { question } => self.show_card(&repository, wanted, *question).await,
            Effect::Status => {
                let recheck = (wanted.attempts > 0).then_some(self.config.github.recheck);
                match self.ensure_status(&repository, story, wanted).await? {
                    Ok((comment, says)) => {
                        self.store.status_posted(wanted.id, comment, says.as_deref(), recheck).await.map(Ok)
                    }
                    Err(error) => Ok(Err(error)),
                }
            }
            Effect::PullRequest { title, body, short, unfinished, draft, reviewers, asker, labels } => {
                let title = self.secrets.redact(title);
                let short = self.secrets.redact(short);
                let pull = pull::Wanted {
                    title: &title,
                    report: Report { whole: body, short: &short },
                    unfinished: *unfinished,
                    draft: draft.unwrap_or(self.config.github.draft),
                    reviewers,
                    asker: asker.as_deref(),
                    labels,
                };
                self.propose(&repository, story, wanted, &pull).await
            }
            Effect::Evidence { pull } => self.show_evidence(&repository, story, wanted, *pull).await,
            Effect::DeleteBranch { branch, head } => {
                self.remove_branch(&repository, wanted, branch, head).await
            }
        }
    }

    /// Removes what GitHub has made of earlier tries beside the comment that is recorded. An error
    /// is the store's.
    async fn remove_double(&self, double: &DuplicateComment) -> anyhow::Result<()> {
        let story = self.store.story(double.story).await?;
        let again = match self.try_remove_double(&story, double).await {
            Ok(true) => None,
            // Not there: a list that is behind, or somebody has deleted it; then there is nothing
            // to compare with.
            Ok(false) => None,
            Err(error) if is_refusal(&error) => None,
            Err(error) => {
                tracing::warn!(effect = %double.effect, %error, "duplicate check failed");
                Some(self.config.github.recheck)
            }
        };
        self.store.rechecked(double.effect, again).await
    }

    async fn try_remove_double(&self, story: &Story, double: &DuplicateComment) -> Result<bool, GitHubError> {
        let repository = self.github.repository(&story.at()).await?;
        let marker = marker_of(double);
        if double.kind == DuplicateKind::ReviewReply {
            return review::remove_double(&repository, double, &marker).await;
        }
        let found = repository.comments_with(double.on, &marker).await?;
        let is_there = found.iter().any(|comment| comment.id == double.comment);
        for other in found.iter().filter(|comment| is_there && comment.id != double.comment) {
            tracing::info!(comment = %other.id, "removing a duplicate comment");
            repository.delete_comment(other.id).await?;
        }
        Ok(is_there)
    }
}

/// The whole marker of a comment that may be there twice: the bare id may stand in another
/// comment's text.
fn marker_of(double: &DuplicateComment) -> String {
    match double.kind {
        DuplicateKind::Comment | DuplicateKind::ReviewReply => message::marker(double.effect),
        DuplicateKind::Status => message::status_marker(double.effect),
        DuplicateKind::Card(question) => message::card::marker(question),
    }
}

/// Whether GitHub said no to this effect, as opposed to being away or not letting hob in at all: a
/// token that has run out is no reason to give up what waits for the next one.
fn is_refusal(error: &GitHubError) -> bool {
    !error.is_transient() && !matches!(error, GitHubError::Unauthorized(_))
}

/// The comment with this effect's marker: found, where an earlier try may have made it, or made.
async fn ensure_comment(
    repository: &Repository,
    wanted: &WantedEffect,
    on: IssueNumber,
    body: &str,
    marker: &str,
) -> Result<CommentId, GitHubError> {
    Ok(ensure_comment_of(repository, wanted.attempts > 0, on, body, marker).await?.id)
}

/// The comment with this marker: found, where it was tried before, or made.
async fn ensure_comment_of(
    repository: &Repository,
    tried: bool,
    on: IssueNumber,
    body: &str,
    marker: &str,
) -> Result<FoundComment, GitHubError> {
    if tried && let Some(found) = repository.find_comment(on, marker, None).await? {
        return Ok(found);
    }
    repository.create_comment(on, &format!("{body}\n\n{marker}")).await
}

fn react_to(to: ReactTo) -> github::ReactTo {
    match to {
        ReactTo::Issue(number) => github::ReactTo::Issue(number),
        ReactTo::Comment(id) => github::ReactTo::Comment(id),
        ReactTo::ReviewComment(id) => github::ReactTo::ReviewComment(id),
    }
}
