//! The hand-over: getting the agent's commits out of the workspace without opening its `.git` on the
//! host (promise P2). A second, short container of the same image, with no network, no keys and the
//! workspace read-only, says what is not committed and prints a bundle of what is. Whatever the agent
//! planted in the repository's configuration can run there and find nothing. Where work is cut short, the
//! container also makes a commit of what is not committed, in a repository of its own under `/tmp`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;

use super::start::{WORKSPACE, blocking, docker_hitch};
use super::{Hitch, Job, Worker};
use crate::agent::FailureClass;
use crate::container::{AttachLimits, AttachedEnd, ContainerSpec, Log, Mount, Network};
use crate::git::Mirror;
use crate::ids::Sha;
use crate::message::Detail;
use crate::story::{Run, Story};

/// Arguments: the story branch, the base, and the base branch's newest commit or `-`: what the agent has merged from there need not
/// be handed over. Then, where uncommitted work is to be committed, the message and the time for that. Prints a header of text lines, the list of uncommitted paths, and the bundle. Commits
/// that the agent made on top of the story branch with HEAD elsewhere (detached, or another branch) count too:
/// they are its work.
///
/// No git command here starts the agent's hooks, or what it set to watch the files: that could take as long as it likes.
///
/// The commit of uncommitted work is made in a bare repository under /tmp that borrows the workspace's objects, and
/// through them the mirror's. Its index is a copy of the workspace's, since that knows which files hob has put back
/// to the base branch's. The same workspace makes the same commit.
const SCRIPT: &str = r#"
export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }
branch=$1 base=$2 known=$3 message=${4:-} date=${5:-}
git status --porcelain=v1 -z --no-renames --untracked-files=all > /tmp/status || exit 65
head -c 262144 /tmp/status > /tmp/shown
head=$(git rev-parse --verify --quiet 'HEAD^{commit}') || exit 66
tip=$(git rev-parse --verify --quiet "refs/heads/$branch^{commit}") || tip=$head
ref=refs/heads/$branch wip=no
if [ "$tip" = "$head" ] || git merge-base --is-ancestor "$tip" "$head"; then tip=$head ref=HEAD; fi
if [ -n "$message" ]; then
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
    git add --all && tree=$(git write-tree) || exit 68
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
printf 'hob-hand-over 1\ntip %s\nwip %s\nstatus %s\nbundle %s\n' \
  "$tip" "$wip" "$(wc -c < /tmp/shown | tr -d ' ')" "$bundle"
cat /tmp/shown
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

/// As much of the script's complaints as the log needs.
const MOST_STDERR: usize = 16 * 1024;

/// The longest header line that is read.
const MOST_HEADER_LINE: u64 = 200;

/// What a workspace had to say.
#[derive(Debug)]
pub(super) struct HandedOver {
    /// Paths that are changed and not committed.
    pub(super) uncommitted: Vec<String>,
    /// The tip of the agent's work.
    pub(super) tip: Sha,
    /// Whether that is a commit of what was not committed.
    pub(super) is_wip: bool,
    /// The base branch's newest commit, as hob's mirror has it.
    pub(super) base_branch: Option<Sha>,
    /// The file with the bundle, where there are commits, and where in it the bundle begins.
    pub(super) bundle: Option<(PathBuf, u64)>,
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
    ) -> Result<HandedOver, Hitch> {
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
            max_stderr_bytes: MOST_STDERR,
            timeout: self.config.container.hand_over_timeout,
        };
        let mut file = crate::paths::create_private(&paths.bundle).context("making the hand-over's file")?;
        let attached = tokio::select! {
            attached = self.docker.run_attached(&spec, &mut file, limits) => attached.map_err(docker_hitch)?,
            () = self.until_too_much_disk(vec![paths.folder]) => {
                return Err(Hitch::not_ready(Detail::DiskFull));
            }
        };
        match attached.end {
            AttachedEnd::Exited(exit) if exit.code == 0 => {}
            AttachedEnd::Exited(exit) => {
                let stderr = self.secrets.redact(&String::from_utf8_lossy(&attached.stderr));
                tracing::warn!(code = exit.code, stderr, "the hand-over failed in its container");
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
        for path in &mut handed.uncommitted {
            *path = self.secrets.redact(path);
        }
        Ok(handed)
    }
}

impl Worker {
    /// The newest commit of a story's base branch, as of the last fetch: nothing newer can have been merged in the workspace.
    async fn known_base(&self, story: &Story) -> Result<Option<Sha>, Hitch> {
        let (mirror, base) = (self.data.mirror(&story.mirror), story.base_branch.clone());
        Ok(blocking(move || Mirror::ensure(&mirror)?.branch(&base)).await??)
    }
}

/// The name of the container in which a run's work is handed over.
pub(super) fn hand_over_name(run: &Run) -> String {
    format!("{}-hand-over", run.container_name())
}

pub(super) fn refused(detail: impl Into<Detail>) -> Hitch {
    Hitch::Fail { class: FailureClass::HandOverRefused, detail: detail.into() }
}

/// Reads the header and the list of paths. What does not have the form was written by something the
/// agent planted.
fn read_hand_over(path: PathBuf) -> Result<HandedOver, Hitch> {
    let mut reader = BufReader::new(File::open(&path).context("opening the hand-over's file")?);
    parse(&mut reader)
        .map(|read| HandedOver {
            uncommitted: read.uncommitted,
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
    uncommitted: Vec<String>,
    /// Where the bundle begins, if there is one.
    bundle_at: Option<u64>,
}

fn parse(reader: &mut BufReader<File>) -> Result<Read, String> {
    let mut read = 0;
    let mut line = |name: &str| -> Result<String, String> {
        let mut text = String::new();
        let length = reader
            .take(MOST_HEADER_LINE)
            .read_line(&mut text)
            .map_err(|e| format!("its header is not text ({e})"))?;
        read += length as u64;
        let value =
            text.strip_suffix('\n').and_then(|t| t.strip_prefix(name)).and_then(|t| t.strip_prefix(' '));
        value.map(str::to_owned).ok_or_else(|| format!("its header has no `{name}`"))
    };
    if line("hob-hand-over")? != "1" {
        return Err("its header is of another version".to_owned());
    }
    let tip: Sha = line("tip")?.parse().map_err(|e| format!("{e}"))?;
    let is_wip = line("wip")? == "yes";
    let status_length: u64 = line("status")?.parse().map_err(|_| "its header has no length".to_owned())?;
    let has_bundle = line("bundle")? == "yes";
    let mut status = Vec::new();
    reader.take(status_length.min(1 << 20)).read_to_end(&mut status).map_err(|e| e.to_string())?;
    if status.len() as u64 != status_length {
        return Err("its list of files is cut off".to_owned());
    }
    let bundle_at = has_bundle.then_some(read + status_length);
    Ok(Read { tip, is_wip, uncommitted: uncommitted(&status), bundle_at })
}

/// The paths in the output of `git status --porcelain -z`: two letters, a space, the path, a zero byte.
fn uncommitted(status: &[u8]) -> Vec<String> {
    status
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.get(3..))
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> Result<Read, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        parse(&mut BufReader::new(file.reopen().unwrap()))
    }

    #[test]
    fn a_hand_over_names_tip_leftovers_and_bundle() {
        let tip = "a".repeat(40);
        let header = format!("hob-hand-over 1\ntip {tip}\nwip no\nstatus 14\nbundle yes\n");
        let bytes = [header.as_bytes(), b" M a b\0?? c/d\0", b"# v2 git bundle\n"].concat();
        let read = read(&bytes).unwrap();
        assert_eq!((read.tip.as_str(), read.is_wip), (tip.as_str(), false));
        assert_eq!(read.uncommitted, ["a b", "c/d"]);
        assert_eq!(read.bundle_at, Some(header.len() as u64 + 14));
    }

    #[test]
    fn whatever_else_is_printed_is_refused_without_harm() {
        let tip = "a".repeat(40);
        for bytes in [
            b"".to_vec(),
            b"pwned\nhob-hand-over 1\n".to_vec(),
            vec![b'x'; 100_000],
            vec![0xff; 300],
            format!("hob-hand-over 1\ntip {tip}\nwip no\nstatus 99999999999\nbundle no\n").into_bytes(),
            format!("hob-hand-over 1\ntip {tip}\nwip no\nstatus 5\nbundle no\n?? a").into_bytes(),
            format!("hob-hand-over 1\ntip ../{tip}\nwip no\nstatus 0\nbundle no\n").into_bytes(),
        ] {
            assert!(read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
