//! A comment becomes a command. The grammar is prow's, known from many GitHub bots: `/hob NAME TEXT`
//! at the start of a line. All commands stand in one table; reading, help and docs come from it. Whether somebody may
//! give a command is asked elsewhere.

mod options;
mod shown;

use crate::ids::AgentKind;
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
    /// Mend the checks that fail on the pull request.
    Fix {
        /// The rest of the comment.
        text: Option<String>,
    },
    /// Bring the base branch's newest commits in.
    Rebase {
        /// Whether the branch's own commits are to be made anew on top of them.
        rewrite: bool,
    },
    /// Say where the work stands.
    Status,
    /// Say what hob understands.
    Help,
    /// `/hob` with something that is no command.
    Mistake(Mistake),
}

/// Why something is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
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
}

/// Who may give a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// People who may push to the repository; no bots.
    MayPush,
}

impl Who {
    /// In words, as they stand in help and docs.
    pub fn words(self) -> &'static str {
        match self {
            Self::MayPush => "who may push",
        }
    }
}

/// One command as people have to know it.
#[derive(Debug)]
pub struct Row {
    /// Its name, which follows `/hob`.
    pub name: &'static str,
    /// How it is written.
    pub usage: &'static str,
    /// Who may give it.
    pub who: Who,
    /// It in use.
    pub example: &'static str,
    /// What hob then does.
    pub does: &'static str,
    /// Reads what follows the name, on its line and below.
    read: fn(&str, &str) -> Result<Command, Mistake>,
}

/// Every command.
pub const TABLE: &[Row] = &[
    Row {
        name: "work",
        usage: "/hob work [--agent A] [--model M] [--image I] [--base B] [--budget N] [--fresh] [text]",
        who: Who::MayPush,
        example: "/hob work --agent codex keep the old flag too",
        does: "Works on the issue, with your text as well. While a question is open, the text is the answer.",
        read: |line, below| {
            options::read("work", line, below).map(|(choice, text)| Command::Work { choice, text })
        },
    },
    Row {
        name: "plan",
        usage: "/hob plan [options of work] [text]",
        who: Who::MayPush,
        example: "/hob plan the smallest change that will do",
        does: "Reads, changes nothing, and asks you whether to carry out its plan.",
        read: |line, below| {
            options::read("plan", line, below).map(|(choice, text)| Command::Plan { choice, text })
        },
    },
    Row {
        name: "go",
        usage: "/hob go [text]",
        who: Who::MayPush,
        example: "/hob go but leave the API as it is",
        does: "Carries out the plan, with the change that you name.",
        read: |line, below| Ok(Command::Go { text: text_of(line, below) }),
    },
    Row {
        name: "stop",
        usage: "/hob stop",
        who: Who::MayPush,
        example: "/hob stop",
        does: "Stops the agent. What it has done is pushed, finished or not; the session is kept.",
        read: |_, _| Ok(Command::Stop),
    },
    Row {
        name: "retry",
        usage: "/hob retry [--fresh]",
        who: Who::MayPush,
        example: "/hob retry --fresh",
        does: "Does again what failed or was stopped: same text, same options, same session, or with `--fresh` in a new one.",
        read: |line, _| options::fresh("retry", line).map(|(fresh, _)| Command::Retry { fresh }),
    },
    Row {
        name: "resume",
        usage: "/hob resume [--fresh] [text]",
        who: Who::MayPush,
        example: "/hob resume Redis is on port 6380 now",
        does: "Goes on where the work stopped, with your text. While a question is open, the text is the answer.",
        read: |line, below| {
            options::fresh("resume", line)
                .map(|(fresh, line)| Command::Resume { fresh, text: text_of(line, below) })
        },
    },
    Row {
        name: "fix",
        usage: "/hob fix [text]",
        who: Who::MayPush,
        example: "/hob fix the test is right, the code is not",
        does: "Mends the checks that fail on the pull request, whoever pushed last.",
        read: |line, below| Ok(Command::Fix { text: text_of(line, below) }),
    },
    Row {
        name: "budget",
        usage: "/hob budget +N",
        who: Who::MayPush,
        example: "/hob budget +5",
        does: "Lets the work cost N dollars more.",
        read: |line, _| options::more_usd(line).map(|more_usd| Command::Budget { more_usd }),
    },
    Row {
        name: "rebase",
        usage: "/hob rebase [--rewrite]",
        who: Who::MayPush,
        example: "/hob rebase --rewrite",
        does: "Merges the newest commits of the branch that the pull request goes to; the agent solves conflicts. With `--rewrite` a real rebase.",
        read: |line, _| options::rewrite(line).map(|rewrite| Command::Rebase { rewrite }),
    },
    Row {
        name: "status",
        usage: "/hob status",
        who: Who::MayPush,
        example: "/hob status",
        does: "Says where the work stands and what it waits for.",
        read: |_, _| Ok(Command::Status),
    },
    Row {
        name: "help",
        usage: "/hob help",
        who: Who::MayPush,
        example: "/hob help",
        does: "Shows this table.",
        read: |_, _| Ok(Command::Help),
    },
];

/// The first command in a comment, if there is one. What follows the command, on its line and below,
/// is its text.
pub fn parse(comment: &str) -> Option<Command> {
    let mut lines = shown::lines(comment).into_iter();
    let rest = lines.by_ref().find_map(|line| command_line(&line.text).map(str::to_owned))?;
    let (name, first) = first_word(&rest);
    let Some(row) = TABLE.iter().find(|row| row.name == name) else {
        return Some(Command::Mistake(Mistake::UnknownCommand(name.to_owned())));
    };
    // Below the command everything counts as text, code blocks included: they are what to work on.
    let below: Vec<&str> = lines.map(|line| line.raw).collect();
    Some((row.read)(first, &below.join("\n")).unwrap_or_else(Command::Mistake))
}

/// The usage of a command.
pub fn usage(name: &str) -> &'static str {
    TABLE.iter().find(|row| row.name == name).map_or("/hob help", |row| row.usage)
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

/// What was said: on the command's line, and below it.
fn text_of(line: &str, below: &str) -> Option<String> {
    let text = format!("{line}\n{below}");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
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
        assert_eq!(mistake("/hob dance"), Mistake::UnknownCommand("dance".to_owned()));
        assert_eq!(mistake("/hob"), Mistake::UnknownCommand(String::new()));
        let unknown = |command, option: &str| Mistake::UnknownOption { command, option: option.to_owned() };
        assert_eq!(mistake("/hob work --fast"), unknown("work", "--fast"));
        assert_eq!(mistake("/hob plan --fast"), unknown("plan", "--fast"));
        assert_eq!(mistake("/hob budget more"), Mistake::BadSum("more".to_owned()));
        let bad = |option, value: &str| Mistake::BadValue { option, value: value.to_owned() };
        assert_eq!(mistake("/hob work --agent clod"), bad("--agent", "clod"));
        assert_eq!(mistake("/hob work --model"), bad("--model", ""));
        assert_eq!(mistake("/hob work --model --dangerous"), bad("--model", "--dangerous"));
        assert_eq!(mistake("/hob work --image a;b"), bad("--image", "a;b"));
    }
}
