//! A task that failed, in words: what happened, what became of the work, and what to do, for each class of failures.

use super::{Spent, file_list, finished, quoted, whole};
use crate::agent::FailureClass;
use crate::language::{Language, word};

/// A failure, as far as a person on GitHub may know it.
#[derive(Debug, Clone)]
pub struct FailureText<'a> {
    /// The language to say it in.
    pub language: Language,
    /// What kind it was.
    pub class: FailureClass,
    /// The agent's or the server's own words.
    pub detail: &'a str,
    /// Whether the agent had worked: what is missing then is not its start.
    pub has_worked: bool,
    /// Files that were left uncommitted.
    pub uncommitted: &'a [String],
    /// What it took.
    pub took: Spent,
}

/// Said on the issue when a task failed: what happened, what became of the work, what to do.
pub fn failed(failure: &FailureText<'_>) -> String {
    let language = failure.language;
    let words = match failure.class {
        FailureClass::NotReady if failure.has_worked => cut_off(language),
        class => failure_words(language, class),
    };
    let mut text = format!("**{}**", words.happened);
    let detail = failure.detail.trim();
    if !detail.is_empty() {
        text.push_str("\n\n");
        text.push_str(&quoted(&whole(language, detail, 2_000)));
    }
    if !failure.uncommitted.is_empty() {
        text.push_str(word!(language, "\n\nNot committed:\n\n", "\n\nNicht committet:\n\n"));
        text.push_str(&file_list(language, failure.uncommitted));
    }
    text.push_str(&format!("\n\n{} {}\n\n{}", words.work, words.to_do, finished(language, failure.took)));
    text
}

/// What is said of a class of failures, a sentence or two each.
pub(super) struct FailureWords {
    pub(super) happened: &'static str,
    work: &'static str,
    to_do: &'static str,
}

/// What is said in the place of the words about a start, where something was missing after it.
fn cut_off(language: Language) -> FailureWords {
    FailureWords {
        happened: word!(
            language,
            "hob could not bring this work to its end.",
            "hob konnte diese Arbeit nicht zu Ende bringen."
        ),
        work: word!(
            language,
            "The workspace is kept as the agent left it.",
            "Der Workspace bleibt, wie der Agent ihn verlassen hat."
        ),
        to_do: word!(
            language,
            "Once what is named above is put right, `/hob retry` goes on from there.",
            "Sobald behoben ist, was oben steht, macht `/hob retry` dort weiter."
        ),
    }
}

pub(super) fn failure_words(language: Language, class: FailureClass) -> FailureWords {
    use FailureClass as F;
    let kept = word!(
        language,
        "The workspace is kept as the agent left it.",
        "Der Workspace bleibt, wie der Agent ihn verlassen hat."
    );
    let again = word!(language, "`/hob work` goes on from there.", "`/hob work` macht dort weiter.");
    let (happened, work, to_do) = match class {
        F::Authentication => (
            word!(
                language,
                "The agent could not log in to its model's service.",
                "Der Agent konnte sich beim Dienst seines Modells nicht anmelden."
            ),
            kept,
            word!(
                language,
                "Whoever runs hob has to renew the agent's key or login; then `/hob work` goes on.",
                "Wer hob betreibt, muss den Schlüssel oder die Anmeldung des Agenten erneuern; danach macht `/hob work` weiter."
            ),
        ),
        F::Billing => (
            word!(
                language,
                "The model's service refuses to work: the account has no credit left.",
                "Der Dienst des Modells verweigert die Arbeit: Das Guthaben des Kontos ist aufgebraucht."
            ),
            kept,
            word!(
                language,
                "Whoever runs hob has to see to the account; then `/hob work` goes on.",
                "Wer hob betreibt, muss sich um das Konto kümmern; danach macht `/hob work` weiter."
            ),
        ),
        F::RateLimit => (
            word!(
                language,
                "The model's service is limiting requests.",
                "Der Dienst des Modells begrenzt gerade die Zahl der Anfragen."
            ),
            kept,
            word!(
                language,
                "Try `/hob work` again in a while.",
                "Versuch es in einer Weile wieder mit `/hob work`."
            ),
        ),
        F::UsageLimit => (
            word!(
                language,
                "The usage limit of the model's account is reached.",
                "Das Nutzungslimit des Modell-Kontos ist erreicht."
            ),
            kept,
            word!(
                language,
                "Try `/hob work` again when the limit has been reset.",
                "Versuch es wieder mit `/hob work`, wenn das Limit zurückgesetzt ist."
            ),
        ),
        F::Overloaded => (
            word!(
                language,
                "The model's service was overloaded or out of reach, also after several tries.",
                "Der Dienst des Modells war überlastet oder nicht erreichbar, auch nach mehreren Versuchen."
            ),
            kept,
            word!(
                language,
                "Try `/hob work` again in a while.",
                "Versuch es in einer Weile wieder mit `/hob work`."
            ),
        ),
        F::ContextOverflow => (
            word!(
                language,
                "The conversation has become too long for the model.",
                "Das Gespräch ist für das Modell zu lang geworden."
            ),
            kept,
            word!(
                language,
                "Split the issue into smaller ones, or say with `/hob work …` what is left to do.",
                "Teil das Issue in kleinere auf, oder sag mit `/hob work …`, was noch zu tun ist."
            ),
        ),
        F::TurnLimit => (
            word!(
                language,
                "The agent reached the limit of turns for one run.",
                "Der Agent hat die Höchstzahl an Schritten für einen Lauf erreicht."
            ),
            kept,
            again,
        ),
        F::BudgetLimit => (
            word!(language, "The agent has used its budget up.", "Der Agent hat sein Budget aufgebraucht."),
            kept,
            again,
        ),
        F::Refused => (
            word!(language, "The model refused the task.", "Das Modell hat die Aufgabe abgelehnt."),
            kept,
            word!(
                language,
                "Say with `/hob work …` what is wanted in other words.",
                "Sag mit `/hob work …` in anderen Worten, was du willst."
            ),
        ),
        F::ModelUnknown => (
            word!(
                language,
                "The model that is configured does not exist, or the account may not use it.",
                "Das eingestellte Modell gibt es nicht, oder das Konto darf es nicht benutzen."
            ),
            kept,
            word!(
                language,
                "Whoever runs hob has to correct the model's name; then `/hob work` goes on.",
                "Wer hob betreibt, muss den Namen des Modells berichtigen; danach macht `/hob work` weiter."
            ),
        ),
        F::SessionLost => (
            word!(
                language,
                "The agent's session was lost, and starting over failed too.",
                "Die Session des Agenten ist verloren, und auch ein neuer Anfang ist gescheitert."
            ),
            kept,
            word!(language, "`/hob work` starts a new session.", "`/hob work` beginnt eine neue Session."),
        ),
        F::Interrupted => {
            (word!(language, "The run was interrupted.", "Der Lauf wurde unterbrochen."), kept, again)
        }
        F::OutOfMemory => (
            word!(
                language,
                "The agent's container ran out of memory and was stopped.",
                "Dem Container des Agenten ging der Arbeitsspeicher aus; er wurde angehalten."
            ),
            kept,
            word!(
                language,
                "`/hob work` goes on from there; whoever runs hob can raise `container.memory`.",
                "`/hob work` macht dort weiter; wer hob betreibt, kann `container.memory` erhöhen."
            ),
        ),
        F::TimedOut => (
            word!(
                language,
                "The agent did not finish within the time limit and was stopped.",
                "Der Agent wurde in der erlaubten Zeit nicht fertig und wurde angehalten."
            ),
            kept,
            word!(
                language,
                "`/hob work` goes on from there; a smaller issue helps.",
                "`/hob work` macht dort weiter; ein kleineres Issue hilft."
            ),
        ),
        F::Stalled => (
            word!(
                language,
                "The agent said nothing for too long and was stopped.",
                "Der Agent hat zu lange nichts von sich hören lassen und wurde angehalten."
            ),
            kept,
            again,
        ),
        F::Crashed => (
            word!(language, "The agent ended with an error.", "Der Agent endete mit einem Fehler."),
            kept,
            word!(
                language,
                "`/hob work` tries again from there.",
                "`/hob work` versucht es von dort noch einmal."
            ),
        ),
        F::HandOverRefused => (
            word!(
                language,
                "The agent's commits could not be taken over.",
                "Die Commits des Agenten konnten nicht übernommen werden."
            ),
            kept,
            word!(
                language,
                "`/hob work …` with a hint at what to do differently goes on from there.",
                "`/hob work …` mit einem Hinweis, was anders werden soll, macht dort weiter."
            ),
        ),
        F::LeftUncommitted => (
            word!(
                language,
                "The agent left work uncommitted, also after it was asked to commit it.",
                "Der Agent hat einen Teil seiner Arbeit nicht committet, auch nachdem er darum gebeten wurde."
            ),
            kept,
            word!(
                language,
                "`/hob work commit your changes`, or what else should become of them, goes on from there.",
                "`/hob work commit your changes`, oder was sonst damit geschehen soll, macht dort weiter."
            ),
        ),
        F::PushRefused => (
            word!(language, "The git host refused the push.", "Der Git-Server hat den Push abgelehnt."),
            word!(
                language,
                "The commits and the workspace are kept.",
                "Die Commits und der Workspace bleiben erhalten."
            ),
            word!(
                language,
                "Change what the message above names (a branch's protection, for example); then `/hob work` tries again.",
                "Ändere, was die Meldung oben nennt (zum Beispiel den Schutz eines Branches); danach versucht es `/hob work` noch einmal."
            ),
        ),
        F::BranchMoved => (
            word!(
                language,
                "Somebody else moved the branch while the agent worked, and the two do not go together by themselves.",
                "Jemand hat den Branch verändert, während der Agent arbeitete, und beides passt nicht von selbst zusammen."
            ),
            word!(
                language,
                "Nothing was overwritten: the branch is as they left it, and the agent's commits are kept in its workspace.",
                "Nichts wurde überschrieben: Der Branch ist, wie er hinterlassen wurde, und die Commits des Agenten bleiben in seinem Workspace erhalten."
            ),
            word!(
                language,
                "`/hob work` brings what is on the branch into the workspace and goes on.",
                "`/hob work` holt den Stand des Branches in den Workspace und macht weiter."
            ),
        ),
        F::NotReady => (
            word!(language, "hob could not start the agent.", "hob konnte den Agenten nicht starten."),
            word!(language, "Nothing was changed.", "Nichts wurde geändert."),
            word!(
                language,
                "Once what is named above is put right, `/hob work` starts again. An option of yours (`--base`, `--image`, `--agent`) you can put right yourself; the rest is for whoever runs hob.",
                "Sobald behoben ist, was oben steht, beginnt `/hob work` neu. Eine Option von dir (`--base`, `--image`, `--agent`) kannst du selbst berichtigen; alles andere ist Sache derer, die hob betreiben."
            ),
        ),
        F::SetUpFailed => (
            word!(
                language,
                "The repository's set-up command failed, so the agent was not started.",
                "Der Setup-Befehl des Repositorys ist fehlgeschlagen, deshalb wurde der Agent nicht gestartet."
            ),
            kept,
            word!(
                language,
                "Mend `setup` in `.github/hob.toml`, or what it runs; if whoever runs hob has set it, they have to. Then `/hob work` goes on.",
                "Berichtige `setup` in `.github/hob.toml` oder das, was er ausführt; hat ihn gesetzt, wer hob betreibt, ist es deren Sache. Danach macht `/hob work` weiter."
            ),
        ),
        F::TemplateUnusable => (
            word!(
                language,
                "The repository's template for the prompt cannot be used, so the agent was not started.",
                "Die Prompt-Vorlage des Repositorys ist nicht brauchbar, deshalb wurde der Agent nicht gestartet."
            ),
            word!(language, "Nothing is lost.", "Nichts ist verloren."),
            word!(
                language,
                "Mend the template on the base branch, and `/hob retry` starts again. Or take `prompt` out of `.github/hob.toml`; then `/hob work` does.",
                "Berichtige die Vorlage auf dem Basis-Branch, dann beginnt `/hob retry` neu. Oder nimm `prompt` aus `.github/hob.toml`; dann tut es `/hob work`."
            ),
        ),
        F::DiskFull => (
            word!(
                language,
                "The agent was stopped: it took up more disk than it may, or the server's disk is nearly full.",
                "Der Agent wurde angehalten: Er hat mehr Plattenplatz belegt, als er darf, oder die Platte des Servers ist fast voll."
            ),
            kept,
            word!(
                language,
                "Say with `/hob work …` what to delete. hob's log says which of the two it was; whoever runs hob can make room, or raise `container.disk`.",
                "Sag mit `/hob work …`, was gelöscht werden soll. Welches von beiden es war, steht im Log von hob; wer hob betreibt, kann Platz schaffen oder `container.disk` erhöhen."
            ),
        ),
        F::ContainerLost => (
            word!(
                language,
                "The agent's container vanished while it worked; somebody or something removed it.",
                "Der Container des Agenten ist während der Arbeit verschwunden; jemand oder etwas hat ihn entfernt."
            ),
            kept,
            again,
        ),
    };
    FailureWords { happened, work, to_do }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;

    #[test]
    fn every_failure_says_what_happened_what_became_of_the_work_and_what_to_do() {
        let name = "every_failure_says_what_happened_what_became_of_the_work_and_what_to_do";
        let all = |language| {
            FailureClass::ALL
                .iter()
                .map(|class| {
                    let words = failure_words(language, *class);
                    assert!(
                        [words.happened, words.work, words.to_do].iter().all(|w| w.ends_with('.')),
                        "{class}"
                    );
                    format!("{class}: {} {} {}", words.happened, words.work, words.to_do)
                })
                .collect::<Vec<String>>()
                .join("\n")
        };
        assert_said!(name, all);
    }

    #[test]
    fn what_is_missing_after_the_start_is_not_said_to_be_missing_at_it() {
        assert_said!("what_is_missing_after_the_start_is_not_said_to_be_missing_at_it", |language| {
            failed(&FailureText {
                language,
                class: FailureClass::NotReady,
                detail: "Docker does not answer.",
                has_worked: true,
                uncommitted: &[],
                took: Spent::default(),
            })
        });
    }
}
