//! Commands: each in use, and what GitHub, git and the disk hold afterwards. Who may give them is
//! in `roles.rs`, what each leads to in every position in the tests of `src/intake/decide.rs`.

use std::path::PathBuf;

use hob::command::TABLE;

use crate::world::{BOT, REPO, World};

const BRANCH: &str = "hob/issue-1";

fn story_folder(w: &World) -> Option<PathBuf> {
    let folders = std::fs::read_dir(w.data().join("stories")).ok()?.flatten();
    folders.map(|folder| folder.path()).next()
}

/// Sessions of the runs so far, in the order of time.
fn sessions(w: &World) -> Vec<Option<String>> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(w.data().join("runs")).unwrap().flatten().map(|run| run.path()).collect();
    folders.sort();
    let read = |folder: &PathBuf| std::fs::read_to_string(folder.join("run.json")).expect("a record");
    let record = |text: String| serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    let session = |record: serde_json::Value| record["end"]["session"].as_str().map(str::to_owned);
    folders.iter().map(|folder| session(record(read(folder)))).collect()
}

fn has_eyes(w: &World, issue: u64, comment: u64) -> bool {
    let comments = w.github.comments(REPO, issue);
    let found = comments.iter().find(|found| found.id == comment).expect("the comment");
    found.reactions.contains(&(BOT.to_owned(), "eyes".to_owned()))
}

fn script(command: &str, script: &str) -> String {
    format!("/hob {command} [scenario: script]\n```sh\n{script}\n```")
}

/// Has an agent run a script that then goes on for ever, and stops it.
async fn stopped_at_work(w: &World, issue: u64, lines: &str) {
    let command = script("work", &format!("{lines}\ntouch /hob/so-far; sleep 600"));
    w.alice().comments(issue, &command).await;
    w.eventually("the agent to get so far", async || {
        story_folder(w).is_some_and(|story| story.join("exchange/so-far").exists()).then_some(())
    })
    .await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    w.quiet().await;
}

#[tokio::test]
async fn a_plan_changes_nothing_is_amended_in_words_and_carried_out_in_the_same_session() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "[scenario: plan]").await;
    let command = w.alice().comments(issue, "/hob plan in small steps").await;
    let asked = w.next_comment(issue).await.body;
    assert!(asked.contains("May I carry out this plan?\n\n1. Write `plan.md`"), "{asked}");
    assert!(asked.contains("Writing now was refused, committing was refused."), "{asked}");
    assert!(has_eyes(&w, issue, command));

    w.bob().comments(issue, "Go over it again: leave out the tests.").await;
    let again = w.next_comment(issue).await.body;
    assert!(again.contains("as I was told: Go over it again: leave out the tests."), "{again}");
    assert!(again.contains("Writing now was refused"), "{again}");
    w.quiet().await;
    assert!(
        w.github.commits(REPO, BRANCH).is_empty() && w.github.pulls(REPO).is_empty(),
        "a plan was pushed"
    );

    w.alice().comments(issue, "/hob go but use tabs").await;
    let pull = w.next_pull_request().await;
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with(&format!("Done: #{} has 1 commit", pull.number)), "{done}");
    let written = w.github.file_at(REPO, BRANCH, "plan.md").expect("the plan carried out");
    assert!(written.contains("/hob go but use tabs") && written.contains("session: resumed"), "{written}");
    assert!(pull.body.contains("Carried out the plan"), "the plan is no summary: {}", pull.body);
    let sessions = sessions(&w);
    assert!(sessions.len() == 3 && sessions.iter().all(|s| s.is_some() && *s == sessions[0]), "{sessions:?}");
    w.finish().await;
}

#[tokio::test]
async fn a_question_while_planning_is_a_question_and_planning_goes_on() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "[scenario: plan-ask]").await;
    w.alice().comments(issue, "/hob plan").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("Which shape should the output have?"), "{question}");
    // No plan is agreed to by it.
    w.alice().comments(issue, "yes").await;
    let plan = w.next_comment(issue).await.body;
    assert!(
        plan.contains("May I carry out this plan?") && plan.contains("Writing now was refused"),
        "{plan}"
    );
    w.alice().comments(issue, "Yes!").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_plan_is_not_set_up_for_and_can_be_stopped() {
    let w = World::with(|config| {
        let repository = config.repositories.entry(REPO.to_owned()).or_default();
        repository.setup = Some("touch set-up.txt".to_owned());
    })
    .await;
    let issue = w.alice().opens_issue("Add a flag", "[scenario: plan]").await;
    w.alice().comments(issue, "/hob plan").await;
    let asked = w.next_comment(issue).await.body;
    assert!(asked.contains("May I carry out this plan?"), "{asked}");
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("**Stopped, as @alice asked.**"), "{said}");
    w.quiet().await;
    assert!(w.github.commits(REPO, BRANCH).is_empty() && w.github.pulls(REPO).is_empty());
    w.alice().comments(issue, "/hob go").await;
    let none = w.next_comment(issue).await.body;
    assert!(none.starts_with("No plan waits here for approval."), "{none}");
    w.finish().await;
}

#[tokio::test]
async fn a_retry_asks_again_for_what_failed_with_the_same_words_in_the_same_session() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Do it", "").await;
    // Fails the first time, and finds in the workspace that it was there.
    let lines = "if [ ! -e before ]; then touch before; exit 5; fi; rm before\n\
                 echo one > one.txt; git add -A; git commit -qm 'Add one'";
    w.alice().comments(issue, &script("work --model claude-other", lines)).await;
    let failed = w.next_comment(issue).await.body;
    assert!(failed.starts_with("**The agent ended with an error.**"), "{failed}");
    let retry = w.bob().comments(issue, "/hob retry").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert!(has_eyes(&w, issue, retry));
    // Who has it tried again is not who asked for it.
    assert!(pull.body.contains("Asked for by @alice"), "{}", pull.body);
    let asks = asks(&w, issue).await;
    assert_eq!(asks[0].text, asks[1].text);
    assert_eq!(asks[1].choice.model.as_deref(), Some("claude-other"));
    let sessions = sessions(&w);
    assert!(sessions[0].is_some() && sessions[0] == sessions[1], "another session: {sessions:?}");

    w.alice().comments(issue, "/hob retry").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Nothing to continue"), "{said}");
    w.finish().await;
}

async fn asks(w: &World, issue: u64) -> Vec<hob::story::TaskRequest> {
    let repo = REPO.parse().expect("a repository");
    let story = w.store().story_at(&repo, hob::ids::IssueNumber(issue)).await.unwrap().expect("a story");
    w.store().asks_of(story.id).await.unwrap()
}

#[tokio::test]
async fn a_resume_goes_on_from_a_stop_in_the_same_session_with_the_text() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Long work", "").await;
    stopped_at_work(&w, issue, "echo one > one.txt").await;
    w.alice()
        .comments(issue, &script("resume", "cat one.txt one.txt > two.txt; git add -A; git commit -qm Two"))
        .await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(w.github.file_at(REPO, BRANCH, "two.txt").as_deref(), Some("one\none\n"));
    let sessions = sessions(&w);
    assert!(sessions[0].is_some() && sessions[0] == sessions[1], "another session: {sessions:?}");
    w.finish().await;
}

#[tokio::test]
async fn a_resume_answers_a_question_and_without_words_leaves_it_to_the_agent() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "[scenario: ask-twice]").await;
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob resume an array").await;
    w.next_comment(issue).await;
    w.alice().comments(issue, "/hob resume").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    let written = w.github.file_at(REPO, BRANCH, "json-output.md").expect("the answer");
    assert!(written.contains("an array") && written.contains("Decide yourself, and go on."), "{written}");
    w.finish().await;
}

#[tokio::test]
async fn a_base_is_where_the_pull_request_goes_and_stays_once_it_is_open() {
    let w = World::start().await;
    w.alice().pushes("release/1", &[("RELEASE", "1\n")], "Begin a release").await;
    let issue = w.alice().opens_issue("Fix it there", "").await;
    w.alice().comments(issue, "/hob work --base nowhere [scenario: work]").await;
    let failed = w.next_comment(issue).await.body;
    assert!(failed.contains("The repository has no branch `nowhere` to start from."), "{failed}");
    w.alice().comments(issue, "/hob work --base release/1 [scenario: work]").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(pull.base, "release/1");
    assert_eq!(w.github.file_at(REPO, BRANCH, "RELEASE").as_deref(), Some("1\n"));

    let command = w.alice().comments(pull.number, "/hob work --base main [scenario: work]").await;
    let stays = w.next_comment(pull.number).await.body;
    assert!(stays.starts_with(&format!("#{} goes to `release/1` already", pull.number)), "{stays}");
    // Reactions come after what people wait for.
    w.until("the eyes", |_| has_eyes(&w, pull.number, command).then_some(())).await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    assert_eq!(pull.base, "release/1");
    w.finish().await;
}

#[tokio::test]
async fn a_base_has_any_name_that_git_takes() {
    let w = World::start().await;
    for base in ["release(2.x)", "users/@alice/next", "wip/a&b", "a\"b'$x;`y|<z>"] {
        w.bob().pushes(base, &[("b.md", "x\n")], "A base").await;
        let issue = w.alice().opens_issue("Elsewhere", "").await;
        w.alice().comments(issue, &format!("/hob work --base {base} [scenario: work]")).await;
        let pull = w.next_pull_request().await;
        let said = w.next_comment(issue).await.body;
        assert!(said.starts_with("Done") && pull.base == base, "{base}: {said}");
        w.quiet().await;
    }
    let issue = w.alice().opens_issue("Nowhere", "").await;
    w.alice().comments(issue, "/hob work --base a`b [scenario: work]").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("The repository has no branch `a'b` to start from."), "{said}");
    w.finish().await;
}

#[tokio::test]
async fn status_and_help_are_told_where_they_were_asked_for() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "[scenario: ask]").await;
    w.alice().comments(issue, "/hob status").await;
    let nothing = w.next_comment(issue).await.body;
    assert!(
        nothing.starts_with("Nothing is under way here, and nothing was. `/hob work` starts"),
        "{nothing}"
    );
    w.alice().labels(issue, "hob").await;
    w.next_comment(issue).await;
    let asked = w.bob().comments(issue, "/hob status").await;
    let waiting = w.next_comment(issue).await.body;
    assert!(waiting.starts_with("**Waiting for you** for "), "{waiting}");
    w.quiet().await;
    assert!(has_eyes(&w, issue, asked));
    w.bob().comments(issue, "/hob help").await;
    let help = w.next_comment(issue).await.body;
    assert!(TABLE.iter().all(|row| help.contains(&format!("| `{}` | {}", row.usage, row.does))), "{help}");

    w.alice().comments(issue, "an array").await;
    let pull = w.next_pull_request().await;
    w.next_comment(issue).await;
    w.alice().comments(pull.number, "/hob status").await;
    let done = w.next_comment(pull.number).await.body;
    assert!(
        done.starts_with("**Done** ") && done.contains(&format!("Pull request: #{}.", pull.number)),
        "{done}"
    );
    w.finish().await;
}

#[tokio::test]
async fn what_is_only_shown_or_edited_in_is_no_command_and_an_unknown_one_is_helped_once() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "").await;
    for shown in ["> /hob work", "```\n/hob work\n```", "<!--\n/hob work\n-->"] {
        w.alice().comments(issue, shown).await;
    }
    w.quiet().await;
    assert!(asks_of_nobody(&w, issue).await && w.said(issue).is_empty());
    w.alice().comments(issue, "/hob dance").await;
    let help = w.next_comment(issue).await.body;
    assert!(help.starts_with("There is no command `/hob dance`. Nothing was started."), "{help}");
    assert!(TABLE.iter().all(|row| help.contains(&format!("`/hob {}`", row.name))), "{help}");
    w.finish().await;
}

#[tokio::test]
async fn commands_act_as_people_write_them_and_a_slip_of_the_pen_is_told_and_never_taken_for_words() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Long", "").await;
    w.alice().comments(issue, "- @hob-bot Work: [scenario: slow 60]").await;
    w.eventually("the agent to run", async || w.containers().await.first().cloned()).await;
    w.alice().comments(issue, "/hob-stop").await;
    let told = w.next_comment(issue).await.body;
    assert!(told.contains("Did you mean `/hob stop`?"), "{told}");
    w.alice().comments(issue, "\u{feff}/Hob Stop.").await;
    let stopped = w.next_comment(issue).await.body;
    assert!(stopped.starts_with("**Stopped, as @alice asked.**"), "{stopped}");
    w.finish().await;
}

#[tokio::test]
async fn of_two_commands_in_a_comment_the_first_acts_and_the_second_is_named() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "").await;
    w.alice().comments(issue, "/hob work [scenario: work]\n\n/hob budget +5").await;
    let told = w.next_comment(issue).await.body;
    assert!(told.contains("I have not carried out `/hob budget +5`"), "{told}");
    w.next_pull_request().await;
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done: "), "{done}");
    w.finish().await;
}

#[tokio::test]
async fn help_names_the_agents_that_this_hob_can_start_and_the_usage_of_the_command() {
    let w = World::start().await;
    let issue = w.alice().opens_issue("Add a flag", "").await;
    w.alice().comments(issue, "/hob plan --fast").await;
    let told = w.next_comment(issue).await.body;
    assert!(told.contains("`/hob plan [--agent A]") && !told.contains("/hob work"), "{told}");
    w.alice().comments(issue, "/hob help").await;
    let help = w.next_comment(issue).await.body;
    // Its one key is Anthropic's.
    assert!(help.contains("`A` is one of claude, opencode;"), "{help}");
    w.finish().await;
}

async fn asks_of_nobody(w: &World, issue: u64) -> bool {
    let repo = REPO.parse().expect("a repository");
    w.store().story_at(&repo, hob::ids::IssueNumber(issue)).await.unwrap().is_none()
}
