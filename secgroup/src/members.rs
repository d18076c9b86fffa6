//! Who is in which group: address → groups, per VPC, changed in place.
//!
//! ```text
//!   vpc ─▶ family ─▶ (prefix length, network) ─▶ [(group, how many ports say so)]
//!                 └▶ MAC                      ─▶ [(group, …)]   pairs of length 0
//! ```
//!
//! A member is its fixed addresses and its allowed address pairs (`neutron/db/securitygroups_rpc_base.py`).
//! Joining and leaving cost as many table writes as the port has addresses and groups, however many
//! rules and members there are. Two ports may share an address, so every membership is counted.
//! A group without members is in no table, hence matches nothing.

use crate::{Ethertype, PortSpec};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use packet::Mac;
use std::net::IpAddr;
use uuid::Uuid;

/// The members of every group.
#[derive(Debug, Clone, Default)]
pub struct Members {
    /// By VPC index, IPv4 then IPv6.
    vpcs: Vec<[Family; 2]>,
}

/// The members with addresses of one family in one VPC. Lookups never insert and the content comes
/// from the configuration, so a fixed hash seed gives an attacker nothing.
#[derive(Debug, Clone, Default)]
struct Family {
    /// Prefix lengths in use and by how many memberships.
    lengths: Vec<(u8, u32)>,
    networks: HashMap<(u128, u8), Groups, FixedState>,
    /// A pair of length 0 speaks for its MAC only; else one member would be everybody
    /// (`neutron/agent/linux/openvswitch_firewall/rules.py`).
    macs: HashMap<Mac, Groups, FixedState>,
}

/// Groups and how many memberships put them here, sorted by group.
#[derive(Debug, Clone, Default)]
struct Groups(Vec<(Uuid, u32)>);

impl Members {
    /// Takes a port's addresses into its groups. Every join needs its [`leave`](Self::leave).
    pub fn join(&mut self, port: &PortSpec) {
        let vpc = usize::from(port.vpc);
        if self.vpcs.len() <= vpc {
            self.vpcs.resize_with(vpc + 1, Default::default);
        }
        let families = &mut self.vpcs[vpc];
        for (mac, prefix) in port.couples() {
            let family = &mut families[index(prefix.addr())];
            for group in &port.groups {
                family.join(mac, prefix, *group);
            }
        }
    }

    /// Takes a port's addresses out again. `port` must say what it said when it joined; what was
    /// never joined is left alone.
    pub fn leave(&mut self, port: &PortSpec) {
        let Some(families) = self.vpcs.get_mut(usize::from(port.vpc)) else {
            return;
        };
        for (mac, prefix) in port.couples() {
            let family = &mut families[index(prefix.addr())];
            for group in &port.groups {
                family.leave(mac, prefix, *group);
            }
        }
    }

    /// Calls `found` with every group of an address, some perhaps more than once. `mac` is the
    /// address's, for members who may use any address.
    #[inline]
    pub fn groups_of(&self, vpc: u16, address: IpAddr, mac: Mac, mut found: impl FnMut(Uuid)) {
        let Some(families) = self.vpcs.get(usize::from(vpc)) else {
            return;
        };
        let family = &families[index(address)];
        let bits = bits(address);
        for (length, _) in &family.lengths {
            if let Some(groups) = family.networks.get(&(network(bits, *length), *length)) {
                groups.0.iter().for_each(|(group, _)| found(*group));
            }
        }
        if !family.macs.is_empty()
            && let Some(groups) = family.macs.get(&mac)
        {
            groups.0.iter().for_each(|(group, _)| found(*group));
        }
    }
}

impl Family {
    fn join(&mut self, mac: Mac, prefix: IpNet, group: Uuid) {
        let length = prefix.prefix_len();
        if length == 0 {
            return self.macs.entry(mac).or_default().add(group);
        }
        match self.lengths.iter_mut().find(|(l, _)| *l == length) {
            Some((_, count)) => *count += 1,
            None => self.lengths.push((length, 1)),
        }
        self.networks.entry(key(prefix)).or_default().add(group);
    }

    fn leave(&mut self, mac: Mac, prefix: IpNet, group: Uuid) {
        let length = prefix.prefix_len();
        if length == 0 {
            remove(&mut self.macs, &mac, group);
        } else if remove(&mut self.networks, &key(prefix), group)
            && let Some(at) = self.lengths.iter().position(|(l, _)| *l == length)
        {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.swap_remove(at);
            }
        }
    }
}

impl Groups {
    fn add(&mut self, group: Uuid) {
        match self.0.binary_search_by_key(&group, |(g, _)| *g) {
            Ok(at) => self.0[at].1 += 1,
            Err(at) => self.0.insert(at, (group, 1)),
        }
    }

    /// Whether the group was there.
    fn remove(&mut self, group: Uuid) -> bool {
        let Ok(at) = self.0.binary_search_by_key(&group, |(g, _)| *g) else {
            return false;
        };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.remove(at);
        }
        true
    }
}

fn remove<K: std::hash::Hash + Eq>(
    table: &mut HashMap<K, Groups, FixedState>,
    key: &K,
    group: Uuid,
) -> bool {
    let Some(groups) = table.get_mut(key) else {
        return false;
    };
    let was_there = groups.remove(group);
    if groups.0.is_empty() {
        table.remove(key);
    }
    was_there
}

fn key(prefix: IpNet) -> (u128, u8) {
    (
        network(bits(prefix.addr()), prefix.prefix_len()),
        prefix.prefix_len(),
    )
}

#[inline]
const fn index(address: IpAddr) -> usize {
    Ethertype::of(address) as usize
}

/// The address, left-aligned in 128 bits, so that a prefix length means the same in both families.
#[inline]
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The first `length` bits, at least 1.
#[inline]
const fn network(bits: u128, length: u8) -> u128 {
    bits & (u128::MAX << (128 - length as u32))
}
