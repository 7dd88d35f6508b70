//! What is said about a repository's own checks: in the pull request's body, and on the issue where one still fails.

use super::{Spent, commits_in_words, duration, finished};
use crate::language::{Language, say, word};
use crate::story::checks::{CheckEnd, CheckResult, Checked, Refused, Why};

/// The longest command line that is shown.
const MOST_COMMAND: usize = 200;
/// Servers of a list that are named, and such that were asked for in vain.
const MOST_HOSTS: usize = 8;
const MOST_REFUSED: usize = 10;
/// As much of a commit's id as tells it from others.
const SHORT: usize = 12;

/// The evidence: which checks ran on which commit, where, and what came of them. In the pull request and in the check run.
pub fn checks_table(language: Language, checked: &Checked) -> String {
    let tip: String = checked.tip.as_str().chars().take(SHORT).collect();
    let reach = reach(language, checked);
    let (image, image_id) = (command(&checked.image), command(&checked.image_id));
    let mut text = say!(
        language,
        "Each ran on {tip}, in a clean container without keys {reach}, of the image {image} ({image_id}).\n\n\
         | Check | Result | Took |\n|---|---|---|",
        "Jeder lief auf {tip}, in einem frischen Container ohne Schlüssel {reach}, aus dem Image {image} ({image_id}).\n\n\
         | Check | Ergebnis | Dauer |\n|---|---|---|"
    );
    for result in &checked.results {
        let mark = if result.passed() { "✅" } else { "❌" };
        text.push_str(&format!(
            "\n| {} | {mark} {} | {} |",
            command(&result.command),
            ended(language, result.end),
            duration(result.duration_ms)
        ));
    }
    let mut refused =
        checked.results.iter().flat_map(|result| result.refused.iter().map(move |one| (result, one)));
    if let Some(first) = refused.next() {
        text.push('\n');
        for (result, one) in std::iter::once(first).chain(refused).take(MOST_REFUSED) {
            text.push_str(&format!("\n- {}", not_reached(language, result, one)));
        }
    }
    text
}

/// What the checks could reach.
fn reach(language: Language, checked: &Checked) -> String {
    if checked.hosts.is_empty() {
        return match checked.network {
            true => word!(language, "and with network", "und mit Netz"),
            false => word!(language, "or network", "und ohne Netz"),
        }
        .to_owned();
    }
    let mut names: Vec<String> =
        checked.hosts.iter().take(MOST_HOSTS).map(|host| format!("`{host}`")).collect();
    match checked.hosts.len() - names.len() {
        0 => {}
        more => names.push(say!(language, "{more} more", "{more} weitere")),
    }
    let names = names.join(", ");
    say!(language, "that reaches only {names}", "mit Zugang nur zu {names}")
}

fn not_reached(language: Language, result: &CheckResult, refused: &Refused) -> String {
    let (check, host) = (command(&result.command), command(&refused.host));
    match refused.why {
        Why::NotListed => say!(
            language,
            "{check} could not reach {host}: it is not in `checks_network` of `.github/hob.toml`.",
            "{check} konnte {host} nicht erreichen: Das steht nicht in `checks_network` von `.github/hob.toml`."
        ),
        Why::Private => say!(
            language,
            "{check} could not reach {host}: the name leads to a private address, and that address is not in \
             `checks_network` of `.github/hob.toml`.",
            "{check} konnte {host} nicht erreichen: Der Name führt zu einer privaten Adresse, und diese Adresse steht nicht in \
             `checks_network` von `.github/hob.toml`."
        ),
    }
}

/// The checks as a part of a pull request's body.
pub fn checks_section(language: Language, checked: &Checked) -> String {
    let mut text = format!("### Checks\n\n{}", checks_table(language, checked));
    if let Some(failing) = checked.failing() {
        let command = command(&failing.command);
        text.push_str(&say!(
            language,
            "\n\n**{command} fails**, and the agent has had it back as often as it may. A new pull request is a draft then.",
            "\n\n**{command} schlägt fehl**, und der Agent hat es so oft zurückbekommen, wie er darf. Ein neuer Pull Request ist \
             dann ein Draft."
        ));
    }
    text
}

/// Said on the issue when the pull request is open though a check fails. `{pull}` as in `pull_request_ready`.
pub fn pull_request_with_failing_check(
    language: Language,
    commits: usize,
    took: Spent,
    failing: &CheckResult,
) -> String {
    let (commits, took) = (commits_in_words(language, commits), finished(language, took));
    let (command, ended) = (command(&failing.command), ended(language, failing.end));
    say!(
        language,
        "Done, but {command} still fails: {ended}. #{{pull}} has {commits}; see its checks. `/hob work …` with a hint goes on from \
         there.\n\n{took}",
        "Fertig, aber {command} schlägt noch fehl: {ended}. #{{pull}} hat {commits}; sieh dir die Checks dort an. `/hob work …` mit \
         einem Hinweis macht dort weiter.\n\n{took}"
    )
}

/// Said in one sentence, beside what was done, where a check fails on it and no agent mends that. `{pull}` as in `pull_request_ready`.
pub fn still_failing(language: Language, checked: Option<&Checked>) -> Option<String> {
    let failing = checked?.failing()?;
    let (command, ended) = (command(&failing.command), ended(language, failing.end));
    Some(say!(
        language,
        "**But {command} fails on it**: {ended}; see the checks in #{{pull}}.",
        "**Aber {command} schlägt damit fehl**: {ended}; sieh dir die Checks in #{{pull}} an."
    ))
}

fn ended(language: Language, end: CheckEnd) -> String {
    match end {
        CheckEnd::Exited(0) => word!(language, "passed, exit code 0", "bestanden, Exit-Code 0").to_owned(),
        CheckEnd::Exited(code) => say!(language, "exit code {code}", "Exit-Code {code}"),
        CheckEnd::TimedOut => word!(language, "took too long", "dauerte zu lange").to_owned(),
        CheckEnd::TookTooMuch => word!(
            language,
            "took too much disk or printed too much",
            "belegte zu viel Plattenplatz oder gab zu viel aus"
        )
        .to_owned(),
    }
}

/// A line of somebody's as code in a table: nothing in it can end either.
pub(super) fn command(text: &str) -> String {
    super::code(&text.replace('|', "¦"), MOST_COMMAND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;

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
        fenced.results[0].refused =
            vec![refused("example.org:443", Why::NotListed), refused("intern.example:80", Why::Private)];
        let took = Spent { duration_ms: 252_000, cost_usd: Some(0.83), turns: Some(3) };
        assert_said!("what_is_said_about_checks", |language| {
            let said = pull_request_with_failing_check(language, 2, took, failing.failing().unwrap());
            let beside = still_failing(language, Some(&failing)).unwrap();
            let [passing, failing, fenced] =
                [&passing, &failing, &fenced].map(|checked| checks_section(language, checked));
            [passing, failing, fenced, said, beside].join("\n\n=====\n\n")
        });
    }
}
