//! The Linux bridge between veth pairs: bare, and as the kernel's stateful firewall.
//!
//! The stateful ones use br_netfilter, which lends bridged frames to the IPv4 hooks of their namespace;
//! connection tracking of the bridge family itself (`nf_conntrack_bridge`) is missing in many kernels.
//! `iptables` has the shape that OpenStack's hybrid driver writes: a zone, a chain for each port and
//! direction, physdev matches. `nftables` is the least that does the same job.

use super::{
    Between, System,
    setup::{Guests, configure, feed, sh},
};
use crate::peers::Peer;
use anyhow::{Result, ensure};
use netns_tests::Lab;
use std::{fmt::Write as _, process::Command};
use tap::Netns;

pub(super) fn start(peer: Peer) -> Result<System> {
    let guests = Guests::Two;
    let mut lab = guests.plan(&["open"], "").prepare();
    let host = lab.namespace("bridge");
    sh(&host, "ip link add br0 type bridge; ip link set br0 up")?;
    // Where br_netfilter is there, it works for new namespaces, and costs, unless it is told not to.
    let is_stateful = peer != Peer::Bridge;
    let file = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    match is_stateful {
        true => sh(&host, &format!("echo 1 > {file}"))?,
        false => sh(
            &host,
            "for f in /proc/sys/net/bridge/bridge-nf-call-*; do if [ -e $f ]; then echo 0 > $f; fi; done",
        )?,
    };
    for name in guests.names() {
        let guest = lab.guest(name);
        let (netns, tap) = (guest.netns(), guest.port().tap());
        sh(
            &host,
            &format!(
                "ip link add {tap} type veth peer name {tap} netns {netns}
                 ip link set {tap} master br0; ip link set {tap} up"
            ),
        )?;
        configure(guest)?;
    }
    match peer {
        Peer::Iptables => iptables(&host, &lab, guests)?,
        Peer::Nftables => nftables(&host)?,
        _ => {}
    }
    let system = System::new(peer.name(), lab, guests, Between::Kernel)?;
    if is_stateful {
        let counted = counted(peer, &host)?;
        ensure!(counted > 0, "no packet has matched ESTABLISHED");
    }
    Ok(system)
}

/// As `neutron-openvswi-*` chains are, without the fixed rules for DHCP and IPv6.
fn iptables(host: &Netns, lab: &Lab, guests: Guests) -> Result<()> {
    let mut raw = String::from("*raw\n");
    let mut filter = String::from("*filter\n:sg-chain - [0:0]\n:sg-fallback - [0:0]\n");
    let mut rules = String::from("-A sg-fallback -j DROP\n");
    for name in guests.names() {
        let guest = lab.guest(name);
        let (tap, ip, mac) = (guest.port().tap(), guest.ip(), guest.port().mac());
        let _ = writeln!(
            raw,
            "-A PREROUTING -m physdev --physdev-in {tap} -j CT --zone 1"
        );
        let _ = writeln!(
            filter,
            ":i-{name} - [0:0]\n:o-{name} - [0:0]\n:s-{name} - [0:0]"
        );
        let _ = write!(
            rules,
            "-A FORWARD -m physdev --physdev-out {tap} --physdev-is-bridged -j sg-chain
-A FORWARD -m physdev --physdev-in {tap} --physdev-is-bridged -j sg-chain
-A sg-chain -m physdev --physdev-out {tap} --physdev-is-bridged -j i-{name}
-A sg-chain -m physdev --physdev-in {tap} --physdev-is-bridged -j o-{name}
-A i-{name} -m state --state RELATED,ESTABLISHED -j RETURN
-A i-{name} -p tcp -j RETURN
-A i-{name} -p udp -j RETURN
-A i-{name} -p icmp -j RETURN
-A i-{name} -m state --state INVALID -j DROP
-A i-{name} -j sg-fallback
-A s-{name} -s {ip}/32 -m mac --mac-source {mac} -j RETURN
-A s-{name} -j DROP
-A o-{name} -j s-{name}
-A o-{name} -m state --state RELATED,ESTABLISHED -j RETURN
-A o-{name} -j RETURN
-A o-{name} -m state --state INVALID -j DROP
-A o-{name} -j sg-fallback
"
        );
    }
    let all = format!("{raw}COMMIT\n{filter}{rules}-A sg-chain -j ACCEPT\nCOMMIT\n");
    feed(Some(host), &mut Command::new("iptables-restore"), &all)?;
    Ok(())
}

fn nftables(host: &Netns) -> Result<()> {
    let rules = "table ip sg {
        chain forward {
            type filter hook forward priority filter; policy drop;
            ct state established,related counter accept
            ct state invalid drop
            ct state new ip saddr 10.77.1.0/24 counter accept
        }
    }";
    feed(Some(host), Command::new("nft").args(["-f", "-"]), rules)?;
    Ok(())
}

/// Packets that connection tracking has called established, by the rule's own counter.
fn counted(peer: Peer, host: &Netns) -> Result<u64> {
    let text = match peer {
        Peer::Iptables => feed(Some(host), Command::new("iptables-save").arg("-c"), "")?,
        _ => feed(
            Some(host),
            Command::new("nft").args(["list", "ruleset"]),
            "",
        )?,
    };
    // `[12:1008] -A … ESTABLISHED …` or `ct state established,related counter packets 12 bytes …`.
    let of_line = |line: &str| {
        let line = line.to_ascii_lowercase();
        if !line.contains("established") {
            return None;
        }
        let digits = match line.split_once("packets ") {
            Some((_, rest)) => rest.split(' ').next(),
            None => line.strip_prefix('[')?.split(':').next(),
        };
        digits?.parse::<u64>().ok()
    };
    Ok(text.lines().filter_map(of_line).sum())
}
