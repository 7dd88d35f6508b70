//! What an operator sees of hob: its log, its commands, what it says about settings that cannot
//! work.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::hob::config::Config;
use ::hob::serve::GRACE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr};

use crate::world::github::Fault;
use crate::world::{REPO, SECRET, World, hob, image};

/// What the machine may add to a bound.
const SLACK: Duration = Duration::from_secs(6);

/// Reads the log until hob listens, and sends GitHub's webhooks there.
async fn listening(w: &World, log: &mut BufReader<ChildStderr>) {
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(log.read_line(&mut line).await.expect("a log") > 0, "hob ended");
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["fields"]["message"] == "hob is listening" {
            break entry["fields"]["address"].as_str().expect("an address").to_owned();
        }
    };
    w.github.send_webhooks_to(&format!("http://{address}/webhook"), SECRET);
}

/// hob takes a delivery, and does what comes of it.
async fn works(w: &World, guid: &str) {
    let body = br#"{"zen":"Keep it logically awesome."}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("ping", guid, body, Some(signature)).await, 202);
}

async fn stops(w: &World, hob: &mut Child, signal: Signal) {
    let began = Instant::now();
    kill(Pid::from_raw(hob.id().expect("it runs").cast_signed()), signal).expect("a signal");
    let longest = w.config.work.drain + GRACE + SLACK;
    let ended = tokio::time::timeout(longest, hob.wait()).await.expect("hob ends in time");
    assert_eq!(ended.expect("its end").code(), Some(0));
    assert!(began.elapsed() < longest);
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_stops_neither_work_nor_a_stop() {
    let w = World::prepare(|config| config.work.drain = Duration::from_secs(1)).await;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut hob = hob::spawn_logging_to(w.folder(), &w.config, "debug", Stdio::piped());
        let mut log = BufReader::new(hob.stderr.take().expect("a log"));
        listening(&w, &mut log).await;
        drop(log);
        for n in 0..5 {
            works(&w, &format!("guid-{signal}-{n}")).await;
        }
        // Turned away, which hob logs.
        assert_eq!(w.github.send_raw("ping", "guid-bad", b"{}".to_vec(), None).await, 400);
        works(&w, &format!("guid-{signal}-last")).await;
        stops(&w, &mut hob, signal).await;
    }
    w.finish().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_work_nor_a_stop() {
    let w = World::prepare(|config| config.work.drain = Duration::from_secs(1)).await;
    let mut hob = hob::spawn_logging_to(w.folder(), &w.config, "trace", Stdio::piped());
    let mut log = BufReader::new(hob.stderr.take().expect("a log"));
    listening(&w, &mut log).await;
    // More than a pipe holds.
    for n in 0..100 {
        works(&w, &format!("guid-{n}")).await;
    }
    stops(&w, &mut hob, Signal::SIGTERM).await;
    drop(log);
    w.finish().await;
}

#[tokio::test]
async fn what_a_command_says_may_be_left_unread() {
    let w = World::start().await;
    let copy = w.folder().join("copy.db");
    let with_settings: [&[&str]; 7] = [
        &["check"],
        &["status"],
        &["status", "--json"],
        &["backup", copy.to_str().unwrap()],
        &["retry", "--all"],
        &["replay", "guid-of-nothing"],
        &["replay", "guid-1"],
    ];
    let body = br#"{"action":"labeled"}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("issues", "guid-1", body, Some(signature)).await, 202);
    w.quiet().await;
    for unheard in [false, true] {
        for arguments in with_settings {
            let (code, said) = hob::run_unheard(w.folder(), Some(&w.config), arguments, unheard).await;
            assert!(
                matches!(code, Some(0 | 1)) && !said.contains("panicked"),
                "{arguments:?}: {code:?} {said}"
            );
        }
        let without: [&[&str]; 7] = [
            &["schema"],
            &["config", "reference"],
            &["--help"],
            &["help", "serve"],
            &["--version"],
            &["serve", "--nonsense"],
            &[],
        ];
        for arguments in without {
            let (code, said) = hob::run_unheard(w.folder(), None, arguments, unheard).await;
            assert!(
                matches!(code, Some(0 | 2)) && !said.contains("panicked"),
                "{arguments:?}: {code:?} {said}"
            );
        }
    }
    w.quiet().await;
    w.finish().await;
}

#[tokio::test]
async fn check_tells_everything_that_is_wrong_at_once() {
    let w = World::prepare(|_| {}).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = w.folder().join("hob.toml");
    let text = format!(
        r#"[server]
listen = "{taken}"
[data]
dir = "/etc/passwd/hob"
[github]
api_url = "{api}"
git_url = "http://127.0.0.1:9"
token = "{token}"
token_file = "/nowhere/token"
webhook_secret = "x"
repositories = ["acme/nothing", "acme/tool"]
[agent]
fallback = ["codex"]
key_files = {{ OPENAI_API_KEY = "~/key" }}
[container]
image = "not-there:1"
network = "nowhere"
[work]
parallel = 0
paralel = 3
[keep]
runs = "soon"
"#,
        taken = taken.local_addr().unwrap(),
        api = w.github.api_url(),
        token = w.github.token(),
    );
    std::fs::write(&file, text).unwrap();
    let (code, said) = hob::run_by(Some(&file), &[("DOCKER_HOST", "")], &["check"], |_| {}).await;
    assert_eq!(code, Some(1), "{said}");
    let at = |line: usize| format!("NOT ok: {}:{line}: ", file.display());
    for wanted in [
        at(9) + "`github.token_file` is set together with github.token; use only one of the two",
        at(9) + "`github.token_file` names /nowhere/token: the file does not exist; use a file that hob's user can read",
        "NOT ok: github.webhook_secret has only 1 characters".to_owned(),
        at(14) + "`agent.key_files.OPENAI_API_KEY` is ~/key, but hob does not expand `~`; use the full path",
        at(19) + "`work.parallel` is 0; use 1 or more",
        at(20) + "unknown key `work.paralel`; did you mean `work.parallel`?",
        at(22) + "`keep.runs`: `soon` is not an age",
        "data folder     NOT ok: /etc/passwd/hob does not exist, and hob's user cannot create it".to_owned(),
        format!("address         NOT ok: another program is listening at {}", taken.local_addr().unwrap()),
        "NOT ok: Docker has no network `nowhere`, which container.network names; create it: `docker network create nowhere`".to_owned(),
        "NOT ok: Docker has no image `not-there:1` for the agent claude, and hob does not pull images".to_owned(),
        "NOT ok: agent.fallback or a repository names the agent codex, but container.images has no image for it".to_owned(),
        "NOT ok: claude: none of ANTHROPIC_API_KEY".to_owned(),
        "NOT ok: codex: none of ".to_owned(),
        "NOT ok: the settings name the repository acme/nothing, but GitHub does not show it to hob".to_owned(),
        "git host        NOT ok: http://127.0.0.1:9 does not respond".to_owned(),
        "WARNING: ".to_owned() + &file.display().to_string() + " holds a secret, and every user of this machine can read it",
    ] {
        assert!(said.contains(&wanted), "no {wanted:?} in\n{said}");
    }
    assert!(!said.contains("repository acme/tool"), "{said}");
    assert!(said.ends_with(" problems found; hob cannot work with these settings.\n"), "{said}");
    // A port that is taken is told in the same words where nothing else is wrong.
    let (listen, api) = (taken.local_addr().unwrap().to_string(), w.github.api_url());
    let data = w.data().display().to_string();
    let environment = [
        ("HOB_LISTEN", listen.as_str()),
        ("WEBHOOK_SECRET", SECRET),
        ("HOB_GITHUB_TOKEN", w.github.token()),
        ("HOB_GITHUB_API_URL", &api),
        ("HOB_DATA_DIR", &data),
    ];
    let (code, said) = hob::run_by(None, &environment, &["serve"], |_| {}).await;
    let told = format!("hob: another program is listening at {listen}");
    assert!(code == Some(1) && said.contains(&told), "{said}");
    // And a hob that is to serve tells all of the settings.
    let (code, said) = hob::run_by(Some(&file), &[], &["serve"], |_| {}).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("hob: 6 errors in the settings:\n"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn of_settings_that_are_not_toml_check_tells_every_line_and_looks_no_further() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hob.toml");
    std::fs::write(&file, "[github]\nlabel = hob\nlabel = \"hob\"\n[work\nparallel = 2\n").unwrap();
    let (code, said) = hob::run_by(Some(&file), &[], &["check"], |_| {}).await;
    assert_eq!(code, Some(1), "{said}");
    for line in [2, 3, 4] {
        assert!(said.contains(&format!("configuration   NOT ok: {}:{line}: ", file.display())), "{said}");
    }
    assert!(said.ends_with("\nThe settings could not be read, so nothing else was checked.\n"), "{said}");
    for (filter, code) in [("loud", 1), ("debug", 0)] {
        let schema = hob::run_by(None, &[("HOB_LOG", filter)], &["schema"], |_| {}).await;
        assert_eq!(schema.0, Some(0));
        let (found, said) = hob::run_by(None, &[("HOB_LOG", filter)], &["check"], |_| {}).await;
        let is_told = said.contains("`HOB_LOG`: `loud` has no valid level");
        assert!(is_told == (code == 1) && found == Some(1), "{said}");
    }
}

#[tokio::test]
async fn check_finds_nothing_wrong_where_everything_is_there() {
    let w = World::prepare_app(|_| {}).await;
    let (code, said) = w.command(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    for part in ["hob is signed in as the App hob", "installed at acme", "git host        ok: ", " exists\n"]
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains("WARNING"), "{said}");
    assert!(!w.data().exists(), "a check makes nothing");
    w.finish().await;
}

#[tokio::test]
async fn check_tells_what_an_app_lacks() {
    let w = World::prepare_app(|_| {}).await;
    let permissions = serde_json::json!({"issues": "read", "metadata": "read", "contents": "write"});
    w.github.set_app_page(Some(permissions), Some(&["issues", "push"]), true);
    let (code, said) = w.command(&["check"]).await;
    assert_eq!(code, Some(1), "{said}");
    for wanted in [
        "NOT ok: the App lacks permissions: Issues (read and write), Pull requests (read and write), Checks (read and write), \
         Commit statuses (read), Actions (read); add them on the App's page",
        "NOT ok: the App does not receive the events Issue comment, Pull request, Pull request review, Check run, Status, Workflow run; subscribe",
        "WARNING: anyone can install the App, and so use your agent's key",
    ] {
        assert!(said.contains(wanted), "no {wanted:?} in {said}");
    }
    w.github.set_app_page(None, None, false);
    w.github.uninstall_app();
    let (code, said) = w.command(&["check"]).await;
    assert!(
        code == Some(1) && said.contains("NOT ok: the App is not installed anywhere; install it"),
        "{said}"
    );
    w.finish().await;
}

#[tokio::test]
async fn check_tells_who_may_not_use_docker_and_who_was_refused_by_github() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("*** SKIPPED: only root can be somebody else for this test ***");
        return;
    }
    let w = World::prepare(|_| {}).await;
    w.github.fault("GET", "/user", Fault::Status(401, vec![]), 1);
    let api = w.github.api_url();
    let folder = tempfile::tempdir().unwrap();
    // The program where everybody may run it.
    let program = folder.path().join("hob");
    std::fs::copy(hob::binary(), &program).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = tokio::process::Command::new(&program)
        .args(["check"])
        .current_dir("/")
        .envs([
            ("HOB_GITHUB_TOKEN", w.github.token()),
            ("WEBHOOK_SECRET", SECRET),
            ("HOB_GITHUB_API_URL", &api),
        ])
        .env("HOB_DATA_DIR", folder.path().join("data"))
        .uid(65_534)
        .gid(65_534)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for wanted in [
        "docker          NOT ok: docker does not respond: hob's user may not use its socket, probably because it is not in the group `docker`",
        "github          NOT ok: GitHub rejects hob's credentials",
        "; create a new token and replace the old one",
        "data folder     NOT ok: ",
    ] {
        assert!(said.contains(wanted), "no {wanted:?} in {said}");
    }
    w.finish().await;
}

#[tokio::test]
async fn check_tells_of_folders_that_docker_does_not_see() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("*** SKIPPED: only root can mount a disk for this test ***");
        return;
    }
    let w = World::prepare(|_| {}).await;
    std::fs::create_dir_all(w.data()).unwrap();
    // The folder is there for Docker too, but it is another one, as for a hob in a container.
    let file = w.folder().join("hob.toml");
    let text = format!(
        "[data]\ndir = {:?}\n[github]\napi_url = {:?}\n[container]\nimage = {:?}\n",
        w.data(),
        w.github.api_url(),
        image()
    );
    std::fs::write(&file, text).unwrap();
    let script =
        format!("mount -t tmpfs none {:?} && exec {:?} check --config {:?}", w.data(), hob::binary(), file);
    let output = tokio::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .envs([("HOB_GITHUB_TOKEN", w.github.token()), ("WEBHOOK_SECRET", SECRET)])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted =
        format!("NOT ok: Docker does not see the files that hob puts into {}, data.dir,", w.data().display());
    assert!(said.contains(&wanted) && !said.contains("/dev/shm"), "{said}");
    let (_, said) = w.command(&["check"]).await;
    assert!(!said.contains("Docker does not see"), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn a_token_that_github_refuses_is_told_everywhere() {
    let w = World::prepare(|_| {}).await;
    w.github.fault("GET", "/user", Fault::Status(401, vec![]), 1);
    let hob = w.start_program().await;
    let words = "Until then, hob does no work. Replace the token with a new one";
    w.eventually("hob to tell", async || w.log().contains(words).then_some(())).await;
    assert!(w.log().contains(r#""level":"ERROR""#), "{}", w.log());
    let (code, said) = w.command(&["status"]).await;
    assert!(
        code == Some(1) && said.starts_with("NO ACCESS TO GITHUB for ") && said.contains(words),
        "{code:?} {said}"
    );
    let ready = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = ready.get(format!("http://{}/readyz", hob.address())).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(answer.text().await.unwrap(), "store: ok\ndocker: ok\ngithub: not ready\n");
    assert_eq!(hob.terminate().await, Some(0));

    let hob = w.start_program().await;
    w.eventually("hob to be let in", async || {
        let (code, said) = w.command(&["status"]).await;
        (code == Some(0) && !said.contains("NO ACCESS TO GITHUB")).then_some(())
    })
    .await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn hob_works_for_those_that_the_settings_allow() {
    let w =
        World::with(|config| config.github.allow = vec!["other".to_owned(), "acme/else".to_owned()]).await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.alice().comments(issue, "/hob help").await;
    w.quiet().await;
    let labeled = w.github.deliveries().into_iter().find(|d| d.action.as_deref() == Some("labeled")).unwrap();
    let recorded = w.store().recorded_delivery(&labeled.guid).await.unwrap().expect("it came");
    assert_eq!(recorded.note.as_deref(), Some("github.allow does not include acme/tool"));
    assert!(w.github.issue_reactions(REPO, issue).is_empty() && w.said(issue).is_empty());
    w.finish().await;

    let w = World::with(|config| config.github.allow = vec!["ACME".to_owned()]).await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: nothing]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn store_and_logs_are_for_their_owner_alone() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.quiet().await;
    let mut looked = 0;
    let mut look = |path: &std::path::Path, _: &[u8]| {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:04o}", path.display());
        looked += 1;
    };
    hob::for_each_file(&w.data().join("runs"), &mut look);
    for name in ["hob.db", "hob.db-wal", "hob.db-shm"] {
        look(&w.data().join(name), b"");
    }
    assert!(looked > 6, "only {looked} files");
    w.finish().await;
}

/// How often the threads of a process have given the processor up by themselves.
fn wake_ups(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let of = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let read = |folder: std::fs::DirEntry| std::fs::read_to_string(folder.path().join("status")).ok();
    threads.flatten().filter_map(read).map(of).sum()
}

/// A loop that looks every 100 ms wakes ten times a second by itself. Load makes a process
/// wake later, not more often.
#[tokio::test]
async fn an_idle_hob_sleeps() {
    const WATCHED: Duration = Duration::from_secs(5);
    const MAX_PER_SECOND: u64 = 5;
    let w = World::prepare(|config| {
        let usual = Config::default();
        config.work = usual.work;
        config.github.recheck = usual.github.recheck;
        config.github.status_every = usual.github.status_every;
    })
    .await;
    let hob = w.start_program().await;
    works(&w, "a-delivery").await;
    let mut quietest = u64::MAX;
    for _ in 0..3 {
        let before = wake_ups(hob.pid());
        tokio::time::sleep(WATCHED).await;
        quietest = quietest.min(wake_ups(hob.pid()).saturating_sub(before) / WATCHED.as_secs());
    }
    assert!(quietest <= MAX_PER_SECOND, "an idle hob woke {quietest} times a second");
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}
