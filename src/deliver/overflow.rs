//! The rest of what was too long for its place: comments of its own, on GitHub before anything
//! links to them. Each is looked for before a second try, like any comment of hob's.

use super::{Deliver, ensure_comment_of};
use crate::github::{GitHubError, Repository};
use crate::ids::{IssueNumber, StoryId};
use crate::message::{self, Overflow};
use crate::store::StatusFacts;

impl Deliver {
    /// A message with links to its rests, which are on GitHub then. An error is the store's.
    pub(super) async fn with_rests(
        &self,
        repository: &Repository,
        story: StoryId,
        on: IssueNumber,
        text: &str,
    ) -> anyhow::Result<Result<String, GitHubError>> {
        let rests = message::rests(text);
        if rests.is_empty() {
            return Ok(Ok(text.to_owned()));
        }
        if let Err(error) = self.ensure_rests(repository, story, on, &rests).await? {
            return Ok(Err(error));
        }
        let links = self.store.rests_of(story).await?;
        Ok(Ok(message::with_links(text, |rest| links.get(&rest.key).cloned())))
    }

    /// The same for what is said about tasks that are over.
    pub(super) async fn with_rests_of_ends(
        &self,
        repository: &Repository,
        facts: &mut StatusFacts,
    ) -> anyhow::Result<Result<(), GitHubError>> {
        for ended in &mut facts.over {
            match self.with_rests(repository, facts.story.id, facts.story.issue, &ended.words).await? {
                Ok(words) => ended.words = words,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    /// The same with those rests that are on GitHub already: the status comment is written first.
    pub(super) async fn with_known_rests(&self, facts: &mut StatusFacts) -> anyhow::Result<()> {
        let links = self.store.rests_of(facts.story.id).await?;
        for ended in &mut facts.over {
            ended.words = message::with_links(&ended.words, |rest| links.get(&rest.key).cloned());
        }
        Ok(())
    }

    /// Has every part of these on GitHub.
    pub(super) async fn ensure_rests(
        &self,
        repository: &Repository,
        story: StoryId,
        on: IssueNumber,
        rests: &[Overflow],
    ) -> anyhow::Result<Result<(), GitHubError>> {
        let there = self.store.rests_of(story).await?;
        for rest in rests.iter().filter(|rest| !there.contains_key(&rest.key)) {
            for (at, part) in self.store.rest_attempted(story, on, rest).await? {
                let tried = part.attempts > 0;
                let text = message::rest_comment(&rest.parts[at], at + 2, rest.parts.len() + 1);
                let (text, marker) = (self.secrets.redact(&text), message::marker(part.id));
                match ensure_comment_of(repository, tried, part.on, &text, &marker).await {
                    Ok(made) => {
                        let recheck = tried.then_some(self.config.github.recheck);
                        self.store.rest_posted(part.id, made.id, &made.url, recheck).await?;
                    }
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        Ok(Ok(()))
    }
}
