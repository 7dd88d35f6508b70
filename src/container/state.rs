//! How far a container is, read from Docker's answer to an inspection.

use std::collections::BTreeMap;

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use jiff::Timestamp;

use super::ContainerError;

/// How far a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Created and never started, or its start failed.
    Created,
    /// Its process runs, or is paused.
    Running {
        /// When it was started; `None` if Docker does not say.
        started_at: Option<Timestamp>,
    },
    /// Its process has ended, and with it everything it started.
    Exited(Exit),
    /// It does not run and is being removed, or a removal failed half way; `Docker::remove`
    /// finishes it.
    Removing,
}

/// How a container's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 plus the signal's number if a signal ended it.
    pub code: i64,
    /// The kernel killed a process of the container for want of memory. Not always the main one:
    /// the code may be 0.
    pub oom_killed: bool,
    /// When it ended; `None` if Docker does not say.
    pub finished_at: Option<Timestamp>,
}

/// What an inspection tells that hob wants to know.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) state: State,
}

impl Inspected {
    pub(super) fn from_answer(name: &str, answer: ContainerInspectResponse) -> Result<Self, ContainerError> {
        let state = answer
            .state
            .as_ref()
            .and_then(state)
            .ok_or_else(|| ContainerError::Other(format!("docker reports no state for {name}")))?;
        let labels = answer.config.and_then(|config| config.labels).unwrap_or_default();
        Ok(Self { labels: labels.into_iter().collect(), state })
    }

    /// Whether the container has all these labels, with these values.
    pub(super) fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

fn state(answer: &ContainerState) -> Option<State> {
    use ContainerStateStatusEnum as Status;
    // The flag comes first: a container may be `removing` or `paused` and still have a process.
    if answer.running == Some(true) {
        return Some(State::Running { started_at: timestamp(answer.started_at.as_deref()) });
    }
    match answer.status? {
        Status::CREATED => Some(State::Created),
        Status::EXITED => Some(State::Exited(Exit {
            code: answer.exit_code?,
            oom_killed: answer.oom_killed.unwrap_or(false),
            finished_at: timestamp(answer.finished_at.as_deref()),
        })),
        Status::REMOVING | Status::DEAD => Some(State::Removing),
        // hob asks for no restarts, so a restarting container has a foreign policy; it counts as
        // alive. So does one that is between two states.
        Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => {
            Some(State::Running { started_at: timestamp(answer.started_at.as_deref()) })
        }
        _ => None,
    }
}

/// Docker writes the year 1 where a thing has not happened.
fn timestamp(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| *time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Option<State> {
        state(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn an_exit_carries_its_code_and_the_memory_flag() {
        let state = read(serde_json::json!({
            "Status": "exited", "Running": false, "OOMKilled": true, "ExitCode": 0,
            "StartedAt": "2026-11-23T22:01:24.701934677Z", "FinishedAt": "2026-11-23T22:01:25Z",
        }));
        let finished_at = Some("2026-11-23T22:01:25Z".parse().unwrap());
        assert_eq!(state, Some(State::Exited(Exit { code: 0, oom_killed: true, finished_at })));
    }

    #[test]
    fn what_has_not_happened_has_no_time() {
        let state = read(serde_json::json!({
            "Status": "running", "Running": true, "StartedAt": "0001-01-01T00:00:00Z",
        }));
        assert_eq!(state, Some(State::Running { started_at: None }));
    }

    #[test]
    fn a_container_with_a_process_runs_whatever_its_status_says() {
        for status in ["paused", "removing", "running", "restarting"] {
            let state = read(serde_json::json!({"Status": status, "Running": true}));
            assert_eq!(state, Some(State::Running { started_at: None }), "{status}");
        }
        for status in ["removing", "dead"] {
            let state = read(serde_json::json!({"Status": status, "Running": false}));
            assert_eq!(state, Some(State::Removing), "{status}");
        }
    }

    #[test]
    fn an_exit_without_a_code_is_not_guessed() {
        assert_eq!(read(serde_json::json!({"Status": "exited", "Running": false})), None);
    }
}
