//! A check that may reach some servers only: its container is on a network that leads nowhere,
//! beside a proxy that lets through what the list allows (`egress.rs`). Both are made for the one
//! check and removed after it; what a hob that died leaves of them goes with the sweep.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::child::Asked;
use super::start::{blocking, docker_error, mount};
use super::{Job, StepError, Worker};
use crate::config::Host;
use crate::container::{
    AttachLimits, Attached, AttachedEnd, ContainerError, ContainerSpec, Docker, Limits, Log, Network,
};
use crate::egress::{self, Order, ProxyMessage};
use crate::message::Detail;
use crate::paths;
use crate::story::Run;
use crate::story::checks::Refused;

/// Where the proxy's program is in its container.
const PROGRAM_FOLDER: &str = "/hob-proxy";
/// What the proxy may say: its list of what it refused is short.
const MAX_SAID: u64 = 1 << 20;
const MAX_COMPLAINTS: usize = 16 << 10;
/// The proxy outlives its check by so much at most.
const GRACE: Duration = Duration::from_secs(60);
/// It ends at once when told to; this is for a machine under load.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Copying a program.
const LAYOUT_TIMEOUT: Duration = Duration::from_secs(120);

/// What is to run behind a proxy.
pub(super) struct Fenced<'a> {
    /// The container of the check. Its network and its proxy are filled in here.
    pub(super) spec: ContainerSpec,
    /// What it may reach.
    pub(super) hosts: &'a [Host],
    pub(super) limits: AttachLimits,
}

impl Worker {
    /// Runs a check to its end, and says what it wanted to reach and did not.
    pub(super) async fn run_fenced(
        &self,
        job: &Job,
        run: &Run,
        fenced: Fenced<'_>,
        sink: &mut (dyn Write + Send),
    ) -> Result<(Attached, Vec<Refused>), StepError> {
        let Fenced { mut spec, hosts, limits } = fenced;
        let program = self.proxy_program().await?;
        let network = spec.name.clone();
        let mut proxy = self.proxy_container(job, run, &spec, &program);
        let mut left = Left {
            docker: self.docker.clone(),
            containers: [spec.name.clone(), proxy.name.clone()],
            network,
        };
        // What a hob that died has left of the same.
        left.remove_all().await.map_err(docker_error)?;
        let inside =
            self.docker.make_inner_network(&left.network, &spec.labels).await.map_err(fence_error)?;
        let order = Order { inside, hosts: hosts.to_vec() };
        proxy.command.push(serde_json::to_string(&order).context("serializing the proxy's configuration")?);

        let (mut lines, mut heard) = Lines::new();
        let proxy_limits = AttachLimits {
            max_stdout_bytes: MAX_SAID,
            max_stderr_bytes: MAX_COMPLAINTS,
            timeout: limits.timeout.saturating_add(GRACE),
        };
        let mut at_work = std::pin::pin!(self.docker.run_attached(&proxy, &mut lines, proxy_limits));
        let address = tokio::select! {
            ended = &mut at_work => return Err(ended_early(ended)),
            said = heard.recv() => match said {
                Some(ProxyMessage::Listens(address)) => address,
                other => return Err(StepError::Later(anyhow::anyhow!("the checks' proxy started with {other:?}"))),
            },
        };
        spec.network = Network::Inner(left.network.clone());
        set_proxy(&mut spec.env, address);
        self.store.still_holds(&job.task).await?;
        let ended = tokio::select! {
            ended = self.docker.run_attached(&spec, sink, limits) => Some(ended.map_err(docker_error)?),
            // What the check found without it says nothing about the commit.
            ended = &mut at_work => match is_the_checks_doing(&ended) {
                true => None,
                false => return Err(ended_early(ended)),
            },
        };
        if ended.is_some() {
            self.docker.stop(&proxy.name, STOP_GRACE).await.map_err(docker_error)?;
            // At its end all that it has said is here.
            at_work.await.map_err(docker_error)?;
        }
        left.remove().await.map_err(docker_error)?;
        let mut refused = Vec::new();
        while let Ok(said) = heard.try_recv() {
            if let ProxyMessage::Refused(one) = said {
                refused.push(one);
            }
        }
        Ok((ended.unwrap_or_else(too_much), refused))
    }

    fn proxy_container(
        &self,
        job: &Job,
        run: &Run,
        check: &ContainerSpec,
        program: &std::path::Path,
    ) -> ContainerSpec {
        let mut command = egress::start_line(program, PROGRAM_FOLDER);
        command.push(egress::PROXY_COMMAND.to_owned());
        ContainerSpec {
            name: format!("{}-proxy", check.name),
            image: check.image.clone(),
            command,
            // What an image sets there would be loaded into the proxy.
            env: ["LD_PRELOAD", "LD_LIBRARY_PATH"].map(|name| (name.to_owned(), String::new())).to_vec(),
            labels: self.labels(job.story.id, run),
            mounts: vec![mount(program, PROGRAM_FOLDER, true)],
            user: self.user,
            workdir: "/".to_owned(),
            network: Network::Between { outside: Box::new(self.network()), inside: check.name.clone() },
            limits: Limits {
                memory_bytes: 256 << 20,
                cpus: 1.0,
                pids: 32,
                nofile: 4096,
                tmp_bytes: 1 << 20,
                shm_bytes: 1 << 20,
            },
            log: Log::None,
        }
    }

    /// The folder with hob's own program for a container, made once by each hob.
    async fn proxy_program(&self) -> Result<PathBuf, StepError> {
        let made = self.proxy_program.get_or_try_init(|| async {
            let folder = self.data.proxy();
            let draft = paths::draft(&folder);
            let gone = draft.clone();
            blocking(move || paths::remove_tree(&gone)).await??;
            let name = draft.to_string_lossy().into_owned();
            let asked = Asked {
                command: egress::LAYOUT_COMMAND,
                request: name.as_bytes(),
                timeout: LAYOUT_TIMEOUT,
                most_answer: 0,
            };
            let ended = self.ask_child(&asked).await?;
            if !ended.is_some_and(|(status, _)| status.success()) {
                let draft = draft.display();
                return Err(StepError::Later(anyhow::anyhow!("copying hob's program to {draft}")));
            }
            let target = folder.clone();
            blocking(move || {
                paths::remove_tree(&target)?;
                std::fs::rename(&draft, &target).with_context(|| format!("renaming {}", draft.display()))
            })
            .await??;
            Ok::<_, StepError>(folder)
        });
        Ok(made.await?.clone())
    }
}

/// Tells programs of the proxy, in all the ways that they look for one.
fn set_proxy(env: &mut Vec<(String, String)>, proxy: SocketAddr) {
    let url = format!("http://{proxy}");
    let own = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, url.clone()));
    let own = own.into_iter().chain([("NO_PROXY", "localhost,127.0.0.1,::1".to_owned())]);
    for (name, value) in own {
        for name in [name.to_owned(), name.to_ascii_lowercase()] {
            env.retain(|(other, _)| *other != name);
            env.push((name, value.clone()));
        }
    }
}

/// Never without the fence: what cannot be kept in does not run.
fn fence_error(error: ContainerError) -> StepError {
    match error {
        ContainerError::Invalid(reason) => {
            tracing::error!(reason, "cannot run checks with a list of servers");
            StepError::not_ready(Detail::NoFence)
        }
        other => docker_error(other),
    }
}

/// Whether the proxy ended because of what the check asked of it: it said too much, or took too
/// much memory. That would come again each time.
fn is_the_checks_doing(ended: &Result<Attached, ContainerError>) -> bool {
    ended.as_ref().is_ok_and(|ended| match &ended.end {
        AttachedEnd::TooMuchOutput => true,
        AttachedEnd::Exited(exit) => exit.oom_killed,
        AttachedEnd::TimedOut => false,
    })
}

/// How such a check ends.
fn too_much() -> Attached {
    Attached { end: AttachedEnd::TooMuchOutput, stdout_bytes: 0, stderr: Vec::new(), stderr_truncated: false }
}

/// The proxy is gone before its check: hob's own trouble, and none of the commit's.
fn ended_early(ended: Result<Attached, ContainerError>) -> StepError {
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return docker_error(error),
    };
    let complaints = String::from_utf8_lossy(&ended.stderr).into_owned();
    tracing::error!(end = ?ended.end, complaints, "the checks' proxy ended");
    match ended.end {
        AttachedEnd::Exited(_) if ended.stdout_bytes == 0 => StepError::not_ready(Detail::NoProxy),
        _ => StepError::Later(anyhow::anyhow!("the checks' proxy ended: {:?}", ended.end)),
    }
}

/// Takes the proxy's lines as they come.
struct Lines {
    begun: Vec<u8>,
    to: UnboundedSender<ProxyMessage>,
}

impl Lines {
    fn new() -> (Self, UnboundedReceiver<ProxyMessage>) {
        let (to, heard) = unbounded_channel();
        (Self { begun: Vec::new(), to }, heard)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            if *byte != b'\n' {
                self.begun.push(*byte);
                continue;
            }
            match serde_json::from_slice(&self.begun) {
                // Nobody listens any more: then nobody misses it.
                Ok(said) => drop(self.to.send(said)),
                Err(error) => tracing::warn!(%error, "parsing a line of the proxy failed"),
            }
            self.begun.clear();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is to be removed when the check is over, however it ends.
struct Left {
    docker: Docker,
    containers: [String; 2],
    /// Empty once it is gone.
    network: String,
}

impl Left {
    async fn remove(&mut self) -> Result<(), ContainerError> {
        self.remove_all().await?;
        self.network.clear();
        Ok(())
    }

    async fn remove_all(&self) -> Result<(), ContainerError> {
        for container in &self.containers {
            self.docker.remove(container).await?;
        }
        self.docker.remove_network(&self.network).await
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.network.is_empty() {
            return;
        }
        let mut left = Left {
            docker: self.docker.clone(),
            containers: self.containers.clone(),
            network: std::mem::take(&mut self.network),
        };
        runtime.spawn(async move {
            if let Err(error) = left.remove().await {
                tracing::warn!(network = left.network, %error, "network not removed");
            }
            left.network.clear();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Exit;

    #[test]
    fn a_proxy_that_a_check_has_worn_out_is_the_checks_doing_and_one_that_fell_is_not() {
        let ended = |end: AttachedEnd| Ok(Attached { end, ..too_much() });
        let exited =
            |oom_killed| ended(AttachedEnd::Exited(Exit { code: 137, oom_killed, finished_at: None }));
        for (ended, is_its_doing) in [
            (ended(AttachedEnd::TooMuchOutput), true),
            (exited(true), true),
            (exited(false), false),
            (ended(AttachedEnd::TimedOut), false),
            (Err(ContainerError::Unreachable("away".to_owned())), false),
        ] {
            assert_eq!(is_the_checks_doing(&ended), is_its_doing, "{ended:?}");
        }
    }
}
