//! `.github/hob.toml`: what a repository says on its default branch is followed, within what the
//! operator allows; a mistake in it is said; and its checks stand between the agent and the pull
//! request.

use crate::world::{BOT, REPO, World};
use hob::ids::AgentKind;

const FILE: &str = ".github/hob.toml";

/// Writes the repository's settings, as somebody does who may.
async fn set(w: &World, text: &str) {
    w.bob().pushes("main", &[(FILE, text)], "Say how hob works here").await;
}

/// An issue with the label `hob`.
async fn asked(w: &World, scenario: &str) -> u64 {
    let issue = w.alice().opens_issue("A change", &format!("[scenario: {scenario}]")).await;
    w.alice().labels(issue, "hob").await;
    issue
}

/// Everything that agents have printed.
fn printed(w: &World) -> String {
    let runs = std::fs::read_dir(w.data().join("runs")).unwrap().flatten();
    runs.map(|run| std::fs::read_to_string(run.path().join("stdout.jsonl")).unwrap_or_default()).collect()
}

fn runs(w: &World) -> usize {
    std::fs::read_dir(w.data().join("runs")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn the_files_label_asks_for_work_and_the_operators_does_not() {
    let w = World::start().await;
    set(&w, "label = \"robot\"\n").await;
    let issue = asked(&w, "work").await;
    w.quiet().await;
    assert_eq!((runs(&w), w.said(issue).len()), (0, 0), "the operator's label started something");
    w.alice().labels(issue, "robot").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_look_finds_the_files_label_too() {
    let mut w = World::prepare_without_webhook(|_| {}).await;
    set(&w, "label = \"robot\"\n").await;
    let (ours, theirs) = (asked(&w, "work").await, asked(&w, "work").await);
    w.alice().labels(theirs, "robot").await;
    w.start_hob().await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.head, format!("hob/issue-{theirs}"));
    w.next_comment(theirs).await;
    w.quiet().await;
    assert!(w.said(ours).is_empty());
    w.finish().await;
}

#[tokio::test]
async fn base_branch_draft_reviewers_model_and_set_up_are_as_the_default_branch_says() {
    let w = World::start().await;
    w.bob().pushes("trunk", &[("trunk.md", "the trunk\n"), (FILE, "draft = false\n")], "A trunk").await;
    set(
        &w,
        "base = \"trunk\"\nbranch = \"bot/{issue}\"\ndraft = true\nreviewers = [\"bob\", \"stranger\"]\n\
         model = \"haiku-9\"\nsetup = \"echo it-was-set-up; touch $HOME/set-up\"\n",
    )
    .await;
    // Neither the base nor the story branch is the default branch, whatever lies there.
    let body = "[scenario: script]\n\n```sh\ntest -e $HOME/set-up && test -e trunk.md && echo hi > new.md && \
                git add new.md && git commit -qm new\n```";
    let issue = w.alice().opens_issue("A change", body).await;
    w.alice().labels(issue, "hob").await;
    let pull = w.next_pull_request().await;
    assert_eq!((pull.base.as_str(), pull.head.as_str(), pull.draft), ("trunk", "bot/1", true));
    w.next_comment(issue).await;
    let pull = &w.github.pulls(REPO)[0];
    assert!(pull.body.contains("could not request a review from `stranger`"), "{}", pull.body);
    assert_eq!(pull.reviewers, ["bob"]);
    assert!(printed(&w).contains("haiku-9"), "another model worked");
    w.finish().await;
}

#[tokio::test]
async fn the_file_names_the_agent_and_the_operators_settings_for_the_repository_stand_above_it() {
    let w = World::with(|config| {
        config.agent.command = vec!["exchange-agent".to_owned()];
        let own = config.repositories.entry(REPO.to_owned()).or_default();
        own.setup = Some("echo the operators set-up".to_owned());
    })
    .await;
    set(&w, "agent = \"command\"\nsetup = \"exit 3\"\n").await;
    let issue = asked(&w, "work").await;
    let pull = w.next_pull_request().await;
    assert!(!pull.body.contains("Claude Code"), "{}", pull.body);
    w.next_comment(issue).await;
    let label = format!("hob:{}", AgentKind::Claude.as_str());
    let other = w.alice().opens_issue("Another", "[scenario: work]").await;
    w.alice().labels(other, &label).await;
    let pull = w.next_pull_request().await;
    assert!(pull.body.contains("Claude Code"), "a label chooses above the file: {}", pull.body);
    w.next_comment(other).await;
    w.finish().await;
}

#[tokio::test]
async fn the_file_on_the_story_branch_is_not_read() {
    let w = World::start().await;
    w.bob().pushes("hob/issue-1", &[(FILE, "draft = true\nchecks = [\"false\"]\n")], "Not yet").await;
    let issue = asked(&w, "work").await;
    let pull = w.next_pull_request().await;
    assert!(!pull.draft && !pull.body.contains("### Checks"), "{}", pull.body);
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn paths_that_the_file_protects_are_asked_about_beside_the_operators() {
    let w = World::start().await;
    set(&w, "protected_paths = [\"NOTES.md\"]\n").await;
    let issue = asked(&w, "work").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("protected paths: `NOTES.md`"), "{question}");
    w.alice().comments(issue, "Push it anyway").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;

    let w = World::start().await;
    set(&w, "protected_paths = []\n").await;
    let issue = asked(&w, "workflow").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("protected paths: `.github/workflows/x.yml`"), "{question}");
    w.finish().await;
}

#[tokio::test]
async fn a_stop_that_comes_while_checks_run_is_told_that_the_agent_is_done() {
    let w = World::start().await;
    set(&w, "checks = [\"until [ -e /workspace/NOTES.md ]; do sleep 1; done; sleep 8\"]\n").await;
    let issue = asked(&w, "work").await;
    w.until("the check", |_| w.status(issue).filter(|status| status.body.starts_with("**Handing over.")))
        .await;
    w.eventually("the check to run", async || {
        w.containers().await.into_iter().find(|name| name.contains("-check-"))
    })
    .await;
    w.alice().comments(issue, "/hob stop").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("There is nothing left to stop: the agent is done"), "{said}");
    w.next_pull_request().await;
    assert!(w.next_comment(issue).await.body.starts_with("Done: #2"));
    w.finish().await;
}

#[tokio::test]
async fn a_repositorys_own_cap_is_one_that_people_can_raise() {
    let w = World::start().await;
    let issue = asked(&w, "work").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.alice().comments(2, "/hob budget +5").await;
    assert!(w.next_comment(2).await.body.starts_with("No budget is set here"));
    assert_eq!(w.store().stories().await.unwrap().len(), 1, "the pull request is no story of its own");
    set(&w, "[budget]\nstory_usd = 0.01\n").await;
    w.alice().comments(issue, "/hob work").await;
    let question = w.next_comment(issue).await.body;
    assert!(question.contains("This story has reached its cap of $0.01"), "{question}");
    w.alice().comments(issue, "/hob budget +5").await;
    w.next_pull_request().await;
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn who_may_have_hob_work_can_be_fewer_and_never_more() {
    let w = World::start().await;
    w.github.set_permission(REPO, "carol", "maintain");
    set(&w, "who = \"maintain\"\n").await;
    let issue = asked(&w, "ask").await;
    w.alice().comments(issue, "/hob work").await;
    w.quiet().await;
    assert_eq!((runs(&w), w.said(issue).len()), (0, 0), "a writer had hob work");

    let carol = crate::world::people::Person { github: &w.github, login: "carol" };
    carol.comments(issue, "/hob work").await;
    w.next_comment(issue).await;
    // Nor may a writer answer; to stop what runs is everybody's who may push.
    w.alice().comments(issue, "one array").await;
    w.quiet().await;
    assert!(w.github.pulls(REPO).is_empty(), "a writer answered");
    w.alice().comments(issue, "/hob stop").await;
    assert!(w.next_comment(issue).await.body.contains("topped"));
    w.finish().await;
}

#[tokio::test]
async fn a_mistake_is_said_once_with_line_and_remedy_and_nothing_starts_until_it_is_mended() {
    let w = World::start().await;
    set(&w, "draft = true\nreviewer = [\"bob\"]\n").await;
    let issue = asked(&w, "work").await;
    let said = w.next_comment(issue).await.body;
    for part in
        ["Not started: line 2 of `.github/hob.toml`", "`reviewer`", "did you mean `reviewers`?", "`main`"]
    {
        assert!(said.contains(part), "no {part} in {said}");
    }
    // The same version again is not told again; another one is.
    w.alice().comments(issue, "/hob work").await;
    w.quiet().await;
    assert_eq!((runs(&w), w.said(issue).len()), (0, 1));
    set(&w, "image = \"postgres:17\"\n").await;
    w.alice().comments(issue, "/hob work").await;
    let said = w.next_comment(issue).await.body;
    assert!(said.contains("line 1") && said.contains("`postgres:17` is not an allowed image"), "{said}");
    assert_eq!(w.github.issue_reactions(REPO, issue), [(BOT.to_owned(), "confused".to_owned())]);
    assert_eq!(runs(&w), 0);

    set(&w, "branch = \"mended/{issue}\"\n").await;
    w.alice().comments(issue, "/hob work").await;
    let pull = w.next_pull_request().await;
    assert_eq!(pull.head, format!("mended/{issue}"));
    w.next_comment(issue).await;
    w.finish().await;
}

#[tokio::test]
async fn a_failing_check_goes_back_to_the_agent_and_what_passes_is_told() {
    let w = World::start().await;
    // The scripted agent notes one change more each time. The other check sees a clean container
    // without keys and network, on the commit itself; what it writes is gone.
    let clean = "test $(ls /sys/class/net) = lo && test ! -e /run/hob && test -z $ANTHROPIC_API_KEY$HOB_RUN_ID && \
                 test -z \\\"$(git status --porcelain)\\\" && git merge-base --is-ancestor origin/main HEAD && \
                 test ! -e litter && touch litter";
    set(
        &w,
        &format!(
            "checks = [\"{clean}\", \"{clean}\", \"test $(grep -c change NOTES.md) -ge 2 || (echo too few notes; exit 3)\"]\n"
        ),
    )
    .await;
    let issue = asked(&w, "work").await;
    let pull = w.next_pull_request().await;
    assert!(!pull.draft, "{}", pull.body);
    let section = pull.body.split("### Checks").nth(1).expect("a section about checks");
    assert_eq!(section.matches("✅ passed").count(), 3, "{section}");
    let tip = w.github.commits(REPO, &pull.head)[0].sha.clone();
    assert!(section.contains(&tip[..12]) && section.contains("`sha256:"), "{section}");
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done: #2 has 2 commits"), "{done}");
    assert_eq!(runs(&w), 2, "the agent had it back once");
    assert!(w.github.file_at(REPO, &pull.head, "litter").is_none());
    w.quiet().await;
    for run in std::fs::read_dir(w.data().join("runs")).unwrap().flatten() {
        assert!(!run.path().join("checks").exists(), "a checkout was left over");
    }
    w.finish().await;
}

#[tokio::test]
async fn a_check_that_keeps_failing_ends_as_a_draft_that_says_so() {
    let w = World::start().await;
    set(&w, "checks = [\"echo all is lost >&2; exit 3\", \"true\"]\ncheck_retries = 1\n").await;
    let issue = asked(&w, "work").await;
    let pull = w.next_pull_request().await;
    assert!(pull.draft, "{}", pull.body);
    assert!(pull.body.contains("❌ exit code 3") && pull.body.contains("✅ passed"), "{}", pull.body);
    let done = w.next_comment(issue).await.body;
    assert!(done.starts_with("Done, but `echo all is lost >&2; exit 3` still fails: exit code 3."), "{done}");
    assert_eq!(runs(&w), 2, "it went back once");
    w.finish().await;
}

#[tokio::test]
async fn base_and_story_branch_have_any_name_that_git_takes_and_links_lead_to_them() {
    let w = World::start().await;
    let base = "feature/#12-\u{fc}ber";
    w.bob().pushes(base, &[("b.md", "x\n")], "A base").await;
    set(
        &w,
        &format!("base = \"{base}\"\nbranch = \"hob/#{{issue}} (über)@x\"\n")
            .replace(' ', "\u{a0}")
            .replace("\u{a0}=\u{a0}", " = "),
    )
    .await;
    let issue = asked(&w, "work").await;
    let pull = w.next_pull_request().await;
    let said = w.next_comment(issue).await.body;
    assert!(said.starts_with("Done"), "{said}");
    assert_eq!((pull.base.as_str(), pull.head.as_str()), (base, "hob/#1\u{a0}(über)@x"));
    w.quiet().await;
    let link = "/tree/hob/%231%C2%A0%28%C3%BCber%29%40x)";
    let status = w.status(issue).unwrap().body;
    assert!(status.contains(link), "{status}");
    w.finish().await;
}
