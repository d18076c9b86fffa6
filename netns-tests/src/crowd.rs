//! Many ports, and addresses behind them: what a switch has besides the guests that a test talks to.

use std::{fmt::Write as _, net::Ipv4Addr};

/// Ports without anybody behind them. They lie in the first subnet, which then is 10.77.0.0/16, and have
/// only IPv4 addresses. The daemon makes their namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crowd {
    /// How many.
    pub ports: u32,
    /// Groups of each, by name.
    pub groups: Vec<String>,
    /// Addresses that each may use besides its own: members of its groups, too.
    pub pairs: u32,
    /// Each port in a namespace of its own, rather than all in one.
    pub apart: bool,
}

/// Ports that the addresses of the crowd leave room for.
const PORTS_MAX: u32 = 16 * 1024;

impl Crowd {
    /// This many ports, in groups by name.
    #[must_use]
    pub fn new(ports: u32, groups: &[&str]) -> Self {
        Self {
            ports,
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The address of port `n`, from 0: behind those of the plan's subnets.
    #[must_use]
    pub fn ip(n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 64, 0)) + n)
    }

    /// Address `pair` of those that port `n` may use besides its own; outside of the subnet.
    #[must_use]
    pub fn pair(&self, n: u32, pair: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 200, 0, 0)) + n * self.pairs + pair)
    }

    /// Addresses in the groups of the crowd.
    #[must_use]
    pub const fn members(&self) -> u32 {
        self.ports * (1 + self.pairs)
    }

    /// The ports as the configuration has them, in namespaces whose names begin with `prefix`.
    pub(crate) fn yaml(&self, prefix: &str) -> String {
        assert!(self.ports <= PORTS_MAX, "the crowd's addresses are used up");
        let groups = self.groups.join(", ");
        let mut text = String::new();
        for n in 0..self.ports {
            let netns = match self.apart {
                true => format!("{prefix}crowd{n}"),
                false => format!("{prefix}crowd"),
            };
            let pairs =
                (0..self.pairs).map(|pair| format!("{{ ip_address: {} }}", self.pair(n, pair)));
            let pairs: Vec<_> = pairs.collect();
            let _ = writeln!(
                text,
                "  - {{ name: crowd{n}, subnet: net1, fixed_ips: [{}], security_groups: [{groups}], \
                 allowed_address_pairs: [{}], tap: {{ name: crowd{n}, netns: {netns} }} }}",
                Self::ip(n),
                pairs.join(", ")
            );
        }
        text
    }
}
