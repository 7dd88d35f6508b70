//! How the workers are shared out: limits for one repository and one person, the order in which
//! tasks are claimed, and the place of a task in the queue. The conditions here are those of the
//! claim in `store/tasks.rs` too, so that a place is what comes. Both look at the first tasks of
//! each repository and never at the whole queue, however long it is.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::shown::show_soon;
use super::write::Write;
use super::{Store, now};
use crate::ids::TaskId;
use crate::message::MAX_AHEAD;

/// How many tasks may be under way at once; absent: as many as there are workers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sharing {
    /// Of one repository.
    pub per_repository: Option<u32>,
    /// Asked for by one person.
    pub per_person: Option<u32>,
}

impl Sharing {
    /// The limits as the store compares them.
    pub(super) fn limits(self) -> (i64, i64) {
        let limit = |most: Option<u32>| most.map_or(i64::MAX, i64::from);
        (limit(self.per_repository), limit(self.per_person))
    }
}

/// Tasks under way: `busy`, and how many of them each repository has. `$1` is now, here and below.
pub(super) const BUSY: &str = "busy AS MATERIALIZED (
        SELECT repo_key, asked_by FROM tasks WHERE id IN (
            SELECT id FROM tasks WHERE state IN ('running', 'publishing')
            UNION ALL SELECT id FROM tasks WHERE lease_until > 0 AND lease_until > $1)),
    of_repository AS MATERIALIZED (SELECT repo_key, COUNT(*) AS busy FROM busy GROUP BY repo_key)";

/// The repositories that have a task in the queue, each found from the one before it; a null ends
/// them.
pub(super) const REPOSITORIES: &str = "repositories_with_tasks (repo_key) AS (
        SELECT MIN(repo_key) FROM tasks WHERE state = 'queued'
        UNION ALL SELECT (SELECT MIN(t.repo_key) FROM tasks AS t WHERE t.state = 'queued' AND t.repo_key > known.repo_key)
        FROM repositories_with_tasks AS known WHERE known.repo_key IS NOT NULL)";

/// Whether the task `t` is due, in nobody's hands, and its story has no other that is under way,
/// blocked, or in somebody's hands.
pub(super) const IS_FREE: &str = "t.lease_until <= $1 AND t.not_before <= $1
    AND NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.id <> t.id
                    AND other.state IN ('running', 'publishing', 'blocked'))
    AND NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.id <> t.id
                    AND other.lease_until > 0 AND other.lease_until > $1)";

/// Whether the queued task `t` is the first of its story, but for one about failed checks that
/// waits for more of them.
pub(super) const IS_FIRST: &str = "NOT EXISTS (
    SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.state = 'queued' AND other.seq < t.seq
      AND NOT (other.about = 'checks' AND other.not_before > $1
               AND NOT EXISTS (SELECT 1 FROM runs WHERE task = other.id)))";

/// Whether the task `t` is the newest of its story.
pub(super) const IS_NEWEST: &str =
    "NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.seq > t.seq)";

/// A task in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Queued {
    task: String,
    story: String,
    repo_key: String,
}

impl Store {
    /// How many tasks are taken before this one and with it, if every worker took one after the
    /// other from now on: 1 is the next, and what is beyond [`MAX_AHEAD`] is one more than that.
    /// `None`: it is not in the queue, or waits for something else than its turn.
    pub async fn place_in_queue(&self, task: TaskId) -> anyhow::Result<Option<usize>> {
        let waits = format!(
            "SELECT 1 FROM tasks AS t WHERE t.id = $2 AND t.state = 'queued' AND {IS_FREE} AND {IS_FIRST}"
        );
        let waits = sqlx::query(sqlx::AssertSqlSafe(waits)).bind(now()).bind(task.to_string());
        let mut reader = self.reader.acquire().await?;
        if waits.fetch_optional(&mut *reader).await?.is_none() {
            return Ok(None);
        }
        let line = line(&mut reader).await?;
        let place = line.iter().position(|queued| queued.task == task.to_string());
        Ok(Some(place.map_or(MAX_AHEAD + 1, |place| place + 1)))
    }
}

/// Those that come next have moved up: there is something to show of each.
pub(super) async fn show_line(write: &mut Write) -> anyhow::Result<()> {
    for queued in line(write).await? {
        show_soon(write, queued.story.parse()?).await?;
    }
    Ok(())
}

/// The tasks that come next, [`MAX_AHEAD`] of them, in their order.
async fn line(connection: &mut SqliteConnection) -> anyhow::Result<Vec<Queued>> {
    let busy = format!("WITH {BUSY} SELECT repo_key, busy FROM of_repository");
    let busy = sqlx::query(sqlx::AssertSqlSafe(busy)).bind(now()).fetch_all(&mut *connection).await?;
    let mut under_way: HashMap<String, i64> = HashMap::new();
    for row in &busy {
        under_way.insert(row.try_get("repo_key")?, row.try_get("busy")?);
    }
    let first = format!(
        "WITH RECURSIVE {REPOSITORIES}
         SELECT t.id, t.story, t.repo_key FROM repositories_with_tasks AS of CROSS JOIN tasks AS t
         WHERE t.state = 'queued' AND t.repo_key = of.repo_key AND t.seq IN (
             SELECT t.seq FROM tasks AS t
             WHERE t.state = 'queued' AND t.repo_key = of.repo_key AND {IS_FREE} AND {IS_FIRST} ORDER BY t.seq LIMIT $2)
         ORDER BY t.seq"
    );
    let most = i64::try_from(MAX_AHEAD).unwrap_or(i64::MAX);
    let found =
        sqlx::query(sqlx::AssertSqlSafe(first)).bind(now()).bind(most).fetch_all(&mut *connection).await?;
    let mut queue = Vec::new();
    for row in &found {
        let (task, story, repo_key) = (row.try_get("id")?, row.try_get("story")?, row.try_get("repo_key")?);
        queue.push(Queued { task, story, repo_key });
    }
    Ok(in_order(queue, under_way))
}

/// Plays the claims: each takes, of the repositories with the fewest tasks under way, the oldest
/// task.
fn in_order(mut queue: Vec<Queued>, mut under_way: HashMap<String, i64>) -> Vec<Queued> {
    let mut line = Vec::new();
    while line.len() < MAX_AHEAD {
        let fewest = |(_, queued): &(usize, &Queued)| under_way.get(&queued.repo_key).copied().unwrap_or(0);
        let Some((at, _)) = queue.iter().enumerate().min_by_key(fewest) else { break };
        let next = queue.remove(at);
        *under_way.entry(next.repo_key.clone()).or_default() += 1;
        line.push(next);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::StoryId;
    use crate::store::Excluded;

    #[test]
    fn places_alternate_between_repositories() {
        let queued = |(task, repo): (&str, &str)| Queued {
            task: task.to_owned(),
            story: task.to_owned(),
            repo_key: repo.to_owned(),
        };
        let queue = [("1", "a"), ("2", "a"), ("3", "b"), ("4", "c")].map(queued).to_vec();
        let busy = HashMap::from([("c".to_owned(), 1)]);
        let line = in_order(queue, busy).into_iter().map(|queued| queued.task).collect::<Vec<_>>();
        assert_eq!(line, ["1", "3", "2", "4"]);
        let many: Vec<Queued> = (0..50).map(|task| queued((task.to_string().as_str(), "a"))).collect();
        assert_eq!(in_order(many, HashMap::new()).len(), MAX_AHEAD);
    }

    async fn store_with(tasks: &[(&str, usize)]) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("hob.db")).await.unwrap();
        let mut write = store.begin("test").await.unwrap();
        let mut seq = 0;
        for (repo, count) in tasks {
            for _ in 0..*count {
                seq += 1;
                let (story, task) = (StoryId::new().to_string(), TaskId::new().to_string());
                for row in [
                    "INSERT INTO stories (id, repo, repo_key, issue, title, base_branch, branch, created_at, updated_at)
                     VALUES ($1, $2, $2, $3, '', 'main', 'hob', 0, 0)",
                    "INSERT INTO tasks (id, story, delivery, ask, state, turn, created_at, updated_at, seq, repo_key)
                     VALUES ($4, $1, $4, '{\"by\":\"alice\",\"title\":\"\",\"body\":\"\"}', 'queued', '{\"why\":\"begin\"}', 0, 0, $3, $2)",
                ] {
                    let query = sqlx::query(row).bind(&story).bind(repo).bind(seq).bind(&task);
                    query.execute(&mut *write).await.unwrap();
                }
            }
        }
        write.commit().await.unwrap();
        (folder, store)
    }

    async fn versions(store: &Store) -> i64 {
        let sum = sqlx::query_scalar("SELECT COALESCE(SUM(status_wanted), 0) FROM stories");
        sum.fetch_one(&store.reader).await.unwrap()
    }

    /// A place in the queue is the one in which the task is claimed.
    #[tokio::test]
    async fn the_line_is_the_order_of_the_claims() {
        let (_folder, store) = store_with(&[("a/a", 6), ("b/b", 2), ("c/c", 1)]).await;
        let line = line(&mut store.reader.acquire().await.unwrap()).await.unwrap();
        let mut claimed = Vec::new();
        for queued in &line {
            let place = store.place_in_queue(queued.task.parse().unwrap()).await.unwrap();
            assert_eq!(place, Some(1), "it is next");
            let task = store.claim_task(Duration::from_secs(60), &Sharing::default()).await.unwrap().unwrap();
            claimed.push(task.id.to_string());
        }
        assert_eq!(claimed, line.iter().map(|queued| queued.task.clone()).collect::<Vec<_>>());
        assert_eq!(line.len(), 9);
        assert!(store.claim_task(Duration::from_secs(60), &Sharing::default()).await.unwrap().is_none());
    }

    /// How a task has ended is told before what goes on, however long that has waited.
    #[tokio::test]
    async fn the_end_of_a_task_is_shown_before_what_goes_on() {
        let (_folder, store) = store_with(&[("a/a", 3)]).await;
        let mut write = store.begin("test").await.unwrap();
        for row in [
            "UPDATE stories SET status_wanted = 1, status_comment = 1, status_effect = id, status_not_before = issue",
            "UPDATE tasks SET state = 'running' WHERE seq = 2",
            "UPDATE tasks SET state = 'done' WHERE seq = 3",
        ] {
            sqlx::query(row).execute(&mut *write).await.unwrap();
        }
        write.commit().await.unwrap();
        let shown = store.stories_to_show(&Excluded::default(), false).await.unwrap();
        let mut issues = Vec::new();
        for status in shown {
            issues.push(store.story(status.story).await.unwrap().issue.0);
        }
        assert_eq!(issues, [3, 1, 2]);
    }

    /// However long the queue is, a run that begins is news for those that come next and for no
    /// other.
    #[tokio::test]
    async fn a_run_that_begins_is_news_for_ten() {
        let (_folder, store) = store_with(&[("a/a", 300), ("b/b", 300)]).await;
        let last = sqlx::query_scalar::<_, String>("SELECT id FROM tasks ORDER BY seq DESC LIMIT 1");
        let last: TaskId = last.fetch_one(&store.reader).await.unwrap().parse().unwrap();
        assert_eq!(store.place_in_queue(last).await.unwrap(), Some(MAX_AHEAD + 1));
        let task = store.claim_task(Duration::from_secs(60), &Sharing::default()).await.unwrap().unwrap();
        let before = versions(&store).await;
        store.begin_run(&task, crate::ids::AgentKind::Claude).await.unwrap();
        // Its own story too.
        assert_eq!(versions(&store).await - before, i64::try_from(MAX_AHEAD).unwrap() + 1);
    }
}
