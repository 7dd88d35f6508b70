//! Every word that hob says on GitHub. Each message is a function from facts to Markdown, so that all of
//! them can be read, and tested, in one place. What agents wrote goes through `contain`; no function
//! here is given a secret, a path of the host or an error of a library. What the agent is told is in `prompt.rs`.

mod base;
mod budget;
pub mod card;
mod check_run;
mod checks;
mod closing;
mod commands;
mod contain;
mod detail;
mod fix;
mod kept;
mod login;
mod objections;
mod pull_request;
mod rest;
pub mod review;
mod settings;
mod status;
mod title;

mod unfinished;

pub use base::{
    Branches, base_has_it_all, base_merge_subject, base_merged, base_merged_by_agent, base_merged_note,
    base_not_pushed, base_rebased, base_unrelated, base_up_to_date, no_branch_yet, rebase_conflicts,
    rebase_would_lose, theirs_conflict, theirs_merge_subject, theirs_merged_note, theirs_removed,
    theirs_took_back, with_notes,
};
pub use budget::{at_cap_subject, cap_is_reached, caps, may_it_cost_more, waits_for_limit};
pub use check_run::{
    check_run_summary, check_run_text, check_run_title, checked_again, has_moved_on, moved_on, told_elsewhere,
};
pub use checks::{checks_section, checks_table, pull_request_with_failing_check, still_failing};
pub use closing::without_closing_words;
pub use commands::{
    NoGo, WhereItStands, base_stays, help, may_this_be_done, misunderstood, no_cap, nothing_done,
    where_it_stands,
};
pub use contain::{Sizes, contain, contain_in_parts, contain_line};
use contain::{code, login};
pub use detail::Detail;
pub use fix::{NothingToMend, checks_left, checks_mended, failed_here, fixes_used_up, nothing_to_mend};
pub use kept::{Kept, WhyStopped, put_away, still_waiting, stopped, work_in_progress};
pub use login::{
    LoginFault, login_not_renewed, login_obstructed, login_refused_again, login_unusable, no_account,
    no_ssh_agent,
};
pub use objections::{Objection, may_this_be_pushed, objections};
pub use pull_request::{
    Report, no_room_for_report, pull_request_body, short_body, with_evidence, with_report,
};
pub use rest::{Rest, rest_comment, rests, with_links};
use rest::{whole, whole_changed};
pub use settings::{
    blocked_by, blocked_for, fix_settings_at_fault, may_no_more, part_of, reviewers_refused,
    settings_at_fault, waits_for_blockers, waits_no_more,
};
pub use status::{Phase, PullOver, StatusText, status};
pub use title::{pull_request_title, title_of_work};
pub use unfinished::{UnfinishedText, WhyUnfinished, shown_as_draft, unfinished};

use serde::{Deserialize, Serialize};

use crate::agent::FailureClass;
use crate::ids::{AgentKind, EffectId, IssueNumber, PullNumber};
use crate::language::{Language, say, word};
use crate::story::checks::Checked;
use crate::story::{About, AskedQuestion};

/// GitHub refuses a comment or a body above 65,536 characters; the rest of a message needs room too.
const MOST_AGENT_TEXT: usize = 50_000;

const MARKER_START: &str = "<!-- hob:";
const MARKER_END: &str = " -->";
/// What stands before the id in the marker of a status comment.
const STATUS: &str = "status ";

/// The hidden text at the end of a comment by which hob knows it again.
pub fn marker(effect: EffectId) -> String {
    format!("{MARKER_START}{effect}{MARKER_END}")
}

/// The marker of a status comment.
pub fn status_marker(effect: EffectId) -> String {
    format!("{MARKER_START}{STATUS}{effect}{MARKER_END}")
}

/// Whether a comment ends with a marker, as all of hob's do. One in the middle is a quotation.
pub fn has_marker(body: &str) -> bool {
    let last = body.trim_end().lines().last().unwrap_or_default();
    last.strip_prefix(MARKER_START)
        .and_then(|rest| rest.strip_suffix(MARKER_END))
        .is_some_and(|id| id.strip_prefix(STATUS).unwrap_or(id).parse::<EffectId>().is_ok())
}

/// Whether a comment is a status comment, with no other marker in it.
pub fn is_status(body: &str) -> bool {
    let last = body.trim_end().lines().last().unwrap_or_default();
    let is_one = body.matches(MARKER_START).count() == 1;
    is_one && has_marker(body) && last.starts_with(&format!("{MARKER_START}{STATUS}"))
}

/// A change of an issue by somebody who may not push, after somebody who may had asked for work on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextChanged {
    /// What they changed.
    pub part: Part,
    /// Their login.
    pub by: String,
}

/// A part of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its title.
    Title,
    /// Its text.
    Text,
}

/// Said where work was asked for, hob read the text later, and the issue had been changed in between, or its sub-issue `of`.
pub fn text_changed(
    language: Language,
    changed: &TextChanged,
    of: Option<IssueNumber>,
    since_label: bool,
) -> String {
    let part = match changed.part {
        Part::Title => word!(language, "title", "den Titel"),
        Part::Text => word!(language, "text", "den Text"),
    };
    let what = match of {
        None => say!(language, "this issue's {part}", "{part} dieses Issues"),
        Some(sub_issue) => say!(language, "the {part} of #{sub_issue}", "{part} von #{sub_issue}"),
    };
    let asked = match since_label {
        true => word!(language, "the label was put on", "nachdem das Label gesetzt wurde"),
        false => word!(language, "that was asked for", "nachdem darum gebeten wurde"),
    };
    // Not addressed: who changes a text gets no voice here, and may be anybody.
    let by = login(&changed.by);
    say!(
        language,
        "**Not started: {by} changed {what} after {asked}.** I work on what people who may push to \
         this repository have seen, and {by} is none of them. Read it once more; `/hob work` starts it as it is now.",
        "**Nicht begonnen: {by} hat {what} geändert, {asked}.** Ich bearbeite nur, was Leute gesehen haben, die in \
         dieses Repository pushen dürfen, und {by} gehört nicht dazu. Lies es noch einmal; `/hob work` beginnt mit dem Text, wie er \
         jetzt ist."
    )
}

/// What the runs of a task took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Time in containers, milliseconds.
    pub duration_ms: u64,
    /// Dollars, where the agent tells them.
    pub cost_usd: Option<f64>,
    /// Turns of the model, where the agent tells them.
    pub turns: Option<u32>,
}

/// What a pull request's body is made from.
#[derive(Debug, Clone)]
pub struct PullRequestText<'a> {
    /// The language of the report.
    pub language: Language,
    /// The issues that it closes when it is merged: the story's own, and sub-issues that were worked on with it.
    pub closes: &'a [IssueNumber],
    /// Who asked for the work.
    pub asked_by: &'a str,
    /// The agent's own summary of the work that it was opened with.
    pub summary: Option<&'a str>,
    /// What is missing in it and what comes next, where it was cut short.
    pub unfinished: Option<&'a str>,
    /// What was done on it after that, oldest first.
    pub later: &'a [Later],
    /// Which agent worked.
    pub agent: AgentKind,
    /// What it took, over all runs of the story.
    pub spent: Spent,
    /// What was asked and answered on the way.
    pub questions: &'a [AskedQuestion],
    /// Files that the agent left for people; whoever runs hob has them.
    pub drops: &'a [String],
    /// What came of the repository's checks.
    pub checked: Option<&'a Checked>,
    /// Paths in it to look at closely.
    pub notable: &'a [Notable],
    /// The model, where one was chosen.
    pub model: Option<&'a str>,
    /// The repository's template for pull requests.
    pub template: Option<&'a str>,
    /// Whether it goes to the default branch.
    pub to_default_branch: bool,
    /// The pull request before it, and whether that was merged.
    pub follows: Option<(PullNumber, bool)>,
}

/// The most paths to look at closely that are named.
pub const MOST_NOTABLE: usize = 20;

/// A path that a reviewer should look at closely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notable {
    /// The path.
    pub path: String,
    /// What such a file does.
    pub why: Why,
}

/// What a file does whose change does more than it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A person has to let it through.
    IsProtected,
    /// It runs in CI.
    RunsInCi,
    /// It says how hob works.
    SaysHowHobWorks,
    /// It says who reviews.
    SaysWhoReviews,
    /// It configures agents.
    ConfiguresAgents,
    /// It runs when the program is built.
    RunsInTheBuild,
    /// It makes an image.
    MakesAnImage,
    /// It says what the program depends on.
    SaysWhatItDependsOn,
    /// It is a licence.
    IsALicence,
}

impl Why {
    /// In words, behind the path.
    fn words(self, language: Language) -> &'static str {
        match self {
            Self::IsProtected => word!(language, "is protected", "ist geschützt"),
            Self::RunsInCi => word!(language, "runs in CI", "läuft in der CI"),
            Self::SaysHowHobWorks => word!(language, "says how hob works", "bestimmt, wie hob arbeitet"),
            Self::SaysWhoReviews => word!(language, "says who reviews", "bestimmt, wer Reviews macht"),
            Self::ConfiguresAgents => word!(language, "configures agents", "stellt Agenten ein"),
            Self::RunsInTheBuild => {
                word!(language, "runs when the program is built", "läuft, wenn das Programm gebaut wird")
            }
            Self::MakesAnImage => word!(language, "makes an image", "baut ein Image"),
            Self::SaysWhatItDependsOn => {
                word!(language, "says what it depends on", "bestimmt, wovon das Programm abhängt")
            }
            Self::IsALicence => word!(language, "is a licence", "ist eine Lizenz"),
        }
    }
}

/// One piece of work on a pull request that was there already.
#[derive(Debug, Clone)]
pub struct Later {
    /// What it was about.
    pub about: About,
    /// Who asked for it.
    pub by: String,
    /// The agent's summary.
    pub summary: String,
}

fn question_and_answer(language: Language, asked: &AskedQuestion) -> Option<String> {
    let answer = asked.answer.as_ref()?;
    let by = if answer.by.is_empty() {
        word!(language, "Nobody, so the default was taken", "Niemand, deshalb galt die Vorgabe").to_owned()
    } else {
        people(&answer.by)
    };
    Some(format!(
        "- {} **{by}:** {}",
        contain_line(&asked.question.whole_text(), 500),
        contain_line(&budget::answer_words(language, answer), 500),
    ))
}

/// Several logins, as they stand in a whole answer.
fn people(logins: &str) -> String {
    logins.split(", ").map(login).collect::<Vec<_>>().join(", ")
}

/// `1 commit`, `2 commits`
fn commits_in_words(language: Language, commits: usize) -> String {
    if commits == 1 {
        return word!(language, "1 commit", "1 Commit").to_owned();
    }
    say!(language, "{commits} commits", "{commits} Commits")
}

/// Said on the issue when the pull request is open or has new commits. `{pull}` is filled in once the
/// pull request's number is known; it is the subject of its sentence, since "the branch" may stand in its place.
pub fn pull_request_ready(language: Language, commits: usize, took: Spent) -> String {
    let (commits, took) = (commits_in_words(language, commits), finished(language, took));
    say!(
        language,
        "Done: #{{pull}} has {commits} for you to review.\n\n{took}",
        "Fertig: #{{pull}} hat {commits} für dein Review.\n\n{took}"
    )
}

/// What an agent has said, as a quotation below hob's own words; nothing where it said nothing.
fn below(language: Language, summary: Option<&str>) -> String {
    let summary = summary.map(str::trim).filter(|summary| !summary.is_empty());
    summary.map_or(String::new(), |summary| {
        format!("\n\n{}", quoted(&whole(language, summary, MOST_AGENT_TEXT)))
    })
}

/// Said on the issue when the agent found nothing to do.
pub fn nothing_to_change(language: Language, summary: Option<&str>, took: Spent) -> String {
    let mut text = word!(
        language,
        "**Nothing to change.** The agent ended without a commit and without a question.",
        "**Nichts zu ändern.** Der Agent ist fertig, ohne Commit und ohne Frage."
    )
    .to_owned();
    text.push_str(&below(language, summary));
    let took = finished(language, took);
    text.push_str(&say!(
        language,
        "\n\nIf that is wrong, say what is missing with `/hob work …`.\n\n{took}",
        "\n\nWenn das nicht stimmt, sag mit `/hob work …`, was fehlt.\n\n{took}"
    ));
    text
}

/// Said to somebody who wants to stop what cannot be stopped: no agent works. `is_publishing`: its work is on the way.
pub fn nothing_to_stop(language: Language, is_publishing: bool) -> String {
    if is_publishing {
        return word!(
            language,
            "There is nothing to stop any more: the agent is done, and its work is being checked and pushed. Close the \
             pull request if you do not want it.",
            "Hier gibt es nichts mehr anzuhalten: Der Agent ist fertig, und seine Arbeit wird gerade geprüft und gepusht. Schließ \
             den Pull Request, wenn du ihn nicht willst."
        )
        .to_owned();
    }
    word!(
        language,
        "There is nothing to stop: no work is under way here.",
        "Hier gibt es nichts anzuhalten: Es wird an nichts gearbeitet."
    )
    .to_owned()
}

/// A failure, as far as a person on GitHub may know it.
#[derive(Debug, Clone)]
pub struct FailureText<'a> {
    /// The language to say it in.
    pub language: Language,
    /// What kind it was.
    pub class: FailureClass,
    /// The agent's or the server's own words.
    pub detail: &'a str,
    /// Files that were left uncommitted.
    pub uncommitted: &'a [String],
    /// What it took.
    pub took: Spent,
}

/// Said on the issue when a task failed: what happened, what became of the work, what to do.
pub fn failed(failure: &FailureText<'_>) -> String {
    let language = failure.language;
    let words = failure_words(language, failure.class);
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

struct FailureWords {
    happened: &'static str,
    work: &'static str,
    to_do: &'static str,
}

fn failure_words(language: Language, class: FailureClass) -> FailureWords {
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
                "Somebody else moved the story branch while the agent worked, and the two do not go together by themselves.",
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
                "Whoever runs hob has to mend what is named above; then `/hob work` starts again.",
                "Wer hob betreibt, muss beheben, was oben steht; danach beginnt `/hob work` neu."
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
                "Whoever runs hob has to mend the set-up command or the repository; then `/hob work` goes on.",
                "Der Setup-Befehl oder das Repository muss in Ordnung gebracht werden; danach macht `/hob work` weiter."
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
                "The agent took up more disk than a story may and was stopped.",
                "Der Agent hat mehr Plattenplatz belegt, als ihm zusteht, und wurde angehalten."
            ),
            kept,
            word!(
                language,
                "Say with `/hob work …` what to delete; whoever runs hob can raise `container.disk`.",
                "Sag mit `/hob work …`, was gelöscht werden soll; wer hob betreibt, kann `container.disk` erhöhen."
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

/// `finished in 4 m 12 s · $0.83 · 3 turns`
fn finished(language: Language, took: Spent) -> String {
    let spent = spent(language, took);
    say!(language, "<sub>finished in {spent}</sub>", "<sub>fertig nach {spent}</sub>")
}

fn spent(language: Language, spent: Spent) -> String {
    let mut parts = vec![duration(spent.duration_ms)];
    parts.extend(spent.cost_usd.map(|cost| format!("${cost:.2}")));
    parts.extend(spent.turns.map(|turns| match turns {
        1 => word!(language, "1 turn", "1 Schritt").to_owned(),
        turns => say!(language, "{turns} turns", "{turns} Schritte"),
    }));
    parts.join(" · ")
}

fn duration(ms: u64) -> String {
    let seconds = ms.div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} m {s} s"),
        (h, m, _) => format!("{h} h {m} m"),
    }
}

fn agent_name(language: Language, agent: AgentKind) -> &'static str {
    match agent {
        AgentKind::Claude => "Claude Code",
        AgentKind::Codex => "Codex",
        AgentKind::Gemini => "Gemini CLI",
        AgentKind::OpenCode => "OpenCode",
        AgentKind::Command => word!(language, "a command of this hob's", "ein Programm dieses hob"),
    }
}

fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

/// More files than this are counted, not listed.
const MOST_FILES: usize = 20;

fn file_list(language: Language, files: &[String]) -> String {
    let mut lines: Vec<String> = files
        .iter()
        .take(MOST_FILES)
        // A file's name is the agent's text too.
        .map(|file| format!("- {}", code(file, 300)))
        .collect();
    if files.len() > MOST_FILES {
        let more = files.len() - MOST_FILES;
        lines.push(say!(language, "- and {more} more", "- und {more} weitere"));
    }
    lines.join("\n")
}

/// Keeps what is said, in each language, as a snapshot: English under the name of the test, the others beside it. hob's own words
/// for agents' text hold nothing in any language by which GitHub closes issues.
#[cfg(test)]
macro_rules! assert_said {
    ($name:expr, $said:expr) => {
        for language in $crate::language::Language::ALL {
            let said: String = ($said)(language);
            match language {
                $crate::language::Language::En => insta::assert_snapshot!($name, said),
                other => insta::with_settings!({ snapshot_suffix => other.as_str() }, {
                    insta::assert_snapshot!($name, said);
                }),
            }
        }
    };
}

#[cfg(test)]
use assert_said;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::QuestionId;
    use crate::story::{Answer, Question};

    const SPENT: Spent = Spent { duration_ms: 252_000, cost_usd: Some(0.834), turns: Some(3) };

    fn which_shape() -> Question {
        Question {
            text: "Which shape should the output have?".to_owned(),
            options: vec!["one object per line".to_owned(), "one array".to_owned()],
            context: Some("Both are easy to parse.\nThe issue does not say.".to_owned()),
            ..Question::default()
        }
    }

    #[test]
    fn a_pull_request() {
        let asked = AskedQuestion {
            id: QuestionId::new(),
            question: which_shape(),
            comment: None,
            answer: Some(Answer { text: "one object\nper line".to_owned(), by: "alice".to_owned() }),
        };
        let review = crate::story::review::Review {
            source: crate::story::review::Source::Review {
                id: crate::ids::ReviewId(7),
                verdict: crate::event::Verdict::Commented,
            },
            by: "alice".to_owned(),
            by_id: None,
            body: "Which shape?".to_owned(),
            remarks: Vec::new(),
        };
        let round = crate::story::review::Round { reviews: vec![review] };
        let later = [
            Later { about: About::Issue, by: "bob".to_owned(), summary: "Adds a short form too.".to_owned() },
            Later {
                about: About::Review(round),
                by: "alice".to_owned(),
                summary: "Says which shape in the manual.\n\n- one line".to_owned(),
            },
        ];
        crate::message::assert_said!("a_pull_request", |language| pull_request_body(&PullRequestText {
            language,
            closes: &[IssueNumber(1)],
            asked_by: "alice",
            summary: Some("Adds `--json`.\n\n- one object per line"),
            unfinished: None,
            later: &later,
            agent: AgentKind::Claude,
            spent: SPENT,
            questions: std::slice::from_ref(&asked),
            drops: &["report.txt".to_owned()],
            checked: None,
            notable: &[Notable { path: "Cargo.lock".to_owned(), why: Why::SaysWhatItDependsOn }],
            model: Some("opus"),
            template: None,
            to_default_branch: true,
            follows: Some((PullNumber(2), true)),
        }));
    }

    #[test]
    fn what_is_said_on_the_issue() {
        crate::message::assert_said!("what_is_said_on_the_issue", |language| {
            [
                pull_request_ready(language, 2, SPENT),
                nothing_to_change(language, Some("It is there already."), Spent::default()),
                nothing_to_stop(language, false),
                nothing_to_stop(language, true),
                text_changed(
                    language,
                    &TextChanged { part: Part::Text, by: "mallory".to_owned() },
                    None,
                    true,
                ),
                text_changed(
                    language,
                    &TextChanged { part: Part::Title, by: "sorter[bot]".to_owned() },
                    Some(IssueNumber(3)),
                    false,
                ),
                failed(&FailureText {
                    language,
                    class: FailureClass::LeftUncommitted,
                    detail: "",
                    uncommitted: &["src/a.rs".to_owned(), "odd`name".to_owned()],
                    took: SPENT,
                }),
            ]
            .join("\n\n=====\n\n")
        });
    }

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
        crate::message::assert_said!(name, all);
    }

    #[test]
    fn a_comment_of_hobs_is_known_by_the_marker_at_its_end() {
        let marker = marker(EffectId::new());
        assert!(has_marker(&format!("Done.\n\n{marker}")));
        assert!(has_marker(&format!("Done.\n\n{marker}\n")));
        assert!(!has_marker(&format!("{marker}\n\nI quote hob here.")));
        assert!(!has_marker("<!-- hob:nonsense -->"));
        assert!(!has_marker(""));
    }

    #[test]
    fn durations_are_for_people() {
        assert_eq!(
            ["0 s", "1 s", "4 m 12 s", "2 h 0 m"],
            [0, 1, 252_000, 7_200_000].map(duration).each_ref().map(String::as_str)
        );
    }
}
