//! An interface, read from the kernel's answer. What an answer lacks keeps its zero.

use crate::netlink::{attrs, u32_at, u64_at};
use packet::Mac;

/// An interface, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number of the interface within its namespace.
    pub index: u32,
    /// Hardware address; [`Mac::ZERO`] where there is none of six bytes.
    pub mac: Mac,
    /// Largest packet in bytes, without the Ethernet header.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Frames that the transmit queue holds; for a TAP, the length of its ring.
    pub tx_queue_len: u32,
    /// What queues frames in front of the device (`pfifo_fast`, `mq`, `noqueue`), of one that is up.
    pub scheduler: String,
    /// The kind of a virtual device (`tun`, `veth`, `bridge`); empty for hardware.
    pub kind: String,
    /// What is known of a TUN or TAP.
    pub tap: Option<TapKind>,
    /// Counters at the time of reading.
    pub stats: LinkStats,
}

/// Flags of a TUN/TAP device, as its makers asked for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapKind {
    /// Carries Ethernet frames: a TAP. Otherwise a TUN.
    pub ethernet: bool,
    /// Takes more than one queue.
    pub multi_queue: bool,
    /// Frames carry a virtio header.
    pub vnet_hdr: bool,
    /// Outlives its descriptors.
    pub persistent: bool,
    /// Queues that some program has open; of a TAP for one queue the kernel does not tell, 0.
    pub queues: u32,
}

/// Counters of an interface, **seen from its own kernel**: `tx` is what the guest sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Frames that came in.
    pub rx_packets: u64,
    /// Frames that went out.
    pub tx_packets: u64,
    /// Bytes that came in.
    pub rx_bytes: u64,
    /// Bytes that went out.
    pub tx_bytes: u64,
    /// Frames that came in and were thrown away.
    pub rx_dropped: u64,
    /// Frames thrown away on the way out: of a TAP, those its ring had no room for.
    pub tx_dropped: u64,
}

/// Reads an RTM_NEWLINK answer.
pub(super) fn read_link(body: &[u8]) -> Link {
    let mut link = Link {
        index: u32_at(body, 4).unwrap_or_default(),
        mac: Mac::ZERO,
        mtu: 0,
        up: u32_at(body, 8).unwrap_or_default() & libc::IFF_UP as u32 != 0,
        tx_queue_len: 0,
        scheduler: String::new(),
        kind: String::new(),
        tap: None,
        stats: LinkStats::default(),
    };
    for (kind, value) in attrs(body.get(16..).unwrap_or_default()) {
        match kind {
            libc::IFLA_ADDRESS => link.mac = value.try_into().map_or(Mac::ZERO, Mac),
            libc::IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or_default(),
            libc::IFLA_TXQLEN => link.tx_queue_len = u32_at(value, 0).unwrap_or_default(),
            libc::IFLA_QDISC => link.scheduler = text(value),
            libc::IFLA_STATS64 => link.stats = read_stats(value),
            libc::IFLA_LINKINFO => read_kind(value, &mut link),
            _ => {}
        }
    }
    link
}

/// A string of the kernel's, with its NUL.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(b"\0").unwrap_or(value)).into_owned()
}

/// `struct rtnl_link_stats64`: a row of 64-bit counters.
fn read_stats(value: &[u8]) -> LinkStats {
    let counter = |n: usize| u64_at(value, n * 8).unwrap_or_default();
    LinkStats {
        rx_packets: counter(0),
        tx_packets: counter(1),
        rx_bytes: counter(2),
        tx_bytes: counter(3),
        rx_dropped: counter(6),
        tx_dropped: counter(7),
    }
}

/// IFLA_LINKINFO: the kind, and for `tun` the attributes of `drivers/net/tun.c` (`IFLA_TUN_…`).
fn read_kind(value: &[u8], link: &mut Link) {
    for (kind, value) in attrs(value) {
        match kind {
            libc::IFLA_INFO_KIND => link.kind = text(value),
            libc::IFLA_INFO_DATA if link.kind == "tun" => {
                let mut tap = TapKind::default();
                for (kind, value) in attrs(value) {
                    let count = u32_at(value, 0).unwrap_or_default();
                    let value = value.first().copied().unwrap_or_default();
                    match kind {
                        3 => tap.ethernet = libc::c_int::from(value) == libc::IFF_TAP,
                        5 => tap.vnet_hdr = value != 0,
                        6 => tap.persistent = value != 0,
                        7 => tap.multi_queue = value != 0,
                        // Those in use, and those that their program has switched off for a while.
                        8 | 9 => tap.queues = tap.queues.saturating_add(count),
                        _ => {}
                    }
                }
                link.tap = Some(tap);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cut_short_is_read_as_far_as_it_goes() {
        for len in 0..24 {
            let _ = read_link(&vec![0xff; len]);
        }
    }
}
