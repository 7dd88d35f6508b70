//! Opening the store: the file and how SQLite treats it, its schema brought up to date, and what
//! keeps hob from working with a file that it should leave alone. Also its copy, `hob backup`.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::fault::Damaged;
use super::{Store, StoreFault};
use crate::fail_point::{Timing, reach};

/// The schema, oldest step first. A step is never edited once it has shipped.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "reliability", include_str!("../../migrations/0002_reliability.sql")),
    (3, "conversation", include_str!("../../migrations/0003_conversation.sql")),
    (4, "pull_requests", include_str!("../../migrations/0004_pull_requests.sql")),
    (5, "pull_since", include_str!("../../migrations/0005_pull_since.sql")),
    (6, "identity", include_str!("../../migrations/0006_identity.sql")),
    (7, "outcome", include_str!("../../migrations/0007_outcome.sql")),
    (10, "bounded_costs", include_str!("../../migrations/0010_bounded_costs.sql")),
    (11, "names", include_str!("../../migrations/0011_names.sql")),
    (12, "question-kind", include_str!("../../migrations/0012_question_kind.sql")),
];

/// How long a statement waits for another process that holds the file, a backup for example.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers beside the one writer, one of which is kept to look for changes. WAL lets them go on
/// while it writes.
const READERS: u32 = 5;

impl Store {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// If a newer hob has written it, if it is damaged, or if it cannot be opened or written; the
    /// text says what to do.
    pub async fn open(file: &Path) -> anyhow::Result<Store> {
        Self::opened(file).await.map_err(|error| advised(error, file))
    }

    async fn opened(file: &Path) -> anyhow::Result<Store> {
        // Before anything can change it: a file that hob has to leave alone stays as it is, to the
        // byte.
        look_closely(file).await?;
        make_private(file);
        let options = options(file);
        let writer = writer(options.clone().create_if_missing(true)).await?;
        migrator().run(&writer).await.context("migrating the store")?;
        Self::with(file, writer, options).await
    }

    /// Opens the file of a hob that may be running, for a command beside it. Its schema must be
    /// this one's: a command migrates nothing.
    pub async fn open_beside(file: &Path) -> anyhow::Result<Store> {
        Self::opened_beside(file).await.map_err(|error| advised(error, file))
    }

    async fn opened_beside(file: &Path) -> anyhow::Result<Store> {
        anyhow::ensure!(file.exists(), "it does not exist; `hob serve` creates it");
        let mut looking = read_only(file).connect().await?;
        let found = known_schema(&mut looking).await?;
        looking.close().await?;
        let known = Self::newest_schema();
        anyhow::ensure!(
            found == known,
            "it has schema {found}, but this version of hob requires {known}. Nothing was changed. Run `hob serve` of \
            this version to migrate the store, or use the version of hob that wrote it"
        );
        let options = options(file);
        Self::with(file, writer(options.clone()).await?, options).await
    }

    async fn with(file: &Path, writer: SqlitePool, options: SqliteConnectOptions) -> anyhow::Result<Store> {
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Store { writer, reader, wakes: Arc::default(), broken: Arc::default(), file: file.into() })
    }

    /// The number of the newest step of the schema that this hob knows.
    pub fn newest_schema() -> i64 {
        MIGRATIONS.last().map_or(0, |(version, ..)| *version)
    }
}

/// Lets only its owner read and write it: it holds what people wrote in private repositories.
/// SQLite gives the files beside it the same mode. Where this does not succeed SQLite says what is
/// wrong.
fn make_private(file: &Path) {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    drop(made);
    for name in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(name);
        let path = Path::new(&path);
        let is_open = path.metadata().is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
        if is_open && let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(0o600)) {
            tracing::warn!(file = %path.display(), %error, "restricting access to the store's file failed");
        }
    }
}

/// The schema of a store that is whole and that this hob can work with, or bring up to date; `None`
/// where there is no store yet. Changes nothing. Reads the whole file: some milliseconds a
/// megabyte.
///
/// # Errors
/// As [`Store::open`].
pub async fn look_at(file: &Path) -> anyhow::Result<Option<i64>> {
    look_closely(file).await.map_err(|error| advised(error, file))
}

async fn look_closely(file: &Path) -> anyhow::Result<Option<i64>> {
    if !file.try_exists().context("checking whether it exists")? {
        return Ok(None);
    }
    let mut connection = read_only(file).connect().await?;
    let schema = known_schema(&mut connection).await?;
    // A damaged file is found now and not in the middle of a task.
    let found: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_all(&mut connection).await?;
    connection.close().await?;
    if found == ["ok"] {
        return Ok(Some(schema));
    }
    Err(Damaged(found.join("; ")).into())
}

/// The error with the file's name, and with what can be done where that is known.
fn advised(error: anyhow::Error, file: &Path) -> anyhow::Error {
    let advice = StoreFault::at(&error, file).map(StoreFault::advice);
    let error = error.context(format!("opening the store {}", file.display()));
    match advice {
        Some(advice) => error.context(advice),
        None => error,
    }
}

/// Copies a store to a new file, also while a hob works with it. What was committed before is in
/// the copy, what comes after is not, and nothing is half there. The copy appears under its name
/// when it is whole and on disk.
pub async fn backup(store: &Path, to: &Path) -> anyhow::Result<u64> {
    anyhow::ensure!(store.exists(), "the store {} does not exist", store.display());
    anyhow::ensure!(!to.exists(), "{} already exists; nothing was written", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In a folder of its own beside its place: SQLite wants to make the file, and nobody else may
    // read it.
    let draft = tempfile::Builder::new()
        .prefix(".hob-backup-")
        .tempdir_in(folder)
        .with_context(|| format!("creating a temporary folder in {}", folder.display()))?;
    let copy = draft.path().join("hob.db");
    copy_store(store, &copy).await.map_err(|error| advised(error, store))?;
    let file = File::open(&copy).context("opening the copy")?;
    // It holds what people wrote in private repositories.
    file.set_permissions(Permissions::from_mode(0o600)).context("restricting access to the copy")?;
    file.sync_all().context("writing the copy to disk")?;
    reach("disk", "backup", Timing::Before);
    // Not `rename`, which would replace a file that somebody has put there meanwhile.
    std::fs::hard_link(&copy, to).with_context(|| format!("putting the copy at {}", to.display()))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .context("writing the copy's directory entry to disk")?;
    reach("disk", "backup", Timing::After);
    Ok(file.metadata().context("reading the copy's size")?.len())
}

async fn copy_store(store: &Path, copy: &Path) -> anyhow::Result<()> {
    let mut connection = read_only(store).connect().await?;
    sqlx::query("VACUUM INTO $1")
        .bind(copy.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await
        .context("copying the store")?;
    connection.close().await?;
    // What is wanted now may be so by the time at which somebody puts the copy back: hob has to
    // look before it acts.
    let mut copied = SqliteConnectOptions::new().filename(copy).connect().await?;
    sqlx::query("UPDATE effects SET attempts = 1 WHERE state = 'wanted' AND attempts = 0")
        .execute(&mut copied)
        .await
        .context("preparing the copy")?;
    Ok(copied.close().await?)
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

/// For a look that must not change the file: not its journal mode, and no checkpoint when it is
/// closed.
fn read_only(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY_TIMEOUT)
}

async fn writer(options: SqliteConnectOptions) -> anyhow::Result<SqlitePool> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        // SQLite itself undoes a write that finds the disk full. sqlx does not see that, cannot
        // undo it once more, and would begin nothing on this connection ever again. A new one can.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .connect_with(options)
        .await?;
    Ok(pool)
}

fn migrator() -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// The newest step in the file, 0 in a new one, unless a newer hob has written it.
async fn known_schema(connection: &mut SqliteConnection) -> anyhow::Result<i64> {
    let (found, known) = (schema(connection).await?, Store::newest_schema());
    anyhow::ensure!(
        found <= known,
        "a newer version of hob has written it (schema {found}; this version knows {known}). Nothing was changed. Start \
        that version again, or restore an earlier backup"
    );
    Ok(found)
}

async fn schema(connection: &mut SqliteConnection) -> anyhow::Result<i64> {
    let is_there: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_optional(&mut *connection)
            .await?;
    if is_there.is_none() {
        return Ok(0);
    }
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(newest.unwrap_or(0))
}
