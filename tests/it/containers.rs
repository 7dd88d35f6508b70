//! The container floor against a real daemon, Docker's or (deploy/podman.sh) Podman's: what it
//! promises about names, ends, output and walls. The image needs `sh`, coreutils and `setsid`;
//! `HOB_TEST_IMAGE` names another one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use hob::container::{
    AttachLimits, AttachedEnd, ContainerError, ContainerSpec, Docker, Ensured, Exit, Kind, Limits, Log,
    Mount, Network, Output, State,
};
use sha2::Digest;

use super::world::docker_address;

/// Nothing in these tests takes longer on a busy machine with two processors.
const DEADLINE: Duration = Duration::from_secs(90);
const UID: u32 = 10_001;

fn image() -> String {
    std::env::var("HOB_TEST_IMAGE").unwrap_or_else(|_| "hob-test-agent:latest".to_owned())
}

fn docker() -> Docker {
    Docker::connect(&docker_address()).unwrap()
}

/// A container of one test, gone when the test is, however it ends.
struct Case {
    docker: Docker,
    spec: ContainerSpec,
}

impl Case {
    fn new(test: &str, script: &str) -> Case {
        let name = format!("hob-it-{}-{test}", std::process::id());
        let spec = ContainerSpec {
            labels: BTreeMap::from([("hob.it".to_owned(), name.clone())]),
            name,
            image: image(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![("HOME".to_owned(), "/tmp".to_owned())],
            mounts: Vec::new(),
            user: (UID, UID),
            workdir: "/".to_owned(),
            network: Network::None,
            limits: Limits {
                memory_bytes: 128 << 20,
                cpus: 2.0,
                pids: 64,
                nofile: 1024,
                tmp_bytes: 16 << 20,
                shm_bytes: 1 << 20,
            },
            log: Log::Keep { max_bytes: 64 << 20 },
        };
        Case { docker: docker(), spec }
    }

    fn with(mut self, change: impl FnOnce(&mut ContainerSpec)) -> Case {
        change(&mut self.spec);
        self
    }

    fn name(&self) -> &str {
        &self.spec.name
    }

    /// Created and started.
    async fn started(self) -> Case {
        assert_eq!(self.docker.ensure(&self.spec).await.unwrap(), Ensured::Created);
        self.docker.start(self.name()).await.unwrap();
        self
    }

    async fn exit(&self) -> Exit {
        tokio::time::timeout(DEADLINE, self.docker.wait(self.name())).await.unwrap().unwrap()
    }

    /// Waits until it is removed, which nobody else waits for.
    async fn is_removed(&self) {
        let deadline = Instant::now() + DEADLINE;
        while self.state().await.is_some() {
            assert!(Instant::now() < deadline, "it still exists");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn state(&self) -> Option<State> {
        self.docker.state(self.name()).await.unwrap()
    }

    /// Its whole output, standard output and standard error, once it has ended.
    async fn output(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut pieces = self.docker.follow(self.name());
        while let Some(piece) = tokio::time::timeout(DEADLINE, pieces.next()).await.unwrap() {
            match piece.unwrap() {
                Output::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                Output::Stderr(bytes) => stderr.extend_from_slice(&bytes),
            }
        }
        (stdout, stderr)
    }

    async fn stdout(&self) -> String {
        String::from_utf8(self.output().await.0).unwrap()
    }

    /// Waits until it has said this word on standard output; tells what it has said.
    async fn says(&self, word: &str) -> String {
        let mut said = Vec::new();
        let mut pieces = self.docker.follow(self.name());
        while let Some(piece) = tokio::time::timeout(DEADLINE, pieces.next()).await.unwrap() {
            if let Output::Stdout(bytes) = piece.unwrap() {
                said.extend_from_slice(&bytes);
            }
            if String::from_utf8_lossy(&said).contains(word) {
                return String::from_utf8_lossy(&said).into_owned();
            }
        }
        panic!("it ended without saying {word}: {}", String::from_utf8_lossy(&said));
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let name = self.spec.name.clone();
        // On a thread and a runtime of its own: the test's runtime is in the middle of this drop.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(docker().remove(&name)).unwrap();
        });
        assert!(removal.join().is_ok() || std::thread::panicking(), "container not removed");
    }
}

/// How many processes of this machine have this word among their arguments.
fn processes_named(word: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    arguments.filter(|line| line.split(|b| *b == 0).any(|argument| argument == word.as_bytes())).count()
}

fn limits(max_stdout_bytes: u64, timeout: Duration) -> AttachLimits {
    AttachLimits { max_stdout_bytes, max_stderr_bytes: 1000, timeout }
}

#[tokio::test]
async fn a_name_is_given_once() {
    let case = Case::new("once", "exit 0");
    assert_eq!(case.state().await, None);
    assert_eq!(case.docker.ensure(&case.spec).await.unwrap(), Ensured::Created);
    assert_eq!(case.docker.ensure(&case.spec).await.unwrap(), Ensured::Existed(State::Created));

    let mut stranger = case.spec.clone();
    stranger.labels = BTreeMap::from([("hob.it".to_owned(), "another hob's".to_owned())]);
    assert!(
        matches!(case.docker.ensure(&stranger).await, Err(ContainerError::NameTaken(name)) if name == case.name())
    );
}

#[tokio::test]
async fn the_command_runs_once_and_its_exit_code_is_no_error() {
    let case = Case::new("code", "echo ran; exit 3").started().await;
    let exit = case.exit().await;
    assert_eq!((exit.code, exit.oom_killed, exit.finished_at.is_some()), (3, false, true));

    case.docker.start(case.name()).await.unwrap();
    assert_eq!(case.state().await, Some(State::Exited(exit.clone())));
    assert_eq!(case.docker.ensure(&case.spec).await.unwrap(), Ensured::Existed(State::Exited(exit)));
    assert_eq!(case.stdout().await, "ran\n");
}

#[tokio::test]
async fn a_command_that_is_not_there_ends_as_in_a_shell() {
    let case = Case::new("nocommand", "").with(|spec| spec.command = vec!["/no/such/program".to_owned()]);
    // It can be started all the same, since what is started is the init: Docker's says 127,
    // Podman's 1.
    let case = case.started().await;
    let code = match case.docker.engine().await.unwrap().kind {
        Kind::Docker => 127,
        Kind::Podman => 1,
    };
    assert_eq!(case.exit().await.code, code);
}

#[tokio::test]
async fn want_of_memory_is_told_from_other_ends() {
    let case = Case::new("memory", "head -c 500m /dev/zero | tail; exit 7").started().await;
    let exit = case.exit().await;
    let missing = case.docker.engine().await.unwrap().missing;
    let is_told = !missing.iter().any(|what| what.contains("lack of memory"));
    assert_eq!(exit.code, 7);
    assert!(exit.oom_killed || !is_told, "{exit:?}");
}

#[tokio::test]
async fn output_arrives_whole_and_again_the_same() {
    let script = r"head -c 5000000 /dev/zero | tr '\0' x; printf '\n\377\376ok\nlast'; printf 'a\nb\n' >&2";
    let case = Case::new("output", script).started().await;
    let (stdout, stderr) = case.output().await;
    let (line, rest) = stdout.split_at(5_000_000);
    assert!(line.iter().all(|b| *b == b'x'));
    // As the log has it, which is text.
    assert_eq!(String::from_utf8_lossy(rest), "\n\u{fffd}\u{fffd}ok\nlast");
    assert_eq!(stderr, b"a\nb\n");

    assert_eq!(case.exit().await.code, 0);
    let again = case.output().await;
    assert!(again == (stdout, stderr), "the second reading differs");
}

#[tokio::test]
async fn a_log_that_is_full_starts_anew_and_stays_small() {
    let case = Case::new("full", "seq 1 100000").with(|spec| spec.log = Log::Keep { max_bytes: 100_000 });
    let case = case.started().await;
    assert_eq!(case.exit().await.code, 0);
    let kept = case.stdout().await;
    assert!(kept.len() < 100_000 && kept.ends_with("\n100000\n"), "{} bytes kept", kept.len());
}

#[tokio::test]
async fn following_a_container_that_is_not_there_is_an_error() {
    let case = Case::new("nofollow", "exit 0");
    let first = case.docker.follow(case.name()).next().await;
    assert!(matches!(first, Some(Err(ContainerError::NoContainer(_)))), "{first:?}");
    assert!(matches!(case.docker.wait(case.name()).await, Err(ContainerError::NoContainer(_))));
    assert!(matches!(case.docker.start(case.name()).await, Err(ContainerError::NoContainer(_))));
}

#[tokio::test]
async fn stopping_ends_everything_that_was_started() {
    let word = format!("hob-it-{}-stubborn", std::process::id());
    let stubborn = r#"trap "" TERM; echo ready; while :; do sleep 1; done"#;
    let script = format!("trap '' TERM; setsid sh -c '{stubborn}' {word} & while :; do sleep 1; done");
    let case = Case::new("stop", &script).started().await;
    case.says("ready").await;
    assert!(processes_named(&word) >= 1);
    assert!(matches!(case.state().await, Some(State::Running { started_at: Some(_) })));

    case.docker.stop(case.name(), Duration::from_secs(1)).await.unwrap();
    let Some(State::Exited(exit)) = case.state().await else { panic!("it runs") };
    assert_eq!((exit.code, processes_named(&word)), (137, 0));
    // Again, and of one that is gone.
    case.docker.stop(case.name(), Duration::from_secs(1)).await.unwrap();
    case.docker.remove(case.name()).await.unwrap();
    case.docker.stop(case.name(), Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_process_that_listens_ends_within_the_grace() {
    let case =
        Case::new("term", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done").started().await;
    case.says("ready").await;
    case.docker.stop(case.name(), DEADLINE).await.unwrap();
    assert_eq!(case.exit().await.code, 9);
}

#[tokio::test]
async fn removing_may_be_done_twice_and_by_two_at_once() {
    let case = Case::new("remove", "sleep 1000").started().await;
    let (one, two) = tokio::join!(case.docker.remove(case.name()), case.docker.remove(case.name()));
    one.unwrap();
    two.unwrap();
    assert_eq!(case.state().await, None);
    case.docker.remove(case.name()).await.unwrap();
}

#[tokio::test]
async fn inside_there_is_little_to_be_had() {
    let script = r#"
        id -u; id -g
        grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\t' ' '
        for place in / /etc /usr /run /tmp /var/tmp /dev/shm /ro /rw; do
            (echo x > "$place/written") 2>/dev/null && echo "$place can be written"
        done
        printf '#!/bin/sh\necho /tmp can be run from\n' > /tmp/program && chmod +x /tmp/program && /tmp/program
        echo nofile $(ulimit -n) core $(ulimit -c)
        echo $(ls /sys/class/net)
        echo $ZEBRA
        pwd"#;
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(UID), Some(UID)).unwrap();
    let case = Case::new("walls", script).with(|spec| {
        let mount = |target: &str, read_only| Mount {
            source: folder.path().to_owned(),
            target: target.to_owned(),
            read_only,
        };
        spec.mounts = vec![mount("/ro", true), mount("/rw", false)];
        spec.env.push(("ZEBRA".to_owned(), "stripes = $HOME".to_owned()));
        spec.workdir = "/rw".to_owned();
    });
    let case = case.started().await;
    let expected = "10001\n10001\n\
        CapBnd: 0000000000000000\nCapEff: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n\
        /tmp can be written\n/dev/shm can be written\n/rw can be written\n/tmp can be run from\n\
        nofile 1024 core 0\nlo\nstripes = $HOME\n/rw\n";
    let mut got: Vec<_> = case.stdout().await.lines().map(str::to_owned).collect();
    // The order of the kernel's own lines is its own.
    got[2..6].sort();
    assert_eq!(got.join("\n") + "\n", expected);
    assert_eq!(std::fs::read_to_string(folder.path().join("written")).unwrap(), "x\n");
}

#[tokio::test]
async fn tmp_is_as_large_as_it_was_made() {
    let case = Case::new(
        "tmp",
        "head -c 100m /dev/zero > /tmp/large; stat -c %s /tmp/large; df -k --output=size /tmp | tail -1",
    );
    let case = case.started().await;
    let sizes: Vec<u64> = case.stdout().await.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(sizes, [16 << 20, 16 << 10]);
}

#[tokio::test]
async fn a_fork_bomb_stays_small_and_can_be_stopped() {
    let script = "b() { b & b & }; b & echo ready; while :; do :; done";
    // Not the container's name, which is among the arguments of Podman's monitor.
    let word = format!("hob-it-{}-fork-bomb", std::process::id());
    let case = Case::new("bomb", script).with(|spec| {
        spec.command.push(word.clone());
        spec.limits.pids = 20;
        spec.limits.cpus = 0.5;
    });
    let case = case.started().await;
    case.says("ready").await;
    let mut most = 0;
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        most = most.max(processes_named(&word));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The shells and the init that carries their arguments.
    assert!((1..=20).contains(&most), "{most} processes");
    case.docker.stop(case.name(), Duration::ZERO).await.unwrap();
    assert_eq!(processes_named(&word), 0);
}

#[tokio::test]
async fn on_a_network_the_host_has_a_name() {
    let case =
        Case::new("host", "cat /etc/hosts; ls /sys/class/net").with(|spec| spec.network = Network::Bridge);
    let said = case.started().await.stdout().await;
    assert!(said.contains("\thost.docker.internal\n") && said.contains("eth0"), "{said}");
}

#[tokio::test]
async fn a_container_on_the_internet_meets_no_other_and_not_the_clouds_metadata() {
    let shows = "cat /proc/net/route; hostname -I; echo shown; sleep 1000";
    let one = Case::new("one", shows).with(|spec| spec.network = Network::Bridge).started().await;
    if one.docker.engine().await.unwrap().kind != Kind::Docker {
        return;
    }
    let shown = one.says("shown").await;
    // The whole of 169.254.0.0/16 is on a network that leads nowhere.
    assert!(shown.lines().any(|line| line.starts_with("eth1\t0000FEA9\t00000000\t")), "{shown}");
    let addresses = shown.lines().rev().nth(1).unwrap().trim().to_owned();
    assert_eq!(addresses.split(' ').count(), 2, "{addresses}");
    let script = format!(
        "for a in {addresses} 169.254.169.254; do timeout 2 bash -c \"exec 3<>/dev/tcp/$a/80\" 2>/dev/null; echo $?; done"
    );
    let other = Case::new("other", &script).with(|spec| spec.network = Network::Bridge).started().await;
    // None is there for it: 1 would be an answer, if only that nothing listens.
    assert_eq!(other.stdout().await, "124\n124\n124\n");
    // Neither has a network that would have to be removed with it.
    for case in [&one, &other] {
        case.docker.remove(case.name()).await.unwrap();
        assert_eq!(case.docker.list_networks(("hob.it", case.name())).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_attached_container_gives_its_bytes_exactly() {
    let script =
        "head -c 1000000 /dev/urandom > /tmp/r; sha256sum /tmp/r | cut -c1-64 >&2; cat /tmp/r; exit 4";
    let case = Case::new("bytes", script).with(|spec| spec.log = Log::None);
    let mut bytes = Vec::new();
    let attached =
        case.docker.run_attached(&case.spec, &mut bytes, limits(1_000_000, DEADLINE)).await.unwrap();
    assert!(matches!(&attached.end, AttachedEnd::Exited(exit) if exit.code == 4), "{attached:?}");
    assert_eq!(
        (bytes.len(), attached.stdout_bytes, attached.stderr_truncated),
        (1_000_000, 1_000_000, false)
    );
    assert_eq!(hex::encode(sha2::Sha256::digest(&bytes)) + "\n", String::from_utf8(attached.stderr).unwrap());
    case.is_removed().await;
}

#[tokio::test]
async fn an_attached_container_that_says_too_much_is_ended() {
    let case = Case::new("much", "cat /dev/zero").with(|spec| spec.log = Log::None);
    let mut bytes = Vec::new();
    let attached = case.docker.run_attached(&case.spec, &mut bytes, limits(70_000, DEADLINE)).await.unwrap();
    assert_eq!(
        (attached.end, attached.stdout_bytes, bytes.len()),
        (AttachedEnd::TooMuchOutput, 70_000, 70_000)
    );
    assert_eq!(case.state().await, None);
}

#[tokio::test]
async fn an_attached_container_may_complain_without_end_but_only_the_beginning_is_kept() {
    // Alone: the order of the two streams against each other is not kept.
    let case = Case::new("complaints", "yes stderr | head -c 5000 >&2").with(|spec| spec.log = Log::None);
    let mut bytes = Vec::new();
    let attached = case.docker.run_attached(&case.spec, &mut bytes, limits(70_000, DEADLINE)).await.unwrap();
    assert!(matches!(attached.end, AttachedEnd::Exited(_)), "{attached:?}");
    assert_eq!((attached.stderr.len(), attached.stderr_truncated), (1000, true));
    case.is_removed().await;
}

#[tokio::test]
async fn an_attached_container_that_takes_too_long_is_ended() {
    let case = Case::new("long", "echo begun; sleep 1000").with(|spec| spec.log = Log::None);
    let mut bytes = Vec::new();
    let attached =
        case.docker.run_attached(&case.spec, &mut bytes, limits(10, Duration::from_secs(5))).await.unwrap();
    assert_eq!((attached.end, bytes.as_slice()), (AttachedEnd::TimedOut, &b"begun\n"[..]));
    assert_eq!(case.state().await, None);
}

#[tokio::test]
async fn what_an_earlier_attempt_left_is_in_nobodys_way() {
    let case = Case::new("again", "echo fresh").with(|spec| spec.log = Log::None);
    let earlier = ContainerSpec { command: vec!["sleep".to_owned(), "1000".to_owned()], ..case.spec.clone() };
    case.docker.ensure(&earlier).await.unwrap();
    case.docker.start(case.name()).await.unwrap();
    let mut bytes = Vec::new();
    case.docker.run_attached(&case.spec, &mut bytes, limits(10, DEADLINE)).await.unwrap();
    assert_eq!(bytes, b"fresh\n");
    case.is_removed().await;

    let mut strangers = case.spec.clone();
    strangers.labels = BTreeMap::from([("hob.it".to_owned(), "another hob's".to_owned())]);
    case.docker.ensure(&strangers).await.unwrap();
    let refused = case.docker.run_attached(&case.spec, &mut bytes, limits(10, DEADLINE)).await;
    assert!(matches!(refused, Err(ContainerError::NameTaken(_))), "{refused:?}");
    assert_eq!(case.state().await, Some(State::Created));
}

/// Tells the test that the container runs.
struct Bell(Option<tokio::sync::oneshot::Sender<()>>);

impl std::io::Write for Bell {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(bell) = self.0.take() {
            let _ = bell.send(());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_attached_container_is_removed_when_nobody_waits_for_it_any_more() {
    let case = Case::new("dropped", "echo begun; sleep 1000").with(|spec| spec.log = Log::None);
    let (bell, rung) = tokio::sync::oneshot::channel();
    let mut bell = Bell(Some(bell));
    tokio::select! {
        ended = case.docker.run_attached(&case.spec, &mut bell, limits(10, DEADLINE)) => panic!("{ended:?}"),
        rung = rung => rung.unwrap(),
    }
    case.is_removed().await;
}

#[test]
fn what_is_removed_of_one_attempt_is_nothing_of_the_next() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (one, next) = (runtime(), runtime());
    let case = Case::new("next", "echo begun; sleep 2; echo ended").with(|spec| spec.log = Log::None);
    let spec = &case.spec;
    // As a worker that has lost its task is dropped, and another has it at once. What the first
    // leaves to be removed is its runtime's to do, which stands still from here.
    one.block_on(async {
        let (docker, (bell, rung)) = (docker(), tokio::sync::oneshot::channel());
        let mut bell = Bell(Some(bell));
        tokio::select! {
            ended = docker.run_attached(spec, &mut bell, limits(100, DEADLINE)) => panic!("{ended:?}"),
            rung = rung => rung.unwrap(),
        }
    });
    let (bell, rung) = tokio::sync::oneshot::channel();
    let ended = std::thread::scope(|threads| {
        let running = threads.spawn(move || {
            next.block_on(docker().run_attached(spec, &mut Bell(Some(bell)), limits(100, DEADLINE)))
        });
        rung.blocking_recv().unwrap();
        one.block_on(async {
            while !running.is_finished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        running.join().unwrap()
    });
    let attached = ended.unwrap();
    assert!(matches!(&attached.end, AttachedEnd::Exited(exit) if exit.code == 0), "{attached:?}");
    assert_eq!(attached.stdout_bytes, 12, "its whole output");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let image = "hob-no-such-image:latest";
    let case = Case::new("noimage", "exit 0").with(|spec| spec.image = image.to_owned());
    assert!(
        matches!(case.docker.ensure(&case.spec).await, Err(ContainerError::NoImage(name)) if name == image)
    );
    assert!(!case.docker.has_image(image).await.unwrap());
    assert!(case.docker.has_image(&self::image()).await.unwrap());
}

#[tokio::test]
async fn a_mount_whose_source_is_missing_is_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let case = Case::new("nomount", "exit 0").with(|spec| {
        spec.mounts = vec![Mount { source: missing.clone(), target: "/m".to_owned(), read_only: false }];
    });
    let refused = case.docker.ensure(&case.spec).await;
    assert!(
        matches!(&refused, Err(ContainerError::Refused { status: 400, message }) if message.contains("missing")),
        "{refused:?}"
    );
    assert_eq!((case.state().await, Path::new(&missing).exists()), (None, false));
}

#[tokio::test]
async fn containers_are_found_by_their_label() {
    let case = Case::new("list", "exit 5").started().await;
    let exit = case.exit().await;
    let label = case.name().to_owned();
    let listed = case.docker.list(("hob.it", &label)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), &listed[0].state), (case.name(), &State::Exited(exit)));
    assert_eq!(listed[0].labels.get("hob.it"), Some(&label));
    assert!(case.docker.list(("hob.it", "nobody's")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_daemon_that_is_away_is_told_from_one_that_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("dead.sock");
    // A socket file with nobody behind it, as a daemon that was killed leaves.
    drop(std::os::unix::net::UnixListener::bind(&silent).unwrap());
    let addresses = [
        "unix:///no/such.sock".to_owned(),
        format!("unix://{}", silent.display()),
        "tcp://127.0.0.1:1".to_owned(),
    ];
    for address in addresses {
        let docker = Docker::connect(&address).unwrap();
        let answer = docker.ping().await;
        assert!(matches!(answer, Err(ContainerError::Unreachable(_))), "{address}: {answer:?}");
        let answer = docker.follow("anything").next().await;
        assert!(matches!(answer, Some(Err(ContainerError::Unreachable(_)))), "{address}: {answer:?}");
    }
    assert!(Docker::connect("/var/run/docker.sock").is_err());
}

#[tokio::test]
async fn the_daemon_can_enforce_what_hob_asks_for() {
    let docker = docker();
    docker.ping().await.unwrap();
    let engine = docker.engine().await.unwrap();
    assert!(engine.cpus > 0 && engine.memory_bytes > 0, "{engine:?}");
    assert!(!engine.version.is_empty() && engine.api_version.starts_with("1."), "{engine:?}");
    // The other tests rely on these. What Podman lacks on an old kernel interface is known, and no
    // more.
    let known: &[&str] = match engine.kind {
        Kind::Docker => &[],
        Kind::Podman => &["cgroup", "lack of memory", "some servers"],
    };
    let is_known = |what: &String| known.iter().any(|word| what.contains(word));
    assert!(engine.missing.iter().all(is_known), "{engine:?}");
}

#[tokio::test]
async fn a_network_that_leads_nowhere_is_made_where_it_keeps_the_machine_out_and_nowhere_else() {
    let docker = docker();
    let name = format!("hob-it-{}-inner", std::process::id());
    let labels = BTreeMap::from([("hob.it".to_owned(), name.clone())]);
    let made = docker.make_inner_network(&name, &labels).await;
    let left = docker.list_networks(("hob.it", &name)).await.unwrap();
    docker.remove_network(&name).await.unwrap();
    match docker.engine().await.unwrap().kind {
        Kind::Docker => assert!(made.is_ok() && left.len() == 1, "{made:?} {left:?}"),
        // hob does not run what it could not keep in.
        Kind::Podman => {
            assert!(matches!(made, Err(ContainerError::Invalid(_))) && left.is_empty(), "{made:?} {left:?}")
        }
    }
}

/// A daemon that says what the test wants, for what the real one does only now and then.
async fn scripted_daemon(states: [&'static str; 2], logs: [&'static str; 2]) -> Docker {
    use axum::extract::State as Shared;
    use axum::routing::get;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Standard output in the frames of Docker's protocol, two bytes each.
    fn framed(text: &str) -> Vec<u8> {
        let frames =
            text.as_bytes().chunks(2).map(|part| [&[1, 0, 0, 0, 0, 0, 0, part.len() as u8], part].concat());
        frames.collect::<Vec<_>>().concat()
    }
    // The container is in its second state once its log has been read.
    let reads = Arc::new(AtomicUsize::new(0));
    let inspect = move |Shared(reads): Shared<Arc<AtomicUsize>>| async move {
        let status = states[reads.load(Ordering::SeqCst).min(1)];
        axum::Json(serde_json::json!({
            "State": {"Status": status, "Running": status == "running", "ExitCode": 0},
        }))
    };
    let log = move |Shared(reads): Shared<Arc<AtomicUsize>>| async move {
        framed(logs[reads.fetch_add(1, Ordering::SeqCst).min(1)])
    };
    let app = axum::Router::new()
        .route("/version", get(|| async { axum::Json(serde_json::json!({"ApiVersion": "1.41"})) }))
        .route("/v1.41/containers/x/json", get(inspect))
        .route("/v1.41/containers/x/logs", get(log))
        .route("/v1.41/containers/x/wait", axum::routing::post(|| async { r#"{"StatusCode":0}"# }))
        .with_state(reads);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Docker::connect(&address).unwrap()
}

/// A daemon for which a name is taken by a container that cannot be looked at yet, so many times.
async fn daemon_that_makes_another(times: usize) -> Docker {
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use std::sync::atomic::{AtomicUsize, Ordering};

    let asked = AtomicUsize::new(0);
    let answer = move || match asked.fetch_add(1, Ordering::SeqCst) < times {
        true => {
            (StatusCode::CONFLICT, axum::Json(serde_json::json!({"message": "the name is already in use"})))
        }
        false => (StatusCode::CREATED, axum::Json(serde_json::json!({"Id": "new", "Warnings": []}))),
    };
    let answer = std::sync::Arc::new(answer);
    let nobody = || async { (StatusCode::NOT_FOUND, axum::Json(serde_json::json!({"message": "none"}))) };
    let app = axum::Router::new()
        .route("/version", get(|| async { axum::Json(serde_json::json!({"ApiVersion": "1.41"})) }))
        .route("/v1.41/containers/create", post(move || async move { answer() }))
        .route("/v1.41/containers/{name}/json", get(nobody));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Docker::connect(&address).unwrap()
}

#[tokio::test]
async fn a_name_that_is_taken_by_what_is_only_being_made_is_waited_for() {
    let spec = Case::new("being-made", "true").spec.clone();
    let docker = daemon_that_makes_another(3).await;
    assert_eq!(docker.ensure(&spec).await.unwrap(), Ensured::Created);
}

/// The text that came, and the error that ended it.
async fn read_all(docker: &Docker) -> (String, Option<ContainerError>) {
    let mut text = String::new();
    let mut pieces = docker.follow("x");
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(Output::Stdout(bytes) | Output::Stderr(bytes)) => {
                text.push_str(std::str::from_utf8(&bytes).unwrap())
            }
            Err(error) => {
                assert!(pieces.next().await.is_none(), "it goes on after an error");
                return (text, Some(error));
            }
        }
    }
    (text, None)
}

#[tokio::test]
async fn a_log_that_ended_before_its_last_line_is_read_to_the_end() {
    let docker = scripted_daemon(["running", "exited"], ["one\ntw", "one\ntwo\nthree\n"]).await;
    let read = read_all(&docker).await;
    assert!(matches!(&read, (text, None) if text == "one\ntwo\nthree\n"), "{read:?}");
    let docker = scripted_daemon(["running", "exited"], ["one\n", "one\n"]).await;
    let read = read_all(&docker).await;
    assert!(matches!(&read, (text, None) if text == "one\n"), "{read:?}");
}

#[tokio::test]
async fn a_log_that_ends_while_the_container_runs_is_no_end() {
    let docker = scripted_daemon(["running", "running"], ["one\n", "never read"]).await;
    let (text, error) = read_all(&docker).await;
    assert_eq!(text, "one\n");
    assert!(matches!(error, Some(ContainerError::Unreachable(_))), "{error:?}");
}
