//! What hob says to commands where it does not simply do them: help, where the work stands, and why nothing is done. And
//! the question that a plan is put as.

use super::{FailureClass, MOST_AGENT_TEXT, code, duration, failure_words};
use crate::command::{Mistake, TABLE, Who, usage};
use crate::ids::{AgentKind, PullNumber};
use crate::story::plan::{GO, Mode};
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
pub fn nothing_done(why: NoGo) -> String {
    match why {
        NoGo::NothingBegun => "Nothing is under way here, and nothing was. `/hob work` begins; `/hob help` lists the rest.",
        NoGo::NoPlan => "No plan waits here for a go. `/hob plan` makes one, `/hob work` works without.",
        NoGo::NoPull => "There is no pull request of mine here yet whose checks could fail. `/hob work` begins the work that leads to one.",
        NoGo::UnderWay => "Nothing to do: work is under way here. `/hob status` says how far it is.",
        NoGo::Waits => "I wait for your answer to the question above; any reply in words is one.",
        NoGo::LastEndedWell => "Nothing to go on with: the last work here ended well. `/hob work …` asks for more.",
    }
    .to_owned()
}

/// Said to somebody who gave a command that is none.
pub fn misunderstood(mistake: &Mistake) -> String {
    let understood = |what: &str| format!("What I understand: {what}.");
    let options = |command| understood(&format!("`{}`", usage(command)));
    let (what, help) = match mistake {
        Mistake::UnknownCommand(name) if name.is_empty() => {
            let what = "`/hob` alone is not a command.".to_owned();
            (what, understood(&names()))
        }
        Mistake::UnknownCommand(name) => {
            let name = code(&format!("/hob {name}"), MOST_CODE);
            let what = format!("There is no command {name}.");
            (what, understood(&names()))
        }
        Mistake::UnknownOption { command, option } => {
            let option = code(option, MOST_CODE);
            let what = format!("`/hob {command}` has no option {option}.");
            (what, options(if *command == "rebase" { "rebase" } else { "work" }))
        }
        Mistake::BadValue { option, value } if value.is_empty() => {
            (format!("`{option}` needs a value."), options("work"))
        }
        Mistake::BadValue { option, value } => {
            let (value, agents) = (code(value, MOST_CODE), agents());
            let what = format!("`{option}` cannot be {value}.");
            let help = match *option {
                "--agent" => format!("Agents are {agents}."),
                _ => options("work"),
            };
            (what, help)
        }
        Mistake::BadSum(_) => {
            let what = "`/hob budget` needs dollars, as in `/hob budget +5`.";
            (what.to_owned(), String::new())
        }
    };
    let help = format!("{help} `/hob help` says more.");
    let help = help.trim();
    format!("{what} Nothing was started.\n\n{help}")
}

fn agents() -> String {
    AgentKind::ALL.map(AgentKind::as_str).join(", ")
}

fn names() -> String {
    let names: Vec<String> = TABLE.iter().map(|row| format!("`/hob {}`", row.name)).collect();
    names.join(", ")
}

/// Said to somebody who asks for help.
pub fn help() -> String {
    let head = "| You write | I do |";
    let mut text = format!("{head}\n|---|---|\n");
    for row in TABLE {
        let (usage, does, example) = (row.usage, row.does, row.example);
        let example = match example == usage {
            true => String::new(),
            false => format!(" For example `{example}`"),
        };
        text.push_str(&format!("| `{usage}` | {does}{example} |\n"));
    }
    let (who, agents) = (Who::MayPush.words(), agents());
    text.push_str(&format!("\nA command stands at the start of a line, here or on my pull request; I listen to people {who}. `A` is one of \
         {agents}; `B` is the branch that the pull request goes to; `N` is in dollars."));
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
pub fn where_it_stands(facts: &WhereItStands<'_>) -> String {
    let since = duration(facts.for_ms);
    let is_plan = facts.mode == Mode::Plan;
    let mut text = match facts.state {
        TaskState::Queued => in_the_queue(facts, &since),
        TaskState::Running if is_plan => {
            format!("**Planning** for {since}.")
        }
        TaskState::Running => format!("**Working** for {since}."),
        TaskState::Publishing => format!("**Pushing** what the agent has done, for {since}."),
        TaskState::Blocked => format!("**Waiting for you** for {since}: the question above is open."),
        TaskState::Done => format!("**Done** {since} ago."),
        TaskState::Failed => {
            let why = facts.failure.map_or("", |class| failure_words(class).happened);
            format!("**Failed** {since} ago. {why} `/hob retry` does it again.")
        }
        TaskState::Cancelled => format!("**Stopped** {since} ago. `/hob resume` goes on from there."),
    };
    match facts.behind {
        0 => {}
        1 => text.push_str(" 1 more task waits for this one."),
        behind => text.push_str(&format!(" {behind} more tasks wait for this one.")),
    }
    match facts.pull {
        Some(pull) => text.push_str(&format!(" Pull request: #{pull}.")),
        None => text.push_str(&format!(" Branch: `{}`.", facts.branch)),
    }
    text
}

fn in_the_queue(facts: &WhereItStands<'_>, since: &str) -> String {
    match (facts.again_in_ms.map(duration), facts.ahead) {
        (Some(again), _) => format!("**Waiting** to try again, in {again}."),
        (None, 0) => format!("**In the queue** for {since}, and next."),
        (None, 1) => format!("**In the queue** for {since}; 1 task is before this one."),
        (None, ahead) => format!("**In the queue** for {since}; {ahead} tasks are before this one."),
    }
}

/// Said where a base branch was chosen and the pull request is open already.
pub fn base_stays(pull: PullNumber, base: &str, chosen: &str) -> String {
    let (base, chosen) = (code(base, MOST_CODE), code(&format!("--base {chosen}"), MOST_CODE));
    format!(
        "#{pull} goes to {base} already, and stays there; {chosen} is for a story without a pull request. People can change the base \
         on #{pull}."
    )
}

/// Said where somebody allows more money and no cap is set.
pub fn no_cap() -> String {
    "No budget is set here, so there is nothing to raise.".to_owned()
}

/// The question that a plan is put as. What the agent wrote is contained where the question is posted.
pub fn may_this_be_done(plan: Option<&str>) -> Question {
    let plan: String = match plan.map(str::trim).filter(|plan| !plan.is_empty()) {
        Some(plan) => {
            let plan: String = plan.chars().take(MOST_AGENT_TEXT / 2).collect();
            format!("May I carry out this plan?\n\n{plan}")
        }
        None => "The agent ended without writing a plan down. May I go on all the same?".to_owned(),
    };
    let context = "`/hob go` carries it out, `/hob go but …` with a change. Any other answer changes the plan, and I ask again. Nothing \
         in the repository has been changed.";
    Question {
        text: plan,
        options: vec![GO.to_owned()],
        context: Some(context.to_owned()),
        ..Question::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::card::card;
    use crate::message::card::tests::card_of;

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
        insta::assert_snapshot!("what_is_said_to_commands", {
            let said: Vec<String> = mistakes
                .iter()
                .map(misunderstood)
                .chain(why.map(nothing_done))
                .chain([help(), base_stays(PullNumber(2), "main", "dev"), no_cap()])
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
        insta::assert_snapshot!("where_work_stands", {
            let said: Vec<String> = all.iter().map(|facts| where_it_stands(facts)).collect();
            said.join("\n")
        });
    }

    #[test]
    fn a_plan_is_put_as_a_question() {
        insta::assert_snapshot!("a_plan_is_put_as_a_question", {
            let asked = |plan| card(&card_of(may_this_be_done(plan)));
            let (with, without) = (asked(Some("1. Add `--json`.\n2. Test it.\n")), asked(None));
            format!("{with}\n\n=====\n\n{without}")
        });
    }
}
