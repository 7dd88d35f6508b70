//! The repositories that hob has heard from, and how far each was looked through for what no
//! webhook told of. GitHub's id says which repository a row is about. The name is what it was
//! called last: with a new one, the row and its stories change in one transaction, and anyone who
//! had that name before is put aside, under a key that is no name.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::stories::{Stop, end, mark_stopped, note_stop};
use super::write::Write;
use super::{Store, cards, now, rows};
use crate::event::Ending;
use crate::ids::{InstallationId, Repo, RepositoryId, RepositoryRef, StoryId};
use crate::story::StopReason;

/// A repository that hob knows.
#[derive(Debug, Clone)]
pub struct KnownRepository {
    /// GitHub's id. Absent where hob has not learned it yet.
    pub id: Option<RepositoryId>,
    /// `owner/name`, as it was called last.
    pub repo: Repo,
    /// The App's installation, where a delivery or GitHub named one.
    pub installation: Option<InstallationId>,
    /// The branch that pull requests go to unless told otherwise.
    pub default_branch: String,
    /// Up to when it was looked through, by GitHub's clock.
    pub looked_until: Option<Timestamp>,
    /// Whether another repository has its name now, or GitHub does not show it any more.
    pub is_aside: bool,
}

impl KnownRepository {
    /// Which repository it is.
    pub fn at(&self) -> RepositoryRef {
        RepositoryRef { id: self.id, repo: self.repo.clone(), installation: self.installation }
    }
}

impl Store {
    /// Notes a repository as it is now, or brings what is known of it up to date. Tells which
    /// repository had the name before, if that was another one: where it is now is to be found out.
    pub async fn know_repository(
        &self,
        at: &RepositoryRef,
        default_branch: &str,
    ) -> anyhow::Result<Option<KnownRepository>> {
        let known = self.repository(&at.repo).await?;
        let is_as_known = known.is_some_and(|known| {
            known.at() == *at
                && known.repo.to_string() == at.repo.to_string()
                && known.default_branch == default_branch
        });
        if is_as_known {
            return Ok(None);
        }
        let mut write = self.begin("know-repository").await?;
        let displaced = know(&mut write, at, default_branch).await?;
        write.commit().await?;
        Ok(displaced)
    }

    /// The same, where the repository was known under another name, perhaps without its id.
    pub async fn learn_repository(
        &self,
        before: &RepositoryRef,
        now: &RepositoryRef,
        default_branch: &str,
    ) -> anyhow::Result<Option<KnownRepository>> {
        let mut write = self.begin("learn-repository").await?;
        if let (None, Some(id)) = (before.id, now.id) {
            let known = by_key(&mut write, &before.repo.key()).await?.filter(|row| row.id.is_none());
            match (known, by_id(&mut write, id).await?) {
                (Some(row), None) => fill_in(&mut write, &row, id).await?,
                (Some(row), Some(of_id)) => merge(&mut write, &row, &of_id, id).await?,
                (None, _) => {}
            }
        }
        let displaced = know(&mut write, now, default_branch).await?;
        write.commit().await?;
        Ok(displaced)
    }

    /// One repository, if hob knows it by that name.
    pub async fn repository(&self, repo: &Repo) -> anyhow::Result<Option<KnownRepository>> {
        let row = sqlx::query("SELECT * FROM repositories WHERE repo_key = $1")
            .bind(repo.key())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// One repository, if hob knows it by that id.
    pub async fn repository_of_id(&self, id: RepositoryId) -> anyhow::Result<Option<KnownRepository>> {
        let row = sqlx::query("SELECT * FROM repositories WHERE github_id = $1")
            .bind(rows::to_i64(id.0)?)
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Every repository that hob knows by its name.
    pub async fn repositories(&self) -> anyhow::Result<Vec<KnownRepository>> {
        let found = sqlx::query("SELECT * FROM repositories WHERE repo_key NOT LIKE '~%' ORDER BY repo_key")
            .fetch_all(&self.reader)
            .await?;
        found.iter().map(read).collect()
    }

    /// Repositories whose name another one has taken, and of which nobody knows yet where they are.
    pub async fn displaced_repositories(&self) -> anyhow::Result<Vec<KnownRepository>> {
        let found = sqlx::query(
            "SELECT * FROM repositories WHERE repo_key LIKE '~%' AND gone_at IS NULL ORDER BY repo_key",
        )
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(read).collect()
    }

    /// Repositories whose id is not known yet.
    pub async fn repositories_without_id(&self) -> anyhow::Result<Vec<KnownRepository>> {
        let found = sqlx::query(
            "SELECT * FROM repositories WHERE github_id IS NULL AND gone_at IS NULL ORDER BY repo_key",
        )
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(read).collect()
    }

    /// Puts a repository away that GitHub does not show any more: its work is stopped, nothing more
    /// is said on its issues, and its name is free for another one.
    pub async fn put_repository_away(&self, known: &KnownRepository) -> anyhow::Result<()> {
        let mut write = self.begin("put-repository-away").await?;
        let row = match known.id {
            Some(id) => by_id(&mut write, id).await?,
            None => by_key(&mut write, &known.repo.key()).await?,
        };
        let Some(row) = row else { return write.undo().await };
        let key = set_aside(&mut write, &row).await?;
        sqlx::query("UPDATE repositories SET gone_at = $2 WHERE repo_key = $1")
            .bind(&key)
            .bind(now())
            .execute(&mut *write)
            .await?;
        let stories: Vec<String> =
            sqlx::query_scalar("SELECT id FROM stories WHERE repo_key = $1 ORDER BY id")
                .bind(&key)
                .fetch_all(&mut *write)
                .await?;
        for story in stories {
            let story: StoryId = story.parse()?;
            let reason = StopReason::Ended { ending: Ending::Deleted, by: String::new() };
            let stop = Stop { reason, at: Timestamp::UNIX_EPOCH };
            mark_stopped(&mut write, story, &stop).await?;
            note_stop(&mut write, story, &stop).await?;
            cards::close_cards(&mut write, story).await?;
            end(&mut write, story, Ending::Deleted).await?;
        }
        write.commit().await?;
        self.wakes.tasks.notify_one();
        Ok(())
    }

    /// The mirrors of repositories that were put away, with the stories whose workspaces may borrow
    /// from each.
    pub async fn mirrors_put_away(&self) -> anyhow::Result<Vec<(String, Vec<StoryId>)>> {
        let found = sqlx::query(
            "SELECT r.mirror, s.id AS story FROM repositories AS r LEFT JOIN stories AS s ON s.mirror = r.mirror
             WHERE r.gone_at IS NOT NULL ORDER BY r.mirror",
        )
        .fetch_all(&self.reader)
        .await?;
        let mut all: Vec<(String, Vec<StoryId>)> = Vec::new();
        for row in &found {
            let mirror: String = row.try_get("mirror")?;
            if all.last().is_none_or(|(last, _)| *last != mirror) {
                all.push((mirror, Vec::new()));
            }
            if let (Some(story), Some((_, stories))) = (rows::parsed_option(row, "story")?, all.last_mut()) {
                stories.push(story);
            }
        }
        Ok(all)
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

/// A row, as far as it matters here.
struct Row {
    id: Option<RepositoryId>,
    repo: Repo,
    key: String,
    mirror: String,
}

/// Writes what a repository is called now. Tells which other repository had that name.
async fn know(
    write: &mut Write,
    at: &RepositoryRef,
    default_branch: &str,
) -> anyhow::Result<Option<KnownRepository>> {
    let key = at.repo.key();
    let mut displaced = None;
    if let Some(id) = at.id {
        let (of_id, of_name) = (by_id(write, id).await?, by_key(write, &key).await?);
        match (of_id, of_name) {
            // An earlier hob took the new name for another repository.
            (Some(of_id), Some(of_name)) if of_name.id.is_none() => {
                merge(write, &of_id, &of_name, id).await?;
            }
            (Some(of_id), Some(of_name)) if of_id.key != of_name.key => {
                displaced = Some(displace(write, &of_name).await?);
                rename(write, &of_id, &key).await?;
            }
            (Some(of_id), None) => rename(write, &of_id, &key).await?,
            (Some(_), Some(_)) | (None, None) => {}
            // The name is all that was known of it so far.
            (None, Some(of_name)) if of_name.id.is_none() => fill_in(write, &of_name, id).await?,
            (None, Some(of_name)) => displaced = Some(displace(write, &of_name).await?),
        }
    }
    let installation = at.installation.map(|id| rows::to_i64(id.0)).transpose()?;
    let mirror = at.id.map_or_else(|| format!("{key}.git"), RepositoryId::mirror);
    sqlx::query(
        "INSERT INTO repositories (repo_key, repo, installation, default_branch, github_id, mirror)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (repo_key) DO UPDATE SET repo = excluded.repo, installation = excluded.installation,
             default_branch = excluded.default_branch, gone_at = NULL",
    )
    .bind(&key)
    .bind(at.repo.to_string())
    .bind(installation)
    .bind(default_branch)
    .bind(at.id.map(|id| rows::to_i64(id.0)).transpose()?)
    .bind(mirror)
    .execute(&mut **write)
    .await?;
    sqlx::query(
        "UPDATE stories SET repo = $2, installation = $3
         WHERE repo_key = $1 AND (repo <> $2 OR installation IS NOT $3)",
    )
    .bind(&key)
    .bind(at.repo.to_string())
    .bind(installation)
    .execute(&mut **write)
    .await?;
    Ok(displaced)
}

/// Notes the id of a repository that was known by its name only. What deliveries meant is written
/// with the id from now on.
async fn fill_in(write: &mut Write, row: &Row, id: RepositoryId) -> anyhow::Result<()> {
    sqlx::query("UPDATE repositories SET github_id = $2 WHERE repo_key = $1")
        .bind(&row.key)
        .bind(rows::to_i64(id.0)?)
        .execute(&mut **write)
        .await?;
    sqlx::query("UPDATE stories SET github_id = $2 WHERE repo_key = $1")
        .bind(&row.key)
        .bind(rows::to_i64(id.0)?)
        .execute(&mut **write)
        .await?;
    // Not where a delivery with the id says the same already, which it may as soon as hob knows
    // ids.
    sqlx::query(
        "UPDATE OR IGNORE deliveries
         SET meaning = replace(replace(meaning, ' ' || $1 || ' ', ' ' || $2 || ' '), ' ' || $1 || '#', ' ' || $2 || '#')
         WHERE instr(meaning, ' ' || $1) > 0",
    )
    .bind(row.repo.key())
    .bind(id.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Makes one repository of two rows, which an earlier hob has written under two names of it. Where
/// both have a story for an issue, that of `from` is put aside.
async fn merge(write: &mut Write, from: &Row, into: &Row, id: RepositoryId) -> anyhow::Result<()> {
    sqlx::query(
        "UPDATE stories SET repo_key = $3
         WHERE repo_key = $1 AND issue IN (SELECT issue FROM stories WHERE repo_key = $2)",
    )
    .bind(&from.key)
    .bind(&into.key)
    .bind(format!("~{}", from.mirror))
    .execute(&mut **write)
    .await?;
    sqlx::query("UPDATE stories SET github_id = $2 WHERE mirror = $1")
        .bind(&from.mirror)
        .bind(rows::to_i64(id.0)?)
        .execute(&mut **write)
        .await?;
    sqlx::query("UPDATE stories SET repo_key = $2 WHERE repo_key = $1")
        .bind(&from.key)
        .bind(&into.key)
        .execute(&mut **write)
        .await?;
    sqlx::query("DELETE FROM repositories WHERE repo_key = $1").bind(&from.key).execute(&mut **write).await?;
    fill_in(write, into, id).await
}

/// Gives a repository and its stories the key of its new name, which is free.
async fn rename(write: &mut Write, row: &Row, key: &str) -> anyhow::Result<()> {
    if row.key == key {
        return Ok(());
    }
    tracing::info!(repo = key, old_repo = row.key, mirror = row.mirror, "repository renamed");
    rekey(write, &row.key, key).await?;
    // Issues that others wait for are known by the name of their repository.
    sqlx::query("UPDATE wishes SET blockers = replace(blockers, '\"' || $1 || '#', '\"' || $2 || '#') WHERE instr(blockers, $1) > 0")
        .bind(row.repo.key())
        .bind(key)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Takes its name from a repository, since another one has it.
async fn displace(write: &mut Write, row: &Row) -> anyhow::Result<KnownRepository> {
    let key = set_aside(write, row).await?;
    let row = sqlx::query("SELECT * FROM repositories WHERE repo_key = $1")
        .bind(key)
        .fetch_one(&mut **write)
        .await?;
    read(&row)
}

async fn set_aside(write: &mut Write, row: &Row) -> anyhow::Result<String> {
    let key = format!("~{}", row.mirror);
    if row.key != key {
        tracing::warn!(repo = %row.repo, mirror = row.mirror, "repository no longer found under its name");
    }
    rekey(write, &row.key, &key).await?;
    Ok(key)
}

async fn rekey(write: &mut Write, from: &str, to: &str) -> anyhow::Result<()> {
    sqlx::query("UPDATE repositories SET repo_key = $2 WHERE repo_key = $1")
        .bind(from)
        .bind(to)
        .execute(&mut **write)
        .await?;
    sqlx::query("UPDATE stories SET repo_key = $2 WHERE repo_key = $1")
        .bind(from)
        .bind(to)
        .execute(&mut **write)
        .await?;
    Ok(())
}

async fn by_id(write: &mut Write, id: RepositoryId) -> anyhow::Result<Option<Row>> {
    let row = sqlx::query("SELECT * FROM repositories WHERE github_id = $1")
        .bind(rows::to_i64(id.0)?)
        .fetch_optional(&mut **write)
        .await?;
    row.as_ref().map(narrow).transpose()
}

async fn by_key(write: &mut Write, key: &str) -> anyhow::Result<Option<Row>> {
    let row = sqlx::query("SELECT * FROM repositories WHERE repo_key = $1")
        .bind(key)
        .fetch_optional(&mut **write)
        .await?;
    row.as_ref().map(narrow).transpose()
}

fn narrow(row: &SqliteRow) -> anyhow::Result<Row> {
    let repo: Repo = rows::parsed(row, "repo")?;
    let mirror: Option<String> = row.try_get("mirror")?;
    Ok(Row {
        id: rows::number_option(row, "github_id")?.map(RepositoryId),
        key: row.try_get("repo_key")?,
        mirror: mirror.unwrap_or_else(|| format!("{}.git", repo.key())),
        repo,
    })
}

fn read(row: &SqliteRow) -> anyhow::Result<KnownRepository> {
    let key: String = row.try_get("repo_key")?;
    Ok(KnownRepository {
        id: rows::number_option(row, "github_id")?.map(RepositoryId),
        repo: rows::parsed(row, "repo")?,
        installation: rows::number_option(row, "installation")?.map(InstallationId),
        default_branch: row.try_get("default_branch")?,
        looked_until: rows::time_option(row, "looked_until")?,
        is_aside: key.starts_with('~'),
    })
}
