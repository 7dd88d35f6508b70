//! Runs: why one is made, and how one ended. What follows from that is in `next.rs`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Question, budget, checks, review};
use crate::agent::FailureClass;
use crate::ids::{AgentKind, QuestionId, RunId, TaskId};

/// Why a run is made. It decides what the prompt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum RunReason {
    /// The task's first run.
    Begin,
    /// A person answered the agent's question.
    Answer {
        /// The question answered; the answer stands with it in the store.
        question: QuestionId,
    },
    /// The agent said it was done but left work uncommitted; it is asked once to commit it.
    CommitLeftovers {
        /// Paths in the workspace.
        files: Vec<String>,
    },
    /// A check that the repository wants to pass did not; the agent is to fix that.
    ChecksFailed {
        /// Its command line.
        command: String,
        /// How it ended.
        end: checks::CheckEnd,
        /// The end of what it printed.
        output: String,
    },
    /// People pushed to the story branch while the agent worked, and what they did conflicts with
    /// what it handed over. Their commits are merged into the workspace; the agent is to solve the
    /// conflicts.
    PushedMeanwhile {
        /// The paths that conflict.
        files: Vec<String>,
    },
    /// The session is gone; the run starts fresh with the whole conversation in its prompt.
    StartOver,
    /// The task before this one did not come to its end; a person wants it to go on.
    GoOn,
    /// What the task before this one made is done and has not reached the git host. It is published
    /// without another run; only where its workspace is gone does the agent go on instead.
    PublishAgain,
    /// A person has agreed to the plan, perhaps with a change; it is carried out.
    CarryOut {
        /// The question that the plan was put as.
        question: QuestionId,
    },
}

/// One attempt at a task, in one container.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id; the container is named after it.
    pub id: RunId,
    /// The task it is an attempt at.
    pub task: TaskId,
    /// Why it was made.
    pub turn: RunReason,
    /// The agent that runs.
    pub agent: AgentKind,
    /// The agent in whose place it runs, because that one's usage limit was used up.
    pub fallback_for: Option<AgentKind>,
    /// What it may use.
    pub budget_limit: budget::Limit,
    /// When its container was started. Absent: no container has run yet.
    pub started_at: Option<Timestamp>,
    /// How it ended; absent while it has not.
    pub end: Option<RunEnd>,
}

impl Run {
    /// The name of its container: of one run there can be one only.
    pub fn container_name(&self) -> String {
        format!("hob-{}", self.id)
    }
}

/// How a run ended, with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// The outcome.
    pub outcome: Outcome,
    /// Dollars, where the CLI tells them.
    pub cost_usd: Option<f64>,
    /// Turns of the model, where the CLI tells them.
    pub turns: Option<u32>,
    /// Tokens that this run used, read and written, where the CLI tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The same over the whole session, where the CLI counts so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_tokens: Option<u64>,
    /// From the container's start to its end, in milliseconds.
    pub duration_ms: u64,
    /// The container's exit code, where there was one.
    pub exit_code: Option<i64>,
    /// The agent's session.
    pub session: Option<String>,
    /// Names of the files that the agent left for people, kept with the run.
    #[serde(default)]
    pub drops: Vec<String>,
    /// When a limit ends that the run met, in seconds since 1970.
    #[serde(default)]
    pub resets_at: Option<i64>,
    /// What was done about the agent's login after this run, where the service had refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// What the agent wants the pull request to be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the agent answers in the threads of a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<review::Reply>,
}

/// How the command that renews a login ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// Its exit code. Absent: a signal ended it, or it could not be run.
    pub exit_code: Option<i32>,
    /// Whether hob killed it because it took too long.
    pub timed_out: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Renewal {
    /// Whether the login is renewed, as far as the command says.
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The agent says that it is done.
    Completed {
        /// Its summary, Markdown.
        summary: Option<String>,
    },
    /// The agent asks.
    Blocked {
        /// What it asks.
        question: Question,
    },
    /// It did not get there.
    Failed {
        /// Why, in one word.
        class: FailureClass,
        /// Why, in the agent's words. Not for people to read unfiltered.
        detail: String,
    },
    /// A person ended it.
    Cancelled,
}
