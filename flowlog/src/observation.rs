//! What the switch hands over: one verdict at one port in one direction, and who that port is.

use crate::Tally;
use ipnet::IpNet;
use packet::{Direction, FiveTuple, Mac, Verdict};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

/// One record's worth of what left a connection's entry: a verdict at one port in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// The switch's number of the port; [`Ports`] knows who that is.
    pub port: u16,
    /// Seen from the instance behind the port.
    pub direction: Direction,
    /// As on the wire.
    pub tuple: FiveTuple,
    /// What the datapath applied.
    pub verdict: Verdict,
    /// Number of the rule that decided, 0 for none.
    pub rule: u32,
    /// Whether these packets answer a connection that the other side opened.
    pub reply: bool,
    /// Type and code of an ICMP message, where they are known.
    pub icmp: Option<(u8, u8)>,
    /// Number of the policy that judged, where it is known.
    pub policy_epoch: Option<u16>,
    /// Source and destination MAC address of the frames, where they are known.
    pub macs: Option<[Mac; 2]>,
    /// Packets, bytes, flags, first and last moment.
    pub tally: Tally,
}

impl Observation {
    /// An observation of which no more is known: no rule, no reply, no details.
    #[must_use]
    pub const fn new(
        port: u16,
        direction: Direction,
        tuple: FiveTuple,
        verdict: Verdict,
        tally: Tally,
    ) -> Self {
        Self {
            port,
            direction,
            tuple,
            verdict,
            rule: 0,
            reply: false,
            icmp: None,
            policy_epoch: None,
            macs: None,
            tally,
        }
    }
}

/// Who a port is, resolved when the window closes. A nil id or an empty name is an empty field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortInfo {
    /// The switch's number of the port, as in [`Observation::port`].
    pub port: u16,
    /// Name in the configuration.
    pub name: String,
    /// The port's own id: `interface_id`.
    pub interface_id: Uuid,
    /// Name of the instance that owns the port.
    pub instance: String,
    /// The instance's id.
    pub vm_id: Uuid,
    /// The subnet the port belongs to.
    pub subnet_id: Uuid,
    /// The VPC the subnet belongs to.
    pub vpc_id: Uuid,
    /// The addresses that the port has by configuration; of an uplink those of its gateway.
    pub addresses: Vec<IpAddr>,
    /// The networks of that VPC, for `traffic_path`.
    pub vpc_networks: Vec<IpNet>,
    /// Region of the switch.
    pub region: String,
    /// An uplink is collected only by a logger that names it.
    pub uplink: bool,
}

impl PortInfo {
    /// A port that nobody knows: that of a replayed frame which matches none.
    pub(crate) fn unknown(port: u16) -> Self {
        Self {
            port,
            ..Self::default()
        }
    }

    /// The field `owner_type`: the service's word for what owns the port.
    pub(crate) const fn owner_type(&self) -> &'static str {
        if self.uplink || self.vm_id.is_nil() {
            ""
        } else {
            "instance"
        }
    }
}

/// What the log says of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// The rule's id.
    pub id: Uuid,
    /// The id of the group it stands in.
    pub security_group_id: Uuid,
}

/// The directory of ports and rules, kept by the switch.
pub trait Ports {
    /// Who the port is, `None` where there is no port of that number. What is observed there is
    /// collected by the VPC loggers, with the port's fields empty.
    fn get(&self, port: u16) -> Option<&PortInfo>;

    /// Calls `visit` with every port that there is now, in any order: each that a logger covers and
    /// that has nothing to report gets a NODATA row. A directory that cannot tell calls it with none.
    fn each(&self, _visit: &mut dyn FnMut(&PortInfo)) {}

    /// The rule of a number, `None` for 0, for numbers never given, and in a directory without rules.
    fn rule(&self, _number: u32) -> Option<RuleInfo> {
        None
    }

    /// The name of the port that has an address in a VPC, `None` where no port has it.
    fn holder(&self, _vpc: Uuid, _address: IpAddr) -> Option<Arc<str>> {
        None
    }

    /// The name of a security group, `None` for one that is not known.
    fn group_name(&self, _group: Uuid) -> Option<Arc<str>> {
        None
    }
}

/// Packets that could not be recorded for lack of capacity in one window at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// Wire packets.
    pub packets: u64,
    /// Sum of their IP lengths.
    pub bytes: u64,
}

impl Skipped {
    /// Adds what else was skipped.
    pub(crate) fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Whether nothing was skipped.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.packets == 0 && self.bytes == 0
    }
}
