//! Records as IPFIX: read by a decoder of the test's own, and by nfdump.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod support;

use flowlog::{
    Cause, Collector, Delivery, LoggerSpec, Observation, Scope, Skipped, State, Storage,
};
use packet::{Reason, Verdict};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use support::ipfix::{Collected, Receiver, Record, number};
use support::*;

const V4: u16 = 256;
const V6: u16 = 257;
const PORT: u16 = 258;

fn spec(to: SocketAddr, dir: &Path) -> LoggerSpec {
    LoggerSpec {
        storage: Storage::Ipfix(to.to_string()),
        scope: Scope::All,
        ..logger(0x1234_5678_9abc, dir)
    }
}

fn exporter(to: SocketAddr, dir: &Path) -> Collector {
    remembering(&[spec(to, dir)], &dir.join("state"))
}

/// Closes an interval with these.
fn close(collector: &mut Collector, n: u64, observations: &[Observation]) {
    for o in observations {
        collector.observe(minute(n), &Lab::new(), o);
    }
    let closed = collector.close(minute(n), &Lab::new(), &[]);
    assert!(closed.iter().all(|closed| closed.error.is_none()));
}

fn flows(n: u16) -> Vec<Observation> {
    let flow = |port| sent(udp(port, 53), ACCEPT, packets(u32::from(port) + 1));
    (0..n).map(flow).collect()
}

fn of_template(collected: &Collected, template: u16) -> Vec<&Record> {
    let records = collected.records.iter();
    records
        .filter(|(id, _)| *id == template)
        .map(|(_, record)| record)
        .collect()
}

#[test]
fn a_record_says_who_what_when_which_way_and_what_became_of_it() {
    let (receiver, dir) = (Receiver::start(), TempDir::new().unwrap());
    let mut collector = exporter(receiver.address(), dir.path());
    let opened = tally(&[(1.0, SYN), (2.5, PSH_ACK)]);
    let spoofed = Verdict::Drop(Reason::SpoofIp);
    close(
        &mut collector,
        0,
        &[
            sent(tcp(40_000, 80), ACCEPT, opened),
            sent(udp(7, 53), spoofed, packets(2)),
            received(tcp(40_000, 80), DROP, packets(3)),
        ],
    );
    let collected = receiver.collect(|_| false);
    let [accepted, spoofed, denied] = of_template(&collected, V4)[..] else {
        panic!("{collected:?}");
    };
    let expected = [
        (152, (T0 + 1) * 1000),
        (153, (T0 + 2) * 1000 + 500),
        (323, (T0 + 2) * 1000 + 500),
        (1, 200),
        (2, 2),
        (8, u32::from(Ipv4Addr::new(10, 77, 1, 11)).into()),
        (12, u32::from(Ipv4Addr::new(10, 77, 1, 12)).into()),
        (7, 40_000),
        (11, 80),
        (4, 6),
        (6, u64::from(SYN | PSH_ACK)),
        (61, 1),
        (89, 64),
        (233, 5),
        (10, 2),
        (14, 0),
    ];
    for (element, value) in expected {
        // Moments are of 64 µs.
        let found = number(accepted, element);
        assert!(
            value.abs_diff(found) <= u64::from(value > T0),
            "{element}: {found}"
        );
    }
    let verdict = |record| (number(record, 89), number(record, 233));
    assert_eq!(verdict(spoofed), (141, 3));
    assert_eq!(verdict(denied), (130, 3));
    let way = |record| (number(record, 61), number(record, 10), number(record, 14));
    assert_eq!(way(denied), (0, 0, 3));
    assert_eq!(collected.domains, [0x5678_9abc]);
}

#[test]
fn the_number_of_a_port_counted_from_1_is_told_with_its_name_and_id() {
    let (receiver, dir) = (Receiver::start(), TempDir::new().unwrap());
    let mut collector = exporter(receiver.address(), dir.path());
    close(&mut collector, 0, &flows(3));
    let collected = receiver.collect(|_| false);
    let [port] = of_template(&collected, PORT)[..] else {
        panic!("{collected:?}");
    };
    let text = |element: u16| String::from_utf8(port[&element].clone()).unwrap();
    assert_eq!(number(port, 10), 2);
    assert_eq!(text(82).trim_end_matches('\0'), "port1");
    assert_eq!(text(83), interface(1).to_string());
}

#[test]
fn datagrams_keep_to_the_mtu_and_sequence_numbers_count_every_data_record() {
    let (receiver, dir) = (Receiver::start(), TempDir::new().unwrap());
    let mut collector = exporter(receiver.address(), dir.path());
    let receiving = thread::spawn(move || {
        receiver.collect(|collected| of_template(collected, V4).len() == 5000)
    });
    close(&mut collector, 0, &flows(2000));
    close(&mut collector, 1, &flows(3000));
    let collected = receiving.join().unwrap();
    assert!(collected.lengths.iter().all(|length| *length <= 1432));
    let full = collected
        .lengths
        .iter()
        .filter(|length| **length > 1300)
        .count();
    assert!(
        full >= collected.lengths.len() - 4,
        "{:?}",
        collected.lengths
    );
    let mut expected = 0;
    for (sequence, records) in &collected.sequence {
        assert_eq!(*sequence, expected);
        expected += records;
    }
    // At the beginning of each interval, and again within.
    assert!(
        collected.with_templates >= 4,
        "{}",
        collected.with_templates
    );
    let packets = of_template(&collected, V4)
        .into_iter()
        .map(|r| number(r, 2));
    assert_eq!(packets.sum::<u64>(), 2000 * 2001 / 2 + 3000 * 3001 / 2);
    let status = &collector.status()[0];
    assert_eq!((status.state, status.rows), (State::Active, 5000));
    assert_eq!(status.files, collected.lengths.len() as u64);
}

#[test]
fn ipv6_has_a_template_of_its_own_and_a_row_without_a_flow_none() {
    let (receiver, dir) = (Receiver::start(), TempDir::new().unwrap());
    let mut collector = exporter(receiver.address(), dir.path());
    let mut tuple = udp(1, 53);
    tuple.src = "2001:db8::1".parse().unwrap();
    tuple.dst = "2001:db8::2".parse().unwrap();
    collector.observe(minute(0), &Lab::new(), &sent(tuple, ACCEPT, packets(9)));
    let skipped = Skipped {
        packets: 1,
        bytes: 1,
    };
    collector.close(minute(0), &Lab::new(), &[(2, skipped)]);
    let collected = receiver.collect(|_| false);
    assert!(of_template(&collected, V4).is_empty());
    let [record] = of_template(&collected, V6)[..] else {
        panic!("{collected:?}");
    };
    assert_eq!(number(record, 2), 9);
    assert_eq!(record[&27][..4], [0x20, 0x01, 0x0d, 0xb8]);
}

#[test]
fn what_could_not_be_sent_is_counted_and_a_collector_that_comes_back_gets_the_rest() {
    let dir = TempDir::new().unwrap();
    let address = {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let mut collector = exporter(address, dir.path());
    for n in 0..5 {
        close(&mut collector, n, &flows(10));
    }
    // The refusal of the last datagram is not known yet.
    let status = &collector.status()[0];
    assert_eq!((status.rows_lost, status.rows), (40, 10));
    assert_eq!(
        (status.state, status.store),
        (State::Error, Some(Cause::Unreachable))
    );
    let socket = UdpSocket::bind(address).unwrap();
    close(&mut collector, 5, &flows(10));
    close(&mut collector, 6, &flows(10));
    let status = &collector.status()[0];
    assert_eq!((status.rows_lost, status.rows), (50, 20));
    assert_eq!(status.state, State::Active);
    drop(socket);
}

#[test]
fn a_name_that_is_none_is_an_error_with_its_cause() {
    let dir = TempDir::new().unwrap();
    let spec = LoggerSpec {
        storage: Storage::Ipfix("no.such.host.invalid:4739".into()),
        ..logger(1, dir.path())
    };
    let mut collector = remembering(&[spec], &dir.path().join("state"));
    close(&mut collector, 0, &flows(3));
    let status = &collector.status()[0];
    assert_eq!((status.state, status.rows_lost), (State::Error, 3));
    let cause = status.cause.as_ref().unwrap();
    assert!(cause.contains("no.such.host.invalid:4739"), "{cause}");
}

#[test]
fn on_its_thread_the_last_interval_is_sent_before_the_end() {
    let (receiver, dir) = (Receiver::start(), TempDir::new().unwrap());
    let delivery = Delivery::open(
        &dir.path().join("state"),
        SPOOL_MAX,
        flowlog::Access::default(),
    )
    .unwrap();
    let mut collector = Collector::new(vec![spec(receiver.address(), dir.path())], delivery);
    close(&mut collector, 0, &flows(100));
    assert_eq!(collector.shut(Duration::from_secs(5)), 0);
    let collected = receiver.collect(|collected| of_template(collected, V4).len() == 100);
    assert_eq!(of_template(&collected, V4).len(), 100);
}

/// Ends the process with the test, however that ends.
struct Nfcapd(Child);

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nfdump_reads_what_was_exported() {
    if Command::new("nfcapd").arg("-V").output().is_err() {
        return println!("skipped: nfcapd is not installed (Debian package nfdump)");
    }
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("nfcapd");
    std::fs::create_dir(&store).unwrap();
    let address: SocketAddr = {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let child = Command::new("nfcapd")
        .args([
            "-b",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-T",
            "all",
            "-w",
        ])
        .arg(&store)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut nfcapd = Nfcapd(child.unwrap());
    // It listens once its port is taken.
    while UdpSocket::bind(address).is_ok() {
        thread::sleep(Duration::from_millis(10));
        assert!(nfcapd.0.try_wait().unwrap().is_none(), "nfcapd ended early");
    }
    let mut collector = exporter(address, dir.path());
    let mut observations = flows(50);
    observations.push(received(tcp(40_000, 22), DROP, tally(&[(3.0, SYN)])));
    close(&mut collector, 0, &observations);
    thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&nfcapd.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    nfcapd.0.wait().unwrap();

    let files = tree(&store);
    let file = files
        .iter()
        .find(|file| file.starts_with("nfcapd."))
        .unwrap();
    let output = Command::new("nfdump")
        .args([
            "-q",
            "-o",
            "fmt:%pr;%sa;%sp;%da;%dp;%pkt;%byt;%flg;%fwd;%dir;%in;%out",
            "-r",
        ])
        .arg(store.join(file))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rows: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<String>())
        .filter(|line| line.contains(';'))
        .collect();
    rows.sort();
    assert_eq!(rows.len(), 51, "{text}");
    let denied = rows.iter().find(|row| row.starts_with("TCP")).unwrap();
    assert!(
        denied.contains("10.77.1.11;40000;10.77.1.12;22;1;100;"),
        "{denied}"
    );
    // nfcapd 1.7.1 leaves the forwarding status of IPFIX out, later ones keep it.
    let ends = [";......S.;130;I;0;3", ";......S.;0;I;0;3"];
    assert!(ends.iter().any(|end| denied.ends_with(end)), "{denied}");
    let sent: u64 = rows
        .iter()
        .filter(|row| row.starts_with("UDP") && row.ends_with(";E;2;0"))
        .map(|row| row.split(';').nth(5).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sent, 50 * 51 / 2);
}
