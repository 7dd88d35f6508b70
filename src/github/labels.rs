//! The labels of an issue, and the repository's own list of them. Which label says what is decided
//! above.

use serde::Deserialize;
use serde_json::json;

use super::client::{Verb, escape};
use super::{GitHubError, Repository};
use crate::ids::IssueNumber;

#[derive(Deserialize)]
struct WireLabel {
    name: String,
    color: Option<String>,
    description: Option<String>,
}

impl WireLabel {
    /// Whether it is as GitHub makes one that somebody puts on an issue without having made it.
    fn is_bare(&self) -> bool {
        let has_no_color = self.color.as_deref().is_some_and(|color| color.eq_ignore_ascii_case("ededed"));
        has_no_color && self.description.as_deref().unwrap_or_default().is_empty()
    }
}

impl Repository {
    /// The names of an issue's labels.
    pub async fn labels(&self, issue: IssueNumber) -> Result<Vec<String>, GitHubError> {
        let path = format!("/issues/{issue}/labels?per_page=100");
        let labels: Vec<WireLabel> = self.get(&path).await?.json()?;
        Ok(labels.into_iter().map(|label| label.name).collect())
    }

    /// Puts a label on an issue; tells whether it looks as if the repository had no such label
    /// before: GitHub makes one then, grey and without a description. One that is on the issue
    /// already stays.
    pub async fn add_label(&self, issue: IssueNumber, name: &str) -> Result<bool, GitHubError> {
        let body = json!({ "labels": [name] });
        let labels: Vec<WireLabel> =
            self.send(Verb::Post, &format!("/issues/{issue}/labels"), &body).await?.json()?;
        Ok(labels.iter().any(|label| label.name.eq_ignore_ascii_case(name) && label.is_bare()))
    }

    /// Takes a label off an issue. One that is not on it is fine.
    pub async fn remove_label(&self, issue: IssueNumber, name: &str) -> Result<(), GitHubError> {
        match self.send(Verb::Delete, &format!("/issues/{issue}/labels/{}", escape(name)), &()).await {
            Ok(_) | Err(GitHubError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a label of the repository a colour (six hexadecimal digits) and a description.
    pub async fn describe_label(
        &self,
        name: &str,
        color: &str,
        description: &str,
    ) -> Result<(), GitHubError> {
        let body = json!({ "color": color, "description": description });
        self.send(Verb::Patch, &format!("/labels/{}", escape(name)), &body).await.map(drop)
    }
}
