//! Sub-issues: taken up with their parent where the repository's settings say so, each as people
//! had seen it when they asked; and not taken up by themselves while their parent's story has them.

use std::collections::HashMap;

use anyhow::Context as _;
use jiff::Timestamp;

use super::{EventContext, Intake, Seen, Settled, is_believed, may_push};
use crate::config::SubIssues;
use crate::github::{GitHubError, ListedSubIssue, Repository};
use crate::ids::IssueNumber;
use crate::message::{self, TextChanged};
use crate::store::{Heard, ParentStory};
use crate::story::plan::TaskMode;
use crate::story::sub_issue::{MAX_PARTS, SubIssue, SubIssueOrder};
use crate::story::{Story, TaskKind};

/// What an issue's sub-issues make of a task on it.
pub(super) enum SubIssuePlan {
    /// A task about this.
    Ask(TaskKind),
    /// Nothing: somebody has changed the text of one since who may not push.
    Other(IssueNumber, TextChanged),
}

impl Intake {
    /// The sub-issues that are worked on with this issue: the open ones that are not done yet, and
    /// that no story of their own has under work.
    async fn parts(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        at: Timestamp,
    ) -> anyhow::Result<SubIssuePlan> {
        if on.settings.file().sub_issues != SubIssues::Together {
            return Ok(SubIssuePlan::Ask(TaskKind::Issue));
        }
        let repository = self.github.repository(&on.place.at()).await?;
        let listed = match repository.sub_issues(on.issue.number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => Vec::new(),
            listed => listed.context("listing the sub-issues")?,
        };
        let added = match listed.is_empty() {
            true => HashMap::new(),
            false => repository
                .sub_issues_added(on.issue.number)
                .await
                .context("reading when sub-issues were added")?,
        };
        // Nor what was made one of them since, which anybody may do who may label.
        let was_there = |one: &ListedSubIssue| {
            added.get(&one.number).is_none_or(|added| added.as_second() <= at.as_second())
        };
        let listed = listed.into_iter().filter(was_there).collect();
        let mut may = HashMap::new();
        let mut parts = Vec::new();
        for sub_issue in self.to_do(on, story, at, listed).await?.into_iter().take(MAX_PARTS) {
            let number = sub_issue.number;
            let issue = match self.as_seen(on, number, at).await? {
                Seen::Now(issue) => issue,
                Seen::Gone => continue,
                Seen::Other(changed) => return Ok(SubIssuePlan::Other(number, changed)),
            };
            let by = sub_issue.author;
            let may_push = match may.get(&(by.login.clone(), by.id)) {
                Some(known) => *known,
                None => !by.is_bot && may_push(&repository, on.delivery, &by).await?,
            };
            may.insert((by.login.clone(), by.id), may_push);
            parts.push(SubIssue { number, title: issue.title, body: issue.body, by: by.login, may_push });
        }
        let together = SubIssueOrder { parts, at: 0 };
        Ok(SubIssuePlan::Ask(if together.parts.is_empty() {
            TaskKind::Issue
        } else {
            TaskKind::SubIssue(together)
        }))
    }

    /// The same for a task that begins: on the issue itself, and where it is to change something.
    pub(super) async fn parts_of_new(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        mode: TaskMode,
        at: Timestamp,
    ) -> anyhow::Result<SubIssuePlan> {
        if on.issue.is_pull_request || mode != TaskMode::Work {
            return Ok(SubIssuePlan::Ask(TaskKind::Issue));
        }
        self.parts(on, story, at).await
    }

    /// The open sub-issues that would be worked on with this issue.
    pub(super) async fn open_sub_issues(
        &self,
        on: &EventContext<'_>,
        repository: &Repository,
    ) -> anyhow::Result<Vec<IssueNumber>> {
        if on.issue.is_pull_request || on.settings.file().sub_issues != SubIssues::Together {
            return Ok(Vec::new());
        }
        let listed = match repository.sub_issues(on.issue.number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => Vec::new(),
            listed => listed.context("listing the sub-issues")?,
        };
        let is_here =
            |one: &ListedSubIssue| one.repo.as_ref().is_none_or(|repo| repo.key() == on.place.repo.key());
        let open = listed.iter().filter(|one| one.is_open && is_here(one));
        Ok(open.take(MAX_PARTS).map(|one| one.number).collect())
    }

    async fn to_do(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        at: Timestamp,
        listed: Vec<ListedSubIssue>,
    ) -> anyhow::Result<Vec<ListedSubIssue>> {
        let standings = match story {
            Some(story) => self.store.standings(story.id, None).await?,
            None => Vec::new(),
        };
        let mut to_do = Vec::new();
        for sub_issue in listed {
            let is_done = standings.iter().any(|one| one.is_done && one.number == sub_issue.number);
            let is_here = sub_issue.repo.as_ref().is_none_or(|repo| repo.key() == on.place.repo.key());
            // Who asked cannot have seen what was written since. GitHub's times are whole seconds.
            let is_later = sub_issue.created_at.as_second() > at.as_second();
            if is_done || !is_here || is_later || !sub_issue.is_open {
                continue;
            }
            if let Some(own) = self.store.story_at(&on.place.repo, sub_issue.number).await?
                && self.store.is_under_work(own.id).await?
            {
                tracing::info!(issue = %sub_issue.number, "sub-issue has its own story");
                continue;
            }
            to_do.push(sub_issue);
        }
        Ok(to_do)
    }

    /// The story that has this issue as one of its sub-issues, where it is not to have a story of
    /// its own: never while that is at work, and not for a label once it is done there.
    pub(super) async fn parent_of(
        &self,
        on: &EventContext<'_>,
        labeled_at: Option<Timestamp>,
    ) -> anyhow::Result<Option<ParentStory>> {
        if on.issue.is_pull_request {
            return Ok(None);
        }
        let parent = self.store.parent_of(&on.place.repo, on.issue.number).await?;
        Ok(parent.filter(|parent| parent.is_under_work || labeled_at.is_some()))
    }

    /// Says that nothing is started, since the parent's story has it.
    pub(super) async fn decline_as_part(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        labeled_at: Option<Timestamp>,
        parent: ParentStory,
    ) -> anyhow::Result<Settled> {
        let words = message::part_of(parent.issue, parent.pull.filter(|_| !parent.is_under_work));
        let heard = labeled_at.map_or(Heard::Words, Heard::Label);
        let about = self.story_ask(on, on.issue, story);
        let effects = [on.seen("confused"), on.say(words)];
        self.store.only_say(&on.delivery.guid, &about, &heard, &effects).await?;
        Ok(Settled::Done("reported that the parent's story includes this sub-issue"))
    }
}
