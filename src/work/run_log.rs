//! The record of a run: what the agent printed goes to disk as it comes, and line by line to the
//! agent's parser, which shortens what it reads: known secrets are taken out before both. Reading
//! again from the beginning, after a restart, makes the same record.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::Context as _;

use crate::agent::{self, Parser, RunUsage, Signal, Tools};
use crate::container::Output;
use crate::paths::RunPaths;
use crate::redact::{CONTEXT, Redactor, Stream};

/// As much of the end of stderr as an error message needs.
const STDERR_TAIL: usize = 8 * 1024;

/// As much of it is remembered: a secret that is cut where this begins is not in the end of it.
const STDERR_KEPT: usize = STDERR_TAIL + CONTEXT;

/// As much of a line of stderr tells what it says.
const STDERR_LINE: usize = 2_000;

/// A line longer than this is handed to the parser cut off; it counts it as unreadable.
const MAX_LINE_LEN: usize = 16 << 20;

/// More output than this is not kept on disk. The parser still sees it.
const MAX_KEPT: u64 = 512 << 20;

/// Takes in the output of one run.
#[derive(Debug)]
pub(super) struct RunLog {
    parser: Parser,
    line: Vec<u8>,
    stdout: Kept,
    stderr: Kept,
    stderr_tail: Vec<u8>,
    /// The line of stderr that is being written, as far as it is looked at.
    stderr_line: Vec<u8>,
    /// Lines of stderr that told of work, before the agent began to speak: the set-up command
    /// writes there.
    stderr_work: u64,
    secrets: Arc<Redactor>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    bytes: u64,
    stream: Stream,
}

impl RunLog {
    /// Begins the record again.
    pub(super) fn begin(paths: &RunPaths, parser: Parser, secrets: &Arc<Redactor>) -> anyhow::Result<RunLog> {
        Ok(RunLog {
            parser,
            line: Vec::new(),
            stdout: Kept::create(&paths.stdout, secrets)?,
            stderr: Kept::create(&paths.stderr, secrets)?,
            stderr_tail: Vec::new(),
            stderr_line: Vec::new(),
            stderr_work: 0,
            secrets: secrets.clone(),
        })
    }

    /// Takes in a piece of output; tells what it says.
    pub(super) fn take(&mut self, output: &Output) -> anyhow::Result<Vec<Signal>> {
        match output {
            Output::Stdout(bytes) => {
                let clean = self.stdout.write(bytes)?;
                Ok(self.lines(&clean))
            }
            Output::Stderr(bytes) => {
                self.stderr.write(bytes)?;
                self.read_stderr(bytes);
                self.stderr_tail.extend_from_slice(bytes);
                let surplus = self.stderr_tail.len().saturating_sub(STDERR_KEPT);
                self.stderr_tail.drain(..surplus);
                Ok(Vec::new())
            }
        }
    }

    /// What the run has used so far.
    pub(super) fn so_far(&self) -> RunUsage {
        self.parser.so_far()
    }

    /// Grows with each line that tells of work. What only says that the agent waits does not count.
    pub(super) fn lines_of_work(&self) -> u64 {
        self.parser.lines_of_work() + self.stderr_work
    }

    /// Whether tools of the agent's are at work.
    pub(super) fn tools(&self) -> Tools {
        self.parser.tools()
    }

    fn read_stderr(&mut self, bytes: &[u8]) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = STDERR_LINE.saturating_sub(self.stderr_line.len());
            self.stderr_line.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                let has_begun = self.parser.lines_of_work() > 0;
                let line = String::from_utf8_lossy(&self.stderr_line);
                if !has_begun && !line.trim().is_empty() && !agent::only_waits(&line) {
                    self.stderr_work += 1;
                }
                self.stderr_line.clear();
            }
        }
    }

    /// The parser and the end of stderr without known secrets, once everything is taken in.
    pub(super) fn end(mut self) -> anyhow::Result<(Parser, String)> {
        let rest = self.stdout.finish()?;
        self.lines(&rest);
        self.stderr.finish()?;
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.parser.line(&line);
        }
        let stderr = String::from_utf8_lossy(&self.stderr_tail);
        Ok((self.parser, self.secrets.redact_from(&stderr, stderr.len().saturating_sub(STDERR_TAIL))))
    }

    fn lines(&mut self, bytes: &[u8]) -> Vec<Signal> {
        let mut signals = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = MAX_LINE_LEN.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            // All pieces but the last were ended by a newline.
            if pieces.peek().is_some() {
                signals.extend(self.parser.line(&self.line));
                self.line.clear();
            }
        }
        signals
    }
}

impl Kept {
    fn create(path: &std::path::Path, secrets: &Arc<Redactor>) -> anyhow::Result<Kept> {
        let file =
            crate::paths::create_private(path).with_context(|| format!("opening {}", path.display()))?;
        Ok(Kept { file, bytes: 0, stream: Stream::new(secrets.clone()) })
    }

    /// Takes bytes in. Gives back what is whole of them, without known secrets.
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        let clean = self.stream.push(bytes);
        self.keep(&clean)?;
        Ok(clean)
    }

    fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        let rest = self.stream.finish();
        self.keep(&rest)?;
        Ok(rest)
    }

    fn keep(&mut self, clean: &[u8]) -> anyhow::Result<()> {
        if self.bytes < MAX_KEPT {
            self.file.write_all(clean).context("writing the run's log")?;
            self.bytes += clean.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentKind;
    use crate::ids::RunId;
    use crate::paths::DataDir;
    use bytes::Bytes;

    const KEY: &str = "sk-ant-0123456789";

    fn log() -> (tempfile::TempDir, RunPaths, RunLog) {
        let folder = tempfile::tempdir().unwrap();
        let paths = DataDir::ensure(folder.path()).unwrap().run(RunId::new());
        std::fs::create_dir_all(&paths.folder).unwrap();
        let secrets = Arc::new(Redactor::new([KEY]));
        let log = RunLog::begin(&paths, Parser::new(AgentKind::Claude, None), &secrets).unwrap();
        (folder, paths, log)
    }

    fn stdout(text: &str) -> Output {
        Output::Stdout(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_line_may_come_in_pieces_and_many_in_one() {
        let (_folder, paths, mut log) = log();
        let init =
            r#"{"type":"system","subtype":"init","session_id":"9c02aee8-0000-4000-8000-000000000000"}"#;
        let (first, second) = init.split_at(20);
        assert_eq!(log.take(&stdout(first)).unwrap(), []);
        let signals = log.take(&stdout(&format!("{second}\nnot an event\n"))).unwrap();
        assert_eq!(signals, [Signal::Session("9c02aee8-0000-4000-8000-000000000000".to_owned())]);
        assert_eq!(std::fs::read_to_string(paths.stdout).unwrap(), format!("{init}\nnot an event\n"));
    }

    #[test]
    fn a_secret_is_not_kept_wherever_the_output_was_cut() {
        let (_folder, paths, mut log) = log();
        let (first, second) = KEY.split_at(7);
        log.take(&stdout(&format!("key: {first}"))).unwrap();
        log.take(&stdout(&format!("{second}, in hex {}", hex::encode(KEY)))).unwrap();
        log.end().unwrap();
        assert_eq!(std::fs::read_to_string(paths.stdout).unwrap(), "key: [secret], in hex [secret]");
    }

    #[test]
    fn no_part_of_a_secret_is_remembered_wherever_the_end_of_stderr_begins() {
        for after in [STDERR_TAIL - 7, STDERR_KEPT - 7] {
            let (_folder, _, mut log) = log();
            log.take(&Output::Stderr(Bytes::from(format!("{KEY}{}", "x".repeat(after))))).unwrap();
            let (_, tail) = log.end().unwrap();
            assert!(tail.len() <= STDERR_TAIL + 8 && tail.ends_with('x') && !tail.contains("789"), "{after}");
        }
    }

    #[test]
    fn a_secret_is_taken_out_before_the_parser_shortens_what_was_said() {
        let secrets = Arc::new(Redactor::new([KEY]));
        let folder = tempfile::tempdir().unwrap();
        let paths = DataDir::ensure(folder.path()).unwrap().run(RunId::new());
        std::fs::create_dir_all(&paths.folder).unwrap();
        for before in (0..70_000).step_by(997).chain(65_490..65_560) {
            let mut log = RunLog::begin(&paths, Parser::new(AgentKind::Claude, None), &secrets).unwrap();
            let result = serde_json::json!({
                "type": "result", "subtype": "success", "is_error": false, "result": format!("{}{KEY}", "x".repeat(before)),
            });
            log.take(&stdout(&format!("{}\n", result.to_string().replace('-', r"\u002d")))).unwrap();
            let (parser, _) = log.end().unwrap();
            let told = format!("{:?}", parser.finish(&crate::agent::Exit::default(), ""));
            assert!(!told.contains("sk-"), "{before}");
        }
    }

    #[test]
    fn only_the_end_of_stderr_is_remembered_but_all_of_it_is_kept() {
        let (_folder, paths, mut log) = log();
        log.take(&Output::Stderr(Bytes::from("x".repeat(STDERR_TAIL)))).unwrap();
        log.take(&Output::Stderr(Bytes::from_static(b"the end"))).unwrap();
        let (_, tail) = log.end().unwrap();
        assert!(tail.len() == STDERR_TAIL && tail.ends_with("xthe end"));
        assert_eq!(std::fs::metadata(paths.stderr).unwrap().len() as usize, STDERR_TAIL + 7);
    }
}
