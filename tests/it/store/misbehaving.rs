//! A disk that is full, that was made read-only, that breaks; a file that is damaged, locked by
//! somebody, or from the future.

use std::path::Path;
use std::time::{Duration, Instant};

use hob::config::ByteSize;

use sqlx::Connection as _;

use super::{Locked, agent_works, change, open_raw, quick_check};
use crate::world::disk::Disk;
use crate::world::{REPO, World};

/// The agent talks until there is a file `go`, then commits. Each line says its number.
const TALKS: &str = "```sh
n=0
until [ -e go ]; do
  n=$((n + 1))
  printf '{\"type\":\"talk\",\"line\":%d,\"text\":\"%08192d\"}\\n' $n 0 >&3
  sleep 0.1
done
rm go
printf '{\"type\":\"talk\",\"lines\":%d}\\n' $n >&3
echo done >done.txt
git add done.txt
git commit --quiet --message Done
```
[scenario: script]";

#[tokio::test]
async fn a_full_disk_is_waited_out_and_nothing_is_half_done() {
    let Some(disk) = Disk::tmpfs(24) else { return };
    let w = World::prepare(|config| {
        config.data.dir = disk.data();
        config.data.min_free = ByteSize(0);
        // A full disk is sat out for longer than anything else.
        config.work.patience = Duration::from_secs(1);
    })
    .await;
    let hob = w.start_program().await;
    let (issue, workspace) = agent_works(&w, TALKS).await;
    let other = w.alice().opens_issue("Other work", "[scenario: work]").await;

    disk.fill();
    w.eventually("the run's log to find no room, again and again", async || {
        (w.log().matches("step failed; will retry").count() >= 3).then_some(())
    })
    .await;
    assert!(w.log().contains("writing the run's log: No space left on device"), "{}", w.log());
    // There may be room left in the store's log of changes; when that is used up, nothing is
    // accepted.
    w.eventually("a webhook to find no room", async || {
        disk.fill();
        w.alice().comments(other, "Some words to remember. ".repeat(200).as_str()).await;
        (w.github.deliveries().last()?.status == 503).then_some(())
    })
    .await;
    assert_eq!(w.alice().labels(other, "hob").await, 503);
    let labeled = w.github.deliveries().pop().expect("a delivery");
    assert!(w.github.pulls(REPO).is_empty() && w.said(issue).is_empty());

    disk.make_room();
    std::fs::write(workspace.join("go"), "").expect("there is room");
    let pull = w.next_pull_request().await;
    assert_eq!(w.github.commits(REPO, &pull.head).len(), 2);
    assert_eq!(w.github.file_at(REPO, &pull.head, "done.txt").as_deref(), Some("done\n"));
    assert!(w.next_comment(issue).await.body.starts_with("Done: "));
    assert_eq!(lines_of_the_run(&w), ["whole"], "the run's log is read again from the beginning");

    assert_eq!(w.github.redeliver(&labeled.guid).await, 202, "there is room for it, and it is new to hob");
    w.next_pull_request().await;
    w.next_comment(other).await;
    assert_eq!(w.github.pulls(REPO).len(), 2);
    assert_eq!(hob.terminate().await, Some(0));
    assert_eq!(quick_check(&w.data().join("hob.db")).await, "ok");
    w.finish().await;
}

/// Of each run that talked, whether its kept output has every line once.
fn lines_of_the_run(w: &World) -> Vec<String> {
    let mut found = Vec::new();
    for run in w.data().join("runs").read_dir().expect("runs").flatten() {
        let text = std::fs::read_to_string(run.path().join("stdout.jsonl")).expect("a log");
        let events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let talk: Vec<_> = events.filter(|event| event["type"] == "talk").collect();
        let Some((last, lines)) = talk.split_last() else { continue };
        let numbers: Vec<u64> = lines.iter().filter_map(|event| event["line"].as_u64()).collect();
        let wanted: Vec<u64> = (1..=last["lines"].as_u64().expect("the last line tells how many")).collect();
        found.push(if numbers == wanted { "whole".to_owned() } else { format!("{numbers:?}") });
    }
    found
}

#[tokio::test]
async fn a_disk_that_is_read_only_at_the_start_is_said_and_hob_goes_on_once_it_is_not() {
    let Some(disk) = Disk::tmpfs(24) else { return };
    let w = World::prepare(|config| {
        config.data.dir = disk.data();
        config.data.min_free = ByteSize(0);
    })
    .await;
    let hob = w.start_program().await;
    let (issue, workspace) = agent_works(&w, TALKS).await;
    assert_eq!(hob.terminate().await, Some(0));
    disk.remount("ro");
    let (code, said) = w.serve_in_vain().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("whether its disk is mounted read-only, then restart hob"), "{said}");

    disk.remount("rw");
    std::fs::write(workspace.join("go"), "").expect("it can be written");
    let hob = w.start_program().await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_disk_that_breaks_under_a_running_hob_ends_it_with_advice() {
    let Some(disk) = Disk::ext4(64) else { return };
    let w = World::prepare(|config| {
        config.data.dir = disk.data();
        config.data.min_free = ByteSize(0);
    })
    .await;
    let hob = w.start_program().await;
    let issue = w.alice().opens_issue("Add a note", "[scenario: work]").await;
    w.eventually("hob to be idle", async || {
        w.command(&["status"]).await.1.contains("Unprocessed deliveries: none").then_some(())
    })
    .await;
    disk.break_ext4();
    assert_eq!(w.alice().labels(issue, "hob").await, 503);
    assert_eq!(hob.ended().await, Some(1), "an idle hob notices at the first webhook");
    w.eventually("hob's last words", async || {
        w.log().contains("whether its disk is mounted read-only, then restart hob").then_some(())
    })
    .await;

    disk.repair_ext4();
    let hob = w.start_program().await;
    let labeled = w.github.deliveries().pop().expect("a delivery");
    assert_eq!(w.github.redeliver(&labeled.guid).await, 202);
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_damaged_file_is_said_at_the_start_and_left_as_it_is() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    let file = w.data().join("hob.db");
    let whole = std::fs::read(&file).expect("the store");
    let header = 0..100;
    let page = 4096 * (root_page(&file, "tasks").await - 1);
    for damaged in [header, page + 8..page + 4096] {
        let mut bytes = whole.clone();
        bytes[damaged.clone()].fill(0xa5);
        std::fs::write(&file, &bytes).expect("the store can be written");
        let (code, said) = w.serve_in_vain().await;
        assert_eq!(code, Some(1), "{damaged:?}");
        assert!(said.contains("the store's file is damaged. Stop hob, keep a copy of hob.db"), "{said}");
        let (code, said) = w.command(&["check"]).await;
        assert!(
            code == Some(1) && said.contains("store           NOT ok: the store's file is damaged"),
            "{said}"
        );
        assert!(std::fs::read(&file).expect("the store") == bytes, "{damaged:?}: the file was changed");
    }
    std::fs::write(&file, &whole).expect("the store can be written");
    let hob = w.start_program().await;
    w.alice().comments(issue, "one array").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

/// The number of the page at which a table begins, counted from 1.
async fn root_page(file: &Path, table: &str) -> usize {
    let mut connection = open_raw(file).await;
    let page: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_master WHERE name = $1")
        .bind(table)
        .fetch_one(&mut connection)
        .await
        .expect("a table");
    connection.close().await.expect("the store closes");
    usize::try_from(page).expect("a number")
}

#[tokio::test]
async fn a_store_that_somebody_locks_is_waited_for_and_the_door_says_so_in_time() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    let issue = w.alice().opens_issue("Add a note", "[scenario: work]").await;
    let began = Instant::now();
    let locked = Locked::hold(&w.data().join("hob.db")).await;
    assert_eq!(w.alice().labels(issue, "hob").await, 503, "after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(8), "GitHub gives up after 10 s");
    let labeled = w.github.deliveries().pop().expect("a delivery");
    // Longer than SQLite waits for a lock by itself.
    w.eventually("hob to meet the lock", async || {
        w.log().contains("another process holds the store's lock").then_some(())
    })
    .await;
    locked.let_go().await;

    w.eventually("hob to go on", async || (w.github.redeliver(&labeled.guid).await == 202).then_some(()))
        .await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}

#[tokio::test]
async fn a_store_of_a_newer_hob_is_refused_and_left_as_it_is() {
    let w = World::prepare(|_| {}).await;
    assert_eq!(w.start_program().await.terminate().await, Some(0));
    let file = w.data().join("hob.db");
    change(
        &file,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'from the future', TRUE, X'00', 0)",
    )
    .await;
    let before = std::fs::read(&file).expect("the store");
    let (code, said) = w.serve_in_vain().await;
    assert!(code == Some(1) && said.contains("a newer version of hob has written it (schema 99"), "{said}");
    for arguments in [&["status"][..], &["replay", "x"], &["retry", "--all"], &["check"]] {
        let (code, said) = w.command(arguments).await;
        assert!(
            code == Some(1) && said.contains("a newer version of hob has written it (schema 99"),
            "{said}"
        );
    }
    assert!(std::fs::read(&file).expect("the store") == before, "the file was changed");
    change(&file, "DELETE FROM _sqlx_migrations WHERE version = 99").await;
    w.finish().await;
}

#[tokio::test]
async fn a_second_hob_on_the_same_data_folder_is_refused() {
    let w = World::prepare(|_| {}).await;
    let hob = w.start_program().await;
    let (code, said) = w.serve_in_vain().await;
    assert!(code == Some(1) && said.contains("another hob is using"), "{said}");
    let issue = w.alice().opens_issue("Add a note", "[scenario: work]").await;
    w.alice().labels(issue, "hob").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}
