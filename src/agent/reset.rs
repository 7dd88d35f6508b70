//! When a limit ends, where a CLI tells it in words: `try again at 4:52 PM`,
//! `resets Dec 3, 9am (UTC)`, `reset after 8h44m7s`.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

use super::text;

/// What stands before a time, in lower case, the longest first.
const BEFORE: [&str; 15] = [
    "try again at ",
    "try again in ",
    "try again after ",
    "limit reached|",
    "resets at ",
    "resets in ",
    "resets on ",
    "resets ",
    "reset at ",
    "reset in ",
    "reset after ",
    "reset on ",
    "retry at ",
    "retry in ",
    "retry after ",
];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A time of day that has just passed is not that of tomorrow.
const JUST_PASSED: SignedDuration = SignedDuration::from_mins(10);

/// No limit is longer than a month.
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(32 * 24);

/// Characters of a message that are read.
const READ_CHARS: usize = 6_000;

/// When a limit ends by the words of a message that was said `now`, if they tell. A time of day is
/// that of `zone`, unless the message names another.
pub fn reset_time(message: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let message = text::one_line(message, READ_CHARS);
    let lower = message.to_ascii_lowercase();
    let at = BEFORE.iter().find_map(|before| {
        lower.match_indices(before).find_map(|(at, _)| {
            let from = at + before.len();
            moment(&lower[from..], &message[from..], now, zone)
        })
    })?;
    (at.duration_since(now) <= MAX_WAIT).then_some(at)
}

fn moment(lower: &str, message: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    epoch(lower)
        .or_else(|| stamp(message))
        .or_else(|| after(lower, now))
        .or_else(|| clock(lower, message, now, zone))
}

/// Seconds or milliseconds since 1970.
fn epoch(text: &str) -> Option<Timestamp> {
    let digits = &text[..text.bytes().take_while(u8::is_ascii_digit).count()];
    match digits.len() {
        10 => Timestamp::from_second(digits.parse().ok()?).ok(),
        13 => Timestamp::from_millisecond(digits.parse().ok()?).ok(),
        _ => None,
    }
}

/// `2026-11-30T16:52:00Z`
fn stamp(text: &str) -> Option<Timestamp> {
    let word = text.split([' ', ',', '"', ')', ']']).next()?.trim_end_matches('.');
    word.contains('T').then(|| word.parse().ok()).flatten()
}

/// `3 days 2 hours 5 minutes`, `8h44m7s`, `15.002s`, `less than a minute`
fn after(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text.starts_with("less than a minute") {
        return now.checked_add(SignedDuration::from_mins(1)).ok();
    }
    let mut rest = text;
    let mut seconds = 0.0;
    let mut found = false;
    loop {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let Some(number) = rest[..digits].trim_end_matches('.').parse::<f64>().ok() else { break };
        let unit = rest[digits..].trim_start_matches(' ');
        let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
        let worth = match &unit[..letters] {
            "d" | "day" | "days" => 86_400.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "ms" => 0.001,
            _ => break,
        };
        seconds += number * worth;
        found = true;
        rest = unit[letters..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    let whole = found.then_some(seconds.ceil()).filter(|seconds| *seconds <= MAX_WAIT.as_secs_f64())?;
    now.checked_add(SignedDuration::from_secs(whole as i64)).ok()
}

/// `4:52 PM`, `6am (Europe/Berlin)`, `Jan 5th, 2026 4:52 PM`, `Dec 3, 9am (UTC)`, `16:52 UTC`
fn clock(lower: &str, message: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut words = lower.split([' ', ',']).filter(|word| !word.is_empty() && *word != "at").peekable();
    let month = words.peek().and_then(|word| MONTHS.iter().position(|month| word.starts_with(month)));
    let day = match month {
        None => None,
        Some(month) => {
            words.next();
            let day = words.next()?;
            let day: i8 = day[..day.bytes().take_while(u8::is_ascii_digit).count()].parse().ok()?;
            Some((i8::try_from(month + 1).ok()?, day))
        }
    };
    let year: Option<i16> = words.peek().filter(|word| word.len() == 4).and_then(|word| word.parse().ok());
    if year.is_some() {
        words.next();
    }
    let time = time_of_day(words.next()?, words.next())?;
    let named = message.split_once('(').and_then(|(_, rest)| Some(rest.split_once(')')?.0));
    let zone = named.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| zone.clone());
    let here = now.to_zoned(zone.clone());
    let on = |date: Date| date.to_datetime(time).to_zoned(zone.clone()).ok();
    let is_to_come = |at: &Zoned| at.timestamp().duration_since(now) >= -JUST_PASSED;
    let at = match day {
        None => {
            on(here.date()).filter(is_to_come).or_else(|| on(here.date().checked_add(1.day()).ok()?))?
        }
        Some((month, day)) => {
            let of_year = |year| on(Date::new(year, month, day).ok()?);
            match year {
                Some(year) => of_year(year)?,
                None => of_year(here.year()).filter(is_to_come).or_else(|| of_year(here.year() + 1))?,
            }
        }
    };
    Some(at.timestamp())
}

/// `4:52` with `pm` after it, `4:52pm`, `6am`, `16:52`
fn time_of_day(word: &str, next: Option<&str>) -> Option<Time> {
    let word = word.trim_end_matches(['.', ')', ']', '"', ';']);
    let next = next.unwrap_or_default().trim_end_matches(['.', ')', ']', '"', ';']);
    let (digits, half) = match word.strip_suffix("pm").or_else(|| word.strip_suffix("am")) {
        Some(digits) => (digits, &word[digits.len()..]),
        None if matches!(next, "am" | "pm") => (word, next),
        None => (word, ""),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, ""));
    // An hour alone is none without its half of the day.
    if minute.is_empty() && half.is_empty() {
        return None;
    }
    let minute =
        minute.split(':').next().filter(|minute| !minute.is_empty()).map_or(Ok(0), str::parse).ok()?;
    let hour: i8 = hour.parse().ok()?;
    let hour = match half {
        "" => hour,
        _ if !(1..=12).contains(&hour) => return None,
        "pm" => hour % 12 + 12,
        _ => hour % 12,
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<String> {
        let now = "2026-11-30T15:00:30Z".parse().unwrap();
        reset_time(message, now, &TimeZone::UTC).map(|at| at.to_string())
    }

    #[test]
    fn the_end_of_a_limit_is_read_from_what_the_programs_say() {
        let cases = [
            (
                "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again at 4:52 PM.",
                "2026-11-30T16:52:00Z",
            ),
            ("You've hit your usage limit. Try again at 4:52 AM.", "2026-12-01T04:52:00Z"),
            ("Try again at 12:05 AM.", "2026-12-01T00:05:00Z"),
            ("Try again at 12:05 PM.", "2026-12-01T12:05:00Z"),
            (
                "You've hit your usage limit. To get more access now, send a request to your admin or try again at Dec 5th, 2026 4:52 PM.",
                "2026-12-05T16:52:00Z",
            ),
            ("Upgrade to Pro or try again in 3 days 2 hours 5 minutes.", "2026-12-03T17:05:30Z"),
            ("try again in less than a minute.", "2026-11-30T15:01:30Z"),
            ("You've hit your 5-hour limit · resets 6am (UTC)", "2026-12-01T06:00:00Z"),
            ("You've hit your limit · resets 6pm (Europe/Berlin)", "2026-11-30T17:00:00Z"),
            ("You've hit your weekly limit · resets Dec 3, 9am (UTC)", "2026-12-03T09:00:00Z"),
            ("You've hit your weekly limit · resets Feb 1 at 9:30am", ""),
            ("Claude AI usage limit reached|1796060000", "2026-11-30T17:33:20Z"),
            ("Your quota will reset after 8h44m7s.", "2026-11-30T23:44:37Z"),
            ("Please retry in 15.002899939s.", "2026-11-30T15:00:46Z"),
            ("Rate limit resets at 2026-11-30T16:00:00Z.", "2026-11-30T16:00:00Z"),
            ("The limit resets at 16:52 UTC", "2026-11-30T16:52:00Z"),
            // It has just passed.
            ("try again at 2:58 PM.", "2026-11-30T14:58:00Z"),
        ];
        for (message, at) in cases {
            assert_eq!(told(message).unwrap_or_default(), at, "{message}");
        }
        for message in [
            "Try again later.",
            "try again at your own risk",
            "resets 25:61 PM",
            "try again in a while",
            "resets 7",
            "",
            "try again at 13:00 PM.",
        ] {
            assert_eq!(told(message), None, "{message}");
        }
    }

    #[test]
    fn a_hostile_message_is_read_in_time() {
        for piece in ["try again at ", "resets 1", "reset after 1h", "ÄÖÜ resets ", "resets jan "] {
            let began = std::time::Instant::now();
            told(&piece.repeat(1 << 17));
            assert!(began.elapsed().as_millis() < 1000, "{piece}: {:?}", began.elapsed());
        }
    }
}
