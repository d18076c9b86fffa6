//! The switch: one frame in, verdicts and deliveries out. **Read this first.**
//!
//! ```text
//!   Frame ── decide(&self) ──▶ Step ── commit(&mut self) ──▶ counters, connection, FDB, Outbox
//!              │  admit → destination → connection or rules, egress then ingress
//!     │        └─ the same function, watched, is `trace`
//!     └─ known: a packet that meets the fate of its connection skips both, with the same result
//! ```
//!
//! * `known`: the short way of nearly all packets; `stage`: what is looked up ahead for a batch.
//! * `decide`: everything about a frame's fate; changes nothing.
//! * `commit`: always counts; changes connection state only where **both** sides accepted.
//! * `sweep`: closes windows and expires connections in short slices.
//! * `prepare`, `change`, `apply`: a configuration, worked out without the lock, swapped in under a new policy
//!   epoch.
//!
//! No I/O, no clock, no threads, no allocation per packet. Time comes as [`Now`]; a worker holds the
//! switch's lock for a batch of frames and sends what the [`Outbox`] says after it has let go.

mod alone;
mod apply;
mod audit;
mod change;
mod commit;
mod connection;
mod counters;
mod decide;
mod denied;
mod entry;
mod fdb;
mod fragments;
mod known;
mod leave;
mod log;
mod macs;
mod numbers;
mod port;
mod prepare;
mod record;
mod refusals;
mod room;
mod show;
mod stage;
mod step;
mod sweep;
mod watch;

pub use apply::Numbered;
pub use audit::Audit;
pub use change::{Change, Outline};
pub use counters::{Balance, ByVerdict, PortAudit, PortCounters};
pub use entry::{Tallied, icmp_of, tallied, tuple_of};
pub use fdb::{AGEING_S, Destination, Place, Segment};
pub use log::{Chunk, Closing, Left, Share};
pub use numbers::NumbersUsedUp;
pub use port::{FLOW_LIMIT, Port, PortConfig, PortSetup, UPLINK_MACS};
pub use prepare::{Compiled, PolicyError, Prepared, SwitchConfig};
pub use refusals::Refusal;
pub use show::{ConnectionView, FlowView};
pub use stage::{Ahead, BATCH};
pub use step::{Fate, FragmentStep, Judged, Room, Step, Tracked, Upper};
pub use watch::{Observer, Silent, Stage};

use entry::Tables;
use fdb::Fdb;
use flowlog::{Recording, Tally, Tick, Window};
use log::Log;
use macs::Macs;
use numbers::{Numbers, PortNumbers};
use packet::{Headers, L4, Offload, Runt, VNET_HDR_LEN};
use secgroup::conntrack::Settings;
use secgroup::{Members, PortId};
use std::sync::Arc;

/// What the switch attaches to a connection: the tallies of both ways, original first.
pub type Attached = [Tally; 2];

const UDP_HEADER_LEN: u32 = 8;

/// A moment, read once per batch and handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never steps, wrapping; for timeouts.
    pub ms: u32,
    /// Microseconds since the epoch, by the wall clock; for records and intervals.
    pub wall_us: u64,
}

/// A frame and what it means. Parsing needs no switch: it is done outside the lock.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The virtio-net header, passed through unchanged.
    pub vnet: &'a [u8; VNET_HDR_LEN],
    /// From the Ethernet header on.
    pub bytes: &'a [u8],
    /// What the virtio header says.
    pub offload: Offload,
    /// What the frame says.
    pub headers: Headers,
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`Runt`] for fewer than 14 bytes.
    #[inline]
    pub fn parse(vnet: &'a [u8; VNET_HDR_LEN], bytes: &'a [u8]) -> Result<Self, Runt> {
        let mut place = None;
        Self::parse_into(&mut place, vnet, bytes);
        place.ok_or(Runt)
    }

    /// As [`Self::parse`], into a place of the caller's: headers are large, and a batch that keeps them
    /// saves the copies. A runt leaves `None`.
    #[inline]
    pub fn parse_into(place: &mut Option<Self>, vnet: &'a [u8; VNET_HDR_LEN], bytes: &'a [u8]) {
        let known = Offload::parse(vnet);
        let frame = place.insert(Self {
            vnet,
            bytes,
            offload: known.unwrap_or_default(),
            headers: Headers::empty(),
        });
        if frame.headers.parse_into(bytes, frame.offload).is_err() {
            *place = None;
        } else if known.is_none() {
            frame.headers.defect.get_or_insert(packet::Defect::Offload);
            frame.headers.ordinary = false;
        }
    }

    /// Length of the largest IP packet that the frame stands for, bytes.
    #[inline]
    #[must_use]
    pub fn largest_packet(&self) -> u32 {
        let wire = self.headers.wire;
        let (Some(gso), Some(ip)) = (self.offload.gso, self.headers.ip()) else {
            return wire.bytes;
        };
        let payload = match ip.l4 {
            L4::Tcp(tcp) => tcp.payload_len,
            _ => ip
                .end
                .saturating_sub(u32::from(ip.l4_offset) + UDP_HEADER_LEN),
        };
        let repeated = wire.bytes.saturating_sub(payload) / wire.packets.max(1);
        payload.min(u32::from(gso.size)) + repeated
    }
}

/// What is to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What the frames are to be sent to: the receiving ports, in order.
    pub receivers: Vec<PortId>,
    /// Frames of before that are to be sent too, behind the one that set them free.
    pub released: Vec<Released>,
}

impl Outbox {
    /// Empties it; its memory stays.
    pub fn clear(&mut self) {
        self.receivers.clear();
        self.released.clear();
    }
}

/// A fragment whose wait for its datagram's first is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The virtio-net header, and the frame right behind it.
    pub whole: Box<[u8]>,
    /// Wire packets that it stands for.
    pub packets: u32,
    /// The receiving ports; at least one.
    pub to: Vec<PortId>,
}

/// The state of the whole switch. One lock stands around it.
#[derive(Debug)]
pub struct Switch {
    ports: Vec<Option<Box<Port>>>,
    /// Numbers of subnets and VPCs that have ports, and of ports that are gone.
    segments: Arc<Numbers>,
    vpcs: Arc<Numbers>,
    numbers: PortNumbers,
    fdb: Fdb,
    members: Members,
    tables: Tables,
    /// What rules refused lately.
    denied: entry::DeniedLately,
    /// Fragments that wait, of all ports.
    held: fragments::Held,
    log: Log,
    /// Number of the open window; entries remember it modulo 8.
    window_number: u64,
    window_length_s: u32,
    /// Number of the policy; 0 is never current, so that it marks entries as stale.
    policy_epoch: u16,
    /// How many policies there have been.
    policies: u64,
    settings: Settings,
    /// As `settings`, for connections whose ports say the opposite of `tcp_be_liberal`.
    other_settings: Settings,
    persist_established: bool,
    /// Whether any port has timeouts of its own.
    own_timeouts: bool,
    /// What is told apart beyond tuple and verdict.
    recording: Recording,
    /// MAC addresses of what is counted, while they are told apart.
    macs: Macs,
    /// Live connections, and how many there may be.
    connections: u32,
    connections_max: u32,
    /// Live entries of either family that only count, and how many there may be.
    counters: [u32; 2],
    counters_max: u32,
    sweep: sweep::Sweep,
    audit: audit::Scan,
    /// Refused packets, while they are traced.
    refusals: refusals::Refusals,
    /// What [`Self::apply`] has replaced.
    retired: apply::Retired,
    /// Scratch of [`Self::flood`].
    copies: Vec<PortId>,
}

impl Switch {
    /// A switch without ports. `seed` keys its hashes; random, so that no guest can aim at them.
    #[must_use]
    pub fn new(now: Now, seed: u64, connections_max: u32, window_length_s: u32) -> Self {
        let window = Window::of(now.wall_us / 1_000_000, window_length_s);
        let tables = Tables::new(connections_max, seed);
        Self {
            ports: Vec::new(),
            segments: Arc::default(),
            vpcs: Arc::default(),
            numbers: PortNumbers::default(),
            fdb: Fdb::default(),
            members: Members::default(),
            counters_max: tables.v4.capacity().saturating_sub(connections_max),
            tables,
            denied: entry::DeniedLately::default(),
            held: fragments::Held::default(),
            log: Log::new(window),
            window_number: 0,
            window_length_s,
            policy_epoch: 1,
            policies: 0,
            settings: Settings::default(),
            other_settings: Settings::default(),
            persist_established: false,
            own_timeouts: false,
            recording: Recording::default(),
            macs: Macs::default(),
            connections: 0,
            connections_max,
            counters: [0; 2],
            sweep: sweep::Sweep::due(now),
            audit: audit::Scan::default(),
            refusals: refusals::Refusals::default(),
            retired: apply::Retired::default(),
            copies: Vec::new(),
        }
    }

    /// Forwards one frame: decides, commits, and tells the outbox where it goes.
    ///
    /// A flood is one step for the sender and one for each receiver. A first fragment sets those free that
    /// came ahead of it, each one step more.
    #[inline]
    pub fn forward(&mut self, now: Now, rx: PortId, frame: &Frame<'_>, out: &mut Outbox) {
        let ahead = self.look_up(rx, frame);
        self.forward_staged(now, rx, frame, ahead, out);
    }

    /// As [`Self::forward`], with what [`Self::look_ahead`] has found for this frame.
    #[inline]
    pub fn forward_staged(
        &mut self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        ahead: Option<Ahead>,
        out: &mut Outbox,
    ) {
        let holds = |ahead: &Ahead| ahead.fdb == self.fdb.version();
        let passed = match ahead.filter(holds) {
            Some(ahead) => self.pass(now, rx, frame, ahead, out),
            None => false,
        };
        if !passed {
            self.forward_any(now, rx, frame, out);
        }
    }

    /// The long way, which every packet can go.
    fn forward_any(&mut self, now: Now, rx: PortId, frame: &Frame<'_>, out: &mut Outbox) {
        let step = self.decide(now, rx, frame, None, &mut Silent);
        self.commit(now, rx, frame, &step, out);
        if step.fate == Fate::Flood && step.is_accept() {
            self.flood(now, rx, frame, out);
        }
        if step.fragment != FragmentStep::None {
            self.commit_fragment(now, rx, frame, None, &step, out);
        }
    }

    #[cold]
    fn flood(&mut self, now: Now, rx: PortId, frame: &Frame<'_>, out: &mut Outbox) {
        let unknown_only = !frame.headers.eth.dst.is_group();
        let mut copies = std::mem::take(&mut self.copies);
        copies.clear();
        if let Some(sender) = self.port(rx) {
            copies.extend(self.fdb.copies(sender.config.segment, rx, unknown_only));
        }
        for &to in &copies {
            let step = self.decide(now, rx, frame, Some(to), &mut Silent);
            self.commit(now, rx, frame, &step, out);
            if step.fragment != FragmentStep::None {
                self.commit_fragment(now, rx, frame, Some(to), &step, out);
            }
        }
        if copies.is_empty()
            && let Some(sender) = self.port_mut(rx)
        {
            sender.counters.no_port += u64::from(frame.headers.wire.packets);
        }
        self.copies = copies;
    }

    /// Decides about a frame like [`Self::forward`], tells `watch` every stage, and changes nothing.
    /// So of the copies of a flood it cannot foresee that one takes the last place another would need.
    pub fn trace(
        &self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        watch: &mut impl Observer,
    ) -> Vec<Step> {
        let mut steps = vec![self.decide(now, rx, frame, None, watch)];
        let flood = steps
            .iter()
            .any(|step| step.fate == Fate::Flood && step.is_accept());
        if let Some(sender) = self.port(rx).filter(|_| flood) {
            let unknown_only = !frame.headers.eth.dst.is_group();
            for to in self.fdb.copies(sender.config.segment, rx, unknown_only) {
                steps.push(self.decide(now, rx, frame, Some(to), watch));
            }
        }
        steps
    }

    /// Counts a frame of fewer than 14 bytes.
    pub fn count_runt(&mut self, rx: PortId) {
        if let Some(port) = self.port_mut(rx) {
            port.counters.rx += 1;
            let kind = flowlog::NotRecorded::Malformed as usize;
            port.counters.not_recorded[kind].add(packet::Direction::Egress, false, 1);
            port.counters
                .count_refusal(packet::Verdict::Drop(packet::Reason::Malformed), 1);
        }
        self.note_runt(rx);
    }

    /// Settles what became of accepted copies, in wire packets.
    #[inline]
    pub fn settle(&mut self, port: PortId, delivered: u64, lost: u64) {
        if let Some(port) = self.port_mut(port) {
            port.counters.delivered += delivered;
            port.counters.tx_lost += lost;
        }
    }

    /// A port's TAP has come or gone. A port that is down takes no frames.
    pub fn set_up(&mut self, port: PortId, up: bool) {
        if let Some(port) = self.port_mut(port) {
            port.up = up;
        }
    }

    /// A port by its number.
    #[inline]
    #[must_use]
    pub fn port(&self, port: PortId) -> Option<&Port> {
        self.ports.get(usize::from(port.0))?.as_deref()
    }

    #[inline]
    fn port_mut(&mut self, port: PortId) -> Option<&mut Port> {
        self.ports.get_mut(usize::from(port.0))?.as_deref_mut()
    }

    /// All ports, by number.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter_map(Option::as_deref)
    }

    /// The chunks of the log that are ready for the log thread.
    #[must_use]
    pub fn fetch_log(&mut self) -> Vec<Chunk> {
        if self.log.is_ready() {
            self.log.fetch()
        } else {
            Vec::new()
        }
    }

    /// Memory that a table needed at its peak, or an earlier configuration, and that is needed no more: to
    /// be dropped without the lock.
    #[must_use]
    pub fn spare_memory(&mut self) -> impl Sized + use<> {
        let retired = std::mem::take(&mut self.retired);
        (self.tables.v4.spare(), self.tables.v6.spare(), retired)
    }

    /// The present policy's number.
    #[must_use]
    pub const fn policy_epoch(&self) -> u16 {
        self.policy_epoch
    }

    /// Live connections and their limit.
    #[must_use]
    pub const fn connections(&self) -> (u32, u32) {
        (self.connections, self.connections_max)
    }

    #[inline]
    fn tick(&self, now: Now) -> Tick {
        let start_us = self.log.window().start_s * 1_000_000;
        Tick::since_start_us(now.wall_us.wrapping_sub(start_us) as i64)
    }
}
