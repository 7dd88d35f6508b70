//! Question cards that somebody has edited, found in a repository's list of changed comments: what
//! a webhook would have told of a tick. Only the last edit can be seen; one that hob has written
//! over in the meantime is lost, and shows as a box that is open again.

use super::CatchUp;
use super::repository::{Found, RepositoryPoll, is_about_one};
use crate::event::{Comment, Issue};
use crate::github::{GitHubError, ListedComment, found};
use crate::message;
use crate::story::QuestionComment;

impl CatchUp {
    /// Finds edits of cards by others than hob. Errors as with the labels: the store's, or what
    /// GitHub did not answer for one.
    pub(super) async fn edited_cards(
        &self,
        looked: &RepositoryPoll<'_>,
        comments: &[ListedComment],
        all: &mut Vec<Found>,
    ) -> anyhow::Result<Option<GitHubError>> {
        let mut trouble = None;
        // Whatever the times: GitHub's are whole seconds, and a tick may come within the first.
        for comment in comments {
            let Some(card) = self.card_at(looked, comment).await? else { continue };
            let text = message::card::card(&card);
            if text.trim() == comment.body.trim() {
                continue;
            }
            match self.edit_of(looked, comment, &text).await {
                Ok(found) => all.extend(found),
                Err(GitHubError::NotFound) => {}
                Err(error) if is_about_one(&error) => trouble = Some(error),
                Err(error) => return Ok(Some(error)),
            }
        }
        Ok(trouble)
    }

    async fn card_at(
        &self,
        looked: &RepositoryPoll<'_>,
        comment: &ListedComment,
    ) -> anyhow::Result<Option<QuestionComment>> {
        let Some(story) = self.store.story_at(&looked.place.repo, comment.issue).await? else {
            return Ok(None);
        };
        let cards = self.store.cards_of(story.id).await?;
        Ok(cards.into_iter().find(|card| card.comment == Some(comment.id)))
    }

    /// The delivery that tells of the last edit of a comment; none where that was hob's own, or
    /// GitHub's answers are of different moments.
    async fn edit_of(
        &self,
        looked: &RepositoryPoll<'_>,
        comment: &ListedComment,
        before: &str,
    ) -> Result<Option<Found>, GitHubError> {
        let last = looked.repository.comment_edit(&comment.node_id).await?;
        let Some(change) = last.edited.filter(|_| last.body == comment.body) else { return Ok(None) };
        if self.github.is_own(&change.by).await? {
            return Ok(None);
        }
        let issue = Issue { read_later: true, ..looked.repository.issue(comment.issue).await? };
        let as_it_was = Comment { id: comment.id, body: before.to_owned(), at: comment.created_at };
        // As GitHub's webhook has it, so that both mean one.
        let at = comment.updated_at;
        Ok(Some(Found {
            at,
            guid: format!("look-{}-comment-{}-{at}-{}", looked.place.repo.key(), comment.id, change.by.login),
            event: "issue_comment",
            body: found::edited(&looked.place, &issue, &as_it_was, &comment.body, at, &change.by),
        }))
    }
}
