//! What follows from the end of a run, and from a hand-over.

use super::{Outcome, Question, Run, RunReason};
use crate::agent::{FailureClass, Policy};

/// What a worker does once a run has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Hand the work over and push it.
    Publish,
    /// Post the question and wait.
    Ask(Question),
    /// Make another run, at once or after a wait.
    Again {
        /// The reason for the next run.
        turn: RunReason,
        /// How many retries came before this one; each doubles the wait. Absent: no wait.
        retry: Option<u32>,
    },
    /// Renew the agent's login and make the run again with it, in the same session. If it cannot be
    /// renewed, end the task as failed.
    RenewLogin {
        /// Why the run is made: as before.
        turn: RunReason,
    },
    /// End the task as failed.
    Fail(FailureClass),
    /// End the task as cancelled.
    Cancel,
}

/// What the decision after a run depends on, besides the run.
#[derive(Debug, Clone, Copy)]
pub struct TaskHistory {
    /// Retries of this task so far.
    pub retries: u32,
    /// Retries allowed.
    pub retries_allowed: u32,
    /// Whether the agent works with a login that hob can renew.
    pub can_sync: bool,
    /// Whether the login has been renewed for this already; see [`was_synced`].
    pub synced: bool,
}

/// Whether one of the earlier runs of a task, oldest first, failed to log in, with none since that
/// got anywhere: then its login has been renewed, and renewing it again would not help. What is
/// asked is what the store holds, so a restart of hob forgets nothing.
pub fn was_synced(earlier: &[Run]) -> bool {
    let outcomes = earlier.iter().rev().filter_map(|run| run.end.as_ref()).map(|end| &end.outcome);
    outcomes
        .take_while(|outcome| !matches!(outcome, Outcome::Completed { .. } | Outcome::Blocked { .. }))
        .any(|outcome| matches!(outcome, Outcome::Failed { class: FailureClass::Authentication, .. }))
}

/// What follows from the end of a run. What a completed one of a task that only plans leads to is
/// in `plan.rs`.
pub fn after_run(turn: &RunReason, outcome: &Outcome, history: TaskHistory) -> Next {
    match outcome {
        Outcome::Completed { .. } => Next::Publish,
        Outcome::Blocked { question } => Next::Ask(question.clone()),
        Outcome::Cancelled => Next::Cancel,
        Outcome::Failed { class, .. } => match class.policy() {
            // The session is gone or full: once more with a fresh one, whose prompt tells
            // everything.
            Policy::RetryNow
                if !class.keeps_session()
                    && !matches!(turn, RunReason::StartOver | RunReason::CommitLeftovers { .. }) =>
            {
                Next::Again { turn: RunReason::StartOver, retry: None }
            }
            Policy::RetryNow
                if *class == FailureClass::Authentication && history.can_sync && !history.synced =>
            {
                Next::RenewLogin { turn: turn.clone() }
            }
            // Someone or the machine ended the process; once more is worth it.
            Policy::RetryNow if *class == FailureClass::Interrupted && history.retries == 0 => {
                Next::Again { turn: turn.clone(), retry: Some(0) }
            }
            // The same turn again: an answer that the agent has not seen must not be lost.
            Policy::RetryLater if history.retries < history.retries_allowed => {
                Next::Again { turn: turn.clone(), retry: Some(history.retries) }
            }
            // The run before it was done, and what it has committed waits for nothing.
            _ if matches!(turn, RunReason::CommitLeftovers { .. }) => Next::Publish,
            _ => Next::Fail(*class),
        },
    }
}

/// Whether a failed task is tried again by publishing what its last run made, without another run:
/// the agent was done, and what was in the way was outside its work.
pub fn publishes_again(class: FailureClass, last: &Outcome) -> bool {
    matches!(class, FailureClass::PushRefused | FailureClass::NotReady)
        && matches!(last, Outcome::Completed { .. })
}

/// What a hand-over found in the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Paths with changes that are not committed.
    pub uncommitted: Vec<String>,
    /// Whether there are commits beyond the base.
    pub has_commits: bool,
}

/// What follows from a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Push the commits.
    Push,
    /// There is nothing to push, and nothing was left behind.
    NothingToChange,
    /// Ask the agent, once, to commit these files.
    AskToCommit(Vec<String>),
    /// It was asked and did not, and there is no commit; fail and keep the workspace.
    LeftUncommitted(Vec<String>),
}

/// What follows from a hand-over, for a task whose last run was made for `turn`. The agent is asked
/// once to commit what it left; what it leaves then is named, and keeps no commit back.
pub fn after_hand_over(turn: &RunReason, findings: Findings) -> NextStep {
    match (findings.uncommitted.is_empty(), turn) {
        (false, RunReason::CommitLeftovers { .. }) if findings.has_commits => NextStep::Push,
        (false, RunReason::CommitLeftovers { .. }) => NextStep::LeftUncommitted(findings.uncommitted),
        (false, _) => NextStep::AskToCommit(findings.uncommitted),
        (true, _) if findings.has_commits => NextStep::Push,
        (true, _) => NextStep::NothingToChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AgentKind, QuestionId, RunId, TaskId};
    use crate::story::{RunEnd, budget};

    const FIRST_TRY: TaskHistory =
        TaskHistory { retries: 0, retries_allowed: 2, can_sync: false, synced: false };

    fn failed(class: FailureClass) -> Outcome {
        Outcome::Failed { class, detail: String::new() }
    }

    #[test]
    fn a_lost_session_starts_over_once() {
        let lost = failed(FailureClass::SessionLost);
        assert_eq!(
            after_run(&RunReason::Begin, &lost, FIRST_TRY),
            Next::Again { turn: RunReason::StartOver, retry: None }
        );
        assert_eq!(after_run(&RunReason::StartOver, &lost, FIRST_TRY), Next::Fail(FailureClass::SessionLost));
    }

    #[test]
    fn a_passing_failure_is_retried_as_often_as_allowed_and_keeps_the_answer() {
        let overloaded = failed(FailureClass::Overloaded);
        let answer = RunReason::Answer { question: QuestionId::new() };
        assert_eq!(
            after_run(&answer, &overloaded, FIRST_TRY),
            Next::Again { turn: answer.clone(), retry: Some(0) }
        );
        let worn_out = TaskHistory { retries: 2, ..FIRST_TRY };
        assert_eq!(after_run(&answer, &overloaded, worn_out), Next::Fail(FailureClass::Overloaded));
    }

    #[test]
    fn a_refused_login_is_renewed_once_where_that_is_possible() {
        let refused = failed(FailureClass::Authentication);
        let answer = RunReason::Answer { question: QuestionId::new() };
        let can_sync = TaskHistory { can_sync: true, ..FIRST_TRY };
        assert_eq!(after_run(&answer, &refused, can_sync), Next::RenewLogin { turn: answer.clone() });
        let synced = TaskHistory { synced: true, ..can_sync };
        for history in [synced, FIRST_TRY] {
            assert_eq!(after_run(&answer, &refused, history), Next::Fail(FailureClass::Authentication));
        }
    }

    #[test]
    fn a_login_was_renewed_if_none_got_anywhere_since_one_was_refused() {
        let run = |outcome: Outcome| Run {
            id: RunId::new(),
            task: TaskId::new(),
            turn: RunReason::Begin,
            agent: AgentKind::Claude,
            fallback_for: None,
            budget_limit: budget::Limit::default(),
            started_at: None,
            end: Some(RunEnd {
                outcome,
                cost_usd: None,
                turns: None,
                tokens: None,
                session_tokens: None,
                duration_ms: 0,
                exit_code: None,
                session: None,
                drops: Vec::new(),
                resets_at: None,
                renewal: None,
                title: None,
                replies: Vec::new(),
            }),
        };
        let refused = run(failed(FailureClass::Authentication));
        let overloaded = run(failed(FailureClass::Overloaded));
        let completed = run(Outcome::Completed { summary: None });
        assert!(!was_synced(&[]));
        assert!(was_synced(std::slice::from_ref(&refused)));
        assert!(was_synced(&[completed.clone(), refused.clone(), overloaded.clone()]));
        assert!(!was_synced(&[refused, completed, overloaded]));
    }

    #[test]
    fn a_lasting_failure_is_not_retried() {
        let crashed = failed(FailureClass::Crashed);
        assert_eq!(after_run(&RunReason::Begin, &crashed, FIRST_TRY), Next::Fail(FailureClass::Crashed));
    }

    #[test]
    fn leftovers_are_asked_for_once_even_when_there_are_commits() {
        let findings = Findings { uncommitted: vec!["a".to_owned()], has_commits: true };
        assert_eq!(
            after_hand_over(&RunReason::Begin, findings.clone()),
            NextStep::AskToCommit(vec!["a".to_owned()])
        );
        let asked = RunReason::CommitLeftovers { files: vec!["a".to_owned()] };
        assert_eq!(after_hand_over(&asked, findings.clone()), NextStep::Push);
        let nothing_else = Findings { has_commits: false, ..findings };
        let failed = NextStep::LeftUncommitted(vec!["a".to_owned()]);
        assert_eq!(after_hand_over(&asked, nothing_else), failed);
    }

    #[test]
    fn commits_are_published_though_the_run_that_was_to_commit_the_rest_failed() {
        let asked = RunReason::CommitLeftovers { files: vec!["a".to_owned()] };
        for class in [FailureClass::Crashed, FailureClass::SessionLost, FailureClass::BudgetLimit] {
            assert_eq!(after_run(&asked, &failed(class), FIRST_TRY), Next::Publish, "{class}");
        }
        let worn_out = TaskHistory { retries: 2, ..FIRST_TRY };
        let overloaded = failed(FailureClass::Overloaded);
        assert_eq!(after_run(&asked, &overloaded, worn_out), Next::Publish);
        let again = Next::Again { turn: asked.clone(), retry: Some(0) };
        assert_eq!(after_run(&asked, &overloaded, FIRST_TRY), again);
        assert_eq!(after_run(&asked, &Outcome::Cancelled, FIRST_TRY), Next::Cancel);
    }

    #[test]
    fn only_finished_work_that_something_else_kept_back_is_published_again() {
        let done = Outcome::Completed { summary: None };
        let again: Vec<FailureClass> =
            FailureClass::ALL.into_iter().filter(|class| publishes_again(*class, &done)).collect();
        assert_eq!(again, [FailureClass::PushRefused, FailureClass::NotReady]);
        assert!(!publishes_again(FailureClass::NotReady, &failed(FailureClass::Crashed)));
    }

    #[test]
    fn no_commits_and_nothing_left_is_nothing_to_change() {
        let findings = Findings { uncommitted: vec![], has_commits: false };
        assert_eq!(after_hand_over(&RunReason::Begin, findings), NextStep::NothingToChange);
    }
}
