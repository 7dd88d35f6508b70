//! Intake: a recorded delivery becomes a change to stories and tasks, or nothing. Who may command hob is
//! decided here, by asking the git host at that moment. Deliveries are settled one by one, each in one
//! transaction with what it leads to; GitHub is asked before that transaction, never in it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::command::{self, Command};
use crate::config::Config;
use crate::event::{Comment, Event, Issue, Person, Place};
use crate::github::{GitHub, GitHubError, webhook};
use crate::message;
use crate::store::{Delivery, Effect, NewEffect, NewTask, ReactTo, Store, StoryAsk};
use crate::story::{Answer, Ask, AskedQuestion, Choice, Story};

/// The first wait before a delivery is tried again; it doubles up to `LONGEST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Everything intake works with.
#[derive(Clone)]
pub struct Intake {
    /// Settings.
    pub config: Arc<Config>,
    /// The store.
    pub store: Store,
    /// The git host.
    pub github: GitHub,
}

/// What became of a delivery.
enum Settled {
    /// It led to something, and was settled with it.
    Done(&'static str),
    /// It leads to nothing, for this reason.
    Ignored(String),
}

impl Intake {
    /// Works off the inbox until `stop` is set.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        while !stop.is_cancelled() {
            match self.store.next_delivery().await? {
                Some(delivery) => self.settle(&delivery).await?,
                None => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.store.wakes().deliveries.notified() => {}
                    () = tokio::time::sleep(self.config.work.poll) => {}
                },
            }
        }
        Ok(())
    }

    /// Settles one delivery, or puts it off.
    async fn settle(&self, delivery: &Delivery) -> anyhow::Result<()> {
        let span = tracing::info_span!("delivery", guid = delivery.guid, event = delivery.event);
        let event = match webhook::decode(&delivery.event, &delivery.body) {
            Ok(event) => event,
            Err(error) => {
                span.in_scope(|| tracing::warn!(%error, "a delivery cannot be decoded; it is set aside"));
                return self.store.set_aside_delivery(&delivery.guid, &error.to_string()).await;
            }
        };
        match self.decide(delivery, event).await {
            Ok(Settled::Done(what)) => span.in_scope(|| tracing::info!(what, "delivery settled")),
            Ok(Settled::Ignored(why)) => {
                span.in_scope(|| tracing::info!(why, "delivery ignored"));
                self.store.ignore_delivery(&delivery.guid, &why).await?;
            }
            Err(error) => {
                let wait = (FIRST_WAIT * 2u32.pow(delivery.attempts.min(10))).min(LONGEST_WAIT);
                let named = error.downcast_ref::<GitHubError>().and_then(GitHubError::retry_after);
                let note = format!("{error:#}");
                span.in_scope(|| tracing::warn!(error = note, "a delivery is put off"));
                self.store.postpone_delivery(&delivery.guid, named.unwrap_or(wait), &note).await?;
            }
        }
        Ok(())
    }

    async fn decide(&self, delivery: &Delivery, event: Event) -> anyhow::Result<Settled> {
        match event {
            Event::Ping => Ok(Settled::Ignored("GitHub's test of the webhook".to_owned())),
            Event::Other { event, action } => {
                Ok(Settled::Ignored(format!("hob has no use for {event}.{}", action.unwrap_or_default())))
            }
            Event::IssueLabeled { place, issue, label, sender } => {
                self.labeled(delivery, &place, &issue, &label, &sender).await
            }
            Event::Commented { place, issue, comment, sender } => {
                self.commented(delivery, &place, &issue, &comment, &sender).await
            }
        }
    }

    async fn labeled(
        &self,
        delivery: &Delivery,
        place: &Place,
        issue: &Issue,
        label: &str,
        sender: &Person,
    ) -> anyhow::Result<Settled> {
        let Some(choice) = self.chosen_by_label(label) else {
            return Ok(Settled::Ignored(format!("the label `{label}` is not hob's")));
        };
        if issue.is_pull_request {
            return Ok(Settled::Ignored("the label is on a pull request".to_owned()));
        }
        if let Some(why) = self.may_not_command(place, sender).await? {
            return Ok(Settled::Ignored(why));
        }
        if let Some(story) = self.store.story_at(&place.repo, issue.number).await?
            && self.store.open_task_of(story.id).await?.is_some()
        {
            return Ok(Settled::Ignored("the story is under work already".to_owned()));
        }
        let seen = react(ReactTo::Issue(issue.number), "eyes");
        let ask = self.ask(issue, sender, None, choice);
        self.open_task(delivery, place, issue, ask, seen).await
    }

    /// What a label of hob's chooses: nothing, or with `hob:codex` the agent.
    fn chosen_by_label(&self, label: &str) -> Option<Choice> {
        let own = &self.config.github.label;
        if label.eq_ignore_ascii_case(own) {
            return Some(Choice::default());
        }
        let (name, agent) = label.rsplit_once(':')?;
        let agent = agent.trim().to_ascii_lowercase().parse().ok()?;
        name.eq_ignore_ascii_case(own).then(|| Choice { agent: Some(agent), ..Choice::default() })
    }

    async fn commented(
        &self,
        delivery: &Delivery,
        place: &Place,
        issue: &Issue,
        comment: &Comment,
        sender: &Person,
    ) -> anyhow::Result<Settled> {
        let command = command::parse(&comment.body);
        let story = self.store.story_at(&place.repo, issue.number).await?;
        let question = match &story {
            Some(story) => self.store.open_question(story.id).await?,
            None => None,
        };
        if command.is_none() && question.is_none() {
            return Ok(Settled::Ignored("a comment that is not for hob".to_owned()));
        }
        if self.is_own(comment, sender).await? {
            return Ok(Settled::Ignored("hob's own comment".to_owned()));
        }
        if let Some(why) = self.may_not_command(place, sender).await? {
            return Ok(Settled::Ignored(why));
        }
        let seen = |content| react(ReactTo::Comment(comment.id), content);
        if command == Some(Command::Stop) {
            return self.stop(delivery, place, issue, story, sender, comment).await;
        }
        if let Some(question) = question {
            return self.answered(delivery, &question, comment, command, sender, seen("eyes")).await;
        }
        match (command, story) {
            (Some(Command::Work { choice, text }), story) => {
                let issue = match (&story, issue.is_pull_request) {
                    (Some(story), true) => &self.issue_of(story, issue).await?,
                    (None, true) => {
                        return Ok(Settled::Ignored(
                            "a command on a pull request that is not hob's".to_owned(),
                        ));
                    }
                    (_, false) => issue,
                };
                let ask = self.ask(issue, sender, text, choice);
                self.open_task(delivery, place, issue, ask, seen("eyes")).await
            }
            (Some(Command::Mistake(mistake)), story) => {
                if story.is_none() && issue.is_pull_request {
                    return Ok(Settled::Ignored("a command on a pull request that is not hob's".to_owned()));
                }
                let number = story.as_ref().map_or(issue.number, |story| story.issue);
                let on = StoryAsk { issue: number, ..self.story_ask(place, issue) };
                let body = message::misunderstood(&mistake);
                let said = NewEffect::new(Effect::Comment { on: issue.number, body, question: None });
                self.store.only_say(&delivery.guid, &on, &[seen("confused"), said]).await?;
                Ok(Settled::Done("said what hob understands"))
            }
            (Some(Command::Stop) | None, _) => {
                Ok(Settled::Ignored("a comment that is not for hob".to_owned()))
            }
        }
    }

    async fn stop(
        &self,
        delivery: &Delivery,
        place: &Place,
        issue: &Issue,
        story: Option<Story>,
        sender: &Person,
        comment: &Comment,
    ) -> anyhow::Result<Settled> {
        let seen = react(ReactTo::Comment(comment.id), "eyes");
        if let Some(story) = &story
            && self.store.stop(&delivery.guid, story.id, &sender.login, &seen).await?
        {
            return Ok(Settled::Done("stops the work"));
        }
        if story.is_none() && issue.is_pull_request {
            return Ok(Settled::Ignored("a command on a pull request that is not hob's".to_owned()));
        }
        let number = story.as_ref().map_or(issue.number, |story| story.issue);
        let on = StoryAsk { issue: number, ..self.story_ask(place, issue) };
        let said = Effect::Comment { on: issue.number, body: message::nothing_to_stop(), question: None };
        self.store.only_say(&delivery.guid, &on, &[seen, NewEffect::new(said)]).await?;
        Ok(Settled::Done("said that there is nothing to stop"))
    }

    /// A comment on a story that waits is the answer, whether it is put as a command or not.
    async fn answered(
        &self,
        delivery: &Delivery,
        question: &AskedQuestion,
        comment: &Comment,
        command: Option<Command>,
        sender: &Person,
        seen: NewEffect,
    ) -> anyhow::Result<Settled> {
        let text = match command {
            Some(Command::Work { text: Some(text), .. }) => text,
            Some(Command::Work { text: None, .. }) => "Decide yourself, and go on.".to_owned(),
            Some(Command::Mistake(_) | Command::Stop) | None => comment.body.clone(),
        };
        let answer = Answer { text, by: sender.login.clone() };
        if self.store.answer(&delivery.guid, question.id, &answer, &[seen]).await? {
            Ok(Settled::Done("answered a question"))
        } else {
            Ok(Settled::Ignored("the question was answered meanwhile".to_owned()))
        }
    }

    async fn open_task(
        &self,
        delivery: &Delivery,
        place: &Place,
        issue: &Issue,
        ask: Ask,
        seen: NewEffect,
    ) -> anyhow::Result<Settled> {
        let new = NewTask { on: self.story_ask(place, issue), ask, effects: vec![seen] };
        self.store.open_task(&delivery.guid, &new).await.context("opening a task")?;
        Ok(Settled::Done("opened a task"))
    }

    fn ask(&self, issue: &Issue, sender: &Person, text: Option<String>, choice: Choice) -> Ask {
        Ask {
            by: sender.login.clone(),
            by_id: sender.id,
            title: issue.title.clone(),
            body: issue.body.clone(),
            text,
            choice,
        }
    }

    fn story_ask(&self, place: &Place, issue: &Issue) -> StoryAsk {
        StoryAsk {
            repo: place.repo.clone(),
            issue: issue.number,
            title: message::pull_request_title(&issue.title),
            installation: place.installation,
            base_branch: place.default_branch.clone(),
            branch: self.config.branch_for(issue.number),
        }
    }

    /// The story's issue, for a command that was given on its pull request: the delivery carries the pull
    /// request's text, not the issue's, so what the story was last asked for stands.
    async fn issue_of(&self, story: &Story, on_pull: &Issue) -> anyhow::Result<Issue> {
        let asks = self.store.asks_of(story.id).await?;
        let last = asks.last().context("a story has at least one task")?;
        Ok(Issue {
            number: story.issue,
            title: last.title.clone(),
            body: last.body.clone(),
            is_pull_request: false,
            is_open: on_pull.is_open,
        })
    }

    /// Why this person may not command hob; `None` if they may. The answer is asked for at this moment,
    /// since what a person may do changes.
    async fn may_not_command(&self, place: &Place, sender: &Person) -> anyhow::Result<Option<String>> {
        if sender.is_bot {
            return Ok(Some(format!("{} is a bot", sender.login)));
        }
        let repository = self.github.repository(&place.repo, place.installation).await?;
        let permission = repository.permission(&sender.login).await?;
        Ok((!permission.at_least_write())
            .then(|| format!("{} may not write to {}", sender.login, place.repo)))
    }

    /// With a token, hob writes as an account that a person may use too, so the account alone does not
    /// tell; hob's comments carry its marker.
    async fn is_own(&self, comment: &Comment, sender: &Person) -> anyhow::Result<bool> {
        Ok(message::has_marker(&comment.body) && self.github.own_login().await? == sender.login)
    }
}

fn react(to: ReactTo, content: &str) -> NewEffect {
    NewEffect::new(Effect::React { to, content: content.to_owned() })
}
