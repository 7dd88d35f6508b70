//! The account that a run works with: a key or a login is there before a container starts, the
//! login goes into the story's home and comes back out of it, and is renewed when it was refused.
//! How the files are handled is `account.rs`' matter; when a login is renewed is decided in
//! `story/next.rs`.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use jiff::Timestamp;

use super::start::blocking;
use super::{Job, StepError, Worker};
use crate::account::{self, Login, LoginError, Obstructed};
use crate::agent::{AgentKind, FailureClass};
use crate::container::Mount;
use crate::message;
use crate::story::{self, Outcome, Renewal, Run, RunEnd, Story};

/// Where the SSH agent's socket is in the container. `/tmp` there is a tmpfs of its own.
const SSH_SOCKET: &str = "/run/hob/ssh-agent.sock";

impl Worker {
    /// Whether the agent has a key or a login, and the SSH agent where there shall be one.
    pub(super) async fn check_account(&self, agent: AgentKind) -> Result<(), StepError> {
        let config = &self.config;
        let names = agent.key_names();
        let has_key = names.is_empty() || names.iter().any(|name| config.agent.keys.contains_key(*name));
        if let Some(folder) = config.login_dir(agent) {
            let folder = folder.to_owned();
            blocking(move || Login::read(&folder, agent)).await?.map_err(|e| self.unusable(agent, &e))?;
        } else if !has_key {
            return Err(StepError::not_ready(message::no_account(agent, names)));
        }
        if let Some(socket) = self.ssh_socket()
            && !std::fs::metadata(socket).is_ok_and(|found| found.file_type().is_socket())
        {
            tracing::error!(socket = %socket.display(), "SSH agent not found");
            return Err(StepError::not_ready(message::no_ssh_agent()));
        }
        Ok(())
    }

    /// Puts the login into the story's home, where the agent works with one. What an earlier run
    /// left there, because hob was killed before it could take it out, is taken out first: its
    /// tokens may be newer.
    pub(super) async fn hand_out_login(&self, story: &Story, agent: AgentKind) -> Result<(), StepError> {
        let Some(folder) = self.config.login_dir(agent).map(ToOwned::to_owned) else { return Ok(()) };
        let home = self.data.story(story.id).home;
        let user = self.user;
        let secrets = self.secrets.clone();
        let handed = blocking(move || {
            take_back(&home, agent, &folder);
            Login::read(&folder, agent).map(|login| {
                // From here on they are kept out of logs, texts and commits.
                login.secrets().iter().for_each(|secret| secrets.add(secret));
                login.copy_in(&home, user)
            })
        });
        match handed.await?.map_err(|error| self.unusable(agent, &error))? {
            Err(error) if error.is::<Obstructed>() => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "copying the login into the agent's home failed"
                );
                let path = error.downcast_ref::<Obstructed>().map_or("", |obstructed| &obstructed.path);
                Err(StepError::not_ready(message::login_obstructed(path)))
            }
            other => Ok(other?),
        }
    }

    /// Takes the login out of the home of a run that has ended, and keeps what was renewed in it. A
    /// renewed one that the run was given and that was refused makes room for the one before it.
    pub(super) async fn take_login_back(&self, job: &Job, run: &Run) -> Result<(), StepError> {
        let Some(folder) = self.config.login_dir(run.agent).map(ToOwned::to_owned) else { return Ok(()) };
        let home = self.data.story(job.story.id).home;
        let agent = run.agent;
        let secrets = self.secrets.clone();
        let has_worked = match run.end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Completed { .. } | Outcome::Blocked { .. }) => Some(true),
            Some(Outcome::Failed { class: FailureClass::Authentication, .. }) => Some(false),
            _ => None,
        };
        let judged = run.started_at.zip(has_worked);
        blocking(move || {
            take_back(&home, agent, &folder);
            if let Some((started_at, has_worked)) = judged {
                judge(&folder, agent, started_at, has_worked);
            }
            // The agent's CLI may have renewed them, and the commits come next.
            if let Ok(login) = Login::read(&folder, agent) {
                login.secrets().iter().for_each(|secret| secrets.add(secret));
            }
        })
        .await
    }

    /// Whether a login that was refused can be renewed.
    pub(super) fn can_renew_login(&self, agent: AgentKind) -> bool {
        self.config.login_dir(agent).is_some() && !self.config.agent.sync_command.is_empty()
    }

    /// Whether this run was made with a login that had been renewed for it, and was refused again.
    pub(super) async fn was_login_renewed(&self, job: &Job, run: &Run) -> Result<bool, StepError> {
        let outcome = run.end.as_ref().map(|end| &end.outcome);
        if !matches!(outcome, Some(Outcome::Failed { class: FailureClass::Authentication, .. })) {
            return Ok(false);
        }
        let mut earlier = self.store.runs_of(&job.task).await?;
        earlier.retain(|other| other.id != run.id);
        Ok(story::was_synced(&earlier))
    }

    /// Runs the command that renews the login, and adds to the run's record how that went. A hob
    /// that was killed before that stands there runs the command again, one that was killed later
    /// does not.
    pub(super) async fn renew_login(&self, job: &Job, run: &Run, end: &RunEnd) -> Result<Renewal, StepError> {
        if let Some(renewal) = &end.renewal {
            return Ok(renewal.clone());
        }
        let config = &self.config.agent;
        tracing::info!("login rejected; running the sync command");
        let renewed = tokio::select! {
            () = self.stop.cancelled() => return Err(StepError::Stopping),
            renewed = account::sync(&config.sync_command, config.sync_timeout) => renewed,
        };
        let renewal = renewed.unwrap_or_else(|error| {
            tracing::error!(error = format!("{error:#}"), "running the sync command failed");
            Renewal { exit_code: None, timed_out: false, duration_ms: 0 }
        });
        let end = RunEnd { renewal: Some(renewal.clone()), ..end.clone() };
        // The file first: once the store has it, nothing is done again.
        self.write_record(job, run, &end).await?;
        self.store.login_renewed(&job.task, run.id, &end).await?;
        Ok(renewal)
    }

    /// The way to the SSH agent, where agents get one.
    pub(super) fn ssh_agent_mount(&self) -> Option<Mount> {
        let source = self.ssh_socket()?.to_owned();
        // Read-only is no hindrance to a socket.
        Some(Mount { source, target: SSH_SOCKET.to_owned(), read_only: true })
    }

    /// The variable by which programs find it.
    pub(super) fn ssh_agent_variable(&self) -> Option<(&'static str, String)> {
        self.ssh_socket().map(|_| ("SSH_AUTH_SOCK", SSH_SOCKET.to_owned()))
    }

    fn ssh_socket(&self) -> Option<&Path> {
        let container = &self.config.container;
        container.ssh_auth_sock.as_deref().filter(|_| container.ssh_agent)
    }

    fn unusable(&self, agent: AgentKind, error: &LoginError) -> StepError {
        tracing::error!(%error, "login unusable");
        let can_sync = self.can_renew_login(agent);
        StepError::not_ready(message::login_unusable(agent, error.file, error.fault, can_sync))
    }
}

/// A login that is not copied back costs a new login at worst, so the task goes on.
fn take_back(home: &Path, agent: AgentKind, folder: &Path) {
    match account::take_back(home, agent, folder) {
        Ok(written) if written.is_empty() => {}
        Ok(written) => tracing::info!(?written, "copied back the login that the agent renewed"),
        Err(error) => tracing::warn!(error = format!("{error:#}"), "copying the login back failed"),
    }
}

/// As little as that is a reason to hold a task up.
fn judge(folder: &Path, agent: AgentKind, started_at: Timestamp, has_worked: bool) {
    match account::judge(folder, agent, started_at, has_worked) {
        Ok(put_back) if put_back.is_empty() => {}
        Ok(put_back) => {
            tracing::error!(?put_back, "renewed login rejected; restoring the previous one");
        }
        Err(error) => tracing::warn!(error = format!("{error:#}"), "restoring the previous login failed"),
    }
}
