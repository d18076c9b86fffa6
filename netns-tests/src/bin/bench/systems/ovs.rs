//! Open vSwitch with its userspace datapath and TAPs that are moved into the guests' namespaces: an
//! instance of our own, with sockets and database in the lab's folder.

use super::{
    Between, System,
    setup::{Guests, PATIENCE, configure, feed},
};
use crate::peers::Peer;
use anyhow::{Context, Result, ensure};
use netns_tests::Lab;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fmt::Write as _,
    fs::File,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tap::{Links, Netns, TX_QUEUE_LEN};

/// Where Debian's package puts the schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Metering intervals of the exporter, seconds: as long as the switch's own log has.
const ACTIVE_TIMEOUT: u64 = 10;
/// Flows that the exporter may meter at once. Without both it would export every packet by itself.
const CACHE: u32 = 1 << 20;
/// Between looks of the collector at whether it is over.
const TICK: Duration = Duration::from_millis(100);

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
        feed(None, &mut command, &flows(&lab, guests))?;
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

/// Flows as OpenStack's openvswitch driver writes them: tables 71 to 73 judge what a port sends, 81
/// and 82 what it receives; registers 5 and 6 hold port and network, which is the zone.
fn flows(lab: &Lab, guests: Guests) -> String {
    let mut text = String::from(
        "table=0,priority=0,actions=drop
table=71,priority=0,actions=drop
table=72,priority=50,ct_state=+inv+trk,actions=drop
table=72,priority=50,ct_state=+est-rel+rpl,ct_zone=1,ct_mark=0,actions=resubmit(,73)
table=72,priority=50,ct_state=-new-est+rel-inv,ct_zone=1,ct_mark=0,actions=resubmit(,73)
table=72,priority=0,actions=drop
table=73,priority=0,actions=drop
table=81,priority=0,actions=drop
table=82,priority=50,ct_state=+inv+trk,actions=drop
table=82,priority=0,actions=drop
",
    );
    for (number, name) in (1..).zip(guests.names()) {
        let guest = lab.guest(name);
        let (ip, mac) = (guest.ip(), guest.port().mac());
        let _ = write!(
            text,
            "table=0,priority=100,in_port={number},actions=load:{number}->NXM_NX_REG5[],load:1->NXM_NX_REG6[],resubmit(,71)
table=71,priority=95,arp,reg5={number},in_port={number},dl_src={mac},arp_spa={ip},actions=NORMAL
table=71,priority=65,ip,reg5={number},in_port={number},dl_src={mac},nw_src={ip},actions=ct(table=72,zone=NXM_NX_REG6[0..15])
table=71,priority=10,reg5={number},ct_state=-trk,actions=drop
table=72,priority=74,ct_state=+est-rel-rpl,ip,reg5={number},actions=resubmit(,73)
table=72,priority=74,ct_state=+new-est,ip,reg5={number},actions=resubmit(,73)
table=72,priority=40,ct_state=+est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15],exec(load:1->NXM_NX_CT_MARK[]))
table=73,priority=100,reg6=1,dl_dst={mac},actions=load:{number}->NXM_NX_REG5[],resubmit(,81)
table=81,priority=90,ct_state=-trk,ip,reg5={number},actions=ct(table=82,zone=NXM_NX_REG6[0..15])
table=81,priority=80,ct_state=+trk,reg5={number},actions=resubmit(,82)
table=82,priority=75,ct_state=+est-rel-rpl,ip,reg5={number},actions=output:{number}
table=82,priority=75,ct_state=+new-est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15]),output:{number}
table=82,priority=50,ct_state=+est-rel+rpl,ct_zone=1,ct_mark=0,reg5={number},actions=output:{number}
table=82,priority=50,ct_state=-new-est+rel-inv,ct_zone=1,ct_mark=0,reg5={number},actions=output:{number}
table=82,priority=40,ct_state=+est,ip,reg5={number},actions=ct(commit,zone=NXM_NX_REG6[0..15],exec(load:1->NXM_NX_CT_MARK[]))
"
        );
    }
    text
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

/// Counts what an exporter sends.
#[derive(Debug)]
struct Collector {
    port: u16,
    datagrams: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    fn start(netns: &Netns) -> Result<Self> {
        let socket = netns.run_in(|| UdpSocket::bind("127.0.0.1:0"))??;
        socket.set_read_timeout(Some(TICK))?;
        let port = socket.local_addr()?.port();
        let (datagrams, is_over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let shared = (Arc::clone(&datagrams), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while !shared.1.load(Ordering::Relaxed) {
                if socket.recv(&mut buffer).is_ok() {
                    shared.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self {
            port,
            datagrams,
            is_over,
            thread: Some(thread),
        })
    }

    fn count(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Waits until something has come, for as long as records may be held back.
    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(ACTIVE_TIMEOUT) + PATIENCE;
        while self.count() == 0 {
            ensure!(Instant::now() < deadline, "no IPFIX arrives");
            thread::sleep(TICK);
        }
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
