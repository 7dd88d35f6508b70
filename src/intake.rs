//! Intake: a recorded delivery becomes a change to stories and tasks, or nothing. What it leads to
//! is decided in `intake/decide.rs`; who may command hob is asked here, of the git host, at that
//! moment. The deliveries of one repository are settled one by one, each in one transaction with
//! what it leads to; GitHub is asked before that transaction, never in it.

mod adopted_pull_request;
mod answers;
mod base;
mod blocked;
mod button;
mod commands;
pub mod decide;
mod fix;
mod located;
mod pull;
pub mod reply;
mod review;
mod settings;
mod sub_issues;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::command::{self, Reading};
use crate::config::Config;
use crate::event::{Comment, Ending, Event, EventRepository, Issue, Person, Pull};
use crate::github::{Change, GitHub, GitHubError, Permission, Repository, webhook};
use crate::heartbeat::Heartbeat;
use crate::ids::{AgentKind, IssueNumber};
use crate::lanes::{LaneLimits, Lanes};
use crate::markdown;
use crate::message::{self, AdoptionRefusal, Part, TextChanged};
use crate::store::{
    BlockedBy, Delivery, Effect, Heard, NewEffect, NewMessage, NewTask, PendingRequest, ReactTo, Stop, Store,
    StoryAsk, once_id,
};
use crate::story::{Choice, RunReason, StopReason, Story, TaskKind, TaskRequest};
use commands::TaskDraft;
use decide::{Decision, Input, decide};
use located::NextLookup;
use settings::Settings;
use sub_issues::SubIssuePlan;

/// The first wait before a delivery is tried again; it doubles up to `MAX_WAIT`.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// How often a delivery has been put off, 14 s after the first try, when a 404 about it is
/// believed.
const MAX_NOT_FOUND: u32 = 3;

/// Where nothing calls and nothing is due, the loop looks after so many times `work.poll`: the
/// sweep wakes it when the store changes.
const IDLE_POLLS: u32 = 12;
/// Deliveries that are settled at once, and of one repository: there each has to find what the one
/// before it has led to.
const ROOM: LaneLimits = LaneLimits { most: 8, of_lane: 1 };

/// What is said once on a story: that a comment reaches no agent.
const UNHEARD: &str = "unheard";

/// The longest honest step: one delivery, for which GitHub is asked a few times, each with two
/// repeats of a minute.
pub const MAX_STEP: Duration = Duration::from_secs(20 * 60);

/// Everything intake works with.
#[derive(Clone)]
pub struct Intake {
    /// hob's settings.
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
    /// It leads to nothing, for this reason. Later it might.
    Ignored(String),
    /// It never leads to anything, for this reason.
    OfNoUse(String),
}

/// An issue's text, as far as people have seen it who asked for work.
enum Seen {
    /// It is what it is now.
    Now(Issue),
    /// Somebody has changed it since who may not push.
    Other(TextChanged),
    /// The issue no longer exists.
    Gone,
}

impl Intake {
    /// Works off the inbox until `stop` is set: several repositories at once, the deliveries of
    /// each one after the other.
    pub async fn run(self, stop: CancellationToken, pulse: Heartbeat) -> anyhow::Result<()> {
        let next_look = tokio::sync::Mutex::new(NextLookup::default());
        let mut lanes = Lanes::new(ROOM);
        while !stop.is_cancelled() {
            pulse.beat();
            let wait = match self.begin_due(&next_look, &mut lanes).await {
                Ok(wait) => wait,
                Err(error) => {
                    self.store.sit_out(error, &stop).await?;
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                settled = lanes.next() => {
                    if let Err(error) = settled {
                        self.store.sit_out(error, &stop).await?;
                    }
                }
                () = self.store.wakes().deliveries.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        // A stop lets those come to an end that are under way.
        while !lanes.is_empty() {
            if let Err(error) = lanes.next().await {
                tracing::warn!(error = format!("{error:#}"), "settling a delivery failed");
            }
        }
        Ok(())
    }

    /// Begins what is due, as far as there is room; tells in what time to look again, if nothing
    /// happens before.
    async fn begin_due<'a>(
        &'a self,
        next_look: &'a tokio::sync::Mutex<NextLookup>,
        lanes: &mut Lanes<'a, anyhow::Result<()>>,
    ) -> anyhow::Result<Duration> {
        self.learn().await?;
        // In a lane of its own, since GitHub is asked.
        if let Ok(next) = next_look.try_lock()
            && self.is_repository_sought(&next).await?
        {
            drop(next);
            lanes.begin("", async move { self.look_for_repositories(&mut *next_look.lock().await).await });
        }
        while lanes.has_room() {
            let busy = lanes.full();
            if let Some(delivery) = self.store.next_delivery_beside(&busy).await? {
                lanes.begin(delivery.lane.clone(), async move { self.settle(&delivery).await });
            } else if let Some(due) = self.store.due_wish(&busy).await? {
                lanes.begin(due.lane.clone(), async move { self.look_at_wish(&due).await });
            } else {
                break;
            }
        }
        let next = self.store.next_intake_at().await?.map(clock::until_ms);
        let waits = [next, lanes.room_in()].into_iter().flatten();
        Ok(waits.fold(self.config.work.poll * IDLE_POLLS, Duration::min))
    }

    /// Settles one delivery, or puts it off.
    async fn settle(&self, delivery: &Delivery) -> anyhow::Result<()> {
        let span = tracing::info_span!("delivery", delivery = delivery.guid, event = delivery.event);
        let event = match webhook::decode(&delivery.event, &delivery.body) {
            Ok(event) => event,
            Err(error) => {
                span.in_scope(|| tracing::warn!(%error, "decoding a delivery failed; set aside"));
                return self.store.set_aside_delivery(&delivery.guid, &error.to_string()).await;
            }
        };
        match self.decide(delivery, event).await {
            Ok(Settled::Done(what)) => span.in_scope(|| tracing::info!(outcome = what, "delivery settled")),
            Ok(Settled::Ignored(why)) => {
                span.in_scope(|| tracing::info!(reason = why, "delivery ignored"));
                if is_of_people(&delivery.event) {
                    self.store.ignore_delivery(&delivery.guid, &why).await?;
                } else {
                    self.store.drop_delivery(&delivery.guid, &why).await?;
                }
            }
            Ok(Settled::OfNoUse(why)) => {
                span.in_scope(|| tracing::info!(reason = why, "delivery ignored"));
                self.store.drop_delivery(&delivery.guid, &why).await?;
            }
            Err(error) => {
                let wait = (FIRST_WAIT * 2u32.pow(delivery.attempts.min(10))).min(MAX_WAIT);
                let named = error.downcast_ref::<GitHubError>().and_then(GitHubError::retry_after);
                let note = format!("{error:#}");
                span.in_scope(|| tracing::warn!(error = note, "processing a delivery failed; will retry"));
                self.store.postpone_delivery(&delivery.guid, named.unwrap_or(wait), &note).await?;
            }
        }
        Ok(())
    }

    async fn decide(&self, delivery: &Delivery, mut event: Event) -> anyhow::Result<Settled> {
        let began = Instant::now();
        if let Some(place) = event.place()
            && let Some(why) = self.is_left_out(place).await?
        {
            return Ok(Settled::Ignored(why));
        }
        let has_changed = matches!(event, Event::RepositoryChanged { .. });
        if let Some(place) = event.place_mut() {
            if let Some(why) = self.find_place(delivery, place, has_changed).await? {
                return Ok(Settled::Ignored(why));
            }
            // Under the name that it has now.
            if !self.config.github.allows(&place.repo) {
                return Ok(Settled::Ignored(format!("github.allow does not include {}", place.repo)));
            }
        }
        let happening = |place, issue, sender| EventContext {
            delivery,
            began,
            place,
            issue,
            sender,
            comment: None,
            others: Vec::new(),
            settings: Settings::default(),
        };
        match event {
            Event::RepositoryChanged { .. } => {
                Ok(Settled::OfNoUse("recorded the repository's location; nothing else to do".to_owned()))
            }
            Event::Ping => Ok(Settled::OfNoUse("GitHub's test of the webhook".to_owned())),
            Event::Other { event, action } => {
                Ok(Settled::OfNoUse(format!("hob does not handle {event}.{}", action.unwrap_or_default())))
            }
            Event::IssueLabeled { place, issue, label, at, sender } => {
                let settings = self.settings_lately(&place).await?;
                let choice = command::chosen_by_label(settings.label(&self.config), &label);
                let on = EventContext { settings, ..happening(&place, &issue, &sender) };
                self.follow(&on, &Input::Label { choice, label, at }).await
            }
            Event::IssueUnlabeled { place, issue, label, at, sender } => {
                let settings = self.settings_lately(&place).await?;
                let is_own = command::chosen_by_label(settings.label(&self.config), &label).is_some();
                let on = EventContext { settings, ..happening(&place, &issue, &sender) };
                self.follow(&on, &Input::Unlabel { is_own, at }).await
            }
            Event::IssueAssigned { place, issue, to, at, sender } => {
                let is_own = self.github.is_own(&to).await?;
                self.follow(&happening(&place, &issue, &sender), &Input::Assign { is_own, at }).await
            }
            Event::IssueEnded { place, issue, ending, at, sender } => {
                let blocker = BlockedBy { repo: place.repo.clone(), number: issue.number, of: None };
                self.store.look_at_blocked_by(&blocker).await?;
                let on = happening(&place, &issue, &sender);
                let story = self.store.story_at(&place.repo, issue.number).await?;
                if let Some(story) = story.filter(|_| ending == Ending::Closed)
                    && let Some(settled) = self.closed_by_merge(&on, &story, at).await?
                {
                    return Ok(settled);
                }
                self.follow(&on, &Input::End(ending)).await
            }
            Event::Commented { place, issue, comment, sender } => {
                if self.is_own(&comment, &sender).await? {
                    return Ok(Settled::OfNoUse("hob's own comment".to_owned()));
                }
                let Reading { command, others } = self.read(&comment.body).await?;
                let act = Input::Comment {
                    id: comment.id,
                    at: comment.at,
                    command,
                    body: comment.body.clone(),
                    by: sender.login.clone(),
                };
                let on =
                    EventContext { comment: Some(&comment), others, ..happening(&place, &issue, &sender) };
                self.follow(&on, &act).await
            }
            Event::CommentEdited { place, issue, comment, before, at, sender } => {
                let by_hob = self.github.is_own(&sender).await?;
                let act = Input::Edit {
                    id: comment.id,
                    at,
                    before,
                    after: comment.body.clone(),
                    by: sender.login.clone(),
                    by_hob,
                };
                let on = EventContext { comment: Some(&comment), ..happening(&place, &issue, &sender) };
                self.follow(&on, &act).await
            }
            Event::Reviewed { place, pull, review, sender } => {
                let issue = conversation_of(&pull);
                self.on_review(&happening(&place, &issue, &sender), &pull, &review).await
            }
            Event::PullMoved { place, pull, to, at, sender } => {
                let issue = conversation_of(&pull);
                self.on_pull_moved(&happening(&place, &issue, &sender), &pull, to, at).await
            }
            Event::PullRetargeted { place, pull } => self.on_retarget(delivery, &place, &pull).await,
            Event::CheckEnded { place, check, at } => self.on_check_ended(delivery, &place, &check, at).await,
            Event::CheckButton { place, check_run, head, button, sender } => {
                let pressed = button::ButtonPress { check_run, head, button };
                self.on_button(delivery, &place, &pressed, &sender).await
            }
            Event::Pushed { place, branch, after, sender, .. } => {
                let pushed = base::Pushed { branch, after };
                self.on_push(delivery, &place, &pushed, &sender).await
            }
        }
    }

    /// Decides, and carries out what was decided.
    async fn follow(&self, on: &EventContext<'_>, act: &Input) -> anyhow::Result<Settled> {
        let story = self.store.story_at(&on.place.repo, on.issue.number).await?;
        let known = self.known(on, act, story.as_ref()).await?;
        let decision = decide(act, &known);
        match &decision {
            Decision::Nothing(why) => return Ok(Settled::OfNoUse((*why).to_owned())),
            Decision::NotYet(why) => anyhow::bail!("{why}"),
            Decision::Answer { .. } | Decision::Late { .. } | Decision::PutBack(_) => {
                return self.answered(on, act, decision, &known).await;
            }
            Decision::Unheard => {
                if let Some(story) = &story
                    && self.store.was_said(story.id, UNHEARD).await?
                {
                    return Ok(Settled::Ignored(
                        "a comment that no agent receives, as already reported".to_owned(),
                    ));
                }
            }
            _ => {}
        }
        // Now it matters, and what was read for an earlier delivery may have changed. An end needs
        // no settings: the repository may be one that hob does not see.
        let on = match decision {
            Decision::End(_) => on,
            _ => &EventContext { settings: self.settings(on.place, on.began).await?, ..on.clone() },
        };
        if let Input::Label { label, .. } = act
            && command::chosen_by_label(on.settings.label(&self.config), label).is_none()
        {
            return Ok(Settled::Ignored("the label no longer belongs to hob".to_owned()));
        }
        let needed = match decision {
            // An issue's author may close it; what else ends an issue only those may do who may
            // push, and then there may be nobody left to ask about.
            Decision::End(ending) => (ending == Ending::Closed).then_some(Permission::Write),
            // Anyone who may push may stop what runs, no matter who may start it.
            Decision::Stop | Decision::Unlabeled | Decision::CheckAgain => Some(Permission::Write),
            _ => Some(on.settings.who()),
        };
        if let Some(needed) = needed
            && let Some(why) = self.may_not_command(on, needed).await?
        {
            return Ok(Settled::Ignored(why));
        }
        self.tell_of_others(on, story.as_ref()).await?;
        let begins = matches!(
            decision,
            Decision::Open { .. }
                | Decision::Rebase { .. }
                | Decision::Fix { .. }
                | Decision::GoOn(_)
                | Decision::GoOnAfresh(_)
        );
        let is_over = |story: &Story| story.is_adopted() && story.open_pull().is_none();
        if begins && story.as_ref().is_some_and(is_over) {
            return self.not_there(on, story, AdoptionRefusal::Over).await;
        }
        match (decision, story) {
            (Decision::Open { choice, text, mode }, story) => {
                let (turn, about) = (choice.first_turn(), TaskKind::Issue);
                let opening = TaskDraft { choice, text, mode, turn, about, asked_on: None };
                self.open_task(on, act, story, opening).await
            }
            (Decision::Rebase { rewrite }, story) => self.rebase(on, story, rewrite).await,
            (Decision::Fix { text }, story) => self.fix(on, act, story, text).await,
            (Decision::GoOn(with), story) => self.go_on(on, act, story, (with, RunReason::GoOn)).await,
            (Decision::GoOnAfresh(with), story) => {
                self.go_on(on, act, story, (with, RunReason::StartOver)).await
            }
            (Decision::Redeliver, Some(story)) => {
                self.store.redeliver(&on.delivery.guid, story.id, &[on.seen("eyes")]).await?;
                Ok(Settled::Done("retries what GitHub rejected"))
            }
            (Decision::RememberLabel, Some(story)) => {
                if let Input::Label { at, .. } = act {
                    self.store.remember_label(&on.delivery.guid, story.id, *at).await?;
                }
                Ok(Settled::Done("recorded a label; the story is already in progress"))
            }
            (Decision::Choose(agent), Some(story)) => self.choose(on, act, &story, agent).await,
            (Decision::Hear, Some(story)) => self.hear(on, &story).await,
            (Decision::Unheard, Some(story)) => self.say_that_nobody_listens(on, &story).await,
            (Decision::Discuss, Some(story)) => self.on_pull_comment(on, &story).await,
            (Decision::Stop, story) => self.stop(on, story).await,
            (Decision::CheckAgain, Some(story)) => self.check_again(on, &story).await,
            (Decision::Grant { more_usd }, story) => self.grant(on, story, more_usd).await,
            (Decision::Unlabeled, Some(_)) if !self.own_labels(on).await?.is_empty() => {
                Ok(Settled::Ignored("the issue has another of hob's labels".to_owned()))
            }
            (Decision::Unlabeled, Some(story)) => {
                self.no_more(on, act, &story, StopReason::Unlabeled { by: on.sender.login.clone() }).await
            }
            (Decision::End(ending), Some(story)) => {
                tracing::info!(story = %story.id, repo = %story.repo, issue = %story.issue, reason = ending.as_str(), "story ended");
                self.no_more(on, act, &story, StopReason::Ended { ending, by: on.sender.login.clone() }).await
            }
            (Decision::Explain(mistake), story) => {
                let words = message::misunderstood(&mistake, &self.agents());
                self.reply(on, story, "confused", words).await
            }
            (Decision::Help, story) => self.reply(on, story, "eyes", message::help(&self.agents())).await,
            (Decision::Status, story) => self.tell_status(on, story).await,
            (Decision::Refuse(why), story) => self.reply(on, story, "eyes", message::nothing_done(why)).await,
            (_, _) => Ok(Settled::Ignored("nothing to do".to_owned())),
        }
    }

    /// What hob's labels choose that are on the issue now. It is the set that counts: events of one
    /// act come in any order.
    async fn own_labels(&self, on: &EventContext<'_>) -> anyhow::Result<Vec<Choice>> {
        let repository = self.github.repository(&on.place.at()).await?;
        let labels = match repository.labels(on.issue.number).await {
            Err(GitHubError::NotFound) => Vec::new(),
            labels => labels?,
        };
        let own = on.settings.label(&self.config);
        Ok(labels.iter().filter_map(|label| command::chosen_by_label(own, label)).collect())
    }

    /// Has the agent do the work that a label names, which was put on beside the one that asked for
    /// it. Once another has begun, that is said.
    async fn choose(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: &Story,
        agent: AgentKind,
    ) -> anyhow::Result<Settled> {
        let Input::Label { label, at, .. } = act else {
            return Ok(Settled::Ignored("not a label".to_owned()));
        };
        let guid = &on.delivery.guid;
        if self.store.choose_agent(guid, story.id, agent, *at).await? {
            return Ok(Settled::Done("another label chose the agent"));
        }
        let task = self.store.open_task_of(story.id).await?;
        let at_work = match &task {
            Some(task) => self.store.latest_run(task).await?.map(|run| run.agent).or(task.ask.choice.agent),
            None => None,
        };
        let Some(at_work) = at_work.filter(|at_work| *at_work != agent) else {
            self.store.remember_label(guid, story.id, *at).await?;
            return Ok(Settled::Done("recorded a label; the story is already in progress"));
        };
        // What a look finds again was said when the webhook told of it.
        if story.labeled_at.is_some_and(|taken| *at <= taken) && guid.starts_with("look-") {
            return Ok(Settled::Ignored("the label, or a later one, was already handled".to_owned()));
        }
        let about = self.story_ask(on, on.issue, Some(story));
        let effects = [on.say(message::label_too_late(label, at_work, agent))];
        self.store.only_say(guid, &about, &Heard::Label(*at), &effects).await?;
        Ok(Settled::Done("reported that another agent has started"))
    }

    /// Takes a comment as a message to the agent at work.
    async fn hear(&self, on: &EventContext<'_>, story: &Story) -> anyhow::Result<Settled> {
        let Some(comment) = on.comment else {
            return Ok(Settled::Ignored("nothing to report".to_owned()));
        };
        let message = NewMessage {
            text: comment.body.clone(),
            by: on.sender.login.clone(),
            by_id: on.sender.id,
            comment: comment.id,
            at: comment.at,
        };
        self.store.hear(&on.delivery.guid, story.id, &message, &on.seen("eyes")).await?;
        Ok(Settled::Done("message for the agent"))
    }

    /// The commands in a comment.
    async fn read(&self, comment: &str) -> anyhow::Result<Reading> {
        let own = self.github.own_login().await?;
        if comment.len() <= markdown::LARGE {
            return Ok(command::read(comment, &own));
        }
        let comment = comment.to_owned();
        let read = tokio::task::spawn_blocking(move || command::read(&comment, &own));
        read.await.context("reading a comment")
    }

    /// Says which commands of a comment are not carried out, since another stands before them.
    async fn tell_of_others(&self, on: &EventContext<'_>, story: Option<&Story>) -> anyhow::Result<()> {
        if on.others.is_empty() {
            return Ok(());
        }
        let what = format!("others {}", on.delivery.guid);
        let effect = Effect::Comment { on: on.issue.number, body: message::only_the_first(&on.others) };
        self.store.say_once(&self.story_ask(on, on.issue, story), &what, effect).await
    }

    /// Says, once on a story, that a comment reaches no agent.
    async fn say_that_nobody_listens(&self, on: &EventContext<'_>, story: &Story) -> anyhow::Result<Settled> {
        let NewEffect { effect, .. } = on.say(message::nobody_listens());
        let said = NewEffect { id: once_id(story.id, UNHEARD), effect };
        let about = self.story_ask(on, on.issue, Some(story));
        self.store.only_say(&on.delivery.guid, &about, &Heard::Words, &[said]).await?;
        Ok(Settled::Done("reported that no agent receives the comment"))
    }

    async fn open_task(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: Option<Story>,
        opening: TaskDraft,
    ) -> anyhow::Result<Settled> {
        let (at, labeled_at) = match act {
            Input::Label { at, .. } => (*at, Some(*at)),
            Input::Comment { at, .. }
            | Input::Edit { at, .. }
            | Input::Unlabel { at, .. }
            | Input::Assign { at, .. } => (*at, None),
            // No label or command is as late as this; and what was said before the work was stopped
            // is known by its task.
            Input::Press(_) => (clock::now(), None),
            Input::End(_) => anyhow::bail!("an ended issue opens no task"),
        };
        if let Some(fault) = on.settings.fault() {
            let heard = labeled_at.map_or(Heard::Words, Heard::Label);
            return self.decline_for_settings(on, story.as_ref(), heard, fault).await;
        }
        if let Some(parent) = self.parent_of(on, labeled_at).await? {
            return self.decline_as_part(on, story.as_ref(), labeled_at, parent).await;
        }
        let theirs = match self.their_pull(on, story.as_ref()).await? {
            Ok(theirs) => theirs,
            Err(why) => return self.not_there(on, story, why).await,
        };
        let issue = match &story {
            // Whose branch it is may push, and nobody else writes its text.
            _ if theirs.is_some() => on.issue.clone(),
            Some(story) if on.issue.is_pull_request => self.issue_of(story, on.issue).await?,
            _ if on.issue.read_later => match self.as_seen(on, on.issue.number, at).await? {
                Seen::Now(issue) => issue,
                Seen::Gone => return Ok(Settled::Ignored("the issue no longer exists".to_owned())),
                Seen::Other(changed) => {
                    return self.decline(on, story.as_ref(), labeled_at, None, &changed).await;
                }
            },
            _ => on.issue.clone(),
        };
        let opening = match act {
            Input::Label { .. } if opening.choice.agent.is_none() => {
                let chosen = self.own_labels(on).await?.into_iter().find(|choice| choice.agent.is_some());
                TaskDraft { choice: chosen.unwrap_or(opening.choice), ..opening }
            }
            _ => opening,
        };
        let blockers = match theirs {
            Some(_) => Vec::new(),
            None => self.blockers(on, story.as_ref()).await?,
        };
        if !blockers.is_empty() {
            let wish = wish(on, &issue, at, labeled_at.is_some(), opening);
            return self.wait_for(on, story.as_ref(), &wish, &blockers).await;
        }
        let about = match opening.about {
            TaskKind::Issue if opening.turn == opening.choice.first_turn() => {
                match self.parts_of_new(on, story.as_ref(), opening.mode, at).await? {
                    SubIssuePlan::Ask(about) => about,
                    SubIssuePlan::Other(part, changed) => {
                        return self.decline(on, story.as_ref(), labeled_at, Some(part), &changed).await;
                    }
                }
            }
            about => about,
        };
        let mut new = self.new_task(on, &issue, story.as_ref(), TaskDraft { about, ..opening });
        if let Some(theirs) = theirs {
            new.on = StoryAsk {
                base_branch: theirs.base,
                branch: theirs.head,
                theirs: Some(theirs.number),
                ..new.on
            };
        }
        // A label or a button is answered by the status comment; of a comment people see that it
        // was read.
        if on.comment.is_some() {
            new.effects.insert(0, on.seen("eyes"));
        }
        new.labeled_at = labeled_at;
        self.store.open_task(&on.delivery.guid, &new).await.context("opening a task")?;
        Ok(Settled::Done("opened a task"))
    }

    /// The task that was asked for.
    fn new_task(
        &self,
        on: &EventContext<'_>,
        issue: &Issue,
        story: Option<&Story>,
        opening: TaskDraft,
    ) -> NewTask {
        let TaskDraft { choice, text, mode, turn, about, asked_on } = opening;
        let about_story = self.story_ask(on, issue, story);
        // Where that is not where the story itself is.
        let on_pull = on.issue.is_pull_request.then_some(on.issue.number);
        let on_pull = on_pull.filter(|number| *number != about_story.issue);
        NewTask {
            on: about_story,
            effects: self.opening_effects(on, story, &choice),
            ask: TaskRequest { on: asked_on.or(on_pull), about, ..self.ask(on, issue, text, choice) },
            mode,
            turn,
            labeled_at: None,
            settings: on.settings.text(),
        }
    }

    /// The text of the issue, or of a sub-issue of it, where it is still the one that people saw
    /// who asked for work at that time. Only who may push may have changed it since; and then what
    /// they left is what is worked on.
    async fn as_seen(
        &self,
        on: &EventContext<'_>,
        number: IssueNumber,
        at: Timestamp,
    ) -> anyhow::Result<Seen> {
        let repository = self.github.repository(&on.place.at()).await?;
        let history = match repository.issue_history(number).await {
            Err(GitHubError::NotFound) if is_believed(on.delivery) => return Ok(Seen::Gone),
            history => history?,
        };
        // Times are whole seconds, so that what is of the same second counts as later.
        let since = |change: &&Change| change.at.as_second() >= at.as_second();
        let changes = [(Part::Title, &history.renamed), (Part::Text, &history.edited)];
        for (part, change) in changes {
            let Some(Change { by, .. }) = change.as_ref().filter(since) else { continue };
            if by.is_bot || !may_push(&repository, on.delivery, by).await? {
                return Ok(Seen::Other(TextChanged { part, by: by.login.clone() }));
            }
        }
        Ok(Seen::Now(Issue {
            number,
            title: history.title,
            body: history.body,
            read_later: false,
            ..on.issue.clone()
        }))
    }

    /// Says that nothing is started because somebody has changed the text since it was asked for.
    /// Said once.
    async fn decline(
        &self,
        on: &EventContext<'_>,
        story: Option<&Story>,
        labeled_at: Option<Timestamp>,
        part: Option<IssueNumber>,
        changed: &TextChanged,
    ) -> anyhow::Result<Settled> {
        let effects =
            [on.seen("confused"), on.say(message::text_changed(changed, part, labeled_at.is_some()))];
        let heard = labeled_at.map_or(Heard::Words, Heard::Label);
        let about = self.story_ask(on, on.issue, story);
        self.store.only_say(&on.delivery.guid, &about, &heard, &effects).await?;
        Ok(Settled::Done("reported that the text has changed"))
    }

    async fn stop(&self, on: &EventContext<'_>, story: Option<Story>) -> anyhow::Result<Settled> {
        let at = on.comment.map_or(Timestamp::UNIX_EPOCH, |comment| comment.at);
        let stop = Stop { reason: StopReason::Asked { by: on.sender.login.clone() }, at };
        let seen = on.seen("eyes");
        if let Some(story) = &story
            && self.store.wish_of(story.id).await?.is_some()
        {
            let effects = [seen, on.say(message::waits_no_more())];
            self.store.call_wish_off(&on.delivery.guid, story.id, &stop, &effects).await?;
            return Ok(Settled::Done("no longer waits for blocking issues"));
        }
        if let Some(story) = &story
            && self.store.stop(&on.delivery.guid, story.id, &stop, Some(&seen)).await?
        {
            return Ok(Settled::Done("stops the work"));
        }
        let is_publishing = match &story {
            Some(story) => self.store.open_task_of(story.id).await?.is_some(),
            None => false,
        };
        let about = self.story_ask(on, on.issue, story.as_ref());
        let effects = [seen, on.say_on(about.issue, message::nothing_to_stop(is_publishing))];
        self.store.only_say(&on.delivery.guid, &about, &Heard::Stop(stop), &effects).await?;
        Ok(Settled::Done("reported that there is nothing to stop"))
    }

    /// Stops a story's work where somebody has let hob know without a word, by the label or the
    /// issue's end.
    async fn no_more(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: &Story,
        reason: StopReason,
    ) -> anyhow::Result<Settled> {
        let at = match act {
            Input::Unlabel { at, .. } => *at,
            _ => Timestamp::UNIX_EPOCH,
        };
        let stop = Stop { reason, at };
        let stopped = self.store.stop(&on.delivery.guid, story.id, &stop, None).await?;
        Ok(if stopped {
            Settled::Done("stops the work")
        } else {
            Settled::Ignored("there is nothing to stop".to_owned())
        })
    }

    fn ask(&self, on: &EventContext<'_>, issue: &Issue, text: Option<String>, choice: Choice) -> TaskRequest {
        TaskRequest {
            by: on.sender.login.clone(),
            by_id: on.sender.id,
            title: issue.title.clone(),
            body: issue.body.clone(),
            text,
            choice,
            on: on.issue.is_pull_request.then_some(on.issue.number),
            about: TaskKind::Issue,
        }
    }

    /// The story that this is about: the one there, or the issue's own.
    fn story_ask(&self, on: &EventContext<'_>, issue: &Issue, story: Option<&Story>) -> StoryAsk {
        let place = on.place;
        let number = story.map_or(issue.number, |story| story.issue);
        StoryAsk {
            repo: place.repo.clone(),
            github_id: place.id,
            issue: number,
            title: message::pull_request_title(&issue.title),
            installation: place.installation,
            base_branch: on.settings.base_branch(place, story),
            theirs: None,
            branch: self.config.branch_of(&on.settings.file(), number),
        }
    }

    /// The story's issue, for a command that was given on its pull request: the delivery carries
    /// the pull request's text, not the issue's, so what the story was last asked for stands.
    async fn issue_of(&self, story: &Story, on_pull: &Issue) -> anyhow::Result<Issue> {
        let asks = self.store.asks_of(story.id).await?;
        let last = asks.last().context("loading the story's tasks")?;
        Ok(Issue {
            number: story.issue,
            title: last.title.clone(),
            body: last.body.clone(),
            is_pull_request: false,
            is_open: on_pull.is_open,
            // Frozen when it was asked for.
            read_later: false,
        })
    }

    /// Why this person may not command hob; `None` if they may. The answer is asked for at this
    /// moment, since what a person may do changes.
    async fn may_not_command(
        &self,
        on: &EventContext<'_>,
        needed: Permission,
    ) -> anyhow::Result<Option<String>> {
        let EventContext { delivery, place, sender, .. } = on;
        if sender.is_bot {
            return Ok(Some(format!("{} is a bot", sender.login)));
        }
        let repository = self.github.repository(&place.at()).await?;
        let has = permission(&repository, delivery, sender).await?;
        Ok((has < needed).then(|| format!("{} may not command hob in {}", sender.login, place.repo)))
    }

    /// With a token, hob writes as an account that a person may use too, so the account alone does
    /// not tell; hob's comments carry its marker.
    async fn is_own(&self, comment: &Comment, sender: &Person) -> anyhow::Result<bool> {
        Ok(message::has_marker(&comment.body) && self.github.is_own(sender).await?)
    }
}

/// What somebody wants, frozen.
fn wish(
    on: &EventContext<'_>,
    issue: &Issue,
    at: Timestamp,
    by_label: bool,
    opening: TaskDraft,
) -> PendingRequest {
    PendingRequest {
        by: on.sender.login.clone(),
        by_id: on.sender.id,
        at,
        by_label,
        title: issue.title.clone(),
        body: issue.body.clone(),
        text: opening.text,
        choice: opening.choice,
        mode: opening.mode,
        default_branch: on.place.default_branch.clone(),
    }
}

/// The issue side of a pull request.
fn conversation_of(pull: &Pull) -> Issue {
    Issue {
        number: IssueNumber(pull.number.0),
        title: pull.title.clone(),
        body: pull.body.clone(),
        is_pull_request: true,
        is_open: pull.is_open,
        read_later: false,
    }
}

/// Whether somebody may push. Who is not known to GitHub may not.
async fn may_push(repository: &Repository, delivery: &Delivery, person: &Person) -> anyhow::Result<bool> {
    Ok(permission(repository, delivery, person).await?.at_least_write())
}

async fn permission(
    repository: &Repository,
    delivery: &Delivery,
    person: &Person,
) -> anyhow::Result<Permission> {
    match repository.permission(&person.login, person.id).await {
        Err(GitHubError::NotFound) if is_believed(delivery) => Ok(Permission::None),
        permission => permission.with_context(|| format!("checking the permission of {}", person.login)),
    }
}

/// Whether a 404 is the truth about this delivery. GitHub sometimes says it of what is there; a
/// delivery that is ignored for one such answer would lose what somebody said.
fn is_believed(delivery: &Delivery) -> bool {
    delivery.attempts >= MAX_NOT_FOUND
}

/// Whether a person is behind a delivery of this event, who might want it replayed. Checks,
/// statuses and pushes come by the thousand, and are found again by looking.
fn is_of_people(event: &str) -> bool {
    matches!(event, "issues" | "issue_comment" | "pull_request" | "pull_request_review")
}

/// One label or comment, and where it came from.
#[derive(Clone)]
struct EventContext<'a> {
    delivery: &'a Delivery,
    /// When hob began to look into it.
    began: Instant,
    place: &'a EventRepository,
    issue: &'a Issue,
    sender: &'a Person,
    comment: Option<&'a Comment>,
    /// Lines of the comment that are commands too, and are not carried out.
    others: Vec<String>,
    /// The repository's, as far as they have mattered.
    settings: Settings,
}

impl EventContext<'_> {
    /// A reaction to it.
    fn seen(&self, content: &str) -> NewEffect {
        let to = match self.comment {
            Some(comment) => ReactTo::Comment(comment.id),
            None => ReactTo::Issue(self.issue.number),
        };
        NewEffect::new(Effect::React { to, content: content.to_owned() })
    }

    /// A comment where it was done.
    fn say(&self, body: String) -> NewEffect {
        self.say_on(self.issue.number, body)
    }

    fn say_on(&self, number: IssueNumber, body: String) -> NewEffect {
        NewEffect::new(Effect::Comment { on: number, body })
    }
}
