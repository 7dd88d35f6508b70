//! Money, tokens and time: what runs took, what people have granted beyond the caps, and agents
//! whose usage limit is used up. Answers to questions about caps count as grants where they stand,
//! in the row of their question, so that word and money cannot come apart. What follows from the
//! sums is decided in `story/budget.rs`.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::effects::{NewEffect, want};
use super::shown::show;
use super::tasks::hold;
use super::write::Write;
use super::{NewAnswers, Store, cards, deliveries, now, rows};
use crate::ids::{AgentKind, QuestionId, StoryId, TaskId};
use crate::story::budget::{
    self, Amount, CapAnswer, CapQuestionState, HOB, Ledger, NEW_DAY, Scope, Usage, UsageTotals,
};
use crate::story::{Answer, PartAnswer, RunReason, Story, Task};

/// A wrong clock, ours or a provider's, parks nothing for longer.
const MAX_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A question about a cap.
#[derive(Debug, Clone)]
pub struct CapQuestion {
    /// Its id.
    pub id: QuestionId,
    /// The task that it holds up.
    pub task: TaskId,
    /// The story.
    pub story: StoryId,
    /// The cap.
    pub at_cap: CapQuestionState,
    /// The answer, once it is there.
    pub answer: Option<Answer>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
}

impl CapQuestion {
    /// What was answered, if anything was.
    pub fn said(&self) -> Option<CapAnswer> {
        self.answer.as_ref().map(|answer| budget::said(answer, &self.at_cap.reached))
    }
}

/// What a queued task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsForLimit {
    /// Whose usage limit is used up.
    pub agent: AgentKind,
    /// Until when.
    pub until: Timestamp,
}

impl Store {
    /// What was used of each cap of a task, and granted beyond, as of now.
    pub async fn ledger(&self, story: &Story, task: &Task) -> anyhow::Result<Ledger> {
        let today = budget::start_of_day(crate::clock::now()).as_millisecond();
        let mut ledger = Ledger { used: self.used(story, task, today).await?, ..Ledger::default() };
        self.add_granted(story, task, &mut ledger.granted).await?;
        for (asked, repo) in self.answered_at_caps(story.id, today).await? {
            let Some(CapAnswer::More(amount)) = asked.said() else { continue };
            let is_todays = asked.answered_at.is_some_and(|at| at.as_millisecond() >= today);
            let granted = &mut ledger.granted;
            let raised = match asked.at_cap.reached.scope {
                Scope::Task if asked.task == task.id => Some(&mut granted.task),
                Scope::Story if asked.story == story.id => Some(&mut granted.story),
                Scope::RepositoryDay if is_todays && repo == story.repo.key() => {
                    Some(&mut granted.repository_day)
                }
                Scope::Day if is_todays => Some(&mut granted.day),
                Scope::Run | Scope::Task | Scope::Story | Scope::RepositoryDay | Scope::Day => None,
            };
            if let Some(raised) = raised {
                *raised = raised.and(amount.into());
            }
            if task.turn == (RunReason::Answer { question: asked.id }) {
                ledger.granted_now = amount.into();
            }
        }
        Ok(ledger)
    }

    /// What a story has used over all its runs that have ended.
    pub async fn spent(&self, story: StoryId) -> anyhow::Result<Usage> {
        let row = sqlx::query(
            "SELECT COALESCE(SUM(r.cost_usd), 0.0) AS usd, COALESCE(SUM(r.tokens), 0) AS tokens,
                    COALESCE(SUM(r.took_ms), 0) AS ms
             FROM runs AS r JOIN tasks AS t ON t.id = r.task WHERE t.story = $1 AND r.ended IS NOT NULL",
        )
        .bind(story.to_string())
        .fetch_one(&self.reader)
        .await?;
        used(&row)
    }

    async fn used(&self, story: &Story, task: &Task, today: i64) -> anyhow::Result<UsageTotals> {
        let found = sqlx::query(
            "SELECT t.id AS task, t.story, s.repo_key, r.ended_at >= $2 AS is_todays,
                    COALESCE(SUM(r.cost_usd), 0.0) AS usd, COALESCE(SUM(r.tokens), 0) AS tokens,
                    COALESCE(SUM(r.took_ms), 0) AS ms
             FROM (SELECT of_story.id FROM tasks AS own JOIN runs AS of_story ON of_story.task = own.id WHERE own.story = $1
                   UNION SELECT id FROM runs WHERE ended_at >= $2) AS counted
                 CROSS JOIN runs AS r CROSS JOIN tasks AS t CROSS JOIN stories AS s
             WHERE r.id = counted.id AND t.id = r.task AND s.id = t.story AND r.ended IS NOT NULL
             GROUP BY t.id, t.story, s.repo_key, r.ended_at >= $2",
        )
        .bind(story.id.to_string())
        .bind(today)
        .fetch_all(&self.reader)
        .await?;
        let mut sums = UsageTotals::default();
        for row in &found {
            let used = used(row)?;
            let (of_task, of_story): (TaskId, StoryId) =
                (rows::parsed(row, "task")?, rows::parsed(row, "story")?);
            let (repo, is_todays): (String, bool) =
                (row.try_get("repo_key")?, rows::is_true(row, "is_todays")?);
            for (sum, counts) in [
                (&mut sums.task, of_task == task.id),
                (&mut sums.story, of_story == story.id),
                (&mut sums.repository_day, is_todays && repo == story.repo.key()),
                (&mut sums.day, is_todays),
            ] {
                if counts {
                    *sum = sum.and(used);
                }
            }
        }
        Ok(sums)
    }

    /// What was granted by a command, with no question open.
    async fn add_granted(&self, story: &Story, task: &Task, granted: &mut UsageTotals) -> anyhow::Result<()> {
        let row = sqlx::query(
            "SELECT COALESCE(SUM(usd), 0.0) AS of_story,
                    COALESCE(SUM(CASE WHEN task = $2 THEN usd ELSE 0.0 END), 0.0) AS of_task
             FROM grants WHERE story = $1",
        )
        .bind(story.id.to_string())
        .bind(task.id.to_string())
        .fetch_one(&self.reader)
        .await?;
        granted.story.usd += row.try_get::<f64, _>("of_story")?;
        granted.task.usd += row.try_get::<f64, _>("of_task")?;
        Ok(())
    }

    /// Questions about caps that were answered, of a story and since a moment, each with its
    /// repository's key.
    async fn answered_at_caps(
        &self,
        story: StoryId,
        since: i64,
    ) -> anyhow::Result<Vec<(CapQuestion, String)>> {
        let found = sqlx::query(
            "SELECT q.*, s.repo_key
             FROM (SELECT own.id FROM tasks AS t JOIN questions AS own ON own.task = t.id WHERE t.story = $1
                   UNION SELECT id FROM questions WHERE answer IS NOT NULL AND answered_at >= $2) AS counted
                 CROSS JOIN questions AS q CROSS JOIN stories AS s
             WHERE q.id = counted.id AND s.id = q.story AND q.answer IS NOT NULL
               AND q.kind = 'budget' ORDER BY q.seq",
        )
        .bind(story.to_string())
        .bind(since)
        .fetch_all(&self.reader)
        .await?;
        found.iter().map(|row| Ok((at_cap_question(row)?, row.try_get("repo_key")?))).collect()
    }

    /// The question about a cap of that id, if it is one.
    pub async fn at_cap(&self, question: QuestionId) -> anyhow::Result<Option<CapQuestion>> {
        let row = sqlx::query("SELECT * FROM questions WHERE id = $1 AND kind = 'budget'")
            .bind(question.to_string())
            .fetch_optional(&self.reader)
            .await?;
        row.as_ref().map(at_cap_question).transpose()
    }

    /// The newest question of a task, if it is about a cap.
    pub async fn last_at_cap(&self, task: TaskId) -> anyhow::Result<Option<CapQuestion>> {
        let newest: Option<String> =
            sqlx::query_scalar("SELECT id FROM questions WHERE task = $1 ORDER BY seq DESC LIMIT 1")
                .bind(task.to_string())
                .fetch_optional(&self.reader)
                .await?;
        match newest {
            Some(id) => self.at_cap(id.parse()?).await,
            None => Ok(None),
        }
    }

    /// Lets a story cost more. Where it waits with a question about dollars, that is its answer,
    /// and the task goes on. Settles the delivery; one that comes again grants nothing more. Tells
    /// whether a question was answered.
    pub async fn grant_budget(
        &self,
        guid: &str,
        story: StoryId,
        usd: f64,
        by: &str,
        effects: &[NewEffect],
    ) -> anyhow::Result<bool> {
        let mut write = self.begin("grant-budget").await?;
        let open = sqlx::query(
            "SELECT q.* FROM questions AS q JOIN tasks AS t ON t.id = q.task
             WHERE q.story = $1 AND q.answer IS NULL AND t.state = 'blocked'
               AND q.kind = 'budget' ORDER BY q.seq DESC LIMIT 1",
        )
        .bind(story.to_string())
        .fetch_optional(&mut *write)
        .await?;
        let open = open.as_ref().map(at_cap_question).transpose()?;
        let open = open.filter(|asked| matches!(asked.at_cap.reached.cap, Amount::Usd(_)));
        let answered = match &open {
            Some(asked) => {
                let answer = Answer { text: format!("${usd:.2}"), by: by.to_owned() };
                go_on(&mut write, asked, answer).await?
            }
            None => false,
        };
        if !answered {
            note_grant(&mut write, guid, story, usd, by).await?;
        }
        want(&mut write, story, effects).await?;
        show(&mut write, story).await?;
        deliveries::settle(&mut write, guid, "done", "granted more budget").await?;
        write.commit().await?;
        self.wakes.tasks.notify_one();
        self.wakes.effects.notify_one();
        Ok(answered)
    }

    /// Has every task go on that waits with a question about the cap of a day that is over. Tells
    /// how many.
    pub async fn begin_new_day(&self) -> anyhow::Result<usize> {
        let today = budget::start_of_day(crate::clock::now());
        let found = sqlx::query(
            "SELECT q.* FROM tasks AS t CROSS JOIN questions AS q
             WHERE t.state = 'blocked' AND q.task = t.id AND q.answer IS NULL AND q.asked_at < $1
               AND q.kind = 'budget' ORDER BY q.seq",
        )
        .bind(today.as_millisecond())
        .fetch_all(&self.reader)
        .await?;
        let mut went_on = 0;
        for asked in found.iter().map(at_cap_question) {
            let asked = asked?;
            if !asked.at_cap.reached.scope.is_days() || asked.at_cap.asked_at >= today {
                continue;
            }
            let answer = Answer { text: NEW_DAY.to_owned(), by: HOB.to_owned() };
            let mut write = self.begin("new-day").await?;
            went_on += usize::from(go_on(&mut write, &asked, answer).await?);
            show(&mut write, asked.story).await?;
            write.commit().await?;
        }
        if went_on > 0 {
            self.wakes.tasks.notify_one();
            self.wakes.effects.notify_one();
        }
        Ok(went_on)
    }

    /// Puts a queued task off until a moment: the reset of an agent's usage limit, where one is
    /// named, or the next day.
    pub async fn park(&self, task: &Task, until: Timestamp, agent: Option<AgentKind>) -> anyhow::Result<()> {
        let mut write = self.begin("park").await?;
        hold(&mut write, task).await?;
        sqlx::query("UPDATE tasks SET not_before = $3, waits_for = $4 WHERE id = $1 AND fence = $2")
            .bind(task.id.to_string())
            .bind(task.fence)
            .bind(until.as_millisecond())
            .bind(agent.map(AgentKind::as_str))
            .execute(&mut *write)
            .await?;
        show(&mut write, task.story).await?;
        write.commit().await?;
        self.wakes.effects.notify_one();
        Ok(())
    }

    /// The usage limit that a story's work waits for, where it waits for one.
    pub async fn waits_for_limit(&self, story: StoryId) -> anyhow::Result<Option<WaitsForLimit>> {
        let row = sqlx::query(
            "SELECT waits_for, not_before FROM tasks
             WHERE story = $1 AND state = 'queued' AND waits_for IS NOT NULL AND not_before > $2
             ORDER BY seq LIMIT 1",
        )
        .bind(story.to_string())
        .bind(now())
        .fetch_optional(&self.reader)
        .await?;
        let read = |row: &SqliteRow| {
            anyhow::Ok(WaitsForLimit {
                agent: rows::parsed(row, "waits_for")?,
                until: rows::time(row, "not_before")?,
            })
        };
        row.as_ref().map(read).transpose()
    }

    /// Remembers that an agent's usage limit is used up, until a moment, a week at most.
    pub async fn limit_agent(&self, agent: AgentKind, until: Timestamp) -> anyhow::Result<()> {
        let latest = crate::clock::now().checked_add(MAX_LIMIT).unwrap_or(until);
        let mut write = self.begin("limit-agent").await?;
        sqlx::query(
            "INSERT INTO agent_limits (agent, limited_until) VALUES ($1, $2)
             ON CONFLICT (agent) DO UPDATE SET limited_until = excluded.limited_until",
        )
        .bind(agent.as_str())
        .bind(until.min(latest).as_millisecond())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Until when an agent's usage limit is used up, where it is.
    pub async fn limited_until(&self, agent: AgentKind) -> anyhow::Result<Option<Timestamp>> {
        let row =
            sqlx::query("SELECT limited_until FROM agent_limits WHERE agent = $1 AND limited_until > $2")
                .bind(agent.as_str())
                .bind(now())
                .fetch_optional(&self.reader)
                .await?;
        row.as_ref().map(|row| rows::time(row, "limited_until")).transpose()
    }

    /// What the session of a run had used before it, over all its earlier runs, by the program's
    /// own count.
    pub async fn session_tokens(&self, story: StoryId, session: &str) -> anyhow::Result<Option<u64>> {
        let before: Option<i64> = sqlx::query_scalar(
            "SELECT json_extract(r.ended, '$.session_tokens') FROM runs AS r JOIN tasks AS t ON t.id = r.task
             WHERE t.story = $1 AND json_extract(r.ended, '$.session') = $2
               AND json_extract(r.ended, '$.session_tokens') IS NOT NULL
             ORDER BY r.seq DESC LIMIT 1",
        )
        .bind(story.to_string())
        .bind(session)
        .fetch_optional(&self.reader)
        .await?;
        Ok(before.and_then(|tokens| u64::try_from(tokens).ok()))
    }
}

/// Answers a question about a cap, as a person would on its card; its task goes on. False: it was
/// answered meanwhile.
async fn go_on(write: &mut Write, asked: &CapQuestion, answer: Answer) -> anyhow::Result<bool> {
    let answers = vec![PartAnswer { part: 0, text: answer.text }];
    cards::answer(write, &NewAnswers { question: asked.id, answers, by: answer.by }, &[]).await
}

async fn note_grant(write: &mut Write, guid: &str, story: StoryId, usd: f64, by: &str) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT INTO grants (delivery, story, task, usd, granted_by, at)
         VALUES ($1, $2, (SELECT id FROM tasks WHERE story = $2
                          AND state IN ('queued', 'running', 'publishing', 'blocked') ORDER BY seq LIMIT 1),
                 $3, $4, $5)
         ON CONFLICT (delivery) DO NOTHING",
    )
    .bind(guid)
    .bind(story.to_string())
    .bind(usd)
    .bind(by)
    .bind(now())
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn used(row: &SqliteRow) -> anyhow::Result<Usage> {
    Ok(Usage { usd: row.try_get("usd")?, tokens: rows::number(row, "tokens")?, ms: rows::number(row, "ms")? })
}

fn at_cap_question(row: &SqliteRow) -> anyhow::Result<CapQuestion> {
    let asked = rows::question(row)?;
    Ok(CapQuestion {
        id: asked.id,
        task: rows::parsed(row, "task")?,
        story: rows::parsed(row, "story")?,
        at_cap: rows::json(row, "payload")?,
        answer: asked.answer,
        answered_at: rows::time_option(row, "answered_at")?,
    })
}
