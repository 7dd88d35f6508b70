//! The store when the machine misbehaves, when an operator works beside hob, and when a new hob
//! meets the store of an old one. The real program where a process matters, on real file systems.

mod beside;
mod identity;
mod messages;
mod migrating;
mod misbehaving;
mod plans;
mod reviews;

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::world::World;

/// A connection of somebody else's to a store.
async fn open_raw(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.expect("the store opens")
}

/// Holds a store's write lock until it is let go.
pub struct Locked(SqliteConnection);

impl Locked {
    pub async fn hold(file: &Path) -> Locked {
        let mut connection = open_raw(file).await;
        connection.execute("BEGIN EXCLUSIVE").await.expect("nobody else holds the lock for long");
        Locked(connection)
    }

    pub async fn let_go(mut self) {
        self.0.execute("ROLLBACK").await.expect("the lock is held");
        self.0.close().await.expect("the store closes");
    }
}

/// Changes a store behind hob's back.
async fn change(file: &Path, sql: &'static str) {
    let mut connection = open_raw(file).await;
    connection.execute(sql).await.expect("the change is made");
    connection.close().await.expect("the store closes");
}

async fn quick_check(file: &Path) -> String {
    let mut connection = open_raw(file).await;
    let found: String =
        sqlx::query_scalar("PRAGMA quick_check").fetch_one(&mut connection).await.expect("a word");
    connection.close().await.expect("the store closes");
    found
}

/// Has an agent running on an issue; the issue, and the workspace that the agent works in.
async fn agent_works(w: &World, body: &str) -> (u64, std::path::PathBuf) {
    let issue = w.alice().opens_issue("Long work", body).await;
    w.alice().labels(issue, "hob").await;
    let runs = w.data().join("runs");
    w.eventually("the agent to speak", async || {
        let run = runs.read_dir().ok()?.next()?.ok()?.path();
        (std::fs::metadata(run.join("stdout.jsonl")).ok()?.len() > 0).then_some(())
    })
    .await;
    let stories = w.data().join("stories");
    let story = stories.read_dir().expect("stories").next().expect("one").expect("a folder").path();
    (issue, story.join("workspace"))
}
