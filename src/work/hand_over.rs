//! The hand-over: getting the agent's commits out of the workspace without opening its `.git` on the
//! host (promise P2). A second, short container of the same image, with no network, no keys and the
//! workspace read-only, says what is not committed and prints a bundle of what is. Whatever the agent
//! planted in the repository's configuration can run there and find nothing.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;

use super::start::{WORKSPACE, blocking, docker_hitch};
use super::{Hitch, Job, Worker};
use crate::agent::FailureClass;
use crate::container::{AttachLimits, AttachedEnd, ContainerSpec, Log, Mount, Network};
use crate::ids::Sha;
use crate::story::Run;

/// Arguments: the story branch and the base. Prints a header of text lines, the list of uncommitted
/// paths, and the bundle. Commits that the agent made on top of the story branch with HEAD elsewhere
/// (detached, or another branch) count too: they are its work.
const SCRIPT: &str = r#"
export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
branch=$1 base=$2
git status --porcelain=v1 -z --no-renames --untracked-files=all > /tmp/status || exit 65
head -c 262144 /tmp/status > /tmp/shown
head=$(git rev-parse --verify --quiet 'HEAD^{commit}') || exit 66
tip=$(git rev-parse --verify --quiet "refs/heads/$branch^{commit}") || tip=$head
ref=refs/heads/$branch
if [ "$tip" = "$head" ] || git merge-base --is-ancestor "$tip" "$head"; then tip=$head ref=HEAD; fi
bundle=no
if [ -n "$(git rev-list --max-count=1 "$tip" "^$base")" ]; then bundle=yes; fi
printf 'hob-hand-over 1\ntip %s\nstatus %s\nbundle %s\n' "$tip" "$(wc -c < /tmp/shown | tr -d ' ')" "$bundle"
cat /tmp/shown
if [ "$bundle" = yes ]; then exec git bundle create --quiet - "$ref" "^$base"; fi
"#;

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
    /// The file with the bundle, where there are commits, and where in it the bundle begins.
    pub(super) bundle: Option<(PathBuf, u64)>,
}

impl Worker {
    /// Has the workspace handed over.
    pub(super) async fn hand_over(&self, job: &Job, run: &Run, base: &Sha) -> Result<HandedOver, Hitch> {
        let settings = self.settings(job);
        let paths = self.data.run(run.id);
        let spec = ContainerSpec {
            name: format!("{}-hand-over", run.container_name()),
            image: settings.image,
            command: ["/bin/sh", "-c", SCRIPT, "hob", &job.story.branch, base.as_str()]
                .map(str::to_owned)
                .to_vec(),
            env: Vec::new(),
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
        let mut file = File::create(&paths.bundle).context("making the hand-over's file")?;
        let attached = self.docker.run_attached(&spec, &mut file, limits).await.map_err(docker_hitch)?;
        match attached.end {
            AttachedEnd::Exited(exit) if exit.code == 0 => {}
            AttachedEnd::Exited(exit) => {
                let stderr = self.secrets.redact(&String::from_utf8_lossy(&attached.stderr));
                tracing::warn!(code = exit.code, stderr, "the hand-over failed in its container");
                return Err(refused("git could not read the repository that the agent left."));
            }
            AttachedEnd::TooMuchOutput => {
                let limit = self.config.container.hand_over_limit;
                return Err(refused(format!("The commits are larger than {limit}.")));
            }
            AttachedEnd::TimedOut => return Err(refused("Reading the commits took too long.")),
        }
        let path = paths.bundle;
        let mut handed = blocking(move || read_hand_over(path)).await??;
        // They are stored, told to people and named to the agent.
        for path in &mut handed.uncommitted {
            *path = self.secrets.redact(path);
        }
        Ok(handed)
    }
}

pub(super) fn refused(detail: impl Into<String>) -> Hitch {
    Hitch::Fail { class: FailureClass::HandOverRefused, detail: detail.into() }
}

/// Reads the header and the list of paths. What does not have the form was written by something the
/// agent planted.
fn read_hand_over(path: PathBuf) -> Result<HandedOver, Hitch> {
    let mut reader = BufReader::new(File::open(&path).context("opening the hand-over's file")?);
    parse(&mut reader)
        .map(|(tip, uncommitted, start)| HandedOver { uncommitted, tip, bundle: start.map(|at| (path, at)) })
        .map_err(|reason| refused(format!("What came out of the workspace cannot be read: {reason}.")))
}

/// The tip, the uncommitted paths, and where the bundle begins if there is one.
fn parse(reader: &mut BufReader<File>) -> Result<(Sha, Vec<String>, Option<u64>), String> {
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
    let status_length: u64 = line("status")?.parse().map_err(|_| "its header has no length".to_owned())?;
    let has_bundle = line("bundle")? == "yes";
    let mut status = Vec::new();
    reader.take(status_length.min(1 << 20)).read_to_end(&mut status).map_err(|e| e.to_string())?;
    if status.len() as u64 != status_length {
        return Err("its list of files is cut off".to_owned());
    }
    Ok((tip, uncommitted(&status), has_bundle.then_some(read + status_length)))
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

    fn read(bytes: &[u8]) -> Result<(Sha, Vec<String>, Option<u64>), String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        parse(&mut BufReader::new(file.reopen().unwrap()))
    }

    #[test]
    fn a_hand_over_names_tip_leftovers_and_bundle() {
        let tip = "a".repeat(40);
        let header = format!("hob-hand-over 1\ntip {tip}\nstatus 14\nbundle yes\n");
        let bytes = [header.as_bytes(), b" M a b\0?? c/d\0", b"# v2 git bundle\n"].concat();
        let (read_tip, files, start) = read(&bytes).unwrap();
        assert_eq!(
            (read_tip.as_str(), files.as_slice()),
            (tip.as_str(), &["a b".to_owned(), "c/d".to_owned()][..])
        );
        assert_eq!(start, Some(header.len() as u64 + 14));
    }

    #[test]
    fn whatever_else_is_printed_is_refused_without_harm() {
        let tip = "a".repeat(40);
        for bytes in [
            b"".to_vec(),
            b"pwned\nhob-hand-over 1\n".to_vec(),
            vec![b'x'; 100_000],
            vec![0xff; 300],
            format!("hob-hand-over 1\ntip {tip}\nstatus 99999999999\nbundle no\n").into_bytes(),
            format!("hob-hand-over 1\ntip {tip}\nstatus 5\nbundle no\n?? a").into_bytes(),
            format!("hob-hand-over 1\ntip ../{tip}\nstatus 0\nbundle no\n").into_bytes(),
        ] {
            assert!(read(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
