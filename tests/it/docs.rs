//! The documents against the code: every setting, variable, move and class of failure is where
//! people look for it, and nothing is there that the code does not know. What the sentences say is
//! for a reader to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use hob::agent::{AgentKind, FailureClass};
use hob::command::TABLE;
use hob::config::{Config, ConfigError, KEY_NAMES, VARIABLES};
use hob::store::StoreFault;
use hob::story::MOVES;

use crate::world::{REPO, World};

/// The mark in the example at a line that shows the form of something that is not set.
const NO_DEFAULT: &str = "# no default";

/// A key that is like no other, so that the error lists those that there are.
const NO_KEY: &str = "zzz";

fn text_of(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("deploy/hob.example.toml"))
}

/// The keys of one table of the configuration, as the reader itself lists them.
fn known_keys(table: &str) -> Vec<String> {
    let Err(ConfigError::InFile { hint: Some(hint), .. }) = parse(&format!("{table}\n{NO_KEY} = 1\n")) else {
        panic!("{table} takes the key {NO_KEY}");
    };
    let list = hint.strip_prefix("known keys: ").unwrap_or_else(|| panic!("{table}: {hint}"));
    list.split(", ").map(str::to_owned).collect()
}

/// Every key that can be set, with its section, in the order of `src/config.rs`.
fn all_keys() -> Vec<String> {
    let keys_in = |section: String| {
        let (table, shown) = match section.as_str() {
            "repositories" => ("[repositories.\"a/b\"]".to_owned(), "repositories.\"owner/name\"".to_owned()),
            _ => (format!("[{section}]"), section),
        };
        known_keys(&table).into_iter().map(move |key| format!("{shown}.{key}")).collect::<Vec<_>>()
    };
    let all: Vec<String> = known_keys("").into_iter().flat_map(keys_in).collect();
    assert!(all.len() > 50, "only {} keys were found", all.len());
    all
}

/// The example's settings, with the comment signs away: key with section, value, and whether it has
/// a default. A sign with a space after it makes a comment for people.
fn example() -> Vec<(String, String, bool)> {
    let text = text_of("deploy/hob.example.toml");
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with(' ') {
            continue;
        }
        let (line, has_default) = match line.strip_suffix(NO_DEFAULT) {
            Some(rest) => (rest.trim_end(), false),
            None => (line, true),
        };
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = if name.starts_with("repositories.") {
                "repositories.\"owner/name\"".to_owned()
            } else {
                name.to_owned()
            };
        } else if let Some((key, value)) = line.split_once(" = ") {
            found.push((format!("{section}.{key}"), value.to_owned(), has_default));
        }
    }
    found
}

/// The example as a file of settings: all of them, or only those that have a default.
fn uncommented(all: bool) -> String {
    let text = text_of("deploy/hob.example.toml");
    let is_wanted = |line: &&str| all || !line.ends_with(NO_DEFAULT);
    let settings = text.lines().filter(is_wanted).map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    settings.collect::<Vec<_>>().join("\n")
}

/// Rows of a table in Markdown whose first cell is code: the cells, without the backticks around
/// them.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect()
}

/// The part of a text under one heading.
fn under<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}"));
    let level = heading.split(' ').next().unwrap_or_default();
    rest.split(&format!("\n{level} ")).next().unwrap_or_default()
}

#[test]
fn the_example_has_every_key_in_order() {
    let keys: Vec<String> = example().into_iter().map(|(key, _, _)| key).collect();
    assert_eq!(keys, all_keys(), "left: deploy/hob.example.toml; right: src/config.rs");
}

#[test]
fn the_example_with_its_comment_signs_away_is_the_defaults() {
    let config = parse(&uncommented(false)).unwrap();
    assert_eq!(format!("{config:#?}"), format!("{:#?}", Config::default()));
    let unchanged = parse(&text_of("deploy/hob.example.toml")).unwrap();
    assert_eq!(format!("{unchanged:#?}"), format!("{:#?}", Config::default()));
}

#[test]
fn what_the_example_shows_of_keys_without_a_default_can_be_read() {
    let config = parse(&uncommented(true)).unwrap();
    let shown = format!("{config:?}");
    let unset = example().into_iter().filter(|(_, _, has_default)| !has_default);
    for (key, _, _) in unset {
        let name = key.rsplit('.').next().unwrap_or_default();
        assert!(shown.contains(&format!("{name}: Some(")), "{key} has a default, or is not read: {shown}");
    }
}

#[test]
fn the_configuration_page_is_what_hob_config_reference_prints() {
    let printed =
        Command::new(crate::world::hob::binary()).args(["config", "reference"]).output().expect("hob starts");
    assert!(printed.status.success(), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).expect("UTF-8");
    assert!(printed.starts_with("<!-- Generated by `hob config reference`."), "{printed}");
    let page = text_of("docs/configuration.md");
    assert_eq!(page, printed, "update it with: hob config reference > docs/configuration.md");
}

#[test]
fn the_configuration_page_has_every_key_in_order_with_its_default_and_its_meaning() {
    let page = text_of("docs/configuration.md");
    let (settings, _) = page.split_once("\n## Environment\n").expect("settings before the environment");
    let rows = rows(settings);
    let shown: Vec<(String, String)> = rows.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let wanted: Vec<(String, String)> = example()
        .into_iter()
        .map(|(key, value, has_default)| (key, if has_default { value } else { "—".to_owned() }))
        .collect();
    assert_eq!(shown, wanted, "left: docs/configuration.md; right: deploy/hob.example.toml");
    for row in &rows {
        let [key, _, meaning] = row.as_slice() else { panic!("{row:?} has {} cells", row.len()) };
        assert!(meaning.ends_with('.') && meaning.len() > 8, "{key} has no meaning: {meaning:?}");
    }
    let sections: BTreeSet<&str> = settings.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for section in sections {
        let about = under(settings, &format!("## {section}")).trim_start();
        assert!(about.starts_with(char::is_uppercase), "[{section}] is not described: {about}");
    }
}

/// A text of the configuration page as it stands in the example: links start from the repository's
/// root.
fn plain(text: &str) -> String {
    let mut parts = text.split("](");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once(')').expect("the end of a link");
        plain.push_str(&format!(" (docs/{target}){rest}"));
    }
    plain.replace(['[', ']'], "").replace("**", "")
}

#[test]
fn the_example_explains_each_key_as_the_configuration_page_does() {
    let page = text_of("docs/configuration.md");
    let (settings, _) = page.split_once("\n## Environment\n").expect("settings before the environment");
    let meanings: BTreeMap<String, String> =
        rows(settings).into_iter().map(|row| (row[0].clone(), plain(&row[2]))).collect();
    let (text, mut section, mut comment) = (text_of("deploy/hob.example.toml"), String::new(), Vec::new());
    let mut explained = 0;
    for line in text.lines() {
        if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let said = std::mem::take(&mut comment).join(" ").replace(['[', ']'], "");
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split([']', '.']).next()) {
            let about = under(settings, &format!("## {name}")).trim_start();
            let about = plain(about.lines().next().unwrap_or_default());
            assert_eq!(said, about, "left: deploy/hob.example.toml; right: docs/configuration.md");
            section = if name == "repositories" { format!("{name}.\"owner/name\"") } else { name.to_owned() };
        } else if let Some((key, _)) = line.split_once(" = ") {
            let meaning = &meanings[&format!("{section}.{key}")];
            assert_eq!(said, *meaning, "left: deploy/hob.example.toml; right: docs/configuration.md");
            explained += 1;
        }
    }
    assert_eq!(explained, meanings.len());
}

#[test]
fn the_configuration_page_has_every_variable() {
    let page = text_of("docs/configuration.md");
    let environment = under(&page, "## Environment");
    for (names, key) in VARIABLES {
        let names: Vec<String> = names.split(", ").map(|name| format!("`{name}`")).collect();
        let key = if key.contains(' ') { (*key).to_owned() } else { format!("`{key}`") };
        let row = format!("| {} | {key} |", names.join(", "));
        assert!(environment.contains(&row), "docs/configuration.md lacks the row {row}");
    }
    for name in KEY_NAMES.iter().chain(&["HOB_CONFIG", "HOB_LOG", "HOB_LOG_FORMAT"]) {
        assert!(environment.contains(&format!("`{name}`")), "docs/configuration.md lacks {name}");
    }
}

#[test]
fn the_settings_that_the_setup_page_shows_can_be_read() {
    let setup = text_of("docs/setup.md");
    let (_, shown) = setup.split_once("```toml\n").expect("an example in TOML");
    let config = parse(shown.split("```").next().unwrap_or_default()).unwrap();
    assert!(config.github.app_id.is_some() && !config.agent.key_files.is_empty());
}

#[test]
fn the_quick_start_of_the_readme_has_all_settings_that_hob_needs() {
    let readme = text_of("README.md");
    let part = under(&readme, "## Quick start");
    let (before, file) = part.split_once("<<'END'\n").expect("a settings file");
    let (file, after) = file.split_once("\nEND\n").expect("its end");
    assert!(before.ends_with("cat >hob.toml "), "{before}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hob.toml");
    std::fs::write(&path, file).unwrap();
    let exported = after.lines().filter_map(|line| line.strip_prefix("export "));
    let variables: Vec<(&str, &str)> = exported.filter_map(|line| line.split_once('=')).collect();
    let environment =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let config = Config::load(Some(&path), &environment).unwrap();
    assert!(config.github.credentials().is_ok() && config.github.poll.is_some());
    assert!(!config.github.repositories.is_empty() && !config.agent.keys.is_empty());
    assert!(variables.iter().any(|(name, _)| *name == "HOB_DATA_DIR"), "{variables:?}");
}

#[test]
fn the_readme_and_the_architecture_are_short() {
    for (page, most) in [("README.md", 150), ("docs/architecture.md", 200)] {
        let lines = text_of(page).lines().count();
        assert!(lines <= most, "{page} has {lines} lines, {most} at most");
    }
}

#[test]
fn the_glossary_has_at_most_thirty_terms_in_order_on_one_line_each() {
    let glossary = text_of("docs/glossary.md");
    let terms: Vec<&str> = glossary.lines().filter(|line| line.starts_with("- ")).collect();
    assert!((20..=30).contains(&terms.len()), "{} terms", terms.len());
    let names: Vec<&str> = terms
        .iter()
        .map(|line| {
            let term = line.strip_prefix("- **").and_then(|rest| rest.split_once("**: "));
            let (name, meaning) = term.unwrap_or_else(|| panic!("not `- **term**: meaning`: {line}"));
            assert!(meaning.ends_with('.'), "{line}");
            name
        })
        .collect();
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    let (_, list) = glossary.split_once("\n- ").expect("terms");
    assert!(list.lines().skip(1).all(|line| line.starts_with("- ")), "a term takes more than one line");
}

/// Every page with the folder that its links start from.
fn pages() -> Vec<String> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("a folder");
    let names = docs.flatten().map(|entry| format!("docs/{}", entry.file_name().to_string_lossy()));
    names.chain(["README.md", "SECURITY.md"].map(str::to_owned)).collect()
}

/// The name by which GitHub lets a link lead to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut found = 0;
    for page in pages() {
        let text = text_of(&page);
        let folder = Path::new(&page).parent().expect("a folder");
        // A link may be wrapped between its words, and not in its address.
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            found += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { Path::new(&page).to_owned() } else { folder.join(file) };
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&target);
            assert!(path.exists(), "{page} links to {link}, which is not there");
            if !heading.is_empty() {
                let target = std::fs::read_to_string(&path).expect("a text");
                let headings = target.lines().filter(|line| line.starts_with('#'));
                let mut headings = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(headings.any(|known| known == heading), "{page} links to {link}: no such heading");
            }
        }
    }
    assert!(found > 50, "only {found} links were found");
}

/// Every page can be reached from the README, directly or by way of other pages.
#[test]
fn every_page_is_linked_from_the_readme_or_from_a_page_that_is() {
    let (mut reached, mut open) = (BTreeSet::new(), vec!["README.md".to_owned()]);
    while let Some(page) = open.pop() {
        if !page.ends_with(".md") || !reached.insert(page.clone()) {
            continue;
        }
        let folder = Path::new(&page).parent().expect("a folder").to_owned();
        let text = text_of(&page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let local =
            links.filter(|link| !link.contains("://") && link.ends_with(".md") && !link.starts_with(".."));
        open.extend(local.map(|link| folder.join(link).to_string_lossy().into_owned()));
    }
    let lost: Vec<String> = pages().into_iter().filter(|page| !reached.contains(page)).collect();
    assert!(lost.is_empty(), "no page links to {lost:?}");
}

#[test]
fn the_drawing_of_states_has_the_moves_of_the_table_and_no_others() {
    let architecture = text_of("docs/architecture.md");
    let drawn: BTreeSet<(&str, &str)> = architecture
        .lines()
        .filter_map(|line| line.trim().split_once(" --> "))
        .map(|(from, to)| (from, to.split(':').next().unwrap_or_default().trim()))
        .filter(|(from, to)| *from != "[*]" && *to != "[*]")
        .collect();
    let legal: BTreeSet<(&str, &str)> = MOVES.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    assert_eq!(drawn, legal, "left: docs/architecture.md; right: src/story.rs");
}

#[test]
fn the_agents_page_has_every_kind_its_keys_and_every_class_of_failure() {
    let agents = text_of("docs/agents.md");
    for kind in AgentKind::ALL {
        let row = format!("| `{kind}` |");
        let row =
            agents.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        for name in kind.key_names() {
            assert!(row.contains(&format!("`{name}`")), "docs/agents.md: the row of {kind} lacks {name}");
        }
    }
    let classes: BTreeSet<String> =
        rows(under(&agents, "## Why a run failed")).into_iter().map(|row| row[0].clone()).collect();
    let known: BTreeSet<String> = FailureClass::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(classes, known, "left: docs/agents.md; right: src/agent/failure.rs");
}

#[test]
fn the_unit_gives_hob_as_long_as_a_stop_may_take() {
    let unit = text_of("deploy/hob.service");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a limit");
    let stop = std::time::Duration::from_secs(stop.parse().expect("seconds"));
    assert!(stop > Config::default().work.drain + hob::serve::GRACE);
    for line in ["Type=notify", "NotifyAccess=main"] {
        assert!(unit.lines().any(|found| found == line), "deploy/hob.service lacks {line}");
    }
}

/// The commands, and the words of errors, that the operator's page names.
#[test]
fn the_page_for_developers_has_each_command_as_the_table_has_it() {
    let page = text_of("docs/using.md");
    let part = under(&page, "## Commands");
    let written: Vec<[String; 3]> =
        TABLE.iter().map(|row| [row.usage, row.does, row.example].map(str::to_owned)).collect();
    assert_eq!(rows(part), written, "left: docs/using.md; right: src/command.rs");
    for row in TABLE {
        assert!(part.contains(&format!("people {}", row.who.describe())), "who may give `{}`", row.name);
    }
    for agent in AgentKind::ALL {
        assert!(part.contains(&format!("`{agent}`")), "{agent}");
    }
    // Three screens.
    assert!(page.lines().count() <= 130, "docs/using.md has {} lines", page.lines().count());
    assert!(text_of("README.md").contains("(docs/using.md)"));
}

#[test]
fn the_operators_page_quotes_what_hob_says() {
    let page = text_of("docs/operations.md");
    for fault in
        [StoreFault::Full, StoreFault::ReadOnly, StoreFault::Corrupt, StoreFault::Busy, StoreFault::Disk]
    {
        let said = fault.advice().split([':', ';', '.']).next().unwrap_or_default();
        assert!(page.contains(said), "docs/operations.md does not explain {said:?}");
    }
    for command in ["hob status", "hob backup", "hob replay", "hob retry", "hob check"] {
        assert!(page.contains(command), "docs/operations.md lacks {command}");
    }
}

#[test]
fn a_script_that_changes_the_machine_tells_what_it_does_before_it_does_anything() {
    for script in ["deploy/test.sh", "deploy/prepare.sh", "deploy/mutations.sh"] {
        let mut told = Command::new("bash");
        // Without Rust and a home, none of them would get far.
        told.args([script, "--help"]).env_clear().env("PATH", "/usr/bin:/bin");
        let told = told.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("a shell");
        let words = String::from_utf8_lossy(&told.stdout);
        assert!(told.status.success() && words.starts_with(&format!("Usage: {script}")), "{script}: {words}");
    }
}

#[tokio::test]
async fn the_agent_that_is_printed_as_an_example_works() {
    let agents = text_of("docs/agents.md");
    let (_, script) = agents.split_once("```sh\n").expect("an example in sh");
    let script = script.split("```").next().unwrap_or_default().to_owned();
    let w = World::with(|config| {
        config.agent.kind = AgentKind::Command;
        config.agent.command = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
    })
    .await;
    let issue = w.alice().opens_issue("Paint the door", "In a colour of your choice.").await;
    w.alice().labels(issue, "hob").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("Which colour?\n\n- [ ] red\n- [ ] green"), "{question}");
    w.alice().comments(issue, "green, please").await;
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.file_at(REPO, &pull.head, "colour.txt").as_deref(), Some("green, please\n"));
    assert!(pull.body.contains("The colour is in `colour.txt`."), "{}", pull.body);
    w.next_comment(issue).await;
    w.finish().await;
}

/// Every function in `src` and `tests`, with the module that its path ends in.
fn functions() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // `agent/tests.rs` belongs to `agent`, as `mod tests` belongs to its file.
                let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
                let named = if is_tests { folder.file_name() } else { path.file_stem() };
                let module = named.expect("a name").to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).expect("a text");
                let names = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
                found.extend(names.map(|(name, _)| (module.clone(), name.to_owned())));
            }
        }
    }
    found
}

#[test]
fn every_row_of_the_parity_table_names_tests_that_exist_or_is_open() {
    let (text, functions) = (text_of("docs/runner.md"), functions());
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| tests |"));
    let rows: Vec<&str> = rows.collect();
    assert!(rows.len() > 40, "only {} rows were found", rows.len());
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || row.contains("**Open**"), "no test: {row}");
        for name in names {
            let (module, function) = name.rsplit_once("::").unwrap_or_else(|| panic!("no module: {name}"));
            let module = module.trim_end_matches("::tests").rsplit("::").next().unwrap_or_default();
            let is_there = functions.contains(&(module.to_owned(), function.to_owned()));
            assert!(is_there, "docs/runner.md names {name}, which is not there");
        }
    }
}
