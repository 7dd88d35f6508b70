//! Routes about accounts: the user, the App and its installation, the repository and who may do
//! what.

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::GitHub;
use super::account::{APP_SLUG, INSTALLATION_ID, INSTALLATION_TOKEN_SECONDS, InstallationToken};
use super::call::{Call, Reply};
use super::state::{Permission, State};
use super::webhooks::Outgoing;
use super::writer::{app_permissions, put, time};

pub(super) fn get_user(github: &GitHub, _: &mut State, call: &Call) -> Reply {
    Reply::new(200, github.writer().private_user(call.actor.login()))
}

pub(super) fn get_app(github: &GitHub, state: &mut State, _: &Call) -> Reply {
    Reply::new(200, with_page(github.writer().app(), state))
}

/// The App, or its installation, as its page says.
fn with_page(mut value: Value, state: &State) -> Value {
    let page = &state.app_page;
    if let Some(permissions) = &page.permissions {
        value["permissions"] = permissions.clone();
    }
    if let Some(events) = &page.events {
        value["events"] = json!(events);
    }
    value
}

/// What everybody may see of an App that every account can install.
pub(super) async fn public_page(Extract(github): Extract<GitHub>, Path(slug): Path<String>) -> Response {
    let state = github.state();
    if !state.app_page.is_public || slug != APP_SLUG {
        return Reply::not_found().into_response();
    }
    Reply::new(200, with_page(github.writer().app(), &state)).into_response()
}

pub(super) fn get_installation(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    Reply::new(200, installation(github, state, call.part("owner")))
}

/// The App's installation, under the number that it has now.
fn installation(github: &GitHub, state: &State, owner: &str) -> Value {
    let mut installation = github.writer().installation(owner);
    installation["id"] = json!(INSTALLATION_ID + state.reinstalled);
    installation
}

/// Hands out a token, limited to what was asked for: asking for more than the App has is refused.
pub(super) fn create_token(_: &GitHub, state: &mut State, call: &Call) -> Reply {
    if call.number("installation_id") != INSTALLATION_ID + state.reinstalled {
        return Reply::not_found();
    }
    let names: Option<Vec<String>> = call.body["repositories"]
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect());
    let exists =
        |name: &String| state.repositories.values().any(|known| known.name().eq_ignore_ascii_case(name));
    if names.as_ref().is_some_and(|names| !names.iter().all(exists)) {
        return Reply::refuse(
            422,
            "There is at least one repository that does not exist or is not accessible.",
        );
    }
    let permissions = match call.body.get("permissions") {
        Some(wanted) if !within(wanted, &app_permissions()) => {
            return Reply::refuse(422, "The permissions requested are not granted to this installation.");
        }
        Some(wanted) => wanted.clone(),
        None => app_permissions(),
    };
    let token = format!("ghs_{}test", Uuid::new_v4().simple());
    let expires = Timestamp::now() + SignedDuration::from_secs(INSTALLATION_TOKEN_SECONDS);
    let selection = if names.is_some() { "selected" } else { "all" };
    let repositories = names;
    state
        .installation_tokens
        .insert(token.clone(), InstallationToken { expires, expired: false, repositories });
    let body = json!({
        "token": token, "expires_at": time(expires), "permissions": permissions,
        "repository_selection": selection,
    });
    Reply::new(201, body)
}

/// Whether every wanted permission is granted, at this level or a higher one.
fn within(wanted: &Value, granted: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(name, level)| match granted[name].as_str() {
        Some("write") => level == "read" || level == "write",
        Some(other) => level == other,
        None => false,
    })
}

/// The App's installations: the one, on the account that owns the first repository.
pub(super) fn list_installations(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let owner = state.repositories.values().next().map(|repository| repository.owner().to_owned());
    let owner = owner.iter().filter(|_| !state.app_page.is_uninstalled);
    let all: Vec<_> = owner.map(|owner| with_page(installation(github, state, owner), state)).collect();
    Reply::page(github, call, &all)
}

/// The repositories that the installation of the token may see.
pub(super) fn list_installed(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let login = call.actor.login();
    let seen = state.repositories.values().filter(|repository| {
        repository.permission(login) >= Permission::Read && call.actor.reaches(repository.name())
    });
    let all: Vec<_> = seen
        .map(|repository| github.writer().full_repository(repository, repository.permission(login)))
        .collect();
    let mut page = Reply::page(github, call, &all);
    page.body = json!({"total_count": all.len(), "repositories": page.body});
    page
}

/// The attempts to deliver the App's webhook, newest first. One that is under way is not on record
/// yet.
pub(super) fn list_deliveries(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let size = call.query.get("per_page").and_then(|text| text.parse().ok()).unwrap_or(30).min(100);
    let before = call.query.get("cursor").map(|cursor| cursor.trim_start_matches("v1_").parse().unwrap_or(0));
    let mut found: Vec<_> = state
        .deliveries
        .iter()
        .rev()
        .filter(|delivery| delivery.of_app && before.is_none_or(|before| delivery.id < before))
        .filter_map(|delivery| Some((delivery, delivery.delivered?)))
        .collect();
    let goes_on = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| goes_on).map(|(delivery, _)| format!("v1_{}", delivery.id));
    let example = super::description::example("GET /app/hook/deliveries")[0].take();
    let written = found.into_iter().map(|(delivery, at)| {
        let mut item = example.clone();
        let status = if (200..300).contains(&delivery.status) { "OK" } else { "failed to connect" };
        let own = json!({
            "id": delivery.id, "guid": delivery.guid, "delivered_at": time(at), "redelivery": delivery.redelivery,
            "status": status, "status_code": delivery.status, "event": delivery.event, "action": delivery.action,
            "installation_id": INSTALLATION_ID, "throttled_at": null,
        });
        put(&mut item, own);
        item
    });
    Reply::with_cursor(github, call, written.collect(), next)
}

/// Sends a delivery again, after the answer.
pub(super) fn attempt_delivery(_: &GitHub, state: &mut State, call: &Call) -> Reply {
    let id = call.number("delivery_id");
    match state.deliveries.iter().find(|delivery| delivery.of_app && delivery.id == id) {
        Some(delivery) => {
            let again = Outgoing::Again(delivery.clone());
            state.outgoing.push(again);
            Reply::new(202, json!({}))
        }
        None => Reply::not_found(),
    }
}

pub(super) fn get_repository(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let permission = repository.permission(call.actor.login());
    Reply::new(200, github.writer().full_repository(repository, permission))
}

pub(super) fn get_permission(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let login = call.part("username");
    if github.writer().account_id(login) == 0 {
        return Reply::not_found();
    }
    let permission = state.repository(&call.repository()).permission(login);
    // GitHub's example lacks this field of the user, which its schema wants.
    let mut user = github.writer().user(login);
    user["role_name"] = json!(permission.role());
    let body = json!({"permission": permission.legacy(), "role_name": permission.role(), "user": user});
    Reply::new(200, body)
}
