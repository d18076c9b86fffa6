//! One interval of a million records, on one core: collecting, then sorting, encoding and spooling them in
//! every format, as the log thread does it; a thread of its own carries the file away then. `cargo bench -p flowlog`, with a directory as argument to write elsewhere than to memory, and
//! with a part of a format's name, such as `Parquet`, to measure that alone.

use flowlog::{
    Access, Account, AwsText, AwsVersion, Collector, Compression, Delivery, EmptyIntervals, Field,
    Format, Layout, LoggerSpec, Observation, PortInfo, Ports, Record, Resource, Storage, Tally,
    Tick, Window,
};
use packet::{Basis, Direction, FiveTuple, Verdict, Wire};
use std::{
    net::Ipv4Addr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

const RECORDS: u32 = 1_000_000;
const ROUNDS: u32 = 3;
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
    let mut given = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    let directory = given
        .next()
        .unwrap_or_else(|| "/dev/shm/flowlog-bench".into());
    let directory = PathBuf::from(directory);
    let wanted = given.next().unwrap_or_default();
    let lab = Lab([port(0), port(1)]);
    let is_wanted = |format: &Format| format!("{format:?}").contains(&wanted);
    for format in formats().into_iter().filter(is_wanted) {
        measure(&lab, format, &directory)?;
    }
    std::fs::remove_dir_all(directory)
}

/// Millions of rows per second that the encoder alone takes, without sorting and without a file.
fn encoded_alone(format: &Format, records: &[Record]) -> Result<f64, std::io::Error> {
    let mut nowhere = std::io::sink();
    let mut encoder = format.encoder(Field::NHN_18, &mut nowhere)?;
    let start = cpu_time();
    for record in records.iter().cycle().take(RECORDS as usize) {
        encoder.row(record)?;
    }
    encoder.finish()?;
    Ok(f64::from(RECORDS) / (cpu_time() - start).as_secs_f64() / 1e6)
}

fn formats() -> Vec<Format> {
    use Compression::{Gzip, Raw, Zstd};
    let account = Account::parse("123456789012").expect("twelve digits are an account");
    let version = AwsVersion::V5;
    let mut formats: Vec<_> = [Raw, Gzip, Zstd].map(Format::Csv).into();
    formats.extend([Raw, Gzip, Zstd].map(Format::Parquet));
    formats.push(Format::Aws(AwsText { version, account }));
    formats
}

fn measure(lab: &Lab, format: Format, directory: &Path) -> Result<(), std::io::Error> {
    let spec = logger(directory.to_owned(), format.clone());
    let delivery = Delivery::open(&directory.join("state"), 1 << 40, Access::default())
        .map_err(std::io::Error::other)?;
    let mut collector = Collector::new(vec![spec], delivery);
    collector.keep_records(true);
    for round in 0..ROUNDS {
        let start = cpu_time();
        for n in 0..RECORDS {
            collector.observe(WINDOW, lab, &observation(n.wrapping_mul(0x9e37_79b1)));
        }
        let collected = cpu_time() - start;
        let closed = collector.close(WINDOW, lab, &[]);
        let written = cpu_time() - start - collected;
        while collector
            .status()
            .iter()
            .any(|logger| logger.backlog.files > 0)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut size = 0;
        for file in closed.iter().flat_map(|closed| &closed.files) {
            size += std::fs::metadata(file)?.len();
            std::fs::remove_file(file)?;
        }
        let rows: u64 = closed.iter().map(|closed| closed.rows).sum();
        let records: Vec<_> = closed
            .into_iter()
            .flat_map(|closed| closed.records)
            .collect();
        if round + 1 == ROUNDS {
            println!(
                "{format:?}: collected {:.2} M/s, sorted, encoded and spooled {:.2} M rows/s, encoded alone {:.2} M rows/s, {:.1} bytes/row, {}",
                f64::from(RECORDS) / collected.as_secs_f64() / 1e6,
                rows as f64 / written.as_secs_f64() / 1e6,
                encoded_alone(&format, &records)?,
                size as f64 / rows as f64,
                resident()?,
            );
        }
    }
    // What uses the spool has ended then: the next format has it.
    collector.shut(Duration::from_secs(1));
    Ok(())
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
    let verdict = Verdict::Accept(Basis::Rule);
    Observation::new((n & 1) as u16, Direction::Egress, tuple, verdict, tally)
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
        addresses: Vec::new(),
        vpc_networks: Vec::new(),
        region: "KR1".into(),
        uplink: false,
    }
}

fn logger(directory: PathBuf, format: Format) -> LoggerSpec {
    let resource = Resource::Vpc(Uuid::from_u128(0x8888_9999 << 64));
    LoggerSpec {
        layout: Layout {
            rows_per_file: NonZeroU32::MAX,
            ..Layout::default()
        },
        format,
        empty_intervals: EmptyIntervals::Skip,
        ..LoggerSpec::new(
            Uuid::from_u128(1),
            "bench",
            resource,
            Storage::Directory(directory),
        )
    }
}
