//! Watching a decision: forwarding passes an observer that compiles to nothing, `trace` one that records.

use super::{Port, Step, fdb::Destination};
use packet::Headers;
use secgroup::conntrack::{Invalid, State, Way};

/// A stage of a packet's way, in the order in which it happens.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// A frame came from a port.
    Received {
        /// The sender.
        port: &'a Port,
        /// What it says.
        headers: &'a Headers,
    },
    /// The sender may send this.
    Admitted {
        /// The sender.
        port: &'a Port,
    },
    /// The forwarding database was asked.
    Destined {
        /// What it said.
        destination: Destination,
    },
    /// An ICMP error quotes a packet of a known connection.
    Related,
    /// A fragment takes the verdict of its datagram's first.
    FollowsFirst,
    /// A fragment came ahead of its datagram's first, and is kept until that comes.
    WaitsForFirst,
    /// A connection was found.
    Connection {
        /// Its protocol, which names its states.
        protocol: u8,
        /// Its state before this packet.
        state: State,
        /// Which way the packet goes in it.
        way: Way,
        /// Its judgement was of an older policy and was taken again.
        judged_again: bool,
    },
    /// No connection was found; this packet would open one.
    Opens {
        /// Of this protocol.
        protocol: u8,
        /// In this state.
        state: State,
    },
    /// The packet belongs to no valid connection.
    Invalid {
        /// Why not.
        why: Invalid,
    },
    /// The table, or the sender's share of it, is full, and nothing gives way.
    TableFull,
    /// Both sides have spoken.
    Decided {
        /// The sender.
        sender: &'a Port,
        /// The receiver, where there is exactly one.
        receiver: Option<&'a Port>,
        /// What was decided.
        step: Step,
    },
}

/// Somebody who may want to see the stages.
pub trait Observer {
    /// Takes note of a stage. The closure is run only by those who look.
    fn see<'a>(&mut self, stage: impl FnOnce() -> Stage<'a>);
}

/// Nobody looks: compiles to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    #[inline(always)]
    fn see<'a>(&mut self, _stage: impl FnOnce() -> Stage<'a>) {}
}
