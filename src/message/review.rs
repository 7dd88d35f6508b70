//! What people are answered after a round of reviews: in each thread, and once on the pull request for what was said about the
//! whole. And why hob does not work on pull requests of other people's.

use super::{contain_line, login, whole};
use crate::ids::Sha;

/// Characters of one answer of an agent's. People read it between the lines of a diff.
const MOST_REPLY: usize = 10_000;
/// Characters of what is answered, as it is quoted.
const MOST_QUOTE: usize = 200;

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
    let reply = answered.reply.map(|reply| whole(reply, MOST_REPLY)).filter(|reply| !reply.is_empty());
    match (answered.applied, reply, answered.commit) {
        (Some(commit), None, _) => format!("Applied as suggested, in {commit}."),
        (Some(commit), Some(reply), _) => format!("Applied as suggested, in {commit}.\n\n{reply}"),
        (None, reply, commit) => {
            let reply = reply.unwrap_or_else(|| "The agent has left no answer to this.".to_owned());
            format!("{reply}\n\n{}", changed(commit))
        }
    }
}

fn changed(commit: Option<&Sha>) -> String {
    match commit {
        Some(commit) => format!("<sub>What was changed after this review is in {commit}.</sub>"),
        None => "<sub>Nothing was changed after this review.</sub>".to_owned(),
    }
}

/// One thing that was said about the whole, and its answer.
#[derive(Debug, Clone, Copy)]
pub struct WholeAnswered<'a> {
    /// Who said it.
    pub by: &'a str,
    /// What they said.
    pub said: &'a str,
    /// What the agent says about it.
    pub reply: Option<&'a str>,
}

/// The answer on the pull request to what was said about the whole.
pub fn whole_replies(all: &[WholeAnswered<'_>], commit: Option<&Sha>) -> String {
    let answers = all.iter().map(|one| {
        // What they quote themselves is not what they say.
        let lines = one.said.lines().map(str::trim);
        let first = lines.clone().find(|line| !line.is_empty() && !line.starts_with('>'));
        let quote = contain_line(first.unwrap_or_default(), MOST_QUOTE);
        let reply = one.reply.map(|reply| whole(reply, MOST_REPLY)).filter(|reply| !reply.is_empty());
        let reply = reply.unwrap_or_else(|| "The agent has left no answer to this.".to_owned());
        format!("> **{}:** {quote}\n\n{reply}", login(one.by))
    });
    format!("{}\n\n{}", answers.collect::<Vec<_>>().join("\n\n"), changed(commit))
}

/// Said about a round that is over before it began, because who spoke in it approves now.
pub fn approved(by: &str) -> String {
    format!(
        "**Nothing left to do:** {} approved the pull request before I had begun with the review.",
        login(by)
    )
}

/// Said about a round of nothing but suggestions.
pub fn suggestions_applied(count: usize) -> String {
    let applied = match count {
        1 => "the suggestion is applied in #{pull}, exactly as it stands".to_owned(),
        count => format!("the {count} suggestions are applied in #{{pull}}, exactly as they stand"),
    };
    format!("Done: {applied}. No agent was needed for that.")
}

/// Said on somebody else's pull request, where a command was given.
pub fn not_my_pull(is_from_fork: bool) -> String {
    if is_from_fork {
        return "**Not here.** This pull request comes from a fork, and I work only on branches of this repository: I have no \
                right to push to the fork, and I run nothing for code that its owner can change under me. Open an issue for \
                what is to be done, and put my label on it or write `/hob work` there."
            .to_owned();
    }
    "**Not here.** I did not open this pull request, and I work on branches of my own only: I push nothing to a branch of \
     somebody else's. Open an issue for what is to be done, and put my label on it or write `/hob work` there; \
     `/hob work --base BRANCH` has the result go to this branch."
        .to_owned()
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
        let mut all = answers.map(thread_reply).to_vec();
        let whole = [
            WholeAnswered {
                by: "alice",
                said: "> hob wrote\n\nNot yet, @bob.\nMore.",
                reply: Some("Now it is."),
            },
            WholeAnswered { by: "bob", said: "Also a test.", reply: None },
        ];
        all.extend([
            whole_replies(&whole, Some(&sha)),
            whole_replies(&whole[..1], None),
            approved("bob"),
            suggestions_applied(1),
            suggestions_applied(2),
            not_my_pull(true),
            not_my_pull(false),
        ]);
        insta::assert_snapshot!(all.join("\n\n=====\n\n"));
    }
}
