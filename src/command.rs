//! A comment becomes a command. The grammar is prow's, known from many GitHub bots: `/hob NAME TEXT`
//! at the start of a line. Text in code blocks, quotes and HTML comments is somebody showing a
//! command, not giving one. Who may give it is not decided here.

use crate::ids::AgentKind;
use crate::story::Choice;

/// What a comment tells hob to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/hob work [options] [text]`: work on this issue; the text says what, beyond the issue itself.
    Work {
        /// What is chosen for this task.
        choice: Choice,
        /// The rest of the comment.
        text: Option<String>,
    },
    /// `/hob stop`: stop working on this issue; keep the work.
    Stop,
    /// `/hob` with something that is no command.
    Mistake(Mistake),
}

/// Why something is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// There is no such command.
    UnknownCommand(String),
    /// The command has no such option.
    UnknownOption(String),
    /// The option has a value that it cannot have, or none.
    BadValue {
        /// The option, with its dashes.
        option: &'static str,
        /// The value; empty where there was none.
        value: String,
    },
}

/// How `/hob work` is used, for help.
pub const WORK_USAGE: &str = "/hob work [--agent NAME] [--model NAME] [--image NAME] [text]";
/// How `/hob stop` is used, for help.
pub const STOP_USAGE: &str = "/hob stop";

/// The first command in a comment, if there is one. What follows the command, on its line and below,
/// is its text.
pub fn parse(comment: &str) -> Option<Command> {
    let shown = ShownLines::of(comment);
    let mut lines = shown.into_iter();
    let rest = lines.by_ref().find_map(|line| command_line(&line.text).map(str::to_owned))?;
    let (name, first) = first_word(&rest);
    if name == "stop" {
        return Some(Command::Stop);
    }
    if name != "work" {
        return Some(Command::Mistake(Mistake::UnknownCommand(name.to_owned())));
    }
    let (choice, first) = match options(first) {
        Ok(parsed) => parsed,
        Err(mistake) => return Some(Command::Mistake(mistake)),
    };
    // Below the command everything counts as text, code blocks included: they are what to work on.
    let below: Vec<&str> = lines.map(|line| line.raw).collect();
    let text = [&[first], below.as_slice()].concat().join("\n");
    let text = text.trim();
    Some(Command::Work { choice, text: (!text.is_empty()).then(|| text.to_owned()) })
}

/// Whether a comment without a command of hob's is clearly for somebody else: it begins with another bot's command, or
/// with somebody's name that is not hob's `own`; or it says nothing itself, and only quotes.
pub fn is_aside(comment: &str, own: &str) -> bool {
    let own = own.strip_suffix("[bot]").unwrap_or(own);
    let lines = comment.lines().map(str::trim);
    let Some(first) = lines.filter(|line| !line.is_empty()).find(|line| !line.starts_with('>')) else {
        return true;
    };
    match first.strip_prefix('@') {
        None => first.starts_with('/'),
        Some(rest) => {
            let is_login = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
            let name: String = rest.chars().take_while(is_login).collect();
            !name.is_empty() && !name.eq_ignore_ascii_case(own)
        }
    }
}

/// What a label chooses, where it is one of hob's, whose own label is `own`: nothing, or with `hob:codex` the agent.
pub fn chosen_by_label(own: &str, label: &str) -> Option<Choice> {
    if label.eq_ignore_ascii_case(own) {
        return Some(Choice::default());
    }
    let (name, agent) = label.rsplit_once(':')?;
    let agent = agent.trim().to_ascii_lowercase().parse().ok()?;
    name.eq_ignore_ascii_case(own).then(|| Choice { agent: Some(agent), ..Choice::default() })
}

/// All of hob's labels, where its own is `own`.
pub fn labels(own: &str) -> Vec<String> {
    let of_agents = AgentKind::ALL.map(|agent| format!("{own}:{}", agent.as_str()));
    [own.to_owned()].into_iter().chain(of_agents).collect()
}

fn first_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

/// The options at the start of a command's text, and what is left. `--` ends them.
fn options(mut text: &str) -> Result<(Choice, &str), Mistake> {
    let mut choice = Choice::default();
    while text.starts_with("--") {
        let (word, mut rest) = first_word(text);
        if word == "--" {
            return Ok((choice, rest));
        }
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let option = ["--agent", "--model", "--image"].into_iter().find(|option| *option == name);
        let option = option.ok_or_else(|| Mistake::UnknownOption(name.to_owned()))?;
        let value = joined.unwrap_or_else(|| {
            let (value, after) = first_word(rest);
            rest = after;
            value
        });
        let bad = || Mistake::BadValue { option, value: value.to_owned() };
        if !is_name(value) {
            return Err(bad());
        }
        match option {
            "--agent" => choice.agent = Some(value.parse::<AgentKind>().map_err(|_| bad())?),
            "--model" => choice.model = Some(value.to_owned()),
            _ => choice.image = Some(value.to_owned()),
        }
        text = rest;
    }
    Ok((choice, text))
}

/// Whether a value can be a model's or an image's name. It becomes an argument of the agent's program, so
/// it must not look like an option.
fn is_name(value: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '[' | ']');
    (1..=200).contains(&value.len()) && !value.starts_with('-') && value.chars().all(allowed)
}

/// What follows `/hob` where a line starts with it. Up to three spaces before it are still plain text
/// in Markdown; four make a code block.
fn command_line(line: &str) -> Option<&str> {
    let trimmed = line.trim_start_matches(' ');
    if line.len() - trimmed.len() > 3 {
        return None;
    }
    let rest = trimmed.strip_prefix("/hob")?;
    if rest.is_empty() || rest.starts_with(char::is_whitespace) { Some(rest.trim()) } else { None }
}

/// One line of a comment.
struct Line<'a> {
    /// The line as written.
    raw: &'a str,
    /// What a reader sees of it as plain text; empty inside code blocks, quotes and HTML comments.
    text: String,
}

struct ShownLines;

impl ShownLines {
    fn of(comment: &str) -> Vec<Line<'_>> {
        let mut fence: Option<(char, usize)> = None;
        let mut in_html_comment = false;
        let mut lines = Vec::new();
        for raw in comment.lines() {
            let marker = fence_marker(raw);
            let text = match (fence, marker) {
                (Some((open, length)), Some((close, closing, true)))
                    if close == open && closing >= length =>
                {
                    fence = None;
                    String::new()
                }
                (Some(_), _) => String::new(),
                (None, Some((open, length, _))) if !in_html_comment => {
                    fence = Some((open, length));
                    String::new()
                }
                (None, _) if raw.trim_start().starts_with('>') && !in_html_comment => String::new(),
                (None, _) => without_html_comments(raw, &mut in_html_comment),
            };
            lines.push(Line { raw, text });
        }
        lines
    }
}

/// The character and length of a code fence that starts or ends on this line, and whether it is bare,
/// as a closing fence must be.
fn fence_marker(line: &str) -> Option<(char, usize, bool)> {
    let trimmed = line.trim_start_matches(' ');
    if line.len() - trimmed.len() > 3 {
        return None;
    }
    let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = trimmed.chars().take_while(|c| *c == mark).count();
    (length >= 3).then(|| (mark, length, trimmed[length..].trim().is_empty()))
}

fn without_html_comments(line: &str, inside: &mut bool) -> String {
    let mut shown = String::new();
    let mut rest = line;
    loop {
        let (mark, toggled) = if *inside { ("-->", false) } else { ("<!--", true) };
        let Some((before, after)) = rest.split_once(mark) else {
            if !*inside {
                shown.push_str(rest);
            }
            return shown;
        };
        if !*inside {
            shown.push_str(before);
            // A command may not be pieced together around a comment.
            shown.push('\u{fffd}');
        }
        *inside = toggled;
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(text: &str) -> Option<Command> {
        Some(Command::Work { choice: Choice::default(), text: (!text.is_empty()).then(|| text.to_owned()) })
    }

    #[test]
    fn a_command_stands_at_the_start_of_a_line() {
        assert_eq!(parse("/hob work"), work(""));
        assert_eq!(parse("/hob work use tabs"), work("use tabs"));
        assert_eq!(parse("Thanks!\n\n  /hob work\nuse tabs\n"), work("use tabs"));
        assert_eq!(parse("please /hob work"), None);
        assert_eq!(parse("/hobby work"), None);
        assert_eq!(parse("nothing of the kind"), None);
    }

    #[test]
    fn stopping_needs_no_more_words() {
        assert_eq!(parse("/hob stop"), Some(Command::Stop));
        assert_eq!(parse("Enough.\n/hob stop please"), Some(Command::Stop));
    }

    #[test]
    fn what_people_say_to_each_other_is_an_aside() {
        for aside in
            ["@carol look", "/test all", "> quoted", "> quoted\n\n@acme/team what do you say?", " \n"]
        {
            assert!(is_aside(aside, "hob[bot]"), "{aside}");
        }
        for said in ["also this", "@hob use tabs", "@HOB", "> quoted\n\nnot so", "ask @carol", "a/b", "@ 3"] {
            assert!(!is_aside(said, "hob[bot]"), "{said}");
        }
    }

    #[test]
    fn the_text_keeps_its_lines_and_its_code() {
        assert_eq!(parse("/hob work do this:\n```\n/hob stop\n```"), work("do this:\n```\n/hob stop\n```"));
    }

    #[test]
    fn a_command_that_is_only_shown_is_not_given() {
        for comment in [
            "> /hob work",
            "```\n/hob work\n```",
            "~~~~ sh\n/hob work\n~~~\n/hob work\n~~~~",
            "    /hob work",
            "<!-- /hob work -->",
            "<!--\n/hob work\n-->",
            "/h<!-- -->ob work",
            "``` \nunclosed\n/hob work",
        ] {
            assert_eq!(parse(comment), None, "{comment:?}");
        }
    }

    #[test]
    fn options_stand_before_the_text() {
        let Some(Command::Work { choice, text }) = parse("/hob work --agent codex --model=gpt-5 be --quick")
        else {
            panic!("a command");
        };
        assert_eq!((choice.agent, choice.model.as_deref()), (Some(AgentKind::Codex), Some("gpt-5")));
        assert_eq!(text.as_deref(), Some("be --quick"));
        assert_eq!(parse("/hob work -- --agent is a flag"), work("--agent is a flag"));
    }

    #[test]
    fn each_of_hobs_labels_is_known_as_one() {
        let labels = labels("hob");
        assert!(labels.contains(&"hob".to_owned()) && labels.contains(&"hob:codex".to_owned()));
        assert!(labels.iter().all(|label| chosen_by_label("HOB", label).is_some()));
        assert_eq!(
            chosen_by_label("hob", "hob: codex").and_then(|choice| choice.agent),
            Some(AgentKind::Codex)
        );
        for other in ["bug", "hob:clod", "hobby", "codex", "bug:codex"] {
            assert_eq!(chosen_by_label("hob", other), None, "{other}");
        }
    }

    #[test]
    fn a_mistake_is_told_apart_from_no_command() {
        let mistake = |comment: &str| match parse(comment) {
            Some(Command::Mistake(mistake)) => mistake,
            other => panic!("{other:?}"),
        };
        assert_eq!(mistake("/hob dance"), Mistake::UnknownCommand("dance".to_owned()));
        assert_eq!(mistake("/hob"), Mistake::UnknownCommand(String::new()));
        assert_eq!(mistake("/hob work --fast"), Mistake::UnknownOption("--fast".to_owned()));
        let bad = |option, value: &str| Mistake::BadValue { option, value: value.to_owned() };
        assert_eq!(mistake("/hob work --agent clod"), bad("--agent", "clod"));
        assert_eq!(mistake("/hob work --model"), bad("--model", ""));
        assert_eq!(mistake("/hob work --model --dangerous"), bad("--model", "--dangerous"));
        assert_eq!(mistake("/hob work --image a;b"), bad("--image", "a;b"));
    }
}
