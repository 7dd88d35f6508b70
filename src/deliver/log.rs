//! The end of what an agent said and did in a run, read off the run's record on disk. Everything in it was written inside the
//! container: it is made safe where it is shown.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::agent::{Parser, Signal};
use crate::ids::AgentKind;

/// As much of the end of the record as is read: tools print a lot between two lines that are shown.
const MOST_READ: u64 = 1 << 20;
/// The most lines that are shown.
const MOST_LINES: usize = 300;

/// The newest of what the agent said and did, in its order. Nothing where there is no record: it goes after a while.
pub(super) fn end_of_log(record: &Path, agent: AgentKind) -> Vec<Signal> {
    let mut lines = read(record, agent).unwrap_or_default();
    let over = lines.len().saturating_sub(MOST_LINES);
    lines.drain(..over);
    lines
}

fn read(record: &Path, agent: AgentKind) -> std::io::Result<Vec<Signal>> {
    let mut file = File::open(record)?;
    let begin = file.metadata()?.len().saturating_sub(MOST_READ);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(MOST_READ).read_to_end(&mut bytes)?;
    // The first line is cut off where this is not the beginning.
    let lines = bytes.split(|byte| *byte == b'\n').skip(usize::from(begin > 0));
    let mut parser = Parser::new(agent, None);
    let told = lines.flat_map(|line| parser.line(line));
    Ok(told.filter(|signal| matches!(signal, Signal::Says(_) | Signal::Uses(_))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_read_and_a_missing_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("stdout.jsonl");
        assert_eq!(end_of_log(&record, AgentKind::Command), []);
        let all: String = (0..100_000).map(|line| format!("line {line} of many\n")).collect();
        std::fs::write(&record, all).unwrap();
        let lines = end_of_log(&record, AgentKind::Command);
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines.last(), Some(&Signal::Says("line 99999 of many".to_owned())));
    }
}
