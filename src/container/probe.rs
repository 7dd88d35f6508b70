//! Whether the daemon's machine is this one, as far as folders go. A hob that runs in a container
//! itself has folders that the daemon may know nothing of: it would mount others of the same name,
//! or none.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use uuid::Uuid;

use super::{ContainerError, ContainerSpec, Docker, Limits, Log, Mount, Network, State};

/// The label of a container that is made for this and never started.
const LABEL: &str = "hob.probe";
/// The user that it would run as.
const NOBODY: u32 = 65_534;

impl Docker {
    /// Whether the daemon finds in a folder what this process puts there. `image` is one that the
    /// daemon has. Nothing is started, and nothing is left.
    pub async fn sees(&self, folder: &Path, image: &str) -> anyhow::Result<bool> {
        let mark = tempfile::Builder::new().prefix(".hob-probe-").tempfile_in(folder);
        let mark = mark.with_context(|| format!("writing to {}", folder.display()))?;
        let path = mark.path().canonicalize().context("resolving the path of the probe file")?;
        self.remove_left_over().await;
        let name = format!("hob-{}-probe", Uuid::new_v4());
        let spec = ContainerSpec {
            name: name.clone(),
            image: image.to_owned(),
            command: vec!["true".to_owned()],
            env: Vec::new(),
            labels: BTreeMap::from([(LABEL.to_owned(), "1".to_owned())]),
            // The mark itself, and not the folder: a folder of that name may well be there, and be
            // another one.
            mounts: vec![Mount { source: path, target: "/mark".to_owned(), read_only: true }],
            user: (NOBODY, NOBODY),
            workdir: "/".to_owned(),
            network: Network::None,
            limits: Limits {
                memory_bytes: 64 << 20,
                cpus: 1.0,
                pids: 16,
                nofile: 64,
                tmp_bytes: 1 << 20,
                shm_bytes: 1 << 20,
            },
            log: Log::None,
        };
        let made = self.ensure(&spec).await;
        let removed = self.remove(&name).await;
        match made {
            Ok(_) => removed.map(|()| true).context("removing the probe container"),
            Err(ContainerError::Refused { status: 400, message }) if message.contains("does not exist") => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what somebody has left who was ended in the middle.
    async fn remove_left_over(&self) {
        let left = self.list((LABEL, "1")).await.unwrap_or_default();
        for container in left.into_iter().filter(|left| left.state == State::Created) {
            if let Err(error) = self.remove(&container.name).await {
                tracing::debug!(%error, "probe container not removed");
            }
        }
    }
}
