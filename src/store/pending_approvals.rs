//! Hand-overs that wait for a person's word. They stand in the row of the question that asks for
//! it, so that word and commits cannot come apart.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;

use super::{NewQuestion, Store, rows};
use crate::ids::{QuestionId, StoryId};
use crate::story::budget::CapQuestionState;
use crate::story::{Answer, PendingApproval, Question, QuestionKind};

/// A hand-over that a question was asked about.
#[derive(Debug, Clone)]
pub struct ApprovalQuestion {
    /// The question.
    pub id: QuestionId,
    /// What it was asked about.
    pub held_back: PendingApproval,
    /// The answer, once it is there.
    pub answer: Option<Answer>,
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    question: &'a Question,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back: Option<&'a PendingApproval>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_cap: Option<&'a CapQuestionState>,
}

#[derive(Deserialize)]
struct Read {
    held_back: Option<PendingApproval>,
}

impl Store {
    /// Every hand-over of a story that was held back, oldest first.
    pub async fn held_back(&self, story: StoryId) -> anyhow::Result<Vec<ApprovalQuestion>> {
        let found = sqlx::query("SELECT * FROM questions WHERE story = $1 ORDER BY seq")
            .bind(story.to_string())
            .fetch_all(&self.reader)
            .await?;
        let mut held = Vec::new();
        for row in &found {
            if let Read { held_back: Some(held_back) } = rows::json(row, "question")? {
                let asked = rows::question(row)?;
                held.push(ApprovalQuestion { id: asked.id, held_back, answer: asked.answer });
            }
        }
        Ok(held)
    }
}

/// What kind of question a row holds, but for plans.
pub(super) fn kind(row: &SqliteRow) -> anyhow::Result<QuestionKind> {
    #[derive(Deserialize)]
    struct TaskKind {
        held_back: Option<IgnoredAny>,
        at_cap: Option<IgnoredAny>,
    }
    let about: TaskKind = rows::json(row, "question")?;
    Ok(match (about.held_back, about.at_cap) {
        (Some(_), _) => QuestionKind::Protected,
        (None, Some(_)) => QuestionKind::Cap,
        (None, None) => QuestionKind::Agent,
    })
}

/// The column `question` of a new question.
pub(super) fn column(new: &NewQuestion) -> anyhow::Result<String> {
    let (held_back, at_cap) = (new.held_back.as_ref(), new.at_cap.as_ref());
    rows::to_json(&Written { question: &new.question, held_back, at_cap })
}
