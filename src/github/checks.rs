//! Check runs and commit statuses: what GitHub shows beside a commit. Only an App may make check
//! runs; with a token hob sets statuses. What they say, and when, is decided above.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::Verb;
use super::{GitHubError, Identity, Repository};
use crate::ids::{CheckRunId, Sha};

/// GitHub refuses a longer description of a commit status.
pub const MAX_DESCRIPTION: usize = 140;

/// Where a check run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It waits for its turn.
    Queued,
    /// It is under way.
    InProgress,
    /// It has ended so.
    Completed(Conclusion),
}

/// How a check run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It passed.
    Success,
    /// Neither well nor badly.
    Neutral,
    /// It waits for a person.
    ActionRequired,
    /// It failed.
    Failure,
    /// A person wanted it to end.
    Cancelled,
}

/// A button on a check run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    /// What is on it: 20 characters at most.
    pub label: &'static str,
    /// What it does: 40 characters at most.
    pub description: &'static str,
    /// What hob is told when it is pressed: 20 characters at most.
    pub identifier: String,
}

/// A check run as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckRun {
    name: &'static str,
    /// Said once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    head_sha: Option<String>,
    external_id: String,
    details_url: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<Conclusion>,
    output: Output,
    actions: Vec<Button>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Output {
    title: String,
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// What a check run is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRunText {
    /// Its name.
    pub name: &'static str,
    /// The commit.
    pub head: Sha,
    /// hob's own name for what it is about, by which it is found again.
    pub external_id: String,
    /// Where people read more.
    pub details_url: String,
    /// Where it stands.
    pub state: CheckState,
    /// One line.
    pub title: String,
    /// The summary, in Markdown.
    pub summary: String,
    /// More of it.
    pub text: Option<String>,
    /// Its buttons: three at most.
    pub buttons: Vec<Button>,
}

impl From<CheckRunText> for CheckRun {
    fn from(text: CheckRunText) -> CheckRun {
        let (status, conclusion) = match text.state {
            CheckState::Queued => ("queued", None),
            CheckState::InProgress => ("in_progress", None),
            CheckState::Completed(conclusion) => ("completed", Some(conclusion)),
        };
        CheckRun {
            name: text.name,
            head_sha: Some(text.head.as_str().to_owned()),
            external_id: text.external_id,
            details_url: text.details_url,
            status,
            conclusion,
            output: Output { title: text.title, summary: text.summary, text: text.text },
            actions: text.buttons,
        }
    }
}

/// A commit status as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitStatus {
    /// What it is a status of; the newest of one context counts.
    pub context: &'static str,
    /// GitHub's word: `pending`, `success`, `failure` or `error`.
    pub state: &'static str,
    /// One line, of [`MAX_DESCRIPTION`] characters at most.
    pub description: String,
    /// Where people read more.
    pub target_url: String,
}

/// A check run that GitHub has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundCheckRun {
    /// Its id.
    pub id: CheckRunId,
    /// Whether it has ended.
    pub is_completed: bool,
}

#[derive(Deserialize)]
struct Found {
    check_runs: Vec<WireCheckRun>,
}

#[derive(Deserialize)]
struct WireCheckRun {
    id: u64,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    status: String,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

impl Repository {
    /// Whether hob may make check runs: a token may not.
    pub fn makes_check_runs(&self) -> bool {
        matches!(self.github.shared.identity, Identity::App(_))
    }

    /// hob's own check runs on a commit by their name and external id, newest first.
    pub async fn find_check_runs(
        &self,
        head: &Sha,
        name: &str,
        external_id: &str,
    ) -> Result<Vec<FoundCheckRun>, GitHubError> {
        let own = self.github.own_login().await?;
        let is_own = |app: &Option<App>| {
            let slug = app.as_ref().and_then(|app| app.slug.as_deref());
            slug.is_some_and(|slug| own == format!("{slug}[bot]"))
        };
        let path = format!("/commits/{head}/check-runs?check_name={name}&filter=all&per_page=100");
        let found: Found = self.get(&path).await?.json()?;
        let mut found: Vec<FoundCheckRun> = found
            .check_runs
            .into_iter()
            .filter(|run| run.external_id.as_deref() == Some(external_id) && is_own(&run.app))
            .map(|run| FoundCheckRun { id: CheckRunId(run.id), is_completed: run.status == "completed" })
            .collect();
        found.sort_by_key(|run| std::cmp::Reverse(run.id.0));
        Ok(found)
    }

    /// Makes a check run.
    pub async fn create_check_run(&self, run: &CheckRun) -> Result<CheckRunId, GitHubError> {
        let made: WireCheckRun = self.send(Verb::Post, "/check-runs", run).await?.json()?;
        Ok(CheckRunId(made.id))
    }

    /// Changes a check run to what it should be. One that had ended is under way again where that
    /// is said.
    pub async fn update_check_run(&self, id: CheckRunId, run: &CheckRun) -> Result<(), GitHubError> {
        let run = CheckRun { head_sha: None, ..run.clone() };
        self.send(Verb::Patch, &format!("/check-runs/{id}"), &run).await.map(drop)
    }

    /// Ends a check run without changing what else it says but this.
    pub async fn end_check_run(
        &self,
        id: CheckRunId,
        conclusion: Conclusion,
        title: &str,
        summary: &str,
    ) -> Result<(), GitHubError> {
        let end = json!({
            "status": "completed", "conclusion": conclusion, "actions": [],
            "output": {"title": title, "summary": summary},
        });
        self.send(Verb::Patch, &format!("/check-runs/{id}"), &end).await.map(drop)
    }

    /// Sets a commit status.
    pub async fn set_commit_status(&self, head: &Sha, status: &CommitStatus) -> Result<(), GitHubError> {
        self.send(Verb::Post, &format!("/statuses/{head}"), status).await.map(drop)
    }
}
