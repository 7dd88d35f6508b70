//! What GitHub has refused for good. Where somebody waits for it, the outcome of work, a question
//! or an answer, the story's status comment says so, with what to do; `/hob retry` on the issue, or
//! `hob retry`, has it tried again.

use super::Deliver;
use crate::github::GitHubError;
use crate::ids::IssueNumber;
use crate::message::{self, Refusal};
use crate::store::{Effect, WantedEffect};
use crate::story::Story;

/// Refusals after which one is believed that names a state of the repository which hob has looked
/// at, or which nothing of hob's changes.
const MAX_PLAIN_REFUSALS: u32 = 2;

impl Deliver {
    /// Gives an effect up, and has people told where they wait for it. An error is the store's.
    pub(super) async fn give_up(
        &self,
        story: &Story,
        wanted: &WantedEffect,
        error: &GitHubError,
    ) -> anyhow::Result<()> {
        tracing::error!(
            effect = %wanted.id, story = %story.id, %error,
            "write to GitHub failed permanently; see `hob status` and `hob retry`"
        );
        let refusal = refusal(error);
        let words = match &wanted.effect {
            Effect::PullRequest { .. } => {
                Some(message::pull_refused(&refusal, &story.branch, &story.base_branch))
            }
            Effect::Card { question } => {
                let asked = self.store.open_question(story.id).await?.filter(|asked| asked.id == *question);
                Some(message::question_refused(
                    &refusal,
                    &asked.map(|asked| asked.question).unwrap_or_default(),
                ))
            }
            Effect::Comment { on, .. } => Some(message::comment_refused(&refusal, *on)),
            Effect::ReviewReply { pull, .. } => Some(message::comment_refused(&refusal, IssueNumber(pull.0))),
            Effect::Status => {
                self.show_label_alone(story).await?;
                None
            }
            Effect::React { .. }
            | Effect::DeleteBranch { .. }
            | Effect::RequestReview { .. }
            | Effect::Evidence { .. } => None,
        };
        match words {
            Some(words) => {
                let words = self.secrets.redact(&words);
                self.store.effect_refused(wanted.id, &error.to_string(), &words).await
            }
            None => self.store.effect_parked(wanted.id, &error.to_string()).await,
        }
    }
}

/// Whether a refusal that was met so often is for good.
pub(super) fn is_for_good(error: &GitHubError, refusals: u32, most: u32) -> bool {
    let is_plain = matches!(
        refusal(error),
        Refusal::BaseGone
            | Refusal::NothingToPropose
            | Refusal::Unrelated
            | Refusal::Archived
            | Refusal::Locked
    );
    refusals >= if is_plain { MAX_PLAIN_REFUSALS } else { most }
}

/// Whether GitHub does not know the branch that a pull request is to go to.
pub(super) fn is_base_gone(error: &GitHubError) -> bool {
    refusal(error) == Refusal::BaseGone
}

/// What a refusal means for people.
fn refusal(error: &GitHubError) -> Refusal {
    match error {
        GitHubError::Unprocessable { message, .. } => {
            let text = message.to_lowercase();
            let names = |words: &str| text.contains(words);
            match () {
                () if names("base invalid") => Refusal::BaseGone,
                () if names("head invalid") => Refusal::HeadGone,
                () if names("no commits between") => Refusal::NothingToPropose,
                () if names("no history in common") => Refusal::Unrelated,
                () => Refusal::Other(message.clone()),
            }
        }
        GitHubError::Forbidden(message) => {
            let text = message.to_lowercase();
            match () {
                () if text.contains("archived") => Refusal::Archived,
                () if text.contains("locked") => Refusal::Locked,
                () => Refusal::NotAllowed(message.clone()),
            }
        }
        GitHubError::Unexpected(_) => Refusal::Other("GitHub sent an unexpected response".to_owned()),
        other => Refusal::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_github_says_tells_why() {
        let cannot =
            |message: &str| GitHubError::Unprocessable { message: message.to_owned(), already_exists: false };
        let denied = |message: &str| GitHubError::Forbidden(message.to_owned());
        for (error, expected) in [
            (cannot("Validation Failed: base invalid"), Refusal::BaseGone),
            (cannot("Validation Failed: head invalid"), Refusal::HeadGone),
            (cannot("Validation Failed: No commits between main and hob/issue-1"), Refusal::NothingToPropose),
            (
                cannot("Validation Failed: The hob/issue-1 branch has no history in common with main"),
                Refusal::Unrelated,
            ),
            (denied("Repository was archived so is read-only. (HTTP status 403)"), Refusal::Archived),
            (denied("Unable to create comment because issue is locked. (HTTP status 403)"), Refusal::Locked),
            (denied("Resource not accessible"), Refusal::NotAllowed("Resource not accessible".to_owned())),
            (cannot("Body is too long"), Refusal::Other("Body is too long".to_owned())),
        ] {
            assert_eq!(refusal(&error), expected, "{error}");
        }
    }

    #[test]
    fn what_is_plain_is_believed_soon_and_anything_else_only_when_it_was_said_often() {
        let archived = GitHubError::Forbidden("Repository was archived so is read-only.".to_owned());
        let denied = GitHubError::Forbidden("Resource not accessible by integration".to_owned());
        assert!(!is_for_good(&archived, 1, 6) && is_for_good(&archived, 2, 6));
        assert!(!is_for_good(&denied, 5, 6) && is_for_good(&denied, 6, 6));
    }
}
