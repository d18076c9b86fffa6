//! The cast and the stage: ports, addresses, groups, and how a line of a story changes them.
//!
//! Two segments of one VPC (N1, N2), and a third in another VPC (N3) whose guests have the MACs and
//! addresses of N1's: they must never meet.

use ipnet::IpNet;
use packet::Mac;
use secgroup::conntrack::Settings;
use secgroup::{AddressGroup, Group, Model, Pair, PortId, PortSpec, Rule};
use std::net::IpAddr;
use uuid::Uuid;
use vswitch::switch::{FLOW_LIMIT, PortConfig, SwitchConfig};

/// One port of the cast.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) name: &'static str,
    subnet: &'static str,
    vpc: &'static str,
    host: u8,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// With the group of this name.
    Guest(&'static str),
    /// Without port security.
    Open,
    Uplink,
}

const fn actor(
    name: &'static str,
    subnet: &'static str,
    vpc: &'static str,
    host: u8,
    role: Role,
) -> Actor {
    Actor {
        name,
        subnet,
        vpc,
        host,
        role,
    }
}

/// Everybody, in the order of the configuration.
pub(crate) const CAST: &[Actor] = &[
    actor("A", "N1", "V1", 10, Role::Guest("GA")),
    actor("B", "N1", "V1", 11, Role::Guest("GB")),
    actor("C", "N1", "V1", 12, Role::Guest("GC")),
    actor("T", "N1", "V1", 20, Role::Open),
    actor("U", "N1", "V1", 1, Role::Uplink),
    actor("D", "N2", "V1", 13, Role::Guest("R")),
    actor("F", "N3", "V2", 10, Role::Guest("GA")),
    actor("H", "N3", "V2", 11, Role::Guest("GB")),
];

/// Groups that keep state, and groups that do not; a port has groups of one kind.
pub(crate) const STATEFUL: &[&str] = &["GA", "GB", "GC", "R"];
pub(crate) const STATELESS: &[&str] = &["SA", "SB"];
/// The address group.
pub(crate) const LIST: &str = "L";
/// The MAC of a virtual router, which several ports may have as a pair.
pub(crate) const SHARED_MAC: Mac = Mac([0, 0, 0x5e, 0, 1, 1]);

impl Actor {
    pub(crate) const fn mac(&self) -> Mac {
        Mac([0xfa, 0x16, 0x3e, 0, 0, self.host])
    }

    pub(crate) fn v4(&self) -> IpAddr {
        [10, 0, u8::from(self.subnet == "N2"), self.host].into()
    }

    /// The host as it is read: `.10` is `::10`.
    pub(crate) fn v6(&self) -> IpAddr {
        let net = u8::from(self.subnet == "N2");
        let text = format!("2001:db8:{net}::{}", self.host);
        text.parse().unwrap()
    }

    pub(crate) fn is_on_stage_with(&self, other: &Self) -> bool {
        self.subnet == other.subnet
    }

    pub(crate) fn is_guest(&self) -> bool {
        matches!(self.role, Role::Guest(_))
    }

    fn own_group(&self) -> Option<&'static str> {
        match self.role {
            Role::Guest(group) => Some(group),
            Role::Open | Role::Uplink => None,
        }
    }

    fn config(&self) -> PortConfig {
        let gateways = CAST.iter().find(|other| other.host == 1);
        let spec = PortSpec {
            port: PortId(0),
            vpc: 0,
            mac: self.mac(),
            fixed_ips: vec![self.v4(), self.v6()],
            allowed_address_pairs: Vec::new(),
            groups: self
                .own_group()
                .into_iter()
                .map(|name| id("group", name))
                .collect(),
            port_security: self.role != Role::Open,
            uplink: self.role == Role::Uplink,
            permitted_ethertypes: Vec::new(),
            strict_rx: false,
            gateway_ips: gateways.map_or_else(Vec::new, |gateway| vec![gateway.v4(), gateway.v6()]),
            dhcp_servers: Vec::new(),
            broadcast: Some([10, 0, u8::from(self.subnet == "N2"), 255].into()),
        };
        PortConfig {
            spec,
            id: id("port", self.name),
            name: self.name.to_owned(),
            subnet: id("subnet", self.subnet),
            vpc: id("vpc", self.vpc),
            segment: 0,
            mtu: 1500,
            max_macs: 3,
            conntrack_limit: None,
            timeouts: None,
            tcp_be_liberal: None,
            flow_limit: FLOW_LIMIT,
        }
    }
}

/// Somebody by name.
pub(crate) fn by_name(name: &str) -> Option<&'static Actor> {
    CAST.iter().find(|actor| actor.name == name)
}

/// The id of a named thing.
pub(crate) fn id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("oracle:{kind}:{name}").as_bytes(),
    )
}

/// How every story begins: nobody may do anything but what the story's first lines allow.
pub(crate) fn curtain() -> SwitchConfig {
    let group = |stateful: bool| {
        move |name: &&str| Group {
            id: id("group", name),
            name: (*name).to_owned(),
            rules: Vec::new(),
            stateful,
        }
    };
    let groups = STATEFUL.iter().map(group(true));
    let groups = groups.chain(STATELESS.iter().map(group(false))).collect();
    let list = AddressGroup {
        id: id("list", LIST),
        name: LIST.to_owned(),
        prefixes: Vec::new(),
    };
    SwitchConfig {
        ports: CAST.iter().map(Actor::config).collect(),
        model: Model {
            groups,
            address_groups: vec![list],
        },
        settings: Settings::default(),
        persist_established: false,
        window_length_s: 60,
        longest_interval_s: 60,
        recording: flowlog::Recording::default(),
    }
}

/// Changes a configuration as a line of a story says, such as `rules GB: ingress IPv4 tcp 1-2 from group R`,
/// `groups A: GA R`, `pairs A: 10.0.0.50/32 0.0.0.0/0@00:00:5e:00:01:01`, `persist: on`.
pub(crate) fn change(config: &mut SwitchConfig, line: &str) -> Result<(), String> {
    let (what, rest) = line
        .split_once(':')
        .ok_or_else(|| format!("`{line}`: no colon"))?;
    let (verb, name) = what.split_once(' ').unwrap_or((what, ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    let on = words.first() == Some(&"on");
    match verb {
        "rules" => return rules(&mut config.model, name, rest),
        "list" => config.model.address_groups[0].prefixes = all(&words)?,
        "persist" => config.persist_established = on,
        "loose" => config.settings.tcp_loose = on,
        "liberal" if name.is_empty() => config.settings.tcp_be_liberal = on,
        "everything" => config.recording.everything = on,
        // Told apart or not, the sums are the same.
        "apart" => {
            let recording = &mut config.recording;
            recording.setup_apart = words.contains(&"setup");
            recording.icmp_apart = words.contains(&"icmp");
            recording.epochs_apart = words.contains(&"epochs");
            recording.macs_apart = words.contains(&"macs");
        }
        "window" => config.window_length_s = one(&words)?,
        "timeout" => {
            let set = config.settings.timeouts.set(name, one(&words)?);
            set.map_err(|error| error.to_string())?;
        }
        "plug" | "unplug" => plug(config, name, verb == "plug")?,
        _ => return port(config, verb, name, &words),
    }
    Ok(())
}

fn plug(config: &mut SwitchConfig, name: &str, in_: bool) -> Result<(), String> {
    let actor = by_name(name).ok_or_else(|| format!("`{name}` is nobody"))?;
    config.ports.retain(|port| port.name != name);
    if in_ {
        config.ports.push(actor.config());
    }
    Ok(())
}

/// What changes one port; nothing where it is not plugged in.
fn port(config: &mut SwitchConfig, verb: &str, name: &str, words: &[&str]) -> Result<(), String> {
    let actor = by_name(name).ok_or_else(|| format!("`{verb} {name}` is no line of a story"))?;
    let Some(port) = config.ports.iter_mut().find(|port| port.name == name) else {
        return Ok(());
    };
    let filters = port.spec.port_security && !port.spec.uplink;
    match verb {
        // Without port security there are neither groups nor pairs.
        "groups" | "pairs" if !filters => {}
        "groups" => port.spec.groups = words.iter().map(|name| id("group", name)).collect(),
        "pairs" => {
            port.spec.allowed_address_pairs = words
                .iter()
                .map(|word| pair(word))
                .collect::<Result<_, _>>()?;
        }
        "fixed" => port.spec.fixed_ips = all(words)?,
        "secure" if port.spec.uplink => {}
        "secure" => {
            port.spec.port_security = words == ["on"];
            port.spec.allowed_address_pairs.clear();
            let group = actor.own_group().unwrap_or("R");
            port.spec.groups = if port.spec.port_security {
                vec![id("group", group)]
            } else {
                Vec::new()
            };
        }
        // Of its own: on, off, or as all.
        "liberal" => port.tcp_be_liberal = words.first().map(|word| *word == "on"),
        "strict" => port.spec.strict_rx = words == ["on"],
        "mtu" => port.mtu = one(words)?,
        "macs" => port.max_macs = one(words)?,
        "limit" => port.conntrack_limit = words.first().map(|_| one(words)).transpose()?,
        "servers" => port.spec.dhcp_servers = all(words)?,
        "ethertypes" => port.spec.permitted_ethertypes = all(words)?,
        _ => return Err(format!("`{verb}` is no word of a story")),
    }
    Ok(())
}

fn rules(model: &mut Model, name: &str, text: &str) -> Result<(), String> {
    let of = id("group", name);
    let mut rules: Vec<Rule> = Vec::new();
    for line in text
        .split(';')
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let rule = match line.rsplit_once(' ') {
            Some((before, last)) if before.ends_with(" address-group") => {
                format!("{before} {}", id("list", last))
            }
            Some((before, last)) if before.ends_with(" group") => {
                format!("{before} {}", id("group", last))
            }
            _ => line.to_owned(),
        };
        let rule = Rule::parse(&rule, of).map_err(|error| format!("{line}: {error}"))?;
        if rules.iter().all(|other| other.id != rule.id) {
            rules.push(rule);
        }
    }
    let group = model.groups.iter_mut().find(|group| group.id == of);
    group
        .ok_or_else(|| format!("there is no group {name}"))?
        .rules = rules;
    Ok(())
}

fn pair(word: &str) -> Result<Pair, String> {
    let (prefix, mac) = word
        .split_once('@')
        .map_or((word, None), |(prefix, mac)| (prefix, Some(mac)));
    Ok(Pair {
        prefix: one::<IpNet>(&[prefix])?,
        mac: mac.map(|mac| one(&[mac])).transpose()?,
    })
}

fn one<T: std::str::FromStr>(words: &[&str]) -> Result<T, String> {
    let word = words.first().copied().unwrap_or_default();
    word.parse().map_err(|_| format!("`{word}` cannot be read"))
}

fn all<T: std::str::FromStr>(words: &[&str]) -> Result<Vec<T>, String> {
    words.iter().map(|word| one(&[word])).collect()
}
