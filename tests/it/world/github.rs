//! A GitHub for the tests: it keeps state in memory, speaks GitHub's REST API and git over HTTP on
//! a real socket, signs its webhooks, and fails on command. Answers are made from the examples in
//! GitHub's own description and checked against its schemas, so a test that passes here has met the
//! shapes of the real one. What it is asked and cannot do is written down as a violation; the world
//! fails a test that leaves any. It decides nothing about hob.
//!
//! The parts: `state` (what GitHub knows), `repository` (bare repositories on disk), `people` (what
//! users do), `look` (what tests read), `webhooks` (out), `routes` with `call`, `issues`, `pulls`
//! and `app` (the REST API), `graphql` (two questions), `checks`, `actions` and `ci` (what looks at
//! commits), `writer` (JSON from examples), `description` (the checks), `account` (tokens),
//! `git_server`, `faults`.

// Not every binary that includes the world uses all of it.
#![allow(dead_code)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

#[path = "github/account.rs"]
mod account;
#[path = "github/actions.rs"]
mod actions;
#[path = "github/app.rs"]
mod app;
#[path = "github/assets.rs"]
mod assets;
#[path = "github/call.rs"]
mod call;
#[path = "github/checks.rs"]
mod checks;
#[path = "github/ci.rs"]
mod ci;
#[path = "github/description.rs"]
mod description;
#[path = "github/events.rs"]
mod events;
#[path = "github/faults.rs"]
mod faults;
#[path = "github/git_server.rs"]
mod git_server;
#[path = "github/graphql.rs"]
mod graphql;
#[path = "github/issues.rs"]
mod issues;
#[path = "github/look.rs"]
mod look;
#[path = "github/people.rs"]
mod people;
#[path = "github/pull_people.rs"]
mod pull_people;
#[path = "github/pulls.rs"]
mod pulls;
#[path = "github/pushes.rs"]
mod pushes;
#[path = "github/refs.rs"]
mod refs;
#[path = "github/repository.rs"]
mod repository;
#[path = "github/reviews.rs"]
mod reviews;
#[path = "github/routes.rs"]
mod routes;
#[path = "github/state.rs"]
mod state;
#[path = "github/sub_issues.rs"]
mod sub_issues;
#[path = "github/webhooks.rs"]
mod webhooks;
#[path = "github/writer.rs"]
mod writer;

#[allow(unused_imports)] // the names of what the calls return, for anyone who wants to write them
pub use self::{
    account::AppCredentials,
    ci::{CheckRunSeen, Job, StatusSeen},
    faults::Fault,
    look::{Comment, Pull},
    pull_people::Merging,
    repository::CommitInfo,
    reviews::{OnLines, ThreadComment, Verdict, on, on_lines},
    routes::RequestLog,
    webhooks::Delivery,
};

/// Where the REST API lives below the server's address, as on GitHub Enterprise Server. The git
/// repositories are beside it, so the two can never be taken for each other.
const API_PREFIX: &str = "/api/v3";
/// Where the GraphQL API lives: beside the REST API.
const GRAPHQL_PATH: &str = "/api/graphql";

/// How long GitHub waits for the answer to a webhook.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A handle on one played GitHub. Clones are the same GitHub. The server lives as long as the tokio
/// runtime it was started on.
#[derive(Clone)]
pub struct GitHub {
    inner: Arc<Inner>,
}

struct Inner {
    /// `http://host:port`, without a slash at the end.
    base: String,
    /// Holds the bare repositories; removed with the last handle.
    root: tempfile::TempDir,
    state: Mutex<state::State>,
    /// Ids of accounts whose login has changed hands, by lower-case login; 0 where nobody has it.
    accounts: Mutex<std::collections::HashMap<String, u64>>,
    /// What hob's own accounts are called where they were renamed.
    own: Mutex<std::collections::HashMap<String, String>>,
    /// Counts changes, so that a test can wait for one.
    changes: watch::Sender<u64>,
    /// Webhooks about what the API was used for, sent after the answer as on the real GitHub.
    outgoing: mpsc::UnboundedSender<webhooks::Outgoing>,
    http: reqwest::Client,
}

impl GitHub {
    /// Starts a GitHub on a free port of the loopback interface.
    pub async fn start() -> GitHub {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts a GitHub on `address`, for a demo that is kept or for containers that must reach it.
    /// Where the address is the unspecified one, its own links say 127.0.0.1.
    pub async fn start_on(address: SocketAddr) -> GitHub {
        let listener = TcpListener::bind(address).await.expect("bind the played GitHub");
        let mut local = listener.local_addr().expect("address of the played GitHub");
        if local.ip().is_unspecified() {
            local.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(WEBHOOK_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("make the HTTP client for webhooks");
        let (outgoing, queue) = mpsc::unbounded_channel();
        let github = GitHub {
            inner: Arc::new(Inner {
                base: format!("http://{local}"),
                root: tempfile::Builder::new().prefix("hob-github-").tempdir().expect("make a folder"),
                state: Mutex::new(state::State::default()),
                accounts: Mutex::default(),
                own: Mutex::default(),
                changes: watch::Sender::new(0),
                outgoing,
                http,
            }),
        };
        tokio::spawn(faults::serve(listener, routes::router(&github)));
        tokio::spawn(webhooks::send_all(github.clone(), queue));
        github
    }

    /// The address of the REST API, without a slash at the end.
    pub fn api_url(&self) -> String {
        format!("{}{API_PREFIX}", self.inner.base)
    }

    /// The address below which `{owner}/{repo}.git` can be cloned, without a slash at the end.
    pub fn git_url(&self) -> String {
        self.inner.base.clone()
    }

    /// The one personal access token; it belongs to the user `hob-bot`.
    pub fn token(&self) -> &str {
        account::PERSONAL_TOKEN
    }

    /// What somebody who set up the GitHub App has in hand. Its account is `hob[bot]`.
    pub fn app(&self) -> AppCredentials {
        AppCredentials::of_the_test_app()
    }

    /// Ends every installation token handed out so far, as if an hour had passed.
    pub fn expire_installation_tokens(&self) {
        self.change(|state| state.installation_tokens.values_mut().for_each(|token| token.expired = true));
    }

    /// Sends webhooks to `url` from now on, as a repository's own webhook: without an installation.
    pub fn send_webhooks_to(&self, url: &str, secret: &str) {
        self.change(|state| state.hook = Some(webhooks::Hook::new(url, secret, false)));
    }

    /// Sends webhooks to `url` from now on, as the App's webhook: each names the installation.
    pub fn send_app_webhooks_to(&self, url: &str, secret: &str) {
        self.change(|state| state.hook = Some(webhooks::Hook::new(url, secret, true)));
    }

    /// Makes a repository with one commit of these files on `main`. Its owner may do everything;
    /// hob's accounts may write; everybody else may read. A file that begins with `#!` is
    /// executable.
    pub async fn create_repo(&self, full_name: &str, files: &[(&str, &str)]) {
        let path = self.repositories().join(format!("{full_name}.git"));
        let repository = state::Repository::new(full_name, path);
        let bare = repository.bare.clone();
        let files = owned(files);
        tokio::task::spawn_blocking(move || {
            bare.create();
            bare.commit("main", &files, "Initial commit", "octocat");
        })
        .await
        .expect("make a repository");
        self.change(|state| {
            let mut repository = repository;
            repository.id += state.created * 1_000_000_007;
            state.created += 1;
            let before = state.repositories.insert(full_name.to_ascii_lowercase(), repository);
            assert!(before.is_none(), "{full_name} exists already");
        });
    }

    /// Any git command in a repository on the server.
    pub fn raw_git(&self, repo: &str, arguments: &[&str], input: Option<&str>) -> String {
        let bare = self.state().repository(repo).bare.clone();
        let out = bare.raw(arguments, input);
        self.announce();
        out
    }

    /// Makes a repository without a commit.
    pub async fn create_empty_repo(&self, full_name: &str) {
        let path = self.repositories().join(format!("{full_name}.git"));
        let repository = state::Repository::new(full_name, path);
        let bare = repository.bare.clone();
        tokio::task::spawn_blocking(move || bare.create()).await.expect("make a repository");
        self.change(|state| state.repositories.insert(full_name.to_ascii_lowercase(), repository));
    }

    /// Gives a repository another name, or another owner. What is asked for under the old name is
    /// sent on, until another repository has it.
    pub fn rename_repo(&self, from: &str, to: &str) {
        self.change(|state| {
            let mut repository =
                state.repositories.remove(&from.to_ascii_lowercase()).expect("the repository");
            let path = self.repositories().join(format!("{to}.git"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
            std::fs::rename(repository.bare.path(), &path).expect("move the repository");
            repository.bare = repository::Bare::at(path);
            repository.full_name = to.to_owned();
            state.repositories.insert(to.to_ascii_lowercase(), repository);
            state.renamed.push((from.to_owned(), to.to_owned()));
        });
    }

    /// The same, told by a webhook: `renamed` or `transferred`, as GitHub calls it.
    pub async fn rename_repo_and_tell(&self, from: &str, to: &str, action: &'static str, who: &str) {
        self.rename_repo(from, to);
        let webhook = webhooks::repository(self, &self.state(), to, action, who);
        self.deliver(webhook).await;
    }

    /// The id of a repository.
    pub fn repo_id(&self, name: &str) -> u64 {
        self.state().repository(name).id
    }

    /// What a repository is called now that was called `name`.
    pub fn now_called(&self, name: &str) -> String {
        let state = self.state();
        let mut now = name.to_owned();
        for (from, to) in &state.renamed {
            if from.eq_ignore_ascii_case(&now) && !state.repositories.contains_key(&now.to_ascii_lowercase())
            {
                now = to.clone();
            }
        }
        now
    }

    /// Deletes a repository with everything in it.
    pub fn delete_repo(&self, full_name: &str) {
        self.change(|state| {
            let gone = state.repositories.remove(&full_name.to_ascii_lowercase()).expect("the repository");
            std::fs::remove_dir_all(gone.bare.path()).expect("remove the repository");
        });
    }

    /// Gives an account another login. Nobody has the old one any more.
    pub fn rename_user(&self, from: &str, to: &str) {
        let id = self.writer().account_id(from);
        let mut accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(to.to_ascii_lowercase(), id);
        accounts.insert(from.to_ascii_lowercase(), 0);
        drop(accounts);
        self.change(|state| {
            for repository in state.repositories.values_mut() {
                if let Some(permission) = repository.permissions.remove(&from.to_ascii_lowercase()) {
                    repository.permissions.insert(to.to_ascii_lowercase(), permission);
                }
            }
        });
    }

    /// Renames hob's own account, the token's or the App's, for anyone who looks from now on.
    pub fn rename_own_account(&self, from: &str, to: &str) {
        let mut own = self.inner.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert(from.to_owned(), to.to_owned());
    }

    /// Gives a login to another account, which may do what `permission` says.
    pub fn reuse_login(&self, repo: &str, login: &str, permission: &str) {
        let id = self.writer().account_id(login) + 1_000_003;
        self.inner
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(login.to_ascii_lowercase(), id);
        self.set_permission(repo, login, permission);
    }

    /// Gives a branch another name as GitHub does: pull requests follow, and so does the default
    /// branch.
    pub fn rename_branch(&self, repo: &str, from: &str, to: &str) {
        self.change(|state| {
            let repository = state.repository_mut(repo);
            let tip = repository.bare.tip(from).expect("the branch");
            repository.bare.set(to, &tip);
            if repository.default_branch == from {
                repository.default_branch = to.to_owned();
                repository.bare.raw(&["symbolic-ref", "HEAD", &format!("refs/heads/{to}")], None);
            }
            repository.bare.remove(from);
            repository.renamed_branches.push((from.to_owned(), to.to_owned()));
            for issue in repository.issues.values_mut() {
                if let Some(part) = issue.pull.as_mut().filter(|part| part.base == from) {
                    part.base = to.to_owned();
                }
            }
        });
    }

    /// Has a repository only be read from now on, or written again.
    pub fn archive_repo(&self, repo: &str, archived: bool) {
        self.change(|state| state.repository_mut(repo).is_archived = archived);
    }

    /// The App is taken off the account and installed again: it has another number there, and its
    /// old tokens are worth nothing.
    pub fn reinstall_app(&self) {
        self.change(|state| {
            state.reinstalled += 1;
            state.installation_tokens.values_mut().for_each(|token| token.expired = true);
        });
    }

    /// Changes what the App asks for: permissions, events, and whether every account can install
    /// it.
    pub fn set_app_page(
        &self,
        permissions: Option<serde_json::Value>,
        events: Option<&[&str]>,
        is_public: bool,
    ) {
        self.change(|state| {
            state.app_page.permissions = permissions;
            state.app_page.events =
                events.map(|events| events.iter().map(|event| (*event).to_owned()).collect());
            state.app_page.is_public = is_public;
        });
    }

    /// The App is installed nowhere.
    pub fn uninstall_app(&self) {
        self.change(|state| state.app_page.is_uninstalled = true);
    }

    /// Sets what `login` may do in `repo`: admin, maintain, write, triage, read or none. hob's own
    /// accounts are `hob-bot` (the token's) and `hob[bot]` (the App's).
    pub fn set_permission(&self, repo: &str, login: &str, permission: &str) {
        let permission: state::Permission = permission.parse().expect("a permission of GitHub's");
        self.change(|state| {
            state.repository_mut(repo).permissions.insert(login.to_ascii_lowercase(), permission);
        });
    }

    /// Lets only those see a repository who have been given a permission.
    pub fn make_private(&self, repo: &str) {
        self.change(|state| state.repository_mut(repo).is_private = true);
    }

    /// Refuses pushes over HTTP to branches that match `pattern` (`main`, `release/*`).
    pub fn protect_branch(&self, repo: &str, pattern: &str) {
        self.change(|state| state.repository_mut(repo).bare.protect(pattern));
    }

    /// Makes the next `times` requests of this method whose path and query contain `path_contains`
    /// fail in the given way. Paths are as in [`RequestLog`]; git requests can be failed too.
    pub fn fault(&self, method: &str, path_contains: &str, fault: Fault, times: usize) {
        self.change(|state| state.faults.add(method, path_contains, fault, times));
    }

    /// Ends all faults, also those that no request has met.
    pub fn end_faults(&self) {
        self.change(|state| state.faults.end());
    }

    /// A receiver that wakes whenever anything here changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Waits until `look` finds something. Panics after `deadline`, naming what was waited for.
    pub async fn until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&GitHub) -> Option<T>,
    ) -> T {
        // Subscribed before the first look, so that no change falls between looking and waiting.
        let mut changes = self.changes();
        let found = tokio::time::timeout(deadline, async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(self) {
                    return found;
                }
                changes.changed().await.expect("the played GitHub is gone");
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited {deadline:?} in vain for {what}"))
    }

    fn repositories(&self) -> std::path::PathBuf {
        self.inner.root.path().join("repositories")
    }

    fn root(&self) -> &Path {
        self.inner.root.path()
    }

    fn state(&self) -> MutexGuard<'_, state::State> {
        self.inner.state.lock().expect("the played GitHub broke earlier")
    }

    /// Changes the state and tells those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut state::State) -> T) -> T {
        let result = change(&mut self.state());
        self.announce();
        result
    }

    fn announce(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    fn writer(&self) -> writer::Writer {
        let accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let own = self.inner.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writer::Writer { api: self.api_url(), web: self.git_url(), accounts, own }
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}
