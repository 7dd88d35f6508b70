//! The process that writes a prompt with a repository's template. A template can nest until the
//! stack is full, double a text until memory is, or go on for very long; then this process ends,
//! and hob goes on. It is hob's own program with the command `write-prompt`: the sheet comes on
//! standard input, the answer goes to standard output. Its side that starts it is `prompting.rs`.

use std::io::{Read as _, Write as _};

use anyhow::Context as _;
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use crate::prompt::PromptFields;

/// Address space. A prompt has four MiB at most, and the program itself takes some dozens.
const MEMORY: u64 = 1 << 30;
/// Time on a processor; an honest template takes some milliseconds.
const CPU_SECONDS: u64 = 4;
/// The three streams and little else: a template opens no file.
const OPEN_FILES: u64 = 16;

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The prompt.
    Made(String),
    /// What is wrong with the template.
    Fault(String),
}

/// Runs the process: one sheet, one prompt.
///
/// # Errors
/// If the limits cannot be set, the sheet cannot be read or the answer cannot be written.
pub fn run() -> anyhow::Result<()> {
    let limits = [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CPU, CPU_SECONDS),
        (Resource::RLIMIT_NOFILE, OPEN_FILES),
        (Resource::RLIMIT_AS, MEMORY),
    ];
    for (resource, limit) in limits {
        setrlimit(resource, limit, limit).with_context(|| format!("setting {resource:?} to {limit}"))?;
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("reading the prompt's fields")?;
    let sheet: PromptFields = serde_json::from_str(&text).context("parsing the prompt's fields")?;
    drop(text);
    let answer = match sheet.write() {
        Ok(prompt) => Answer::Made(prompt),
        Err(fault) => Answer::Fault(fault.to_string()),
    };
    let answer = serde_json::to_vec(&answer).context("writing the answer")?;
    std::io::stdout().write_all(&answer).context("writing the answer")
}
