//! What became of an issue's text and labels, and by whom: asked of GitHub's GraphQL API, since
//! REST tells neither when a text was edited nor who did it. One answer is one moment: the text in
//! it is the one whose last change it names. Whose changes count is decided above.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::people::DELETED;
use super::{GitHubError, Repository};
use crate::event::Person;
use crate::ids::IssueNumber;

/// Checked against GitHub's schema as published in npm's `@octokit/graphql-schema`. Of the renames
/// only the last matters; of the labels those of hob's, among which others may have been put on.
const QUESTION: &str = "
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      title
      body
      lastEditedAt
      editor { ...who }
      renames: timelineItems(last: 1, itemTypes: [RENAMED_TITLE_EVENT]) {
        nodes { ... on RenamedTitleEvent { createdAt actor { ...who } } }
      }
      labelings: timelineItems(last: 100, itemTypes: [LABELED_EVENT]) {
        nodes { ... on LabeledEvent { createdAt actor { ...who } label { name } } }
      }
    }
  }
}
fragment who on Actor { __typename login ... on User { databaseId } }
";

/// An issue's text as it is now, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueHistory {
    /// One line.
    pub title: String,
    /// The text, in Markdown.
    pub body: String,
    /// The last change of the title, if it was ever changed.
    pub renamed: Option<Change>,
    /// The last change of the body, if it was ever changed.
    pub edited: Option<Change>,
    /// The labels that were put on, oldest first, whether they are still on or not.
    pub labeled: Vec<Labeling>,
}

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When, by GitHub's clock, in whole seconds.
    pub at: Timestamp,
    /// The person who made the change.
    pub by: Person,
}

/// A label that was put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labeling {
    /// The label.
    pub label: String,
    /// When and by whom.
    pub change: Change,
}

#[derive(Deserialize)]
struct WireAnswer {
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    repository: Option<WireRepository>,
}

#[derive(Deserialize)]
struct WireRepository {
    issue: Option<WireHistory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHistory {
    title: String,
    body: String,
    last_edited_at: Option<Timestamp>,
    editor: Option<Actor>,
    renames: Nodes<Renamed>,
    labelings: Nodes<Labeled>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renamed {
    created_at: Timestamp,
    actor: Option<Actor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Labeled {
    created_at: Timestamp,
    actor: Option<Actor>,
    label: Label,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Actor {
    #[serde(rename = "__typename")]
    kind: String,
    login: String,
    database_id: Option<u64>,
}

impl Repository {
    /// An issue's text as it is now, and who has changed it last.
    pub async fn issue_history(&self, number: IssueNumber) -> Result<IssueHistory, GitHubError> {
        let variables = json!({"owner": self.repo.owner(), "name": self.repo.name(), "number": number});
        let question = json!({"query": QUESTION, "variables": variables});
        let answer: WireAnswer = self.graphql(&question).await?.json()?;
        let issue = answer.data.repository.and_then(|repository| repository.issue);
        Ok(issue.ok_or(GitHubError::NotFound)?.into())
    }
}

impl From<WireHistory> for IssueHistory {
    fn from(wire: WireHistory) -> IssueHistory {
        let change = |at, by| Change { at, by: person(by) };
        let labeling =
            |node: Labeled| Labeling { label: node.label.name, change: change(node.created_at, node.actor) };
        let renamed = wire.renames.nodes.into_iter().next_back();
        IssueHistory {
            title: wire.title,
            body: wire.body,
            renamed: renamed.map(|node| change(node.created_at, node.actor)),
            edited: wire.last_edited_at.map(|at| change(at, wire.editor)),
            labeled: wire.labelings.nodes.into_iter().map(labeling).collect(),
        }
    }
}

/// GraphQL names an App by its slug where REST says `slug[bot]`.
pub(super) fn person(actor: Option<Actor>) -> Person {
    match actor {
        None => Person { login: DELETED.to_owned(), id: None, is_bot: false },
        Some(actor) if actor.kind == "Bot" => {
            let login = actor.login.trim_end_matches("[bot]");
            Person { login: format!("{login}[bot]"), id: None, is_bot: true }
        }
        Some(actor) => Person { login: actor.login, id: actor.database_id, is_bot: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_bots_and_deleted_accounts_in_it() {
        let answer = r#"{"data":{"repository":{"issue":{"title":"T","body":"","lastEditedAt":"2026-11-24T08:00:00Z",
            "editor":null,"renames":{"nodes":[{"createdAt":"2026-11-24T08:00:01Z",
            "actor":{"__typename":"User","login":"alice","databaseId":7}}]},
            "labelings":{"nodes":[{"createdAt":"2026-11-24T08:00:02Z",
            "actor":{"__typename":"Bot","login":"sorter"},"label":{"name":"hob"}}]}}}}}"#;
        let wire: WireAnswer = serde_json::from_str(answer).unwrap();
        let history: IssueHistory = wire.data.repository.unwrap().issue.unwrap().into();
        let change = |second: &str, login: &str, id, is_bot| Change {
            at: format!("2026-11-24T08:00:0{second}Z").parse().unwrap(),
            by: Person { login: login.into(), id, is_bot },
        };
        let expected = IssueHistory {
            title: "T".into(),
            body: String::new(),
            renamed: Some(change("1", "alice", Some(7), false)),
            edited: Some(change("0", "ghost", None, false)),
            labeled: vec![Labeling { label: "hob".into(), change: change("2", "sorter[bot]", None, true) }],
        };
        assert_eq!(history, expected);
    }
}
