//! Reads a line of JSON as forgivingly as it can be read. What a CLI prints has passed through
//! programs in other languages: half a surrogate pair, a NUL, bytes that are not UTF-8, a number
//! that no float can hold or a very deep value are no reason to lose the event around them. What
//! cannot be kept of a value becomes U+FFFD in a text, or `null`.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::{Map, Number, Value};

/// Values deeper than this become `null`: nothing that hob reads lies there, and dropping a
/// [`Value`] recurses.
const MAX_DEPTH: usize = 100;

/// The object on a line, if there is one. Takes time in proportion to the line.
pub fn object(line: &[u8]) -> Option<Value> {
    value(line).filter(Value::is_object)
}

/// The value that a text is, if it is one.
pub fn value(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        // By far the fewest texts: they are read a second time.
        Err(_) => tolerant(text),
    }
}

fn tolerant(line: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}'));
    let mut reader = Reader { chars: text.chars().peekable() };
    let value = reader.value()?;
    reader.skip_space();
    reader.chars.next().is_none().then_some(value)
}

/// A container that has been begun and not ended.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, String),
    /// Too deep to be kept, with what ends it.
    Dropped(char),
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// A whole value. The containers around the place that is read are on a stack of their own, not
    /// on the program's.
    fn value(&mut self) -> Option<Value> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.skip_space();
            let mut done = match *self.chars.peek()? {
                begin @ ('{' | '[') => {
                    self.chars.next();
                    self.skip_space();
                    let end = if begin == '{' { '}' } else { ']' };
                    if self.chars.next_if_eq(&end).is_some() {
                        if begin == '{' { Value::Object(Map::new()) } else { Value::Array(Vec::new()) }
                    } else {
                        let key = if begin == '{' { self.key()? } else { String::new() };
                        open.push(match begin {
                            _ if open.len() >= MAX_DEPTH => Open::Dropped(end),
                            '{' => Open::Object(Map::new(), key),
                            _ => Open::List(Vec::new()),
                        });
                        continue;
                    }
                }
                _ => self.scalar()?,
            };
            // The value is complete, and perhaps what is around it.
            loop {
                let Some(around) = open.last_mut() else { return Some(done) };
                let end = match around {
                    Open::List(list) => {
                        list.push(done);
                        ']'
                    }
                    Open::Object(object, key) => {
                        object.insert(std::mem::take(key), done);
                        '}'
                    }
                    Open::Dropped(end) => *end,
                };
                self.skip_space();
                match self.chars.next()? {
                    ',' => {
                        if end == '}' {
                            let next = self.key()?;
                            if let Some(Open::Object(_, key)) = open.last_mut() {
                                *key = next;
                            }
                        }
                        break;
                    }
                    found if found == end => {
                        done = match open.pop()? {
                            Open::List(list) => Value::Array(list),
                            Open::Object(object, _) => Value::Object(object),
                            Open::Dropped(_) => Value::Null,
                        };
                    }
                    _ => return None,
                }
            }
        }
    }

    /// A name and its colon.
    fn key(&mut self) -> Option<String> {
        self.skip_space();
        let key = self.string()?;
        self.skip_space();
        self.chars.next_if_eq(&':').map(|_| key)
    }

    fn scalar(&mut self) -> Option<Value> {
        if self.chars.peek() == Some(&'"') {
            return self.string().map(Value::String);
        }
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
        {
            word.push(c);
        }
        match word.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            // Some writers of JSON have words for what is no number.
            "null" | "NaN" | "Infinity" | "-Infinity" => Some(Value::Null),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => number(&word),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        self.chars.next_if_eq(&'"')?;
        let mut text = String::new();
        loop {
            match self.chars.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    /// The character after a backslash. A half of a surrogate pair without its other half is
    /// U+FFFD.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.four_digits();
                match unit {
                    Some(high @ 0xd800..=0xdbff) => {
                        // Only a low half that follows at once makes a pair; anything else is a
                        // character of its own.
                        let mut ahead = Reader { chars: self.chars.clone() };
                        let low = (ahead.chars.next() == Some('\\') && ahead.chars.next() == Some('u'))
                            .then(|| ahead.four_digits())
                            .flatten()
                            .filter(|low| (0xdc00..=0xdfff).contains(low));
                        match low {
                            Some(low) => {
                                self.chars = ahead.chars;
                                char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                            }
                            None => char::REPLACEMENT_CHARACTER,
                        }
                    }
                    unit => unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            other => other,
        })
    }

    /// The number that four hexadecimal digits are. Where there are fewer, those are taken all the
    /// same.
    fn four_digits(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + self.chars.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
        }
        Some(unit)
    }

    fn skip_space(&mut self) {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\0')).is_some() {}
    }
}

/// One that no float can hold is none that anybody can mean.
fn number(word: &str) -> Option<Value> {
    if let Ok(whole) = word.parse::<i64>() {
        return Some(whole.into());
    }
    let float: f64 = word.parse().ok()?;
    Some(Number::from_f64(float).map_or(Value::Null, Value::Number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_json_allows_and_what_programs_print_is_read() {
        let cases: [(&[u8], Value); 16] = [
            (br#"{"a":"\ud83d"}"#, json!({"a": "\u{fffd}"})),
            (br#"{"a":"x\ud83d y\ude00"}"#, json!({"a": "x\u{fffd} y\u{fffd}"})),
            (br#"{"a":"\ud83d\ud83d\ude00"}"#, json!({"a": "\u{fffd}\u{1f600}"})),
            (br#"{"a":"\ude00\ud83d","\ud83d":1}"#, json!({"a": "\u{fffd}\u{fffd}", "\u{fffd}": 1})),
            (br#"{"a":"\u12"}"#, json!({"a": "\u{fffd}"})),
            (b"{\"a\":\"x\xff\xfey\"}", json!({"a": "x\u{fffd}\u{fffd}y"})),
            (b"{\"a\":\"x\0y\tz\x1b[1m\"}", json!({"a": "x\0y\tz\u{1b}[1m"})),
            (b"\0\0{\"a\":1}\0", json!({"a": 1})),
            (b"\xef\xbb\xbf{\"a\":1}", json!({"a": 1})),
            (br#"{"a":1e999,"b":-1e999,"c":2}"#, json!({"a": null, "b": null, "c": 2})),
            (br#"{"a":NaN,"b":-Infinity}"#, json!({"a": null, "b": null})),
            (br#"{"a":123456789012345678901234567890,"b":1e999}"#, json!({"a": 1.2345678901234568e29, "b": null})),
            (br#"{"a":1,"a":2,"b":1e999}"#, json!({"a": 2, "b": null})),
            (br#"{ "a" : [ 1 , { } , [ ] , true , false , null ] , "b" : "\/\"\\\b\f\n\r\t\q" , "c" : 1e999 }"#,
             json!({"a": [1, {}, [], true, false, null], "b": "/\"\\\u{8}\u{c}\n\r\tq", "c": null})),
            (br#"{"a":{"b":{"c":["\ud800"]}},"d":-1.5e2}"#, json!({"a": {"b": {"c": ["\u{fffd}"]}}, "d": -150.0})),
            (br#"{"a":"\ud83d\u0041"}"#, json!({"a": "\u{fffd}A"})),
        ];
        for (line, value) in cases {
            assert_eq!(object(line), Some(value), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_is_no_object_is_none() {
        let lines: [&[u8]; 13] = [
            b"",
            b"null",
            b"[1e999]",
            b"{",
            b"{\"a\"",
            b"{\"a\":",
            b"{\"a\":\"\\ud83d",
            b"{\"a\":1e999,}",
            b"{\"a\":1e999}}",
            b"{\"a\":1e999} {\"a\":1}",
            b"{a:1e999}",
            b"}{",
            b"{\"a\":1e999]",
        ];
        for line in lines {
            assert_eq!(object(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_very_deep_value_costs_only_itself_and_takes_no_more_time_than_it_is_long() {
        for (begin, end) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", begin.repeat(200_000), end.repeat(200_000));
            let line = format!("{{\"type\":\"result\",\"deep\":{deep},\"after\":\"\\ud83d\"}}");
            let began = std::time::Instant::now();
            let read = object(line.as_bytes()).expect("an object");
            assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
            assert_eq!((&read["type"], &read["after"]), (&json!("result"), &json!("\u{fffd}")));
        }
        let half_pairs = format!("{{\"a\":\"{}\"}}", "\\ud83d".repeat(200_000));
        assert_eq!(object(half_pairs.as_bytes()).unwrap()["a"].as_str().unwrap().chars().count(), 200_000);
    }
}
