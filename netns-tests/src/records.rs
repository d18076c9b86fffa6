//! What the loggers wrote, read without the project's own reader: the files are the contract.

use crate::PortPlan;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// A row of a flow log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Name of the port; empty where no port of the plan has that id.
    pub port: String,
    /// `egress`, `ingress`, `unknown`.
    pub direction: String,
    /// `ACCEPT`, `DROP`.
    pub filter: String,
    /// Protocol, addresses and ports; `None` in a row about a port without flows.
    pub tuple: Option<Tuple>,
    /// As SPEC 5.2 defines it.
    pub tcp_flag: u8,
    /// Wire packets.
    pub packets: u64,
    /// Sum of IPv4 total lengths.
    pub bytes: u64,
    /// UNIX seconds of the first packet.
    pub start_s: u64,
    /// UNIX seconds of the last packet.
    pub end_s: u64,
    /// `OK`, `SKIPDATA`.
    pub status: String,
    /// The file it stands in.
    pub file: PathBuf,
}

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// IANA number.
    pub protocol: u8,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// 0 for ICMP.
    pub src_port: u16,
    /// 0 for ICMP.
    pub dst_port: u16,
}

/// The rows of one logger, in the order of the file names.
#[derive(Debug, Clone, Default)]
pub struct Records {
    rows: Vec<Record>,
    names: BTreeMap<Ipv4Addr, String>,
}

/// Ports from here on are taken for a client's, which differ from run to run
/// (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: u16 = 32768;

impl Records {
    /// Reads every `.csv` below `folder`, which need not exist.
    ///
    /// # Panics
    /// At a line that is not what SPEC 6 says.
    #[must_use]
    pub fn read(folder: &Path, ports: &[PortPlan]) -> Self {
        let mut files = vec![];
        files_below(folder, &["csv"], &mut files);
        files.sort();
        let ids = ports
            .iter()
            .map(|port| (port.id(), port.name.clone()))
            .collect();
        let rows = files
            .iter()
            .flat_map(|file| read_file(file, &ids))
            .collect();
        let names = ports
            .iter()
            .map(|port| (port.ip(), port.name.clone()))
            .collect();
        Self { rows, names }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Record] {
        &self.rows
    }

    /// The rows that `wanted` picks.
    pub fn pick(&self, wanted: impl Fn(&Record) -> bool) -> Vec<&Record> {
        self.rows.iter().filter(|row| wanted(row)).collect()
    }

    /// Packets of the rows whose [line](Records::lines) is `line`.
    #[must_use]
    pub fn packets(&self, line: &str) -> u64 {
        self.rows
            .iter()
            .filter(|row| self.line(row) == line)
            .map(|row| row.packets)
            .sum()
    }

    /// OR of `tcp_flag` over the rows whose line is `line`.
    #[must_use]
    pub fn flags(&self, line: &str) -> u8 {
        self.rows
            .iter()
            .filter(|row| self.line(row) == line)
            .fold(0, |flags, row| flags | row.tcp_flag)
    }

    /// The rows as text without counts: `a egress tcp a>b:80 ACCEPT`, a client's port left out.
    #[must_use]
    pub fn lines(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| self.line(row)).collect()
    }

    /// Asserts that there are exactly these lines.
    ///
    /// # Panics
    /// Where there are others.
    pub fn are(&self, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(self.lines(), expected, "\nrows: {:#?}", self.rows);
    }

    fn line(&self, row: &Record) -> String {
        let flow = row
            .tuple
            .map_or_else(|| "-".to_owned(), |tuple| self.flow(tuple));
        format!("{} {} {flow} {}", row.port, row.direction, row.filter)
    }

    fn flow(&self, tuple: Tuple) -> String {
        let protocol = match tuple.protocol {
            1 => "icmp".to_owned(),
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            other => other.to_string(),
        };
        let end = |ip: Ipv4Addr, port: u16| {
            let name = self
                .names
                .get(&ip)
                .cloned()
                .unwrap_or_else(|| ip.to_string());
            match port {
                0 | EPHEMERAL.. => name,
                port => format!("{name}:{port}"),
            }
        };
        let (src, dst) = (
            end(tuple.src, tuple.src_port),
            end(tuple.dst, tuple.dst_port),
        );
        format!("{protocol} {src}>{dst}")
    }
}

/// Every file below `folder` with one of these extensions.
pub(crate) fn files_below(folder: &Path, extensions: &[&str], files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            files_below(&path, extensions, files);
        } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
            files.push(path);
        }
    }
}

fn read_file(file: &Path, ids: &BTreeMap<String, String>) -> Vec<Record> {
    let text = std::fs::read_to_string(file).expect("a file that was listed");
    assert!(
        text.ends_with('\n'),
        "{}: a whole file ends with a line",
        file.display()
    );
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header line").split(',').collect();
    let read = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        assert_eq!(values.len(), header.len(), "{}: {line}", file.display());
        let value = |name: &str| {
            let column = header.iter().position(|known| *known == name);
            column.map_or("", |column| values[column])
        };
        read_row(file, ids, value)
    };
    lines.map(read).collect()
}

fn read_row<'a>(
    file: &Path,
    ids: &BTreeMap<String, String>,
    value: impl Fn(&str) -> &'a str,
) -> Record {
    let number = |name: &str| value(name).parse::<u64>().unwrap_or_default();
    let tuple = (!value("src_addr").is_empty()).then(|| Tuple {
        protocol: number("protocol") as u8,
        src: value("src_addr").parse().expect("an IPv4 address"),
        dst: value("dst_addr").parse().expect("an IPv4 address"),
        src_port: number("src_port") as u16,
        dst_port: number("dst_port") as u16,
    });
    Record {
        port: ids.get(value("interface_id")).cloned().unwrap_or_default(),
        direction: value("direction").to_owned(),
        filter: value("filter").to_owned(),
        tuple,
        tcp_flag: number("tcp_flag") as u8,
        packets: number("packets"),
        bytes: number("bytes"),
        start_s: number("timestamp_start"),
        end_s: number("timestamp_end"),
        status: value("status").to_owned(),
        file: file.to_owned(),
    }
}
