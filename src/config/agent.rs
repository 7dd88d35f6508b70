//! `[agent]`: which coding agent works, with which model, key or login, and how long it may take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::values;

use crate::ids::AgentKind;

/// `[agent]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Which CLI: `claude`, `codex`, `gemini`, `opencode` or `command`.
    pub kind: AgentKind,
    /// Program and arguments for the kind `command`.
    pub command: Vec<String>,
    /// Agents that take over, the first first, while the usage limit of the one that should work is used up.
    pub fallback: Vec<AgentKind>,
    /// The model's name, passed on to the CLI.
    pub model: Option<String>,
    /// Turns after which a run is ended.
    pub max_turns: Option<u32>,
    /// Dollars after which a run is ended: the cap of a run. Those of a story and a day are in `[budget]`.
    pub max_budget_usd: Option<f64>,
    /// The longest a run may take.
    #[serde(deserialize_with = "values::duration")]
    pub timeout: Duration,
    /// The longest a run may stay without a word.
    #[serde(deserialize_with = "values::duration")]
    pub stall_timeout: Duration,
    /// How often a run that failed for a passing reason (overload, rate limit) is tried again.
    pub retries: u32,
    /// The wait before the first such retry; it doubles each time.
    #[serde(deserialize_with = "values::duration")]
    pub retry_after: Duration,
    /// Environment names of keys given to the agent, each with the file that holds its value. Keys
    /// of the agent's own CLI are also taken from hob's environment.
    pub key_files: BTreeMap<String, PathBuf>,
    /// The folder of a login on this machine, for working with a person's account instead of a key: for
    /// `kind = "claude"` a `~/.claude` with `.credentials.json` in it (and `.claude.json` in it or beside
    /// it), for `codex` a `~/.codex`, for `gemini` a `~/.gemini`, for `opencode` a
    /// `~/.local/share/opencode`. hob copies the login into the agent's home before each run and takes it
    /// out again after it; tokens that the CLI renewed meanwhile are written back to the folder, which hob
    /// must therefore be able to write. It serves the agent named by `kind` alone. Keys of that CLI in
    /// hob's environment are then not handed on; those in `key_files` are, and come first for the CLI.
    pub login_dir: Option<PathBuf>,
    /// Program and arguments of a command that renews the login, run when the model's service has refused
    /// it; then the run is made once more. It runs as hob's own user, without hob's secrets in its
    /// environment and without input; exit code 0 means that the login is renewed.
    pub sync_command: Vec<String>,
    /// The longest that command may take. After that it is killed with everything it has started.
    #[serde(deserialize_with = "values::duration")]
    pub sync_timeout: Duration,
    /// Further environment values for the agent. Not for secrets.
    pub env: BTreeMap<String, String>,
    /// The keys themselves, resolved at start.
    #[serde(skip)]
    pub keys: BTreeMap<String, SecretString>,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            kind: AgentKind::Claude,
            command: Vec::new(),
            fallback: Vec::new(),
            model: None,
            max_turns: None,
            max_budget_usd: None,
            timeout: Duration::from_secs(60 * 60),
            stall_timeout: Duration::from_secs(15 * 60),
            retries: 3,
            retry_after: Duration::from_secs(60),
            key_files: BTreeMap::new(),
            login_dir: None,
            sync_command: Vec::new(),
            sync_timeout: Duration::from_secs(60),
            env: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}
