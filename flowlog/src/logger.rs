//! A logger as the configuration defines it: what to collect, how, where to.

use crate::{Field, Format, Layout, Observation, PortInfo, Storage};
use packet::{protocol, tcp_flags};
use uuid::Uuid;

/// Least aggregation interval, seconds.
pub const INTERVAL_S_MIN: u32 = 1;

/// Greatest aggregation interval, seconds: what a [`Tick`](crate::Tick) can tell, a quarter of an hour.
pub const INTERVAL_S_MAX: u32 = crate::WINDOW_S_MAX;

/// The base window of a switch without loggers, seconds.
const IDLE_WINDOW_S: u32 = 60;

/// Whose ports a logger collects from. It follows them: ports that come and go are added and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Every port of a VPC, uplinks excepted.
    Vpc(Uuid),
    /// Every port of a subnet, uplinks excepted.
    Subnet(Uuid),
    /// One port, which may be an uplink.
    Port(Uuid),
}

impl Resource {
    /// Whether a port is a logging port of this resource. A frame that matches no port (replay) has
    /// no VPC, so every VPC takes it.
    #[must_use]
    pub fn covers(&self, port: &PortInfo) -> bool {
        match self {
            Self::Vpc(id) => !port.uplink && (port.vpc_id == *id || port.vpc_id.is_nil()),
            Self::Subnet(id) => !port.uplink && port.subnet_id == *id,
            Self::Port(id) => port.interface_id == *id,
        }
    }
}

/// Which verdicts are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Both.
    All,
    /// ACCEPT alone.
    Accept,
    /// DROP alone.
    Drop,
}

/// Whether an interval without records leaves a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyIntervals {
    /// A file with the header alone.
    Write,
    /// No file.
    Skip,
}

/// A logger's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggerSpec {
    /// Identity: a reload that keeps the id keeps the logger.
    pub id: Uuid,
    /// Name in the configuration.
    pub name: String,
    /// Whose ports.
    pub resource: Resource,
    /// Which verdicts.
    pub filter: Filter,
    /// Collect TCP packets with SYN (and no established ones), UDP and ICMP of the original
    /// direction, and every DROP. A tally is collected whole or not at all, so that this is exact
    /// where the switch hands setup and the rest over apart, see [`setup_apart`].
    pub connection_setup_only: bool,
    /// Aggregation interval, [`INTERVAL_S_MIN`] to [`INTERVAL_S_MAX`]; taken into these limits.
    pub interval_s: u32,
    /// Columns, in this order.
    pub fields: Vec<Field>,
    /// What a file is called and how many rows it holds.
    pub layout: Layout,
    /// What a file is made of.
    pub format: Format,
    /// What to do without records.
    pub empty_intervals: EmptyIntervals,
    /// Where its records go.
    pub storage: Storage,
    /// `false`: nothing is collected.
    pub admin_state_up: bool,
}

impl LoggerSpec {
    /// The aggregation interval within its limits.
    pub(crate) fn interval_s(&self) -> u32 {
        self.interval_s.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX)
    }

    /// Whether this logger collects an observation at a port that it covers.
    pub(crate) fn wants(&self, o: &Observation) -> bool {
        let verdict = match self.filter {
            Filter::All => true,
            Filter::Accept => o.verdict.is_accept(),
            Filter::Drop => !o.verdict.is_accept(),
        };
        verdict && (!self.connection_setup_only || sets_up(o))
    }

    /// Whether what was collected under `self` may go on under `new`.
    pub(crate) fn collects_as(&self, new: &Self) -> bool {
        self.resource == new.resource
            && self.filter == new.filter
            && self.connection_setup_only == new.connection_setup_only
            && self.interval_s() == new.interval_s()
            && self.admin_state_up == new.admin_state_up
    }
}

/// Whether an observation belongs to the setup of a connection, or was refused.
fn sets_up(o: &Observation) -> bool {
    if !o.verdict.is_accept() {
        return true;
    }
    match o.tuple.protocol {
        protocol::TCP => o.tally.flags_all() & tcp_flags::SYN != 0,
        _ => !o.reply,
    }
}

/// The base window: the greatest common divisor of the intervals, 60 without loggers.
#[must_use]
pub fn base_window_s(loggers: &[LoggerSpec]) -> u32 {
    match loggers.iter().map(LoggerSpec::interval_s).reduce(gcd) {
        Some(length_s) => length_s,
        None => IDLE_WINDOW_S,
    }
}

/// Whether the switch must hand a tally over where [`Tally::setup_ends`](crate::Tally::setup_ends)
/// says so, because a logger keeps the setup of connections alone.
#[must_use]
pub fn setup_apart(loggers: &[LoggerSpec]) -> bool {
    loggers
        .iter()
        .any(|logger| logger.connection_setup_only && logger.admin_state_up)
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
