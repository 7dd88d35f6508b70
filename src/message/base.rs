//! What hob says about a base branch that has moved on, and about what people have pushed while an agent worked.

use super::{Spent, code, commits_in_words, file_list, finished, quoted, whole};
use crate::language::{Language, say, word};

/// A branch's name is cut here.
const MOST_NAME: usize = 200;
/// More files than this are not named in one sentence.
const MOST_FILES: usize = 5;
/// As much of the git host's words as people need.
const MOST_DETAIL: usize = 2_000;

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
        code(self.base, MOST_NAME)
    }

    fn story(self) -> String {
        code(self.story, MOST_NAME)
    }
}

/// The message of the commit in which a base branch is merged.
pub fn base_merge_subject(branches: Branches<'_>) -> String {
    format!("Merge branch '{}' into {}", branches.base, branches.story)
}

/// The message of the commit in which people's commits and the agent's are merged.
pub fn theirs_merge_subject(branch: &str) -> String {
    format!("Merge what was pushed to {branch} meanwhile")
}

/// Said where hob has merged a base branch by itself.
pub fn base_merged(language: Language, branches: Branches<'_>, commits: usize) -> String {
    let merged = base_merged_note(language, branches, commits);
    say!(
        language,
        "**{merged}** Nothing conflicted: no agent ran, and it cost nothing.",
        "**{merged}** Es gab keine Konflikte: Kein Agent ist gelaufen, und es hat nichts gekostet."
    )
}

/// The same in one sentence, for what an agent has merged beside its work.
pub fn base_merged_note(language: Language, branches: Branches<'_>, commits: usize) -> String {
    let (base, story, commits) = (branches.base(), branches.story(), commits_in_words(language, commits));
    say!(language, "Merged {base} ({commits}) into {story}.", "{base} ({commits}) ist in {story} gemergt.")
}

/// Said where an agent has merged a base branch that conflicted.
pub fn base_merged_by_agent(
    language: Language,
    branches: Branches<'_>,
    commits: usize,
    took: Spent,
) -> String {
    let (merged, took) = (base_merged_note(language, branches, commits), finished(language, took));
    say!(
        language,
        "**{merged}** There were conflicts; the agent has solved them, and the merge commit shows how.\n\n{took}",
        "**{merged}** Es gab Konflikte; der Agent hat sie gelöst, und der Merge-Commit zeigt, wie.\n\n{took}"
    )
}

/// Said where hob has made a branch's commits anew. `before` is where the branch was.
pub fn base_rebased(language: Language, branches: Branches<'_>, commits: usize, before: &str) -> String {
    let them = match commits {
        1 => word!(language, "its 1 commit was", "sein 1 Commit wurde").to_owned(),
        commits => say!(language, "its {commits} commits were", "seine {commits} Commits wurden"),
    };
    let (base, story, plain) = (branches.base(), branches.story(), branches.story);
    say!(
        language,
        "**Rebased {story} onto {base}:** {them} made anew, and the branch was replaced. It was at `{before}`. It cost nothing.\n\n\
         If you have the branch checked out: `git fetch`, then `git reset --hard origin/{plain}`. That throws away changes and \
         commits of yours that are not on GitHub; keep them first (`git stash`, `git branch mine`).",
        "**{story} ist auf {base} gerebast:** {them} neu geschrieben, und der Branch wurde ersetzt. Er stand auf `{before}`. Es hat \
         nichts gekostet.\n\nWenn du den Branch ausgecheckt hast: `git fetch`, dann `git reset --hard origin/{plain}`. Das verwirft \
         deine Änderungen und Commits, die nicht auf GitHub sind; sichere sie vorher (`git stash`, `git branch meins`)."
    )
}

/// Said where there is nothing to bring in.
pub fn base_up_to_date(language: Language, branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    say!(
        language,
        "**Nothing to do:** {story} has all of {base} already.",
        "**Nichts zu tun:** {story} enthält schon alles von {base}."
    )
}

/// Said where everything is merged.
pub fn base_has_it_all(language: Language, branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    say!(
        language,
        "**Nothing to do:** {base} has all of {story} already.",
        "**Nichts zu tun:** {base} enthält schon alles von {story}."
    )
}

/// Said where two branches have nothing in common.
pub fn base_unrelated(language: Language, branches: Branches<'_>) -> String {
    let (base, story) = (branches.base(), branches.story());
    say!(
        language,
        "**Not merged:** {story} and {base} have no commit in common. Nothing was changed.",
        "**Nicht gemergt:** {story} und {base} haben keinen gemeinsamen Commit. Nichts wurde geändert."
    )
}

/// Said where there is no story branch.
pub fn no_branch_yet(language: Language, branches: Branches<'_>) -> String {
    let story = branches.story();
    say!(
        language,
        "**Nothing to do:** there is no branch {story} yet.",
        "**Nichts zu tun:** Den Branch {story} gibt es noch nicht."
    )
}

/// Said where a rebase would conflict.
pub fn rebase_conflicts(language: Language, branches: Branches<'_>, files: &[String]) -> String {
    let (base, story) = (branches.base(), branches.story());
    if files.is_empty() {
        return say!(
            language,
            "**Not rebased:** replaying the commits of {story} on {base} takes more than I may use. Nothing was changed. `/hob rebase` \
             without `--rewrite` has the agent merge {base}.",
            "**Nicht gerebast:** Die Commits von {story} auf {base} zu setzen, braucht mehr, als ich verbrauchen darf. Nichts wurde \
             geändert. Mit `/hob rebase` ohne `--rewrite` mergt der Agent {base}."
        );
    }
    let files = file_list(language, files);
    say!(
        language,
        "**Not rebased:** replaying the commits of {story} on {base} met conflicts. Nothing was changed.\n\n{files}\n\n`/hob rebase` without \
         `--rewrite` has the agent merge {base} and solve them.",
        "**Nicht gerebast:** Die Commits von {story} auf {base} zu setzen, ergab Konflikte. Nichts wurde geändert.\n\n{files}\n\nMit \
         `/hob rebase` ohne `--rewrite` mergt der Agent {base} und löst sie."
    )
}

/// Said where a rebase would tear an agent's kept work off its branch.
pub fn rebase_would_lose(language: Language, branches: Branches<'_>) -> String {
    let story = branches.story();
    say!(
        language,
        "**Not rebased:** the agent has work in its workspace that builds on the commits of {story} and is not pushed yet. `/hob \
         resume` goes on with it; `/hob rebase` without `--rewrite` merges.",
        "**Nicht gerebast:** Der Agent hat in seinem Workspace Arbeit, die auf den Commits von {story} aufbaut und noch nicht \
         gepusht ist. `/hob resume` macht damit weiter; `/hob rebase` ohne `--rewrite` mergt."
    )
}

/// Said where the git host does not take what hob has merged or rebased.
pub fn base_not_pushed(language: Language, branches: Branches<'_>, detail: &str) -> String {
    let (story, detail) = (branches.story(), quoted(&whole(language, detail, MOST_DETAIL)));
    say!(
        language,
        "**The git host has refused the push to {story}.** Nothing was changed.\n\n{detail}\n\nOnce that is mended, `/hob retry` \
         does it again.",
        "**Der Git-Server hat den Push auf {story} abgelehnt.** Nichts wurde geändert.\n\n{detail}\n\nSobald das behoben ist, macht \
         `/hob retry` es noch einmal."
    )
}

/// Said beside the end of work during which people pushed.
pub fn theirs_merged_note(language: Language, branch: &str) -> String {
    let branch = code(branch, MOST_NAME);
    say!(
        language,
        "What people pushed to {branch} meanwhile is merged in.",
        "Was währenddessen auf {branch} gepusht wurde, ist eingemergt."
    )
}

/// Why work could not be pushed: what people pushed conflicts with it.
pub fn theirs_conflict(language: Language, files: &[String]) -> String {
    if files.is_empty() {
        return word!(
            language,
            "What was pushed meanwhile is too much to merge for me.",
            "Was währenddessen gepusht wurde, ist für mich zu viel zum Mergen."
        )
        .to_owned();
    }
    let shown: Vec<String> = files.iter().take(MOST_FILES).map(|file| code(file, MOST_NAME)).collect();
    let more = if files.len() > MOST_FILES { word!(language, " and more", " und mehr") } else { "" };
    let shown = shown.join(", ");
    say!(
        language,
        "What was pushed meanwhile conflicts in {shown}{more}.",
        "Was währenddessen gepusht wurde, steht im Konflikt damit, in {shown}{more}."
    )
}

/// The same: people have taken commits off the branch.
pub fn theirs_took_back(language: Language) -> String {
    word!(
        language,
        "Commits that the agent's work builds on were taken off the branch.",
        "Commits, auf denen die Arbeit des Agenten aufbaut, wurden vom Branch genommen."
    )
    .to_owned()
}

/// The same: the branch is gone.
pub fn theirs_removed(language: Language) -> String {
    word!(language, "The branch was removed.", "Der Branch wurde gelöscht.").to_owned()
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
    use crate::message::{assert_said, pull_request_ready};

    #[test]
    fn what_is_said_about_a_base_that_moved() {
        let branches = Branches { base: "main", story: "hob/issue-1" };
        let took = Spent { duration_ms: 61_000, cost_usd: Some(0.2), turns: Some(2) };
        let files = ["src/a.rs".to_owned(), "odd`name".to_owned()];
        let said = |language| {
            [
                base_merge_subject(branches),
                theirs_merge_subject("hob/issue-1"),
                base_merged(language, branches, 3),
                base_merged_by_agent(language, branches, 1, took),
                base_rebased(language, branches, 2, "0123456789"),
                base_up_to_date(language, branches),
                base_has_it_all(language, branches),
                base_unrelated(language, branches),
                no_branch_yet(language, branches),
                rebase_conflicts(language, branches, &files),
                rebase_would_lose(language, branches),
                base_not_pushed(language, branches, "protected branch @everybody"),
                theirs_conflict(language, &files),
                theirs_took_back(language),
                theirs_removed(language),
                with_notes(
                    &pull_request_ready(language, 1, took),
                    &[base_merged_note(language, branches, 2), theirs_merged_note(language, "hob/issue-1")],
                ),
            ]
            .join("\n\n=====\n\n")
        };
        assert_said!("what_is_said_about_a_base_that_moved", said);
    }
}
