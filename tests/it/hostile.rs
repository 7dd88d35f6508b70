//! What an agent that means harm can do to the host: every way of `facts/hostile-workspace.md`,
//! planted by a scripted agent in a task of its own, under the real program. The plants are in
//! `hostile/`; here they are played, and what came of them is judged. Prints the counts.

#[path = "hostile/audit.rs"]
mod audit;
#[path = "hostile/canaries.rs"]
mod canaries;
#[path = "hostile/commands.rs"]
mod commands;
#[path = "hostile/daemon.rs"]
mod daemon;
#[path = "hostile/exchange.rs"]
mod exchange;
#[path = "hostile/places.rs"]
mod places;
#[path = "hostile/plants.rs"]
mod plants;
#[path = "hostile/resources.rs"]
mod resources;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::audit::Audit;
use self::canaries::{Search, Secret, snapshot};
use self::daemon::Watch;
use self::plants::{Expect, Places, Plant};
use crate::world::hob::{Program, binary};
use crate::world::{KEY, REPO, SECRET, World};
use hob::config::ByteSize;

/// A repository that the agents of `REPO` may not see.
const PRIVATE: &str = "acme/private";
/// How long all tasks of one part may take together, on a slow machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(400);
/// More memory than this is more than hob needs for whatever an agent says or hands over.
const MAX_MEMORY_MIB: u64 = 512;

#[tokio::test]
async fn hostile() {
    let mut stage = Stage::set(|_| {}).await;
    let began = std::time::Instant::now();
    let lists = [commands::PLANTS, places::PLANTS, exchange::PLANTS, resources::PLANTS];
    let plants: Vec<Plant> = lists.concat();
    let mut tally = stage.play(&plants).await;
    tally.add(stage.judge().await);

    // Those that do not end cost their whole time limit, so it is a short one for them.
    let mut stage = Stage::set(|config| {
        config.agent.timeout = Duration::from_secs(15);
        config.container.hand_over_timeout = Duration::from_secs(6);
    })
    .await;
    tally.add(stage.play(&[places::PIPES, resources::ENDLESS].concat()).await);
    tally.add(stage.judge().await);
    // Past the capture of the tests' output: the counts are what this test is for.
    let _ = writeln!(std::io::stderr(), "hostile: {tally}; {} s", began.elapsed().as_secs());
    assert!(tally.is_clean(), "{:#?}", tally.wrong);
    let dead: Vec<_> = commands::ALIVE.iter().filter(|name| !tally.fired.contains(**name)).collect();
    assert!(dead.is_empty(), "planted commands that were never set off: {dead:?}; alive: {:?}", tally.fired);
}

/// A world with canaries in it, and the real program under strace.
struct Stage {
    world: World,
    program: Program,
    watch: Watch,
    trace: String,
    strace: PathBuf,
    canary: tempfile::TempDir,
    sibling: PathBuf,
    sibling_blob: String,
    mirror: PathBuf,
    mirror_blob: String,
    attacker: String,
    visits: Arc<AtomicUsize>,
    before: Vec<std::collections::BTreeMap<PathBuf, String>>,
    secrets: Vec<Secret>,
}

/// The counts, and what went wrong in words.
#[derive(Debug, Default)]
struct RunTotals {
    plants: usize,
    tasks: usize,
    pulls: usize,
    messages: usize,
    fired: BTreeSet<String>,
    calls: usize,
    own: usize,
    commands: usize,
    canaries: usize,
    leaks: usize,
    looked: usize,
    containers: usize,
    left: usize,
    opened: usize,
    visits: usize,
    memory_mib: u64,
    wrong: Vec<String>,
}

impl Stage {
    async fn set(change: impl FnOnce(&mut hob::config::Config)) -> Stage {
        let world = World::prepare(|config| {
            config.work.parallel = 4;
            // Sixty stories at once are not what GitHub.com has hob do.
            config.github.writes_per_hour = 100_000;
            config.container.pids = 128;
            config.container.hand_over_limit = ByteSize::mib(8);
            change(config);
        })
        .await;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let trace = format!("/tmp/hob-hostile-{id}");
        let secret = |name: &str| format!("CANARY-{name}-{id}");
        let canary = canary_folder(&trace, &secret("readable"), &secret("private"));
        let (attacker, visits) = attacker().await;
        world.github.create_repo(PRIVATE, &[("secret.txt", &secret("repository"))]).await;
        world.github.set_permission(PRIVATE, "alice", "write");

        let strace = world.folder().join("strace.log");
        let wrapper = audit::wrapper(&strace);
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let program = world.start_program_under(&wrapper).await;
        let store = hob::store::Store::open(&world.data().join("hob.db")).await.expect("the store opens");
        let watch = Watch::start(&store.instance().await.expect("the instance")).await;
        store.close().await;

        // A sibling story, whose workspace stays, and a mirror of a repository that is somebody
        // else's.
        let sibling = sibling(&world, &secret("sibling")).await;
        let sibling_blob = git(&sibling, &["hash-object", "-w", "secret.txt"]);
        let own = world.github.open_issue(PRIVATE, "alice", "Work", "[scenario: work]").await;
        world.github.label_issue(PRIVATE, own, "alice", "hob").await;
        let done = |github: &crate::world::github::GitHub| {
            let status = github.comments(PRIVATE, own).pop()?;
            status.body.contains("<sub>finished in ").then_some(())
        };
        world.until("the private repository's task to be over", done).await;
        let mirror = world.mirror(PRIVATE);
        let mirror_blob = git(&world.github.repo_path(PRIVATE), &["rev-parse", "main:secret.txt"]);

        let private_repo = world.github.repo_path(PRIVATE);
        let sibling_story = sibling.parent().expect("a story's folder").to_owned();
        let secrets = secrets(&secret, [mirror.clone(), private_repo, sibling_story], &world);
        let before = [canary.path(), &sibling, &mirror].map(snapshot).to_vec();
        Stage {
            world,
            program,
            watch,
            trace,
            strace,
            canary,
            sibling,
            sibling_blob,
            mirror,
            mirror_blob,
            attacker,
            visits,
            before,
            secrets,
        }
    }

    /// Has an agent plant each, all at once, and looks at what was said on each issue.
    async fn play(&mut self, plants: &[Plant]) -> RunTotals {
        let places = Places {
            trace: &self.trace,
            canary: self.canary.path(),
            attacker: &self.attacker,
            sibling: &self.sibling,
            sibling_blob: &self.sibling_blob,
            mirror: &self.mirror,
            mirror_blob: &self.mirror_blob,
        };
        let mut issues = Vec::new();
        for plant in plants {
            let issue = self.world.alice().opens_issue(plant.name, &places.issue(plant)).await;
            self.world.alice().labels(issue, "hob").await;
            issues.push(issue);
        }
        let mut tally = RunTotals::default();
        for (plant, issue) in plants.iter().zip(issues) {
            let what = format!("what comes of `{}` on #{issue}", plant.name);
            self.world.github.until(&what, PATIENCE, |_| self.world.said(issue).first().map(|_| ())).await;
            let said = self.world.next_comment(issue).await.body;
            let gist: Vec<&str> = said.lines().filter(|line| !line.is_empty()).take(2).collect();
            println!("hostile: {} (#{issue}): {}", plant.name, gist.join(" | "));
            tally.plants += plant.ways;
            tally.tasks += 1;
            if said.starts_with("Done: #") {
                tally.pulls += 1
            } else {
                tally.messages += 1
            }
            if let Err(reason) = self.check_end(plant, issue, &said) {
                tally.wrong.push(format!("`{}` on #{issue}: {reason}", plant.name));
            }
        }
        tally
    }

    /// Whether what was said, and pushed, is what had to come.
    fn check_end(&self, plant: &Plant, issue: u64, said: &str) -> Result<(), String> {
        let inside =
            [self.world.folder(), self.canary.path()].map(|path| path.to_string_lossy().into_owned());
        if let Some(path) = inside.iter().find(|path| said.contains(path.as_str())) {
            return Err(format!("a path of the host, {path}, is in: {said}"));
        }
        let is_pull = said.starts_with("Done: #");
        // What happened, what became of the work, what to do.
        let is_clear =
            said.starts_with("**") && said.contains("workspace is kept") && said.contains("`/hob ");
        let changed = self.world.github.diff_files(REPO, &format!("hob/issue-{issue}"));
        match plant.expect {
            Expect::Pull if !is_pull => Err(format!("no pull request, but: {said}")),
            Expect::Pull if changed != ["work.txt"] => Err(format!("the pull request changes {changed:?}")),
            Expect::Says(words) if !said.starts_with(words) || !changed.is_empty() => {
                Err(format!("changed {changed:?}, said {said}"))
            }
            _ if !is_pull && !is_clear => Err(format!("not clear: {said}")),
            _ => Ok(()),
        }
    }

    /// Ends hob, and looks at everything that it did and left.
    async fn judge(mut self) -> RunTotals {
        let mut tally = RunTotals::default();
        self.check_still(&mut tally).await;
        let pid = self.program.pid();
        tally.memory_mib = peak_memory_mib(pid);
        if tally.memory_mib > MAX_MEMORY_MIB {
            tally.wrong.push(format!("hob took {} MiB of memory", tally.memory_mib));
        }
        assert_eq!(self.program.terminate().await, Some(0), "hob ends well after all that");
        let audit = audit::read(&self.strace, pid, &binary(), &[self.canary.path()]).await;
        tally.take_audit(&audit);

        let seen = self.watch.end().await;
        tally.containers = seen.containers.len();
        let mut search = Search::default();
        for (name, text) in seen.containers.iter().chain(&seen.images) {
            search.text(&self.secrets, &format!("what Docker tells of {name}"), text.as_bytes());
        }
        for repo in [REPO, PRIVATE] {
            for issue in self.world.github.issues(repo) {
                for comment in self.world.github.comments(repo, issue) {
                    search.text(
                        &self.secrets,
                        &format!("a comment on {repo}#{issue}"),
                        comment.body.as_bytes(),
                    );
                }
            }
            for pull in self.world.github.pulls(repo) {
                search.text(&self.secrets, &format!("{repo}#{}", pull.number), pull.body.as_bytes());
            }
            search.objects(&self.secrets, &self.world.github.repo_path(repo));
        }
        search.folder(&self.secrets, self.world.data());
        search.text(&self.secrets, "hob's log", &std::fs::read(self.world.folder().join("hob.log")).unwrap());
        (tally.leaks, tally.looked) = (search.found.len(), search.looked);
        tally.wrong.extend(search.found);

        let traces = traces(&self.trace);
        tally.commands += traces.len();
        tally.wrong.extend(traces);
        let after = [self.canary.path(), &self.sibling, &self.mirror].map(snapshot);
        for (before, after) in self.before.iter().zip(&after) {
            let changed = before.iter().filter(|(path, state)| after.get(*path) != Some(state));
            let changed: Vec<String> =
                changed.map(|(path, _)| format!("changed: {}", path.display())).collect();
            let new = after.keys().filter(|path| !before.contains_key(*path));
            let new: Vec<String> = new.map(|path| format!("new: {}", path.display())).collect();
            tally.canaries += changed.len() + new.len();
            tally.wrong.extend(changed.into_iter().chain(new));
        }
        tally.visits = self.visits.load(Ordering::SeqCst);
        tally.fired = fired(self.world.data());
        tally.left = self.world.containers().await.len();
        self.world.finish().await;
        tally
    }

    /// Whether anything that agents left running still runs: their heartbeats would go on.
    async fn check_still(&mut self, tally: &mut RunTotals) {
        let beats = || -> Vec<(PathBuf, String)> {
            let homes = stories(self.world.data()).into_iter().map(|story| story.join("home"));
            let files = homes.flat_map(|home| (1..=3).map(move |i| home.join(format!("heartbeat-{i}"))));
            files.filter_map(|file| Some((file.clone(), std::fs::read_to_string(file).ok()?))).collect()
        };
        let first = beats();
        // Ten times the interval between two beats.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if first != beats() {
            tally.wrong.push("a process of an agent's runs on after its container".to_owned());
        }
        if first.len() < 3 {
            tally.wrong.push("no process left a heartbeat".to_owned());
        }
    }
}

impl RunTotals {
    fn add(&mut self, other: RunTotals) {
        self.plants += other.plants;
        self.tasks += other.tasks;
        self.pulls += other.pulls;
        self.messages += other.messages;
        self.fired.extend(other.fired);
        self.calls += other.calls;
        self.own += other.own;
        self.commands += other.commands;
        self.canaries += other.canaries;
        self.leaks += other.leaks;
        self.looked += other.looked;
        self.containers += other.containers;
        self.left += other.left;
        self.opened += other.opened;
        self.visits += other.visits;
        self.memory_mib = self.memory_mib.max(other.memory_mib);
        self.wrong.extend(other.wrong);
    }

    fn take_audit(&mut self, audit: &Audit) {
        (self.calls, self.own) = (audit.calls, audit.own);
        self.commands += audit.foreign.len();
        self.canaries += audit.canaries.len();
        self.opened += audit.opened_in_workspace.len();
        assert!(audit.own >= 1 && audit.calls > 100, "strace saw too little: {audit:?}");
        for (name, count) in audit::names(&audit.foreign) {
            self.wrong.push(format!("hob's process tree ran {name} {count} times"));
        }
        self.wrong.extend(audit.canaries.iter().map(|call| format!("led to a canary: {call}")));
        self.wrong.extend(audit.opened_in_workspace.iter().map(|call| format!("opened: {call}")));
    }

    fn is_clean(&self) -> bool {
        let bad = [self.commands, self.canaries, self.leaks, self.left, self.opened, self.visits];
        self.wrong.is_empty() && bad.iter().all(|count| *count == 0)
    }
}

impl std::fmt::Display for RunTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} plants, {} tasks ({} pull requests, {} messages), {} planted commands ran in their own containers, \
             {} commands run on the host ({} calls audited, {} starts of hob itself), {} files opened in a used workspace, \
             {} canaries touched, {} visits to the attacker, {} secrets leaked ({} places searched, {} containers inspected), \
             {} containers left, hob took {} MiB at most",
            self.plants,
            self.tasks,
            self.pulls,
            self.messages,
            self.fired.len(),
            self.commands,
            self.calls,
            self.own,
            self.opened,
            self.canaries,
            self.visits,
            self.leaks,
            self.looked,
            self.containers,
            self.left,
            self.memory_mib
        )
    }
}

/// A folder of the host that anybody may enter, with a secret for all, one for root, and settings
/// for git that run a command.
fn canary_folder(trace: &str, readable: &str, private: &str) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("canary-").tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a canary");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    };
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    write("readable", readable, 0o644);
    write("private", private, 0o600);
    write("included.gitconfig", &format!("[core]\n\tfsmonitor = \"touch {trace}-included; :\"\n"), 0o644);
    folder
}

/// Somebody who waits for a token, and counts who comes.
async fn attacker() -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, visits)
}

/// A story that waits for an answer, with a secret in its workspace. Tells the workspace.
async fn sibling(world: &World, secret: &str) -> PathBuf {
    let issue = world.alice().opens_issue("A sibling", "[scenario: ask]").await;
    world.alice().labels(issue, "hob").await;
    world.next_comment(issue).await;
    let workspace = stories(world.data()).pop().expect("its story").join("workspace");
    std::fs::write(workspace.join("secret.txt"), secret).expect("a canary");
    workspace
}

/// What must not be found, and where each is at home.
fn secrets(secret: &dyn Fn(&str) -> String, homes: [PathBuf; 3], world: &World) -> Vec<Secret> {
    let [mirror, private_repo, sibling] = homes;
    let new = |name, text, at_home| Secret { name, text, at_home };
    vec![
        new("the readable canary", secret("readable"), vec![]),
        new("root's canary", secret("private"), vec![]),
        new("the sibling's secret", secret("sibling"), vec![sibling]),
        new("the private repository's secret", secret("repository"), vec![mirror, private_repo]),
        new("the model's key", KEY.to_owned(), vec![]),
        new("the token", world.github.token().to_owned(), vec![]),
        new("the webhook's secret", SECRET.to_owned(), vec![]),
    ]
}

fn stories(data: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(data.join("stories")).expect("stories").flatten().map(|entry| entry.path()).collect()
}

/// The planted commands that ran in an agent's own container, where that is their right.
fn fired(data: &Path) -> BTreeSet<String> {
    let homes = stories(data).into_iter().map(|story| story.join("home/fired"));
    let files = homes.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The most memory that a process has had so far.
fn peak_memory_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// What planted commands left on the host.
fn traces(trace: &str) -> Vec<String> {
    let name = Path::new(trace).file_name().expect("a name").to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/tmp").expect("/tmp").flatten().map(|entry| entry.file_name());
    let names = entries.map(|entry| entry.to_string_lossy().into_owned());
    names
        .filter(|entry| entry.starts_with(&name))
        .map(|entry| format!("a planted command ran: {entry}"))
        .collect()
}

/// git for the canaries, in folders that no hostile agent has been in.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-c").arg("safe.directory=*").arg("-C").arg(folder).args(arguments);
    let output = git.output().expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
