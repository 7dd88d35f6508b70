//! What GitHub lets hob do, and whether the git host is there.

use super::Found::{self, Doubtful, Good, Wrong};
use crate::config::{Config, Credentials};
use crate::github::{self, Access, AppAccess, GitHub, GitHubError, Granted};
use crate::ids::Repo;

pub(super) async fn access(config: &Config) -> Vec<Found> {
    let credentials = match config.github.credentials() {
        Ok(Credentials::App { id, key }) => github::Credentials::App { app_id: id, private_key_pem: key },
        Ok(Credentials::Token(token)) => github::Credentials::Token(token),
        // Told with the settings.
        Err(_) => return Vec::new(),
    };
    let github = match GitHub::new(&config.github.api_url, credentials) {
        Ok(github) => github,
        Err(error) => return vec![Wrong(error.to_string())],
    };
    let api = &config.github.api_url;
    let access = match github.access().await {
        Ok(access) => access,
        Err(error @ GitHubError::Unauthorized(_)) => return vec![Wrong(refused(&error, github.is_app()))],
        Err(error @ GitHubError::NotFound) => {
            let gone = if github.is_app() { "no App has the id in github.app_id, or " } else { "" };
            return vec![Wrong(format!("{error}: {gone}{api} is not GitHub's API; check github.api_url"))];
        }
        Err(error) => {
            let why = match github::answers(api).await {
                Err(why) => format!("does not respond: {why}"),
                Ok(()) => format!("responded with an error: {error}"),
            };
            return vec![Wrong(format!("{api} {why}; check github.api_url and the network"))];
        }
    };
    let mut found = match &access {
        Access::User { login, scopes } => {
            let mut found = vec![Good(format!("{api} responds; hob is signed in as {login}"))];
            let is_short =
                |scopes: &Vec<String>| !scopes.iter().any(|scope| scope == "repo" || scope == "public_repo");
            if scopes.as_ref().is_some_and(is_short) {
                found.push(Wrong("the token lacks the scope `repo`; create a token that has it".to_owned()));
            }
            found
        }
        Access::App(app) => app_found(config, app),
    };
    for repo in named(config) {
        found.extend(repository(config, &github, &repo).await);
    }
    found
}

/// What a refusal of hob's credentials means.
fn refused(error: &GitHubError, is_app: bool) -> String {
    let remedy = if is_app {
        "check github.app_id and the private key: GitHub rejects a key of another App, a key that was deleted on the \
        App's page, and any key if this machine's clock is off by a minute"
    } else {
        "create a new token and replace the old one"
    };
    format!("{error}; {remedy}")
}

fn app_found(config: &Config, app: &AppAccess) -> Vec<Found> {
    let page = "on the App's page, under Permissions & events";
    let mut found =
        vec![Good(format!("{} responds; hob is signed in as the App {}", config.github.api_url, app.slug))];
    let permissions = app.granted.missing_permissions();
    if !permissions.is_empty() {
        let missing = permissions.join(", ");
        found.push(Wrong(format!(
            "the App lacks permissions: {missing}; add them {page}, and accept them wherever the App is installed"
        )));
    }
    let needs_events = config.github.poll.is_none();
    let events = app.granted.missing_events();
    if needs_events && !events.is_empty() {
        found.push(Wrong(format!(
            "the App does not receive the events {}; subscribe to them {page}, or set github.poll",
            events.join(", ")
        )));
    }
    if app.installations.is_empty() {
        found.push(Wrong(
            "the App is not installed anywhere; install it on your repositories, on the App's page under Install App".to_owned(),
        ));
    }
    for installation in &app.installations {
        let account = &installation.account;
        if installation.is_suspended {
            found.push(Doubtful(format!(
                "the App is suspended at {account}; unsuspend it in that account's settings, under GitHub Apps"
            )));
            continue;
        }
        let behind = behind(&app.granted, &installation.granted, needs_events);
        if behind.is_empty() {
            found.push(Good(format!("installed at {account}")));
        } else {
            found.push(Wrong(format!(
                "{account} has not accepted everything that the App requests: {}; accept it in that account's settings, \
                under GitHub Apps",
                behind.join(", ")
            )));
        }
    }
    if app.is_public == Some(true) && config.github.allow.is_empty() {
        found.push(Doubtful(
            "anyone can install the App, and so use your agent's key; choose \"Only on this account\" on the App's page, \
            under Advanced, or list the owners that hob works for in github.allow"
                .to_owned(),
        ));
    }
    found
}

/// What an installation lacks and the App itself has.
fn behind(app: &Granted, installation: &Granted, needs_events: bool) -> Vec<String> {
    let (permissions, events) = (app.missing_permissions(), app.missing_events());
    let mut behind = installation.missing_permissions();
    behind.retain(|name| !permissions.contains(name));
    if needs_events {
        behind.extend(installation.missing_events().into_iter().filter(|name| !events.contains(name)));
    }
    behind
}

/// The repositories that the settings name.
fn named(config: &Config) -> Vec<Repo> {
    let github = &config.github;
    let names = github.repositories.iter().chain(config.repositories.keys()).chain(&github.allow);
    let mut named: Vec<Repo> = Vec::new();
    for repo in names.filter_map(|name| name.parse::<Repo>().ok()) {
        if !named.contains(&repo) {
            named.push(repo);
        }
    }
    named
}

async fn repository(config: &Config, github: &GitHub, repo: &Repo) -> Option<Found> {
    if !config.github.allows(repo) {
        return Some(Wrong(format!(
            "the settings name {repo}, but github.allow does not include it; add it there, or remove it from the settings"
        )));
    }
    Some(match github.may_push_to(repo).await {
        Ok(true) => return None,
        Ok(false) => Wrong(format!("hob's account cannot push to {repo}; give it the role Write there")),
        Err(GitHubError::NotFound) => Wrong(format!(
            "the settings name the repository {repo}, but GitHub does not show it to hob; check its name, and give hob's \
            account access"
        )),
        Err(GitHubError::Forbidden(why)) => {
            Wrong(format!("{why}; install it there, or remove {repo} from the settings"))
        }
        Err(error) => Wrong(format!("{repo}: {error}")),
    })
}

pub(super) async fn git_host(config: &Config) -> Vec<Found> {
    let url = &config.github.git_url;
    vec![match github::answers(url).await {
        Ok(()) => Good(format!("{url} responds")),
        Err(why) => Wrong(format!("{url} does not respond: {why}; check github.git_url and the network")),
    }]
}
