//! What can be known to be wrong with settings without asking the world: said at start, with the key and what it wants instead.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Age, ChecksNetwork, Config, ConfigError};
use crate::ids::{AgentKind, Repo};

/// Looking through GitHub more often than this gets hob limited.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// For so long GitHub can send a delivery again.
const REDELIVERED: Age = Age::days(3);

impl Config {
    /// What can be known to be wrong without asking the world.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let github = &self.github;
        let has_secret = github.webhook_secret.as_ref().is_some_and(|s| !s.expose_secret().is_empty());
        if !has_secret && github.poll.is_none() {
            return Err(ConfigError::missing(
                "github.webhook_secret",
                "the secret set at the webhook; without it anybody could command hob. \
                 Set HOB_WEBHOOK_SECRET or github.webhook_secret_file, or github.poll to work without a webhook",
            ));
        }
        for name in &github.repositories {
            name.parse::<Repo>()
                .map_err(|e| ConfigError::invalid("github.repositories", &e.to_string(), "owner/name"))?;
        }
        self.check_intervals()?;
        github.credentials()?;
        for (key, url) in [("github.api_url", &github.api_url), ("github.git_url", &github.git_url)] {
            if url.contains('@') {
                return Err(ConfigError::invalid(key, "holds a user or password", "a plain address"));
            }
            if !is_safe_for_a_token(url) {
                let what = "would send hob's token unencrypted over the network";
                return Err(ConfigError::invalid(key, what, "https://, or http:// to this machine"));
            }
        }
        if self.agent.kind == AgentKind::Command && self.agent.command.is_empty() {
            return Err(ConfigError::missing(
                "agent.command",
                "the program to run, for agent.kind = \"command\"",
            ));
        }
        self.check_account()?;
        self.check_queue()?;
        self.budget.check(self.agent.max_budget_usd)?;
        for (key, text) in
            [("git.author_name", &self.git.author_name), ("git.author_email", &self.git.author_email)]
        {
            if text.trim().is_empty() || text.contains(['<', '>', '\n', '\0']) {
                return Err(ConfigError::invalid(key, "is not what git takes", "a plain name or address"));
            }
        }
        if self.git.signing_key_file.is_some() && !self.git.rewrite_authors {
            return Err(ConfigError::invalid(
                "git.rewrite_authors",
                "is false beside git.signing_key_file: hob would sign for whomever the agent names",
                "true, or no key",
            ));
        }
        if self.container.uid == 0 {
            return Err(ConfigError::invalid("container.uid", "is 0, which is root", "an unprivileged uid"));
        }
        if self.container.network == "none" && self.container.checks_network != ChecksNetwork::Nothing {
            return Err(ConfigError::invalid(
                "container.checks_network",
                "lets checks reach servers, and container.network is \"none\"",
                "false, or a network",
            ));
        }
        Ok(())
    }

    fn check_queue(&self) -> Result<(), ConfigError> {
        let work = &self.work;
        if work.parallel == 0 {
            return Err(ConfigError::invalid("work.parallel", "is 0", "1 or more"));
        }
        for (key, limit) in
            [("work.per_repository", work.per_repository), ("work.per_person", work.per_person)]
        {
            if limit == Some(0) {
                return Err(ConfigError::invalid(key, "is 0", "1 or more, or nothing for no limit"));
            }
        }
        if self.agent.fallback.contains(&AgentKind::Command) && self.agent.command.is_empty() {
            let what = "the program to run, since agent.fallback names `command`";
            return Err(ConfigError::missing("agent.command", what));
        }
        Ok(())
    }

    fn check_intervals(&self) -> Result<(), ConfigError> {
        // GitHub allows 5,000 requests an hour, and a look takes two for each repository.
        if self.github.poll.is_some_and(|poll| poll < SHORTEST_POLL) {
            return Err(ConfigError::invalid("github.poll", "is too short", "\"1s\" or longer"));
        }
        if self.work.sweep.is_zero() {
            return Err(ConfigError::invalid("work.sweep", "is 0", "for example \"5m\""));
        }
        // One that is forgotten and comes again would count as new.
        if self.keep.deliveries < REDELIVERED {
            return Err(ConfigError::invalid(
                "keep.deliveries",
                "is shorter than GitHub can send a delivery again",
                "\"3d\" or longer",
            ));
        }
        if self.keep.notice.0 >= self.keep.waiting.0 {
            return Err(ConfigError::invalid(
                "keep.notice",
                "is not shorter than keep.waiting",
                "for example \"7d\" with keep.waiting = \"60d\"",
            ));
        }
        Ok(())
    }

    fn check_account(&self) -> Result<(), ConfigError> {
        let agent = &self.agent;
        if agent.login_dir.is_some() && agent.kind == AgentKind::Command {
            return Err(ConfigError::invalid(
                "agent.login_dir",
                "is set, but hob knows no login of a command",
                "agent.key_files, or another agent.kind",
            ));
        }
        if !agent.sync_command.is_empty() && agent.login_dir.is_none() {
            let what = "the folder of the login that agent.sync_command renews";
            return Err(ConfigError::missing("agent.login_dir", what));
        }
        if agent.sync_timeout.is_zero() {
            return Err(ConfigError::invalid("agent.sync_timeout", "is 0", "for example \"60s\""));
        }
        if self.container.ssh_agent && self.container.ssh_auth_sock.is_none() {
            let what =
                "the environment variable that names the SSH agent's socket, for container.ssh_agent = true";
            return Err(ConfigError::missing("SSH_AUTH_SOCK", what));
        }
        Ok(())
    }
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
    use std::path::Path;

    use super::*;
    use crate::config::tests::{load, parse};

    #[test]
    fn without_a_webhook_secret_or_a_way_in_hob_does_not_start() {
        assert!(load(&[]).unwrap_err().starts_with("`github.webhook_secret` is not set"));
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
            ("[agent]\nsync_timeout = \"0s\"\n", "`agent.sync_timeout` is 0"),
            ("[container]\nssh_agent = true\n", "`SSH_AUTH_SOCK` is not set"),
        ] {
            let error = parse(text).unwrap().check_account().unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
