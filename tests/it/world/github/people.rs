//! What people do on the played GitHub. Each act changes the state and sends the webhook that the
//! real one would send, and returns once it is answered.

use super::pushes;
use super::reviews::Talk;
use super::state::{Change, Issue, PullPart};
use super::webhooks::{self, CommentChange, Delivery};
use super::{GitHub, owned};

impl GitHub {
    /// Opens an issue and returns its number.
    pub async fn open_issue(&self, repo: &str, login: &str, title: &str, body: &str) -> u64 {
        let (number, webhook) = self.change(|state| {
            let id = state.new_id();
            let repository = state.repository_mut(repo);
            let number = repository.next_number();
            let issue = Issue::new(id, number, login, title, Some(body.to_owned()));
            repository.issues.insert(number, issue);
            (number, webhooks::issues(self, state, repo, number, login, "opened", None))
        });
        self.deliver(webhook).await;
        number
    }

    /// Puts a label on an issue.
    pub async fn label_issue(&self, repo: &str, number: u64, login: &str, label: &str) -> Delivery {
        let webhook = self.change(|state| {
            state.repository_mut(repo).issue_mut(number).put_label(label, login);
            webhooks::issues(self, state, repo, number, login, "labeled", Some(label))
        });
        self.deliver(webhook).await
    }

    /// Takes a label off an issue.
    pub async fn unlabel_issue(&self, repo: &str, number: u64, login: &str, label: &str) -> Delivery {
        let webhook = self.change(|state| {
            let id = state.new_id();
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.take_label(label);
            issue.note(id, login, "unlabeled", Some(label));
            webhooks::issues(self, state, repo, number, login, "unlabeled", Some(label))
        });
        self.deliver(webhook).await
    }

    /// Closes an issue, or does something else to it that makes it another: `closed`, `locked`,
    /// `transferred`, `deleted`. With the last two it is gone here.
    pub async fn end_issue(&self, repo: &str, number: u64, login: &str, action: &str) -> Delivery {
        let webhook = self.change(|state| {
            let id = state.new_id();
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.note(id, login, action, None);
            if action == "closed" {
                issue.close(login);
            }
            issue.is_locked |= action == "locked";
            let webhook = webhooks::issues(self, state, repo, number, login, action, None);
            if matches!(action, "transferred" | "deleted") {
                state.repository_mut(repo).issues.remove(&number);
            }
            webhook
        });
        self.deliver(webhook).await
    }

    /// Assigns an issue to an account.
    pub async fn assign_issue(&self, repo: &str, number: u64, login: &str, to: &str) -> Delivery {
        let webhook = self.change(|state| {
            let id = state.new_id();
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.assignees.push(to.to_owned());
            issue.note(id, login, "assigned", Some(to));
            let mut webhook = webhooks::issues(self, state, repo, number, login, "assigned", None);
            webhook.set("assignee", self.writer().user(to));
            webhook
        });
        self.deliver(webhook).await
    }

    /// Comments on an issue or pull request and returns the comment's id.
    pub async fn comment(&self, repo: &str, number: u64, login: &str, body: &str) -> u64 {
        let (id, webhook) = self.change(|state| {
            let id = state.new_id();
            state.repository_mut(repo).issue_mut(number).add_comment(id, login, body);
            (id, webhooks::issue_comment(self, state, repo, id, login, CommentChange::Created))
        });
        self.deliver(webhook).await;
        id
    }

    /// Deletes a label of the repository, which takes it off every issue.
    pub fn delete_label(&self, repo: &str, name: &str) {
        self.change(|state| {
            let repository = state.repository_mut(repo);
            repository.labels.remove(&name.to_lowercase());
            for issue in repository.issues.values_mut() {
                if issue.has_label(name) {
                    issue.take_label(name);
                }
            }
        });
    }

    /// Changes the text of a comment, also somebody else's, as who may push can. Returns the
    /// delivery.
    pub async fn edit_comment(&self, repo: &str, login: &str, comment: u64, body: &str) -> Delivery {
        let webhook = self.change(|state| {
            let revision = state.new_id();
            let edited = state.repository_mut(repo).comment_mut(comment).expect("the comment");
            let before = edited.revise(revision, login, body.to_owned());
            let change = CommentChange::Edited { before };
            webhooks::issue_comment(self, state, repo, comment, login, change)
        });
        self.deliver(webhook).await
    }

    /// Opens a pull request for a branch that was pushed, and returns its number. hob does not
    /// listen to that.
    pub fn open_pull(&self, repo: &str, login: &str, title: &str, head: &str, base: &str) -> u64 {
        self.change(|state| {
            let id = state.new_id();
            let repository = state.repository_mut(repo);
            let number = repository.next_number();
            let head_sha = repository.bare.tip(head).expect("a branch that was pushed");
            let mut issue = Issue::new(id, number, login, title, None);
            let (head, base) = (head.to_owned(), base.to_owned());
            issue.pull = Some(PullPart {
                head,
                base,
                draft: false,
                head_sha,
                reviewers: Vec::new(),
                merged: None,
                talk: Talk::default(),
            });
            repository.issues.insert(number, issue);
            number
        })
    }

    /// Marks an issue as blocked by another. No webhook of hob's tells of it.
    pub fn block_issue(&self, repo: &str, number: u64, by: u64) {
        self.change(|state| state.repository_mut(repo).issue_mut(number).blocked_by.push(by));
    }

    /// Closes an issue, and no webhook tells of it.
    pub fn close_quietly(&self, repo: &str, number: u64) {
        self.change(|state| state.repository_mut(repo).issue_mut(number).is_open = false);
    }

    /// Takes a label off an issue, and no webhook tells of it.
    pub fn unlabel_quietly(&self, repo: &str, number: u64, label: &str) {
        self.change(|state| state.repository_mut(repo).issue_mut(number).take_label(label));
    }

    /// Deletes a comment. No webhook is sent: hob must not depend on being told.
    pub fn delete_comment(&self, repo: &str, id: u64) {
        self.change(|state| {
            for issue in state.repository_mut(repo).issues.values_mut() {
                issue.comments.retain(|comment| comment.id != id);
            }
        });
    }

    /// Changes the title and text of an issue, as its author may at any time. No webhook is sent:
    /// hob must not depend on being told.
    pub fn edit_issue(&self, repo: &str, number: u64, title: &str, body: &str) {
        let author = self.state().repository(repo).issue(number).author.clone();
        self.edit_issue_as(repo, number, &author, title, body);
    }

    /// The same, as somebody else.
    pub fn edit_issue_as(&self, repo: &str, number: u64, login: &str, title: &str, body: &str) {
        self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            let change = Change::now(login);
            issue.updated = change.at;
            if issue.title != title {
                issue.title = title.to_owned();
                issue.renames.push(Change::now(login));
            }
            if issue.body.as_deref() != Some(body) {
                issue.body = Some(body.to_owned());
                issue.edited = Some(change);
            }
        });
    }

    /// Sends the ping of a webhook that was just set up.
    pub async fn ping(&self, repo: &str) -> Delivery {
        let webhook = webhooks::ping(self, &self.state(), repo);
        self.deliver(webhook).await
    }

    /// Puts a commit with these files on a branch, as a person who may push there, and returns its
    /// object id. A branch that does not exist begins at `main`.
    pub async fn push_commit(
        &self,
        repo: &str,
        branch: &str,
        files: &[(&str, &str)],
        message: &str,
        login: &str,
    ) -> String {
        let bare = self.state().repository(repo).bare.clone();
        let before = bare.tip(branch);
        let (name, files) = (branch.to_owned(), owned(files));
        let (message, by) = (message.to_owned(), login.to_owned());
        let pushed = tokio::task::spawn_blocking(move || bare.commit(&name, &files, &message, &by));
        let sha = pushed.await.expect("push a commit");
        let webhook = self
            .change(|state| pushes::pushed(self, state, repo, branch, (before.as_ref(), Some(&sha)), login));
        self.deliver(webhook).await;
        sha
    }
}
