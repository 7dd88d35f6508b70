//! Which addresses belong to everybody's internet, and which to this machine, its network, or
//! nobody. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether it is an address of the internet: none of this machine, of a private network, of a
/// cloud's own services, or of many.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // "This network", and what is kept for later or for many.
        (0 | 224..=255, _, _) => true,
        // Carriers' own, networks' tests.
        (100, 64..=127, _) | (198, 18 | 19, _) => true,
        // Protocols' own, and the old relays to IPv6.
        (192, 0, 0) | (192, 88, 99) => true,
        _ => false,
    };
    let is_near = address.is_private() || address.is_loopback() || address.is_link_local();
    !(is_special || is_near || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    // Only 2000::/3 is given out at all. Within it, parts that stand for an address of the older
    // kind, or for examples.
    let is_given_out = (parts[0] & 0xe000) == 0x2000;
    let is_special = match (parts[0], parts[1]) {
        // Teredo and other protocols' own (2001::/23), and examples.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => true,
        // 6to4.
        (0x2002, _) => true,
        _ => false,
    };
    is_given_out && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_its_network_and_a_clouds_services_are_not_public() {
        let near = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ];
        for text in near {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        let public = [
            "1.1.1.1",
            "9.9.9.9",
            "100.128.0.1",
            "172.32.0.1",
            "::ffff:8.8.8.8",
            "2606:4700:4700::1111",
            "2a00:1450::1",
        ];
        for text in public {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
