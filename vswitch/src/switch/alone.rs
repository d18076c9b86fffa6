//! Judging without state: what a port takes, what passes without a rule, and what its rules say.

use super::port::PortSetup;
use super::step::{Fate, Judged, Step};
use super::{Frame, Port, Switch};
use packet::{Basis, Direction, Headers, L4, Reason, Verdict};
use secgroup::{Essential, Flow, Members};
use std::net::IpAddr;

impl Switch {
    /// A packet that is nobody's connection: essentials, broadcast, multicast, unfiltered and stateless
    /// ports. Each side by itself.
    pub(super) fn judge_alone(
        members: &Members,
        sender: &Port,
        receiver: Option<&Port>,
        frame: &Frame<'_>,
    ) -> Step {
        let egress = sender.side(members, Direction::Egress, frame, sender);
        let mut step = Step {
            egress: Some(egress),
            ..Step::new(Fate::Nowhere)
        };
        if let Some(receiver) = receiver.filter(|_| egress.verdict.is_accept()) {
            step.ingress = Some(match receiver.accepts_frame(frame) {
                Ok(()) => receiver.side(members, Direction::Ingress, frame, sender),
                Err(reason) => Judged::refused(reason),
            });
        }
        step
    }
}

impl PortSetup {
    /// Whether replies need no rule at this port.
    #[inline]
    pub(super) fn is_stateful_or_open(&self) -> bool {
        self.stateful || !self.filters()
    }

    /// Whether the port may receive such a frame at all: its size, and its link and network address.
    #[inline]
    pub(super) fn accepts_frame(&self, frame: &Frame<'_>) -> Result<(), Reason> {
        if frame.largest_packet() > u32::from(self.config.mtu) {
            return Err(Reason::Mtu);
        }
        if self.filters() {
            self.guard.receives(frame.bytes, &frame.headers)
        } else {
            Ok(())
        }
    }

    /// As [`Self::accepts_frame`], for an IP packet that a filtering port was admitted to send.
    #[inline(always)]
    pub(super) fn accepts_admitted(&self, frame: &Frame<'_>) -> Result<(), Reason> {
        if frame.largest_packet() > u32::from(self.config.mtu) {
            return Err(Reason::Mtu);
        }
        if self.filters() && self.config.spec.strict_rx {
            self.guard.receives(frame.bytes, &frame.headers)
        } else {
            Ok(())
        }
    }

    /// Whether an IPv4 packet goes to the broadcast address of the port's subnet.
    #[inline]
    pub(super) fn is_broadcast(&self, headers: &Headers) -> bool {
        let (Some(broadcast), Some(ip)) = (self.config.spec.broadcast, headers.ip()) else {
            return false;
        };
        ip.dst == IpAddr::V4(broadcast)
    }

    /// One side of a packet without state: what passes without a rule, then the rules.
    pub(super) fn side(
        &self,
        members: &Members,
        direction: Direction,
        frame: &Frame<'_>,
        sender: &Self,
    ) -> Judged {
        if !self.filters() {
            return Judged::plain(Verdict::Accept(Basis::Unfiltered));
        }
        let headers = &frame.headers;
        match self
            .guard
            .essential(direction, headers, sender.guard.as_sender())
        {
            Essential::Pass => return Judged::plain(Verdict::Accept(Basis::Essential)),
            Essential::Refuse(reason) => return Judged::refused(reason),
            Essential::No => {}
        }
        if headers.defect.is_some() {
            return Judged::refused(Reason::Malformed);
        }
        let Some(ip) = headers.ip() else {
            return Judged::plain(Verdict::Accept(Basis::Essential));
        };
        let flow = Flow::of(direction, self.config.spec.vpc, headers, ip);
        self.judge_flow(members, direction, &flow)
    }

    /// What the port's rules say.
    #[inline]
    pub(super) fn judge_flow(
        &self,
        members: &Members,
        direction: Direction,
        flow: &Flow,
    ) -> Judged {
        let Some(policy) = &self.policy else {
            return Judged::plain(Verdict::Accept(Basis::Unfiltered));
        };
        match policy.classify(direction, flow, members) {
            Some(rule) => Judged {
                verdict: Verdict::Accept(Basis::Rule),
                rule,
            },
            None => Judged::refused(Reason::DefaultDeny),
        }
    }
}

/// DHCP and DHCPv6, which pass by the essentials and beside connection tracking: a DISCOVER from
/// 0.0.0.0 to broadcast makes no sane entry.
#[inline]
pub(super) fn is_dhcp(headers: &Headers) -> bool {
    if headers.ordinary {
        return false;
    }
    let Some(ip) = headers.ip() else { return false };
    let L4::Udp { src_port, dst_port } = ip.l4 else {
        return false;
    };
    match (src_port, dst_port) {
        (67, 68) | (68, 67) => ip.src.is_ipv4(),
        (546, 547) | (547, 546) => ip.src.is_ipv6(),
        _ => false,
    }
}
