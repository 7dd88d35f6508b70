//! What people say about a pull request of hob's, in reviews and in its conversation, becomes a
//! task, or a part of one that has not begun. What they said is read from GitHub here and frozen:
//! of people who may push, and hob's own. Which task it becomes a part of is the store's to see,
//! `store/reviews.rs`.

use std::collections::HashMap;

use anyhow::Context as _;

use super::{EventContext, Intake, Settled, is_believed, may_push};
use crate::command;
use crate::event::{Pull, Review, Verdict};
use crate::github::{Repository, ReviewComment};
use crate::ids::{PullNumber, ReviewCommentId};
use crate::message;
use crate::store::{Effect, Heard, NewEffect, NewTask, ReactTo, ReviewTaken};
use crate::story::plan::TaskMode;
use crate::story::review::{self, LineComment, Lines, ReviewBatch, Source, ThreadComment};
use crate::story::{Choice, RunReason, Story, TaskKind, TaskRequest};

/// Comments of one review that get a reaction each. GitHub counts them.
const MAX_REACTIONS: usize = 10;

impl Intake {
    /// Takes a review.
    pub(super) async fn on_review(
        &self,
        on: &EventContext<'_>,
        pull: &Pull,
        review: &Review,
    ) -> anyhow::Result<Settled> {
        let ignored = |why: &str| Ok(Settled::Ignored(why.to_owned()));
        let Some(story) = self.story_of_pull(on, pull).await? else {
            return ignored("a review of a pull request that is not hob's");
        };
        if !pull.is_open {
            return ignored("the pull request is not open");
        }
        if story.stopped_at.is_some_and(|stopped| review.at < stopped) {
            return ignored("the work was stopped after the review");
        }
        let on = &EventContext { settings: self.settings(on.place, on.began).await?, ..on.clone() };
        if let Some(why) = self.may_not_command(on, on.settings.who()).await? {
            return Ok(Settled::Ignored(why));
        }
        let said = self.read_review(on, pull.number, review).await?;
        // An approval that says something on lines as well wants that done. Its text alone is
        // "Looks good" in many words.
        let is_approval = review.verdict == Verdict::Approved;
        if is_approval && said.as_ref().is_none_or(|said| said.remarks.is_empty()) {
            let by = &on.sender.login;
            let words = message::review::approved(by);
            let approval = (by.as_str(), review.id);
            return Ok(
                match self.store.take_approval(&on.delivery.guid, story.id, approval, &words).await? {
                    true => Settled::Done("an approval drops its author's earlier requests"),
                    false => Settled::Ignored("an approval".to_owned()),
                },
            );
        }
        let Some(said) = said else {
            return ignored("a review without requests");
        };
        let seen = said.remarks.iter().take(MAX_REACTIONS).map(|remark| {
            let (to, content) = (ReactTo::ReviewComment(remark.id), "eyes".to_owned());
            NewEffect::new(Effect::React { to, content })
        });
        let mut effects: Vec<NewEffect> = seen.collect();
        effects.extend(self.held_up_by(&story, pull.number, &said).await?);
        self.take_up(on, &story, said, effects).await
    }

    /// What is said in the threads of a review while a question waits, which comes first: once in
    /// each thread.
    async fn held_up_by(
        &self,
        story: &Story,
        pull: PullNumber,
        said: &review::Review,
    ) -> anyhow::Result<Vec<NewEffect>> {
        let Some(asked) = self.store.open_question(story.id).await? else { return Ok(Vec::new()) };
        let Some(comment) = asked.comment else { return Ok(Vec::new()) };
        let (web, on) =
            (self.config.github.git_url.trim_end_matches('/'), asked.asked_on.unwrap_or(story.issue));
        let page = format!("{web}/{}/issues/{on}#issuecomment-{comment}", story.repo);
        let mut threads: Vec<ReviewCommentId> = Vec::new();
        for remark in &said.remarks {
            let is_told = remark.before.iter().any(|said| said.text.contains(&page));
            if !is_told && !threads.contains(&remark.thread) {
                threads.push(remark.thread);
            }
        }
        let tell = |thread| {
            let body = message::review::waits_for_answer(&page);
            NewEffect::new(Effect::ReviewReply { pull, thread, body })
        };
        Ok(threads.into_iter().map(tell).collect())
    }

    /// Takes a comment in the conversation of a pull request of hob's.
    pub(super) async fn on_pull_comment(
        &self,
        on: &EventContext<'_>,
        story: &Story,
    ) -> anyhow::Result<Settled> {
        let Some(comment) = on.comment else { return Ok(Settled::Ignored("there is no comment".to_owned())) };
        let said = review::Review {
            source: Source::Comment(comment.id),
            by: on.sender.login.clone(),
            by_id: on.sender.id,
            body: comment.body.clone(),
            remarks: Vec::new(),
        };
        self.take_up(on, story, said, vec![on.seen("eyes")]).await
    }

    /// The story whose pull request this is, where hob has opened it.
    async fn story_of_pull(&self, on: &EventContext<'_>, pull: &Pull) -> anyhow::Result<Option<Story>> {
        let story = self.store.story_at(&on.place.repo, on.issue.number).await?;
        let story = story.filter(|story| story.pull == Some(pull.number) && !story.is_adopted());
        if story.is_none() {
            self.check_recorded(on, pull).await?;
        }
        Ok(story)
    }

    /// Fails where a pull request is hob's and hob has not come to write that down yet: between
    /// opening and recording it somebody can be quick, or hob can die.
    pub(super) async fn check_recorded(&self, on: &EventContext<'_>, pull: &Pull) -> anyhow::Result<()> {
        if pull.is_from_fork || !self.github.is_own(&pull.author).await? {
            return Ok(());
        }
        let story = self.store.unproposed_story_on(&on.place.repo, &pull.head).await?;
        anyhow::ensure!(story.is_none(), "the pull request is hob's, but is not recorded yet");
        Ok(())
    }

    /// What a review says, as far as it is for hob; none where nothing is.
    async fn read_review(
        &self,
        on: &EventContext<'_>,
        pull: PullNumber,
        review: &Review,
    ) -> anyhow::Result<Option<review::Review>> {
        let repository = self.github.repository(&on.place.at()).await?;
        let own_login = self.github.own_login().await?;
        let all = repository.review_comments(pull).await.context("reading the review's comments")?;
        let of_review: Vec<&ReviewComment> = all.iter().filter(|c| c.review == Some(review.id)).collect();
        // An approval may say nothing at all.
        let has_comments = review.body.trim().is_empty() && review.verdict != Verdict::Approved;
        if of_review.is_empty() && has_comments && !is_believed(on.delivery) {
            anyhow::bail!("GitHub does not list the review's comments yet");
        }
        let is_for_hob = |text: &str| !message::has_marker(text) && !command::is_aside(text, &own_login);
        let mut reading =
            Reading { on, repository: &repository, own_login: &own_login, may_push: HashMap::new() };
        let mut remarks = Vec::new();
        for comment in of_review.into_iter().filter(|comment| is_for_hob(&comment.body)) {
            remarks.push(reading.remark(comment, &all).await?);
        }
        let body = Some(&review.body).filter(|body| is_for_hob(body)).cloned().unwrap_or_default();
        let said = review::Review {
            source: Source::Review { id: review.id, verdict: review.verdict },
            by: on.sender.login.clone(),
            by_id: on.sender.id,
            body,
            remarks,
        };
        let says_nothing = said.remarks.is_empty() && said.body.trim().is_empty();
        Ok((!says_nothing).then_some(said))
    }

    async fn take_up(
        &self,
        on: &EventContext<'_>,
        story: &Story,
        said: review::Review,
        seen: Vec<NewEffect>,
    ) -> anyhow::Result<Settled> {
        if let Some(fault) = on.settings.fault() {
            return self.decline_for_settings(on, Some(story), Heard::Words, fault).await;
        }
        let issue = self.issue_of(story, on.issue).await?;
        let before = self.store.asks_of(story.id).await?.pop().map(|ask| ask.choice).unwrap_or_default();
        // The agent that worked goes on; what was chosen for one task alone is over with it.
        let choice = Choice { base: None, budget_usd: None, ..before };
        let about = TaskKind::Review(ReviewBatch { reviews: vec![said] });
        let new = NewTask {
            on: self.story_ask(on, &issue, Some(story)),
            effects: seen,
            ask: TaskRequest { about, ..self.ask(on, &issue, None, choice) },
            mode: TaskMode::Work,
            turn: RunReason::Begin,
            labeled_at: None,
            settings: on.settings.text(),
        };
        let wait = self.config.pull_request.wait;
        let taken =
            self.store.take_review(&on.delivery.guid, &new, wait).await.context("opening a review task")?;
        Ok(Settled::Done(match taken {
            ReviewTaken::Opened => "opened a task for a review",
            ReviewTaken::Joined => "added a review to a queued task",
            ReviewTaken::Known => "the review was already handled",
        }))
    }
}

/// What reading a review's comments needs to know.
struct Reading<'a> {
    on: &'a EventContext<'a>,
    repository: &'a Repository,
    own_login: &'a str,
    may_push: HashMap<(String, Option<u64>), bool>,
}

impl Reading<'_> {
    async fn remark(
        &mut self,
        comment: &ReviewComment,
        all: &[ReviewComment],
    ) -> anyhow::Result<LineComment> {
        let thread = thread_of(comment);
        let mut before = Vec::new();
        for earlier in all.iter().filter(|other| thread_of(other) == thread && other.id < comment.id) {
            if self.counts(earlier).await? {
                before.push(ThreadComment { by: earlier.author.login.clone(), text: earlier.body.clone() });
            }
        }
        Ok(LineComment {
            id: comment.id,
            thread,
            at: Lines {
                file: comment.path.clone(),
                first: comment.first,
                last: comment.last,
                is_old_side: comment.is_old_side,
                commit: comment.commit.clone(),
            },
            hunk: comment.hunk.clone(),
            text: comment.body.clone(),
            at_second: comment.created_at.as_second(),
            before,
        })
    }

    /// Whether an earlier comment is hob's own, or of somebody who may push.
    async fn counts(&mut self, comment: &ReviewComment) -> anyhow::Result<bool> {
        let login = &comment.author.login;
        if login.eq_ignore_ascii_case(self.own_login) {
            return Ok(true);
        }
        if comment.author.is_bot {
            return Ok(false);
        }
        let who = (login.clone(), comment.author.id);
        if let Some(known) = self.may_push.get(&who) {
            return Ok(*known);
        }
        let may = may_push(self.repository, self.on.delivery, &comment.author).await?;
        self.may_push.insert(who, may);
        Ok(may)
    }
}

fn thread_of(comment: &ReviewComment) -> ReviewCommentId {
    comment.in_reply_to.unwrap_or(comment.id)
}
