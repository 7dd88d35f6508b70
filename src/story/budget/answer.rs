//! The question whether work may cost more: the answers that are offered, and what somebody meant who gave one.

use super::{Amount, LEAST_USD, MS_A_MINUTE, Reached};
use crate::story::Answer;

/// The answer with which hob itself closes a question about a day's cap, and who gives it.
pub const NEW_DAY: &str = "A new day has begun.";

/// Who answers when nobody had to.
pub const HOB: &str = "hob";

/// The answer that ends the task, as it is offered.
pub const STOP_HERE: &str = "Stop here";

/// The answer that waits for the next day, as it is offered where the cap is a day's.
pub const WAIT_FOR_NEXT_DAY: &str = "Wait for the next day (UTC)";

/// Words that end the task, beside the option itself; those that wait for the next day; and those that take what is offered.
const STOP: [&str; 3] = ["no", "stop", "halt"];
const WAIT: [&str; 1] = ["wait"];
const YES: [&str; 4] = ["yes", "y", "ok", "okay"];
/// Words that stand around an amount and change nothing.
const AROUND_AMOUNTS: &[&str] = &[
    "$", "spend", "use", "take", "more", "usd", "dollars", "dollar", "tokens", "minutes", "min", "yes,",
    "yes", "another",
];

/// What somebody meant who was asked about a cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Said {
    /// So much more.
    More(Amount),
    /// No more; end the task.
    Stop,
    /// Wait for the next day.
    Wait,
    /// hob says that the next day has come.
    NewDay,
    /// Neither.
    Unclear,
}

/// What somebody meant, `more` is what was offered.
pub fn said(answer: &Answer, at: &Reached) -> Said {
    let text = answer.text.trim().to_lowercase();
    if answer.by == HOB && answer.text == NEW_DAY {
        return Said::NewDay;
    }
    let plain = text.trim_end_matches(['.', '!']).trim();
    let is_days = at.scope.is_days();
    let options = options(at);
    let numbered = |n: usize| options.get(n).map(|option| option.to_lowercase());
    let chosen = plain.trim_end_matches(['.', ')']).parse::<usize>().ok().filter(|n| *n >= 1);
    // "2." and "2. stop here" are the second option; "2" is too, where there are as many.
    let plain = match chosen.and_then(|n| numbered(n - 1)) {
        Some(option) => option,
        None => without_number(plain).to_owned(),
    };
    let is_offered = |words: &str| plain == words.to_lowercase();
    if is_offered(STOP_HERE) || STOP.contains(&plain.as_str()) {
        return Said::Stop;
    }
    if is_days && (is_offered(WAIT_FOR_NEXT_DAY) || WAIT.contains(&plain.as_str())) {
        return Said::Wait;
    }
    let Some(offered) = at.more else { return Said::Unclear };
    if is_offered(&more_words(offered)) || YES.contains(&plain.as_str()) {
        return Said::More(offered);
    }
    amount(&plain, offered).map_or(Said::Unclear, Said::More)
}

/// The answers that are offered.
pub fn options(at: &Reached) -> Vec<String> {
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

/// An amount that somebody named, in the unit that was asked about: `$10`, `10`, `+10`, `spend $10 more`, `10 usd`. Words that
/// are none of an amount's make it none: money is not spent on a guess.
fn amount(text: &str, unit: Amount) -> Option<Amount> {
    let mut words = text.split_whitespace().filter(|word| !AROUND_AMOUNTS.contains(word));
    let (number, None) = (words.next()?, words.next()) else { return None };
    let value = number_of(number.trim_start_matches('+').trim_start_matches('$').trim_end_matches('$'))?;
    match unit {
        Amount::Usd(_) => (value >= LEAST_USD).then_some(Amount::Usd(value)),
        Amount::Tokens(_) => (value >= 1.0).then_some(Amount::Tokens(value as u64)),
        Amount::Ms(_) => (value >= 1.0).then_some(Amount::Ms((value as u64).saturating_mul(MS_A_MINUTE))),
    }
}

/// `1,250.5`, and `10,50` as much of Europe writes it. What could be read as a small number and as a large one is none: of dollars
/// and tokens, a thousandth is no answer that anybody gives.
fn number_of(digits: &str) -> Option<f64> {
    let plain = digits.replace('_', "");
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = match plain.rsplit_once(['.', ',']) {
        // `1,250` is a thousand and more, as hob writes it.
        Some((_, last)) if plain.contains(',') && !plain.contains('.') && last.len() == 3 => {
            (plain.as_str(), "0")
        }
        // `1.250` is that in much of Europe, and little more than one in English.
        Some((whole, last)) if last.len() == 3 && !whole.contains(',') => return None,
        // Two commas of different meaning, or one that means nothing.
        Some((whole, last)) if !plain.contains('.') && (whole.contains(',') || last.len() > 2) => {
            return None;
        }
        Some((whole, last)) => (whole, last),
        None => (plain.as_str(), "0"),
    };
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let is_grouped = rest.is_empty() || (is_digits(first) && first.len() <= 3);
    if !is_grouped || rest.iter().any(|group| group.len() != 3 || !is_digits(group)) || !is_digits(part) {
        return None;
    }
    let first = if first.is_empty() && rest.is_empty() { "0" } else { first };
    if !is_digits(first) {
        return None;
    }
    format!("{first}{}.{part}", rest.concat()).parse::<f64>().ok().filter(|n| n.is_finite())
}

/// `1. yes` is `yes`, as people copy it from a numbered list.
fn without_number(text: &str) -> &str {
    match text.split_once(['.', ')']) {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            if rest.starts_with(' ') { rest.trim() } else { text }
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::budget::Scope;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_money_a_stop_a_wait_or_unclear() {
        let at = |scope, more| Reached { scope, cap: Amount::Usd(5.0), used: Amount::Usd(5.03), more };
        let three = Some(Amount::Usd(3.0));
        let of = |text: &str| {
            said(&Answer { text: text.to_owned(), by: "alice".to_owned() }, &at(Scope::Story, three))
        };
        for text in ["Spend $3.00 more", "yes", "Yes!", "1", "1.", "1. Spend $3.00 more", " ok "] {
            assert_eq!(of(text), Said::More(Amount::Usd(3.0)), "{text}");
        }
        let ten = ["$10", "10", "+10", "spend $10 more", "yes, $10", "10 dollars", "another $10", "10.00"];
        for text in ten {
            assert_eq!(of(text), Said::More(Amount::Usd(10.0)), "{text}");
        }
        assert_eq!(of("$1,250.5"), Said::More(Amount::Usd(1250.5)));
        let ten_and_a_half = ["10,50", "10.50", "$10,5", "another 10,50 dollars", "10,50 $"];
        for text in ten_and_a_half {
            assert_eq!(of(text), Said::More(Amount::Usd(10.5)), "{text}");
        }
        for text in ["Stop here", "stop", "no", "2", "2. Stop here", "No."] {
            assert_eq!(of(text), Said::Stop, "{text}");
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
            "not 10",
        ];
        for text in unclear {
            assert_eq!(of(text), Said::Unclear, "{text}");
        }
        let of_day = |text: &str, by: &str| {
            said(&Answer { text: text.to_owned(), by: by.to_owned() }, &at(Scope::Day, three))
        };
        assert_eq!(of_day("2", "alice"), Said::Wait);
        assert_eq!(of_day("wait", "alice"), Said::Wait);
        assert_eq!(of_day("3", "alice"), Said::Stop);
        assert_eq!(of_day(NEW_DAY, HOB), Said::NewDay);
        assert_eq!(of_day(NEW_DAY, "alice"), Said::Unclear);
        let none = at(Scope::Story, None);
        let yes = Answer { text: "yes".to_owned(), by: "alice".to_owned() };
        assert_eq!(said(&yes, &none), Said::Unclear);
    }

    #[test]
    fn amounts_are_in_the_unit_that_was_asked_about() {
        let at = |cap, more| Reached { scope: Scope::Story, cap, used: cap, more: Some(more) };
        let of =
            |text: &str, at: &Reached| said(&Answer { text: text.to_owned(), by: "alice".to_owned() }, at);
        let tokens = at(Amount::Tokens(200_000), Amount::Tokens(120_000));
        assert_eq!(options(&tokens)[0], "Use 120000 tokens more");
        assert_eq!(of("use 120000 tokens more", &tokens), Said::More(Amount::Tokens(120_000)));
        assert_eq!(of("50,000", &tokens), Said::More(Amount::Tokens(50_000)));
        let minutes = at(Amount::Ms(600_000), Amount::Ms(360_000));
        assert_eq!(options(&minutes)[0], "Take 6 min more");
        assert_eq!(of("20 minutes", &minutes), Said::More(Amount::Ms(1_200_000)));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_and_none_grants_a_nonsense(text in ".{0,40}") {
            let at = Reached {
                scope: Scope::Day, cap: Amount::Usd(5.0), used: Amount::Usd(5.0), more: Some(Amount::Usd(3.0)),
            };
            if let Said::More(more) = said(&Answer { text, by: "alice".to_owned() }, &at) {
                let Amount::Usd(usd) = more else { panic!("{more:?}") };
                prop_assert!(usd.is_finite() && usd >= LEAST_USD);
            }
        }
    }
}
