//! How the workers are shared out: limits for one repository and one person, and the place of a task in the queue. The claim
//! itself is in `store/tasks.rs`; the order here is the order there.

use std::collections::HashMap;

use sqlx::Row as _;

use super::{Store, now};
use crate::ids::TaskId;

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

impl Store {
    /// How many tasks are taken before this one and with it, if every worker took one after the other from now on: 1 is the
    /// next. `None`: it is not in the queue, or waits for something else than its turn.
    pub async fn place_in_queue(&self, task: TaskId) -> anyhow::Result<Option<usize>> {
        let busy = sqlx::query(
            "SELECT s.repo_key, COUNT(*) AS tasks FROM tasks AS t JOIN stories AS s ON s.id = t.story
             WHERE t.state IN ('running', 'publishing') OR t.lease_until > $1 GROUP BY s.repo_key",
        )
        .bind(now())
        .fetch_all(&self.reader)
        .await?;
        let mut under_way: HashMap<String, i64> = HashMap::new();
        for row in &busy {
            under_way.insert(row.try_get("repo_key")?, row.try_get("tasks")?);
        }
        let found = sqlx::query(
            "SELECT t.id, s.repo_key FROM tasks AS t JOIN stories AS s ON s.id = t.story
             WHERE t.state = 'queued' AND t.not_before <= $1 AND t.lease_until <= $1
               AND NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.story = t.story AND other.id <> t.id
                               AND (other.state IN ('running', 'publishing', 'blocked') OR other.lease_until > $1
                                    OR (other.state = 'queued' AND other.seq < t.seq)))
             ORDER BY t.seq",
        )
        .bind(now())
        .fetch_all(&self.reader)
        .await?;
        let mut queue: Vec<(String, String)> = Vec::new();
        for row in &found {
            queue.push((row.try_get("id")?, row.try_get("repo_key")?));
        }
        Ok(place(queue, under_way, &task.to_string()))
    }
}

/// Plays the claims: each takes, of the repositories with the fewest tasks under way, the oldest task.
fn place(mut queue: Vec<(String, String)>, mut under_way: HashMap<String, i64>, task: &str) -> Option<usize> {
    for place in 1.. {
        let fewest = |(_, (_, repo)): &(usize, &(String, String))| under_way.get(repo).copied().unwrap_or(0);
        let (at, _) = queue.iter().enumerate().min_by_key(fewest)?;
        let (id, repo) = queue.remove(at);
        if id == task {
            return Some(place);
        }
        *under_way.entry(repo).or_default() += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_alternate_between_repositories() {
        let queue =
            || [("1", "a"), ("2", "a"), ("3", "b"), ("4", "c")].map(|(t, r)| (t.to_owned(), r.to_owned()));
        let busy = HashMap::from([("c".to_owned(), 1)]);
        let places = ["1", "2", "3", "4", "5"].map(|task| place(queue().to_vec(), busy.clone(), task));
        assert_eq!(places, [Some(1), Some(3), Some(2), Some(4), None]);
    }
}
