//! The script that stands in for a model. It knows nothing but the conversation that each request
//! brings, as a model does: what a resumed session has forgotten is missing here too, and shows in
//! the files that the script has the agent write.
//!
//! The scenario is the last `[scenario: NAME]` in a prompt of hob's:
//!
//! ```text
//! work          writes a list of what there is to do, appends to README.md, commits, and writes a
//!               summary
//! ask           leaves notes uncommitted and asks; when answered, commits json-output.md with the
//!               answer, what it finds of its notes, and whether the old conversation is there
//! plan          tries to write and to commit, and hands in a plan that reports the result; when
//!               the plan is approved, carries it out
//! turns         one more tool, always
//! finish        commits what is there, and how many results of tools the conversation held before
//! listens       one tool, until somebody has said something; then commits messages.md with what
//!               the conversation contains of it
//! unauthorized  401, always
//! rate-limited  429, always
//! ```

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::wire;

/// Every prompt of hob's ends with a section of this title; reminders that the program itself puts
/// into the conversation do not.
const PROMPT_MARK: &str = "## How to end";

/// What `ask` leaves in the workspace, to be found again.
const NOTES: &str = "a draft that nobody committed";

/// What the model answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// It uses a tool.
    Use { id: String, tool: &'static str, input: Value },
    /// It says something and ends its turn.
    Say(String),
    /// The API refuses the request.
    Refuse(StatusCode),
}

/// A conversation, as far as the script looks at it: prompts and what tools gave.
pub(super) struct Talk {
    parts: Vec<Part>,
}

enum Part {
    Prompt(String),
    ToolResult(String),
    /// What somebody has said meanwhile.
    Message(String),
}

impl Talk {
    /// Reads the `messages` of a request. The program may put a tool's result and the next prompt
    /// into one message or into two.
    pub(super) fn read(messages: &Value) -> Talk {
        // What a user says while the agent works is told to the model as the system's words.
        let from_user = |message: &&Value| message["role"] == "user" || message["role"] == "system";
        let mut parts = Vec::new();
        for message in messages.as_array().into_iter().flatten().filter(from_user) {
            match &message["content"] {
                Value::String(text) => parts.extend(prompt(text)),
                content => parts.extend(content.as_array().into_iter().flatten().filter_map(part)),
            }
        }
        Talk { parts }
    }

    /// Prompts of hob's so far.
    pub(super) fn prompts(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Prompt(_))).count()
    }

    /// What tools gave so far.
    pub(super) fn tool_results(&self) -> impl Iterator<Item = &str> {
        results(&self.parts)
    }

    /// What comes next, if the scenario is a known one.
    pub(super) fn answer(&self) -> Option<Answer> {
        let at = self.parts.iter().rposition(|part| matches!(part, Part::Prompt(_)))?;
        let (before, now) = self.parts.split_at(at);
        let Some(Part::Prompt(prompt)) = now.first() else { return None };
        let found: Vec<&str> = results(now).collect();
        Some(match self.scenario()? {
            "work" => work(found.len()),
            "ask" => match between(prompt, "<reply>\n", "\n</reply>") {
                None => ask(found.len()),
                Some(reply) => go_on(&found, reply, before),
            },
            "plan" if prompt.contains("agreed to your plan") => {
                carry_out(found.len(), results(before).count())
            }
            "plan" => plan(&found),
            "turns" => bash("echo another turn >> progress.txt"),
            "listens" => listens(&found, now),
            "finish" => finish(found.len(), results(before).count()),
            "unauthorized" => Answer::Refuse(StatusCode::UNAUTHORIZED),
            "rate-limited" => Answer::Refuse(StatusCode::TOO_MANY_REQUESTS),
            _ => return None,
        })
    }

    fn scenario(&self) -> Option<&str> {
        let in_prompts = self.parts.iter().rev().filter_map(|part| match part {
            Part::Prompt(text) => text.rsplit_once("[scenario: ")?.1.split_once(']'),
            Part::ToolResult(_) | Part::Message(_) => None,
        });
        in_prompts.map(|(name, _)| name).next()
    }
}

fn work(step: usize) -> Answer {
    let todo =
        |content: &str, status: &str| json!({"content": content, "status": status, "activeForm": content});
    match step {
        0 => {
            let todos = [todo("Add the flag", "in_progress"), todo("Write the summary", "pending")];
            Answer::Use { id: wire::id("toolu"), tool: "TodoWrite", input: json!({"todos": todos}) }
        }
        1 => bash(
            "echo 'It knows --json now.' >> README.md && git add -A && git commit -qm 'Add --json' && git status",
        ),
        2 => write("/hob/summary.md", "Added `--json`. Checked by reading it."),
        _ => say("Committed."),
    }
}

fn ask(step: usize) -> Answer {
    let question = json!({
        "question": "Which shape should the output have?",
        "options": ["one object per line", "one array"],
    });
    match step {
        0 => bash(&format!("echo '{NOTES}' > notes.txt && id -u")),
        1 => write("/hob/question.json", &question.to_string()),
        _ => say("I wait for the answer."),
    }
}

fn go_on(found: &[&str], reply: &str, before: &[Part]) -> Answer {
    let conversation = if results(before).count() == 2 { "remembered" } else { "forgotten" };
    match found {
        [] => bash("cat notes.txt; git status --short"),
        [seen] => {
            let notes = if seen.contains(NOTES) { "found" } else { "gone" };
            let text =
                format!("answer: {reply}\nnotes: {notes}\nconversation: {conversation}\n").replace('\'', "");
            bash(&format!(
                "rm -f notes.txt && printf '%s' '{text}' > json-output.md && git add -A && git commit -qm 'Write JSON'"
            ))
        }
        [_, _] => write("/hob/summary.md", "Writes JSON as it was answered."),
        _ => say("Committed."),
    }
}

/// The tool ends a moment after hob has written the message, so that the program has it by then.
fn listens(found: &[&str], now: &[Part]) -> Answer {
    let said = now.iter().find_map(|part| match part {
        Part::Message(text) => between(text, "<message from=\"bob\">\n", "\n</message>"),
        Part::Prompt(_) | Part::ToolResult(_) => None,
    });
    let heard = said.unwrap_or("nothing");
    match found.len() {
        0 => bash(
            "i=0; until [ $(wc -l </run/hob/inbox) -gt 1 ] || [ $i -gt 100 ]; do sleep 0.2; i=$((i + 1)); done; sleep 1",
        ),
        1 => bash(&format!("echo '{heard}' >messages.md && git add -A && git commit -qm 'Write it down'")),
        2 => write("/hob/summary.md", "Wrote down what was said."),
        _ => say("Done."),
    }
}

fn plan(found: &[&str]) -> Answer {
    match found {
        [] => write("/workspace/early.txt", "too early"),
        [_] => bash("git status --short; git commit -q --allow-empty -m 'Too early'; ls"),
        [written, shell] => {
            let refused = written.contains("EROFS") && shell.contains("Read-only file system");
            let text = format!("1. Write plan.md\n\nWriting was refused: {refused}");
            write("/hob/summary.md", &text)
        }
        _ => say("That is the plan."),
    }
}

fn carry_out(step: usize, results_before: usize) -> Answer {
    match step {
        0 => bash(&format!(
            "echo 'results of tools before: {results_before}' > plan.md && git add -A && git commit -qm 'Plan' \
             && echo 'Carried out.' > /hob/summary.md"
        )),
        _ => say("Done."),
    }
}

/// In one tool, so that a run of two turns is enough.
fn finish(step: usize, results_before: usize) -> Answer {
    match step {
        0 => bash(&format!(
            "echo 'results of tools before: {results_before}' >> progress.txt && git add -A && git commit -qm 'Finish' \
             && echo 'Finished at last.' > /hob/summary.md"
        )),
        _ => say("Finished."),
    }
}

fn bash(command: &str) -> Answer {
    let input = json!({"command": command, "description": "Do the next step"});
    Answer::Use { id: wire::id("toolu"), tool: "Bash", input }
}

fn write(path: &str, content: &str) -> Answer {
    let input = json!({"file_path": path, "content": content});
    Answer::Use { id: wire::id("toolu"), tool: "Write", input }
}

fn say(text: &str) -> Answer {
    Answer::Say(text.to_owned())
}

fn part(block: &Value) -> Option<Part> {
    match block["type"].as_str()? {
        "text" => prompt(block["text"].as_str()?),
        "tool_result" => Some(Part::ToolResult(match &block["content"] {
            Value::String(text) => text.clone(),
            blocks => {
                let texts = blocks.as_array().into_iter().flatten().filter_map(|b| b["text"].as_str());
                texts.collect::<Vec<_>>().join("\n")
            }
        })),
        _ => None,
    }
}

fn prompt(text: &str) -> Option<Part> {
    if text.contains("<message from=") {
        return Some(Part::Message(text.to_owned()));
    }
    text.contains(PROMPT_MARK).then(|| Part::Prompt(text.to_owned()))
}

fn results(parts: &[Part]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match part {
        Part::ToolResult(text) => Some(text.as_str()),
        Part::Prompt(_) | Part::Message(_) => None,
    })
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}
