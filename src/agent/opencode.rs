//! OpenCode: `opencode run --format json`. Written against 1.18.33.
//!
//! It has no event for the end: a run is done when its last step stopped by itself and the exit
//! code is 0.

use serde_json::Value;

use super::ending::{End, RunTotals, RunUsage, Verdict};
use super::failure::{Failure, FailureClass};
use super::table::Evidence;
use super::{AgentKind, Invocation, Signal, json, text};

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
    /// The last error.
    error: Option<Failure>,
    /// Whether a step was finished after it.
    went_on: bool,
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
            Some("error") => {
                let failure = failure(&event["error"]);
                signals.push(Signal::Waits(failure.detail.clone()));
                self.error = Some(failure);
                self.went_on = false;
            }
            Some("step_start" | "reasoning") => {}
            _ if text::event_only_waits(event) => {
                let message = event["message"].as_str().or(event["status"]["message"].as_str());
                signals.push(Signal::Waits(message.unwrap_or_default().to_owned()));
            }
            _ => {}
        }
        signals
    }

    fn step_finish(&mut self, part: &Value) {
        self.went_on = true;
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
    pub fn so_far(&self) -> RunUsage {
        let tokens = text::add_counts(self.input_tokens, self.output_tokens);
        RunUsage { cost_usd: self.cost_usd, tokens, session_tokens: None }
    }

    /// The run is over.
    pub fn end(self, stderr: &str) -> End {
        let is_finished = !matches!(self.last_step.as_deref(), None | Some("tool-calls"));
        let verdict = match (self.error, self.last_step) {
            // It got over the error by itself, a full context for example; its exit code tells of
            // it all the same.
            (Some(_), _) if self.went_on && is_finished => Verdict::DoneAfterError,
            (Some(failure), _) if self.went_on => Verdict::Open(Some(failure)),
            (Some(failure), _) => Verdict::Failed(failure),
            (None, None) if stderr.contains("Session not found") => {
                Verdict::Failed(Failure::new(FailureClass::SessionLost, &text::last_lines(stderr)))
            }
            (None, Some(reason)) if reason == "content-filter" => Verdict::Failed(Failure::new(
                FailureClass::Refused,
                "the model's provider has filtered the answer",
            )),
            (None, Some(_)) if is_finished => Verdict::Done,
            // The model had called a tool and was to be told what came of it.
            (None, _) => Verdict::Open(None),
        };
        let tally = RunTotals {
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
    // What the provider answered, as it was: its own word for the error, and when a limit ends.
    let answer =
        data["responseBody"].as_str().and_then(|body| json::object(body.as_bytes())).unwrap_or_default();
    let places = [&answer["error"], &answer, data, error];
    let find =
        |name: &str| places.iter().find_map(|place| text::amount(&place[name])).map(|number| number as u64);
    let kind = places[..2].iter().find_map(|place| place["type"].as_str()).unwrap_or_default();
    let code = answer["error"]["code"].as_str().unwrap_or_default();
    let status = text::count(&data["statusCode"]).and_then(|status| u16::try_from(status).ok());
    let said = answer["error"]["message"].as_str().unwrap_or_default();
    let all = format!("{message} {code} {said}");
    let evidence = Evidence {
        agent: Some(AgentKind::OpenCode),
        exit: None,
        events: &[name, kind],
        status,
        message: &all,
    };
    let resets_at = find("resets_at").or_else(|| find("resetsAt"));
    Failure {
        resets_at: resets_at.and_then(|seconds| i64::try_from(seconds).ok()),
        resets_in: find("resets_in_seconds").or_else(|| header(data, "retry-after")),
        ..Failure::new(evidence.class().unwrap_or(FailureClass::Crashed), message)
    }
}

fn header(data: &Value, name: &str) -> Option<u64> {
    data["responseHeaders"][name].as_str()?.parse().ok()
}
