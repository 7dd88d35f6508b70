//! What hob says to commands where it does not simply do them: help, where the work stands, and why
//! nothing is done. And the question that a plan is put as.

use super::{FailureClass, MAX_AGENT_TEXT, code, duration, failure_words};
use crate::command::{CommandError, CommandPermission, TABLE, meant, meant_option, nearest, usage};
use crate::ids::{AgentKind, PullNumber};
use crate::markdown::Hidden;
use crate::story::plan::{GO, TaskMode};
use crate::story::{Question, TaskState};

/// What somebody wrote is cut here where it is quoted.
const MAX_CODE: usize = 100;
/// So many commands beyond the first are named.
const MAX_OTHERS: usize = 3;

/// Why a command does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandRejection {
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
pub fn nothing_done(why: CommandRejection) -> String {
    match why {
        CommandRejection::NothingBegun => "Nothing is under way here, and nothing was. `/hob work` starts work; `/hob help` lists the rest.",
        CommandRejection::NoPlan => "No plan waits here for approval. `/hob plan` makes one, `/hob work` starts without one.",
        CommandRejection::NoPull => "There is no pull request of mine here yet whose checks could fail. `/hob work` begins the work that leads to one.",
        CommandRejection::UnderWay => "Nothing to do: work is under way here. `/hob status` says how far it is.",
        CommandRejection::Waits => "I wait for your answer to the question above; any reply that is not a command answers it.",
        CommandRejection::LastEndedWell => "Nothing to continue: the last work here ended well. `/hob work …` asks for more.",
    }
    .to_owned()
}

/// Said to somebody who gave a command that is none, by a hob that can start these agents.
pub fn misunderstood(mistake: &CommandError, agents: &[AgentKind]) -> String {
    let understood = |what: &str| format!("I understand {what}.");
    let options = |command| understood(&format!("`{}`", usage(command)));
    let did_you_mean = |command: &str| format!("Did you mean `/hob {command}`?");
    let (what, help) = match mistake {
        CommandError::UnknownCommand(name) if name.is_empty() => {
            ("`/hob` alone is not a command.".to_owned(), understood(&names()))
        }
        CommandError::UnknownCommand(name) => {
            let what = format!("There is no command {}.", code(&format!("/hob {name}"), MAX_CODE));
            (what, meant(name).map_or_else(|| understood(&names()), did_you_mean))
        }
        CommandError::Unclear { written, meant } => {
            (format!("I cannot parse {} as a command.", code(written, MAX_CODE)), did_you_mean(meant))
        }
        CommandError::Quoted(line) => (
            format!("{} belongs to the quotation above it.", code(line, MAX_CODE)),
            "Put an empty line before it.".to_owned(),
        ),
        CommandError::UnknownOption { command, option } => {
            let what = format!("`/hob {command}` has no option {}.", code(option, MAX_CODE));
            let help = match meant_option(command, option) {
                Some(meant) => format!("Did you mean `{meant}`? {}", options(command)),
                None => options(command),
            };
            (what, help)
        }
        CommandError::BadValue { option, value } => {
            let what = match value.is_empty() {
                true => format!("`{option}` needs a value."),
                false => format!("`{option}` cannot be {}.", code(value, MAX_CODE)),
            };
            let help = match *option {
                "--agent" => agent_help(value, agents),
                other => option_example(other).to_owned(),
            };
            (what, help)
        }
        CommandError::BadSum(_) => {
            ("`/hob budget` needs an amount in dollars, as in `/hob budget +5`.".to_owned(), String::new())
        }
    };
    let help = format!("{help} `/hob help` says more.");
    format!("{what} Nothing was started.\n\n{}", help.trim())
}

fn agent_help(value: &str, agents: &[AgentKind]) -> String {
    let known = format!("The agents here are {}.", list(agents));
    match nearest(&value.to_lowercase(), agents.iter().map(|agent| agent.as_str())) {
        Some(meant) => format!("Did you mean `--agent {meant}`? {known}"),
        None => known,
    }
}

/// An option as it is written.
fn option_example(option: &str) -> &'static str {
    match option {
        "--model" => "It is the name of a model, as in `--model opus`.",
        "--image" => "It is the name of an image, as in `--image ghcr.io/acme/tools:3`.",
        "--base" => "It is a branch, as in `--base release/1.2`.",
        _ => "It is an amount in dollars, as in `--budget 5`.",
    }
}

fn list(agents: &[AgentKind]) -> String {
    agents.iter().map(|agent| agent.as_str()).collect::<Vec<_>>().join(", ")
}

fn names() -> String {
    let names: Vec<String> = TABLE.iter().map(|row| format!("`/hob {}`", row.name)).collect();
    names.join(", ")
}

/// Said where a comment has more than one command.
pub fn only_the_first(others: &[String]) -> String {
    let lines: Vec<String> = others.iter().take(MAX_OTHERS).map(|line| code(line, MAX_CODE)).collect();
    let more = if others.len() > MAX_OTHERS { ", …" } else { "" };
    format!(
        "I read one command in a comment, the first. I have not carried out {}{more}: if you still want that, say it in a comment of its \
         own.",
        lines.join(", ")
    )
}

/// Said once on a story, where somebody writes a comment that reaches no agent.
pub fn nobody_listens() -> String {
    "No agent is at work here, so I have not passed your comment on. `/hob work …` asks for more work; a comment without a command \
     reaches an agent only while it works. I say this once."
        .to_owned()
}

/// What was taken out of the texts that an agent was given, in words; nothing where that was
/// nothing.
pub fn left_out(hidden: Hidden) -> Option<String> {
    let passages = match hidden.comments {
        0 => None,
        1 => Some("1 passage".to_owned()),
        many => Some(format!("{many} passages")),
    };
    let characters = match hidden.characters {
        0 => None,
        1 => Some("1 invisible character".to_owned()),
        many => Some(format!("{many} invisible characters")),
    };
    let found: Vec<String> = passages.into_iter().chain(characters).collect();
    (!found.is_empty()).then(|| {
        format!(
            "<sub>Not passed to the agent, because GitHub does not show it: {}. HTML comments, link titles and alternative texts of images are not shown.</sub>",
            found.join(" and ")
        )
    })
}

/// Said to somebody who asks for help, by a hob that can start these agents.
pub fn help(agents: &[AgentKind]) -> String {
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
    let (who, agents) = (CommandPermission::MayPush.describe(), list(agents));
    text.push_str(&format!("\nA command stands at the start of a line, here or on my pull request; I listen to people {who}. `A` is one of \
         {agents}; `B` is the branch that the pull request goes to; `N` is in dollars."));
    text
}

/// Where a story stands, as far as it can be said in two lines.
#[derive(Debug, Clone)]
pub struct StoryState<'a> {
    /// Its task.
    pub state: TaskState,
    /// Whether that only plans.
    pub mode: TaskMode,
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
pub fn where_it_stands(facts: &StoryState<'_>) -> String {
    let since = duration(facts.for_ms);
    let is_plan = facts.mode == TaskMode::Plan;
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
            format!("**Failed** {since} ago. {why} `/hob retry` tries again.")
        }
        TaskState::Cancelled => format!("**Stopped** {since} ago. `/hob resume` continues from there."),
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

fn in_the_queue(facts: &StoryState<'_>, since: &str) -> String {
    match (facts.again_in_ms.map(duration), facts.ahead) {
        (Some(again), _) => format!("**Waiting** to try again, in {again}."),
        (None, 0) => format!("**In the queue** for {since}, and next."),
        (None, 1) => format!("**In the queue** for {since}; 1 task is before this one."),
        (None, ahead) => format!("**In the queue** for {since}; {ahead} tasks are before this one."),
    }
}

/// Said where a base branch was chosen and the pull request is open already.
pub fn base_stays(pull: PullNumber, base: &str, chosen: &str) -> String {
    let (base, chosen) = (code(base, MAX_CODE), code(&format!("--base {chosen}"), MAX_CODE));
    format!(
        "#{pull} goes to {base} already, and stays there; {chosen} is for a story without a pull request. People can change the base \
         on #{pull}."
    )
}

/// Said where somebody allows more money and no cap is set.
pub fn no_cap() -> String {
    "No budget is set here, so there is nothing to raise.".to_owned()
}

/// The question that a plan is put as. What the agent wrote is contained where the question is
/// posted.
pub fn may_this_be_done(plan: Option<&str>) -> Question {
    let plan: String = match plan.map(str::trim).filter(|plan| !plan.is_empty()) {
        Some(plan) => {
            let plan: String = plan.chars().take(MAX_AGENT_TEXT / 2).collect();
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

    const QUEUED: StoryState<'static> = StoryState {
        state: TaskState::Queued,
        mode: TaskMode::Work,
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
            CommandError::UnknownCommand("dance `now`".to_owned()),
            CommandError::UnknownCommand(String::new()),
            CommandError::UnknownOption { command: "plan", option: "--fast".to_owned() },
            CommandError::BadValue { option: "--agent", value: "clod".to_owned() },
            CommandError::BadValue { option: "--agent", value: "gemini".to_owned() },
            CommandError::UnknownCommand("wrok".to_owned()),
            CommandError::Unclear { written: "/hob-stop".to_owned(), meant: "stop" },
            CommandError::Quoted("/hob work".to_owned()),
            CommandError::UnknownOption { command: "work", option: "--modle".to_owned() },
            CommandError::UnknownOption { command: "rebase", option: "--rewrit".to_owned() },
            CommandError::BadValue { option: "--base", value: String::new() },
            CommandError::BadSum("more".to_owned()),
        ];
        let why = [
            CommandRejection::NothingBegun,
            CommandRejection::NoPlan,
            CommandRejection::NoPull,
            CommandRejection::UnderWay,
            CommandRejection::Waits,
            CommandRejection::LastEndedWell,
        ];
        let agents = [AgentKind::Claude, AgentKind::Codex];
        insta::assert_snapshot!("what_is_said_to_commands", {
            let said: Vec<String> = mistakes
                .iter()
                .map(|mistake| misunderstood(mistake, &agents))
                .chain(why.map(nothing_done))
                .chain([only_the_first(&["- /hob `stop`".to_owned()]), nobody_listens()])
                .chain(left_out(Hidden { comments: 1, characters: 0 }))
                .chain(left_out(Hidden { comments: 3, characters: 2 }))
                .chain([help(&agents), base_stays(PullNumber(2), "main", "dev"), no_cap()])
                .collect();
            said.join("\n\n=====\n\n")
        });
    }

    #[test]
    fn where_work_stands() {
        let all: Vec<StoryState<'_>> = TaskState::ALL
            .into_iter()
            .map(|state| StoryState { state, failure: Some(FailureClass::TimedOut), ..QUEUED })
            .chain([
                StoryState { ahead: 0, behind: 1, ..QUEUED },
                StoryState { again_in_ms: Some(61_000), pull: Some(PullNumber(2)), ..QUEUED },
                StoryState { state: TaskState::Running, mode: TaskMode::Plan, behind: 2, ..QUEUED },
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
