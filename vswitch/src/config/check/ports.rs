//! Ports: who, where, with which addresses, under which groups.

mod identity;
mod policy;
mod tap;

use self::identity::Taken;
use super::network::Network;
use super::security::Security;
use super::values::{ranged, timeout_mistake};
use crate::config::file::{self, File};
use crate::config::ids::Kind;
use crate::config::limits::{MAX_CONNECTIONS, MAX_FLOWS, MAX_MACS};
use crate::config::mistake::Findings;
use crate::config::names::{Names, check_name};
use crate::config::places::Place;
use crate::config::plan::{Port, Role, Subnet};
use packet::Mac;
use secgroup::conntrack::OwnTimeouts;
use std::collections::HashMap;
use uuid::Uuid;

/// MAC addresses learned on a port without port security where nothing is said.
const DEFAULT_MAX_MACS: u32 = 8;

/// The ports with their names.
pub(super) fn resolve(
    file: &File,
    network: &Network,
    security: &Security,
    findings: &mut Findings,
) -> (Names, Vec<Port>) {
    let at = Place::root().key("ports");
    if file.ports.is_empty() {
        findings.mistake(&at, "there is no port", "add one for each guest");
    }
    let mut names = Names::new(Kind::Port);
    let mut taken = Taken::of_given_macs(file);
    let mut ports: Vec<Port> = Vec::new();
    for (i, port) in file.ports.iter().enumerate() {
        let at = at.item(i);
        let id = names.enter(&port.name, port.id.as_deref(), &at, findings);
        let subnet =
            network
                .subnet_names
                .resolve_or_only(port.subnet.as_deref(), &at, "subnet", findings);
        let context = Context {
            typed: port,
            at: &at,
            subnet: subnet.map(|number| (number, &network.subnets[number])),
            network,
            security,
        };
        ports.push(resolve_port(&context, id, &mut taken, findings));
    }
    note_shared_macs(&ports, findings);
    (names, ports)
}

/// Notes pairs that bear another port's own MAC: frames for it follow the one that sent with it last.
fn note_shared_macs(ports: &[Port], findings: &mut Findings) {
    let owners: HashMap<_, _> = ports
        .iter()
        .map(|port| ((port.subnet, port.mac), port))
        .collect();
    for (i, port) in ports.iter().enumerate() {
        let mut told: Vec<Mac> = Vec::new();
        for mac in port
            .allowed_address_pairs
            .iter()
            .filter_map(|pair| pair.mac)
        {
            let owner = owners
                .get(&(port.subnet, mac))
                .filter(|owner| owner.id != port.id);
            let Some(owner) = owner.filter(|_| !told.contains(&mac)) else {
                continue;
            };
            told.push(mac);
            let at = Place::root()
                .key("ports")
                .item(i)
                .key("allowed_address_pairs");
            let text = format!(
                "`{mac}` is port `{}`'s own MAC: frames for it go to whichever of the two sent with it last",
                owner.name
            );
            findings.notice(&at, text);
        }
    }
}

/// A port as typed, with what it refers to.
struct Context<'a> {
    typed: &'a file::Port,
    at: &'a Place,
    /// Absent where the reference leads nowhere.
    subnet: Option<(usize, &'a Subnet)>,
    network: &'a Network,
    security: &'a Security,
}

fn resolve_port(
    context: &Context<'_>,
    id: Uuid,
    taken: &mut Taken,
    findings: &mut Findings,
) -> Port {
    let Context {
        typed, at, subnet, ..
    } = *context;
    let role = match typed.role {
        file::PortRole::Instance => Role::Instance,
        file::PortRole::Uplink => Role::Uplink,
    };
    let (instance, instance_id) = instance(typed, at, findings);
    let fixed_ips = identity::fixed_ips(context, taken, findings);
    if role == Role::Uplink {
        policy::check_uplink(context, taken, findings);
    }
    check_limits(context, role, findings);
    let groups = policy::groups(context, findings);
    let pairs = policy::pairs(context, findings);
    identity::check_gateway(context, &fixed_ips, typed.tap.netns.as_deref(), findings);
    policy::check_wide_pairs(context, &groups, &pairs, findings);
    Port {
        id,
        name: typed.name.clone(),
        instance,
        instance_id,
        subnet: subnet.map_or(0, |(number, _)| number),
        role,
        mac: identity::mac(context, id, taken, findings),
        groups,
        allowed_address_pairs: pairs,
        port_security: typed.port_security_enabled.unwrap_or(true) && role == Role::Instance,
        permitted_ethertypes: policy::ethertypes(context, findings),
        strict_rx: typed.strict_rx.unwrap_or(false),
        max_macs: typed.max_macs.unwrap_or(DEFAULT_MAX_MACS) as usize,
        conntrack_limit: typed.conntrack_limit,
        conntrack_timeouts: timeouts(typed, at, findings),
        tcp_be_liberal: typed.tcp_be_liberal,
        flow_limit: typed.flow_limit,
        tap: tap::resolve(context, id, &fixed_ips, taken, findings),
        fixed_ips,
    }
}

/// The instance as written, and its UUID: a name has a derived one.
fn instance(port: &file::Port, at: &Place, findings: &mut Findings) -> (String, Uuid) {
    let text = port.instance.as_ref().unwrap_or(&port.name);
    let id = Uuid::try_parse(text).unwrap_or_else(|_| {
        if port.instance.is_some() {
            check_name(text, &at.key("instance"), findings);
        }
        Kind::Instance.derive(text)
    });
    (text.clone(), id)
}

/// The port's own idle timeouts; `None` where it says nothing.
fn timeouts(port: &file::Port, at: &Place, findings: &mut Findings) -> Option<OwnTimeouts> {
    let at = at.key("conntrack_timeouts");
    let mut own = OwnTimeouts::default();
    for (name, seconds) in port.conntrack_timeouts.given() {
        if let Err(error) = own.set(name, seconds) {
            timeout_mistake(&error, name, &at, findings);
        }
    }
    (own != OwnTimeouts::default()).then_some(own)
}

fn check_limits(context: &Context<'_>, role: Role, findings: &mut Findings) {
    let Context { typed, at, .. } = *context;
    if let Some(limit) = typed.conntrack_limit {
        ranged(
            limit,
            1..=MAX_CONNECTIONS,
            " connections",
            &at.key("conntrack_limit"),
            findings,
        );
    }
    if let Some(limit) = typed.flow_limit {
        ranged(
            limit,
            1..=MAX_FLOWS,
            " records",
            &at.key("flow_limit"),
            findings,
        );
    }
    if let Some(max) = typed.max_macs {
        ranged(
            max,
            1..=MAX_MACS,
            " addresses",
            &at.key("max_macs"),
            findings,
        );
        if role == Role::Instance && typed.port_security_enabled.unwrap_or(true) {
            let text =
                "has no effect: with port security no address is learned, they are all known";
            findings.notice(&at.key("max_macs"), text);
        }
    }
}
