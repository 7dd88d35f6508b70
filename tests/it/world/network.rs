//! A network of Docker's for one test, where containers speak with the host.
//!
//! The default bridge will not do: where nothing has given `docker0` an address of its own
//! (Debian's Docker 20.10 does not, udev does), it takes the lowest one of the containers on it.
//! Whenever that container comes or goes, all others send to an address that is gone, for most of a
//! minute.

use std::process::{Command, Output};

use uuid::Uuid;

use super::docker_address;

/// By which networks that a killed test left over are known.
const LABEL: &str = "hob.test.network";

/// A network; it is removed with this value.
pub struct Network {
    pub name: String,
    neighbours: Vec<String>,
}

impl Network {
    /// Makes it, and removes those that earlier tests left over.
    pub fn create() -> Network {
        // Docker removes none that a container uses; `until` is for tests that run beside this one
        // and have made theirs, but no container yet.
        docker(&[
            "network",
            "prune",
            "--force",
            "--filter",
            &format!("label={LABEL}"),
            "--filter",
            "until=1h",
        ]);
        let name = format!("hob-test-{}", Uuid::new_v4().simple());
        let made = docker(&["network", "create", "--label", LABEL, &name]);
        assert!(made.status.success(), "making a network: {}", String::from_utf8_lossy(&made.stderr));
        Network { name, neighbours: Vec::new() }
    }

    /// The address that the host has there.
    pub fn gateway(&self) -> String {
        let form = "{{(index .IPAM.Config 0).Gateway}}";
        let found = docker(&["network", "inspect", "--format", form, &self.name]);
        String::from_utf8_lossy(&found.stdout).trim().to_owned()
    }
}

impl Network {
    /// A container on the network that Docker's name server knows by this name. It goes with the
    /// network.
    pub fn has_neighbour(&mut self, name: &str) {
        let image = super::image();
        let made = docker(&[
            "run",
            "--detach",
            "--rm",
            "--label",
            LABEL,
            "--network",
            &self.name,
            "--network-alias",
            name,
            "--entrypoint",
            "sleep",
            &image,
            "600",
        ]);
        assert!(made.status.success(), "a container: {}", String::from_utf8_lossy(&made.stderr));
        self.neighbours.push(String::from_utf8_lossy(&made.stdout).trim().to_owned());
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for neighbour in &self.neighbours {
            docker(&["rm", "--force", neighbour]);
        }
        // Fails where a test that panicked left its container; a later test prunes it.
        docker(&["network", "rm", &self.name]);
    }
}

/// Runs a command in a container, and tells whether it went well.
pub fn in_container(name: &str, command: &[&str]) -> bool {
    docker(&[&["exec", name], command].concat()).status.success()
}

fn docker(arguments: &[&str]) -> Output {
    let mut command = Command::new("docker");
    command.args(["--host", &docker_address()]).args(arguments).output().expect("the docker program")
}
