//! The people of the world. What they do, they do on GitHub; hob hears of it by webhook.

use super::REPO;
use super::github::{GitHub, Job, Merging, OnLines, Verdict};

/// Somebody with an account.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    pub github: &'a GitHub,
    pub login: &'a str,
}

impl Person<'_> {
    fn repo(&self) -> String {
        self.github.now_called(REPO)
    }

    /// Opens an issue. The scripted agent finds its scenario in the text.
    pub async fn opens_issue(&self, title: &str, body: &str) -> u64 {
        self.github.open_issue(&self.repo(), self.login, title, body).await
    }

    /// Puts a label on an issue; tells what hob answered the webhook.
    pub async fn labels(&self, issue: u64, label: &str) -> u16 {
        self.github.label_issue(&self.repo(), issue, self.login, label).await.status
    }

    /// Takes a label off an issue.
    pub async fn unlabels(&self, issue: u64, label: &str) {
        self.github.unlabel_issue(&self.repo(), issue, self.login, label).await;
    }

    /// Closes an issue, or `locks`, `transfers` or `deletes` it: GitHub's word for the webhook's
    /// action.
    pub async fn ends(&self, issue: u64, action: &str) -> u16 {
        self.github.end_issue(&self.repo(), issue, self.login, action).await.status
    }

    /// Assigns an issue to an account.
    pub async fn assigns(&self, issue: u64, to: &str) -> u16 {
        self.github.assign_issue(&self.repo(), issue, self.login, to).await.status
    }

    /// Changes an issue. GitHub lets its author, and who may push.
    pub fn edits(&self, issue: u64, title: &str, body: &str) {
        self.github.edit_issue_as(&self.repo(), issue, self.login, title, body);
    }

    /// Writes a comment on an issue or pull request; tells the comment's id.
    pub async fn comments(&self, issue: u64, text: &str) -> u64 {
        self.github.comment(&self.repo(), issue, self.login, text).await
    }

    /// Ticks the box of an option in a comment: the first with this text that is open. Tells the
    /// webhook's GUID.
    pub async fn ticks(&self, comment: u64, option: &str) -> String {
        self.ticks_nth(comment, option, 0).await
    }

    /// The same, where several boxes have the same text.
    pub async fn ticks_nth(&self, comment: u64, option: &str, nth: usize) -> String {
        let text = self.github.comment_text(&self.repo(), comment);
        let open = format!("- [ ] {option}");
        let at =
            text.match_indices(&open).nth(nth).unwrap_or_else(|| panic!("no box {option:?} in: {text}")).0;
        let ticked = format!("{}- [x] {option}{}", &text[..at], &text[at + open.len()..]);
        self.rewrites(comment, &ticked).await
    }

    /// Changes the text of a comment, whosever it is. Tells the webhook's GUID.
    pub async fn rewrites(&self, comment: u64, text: &str) -> String {
        self.github.edit_comment(&self.repo(), self.login, comment, text).await.guid
    }

    /// Closes a pull request.
    pub async fn closes(&self, pull: u64) {
        self.github.close_pull(&self.repo(), pull, self.login).await;
    }

    /// Opens a pull request again.
    pub async fn reopens(&self, pull: u64) {
        self.github.reopen_pull(&self.repo(), pull, self.login).await;
    }

    /// Merges a pull request.
    pub async fn merges(&self, pull: u64, how: Merging) {
        self.github.merge_pull(&self.repo(), pull, self.login, how).await;
    }

    /// Reviews a pull request; tells the ids of the comments on lines.
    pub async fn reviews(&self, pull: u64, verdict: Verdict, body: &str, comments: &[OnLines]) -> Vec<u64> {
        self.github.review(&self.repo(), pull, self.login, verdict, body, comments).await
    }

    /// Approves a pull request, without a word.
    pub async fn approves(&self, pull: u64) {
        self.reviews(pull, Verdict::Approved, "", &[]).await;
    }

    /// Answers in the thread of a comment on lines; tells the new comment's id.
    pub async fn replies_in_thread(&self, comment: u64, text: &str) -> u64 {
        self.github.reply_in_thread(&self.repo(), self.login, comment, text).await
    }

    /// Pushes a commit.
    pub async fn pushes(&self, branch: &str, files: &[(&str, &str)], message: &str) -> String {
        self.github.push_commit(&self.repo(), branch, files, message, self.login).await
    }
    /// Presses a button of a check run of hob's, or its "Re-run"; tells what hob answered the
    /// webhook.
    pub async fn presses(&self, button: Option<&str>, check_run: u64) -> u16 {
        self.github.press(&self.repo(), self.login, check_run, button).await.status
    }

    /// Presses "Re-run all checks" on a commit.
    pub async fn reruns_all(&self, sha: &str) -> u16 {
        self.github.rerun_all(&self.repo(), self.login, sha).await.status
    }
}

/// What looks at commits.
#[derive(Clone, Copy)]
pub struct Ci<'a> {
    pub github: &'a GitHub,
}

impl Ci<'_> {
    fn repo(&self) -> String {
        self.github.now_called(REPO)
    }

    /// A job of the workflow "CI" fails. Tells the check run's id, which is the job's.
    pub async fn fails(&self, job: &str, sha: &str, log: &str) -> u64 {
        self.runs(sha, &[Job { name: job, conclusion: "failure", log: Some(log) }]).await[0]
    }

    /// A job of the workflow "CI" passes.
    pub async fn passes(&self, job: &str, sha: &str) -> u64 {
        self.runs(sha, &[Job { name: job, conclusion: "success", log: Some("all good\n") }]).await[0]
    }

    /// A run of the workflow "CI" ends, with these jobs.
    pub async fn runs(&self, sha: &str, jobs: &[Job<'_>]) -> Vec<u64> {
        self.github.run_workflow(&self.repo(), "CI", sha, jobs).await
    }

    /// A workflow cannot start.
    pub async fn cannot_start(&self, workflow: &str, sha: &str) {
        self.github.fail_to_start(&self.repo(), workflow, sha).await;
    }

    /// A service sets a commit status: `success`, `failure`, `error` or `pending`.
    pub async fn sets_status(&self, context: &str, sha: &str, state: &str, description: &str) {
        self.github.set_status(&self.repo(), context, sha, state, description).await;
    }

    /// An App of somebody else's finds something wrong and says it in its check run: title,
    /// summary, text, annotations.
    pub async fn lint_fails(
        &self,
        name: &str,
        sha: &str,
        output: [&str; 3],
        notes: Vec<serde_json::Value>,
    ) -> u64 {
        self.github.lint(&self.repo(), name, sha, "failure", output, notes).await
    }
}
