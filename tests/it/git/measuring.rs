//! What a checkout costs, git's in a container against libgit2's on the host, which hob made
//! before. A measurement and no test:
//!
//! ```sh
//! cargo test --features fail-points --test it -- --ignored --nocapture git::measuring
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;
use std::time::{Duration, Instant};

use super::world::*;
use hob::container::{AttachLimits, ContainerSpec, Docker, Limits, Log, Mount, Network};
use hob::git::{NewWorkspace, lay_out};

const USER: (u32, u32) = (10_001, 10_001);
const ROUNDS: usize = 7;

/// As `src/work/checkout.rs` has it.
const SCRIPT: &str = "export HOME=/tmp; git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c checkout.workers=2 \
                      -c filter.lfs.process= -c filter.lfs.smudge= -c filter.lfs.required=false read-tree --reset -u HEAD";

#[tokio::test]
#[ignore = "a measurement"]
async fn a_checkout_of_300_and_of_3000_files() {
    for files in [300, 3000] {
        let world = World::new();
        for n in 0..files {
            // As large as source files are, and not the same.
            let text: String = (0..200).map(|line| format!("{n} {} {line}\n", n * line)).collect();
            world.write(&format!("d{}/e{}/f{n}.txt", n % 40, n % 300), &text);
        }
        world.commit_all("many");
        git(&world.work, &["push", "-q", "origin", "main"]);
        let (mirror, start) = (world.mirror(), world.sha("main"));
        let path = world.dir.path().join("workspace");
        let new = NewWorkspace {
            path: &path,
            branch: "story",
            start: &start,
            base_branch: "main",
            origin: "https://example.com/acme/tool.git",
            owner: Some(USER),
        };
        let docker = Docker::connect(&crate::world::docker_address()).unwrap();
        let (mut before, mut now) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let began = Instant::now();
            lay_out(&mirror, None, &NewWorkspace { owner: None, ..new }).unwrap();
            by_libgit2(&path);
            before.push(began.elapsed());
            let began = Instant::now();
            lay_out(&mirror, None, &new).unwrap();
            by_git(&docker, &path, &mirror.objects(), round).await;
            now.push(began.elapsed());
            let safe = format!("safe.directory={}", path.display());
            assert_eq!(git(&path, &["-c", &safe, "status", "--porcelain"]), "");
        }
        let (before, now) = (median(before), median(now));
        eprintln!("{files} files: libgit2 {before:?}, git in a container {now:?}");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn by_libgit2(path: &Path) {
    let repository = git2::Repository::open(path).unwrap();
    repository.checkout_head(Some(git2::build::CheckoutBuilder::new().force())).unwrap();
    for entry in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        if !entry.ends_with(".git") {
            give(&entry);
        }
    }
    let mut index = repository.index().unwrap();
    for position in 0..index.len() {
        let mut entry = index.get(position).unwrap();
        let found = path.join(OsStr::from_bytes(&entry.path)).symlink_metadata().unwrap();
        entry.ctime = git2::IndexTime::new(found.ctime() as i32, found.ctime_nsec() as u32);
        (entry.uid, entry.gid) = (found.uid(), found.gid());
        index.add(&entry).unwrap();
    }
    index.write().unwrap();
    give(&path.join(".git"));
    lchown(path, Some(USER.0), Some(USER.1)).unwrap();
}

fn give(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
    lchown(path, Some(USER.0), Some(USER.1)).unwrap();
}

async fn by_git(docker: &Docker, path: &Path, objects: &Path, round: usize) {
    let mount = |source: &Path, target: &str, read_only| Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    let spec = ContainerSpec {
        name: format!("hob-it-{}-checkout-{round}", std::process::id()),
        image: crate::world::image(),
        command: ["sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
        env: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        mounts: vec![mount(path, "/workspace", false), mount(objects, objects.to_str().unwrap(), true)],
        user: USER,
        workdir: "/workspace".to_owned(),
        network: Network::None,
        limits: Limits {
            memory_bytes: 1 << 30,
            cpus: 2.0,
            pids: 64,
            nofile: 1024,
            tmp_bytes: 16 << 20,
            shm_bytes: 1 << 20,
        },
        log: Log::None,
    };
    let limits =
        AttachLimits { max_stdout_bytes: 100, max_stderr_bytes: 1000, timeout: Duration::from_secs(300) };
    let attached = docker.run_attached(&spec, &mut Vec::new(), limits).await.unwrap();
    assert!(attached.stderr.is_empty(), "{}", String::from_utf8_lossy(&attached.stderr));
}
