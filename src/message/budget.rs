//! Caps and limits in words: the question whether work may cost more, and what it waits for.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::saved_work::what_became;
use super::{SavedWork, agent_name, dollars};
use crate::ids::AgentKind;
use crate::story::budget::{self, Amount, Caps, HOB, Limit, NEW_DAY, ReachedCap, Scope};
use crate::story::{Answer, Question};

/// The question whether work that has reached a cap may cost more.
pub fn may_it_cost_more(at: &ReachedCap, kept: &SavedWork, was_unclear: bool) -> Question {
    let mut context = Vec::new();
    if was_unclear {
        let unclear = "I could not tell from your answer how much I may spend.";
        context.push(unclear.to_owned());
    }
    match kept {
        SavedWork::NotBegun => {}
        SavedWork::Nothing => {
            let nothing = "The agent has changed nothing yet.";
            context.push(nothing.to_owned());
        }
        SavedWork::Pushed { .. } | SavedWork::NotPushed { .. } => {
            let again = "I go on from there.";
            context.push(what_became(kept, again));
        }
    }
    if at.scope.is_days() {
        let day = "When the next day begins (UTC), I go on by myself.";
        context.push(day.to_owned());
    }
    if at.more.is_some() {
        let example = example(at.cap);
        context.push(format!("Any other amount, `{example}` for example, is an answer too."));
    }
    let more = at.more.map(more_is_asked).unwrap_or_default();
    Question {
        text: format!("{}{more}", cap_is_reached(at)),
        options: budget::options(at),
        context: Some(context.join(" ")).filter(|context| !context.is_empty()),
        ..Question::default()
    }
}

fn more_is_asked(more: Amount) -> String {
    match more {
        Amount::Usd(usd) => format!(" Spend ${usd:.2} more?"),
        Amount::Tokens(tokens) => {
            let tokens = thousands(tokens);
            format!(" Use {tokens} tokens more?")
        }
        Amount::Ms(ms) => {
            let minutes = minutes(ms);
            format!(" Take {minutes} min more?")
        }
    }
}

/// `This story has reached its cap of $5.00 (spent $5.03).`
pub fn cap_is_reached(at: &ReachedCap) -> String {
    let (cap, used) = (amount(at.cap), amount(at.used));
    let used = match at.used {
        Amount::Usd(_) => format!("spent {used}"),
        Amount::Tokens(_) => format!("used {used}"),
        Amount::Ms(_) => format!("took {used}"),
    };
    match at.scope {
        Scope::Run => format!("This run has reached its cap of {cap} ({used})."),
        Scope::Task => format!("This task has reached its budget of {cap} ({used})."),
        Scope::Story => format!("This story has reached its cap of {cap} ({used})."),
        Scope::RepositoryDay => format!("This repository has reached its cap of {cap} for today ({used})."),
        Scope::Day => format!("I have reached my cap of {cap} for today, over all repositories ({used})."),
    }
}

/// The words of an answer.
pub(super) fn answer_words(answer: &Answer) -> String {
    if answer.by == HOB && answer.text == NEW_DAY {
        return NEW_DAY.to_owned();
    }
    answer.text.clone()
}

/// The message of the commit that is made at a cap of what was not committed.
pub fn at_cap_subject() -> String {
    "WIP: stopped at the cap of the budget".to_owned()
}

/// The caps of a task in a few words, `$2.00 a run, $5.00 a story`, where there are any. For the
/// agent.
pub fn caps(caps: &Caps) -> Option<String> {
    let all = [
        (caps.run, "a run"),
        (caps.task, "this task"),
        (caps.story, "a story"),
        (caps.repository_day, "a day in this repository"),
        (caps.day, "a day"),
    ];
    let words = |(limit, of): (Limit, &str)| {
        limit.amounts().into_iter().map(|cap| format!("{} {of}", amount(cap))).collect::<Vec<_>>()
    };
    let words: Vec<String> = all.into_iter().flat_map(words).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What a story waits for whose agent has met a usage limit.
pub fn waits_for_limit(agent: AgentKind, until: Timestamp) -> String {
    let until = until.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC");
    let agent = agent_name(agent);
    format!("**Waiting until {until}**: the usage limit of {agent} is reached. I go on by myself.")
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Usd(usd) => dollars(usd),
        Amount::Tokens(tokens) => {
            let tokens = thousands(tokens);
            format!("{tokens} tokens")
        }
        Amount::Ms(ms) => format!("{} min", minutes(ms)),
    }
}

fn example(unit: Amount) -> &'static str {
    match unit {
        Amount::Usd(_) => "$10",
        Amount::Tokens(_) => "1,000,000",
        Amount::Ms(_) => "30",
    }
}

fn minutes(ms: u64) -> u64 {
    ms.div_ceil(60_000)
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::card::tests::card_of;

    fn asked(at: &ReachedCap, kept: &SavedWork) -> String {
        crate::message::card::card(&card_of(may_it_cost_more(at, kept, false)))
    }

    #[test]
    fn each_cap_is_asked_about_in_its_own_words() {
        let pushed = SavedWork::Pushed {
            branch: "hob/issue-1".to_owned(),
            commits: 2,
            is_wip: true,
            left_out: vec!["reference/".to_owned()],
        };
        let story = ReachedCap {
            scope: Scope::Story,
            cap: Amount::Usd(5.0),
            used: Amount::Usd(5.03),
            more: Some(Amount::Usd(3.0)),
        };
        let run = ReachedCap {
            scope: Scope::Run,
            cap: Amount::Tokens(200_000),
            used: Amount::Tokens(1_203_112),
            more: Some(Amount::Tokens(120_000)),
        };
        let day = ReachedCap {
            scope: Scope::Day,
            cap: Amount::Ms(36_000_000),
            used: Amount::Ms(36_000_001),
            more: Some(Amount::Ms(21_600_000)),
        };
        let repository = ReachedCap { scope: Scope::RepositoryDay, ..story };
        let all = || {
            [
                asked(&story, &pushed),
                asked(&run, &SavedWork::Nothing),
                asked(&day, &SavedWork::NotBegun),
                asked(&repository, &SavedWork::NotBegun),
                may_it_cost_more(&ReachedCap { scope: Scope::Task, ..story }, &pushed, true).context.unwrap(),
            ]
            .join("\n\n---\n\n")
        };
        insta::assert_snapshot!("each_cap_is_asked_about_in_its_own_words", all());
    }

    #[test]
    fn caps_and_limits_are_told_in_a_line() {
        let usd = |usd| Limit { usd: Some(usd), ..Limit::default() };
        let all = Caps {
            run: usd(2.0),
            story: Limit { usd: Some(5.0), tokens: Some(20_000_000), ms: Some(3_600_000) },
            day: usd(100.0),
            ..Caps::default()
        };
        let told = "$2.00 a run, $5.00 a story, 20,000,000 tokens a story, 60 min a story, $100.00 a day";
        assert_eq!(caps(&all).as_deref(), Some(told));
        assert_eq!(caps(&Caps::default()), None);
        let until = "2026-11-24T14:05:00Z".parse().unwrap();
        assert_eq!(
            waits_for_limit(AgentKind::Claude, until),
            "**Waiting until 2026-11-24 14:05 UTC**: the usage limit of Claude Code is reached. I go on by myself."
        );
    }
}
