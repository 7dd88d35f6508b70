//! Routes about accounts: the user, the App and its installation, the repository and who may do what.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::GitHub;
use super::account::{INSTALLATION_ID, INSTALLATION_TOKEN_SECONDS, InstallationToken};
use super::call::{Call, Reply};
use super::state::State;
use super::writer::{app_permissions, time};

pub(super) fn get_user(github: &GitHub, _: &mut State, call: &Call) -> Reply {
    Reply::new(200, github.writer().private_user(call.actor.login()))
}

pub(super) fn get_app(github: &GitHub, _: &mut State, _: &Call) -> Reply {
    Reply::new(200, github.writer().app())
}

pub(super) fn get_installation(github: &GitHub, _: &mut State, call: &Call) -> Reply {
    Reply::new(200, github.writer().installation(call.part("owner")))
}

/// Hands out a token, limited to what was asked for: asking for more than the App has is refused.
pub(super) fn create_token(_: &GitHub, state: &mut State, call: &Call) -> Reply {
    if call.number("installation_id") != INSTALLATION_ID {
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

pub(super) fn get_repository(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let repository = state.repository(&call.repository());
    let permission = repository.permission(call.actor.login());
    Reply::new(200, github.writer().full_repository(repository, permission))
}

pub(super) fn get_permission(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let login = call.part("username");
    let permission = state.repository(&call.repository()).permission(login);
    // GitHub's example lacks this field of the user, which its schema wants.
    let mut user = github.writer().user(login);
    user["role_name"] = json!(permission.role());
    let body = json!({"permission": permission.legacy(), "role_name": permission.role(), "user": user});
    Reply::new(200, body)
}
