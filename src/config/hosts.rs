//! What a repository's checks may reach on the network: nothing, everything, or the servers of a
//! list. How an entry of a list is written, what it lets through, and what is left of a
//! repository's wish under the operator's. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The ports of an entry that names none: HTTP and HTTPS.
const USUAL_PORTS: [u16; 2] = [80, 443];
/// The longest name that there is.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;
/// Who needs more of them wants the whole network.
const MAX_HOSTS: usize = 50;

/// What checks may reach on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub enum ChecksNetwork {
    /// No server.
    #[default]
    Nothing,
    /// Everything that a container of hob's reaches.
    Everything,
    /// These servers.
    Only(Vec<Host>),
}

/// An entry of such a list: `crates.io`, `*.npmjs.org`, `10.0.0.5`, `[fd00::5]`, each with or
/// without `:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host {
    /// Whether it stands for all names below it, and not for itself.
    below: bool,
    /// A name in small letters, or an address.
    name: String,
    /// Nothing for the usual ports.
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "must be true, false or an array of servers")]
enum Raw {
    Switch(bool),
    Hosts(Vec<String>),
}

impl TryFrom<Raw> for ChecksNetwork {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw::Switch(false) => Ok(Self::Nothing),
            Raw::Switch(true) => Ok(Self::Everything),
            Raw::Hosts(hosts) if hosts.is_empty() => Ok(Self::Nothing),
            Raw::Hosts(hosts) if hosts.len() > MAX_HOSTS => {
                Err(format!("{} servers are too many; at most {MAX_HOSTS} are allowed", hosts.len()))
            }
            Raw::Hosts(hosts) => {
                hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }
}

impl ChecksNetwork {
    /// What is left of this wish where that is allowed: of a list, the entries that are; of
    /// everything, all that is allowed.
    #[must_use]
    pub fn within(&self, allowed: &Self) -> Self {
        match (self, allowed) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (wish, Self::Everything) => wish.clone(),
            (Self::Everything, allowed) => allowed.clone(),
            (Self::Only(hosts), allowed) => {
                let left: Vec<Host> = hosts.iter().filter(|host| allowed.covers(host)).cloned().collect();
                if left.is_empty() { Self::Nothing } else { Self::Only(left) }
            }
        }
    }

    /// The first entry of a list that is not allowed.
    pub fn first_beyond(&self, allowed: &Self) -> Option<&Host> {
        match self {
            Self::Only(hosts) => hosts.iter().find(|host| !allowed.covers(host)),
            Self::Nothing | Self::Everything => None,
        }
    }

    fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Only(hosts) => hosts.iter().any(|own| own.covers(host)),
        }
    }
}

impl Host {
    /// Whether it lets a connection to this name or address through.
    pub fn allows(&self, name: &str, port: u16) -> bool {
        let name = plain(name);
        let is_named = if self.below { is_below(&name, &self.name) } else { name == self.name };
        is_named && self.ports().contains(&port)
    }

    /// Whether it lets an address through, which it does only if it is one itself.
    pub fn allows_address(&self, address: IpAddr, port: u16) -> bool {
        let own = self.name.parse::<IpAddr>().ok();
        own.is_some_and(|own| own.to_canonical() == address.to_canonical()) && self.ports().contains(&port)
    }

    fn ports(&self) -> Vec<u16> {
        self.port.map_or_else(|| USUAL_PORTS.to_vec(), |port| vec![port])
    }

    /// Whether it lets through all that the other does.
    fn covers(&self, other: &Self) -> bool {
        let names = match (self.below, other.below) {
            (true, _) => is_below(&other.name, &self.name) || (other.below && other.name == self.name),
            (false, true) => false,
            (false, false) => self.name == other.name,
        };
        names && other.ports().iter().all(|port| self.ports().contains(port))
    }
}

/// A name as it is compared: in small letters, without the dot at its end; an address in its one
/// form, without brackets.
fn plain(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    bare.parse::<IpAddr>().map_or(name.clone(), |address| address.to_string())
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a server such as `crates.io`, `*.npmjs.org` or `10.0.0.5:8080`");
        // An address of the newer kind has colons of its own.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => None,
            Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        };
        let (below, name) = match name.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(inner) => Some(inner.parse::<Ipv6Addr>().map_err(|_| wrong())?.into()),
            None => name.parse::<IpAddr>().ok(),
        };
        match address {
            Some(address) if !below => Ok(Self { below, name: address.to_string(), port }),
            None if is_name(name) => Ok(Self { below, name: plain(name), port }),
            _ => Err(wrong()),
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        if self.name.contains(':') {
            write!(f, "[{}]", self.name)?;
        } else {
            write!(f, "{star}{}", self.name)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn list(hosts: &[&str]) -> ChecksNetwork {
        ChecksNetwork::Only(hosts.iter().map(|text| host(text)).collect())
    }

    #[test]
    fn an_entry_lets_its_name_and_ports_through_and_nothing_else() {
        let plain = host("Crates.io");
        assert!(plain.allows("crates.io", 443) && plain.allows("CRATES.IO.", 80));
        assert!(!plain.allows("crates.io", 22) && !plain.allows("static.crates.io", 443));
        assert!(!plain.allows("notcrates.io", 443) && !plain.allows("crates.io.evil.org", 443));
        let below = host("*.npmjs.org:8443");
        assert!(below.allows("registry.npmjs.org", 8443) && below.allows("a.b.npmjs.org", 8443));
        for (name, port) in
            [("npmjs.org", 8443), ("registry.npmjs.org", 443), ("evilnpmjs.org", 8443), (".npmjs.org", 8443)]
        {
            assert!(!below.allows(name, port), "{name}:{port}");
        }
        let address = host("[fd00:0:0::5]:81");
        assert!(address.allows("[fd00::5]", 81) && !address.allows("[fd00::6]", 81));
        assert!(address.allows_address("fd00::5".parse().unwrap(), 81));
        assert!(host("10.0.0.5").allows_address("::ffff:10.0.0.5".parse().unwrap(), 443));
        assert!(!plain.allows_address("10.0.0.5".parse().unwrap(), 443));
        for text in ["crates.io", "*.npmjs.org:8443", "10.0.0.5", "[fd00::5]:81", "[fd00::5]"] {
            assert_eq!(host(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_server_is_told() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "https://crates.io",
            "crates.io/",
            "a:b",
            "a:0",
            "a:70000",
            "-a",
            "a..b",
            "*.10.0.0.1",
            "[x]",
            "fd00::5",
            "a.*.b",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wish_is_bounded_by_what_is_allowed() {
        use ChecksNetwork::{Everything, Nothing};
        let wish = list(&["crates.io", "registry.npmjs.org", "example.org", "npmjs.org"]);
        let allowed = list(&["*.npmjs.org", "crates.io"]);
        assert_eq!(wish.within(&allowed), list(&["crates.io", "registry.npmjs.org"]));
        assert_eq!(wish.first_beyond(&allowed).unwrap().to_string(), "example.org");
        assert_eq!((wish.within(&Everything), wish.within(&Nothing)), (wish.clone(), Nothing));
        assert_eq!(
            (Everything.within(&allowed), Everything.within(&Everything)),
            (allowed.clone(), Everything)
        );
        assert_eq!((Nothing.within(&Everything), wish.first_beyond(&Everything)), (Nothing, None));
        assert_eq!(list(&["example.org"]).within(&allowed), Nothing, "an empty list is no network at all");
        // A port that is not allowed, and a whole domain under one name.
        for beyond in ["crates.io:8080", "*.crates.io", "*.org"] {
            assert!(list(&[beyond]).first_beyond(&allowed).is_some(), "{beyond}");
        }
        for fine in ["crates.io:443", "*.npmjs.org", "*.a.npmjs.org:80"] {
            assert!(list(&[fine]).first_beyond(&allowed).is_none(), "{fine}");
        }
    }
}
