//! The daemon itself: how it is reached, which version of its API is spoken, and what it says it
//! can enforce.

use std::str::FromStr;

use bollard::ClientVersion;
use bollard::models::{SystemInfoCgroupVersionEnum, SystemVersion};

use super::network::asks_link_local_for_names;
use super::{CALL_TIMEOUT, ContainerError, Docker, error};

/// Where a daemon listens.
#[derive(Debug, Clone)]
pub(super) enum Address {
    /// The path of its socket.
    Unix(String),
    /// `http://host:port` without encryption: for a socket proxy on a private network.
    Http(String),
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.to_owned())),
            Some(("tcp" | "http", host)) if !host.trim_end_matches('/').is_empty() => {
                Ok(Self::Http(format!("http://{}", host.trim_end_matches('/'))))
            }
            _ => anyhow::bail!(
                "`{text}` is not an address of a Docker daemon; use unix:///path/to/socket, tcp://host:port or \
                http://host:port"
            ),
        }
    }
}

impl Address {
    /// A client whose every request names this version, or none.
    ///
    /// bollard 0.21 is given a version and then loses it: it joins an absolute path to an address
    /// that has the version in it. Without a version a daemon speaks its own newest, which may be
    /// newer than what bollard understands. So it is put into the path here.
    fn client(&self, version: Option<ClientVersion>) -> Result<bollard::Docker, ContainerError> {
        let seconds = CALL_TIMEOUT.as_secs();
        let given = version.unwrap_or(*bollard::API_DEFAULT_VERSION);
        let client = match self {
            Self::Unix(path) => bollard::Docker::connect_with_unix(path, seconds, &given),
            Self::Http(url) => bollard::Docker::connect_with_http(url, seconds, &given),
        }
        .map_err(|error| ContainerError::from_api("connect", error))?;
        let prefix = version.map(|version| format!("/v{version}")).unwrap_or_default();
        Ok(client.with_request_modifier(move |mut request| {
            // It was a URI before, so it still is one.
            if let Ok(uri) = with_version(&request.uri().to_string(), &prefix).parse() {
                *request.uri_mut() = uri;
            }
            request
        }))
    }
}

/// The address with `prefix` before its path, instead of a version that is there already.
fn with_version(uri: &str, prefix: &str) -> String {
    // The path begins at the first slash after the host.
    let host = uri.find("://").map_or(0, |scheme| scheme + 3);
    let (address, path) = uri.split_at(uri[host..].find('/').map_or(uri.len(), |slash| host + slash));
    let is_version =
        |part: &str| part.strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let bare = match path.split('/').nth(1).filter(|part| is_version(part)) {
        Some(version) => &path[1 + version.len()..],
        None => path,
    };
    format!("{address}{prefix}{bare}")
}

/// Which program it is that speaks Docker's API. It is asked only where the two take one field in
/// two senses; everything else is the same code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker, or a program that does not say that it is another one.
    Docker,
    /// Podman's service.
    Podman,
}

impl Kind {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Docker => "Docker",
            Kind::Podman => "Podman",
        }
    }

    fn of(answer: &SystemVersion) -> Kind {
        let parts = answer.components.iter().flatten();
        let is_podman = parts.into_iter().any(|part| part.name.starts_with("Podman"));
        if is_podman { Kind::Podman } else { Kind::Docker }
    }
}

/// A daemon that has answered once.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: bollard::Docker,
    pub(super) kind: Kind,
}

/// A client that speaks the newest version of the API that both sides know.
///
/// Docker 20.10 refuses a version above its own even in the question for its version, and Docker 29
/// one below 1.44, so that question names none.
pub(super) async fn negotiate(address: &Address) -> Result<Connection, ContainerError> {
    let asking = address.client(None)?;
    let answer = error::within(CALL_TIMEOUT, "reading the Docker version", asking.version()).await?;
    let theirs = answer.api_version.as_deref().and_then(parse_version);
    let theirs = theirs.ok_or_else(|| {
        ContainerError::Other(format!(
            "hob does not know the version of Docker's API: {:?}",
            answer.api_version
        ))
    })?;
    let ours = *bollard::API_DEFAULT_VERSION;
    let client = address.client(Some(if theirs < ours { theirs } else { ours }))?;
    Ok(Connection { client, kind: Kind::of(&answer) })
}

fn parse_version(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

/// What the daemon is and what it can enforce, for a report at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Which program it is.
    pub kind: Kind,
    /// The daemon's version.
    pub version: String,
    /// The version of the API that is spoken with it.
    pub api_version: String,
    /// Processors of its machine.
    pub cpus: u64,
    /// Memory of its machine, in bytes.
    pub memory_bytes: u64,
    /// Whether containers live on while the daemon restarts. Without it they end with code 137.
    pub live_restore: bool,
    /// Whether the daemon runs without root.
    pub rootless: bool,
    /// The protections that hob asks for and this daemon cannot give, in words. Docker starts the
    /// container without them all the same.
    pub missing: Vec<String>,
    /// The daemon's own warnings.
    pub warnings: Vec<String>,
}

impl Engine {
    /// What an operator should know before agents run on it, a sentence for each.
    pub fn shortcomings(&self) -> Vec<String> {
        let name = self.kind.name();
        let missing = self.missing.iter().map(|what| format!("{name} does not support {what}"));
        let restart = (!self.live_restore).then(|| {
            format!("{name} ends all containers when it restarts; set \"live-restore\" in its settings")
        });
        let own = self.warnings.iter().map(|warning| format!("{name} warns: {}", warning.trim()));
        missing.chain(restart).chain(own).collect()
    }
}

impl Docker {
    /// Asks the daemon what it is and what it can enforce.
    pub async fn engine(&self) -> Result<Engine, ContainerError> {
        let client = self.client().await?;
        let info = self.call("reading the Docker daemon's information", client.info()).await?;
        let options = info.security_options.unwrap_or_default();
        let has_option =
            |name: &str| options.iter().any(|o| o.split(',').any(|part| part == format!("name={name}")));
        let kind = self.kind().await?;
        // Podman makes no namespace of control groups where they are of version 1. The word about
        // memory comes from its monitor as a file, and Podman 4.3 looks for that in another folder.
        let is_podman = kind == Kind::Podman;
        let is_version_1 = info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_1);
        let protections = [
            ("memory limits", info.memory_limit == Some(true)),
            ("swap limits", info.swap_limit == Some(true)),
            ("process limits", info.pids_limit == Some(true)),
            ("CPU limits", info.cpu_cfs_quota == Some(true)),
            ("system call filters (seccomp)", has_option("seccomp")),
            ("private cgroup namespaces", !(is_podman && is_version_1)),
            ("networks limited to some servers, which a list in checks_network needs", !is_podman),
            ("a separate network for each container, so that containers cannot reach each other", !is_podman),
            (
                "blocking 169.254.169.254, where clouds serve the machine's credentials",
                !is_podman && !asks_link_local_for_names(),
            ),
            ("reliable reports of processes killed for lack of memory", !is_podman),
        ];
        Ok(Engine {
            kind,
            version: info.server_version.unwrap_or_default(),
            api_version: client.client_version().to_string(),
            cpus: info.ncpu.and_then(|n| n.try_into().ok()).unwrap_or(0),
            memory_bytes: info.mem_total.and_then(|n| n.try_into().ok()).unwrap_or(0),
            // Podman's containers have no daemon above them.
            live_restore: kind == Kind::Podman || info.live_restore_enabled == Some(true),
            rootless: has_option("rootless"),
            missing: protections
                .into_iter()
                .filter(|(_, there)| !there)
                .map(|(what, _)| what.to_owned())
                .collect(),
            warnings: info.warnings.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_are_understood_and_others_refused() {
        assert!(matches!("unix:///run/docker.sock".parse(), Ok(Address::Unix(p)) if p == "/run/docker.sock"));
        for text in ["tcp://proxy:2375", "http://proxy:2375/"] {
            assert!(matches!(text.parse(), Ok(Address::Http(u)) if u == "http://proxy:2375"), "{text}");
        }
        for text in [
            "",
            "/run/docker.sock",
            "unix://",
            "unix://docker.sock",
            "tcp://",
            "ssh://host",
            "https://host:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_request_names_one_version() {
        for (uri, wanted) in [
            ("unix://2f72/info", "unix://2f72/v1.41/info"),
            ("http://info:1/info?x=/info", "http://info:1/v1.41/info?x=/info"),
            ("unix://2f72/v1.53/volumes", "unix://2f72/v1.41/volumes"),
            ("unix://2f72/volumes", "unix://2f72/v1.41/volumes"),
        ] {
            assert_eq!(with_version(uri, "/v1.41"), wanted);
        }
        assert_eq!(with_version("http://h:1/v1.53/version", ""), "http://h:1/version");
    }

    #[test]
    fn podman_says_that_it_is_one() {
        let read = |json| Kind::of(&serde_json::from_value(json).unwrap());
        let podman = serde_json::json!({"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]});
        assert_eq!(read(podman), Kind::Podman);
        let docker = serde_json::json!({"Components": [{"Name": "Engine", "Version": "20.10.24"}]});
        assert_eq!((read(docker), read(serde_json::json!({}))), (Kind::Docker, Kind::Docker));
    }

    #[test]
    fn each_shortcoming_is_a_sentence_and_a_good_engine_has_none() {
        let good = Engine {
            kind: Kind::Docker,
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            cpus: 2,
            memory_bytes: 1 << 30,
            live_restore: true,
            rootless: false,
            missing: Vec::new(),
            warnings: Vec::new(),
        };
        assert_eq!(good.shortcomings(), Vec::<String>::new());
        let poor = Engine {
            live_restore: false,
            missing: vec!["swap limits".to_owned()],
            warnings: vec!["WARNING: No blkio weight support\n".to_owned()],
            ..good
        };
        assert_eq!(
            poor.shortcomings(),
            [
                "Docker does not support swap limits",
                "Docker ends all containers when it restarts; set \"live-restore\" in its settings",
                "Docker warns: WARNING: No blkio weight support",
            ]
        );
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("1.41").unwrap() < parse_version("1.100").unwrap());
        assert_eq!(parse_version("one.two"), None);
    }
}
