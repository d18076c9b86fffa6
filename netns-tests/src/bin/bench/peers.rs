//! Other switches to be compared with, where they are installed.

use anyhow::{Result, bail};
use std::process::Command;

/// Another switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The Linux bridge, no filter.
    Bridge,
    /// The bridge, br_netfilter and iptables with connection tracking: OpenStack's hybrid driver.
    Iptables,
    /// The bridge, br_netfilter and a short nftables ruleset with connection tracking.
    Nftables,
    /// Open vSwitch's userspace datapath on TAPs, forwarding alone.
    Ovs,
    /// The same with ct() flows as OpenStack's openvswitch driver writes them.
    OvsCt,
    /// The same, and every packet metered for IPFIX.
    OvsIpfix,
}

impl Peer {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Bridge,
        Self::Iptables,
        Self::Nftables,
        Self::Ovs,
        Self::OvsCt,
        Self::OvsIpfix,
    ];

    /// Its name in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Iptables => "bridge+iptables",
            Self::Nftables => "bridge+nftables",
            Self::Ovs => "ovs",
            Self::OvsCt => "ovs+ct",
            Self::OvsIpfix => "ovs+ct+ipfix",
        }
    }

    /// Those of a list such as `bridge,ovs+ct`, `all` or `none`.
    pub(crate) fn chosen(list: &[String]) -> Result<Vec<Self>> {
        let is_known = |word: &String| {
            ["all", "none"].contains(&word.as_str())
                || Self::ALL.iter().any(|peer| peer.name() == word)
        };
        if let Some(word) = list.iter().find(|word| !is_known(word)) {
            let names = Self::ALL.map(Self::name).join(", ");
            bail!("there is no peer {word}; there are: all, none, {names}");
        }
        let wants = |peer: &Self| list.iter().any(|word| word == "all" || word == peer.name());
        Ok(Self::ALL.into_iter().filter(wants).collect())
    }
}

/// What is installed of the programs that take part, by their own word: name and version.
pub(crate) fn versions() -> Vec<(&'static str, String)> {
    let programs = [
        ("Open vSwitch", "ovs-vswitchd"),
        ("iptables", "iptables"),
        ("nftables", "nft"),
        ("iperf3", "iperf3"),
    ];
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().map(str::to_owned)
    };
    let found = programs.map(|(name, program)| {
        let version = version(program).unwrap_or_else(|| "not installed".to_owned());
        (name, version)
    });
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_chosen_by_name_and_a_name_that_is_none_is_told() {
        let list = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        let chosen = |words| Peer::chosen(&list(words)).map_err(|error| error.to_string());
        assert_eq!(chosen(&["all"]), Ok(Peer::ALL.to_vec()));
        assert_eq!(chosen(&["none"]), Ok(vec![]));
        assert_eq!(
            chosen(&["ovs+ct", "bridge"]),
            Ok(vec![Peer::Bridge, Peer::OvsCt])
        );
        assert!(chosen(&["vpp"]).is_err_and(|told| told.contains("bridge+iptables")));
    }
}
