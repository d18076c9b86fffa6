//! One interval of a million records, on one core: collecting, then sorting and writing them as CSV.
//! `cargo bench -p flowlog`, with a directory as argument to write elsewhere than to memory.

use flowlog::{
    Collector, Delivery, EmptyIntervals, Field, Filter, Format, Layout, LoggerSpec, Observation,
    PortInfo, Ports, Resource, Storage, Tally, Tick, Window,
};
use packet::{Basis, Direction, FiveTuple, Verdict, Wire};
use std::{net::Ipv4Addr, num::NonZeroU32, path::PathBuf, time::Duration};
use uuid::Uuid;

const RECORDS: u32 = 1_000_000;
const ROUNDS: u32 = 5;
const WINDOW: Window = Window {
    start_s: 1_795_410_000,
    length_s: 60,
};

struct Lab([PortInfo; 2]);

impl Ports for Lab {
    fn get(&self, port: u16) -> Option<&PortInfo> {
        self.0.get(usize::from(port))
    }
}

fn main() -> Result<(), std::io::Error> {
    let given = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let directory = PathBuf::from(given.unwrap_or_else(|| "/dev/shm/flowlog-bench".into()));
    let lab = Lab([port(0), port(1)]);
    let delivery = Delivery::open(&directory.join("state"), 1 << 40)
        .map_err(std::io::Error::other)?
        .in_place();
    let mut collector = Collector::new(vec![logger(directory.clone())], delivery);
    for _ in 0..ROUNDS {
        let start = cpu_time();
        for n in 0..RECORDS {
            collector.observe(WINDOW, &lab, &observation(n.wrapping_mul(0x9e37_79b1)));
        }
        let collected = cpu_time() - start;
        let closed = collector.close(WINDOW, &lab, &[]);
        let written = cpu_time() - start - collected;
        for file in closed.iter().flat_map(|closed| &closed.files) {
            std::fs::remove_file(file)?;
        }
        let rows: u64 = closed.iter().map(|closed| closed.rows).sum();
        println!(
            "{rows} records: collected {:.2} M/s, sorted and written {:.2} M rows/s, {}",
            f64::from(RECORDS) / collected.as_secs_f64() / 1e6,
            rows as f64 / written.as_secs_f64() / 1e6,
            resident()?,
        );
    }
    std::fs::remove_dir_all(directory)
}

/// What this thread used of a core, waiting not counted.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Highest resident memory so far.
fn resident() -> Result<String, std::io::Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    Ok(status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM: ?")
        .to_owned())
}

fn observation(n: u32) -> Observation {
    let mut tally = Tally::default();
    let at_us = i64::from(n % 60) * 1_000_000;
    tally.count(
        Tick::since_start_us(at_us),
        Wire {
            packets: 17,
            bytes: n >> 8,
        },
        0,
    );
    let src = Ipv4Addr::from(0x0a00_0000 | n >> 16);
    let dst = Ipv4Addr::from(0x0a4d_0000 | n & 0xff);
    let tuple = FiveTuple {
        protocol: 17,
        src: src.into(),
        dst: dst.into(),
        src_port: (n >> 8) as u16,
        dst_port: 53,
    };
    Observation {
        port: (n & 1) as u16,
        direction: Direction::Egress,
        tuple,
        verdict: Verdict::Accept(Basis::Rule),
        rule: 1,
        reply: false,
        tally,
    }
}

fn port(number: u16) -> PortInfo {
    PortInfo {
        port: number,
        name: format!("port{number}"),
        interface_id: Uuid::from_u128(0x1111_2222_3333 + u128::from(number)),
        instance: format!("vm{number}"),
        vm_id: Uuid::from_u128(0x4444_5555 << 64),
        subnet_id: Uuid::from_u128(0x6666_7777 << 64),
        vpc_id: Uuid::from_u128(0x8888_9999 << 64),
        region: "KR1".into(),
        uplink: false,
    }
}

fn logger(directory: PathBuf) -> LoggerSpec {
    LoggerSpec {
        id: Uuid::from_u128(1),
        name: "bench".into(),
        resource: Resource::Vpc(Uuid::from_u128(0x8888_9999 << 64)),
        filter: Filter::All,
        connection_setup_only: false,
        interval_s: 60,
        fields: Field::NHN_18.to_vec(),
        layout: Layout {
            rows_per_file: NonZeroU32::MAX,
            ..Layout::default()
        },
        format: Format::Csv,
        empty_intervals: EmptyIntervals::Skip,
        storage: Storage::Directory(directory),
        admin_state_up: true,
    }
}
