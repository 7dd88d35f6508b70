//! The end of what an agent said and did in a run, read off the run's record on disk. Everything in
//! it was written inside the container: it is made safe where it is shown. Known secrets are taken
//! out here, before what was said is shortened.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::agent::{Parser, Signal, short_line};
use crate::ids::AgentKind;
use crate::redact::{CONTEXT, Redactor};

/// As much of the end of the record as is read: tools print a lot between two lines that are shown.
const MAX_READ: u64 = 1 << 20;
/// The most lines that are shown.
const MAX_LINES: usize = 300;

/// The newest of what the agent said and did, in its order. Nothing where there is no record: it
/// goes after a while.
pub(super) fn end_of_log(record: &Path, agent: AgentKind, secrets: &Redactor) -> Vec<Signal> {
    let mut lines = read(record, agent, secrets).unwrap_or_default();
    let over = lines.len().saturating_sub(MAX_LINES);
    lines.drain(..over);
    let shown = |text: String| short_line(&secrets.redact(&text));
    let lines = lines.into_iter().map(|signal| match signal {
        Signal::Says(words) => Signal::Says(shown(words)),
        Signal::Uses(tool) => Signal::Uses(shown(tool)),
        other => other,
    });
    lines.collect()
}

fn read(record: &Path, agent: AgentKind, secrets: &Redactor) -> std::io::Result<Vec<Signal>> {
    let mut file = File::open(record)?;
    let begin = file.metadata()?.len().saturating_sub(MAX_READ);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // As a whole, where a program's lines are wrapped; once more when the text of each is known.
    let text = secrets.redact_from(&text, if begin > 0 { CONTEXT } else { 0 });
    // The first line is cut off where this is not the beginning.
    let lines = text.split('\n').skip(usize::from(begin > 0));
    let mut parser = Parser::new(agent, None);
    let told = lines.flat_map(|line| parser.line(line.as_bytes()));
    Ok(told.filter(|signal| matches!(signal, Signal::Says(_) | Signal::Uses(_))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_read_and_a_missing_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("stdout.jsonl");
        let none = Redactor::new([]);
        assert_eq!(end_of_log(&record, AgentKind::Command, &none), []);
        let all: String = (0..100_000).map(|line| format!("line {line} of many\n")).collect();
        std::fs::write(&record, all).unwrap();
        let lines = end_of_log(&record, AgentKind::Command, &none);
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines.last(), Some(&Signal::Says("line 99999 of many".to_owned())));
    }

    #[test]
    fn a_key_is_taken_out_before_a_line_is_shortened_and_where_it_is_wrapped() {
        let key = "sk-ant-0123456789abcdefghijklmnopqrstuvwxyz";
        let secrets = Redactor::new([key]);
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("stdout.jsonl");
        let shown = |agent, text: &str| {
            std::fs::write(&record, text).unwrap();
            format!("{:?}", end_of_log(&record, agent, &secrets))
        };
        let long = format!("{}{key}", "x".repeat(280));
        let encoded = format!("{}\n{}", hex::encode(&key[..20]), hex::encode(&key[20..]));
        for text in [long, encoded] {
            let is_clean = |log: &str| ["sk-", "736b2d", "78797a"].iter().all(|part| !log.contains(part));
            let plain = shown(AgentKind::Command, &format!("before\n{text}\nafter\n"));
            assert!(is_clean(&plain) && plain.contains("before") && plain.contains("after"), "{plain}");
            let event = serde_json::json!({"type": "item.completed", "item": {"type": "agent_message", "text": text}});
            let told = shown(AgentKind::Codex, &format!("{event}\n"));
            assert!(is_clean(&told) && told.contains("Says("), "{told}");
        }
    }
}
