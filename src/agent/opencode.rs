//! OpenCode: `opencode run --format json`. Written against 1.18.33.
//!
//! It has no event for the end: a run is done when its last step stopped by itself and the exit code
//! is 0.

use serde_json::Value;

use super::ending::{End, SoFar, Tally, Verdict};
use super::failure::{Failure, FailureClass, classify};
use super::{Invocation, Signal, text};

/// Which of them is used follows from the model's provider.
pub const KEY_NAMES: &[&str] =
    &["OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY"];

pub const SETTINGS: &[(&str, &str)] = &[
    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
    // A session can be published under a public address; hob's never should be.
    ("OPENCODE_DISABLE_SHARE", "1"),
    ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1"),
];

/// `--auto` allows what would be asked for, such as writing to the exchange outside the workspace:
/// nobody is there to be asked.
pub fn argv(invocation: &Invocation<'_>) -> Vec<String> {
    let mut argv: Vec<String> = ["opencode", "run", "--format", "json", "--auto"].map(str::to_owned).into();
    argv.extend(invocation.model.map(|model| format!("--model={model}")));
    argv.extend(invocation.resume.map(|session| format!("--session={session}")));
    argv
}

/// What has been read of one run.
#[derive(Debug, Default)]
pub struct Stream {
    /// Why the last step ended, in OpenCode's word.
    last_step: Option<String>,
    /// The last error, unless a step was finished after it.
    error: Option<Failure>,
    cost_usd: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    steps: u32,
    last_words: Option<String>,
}

impl Stream {
    /// Reads one event.
    pub fn event(&mut self, event: &Value) -> Vec<Signal> {
        let mut signals = Vec::new();
        signals.extend(event["sessionID"].as_str().map(|id| Signal::Session(id.to_owned())));
        let part = &event["part"];
        match event["type"].as_str() {
            Some("text") => {
                let words = part["text"].as_str().unwrap_or_default();
                text::keep_last(&mut self.last_words, words);
                signals.extend(text::says(words));
            }
            Some("tool_use") => signals.extend(match part["tool"].as_str() {
                Some("todowrite") => text::todo(&part["state"]["input"]["todos"]),
                Some(tool) => Some(text::uses(tool, &part["state"]["input"])),
                None => None,
            }),
            Some("step_finish") => self.step_finish(part),
            Some("error") => self.error = Some(failure(&event["error"])),
            _ => {}
        }
        signals
    }

    fn step_finish(&mut self, part: &Value) {
        self.error = None;
        self.last_step = Some(part["reason"].as_str().unwrap_or_default().to_owned());
        self.steps = self.steps.saturating_add(1);
        if let Some(cost) = text::amount(&part["cost"]) {
            self.cost_usd = Some(self.cost_usd.unwrap_or_default() + cost);
        }
        let tokens = &part["tokens"];
        let input = [&tokens["input"], &tokens["cache"]["read"], &tokens["cache"]["write"]];
        self.input_tokens = text::add_counts(self.input_tokens, text::sum_counts(input));
        let output = [&tokens["output"], &tokens["reasoning"]];
        self.output_tokens = text::add_counts(self.output_tokens, text::sum_counts(output));
    }

    /// What is known while it works: the steps that are finished.
    pub fn so_far(&self) -> SoFar {
        let tokens = text::add_counts(self.input_tokens, self.output_tokens);
        SoFar { cost_usd: self.cost_usd, tokens, session_tokens: None }
    }

    /// The run is over.
    pub fn end(self, stderr: &str) -> End {
        let verdict = match (self.error, self.last_step.as_deref()) {
            (Some(failure), _) => Verdict::Failed(failure),
            (None, None) if stderr.contains("Session not found") => {
                Verdict::Failed(Failure::new(FailureClass::SessionLost, &text::last_lines(stderr)))
            }
            // The model had called a tool and was to be told what came of it.
            (None, None | Some("tool-calls")) => Verdict::Open(None),
            (None, Some(_)) => Verdict::Done,
        };
        let tally = Tally {
            cost_usd: self.cost_usd,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            turns: (self.steps > 0).then_some(self.steps),
            final_text: self.last_words,
        };
        End { tally, verdict }
    }
}

fn failure(error: &Value) -> Failure {
    let data = &error["data"];
    let name = error["name"].as_str().unwrap_or_default();
    let message = data["message"].as_str().unwrap_or(name);
    let class = match name {
        "ProviderAuthError" => FailureClass::Authentication,
        "ProviderModelNotFoundError" => FailureClass::ModelUnknown,
        "ContextOverflowError" => FailureClass::ContextOverflow,
        "MessageAbortedError" => FailureClass::Interrupted,
        _ => {
            let status = text::count(&data["statusCode"]).and_then(|status| u16::try_from(status).ok());
            classify(status, message)
        }
    };
    Failure::new(class, message)
}
