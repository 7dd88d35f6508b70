//! The hand-over's policy: what commits may not hold, though they are whole. Pure but for reading
//! the objects in quarantine. What it finds is put into words in `message/policy_violations.rs`;
//! what follows is decided in `publish.rs`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::review_hints::notable;
use crate::config::{PathGlobs, Policy};
use crate::git::{Change, ChangeKind, FilterFault, Imported, ObjectKind};
use crate::message::{PolicyViolation, ReviewHint};
use crate::redact::Redactor;

/// The part of the policy's settings that judging takes, in a form that goes to another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rules {
    protected_paths: Vec<String>,
    max_files: usize,
    max_file_bytes: u64,
    submodules: bool,
}

impl From<&Policy> for Rules {
    fn from(policy: &Policy) -> Self {
        Self {
            protected_paths: policy.protected_paths.patterns().to_vec(),
            max_files: policy.max_files,
            max_file_bytes: policy.max_file_size.0,
            submodules: policy.submodules,
        }
    }
}

impl PolicyViolation {
    /// Whether a person's word lets it through. Everything else is refused no matter who says what.
    pub(super) fn can_be_allowed(&self) -> bool {
        matches!(self, Self::Protected { .. })
    }
}

/// More objections than this are counted only: they are told, ten of them, and stored.
const MAX_OBJECTIONS: usize = 100;
/// Bytes of a name that are kept; more than are told.
const MAX_NAME_LEN: usize = 1000;

/// What is against the rules in a hand-over: what nobody can allow first, secrets at the top. And
/// how much more there is, none of which is worse.
pub(super) fn examine(
    imported: &Imported,
    rules: &Rules,
    secrets: &Redactor,
) -> anyhow::Result<(Vec<PolicyViolation>, usize)> {
    let mut found = in_objects(imported, rules, secrets)?;
    found.extend(imported.filtered.iter().map(|filtered| {
        let path = told(&filtered.path, secrets);
        match filtered.fault {
            FilterFault::ContentForPointer => PolicyViolation::ContentForPointer { path },
            FilterFault::NewPointer => PolicyViolation::NewPointer { path },
            FilterFault::NotEncrypted => PolicyViolation::NotEncrypted { path },
        }
    }));
    found.extend(in_changes(&imported.changes, imported.changes_truncated, rules, secrets)?);
    Ok(worst(found))
}

fn worst(mut found: Vec<PolicyViolation>) -> (Vec<PolicyViolation>, usize) {
    found.sort_by_key(PolicyViolation::can_be_allowed);
    let more = found.len().saturating_sub(MAX_OBJECTIONS);
    found.truncate(MAX_OBJECTIONS);
    (found, more)
}

/// A name as it may be told: without secrets, and not without end.
fn told(name: &str, secrets: &Redactor) -> String {
    let mut name = secrets.redact(name).into_owned();
    name.truncate(name.floor_char_boundary(MAX_NAME_LEN));
    name
}

/// The paths of the branch that a reviewer should look at closely.
pub(super) fn notable_paths(
    imported: &Imported,
    rules: &Rules,
    secrets: &Redactor,
) -> anyhow::Result<Vec<ReviewHint>> {
    let protected = PathGlobs::new(rules.protected_paths.clone()).map_err(anyhow::Error::msg)?;
    let mut found = notable(&imported.branch_paths, &protected)?;
    for one in &mut found {
        one.path = secrets.redact(&one.path).into_owned();
    }
    Ok(found)
}

/// Looks at every object that a push would publish, also at those that a later commit took back.
fn in_objects(
    imported: &Imported,
    rules: &Rules,
    secrets: &Redactor,
) -> anyhow::Result<Vec<PolicyViolation>> {
    let mut found = Vec::new();
    let mut secret_names = false;
    // What the base has is no secret any more; a change beside it does not make it one.
    let mut known: Option<BTreeSet<usize>> = None;
    imported.for_each_new_object(|object| {
        let holds_secret = secrets.finds(object.bytes)
            && !secrets.found_in(object.bytes).is_subset(match &mut known {
                Some(known) => known,
                None => known.insert(in_base(imported, secrets)?),
            });
        let name = || told(object.name, secrets);
        match object.kind {
            ObjectKind::Blob if holds_secret => found.push(PolicyViolation::SecretInFile { name: name() }),
            ObjectKind::Commit if holds_secret => {
                found.push(PolicyViolation::SecretInCommit { commit: object.id.chars().take(8).collect() });
            }
            ObjectKind::Tree => secret_names |= holds_secret,
            ObjectKind::Blob | ObjectKind::Commit => {}
        }
        if object.kind == ObjectKind::Blob && object.bytes.len() as u64 > rules.max_file_bytes {
            found.push(PolicyViolation::LargeFile { name: name(), limit: rules.max_file_bytes });
        }
        Ok(())
    })?;
    // A secret with a slash in it is a folder's name and a file's.
    let is_new = |change: &&Change| change.kind == ChangeKind::Added && secrets.finds(change.path.as_bytes());
    let in_path = imported.changes.iter().any(|change| is_new(&change));
    if secret_names || in_path {
        found.push(PolicyViolation::SecretInName);
    }
    found.sort_by_key(|objection| !objection.is_secret());
    Ok(found)
}

/// The secrets that the base has in the files and folders that differ.
fn in_base(imported: &Imported, secrets: &Redactor) -> anyhow::Result<BTreeSet<usize>> {
    let mut known = BTreeSet::new();
    imported.for_each_replaced_object(|bytes| {
        if secrets.finds(bytes) {
            known.extend(secrets.found_in(bytes));
        }
        Ok(())
    })?;
    Ok(known)
}

/// Looks at what differs between where the work began and where it ended.
fn in_changes(
    changes: &[Change],
    truncated: bool,
    rules: &Rules,
    secrets: &Redactor,
) -> anyhow::Result<Vec<PolicyViolation>> {
    let protected = PathGlobs::new(rules.protected_paths.clone()).map_err(anyhow::Error::msg)?;
    let mut found = Vec::new();
    if truncated || changes.len() > rules.max_files {
        found.push(PolicyViolation::TooManyFiles { limit: rules.max_files });
    }
    let mut guarded = BTreeSet::new();
    for change in changes {
        let path = || told(&change.path, secrets);
        // What the base has was let in by people, and to move it is no new way out.
        if change.is_gitlink() && !change.is_moved && !rules.submodules {
            found.push(PolicyViolation::Submodule { path: path() });
        }
        if change.link_leaves_tree() && !change.is_moved {
            found.push(PolicyViolation::LeavingLink { path: path() });
        }
        let stands_in = change.is_gitlink() || change.link.is_some();
        if protected.matches(&change.path) || (stands_in && protected.are_below(&change.path)) {
            guarded.insert(path());
        }
    }
    found.extend(guarded.into_iter().map(|path| PolicyViolation::Protected { path }));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: u32 = 0o100644;
    const LINK: u32 = 0o120000;
    const GITLINK: u32 = 0o160000;

    fn change(path: &str, mode: Option<u32>, link: Option<&str>) -> Change {
        Change {
            path: path.to_owned(),
            kind: if mode.is_some() { ChangeKind::Added } else { ChangeKind::Deleted },
            old_mode: mode.is_none().then_some(FILE),
            new_mode: mode,
            size: 1,
            link: link.map(str::to_owned),
            is_moved: false,
        }
    }

    fn judged(changes: &[Change], policy: &Policy) -> Vec<PolicyViolation> {
        in_changes(changes, false, &Rules::from(policy), &Redactor::new([])).unwrap()
    }

    fn protected(path: &str) -> PolicyViolation {
        PolicyViolation::Protected { path: path.to_owned() }
    }

    #[test]
    fn usual_work_meets_no_objection() {
        let changes = [
            change("src/main.rs", Some(FILE), None),
            change("docs/link", Some(LINK), Some("../README.md")),
            change("old", None, None),
        ];
        assert_eq!(judged(&changes, &Policy::default()), []);
    }

    #[test]
    fn protected_paths_are_named_also_when_they_are_removed_or_a_link_stands_in_for_them() {
        let changes = [
            change(".github", Some(LINK), Some("elsewhere")),
            change(".github/workflows/ci.yml", None, None),
            change("CODEOWNERS", Some(FILE), None),
        ];
        let found = judged(&changes, &Policy::default());
        assert_eq!(
            found,
            [protected(".github"), protected(".github/workflows/ci.yml"), protected("CODEOWNERS")]
        );
        assert!(found.iter().all(PolicyViolation::can_be_allowed));
    }

    #[test]
    fn submodules_and_leaving_links_are_refused() {
        let changes = [change("sub", Some(GITLINK), None), change("away", Some(LINK), Some("../x"))];
        let found = judged(&changes, &Policy::default());
        let wanted = [
            PolicyViolation::Submodule { path: "sub".to_owned() },
            PolicyViolation::LeavingLink { path: "away".to_owned() },
        ];
        assert_eq!(found, wanted);
        assert!(!found.iter().any(PolicyViolation::can_be_allowed));
        let moved: Vec<Change> =
            changes.iter().map(|change| Change { is_moved: true, ..change.clone() }).collect();
        assert_eq!(judged(&moved, &Policy::default()), [], "the base has them");
        let lenient = Policy { submodules: true, ..Policy::default() };
        assert_eq!(judged(&changes, &lenient), wanted[1..]);
    }

    #[test]
    fn too_many_files_are_refused_and_so_is_a_list_that_was_cut_off() {
        let changes = [change("a", Some(FILE), None), change("b", Some(FILE), None)];
        let policy = Policy { max_files: 1, ..Policy::default() };
        assert_eq!(judged(&changes, &policy), [PolicyViolation::TooManyFiles { limit: 1 }]);
        let cut_off = in_changes(&[], true, &Rules::from(&policy), &Redactor::new([])).unwrap();
        assert_eq!(cut_off, [PolicyViolation::TooManyFiles { limit: 1 }]);
    }

    #[test]
    fn of_very_many_objections_the_worst_are_kept_and_the_rest_is_counted() {
        let long = format!(".github/workflows/{}", "\u{1}".repeat(4000));
        let mut changes: Vec<Change> =
            (0..10_000).map(|n| change(&format!("{long}{n:05}"), Some(FILE), None)).collect();
        changes.push(change("sub", Some(GITLINK), None));
        let policy = Policy { max_files: 20_000, ..Policy::default() };
        let (kept, more) = worst(judged(&changes, &policy));
        assert_eq!(kept[0], PolicyViolation::Submodule { path: "sub".to_owned() });
        // Names that are the same as far as they are told are told once.
        assert_eq!((kept.len(), more), (2, 0));

        let changes: Vec<Change> = (0..10_000)
            .map(|n| change(&format!(".github/workflows/{n:05}{long}"), Some(FILE), None))
            .collect();
        let (kept, more) = worst(judged(&changes, &policy));
        assert_eq!((kept.len(), more), (100, 9900));
        assert!(kept.iter().all(PolicyViolation::can_be_allowed));
        // Far from what the process may answer.
        assert!(serde_json::to_vec(&kept).unwrap().len() < 1 << 20);
    }

    #[test]
    fn a_path_with_a_secret_in_it_is_named_without_it() {
        let secrets = Redactor::new(["hunter2-hunter2"]);
        let changes = [change("sub/hunter2-hunter2", Some(GITLINK), None)];
        let found = in_changes(&changes, false, &Rules::from(&Policy::default()), &secrets).unwrap();
        assert_eq!(found, [PolicyViolation::Submodule { path: "sub/[secret]".to_owned() }]);
    }
}
