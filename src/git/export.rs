//! Some files of a commit, written out from the mirror. The mirror is hob's own, so what comes from it is
//! what the git host has; the repository in a workspace, which an agent has touched, could say anything.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use git2::{ObjectType, Repository, Tree};

use super::{Mirror, oid};
use crate::ids::Sha;

/// More than this is no settings any more.
const MOST_BYTES: usize = 16 << 20;

/// The mode of an executable file in a tree.
const EXECUTABLE: i32 = 0o100755;

impl Mirror {
    /// Writes the files and folders of these names, at the top level of a commit, into a new folder.
    /// What the commit does not have is left out; links and submodules are left out too.
    pub fn export(&self, at: &Sha, names: &[&str], folder: &Path) -> anyhow::Result<()> {
        let repository = self.open()?;
        let commit =
            repository.find_commit(oid(at)?).with_context(|| format!("finding {at} in the mirror"))?;
        let tree = commit.tree().context("reading its tree")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut room = MOST_BYTES;
        write_tree(&repository, &tree, folder, &mut room, &|name| names.contains(&name))
    }
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
    /// The first of these files that a commit has, looked for without regard to case. Links are no files, and one that is larger than
    /// `most` bytes is cut.
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

fn write_tree(
    repository: &Repository,
    tree: &Tree<'_>,
    folder: &Path,
    room: &mut usize,
    wanted: &dyn Fn(&str) -> bool,
) -> anyhow::Result<()> {
    for entry in tree {
        let Ok(name) = entry.name() else { continue };
        // libgit2 makes no such entries; a repository made by other means could have them.
        if !wanted(name) || name.is_empty() || name.contains('/') || name == "." || name == ".." {
            continue;
        }
        let path = folder.join(name);
        match (entry.kind(), entry.filemode()) {
            (Some(ObjectType::Tree), _) => {
                let inner = repository.find_tree(entry.id()).context("reading a folder")?;
                fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
                write_tree(repository, &inner, &path, room, &|_| true)?;
            }
            (Some(ObjectType::Blob), mode) if mode & 0o170000 == 0o100000 => {
                let blob = repository.find_blob(entry.id()).context("reading a file")?;
                let Some(left) = room.checked_sub(blob.content().len()) else {
                    bail!("the repository's agent settings are larger than {MOST_BYTES} bytes")
                };
                *room = left;
                fs::write(&path, blob.content()).with_context(|| format!("writing {}", path.display()))?;
                let mode = if mode == EXECUTABLE { 0o755 } else { 0o644 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).context("setting its mode")?;
            }
            _ => {}
        }
    }
    Ok(())
}
