//! Who is behind which MAC (reference A2, A7).

use crate::guard::owns_mac;
use crate::model::{Ports, filters};
use packet::Mac;
use secgroup::PortId;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Milliseconds after which a MAC that was heard is forgotten.
const AGEING_MS: u64 = 300_000;

/// Where a frame is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    To(PortId),
    /// To each of them.
    Flood(Vec<PortId>),
    Nowhere,
}

/// What configuration alone does not say.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Who sent with the MAC of a pair last, of those who have it by a pair or as their own.
    holders: BTreeMap<(Uuid, Mac), PortId>,
    /// MACs heard at ports that filter nothing, and when.
    heard: BTreeMap<(Uuid, Mac), (PortId, u64)>,
}

impl Places {
    pub(crate) fn way(&self, ports: &Ports, rx: PortId, dst: Mac) -> Way {
        let subnet = ports[&rx].subnet;
        let others = || {
            ports
                .iter()
                .filter(|(to, port)| port.subnet == subnet && **to != rx)
        };
        if dst.is_group() {
            return Way::Flood(others().map(|(to, _)| *to).collect());
        }
        match self.known(ports, subnet, dst) {
            Some(to) if to == rx => Way::Nowhere,
            Some(to) => Way::To(to),
            None => {
                let open: Vec<PortId> = others()
                    .filter(|(_, port)| !filters(port))
                    .map(|(to, _)| *to)
                    .collect();
                match open[..] {
                    [] => Way::Nowhere,
                    [to] => Way::To(to),
                    _ => Way::Flood(open),
                }
            }
        }
    }

    fn known(&self, ports: &Ports, subnet: Uuid, mac: Mac) -> Option<PortId> {
        let key = (subnet, mac);
        let mut owner = ports
            .iter()
            .filter(|(_, port)| port.subnet == subnet && port.spec.mac == mac);
        let owner = owner.next().map(|(number, _)| *number);
        let heard = || self.heard.get(&key).map(|(port, _)| *port);
        let holder = self.holders.get(&key).copied();
        holder.or(owner).or_else(heard)
    }

    /// A frame was received and not refused at its sender, or came from a port that filters nothing.
    pub(crate) fn hear(&mut self, ports: &Ports, rx: PortId, src: Mac, now_ms: u64) {
        let port = &ports[&rx];
        let key = (port.subnet, src);
        if filters(port) || port.spec.mac == src {
            if let Some(holder) = self.holders.get_mut(&key) {
                *holder = rx;
            }
            if filters(port) {
                return;
            }
        }
        let is_static = self.holders.contains_key(&key)
            || ports
                .values()
                .any(|other| other.subnet == port.subnet && other.spec.mac == src);
        if is_static || src.is_group() || src == Mac::ZERO {
            return;
        }
        let here = self.heard.values().filter(|(at, _)| *at == rx).count();
        match self.heard.get_mut(&key) {
            Some((at, heard_ms)) if *at == rx => *heard_ms = now_ms,
            _ if here >= port.max_macs => {}
            _ => drop(self.heard.insert(key, (rx, now_ms))),
        }
    }

    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        self.heard
            .retain(|_, (_, heard_ms)| now_ms - *heard_ms <= AGEING_MS);
    }

    /// After a reload, in which these ports changed or went.
    pub(crate) fn settle(&mut self, ports: &Ports, changed: &[PortId]) {
        self.heard.retain(|_, (port, _)| !changed.contains(port));
        let owner = |subnet: Uuid, mac: Mac| {
            let mut all = ports.iter();
            let found = all.find(|(_, port)| port.subnet == subnet && port.spec.mac == mac);
            found.map(|(number, _)| *number)
        };
        let is_of_a_pair = |subnet: Uuid, mac: Mac| {
            let mut all = ports.values().filter(|port| port.subnet == subnet);
            all.any(|port| {
                let mut pairs = port.spec.allowed_address_pairs.iter();
                port.spec.mac != mac && pairs.any(|pair| pair.mac == Some(mac))
            })
        };
        // A port that is new or another takes its own MAC back.
        self.holders.retain(|(subnet, mac), port| {
            let takes_back = owner(*subnet, *mac).is_some_and(|own| changed.contains(&own));
            ports.get(port).is_some_and(|port| owns_mac(port, *mac))
                && is_of_a_pair(*subnet, *mac)
                && !takes_back
        });
        for (number, port) in ports {
            for mac in port
                .spec
                .allowed_address_pairs
                .iter()
                .filter_map(|pair| pair.mac)
            {
                if is_of_a_pair(port.subnet, mac) {
                    let first = owner(port.subnet, mac).unwrap_or(*number);
                    self.holders.entry((port.subnet, mac)).or_insert(first);
                }
            }
        }
        let is_static = |(subnet, mac): &(Uuid, Mac)| {
            ports
                .values()
                .any(|port| port.subnet == *subnet && owns_mac(port, *mac))
        };
        self.heard.retain(|key, _| !is_static(key));
    }
}
