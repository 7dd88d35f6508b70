//! Networks. Containers that reach the internet share one on which they do not reach each other. It
//! is made once for a daemon and stays: a network for each container would use up Docker's
//! addresses after some thirty, and a daemon that is killed while it makes one may not start again.
//! What runs behind a proxy has a network that leads nowhere: containers on it reach each other,
//! and neither the internet nor the machine. That one is made for a container and removed after it;
//! it is known by its labels, as containers are.
//!
//! Where the machine is in a cloud, 169.254.169.254 tells anyone who asks what the machine may do,
//! often with keys. No container needs that: each that reaches the internet is also on a network
//! that has the addresses 169.254.0.0/16 and leads nowhere. On it containers do not reach each
//! other either. It stays, too.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{Ipam, IpamConfig, Network as Found, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use super::{ContainerError, Docker, Kind, Network};

/// What keeps the machine itself out: its end of the network gets no address.
const NO_ADDRESS_OF_THE_MACHINE: &str = "com.docker.network.bridge.inhibit_ipv4";

/// What keeps containers on one network from each other. The daemon refuses it where it cannot do
/// that.
const BETWEEN_CONTAINERS: &str = "com.docker.network.bridge.enable_icc";

/// The network of the containers that reach the internet, one for each daemon.
const INTERNET: &str = "hob-internet";

/// The network with the addresses of the cloud's metadata, one for each daemon.
const WALL: &str = "hob-no-metadata";
const WALL_ADDRESSES: &str = "169.254.0.0/16";
/// How they begin.
const LINK_LOCAL: &str = "169.254.";

/// Where the machine's DNS servers are named.
const NAMESERVERS: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// A network of hob's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNetwork {
    /// Docker's name for it; unlike names, unique.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Docker {
    /// Makes a network that leads nowhere, in the place of one of that name and these labels that
    /// was left over. Answers with an address in it.
    ///
    /// `Invalid` for an engine that cannot keep its machine out of one.
    pub async fn make_inner_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<IpAddr, ContainerError> {
        if self.kind().await? == Kind::Podman {
            return Err(ContainerError::Invalid("Podman cannot isolate a network from its host".to_owned()));
        }
        self.remove_network(name).await?;
        let client = self.client().await?;
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            internal: Some(true),
            enable_ipv6: Some(false),
            options: Some(HashMap::from([(NO_ADDRESS_OF_THE_MACHINE.to_owned(), "true".to_owned())])),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        self.call(&format!("creating the network {name}"), client.create_network(request)).await?;
        let found =
            self.call(&format!("inspecting the network {name}"), client.inspect_network(name, None)).await?;
        let parts = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = parts.into_iter().find_map(|part| part.gateway?.parse().ok());
        gateway.ok_or_else(|| ContainerError::Other(format!("the network {name} has no addresses")))
    }

    /// Whether the daemon has a network of that name.
    pub async fn has_network(&self, name: &str) -> Result<bool, ContainerError> {
        Ok(self.network_id(name).await?.is_some())
    }

    /// The id of a network of that name. Docker allows several networks of one name: a hob that was
    /// killed may have asked for one that was made after its successor had looked. The id tells
    /// them apart; the one with the least id is taken by everyone.
    async fn network_id(&self, name: &str) -> Result<Option<String>, ContainerError> {
        // The filter finds parts of names too.
        let found = self.networks("name", name).await?.into_iter().filter(|found| found.name == name);
        Ok(found.map(|found| found.id).min())
    }

    /// The id of the network of the containers that reach the internet, which is made where there
    /// is none. Looked for each time: somebody may have removed what was unused.
    pub(super) async fn ensure_internet(&self) -> Result<String, ContainerError> {
        if let Some(id) = self.network_id(INTERNET).await? {
            return Ok(id);
        }
        let request = NetworkCreateRequest {
            name: INTERNET.to_owned(),
            driver: Some("bridge".to_owned()),
            enable_ipv6: Some(false),
            options: Some(HashMap::from([(BETWEEN_CONTAINERS.to_owned(), "false".to_owned())])),
            ..Default::default()
        };
        let client = self.client().await?;
        self.call(&format!("creating the network {INTERNET}"), client.create_network(request)).await?;
        // Another may have made one just then, which Docker allows: everyone takes the same.
        let made = self.network_id(INTERNET).await?;
        made.ok_or_else(|| ContainerError::Other(format!("the network {INTERNET} no longer exists")))
    }

    /// Whether a container on it is to be kept from others.
    pub(super) async fn is_kept_apart(&self, network: &Network) -> Result<bool, ContainerError> {
        Ok(*network == Network::Bridge && self.kind().await? == Kind::Docker)
    }

    /// Puts a container that has not been started on the network that the cloud's metadata is not
    /// on. Without it the container works as well; `Docker::engine` says whether it is to be had.
    pub(super) async fn wall_off_metadata(&self, container: &str) -> Result<(), ContainerError> {
        if asks_link_local_for_names() {
            return Ok(());
        }
        // Looked for each time: somebody may have removed what was unused, and Docker puts a
        // container on a network that is not there without a word, and then does not start it.
        if !self.has_network(WALL).await?
            && let Err(error) = self.make_wall().await
        {
            tracing::warn!(%error, "containers can reach the cloud's metadata address");
            return Ok(());
        }
        let client = self.client().await?;
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: None };
        let operation = format!("connecting the container {container} to the network {WALL}");
        match self.call(&operation, client.connect_network(WALL, request)).await {
            // It is on it already.
            Err(ContainerError::Refused { status: 403, message }) if message.contains("already exists") => {
                Ok(())
            }
            connected => connected,
        }
    }

    async fn make_wall(&self) -> Result<(), ContainerError> {
        let options = [(NO_ADDRESS_OF_THE_MACHINE, "true"), (BETWEEN_CONTAINERS, "false")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let addresses = IpamConfig { subnet: Some(WALL_ADDRESSES.to_owned()), ..Default::default() };
        let request = NetworkCreateRequest {
            name: WALL.to_owned(),
            driver: Some("bridge".to_owned()),
            internal: Some(true),
            enable_ipv6: Some(false),
            options: Some(HashMap::from(options)),
            ipam: Some(Ipam { config: Some(vec![addresses]), ..Default::default() }),
            ..Default::default()
        };
        let client = self.client().await?;
        let made = self.call(&format!("creating the network {WALL}"), client.create_network(request)).await;
        match made {
            Ok(_) => Ok(()),
            // Another has made it just then.
            Err(error) => {
                if self.has_network(WALL).await? {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Removes the networks of that name. What is gone already is fine; one that containers are on
    /// is an error.
    pub async fn remove_network(&self, name: &str) -> Result<(), ContainerError> {
        for found in self.networks("name", name).await? {
            // The filter finds parts of names too.
            if found.name == name {
                self.remove_network_by_id(&found.id).await?;
            }
        }
        Ok(())
    }

    /// Removes one network.
    pub async fn remove_network_by_id(&self, id: &str) -> Result<(), ContainerError> {
        let client = self.client().await?;
        match self.call(&format!("removing the network {id}"), client.remove_network(id)).await {
            Ok(()) | Err(ContainerError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All networks that carry the label with this value.
    pub async fn list_networks(
        &self,
        (key, value): (&str, &str),
    ) -> Result<Vec<ListedNetwork>, ContainerError> {
        self.networks("label", &format!("{key}={value}")).await
    }

    async fn networks(&self, filter: &str, value: &str) -> Result<Vec<ListedNetwork>, ContainerError> {
        let client = self.client().await?;
        let filters = HashMap::from([(filter.to_owned(), vec![value.to_owned()])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = self.call("listing networks", client.list_networks(Some(options))).await?;
        Ok(found.into_iter().filter_map(listed).collect())
    }

    /// Puts a container that has not been started on its second network, where it is to have one.
    pub(super) async fn connect_inside(
        &self,
        container: &str,
        network: &Network,
    ) -> Result<(), ContainerError> {
        let Network::Between { inside, .. } = network else { return Ok(()) };
        let client = self.client().await?;
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: None };
        let operation = format!("connecting the container {container} to the network {inside}");
        self.call(&operation, client.connect_network(inside, request)).await
    }
}

/// Whether the machine asks a server at such an address for names, as in some clouds. Containers
/// ask the same, and could find no name behind the wall.
pub(super) fn asks_link_local_for_names() -> bool {
    NAMESERVERS.iter().any(|file| std::fs::read_to_string(file).is_ok_and(|text| names_link_local(&text)))
}

fn names_link_local(text: &str) -> bool {
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers.into_iter().any(|server| server.trim().starts_with(LINK_LOCAL))
}

fn listed(found: Found) -> Option<ListedNetwork> {
    let labels = found.labels.unwrap_or_default().into_iter().collect();
    Some(ListedNetwork { id: found.id?, name: found.name?, labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_names_come_from_its_cloud_is_known() {
        assert!(names_link_local("# made by dhcp\nsearch c.internal\nnameserver 169.254.169.254\n"));
        assert!(!names_link_local("nameserver 1.1.1.1\n# nameserver 169.254.169.254\noptions edns0\n"));
    }
}
