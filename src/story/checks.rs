//! What came of the checks that a repository wants to pass before a pull request, and what follows
//! from it. Pure.

use serde::{Deserialize, Serialize};

use super::{Run, RunReason};
use crate::config::Host;
use crate::ids::Sha;

/// What came of all checks on one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The commit.
    pub tip: Sha,
    /// The image that they ran in, as it is named.
    pub image: String,
    /// The same by its content: `sha256:…`.
    pub image_id: String,
    /// Whether they could reach the network, all of it or some servers.
    #[serde(default)]
    pub network: bool,
    /// The servers that they could reach, where it was not all of the network.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// One for each check, in the order of the settings.
    pub results: Vec<CheckResult>,
}

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Its command line.
    pub command: String,
    /// How it ended.
    pub end: CheckEnd,
    /// From the container's start to its end, in milliseconds.
    pub duration_ms: u64,
    /// The end of what it printed, without secrets.
    pub output: String,
    /// What it wanted to reach on the network and was not let at.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// Something on the network that a check was not let at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Refused {
    /// `name:port`.
    pub host: String,
    /// Why not.
    pub why: RefusalReason,
}

/// Why a check was not let at something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It is not in the list.
    NotListed,
    /// The name leads to a private network or to the machine itself.
    Private,
}

impl Refused {
    /// For programs, and for the agent.
    pub fn describe(&self) -> String {
        let why = match self.why {
            RefusalReason::NotListed => "it is not in `checks_network` of .github/hob.toml",
            RefusalReason::Private => {
                "its name leads to a private address, and that does not stand in `checks_network` of .github/hob.toml"
            }
        };
        format!("hob did not open {}: {why}", self.host)
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckEnd {
    /// With this exit code; 0 is success.
    Exited(i64),
    /// It took too long and was stopped.
    TimedOut,
    /// It took too much disk, printed too much, or wore its proxy out, and was stopped.
    TookTooMuch,
}

impl CheckResult {
    /// Whether it ended well.
    pub fn passed(&self) -> bool {
        self.end == CheckEnd::Exited(0)
    }
}

impl Checked {
    /// The first check that did not end well.
    pub fn failing(&self) -> Option<&CheckResult> {
        self.results.iter().find(|result| !result.passed())
    }
}

/// The reason for another run, where a check failed and the agent has not had it back `retries`
/// times.
pub fn back_to_agent(checked: &Checked, runs: &[Run], retries: u32) -> Option<RunReason> {
    let failing = checked.failing()?;
    let had_back = runs.iter().filter(|run| matches!(run.turn, RunReason::ChecksFailed { .. })).count();
    let may_try = u32::try_from(had_back).is_ok_and(|had_back| had_back < retries);
    may_try.then(|| RunReason::ChecksFailed {
        command: failing.command.clone(),
        end: failing.end,
        output: failing.output.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AgentKind, RunId, TaskId};

    fn checked(codes: &[i64]) -> Checked {
        let results = codes.iter().map(|code| CheckResult {
            command: format!("exit {code}"),
            end: CheckEnd::Exited(*code),
            duration_ms: 5,
            output: "said".to_owned(),
            refused: Vec::new(),
        });
        Checked {
            tip: "a".repeat(40).parse().unwrap(),
            image: "i".to_owned(),
            image_id: "sha256:1".to_owned(),
            network: false,
            hosts: Vec::new(),
            results: results.collect(),
        }
    }

    fn run(turn: RunReason) -> Run {
        let (id, task) = (RunId::new(), TaskId::new());
        Run {
            id,
            task,
            turn,
            agent: AgentKind::Claude,
            fallback_for: None,
            budget_limit: crate::story::budget::Limit::default(),
            started_at: None,
            end: None,
        }
    }

    #[test]
    fn a_failing_check_goes_back_as_often_as_it_may_and_a_passing_one_never() {
        let failed = checked(&[0, 3]);
        let back = back_to_agent(&failed, &[run(RunReason::Begin)], 1).unwrap();
        let wanted = RunReason::ChecksFailed {
            command: "exit 3".to_owned(),
            end: CheckEnd::Exited(3),
            output: "said".to_owned(),
        };
        assert_eq!(back, wanted);
        // Committing what was left over in between is no try of its own.
        let left = run(RunReason::CommitLeftovers { files: Vec::new() });
        assert_eq!(back_to_agent(&failed, &[run(RunReason::Begin), run(wanted), left], 1), None);
        assert_eq!(back_to_agent(&failed, &[run(RunReason::Begin)], 0), None);
        assert_eq!(back_to_agent(&checked(&[0]), &[run(RunReason::Begin)], 2), None);
    }
}
