//! Budgets: caps on what a run, a task, a story, a repository's day and everybody's day may cost,
//! in dollars, tokens and time. Given the caps, what was used and what people have granted beyond,
//! this says how much the next run may use, or which cap is reached. What somebody answers who is
//! asked whether it may cost more is read in `answer.rs`. Pure; the worker looks into the store for
//! the sums (`store/budgets.rs`) and carries out what follows.

mod answer;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use answer::{CapAnswer, HOB, NEW_DAY, STOP_HERE, WAIT_FOR_NEXT_DAY, options, said};

use super::RunReason;

/// Less than a cent, a token, a second left is nothing left.
const MIN_USD: f64 = 0.01;
const MIN_TOKENS: u64 = 1;
const MIN_MS: u64 = 1000;

const MS_A_MINUTE: u64 = 60_000;

/// Of a cap, this part is offered beyond it: of $5 another $3.
const OFFERED: f64 = 0.6;

/// So much was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Dollars, as far as the agents' programs told them.
    pub usd: f64,
    /// Tokens, as far as they told them.
    pub tokens: u64,
    /// Time in containers, in milliseconds.
    pub ms: u64,
}

/// So much may be used; absent: as much as is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// An amount in dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// A number of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Time in containers, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// An amount in one of the units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// An amount in dollars.
    Usd(f64),
    /// A number of tokens.
    Tokens(u64),
    /// Time in containers, in milliseconds.
    Ms(u64),
}

/// What a cap is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One run.
    Run,
    /// One task, whose cap somebody chose with `--budget`.
    Task,
    /// All runs of a story.
    Story,
    /// All runs of a repository in a day.
    RepositoryDay,
    /// All runs in a day.
    Day,
}

/// The caps that apply to a task.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Caps {
    /// Of each run.
    pub run: Limit,
    /// Of the task.
    pub task: Limit,
    /// Of its story.
    pub story: Limit,
    /// Of its repository's day.
    pub repository_day: Limit,
    /// Of everybody's day.
    pub day: Limit,
    /// What people may let the story cost at most, whatever they grant.
    pub most_usd: Option<f64>,
}

impl Caps {
    /// The caps where somebody chose a budget for the task: it takes the place of those of run and
    /// story.
    pub fn with_chosen(mut self, usd: f64) -> Caps {
        self.run.usd = None;
        self.task.usd = Some(usd);
        self.story.usd = self.most_usd;
        self
    }
}

/// One number for each thing that a cap is on, but runs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsageTotals {
    /// The task.
    pub task: Usage,
    /// Its story.
    pub story: Usage,
    /// Its repository today.
    pub repository_day: Usage,
    /// Everybody today.
    pub day: Usage,
}

/// What was used, and what people have granted beyond the caps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ledger {
    /// What was used.
    pub used: UsageTotals,
    /// What was granted.
    pub granted: UsageTotals,
    /// What was granted for the very next run.
    pub granted_now: Usage,
}

/// What is left for the next run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RemainingBudget {
    /// So much.
    Left(Limit),
    /// Nothing: this cap is reached.
    Reached(ReachedCap),
}

/// A cap that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReachedCap {
    /// What it is on.
    pub scope: Scope,
    /// The cap, with what was granted before.
    pub cap: Amount,
    /// What was used.
    pub used: Amount,
    /// How much more people may grant in one word. Absent: they may grant no more.
    pub more: Option<Amount>,
}

/// A question about a cap, as it stands beside the question's words in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapQuestionState {
    /// The cap.
    pub reached: ReachedCap,
    /// When it was asked; for a day's cap, the day that it is about.
    pub asked_at: Timestamp,
    /// What the run was to be made for that was held up. Absent: a run was ended, and the next goes
    /// on with its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<RunReason>,
    /// What of the work was pushed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Pushed>,
}

/// Work in progress that was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// How many commits.
    pub commits: usize,
    /// Whether the last of them is what was not committed.
    pub is_wip: bool,
}

/// How much the next run may use, or the first cap that is reached.
pub fn room(caps: &Caps, ledger: &Ledger) -> RemainingBudget {
    let mut left = run_limit(caps.run, ledger.granted_now);
    let (used, granted) = (&ledger.used, &ledger.granted);
    let scopes = [
        (Scope::Task, caps.task, used.task, granted.task),
        (Scope::Story, caps.story, used.story, granted.story),
        (Scope::RepositoryDay, caps.repository_day, used.repository_day, granted.repository_day),
        (Scope::Day, caps.day, used.day, granted.day),
    ];
    for (scope, cap, used, granted) in scopes {
        let most = caps.most_usd.filter(|_| matches!(scope, Scope::Task | Scope::Story));
        let raised = raised(cap, granted, most);
        let rest = rest(raised, used);
        if let Some(unit) = is_over(rest) {
            return RemainingBudget::Reached(reached(scope, unit, (cap, raised, used), most));
        }
        left = left.least(rest);
    }
    RemainingBudget::Left(left)
}

/// The cap that ended a run which was allowed to use `budget_limit`, where no other cap is reached.
pub fn reached_by_run(budget_limit: Limit, used: Usage) -> Option<ReachedCap> {
    let units = budget_limit.amounts();
    let is_used_up = |cap: &&Amount| match cap {
        Amount::Usd(cap) => used.usd >= *cap,
        Amount::Tokens(cap) => used.tokens >= *cap,
        Amount::Ms(cap) => used.ms >= *cap,
    };
    // Where the sums say nothing, the run's own word counts: it ended for its budget.
    let cap = *units.iter().find(is_used_up).or(units.first())?;
    Some(ReachedCap { scope: Scope::Run, cap, used: used.in_unit_of(cap), more: offered(cap, None) })
}

/// The day (UTC) of a moment.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// When the day of a moment begins (UTC).
pub fn start_of_day(at: Timestamp) -> Timestamp {
    day_of(at).to_zoned(TimeZone::UTC).map_or(at, |day| day.timestamp())
}

/// When the day after that of a moment begins (UTC).
pub fn next_day(at: Timestamp) -> Timestamp {
    let tomorrow = day_of(at).tomorrow().and_then(|day| day.to_zoned(TimeZone::UTC));
    tomorrow.map_or(at, |day| day.timestamp())
}

impl Scope {
    /// Whether it is over with the day.
    pub fn is_days(self) -> bool {
        matches!(self, Self::RepositoryDay | Self::Day)
    }
}

impl Usage {
    /// Both together.
    pub fn and(self, other: Usage) -> Usage {
        Usage {
            usd: self.usd + other.usd,
            tokens: self.tokens.saturating_add(other.tokens),
            ms: self.ms.saturating_add(other.ms),
        }
    }

    /// Whether a limit is passed.
    pub fn passes(self, limit: Limit) -> bool {
        limit.usd.is_some_and(|usd| self.usd >= usd)
            || limit.tokens.is_some_and(|tokens| self.tokens >= tokens)
            || limit.ms.is_some_and(|ms| self.ms >= ms)
    }

    fn in_unit_of(self, amount: Amount) -> Amount {
        match amount {
            Amount::Usd(_) => Amount::Usd(self.usd),
            Amount::Tokens(_) => Amount::Tokens(self.tokens),
            Amount::Ms(_) => Amount::Ms(self.ms),
        }
    }
}

impl From<Amount> for Usage {
    fn from(amount: Amount) -> Usage {
        match amount {
            Amount::Usd(usd) => Usage { usd, ..Usage::default() },
            Amount::Tokens(tokens) => Usage { tokens, ..Usage::default() },
            Amount::Ms(ms) => Usage { ms, ..Usage::default() },
        }
    }
}

impl Limit {
    /// The lower of two, in each unit.
    pub fn least(self, other: Limit) -> Limit {
        Limit {
            usd: least(self.usd, other.usd),
            tokens: least(self.tokens, other.tokens),
            ms: least(self.ms, other.ms),
        }
    }

    /// What is limited, in each unit that is.
    pub fn amounts(self) -> Vec<Amount> {
        let all = [self.usd.map(Amount::Usd), self.tokens.map(Amount::Tokens), self.ms.map(Amount::Ms)];
        all.into_iter().flatten().collect()
    }
}

fn least<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other < one { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What somebody granted for this very run goes before the cap of each.
fn run_limit(cap: Limit, granted: Usage) -> Limit {
    Limit {
        usd: cap.usd.map(|usd| if granted.usd > 0.0 { granted.usd } else { usd }),
        tokens: cap.tokens.map(|tokens| if granted.tokens > 0 { granted.tokens } else { tokens }),
        ms: cap.ms.map(|ms| if granted.ms > 0 { granted.ms } else { ms }),
    }
}

fn raised(cap: Limit, granted: Usage, most_usd: Option<f64>) -> Limit {
    Limit {
        usd: cap.usd.map(|usd| usd + granted.usd).map(|usd| most_usd.map_or(usd, |most| usd.min(most))),
        tokens: cap.tokens.map(|tokens| tokens.saturating_add(granted.tokens)),
        ms: cap.ms.map(|ms| ms.saturating_add(granted.ms)),
    }
}

fn rest(cap: Limit, used: Usage) -> Limit {
    Limit {
        usd: cap.usd.map(|usd| (usd - used.usd).max(0.0)),
        tokens: cap.tokens.map(|tokens| tokens.saturating_sub(used.tokens)),
        ms: cap.ms.map(|ms| ms.saturating_sub(used.ms)),
    }
}

/// The unit of which nothing is left, if there is one, as an amount of it.
fn is_over(rest: Limit) -> Option<Amount> {
    let is_over = |left: &Amount| match left {
        // A hair below the least, since sums of dollars are not exact.
        Amount::Usd(usd) => *usd < MIN_USD - 1e-9,
        Amount::Tokens(tokens) => *tokens < MIN_TOKENS,
        Amount::Ms(ms) => *ms < MIN_MS,
    };
    rest.amounts().into_iter().find(is_over)
}

fn reached(
    scope: Scope,
    unit: Amount,
    (cap, raised, used): (Limit, Limit, Usage),
    most: Option<f64>,
) -> ReachedCap {
    let of_unit = |limit: Limit| match unit {
        Amount::Usd(_) => Amount::Usd(limit.usd.unwrap_or_default()),
        Amount::Tokens(_) => Amount::Tokens(limit.tokens.unwrap_or_default()),
        Amount::Ms(_) => Amount::Ms(limit.ms.unwrap_or_default()),
    };
    let room = most.zip(raised.usd).map(|(most, usd)| (most - usd).max(0.0));
    ReachedCap { scope, cap: of_unit(raised), used: used.in_unit_of(unit), more: offered(of_unit(cap), room) }
}

/// What is offered beyond a cap: a part of it, in round numbers, and no more than `room`.
fn offered(cap: Amount, room: Option<f64>) -> Option<Amount> {
    let part = |whole: f64, round: f64| (whole * OFFERED / round - 1e-6).ceil().max(1.0) * round;
    match cap {
        Amount::Usd(usd) => {
            let round = if usd >= 1.0 { 0.1 } else { MIN_USD };
            let more = part(usd, round).min(room.unwrap_or(f64::INFINITY));
            (more >= MIN_USD - 1e-9).then(|| Amount::Usd((more * 100.0).round() / 100.0))
        }
        Amount::Tokens(tokens) => {
            let round = if tokens >= 10_000 { 1000.0 } else { 1.0 };
            Some(Amount::Tokens(part(tokens as f64, round) as u64))
        }
        Amount::Ms(ms) => Some(Amount::Ms(part(ms as f64, MS_A_MINUTE as f64) as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Answer;
    use proptest::prelude::*;

    fn usd(usd: f64) -> Limit {
        Limit { usd: Some(usd), ..Limit::default() }
    }

    fn spent(usd: f64) -> Usage {
        Usage { usd, ..Usage::default() }
    }

    fn story(cap: f64, used: f64, granted: f64) -> RemainingBudget {
        let caps = Caps { story: usd(cap), ..Caps::default() };
        let used = UsageTotals { story: spent(used), ..UsageTotals::default() };
        let granted = UsageTotals { story: spent(granted), ..UsageTotals::default() };
        room(&caps, &Ledger { used, granted, granted_now: Usage::default() })
    }

    #[test]
    fn without_caps_everything_may_be_used() {
        let used =
            UsageTotals { day: Usage { usd: 1e9, tokens: u64::MAX, ms: u64::MAX }, ..UsageTotals::default() };
        let ledger = Ledger { used, ..Ledger::default() };
        assert_eq!(room(&Caps::default(), &ledger), RemainingBudget::Left(Limit::default()));
    }

    #[test]
    fn the_run_gets_the_least_of_what_is_left_anywhere() {
        let caps = Caps {
            run: usd(2.0),
            story: usd(5.0),
            repository_day: usd(9.0),
            day: Limit { usd: Some(20.0), tokens: Some(1000), ms: None },
            ..Caps::default()
        };
        let left = |used: UsageTotals| match room(&caps, &Ledger { used, ..Ledger::default() }) {
            RemainingBudget::Left(limit) => limit,
            RemainingBudget::Reached(reached) => panic!("{reached:?}"),
        };
        assert_eq!(left(UsageTotals::default()), Limit { usd: Some(2.0), tokens: Some(1000), ms: None });
        let used = UsageTotals { story: spent(4.0), ..UsageTotals::default() };
        assert_eq!(left(used).usd, Some(1.0));
        let used = UsageTotals { story: spent(4.0), repository_day: spent(8.5), ..UsageTotals::default() };
        assert_eq!(left(used).usd, Some(0.5));
        let used = UsageTotals { day: Usage { usd: 19.75, tokens: 400, ms: 0 }, ..UsageTotals::default() };
        assert_eq!(left(used), Limit { usd: Some(0.25), tokens: Some(600), ms: None });
    }

    #[test]
    fn a_cap_that_is_reached_offers_a_part_of_it_again() {
        let RemainingBudget::Reached(at) = story(5.0, 5.03, 0.0) else { panic!("there is room") };
        assert_eq!(at.scope, Scope::Story);
        assert_eq!((at.cap, at.used), (Amount::Usd(5.0), Amount::Usd(5.03)));
        assert_eq!(at.more, Some(Amount::Usd(3.0)));
        assert_eq!(options(&at), ["Spend $3.00 more", "Stop here"]);
        let RemainingBudget::Left(left) = story(5.0, 5.03, 3.0) else { panic!("it is reached") };
        assert!((left.usd.unwrap() - 2.97).abs() < 1e-9);
        // Again and again, with the cap as it is then.
        let RemainingBudget::Reached(at) = story(5.0, 8.0, 3.0) else { panic!("there is room") };
        assert_eq!((at.cap, at.more), (Amount::Usd(8.0), Some(Amount::Usd(3.0))));
    }

    #[test]
    fn nobody_grants_more_than_the_operator_allows() {
        let caps = Caps { story: usd(5.0), most_usd: Some(7.0), ..Caps::default() };
        let at = |used: f64, granted: f64| {
            let used = UsageTotals { story: spent(used), ..UsageTotals::default() };
            let granted = UsageTotals { story: spent(granted), ..UsageTotals::default() };
            room(&caps, &Ledger { used, granted, ..Ledger::default() })
        };
        let RemainingBudget::Reached(reached) = at(5.0, 0.0) else { panic!("there is room") };
        assert_eq!(reached.more, Some(Amount::Usd(2.0)));
        let RemainingBudget::Left(left) = at(5.0, 100.0) else { panic!("it is reached") };
        assert_eq!(left.usd, Some(2.0));
        let RemainingBudget::Reached(reached) = at(7.0, 100.0) else { panic!("there is room") };
        assert_eq!((reached.cap, reached.more), (Amount::Usd(7.0), None));
        assert_eq!(options(&reached), ["Stop here"]);
    }

    #[test]
    fn a_chosen_budget_takes_the_place_of_the_caps_of_run_and_story() {
        let caps = Caps { run: usd(1.0), story: usd(2.0), day: usd(50.0), ..Caps::default() };
        let used = UsageTotals { story: spent(10.0), ..UsageTotals::default() };
        let ledger = Ledger { used, ..Ledger::default() };
        assert!(matches!(
            room(&caps, &ledger),
            RemainingBudget::Reached(ReachedCap { scope: Scope::Story, .. })
        ));
        assert_eq!(room(&caps.with_chosen(8.0), &ledger), RemainingBudget::Left(usd(8.0)));
        let most = Caps { most_usd: Some(12.0), ..caps }.with_chosen(8.0);
        assert_eq!(room(&most, &ledger), RemainingBudget::Left(usd(2.0)));
        let used = UsageTotals { task: spent(8.0), day: spent(8.0), ..UsageTotals::default() };
        let ledger = Ledger { used, ..Ledger::default() };
        let RemainingBudget::Reached(at) = room(&caps.with_chosen(8.0), &ledger) else {
            panic!("there is room")
        };
        assert_eq!(at.scope, Scope::Task);
    }

    #[test]
    fn what_is_granted_at_the_cap_of_a_run_is_for_the_next_run() {
        let caps = Caps { run: usd(1.0), ..Caps::default() };
        let ledger = Ledger { granted_now: spent(0.6), ..Ledger::default() };
        assert_eq!(room(&caps, &ledger), RemainingBudget::Left(usd(0.6)));
        let at = reached_by_run(usd(1.0), spent(1.02)).unwrap();
        assert_eq!((at.scope, at.more), (Scope::Run, Some(Amount::Usd(0.6))));
        assert_eq!(reached_by_run(Limit::default(), spent(3.0)), None);
        let both = Limit { usd: Some(5.0), tokens: Some(100), ms: None };
        let at = reached_by_run(both, Usage { usd: 1.0, tokens: 120, ms: 0 }).unwrap();
        assert_eq!(
            (at.cap, at.used, at.more),
            (Amount::Tokens(100), Amount::Tokens(120), Some(Amount::Tokens(60)))
        );
    }

    #[test]
    fn days_are_those_of_utc() {
        let at: Timestamp = "2026-11-24T23:59:59Z".parse().unwrap();
        assert_eq!(start_of_day(at).to_string(), "2026-11-24T00:00:00Z");
        assert_eq!(next_day(at).to_string(), "2026-11-25T00:00:00Z");
        assert_eq!(next_day(next_day(at)).to_string(), "2026-11-26T00:00:00Z");
    }

    fn amounts() -> impl Strategy<Value = Usage> {
        (0.0..100.0f64, 0..1000u64, 0..100_000u64).prop_map(|(usd, tokens, ms)| Usage { usd, tokens, ms })
    }

    fn limits() -> impl Strategy<Value = Limit> {
        let usd = proptest::option::of(0.01..100.0f64);
        let counts = (proptest::option::of(1..1000u64), proptest::option::of(1000..100_000u64));
        (usd, counts).prop_map(|(usd, (tokens, ms))| Limit { usd, tokens, ms })
    }

    fn sums() -> impl Strategy<Value = UsageTotals> {
        (amounts(), amounts(), amounts(), amounts())
            .prop_map(|(task, story, repository_day, day)| UsageTotals { task, story, repository_day, day })
    }

    proptest! {
        #[test]
        fn a_run_that_uses_what_it_may_passes_no_cap_by_more_than_was_left(
            caps in (limits(), limits(), limits(), limits(), limits(), proptest::option::of(0.01..200.0f64)),
            used in sums(),
            granted in sums(),
        ) {
            let (run, task, story, repository_day, day, most_usd) = caps;
            let caps = Caps { run, task, story, repository_day, day, most_usd };
            let ledger = Ledger { used, granted, granted_now: Usage::default() };
            let scopes = [
                (task, used.task, granted.task, most_usd),
                (story, used.story, granted.story, most_usd),
                (repository_day, used.repository_day, granted.repository_day, None),
                (day, used.day, granted.day, None),
            ];
            match room(&caps, &ledger) {
                RemainingBudget::Left(left) => for (cap, used, granted, most) in scopes {
                    if let Some(cap) = cap.usd {
                        let more = left.usd.unwrap();
                        prop_assert!(more >= MIN_USD - 1e-6);
                        prop_assert!(used.usd + more <= cap + granted.usd + 1e-6);
                        prop_assert!(most.is_none_or(|most| used.usd + more <= most + 1e-6));
                    }
                    if let Some(cap) = cap.tokens {
                        prop_assert!(used.tokens + left.tokens.unwrap() <= cap + granted.tokens);
                    }
                    if let Some(cap) = cap.ms {
                        prop_assert!(used.ms + left.ms.unwrap() <= cap + granted.ms);
                    }
                },
                RemainingBudget::Reached(at) => {
                    // What is offered is understood, and there is room again once it is granted, as
                    // far as this cap goes.
                    let answer = Answer { text: options(&at)[0].clone(), by: "alice".to_owned() };
                    let expected = match at.more {
                        Some(more) => CapAnswer::More(more),
                        None => CapAnswer::Stop,
                    };
                    prop_assert_eq!(said(&answer, &at), expected);
                }
            }
        }
    }
}
