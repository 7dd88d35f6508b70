//! Question cards: reading one with its answers, answering it part by part, taking its defaults,
//! and noting what GitHub shows. Each change is made only while the question is open, in one
//! transaction with what follows: the first answer counts.

use anyhow::Context as _;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{Effect, NewEffect, finish, want};
use super::shown::show;
use super::write::Write;
use super::{Store, deliveries, now, rows};
use crate::event::Person;
use crate::ids::{EffectId, IssueNumber, PullNumber, QuestionId, StoryId, TaskId};
use crate::story::card::whole_answer;
use crate::story::{
    Answer, OverflowLinks, PartAnswer, QuestionComment, QuestionKind, SelectedAnswer, TaskRequest, plan,
};

/// A card with what makes it one, but for its answers. It is open while a task waits for it: the
/// last of the task's questions.
const CARD: &str =
    "SELECT q.*, COALESCE(q.asked_on, s.issue) AS on_issue,         t.state = 'blocked' AND q.answer IS NULL
            AND q.seq = (SELECT MAX(last.seq) FROM questions AS last WHERE last.task = q.task) AS is_open
    FROM questions AS q JOIN stories AS s ON s.id = q.story JOIN tasks AS t ON t.id = q.task";

/// Answers that somebody gives.
#[derive(Debug, Clone)]
pub struct NewAnswers {
    /// The question.
    pub question: QuestionId,
    /// What, by part.
    pub answers: Vec<PartAnswer>,
    /// By whom.
    pub by: String,
}

impl Store {
    /// A card.
    pub async fn card(&self, question: QuestionId) -> anyhow::Result<QuestionComment> {
        let found = self.cards_where("q.id = $1", &question.to_string()).await?;
        found.into_iter().next().with_context(|| format!("no question {question}"))
    }

    /// Every card of a story, oldest first.
    pub async fn cards_of(&self, story: StoryId) -> anyhow::Result<Vec<QuestionComment>> {
        self.cards_where("q.story = $1", &story.to_string()).await
    }

    /// Every card that is on GitHub and waits, of the longest first.
    pub async fn waiting_cards(&self) -> anyhow::Result<Vec<QuestionComment>> {
        let waiting = "q.id IN (SELECT asked.id FROM tasks AS waiting CROSS JOIN questions AS asked
                                WHERE waiting.state = 'blocked' AND asked.task = waiting.id AND asked.answer IS NULL
                                  AND asked.comment IS NOT NULL) AND t.state = $1";
        self.cards_where(waiting, "blocked").await
    }

    async fn cards_where(
        &self,
        condition: &'static str,
        value: &str,
    ) -> anyhow::Result<Vec<QuestionComment>> {
        let sql = sqlx::AssertSqlSafe(format!("{CARD} WHERE {condition} ORDER BY q.seq"));
        let found = sqlx::query(sql).bind(value).fetch_all(&self.reader).await?;
        let mut cards = Vec::new();
        for row in &found {
            let id: QuestionId = rows::parsed(row, "id")?;
            let given = sqlx::query("SELECT * FROM answers WHERE question = $1 ORDER BY part")
                .bind(id.to_string())
                .fetch_all(&self.reader)
                .await?;
            let rests = self.rests_of(rows::parsed(row, "story")?).await?;
            cards.push(QuestionComment { rests, ..card(row, &given)? });
        }
        Ok(cards)
    }

    /// Who asked for the work that a question came up in.
    pub async fn asker_of(&self, question: QuestionId) -> anyhow::Result<Person> {
        let row =
            sqlx::query("SELECT t.ask FROM tasks AS t JOIN questions AS q ON q.task = t.id WHERE q.id = $1")
                .bind(question.to_string())
                .fetch_one(&self.reader)
                .await?;
        let ask: TaskRequest = rows::json(&row, "ask")?;
        Ok(Person { login: ask.by, id: ask.by_id, is_bot: false })
    }

    /// Takes a delivery as answers to parts of a question; the task goes on once all parts have
    /// one. Returns false, and leaves the delivery unsettled, where all of those parts have been
    /// answered meanwhile.
    pub async fn answer(&self, guid: &str, new: &NewAnswers, effects: &[NewEffect]) -> anyhow::Result<bool> {
        let mut write = self.begin("answer").await?;
        if !answer(&mut write, new, effects).await? {
            write.undo().await?;
            return Ok(false);
        }
        deliveries::settle(&mut write, guid, "done", "answered a question").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Takes the defaults of a question whose deadline has passed. Returns false where somebody has
    /// answered meanwhile, or where what came before the deadline is still to be read: there may be
    /// an answer in it.
    pub async fn take_defaults(&self, new: &NewAnswers, deadline: Timestamp) -> anyhow::Result<bool> {
        let mut write = self.begin("take-defaults").await?;
        let unread =
            sqlx::query("SELECT 1 FROM deliveries WHERE state = 'new' AND received_at <= $1 LIMIT 1")
                .bind(deadline.as_millisecond())
                .fetch_optional(&mut *write)
                .await?;
        if unread.is_some() || !answer(&mut write, new, &[]).await? {
            write.undo().await?;
            return Ok(false);
        }
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(true)
    }

    /// Settles a delivery about a card that answers nothing: the card is shown again as it should
    /// be, and `effects` are said.
    pub async fn show_card_again(
        &self,
        guid: &str,
        card: &QuestionComment,
        effects: &[NewEffect],
    ) -> anyhow::Result<()> {
        let mut write = self.begin("show-card-again").await?;
        let shown = NewEffect::new(Effect::Card { question: card.id });
        want(&mut write, card.story, &[effects, &[shown]].concat()).await?;
        deliveries::settle(&mut write, guid, "done", "restored a question comment").await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// Begins the time that people have for an answer, again with each try to post the card: they
    /// had none before it was there.
    pub async fn begin_deadline(&self, question: QuestionId, at: Timestamp) -> anyhow::Result<()> {
        let mut write = self.begin("begin-deadline").await?;
        sqlx::query("UPDATE questions SET deadline_at = $2 WHERE id = $1 AND comment IS NULL")
            .bind(question.to_string())
            .bind(at.as_millisecond())
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Has a card that is about to be posted name a draft pull request, and no other later.
    pub async fn name_draft(&self, question: QuestionId, pull: Option<PullNumber>) -> anyhow::Result<()> {
        let mut write = self.begin("name-draft").await?;
        sqlx::query("UPDATE questions SET draft_pull = $2 WHERE id = $1 AND comment IS NULL")
            .bind(question.to_string())
            .bind(pull.map(|pull| rows::to_i64(pull.0)).transpose()?)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Records that the comment of a card was changed, at this time by GitHub's clock, to show
    /// these parts as answered.
    pub async fn card_shown(
        &self,
        effect: EffectId,
        question: QuestionId,
        parts: &[usize],
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let mut write = self.begin("card-shown").await?;
        finish(&mut write, effect).await?;
        for part in parts {
            sqlx::query(
                "UPDATE answers SET shown_at = $3 WHERE question = $1 AND part = $2 AND shown_at IS NULL",
            )
            .bind(question.to_string())
            .bind(rows::to_i64(*part as u64)?)
            .bind(at.as_millisecond())
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    /// Whether an open question has a deadline that has passed. Cheap: asked often.
    pub async fn has_deadline_before(&self, at: Timestamp) -> anyhow::Result<bool> {
        Ok(self.next_deadline().await?.is_some_and(|next| next <= at.as_millisecond()))
    }

    /// The first deadline of the questions that wait.
    pub async fn next_deadline(&self) -> anyhow::Result<Option<i64>> {
        let next = sqlx::query_scalar(
            "SELECT MIN(q.deadline_at) FROM tasks AS t CROSS JOIN questions AS q
             WHERE t.state = 'blocked' AND q.task = t.id AND q.answer IS NULL",
        );
        Ok(next.fetch_one(&self.reader).await?)
    }

    /// Questions that people are to be reminded of: on GitHub since before a moment, open, and not
    /// reminded of.
    pub async fn cards_to_remind_of(&self, asked_before: Timestamp) -> anyhow::Result<Vec<QuestionId>> {
        let found = sqlx::query(
            "SELECT q.id FROM tasks AS t CROSS JOIN questions AS q
             WHERE t.state = 'blocked' AND q.task = t.id AND q.answer IS NULL AND q.comment IS NOT NULL
               AND q.reminded_at IS NULL AND q.asked_at <= $1 ORDER BY q.seq",
        )
        .bind(asked_before.as_millisecond())
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(|row| rows::parsed(row, "id")).collect()
    }

    /// Reminds people of a question, once. False: it is answered, or they were reminded.
    pub async fn remind(&self, card: &QuestionComment, effect: &NewEffect) -> anyhow::Result<bool> {
        let mut write = self.begin("remind").await?;
        let reminded = sqlx::query(
            "UPDATE questions SET reminded_at = $2 WHERE id = $1 AND reminded_at IS NULL AND answer IS NULL",
        )
        .bind(card.id.to_string())
        .bind(now())
        .execute(&mut *write)
        .await?;
        if reminded.rows_affected() == 0 {
            write.undo().await?;
            return Ok(false);
        }
        want(&mut write, card.story, std::slice::from_ref(effect)).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(true)
    }
}

/// Writes answers down as part of a write, has the card show them, and moves the task on where they
/// are all. False: nothing was written, since the question is open no more, or all of these parts
/// have an answer.
pub(super) async fn answer(
    write: &mut Write,
    new: &NewAnswers,
    effects: &[NewEffect],
) -> anyhow::Result<bool> {
    let sql = sqlx::AssertSqlSafe(format!("{CARD} WHERE q.id = $1"));
    let id = new.question.to_string();
    let Some(row) = sqlx::query(sql).bind(&id).fetch_optional(&mut **write).await? else { return Ok(false) };
    if !rows::is_true(&row, "is_open")? {
        return Ok(false);
    }
    let mut written = 0;
    for PartAnswer { part, text } in &new.answers {
        let done = sqlx::query(
            "INSERT INTO answers (question, part, answer, answered_by, answered_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (question, part) DO NOTHING",
        )
        .bind(&id)
        .bind(rows::to_i64(*part as u64)?)
        .bind(text)
        .bind(&new.by)
        .bind(now())
        .execute(&mut **write)
        .await?;
        written += done.rows_affected();
    }
    if written == 0 {
        return Ok(false);
    }
    let given = sqlx::query("SELECT * FROM answers WHERE question = $1 ORDER BY part")
        .bind(&id)
        .fetch_all(&mut **write)
        .await?;
    let card = card(&row, &given)?;
    if let Some(whole) = whole_answer(&card.answers) {
        let task: TaskId = rows::parsed(&row, "task")?;
        complete(write, &card, task, &whole).await?;
    }
    sqlx::query("UPDATE stories SET warned_at = NULL WHERE id = $1")
        .bind(card.story.to_string())
        .execute(&mut **write)
        .await?;
    let shown = NewEffect::new(Effect::Card { question: card.id });
    want(write, card.story, &[effects, &[shown]].concat()).await?;
    show(write, card.story).await?;
    Ok(true)
}

async fn complete(
    write: &mut Write,
    card: &QuestionComment,
    task: TaskId,
    whole: &Answer,
) -> anyhow::Result<()> {
    sqlx::query("UPDATE questions SET answer = $2, answered_by = $3, answered_at = $4 WHERE id = $1")
        .bind(card.id.to_string())
        .bind(&whole.text)
        .bind(&whole.by)
        .bind(now())
        .execute(&mut **write)
        .await?;
    let row = sqlx::query("SELECT mode FROM tasks WHERE id = $1")
        .bind(task.to_string())
        .fetch_one(&mut **write)
        .await?;
    let is_plan = card.kind == QuestionKind::Plan;
    let (turn, mode) = plan::after_answer(rows::mode(&row)?, is_plan, card.id, &whole.text);
    sqlx::query(
        "UPDATE tasks SET state = 'queued', turn = $2, mode = $4, retries = 0, not_before = 0, updated_at = $3
         WHERE id = $1 AND state = 'blocked'",
    )
    .bind(task.to_string())
    .bind(rows::to_json(&turn)?)
    .bind(now())
    .bind(mode.as_str())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Has the cards of tasks that wait no more show that. Only those that are on GitHub.
pub(super) async fn close_cards(write: &mut Write, story: StoryId) -> anyhow::Result<()> {
    let open = sqlx::query(
        "SELECT q.id FROM questions AS q JOIN tasks AS t ON t.id = q.task
         WHERE q.story = $1 AND q.answer IS NULL AND q.comment IS NOT NULL AND t.state = 'queued' AND t.stop_why IS NOT NULL",
    )
        .bind(story.to_string())
        .fetch_all(&mut **write)
        .await?;
    for row in &open {
        want(write, story, &[NewEffect::new(Effect::Card { question: rows::parsed(row, "id")? })]).await?;
    }
    Ok(())
}

fn card(row: &SqliteRow, given: &[SqliteRow]) -> anyhow::Result<QuestionComment> {
    let asked = rows::question(row)?;
    let mut answers: Vec<Option<SelectedAnswer>> = vec![None; asked.question.count()];
    for row in given {
        let part = usize::try_from(rows::number(row, "part")?)?;
        let answer = Answer { text: row.try_get("answer")?, by: row.try_get("answered_by")? };
        let slot = answers.get_mut(part).context("an answer refers to an unknown part")?;
        *slot = Some(SelectedAnswer { answer, shown_at: rows::time_option(row, "shown_at")? });
    }
    Ok(QuestionComment {
        id: asked.id,
        story: rows::parsed(row, "story")?,
        kind: asked.kind,
        on: IssueNumber(rows::number(row, "on_issue")?),
        comment: asked.comment,
        question: asked.question,
        answers,
        is_open: rows::is_true(row, "is_open")?,
        deadline_at: rows::time_option(row, "deadline_at")?,
        rests: OverflowLinks::new(),
        draft_pull: rows::number_option(row, "draft_pull")?.map(PullNumber),
    })
}
