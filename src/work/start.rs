//! The start of a run: what must be there before a container is made, and then the container. May
//! be repeated from the top at any point until the container runs; a container that runs, or has
//! run, is left alone.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::checkout::NewCheckout;
use super::prompting::told;
use super::refresh::WorkspaceState;
use super::talk::{INBOX, make_inbox};
use super::{Job, StepError, Worker};
use crate::account;
use crate::agent::{self, AgentKind, FailureClass, Invocation};
use crate::config::TaskSettings;
use crate::container::{ContainerError, ContainerSpec, Ensured, Limits, Log, Mount, Network, State};
use crate::exchange;
use crate::fail_point::around;
use crate::git::{Mirror, Remote, RemoteError};
use crate::github::GitHubError;
use crate::ids::{LABEL_INSTANCE, LABEL_RUN, LABEL_STORY, QuestionId, Repo, Sha, StoryId};
use crate::message::Detail;
use crate::paths;
use crate::prompt::{Facts, Known, PromptPurpose, PullStatus, WorkspaceChanges};
use crate::store::StoryUpdate;
use crate::story::plan::TaskMode;
use crate::story::{Outcome, Run, RunEnd, RunReason, Session, Story, Task, TaskKind};

/// Where the agent finds things in its container.
pub(super) const WORKSPACE: &str = "/workspace";
pub(super) const HOME: &str = "/home/agent";
pub(super) const EXCHANGE: &str = "/hob";
const KEYS: &str = "/run/hob/env";

/// The file with the keys is read by the shell and becomes the agent's environment; it is nowhere
/// in the container's configuration. The prompt is the agent's standard input, so no argument can
/// be mistaken for an option and no length is too much. Where there is an inbox, its lines are, as
/// they come, until the one that says that no more will.
///
/// The repository's set-up command runs before the keys are read. Its output is no event of the
/// agent's, so it goes to stderr. It may install the agent's program; without it, an image that has
/// none is noticed at once.
const ENTRY: &str = r#"
[ -n "${HOB_SETUP:-}" ] || command -v "$1" >/dev/null || { echo "$1: not found" >&2; exit 127; }
input=/hob/prompt.md
if [ -e /run/hob/inbox ]; then
  input=/tmp/.hob-input
fi
if [ -n "${HOB_SETUP:-}" ]; then
  /bin/sh -c "$HOB_SETUP" >&2 </dev/null || { echo "the set-up command ended with $?" >&2; exit 97; }
fi
if [ -e /run/hob/inbox ]; then
  rm -f "$input"
  mkfifo -m 600 "$input" || exit 98
  # In a shell of its own that ends at once: then the init is their parent, not the agent.
  (tail -n +1 -f /run/hob/inbox | while IFS= read -r line; do
    [ "$line" != end ] || exit 0
    printf '%s\n' "$line"
  done >"$input" &) </dev/null
fi
set -a; . /run/hob/env; set +a
exec "$@" < "$input"
"#;

/// The exit code by which the entry says that the set-up command failed.
pub(super) const SETUP_FAILED: i64 = 97;

/// What Docker keeps of a container's output until hob has read it. More than any agent says in an
/// hour.
const LOG_BYTES: u64 = 512 << 20;

impl Worker {
    /// Makes sure that the run's container has been started.
    pub(super) async fn start(&self, job: &Job, run: &mut Run) -> Result<(), StepError> {
        let name = &run.container_name();
        if run.started_at.is_none() {
            self.check_daemon().await?;
        }
        match self.docker.state(name).await.map_err(docker_error)? {
            Some(State::Running { .. } | State::Exited(_)) => {
                // A crash may have come between the start and its record.
                self.store.run_started(&job.task, run).await?;
                return Ok(());
            }
            // Started once and not there any more: `watch` finds the same and says so.
            None if run.started_at.is_some() => return Ok(()),
            // Created, but never started; its mounts may be from before a reboot.
            Some(State::Created | State::Removing) => self.docker.remove(name).await.map_err(docker_error)?,
            None => {}
        }
        let settings = self.settings_for(job, run.agent);
        self.check_ready(&settings, run.agent).await?;
        self.ensure_alone(job, name).await?;
        if job.story.handed_over {
            // hob died, or failed, between a push and the removal. The commits in it are not those
            // that were pushed, which have other authors, so nothing built on them could be handed
            // over.
            self.clear_workspace(&job.story).await?;
        }
        let is_kept = self.data.story(job.story.id).workspace.exists();
        let job = &self.preflight(job, is_kept).await?;
        let (story, is_fresh) = Box::pin(self.ensure_workspace(job, run)).await?;
        let refreshed = match is_fresh {
            true => None,
            false => {
                let runs = self.store.runs_of(&job.task).await?;
                let has_begun = runs.iter().any(|before| before.id != run.id && before.started_at.is_some());
                let kept = match (is_kept, has_begun) {
                    (false, _) => WorkspaceState::Not,
                    (true, false) => WorkspaceState::FromBefore,
                    (true, true) => WorkspaceState::GoesOn,
                };
                Some(self.refresh(job, run, kept).await?)
            }
        };
        let news = refreshed.as_ref().map(|(news, _)| news);
        let spec = self.prepare_run(job, &story, run, &settings, news).await?;
        match self.docker.ensure(&spec).await.map_err(docker_error)? {
            Ensured::Created | Ensured::Existed(State::Created) => {}
            Ensured::Existed(state) => tracing::warn!(?state, "container already exists"),
        }
        // Recorded last: until the agent can start, the refresh is repeated and finds the same.
        if let Some((news, head)) = refreshed {
            self.record_refresh(job, &news, head).await?;
        }
        // Docker knows nothing of leases: a worker that has lost the task starts nothing.
        self.store.still_holds(&job.task).await?;
        self.docker.start(name).await.map_err(docker_error)?;
        self.store.run_started(&job.task, run).await?;
        tracing::info!(container = name, agent = %run.agent, "agent started");
        Ok(())
    }

    /// One container a story: what another run of it has left, one that failed while Docker was
    /// away for example, is proved dead and removed before anything is mounted again.
    pub(super) async fn ensure_alone(&self, job: &Job, name: &str) -> Result<(), StepError> {
        let story = job.story.id.to_string();
        for found in self.docker.list((LABEL_STORY, &story)).await.map_err(docker_error)? {
            let is_ours = found.labels.get(LABEL_INSTANCE) == Some(&self.instance);
            if is_ours && found.name != name {
                tracing::warn!(container = found.name, "removing a container of an earlier run");
                self.docker.remove(&found.name).await.map_err(docker_error)?;
            }
        }
        Ok(())
    }

    /// A daemon that is down is said at once: nothing has been started that could be waited for.
    /// Only a restart of it, some seconds, is sat out.
    async fn check_daemon(&self) -> Result<(), StepError> {
        let deadline = Instant::now() + DAEMON_GRACE;
        while let Err(error) = self.docker.ping().await {
            if Instant::now() >= deadline {
                tracing::error!(%error, "docker does not respond; not starting runs");
                return Err(StepError::not_ready(Detail::DockerAway));
            }
            self.pause(DAEMON_ROUND).await?;
        }
        Ok(())
    }

    /// What would make the run fail later is said now, in words.
    async fn check_ready(&self, settings: &TaskSettings, agent: AgentKind) -> Result<(), StepError> {
        if !self.config.allows_image(&settings.image) {
            return Err(StepError::not_ready(Detail::ImageNotAllowed(settings.image.clone())));
        }
        if agent == AgentKind::Command && self.config.agent.command.is_empty() {
            return Err(StepError::not_ready(Detail::NoCommand));
        }
        self.check_account(agent).await?;
        let free = paths::free_space(self.data.root())?;
        if free.is_below(self.config.data.min_free.0) {
            tracing::error!(?free, "disk nearly full; not starting runs");
            return Err(StepError::not_ready(Detail::DiskFull));
        }
        if !self.docker.has_image(&settings.image).await.map_err(docker_error)? {
            return Err(StepError::not_ready(Detail::NoImage(settings.image.clone())));
        }
        Ok(())
    }

    /// The remote that hob fetches from and pushes to, with a token that is good for now.
    pub(super) async fn remote(&self, story: &Story) -> Result<Remote, StepError> {
        let repository = self.github.repository(&story.at()).await.map_err(github_error)?;
        // Its name may be another one than the story has.
        let (repo, token) = repository.git_access().await.map_err(github_error)?;
        self.secrets.add(&token);
        Ok(Remote { url: self.url_of(&repo), token: Some(token) })
    }

    pub(super) fn remote_url(&self, story: &Story) -> String {
        self.url_of(&story.repo)
    }

    fn url_of(&self, repo: &Repo) -> String {
        format!("{}/{repo}.git", self.config.github.git_url.trim_end_matches('/'))
    }

    /// Makes the workspace if it is not there. One that is there is complete, and the agent's: it
    /// is not looked into. Also tells whether the workspace is as the base branch has it, so that
    /// nothing in it can be an agent's.
    async fn ensure_workspace(&self, job: &Job, run: &Run) -> Result<(Story, bool), StepError> {
        let paths = self.data.story(job.story.id);
        let mut story = job.story.clone();
        if paths.workspace.exists() {
            return Ok((story, false));
        }
        // Fetched a moment ago.
        let mirror_path = self.data.mirror(&story.mirror);
        let names = (story.branch.clone(), story.base_branch.clone());
        let (mirror, branch, base) = blocking(move || {
            let mirror = Mirror::ensure(&mirror_path)?;
            let (branch, base) = (mirror.branch(&names.0)?, mirror.branch(&names.1)?);
            anyhow::Ok((mirror, branch, base))
        })
        .await??;
        let base =
            base.ok_or_else(|| StepError::not_ready(Detail::NoBaseToStart(story.base_branch.clone())))?;
        let start = branch.clone().unwrap_or_else(|| base.clone());
        // What begins again builds on the base as it is now.
        let root = branch.is_none().then(|| (story.base_branch.clone(), base.clone()));
        // What the workspace starts from is written down before it exists: a workspace whose start
        // is not known could not be handed over.
        let change = StoryUpdate {
            base: Some((start.clone(), branch.clone())),
            root,
            handed_over: Some(false),
            ..StoryUpdate::default()
        };
        self.store.change_story(&job.task, &change).await?;
        let is_fresh = branch.is_none();
        (story.base, story.remote_head) = (Some(start.clone()), branch);
        // The workspace names the base branch's commit too.
        let pinned: [Sha; 2] = [start.clone(), base];
        let (id, folder) = (story.id, paths.folder.clone());
        blocking(move || -> anyhow::Result<()> {
            pinned.iter().try_for_each(|at| mirror.pin(id, at))?;
            make_private_folder(&folder, None)
        })
        .await??;
        let draft = paths::draft(&paths.workspace);
        let image = self.settings_for(job, run.agent).image;
        let new = NewCheckout { folder: draft.clone(), at: &start, quarantine: None, image };
        // Boxed: all of it in one future is too much for a thread's stack.
        Box::pin(self.check_out(job, run, new)).await?;
        // Until here a crash leaves only the draft; from here on the workspace is whole.
        blocking(move || around("disk", "workspace-rename", || std::fs::rename(&draft, &paths.workspace)))
            .await?
            .context("moving the workspace into place")?;
        Ok((story, is_fresh))
    }

    /// Writes what the container will find, and describes the container.
    async fn prepare_run(
        &self,
        job: &Job,
        story: &Story,
        run: &Run,
        settings: &TaskSettings,
        news: Option<&WorkspaceChanges>,
    ) -> Result<ContainerSpec, StepError> {
        let session = resumable(story, run);
        let (text, images) = self.prompt(job, story, run, session.is_some(), news).await?;
        let paths = self.data.story(story.id);
        let run_paths = self.data.run(run.id);
        let keys = self.key_file(run);
        let key_text = self.key_text(run.agent)?;
        let user = self.user;
        let agent = run.agent;
        let mut mounts = vec![
            // What an agent that only plans may not do, it cannot.
            mount(&paths.workspace, WORKSPACE, job.task.mode == TaskMode::Plan),
            mount(&paths.home, HOME, false),
            mount(&paths.exchange, EXCHANGE, false),
            mount(&keys, KEYS, true),
            self.mirror_mount(story),
        ];
        mounts.extend(self.ssh_agent_mount());
        let inbox = agent.listens().then(|| run_paths.inbox.clone());
        mounts.extend(inbox.as_deref().map(|inbox| mount(inbox, INBOX, true)));
        let run_id = run.id;
        blocking(move || -> anyhow::Result<()> {
            make_private_folder(&run_paths.folder, None)?;
            prepare_home(&paths.home, agent, user)?;
            around("disk", "exchange", || {
                exchange::prepare(&paths.exchange, &text, Some(user))?;
                exchange::add_images(&paths.exchange, &images, Some(user))
            })?;
            if let Some(inbox) = inbox {
                around("disk", "inbox-made", || make_inbox(&inbox, &text, run_id, user))?;
            }
            around("disk", "keys", || write_keys(&keys, &key_text, user))
        })
        .await??;
        self.hand_out_login(story, run.agent).await?;
        let invocation = Invocation {
            resume: session.map(|s| s.id.as_str()),
            model: settings.model.as_deref(),
            max_turns: self.config.agent.max_turns,
            max_budget_usd: run.budget_limit.usd.map(to_cents),
            command: &self.config.agent.command,
        };
        let mut command: Vec<String> = ["/bin/sh", "-c", ENTRY, "hob"].map(str::to_owned).to_vec();
        command.extend(agent::argv(run.agent, &invocation));
        Ok(ContainerSpec {
            name: run.container_name(),
            image: settings.image.clone(),
            command,
            env: self.environment(job, run, &invocation, settings),
            labels: self.labels(job.story.id, run),
            mounts,
            user: self.user,
            workdir: WORKSPACE.to_owned(),
            network: self.network(),
            limits: self.limits(),
            log: Log::Keep { max_bytes: LOG_BYTES },
        })
    }

    /// What the agent is told, and the images that go with it. Everything that it was made from is
    /// written down.
    async fn prompt(
        &self,
        job: &Job,
        story: &Story,
        run: &Run,
        resumes: bool,
        news: Option<&WorkspaceChanges>,
    ) -> Result<(String, Vec<exchange::Named>), StepError> {
        let questions = self.store.questions(story.id).await?;
        let tasks = self.store.tasks_of(story.id).await?;
        let before = self.heard_in_session(job, story, run, &tasks).await?;
        let earlier = tasks.into_iter().take_while(|task| task.id != job.task.id);
        // A base that was brought in is no request that the agent has to know of.
        let earlier: Vec<_> = earlier.filter(|task| !matches!(task.ask.about, TaskKind::Base(_))).collect();
        let asked = |id: &QuestionId| questions.iter().find(|asked| asked.id == *id);
        let purpose = match &run.turn {
            RunReason::Begin | RunReason::StartOver => PromptPurpose::Work,
            // What is no question of the agent's was about a cap.
            RunReason::Answer { question } => {
                asked(question).map_or(PromptPurpose::GoOn, PromptPurpose::Answered)
            }
            RunReason::CommitLeftovers { files } => PromptPurpose::Commit(files),
            RunReason::CarryOut { question } => {
                asked(question).map_or(PromptPurpose::Work, PromptPurpose::CarryOut)
            }
            RunReason::GoOn | RunReason::PublishAgain => {
                PromptPurpose::Resume(match earlier.last().map(|task| &task.turn) {
                    Some(RunReason::Answer { question } | RunReason::CarryOut { question }) => {
                        asked(question)
                    }
                    _ => None,
                })
            }
            RunReason::ChecksFailed { command, end, output } => {
                PromptPurpose::MendCheck { command, end: *end, output }
            }
            RunReason::PushedMeanwhile { files } => PromptPurpose::MeetTheirs(files),
        };
        let moved = news.and_then(|news| news.base_moved.as_ref());
        let purpose = match Self::purpose_of_base(job, run, moved).unwrap_or(purpose) {
            _ if before.is_again && !matches!(job.task.ask.about, TaskKind::Base(_)) => {
                PromptPurpose::Resume(None)
            }
            PromptPurpose::Resume(Some(asked)) if before.answers.contains(&asked.id) => {
                PromptPurpose::Resume(None)
            }
            purpose => purpose,
        };
        let earlier: Vec<_> = earlier.into_iter().map(|task| task.ask).collect();
        let told = told(&job.task.ask, &earlier, &questions, &purpose, resumes);
        let gathered = self.gather(job, story, run, resumes, &told).await?;
        let facts = Facts {
            repo: &story.repo.to_string(),
            issue: story.issue.0,
            branch: &story.branch,
            base_branch: &story.base_branch,
            ask: &job.task.ask,
            resumes,
            earlier: &earlier,
            questions: &questions,
            purpose,
            mode: job.task.mode,
            news,
            seen: &gathered.seen,
            applied: &self.store.applied_suggestions(story.id).await?,
            pull: PullStatus::of(&job.story),
            known: before.known,
        };
        let (made, template) = self.write_prompt(job, &facts).await?;
        self.keep_prompt(run, &made, &template, &gathered.seen).await?;
        Ok((made.text, gathered.images))
    }

    /// What the session that a run resumes has been told by the runs before.
    async fn heard_in_session(
        &self,
        job: &Job,
        story: &Story,
        run: &Run,
        tasks: &[Task],
    ) -> Result<Heard, StepError> {
        let mut heard = Heard::default();
        let Some(session) = resumable(story, run) else { return Ok(heard) };
        let ask = &job.task.ask;
        heard.known.text = ask.text.is_none();
        for task in tasks {
            for before in self.store.runs_of(task).await?.iter().filter(|before| before.id != run.id) {
                let of_session = |end: &&RunEnd| end.session.as_ref() == Some(&session.id) && has_heard(end);
                let Some(end) = before.end.as_ref().filter(of_session) else { continue };
                // Of a review or of checks each round is new.
                let is_same = matches!(ask.about, TaskKind::Issue | TaskKind::SubIssue(_))
                    && task.ask.about == ask.about;
                heard.known.issue |= is_same && task.ask.title == ask.title && task.ask.body == ask.body;
                heard.known.text |= task.ask.text == ask.text;
                if let RunReason::Answer { question } | RunReason::CarryOut { question } = &before.turn {
                    heard.answers.push(*question);
                }
                let has_failed = matches!(end.outcome, Outcome::Failed { .. });
                heard.is_again = task.id == job.task.id && before.turn == run.turn && has_failed;
            }
        }
        if heard.is_again {
            heard.known = Known { issue: true, text: true };
        }
        Ok(heard)
    }

    /// Everything here can be read by anyone who may ask Docker, so none of it is secret.
    fn environment(
        &self,
        job: &Job,
        run: &Run,
        invocation: &Invocation<'_>,
        settings: &TaskSettings,
    ) -> Vec<(String, String)> {
        let api = self.config.server.api_url.as_deref();
        let api = api.map(|url| url.replace("localhost", "host.docker.internal"));
        let own = [
            ("HOME", HOME.to_owned()),
            ("HOB_EXCHANGE", EXCHANGE.to_owned()),
            ("HOB_STORY_ID", job.story.id.to_string()),
            ("HOB_TASK_ID", job.task.id.to_string()),
            ("HOB_RUN_ID", run.id.to_string()),
            // No container has a way to the content of Git LFS.
            ("GIT_LFS_SKIP_SMUDGE", "1".to_owned()),
        ];
        let configured = self.config.agent.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        own.into_iter()
            .chain(api.map(|url| ("HOB_API_URL", url)))
            .chain(self.set_up(job, settings).map(|command| ("HOB_SETUP", command)))
            .chain(run.agent.settings())
            .chain(agent::environment(run.agent, invocation))
            .chain(self.ssh_agent_variable())
            .map(|(name, value)| (name.to_owned(), value))
            .chain(self.author_environment())
            .chain(configured)
            .collect()
    }

    /// The command that sets up what the agent builds and tests with. A plan needs none of it, and
    /// it could not be written.
    fn set_up(&self, job: &Job, settings: &TaskSettings) -> Option<String> {
        settings.setup.clone().filter(|_| job.task.mode == TaskMode::Work)
    }

    /// Whose name stands on commits made in a container.
    pub(super) fn author_environment(&self) -> Vec<(String, String)> {
        let git = &self.config.git;
        let named = [
            ("GIT_AUTHOR", &git.author_name, &git.author_email),
            ("GIT_COMMITTER", &git.author_name, &git.author_email),
        ];
        let named = named.into_iter().flat_map(|(who, name, email)| {
            [(format!("{who}_NAME"), name.clone()), (format!("{who}_EMAIL"), email.clone())]
        });
        named.collect()
    }

    /// The mirror's objects, which the workspace borrows, at the path where git inside looks for
    /// them.
    pub(super) fn mirror_mount(&self, story: &Story) -> Mount {
        let objects = self.data.mirror(&story.mirror).join("objects");
        let target = objects.to_string_lossy().into_owned();
        Mount { source: objects, target, read_only: true }
    }

    pub(super) fn labels(&self, story: StoryId, run: &Run) -> BTreeMap<String, String> {
        BTreeMap::from([
            (LABEL_INSTANCE.to_owned(), self.instance.clone()),
            (LABEL_RUN.to_owned(), run.id.to_string()),
            (LABEL_STORY.to_owned(), story.to_string()),
            ("hob.task".to_owned(), run.task.to_string()),
        ])
    }

    pub(super) fn limits(&self) -> Limits {
        let container = &self.config.container;
        Limits {
            memory_bytes: container.memory.0,
            cpus: container.cpus,
            pids: container.pids,
            nofile: container.nofile,
            tmp_bytes: container.tmp.0,
            shm_bytes: SHM_BYTES,
        }
    }

    pub(super) fn network(&self) -> Network {
        match self.config.container.network.as_str() {
            "bridge" => Network::Bridge,
            "none" => Network::None,
            name => Network::Named(name.to_owned()),
        }
    }

    /// Where a run's keys lie while its container starts: on tmpfs, so that they never reach a
    /// disk.
    pub(super) fn key_file(&self, run: &Run) -> PathBuf {
        self.config.container.secrets_dir.join(format!("hob-{}", run.id)).join("env")
    }

    /// The keys of this agent's CLI and those that the operator named, as assignments for a shell.
    fn key_text(&self, agent: AgentKind) -> Result<String, StepError> {
        let config = &self.config.agent;
        // Where a login is configured, a key that merely lies in hob's environment would go before
        // it.
        let by_key = self.config.login_dir(agent).is_none();
        let wanted =
            |name: &str| (by_key && agent.key_names().contains(&name)) || config.key_files.contains_key(name);
        let mut text = String::new();
        for (name, key) in config.keys.iter().filter(|(name, _)| wanted(name)) {
            let quoted = shlex::try_quote(key.expose_secret())
                .map_err(|_| StepError::not_ready(Detail::KeyUnusable(name.clone())))?;
            text.push_str(&format!("{name}={quoted}\n"));
        }
        Ok(text)
    }
}

/// What a session has been told before.
#[derive(Debug, Default)]
struct Heard {
    known: Known,
    /// The answers to these questions.
    answers: Vec<QuestionId>,
    /// All of what this run is for: the last one was for the same, and failed.
    is_again: bool,
}

/// Whether a run of a session got as far as to be told its prompt. Each program keeps a prompt
/// before it asks the model.
fn has_heard(end: &RunEnd) -> bool {
    use FailureClass as F;
    let has_worked = end.tokens.is_some_and(|tokens| tokens > 0);
    match &end.outcome {
        Outcome::Completed { .. } | Outcome::Blocked { .. } => true,
        Outcome::Cancelled => has_worked,
        Outcome::Failed { class, .. } => match class {
            F::Overloaded
            | F::RateLimit
            | F::UsageLimit
            | F::Billing
            | F::ModelUnknown
            | F::TurnLimit
            | F::BudgetLimit => true,
            _ => has_worked,
        },
    }
}

/// As long as a Docker daemon takes to be restarted.
const DAEMON_GRACE: Duration = Duration::from_secs(10);
/// How often it is asked meanwhile.
const DAEMON_ROUND: Duration = Duration::from_millis(500);

/// `/dev/shm` in the container; browsers under test want some.
const SHM_BYTES: u64 = 256 << 20;

/// Whole cents, no more than there are: a long fraction is no amount for people who look at the
/// arguments.
fn to_cents(usd: f64) -> f64 {
    ((usd * 100.0 + 1e-6).floor() / 100.0).max(0.01)
}

/// The session that a run can go on with: of the same CLI, and not given up.
pub(super) fn resumable<'a>(story: &'a Story, run: &Run) -> Option<&'a Session> {
    story.session.as_ref().filter(|session| session.agent == run.agent && run.turn != RunReason::StartOver)
}

pub(super) fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount { source: source.to_owned(), target: target.to_owned(), read_only }
}

/// A folder that only its owner may enter; `owner` absent means hob.
pub(super) fn make_private_folder(path: &Path, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("creating {}", path.display()))?;
    if let Some((uid, gid)) = owner {
        lchown(path, Some(uid), Some(gid))
            .with_context(|| format!("giving {} to the agent", path.display()))?;
    }
    Ok(())
}

/// The agent's home, with what its CLI must find at its first start. A home that is there may have
/// been in another agent's hands: what is missing for this one is made without following a link.
fn prepare_home(home: &Path, agent: AgentKind, owner: (u32, u32)) -> anyhow::Result<()> {
    if !home.exists() {
        // Made beside and renamed, so that a home that is there belongs to the agent.
        let new = paths::draft(home);
        paths::remove_tree(&new)?;
        make_private_folder(&new, Some(owner))?;
        around("disk", "home-rename", || std::fs::rename(&new, home))
            .context("moving the agent's home into place")?;
    }
    for (name, content) in agent.home_files() {
        account::ensure_file(home, name, content, owner)
            .with_context(|| format!("writing {name} for the agent"))?;
    }
    Ok(())
}

fn write_keys(file: &Path, text: &str, (uid, gid): (u32, u32)) -> anyhow::Result<()> {
    let folder = file.parent().context("the key file's path has no parent folder")?;
    paths::remove_tree(folder)?;
    make_private_folder(folder, None)?;
    let mut open = std::fs::OpenOptions::new();
    // create_new: anyone who could put a file there first must not receive the keys.
    let mut created =
        open.write(true).create_new(true).mode(0o400).open(file).context("creating the key file")?;
    created.write_all(text.as_bytes()).context("writing the key file")?;
    lchown(file, Some(uid), Some(gid)).context("giving the key file to the agent")
}

/// Runs work that blocks, git and disk, where it holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(|e| StepError::Later(anyhow::Error::new(e).context("a step of the worker panicked")))
}

pub(super) fn docker_error(error: ContainerError) -> StepError {
    match error {
        ContainerError::Unreachable(_) | ContainerError::NotKept(_) => StepError::Later(error.into()),
        ContainerError::NoImage(image) => StepError::not_ready(Detail::NoImage(image)),
        // A daemon in trouble, and a name in use: it can be over in a moment.
        ContainerError::Refused { status: 409 | 500.., .. } => {
            tracing::warn!(%error, "docker request rejected");
            StepError::refused(Detail::DockerRefused)
        }
        // Docker's words name paths of the host; they are for the log.
        other => {
            tracing::error!(error = %other, "docker request failed");
            StepError::not_ready(Detail::DockerRefused)
        }
    }
}

pub(super) fn github_error(error: GitHubError) -> StepError {
    if error.is_transient() {
        return StepError::Later(error.into());
    }
    tracing::error!(%error, "GitHub request failed");
    StepError::refused(Detail::HostRefused)
}

pub(super) fn remote_error(error: RemoteError) -> StepError {
    match error {
        RemoteError::Unauthorized(_) => StepError::refused(Detail::TokenRefused),
        RemoteError::NotFound => StepError::refused(Detail::NoRepository),
        other => StepError::Later(other.into()),
    }
}

/// Removes the keys of a run; the shell in the container has read them, or never will.
pub(super) fn remove_keys(file: &Path) {
    if let Some(folder) = file.parent()
        && let Err(error) = paths::remove_tree(folder)
    {
        tracing::warn!(error = format!("{error:#}"), "key file not removed");
    }
}
