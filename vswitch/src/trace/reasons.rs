//! What each reason means and what to do about it, in one place for `trace`, `show drops` and
//! `docs/drops.md`.

use packet::{Basis, Reason, Verdict};

/// A reason in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What it says of the packet.
    pub meaning: &'static str,
    /// What to do where the packet should have passed.
    pub remedy: &'static str,
}

/// A reason in words.
#[must_use]
pub const fn meaning(reason: Reason) -> Meaning {
    let (meaning, remedy) = match reason {
        Reason::DefaultDeny => (
            "no rule allows it",
            "add a rule to one of the port's groups",
        ),
        Reason::Revoked => (
            "its connection was allowed by a rule that is gone",
            "put the rule back, or, where the rules allow what comes now, `vswitch connections flush --tuple` the old connection; `persist_established: true` lets answered connections outlive their rule",
        ),
        Reason::CtInvalid => (
            "it belongs to no valid connection",
            "look at the stage `connection` for what is wrong; a connection begins with a SYN, or with `tcp_loose` an ACK",
        ),
        Reason::CtFull => (
            "the connection table, or the port's share of it, is full",
            "raise `conntrack.limit` or the port's `conntrack_limit`; look for a scan with `vswitch show connections --port`",
        ),
        Reason::SpoofMac => (
            "the source MAC is not the port's",
            "add the MAC with its address to the port's `allowed_address_pairs` if the guest may use both together",
        ),
        Reason::SpoofIp => (
            "the source address is not the port's",
            "add the address to the port's `fixed_ips`, or with the MAC that it is sent from to `allowed_address_pairs`, if the guest may use it",
        ),
        Reason::SpoofArp => (
            "ARP claims an address that is not the port's",
            "add the address to the port's `fixed_ips` or `allowed_address_pairs` if the guest may use it",
        ),
        Reason::SpoofNd => (
            "neighbour discovery claims an address that is not the port's",
            "add the address to the port's `fixed_ips` or `allowed_address_pairs` if the guest may use it",
        ),
        Reason::RaGuard => (
            "a router advertisement from a guest",
            "a guest that is the router needs the subnet's IPv6 `gateway_ip` in its `allowed_address_pairs`, or `port_security_enabled: false`, or the role `uplink`",
        ),
        Reason::DhcpServer => (
            "a DHCP server's answer from a port that is none",
            "name the server's (or relay's) address of this family in the subnet's `dhcp_servers`; a DHCPv6 server's link-local address comes with it",
        ),
        Reason::Malformed => (
            "its headers contradict themselves or the frame",
            "nothing: the sender is broken, or attacks",
        ),
        Reason::Mtu => (
            "it is longer than the receiving port's MTU",
            "give both ends the same `mtu`; a router would have sent `fragmentation needed`",
        ),
        Reason::Ethertype => (
            "its ethertype is not permitted",
            "add the ethertype to the port's `permitted_ethertypes`",
        ),
        Reason::L2Reserved => (
            "a reserved link-layer address, or an 802.3 length frame",
            "permit its ethertype at the port (`permitted_ethertypes`), if it has one: LLDP 0x88cc, EAPOL 0x888e, LACP 0x8809; spanning tree and other frames with a length have none, and pause frames end here",
        ),
        Reason::Vlan => (
            "a VLAN tag where none belongs",
            "send untagged frames; segments are the subnets'",
        ),
        Reason::FragTiny => (
            "a first fragment too small for its layer 4 header",
            "nothing: no real stack sends such fragments (RFC 1858)",
        ),
        Reason::FragOverlap => (
            "fragments that overlap",
            "nothing: no real stack sends such fragments (RFC 5722)",
        ),
        Reason::FragOrder => (
            "a fragment out of turn: it repeats one, or is a copy whose receiver has not seen the first",
            "nothing: its datagram goes on without it",
        ),
        Reason::FragTimeout => (
            "a fragment whose first one did not come in time",
            "look for losses on the way here",
        ),
        Reason::FragLimit => (
            "more fragments ahead of their first than may wait, or a datagram in too many",
            "send datagrams that need no fragments",
        ),
    };
    Meaning { meaning, remedy }
}

/// Where on a packet's way such a verdict is reached.
#[must_use]
pub(super) const fn stage(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept(Basis::Rule) | Verdict::Drop(Reason::DefaultDeny | Reason::Revoked) => {
            "rules"
        }
        Verdict::Accept(Basis::Reply | Basis::Related) | Verdict::Drop(Reason::CtInvalid) => {
            "connection"
        }
        Verdict::Accept(Basis::Essential) => "essentials",
        Verdict::Accept(Basis::Unfiltered) => "unfiltered",
        Verdict::Drop(Reason::CtFull) => "table",
        Verdict::Drop(
            Reason::FragTiny
            | Reason::FragOverlap
            | Reason::FragOrder
            | Reason::FragTimeout
            | Reason::FragLimit,
        ) => "fragments",
        // The sender's guard, and what a receiver takes at all.
        Verdict::Drop(
            Reason::SpoofMac
            | Reason::SpoofIp
            | Reason::SpoofArp
            | Reason::SpoofNd
            | Reason::RaGuard
            | Reason::DhcpServer
            | Reason::Malformed
            | Reason::Mtu
            | Reason::Ethertype
            | Reason::L2Reserved
            | Reason::Vlan,
        ) => "admission",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/drops.md");

    #[test]
    fn every_reason_has_its_row_in_the_document_with_the_same_words() {
        for &reason in Reason::ALL {
            let row = DOCUMENT
                .lines()
                .find(|line| line.starts_with(&format!("| `{reason}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/drops.md has no row for `{reason}`"));
            assert_eq!(row.matches('|').count(), 6, "{row}");
            assert!(
                row.contains(meaning(reason).meaning),
                "{row}\nshould say: {}",
                meaning(reason).meaning
            );
        }
    }

    #[test]
    fn the_document_has_no_row_for_what_is_no_reason() {
        for line in DOCUMENT.lines().filter(|line| line.starts_with("| `")) {
            let name = line.split('`').nth(1).unwrap();
            let is_loss = ["tx_lost", "no_port", "skipped"].contains(&name);
            assert!(is_loss || name.parse::<Reason>().is_ok(), "{line}");
        }
    }
}
