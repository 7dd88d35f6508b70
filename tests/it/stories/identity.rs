//! A repository is known by GitHub's id. It may be renamed or transferred, the App may be installed
//! again, and its name may become another repository's: while a question waits, while an agent
//! works and while something waits to be said, told by a webhook or found by looking.

use std::time::Duration;

use crate::world::github::Fault;
use crate::world::{REPO, World};

const RENAMED: &str = "acme/instrument";
const TRANSFERRED: &str = "umbrella/tool";

/// An issue whose agent waits for an answer.
async fn with_a_question(w: &World) -> u64 {
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.quiet().await;
    issue
}

/// An issue whose agent works for so many seconds.
async fn at_work(w: &World, seconds: u32) -> u64 {
    let issue = w.alice().opens_issue("Long work", &format!("[scenario: slow {seconds}]")).await;
    w.alice().labels(issue, "hob").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    issue
}

/// An issue whose question cannot be asked yet: GitHub does not take it.
async fn with_a_question_unsaid(w: &World) -> u64 {
    w.github.fault("POST", "/comments", Fault::Status(502, Vec::new()), usize::MAX);
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: ask]").await;
    w.alice().labels(issue, "hob").await;
    let store = w.store();
    w.eventually("a question that waits to be asked", async || {
        let stories = store.stories().await.unwrap();
        let story = stories.first()?.id;
        store.open_question(story).await.unwrap()
    })
    .await;
    issue
}

/// What happens to the repository.
#[derive(Clone, Copy)]
enum Move {
    /// It gets another name, and no webhook tells of that.
    Renamed,
    /// It gets another name, and a webhook tells.
    RenamedAndTold,
    /// It gets another owner, and a webhook tells.
    Transferred,
}

impl Move {
    async fn happens(self, w: &World) -> &'static str {
        match self {
            Self::Renamed => {
                w.github.rename_repo(REPO, RENAMED);
                RENAMED
            }
            Self::RenamedAndTold => {
                w.github.rename_repo_and_tell(REPO, RENAMED, "renamed", "alice").await;
                RENAMED
            }
            Self::Transferred => {
                w.github.rename_repo_and_tell(REPO, TRANSFERRED, "transferred", "alice").await;
                TRANSFERRED
            }
        }
    }
}

/// One story, one branch, one pull request with the agent's one commit, and it is done.
async fn is_done_once(w: &World, issue: u64) {
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done: "), "{said}");
    w.quiet().await;
    let repo = w.repo();
    assert_eq!(w.github.pulls(&repo).len(), 1);
    assert_eq!(w.github.commits(&repo, &format!("hob/issue-{issue}")).len(), 2, "main's and the agent's");
    let stories = w.store().stories().await.unwrap();
    assert_eq!(stories.iter().map(|story| story.repo.to_string()).collect::<Vec<_>>(), [repo]);
}

async fn an_answer_after(w: World, moved: Move) {
    let issue = with_a_question(&w).await;
    moved.happens(&w).await;
    w.bob().comments(issue, "one array").await;
    let pull = w.next_pull_request().await;
    let file = w.github.file_at(&w.repo(), &pull.head, "json-output.md").expect("the agent's file");
    assert!(file.contains("one array") && file.contains("session: resumed, workspace: kept"), "{file}");
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_answer_after_a_rename_that_only_it_tells_of_goes_on_with_the_same_session() {
    an_answer_after(World::start().await, Move::Renamed).await;
}

#[tokio::test]
async fn an_answer_after_a_transfer_goes_on_with_the_same_session() {
    an_answer_after(World::start().await, Move::Transferred).await;
}

#[tokio::test]
async fn an_answer_after_a_rename_is_found_by_looking() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    an_answer_after(w, Move::Renamed).await;
}

async fn work_under_way_at(w: World, moved: Move) {
    let issue = at_work(&w, 4).await;
    let now = moved.happens(&w).await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.head, format!("hob/issue-{issue}"));
    is_done_once(&w, issue).await;
    // Nobody has said anything since, so that the name was learned from GitHub's answers.
    w.bob().comments(issue, "/hob work more [scenario: hang]").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.bob().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @bob asked.**"), "{said}");
    assert_eq!(w.store().stories().await.unwrap().len(), 1, "{now} is the repository that it was");
    w.finish().await;
}

#[tokio::test]
async fn work_under_way_at_a_rename_arrives_and_later_work_can_be_stopped() {
    work_under_way_at(World::start().await, Move::Renamed).await;
}

#[tokio::test]
async fn work_under_way_at_a_transfer_arrives_and_later_work_can_be_stopped() {
    work_under_way_at(World::start().await, Move::Transferred).await;
}

#[tokio::test]
async fn work_under_way_at_a_rename_arrives_where_hob_looks_by_itself() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    work_under_way_at(w, Move::Renamed).await;
}

async fn a_question_unsaid_at(w: World, moved: Move) {
    let issue = with_a_question_unsaid(&w).await;
    moved.happens(&w).await;
    w.github.end_faults();
    let asked = w.next_comment(issue).await.body;
    assert!(asked.contains("json"), "{asked}");
    w.quiet().await;
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn what_waits_to_be_said_at_a_rename_is_said_once() {
    a_question_unsaid_at(World::start().await, Move::RenamedAndTold).await;
}

#[tokio::test]
async fn what_waits_to_be_said_at_a_transfer_is_said_once_where_hob_looks_by_itself() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    w.start_hob().await;
    a_question_unsaid_at(w, Move::Transferred).await;
}

#[tokio::test]
async fn a_delivery_with_the_old_name_that_comes_late_is_about_the_same_repository() {
    let mut w = World::start().await;
    let issue = with_a_question(&w).await;
    w.stop_hob().await;
    w.bob().comments(issue, "one array").await;
    let late = w.github.deliveries().pop().expect("the delivery that nobody took");
    w.start_hob().await;
    w.quiet().await;
    w.github.rename_repo_and_tell(REPO, RENAMED, "renamed", "alice").await;
    w.quiet_deliveries().await;
    w.github.redeliver(&late.guid).await;
    w.quiet_deliveries().await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    let known = w.store().repositories().await.unwrap();
    assert_eq!(known.iter().map(|known| known.repo.to_string()).collect::<Vec<_>>(), [RENAMED]);
    w.finish().await;
}

// The App, installed again.

async fn with_app() -> World {
    let mut w = World::prepare_app(|_| {}).await;
    w.start_hob().await;
    w
}

#[tokio::test]
async fn an_answer_after_the_app_was_installed_anew_goes_on() {
    let w = with_app().await;
    let issue = with_a_question(&w).await;
    w.github.reinstall_app();
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn work_under_way_arrives_though_the_app_is_installed_anew_and_nothing_tells_of_it() {
    let w = with_app().await;
    let issue = at_work(&w, 4).await;
    w.github.reinstall_app();
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn what_waits_to_be_said_is_said_though_the_app_is_installed_anew_and_the_repository_renamed() {
    let w = with_app().await;
    let issue = with_a_question_unsaid(&w).await;
    w.github.reinstall_app();
    w.github.rename_repo(REPO, RENAMED);
    w.github.end_faults();
    assert!(w.next_comment(issue).await.body.contains("json"));
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn an_app_that_looks_by_itself_goes_on_after_it_was_installed_anew() {
    let mut w = World::prepare_app(|config| config.github.poll = Some(Duration::from_millis(250))).await;
    w.start_hob().await;
    let issue = with_a_question(&w).await;
    w.github.reinstall_app();
    w.bob().comments(issue, "one array").await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

// The name becomes another repository's.

/// What else has the name afterwards.
const PRIVATE: &str = "secret-of-the-old-repository";

/// Makes another repository of the same name.
async fn replace(w: &World) {
    w.github.create_repo(REPO, &[("README.md", "# another tool\n")]).await;
    for login in ["alice", "bob"] {
        w.github.set_permission(REPO, login, "write");
    }
}

/// Nothing of hob's is in the new repository.
fn is_untouched(w: &World) {
    assert!(
        w.github.branches(REPO).iter().all(|(branch, _)| branch == "main"),
        "{:?}",
        w.github.branches(REPO)
    );
    assert!(w.github.pulls(REPO).is_empty());
    for issue in w.github.issues(REPO) {
        assert_eq!(w.written(issue).len(), 0, "#{issue}");
    }
}

/// Every object that is below the mirror of a story's repository.
async fn mirror_holds(w: &World, issue: u64, object: &str) -> bool {
    let stories = w.store().stories().await.unwrap();
    let story = stories.iter().rfind(|story| story.issue.0 == issue).expect("a story");
    let mirror = w.data().join("mirrors").join(&story.mirror);
    let git = std::process::Command::new("git")
        .arg("--git-dir")
        .arg(mirror)
        .args(["cat-file", "-e", object])
        .output();
    git.expect("git").status.success()
}

#[tokio::test]
async fn a_repository_that_was_deleted_and_made_again_has_nothing_of_the_old_one() {
    let w = World::start().await;
    let secret = w.bob().pushes("main", &[("private.txt", PRIVATE)], "Note it").await;
    let issue = with_a_question(&w).await;
    assert!(mirror_holds(&w, issue, &secret).await);
    w.github.delete_repo(REPO);
    replace(&w).await;
    // An answer to the old question, as far as its number goes.
    let same = w.alice().opens_issue("Another matter", "[scenario: work]").await;
    assert_eq!(same, issue);
    w.bob().comments(same, "one array").await;
    w.quiet_deliveries().await;
    w.eventually("the old story to be put away", async || {
        let old = w.store().stories().await.unwrap().remove(0);
        (old.is_gone && w.store().open_task_of(old.id).await.unwrap().is_none()).then_some(())
    })
    .await;
    is_untouched(&w);
    w.alice().labels(same, "hob").await;
    w.github.until("a pull request", Duration::from_secs(60), |github| github.pulls(REPO).pop()).await;
    w.quiet().await;
    let stories = w.store().stories().await.unwrap();
    assert_eq!(stories.len(), 2, "a story of its own");
    assert_ne!(stories[0].mirror, stories[1].mirror);
    assert!(!mirror_holds(&w, same, &secret).await, "objects of the old repository");
    assert!(w.said(same)[0].body.starts_with("Done: "));
    w.finish().await;
}

#[tokio::test]
async fn an_agent_at_work_for_a_repository_whose_name_another_one_has_now_is_stopped_and_nothing_is_pushed() {
    let w = World::start().await;
    let issue = at_work(&w, 6).await;
    w.github.delete_repo(REPO);
    replace(&w).await;
    w.alice().opens_issue("Another matter", "").await;
    w.alice().comments(issue, "/hob status").await;
    w.eventually("the old story to be put away", async || {
        let old = w.store().stories().await.unwrap().remove(0);
        (old.is_gone && w.store().open_task_of(old.id).await.unwrap().is_none()).then_some(())
    })
    .await;
    w.next_comment(issue).await;
    assert!(w.github.branches(REPO).iter().all(|(branch, _)| branch == "main"));
    assert!(w.github.pulls(REPO).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn what_was_renamed_goes_on_beside_what_has_its_name_now() {
    let w = World::start().await;
    let issue = with_a_question(&w).await;
    w.github.rename_repo(REPO, RENAMED);
    replace(&w).await;
    let other = w.github.open_issue(REPO, "alice", "Another matter", "[scenario: work]").await;
    w.github.label_issue(REPO, other, "alice", "hob").await;
    w.github.until("a pull request", Duration::from_secs(60), |github| github.pulls(REPO).pop()).await;
    w.github.comment(RENAMED, issue, "bob", "one array").await;
    let pull =
        w.github.until("a pull request", Duration::from_secs(60), |github| github.pulls(RENAMED).pop()).await;
    assert!(w.github.file_at(RENAMED, &pull.head, "json-output.md").expect("a file").contains("one array"));
    w.quiet().await;
    let stories = w.store().stories().await.unwrap();
    let mut repos: Vec<String> = stories.iter().map(|story| story.repo.to_string()).collect();
    repos.sort();
    assert_eq!(repos, [RENAMED, REPO]);
    assert_eq!(w.github.pulls(REPO).len(), 1);
    assert!(w.said(other)[0].body.starts_with("Done: "));
    w.finish().await;
}

#[tokio::test]
async fn work_under_way_goes_to_what_was_renamed_and_not_to_what_has_its_name_now() {
    let w = World::start().await;
    at_work(&w, 4).await;
    w.github.rename_repo(REPO, RENAMED);
    replace(&w).await;
    w.github.until("a pull request", Duration::from_secs(60), |github| github.pulls(RENAMED).pop()).await;
    w.quiet().await;
    is_untouched(&w);
    w.finish().await;
}

#[tokio::test]
async fn what_waits_to_be_said_is_not_said_in_what_has_the_name_now() {
    for poll in [false, true] {
        let mut w =
            if poll { World::prepare_without_webhook(|_| {}).await } else { World::prepare(|_| {}).await };
        w.start_hob().await;
        let issue = with_a_question_unsaid(&w).await;
        w.github.delete_repo(REPO);
        replace(&w).await;
        assert_eq!(w.alice().opens_issue("Another matter", "").await, issue);
        w.github.end_faults();
        w.bob().comments(issue, "nothing for hob").await;
        w.quiet().await;
        w.eventually("the old story to be put away", async || {
            w.store().stories().await.unwrap().remove(0).is_gone.then_some(())
        })
        .await;
        w.quiet().await;
        assert_eq!(w.written(issue).len(), 0);
        w.finish().await;
    }
}

// People.

#[tokio::test]
async fn somebody_who_has_another_login_since_is_who_they_were() {
    let mut w = World::start().await;
    let issue = with_a_question(&w).await;
    w.stop_hob().await;
    w.bob().comments(issue, "one array").await;
    let late = w.github.deliveries().pop().expect("the delivery that nobody took");
    w.github.rename_user("bob", "robert");
    w.start_hob().await;
    w.github.redeliver(&late.guid).await;
    w.next_pull_request().await;
    is_done_once(&w, issue).await;
    w.finish().await;
}

#[tokio::test]
async fn hobs_own_account_is_itself_under_another_login() {
    for (app, from, to) in [(false, "hob-bot", "hob-machine"), (true, "hob[bot]", "hob-at-work[bot]")] {
        let w = if app { with_app().await } else { World::start().await };
        let issue = with_a_question(&w).await;
        w.github.rename_own_account(from, to);
        // What hob says now is its own, though a deadline, a person or a lost answer has it look at
        // the list again.
        w.github.fault("POST", &format!("/issues/{issue}/comments"), Fault::AnswerLost, 1);
        w.alice().comments(issue, "/hob help").await;
        let help = w.next_comment(issue).await.body;
        assert!(help.contains("/hob work"), "{help}");
        w.bob().comments(issue, "one array").await;
        w.next_pull_request().await;
        is_done_once(&w, issue).await;
        let written = w.github.requests().into_iter();
        let written =
            written.filter(|r| r.method == "POST" && r.path.ends_with(&format!("/issues/{issue}/comments")));
        // The status comment, the question and the help.
        assert_eq!(written.count(), 3);
        w.finish().await;
    }
}

#[tokio::test]
async fn a_login_that_is_somebody_elses_now_gives_nobody_the_right_to_command() {
    let mut w = World::start().await;
    let issue = w.alice().opens_issue("Add a --json flag", "[scenario: work]").await;
    w.quiet().await;
    w.stop_hob().await;
    // Mallory may only read, gives the login up, and somebody takes it who may push.
    w.mallory().comments(issue, "/hob work").await;
    let late = w.github.deliveries().pop().expect("the delivery that nobody took");
    w.github.reuse_login(REPO, "mallory", "write");
    w.start_hob().await;
    w.github.redeliver(&late.guid).await;
    w.quiet_deliveries().await;
    w.quiet().await;
    assert!(w.store().stories().await.unwrap().is_empty());
    assert!(w.github.pulls(REPO).is_empty());
    w.mallory().comments(issue, "/hob work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn only_who_asked_may_answer_whatever_they_and_others_are_called() {
    let w = World::with(|config| config.questions.who = hob::config::WhoAnswers::Asker).await;
    let issue = with_a_question(&w).await;
    w.github.rename_user("alice", "alicia");
    w.github.reuse_login(REPO, "alice", "write");
    w.alice().comments(issue, "in somebody else's name").await;
    w.quiet_deliveries().await;
    w.github.comment(REPO, issue, "alicia", "one array").await;
    let pull = w.next_pull_request().await;
    assert!(w.github.file_at(REPO, &pull.head, "json-output.md").expect("a file").contains("one array"));
    is_done_once(&w, issue).await;
    w.finish().await;
}
