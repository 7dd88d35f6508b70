//! Who has changed a comment last: asked of GitHub's GraphQL API, since REST tells only that it was
//! changed.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::history::{Actor, Change, person};
use super::{GitHubError, Repository};

/// Checked against GitHub's schema as the question in `history.rs`.
const QUESTION: &str = "
query($id: ID!) {
  node(id: $id) {
    ... on IssueComment {
      body
      lastEditedAt
      editor { ...who }
    }
  }
}
fragment who on Actor { __typename login ... on User { databaseId } }
";

/// A comment's text, and its last change if it was ever changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentEdit {
    /// The text, in Markdown.
    pub body: String,
    /// When and by whom.
    pub edited: Option<Change>,
}

#[derive(Deserialize)]
struct WireAnswer {
    data: WireData,
}

#[derive(Deserialize)]
struct WireData {
    node: Option<WireComment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireComment {
    body: String,
    last_edited_at: Option<Timestamp>,
    editor: Option<Actor>,
}

impl Repository {
    /// The comment with this global id as it is now, and who has changed it last.
    pub async fn comment_edit(&self, node_id: &str) -> Result<CommentEdit, GitHubError> {
        let question = json!({"query": QUESTION, "variables": {"id": node_id}});
        let answer: WireAnswer = self.graphql(&question).await?.json()?;
        let comment = answer.data.node.ok_or(GitHubError::NotFound)?;
        let edited = comment.last_edited_at.map(|at| Change { at, by: person(comment.editor) });
        Ok(CommentEdit { body: comment.body, edited })
    }
}
