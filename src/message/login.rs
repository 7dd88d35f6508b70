//! What is said about an agent's account, its key or its login. These words stand as a quotation in the
//! message of a failed task.

use std::time::Duration;

use super::duration;
use crate::ids::AgentKind;
use crate::language::{Language, say, word};
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
pub fn no_account(language: Language, agent: AgentKind, key_names: &[&str]) -> String {
    let names = key_names.join(", ");
    say!(
        language,
        "There is no key for the agent `{agent}`, nor a login: hob was started without {names}, and \
         `agent.login_dir` names no login for it.",
        "Für den Agenten `{agent}` gibt es weder einen Schlüssel noch eine Anmeldung: hob wurde ohne {names} gestartet, und \
         `agent.login_dir` nennt keine Anmeldung für ihn."
    )
}

/// The configured login cannot be used.
pub fn login_unusable(
    language: Language,
    agent: AgentKind,
    file: &str,
    fault: LoginFault,
    can_sync: bool,
) -> String {
    let what = match fault {
        LoginFault::Missing => word!(language, "is not there", "ist nicht da"),
        LoginFault::Unreadable => {
            word!(language, "cannot be read by hob", "kann von hob nicht gelesen werden")
        }
        LoginFault::NotALogin => word!(language, "holds no login", "enthält keine Anmeldung"),
    };
    let command = login_command(language, agent);
    let or_sync = match can_sync {
        true => {
            word!(language, ", or the configured sync command", " oder den eingestellten Sync-Befehl")
        }
        false => "",
    };
    say!(
        language,
        "The agent `{agent}` is to work with a login, but its file `{file}` {what}. On hob's server, run \
         {command}{or_sync}, as the user whose login it is; hob's log has the details.",
        "Der Agent `{agent}` soll mit einer Anmeldung arbeiten, aber ihre Datei `{file}` {what}. Führ auf dem Server von hob \
         {command}{or_sync} aus, als der Benutzer, dem die Anmeldung gehört; die Einzelheiten stehen im Log von hob."
    )
}

/// Something in the agent's home is in the login's way.
pub fn login_obstructed(language: Language, path: &str) -> String {
    say!(
        language,
        "The login could not be put into the agent's home: an earlier run left something else at `~/{path}`. \
         It has to be removed from the story's home on hob's server.",
        "Die Anmeldung konnte nicht in das Home des Agenten gelegt werden: Ein früherer Lauf hat unter `~/{path}` etwas anderes \
         hinterlassen. Es muss auf dem Server von hob aus dem Home der Story entfernt werden."
    )
}

/// The command that renews the login did not do so.
pub fn login_not_renewed(language: Language, renewal: &Renewal, limit: Duration) -> String {
    let how = match (renewal.timed_out, renewal.exit_code) {
        (true, _) => {
            let limit = duration(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            say!(
                language,
                "had not ended after {limit} and was stopped",
                "war nach {limit} nicht fertig und wurde angehalten"
            )
        }
        (false, Some(code)) => {
            say!(language, "ended with the exit code {code}", "endete mit dem Exit-Code {code}")
        }
        (false, None) => {
            word!(language, "could not be run to its end", "konnte nicht zu Ende ausgeführt werden")
                .to_owned()
        }
    };
    say!(
        language,
        "The login was refused, and the configured sync command that renews it {how}.",
        "Die Anmeldung wurde abgelehnt, und der eingestellte Sync-Befehl, der sie erneuert, {how}."
    )
}

/// The login was renewed and is refused all the same. `detail` is what the agent said.
pub fn login_refused_again(language: Language, detail: &str) -> String {
    say!(
        language,
        "{detail}\n\nThe configured sync command had renewed the login before this try.",
        "{detail}\n\nDer eingestellte Sync-Befehl hatte die Anmeldung vor diesem Versuch erneuert."
    )
    .trim()
    .to_owned()
}

/// The SSH agent that agents are to have is away.
pub fn no_ssh_agent(language: Language) -> String {
    word!(
        language,
        "Agents are to have an SSH agent (`container.ssh_agent`), but the one hob was started with is not there \
         any more. Start hob anew with one, or without the setting.",
        "Agenten sollen einen SSH-Agenten haben (`container.ssh_agent`), aber den, mit dem hob gestartet wurde, gibt es nicht \
         mehr. Starte hob neu mit einem, oder ohne diese Einstellung."
    )
    .to_owned()
}

fn login_command(language: Language, agent: AgentKind) -> &'static str {
    match agent {
        AgentKind::Claude => "`claude login`",
        AgentKind::Codex => "`codex login`",
        AgentKind::Gemini => {
            word!(language, "`gemini` and log in there", "`gemini` (und die Anmeldung darin)")
        }
        AgentKind::OpenCode => "`opencode auth login`",
        AgentKind::Command => word!(language, "what logs it in", "den Befehl, der ihn anmeldet,"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;

    #[test]
    fn what_is_said_about_an_account() {
        let renewal = |exit_code, timed_out| Renewal { exit_code, timed_out, duration_ms: 2_000 };
        let limit = Duration::from_secs(90);
        let said = |language| {
            [
                no_account(language, AgentKind::Gemini, &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
                login_unusable(language, AgentKind::Claude, ".credentials.json", LoginFault::Missing, true),
                login_unusable(language, AgentKind::Codex, "auth.json", LoginFault::Unreadable, false),
                login_unusable(language, AgentKind::Gemini, "oauth_creds.json", LoginFault::NotALogin, false),
                login_unusable(language, AgentKind::OpenCode, "auth.json", LoginFault::Missing, false),
                login_obstructed(language, ".claude"),
                login_not_renewed(language, &renewal(None, true), limit),
                login_not_renewed(language, &renewal(Some(3), false), limit),
                login_not_renewed(language, &renewal(None, false), limit),
                login_refused_again(language, "Invalid key"),
                no_ssh_agent(language),
            ]
            .join("\n\n")
        };
        assert_said!("what_is_said_about_an_account", said);
    }
}
