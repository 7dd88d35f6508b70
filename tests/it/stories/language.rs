//! A repository that wants to be spoken to in German: every word of hob's is German there, from the first help to the pull request,
//! and answers in German are understood. Commands, labels and commits stay as they are.

use crate::world::{REPO, World};

/// Waits until the status comment on an issue says this.
async fn shows(w: &World, issue: u64, what: &str) -> String {
    w.until(what, |_| w.status(issue).map(|c| c.body).filter(|body| body.contains(what))).await
}

async fn speaks(w: &World, language: &str) {
    let text = format!("language = {language:?}\n");
    w.bob().pushes("main", &[(".github/hob.toml", &text)], "Say which language people read here").await;
}

#[tokio::test]
async fn a_german_repository_is_spoken_to_in_german_and_its_answers_are_understood() {
    let w = World::start().await;
    speaks(&w, "de").await;
    let issue = w.alice().opens_issue("Ein Workflow", "[scenario: workflow]").await;
    w.alice().comments(issue, "/hob help").await;
    let help = w.next_comment(issue).await.body;
    assert!(help.starts_with("| Du schreibst | Ich mache |"), "{help}");
    assert!(help.contains("| `/hob stop` | Hält den Agenten an."), "{help}");
    w.alice().comments(issue, "/hob hilfe").await;
    let hilfe = w.next_comment(issue).await.body;
    assert!(hilfe.starts_with("Den Befehl `/hob hilfe` gibt es nicht. Nichts wurde begonnen."), "{hilfe}");

    w.alice().labels(issue, "hob").await;
    let card = w.next_comment(issue).await.body;
    assert!(card.starts_with("**Ich habe eine Frage, bevor ich weitermachen kann.**"), "{card}");
    assert!(card.contains("\n- [ ] Trotzdem pushen\n- [ ] Weglassen\n"), "{card}");
    shows(&w, issue, "**Ich warte auf eine Antwort** auf [meine Frage](").await;
    // What is under way goes on in its language, whatever the repository says meanwhile.
    speaks(&w, "en").await;
    w.alice().comments(issue, "Ja.").await;
    let pull = w.next_pull_request().await;
    let end = shows(&w, issue, &format!("Fertig: #{} hat 1 Commit für dein Review.", pull.number)).await;
    assert!(end.contains("<sub>fertig nach ") && end.contains("· Lauf `"), "{end}");
    for part in [
        "### Gefragt und beantwortet\n",
        "**alice:** Ja.",
        "### Sieh genau hin bei\n\n- `.github/workflows/x.yml` ist geschützt\n",
        "\nCloses #1\n",
        "\nGewünscht von @alice · Claude Code",
    ] {
        assert!(pull.body.contains(part), "{part}: {}", pull.body);
    }
    assert!(w.github.file_at(REPO, &pull.head, ".github/workflows/x.yml").is_some());
    // The agent knows who reads what it writes.
    let run = std::fs::read_dir(w.data().join("runs")).unwrap().flatten().next().expect("a run");
    let prompt = std::fs::read_to_string(run.path().join("prompt.md")).unwrap();
    assert!(prompt.contains("People here read German."), "{prompt}");

    // A comment of its own is in the language of now.
    w.alice().comments(issue, "/hob status").await;
    let status = w.next_comment(issue).await.body;
    assert!(status.starts_with("**Done** "), "{status}");
    let other = w.alice().opens_issue("A workflow", "[scenario: work]").await;
    w.alice().comments(other, "/hob help").await;
    assert!(w.next_comment(other).await.body.starts_with("| You write | I do |"));
    w.finish().await;
}

#[tokio::test]
async fn the_operator_says_which_language_is_spoken_where_a_repository_does_not() {
    let w = World::with(|config| config.github.language = hob::language::Language::De).await;
    let issue = w.alice().opens_issue("Etwas", "[scenario: work]").await;
    w.alice().comments(issue, "/hob status").await;
    let status = w.next_comment(issue).await.body;
    assert!(
        status.starts_with("Hier wird an nichts gearbeitet, und es wurde noch nichts begonnen."),
        "{status}"
    );
    speaks(&w, "en").await;
    w.alice().comments(issue, "/hob status").await;
    let status = w.next_comment(issue).await.body;
    assert!(status.starts_with("Nothing is under way here, and nothing was."), "{status}");
    w.finish().await;
}

#[tokio::test]
async fn a_failure_is_in_one_language_from_its_first_word_to_its_last() {
    let w = World::with(|config| {
        config.github.language = hob::language::Language::De;
        config.container.image = "no-such-image:1".to_owned();
    })
    .await;
    let issue = w.alice().opens_issue("Mach es", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    let said = shows(&w, issue, "**hob konnte den Agenten nicht starten.**").await;
    assert!(said.contains("\n\n> Docker hat kein Image `no-such-image:1`.\n"), "{said}");
    w.finish().await;
}
