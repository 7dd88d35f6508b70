//! What real CLIs wrote, and what hob makes of it. Each case under `tests/data/agents/<agent>/` is
//! the output of one run of the real program against a scripted model: `<case>.jsonl` its standard
//! output, `<case>.stderr` its standard error, `<case>.rc` its exit code where that was written
//! down.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

/// One recorded run and what its report must say.
struct Sample {
    agent: AgentKind,
    case: &'static str,
    code: i64,
    /// The session that the run was told to resume.
    resumed: Option<&'static str>,
    expected: Expected,
}

#[derive(Debug, PartialEq)]
struct Expected {
    class: Option<FailureClass>,
    session: Option<String>,
    cost_usd: Option<f64>,
    tokens: Option<(u64, u64)>,
    turns: Option<u32>,
    resets_at: Option<i64>,
}

impl Sample {
    fn ok(agent: AgentKind, case: &'static str, session: &str) -> Self {
        let session = Some(session.to_owned());
        let expected =
            Expected { class: None, session, cost_usd: None, tokens: None, turns: None, resets_at: None };
        Self { agent, case, code: 0, resumed: None, expected }
    }

    fn failed(agent: AgentKind, case: &'static str, code: i64, class: FailureClass) -> Self {
        let mut sample = Self::ok(agent, case, "");
        sample.code = code;
        sample.expected.class = Some(class);
        sample.expected.session = None;
        sample
    }

    fn resuming(mut self, session: &'static str) -> Self {
        self.resumed = Some(session);
        self
    }

    fn in_session(mut self, session: &str) -> Self {
        self.expected.session = Some(session.to_owned());
        self
    }

    fn cost(mut self, dollars: f64) -> Self {
        self.expected.cost_usd = Some(dollars);
        self
    }

    fn tokens(mut self, input: u64, output: u64) -> Self {
        self.expected.tokens = Some((input, output));
        self
    }

    fn turns(mut self, turns: u32) -> Self {
        self.expected.turns = Some(turns);
        self
    }

    fn resets_at(mut self, seconds: i64) -> Self {
        self.expected.resets_at = Some(seconds);
        self
    }
}

#[rustfmt::skip]
fn claude() -> Vec<Sample> {
    use FailureClass::*;
    let ok = |case, session| Sample::ok(AgentKind::Claude, case, session);
    let failed = |case, code, class| Sample::failed(AgentKind::Claude, case, code, class);
    vec![
        ok("edit", "9c02aee8-94c4-4b4c-9bab-e4e5f1c916c5").cost(0.0016).tokens(200, 40).turns(2),
        ok("resume-ok", "9c02aee8-94c4-4b4c-9bab-e4e5f1c916c5").resuming("9c02aee8-94c4-4b4c-9bab-e4e5f1c916c5").cost(0.0008).tokens(100, 20).turns(1),
        ok("resume-fork", "4d8631c6-7d97-445f-aa13-3bd9268918a4").cost(0.0016).tokens(200, 40).turns(2),
        failed("resume-missing", 1, SessionLost).resuming("11111111-2222-3333-4444-555555555555").cost(0.0).tokens(0, 0).turns(0),
        ok("question", "26668966-9c57-4f9b-a7ca-d6d334b8b032").cost(0.0016).tokens(200, 40).turns(2),
        ok("question-answer", "26668966-9c57-4f9b-a7ca-d6d334b8b032").resuming("26668966-9c57-4f9b-a7ca-d6d334b8b032").cost(0.0016).tokens(200, 40).turns(2),
        ok("deny-bypass", "80dd8a80-d08e-4d5c-974c-d18982e21309").cost(0.0016).tokens(200, 40).turns(2),
        // Two results each.
        ok("bg", "4eeae81b-6235-4a67-87bd-b951c8747889").cost(0.0024).tokens(300, 60).turns(3),
        ok("subagent", "bff530ed-f43f-4786-80a2-bd732b591670").cost(0.0032).tokens(400, 80).turns(3),
        ok("in-follow", "bcd1d971-d928-4dae-ab03-f254198bc78d").cost(0.0032).tokens(400, 80).turns(4),
        // Limits.
        failed("maxturns", 1, TurnLimit).in_session("c6c91a38-5062-4b6e-81d3-d627dd86e5e2").cost(1.76).tokens(400_000, 8_000).turns(3),
        failed("maxbudget", 1, BudgetLimit).in_session("2b0f7b79-3c1f-48d1-b3fb-366b3793d152").cost(3.52).tokens(800_000, 16_000).turns(4),
        failed("limit-oauth", 1, UsageLimit).in_session("e07c011b-bfb3-46ed-b737-869b7a9a66ad").cost(0.0).turns(1).resets_at(1_795_500_000),
        ok("limitwarn-oauth", "743f5168-afc2-48ca-b582-1ccab7307cbb").cost(0.0004).tokens(100, 20).turns(1),
        // The API does not do as asked.
        failed("badkey-max0", 1, Authentication).in_session("5092dd94-0967-4dcb-92be-b258e09605b3").cost(0.0).turns(1),
        failed("nokey", 1, Authentication).in_session("ee8a5a3c-a8d9-46f2-b166-e13e643c6a96").cost(0.0).turns(1),
        failed("e403", 1, Authentication).in_session("b69be076-ee07-46a4-ab62-0f1c4b837c4b").cost(0.0).turns(1),
        failed("e402", 1, Billing).in_session("82c42866-d65a-45ee-ac9b-9142b0aec80f").cost(0.0).turns(1),
        failed("e400", 1, RequestRefused).in_session("bf1391b1-5b1d-4b0c-bdcb-06667db5dc59").cost(0.0).turns(1),
        failed("e404", 1, ModelUnknown).in_session("b3167d14-fffd-4ab6-94af-a1ab9e5572c3").cost(0.0).turns(1),
        failed("e429-max1", 1, RateLimit).in_session("9906f694-4af5-41b2-94fe-491c1f58f54c").cost(0.0).turns(1),
        failed("e529-max1", 1, Overloaded).in_session("118f18c6-c753-485f-90b4-ac8b4089b2bf").cost(0.0).turns(1),
        failed("conn", 1, Overloaded).in_session("f9e0e266-4458-4c2c-87df-9628d21b8519").cost(0.0).turns(1),
        failed("cut-max1", 1, Overloaded).in_session("c4292c79-4919-480e-b9b7-ec4af7785f78").cost(0.0).turns(1),
        failed("toolong", 1, ContextOverflow).in_session("c77453d0-c2ba-4ced-a5e4-ca0e6f6a7a79").cost(0.0).turns(1),
        failed("refusal", 1, Refused).in_session("5fe8bb29-5110-458d-a6b8-9363a9d11198").cost(0.0016).tokens(200, 40).turns(2),
        // Signals.
        failed("sig-model-SIGINT", 0, Interrupted).in_session("cd6fa1d4-cdf6-40c1-b9a1-a6bc5a55e852"),
        failed("sig-tool-SIGINT", 0, Interrupted).in_session("4f5d6da6-8191-41c2-b8b5-4a509d0ae5ba").cost(0.0008).tokens(100, 20).turns(3),
        failed("sig-tool-SIGTERM", 143, Interrupted).in_session("dfe4fc7e-2dd7-4fa4-b023-05a17b579a01"),
        failed("sig-tool-SIGKILL", 137, Interrupted).in_session("601916da-d24d-4f34-89ba-4cbdddf2902a"),
        // It did not even start.
        failed("badflag", 1, Crashed),
        failed("root-nosandbox", 1, Crashed),
        // 2.1.197, where the total is the run's.
        ok("v197-edit", "d90f5324-dcfd-474c-8ee1-8b1d301816c3").cost(0.002).tokens(200, 40).turns(2),
        ok("v197-resume", "d90f5324-dcfd-474c-8ee1-8b1d301816c3").resuming("d90f5324-dcfd-474c-8ee1-8b1d301816c3").cost(0.001).tokens(100, 20).turns(1),
        failed("v197-badkey", 124, Authentication).in_session("e2c76b09-5168-4ea8-8a22-78b820856022"),
    ]
}

#[rustfmt::skip]
fn codex() -> Vec<Sample> {
    use FailureClass::*;
    let ok = |case, session| Sample::ok(AgentKind::Codex, case, session);
    let failed = |case, code, class| Sample::failed(AgentKind::Codex, case, code, class);
    vec![
        ok("edit", "01a207c5-81e6-7731-a669-22a3d9a4bc98").tokens(200, 40),
        ok("resume", "01a207c5-81e6-7731-a669-22a3d9a4bc98").resuming("01a207c5-81e6-7731-a669-22a3d9a4bc98"),
        failed("missing", 1, SessionLost).resuming("11111111-2222-3333-4444-555555555555"),
        failed("401", 1, Authentication).in_session("01a207c5-957b-7fd3-a001-ca8ca108c4b5"),
        failed("429", 1, RateLimit).in_session("01a207c5-b6eb-7403-943f-31148884f457"),
        failed("SIGTERM", 143, Interrupted).in_session("01a207c7-58ca-7f83-a7e0-cfda2b56dd8e"),
    ]
}

#[rustfmt::skip]
fn gemini() -> Vec<Sample> {
    use FailureClass::*;
    let ok = |case, session| Sample::ok(AgentKind::Gemini, case, session);
    let failed = |case, code, class| Sample::failed(AgentKind::Gemini, case, code, class);
    vec![
        ok("edit", "dcea3d26-c408-473f-af38-44be112d9139").tokens(300, 60),
        ok("resume", "dcea3d26-c408-473f-af38-44be112d9139").resuming("dcea3d26-c408-473f-af38-44be112d9139").tokens(200, 40),
        failed("missing", 42, SessionLost).resuming("11111111-2222-3333-4444-555555555555"),
        failed("401", 145, Authentication).tokens(0, 0),
        failed("nokey", 41, Authentication),
        failed("429-killed", 137, RateLimit),
    ]
}

#[rustfmt::skip]
fn opencode() -> Vec<Sample> {
    use FailureClass::*;
    let ok = |case, session| Sample::ok(AgentKind::OpenCode, case, session);
    let failed = |case, code, class| Sample::failed(AgentKind::OpenCode, case, code, class);
    vec![
        ok("edit", "ses_df8322633ffeLDxzrOvjggQS3W").cost(0.00028).tokens(200, 40).turns(2),
        ok("resume", "ses_df8322633ffeLDxzrOvjggQS3W").resuming("ses_df8322633ffeLDxzrOvjggQS3W").cost(0.00014).tokens(100, 20).turns(1),
        failed("missing", 1, SessionLost).resuming("ses_gone"),
        failed("401", 1, Authentication).in_session("ses_df8311dfbffehRnlODZxefBcX8"),
        // OpenCode does not say that it was the model's name.
        failed("model-unknown", 1, Crashed).in_session("ses_df590fd48ffe25YPMkZVhT1E1W"),
    ]
}

fn samples() -> Vec<Sample> {
    [claude(), codex(), gemini(), opencode()].into_iter().flatten().collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/agents")
}

fn read(agent: AgentKind, case: &str, ending: &str) -> String {
    std::fs::read_to_string(folder().join(agent.as_str()).join(format!("{case}.{ending}")))
        .unwrap_or_default()
}

fn parse(agent: AgentKind, case: &str, resumed: Option<&str>) -> (Parser, Vec<Signal>) {
    let mut parser = Parser::new(agent, resumed);
    let signals = read(agent, case, "jsonl").lines().flat_map(|line| parser.line(line.as_bytes())).collect();
    (parser, signals)
}

/// The signals of a stream that is written in the test.
fn signals(agent: AgentKind, lines: &[&str]) -> Vec<Signal> {
    let mut parser = Parser::new(agent, None);
    lines.iter().flat_map(|line| parser.line(line.as_bytes())).collect()
}

fn says(text: &str) -> Signal {
    Signal::Says(text.to_owned())
}

fn uses(text: &str) -> Signal {
    Signal::Uses(text.to_owned())
}

fn session(id: &str) -> Signal {
    Signal::Session(id.to_owned())
}

fn exit(code: i64) -> Exit {
    Exit { code, ..Exit::default() }
}

/// Sums of prices are off by less than the smallest of them.
fn rounded(dollars: f64) -> f64 {
    (dollars * 1e9).round() / 1e9
}

#[test]
fn every_recorded_run_is_understood() {
    for Sample { agent, case, code, resumed, expected } in samples() {
        let (parser, _) = parse(agent, case, resumed);
        let report = parser.finish(&exit(code), &read(agent, case, "stderr"));
        let failure = report.result.as_ref().err();
        let found = Expected {
            class: failure.map(|failure| failure.class),
            session: report.session.clone(),
            cost_usd: report.cost_usd.map(rounded),
            tokens: report.input_tokens.zip(report.output_tokens),
            turns: report.turns,
            resets_at: failure.and_then(|failure| failure.resets_at),
        };
        assert_eq!(found, expected, "{agent} {case}: {report:#?}");
        assert_eq!(report.skipped_lines, 0, "{agent} {case}");
        assert!(failure.is_none_or(|failure| !failure.detail.is_empty()), "{agent} {case} says nothing");
        assert!(failure.is_some() || report.final_text.is_some(), "{agent} {case} is done without a word");
    }
}

#[test]
fn every_recorded_run_is_in_the_table_with_its_exit_code() {
    let files =
        |agent: AgentKind| std::fs::read_dir(folder().join(agent.as_str())).expect("the samples are there");
    let recorded: BTreeSet<(String, String)> = AgentKind::ALL
        .into_iter()
        .filter(|agent| *agent != AgentKind::Command)
        .flat_map(|agent| files(agent).map(move |file| (agent, file.expect("a file").path())))
        .filter(|(_, path)| path.extension().is_some_and(|ending| ending == "jsonl"))
        .map(|(agent, path)| (agent.to_string(), path.file_stem().unwrap().to_str().unwrap().to_owned()))
        .collect();
    let listed = samples().iter().map(|sample| (sample.agent.to_string(), sample.case.to_owned())).collect();
    assert_eq!(recorded, listed);

    for Sample { agent, case, code, .. } in samples() {
        // `rc=1 secs=.408374553 lines=0 stderr=39`
        let recorded = read(agent, case, "rc");
        let recorded = recorded.split_whitespace().find_map(|word| word.strip_prefix("rc="));
        assert!(recorded.is_none_or(|recorded| recorded == code.to_string()), "{agent} {case}: {recorded:?}");
    }
}

#[test]
fn a_failure_is_told_in_the_agents_own_words() {
    let cases = [
        (AgentKind::Claude, "badkey-max0", "Invalid API key · Fix external API key"),
        (AgentKind::Claude, "limit-oauth", "You've hit your 5-hour limit · resets 6am (UTC)"),
        (AgentKind::Claude, "maxturns", "Reached maximum number of turns (2)"),
        (AgentKind::Claude, "badflag", "exit code 1: error: unknown option '--no-such-flag'"),
        (AgentKind::Codex, "429", "exceeded retry limit, last status: 429 Too Many Requests"),
        (AgentKind::OpenCode, "401", "scripted 401"),
        (AgentKind::OpenCode, "missing", "Error: Session not found"),
    ];
    for (agent, case, detail) in cases {
        let report = parse(agent, case, None).0.finish(&exit(1), &read(agent, case, "stderr"));
        assert_eq!(report.result.unwrap_err().detail, detail, "{agent} {case}");
    }
}

#[test]
fn a_watcher_hears_the_session_the_words_and_the_tools() {
    let command = "echo 'line two' >> README.md && git add -A && git commit -qm 'fake: edit README' && \
                   git log --oneline | head -1";
    let (_, heard) = parse(AgentKind::Claude, "edit", None);
    assert_eq!(
        heard,
        [
            session("9c02aee8-94c4-4b4c-9bab-e4e5f1c916c5"),
            says("I will edit the file and commit."),
            uses(&format!("Bash: {command}")),
            says("Committed. Tool said: a55fd9c fake: edit README"),
            Signal::TurnEnded,
        ]
    );
    let (_, heard) = parse(AgentKind::OpenCode, "edit", None);
    assert_eq!(
        heard,
        [session("ses_df8322633ffeLDxzrOvjggQS3W"), uses(&format!("bash: {command}")), says("All done.")]
    );
    let (_, heard) = parse(AgentKind::Gemini, "edit", None);
    assert_eq!(
        heard[..2],
        [session("dcea3d26-c408-473f-af38-44be112d9139"), uses(&format!("run_shell_command: {command}"))]
    );
    assert!(
        matches!(&heard[2..], [Signal::Says(words)] if words.starts_with("Committed. Tool said:")),
        "{heard:?}"
    );
    let (_, heard) = parse(AgentKind::Codex, "edit", None);
    assert!(
        matches!(&heard[..], [Signal::Session(_), Signal::Uses(tool), Signal::Says(_)] if tool.starts_with("shell: /bin/bash -lc")),
        "{heard:?}"
    );
}

#[test]
fn words_that_come_in_pieces_are_one_line() {
    let piece =
        |text: &str| format!(r#"{{"type":"message","role":"assistant","content":"{text}","delta":true}}"#);
    let (one, two, three) = (piece("I will "), piece("look."), piece("Done."));
    let tool = r#"{"type":"tool_use","tool_name":"read_file","parameters":{"file_path":"a.txt"}}"#;
    let result = r#"{"type":"result","status":"success","stats":{}}"#;
    let heard = signals(AgentKind::Gemini, &[&one, &two, tool, &three, result]);
    assert_eq!(heard, [says("I will look."), uses("read_file: a.txt"), says("Done.")]);
}

#[test]
fn a_subagents_words_are_not_the_agents() {
    let (_, heard) = parse(AgentKind::Claude, "subagent", None);
    assert!(heard.contains(&uses("Agent: look")), "{heard:?}");
    assert!(!heard.contains(&says("main done after the sub agent")), "{heard:?}");
}

#[test]
fn the_list_of_things_to_do_is_heard_from_each_agent() {
    let todo = |text: &str, state| TodoItem { text: text.to_owned(), state };
    let lists = [
        (
            AgentKind::Claude,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"TodoWrite","input":{"todos":[{"content":"read","status":"completed","activeForm":"Reading"},{"content":"write","status":"in_progress"}]}}]},"parent_tool_use_id":null}"#,
        ),
        (
            AgentKind::Codex,
            r#"{"type":"item.updated","item":{"type":"todo_list","items":[{"text":"read","completed":true},{"text":"write","completed":false}]}}"#,
        ),
        (
            AgentKind::Gemini,
            r#"{"type":"tool_use","tool_name":"write_todos","parameters":{"todos":[{"description":"read","status":"completed"},{"description":"write","status":"in_progress"}]}}"#,
        ),
        (
            AgentKind::OpenCode,
            r#"{"type":"tool_use","part":{"tool":"todowrite","state":{"input":{"todos":[{"content":"read","status":"completed"},{"content":"write","status":"in_progress"}]}}}}"#,
        ),
    ];
    for (agent, line) in lists {
        // Codex knows only done and not done.
        let second = if agent == AgentKind::Codex { TodoState::Pending } else { TodoState::InProgress };
        let expected = Signal::Todo(vec![todo("read", TodoState::Completed), todo("write", second)]);
        assert_eq!(signals(agent, &[line]), [expected], "{agent}");
    }
}

#[test]
fn a_bad_key_ends_the_run_at_the_first_retry() {
    let (parser, heard) = parse(AgentKind::Claude, "v197-badkey", None);
    let class = FailureClass::Authentication;
    assert_eq!(heard, [session("e2c76b09-5168-4ea8-8a22-78b820856022"), Signal::EndNow(class)]);
    let stopped = Exit { code: 143, oom_killed: false, stopped: Some(Stopped::EndedEarly(class)) };
    let report = parser.finish(&stopped, "");
    let failure = report.result.unwrap_err();
    assert_eq!(
        (failure.class, failure.detail.as_str()),
        (class, "request failed: authentication_failed 401")
    );
    assert_eq!(report.session.as_deref(), Some("e2c76b09-5168-4ea8-8a22-78b820856022"));

    let (_, heard) = parse(AgentKind::Claude, "e529-max1", None);
    assert!(!heard.iter().any(|signal| matches!(signal, Signal::EndNow(_))), "an overload passes: {heard:?}");
}

#[test]
fn another_session_than_the_one_to_resume_ends_the_run() {
    for (agent, case) in
        [(AgentKind::Codex, "edit"), (AgentKind::Claude, "edit"), (AgentKind::OpenCode, "edit")]
    {
        let (parser, heard) = parse(agent, case, Some("not-that-one"));
        assert_eq!(heard[0], Signal::EndNow(FailureClass::SessionLost), "{agent}");
        assert!(!heard.iter().any(|signal| matches!(signal, Signal::Session(_))), "{agent}");
        // It was quicker than hob, and ended well: the words that came before are missing all the
        // same.
        let report = parser.finish(&exit(0), "");
        assert_eq!(report.result.unwrap_err().class, FailureClass::SessionLost, "{agent}");
        assert_eq!(report.session, None, "{agent}");
    }
}

#[test]
fn a_run_that_ended_before_it_named_its_session_keeps_the_resumed_one() {
    let report = Parser::new(AgentKind::Claude, Some("abc")).finish(&exit(143), "");
    assert_eq!(report.session.as_deref(), Some("abc"));
}

#[test]
fn a_session_that_would_be_an_option_is_not_believed() {
    for line in [
        r#"{"type":"system","subtype":"init","session_id":"--mcp-config=/hob/x"}"#,
        r#"{"type":"system","subtype":"init","session_id":7}"#,
    ] {
        assert_eq!(signals(AgentKind::Claude, &[line]), []);
    }
}

#[test]
fn garbage_is_counted_and_harms_nothing() {
    let nested = "[".repeat(100_000);
    let garbage: [&[u8]; 7] = [
        b"Warning: no stdin data received",
        b"{\"type\":\"result\",\"subtype\":\"succ", // the stream was cut off here
        b"\xff\xfe\x00",
        b"[1, 2, 3]",
        b"null",
        nested.as_bytes(),
        b"}{",
    ];
    let odd: [&[u8]; 5] = [
        b"{}",
        b"   ",
        br#"{"type":"from the future","message":{"content":"?"}}"#,
        br#"{"type":7,"item":3,"part":[],"message":"?"}"#,
        br#"{"type":"assistant","message":{"content":[null,{"type":"text"},{"type":"tool_use","name":["x"]}]}}"#,
    ];
    for Sample { agent, case, code, resumed, .. } in samples() {
        let clean = parse(agent, case, resumed).0.finish(&exit(code), &read(agent, case, "stderr"));
        let mut parser = Parser::new(agent, resumed);
        for line in read(agent, case, "jsonl").lines() {
            for noise in garbage.into_iter().chain(odd) {
                assert_eq!(
                    parser.line(noise),
                    [],
                    "{agent}: {}",
                    String::from_utf8_lossy(&noise[..noise.len().min(80)])
                );
            }
            parser.line(line.as_bytes());
        }
        let mut noisy = parser.finish(&exit(code), &read(agent, case, "stderr"));
        let lines = read(agent, case, "jsonl").lines().count() as u64;
        assert_eq!(noisy.skipped_lines, lines * garbage.len() as u64, "{agent} {case}");
        noisy.skipped_lines = 0;
        assert_eq!(noisy, clean, "{agent} {case}");
    }
}

#[test]
fn a_stream_may_be_cut_off_anywhere() {
    for Sample { agent, case, resumed, .. } in samples() {
        let whole = read(agent, case, "jsonl");
        for cut in (0..whole.len()).step_by(97) {
            let mut parser = Parser::new(agent, resumed);
            for line in whole.as_bytes()[..cut].split(|byte| *byte == b'\n') {
                parser.line(line);
            }
            let report = parser.finish(&exit(137), "");
            assert!(report.result.is_err(), "{agent} {case}, killed after {cut} bytes");
        }
    }
}

#[test]
fn a_line_above_the_limit_is_counted_and_not_read() {
    for agent in AgentKind::ALL {
        let line = |words: usize| {
            format!(
                r#"{{"type":"system","subtype":"init","session_id":"a","session":"a","thread_id":"a","sessionID":"a","words":"{}"}}"#,
                "x".repeat(words)
            )
        };
        let mut parser = Parser::new(agent, None);
        assert_eq!(parser.line(line(MAX_LINE_BYTES).as_bytes()), [], "{agent}");
        assert_eq!(parser.finish(&exit(1), "").skipped_lines, 1, "{agent}");
        let mut parser = Parser::new(agent, None);
        parser.line(line(MAX_LINE_BYTES / 2).as_bytes());
        assert_eq!(parser.finish(&exit(1), "").skipped_lines, 0, "{agent}");
    }
}

#[test]
fn claudes_cost_is_the_runs_in_both_versions_and_over_several_results() {
    let cost = |lines: &[&str]| {
        let mut parser = Parser::new(AgentKind::Claude, None);
        for line in lines {
            parser.line(line.as_bytes());
        }
        parser.finish(&exit(0), "").cost_usd.map(rounded)
    };
    // 2.1.330, resumed: the total has the session's earlier runs in it. Two models in one result.
    let one = r#"{"type":"result","total_cost_usd":9.5,"model_usage_since_last_result":{"a":{"costUSD":0.25},"b":{"costUSD":0.125}}}"#;
    let two =
        r#"{"type":"result","total_cost_usd":9.75,"model_usage_since_last_result":{"a":{"costUSD":0.25}}}"#;
    let none = r#"{"type":"result","total_cost_usd":9.75,"model_usage_since_last_result":{}}"#;
    assert_eq!(cost(&[one, two, none]), Some(0.625));
    // 2.1.197: the total is the run's so far.
    let old = |dollars: &str| format!(r#"{{"type":"result","total_cost_usd":{dollars}}}"#);
    assert_eq!(cost(&[&old("0.25"), &old("0.5")]), Some(0.5));
    assert_eq!(cost(&[&old("-1")]), None);
    assert_eq!(cost(&[]), None);
    // A sum that no bill has ever been.
    let huge =
        r#"{"type":"result","model_usage_since_last_result":{"a":{"costUSD":1e308},"b":{"costUSD":1e308}}}"#;
    assert_eq!(cost(&[huge]), None);
}

#[test]
fn only_claudes_last_result_counts() {
    let bad = r#"{"type":"result","subtype":"success","is_error":true,"result":"API Error: 529"}"#;
    let good = r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#;
    let silent = r#"{"type":"result","subtype":"success","result":"done"}"#;
    for (lines, is_success) in [([bad, good], true), ([good, bad], false), ([good, silent], false)] {
        let mut parser = Parser::new(AgentKind::Claude, None);
        for line in lines {
            parser.line(line.as_bytes());
        }
        assert_eq!(parser.finish(&exit(0), "").result.is_ok(), is_success, "{lines:?}");
    }
}

/// A recorded run with something in its place that JSON allows, or that programs print, and that
/// `serde_json` refuses.
fn with_odd(agent: AgentKind, case: &str, before: &str, odd: &[u8]) -> Report {
    let text = read(agent, case, "jsonl").into_bytes();
    let mut parser = Parser::new(agent, None);
    let mut found = false;
    for line in text.split(|byte| *byte == b'\n') {
        let at = line.windows(before.len()).position(|window| window == before.as_bytes());
        found |= at.is_some();
        let at = at.map_or(line.len(), |at| at + before.len());
        let odd = if at == line.len() { b"" } else { odd };
        parser.line(&[&line[..at], odd, &line[at..]].concat());
    }
    assert!(found, "{agent}: {before} is nowhere in {case}");
    parser.finish(&exit(0), "")
}

#[test]
fn one_odd_value_does_not_cost_the_event() {
    let deep = format!("\"deep\":{}{},", "[".repeat(5_000), "]".repeat(5_000));
    let values: [&[u8]; 4] =
        [b"\"huge\":1e999,", b"\"nan\":NaN,", b"\"\\ud83d\":\"\\udc00\",", deep.as_bytes()];
    let texts: [&[u8]; 5] = [b"\\ud83d ", b"\\ude00", b"\0", b"\xff\xfe", b"\x1b[1m\t"];
    let cases = [
        (AgentKind::Claude, "{", "\"result\":\""),
        (AgentKind::Codex, "{", "\"agent_message\",\"text\":\""),
        (AgentKind::Gemini, "{", "\"role\":\"assistant\",\"content\":\""),
        (AgentKind::OpenCode, "{", "\"type\":\"text\",\"text\":\""),
    ];
    for (agent, object, text) in cases {
        let clean = parse(agent, "edit", None).0.finish(&exit(0), "");
        for odd in values {
            assert_eq!(
                with_odd(agent, "edit", object, odd),
                clean,
                "{agent}: {}",
                String::from_utf8_lossy(&odd[..10])
            );
        }
        for odd in texts {
            let report = with_odd(agent, "edit", text, odd);
            assert_eq!((&report.result, report.skipped_lines), (&Ok(()), 0), "{agent}: {odd:?}");
            let (words, expected) = (report.final_text.unwrap(), clean.final_text.clone().unwrap());
            assert!(words.ends_with(expected.split_whitespace().last().unwrap()), "{agent}: {words:?}");
        }
    }
}

#[test]
fn opencode_that_got_over_an_error_by_itself_is_done_whatever_its_exit_code() {
    let overflow = r#"{"type":"error","sessionID":"ses_1","error":{"name":"ContextOverflowError","data":{"message":"prompt is too long"}}}"#;
    let step = |reason: &str| {
        format!(
            r#"{{"type":"step_finish","sessionID":"ses_1","part":{{"reason":"{reason}","cost":0.1,"tokens":{{"input":1}}}}}}"#
        )
    };
    let class = |lines: &[&str], code| {
        let mut parser = Parser::new(AgentKind::OpenCode, None);
        lines.iter().for_each(|line| drop(parser.line(line.as_bytes())));
        parser.finish(&exit(code), "").result.err().map(|failure| failure.class)
    };
    let (done, tools) = (step("stop"), step("tool-calls"));
    assert_eq!(class(&[&tools, overflow, &tools, &done], 1), None);
    assert_eq!(class(&[&tools, overflow, &done], 0), None);
    assert_eq!(class(&[&done, overflow], 1), Some(FailureClass::ContextOverflow));
    assert_eq!(class(&[overflow, &tools], 1), Some(FailureClass::ContextOverflow));
    assert_eq!(class(&[&done], 1), Some(FailureClass::Crashed), "no error explains that code");
    assert_eq!(class(&[&step("content-filter")], 0), Some(FailureClass::Refused));
}

#[test]
fn an_error_in_geminis_stream_counts_unless_the_model_goes_on() {
    let asked = r#"{"type":"message","role":"user","content":"go"}"#;
    let words = r#"{"type":"message","role":"assistant","content":"Done.","delta":true}"#;
    let good = r#"{"type":"result","status":"success","stats":{}}"#;
    let error = |message: &str| format!(r#"{{"type":"error","severity":"error","message":"{message}"}}"#);
    let declined = error("Response stopped due to safety reasons.");
    let cut = error("Invalid stream: The model returned an empty response or malformed tool call.");
    let class = |lines: &[&str], code| {
        let mut parser = Parser::new(AgentKind::Gemini, None);
        lines.iter().for_each(|line| drop(parser.line(line.as_bytes())));
        parser.finish(&exit(code), "").result.err().map(|failure| failure.class)
    };
    assert_eq!(class(&[asked, &declined, good], 0), Some(FailureClass::Refused));
    assert_eq!(class(&[asked, words, &cut, good], 0), Some(FailureClass::Overloaded));
    assert_eq!(class(&[asked, &cut], 1), Some(FailureClass::Overloaded));
    assert_eq!(class(&[asked, &cut, words, good], 0), None);
    let warning = r#"{"type":"error","severity":"warning","message":"Loop detected, stopping execution"}"#;
    assert_eq!(class(&[asked, words, warning, good], 0), None);
    // The words say nothing, the exit code does.
    let unknown =
        r#"{"type":"result","status":"error","error":{"type":"unknown","message":"[API Error: something]"}}"#;
    assert_eq!(class(&[asked, unknown], 173), Some(FailureClass::RateLimit));
    assert_eq!(class(&[asked, unknown], 148), Some(FailureClass::ModelUnknown));
    assert_eq!(class(&[asked, unknown], 1), Some(FailureClass::Crashed));
    assert_eq!(class(&[asked], 173), Some(FailureClass::RateLimit));
}

#[test]
fn a_session_of_geminis_is_there_once_the_model_has_answered() {
    let init = r#"{"type":"init","session_id":"dcea3d26-c408-473f-af38-44be112d9139"}"#;
    let words = r#"{"type":"message","role":"assistant","content":"Well","delta":true}"#;
    assert_eq!(signals(AgentKind::Gemini, &[init]), []);
    assert_eq!(signals(AgentKind::Gemini, &[init, words]), [session("dcea3d26-c408-473f-af38-44be112d9139")]);
    let mut parser = Parser::new(AgentKind::Gemini, Some("another"));
    assert_eq!(parser.line(init.as_bytes()), [Signal::EndNow(FailureClass::SessionLost)]);
}

#[test]
fn codex_that_ends_without_a_word_was_declined() {
    let begun = r#"{"type":"turn.started"}"#;
    let thought = r#"{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"Hm."}}"#;
    let empty = r#"{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":" "}}"#;
    let command =
        r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"make"}}"#;
    let end = r#"{"type":"turn.completed","usage":{"input_tokens":200,"output_tokens":1}}"#;
    let class = |lines: &[&str]| {
        let mut parser = Parser::new(AgentKind::Codex, None);
        lines.iter().for_each(|line| drop(parser.line(line.as_bytes())));
        parser.finish(&exit(0), "").result.err().map(|failure| failure.class)
    };
    assert_eq!(class(&[begun, thought, end]), Some(FailureClass::Refused));
    assert_eq!(class(&[begun, thought, empty, end]), Some(FailureClass::Refused));
    assert_eq!(class(&[begun, command, end]), None);
}

#[test]
fn a_limit_that_names_its_end_as_a_number_is_read_from_opencode() {
    let line = r#"{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"The usage limit has been reached","statusCode":429,"responseBody":"{\"error\":{\"type\":\"usage_limit_reached\",\"resets_at\":1795500000,\"resets_in_seconds\":600}}"}}}"#;
    let (body, name) = ("responseBody", "resets_at");
    assert!(line.contains(body) && line.contains(name));
    let failure = |line: &str| {
        let mut parser = Parser::new(AgentKind::OpenCode, None);
        parser.line(line.as_bytes());
        parser.finish(&exit(1), "").result.unwrap_err()
    };
    let found = failure(line);
    assert_eq!(
        (found.class, found.resets_at, found.resets_in),
        (FailureClass::UsageLimit, Some(1_795_500_000), Some(600))
    );
    let found = failure(
        r#"{"type":"error","error":{"name":"APIError","data":{"message":"You've hit your usage limit.","resets_at":1795500000}}}"#,
    );
    assert_eq!((found.class, found.resets_at), (FailureClass::UsageLimit, Some(1_795_500_000)));
}

#[test]
fn what_only_waits_is_no_work() {
    let work = |agent, line: &str| {
        let mut parser = Parser::new(agent, None);
        parser.line(line.as_bytes());
        parser.lines_of_work()
    };
    let waiting = [
        (
            AgentKind::Claude,
            r#"{"type":"system","subtype":"api_retry","attempt":1,"error_status":529,"error":"overloaded"}"#,
        ),
        (AgentKind::Codex, r#"{"type":"error","message":"Reconnecting... 1/5 (stream disconnected)"}"#),
        (AgentKind::Codex, r#"{"type":"error","message":"waiting for network"}"#),
        (
            AgentKind::Codex,
            r#"{"type":"item.completed","item":{"id":"item_3","type":"error","message":"waiting for network"}}"#,
        ),
        (
            AgentKind::Codex,
            r#"{"type":"item.updated","item":{"id":"item_3","type":"status","text":"Waiting for network (40 s)"}}"#,
        ),
        (AgentKind::Codex, r#"{"type":"network.waiting","seconds":40}"#),
        (AgentKind::Codex, r#"{"type":"heartbeat"}"#),
        (AgentKind::Codex, "waiting for network..."),
        (
            AgentKind::Gemini,
            r#"{"type":"error","severity":"warning","message":"Attempt 2 failed. Retrying"}"#,
        ),
        (
            AgentKind::OpenCode,
            r#"{"type":"error","error":{"name":"APIError","data":{"message":"Overloaded","statusCode":529}}}"#,
        ),
        (
            AgentKind::OpenCode,
            r#"{"type":"session.status","status":{"type":"retry","attempt":2,"message":"Overloaded"}}"#,
        ),
        (AgentKind::Command, "waiting for network"),
    ];
    for (agent, line) in waiting {
        assert_eq!(work(agent, line), 0, "{agent}: {line}");
    }
    let working = [
        (
            AgentKind::Claude,
            r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"I am waiting for network access to be described."}]}}"#,
        ),
        (
            AgentKind::Codex,
            r#"{"type":"item.completed","item":{"id":"item_3","type":"agent_message","text":"The test is retrying the request."}}"#,
        ),
        (AgentKind::Codex, r#"{"type":"turn.started"}"#),
        (AgentKind::Gemini, r#"{"type":"tool_use","tool_name":"read_file","tool_id":"t","parameters":{}}"#),
        (AgentKind::OpenCode, r#"{"type":"text","part":{"text":"Retrying."}}"#),
        (AgentKind::Command, "compiling"),
    ];
    for (agent, line) in working {
        assert_eq!(work(agent, line), 1, "{agent}: {line}");
    }
}

#[test]
fn a_tool_is_at_work_until_its_result_comes() {
    let after = |agent, lines: &[&str]| {
        let mut parser = Parser::new(agent, None);
        lines.iter().for_each(|line| drop(parser.line(line.as_bytes())));
        parser.tools()
    };
    let cases = [
        (
            AgentKind::Claude,
            r#"{"type":"assistant","message":{"id":"m","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make"}}]}}"#,
            r#"{"type":"user","message":{"role":"user","content":[{"tool_use_id":"t1","type":"tool_result","content":"ok"}]}}"#,
        ),
        (
            AgentKind::Codex,
            r#"{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"make","status":"in_progress"}}"#,
            r#"{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"make","status":"completed"}}"#,
        ),
        (
            AgentKind::Gemini,
            r#"{"type":"tool_use","tool_name":"run_shell_command","tool_id":"t1","parameters":{}}"#,
            r#"{"type":"tool_result","tool_id":"t1","status":"success"}"#,
        ),
    ];
    for (agent, begin, end) in cases {
        assert_eq!(after(agent, &[begin]), Tools::AtWork, "{agent}");
        assert_eq!(after(agent, &[begin, end]), Tools::Idle, "{agent}");
    }
}

#[test]
fn a_program_that_is_not_there_is_not_ready_and_one_of_its_scripts_is_no_sign_of_that() {
    let class = |agent, said: &str, code, stderr: &str| {
        let mut parser = Parser::new(agent, None);
        parser.line(said.as_bytes());
        parser.finish(&exit(code), stderr).result.unwrap_err().class
    };
    for agent in AgentKind::ALL {
        assert_eq!(
            class(agent, "", 127, "hob: 19: exec: codex: not found\n"),
            FailureClass::NotReady,
            "{agent}"
        );
        assert_eq!(
            class(agent, "", 126, "hob: 19: exec: codex: Exec format error\n"),
            FailureClass::NotReady,
            "{agent}"
        );
    }
    assert_eq!(
        class(AgentKind::Command, "working", 127, "my-script: 3: jq: not found\n"),
        FailureClass::Crashed
    );
    assert_eq!(class(AgentKind::Codex, r#"{"type":"turn.started"}"#, 127, ""), FailureClass::Crashed);
}

#[test]
fn memory_is_to_blame_unless_the_agent_ended_well() {
    let oom = |case, code| {
        let exit = Exit { code, oom_killed: true, stopped: None };
        parse(AgentKind::Claude, case, None).0.finish(&exit, "").result.map_err(|failure| failure.class)
    };
    assert_eq!(oom("edit", 0), Ok(()));
    assert_eq!(oom("edit", 137), Err(FailureClass::OutOfMemory));
    assert_eq!(oom("sig-tool-SIGKILL", 137), Err(FailureClass::OutOfMemory));
}

#[test]
fn gemini_that_waits_for_a_busy_model_is_not_merely_slow() {
    let stderr = read(AgentKind::Gemini, "429-killed", "stderr");
    let class = |lines: &[&str]| {
        let mut parser = Parser::new(AgentKind::Gemini, None);
        for line in lines {
            parser.line(line.as_bytes());
        }
        let stopped = Exit { code: 137, oom_killed: false, stopped: Some(Stopped::TimedOut) };
        parser.finish(&stopped, &stderr).result.unwrap_err().class
    };
    let asked = r#"{"type":"message","role":"user","content":"go"}"#;
    let tool = r#"{"type":"tool_use","tool_name":"run_shell_command","parameters":{"command":"make"}}"#;
    assert_eq!(class(&[asked]), FailureClass::RateLimit);
    assert_eq!(class(&[asked, tool]), FailureClass::TimedOut);
}

#[test]
fn any_command_is_followed_by_its_lines_and_its_exit_code() {
    let mut parser = Parser::new(AgentKind::Command, Some("s-1"));
    let lines: [&[u8]; 6] = [
        b"reading \xff the \x1b[1mcode\x1b[0m",
        b"",
        br#"{"session":"s-2","cost_usd":0.5}"#,
        br#"{"cost_usd":0.75}"#,
        br#"{"other":"object"}"#,
        b"done",
    ];
    let heard: Vec<Signal> = lines.iter().flat_map(|line| parser.line(line)).collect();
    assert_eq!(
        heard,
        [says("reading \u{fffd} the code"), session("s-2"), says(r#"{"other":"object"}"#), says("done")]
    );
    let report = parser.finish(&exit(0), "");
    assert_eq!(report.result, Ok(()));
    assert_eq!(
        (report.session.as_deref(), report.cost_usd, report.skipped_lines),
        (Some("s-2"), Some(0.75), 0)
    );
    assert_eq!(report.final_text.as_deref(), Some("reading \u{fffd} the code\n{\"other\":\"object\"}\ndone"));

    let failure =
        Parser::new(AgentKind::Command, None).finish(&exit(3), "no such model\n").result.unwrap_err();
    assert_eq!(failure, Failure::new(FailureClass::Crashed, "exit code 3: no such model"));
}

/// What a recorded run had used before its end was told, and what its report says:
/// `(tokens so far, session's, run's)`.
fn used(agent: AgentKind, case: &str, resumed: Option<&str>) -> (Option<u64>, Option<u64>, Option<u64>) {
    let (parser, _) = parse(agent, case, resumed);
    let so_far = parser.so_far();
    (so_far.tokens, so_far.session_tokens, parser.finish(&exit(0), "").tokens)
}

#[test]
fn tokens_are_told_while_a_run_goes_on_where_the_program_does() {
    // A run that is stopped has no result; its messages have been counted.
    let message = |id: &str, output: u32| {
        format!(
            r#"{{"type":"assistant","message":{{"id":"{id}","role":"assistant","content":[],"usage":{{"input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":{output}}}}}}}"#
        )
    };
    let mut parser = Parser::new(AgentKind::Claude, None);
    for (id, output) in [("msg_1", 1), ("msg_1", 7), ("msg_2", 5)] {
        parser.line(message(id, output).as_bytes());
    }
    assert_eq!(parser.so_far().tokens, Some(1107 + 1105));
    let report = parser.finish(&Exit { code: 143, oom_killed: false, stopped: Some(Stopped::Cancelled) }, "");
    assert_eq!((report.tokens, report.cost_usd), (Some(2212), None));

    // Codex counts over the session: what a resumed run used is for who knows what there was
    // before.
    let (so_far, of_session, of_run) = used(AgentKind::Codex, "edit", None);
    assert_eq!((so_far, of_session.is_some(), of_session == of_run), (None, true, true));
    let thread = "01a207c5-81e6-7000-8000-000000000000";
    let (_, of_session, of_run) = used(AgentKind::Codex, "resume", Some(thread));
    assert_eq!((of_session.is_some(), of_run), (true, None));

    // OpenCode tells each step.
    let (so_far, _, of_run) = used(AgentKind::OpenCode, "edit", None);
    assert!(so_far.is_some() && so_far == of_run, "{so_far:?} {of_run:?}");

    let mut parser = Parser::new(AgentKind::Command, None);
    parser.line(br#"{"tokens": 1200}"#);
    assert_eq!(parser.so_far().tokens, Some(1200));
}

#[test]
fn the_programs_are_called_as_they_were_seen_to_work() {
    let command = ["my-agent".to_owned(), "--fast".to_owned()];
    let bare = Invocation { command: &command, ..Invocation::default() };
    let full = Invocation {
        resume: Some("abc"),
        model: Some("m"),
        max_turns: Some(30),
        max_budget_usd: Some(2.5),
        command: &command,
    };
    let line = |kind, invocation| argv(kind, invocation).join(" ");
    let claude = "claude -p --input-format stream-json --output-format stream-json --verbose --permission-mode bypassPermissions --disable-slash-commands";
    assert_eq!(line(AgentKind::Claude, &bare), claude);
    assert_eq!(
        line(AgentKind::Claude, &full),
        format!("{claude} --model m --max-turns 30 --max-budget-usd 2.5 --resume abc")
    );
    let codex = "--json --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check";
    assert_eq!(line(AgentKind::Codex, &bare), format!("codex exec {codex} -"));
    assert_eq!(line(AgentKind::Codex, &full), format!("codex exec resume {codex} --model=m abc -"));
    let gemini = "gemini -o stream-json --approval-mode yolo --skip-trust";
    assert_eq!(line(AgentKind::Gemini, &bare), gemini);
    assert_eq!(line(AgentKind::Gemini, &full), format!("{gemini} --model=m --resume abc"));
    let opencode = "opencode run --format json --auto";
    assert_eq!(line(AgentKind::OpenCode, &bare), opencode);
    assert_eq!(line(AgentKind::OpenCode, &full), format!("{opencode} --model=m --session=abc"));
    assert_eq!(line(AgentKind::Command, &full), "my-agent --fast");

    assert_eq!(environment(AgentKind::Claude, &full), []);
    assert_eq!(environment(AgentKind::Command, &bare), []);
    let values = environment(AgentKind::Command, &full);
    let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(values, ["HOB_SESSION=abc", "HOB_MODEL=m", "HOB_MAX_TURNS=30", "HOB_MAX_BUDGET_USD=2.5"]);
}

#[test]
fn settings_hold_no_key_and_home_files_are_what_they_should_be() {
    for agent in AgentKind::ALL {
        assert_eq!(agent.key_names().is_empty(), agent == AgentKind::Command, "{agent}");
        for (name, _) in agent.settings() {
            assert!(!agent.key_names().contains(&name), "{agent}: {name}");
        }
        for (path, content) in agent.home_files() {
            assert!(!path.starts_with('/') && !path.contains(".."), "{agent}: {path}");
            let content: Value = serde_json::from_str(content).unwrap();
            assert_eq!(content["security"]["auth"]["selectedType"], "gemini-api-key");
        }
    }
}
