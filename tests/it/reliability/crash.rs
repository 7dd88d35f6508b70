//! The crash matrix: the real program is killed with SIGKILL before and after every transaction,
//! every call to GitHub and to Docker, every git command and every rename that it makes in a story,
//! is started again, and the world in the end is compared with one in which nothing was killed. The
//! places are not listed by hand: a first run writes down which it passes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use fastrand::Rng;
use futures_util::StreamExt as _;
use tokio::sync::OnceCell;

use super::keeper::{Keeper, Kept, Life};
use super::scripts::Script;
use super::snapshot;

/// Worlds at once. More than processors, since most of the time is spent waiting for containers.
const AT_ONCE: usize = 3;

/// Kills of a second life, which is under way with taking up what the first has left.
const SECOND_KILLS: usize = 16;
/// How far into its life the second one is killed, in places passed: its start and the first steps
/// that it repeats.
const RECOVERY: usize = 60;

/// Acts that each of the longer scripts is killed after in the usual run too, though earlier ones
/// pass them: what they mean is another thing there.
const AGAIN_AT: [&str; 3] = ["git.push.after", "store.end-run.after", "store.done.after"];

/// Places at which hob is stopped, the world goes on, and it comes back when its lease is over:
/// before and after each act that no transaction covers.
const FREEZE_AT: [&str; 12] = [
    "store.begin-run.after",
    "docker.creating-container.before",
    "docker.starting-container.before",
    "docker.starting-container.after",
    "store.run-started.before",
    "store.end-run.before",
    "git.push.before",
    "git.push.after",
    "store.done.before",
    "github.post-issues-comments.before",
    "github.post-issues-comments.after",
    "github.post-pulls.after",
];

/// One world from its beginning to its rest.
struct Played {
    snapshot: String,
    kept: Kept,
    trouble: Option<String>,
    log: String,
}

async fn play(script: Script, lives: Vec<Life>, always: Life) -> Played {
    let w = script.world().await;
    let keeper = Keeper::start(&w, lives, always).await;
    let played = match script.play(&w).await {
        Ok(()) => snapshot::rest(&w).await,
        Err(why) => Err(why),
    };
    if !script.keeps_workspace() {
        // What else is there shows in the snapshot.
        snapshot::left_over(&w).await;
    }
    let kept = keeper.stop().await;
    let violations = w.github.violations();
    let trouble = played.err().or_else(|| (!violations.is_empty()).then(|| format!("{violations:?}")));
    let log = std::fs::read_to_string(w.folder().join("hob.log")).unwrap_or_default();
    Played { snapshot: snapshot::take(&w, script.is_exact()).await, kept, trouble, log }
}

fn variable(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn die_at(place: &str, nth: u32) -> Life {
    vec![variable("HOB_KILL_AT", format!("{place}#{nth}"))]
}

/// The places that a life has passed, in order.
fn places_in(record: &Path) -> Vec<String> {
    std::fs::read_to_string(record).expect("places").lines().map(str::to_owned).collect()
}

/// The places that a script passes, with how often, and the world it leaves.
async fn survey(script: Script) -> (BTreeMap<String, u32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("places");
    let always = vec![variable("HOB_FAIL_POINTS_TO", record.display().to_string())];
    let played = play(script, Vec::new(), always).await;
    let wrong = judge(script, "without a kill", &played.snapshot, &played);
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    assert_eq!((played.kept.lives, played.kept.exit_code), (1, Some(0)), "{script:?}\n{}", played.log);
    let mut places = BTreeMap::new();
    for place in places_in(&record) {
        *places.entry(place).or_insert(0) += 1;
    }
    (places, played.snapshot)
}

/// A case that went wrong, in words.
fn judge(script: Script, case: &str, wanted: &str, played: &Played) -> Option<String> {
    let mut wrong = Vec::new();
    wrong.extend(played.trouble.clone());
    let ends = played.kept.unwanted.iter().chain(&played.kept.failed_starts);
    wrong.extend(ends.map(|end| format!("hob ended by itself: {end}")));
    if played.snapshot != wanted {
        wrong.push(difference(wanted, &played.snapshot));
    }
    let tail: Vec<&str> = played.log.lines().rev().take(12).collect();
    // What hob says when it ends by itself is no line of the log's form.
    let is_of_note = |line: &&str| line.contains("\"ERROR\"") || !line.starts_with('{');
    let tail: Vec<&str> = played.log.lines().filter(is_of_note).chain(tail.into_iter().rev()).collect();
    (!wrong.is_empty())
        .then(|| format!("{script:?}, {case}:\n{}\nlog:\n{}", wrong.join("\n"), tail.join("\n")))
}

/// The lines in which two worlds differ.
fn difference(wanted: &str, found: &str) -> String {
    let missing = wanted.lines().filter(|line| !found.lines().any(|other| other == *line));
    let surplus = found.lines().filter(|line| !wanted.lines().any(|other| other == *line));
    let lines: Vec<String> =
        missing.map(|line| format!("- {line}")).chain(surplus.map(|line| format!("+ {line}"))).collect();
    if lines.is_empty() { "the same lines in another number or order".to_owned() } else { lines.join("\n") }
}

/// One world in which hob is killed.
#[derive(Debug, Clone)]
struct Case {
    script: Script,
    lives: Vec<Life>,
    name: String,
}

/// Plays all cases; returns what went wrong, and in how many of them hob was really killed as
/// planned.
async fn run_all(cases: Vec<Case>, wanted: &BTreeMap<Script, String>) -> (Vec<String>, usize) {
    let played = futures_util::stream::iter(cases).map(async |case| {
        let planned = case.lives.len();
        let played = play(case.script, case.lives.clone(), Vec::new()).await;
        let is_hit = played.kept.killed >= planned;
        if !is_hit {
            println!("{:?}, {}: not passed this time", case.script, case.name);
        }
        let wrong = judge(case.script, &case.name, &wanted[&case.script], &played);
        if let Some(wrong) = &wrong {
            // At once, for anyone who looks on.
            println!("{wrong}\n");
        }
        (wrong, is_hit)
    });
    let results: Vec<_> = played.buffer_unordered(AT_ONCE).collect().await;
    let killed = results.iter().filter(|(_, killed)| *killed).count();
    (results.into_iter().filter_map(|(wrong, _)| wrong).collect(), killed)
}

/// What the surveys of all scripts have found.
struct Surveys {
    /// The world that each script leaves.
    wanted: BTreeMap<Script, String>,
    /// The places, each with the first script that passes it, and how often.
    places: Vec<(Script, String, u32)>,
    /// The places that longer scripts pass and earlier ones too: another step of another story.
    again: Vec<(Script, String, u32)>,
}

/// The surveys, made once for all tests.
async fn surveys() -> &'static Surveys {
    static MADE: OnceCell<Surveys> = OnceCell::const_new();
    MADE.get_or_init(async || {
        let played =
            futures_util::stream::iter(Script::ALL).map(async |script| (script, survey(script).await));
        let mut wanted = BTreeMap::new();
        let mut known = BTreeMap::new();
        let mut again = Vec::new();
        let mut played = played.buffered(AT_ONCE);
        while let Some((script, (places, snapshot))) = played.next().await {
            wanted.insert(script, snapshot);
            for (place, count) in places {
                match known.entry(place) {
                    Entry::Vacant(new) => drop(new.insert((script, count))),
                    Entry::Occupied(old) if script.is_long() => {
                        again.push((script, old.key().clone(), count));
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        let places = known.into_iter().map(|(place, (script, count))| (script, place, count)).collect();
        Surveys { wanted, places, again }
    })
    .await
}

/// Whether a place belongs to the run: `HOB_CRASH_ONLY=TEXT` takes those that contain the text, as
/// `Review github.post`, to look into some.
fn is_wanted(script: Script, place: &str) -> bool {
    std::env::var("HOB_CRASH_ONLY").map_or(true, |only| format!("{script:?} {place}").contains(&only))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_matrix() {
    let began = std::time::Instant::now();
    let Surveys { wanted, places, .. } = surveys().await;
    let cases = cases(surveys().await, std::env::var_os("HOB_CRASH_WHOLE").is_some());
    let planned = cases.len();
    for script in Script::ALL {
        let new = places.iter().filter(|(first, ..)| *first == script).count();
        let kills = cases.iter().filter(|case| case.script == script).count();
        println!("{script:?}: {new} places that no script before it passes, {kills} kills");
    }
    let (wrong, killed) = run_all(cases, wanted).await;
    println!(
        "crash matrix: {} places, {planned} kills, {killed} hit, {} went wrong, {} s",
        places.len(),
        wrong.len(),
        began.elapsed().as_secs()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(places.len() >= 40, "only {} places", places.len());
    assert!(killed * 10 >= planned * 9, "only {killed} of {planned} kills were hit");
}

/// Where hob is killed. A place that is passed often is killed at twice in a whole run, else at one
/// of the two times, in turn. The longer scripts are killed in the usual run after an act only,
/// where it has been done and nobody knows; a whole run kills them too at the last time that they
/// pass a place of earlier ones.
fn cases(surveys: &Surveys, is_whole: bool) -> Vec<Case> {
    let mut at_places = Vec::new();
    for (at, (script, place, count)) in surveys.places.iter().enumerate() {
        // The first time, and where a place is passed often, once more in the middle: another step
        // of the story.
        let mut times = vec![1];
        times.extend((*count > 2).then_some(count.div_ceil(2)));
        if !is_whole && times.len() > 1 {
            times = vec![times[at % 2]];
        }
        if !is_whole && script.is_long() && !changes_something(place) {
            continue;
        }
        at_places.extend(times.into_iter().map(|nth| (*script, place, nth)));
    }
    let again = surveys.again.iter().filter(|(_, place, _)| {
        if is_whole { changes_something(place) } else { AGAIN_AT.contains(&place.as_str()) }
    });
    at_places.extend(again.map(|(script, place, count)| (*script, place, *count)));
    at_places.retain(|(script, place, _)| is_wanted(*script, place));
    let case = |(script, place, nth): (Script, &String, u32)| Case {
        script,
        lives: vec![die_at(place, nth)],
        name: format!("killed at {place}#{nth}"),
    };
    at_places.into_iter().map(case).collect()
}

/// Whether a place is behind something that is there now and was not: not a look at GitHub or
/// Docker.
fn changes_something(place: &str) -> bool {
    let looks =
        ["github.get-", "docker.inspecting-", "docker.listing-", "docker.looking-", "docker.reading-"];
    place.ends_with(".after") && !looks.iter().any(|look| place.starts_with(look))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_in_the_middle_of_recovery() {
    let Surveys { wanted, places, .. } = surveys().await;
    let mut rng = Rng::with_seed(4);
    let chosen: Vec<_> = (0..SECOND_KILLS).map(|_| places[rng.usize(0..places.len())].clone()).collect();
    let seeds: Vec<u64> = (0..SECOND_KILLS).map(|_| rng.u64(..)).collect();
    // What the second life passes is found out by letting it live once.
    let found =
        futures_util::stream::iter(chosen.into_iter().zip(seeds)).map(async |((script, place, _), seed)| {
            let folder = tempfile::tempdir().expect("a folder");
            let record = folder.path().join("places");
            let second = vec![variable("HOB_FAIL_POINTS_TO", record.display().to_string())];
            let played = play(script, vec![die_at(&place, 1), second], Vec::new()).await;
            let name = format!("killed at {place}#1");
            let wrong = judge(script, &name, &wanted[&script], &played);
            // Some places are passed in some worlds only. Where the first life was not killed,
            // there is no second one.
            let case = (played.kept.lives > 1).then(|| {
                let passed = places_in(&record);
                let at = Rng::with_seed(seed).usize(0..passed.len().min(RECOVERY));
                let nth = passed[..=at].iter().filter(|other| **other == passed[at]).count();
                let lives = vec![die_at(&place, 1), die_at(&passed[at], nth as u32)];
                Case { script, lives, name: format!("{name}, then at {}#{nth}", passed[at]) }
            });
            (case, wrong)
        });
    let (cases, once): (Vec<_>, Vec<_>) = found.buffer_unordered(AT_ONCE).unzip().await;
    let (mut wrong, killed) = run_all(cases.into_iter().flatten().collect(), wanted).await;
    wrong.extend(once.into_iter().flatten());
    println!("killed again during recovery: {SECOND_KILLS} pairs, {killed} hit, {} went wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(killed * 4 >= SECOND_KILLS * 3, "only {killed} of {SECOND_KILLS} pairs were hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_for_longer_than_the_lease() {
    let wanted = &surveys().await.wanted[&Script::Ask];
    let frozen = futures_util::stream::iter(FREEZE_AT).map(async |place| {
        let life = vec![variable("HOB_STOP_AT", format!("{place}#1"))];
        let played = play(Script::Ask, vec![life], Vec::new()).await;
        (judge(Script::Ask, &format!("stopped at {place}"), wanted, &played), played.kept.thawed)
    });
    let results: Vec<_> = frozen.buffer_unordered(AT_ONCE).collect().await;
    let thawed: usize = results.iter().map(|(_, thawed)| thawed).sum();
    let wrong: Vec<String> = results.into_iter().filter_map(|(wrong, _)| wrong).collect();
    println!("stopped for two leases: {} places, {thawed} hit, {} went wrong", FREEZE_AT.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(thawed, FREEZE_AT.len(), "not every place of FREEZE_AT was passed");
}
