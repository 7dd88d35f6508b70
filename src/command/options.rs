//! The options of a command, before its text: `--agent codex`, `--model=gpt-5`.

use std::borrow::Cow;

use super::{CommandError, first_word, text_of};
use crate::ids::{AgentKind, is_branch_name};
use crate::story::Choice;

/// Every option.
pub(super) const OPTIONS: [&str; 5] = ["--agent", "--model", "--image", "--base", "--budget"];

/// The option that has no value: a new session.
pub(super) const FRESH: &str = "--fresh";

/// More dollars than anybody means to allow at once.
const MAX_USD: f64 = 10_000.0;

/// The options on a command's line, and its text: what is left of the line, and what is below. `--`
/// ends them.
pub(super) fn read(
    command: &'static str,
    line: &str,
    below: &str,
) -> Result<(Choice, Option<String>), CommandError> {
    let mut text = line;
    let mut choice = Choice::default();
    loop {
        let (word, mut rest) = first_word(text);
        let word = two_dashes(word);
        let word = word.as_ref();
        if word == "--" {
            return Ok((choice, text_of(rest, below)));
        }
        let (name, joined) = match word.split_once(['=', ':']) {
            Some((name, value)) => (name, Some(value).filter(|value| !value.is_empty())),
            None => (word, None),
        };
        if is_fresh(word) {
            choice.fresh = true;
            text = rest;
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let option = OPTIONS.into_iter().find(|option| *option == lower || option[1..] == lower);
        let option = match option {
            Some(option) => option,
            None if word.starts_with("--") => {
                return Err(CommandError::UnknownOption { command, option: name.to_owned() });
            }
            None => return Ok((choice, text_of(text, below))),
        };
        let value = joined.unwrap_or_else(|| {
            let (value, after) = first_word(rest);
            rest = after;
            value
        });
        let value = value.trim_matches(QUOTATION_MARKS);
        choose(&mut choice, option, value)
            .ok_or_else(|| CommandError::BadValue { option, value: value.to_owned() })?;
        text = rest;
    }
}

/// Quotation marks, as people and phones write them around a value.
const QUOTATION_MARKS: [char; 8] =
    ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}'];

/// A word with the dashes before it that a phone has made one long one of.
fn two_dashes(word: &str) -> Cow<'_, str> {
    const LONG: [char; 4] = ['\u{2013}', '\u{2014}', '\u{2015}', '\u{2012}'];
    match word.starts_with(LONG) {
        true => Cow::Owned(format!("--{}", word.trim_start_matches(LONG).trim_start_matches('-'))),
        false => Cow::Borrowed(word),
    }
}

/// Whether the line of a command that goes on asks for a new session, and what is left of it.
pub(super) fn fresh<'a>(command: &'static str, line: &'a str) -> Result<(bool, &'a str), CommandError> {
    let (word, rest) = first_word(line);
    match two_dashes(word).as_ref() {
        word if is_fresh(word) => Ok((true, rest)),
        "--" => Ok((false, rest)),
        option if option.starts_with("--") => {
            Err(CommandError::UnknownOption { command, option: option.to_owned() })
        }
        _ => Ok((false, line)),
    }
}

fn is_fresh(word: &str) -> bool {
    let name = word.trim_end_matches(['.', ',', '!', ';']).to_ascii_lowercase();
    name == FRESH || name == FRESH[1..]
}

/// `None` where the option cannot have this value.
fn choose(choice: &mut Choice, option: &str, value: &str) -> Option<()> {
    let if_fit = |fits: fn(&str) -> bool| fits(value).then(|| value.to_owned());
    match option {
        "--agent" => {
            let name = value.trim_end_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
            choice.agent = Some(name.parse::<AgentKind>().ok()?);
        }
        "--model" => choice.model = Some(if_fit(is_name)?),
        "--image" => choice.image = Some(if_fit(is_name)?),
        "--base" => choice.base = Some(if_fit(is_branch_name)?),
        _ => choice.budget_usd = Some(dollars(value)?),
    }
    Some(())
}

/// How many dollars more are allowed by `+5`, or `5`.
pub(super) fn more_usd(rest: &str) -> Result<f64, CommandError> {
    let (sum, _) = first_word(rest);
    let sum = sum.trim_end_matches(['.', ',', '!', ';']);
    dollars(sum.strip_prefix('+').unwrap_or(sum)).ok_or_else(|| CommandError::BadSum(sum.to_owned()))
}

/// Whether the commits of a branch are to be made again, as `--rewrite` says.
pub(super) fn rewrite(line: &str) -> Result<bool, CommandError> {
    let word = two_dashes(first_word(line).0);
    let name = word.trim_end_matches(['.', ',', '!', ';']).to_ascii_lowercase();
    match word.as_ref() {
        _ if matches!(name.as_str(), "--rewrite" | "-rewrite") => Ok(true),
        other if other.starts_with('-') => {
            Err(CommandError::UnknownOption { command: "rebase", option: other.to_owned() })
        }
        _ => Ok(false),
    }
}

/// A sum of dollars that somebody may mean: `5`, `$2.50`.
fn dollars(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('$').unwrap_or(text);
    let is_plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let sum = digits.parse::<f64>().ok().filter(|_| is_plain)?;
    (sum > 0.0 && sum <= MAX_USD).then_some(sum)
}

/// Whether a value can be a model's or an image's name. It becomes an argument of the agent's
/// program, so it must not look like an option.
fn is_name(value: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '[' | ']');
    (1..=200).contains(&value.len()) && !value.starts_with('-') && value.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str) -> Choice {
        read("work", text, "").unwrap().0
    }

    #[test]
    fn a_base_is_a_branch_that_git_can_have() {
        for base in [
            "main",
            "release/1.2",
            "feature/a_b-c",
            "über",
            "release(2.x)",
            "users/@alice/next",
            "wip/a&b",
            "feature/#12-über",
        ] {
            assert_eq!(choice(&format!("--base {base} text")).base.as_deref(), Some(base));
        }
        for base in
            ["", "-x", "a..b", "/a", "a/", "a//b", "a.lock", ".a", "a.", "a~1", "a:b", "a@{1}", "a\\b", "a*"]
        {
            let read = read("work", &format!("--base={base}"), "");
            assert!(
                matches!(read, Err(CommandError::BadValue { option: "--base", .. })),
                "{base:?}: {read:?}"
            );
        }
    }

    #[test]
    fn only_a_plain_rewrite_replaces_a_branch() {
        assert_eq!((rewrite("--rewrite"), rewrite(""), rewrite("please")), (Ok(true), Ok(false), Ok(false)));
        assert!(rewrite("--rewrit").is_err() && rewrite("-r").is_err());
    }

    #[test]
    fn a_new_session_is_asked_for_by_an_option_without_a_value() {
        let (asked, text) = read("work", "--fresh --agent codex use tabs", "").unwrap();
        assert_eq!(
            (asked.fresh, asked.agent, text.as_deref()),
            (true, Some(AgentKind::Codex), Some("use tabs"))
        );
        assert!(!choice("use --fresh water").fresh);
        assert_eq!(fresh("resume", "--fresh use tabs"), Ok((true, "use tabs")));
        assert_eq!(fresh("resume", "use tabs"), Ok((false, "use tabs")));
        assert_eq!(fresh("retry", ""), Ok((false, "")));
        assert!(fresh("retry", "--agent codex").is_err());
    }

    #[test]
    fn a_budget_is_a_sum_of_dollars() {
        for (text, sum) in [("5", 5.0), ("$2.50", 2.5), ("0.01", 0.01)] {
            assert_eq!(choice(&format!("--budget {text}")).budget_usd, Some(sum));
        }
        for text in ["0", "-1", "NaN", "inf", "1e9", "5€", "five", "1000000"] {
            assert!(read("work", &format!("--budget {text}"), "").is_err(), "{text}");
        }
        assert_eq!((more_usd("+5"), more_usd("5 more"), more_usd("+$1.5")), (Ok(5.0), Ok(5.0), Ok(1.5)));
        for text in ["", "+", "-5", "lots"] {
            assert_eq!(more_usd(text), Err(CommandError::BadSum(text.to_owned())));
        }
    }
}
