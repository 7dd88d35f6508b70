//! What is said about failed checks: that there is nothing to mend, what was mended, and that hob stops trying.

use super::{Spent, below, code, commits_in_words, finished};
use crate::ids::Sha;
use crate::language::{Language, say, word};
use crate::story::About;

/// The longest name of a check that is shown.
const MOST_NAME: usize = 100;
/// Names that are shown.
const MOST_NAMES: usize = 10;
/// As much of a commit's id as tells it from others.
const SHORT: usize = 7;

/// Why there is nothing to do about checks.
#[derive(Debug, Clone)]
pub enum NothingToMend<'a> {
    /// There is no open pull request, or it has moved on.
    NoPull,
    /// Nothing fails there that is the work's doing.
    NoneFails {
        /// The commit.
        head: &'a Sha,
        /// What fails, and failed before the work began.
        red_before: &'a [String],
        /// Whether some have not come to their end.
        is_pending: bool,
        /// Whether hob may not see all of them.
        is_hidden: bool,
    },
}

/// Said where checks were to be mended and there is nothing to mend.
pub fn nothing_to_mend(language: Language, found: &NothingToMend<'_>) -> String {
    let NothingToMend::NoneFails { head, red_before, is_pending, is_hidden } = found else {
        return word!(
            language,
            "There is no open pull request here whose checks I could mend. `/hob work` has me work on the issue, and opens \
             one; with a pull request that was closed, reopen it first.",
            "Hier gibt es keinen offenen Pull Request, dessen Checks ich in Ordnung bringen könnte. Mit `/hob work` bearbeite ich \
             das Issue und öffne einen; einen, der geschlossen wurde, öffne zuerst wieder."
        )
        .to_owned();
    };
    let head: String = head.as_str().chars().take(SHORT).collect();
    let names = names(language, red_before);
    let mut text = match red_before.len() {
        0 => say!(
            language,
            "**No check fails** on `{head}` now, so there is nothing to mend.",
            "**Kein Check schlägt fehl** auf `{head}`, also gibt es nichts zu beheben."
        ),
        1 => say!(
            language,
            "**Nothing to mend on `{head}`:** {names} fails, and it failed before this work began. I leave it as it is.",
            "**Nichts zu beheben auf `{head}`:** {names} schlägt fehl, und das schon vor dieser Arbeit. Ich lasse es, wie es ist."
        ),
        _ => say!(
            language,
            "**Nothing to mend on `{head}`:** {names} fail, and they failed before this work began. I leave them as they are.",
            "**Nichts zu beheben auf `{head}`:** {names} schlagen fehl, und das schon vor dieser Arbeit. Ich lasse sie, wie sie sind."
        ),
    };
    if *is_pending {
        text.push_str(word!(language, " Some checks are still running.", " Einige Checks laufen noch."));
    }
    if *is_hidden {
        text.push_str(word!(
            language,
            " I may not see all of them: I need the permissions *Checks* and *Commit statuses* for that.",
            " Ich darf nicht alle sehen: Dafür brauche ich die Berechtigungen *Checks* und *Commit statuses*."
        ));
    }
    text
}

/// Said on the issue when checks were to be mended and there are new commits. `{pull}` as in `pull_request_ready`.
pub fn checks_mended(language: Language, checks: &[&str], commits: usize, took: Spent) -> String {
    let (commits, took) = (commits_in_words(language, commits), finished(language, took));
    let names = names(language, checks);
    match checks.len() {
        1 => say!(
            language,
            "Done: #{{pull}} has {commits} more, about the check that failed: {names}. Its next run says whether that was \
             it.\n\n{took}",
            "Fertig: #{{pull}} hat {commits} mehr, wegen des Checks, der fehlschlug: {names}. Sein nächster Lauf zeigt, ob es das \
             war.\n\n{took}"
        ),
        _ => say!(
            language,
            "Done: #{{pull}} has {commits} more, about the checks that failed: {names}. Their next run says whether that was \
             it.\n\n{took}",
            "Fertig: #{{pull}} hat {commits} mehr, wegen der Checks, die fehlschlugen: {names}. Ihr nächster Lauf zeigt, ob es das \
             war.\n\n{took}"
        ),
    }
}

/// Said on the issue when the agent looked at failed checks and changed nothing.
pub fn checks_left(language: Language, checks: &[&str], summary: Option<&str>, took: Spent) -> String {
    let names = names(language, checks);
    let fail = fail(language, checks.len());
    let mut text = say!(
        language,
        "**Nothing changed.** {names} {fail}, and the agent found nothing to mend in the code.",
        "**Nichts geändert.** {names} {fail} fehl, und der Agent hat im Code nichts gefunden, was zu beheben wäre."
    );
    text.push_str(&below(language, summary));
    let took = finished(language, took);
    text.push_str(&say!(
        language,
        "\n\nIf it should try again, `/hob fix` with a hint has it do so.\n\n{took}",
        "\n\nWenn er es noch einmal versuchen soll: `/hob fix` mit einem Hinweis.\n\n{took}"
    ));
    text
}

/// Said on the pull request, once, when checks still fail and hob has taken them up as often as it may.
pub fn fixes_used_up(language: Language, checks: &[&str], most: u32) -> String {
    let (names, fail) = (names(language, checks), fail(language, checks.len()));
    let times = match most {
        1 => word!(language, "once", "einmal").to_owned(),
        most => say!(language, "{most} times", "{most}-mal"),
    };
    say!(
        language,
        "**{names} still {fail}, and I stop here.** I have taken up failed checks on this pull request {times}, and leave them to \
         you now. `/hob fix` with a hint has me try once more.",
        "**{names} {fail} immer noch fehl, und ich höre hier auf.** Ich habe fehlgeschlagene Checks an diesem Pull Request {times} \
         aufgenommen und überlasse sie jetzt dir. Mit `/hob fix` und einem Hinweis versuche ich es noch einmal."
    )
}

/// What one check, or several, do.
fn fail(language: Language, checks: usize) -> &'static str {
    match checks {
        1 => word!(language, "fails", "schlägt"),
        _ => word!(language, "fail", "schlagen"),
    }
}

/// Said on the pull request where a task about it has failed, whose status comment stands on the issue. `words` are those.
pub fn failed_here(language: Language, about: &About, words: &str) -> String {
    let what = match about {
        About::Review(_) => {
            word!(language, "The review is not dealt with.", "Das Review ist nicht bearbeitet.")
        }
        About::Checks(_) => word!(
            language,
            "The failed checks are not mended.",
            "Die fehlgeschlagenen Checks sind nicht in Ordnung gebracht."
        ),
        About::Base(_) => {
            word!(language, "The base branch is not brought in.", "Der Basis-Branch ist nicht eingemergt.")
        }
        About::Issue | About::SubIssue(_) => {
            word!(
                language,
                "What was asked for here is not done.",
                "Was hier gewünscht war, ist nicht getan."
            )
        }
    };
    format!("{what} {words}")
}

/// Names of checks, which come from outside.
fn names(language: Language, checks: &[impl AsRef<str>]) -> String {
    let mut shown: Vec<String> =
        checks.iter().take(MOST_NAMES).map(|name| code(name.as_ref(), MOST_NAME)).collect();
    if checks.len() > MOST_NAMES {
        let more = checks.len() - MOST_NAMES;
        shown.push(say!(language, "{more} more", "{more} weitere"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => {
            let rest = rest.join(", ");
            say!(language, "{rest} and {last}", "{rest} und {last}")
        }
        None => word!(language, "a check", "ein Check").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;
    use crate::story::review::Round;

    #[test]
    fn what_is_said_about_failed_checks() {
        let head: Sha = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let took = Spent { duration_ms: 252_000, cost_usd: Some(0.83), turns: Some(3) };
        let none = |red_before| NothingToMend::NoneFails {
            head: &head,
            red_before,
            is_pending: false,
            is_hidden: false,
        };
        let hidden =
            NothingToMend::NoneFails { head: &head, red_before: &[], is_pending: true, is_hidden: true };
        let red = ["lint".to_owned(), "build `x`\n@all".to_owned()];
        let many: Vec<String> = (1..=12).map(|n| format!("job {n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = |language| {
            [
                nothing_to_mend(language, &NothingToMend::NoPull),
                nothing_to_mend(language, &none(&[])),
                nothing_to_mend(language, &none(&red[..1])),
                nothing_to_mend(language, &none(&red)),
                nothing_to_mend(language, &hidden),
                checks_mended(language, &["build"], 1, took),
                checks_mended(language, &many, 2, took),
                checks_left(language, &["build", "test"], Some("The runner has no network."), took),
                fixes_used_up(language, &["build"], 2),
                fixes_used_up(language, &["build", "test"], 1),
                failed_here(
                    language,
                    &About::Review(Round::default()),
                    "**The agent ended with an error.**\n\nMore.",
                ),
            ]
            .join("\n\n=====\n\n")
        };
        assert_said!("what_is_said_about_failed_checks", all);
    }
}
