//! Paths that libgit2 must not merge by itself, since the repository says how they are to be
//! merged: by its attribute `merge`, in a `.gitattributes`. Without a work tree libgit2 merges all
//! of them as text. Anyone who has the git program has it do that.

use std::collections::BTreeSet;

use anyhow::Context;
use git2::{AttrCheckFlags, AttrValue, Commit, DiffOptions, Oid, Repository};

/// libgit2's `GIT_ATTR_CHECK_INCLUDE_HEAD`, which git2 has no name for.
pub(super) const INCLUDE_HEAD: u32 = 1 << 3;

/// The paths that both sides have changed since they parted, or since the commit that is named, and
/// for which ours names a way to merge that is not the usual one.
pub(super) fn merged_otherwise(
    repository: &Repository,
    ours: &Commit<'_>,
    theirs: &Commit<'_>,
    since: Option<Oid>,
) -> anyhow::Result<Vec<String>> {
    let base = match since {
        Some(since) => since,
        None => repository.merge_base(ours.id(), theirs.id()).context("finding the merge base")?,
    };
    let base = repository.find_commit(base).context("reading the merge base")?;
    let changed_by_ours = changed(repository, &base, ours)?;
    let changed_by_theirs = changed(repository, &base, theirs)?;
    // Of a repository without a work tree, the attributes are those of its `HEAD`.
    repository.set_head_detached(ours.id()).context("setting HEAD for attributes")?;
    let flags = AttrCheckFlags::INDEX_ONLY
        | AttrCheckFlags::NO_SYSTEM
        | AttrCheckFlags::from_bits_retain(INCLUDE_HEAD);
    let mut found = Vec::new();
    for path in changed_by_ours.intersection(&changed_by_theirs) {
        let value =
            repository.get_attr_bytes(path.as_ref(), "merge", flags).context("reading an attribute")?;
        let is_usual = match AttrValue::from_bytes(value) {
            AttrValue::True | AttrValue::Unspecified => true,
            AttrValue::String(driver) => driver == "text",
            AttrValue::False | AttrValue::Bytes(_) => false,
        };
        if !is_usual {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn changed(repository: &Repository, from: &Commit<'_>, to: &Commit<'_>) -> anyhow::Result<BTreeSet<String>> {
    let mut options = DiffOptions::new();
    options.skip_binary_check(true);
    let diff = repository
        .diff_tree_to_tree(Some(&from.tree()?), Some(&to.tree()?), Some(&mut options))
        .context("comparing two commits")?;
    let path = |delta: git2::DiffDelta<'_>| {
        let file = delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes())?;
        Some(String::from_utf8_lossy(file).into_owned())
    };
    Ok(diff.deltas().filter_map(path).collect())
}
