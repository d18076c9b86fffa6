//! A small world for the collector: three ports, a directory, a moment in November.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod ipfix;
pub mod s3;

use flowlog::{
    Bucket, Closed, Collector, Delivery, EmptyIntervals, LoggerSpec, Observation, PortInfo, Ports,
    Resource, RuleInfo, Secret, Storage, Tally, Tick, Window, read,
};
use packet::{Basis, Direction, FiveTuple, Reason, Verdict, Wire, tcp_flags as t};
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// A folder in memory, gone with the test: everything is synced again and again, which a disk takes
/// its time for.
pub struct TempDir(tempfile::TempDir);

impl TempDir {
    pub fn new() -> std::io::Result<Self> {
        tempfile::tempdir_in("/dev/shm").map(Self)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The bucket of a store that fails on command, its keys in files of `dir` (see [`write_keys`]).
pub fn bucket(endpoint: &str, dir: &Path) -> Bucket {
    Bucket {
        endpoint: endpoint.into(),
        region: s3::REGION.into(),
        path_style: true,
        name: s3::BUCKET.into(),
        prefix: String::new(),
        access_key: Secret::File(dir.join("access")),
        secret_key: Secret::File(dir.join("secret")),
        session_token: None,
        encryption: None,
        ca_file: None,
        timeout: Duration::from_secs(2),
    }
}

/// The keys that the store knows.
pub fn write_keys(dir: &Path) {
    for (name, text) in [("access", s3::ACCESS), ("secret", s3::SECRET)] {
        fs::write(dir.join(name), format!("{text}\n")).unwrap();
    }
}

/// 2026-11-23T05:00:00Z, the start of an hour.
pub const T0: u64 = 1_795_410_000;
/// More than any test spools.
pub const SPOOL_MAX: u64 = 1 << 30;
pub const VPC: Uuid = Uuid::from_u128(0xaaaa);
pub const SUBNET: Uuid = Uuid::from_u128(0xbbbb);
pub const ACCEPT: Verdict = Verdict::Accept(Basis::Rule);
pub const DROP: Verdict = Verdict::Drop(Reason::DefaultDeny);
pub const SYN: u8 = t::SYN;
pub const SYN_ACK: u8 = t::SYN | t::ACK;
pub const ACK: u8 = t::ACK;
pub const PSH_ACK: u8 = t::PSH | t::ACK;
pub const FIN_ACK: u8 = t::FIN | t::ACK;
pub const RST: u8 = t::RST;

/// Ports 1 and 2 in the VPC, port 9 its uplink.
pub struct Lab(BTreeMap<u16, PortInfo>);

impl Lab {
    pub fn new() -> Self {
        let port = |number: u16, uplink| PortInfo {
            port: number,
            name: format!("port{number}"),
            interface_id: interface(number),
            instance: format!("vm{number}"),
            vm_id: Uuid::from_u128(0x2000 + u128::from(number)),
            subnet_id: SUBNET,
            vpc_id: VPC,
            addresses: vec![[10, 77, 1, 10 + number as u8].into()],
            vpc_networks: vec!["10.77.0.0/16".parse().unwrap()],
            region: "KR1".into(),
            uplink,
        };
        Self(
            [port(1, false), port(2, false), port(9, true)]
                .map(|p| (p.port, p))
                .into(),
        )
    }

    pub fn remove(&mut self, port: u16) {
        self.0.remove(&port);
    }

    pub fn change(&mut self, port: u16, change: impl FnOnce(&mut PortInfo)) {
        change(self.0.get_mut(&port).unwrap());
    }
}

impl Ports for Lab {
    fn get(&self, port: u16) -> Option<&PortInfo> {
        self.0.get(&port)
    }

    fn each(&self, visit: &mut dyn FnMut(&PortInfo)) {
        self.0.values().for_each(visit);
    }

    fn rule(&self, number: u32) -> Option<RuleInfo> {
        let number = u128::from(number);
        (number > 0).then(|| RuleInfo {
            id: Uuid::from_u128(0x5000 + number),
            security_group_id: Uuid::from_u128(0x6000 + number / 10),
        })
    }

    fn holder(&self, vpc: Uuid, address: IpAddr) -> Option<Arc<str>> {
        let mut ports = self.0.values();
        let port = ports.find(|port| port.vpc_id == vpc && port.addresses.contains(&address))?;
        Some(port.name.as_str().into())
    }

    fn group_name(&self, group: Uuid) -> Option<Arc<str>> {
        Some(format!("group{}", group.as_u128() - 0x6000).into())
    }
}

pub fn interface(port: u16) -> Uuid {
    Uuid::from_u128(0x1000 + u128::from(port))
}

/// A logger of the whole VPC, one minute, everything.
pub fn logger(id: u128, directory: &Path) -> LoggerSpec {
    let directory = directory.join(id.to_string());
    let (id, name) = (Uuid::from_u128(id), format!("logger{id}"));
    LoggerSpec {
        empty_intervals: EmptyIntervals::Skip,
        ..LoggerSpec::new(id, &name, Resource::Vpc(VPC), Storage::Directory(directory))
    }
}

/// Where a logger's files are.
pub fn root(spec: &LoggerSpec) -> &Path {
    spec.storage.directory().unwrap()
}

/// A collector that remembers nothing and has delivered what a call closes when the call returns.
pub fn collector(specs: &[LoggerSpec]) -> Collector {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let state = format!(".state{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let state = root(&specs[0]).parent().unwrap().join(state);
    remembering(specs, &state)
}

/// The same with a memory of its own.
pub fn remembering(specs: &[LoggerSpec], state: &Path) -> Collector {
    let delivery = Delivery::open(state, SPOOL_MAX, flowlog::Access::default())
        .unwrap()
        .in_place();
    Collector::new(specs.to_vec(), delivery)
}

pub fn minute(n: u64) -> Window {
    Window {
        start_s: T0 + n * 60,
        length_s: 60,
    }
}

pub fn tcp(src_port: u16, dst_port: u16) -> FiveTuple {
    tuple(6, src_port, dst_port)
}

pub fn udp(src_port: u16, dst_port: u16) -> FiveTuple {
    tuple(17, src_port, dst_port)
}

pub fn tuple(protocol: u8, src_port: u16, dst_port: u16) -> FiveTuple {
    let (src, dst) = ([10, 77, 1, 11].into(), [10, 77, 1, 12].into());
    FiveTuple {
        protocol,
        src,
        dst,
        src_port,
        dst_port,
    }
}

/// A tally of packets: seconds into the window, flags; 100 bytes each.
pub fn tally(packets: &[(f64, u8)]) -> Tally {
    let mut tally = Tally::default();
    for (at_s, flags) in packets {
        let now = Tick::since_start_us((at_s * 1e6) as i64);
        tally.count(
            now,
            Wire {
                packets: 1,
                bytes: 100,
            },
            *flags,
        );
    }
    tally
}

/// `n` packets without flags in the first second.
pub fn packets(n: u32) -> Tally {
    let mut tally = Tally::default();
    tally.count(
        Tick::since_start_us(0),
        Wire {
            packets: n,
            bytes: n * 100,
        },
        0,
    );
    tally
}

/// What port 1 sent.
pub fn sent(tuple: FiveTuple, verdict: Verdict, tally: Tally) -> Observation {
    Observation::new(1, Direction::Egress, tuple, verdict, tally)
}

/// What port 2 received.
pub fn received(tuple: FiveTuple, verdict: Verdict, tally: Tally) -> Observation {
    Observation {
        port: 2,
        direction: Direction::Ingress,
        ..sent(tuple, verdict, tally)
    }
}

/// Every row of the closed intervals' files, each as `name=value` for the named columns.
pub fn rows(closed: &[Closed], columns: &[&str]) -> Vec<String> {
    closed
        .iter()
        .flat_map(|closed| &closed.files)
        .flat_map(|file| rows_of(file, columns))
        .collect()
}

pub fn rows_of(file: &Path, columns: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |column: &&str| header.iter().position(|name| name == column).unwrap();
    let row = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        columns
            .iter()
            .map(|column| values[place(column)])
            .collect::<Vec<_>>()
            .join(" ")
    };
    lines.map(row).collect()
}

/// Every file below a directory, relative to it, in order of names.
pub fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

pub fn read_back(file: &Path) -> Vec<read::Row> {
    read::open(file).unwrap().map(Result::unwrap).collect()
}
