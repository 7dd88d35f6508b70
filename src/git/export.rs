//! Some files of a commit, written out from the mirror. The mirror is hob's own, so what comes from
//! it is what the git host has; the repository in a workspace, which an agent has touched, could
//! say anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use git2::{Commit, ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry};

use super::{Mirror, oid};
use crate::ids::Sha;

/// More than this is no settings any more.
const MAX_BYTES: usize = 16 << 20;

/// The mode of an executable file in a tree.
const EXECUTABLE: i32 = 0o100755;
/// The mode of a symbolic link.
const LINK: i32 = 0o120000;
/// More links than this are not followed to what they name.
const MAX_TARGETS: usize = 100;
/// More files than this are not told apart.
const MAX_FILES: usize = 10_000;
/// More commits than this are not looked at for who wrote a file.
const MAX_COMMITS: usize = 10_000;

impl Mirror {
    /// Writes the files and folders at these paths of a commit into a new folder, links as links.
    /// What the commit does not have is left out; submodules are left out too. Returns the paths,
    /// and those that links among them lead to, which are written as well.
    pub fn export(&self, at: &Sha, paths: &[&str], folder: &Path) -> anyhow::Result<Vec<String>> {
        let repository = self.open()?;
        let tree = tree_of(&repository, at)?;
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut room = MAX_BYTES;
        let mut waiting: Vec<String> = paths.iter().rev().map(|path| (*path).to_owned()).collect();
        let mut written = BTreeSet::new();
        let mut exported = Vec::new();
        while let Some(path) = waiting.pop() {
            let is_in_one = Path::new(&path).ancestors().any(|part| written.contains(part.as_os_str()));
            if is_in_one {
                continue;
            }
            written.insert(Path::new(&path).as_os_str().to_owned());
            let mut targets = Vec::new();
            if let Some(entry) = entry_at(&tree, &path)? {
                let target = folder.join(&path);
                let above = target.parent().context("the path has no parent folder")?;
                fs::create_dir_all(above).with_context(|| format!("creating {}", above.display()))?;
                write_entry(&repository, &entry, &target, Path::new(&path), &mut room, &mut targets)?;
            }
            exported.push(path);
            if written.len() < MAX_TARGETS {
                waiting.extend(targets);
            }
        }
        Ok(exported)
    }

    /// The files below these paths that a commit has otherwise than the base, where neither the
    /// base's history nor a commit of this committer's has put them there.
    pub fn put_by_others(
        &self,
        head: &Sha,
        base: &Sha,
        paths: &[String],
        committer: &str,
    ) -> anyhow::Result<Vec<String>> {
        let repository = self.open()?;
        let of_base = files_below(&repository, &tree_of(&repository, base)?, paths)?;
        let of_head = files_below(&repository, &tree_of(&repository, head)?, paths)?;
        let mut history = History {
            repository: &repository,
            base: oid(base)?,
            committer,
            in_base: HashMap::new(),
            left: MAX_COMMITS,
        };
        let mut found = Vec::new();
        for (path, entry) in of_head {
            if of_base.get(&path) != Some(&entry) && !history.is_own(oid(head)?, &path, entry)? {
                found.push(String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned());
            }
        }
        Ok(found)
    }
}

/// Where the content of a path comes from.
struct History<'a> {
    repository: &'a Repository,
    base: Oid,
    committer: &'a str,
    /// Whether a commit is in the base's history.
    in_base: HashMap<Oid, bool>,
    left: usize,
}

impl History<'_> {
    /// Whether what a commit has at a path was put there by the committer, or by somebody in the
    /// base's history. What a merge has made of several versions is the committer's where each of
    /// them is.
    fn is_own(&mut self, head: Oid, path: &Path, entry: (i32, Oid)) -> anyhow::Result<bool> {
        let mut waiting = vec![(head, entry)];
        let mut seen = HashSet::from([head]);
        while let Some((id, entry)) = waiting.pop() {
            if self.is_in_base(id)? {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
            self.left = left;
            let commit = self.repository.find_commit(id).context("reading a commit")?;
            let mut before = Vec::new();
            for parent in commit.parents() {
                before.extend(entry_in(&parent, path)?.map(|entry| (parent.id(), entry)));
            }
            if let Some(same) = before.iter().find(|(_, earlier)| *earlier == entry) {
                before = vec![*same];
            } else if commit.committer().email_bytes() != self.committer.as_bytes() {
                return Ok(false);
            } else if commit.parent_count() <= 1 {
                continue;
            }
            waiting.extend(before.into_iter().filter(|(id, _)| seen.insert(*id)));
        }
        Ok(true)
    }

    fn is_in_base(&mut self, commit: Oid) -> anyhow::Result<bool> {
        if let Some(known) = self.in_base.get(&commit) {
            return Ok(*known);
        }
        let is_in = commit == self.base
            || self.repository.graph_descendant_of(self.base, commit).context("comparing two commits")?;
        self.in_base.insert(commit, is_in);
        Ok(is_in)
    }
}

fn entry_in(commit: &Commit<'_>, path: &Path) -> anyhow::Result<Option<(i32, Oid)>> {
    match commit.tree().context("reading a tree")?.get_path(path) {
        Ok(found) => Ok(Some((found.filemode(), found.id()))),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error).context("looking for a file"),
    }
}

fn tree_of<'a>(repository: &'a Repository, at: &Sha) -> anyhow::Result<Tree<'a>> {
    let commit = repository.find_commit(oid(at)?).with_context(|| format!("finding {at} in the mirror"))?;
    commit.tree().context("reading its tree")
}

fn entry_at(tree: &Tree<'_>, path: &str) -> anyhow::Result<Option<TreeEntry<'static>>> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error).context("looking for a file"),
    }
}

/// The files and links below some paths, each with its mode and content.
fn files_below(
    repository: &Repository,
    tree: &Tree<'_>,
    paths: &[String],
) -> anyhow::Result<BTreeMap<PathBuf, (i32, Oid)>> {
    let mut found = BTreeMap::new();
    for path in paths {
        let Some(entry) = entry_at(tree, path)? else { continue };
        let mut waiting = vec![(PathBuf::from(path), entry.filemode(), entry.id(), entry.kind())];
        while let Some((path, mode, id, kind)) = waiting.pop() {
            match kind {
                Some(ObjectType::Blob) if found.len() < MAX_FILES => {
                    found.insert(path, (mode, id));
                }
                Some(ObjectType::Blob) => bail!("more than {MAX_FILES} files configure agents"),
                Some(ObjectType::Tree) => {
                    let tree = repository.find_tree(id).context("reading a folder")?;
                    waiting.extend(tree.iter().map(|entry| {
                        let path = path.join(OsStr::from_bytes(entry.name_bytes()));
                        (path, entry.filemode(), entry.id(), entry.kind())
                    }));
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// What a link leads to within the repository, as its text says: a link on the way is not followed.
fn target_within(link: &Path, target: &[u8]) -> Option<String> {
    let mut parts: Vec<&OsStr> = link.parent()?.iter().collect();
    for part in Path::new(OsStr::from_bytes(target)).components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let path: PathBuf = parts.into_iter().collect();
    // The repository as a whole is no setting.
    path.to_str().filter(|path| !path.is_empty()).map(str::to_owned)
}

/// A text file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Its path as the repository has it.
    pub path: String,
    /// What is in it; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl Mirror {
    /// The first of these files that a commit has, looked for without regard to case. Links are no
    /// files, and one that is larger than `most` bytes is cut.
    pub fn text_file(&self, at: &Sha, paths: &[&str], most: usize) -> anyhow::Result<Option<TextFile>> {
        let repository = self.open()?;
        let commit =
            repository.find_commit(oid(at)?).with_context(|| format!("finding {at} in the mirror"))?;
        let root = commit.tree().context("reading its tree")?;
        for path in paths {
            if let Some(found) = find_file(&repository, &root, path, most)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn find_file(
    repository: &Repository,
    root: &Tree<'_>,
    path: &str,
    most: usize,
) -> anyhow::Result<Option<TextFile>> {
    let mut tree = root.clone();
    let mut real = Vec::new();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let fits = |entry: &git2::TreeEntry<'_>| {
            let kind = if is_last { ObjectType::Blob } else { ObjectType::Tree };
            let is_link = is_last && entry.filemode() & 0o170000 != 0o100000;
            let is_named = entry.name().is_ok_and(|name| name.eq_ignore_ascii_case(part));
            is_named && entry.kind() == Some(kind) && !is_link
        };
        let Some((name, id)) = tree.iter().find(fits).map(|entry| (name_of(&entry), entry.id())) else {
            return Ok(None);
        };
        real.push(name);
        if is_last {
            let blob = repository.find_blob(id).context("reading a file")?;
            let content = &blob.content()[..blob.content().len().min(most)];
            let text = String::from_utf8_lossy(content).into_owned();
            return Ok(Some(TextFile { path: real.join("/"), text }));
        }
        tree = repository.find_tree(id).context("reading a folder")?;
    }
    Ok(None)
}

fn name_of(entry: &git2::TreeEntry<'_>) -> String {
    entry.name().unwrap_or_default().to_owned()
}

/// Writes a file, link or folder, as far as it is not there. Adds where links lead to.
fn write_entry(
    repository: &Repository,
    entry: &TreeEntry<'_>,
    target: &Path,
    path: &Path,
    room: &mut usize,
    links: &mut Vec<String>,
) -> anyhow::Result<()> {
    let failed = || format!("writing {}", target.display());
    match (entry.kind(), entry.filemode()) {
        (Some(ObjectType::Tree), _) => {
            fs::create_dir_all(target).with_context(failed)?;
            let tree = repository.find_tree(entry.id()).context("reading a folder")?;
            for inner in &tree {
                // libgit2 makes no such entries; a repository made by other means could have them.
                let name = inner.name_bytes();
                if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." {
                    continue;
                }
                let name = OsStr::from_bytes(name);
                write_entry(repository, &inner, &target.join(name), &path.join(name), room, links)?;
            }
        }
        (Some(ObjectType::Blob), mode) if target.symlink_metadata().is_err() => {
            let blob = repository.find_blob(entry.id()).context("reading a file")?;
            let Some(left) = room.checked_sub(blob.content().len()) else {
                bail!("the repository's agent settings are larger than {MAX_BYTES} bytes")
            };
            *room = left;
            if mode & 0o170000 == LINK {
                links.extend(target_within(path, blob.content()));
                return symlink(OsStr::from_bytes(blob.content()), target).with_context(failed);
            }
            fs::write(target, blob.content()).with_context(failed)?;
            let mode = if mode == EXECUTABLE { 0o755 } else { 0o644 };
            fs::set_permissions(target, fs::Permissions::from_mode(mode)).context("setting its mode")?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_path_of_the_repository_or_nowhere() {
        for (link, target, wanted) in [
            ("CLAUDE.md", "AGENTS.md", Some("AGENTS.md")),
            (".claude/skills/x", "../../skills/x", Some("skills/x")),
            (".claude/skills/x", "./../y", Some(".claude/y")),
            ("CLAUDE.md", "../other", None),
            ("CLAUDE.md", "/etc/passwd", None),
            ("a/b", "..", None),
        ] {
            assert_eq!(
                target_within(Path::new(link), target.as_bytes()).as_deref(),
                wanted,
                "{link} -> {target}"
            );
        }
    }
}
