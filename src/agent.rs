//! The coding agents: how each CLI is called, how its output is read, and why a run ended. One file
//! per CLI in `agent/`. All of it is pure: bytes in, values out. Starting the program, following
//! its output and stopping it are the worker's part; the words for people are in
//! `message/failed.rs`; what a failure leads to is decided in `story/next.rs` with
//! [`FailureClass::policy`].
//!
//! Whatever arrives here was written inside the container, where the agent may write what it
//! likes. A line is therefore a claim: it may be garbage, cut off, endless or a lie, and the worst
//! that it can do is to end its own run with the wrong class.

mod claude;
mod codex;
mod command;
mod ending;
mod failure;
mod gemini;
mod json;
mod opencode;
mod reset;
mod table;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::ending::Verdict;
pub use self::ending::{Exit, Report, RunUsage, Stopped};
pub use self::failure::{Failure, FailureClass, Policy, UnknownClass};
pub use self::json::value as json_value;
pub use self::reset::reset_time;
use self::table::Evidence;
pub use self::text::{detail, only_waits, short_line, whole};
pub use crate::ids::AgentKind;

/// Longer lines are counted and not read: 8 MiB is far above the longest event that hob uses, and
/// reading one as JSON takes a few times its size in memory.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

impl AgentKind {
    /// The environment variables that hold this CLI's key, the preferred one first. Empty for
    /// `command`: its owner names them in the configuration.
    pub fn key_names(self) -> &'static [&'static str] {
        match self {
            Self::Claude => claude::KEY_NAMES,
            Self::Codex => codex::KEY_NAMES,
            Self::Gemini => gemini::KEY_NAMES,
            Self::OpenCode => opencode::KEY_NAMES,
            Self::Command => &[],
        }
    }

    /// Environment values that are settings and no secrets.
    pub fn settings(self) -> Vec<(&'static str, String)> {
        let settings = match self {
            Self::Claude => claude::SETTINGS,
            Self::OpenCode => opencode::SETTINGS,
            Self::Codex | Self::Gemini | Self::Command => &[],
        };
        settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    /// Whether the CLI can be told more while it works, on its standard input.
    pub fn listens(self) -> bool {
        matches!(self, Self::Claude)
    }

    /// Files that must exist before the first run: the path relative to `$HOME`, and the content.
    pub fn home_files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Gemini => gemini::HOME_FILES,
            _ => &[],
        }
    }
}

/// What one run is asked for, besides its prompt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Invocation<'a> {
    /// The session to go on with, as an earlier [`Report::session`] named it.
    pub resume: Option<&'a str>,
    /// The model's name as the CLI knows it.
    pub model: Option<&'a str>,
    /// Turns after which the CLI ends the run. Claude Code alone has such a limit; the others
    /// ignore it, and hob's time-out is what bounds them.
    pub max_turns: Option<u32>,
    /// Dollars after which the CLI ends the run. Claude Code alone has such a limit.
    pub max_budget_usd: Option<f64>,
    /// Program and arguments, for [`AgentKind::Command`].
    pub command: &'a [String],
}

/// Program and arguments inside the container. The prompt arrives on standard input and is in no
/// argument: there a prompt that begins with `--` would be an option, and everyone could read it.
pub fn argv(kind: AgentKind, invocation: &Invocation<'_>) -> Vec<String> {
    match kind {
        AgentKind::Claude => claude::argv(invocation),
        AgentKind::Codex => codex::argv(invocation),
        AgentKind::Gemini => gemini::argv(invocation),
        AgentKind::OpenCode => opencode::argv(invocation),
        AgentKind::Command => invocation.command.to_vec(),
    }
}

/// The program of an agent, as its image has to have it; for [`AgentKind::Command`] the first word
/// of `command`.
pub fn program(kind: AgentKind, command: &[String]) -> &str {
    match kind {
        AgentKind::Claude => "claude",
        AgentKind::Codex => "codex",
        AgentKind::Gemini => "gemini",
        AgentKind::OpenCode => "opencode",
        AgentKind::Command => command.first().map_or("", String::as_str),
    }
}

/// The file in which an agent's program keeps what a session has cost, relative to `$HOME`, for a
/// run in `cwd`. `None` for one that keeps no such file.
pub fn session_file(kind: AgentKind, session: &str, cwd: &str) -> Option<String> {
    (kind == AgentKind::Claude).then(|| claude::session_file(session, cwd))
}

/// What a session has cost, over all its runs, by the end of that file.
pub fn session_cost(end_of_file: &[u8]) -> Option<f64> {
    claude::session_cost(end_of_file)
}

/// What a CLI that [listens](AgentKind::listens) is told, as a line of its standard input. Each has
/// an id, by which hob knows what it has told.
pub fn input(id: &str, text: &str) -> String {
    claude::input(id, text)
}

/// The invocation as environment values, for the kind whose arguments are not ours to write:
/// `HOB_SESSION`, `HOB_MODEL`, `HOB_MAX_TURNS` and `HOB_MAX_BUDGET_USD` for `command`. Empty for
/// the others, which get them as arguments.
pub fn environment(kind: AgentKind, invocation: &Invocation<'_>) -> Vec<(&'static str, String)> {
    match kind {
        AgentKind::Command => command::environment(invocation),
        _ => Vec::new(),
    }
}

/// No run has more tools at work at once; what pretends to is not counted.
const MAX_OPEN_TOOLS: usize = 10_000;

/// Whether tools are at work in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tools {
    /// None is: what runs beside the agent's program now is no sign of life.
    Idle,
    /// At least one is.
    AtWork,
    /// The CLI tells of a tool once that is done.
    Unknown,
}

/// What a watcher wants to know while the agent works. The texts are as the agent wrote them: who
/// shows one makes it [`whole`], takes secrets out of it and makes it a [`short_line`] then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The session's id, to be kept at once: a run that is killed later is resumed with it.
    Session(String),
    /// The agent's own words.
    Says(String),
    /// A tool that the agent uses and what it uses it on.
    Uses(String),
    /// The agent's list of what there is to do, whole, as it is now.
    Todo(Vec<TodoItem>),
    /// The agent says nothing but that it waits for something outside, in these words if it has
    /// some.
    Waits(String),
    /// The agent has come to the end of a turn: it goes on only if it is told more.
    TurnEnded,
    /// Nothing good can come of this run any more, for this reason: stop the container, and pass
    /// the reason to [`Parser::finish`] as [`Stopped::EndedEarly`]. Sent once.
    EndNow(FailureClass),
}

/// One entry of an agent's list of what there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoItem {
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub state: TodoState,
}

/// How far an entry of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// It is finished.
    Completed,
    /// Given up.
    Cancelled,
}

/// Reads the output of one run, line by line.
#[derive(Debug)]
pub struct Parser {
    stream: Stream,
    resumed: Option<String>,
    session: Option<String>,
    /// The CLI opened another session than the one it was told to go on with.
    went_astray: bool,
    end_was_asked: bool,
    skipped_lines: u64,
    /// Lines that tell of work, or of an end.
    lines_of_work: u64,
}

#[derive(Debug)]
enum Stream {
    Claude(claude::Stream),
    Codex(codex::Stream),
    Gemini(gemini::Stream),
    OpenCode(opencode::Stream),
    Command(command::Stream),
}

impl Parser {
    /// `resumed` is the session that the run was told to go on with, if any.
    pub fn new(kind: AgentKind, resumed: Option<&str>) -> Self {
        let stream = match kind {
            AgentKind::Claude => Stream::Claude(claude::Stream::default()),
            AgentKind::Codex => Stream::Codex(codex::Stream::new(resumed.is_some())),
            AgentKind::Gemini => Stream::Gemini(gemini::Stream::new(resumed.is_some())),
            AgentKind::OpenCode => Stream::OpenCode(opencode::Stream::default()),
            AgentKind::Command => Stream::Command(command::Stream::default()),
        };
        Self {
            stream,
            resumed: resumed.map(str::to_owned),
            session: None,
            went_astray: false,
            end_was_asked: false,
            skipped_lines: 0,
            lines_of_work: 0,
        }
    }

    /// Reads one line of standard output, without its newline. Any bytes and any length will do:
    /// what is not an event is counted in [`Report::skipped_lines`], and an unknown event says
    /// nothing.
    pub fn line(&mut self, line: &[u8]) -> Vec<Signal> {
        if line.len() > MAX_LINE_BYTES {
            self.skipped_lines += 1;
            return Vec::new();
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return Vec::new();
        }
        let told = match &mut self.stream {
            Stream::Command(stream) => stream.line(line),
            stream => match json::object(line) {
                Some(event) => stream.event(&event),
                None => {
                    self.skipped_lines += 1;
                    return Vec::new();
                }
            },
        };
        if !told.iter().any(|signal| matches!(signal, Signal::Waits(_))) {
            self.lines_of_work += 1;
        }
        let has_words = |signal: &Signal| !matches!(signal, Signal::Waits(words) if words.is_empty());
        told.into_iter().filter(has_words).filter_map(|signal| self.check(signal)).collect()
    }

    /// How many lines have told of work so far. What only says that the agent waits does not, nor
    /// does what is no event.
    pub fn lines_of_work(&self) -> u64 {
        self.lines_of_work
    }

    /// Whether tools are at work now.
    pub fn tools(&self) -> Tools {
        match &self.stream {
            Stream::Claude(stream) => stream.tools(),
            Stream::Codex(stream) => stream.tools(),
            Stream::Gemini(stream) => stream.tools(),
            Stream::OpenCode(_) | Stream::Command(_) => Tools::Unknown,
        }
    }

    /// What the run has used so far, as far as its program tells while it works.
    pub fn so_far(&self) -> RunUsage {
        match &self.stream {
            Stream::Claude(stream) => stream.so_far(),
            Stream::Codex(stream) => stream.so_far(),
            // It tells what it used when it is done.
            Stream::Gemini(_) => RunUsage::default(),
            Stream::OpenCode(stream) => stream.so_far(),
            Stream::Command(stream) => stream.so_far(),
        }
    }

    /// The run is over. `stderr_tail` is the end of its standard error, some KiB of it.
    pub fn finish(self, exit: &Exit, stderr_tail: &str) -> Report {
        let so_far = self.so_far();
        let (kind, has_begun) = (self.kind(), self.lines_of_work > 0);
        let end = match self.stream {
            Stream::Claude(stream) => stream.end(exit.code, stderr_tail),
            Stream::Codex(stream) => stream.end(stderr_tail),
            Stream::Gemini(stream) => stream.end(exit.code, stderr_tail),
            Stream::OpenCode(stream) => stream.end(stderr_tail),
            Stream::Command(stream) => stream.end(exit.code),
        };
        let result = if self.went_astray {
            // Even a success: it was reached without knowing what had been said before.
            Err(Failure::new(
                FailureClass::SessionLost,
                "the agent opened a different session than the one to resume",
            ))
        } else {
            let verdict = match end.verdict {
                Verdict::Open(None) => by_code(kind, has_begun, exit, stderr_tail),
                verdict => verdict,
            };
            ending::conclude(verdict, exit, stderr_tail)
        };
        let is_lost = matches!(&result, Err(failure) if failure.class == FailureClass::SessionLost);
        let session = if is_lost { None } else { self.session.or(self.resumed) };
        let tally = end.tally;
        Report {
            session,
            // JSON has no infinity, but a sum of claims can reach it.
            cost_usd: tally.cost_usd.filter(|cost| cost.is_finite()),
            tokens: text::add_counts(tally.input_tokens, tally.output_tokens).or(so_far.tokens),
            session_tokens: so_far.session_tokens,
            input_tokens: tally.input_tokens,
            output_tokens: tally.output_tokens,
            turns: tally.turns,
            final_text: tally.final_text.map(|text| text::final_text(&text)).filter(|text| !text.is_empty()),
            result,
            skipped_lines: self.skipped_lines,
        }
    }

    fn kind(&self) -> AgentKind {
        match &self.stream {
            Stream::Claude(_) => AgentKind::Claude,
            Stream::Codex(_) => AgentKind::Codex,
            Stream::Gemini(_) => AgentKind::Gemini,
            Stream::OpenCode(_) => AgentKind::OpenCode,
            Stream::Command(_) => AgentKind::Command,
        }
    }

    /// Lets through what is new and sane. The streams report a session whenever an event names one.
    fn check(&mut self, signal: Signal) -> Option<Signal> {
        match signal {
            Signal::Session(id) => {
                // The id is an argument of the next run's program, so it must not look like an
                // option.
                if !text::is_session_id(&id) || self.session.as_ref() == Some(&id) {
                    return None;
                }
                let keeps_sessions = !matches!(self.stream, Stream::Command(_));
                if keeps_sessions && self.resumed.as_ref().is_some_and(|resumed| *resumed != id) {
                    self.went_astray = true;
                    return self.check(Signal::EndNow(FailureClass::SessionLost));
                }
                self.session = Some(id.clone());
                Some(Signal::Session(id))
            }
            Signal::EndNow(_) if self.end_was_asked => None,
            Signal::EndNow(class) => {
                self.end_was_asked = true;
                Some(Signal::EndNow(class))
            }
            other => Some(other),
        }
    }
}

/// What the exit code and the last lines of standard error say of a run whose output gives no
/// reason.
fn by_code(agent: AgentKind, has_begun: bool, exit: &Exit, stderr_tail: &str) -> Verdict {
    let is_its_own =
        exit.code != 0 && !exit.oom_killed && exit.stopped.is_none() && !ending::is_from_outside(exit.code);
    // A program that has begun was there; some script of its own was not.
    let says_missing = matches!(exit.code, 126 | 127);
    if !is_its_own || (says_missing && has_begun) || (agent == AgentKind::Command && !says_missing) {
        return Verdict::Open(None);
    }
    let message = text::last_lines(stderr_tail);
    let evidence =
        Evidence { agent: Some(agent), exit: Some(exit.code), message: &message, ..Evidence::default() };
    match evidence.plain_class() {
        Some(class) => Verdict::Failed(Failure::new(class, &format!("exit code {}: {message}", exit.code))),
        None => Verdict::Open(None),
    }
}

impl Stream {
    fn event(&mut self, event: &Value) -> Vec<Signal> {
        match self {
            Self::Claude(stream) => stream.event(event),
            Self::Codex(stream) => stream.event(event),
            Self::Gemini(stream) => stream.event(event),
            Self::OpenCode(stream) => stream.event(event),
            Self::Command(_) => Vec::new(), // reads its lines itself: they need not be JSON
        }
    }
}
