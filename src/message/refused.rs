//! What GitHub has refused for good, in words: what it does not take and why, what became of the
//! work, and what to do.

use super::contain::{code, contain_line};
use super::{quoted, whole};
use crate::ids::IssueNumber;
use crate::story::Question;

/// The longest of GitHub's own words that are told.
const MAX_WORDS: usize = 400;
/// The longest question that is told outside its card.
const MAX_QUESTION: usize = 4_000;

/// Why GitHub refuses a write, as far as people need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The branch that a pull request is to go to is gone.
    BaseGone,
    /// The branch with the work is gone.
    HeadGone,
    /// The base has all commits of the branch already.
    NothingToPropose,
    /// The branch and its base have no commit in common.
    Unrelated,
    /// The repository is archived.
    Archived,
    /// The conversation is locked.
    Locked,
    /// hob may not do this; GitHub's words.
    NotAllowed(String),
    /// Anything else, in GitHub's words.
    Other(String),
}

/// Said on the issue where GitHub rejected the pull request with the work on `branch`.
pub fn pull_refused(refusal: &Refusal, branch: &str, base: &str) -> String {
    let (branch, base) = (code(branch, 300), code(base, 300));
    let reason = match refusal {
        Refusal::BaseGone => format!("the repository has no branch {base} any more"),
        Refusal::HeadGone => format!("the branch {branch} is gone"),
        Refusal::NothingToPropose => format!("{base} has all commits of {branch} already"),
        Refusal::Unrelated => format!("{branch} and {base} have no commit in common"),
        other => reason(other),
    };
    let work = match refusal {
        Refusal::HeadGone => "The commits were deleted with it.".to_owned(),
        Refusal::NothingToPropose => "Nothing is missing.".to_owned(),
        _ => format!("The commits are on the branch {branch}."),
    };
    let to_do = match refusal {
        Refusal::BaseGone => format!(
            "Create {base} again, and `/hob retry` opens the pull request without another run; or choose another base with `/hob work --base …`."
        ),
        Refusal::HeadGone => "`/hob work` does the work again.".to_owned(),
        Refusal::NothingToPropose => "If that is wrong, say what is missing with `/hob work …`.".to_owned(),
        Refusal::Unrelated => {
            format!(
                "`/hob rebase --rewrite` puts the commits on {base}; or open a pull request to another branch yourself."
            )
        }
        other => to_do(other, "opens it without another run"),
    };
    format!("**GitHub rejected the pull request:** {reason}. {work} {to_do}")
}

/// Said on the issue where GitHub does not take the comment that asks a question.
pub fn question_refused(refusal: &Refusal, question: &Question) -> String {
    let (reason, to_do) = (reason(refusal), to_do(refusal, "asks again"));
    let asked: Vec<&str> = question.parts().map(|part| part.text.trim()).collect();
    let asked = quoted(&whole(&asked.join("\n\n"), MAX_QUESTION));
    format!(
        "**GitHub rejected my question:** {reason}. The work waits for an answer.\n\n{asked}\n\n{to_do} An answer with \
         `/hob work …` counts too."
    )
}

/// Said on the issue where GitHub does not take another comment, on the issue or its pull request.
pub fn comment_refused(refusal: &Refusal, on: IssueNumber) -> String {
    let (reason, to_do) = (reason(refusal), to_do(refusal, "posts it"));
    format!("**GitHub rejected a comment of mine on #{on}:** {reason}. {to_do}")
}

fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Archived => "the repository is archived and can only be read".to_owned(),
        Refusal::Locked => "the conversation is locked".to_owned(),
        Refusal::NotAllowed(words) => format!("I am not allowed to ({})", said(words)),
        Refusal::Other(words) => said(words),
        Refusal::BaseGone | Refusal::HeadGone => "the branch is gone".to_owned(),
        Refusal::NothingToPropose | Refusal::Unrelated => "the branches do not go together".to_owned(),
    }
}

fn said(words: &str) -> String {
    contain_line(words.trim().trim_end_matches('.'), MAX_WORDS)
}

/// What to do; `then`: what the command does once that is done.
fn to_do(refusal: &Refusal, then: &str) -> String {
    match refusal {
        Refusal::Archived => {
            format!("Once an administrator of the repository has unarchived it, `/hob retry` {then}.")
        }
        Refusal::Locked => format!("Unlock it, and `/hob retry` {then}."),
        Refusal::NotAllowed(_) => {
            format!("Once an administrator of the repository allows it, `/hob retry` {then}.")
        }
        _ => format!("Once that is fixed, `/hob retry` {then}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_github_refuses_is_said_with_what_became_of_the_work_and_what_to_do() {
        let words = "Resource not accessible by integration, @bob";
        let all = [
            Refusal::BaseGone,
            Refusal::HeadGone,
            Refusal::NothingToPropose,
            Refusal::Unrelated,
            Refusal::Archived,
            Refusal::Locked,
            Refusal::NotAllowed(words.to_owned()),
            Refusal::Other("Validation Failed.".to_owned()),
        ];
        let mut said: Vec<String> =
            all.iter().map(|refusal| pull_refused(refusal, "hob/issue-1", "release/1")).collect();
        let question = Question { text: "Which shape, @bob?".to_owned(), ..Question::default() };
        said.push(question_refused(&Refusal::Locked, &question));
        said.push(comment_refused(&Refusal::NotAllowed(words.to_owned()), IssueNumber(2)));
        insta::assert_snapshot!(said.join("\n\n=====\n\n"));
    }
}
