//! What people do with pull requests on the played GitHub: close them, merge them, open them again,
//! say whether they are ready.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::pulls::written;
use super::state::{Change, State};
use super::webhooks::{self, Webhook, fill};

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merging {
    /// With a commit that has both sides as parents.
    Commit,
    /// With one commit that has all of it, so that none of the branch's own are in.
    Squash,
}

impl GitHub {
    /// Closes a pull request.
    pub async fn close_pull(&self, repo: &str, number: u64, login: &str) {
        self.close_pull_quietly(repo, number, login);
        self.tell_of_pull(repo, number, login, "closed").await;
    }

    /// Sends the webhook that tells of a pull request as it is now.
    pub async fn tell_of_pull(&self, repo: &str, number: u64, login: &str, action: &str) {
        let webhook = self.change(|state| pull_request(self, state, repo, number, login, action));
        self.deliver(webhook).await;
    }

    /// Has a repository be one of a plan without drafts.
    pub fn without_drafts(&self, repo: &str) {
        self.change(|state| state.repository_mut(repo).has_drafts = false);
    }

    /// Closes a pull request, and no webhook tells of it.
    pub fn close_pull_quietly(&self, repo: &str, number: u64, login: &str) {
        self.change(|state| state.repository_mut(repo).issue_mut(number).close(login));
    }

    /// Opens a pull request again.
    pub async fn reopen_pull(&self, repo: &str, number: u64, login: &str) {
        let webhook = self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            (issue.is_open, issue.closed_by, issue.updated) = (true, None, Timestamp::now());
            pull_request(self, state, repo, number, login, "reopened")
        });
        self.deliver(webhook).await;
    }

    /// Merges a pull request, and closes the issues that its text says it closes, if it goes to the
    /// default branch. Which of the webhooks comes first is not promised: here, that of the issue.
    pub async fn merge_pull(&self, repo: &str, number: u64, login: &str, how: Merging) {
        for webhook in self.change(|state| self.merge(state, repo, number, login, how)) {
            self.deliver(webhook).await;
        }
    }

    /// The same, and no webhook tells of it.
    pub fn merge_pull_quietly(&self, repo: &str, number: u64, login: &str, how: Merging) {
        self.change(|state| self.merge(state, repo, number, login, how));
    }

    fn merge(&self, state: &mut State, repo: &str, number: u64, login: &str, how: Merging) -> Vec<Webhook> {
        let repository = state.repository_mut(repo);
        let bare = repository.bare.clone();
        let issue = repository.issue_mut(number);
        let part = issue.pull.as_mut().expect("a pull request");
        assert!(issue.is_open && !part.draft, "GitHub lets nobody merge what is closed or a draft");
        part.head_sha = bare.tip(&part.head).expect("the branch");
        let title = format!("{} (#{number})", issue.title);
        part.merged = Some(bare.merge(&part.base, &part.head, &title, login, how));
        let closes = if part.base == "main" {
            closed_by_text(issue.body.as_deref().unwrap_or_default())
        } else {
            Vec::new()
        };
        issue.close(login);
        let mut webhooks = Vec::new();
        for closed in closes {
            let Some(issue) = state.repository_mut(repo).issues.get_mut(&closed) else { continue };
            if issue.is_open {
                issue.close(login);
                webhooks.push(webhooks::issues(self, state, repo, closed, login, "closed", None));
            }
        }
        webhooks.push(pull_request(self, state, repo, number, login, "closed"));
        webhooks
    }

    /// Marks a pull request as ready for review, or as a draft again. hob does not listen to that.
    pub fn set_draft(&self, repo: &str, number: u64, draft: bool) {
        self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.updated = Timestamp::now();
            issue.pull.as_mut().expect("a pull request").draft = draft;
        });
    }

    /// Changes title and text of a pull request, as people may.
    pub fn edit_pull(&self, repo: &str, number: u64, login: &str, title: &str, body: &str) {
        self.edit_issue_as(repo, number, login, title, body);
    }

    /// Has a pull request go to another branch, as people may, and no webhook tells of it.
    pub fn retarget_pull_quietly(&self, repo: &str, number: u64, base: &str) {
        self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.updated = Timestamp::now();
            issue.pull.as_mut().expect("a pull request").base = base.to_owned();
        });
    }

    /// The same, with the webhook.
    pub async fn retarget_pull(&self, repo: &str, number: u64, login: &str, base: &str) {
        let webhook = self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.updated = Timestamp::now();
            let before =
                std::mem::replace(&mut issue.pull.as_mut().expect("a pull request").base, base.to_owned());
            let mut webhook = pull_request(self, state, repo, number, login, "edited");
            webhook.payload["changes"] = json!({"base": {"ref": {"from": before}}});
            webhook
        });
        self.deliver(webhook).await;
    }

    /// Removes a branch, as the button below a merged pull request does.
    pub fn remove_branch(&self, repo: &str, branch: &str) {
        self.change(|state| state.repository(repo).bare.remove(branch));
    }
}

/// The issues that a text closes, by GitHub's words for that.
fn closed_by_text(text: &str) -> Vec<u64> {
    const WORDS: [&str; 9] =
        ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let closes = |pair: &[&str]| {
        let keyword = pair[0].trim_end_matches(':').to_lowercase();
        let number = pair[1].strip_prefix('#')?.trim_end_matches(|c: char| !c.is_ascii_digit());
        WORDS.contains(&keyword.as_str()).then(|| number.parse().ok()).flatten()
    };
    words.windows(2).filter_map(closes).collect()
}

/// `pull_request`: closed or reopened.
fn pull_request(
    github: &GitHub,
    state: &State,
    repository: &str,
    number: u64,
    sender: &str,
    action: &str,
) -> Webhook {
    let repository = state.repository(repository);
    let text = include_str!("../../../data/webhooks/pull_request.closed.json");
    let mut payload: Value = serde_json::from_str(text).expect("an example payload is JSON");
    fill(github, state, &mut payload, repository, None, sender);
    payload["action"] = json!(action);
    payload["number"] = json!(number);
    payload["pull_request"] = written(github, repository, repository.issue(number), false);
    Webhook::new("pull_request", payload)
}

impl Change {
    /// The same, as it is told.
    pub(super) fn login(&self) -> &str {
        &self.by
    }
}
