//! Stages and the verdict in words.

use super::{Step, Switch};
use crate::switch::{Destination, Fate, Stage};
use packet::Verdict;
use secgroup::PortId;
use secgroup::conntrack::Way;

/// A stage's name and what happened there; `None` where it says nothing that the sides do not say.
pub(super) fn stage(switch: &Switch, stage: &Stage<'_>) -> Option<(&'static str, String)> {
    Some(match stage {
        Stage::Received { port, headers } => {
            let packets = headers.wire.packets;
            let many = if packets > 1 {
                format!(", {packets} packets on a wire")
            } else {
                String::new()
            };
            (
                "received",
                format!("from {} ({}){many}", port.config.name, headers.eth.src),
            )
        }
        Stage::Admitted { port } if port.filters() => (
            "admitted",
            format!("its source is {}'s own: no spoofing", port.config.name),
        ),
        Stage::Admitted { port } => ("admitted", format!("{} filters nothing", port.config.name)),
        Stage::Destined { destination } => ("destination", self::destination(switch, *destination)),
        Stage::Related => (
            "related",
            "an ICMP error that quotes a packet of a known connection".to_owned(),
        ),
        Stage::FollowsFirst => (
            "fragment",
            "takes the verdict of its datagram's first fragment".to_owned(),
        ),
        Stage::WaitsForFirst => (
            "fragment",
            "came ahead of its datagram's first fragment: kept until that comes".to_owned(),
        ),
        Stage::Connection {
            protocol,
            state,
            way,
            judged_again,
        } => {
            let way = match way {
                Way::Original => "the way it was opened",
                Way::Reply => "a reply",
            };
            let again = if *judged_again {
                "; judged again, for the policy has changed since"
            } else {
                ""
            };
            (
                "connection",
                format!("known, {}, {way}{again}", state.name(*protocol)),
            )
        }
        Stage::Opens { protocol, state } => (
            "connection",
            format!(
                "none yet; this packet would open one ({})",
                state.name(*protocol)
            ),
        ),
        Stage::Invalid { why } => (
            "connection",
            format!("invalid: {}", why.to_string().replace('_', " ")),
        ),
        Stage::TableFull => (
            "table",
            "full, and no unanswered connection may give way".to_owned(),
        ),
        Stage::Decided { .. } => return None,
    })
}

fn destination(switch: &Switch, destination: Destination) -> String {
    let name = |port: PortId| {
        switch
            .port(port)
            .map_or_else(|| format!("port {port}"), |port| port.config.name.clone())
    };
    match destination {
        Destination::One(to) => match switch.port(to) {
            Some(port) if !port.filters() => {
                format!(
                    "{}, by its MAC, or as the one port that may have unknown ones",
                    name(to)
                )
            }
            _ => format!("{}, by its MAC", name(to)),
        },
        Destination::All => "every other port of the subnet (group address)".to_owned(),
        Destination::Unknown => "unknown MAC: every port that may have unknown ones".to_owned(),
        Destination::None => "no port has this MAC".to_owned(),
    }
}

/// Whether anybody gets the packet, and the whole in one line.
pub(super) fn verdict(steps: &[(Step, Option<String>)], sender: &str) -> (bool, String) {
    let Some(((first, receiver), copies)) = steps.split_first() else {
        return (false, "DROP: the port is not attached".to_owned());
    };
    if first.fate == Fate::Held {
        let held =
            "HELD: what becomes of it is decided when the first fragment of its datagram comes";
        return (
            false,
            format!("{held}; too late, and it is DROP(frag_timeout)"),
        );
    }
    if let Some(verdict) = first
        .egress
        .map(|judged| judged.verdict)
        .filter(|verdict| !verdict.is_accept())
    {
        return (
            false,
            format!("{verdict} at the sender, {sender}: nobody gets it"),
        );
    }
    if !copies.is_empty() {
        let is_offered = |step: &&Step| step.ingress.is_some();
        let offered = || copies.iter().map(|(step, _)| step).filter(is_offered);
        let gets = offered().filter(|step| step.is_accept()).count();
        let passed_by = copies.len() - offered().count();
        let aimed = match passed_by {
            0 => String::new(),
            _ => format!(
                "; it is for routers and DHCP servers, and passes {passed_by} by that have no rule for it"
            ),
        };
        return (
            gets > 0,
            format!(
                "ACCEPT at the sender, {sender}; {gets} of {} receivers get it{aimed}",
                copies.len()
            ),
        );
    }
    match (first.ingress.map(|judged| judged.verdict), receiver) {
        (Some(verdict @ Verdict::Drop(_)), Some(receiver)) => (
            false,
            format!("{verdict} at the receiver, {receiver}; {sender} was allowed to send it"),
        ),
        (Some(Verdict::Accept(_)), Some(receiver)) => (true, format!("ACCEPT: {receiver} gets it")),
        _ => (
            false,
            format!("ACCEPT at the sender, {sender}, but no port takes it"),
        ),
    }
}
