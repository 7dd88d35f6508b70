//! Files whose content in the repository is what a filter makes of it: pointers of Git LFS,
//! encrypted files. The filter may not have been there where a commit was made; then the content
//! itself is in the commit. Found here in what a hand-over changes.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;
use git2::{AttrCheckFlags, AttrValue, Oid, Repository};

use super::changes::Change;
use super::drivers::INCLUDE_HEAD;

/// A pointer is smaller than this, says the specification of Git LFS.
const POINTER_BYTES: usize = 1024;
/// How one begins; the second is the name from before the first release.
const POINTER_STARTS: [&[u8]; 2] =
    [b"version https://git-lfs.github.com/spec/v1\n", b"version https://hawser.github.com/spec/v1\n"];

/// Filters that encrypt, with how what they have encrypted begins.
const ENCRYPTING: [(&str, &[u8]); 2] = [("git-crypt", b"\0GITCRYPT\0"), ("crypt", b"U2FsdGVk")];

/// A changed file that is not what its filter makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filtered {
    /// Its path. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// What is wrong with it.
    pub fault: FilterFault,
}

/// What is wrong with a file that goes through a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterFault {
    /// Content in place of a pointer of Git LFS.
    ContentForPointer,
    /// A pointer of Git LFS that is new: nobody has uploaded what it points at.
    NewPointer,
    /// It should be encrypted.
    NotEncrypted,
}

/// The changed files that are not what their filters make, by the attributes that the tip has.
/// `fresh` is the content that came with the hand-over: what the mirror has is as people have put
/// it there.
pub(super) fn faults(
    repository: &Repository,
    tip: Oid,
    changes: &[Change],
    fresh: &HashSet<Oid>,
) -> anyhow::Result<Vec<Filtered>> {
    // Of a repository without a work tree, the attributes are those of its `HEAD`.
    repository.set_head_detached(tip).context("setting HEAD for attributes")?;
    let flags = AttrCheckFlags::INDEX_ONLY
        | AttrCheckFlags::NO_SYSTEM
        | AttrCheckFlags::from_bits_retain(INCLUDE_HEAD);
    let tree = repository.find_commit(tip).and_then(|commit| commit.tree()).context("reading the tip")?;
    let mut found = Vec::new();
    for change in changes.iter().filter(|change| change.new_mode.is_some() && change.link.is_none()) {
        let entry = tree.get_path(Path::new(&change.path)).ok();
        let Some(blob) = entry.map(|entry| entry.id()).filter(|id| fresh.contains(id)) else { continue };
        let value = repository
            .get_attr_bytes(change.path.as_ref(), "filter", flags)
            .context("reading an attribute")?;
        let AttrValue::String(filter) = AttrValue::from_bytes(value) else { continue };
        let blob = repository.find_blob(blob).context("reading a file")?;
        if let Some(fault) = fault(filter, blob.content()) {
            found.push(Filtered { path: change.path.clone(), fault });
        }
    }
    Ok(found)
}

fn fault(filter: &str, content: &[u8]) -> Option<FilterFault> {
    // Each of these filters leaves an empty file as it is.
    if content.is_empty() {
        return None;
    }
    if filter == "lfs" {
        let is_pointer =
            content.len() < POINTER_BYTES && POINTER_STARTS.iter().any(|start| content.starts_with(start));
        return Some(if is_pointer { FilterFault::NewPointer } else { FilterFault::ContentForPointer });
    }
    let (_, start) = ENCRYPTING.iter().find(|(name, _)| *name == filter)?;
    (!content.starts_with(start)).then_some(FilterFault::NotEncrypted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_should_have_made_is_known_by_its_beginning() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
        let mut long = pointer.to_vec();
        long.resize(POINTER_BYTES, b'x');
        for (filter, content, wanted) in [
            ("lfs", &pointer[..], Some(FilterFault::NewPointer)),
            ("lfs", &long, Some(FilterFault::ContentForPointer)),
            ("lfs", b"\x89PNG", Some(FilterFault::ContentForPointer)),
            ("lfs", b"", None),
            ("git-crypt", b"\0GITCRYPT\0secret", None),
            ("git-crypt", b"password = 1", Some(FilterFault::NotEncrypted)),
            ("crypt", b"password = 1", Some(FilterFault::NotEncrypted)),
            ("indent", b"anything", None),
        ] {
            assert_eq!(fault(filter, content), wanted, "{filter}: {content:?}");
        }
    }
}
