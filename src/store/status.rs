//! What an operator wants to see: what is under way, what waits and for what, what is stuck. Read
//! in one transaction, so that the parts belong to the same moment. How it is shown is the command
//! line's.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

use super::access_denied::{AccessDenied, shut_out};
use super::rejected_webhooks::{RejectedWebhooks, turned_away};
use super::{Effect, PendingRequest, ReactTo, Store, now, rows};
use crate::story::{Question, TaskState};

/// What is open in the store at one moment.
#[derive(Debug, Serialize)]
pub struct StoreStatus {
    /// The number of the schema's newest step.
    pub schema: i64,
    /// Deliveries that are not settled, oldest first.
    pub deliveries: Vec<OpenDelivery>,
    /// Tasks that are not over, oldest first.
    pub tasks: Vec<OpenTask>,
    /// Work that begins by itself when what blocks it is closed, oldest first.
    pub wishes: Vec<BlockedRequest>,
    /// Effects that are not done, in the order in which they were wanted.
    pub effects: Vec<OpenEffect>,
    /// Why GitHub does not let hob in, where it does not.
    pub shut_out: Option<AccessDenied>,
    /// Webhooks that the door has turned away lately.
    pub turned_away: Option<RejectedWebhooks>,
}

/// A delivery that has led to nothing yet.
#[derive(Debug, Serialize)]
pub struct OpenDelivery {
    /// GitHub's id of it.
    pub guid: String,
    /// The event's name.
    pub event: String,
    /// Whether hob could not read it and has set it aside.
    pub is_unreadable: bool,
    /// When it came.
    pub received_at: Timestamp,
    /// How often intake tried it.
    pub attempts: u32,
    /// When it is tried next, where it was put off.
    pub next_try: Option<Timestamp>,
    /// What was in the way.
    pub note: Option<String>,
}

/// A task that is not over.
#[derive(Debug, Serialize)]
pub struct OpenTask {
    /// Its id.
    pub task: String,
    /// `owner/name`.
    pub repo: String,
    /// The issue.
    pub issue: u64,
    /// Where it stands: `queued`, `running`, `publishing` or `blocked`.
    pub state: &'static str,
    /// Since when it stands there.
    pub since: Timestamp,
    /// The agent of its newest run.
    pub agent: Option<String>,
    /// Whether a worker has it.
    pub is_leased: bool,
    /// How often it was tried again.
    pub retries: u64,
    /// When it is tried again, where it waits for that.
    pub next_try: Option<Timestamp>,
    /// The agent whose usage limit it waits for until then, where it waits for one.
    pub waits_for: Option<String>,
    /// The first line of the question that it waits with.
    pub question: Option<String>,
    /// Who wants it stopped.
    pub stop_by: Option<String>,
}

/// Work that was asked for on an issue that others block.
#[derive(Debug, Serialize)]
pub struct BlockedRequest {
    /// `owner/name`.
    pub repo: String,
    /// The issue.
    pub issue: u64,
    /// Who asked.
    pub by: String,
    /// When, by GitHub's clock.
    pub at: Timestamp,
    /// The issues that it waits for, as `owner/name#3`.
    pub waits_for: Vec<String>,
    /// When GitHub is asked about them next, where it is not asked at once.
    pub next_look: Option<Timestamp>,
}

/// Something that hob wants to be so on GitHub, and that is not so yet as far as hob knows.
#[derive(Debug, Serialize)]
pub struct OpenEffect {
    /// Its id, for `hob retry`.
    pub id: String,
    /// `owner/name`.
    pub repo: String,
    /// What it is, in a few words.
    pub what: String,
    /// Whether hob has given it up.
    pub is_parked: bool,
    /// When it was wanted.
    pub wanted_at: Timestamp,
    /// How often it was tried.
    pub tries: u64,
    /// When it is tried next, where it was put off.
    pub next_try: Option<Timestamp>,
    /// How the last try ended.
    pub error: Option<String>,
}

/// A delivery that was recorded, settled or not.
#[derive(Debug)]
pub struct RecordedDelivery {
    /// The event's name.
    pub event: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What became of it.
    pub note: Option<String>,
}

/// What is open, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counts {
    pub deliveries: i64,
    pub queued: i64,
    pub running: i64,
    pub blocked: i64,
    pub effects: i64,
    pub parked: i64,
}

impl Store {
    /// What is open.
    pub async fn status(&self) -> anyhow::Result<StoreStatus> {
        let mut reader = self.reader.acquire().await?;
        let mut snapshot = reader.begin().await?;
        let schema = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations");
        let status = StoreStatus {
            schema: schema.fetch_one(&mut *snapshot).await?,
            deliveries: deliveries(&mut snapshot).await?,
            tasks: tasks(&mut snapshot).await?,
            wishes: wishes(&mut snapshot).await?,
            effects: effects(&mut snapshot).await?,
            shut_out: shut_out(&mut snapshot).await?,
            turned_away: turned_away(&mut snapshot).await?,
        };
        snapshot.rollback().await?;
        Ok(status)
    }

    /// One delivery, if it is recorded.
    pub async fn recorded_delivery(&self, guid: &str) -> anyhow::Result<Option<RecordedDelivery>> {
        let row = sqlx::query("SELECT event, received_at, note FROM deliveries WHERE guid = $1")
            .bind(guid)
            .fetch_optional(&self.reader)
            .await?;
        let recorded = |row: &SqliteRow| {
            anyhow::Ok(RecordedDelivery {
                event: row.try_get("event")?,
                received_at: time(row, "received_at")?,
                note: row.try_get("note")?,
            })
        };
        row.as_ref().map(recorded).transpose()
    }

    /// How much is open. Cheap, for a line that is renewed now and then.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'new') AS deliveries,
                    (SELECT COUNT(*) FROM tasks WHERE state = 'queued') AS queued,
                    (SELECT COUNT(*) FROM tasks WHERE state IN ('running', 'publishing')) AS running,
                    (SELECT COUNT(*) FROM tasks WHERE state = 'blocked') AS blocked,
                    (SELECT COUNT(*) FROM effects WHERE state = 'wanted') AS effects,
                    (SELECT COUNT(*) FROM effects WHERE state = 'parked') AS parked",
        )
        .fetch_one(&self.reader)
        .await?;
        Ok(Counts {
            deliveries: row.try_get("deliveries")?,
            queued: row.try_get("queued")?,
            running: row.try_get("running")?,
            blocked: row.try_get("blocked")?,
            effects: row.try_get("effects")?,
            parked: row.try_get("parked")?,
        })
    }
}

async fn deliveries(snapshot: &mut SqliteConnection) -> anyhow::Result<Vec<OpenDelivery>> {
    let found = sqlx::query(
        "SELECT guid, event, state, received_at, attempts, not_before, note FROM deliveries
         WHERE state <> 'done' ORDER BY seq",
    )
    .fetch_all(snapshot)
    .await?;
    let delivery = |row: &SqliteRow| {
        let (state, attempts): (String, i64) = (row.try_get("state")?, row.try_get("attempts")?);
        anyhow::Ok(OpenDelivery {
            guid: row.try_get("guid")?,
            event: row.try_get("event")?,
            is_unreadable: state == "unreadable",
            received_at: time(row, "received_at")?,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            next_try: next_try(row)?.filter(|_| state == "new"),
            note: row.try_get("note")?,
        })
    };
    found.iter().map(delivery).collect()
}

async fn wishes(snapshot: &mut SqliteConnection) -> anyhow::Result<Vec<BlockedRequest>> {
    let found = sqlx::query(
        "SELECT w.wish, w.blockers, w.look_at AS not_before, s.repo, s.issue
         FROM wishes AS w CROSS JOIN stories AS s WHERE s.id = w.story ORDER BY json_extract(w.wish, '$.at'), s.id",
    )
    .fetch_all(snapshot)
    .await?;
    let wish = |row: &SqliteRow| {
        let wish: PendingRequest = rows::json(row, "wish")?;
        anyhow::Ok(BlockedRequest {
            repo: row.try_get("repo")?,
            issue: rows::number(row, "issue")?,
            by: wish.by,
            at: wish.at,
            waits_for: rows::json(row, "blockers")?,
            next_look: next_try(row)?,
        })
    };
    found.iter().map(wish).collect()
}

async fn tasks(snapshot: &mut SqliteConnection) -> anyhow::Result<Vec<OpenTask>> {
    let found = sqlx::query(
        "SELECT t.id, t.state, t.updated_at, t.lease_until, t.retries, t.not_before, t.stop_by, t.waits_for, s.repo, s.issue,
                (SELECT agent FROM runs AS r WHERE r.task = t.id ORDER BY r.seq DESC LIMIT 1) AS agent,
                (SELECT question FROM questions AS q WHERE q.task = t.id AND q.answer IS NULL
                 ORDER BY q.seq DESC LIMIT 1) AS question
         FROM tasks AS t JOIN stories AS s ON s.id = t.story
         WHERE t.state IN ('queued', 'running', 'publishing', 'blocked') ORDER BY t.seq",
    )
    .fetch_all(snapshot)
    .await?;
    let task = |row: &SqliteRow| {
        let (issue, retries, lease): (i64, i64, i64) =
            (row.try_get("issue")?, row.try_get("retries")?, row.try_get("lease_until")?);
        let state = rows::task_state(row, "state")?;
        anyhow::Ok(OpenTask {
            task: row.try_get("id")?,
            repo: row.try_get("repo")?,
            issue: issue.unsigned_abs(),
            state: state.as_str(),
            since: time(row, "updated_at")?,
            agent: row.try_get("agent")?,
            is_leased: lease > now(),
            retries: retries.unsigned_abs(),
            next_try: next_try(row)?,
            waits_for: row.try_get::<Option<String>, _>("waits_for")?.filter(|_| state == TaskState::Queued),
            question: question(row)?,
            stop_by: row.try_get("stop_by")?,
        })
    };
    found.iter().map(task).collect()
}

async fn effects(snapshot: &mut SqliteConnection) -> anyhow::Result<Vec<OpenEffect>> {
    let found = sqlx::query(
        "SELECT e.id, e.effect, e.state, e.created_at, e.attempts, e.not_before, e.error, s.repo, s.issue
         FROM (SELECT id FROM effects WHERE state = 'wanted' UNION ALL SELECT id FROM effects WHERE state = 'parked') AS open
             CROSS JOIN effects AS e CROSS JOIN stories AS s
         WHERE e.id = open.id AND s.id = e.story ORDER BY e.seq",
    )
    .fetch_all(snapshot)
    .await?;
    let effect = |row: &SqliteRow| {
        let (state, issue, tries): (String, i64, i64) =
            (row.try_get("state")?, row.try_get("issue")?, row.try_get("attempts")?);
        anyhow::Ok(OpenEffect {
            id: row.try_get("id")?,
            repo: row.try_get("repo")?,
            what: describe(&rows::json(row, "effect")?, issue),
            is_parked: state == "parked",
            wanted_at: time(row, "created_at")?,
            tries: tries.unsigned_abs(),
            next_try: next_try(row)?.filter(|_| state == "wanted"),
            error: row.try_get("error")?,
        })
    };
    found.iter().map(effect).collect()
}

fn describe(effect: &Effect, issue: i64) -> String {
    match effect {
        Effect::React { to: ReactTo::Issue(number), content } => format!("{content} on #{number}"),
        Effect::React { to: ReactTo::Comment(comment), content } => {
            format!("{content} on comment {comment} of #{issue}")
        }
        Effect::React { to: ReactTo::ReviewComment(comment), content } => {
            format!("{content} on comment {comment} of a review for #{issue}")
        }
        Effect::Comment { on, .. } => format!("a comment on #{on}"),
        Effect::Card { .. } => format!("the question comment for #{issue}"),
        Effect::PullRequest { .. } => format!("the pull request for #{issue}"),
        Effect::Evidence { pull } => format!("the check results in #{pull}"),
        Effect::DeleteBranch { branch, .. } => format!("deleting {branch}, merged for #{issue}"),
        Effect::Status => format!("the status comment on #{issue}"),
        Effect::ReviewReply { pull, .. } => format!("a reply to a review of #{pull}"),
        Effect::RequestReview { pull, reviewer } => format!("requesting a review of #{pull} from {reviewer}"),
    }
}

fn question(row: &SqliteRow) -> anyhow::Result<Option<String>> {
    let text: Option<String> = row.try_get("question")?;
    let Some(text) = text else { return Ok(None) };
    let question: Question = serde_json::from_str(&text).context("column question of the store")?;
    Ok(question.text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned))
}

fn time(row: &SqliteRow, column: &str) -> anyhow::Result<Timestamp> {
    rows::time_option(row, column)?.with_context(|| format!("column {column} of the store is empty"))
}

/// When something that was put off is due, where that is still to come.
fn next_try(row: &SqliteRow) -> anyhow::Result<Option<Timestamp>> {
    let at: i64 = row.try_get("not_before")?;
    if at <= now() { Ok(None) } else { rows::time_option(row, "not_before") }
}
