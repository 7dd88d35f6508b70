//! The bare repositories on the played GitHub's disk, made and read with the git program. Tests may
//! use it here: nothing an agent configured ever lies in these repositories, only its objects.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::pull_people::Merging;

/// Plays GitHub's protected branches. git gives the hook one line for each ref of a push.
const PRE_RECEIVE: &str = r#"#!/bin/sh
while read -r _old _new ref; do
  while read -r pattern; do
    case "${ref#refs/heads/}" in
      $pattern)
        echo "error: GH006: Protected branch update failed for $ref."
        echo ""
        echo "- Changes must be made through a pull request."
        exit 1 ;;
    esac
  done < protected-branches
done
"#;

/// One commit as `git log` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The object id.
    pub sha: String,
    /// `Name <address>`.
    pub author: String,
    /// `Name <address>`.
    pub committer: String,
    /// The whole message, without the newline at its end.
    pub message: String,
}

/// A bare repository on disk.
#[derive(Clone)]
pub(super) struct Bare {
    path: PathBuf,
}

/// How far a head is from its base.
#[derive(Default)]
pub(super) struct Distance {
    pub(super) commits: u64,
    pub(super) additions: u64,
    pub(super) deletions: u64,
    pub(super) changed_files: u64,
}

impl Bare {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the repository, empty, ready to be pushed to.
    pub(super) fn create(&self) {
        fs::create_dir_all(&self.path).expect("make the repository's folder");
        self.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."], None);
        self.git(&["config", "http.receivepack", "true"], None);
        // A hash of a commit that is on no branch can be fetched on GitHub.
        self.git(&["config", "uploadpack.allowAnySHA1InWant", "true"], None);
        fs::create_dir_all(self.path.join("hooks")).expect("make the hooks' folder");
        let hook = self.path.join("hooks/pre-receive");
        fs::write(&hook, PRE_RECEIVE).expect("write the hook");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("make the hook executable");
        fs::write(self.path.join("protected-branches"), "").expect("write the list of protected branches");
    }

    pub(super) fn protect(&self, pattern: &str) {
        let list = self.path.join("protected-branches");
        let mut file = fs::OpenOptions::new().append(true).open(list).expect("open the protected branches");
        writeln!(file, "{pattern}").expect("write the protected branches");
    }

    /// Puts a commit on a branch, which begins at `main` where it is new, and returns its object
    /// id. Written from parts without a work tree, and without the hooks: people may be allowed
    /// more.
    pub(super) fn commit(
        &self,
        branch: &str,
        files: &[(String, String)],
        message: &str,
        login: &str,
    ) -> String {
        let parent = self.tip(branch).or_else(|| self.tip("main"));
        let index = tempfile::Builder::new().prefix("index-").tempdir_in(&self.path).expect("make a folder");
        let index = index.path().join("index");
        let run = |arguments: &[&str], input: Option<&str>| {
            let mut command = self.command(arguments);
            command.env("GIT_INDEX_FILE", &index);
            for who in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{who}_NAME"), login);
                command.env(format!("GIT_{who}_EMAIL"), format!("{login}@users.noreply.github.com"));
            }
            finish(command, input).unwrap_or_else(|error| panic!("{error}"))
        };
        if let Some(parent) = &parent {
            run(&["read-tree", parent], None);
        }
        for (path, content) in files {
            let blob = run(&["hash-object", "-w", "--stdin"], Some(content));
            let mode = if content.starts_with("#!") { "100755" } else { "100644" };
            run(&["update-index", "--add", "--cacheinfo", &format!("{mode},{},{path}", blob.trim())], None);
        }
        let tree = run(&["write-tree"], None);
        let mut arguments = vec!["commit-tree", tree.trim()];
        if let Some(parent) = &parent {
            arguments.extend(["-p", parent]);
        }
        let commit = run(&arguments, Some(message)).trim().to_owned();
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &commit], None);
        commit
    }

    /// The tips of all branches.
    pub(super) fn branches(&self) -> std::collections::BTreeMap<String, String> {
        let list =
            self.git(&["for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"], None);
        list.lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect()
    }

    /// Puts a branch at a commit, whatever it held.
    pub(super) fn set(&self, branch: &str, to: &str) {
        self.git(&["update-ref", &format!("refs/heads/{branch}"), to], None);
    }

    /// Whether git merges a branch into another without conflicts.
    pub(super) fn is_mergeable(&self, base: &str, head: &str) -> bool {
        let (base, head) = (format!("refs/heads/{base}"), format!("refs/heads/{head}"));
        finish(self.command(&["merge-tree", "--write-tree", &base, &head]), None).is_ok()
    }

    /// Whether two branches have a commit in common.
    pub(super) fn have_common_history(&self, one: &str, other: &str) -> bool {
        let (one, other) = (format!("refs/heads/{one}"), format!("refs/heads/{other}"));
        finish(self.command(&["merge-base", &one, &other]), None).is_ok()
    }

    /// The object id of a branch, if there is such a branch.
    pub(super) fn tip(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}^{{commit}}");
        let answer = finish(self.command(&["rev-parse", "--verify", "--quiet", &name]), None).ok()?;
        Some(answer.trim().to_owned())
    }

    /// Whether there is a commit of this object id.
    pub(super) fn has(&self, sha: &str) -> bool {
        finish(self.command(&["cat-file", "-e", &format!("{sha}^{{commit}}")]), None).is_ok()
    }

    /// The commits of a branch, newest first; none where there is no such branch.
    pub(super) fn log(&self, branch: &str) -> Vec<CommitInfo> {
        let Some(tip) = self.tip(branch) else { return Vec::new() };
        let log = self.git(&["log", "-z", "--format=%H%x1f%an <%ae>%x1f%cn <%ce>%x1f%B", &tip], None);
        let fields = |entry: &str| {
            let mut fields = entry.splitn(4, '\u{1f}').map(|field| field.trim_end().to_owned());
            let mut next = || fields.next().expect("git log writes four fields");
            CommitInfo { sha: next(), author: next(), committer: next(), message: next() }
        };
        log.split('\0').filter(|entry| !entry.is_empty()).map(fields).collect()
    }

    /// Brings a branch into its base, and returns the commit that did. Panics where they are in
    /// conflict.
    pub(super) fn merge(&self, base: &str, head: &str, message: &str, login: &str, how: Merging) -> String {
        let (onto, work) = (self.tip(base).expect("the base"), self.tip(head).expect("the branch"));
        let tree = self.git(&["merge-tree", "--write-tree", &onto, &work], None);
        let mut arguments = vec!["commit-tree", tree.trim(), "-p", &onto];
        if how == Merging::Commit {
            arguments.extend(["-p", &work]);
        }
        let mut command = self.command(&arguments);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), login);
            command.env(format!("GIT_{who}_EMAIL"), format!("{login}@users.noreply.github.com"));
        }
        let commit = finish(command, Some(message)).unwrap_or_else(|error| panic!("{error}"));
        self.git(&["update-ref", &format!("refs/heads/{base}"), commit.trim()], None);
        commit.trim().to_owned()
    }

    /// Removes a branch.
    pub(super) fn remove(&self, branch: &str) {
        self.git(&["update-ref", "-d", &format!("refs/heads/{branch}")], None);
    }

    /// A file's text at the tip of a branch; bytes that are not UTF-8 are replaced.
    pub(super) fn file(&self, branch: &str, path: &str) -> Option<String> {
        finish(self.command(&["cat-file", "blob", &format!("refs/heads/{branch}:{path}")]), None).ok()
    }

    /// A file's text at a commit.
    pub(super) fn file_at(&self, commit: &str, path: &str) -> Option<String> {
        finish(self.command(&["cat-file", "blob", &format!("{commit}:{path}")]), None).ok()
    }

    /// What `head` brings over the commit at which it left `base`, as a pull request shows it.
    pub(super) fn diff(&self, base: &str, head: &str) -> String {
        self.git(&["diff", "--no-color", &format!("refs/heads/{base}...refs/heads/{head}")], None)
    }

    /// What a branch holds beyond a commit that it descends from.
    pub(super) fn diff_since(&self, since: &str, branch: &str) -> String {
        self.git(&["diff", "--no-color", since, &format!("refs/heads/{branch}")], None)
    }

    /// The same in numbers; nothing where a branch is gone.
    pub(super) fn distance(&self, base: &str, head: &str) -> Distance {
        let (Some(base), Some(head)) = (self.tip(base), self.tip(head)) else { return Distance::default() };
        let count = self.git(&["rev-list", "--count", &format!("{base}..{head}")], None);
        let mut distance =
            Distance { commits: count.trim().parse().expect("a count of commits"), ..Distance::default() };
        // Two branches without a common commit have no diff of three dots; GitHub refuses those.
        let range = format!("{base}...{head}");
        let Ok(numbers) = finish(self.command(&["diff", "--numstat", &range]), None) else { return distance };
        for line in numbers.lines() {
            let mut fields = line.split('\t').map(|field| field.parse().unwrap_or(0)); // `-` for binary files
            distance.additions += fields.next().unwrap_or(0);
            distance.deletions += fields.next().unwrap_or(0);
            distance.changed_files += 1;
        }
        distance
    }

    /// Any git command, as somebody with a shell on the server.
    pub(super) fn raw(&self, arguments: &[&str], input: Option<&str>) -> String {
        let mut command = self.command(arguments);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "octocat");
            command.env(format!("GIT_{who}_EMAIL"), "octocat@users.noreply.github.com");
            command.env(format!("GIT_{who}_DATE"), "1700000000 +0000");
        }
        finish(command, input).unwrap_or_else(|error| panic!("{error}"))
    }

    fn git(&self, arguments: &[&str], input: Option<&str>) -> String {
        finish(self.command(arguments), input).unwrap_or_else(|error| panic!("{error}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        isolate(|name, value| {
            command.env(name, value);
        });
        command.current_dir(&self.path).env("GIT_DIR", ".").args(arguments);
        command
    }
}

/// Sets what keeps the configuration of anyone who runs the tests out of a git command.
pub(super) fn isolate(mut set: impl FnMut(&str, &str)) {
    set("GIT_CONFIG_NOSYSTEM", "1");
    set("GIT_CONFIG_GLOBAL", "/dev/null");
    set("HOME", "/nonexistent");
}

/// Runs a command to its end and returns what it wrote, or what it complained about.
fn finish(mut command: Command, input: Option<&str>) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("start {command:?}: {error}"))?;
    let mut stdin = child.stdin.take().expect("a pipe");
    // None of these commands writes before it has read its input, so this cannot block for ever.
    stdin
        .write_all(input.unwrap_or("").as_bytes())
        .map_err(|error| format!("write to {command:?}: {error}"))?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| format!("wait for {command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {} {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
