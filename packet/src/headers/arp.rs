//! ARP and RARP bodies (RFC 826, RFC 903).
//!
//! Read here rather than through smoltcp's view, whose accessors trust the address lengths that
//! the packet claims.

use super::{Arp, Defect, Headers, Net};
use crate::Mac;
use std::net::Ipv4Addr;

/// Ethernet, IPv4, six and four bytes of address: the only form there is for us.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0, 6, 4];

#[inline]
pub(super) fn parse(headers: &mut Headers, body: &[u8]) {
    match body_of(body) {
        Some(arp) => headers.net = Net::Arp(arp),
        None => headers.flaw(Defect::Arp),
    }
}

fn body_of(body: &[u8]) -> Option<Arp> {
    let (form, rest) = body.split_first_chunk::<6>()?;
    let (operation, rest) = rest.split_first_chunk::<2>()?;
    let (sender_mac, rest) = rest.split_first_chunk::<6>()?;
    let (sender_ip, rest) = rest.split_first_chunk::<4>()?;
    let (_target_mac, rest) = rest.split_first_chunk::<6>()?;
    let (target_ip, _padding) = rest.split_first_chunk::<4>()?;
    (*form == ETHERNET_IPV4).then(|| Arp {
        operation: u16::from_be_bytes(*operation),
        sender_mac: Mac(*sender_mac),
        sender_ip: Ipv4Addr::from(*sender_ip),
        target_ip: Ipv4Addr::from(*target_ip),
    })
}
