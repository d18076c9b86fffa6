//! What `show` shows: plain views, taken in slices under the lock.

use super::entry::{Address, tallied, tuple_of};
use super::{Attached, Switch, Tally};
use packet::{Direction, FiveTuple, Verdict, protocol};
use secgroup::conntrack::{Entry, Slot, State, asked};
use secgroup::{PortId, RuleRef};
use std::net::IpAddr;
use uuid::Uuid;

/// A connection, as `show connections` lists it.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionView {
    /// Its original direction; ICMP has no ports.
    pub tuple: FiveTuple,
    /// Of an ICMP query: the request's type, and the identifier.
    pub icmp: Option<(u8, u16)>,
    /// The originator's port and the other end's.
    pub ports: [PortId; 2],
    /// Its state.
    pub state: State,
    /// Milliseconds until it expires, as things stand.
    pub expires_in_ms: u32,
    /// Judgement of the original direction: sender's side, receiver's side.
    pub sides: [Option<(Verdict, RuleRef)>; 2],
    /// Whether `sides` is what the present policy says; else, after a reload or where a flood opened it,
    /// the next packet is judged anew.
    pub judged_now: bool,
    /// Packets and bytes of the present window, original and reply.
    pub counted: [(u32, u32); 2],
}

/// A record in the making, as `show flows` lists it.
#[derive(Debug, Clone, Copy)]
pub struct FlowView {
    /// At this port.
    pub port: PortId,
    /// In this direction.
    pub direction: Direction,
    /// Of this flow.
    pub tuple: FiveTuple,
    /// With this verdict.
    pub verdict: Verdict,
    /// Packets, bytes and TCP flags so far.
    pub tally: Tally,
}

impl Switch {
    /// Connections whose slot lies in `range`, of both families; `None` past the end of both arenas.
    pub fn connections_in(
        &self,
        range: std::ops::Range<u32>,
        now_ms: u32,
        out: &mut Vec<ConnectionView>,
    ) -> Option<()> {
        let ended =
            range.start >= self.tables.v4.arena_len() && range.start >= self.tables.v6.arena_len();
        self.views::<[u8; 4]>(range.clone(), now_ms, out);
        self.views::<[u8; 16]>(range, now_ms, out);
        (!ended).then_some(())
    }

    fn views<A: Address>(
        &self,
        range: std::ops::Range<u32>,
        now_ms: u32,
        out: &mut Vec<ConnectionView>,
    ) {
        let table = A::table(&self.tables);
        let range = range.start..range.end.min(table.arena_len());
        for slot in table.slots_in(range) {
            let entry = table.entry(slot);
            let conn = &entry.conn;
            if !conn.state().is_connection() || conn.is_expired(now_ms) {
                continue;
            }
            out.push(view(entry, self.policy_epoch, now_ms));
        }
    }

    /// Forgets the connections whose slot lies in `range` and that are `wanted`: what they hold for the log
    /// is handed over. Returns how many there were; `None` past the end of both arenas.
    pub fn forget_connections(
        &mut self,
        range: std::ops::Range<u32>,
        now_ms: u32,
        wanted: impl Fn(&ConnectionView) -> bool,
    ) -> Option<u32> {
        let ended =
            range.start >= self.tables.v4.arena_len() && range.start >= self.tables.v6.arena_len();
        let forgotten = self.forget_of::<[u8; 4]>(range.clone(), now_ms, &wanted)
            + self.forget_of::<[u8; 16]>(range, now_ms, &wanted);
        (!ended).then_some(forgotten)
    }

    fn forget_of<A: Address>(
        &mut self,
        range: std::ops::Range<u32>,
        now_ms: u32,
        wanted: impl Fn(&ConnectionView) -> bool,
    ) -> u32 {
        let table = A::table(&self.tables);
        let policy_epoch = self.policy_epoch;
        let is_wanted = |slot: &Slot| {
            let entry = table.entry(*slot);
            let conn = &entry.conn;
            conn.state().is_connection()
                && !conn.is_expired(now_ms)
                && wanted(&view(entry, policy_epoch, now_ms))
        };
        let range = range.start..range.end.min(table.arena_len());
        let slots: Vec<Slot> = table.slots_in(range).filter(is_wanted).collect();
        for &slot in &slots {
            self.drop_entry::<A>(slot);
        }
        slots.len() as u32
    }

    /// Records in the making whose entry's slot lies in `range`, of both families; `None` past the end
    /// of both arenas.
    pub fn flows_in(&self, range: std::ops::Range<u32>, out: &mut Vec<FlowView>) -> Option<()> {
        let more = self.flows_of::<[u8; 4]>(range.clone(), out);
        let more = self.flows_of::<[u8; 16]>(range, out) || more;
        more.then_some(())
    }

    fn flows_of<A: Address>(&self, range: std::ops::Range<u32>, out: &mut Vec<FlowView>) -> bool {
        let table = A::table(&self.tables);
        let end = range.end.min(table.arena_len());
        for slot in table.slots_in(range.start..end) {
            let entry = table.entry(slot);
            for record in tallied(&entry.conn).into_iter().flatten() {
                let tally = entry.with[record.way as usize];
                if !tally.is_empty() {
                    out.push(FlowView {
                        port: record.port,
                        direction: record.direction,
                        tuple: tuple_of(&entry.conn, record.way),
                        verdict: record.judged.verdict,
                        tally,
                    });
                }
            }
        }
        range.start < table.arena_len()
    }

    /// The forwarding database: subnet, MAC, place.
    pub fn fdb(&self) -> impl Iterator<Item = (Uuid, packet::Mac, super::Place)> + '_ {
        let subnet_of = |(mac, place): (packet::Mac, super::Place)| {
            Some((self.port(place.port)?.config.subnet, mac, place))
        };
        self.fdb.entries().filter_map(subnet_of)
    }
}

fn view<A: Address>(entry: &Entry<A, Attached>, policy_epoch: u16, now_ms: u32) -> ConnectionView {
    let conn = &entry.conn;
    let (from, to) = (conn.originator(), 1 - conn.originator());
    let ip = |end: usize| -> IpAddr { conn.key.addr[end].ip() };
    // The key of a query holds type and identifier where others hold ports.
    let is_icmp = matches!(conn.protocol, protocol::ICMP | protocol::ICMPV6);
    let port = |end: usize| if is_icmp { 0 } else { conn.key.l4[end] };
    ConnectionView {
        tuple: FiveTuple {
            protocol: conn.protocol,
            src: ip(from),
            dst: ip(to),
            src_port: port(from),
            dst_port: port(to),
        },
        icmp: is_icmp.then(|| asked(conn.key.l4)).flatten(),
        ports: [conn.key.port[from], conn.key.port[to]],
        state: conn.state(),
        expires_in_ms: conn.deadline_ms.wrapping_sub(now_ms),
        sides: conn.sides.map(|side| Some((side.verdict()?, side.rule()))),
        judged_now: conn.policy_epoch == policy_epoch,
        counted: entry.with.map(|tally| (tally.packets, tally.bytes)),
    }
}
