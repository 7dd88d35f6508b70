//! The world that hob is tested in: a played GitHub with real git, the real Docker daemon, the real
//! store, and hob itself, as a library on a port of its own or as the real program. Everything else
//! is as on a server. `finish` fails a test that leaves something behind: a comment that nobody
//! read, a container, a lease, a request that GitHub would not have understood.

// The tests and the demo each use a part of it.
#![allow(dead_code)]

#[path = "world/anthropic.rs"]
pub mod anthropic;
#[path = "world/disk.rs"]
pub mod disk;
#[path = "world/github.rs"]
pub mod github;
#[path = "world/hob.rs"]
pub mod hob;
#[path = "world/network.rs"]
pub mod network;
#[path = "world/people.rs"]
pub mod people;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::hob::config::{ByteSize, Config};
use ::hob::ids::AgentKind;
use github::{Comment, GitHub, Pull};
use hob::{Program, RunningHob};
use people::{Ci, Person};
use secrecy::SecretString;

/// The repository that all stories are about.
pub const REPO: &str = "acme/tool";
/// The account that hob works as.
pub const BOT: &str = "hob-bot";
/// What webhooks are signed with.
pub const SECRET: &str = "a secret that only GitHub and hob know";
/// The model's key that the agent must have, and nobody else may see.
pub const KEY: &str = "sk-ant-test-0123456789-canary";

/// How long a test waits for hob to do what it should. Far more than it takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The image that the scripted agent is in.
pub fn image() -> String {
    std::env::var("HOB_TEST_IMAGE").unwrap_or_else(|_| "hob-test-agent:latest".to_owned())
}

/// Where the Docker daemon of the tests listens.
pub fn docker_address() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

/// One GitHub, one hob, one disk.
pub struct World {
    pub github: GitHub,
    pub config: Config,
    hob: Option<RunningHob>,
    /// Whether GitHub can reach hob.
    has_webhook: bool,
    read: Arc<Mutex<HashMap<u64, usize>>>,
    pulls_seen: Mutex<HashMap<u64, String>>,
    folder: tempfile::TempDir,
}

impl World {
    /// A world with a running hob.
    pub async fn start() -> World {
        Self::with(|_| {}).await
    }

    /// A world whose hob runs with changed settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> World {
        let mut world = Self::prepare(change).await;
        world.start_hob().await;
        world
    }

    /// A world whose hob has not been started.
    pub async fn prepare(change: impl FnOnce(&mut Config)) -> World {
        // HOB_LOG=info shows what hob logs, for looking into a test that fails.
        let filter = tracing_subscriber::EnvFilter::try_from_env("HOB_LOG").unwrap_or_default();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let github = GitHub::start().await;
        github
            .create_repo(REPO, &[("README.md", "# tool\n\nA tool.\n"), ("run.sh", "#!/bin/sh\necho hi\n")])
            .await;
        for (login, permission) in
            [("alice", "write"), ("bob", "write"), ("tina", "triage"), ("mallory", "read")]
        {
            github.set_permission(REPO, login, permission);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = settings(&github, folder.path());
        change(&mut config);
        World {
            github,
            config,
            hob: None,
            has_webhook: true,
            read: Arc::default(),
            pulls_seen: Mutex::default(),
            folder,
        }
    }

    /// Starts hob in this process.
    pub async fn start_hob(&mut self) {
        assert!(self.hob.is_none(), "hob runs already");
        let listener = RunningHob::listen(&self.config).await;
        let address = format!("http://{}/webhook", listener.local_addr().expect("an address"));
        // Before hob starts: the first that it does may be to ask for deliveries.
        match (self.has_webhook, self.config.github.app_id) {
            (false, _) => {}
            (true, None) => self.github.send_webhooks_to(&address, SECRET),
            (true, Some(_)) => self.github.send_app_webhooks_to(&address, SECRET),
        }
        self.hob = Some(RunningHob::start(self.config.clone(), listener).await);
    }

    /// A world that GitHub cannot reach: hob looks by itself, often. It has not been started.
    pub async fn prepare_without_webhook(change: impl FnOnce(&mut Config)) -> World {
        let world = Self::prepare(|config| {
            config.github.poll = Some(Duration::from_millis(250));
            config.github.repositories.push(REPO.to_owned());
            config.github.webhook_secret = None;
            change(config);
        });
        World { has_webhook: false, ..world.await }
    }

    /// A world whose hob is a GitHub App, and has not been started. Its webhook is set up, and
    /// leads nowhere yet.
    pub async fn prepare_app(change: impl FnOnce(&mut Config)) -> World {
        let mut world = Self::prepare(change).await;
        let app = world.github.app();
        world.config.github.token = None;
        world.config.github.app_id = Some(app.app_id);
        world.config.github.private_key = Some(app.private_key.into());
        world.github.send_app_webhooks_to("http://127.0.0.1:9/webhook", SECRET);
        world
    }

    /// Stops hob as SIGTERM does, and waits until it is gone.
    pub async fn stop_hob(&mut self) {
        self.hob.take().expect("hob runs").stop().await;
    }

    /// Whether its hob is a GitHub App.
    pub fn is_app(&self) -> bool {
        self.config.github.app_id.is_some()
    }

    /// Starts hob as the real program, in a process of its own.
    pub async fn start_program(&self) -> Program {
        let program = Program::start(self.folder.path(), &self.config).await;
        self.github.send_webhooks_to(&program.webhook(), SECRET);
        program
    }

    /// The same, under a program that watches it: see [`Program::start_under`].
    pub async fn start_program_under(&self, wrapper: &[&str]) -> Program {
        let program = Program::start_under(wrapper, self.folder.path(), &self.config).await;
        self.github.send_webhooks_to(&program.webhook(), SECRET);
        program
    }

    /// The same, with more in its environment.
    pub async fn start_program_with(&self, variables: &[(&str, &str)]) -> Program {
        let program = Program::start_with(variables, self.folder.path(), &self.config).await;
        self.github.send_webhooks_to(&program.webhook(), SECRET);
        program
    }

    /// Starts hob as the real program, and does not wait for it.
    pub fn spawn_program(&self) -> tokio::process::Child {
        hob::spawn(self.folder.path(), &self.config)
    }

    /// The store of the hob that runs here.
    pub fn store(&self) -> &::hob::store::Store {
        self.hob.as_ref().expect("hob runs").store()
    }

    /// Runs `hob serve` where it should end by itself: its exit code, and what it said.
    pub async fn serve_in_vain(&self) -> (Option<i32>, String) {
        hob::serve_in_vain(self.folder.path(), &self.config).await
    }

    /// Runs another command of hob's: its exit code, and what it said.
    pub async fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        hob::run(self.folder.path(), &self.config, arguments).await
    }

    /// What programs that were started here have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("hob.log")).unwrap_or_default()
    }

    /// The folder that hob's configuration, log and data lie in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address that hob listens on.
    pub fn address(&self) -> String {
        self.hob.as_ref().expect("hob runs").address()
    }

    pub fn alice(&self) -> Person<'_> {
        Person { github: &self.github, login: "alice" }
    }

    pub fn bob(&self) -> Person<'_> {
        Person { github: &self.github, login: "bob" }
    }

    /// May label issues, but not write.
    pub fn tina(&self) -> Person<'_> {
        Person { github: &self.github, login: "tina" }
    }

    /// May only read.
    pub fn mallory(&self) -> Person<'_> {
        Person { github: &self.github, login: "mallory" }
    }

    /// What looks at commits: GitHub Actions, Apps, services.
    pub fn ci(&self) -> Ci<'_> {
        Ci { github: &self.github }
    }

    /// What hob has said on an issue so far, in order: its comments, and each end of a task that
    /// its status comment told of.
    pub fn said(&self, issue: u64) -> Vec<Comment> {
        let mut said: Vec<(u64, Comment)> = Vec::new();
        for comment in self.written(issue) {
            if !is_status(&comment) {
                said.push((comment.id, comment));
                continue;
            }
            let mut known = 0;
            for (revision, text) in &comment.revisions {
                let ends = ends_in(text);
                for end in ends.iter().skip(known) {
                    said.push((*revision, Comment { body: end.clone(), ..comment.clone() }));
                }
                known = known.max(ends.len());
            }
        }
        said.sort_by_key(|(order, _)| *order);
        said.into_iter().map(|(_, comment)| comment).collect()
    }

    /// The repository's name now.
    pub fn repo(&self) -> String {
        self.github.now_called(REPO)
    }

    /// Every comment of hob's on an issue, as it is now.
    pub fn written(&self, issue: u64) -> Vec<Comment> {
        let comments = self.github.comments(&self.repo(), issue);
        let is_bot = |login: &str| login == BOT || login == self.github.app().login;
        comments.into_iter().filter(|comment| is_bot(&comment.author)).collect()
    }

    /// The status comment on an issue, if there is one.
    pub fn status(&self, issue: u64) -> Option<Comment> {
        self.written(issue).into_iter().find(is_status)
    }

    /// The next thing that hob says on an issue.
    pub async fn next_comment(&self, issue: u64) -> Comment {
        let at = self.read.lock().unwrap().get(&issue).copied().unwrap_or(0);
        let comment =
            self.github.until("a comment of hob's", DEADLINE, |_| self.said(issue).get(at).cloned()).await;
        self.read.lock().unwrap().insert(issue, at + 1);
        comment
    }

    /// The next pull request that is new or has changed. The draft of work that was cut short is
    /// none yet.
    pub async fn next_pull_request(&self) -> Pull {
        let find = |github: &GitHub| {
            self.check_no_failure_unread();
            let seen = self.pulls_seen.lock().unwrap();
            let is_news = |pull: &Pull| {
                seen.get(&pull.number) != Some(&pull.body) && !pull.body.contains("**Not finished.**")
            };
            github.pulls(&self.repo()).into_iter().find(is_news)
        };
        let pull = self.github.until("a pull request", DEADLINE, find).await;
        self.pulls_seen.lock().unwrap().insert(pull.number, pull.body.clone());
        pull
    }

    /// Waits until a condition on GitHub holds.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&GitHub) -> Option<T>) -> T {
        self.github.until(what, DEADLINE, look).await
    }

    /// Waits until a condition elsewhere holds: on disk, in Docker. Looks often, since nothing
    /// there calls.
    pub async fn eventually<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(DEADLINE, looking).await {
            Ok(found) => found,
            Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
        }
    }

    /// Waits until a whole look at GitHub has begun and ended from now on.
    pub async fn looked(&self) {
        let path = format!("/repos/{}/issues/comments", self.repo());
        let looks = |github: &GitHub| {
            let requests = github.requests().into_iter();
            requests.filter(|r| r.method == "GET" && r.path == path && r.status == 200).count()
        };
        // The first may have begun before; the third begins when the second has ended.
        let before = looks(&self.github);
        self.until("hob to look at GitHub", |github| (looks(github) >= before + 3).then_some(())).await;
    }

    /// Waits until hob has settled every delivery, every task that can move, and every effect;
    /// where it polls, also all that it can find.
    pub async fn quiet(&self) {
        if self.config.github.poll.is_some() {
            self.looked().await;
        }
        let store = self.hob.as_ref().expect("hob runs").store();
        self.eventually("hob to have nothing to do", async || {
            let idle = store.next_delivery().await.unwrap().is_none()
                && store.effect_counts().await.unwrap().0 == 0
                && store.stories_behind().await.unwrap() == 0
                && (!self.config.pull_request.check_run || store.checks_behind().await.unwrap() == 0)
                && store.live_leases().await.unwrap() == 0
                && store.waiting_tasks().await.unwrap() == 0;
            idle.then_some(())
        })
        .await;
    }

    /// Waits until hob has settled every delivery, whatever an agent is doing.
    pub async fn quiet_deliveries(&self) {
        let store = self.store();
        self.eventually("every delivery to be settled", async || {
            (store.open_deliveries().await.unwrap() == 0).then_some(())
        })
        .await;
    }

    /// Where hob has its mirror of a repository.
    pub fn mirror(&self, repo: &str) -> std::path::PathBuf {
        self.data().join(format!("mirrors/_/{}.git", self.github.repo_id(repo)))
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.config.data.dir
    }

    /// Every container of this world's hob in which something runs, by name.
    pub async fn containers(&self) -> Vec<String> {
        hob::containers(&self.config).await
    }

    /// Whatever there is of this world's hob in Docker.
    pub async fn everything(&self) -> Vec<String> {
        hob::everything(&self.config).await
    }

    /// Ends the world. Fails on anything that should not be left.
    pub async fn finish(mut self) {
        if self.hob.is_some() {
            self.quiet().await;
        }
        // Those that have ended are removed while the work goes on.
        self.eventually("every container to be removed", async || {
            self.everything().await.is_empty().then_some(())
        })
        .await;
        if let Some(hob) = self.hob.take() {
            assert_eq!(
                hob.store().effect_counts().await.unwrap(),
                (0, 0),
                "effects were left over or parked"
            );
            hob.stop().await;
        }
        self.check_nothing_unread();
        assert_eq!(self.github.violations(), Vec::<String>::new(), "GitHub would not have understood this");
        assert_eq!(self.github.unused_faults(), Vec::<String>::new(), "faults that never came up");
        self.check_no_secret();
    }

    /// Who waits for a pull request while hob has said that the task failed would wait forever.
    fn check_no_failure_unread(&self) {
        let read = self.read.lock().unwrap().clone();
        for (issue, said) in self.issues_with_comments() {
            for comment in said.iter().skip(read.get(&issue).copied().unwrap_or(0)) {
                let is_failure = comment.body.starts_with("**") && end_of(&comment.body).is_some();
                assert!(!is_failure, "instead of a pull request, on #{issue}: {}", comment.body);
            }
        }
    }

    fn check_nothing_unread(&self) {
        let read = self.read.lock().unwrap();
        for (issue, said) in self.issues_with_comments() {
            let seen = read.get(&issue).copied().unwrap_or(0);
            // Said on a ready pull request beside what is read on the issue.
            let is_beside =
                |body: &&str| body.starts_with("**Work that was stopped is on this branch now:**");
            let unread = said.iter().skip(seen).map(|comment| comment.body.as_str());
            let unread: Vec<&str> = unread.filter(|body| !is_beside(body)).collect();
            assert!(unread.is_empty(), "unread comments on #{issue}: {unread:#?}");
        }
    }

    fn issues_with_comments(&self) -> Vec<(u64, Vec<Comment>)> {
        let issues = self.github.issues(&self.repo()).into_iter();
        issues.map(|issue| (issue, self.said(issue))).filter(|(_, said)| !said.is_empty()).collect()
    }

    /// Neither the model's key nor the token may be in anything that people or the disk see.
    fn check_no_secret(&self) {
        let secrets = [KEY, self.github.token()];
        for issue in self.github.issues(&self.repo()) {
            for (_, text) in self.written(issue).into_iter().flat_map(|comment| comment.revisions) {
                assert!(!secrets.iter().any(|s| text.contains(s)), "a secret on #{issue}");
            }
        }
        for pull in self.github.pulls(&self.repo()) {
            assert!(
                !secrets.iter().any(|s| pull.body.contains(s)),
                "a secret in pull request #{}",
                pull.number
            );
        }
        hob::for_each_file(self.data(), &mut |path, bytes| {
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "a secret in {}", path.display());
            }
        });
    }
}

/// Whether a comment is one that hob changes in place.
fn is_status(comment: &Comment) -> bool {
    comment.body.contains("\n\n<!-- hob:status ")
}

/// Where the line begins by which what is said about the end of a task is known.
fn end_of(text: &str) -> Option<usize> {
    ["<sub>finished in ", "<sub>no agent ran"].into_iter().filter_map(|line| text.find(line)).min()
}

/// What a status comment says about tasks that are over, oldest first.
fn ends_in(status: &str) -> Vec<String> {
    let text = status.split("\n\n<!-- hob:status ").next().unwrap_or_default();
    let (now, before) = text.split_once("<details><summary>Before that</summary>").unwrap_or((text, ""));
    let older = before.trim_end_matches("</details>").trim().split("\n\n---\n\n");
    let mut ends: Vec<&str> = older.collect();
    ends.reverse();
    ends.push(now);
    let is_end = |text: &&str| end_of(text).is_some();
    // The links below an end change with the branch and the pull request.
    let without_links = |text: &str| {
        let to = end_of(text).and_then(|at| Some(at + text[at..].find("</sub>")? + 6));
        text[..to.unwrap_or(text.len())].trim().to_owned()
    };
    ends.into_iter().filter(is_end).map(without_links).collect()
}

/// Settings for a hob in this world: everything quick.
fn settings(github: &GitHub, folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    config.data.dir = folder.join("data");
    config.github.api_url = github.api_url();
    config.github.git_url = github.git_url();
    config.github.token = Some(SecretString::from(github.token()));
    config.github.webhook_secret = Some(SecretString::from(SECRET));
    config.agent.kind = AgentKind::Claude;
    config.agent.keys.insert("ANTHROPIC_API_KEY".to_owned(), SecretString::from(KEY));
    config.agent.retry_after = Duration::from_millis(200);
    config.container.image = image();
    config.container.docker = docker_address();
    config.container.memory = ByteSize::mib(256);
    config.container.tmp = ByteSize::mib(64);
    config.container.stop_grace = Duration::from_secs(1);
    config.work.poll = Duration::from_millis(200);
    config.github.recheck = Duration::from_secs(1);
    config.github.status_every = Duration::from_millis(200);
    config.pull_request.wait = Duration::from_millis(200);
    config
}
