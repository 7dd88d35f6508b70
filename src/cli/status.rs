//! `hob status`: what is under way, what waits and for what, what is stuck, and the disk. Only
//! reads.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::ConfigArguments;
use super::out::{print, say};
use super::table::{plain, table};
use crate::clock;
use crate::config::Config;
use crate::paths::{self, DataDir};
use crate::store::{BlockedRequest, KnownRepository, OpenDelivery, OpenEffect, OpenTask, Store, StoreStatus};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print JSON, with sizes in bytes.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    now: Timestamp,
    #[serde(flatten)]
    store: StoreStatus,
    repositories: Vec<Repository>,
    disk: Disk,
}

#[derive(Debug, Serialize)]
struct Repository {
    repo: String,
    looked_until: Option<Timestamp>,
}

/// Sizes in bytes.
#[derive(Debug, Serialize)]
struct Disk {
    folder: String,
    free: u64,
    min_free: u64,
    used: std::collections::BTreeMap<&'static str, u64>,
}

pub(super) fn run(given: &Arguments) -> anyhow::Result<ExitCode> {
    let config = given.config.load_without_secrets()?;
    let report = super::runtime()?.block_on(report(&config))?;
    if given.json {
        say(serde_json::to_string_pretty(&report)?)?;
    } else {
        print(text(&report))?;
    }
    Ok(if report.needs_somebody() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn report(config: &Config) -> anyhow::Result<Report> {
    let data = DataDir::beside(&config.data.dir);
    let store = Store::open_beside(&data.store()).await?;
    let (open, repositories) = (store.status().await?, store.repositories().await?);
    store.close().await;
    Ok(Report {
        now: clock::now(),
        store: open,
        repositories: repositories.into_iter().map(repository).collect(),
        disk: Disk {
            folder: data.root().display().to_string(),
            free: paths::free_space(data.root())?.bytes,
            min_free: config.data.min_free.0,
            used: data.space().into_iter().collect(),
        },
    })
}

fn repository(known: KnownRepository) -> Repository {
    Repository { repo: known.repo.to_string(), looked_until: known.looked_until }
}

impl Report {
    fn needs_somebody(&self) -> bool {
        self.store.shut_out.is_some()
            || self.store.effects.iter().any(|effect| effect.is_parked)
            || self.store.deliveries.iter().any(|delivery| delivery.is_unreadable)
    }
}

fn text(report: &Report) -> String {
    let (store, now) = (&report.store, report.now);
    let (parked, wanted): (Vec<_>, Vec<_>) = store.effects.iter().partition(|effect| effect.is_parked);
    let mut text = String::new();
    if let Some(shut_out) = &store.shut_out {
        text.push_str(&format!(
            "NO ACCESS TO GITHUB for {}: {}\n",
            age(shut_out.since, now),
            plain(&shut_out.why)
        ));
    }
    let mut section = |title: &str, count: usize, table: String| {
        text.push_str(&format!(
            "{title}: {}\n",
            if count == 0 { "none".to_owned() } else { count.to_string() }
        ));
        if count > 0 {
            text.push_str(&table);
        }
    };
    section("Failed writes to GitHub", parked.len(), effects(&parked, now));
    section("Pending writes to GitHub", wanted.len(), effects(&wanted, now));
    section("Unprocessed deliveries", store.deliveries.len(), deliveries(&store.deliveries, now));
    section("Open tasks", store.tasks.len(), tasks(&store.tasks, now));
    section("Blocked requests", store.wishes.len(), wishes(&store.wishes, now));
    section("Repositories", report.repositories.len(), repositories(&report.repositories, now));
    if let Some(away) = &store.turned_away {
        text.push_str(&format!(
            "Rejected webhooks: {} in {}; last {} ago: {}\n",
            away.count,
            age(away.since, now),
            age(away.last, now),
            plain(&away.why)
        ));
    }
    text.push_str(&format!("Disk: {} free in {}", size(report.disk.free), report.disk.folder));
    text.push_str(&format!("; a run needs {}\n", size(report.disk.min_free)));
    let used = report.disk.used.iter().map(|(name, bytes)| [(*name).to_owned(), size(*bytes)]);
    text.push_str(&table(["PART", "SIZE"], &used.collect::<Vec<_>>()));
    text.push_str(&format!("Store: schema {}\n", store.schema));
    text
}

fn effects(effects: &[&OpenEffect], now: Timestamp) -> String {
    let rows = effects.iter().map(|effect| {
        [
            age(effect.wanted_at, now),
            effect.tries.to_string(),
            next(effect.next_try, now),
            format!("{}: {}", effect.repo, effect.what),
            effect.id.clone(),
            effect.error.clone().unwrap_or_default(),
        ]
    });
    table(["AGE", "TRIES", "NEXT", "WHAT", "ID", "ERROR"], &rows.collect::<Vec<_>>())
}

fn deliveries(deliveries: &[OpenDelivery], now: Timestamp) -> String {
    let rows = deliveries.iter().map(|delivery| {
        let note = delivery.note.clone().unwrap_or_default();
        [
            age(delivery.received_at, now),
            delivery.attempts.to_string(),
            next(delivery.next_try, now),
            delivery.event.clone(),
            delivery.guid.clone(),
            if delivery.is_unreadable { format!("UNREADABLE: {note}") } else { note },
        ]
    });
    table(["AGE", "TRIES", "NEXT", "EVENT", "GUID", "NOTE"], &rows.collect::<Vec<_>>())
}

fn tasks(tasks: &[OpenTask], now: Timestamp) -> String {
    let rows = tasks.iter().map(|task| {
        [
            format!("{}#{}", task.repo, task.issue),
            task.state.to_owned(),
            age(task.since, now),
            task.agent.clone().unwrap_or_default(),
            if task.is_leased { "yes" } else { "no" }.to_owned(),
            next(task.next_try, now),
            task_note(task),
        ]
    });
    table(["ISSUE", "STATE", "SINCE", "AGENT", "LEASED", "NEXT", "NOTE"], &rows.collect::<Vec<_>>())
}

fn wishes(wishes: &[BlockedRequest], now: Timestamp) -> String {
    let rows = wishes.iter().map(|wish| {
        [
            format!("{}#{}", wish.repo, wish.issue),
            age(wish.at, now),
            wish.by.clone(),
            next(wish.next_look, now),
            wish.waits_for.join(", "),
        ]
    });
    table(["ISSUE", "AGE", "REQUESTED BY", "NEXT CHECK", "WAITS FOR"], &rows.collect::<Vec<_>>())
}

fn task_note(task: &OpenTask) -> String {
    let stop = task.stop_by.as_ref().map(|by| format!("{by} asked to stop it"));
    let retries = (task.retries > 0).then(|| format!("{} retries so far", task.retries));
    let asks = task.question.as_ref().filter(|_| task.state == "blocked").map(|text| format!("asks: {text}"));
    let limit = task.waits_for.as_ref().filter(|_| task.next_try.is_some());
    let limit = limit.map(|agent| format!("waits for the usage limit of {agent} to reset"));
    [stop, limit, retries, asks].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn repositories(repositories: &[Repository], now: Timestamp) -> String {
    let rows = repositories.iter().map(|known| {
        let looked = known.looked_until.map_or("never".to_owned(), |at| format!("{} ago", age(at, now)));
        [known.repo.clone(), looked]
    });
    table(["REPOSITORY", "LAST SEARCHED"], &rows.collect::<Vec<_>>())
}

fn age(since: Timestamp, now: Timestamp) -> String {
    span(now.as_second() - since.as_second())
}

/// When something is tried next; nothing where it waits for no time.
fn next(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map(|at| format!("in {}", span(at.as_second() - now.as_second()))).unwrap_or_default()
}

/// So many seconds, in the largest unit that fits twice.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        let spans = [-5, 0, 119, 120, 7_199, 7_200, 172_800].map(span);
        assert_eq!(spans, ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
        assert_eq!([size(0), size(3 << 19), size(5 << 30)], ["0.0 MiB", "1.5 MiB", "5.0 GiB"]);
    }
}
