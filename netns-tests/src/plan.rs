//! The configuration of a lab, to be written, changed and written again.

use crate::Crowd;
use packet::Mac;
use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// What a lab consists of. Ports are numbered from 1 in the order they are added: number `n` of
/// subnet `s` is `10.77.s.(10 + n)`, `2001:db8:77:s::(10 + n)` and `fa:16:3e:00:00:(10 + n)`.
#[derive(Debug, Clone)]
pub struct Plan {
    groups: Vec<(String, Vec<String>)>,
    ports: Vec<PortPlan>,
    loggers: Vec<String>,
    top: String,
    state_disk: Option<String>,
    log_levels: Option<String>,
    crowd: Crowd,
}

/// One port of a [`Plan`].
#[derive(Debug, Clone)]
pub struct PortPlan {
    /// Name of the port, its guest and, with the lab's prefix, its namespace.
    pub name: String,
    /// Number within the plan, from 1.
    pub number: u8,
    /// Number of its subnet, 1 unless said otherwise.
    pub subnet: u8,
    /// Groups by name.
    pub groups: Vec<String>,
    /// Further keys of the port, as a YAML flow mapping's inside.
    pub keys: String,
    /// Further keys of its TAP, likewise.
    pub tap_keys: String,
    /// Carries the subnet's gateway instead of a guest.
    pub uplink: bool,
    /// MTU of the TAP.
    pub mtu: u16,
    /// Has no IPv6 address.
    pub only_v4: bool,
    /// The TAP stays in the daemon's namespace, to be bridged to what is no namespace.
    pub at_home: bool,
    /// A namespace of somebody else's making, by path, instead of one of the lab's.
    pub place: Option<String>,
}

impl PortPlan {
    /// IPv4 address.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        let host = if self.uplink { 1 } else { 10 + self.number };
        Ipv4Addr::new(10, 77, self.subnet, host)
    }

    /// IPv6 address.
    #[must_use]
    pub fn ip6(&self) -> Ipv6Addr {
        let [.., host] = self.ip().octets();
        Ipv6Addr::new(
            0x2001,
            0xdb8,
            0x77,
            self.subnet.into(),
            0,
            0,
            0,
            host.into(),
        )
    }

    /// Hardware address.
    #[must_use]
    pub fn mac(&self) -> Mac {
        Mac([0xfa, 0x16, 0x3e, 0, 0, 10 + self.number])
    }

    /// The log's `interface_id`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("00000000-0000-4000-8000-0000000000{:02x}", self.number)
    }

    /// Name of the TAP, the same on both sides.
    #[must_use]
    pub fn tap(&self) -> String {
        format!("tap-{}", self.name)
    }

    fn yaml(&self, netns: &str) -> String {
        let Self {
            name,
            subnet,
            keys,
            mtu,
            ..
        } = self;
        let what = if self.uplink {
            "role: uplink".into()
        } else {
            let (ip, ip6, groups) = (self.ip(), self.ip6(), self.groups.join(", "));
            let groups = match keys.contains("port_security_enabled: false") {
                true => String::new(),
                false => format!(", security_groups: [{groups}]"),
            };
            let ip6 = match self.only_v4 {
                true => String::new(),
                false => format!(", \"{ip6}\""),
            };
            format!("fixed_ips: [{ip}{ip6}]{groups}")
        };
        let (id, mac, tap) = (self.id(), self.mac(), self.tap());
        let keys = match keys.as_str() {
            "" => String::new(),
            keys => format!(", {keys}"),
        };
        let netns = match (self.at_home, &self.place) {
            (true, _) => String::new(),
            (false, Some(place)) => format!(", netns: {place}"),
            (false, None) => format!(", netns: {netns}"),
        };
        let tap_keys = match self.tap_keys.as_str() {
            "" => String::new(),
            keys => format!(", {keys}"),
        };
        format!(
            "  - {{ name: {name}, id: {id}, subnet: net{subnet}, mac_address: \"{mac}\", {what}{keys}, \
             tap: {{ name: {tap}, mtu: {mtu}{netns}{tap_keys} }} }}\n"
        )
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// One subnet without ports; the group `out`, which allows what its members send and their
    /// answers; a logger for everything, whose interval outlasts the test.
    #[must_use]
    pub fn new() -> Self {
        let plan = Self {
            groups: vec![],
            ports: vec![],
            loggers: vec![],
            top: String::new(),
            state_disk: None,
            log_levels: None,
            crowd: Crowd::default(),
        };
        plan.group("out", &[] as &[&str]).logger(
            "name: log, resource_type: VPC, resource: lab, aggregation_interval: 15m, empty_intervals: skip",
        )
    }

    /// Sets the rules of a group; without an egress rule it also allows everything out.
    #[must_use]
    pub fn group(mut self, name: &str, rules: &[impl AsRef<str>]) -> Self {
        let rules = rules.iter().map(|rule| rule.as_ref().to_owned()).collect();
        match self.groups.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = rules,
            None => self.groups.push((name.to_owned(), rules)),
        }
        self
    }

    /// Adds a guest to the first subnet.
    #[must_use]
    pub fn guest(self, name: &str, groups: &[&str]) -> Self {
        self.port(name, |port| {
            port.groups = groups.iter().map(|&group| group.to_owned()).collect();
        })
    }

    /// Adds an uplink to the first subnet: its TAP lies in a namespace that plays the host.
    #[must_use]
    pub fn uplink(self, name: &str) -> Self {
        self.port(name, |port| port.uplink = true)
    }

    /// Adds a port as `set` describes it.
    #[must_use]
    pub fn port(mut self, name: &str, set: impl FnOnce(&mut PortPlan)) -> Self {
        let number = u8::try_from(self.ports.len() + 1).expect("labs are small");
        let mut port = PortPlan {
            name: name.to_owned(),
            number,
            subnet: 1,
            groups: vec![],
            keys: String::new(),
            tap_keys: String::new(),
            uplink: false,
            mtu: 1500,
            only_v4: false,
            at_home: false,
            place: None,
        };
        set(&mut port);
        self.ports.push(port);
        self
    }

    /// Adds a crowd of ports to the first subnet, in place of the one before.
    #[must_use]
    pub fn crowd(mut self, crowd: Crowd) -> Self {
        self.crowd = crowd;
        self
    }

    /// Changes a port.
    ///
    /// # Panics
    /// Where there is none of that name.
    #[must_use]
    pub fn change(mut self, name: &str, set: impl FnOnce(&mut PortPlan)) -> Self {
        let port = self.ports.iter_mut().find(|port| port.name == name);
        set(port.unwrap_or_else(|| panic!("the plan has no port {name}")));
        self
    }

    /// Takes a port away; the others keep their numbers.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.ports.retain(|port| port.name != name);
        self
    }

    /// Puts a port into other groups.
    #[must_use]
    pub fn groups_of(self, name: &str, groups: &[&str]) -> Self {
        self.change(name, |port| {
            port.groups = groups.iter().map(|&group| group.to_owned()).collect();
        })
    }

    /// Takes all loggers away.
    #[must_use]
    pub fn no_loggers(mut self) -> Self {
        self.loggers.clear();
        self
    }

    /// Adds a logger, as a YAML flow mapping's inside; unless it says where to, it writes into a
    /// folder of its own.
    #[must_use]
    pub fn logger(mut self, keys: &str) -> Self {
        self.loggers.push(keys.to_owned());
        self
    }

    /// Adds keys to the top of the file.
    #[must_use]
    pub fn top(mut self, yaml: &str) -> Self {
        self.top.push_str(yaml);
        self.top.push('\n');
        self
    }

    /// Has the state directory be a disk of its own, in memory and as small as `size` (`1m`). It is
    /// seen under [`Lab::inside`](crate::Lab::inside).
    #[must_use]
    pub fn state_disk(mut self, size: &str) -> Self {
        self.state_disk = Some(size.to_owned());
        self
    }

    /// Sets `VSWITCH_LOG` of the daemon.
    #[must_use]
    pub fn log_levels(mut self, levels: &str) -> Self {
        self.log_levels = Some(levels.to_owned());
        self
    }

    pub(crate) fn daemons_log_levels(&self) -> Option<&str> {
        self.log_levels.as_deref()
    }

    pub(crate) fn state_disk_size(&self) -> Option<&str> {
        self.state_disk.as_deref()
    }

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> &[PortPlan] {
        &self.ports
    }

    /// The file, for a lab whose files lie in `dir` and whose namespaces' names begin with `prefix`.
    #[must_use]
    pub fn yaml(&self, dir: &Path, prefix: &str) -> String {
        let mut text = format!(
            "control_socket: {0}/control.sock\nstate_dir: {0}/state\nregion: KR1\n{1}\
             vpcs:\n  - {{ name: lab, cidr: 10.77.0.0/16 }}\nsubnets:\n",
            dir.display(),
            self.top
        );
        let mut subnets: Vec<u8> = self.ports.iter().map(|port| port.subnet).collect();
        subnets.sort_unstable();
        subnets.dedup();
        for s in subnets {
            let uplink = self
                .ports
                .iter()
                .find(|port| port.uplink && port.subnet == s);
            let gateway = uplink
                .map(|port| format!(", gateway_ip: [{}, \"{}\"]", port.ip(), port.ip6()))
                .unwrap_or_default();
            let cidr = match self.crowd.ports {
                0 => format!("10.77.{s}.0/24"),
                _ => "10.77.0.0/16".to_owned(),
            };
            let _ = writeln!(
                text,
                "  - {{ name: net{s}, vpc: lab, cidr: {cidr}, cidr6: \"2001:db8:77:{s}::/64\"{gateway} }}"
            );
        }
        text.push_str("security_groups:\n");
        for (name, rules) in &self.groups {
            let _ = writeln!(
                text,
                "  - name: {name}\n    rules:{}",
                if rules.is_empty() { " []" } else { "" }
            );
            for rule in rules {
                let _ = writeln!(text, "      - {{ {rule} }}");
            }
        }
        text.push_str("ports:\n");
        for port in &self.ports {
            text.push_str(&port.yaml(&format!("{prefix}{}", port.name)));
        }
        text.push_str(&self.crowd.yaml(prefix));
        if !self.loggers.is_empty() {
            text.push_str("flowlog_loggers:\n");
        }
        for (number, logger) in self.loggers.iter().enumerate() {
            let place = match logger.contains("storage_url") {
                true => String::new(),
                false => format!(
                    ", storage_type: FILE, storage_url: {}/flowlogs/{number}",
                    dir.display()
                ),
            };
            let _ = writeln!(text, "  - {{ {logger}{place} }}");
        }
        text
    }
}
