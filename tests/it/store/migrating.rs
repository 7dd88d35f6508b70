//! Stores of earlier schemas, with everything in them, meet this hob. Each shipped schema has a
//! dump in `tests/data/store`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hob::ids::TaskId;
use hob::store::{self, NewAnswers, Recorded, Store};
use hob::story::budget::Amount;
use hob::story::{PartAnswer, QuestionKind, RunReason, TaskState};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::{change, open_raw, quick_check};
use crate::world::World;

/// How the rows of each table were ordered before there was a `seq`.
const ORDER_OF_1: [(&str, &str); 5] = [
    ("deliveries", "received_at, guid"),
    ("tasks", "created_at, id"),
    ("runs", "id"),
    ("questions", "asked_at, id"),
    ("effects", "id"),
];

fn dump(version: i64) -> String {
    let path = dump_path(version);
    std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!("{}: {e}. A schema that has shipped needs a store with everything in it, as `sqlite3 .dump` writes it", path.display())
    })
}

/// The schemas that operators may have. A version of hob brings several steps at once, and what is
/// between them nobody has.
fn shipped() -> impl Iterator<Item = i64> {
    (1..=5).chain((6..Store::newest_schema()).filter(|version| dump_path(*version).exists()))
}

fn dump_path(version: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/store/version-{version}.sql"))
}

pub(super) async fn load(version: i64, file: &Path) {
    let made = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await;
    let mut connection = made.expect("a new file");
    sqlx::raw_sql(AssertSqlSafe(dump(version))).execute(&mut connection).await.expect("the dump is SQL");
    connection.close().await.expect("the store closes");
}

async fn texts(connection: &mut SqliteConnection, sql: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

fn key(table: &str) -> &'static str {
    if table == "deliveries" { "guid" } else { "id" }
}

/// The keys of every table, in the order in which hob works its rows off.
async fn keys(file: &Path, version: i64) -> BTreeMap<&'static str, Vec<String>> {
    let mut connection = open_raw(file).await;
    let mut found = BTreeMap::new();
    for (table, first_order) in ORDER_OF_1 {
        let order = if version == 1 { first_order } else { "seq" };
        let sql = format!("SELECT {} FROM {table} ORDER BY {order}", key(table));
        found.insert(table, texts(&mut connection, sql).await);
    }
    found.insert(
        "stories",
        texts(&mut connection, "SELECT id FROM stories ORDER BY created_at, id".to_owned()).await,
    );
    connection.close().await.expect("the store closes");
    found
}

#[tokio::test]
async fn a_store_of_every_earlier_schema_is_brought_up_to_date_with_everything_in_it() {
    for version in shipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hob.db");
        load(version, &file).await;
        let before = keys(&file, version).await;
        for (table, rows) in &before {
            assert!(!rows.is_empty(), "version-{version}.sql has nothing in {table}");
        }
        let store = Store::open(&file).await.unwrap_or_else(|e| panic!("schema {version}: {e:#}"));
        everything_reads(&store, &before).await;
        let store = answer_whatever_waits(store).await;
        store.close().await;
        let newest = Store::newest_schema();
        assert_eq!(keys(&file, newest).await["tasks"], before["tasks"], "the order is kept");
        assert_eq!(keys(&file, newest).await["effects"][..before["effects"].len()], before["effects"]);
        assert_eq!(keys(&file, newest).await["questions"], before["questions"]);
        let mut raw = open_raw(&file).await;
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&mut raw)
                .await
                .expect("the steps");
        assert!(applied.is_sorted() && applied.starts_with(&[1, 2, 3, 4, 5]), "{applied:?}");
        assert_eq!(applied.last(), Some(&newest));
        raw.close().await.expect("the store closes");
        let copy = folder.path().join("copy.db");
        store::backup(&file, &copy).await.expect("a backup");
        Store::open(&copy).await.expect("the backup of a migrated store opens").close().await;
    }
}

/// Every row, through the store's own functions.
async fn everything_reads(store: &Store, before: &BTreeMap<&'static str, Vec<String>>) {
    for guid in &before["deliveries"] {
        assert!(store.has_delivery(guid).await.unwrap(), "delivery {guid}");
        assert!(store.recorded_delivery(guid).await.unwrap().is_some());
    }
    let stories = store.stories().await.unwrap();
    let read: Vec<String> = stories.iter().map(|story| story.id.to_string()).collect();
    assert_eq!(read, before["stories"]);
    let (mut tasks, mut runs, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    for story in &stories {
        store.held_back(story.id).await.unwrap();
        for task in store.tasks_of(story.id).await.unwrap() {
            runs.extend(store.runs_of(&task).await.unwrap().into_iter().map(|run| run.id.to_string()));
            tasks.push(task.id.to_string());
        }
        let asked = store.questions(story.id).await.unwrap();
        // What was asked and answered before there were cards reads as a card of one part.
        for (asked, card) in asked.iter().zip(store.cards_of(story.id).await.unwrap()) {
            let given = card.answers.into_iter().map(|given| given.map(|given| given.answer));
            assert_eq!(given.collect::<Vec<_>>(), std::slice::from_ref(&asked.answer), "{}", asked.id);
            assert_eq!((card.id, card.on, card.comment), (asked.id, story.issue, asked.comment));
        }
        questions.extend(asked.into_iter().map(|asked| asked.id.to_string()));
        let known = store.repository(&story.repo).await.unwrap();
        assert!(known.is_some(), "{} is known from its stories", story.repo);
    }
    for (read, table) in [(tasks, "tasks"), (runs, "runs"), (questions, "questions")] {
        let mut wanted = before[table].clone();
        let mut read = read;
        wanted.sort();
        read.sort();
        assert_eq!(read, wanted, "{table}");
    }
    let status = store.status().await.unwrap();
    assert_eq!(status.schema, Store::newest_schema());
    // Those that are done are read when they are asked for again; so have all of them be wanted
    // once.
    assert_eq!(status.effects.len() as u64, {
        let (wanted, parked) = store.effect_counts().await.unwrap();
        wanted + parked
    });
}

/// Answers every open question as a person would, and sees its task go on. Then reads every effect.
async fn answer_whatever_waits(store: Store) -> Store {
    let mut answered: Vec<TaskId> = Vec::new();
    for story in store.stories().await.unwrap() {
        let Some(asked) = store.open_question(story.id).await.unwrap() else { continue };
        let guid = format!("answer-{}", asked.id);
        assert_eq!(store.record_delivery(&guid, "issue_comment", b"{}", None).await.unwrap(), Recorded::New);
        let answers = vec![PartAnswer { part: 0, text: "Leave it out.".to_owned() }];
        let new = NewAnswers { question: asked.id, answers, by: "alice".to_owned() };
        assert!(store.answer(&guid, &new, &[]).await.unwrap(), "{}", asked.id);
        let now = store.questions(story.id).await.unwrap().into_iter().find(|now| now.id == asked.id);
        let answer = now.and_then(|now| now.answer).map(|answer| (answer.by, answer.text));
        assert_eq!(answer, Some(("alice".to_owned(), "Leave it out.".to_owned())));
        let task = store.open_task_of(story.id).await.unwrap().expect("it goes on");
        assert_eq!((task.state, task.turn), (TaskState::Queued, RunReason::Answer { question: asked.id }));
        answered.push(task.id);
    }
    assert!(!answered.is_empty(), "the dump has stories that wait");
    store.release_all_tasks().await.unwrap();
    let mut claimed = Vec::new();
    while let Some(task) =
        store.claim_task(Duration::from_secs(60), &hob::store::Sharing::default()).await.unwrap()
    {
        claimed.push(task.id);
    }
    assert!(answered.iter().all(|task| claimed.contains(task)), "what was answered is worked on");
    store
}

#[tokio::test]
async fn every_effect_of_an_earlier_schema_can_be_read_and_carried_out() {
    for version in shipped() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hob.db");
        load(version, &file).await;
        // As if GitHub had been away all the time.
        change(&file, "UPDATE effects SET state = 'wanted', attempts = 0, not_before = 0").await;
        let wanted = keys(&file, version).await.remove("effects").expect("effects");
        let store = Store::open(&file).await.expect("the store opens");
        let mut carried_out = Vec::new();
        loop {
            let due = store.due_effects().await.expect("each can be read");
            if due.is_empty() {
                break;
            }
            for effect in due {
                store.effect_done(effect.id).await.expect("it is done");
                carried_out.push(effect.id.to_string());
            }
        }
        carried_out.sort();
        let mut wanted = wanted;
        wanted.sort();
        assert_eq!(carried_out, wanted);
        store.close().await;
    }
}

#[tokio::test]
async fn a_step_that_fails_changes_nothing_and_succeeds_once_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hob.db");
    load(1, &file).await;
    let before = schema(&file).await;
    // The last table that the second step makes is there already, so that it fails after most of
    // its work.
    change(&file, "CREATE TABLE repositories (in_the_way TEXT)").await;
    let error = format!("{:#}", Store::open(&file).await.expect_err("the step fails"));
    assert!(error.contains("migrating the store") && error.contains("repositories"), "{error}");
    change(&file, "DROP TABLE repositories").await;
    assert_eq!(schema(&file).await, before, "nothing of the step is left");
    Store::open(&file).await.expect("now it succeeds").close().await;
    assert_eq!(quick_check(&file).await, "ok");
}

async fn schema(file: &Path) -> Vec<String> {
    let mut raw = open_raw(file).await;
    let steps = "SELECT CAST(version AS TEXT) FROM _sqlx_migrations ORDER BY version".to_owned();
    let tables = "SELECT COALESCE(sql, name) FROM sqlite_master ORDER BY name".to_owned();
    let found = [texts(&mut raw, steps).await, texts(&mut raw, tables).await].concat();
    raw.close().await.expect("the store closes");
    found
}

#[tokio::test]
async fn a_question_of_each_kind_keeps_its_kind_and_what_it_is_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hob.db");
    load(5, &file).await;
    change(&file, "UPDATE questions SET is_plan = 1 WHERE seq = 1").await;
    change(
        &file,
        r#"UPDATE questions SET question = json_set(question, '$.at_cap', json('{"reached": {"scope": "story",
               "cap": {"usd": 5.0}, "used": {"usd": 5.2}, "more": {"usd": 5.0}}, "asked_at": "2026-11-20T10:00:00Z"}'))
           WHERE seq = 2"#,
    )
    .await;
    let store = Store::open(&file).await.expect("schema 5");
    let mut kinds = BTreeMap::new();
    for story in store.stories().await.unwrap() {
        for card in store.cards_of(story.id).await.unwrap() {
            kinds.insert(card.id.to_string(), card.kind);
            let held_back = store.held_back(story.id).await.unwrap();
            assert_eq!(
                held_back.iter().any(|asked| asked.id == card.id),
                card.kind == QuestionKind::Protected
            );
            let about_cap = store.at_cap(card.id).await.unwrap();
            assert_eq!(about_cap.is_some(), card.kind == QuestionKind::Cap);
            if let Some(asked) = about_cap {
                assert_eq!(asked.at_cap.reached.used, Amount::Usd(5.2));
            }
        }
    }
    let in_order: Vec<QuestionKind> = kinds.into_values().collect();
    assert_eq!(
        in_order,
        [QuestionKind::Plan, QuestionKind::Cap, QuestionKind::Protected, QuestionKind::Agent]
    );
    store.close().await;
}

#[tokio::test]
async fn a_hob_that_is_killed_in_the_middle_of_a_step_leaves_the_old_schema() {
    let w = World::prepare(|_| {}).await;
    std::fs::create_dir_all(w.data()).expect("a folder");
    let file = w.data().join("hob.db");
    load(1, &file).await;
    // So much that the step takes a while, and has to write before it is through.
    change(
        &file,
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)
         INSERT INTO deliveries (guid, event, body, received_at, state)
         SELECT 'guid-' || n, 'issues', X'7b7d', n, 'done' FROM n",
    )
    .await;
    let (before, rows) = (schema(&file).await, keys(&file, 1).await);
    kill_while_it_migrates(&w, &file.with_extension("db-wal")).await;
    assert_eq!(schema(&file).await, before, "a power cut there leaves what was before");
    assert!(keys(&file, 1).await == rows, "rows were lost");
    assert_eq!(quick_check(&file).await, "ok");

    let hob = w.start_program().await;
    assert_eq!(hob.terminate().await, Some(0));
    assert!(keys(&file, Store::newest_schema()).await["deliveries"].len() == rows["deliveries"].len());
    w.finish().await;
}

/// Starts hob and kills it as soon as it has written a good part of what it has to.
async fn kill_while_it_migrates(w: &World, log: &PathBuf) {
    let mut child = w.spawn_program();
    w.eventually("the step to be under way", async || {
        (std::fs::metadata(log).ok()?.len() > 2 << 20).then_some(())
    })
    .await;
    child.kill().await.expect("it ends");
}

#[tokio::test]
async fn commands_refuse_an_earlier_schema_and_change_nothing() {
    let w = World::prepare(|_| {}).await;
    std::fs::create_dir_all(w.data()).expect("a folder");
    let file = w.data().join("hob.db");
    load(1, &file).await;
    let before = std::fs::read(&file).expect("the store");
    for arguments in [&["status"][..], &["replay", "x"], &["retry", "--all"]] {
        let (code, said) = w.command(arguments).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("it has schema 1, but this version of hob requires"), "{said}");
    }
    let (_, said) = w.command(&["check"]).await;
    assert!(said.contains("is intact; `hob serve` migrates it from schema 1 to"), "{said}");
    assert!(std::fs::read(&file).expect("the store") == before, "the file was changed");
    // A backup before the upgrade is what one wants.
    let copy = w.folder().join("before.db");
    assert_eq!(w.command(&["backup", copy.to_str().expect("a path")]).await.0, Some(0));
    assert_eq!(schema(&copy).await, schema(&file).await);
    let mut raw = open_raw(&copy).await;
    raw.execute("SELECT COUNT(*) FROM tasks").await.expect("it reads");
    raw.close().await.expect("the store closes");
}
