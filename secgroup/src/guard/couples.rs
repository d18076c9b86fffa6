//! The (MAC, address) couples a port may use. They are couples: the MAC of a pair with a fixed
//! address is nobody's (`neutron/agent/linux/openvswitch_firewall/firewall.py`).

use crate::PortSpec;
use ipnet::IpNet;
use packet::Mac;
use std::net::IpAddr;

/// Couples of one port. At most [`crate::limits::PAIRS_PER_PORT_MAX`] prefixes are walked.
#[derive(Debug, Clone)]
pub(super) struct Couples {
    /// Nearly every packet's: the port's own MAC and its first address.
    own: Option<(Mac, IpAddr)>,
    /// Single addresses, sorted.
    exact: Box<[(Mac, IpAddr)]>,
    prefixes: Box<[(Mac, IpNet)]>,
    /// The port's own MAC first, then those of its pairs.
    macs: Box<[Mac]>,
}

impl Couples {
    pub(super) fn new(port: &PortSpec) -> Self {
        let (mut exact, mut prefixes, mut macs) = (Vec::new(), Vec::new(), vec![port.mac]);
        for (mac, prefix) in port.couples() {
            if prefix.prefix_len() == prefix.max_prefix_len() {
                exact.push((mac, prefix.addr()));
            } else {
                prefixes.push((mac, prefix));
            }
            if !macs.contains(&mac) {
                macs.push(mac);
            }
        }
        exact.sort_unstable();
        exact.dedup();
        let own = port.fixed_ips.first().map(|address| (port.mac, *address));
        Self {
            own,
            exact: exact.into(),
            prefixes: prefixes.into(),
            macs: macs.into(),
        }
    }

    /// Whether the port may use the address with this MAC.
    #[inline]
    pub(super) fn owns(&self, mac: Mac, address: impl Into<IpAddr>) -> bool {
        let address = address.into();
        self.own == Some((mac, address)) || self.owns_besides(mac, address)
    }

    fn owns_besides(&self, mac: Mac, address: IpAddr) -> bool {
        self.exact.binary_search(&(mac, address)).is_ok()
            || self
                .prefixes
                .iter()
                .any(|(m, prefix)| *m == mac && prefix.contains(&address))
    }

    /// Whether the port may use the address with any MAC.
    pub(super) fn owns_address(&self, address: IpAddr) -> bool {
        self.owns_exactly(address)
            || self
                .prefixes
                .iter()
                .any(|(_, prefix)| prefix.contains(&address))
    }

    /// Whether the port may use the address itself, not only a prefix around it.
    pub(super) fn owns_exactly(&self, address: IpAddr) -> bool {
        self.exact.iter().any(|(_, exact)| *exact == address)
    }

    #[inline]
    pub(super) fn owns_mac(&self, mac: Mac) -> bool {
        self.macs.contains(&mac)
    }

    pub(super) fn macs(&self) -> &[Mac] {
        &self.macs
    }
}
