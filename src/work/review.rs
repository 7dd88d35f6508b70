//! The end of a task about a review: what is answered to whom, and whose review is asked for again.

use std::collections::HashMap;

use super::{Hitch, Job, Worker};
use crate::ids::{IssueNumber, Sha};
use crate::message::review::{Answered, WholeAnswered, thread_reply, whole_replies};
use crate::store::{Effect, NewEffect};
use crate::story::About;
use crate::story::review::What;

impl Worker {
    /// The answers to a round of reviews, once its work is pushed or nothing was to be changed. Nothing for other tasks.
    pub(super) async fn review_answers(
        &self,
        job: &Job,
        commit: Option<&Sha>,
    ) -> Result<Vec<NewEffect>, Hitch> {
        let (About::Review(round), Some(pull)) = (&job.task.ask.about, job.story.pull) else {
            return Ok(Vec::new());
        };
        let applied = self.store.applied_suggestions(job.story.id).await?;
        let suggested = self.store.suggested(job.task.id).await?.filter(|suggested| suggested.is_pushed);
        let commit = commit.or(suggested.as_ref().map(|suggested| &suggested.tip));
        // A later run of the same task knows better.
        let mut replies: HashMap<String, String> = HashMap::new();
        for end in self.store.runs_of(&job.task).await?.into_iter().filter_map(|run| run.end) {
            replies.extend(end.replies.into_iter().map(|answer| (answer.thread, answer.reply)));
        }
        let (mut effects, mut whole) = (Vec::new(), Vec::new());
        for thread in round.threads() {
            let reply = replies.get(&thread.name).map(String::as_str);
            match thread.what {
                What::Whole(review) => {
                    whole.push(WholeAnswered { by: &review.by, said: &review.body, reply });
                }
                What::Lines(remarks) => {
                    let applied = remarks.iter().rev().find_map(|(_, remark)| applied.commit_of(remark.id));
                    let body = thread_reply(job.story.language, Answered { reply, commit, applied });
                    let thread = remarks[0].1.thread;
                    effects.push(NewEffect::new(Effect::ReviewReply { pull, thread, body }));
                }
            }
        }
        if !whole.is_empty() {
            let (on, body) = (IssueNumber(pull.0), whole_replies(job.story.language, &whole, commit));
            effects.push(NewEffect::new(Effect::Comment { on, body, question: None }));
        }
        let ask = |reviewer: &str| Effect::RequestReview { pull, reviewer: reviewer.to_owned() };
        effects.extend(round.reviewers().into_iter().map(|reviewer| NewEffect::new(ask(reviewer))));
        Ok(effects)
    }
}
