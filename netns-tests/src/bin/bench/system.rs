//! What is measured: two guests, and what lies between them.

use anyhow::{Context, Result, bail, ensure};
use netns_tests::{
    Lab, Plan,
    rules::{any_in, any_out},
    run,
};
use packet::Mac;
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{CpuSet, sched_setaffinity},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tap::{Links, Netns};

/// What the names of pumps begin with.
pub(crate) const PUMP: &str = "pump";

/// One end.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) netns: Netns,
    pub(crate) interface: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) mac: Mac,
}

/// A system with its two ends.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) ends: [End; 2],
    between: Between,
    /// Namespaces and, last, their names' removal.
    _lab: Lab,
}

#[derive(Debug)]
enum Between {
    /// A process of its own: the switch.
    Daemon(u32),
    /// The pump.
    Pump(Child),
    /// The kernel.
    Nothing,
}

impl System {
    /// The switch: stateful groups on both ports and, with `log`, a logger for everything; `top` is a
    /// line of its configuration.
    pub(crate) fn switch(name: &str, top: &str, log: bool) -> Result<Self> {
        let plan = two_guests().top(top);
        let plan = match log {
            true => plan
                .logger("name: all, resource_type: VPC, resource: lab, aggregation_interval: 10s"),
            false => plan,
        };
        let mut lab = plan.start();
        let pid = lab.daemon().pid();
        Self::new(name, lab, Between::Daemon(pid))
    }

    /// The reference pump: the same flags and buffers, nothing inspected. `method` is how it reads and
    /// writes.
    pub(crate) fn pump(method: &str) -> Result<Self> {
        let lab = two_guests().prepare();
        let program = std::env::var_os("PUMP_BIN")
            .context("PUMP_BIN names the pump; run `cargo xtask bench`")?;
        let place = |name: &str| {
            format!(
                "{}@{}",
                lab.guest(name).port().tap(),
                lab.guest(name).netns()
            )
        };
        let child = Command::new(program)
            .args([method, &place("a"), &place("b")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        for name in ["a", "b"] {
            let guest = lab.guest(name);
            wait_for(guest.netns(), &guest.port().tap())?;
            configure(
                guest.netns(),
                &guest.port().tap(),
                guest.port().mac(),
                guest.ip(),
            )?;
        }
        Self::new(&format!("{PUMP}, {method}"), lab, Between::Pump(child))
    }

    /// The Linux bridge between two veth pairs, without any filter.
    pub(crate) fn bridge() -> Result<Self> {
        let mut lab = two_guests().prepare();
        let host = lab.namespace("bridge");
        sh(&host, "ip link add br0 type bridge; ip link set br0 up")?;
        for name in ["a", "b"] {
            let guest = lab.guest(name);
            let (netns, tap) = (guest.netns(), guest.port().tap());
            sh(
                &host,
                &format!(
                    "ip link add {tap} type veth peer name {tap} netns {netns}
                     ip link set {tap} master br0; ip link set {tap} up"
                ),
            )?;
            configure(netns, &tap, guest.port().mac(), guest.ip())?;
        }
        Self::new("bridge", lab, Between::Nothing)
    }

    fn new(name: &str, lab: Lab, between: Between) -> Result<Self> {
        let (a, b) = lab.pair("a", "b");
        a.knows(&[b]);
        b.knows(&[a]);
        ensure!(
            a.pings(b.ip(), 3, 56),
            "{name}: the guests do not reach each other"
        );
        let end = |name: &str| {
            let guest = lab.guest(name);
            End {
                netns: guest.netns().clone(),
                interface: guest.port().tap(),
                ip: guest.ip(),
                mac: guest.port().mac(),
            }
        };
        Ok(Self {
            name: name.to_owned(),
            ends: [end("a"), end("b")],
            between,
            _lab: lab,
        })
    }

    /// The process that forwards, where there is one.
    pub(crate) fn process(&self) -> Option<u32> {
        match &self.between {
            Between::Daemon(pid) => Some(*pid),
            Between::Pump(child) => Some(child.id()),
            Between::Nothing => None,
        }
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
}

impl Drop for System {
    fn drop(&mut self) {
        if let Between::Pump(child) = &mut self.between {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

/// The first processor alone, or all of them.
pub(crate) fn cpus(first_only: bool) -> CpuSet {
    let mut cpus = CpuSet::new();
    let count = if first_only { 1 } else { CpuSet::MAX_CPU };
    (0..count).for_each(|cpu| cpus.set(cpu));
    cpus
}

fn two_guests() -> Plan {
    let plan = Plan::new()
        .no_loggers()
        .group("open", &[any_in(), any_out()]);
    plan.guest("a", &["open"]).guest("b", &["open"])
}

fn wait_for(netns: &Netns, interface: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Links::open(Some(netns))?.find(interface)?.is_none() {
        ensure!(Instant::now() < deadline, "{interface} does not appear");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// As the switch sets up what it makes.
fn configure(netns: &Netns, interface: &str, mac: Mac, ip: Ipv4Addr) -> Result<()> {
    let mut links = Links::open(Some(netns))?;
    links.set_mac(interface, mac)?;
    links.disable_dad(interface)?;
    links.set_up(interface, true)?;
    links.add_address(interface, IpAddr::V4(ip), 24)?;
    Ok(())
}

fn sh(netns: &Netns, script: &str) -> Result<()> {
    let done = run(
        Some(netns),
        Command::new("sh").args(["-ec", script]),
        "",
        Duration::from_secs(10),
    );
    if done.code != Some(0) {
        bail!("{script}: {}", done.stderr);
    }
    Ok(())
}
