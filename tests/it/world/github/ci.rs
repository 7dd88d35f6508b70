//! CI on the played GitHub: what GitHub Actions, other Apps and other services do to commits, with
//! the webhooks that the real one sends, and what people press. Beside it what tests read of all
//! that.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::actions::{ACTIONS, WorkflowRun, put_workflow_run};
use super::checks::{CheckRun, HOB, Status, put_check_run};
use super::state::State;
use super::webhooks::{Delivery, Webhook, fill};
use super::writer::{put, time};

/// An App that is neither GitHub's nor hob's.
const LINTER: (u64, &str) = (77_001, "acme-linter");

/// What tests read of a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRunSeen {
    pub id: u64,
    pub name: String,
    /// The App that made it, by its name in addresses.
    pub app: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub title: String,
    pub summary: String,
    pub text: String,
    pub details_url: Option<String>,
    /// What the buttons are called by who made them.
    pub buttons: Vec<String>,
    /// Status, conclusion and summary, each time that one of them changed.
    pub history: Vec<(String, Option<String>, String)>,
}

/// What tests read of a commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSeen {
    pub context: String,
    pub state: String,
    pub description: String,
    pub target_url: Option<String>,
    pub creator: String,
}

/// What happens to a check run that a webhook tells of.
pub(super) enum Moment<'a> {
    Completed,
    /// Somebody pressed one of its App's own buttons.
    Pressed {
        by: &'a str,
        button: &'a str,
    },
    /// Somebody pressed "Re-run".
    Rerequested {
        by: &'a str,
    },
}

/// How a job of GitHub Actions ends.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub name: &'a str,
    pub conclusion: &'a str,
    /// What it has printed; none where GitHub has no log.
    pub log: Option<&'a str>,
}

impl GitHub {
    /// A run of a workflow of GitHub Actions comes to its end, with these jobs. Each is a check
    /// run. Returns their ids. A second run on the same commit is another attempt at the first.
    pub async fn run_workflow(&self, repo: &str, workflow: &str, sha: &str, jobs: &[Job<'_>]) -> Vec<u64> {
        let failed = jobs.iter().any(|job| job.conclusion == "failure");
        let conclusion = if failed { "failure" } else { "success" };
        let (ids, webhooks) = self.change(|state| {
            let mut run = workflow_run(state, workflow, sha, conclusion);
            let known = &mut state.repository_mut(repo).checks.workflow_runs;
            if let Some(at) = known.iter().position(|known| known.name == workflow && known.sha == sha) {
                run.id = known.remove(at).id;
            }
            let mut ids = Vec::new();
            let mut webhooks = Vec::new();
            for job in jobs {
                let mut check = finished(state.new_id(), job.name, sha, ACTIONS, job.conclusion);
                check.workflow_run = Some(run.id);
                check.log = job.log.map(str::to_owned);
                ids.push(check.id);
                webhooks.push(check_run(self, state, repo, &check, Moment::Completed));
                state.repository_mut(repo).checks.runs.push(check);
            }
            webhooks.push(workflow_ended(self, state, repo, &run));
            state.repository_mut(repo).checks.workflow_runs.push(run);
            (ids, webhooks)
        });
        for webhook in webhooks {
            self.deliver(webhook).await;
        }
        ids
    }

    /// A workflow cannot start: it has no job.
    pub async fn fail_to_start(&self, repo: &str, workflow: &str, sha: &str) -> u64 {
        let (id, webhook) = self.change(|state| {
            let run = workflow_run(state, workflow, sha, "startup_failure");
            let webhook = workflow_ended(self, state, repo, &run);
            let id = run.id;
            state.repository_mut(repo).checks.workflow_runs.push(run);
            (id, webhook)
        });
        self.deliver(webhook).await;
        id
    }

    /// A check run of an App that is neither GitHub's nor hob's comes to its end, with this output:
    /// title, summary, text.
    pub async fn lint(
        &self,
        repo: &str,
        name: &str,
        sha: &str,
        conclusion: &str,
        output: [&str; 3],
        annotations: Vec<Value>,
    ) -> u64 {
        let (id, webhook) = self.change(|state| {
            let mut check = finished(state.new_id(), name, sha, LINTER, conclusion);
            let [title, summary, text] = output.map(|text| Some(text.to_owned()));
            (check.title, check.summary, check.text) = (title, summary, text);
            check.annotations = annotations;
            check.details_url = Some(format!("https://lint.example/{}", check.id));
            let webhook = check_run(self, state, repo, &check, Moment::Completed);
            let id = check.id;
            state.repository_mut(repo).checks.runs.push(check);
            (id, webhook)
        });
        self.deliver(webhook).await;
        id
    }

    /// A check run of hob's own App comes to a bad end.
    pub async fn own_check_fails(&self, repo: &str, sha: &str) {
        let webhook = self.change(|state| {
            let check = finished(state.new_id(), "hob", sha, HOB, "failure");
            let webhook = check_run(self, state, repo, &check, Moment::Completed);
            state.repository_mut(repo).checks.runs.push(check);
            webhook
        });
        self.deliver(webhook).await;
    }

    /// A service without an App sets a status.
    pub async fn set_status(
        &self,
        repo: &str,
        context: &str,
        sha: &str,
        state_word: &str,
        description: &str,
    ) {
        let webhook = self.change(|state| {
            let new = Status {
                id: state.new_id(),
                sha: sha.to_owned(),
                context: context.to_owned(),
                state: state_word.to_owned(),
                description: Some(description.to_owned()),
                target_url: Some(format!("https://ci.example/{context}")),
                creator: "ci-account".to_owned(),
                at: Timestamp::now(),
            };
            let webhook = status(self, state, repo, &new);
            state.repository_mut(repo).checks.statuses.push(new);
            webhook
        });
        self.deliver(webhook).await;
    }

    /// Presses a button of a check run of hob's: one of its own, or "Re-run". GitHub tells the App
    /// that owns it, and no other.
    pub async fn press(&self, repo: &str, login: &str, check: u64, button: Option<&str>) -> Delivery {
        let webhook = {
            let state = self.state();
            let run = state.repository(repo).checks.runs.iter().find(|run| run.id == check);
            let run = run.expect("a check run with a button");
            assert!(state.hook.as_ref().is_some_and(|hook| hook.of_app), "only an App has buttons");
            if let Some(button) = button {
                let has = run.actions.iter().any(|action| action["identifier"] == button);
                assert!(has, "no button {button} on {}: {:?}", run.name, run.actions);
            }
            let moment = match button {
                Some(button) => Moment::Pressed { by: login, button },
                None => Moment::Rerequested { by: login },
            };
            check_run(self, &state, repo, run, moment)
        };
        self.deliver(webhook).await
    }

    /// Presses "Re-run all checks" on a commit. GitHub tells each App that may make check runs,
    /// whether it has made one or not.
    pub async fn rerun_all(&self, repo: &str, login: &str, sha: &str) -> Delivery {
        let webhook = {
            let state = self.state();
            assert!(state.hook.as_ref().is_some_and(|hook| hook.of_app), "only an App is told");
            suite_again(self, &state, repo, sha, login)
        };
        self.deliver(webhook).await
    }

    /// The check runs on a commit, oldest first.
    pub fn check_runs(&self, repo: &str, sha: &str) -> Vec<CheckRunSeen> {
        let seen = |run: &CheckRun| CheckRunSeen {
            id: run.id,
            name: run.name.clone(),
            app: run.app.1.to_owned(),
            status: run.status.clone(),
            conclusion: run.conclusion.clone(),
            title: run.title.clone().unwrap_or_default(),
            summary: run.summary.clone().unwrap_or_default(),
            text: run.text.clone().unwrap_or_default(),
            details_url: run.details_url.clone(),
            buttons: run
                .actions
                .iter()
                .map(|action| action["identifier"].as_str().expect("by the description").to_owned())
                .collect(),
            history: run.history.clone(),
        };
        let state = self.state();
        state.repository(repo).checks.runs.iter().filter(|run| run.sha == sha).map(seen).collect()
    }

    /// The statuses of a commit, oldest first, also those that newer ones have replaced.
    pub fn statuses(&self, repo: &str, sha: &str) -> Vec<StatusSeen> {
        let seen = |status: &Status| StatusSeen {
            context: status.context.clone(),
            state: status.state.clone(),
            description: status.description.clone().unwrap_or_default(),
            target_url: status.target_url.clone(),
            creator: status.creator.clone(),
        };
        let state = self.state();
        state.repository(repo).checks.statuses.iter().filter(|status| status.sha == sha).map(seen).collect()
    }
}

fn workflow_run(state: &mut State, workflow: &str, sha: &str, conclusion: &str) -> WorkflowRun {
    let (name, sha, conclusion) = (workflow.to_owned(), sha.to_owned(), conclusion.to_owned());
    WorkflowRun { id: state.new_id(), name, sha, conclusion, at: Timestamp::now() }
}

fn finished(id: u64, name: &str, sha: &str, app: (u64, &'static str), conclusion: &str) -> CheckRun {
    let mut check = CheckRun::new(id, name, sha, app);
    check.status = "completed".to_owned();
    check.conclusion = Some(conclusion.to_owned());
    check.started = Some(Timestamp::now());
    check.completed = check.started;
    check.note();
    check
}

/// `check_run`: completed, requested_action or rerequested.
pub(super) fn check_run(
    github: &GitHub,
    state: &State,
    repository: &str,
    run: &CheckRun,
    moment: Moment<'_>,
) -> Webhook {
    let repository = state.repository(repository);
    let (mut payload, sender) = match moment {
        Moment::Completed => {
            (template(include_str!("../../../data/webhooks/check_run.completed.json")), None)
        }
        Moment::Pressed { by, button } => {
            let mut payload =
                template(include_str!("../../../data/webhooks/check_run.requested_action.json"));
            payload["requested_action"]["identifier"] = json!(button);
            (payload, Some(by))
        }
        Moment::Rerequested { by } => {
            (template(include_str!("../../../data/webhooks/check_run.rerequested.json")), Some(by))
        }
    };
    let sender = sender.map_or_else(|| format!("{}[bot]", run.app.1), str::to_owned);
    fill(github, state, &mut payload, repository, None, &sender);
    for pulls in ["/check_run/pull_requests", "/check_run/check_suite/pull_requests"] {
        *payload.pointer_mut(pulls).expect("in the example") = json!([]);
    }
    put_check_run(github, &mut payload["check_run"], repository, run);
    payload["check_run"]["check_suite"]["head_sha"] = json!(run.sha);
    Webhook::new("check_run", payload)
}

/// `check_suite`: rerequested.
pub(super) fn suite_again(github: &GitHub, state: &State, repository: &str, sha: &str, by: &str) -> Webhook {
    let repository = state.repository(repository);
    let own = repository.checks.runs.iter().rev().find(|run| run.sha == sha);
    let (id, status, conclusion) =
        own.map_or((1, "queued", None), |run| (run.suite(), run.status.as_str(), run.conclusion.as_deref()));
    let mut payload = template(include_str!("../../../data/webhooks/check_suite.rerequested.json"));
    fill(github, state, &mut payload, repository, None, by);
    *payload.pointer_mut("/check_suite/pull_requests").expect("in the example") = json!([]);
    put(
        &mut payload["check_suite"],
        json!({"id": id, "head_sha": sha, "after": sha, "status": status, "conclusion": conclusion}),
    );
    Webhook::new("check_suite", payload)
}

/// `workflow_run`: completed.
fn workflow_ended(github: &GitHub, state: &State, repository: &str, run: &WorkflowRun) -> Webhook {
    let repository = state.repository(repository);
    let mut payload = template(include_str!("../../../data/webhooks/workflow_run.completed.json"));
    fill(github, state, &mut payload, repository, None, "github-actions[bot]");
    put_workflow_run(github, &mut payload["workflow_run"], repository, run);
    payload["workflow"]["name"] = json!(run.name);
    Webhook::new("workflow_run", payload)
}

/// `status`.
pub(super) fn status(github: &GitHub, state: &State, repository: &str, status: &Status) -> Webhook {
    let repository = state.repository(repository);
    let mut payload = template(include_str!("../../../data/webhooks/status.json"));
    fill(github, state, &mut payload, repository, None, &status.creator);
    put(&mut payload["commit"], json!({"sha": status.sha}));
    let own = json!({
        "id": status.id, "sha": status.sha, "name": repository.full_name, "context": status.context,
        "state": status.state, "description": status.description, "target_url": status.target_url,
        "branches": [], "created_at": time(status.at), "updated_at": time(status.at),
    });
    put(&mut payload, own);
    Webhook::new("status", payload)
}

fn template(text: &str) -> Value {
    serde_json::from_str(text).expect("an example payload is JSON")
}
