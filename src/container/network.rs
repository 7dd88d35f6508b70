//! Networks that lead nowhere: containers on one reach each other, and neither the internet nor the machine. One is made for
//! what runs behind a proxy, and removed after it. Known by their labels, as containers are.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{Network as Found, NetworkConnectRequest, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use super::{ContainerError, Docker, Kind, Network};

/// What keeps the machine itself out: its end of the network gets no address.
const NO_ADDRESS_OF_THE_MACHINE: &str = "com.docker.network.bridge.inhibit_ipv4";

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
    /// Makes a network that leads nowhere, in the place of one of that name and these labels that was left over. Answers with
    /// an address in it.
    ///
    /// `Invalid` for an engine that cannot keep its machine out of one.
    pub async fn make_inner_network(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<IpAddr, ContainerError> {
        if self.kind().await? == Kind::Podman {
            return Err(ContainerError::Invalid(
                "Podman does not keep its machine out of a network".to_owned(),
            ));
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
        self.call(&format!("make the network {name}"), client.create_network(request)).await?;
        let found =
            self.call(&format!("look at the network {name}"), client.inspect_network(name, None)).await?;
        let parts = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let gateway = parts.into_iter().find_map(|part| part.gateway?.parse().ok());
        gateway.ok_or_else(|| ContainerError::Other(format!("the network {name} has no addresses")))
    }

    /// Whether the daemon has a network of that name.
    pub async fn has_network(&self, name: &str) -> Result<bool, ContainerError> {
        // The filter finds parts of names too.
        Ok(self.networks("name", name).await?.iter().any(|found| found.name == name))
    }

    /// Removes the networks of that name. What is gone already is fine; one that containers are on is an error.
    pub async fn remove_network(&self, name: &str) -> Result<(), ContainerError> {
        for found in self.networks("name", name).await? {
            // The filter finds parts of names too.
            if found.name == name {
                self.remove_network_by_id(&found.id).await?;
            }
        }
        Ok(())
    }

    /// The same for one of them.
    pub async fn remove_network_by_id(&self, id: &str) -> Result<(), ContainerError> {
        let client = self.client().await?;
        match self.call(&format!("remove the network {id}"), client.remove_network(id)).await {
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
        let found = self.call("list networks", client.list_networks(Some(options))).await?;
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
        let operation = format!("put the container {container} on the network {inside}");
        self.call(&operation, client.connect_network(inside, request)).await
    }
}

fn listed(found: Found) -> Option<ListedNetwork> {
    let labels = found.labels.unwrap_or_default().into_iter().collect();
    Some(ListedNetwork { id: found.id?, name: found.name?, labels })
}
