//! What tests read from the played GitHub: the state as it is now, and the record of what was
//! asked.

use std::path::PathBuf;

use super::GitHub;
use super::repository::CommitInfo;
use super::routes::RequestLog;
use super::state::{self, State};
use super::webhooks::Delivery;

/// A comment on an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Unique on this GitHub.
    pub id: u64,
    /// The login.
    pub author: String,
    /// Markdown.
    pub body: String,
    /// Login and content (`eyes`, `+1`, …), in the order given.
    pub reactions: Vec<(String, String)>,
    /// Every text that it has had, the first included, each with a number that grows over all
    /// comments.
    pub revisions: Vec<(u64, String)>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Its number, counted together with the issues.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The login of who made it.
    pub author: String,
    /// The branch with the work.
    pub head: String,
    /// The branch it should go to.
    pub base: String,
    /// Whether it is not ready for review.
    pub draft: bool,
    /// `open` or `closed`.
    pub state: String,
    /// Logins of people whose review was requested.
    pub reviewers: Vec<String>,
}

impl GitHub {
    /// The numbers of all issues and pull requests, in order.
    pub fn issues(&self, repo: &str) -> Vec<u64> {
        self.look(|state| state.repository(repo).issues.keys().copied().collect())
    }

    /// The comments on an issue or pull request, oldest first.
    pub fn comments(&self, repo: &str, number: u64) -> Vec<Comment> {
        let comment = |comment: &state::Comment| Comment {
            id: comment.id,
            author: comment.author.clone(),
            body: comment.body.clone(),
            reactions: pairs(&comment.reactions),
            revisions: comment.revisions.clone(),
        };
        self.look(|state| state.repository(repo).issue(number).comments.iter().map(comment).collect())
    }

    /// The text of a comment.
    pub fn comment_text(&self, repo: &str, id: u64) -> String {
        self.look(|state| state.repository(repo).comment(id).expect("the comment").1.body.clone())
    }

    /// Login and content of the reactions to an issue's own text, in the order given.
    pub fn issue_reactions(&self, repo: &str, number: u64) -> Vec<(String, String)> {
        self.look(|state| pairs(&state.repository(repo).issue(number).reactions))
    }

    /// Whether an issue or pull request is open.
    pub fn is_open(&self, repo: &str, number: u64) -> bool {
        self.look(|state| state.repository(repo).issue(number).is_open)
    }

    /// The labels of an issue, in the order given.
    pub fn labels(&self, repo: &str, number: u64) -> Vec<String> {
        self.look(|state| state.repository(repo).issue(number).labels.clone())
    }

    /// The colour of a label that was made with one.
    pub fn label_color(&self, repo: &str, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        self.look(|state| state.repository(repo).labels.get(&name).map(|(color, _)| color.clone()))
    }

    /// The pull requests, oldest first, open or not.
    pub fn pulls(&self, repo: &str) -> Vec<Pull> {
        let pull = |issue: &state::Issue| {
            let part = issue.pull.as_ref()?;
            Some(Pull {
                number: issue.number,
                title: issue.title.clone(),
                body: issue.body.clone().unwrap_or_default(),
                author: issue.author.clone(),
                head: part.head.clone(),
                base: part.base.clone(),
                draft: part.draft,
                state: if issue.is_open { "open" } else { "closed" }.to_owned(),
                reviewers: part.reviewers.clone(),
            })
        };
        self.look(|state| state.repository(repo).issues.values().filter_map(pull).collect())
    }

    /// Every attempt to deliver a webhook, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.look(|state| state.deliveries.clone())
    }

    /// Every request that was answered or cut, oldest first.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.look(|state| state.requests.clone())
    }

    /// What hob did that it must not do on the real GitHub, and what is wrong with the played one:
    /// unknown routes, requests and answers that do not match the description, wrong tokens.
    pub fn violations(&self) -> Vec<String> {
        self.look(|state| state.violations.clone())
    }

    /// The same, and forgets them: for a test that provokes some.
    pub fn take_violations(&self) -> Vec<String> {
        self.change(|state| std::mem::take(&mut state.violations))
    }

    /// The faults that were asked for and that no request has met, in words.
    pub fn unused_faults(&self) -> Vec<String> {
        self.look(|state| state.faults.unused())
    }

    /// How many git requests came with credentials that were not accepted.
    pub fn git_auth_failures(&self) -> usize {
        self.look(|state| state.git_auth_failures)
    }

    /// The bare repository on disk.
    pub fn repo_path(&self, repo: &str) -> PathBuf {
        self.look(|state| state.repository(repo).bare.path().to_owned())
    }

    /// The commits of a branch, newest first; none where there is no such branch.
    pub fn commits(&self, repo: &str, branch: &str) -> Vec<CommitInfo> {
        self.look(|state| state.repository(repo).bare.log(branch))
    }

    /// A file's text at the tip of a branch.
    pub fn file_at(&self, repo: &str, branch: &str, path: &str) -> Option<String> {
        self.look(|state| state.repository(repo).bare.file(branch, path))
    }

    /// What branch `head` brings over branch `base`, as a pull request shows it.
    pub fn diff(&self, repo: &str, base: &str, head: &str) -> String {
        self.look(|state| state.repository(repo).bare.diff(base, head))
    }

    /// The paths that a branch changes over `main`; none where there is no such branch.
    pub fn diff_files(&self, repo: &str, head: &str) -> Vec<String> {
        if self.commits(repo, head).is_empty() {
            return Vec::new();
        }
        let diff = self.diff(repo, "main", head);
        let names = diff.lines().filter_map(|line| line.strip_prefix("diff --git a/"));
        names.map(|line| line.split(" b/").next().unwrap_or_default().to_owned()).collect()
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state())
    }
}

fn pairs(reactions: &[state::Reaction]) -> Vec<(String, String)> {
    reactions.iter().map(|reaction| (reaction.author.clone(), reaction.content.clone())).collect()
}
