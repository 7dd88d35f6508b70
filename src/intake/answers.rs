//! Answers to questions: what is known of a story's cards when something happens, and what becomes
//! of a reply or a tick. Whose word counts is asked of the git host here, as the settings say.

use anyhow::Context as _;

use super::decide::{Decision, Input, InputContext, KnownStory, OpenQuestion, Posted};
use super::{EventContext, Intake, Settled, is_believed};
use crate::command;
use crate::config::WhoAnswers;
use crate::event::Issue;
use crate::github::{GitHubError, Permission};
use crate::ids::PullNumber;
use crate::message;
use crate::store::NewAnswers;
use crate::story::{QuestionComment, Story};

impl Intake {
    /// What is known of the place where something was done.
    pub(super) async fn known(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: Option<&Story>,
    ) -> anyhow::Result<InputContext> {
        // Of a pull request of somebody else's there may be a story too: what hob has said there.
        let is_foreign = |story: &Story| on.issue.is_pull_request && story.pull != Some(number_of(on.issue));
        let story = match story.filter(|story| !is_foreign(story)) {
            None => None,
            Some(story) => Some(self.known_story(on, act, story).await?),
        };
        Ok(InputContext { on_pull_request: on.issue.is_pull_request, story })
    }

    async fn known_story(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        story: &Story,
    ) -> anyhow::Result<KnownStory> {
        let cards = self.store.cards_of(story.id).await?;
        let question = match cards.iter().rfind(|card| card.is_open) {
            None => None,
            Some(card) => Some(OpenQuestion { card: card.clone(), posted: self.posted(story, card).await? }),
        };
        let card = match act {
            Input::Edit { id, .. } => cards.iter().find(|card| card.comment == Some(*id)),
            _ => cards.iter().rfind(|card| card.open_parts().is_empty()),
        };
        let own = self.github.own_login().await?;
        let is_for_hob = match act {
            Input::Comment { body, .. } => !command::is_aside(body, &own),
            _ => false,
        };
        let is_courtesy = matches!(act, Input::Comment { body, .. } if command::is_courtesy(body));
        Ok(KnownStory {
            labeled_at: story.labeled_at,
            stopped_at: story.stopped_at,
            is_under_work: self.store.is_under_work(story.id).await?,
            chosen: self.store.open_task_of(story.id).await?.and_then(|task| task.ask.choice.agent),
            is_blocked: self.store.wish_of(story.id).await?.is_some(),
            question,
            card: card.cloned(),
            has_refused: self.store.has_refused(story.id).await?,
            has_pull: story.pull.is_some(),
            // On a pull request of somebody else's people speak with each other; there only a
            // command is for hob.
            is_spoken_to: is_for_hob && !story.is_adopted() && self.store.is_listening(story.id).await?,
            is_discussed: is_for_hob && !story.is_adopted() && on.issue.is_pull_request && on.issue.is_open,
            // Who writes by hand as hob's own account knows where it stands, and hob never answers
            // itself.
            is_at_rest: is_for_hob
                && !is_courtesy
                && !story.is_adopted()
                && on.issue.is_open
                && on.sender.login != own,
            last: self.store.last_task(story.id).await?.map(|task| task.state),
        })
    }

    async fn posted(&self, story: &Story, card: &QuestionComment) -> anyhow::Result<Posted> {
        Ok(match card.comment {
            Some(comment) => Posted::As(comment),
            None if self.store.is_question_parked(story.id, card.id).await? => Posted::Parked,
            None => Posted::NotYet,
        })
    }

    /// Carries out what was decided about a card.
    pub(super) async fn answered(
        &self,
        on: &EventContext<'_>,
        act: &Input,
        decision: Decision,
        known: &InputContext,
    ) -> anyhow::Result<Settled> {
        // A bot that edits whatever is edited would do so for ever.
        if on.sender.is_bot {
            return Ok(Settled::Ignored(format!("{} is a bot", on.sender.login)));
        }
        let is_edit = matches!(act, Input::Edit { .. });
        let edited = known.story.as_ref().and_then(|story| story.card.as_ref()).filter(|_| is_edit);
        let asked = match &decision {
            Decision::Late { card, .. } => Some(card),
            _ => edited.or(known
                .story
                .as_ref()
                .and_then(|story| story.question.as_ref())
                .map(|open| &open.card)),
        };
        let Some(asked) = asked else { return Ok(Settled::Ignored("there is no question".to_owned())) };
        let guid = &on.delivery.guid;
        if !matches!(decision, Decision::PutBack(_))
            && let Some(why) = self.may_not_answer(on, asked).await?
        {
            if !is_edit {
                return Ok(Settled::Ignored(why));
            }
            self.store.show_card_again(guid, asked, &[]).await?;
            return Ok(Settled::Done(
                "restored a question comment after a tick by someone who may not answer",
            ));
        }
        self.tell_of_others(on, self.store.story_at(&on.place.repo, on.issue.number).await?.as_ref()).await?;
        match decision {
            Decision::Answer { question, answers } => {
                let new = NewAnswers { question, answers, by: on.sender.login.clone() };
                let seen = if is_edit { Vec::new() } else { vec![on.seen("eyes")] };
                Ok(if self.store.answer(guid, &new, &seen).await? {
                    Settled::Done("answered a question")
                } else {
                    Settled::Ignored("the question was already answered".to_owned())
                })
            }
            Decision::Late { card, part } => {
                let Some(Some(first)) = card.answers.get(part) else {
                    return Ok(Settled::Ignored("no answer was given".to_owned()));
                };
                let said = message::card::answered_before(&on.sender.login, &first.answer, card.deadline_at);
                self.store.show_card_again(guid, &card, &[on.say(said)]).await?;
                Ok(Settled::Done("reported that the question was already answered"))
            }
            Decision::PutBack(card) => {
                self.store.show_card_again(guid, &card, &[]).await?;
                Ok(Settled::Done("restored a question comment"))
            }
            _ => Ok(Settled::Ignored("nothing to do".to_owned())),
        }
    }

    /// Why this person may not answer; `None` if they may.
    async fn may_not_answer(
        &self,
        on: &EventContext<'_>,
        card: &QuestionComment,
    ) -> anyhow::Result<Option<String>> {
        let EventContext { delivery, place, sender, .. } = on;
        let login = &sender.login;
        let least = match self.config.questions.who {
            WhoAnswers::Write => Permission::Write,
            WhoAnswers::Maintain => Permission::Maintain,
            WhoAnswers::Admin => Permission::Admin,
            WhoAnswers::Asker if sender.is_same_as(&self.store.asker_of(card.id).await?) => Permission::Write,
            WhoAnswers::Asker => {
                return Ok(Some(format!("{login} is not the person who asked for the work")));
            }
        };
        // The repository may ask for more than the operator does, and never for less.
        let least = least.max(self.settings(place, on.began).await?.who());
        let repository = self.github.repository(&place.at()).await?;
        let has = match repository.permission(login, sender.id).await {
            Err(GitHubError::NotFound) if is_believed(delivery) => Permission::None,
            permission => permission.with_context(|| format!("checking the permission of {login}"))?,
        };
        Ok((has < least).then(|| format!("{login} may not answer questions in {}", place.repo)))
    }
}

/// The number of a pull request, by its conversation.
fn number_of(conversation: &Issue) -> PullNumber {
    PullNumber(conversation.number.0)
}
