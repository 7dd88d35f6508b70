//! `[agent]`: which coding agent works, with which model, key or login, and how long it may take.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::values;

use crate::ids::AgentKind;

/// `[agent]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// The agent: `claude`, `codex`, `gemini`, `opencode` or `command`. See [agents](agents.md).
    pub kind: AgentKind,
    /// The program and its arguments, for the kind `command`.
    pub command: Vec<String>,
    /// Agents that take over while the usage limit of the chosen agent is exhausted, in order of
    /// preference.
    pub fallback: Vec<AgentKind>,
    /// The model, passed to the agent's program.
    pub model: Option<String>,
    /// The number of turns after which a run ends. Claude Code enforces it; `command` is told.
    pub max_turns: Option<u32>,
    /// The most that one run may cost, in dollars.
    pub max_budget_usd: Option<f64>,
    /// The longest that a run may take.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// The longest that a run may show no sign of life.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub stall_timeout: Duration,
    /// How often a run is retried after a transient failure, such as an overload or a rate limit.
    pub retries: u32,
    /// The delay before the first retry. It doubles with each further one.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub retry_after: Duration,
    /// API keys for the agent: a map from the name of an environment variable to the file that
    /// contains its value. The keys of the agent's own program are also taken from hob's
    /// environment.
    pub key_files: BTreeMap<String, PathBuf>,
    /// A folder with a login, used in place of a key by the agent named by `agent.kind`: a
    /// `~/.claude` with `.credentials.json` in it (and `.claude.json` in or beside it), `~/.codex`,
    /// `~/.gemini` or `~/.local/share/opencode`. hob copies the login into the agent's home for
    /// each run and writes renewed tokens back, so hob needs write access; `deploy/hob.service`
    /// allows it only below `/var/lib/hob`. Keys of that agent in hob's environment are then
    /// ignored; those in `agent.key_files` take precedence over the login.
    pub login_dir: Option<PathBuf>,
    /// A program and its arguments that renew the login. hob runs it when the model's service
    /// refuses the login, then repeats the run once. It runs as hob's user, without hob's secrets
    /// in its environment; exit code 0 means success.
    pub sync_command: Vec<String>,
    /// The longest that `agent.sync_command` may take. It is then killed together with its child
    /// processes.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub sync_timeout: Duration,
    /// Further environment variables for the agent. Do not put secrets here.
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
