//! Containers, through the Docker Engine API: make sure of one, start, follow, wait, stop, remove,
//! list by label. The docker program is never used: killing it would kill no container.
//!
//! A container is known by its name, which the caller makes from a run's id. Every call may be made
//! again after a crash: the name is the mutex, and what Docker holds is the truth. What the command
//! means, what a label says and when to try again is left to the floors above. No type of the API
//! leaves this module.

mod activity;
mod attached;
mod engine;
mod error;
mod follow;
mod network;
mod probe;
mod spec;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::{OnceCell, RwLock};
use tokio::time::Instant;

pub use activity::{Activity, Child};
pub use attached::{AttachLimits, Attached, AttachedEnd};
pub use engine::{Engine, Kind};
pub use error::ContainerError;
pub use follow::Output;
pub use network::ListedNetwork;
pub use spec::{ContainerSpec, Limits, Log, Mount, Network};
pub use state::{Exit, State};

use engine::{Address, Connection};

/// The longest that one question to the daemon may take. A daemon that is deleting images on a slow
/// disk needs tens of seconds for an answer; one that needs more than this does not work.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// After this long, a wait for a container's end asks the daemon again, so that a connection which
/// died without a word is noticed.
const WAIT_ROUND: Duration = Duration::from_secs(60);
/// How long a killed container may take to be gone. The kernel frees gigabytes of memory first.
const KILL_DEADLINE: Duration = Duration::from_secs(60);
/// How long a removal may take, no matter who began it. Deleting a large writable layer takes
/// seconds.
const REMOVE_DEADLINE: Duration = Duration::from_secs(60);
/// How long a name is taken at most by a container that is being made or removed.
const NAME_DEADLINE: Duration = Duration::from_secs(60);
/// How long Podman may take from a container's end to having its exit code written down. A process
/// of its own does that, usually within a second.
const CLEAN_UP_DEADLINE: Duration = Duration::from_secs(60);
/// The pause between two questions where the daemon offers nothing to wait on.
const PACE: Duration = Duration::from_millis(100);

/// The way to one Docker daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Docker {
    address: Arc<Address>,
    /// Made at the first call that reaches the daemon, since the API's version is agreed on there.
    connection: Arc<OnceCell<Connection>>,
    /// Held by each removal that nobody waits for.
    removals: Arc<RwLock<()>>,
}

/// What `Docker::ensure` found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// The container is new and has not been started.
    Created,
    /// One of this name was there already: this run was begun before.
    Existed(State),
}

/// What the wish for a container came to.
enum Made {
    /// A new one, with its id.
    New(String),
    /// One of this name was there already.
    Existed(State),
}

/// A container as `Docker::list` found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without Docker's leading slash.
    pub name: String,
    /// All its labels, those of its image included.
    pub labels: BTreeMap<String, String>,
    /// How far it is.
    pub state: State,
}

impl Docker {
    /// Takes the address of a daemon: `unix:///var/run/docker.sock`, `tcp://host:port` or
    /// `http://host:port`. Nothing is asked yet, so a daemon that is down is no error here.
    pub fn connect(address: &str) -> anyhow::Result<Docker> {
        Ok(Docker {
            address: Arc::new(address.parse()?),
            connection: Arc::default(),
            removals: Arc::default(),
        })
    }

    /// Whether the daemon answers.
    pub async fn ping(&self) -> Result<(), ContainerError> {
        let client = self.client().await?;
        self.call("pinging the Docker daemon", client.ping()).await?;
        Ok(())
    }

    /// Whether the daemon has the image. It is never pulled.
    pub async fn has_image(&self, image: &str) -> Result<bool, ContainerError> {
        let client = self.client().await?;
        match self.call(&format!("looking up the image {image}"), client.inspect_image(image)).await {
            Ok(_) => Ok(true),
            Err(ContainerError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The id of an image's content, `sha256:…`, if the daemon has the image.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, ContainerError> {
        let client = self.client().await?;
        match self.call(&format!("inspecting the image {image}"), client.inspect_image(image)).await {
            Ok(found) => Ok(Some(found.id.unwrap_or_default())),
            Err(ContainerError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates the container unless one of that name exists. Does not start it.
    ///
    /// `NoImage` if the image is not there, `NameTaken` if the name belongs to a container that
    /// does not carry the labels asked for, `Invalid` if the specification contradicts itself,
    /// `Refused` for everything else the daemon objects to, a mount whose source does not exist
    /// among it.
    pub async fn ensure(&self, spec: &ContainerSpec) -> Result<Ensured, ContainerError> {
        Ok(match Box::pin(self.create(spec)).await? {
            Made::New(_) => Ensured::Created,
            Made::Existed(state) => Ensured::Existed(state),
        })
    }

    /// The same, with the id of one that is new.
    async fn create(&self, spec: &ContainerSpec) -> Result<Made, ContainerError> {
        if !self.is_kept_apart(&spec.network).await? {
            let body = spec::to_create_body(spec, self.kind().await?)?;
            return self.create_as(spec, body).await;
        }
        let mut body = spec::to_create_body(spec, self.kind().await?)?;
        let network = Box::pin(self.ensure_internet()).await?;
        if let Some(host) = &mut body.host_config {
            host.network_mode = Some(network);
        }
        let made = self.create_as(spec, body).await?;
        // A hob that was killed may have made the container and not got to the wall.
        if let Made::New(_) | Made::Existed(State::Created) = made {
            Box::pin(self.wall_off_metadata(&spec.name)).await?;
        }
        Ok(made)
    }

    async fn create_as(
        &self,
        spec: &ContainerSpec,
        body: ContainerCreateBody,
    ) -> Result<Made, ContainerError> {
        let connection = self.connection().await?;
        let client = &connection.client;
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let operation = format!("creating the container {}", spec.name);
        if connection.kind == Kind::Podman {
            spec::check_sources(spec, &operation)?;
        }
        let deadline = Instant::now() + NAME_DEADLINE;
        loop {
            let made = client.create_container(Some(options.clone()), body.clone());
            match self.call(&operation, made).await {
                Ok(made) => return Ok(Made::New(made.id)),
                // Docker says 409 to a name that is taken, Podman 500. What has the name decides.
                Err(ContainerError::Refused { status: status @ (409 | 500), message }) => {
                    match self.inspect(&spec.name).await? {
                        Some(found) if found.carries(&spec.labels) => return Ok(Made::Existed(found.state)),
                        Some(_) => return Err(ContainerError::NameTaken(spec.name.clone())),
                        // Docker gives a name away before the container can be looked at, and takes
                        // it back after: one is being made, for a hob that has died perhaps, or
                        // removed.
                        None if status == 409 && Instant::now() < deadline => tokio::time::sleep(PACE).await,
                        None => return Err(ContainerError::Refused { status, message }),
                    }
                }
                // The daemon answers 404 for other missing things too.
                Err(ContainerError::Refused { status: 404, .. }) if !self.has_image(&spec.image).await? => {
                    return Err(ContainerError::NoImage(spec.image.clone()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts the container unless it has ever been started: the command never runs a second time.
    ///
    /// Docker itself would start an exited container again. The look and the start are two calls,
    /// so only one caller at a time may start a container; the task's lease sees to that.
    pub async fn start(&self, name: &str) -> Result<(), ContainerError> {
        match self.state(name).await? {
            None => Err(ContainerError::NoContainer(name.to_owned())),
            Some(State::Created) => {
                let client = self.client().await?;
                self.call(&format!("starting the container {name}"), client.start_container(name, None)).await
            }
            Some(State::Running { .. } | State::Exited(_) | State::Removing) => Ok(()),
        }
    }

    /// How far the container is; `None` if there is none of that name.
    pub async fn state(&self, name: &str) -> Result<Option<State>, ContainerError> {
        Ok(self.inspect(name).await?.map(|found| found.state))
    }

    /// Waits for a started container to end. A non-zero exit code is not an error. `NoContainer` if
    /// it is removed meanwhile, `Unreachable` if the daemon goes away.
    pub async fn wait(&self, name: &str) -> Result<Exit, ContainerError> {
        loop {
            match self.state(name).await? {
                Some(State::Exited(exit)) => return Ok(exit),
                Some(State::Running { .. }) => self.until_not_running(name, WAIT_ROUND).await?,
                Some(State::Created) => {
                    return Err(ContainerError::Other(format!("the container {name} was never started")));
                }
                Some(State::Removing) | None => return Err(ContainerError::NoContainer(name.to_owned())),
            }
        }
    }

    /// Ends the container: SIGTERM, `grace`, SIGKILL. Returns only when Docker says that it does
    /// not run, so that its mounts are quiet. Does nothing if it does not run or does not exist.
    pub async fn stop(&self, name: &str, grace: Duration) -> Result<(), ContainerError> {
        let client = self.client().await?;
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        // The daemon answers after the grace.
        let patience = CALL_TIMEOUT.saturating_add(grace);
        let patient = client.clone().with_timeout(patience);
        let operation = format!("stopping the container {name}");
        let asked = error::within(patience, &operation, patient.stop_container(name, Some(options))).await;
        if let Err(error @ ContainerError::Unreachable(_)) = asked {
            return Err(error);
        }
        // Whatever else it answered, even that it gave up: what counts is whether the container
        // runs.
        let deadline = Instant::now() + KILL_DEADLINE;
        while let Some(State::Running { .. }) = self.state(name).await? {
            if Instant::now() >= deadline {
                let message = format!("{operation}: still running after SIGKILL");
                return Err(ContainerError::Refused { status: 500, message });
            }
            let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
            let killed = self.call(&operation, client.kill_container(name, Some(options))).await;
            if let Err(error @ ContainerError::Unreachable(_)) = killed {
                return Err(error);
            }
            self.until_not_running(name, Duration::from_secs(1)).await?;
        }
        Ok(())
    }

    /// Removes the container with its anonymous volumes, killing it if it runs. Returns when it is
    /// gone, also if somebody else is removing it; gone already is fine.
    pub async fn remove(&self, name: &str) -> Result<(), ContainerError> {
        self.remove_this(name, name).await
    }

    /// Removes a container that has ended, without anybody waiting for it; one that has not, before
    /// this returns.
    pub async fn clear(&self, name: &str) -> Result<(), ContainerError> {
        match self.inspect(name).await? {
            None => Ok(()),
            Some(found) if matches!(found.state, State::Exited(_)) => {
                let (docker, name) = (self.clone(), name.to_owned());
                let at_work = self.removals.clone().read_owned().await;
                tokio::spawn(async move {
                    let _at_work = at_work;
                    if let Err(error) = docker.remove(&name).await {
                        tracing::warn!(container = name, %error, "container not removed");
                    }
                });
                Ok(())
            }
            Some(_) => self.remove(name).await,
        }
    }

    /// Waits for the removals that nobody has waited for.
    pub async fn settled(&self) {
        drop(self.removals.write().await);
    }

    /// The same as `remove` for the container of an id, and no other that has the name by now.
    async fn remove_this(&self, name: &str, id: &str) -> Result<(), ContainerError> {
        let client = self.client().await?;
        let operation = format!("removing the container {name}");
        let deadline = Instant::now() + REMOVE_DEADLINE;
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            match self.call(&operation, client.remove_container(id, Some(options))).await {
                Err(ContainerError::Refused { status: 404, .. }) => return Ok(()),
                // Being removed already, or not dead yet: asking again tells when it is over.
                Err(ContainerError::Refused { status: 409, .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PACE).await;
                }
                Err(error) => return Err(error),
                // Ask once more: only 404 proves it.
                Ok(()) if Instant::now() < deadline => {}
                Ok(()) => {
                    let message = format!("{operation}: it still exists");
                    return Err(ContainerError::Refused { status: 500, message });
                }
            }
        }
    }

    /// All containers, running or not, that carry the label with this value.
    pub async fn list(&self, (key, value): (&str, &str)) -> Result<Vec<Listed>, ContainerError> {
        let client = self.client().await?;
        let filters = HashMap::from([("label", vec![format!("{key}={value}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let summaries = self.call("listing containers", client.list_containers(Some(options))).await?;
        let mut listed = Vec::with_capacity(summaries.len());
        for summary in summaries {
            let Some(name) = summary.names.unwrap_or_default().into_iter().next() else { continue };
            let name = name.trim_start_matches('/').to_owned();
            // The list has no exit codes. A container that vanished since then is not listed.
            if let Some(found) = self.inspect(&name).await? {
                listed.push(Listed { name, labels: found.labels, state: found.state });
            }
        }
        Ok(listed)
    }

    async fn inspect(&self, name: &str) -> Result<Option<state::Inspected>, ContainerError> {
        let client = self.client().await?;
        let operation = format!("inspecting the container {name}");
        let deadline = Instant::now() + CLEAN_UP_DEADLINE;
        loop {
            match self.call(&operation, client.inspect_container(name, None)).await {
                Ok(answer) => return state::Inspected::from_answer(name, answer).map(Some),
                Err(ContainerError::Refused { status: 404, .. }) => return Ok(None),
                Err(error) if !error.is_half_ended() => return Err(error),
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PACE).await,
                Err(_) => {
                    return Err(ContainerError::Unreachable(format!(
                        "podman has not cleaned up {name} after it ended; run `podman container cleanup`"
                    )));
                }
            }
        }
    }

    /// Returns when the container may have ended, or after `longest`. The answer's content does not
    /// matter: bollard makes an error of every non-zero code, and only an inspection knows about
    /// memory.
    async fn until_not_running(&self, name: &str, longest: Duration) -> Result<(), ContainerError> {
        let client = self.client().await?;
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut answers = std::pin::pin!(client.wait_container(name, Some(options)));
        match tokio::time::timeout(longest, answers.next()).await {
            Ok(Some(Err(bollard::errors::Error::DockerContainerWaitError { .. }) | Ok(_))) | Err(_) => Ok(()),
            Ok(Some(Err(error))) => match ContainerError::from_api("waiting for the container", error) {
                ContainerError::Refused { status: 404, .. } => Ok(()),
                error => Err(error),
            },
            // The daemon closed the connection without an answer; do not ask in a tight loop.
            Ok(None) => {
                tokio::time::sleep(PACE).await;
                Ok(())
            }
        }
    }

    /// The client, connected and agreed on a version. Not kept if the daemon does not answer.
    async fn client(&self) -> Result<&bollard::Docker, ContainerError> {
        Ok(&self.connection().await?.client)
    }

    async fn kind(&self) -> Result<Kind, ContainerError> {
        Ok(self.connection().await?.kind)
    }

    async fn connection(&self) -> Result<&Connection, ContainerError> {
        self.connection.get_or_try_init(|| engine::negotiate(&self.address)).await
    }

    /// One question with one answer, within `CALL_TIMEOUT`.
    async fn call<T>(
        &self,
        operation: &str,
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, ContainerError> {
        error::within(CALL_TIMEOUT, operation, question).await
    }
}
