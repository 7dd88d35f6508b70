//! A base branch that has moved on, what people push to a story branch while an agent works, and
//! what follows from either. Pure.

use serde::{Deserialize, Serialize};

use super::{Run, RunReason};
use crate::ids::Sha;

/// How often an agent is asked to bring together what people have pushed while it worked.
const MAX_TURNS: usize = 2;

/// The wish to have the base branch's newest commits on the story branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseMoved {
    /// Whether the story branch's commits are to be made again on top of them, where it would
    /// otherwise be merged.
    pub rewrite: bool,
    /// The reason for bringing in the base.
    #[serde(default)]
    pub because: MergeReason,
}

/// Why a base branch's commits are to be brought in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeReason {
    /// Somebody wants it.
    #[default]
    Asked,
    /// It moved, and the settings say that story branches follow.
    Moved,
    /// It moved, and the settings say that story branches follow where they would conflict.
    MovedIfConflict,
}

impl MergeReason {
    /// Whether somebody waits for words about it, whatever comes of it.
    pub fn is_asked(self) -> bool {
        self == Self::Asked
    }
}

/// What is about to be pushed by a task without a run, written down before it is: whether it was
/// pushed shows on the branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutToPush {
    /// The commit.
    pub tip: Sha,
    /// The one that the branch is at before; absent where an earlier hob wrote this down.
    #[serde(default)]
    pub from: Option<Sha>,
    /// What people are told once it is there.
    pub words: String,
    /// The base branch and its newest commit that is in it then.
    #[serde(default)]
    pub root: Option<(String, Sha)>,
}

/// The reason for another run, where what people have pushed conflicts with what the agent has
/// handed over, and the agent has not had that back too often.
pub fn conflict_for_agent(files: Vec<String>, runs: &[Run]) -> Option<RunReason> {
    let had = runs.iter().filter(|run| matches!(run.turn, RunReason::PushedMeanwhile { .. })).count();
    (had < MAX_TURNS).then_some(RunReason::PushedMeanwhile { files })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AgentKind, RunId, TaskId};

    #[test]
    fn an_agent_is_asked_to_merge_what_people_pushed_twice_and_no_more() {
        let run = |turn: RunReason| Run {
            id: RunId::new(),
            task: TaskId::new(),
            turn,
            agent: AgentKind::Claude,
            fallback_for: None,
            budget_limit: crate::story::budget::Limit::default(),
            started_at: None,
            end: None,
        };
        let files = || vec!["a".to_owned()];
        let mut runs = vec![run(RunReason::Begin)];
        for _ in 0..MAX_TURNS {
            let turn = conflict_for_agent(files(), &runs).unwrap();
            assert_eq!(turn, RunReason::PushedMeanwhile { files: files() });
            runs.push(run(turn));
        }
        assert_eq!(conflict_for_agent(files(), &runs), None);
    }
}
