//! Any program that follows the exchange contract. Its output is free text; exit code 0 is a
//! success.
//!
//! A line that is a JSON object with `session` (a text), `cost_usd` or `tokens` (numbers, what the
//! run has used so far) is taken as that and not shown. The program gets what the other CLIs get as
//! arguments from its environment.

use std::collections::VecDeque;

use super::ending::{End, RunTotals, RunUsage, Verdict};
use super::{Invocation, Signal, json, text};

/// Lines at the end of the output that are its final text: what fits on a screen.
const FINAL_LINES: usize = 20;

pub fn environment(invocation: &Invocation<'_>) -> Vec<(&'static str, String)> {
    let values = [
        ("HOB_SESSION", invocation.resume.map(str::to_owned)),
        ("HOB_MODEL", invocation.model.map(str::to_owned)),
        ("HOB_MAX_TURNS", invocation.max_turns.map(|turns| turns.to_string())),
        ("HOB_MAX_BUDGET_USD", invocation.max_budget_usd.map(|dollars| dollars.to_string())),
    ];
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// What has been read of one run.
#[derive(Debug, Default)]
pub struct Stream {
    last_lines: VecDeque<String>,
    cost_usd: Option<f64>,
    tokens: Option<u64>,
}

impl Stream {
    /// Reads one line, which is not empty.
    pub fn line(&mut self, line: &[u8]) -> Vec<Signal> {
        if line.starts_with(b"{")
            && let Some(object) = json::object(line)
            && (object["session"].is_string()
                || object["cost_usd"].is_number()
                || object["tokens"].is_number())
        {
            self.cost_usd = text::amount(&object["cost_usd"]).or(self.cost_usd);
            self.tokens = text::count(&object["tokens"]).or(self.tokens);
            return object["session"].as_str().map(|id| Signal::Session(id.to_owned())).into_iter().collect();
        }
        let line = text::final_text(&String::from_utf8_lossy(line));
        let signal =
            if text::only_waits(&line) { Some(Signal::Waits(line.clone())) } else { text::says(&line) };
        if signal.is_some() {
            if self.last_lines.len() == FINAL_LINES {
                self.last_lines.pop_front();
            }
            self.last_lines.push_back(line);
        }
        signal.into_iter().collect()
    }

    /// What it has told so far.
    pub fn so_far(&self) -> RunUsage {
        RunUsage { cost_usd: self.cost_usd, tokens: self.tokens, session_tokens: None }
    }

    /// The run is over.
    pub fn end(self, code: i64) -> End {
        let lines: Vec<String> = self.last_lines.into();
        let tally = RunTotals {
            cost_usd: self.cost_usd,
            final_text: Some(text::final_text(&lines.join("\n"))),
            ..RunTotals::default()
        };
        End { tally, verdict: if code == 0 { Verdict::Done } else { Verdict::Open(None) } }
    }
}
