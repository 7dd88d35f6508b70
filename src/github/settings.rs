//! The text of a repository's `.github/hob.toml`, as its default branch has it. Asked of GraphQL
//! and not of the contents API, which says 404 both where there is no such file, as in most
//! repositories, and where GitHub has a bad moment: here a file that is not there is an answer of
//! its own. What the text says is not known here.

use std::sync::Arc;
use std::sync::PoisonError;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{GitHubError, Repository};
use crate::config::REPOSITORY_FILE;

/// Checked against GitHub's schema as published in npm's `@octokit/graphql-schema`. `HEAD` is the
/// default branch.
const QUESTION: &str = "
query($owner: String!, $name: String!, $file: String!) {
  repository(owner: $owner, name: $name) {
    object(expression: $file) { __typename ... on Blob { text isTruncated } }
  }
}
";

/// The text of a repository's settings, when it was read.
#[derive(Debug, Clone)]
pub struct SettingsText {
    /// The file's text; none where there is no such file. What is no text, or too long for one
    /// answer, is a text that no reader of TOML accepts.
    pub text: Option<Arc<str>>,
    /// When it was read.
    pub at: Instant,
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
    object: Option<WireObject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireObject {
    text: Option<String>,
    is_truncated: Option<bool>,
}

/// Stands for a file that is no text of a sensible length.
const NO_TEXT: &str = "the file is not text, or too large";

impl Repository {
    /// The text of the repository's settings, read at this time or later: what was read before
    /// counts that long.
    pub async fn settings_text(&self, not_before: Instant) -> Result<SettingsText, GitHubError> {
        let known = self.known_settings().get(&self.key()).cloned();
        if let Some(known) = known.filter(|known| known.at >= not_before) {
            return Ok(known);
        }
        let at = Instant::now();
        let read = SettingsText { text: self.read_settings().await?.map(Arc::from), at };
        self.known_settings().insert(self.key(), read.clone());
        Ok(read)
    }

    /// What is known of another repository of the same name is not known of this one.
    fn key(&self) -> String {
        self.id.map_or_else(|| self.repo.key(), |id| id.to_string())
    }

    async fn read_settings(&self) -> Result<Option<String>, GitHubError> {
        let variables = json!({
            "owner": self.repo.owner(),
            "name": self.repo.name(),
            "file": format!("HEAD:{REPOSITORY_FILE}"),
        });
        let answer = self.graphql(&json!({ "query": QUESTION, "variables": variables })).await?;
        let repository = answer.json::<WireAnswer>()?.data.repository.ok_or(GitHubError::NotFound)?;
        Ok(repository.object.map(|object| match (object.text, object.is_truncated) {
            (Some(text), Some(false)) => text,
            _ => NO_TEXT.to_owned(),
        }))
    }

    fn known_settings(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, SettingsText>> {
        self.github.shared.known_settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
