//! Random schedules: whole stories with the real program, the real Docker daemon and real git,
//! while things go wrong on all sides at moments that a seed decides. After each schedule the world
//! is looked through: nothing lost, nothing twice, nothing left over. `HOB_CHAOS_SCHEDULES` says
//! how many (a few, unless told), `HOB_CHAOS_SEED` where to begin, `HOB_CHAOS_AT_ONCE` how many
//! worlds at once, `HOB_CHAOS_DAEMON` that the daemon itself may be killed (`deploy/chaos.sh`,
//! where no other test uses it).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::StreamExt as _;
use hob::store::Store;
use hob::story::{TaskKind, TaskState};
use sqlx::{ConnectOptions as _, Connection as _};

use super::keeper::Keeper;
use super::line::Line;
use super::snapshot;
use super::within::{LONG, within};
use crate::world::disk::Disk;
use crate::world::github::{Fault, Pull, Verdict as Judged, on};
use crate::world::{BOT, REPO, World};

/// What a run of the suite plays when it is told nothing.
const FEW: u64 = 16;
/// Short, so that a process that is stopped for a while has lost its tasks.
const LEASE: Duration = Duration::from_secs(2);
/// A person asks again where hob says that something failed, so often at most.
const MAX_ASKED_AGAIN: usize = 4;
/// Seconds within which faults begin. A story without any takes about four.
const FAULTY: f32 = 6.0;

/// A story that people want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// One label, one pull request.
    Work,
    /// A question in between.
    Ask,
    /// The agent has to be asked to commit.
    Uncommitted,
    /// The service is overloaded once.
    Overloaded,
    /// A second task on the pull request.
    Twice,
    /// Stopped by somebody, taken up again.
    Stopped,
    /// A review of the pull request, with a suggestion and a remark.
    Review,
}

impl Wish {
    const ALL: [Wish; 7] = [
        Wish::Work,
        Wish::Ask,
        Wish::Uncommitted,
        Wish::Overloaded,
        Wish::Twice,
        Wish::Stopped,
        Wish::Review,
    ];

    fn scenario(self) -> &'static str {
        match self {
            Wish::Work | Wish::Twice => "work",
            Wish::Ask => "ask",
            Wish::Uncommitted => "uncommitted",
            Wish::Overloaded => "overloaded-once",
            Wish::Stopped => "slow 20",
            Wish::Review => "review",
        }
    }
}

/// Something that goes wrong, and when.
#[derive(Debug, Clone)]
struct Trouble {
    after: Duration,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    GitHub { method: &'static str, path: &'static str, fault: Fault, times: usize },
    Kill,
    Freeze(Duration),
    DockerAway(Duration),
    StoreLocked(Duration),
    DiskFull(Duration),
    ClockJump(i64),
}

/// What the seed decides.
#[derive(Debug)]
struct Schedule {
    seed: u64,
    wishes: Vec<Wish>,
    troubles: Vec<Trouble>,
}

/// Requests that can go wrong: what hob writes, what it reads before that, and git.
const REQUESTS: [(&str, &str); 15] = [
    ("POST", "/comments"),
    ("POST", "/comments"),
    ("POST", "/pulls"),
    ("POST", "/reactions"),
    ("POST", "/replies"),
    ("POST", "/requested_reviewers"),
    ("GET", "/reviews"),
    ("PATCH", "/pulls/"),
    ("GET", "/comments"),
    ("GET", "/pulls"),
    ("GET", "/permission"),
    ("GET", "/user"),
    ("GET", "info/refs"),
    ("POST", "git-upload-pack"),
    ("POST", "git-receive-pack"),
];

impl Schedule {
    fn of(seed: u64) -> Schedule {
        let mut rng = Rng::with_seed(seed);
        let count = if rng.u8(0..4) == 0 { 2 } else { 1 };
        let wishes = (0..count).map(|_| Wish::ALL[rng.usize(0..Wish::ALL.len())]).collect();
        let mut troubles: Vec<Trouble> = (0..rng.usize(1..5)).map(|_| trouble(&mut rng)).collect();
        // A disk that is full cannot be filled.
        let mut is_full = false;
        troubles.retain(|trouble| {
            !matches!(trouble.kind, Kind::DiskFull(_)) || !std::mem::replace(&mut is_full, true)
        });
        Schedule { seed, wishes, troubles }
    }
}

fn trouble(rng: &mut Rng) -> Trouble {
    let after = Duration::from_secs_f32(rng.f32() * FAULTY);
    let some = |rng: &mut Rng, most: f32| Duration::from_secs_f32(0.3 + rng.f32() * most);
    let kind = match rng.u8(0..20) {
        0..=8 => {
            let (method, path) = REQUESTS[rng.usize(0..REQUESTS.len())];
            Kind::GitHub { method, path, fault: fault(rng, method), times: rng.usize(1..3) }
        }
        9..=12 => Kind::Kill,
        13..=14 => Kind::Freeze(LEASE + some(rng, 1.0)),
        15..=16 => Kind::DockerAway(some(rng, 2.5)),
        17 => Kind::StoreLocked(some(rng, 11.0)),
        18 => Kind::DiskFull(some(rng, 2.0)),
        _ => {
            let hours = [-240, -30, -1, 1, 30, 240][rng.usize(0..6)];
            Kind::ClockJump(hours * 3600)
        }
    };
    Trouble { after, kind }
}

fn fault(rng: &mut Rng, method: &str) -> Fault {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match rng.u8(0..20) {
        0..=2 => Fault::Status(502, Vec::new()),
        3..=5 => Fault::Reset,
        6..=9 => Fault::AnswerLost,
        10..=11 => Fault::Status(403, vec![header("retry-after", "1")]),
        12 => Fault::Status(429, vec![header("retry-after", "2")]),
        13 => Fault::Status(401, Vec::new()),
        14 => Fault::Status(404, Vec::new()),
        15 => Fault::Status(422, Vec::new()),
        16 => Fault::Delay(Duration::from_millis(rng.u64(200..2500))),
        _ if method == "GET" => Fault::StaleList,
        _ => Fault::EffectDelayed(Duration::from_millis(rng.u64(200..1500))),
    }
}

/// What became of a schedule.
#[derive(Debug, Default)]
struct Verdict {
    lost: Vec<String>,
    twice: Vec<String>,
    left_over: Vec<String>,
    failures_said: usize,
    killed: usize,
}

impl Verdict {
    fn is_good(&self) -> bool {
        self.lost.is_empty() && self.twice.is_empty() && self.left_over.is_empty()
    }
}

async fn play(schedule: &Schedule) -> Verdict {
    let mut w = World::prepare(|config| {
        config.work.lease = LEASE;
        config.work.sweep = snapshot::SWEEP_EVERY;
        config.github.repositories = vec![REPO.to_owned()];
        config.github.poll = Some(Duration::from_secs(2));
        // A test's disk may be small; that it is full is a fault of its own.
        config.data.min_free = hob::config::ByteSize(1);
    })
    .await;
    let wants_small_disk = schedule.troubles.iter().any(|t| matches!(t.kind, Kind::DiskFull(_)));
    let disk = if wants_small_disk { Disk::tmpfs(48) } else { None };
    if let Some(disk) = &disk {
        w.config.data.dir = disk.data();
    }
    let line = Line::lay(w.folder());
    w.config.container.docker = line.address();
    let shift = w.folder().join("clock-shift");
    let always = vec![("HOB_CLOCK_SHIFT".to_owned(), shift.display().to_string())];
    let keeper = Keeper::start(&w, Vec::new(), always).await;
    let began = Instant::now();
    let people = async {
        let stories = schedule.wishes.iter().map(|wish| fulfil(&w, *wish));
        futures_util::future::join_all(stories).await
    };
    let troubles = schedule.troubles.iter().map(|trouble| {
        let (w, keeper, line, disk, shift) = (&w, &keeper, &line, &disk, &shift);
        async move {
            tokio::time::sleep(trouble.after.saturating_sub(began.elapsed())).await;
            make(trouble, w, keeper, line, disk.as_ref(), shift).await;
        }
    });
    let (ends, _) = tokio::join!(people, futures_util::future::join_all(troubles));
    let rested = snapshot::rest(&w).await;
    let left_over = snapshot::left_over(&w).await;
    let kept = keeper.stop().await;
    let mut verdict = Verdict { killed: kept.killed, left_over, ..Verdict::default() };
    verdict.lost.extend(rested.err());
    verdict.lost.extend(kept.unwanted.iter().map(|end| format!("hob ended by itself: {end}")));
    for end in ends {
        match end {
            Ok(failures) => verdict.failures_said += failures,
            Err(why) => verdict.lost.push(why),
        }
    }
    judge(&w, &mut verdict).await;
    if !verdict.is_good() {
        keep_the_log(&w, schedule);
    }
    drop(disk);
    verdict
}

async fn make(
    trouble: &Trouble,
    w: &World,
    keeper: &Keeper,
    line: &Line,
    disk: Option<&Disk>,
    shift: &std::path::Path,
) {
    match &trouble.kind {
        Kind::GitHub { method, path, fault, times } => w.github.fault(method, path, fault.clone(), *times),
        Kind::Kill => keeper.kill(),
        Kind::Freeze(time) => keeper.freeze(*time),
        Kind::DockerAway(time) => line.cut(*time).await,
        Kind::StoreLocked(time) => lock_store(w, *time).await,
        Kind::DiskFull(time) => {
            if let Some(disk) = disk {
                disk.fill();
                tokio::time::sleep(*time).await;
                disk.make_room();
            }
        }
        Kind::ClockJump(seconds) => {
            let before: i64 =
                std::fs::read_to_string(shift).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            let draft = shift.with_extension("new");
            std::fs::write(&draft, (before + seconds).to_string()).expect("a shift");
            std::fs::rename(&draft, shift).expect("a shift");
        }
    }
}

/// Another process that writes to the store and takes its time.
async fn lock_store(w: &World, time: Duration) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(w.data().join("hob.db"));
    // There is none yet where hob has been killed at its first start.
    let Ok(mut connection) = options.busy_timeout(Duration::from_secs(5)).connect().await else { return };
    if sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.is_ok() {
        tokio::time::sleep(time).await;
        let _ = sqlx::query("ROLLBACK").execute(&mut connection).await;
    }
    let _ = connection.close().await;
}

/// What people do until they have what they want. Tells how often hob said that something failed.
async fn fulfil(w: &World, wish: Wish) -> Result<usize, String> {
    let issue = w.alice().opens_issue("A wish", &format!("[scenario: {}]", wish.scenario())).await;
    w.alice().labels(issue, "hob").await;
    let mut read = 0;
    let mut failures = 0;
    let mut asked_twice = false;
    loop {
        if wish == Wish::Stopped && read == 0 {
            // Whether it runs already or still waits: both have to be stopped.
            let _ = within(20, "the agent to run", async || w.containers().await.first().cloned()).await;
            w.bob().comments(issue, "/hob stop").await;
        }
        let said = next(w, issue, read).await?;
        read += 1;
        if said.contains("I have a question before I can go on") {
            w.bob().comments(issue, "one object per line").await;
        } else if said.starts_with("Done: #") {
            if wish == Wish::Twice && !asked_twice {
                asked_twice = true;
                w.bob().comments(issue, "/hob work and once more [scenario: two-commits]").await;
                continue;
            }
            if wish == Wish::Review && !asked_twice {
                asked_twice = true;
                review(w, issue).await;
                continue;
            }
            return Ok(failures);
        } else if said.starts_with("**Stopped") || said.starts_with("There is nothing to stop") {
            w.alice().comments(issue, "/hob work go on [scenario: work]").await;
        } else if said.starts_with("**") {
            failures += 1;
            if failures > MAX_ASKED_AGAIN {
                return Err(format!("#{issue} fails again and again: {said}"));
            }
            w.alice().comments(issue, "/hob work again").await;
        } else {
            return Err(format!("#{issue}: not understood: {said}"));
        }
    }
}

/// Bob reviews the pull request of an issue.
async fn review(w: &World, issue: u64) {
    let head = format!("hob/issue-{issue}");
    let pull = w.github.pulls(REPO).into_iter().find(|pull| pull.head == head).expect("its pull request");
    let comments =
        [on("NOTES.md", 1, "```suggestion\n- the change\n```"), on("NOTES.md", 1, "And why only one line?")];
    w.bob().reviews(pull.number, Judged::ChangesRequested, "", &comments).await;
}

/// The next thing that hob says, past what it has said already.
async fn next(w: &World, issue: u64, read: usize) -> Result<String, String> {
    let what = format!("comment {} on #{issue}", read + 1);
    within(LONG, &what, async || w.said(issue).get(read).map(|comment| comment.body.clone())).await
}

/// Looks the world through. What people were told, and what is there, must be what they asked for,
/// once.
async fn judge(w: &World, verdict: &mut Verdict) {
    let store = Store::open_beside(&w.data().join("hob.db")).await.expect("the store opens");
    let mut asked = 0;
    for story in store.stories().await.expect("stories") {
        let tasks = store.tasks_of(story.id).await.expect("tasks");
        asked += tasks.len();
        for task in &tasks {
            if !task.state.is_final() {
                verdict.lost.push(format!("#{}: a task is {}", story.issue, task.state.as_str()));
            }
        }
        let questions = store.questions(story.id).await.expect("questions");
        let posted = questions.iter().filter(|asked| asked.comment.is_some()).count();
        // Each task ends with one comment, each question is one, and a stop that found nothing is
        // told so.
        let nothing_to_stop =
            w.said(story.issue.0).iter().filter(|c| c.body.starts_with("There is nothing to stop")).count();
        let wanted = tasks.len() + posted + nothing_to_stop;
        let said = w.said(story.issue.0).len();
        if said != wanted {
            let what = format!("#{}: {said} comments for {wanted} things to say", story.issue);
            if said > wanted { verdict.twice.push(what) } else { verdict.lost.push(what) }
        }
        check_pulls(w, story.branch.as_str(), &tasks, verdict);
    }
    let triggers = triggers(w);
    if asked != triggers {
        let what = format!("{asked} tasks for {triggers} requests");
        if asked > triggers { verdict.twice.push(what) } else { verdict.lost.push(what) }
    }
    let (wanted, parked) = store.effect_counts().await.expect("effects");
    if (wanted, parked) != (0, 0) {
        verdict.lost.push(format!("{wanted} effects are wanted, {parked} parked"));
    }
    store.close().await;
    check_words(w, verdict);
}

/// What people did that asks for work: labels put on, commands to work, and reviews. An answer put
/// as a command is not among them here.
fn triggers(w: &World) -> usize {
    let issues = w.github.issues(REPO);
    let labels =
        issues.iter().filter(|issue| w.github.labels(REPO, **issue).iter().any(|l| l == "hob")).count();
    let commands = issues.iter().flat_map(|issue| w.github.comments(REPO, *issue));
    let pulls = w.github.pulls(REPO).into_iter();
    let reviews = pulls.flat_map(|pull| w.github.reviews_of(REPO, pull.number)).filter(|(_, by)| by != BOT);
    labels + commands.filter(|comment| comment.body.starts_with("/hob work")).count() + reviews.count()
}

fn check_pulls(w: &World, branch: &str, tasks: &[hob::story::Task], verdict: &mut Verdict) {
    let pulls: Vec<_> = w.github.pulls(REPO).into_iter().filter(|pull| pull.head == branch).collect();
    let done = tasks.iter().any(|task| task.state == TaskState::Done);
    if done && pulls.is_empty() {
        verdict.lost.push(format!("{branch}: no pull request"));
    }
    if pulls.len() > 1 {
        verdict.twice.push(format!("{branch}: {} pull requests", pulls.len()));
    }
    let is_review = |task: &hob::story::Task| matches!(task.ask.about, TaskKind::Review(_));
    if let Some(reviewed) = tasks.iter().find(|task| is_review(task)) {
        pulls.iter().for_each(|pull| check_threads(w, pull, reviewed.state == TaskState::Done, verdict));
    }
    let commits = w.github.commits(REPO, branch);
    let unique: BTreeSet<_> = commits.iter().map(|commit| commit.sha.as_str()).collect();
    if unique.len() != commits.len() {
        verdict.twice.push(format!("{branch}: a commit twice"));
    }
}

/// Anyone who said something on lines is answered there, once, and is asked for another review, as
/// soon as that is done.
fn check_threads(w: &World, pull: &Pull, is_done: bool, verdict: &mut Verdict) {
    let all = w.github.thread_comments(REPO, pull.number);
    for said in all.iter().filter(|comment| comment.in_reply_to.is_none()) {
        let answers = all.iter().filter(|comment| comment.in_reply_to == Some(said.id)).count();
        if answers > 1 {
            verdict.twice.push(format!("#{}: {answers} answers to {}", pull.number, said.body));
        }
        if is_done && answers == 0 {
            verdict.lost.push(format!("#{}: no answer to {}", pull.number, said.body));
        }
        if said.reactions.len() != 1 {
            verdict.lost.push(format!("#{}: reactions {:?} to {}", pull.number, said.reactions, said.body));
        }
    }
    if is_done && !pull.reviewers.contains(&"bob".to_owned()) {
        verdict.lost.push(format!("#{}: bob is not asked for another review", pull.number));
    }
}

/// No marker twice, one 👀 for each command, nothing that GitHub would not have understood.
fn check_words(w: &World, verdict: &mut Verdict) {
    let mut markers: BTreeMap<String, usize> = BTreeMap::new();
    for issue in w.github.issues(REPO) {
        let reactions = w.github.issue_reactions(REPO, issue);
        for comment in w.github.comments(REPO, issue) {
            let marker = comment.body.lines().last().filter(|line| line.starts_with("<!-- hob:"));
            if let Some(marker) = marker.filter(|_| comment.author == BOT) {
                *markers.entry(marker.to_owned()).or_default() += 1;
            }
            if comment.body.starts_with("/hob work") && comment.reactions.len() != 1 {
                verdict.lost.push(format!("#{issue}: reactions {:?} to {}", comment.reactions, comment.body));
            }
        }
        if !reactions.is_empty() {
            verdict
                .twice
                .push(format!("#{issue}: a label is answered by the status comment, and by {reactions:?}"));
        }
    }
    let twice = markers.iter().filter(|(_, count)| **count > 1);
    verdict.twice.extend(twice.map(|(marker, count)| format!("{marker} × {count}")));
    verdict.lost.extend(w.github.violations());
}

/// So that a seed that fails can be looked into.
fn keep_the_log(w: &World, schedule: &Schedule) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/chaos");
    let _ = std::fs::create_dir_all(&folder);
    let _ = std::fs::copy(w.folder().join("hob.log"), folder.join(format!("{}.log", schedule.seed)));
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos() {
    let (count, first) = (setting("HOB_CHAOS_SCHEDULES", FEW), setting("HOB_CHAOS_SEED", 1));
    let at_once = setting("HOB_CHAOS_AT_ONCE", 4) as usize;
    let began = Instant::now();
    let played = AtomicUsize::new(0);
    let schedules = futures_util::stream::iter(first..first + count).map(async |seed| {
        let schedule = Schedule::of(seed);
        let verdict = play(&schedule).await;
        let so_far = played.fetch_add(1, Ordering::SeqCst) + 1;
        if !verdict.is_good() {
            println!("seed {seed} failed: {schedule:#?}\n{verdict:#?}");
        }
        if so_far.is_multiple_of(50) {
            println!("{so_far} schedules after {} s", began.elapsed().as_secs());
        }
        (seed, verdict)
    });
    let verdicts: Vec<(u64, Verdict)> = schedules.buffer_unordered(at_once).collect().await;
    report(&verdicts, began.elapsed());
    let failed: Vec<u64> = verdicts.iter().filter(|(_, v)| !v.is_good()).map(|(seed, _)| *seed).collect();
    assert!(
        failed.is_empty(),
        "seeds that failed: {failed:?}; HOB_CHAOS_SEED=N HOB_CHAOS_SCHEDULES=1 plays one again"
    );
}

fn report(verdicts: &[(u64, Verdict)], took: Duration) {
    let count = |of: fn(&Verdict) -> usize| verdicts.iter().map(|(_, verdict)| of(verdict)).sum::<usize>();
    let with = |of: fn(&Verdict) -> &Vec<String>| verdicts.iter().filter(|(_, v)| !of(v).is_empty()).count();
    println!(
        "hob was killed {} times and said {} failures, each of which was mended by asking again; {} s",
        count(|v| v.killed),
        count(|v| v.failures_said),
        took.as_secs()
    );
    println!(
        "{} schedules, {} lost, {} duplicated, {} left over",
        verdicts.len(),
        with(|v| &v.lost),
        with(|v| &v.twice),
        with(|v| &v.left_over)
    );
    let passes = verdicts.iter().filter(|(_, verdict)| verdict.is_good()).count();
    if passes == verdicts.len() {
        // With no failure in n independent schedules, the rate p for which (1 - p)^n is still 5 %.
        let bound = 1.0 - 0.05_f64.powf(1.0 / passes as f64);
        println!("with 95 % confidence fewer than {:.2} % of such schedules fail", bound * 100.0);
    }
}
