//! What hob says about a base branch that has moved on, and about what people have pushed while an
//! agent worked.

use super::{Spent, code, commits_in_words, file_list, finished, quoted, whole};

/// A branch's name is cut here.
const MAX_NAME_LEN: usize = 200;
/// More files than this are not named in one sentence.
const MAX_FILES: usize = 5;
/// As much of the git host's words as people need.
const MAX_DETAIL: usize = 2_000;

/// The two branches.
#[derive(Debug, Clone, Copy)]
pub struct Branches<'a> {
    /// The one that the pull request goes to.
    pub base: &'a str,
    /// The story branch.
    pub story: &'a str,
}

impl Branches<'_> {
    fn base(self) -> String {
        code(self.base, MAX_NAME_LEN)
    }

    fn story(self) -> String {
        code(self.story, MAX_NAME_LEN)
    }
}

/// The message of the commit in which a base branch is merged.
pub fn base_merge_subject(branches: Branches<'_>) -> String {
    format!("Merge branch '{}' into {}", branches.base, branches.story)
}

/// The message of the commit in which people's commits and the agent's are merged.
pub fn theirs_merge_subject(branch: &str) -> String {
    format!("Merge concurrent pushes to {branch}")
}

/// Said where hob has merged a base branch by itself.
pub fn base_merged(branches: Branches<'_>, commits: usize) -> String {
    let merged = base_merged_note(branches, commits);
    format!("**{merged}** Nothing conflicted: no agent ran, and it cost nothing.")
}

/// The same in one sentence, for what an agent has merged beside its work.
pub fn base_merged_note(branches: Branches<'_>, commits: usize) -> String {
    let (base, story, commits) = (branches.base(), branches.story(), commits_in_words(commits));
    format!("Merged {base} ({commits}) into {story}.")
}

/// Said where an agent has merged a base branch that conflicted.
pub fn base_merged_by_agent(branches: Branches<'_>, commits: usize, took: Spent) -> String {
    let (merged, took) = (base_merged_note(branches, commits), finished(took));
    format!(
        "**{merged}** There were conflicts; the agent resolved them, and the merge commit shows how.\n\n{took}"
    )
}

/// Said where hob has made a branch's commits again. `before` is where the branch was.
pub fn base_rebased(branches: Branches<'_>, commits: usize, before: &str) -> String {
    let them = match commits {
        1 => "its 1 commit was".to_owned(),
        commits => format!("its {commits} commits were"),
    };
    let (base, story, plain) = (branches.base(), branches.story(), branches.story);
    format!(
        "**Rebased {story} onto {base}:** {them} rewritten, and the branch was force-pushed. It was at `{before}`. It cost nothing.\n\n\
         If you have the branch checked out: `git fetch`, then `git reset --hard origin/{plain}`. That throws away changes and \
         commits of yours that are not on GitHub; keep them first (`git stash`, `git branch mine`)."
    )
}

/// Said where there is nothing to bring in.
pub fn base_up_to_date(branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    format!("**Nothing to do:** {story} has all of {base} already.")
}

/// Said where everything is merged.
pub fn base_has_it_all(branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    format!("**Nothing to do:** {base} has all of {story} already.")
}

/// Said where two branches have nothing in common.
pub fn base_unrelated(branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    format!("**Not merged:** {story} and {base} have no commit in common. Nothing was changed.")
}

/// Said where the base does not have what a branch builds on any more, so that it is not merged,
/// and nothing is pushed.
pub fn base_was_rewritten(branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    format!(
        "**The history of {base} was rewritten:** commits that {story} builds on are no longer on it, and merging {story} would bring \
         them back. `/hob rebase --rewrite` puts the branch's own commits on {base} as it is now."
    )
}

/// Said where commits were put on a base that was rewritten.
pub fn put_on_rewritten_base(branches: Branches<'_>) -> String {
    let base = branches.base();
    format!("The history of {base} was rewritten meanwhile, so I put the commits on {base} as it is now.")
}

/// Said where that is not possible.
pub fn conflicts_with_rewritten_base(branches: Branches<'_>, files: &[String]) -> String {
    let base = branches.base();
    let conflicts = match files.is_empty() {
        true => String::new(),
        false => format!(" They conflict in:\n\n{}", file_list(files)),
    };
    format!("The agent's commits do not apply to {base} as it is now, so they were dropped.{conflicts}")
}

/// Said where there is no story branch.
pub fn no_branch_yet(branches: Branches<'_>) -> String {
    let story = branches.story();
    format!("**Nothing to do:** there is no branch {story} yet.")
}

/// Said where a rebase would conflict.
pub fn rebase_conflicts(branches: Branches<'_>, files: &[String]) -> String {
    let (base, story) = (branches.base(), branches.story());
    if files.is_empty() {
        return format!(
            "**Not rebased:** replaying the commits of {story} on {base} takes more resources than I may use. Nothing was changed. `/hob rebase` \
             without `--rewrite` has the agent merge {base}."
        );
    }
    let files = file_list(files);
    format!(
        "**Not rebased:** replaying the commits of {story} on {base} met conflicts. Nothing was changed.\n\n{files}\n\n`/hob rebase` without \
         `--rewrite` has the agent merge {base} and resolve them."
    )
}

/// Said where a rebase would tear an agent's kept work off its branch.
pub fn rebase_would_lose(branches: Branches<'_>) -> String {
    let story = branches.story();
    format!(
        "**Not rebased:** the agent has work in its workspace that builds on the commits of {story} and is not pushed yet. `/hob \
         resume` goes on with it; `/hob rebase` without `--rewrite` merges."
    )
}

/// Said where the git host does not take what hob has merged or rebased.
pub fn base_not_pushed(branches: Branches<'_>, detail: &str) -> String {
    let (story, detail) = (branches.story(), quoted(&whole(detail, MAX_DETAIL)));
    format!(
        "**GitHub rejected the push to {story}.** Nothing was changed.\n\n{detail}\n\nOnce that is fixed, `/hob retry` tries again."
    )
}

/// Said beside the end of work during which people pushed.
pub fn theirs_merged_note(branch: &str) -> String {
    let branch = code(branch, MAX_NAME_LEN);
    format!("What people pushed to {branch} meanwhile is merged in.")
}

/// Why work could not be pushed: what people pushed conflicts with it.
pub fn theirs_conflict(files: &[String]) -> String {
    if files.is_empty() {
        return "What was pushed meanwhile is more than I can merge.".to_owned();
    }
    let shown: Vec<String> = files.iter().take(MAX_FILES).map(|file| code(file, MAX_NAME_LEN)).collect();
    let more = if files.len() > MAX_FILES { " and more" } else { "" };
    let shown = shown.join(", ");
    format!("What was pushed meanwhile conflicts in {shown}{more}.")
}

/// The same: people have taken commits off the branch.
pub fn theirs_took_back() -> String {
    "Commits that the agent's work builds on were taken off the branch.".to_owned()
}

/// The same: the branch is gone.
pub fn theirs_removed() -> String {
    "The branch was removed.".to_owned()
}

/// Words about a task's end with more sentences before what it took.
pub fn with_notes(words: &str, notes: &[String]) -> String {
    match words.rsplit_once("\n\n") {
        _ if notes.is_empty() => words.to_owned(),
        Some((said, took)) => format!("{said} {}\n\n{took}", notes.join(" ")),
        None => format!("{words} {}", notes.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::pull_request_ready;

    #[test]
    fn what_is_said_about_a_base_that_moved() {
        let branches = Branches { base: "main", story: "hob/issue-1" };
        let took =
            Spent { duration_ms: 61_000, cost_usd: Some(0.2), turns: Some(2), tokens: None, stand_in: None };
        let files = ["src/a.rs".to_owned(), "odd`name".to_owned()];
        let said = || {
            [
                base_merge_subject(branches),
                theirs_merge_subject("hob/issue-1"),
                base_merged(branches, 3),
                base_merged_by_agent(branches, 1, took),
                base_rebased(branches, 2, "0123456789"),
                base_up_to_date(branches),
                base_has_it_all(branches),
                base_unrelated(branches),
                no_branch_yet(branches),
                rebase_conflicts(branches, &files),
                rebase_would_lose(branches),
                base_not_pushed(branches, "protected branch @everybody"),
                theirs_conflict(&files),
                theirs_took_back(),
                theirs_removed(),
                with_notes(
                    &pull_request_ready(1, took),
                    &[base_merged_note(branches, 2), theirs_merged_note("hob/issue-1")],
                ),
            ]
            .join("\n\n=====\n\n")
        };
        insta::assert_snapshot!("what_is_said_about_a_base_that_moved", said());
    }
}
