//! Reviews of pull requests: what people do with them, the routes about them, and the webhook that
//! tells of them. As on GitHub every comment on lines belongs to a review; one that is written
//! alone, or a reply, makes a review of its own without a text.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::GitHub;
use super::call::{Call, Reply};
use super::description::example;
use super::issues::{add_reaction, with_html};
use super::state::{Issue, Reaction, Repository, State};
use super::webhooks::{Outgoing, Webhook, fill};
use super::writer::{node_id, put, time};

/// GitHub's example of the webhook.
const SUBMITTED: &str = include_str!("../../../data/webhooks/pull_request_review.submitted.json");

/// What a reviewer thinks, as they choose it on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Approved,
    ChangesRequested,
    Commented,
}

impl Verdict {
    /// GitHub's word for it, in answers. Webhooks have it in small letters.
    fn word(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::ChangesRequested => "CHANGES_REQUESTED",
            Self::Commented => "COMMENTED",
        }
    }
}

/// A comment on lines, as somebody writes it.
#[derive(Debug, Clone)]
pub struct OnLines {
    file: String,
    lines: (u32, u32),
    text: String,
}

/// A comment on one line of a file, as it is after the change.
pub fn on(file: &str, line: u32, text: &str) -> OnLines {
    on_lines(file, (line, line), text)
}

/// The same on several lines.
pub fn on_lines(file: &str, lines: (u32, u32), text: &str) -> OnLines {
    OnLines { file: file.to_owned(), lines, text: text.to_owned() }
}

/// What is said about a pull request beside its conversation.
#[derive(Default)]
pub(super) struct Talk {
    reviews: Vec<Review>,
    comments: Vec<ReviewComment>,
    /// The owner of the fork that it comes from.
    pub(super) fork: Option<String>,
}

struct Review {
    id: u64,
    author: String,
    verdict: Verdict,
    body: String,
    commit: String,
    at: Timestamp,
    is_dismissed: bool,
}

struct ReviewComment {
    id: u64,
    review: u64,
    in_reply_to: Option<u64>,
    author: String,
    body: String,
    file: String,
    lines: (u32, u32),
    /// The head when its thread was begun.
    commit: String,
    hunk: String,
    at: Timestamp,
    reactions: Vec<Reaction>,
}

/// A comment on lines, as tests read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadComment {
    pub id: u64,
    /// The first comment of its thread, where it is not that itself.
    pub in_reply_to: Option<u64>,
    pub author: String,
    pub body: String,
    /// Login and content.
    pub reactions: Vec<(String, String)>,
}

impl Talk {
    fn comment_mut(&mut self, id: u64) -> Option<&mut ReviewComment> {
        self.comments.iter_mut().find(|comment| comment.id == id)
    }
}

fn talk(repository: &Repository, number: u64) -> Option<(&Issue, &Talk)> {
    let issue = repository.issues.get(&number)?;
    Some((issue, &issue.pull.as_ref()?.talk))
}

/// The pull request of a comment on lines.
fn pull_of(repository: &Repository, comment: u64) -> Option<u64> {
    let has = |issue: &&Issue| {
        issue.pull.as_ref().is_some_and(|part| part.talk.comments.iter().any(|c| c.id == comment))
    };
    repository.issues.values().find(has).map(|issue| issue.number)
}

impl GitHub {
    /// Reviews a pull request; tells the ids of the comments on lines.
    pub async fn review(
        &self,
        repo: &str,
        pull: u64,
        login: &str,
        verdict: Verdict,
        body: &str,
        comments: &[OnLines],
    ) -> Vec<u64> {
        let (ids, webhook) = self.change(|state| {
            let review = state.new_id();
            let ids: Vec<u64> = comments.iter().map(|_| state.new_id()).collect();
            let repository = state.repository_mut(repo);
            let part = repository.issue(pull).pull.as_ref().expect("a pull request");
            let head = repository.bare.tip(&part.head).expect("a branch");
            let diff = repository.bare.diff(&part.base, &part.head);
            let now = Timestamp::now();
            let made: Vec<ReviewComment> = comments
                .iter()
                .zip(&ids)
                .map(|(comment, id)| ReviewComment {
                    id: *id,
                    review,
                    in_reply_to: None,
                    author: login.to_owned(),
                    body: comment.text.clone(),
                    hunk: hunk(&diff, &comment.file, comment.lines.1),
                    file: comment.file.clone(),
                    lines: comment.lines,
                    commit: head.clone(),
                    at: now,
                    reactions: Vec::new(),
                })
                .collect();
            let issue = repository.issue_mut(pull);
            issue.pull.as_mut().expect("a pull request").talk.comments.extend(made);
            submit(
                issue,
                Review {
                    id: review,
                    author: login.to_owned(),
                    verdict,
                    body: body.to_owned(),
                    commit: head,
                    at: now,
                    is_dismissed: false,
                },
            );
            (ids, submitted(self, state, repo, pull, review))
        });
        self.deliver(webhook).await;
        ids
    }

    /// Dismisses the newest review of a pull request. hob does not listen to the webhook of that,
    /// and none is sent.
    pub fn dismiss_review(&self, repo: &str, pull: u64) {
        self.change(|state| {
            let part = state.repository_mut(repo).issue_mut(pull).pull.as_mut().expect("a pull request");
            part.talk.reviews.last_mut().expect("a review").is_dismissed = true;
        });
    }

    /// Answers in the thread of a comment; tells the new comment's id.
    pub async fn reply_in_thread(&self, repo: &str, login: &str, comment: u64, body: &str) -> u64 {
        let (id, webhook) = self.change(|state| {
            let pull = pull_of(state.repository(repo), comment).expect("a comment on lines");
            let (id, review) = reply(state, repo, pull, comment, login, body).expect("a thread");
            (id, submitted(self, state, repo, pull, review))
        });
        self.deliver(webhook).await;
        id
    }

    /// Every comment on lines of a pull request, oldest first.
    pub fn thread_comments(&self, repo: &str, pull: u64) -> Vec<ThreadComment> {
        let state = self.state();
        let Some((_, talk)) = talk(state.repository(repo), pull) else { return Vec::new() };
        let read = |comment: &ReviewComment| ThreadComment {
            id: comment.id,
            in_reply_to: comment.in_reply_to,
            author: comment.author.clone(),
            body: comment.body.clone(),
            reactions: comment.reactions.iter().map(|r| (r.author.clone(), r.content.clone())).collect(),
        };
        talk.comments.iter().map(read).collect()
    }

    /// The ids of the reviews of a pull request, oldest first, with who wrote them.
    pub fn reviews_of(&self, repo: &str, pull: u64) -> Vec<(u64, String)> {
        let state = self.state();
        let talk = talk(state.repository(repo), pull);
        talk.map(|(_, talk)| talk.reviews.iter().map(|r| (r.id, r.author.clone())).collect())
            .unwrap_or_default()
    }

    /// Opens a pull request from a fork. Its branch is played by one of the repository's own.
    pub fn open_fork_pull(&self, repo: &str, login: &str, title: &str, head: &str, base: &str) -> u64 {
        let number = self.open_pull(repo, login, title, head, base);
        self.change(|state| {
            let issue = state.repository_mut(repo).issue_mut(number);
            issue.pull.as_mut().expect("a pull request").talk.fork = Some(login.to_owned());
        });
        number
    }
}

/// Anyone who has reviewed is not asked any more.
fn submit(issue: &mut Issue, review: Review) {
    issue.updated = review.at;
    let part = issue.pull.as_mut().expect("a pull request");
    part.reviewers.retain(|login| *login != review.author);
    part.talk.reviews.push(review);
}

/// Writes an answer, with the review that it makes; tells the ids of both.
fn reply(state: &mut State, repo: &str, pull: u64, to: u64, login: &str, body: &str) -> Option<(u64, u64)> {
    let (id, review) = (state.new_id(), state.new_id());
    let repository = state.repository_mut(repo);
    let (_, talk) = talk(repository, pull)?;
    let to = talk.comments.iter().find(|comment| comment.id == to)?;
    let now = Timestamp::now();
    let made = ReviewComment {
        id,
        review,
        in_reply_to: Some(to.in_reply_to.unwrap_or(to.id)),
        author: login.to_owned(),
        body: body.to_owned(),
        file: to.file.clone(),
        lines: to.lines,
        commit: to.commit.clone(),
        hunk: to.hunk.clone(),
        at: now,
        reactions: Vec::new(),
    };
    let part = repository.issue(pull).pull.as_ref()?;
    let commit = repository.bare.tip(&part.head).unwrap_or_else(|| part.head_sha.clone());
    let issue = repository.issue_mut(pull);
    issue.pull.as_mut()?.talk.comments.push(made);
    let (author, body) = (login.to_owned(), String::new());
    submit(
        issue,
        Review {
            id: review,
            author,
            verdict: Verdict::Commented,
            body,
            commit,
            at: now,
            is_dismissed: false,
        },
    );
    Some((id, review))
}

/// `pull_request_review`: submitted.
fn submitted(github: &GitHub, state: &State, repo: &str, pull: u64, review: u64) -> Webhook {
    let repository = state.repository(repo);
    let (issue, talk) = talk(repository, pull).expect("a pull request");
    let review = talk.reviews.iter().find(|other| other.id == review).expect("the review");
    let mut payload: Value = serde_json::from_str(SUBMITTED).expect("an example payload is JSON");
    fill(github, state, &mut payload, repository, None, &review.author);
    payload["pull_request"] = super::pulls::written(github, repository, issue, true);
    let page = format!("{}/{}/pull/{pull}", github.git_url(), repository.full_name);
    put(
        &mut payload["review"],
        json!({
            "id": review.id, "node_id": node_id("PullRequestReview", review.id),
            "user": github.writer().user(&review.author), "commit_id": review.commit,
            "body": if review.body.is_empty() { Value::Null } else { json!(review.body) },
            "state": review.verdict.word().to_lowercase(), "submitted_at": time(review.at),
            "html_url": format!("{page}#pullrequestreview-{}", review.id),
            "author_association": repository.association(&review.author),
        }),
    );
    Webhook { event: "pull_request_review", payload }
}

/// The part of a diff that a comment on this line stands under: from its hunk's head to the line.
fn hunk(diff: &str, file: &str, line: u32) -> String {
    let of_file = format!("+++ b/{file}");
    let mut lines = diff.lines().skip_while(|text| *text != of_file).skip(1);
    let mut hunk: Vec<&str> = Vec::new();
    let mut at = 0;
    for text in lines.by_ref().take_while(|text| !text.starts_with("diff --git ")) {
        if let Some(head) = text.strip_prefix("@@ ") {
            let new = head.split(" +").nth(1).and_then(|rest| rest.split([',', ' ']).next());
            at = new.and_then(|number| number.parse::<u32>().ok()).expect("a hunk's head") - 1;
            hunk = vec![text];
            continue;
        }
        hunk.push(text);
        at += u32::from(!text.starts_with('-') && !text.starts_with('\\'));
        if at == line {
            return hunk.join("\n");
        }
    }
    panic!("GitHub takes no comment on line {line} of {file}: it is not in the diff\n{diff}");
}

fn review_value(github: &GitHub, repository: &Repository, pull: u64, review: &Review) -> Value {
    let mut value = example("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews")[0].take();
    github.writer().localise(&mut value, repository);
    let page = format!("{}/{}/pull/{pull}", github.git_url(), repository.full_name);
    let state = if review.is_dismissed { "DISMISSED" } else { review.verdict.word() };
    put(
        &mut value,
        json!({
            "id": review.id, "node_id": node_id("PullRequestReview", review.id),
            "user": github.writer().user(&review.author), "body": review.body, "state": state,
            "commit_id": review.commit, "submitted_at": time(review.at),
            "html_url": format!("{page}#pullrequestreview-{}", review.id),
            "author_association": repository.association(&review.author),
        }),
    );
    value
}

fn comment_value(github: &GitHub, repository: &Repository, pull: u64, comment: &ReviewComment) -> Value {
    let mut value = example("GET /repos/{owner}/{repo}/pulls/{pull_number}/comments")[0].take();
    github.writer().localise(&mut value, repository);
    let head = repository.issue(pull).pull.as_ref().and_then(|part| repository.bare.tip(&part.head));
    let head = head.unwrap_or_else(|| comment.commit.clone());
    let (first, last) = comment.lines;
    let text = |commit: &str| {
        let file = repository.bare.file_at(commit, &comment.file)?;
        let lines = file.lines().skip(first as usize - 1).take((last - first + 1) as usize);
        Some(lines.map(str::to_owned).collect::<Vec<_>>())
    };
    // Lines that have changed since are shown as outdated: they are at no place any more.
    let is_outdated = text(&head) != text(&comment.commit);
    let start = (first < last).then_some(first);
    let page = format!("{}/{}/pull/{pull}", github.git_url(), repository.full_name);
    put(
        &mut value,
        json!({
            "id": comment.id, "node_id": node_id("PullRequestReviewComment", comment.id),
            "pull_request_review_id": comment.review, "user": github.writer().user(&comment.author),
            "body": comment.body, "path": comment.file, "diff_hunk": comment.hunk, "side": "RIGHT",
            "commit_id": if is_outdated { &comment.commit } else { &head },
            "original_commit_id": comment.commit,
            "line": if is_outdated { Value::Null } else { json!(last) }, "original_line": last,
            "start_line": if is_outdated { Value::Null } else { json!(start) }, "original_start_line": start,
            "start_side": start.map(|_| "RIGHT"), "subject_type": "line",
            "created_at": time(comment.at), "updated_at": time(comment.at),
            "html_url": format!("{page}#discussion_r{}", comment.id),
            "author_association": repository.association(&comment.author),
        }),
    );
    let fields = value.as_object_mut().expect("an object");
    fields.remove("in_reply_to_id");
    if let Some(first) = comment.in_reply_to {
        fields.insert("in_reply_to_id".to_owned(), json!(first));
    }
    // GitHub leaves what is null away in some, and its description allows null in others.
    fields.retain(|name, value| !(value.is_null() && matches!(name.as_str(), "line" | "start_side")));
    value
}

pub(super) fn list(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (repository, pull) = (state.repository(&call.repository()), call.number("pull_number"));
    let Some((_, talk)) = talk(repository, pull) else { return Reply::not_found() };
    let all: Vec<Value> = talk
        .reviews
        .iter()
        .map(|r| with_html(github, call, review_value(github, repository, pull, r)))
        .collect();
    Reply::page(github, call, &all)
}

pub(super) fn list_comments(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (repository, pull) = (state.repository(&call.repository()), call.number("pull_number"));
    let Some((_, talk)) = talk(repository, pull) else { return Reply::not_found() };
    let all = talk.comments.iter().map(|comment| comment_value(github, repository, pull, comment));
    let all = all.map(|written| with_html(github, call, written));
    Reply::page(github, call, &all.collect::<Vec<_>>())
}

pub(super) fn reply_to_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (name, pull) = (call.repository(), call.number("pull_number"));
    let to = call.number("comment_id");
    let body = call.text("body").expect("checked against the description").to_owned();
    let is_first = |talk: &Talk| talk.comments.iter().any(|c| c.id == to && c.in_reply_to.is_none());
    if !talk(state.repository(&name), pull).is_some_and(|(_, talk)| is_first(talk)) {
        // Also of an answer: those have no answers of their own.
        return Reply::not_found();
    }
    let login = call.actor.login().to_owned();
    let Some((id, review)) = reply(state, &name, pull, to, &login, &body) else { return Reply::not_found() };
    let webhook = submitted(github, state, &name, pull, review);
    state.outgoing.push(Outgoing::New(webhook));
    let repository = state.repository(&name);
    let (_, talk) = talk(repository, pull).expect("a pull request");
    let made = talk.comments.iter().find(|comment| comment.id == id).expect("the answer");
    Reply::new(201, comment_value(github, repository, pull, made))
}

pub(super) fn delete_comment(_: &GitHub, state: &mut State, call: &Call) -> Reply {
    let (repository, id) = (state.repository_mut(&call.repository()), call.number("comment_id"));
    let Some(pull) = pull_of(repository, id) else { return Reply::not_found() };
    let part = repository.issue_mut(pull).pull.as_mut().expect("a pull request");
    part.talk.comments.retain(|comment| comment.id != id);
    Reply::new(204, Value::Null)
}

pub(super) fn react_to_comment(github: &GitHub, state: &mut State, call: &Call) -> Reply {
    let reaction = state.new_id();
    let (repository, id) = (state.repository_mut(&call.repository()), call.number("comment_id"));
    let Some(pull) = pull_of(repository, id) else { return Reply::not_found() };
    let part = repository.issue_mut(pull).pull.as_mut().expect("a pull request");
    let comment = part.talk.comment_mut(id).expect("the comment");
    add_reaction(github, &mut comment.reactions, reaction, call)
}
