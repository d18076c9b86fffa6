//! A port scanner in a guest, against guests with rules: what it reports is what the rules say, and
//! every one of its probes stands in the flow log.
//!
//! Port 80 is open and listened to, 443 is allowed and nobody listens; all else is refused. A refusal
//! is silent: the scanner calls such a port `filtered`, or `open|filtered` where silence may also
//! mean that somebody listens.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Guest, Lab, Plan, Record, Seen,
    rules::{tcp_in, udp_in},
    truth,
};
use packet::Offload;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Allowed and listened to, allowed only, refused.
const TCP_PORTS: [u16; 6] = [22, 79, 80, 81, 443, 8080];
const UDP_PORTS: [u16; 4] = [53, 54, 55, 123];
/// A neighbour's address that nobody has.
const STRANGER: &str = "10.77.1.99";

fn lab() -> Lab {
    let rules = [tcp_in(80), tcp_in(443), udp_in(53), udp_in(54)];
    let lab = Plan::new()
        .group("target", &rules)
        .guest("scanner", &["out"])
        .guest("target", &["target"])
        .guest("silent", &["out"])
        .start();
    let (scanner, target, silent) = (
        lab.guest("scanner"),
        lab.guest("target"),
        lab.guest("silent"),
    );
    scanner.knows(&[target, silent]);
    target.knows(&[scanner]);
    lab
}

/// What a scan reported: state by port.
type Report = BTreeMap<u16, String>;

/// Runs nmap on `ports`; neither names nor pings, two tries per probe.
fn scan(from: &Guest, to: &Guest, options: &str, ports: &[u16]) -> Report {
    let list: Vec<String> = ports.iter().map(u16::to_string).collect();
    let line = format!(
        "nmap -n -Pn --disable-arp-ping -T4 --max-retries 1 -oX - {options} -p {} {}",
        list.join(","),
        to.ip()
    );
    let report = states(&from.run(&line).ok());
    assert_eq!(report.len(), ports.len(), "{options}: {report:?}");
    report
}

/// `<port protocol="tcp" portid="80"><state state="open" …`, see nmap's own DTD.
fn states(xml: &str) -> Report {
    let value = |text: &str, key: &str| {
        let (_, rest) = text.split_once(&format!("{key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    xml.split("<port ")
        .skip(1)
        .map(|port| {
            let (_, state) = port.split_once("<state ").unwrap();
            let number = value(port, "portid").unwrap().parse().unwrap();
            (number, value(state, "state").unwrap())
        })
        .collect()
}

/// The report where `named` ports have their states and all others `silence`.
fn expected(ports: &[u16], named: &[(u16, &str)], silence: &str) -> Report {
    let state = |port: u16| {
        let found = named.iter().find(|(known, _)| *known == port);
        found.map_or(silence, |(_, state)| state).to_owned()
    };
    ports.iter().map(|&port| (port, state(port))).collect()
}

/// The frames of a capture file (classic pcap, as tcpdump writes it).
fn frames(file: &Path) -> Vec<Seen> {
    let bytes = std::fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut seen) = (24, vec![]);
    while at + 16 <= bytes.len() {
        let len = word(at + 8) as usize;
        seen.push(Seen {
            at_s: word(at).into(),
            offload: Offload::default(),
            bytes: bytes[at + 16..at + 16 + len].to_vec(),
        });
        at += 16 + len;
    }
    seen
}

/// Ends the lab and holds what the log says of the scanner against what tcpdump saw it send.
fn assert_every_probe_is_logged(lab: &mut Lab, sent: &[Seen]) {
    let scanner = lab.guest("scanner").port().clone();
    let records = lab.finish();
    let logged = records.pick(|row: &Record| row.port == "scanner" && row.direction == "egress");
    let truth = truth::count(sent, scanner.mac(), true);
    assert!(!truth.is_empty());
    truth::assert_same("the scanner's probes", &truth::logged(&logged), &truth);
    let refused = records.pick(|row| row.port == "silent" && row.filter == "ACCEPT");
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn scans_by_tcp_report_what_the_rules_say() {
    let mut lab = lab();
    let [scanner, target, silent] =
        ["scanner", "target", "silent"].map(|name| lab.guest(name).clone());
    scanner.offload_off();
    let dump = scanner.tcpdump();
    let listener = target.listen(80);
    let open = expected(&TCP_PORTS, &[(80, "open"), (443, "closed")], "filtered");
    for options in ["-sS", "-sT"] {
        let report = scan(&scanner, &target, options, &TCP_PORTS);
        assert_eq!(report, open, "{options}");
    }
    // A lone ACK is picked up where a rule allows it: the target's kernel answers by a RST.
    let reached = [(80, "unfiltered"), (443, "unfiltered")];
    let report = scan(&scanner, &target, "-sA", &TCP_PORTS);
    assert_eq!(report, expected(&TCP_PORTS, &reached, "filtered"));
    // What no TCP sends reaches nobody, whatever the rules allow.
    let before = lab.drops("scanner", "ct_invalid");
    for options in ["-sF", "-sN", "-sX"] {
        let report = scan(&scanner, &target, options, &TCP_PORTS);
        assert_eq!(
            report,
            expected(&TCP_PORTS, &[], "open|filtered"),
            "{options}"
        );
    }
    let refused = lab.drops("scanner", "ct_invalid") - before;
    assert!(refused >= 3 * TCP_PORTS.len() as u64, "{refused}");
    let report = scan(&scanner, &silent, "-sS", &TCP_PORTS);
    assert_eq!(report, expected(&TCP_PORTS, &[], "filtered"));
    drop(listener);
    assert_every_probe_is_logged(&mut lab, &frames(&dump.stop()));
}

#[test]
fn a_scan_by_udp_reports_what_the_rules_say() {
    let mut lab = lab();
    let [scanner, target] = ["scanner", "target"].map(|name| lab.guest(name).clone());
    scanner.offload_off();
    let dump = scanner.tcpdump();
    let socket = target.udp(53);
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 1500];
            while !over.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    socket.send_to(&buffer[..len], from).unwrap();
                }
            }
        });
        let report = scan(&scanner, &target, "-sU", &UDP_PORTS);
        over.store(true, Ordering::Relaxed);
        report
    });
    // The error that says nobody listens is related to the probe, and needs no rule.
    let answered = [(53, "open"), (54, "closed")];
    assert_eq!(report, expected(&UDP_PORTS, &answered, "open|filtered"));
    assert_every_probe_is_logged(&mut lab, &frames(&dump.stop()));
}

#[test]
fn a_false_source_is_refused_and_gives_the_scanner_nothing() {
    let mut lab = lab();
    let [scanner, target] = ["scanner", "target"].map(|name| lab.guest(name).clone());
    let dump = scanner.tcpdump();
    let listener = target.listen(80);
    // Among decoys the true probes are judged like any other.
    let report = scan(
        &scanner,
        &target,
        &format!("-sS -D {STRANGER},ME"),
        &TCP_PORTS,
    );
    let open = [(80, "open"), (443, "closed")];
    assert_eq!(report, expected(&TCP_PORTS, &open, "filtered"));
    let decoys = lab.drops("scanner", "spoof_ip");
    assert!(decoys >= TCP_PORTS.len() as u64, "{decoys}");
    // The guest's kernel believes that the address is its own; the switch knows better.
    let tap = scanner.port().tap();
    let _ = scanner
        .run(&format!("ip address add {STRANGER}/32 dev {tap}"))
        .ok();
    let report = scan(
        &scanner,
        &target,
        &format!("-sS -S {STRANGER} -e {tap}"),
        &TCP_PORTS,
    );
    assert_eq!(report, expected(&TCP_PORTS, &[], "filtered"));
    assert!(lab.drops("scanner", "spoof_ip") >= decoys + TCP_PORTS.len() as u64);
    drop(listener);
    let sent = frames(&dump.stop());
    let spoofed = sent
        .iter()
        .filter(|seen| seen.bytes.get(26..30) == Some(&[10, 77, 1, 99]));
    assert_eq!(lab.drops("scanner", "spoof_ip"), spoofed.count() as u64);
    assert_every_probe_is_logged(&mut lab, &sent);
}

/// Frames of fragmented IPv4: those with an offset of 0, and the others.
fn fragments(sent: &[Seen]) -> (u64, u64) {
    let place = |seen: &Seen| {
        let ip = seen.bytes.get(12..14) == Some(&[8, 0]);
        let place = u16::from_be_bytes(seen.bytes.get(20..22)?.try_into().unwrap());
        (ip && place & 0x3fff != 0).then_some(place & 0x1fff)
    };
    let places: Vec<u16> = sent.iter().filter_map(place).collect();
    let first = places.iter().filter(|place| **place == 0).count();
    (first as u64, (places.len() - first) as u64)
}

#[test]
fn fragments_hide_no_port_and_change_no_report() {
    let mut lab = lab();
    let [scanner, target] = ["scanner", "target"].map(|name| lab.guest(name).clone());
    let listener = target.listen(80);
    // The first fragment holds the whole TCP header.
    let dump = scanner.tcpdump();
    let report = scan(
        &scanner,
        &target,
        "-sS --mtu 24 --data-length 40",
        &TCP_PORTS,
    );
    let open = [(80, "open"), (443, "closed")];
    assert_eq!(report, expected(&TCP_PORTS, &open, "filtered"));
    let (first, later) = fragments(&frames(&dump.stop()));
    assert!(first >= TCP_PORTS.len() as u64 && later >= 2 * first);
    assert_eq!(lab.drops("scanner", "frag_tiny"), 0);
    // The first fragment ends within the TCP header: nothing of its datagram passes.
    let dump = scanner.tcpdump();
    let report = scan(&scanner, &target, "-sS -f", &TCP_PORTS);
    assert_eq!(report, expected(&TCP_PORTS, &[], "filtered"));
    let (tiny, _) = fragments(&frames(&dump.stop()));
    assert!(tiny >= TCP_PORTS.len() as u64);
    assert!(lab.drops("scanner", "frag_tiny") >= tiny);
    drop(listener);
    let records = lab.finish();
    let logged = |port: u16, filter: &str| -> u64 {
        let rows = records.pick(|row| {
            let to = row.tuple.is_some_and(|tuple| tuple.dst_port == port);
            row.port == "target" && row.direction == "ingress" && row.filter == filter && to
        });
        rows.iter().map(|row| row.packets).sum()
    };
    // Every fragment of a probe to an open port is an accepted packet of that port's record.
    assert!(logged(80, "ACCEPT") >= 3 && logged(80, "DROP") == 0);
    assert!(logged(22, "DROP") > 0 && logged(22, "ACCEPT") == 0);
}
