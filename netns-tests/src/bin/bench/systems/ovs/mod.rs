//! Open vSwitch with its userspace datapath and TAPs that are moved into the guests' namespaces: an
//! instance of our own, with sockets and database in the lab's folder.

mod collector;
mod flows;

use super::{
    Between, System,
    setup::{Guests, PATIENCE, configure, feed},
};
use crate::peers::Peer;
use anyhow::{Context, Result, ensure};
use collector::Collector;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tap::{Links, Netns, TX_QUEUE_LEN};

/// Where Debian's package puts the schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Metering intervals of the exporter, seconds: as long as the switch's own log has.
const ACTIVE_TIMEOUT: u64 = 10;
/// Flows that the exporter may meter at once. Without both it would export every packet by itself.
const CACHE: u32 = 1 << 20;

/// A running Open vSwitch, ended when it is dropped.
#[derive(Debug)]
pub(super) struct Ovs {
    /// Ended in this order.
    switch: Daemon,
    _database: Daemon,
    collector: Option<Collector>,
}

impl Ovs {
    pub(super) fn pid(&self) -> u32 {
        self.switch.0.id()
    }

    pub(super) fn remarks(&self) -> Vec<(&'static str, f64)> {
        let collector = self.collector.iter();
        collector
            .map(|collector| ("IPFIX datagrams so far", collector.count() as f64))
            .collect()
    }
}

/// A child that is asked to end when it is dropped.
#[derive(Debug)]
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.0);
        // It may be resting.
        let _ = kill_process(pid, Signal::CONT);
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn start(peer: Peer) -> Result<System> {
    let guests = Guests::Two;
    let mut lab = guests.plan(&["open"], "").prepare();
    let place = Place {
        netns: lab.namespace("ovs"),
        dir: lab.dir().join("ovs"),
    };
    let collector = match peer {
        Peer::OvsIpfix => Some(Collector::start(&place.netns)?),
        _ => None,
    };
    let (database, switch) = place.daemons()?;
    place.control("add-br br0 -- set bridge br0 datapath_type=netdev")?;
    for name in guests.names() {
        let guest = lab.guest(name);
        let tap = guest.port().tap();
        place.control(&format!(
            "add-port br0 {tap} -- set interface {tap} type=tap"
        ))?;
        let mut links = Links::open(Some(&place.netns))?;
        links.move_to(&tap, guest.netns())?;
        Links::open(Some(guest.netns()))?.set_tx_queue_len(&tap, TX_QUEUE_LEN)?;
        configure(guest)?;
    }
    if peer != Peer::Ovs {
        let socket = place.dir.join("br0.mgmt");
        let mut command = Command::new("ovs-ofctl");
        command
            .arg("add-flows")
            .arg(format!("unix:{}", socket.display()))
            .arg("-");
        feed(None, &mut command, &flows::with_conntrack(&lab, guests))?;
    }
    if let Some(collector) = &collector {
        place.control(&format!(
            "-- set bridge br0 ipfix=@i -- --id=@i create IPFIX targets=\"127.0.0.1:{}\" \
             sampling=1 cache_active_timeout={ACTIVE_TIMEOUT} cache_max_flows={CACHE}",
            collector.port
        ))?;
    }
    let pid = switch.0.id();
    let ovs = Ovs {
        switch,
        _database: database,
        collector,
    };
    let system = System::new(peer.name(), lab, guests, Between::Ovs(ovs))?;
    if peer != Peer::Ovs {
        place.tracks(pid, &system)?;
    }
    if let Between::Ovs(Ovs {
        collector: Some(collector),
        ..
    }) = &system.between
    {
        collector.wait()?;
    }
    Ok(system)
}

/// Where an instance lives.
struct Place {
    netns: Netns,
    dir: PathBuf,
}

impl Place {
    /// Starts database and switch. Segmentation offload has to be asked for before the latter starts.
    fn daemons(&self) -> Result<(Daemon, Daemon)> {
        ensure!(
            Path::new(SCHEMA).exists(),
            "{SCHEMA} is missing; install openvswitch-switch"
        );
        std::fs::create_dir_all(&self.dir)?;
        let (file, socket) = (self.dir.join("conf.db"), self.dir.join("db.sock"));
        feed(
            None,
            Command::new("ovsdb-tool")
                .arg("create")
                .arg(&file)
                .arg(SCHEMA),
            "",
        )?;
        let mut command = Command::new("ovsdb-server");
        command
            .arg(&file)
            .arg(format!("--remote=punix:{}", socket.display()));
        let database = self.spawn(&mut command)?;
        let deadline = Instant::now() + PATIENCE;
        while !socket.exists() {
            ensure!(Instant::now() < deadline, "ovsdb-server does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        self.control("--no-wait init")?;
        self.control("--no-wait set Open_vSwitch . other_config:userspace-tso-enable=true")?;
        let mut command = Command::new("ovs-vswitchd");
        command.arg(format!("unix:{}", socket.display()));
        Ok((database, self.spawn(&mut command)?))
    }

    fn spawn(&self, command: &mut Command) -> Result<Daemon> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = File::create(self.dir.join(format!("{name}.log")))?;
        command
            .envs(
                ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"]
                    .map(|key| (key, &self.dir)),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = self.netns.run_in(|| command.spawn())?;
        Ok(Daemon(
            child.with_context(|| format!("{name} does not start"))?,
        ))
    }

    /// `ovs-vsctl`, its words split at blanks.
    fn control(&self, words: &str) -> Result<()> {
        let mut command = Command::new("ovs-vsctl");
        command
            .arg(format!("--db=unix:{}", self.dir.join("db.sock").display()))
            .arg(format!("--timeout={}", PATIENCE.as_secs() - 1))
            .args(words.split_whitespace());
        feed(None, &mut command, "")?;
        Ok(())
    }

    /// Sees to it that what the guests have sent is in the connection table.
    fn tracks(&self, pid: u32, system: &System) -> Result<()> {
        let mut command = Command::new("ovs-appctl");
        command
            .arg("-t")
            .arg(self.dir.join(format!("ovs-vswitchd.{pid}.ctl")))
            .arg("dpctl/dump-conntrack");
        let table = feed(None, &mut command, "")?;
        let wanted = format!("src={}", system.pair()[0].ip);
        ensure!(
            table.contains(&wanted),
            "{wanted} is in no connection: {table}"
        );
        Ok(())
    }
}
