//! The hand-over: getting the agent's commits out of the workspace without opening its `.git` on
//! the host (promise P2). A second, short container of the same image, with no network, no keys and
//! the workspace read-only, says what is not committed and prints a bundle of what is. Whatever the
//! agent planted in the repository's configuration can run there and find nothing. Where work is
//! cut short, the container also makes a commit of what is not committed, in a repository of its
//! own under `/tmp`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;

use super::start::{WORKSPACE, blocking, docker_error};
use super::{Job, StepError, Worker};
use crate::agent::FailureClass;
use crate::container::{AttachLimits, AttachedEnd, ContainerSpec, Log, Mount, Network};
use crate::git::Mirror;
use crate::ids::Sha;
use crate::message::{self, Detail};
use crate::story::{Run, Story};

/// Arguments: the story branch, the base, and the base branch's newest commit or `-`: what the
/// agent has merged from there need not be handed over. Then, where uncommitted work is to be
/// committed, the message and the time for that. Prints a header of text lines, three lists of
/// paths, and the bundle. Commits that the agent made on top of the story branch with HEAD
/// elsewhere (detached, or another branch) count too: they are its work.
///
/// Commits never wait for what `git status` shows. The first list is that status. The second names
/// files that git calls modified though a fresh checkout writes the same bytes: line ends and
/// filters that do not go round trip make a file look so before anybody has touched it. The third
/// names what no commit can take: repositories beside the work, and files that cannot be read.
/// Where git cannot even list, which a broken submodule brings about, that is said too.
///
/// No git command here starts the agent's hooks, or what it set to watch the files: that could take
/// as long as it likes.
///
/// The commit of uncommitted work is made in a bare repository under /tmp that borrows the
/// workspace's objects, and through them the mirror's. Its index is a copy of the workspace's,
/// since that knows which files hob has put back to the base branch's. What is on the second and
/// third list is left out. The same workspace makes the same commit.
const SCRIPT: &str = r#"
export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
branch=$1 base=$2 known=$3 message=${4:-} date=${5:-}
: > /tmp/apart; : > /tmp/candidates; : > /tmp/same
listed=yes
list() { git status --porcelain=v2 -z --no-renames --untracked-files=all "$@" > /tmp/status; }
list --ignore-submodules=none || list --ignore-submodules=all || { listed=no; : > /tmp/status; }
if [ -s /tmp/status ]; then
  xargs -0 sh -c '
    for entry do
      case $entry in
        "? "*) path=${entry#??} ;;
        "1 "*) path=${entry#* * * * * * * * } ;;
        *) continue ;;
      esac
      case $path in */) printf "%s\0" "$path" >> /tmp/apart; continue ;; esac
      if [ ! -L "./$path" ] && [ -e "./$path" ] && [ ! -r "./$path" ]; then
        printf "%s\0" "$path" >> /tmp/apart; continue
      fi
      case $entry in "1 .M N... "*) ;; *) continue ;; esac
      modes=${entry#1 .M N... * }
      before=${modes%% *} modes=${modes#* }
      if [ "$before" = "${modes%% *}" ] && [ ! -L "./$path" ]; then printf "%s\0" "$path" >> /tmp/candidates; fi
    done' hob < /tmp/status
fi
if [ -s /tmp/candidates ]; then
  xargs -0 -n 200 sh -c '
    rm -rf /tmp/fresh
    git -c core.hooksPath=/dev/null -c core.fsmonitor=false checkout-index --prefix=/tmp/fresh/ -- "$@" 2>/dev/null
    for path do
      if cmp -s -- "/tmp/fresh/$path" "./$path"; then printf "%s\0" "$path" >> /tmp/same; fi
    done' hob < /tmp/candidates
  rm -rf /tmp/fresh
fi
for name in status same apart; do head -c 4194304 /tmp/$name > /tmp/shown-$name; done
head=$(git rev-parse --verify --quiet 'HEAD^{commit}') || exit 66
tip=$(git rev-parse --verify --quiet "refs/heads/$branch^{commit}") || tip=$head
ref=refs/heads/$branch wip=no
if [ "$tip" = "$head" ] || git merge-base --is-ancestor "$tip" "$head"; then tip=$head ref=HEAD; fi
if [ -n "$message" ]; then
  [ $listed = yes ] || exit 65
  if git rev-parse --verify --quiet refs/stash >/dev/null; then exit 69; fi
  merged=$(git rev-parse --verify --quiet 'MERGE_HEAD^{commit}')
  if [ -s /tmp/status ] || [ -n "$merged" ]; then
    [ "$ref" = HEAD ] || exit 67
    objects=$(git rev-parse --git-path objects) index=$(git rev-parse --git-path index)
    case $objects in /*) ;; *) objects=$PWD/$objects ;; esac
    git init --quiet --bare --template= /tmp/wip.git || exit 68
    mkdir -p /tmp/wip.git/objects/info && printf '%s\n' "$objects" > /tmp/wip.git/objects/info/alternates || exit 68
    if [ -e "$index" ]; then cp -- "$index" /tmp/index || exit 68; fi
    export GIT_INDEX_FILE=/tmp/index GIT_OBJECT_DIRECTORY=/tmp/wip.git/objects
    printf ':/\0' > /tmp/wanted
    cat /tmp/same /tmp/apart | xargs -0 sh -c '
      for path do printf ":(exclude,top,literal)%s\0" "${path%/}" >> /tmp/wanted; done' hob
    git add --all --pathspec-from-file=/tmp/wanted --pathspec-file-nul || git add --all || exit 68
    tree=$(git write-tree) || exit 68
    if [ "$tree" != "$(git rev-parse "$tip^{tree}")" ] || [ -n "$merged" ]; then
      export GIT_AUTHOR_DATE="@$date +0000" GIT_COMMITTER_DATE="@$date +0000"
      tip=$(git commit-tree "$tree" -p "$tip" ${merged:+-p "$merged"} -m "$message") || exit 68
      export GIT_DIR=/tmp/wip.git
      wip=yes ref=refs/heads/wip
      git update-ref "$ref" "$tip" || exit 68
    fi
  fi
fi
bundle=no
if [ -n "$(git rev-list --max-count=1 "$tip" "^$base")" ]; then bundle=yes; fi
size() { wc -c < "$1" | tr -d ' '; }
printf 'hob-hand-over 2\ntip %s\nwip %s\nlisted %s\nstatus %s\nsame %s\napart %s\nbundle %s\n' "$tip" "$wip" "$listed" \
  "$(size /tmp/shown-status)" "$(size /tmp/shown-same)" "$(size /tmp/shown-apart)" "$bundle"
cat /tmp/shown-status /tmp/shown-same /tmp/shown-apart
if [ "$bundle" = yes ]; then
  if [ "$known" != - ] && git cat-file -e "$known^{commit}" 2>/dev/null &&
    [ -n "$(git rev-list --max-count=1 "$tip" "^$base" "^$known")" ]; then
    git bundle create --quiet - "$ref" "^$base" "^$known"
    exit
  fi
  git bundle create --quiet - "$ref" "^$base"
fi
"#;

/// What the script's own exit codes mean, for people.
const REFUSALS: &[(i64, Detail)] =
    &[(67, Detail::ElsewhereCheckedOut), (68, Detail::NotCommitted), (69, Detail::Stashed)];

/// The most that is read of each list, in bytes. The script prints no more.
const MAX_LIST: u64 = 4 << 20;

/// As much of the script's complaints as the log needs.
const MAX_STDERR: usize = 16 * 1024;

/// The longest header line that is read.
const MAX_HEADER_LINE: u64 = 200;

/// More paths than this are not told one by one: they are stored, and named to the agent.
const MAX_PATHS: usize = 2_000;

/// What a workspace had to say.
#[derive(Debug)]
pub(super) struct ExportReport {
    /// What is in the workspace and in no commit.
    pub(super) left: UncommittedFiles,
    /// The tip of the agent's work.
    pub(super) tip: Sha,
    /// Whether that is a commit of what was not committed.
    pub(super) is_wip: bool,
    /// The base branch's newest commit, as hob's mirror has it.
    pub(super) base_branch: Option<Sha>,
    /// The file with the bundle, where there are commits, and where in it the bundle begins.
    pub(super) bundle: Option<(PathBuf, u64)>,
}

/// What is in a workspace and in no commit. None of it keeps the commits from people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UncommittedFiles {
    /// Paths that the agent changed and could commit.
    pub(super) uncommitted: Vec<String>,
    /// Paths that no commit can take: repositories beside the work, submodules that were built in,
    /// files that cannot be read.
    pub(super) apart: Vec<String>,
    /// Whether git could not list what is not committed.
    pub(super) unlisted: bool,
}

impl UncommittedFiles {
    /// What people are told of it beside the commits.
    pub(super) fn named(&self) -> Vec<String> {
        message::left_behind(&self.uncommitted, &self.apart, self.unlisted)
    }
}

/// The commit to be made of what is not committed.
#[derive(Debug, Clone)]
pub(super) struct WorkInProgress {
    /// Its message.
    pub(super) message: String,
    /// Its time. The same one each time that the same work is handed over.
    pub(super) at: Timestamp,
}

impl Worker {
    /// Has the workspace handed over, with a commit of what is not committed where one is wanted.
    pub(super) async fn hand_over(
        &self,
        job: &Job,
        run: &Run,
        base: &Sha,
        wip: Option<&WorkInProgress>,
    ) -> Result<ExportReport, StepError> {
        let settings = self.settings_for(job, run.agent);
        let paths = self.data.run(run.id);
        let base_branch = self.known_base(&job.story).await?;
        let known = base_branch.as_ref().map_or("-", Sha::as_str);
        let mut command: Vec<String> =
            ["/bin/sh", "-c", SCRIPT, "hob", &job.story.branch, base.as_str(), known]
                .map(str::to_owned)
                .to_vec();
        command.extend(wip.into_iter().flat_map(|wip| [wip.message.clone(), wip.at.as_second().to_string()]));
        let spec = ContainerSpec {
            name: hand_over_name(run),
            image: settings.image,
            command,
            env: if wip.is_some() { self.author_environment() } else { Vec::new() },
            labels: self.labels(job.story.id, run),
            mounts: vec![
                Mount {
                    source: self.data.story(job.story.id).workspace,
                    target: WORKSPACE.to_owned(),
                    read_only: true,
                },
                self.mirror_mount(&job.story),
            ],
            user: self.user,
            workdir: WORKSPACE.to_owned(),
            network: Network::None,
            limits: self.limits(),
            log: Log::None,
        };
        let limits = AttachLimits {
            max_stdout_bytes: self.config.container.hand_over_limit.0,
            max_stderr_bytes: MAX_STDERR,
            timeout: self.config.container.hand_over_timeout,
        };
        let mut file =
            crate::paths::create_private(&paths.bundle).context("creating the hand-over's file")?;
        let attached = tokio::select! {
            attached = self.docker.run_attached(&spec, &mut file, limits) => attached.map_err(docker_error)?,
            _ = self.until_too_much_disk(vec![paths.folder]) => {
                return Err(StepError::not_ready(Detail::DiskFull));
            }
        };
        match attached.end {
            AttachedEnd::Exited(exit) if exit.code == 0 => {}
            AttachedEnd::Exited(exit) => {
                let stderr = self.secrets.redact(&String::from_utf8_lossy(&attached.stderr));
                tracing::warn!(code = exit.code, stderr, "hand-over failed in its container");
                let told = REFUSALS.iter().find(|(code, _)| wip.is_some() && *code == exit.code);
                return Err(refused(told.map_or(Detail::WorkspaceUnreadable, |(_, why)| why.clone())));
            }
            AttachedEnd::TooMuchOutput => {
                let limit = self.config.container.hand_over_limit;
                return Err(refused(Detail::CommitsTooLarge(limit)));
            }
            AttachedEnd::TimedOut => return Err(refused(Detail::CommitsTooSlow)),
        }
        let path = paths.bundle;
        let mut handed = blocking(move || read_hand_over(path)).await??;
        handed.base_branch = base_branch;
        // They are stored, told to people and named to the agent.
        for path in handed.left.uncommitted.iter_mut().chain(&mut handed.left.apart) {
            *path = self.secrets.redact(path);
        }
        Ok(handed)
    }
}

impl Worker {
    /// The newest commit of a story's base branch, as of the last fetch: nothing newer can have
    /// been merged in the workspace.
    pub(super) async fn known_base(&self, story: &Story) -> Result<Option<Sha>, StepError> {
        let (mirror, base) = (self.data.mirror(&story.mirror), story.base_branch.clone());
        Ok(blocking(move || Mirror::ensure(&mirror)?.branch(&base)).await??)
    }
}

/// The name of the container in which a run's work is handed over.
pub(super) fn hand_over_name(run: &Run) -> String {
    format!("{}-hand-over", run.container_name())
}

pub(super) fn refused(detail: impl Into<Detail>) -> StepError {
    StepError::Fail { class: FailureClass::HandOverRefused, detail: detail.into() }
}

/// Reads the header and the list of paths. What does not have the form was written by something the
/// agent planted.
fn read_hand_over(path: PathBuf) -> Result<ExportReport, StepError> {
    let mut reader = BufReader::new(File::open(&path).context("opening the hand-over's file")?);
    parse(&mut reader)
        .map(|read| ExportReport {
            left: read.left,
            tip: read.tip,
            is_wip: read.is_wip,
            base_branch: None,
            bundle: read.bundle_at.map(|at| (path, at)),
        })
        .map_err(|reason| refused(Detail::HandOverUnreadable(reason)))
}

/// What the output begins with.
#[derive(Debug)]
struct Read {
    tip: Sha,
    is_wip: bool,
    left: UncommittedFiles,
    /// Where the bundle begins, if there is one.
    bundle_at: Option<u64>,
}

fn parse(reader: &mut BufReader<File>) -> Result<Read, String> {
    let mut read = 0;
    let mut line = |name: &str| -> Result<String, String> {
        let mut text = String::new();
        let length = reader
            .take(MAX_HEADER_LINE)
            .read_line(&mut text)
            .map_err(|e| format!("its header is not UTF-8 ({e})"))?;
        read += length as u64;
        let value =
            text.strip_suffix('\n').and_then(|t| t.strip_prefix(name)).and_then(|t| t.strip_prefix(' '));
        value.map(str::to_owned).ok_or_else(|| format!("its header has no `{name}`"))
    };
    if line("hob-hand-over")? != "2" {
        return Err("its header has a different version".to_owned());
    }
    let tip: Sha = line("tip")?.parse().map_err(|e| format!("{e}"))?;
    let is_wip = line("wip")? == "yes";
    let unlisted = line("listed")? != "yes";
    let mut length = |name: &str| -> Result<u64, String> {
        line(name)?.parse().map_err(|_| "its header has no length".to_owned())
    };
    let lengths = [length("status")?, length("same")?, length("apart")?];
    let has_bundle = line("bundle")? == "yes";
    let mut list = |length: u64| -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        reader.take(length.min(MAX_LIST)).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() as u64 != length {
            return Err("its list of files is truncated".to_owned());
        }
        Ok(bytes)
    };
    let (status, same, apart) = (list(lengths[0])?, list(lengths[1])?, list(lengths[2])?);
    let bundle_at = has_bundle.then_some(read + lengths.iter().sum::<u64>());
    let left = UncommittedFiles { unlisted, ..leftovers(&status, &same, &apart) };
    Ok(Read { tip, is_wip, left, bundle_at })
}

/// What is left over by the output of `git status --porcelain=v2 -z`, without the files that are as
/// a checkout writes them (`same`), and with those that no commit can take (`apart`) by themselves.
/// Each list is of entries that end with a zero byte; one that is cut off ends without it, and
/// counts for nothing.
fn leftovers(status: &[u8], same: &[u8], apart: &[u8]) -> UncommittedFiles {
    let entries = |list: &[u8]| -> Vec<Vec<u8>> {
        let whole = list.iter().rposition(|byte| *byte == 0).map_or(0, |end| end + 1);
        let entries = list[..whole].split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        entries.map(<[u8]>::to_vec).collect()
    };
    let same: HashSet<Vec<u8>> = entries(same).into_iter().collect();
    let apart: HashSet<Vec<u8>> = entries(apart).into_iter().collect();
    let mut left = UncommittedFiles::default();
    for entry in entries(status) {
        let Some((path, is_submodule)) = path_of(&entry) else { continue };
        let text = String::from_utf8_lossy(path).into_owned();
        let list = match is_submodule || apart.contains(path) {
            true => &mut left.apart,
            false if same.contains(path) => continue,
            false => &mut left.uncommitted,
        };
        if list.len() < MAX_PATHS {
            list.push(text);
        }
    }
    left
}

/// The path of an entry, and whether it is a submodule in which something was changed and nothing
/// was staged.
fn path_of(entry: &[u8]) -> Option<(&[u8], bool)> {
    // How many fields come before the path.
    let fields = match entry.first()? {
        b'1' => 8,
        b'u' => 10,
        b'?' => 1,
        _ => return None,
    };
    let mut parts = entry.splitn(fields + 1, |byte| *byte == b' ');
    let (state, submodule) = match fields {
        8 => (parts.nth(1)?, parts.next()?),
        _ => (&b""[..], &b""[..]),
    };
    let path = parts.last().filter(|path| !path.is_empty())?;
    Some((path, submodule.starts_with(b"S") && state.starts_with(b".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TIP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn read(bytes: &[u8]) -> Result<Read, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        parse(&mut BufReader::new(file.reopen().unwrap()))
    }

    fn header(status: usize, same: usize, apart: usize) -> String {
        format!(
            "hob-hand-over 2\ntip {TIP}\nwip no\nlisted yes\nstatus {status}\nsame {same}\napart {apart}\nbundle yes\n"
        )
    }

    fn modified(path: &str) -> String {
        format!("1 .M N... 100644 100644 100644 {TIP} {TIP} {path}\0")
    }

    #[test]
    fn a_hand_over_names_tip_leftovers_and_bundle() {
        let status = [modified("a b").as_bytes(), b"? c/d\0"].concat();
        let header = header(status.len(), 0, 0);
        let read = read(&[header.as_bytes(), &status, b"# v2 git bundle\n"].concat()).unwrap();
        assert_eq!((read.tip.as_str(), read.is_wip), (TIP, false));
        assert_eq!(
            read.left,
            UncommittedFiles { uncommitted: vec!["a b".into(), "c/d".into()], ..UncommittedFiles::default() }
        );
        assert_eq!(read.bundle_at, Some((header.len() + status.len()) as u64));
    }

    #[test]
    fn what_a_checkout_writes_as_it_is_and_what_no_commit_can_take_are_no_uncommitted_work() {
        let submodule = |state: &str| format!("1 {state} S.MU 160000 160000 160000 {TIP} {TIP} lib\0");
        let unmerged = format!("u UU N... 100644 100644 100644 100644 {TIP} {TIP} {TIP} both.md\0");
        let status =
            [&modified("legacy.txt"), "? reference/\0", "? locked.bin\0", &submodule(".M"), &unmerged]
                .concat();
        let left = leftovers(status.as_bytes(), b"legacy.txt\0", b"reference/\0locked.bin\0");
        assert_eq!(left.uncommitted, ["both.md"]);
        assert_eq!(left.apart, ["reference/", "locked.bin", "lib"]);
        // Staged, it is what the agent means to commit.
        assert_eq!(leftovers(submodule("M.").as_bytes(), b"", b"").uncommitted, ["lib"]);
        // A list that is too long ends in the middle of a path, which is no path.
        let cut = [modified("a").as_bytes(), b"1 .M N... 100644 100"].concat();
        assert_eq!(leftovers(&cut, b"", b"").uncommitted, ["a"]);
        assert_eq!(
            leftovers(modified("legacy.txt").as_bytes(), b"legacy.t", b"").uncommitted,
            ["legacy.txt"]
        );
    }

    #[test]
    fn whatever_else_is_printed_is_refused_without_harm() {
        for bytes in [
            b"".to_vec(),
            b"pwned\nhob-hand-over 2\n".to_vec(),
            vec![b'x'; 100_000],
            vec![0xff; 300],
            format!("hob-hand-over 1\ntip {TIP}\nwip no\nstatus 0\nbundle no\n").into_bytes(),
            header(usize::MAX, 0, 0).into_bytes(),
            [header(5, 0, 0).as_bytes(), b"? a"].concat(),
            [header(0, 0, 5).as_bytes(), b"a\0"].concat(),
            header(0, 0, 0).replace(TIP, &format!("../{TIP}")).into_bytes(),
        ] {
            assert!(read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
