//! `[container]`: the container that the agent works in, what it may take there, and how its work comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ByteSize, ChecksNetwork, values};
use crate::ids::AgentKind;

/// `[container]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// The Docker Engine API.
    pub docker: String,
    /// The image with the agent in it, unless the repository or the task names another.
    pub image: String,
    /// The image for an agent other than the usual one, by its name: `codex = "hob-codex:latest"`.
    pub images: BTreeMap<AgentKind, String>,
    /// Images that a person may choose for a task with `--image`, besides those named here anyway.
    pub allowed_images: Vec<String>,
    /// `bridge`, or the name of a network of the operator's.
    pub network: String,
    /// Memory, without swap.
    pub memory: ByteSize,
    /// Processors.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: i64,
    /// Open files a process.
    pub nofile: i64,
    /// The size of `/tmp`. It counts as memory.
    pub tmp: ByteSize,
    /// The uid and gid that the agent runs as when hob itself is root.
    pub uid: u32,
    /// A folder on tmpfs where keys lie while a container starts.
    pub secrets_dir: PathBuf,
    /// What a story's workspace, home and exchange may take up together on disk. Looked at every few
    /// seconds while an agent runs; one that passes it is stopped.
    pub disk: ByteSize,
    /// Files that an agent may leave in `/hob/drops`, to be kept with the run.
    pub max_drops: usize,
    /// How large they may be together.
    pub drops_limit: ByteSize,
    /// Whether agents get at the SSH agent of hob's environment (`SSH_AUTH_SOCK`). Off by default, for it
    /// gives much away: while it runs, an agent can use **every** key in the SSH agent, to log in wherever
    /// they open a door or to push to any repository, and hob sees nothing of it. Keys cannot be copied
    /// that way. An SSH agent serves its own user only, so hob must run as that user and not as root.
    pub ssh_agent: bool,
    /// The SSH agent's socket, resolved at start.
    #[serde(skip)]
    pub ssh_auth_sock: Option<PathBuf>,
    /// What the checks that a repository names in its `.github/hob.toml` may reach on the network, where it asks for that.
    pub checks_network: ChecksNetwork,
    /// How long an agent has to end after it is told to.
    #[serde(deserialize_with = "values::duration")]
    pub stop_grace: Duration,
    /// The longest that reading the result out of the workspace may take.
    #[serde(deserialize_with = "values::duration")]
    pub hand_over_timeout: Duration,
    /// The largest hand-over: the agent's commits as one packed bundle.
    pub hand_over_limit: ByteSize,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            docker: "unix:///var/run/docker.sock".to_owned(),
            image: "hob-claude:latest".to_owned(),
            images: BTreeMap::new(),
            allowed_images: Vec::new(),
            network: "bridge".to_owned(),
            memory: ByteSize::mib(4096),
            cpus: 2.0,
            pids: 1024,
            nofile: 16_384,
            tmp: ByteSize::mib(1024),
            uid: 10_001,
            secrets_dir: PathBuf::from("/dev/shm"),
            disk: ByteSize::mib(20 * 1024),
            max_drops: 50,
            drops_limit: ByteSize::mib(100),
            ssh_agent: false,
            ssh_auth_sock: None,
            checks_network: ChecksNetwork::Nothing,
            stop_grace: Duration::from_secs(10),
            hand_over_timeout: Duration::from_secs(300),
            hand_over_limit: ByteSize::mib(512),
        }
    }
}

impl Container {
    /// The image that an agent gets where nobody has chosen one for a repository or a task.
    pub fn image_of(&self, agent: AgentKind) -> &str {
        self.images.get(&agent).unwrap_or(&self.image)
    }
}
