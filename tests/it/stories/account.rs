//! The account that an agent works with: a person's login in place of a key. It goes into the
//! container and comes out renewed; where it is refused, the operator's command renews it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::world::hob::for_each_file;
use crate::world::{REPO, World};

const TOKEN: &str = "good-token-canary-0123456789-0123456789";

/// A login on the host, and hob's settings for it.
struct Login {
    folder: tempfile::TempDir,
}

impl Login {
    fn with_token(token: &str) -> Login {
        let login = Login { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(login.path()).unwrap();
        std::fs::write(login.file(), credentials(token)).unwrap();
        login
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("host-claude")
    }

    fn file(&self) -> PathBuf {
        self.path().join(".credentials.json")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// A place for what a sync command leaves.
    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn apply(&self, config: &mut hob::config::Config) {
        config.agent.keys.clear();
        config.agent.login_dir = Some(self.path());
    }

    /// A world whose hob works with this login, and renews it with a shell's script if there is
    /// one.
    async fn world(&self, sync: Option<&str>) -> World {
        World::with(|config| {
            self.apply(config);
            config.agent.sync_command =
                sync.map(|script| ["sh", "-c", script].map(str::to_owned).to_vec()).unwrap_or_default();
        })
        .await
    }

    /// A script that renews the login, and counts how often it did.
    fn renewing(&self) -> String {
        let renewed = self.beside("renewed.json");
        std::fs::write(&renewed, credentials(TOKEN)).unwrap();
        let (from, to, count) = (renewed.display(), self.file(), self.beside("count"));
        format!("cp {from} {} && echo renewed >>{}", to.display(), count.display())
    }

    fn renewals(&self) -> usize {
        std::fs::read_to_string(self.beside("count")).unwrap_or_default().lines().count()
    }
}

fn credentials(token: &str) -> String {
    let expires_at = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    serde_json::json!({
        "claudeAiOauth": {"accessToken": token, "refreshToken": "refresh-canary", "expiresAt": expires_at},
        "mcpOAuth": {"server": "another-canary"},
    })
    .to_string()
}

/// hob's records of the runs, in the order of their ids, which is that of time.
fn records(w: &World) -> Vec<serde_json::Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(w.data().join("runs"))
        .unwrap()
        .map(|run| run.unwrap().path().join("run.json"))
        .collect();
    files.sort();
    files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()).collect()
}

async fn asks(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("Work with a login", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

async fn fails(w: &World, scenario: &str) -> String {
    let issue = asks(w, scenario).await;
    let said = w.next_comment(issue).await.body;
    w.quiet().await;
    said
}

fn is_dead(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')))
}

#[tokio::test]
async fn an_agent_works_with_a_login_that_gets_into_nothing_that_stays() {
    let login = Login::with_token(TOKEN);
    let before = login.text();
    let w = login.world(None).await;
    let issue = asks(&w, "login").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let diff = w.github.diff(REPO, "main", &pull.head);
    assert!(diff.contains("NOTES.md") && !diff.contains("canary") && !diff.contains("credentials"), "{diff}");
    for_each_file(w.data(), &mut |path, bytes| {
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found, "a part of the login is in {}", path.display());
    });
    assert_eq!(login.text(), before, "what nobody renewed stays as it is");
    w.finish().await;
}

#[tokio::test]
async fn a_login_that_is_missing_is_said_before_a_container_starts() {
    let login = Login::with_token(TOKEN);
    std::fs::remove_file(login.file()).unwrap();
    let w = login.world(Some("true")).await;
    let said = fails(&w, "login").await;
    assert!(said.starts_with("**hob could not start the agent.**"), "{said}");
    assert!(said.contains("its file `.credentials.json` is not there"), "{said}");
    assert!(said.contains("run `claude login`, or the configured sync command"), "{said}");
    assert!(said.contains("Nothing was changed."), "{said}");
    assert!(!said.contains("host-claude") && !said.contains("/tmp"), "a path of the host in {said}");
    assert_eq!(std::fs::read_dir(w.data().join("runs")).unwrap().count(), 0, "no run was prepared");

    // What it says helps.
    std::fs::write(login.file(), credentials(TOKEN)).unwrap();
    w.alice().comments(1, "/hob work").await;
    w.next_pull_request().await;
    w.next_comment(1).await;
    w.finish().await;
}

#[tokio::test]
async fn neither_key_nor_login_is_said_before_a_container_starts() {
    let w = World::with(|config| config.agent.keys.clear()).await;
    let said = fails(&w, "work").await;
    assert!(said.contains("There is no key for the agent `claude`, nor a login"), "{said}");
    assert!(said.contains("ANTHROPIC_API_KEY") && said.contains("`agent.login_dir`"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_refused_login_is_renewed_by_the_command_and_the_run_made_again() {
    let login = Login::with_token("expired");
    let script = login.renewing();
    let w = login.world(Some(&script)).await;
    let issue = asks(&w, "login").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let runs = records(&w);
    assert_eq!((runs.len(), login.renewals()), (2, 1));
    assert_eq!(runs[0]["end"]["outcome"]["class"], "authentication");
    let renewal = &runs[0]["end"]["renewal"];
    assert_eq!((&renewal["exit_code"], &renewal["timed_out"]), (&0.into(), &false.into()), "{renewal}");
    assert!(renewal["duration_ms"].is_u64() && runs[1]["end"]["renewal"].is_null());
    assert!(runs[0]["end"]["session"].is_string());
    assert_eq!(runs[0]["end"]["session"], runs[1]["end"]["session"], "the session is kept");
    w.finish().await;
}

#[tokio::test]
async fn a_login_that_is_refused_again_ends_the_task() {
    let login = Login::with_token("expired");
    let count = login.beside("count");
    let w = login.world(Some(&format!("echo renewed >>{}", count.display()))).await;
    let said = fails(&w, "login").await;
    assert!(said.starts_with("**The agent could not log in"), "{said}");
    assert!(said.contains("had renewed the login before this try"), "{said}");
    assert_eq!((records(&w).len(), login.renewals()), (2, 1));
    w.finish().await;
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_children_and_said() {
    let login = Login::with_token("expired");
    let pid = login.beside("pid");
    let script = format!("trap '' TERM; sleep 1000 & echo $! >{}; wait; wait", pid.display());
    let w = World::with(|config| {
        login.apply(config);
        config.agent.sync_command = ["sh", "-c", &script].map(str::to_owned).to_vec();
        config.agent.sync_timeout = Duration::from_secs(2);
    })
    .await;
    let said = fails(&w, "login").await;
    assert!(said.starts_with("**The agent could not log in"), "{said}");
    assert!(said.contains("the configured sync command that renews it had not ended after 2 s"), "{said}");
    assert!(said.contains("The workspace is kept"), "{said}");
    let pid = std::fs::read_to_string(pid).unwrap().trim().to_owned();
    w.eventually("the command's child to be dead", async || is_dead(&pid).then_some(())).await;
    assert_eq!(records(&w)[0]["end"]["renewal"]["timed_out"], true);
    w.finish().await;
}

#[tokio::test]
async fn a_command_that_fails_is_said() {
    let login = Login::with_token("expired");
    let w = login.world(Some("exit 3")).await;
    let said = fails(&w, "login").await;
    assert!(said.contains("ended with the exit code 3"), "{said}");
    assert_eq!(records(&w).len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn a_restart_while_the_command_runs_repeats_the_command_and_not_the_retry() {
    let login = Login::with_token("expired");
    let (began, go) = (login.beside("began"), login.beside("go"));
    let script = format!(
        "echo $$ >>{}; while [ ! -e {} ]; do sleep 0.1; done; {}",
        began.display(),
        go.display(),
        login.renewing()
    );
    let mut w = login.world(Some(&script)).await;
    let issue = asks(&w, "login").await;
    let began = || std::fs::read_to_string(&began).unwrap_or_default();
    w.eventually("the command to run", async || began().ends_with('\n').then_some(())).await;
    w.stop_hob().await;
    let first = began().trim().to_owned();
    w.eventually("the command to be gone with hob", async || is_dead(&first).then_some(())).await;
    std::fs::write(go, "").unwrap();
    w.start_hob().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!((records(&w).len(), began().lines().count(), login.renewals()), (2, 2, 1));
    w.finish().await;
}

#[tokio::test]
async fn a_login_that_the_agent_renewed_is_there_for_the_next_run() {
    let login = Login::with_token(TOKEN);
    let w = login.world(None).await;
    let issue = asks(&w, "login-renew").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let renewed = format!("{TOKEN}-renewed");
    assert!(login.text().contains(&renewed), "{}", login.text());
    assert!(login.text().contains("another-canary"), "the rest of the file stays");
    assert_eq!(login.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // In another story, with a home of its own.
    let issue = asks(&w, "login-renew").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(login.text().contains(&format!("{renewed}-renewed")), "{}", login.text());
    w.finish().await;
}

#[tokio::test]
async fn a_login_that_an_agent_made_up_costs_one_run_and_not_the_login() {
    let login = Login::with_token(TOKEN);
    let good = login.text();
    let w = login.world(None).await;
    let issue = w
        .alice()
        .opens_issue("Break the login", &makes_up("bad!-token-0123456789-0123456789-012345678"))
        .await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert!(login.text().contains("bad!-token"), "{}", login.text());
    assert_eq!(std::fs::read_to_string(login.path().join(".credentials.json.before-hob")).unwrap(), good);

    let said = fails(&w, "login").await;
    assert!(said.starts_with("**The agent could not log in"), "{said}");
    assert_eq!(login.text(), good);

    let issue = asks(&w, "login").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(login.text(), good);
    assert_eq!(std::fs::read_dir(login.path()).unwrap().count(), 1, "what was made up is still there");

    // What does not even look like a token changes nothing.
    w.alice().comments(issue, &format!("/hob work {}", makes_up("https://"))).await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(login.text(), good);
    w.finish().await;
}

/// A script of an agent that puts a token of its own in the place of its login's.
fn makes_up(token: &str) -> String {
    format!(
        "[scenario: script]\n```sh\nsed -i 's|\"accessToken\":\"[^\"]*\"|\"accessToken\":\"{token}\"|; \
         s|\"expiresAt\":[0-9]*|\"expiresAt\":'$(($(date +%s) + 28800))'000|' ~/.claude/.credentials.json\n```"
    )
}

#[tokio::test]
async fn a_link_that_the_agent_left_in_the_logins_place_leads_nowhere() {
    let login = Login::with_token(TOKEN);
    let before = login.text();
    let w = login.world(None).await;
    let issue = asks(&w, "login-link").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    assert_eq!(login.text(), before);
    // The next run of the same story finds a login all the same.
    w.alice().comments(issue, "/hob work [scenario: login]").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn the_ssh_agent_is_there_where_it_is_switched_on_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for is_on in [true, false] {
        let w = World::with(|config| {
            config.container.ssh_agent = is_on;
            config.container.ssh_auth_sock = Some(socket.clone());
        })
        .await;
        let issue = asks(&w, "env").await;
        let pull = w.next_pull_request().await;
        let file = w.github.file_at(REPO, &pull.head, "env.md").expect("the agent's file");
        assert_eq!(file.contains("variable: SSH_AUTH_SOCK\n"), is_on, "{file}");
        assert_eq!(file.contains("mount: /run/hob/ssh-agent.sock"), is_on, "{file}");
        w.next_comment(issue).await;
        w.finish().await;
    }
    drop(listener);
    an_ssh_agent_that_is_gone_is_said(&socket).await;
}

async fn an_ssh_agent_that_is_gone_is_said(socket: &Path) {
    std::fs::remove_file(socket).unwrap();
    let w = World::with(|config| {
        config.container.ssh_agent = true;
        config.container.ssh_auth_sock = Some(socket.to_owned());
    })
    .await;
    let said = fails(&w, "work").await;
    assert!(said.contains("Agents are to have an SSH agent") && !said.contains("agent.sock"), "{said}");
    w.finish().await;
}
