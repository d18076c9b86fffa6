//! Addresses and prefixes.

use crate::config::mistake::{Findings, quoted};
use crate::config::places::Place;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};

/// Where AWS, NHN and OpenStack serve instances' metadata; its traffic is never recorded.
pub(super) const METADATA: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 169, 0), 24);

/// An address of a host.
pub(super) fn host_address(text: &str, at: &Place, findings: &mut Findings) -> Option<IpAddr> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let remedy = match text.parse::<IpNet>() {
            Ok(net) => format!("write the address alone: {}", net.addr()),
            Err(_) => "write an address such as 10.77.1.11 or fd00::11".to_owned(),
        };
        findings.mistake(at, format!("{} is not an IP address", quoted(text)), remedy);
        return None;
    };
    if let Some(what) = not_a_host(address) {
        findings.mistake(
            at,
            format!("`{address}` is {what}"),
            "write an address that one host can have",
        );
        return None;
    }
    Some(address)
}

/// Why an address cannot be one host's.
fn not_a_host(address: IpAddr) -> Option<&'static str> {
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    match address {
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_loopback() => Some("a loopback address"),
        _ if mapped => Some("an IPv4 address in IPv6 clothes"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => {
            Some("a reserved address")
        }
        _ => None,
    }
}

/// An address or a prefix, host bits masked.
pub(super) fn prefix(text: &str, at: &Place, findings: &mut Findings) -> Option<IpNet> {
    let host = || text.parse::<IpAddr>().map(IpNet::from);
    let prefix = text
        .parse::<IpNet>()
        .or_else(|_| host())
        .ok()
        .map(|net| net.trunc());
    if prefix.is_none() {
        let remedy = "write for example 10.0.0.0/8, 10.0.0.7 or 2001:db8::/64";
        findings.mistake(
            at,
            format!("{} is not an address or prefix", quoted(text)),
            remedy,
        );
    }
    prefix
}

/// An IPv4 prefix that hosts can live in.
pub(super) fn cidr(text: &str, at: &Place, findings: &mut Findings) -> Option<Ipv4Net> {
    let Ok(net) = text.parse::<Ipv4Net>() else {
        let remedy = match text.parse::<Ipv6Net>() {
            Ok(_) => "an IPv6 prefix belongs under `cidr6` of the subnet",
            Err(_) => "write address and length, as 10.77.1.0/24",
        };
        findings.mistake(
            at,
            format!("{} is not an IPv4 prefix", quoted(text)),
            remedy,
        );
        return None;
    };
    check_prefix(net.into(), at, findings);
    Some(net.trunc())
}

/// An IPv6 prefix that hosts can live in.
pub(super) fn cidr6(text: &str, at: &Place, findings: &mut Findings) -> Option<Ipv6Net> {
    let Ok(net) = text.parse::<Ipv6Net>() else {
        let remedy = match text.parse::<Ipv4Net>() {
            Ok(_) => "an IPv4 prefix belongs under `cidr`",
            Err(_) => "write address and length, as fd00:77::/64",
        };
        findings.mistake(
            at,
            format!("{} is not an IPv6 prefix", quoted(text)),
            remedy,
        );
        return None;
    };
    check_prefix(net.into(), at, findings);
    Some(net.trunc())
}

fn check_prefix(net: IpNet, at: &Place, findings: &mut Findings) {
    if net.addr() != net.network() {
        findings.mistake(
            at,
            format!("`{net}` has bits beyond its length"),
            format!("write {}", net.trunc()),
        );
    } else if net.prefix_len() == 0 {
        findings.mistake(
            at,
            format!("`{net}` is every address"),
            "write the range that is used",
        );
    } else if let Some(what) = not_a_host(net.network()).filter(|_| !net.network().is_unspecified())
    {
        let what = what.replace("address", "range");
        findings.mistake(
            at,
            format!("`{net}` is {what}"),
            "write a unicast range, as 10.77.0.0/16 or fd00:77::/64",
        );
    }
}

/// Whether an address stands for the subnet rather than for a host in it.
pub(super) fn stands_for_the_subnet(
    address: IpAddr,
    cidr: Option<Ipv4Net>,
    cidr6: Option<Ipv6Net>,
) -> Option<&'static str> {
    match (address, cidr, cidr6) {
        // RFC 3021: of two addresses, both are hosts.
        (IpAddr::V4(ip), Some(net), _) if net.prefix_len() <= 30 && ip == net.network() => {
            Some("network address")
        }
        (IpAddr::V4(ip), Some(net), _) if net.prefix_len() <= 30 && ip == net.broadcast() => {
            Some("broadcast address")
        }
        // RFC 4291, section 2.6.1, and RFC 6164 for /127.
        (IpAddr::V6(ip), _, Some(net)) if net.prefix_len() <= 126 && ip == net.network() => {
            Some("subnet-router anycast address")
        }
        _ => None,
    }
}
