//! Guests by name in the text of a packet: `udp A:4000 > B6:53`, `target=A.ll`, `from C.mac`.
//!
//! `A` is the port's first IPv4 address, `A6` its first IPv6 address, `A.ll` the link-local address and
//! `A.mac` the MAC. X is a host behind the uplink.

use crate::setup::Setup;
use packet::{Mac, PacketSpec, SpecBody};
use std::net::IpAddr;

const X: &str = "198.51.100.9";
const X6: &str = "2001:db8:ffff::9";

/// The frame of a packet that `from` sends, MAC addresses filled in.
pub(crate) fn frame(setup: &Setup, from: &str, text: &str) -> Vec<u8> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| expand(setup, word))
        .collect();
    let spec: PacketSpec = words
        .join(" ")
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    spec.build(mac_of(setup, from), towards(setup, &spec))
}

pub(crate) fn mac_of(setup: &Setup, name: &str) -> Mac {
    let port = setup.config.ports.iter().find(|port| port.name == name);
    port.unwrap_or_else(|| panic!("there is no port {name}"))
        .spec
        .mac
}

fn expand(setup: &Setup, word: &str) -> String {
    if let Some((key, value)) = word.split_once('=') {
        return format!("{key}={}", expand(setup, value));
    }
    if let Some(address) = named(setup, word) {
        return address;
    }
    match word
        .rsplit_once(':')
        .map(|(name, port)| (named(setup, name), port))
    {
        Some((Some(address), port)) if address.contains(':') => format!("[{address}]:{port}"),
        Some((Some(address), port)) => format!("{address}:{port}"),
        _ => word.to_owned(),
    }
}

fn named(setup: &Setup, word: &str) -> Option<String> {
    match word {
        "X" => return Some(X.to_owned()),
        "X6" => return Some(X6.to_owned()),
        _ => {}
    }
    let spec = |name: &str| {
        setup
            .config
            .ports
            .iter()
            .find(|port| port.name == name)
            .map(|port| &port.spec)
    };
    let address = |name: &str, is_v4: bool| {
        let mut addresses = spec(name)?.fixed_ips.iter();
        addresses
            .find(|ip| ip.is_ipv4() == is_v4)
            .map(ToString::to_string)
    };
    if let Some(name) = word.strip_suffix(".mac") {
        return Some(spec(name)?.mac.to_string());
    }
    if let Some(name) = word.strip_suffix(".ll") {
        return Some(spec(name)?.mac.link_local().to_string());
    }
    address(word, true).or_else(|| address(word.strip_suffix('6')?, false))
}

/// The MAC that a guest's kernel would send it to: a neighbour's, a group's, else the gateway's.
fn towards(setup: &Setup, spec: &PacketSpec) -> Mac {
    let SpecBody::Ip(ip) = &spec.body else {
        return Mac::BROADCAST;
    };
    let owns = |spec: &secgroup::PortSpec| {
        spec.fixed_ips.contains(&ip.dst) || ip.dst == IpAddr::V6(spec.mac.link_local())
    };
    let ports = || setup.config.ports.iter().map(|port| &port.spec);
    match ip.dst {
        IpAddr::V4(v4) if v4.is_broadcast() || v4.octets() == [10, 0, 0, 255] => Mac::BROADCAST,
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            Mac([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(v6) if v6.is_multicast() => {
            let [.., a, b, c, d] = v6.octets();
            Mac([0x33, 0x33, a, b, c, d])
        }
        _ => {
            let owner = ports()
                .find(|spec| owns(spec))
                .or_else(|| ports().find(|spec| spec.uplink));
            owner.map_or(Mac([2, 0, 0, 0, 0, 0x99]), |spec| spec.mac)
        }
    }
}
