//! The way out for checks that may reach some servers only: an HTTP proxy, in a container of its
//! own between a network that leads nowhere and one that leads out. It runs hob's own program,
//! knows no secret, and opens what its list allows: tunnels (`CONNECT`, for HTTPS and all else),
//! and plain HTTP. How the containers and the network are made is left to `work` and `container`.
//!
//! It finds addresses by itself, and opens none of a private network, or of this machine, that does
//! not stand in the list as an address: a name can be made to lead anywhere. What it refuses it
//! says on standard output, once, as lines of JSON.

mod address;
mod layout;
mod proxy;
mod report;

pub use layout::{COMMAND as LAYOUT_COMMAND, PROGRAM, run as run_layout, start_line};
pub use proxy::{COMMAND as PROXY_COMMAND, run as run_proxy};
pub use report::ProxyMessage;

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use crate::config::Host;

/// What a proxy is started with, as its only argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// An address of the network that leads nowhere; it listens on its own address there.
    pub inside: IpAddr,
    /// What it lets through.
    pub hosts: Vec<Host>,
}
