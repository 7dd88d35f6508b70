//! `[container]`: the container that the agent works in, what it may take there, and how its work
//! comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::repository::BoolOrHosts;
use super::{ByteSize, ChecksNetwork, values};
use crate::ids::AgentKind;

/// `[container]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// The Docker Engine API: `unix:///path`, `tcp://host:port` or `http://host:port`, without TLS.
    pub docker: String,
    /// The image that contains the agent, unless the repository or the task names another. hob does
    /// not pull images.
    pub image: String,
    /// Images for other agents, by kind: `{ codex = "hob-codex:latest" }`.
    pub images: BTreeMap<AgentKind, String>,
    /// Further images that a person may choose with `--image`.
    pub allowed_images: Vec<String>,
    /// The agent's network. `bridge` is the internet, through a separate network for each
    /// container. `none` is no network. Any other value is the name of a Docker network that you
    /// created.
    pub network: String,
    /// The memory limit. There is no swap.
    #[schemars(with = "String")]
    pub memory: ByteSize,
    /// The number of processors.
    pub cpus: f64,
    /// The most processes and threads.
    pub pids: i64,
    /// The most open files per process.
    pub nofile: i64,
    /// The size of `/tmp`. It counts towards the memory limit.
    #[schemars(with = "String")]
    pub tmp: ByteSize,
    /// The uid and gid of the agent when hob runs as root. Otherwise the agent runs with hob's own.
    pub uid: u32,
    /// The folder that holds keys while a container starts. It should be on a tmpfs.
    pub secrets_dir: PathBuf,
    /// The disk space for a story's workspace, home and exchange together. A run that exceeds it is
    /// stopped. A branch whose checkout is larger is refused.
    #[schemars(with = "String")]
    pub disk: ByteSize,
    /// The most files that are kept from `/hob/drops`.
    pub max_drops: usize,
    /// The total size of the files that are kept from `/hob/drops`.
    #[schemars(with = "String")]
    pub drops_limit: ByteSize,
    /// Whether agents may use the SSH agent at `SSH_AUTH_SOCK` in hob's environment. While it runs,
    /// an agent can use **every** key in the SSH agent, for example to push to any repository, and
    /// hob does not see it. The keys cannot be copied. hob must run as the SSH agent's user, not as
    /// root.
    pub ssh_agent: bool,
    /// The SSH agent's socket, resolved at start.
    #[serde(skip)]
    pub ssh_auth_sock: Option<PathBuf>,
    /// What a repository's checks may reach if its `.github/hob.toml` asks for network access:
    /// `false` for nothing, `true` for everything that agents reach, or a [list of
    /// servers](repository-settings.md#checks-on-the-network) such as `["crates.io",
    /// "*.npmjs.org"]`. Enforcing a repository's own list needs Docker; Podman cannot.
    #[schemars(with = "BoolOrHosts")]
    pub checks_network: ChecksNetwork,
    /// The time between SIGTERM and SIGKILL when an agent is stopped.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub stop_grace: Duration,
    /// The longest that reading the commits out of the workspace may take.
    #[serde(deserialize_with = "values::duration")]
    #[schemars(with = "String")]
    pub hand_over_timeout: Duration,
    /// The largest git bundle that is accepted from a workspace.
    #[schemars(with = "String")]
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
