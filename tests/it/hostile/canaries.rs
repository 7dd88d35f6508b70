//! The canaries: files with secrets that no agent and nobody on GitHub may come to see, whether
//! they are as they were, and the search for their secrets in everything that hob leaves behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Whence, lseek};

/// How much of a file is looked through at once.
const PIECE: usize = 1 << 20;

/// A text that must not be found, and the places that hold it by right.
#[derive(Debug)]
pub struct Secret {
    /// What it is, for messages.
    pub name: &'static str,
    /// The text.
    pub text: String,
    /// Folders that are not searched for it.
    pub at_home: Vec<PathBuf>,
}

/// Secrets that were found: which, and where.
#[derive(Debug, Default)]
pub struct Search {
    /// In words.
    pub found: Vec<String>,
    /// How many texts and files were looked through.
    pub looked: usize,
}

impl Search {
    /// Looks through a text.
    pub fn text(&mut self, secrets: &[Secret], place: &str, text: &[u8]) {
        self.looked += 1;
        for secret in secrets {
            if contains(text, secret.text.as_bytes()) {
                self.found.push(format!("{} in {place}", secret.name));
            }
        }
    }

    /// Looks through all regular files below a folder, without their holes.
    pub fn folder(&mut self, secrets: &[Secret], folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
            if kind.is_dir() {
                self.folder(secrets, &path);
            } else if kind.is_file() {
                self.file(secrets, &path);
            }
        }
    }

    fn file(&mut self, secrets: &[Secret], path: &Path) {
        let Ok(mut file) = File::open(path) else { return };
        let sought: Vec<&Secret> =
            secrets.iter().filter(|s| !s.at_home.iter().any(|home| path.starts_with(home))).collect();
        self.looked += 1;
        let mut at = 0;
        let mut window = Vec::new();
        // An error means that no data follows.
        while let Ok(data) = lseek(&file, at, Whence::SeekData) {
            if data != at {
                window.clear();
            }
            let _ = lseek(&file, data, Whence::SeekSet);
            let mut piece = vec![0; PIECE];
            let count = file.read(&mut piece).unwrap_or(0);
            if count == 0 {
                break;
            }
            window.extend_from_slice(&piece[..count]);
            for secret in &sought {
                if contains(&window, secret.text.as_bytes()) {
                    self.found.push(format!("{} in {}", secret.name, path.display()));
                }
            }
            // A secret may lie across the border of two pieces.
            let surplus = window.len().saturating_sub(256);
            window.drain(..surplus);
            at = data + count as i64;
        }
    }

    /// Looks through every object of a bare repository, reachable or not.
    pub fn objects(&mut self, secrets: &[Secret], bare: &Path) {
        let mut git = Command::new("git");
        git.arg("-C").arg(bare).args(["cat-file", "--batch-all-objects", "--batch", "--unordered"]);
        let output = git.output().expect("git runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let sought: Vec<&Secret> =
            secrets.iter().filter(|s| !s.at_home.iter().any(|home| bare.starts_with(home))).collect();
        self.looked += 1;
        for secret in sought {
            if contains(&output.stdout, secret.text.as_bytes()) {
                self.found.push(format!("{} in an object of {}", secret.name, bare.display()));
            }
        }
    }
}

/// Looks for the first byte before it compares: most of what is searched is not text.
fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else { return false };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Everything in a folder as it is now: kind, mode, owner, size, time of the last change, content.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    look(folder, &mut seen);
    seen
}

fn look(path: &Path, seen: &mut BTreeMap<PathBuf, String>) {
    let data = std::fs::symlink_metadata(path).expect("a canary is there");
    let kind = data.file_type();
    let content = if kind.is_file() { std::fs::read(path).expect("a file") } else { Vec::new() };
    let line = format!(
        "fifo {} mode {:o} owner {} size {} changed {}.{} {:?}",
        kind.is_fifo(),
        data.permissions().mode(),
        data.uid(),
        data.size(),
        data.mtime(),
        data.mtime_nsec(),
        String::from_utf8_lossy(&content)
    );
    seen.insert(path.to_owned(), line);
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder").flatten() {
            look(&entry.path(), seen);
        }
    }
}

#[test]
fn the_search_finds_a_secret_in_a_text_across_pieces_and_behind_a_hole() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let folder = tempfile::tempdir().unwrap();
    let secrets = [Secret { name: "it", text: "the-secret".to_owned(), at_home: Vec::new() }];
    let mut file = File::create(folder.path().join("file")).unwrap();
    file.seek(SeekFrom::Start((10 << 30) + PIECE as u64 - 5)).unwrap();
    file.write_all(b"the-secret").unwrap();
    let mut search = Search::default();
    search.folder(&secrets, folder.path());
    search.text(&secrets, "a text", b"tthe-secret");
    search.text(&secrets, "another", b"the-secre");
    assert_eq!(
        search.found,
        [format!("it in {}", folder.path().join("file").display()), "it in a text".to_owned()]
    );
    assert_eq!(search.looked, 3);
}
