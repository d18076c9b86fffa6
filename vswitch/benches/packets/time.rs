//! Nanoseconds per packet.

use super::Effort;
use super::kinds::{Flows, Kind, Packet};
use super::lab::Lab;
use super::traffic::Traffic;
use rustix::time::{ClockId, clock_gettime};

/// Packets of a round.
const PACKETS: u32 = 1_000_000;
/// Packets written at a time and then sent, in a memory of 128 KiB: as the kernel has just written them.
const PREPARED: usize = 1024;
/// New flows of a round: fewer than a port may open, and than a window's log takes.
const NEW_FLOWS: u32 = 200_000;
/// Seconds after which flows that nobody answered are forgotten, and their window is over.
const FORGOTTEN_S: u32 = 120;
/// Flows on switches of few and of many ports.
const FLOWS_OF_PORTS: u32 = 1000;
/// Rules in each direction, and ports of ten addresses each that are members of the group they name.
const RULES: u16 = 1000;
const PORTS_OF_MEMBERS: u16 = 1000;

/// By the number of flows.
pub(crate) fn flows(effort: Effort) {
    println!("established TCP, data and acknowledgements in turn, flows in random order");
    for count in [1, 1_000, 100_000, 1_000_000] {
        let kind = Kind::new(Packet::TcpBoth, Flows::Known(effort.of(count)));
        let ns = least(effort, kind, PACKETS);
        println!("{count:>9} flows: {ns:7.1} ns per packet");
    }
}

/// By the number of ports.
pub(crate) fn ports(effort: Effort) {
    println!("established TCP of {FLOWS_OF_PORTS} flows, each batch of a random port");
    for count in [2, 10, 100, 1_000] {
        let kind = Kind::new(Packet::TcpBoth, Flows::Known(FLOWS_OF_PORTS)).ports(count);
        let ns = least(effort, kind, PACKETS);
        println!("{count:>9} ports: {ns:7.1} ns per packet");
    }
}

/// What is refused, beside what is not.
pub(crate) fn refused(effort: Effort) {
    println!("UDP one way");
    for (what, packet, flows) in [
        ("accepted, one flow", Packet::Udp, Flows::Known(1)),
        ("refused, one flow", Packet::Refused, Flows::Known(1)),
        ("accepted, each a new flow", Packet::Udp, Flows::New),
        ("refused, each a new flow", Packet::Refused, Flows::New),
    ] {
        let ns = least(effort, Kind::new(packet, flows), NEW_FLOWS);
        println!("{what:>25}: {ns:7.1} ns per packet");
    }
}

/// New flows among many rules and members.
pub(crate) fn new(effort: Effort) {
    let kind = Kind::new(Packet::Udp, Flows::New);
    let kind = kind.ports(PORTS_OF_MEMBERS).rules(RULES);
    let ns = least(effort, kind, NEW_FLOWS);
    println!(
        "new UDP flows, {RULES} rules in each direction, {PORTS_OF_MEMBERS} ports, a group of {} members: {ns:.1} ns, {:.0} per second",
        u32::from(PORTS_OF_MEMBERS) * u32::from(kind.spec.addresses),
        1e9 / ns
    );
}

/// The least time of a packet, nanoseconds, of several rounds. Before each, new flows of the one before
/// are forgotten.
fn least(effort: Effort, kind: Kind, packets: u32) -> f64 {
    let mut lab = Lab::new(kind.spec);
    let mut traffic = Traffic::new(kind, &mut lab);
    let packets = effort.of(packets);
    let mut least = f64::MAX;
    for round in 0..=effort.rounds {
        let mut ns = 0;
        for _ in 0..packets.div_ceil(PREPARED as u32) {
            traffic.prepare(PREPARED);
            let start = processor_ns();
            traffic.send(&mut lab, PREPARED);
            ns += processor_ns() - start;
        }
        let ns = ns as f64 / f64::from(packets.next_multiple_of(PREPARED as u32));
        // The first one only makes memory resident and caches warm.
        if round > 0 {
            least = least.min(ns);
        }
        if kind.flows == Flows::New {
            lab.rest(FORGOTTEN_S);
        }
    }
    least
}

/// Processor time of this thread, nanoseconds: what else the machine does takes part in the caches alone.
pub(crate) fn processor_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
