//! Suggestions of reviewers, made commits of hob's own: each puts some lines of a file in the place
//! of others, exactly, in a throw-away repository that borrows from the mirror; `push.rs` pushes
//! from there. No workspace is looked at. The same suggestions on the same commit make the same
//! commits. One whose lines have changed since makes none; lines that have only moved are found
//! where they are now.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use git2::build::TreeUpdateBuilder;
use git2::{Commit, DiffOptions, FileMode, ObjectType, Patch, Repository, Signature, Time, Tree};

use super::import::{HAND_OVER, open_quarantine};
use super::mirror::init_bare;
use super::{Author, Mirror, borrow_objects, oid, prepare, sha};
use crate::ids::Sha;
use crate::paths::remove_tree;

/// Lines in the place of others.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The file's path.
    pub file: String,
    /// The first and the last line that go, counted from 1.
    pub lines: (u32, u32),
    /// The commit that has these lines.
    pub seen_at: Sha,
    /// What comes in their place, without line ends.
    pub with: Vec<String>,
    /// The whole message of the commit.
    pub message: String,
    /// The commit's time, in seconds since 1970.
    pub at_second: i64,
}

/// Lines of a file, counted from 0, and what comes in their place.
type Change = (usize, usize, Vec<u8>);

/// Makes a commit of each replacement that fits, one on the other, on top of `from`. Gives back the
/// commits in the order of the replacements; none for one that does not fit. `repository` is
/// removed and made again; the last commit is what a push takes.
pub fn apply_replacements(
    mirror: &Mirror,
    repository: &Path,
    from: &Sha,
    author: &Author,
    replacements: &[Replacement],
) -> anyhow::Result<Vec<Option<Sha>>> {
    prepare()?;
    remove_tree(repository)?;
    drop(init_bare(repository)?);
    borrow_objects(repository, mirror)?;
    // Opened again, because libgit2 reads the alternates only when it opens a repository.
    let repository = open_quarantine(repository)?;
    let start = repository.find_commit(oid(from)?).context("finding the commit to build on")?;
    let mut tip = start.clone();
    let mut done: HashMap<&str, Vec<Change>> = HashMap::new();
    let mut commits = Vec::new();
    for replacement in replacements {
        let changes = done.entry(&replacement.file).or_default();
        let commit = match fitting(&repository, &start, replacement)? {
            Some((change, file)) if changes.iter().all(|other| is_apart(&change, other)) => {
                changes.push(change);
                tip = commit(&repository, &tip, (&file, changes), author, replacement)?;
                Some(sha(tip.id())?)
            }
            _ => None,
        };
        commits.push(commit);
    }
    repository
        .reference(HAND_OVER, tip.id(), true, "hob: suggestions")
        .context("creating the reference for the hand-over")?;
    Ok(commits)
}

/// The commits of a signed chain, in the order of the unsigned ones: as many as there are, down
/// from the tip.
pub fn chain(repository: &Path, tip: &Sha, count: usize) -> anyhow::Result<Vec<Sha>> {
    let repository = open_quarantine(repository)?;
    let mut at = repository.find_commit(oid(tip)?).context("finding the last commit")?;
    let mut chain = vec![sha(at.id())?];
    while chain.len() < count {
        at = at.parent(0).context("reading the parent commit")?;
        chain.push(sha(at.id())?);
    }
    chain.reverse();
    Ok(chain)
}

struct File {
    bytes: Vec<u8>,
    mode: FileMode,
}

/// The change of a replacement, where the lines that it is about are still what they were.
fn fitting(
    repository: &Repository,
    start: &Commit<'_>,
    replacement: &Replacement,
) -> anyhow::Result<Option<(Change, File)>> {
    let Ok(seen) = repository.find_commit(oid(&replacement.seen_at)?) else { return Ok(None) };
    let (Some(was), Some(is)) = (
        file(repository, &seen.tree()?, &replacement.file)?,
        file(repository, &start.tree()?, &replacement.file)?,
    ) else {
        return Ok(None);
    };
    let (first, last) = replacement.lines;
    let (Some(first), last) = (first.checked_sub(1), last) else { return Ok(None) };
    let (first, last) = (first as usize, last as usize);
    let Some((now_first, now_last)) = moved(&was.bytes, &is.bytes, (first, last))? else { return Ok(None) };
    let (before, now) = (lines(&was.bytes), lines(&is.bytes));
    let (Some(before), Some(now)) = (before.get(first..last), now.get(now_first..now_last)) else {
        return Ok(None);
    };
    if before != now || now.is_empty() {
        return Ok(None);
    }
    let end: &[u8] = if now[0].ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    let mut with: Vec<u8> = Vec::new();
    for line in &replacement.with {
        with.extend_from_slice(line.as_bytes());
        with.extend_from_slice(end);
    }
    // The last line of a file may have no end.
    if !now[now.len() - 1].ends_with(b"\n") && with.ends_with(end) {
        with.truncate(with.len() - end.len());
    }
    Ok((with != now.concat()).then_some(((now_first, now_last, with), is)))
}

/// Where lines `first..last` of one text, counted from 0, are in a later one. None where they have
/// changed, or where lines were put in or taken out right beside them: a `}` can then be the one
/// that was meant or the one next to it.
fn moved(was: &[u8], is: &[u8], (first, last): (usize, usize)) -> anyhow::Result<Option<(usize, usize)>> {
    let mut options = DiffOptions::new();
    options.context_lines(0).force_text(true);
    let patch = Patch::from_buffers(was, None, is, None, Some(&mut options)).context("comparing a file")?;
    let (mut put_in, mut taken_out) = (0, 0);
    for at in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(at).context("comparing a file")?;
        let (old, new) = (hunk.old_lines() as usize, hunk.new_lines() as usize);
        // Of a hunk that takes nothing out, it is the line before that is named.
        let start = hunk.old_start() as usize - usize::from(old > 0);
        let end = start + old;
        let touches =
            if old == 0 || new == 0 { start <= last && first <= end } else { start < last && first < end };
        if touches {
            return Ok(None);
        }
        if end <= first {
            (put_in, taken_out) = (put_in + new, taken_out + old);
        }
    }
    Ok(Some((first + put_in - taken_out, last + put_in - taken_out)))
}

fn is_apart(one: &Change, other: &Change) -> bool {
    one.1 <= other.0 || other.1 <= one.0
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

/// A regular file of a tree.
fn file(repository: &Repository, tree: &Tree<'_>, path: &str) -> anyhow::Result<Option<File>> {
    let Ok(entry) = tree.get_path(Path::new(path)) else { return Ok(None) };
    let mode = match entry.filemode() {
        0o100644 => FileMode::Blob,
        0o100755 => FileMode::BlobExecutable,
        _ => return Ok(None),
    };
    if entry.kind() != Some(ObjectType::Blob) {
        return Ok(None);
    }
    let blob = repository.find_blob(entry.id()).context("reading a file")?;
    Ok(Some(File { bytes: blob.content().to_vec(), mode }))
}

/// A commit on `parent` in which the file has all of these changes.
fn commit<'a>(
    repository: &'a Repository,
    parent: &Commit<'a>,
    (file, changes): (&File, &[Change]),
    author: &Author,
    replacement: &Replacement,
) -> anyhow::Result<Commit<'a>> {
    let old = lines(&file.bytes);
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| change.0);
    let (mut bytes, mut at) = (Vec::new(), 0);
    for (first, last, with) in sorted {
        bytes.extend(old[at..*first].concat());
        bytes.extend_from_slice(with);
        at = *last;
    }
    bytes.extend(old[at..].concat());
    let blob = repository.blob(&bytes).context("writing a file")?;
    let tree = TreeUpdateBuilder::new()
        .upsert(replacement.file.as_str(), blob, file.mode)
        .create_updated(repository, &parent.tree()?)
        .context("writing a tree")?;
    let tree = repository.find_tree(tree)?;
    let when = Time::new(replacement.at_second, 0);
    let signature =
        Signature::new(&author.name, &author.email, &when).context("creating the author's signature")?;
    let id = repository
        .commit(None, &signature, &signature, &replacement.message, &tree, &[parent])
        .context("writing a commit")?;
    Ok(repository.find_commit(id)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mirror with a commit of this file on another of that one.
    fn mirror(folder: &Path, was: &str, is: &str) -> (Mirror, Sha, Sha) {
        let mirror = Mirror::ensure(&folder.join("mirror.git")).unwrap();
        let repository = mirror.open().unwrap();
        let signature = Signature::new("a", "a@x", &Time::new(1_700_000_000, 0)).unwrap();
        let make = |text: &str, parents: &[&Commit<'_>]| {
            let blob = repository.blob(text.as_bytes()).unwrap();
            let empty = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
            let tree = TreeUpdateBuilder::new()
                .upsert("src/run.sh", blob, FileMode::BlobExecutable)
                .create_updated(&repository, &empty)
                .unwrap();
            let tree = repository.find_tree(tree).unwrap();
            let id = repository.commit(None, &signature, &signature, "m", &tree, parents).unwrap();
            repository.find_commit(id).unwrap()
        };
        let first = make(was, &[]);
        let second = make(is, &[&first]);
        let ids = (sha(first.id()).unwrap(), sha(second.id()).unwrap());
        drop((first, second));
        drop(repository);
        (mirror, ids.0, ids.1)
    }

    fn replacement(seen_at: &Sha, lines: (u32, u32), with: &[&str]) -> Replacement {
        Replacement {
            file: "src/run.sh".to_owned(),
            lines,
            seen_at: seen_at.clone(),
            with: with.iter().map(|line| (*line).to_owned()).collect(),
            message: format!("Apply {lines:?}\n\nCo-authored-by: bob <1+bob@x>\n"),
            at_second: 1_700_000_001,
        }
    }

    #[test]
    fn what_fits_is_applied_exactly_commit_by_commit_and_what_has_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mirror, was, is) = mirror(folder.path(), "a\nb\nc\r\nd\ne", "a\nB\nc\r\nd\ne");
        let author = Author { name: "hob".to_owned(), email: "hob@x".to_owned() };
        let all = [
            replacement(&was, (5, 5), &["E", "F"]),
            // Has changed since it was seen.
            replacement(&was, (2, 2), &["bb"]),
            replacement(&is, (3, 3), &["C", "CC"]),
            // Overlaps with the one before.
            replacement(&is, (2, 3), &["x"]),
            replacement(&is, (1, 1), &[]),
            // Changes nothing, and lies nowhere.
            replacement(&is, (4, 4), &["d"]),
            replacement(&is, (9, 9), &["x"]),
            replacement(&is, (0, 1), &["x"]),
        ];
        let path = folder.path().join("throw-away.git");
        let apply = || apply_replacements(&mirror, &path, &is, &author, &all).unwrap();
        let commits = apply();
        let fits: Vec<bool> = commits.iter().map(Option::is_some).collect();
        assert_eq!(fits, [true, false, true, false, true, false, false, false]);
        assert_eq!(apply(), commits, "the same once more");
        let chain: Vec<Sha> = commits.iter().flatten().cloned().collect();
        assert_eq!(super::chain(&path, chain.last().unwrap(), 3).unwrap(), chain);

        let repository = open_quarantine(&path).unwrap();
        let text = |commit: &Sha| {
            let commit = repository.find_commit(oid(commit).unwrap()).unwrap();
            let found = file(&repository, &commit.tree().unwrap(), "src/run.sh").unwrap().unwrap();
            assert_eq!(found.mode, FileMode::BlobExecutable);
            String::from_utf8(found.bytes).unwrap()
        };
        assert_eq!(
            chain.iter().map(text).collect::<Vec<_>>(),
            ["a\nB\nc\r\nd\nE\nF", "a\nB\nC\r\nCC\r\nd\nE\nF", "B\nC\r\nCC\r\nd\nE\nF"]
        );
        let last = repository.find_commit(oid(&chain[2]).unwrap()).unwrap();
        assert_eq!(last.author().name().unwrap(), "hob");
        assert!(last.message().unwrap().contains("Co-authored-by: bob"));
    }

    #[test]
    fn lines_that_have_moved_are_replaced_where_they_are_now() {
        let folder = tempfile::tempdir().unwrap();
        let was = "a() {\n  one\n}\n\nb() {\n  two\n}\n";
        // The third line is a `}` in both, and not the same one.
        let is = "z() {\n  0\n}\n\na() {\n  one\n}\n\nb() {\n  more\n  two\n}\n";
        let (mirror, was, is) = mirror(folder.path(), was, is);
        let author = Author { name: "hob".to_owned(), email: "hob@x".to_owned() };
        let all = [
            replacement(&was, (3, 3), &["} # a"]),
            replacement(&was, (7, 7), &["} # b"]),
            // Something was put in within these, and right above that.
            replacement(&was, (5, 6), &["x"]),
            replacement(&was, (6, 6), &["x"]),
        ];
        let path = folder.path().join("throw-away.git");
        let commits = apply_replacements(&mirror, &path, &is, &author, &all).unwrap();
        let fits: Vec<bool> = commits.iter().map(Option::is_some).collect();
        assert_eq!(fits, [true, true, false, false]);
        let repository = open_quarantine(&path).unwrap();
        let last = repository.find_commit(oid(commits[1].as_ref().unwrap()).unwrap()).unwrap();
        let made = file(&repository, &last.tree().unwrap(), "src/run.sh").unwrap().unwrap();
        assert_eq!(
            String::from_utf8(made.bytes).unwrap(),
            "z() {\n  0\n}\n\na() {\n  one\n} # a\n\nb() {\n  more\n  two\n} # b\n"
        );
    }
}
