//! What the played GitHub knows: repositories, issues and pull requests, comments, tokens, and the
//! record of what was asked and sent. Plain data; who may change it and how is elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::str::FromStr;

use axum::body::Bytes;
use axum::http::HeaderMap;
use jiff::Timestamp;

use super::account::{APP_LOGIN, InstallationToken, USER_LOGIN};
use super::assets::Asset;
use super::checks::Checks;
use super::faults::Faults;
use super::repository::Bare;
use super::reviews::Talk;
use super::routes::RequestLog;
use super::webhooks::{Delivery, Hook, Outgoing};
use super::writer::user_id;

/// An answer as it was sent.
#[derive(Clone)]
pub(super) struct LastAnswer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What a test has changed about the App.
#[derive(Default)]
pub(super) struct AppPage {
    /// Permissions that it has in place of the usual ones.
    pub(super) permissions: Option<serde_json::Value>,
    /// Events that it is told of in place of the usual ones.
    pub(super) events: Option<Vec<String>>,
    /// Whether every account can install it.
    pub(super) is_public: bool,
    /// Whether it is installed nowhere.
    pub(super) is_uninstalled: bool,
}

#[derive(Default)]
pub(super) struct State {
    /// By lower-case full name.
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) installation_tokens: HashMap<String, InstallationToken>,
    pub(super) hook: Option<Hook>,
    /// Webhooks about what a request did, taken and sent once the request is answered.
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) requests: Vec<RequestLog>,
    pub(super) violations: Vec<String>,
    pub(super) git_auth_failures: usize,
    pub(super) faults: Faults,
    /// The last good answer to each `GET` of the API, by its address without `since`, for lists
    /// that are behind.
    pub(super) answers: HashMap<String, LastAnswer>,
    /// What people have attached, by its id.
    pub(super) assets: HashMap<String, Asset>,
    /// Old names of repositories that were renamed, with the new ones.
    pub(super) renamed: Vec<(String, String)>,
    /// What was set on the App's page, over what is usual.
    pub(super) app_page: AppPage,
    /// How many repositories were made. Each has an id of its own, also one that has the name of an
    /// earlier one.
    pub(super) created: u64,
    /// How often the App was installed again.
    pub(super) reinstalled: u64,
    last_id: u64,
}

impl State {
    /// A new id for a comment, issue or reaction: unique over all of them.
    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        // Real ids left 32 bits behind in 2024; anyone who keeps one in an i32 should notice here.
        3_000_000_000 + self.last_id
    }

    pub(super) fn repository(&self, full_name: &str) -> &Repository {
        self.repositories
            .get(&full_name.to_ascii_lowercase())
            .unwrap_or_else(|| panic!("the test made no repository {full_name}"))
    }

    pub(super) fn repository_mut(&mut self, full_name: &str) -> &mut Repository {
        self.repositories
            .get_mut(&full_name.to_ascii_lowercase())
            .unwrap_or_else(|| panic!("the test made no repository {full_name}"))
    }

    pub(super) fn violation(&mut self, text: String) {
        self.violations.push(text);
    }
}

/// What an account may do in a repository, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Permission {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

impl Permission {
    /// The role, as in `role_name`.
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }

    /// The older, coarser word, as in `permission`: maintain counts as write, triage as read.
    pub(super) fn legacy(self) -> &'static str {
        match self {
            Self::Maintain => "write",
            Self::Triage => "read",
            other => other.role(),
        }
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::None, Self::Read, Self::Triage, Self::Write, Self::Maintain, Self::Admin]
            .into_iter()
            .find(|permission| permission.role() == text)
            .ok_or_else(|| format!("{text} is no permission of GitHub's"))
    }
}

pub(super) struct Repository {
    /// Stays the same whatever it is called.
    pub(super) id: u64,
    pub(super) full_name: String,
    pub(super) bare: Bare,
    /// The branch that others begin at.
    pub(super) default_branch: String,
    /// Old names of branches, with the new ones.
    pub(super) renamed_branches: Vec<(String, String)>,
    /// Whether it can only be read.
    pub(super) is_archived: bool,
    /// Whether only some may see it.
    pub(super) is_private: bool,
    /// Whether its plan has drafts.
    pub(super) has_drafts: bool,
    /// By lower-case login. Who is not here may read what is public.
    pub(super) permissions: HashMap<String, Permission>,
    /// Issues and pull requests, which GitHub counts together.
    /// Labels that were made with a colour of their own, by name in lower case.
    pub(super) labels: BTreeMap<String, (String, Option<String>)>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) checks: Checks,
}

impl Repository {
    pub(super) fn new(full_name: &str, path: PathBuf) -> Self {
        let (owner, _) = full_name.split_once('/').expect("a repository is owner/name");
        let permissions = HashMap::from([
            (owner.to_ascii_lowercase(), Permission::Admin),
            (USER_LOGIN.to_owned(), Permission::Write),
            (APP_LOGIN.to_owned(), Permission::Write),
        ]);
        Self {
            id: user_id(full_name),
            full_name: full_name.to_owned(),
            bare: Bare::at(path),
            default_branch: "main".to_owned(),
            renamed_branches: Vec::new(),
            is_archived: false,
            is_private: false,
            has_drafts: true,
            permissions,
            issues: BTreeMap::new(),
            labels: BTreeMap::new(),
            checks: Checks::default(),
        }
    }

    pub(super) fn owner(&self) -> &str {
        self.full_name.split_once('/').expect("a repository is owner/name").0
    }

    pub(super) fn name(&self) -> &str {
        self.full_name.split_once('/').expect("a repository is owner/name").1
    }

    pub(super) fn permission(&self, login: &str) -> Permission {
        let usual = if self.is_private { Permission::None } else { Permission::Read };
        self.permissions.get(&login.to_ascii_lowercase()).copied().unwrap_or(usual)
    }

    /// GitHub's word for how an author stands to the repository.
    pub(super) fn association(&self, login: &str) -> &'static str {
        match self.permission(login) {
            Permission::Admin => "OWNER",
            Permission::None | Permission::Read => "NONE",
            _ => "COLLABORATOR",
        }
    }

    /// The number the next issue or pull request gets.
    pub(super) fn next_number(&self) -> u64 {
        self.issues.keys().next_back().map_or(1, |last| last + 1)
    }

    pub(super) fn issue(&self, number: u64) -> &Issue {
        self.issues.get(&number).unwrap_or_else(|| panic!("{} has no issue {number}", self.full_name))
    }

    pub(super) fn issue_mut(&mut self, number: u64) -> &mut Issue {
        self.issues.get_mut(&number).unwrap_or_else(|| panic!("{} has no issue {number}", self.full_name))
    }

    /// The issue and comment of a comment's id.
    pub(super) fn comment(&self, id: u64) -> Option<(&Issue, &Comment)> {
        self.issues.values().find_map(|issue| {
            issue.comments.iter().find(|comment| comment.id == id).map(|comment| (issue, comment))
        })
    }

    pub(super) fn comment_mut(&mut self, id: u64) -> Option<&mut Comment> {
        self.issues.values_mut().flat_map(|issue| &mut issue.comments).find(|comment| comment.id == id)
    }
}

/// An issue, or the issue side of a pull request.
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: String,
    pub(super) labels: Vec<String>,
    /// Every label that was put on, oldest first, whether it is still on or not.
    pub(super) labelings: Vec<Labeling>,
    /// When and by whom the title was changed, oldest first.
    pub(super) renames: Vec<Change>,
    /// When and by whom the text was changed last.
    pub(super) edited: Option<Change>,
    pub(super) is_open: bool,
    /// Who closed it, and when, while it is closed.
    pub(super) closed_by: Option<Change>,
    /// Issues of the repository that this one is blocked by.
    pub(super) blocked_by: Vec<u64>,
    /// What was done to it without words, oldest first.
    pub(super) acts: Vec<super::events::Act>,
    pub(super) is_locked: bool,
    pub(super) assignees: Vec<String>,
    /// Its sub-issues, in their order.
    pub(super) sub_issues: Vec<u64>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) comments: Vec<Comment>,
    pub(super) reactions: Vec<Reaction>,
    pub(super) pull: Option<PullPart>,
}

/// Something that an account did to an issue.
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) by: String,
}

pub(super) struct Labeling {
    pub(super) label: String,
    pub(super) change: Change,
}

/// What a pull request has beyond an issue.
pub(super) struct PullPart {
    /// The branch that holds the work, in the same repository.
    pub(super) head: String,
    /// The branch it should go to.
    pub(super) base: String,
    pub(super) draft: bool,
    /// The head as it was when the pull request was made, for when its branch is gone.
    pub(super) head_sha: String,
    /// Logins of people whose review was requested.
    pub(super) reviewers: Vec<String>,
    /// The commit on the base that merged it.
    pub(super) merged: Option<String>,
    /// Reviews, and what was said in them.
    pub(super) talk: Talk,
}

pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) body: String,
    /// Who changed its text last, if anybody did.
    pub(super) edited_by: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) reactions: Vec<Reaction>,
    /// Every text that it has had, the first included, each with a number that grows over all
    /// comments.
    pub(super) revisions: Vec<(u64, String)>,
}

impl Comment {
    /// Gives it another text; returns the one it had.
    pub(super) fn revise(&mut self, revision: u64, by: &str, body: String) -> String {
        self.revisions.push((revision, body.clone()));
        self.updated = Timestamp::now();
        self.edited_by = Some(by.to_owned());
        std::mem::replace(&mut self.body, body)
    }
}

pub(super) struct Reaction {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) content: String,
    pub(super) created: Timestamp,
}

impl Change {
    pub(super) fn now(by: &str) -> Self {
        Self { at: Timestamp::now(), by: by.to_owned() }
    }
}

impl Issue {
    pub(super) fn new(id: u64, number: u64, author: &str, title: &str, body: Option<String>) -> Self {
        let now = Timestamp::now();
        Self {
            id,
            number,
            title: title.to_owned(),
            body,
            author: author.to_owned(),
            labels: Vec::new(),
            labelings: Vec::new(),
            renames: Vec::new(),
            edited: None,
            is_open: true,
            closed_by: None,
            blocked_by: Vec::new(),
            acts: Vec::new(),
            is_locked: false,
            assignees: Vec::new(),
            sub_issues: Vec::new(),
            created: now,
            updated: now,
            comments: Vec::new(),
            reactions: Vec::new(),
            pull: None,
        }
    }

    /// Closes it.
    pub(super) fn close(&mut self, login: &str) {
        let change = Change::now(login);
        (self.is_open, self.updated, self.closed_by) = (false, change.at, Some(change));
    }

    pub(super) fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.eq_ignore_ascii_case(name))
    }

    /// Puts a label on, and notes who did.
    pub(super) fn put_label(&mut self, name: &str, login: &str) {
        let change = Change::now(login);
        self.updated = change.at;
        if !self.has_label(name) {
            self.labels.push(name.to_owned());
        }
        self.labelings.push(Labeling { label: name.to_owned(), change });
    }

    pub(super) fn take_label(&mut self, name: &str) {
        self.labels.retain(|label| !label.eq_ignore_ascii_case(name));
        self.updated = Timestamp::now();
    }

    /// Adds a comment and returns its id.
    pub(super) fn add_comment(&mut self, id: u64, author: &str, body: &str) -> u64 {
        let now = Timestamp::now();
        self.updated = now;
        self.comments.push(Comment {
            id,
            author: author.to_owned(),
            body: body.to_owned(),
            edited_by: None,
            created: now,
            updated: now,
            reactions: Vec::new(),
            revisions: vec![(id, body.to_owned())],
        });
        id
    }
}
