//! Whose frame a captured one is, and the MAC addresses that its capture does not hold.

use crate::config::{Plan, Role};
use crate::io::pcap::Macs;
use ipnet::IpNet;
use packet::{Headers, Mac};
use std::collections::HashMap;
use std::net::IpAddr;

/// Stands for a receiver outside the configuration: no port has it, so that an uplink takes the frame, or
/// nothing does.
const ELSEWHERE: Mac = Mac([0x02, 0, 0, 0, 0, 0]);

/// Who has sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The port at this place in the plan.
    Port(usize),
    /// Another port than the one whose capture it is.
    Other,
    /// No port.
    Unknown,
}

/// The ports by their addresses, by place in the plan.
pub(super) struct Owners<'a> {
    plan: &'a Plan,
    macs: HashMap<Mac, usize>,
    addresses: HashMap<IpAddr, Vec<usize>>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let mut macs = HashMap::new();
        let mut addresses: HashMap<_, Vec<_>> = HashMap::new();
        for (place, port) in plan.ports.iter().enumerate() {
            let pairs = port.allowed_address_pairs.iter();
            for mac in [port.mac]
                .into_iter()
                .chain(pairs.filter_map(|pair| pair.mac))
            {
                macs.entry(mac).or_insert(place);
            }
            for &address in &port.fixed_ips {
                addresses.entry(address).or_default().push(place);
            }
        }
        Self {
            plan,
            macs,
            addresses,
        }
    }

    /// Who has sent a frame, of the capture of `owner` if it is one port's.
    pub(super) fn sender(&self, owner: Option<usize>, macs: Macs, headers: &Headers) -> Sender {
        if macs != Macs::None {
            let by_mac = self.macs.get(&headers.eth.src).copied();
            return match (owner, by_mac) {
                (Some(owner), Some(other)) if owner != other => Sender::Other,
                (Some(owner), _) => Sender::Port(owner),
                (None, Some(place)) => Sender::Port(place),
                (None, None) => Sender::Unknown,
            };
        }
        let ip = headers.ip();
        let having = |address: Option<IpAddr>| {
            let places = address.and_then(|address| self.addresses.get(&address));
            places.map_or(&[][..], Vec::as_slice)
        };
        let (from, to) = (having(ip.map(|ip| ip.src)), having(ip.map(|ip| ip.dst)));
        match owner {
            Some(owner) if from.contains(&owner) => Sender::Port(owner),
            // What it has received from elsewhere is not its own either.
            Some(owner) if !from.is_empty() || to.contains(&owner) => Sender::Other,
            Some(owner) => Sender::Port(owner),
            None => self.only(from, to).map_or(Sender::Unknown, Sender::Port),
        }
    }

    /// The one that has sent: where several networks have the address, the one in the receiver's subnet.
    fn only(&self, from: &[usize], to: &[usize]) -> Option<usize> {
        let subnet = |place: usize| self.plan.ports[place].subnet;
        let meets = |&&place: &&usize| to.iter().any(|&to| subnet(to) == subnet(place));
        match from {
            [only] => Some(*only),
            _ => {
                let mut near = from.iter().filter(meets);
                let first = near.next().copied();
                first.filter(|_| near.next().is_none())
            }
        }
    }

    /// Writes the addresses that the capture does not hold into the frame of the port at `sender`: those
    /// that its guest would have written.
    pub(super) fn address(&self, sender: usize, macs: Macs, headers: &Headers, frame: &mut [u8]) {
        let Some((addresses, _)) = frame.split_first_chunk_mut::<12>() else {
            return;
        };
        if macs == Macs::None {
            addresses[6..].copy_from_slice(&self.plan.ports[sender].mac.0);
        }
        if macs != Macs::Both && headers.eth.dst == Mac::ZERO {
            let destination = headers.ip().map(|ip| ip.dst);
            let destination = destination.map_or(ELSEWHERE, |to| self.destination(sender, to));
            addresses[..6].copy_from_slice(&destination.0);
        }
    }

    /// The MAC that a guest sends to for an address: its neighbour's, a group's, or the router's.
    fn destination(&self, sender: usize, address: IpAddr) -> Mac {
        let subnet = self.plan.ports[sender].subnet;
        match address {
            IpAddr::V4(v4) if v4.is_broadcast() || self.is_broadcast(subnet, address) => {
                return Mac::BROADCAST;
            }
            // RFC 1112, section 6.4; RFC 2464, section 7.
            IpAddr::V4(v4) if v4.is_multicast() => {
                let [_, b, c, d] = v4.octets();
                return Mac([0x01, 0, 0x5e, b & 0x7f, c, d]);
            }
            IpAddr::V6(v6) if v6.is_multicast() => {
                let octets = v6.octets();
                return Mac([0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]);
            }
            _ => {}
        }
        let near = |&&place: &&usize| self.plan.ports[place].subnet == subnet;
        let neighbour = self.addresses.get(&address);
        if let Some(&place) = neighbour.and_then(|places| places.iter().find(near)) {
            return self.plan.ports[place].mac;
        }
        let mut ports = self.plan.ports.iter();
        let uplink = ports.find(|port| port.role == Role::Uplink && port.subnet == subnet);
        uplink.map_or(ELSEWHERE, |port| port.mac)
    }

    fn is_broadcast(&self, subnet: usize, address: IpAddr) -> bool {
        let cidr = self.plan.subnets.get(subnet).and_then(|subnet| subnet.cidr);
        // A network of 31 bits has none (RFC 3021).
        cidr.is_some_and(|cidr| cidr.prefix_len() < 31 && IpNet::from(cidr).broadcast() == address)
    }
}
