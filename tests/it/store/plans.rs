//! How SQLite carries out each statement of the store: none that runs again and again may read a
//! whole table that grows with what was ever done. The statements are read off the source, so that
//! a new one is here before anybody has thought of it.

use std::collections::BTreeMap;
use std::path::Path;

use hob::store::Store;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::open_raw;

/// Indexes over what is open: they are as long as there is something to do.
const BOUNDED: &[&str] = &[
    "deliveries_arrived",
    "deliveries_new",
    "deliveries_next",
    "deliveries_unsettled",
    "effects_due",
    "effects_next",
    "effects_parked",
    "effects_recheck",
    "effects_wanted",
    "rests_to_recheck",
    "stories_to_check",
    "stories_to_show",
    "stories_with_session",
    "tasks_blocked",
    "tasks_leased",
    "tasks_one_at_a_time",
    "tasks_open",
    "tasks_queued",
    "tasks_queued_of_story",
    "tasks_to_check_again",
    "tasks_to_save",
    "tasks_under_way",
];

/// Tables that are no longer than there are repositories, agents, or issues that wait for others.
const SMALL: &[&str] = &["agent_limits", "meta", "repositories", "sqlite_master", "wishes"];

/// Statements that may read everything, by how they begin, and why.
const MAY_SCAN: &[(&str, &str)] = &[
    (
        "SELECT * FROM stories ORDER BY created_at, id",
        "only tests and the operator's commands list all stories",
    ),
    ("UPDATE OR IGNORE deliveries", "once for each repository, when its id is learned"),
    ("UPDATE {table} SET {column}", "once, when the clock was put back"),
    (
        "INSERT INTO stories ",
        "SQLite plans to look for rows that wait for this one, and carries it out only if some do",
    ),
];

/// What is put in while hob runs: the file, the name in the source, and each text that can stand
/// there.
const PARTS: &[(&str, &str, &[&str])] = &[
    (
        "cards.rs",
        "condition",
        &[
            "q.id = $1",
            "q.story = $1",
            "q.id IN (SELECT asked.id FROM tasks AS waiting CROSS JOIN questions AS asked
                      WHERE waiting.state = 'blocked' AND asked.task = waiting.id AND asked.answer IS NULL)",
        ],
    ),
    ("retention.rs", "condition", &["s.id = $2"]),
];

/// A statement and where it stands.
struct Statement {
    place: String,
    sql: String,
}

/// The texts between quotation marks of a source file, without what its tests have.
fn texts(source: &str) -> Vec<(usize, String)> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut found, mut at, mut line) = (Vec::new(), source.chars().peekable(), 1);
    while let Some(c) = at.next() {
        match c {
            '\n' => line += 1,
            '/' if at.peek() == Some(&'/') => while at.next_if(|c| *c != '\n').is_some() {},
            // A character, and not a lifetime.
            '\'' => {
                let mut ahead = at.clone();
                let first = ahead.next();
                let second = ahead.next();
                if first == Some('\\') {
                    at.nth(1);
                    at.next();
                } else if second == Some('\'') {
                    at.nth(1);
                }
            }
            '"' => {
                let (begins, mut text) = (line, String::new());
                while let Some(c) = at.next() {
                    match c {
                        '"' => break,
                        '\\' => match at.next() {
                            Some('\n') => {
                                line += 1;
                                while let Some(c) = at.next_if(|c| c.is_whitespace()) {
                                    line += usize::from(c == '\n');
                                }
                            }
                            Some(other) => text.push(other),
                            None => {}
                        },
                        c => {
                            line += usize::from(c == '\n');
                            text.push(c);
                        }
                    }
                }
                found.push((begins, text));
            }
            _ => {}
        }
    }
    found
}

/// The constants of the store that are parts of statements.
fn constants(sources: &[(String, String)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (_, source) in sources {
        for part in source.split("const ").skip(1) {
            let Some((name, rest)) = part.split_once(": &str =") else { continue };
            if let Some((_, text)) = texts(rest).into_iter().next() {
                found.insert(name.trim().to_owned(), text);
            }
        }
    }
    found
}

fn statements() -> Vec<Statement> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut sources: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("src/store can be listed")
        .flatten()
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).expect("a text"))
        })
        .collect();
    sources.sort();
    let constants = constants(&sources);
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
    let mut found = Vec::new();
    for (name, source) in &sources {
        for (line, text) in texts(source) {
            let text = text.trim().to_owned();
            let is_part = constants.values().any(|value| value.trim() == text);
            if is_part
                || !verbs.iter().any(|verb| text.starts_with(verb))
                || text.contains("_sqlx_migrations")
            {
                continue;
            }
            let mut sql = text;
            for _ in 0..3 {
                for (constant, value) in &constants {
                    sql = sql.replace(&format!("{{{constant}}}"), value);
                }
            }
            let place = format!("src/store/{name}:{line}");
            let parts = PARTS.iter().find(|(of, part, _)| of == name && sql.contains(&format!("{{{part}}}")));
            match parts {
                Some((_, part, values)) => found.extend(values.iter().map(|value| Statement {
                    place: place.clone(),
                    sql: sql.replace(&format!("{{{part}}}"), value),
                })),
                None => found.push(Statement { place, sql }),
            }
        }
    }
    found
}

/// The tables behind the names that a statement gives them.
fn names(sql: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> =
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let aliases = words.windows(3).filter(|three| three[1] == "AS");
    aliases.map(|three| (three[2].to_owned(), three[0].to_owned())).collect()
}

async fn plan(raw: &mut SqliteConnection, statement: &Statement) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let mut query = sqlx::query(AssertSqlSafe(explain));
    for _ in 0..20 {
        query = query.bind(None::<i64>);
    }
    let rows = query.fetch_all(raw).await.unwrap_or_else(|error| {
        panic!(
            "{}: {error}. A part that is put in while hob runs needs a line in PARTS.\n{}",
            statement.place, statement.sql
        )
    });
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

/// What a line of a plan reads as a whole, if that can be a table that grows.
fn reads_all(line: &str, tables: &[String], names: &BTreeMap<String, String>) -> Option<String> {
    let mut words = line.strip_prefix("SCAN ")?.split_whitespace();
    let name = words.next()?;
    let table = names.get(name).map_or(name, String::as_str);
    let index = line.split("INDEX ").nth(1).unwrap_or_default();
    let is_bounded =
        BOUNDED.contains(&index) || SMALL.contains(&table) || !tables.iter().any(|known| known == table);
    (!is_bounded).then(|| table.to_owned())
}

#[tokio::test]
async fn no_statement_reads_a_table_that_grows_but_those_that_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hob.db");
    Store::open(&file).await.expect("the store opens").close().await;
    let mut raw = open_raw(&file).await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
            .fetch_all(&mut raw)
            .await
            .expect("tables");
    let statements = statements();
    assert!(statements.len() > 200, "only {} statements were found", statements.len());
    let (mut scan, mut excused) = (Vec::new(), vec![false; MAY_SCAN.len()]);
    for statement in &statements {
        let may = MAY_SCAN.iter().position(|(begin, _)| statement.sql.starts_with(begin));
        if let Some(at) = may {
            excused[at] = true;
            continue;
        }
        let names = names(&statement.sql);
        for line in plan(&mut raw, statement).await {
            if let Some(table) = reads_all(&line, &tables, &names) {
                scan.push(format!("{} reads all of {table}: {line}", statement.place));
            }
        }
    }
    raw.close().await.expect("the store closes");
    assert!(scan.is_empty(), "{}", scan.join("\n"));
    let unused: Vec<&str> =
        MAY_SCAN.iter().zip(&excused).filter(|(_, used)| !**used).map(|((begin, _), _)| *begin).collect();
    assert!(unused.is_empty(), "nobody says this any more: {unused:?}");
}
