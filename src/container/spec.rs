//! What a container shall be, and the one place where that becomes Docker's JSON. All hardening is
//! here, and none of it can be turned off by a caller: every field of a `ContainerSpec` only says
//! which, where and how much.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    Mount as ApiMount, MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::{ContainerError, Kind};

/// The length of the scheduler's accounting period, in microseconds; the kernel's own default.
const CPU_PERIOD_US: i64 = 100_000;
/// Processes of a container are killed before hob and the daemon when the machine runs out of
/// memory.
const OOM_SCORE_ADJ: i64 = 500;
/// Processes of the agents' uid on the whole machine. Podman sets 1048576 where nothing is said,
/// and then starts nothing at all if its own limit is lower and it lacks CAP_SYS_RESOURCE. This is
/// the kernel's own number of process ids, so never less than all agents' `pids` limits can use;
/// those are what bounds.
const PODMAN_NPROC: i64 = 32_768;
/// A folder that nothing can be written to.
const PODMAN_EMPTY_FOLDER: &str = "ro,nosuid,nodev,noexec,size=4096";

/// A container to be created.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Its name on the daemon: a letter or digit, then letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// The image; it must be there already.
    pub image: String,
    /// Program and arguments. The image's entry point and command are not used.
    pub command: Vec<String>,
    /// Environment, on top of the image's. Visible to everybody who may speak to the daemon, so
    /// never a secret.
    pub env: Vec<(String, String)>,
    /// Labels, by which it is found again and known as ours.
    pub labels: BTreeMap<String, String>,
    /// Files and folders of the daemon's machine. A source that does not exist is an error.
    pub mounts: Vec<Mount>,
    /// Numeric uid and gid; uid 0 is refused.
    pub user: (u32, u32),
    /// The working directory inside.
    pub workdir: String,
    /// What it can reach.
    pub network: Network,
    /// What it may use up.
    pub limits: Limits,
    /// What becomes of its output.
    pub log: Log,
}

/// A file or folder of the host inside the container.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Absolute path as the daemon sees it.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: String,
    /// Whether it can be written.
    pub read_only: bool,
}

/// What a container can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nothing but itself.
    None,
    /// The internet, by a network that the container has to itself (with Podman: by its default
    /// one); the host answers as `host.docker.internal`.
    Bridge,
    /// A network that the operator made; the host answers as `host.docker.internal`. The host's own
    /// network and that of another container are refused.
    Named(String),
    /// A network that leads nowhere, `Docker::make_inner_network`: what else is on it, and no names
    /// of the world's.
    Inner(String),
    /// Such a network, and one that leads out. For `Docker::run_attached` only.
    Between {
        /// The one that leads out.
        outside: Box<Network>,
        /// The name of the one that leads nowhere.
        inside: String,
    },
}

/// What a container may use up. Docker takes 0 or less for "no limit", so that is refused
/// everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Memory in bytes, with the contents of `/tmp` and `/dev/shm`; no swap on top.
    pub memory_bytes: u64,
    /// Processors; may be more than the machine has.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: i64,
    /// Open files of one process.
    pub nofile: i64,
    /// The size of `/tmp` in bytes.
    pub tmp_bytes: u64,
    /// The size of `/dev/shm` in bytes.
    pub shm_bytes: u64,
}

/// What becomes of a container's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The daemon keeps it for `Docker::follow`.
    Keep {
        /// The size of the daemon's file, in bytes. It holds JSON with a time for each line,
        /// somewhat more than the output itself. When the file is full the daemon **starts it
        /// again**, and what was said so far can no longer be read: choose more than a run is
        /// allowed to say.
        max_bytes: u64,
    },
    /// Nothing is kept; only `Docker::run_attached` sees it.
    None,
}

/// Docker's description of the container.
///
/// `Invalid` for what Docker would take in another sense than hob means it.
pub(super) fn to_create_body(
    spec: &ContainerSpec,
    kind: Kind,
) -> Result<ContainerCreateBody, ContainerError> {
    check(spec)?;
    let (program, arguments) = spec.command.split_first().ok_or_else(|| invalid("the command is empty"))?;
    let (uid, gid) = spec.user;
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        // Given as entry point, or the image's own would run with the command as its arguments.
        entrypoint: Some(vec![program.clone()]),
        cmd: Some(arguments.to_vec()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        user: Some(format!("{uid}:{gid}")),
        working_dir: Some(spec.workdir.clone()),
        tty: Some(false),
        open_stdin: Some(false),
        // The image decides neither about the signal that ends it nor about commands run beside it.
        stop_signal: Some("SIGTERM".to_owned()),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
        host_config: Some(host_config(spec, kind)?),
        ..Default::default()
    })
}

fn host_config(spec: &ContainerSpec, kind: Kind) -> Result<HostConfig, ContainerError> {
    let limits = &spec.limits;
    let memory = bytes("memory", limits.memory_bytes)?;
    let (network, extra_hosts) = network(&spec.network)?;
    let (dns, dns_options) = names(&spec.network).unzip();
    Ok(HostConfig {
        dns,
        dns_options,
        network_mode: Some(network),
        extra_hosts,
        mounts: Some(spec.mounts.iter().map(mount).collect::<Result<_, _>>()?),
        // What the process may do.
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        // Without an init, the agent would be process 1: it would ignore SIGTERM and collect
        // zombies.
        init: Some(true),
        // What it may use up.
        memory: Some(memory),
        // Memory and swap together, hence: no swap.
        memory_swap: Some(memory),
        oom_score_adj: Some(OOM_SCORE_ADJ),
        // Not `NanoCpus`: there the daemon refuses more processors than the machine has.
        cpu_period: Some(CPU_PERIOD_US),
        cpu_quota: Some((limits.cpus * CPU_PERIOD_US as f64) as i64),
        pids_limit: Some(limits.pids),
        ulimits: Some(ulimits(limits, kind)),
        shm_size: Some(bytes("/dev/shm", limits.shm_bytes)?),
        tmpfs: Some(tmpfs(spec, kind)),
        log_config: Some(log_config(spec.log)?),
        // Its end is an outcome, never something to be repaired by the daemon.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        auto_remove: Some(false),
        ..Default::default()
    })
}

/// The owner is what makes `/tmp` writable: runc gives a tmpfs the mode of the image's own `/tmp`,
/// also over `mode=`, and in some images that is 0755. Programs may be run from it, as build tools
/// do.
fn tmpfs(spec: &ContainerSpec, kind: Kind) -> HashMap<String, String> {
    let (uid, gid) = spec.user;
    let options = format!("rw,nosuid,nodev,exec,size={},mode=1777", spec.limits.tmp_bytes);
    match kind {
        Kind::Docker => HashMap::from([("/tmp".to_owned(), format!("{options},uid={uid},gid={gid}"))]),
        // Podman refuses `uid=`; its `U` means the container's user. With a read-only root it lays
        // writable folders without a size over these two, so here they are laid over first.
        Kind::Podman => HashMap::from([
            ("/tmp".to_owned(), format!("{options},U")),
            ("/run".to_owned(), PODMAN_EMPTY_FOLDER.to_owned()),
            ("/var/tmp".to_owned(), PODMAN_EMPTY_FOLDER.to_owned()),
        ]),
    }
}

fn ulimits(limits: &Limits, kind: Kind) -> Vec<ResourcesUlimits> {
    // Core dumps would land in the workspace.
    let mut ulimits = vec![ulimit("nofile", limits.nofile), ulimit("core", 0)];
    if kind == Kind::Podman {
        ulimits.push(ulimit("nproc", PODMAN_NPROC));
    }
    ulimits
}

/// The network's mode and the names to add to `/etc/hosts`.
fn network(network: &Network) -> Result<(String, Option<Vec<String>>), ContainerError> {
    let host_name = || Some(vec!["host.docker.internal:host-gateway".to_owned()]);
    match network {
        Network::None => Ok(("none".to_owned(), None)),
        Network::Bridge => Ok(("bridge".to_owned(), host_name())),
        Network::Named(name) => {
            // Words that Docker reads as modes, some of which end the isolation.
            let is_mode = matches!(name.as_str(), "" | "host" | "none" | "default") || name.contains(':');
            if is_mode {
                return Err(invalid(&format!("`{name}` is not the name of a user-defined network")));
            }
            Ok((name.clone(), host_name()))
        }
        Network::Inner(name) => Ok((name.clone(), None)),
        Network::Between { outside, .. } => match self::network(outside)? {
            (mode, _) if mode == "none" => Err(invalid("it has no network")),
            // The machine has no name in there.
            (mode, _) => Ok((mode, None)),
        },
    }
}

/// Servers for names, and how they are asked: where nothing leads out, none, quickly. Docker would
/// ask those of the machine, which is a way out too.
fn names(network: &Network) -> Option<(Vec<String>, Vec<String>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    matches!(network, Network::Inner(_)).then(|| (words(&["127.0.0.1"]), words(&["timeout:1", "attempts:1"])))
}

fn mount(mount: &Mount) -> Result<ApiMount, ContainerError> {
    let source = mount
        .source
        .to_str()
        .ok_or_else(|| invalid(&format!("the path {} is not UTF-8", mount.source.display())))?;
    Ok(ApiMount {
        // Given as a mount, not as a bind `a:b`: there a missing source would be made, owned by
        // root.
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// What Docker does by itself and Podman does not, which makes up a folder in the place of a source
/// that is missing. Podman's socket and hob are on one machine.
pub(super) fn check_sources(spec: &ContainerSpec, operation: &str) -> Result<(), ContainerError> {
    match spec.mounts.iter().find(|mount| mount.source.symlink_metadata().is_err()) {
        None => Ok(()),
        Some(missing) => Err(ContainerError::Refused {
            status: 400,
            message: format!("{operation}: the source {} does not exist", missing.source.display()),
        }),
    }
}

fn log_config(log: Log) -> Result<HostConfigLogConfig, ContainerError> {
    let (driver, config) = match log {
        Log::None => ("none", HashMap::new()),
        Log::Keep { max_bytes } => {
            let max_size = bytes("the log", max_bytes)?.to_string();
            // One file: following across a rotation to a second one loses lines in Docker 20.10.
            let config = [("max-size", max_size), ("max-file", "1".to_owned())];
            ("json-file", config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        }
    };
    Ok(HostConfigLogConfig { typ: Some(driver.to_owned()), config: Some(config) })
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

fn check(spec: &ContainerSpec) -> Result<(), ContainerError> {
    let mut letters = spec.name.chars();
    let name_is_fine = letters.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && spec.name.len() >= 2
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !name_is_fine {
        return Err(invalid(&format!("`{}` is not a valid container name", spec.name)));
    }
    if spec.user.0 == 0 {
        return Err(invalid("it would run as root"));
    }
    for (name, value) in &spec.env {
        if name.is_empty() || name.contains('=') || name.contains('\0') || value.contains('\0') {
            return Err(invalid(&format!("`{name}` is not a valid name of an environment variable")));
        }
    }
    let limits = &spec.limits;
    // A quota below a millisecond of each period is refused by the kernel.
    if !(limits.cpus.is_finite() && limits.cpus >= 0.01) {
        return Err(invalid(&format!("{} processors are not a valid limit", limits.cpus)));
    }
    if limits.pids <= 0 || limits.nofile <= 0 {
        return Err(invalid("the limits of processes and open files must be above 0"));
    }
    bytes("/tmp", limits.tmp_bytes)?;
    Ok(())
}

/// A size as Docker wants it.
fn bytes(what: &str, size: u64) -> Result<i64, ContainerError> {
    match i64::try_from(size) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(invalid(&format!("{size} bytes are not a valid size for {what}"))),
    }
}

fn invalid(reason: &str) -> ContainerError {
    ContainerError::Invalid(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        ContainerSpec {
            name: "hob-run-1".to_owned(),
            image: "hob-claude:latest".to_owned(),
            command: ["claude", "-p", "two words"].map(str::to_owned).to_vec(),
            env: vec![("HOME".to_owned(), "/home/agent".to_owned()), ("EMPTY".to_owned(), String::new())],
            labels: BTreeMap::from([("hob.run".to_owned(), "1".to_owned())]),
            mounts: vec![
                Mount { source: "/data/w".into(), target: "/workspace".to_owned(), read_only: false },
                Mount { source: "/data/m".into(), target: "/data/m".to_owned(), read_only: true },
            ],
            user: (10_001, 10_002),
            workdir: "/workspace".to_owned(),
            network: Network::Bridge,
            limits: Limits {
                memory_bytes: 4 << 30,
                cpus: 1.5,
                pids: 1024,
                nofile: 65_536,
                tmp_bytes: 1 << 30,
                shm_bytes: 64 << 20,
            },
            log: Log::Keep { max_bytes: 256 << 20 },
        }
    }

    fn host(spec: &ContainerSpec) -> HostConfig {
        to_create_body(spec, Kind::Docker).unwrap().host_config.unwrap()
    }

    /// The whole JSON, so that no change to the hardening goes unseen in review.
    #[test]
    fn the_json_is_the_one_agreed_on() {
        let wanted: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/container-golden.json")).unwrap();
        let got = serde_json::to_value(to_create_body(&spec(), Kind::Docker).unwrap()).unwrap();
        assert_eq!(got, wanted, "now:\n{got:#}");
    }

    /// What Podman is told otherwise, and that nothing else is.
    #[test]
    fn podman_is_told_the_same_but_for_two_fields() {
        let mut wanted: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/container-golden.json")).unwrap();
        let host = &mut wanted["HostConfig"];
        host["Tmpfs"] = serde_json::json!({
            "/tmp": "rw,nosuid,nodev,exec,size=1073741824,mode=1777,U",
            "/run": "ro,nosuid,nodev,noexec,size=4096",
            "/var/tmp": "ro,nosuid,nodev,noexec,size=4096",
        });
        let nproc = serde_json::json!({"Name": "nproc", "Soft": 32768, "Hard": 32768});
        host["Ulimits"].as_array_mut().unwrap().push(nproc);
        let got = serde_json::to_value(to_create_body(&spec(), Kind::Podman).unwrap()).unwrap();
        assert_eq!(got, wanted, "now:\n{got:#}");
    }

    #[test]
    fn without_a_network_there_is_no_way_to_the_host() {
        let host = host(&ContainerSpec { network: Network::None, ..spec() });
        assert_eq!((host.network_mode.as_deref(), host.extra_hosts), (Some("none"), None));
    }

    #[test]
    fn a_network_that_is_none_of_its_own_is_refused() {
        for name in ["host", "container:other", "none", "default", "", "ns:/proc/1/ns/net"] {
            let spec = ContainerSpec { network: Network::Named(name.to_owned()), ..spec() };
            assert!(
                matches!(to_create_body(&spec, Kind::Docker), Err(ContainerError::Invalid(_))),
                "{name:?}"
            );
        }
        let named = host(&ContainerSpec { network: Network::Named("agents".to_owned()), ..spec() });
        assert_eq!(named.network_mode.as_deref(), Some("agents"));
    }

    /// Docker takes 0 and -1 for "unlimited".
    #[test]
    fn a_limit_that_docker_would_not_apply_is_refused() {
        let changes: [fn(&mut Limits); 10] = [
            |l| l.memory_bytes = 0,
            |l| l.memory_bytes = u64::MAX,
            |l| l.cpus = 0.0,
            |l| l.cpus = f64::NAN,
            |l| l.cpus = f64::INFINITY,
            |l| l.pids = 0,
            |l| l.pids = -1,
            |l| l.nofile = -1,
            |l| l.tmp_bytes = 0,
            |l| l.shm_bytes = 0,
        ];
        for change in changes {
            let mut spec = spec();
            change(&mut spec.limits);
            assert!(
                matches!(to_create_body(&spec, Kind::Docker), Err(ContainerError::Invalid(_))),
                "{:?}",
                spec.limits
            );
        }
        let unbounded = ContainerSpec { log: Log::Keep { max_bytes: 0 }, ..spec() };
        assert!(matches!(to_create_body(&unbounded, Kind::Docker), Err(ContainerError::Invalid(_))));
    }

    #[test]
    fn what_would_mean_something_else_to_docker_is_refused() {
        let wrong = [
            ContainerSpec { user: (0, 1000), ..spec() },
            ContainerSpec { command: Vec::new(), ..spec() },
            ContainerSpec { env: vec![("A=B".to_owned(), "c".to_owned())], ..spec() },
            ContainerSpec { name: "../other".to_owned(), ..spec() },
            ContainerSpec { name: "-x".to_owned(), ..spec() },
            ContainerSpec { name: "x".to_owned(), ..spec() },
        ];
        for spec in wrong {
            assert!(
                matches!(to_create_body(&spec, Kind::Docker), Err(ContainerError::Invalid(_))),
                "{spec:?}"
            );
        }
    }
}
