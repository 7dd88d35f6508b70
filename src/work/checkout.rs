//! The checkout of a workspace, and of the folder for a check, by the git program: what attributes
//! ask for (encodings, ends of lines, filters) then is as the agent's own git expects it. It runs
//! in a container of the same image, without network and keys, in a repository that hob has just
//! laid out and nobody has used (`git/workspace.rs`). May be repeated from the top: what is not
//! complete is made again.

use std::path::PathBuf;

use super::start::{WORKSPACE, blocking, docker_error, mount};
use super::{Job, StepError, Worker};
use crate::container::{AttachLimits, AttachedEnd, ContainerSpec, Log, Mount, Network};
use crate::git::{self, Mirror, NewWorkspace};
use crate::ids::Sha;
use crate::message::Detail;
use crate::paths;
use crate::story::Run;

/// Argument: how many files git writes at once. A repository cannot bring a command that would run
/// here, and what the image brings as hooks does not run; its filters do, as they do for the agent.
/// But files of Git LFS stay the pointers that they are: hob has none of their content, and no
/// container a way to it.
const SCRIPT: &str = r#"
export HOME=/tmp GIT_TERMINAL_PROMPT=0
git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c checkout.workers="$1" \
  -c filter.lfs.process= -c filter.lfs.smudge= -c filter.lfs.required=false \
  read-tree --reset -u HEAD </dev/null >&2 && echo 'hob-checkout 1'
"#;

/// What the script prints at its end.
const COMPLETE: &[u8] = b"hob-checkout 1\n";

/// More threads of git's than this get in each other's way.
const MAX_WORKERS: f64 = 8.0;
/// As much of git's complaints as the log needs.
const MAX_STDERR: usize = 16 * 1024;
/// Longer than a checkout takes on a slow disk.
const CHECKOUT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30 * 60);

/// A checkout to be made.
#[derive(Debug)]
pub(super) struct NewCheckout<'a> {
    /// Where. What is there is removed.
    pub(super) folder: PathBuf,
    /// The commit.
    pub(super) at: &'a Sha,
    /// Where the commit lies, if it is not in the mirror.
    pub(super) quarantine: Option<PathBuf>,
    /// The image that git is in.
    pub(super) image: String,
}

impl Worker {
    /// Checks a commit out on the story branch, in a repository that is made for it.
    pub(super) async fn check_out(
        &self,
        job: &Job,
        run: &Run,
        new: NewCheckout<'_>,
    ) -> Result<(), StepError> {
        let mirror = self.data.mirror(&job.story.mirror);
        let spec = self.checkout_container(job, run, &new);
        // What a hob that died has left writes into the folder that is about to be removed.
        self.docker.remove(&spec.name).await.map_err(docker_error)?;
        let NewCheckout { folder, at, quarantine, .. } = new;
        let (story, origin, user) = (job.story.clone(), self.remote_url(&job.story), self.user);
        let (at, target) = (at.clone(), folder.clone());
        let bytes = blocking(move || -> anyhow::Result<u64> {
            let mirror = Mirror::ensure(&mirror)?;
            let new = NewWorkspace {
                path: &target,
                branch: &story.branch,
                start: &at,
                base_branch: &story.base_branch,
                origin: &origin,
                owner: Some(user),
            };
            git::lay_out(&mirror, quarantine.as_deref(), &new)?;
            git::checkout_size(&mirror, quarantine.as_deref(), &at)
        })
        .await??;
        self.check_room(bytes)?;
        // Docker knows nothing of leases: a worker that has lost the task starts nothing.
        self.store.still_holds(&job.task).await?;
        let limits = AttachLimits {
            max_stdout_bytes: COMPLETE.len() as u64,
            max_stderr_bytes: MAX_STDERR,
            timeout: CHECKOUT_TIMEOUT,
        };
        let mut output = Vec::new();
        let attached = tokio::select! {
            attached = self.docker.run_attached(&spec, &mut output, limits) => attached.map_err(docker_error)?,
            // Some filters and encodings make files larger.
            _ = self.until_too_much_disk(vec![folder]) => {
                self.docker.remove(&spec.name).await.map_err(docker_error)?;
                return Err(StepError::not_ready(Detail::CheckoutTooLarge(self.config.container.disk)));
            }
            () = self.stop.cancelled() => return Err(StepError::Stopping),
        };
        let is_complete = matches!(&attached.end, AttachedEnd::Exited(exit) if exit.code == 0);
        let complaints = self.secrets.redact(&String::from_utf8_lossy(&attached.stderr));
        if is_complete && output == COMPLETE {
            if !complaints.is_empty() {
                tracing::warn!(complaints, "git reported problems during the checkout");
            }
            return Ok(());
        }
        tracing::error!(end = ?attached.end, complaints, "checkout failed");
        let is_full = complaints.contains("No space left on device");
        Err(StepError::not_ready(if is_full { Detail::DiskFull } else { Detail::NotCheckedOut }))
    }

    /// Whether hob may write so many bytes beside what it has: not more than a story may take up,
    /// and not the disk's last ones.
    pub(super) fn check_room(&self, bytes: u64) -> Result<(), StepError> {
        let limit = self.config.container.disk;
        if bytes > limit.0 {
            tracing::warn!(bytes, %limit, "checkout would exceed container.disk");
            return Err(StepError::not_ready(Detail::CheckoutTooLarge(limit)));
        }
        let free = paths::free_space(self.data.root())?;
        if free.is_below(bytes.saturating_add(self.config.data.min_free.0 / 2)) {
            tracing::error!(?free, bytes, "not enough disk space for the checkout");
            return Err(StepError::not_ready(Detail::DiskFull));
        }
        Ok(())
    }

    fn checkout_container(&self, job: &Job, run: &Run, new: &NewCheckout<'_>) -> ContainerSpec {
        let workers = self.config.container.cpus.ceil().clamp(1.0, MAX_WORKERS);
        let mut mounts = vec![mount(&new.folder, WORKSPACE, false), self.mirror_mount(&job.story)];
        mounts.extend(new.quarantine.as_ref().map(|quarantine| {
            let objects = quarantine.join("objects");
            let target = objects.to_string_lossy().into_owned();
            Mount { source: objects, target, read_only: true }
        }));
        ContainerSpec {
            name: format!("{}-checkout", run.container_name()),
            image: new.image.clone(),
            command: ["/bin/sh", "-c", SCRIPT, "hob", &workers.to_string()].map(str::to_owned).to_vec(),
            // Git's settings may be among them.
            env: self.config.agent.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            labels: self.labels(job.story.id, run),
            mounts,
            user: self.user,
            workdir: WORKSPACE.to_owned(),
            network: Network::None,
            limits: self.limits(),
            log: Log::None,
        }
    }
}
