//! A configuration in a few words: guests A, B, C and an uplink U, each guest with a group of its own.

use packet::Mac;
use secgroup::conntrack::Settings;
use secgroup::{AddressGroup, Group, Model, PortId, PortSpec, Rule};
use std::net::IpAddr;
use uuid::Uuid;
use vswitch::switch::{FLOW_LIMIT, PortConfig, SwitchConfig, UPLINK_MACS};

/// Egress any, both families, as every new group has it.
pub(crate) const EG: &str = "out";
/// Any both ways.
pub(crate) const OPEN: &str = "out, in";
/// No rules.
pub(crate) const NONE: &str = "";

/// What a laboratory is built from.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) config: SwitchConfig,
    pub(crate) connections_max: u32,
}

/// The id of a named thing.
pub(crate) fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("lab:{kind}:{name}").as_bytes(),
    )
}

pub(crate) fn mac(last: u8) -> Mac {
    Mac([0xfa, 0x16, 0x3e, 0, 0, last])
}

impl Setup {
    /// A, B and C at .10, .11 and .12, each with its own group (`EG`) of its own name; U at .1.
    pub(crate) fn new() -> Self {
        let config = SwitchConfig {
            ports: Vec::new(),
            model: Model::default(),
            settings: Settings::default(),
            persist_established: false,
            window_length_s: 60,
            longest_interval_s: 60,
            recording: flowlog::Recording::default(),
        };
        let empty = Self {
            config,
            connections_max: 4096,
        };
        let guests = empty.guest("A", 10).guest("B", 11).guest("C", 12);
        guests.plug("U", 1).port("U", |port| {
            port.spec.uplink = true;
            port.spec.groups.clear();
            port.max_macs = UPLINK_MACS;
        })
    }

    /// As [`Self::new`], with the rules of B's group.
    pub(crate) fn of_b(rules: &str) -> Self {
        Self::new().group("B", rules)
    }

    /// Another guest, with a group of its own name.
    pub(crate) fn guest(self, name: &str, host: u8) -> Self {
        self.plug(name, host).group(name, EG)
    }

    fn plug(mut self, name: &str, host: u8) -> Self {
        let spec = PortSpec {
            port: PortId(0),
            vpc: 0,
            mac: mac(host),
            fixed_ips: vec![v4(host), v6(host)],
            allowed_address_pairs: Vec::new(),
            groups: vec![id("group", name)],
            port_security: true,
            uplink: false,
            permitted_ethertypes: Vec::new(),
            strict_rx: false,
            gateway_ips: vec![v4(1), v6(1)],
            dhcp_servers: Vec::new(),
            broadcast: Some([10, 0, 0, 255].into()),
        };
        self.config.ports.push(PortConfig {
            spec,
            id: id("port", name),
            name: name.to_owned(),
            subnet: id("subnet", "N1"),
            vpc: id("vpc", "N1"),
            segment: 0,
            mtu: 1500,
            max_macs: 8,
            conntrack_limit: None,
            timeouts: None,
            tcp_be_liberal: None,
            flow_limit: FLOW_LIMIT,
        });
        self
    }

    /// Without a port.
    pub(crate) fn unplug(mut self, name: &str) -> Self {
        self.config.ports.retain(|port| port.name != name);
        self
    }

    /// The rules of a group: `out, in tcp 80 from 10.0.0.0/24, in4 icmp type 8, in udp from group RG`.
    /// A group that is new is added.
    pub(crate) fn group(mut self, name: &str, rules: &str) -> Self {
        let id = id("group", name);
        let rules = rules
            .split(',')
            .map(str::trim)
            .filter(|rule| !rule.is_empty());
        let rules: Vec<Rule> = rules.flat_map(|rule| read_rule(rule, id)).collect();
        let groups = &mut self.config.model.groups;
        match groups.iter_mut().find(|group| group.id == id) {
            Some(group) => group.rules = rules,
            None => groups.push(Group {
                id,
                name: name.to_owned(),
                rules,
                stateful: true,
            }),
        }
        self
    }

    /// Makes a group stateless.
    pub(crate) fn stateless(mut self, name: &str) -> Self {
        let id = id("group", name);
        for group in self
            .config
            .model
            .groups
            .iter_mut()
            .filter(|group| group.id == id)
        {
            group.stateful = false;
        }
        self
    }

    /// The prefixes of an address group, which rules call `list NAME`.
    pub(crate) fn list(mut self, name: &str, prefixes: &[&str]) -> Self {
        let id = id("list", name);
        let prefixes = prefixes
            .iter()
            .map(|prefix| prefix.parse().unwrap())
            .collect();
        let lists = &mut self.config.model.address_groups;
        lists.retain(|list| list.id != id);
        lists.push(AddressGroup {
            id,
            name: name.to_owned(),
            prefixes,
        });
        self
    }

    /// Which groups a port has.
    pub(crate) fn groups_of(self, port: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|name| id("group", name)).collect();
        self.port(port, |port| port.spec.groups = groups)
    }

    /// Changes anything of a port.
    pub(crate) fn port(mut self, name: &str, change: impl FnOnce(&mut PortConfig)) -> Self {
        change(
            self.config
                .ports
                .iter_mut()
                .find(|port| port.name == name)
                .unwrap(),
        );
        self
    }

    /// A port without port security.
    pub(crate) fn unfiltered(self, name: &str) -> Self {
        self.port(name, |port| {
            port.spec.port_security = false;
            port.spec.groups.clear();
        })
    }

    /// Changes anything else.
    pub(crate) fn set(mut self, change: impl FnOnce(&mut SwitchConfig)) -> Self {
        change(&mut self.config);
        self
    }
}

pub(crate) fn v4(host: u8) -> IpAddr {
    [10, 0, 0, host].into()
}

/// The host as it is read: `.10` is `::10`.
pub(crate) fn v6(host: u8) -> IpAddr {
    format!("2001:db8::{host}").parse().unwrap()
}

/// One rule for each family that it speaks of.
fn read_rule(text: &str, group: Uuid) -> Vec<Rule> {
    let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (direction, preposition) = match head.trim_end_matches(['4', '6']) {
        "in" => ("ingress", "from"),
        "out" => ("egress", "to"),
        _ => panic!("`{text}` is no rule: it starts with in, in4, in6, out, out4 or out6"),
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == preposition)
        .unwrap_or(words.len());
    let (what, whom) = (
        words[..at].join(" "),
        words[at..].get(1..).unwrap_or_default(),
    );
    let (what, source_ports) = match what.split_once(" sport ") {
        Some((what, range)) => {
            let (min, max) = range.split_once('-').unwrap();
            (
                what.to_owned(),
                Some((min.parse().unwrap(), max.parse().unwrap())),
            )
        }
        None => (what, None),
    };
    let what = if what.is_empty() { "any" } else { &what };
    let whom = match whom {
        [] => "any".to_owned(),
        ["group", name] => format!("group {}", id("group", name)),
        ["list", name] => format!("address-group {}", id("list", name)),
        [prefix] => (*prefix).to_owned(),
        _ => panic!("`{text}`: whom does it speak of?"),
    };
    let families: &[&str] = match head.chars().last() {
        Some('4') => &["IPv4"],
        Some('6') => &["IPv6"],
        _ if whom.contains('.') => &["IPv4"],
        _ if whom.contains(':') => &["IPv6"],
        _ => &["IPv4", "IPv6"],
    };
    let read = |family: &&str| {
        let text = format!("{direction} {family} {what} {preposition} {whom}");
        let mut rule = Rule::parse(&text, group).unwrap_or_else(|error| panic!("{text}: {error}"));
        rule.source_ports = source_ports;
        rule
    };
    families.iter().map(read).collect()
}
