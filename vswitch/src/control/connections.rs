//! Connections that are listed or forgotten: which ones, and in slices under the switch's lock.

use super::answer::{Names, ends, in_slices, protocol_words};
use super::request::ConnectionSelect;
use super::rows::{ConnectionRow, Counted, Listing, SideText};
use super::rules::RuleBook;
use crate::config::Plan;
use crate::run::Shared;
use crate::switch::ConnectionView;
use ipnet::IpNet;
use packet::{FiveTuple, L4, PacketSpec, SpecBody};
use secgroup::conntrack::State;
use secgroup::{PortId, protocol_number};
use std::collections::HashSet;

/// Slots that are looked at under one lock where what is found is removed: about 100 ns each.
const SLOTS: u32 = 64;

/// The connections that are wanted.
pub(super) fn list(
    shared: &Shared,
    plan: &Plan,
    select: &ConnectionSelect,
) -> Result<Listing<ConnectionRow>, String> {
    let names = Names::of(shared);
    let wanted = Wanted::new(plan, &names, select)?;
    let views = in_slices(
        select.limit(),
        |view| wanted.takes(view),
        |slots, out| {
            let now_ms = shared.clock.now().ms;
            shared.slice(|switch| switch.connections_in(slots, now_ms, out))
        },
    );
    let numbers = views
        .iter()
        .flat_map(|view| view.sides)
        .flatten()
        .map(|(_, rule)| rule);
    let book = RuleBook::of(plan, &shared.rules.read(), numbers);
    let rows = views.into_iter().map(|view| row(&view, &names, &book));
    Ok(Listing::limited(rows.collect(), select.limit()))
}

/// Forgets the connections that are wanted, and says how many there were. Every one goes only where
/// `all` says so.
pub(super) fn flush(
    shared: &Shared,
    plan: &Plan,
    select: &ConnectionSelect,
    all: bool,
) -> Result<u64, String> {
    if select.is_everything() != all {
        return Err(
            "say which connections are meant, or `all` and nothing else for every one".to_owned(),
        );
    }
    let wanted = Wanted::new(plan, &Names::of(shared), select)?;
    let mut flushed = 0;
    for start in (0..u32::MAX).step_by(SLOTS as usize) {
        let slots = start..start.saturating_add(SLOTS);
        let now_ms = shared.clock.now().ms;
        let forget = |view: &ConnectionView| wanted.takes(view);
        let found = shared.slice(|switch| switch.forget_connections(slots, now_ms, forget));
        let Some(found) = found else { break };
        flushed += u64::from(found);
    }
    tracing::info!(flushed, "connections were forgotten on request");
    Ok(flushed)
}

fn row(view: &ConnectionView, names: &Names, book: &RuleBook) -> ConnectionRow {
    let (source, destination) = ends(&view.tuple);
    ConnectionRow {
        protocol: protocol_words(view.tuple.protocol),
        icmp_type: view.icmp.map(|(kind, _)| kind),
        icmp_id: view.icmp.map(|(_, id)| id),
        source,
        destination,
        ports: view.ports.map(|port| names.get(port)),
        state: view.state.name(view.tuple.protocol).to_owned(),
        expires_in_s: view.expires_in_ms / 1000,
        sides: view.sides.map(|side| {
            let (verdict, rule) = side?;
            let identity = book.identity(rule);
            Some(SideText {
                verdict: verdict.to_string(),
                rule: book.words(rule).map(str::to_owned),
                rule_id: identity.map(|identity| identity.rule),
                security_group_id: identity.map(|identity| identity.group),
            })
        }),
        judged_now: view.judged_now,
        counted: view
            .counted
            .map(|(packets, bytes)| Counted { packets, bytes }),
    }
}

/// What a [`ConnectionSelect`] says, in numbers: asked once per connection under the lock.
struct Wanted<'a> {
    /// One end at one of these.
    at: Option<HashSet<PortId>>,
    /// One end at one of these as well.
    within: Option<HashSet<PortId>>,
    address: Option<IpNet>,
    protocol: Option<u8>,
    state: Option<&'a str>,
    tuple: Option<(FiveTuple, Option<u16>)>,
}

impl<'a> Wanted<'a> {
    /// Resolves names.
    ///
    /// # Errors
    /// For the client: a name that is none, with what would be one.
    fn new(plan: &Plan, names: &Names, select: &'a ConnectionSelect) -> Result<Self, String> {
        let at = select.port.as_ref().map(|name| ports_named(names, name));
        let within = select.network.as_ref();
        let within = within.map(|name| ports_within(plan, names, name));
        let state = select.state.as_deref();
        state.map(known_state).transpose()?;
        Ok(Self {
            at: at.transpose()?,
            within: within.transpose()?,
            address: select.address,
            protocol: select.protocol.as_deref().map(protocol).transpose()?,
            state,
            tuple: select.tuple.as_deref().map(tuple).transpose()?,
        })
    }

    fn takes(&self, view: &ConnectionView) -> bool {
        let has_end = |ports: &HashSet<PortId>| view.ports.iter().any(|port| ports.contains(port));
        let FiveTuple {
            protocol, src, dst, ..
        } = view.tuple;
        self.at.as_ref().is_none_or(has_end)
            && self.within.as_ref().is_none_or(has_end)
            && self
                .address
                .is_none_or(|prefix| prefix.contains(&src) || prefix.contains(&dst))
            && self.protocol.is_none_or(|wanted| wanted == protocol)
            && self
                .state
                .is_none_or(|wanted| wanted == view.state.name(protocol))
            && self.tuple.is_none_or(|(wanted, icmp_id)| {
                let reversed = FiveTuple {
                    src: wanted.dst,
                    dst: wanted.src,
                    src_port: wanted.dst_port,
                    dst_port: wanted.src_port,
                    ..wanted
                };
                let id = view.icmp.map(|(_, id)| id);
                [wanted, reversed].contains(&view.tuple)
                    && icmp_id.is_none_or(|wanted| id == Some(wanted))
            })
    }
}

fn ports_named(names: &Names, name: &str) -> Result<HashSet<PortId>, String> {
    let ports = names.ports(|info| info.name == name || info.interface_id.to_string() == name);
    if ports.is_empty() {
        return Err(format!(
            "there is no port `{name}`; `vswitch show ports` lists them"
        ));
    }
    Ok(ports)
}

/// The ports of a VPC or a subnet.
fn ports_within(plan: &Plan, names: &Names, name: &str) -> Result<HashSet<PortId>, String> {
    let is_it = |known: &str, id: uuid::Uuid| known == name || id.to_string() == name;
    let subnets = plan
        .subnets
        .iter()
        .filter(|of| is_it(&of.name, of.id))
        .map(|of| of.id);
    let vpcs = plan
        .vpcs
        .iter()
        .filter(|of| is_it(&of.name, of.id))
        .map(|of| of.id);
    let ids: HashSet<uuid::Uuid> = subnets.chain(vpcs).collect();
    if ids.is_empty() {
        return Err(format!("there is no VPC and no subnet `{name}`"));
    }
    Ok(names.ports(|info| ids.contains(&info.subnet_id) || ids.contains(&info.vpc_id)))
}

/// A state's name, if it is one.
///
/// # Errors
/// For people, with the names that there are.
pub(crate) fn known_state(text: &str) -> Result<(), String> {
    if State::names().any(|name| name == text) {
        return Ok(());
    }
    let known: Vec<&str> = State::names().collect();
    Err(format!(
        "`{text}` is no state; write one of {}",
        known.join(", ")
    ))
}

/// The number of one protocol; `any` narrows nothing, so that it is none.
///
/// # Errors
/// For people, with what would be one.
pub(crate) fn protocol(text: &str) -> Result<u8, String> {
    protocol_number(text).flatten().ok_or_else(|| {
        format!("`{text}` is no protocol; write a name as tcp, or a number up to 255")
    })
}

/// The tuple of a packet's text form; of an ICMP query with its identifier, unless that is 0.
///
/// # Errors
/// For people, with what is wrong.
pub(crate) fn tuple(text: &str) -> Result<(FiveTuple, Option<u16>), String> {
    let form = "write it as tcp 10.77.1.11:40000 > 10.77.1.12:22";
    let spec: PacketSpec = text
        .parse()
        .map_err(|error| format!("`{text}` is no packet: {error}"))?;
    let SpecBody::Ip(ip) = spec.body else {
        return Err(format!("`{text}` belongs to no connection; {form}"));
    };
    let (src_port, dst_port) = ip.l4.ports().unwrap_or_default();
    let id = match ip.l4 {
        L4::Icmp(icmp) => Some(icmp.id).filter(|id| *id != 0),
        _ => None,
    };
    let tuple = FiveTuple {
        protocol: ip.protocol,
        src: ip.src,
        dst: ip.dst,
        src_port,
        dst_port,
    };
    Ok((tuple, id))
}
