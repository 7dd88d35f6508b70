//! Every webhook example that GitHub's community has published must decode. The examples are the
//! npm package `@octokit/webhooks-examples`, which is not checked in:
//! `npm pack @octokit/webhooks-examples@7.6.1`, unpacked in `target/webhooks-examples`.
//! `HOB_WEBHOOK_EXAMPLES` names another `index.json`, or the folder it is in.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use hob::event::Event;
use hob::github::webhook::decode;
use serde_json::Value;

/// How many version 7.6.1 has.
const EXAMPLES: usize = 329;
const DEFAULT: &str = "target/webhooks-examples/package/api.github.com/index.json";

#[test]
fn every_published_example_decodes() {
    let asked_for = std::env::var_os("HOB_WEBHOOK_EXAMPLES");
    let mut path = match &asked_for {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(DEFAULT),
    };
    if path.is_dir() {
        path.push("index.json");
    }
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        // Anyone who names a file wants it read.
        Err(error) if asked_for.is_some() => panic!("HOB_WEBHOOK_EXAMPLES: {}: {error}", path.display()),
        Err(error) => {
            // Past the test harness, which hides what a passing test prints.
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: no webhook examples at {} ({error})", path.display()).unwrap();
            return;
        }
    };

    let groups: Vec<Value> = serde_json::from_slice(&text).expect("index.json is a list");
    let mut failures = Vec::new();
    let mut counts = BTreeMap::new();
    for group in &groups {
        let event = group["name"].as_str().expect("an example has an event");
        for example in group["examples"].as_array().expect("an event has examples") {
            match decode(event, example.to_string().as_bytes()) {
                Ok(decoded) => *counts.entry(kind(&decoded)).or_insert(0) += 1,
                Err(error) => failures.push(error.to_string()),
            }
        }
    }
    let decoded: usize = counts.values().sum();
    eprintln!("decoded {decoded} webhook examples: {counts:?}");
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(decoded, EXAMPLES);
    // Counted in the package with another program: what hob uses is recognised, not merely let
    // through.
    let expected = [
        ("assigned", 3),
        ("button", 5),
        ("check", 10),
        ("comment", 5),
        ("edit", 2),
        ("ended", 4),
        ("label", 2),
        ("other", 279),
        ("ping", 4),
        ("pull", 4),
        ("push", 2),
        ("repository", 4),
        ("review", 3),
        ("unlabel", 2),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Ping => "ping",
        Event::IssueLabeled { .. } => "label",
        Event::IssueUnlabeled { .. } => "unlabel",
        Event::IssueAssigned { .. } => "assigned",
        Event::IssueEnded { .. } => "ended",
        Event::Commented { .. } => "comment",
        Event::CommentEdited { .. } => "edit",
        Event::Reviewed { .. } => "review",
        Event::PullMoved { .. } => "pull",
        Event::PullRetargeted { .. } => "retarget",
        Event::CheckEnded { .. } => "check",
        Event::CheckButton { .. } => "button",
        Event::Pushed { .. } => "push",
        Event::RepositoryChanged { .. } => "repository",
        Event::Other { .. } => "other",
    }
}
