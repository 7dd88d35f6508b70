//! What agents wrote that was too long for its place: the comments that hold the rest, part by
//! part. Written before whatever links to them, by the same look, act, record as effects; a part
//! that was told once is not told again.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{DuplicateComment, DuplicateKind};
use super::{Store, after, now, rows};
use crate::ids::{CommentId, EffectId, IssueNumber, StoryId};
use crate::message::Overflow;
use crate::story::OverflowLinks;

/// A part that is to be on GitHub.
#[derive(Debug, Clone)]
pub struct OverflowPart {
    /// What its marker carries.
    pub id: EffectId,
    /// The issue or pull request.
    pub on: IssueNumber,
    /// Tries before this one.
    pub attempts: u32,
}

impl Store {
    /// Where the rests of a story are, those that are there as a whole.
    pub async fn rests_of(&self, story: StoryId) -> anyhow::Result<OverflowLinks> {
        let found = sqlx::query(
            "SELECT key, link FROM rests AS r WHERE story = $1
               AND NOT EXISTS (SELECT 1 FROM rests AS other
                               WHERE other.story = r.story AND other.key = r.key AND other.link IS NULL)
             ORDER BY key, part",
        )
        .bind(story.to_string())
        .fetch_all(&self.reader)
        .await?;
        let mut rests: OverflowLinks = HashMap::new();
        for row in &found {
            rests.entry(row.try_get("key")?).or_default().push(row.try_get("link")?);
        }
        Ok(rests)
    }

    /// The parts of a rest that are not there yet, with their place among all; each counts as
    /// tried. Written before the try: if hob dies in between, the next try knows that it has to
    /// look first.
    pub async fn rest_attempted(
        &self,
        story: StoryId,
        on: IssueNumber,
        rest: &Overflow,
    ) -> anyhow::Result<Vec<(usize, OverflowPart)>> {
        let mut write = self.begin("rest-attempted").await?;
        let mut missing = Vec::new();
        for part in 0..rest.parts.len() {
            sqlx::query(
                "INSERT INTO rests (story, key, part, id, on_issue) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (story, key, part) DO NOTHING",
            )
            .bind(story.to_string())
            .bind(&rest.key)
            .bind(rows::to_i64(part as u64)?)
            .bind(EffectId::new().to_string())
            .bind(rows::to_i64(on.0)?)
            .execute(&mut *write)
            .await?;
            let row = sqlx::query(
                "UPDATE rests SET attempts = attempts + 1 WHERE story = $1 AND key = $2 AND part = $3 AND link IS NULL
                 RETURNING id, on_issue, attempts - 1 AS attempts",
            )
            .bind(story.to_string())
            .bind(&rest.key)
            .bind(rows::to_i64(part as u64)?)
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { continue };
            let new = OverflowPart {
                id: rows::parsed(&row, "id")?,
                on: IssueNumber(rows::number(&row, "on_issue")?),
                attempts: u32::try_from(rows::number(&row, "attempts")?).unwrap_or(u32::MAX),
            };
            missing.push((part, new));
        }
        write.commit().await?;
        Ok(missing)
    }

    /// Records the comment that holds a part. `recheck` says in what time to look whether an
    /// earlier try has made a second one.
    pub async fn rest_posted(
        &self,
        id: EffectId,
        comment: CommentId,
        link: &str,
        recheck: Option<Duration>,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("rest-posted").await?;
        sqlx::query("UPDATE rests SET comment = $2, link = $3, recheck_at = $4 WHERE id = $1")
            .bind(id.to_string())
            .bind(rows::to_i64(comment.0)?)
            .bind(link)
            .bind(recheck.map(after))
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Parts that it is time to look for twice.
    pub(super) async fn possible_double_rests(&self) -> anyhow::Result<Vec<DuplicateComment>> {
        let found = sqlx::query(
            "SELECT r.id, r.story, r.on_issue, r.comment, s.repo_key FROM rests AS r JOIN stories AS s ON s.id = r.story
             WHERE r.recheck_at <= $1 AND r.comment IS NOT NULL ORDER BY r.recheck_at LIMIT 100",
        )
        .bind(now())
        .fetch_all(&self.reader)
        .await?;
        let double = |row: &SqliteRow| {
            anyhow::Ok(DuplicateComment {
                effect: rows::parsed(row, "id")?,
                kind: DuplicateKind::Comment,
                story: rows::parsed(row, "story")?,
                repo_key: row.try_get("repo_key")?,
                on: IssueNumber(rows::number(row, "on_issue")?),
                comment: CommentId(rows::number(row, "comment")?),
            })
        };
        found.iter().map(double).collect()
    }
}
