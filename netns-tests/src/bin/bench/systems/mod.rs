//! What is measured: guests, and what lies between them.
//!
//! ```text
//!   a ══╗
//!   b ══╬══ switch (a process) · pump (a process) · Linux bridge (the kernel) · Open vSwitch (two)
//!   c ══╝   each with namespaces of its own, gone when it is dropped
//! ```

mod bridge;
mod ovs;
mod pump;
mod setup;
mod switch;

use crate::{
    peers::Peer,
    wire::{Flows, establish, touch},
};
use anyhow::{Context, Result, ensure};
use netns_tests::Lab;
use ovs::Ovs;
use packet::Mac;
use pump::Pump;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity},
};
use setup::Guests;
use std::{net::Ipv4Addr, thread, time::Duration};
pub(crate) use switch::{CROSSED_INTERVAL, LONG_INTERVAL, many_rules};
use tap::{LinkStats, Links, Netns};

/// What the names of pumps begin with.
pub(crate) const PUMP: &str = "pump";
/// The name of the system that everything is about.
pub(crate) const SWITCH: &str = "switch";
/// What a process that was stopped needs until its timers have run.
const WAKING: Duration = Duration::from_millis(100);

/// One end: a guest's interface.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) netns: Netns,
    pub(crate) interface: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) mac: Mac,
}

/// A system with its guests.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    /// The guests `a`, `b` and, where a measure wants it, `c`.
    ends: Vec<End>,
    between: Between,
    /// Flows that its UDP measures send, established beforehand where there is more than one.
    pub(crate) flows: u32,
    /// Namespaces and files, which go last.
    pub(crate) lab: Lab,
}

#[derive(Debug)]
enum Between {
    /// The switch; the lab owns the process.
    Switch(u32),
    Pump(Pump),
    Ovs(Ovs),
    /// Part of the kernel. What it is inside the daemon's namespace goes with that.
    Kernel,
}

impl System {
    /// The switch with stateful groups and a logger for everything; `top` is a line of its configuration.
    pub(crate) fn switch(name: &str, top: &str) -> Result<Self> {
        switch::start(name, Guests::Two, top, true)
    }

    /// The same without any logger.
    pub(crate) fn silent_switch(name: &str) -> Result<Self> {
        switch::start(name, Guests::Two, "", false)
    }

    /// The same with a third guest.
    pub(crate) fn switch_of_three(name: &str) -> Result<Self> {
        switch::start(name, Guests::Three, "", true)
    }

    /// The switch with room for many flows, which its UDP measures send.
    pub(crate) fn switch_with_flows(name: &str, flows: u32, interval_s: u64) -> Result<Self> {
        switch::with_flows(name, flows, interval_s)
    }

    /// The switch with a group of many rules, to be changed while it runs.
    pub(crate) fn switch_with_rules(name: &str) -> Result<Self> {
        switch::with_rules(name)
    }

    /// The reference pump; `method` is how it reads and writes, `guests` how many there are.
    pub(crate) fn pump(method: &str, has_third: bool) -> Result<Self> {
        let guests = if has_third {
            Guests::Three
        } else {
            Guests::Two
        };
        pump::start(method, guests)
    }

    /// Another switch.
    pub(crate) fn peer(peer: Peer) -> Result<Self> {
        match peer {
            Peer::Bridge | Peer::Iptables | Peer::Nftables => bridge::start(peer),
            Peer::Ovs | Peer::OvsCt | Peer::OvsIpfix => ovs::start(peer),
        }
    }

    fn new(name: &str, lab: Lab, guests: Guests, between: Between) -> Result<Self> {
        let ends = guests.names().iter().map(|name| {
            let guest = lab.guest(name);
            let others = guests.names().iter().filter(|other| *other != name);
            let others: Vec<_> = others.map(|other| lab.guest(other)).collect();
            guest.knows(&others);
            End {
                netns: guest.netns().clone(),
                interface: guest.port().tap(),
                ip: guest.ip(),
                mac: guest.port().mac(),
            }
        });
        let ends = ends.collect();
        let (a, b) = lab.pair("a", "b");
        ensure!(a.pings(b.ip(), 3, 56), "the guests do not reach each other");
        Ok(Self {
            name: name.to_owned(),
            ends,
            between,
            flows: 1,
            lab,
        })
    }

    /// Has the connections of its flows established and young: a packet of each way where there is one,
    /// one of each flow where they were established when the system was made. Of several senders each has
    /// its own.
    pub(crate) fn prepare(&self, senders: u16) -> Result<()> {
        if self.flows == 1 {
            let mut lanes = (0..senders).map(|lane| Flows::new(1).lane(lane));
            return lanes.try_for_each(|flows| establish(self.pair(), flows));
        }
        touch(self.pair(), Flows::new(self.flows))?;
        match self.between {
            Between::Switch(_) => switch::holds(&self.lab, self.flows),
            Between::Pump(_) | Between::Ovs(_) | Between::Kernel => Ok(()),
        }
    }

    /// The first two guests.
    pub(crate) fn pair(&self) -> [&End; 2] {
        [&self.ends[0], &self.ends[1]]
    }

    /// The third guest.
    pub(crate) fn third(&self) -> Result<&End> {
        self.ends.get(2).context("it has no third guest")
    }

    /// Whether the sender's own processor forwards: there is no process between.
    pub(crate) fn is_kernel(&self) -> bool {
        matches!(self.between, Between::Kernel)
    }

    /// Whether it is the switch, of whatever kind.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.between, Between::Switch(_))
    }

    /// The process that forwards, where there is one.
    fn process(&self) -> Option<u32> {
        match &self.between {
            Between::Switch(pid) => Some(*pid),
            Between::Pump(pump) => Some(pump.pid()),
            Between::Ovs(ovs) => Some(ovs.pid()),
            Between::Kernel => None,
        }
    }

    /// What is worth knowing of a turn, besides its figures.
    pub(crate) fn remarks(&self) -> Vec<(&'static str, f64)> {
        match &self.between {
            Between::Ovs(ovs) => ovs.remarks(),
            Between::Switch(_) | Between::Pump(_) | Between::Kernel => vec![],
        }
    }

    /// Stops what would be busy while others have their turn; the switch and the pumps sleep by
    /// themselves.
    pub(crate) fn rest(&self) {
        self.signal_ovs(Signal::STOP);
    }

    /// Goes on after [`System::rest`].
    pub(crate) fn wake(&self) {
        if self.signal_ovs(Signal::CONT) {
            thread::sleep(WAKING);
        }
    }

    fn signal_ovs(&self, signal: Signal) -> bool {
        let Between::Ovs(ovs) = &self.between else {
            return false;
        };
        let pid = Pid::from_raw(ovs.pid() as i32);
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Confines the process, every thread of it, to the first processor, or frees it again.
    pub(crate) fn pin(&self, pinned: bool) {
        let Some(pid) = self.process() else { return };
        let cpus = cpus(pinned);
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let thread = entry
                .file_name()
                .to_string_lossy()
                .parse()
                .ok()
                .and_then(Pid::from_raw);
            let _ = sched_setaffinity(thread, &cpus);
        }
    }

    /// Seconds of processor time the forwarding process has used.
    pub(crate) fn cpu_s(&self) -> f64 {
        let Some(pid) = self.process() else {
            return 0.0;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |n| {
            let tick = after_name.split_whitespace().nth(n);
            tick.and_then(|tick| tick.parse::<f64>().ok())
                .unwrap_or_default()
        };
        // utime and stime of proc(5), in USER_HZ, 100 a second.
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl End {
    /// Counters of its interface, as its own kernel keeps them.
    pub(crate) fn stats(&self) -> Result<LinkStats> {
        Ok(Links::open(Some(&self.netns))?.stats(&self.interface)?)
    }
}

/// The first processor alone, or all of them.
pub(crate) fn cpus(first_only: bool) -> CpuSet {
    let mut cpus = CpuSet::new();
    let count = if first_only { 1 } else { CpuSet::MAX_CPU };
    (0..count).for_each(|cpu| cpus.set(cpu));
    cpus
}
