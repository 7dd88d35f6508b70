//! JSON as GitHub would write it: an example of GitHub's own, with the values of the state put in.
//! So an answer has every field a real one has, also those that nobody here thought of.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::{APP_ID, APP_LOGIN, APP_SLUG, INSTALLATION_ID};
use super::description::example;
use super::repository::Distance;
use super::state::{Comment, Issue, Permission, PullPart, Reaction, Repository};

/// The repositories that GitHub's examples are about.
const EXAMPLE_REPOSITORIES: [&str; 3] =
    ["octocat/Hello-World", "Codertocat/Hello-World", "Octocoders/Hello-World"];

/// What a pull request's branches hold at the moment.
pub(super) struct PullFacts {
    pub(super) head_sha: String,
    pub(super) base_sha: String,
    pub(super) distance: Distance,
}

/// Writes answers whose links lead to this server.
pub(super) struct Writer {
    /// The address of the API.
    pub(super) api: String,
    /// The address of the pages and repositories.
    pub(super) web: String,
    /// Ids of accounts whose login has changed hands, by lower-case login.
    pub(super) accounts: HashMap<String, u64>,
    /// What hob's own accounts are called where they were renamed, by what they are called in here.
    pub(super) own: HashMap<String, String>,
}

impl Writer {
    /// The id of the account that has a login now.
    pub(super) fn account_id(&self, login: &str) -> u64 {
        self.accounts.get(&login.to_ascii_lowercase()).copied().unwrap_or_else(|| user_id(login))
    }

    /// An account, as it appears inside other answers.
    pub(super) fn user(&self, login: &str) -> Value {
        let id = self.account_id(login);
        let login = self.own.get(login).map_or(login, String::as_str);
        let mut user = example("POST /repos/{owner}/{repo}/issues/{issue_number}/comments")["user"].take();
        let in_addresses = login.replace('[', "%5B").replace(']', "%5D");
        each_text(&mut user, &mut |text| {
            *text =
                text.replace("https://api.github.com", &self.api).replace("https://github.com", &self.web);
            *text = text.replace("octocat", &in_addresses);
        });
        let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
        let own = json!({"login": login, "id": id, "node_id": node_id("User", id), "type": kind});
        merged(user, own)
    }

    /// The answer to `GET /user`.
    pub(super) fn private_user(&self, login: &str) -> Value {
        let own = self.user(login);
        let own =
            merged(own, json!({"name": login, "email": null, "blog": "", "bio": null, "company": null}));
        merged(example("GET /user"), own)
    }

    /// The answer to `GET /app`.
    pub(super) fn app(&self) -> Value {
        let own = json!({
            "id": APP_ID, "slug": APP_SLUG, "node_id": node_id("App", APP_ID), "owner": self.user("acme"),
            "name": "hob", "html_url": format!("{}/apps/{APP_SLUG}", self.web),
            "permissions": app_permissions(), "events": APP_EVENTS,
        });
        merged(example("GET /app"), own)
    }

    /// The App's one installation, on the account that owns the repositories.
    pub(super) fn installation(&self, account: &str) -> Value {
        let own = json!({
            "id": INSTALLATION_ID, "account": self.user(account), "app_id": APP_ID, "app_slug": APP_SLUG,
            "target_id": user_id(account), "target_type": "User", "repository_selection": "all",
            "access_tokens_url": format!("{}/app/installations/{INSTALLATION_ID}/access_tokens", self.api),
            "repositories_url": format!("{}/installation/repositories", self.api),
            "html_url": format!("{}/settings/installations/{INSTALLATION_ID}", self.web),
            "permissions": app_permissions(), "events": APP_EVENTS,
            "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
        });
        merged(example("GET /repos/{owner}/{repo}/installation"), own)
    }

    /// The answer to `GET /repos/{owner}/{repo}`, for an account of this permission.
    pub(super) fn full_repository(&self, repository: &Repository, permission: Permission) -> Value {
        let mut value = example("GET /repos/{owner}/{repo}");
        for of_forks in ["parent", "source", "template_repository"] {
            value.as_object_mut().expect("an object").remove(of_forks);
        }
        self.localise(&mut value, repository);
        self.put_repository(&mut value, repository);
        let visibility = if repository.is_private { "private" } else { "public" };
        let archived = repository.is_archived;
        put(
            &mut value,
            json!({"private": repository.is_private, "visibility": visibility, "archived": archived}),
        );
        let permissions = json!({
            "admin": permission >= Permission::Admin, "maintain": permission >= Permission::Maintain,
            "push": permission >= Permission::Write, "triage": permission >= Permission::Triage,
            "pull": permission >= Permission::Read,
        });
        merged(value, json!({"permissions": permissions}))
    }

    /// The answer to `GET /repos/{owner}/{repo}/issues/{issue_number}`.
    pub(super) fn issue(&self, repository: &Repository, issue: &Issue) -> Value {
        let mut value = example("GET /repos/{owner}/{repo}/issues/{issue_number}");
        self.localise(&mut value, repository);
        self.put_issue(&mut value, repository, issue);
        value
    }

    /// A comment, as every route gives it.
    pub(super) fn comment(&self, repository: &Repository, issue: &Issue, comment: &Comment) -> Value {
        let mut value = example("POST /repos/{owner}/{repo}/issues/{issue_number}/comments");
        self.localise(&mut value, repository);
        self.put_comment(&mut value, repository, issue, comment);
        value
    }

    pub(super) fn reaction(&self, reaction: &Reaction) -> Value {
        let own = json!({
            "id": reaction.id, "node_id": node_id("Reaction", reaction.id),
            "user": self.user(&reaction.author), "content": reaction.content, "created_at": time(reaction.created),
        });
        merged(example("POST /repos/{owner}/{repo}/issues/{issue_number}/reactions"), own)
    }

    /// A pull request: whole where it is asked for by number, shorter in lists.
    pub(super) fn pull(
        &self,
        repository: &Repository,
        issue: &Issue,
        part: &PullPart,
        facts: &PullFacts,
        in_list: bool,
    ) -> Value {
        let mut value = if in_list {
            example("GET /repos/{owner}/{repo}/pulls")[0].take()
        } else {
            example("POST /repos/{owner}/{repo}/pulls")
        };
        self.localise(&mut value, repository);
        renumber(&mut value, issue.number);
        for (side, branch, sha) in
            [("head", &part.head, &facts.head_sha), ("base", &part.base, &facts.base_sha)]
        {
            self.put_repository(&mut value[side]["repo"], repository);
            let label = format!("{}:{branch}", repository.owner());
            put(&mut value[side], json!({"label": label, "ref": branch, "sha": sha}));
        }
        if let Some(owner) = &part.talk.fork {
            let (name, id) = (format!("{owner}/{}", repository.name()), user_id(owner) + 1);
            put(
                &mut value["head"]["repo"],
                json!({"id": id, "full_name": name, "owner": self.user(owner), "fork": true}),
            );
            put(
                &mut value["head"],
                json!({"label": format!("{owner}:{}", part.head), "user": self.user(owner)}),
            );
        }
        let statuses = format!("{}/repos/{}/statuses/{}", self.api, repository.full_name, facts.head_sha);
        value["_links"]["statuses"]["href"] = json!(statuses);
        let closed = issue.closed_by.as_ref().map(|closed| time(closed.at));
        let merged_at = closed.clone().filter(|_| part.merged.is_some());
        let merged_by = issue.closed_by.as_ref().filter(|_| part.merged.is_some());
        // GitHub's description of a pull request knows no label without a description.
        let mut labels = self.labels(repository, issue);
        for label in
            labels.as_array_mut().into_iter().flatten().filter(|label| label["description"].is_null())
        {
            label["description"] = json!("");
        }
        let reviewers: Value = part.reviewers.iter().map(|login| self.user(login)).collect();
        put(
            &mut value,
            json!({
                "id": issue.id, "node_id": node_id("PullRequest", issue.id), "number": issue.number,
                "state": state_word(issue), "title": issue.title, "body": issue.body,
                "user": self.user(&issue.author), "author_association": repository.association(&issue.author),
                "draft": part.draft, "locked": false, "active_lock_reason": null, "statuses_url": statuses,
                "labels": labels, "milestone": null, "assignee": null, "assignees": [],
                "requested_reviewers": reviewers, "requested_teams": [], "auto_merge": null,
                "created_at": time(issue.created), "updated_at": time(issue.updated), "closed_at": closed,
                "merged_at": merged_at, "merge_commit_sha": part.merged,
            }),
        );
        if !in_list {
            let distance = &facts.distance;
            put(
                &mut value,
                json!({
                    "merged": part.merged.is_some(), "mergeable": true, "rebaseable": true, "mergeable_state": "clean",
                    "merged_by": merged_by.map(|by| self.user(by.login())), "comments": issue.comments.len(), "review_comments": 0,
                    "commits": distance.commits, "additions": distance.additions,
                    "deletions": distance.deletions, "changed_files": distance.changed_files,
                }),
            );
        }
        value
    }

    /// Makes an example speak of this repository and this server: every address, every account.
    pub(super) fn localise(&self, value: &mut Value, repository: &Repository) {
        each_text(value, &mut |text| {
            for example in EXAMPLE_REPOSITORIES {
                *text = text.replace(example, &repository.full_name);
            }
            *text =
                text.replace("https://api.github.com", &self.api).replace("https://github.com", &self.web);
        });
        self.put_owner(value, repository);
    }

    /// Puts the repository's owner wherever an account stands.
    fn put_owner(&self, value: &mut Value, repository: &Repository) {
        match value {
            Value::Object(fields) if fields.contains_key("login") => *value = self.user(repository.owner()),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.put_owner(field, repository)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_owner(item, repository)),
            _ => {}
        }
    }

    /// Puts a repository's values over an example that is localised already.
    pub(super) fn put_repository(&self, value: &mut Value, repository: &Repository) {
        let id = repository.id;
        let open = repository.issues.values().filter(|issue| issue.is_open).count();
        put(
            value,
            json!({
                "id": id, "node_id": node_id("Repository", id), "name": repository.name(),
                "full_name": repository.full_name, "owner": self.user(repository.owner()),
                "description": null, "language": null, "mirror_url": null, "default_branch": repository.default_branch,
                "open_issues": open, "open_issues_count": open,
            }),
        );
    }

    /// Puts an issue's values over an example that is localised already.
    pub(super) fn put_issue(&self, value: &mut Value, repository: &Repository, issue: &Issue) {
        renumber(value, issue.number);
        let closed = issue.closed_by.as_ref().map(|closed| time(closed.at));
        let closer = issue.closed_by.as_ref().map(|closed| self.user(closed.login()));
        let assignees: Vec<Value> = issue.assignees.iter().map(|login| self.user(login)).collect();
        put(
            value,
            json!({
                "id": issue.id, "node_id": node_id("Issue", issue.id), "number": issue.number,
                "title": issue.title, "body": issue.body, "user": self.user(&issue.author),
                "labels": self.labels(repository, issue), "state": state_word(issue), "locked": issue.is_locked,
                "active_lock_reason": null, "assignee": assignees.first(), "assignees": assignees, "milestone": null,
                "comments": issue.comments.len(), "closed_at": closed, "closed_by": closer,
                "created_at": time(issue.created), "updated_at": time(issue.updated),
                "author_association": repository.association(&issue.author),
            }),
        );
        let fields = value.as_object_mut().expect("an object");
        fields.remove("pull_request");
        if issue.pull.is_some() {
            let page = format!("{}/{}/pull/{}", self.web, repository.full_name, issue.number);
            let own = json!({
                "url": format!("{}/repos/{}/pulls/{}", self.api, repository.full_name, issue.number),
                "html_url": page, "diff_url": format!("{page}.diff"), "patch_url": format!("{page}.patch"),
                "merged_at": null,
            });
            fields.insert("pull_request".to_owned(), own);
            fields.insert("html_url".to_owned(), json!(page));
        }
    }

    /// Puts a comment's values over an example that is localised already.
    pub(super) fn put_comment(
        &self,
        value: &mut Value,
        repository: &Repository,
        issue: &Issue,
        comment: &Comment,
    ) {
        let kind = if issue.pull.is_some() { "pull" } else { "issues" };
        let api = format!("{}/repos/{}/issues", self.api, repository.full_name);
        let page = format!("{}/{}/{kind}/{}", self.web, repository.full_name, issue.number);
        put(
            value,
            json!({
                "id": comment.id, "node_id": node_id("IssueComment", comment.id),
                "url": format!("{api}/comments/{}", comment.id),
                "html_url": format!("{page}#issuecomment-{}", comment.id),
                "issue_url": format!("{api}/{}", issue.number),
                "body": comment.body, "user": self.user(&comment.author),
                "created_at": time(comment.created), "updated_at": time(comment.updated),
                "author_association": repository.association(&comment.author),
            }),
        );
    }

    fn labels(&self, repository: &Repository, issue: &Issue) -> Value {
        issue.labels.iter().map(|name| self.label(repository, name)).collect()
    }

    pub(super) fn label(&self, repository: &Repository, name: &str) -> Value {
        let id = user_id(name);
        let plain = ("ededed".to_owned(), None);
        let (color, description) = repository.labels.get(&name.to_lowercase()).unwrap_or(&plain);
        json!({
            "id": id, "node_id": node_id("Label", id), "name": name, "color": color, "default": false,
            "description": description,
            "url": format!("{}/repos/{}/labels/{name}", self.api, repository.full_name),
        })
    }
}

/// What the App may do, as its owner set it up.
/// The events that `docs/setup.md` subscribes the App to.
const APP_EVENTS: [&str; 8] = [
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "check_run",
    "status",
    "push",
    "workflow_run",
];

pub(super) fn app_permissions() -> Value {
    json!({
        "actions": "read", "checks": "write", "contents": "write", "issues": "write", "metadata": "read",
        "pull_requests": "write", "statuses": "write",
    })
}

pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn node_id(kind: &str, id: u64) -> String {
    STANDARD.encode(format!("{:03}:{kind}{id}", kind.len()))
}

/// A number that belongs to a name: always the same, so that nothing needs to remember it.
pub(super) fn user_id(name: &str) -> u64 {
    if name == APP_LOGIN {
        return APP_ID + 1;
    }
    name.to_ascii_lowercase().bytes().fold(7, |sum, byte| (sum * 31 + u64::from(byte)) % 900_000_007)
}

fn state_word(issue: &Issue) -> &'static str {
    if issue.is_open { "open" } else { "closed" }
}

/// Replaces the example's number in every address by this one.
fn renumber(value: &mut Value, number: u64) {
    let old = value["number"].as_u64().expect("an example with a number");
    each_text(value, &mut |text| {
        for kind in ["/issues/", "/pulls/", "/pull/"] {
            let from = format!("{kind}{old}");
            let end = text.find(&from).map(|start| start + from.len());
            let whole = end.is_some_and(|end| !text[end..].starts_with(|next: char| next.is_ascii_digit()));
            if whole {
                *text = text.replacen(&from, &format!("{kind}{number}"), 1);
            }
        }
    });
}

fn each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, change)),
        _ => {}
    }
}

/// Puts these fields over those of an object.
pub(super) fn put(value: &mut Value, fields: Value) {
    let (Value::Object(old), Value::Object(new)) = (value, fields) else { panic!("two objects") };
    old.extend(new);
}

fn merged(mut value: Value, fields: Value) -> Value {
    put(&mut value, fields);
    value
}
