//! Branches on the played GitHub: what a push to one tells by webhook, no matter who made it, and
//! what is asked of one over the API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::GitHub;
use super::state::State;
use super::webhooks::{Outgoing, Webhook, fill};
use super::writer::put;

/// GitHub's object id for nothing.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// The tips of a repository's branches.
pub(super) type Branches = BTreeMap<String, String>;

impl GitHub {
    /// Tells of every branch that is elsewhere than it was before.
    pub(super) fn tell_of_pushes(&self, repo: &str, before: &Branches, login: &str) {
        let webhooks = self.change(|state| {
            let after = state.repository(repo).bare.branches();
            let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let moved = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
            let told =
                moved.map(|name| pushed(self, state, repo, name, (before.get(name), after.get(name)), login));
            told.collect::<Vec<_>>()
        });
        for webhook in webhooks {
            // The receiver ends with the runtime only, and then nobody waits for the event.
            let _ = self.inner.outgoing.send(Outgoing::New(webhook));
        }
    }

    /// Makes a branch again at another commit, as somebody does with `git push --force`.
    pub async fn force_branch(&self, repo: &str, branch: &str, to: &str, login: &str) {
        let webhook = self.change(|state| {
            let bare = state.repository(repo).bare.clone();
            let before = bare.tip(branch);
            bare.set(branch, to);
            pushed(self, state, repo, branch, (before.as_ref(), Some(&to.to_owned())), login)
        });
        self.deliver(webhook).await;
    }

    /// Whether a branch can be merged into another without conflicts.
    pub fn is_mergeable(&self, repo: &str, base: &str, head: &str) -> bool {
        self.state().repository(repo).bare.is_mergeable(base, head)
    }

    /// Whether a branch's history holds a commit.
    pub fn has_commit(&self, repo: &str, branch: &str, sha: &str) -> bool {
        self.commits(repo, branch).iter().any(|commit| commit.sha == sha)
    }

    /// The branches, by name, with the commits that they are at.
    pub fn branches(&self, repo: &str) -> BTreeMap<String, String> {
        self.state().repository(repo).bare.branches()
    }

    /// What a branch holds beyond a commit that it descends from.
    pub fn diff_since(&self, repo: &str, since: &str, branch: &str) -> String {
        self.state().repository(repo).bare.diff_since(since, branch)
    }
}

/// `push`: a branch is at another commit.
pub(super) fn pushed(
    github: &GitHub,
    state: &State,
    repository: &str,
    branch: &str,
    (before, after): (Option<&String>, Option<&String>),
    sender: &str,
) -> Webhook {
    let text = include_str!("../../../data/webhooks/push.json");
    let mut payload: Value = serde_json::from_str(text).expect("an example payload is JSON");
    let repository = state.repository(repository);
    fill(github, state, &mut payload, repository, None, sender);
    let id = |sha: Option<&String>| sha.map_or(NOTHING, String::as_str).to_owned();
    put(
        &mut payload,
        json!({
            "ref": format!("refs/heads/{branch}"),
            "before": id(before),
            "after": id(after),
            "created": before.is_none(),
            "deleted": after.is_none(),
            "head_commit": null,
            "pusher": {"name": sender, "email": format!("{sender}@users.noreply.github.com")},
        }),
    );
    Webhook::new("push", payload)
}
