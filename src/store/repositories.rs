//! The repositories that hob has heard from, and how far each was looked through for what no webhook told.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::write::Write;
use super::{Store, rows};
use crate::ids::{InstallationId, Repo};

/// A repository that hob knows.
#[derive(Debug, Clone)]
pub struct KnownRepository {
    /// `owner/name`.
    pub repo: Repo,
    /// The App's installation, where a delivery named one.
    pub installation: Option<InstallationId>,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// Up to when it was looked through, by GitHub's clock.
    pub looked_until: Option<Timestamp>,
}

impl Store {
    /// Notes a repository, or brings what is known of it up to date.
    pub async fn know_repository(
        &self,
        repo: &Repo,
        installation: Option<InstallationId>,
        default_branch: &str,
    ) -> anyhow::Result<()> {
        let known = self.repository(repo).await?;
        if known
            .is_some_and(|known| known.installation == installation && known.default_branch == default_branch)
        {
            return Ok(());
        }
        let mut write = self.begin("know-repository").await?;
        know(&mut write, repo, installation, default_branch).await?;
        write.commit().await
    }

    /// One repository, if hob knows it.
    pub async fn repository(&self, repo: &Repo) -> anyhow::Result<Option<KnownRepository>> {
        let row = sqlx::query("SELECT * FROM repositories WHERE repo_key = $1")
            .bind(repo.key())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Every repository that hob knows.
    pub async fn repositories(&self) -> anyhow::Result<Vec<KnownRepository>> {
        let found =
            sqlx::query("SELECT * FROM repositories ORDER BY repo_key").fetch_all(&self.reader).await?;
        found.iter().map(read).collect()
    }

    /// Notes up to when a repository was looked through. Never goes back.
    pub async fn looked_until(&self, repo: &Repo, until: Timestamp) -> anyhow::Result<()> {
        let mut write = self.begin("looked-until").await?;
        sqlx::query(
            "UPDATE repositories SET looked_until = $2 WHERE repo_key = $1 AND COALESCE(looked_until, 0) < $2",
        )
        .bind(repo.key())
        .bind(until.as_millisecond())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}

async fn know(
    write: &mut Write,
    repo: &Repo,
    installation: Option<InstallationId>,
    default_branch: &str,
) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO repositories (repo_key, repo, installation, default_branch) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repo_key) DO UPDATE SET repo = excluded.repo, installation = excluded.installation,
             default_branch = excluded.default_branch",
    )
    .bind(repo.key())
    .bind(repo.to_string())
    .bind(installation.map(|id| rows::to_i64(id.0)).transpose()?)
    .bind(default_branch)
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> anyhow::Result<KnownRepository> {
    Ok(KnownRepository {
        repo: rows::parsed(row, "repo")?,
        installation: rows::number_option(row, "installation")?.map(InstallationId),
        default_branch: row.try_get("default_branch")?,
        looked_until: rows::time_option(row, "looked_until")?,
    })
}
