//! The outbox. An effect is written in the transaction that wants it, carried out by `deliver.rs`,
//! and recorded here. Effects of one story are carried out in the order in which they were wanted;
//! those of different stories do not wait for each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Builder;

use super::shown::show;
use super::stories::{StoryAsk, ensure_story};
use super::write::Write;
use super::{Store, after, deliveries, now, rows};
use crate::ids::{
    CommentId, EffectId, InstallationId, IssueNumber, PullNumber, QuestionId, ReviewCommentId, Sha, StoryId,
};

/// Something that hob wants to be so on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Effect {
    /// A reaction to an issue or a comment.
    React {
        /// What is reacted to.
        to: ReactTo,
        /// GitHub's word for it: `eyes`, `confused`.
        content: String,
    },
    /// A comment. An earlier hob asked questions in such; they are cards since.
    Comment {
        /// The issue or pull request.
        on: IssueNumber,
        /// Markdown, without the hidden marker.
        body: String,
    },
    /// The card of a question says what the store holds of it at that moment.
    Card {
        /// The question.
        question: QuestionId,
    },
    /// The story's pull request is open and says this. Its number goes to the story.
    PullRequest {
        /// One line.
        title: String,
        /// Markdown, without the hidden marker.
        body: String,
        /// The same in short, for where there is no room for more.
        #[serde(default)]
        short: String,
        /// Whether it shows work that was cut short. Then it is a draft, or there is none.
        #[serde(default)]
        unfinished: bool,
        /// Whether a new one is a draft. Absent: as the operator's settings say.
        #[serde(default)]
        draft: Option<bool>,
        /// Whose review is requested on a new one.
        #[serde(default)]
        reviewers: Vec<String>,
        /// Who is asked where the settings name nobody: the person who wanted the work, if GitHub
        /// lets them.
        #[serde(default)]
        asker: Option<String>,
        /// Labels that a new one gets.
        #[serde(default)]
        labels: Vec<String>,
    },
    /// A branch that was merged no longer exists, unless it has got other commits since.
    DeleteBranch {
        /// The name of the branch.
        branch: String,
        /// The commit that was merged.
        head: Sha,
    },
    /// An answer in a thread of a pull request's review.
    ReviewReply {
        /// The pull request.
        pull: PullNumber,
        /// The first comment of the thread.
        thread: ReviewCommentId,
        /// Markdown, without the hidden marker.
        body: String,
    },
    /// Somebody is asked to review a pull request.
    RequestReview {
        /// The pull request.
        pull: PullNumber,
        /// Their login.
        reviewer: String,
    },
    /// The report in the story's pull request shows what came of the repository's checks on its
    /// head, as the store knows it when it is written.
    Evidence {
        /// The pull request.
        pull: PullNumber,
    },
    /// The story has a status comment. What it says is read from the store when it is made; see
    /// `shown.rs`.
    Status,
}

/// Which effects of a story go first. The rank is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectClass {
    /// What people wait for: the outcome of work, a question, an answer.
    First,
    /// What they can do without for a while.
    Second,
}

impl Effect {
    /// The word for it, as it is in the JSON.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::React { .. } => "react",
            Self::Comment { .. } => "comment",
            Self::Card { .. } => "card",
            Self::PullRequest { .. } => PULL_REQUEST,
            Self::DeleteBranch { .. } => "delete_branch",
            Self::ReviewReply { .. } => "review_reply",
            Self::RequestReview { .. } => "request_review",
            Self::Evidence { .. } => "evidence",
            Self::Status => "status",
        }
    }

    /// Whether it goes before others of its story.
    pub fn class(&self) -> EffectClass {
        match self {
            Self::PullRequest { .. }
            | Self::Comment { .. }
            | Self::Card { .. }
            | Self::ReviewReply { .. } => EffectClass::First,
            Self::React { .. }
            | Self::DeleteBranch { .. }
            | Self::RequestReview { .. }
            | Self::Evidence { .. }
            | Self::Status => EffectClass::Second,
        }
    }
}

/// The kind of the effect that opens a pull request or brings it up to date.
pub(super) const PULL_REQUEST: &str = "pull_request";

/// What a reaction is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReactTo {
    /// An issue or pull request.
    Issue(IssueNumber),
    /// A comment on one.
    Comment(CommentId),
    /// A comment on lines of a pull request.
    ReviewComment(ReviewCommentId),
}

/// An effect to be written down, with the id that its marker will carry.
#[derive(Debug, Clone)]
pub struct NewEffect {
    /// Its id.
    pub id: EffectId,
    /// What is wanted.
    pub effect: Effect,
}

impl NewEffect {
    /// An effect under a new id.
    pub fn new(effect: Effect) -> Self {
        Self { id: EffectId::new(), effect }
    }
}

/// An effect that waits to be carried out.
#[derive(Debug, Clone)]
pub struct WantedEffect {
    /// Its id.
    pub id: EffectId,
    /// Whose it is.
    pub story: StoryId,
    /// What is wanted.
    pub effect: Effect,
    /// Tries before this one. Where there were any, one may have succeeded without hob knowing.
    pub attempts: u32,
    /// How often GitHub refused it, as opposed to being away.
    pub refusals: u32,
    /// The key of its repository.
    pub repo_key: String,
    /// Whose pace it goes by.
    pub installation: Option<InstallationId>,
}

/// What can begin nothing now: repositories in which enough is under way, and installations that
/// may not write.
#[derive(Debug, Clone, Default)]
pub struct Excluded {
    /// Repositories, by their keys.
    pub repositories: Vec<String>,
    /// Installations; none stands for the token's account.
    pub installations: Vec<Option<InstallationId>>,
}

impl Excluded {
    pub(super) fn repositories(&self) -> anyhow::Result<String> {
        rows::to_json(&self.repositories)
    }

    pub(super) fn installations(&self) -> anyhow::Result<String> {
        let number = |installation: &Option<InstallationId>| installation.map_or(0, |id| id.0);
        rows::to_json(&self.installations.iter().map(number).collect::<Vec<_>>())
    }
}

/// A story's pull request as it is on GitHub.
#[derive(Debug, Clone)]
pub struct PublishedPull {
    /// Its number.
    pub number: PullNumber,
    /// As [`Story::pull_draft`](crate::story::Story::pull_draft).
    pub draft: Option<bool>,
    /// As [`Story::pull_title`](crate::story::Story::pull_title).
    pub title: Option<String>,
    /// As [`Story::pull_unfinished`](crate::story::Story::pull_unfinished).
    pub unfinished: bool,
    /// The branch that it goes to.
    pub base: String,
}

/// A comment that may be there twice: more than one try was made, and GitHub may have carried out
/// two.
#[derive(Debug, Clone)]
pub struct DuplicateComment {
    /// The effect, or the part of a rest.
    pub effect: EffectId,
    /// What it is, which decides the marker that it ends with.
    pub kind: DuplicateKind,
    /// Whose it is.
    pub story: StoryId,
    /// The key of its repository.
    pub repo_key: String,
    /// The issue or pull request.
    pub on: IssueNumber,
    /// The comment that counts.
    pub comment: CommentId,
}

/// The kinds of comments that may be there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKind {
    /// A comment, or a part of a rest.
    Comment,
    /// The story's status comment.
    Status,
    /// The card of a question.
    Card(QuestionId),
    /// An answer in a thread of a review.
    ReviewReply,
}

/// The id of an effect that is wanted once on a story, by what it says.
pub fn once_id(story: StoryId, what: &str) -> EffectId {
    let digest = Sha256::digest(format!("{story} {what}"));
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    EffectId(Builder::from_custom_bytes(id).into_uuid())
}

/// Writes effects down as part of another transaction.
pub(super) async fn want(write: &mut Write, story: StoryId, effects: &[NewEffect]) -> anyhow::Result<()> {
    for new in effects {
        sqlx::query(
            "INSERT INTO effects (id, story, effect, kind, class, state, created_at, seq)
             VALUES ($1, $2, $3, $4, $5, 'wanted', $6, (SELECT COALESCE(MAX(seq), 0) + 1 FROM effects))",
        )
        .bind(new.id.to_string())
        .bind(story.to_string())
        .bind(rows::to_json(&new.effect)?)
        .bind(new.effect.kind())
        .bind(new.effect.class() as i64)
        .bind(now())
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

impl Store {
    /// Whether an effect that is wanted once on a story was wanted before.
    pub async fn was_said(&self, story: StoryId, what: &str) -> anyhow::Result<bool> {
        let found = sqlx::query("SELECT 1 FROM effects WHERE id = $1")
            .bind(once_id(story, what).to_string())
            .fetch_optional(&self.reader)
            .await?;
        Ok(found.is_some())
    }

    /// Says something on a story, however often it is asked to by the same name.
    pub async fn say_once(&self, on: &StoryAsk, what: &str, effect: Effect) -> anyhow::Result<()> {
        let mut write = self.begin("say-once").await?;
        let story = ensure_story(&mut write, on).await?;
        let id = once_id(story, what);
        let found = sqlx::query("SELECT 1 FROM effects WHERE id = $1").bind(id.to_string());
        if found.fetch_optional(&mut *write).await?.is_none() {
            want(&mut write, story, &[NewEffect { id, effect }]).await?;
        }
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// The effect of each story that goes next, where it is due: of those that go first the oldest,
    /// else the oldest.
    pub async fn due_effects(&self) -> anyhow::Result<Vec<WantedEffect>> {
        let mut due = self.due_effects_of(EffectClass::First, &Excluded::default()).await?;
        due.extend(self.due_effects_of(EffectClass::Second, &Excluded::default()).await?);
        Ok(due)
    }

    /// The same of one class, a hundred of them, beside what can begin nothing now.
    pub async fn due_effects_of(
        &self,
        class: EffectClass,
        beside: &Excluded,
    ) -> anyhow::Result<Vec<WantedEffect>> {
        let found = sqlx::query(
            "SELECT e.id, e.story, e.effect, e.attempts, e.refusals, s.repo_key, s.installation
             FROM effects AS e CROSS JOIN stories AS s
             WHERE e.state = 'wanted' AND e.class = $2 AND e.not_before <= $1 AND s.id = e.story
               AND s.repo_key NOT IN (SELECT value FROM json_each($3))
               AND COALESCE(s.installation, 0) NOT IN (SELECT value FROM json_each($4))
               AND NOT EXISTS (SELECT 1 FROM effects AS earlier
                               WHERE earlier.story = e.story AND earlier.state = 'wanted' AND earlier.class < e.class)
               AND NOT EXISTS (SELECT 1 FROM effects AS earlier
                               WHERE earlier.story = e.story AND earlier.state = 'wanted' AND earlier.class = e.class
                                 AND earlier.seq < e.seq)
             ORDER BY e.seq LIMIT 100",
        )
        .bind(now())
        .bind(class as i64)
        .bind(beside.repositories()?)
        .bind(beside.installations()?)
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(wanted).collect()
    }

    /// When the next effect that is not due yet will be, or a comment is to be looked for twice.
    pub async fn next_effect_at(&self) -> anyhow::Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT MIN(at) FROM (
                 SELECT MIN(not_before) AS at FROM effects WHERE state = 'wanted' AND not_before > $1
                 UNION ALL SELECT MIN(recheck_at) FROM effects WHERE recheck_at IS NOT NULL AND recheck_at > $1
                 UNION ALL SELECT MIN(recheck_at) FROM rests WHERE recheck_at IS NOT NULL AND recheck_at > $1) AS next",
        );
        Ok(next.bind(now()).fetch_one(&self.reader).await?)
    }

    /// How many effects of each kind of end there are: wanted and parked.
    pub async fn effect_counts(&self) -> anyhow::Result<(u64, u64)> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM effects WHERE state = 'wanted') AS wanted,
                    (SELECT COUNT(*) FROM effects WHERE state = 'parked') AS parked",
        )
        .fetch_one(&self.reader)
        .await?;
        let (wanted, parked): (i64, i64) = (row.try_get("wanted")?, row.try_get("parked")?);
        Ok((wanted.unsigned_abs(), parked.unsigned_abs()))
    }

    /// Notes that an effect is about to be tried. Written before the try: if hob dies in between,
    /// the next try knows that it has to look first.
    pub async fn effect_attempted(&self, effect: EffectId) -> anyhow::Result<()> {
        let mut write = self.begin("effect-attempted").await?;
        sqlx::query("UPDATE effects SET attempts = attempts + 1 WHERE id = $1 AND state = 'wanted'")
            .bind(effect.to_string())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Puts an effect off after a failure; `refused` where GitHub said no, and was not merely away.
    pub async fn effect_failed(
        &self,
        effect: EffectId,
        wait: Duration,
        error: &str,
        refused: bool,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("effect-failed").await?;
        sqlx::query(
            "UPDATE effects SET not_before = $2, error = $3, refusals = refusals + $4 WHERE id = $1 AND state = 'wanted'",
        )
        .bind(effect.to_string())
        .bind(after(wait))
        .bind(error)
        .bind(i64::from(refused))
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Gives an effect up: it will not be tried again unless the operator says so. The effects
    /// behind it go on.
    pub async fn effect_parked(&self, effect: EffectId, error: &str) -> anyhow::Result<()> {
        let mut write = self.begin("effect-parked").await?;
        sqlx::query("UPDATE effects SET state = 'parked', error = $2 WHERE id = $1 AND state = 'wanted'")
            .bind(effect.to_string())
            .bind(error)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// The same, where people wait for it: their story's status comment says this.
    pub async fn effect_refused(&self, effect: EffectId, error: &str, words: &str) -> anyhow::Result<()> {
        let mut write = self.begin("effect-refused").await?;
        let row = sqlx::query(
            "UPDATE effects SET state = 'parked', error = $2, refusal = $3 WHERE id = $1 AND state = 'wanted' RETURNING story",
        )
        .bind(effect.to_string())
        .bind(error)
        .bind(words)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(row) = row {
            show(&mut write, rows::parsed(&row, "story")?).await?;
        }
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Whether GitHub has refused something of a story for good that people wait for.
    pub async fn has_refused(&self, story: StoryId) -> anyhow::Result<bool> {
        let found = sqlx::query(
            "SELECT 1 FROM effects WHERE story = $1 AND state = 'parked' AND refusal IS NOT NULL LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&self.reader)
        .await?;
        Ok(found.is_some())
    }

    /// Has all that GitHub has refused of a story tried again, because somebody on the issue wants
    /// it; settles the delivery.
    pub async fn redeliver(&self, guid: &str, story: StoryId, effects: &[NewEffect]) -> anyhow::Result<()> {
        let mut write = self.begin("redeliver").await?;
        sqlx::query(
            "UPDATE effects SET state = 'wanted', not_before = 0, refusals = 0, refusal = NULL WHERE story = $1 AND state = 'parked'",
        )
        .bind(story.to_string())
        .execute(&mut *write)
        .await?;
        want(&mut write, story, effects).await?;
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "retries what GitHub rejected").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Has a parked effect tried again, or all of them; tells how many. Only the operator says so.
    pub async fn retry_effects(&self, effect: Option<EffectId>) -> anyhow::Result<u64> {
        let mut write = self.begin("retry-effects").await?;
        // What their status comments say of them is no longer so.
        sqlx::query(
            "UPDATE stories SET status_wanted = status_wanted + 1 WHERE id IN (
                 SELECT story FROM effects WHERE state = 'parked' AND ($1 IS NULL OR id = $1))",
        )
        .bind(effect.map(|id| id.to_string()))
        .execute(&mut *write)
        .await?;
        let retried = sqlx::query(
            "UPDATE effects SET state = 'wanted', not_before = 0, refusals = 0, refusal = NULL
             WHERE state = 'parked' AND ($1 IS NULL OR id = $1)",
        )
        .bind(effect.map(|id| id.to_string()))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(retried.rows_affected())
    }

    /// Records a reaction, or anything else that leaves nothing to remember.
    pub async fn effect_done(&self, effect: EffectId) -> anyhow::Result<()> {
        let mut write = self.begin("effect-done").await?;
        finish(&mut write, effect).await?;
        write.commit().await
    }

    /// Records an answer in a thread. `recheck` as with a comment.
    pub async fn reply_posted(
        &self,
        effect: EffectId,
        reply: ReviewCommentId,
        recheck: Option<Duration>,
    ) -> anyhow::Result<()> {
        self.comment_posted(effect, None, CommentId(reply.0), recheck).await
    }

    /// Records a comment, and where it asks a question, which comment asks it. `recheck` says in
    /// what time to look whether an earlier try has made a second one.
    pub async fn comment_posted(
        &self,
        effect: EffectId,
        question: Option<QuestionId>,
        comment: CommentId,
        recheck: Option<Duration>,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("comment-posted").await?;
        finish(&mut write, effect).await?;
        sqlx::query("UPDATE effects SET comment = $2, recheck_at = $3 WHERE id = $1")
            .bind(effect.to_string())
            .bind(rows::to_i64(comment.0)?)
            .bind(recheck.map(after))
            .execute(&mut *write)
            .await?;
        if let Some(question) = question {
            let story = sqlx::query("UPDATE questions SET comment = $2 WHERE id = $1 RETURNING story")
                .bind(question.to_string())
                .bind(rows::to_i64(comment.0)?)
                .fetch_optional(&mut *write)
                .await?;
            // The status links to the question.
            if let Some(row) = story {
                show(&mut write, rows::parsed(&row, "story")?).await?;
            }
        }
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Records the story's pull request, and wants what follows from how it was taken.
    pub async fn pull_request_open(
        &self,
        effect: &WantedEffect,
        shown: &PublishedPull,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("pull-request-open").await?;
        finish(&mut write, effect.id).await?;
        sqlx::query(
            // Work that nobody has touched for long, and that is shown before it is put away, is
            // none the newer for it.
            "UPDATE stories SET pull = $2, updated_at = CASE $6 WHEN 1 THEN updated_at ELSE $3 END, pull_draft = $4,
                 pull_title = $5, pull_unfinished = $6, base_branch = $7,
                 root_branch = CASE WHEN pull IS NULL AND root_branch = base_branch THEN $7 ELSE root_branch END
             WHERE id = $1",
        )
        .bind(effect.story.to_string())
        .bind(rows::to_i64(shown.number.0)?)
        .bind(now())
        .bind(shown.draft.map(i64::from))
        .bind(&shown.title)
        .bind(i64::from(shown.unfinished))
        .bind(&shown.base)
        .execute(&mut *write)
        .await?;
        // What GitHub did not take before of the same pull request is in this.
        sqlx::query(
            "UPDATE effects SET state = 'done', done_at = $2, refusal = NULL
             WHERE story = $1 AND state = 'parked' AND kind = 'pull_request'
               AND seq < (SELECT seq FROM effects WHERE id = $3)",
        )
        .bind(effect.story.to_string())
        .bind(now())
        .bind(effect.id.to_string())
        .execute(&mut *write)
        .await?;
        want(&mut write, effect.story, effects).await?;
        show(&mut write, effect.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Comments that it is time to look for twice.
    pub async fn possible_doubles(&self) -> anyhow::Result<Vec<DuplicateComment>> {
        let found = sqlx::query(
            "SELECT e.id, e.story, e.effect, e.comment, s.issue, s.repo_key, COALESCE(q.asked_on, s.issue) AS asked_on
             FROM effects AS e JOIN stories AS s ON s.id = e.story
             LEFT JOIN questions AS q ON q.comment = e.comment AND q.story = e.story
             WHERE e.recheck_at <= $1 AND e.comment IS NOT NULL ORDER BY e.recheck_at LIMIT 100",
        )
        .bind(now())
        .fetch_all(&self.reader)
        .await?;
        let double = |row: &SqliteRow| -> anyhow::Result<Option<DuplicateComment>> {
            let effect = rows::json(row, "effect")?;
            let (on, kind) = match effect {
                Effect::Comment { on, .. } => (on, DuplicateKind::Comment),
                Effect::Card { question } => {
                    (IssueNumber(rows::number(row, "asked_on")?), DuplicateKind::Card(question))
                }
                Effect::Status => (IssueNumber(rows::number(row, "issue")?), DuplicateKind::Status),
                Effect::ReviewReply { pull, .. } => (IssueNumber(pull.0), DuplicateKind::ReviewReply),
                Effect::React { .. }
                | Effect::PullRequest { .. }
                | Effect::Evidence { .. }
                | Effect::DeleteBranch { .. }
                | Effect::RequestReview { .. } => {
                    return Ok(None);
                }
            };
            let comment: i64 = row.try_get("comment")?;
            Ok(Some(DuplicateComment {
                effect: rows::parsed(row, "id")?,
                kind,
                story: rows::parsed(row, "story")?,
                repo_key: row.try_get("repo_key")?,
                on,
                comment: CommentId(comment.unsigned_abs()),
            }))
        };
        let effects = found.iter().filter_map(|row| double(row).transpose());
        effects.chain(self.possible_double_rests().await?.into_iter().map(Ok)).collect()
    }

    /// How many comments are still to be looked for twice.
    pub async fn open_rechecks(&self) -> anyhow::Result<i64> {
        let open = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM effects WHERE recheck_at IS NOT NULL)
                + (SELECT COUNT(*) FROM rests WHERE recheck_at IS NOT NULL)",
        );
        Ok(open.fetch_one(&self.reader).await?)
    }

    /// Notes that a comment was looked for twice; `again` in what time to look once more.
    pub async fn rechecked(&self, effect: EffectId, again: Option<Duration>) -> anyhow::Result<()> {
        let mut write = self.begin("rechecked").await?;
        for table in [
            "UPDATE effects SET recheck_at = $2 WHERE id = $1",
            "UPDATE rests SET recheck_at = $2 WHERE id = $1",
        ] {
            sqlx::query(table).bind(effect.to_string()).bind(again.map(after)).execute(&mut *write).await?;
        }
        write.commit().await
    }
}

fn wanted(row: &SqliteRow) -> anyhow::Result<WantedEffect> {
    let count = |column: &str| -> anyhow::Result<u32> {
        let value: i64 = row.try_get(column)?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    };
    Ok(WantedEffect {
        id: rows::parsed(row, "id")?,
        story: rows::parsed(row, "story")?,
        effect: rows::json(row, "effect")?,
        attempts: count("attempts")?,
        refusals: count("refusals")?,
        repo_key: row.try_get("repo_key")?,
        installation: rows::number_option(row, "installation")?.map(InstallationId),
    })
}

pub(super) async fn finish(write: &mut Write, effect: EffectId) -> anyhow::Result<()> {
    let done = sqlx::query(
        "UPDATE effects SET state = 'done', done_at = $2, error = NULL WHERE id = $1 AND state = 'wanted'",
    )
    .bind(effect.to_string())
    .bind(now())
    .execute(&mut **write)
    .await?;
    anyhow::ensure!(done.rows_affected() == 1, "write {effect} is already settled");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_effect_is_the_one_in_its_json() {
        let effects = [
            Effect::React { to: ReactTo::Issue(IssueNumber(1)), content: "eyes".to_owned() },
            Effect::Comment { on: IssueNumber(1), body: String::new() },
            Effect::Card { question: QuestionId::new() },
            Effect::PullRequest {
                title: String::new(),
                body: String::new(),
                short: String::new(),
                unfinished: false,
                draft: None,
                reviewers: Vec::new(),
                asker: None,
                labels: Vec::new(),
            },
            Effect::DeleteBranch { branch: String::new(), head: "c".repeat(40).parse().unwrap() },
            Effect::ReviewReply { pull: PullNumber(1), thread: ReviewCommentId(1), body: String::new() },
            Effect::RequestReview { pull: PullNumber(1), reviewer: String::new() },
            Effect::Evidence { pull: PullNumber(1) },
            Effect::Status,
        ];
        for effect in effects {
            assert_eq!(serde_json::to_value(&effect).unwrap()["kind"], effect.kind());
        }
    }
}
