//! Claude Code: `claude -p --output-format stream-json`. Written against 2.1.330 and 2.1.197.
//!
//! Neither the exit code nor `subtype` says how a run ended: an interrupt exits with 0, an API
//! error is called `success`. A run succeeded when its last `result` is no error, is called
//! `success`, and the exit code is 0.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::ending::{End, RunTotals, RunUsage, Verdict};
use super::failure::{Failure, FailureClass, Policy};
use super::table::Evidence;
use super::{AgentKind, Invocation, MAX_OPEN_TOOLS, Signal, Tools, json, text};

pub const KEY_NAMES: &[&str] = &["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"];

pub const SETTINGS: &[(&str, &str)] = &[
    // Otherwise a command left in the background keeps the process alive for up to ten minutes
    // after its result, and there are several results.
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    // The agent's list of what there is to do, as one whole list. With print mode, 2.1.330 offers
    // no such tool to newer models without the first, and four tools for single entries without the
    // second.
    ("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1"),
    ("CLAUDE_CODE_ENABLE_TASKS", "0"),
    // About nine seconds in place of three minutes: hob tries again itself, without a container
    // that waits meanwhile.
    ("CLAUDE_CODE_MAX_RETRIES", "4"),
];

/// Settings that the repository brings along are read, `CLAUDE.md` among them, which people expect:
/// hob puts the default branch's own version of them back before each run, so they are as trusted
/// as that branch. Slash commands are off, since one at the start of a prompt would run locally.
pub fn argv(invocation: &Invocation<'_>) -> Vec<String> {
    let mut argv: Vec<String> = [
        "claude",
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose", // stream-json is refused without it
        "--permission-mode",
        "bypassPermissions",
        "--disable-slash-commands",
    ]
    .map(str::to_owned)
    .into();
    let mut option = |name: &str, value: Option<String>| {
        argv.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    option("--model", invocation.model.map(str::to_owned));
    option("--max-turns", invocation.max_turns.map(|turns| turns.to_string()));
    option("--max-budget-usd", invocation.max_budget_usd.map(|dollars| dollars.to_string()));
    option("--resume", invocation.resume.map(str::to_owned));
    argv
}

/// No run has more messages, nor longer ids; what pretends to is not counted.
const MAX_MESSAGES: usize = 100_000;
const MAX_ID_BYTES: usize = 100;

/// The file in which the program keeps a session that has worked in `cwd`, relative to `$HOME`.
pub fn session_file(session: &str, cwd: &str) -> String {
    format!(".claude/projects/{}/{session}.jsonl", cwd.replace('/', "-"))
}

/// What a session has cost by the end of its file: a run that is stopped tells it there alone.
pub fn session_cost(end_of_file: &[u8]) -> Option<f64> {
    end_of_file
        .rsplit(|byte| *byte == b'\n')
        .filter_map(json::object)
        .find(|line| line["type"] == "cost-state")
        .and_then(|line| text::amount(&line["total_cost_usd"]))
}

/// A message as the program reads it, in one line.
pub fn input(id: &str, text: &str) -> String {
    let content = serde_json::json!([{"type": "text", "text": text}]);
    serde_json::json!({"type": "user", "message": {"role": "user", "content": content}, "uuid": id})
        .to_string()
}

/// What has been read of one run.
#[derive(Debug, Default)]
pub struct Stream {
    /// What the last `result` said. There may be several, and only the last one counts.
    last_result: Option<Outcome>,
    /// The last failed request that is being tried again, until the model answers.
    trouble: Option<Failure>,
    /// The name of the error in the last message that Claude Code itself put in the model's mouth.
    error_name: Option<String>,
    /// When the limit ends that a request was rejected for.
    resets_at: Option<i64>,
    /// Sums over the results. The cost since the last result is exact in every version that has it.
    cost_since_usd: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    turns: Option<u64>,
    /// Tokens of each message of the model's, by its id: what is known before there is a result.
    message_tokens: HashMap<String, u64>,
    /// `total_cost_usd` of the last result: the run's in 2.1.197, the session's in 2.1.330.
    cost_total_usd: Option<f64>,
    last_words: Option<String>,
    open_tools: HashSet<String>,
}

#[derive(Debug)]
enum Outcome {
    Success,
    Failure(Failure),
}

impl Stream {
    /// Reads one event.
    pub fn event(&mut self, event: &Value) -> Vec<Signal> {
        let mut signals = Vec::new();
        match (event["type"].as_str(), event["subtype"].as_str()) {
            (Some("system"), Some("init")) => signals.extend(session(event)),
            (Some("system"), Some("api_retry")) => signals.push(self.api_retry(event)),
            (Some("rate_limit_event"), _) => {
                self.rate_limit(&event["rate_limit_info"]);
                signals.extend(
                    (event["rate_limit_info"]["status"] == "rejected").then(|| Signal::Waits(String::new())),
                );
            }
            (Some("assistant"), _) => self.assistant(event, &mut signals),
            (Some("user"), _) => {
                for block in event["message"]["content"].as_array().into_iter().flatten() {
                    self.open_tools.remove(block["tool_use_id"].as_str().unwrap_or_default());
                }
            }
            (Some("result"), _) => {
                signals.extend(session(event));
                signals.push(Signal::TurnEnded);
                self.open_tools.clear();
                self.result(event);
            }
            _ if text::event_only_waits(event) => {
                signals.push(Signal::Waits(event["message"].as_str().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
        signals
    }

    /// A request failed and is tried again. A bad key stays bad over all the tries, so the run can
    /// end.
    fn api_retry(&mut self, event: &Value) -> Signal {
        let name = event["error"].as_str().unwrap_or_default();
        let status = status(&event["error_status"]);
        let events = [name];
        let evidence = Evidence { status, ..Self::evidence(&events, "") };
        let class = match (status, evidence.class()) {
            (_, Some(class)) => class,
            (None, None) => FailureClass::Overloaded, // no answer at all: the way there is broken
            (Some(_), None) => FailureClass::Crashed,
        };
        let message = format!("request failed: {name} {}", event["error_status"]);
        self.trouble = Some(Failure::new(class, &message));
        if class.policy() == Policy::AskPerson || class == FailureClass::Authentication {
            Signal::EndNow(class)
        } else {
            Signal::Waits(message)
        }
    }

    fn evidence<'a>(events: &'a [&'a str], message: &'a str) -> Evidence<'a> {
        Evidence { agent: Some(AgentKind::Claude), events, message, ..Evidence::default() }
    }

    fn rate_limit(&mut self, info: &Value) {
        if info["status"] == "rejected" {
            self.resets_at = info["resetsAt"].as_f64().map(|seconds| seconds as i64);
        }
    }

    fn assistant(&mut self, event: &Value, signals: &mut Vec<Signal>) {
        let message = &event["message"];
        if message["model"] == "<synthetic>" {
            self.error_name = event["error"].as_str().map(str::to_owned);
            self.rate_limit(&event["api_error_params"]["rate_limit_info"]);
            signals.push(Signal::Waits(String::new()));
            return;
        }
        self.trouble = None;
        self.error_name = None;
        self.count_message(message);
        // A subagent's words are meant for the agent, and its list is its own; its tools are worth
        // seeing.
        let is_subagent = event["parent_tool_use_id"].is_string();
        for block in message["content"].as_array().into_iter().flatten() {
            match (block["type"].as_str(), block["name"].as_str()) {
                (Some("text"), _) if !is_subagent => {
                    let words = block["text"].as_str().unwrap_or_default();
                    text::keep_last(&mut self.last_words, words);
                    signals.extend(text::says(words));
                }
                (Some("tool_use"), _) if self.open_tools.len() < MAX_OPEN_TOOLS => {
                    self.open_tools.extend(block["id"].as_str().map(str::to_owned));
                }
                _ => {}
            }
            match (block["type"].as_str(), block["name"].as_str()) {
                (Some("tool_use"), Some("TodoWrite")) if !is_subagent => {
                    signals.extend(text::todo(&block["input"]["todos"]));
                }
                (Some("tool_use"), Some(tool)) => signals.push(text::uses(tool, &block["input"])),
                _ => {}
            }
        }
    }

    /// One message comes in several events, each with its tokens so far.
    fn count_message(&mut self, message: &Value) {
        let usage = &message["usage"];
        let names =
            ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];
        let (Some(id), Some(tokens)) =
            (message["id"].as_str(), text::sum_counts(names.map(|name| &usage[name])))
        else {
            return;
        };
        if self.message_tokens.len() < MAX_MESSAGES && id.len() <= MAX_ID_BYTES {
            let counted = self.message_tokens.entry(id.to_owned()).or_default();
            *counted = tokens.max(*counted);
        }
    }

    /// What is known while it works. The results are exact, but come at the end; so does the cost.
    pub fn so_far(&self) -> RunUsage {
        let tokens = self.message_tokens.values().copied().reduce(u64::saturating_add);
        RunUsage { tokens, ..RunUsage::default() }
    }

    fn result(&mut self, event: &Value) {
        let is_success = event["is_error"] == false && event["subtype"] == "success";
        if is_success {
            text::keep_last(&mut self.last_words, event["result"].as_str().unwrap_or_default());
        }
        self.last_result =
            Some(if is_success { Outcome::Success } else { Outcome::Failure(self.failure(event)) });
        self.cost_total_usd = text::amount(&event["total_cost_usd"]).or(self.cost_total_usd);
        self.turns = text::add_counts(self.turns, text::count(&event["num_turns"]));
        let (input, output) = match event["model_usage_since_last_result"].as_object() {
            Some(models) => {
                let cost: f64 = models.values().filter_map(|model| text::amount(&model["costUSD"])).sum();
                self.cost_since_usd = Some(self.cost_since_usd.unwrap_or_default() + cost);
                let names = ["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];
                let input = models.values().flat_map(|model| names.map(|name| &model[name]));
                (
                    text::sum_counts(input),
                    text::sum_counts(models.values().map(|model| &model["outputTokens"])),
                )
            }
            None => {
                let usage = &event["usage"];
                let names = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
                (text::sum_counts(names.map(|name| &usage[name])), text::count(&usage["output_tokens"]))
            }
        };
        self.input_tokens = text::add_counts(self.input_tokens, input);
        self.output_tokens = text::add_counts(self.output_tokens, output);
    }

    /// Why a `result` is none to be glad of.
    fn failure(&self, event: &Value) -> Failure {
        let errors: Vec<&str> =
            event["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let message = event["result"].as_str().map_or_else(|| errors.join("\n"), str::to_owned);
        let class = self.class(event, &message);
        let is_limit = matches!(class, FailureClass::RateLimit | FailureClass::UsageLimit);
        Failure { resets_at: self.resets_at.filter(|_| is_limit), ..Failure::new(class, &message) }
    }

    fn class(&self, event: &Value, message: &str) -> FailureClass {
        let reason = event["terminal_reason"].as_str().unwrap_or_default();
        let reason = if reason.starts_with("aborted") { "aborted" } else { reason };
        let named = [&event["subtype"], &event["stop_reason"], &event["api_error"]];
        let mut events: Vec<&str> = named.into_iter().filter_map(Value::as_str).collect();
        events.push(reason);
        events.extend(self.error_name.as_deref());
        let evidence =
            Evidence { status: status(&event["api_error_status"]), ..Self::evidence(&events, message) };
        evidence.class().unwrap_or(FailureClass::Crashed)
    }

    /// Whether a tool is at work.
    pub fn tools(&self) -> Tools {
        if self.open_tools.is_empty() { Tools::Idle } else { Tools::AtWork }
    }

    /// The run is over.
    pub fn end(self, code: i64, stderr: &str) -> End {
        let verdict = match self.last_result {
            Some(Outcome::Success) => Verdict::Done,
            Some(Outcome::Failure(failure)) => Verdict::Failed(failure),
            None if is_lost_session(stderr) => {
                Verdict::Failed(Failure::new(FailureClass::SessionLost, &text::last_lines(stderr)))
            }
            // An interrupt while the model speaks leaves no result and the exit code 0.
            None if code == 0 && self.trouble.is_none() => {
                Verdict::Failed(Failure::new(FailureClass::Interrupted, "the agent ended without a result"))
            }
            None => Verdict::Open(self.trouble),
        };
        let tally = RunTotals {
            cost_usd: self.cost_since_usd.or(self.cost_total_usd),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            turns: self.turns.map(|turns| u32::try_from(turns).unwrap_or(u32::MAX)),
            final_text: self.last_words,
        };
        End { tally, verdict }
    }
}

fn session(event: &Value) -> Option<Signal> {
    event["session_id"].as_str().map(|id| Signal::Session(id.to_owned()))
}

fn status(value: &Value) -> Option<u16> {
    text::count(value).and_then(|status| u16::try_from(status).ok())
}

fn is_lost_session(message: &str) -> bool {
    message.contains("No conversation found with session ID")
        || message.contains("--resume requires a valid session")
}
