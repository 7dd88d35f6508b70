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
            let gone = if github.is_app() { "there is no App of the number github.app_id, or " } else { "" };
            return vec![Wrong(format!("{error}: {gone}{api} is not GitHub's API; see to github.api_url"))];
        }
        Err(error) => {
            let why = match github::answers(api).await {
                Err(why) => format!("does not answer: {why}"),
                Ok(()) => format!("answers: {error}"),
            };
            return vec![Wrong(format!("{api} {why}; see to github.api_url and to the way there"))];
        }
    };
    let mut found = match &access {
        Access::User { login, scopes } => {
            let mut found = vec![Good(format!("{api} answers; hob is {login}"))];
            let is_short =
                |scopes: &Vec<String>| !scopes.iter().any(|scope| scope == "repo" || scope == "public_repo");
            if scopes.as_ref().is_some_and(is_short) {
                found.push(Wrong("the token lacks the scope `repo`; make one that has it".to_owned()));
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
        "see to github.app_id and the private key: the key of another App, or one that was deleted on the App's page, is refused; \
         a clock that is wrong by a minute, too"
    } else {
        "make a new token, and put it in the place of the old one"
    };
    format!("{error}; {remedy}")
}

fn app_found(config: &Config, app: &AppAccess) -> Vec<Found> {
    let page = "on the App's page, under Permissions & events";
    let mut found = vec![Good(format!("{} answers; hob is the App {}", config.github.api_url, app.slug))];
    let permissions = app.granted.missing_permissions();
    if !permissions.is_empty() {
        let missing = permissions.join(", ");
        found.push(Wrong(format!(
            "the App lacks permissions: {missing}; add them {page}, and agree to them where it is installed"
        )));
    }
    let needs_events = config.github.poll.is_none();
    let events = app.granted.missing_events();
    if needs_events && !events.is_empty() {
        found.push(Wrong(format!(
            "the App is not told of: {}; subscribe to these events {page}, or set github.poll",
            events.join(", ")
        )));
    }
    if app.installations.is_empty() {
        found.push(Wrong(
            "the App is installed nowhere; install it on your repositories, on the App's page under Install App".to_owned(),
        ));
    }
    for installation in &app.installations {
        let account = &installation.account;
        if installation.is_suspended {
            found.push(Doubtful(format!(
                "the App is suspended at {account}; lift that in that account's settings, under GitHub Apps"
            )));
            continue;
        }
        let behind = behind(&app.granted, &installation.granted, needs_events);
        if behind.is_empty() {
            found.push(Good(format!("installed at {account}")));
        } else {
            found.push(Wrong(format!(
                "{account} has not agreed to all that the App asks for: {}; agree in that account's settings, under GitHub Apps",
                behind.join(", ")
            )));
        }
    }
    if app.is_public == Some(true) && config.github.allow.is_empty() {
        found.push(Doubtful(
            "every account can install the App, and so use your agent's key; choose \"Only on this account\" on the App's page, under \
             Advanced, or name the owners that hob works for in github.allow"
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
            "the settings name {repo}, and github.allow leaves it out; add it there, or take it out here"
        )));
    }
    Some(match github.may_push_to(repo).await {
        Ok(true) => return None,
        Ok(false) => Wrong(format!("hob's account may not push to {repo}; give it the role Write there")),
        Err(GitHubError::NotFound) => Wrong(format!(
            "GitHub shows hob no repository {repo}, which the settings name; see to its name, and give hob's account access"
        )),
        Err(GitHubError::Forbidden(why)) => {
            Wrong(format!("{why}; install it there, or take {repo} out of the settings"))
        }
        Err(error) => Wrong(format!("{repo}: {error}")),
    })
}

pub(super) async fn git_host(config: &Config) -> Vec<Found> {
    let url = &config.github.git_url;
    vec![match github::answers(url).await {
        Ok(()) => Good(format!("{url} answers")),
        Err(why) => {
            Wrong(format!("{url} does not answer: {why}; see to github.git_url and to the way there"))
        }
    }]
}
