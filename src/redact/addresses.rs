//! Addresses that are nobody's business but the operator's: of a gateway before the model, of a
//! machine in their network. A program that does not reach one names it, and what it says is told
//! on an issue that everybody may read.

use std::net::{IpAddr, Ipv6Addr};

use reqwest::Url;

/// What stands in the place of one.
const MARK: &str = "[address]";
/// Names under which nothing is found on the internet.
const INSIDE: [&str; 9] =
    [".internal", ".local", ".lan", ".corp", ".home", ".intranet", ".localdomain", ".private", ".home.arpa"];

/// Knows which addresses the operator has named.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    hosts: Vec<String>,
}

impl Addresses {
    /// Those among some settings for the agent's program.
    pub fn among<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let host = |value: &str| Url::parse(value.trim()).ok()?.host_str().map(str::to_ascii_lowercase);
        Self { hosts: values.into_iter().filter_map(host).collect() }
    }

    /// The text without them, and without those that lead nowhere from outside.
    pub fn leave_out(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for word in text.split_inclusive(|c: char| c.is_whitespace() || "\"'`<>(){},;".contains(c)) {
            let core = word.trim_end_matches(|c: char| c.is_whitespace() || "\"'`<>(){},;.:!".contains(c));
            let begin = self.begin_of_own(core);
            match begin {
                Some(begin) => out.extend([&core[..begin], MARK, &word[core.len()..]]),
                None => out.push_str(word),
            }
        }
        out
    }

    /// Where an address begins in a word that is the operator's own.
    fn begin_of_own(&self, word: &str) -> Option<usize> {
        let (begin, rest, is_url) = match word.find("://") {
            Some(at) => {
                let scheme =
                    word[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |before| before + 1);
                (scheme, &word[at + 3..], true)
            }
            // As in `dial=10.0.0.5:4000`.
            None => {
                let begin = word.rfind('=').map_or(0, |at| at + 1);
                (begin, &word[begin..], false)
            }
        };
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = place.rsplit('@').next().unwrap_or_default();
        self.is_own(host_of(place), is_url).then_some(begin)
    }

    fn is_own(&self, host: &str, is_url: bool) -> bool {
        let host = host.to_ascii_lowercase();
        if self.hosts.contains(&host) {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return is_inside(address);
        }
        // In an address a name without a dot is one of the network's own; elsewhere it is a word.
        let is_short = is_url && !host.is_empty() && !host.contains('.');
        is_short || (host.len() > 1 && INSIDE.iter().any(|end| host.ends_with(end) && host.len() > end.len()))
    }
}

/// The host of `host:port`.
fn host_of(place: &str) -> &str {
    if let Some(inside) = place.strip_prefix('[') {
        return inside.split(']').next().unwrap_or_default();
    }
    match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.chars().all(|c| c.is_ascii_digit()) => host,
        _ => place,
    }
}

fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            // 100.64.0.0/10 is a provider's own.
            let is_shared = octets[0] == 100 && (64..128).contains(&octets[1]);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address == Ipv6Addr::LOCALHOST
                || address.is_unspecified()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || address.to_ipv4_mapped().is_some_and(|address| is_inside(address.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_into_the_operators_network_is_left_out_and_nothing_else() {
        let own = Addresses::among(["https://llm.acme.example/v1", "true", "secret value", "10"]);
        for (text, told) in [
            ("connect to https://llm.acme.example/v1/messages failed", "connect to [address] failed"),
            ("getaddrinfo ENOTFOUND llm.acme.example.", "getaddrinfo ENOTFOUND [address]."),
            ("LLM.acme.example:443 refused", "[address] refused"),
            ("connect ECONNREFUSED 10.0.0.5:4000", "connect ECONNREFUSED [address]"),
            ("(http://172.17.0.1:8080/x)", "([address])"),
            ("error: url=\"http://gateway:4000/v1\"", "error: url=\"[address]\""),
            ("dial=192.168.1.9:80: no route", "dial=[address]: no route"),
            ("proxy.corp:3128, http://[fd00::1]:80/ and ::1", "[address], [address] and [address]"),
            ("http://user:word@127.0.0.1/", "[address]"),
        ] {
            assert_eq!(own.leave_out(text), told);
        }
        for text in [
            "API Error: 500 https://api.anthropic.com/v1/messages, see https://status.anthropic.com.",
            "at 10:31: 3.5 of 4.0 in src/main.rs:12:3, version 1.2.3.4.5 and 8.8.8.8",
            "a.local_b, cargo.toml, e.g. this://",
            "",
        ] {
            assert_eq!(own.leave_out(text), text);
        }
    }
}
