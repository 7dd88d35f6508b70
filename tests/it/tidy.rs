//! The shape of the source: floors, the one place for SQL and for each wire type, and no git
//! program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floors of `docs/architecture.md`, lowest first.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["clock", "config", "event", "fail_point", "ids", "lanes", "markdown", "paths", "heartbeat"]),
    (1, &["agent", "command", "message", "prompt", "redact", "story"]),
    (2, &["account", "container", "egress", "exchange", "git", "github", "store"]),
    (3, &["catch_up", "deliver", "intake", "sweep", "work"]),
    (4, &["http", "serve"]),
    (5, &["cli", "main"]),
];

/// On the two pure floors, and where the process is wired, modules may know each other as long as
/// it is no circle. These are the ones that do: the first imports the second.
const FRIENDS: &[(&str, &str)] = &[
    ("config", "ids"),
    ("event", "ids"),
    ("paths", "ids"),
    ("paths", "fail_point"),
    ("story", "agent"),
    ("message", "agent"),
    ("message", "story"),
    ("message", "command"),
    ("command", "story"),
    ("prompt", "story"),
    ("prompt", "ids"),
    ("serve", "http"),
    ("main", "cli"),
];

fn floor(module: &str) -> u8 {
    let found = FLOORS.iter().find(|(_, modules)| modules.contains(&module));
    found.unwrap_or_else(|| panic!("`{module}` is on no floor; give it one in tests/it/tidy.rs")).0
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with the module of the top level that it belongs to, tests at its end cut off.
fn files() -> Vec<(PathBuf, String, String)> {
    let mut found = Vec::new();
    collect(&source(), &mut found);
    assert!(found.len() > 40, "only {} source files were found", found.len());
    found
}

/// Every Rust file of the sources and the tests, whole.
fn all_files() -> Vec<(PathBuf, String)> {
    let mut folders = vec![source(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 300, "only {} files were found", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String, String)>) {
    for entry in std::fs::read_dir(folder).expect("src can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let relative = path.strip_prefix(source()).expect("inside src").to_owned();
            let first =
                relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).expect("a text");
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            found.push((relative, module, text));
        }
    }
}

/// The modules of the top level that a text names as `crate::MODULE`.
fn named(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| {
        line.split("crate::").skip(1).map(|rest| {
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
        })
    })
    .collect()
}

#[test]
fn a_module_imports_only_from_floors_below() {
    for (path, module, text) in files() {
        if module == "lib" {
            continue;
        }
        for used in named(&text).into_iter().filter(|used| *used != module) {
            let below = floor(&used) < floor(&module);
            let friends = FRIENDS.contains(&(module.as_str(), used.as_str()));
            assert!(below || friends, "{} imports `{used}`, which is not below it", path.display());
        }
    }
}

#[test]
fn wire_types_stop_at_their_adapter() {
    let homes = BTreeMap::from([
        ("octocrab::", "github"),
        ("bollard::", "container"),
        ("git2::", "git"),
        ("sqlx::", "store"),
        ("clap::", "cli"),
        ("toml::", "config"),
        ("minijinja::", "prompt"),
        ("comrak::", "markdown"),
    ]);
    for (path, module, text) in files() {
        for (name, home) in &homes {
            assert!(!text.contains(name) || module == *home, "{} uses {name}", path.display());
        }
    }
}

#[test]
fn the_host_never_starts_the_git_program() {
    for (path, _, text) in files() {
        for call in ["Command::new(\"git\")", "Command::new(\"docker\")", "Command::new(\"sh\")"] {
            assert!(!text.contains(call), "{} has {call}", path.display());
        }
    }
}

/// Each of these panics where nobody reads.
#[test]
fn nothing_is_printed_that_must_be_read() {
    for (path, _, text) in files() {
        for call in ["println!(", "print!(", "dbg!("] {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let found: Vec<&str> = code.filter(|line| line.contains(call)).collect();
            assert!(found.is_empty(), "{} has {found:?}; use cli/out.rs", path.display());
        }
    }
}

#[test]
fn no_file_is_a_mod_rs_and_each_begins_with_what_it_is_for() {
    for (path, _, text) in files() {
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
    }
}

/// Names of types that two public types have. Nothing is added here; a name goes when it is unique.
const DUPLICATE_TYPES: &[&str] = &[
    "Author",
    "Change",
    "CheckState",
    "Comment",
    "Credentials",
    "Exit",
    "FollowBase",
    "GitHub",
    "Limits",
    "Listed",
    "Policy",
    "Prompt",
    "Pull",
    "Pushed",
    "ReactTo",
    "Report",
    "Review",
    "Stream",
    "Verdict",
];

/// Words that hob no longer uses in its sources and its documentation, each with the one to use.
const RETIRED: &[(&str, &str)] = &[
    ("anew", "again"),
    ("be it", "whether"),
    ("heed", "follow"),
    ("in vain", "without success"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mends", "fixes"),
    ("oftener", "more often"),
    ("seldom", "rarely"),
    ("whoever", "anyone who"),
    ("hitch", "StepError"),
    ("howstopped", "StopReason"),
    ("stopwanted", "StopReason"),
    ("whystopped", "StopReason"),
];

/// A reader who knows GitHub, Docker, git and SQL finds no second word for one thing.
#[test]
fn no_retired_word_is_used() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = std::fs::read_dir(docs).expect("the documentation").flatten().map(|entry| entry.path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(&path).expect("a page"));
    let sources = files().into_iter().map(|(path, _, text)| (path.display().to_string(), text));
    for (path, text) in pages.map(read).chain(sources) {
        let words = text.to_lowercase();
        let words: Vec<&str> = words.split(|c: char| !c.is_alphanumeric()).collect();
        let words = format!(" {} ", words.join(" "));
        for (retired, better) in RETIRED {
            assert!(!words.contains(&format!(" {retired} ")), "{path}: not `{retired}` but `{better}`");
        }
    }
}

/// The names of the types that a text declares `pub` at its outermost level.
fn public_types(text: &str) -> Vec<String> {
    let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
    let declared = text.lines().filter_map(|line| line.strip_prefix("pub "));
    let names = declared.filter_map(|rest| kinds.iter().find_map(|kind| rest.strip_prefix(kind)));
    names.map(|name| name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
}

#[test]
fn no_public_type_has_the_name_of_another() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, _, text) in files() {
        for name in public_types(&text) {
            places.entry(name).or_default().push(path.display().to_string());
        }
    }
    assert!(places.len() > 200, "only {} public types were found", places.len());
    let is_listed = |name: &str| DUPLICATE_TYPES.contains(&name);
    let clash = places.iter().find(|(name, paths)| paths.len() > 1 && !is_listed(name));
    assert!(clash.is_none(), "two public types have one name; rename one of them: {clash:?}");
    for name in DUPLICATE_TYPES {
        let is_duplicate = places.get(*name).is_some_and(|paths| paths.len() > 1);
        assert!(is_duplicate, "`{name}` is unique now; remove it from DUPLICATE_TYPES");
    }
}

/// A doc comment such as `Which.` repeats a name or says less. Code, such as `owner/name`, shows a
/// form.
#[test]
fn no_doc_comment_is_a_single_word() {
    let is_doc = |line: &&str| line.trim_start().starts_with("///") || line.starts_with("//!");
    for (path, _, text) in files() {
        let lines: Vec<&str> = text.lines().collect();
        for comment in lines.chunk_by(|one, other| is_doc(one) == is_doc(other)) {
            let [line] = comment else { continue };
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let is_word = matches!(words.as_slice(), [word] if !word.starts_with('`'));
            assert!(!is_doc(line) || !is_word, "{} has `{}`", path.display(), line.trim());
        }
    }
}

#[test]
fn comment_lines_end_at_column_100() {
    for (path, text) in all_files() {
        for (number, line) in (1..).zip(text.lines()) {
            let is_long = line.trim_start().starts_with("//") && line.chars().count() > 100;
            assert!(!is_long, "{}:{number} is longer than 100 columns", path.display());
        }
    }
}
