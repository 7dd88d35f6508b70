//! The end of a run: what the container's exit says, what the agent's own words say, and which of
//! them counts when they differ. The words themselves are read in the files of the CLIs.

use super::failure::{Failure, FailureClass};
use super::text;

/// What is known of the container's end, from Docker and from hob itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exit {
    /// The exit code; 128 plus the signal's number after a signal.
    pub code: i64,
    /// Docker says that the memory limit ended a process in the container.
    pub oom_killed: bool,
    /// hob ended the run itself, and why.
    pub stopped: Option<Stopped>,
}

/// Why hob ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It took longer than it may.
    TimedOut,
    /// It said nothing for longer than it may.
    Stalled,
    /// A person asked for it. The report then says `Interrupted`, or how the run ended if it was
    /// quicker; the caller, who knows, looks here first.
    Cancelled,
    /// [`super::Signal::EndNow`] asked for it.
    EndedEarly(FailureClass),
}

/// What a run has used up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RunUsage {
    /// Dollars, where the CLI tells them before it ends.
    pub cost_usd: Option<f64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// The same over the whole session, where the CLI counts so.
    pub session_tokens: Option<u64>,
}

/// All that a run left behind, besides its commits.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The session to resume, if there is one that can be.
    pub session: Option<String>,
    /// What this run alone cost, in dollars, where the CLI says so.
    pub cost_usd: Option<f64>,
    /// Tokens that this run used, read and written, where the CLI tells them.
    pub tokens: Option<u64>,
    /// The same over the whole session, where the CLI counts so.
    pub session_tokens: Option<u64>,
    /// Tokens that this run read, those from a cache included.
    pub input_tokens: Option<u64>,
    /// Tokens that this run wrote.
    pub output_tokens: Option<u64>,
    /// Turns of the model, where the CLI counts them.
    pub turns: Option<u32>,
    /// The agent's last words.
    pub final_text: Option<String>,
    /// Whether the agent ended as it should. What it did is another question.
    pub result: Result<(), Failure>,
    /// Lines that were no events, or too long to be read.
    pub skipped_lines: u64,
}

/// What the stream of a CLI gives at its end.
#[derive(Debug, Default)]
pub struct End {
    pub tally: RunTotals,
    pub verdict: Verdict,
}

/// What a run used and said.
#[derive(Debug, Default)]
pub struct RunTotals {
    pub cost_usd: Option<f64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub turns: Option<u32>,
    pub final_text: Option<String>,
}

/// How a run ended by the CLI's own words.
#[derive(Debug)]
pub enum Verdict {
    /// It said that it was done.
    Done,
    /// It said so after an error that it got over by itself. Its exit code may tell of that error.
    DoneAfterError,
    /// It said why it failed.
    Failed(Failure),
    /// It said neither. With the trouble that it was in when it fell silent, if it had named one:
    /// most CLIs try a failed request again for minutes before they give up.
    Open(Option<Failure>),
}

impl Default for Verdict {
    fn default() -> Self {
        Self::Open(None)
    }
}

/// Weighs the agent's words against the facts of its end. Neither is enough: Claude Code exits with
/// 0 after an interrupt, and calls an API error a success.
pub fn conclude(verdict: Verdict, exit: &Exit, stderr_tail: &str) -> Result<(), Failure> {
    use FailureClass::{Crashed, Interrupted, OutOfMemory, Stalled, TimedOut};
    let (was_done, told, trouble) = match verdict {
        // Also when hob wanted to stop it or a tool ran out of memory: it got there all the same.
        Verdict::Done | Verdict::DoneAfterError if exit.code == 0 => return Ok(()),
        // The codes of signals, and the shell's, are not the program's own.
        Verdict::DoneAfterError if (1..126).contains(&exit.code) => return Ok(()),
        // Its last step passed the cap and was its last anyhow.
        Verdict::Done | Verdict::DoneAfterError
            if exit.stopped == Some(Stopped::EndedEarly(FailureClass::BudgetLimit)) =>
        {
            return Ok(());
        }
        Verdict::Done | Verdict::DoneAfterError => (true, None, None),
        Verdict::Failed(failure) => (false, Some(failure), None),
        Verdict::Open(trouble) => (false, None, trouble),
    };
    if let Some(Stopped::EndedEarly(class)) = exit.stopped {
        return Err(match told.or(trouble) {
            Some(words) => Failure { class, ..words },
            None => Failure::new(class, ""),
        });
    }
    if exit.oom_killed {
        return Err(Failure::new(OutOfMemory, &text::last_lines(stderr_tail)));
    }
    // A reason that the agent gives is better than the fact that it was stopped, unless the reason
    // is that it was stopped.
    let (reason, vague) = match told {
        Some(failure) if matches!(failure.class, Crashed | Interrupted) => (None, Some(failure)),
        other => (other, None),
    };
    let was_cancelled = exit.stopped == Some(Stopped::Cancelled);
    if let Some(failure) = reason.or(trouble.filter(|_| !was_cancelled)) {
        return Err(failure);
    }
    match exit.stopped {
        Some(Stopped::TimedOut) => return Err(Failure::new(TimedOut, "")),
        Some(Stopped::Stalled) => return Err(Failure::new(Stalled, "")),
        Some(Stopped::Cancelled) => return Err(Failure::new(Interrupted, "")),
        Some(Stopped::EndedEarly(_)) | None => {}
    }
    if let Some(failure) = vague {
        return Err(failure);
    }
    if is_from_outside(exit.code) {
        return Err(Failure::new(Interrupted, &format!("killed by a signal, exit code {}", exit.code)));
    }
    let after = if was_done { " after the agent had reported success" } else { "" };
    let last_lines = text::last_lines(stderr_tail);
    let colon = if last_lines.is_empty() { "" } else { ": " };
    Err(Failure::new(Crashed, &format!("exit code {}{after}{colon}{last_lines}", exit.code)))
}

/// Whether an exit code tells of a signal that a process gets from others (hang-up, interrupt,
/// kill, terminate), rather than one that its own mistake brings.
pub fn is_from_outside(code: i64) -> bool {
    matches!(code, 129 | 130 | 137 | 143 | -1 | -2 | -9 | -15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureClass::*;

    fn class(
        verdict: Verdict,
        code: i64,
        oom_killed: bool,
        stopped: Option<Stopped>,
    ) -> Option<FailureClass> {
        conclude(verdict, &Exit { code, oom_killed, stopped }, "last words")
            .err()
            .map(|failure| failure.class)
    }

    fn failed(class: FailureClass) -> Verdict {
        Verdict::Failed(Failure::new(class, "because"))
    }

    #[test]
    fn a_success_needs_the_words_and_the_code() {
        assert_eq!(class(Verdict::Done, 0, false, None), None);
        assert_eq!(class(Verdict::Done, 1, false, None), Some(Crashed));
        assert_eq!(class(Verdict::Done, 143, false, None), Some(Interrupted));
        assert_eq!(class(Verdict::Open(None), 0, false, None), Some(Crashed));
        let for_budget = Some(Stopped::EndedEarly(BudgetLimit));
        assert_eq!(class(Verdict::Done, 143, false, for_budget), None);
        assert_eq!(class(Verdict::Open(None), 143, false, for_budget), Some(BudgetLimit));
        assert_eq!(class(failed(RateLimit), 0, false, None), Some(RateLimit));
    }

    #[test]
    fn an_exit_code_may_tell_of_an_error_that_the_agent_got_over() {
        assert_eq!(class(Verdict::DoneAfterError, 1, false, None), None);
        assert_eq!(class(Verdict::DoneAfterError, 143, false, None), Some(Interrupted));
        assert_eq!(class(Verdict::DoneAfterError, 139, false, None), Some(Crashed));
    }

    #[test]
    fn memory_counts_unless_the_agent_got_there_all_the_same() {
        assert_eq!(class(Verdict::Done, 0, true, None), None);
        assert_eq!(class(Verdict::Done, 137, true, None), Some(OutOfMemory));
        assert_eq!(class(Verdict::Open(None), 137, true, None), Some(OutOfMemory));
        assert_eq!(class(failed(Crashed), 1, true, Some(Stopped::Stalled)), Some(OutOfMemory));
    }

    #[test]
    fn a_stop_by_hob_explains_what_the_agent_cannot() {
        let timed_out = Some(Stopped::TimedOut);
        assert_eq!(class(Verdict::Open(None), 137, false, timed_out), Some(TimedOut));
        assert_eq!(class(failed(Interrupted), 0, false, timed_out), Some(TimedOut));
        assert_eq!(class(failed(Crashed), 1, false, Some(Stopped::Stalled)), Some(Stalled));
        assert_eq!(class(failed(UsageLimit), 1, false, timed_out), Some(UsageLimit));
        assert_eq!(class(Verdict::Done, 0, false, timed_out), None);
        assert_eq!(class(Verdict::Done, 137, false, timed_out), Some(TimedOut));
    }

    #[test]
    fn a_run_that_fell_silent_in_trouble_failed_from_it() {
        let trouble = || Verdict::Open(Some(Failure::new(Overloaded, "529")));
        assert_eq!(class(trouble(), 137, false, Some(Stopped::TimedOut)), Some(Overloaded));
        assert_eq!(class(trouble(), 143, false, None), Some(Overloaded));
        assert_eq!(class(trouble(), 143, false, Some(Stopped::Cancelled)), Some(Interrupted));
    }

    #[test]
    fn a_run_that_was_ended_early_has_the_reason_for_it_and_the_words() {
        let exit = Exit { code: 143, oom_killed: false, stopped: Some(Stopped::EndedEarly(Authentication)) };
        let failure = conclude(failed(Crashed), &exit, "").unwrap_err();
        assert_eq!((failure.class, failure.detail.as_str()), (Authentication, "because"));
        assert_eq!(conclude(Verdict::Open(None), &exit, "").unwrap_err().class, Authentication);
    }

    #[test]
    fn a_crash_is_told_with_its_code_and_last_words() {
        let exit = Exit { code: 127, ..Exit::default() };
        let failure = conclude(Verdict::Open(None), &exit, "\nsh: claude: not found\n").unwrap_err();
        assert_eq!(failure, Failure::new(Crashed, "exit code 127: sh: claude: not found"));
    }
}
