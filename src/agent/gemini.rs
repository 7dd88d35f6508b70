//! Gemini CLI: `gemini -o stream-json`. Written against 0.61.0.
//!
//! It names no cost, tries a failed request again for minutes with a word on standard error only,
//! and must be killed: it lives on after SIGTERM.

use std::collections::HashSet;

use serde_json::Value;

use super::ending::{End, RunTotals, Verdict, is_from_outside};
use super::failure::{Failure, FailureClass, status_in};
use super::table::{Evidence, classify};
use super::{AgentKind, Invocation, MAX_OPEN_TOOLS, Signal, Tools, text};

/// With the settings below, no other key is looked at.
pub const KEY_NAMES: &[&str] = &["GEMINI_API_KEY"];

/// Without a chosen way to log in, a key beside another base URL is an "invalid auth method".
pub const HOME_FILES: &[(&str, &str)] = &[(
    ".gemini/settings.json",
    r#"{
  "security": { "auth": { "selectedType": "gemini-api-key" } },
  "general": { "enableAutoUpdate": false, "enableAutoUpdateNotification": false },
  "privacy": { "usageStatisticsEnabled": false }
}
"#,
)];

/// Lines at the end of standard error in which a failed request counts as the last thing that
/// happened: the status and a closing brace after the trace.
const STDERR_LINES_OF_LAST_ERROR: usize = 5;

/// Standard input that is no terminal makes it run without one and take the prompt from there.
pub fn argv(invocation: &Invocation<'_>) -> Vec<String> {
    let mut argv: Vec<String> =
        ["gemini", "-o", "stream-json", "--approval-mode", "yolo", "--skip-trust"].map(str::to_owned).into();
    argv.extend(invocation.model.map(|model| format!("--model={model}")));
    if let Some(session) = invocation.resume {
        argv.extend(["--resume".to_owned(), session.to_owned()]);
    }
    argv
}

/// What has been read of one run.
#[derive(Debug, Default)]
pub struct Stream {
    is_resumed: bool,
    /// The session that was opened. It is saved with the model's first answer: before that, there
    /// is nothing to resume.
    opened: Option<String>,
    /// How the last `result` ended: well, or with an error.
    last_result: Option<Result<(), Told>>,
    /// The last error in the stream itself, until the model goes on: an answer that was cut short,
    /// or that was none.
    error: Option<Told>,
    open_tools: HashSet<String>,
    /// The last event was one that the model has to answer.
    model_is_due: bool,
    /// The model's words, which come in pieces, until something else comes.
    words: String,
    words_are_told: bool,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// An error as it was told. What it means depends on the exit code too.
#[derive(Debug)]
struct Told {
    kind: String,
    status: Option<u16>,
    message: String,
}

impl Told {
    fn failure(self, exit: i64) -> Failure {
        let evidence = Evidence {
            agent: Some(AgentKind::Gemini),
            exit: Some(exit),
            events: &[&self.kind],
            status: self.status,
            message: &self.message,
        };
        Failure::new(evidence.class().unwrap_or(FailureClass::Crashed), &self.message)
    }
}

impl Stream {
    /// `is_resumed` when the run goes on with an earlier session.
    pub fn new(is_resumed: bool) -> Self {
        Self { is_resumed, ..Self::default() }
    }

    /// Reads one event.
    pub fn event(&mut self, event: &Value) -> Vec<Signal> {
        let kind = event["type"].as_str();
        let model_answers =
            kind == Some("tool_use") || (kind == Some("message") && event["role"] == "assistant");
        let mut signals = Vec::new();
        if model_answers {
            self.error = None;
            signals.extend(self.opened.take().map(Signal::Session));
        }
        self.model_is_due = match kind {
            Some("message") => event["role"] == "user",
            Some("tool_result") => true,
            _ => false,
        };
        if kind == Some("message") && event["role"] == "assistant" {
            self.hear(event["content"].as_str().unwrap_or_default());
            return signals;
        }
        if matches!(kind, Some("tool_use" | "result")) && !self.words_are_told {
            signals.extend(text::says(&self.words));
            self.words_are_told = true;
        }
        match kind {
            Some("init") => {
                self.opened = event["session_id"].as_str().map(str::to_owned);
                if self.is_resumed {
                    signals.extend(self.opened.take().map(Signal::Session));
                }
            }
            Some("tool_use") => {
                if self.open_tools.len() < MAX_OPEN_TOOLS {
                    self.open_tools.extend(event["tool_id"].as_str().map(str::to_owned));
                }
                signals.extend(match event["tool_name"].as_str() {
                    Some("write_todos") => text::todo(&event["parameters"]["todos"]),
                    Some(tool) => Some(text::uses(tool, &event["parameters"])),
                    None => None,
                });
            }
            Some("tool_result") => {
                self.open_tools.remove(event["tool_id"].as_str().unwrap_or_default());
            }
            Some("result") => self.result(event),
            Some("error") => {
                let told = told(event);
                signals.push(Signal::Waits(told.message.clone()));
                if event["severity"] != "warning" {
                    self.error = Some(told);
                }
            }
            Some("message") => {}
            _ if text::event_only_waits(event) => {
                signals.push(Signal::Waits(event["message"].as_str().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
        signals
    }

    fn hear(&mut self, piece: &str) {
        if self.words_are_told {
            self.words.clear();
            self.words_are_told = false;
        }
        // A flood of pieces must not fill hob's memory; no final text is longer than a comment.
        if self.words.len() + piece.len() <= super::MAX_LINE_BYTES {
            self.words.push_str(piece);
        }
    }

    fn result(&mut self, event: &Value) {
        self.input_tokens = text::count(&event["stats"]["input_tokens"]);
        self.output_tokens = text::count(&event["stats"]["output_tokens"]);
        self.last_result =
            Some(if event["status"] == "success" { Ok(()) } else { Err(told(&event["error"])) });
        self.open_tools.clear();
    }

    /// Whether a tool is at work.
    pub fn tools(&self) -> Tools {
        if self.open_tools.is_empty() { Tools::Idle } else { Tools::AtWork }
    }

    /// The run is over.
    pub fn end(self, code: i64, stderr: &str) -> End {
        let by_code = Evidence {
            agent: Some(AgentKind::Gemini),
            exit: Some(code),
            message: &text::last_lines(stderr),
            ..Evidence::default()
        };
        let verdict = match (self.last_result, self.error) {
            (Some(Err(told)), _) => Verdict::Failed(told.failure(code)),
            // The stream ended well, but the answer did not.
            (_, Some(told)) => Verdict::Failed(told.failure(code)),
            (Some(Ok(())), None) => Verdict::Done,
            (None, None) if is_lost_session(stderr) => {
                Verdict::Failed(Failure::new(FailureClass::SessionLost, by_code.message))
            }
            (None, None) => match by_code.plain_class().filter(|_| code != 0 && !is_from_outside(code)) {
                Some(class) => Verdict::Failed(Failure::new(class, by_code.message)),
                // While a tool runs, an old error at the end of standard error explains nothing.
                None => Verdict::Open(trouble(stderr).filter(|_| self.model_is_due)),
            },
        };
        let tally = RunTotals {
            cost_usd: None,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            turns: None,
            final_text: Some(text::final_text(&self.words)),
        };
        End { tally, verdict }
    }
}

/// The failed request that standard error ends with, if it does.
fn trouble(stderr: &str) -> Option<Failure> {
    let end: Vec<&str> = stderr.lines().rev().take(STDERR_LINES_OF_LAST_ERROR).collect();
    let status = end.iter().find_map(|line| status_in(line))?;
    let message = stderr.lines().rev().find(|line| line.contains("failed with status")).unwrap_or_default();
    Some(Failure::new(classify(AgentKind::Gemini, Some(status), message), message))
}

fn told(error: &Value) -> Told {
    let status = text::count(&error["code"]).and_then(|status| u16::try_from(status).ok());
    Told {
        kind: error["type"].as_str().unwrap_or_default().to_owned(),
        status: status.filter(|status| (400..600).contains(status)),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
    }
}

fn is_lost_session(stderr: &str) -> bool {
    stderr.contains("Error resuming session") || stderr.contains("No previous sessions found")
}
