//! What the tests of the complete flow log share: stores and readers of flowlog's own tests, and sums
//! of what was logged beside what the switch counted.
#![allow(dead_code, reason = "a store can do more than is asked of it here")]

#[path = "../../../flowlog/tests/foreign/readers.rs"]
pub mod readers;
#[path = "../../../flowlog/tests/support/s3/mod.rs"]
pub mod s3;
#[path = "../../../flowlog/tests/support/swift.rs"]
pub mod swift;

use netns_tests::{Guest, Lab, Plan, carries};
use serde_json::Value;
use std::{collections::BTreeMap, fs, thread, time::Duration};
use tempfile::TempDir;

/// For what the kernels still have to say to each other after the last close.
pub const SETTLED: Duration = Duration::from_millis(600);

/// An interval of a second; only those in which something happened become files.
pub const SECONDS: &str =
    "resource_type: VPC, resource: lab, aggregation_interval: 1s, empty_intervals: skip";

/// Packets and bytes by port (its id), direction and verdict.
pub type Sums = BTreeMap<(String, String, String), [u64; 2]>;

/// Files with the keys of a store.
pub struct Keys(TempDir);

impl Keys {
    pub fn new(access: &str, secret: &str) -> Self {
        let keys = Self(tempfile::tempdir().unwrap());
        fs::write(keys.0.path().join("access"), access).unwrap();
        keys.set_secret(secret);
        keys
    }

    pub fn set_secret(&self, secret: &str) {
        fs::write(self.0.path().join("secret"), secret).unwrap();
    }

    /// The configuration's `object_storage`.
    pub fn top(&self, endpoint: &str) -> String {
        let dir = self.0.path().display();
        format!(
            "object_storage: {{ endpoint: \"{endpoint}\", access_key_file: {dir}/access, \
             secret_key_file: {dir}/secret, timeout: 30s }}"
        )
    }
}

/// A logger of every second with a bucket.
pub fn to_bucket(name: &str, url: &str) -> String {
    format!("name: {name}, {SECONDS}, storage_type: OBS, storage_url: \"{url}\"")
}

/// The place of [`archived`].
pub fn archive() -> String {
    format!("s3://{}/lab", s3::BUCKET)
}

/// A plan with a logger `archive` whose store is `server`.
pub fn archived(server: &s3::Server, keys: &Keys) -> Plan {
    talkers(Plan::new().no_loggers())
        .top(&keys.top(&server.endpoint))
        .logger(&to_bucket("archive", &archive()))
}

/// Two guests whose kernels send nothing but IPv4 and ARP: `a` may send TCP, pings and UDP to the ports
/// 53 and 9999; `b` takes TCP to port 80, pings, and UDP to port 53.
pub fn talkers(plan: Plan) -> Plan {
    use netns_tests::rules::{ping_in, tcp_in, udp_in};
    let out = |what: &str| format!("direction: egress, {what}");
    let udp = |port| {
        out(&format!(
            "protocol: udp, port_range_min: {port}, port_range_max: {port}"
        ))
    };
    let sender = [
        out("protocol: tcp"),
        out("protocol: icmp"),
        udp(53),
        udp(9999),
    ];
    plan.group("sender", &sender)
        .group("server", &[tcp_in(80), ping_in(), udp_in(53)])
        .guest("a", &["sender"])
        .guest("b", &["server"])
        .change("a", |port| port.only_v4 = true)
        .change("b", |port| port.only_v4 = true)
}

/// Starts a lab whose guests' kernels send nothing but IPv4 and ARP.
pub fn start(plan: Plan) -> Lab {
    let mut lab = plan.prepare();
    lab.without_ipv6();
    lab.start_daemon();
    lab
}

/// Of everything a little: allowed, refused at the receiver, refused at the sender.
pub fn talk(a: &Guest, b: &Guest) {
    let (mut client, mut server) = a.connect(b, 80);
    assert!(carries(&mut client, &mut server, 300_000));
    assert!(carries(&mut server, &mut client, 200_000));
    drop((client, server));
    let (client, server) = (a.udp(4000), b.udp(53));
    for size in [0, 1, 1000, 1472] {
        client.send_to(&vec![1; size], (b.ip(), 53)).unwrap();
        let (_, from) = server.recv_from(&mut [0; 2000]).unwrap();
        server.send_to(&vec![2; size / 2], from).unwrap();
        client.recv_from(&mut [0; 2000]).unwrap();
    }
    for _ in 0..5 {
        client.send_to(b"refused there", (b.ip(), 9999)).unwrap();
        client.send_to(b"refused here", (b.ip(), 7777)).unwrap();
    }
    assert!(a.pings(b.ip(), 3, 100));
    assert!(!b.pings(a.ip(), 1, 56), "nothing may come in to a");
}

/// What the switch itself counted, apart from its log.
#[derive(Debug)]
pub struct Counted {
    /// Packets that are to be logged, by direction and verdict.
    packets: BTreeMap<(String, String, String), u64>,
    /// By port: IP bytes it sent, and IP bytes it was given.
    bytes: BTreeMap<String, [u64; 2]>,
}

impl Counted {
    /// Read while the guests are silent. Asserts that the audit holds and nothing was skipped or lost.
    pub fn of(lab: &Lab) -> Self {
        let ports = lab.show("ports");
        let audit = lab.show("audit");
        let mut counted = Self {
            packets: BTreeMap::new(),
            bytes: BTreeMap::new(),
        };
        for port in ports.as_array().unwrap() {
            let (id, name) = (text(&port["id"]), &port["name"]);
            let rows = audit.as_array().unwrap();
            let row = rows.iter().find(|row| row["port"] == *name).unwrap();
            assert_eq!(row["holds"], true, "{row}");
            assert_eq!((&row["skipped"], &row["tx_lost"]), (&0.into(), &0.into()));
            for direction in ["egress", "ingress"] {
                for verdict in ["ACCEPT", "DROP"] {
                    let name = format!("{direction}_{}", verdict.to_lowercase());
                    let packets = row[name.as_str()].as_u64().unwrap();
                    let of = (id.clone(), direction.to_owned(), verdict.to_owned());
                    counted.packets.insert(of, packets);
                }
            }
            let bytes = ["rx_bytes", "tx_bytes"].map(|name| port[name].as_u64().unwrap());
            counted.bytes.insert(id, bytes);
        }
        counted
    }

    /// Packets of all ports, directions and verdicts.
    pub fn packets(&self) -> u64 {
        self.packets.values().sum()
    }

    /// Asserts that a log holds exactly this: packets by port, direction and verdict; the bytes that
    /// every port sent, and those that it was given.
    pub fn assert_logged(&self, what: &str, sums: &Sums) {
        let packets = |of| sums.get(of).map_or(0, |[packets, _]| *packets);
        for (of, counted) in &self.packets {
            assert_eq!(
                packets(of),
                *counted,
                "{what}: packets of {of:?}: {sums:#?}"
            );
        }
        assert_eq!(
            self.packets(),
            sums.values().map(|[packets, _]| packets).sum::<u64>()
        );
        for (port, [sent, given]) in &self.bytes {
            let bytes = |direction: &str, verdicts: &[&str]| -> u64 {
                let wanted = |of: &(String, String, String)| {
                    of.0 == *port && of.1 == direction && verdicts.contains(&of.2.as_str())
                };
                let found = sums.iter().filter(|(of, _)| wanted(of));
                found.map(|(_, [_, bytes])| bytes).sum()
            };
            assert_eq!(
                bytes("egress", &["ACCEPT", "DROP"]),
                *sent,
                "{what}: sent by {port}"
            );
            assert_eq!(
                bytes("ingress", &["ACCEPT"]),
                *given,
                "{what}: given to {port}"
            );
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What `vswitch logs` reads at a place, as its rows.
pub fn logs(lab: &Lab, place: &str) -> Vec<Value> {
    let config = lab.config();
    let arguments = [
        "logs",
        place,
        "--json",
        "--config",
        config.to_str().unwrap(),
    ];
    let lines = lab.vswitch(&arguments).ok();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Sums of rows. Where a profile has no direction, the port's own address tells it.
pub fn sums(lab: &Lab, rows: &[Value]) -> Sums {
    let addresses: BTreeMap<String, String> = ["a", "b"]
        .map(|name| lab.guest(name))
        .map(|guest| (guest.port().id(), guest.ip().to_string()))
        .into();
    let mut sums = Sums::new();
    for row in rows {
        let port = text(&row["interface_id"]);
        if !row["packets"].is_u64() {
            continue;
        }
        let direction = match &row["direction"] {
            Value::String(direction) => direction.clone(),
            _ if text(&row["src_addr"]) == addresses[&port] => "egress".into(),
            _ => "ingress".into(),
        };
        let sum = sums
            .entry((port, direction, text(&row["filter"])))
            .or_default();
        sum[0] += row["packets"].as_u64().unwrap();
        sum[1] += row["bytes"].as_u64().unwrap();
    }
    sums
}

/// The row of a logger in `show loggers --json`.
pub fn logger(lab: &Lab, name: &str) -> Value {
    let rows = lab.show("loggers");
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap().clone()
}

/// Sleeps until just after the next whole second.
pub fn next_second() {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    thread::sleep(Duration::from_nanos(u64::from(
        1_000_000_000 - since.subsec_nanos(),
    )));
}
