//! What hob needs of its machine: the data folder, the address, Docker with the images and the
//! network.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::Found::{self, Doubtful, Good, Wrong};
use super::agents;
use crate::config::Config;
use crate::container::{Docker, Engine};
use crate::http;
use crate::ids::AgentKind;
use crate::paths::{self, DataDir};

/// Networks that every Docker has.
const OWN_NETWORKS: [&str; 2] = ["bridge", "none"];

pub(super) fn data_folder(config: &Config) -> Vec<Found> {
    let folder = &config.data.dir;
    let shown = folder.display();
    if folder.as_os_str().is_empty() || folder.to_string_lossy().starts_with('~') {
        // Told with the settings.
        return Vec::new();
    }
    let may_use = |path: &Path| access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    let user = "run `chown -R HOBS_USER` on it, or set data.dir to another folder";
    match folder.metadata() {
        Ok(found) if !found.is_dir() => {
            vec![Wrong(format!("{shown} is not a folder; set data.dir to a folder"))]
        }
        Ok(_) if !may_use(folder) => vec![Wrong(format!("hob's user cannot write to {shown}; {user}"))],
        Ok(_) => free_space(config, folder),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let above =
                folder.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.exists());
            let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            if above.is_dir() && may_use(above) {
                let mut found = vec![Good(format!("{shown} does not exist yet; `hob serve` creates it"))];
                found.extend(free_space(config, above).into_iter().filter(|found| !matches!(found, Good(_))));
                found
            } else {
                vec![Wrong(format!(
                    "{shown} does not exist, and hob's user cannot create it in {}; create it: `install -d -o HOBS_USER \
                    -m 0700 {shown}`",
                    above.display()
                ))]
            }
        }
        Err(error) => vec![Wrong(format!("cannot read {shown}: {error}; {user}"))],
    }
}

fn free_space(config: &Config, folder: &Path) -> Vec<Found> {
    match paths::free_space(folder) {
        Ok(free) if free.is_below(config.data.min_free.0) => vec![Wrong(format!(
            "the disk of {} has less free space than data.min_free ({}), so no run would start; free up space, or lower \
            data.min_free",
            folder.display(),
            config.data.min_free
        ))],
        Ok(_) => vec![Good(folder.display().to_string())],
        Err(error) => vec![Doubtful(format!("{error:#}"))],
    }
}

pub(super) fn address(config: &Config) -> Vec<Found> {
    let address = config.server.listen;
    vec![match http::listen(address) {
        Ok(_) => Good(address.to_string()),
        Err(error)
            if error.kind() == ErrorKind::AddrInUse && DataDir::beside(&config.data.dir).is_in_use() =>
        {
            Good(format!("{address}; a hob with this data folder is listening there"))
        }
        Err(error) => Wrong(cannot_listen(address, &error)),
    }]
}

/// Why hob cannot listen at an address, and what to do.
pub(in crate::cli) fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another program is listening at {address} (`ss -ltnp` shows which); stop it, or set server.listen to \
            another port"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {}; set server.listen to one of its addresses", address.ip())
        }
        ErrorKind::PermissionDenied => format!(
            "hob's user may not listen at {address}; set server.listen to a port of 1024 or higher, and put a proxy in \
            front of it"
        ),
        _ => format!("cannot listen at {address}: {error}; set server.listen to another address"),
    }
}

pub(super) async fn docker(config: &Config) -> Vec<Found> {
    let Ok(docker) = Docker::connect(&config.container.docker) else {
        // Told with the settings.
        return Vec::new();
    };
    let engine = match docker.engine().await {
        Ok(engine) => engine,
        Err(error) => return vec![Wrong(error.to_string())],
    };
    let mut found = vec![Good(describe(&engine))];
    found.extend(network(config, &docker).await);
    let (images, there) = images(config, &docker).await;
    found.extend(images);
    if let Some(image) = there {
        found.extend(folders(config, &docker, &image).await);
    }
    found
}

fn describe(engine: &Engine) -> String {
    let missing = if engine.missing.is_empty() {
        String::new()
    } else {
        format!("; it does not support {}", engine.missing.join(", "))
    };
    format!("{} {}, {} processors{missing}", engine.kind.name(), engine.version, engine.cpus)
}

async fn network(config: &Config, docker: &Docker) -> Option<Found> {
    let name = &config.container.network;
    if OWN_NETWORKS.contains(&name.as_str()) {
        return None;
    }
    Some(match docker.has_network(name).await {
        Ok(true) => Good(format!("the network `{name}` exists")),
        Ok(false) => Wrong(format!(
            "Docker has no network `{name}`, which container.network names; create it: `docker network create {name}`"
        )),
        Err(error) => Wrong(error.to_string()),
    })
}

/// What is to be said about images, and one that is there.
async fn images(config: &Config, docker: &Docker) -> (Vec<Found>, Option<String>) {
    let container = &config.container;
    // Each image with who needs it; an agent that may only be chosen is told when it is chosen.
    let mut needed: BTreeMap<&str, String> = BTreeMap::new();
    let mut found = Vec::new();
    for agent in agents(config) {
        let is_named = agent == config.agent.kind || container.images.contains_key(&agent);
        if !is_named && agent != AgentKind::Command {
            found.push(Wrong(format!(
                "agent.fallback or a repository names the agent {agent}, but container.images has no image for it; add \
                `{agent} = \"IMAGE\"` there"
            )));
            continue;
        }
        needed.entry(container.image_of(agent)).or_insert_with(|| format!("for the agent {agent}"));
    }
    for (agent, image) in &container.images {
        needed.entry(image).or_insert_with(|| format!("for the agent {agent}"));
    }
    for (repo, own) in &config.repositories {
        if let Some(image) = &own.image {
            needed.entry(image).or_insert_with(|| format!("for {repo}"));
        }
    }
    let mut there = None;
    for (image, why) in &needed {
        match docker.has_image(image).await {
            Ok(true) => {
                there.get_or_insert_with(|| (*image).to_owned());
                found.push(Good(format!("the image `{image}` {why} exists")));
            }
            Ok(false) => found.push(Wrong(format!(
                "Docker has no image `{image}` {why}, and hob does not pull images; run `docker pull`, or build it: \
                `deploy/image/build.sh` builds hob-claude:latest"
            ))),
            Err(error) => found.push(Wrong(error.to_string())),
        }
    }
    for image in container.allowed_images.iter().filter(|image| !needed.contains_key(image.as_str())) {
        if let Ok(false) = docker.has_image(image).await {
            found.push(Doubtful(format!(
                "Docker has no image `{image}`, which container.allowed_images lets people choose; pull or build it, or \
                remove it from the list"
            )));
        }
    }
    (found, there)
}

/// Whether Docker finds hob's folders where hob does.
async fn folders(config: &Config, docker: &Docker, image: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (key, folder) in
        [("data.dir", &config.data.dir), ("container.secrets_dir", &config.container.secrets_dir)]
    {
        if !folder.is_dir() {
            continue;
        }
        match docker.sees(folder, image).await {
            Ok(true) => {}
            Ok(false) => found.push(Wrong(unseen(key, folder))),
            Err(error) => found.push(Doubtful(format!(
                "could not check whether Docker sees {}, {key}: {error:#}",
                folder.display()
            ))),
        }
    }
    found
}

/// What to say about a folder that Docker does not see.
fn unseen(key: &str, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Docker does not see the files that hob puts into {folder}, {key}, so no agent could start: hob runs in a \
        container, or Docker runs on another machine. Mount a folder of Docker's machine into hob's container at the \
        same path: `docker run -v {folder}:{folder} …`"
    )
}
