//! Counters of a port, kept apart from the flow table, and the conservation identity over both.
//!
//! ```text
//!   rx      = Σ egress ACCEPT + Σ egress DROP + not recorded + skipped + held
//!   offered = Σ ingress ACCEPT + Σ ingress DROP + not recorded + skipped
//!   delivered + tx lost = Σ ingress ACCEPT + (not recorded and skipped, accepted)
//! ```
//! All in wire packets: a segmentation-offload frame counts its segments.

use flowlog::NotRecorded;
use packet::{Direction, Reason, Verdict};

/// ACCEPT and DROP.
const VERDICTS: usize = 2;

/// Counts by direction (egress, ingress) and verdict (ACCEPT, DROP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByVerdict(pub [[u64; VERDICTS]; 2]);

/// Index of a direction: egress 0, ingress 1.
#[inline]
pub(super) const fn side(direction: Direction) -> usize {
    matches!(direction, Direction::Ingress) as usize
}

impl ByVerdict {
    /// Adds packets.
    #[inline]
    pub fn add(&mut self, direction: Direction, accepted: bool, packets: u64) {
        self.0[side(direction)][usize::from(!accepted)] += packets;
    }

    /// Takes packets back.
    #[inline]
    pub fn sub(&mut self, direction: Direction, accepted: bool, packets: u64) {
        self.0[side(direction)][usize::from(!accepted)] -= packets;
    }

    /// Both verdicts of a direction.
    #[must_use]
    pub const fn both(&self, direction: Direction) -> u64 {
        let [accepted, refused] = self.0[side(direction)];
        accepted + refused
    }

    /// The accepted ones of a direction.
    #[must_use]
    pub const fn accepted(&self, direction: Direction) -> u64 {
        self.0[side(direction)][0]
    }

    /// The refused ones of a direction.
    #[must_use]
    pub const fn refused(&self, direction: Direction) -> u64 {
        self.0[side(direction)][1]
    }

    /// The sum with another.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *mine += theirs;
        }
        self
    }
}

/// Everything counted at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCounters {
    /// Wire packets that came from the guest.
    pub rx: u64,
    /// Their IP bytes.
    pub rx_bytes: u64,
    /// Copies that were to be judged for this port as receiver.
    pub offered: u64,
    /// Copies that the guest's queue took.
    pub delivered: u64,
    /// IP bytes of accepted copies.
    pub tx_bytes: u64,
    /// Copies accepted but not taken: queue full, port down. Congestion, never a DROP.
    pub tx_lost: u64,
    /// Accepted at this sender, but no port took it.
    pub no_port: u64,
    /// Refusals told at this port, by reason.
    pub refused: [u64; Reason::ALL.len()],
    /// Not recorded, by kind.
    pub not_recorded: [ByVerdict; NotRecorded::ALL.len()],
    /// Recorded nowhere for lack of capacity.
    pub skipped: ByVerdict,
    /// What went out of the flow table towards the log.
    pub logged: ByVerdict,
}

impl PortCounters {
    /// Counts a refusal by its reason.
    #[inline]
    pub fn count_refusal(&mut self, verdict: Verdict, packets: u64) {
        if let Verdict::Drop(reason) = verdict {
            self.refused[reason as usize] += packets;
        }
    }

    fn not_recorded(&self) -> ByVerdict {
        self.not_recorded
            .iter()
            .fold(ByVerdict::default(), |sum, kind| sum.plus(kind))
    }
}

/// One side of the identity that does not balance, or does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Balance {
    /// What the port's own counters say.
    pub counted: u64,
    /// What the records and the rest say.
    pub recorded: u64,
}

impl Balance {
    /// Whether both agree.
    #[must_use]
    pub const fn holds(self) -> bool {
        self.counted == self.recorded
    }
}

/// The identity of one port.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PortAudit {
    /// The port's name.
    pub port: String,
    /// `rx = Σ egress + not recorded + skipped + held`.
    pub rx: Balance,
    /// `offered = Σ ingress + not recorded + skipped`.
    pub offered: Balance,
    /// `delivered + tx lost = Σ ingress ACCEPT + (not recorded and skipped, accepted)`.
    pub delivered: Balance,
    /// Records: egress ACCEPT, egress DROP, ingress ACCEPT, ingress DROP.
    pub recorded: [u64; 4],
    /// Not recorded by kind, both directions and verdicts.
    pub not_recorded: u64,
    /// Skipped for lack of capacity.
    pub skipped: u64,
    /// Fragments that wait for their datagram.
    pub held: u64,
    /// Accepted, but the guest's queue did not take them.
    pub tx_lost: u64,
}

impl PortAudit {
    /// Balances a port's counters against what stands in the flow table (`in_table`).
    #[must_use]
    pub fn new(port: &str, counters: &PortCounters, in_table: &ByVerdict, held: u64) -> Self {
        let (egress, ingress) = (Direction::Egress, Direction::Ingress);
        let records = counters.logged.plus(in_table);
        let rest = counters.not_recorded().plus(&counters.skipped);
        Self {
            port: port.to_owned(),
            rx: Balance {
                counted: counters.rx,
                recorded: records.both(egress) + rest.both(egress) + held,
            },
            offered: Balance {
                counted: counters.offered,
                recorded: records.both(ingress) + rest.both(ingress),
            },
            delivered: Balance {
                counted: counters.delivered + counters.tx_lost,
                recorded: records.accepted(ingress) + rest.accepted(ingress),
            },
            recorded: [
                records.accepted(egress),
                records.refused(egress),
                records.accepted(ingress),
                records.refused(ingress),
            ],
            not_recorded: counters.not_recorded().both(egress)
                + counters.not_recorded().both(ingress),
            skipped: counters.skipped.both(egress) + counters.skipped.both(ingress),
            held,
            tx_lost: counters.tx_lost,
        }
    }

    /// Whether all three equations hold.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.rx.holds() && self.offered.holds() && self.delivered.holds()
    }
}
