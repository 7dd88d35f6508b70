//! What is in a workspace and in no commit, in words. It keeps no commit from people, so it is
//! named beside them.

use super::contain::code;

/// More paths than this are counted.
const MAX_PATHS: usize = 8;

/// What is said beside commits of what stayed out of them: changes that the agent did not commit
/// (`uncommitted`), what no commit can take (`apart`), and that git could not list what there is
/// (`unlisted`).
pub fn left_behind(uncommitted: &[String], apart: &[String], unlisted: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !uncommitted.is_empty() {
        let paths = paths(uncommitted);
        notes.push(format!("The agent left changes uncommitted, and they are not in it: {paths}."));
    }
    notes.extend(left_out(apart));
    if unlisted {
        let text = "git could not list what is uncommitted in the workspace, so changes may be missing.";
        notes.push(text.to_owned());
    }
    notes
}

/// The same of what no commit can take.
pub(super) fn left_out(apart: &[String]) -> Option<String> {
    let paths = paths(apart);
    (!apart.is_empty()).then(|| format!("Left out, because a commit cannot contain it: {paths}."))
}

fn paths(paths: &[String]) -> String {
    let mut named: Vec<String> = paths.iter().take(MAX_PATHS).map(|path| code(path, 200)).collect();
    if let Some(more) = paths.len().checked_sub(MAX_PATHS).filter(|more| *more > 0) {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_out_of_the_commits_is_named() {
        let many: Vec<String> = (1..=10).map(|number| format!("a/{number}`@bob")).collect();
        let said = [
            left_behind(&["notes.md".to_owned()], &["reference/".to_owned()], false).join(" "),
            left_behind(&many, &[], true).join(" "),
        ];
        insta::assert_snapshot!(said.join("\n\n"));
        assert!(left_behind(&[], &[], false).is_empty());
    }
}
