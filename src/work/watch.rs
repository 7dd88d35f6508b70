//! Watching a run: its output as it comes, its time, its end. Watching may be broken off and taken
//! up again at any moment, by a restart of hob or of Docker: it begins with the first line again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};

use super::run_log::RunLog;
use super::start::{SETUP_FAILED, WORKSPACE, blocking, docker_error, remove_keys, resumable};
use super::talk::InboxProgress;
use super::{Job, StepError, Worker};
use crate::account;
use crate::agent::{self, FailureClass, Parser, Report, Signal, Stopped, TodoItem, Tools};
use crate::clock;
use crate::container::{Activity, Child, ContainerError, Exit, Output, State};
use crate::exchange::{self, ExchangeFiles};
use crate::fail_point::around;
use crate::paths;
use crate::redact::{Addresses, Secrets};
use crate::store::StoryUpdate;
use crate::story::budget::{Limit, Usage};
use crate::story::review::Reply;
use crate::story::{Outcome, Run, RunEnd, Session};

/// The pause before a daemon that went away is asked again.
const DAEMON_PAUSE: Duration = Duration::from_secs(1);

/// Docker's exit codes for a container that was told to stop, or killed.
const STOPPED_CODES: [i64; 2] = [143, 137];

/// How often it is asked whether somebody wants the work stopped.
const STOP_ROUND: Duration = Duration::from_millis(500);

/// How often it is asked whether somebody has said something to the agent; a comment that this hob
/// hears of calls.
const TALK_ROUND: Duration = Duration::from_secs(1);

/// At least so long is listened to a run that hob comes back to, however long it was away: a run
/// may have come to its end long ago, and be told so only now.
const LISTEN_AT_LEAST: Duration = Duration::from_secs(10);
/// How long a run shows nothing at most: time passes, and people see that.
const SHOWN_AT_LEAST: Duration = Duration::from_secs(60);

/// A limit of requests that lasts longer is one of the account.
const LONG_LIMIT_SECONDS: i64 = 5 * 60;

/// As much of the end of a session's file is looked at.
const MAX_OF_SESSION: u64 = 1 << 20;

/// How often the disk that a story takes up is looked at.
const DISK_ROUND: Duration = Duration::from_secs(5);

/// No run uses or costs more. An agent may claim what it likes, and claims are summed.
const MAX_TOKENS: u64 = 1_000_000_000_000;
const MAX_USD: f64 = 1_000_000.0;

/// What the agent left in files.
struct Left {
    handed: ExchangeFiles,
    drops: Vec<String>,
}

/// What a piece of output has said that matters at once.
#[derive(Default)]
struct ImportedCommits {
    /// The run should end, for this reason.
    end_now: Option<FailureClass>,
    /// The agent has come to the end of a turn.
    turn_ended: bool,
}

/// Why following a container ended.
enum Followed {
    /// It said its last.
    Ended,
    /// It must not go on.
    Stop(Stopped),
    /// The connection to Docker broke.
    CutOff(ContainerError),
}

/// What an agent has told of its work that people have not been shown. The texts are as the agent
/// wrote them: what nobody is shown is not cleaned.
struct Progress {
    said: Option<String>,
    /// It says only that it waits, in these words.
    waits: Option<String>,
    /// What they were shown last that the agent waits for.
    shown_waits: Option<String>,
    todo: Option<Vec<TodoItem>>,
    /// When they were shown something last.
    shown: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { said: None, waits: None, shown_waits: None, todo: None, shown: Instant::now() }
    }
}

impl Worker {
    /// Follows the run's container to its end and records how it ended.
    pub(super) async fn watch(&self, job: &Job, run: &mut Run) -> Result<(), StepError> {
        let name = run.container_name();
        let mut stopped = None;
        let (exit, log) = loop {
            let ended = match self.docker.state(&name).await {
                Ok(Some(State::Exited(exit))) => Some(exit),
                Ok(Some(_)) => None,
                Ok(None) => return self.record_lost(job, run).await,
                Err(ContainerError::Unreachable(reason)) => {
                    tracing::warn!(reason, "docker unavailable; looking for the run again");
                    self.pause(DAEMON_PAUSE).await?;
                    continue;
                }
                Err(error) => return Err(docker_error(error)),
            };
            if let Some(exit) = &ended {
                stopped = stopped.or_else(|| self.overdue(run, exit));
                // hob may have stopped it for a person, and died before it could write that down.
                if stopped.is_none()
                    && STOPPED_CODES.contains(&exit.code)
                    && self.store.stop_wanted(&job.task).await?.is_some()
                {
                    stopped = Some(Stopped::Cancelled);
                }
            }
            let resumed = resumable(&job.story, run).map(|session| session.id.as_str());
            let mut log = RunLog::begin(
                &self.data.run(run.id),
                Parser::new(run.agent, resumed),
                &self.secrets.redactor(),
            )?;
            let followed = match &ended {
                None => self.follow(job, run, &name, &mut log).await?,
                Some(exit) => self.read_again(job, run, &name, &mut log, (exit, &mut stopped)).await?,
            };
            match followed {
                Followed::Ended => {}
                Followed::Stop(why) => {
                    tracing::info!(reason = ?why, "run stopped");
                    stopped = Some(why);
                    self.docker.stop(&name, self.config.container.stop_grace).await.map_err(docker_error)?;
                    // The last words came after the decision to stop.
                    continue;
                }
                Followed::CutOff(error) => {
                    tracing::warn!(%error, "run output was cut off; reading it again");
                    self.pause(DAEMON_PAUSE).await?;
                    continue;
                }
            }
            match self.docker.wait(&name).await {
                Ok(exit) => break (exit, log),
                Err(ContainerError::NoContainer(_)) => return self.record_lost(job, run).await,
                Err(error) => {
                    tracing::warn!(%error, "reading the end of the run failed; will retry");
                    self.pause(DAEMON_PAUSE).await?;
                }
            }
        };
        let (parser, stderr) = log.end()?;
        let facts = agent::Exit { code: exit.code, oom_killed: exit.oom_killed, stopped };
        let report = parser.finish(&facts, &stderr);
        let left = self.collect(job, run).await?;
        self.record_end(job, run, (&exit, stopped), report, left).await
    }

    /// What the agent left in the exchange.
    async fn collect(&self, job: &Job, run: &Run) -> Result<Left, StepError> {
        let exchange = self.data.story(job.story.id).exchange;
        let drops = self.data.run(run.id).drops;
        let (most, room) = (self.config.container.max_drops, self.config.container.drops_limit.0);
        let (mut handed, (drops, complaints)) = blocking(move || {
            anyhow::Ok((exchange::read(&exchange)?, exchange::collect_drops(&exchange, &drops, most, room)?))
        })
        .await??;
        handed.complaints.extend(complaints);
        for complaint in &handed.complaints {
            tracing::warn!(complaint, "file from the agent ignored");
        }
        Ok(Left { handed, drops: drops.into_iter().map(|drop| drop.name).collect() })
    }

    /// Reads a running container's output until it ends or has to be ended.
    async fn follow(
        &self,
        job: &Job,
        run: &Run,
        name: &str,
        log: &mut RunLog,
    ) -> Result<Followed, StepError> {
        let settings = &self.config.agent;
        let ran_for = run.started_at.map_or(Duration::ZERO, elapsed_since);
        let (longest, too_long) = longest_run(settings.timeout, run);
        let left = longest.saturating_sub(ran_for);
        let deadline = Instant::now() + left.max(longest.min(LISTEN_AT_LEAST));
        let mut life = Life::new(settings.stall_timeout);
        let mut look_round = tokio::time::interval(life.round());
        look_round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut output = self.docker.follow(name);
        let mut keys_lie_there = true;
        let mut progress = Progress::default();
        let mut show = tokio::time::interval(self.config.github.status_every);
        show.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let paths = self.data.story(job.story.id);
        let too_much = self.until_too_much_disk(vec![paths.workspace, paths.home, paths.exchange]);
        let cancelled = self.until_stop_is_wanted(job);
        tokio::pin!(too_much, cancelled);
        let mut talking = InboxProgress::default();
        let mut talk_round = tokio::time::interval(TALK_ROUND);
        talk_round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let something_said = async {
                tokio::select! {
                    _ = talk_round.tick() => {}
                    () = self.store.wakes().messages.notified() => {}
                }
            };
            let piece = tokio::select! {
                () = self.stop.cancelled() => return Err(StepError::Stopping),
                () = tokio::time::sleep_until(deadline) => return Ok(Followed::Stop(too_long)),
                () = tokio::time::sleep_until(life.until()) => {
                    // The last look may be some time ago.
                    if self.is_alive(name, &mut life, log).await {
                        continue;
                    }
                    return Ok(Followed::Stop(Stopped::Stalled));
                }
                _ = look_round.tick() => {
                    if life.is_silent() {
                        self.is_alive(name, &mut life, log).await;
                    }
                    continue;
                }
                () = &mut cancelled => return Ok(Followed::Stop(Stopped::Cancelled)),
                _ = show.tick() => {
                    self.show_progress(job, run, &mut progress, log.so_far().cost_usd).await?;
                    continue;
                }
                class = &mut too_much => return Ok(Followed::Stop(Stopped::EndedEarly(class))),
                () = something_said => {
                    self.talk(job, run, &mut talking).await?;
                    continue;
                }
                piece = output.next() => piece,
            };
            let piece = match piece {
                None => return Ok(Followed::Ended),
                Some(Err(error)) => return Ok(Followed::CutOff(error)),
                Some(Ok(piece)) => piece,
            };
            if std::mem::take(&mut keys_lie_there) {
                // The agent speaks, so the shell before it has read the keys.
                remove_keys(&self.key_file(run));
            }
            let taken = self.take(job, run, (log, &mut progress), &piece).await?;
            life.hear(log.lines_of_work());
            if let Some(class) = taken.end_now {
                return Ok(Followed::Stop(Stopped::EndedEarly(class)));
            }
            if has_used_up(run, log) {
                return Ok(Followed::Stop(Stopped::EndedEarly(FailureClass::BudgetLimit)));
            }
            if taken.turn_ended {
                talking.is_answered = true;
                self.talk(job, run, &mut talking).await?;
            }
        }
    }

    /// Whether something goes on in the container of an agent that says nothing. A daemon that does
    /// not answer says neither.
    async fn is_alive(&self, name: &str, life: &mut Life, log: &RunLog) -> bool {
        match self.docker.activity(name).await {
            Ok(activity) => life.look(&activity, log.tools()),
            Err(error) => {
                tracing::warn!(%error, "inspecting a silent container failed");
                false
            }
        }
    }

    /// Ends when a person wants the task stopped.
    async fn until_stop_is_wanted(&self, job: &Job) {
        loop {
            tokio::time::sleep(STOP_ROUND).await;
            // A store that does not answer is asked again; the run goes on meanwhile.
            if let Ok(Some(why)) = self.store.stop_wanted(&job.task).await {
                tracing::info!(reason = ?why, "stopping the work");
                return;
            }
        }
    }

    /// Ends when these folders take up more disk than a story may, or hide what they do, or the
    /// disk itself is nearly full; tells which.
    pub(super) async fn until_too_much_disk(&self, folders: Vec<PathBuf>) -> FailureClass {
        let mut rounds_unseen = 0;
        loop {
            tokio::time::sleep(DISK_ROUND).await;
            let (folders, root) = (folders.clone(), self.data.root().to_owned());
            let looked = blocking(move || {
                let used: Vec<_> = folders.iter().map(|path| paths::measure(path)).collect();
                (used, paths::free_space(&root).ok())
            });
            let Ok((used, free)) = looked.await else { continue };
            // Once it may be a folder that was closed just then.
            let is_seen = used.iter().all(|used| used.is_all);
            rounds_unseen = if is_seen { 0 } else { rounds_unseen + 1 };
            let used: u64 = used.iter().map(|used| used.bytes).sum();
            // Half of what is wanted to begin: a run that began may use some of it.
            let is_full = free.is_some_and(|free| free.is_below(self.config.data.min_free.0 / 2));
            let is_over = used > self.config.container.disk.0 || rounds_unseen > 1;
            if is_over || is_full {
                tracing::warn!(used, is_seen, ?free, "runs use too much disk space");
                return if is_over { FailureClass::DiskFull } else { FailureClass::ServerDiskFull };
            }
        }
    }

    /// Reads the output of a container that has ended. Nothing can be stopped any more; but if hob
    /// stopped it and did not live to write down why, the reason shows here again.
    async fn read_again(
        &self,
        job: &Job,
        run: &Run,
        name: &str,
        log: &mut RunLog,
        (exit, stopped): (&Exit, &mut Option<Stopped>),
    ) -> Result<Followed, StepError> {
        let mut output = self.docker.follow(name);
        while let Some(piece) = output.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Ok(Followed::CutOff(error)),
            };
            let wanted = self.take(job, run, (log, &mut Progress::default()), &piece).await?;
            if STOPPED_CODES.contains(&exit.code) {
                *stopped = stopped.or(wanted.end_now.map(Stopped::EndedEarly));
            }
        }
        if STOPPED_CODES.contains(&exit.code) && has_used_up(run, log) {
            *stopped = stopped.or(Some(Stopped::EndedEarly(FailureClass::BudgetLimit)));
        }
        Ok(Followed::Ended)
    }

    /// Takes in a piece of output.
    async fn take(
        &self,
        job: &Job,
        run: &Run,
        (log, progress): (&mut RunLog, &mut Progress),
        piece: &Output,
    ) -> Result<ImportedCommits, StepError> {
        let mut taken = ImportedCommits::default();
        for signal in log.take(piece)? {
            match signal {
                Signal::Session(id) => self.remember_session(job, run, id).await?,
                Signal::EndNow(class) => taken.end_now = Some(class),
                Signal::TurnEnded => taken.turn_ended = true,
                Signal::Says(text) => {
                    if tracing::enabled!(tracing::Level::DEBUG) {
                        tracing::debug!(text = self.shown(&text), "agent output");
                    }
                    (progress.said, progress.waits) = (Some(text), None);
                }
                Signal::Uses(tool) => {
                    if tracing::enabled!(tracing::Level::DEBUG) {
                        tracing::debug!(tool = self.shown(&tool), "agent tool use");
                    }
                    progress.waits = None;
                }
                Signal::Todo(items) => {
                    tracing::debug!(items = items.len(), "agent plan");
                    progress.todo = Some(items);
                }
                Signal::Waits(text) => progress.waits = Some(text),
            }
        }
        Ok(taken)
    }

    /// What an agent said as it is shown. A secret that was cut would not be known any more.
    fn shown(&self, said: &str) -> String {
        agent::short_line(&self.addresses().leave_out(&self.secrets.redact(&agent::whole(said))))
    }

    /// The addresses that are the operator's own business: of a gateway before the model, for
    /// example.
    fn addresses(&self) -> Addresses {
        Addresses::among(self.config.agent.env.values().map(String::as_str))
    }

    /// Writes down what the agent has told of its work, and now and then that time has passed.
    async fn show_progress(
        &self,
        job: &Job,
        run: &Run,
        progress: &mut Progress,
        cost_usd: Option<f64>,
    ) -> Result<(), StepError> {
        // The same trouble again is no news.
        let waits = progress.waits.take().map(|text| self.shown(&text));
        let waits = waits.filter(|text| progress.shown_waits.as_ref() != Some(text));
        let said = match &waits {
            Some(text) => Some(format!("No progress: {text}")),
            None => progress.said.take().map(|text| self.shown(&text)),
        };
        let todo: Option<Vec<TodoItem>> = progress.todo.take().map(|items| {
            items.into_iter().map(|item| TodoItem { text: self.shown(&item.text), ..item }).collect()
        });
        let has_news = said.is_some() || todo.is_some();
        if !has_news && progress.shown.elapsed() < SHOWN_AT_LEAST {
            return Ok(());
        }
        self.store.run_progress(&job.task, run.id, said.as_deref(), todo.as_deref(), cost_usd).await?;
        let shown_waits = if said.is_some() { waits } else { progress.shown_waits.take() };
        *progress = Progress { shown_waits, ..Progress::default() };
        Ok(())
    }

    /// Whether a run has time left. Beyond it the run is ended, so there is nothing more to follow.
    pub(super) fn is_within_its_time(&self, run: &Run) -> bool {
        run.started_at.is_some_and(|at| elapsed_since(at) < longest_run(self.config.agent.timeout, run).0)
    }

    /// Whether a container that was killed had run past its time: then hob did it, and died before
    /// it could say so.
    fn overdue(&self, run: &Run, exit: &Exit) -> Option<Stopped> {
        let ran_for = exit.finished_at?.duration_since(run.started_at?);
        let (longest, too_long) = longest_run(self.config.agent.timeout, run);
        let past = Duration::try_from(ran_for).is_ok_and(|d| d >= longest);
        (past && STOPPED_CODES.contains(&exit.code)).then_some(too_long)
    }

    /// Written down as soon as it is known: a container that vanishes later leaves a session to
    /// resume.
    async fn remember_session(&self, job: &Job, run: &Run, id: String) -> Result<(), StepError> {
        if self.secrets.redactor().finds(id.as_bytes()) {
            return Ok(());
        }
        let session = Some(Session { agent: run.agent, id });
        if job.story.session != session {
            let change = StoryUpdate { session: Some(session), ..StoryUpdate::default() };
            self.store.change_story(&job.task, &change).await?;
        }
        Ok(())
    }

    async fn record_end(
        &self,
        job: &Job,
        run: &mut Run,
        (exit, stopped): (&Exit, Option<Stopped>),
        report: Report,
        left: Left,
    ) -> Result<(), StepError> {
        let ended_at = exit.finished_at.unwrap_or_else(clock::now);
        let started_at = run.started_at.unwrap_or(ended_at);
        let forget_session = matches!(&report.result, Err(failure) if !failure.class.keeps_session());
        let session = report.session.clone().filter(|id| {
            // An id is the agent's word too; one that holds a secret is no session.
            !forget_session && !self.secrets.redactor().finds(id.as_bytes())
        });
        let tokens = self.tokens_of_run(job, &report).await?;
        let cost_usd = match report.cost_usd {
            Some(cost) => Some(cost),
            None => self.cost_of_run(job, run, report.session.as_deref()).await?,
        };
        let secrets = self.secrets.redactor();
        let clean = |answer: Reply| Reply { reply: secrets.redact(&answer.reply).into_owned(), ..answer };
        let replies = left.handed.replies.iter().cloned().map(clean).collect();
        let title = left.handed.title.as_deref().map(|title| exchange::short_title(&secrets.redact(title)));
        let end = RunEnd {
            title,
            replies,
            cost_usd: cost_usd.map(|usd| usd.min(MAX_USD)),
            turns: report.turns,
            tokens,
            session_tokens: report.session_tokens.map(|tokens| tokens.min(MAX_TOKENS)),
            duration_ms: u64::try_from(ended_at.duration_since(started_at).as_millis()).unwrap_or(0),
            exit_code: Some(exit.code),
            session: session.clone(),
            drops: left.drops,
            resets_at: report.result.as_ref().err().and_then(|failure| self.resets_at(failure, ended_at)),
            outcome: without_secrets(
                outcome(exit, stopped, report, left.handed),
                &self.secrets,
                &self.addresses(),
            ),
            renewal: None,
        };
        let change = StoryUpdate {
            session: Some(session.map(|id| Session { agent: run.agent, id })),
            ..StoryUpdate::default()
        };
        self.write_record(job, run, &end).await?;
        self.store.end_run(&job.task, run, end, &change).await?;
        Ok(())
    }

    /// When a limit ends that a run met, in seconds since 1970: as a number where the agent's
    /// program has one, else by its words.
    fn resets_at(&self, failure: &agent::Failure, ended_at: Timestamp) -> Option<i64> {
        let now = ended_at.as_second();
        let in_seconds = || Some(now.saturating_add(i64::try_from(failure.resets_in?).ok()?));
        let told = failure.resets_at.or_else(in_seconds);
        let in_words = || {
            let zone = self.config.agent.env.iter().find(|(name, _)| name.as_str() == "TZ");
            let zone = zone.and_then(|(_, name)| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
            agent::reset_time(&failure.detail, ended_at, &zone).map(|at| at.as_second())
        };
        match failure.class {
            FailureClass::UsageLimit => told.or_else(in_words),
            // A limit of seconds or minutes is one that any retry waits out.
            FailureClass::RateLimit => {
                told.or_else(in_words).filter(|at| at.saturating_sub(now) >= LONG_LIMIT_SECONDS)
            }
            _ => told,
        }
    }

    /// What a run used of a session that is counted as a whole: what there is beyond the run
    /// before.
    async fn tokens_of_run(&self, job: &Job, report: &Report) -> Result<Option<u64>, StepError> {
        let tokens = match (report.tokens, report.session_tokens, &report.session) {
            (Some(tokens), _, _) => Some(tokens),
            (None, Some(all), Some(session)) => {
                let before = self.store.session_tokens(job.story.id, session).await?;
                Some(all.saturating_sub(before.unwrap_or(0)))
            }
            _ => None,
        };
        Ok(tokens.map(|tokens| tokens.min(MAX_TOKENS)))
    }

    /// What a run cost that did not tell, as one that was stopped: what its session has cost since
    /// the run before.
    async fn cost_of_run(
        &self,
        job: &Job,
        run: &Run,
        session: Option<&str>,
    ) -> Result<Option<f64>, StepError> {
        let Some(session) = session else { return Ok(None) };
        let Some(file) = agent::session_file(run.agent, session, WORKSPACE) else { return Ok(None) };
        let home = self.data.story(job.story.id).home;
        let end = blocking(move || account::read_end(&home, &file, MAX_OF_SESSION)).await?;
        let Some(total) = end.as_deref().and_then(agent::session_cost) else { return Ok(None) };
        let mut before = 0.0;
        for task in self.store.tasks_of(job.story.id).await? {
            let runs = self.store.runs_of(&task).await?;
            let of_session = runs.iter().filter_map(|run| run.end.as_ref());
            let of_session = of_session.filter(|end| end.session.as_deref() == Some(session));
            before += of_session.filter_map(|end| end.cost_usd).sum::<f64>();
        }
        Ok(Some(total - before).filter(|cost| *cost > 0.0))
    }

    async fn record_lost(&self, job: &Job, run: &mut Run) -> Result<(), StepError> {
        let end = RunEnd {
            outcome: Outcome::Failed { class: FailureClass::ContainerLost, detail: String::new() },
            cost_usd: None,
            turns: None,
            tokens: None,
            session_tokens: None,
            duration_ms: run.started_at.map_or(0, |at| elapsed_since(at).as_millis() as u64),
            exit_code: None,
            session: job.story.session.as_ref().map(|s| s.id.clone()),
            drops: Vec::new(),
            resets_at: None,
            renewal: None,
            title: None,
            replies: Vec::new(),
        };
        self.write_record(job, run, &end).await?;
        self.store.end_run(&job.task, run, end, &StoryUpdate::default()).await?;
        Ok(())
    }

    /// hob's own record of the run, beside the logs, for people who look there.
    pub(super) async fn write_record(&self, job: &Job, run: &Run, end: &RunEnd) -> Result<(), StepError> {
        #[derive(Serialize)]
        struct Record<'a> {
            run: String,
            task: String,
            story: String,
            repo: String,
            issue: u64,
            agent: &'a str,
            instead_of: Option<&'a str>,
            may_use: Limit,
            turn: &'a crate::story::RunReason,
            started_at: Option<Timestamp>,
            workspace: &'a std::path::Path,
            prompt: serde_json::Value,
            end: &'a RunEnd,
        }
        let record = serde_json::to_vec_pretty(&Record {
            run: run.id.to_string(),
            task: job.task.id.to_string(),
            story: job.story.id.to_string(),
            repo: job.story.repo.to_string(),
            issue: job.story.issue.0,
            agent: run.agent.as_str(),
            instead_of: run.fallback_for.map(|agent| agent.as_str()),
            may_use: run.budget_limit,
            turn: &run.turn,
            started_at: run.started_at,
            workspace: &self.data.story(job.story.id).workspace,
            prompt: self.prompt_facts(run),
            end,
        })
        .context("writing the run's record")?;
        let path = self.data.run(run.id).record;
        blocking(move || {
            around("disk", "run-record", || crate::paths::write_private(&path, record.as_ref()))
        })
        .await?
        .context("writing the run's record")?;
        Ok(())
    }

    /// Removes the run's container, now that its outcome is recorded, and its keys.
    pub(super) async fn clear_container(&self, run: &Run) -> Result<(), StepError> {
        remove_keys(&self.key_file(run));
        self.docker.clear(&run.container_name()).await.map_err(|error| StepError::Later(error.into()))
    }

    pub(super) async fn pause(&self, wait: Duration) -> Result<(), StepError> {
        tokio::select! {
            () = self.stop.cancelled() => Err(StepError::Stopping),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}

/// How long a run has shown no sign of life. A line that tells of work is one; where there is none,
/// what goes on in its container is: a build that prints nothing for twenty minutes is work. What
/// only says that it waits is none.
struct Life {
    limit: Duration,
    /// The last sign.
    seen: Instant,
    lines_of_work: u64,
    /// When the last of those lines came.
    heard: Instant,
    /// The processor's time at the last look.
    cpu: Option<(Duration, Instant)>,
}

/// The part of one processor that work takes up at least. A program that asks again and again
/// whether its network is back, or that waits for an answer, takes far less; a build on a machine
/// with other work may get little.
const MIN_CPU: f64 = 0.1;

/// A process that was started at a line may seem to be older than it: times are in whole seconds.
const AGE_SLACK: Duration = Duration::from_secs(3);

impl Life {
    fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, seen: now, lines_of_work: 0, heard: now, cpu: None }
    }

    /// How often it is looked into the container of a run that says nothing.
    fn round(&self) -> Duration {
        (self.limit / 10).clamp(Duration::from_millis(500), Duration::from_secs(30))
    }

    fn until(&self) -> Instant {
        self.seen + self.limit
    }

    /// Whether it is worth looking into the container.
    fn is_silent(&self) -> bool {
        self.seen.elapsed() >= self.round()
    }

    fn hear(&mut self, lines_of_work: u64) {
        if lines_of_work > self.lines_of_work {
            (self.seen, self.heard) = (Instant::now(), Instant::now());
            self.lines_of_work = lines_of_work;
        }
    }

    /// Takes in what goes on in the container; tells whether that is a sign of life.
    fn look(&mut self, activity: &Activity, tools: Tools) -> bool {
        let now = Instant::now();
        let before = match activity.cpu {
            Some(cpu) => self.cpu.replace((cpu, now)),
            None => None,
        };
        let is_busy = before.zip(activity.cpu).is_some_and(|((before, at), cpu)| {
            let passed = now.duration_since(at).as_secs_f64();
            passed > 0.0 && cpu.saturating_sub(before).as_secs_f64() / passed >= MIN_CPU
        });
        // What was there before the agent's last word is no tool that it has used since; and what
        // is gone at once only waits.
        let newest = self.heard.elapsed() + AGE_SLACK;
        let lasts = |child: &Child| child.age >= self.limit / 10 && child.age <= newest;
        let mut children = activity.children.iter();
        let has_tools = match tools {
            Tools::AtWork => children.next().is_some(),
            // A program that has started others in their turn is more than a pause of the agent's.
            Tools::Idle => children.any(|child| child.is_nested && lasts(child)),
            Tools::Unknown => children.any(lasts),
        };
        if is_busy || has_tools {
            self.seen = now;
        }
        is_busy || has_tools
    }
}

/// The outcome of a run. A question counts however the program ended: it was written on purpose,
/// and a person's answer is what can help.
fn outcome(exit: &Exit, stopped: Option<Stopped>, report: Report, handed: ExchangeFiles) -> Outcome {
    // Whatever it managed to say: a person does not want it any more.
    if stopped == Some(Stopped::Cancelled) {
        return Outcome::Cancelled;
    }
    // The session says nothing here: of a resumed one it is known before the agent begins.
    if exit.code == SETUP_FAILED && report.turns.is_none() && report.final_text.is_none() {
        let detail = report.result.err().map(|failure| failure.detail).unwrap_or_default();
        return Outcome::Failed { class: FailureClass::SetUpFailed, detail };
    }
    match (handed.question, report.result) {
        (Some(question), _) => Outcome::Blocked { question },
        (None, Ok(())) => Outcome::Completed { summary: handed.summary.or(report.final_text) },
        (None, Err(failure)) => Outcome::Failed { class: failure.class, detail: failure.detail },
    }
}

/// The outcome as it may be stored and told.
fn without_secrets(outcome: Outcome, secrets: &Secrets, addresses: &Addresses) -> Outcome {
    let secrets = secrets.redactor();
    let clean = |text: String| secrets.redact(&text).into_owned();
    match outcome {
        Outcome::Completed { summary } => Outcome::Completed { summary: summary.map(clean) },
        Outcome::Blocked { question } => Outcome::Blocked { question: question.map_texts(&clean) },
        Outcome::Failed { class, detail } => {
            Outcome::Failed { class, detail: agent::detail(&addresses.leave_out(&clean(detail))) }
        }
        Outcome::Cancelled => Outcome::Cancelled,
    }
}

/// The longest that a run may take, and what it means when it has.
fn longest_run(timeout: Duration, run: &Run) -> (Duration, Stopped) {
    match run.budget_limit.ms.map(Duration::from_millis) {
        Some(left) if left < timeout => (left, Stopped::EndedEarly(FailureClass::BudgetLimit)),
        _ => (timeout, Stopped::TimedOut),
    }
}

/// Whether a run has used what it may, as far as its program tells while it works.
fn has_used_up(run: &Run, log: &RunLog) -> bool {
    let so_far = log.so_far();
    let used = Usage { usd: so_far.cost_usd.unwrap_or(0.0), tokens: so_far.tokens.unwrap_or(0), ms: 0 };
    used.passes(Limit { ms: None, ..run.budget_limit })
}

fn elapsed_since(at: Timestamp) -> Duration {
    clock::now().duration_since(at).try_into().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentKind;
    use crate::ids::{RunId, TaskId};
    use crate::story::RunReason;

    #[test]
    fn a_key_is_taken_out_of_a_failures_words_before_they_are_shortened() {
        let key = "sk-ant-0123456789abcdefghijklmnopqrstuvwxyz";
        let secrets = Secrets::new(vec![key.into()]);
        let exit = agent::Exit { code: 2, ..agent::Exit::default() };
        let words = |stderr: &str| {
            let failure = Parser::new(AgentKind::Claude, None).finish(&exit, stderr).result.unwrap_err();
            let told = Outcome::Failed { class: failure.class, detail: failure.detail };
            let Outcome::Failed { detail, .. } = without_secrets(told, &secrets, &Addresses::default())
            else {
                panic!("it failed")
            };
            detail
        };
        for before in 550..600 {
            let told = words(&format!("{}{key}\n", "x".repeat(before)));
            assert!(!told.contains("sk-"), "{told}");
        }
        assert_eq!(words("one\n two\nthree\nfour\n"), "exit code 2: two three four");
    }

    const LIMIT: Duration = Duration::from_secs(900);

    fn child(seconds: u64, is_nested: bool) -> Child {
        Child { age: Duration::from_secs(seconds), is_nested }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_that_is_at_work_is_a_sign_of_life_and_a_pause_is_none() {
        let alive = async |tools, children: &[Child]| {
            let mut life = Life::new(LIMIT);
            tokio::time::advance(Duration::from_secs(600)).await;
            life.hear(1);
            tokio::time::advance(Duration::from_secs(200)).await;
            life.look(&Activity { cpu: None, children: children.to_vec() }, tools)
        };
        // Since 200 seconds the agent has said nothing.
        for tools in [Tools::AtWork, Tools::Idle, Tools::Unknown] {
            assert!(!alive(tools, &[]).await, "{tools:?}");
        }
        assert!(alive(Tools::AtWork, &[child(1, false)]).await);
        assert!(alive(Tools::AtWork, &[child(790, false)]).await, "hob may have begun to listen later");
        assert!(alive(Tools::Unknown, &[child(199, false)]).await);
        assert!(!alive(Tools::Unknown, &[child(790, false)]).await, "it was there before the last word");
        assert!(!alive(Tools::Unknown, &[child(1, false)]).await, "a pause between two tries");
        assert!(alive(Tools::Idle, &[child(199, true)]).await);
        assert!(!alive(Tools::Idle, &[child(199, false), child(790, true)]).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_processor_is_a_sign_of_life_and_asking_for_the_network_is_none() {
        for (percent, is_alive) in [(100, true), (30, true), (5, false), (0, false)] {
            let mut life = Life::new(LIMIT);
            let mut cpu = Duration::ZERO;
            for round in 0..40 {
                tokio::time::advance(Duration::from_secs(30)).await;
                cpu += Duration::from_secs(30) * percent / 100;
                let looks = life.look(&Activity { cpu: Some(cpu), children: Vec::new() }, Tools::Idle);
                assert_eq!(looks, is_alive && round > 0, "{percent} %, round {round}");
            }
            assert_eq!(life.until() > Instant::now(), is_alive, "{percent} %");
        }
    }

    #[test]
    fn what_is_left_of_a_caps_minutes_ends_a_run_as_the_budget_does() {
        let run = |ms: Option<u64>| Run {
            id: RunId::new(),
            task: TaskId::new(),
            turn: RunReason::Begin,
            agent: AgentKind::Codex,
            fallback_for: None,
            budget_limit: Limit { ms, ..Limit::default() },
            started_at: None,
            end: None,
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(longest_run(hour, &run(None)), (hour, Stopped::TimedOut));
        assert_eq!(longest_run(hour, &run(Some(7_200_000))), (hour, Stopped::TimedOut));
        let for_budget = Stopped::EndedEarly(FailureClass::BudgetLimit);
        assert_eq!(longest_run(hour, &run(Some(90_000))), (Duration::from_secs(90), for_budget));
    }
}
