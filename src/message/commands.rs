//! What hob says to commands where it does not simply do them: help, where the work stands, and why nothing is done. And
//! the question that a plan is put as.

use super::{FailureClass, MOST_AGENT_TEXT, code, duration, failure_words};
use crate::command::{Mistake, TABLE, Who, usage};
use crate::ids::{AgentKind, PullNumber};
use crate::language::{Language, say, word};
use crate::story::plan::{Mode, go};
use crate::story::{Question, TaskState};

/// What somebody wrote is cut here where it is quoted.
const MOST_CODE: usize = 100;

/// Why a command does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGo {
    /// No work was ever asked for here.
    NothingBegun,
    /// There is no plan to carry out.
    NoPlan,
    /// There is no pull request of hob's.
    NoPull,
    /// Work is under way.
    UnderWay,
    /// The work waits for an answer.
    Waits,
    /// The last work ended well.
    LastEndedWell,
}

/// Said to somebody whose command does nothing now.
pub fn nothing_done(language: Language, why: NoGo) -> String {
    match why {
        NoGo::NothingBegun => word!(
            language,
            "Nothing is under way here, and nothing was. `/hob work` begins; `/hob help` lists the rest.",
            "Hier wird an nichts gearbeitet, und es wurde noch nichts begonnen. `/hob work` beginnt; `/hob help` nennt den Rest."
        ),
        NoGo::NoPlan => word!(
            language,
            "No plan waits here for a go. `/hob plan` makes one, `/hob work` works without.",
            "Hier wartet kein Plan auf ein Go. `/hob plan` macht einen, `/hob work` arbeitet ohne."
        ),
        NoGo::NoPull => word!(
            language,
            "There is no pull request of mine here yet whose checks could fail. `/hob work` begins the work that leads to one.",
            "Hier gibt es noch keinen Pull Request von mir, dessen Checks fehlschlagen könnten. `/hob work` beginnt die Arbeit, die zu \
             einem führt."
        ),
        NoGo::UnderWay => word!(
            language,
            "Nothing to do: work is under way here. `/hob status` says how far it is.",
            "Nichts zu tun: Hier wird schon gearbeitet. `/hob status` sagt, wie weit es ist."
        ),
        NoGo::Waits => word!(
            language,
            "I wait for your answer to the question above; any reply in words is one.",
            "Ich warte auf deine Antwort auf die Frage oben; jede Antwort in Worten zählt."
        ),
        NoGo::LastEndedWell => word!(
            language,
            "Nothing to go on with: the last work here ended well. `/hob work …` asks for more.",
            "Nichts, womit es weiterginge: Die letzte Arbeit hier ist gut ausgegangen. `/hob work …` bittet um mehr."
        ),
    }
    .to_owned()
}

/// Said to somebody who gave a command that is none.
pub fn misunderstood(language: Language, mistake: &Mistake) -> String {
    let understood = |what: &str| say!(language, "What I understand: {what}.", "Was ich verstehe: {what}.");
    let options = |command| understood(&format!("`{}`", usage(command)));
    let (what, help) = match mistake {
        Mistake::UnknownCommand(name) if name.is_empty() => {
            let what = word!(language, "`/hob` alone is not a command.", "`/hob` allein ist kein Befehl.")
                .to_owned();
            (what, understood(&names()))
        }
        Mistake::UnknownCommand(name) => {
            let name = code(&format!("/hob {name}"), MOST_CODE);
            let what = say!(language, "There is no command {name}.", "Den Befehl {name} gibt es nicht.");
            (what, understood(&names()))
        }
        Mistake::UnknownOption { command, option } => {
            let option = code(option, MOST_CODE);
            let what = say!(
                language,
                "`/hob {command}` has no option {option}.",
                "`/hob {command}` hat keine Option {option}."
            );
            (what, options(if *command == "rebase" { "rebase" } else { "work" }))
        }
        Mistake::BadValue { option, value } if value.is_empty() => {
            (say!(language, "`{option}` needs a value.", "`{option}` braucht einen Wert."), options("work"))
        }
        Mistake::BadValue { option, value } => {
            let (value, agents) = (code(value, MOST_CODE), agents());
            let what = say!(language, "`{option}` cannot be {value}.", "`{option}` kann nicht {value} sein.");
            let help = match *option {
                "--agent" => say!(language, "Agents are {agents}.", "Agenten sind {agents}."),
                _ => options("work"),
            };
            (what, help)
        }
        Mistake::BadSum(_) => {
            let what = word!(
                language,
                "`/hob budget` needs dollars, as in `/hob budget +5`.",
                "`/hob budget` braucht Dollar, wie in `/hob budget +5`."
            );
            (what.to_owned(), String::new())
        }
    };
    let help = say!(language, "{help} `/hob help` says more.", "{help} `/hob help` sagt mehr.");
    let help = help.trim();
    say!(language, "{what} Nothing was started.\n\n{help}", "{what} Nichts wurde begonnen.\n\n{help}")
}

fn agents() -> String {
    AgentKind::ALL.map(AgentKind::as_str).join(", ")
}

fn names() -> String {
    let names: Vec<String> = TABLE.iter().map(|row| format!("`/hob {}`", row.name)).collect();
    names.join(", ")
}

/// Said to somebody who asks for help.
pub fn help(language: Language) -> String {
    let head = word!(language, "| You write | I do |", "| Du schreibst | Ich mache |");
    let mut text = format!("{head}\n|---|---|\n");
    for row in TABLE {
        let (usage, does, example) = (row.usage, (row.does)(language), row.example);
        let example = match example == usage {
            true => String::new(),
            false => say!(language, " For example `{example}`", " Zum Beispiel `{example}`"),
        };
        text.push_str(&format!("| `{usage}` | {does}{example} |\n"));
    }
    let (who, agents) = (Who::MayPush.words(language), agents());
    text.push_str(&say!(
        language,
        "\nA command stands at the start of a line, here or on my pull request; I listen to people {who}. `A` is one of \
         {agents}; `B` is the branch that the pull request goes to; `N` is in dollars.",
        "\nEin Befehl steht am Anfang einer Zeile, hier oder an meinem Pull Request; ich höre auf Leute, {who}. `A` ist eines von \
         {agents}; `B` ist der Branch, in den der Pull Request geht; `N` ist in Dollar."
    ));
    text
}

/// Where a story stands, as far as it can be said in two lines.
#[derive(Debug, Clone)]
pub struct WhereItStands<'a> {
    /// Its task.
    pub state: TaskState,
    /// Whether that only plans.
    pub mode: Mode,
    /// How long it has been so, in milliseconds.
    pub for_ms: u64,
    /// How long until it is tried again, in milliseconds, where it waits for that.
    pub again_in_ms: Option<u64>,
    /// How many tasks are before it in the queue.
    pub ahead: usize,
    /// How many more tasks of the story wait for it.
    pub behind: u32,
    /// Why it failed.
    pub failure: Option<FailureClass>,
    /// Its branch.
    pub branch: &'a str,
    /// Its pull request.
    pub pull: Option<PullNumber>,
}

/// Said to somebody who asks where the work stands.
pub fn where_it_stands(language: Language, facts: &WhereItStands<'_>) -> String {
    let since = duration(facts.for_ms);
    let is_plan = facts.mode == Mode::Plan;
    let mut text = match facts.state {
        TaskState::Queued => in_the_queue(language, facts, &since),
        TaskState::Running if is_plan => {
            say!(language, "**Planning** for {since}.", "**Plant** seit {since}.")
        }
        TaskState::Running => say!(language, "**Working** for {since}.", "**Arbeitet** seit {since}."),
        TaskState::Publishing => say!(
            language,
            "**Pushing** what the agent has done, for {since}.",
            "**Pusht**, was der Agent getan hat, seit {since}."
        ),
        TaskState::Blocked => say!(
            language,
            "**Waiting for you** for {since}: the question above is open.",
            "**Wartet auf dich** seit {since}: Die Frage oben ist offen."
        ),
        TaskState::Done => say!(language, "**Done** {since} ago.", "**Fertig** seit {since}."),
        TaskState::Failed => {
            let why = facts.failure.map_or("", |class| failure_words(language, class).happened);
            say!(
                language,
                "**Failed** {since} ago. {why} `/hob retry` does it again.",
                "**Fehlgeschlagen** vor {since}. {why} `/hob retry` macht es noch einmal."
            )
        }
        TaskState::Cancelled => say!(
            language,
            "**Stopped** {since} ago. `/hob resume` goes on from there.",
            "**Angehalten** vor {since}. `/hob resume` macht dort weiter."
        ),
    };
    match facts.behind {
        0 => {}
        1 => text.push_str(word!(
            language,
            " 1 more task waits for this one.",
            " 1 weitere Aufgabe wartet auf diese."
        )),
        behind => text.push_str(&say!(
            language,
            " {behind} more tasks wait for this one.",
            " {behind} weitere Aufgaben warten auf diese."
        )),
    }
    match facts.pull {
        Some(pull) => text.push_str(&say!(language, " Pull request: #{pull}.", " Pull Request: #{pull}.")),
        None => text.push_str(&format!(" Branch: `{}`.", facts.branch)),
    }
    text
}

fn in_the_queue(language: Language, facts: &WhereItStands<'_>, since: &str) -> String {
    match (facts.again_in_ms.map(duration), facts.ahead) {
        (Some(again), _) => say!(
            language,
            "**Waiting** to try again, in {again}.",
            "**Wartet** auf den nächsten Versuch, in {again}."
        ),
        (None, 0) => say!(
            language,
            "**In the queue** for {since}, and next.",
            "**In der Warteschlange** seit {since}, als Nächstes dran."
        ),
        (None, 1) => say!(
            language,
            "**In the queue** for {since}; 1 task is before this one.",
            "**In der Warteschlange** seit {since}; 1 Aufgabe ist davor."
        ),
        (None, ahead) => say!(
            language,
            "**In the queue** for {since}; {ahead} tasks are before this one.",
            "**In der Warteschlange** seit {since}; {ahead} Aufgaben sind davor."
        ),
    }
}

/// Said where a base branch was chosen and the pull request is open already.
pub fn base_stays(language: Language, pull: PullNumber, base: &str, chosen: &str) -> String {
    let (base, chosen) = (code(base, MOST_CODE), code(&format!("--base {chosen}"), MOST_CODE));
    say!(
        language,
        "#{pull} goes to {base} already, and stays there; {chosen} is for a story without a pull request. People can change the base \
         on #{pull}.",
        "#{pull} geht schon in {base}, und dabei bleibt es; {chosen} ist für eine Story ohne Pull Request. Die Basis kannst du an \
         #{pull} selbst ändern."
    )
}

/// Said where somebody allows more money and no cap is set.
pub fn no_cap(language: Language) -> String {
    word!(
        language,
        "No budget is set here, so there is nothing to raise.",
        "Hier ist kein Budget gesetzt, also gibt es nichts zu erhöhen."
    )
    .to_owned()
}

/// The question that a plan is put as. What the agent wrote is contained where the question is posted.
pub fn may_this_be_done(language: Language, plan: Option<&str>) -> Question {
    let plan: String = match plan.map(str::trim).filter(|plan| !plan.is_empty()) {
        Some(plan) => {
            let plan: String = plan.chars().take(MOST_AGENT_TEXT / 2).collect();
            say!(
                language,
                "May I carry out this plan?\n\n{plan}",
                "Darf ich diesen Plan ausführen?\n\n{plan}"
            )
        }
        None => word!(
            language,
            "The agent ended without writing a plan down. May I go on all the same?",
            "Der Agent ist fertig, ohne einen Plan aufzuschreiben. Darf ich trotzdem weitermachen?"
        )
        .to_owned(),
    };
    let context = word!(
        language,
        "`/hob go` carries it out, `/hob go but …` with a change. Any other answer changes the plan, and I ask again. Nothing \
         in the repository has been changed.",
        "`/hob go` führt ihn aus, `/hob go aber …` mit einer Änderung. Jede andere Antwort ändert den Plan, und ich frage noch \
         einmal. Im Repository ist nichts geändert."
    );
    Question {
        text: plan,
        options: vec![go(language).to_owned()],
        context: Some(context.to_owned()),
        ..Question::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::assert_said;
    use crate::message::card::card;
    use crate::message::card::tests::card_in;

    const QUEUED: WhereItStands<'static> = WhereItStands {
        state: TaskState::Queued,
        mode: Mode::Work,
        for_ms: 252_000,
        again_in_ms: None,
        ahead: 2,
        behind: 0,
        failure: None,
        branch: "hob/issue-1",
        pull: None,
    };

    #[test]
    fn what_is_said_to_commands() {
        let mistakes = [
            Mistake::UnknownCommand("dance `now`".to_owned()),
            Mistake::UnknownCommand(String::new()),
            Mistake::UnknownOption { command: "plan", option: "--fast".to_owned() },
            Mistake::BadValue { option: "--agent", value: "clod".to_owned() },
            Mistake::BadValue { option: "--base", value: String::new() },
            Mistake::BadSum("more".to_owned()),
        ];
        let why = [
            NoGo::NothingBegun,
            NoGo::NoPlan,
            NoGo::NoPull,
            NoGo::UnderWay,
            NoGo::Waits,
            NoGo::LastEndedWell,
        ];
        assert_said!("what_is_said_to_commands", |language| {
            let said: Vec<String> = mistakes
                .iter()
                .map(|mistake| misunderstood(language, mistake))
                .chain(why.map(|why| nothing_done(language, why)))
                .chain([help(language), base_stays(language, PullNumber(2), "main", "dev"), no_cap(language)])
                .collect();
            said.join("\n\n=====\n\n")
        });
    }

    #[test]
    fn where_work_stands() {
        let all: Vec<WhereItStands<'_>> = TaskState::ALL
            .into_iter()
            .map(|state| WhereItStands { state, failure: Some(FailureClass::TimedOut), ..QUEUED })
            .chain([
                WhereItStands { ahead: 0, behind: 1, ..QUEUED },
                WhereItStands { again_in_ms: Some(61_000), pull: Some(PullNumber(2)), ..QUEUED },
                WhereItStands { state: TaskState::Running, mode: Mode::Plan, behind: 2, ..QUEUED },
            ])
            .collect();
        assert_said!("where_work_stands", |language| {
            let said: Vec<String> = all.iter().map(|facts| where_it_stands(language, facts)).collect();
            said.join("\n")
        });
    }

    #[test]
    fn a_plan_is_put_as_a_question() {
        assert_said!("a_plan_is_put_as_a_question", |language| {
            let asked = |plan| card(&card_in(language, may_this_be_done(language, plan)));
            let (with, without) = (asked(Some("1. Add `--json`.\n2. Test it.\n")), asked(None));
            format!("{with}\n\n=====\n\n{without}")
        });
    }
}
