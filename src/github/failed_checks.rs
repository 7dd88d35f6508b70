//! What others have to say about commits, as it stands now: check runs, commit statuses, runs of
//! workflows that could not start. And what a check has to say: its output, and the log of a job.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Answer;
use super::{GitHubError, Repository};
use crate::event::CheckKind;
use crate::ids::Sha;
use crate::story::fix::{CheckState, ChecksOn, FailedCheck, FoundCheck};

/// Pages of a hundred that are read of what stands on one commit.
const MAX_PAGES: usize = 5;
/// Notes of a check run that are read: a page.
const MAX_NOTES: usize = 50;
/// As much of a log's end as is kept: far more than an agent is shown of it.
const LOG_END: usize = 256 * 1024;
/// A log that is longer is not read to its end.
const MAX_LOG: usize = 128 * 1024 * 1024;
/// From the first byte of a log to the last.
const LOG_LIMIT: Duration = Duration::from_secs(120);
/// How check runs end that wait for somebody to do something.
const NEEDS_ACTION: &str = "action_required";
/// How check runs and runs of workflows end that found something wrong, or could not look.
pub(super) const FAILED: [&str; 3] = ["failure", "timed_out", "startup_failure"];

/// What a check run says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckOutput {
    /// One line.
    pub title: String,
    /// The summary, in Markdown.
    pub summary: String,
    /// The text, in Markdown.
    pub text: String,
    /// What it says about single lines: path, line, message.
    pub notes: Vec<(String, u64, String)>,
}

/// What a job of GitHub Actions has printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLog {
    /// The end of it.
    pub end: String,
    /// Whether there is more before that.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct WireCheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    completed_at: Option<Timestamp>,
    html_url: Option<String>,
    details_url: Option<String>,
    output: WireOutput,
    app: Option<WireApp>,
    check_suite: Option<WireSuite>,
}

#[derive(Deserialize)]
struct WireSuite {
    id: u64,
}

#[derive(Deserialize)]
struct WireOutput {
    title: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    annotations_count: u64,
}

#[derive(Deserialize)]
struct WireApp {
    id: u64,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct WireStatus {
    id: u64,
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct WireWorkflowRun {
    id: u64,
    name: Option<String>,
    workflow_id: u64,
    check_suite_id: Option<u64>,
    conclusion: Option<String>,
    html_url: String,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct WireNote {
    path: String,
    start_line: u64,
    message: Option<String>,
}

impl Repository {
    /// Everything that stands on a commit, the newest of each name. What hob may not read is left
    /// out, and said.
    pub async fn checks_on(&self, commit: &Sha) -> Result<ChecksOn, GitHubError> {
        #[derive(Deserialize)]
        struct Runs {
            check_runs: Vec<WireCheckRun>,
        }
        #[derive(Deserialize)]
        struct Combined {
            statuses: Vec<WireStatus>,
        }
        #[derive(Deserialize)]
        struct Workflows {
            workflow_runs: Vec<WireWorkflowRun>,
        }
        let runs =
            self.pages(&format!("/commits/{commit}/check-runs?"), |page: Runs| page.check_runs).await?;
        let statuses =
            self.pages(&format!("/commits/{commit}/status?"), |page: Combined| page.statuses).await?;
        let workflows = self
            .pages(&format!("/actions/runs?head_sha={commit}&"), |page: Workflows| page.workflow_runs)
            .await?;
        let is_hidden = runs.is_none() || statuses.is_none();
        let (runs, statuses) = (runs.unwrap_or_default(), statuses.unwrap_or_default());
        let workflows = workflows.unwrap_or_default();
        // A job names its suite, and the run of the workflow names it too.
        let suites = workflows.iter().filter_map(|run| Some((run.check_suite_id?, run.workflow_id)));
        let suites: HashMap<u64, u64> = suites.collect();
        let not_started = not_started(workflows, &runs);
        let found = runs.into_iter().map(|run| check_run(run, &suites));
        let found = found.chain(statuses.into_iter().map(status)).chain(not_started).collect();
        Ok(ChecksOn { found, is_hidden })
    }

    /// The items of a list, page by page; nothing where hob may not read it, or there is none.
    async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        items: impl Fn(P) -> Vec<T>,
    ) -> Result<Option<Vec<T>>, GitHubError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer: Answer = match self.get(&format!("{path}per_page=100&page={page}")).await {
                Err(GitHubError::Forbidden(_) | GitHubError::NotFound) => return Ok(None),
                answer => answer?,
            };
            all.extend(items(answer.json()?));
            if !answer.has_next_page() {
                break;
            }
        }
        Ok(Some(all))
    }

    /// What a check run says; nothing where it is gone, or hob may not read it.
    pub async fn check_output(&self, id: u64) -> Result<Option<CheckOutput>, GitHubError> {
        let run: WireCheckRun = match self.get(&format!("/check-runs/{id}")).await {
            Err(GitHubError::Forbidden(_) | GitHubError::NotFound) => return Ok(None),
            answer => answer?.json()?,
        };
        let mut notes = Vec::new();
        if run.output.annotations_count > 0 {
            let path = format!("/check-runs/{id}/annotations?per_page={MAX_NOTES}");
            let read: Vec<WireNote> = self.get(&path).await?.json()?;
            notes.extend(
                read.into_iter().map(|note| (note.path, note.start_line, note.message.unwrap_or_default())),
            );
        }
        Ok(Some(CheckOutput {
            title: run.output.title.unwrap_or_default(),
            summary: run.output.summary.unwrap_or_default(),
            text: run.output.text.unwrap_or_default(),
            notes,
        }))
    }

    /// The end of what a job of GitHub Actions has printed; nothing where GitHub has no log of it,
    /// or does not show it to hob. The log lies at an address that GitHub signs, to which no token
    /// is sent.
    pub async fn job_log(&self, job: u64) -> Result<Option<JobLog>, GitHubError> {
        let address = match self.redirect_of(&format!("/actions/jobs/{job}/logs")).await {
            Err(GitHubError::Forbidden(_) | GitHubError::NotFound) => return Ok(None),
            address => address?,
        };
        match tokio::time::timeout(LOG_LIMIT, end_of(&address)).await {
            Ok(Ok(log)) => Ok(log),
            Ok(Err(error)) => {
                // Without the address, which is signed.
                let error = error.without_url();
                tracing::warn!(job, %error, "downloading a job's log failed");
                Ok(None)
            }
            Err(_) => {
                tracing::warn!(job, "downloading a job's log timed out");
                Ok(None)
            }
        }
    }
}

/// The end of what lies at an address.
async fn end_of(address: &str) -> Result<Option<JobLog>, reqwest::Error> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("hob/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::limited(4))
        .referer(false)
        .build()?;
    let mut answer = client.get(address).send().await?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    let (mut end, mut read) = (Vec::new(), 0);
    while let Some(piece) = answer.chunk().await? {
        read += piece.len();
        end.extend_from_slice(&piece);
        // Cut rarely, since each cut moves what is kept.
        if end.len() > 4 * LOG_END {
            end.drain(..end.len() - LOG_END);
        }
        if read > MAX_LOG {
            break;
        }
    }
    end.drain(..end.len().saturating_sub(LOG_END));
    Ok(Some(JobLog { is_cut: end.len() < read, end: String::from_utf8_lossy(&end).into_owned() }))
}

/// `suites`: the workflow of each suite that is one of GitHub Actions.
fn check_run(run: WireCheckRun, suites: &HashMap<u64, u64>) -> FoundCheck {
    let state = match run.conclusion.as_deref() {
        _ if run.status != "completed" => CheckState::Pending,
        Some(conclusion) if FAILED.contains(&conclusion) => CheckState::Failed,
        Some(NEEDS_ACTION) => CheckState::NeedsAction,
        _ => CheckState::Passed,
    };
    let workflow = run.check_suite.as_ref().and_then(|suite| suites.get(&suite.id)).copied();
    let (app_id, app) = run.app.map_or((None, None), |app| (Some(app.id), app.slug));
    let check = FailedCheck {
        kind: CheckKind::CheckRun,
        id: run.id,
        name: run.name,
        app,
        url: run.html_url.or(run.details_url),
        said: run.output.title,
    };
    FoundCheck { check, app_id, workflow, state, at: run.completed_at }
}

fn status(status: WireStatus) -> FoundCheck {
    let state = match status.state.as_str() {
        "failure" | "error" => CheckState::Failed,
        "success" => CheckState::Passed,
        _ => CheckState::Pending,
    };
    let check = FailedCheck {
        kind: CheckKind::Status,
        id: status.id,
        name: status.context,
        app: None,
        url: status.target_url,
        said: status.description,
    };
    FoundCheck { check, app_id: None, workflow: None, state, at: Some(status.updated_at) }
}

/// The runs of workflows that have failed without a job: a job of theirs would be a check run, with
/// the run's number in its address. The newest of each workflow counts.
fn not_started(workflows: Vec<WireWorkflowRun>, runs: &[WireCheckRun]) -> Vec<FoundCheck> {
    let has_job = |id: u64| {
        let part = format!("/actions/runs/{id}/");
        let urls = runs.iter().flat_map(|run| [run.details_url.as_deref(), run.html_url.as_deref()]);
        urls.flatten().any(|url| url.contains(&part))
    };
    let mut known = HashSet::new();
    let newest = workflows.into_iter().filter(|run| known.insert(run.workflow_id_and_name()));
    let failed = newest.filter(|run| {
        run.conclusion.as_deref().is_some_and(|conclusion| FAILED.contains(&conclusion)) && !has_job(run.id)
    });
    failed
        .map(|run| FoundCheck {
            check: FailedCheck {
                kind: CheckKind::WorkflowRun,
                id: run.id,
                name: run.name.unwrap_or_default(),
                app: None,
                url: Some(run.html_url),
                said: None,
            },
            app_id: None,
            workflow: Some(run.workflow_id),
            state: CheckState::Failed,
            at: Some(run.updated_at),
        })
        .collect()
}

impl WireWorkflowRun {
    fn workflow_id_and_name(&self) -> (u64, Option<String>) {
        (self.workflow_id, self.name.clone())
    }
}
