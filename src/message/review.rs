//! What people are answered after a round of reviews: in each thread, and once on the pull request
//! for what was said about the whole. And why hob does not work on pull requests of other people's.

use super::{contain_line, login, whole};
use crate::ids::Sha;

/// Characters of one answer of an agent's. People read it between the lines of a diff.
const MAX_REPLY: usize = 10_000;
/// Characters of what is answered, as it is quoted.
const MAX_QUOTE: usize = 200;

/// What came of one thing that a reviewer said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answered<'a> {
    /// What the agent says about it.
    pub reply: Option<&'a str>,
    /// The commit with what was changed in the round; absent: nothing was.
    pub commit: Option<&'a Sha>,
    /// The commit in which hob has applied what it suggests.
    pub applied: Option<&'a Sha>,
}

/// The answer in a thread.
pub fn thread_reply(answered: Answered<'_>) -> String {
    let reply = answered.reply.map(|reply| whole(reply, MAX_REPLY));
    let reply = reply.filter(|reply| !reply.is_empty());
    let applied = answered.applied.map(|commit| format!("Applied as suggested, in {commit}."));
    match (applied, reply) {
        (Some(applied), None) => applied,
        (Some(applied), Some(reply)) => format!("{applied}\n\n{reply}"),
        (None, reply) => {
            let reply = reply.unwrap_or_else(no_answer);
            format!("{reply}\n\n{}", changed(answered.commit))
        }
    }
}

fn no_answer() -> String {
    "The agent left no reply to this.".to_owned()
}

fn changed(commit: Option<&Sha>) -> String {
    match commit {
        Some(commit) => format!("<sub>What was changed after this review is in {commit}.</sub>"),
        None => "<sub>Nothing was changed after this review.</sub>".to_owned(),
    }
}

/// One thing that was said about the whole, and its answer.
#[derive(Debug, Clone, Copy)]
pub struct AnsweredReview<'a> {
    /// Who said it.
    pub by: &'a str,
    /// What they said.
    pub said: &'a str,
    /// What the agent says about it.
    pub reply: Option<&'a str>,
}

/// The answer on the pull request to what was said about the whole.
pub fn whole_replies(all: &[AnsweredReview<'_>], commit: Option<&Sha>) -> String {
    let answers = all.iter().map(|one| {
        // What they quote themselves is not what they say.
        let lines = one.said.lines().map(str::trim);
        let first = lines.clone().find(|line| !line.is_empty() && !line.starts_with('>'));
        let quote = contain_line(first.unwrap_or_default(), MAX_QUOTE);
        let reply = one.reply.map(|reply| whole(reply, MAX_REPLY)).filter(|reply| !reply.is_empty());
        let reply = reply.unwrap_or_else(no_answer);
        format!("> **{}:** {quote}\n\n{reply}", login(one.by))
    });
    format!("{}\n\n{}", answers.collect::<Vec<_>>().join("\n\n"), changed(commit))
}

/// Said about a round that is over before it began, because who spoke in it approves now.
pub fn approved(by: &str) -> String {
    let by = login(by);
    format!("**Nothing left to do:** {by} approved the pull request before I started on the review.")
}

/// Said about a round that is over before it began, because its reviews were dismissed.
pub fn dismissed() -> String {
    "**Nothing left to do:** the review was dismissed before I had begun with it.".to_owned()
}

/// Said in a thread of a review while a question holds up the work. `question` is the page of it.
pub fn waits_for_answer(question: &str) -> String {
    format!("I will handle this once [my question]({question}) is answered.")
}

/// Said about a round of nothing but suggestions. `{pull}` as in `pull_request_ready`.
pub fn suggestions_applied(count: usize) -> String {
    match count {
        1 => {
            "Done: the suggestion is applied in #{pull}, exactly as it stands. No agent was needed for that."
                .to_owned()
        }
        count => format!(
            "Done: the {count} suggestions are applied in #{{pull}}, exactly as they stand. No agent was needed for that."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_answered_after_a_review() {
        let (sha, other): (Sha, Sha) = ("a".repeat(40).parse().unwrap(), "b".repeat(40).parse().unwrap());
        let reply = Some("It says hello now. Fixes #7, @everybody.");
        let answers = [
            Answered { reply, commit: Some(&sha), applied: None },
            Answered { reply, commit: None, applied: None },
            Answered { reply: None, commit: Some(&sha), applied: None },
            Answered { reply: None, commit: None, applied: None },
            Answered { reply: None, commit: Some(&sha), applied: Some(&other) },
            Answered { reply, commit: Some(&sha), applied: Some(&other) },
        ];
        let whole = [
            AnsweredReview {
                by: "alice",
                said: "> hob wrote\n\nNot yet, @bob.\nMore.",
                reply: Some("Now it is."),
            },
            AnsweredReview { by: "bob", said: "Also a test.", reply: None },
        ];
        insta::assert_snapshot!("what_people_are_answered_after_a_review", {
            let mut all = answers.map(|answered| thread_reply(answered)).to_vec();
            all.extend([
                whole_replies(&whole, Some(&sha)),
                whole_replies(&whole[..1], None),
                approved("bob"),
                dismissed(),
                waits_for_answer("https://github.com/acme/tool/issues/4#issuecomment-7"),
                suggestions_applied(1),
                suggestions_applied(2),
            ]);
            all.join("\n\n=====\n\n")
        });
    }
}
