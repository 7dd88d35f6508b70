//! The table of logins: for each agent CLI, which files make a login, where they go in `$HOME`,
//! what in them an agent needs, and what in them the CLI renews by itself. All of it is pure.

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::AgentKind;

const HOUR_MS: i64 = 3600 * 1000;

/// A renewed login says when it ends. Further ahead than this it is made up, and would keep every
/// later one out. The programs renew for hours; some services give out tokens for days.
/// Milliseconds; a month.
const FURTHEST_END_MS: i64 = 31 * 24 * HOUR_MS;
/// Or it says when it was made, which is now, give or take a clock.
const FURTHEST_MADE_MS: i64 = HOUR_MS;

/// The longest token. A signed one with a person's groups in it has a few KiB.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The shortest that is taken from an agent; those of the services have 40 bytes and more.
const MIN_TOKEN_BYTES: usize = 32;
/// A shorter one is not looked for in texts: it may be a word of every second one of them.
const MIN_SECRET_BYTES: usize = 20;

/// How the services begin their tokens. A renewed one begins as the one that it is for. One that
/// begins otherwise is known by its length only.
const BEGINNINGS: [&str; 12] = [
    "sk-ant-oat",
    "sk-ant-ort",
    "sk-ant-",
    "sk-proj-",
    "sk-",
    "eyJ",
    "ya29.",
    "1//",
    "rt_",
    "gho_",
    "ghu_",
    "tid=",
];

/// One file of a login.
#[derive(Debug)]
pub(super) struct LoginFile {
    /// Its name in the login's folder.
    pub(super) name: &'static str,
    /// Where it goes, relative to the agent's `$HOME`; always with mode 0600.
    pub(super) target: &'static str,
    /// Whether there is no login without it.
    pub(super) required: bool,
    /// Whether it may lie beside the folder as well, as `~/.claude.json` does beside `~/.claude`.
    pub(super) may_lie_beside: bool,
    /// The top-level keys that an agent needs; empty means all. What it does not need it does not
    /// get.
    only: &'static [&'static str],
    /// What the CLI renews in it, for files that hold tokens.
    pub(super) renewed: Option<Renewed>,
}

/// What a CLI renews in a file by itself. Names are JSON pointers.
#[derive(Debug)]
pub(super) struct Renewed {
    /// Whether the pointers start at each value of the file rather than at its root.
    each: bool,
    /// The tokens: the secrets of the file.
    tokens: &'static [&'static str],
    /// When the tokens end, or when they were made: a number of milliseconds or a date.
    time: &'static str,
    /// The furthest ahead that this can be.
    furthest_ms: i64,
    /// Whose they are. It never changes.
    identity: &'static [&'static str],
}

/// The files of a kind's login; none where there is no login.
pub(super) fn of(kind: AgentKind) -> &'static [LoginFile] {
    match kind {
        AgentKind::Claude => CLAUDE,
        AgentKind::Codex => CODEX,
        AgentKind::Gemini => GEMINI,
        AgentKind::OpenCode => OPENCODE,
        AgentKind::Command => &[],
    }
}

const CLAUDE: &[LoginFile] = &[
    LoginFile {
        name: ".credentials.json",
        target: ".claude/.credentials.json",
        required: true,
        may_lie_beside: false,
        // Beside it lie the tokens of its owner's MCP servers.
        only: &["claudeAiOauth"],
        renewed: Some(Renewed {
            each: false,
            tokens: &["/claudeAiOauth/accessToken", "/claudeAiOauth/refreshToken"],
            time: "/claudeAiOauth/expiresAt",
            furthest_ms: FURTHEST_END_MS,
            identity: &[],
        }),
    },
    LoginFile {
        name: ".claude.json",
        target: ".claude.json",
        required: false,
        may_lie_beside: true,
        // The rest is its owner's: projects with their paths and prompts, MCP servers with their
        // keys.
        only: &["oauthAccount", "userID", "hasCompletedOnboarding", "lastOnboardingVersion", "installMethod"],
        renewed: None,
    },
];

const CODEX: &[LoginFile] = &[LoginFile {
    name: "auth.json",
    target: ".codex/auth.json",
    required: true,
    may_lie_beside: false,
    only: &[],
    renewed: Some(Renewed {
        each: false,
        tokens: &["/tokens/access_token", "/tokens/refresh_token", "/tokens/id_token", "/OPENAI_API_KEY"],
        time: "/last_refresh",
        furthest_ms: FURTHEST_MADE_MS,
        identity: &["/tokens/account_id"],
    }),
}];

const GEMINI: &[LoginFile] = &[
    LoginFile {
        name: "oauth_creds.json",
        target: ".gemini/oauth_creds.json",
        required: true,
        may_lie_beside: false,
        only: &[],
        renewed: Some(Renewed {
            each: false,
            tokens: &["/access_token", "/refresh_token", "/id_token"],
            time: "/expiry_date",
            furthest_ms: FURTHEST_END_MS,
            identity: &[],
        }),
    },
    LoginFile {
        name: "google_accounts.json",
        target: ".gemini/google_accounts.json",
        required: false,
        may_lie_beside: false,
        only: &[],
        renewed: None,
    },
];

const OPENCODE: &[LoginFile] = &[LoginFile {
    name: "auth.json",
    target: ".local/share/opencode/auth.json",
    required: true,
    may_lie_beside: false,
    only: &[],
    renewed: Some(Renewed {
        each: true,
        tokens: &["/access", "/refresh", "/key"],
        time: "/expires",
        furthest_ms: FURTHEST_END_MS,
        identity: &["/type"],
    }),
}];

impl LoginFile {
    /// Whether the content can be this file: an object, with at least one token where it holds
    /// tokens.
    pub(super) fn is_plausible(&self, content: &Value) -> bool {
        content.is_object() && (self.renewed.is_none() || !self.tokens(content).is_empty())
    }

    /// The content without what an agent does not need.
    pub(super) fn for_agent(&self, content: &Value) -> Value {
        match content {
            Value::Object(fields) if !self.only.is_empty() => Value::Object(
                fields
                    .iter()
                    .filter(|(name, _)| self.only.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// The tokens in the content that can be looked for in texts.
    pub(super) fn secrets(&self, content: &Value) -> Vec<String> {
        let mut tokens = self.tokens(content);
        tokens.retain(|token| token.len() >= MIN_SECRET_BYTES);
        tokens
    }

    /// The tokens in the content.
    fn tokens(&self, content: &Value) -> Vec<String> {
        let Some(rule) = &self.renewed else { return Vec::new() };
        let at_tokens = |entry: &Value| {
            let tokens = rule.tokens.iter().filter_map(|at| entry.pointer(at)?.as_str());
            tokens.filter(|token| !token.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        rule.entries(content).iter().flat_map(|(_, entry)| at_tokens(entry)).collect()
    }
}

impl Renewed {
    /// The values that the pointers start at, each with its own pointer.
    fn entries<'a>(&self, content: &'a Value) -> Vec<(String, &'a Value)> {
        match content {
            Value::Object(fields) if self.each => fields
                .iter()
                .map(|(name, value)| {
                    // As RFC 6901 writes such names in a pointer.
                    (format!("/{}", name.replace('~', "~0").replace('/', "~1")), value)
                })
                .collect(),
            other => vec![(String::new(), other)],
        }
    }

    /// Our file with the tokens of theirs, where theirs are newer by their own time. `None`:
    /// nothing is newer. The error says what makes theirs no renewal of ours; it quotes nothing.
    pub(super) fn merge(
        &self,
        ours: &Value,
        theirs: &Value,
        now: Timestamp,
    ) -> Result<Option<Value>, &'static str> {
        let mut merged = ours.clone();
        for (at, entry) in self.entries(ours) {
            let Some(new) = theirs.pointer(&at) else { continue };
            let Some(target) = merged.pointer_mut(&at) else { continue };
            self.merge_entry(target, entry, new, now)?;
        }
        Ok((merged != *ours).then_some(merged))
    }

    fn merge_entry(
        &self,
        target: &mut Value,
        old: &Value,
        new: &Value,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let (Some(old_time), Some(new_time)) = (self.time_of(old), self.time_of(new)) else {
            // Without a time nothing says which is the newer: the host's stays.
            return Ok(());
        };
        if new_time <= old_time {
            return Ok(());
        }
        if new_time > now.as_millisecond().saturating_add(self.furthest_ms) {
            return Err("its time is too far in the future");
        }
        if self.identity.iter().any(|at| old.pointer(at) != new.pointer(at)) {
            return Err("it belongs to another account");
        }
        for at in self.tokens {
            let Some(old) = old.pointer(at).and_then(Value::as_str) else { continue };
            if !new.pointer(at).and_then(Value::as_str).is_some_and(|new| can_replace(old, new)) {
                return Err("a token is missing, or does not look like the current one");
            }
            copy(target, new, at);
        }
        copy(target, new, self.time);
        Ok(())
    }

    /// Milliseconds since 1970.
    fn time_of(&self, entry: &Value) -> Option<i64> {
        match entry.pointer(self.time)? {
            Value::Number(ms) => ms.as_i64(),
            Value::String(date) => date.parse::<Timestamp>().ok().map(|at| at.as_millisecond()),
            _ => None,
        }
    }
}

fn copy(target: &mut Value, from: &Value, at: &str) {
    if let (Some(to), Some(value)) = (target.pointer_mut(at), from.pointer(at)) {
        *to = value.clone();
    }
}

/// Whether a token can be what a service has given in place of an old one, as far as its looks
/// tell.
fn can_replace(old: &str, new: &str) -> bool {
    if new == old {
        return true;
    }
    let beginning = BEGINNINGS.iter().find(|beginning| old.starts_with(**beginning));
    let has_its_length = old.is_empty() || (new.len() <= 2 * old.len() && old.len() <= 2 * new.len());
    is_token(new) && has_its_length && beginning.is_none_or(|beginning| new.starts_with(beginning))
}

/// One printable word: it goes into a header of a request.
fn is_token(text: &str) -> bool {
    (MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn merged(kind: AgentKind, ours: &Value, theirs: &Value) -> Result<Option<Value>, &'static str> {
        let now = Timestamp::from_millisecond(NOW_MS).unwrap();
        of(kind)[0].renewed.as_ref().unwrap().merge(ours, theirs, now)
    }

    /// As long as a real one, and begins like it.
    fn token(name: &str) -> String {
        format!("sk-ant-oat01-{name:-<95}")
    }

    fn claude(name: &str, expires_at: i64) -> Value {
        with_access(&token(name), expires_at)
    }

    fn with_access(access: &str, expires_at: i64) -> Value {
        json!({"claudeAiOauth": {"accessToken": access, "refreshToken": "r", "expiresAt": expires_at, "scopes": ["a"]}})
    }

    #[test]
    fn the_newer_tokens_win_and_nothing_else_is_taken() {
        let ours = json!({"claudeAiOauth": claude("old", NOW_MS)["claudeAiOauth"], "mcpOAuth": {"x": 1}});
        let mut theirs = claude("new", NOW_MS + 1);
        theirs["claudeAiOauth"]["scopes"] = json!(["everything"]);
        theirs["mcpOAuth"] = json!({"x": "planted"});
        theirs["hooks"] = json!("planted");
        let merged = merged(AgentKind::Claude, &ours, &theirs).unwrap().unwrap();
        assert_eq!(merged["claudeAiOauth"], claude("new", NOW_MS + 1)["claudeAiOauth"]);
        assert_eq!((&merged["mcpOAuth"], &merged["hooks"]), (&json!({"x": 1}), &Value::Null));
    }

    #[test]
    fn what_is_not_newer_changes_nothing() {
        let ours = claude("ours", NOW_MS);
        for theirs in
            [claude("older", NOW_MS - 1), claude("same", NOW_MS), ours.clone(), json!({}), json!([1])]
        {
            assert_eq!(merged(AgentKind::Claude, &ours, &theirs), Ok(None), "{theirs}");
        }
    }

    #[test]
    fn what_is_no_login_is_refused() {
        let ours = claude("ours", NOW_MS);
        let mut no_text = claude("x", NOW_MS + 1);
        no_text["claudeAiOauth"]["refreshToken"] = json!({"a": 1});
        let made_up = ["", "https://", &token("two words"), &token("line\r\nX-Header: 1"), &"x".repeat(108)];
        let mut refused: Vec<Value> = made_up.iter().map(|access| with_access(access, NOW_MS + 1)).collect();
        refused.extend([
            claude(&"x".repeat(300), NOW_MS + 1),
            with_access("sk-ant-oat01-and-no-more-than-that-", NOW_MS + 1),
            claude("forever", i64::MAX),
            claude("for more than a year", NOW_MS + 399 * 24 * HOUR_MS),
            no_text,
        ]);
        for theirs in refused {
            assert!(merged(AgentKind::Claude, &ours, &theirs).is_err(), "{theirs}");
        }
    }

    #[test]
    fn a_token_is_replaced_by_one_of_its_kind_only() {
        let (opaque, other) = ("a".repeat(40), "b".repeat(60));
        assert!(can_replace(&opaque, &other) && can_replace("", &other) && can_replace("short", "short"));
        assert!(!can_replace("gho_0123456789012345678901234567890123456789", &token("x")));
        assert!(!can_replace(&opaque, &"b".repeat(81)) && !can_replace(&"b".repeat(81), &opaque));
        assert!(!can_replace("old", "new") && !can_replace(&token("access"), "sk-ant-ort01-refresh"));
        assert!(!can_replace(&opaque, &"x".repeat(MAX_TOKEN_BYTES + 1)));
    }

    #[test]
    fn codex_tells_the_newer_by_a_date_and_keeps_its_account() {
        let login = |access: &str, account: &str, at: &str| json!({"OPENAI_API_KEY": null, "last_refresh": at, "tokens": {"access_token": format!("eyJ{access:0<60}"), "account_id": account}});
        let ours = login("old", "a", "2026-09-01T10:00:00.5Z");
        let newer = login("new", "a", "2026-09-01T10:00:01Z");
        assert_eq!(merged(AgentKind::Codex, &ours, &newer), Ok(Some(newer)));
        let stolen = login("new", "b", "2026-09-01T10:00:01Z");
        assert_eq!(merged(AgentKind::Codex, &ours, &stolen), Err("it belongs to another account"));
        let tomorrow = login("new", "a", "2026-09-23T00:00:00Z");
        assert_eq!(merged(AgentKind::Codex, &ours, &tomorrow), Err("its time is too far in the future"));
    }

    #[test]
    fn opencode_renews_each_provider_by_itself() {
        let oauth = |access: &str, expires: i64| json!({"type": "oauth", "access": format!("{access:x<40}"), "refresh": "r", "expires": expires});
        let ours = json!({"a/b": oauth("1", 10), "c": oauth("2", 10), "d": {"type": "api", "key": "k"}});
        let theirs = json!({"a/b": oauth("new", 11), "c": oauth("late", 9), "d": {"type": "api", "key": "planted"}, "e": 1});
        let wanted = json!({"a/b": oauth("new", 11), "c": oauth("2", 10), "d": {"type": "api", "key": "k"}});
        assert_eq!(merged(AgentKind::OpenCode, &ours, &theirs), Ok(Some(wanted)));
    }

    #[test]
    fn an_agent_gets_the_login_and_not_what_else_its_owner_has() {
        let content = json!({"userID": "u", "mcpServers": {"s": "secret"}, "projects": {"/home/me": {}}});
        assert_eq!(CLAUDE[1].for_agent(&content), json!({"userID": "u"}));
        let content = json!({"claudeAiOauth": {"accessToken": "t"}, "mcpOAuth": {"x": "secret"}});
        assert_eq!(CLAUDE[0].for_agent(&content), json!({"claudeAiOauth": {"accessToken": "t"}}));
        assert!(CLAUDE[0].is_plausible(&content) && CLAUDE[0].secrets(&content).is_empty());
        assert_eq!(CLAUDE[0].secrets(&claude("t", 0)), [token("t")]);
        assert!(!CLAUDE[0].is_plausible(&json!({"claudeAiOauth": {"accessToken": ""}})));
    }
}
