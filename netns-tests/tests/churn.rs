//! A policy that changes a hundred times a second under traffic, and every packet accounted for.
//!
//! ```text
//!   sender ──▶ switch ──▶ echo          the file is rewritten, SIGHUP, "reloaded policy_epoch=n", …
//!     │ captures  │ log by policy_epoch   │ captures
//!     └───────────┴───────────────────────┴──▶ packet by packet, which epoch judged it, and was it right?
//! ```
//!
//! Each policy allows some of four UDP ports. Datagrams of a port stay in order, and so do epochs:
//! the log's counts per epoch therefore say of every single datagram under which policy it was
//! judged. `VSWITCH_CHURN_SECONDS=60` makes it a minute.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{Guest, Lab, Plan, Seen, rules::udp_in, truth::Packet};
use packet::Mac;
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long it goes on, unless told otherwise.
const SECONDS: u64 = 8;
/// Between two changes.
const PERIOD: Duration = Duration::from_millis(10);
/// Between two rounds of datagrams.
const PAUSE: Duration = Duration::from_millis(3);
/// Services; bit `i` of a policy allows the one at `i`.
const SERVICES: [u16; 4] = [5000, 5001, 5002, 5003];
const POLICIES: usize = 1 << SERVICES.len();
/// Where the sequence number stands: behind Ethernet, IPv4 and UDP.
const PAYLOAD: usize = 14 + 20 + 8;
const FIELDS: [&str; 6] = [
    "interface_id",
    "direction",
    "filter",
    "src_port",
    "dst_port",
    "policy_epoch",
];

/// A plan under which the services of `policy` are allowed.
fn plan(policy: usize) -> Plan {
    let allowed = (0..SERVICES.len()).filter(|service| policy >> service & 1 == 1);
    let rules: Vec<String> = allowed.map(|service| udp_in(SERVICES[service])).collect();
    let fields = FIELDS.join(", ");
    Plan::new()
        .no_loggers()
        .group("services", &rules)
        .guest("sender", &["out"])
        .guest("echo", &["services"])
        .logger(&format!(
            "name: epochs, resource_type: VPC, resource: lab, aggregation_interval: 15m, \
             empty_intervals: skip, fields: [{fields}, protocol, src_addr, dst_addr, packets]"
        ))
}

/// The daemon's own account of a reload.
struct Reloads {
    log: PathBuf,
    read: usize,
}

impl Reloads {
    /// Waits for the next line that tells of one; the number of the policy.
    fn next(&mut self) -> u16 {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read(&self.log).unwrap();
            let new = String::from_utf8_lossy(&text[self.read..]).into_owned();
            if let Some((line, _)) = new.split_once('\n') {
                self.read += line.len() + 1;
                assert!(!line.contains("ERROR"), "{line}");
                if let Some((_, number)) = line.split_once("policy_epoch=") {
                    return number.trim().parse().unwrap();
                }
            }
            assert!(Instant::now() < deadline, "no answer to SIGHUP: {new}");
            thread::sleep(Duration::from_micros(300));
        }
    }
}

/// Changes the policy until the time is over; which policy each epoch had.
fn churn(lab: &mut Lab, time: Duration) -> BTreeMap<u16, usize> {
    let (dir, prefix) = (lab.dir().to_owned(), lab.prefix().to_owned());
    let texts: Vec<String> = (0..POLICIES)
        .map(|policy| plan(policy).yaml(&dir, &prefix))
        .collect();
    let log = dir.join("vswitch.log");
    let mut reloads = Reloads {
        read: fs::read(&log).unwrap().len(),
        log,
    };
    let (config, aside) = (lab.config(), dir.join("config.new"));
    let mut epochs = BTreeMap::new();
    let start = Instant::now();
    for change in 1.. {
        // Every policy follows every other in time.
        let policy = (change * 7 + change / POLICIES) % POLICIES;
        fs::write(&aside, &texts[policy]).unwrap();
        fs::rename(&aside, &config).unwrap();
        lab.daemon().signal(Signal::HUP);
        let epoch = reloads.next();
        if epochs.is_empty() {
            epochs.insert(epoch - 1, 0);
        }
        epochs.insert(epoch, policy);
        let due = start + PERIOD * change as u32;
        if due > start + time {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if start.elapsed() > time {
            break;
        }
    }
    epochs
}

/// Sends numbered datagrams to every service until it is over.
fn send(from: &[UdpSocket], to: &Guest, over: &AtomicBool) {
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        for (socket, service) in from.iter().zip(SERVICES) {
            socket
                .send_to(&number.to_be_bytes(), (to.ip(), service))
                .unwrap();
        }
        number += 1;
        thread::sleep(PAUSE);
    }
}

fn echo(socket: &UdpSocket, over: &AtomicBool) {
    let mut buffer = [0; 64];
    while !over.load(Ordering::Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..len], from).unwrap();
        }
    }
}

/// Numbers of the datagrams of each service and way, in order: to the echo, and back.
type Numbers = BTreeMap<(u16, bool), Vec<u64>>;

/// What went out of the interface with `mac`, or came in.
fn numbers(seen: &[Seen], mac: Mac, outgoing: bool) -> Numbers {
    let mut numbers = Numbers::new();
    for frame in seen.iter().filter(|seen| seen.is_from(mac) == outgoing) {
        let Some(packet) = Packet::read(frame).filter(|packet| packet.tuple.protocol == 17) else {
            continue;
        };
        let number = u64::from_be_bytes(frame.bytes[PAYLOAD..PAYLOAD + 8].try_into().unwrap());
        let there = SERVICES.contains(&packet.tuple.dst_port);
        let service = if there {
            packet.tuple.dst_port
        } else {
            packet.tuple.src_port
        };
        numbers.entry((service, there)).or_default().push(number);
    }
    numbers
}

/// Packets by epoch and verdict, of one service, way and port of the switch.
type Judged = BTreeMap<u16, BTreeMap<bool, u64>>;

/// The log's rows: by interface, direction, service and way.
fn logged(folder: &Path) -> BTreeMap<(String, String, u16, bool), Judged> {
    let mut rows: BTreeMap<_, Judged> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for line in fs::read_to_string(path).unwrap().lines().skip(1) {
                let values: Vec<&str> = line.split(',').collect();
                let [
                    interface,
                    direction,
                    filter,
                    src,
                    dst,
                    epoch,
                    protocol,
                    _,
                    _,
                    packets,
                ] = values[..]
                else {
                    panic!("{line}");
                };
                if protocol != "17" {
                    continue;
                }
                let (src, dst): (u16, u16) = (src.parse().unwrap(), dst.parse().unwrap());
                let there = SERVICES.contains(&dst);
                let service = if there { dst } else { src };
                let key = (interface.to_owned(), direction.to_owned(), service, there);
                let of_epoch = rows.entry(key).or_default().entry(epoch.parse().unwrap());
                *of_epoch.or_default().entry(filter == "ACCEPT").or_default() +=
                    packets.parse::<u64>().unwrap();
            }
        }
    }
    rows
}

/// Follows the datagrams of one service and way through the epochs at the port that has the rules:
/// each is delivered if its epoch's policy allows the service, and only then.
fn follow(
    what: &str,
    judged: &Judged,
    sent: &[u64],
    delivered: &[u64],
    is_allowed: impl Fn(u16) -> bool,
) {
    let (mut sent, mut delivered) = (sent.iter(), delivered.iter().peekable());
    for (&epoch, verdicts) in judged {
        assert_eq!(
            verdicts.len(),
            1,
            "{what}: one policy, two verdicts: {epoch}: {verdicts:?}"
        );
        let (&accepted, &packets) = verdicts.iter().next().unwrap();
        assert_eq!(
            accepted,
            is_allowed(epoch),
            "{what}: {packets} packets of epoch {epoch}"
        );
        for _ in 0..packets {
            let number = sent.next();
            assert!(number.is_some(), "{what}: the log has more than was sent");
            if accepted {
                assert_eq!(delivered.next(), number, "{what}: epoch {epoch} allows it");
            } else {
                assert_ne!(
                    delivered.peek().copied(),
                    number,
                    "{what}: epoch {epoch} refuses it"
                );
            }
        }
    }
    assert_eq!(
        (sent.next(), delivered.next()),
        (None, None),
        "{what}: the log has less"
    );
}

fn sum(judged: &Judged) -> u64 {
    judged.values().flat_map(BTreeMap::values).sum()
}

#[test]
fn every_packet_is_judged_by_the_policy_of_its_epoch_while_policies_change_a_hundred_times_a_second()
 {
    let seconds = std::env::var("VSWITCH_CHURN_SECONDS").ok();
    let seconds = seconds
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let mut lab = plan(0).start();
    let (sender, echoer) = (lab.guest("sender").clone(), lab.guest("echo").clone());
    sender.knows(&[&echoer]);
    echoer.knows(&[&sender]);
    let sources = SERVICES.map(|_| sender.udp(0));
    let services = SERVICES.map(|service| echoer.udp(service));
    for socket in &services {
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
    }
    let (at_sender, at_echo) = (sender.watch(), echoer.watch());
    let over = AtomicBool::new(false);
    let (epochs, took) = thread::scope(|scope| {
        scope.spawn(|| send(&sources, &echoer, &over));
        for socket in &services {
            scope.spawn(|| echo(socket, &over));
        }
        let start = Instant::now();
        let epochs = churn(&mut lab, Duration::from_secs(seconds));
        let took = start.elapsed();
        over.store(true, Ordering::Relaxed);
        (epochs, took)
    });
    let (at_sender, at_echo) = (at_sender.stop(), at_echo.stop());
    lab.audit();
    lab.end();

    let rows = logged(&lab.dir().join("flowlogs/0"));
    let ids = [sender.port().id(), echoer.port().id()];
    let row = |port: usize, direction: &str, service: u16, there: bool| -> Judged {
        let key = (ids[port].clone(), direction.to_owned(), service, there);
        rows.get(&key).cloned().unwrap_or_default()
    };
    let macs = [sender.port().mac(), echoer.port().mac()];
    let from_sender = numbers(&at_sender, macs[0], true);
    let to_sender = numbers(&at_sender, macs[0], false);
    let from_echo = numbers(&at_echo, macs[1], true);
    let to_echo = numbers(&at_echo, macs[1], false);
    let of = |numbers: &Numbers, key| numbers.get(&key).cloned().unwrap_or_default();
    let mut packets = 0;
    for (bit, service) in SERVICES.into_iter().enumerate() {
        let is_allowed = |epoch: u16| epochs[&epoch] >> bit & 1 == 1;
        let (there, back) = ((service, true), (service, false));
        let asked = of(&from_sender, there);
        // The sender's own group allows everything: its side accepts all of it.
        let egress = row(0, "egress", service, true);
        assert!(
            egress
                .values()
                .all(|verdicts| !verdicts.contains_key(&false))
        );
        assert_eq!(sum(&egress), asked.len() as u64, "{service}: what was sent");
        let ingress = row(1, "ingress", service, true);
        let what = format!("to {service}");
        follow(&what, &ingress, &asked, &of(&to_echo, there), is_allowed);
        // A reply passes while its question is allowed; the port whose rule is gone refuses it.
        let answered = of(&from_echo, back);
        let egress = row(1, "egress", service, false);
        let what = format!("from {service}");
        follow(&what, &egress, &answered, &of(&to_sender, back), is_allowed);
        let ingress = row(0, "ingress", service, false);
        assert_eq!(
            sum(&ingress),
            of(&to_sender, back).len() as u64,
            "{service}: answers"
        );
        packets += asked.len() + answered.len();
    }
    let changes = epochs.len() - 1;
    let rate = changes as f64 / took.as_secs_f64();
    println!(
        "{changes} changes in {:.1} s ({rate:.0} per second), {packets} datagrams judged",
        took.as_secs_f64()
    );
    assert!(
        changes > POLICIES && packets > 1000,
        "{changes} changes, {packets} datagrams"
    );
}
