//! People: who somebody is, and what they may do in a repository. What hob lets them do about it is
//! decided above.

use serde::Deserialize;

use super::client::escape;
use super::{GitHubError, Repository};
use crate::event::Person;

/// The login GitHub shows in the place of a deleted account.
pub(super) const DELETED: &str = "ghost";

/// What somebody may do in a repository, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Not even to look.
    None,
    /// To look.
    Read,
    /// To sort issues, not to push.
    Triage,
    /// To push.
    Write,
    /// To push and to change some settings.
    Maintain,
    /// May do everything, including administration.
    Admin,
}

impl Permission {
    /// Whether they may push, which is what it takes to make hob run.
    pub fn at_least_write(self) -> bool {
        self >= Permission::Write
    }

    fn named(name: &str) -> Option<Permission> {
        Some(match name {
            "admin" => Permission::Admin,
            "maintain" => Permission::Maintain,
            "write" => Permission::Write,
            "triage" => Permission::Triage,
            "read" => Permission::Read,
            "none" => Permission::None,
            _ => return None,
        })
    }
}

impl Repository {
    /// What somebody may do here. A login can change hands, so the account with the person's id
    /// counts, whatever it is called now; a login alone counts only where no id is known.
    /// [`GitHubError::NotFound`] is about somebody GitHub does not know, or about a repository that
    /// hob may not see; the caller decides when to believe it.
    pub async fn permission(&self, login: &str, id: Option<u64>) -> Result<Permission, GitHubError> {
        let found = self.permission_of(login).await;
        let Some(id) = id else { return found.map(|(permission, _)| permission) };
        match found {
            Ok((permission, account)) if account.is_none_or(|account| account == id) => {
                return Ok(permission);
            }
            Ok(_) | Err(GitHubError::NotFound) => {}
            Err(error) => return Err(error),
        }
        let now = self.login_of(id).await?;
        match self.permission_of(&now).await? {
            (permission, account) if account.is_none_or(|account| account == id) => Ok(permission),
            // It changed hands between the two questions.
            _ => Err(GitHubError::NotFound),
        }
    }

    /// What the account of a login may do here, and which account that is.
    async fn permission_of(&self, login: &str) -> Result<(Permission, Option<u64>), GitHubError> {
        #[derive(Deserialize)]
        struct Collaborator {
            permission: String,
            role_name: Option<String>,
            user: Option<User>,
        }
        let path = format!("/collaborators/{}/permission", escape(login));
        let collaborator: Collaborator = self.get(&path).await?.json()?;
        // `permission` knows neither triage nor maintain; a role of an organisation's own making
        // has a name of its own, and `permission` says what it is worth.
        let role = collaborator.role_name.as_deref().and_then(Permission::named);
        let permission = role.or_else(|| Permission::named(&collaborator.permission));
        Ok((permission.unwrap_or(Permission::None), collaborator.user.and_then(|user| user.id)))
    }

    /// What an account is called now.
    async fn login_of(&self, id: u64) -> Result<String, GitHubError> {
        let (client, _) = self.client().await?;
        let user: User = client.get(&format!("/user/{id}")).await?.json()?;
        Ok(user.login)
    }
}

/// An account as GitHub sends it, with the fields hob needs; GitHub sends null for a deleted one.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    login: String,
    id: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The person behind what GitHub sent.
pub(super) fn person(user: Option<User>) -> Person {
    match user {
        None => Person { login: DELETED.to_owned(), id: None, is_bot: false },
        Some(User { login, id, kind }) => {
            Person { id, is_bot: kind.as_deref() == Some("Bot") || login.ends_with("[bot]"), login }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_may_push_reach_write() {
        for (name, may_push) in [
            ("admin", true),
            ("maintain", true),
            ("write", true),
            ("triage", false),
            ("read", false),
            ("none", false),
        ] {
            assert_eq!(Permission::named(name).unwrap().at_least_write(), may_push, "{name}");
        }
        assert_eq!(Permission::named("release-managers"), None);
    }

    #[test]
    fn a_bot_is_known_by_its_type_or_by_its_name() {
        let of = |json: &str| person(serde_json::from_str(json).unwrap());
        assert!(of(r#"{"login":"renovate","type":"Bot"}"#).is_bot);
        assert!(of(r#"{"login":"dependabot[bot]","type":"User"}"#).is_bot);
        assert!(!of(r#"{"login":"alice","type":"User"}"#).is_bot);
        assert!(!of(r#"{"login":"alice"}"#).is_bot);
        assert_eq!(of("null"), Person { login: "ghost".into(), id: None, is_bot: false });
    }
}
