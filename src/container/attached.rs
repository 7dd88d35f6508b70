//! A short container whose standard output is wanted byte for byte: the reading of a hand-over. The
//! output does not pass through the daemon's log, which is text.

use std::io::Write;
use std::time::Duration;

use bollard::query_parameters::AttachContainerOptionsBuilder;

use super::follow::next_output;
use super::{ContainerError, ContainerSpec, Docker, Exit, Made, Output};

/// What an attached container may say and take.
#[derive(Debug, Clone, Copy)]
pub struct AttachLimits {
    /// Bytes of standard output that reach the sink; one more ends the container.
    pub max_stdout_bytes: u64,
    /// Bytes of standard error that are kept, from its beginning; the rest is read and dropped.
    pub max_stderr_bytes: usize,
    /// From creation to exit.
    pub timeout: Duration,
}

/// What became of an attached container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// How it ended.
    pub end: AttachedEnd,
    /// Bytes given to the sink.
    pub stdout_bytes: u64,
    /// Its standard error, or the beginning of it.
    pub stderr: Vec<u8>,
    /// Whether there was more standard error.
    pub stderr_truncated: bool,
}

/// How an attached container ended. Only `Exited` says that the sink has the whole output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachedEnd {
    /// By itself.
    Exited(Exit),
    /// Killed, because it said more than `max_stdout_bytes`.
    TooMuchOutput,
    /// Killed, because it took longer than `timeout`.
    TimedOut,
}

impl Docker {
    /// Runs a container to its end and gives its standard output to `sink` as it was written. A
    /// container of the same name and labels is what an earlier hob left when it died; it is
    /// removed first, so the name must not be that of a container whose work counts.
    ///
    /// What it ran is dead when this returns, whatever happened. One that has ended by itself is
    /// removed by a task that is left behind, since nobody needs to wait for that; so it is where
    /// the future is dropped. It can outlive that where the process dies, the daemon is away, or
    /// the future is dropped within the call that creates it: then it is for the sweep, which finds
    /// it by its labels.
    ///
    /// `sink` is written to on this task, so it shall be memory or a local file. Use `Log::None`.
    pub async fn run_attached(
        &self,
        spec: &ContainerSpec,
        sink: &mut (dyn Write + Send),
        limits: AttachLimits,
    ) -> Result<Attached, ContainerError> {
        let mut taken = Taken { sink, limits, stdout_bytes: 0, stderr: Vec::new(), stderr_truncated: false };
        let mut leftover = Leftover { docker: self.clone(), name: spec.name.clone(), id: None };
        // Boxed, as what makes a container: futures of this are parts of larger ones, and a
        // thread's stack has its end.
        let attached = Box::pin(self.attached(spec, &mut taken, &mut leftover.id));
        let end = match tokio::time::timeout(limits.timeout, attached).await {
            Ok(end) => end,
            Err(_) => Ok(AttachedEnd::TimedOut),
        };
        if !matches!(end, Ok(AttachedEnd::Exited(_))) {
            // Still guarded here: the future may be dropped while the container is being removed.
            let removed = Box::pin(self.remove_own(spec)).await;
            leftover.id = None;
            if let Err(error) = removed {
                tracing::warn!(container = spec.name, %error, "container not removed");
            }
        }
        let Taken { stdout_bytes, stderr, stderr_truncated, .. } = taken;
        Ok(Attached { end: end?, stdout_bytes, stderr, stderr_truncated })
    }

    async fn attached(
        &self,
        spec: &ContainerSpec,
        taken: &mut Taken<'_>,
        id: &mut Option<String>,
    ) -> Result<AttachedEnd, ContainerError> {
        let name = &spec.name;
        let mut made = Box::pin(self.create(spec)).await?;
        if let Made::Existed(_) = made {
            self.remove_own(spec).await?;
            made = Box::pin(self.create(spec)).await?;
        }
        let Made::New(new) = made else {
            return Err(ContainerError::Other(format!("the container {name} is already running")));
        };
        *id = Some(new);
        self.connect_inside(name, &spec.network).await?;
        let client = self.client().await?;
        // Attached before it starts, or its first bytes would be lost.
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let operation = format!("attaching to the container {name}");
        let mut attachment = self.call(&operation, client.attach_container(name, Some(options))).await?;
        self.start(name).await?;
        while let Some(output) = next_output(&mut attachment.output, &operation).await? {
            if !taken.take(output)? {
                return Ok(AttachedEnd::TooMuchOutput);
            }
        }
        Ok(AttachedEnd::Exited(self.wait(name).await?))
    }

    /// Removes the container of this name if it is the one described, and no stranger's.
    async fn remove_own(&self, spec: &ContainerSpec) -> Result<(), ContainerError> {
        match self.inspect(&spec.name).await? {
            Some(found) if found.carries(&spec.labels) => self.remove(&spec.name).await,
            _ => Ok(()),
        }
    }
}

/// What has come so far. Outside of the future with the time limit, so that what was said before
/// the limit can still be reported.
struct Taken<'a> {
    sink: &'a mut (dyn Write + Send),
    limits: AttachLimits,
    stdout_bytes: u64,
    stderr: Vec<u8>,
    stderr_truncated: bool,
}

impl Taken<'_> {
    /// Takes one piece; false once there was more standard output than allowed.
    fn take(&mut self, output: Output) -> Result<bool, ContainerError> {
        match output {
            Output::Stdout(bytes) => {
                let room = self.limits.max_stdout_bytes - self.stdout_bytes;
                let fitting = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                self.sink.write_all(&bytes[..fitting]).map_err(ContainerError::NotKept)?;
                self.stdout_bytes += fitting as u64;
                Ok(fitting == bytes.len())
            }
            Output::Stderr(bytes) => {
                let room = self.limits.max_stderr_bytes - self.stderr.len();
                let fitting = bytes.len().min(room);
                self.stderr.extend_from_slice(&bytes[..fitting]);
                self.stderr_truncated |= fitting < bytes.len();
                Ok(true)
            }
        }
    }
}

/// Removes the container when it is dropped, with the future that waits for the container or after
/// that one has ended. That one and no other: a worker that has lost a task to another worker is
/// dropped, and the other has a container of the same name by then.
struct Leftover {
    docker: Docker,
    name: String,
    /// `None` as long as it is not made, and once there is nothing to remove.
    id: Option<String>,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (docker, name) = (self.docker.clone(), std::mem::take(&mut self.name));
        // A free place unless hob is about to end, which waits for none that comes later.
        let at_work = docker.removals.clone().try_read_owned();
        runtime.spawn(async move {
            let _at_work = at_work;
            if let Err(error) = docker.remove_this(&name, &id).await {
                tracing::warn!(container = name, %error, "container not removed");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn the_sink_gets_what_fits_and_not_one_byte_more() {
        let mut sink = Vec::new();
        let limits = AttachLimits { max_stdout_bytes: 4, max_stderr_bytes: 3, timeout: Duration::ZERO };
        let mut taken =
            Taken { sink: &mut sink, limits, stdout_bytes: 0, stderr: Vec::new(), stderr_truncated: false };
        assert!(taken.take(Output::Stdout(Bytes::from_static(b"abcd"))).unwrap());
        assert!(taken.take(Output::Stderr(Bytes::from_static(b"wxyz"))).unwrap());
        assert!(taken.take(Output::Stdout(Bytes::new())).unwrap());
        assert!(!taken.take(Output::Stdout(Bytes::from_static(b"e"))).unwrap());
        assert_eq!(
            (taken.stdout_bytes, taken.stderr.as_slice(), taken.stderr_truncated),
            (4, &b"wxy"[..], true)
        );
        assert_eq!(sink, b"abcd");
    }

    #[test]
    fn a_sink_without_room_is_no_fault_of_dockers() {
        let mut sink = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let limits = AttachLimits { max_stdout_bytes: 4, max_stderr_bytes: 3, timeout: Duration::ZERO };
        let mut taken =
            Taken { sink: &mut sink, limits, stdout_bytes: 0, stderr: Vec::new(), stderr_truncated: false };
        let error = taken.take(Output::Stdout(Bytes::from_static(b"abcd"))).unwrap_err();
        assert!(
            matches!(&error, ContainerError::NotKept(e) if e.kind() == std::io::ErrorKind::StorageFull),
            "{error}"
        );
    }
}
