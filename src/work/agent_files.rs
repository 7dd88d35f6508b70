//! The files by which a repository configures agents: what they are, and whether those in a
//! workspace are as they may be. Settings that have programs run are always those of the base
//! branch. Instructions are too, unless the story itself has written them: work on them has to be
//! able to go on, and people see it in the pull request (`notable.rs`).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};
use nix::sys::stat::{SFlag, fstat};

/// What agents read as their settings from a repository: hooks, servers to start, commands to run.
/// From the facts about Claude Code, and the same for the other CLIs.
pub(super) const SETTINGS: &[&str] = &[
    ".claude",
    ".claude.json",
    ".mcp.json",
    "CLAUDE.md",
    "CLAUDE.local.md",
    ".codex",
    ".gemini",
    "GEMINI.md",
    ".opencode",
    "opencode.json",
    "opencode.jsonc",
    "AGENTS.md",
    ".gitmodules",
    ".ripgreprc",
    ".husky",
];

/// The folders among them in which text is instructions, and so is everything that belongs to a
/// skill.
const FOLDERS: [&str; 4] = [".claude/", ".codex/", ".gemini/", ".opencode/"];
/// The files among them that are instructions.
const INSTRUCTIONS: [&str; 4] = ["CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", "AGENTS.md"];

/// More than this is not compared; then a container has to look.
const MAX_BYTES: usize = 32 << 20;
const MAX_FILES: usize = 2_000;
const MAX_PATH: usize = 1_000;

/// Whether a file tells agents something, and has nothing run by itself. The same as `is_text` of
/// the script in `refresh.rs`.
fn is_instructions(path: &Path) -> bool {
    let path = path.to_string_lossy();
    let Some(setting) = SETTINGS.iter().find(|name| Path::new(&*path).starts_with(name)) else {
        // What a link among the settings leads to.
        return true;
    };
    INSTRUCTIONS.contains(setting)
        || FOLDERS.iter().any(|folder| {
            path.strip_prefix(folder).is_some_and(|rest| rest.starts_with("skills/") || rest.ends_with(".md"))
        })
}

/// Whether the files at these paths of a workspace are those of the base branch, or instructions of
/// the story's own. The workspace may be an agent's: no link is followed, and nothing but files is
/// read. False wherever that cannot be told.
pub(super) fn are_as_they_may_be(
    workspace: &Path,
    trusted: &Path,
    paths: &[String],
    put_by_others: &BTreeSet<String>,
) -> anyhow::Result<bool> {
    let workspace = File::options()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(workspace)
        .context("opening the workspace")?;
    let trusted = File::open(trusted).context("opening the folder of settings")?;
    let mut room = MAX_BYTES;
    let mut waiting: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let mut looked = 0;
    while let Some(path) = waiting.pop() {
        looked += 1;
        if looked > MAX_FILES || path.as_os_str().len() > MAX_PATH {
            return Ok(false);
        }
        match look(&workspace, &path, &mut room) {
            None => return Ok(false),
            Some(Found::Nothing) => {}
            Some(Found::Folder(names)) => waiting.extend(names.into_iter().map(|name| path.join(name))),
            Some(found) => {
                let is_story_own =
                    is_instructions(&path) && !put_by_others.contains(&*path.to_string_lossy());
                if !is_story_own && !look(&trusted, &path, &mut room).is_some_and(|base| base.is_same(&found))
                {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// What lies at a path.
enum Found {
    Nothing,
    Folder(Vec<OsString>),
    Link(OsString),
    File(Vec<u8>),
}

impl Found {
    /// Whether both are the same link, or files of the same text: git may have changed the ends of
    /// lines.
    fn is_same(&self, other: &Found) -> bool {
        let text = |bytes: &[u8]| bytes.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>();
        match (self, other) {
            (Self::Link(one), Self::Link(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other || text(one) == text(other),
            _ => false,
        }
    }
}

/// Looks at a path below a folder. `None`: it is something else, or cannot be looked at, or is too
/// large.
fn look(folder: &File, path: &Path, room: &mut usize) -> Option<Found> {
    let open = |flags: OFlag| {
        let beneath = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(folder, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(beneath))
    };
    let place = match open(OFlag::O_PATH | OFlag::O_NOFOLLOW) {
        Ok(place) => place,
        // Below a link there is nothing of its own.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Some(Found::Nothing),
        Err(_) => return None,
    };
    let found = fstat(&place).ok()?;
    match SFlag::from_bits_truncate(found.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFLNK => readlinkat(&place, OsStr::new("")).ok().map(Found::Link),
        SFlag::S_IFDIR => {
            let mut names = Vec::new();
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
            for entry in Dir::from_fd(open(flags).ok()?).ok()?.iter() {
                let name = OsString::from_vec(entry.ok()?.file_name().to_bytes().to_vec());
                if name != "." && name != ".." {
                    names.push(name);
                }
                if names.len() > MAX_FILES {
                    return None;
                }
            }
            Some(Found::Folder(names))
        }
        SFlag::S_IFREG => {
            let file = File::from(open(OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).ok()?);
            let mut bytes = Vec::new();
            file.take(*room as u64 + 1).read_to_end(&mut bytes).ok()?;
            *room = room.checked_sub(bytes.len())?;
            Some(Found::File(bytes))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn instructions_are_told_from_what_runs() {
        for path in
            ["AGENTS.md", ".claude/agents/a.md", ".claude/skills/x/run.sh", "skills/x/run.sh", "docs/a"]
        {
            assert!(is_instructions(Path::new(path)), "{path}");
        }
        for path in
            [".claude/settings.json", ".mcp.json", ".claude", ".husky/pre-commit.md", ".opencode/plugin/a.js"]
        {
            assert!(!is_instructions(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_workspace_is_compared_file_by_file_and_link_by_link() {
        let folder = tempfile::tempdir().unwrap();
        let (workspace, trusted) = (folder.path().join("w"), folder.path().join("t"));
        for side in [&workspace, &trusted] {
            std::fs::create_dir_all(side.join(".claude/skills")).unwrap();
            std::fs::write(side.join(".claude/settings.json"), "{}\n").unwrap();
            symlink("AGENTS.md", side.join("CLAUDE.md")).unwrap();
            std::fs::write(side.join("AGENTS.md"), "one\n").unwrap();
            symlink("../../skills/x", side.join(".claude/skills/x")).unwrap();
        }
        let paths: Vec<String> = SETTINGS.iter().map(|name| (*name).to_owned()).collect();
        let others = BTreeSet::from(["AGENTS.md".to_owned()]);
        let is_fine =
            |others: &BTreeSet<String>| are_as_they_may_be(&workspace, &trusted, &paths, others).unwrap();
        assert!(is_fine(&others));
        std::fs::write(workspace.join("AGENTS.md"), "one\r\n").unwrap();
        assert!(is_fine(&others));
        std::fs::write(workspace.join("AGENTS.md"), "two\n").unwrap();
        assert!(!is_fine(&others) && is_fine(&BTreeSet::new()));
        std::fs::write(workspace.join(".mcp.json"), "{}").unwrap();
        assert!(!is_fine(&BTreeSet::new()));
        std::fs::remove_file(workspace.join(".mcp.json")).unwrap();
        nix::unistd::mkfifo(&workspace.join(".mcp.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!is_fine(&BTreeSet::new()));
        std::fs::remove_file(workspace.join(".mcp.json")).unwrap();
        assert!(is_fine(&BTreeSet::new()));
        std::fs::remove_file(workspace.join("CLAUDE.md")).unwrap();
        symlink("other.md", workspace.join("CLAUDE.md")).unwrap();
        assert!(!is_fine(&BTreeSet::from(["CLAUDE.md".to_owned()])));
    }
}
