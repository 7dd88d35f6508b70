//! What the Docker daemon tells about hob's containers while they are there, and about images that
//! came into being meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often it is asked. A hand-over's container lives for some tenths of a second.
const EVERY: Duration = Duration::from_millis(100);

/// Watches until it is told to stop.
pub struct Watch {
    stop: oneshot::Sender<()>,
    seen: JoinHandle<BTreeMap<String, String>>,
    images: BTreeSet<String>,
}

/// What was seen.
pub struct Seen {
    /// The answer to `docker inspect`, by the container's name: the last one, when it had most to
    /// tell.
    pub containers: BTreeMap<String, String>,
    /// What is told about an image that was not there before, with its history, by its id.
    pub images: BTreeMap<String, String>,
}

async fn connect() -> bollard::Docker {
    let docker = bollard::Docker::connect_with_defaults().expect("an address of Docker's");
    docker.negotiate_version().await.expect("docker answers")
}

async fn images(docker: &bollard::Docker) -> BTreeSet<String> {
    let options = ListImagesOptionsBuilder::new().all(true).build();
    let listed = docker.list_images(Some(options)).await.expect("docker lists its images");
    listed.into_iter().map(|image| image.id).collect()
}

impl Watch {
    /// Begins to watch the containers with this value of hob's label.
    pub async fn start(instance: &str) -> Watch {
        let docker = connect().await;
        let images = images(&docker).await;
        let label = format!("{}={instance}", hob::ids::LABEL_INSTANCE);
        let (stop, mut stopped) = oneshot::channel();
        let seen = tokio::spawn(async move {
            let mut seen = BTreeMap::new();
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                look(&docker, &label, &mut seen).await;
                tokio::time::sleep(EVERY).await;
            }
            seen
        });
        Watch { stop, seen, images }
    }

    /// Ends the watch.
    pub async fn end(self) -> Seen {
        let _ = self.stop.send(());
        let containers = self.seen.await.expect("the watch did not panic");
        let docker = connect().await;
        let mut new = BTreeMap::new();
        for id in images(&docker).await.difference(&self.images) {
            // Another test may build and remove images on the same daemon.
            let Ok(image) = docker.inspect_image(id).await else { continue };
            let Ok(history) = docker.image_history(id).await else { continue };
            new.insert(id.clone(), format!("{image:?} {history:?}"));
        }
        Seen { containers, images: new }
    }
}

async fn look(docker: &bollard::Docker, label: &str, seen: &mut BTreeMap<String, String>) {
    let filters = HashMap::from([("label", vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
        let Some(id) = container.id else { continue };
        let Ok(answer) = docker.inspect_container(&id, None::<InspectContainerOptions>).await else {
            continue;
        };
        let name = answer.name.clone().unwrap_or_default();
        seen.insert(name, serde_json::to_string(&answer).expect("JSON"));
    }
}
