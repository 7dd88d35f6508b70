//! Opening the store: the file and how SQLite treats it, its schema brought up to date, and what keeps hob from working with
//! a file that it should leave alone. Also its copy, `hob backup`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

use super::{Store, StoreFault};
use crate::fail_point::{When, reach};

/// The schema, oldest step first. A step is never edited once it has shipped.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "reliability", include_str!("../../migrations/0002_reliability.sql")),
];

/// How long a statement waits for another process that holds the file, a backup for example.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers beside the one writer. WAL lets them go on while it writes.
const READERS: u32 = 4;

impl Store {
    /// Opens the file, makes it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// If a newer hob has written it, if it is damaged, or if it cannot be opened or written; the text says what to do.
    pub async fn open(file: &Path) -> anyhow::Result<Store> {
        Self::opened(file).await.map_err(|error| {
            let advice = StoreFault::of(&error).map(StoreFault::advice);
            let error = error.context(format!("opening the store {}", file.display()));
            match advice {
                Some(advice) => error.context(advice),
                None => error,
            }
        })
    }

    async fn opened(file: &Path) -> anyhow::Result<Store> {
        let options = options(file);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone().create_if_missing(true))
            .await?;
        refuse_newer(&writer).await?;
        check_whole(&writer).await?;
        migrator().run(&writer).await.context("bringing the store up to date")?;
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Store { writer, reader, wakes: Arc::default() })
    }

    /// The number of the newest step of the schema that this hob knows.
    pub fn newest_schema() -> i64 {
        MIGRATIONS.last().map_or(0, |(version, ..)| *version)
    }

    /// Opens the file of a hob that may be running, for a command beside it. Its schema must be this one's.
    pub async fn open_beside(file: &Path) -> anyhow::Result<Store> {
        anyhow::ensure!(file.exists(), "there is no store {}; `hob serve` makes it", file.display());
        let options = options(file);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        refuse_newer(&writer).await?;
        let version = schema(&writer).await?;
        anyhow::ensure!(
            version == Self::newest_schema(),
            "the store {} has schema {version}, and this hob works with {}; start `hob serve` of this version first",
            file.display(),
            Self::newest_schema()
        );
        let reader = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        Ok(Store { writer, reader, wakes: Arc::default() })
    }
}

/// Copies a store to a new file, also while a hob works with it. What was committed before is in the copy, what comes
/// after is not, and nothing is half there. The copy appears under its name when it is whole and on disk.
pub async fn backup(store: &Path, to: &Path) -> anyhow::Result<u64> {
    anyhow::ensure!(store.exists(), "there is no store {}", store.display());
    anyhow::ensure!(!to.exists(), "{} is there already; nothing was written", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // In a folder of its own beside its place: SQLite wants to make the file, and nobody else may read it.
    let draft = tempfile::Builder::new()
        .prefix(".hob-backup-")
        .tempdir_in(folder)
        .with_context(|| format!("making room in {}", folder.display()))?;
    let copy = draft.path().join("hob.db");
    let mut connection =
        options(store).connect().await.with_context(|| format!("opening {}", store.display()))?;
    sqlx::query("VACUUM INTO $1")
        .bind(copy.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await
        .context("copying the store")?;
    connection.close().await.context("closing the store")?;
    let file = File::open(&copy).context("opening the copy")?;
    file.sync_all().context("writing the copy to disk")?;
    reach("disk", "backup", When::Before);
    // Not `rename`, which would replace a file that somebody has put there meanwhile.
    std::fs::hard_link(&copy, to).with_context(|| format!("putting the copy at {}", to.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).context("writing the copy's name to disk")?;
    reach("disk", "backup", When::After);
    Ok(file.metadata().context("looking at the copy")?.len())
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

fn migrator() -> Migrator {
    let steps = MIGRATIONS.iter().map(|(version, name, sql)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// The newest step in the file; 0 in a new one.
async fn schema(pool: &SqlitePool) -> anyhow::Result<i64> {
    let is_there: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_optional(pool)
            .await?;
    if is_there.is_none() {
        return Ok(0);
    }
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(pool).await?;
    Ok(newest.unwrap_or(0))
}

async fn refuse_newer(pool: &SqlitePool) -> anyhow::Result<()> {
    let (found, known) = (schema(pool).await?, Store::newest_schema());
    anyhow::ensure!(
        found <= known,
        "a newer hob has written it (schema {found}; this hob knows {known}). Nothing was changed. \
         Start that hob again, or put back a backup from before"
    );
    Ok(())
}

/// A damaged file is found now and not in the middle of a task. Reads the whole file: some milliseconds a megabyte.
async fn check_whole(pool: &SqlitePool) -> anyhow::Result<()> {
    let found: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_all(pool).await?;
    if found == ["ok"] {
        return Ok(());
    }
    Err(anyhow::anyhow!("SQLite finds: {}", found.join("; ")).context(StoreFault::Corrupt.advice()))
}
