//! What is said about a repository's own checks: in the pull request's body, and on the issue where
//! one still fails.

use super::{Spent, commits_in_words, duration, finished};
use crate::story::checks::{CheckEnd, CheckResult, Checked, RefusalReason, Refused};

/// The longest command line that is shown.
const MAX_COMMAND: usize = 200;
/// Servers of a list that are named, and such that were asked for and not reached.
const MAX_HOSTS: usize = 8;
const MAX_REFUSED: usize = 10;
/// As much of a commit's id as tells it from others.
const SHORT: usize = 12;

/// The evidence: which checks ran on which commit, where, and what came of them. In the pull
/// request and in the check run.
pub fn checks_table(checked: &Checked) -> String {
    let tip: String = checked.tip.as_str().chars().take(SHORT).collect();
    let reach = reach(checked);
    let (image, image_id) = (command(&checked.image), command(&checked.image_id));
    let mut text = format!(
        "Each ran on {tip}, in a clean container without keys {reach}, of the image {image} ({image_id}).\n\n\
         | Check | Result | Took |\n|---|---|---|"
    );
    for result in &checked.results {
        let mark = if result.passed() { "✅" } else { "❌" };
        text.push_str(&format!(
            "\n| {} | {mark} {} | {} |",
            command(&result.command),
            ended(result.end),
            duration(result.duration_ms)
        ));
    }
    let mut refused =
        checked.results.iter().flat_map(|result| result.refused.iter().map(move |one| (result, one)));
    if let Some(first) = refused.next() {
        text.push('\n');
        for (result, one) in std::iter::once(first).chain(refused).take(MAX_REFUSED) {
            text.push_str(&format!("\n- {}", not_reached(result, one)));
        }
    }
    text
}

/// What the checks could reach.
fn reach(checked: &Checked) -> String {
    if checked.hosts.is_empty() {
        return match checked.network {
            true => "and with network",
            false => "or network",
        }
        .to_owned();
    }
    let mut names: Vec<String> =
        checked.hosts.iter().take(MAX_HOSTS).map(|host| format!("`{host}`")).collect();
    match checked.hosts.len() - names.len() {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    let names = names.join(", ");
    format!("that reaches only {names}")
}

fn not_reached(result: &CheckResult, refused: &Refused) -> String {
    let (check, host) = (command(&result.command), command(&refused.host));
    match refused.why {
        RefusalReason::NotListed => {
            format!("{check} could not reach {host}: it is not in `checks_network` of `.github/hob.toml`.")
        }
        RefusalReason::Private => format!(
            "{check} could not reach {host}: the name leads to a private address, and that address is not in \
             `checks_network` of `.github/hob.toml`."
        ),
    }
}

/// The checks as a part of a pull request's body.
pub fn checks_section(checked: &Checked) -> String {
    let mut text = format!("### Checks\n\n{}", checks_table(checked));
    if let Some(failing) = checked.failing() {
        let command = command(&failing.command);
        text.push_str(&format!("\n\n**{command} fails**, and the agent has used up its attempts to fix it. A new pull request is a draft in that case."));
    }
    text
}

/// Said on the issue when the pull request is open though a check fails. `{pull}` as in
/// `pull_request_ready`.
pub fn pull_request_with_failing_check(commits: usize, took: Spent, failing: &CheckResult) -> String {
    let (commits, took) = (commits_in_words(commits), finished(took));
    let (command, ended) = (command(&failing.command), ended(failing.end));
    format!(
        "Done, but {command} still fails: {ended}. #{{pull}} has {commits}; see its checks. `/hob work …` with a hint continues from there.\n\n{took}"
    )
}

/// Said in one sentence, beside what was done, where a check fails on it and no agent fixes that.
/// `{pull}` as in `pull_request_ready`.
pub fn still_failing(checked: Option<&Checked>) -> Option<String> {
    let failing = checked?.failing()?;
    let (command, ended) = (command(&failing.command), ended(failing.end));
    Some(format!("**But {command} fails on it**: {ended}; see the checks in #{{pull}}."))
}

fn ended(end: CheckEnd) -> String {
    match end {
        CheckEnd::Exited(0) => "passed, exit code 0".to_owned(),
        CheckEnd::Exited(code) => format!("exit code {code}"),
        CheckEnd::TimedOut => "took too long".to_owned(),
        CheckEnd::TookTooMuch => "took too much disk or printed too much".to_owned(),
    }
}

/// A line of somebody's as code in a table: nothing in it can end either.
pub(super) fn command(text: &str) -> String {
    super::code(&text.replace('|', "¦"), MAX_COMMAND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_checks() {
        let result = |command: &str, end, duration_ms| CheckResult {
            command: command.to_owned(),
            end,
            duration_ms,
            output: String::new(),
            refused: Vec::new(),
        };
        let checked = |results| Checked {
            tip: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            image: "hob-claude:latest".to_owned(),
            image_id: "sha256:6cca1c50e0e1a2e621ec4afe4319".to_owned(),
            network: false,
            hosts: Vec::new(),
            results,
        };
        let passing = checked(vec![result("make test", CheckEnd::Exited(0), 12_000)]);
        let failing = checked(vec![
            result("make test | tee `log`\nrm x", CheckEnd::Exited(0), 12_000),
            result("make lint", CheckEnd::Exited(2), 900),
            result("sleep 999", CheckEnd::TimedOut, 900_000),
        ]);
        let refused = |host: &str, why| Refused { host: host.to_owned(), why };
        let mut fenced = checked(vec![result("npm test", CheckEnd::Exited(1), 9_000)]);
        fenced.network = true;
        fenced.hosts = vec!["crates.io".parse().unwrap(), "*.npmjs.org:8443".parse().unwrap()];
        fenced.results[0].refused = vec![
            refused("example.org:443", RefusalReason::NotListed),
            refused("intern.example:80", RefusalReason::Private),
        ];
        let took = Spent {
            duration_ms: 252_000,
            cost_usd: Some(0.83),
            turns: Some(3),
            tokens: None,
            stand_in: None,
        };
        insta::assert_snapshot!("what_is_said_about_checks", {
            let said = pull_request_with_failing_check(2, took, failing.failing().unwrap());
            let beside = still_failing(Some(&failing)).unwrap();
            let [passing, failing, fenced] = [&passing, &failing, &fenced].map(checks_section);
            [passing, failing, fenced, said, beside].join("\n\n=====\n\n")
        });
    }
}
