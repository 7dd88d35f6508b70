//! The world as it is in the end, as text without ids and times: what GitHub, git, Docker, the
//! store and the disk hold. Two worlds in which the same was asked for are to be the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use hob::store::Store;
use hob::story::{Outcome, Run, Task, TaskKind};
use regex::Regex;

use crate::world::github::{CommitInfo, Pull};
use crate::world::{REPO, World};

/// How long the world may take to come to rest. Several starts and retries fit in, on a machine
/// that does other work.
const REST_WITHIN: Duration = Duration::from_secs(180);

/// How often the sweep comes round in these worlds; on a server it is minutes.
pub const SWEEP_EVERY: Duration = Duration::from_millis(700);
/// Rounds after which what lies there counts as left over.
const SWEEPS_AT_MOST: usize = 12;

/// Waits until nothing is left to be done.
///
/// # Errors
/// What was still to be done when the time was over.
pub async fn rest(w: &World) -> Result<(), String> {
    let mut last = String::new();
    let waiting = async {
        let mut quiet_looks = 0;
        // Twice in a row, with a pause longer than a loop's: what a webhook under way brings shows
        // by then.
        while quiet_looks < 2 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            last = open_work(w).await;
            quiet_looks = if last.is_empty() { quiet_looks + 1 } else { 0 };
        }
    };
    match tokio::time::timeout(REST_WITHIN, waiting).await {
        Ok(()) => Ok(()),
        Err(_) => Err(format!("still to be done after {} s: {last}", REST_WITHIN.as_secs())),
    }
}

/// What should not outlast the work: files, by the kind of their place, and containers. The sweep
/// removes what a hob that died, or a daemon that was killed, has left; it is given some rounds of
/// it.
pub async fn left_over(w: &World) -> Vec<String> {
    const UNWANTED: [&str; 8] = [
        "hand-over.bundle",
        "quarantine",
        "keys on",
        ".new",
        ".gone",
        "/workspace",
        "/exchange",
        "/settings",
    ];
    let mut left = Vec::new();
    for _ in 0..SWEEPS_AT_MOST {
        let mut text = String::new();
        on_disk(w, &mut text);
        left = text
            .lines()
            .filter(|line| UNWANTED.iter().any(|u| line.contains(u)))
            .map(str::to_owned)
            .chain(w.everything().await)
            .collect();
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
    left
}

async fn open_work(w: &World) -> String {
    let store = match Store::open_beside(&w.data().join("hob.db")).await {
        Ok(store) => store,
        Err(error) => return format!("the store does not open: {error:#}"),
    };
    let counts = async {
        anyhow::Ok([
            ("deliveries", store.open_deliveries().await?),
            ("effects", store.effect_counts().await?.0.cast_signed()),
            ("statuses", store.stories_behind().await?),
            ("check runs", store.checks_behind().await?),
            ("leases", store.live_leases().await?),
            ("tasks", store.waiting_tasks().await?),
            ("rechecks", store.open_rechecks().await?),
        ])
    };
    let counts = counts.await;
    store.close().await;
    match counts {
        Ok(counts) => {
            let open = counts.iter().filter(|(_, count)| *count != 0);
            open.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
        }
        Err(error) => format!("the store does not answer: {error:#}"),
    }
}

/// The world as text. `exact` says whether what runs took, money and turns, has to be the same too:
/// not where a person stopped an agent at some moment.
pub async fn take(w: &World, exact: bool) -> String {
    let mut text = String::new();
    on_github(w, exact, &mut text);
    in_the_store(w, &mut text).await;
    on_disk(w, &mut text);
    writeln!(text, "containers: {:?}", w.everything().await).unwrap();
    text
}

fn on_github(w: &World, exact: bool, text: &mut String) {
    for issue in w.github.issues(REPO) {
        writeln!(text, "== #{issue}, reactions {:?}", w.github.issue_reactions(REPO, issue)).unwrap();
        writeln!(text, "labels {:?}", w.github.labels(REPO, issue)).unwrap();
        for comment in w.github.comments(REPO, issue) {
            let body = plain(&comment.body, exact);
            writeln!(text, "-- {} {:?}\n{body}", comment.author, comment.reactions).unwrap();
        }
    }
    for pull in w.github.pulls(REPO) {
        let body = plain(&pull.body, exact);
        writeln!(text, "== pull {} {} {} <- {}\n{body}", pull.title, pull.state, pull.base, pull.head)
            .unwrap();
        writeln!(text, "draft {} reviewers {:?}", pull.draft, pull.reviewers).unwrap();
        for comment in w.github.thread_comments(REPO, pull.number) {
            let place = if comment.in_reply_to.is_some() { "answer" } else { "thread" };
            let body = plain(&comment.body, exact);
            writeln!(text, "{place} {} {:?}\n{body}", comment.author, comment.reactions).unwrap();
        }
    }
    for (branch, head) in w.github.branches(REPO) {
        writeln!(text, "== branch {branch}").unwrap();
        let line = |commit: CommitInfo| {
            format!("commit {} | {}", commit.author, without_ids(&commit.message.replace('\n', " / ")))
        };
        // Those of two sides of a merge come in any order.
        let mut commits: Vec<String> = w.github.commits(REPO, &branch).into_iter().map(line).collect();
        commits.sort();
        writeln!(text, "{}", commits.join("\n")).unwrap();
        // Only the newest of a context counts.
        if let Some(status) = w.github.statuses(REPO, &head).pop() {
            writeln!(text, "status {} {} {}", status.context, status.state, status.description).unwrap();
        }
        let root = w.github.commits(REPO, "main").pop().expect("a first commit").sha;
        let changes = w.github.diff_since(REPO, &root, &branch);
        writeln!(text, "{}", without_ids(&without_indexes(&changes))).unwrap();
    }
    for pull in w.github.pulls(REPO) {
        check_runs(w, &pull, exact, text);
    }
}

/// hob's check runs on the commits of a pull request. Which of the earlier ones had one at all
/// follows from how soon the next was pushed; none of those may be left as if something were under
/// way.
fn check_runs(w: &World, pull: &Pull, exact: bool, text: &mut String) {
    let commits = w.github.commits(REPO, &pull.head);
    let mut lines = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        for run in w.github.check_runs(REPO, &commit.sha).into_iter().filter(|run| run.name == "hob") {
            let ended = run.conclusion.as_deref();
            if at > 0 && ended == Some("neutral") {
                continue;
            }
            let buttons: Vec<&str> =
                run.buttons.iter().filter_map(|button| button.split(':').next()).collect();
            // Not by its place: commits on two sides of a merge come in any order.
            let subject = commit.message.lines().next().unwrap_or_default();
            let on = if at == 0 { "the head" } else { subject };
            let (status, title, summary) = (run.status, run.title, plain(&run.summary, exact));
            lines.push(format!("check run on {on}: {status} {ended:?} {title} {buttons:?}\n{summary}"));
        }
    }
    lines.sort();
    for line in lines {
        writeln!(text, "{line}").unwrap();
    }
}

/// Without blob ids, which follow the nonce that the scripted agent writes.
fn without_indexes(diff: &str) -> String {
    let lines = diff.lines().filter(|line| !line.starts_with("index ") && !line.contains("nonce"));
    lines.collect::<Vec<_>>().join("\n")
}

async fn in_the_store(w: &World, text: &mut String) {
    let store = match Store::open_beside(&w.data().join("hob.db")).await {
        Ok(store) => store,
        Err(error) => return writeln!(text, "the store does not open: {error:#}").unwrap(),
    };
    for story in store.stories().await.expect("stories") {
        writeln!(text, "== story #{} {} pull {:?}", story.issue, story.branch, story.pull).unwrap();
        for task in store.tasks_of(story.id).await.expect("tasks") {
            let runs = store.runs_of(&task).await.expect("runs");
            if came_to_nothing(&task, &runs) {
                continue;
            }
            writeln!(text, "task {} retries {}", task.state.as_str(), task.retries).unwrap();
            for run in runs {
                let outcome = match run.end.map(|end| end.outcome) {
                    None => "open".to_owned(),
                    Some(Outcome::Failed { class, .. }) => format!("failed {class}"),
                    Some(Outcome::Blocked { .. }) => "blocked".to_owned(),
                    Some(Outcome::Completed { .. }) => "completed".to_owned(),
                    Some(Outcome::Cancelled) => "cancelled".to_owned(),
                };
                writeln!(text, "run {} {outcome}", serde_json::to_value(&run.turn).unwrap()["why"]).unwrap();
            }
        }
        for question in store.questions(story.id).await.expect("questions") {
            let by = question.answer.map(|answer| format!("{}: {}", answer.by, answer.text));
            writeln!(text, "question {} answered {by:?}", question.question.text).unwrap();
        }
    }
    let (wanted, parked) = store.effect_counts().await.expect("effects");
    writeln!(text, "effects wanted {wanted} parked {parked}").unwrap();
    store.close().await;
}

/// Whether nobody asked for a task and no agent worked on it: hob looks at a base that moved as
/// often as it hears or sees that it did. What it has brought in shows on the branch.
fn came_to_nothing(task: &Task, runs: &[Run]) -> bool {
    matches!(&task.ask.about, TaskKind::Base(moved) if !moved.because.is_asked()) && runs.is_empty()
}

/// Which files there are, by the kind of their place; the contents of agents' folders are theirs.
fn on_disk(w: &World, text: &mut String) {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for kind in ["stories", "runs"] {
        // The sweep may be at work here: what is gone by now is not there.
        for one in std::fs::read_dir(w.data().join(kind)).into_iter().flatten().flatten() {
            for entry in std::fs::read_dir(one.path()).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                *counted.entry(format!("{kind}/*/{name}")).or_default() += 1;
            }
            let keys = Path::new("/dev/shm").join(format!("hob-{}", one.file_name().to_string_lossy()));
            if keys.exists() {
                *counted.entry("keys on /dev/shm".to_owned()).or_default() += 1;
            }
        }
    }
    for (place, count) in counted {
        writeln!(text, "disk {place} × {count}").unwrap();
    }
}

/// A text without the ids of commits and images, whole or cut short, the world's own address, and
/// how long a check took.
fn without_ids(text: &str) -> String {
    static ID: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b[0-9a-f]{7,64}\b|http://127\.0\.0\.1:[0-9]+").expect("a pattern"));
    static TOOK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?m)\| [0-9][^|]* \|$").expect("a pattern"));
    TOOK.replace_all(&ID.replace_all(text, "…"), "| … |").into_owned()
}

/// A text without ids and times, and unless `exact`, without money and turns.
pub fn plain(body: &str, exact: bool) -> String {
    let mut lines = Vec::new();
    // The links of a status comment hold addresses and ids.
    let is_link = |line: &str| line.starts_with("<sub>") && line.contains("run `");
    let is_kept = |line: &&str| !line.starts_with("<!-- hob:") && !is_link(line);
    for line in body.lines().filter(is_kept) {
        let line = match line.find("finished in ").map(|at| at + "finished in ".len()) {
            Some(at) => format!("{}{}", &line[..at], figures(&line[at..], exact)),
            None if line.starts_with("Asked for by ") => line
                .splitn(3, " · ")
                .enumerate()
                .map(|(at, part)| if at == 2 { figures(part, exact) } else { part.to_owned() })
                .collect::<Vec<_>>()
                .join(" · "),
            None => line.to_owned(),
        };
        lines.push(line);
    }
    without_ids(&lines.join("\n"))
}

/// What runs took, without how long.
fn figures(text: &str, exact: bool) -> String {
    match text.split_once(" · ") {
        Some((_, rest)) if exact => format!("… · {rest}"),
        _ => "…".to_owned(),
    }
}
