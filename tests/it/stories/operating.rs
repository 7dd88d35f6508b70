//! What an operator sees of hob: its log, its commands, what it says about settings that cannot work.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ::hob::serve::GRACE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr};

use crate::world::World;
use crate::world::hob;

/// What the machine may add to a bound.
const SLACK: Duration = Duration::from_secs(6);

/// Reads the log until hob listens, and sends GitHub's webhooks there.
async fn listening(w: &World, log: &mut BufReader<ChildStderr>) {
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(log.read_line(&mut line).await.expect("a log") > 0, "hob ended");
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["fields"]["message"] == "hob is listening" {
            break entry["fields"]["address"].as_str().expect("an address").to_owned();
        }
    };
    w.github.send_webhooks_to(&format!("http://{address}/webhook"), crate::world::SECRET);
}

/// hob takes a delivery, and does what comes of it.
async fn works(w: &World, guid: &str) {
    let body = br#"{"zen":"Keep it logically awesome."}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("ping", guid, body, Some(signature)).await, 202);
}

async fn stops(w: &World, hob: &mut Child, signal: Signal) {
    let began = Instant::now();
    kill(Pid::from_raw(hob.id().expect("it runs").cast_signed()), signal).expect("a signal");
    let longest = w.config.work.drain + GRACE + SLACK;
    let ended = tokio::time::timeout(longest, hob.wait()).await.expect("hob ends in time");
    assert_eq!(ended.expect("its end").code(), Some(0));
    assert!(began.elapsed() < longest);
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_stops_neither_work_nor_a_stop() {
    let w = World::prepare(|config| config.work.drain = Duration::from_secs(1)).await;
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut hob = hob::spawn_logging_to(w.folder(), &w.config, "debug", Stdio::piped());
        let mut log = BufReader::new(hob.stderr.take().expect("a log"));
        listening(&w, &mut log).await;
        drop(log);
        for n in 0..5 {
            works(&w, &format!("guid-{signal}-{n}")).await;
        }
        // Turned away, which hob logs.
        assert_eq!(w.github.send_raw("ping", "guid-bad", b"{}".to_vec(), None).await, 400);
        works(&w, &format!("guid-{signal}-last")).await;
        stops(&w, &mut hob, signal).await;
    }
    w.finish().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_work_nor_a_stop() {
    let w = World::prepare(|config| config.work.drain = Duration::from_secs(1)).await;
    let mut hob = hob::spawn_logging_to(w.folder(), &w.config, "trace", Stdio::piped());
    let mut log = BufReader::new(hob.stderr.take().expect("a log"));
    listening(&w, &mut log).await;
    // More than a pipe holds.
    for n in 0..100 {
        works(&w, &format!("guid-{n}")).await;
    }
    stops(&w, &mut hob, Signal::SIGTERM).await;
    drop(log);
    w.finish().await;
}

#[tokio::test]
async fn what_a_command_says_may_be_left_unread() {
    let w = World::start().await;
    let copy = w.folder().join("copy.db");
    let with_settings: [&[&str]; 7] = [
        &["check"],
        &["status"],
        &["status", "--json"],
        &["backup", copy.to_str().unwrap()],
        &["retry", "--all"],
        &["replay", "guid-of-nothing"],
        &["replay", "guid-1"],
    ];
    let body = br#"{"action":"labeled"}"#.to_vec();
    let signature = w.github.sign(&body);
    assert_eq!(w.github.send_raw("issues", "guid-1", body, Some(signature)).await, 202);
    w.quiet().await;
    for unheard in [false, true] {
        for arguments in with_settings {
            let (code, said) = hob::run_unheard(w.folder(), Some(&w.config), arguments, unheard).await;
            assert!(
                matches!(code, Some(0 | 1)) && !said.contains("panicked"),
                "{arguments:?}: {code:?} {said}"
            );
        }
        let without: [&[&str]; 6] =
            [&["schema"], &["--help"], &["help", "serve"], &["--version"], &["serve", "--nonsense"], &[]];
        for arguments in without {
            let (code, said) = hob::run_unheard(w.folder(), None, arguments, unheard).await;
            assert!(
                matches!(code, Some(0 | 2)) && !said.contains("panicked"),
                "{arguments:?}: {code:?} {said}"
            );
        }
    }
    w.quiet().await;
    w.finish().await;
}
