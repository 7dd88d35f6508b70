//! Codex: `codex exec --json`. Written against 0.169.0.
//!
//! It names no cost, and counts tokens over the whole session: what a resumed run used is
//! known to who knows how many there were before.

use std::collections::HashSet;

use serde_json::Value;

use super::ending::{End, RunTotals, RunUsage, Verdict};
use super::failure::{Failure, FailureClass};
use super::table::classify;
use super::{AgentKind, Invocation, MAX_OPEN_TOOLS, Signal, Tools, text};

/// `OPENAI_API_KEY` is not among them: `codex exec` then sends its requests without any key.
pub const KEY_NAMES: &[&str] = &["CODEX_API_KEY"];

/// The sandbox of Codex needs what the container forbids; the container is the sandbox. The last
/// argument says that the prompt is on standard input.
pub fn argv(invocation: &Invocation<'_>) -> Vec<String> {
    let mut argv = vec!["codex".to_owned(), "exec".to_owned()];
    argv.extend(invocation.resume.map(|_| "resume".to_owned()));
    argv.extend(
        ["--json", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"].map(str::to_owned),
    );
    argv.extend(invocation.model.map(|model| format!("--model={model}")));
    argv.extend(invocation.resume.map(str::to_owned));
    argv.push("-".to_owned());
    argv
}

/// What has been read of one run.
#[derive(Debug)]
pub struct Stream {
    is_resumed: bool,
    /// `turn.completed` or `turn.failed`, whichever came last.
    last_turn: Option<Result<(), Failure>>,
    /// The last error that Codex meant to get over, until the model answers.
    trouble: Option<Failure>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    last_words: Option<String>,
    /// Whether anything came of the present turn.
    has_acted: bool,
    open_tools: HashSet<String>,
}

impl Stream {
    /// `is_resumed` when the run goes on with an earlier session.
    pub fn new(is_resumed: bool) -> Self {
        Self {
            is_resumed,
            last_turn: None,
            trouble: None,
            input_tokens: None,
            output_tokens: None,
            last_words: None,
            has_acted: false,
            open_tools: HashSet::new(),
        }
    }

    /// Reads one event.
    pub fn event(&mut self, event: &Value) -> Vec<Signal> {
        let mut signals = Vec::new();
        match event["type"].as_str() {
            Some("thread.started") => {
                signals.extend(event["thread_id"].as_str().map(|id| Signal::Session(id.to_owned())));
            }
            Some("turn.started") => self.has_acted = false,
            Some(kind @ ("item.started" | "item.updated" | "item.completed")) => {
                self.item(kind, &event["item"], &mut signals);
            }
            Some("turn.completed") => {
                // A model that declines leaves no item.
                let is_done = self.has_acted || self.last_words.is_some();
                self.last_turn = Some(is_done.then_some(()).ok_or_else(|| {
                    Failure::new(FailureClass::Refused, "the model ended its turn without output")
                }));
                self.open_tools.clear();
                self.input_tokens = text::count(&event["usage"]["input_tokens"]);
                self.output_tokens = text::count(&event["usage"]["output_tokens"]);
            }
            Some("turn.failed") => self.last_turn = Some(Err(failure(&event["error"]["message"]))),
            Some("error") => {
                self.trouble = Some(failure(&event["message"]));
                signals.push(waits(&event["message"]));
            }
            _ if text::event_only_waits(event) => signals.push(waits(&event["message"])),
            _ => {}
        }
        signals
    }

    fn item(&mut self, kind: &str, item: &Value, signals: &mut Vec<Signal>) {
        // An item of the type `error` is a warning, and no answer of the model.
        let is_warning = item["type"] == "error";
        if is_warning
            || (!KNOWN_ITEMS.iter().any(|known| item["type"] == *known) && text::event_only_waits(item))
        {
            let words =
                [&item["message"], &item["text"]].into_iter().find_map(Value::as_str).unwrap_or_default();
            let is_trouble = text::only_waits(words);
            signals.push(Signal::Waits(if is_trouble { words.to_owned() } else { String::new() }));
            return;
        }
        let id = item["id"].as_str().unwrap_or_default();
        if kind == "item.started" && self.open_tools.len() < MAX_OPEN_TOOLS {
            self.open_tools.insert(id.to_owned());
        }
        if kind == "item.completed" {
            self.open_tools.remove(id);
            self.trouble = None;
            let words = item["text"].as_str().unwrap_or_default();
            self.has_acted |= match item["type"].as_str() {
                Some("reasoning") => false,
                Some("agent_message") => text::has_words(words),
                _ => true,
            };
            if item["type"] == "agent_message" {
                text::keep_last(&mut self.last_words, words);
            }
        }
        let moment = match kind {
            "item.started" => Moment::Started,
            "item.updated" => Moment::Updated,
            _ => Moment::Completed,
        };
        signals.extend(self::item(item, moment));
    }

    /// Whether a tool is at work.
    pub fn tools(&self) -> Tools {
        if self.open_tools.is_empty() { Tools::Idle } else { Tools::AtWork }
    }

    /// What is known while it works: nothing of this run alone.
    pub fn so_far(&self) -> RunUsage {
        let session_tokens = text::add_counts(self.input_tokens, self.output_tokens);
        RunUsage { session_tokens, ..RunUsage::default() }
    }

    /// The run is over.
    pub fn end(self, stderr: &str) -> End {
        let verdict = match self.last_turn {
            Some(Ok(())) => Verdict::Done,
            // What came before can say more than that the turn failed.
            Some(Err(failure)) if failure.class == FailureClass::Crashed => {
                Verdict::Failed(self.trouble.unwrap_or(failure))
            }
            Some(Err(failure)) => Verdict::Failed(failure),
            None if stderr.contains("no rollout found for thread id") => {
                Verdict::Failed(Failure::new(FailureClass::SessionLost, &text::last_lines(stderr)))
            }
            None => Verdict::Open(self.trouble),
        };
        let of_this_run = |tokens: Option<u64>| tokens.filter(|_| !self.is_resumed);
        let tally = RunTotals {
            cost_usd: None,
            input_tokens: of_this_run(self.input_tokens),
            output_tokens: of_this_run(self.output_tokens),
            turns: None,
            final_text: self.last_words,
        };
        End { tally, verdict }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Started,
    Updated,
    Completed,
}

/// What an item is worth telling. What takes time is told when it starts, the rest when it is
/// complete.
fn item(item: &Value, moment: Moment) -> Option<Signal> {
    use Moment::{Completed, Started};
    match (item["type"].as_str()?, moment) {
        ("agent_message", Completed) => text::says(item["text"].as_str()?),
        ("command_execution", Started) => Some(text::uses("shell", item)),
        ("mcp_tool_call", Started) => {
            let name = format!("{}.{}", item["server"].as_str()?, item["tool"].as_str()?);
            Some(text::uses(&name, &item["arguments"]))
        }
        ("web_search", Completed) => Some(text::uses("web search", item)),
        ("file_change", Completed) => {
            let paths = item["changes"].as_array()?.iter().filter_map(|change| change["path"].as_str());
            Some(Signal::Uses(format!("edit: {}", paths.collect::<Vec<_>>().join(", "))))
        }
        ("todo_list", _) => text::todo(&item["items"]),
        _ => None,
    }
}

/// Items that are the model's or its tools', whatever stands in them.
const KNOWN_ITEMS: [&str; 7] = [
    "agent_message",
    "reasoning",
    "command_execution",
    "file_change",
    "mcp_tool_call",
    "web_search",
    "todo_list",
];

fn waits(message: &Value) -> Signal {
    Signal::Waits(message.as_str().unwrap_or_default().to_owned())
}

fn failure(message: &Value) -> Failure {
    let message = message.as_str().unwrap_or_default();
    Failure::new(classify(AgentKind::Codex, None, message), message)
}
