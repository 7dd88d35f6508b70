//! The question whether work may cost more: the answers that are offered, and what somebody meant
//! who gave one.

use super::{Amount, MIN_USD, MS_A_MINUTE, ReachedCap};
use crate::story::Answer;

/// The answer with which hob itself closes a question about a day's cap, and who gives it.
pub const NEW_DAY: &str = "A new day has begun.";

/// Who answers when nobody had to.
pub const HOB: &str = "hob";

/// The answer that ends the task, as it is offered.
pub const STOP_HERE: &str = "Stop here";

/// The answer that waits for the next day, as it is offered where the cap is a day's.
pub const WAIT_FOR_NEXT_DAY: &str = "Wait for the next day (UTC)";

/// What somebody meant who was asked about a cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CapAnswer {
    /// So much more.
    More(Amount),
    /// No more; end the task.
    Stop,
    /// Wait for the next day.
    Wait,
    /// hob says that the next day has come.
    NewDay,
    /// It is neither an agreement nor a refusal.
    Unclear,
}

/// Reads an answer: an option as it was offered or by its number, `yes`, `no`, or an amount.
/// Anything else is unclear, and hob asks again: money is not spent on a guess.
pub fn said(answer: &Answer, at: &ReachedCap) -> CapAnswer {
    if answer.by == HOB && answer.text == NEW_DAY {
        return CapAnswer::NewDay;
    }
    let text = answer.text.trim().to_lowercase();
    let text = text.trim_end_matches(['.', '!']);
    let options = options(at);
    // "2", and "2. stop here" as people copy it from the list.
    let names = |number: usize, option: &str| {
        let words = text.strip_prefix(&format!("{number}. ")).unwrap_or(text);
        text == number.to_string() || words == option.to_lowercase()
    };
    let chosen = options.iter().zip(1..).find(|(option, number)| names(*number, option));
    let chosen = chosen.map(|(option, _)| option.as_str());
    match (chosen, at.more) {
        (Some(STOP_HERE), _) => CapAnswer::Stop,
        (Some(WAIT_FOR_NEXT_DAY), _) => CapAnswer::Wait,
        (Some(_), Some(offered)) => CapAnswer::More(offered),
        (None, _) if text == "no" => CapAnswer::Stop,
        (None, Some(offered)) if text == "yes" => CapAnswer::More(offered),
        (None, Some(offered)) => amount(text, offered).map_or(CapAnswer::Unclear, CapAnswer::More),
        (_, None) => CapAnswer::Unclear,
    }
}

/// The answers that are offered.
pub fn options(at: &ReachedCap) -> Vec<String> {
    let mut options: Vec<String> = at.more.map(more_words).into_iter().collect();
    options.extend(at.scope.is_days().then(|| WAIT_FOR_NEXT_DAY.to_owned()));
    options.push(STOP_HERE.to_owned());
    options
}

/// `Spend $3.00 more`, as it is offered.
fn more_words(more: Amount) -> String {
    match more {
        Amount::Usd(usd) => format!("Spend ${usd:.2} more"),
        Amount::Tokens(tokens) => {
            format!("Use {tokens} tokens more")
        }
        Amount::Ms(ms) => {
            let minutes = ms.div_ceil(MS_A_MINUTE);
            format!("Take {minutes} min more")
        }
    }
}

/// An amount in the unit that was asked about: `10`, `+10`, `$10.50`, `1,250`.
fn amount(text: &str, unit: Amount) -> Option<Amount> {
    let value = number(text.trim_start_matches('+').trim_start_matches('$'))?;
    match unit {
        Amount::Usd(_) => (value >= MIN_USD).then_some(Amount::Usd(value)),
        Amount::Tokens(_) => (value >= 1.0).then_some(Amount::Tokens(value as u64)),
        Amount::Ms(_) => (value >= 1.0).then_some(Amount::Ms((value as u64).saturating_mul(MS_A_MINUTE))),
    }
}

/// A number with a decimal point, and commas between thousands or none. `1.250` is none: much of
/// Europe means 1,250 by it.
fn number(text: &str) -> Option<f64> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let mut groups = whole.split(',');
    let first = groups.next().filter(|first| is_digits(first))?;
    let are_thousands = groups.clone().next().is_none() || first.len() <= 3;
    let is_well_formed = are_thousands
        && groups.all(|group| group.len() == 3 && is_digits(group))
        && is_digits(decimals)
        && decimals.len() <= 2;
    let digits = format!("{}.{decimals}", whole.replace(',', ""));
    is_well_formed.then(|| digits.parse().ok()).flatten().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::budget::Scope;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_money_a_stop_a_wait_or_unclear() {
        let at = |scope, more| ReachedCap { scope, cap: Amount::Usd(5.0), used: Amount::Usd(5.03), more };
        let three = Some(Amount::Usd(3.0));
        let of = |text: &str| {
            said(&Answer { text: text.to_owned(), by: "alice".to_owned() }, &at(Scope::Story, three))
        };
        for text in ["Spend $3.00 more", "yes", "Yes!", "1", "1.", "1. Spend $3.00 more", " yes. "] {
            assert_eq!(of(text), CapAnswer::More(Amount::Usd(3.0)), "{text}");
        }
        for text in ["$10", "10", "+10", "+$10", "10.00", "10."] {
            assert_eq!(of(text), CapAnswer::More(Amount::Usd(10.0)), "{text}");
        }
        assert_eq!(of("$1,250.5"), CapAnswer::More(Amount::Usd(1250.5)));
        for text in ["Stop here", "no", "2", "2. Stop here", "No."] {
            assert_eq!(of(text), CapAnswer::Stop, "{text}");
        }
        let unclear = [
            "",
            "why?",
            "/hob work",
            "$0",
            "-5",
            "nan",
            "inf",
            "wait",
            "what did the 5 bring?",
            "5 or 10",
            "1.250",
            "1.250,50",
            "12,50,3",
            "1,250,50",
            "1,2345",
            "10,",
            "10,50",
            "not 10",
            "spend $10 more",
            "10 dollars",
            "ok",
            "1000,250",
        ];
        for text in unclear {
            assert_eq!(of(text), CapAnswer::Unclear, "{text}");
        }
        let of_day = |text: &str, by: &str| {
            said(&Answer { text: text.to_owned(), by: by.to_owned() }, &at(Scope::Day, three))
        };
        assert_eq!(of_day("2", "alice"), CapAnswer::Wait);
        assert_eq!(of_day("Wait for the next day (UTC)", "alice"), CapAnswer::Wait);
        assert_eq!(of_day("3", "alice"), CapAnswer::Stop);
        assert_eq!(of_day(NEW_DAY, HOB), CapAnswer::NewDay);
        assert_eq!(of_day(NEW_DAY, "alice"), CapAnswer::Unclear);
        let none = at(Scope::Story, None);
        let yes = Answer { text: "yes".to_owned(), by: "alice".to_owned() };
        assert_eq!(said(&yes, &none), CapAnswer::Unclear);
    }

    #[test]
    fn amounts_are_in_the_unit_that_was_asked_about() {
        let at = |cap, more| ReachedCap { scope: Scope::Story, cap, used: cap, more: Some(more) };
        let of =
            |text: &str, at: &ReachedCap| said(&Answer { text: text.to_owned(), by: "alice".to_owned() }, at);
        let tokens = at(Amount::Tokens(200_000), Amount::Tokens(120_000));
        assert_eq!(options(&tokens)[0], "Use 120000 tokens more");
        assert_eq!(of("use 120000 tokens more", &tokens), CapAnswer::More(Amount::Tokens(120_000)));
        assert_eq!(of("50,000", &tokens), CapAnswer::More(Amount::Tokens(50_000)));
        let minutes = at(Amount::Ms(600_000), Amount::Ms(360_000));
        assert_eq!(options(&minutes)[0], "Take 6 min more");
        assert_eq!(of("20", &minutes), CapAnswer::More(Amount::Ms(1_200_000)));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_and_none_grants_a_nonsense(text in ".{0,40}") {
            let at = ReachedCap {
                scope: Scope::Day, cap: Amount::Usd(5.0), used: Amount::Usd(5.0), more: Some(Amount::Usd(3.0)),
            };
            if let CapAnswer::More(more) = said(&Answer { text, by: "alice".to_owned() }, &at) {
                let Amount::Usd(usd) = more else { panic!("{more:?}") };
                prop_assert!(usd.is_finite() && usd >= MIN_USD);
            }
        }
    }
}
