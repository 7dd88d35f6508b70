//! The stories of the crash matrix: in what world each is played, and what people do in it. They do
//! it once; hob is what is killed.

use std::time::Duration;

use hob::config::Config;

use super::snapshot;
use super::within::{LONG, within};
use crate::world::github::{Merging, Pull, Verdict, on};
use crate::world::{REPO, World};

/// Short, so that a process that is stopped for a while has lost its tasks.
pub const LEASE: Duration = Duration::from_secs(2);

/// The branch of the one story that there is.
const BRANCH: &str = "hob/issue-1";

/// A story that is played in each world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// A label, a question, a reply, a pull request; then a command on it, after which the agent
    /// leaves work that it has to be asked to commit.
    Ask,
    /// A stop while the agent works.
    Stop,
    /// Commits that a person has to allow.
    HeldBack,
    /// An issue that cannot be worked on.
    Fail,
    /// A draft, because the repository's check fails; a review with a suggestion, which hob
    /// applies, and a remark, which the agent answers; ready, since the check passes; a merge,
    /// after which the branch goes.
    Review,
    /// hob is an App. A check that fails on what it has pushed, which it fixes; then a base that
    /// moved, which it brings in.
    Fix,
    /// A base that moved: the branch is rebased onto it, and the next time merged, by the agent,
    /// since the two conflict.
    Base,
}

impl Script {
    pub const ALL: [Script; 7] = [
        Script::Ask,
        Script::Stop,
        Script::HeldBack,
        Script::Fail,
        Script::Review,
        Script::Fix,
        Script::Base,
    ];

    /// The world that it is played in, before hob is started.
    pub async fn world(self) -> World {
        let change = |config: &mut Config| {
            config.github.poll = Some(Duration::from_secs(2));
            config.work.lease = LEASE;
            config.work.sweep = snapshot::SWEEP_EVERY;
        };
        let w = if self == Script::Fix {
            World::prepare_app(change).await
        } else {
            World::prepare(|config| {
                config.github.repositories = vec![REPO.to_owned()];
                change(config);
            })
            .await
        };
        if let Some(settings) = self.settings() {
            w.bob().pushes("main", &[(".github/hob.toml", settings)], "How hob works here").await;
        }
        w
    }

    /// The repository's own settings.
    fn settings(self) -> Option<&'static str> {
        match self {
            Script::Review => {
                Some("checks = [\"test -e review.md\"]\ncheck_retries = 0\ndelete_branch = true\n")
            }
            Script::Fix => Some("follow_base = \"always\"\n"),
            _ => None,
        }
    }

    /// What people do. Each act waits for what hob has done before it, as people do.
    ///
    /// # Errors
    /// What hob did not come to.
    pub async fn play(self, w: &World) -> Result<(), String> {
        match self {
            Script::Ask => ask(w).await,
            Script::Stop => stop(w).await,
            Script::HeldBack => held_back(w).await,
            Script::Fail => {
                let issue = labelled(w, "Impossible", "fail").await;
                said(w, issue, 1).await
            }
            Script::Review => review(w).await,
            Script::Fix => fix(w).await,
            Script::Base => base(w).await,
        }
    }

    /// Whether it takes much longer than the first ones.
    pub fn is_long(self) -> bool {
        self >= Script::Review
    }

    /// Whether what runs took is the same in every world.
    pub fn is_exact(self) -> bool {
        self != Script::Stop
    }

    /// Whether a workspace stays when all is done.
    pub fn keeps_workspace(self) -> bool {
        self == Script::Fail
    }
}

async fn ask(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Add a --json flag", "ask").await;
    said(w, issue, 1).await?;
    w.bob().comments(issue, "one object per line").await;
    said(w, issue, 2).await?;
    let pull = pull(w).await?.number;
    w.bob().comments(pull, "/hob work and the manual [scenario: uncommitted]").await;
    said(w, issue, 3).await
}

async fn stop(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Long work", "hang").await;
    within(LONG, "the agent to run", async || w.containers().await.first().cloned()).await?;
    w.bob().comments(issue, "/hob stop").await;
    said(w, issue, 1).await
}

async fn held_back(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Add a workflow", "workflow").await;
    said(w, issue, 1).await?;
    w.bob().comments(issue, "yes").await;
    said(w, issue, 2).await
}

async fn review(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Note it", "review").await;
    said(w, issue, 1).await?;
    let number = pull(w).await?.number;
    let comments = [
        on("NOTES.md", 1, "```suggestion\n- the change\n```"),
        on("NOTES.md", 1, "And why? Say it in a file of its own."),
    ];
    w.bob().reviews(number, Verdict::ChangesRequested, "Not yet.", &comments).await;
    said(w, issue, 2).await?;
    within(LONG, "an answer in each thread, ready for another review", async || {
        let answers =
            w.github.thread_comments(REPO, number).iter().filter(|c| c.in_reply_to.is_some()).count();
        let pull = w.github.pulls(REPO).pop()?;
        (answers >= comments.len() && !pull.draft && pull.reviewers.iter().any(|who| who == "bob"))
            .then_some(())
    })
    .await?;
    w.bob().merges(number, Merging::Commit).await;
    within(LONG, "the branch to go", async || w.github.commits(REPO, BRANCH).is_empty().then_some(())).await
}

async fn fix(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Add a --json flag", "work").await;
    said(w, issue, 1).await?;
    pull(w).await?;
    w.ci().fails("build", &w.github.commits(REPO, BRANCH)[0].sha, "one test FAILED\n").await;
    said(w, issue, 2).await?;
    let moved = w.bob().pushes("main", &[("other.md", "other\n")], "Meanwhile on main").await;
    brought_in(w, &moved).await
}

async fn base(w: &World) -> Result<(), String> {
    let issue = labelled(w, "Share it", "merges").await;
    going_on(w, said(w, issue, 1)).await?;
    let number = pull(w).await?.number;
    let moved = w.bob().pushes("main", &[("other.md", "other\n")], "Meanwhile on main").await;
    w.alice().comments(number, "/hob rebase --rewrite").await;
    brought_in(w, &moved).await?;
    let moved = w.bob().pushes("main", &[("shared.md", "theirs\n")], "A conflict").await;
    w.alice().comments(issue, "/hob rebase").await;
    brought_in(w, &moved).await?;
    said(w, issue, 2).await
}

/// An issue with hob's label. The agent follows a scenario.
async fn labelled(w: &World, title: &str, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue(title, &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

/// hob has said so many things on an issue.
async fn said(w: &World, issue: u64, count: usize) -> Result<(), String> {
    let what = format!("comment {count} on #{issue}");
    within(LONG, &what, async || (w.said(issue).len() >= count).then_some(())).await
}

/// The pull request that hob has opened.
async fn pull(w: &World) -> Result<Pull, String> {
    within(LONG, "a pull request", async || w.github.pulls(REPO).pop()).await
}

/// A commit has come to be on the story branch.
async fn brought_in(w: &World, sha: &str) -> Result<(), String> {
    within(LONG, "the base to be brought in", async || w.github.has_commit(REPO, BRANCH, sha).then_some(()))
        .await
}

/// Lets an agent that waits go on, however often it comes to that, until something has come about.
async fn going_on(w: &World, until: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let letting = async {
        loop {
            for story in std::fs::read_dir(w.data().join("stories")).into_iter().flatten().flatten() {
                let exchange = story.path().join("exchange");
                if exchange.join("waits").exists() {
                    // It may be gone by now.
                    let _ = std::fs::write(exchange.join("go-on"), "");
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = letting => Ok(()),
        done = until => done,
    }
}
