//! A comment becomes a command. The grammar is prow's, known from many GitHub bots:
//! `/hob NAME TEXT` at the start of a line; a mention of hob's account stands for `/hob` too. What
//! is plain words and where a line starts is as GitHub renders it (`markdown/lines.rs`). All
//! commands stand in one table; reading, help and docs come from it. Whether somebody may give a
//! command is asked elsewhere.

mod options;

use crate::ids::AgentKind;
use crate::markdown::{self, without_shapeless};
use crate::story::Choice;

/// What a comment tells hob to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Work on this issue; the text says what, beyond the issue itself.
    Work {
        /// What is chosen for this task.
        choice: Choice,
        /// The rest of the comment.
        text: Option<String>,
    },
    /// Stop working on this issue; keep the work.
    Stop,
    /// Do again what failed or was stopped.
    Retry {
        /// In a new session.
        fresh: bool,
    },
    /// Go on where the work stopped.
    Resume {
        /// In a new session.
        fresh: bool,
        /// The rest of the comment.
        text: Option<String>,
    },
    /// Let the work cost more.
    Budget {
        /// How many dollars more.
        more_usd: f64,
    },
    /// Make a plan, and change nothing.
    Plan {
        /// What is chosen for this task.
        choice: Choice,
        /// The rest of the comment.
        text: Option<String>,
    },
    /// Carry out the plan.
    Go {
        /// What is to be different from it.
        text: Option<String>,
    },
    /// Fix the checks that fail on the pull request.
    Fix {
        /// The rest of the comment.
        text: Option<String>,
    },
    /// Bring the base branch's newest commits in.
    Rebase {
        /// Whether the branch's own commits are to be made again on top of them.
        rewrite: bool,
    },
    /// Say where the work stands.
    Status,
    /// Say what hob understands.
    Help,
    /// `/hob` with something that is no command.
    Mistake(CommandError),
}

/// Why something is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// There is no such command.
    UnknownCommand(String),
    /// The command has no such option.
    UnknownOption {
        /// The command's name.
        command: &'static str,
        /// What looked like an option.
        option: String,
    },
    /// The option has a value that it cannot have, or none.
    BadValue {
        /// The option, with its dashes.
        option: &'static str,
        /// The value; empty where there was none.
        value: String,
    },
    /// This is no sum of dollars to allow.
    BadSum(String),
    /// A line that plainly means hob and is not written as a command is.
    Unclear {
        /// The line.
        written: String,
        /// The command that may be meant.
        meant: &'static str,
    },
    /// A command right below a quotation, to which it belongs as GitHub renders it.
    Quoted(String),
}

impl CommandError {
    /// Whether somebody may have written it as an answer: words behind `/hob` that are like no
    /// command's name.
    pub fn may_be_an_answer(&self) -> bool {
        matches!(self, Self::UnknownCommand(name) if !name.is_empty() && meant(name).is_none())
    }
}

/// What a comment says to hob.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The first command.
    pub command: Option<Command>,
    /// The lines of other commands behind it, which are not carried out.
    pub others: Vec<String>,
}

/// Who may give a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandPermission {
    /// People who may push to the repository; no bots.
    MayPush,
}

impl CommandPermission {
    /// In words, as they stand in help and docs.
    pub fn describe(self) -> &'static str {
        match self {
            Self::MayPush => "who may push",
        }
    }
}

/// One command as people have to know it.
#[derive(Debug)]
pub struct CommandHelp {
    /// Its name, which follows `/hob`.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// Who may give it.
    pub who: CommandPermission,
    /// It in use.
    pub example: &'static str,
    /// What hob then does.
    pub does: &'static str,
    /// Reads what follows the name, on its line and below.
    read: fn(&str, &str) -> Result<Command, CommandError>,
}

/// Every command.
pub const TABLE: &[CommandHelp] = &[
    CommandHelp {
        name: "work",
        usage: "/hob work [--agent A] [--model M] [--image I] [--base B] [--budget N] [--fresh] [text]",
        who: CommandPermission::MayPush,
        example: "/hob work --agent codex keep the old flag too",
        does: "Works on the issue, with your text as well. While a question is open, the text is the answer.",
        read: |line, below| {
            options::read("work", line, below).map(|(choice, text)| Command::Work { choice, text })
        },
    },
    CommandHelp {
        name: "plan",
        usage: "/hob plan [--agent A] [--model M] [--image I] [--base B] [--budget N] [--fresh] [text]",
        who: CommandPermission::MayPush,
        example: "/hob plan the smallest change that will do",
        does: "Reads, changes nothing, and asks you whether to carry out its plan.",
        read: |line, below| {
            options::read("plan", line, below).map(|(choice, text)| Command::Plan { choice, text })
        },
    },
    CommandHelp {
        name: "go",
        usage: "/hob go [text]",
        who: CommandPermission::MayPush,
        example: "/hob go but leave the API as it is",
        does: "Carries out the plan, with the change that you name.",
        read: |line, below| Ok(Command::Go { text: text_of(line, below) }),
    },
    CommandHelp {
        name: "stop",
        usage: "/hob stop",
        who: CommandPermission::MayPush,
        example: "/hob stop",
        does: "Stops the agent. What it has done is pushed, finished or not; the session is kept.",
        read: |_, _| Ok(Command::Stop),
    },
    CommandHelp {
        name: "retry",
        usage: "/hob retry [--fresh]",
        who: CommandPermission::MayPush,
        example: "/hob retry --fresh",
        does: "Does again what failed or was stopped: same text, same options, same session, or with `--fresh` in a new one.",
        read: |line, _| options::fresh("retry", line).map(|(fresh, _)| Command::Retry { fresh }),
    },
    CommandHelp {
        name: "resume",
        usage: "/hob resume [--fresh] [text]",
        who: CommandPermission::MayPush,
        example: "/hob resume Redis is on port 6380 now",
        does: "Goes on where the work stopped, with your text. While a question is open, the text is the answer.",
        read: |line, below| {
            options::fresh("resume", line)
                .map(|(fresh, line)| Command::Resume { fresh, text: text_of(line, below) })
        },
    },
    CommandHelp {
        name: "fix",
        usage: "/hob fix [text]",
        who: CommandPermission::MayPush,
        example: "/hob fix the test is right, the code is not",
        does: "Fixes the checks that fail on the pull request, no matter who pushed last.",
        read: |line, below| Ok(Command::Fix { text: text_of(line, below) }),
    },
    CommandHelp {
        name: "budget",
        usage: "/hob budget +N",
        who: CommandPermission::MayPush,
        example: "/hob budget +5",
        does: "Lets the work cost N dollars more.",
        read: |line, _| options::more_usd(line).map(|more_usd| Command::Budget { more_usd }),
    },
    CommandHelp {
        name: "rebase",
        usage: "/hob rebase [--rewrite]",
        who: CommandPermission::MayPush,
        example: "/hob rebase --rewrite",
        does: "Merges the newest commits of the branch that the pull request goes to; the agent solves conflicts. With `--rewrite` a real rebase.",
        read: |line, _| options::rewrite(line).map(|rewrite| Command::Rebase { rewrite }),
    },
    CommandHelp {
        name: "status",
        usage: "/hob status",
        who: CommandPermission::MayPush,
        example: "/hob status",
        does: "Says where the work stands and what it waits for.",
        read: |_, _| Ok(Command::Status),
    },
    CommandHelp {
        name: "help",
        usage: "/hob help",
        who: CommandPermission::MayPush,
        example: "/hob help",
        does: "Shows this table.",
        read: |_, _| Ok(Command::Help),
    },
];

/// Other words for commands.
const ALSO: &[(&str, &str)] = &[
    ("abort", "stop"),
    ("again", "retry"),
    ("approve", "go"),
    ("begin", "work"),
    ("cancel", "stop"),
    ("continue", "resume"),
    ("do", "work"),
    ("halt", "stop"),
    ("implement", "work"),
    ("merge", "rebase"),
    ("ok", "go"),
    ("pause", "stop"),
    ("quit", "stop"),
    ("rerun", "retry"),
    ("restart", "retry"),
    ("run", "work"),
    ("start", "work"),
    ("update", "rebase"),
    ("yes", "go"),
    ("?", "help"),
];

/// The first command in a comment, if there is one. What follows the command, on its line and
/// below, is its text.
pub fn parse(comment: &str) -> Option<Command> {
    read(comment, "").command
}

/// The commands in a comment, for a hob whose account is `own`. The text of the first goes up to
/// the next command, and not into what a mail program has put below an answer by mail.
pub fn read(comment: &str, own: &str) -> Reading {
    let own = own.strip_suffix("[bot]").unwrap_or(own);
    let (source, plain) = markdown::lines(comment);
    let lines: Vec<&str> = source.lines().collect();
    let end = markdown::original_at(&source).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !line.trim().is_empty());
    let spoken = plain.iter().filter_map(|line| {
        let spoken = Spoken::of(&line.text, own)?;
        if !line.is_quoted {
            return Some((line.at, spoken));
        }
        // Somebody who has forgotten the empty line behind what they quote.
        let begins = lines.get(line.at)?.trim_start().starts_with(['/', '\u{ff0f}', '@']);
        let is_last = begins && Some(line.at) == last;
        is_last.then(|| (line.at, Spoken::Quoted { written: line.text.clone() }))
    });
    let spoken: Vec<(usize, Spoken)> = spoken.filter(|(at, _)| *at < end).collect();
    let Some((at, first)) = spoken.first() else { return Reading::default() };
    let next = spoken.get(1).map_or(end, |(at, _)| *at);
    // Below the command everything counts as text, code blocks included: they are what to work on.
    let below = lines.get(at + 1..next).unwrap_or_default().join("\n");
    let written = |at: usize| lines.get(at).map_or("", |line| line.trim());
    let others = spoken[1..].iter().map(|(at, _)| written(*at)).filter(|other| *other != written(*at));
    Reading {
        command: Some(first.command(written(*at), &below)),
        others: others.map(|line| without_shapeless(line).0).collect(),
    }
}

/// A line to hob.
enum Spoken {
    /// It calls hob by this name; what follows is a command.
    Called { name: String, rest: String },
    /// It is not written as a command is, and may mean this one.
    Unclear { written: String, meant: &'static str },
    /// It is a command that belongs to the quotation above it.
    Quoted { written: String },
}

impl Spoken {
    /// What a line of plain words says to hob.
    fn of(line: &str, own: &str) -> Option<Spoken> {
        let line = without_shapeless(line).0;
        let line = line.trim();
        let first = line.chars().next()?;
        let behind = &line[first.len_utf8()..];
        let called =
            |name: &str, rest: &str| Some(Spoken::Called { name: name.to_owned(), rest: rest.to_owned() });
        let unclear = |meant| Some(Spoken::Unclear { written: line.to_owned(), meant });
        match first {
            '/' | '\u{ff0f}' => {
                for name in ["hob", own].into_iter().filter(|name| !name.is_empty()) {
                    let Some(rest) = after_name(behind, name) else { continue };
                    if let Some(rest) = after_call(rest) {
                        return called(name, rest);
                    }
                    // `/hob-stop`, `/hob:stop`, `/hobstop`
                    if let Some(row) = row(first_word(rest).0) {
                        return unclear(row.name);
                    }
                }
                // `/ hob stop`
                let row = after_name(behind.trim_start(), "hob")
                    .and_then(after_call)
                    .and_then(|rest| row(first_word(rest).0))?;
                unclear(row.name)
            }
            '@' if !own.is_empty() => {
                let rest = after_name(behind, own)?;
                let rest = rest.strip_prefix("[bot]").unwrap_or(rest);
                let rest = after_call(rest)?;
                if row(first_word(rest).0).is_some() {
                    return called(own, rest);
                }
                // One word alone is no sentence.
                let meant = meant(first_word(rest).0).filter(|_| !rest.contains(char::is_whitespace))?;
                unclear(meant)
            }
            // `hob stop`, and nothing more.
            'h' | 'H' | '!' | '\\' => {
                let rest = after_name(line.trim_start_matches(['!', '\\']), "hob").and_then(after_call)?;
                let row = row(rest).filter(|_| !rest.contains(char::is_whitespace))?;
                unclear(row.name)
            }
            _ => None,
        }
    }

    /// The command, of which the line reads `written` in the comment.
    fn command(&self, written: &str, below: &str) -> Command {
        let (name, rest) = match self {
            Spoken::Unclear { written, meant } => {
                return Command::Mistake(CommandError::Unclear { written: written.clone(), meant });
            }
            Spoken::Quoted { written } => return Command::Mistake(CommandError::Quoted(written.clone())),
            Spoken::Called { name, rest } => (name, rest),
        };
        // As it is written, so that nothing in a branch's or a model's name is taken for Markdown.
        let written = without_shapeless(written).0;
        let found = written.to_ascii_lowercase().find(&name.to_ascii_lowercase());
        let as_written = found.map(|at| &written[at + name.len()..]);
        let as_written = as_written.map(|rest| rest.strip_prefix("[bot]").unwrap_or(rest));
        let as_written = as_written.and_then(after_call).map(|rest| {
            let is_emphasis = !rest.is_empty() && !self.ends_with_star();
            if is_emphasis { rest.trim_end_matches("**").trim_end_matches("__") } else { rest }
        });
        let same = |other: &&str| bare(first_word(other).0) == bare(first_word(rest).0);
        let (word, first) = first_word(as_written.filter(same).unwrap_or(rest));
        match row(word) {
            Some(row) => (row.read)(first, below).unwrap_or_else(Command::Mistake),
            None => Command::Mistake(CommandError::UnknownCommand(word.to_owned())),
        }
    }

    fn ends_with_star(&self) -> bool {
        matches!(self, Spoken::Called { rest, .. } if rest.ends_with(['*', '_']))
    }
}

/// What follows a name, in whatever letter case, that a text begins with.
fn after_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let found = text.get(..name.len()).filter(|found| found.eq_ignore_ascii_case(name))?;
    Some(&text[found.len()..])
}

/// What follows a call, if nothing else begins there: `/hob`, `/hob:`.
fn after_call(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix([',', ':', '.', '!', '?']).filter(|rest| is_new_word(rest)).unwrap_or(rest);
    is_new_word(rest).then(|| rest.trim())
}

fn is_new_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}

/// The command of that name, however it is set and whatever stands behind it.
fn row(word: &str) -> Option<&'static CommandHelp> {
    let name = bare(word);
    TABLE.iter().find(|row| row.name == name)
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// The command that somebody may have meant who wrote this word.
pub fn meant(word: &str) -> Option<&'static str> {
    let name = bare(word);
    let name = if name.is_empty() { word } else { &name };
    let by_name = |name: &str| TABLE.iter().find(|row| row.name == name).map(|row| row.name);
    if let Some(known) = by_name(name) {
        return Some(known);
    }
    if let Some((_, known)) = ALSO.iter().find(|(other, _)| *other == name) {
        return by_name(known);
    }
    nearest(name, TABLE.iter().map(|row| row.name))
}

/// The option of a command that somebody may have meant.
pub fn meant_option(command: &str, option: &str) -> Option<&'static str> {
    let (known, also): (&[&'static str], _) = match command {
        "work" | "plan" => (&options::OPTIONS, Some(options::FRESH)),
        "retry" | "resume" => (&[], Some(options::FRESH)),
        "rebase" => (&["--rewrite"], None),
        _ => (&[], None),
    };
    nearest(&option.to_lowercase(), known.iter().copied().chain(also))
}

/// The name that a word is a slip of the pen for.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let signs = |name: &str| name.trim_start_matches('-').chars().count();
    if !(3..=40).contains(&signs(word)) {
        return None;
    }
    let distances = names.map(|name| (strsim::damerau_levenshtein(word, name), name));
    let (distance, name) = distances.min()?;
    (distance <= if signs(name) <= 5 { 1 } else { 2 }).then_some(name)
}

/// The usage of a command.
pub fn usage(name: &str) -> &'static str {
    TABLE.iter().find(|row| row.name == name).map_or("/hob help", |row| row.usage)
}

/// Whether a comment without a command of hob's is clearly for somebody else: it begins with
/// another bot's command, or with somebody's name that is not hob's `own`; or it says nothing
/// itself, and only quotes.
pub fn is_aside(comment: &str, own: &str) -> bool {
    let own = own.strip_suffix("[bot]").unwrap_or(own);
    let (shown, _) = markdown::visible(comment);
    let lines = shown.lines().map(str::trim);
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

/// Words that ask for nothing: how a short comment begins that needs no answer.
const COURTESIES: &[&str] = &[
    "thank",
    "thanks",
    "thx",
    "ty",
    "cheers",
    "great",
    "nice",
    "cool",
    "perfect",
    "awesome",
    "excellent",
    "lgtm",
    "good",
    "well",
    "looks",
    "merci",
    "danke",
    "gracias",
    "never",
    "nevermind",
    "nvm",
    "ok",
    "okay",
    "fine",
    "done",
    "yay",
    "wow",
];
/// A longer comment says something.
const MAX_COURTESY: usize = 5;

/// Whether a comment only says thanks, or the like.
pub fn is_courtesy(comment: &str) -> bool {
    let (shown, _) = markdown::visible(comment);
    let words: Vec<&str> =
        shown.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.len() <= MAX_COURTESY
        && words.first().is_none_or(|first| COURTESIES.iter().any(|known| known.eq_ignore_ascii_case(first)))
}

/// What a label chooses, where it is one of hob's, whose own label is `own`: nothing, or with
/// `hob:codex` the agent.
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

/// What was said: on the command's line, and below it.
fn text_of(line: &str, below: &str) -> Option<String> {
    let text = format!("{line}\n{below}");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
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
    fn each_example_in_the_table_is_its_own_command() {
        for row in TABLE {
            let command = parse(row.example).unwrap();
            assert!(!matches!(command, Command::Mistake(_)), "{}: {command:?}", row.example);
            let start = format!("/hob {}", row.name);
            assert!(row.usage.starts_with(&start) && row.example.starts_with(&start), "{start}");
            assert!(row.does.ends_with('.') && !row.does.contains('|'), "{start}");
            assert_eq!(usage(row.name), row.usage);
        }
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len(), "a name is there twice");
    }

    #[test]
    fn each_command_is_read_with_its_text() {
        let text = Some("but use tabs".to_owned());
        assert_eq!(parse("/hob go but use tabs"), Some(Command::Go { text: text.clone() }));
        assert_eq!(
            parse("/hob resume\nbut use tabs"),
            Some(Command::Resume { fresh: false, text: text.clone() })
        );
        assert_eq!(parse("/hob plan but use tabs"), Some(Command::Plan { choice: Choice::default(), text }));
        assert_eq!(parse("/hob budget +5"), Some(Command::Budget { more_usd: 5.0 }));
        assert_eq!(parse("/hob retry now"), Some(Command::Retry { fresh: false }));
        assert_eq!(parse("/hob retry --fresh"), Some(Command::Retry { fresh: true }));
        assert_eq!((parse("/hob status"), parse("/hob help")), (Some(Command::Status), Some(Command::Help)));
        let base = Choice { base: Some("dev".to_owned()), budget_usd: Some(2.0), ..Choice::default() };
        assert_eq!(
            parse("/hob plan --base dev --budget $2"),
            Some(Command::Plan { choice: base, text: None })
        );
    }

    #[test]
    fn commands_are_read_as_people_write_them() {
        for comment in [
            "/Hob stop",
            "/HOB STOP",
            "/hob Stop",
            "\u{feff}/hob stop",
            "\u{200b}/hob\u{a0}stop",
            "\u{2060}/h\u{200d}ob stop\u{200b}",
            "/hob stop.",
            "/hob stop!!!",
            "/hob stop…",
            "/hob stop, please",
            "/hob: stop",
            "/hob, stop",
            "- /hob stop",
            "* /hob stop",
            "1. /hob stop",
            "- [ ] /hob stop",
            "# /hob stop",
            "**/hob stop**",
            "/hob **stop**",
            "\u{ff0f}hob stop",
            "/hob\u{3000}stop",
            "a\r\n/hob stop\r\n",
            "<!-- note -->\n/hob stop",
            "/hob\tstop",
            "&#47;hob stop",
        ] {
            assert_eq!(parse(comment), Some(Command::Stop), "{comment:?}");
        }
        for comment in
            ["hob is fine", "hob work on it is good", "/hobby stop", "/hobbit", "#hob stop", "@hob stop"]
        {
            assert_eq!(parse(comment), None, "{comment:?}");
        }
        assert_eq!(parse("/hob work."), work(""));
        assert_eq!(parse("/hob work: use `tabs`"), work("use `tabs`"));
        assert_eq!(parse("- /hob work use\n  tabs"), work("use\n  tabs"));
    }

    #[test]
    fn phones_change_dashes_and_quotation_marks() {
        for comment in [
            "/hob work \u{2014}agent codex do it",
            "/hob work \u{2013}agent codex do it",
            "/hob work \u{2013}\u{2013}agent codex do it",
            "/hob work --Agent Codex do it",
            "/hob work -agent codex do it",
            "/hob work --agent \u{201c}codex\u{201d} do it",
            "/hob work --agent=codex do it",
            "/hob work --agent codex, do it",
            "- /hob work \u{2014}agent: codex do it",
        ] {
            let Some(Command::Work { choice, text }) = parse(comment) else {
                panic!("{comment:?}: {:?}", parse(comment))
            };
            assert_eq!(
                (choice.agent, text.as_deref()),
                (Some(AgentKind::Codex), Some("do it")),
                "{comment:?}"
            );
        }
        assert_eq!(parse("/hob rebase \u{2014}rewrite"), Some(Command::Rebase { rewrite: true }));
        assert_eq!(parse("/hob rebase --Rewrite."), Some(Command::Rebase { rewrite: true }));
        assert_eq!(parse("/hob work \u{2014} quickly"), work("quickly"));
        assert_eq!(parse("/hob budget +5."), Some(Command::Budget { more_usd: 5.0 }));
    }

    #[test]
    fn a_mention_of_hobs_account_is_a_call() {
        let of = |comment| read(comment, "hob-bot[bot]").command;
        for comment in [
            "@hob-bot stop",
            "@Hob-Bot: stop",
            "@hob-bot, stop!",
            "@hob-bot[bot] stop",
            "/hob-bot stop",
            "- @hob-bot stop",
        ] {
            assert_eq!(of(comment), Some(Command::Stop), "{comment}");
        }
        for comment in [
            "@hob-bot use tabs",
            "@hob-bots stop",
            "@hob stop",
            "see @hob-bot stop",
            "> @hob-bot stop",
            "@hob-bot",
        ] {
            assert_eq!(of(comment), None, "{comment}");
        }
        let unclear = CommandError::Unclear { written: "@hob-bot wrok".to_owned(), meant: "work" };
        assert_eq!(of("@hob-bot wrok"), Some(Command::Mistake(unclear)));
        assert_eq!(of("@hob-bot work --model a_b_c x"), of("/hob work --model a_b_c x"));
    }

    #[test]
    fn a_second_command_ends_the_text_of_the_first_and_is_named() {
        let reading = read("/hob work use tabs\nplease\n\n- /hob stop\nnow", "");
        assert_eq!(
            (reading.command, reading.others),
            (work("use tabs\nplease"), vec!["- /hob stop".to_owned()])
        );
        assert_eq!(read("/hob stop\n/hob stop", "").others, Vec::<String>::new());
        assert_eq!(read("/hob work:\n> /hob stop\n\n`/hob go`", "").others, Vec::<String>::new());
    }

    #[test]
    fn what_an_answer_by_mail_quotes_commands_nothing() {
        let below = "On Mon, Nov 30, 2026 at 10:00 hob-bot <n@github.com> wrote:\n\n/hob go carries it out, /hob go but … with a change.";
        assert_eq!(parse(&format!("Not yet.\n\n{below}")), None);
        assert_eq!(parse(&format!("/hob work use tabs\n\n{below}")), work("use tabs"));
    }

    #[test]
    fn a_word_that_is_no_command_may_mean_one() {
        for (word, command) in [
            ("wrok", "work"),
            ("Stpo", "stop"),
            ("cancel", "stop"),
            ("retyr", "retry"),
            ("rebaes", "rebase"),
            ("halp", "help"),
            ("?", "help"),
            ("statsu", "status"),
        ] {
            assert_eq!(meant(word), Some(command), "{word}");
        }
        for word in ["dance", "", "x", "hello", "wonderful"] {
            assert_eq!(meant(word), None, "{word}");
        }
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
    fn who_only_says_thanks_asks_for_nothing() {
        for said in ["Thanks!", "Thank you both.", "never mind", "\u{1f44d}", "LGTM", ":)"] {
            assert!(is_courtesy(said), "{said}");
        }
        for said in [
            "It should have a short form too.",
            "use tabs",
            "Thanks, but please use tabs in all files",
            "Why?",
        ] {
            assert!(!is_courtesy(said), "{said}");
        }
    }

    #[test]
    fn the_text_keeps_its_lines_and_its_code() {
        assert_eq!(parse("/hob work do this:\n```\n/hob stop\n```"), work("do this:\n```\n/hob stop\n```"));
    }

    #[test]
    fn a_command_that_is_only_shown_is_not_given() {
        for comment in [
            "`/hob work`",
            "~~/hob work~~",
            "| /hob work |\n|---|\n| /hob stop |",
            "<pre>\n\n/hob work\n\n</pre>",
            "<details><summary>x</summary>\n\n/hob work\n\n</details>",
            "<div>/hob work</div>",
            "> a\n/hob work\nb",
            "> a\n> /hob work",
            "- > /hob work",
            "- ```\n  /hob work\n  ```",
            "[^1]\n\n[^1]: /hob work",
            "[/hob work](x)",
            "> [!TIP]\n> /hob work",
            "<!--\n\n/hob work\n\n-->",
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
        assert_eq!(parse("/hob work\n--agent is a flag"), work("--agent is a flag"));
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
        assert_eq!(mistake("/hob dance"), CommandError::UnknownCommand("dance".to_owned()));
        assert_eq!(mistake("/hob"), CommandError::UnknownCommand(String::new()));
        let unknown =
            |command, option: &str| CommandError::UnknownOption { command, option: option.to_owned() };
        assert_eq!(mistake("/hob work --fast"), unknown("work", "--fast"));
        assert_eq!(mistake("/hob plan --fast"), unknown("plan", "--fast"));
        assert_eq!(mistake("/hob budget more"), CommandError::BadSum("more".to_owned()));
        assert_eq!(mistake("> a\n/hob work it"), CommandError::Quoted("/hob work it".to_owned()));
        let unclear = |written: &str, meant| CommandError::Unclear { written: written.to_owned(), meant };
        for (written, meant) in [
            ("/hob-stop", "stop"),
            ("/hob:work it", "work"),
            ("/hobstop", "stop"),
            ("/ hob stop", "stop"),
            ("hob stop", "stop"),
            ("Hob: Stop!", "stop"),
            ("!hob retry", "retry"),
        ] {
            assert_eq!(mistake(written), unclear(written, meant));
        }
        let bad = |option, value: &str| CommandError::BadValue { option, value: value.to_owned() };
        assert_eq!(mistake("/hob work --agent clod"), bad("--agent", "clod"));
        assert_eq!(mistake("/hob work --model"), bad("--model", ""));
        assert_eq!(mistake("/hob work --model --dangerous"), bad("--model", "--dangerous"));
        assert_eq!(mistake("/hob work --image a;b"), bad("--image", "a;b"));
    }
}
