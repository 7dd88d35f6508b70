//! What is said about an agent's account, its key or its login. These words stand as a quotation in
//! the message of a failed task.

use std::time::Duration;

use super::duration;
use crate::ids::AgentKind;
use crate::story::Renewal;

/// What is wrong with a file of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFault {
    /// It is not there.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// It is there and holds no login.
    NotALogin,
}

/// There is neither a key nor a login.
pub fn no_account(agent: AgentKind, key_names: &[&str]) -> String {
    let names = key_names.join(", ");
    format!(
        "There is no key for the agent `{agent}`, nor a login: hob was started without {names}, and \
         `agent.login_dir` names no login for it."
    )
}

/// The configured login cannot be used.
pub fn login_unusable(agent: AgentKind, file: &str, fault: LoginFault, can_sync: bool) -> String {
    let what = match fault {
        LoginFault::Missing => "is not there",
        LoginFault::Unreadable => "cannot be read by hob",
        LoginFault::NotALogin => "holds no login",
    };
    let command = login_command(agent);
    let or_sync = match can_sync {
        true => ", or the configured sync command",
        false => "",
    };
    format!(
        "The agent `{agent}` is to work with a login, but its file `{file}` {what}. On hob's server, run \
         {command}{or_sync}, as the user whose login it is; hob's log has the details."
    )
}

/// Something in the agent's home is in the login's way.
pub fn login_obstructed(path: &str) -> String {
    format!(
        "The login could not be put into the agent's home: an earlier run left something else at `~/{path}`. \
         It has to be removed from the story's home on hob's server."
    )
}

/// The command that renews the login did not do so.
pub fn login_not_renewed(renewal: &Renewal, limit: Duration) -> String {
    let how = match (renewal.timed_out, renewal.exit_code) {
        (true, _) => {
            let limit = duration(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            format!("had not ended after {limit} and was stopped")
        }
        (false, Some(code)) => {
            format!("ended with the exit code {code}")
        }
        (false, None) => "could not be run to its end".to_owned(),
    };
    format!("The login was refused, and the configured sync command that renews it {how}.")
}

/// The login was renewed and is refused all the same. `detail` is what the agent said.
pub fn login_refused_again(detail: &str) -> String {
    format!("{detail}\n\nThe configured sync command had renewed the login before this try.")
        .trim()
        .to_owned()
}

/// The SSH agent that agents are to have is away.
pub fn no_ssh_agent() -> String {
    "Agents are to have an SSH agent (`container.ssh_agent`), but the one hob was started with no longer exists. Restart hob with one, or without the setting."
        .to_owned()
}

fn login_command(agent: AgentKind) -> &'static str {
    match agent {
        AgentKind::Claude => "`claude login`",
        AgentKind::Codex => "`codex login`",
        AgentKind::Gemini => "`gemini` and log in there",
        AgentKind::OpenCode => "`opencode auth login`",
        AgentKind::Command => "what logs it in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_an_account() {
        let renewal = |exit_code, timed_out| Renewal { exit_code, timed_out, duration_ms: 2_000 };
        let limit = Duration::from_secs(90);
        let said = || {
            [
                no_account(AgentKind::Gemini, &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
                login_unusable(AgentKind::Claude, ".credentials.json", LoginFault::Missing, true),
                login_unusable(AgentKind::Codex, "auth.json", LoginFault::Unreadable, false),
                login_unusable(AgentKind::Gemini, "oauth_creds.json", LoginFault::NotALogin, false),
                login_unusable(AgentKind::OpenCode, "auth.json", LoginFault::Missing, false),
                login_obstructed(".claude"),
                login_not_renewed(&renewal(None, true), limit),
                login_not_renewed(&renewal(Some(3), false), limit),
                login_not_renewed(&renewal(None, false), limit),
                login_refused_again("Invalid key"),
                no_ssh_agent(),
            ]
            .join("\n\n")
        };
        insta::assert_snapshot!("what_is_said_about_an_account", said());
    }
}
