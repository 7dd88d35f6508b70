//! What is said on pull requests that hob did not open, where work is asked for that it does not do
//! there.

use super::contain::code;
use crate::ids::IssueNumber;

/// The longest name of a branch that is shown.
const MAX_BRANCH: usize = 200;

/// Why hob does not work on a pull request of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptionRefusal {
    /// It comes from a fork.
    Fork,
    /// It is closed or merged.
    Over,
    /// Its branch is one that other branches begin at.
    DefaultBranch(String),
    /// Its branch is that of another story.
    StoryBranch(String, IssueNumber),
}

/// Said where a command asks for work there.
pub fn not_there(why: &AdoptionRefusal) -> String {
    match why {
        AdoptionRefusal::Fork => "**Not here.** This pull request comes from a fork, and I work only on branches of this repository: I have no \
             right to push to the fork, and I run nothing for code that its owner can change under me. Open an issue for \
             what is to be done, and put my label on it or write `/hob work` there."
        .to_owned(),
        AdoptionRefusal::Over => "**Not here.** This pull request is no longer open. Nothing was started. Reopen it and write the command again, or write \
             `/hob work` on an issue."
        .to_owned(),
        AdoptionRefusal::DefaultBranch(branch) => {
            let branch = code(branch, MAX_BRANCH);
            format!("**Not here.** This pull request comes from {branch}, which others build on, so I do not push to it. Open \
                 an issue for what is to be done; `/hob work --base BRANCH` there sends the result to a branch of your choice.")
        }
        AdoptionRefusal::StoryBranch(branch, issue) => {
            let branch = code(branch, MAX_BRANCH);
            format!("**Not here.** {branch} is the branch on which I work for #{issue}. Write the command there.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_nothing_is_done_on_others_pull_requests() {
        let all = [
            AdoptionRefusal::Fork,
            AdoptionRefusal::Over,
            AdoptionRefusal::DefaultBranch("main".to_owned()),
            AdoptionRefusal::StoryBranch("hob/issue-1".to_owned(), IssueNumber(1)),
        ];
        insta::assert_snapshot!("why_nothing_is_done_on_others_pull_requests", {
            all.iter().map(not_there).collect::<Vec<_>>().join("\n\n")
        });
    }
}
