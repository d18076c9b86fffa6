//! A logger as the configuration defines it: what to collect, how, where to.

use crate::{
    Compression, Field, Format, Layout, Observation, PortInfo, Storage, exclusion::is_of_seed,
    spool::Destination,
};
use packet::{protocol, tcp_flags};
use uuid::Uuid;

/// Least aggregation interval, seconds.
pub const INTERVAL_S_MIN: u32 = 1;

/// Greatest aggregation interval, seconds: what a [`Tick`](crate::Tick) can tell, a quarter of an hour.
pub const INTERVAL_S_MAX: u32 = crate::WINDOW_S_MAX;

/// The base window of a switch without loggers, and the interval where nothing is said, seconds.
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

/// Which packets are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Those of the seed: what [`not_recorded`](crate::not_recorded) names is left out.
    #[default]
    Seed,
    /// Every IP packet that has a tuple: IPv6, multicast, metadata and other protocols too.
    All,
}

impl Scope {
    /// `seed` or `all`, as configurations write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::All => "all",
        }
    }
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
    /// where the switch hands setup and the rest over apart, see [`Recording::setup_apart`].
    pub connection_setup_only: bool,
    /// Aggregation interval, [`INTERVAL_S_MIN`] to [`INTERVAL_S_MAX`]; taken into these limits.
    pub interval_s: u32,
    /// Which packets.
    pub scope: Scope,
    /// Records of one port in an interval at most, and of all ports together beyond each one's first
    /// thousands; `None` for the default of [`Limits`](crate::Limits).
    pub flow_limit: Option<u32>,
    /// Columns, in this order; of an AWS profile the fields that its columns are made from.
    pub fields: Vec<Field>,
    /// Whether a logging port with nothing to report gets a row with the status NODATA.
    pub no_data_rows: bool,
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
    /// A logger with the defaults of the configuration: every minute, both verdicts, the seed's scope and
    /// fields, CSV as it is, a file for empty intervals too.
    #[must_use]
    pub fn new(id: Uuid, name: &str, resource: Resource, storage: Storage) -> Self {
        Self {
            id,
            name: name.to_owned(),
            resource,
            filter: Filter::All,
            connection_setup_only: false,
            interval_s: IDLE_WINDOW_S,
            scope: Scope::Seed,
            flow_limit: None,
            fields: Field::NHN_18.to_vec(),
            no_data_rows: false,
            layout: Layout::default(),
            format: Format::Csv(Compression::Raw),
            empty_intervals: EmptyIntervals::Write,
            storage,
            admin_state_up: true,
        }
    }

    /// The aggregation interval within its limits.
    pub fn interval_s(&self) -> u32 {
        self.interval_s.clamp(INTERVAL_S_MIN, INTERVAL_S_MAX)
    }

    /// Whether this logger collects an observation at a port that it covers.
    pub(crate) fn wants(&self, o: &Observation) -> bool {
        let verdict = match self.filter {
            Filter::All => true,
            Filter::Accept => o.verdict.is_accept(),
            Filter::Drop => !o.verdict.is_accept(),
        };
        let in_scope = self.scope == Scope::All || is_of_seed(&o.tuple);
        in_scope && verdict && (!self.connection_setup_only || sets_up(o))
    }

    /// Whether an interval that was begun under `self` may be written as `new` says. Else it belongs to
    /// `self`: what was collected for a place is written there, with the columns it was collected for.
    pub(crate) fn goes_on_as(&self, new: &Self) -> bool {
        // Keys that neither select records nor shape or place files, and those of how a store is
        // reached. The last two hold for what is opened next.
        let as_before = Self {
            name: self.name.clone(),
            storage: match Destination::of(&self.storage) == Destination::of(&new.storage) {
                true => self.storage.clone(),
                false => new.storage.clone(),
            },
            empty_intervals: self.empty_intervals,
            flow_limit: self.flow_limit,
            ..new.clone()
        };
        *self == as_before && self.interval_s() == new.interval_s()
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

/// What the loggers ask of the switch beyond counting by tuple and verdict. What nobody asks for costs
/// no packet anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recording {
    /// A tally is handed over where [`Tally::setup_ends`](crate::Tally::setup_ends) says so.
    pub setup_apart: bool,
    /// ICMP messages are counted by type and code.
    pub icmp_apart: bool,
    /// Packets are counted by the policy that judged them.
    pub epochs_apart: bool,
    /// Packets are counted by their MAC addresses.
    pub macs_apart: bool,
    /// What only [`Scope::All`] collects is counted like the rest.
    pub everything: bool,
}

impl Recording {
    /// What these loggers ask for.
    #[must_use]
    pub fn of(loggers: &[LoggerSpec]) -> Self {
        let any = |asks: &dyn Fn(&LoggerSpec) -> bool| {
            let mut up = loggers.iter().filter(|logger| logger.admin_state_up);
            up.any(asks)
        };
        let names = |fields: [Field; 2]| {
            any(&|logger| logger.fields.iter().any(|field| fields.contains(field)))
        };
        Self {
            setup_apart: any(&|logger| logger.connection_setup_only),
            icmp_apart: names([Field::IcmpType, Field::IcmpCode]),
            epochs_apart: names([Field::PolicyEpoch; 2]),
            macs_apart: names([Field::MacSrc, Field::MacDst]),
            everything: any(&|logger| logger.scope == Scope::All),
        }
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
