//! The matrix of `docs/formats.md` from outside: one daemon writes every format and profile of the same
//! traffic at once, and every reader finds in them what the switch itself counted.

use crate::support::{Counted, SETTLED, Sums, logs, readers, start, sums, talk, talkers};
use netns_tests::{Lab, Plan, run};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// Loggers that write files: name, and what makes it different.
const FILES: [(&str, &str); 9] = [
    ("csv", "log_format: CSV"),
    ("csv-gzip", "log_format: CSV, compression_type: GZIP"),
    ("csv-zstd", "log_format: CSV, compression_type: ZSTD"),
    ("parquet", "log_format: PARQUET"),
    (
        "parquet-gzip",
        "log_format: PARQUET, compression_type: GZIP",
    ),
    (
        "parquet-zstd",
        "log_format: PARQUET, compression_type: ZSTD",
    ),
    ("nhn-24", "fields: nhn-24"),
    ("aws-v2", "fields: aws-v2, account_id: \"123456789012\""),
    ("aws-v5", "fields: aws-v5, account_id: \"123456789012\""),
];

/// Who reads which of them, as `docs/formats.md` says.
const READERS: [(&str, &[&str]); 4] = [
    (
        "duckdb",
        &[
            "csv",
            "csv-gzip",
            "csv-zstd",
            "parquet",
            "parquet-gzip",
            "parquet-zstd",
            "nhn-24",
            "aws-v2",
            "aws-v5",
        ],
    ),
    (
        "pyarrow",
        &[
            "csv",
            "csv-gzip",
            "csv-zstd",
            "parquet",
            "parquet-gzip",
            "parquet-zstd",
            "nhn-24",
        ],
    ),
    (
        "pandas",
        &[
            "csv",
            "csv-gzip",
            "parquet",
            "parquet-gzip",
            "parquet-zstd",
            "nhn-24",
            "aws-v2",
            "aws-v5",
        ],
    ),
    ("flowlogs-reader", &["aws-v2", "aws-v5"]),
];

const VERDICTS: [&str; 2] = ["ACCEPT", "DROP"];

/// nfdump's collector; ends with the test, however that ends.
struct Nfcapd {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nfcapd {
    fn start() -> (Self, SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new("nfcapd")
            .args([
                "-b",
                "127.0.0.1",
                "-T",
                "all",
                "-p",
                &address.port().to_string(),
                "-w",
            ])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nfcapd is there (Debian package nfdump)");
        let mut nfcapd = Self { child, folder };
        // It listens once its port is taken.
        netns_tests::eventually("nfcapd", || {
            assert!(
                nfcapd.child.try_wait().unwrap().is_none(),
                "nfcapd ended early"
            );
            UdpSocket::bind(address).is_err()
        });
        (nfcapd, address)
    }

    /// Ends it, and has nfdump tell what it holds: direction, interfaces, packets, bytes.
    fn lines(mut self) -> Vec<String> {
        // What is in the socket's buffer has to be taken out yet.
        thread::sleep(Duration::from_millis(500));
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        self.child.wait().unwrap();
        let mut command = Command::new("nfdump");
        command.args(["-q", "-N", "-o", "fmt:%dir;%in;%out;%pkt;%byt", "-R"]);
        let done = run(
            None,
            command.arg(self.folder.path()),
            "",
            Duration::from_secs(10),
        );
        let lines = done.ok();
        let lines = lines.lines().filter(|line| line.contains(';'));
        lines.map(|line| line.replace(' ', "")).collect()
    }
}

/// A logger for every kind of file, and an exporter for each verdict: nfdump before 1.7.2 does not tell them
/// apart itself.
fn every_format(collectors: [SocketAddr; 2]) -> Plan {
    let base = "resource_type: VPC, resource: lab";
    let plan = FILES.iter().zip([1, 2].into_iter().cycle());
    let plan = plan.fold(talkers(Plan::new().no_loggers()), |plan, ((name, keys), interval_s)| {
        plan.logger(&format!("name: {name}, {base}, empty_intervals: skip, aggregation_interval: {interval_s}s, {keys}"))
    });
    let collectors = VERDICTS.iter().zip(collectors);
    collectors.fold(plan, |plan, (verdict, address)| {
        plan.logger(&format!(
            "name: ipfix-{verdict}, {base}, filter: {verdict}, aggregation_interval: 1s, storage_type: IPFIX, \
             storage_url: \"udp://{address}\""
        ))
    })
}

#[test]
fn every_reader_finds_in_every_format_what_the_switch_counted() {
    let collectors = VERDICTS.map(|_| Nfcapd::start());
    let mut lab = start(every_format(
        collectors.each_ref().map(|(_, address)| *address),
    ));
    // Over several intervals of either length.
    for _ in 0..3 {
        talk(lab.guest("a"), lab.guest("b"));
        thread::sleep(SETTLED);
    }
    let counted = Counted::of(&lab);
    lab.end();

    for (place, (name, _)) in FILES.iter().enumerate() {
        let rows = logs(&lab, &format!("flowlogs/{place}"));
        counted.assert_logged(&format!("vswitch logs of {name}"), &sums(&lab, &rows));
    }
    foreign_readers(&lab, &counted);
    let mut sums = Sums::new();
    for (verdict, (nfcapd, _)) in VERDICTS.iter().zip(collectors) {
        for line in nfcapd.lines() {
            add_line_of_nfdump(&lab, verdict, &line, &mut sums);
        }
    }
    counted.assert_logged("nfdump", &sums);
}

/// The readers of [`READERS`], if they can be had.
fn foreign_readers(lab: &Lab, counted: &Counted) {
    let addresses: Vec<String> = ["a", "b"]
        .map(|name| lab.guest(name))
        .map(|guest| format!("{} {}", guest.port().id(), guest.ip()))
        .into();
    let addresses_file = lab.dir().join("addresses");
    std::fs::write(&addresses_file, addresses.join("\n")).unwrap();
    let Some(said) = readers::run("sums.py", &[&lab.dir().join("flowlogs"), &addresses_file])
    else {
        return;
    };
    let mut told = BTreeSet::new();
    for (reader, names) in READERS {
        for name in names {
            let place = FILES.iter().position(|(known, _)| known == name).unwrap();
            let head = format!("{reader} {place} ");
            let lines = said.lines().filter_map(|line| line.strip_prefix(&head));
            let sums: Sums = lines.map(sum_of).collect();
            counted.assert_logged(&format!("{reader} of {name}"), &sums);
            told.insert(head);
        }
    }
    assert!(
        said.lines()
            .all(|line| told.iter().any(|head| line.starts_with(head))),
        "{said}"
    );
}

/// `port direction verdict packets bytes`
fn sum_of(line: &str) -> ((String, String, String), [u64; 2]) {
    let words: Vec<&str> = line.split(' ').collect();
    let [port, direction, verdict, packets, bytes] = words[..] else {
        panic!("{line}");
    };
    let of = (port.to_owned(), direction.to_owned(), verdict.to_owned());
    (of, [packets, bytes].map(|number| number.parse().unwrap()))
}

/// The switch numbers its ports in the order of the configuration; interfaces begin at 1.
fn add_line_of_nfdump(lab: &Lab, verdict: &str, line: &str, sums: &mut Sums) {
    let values: Vec<&str> = line.split(';').collect();
    let (direction, interface) = match values[..3] {
        ["E", from, "0"] => ("egress", from),
        ["I", "0", to] => ("ingress", to),
        _ => panic!("{line}"),
    };
    let place = ["1", "2"]
        .iter()
        .position(|known| *known == interface)
        .unwrap();
    let port = lab.guest(["a", "b"][place]).port().id();
    let sum = sums
        .entry((port, direction.into(), verdict.into()))
        .or_default();
    for (sum, value) in sum.iter_mut().zip(&values[3..]) {
        *sum += value.parse::<u64>().unwrap();
    }
}
