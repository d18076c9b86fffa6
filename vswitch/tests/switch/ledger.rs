//! What the log must hold: kept beside the switch, from what `trace` foretold of every packet.

use flowlog::{NotRecorded, Window};
use packet::{Direction, FiveTuple, Headers, L4, Verdict, Wire, tcp_flags};
use secgroup::{PortId, RuleRef};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use vswitch::switch::{Chunk, FlowView, Judged, Share, Step, Tracked, Upper, tallied, tuple_of};

/// One record, by what makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) window_s: u64,
    pub(crate) port: PortId,
    /// Ingress; egress sorts before it.
    pub(crate) ingress: bool,
    pub(crate) tuple: FiveTuple,
    pub(crate) verdict: Verdict,
}

/// What a record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// As the log writes them.
    pub(crate) flags: u8,
    /// Connections opened in this direction.
    pub(crate) opened: u64,
}

/// Records and their counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger(pub(crate) BTreeMap<Key, Count>);

impl Ledger {
    pub(crate) fn add(&mut self, key: Key, more: Count) {
        let count = self.0.entry(key).or_default();
        count.packets += more.packets;
        count.bytes += more.bytes;
        count.flags |= more.flags;
        count.opened += more.opened;
    }

    /// What a step is to leave in the log, if its packet is recorded at all.
    pub(crate) fn foresee(
        &mut self,
        everything: bool,
        window: Window,
        rx: PortId,
        headers: &Headers,
        to: Option<PortId>,
        step: &Step,
    ) {
        let (None, Some(mut tuple)) = (left_out(headers, everything), headers.tuple()) else {
            return;
        };
        if let Some(Upper {
            protocol, ports, ..
        }) = step.fragment.upper()
        {
            tuple.protocol = protocol;
            (tuple.src_port, tuple.dst_port) = ports;
        }
        let Wire { packets, bytes } = headers.wire;
        let count = Count {
            packets: packets.into(),
            bytes: bytes.into(),
            flags: seed_flags(headers),
            opened: u64::from(matches!(step.tracked, Tracked::Opens { .. }) && step.is_accept()),
        };
        let mut add = |port: Option<PortId>, ingress, judged: Option<Judged>| {
            if let (Some(port), Some(Judged { verdict, .. })) = (port, judged) {
                self.add(
                    Key {
                        window_s: window.start_s,
                        port,
                        ingress,
                        tuple,
                        verdict,
                    },
                    count,
                );
            }
        };
        add(Some(rx), false, step.egress);
        add(to, true, step.ingress);
    }

    /// What left the table.
    pub(crate) fn take(&mut self, chunk: &Chunk) {
        self.take_share(chunk.window, &chunk.v4);
        self.take_share(chunk.window, &chunk.v6);
    }

    fn take_share<A: Copy + Into<IpAddr>>(&mut self, window: Window, share: &Share<A>) {
        for left in &share.left {
            for record in tallied(&left.conn).into_iter().flatten() {
                let tally = left.with[record.way as usize];
                if tally.is_empty() {
                    continue;
                }
                let flags = if left.conn.protocol == packet::protocol::TCP {
                    tally.flags_seed()
                } else {
                    0
                };
                let key = Key {
                    window_s: window.start_s,
                    port: record.port,
                    ingress: record.direction == Direction::Ingress,
                    tuple: tuple_of(&left.conn, record.way),
                    verdict: record.judged.verdict,
                };
                self.add(
                    key,
                    Count {
                        packets: tally.packets.into(),
                        bytes: tally.bytes.into(),
                        flags,
                        opened: tally.opened().into(),
                    },
                );
            }
        }
    }

    /// What stands in the table.
    pub(crate) fn view(&mut self, window_s: u64, flow: &FlowView) {
        let FlowView {
            port,
            direction,
            tuple,
            verdict,
            tally,
        } = *flow;
        let ingress = direction == Direction::Ingress;
        let key = Key {
            window_s,
            port,
            ingress,
            tuple,
            verdict,
        };
        self.add(
            key,
            Count {
                packets: tally.packets.into(),
                bytes: tally.bytes.into(),
                flags: tally.flags_seed(),
                opened: tally.opened().into(),
            },
        );
    }

    /// Packets by port, direction and whether they passed.
    pub(crate) fn sums(&self) -> BTreeMap<(PortId, bool, bool), u64> {
        let mut sums = BTreeMap::new();
        for (key, count) in &self.0 {
            *sums
                .entry((key.port, key.ingress, key.verdict.is_accept()))
                .or_default() += count.packets;
        }
        sums
    }
}

/// Why a packet leaves no record, `None` if it does.
pub(crate) fn left_out(headers: &Headers, everything: bool) -> Option<NotRecorded> {
    let kind = flowlog::not_recorded(headers)?;
    (!(everything && flowlog::has_tuple(headers, kind))).then_some(kind)
}

/// SPEC section 5.2, said once more.
fn seed_flags(headers: &Headers) -> u8 {
    let Some(L4::Tcp(tcp)) = headers.ip().map(|ip| ip.l4) else {
        return 0;
    };
    let plain = tcp.flags & (tcp_flags::FIN | tcp_flags::SYN | tcp_flags::RST);
    if tcp.flags & tcp_flags::SYN != 0 {
        plain | tcp.flags & tcp_flags::ACK
    } else {
        plain
    }
}

/// A record for reading: `A> rule 6 10.0.0.10:1 > 10.0.0.11:80 1p 40b f2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) place: String,
    pub(crate) key: Key,
    pub(crate) count: Count,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (
            tuple,
            Count {
                packets,
                bytes,
                flags,
                ..
            },
        ) = (self.key.tuple, self.count);
        write!(
            f,
            "{} {} {tuple} {packets}p {bytes}b f{flags}",
            self.place,
            self.key.verdict.why()
        )
    }
}

/// A rule's number, for tests that look at it.
pub(crate) fn rule_of(step: &Step) -> [Option<RuleRef>; 2] {
    [step.egress, step.ingress].map(|side| side.map(|judged| judged.rule))
}
