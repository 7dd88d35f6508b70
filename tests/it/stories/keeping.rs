//! What is kept and for how long: work is never lost to age or size, the disk does not fill up, and
//! a story that waits or works loses nothing until its patience ends, which is said before.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::world::{REPO, World};
use hob::config::{Age, ByteSize, Config};
use hob::ids::{Repo, StoryId};
use hob::paths::used_space;

/// A sweep after which everything that can go at once has gone.
const OFTEN: Duration = Duration::from_millis(200);

/// Commits and leaves work uncommitted, then fails.
const HALF_DONE: &str = "echo one > one.txt; git add -A; git commit -qm 'Add one'\n\
                         echo two > two.txt; exit 3";

async fn with(change: impl FnOnce(&mut Config)) -> World {
    World::with(|config| {
        config.work.sweep = OFTEN;
        change(config);
    })
    .await
}

/// Plays an issue with a scenario up to hob's first comment; tells the issue and its folder.
async fn played(w: &World, body: &str) -> (u64, PathBuf) {
    let issue = w.alice().opens_issue("Some work", "").await;
    w.alice().comments(issue, &format!("/hob work {body}")).await;
    w.next_comment(issue).await;
    (issue, folder(w, issue).await)
}

fn script(text: &str) -> String {
    format!("[scenario: script]\n```sh\n{text}\n```")
}

async fn story(w: &World, issue: u64) -> hob::story::Story {
    let repo: Repo = REPO.parse().unwrap();
    w.store().story_at(&repo, hob::ids::IssueNumber(issue)).await.unwrap().expect("a story")
}

async fn folder(w: &World, issue: u64) -> PathBuf {
    w.data().join("stories").join(story(w, issue).await.id.to_string())
}

async fn gone(w: &World, path: &Path) {
    w.eventually("a folder to go", async || (!path.exists()).then_some(())).await;
}

/// The folders of the runs of an issue.
async fn records(w: &World, issue: u64) -> Vec<PathBuf> {
    let mut records = Vec::new();
    for task in w.store().tasks_of(story(w, issue).await.id).await.unwrap() {
        let runs = w.store().runs_of(&task).await.unwrap();
        records.extend(runs.iter().map(|run| w.data().join("runs").join(run.id.to_string())));
    }
    records
}

/// What a story holds on to in the mirror.
fn pins(w: &World, story: StoryId) -> usize {
    let mirror = w.mirror(REPO);
    std::fs::read_dir(mirror.join("refs/hob/stories").join(story.to_string())).into_iter().flatten().count()
}

fn subjects(w: &World, branch: &str) -> Vec<String> {
    let commits = w.github.commits(REPO, branch).into_iter();
    commits.map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn settled_deliveries_are_forgotten_and_those_of_open_tasks_are_not() {
    let w = with(|config| config.keep.deliveries = Age(Duration::ZERO)).await;
    let (waiting, _) = played(&w, "[scenario: ask]").await;
    let deliveries = w.github.deliveries();
    let asked = deliveries.iter().find(|delivery| delivery.event == "issue_comment").expect("the command");
    let guids: Vec<&str> = deliveries.iter().map(|delivery| delivery.guid.as_str()).collect();
    let store = w.store();
    w.eventually("the other deliveries to be forgotten", async || {
        let mut kept = Vec::new();
        for guid in &guids {
            if store.has_delivery(guid).await.unwrap() {
                kept.push(*guid);
            }
        }
        (kept == [asked.guid.as_str()]).then_some(())
    })
    .await;

    w.alice().comments(waiting, "one array").await;
    w.next_pull_request().await;
    w.next_comment(waiting).await;
    w.eventually("the command to be forgotten", async || {
        (!store.has_delivery(&asked.guid).await.unwrap()).then_some(())
    })
    .await;
    // It comes again all the same, and leads to nothing.
    assert_eq!(w.github.redeliver(&asked.guid).await, 202);
    w.quiet().await;
    assert_eq!(w.store().tasks_of(story(&w, waiting).await.id).await.unwrap().len(), 1);
    w.finish().await;
}

#[tokio::test]
async fn records_of_runs_go_when_they_are_old_and_never_those_of_a_story_that_waits() {
    let w = with(|config| config.keep.runs = Age(Duration::from_millis(1))).await;
    let (waiting, _) = played(&w, "[scenario: ask]").await;
    let (done, _) = played(&w, "[scenario: work]").await;
    w.quiet().await;
    gone(&w, &records(&w, done).await[0]).await;
    assert!(records(&w, waiting).await[0].join("run.json").exists());

    w.alice().comments(waiting, "one array").await;
    w.next_comment(waiting).await;
    for record in records(&w, waiting).await {
        gone(&w, &record).await;
    }
    w.finish().await;
}

#[tokio::test]
async fn records_that_take_up_too_much_go_oldest_first() {
    let mut w = World::start().await;
    let (first, _) = played(&w, "[scenario: work]").await;
    let (second, _) = played(&w, "[scenario: work]").await;
    w.quiet().await;
    let (first, second) = (records(&w, first).await.remove(0), records(&w, second).await.remove(0));
    w.stop_hob().await;
    w.config.keep.runs_size = ByteSize(used_space(&first) + used_space(&second) - 1);
    w.start_hob().await;
    gone(&w, &first).await;
    w.stop_hob().await;
    assert!(second.join("run.json").exists());
    w.finish().await;
}

#[tokio::test]
async fn folders_of_a_story_on_which_nothing_happens_go_with_its_session_and_what_they_borrowed() {
    let w = with(|config| config.keep.workspaces = Age(Duration::from_millis(1))).await;
    let (waiting, kept) = played(&w, "[scenario: ask]").await;
    let (done, folder) = played(&w, "[scenario: work]").await;
    gone(&w, &folder).await;
    w.eventually("the session to be forgotten", async || {
        story(&w, done).await.session.is_none().then_some(())
    })
    .await;
    assert_eq!(pins(&w, story(&w, done).await.id), 0);
    assert!(
        kept.join("workspace").exists() && kept.join("home").exists(),
        "a story that waits lost something"
    );
    assert!(pins(&w, story(&w, waiting).await.id) > 0 && story(&w, waiting).await.session.is_some());

    // Both go on, one in its session, the other in a new one.
    w.alice().comments(waiting, "one array").await;
    w.next_comment(waiting).await;
    let file = w.github.file_at(REPO, &format!("hob/issue-{waiting}"), "json-output.md").expect("a file");
    assert!(file.contains("session: resumed, workspace: kept\nhome: kept"), "{file}");
    w.alice().comments(done, "/hob work [scenario: work]").await;
    assert!(w.next_comment(done).await.body.starts_with("Done: "));
    w.finish().await;
}

#[tokio::test]
async fn work_that_was_not_pushed_is_pushed_before_its_workspace_goes() {
    let mut w = with(|_| {}).await;
    let (issue, folder) = played(&w, &script(HALF_DONE)).await;
    // A task that is done without a run changes nothing about what is kept.
    w.alice().comments(issue, "/hob rebase").await;
    w.quiet().await;
    let told = w.status(issue).expect("a status comment").body;
    assert!(told.starts_with("**Nothing to do:**"), "{told}");
    w.stop_hob().await;
    w.config.keep.workspaces = Age(Duration::from_millis(1));
    w.start_hob().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**I have removed my workspace** to save space,"), "{said}");
    assert!(said.contains("is on the branch `hob/issue-1`: 2 commits, the last of them, `WIP`"), "{said}");
    assert_eq!(subjects(&w, "hob/issue-1")[..2], ["WIP: workspace removed after a long silence", "Add one"]);
    assert_eq!(w.github.file_at(REPO, "hob/issue-1", "two.txt").as_deref(), Some("two\n"));
    gone(&w, &folder).await;
    assert_eq!(pins(&w, story(&w, issue).await.id), 0);
    let draft = w.github.pulls(REPO).remove(0);
    assert!(draft.draft && draft.body.contains("Nothing has happened on it for a while."), "{draft:?}");

    w.alice().comments(issue, "/hob work [scenario: work]").await;
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2 has 3 commits"));
    w.finish().await;
}

#[tokio::test]
async fn work_that_cannot_be_pushed_is_kept_for_twice_as_long() {
    let age = Duration::from_secs(3);
    let w = with(|config| config.keep.workspaces = Age(age)).await;
    let (issue, folder) =
        played(&w, &script(&format!("printf '%s' \"$ANTHROPIC_API_KEY\" > key.txt\n{HALF_DONE}"))).await;
    let failed = Instant::now();
    gone(&w, &folder).await;
    assert!(failed.elapsed() >= age * 2 - Duration::from_secs(1), "it went after {:?}", failed.elapsed());
    assert!(w.github.commits(REPO, &format!("hob/issue-{issue}")).is_empty(), "a secret was pushed");
    assert!(story(&w, issue).await.session.is_none());
    w.finish().await;
}

#[tokio::test]
async fn folders_that_take_up_too_much_go_and_never_those_of_a_story_that_waits() {
    let mut w = World::start().await;
    let (waiting, kept) = played(&w, "[scenario: ask]").await;
    let (older, older_folder) = played(&w, &script(HALF_DONE)).await;
    let (_, newer_folder) = played(&w, "[scenario: work]").await;
    w.quiet().await;
    w.stop_hob().await;
    let sizes = [&kept, &older_folder, &newer_folder].map(|folder| used_space(folder));
    w.config.keep.workspaces_size = ByteSize(sizes.iter().sum::<u64>() - 1);
    w.config.work.sweep = OFTEN;
    w.start_hob().await;
    // The waiting one is the longest untouched, but it is the next one that goes, and its work
    // before it.
    let said = w.next_comment(older).await.body;
    assert!(said.starts_with("**I have removed my workspace**"), "{said}");
    gone(&w, &older_folder.join("workspace")).await;
    w.stop_hob().await;
    assert!(kept.join("workspace").exists() && newer_folder.join("home").exists());
    assert_eq!(subjects(&w, &format!("hob/issue-{older}")).len(), 3);

    w.config.keep.workspaces_size = ByteSize(1);
    w.start_hob().await;
    gone(&w, &older_folder).await;
    gone(&w, &newer_folder).await;
    w.alice().comments(waiting, "one array").await;
    w.next_comment(waiting).await;
    let file = w.github.file_at(REPO, &format!("hob/issue-{waiting}"), "json-output.md").expect("a file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    w.finish().await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_given_up_after_a_notice_and_its_work_is_pushed() {
    let w = with(|config| {
        config.keep.waiting = Age(Duration::from_secs(3));
        config.keep.notice = Age(Duration::from_secs(2));
    })
    .await;
    let (issue, _) = played(&w, "[scenario: ask]").await;
    let asked = Instant::now();
    let notice = w.next_comment(issue).await.body;
    let told = Instant::now();
    assert!(notice.starts_with("**I am still waiting for an answer to my question,**"), "{notice}");
    assert!(notice.contains("Any answer keeps it."), "{notice}");
    assert!(w.github.commits(REPO, "hob/issue-1").is_empty(), "it was pushed before its time");
    let said = w.next_comment(issue).await.body;
    assert!(asked.elapsed() >= Duration::from_secs(2) && told.elapsed() >= Duration::from_secs(1));
    assert!(said.starts_with("**I stopped waiting for an answer.** The agent's work is on"), "{said}");
    assert!(said.contains("`/hob work …`, with your answer, continues from there."), "{said}");
    assert_eq!(subjects(&w, "hob/issue-1")[0], "WIP: waited too long for an answer");
    w.quiet().await;
    let tasks = w.store().tasks_of(story(&w, issue).await.id).await.unwrap();
    assert_eq!(tasks[0].state, hob::story::TaskState::Cancelled);

    // A comment is no answer any more, which is said; the command that is named goes on in the same
    // session.
    w.alice().comments(issue, "one array").await;
    w.quiet().await;
    assert!(w.next_comment(issue).await.body.starts_with("No agent is at work here"));
    w.alice().comments(issue, "/hob work one array [scenario: ask]").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(REPO, &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_answer_after_the_notice_counts_and_the_next_question_has_its_own_time() {
    // The notice comes after one second, the end an hour later.
    let w = with(|config| {
        config.keep.waiting = Age(Duration::from_secs(3601));
        config.keep.notice = Age(Duration::from_secs(3600));
    })
    .await;
    let (issue, _) = played(&w, "[scenario: ask-twice]").await;
    assert!(w.next_comment(issue).await.body.starts_with("**I am still waiting"));
    w.alice().comments(issue, "one array").await;
    assert!(w.next_comment(issue).await.body.starts_with("**I have a question"));
    assert!(
        w.next_comment(issue).await.body.starts_with("**I am still waiting"),
        "nobody is told twice at once"
    );
    w.alice().comments(issue, "/hob work yes").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, "json-output.md").is_some());
    w.next_comment(issue).await;

    // Of a question on the pull request people are told there.
    let script = "[scenario: script]\n\n```sh\ntest -e $HOME/asked || {\n\
                  touch $HOME/asked; echo '{\"question\": \"Which?\"}' >/hob/question.json\n}\n```";
    w.bob().comments(pull.number, &format!("Which?\n\n{script}")).await;
    assert!(w.next_comment(pull.number).await.body.starts_with("**I have a question"));
    assert!(w.next_comment(pull.number).await.body.starts_with("**I am still waiting"));
    w.bob().comments(pull.number, "one array").await;
    let answered = w.next_comment(pull.number).await.body;
    assert!(answered.starts_with("> **bob:** Which?"), "{answered}");
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn what_a_hob_that_died_has_left_behind_is_removed_and_what_is_needed_is_not() {
    let secrets = tempfile::tempdir().unwrap();
    let mut w = World::with(|config| config.container.secrets_dir = secrets.path().to_owned()).await;
    let (waiting, kept) = played(&w, "[scenario: ask]").await;
    let (done, folder) = played(&w, "[scenario: work]").await;
    w.quiet().await;
    let record = records(&w, done).await.remove(0);
    let run = record.file_name().unwrap().to_str().unwrap().to_owned();
    w.stop_hob().await;

    let unknown = "01890000-0000-7000-8000-000000000000";
    let keys_of = |run: &str| secrets.path().join(format!("hob-{run}"));
    let left = [
        w.data().join("stories").join(unknown),
        w.data().join("stories").join(format!("{unknown}.gone")),
        w.data().join("runs").join(unknown),
        folder.join("workspace"),
        folder.join("workspace.gone"),
        folder.join("workspace.new"),
        folder.join("home.new"),
        record.join("quarantine.git"),
        record.with_extension("gone"),
        keys_of(&run),
    ];
    for path in &left {
        std::fs::create_dir_all(path.join("deep")).unwrap();
    }
    std::fs::write(record.join("hand-over.bundle"), "half").unwrap();
    std::fs::create_dir(keys_of(unknown)).unwrap();

    w.start_hob().await;
    for path in &left {
        gone(&w, path).await;
    }
    gone(&w, &record.join("hand-over.bundle")).await;
    assert!(keys_of(unknown).exists(), "the keys of another hob's run were removed");
    assert!(record.join("run.json").exists() && folder.join("home").exists());
    assert!(kept.join("workspace").exists());
    w.alice().comments(waiting, "one array").await;
    w.next_comment(waiting).await;
    w.finish().await;
}

#[cfg(feature = "fail-points")]
#[tokio::test]
async fn a_clock_that_jumps_a_year_ahead_takes_nothing_from_a_story_that_waits_and_loses_no_work() {
    let w = World::prepare(|config| config.work.sweep = OFTEN).await;
    let clock = w.folder().join("clock");
    let hob = w.start_program_under(&["env", &format!("HOB_CLOCK_SHIFT={}", clock.display())]).await;
    let waiting = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(waiting, "hob").await;
    w.next_comment(waiting).await;
    let failed = w.alice().opens_issue("Some work", "").await;
    w.alice().comments(failed, &format!("/hob work {}", script(HALF_DONE))).await;
    w.next_comment(failed).await;

    std::fs::write(&clock, (400 * 24 * 3600).to_string()).unwrap();
    assert!(w.next_comment(waiting).await.body.starts_with("**I am still waiting for an answer"));
    assert!(w.next_comment(failed).await.body.starts_with("**I have removed my workspace**"));
    let branch = format!("hob/issue-{failed}");
    assert_eq!(subjects(&w, &branch)[..2], ["WIP: workspace removed after a long silence", "Add one"]);
    // The other one's folders go, so a sweep has come by since.
    let stories = w.data().join("stories");
    w.eventually("one of two folders to go", async || {
        (std::fs::read_dir(&stories).unwrap().count() == 1).then_some(())
    })
    .await;
    w.alice().comments(waiting, "one array").await;
    w.next_comment(waiting).await;
    let file = w.github.file_at(REPO, &format!("hob/issue-{waiting}"), "json-output.md").expect("a file");
    assert!(file.contains("session: resumed, workspace: kept"), "{file}");
    assert_eq!(hob.terminate().await, Some(0));
    w.finish().await;
}
