//! What kind of question a row holds, and what belongs to the kind: the hand-over that waits for an
//! approval, or the cap that was reached. It stands in the row of its question, so that the answer
//! and what it is about cannot come apart. Questions themselves are in `cards.rs`.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, rows};
use crate::ids::{QuestionId, StoryId};
use crate::story::{Answer, PendingApproval, QuestionKind, QuestionSubject};

/// A question whether a hand-over may be pushed.
#[derive(Debug, Clone)]
pub struct ApprovalQuestion {
    /// The question.
    pub id: QuestionId,
    /// The hand-over.
    pub held_back: PendingApproval,
    /// The answer, once it is there.
    pub answer: Option<Answer>,
}

impl Store {
    /// Every question of a story whether a hand-over may be pushed, oldest first.
    pub async fn held_back(&self, story: StoryId) -> anyhow::Result<Vec<ApprovalQuestion>> {
        let found = sqlx::query("SELECT * FROM questions WHERE story = $1 AND kind = $2 ORDER BY seq")
            .bind(story.to_string())
            .bind(QuestionKind::Protected.as_str())
            .fetch_all(&self.reader)
            .await?;
        let mut held = Vec::new();
        for row in &found {
            let asked = rows::question(row)?;
            held.push(ApprovalQuestion {
                id: asked.id,
                held_back: rows::json(row, "payload")?,
                answer: asked.answer,
            });
        }
        Ok(held)
    }
}

/// The kind of the question in a row.
pub(super) fn kind(row: &SqliteRow) -> anyhow::Result<QuestionKind> {
    let word: String = row.try_get("kind")?;
    QuestionKind::from_word(&word)
        .ok_or_else(|| anyhow::anyhow!("column kind of the store: unknown kind {word}"))
}

/// The column `payload` of a question.
pub(super) fn payload(subject: &QuestionSubject) -> anyhow::Result<Option<String>> {
    match subject {
        QuestionSubject::Agent | QuestionSubject::Plan => Ok(None),
        QuestionSubject::Protected(held_back) => rows::to_json(held_back).map(Some),
        QuestionSubject::Cap(at_cap) => rows::to_json(at_cap).map(Some),
    }
}
