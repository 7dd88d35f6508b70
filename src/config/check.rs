//! What can be known to be wrong with settings without asking the world: said at start, with the
//! key and what it wants instead.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::secret::with_tilde;
use super::{Age, ByteSize, ChecksNetwork, Config, ConfigError};
use crate::ids::{AgentKind, Repo};

/// Looking through GitHub more often than this gets hob limited.
const MIN_POLL: Duration = Duration::from_secs(1);
/// A secret with fewer characters can be guessed.
const MIN_SECRET: usize = 16;
/// With fewer in an hour a single story takes minutes.
const MIN_WRITES: u32 = 60;
/// The least that Docker takes.
const MIN_MEMORY: ByteSize = ByteSize::mib(6);
/// For so long GitHub can send a delivery again.
const REDELIVERED: Age = Age::days(3);

impl Config {
    /// What can be known to be wrong without asking the world.
    pub(super) fn check(&self) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let (github, mut invalid) = (&self.github, |key: &str, what: &str, wanted: &str| {
            mistakes.push(ConfigError::invalid(key, what, wanted));
        });
        for name in github.repositories.iter().filter(|name| name.parse::<Repo>().is_err()) {
            invalid("github.repositories", &format!("contains `{name}`"), "owner/name");
        }
        for name in github.allow.iter().filter(|name| name.parse::<Repo>().is_err() && !is_owner(name)) {
            invalid("github.allow", &format!("contains `{name}`"), "an owner, or owner/name");
        }
        if let Some(what) = no_label(&github.label) {
            invalid("github.label", what, "a GitHub label of 1 to 50 characters");
        }
        for (key, text) in
            [("git.author_name", &self.git.author_name), ("git.author_email", &self.git.author_email)]
        {
            if text.trim().is_empty() || text.contains(['<', '>', '\n', '\0']) {
                invalid(key, "is not valid in a git commit", "a plain name or address");
            }
        }
        if self.git.signing_key_file.is_some() && !self.git.rewrite_authors {
            let what = "is false although git.signing_key_file is set: hob would sign commits of authors that the agent names";
            invalid("git.rewrite_authors", what, "true, or no such key");
        }
        if self.container.network == "none" && self.container.checks_network != ChecksNetwork::Nothing {
            let what = "lets checks reach servers, but container.network is \"none\"";
            invalid("container.checks_network", what, "false, or a network");
        }
        mistakes.extend(self.check_ways_in());
        mistakes.extend(self.check_addresses());
        mistakes.extend(self.check_paths());
        mistakes.extend(self.check_amounts());
        mistakes.extend(self.check_intervals());
        mistakes.extend(self.check_account());
        mistakes.extend(self.budget.check(self.agent.max_budget_usd));
        mistakes
    }

    /// What is wrong with the secret of the webhook, though hob can work with it.
    pub fn weak_webhook_secret(&self) -> Option<String> {
        let length = self.github.webhook_secret.as_ref()?.expose_secret().chars().count();
        // One that is empty is none.
        (length > 0 && length < MIN_SECRET).then(|| {
            format!(
                "github.webhook_secret has only {length} characters; someone who guesses it can command hob. Generate \
                one with `openssl rand -hex 32`, and set it at the webhook too"
            )
        })
    }

    fn check_ways_in(&self) -> Vec<ConfigError> {
        let github = &self.github;
        let has_secret = github.webhook_secret.as_ref().is_some_and(|s| !s.expose_secret().is_empty());
        let secret = (!has_secret && github.poll.is_none()).then(|| {
            ConfigError::missing(
                "github.webhook_secret",
                "the secret that is set at the webhook; without it, anyone could command hob. Set HOB_WEBHOOK_SECRET or \
                github.webhook_secret_file, or set github.poll to work without a webhook",
            )
        });
        let needs_program = self.agent.kind == AgentKind::Command;
        let program = (self.agent.command.is_empty()
            && (needs_program || self.agent.fallback.contains(&AgentKind::Command)))
        .then(|| {
            let what = if needs_program {
                "the program to run, for agent.kind = \"command\""
            } else {
                "the program to run, because agent.fallback names `command`"
            };
            ConfigError::missing("agent.command", what)
        });
        [secret, github.credentials().err(), program].into_iter().flatten().collect()
    }

    fn check_addresses(&self) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let (github, mut invalid) = (&self.github, |key: &str, what: &str, wanted: &str| {
            mistakes.push(ConfigError::invalid(key, what, wanted));
        });
        for (key, url) in [("github.api_url", &github.api_url), ("github.git_url", &github.git_url)] {
            if url.contains('@') {
                invalid(key, "contains a user name or password", "a URL without them");
            } else if !is_web_address(url) {
                invalid(key, "is not the URL of a server", "https://HOST, with a path if there is one");
            } else if !is_safe_for_a_token(url) {
                let what = "would send hob's token over the network unencrypted";
                invalid(key, what, "https://, or http:// to this machine");
            }
        }
        if self.server.api_url.as_ref().is_some_and(|url| !is_web_address(url)) {
            invalid("server.api_url", "is not the URL of a server", "for example http://localhost:8470");
        }
        let docker = &self.container.docker;
        let is_docker = match docker.split_once("://") {
            Some(("unix", path)) => path.starts_with('/'),
            Some(("tcp" | "http", host)) => !host.trim_end_matches('/').is_empty(),
            _ => false,
        };
        if !is_docker {
            let wanted = "unix:///path/to/socket, tcp://host:port or http://host:port";
            invalid("container.docker", &format!("is `{docker}`, which is not an address of Docker"), wanted);
        }
        mistakes
    }

    /// Paths that only a shell would understand. Those of secrets are looked at when they are read.
    fn check_paths(&self) -> Vec<ConfigError> {
        let (agent, container) = (&self.agent, &self.container);
        let program = agent.sync_command.first().map(|program| ("agent.sync_command", Path::new(program)));
        let paths = [
            Some(("data.dir", self.data.dir.as_path())),
            Some(("container.secrets_dir", container.secrets_dir.as_path())),
            agent.login_dir.as_deref().map(|path| ("agent.login_dir", path)),
            self.prompt.template.as_deref().map(|path| ("prompt.template", path)),
            program,
        ];
        paths.into_iter().flatten().filter_map(|(key, path)| with_tilde(key, path)).collect()
    }

    /// Numbers and sizes with which nothing can work.
    fn check_amounts(&self) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let mut invalid = |key: &str, what: &str, wanted: &str| {
            mistakes.push(ConfigError::invalid(key, what, wanted));
        };
        let (work, container) = (&self.work, &self.container);
        if self.github.writes_per_hour < MIN_WRITES {
            let is = format!("is {}", self.github.writes_per_hour);
            invalid("github.writes_per_hour", &is, "60 or more; GitHub.com accepts about 500");
        }
        if work.parallel == 0 {
            invalid("work.parallel", "is 0", "1 or more");
        }
        for (key, limit) in
            [("work.per_repository", work.per_repository), ("work.per_person", work.per_person)]
        {
            if limit == Some(0) {
                invalid(key, "is 0", "1 or more; omit it for no limit");
            }
        }
        if container.uid == 0 {
            invalid("container.uid", "is 0, which is root", "an unprivileged uid");
        }
        // A hundredth of a processor is the least that Docker takes.
        if !container.cpus.is_finite() || container.cpus < 0.01 {
            invalid("container.cpus", &format!("is {}", container.cpus), "0.01 or more");
        }
        for (key, count) in [("container.pids", container.pids), ("container.nofile", container.nofile)] {
            if count < 1 {
                invalid(key, &format!("is {count}"), "1 or more");
            }
        }
        if container.memory < MIN_MEMORY {
            let what = format!("is {}, but Docker requires at least {MIN_MEMORY}", container.memory);
            invalid("container.memory", &what, "for example \"4 GiB\"");
        }
        for (key, size) in [
            ("server.body_limit", self.server.body_limit),
            ("container.tmp", container.tmp),
            ("container.disk", container.disk),
            ("container.hand_over_limit", container.hand_over_limit),
            ("policy.max_file_size", self.policy.max_file_size),
            ("policy.import_memory", self.policy.import_memory),
        ] {
            if size.0 == 0 {
                invalid(key, "is 0", "a size such as \"512 MiB\"");
            }
        }
        if self.policy.max_files == 0 {
            invalid("policy.max_files", "is 0", "1 or more");
        }
        mistakes
    }

    fn check_intervals(&self) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let mut invalid = |key: &str, what: &str, wanted: &str| {
            mistakes.push(ConfigError::invalid(key, what, wanted));
        };
        // GitHub allows 5,000 requests an hour, and a look takes two for each repository.
        if self.github.poll.is_some_and(|poll| poll < MIN_POLL) {
            invalid("github.poll", "is too short", "\"1s\" or longer");
        }
        for (key, duration, example) in [
            ("work.sweep", self.work.sweep, "5m"),
            ("work.poll", self.work.poll, "5s"),
            ("work.lease", self.work.lease, "1m"),
            ("agent.timeout", self.agent.timeout, "1h"),
            ("agent.stall_timeout", self.agent.stall_timeout, "15m"),
            ("agent.sync_timeout", self.agent.sync_timeout, "60s"),
            ("container.hand_over_timeout", self.container.hand_over_timeout, "5m"),
        ] {
            if duration.is_zero() {
                invalid(key, "is 0", &format!("for example \"{example}\""));
            }
        }
        // One that is forgotten and comes again would count as new.
        if self.keep.deliveries < REDELIVERED {
            let what = "is shorter than the time in which GitHub can redeliver a webhook";
            invalid("keep.deliveries", what, "\"3d\" or longer");
        }
        if self.keep.notice.0 >= self.keep.waiting.0 {
            let wanted = "for example \"7d\" with keep.waiting = \"60d\"";
            invalid("keep.notice", "is not shorter than keep.waiting", wanted);
        }
        mistakes
    }

    fn check_account(&self) -> Vec<ConfigError> {
        let (agent, mut mistakes) = (&self.agent, Vec::new());
        if agent.login_dir.is_some() && agent.kind == AgentKind::Command {
            mistakes.push(ConfigError::invalid(
                "agent.login_dir",
                "is set, but the agent `command` has no login that hob knows",
                "agent.key_files, or another agent.kind",
            ));
        }
        if !agent.sync_command.is_empty() && agent.login_dir.is_none() {
            let what = "the folder with the login that agent.sync_command renews";
            mistakes.push(ConfigError::missing("agent.login_dir", what));
        }
        if self.container.ssh_agent && self.container.ssh_auth_sock.is_none() {
            let what = "the environment variable with the SSH agent's socket, required by container.ssh_agent = true";
            mistakes.push(ConfigError::missing("SSH_AUTH_SOCK", what));
        }
        mistakes
    }
}

/// Whether an account of GitHub's can have this name.
fn is_owner(name: &str) -> bool {
    (1..=39).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Why a text is no label of GitHub's.
fn no_label(text: &str) -> Option<&'static str> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Some("is empty"),
        51.. => Some("is longer than a label can be"),
        _ if text.chars().any(char::is_control) => Some("contains a control character"),
        _ => None,
    }
}

/// Whether this is `https://HOST` or `http://HOST`, with a port and a path at most.
fn is_web_address(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or(url.strip_prefix("http://")) else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '?' | '#' | '\\');
    !host.is_empty() && !host.starts_with(':') && rest.chars().all(is_plain)
}

/// Whether a token may be sent there: encrypted, or to this machine itself.
fn is_safe_for_a_token(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let host = rest.split('/').next().unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |h| h.0);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{load, parse};

    #[test]
    fn without_a_webhook_secret_or_a_way_in_hob_does_not_start() {
        let error = load(&[]).unwrap_err();
        assert!(
            error.starts_with("2 errors in the settings:\n  `github.webhook_secret` is not set"),
            "{error}"
        );
        assert!(error.contains("\n  `github.app_id` is not set"), "{error}");
        assert!(load(&[("WEBHOOK_SECRET", "s")]).unwrap_err().starts_with("`github.app_id` is not set"));
        let error = load(&[("WEBHOOK_SECRET", "s"), ("APP_ID", "7")]).unwrap_err();
        assert!(error.starts_with("`github.private_key_file` is not set"), "{error}");
    }

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_only() {
        for (url, safe) in [
            ("https://github.example", true),
            ("http://127.0.0.1:8080/api/v3", true),
            ("http://localhost", true),
            ("http://[::1]:9", true),
            ("http://github.example", false),
            ("http://127.0.0.1.example:80/", false),
        ] {
            let vars = [("WEBHOOK_SECRET", "s"), ("HOB_GITHUB_TOKEN", "t"), ("HOB_GITHUB_GIT_URL", url)];
            assert_eq!(load(&vars).is_ok(), safe, "{url}");
        }
    }

    #[test]
    fn a_login_belongs_to_the_usual_agent_and_its_command_to_a_login() {
        let config = parse(
            "[agent]\nlogin_dir = \"/home/me/.claude\"\nsync_command = [\"renew\", \"-q\"]\nsync_timeout = \"5s\"\n",
        )
        .unwrap();
        assert_eq!(config.login_dir(AgentKind::Claude), Some(Path::new("/home/me/.claude")));
        assert_eq!(config.login_dir(AgentKind::Codex), None);
        assert_eq!(config.agent.sync_timeout, Duration::from_secs(5));
        for (text, wanted) in [
            ("[agent]\nsync_command = [\"renew\"]\n", "`agent.login_dir` is not set"),
            ("[agent]\nkind = \"command\"\nlogin_dir = \"/x\"\n", "`agent.login_dir` is set, but"),
            ("[container]\nssh_agent = true\n", "`SSH_AUTH_SOCK` is not set"),
        ] {
            let mistakes = parse(text).unwrap().check_account();
            assert!(mistakes.len() == 1 && mistakes[0].to_string().starts_with(wanted), "{mistakes:?}");
        }
    }
}
