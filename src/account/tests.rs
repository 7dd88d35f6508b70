//! Logins on a real disk, with what a hostile agent could leave in its home.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use nix::sys::stat::Mode;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// A login on the host, a home of an agent's, and a canary outside of both.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(scene.login()).unwrap();
        std::fs::create_dir_all(scene.home()).unwrap();
        std::fs::write(scene.credentials(), claude("good", now())).unwrap();
        std::fs::write(scene.canary(), "alive").unwrap();
        scene
    }

    fn login(&self) -> PathBuf {
        self.folder.path().join("me/.claude")
    }

    fn credentials(&self) -> PathBuf {
        self.login().join(".credentials.json")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn in_home(&self) -> PathBuf {
        self.home().join(".claude/.credentials.json")
    }

    fn canary(&self) -> PathBuf {
        self.folder.path().join("canary")
    }

    fn copy_in(&self) -> anyhow::Result<()> {
        Login::read(&self.login(), AgentKind::Claude).unwrap().copy_in(&self.home(), own())
    }

    fn take_back(&self) -> Vec<&'static str> {
        take_back(&self.home(), AgentKind::Claude, &self.login()).unwrap()
    }

    fn canary_is_alive(&self) -> bool {
        std::fs::read_to_string(self.canary()).unwrap() == "alive"
    }

    /// The name of the token on the host.
    fn token(&self) -> String {
        token_in(&self.credentials())
    }

    /// That of the one that is kept beside it.
    fn kept(&self) -> Option<String> {
        let kept = self.login().join(".credentials.json.before-hob");
        kept.exists().then(|| token_in(&kept))
    }

    /// An agent leaves this in its home, and its run ends.
    fn leaves(&self, token: &str, hours: i64) {
        self.copy_in().unwrap();
        std::fs::write(self.in_home(), claude(token, now() + hours * HOUR_MS)).unwrap();
        assert_eq!(self.take_back(), [".credentials.json"]);
    }

    /// What a run that began just now says of the login.
    fn judge(&self, has_worked: bool) -> Vec<&'static str> {
        judge(&self.login(), AgentKind::Claude, Timestamp::now(), has_worked).unwrap()
    }
}

fn own() -> (u32, u32) {
    (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A login with a token of this name, as long as a real one.
fn claude(name: &str, expires_at: i64) -> String {
    json!({"claudeAiOauth": {"accessToken": format!("{name:.<60}"), "refreshToken": "r", "expiresAt": expires_at}})
        .to_string()
}

fn token_in(path: &Path) -> String {
    let content: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    content["claudeAiOauth"]["accessToken"].as_str().unwrap().trim_end_matches('.').to_owned()
}

fn a_minute_ago() -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_secs(60)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_login_is_copied_in_for_the_agent_alone_and_taken_out_again() {
    let scene = Scene::new();
    // Beside the folder, as the real program keeps it.
    std::fs::write(scene.folder.path().join("me/.claude.json"), r#"{"userID":"u","projects":{}}"#).unwrap();
    scene.copy_in().unwrap();
    assert_eq!((mode(&scene.in_home()), mode(&scene.home().join(".claude.json"))), (0o600, 0o600));
    assert_eq!(
        std::fs::read_to_string(scene.in_home()).unwrap(),
        std::fs::read_to_string(scene.credentials()).unwrap()
    );
    assert_eq!(std::fs::read_to_string(scene.home().join(".claude.json")).unwrap(), r#"{"userID":"u"}"#);
    // Again, over what is there.
    scene.copy_in().unwrap();
    assert_eq!(scene.take_back(), Vec::<&str>::new());
    assert!(!scene.in_home().exists());
    assert_eq!(scene.token(), "good");
}

#[test]
fn each_kind_of_login_finds_its_place() {
    let token = json!("a-token-that-is-long-enough");
    for (kind, name, content, target) in [
        (AgentKind::Codex, "auth.json", json!({"tokens": {"access_token": token}}), ".codex/auth.json"),
        (AgentKind::Gemini, "oauth_creds.json", json!({"access_token": token}), ".gemini/oauth_creds.json"),
        (
            AgentKind::OpenCode,
            "auth.json",
            json!({"openai": {"type": "api", "key": token}}),
            ".local/share/opencode/auth.json",
        ),
    ] {
        let scene = Scene::new();
        std::fs::write(scene.login().join(name), content.to_string()).unwrap();
        let login = Login::read(&scene.login(), kind).unwrap();
        let secrets: Vec<String> = login.secrets().iter().map(|s| s.expose_secret().to_owned()).collect();
        assert_eq!(secrets, ["a-token-that-is-long-enough"]);
        login.copy_in(&scene.home(), own()).unwrap();
        assert_eq!(mode(&scene.home().join(target)), 0o600, "{kind}");
    }
    assert!(has_login(AgentKind::Claude) && !has_login(AgentKind::Command));
}

#[test]
fn a_login_that_cannot_be_used_says_why() {
    let scene = Scene::new();
    let fault = || Login::read(&scene.login(), AgentKind::Claude).unwrap_err().fault;
    std::fs::write(scene.credentials(), "{ not json, but sk-secret").unwrap();
    let error = Login::read(&scene.login(), AgentKind::Claude).unwrap_err();
    assert_eq!(error.fault, LoginFault::NotALogin);
    assert!(!error.to_string().contains("sk-secret"), "{error}");
    std::fs::write(scene.credentials(), r#"{"claudeAiOauth":{}}"#).unwrap();
    assert_eq!(fault(), LoginFault::NotALogin);
    std::fs::remove_file(scene.credentials()).unwrap();
    assert_eq!(fault(), LoginFault::Missing);
    nix::unistd::mkfifo(&scene.credentials(), Mode::S_IRWXU).unwrap();
    assert_eq!(fault(), LoginFault::Unreadable);
}

#[test]
fn tokens_that_the_agent_renewed_are_copied_back_once() {
    let scene = Scene::new();
    std::fs::set_permissions(scene.credentials(), std::fs::Permissions::from_mode(0o644)).unwrap();
    scene.copy_in().unwrap();
    std::fs::write(scene.in_home(), claude("renewed", now() + HOUR_MS)).unwrap();
    assert_eq!(scene.take_back(), [".credentials.json"]);
    assert_eq!((scene.token().as_str(), mode(&scene.credentials())), ("renewed", 0o600));
    assert_eq!(scene.take_back(), Vec::<&str>::new());
    let kept = scene.login().join(".credentials.json.before-hob");
    assert_eq!((scene.kept().as_deref(), mode(&kept)), (Some("good"), 0o600));
    // It has worked, and nothing of ours stays in the operator's folder.
    assert_eq!(scene.judge(true), Vec::<&str>::new());
    assert_eq!(std::fs::read_dir(scene.login()).unwrap().count(), 1);
    assert_eq!(scene.token(), "renewed");
}

#[test]
fn a_renewed_login_that_is_refused_makes_room_for_the_one_before_and_neither_is_lost() {
    let scene = Scene::new();
    assert_eq!(scene.judge(false), Vec::<&str>::new(), "there is no other");
    scene.leaves("made-up", 1);
    scene.leaves("made-up-again", 2);
    assert_eq!((scene.token().as_str(), scene.kept().as_deref()), ("made-up-again", Some("good")));
    // A run that had the login before says nothing of this one.
    for has_worked in [true, false] {
        let put_back = judge(&scene.login(), AgentKind::Claude, a_minute_ago(), has_worked).unwrap();
        assert_eq!((put_back, scene.kept().as_deref()), (Vec::new(), Some("good")));
    }
    let file = File::options().write(true).open(scene.credentials()).unwrap();
    file.set_modified((a_minute_ago() - jiff::SignedDuration::from_secs(60)).into()).unwrap();
    let put_back = judge(&scene.login(), AgentKind::Claude, a_minute_ago(), false).unwrap();
    assert_eq!(put_back, [".credentials.json"]);
    assert_eq!((scene.token().as_str(), scene.kept().as_deref()), ("good", Some("made-up-again")));
    // hob was killed before the task had moved on, and looks again.
    assert_eq!(judge(&scene.login(), AgentKind::Claude, a_minute_ago(), false).unwrap(), Vec::<&str>::new());
    assert_eq!(scene.token(), "good");
    // The one who said that it was refused may have lied.
    assert_eq!(scene.judge(false), [".credentials.json"]);
    assert_eq!((scene.token().as_str(), scene.kept().as_deref()), ("made-up-again", Some("good")));
    scene.judge(false);
    scene.judge(true);
    assert_eq!((scene.token().as_str(), scene.kept()), ("good", None));
}

#[test]
fn a_login_that_the_operator_keeps_behind_a_link_stays_behind_it() {
    let scene = Scene::new();
    let real = scene.folder.path().join("vault.json");
    std::fs::rename(scene.credentials(), &real).unwrap();
    symlink(&real, scene.credentials()).unwrap();
    scene.copy_in().unwrap();
    std::fs::write(scene.in_home(), claude("renewed", now() + HOUR_MS)).unwrap();
    assert_eq!(scene.take_back(), [".credentials.json"]);
    assert!(scene.credentials().is_symlink() && std::fs::read_to_string(real).unwrap().contains("renewed"));
}

#[test]
fn a_link_in_place_of_the_file_is_replaced_and_not_followed() {
    let scene = Scene::new();
    scene.copy_in().unwrap();
    for target in [scene.canary(), PathBuf::from("../../canary"), PathBuf::from("/proc/self/mem")] {
        std::fs::remove_file(scene.in_home()).unwrap();
        symlink(target, scene.in_home()).unwrap();
        scene.copy_in().unwrap();
        assert!(scene.in_home().symlink_metadata().unwrap().is_file() && scene.canary_is_alive());
    }
}

#[test]
fn a_link_that_waits_for_the_new_file_is_not_written_through() {
    let scene = Scene::new();
    std::fs::create_dir(scene.home().join(".claude")).unwrap();
    for folder in [scene.home(), scene.home().join(".claude")] {
        symlink(scene.canary(), folder.join(".hob-login.new")).unwrap();
    }
    scene.copy_in().unwrap();
    assert!(scene.canary_is_alive() && scene.in_home().is_file());
}

#[test]
fn anything_but_a_folder_in_place_of_the_folder_is_refused() {
    let scene = Scene::new();
    let outside = scene.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let folder = scene.home().join(".claude");
    let plant: [&dyn Fn(); 3] = [
        &|| symlink(&outside, &folder).unwrap(),
        &|| symlink(scene.folder.path().join("not there"), &folder).unwrap(),
        &|| std::fs::write(&folder, "").unwrap(),
    ];
    for plant in plant {
        plant();
        let error = scene.copy_in().unwrap_err();
        assert_eq!(error.downcast_ref::<Obstructed>().unwrap().path, ".claude");
        std::fs::remove_file(&folder).unwrap();
    }
    // A folder where the file must be is in the way too.
    std::fs::create_dir_all(scene.in_home().join("x")).unwrap();
    assert!(scene.copy_in().unwrap_err().is::<Obstructed>());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!scene.folder.path().join("not there").exists());
}

#[test]
fn nothing_but_a_regular_file_of_the_home_is_taken_back() {
    let scene = Scene::new();
    let elsewhere = scene.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    // A login of somebody else's that hob could read and the agent could not.
    std::fs::write(elsewhere.join(".credentials.json"), claude("stolen", now() + HOUR_MS)).unwrap();
    let plant: [&dyn Fn(); 5] = [
        &|| symlink(elsewhere.join(".credentials.json"), scene.in_home()).unwrap(),
        &|| nix::unistd::mkfifo(&scene.in_home(), Mode::S_IRWXU).unwrap(),
        &|| std::fs::create_dir(scene.in_home()).unwrap(),
        &|| std::fs::write(scene.in_home(), claude(&"x".repeat(2 << 20), now() + HOUR_MS)).unwrap(),
        &|| {
            std::fs::remove_dir_all(scene.home().join(".claude")).unwrap();
            symlink(&elsewhere, scene.home().join(".claude")).unwrap();
        },
    ];
    for plant in plant {
        let _ = std::fs::remove_dir_all(scene.home());
        std::fs::create_dir_all(scene.home().join(".claude")).unwrap();
        plant();
        assert_eq!(scene.take_back(), Vec::<&str>::new());
        assert_eq!(scene.token(), "good");
    }
    assert!(elsewhere.join(".credentials.json").exists(), "nothing outside is removed");
}

#[test]
fn what_the_agent_makes_up_is_not_taken_back() {
    let scene = Scene::new();
    let in_a_year = json!({"claudeAiOauth": {"accessToken": "https://", "refreshToken": "x", "expiresAt": now() + 399 * 24 * HOUR_MS}});
    let soon = json!({"claudeAiOauth": {"accessToken": "https://", "refreshToken": "x", "expiresAt": now() + HOUR_MS}});
    for text in [
        "",
        "not json",
        "[]",
        r#"{"claudeAiOauth":{"expiresAt":9e18}}"#,
        &in_a_year.to_string(),
        &soon.to_string(),
        &claude("two words", now() + HOUR_MS),
    ] {
        scene.copy_in().unwrap();
        std::fs::write(scene.in_home(), text).unwrap();
        assert_eq!(scene.take_back(), Vec::<&str>::new(), "{text}");
        assert_eq!(scene.token(), "good");
    }
}

#[test]
fn of_two_runs_that_renewed_the_login_the_later_token_stays() {
    let scene = Scene::new();
    let homes: Vec<PathBuf> = (0..8).map(|n| scene.folder.path().join(format!("home-{n}"))).collect();
    for (n, home) in homes.iter().enumerate() {
        std::fs::create_dir_all(home.join(".claude")).unwrap();
        let text = claude(&format!("token-{n}"), now() + HOUR_MS + n as i64 * HOUR_MS);
        std::fs::write(home.join(".claude/.credentials.json"), text).unwrap();
    }
    std::thread::scope(|scope| {
        for home in &homes {
            scope.spawn(|| take_back(home, AgentKind::Claude, &scene.login()).unwrap());
        }
    });
    assert_eq!(scene.token(), "token-7");
}

#[test]
fn a_file_that_another_agents_cli_needs_is_made_and_what_is_there_stays() {
    let scene = Scene::new();
    let ensure = || ensure_file(&scene.home(), ".gemini/settings.json", "{}", own()).unwrap();
    let file = scene.home().join(".gemini/settings.json");
    ensure();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    std::fs::write(&file, "the agent's own").unwrap();
    ensure();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the agent's own");

    // Links that lead out, to a file and to a folder, are left alone.
    std::fs::remove_file(&file).unwrap();
    symlink(scene.folder.path().join("made"), &file).unwrap();
    ensure();
    std::fs::remove_dir_all(scene.home().join(".gemini")).unwrap();
    symlink(scene.login(), scene.home().join(".gemini")).unwrap();
    ensure();
    assert!(!scene.folder.path().join("made").exists() && !scene.login().join("settings.json").exists());
    assert!(scene.canary_is_alive());
}
