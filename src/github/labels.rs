//! The labels of an issue, and the repository's own list of them. Which label says what is decided above.

use serde::Deserialize;
use serde_json::json;

use super::client::{Verb, escape};
use super::{GitHubError, Repository};
use crate::ids::IssueNumber;

#[derive(Deserialize)]
struct WireLabel {
    name: String,
}

impl Repository {
    /// The names of an issue's labels.
    pub async fn labels(&self, issue: IssueNumber) -> Result<Vec<String>, GitHubError> {
        let path = format!("/issues/{issue}/labels?per_page=100");
        let labels: Vec<WireLabel> = self.get(&path).await?.json()?;
        Ok(labels.into_iter().map(|label| label.name).collect())
    }

    /// Puts a label on an issue. One that is on it stays.
    pub async fn add_label(&self, issue: IssueNumber, name: &str) -> Result<(), GitHubError> {
        self.send(Verb::Post, &format!("/issues/{issue}/labels"), &json!({ "labels": [name] })).await?;
        Ok(())
    }

    /// Takes a label off an issue. One that is not on it is fine.
    pub async fn remove_label(&self, issue: IssueNumber, name: &str) -> Result<(), GitHubError> {
        match self.send(Verb::Delete, &format!("/issues/{issue}/labels/{}", escape(name)), &()).await {
            Ok(_) | Err(GitHubError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a label with a colour (six hexadecimal digits) and a description. One that is there stays as it is.
    pub async fn ensure_label(&self, name: &str, color: &str, description: &str) -> Result<(), GitHubError> {
        let label = json!({ "name": name, "color": color, "description": description });
        match self.send(Verb::Post, "/labels", &label).await {
            Ok(_) | Err(GitHubError::Unprocessable { already_exists: true, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
