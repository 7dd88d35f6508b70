//! Gemini CLI: `gemini -o stream-json`. Written against 0.61.0.
//!
//! It names no cost, tries a failed request again for minutes with a word on standard error only, and
//! must be killed: it lives on after SIGTERM.

use serde_json::Value;

use super::ending::{End, Tally, Verdict};
use super::failure::{Failure, FailureClass, classify, status_in};
use super::{Invocation, Signal, text};

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

/// Exit codes of the CLI's own: the way to log in failed; the limit of turns was reached. An API error
/// exits with its HTTP status modulo 256, which is not needed: the `result` says it in words.
const EXIT_AUTHENTICATION: i64 = 41;
const EXIT_TURN_LIMIT: i64 = 53;

/// Lines at the end of standard error in which a failed request counts as the last thing that happened:
/// the status and a closing brace after the trace.
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
    /// How the last `result` ended.
    last_result: Option<Result<(), Failure>>,
    /// The last event was one that the model has to answer.
    model_is_due: bool,
    /// The model's words, which come in pieces, until something else comes.
    words: String,
    words_are_told: bool,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl Stream {
    /// Reads one event.
    pub fn event(&mut self, event: &Value) -> Vec<Signal> {
        let kind = event["type"].as_str();
        self.model_is_due = match kind {
            Some("message") => event["role"] == "user",
            Some("tool_result") => true,
            _ => false,
        };
        if kind == Some("message") && event["role"] == "assistant" {
            self.hear(event["content"].as_str().unwrap_or_default());
            return Vec::new();
        }
        let mut signals = Vec::new();
        if matches!(kind, Some("tool_use" | "result")) && !self.words_are_told {
            signals.extend(text::says(&self.words));
            self.words_are_told = true;
        }
        match kind {
            Some("init") => {
                signals.extend(event["session_id"].as_str().map(|id| Signal::Session(id.to_owned())))
            }
            Some("tool_use") => signals.extend(match event["tool_name"].as_str() {
                Some("write_todos") => text::todo(&event["parameters"]["todos"]),
                Some(tool) => Some(text::uses(tool, &event["parameters"])),
                None => None,
            }),
            Some("result") => self.result(event),
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
        self.last_result = Some(if event["status"] == "success" {
            Ok(())
        } else {
            let message = event["error"]["message"].as_str().unwrap_or_default();
            Err(Failure::new(classify(None, message), message))
        });
    }

    /// The run is over.
    pub fn end(self, code: i64, stderr: &str) -> End {
        let told_by_code = |class| Verdict::Failed(Failure::new(class, &text::last_lines(stderr)));
        let verdict = match self.last_result {
            Some(Ok(())) => Verdict::Done,
            _ if code == EXIT_TURN_LIMIT => told_by_code(FailureClass::TurnLimit),
            Some(Err(failure)) => Verdict::Failed(failure),
            None if code == EXIT_AUTHENTICATION => told_by_code(FailureClass::Authentication),
            None if is_lost_session(stderr) => told_by_code(FailureClass::SessionLost),
            // While a tool runs, an old error at the end of standard error explains nothing.
            None => Verdict::Open(trouble(stderr).filter(|_| self.model_is_due)),
        };
        let tally = Tally {
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
    Some(Failure::new(classify(Some(status), message), message))
}

fn is_lost_session(stderr: &str) -> bool {
    stderr.contains("Error resuming session") || stderr.contains("No previous sessions found")
}
