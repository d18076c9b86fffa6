//! Profiles, formats and fields from the configuration to the files, through a replayed capture.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use flowlog::Field;
use flowlog::read::{self, Row, Value};
use packet::{Mac, PacketSpec};
use std::fs;
use std::path::{Path, PathBuf};
use vswitch::config::Config;
use vswitch::run::{Input, replay};

/// 2026-11-23T05:00:00Z.
const START_S: u32 = 1_795_410_000;

const NETWORK: &str = r#"
region: KR1
vpcs: [{ name: lab, cidr: 10.77.0.0/16 }]
subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24, cidr6: "fd00:77::/64" }]
security_groups:
  - name: web
    rules:
      - { id: 11111111-1111-4111-8111-111111111111, direction: ingress, protocol: udp, port_range_min: 53, port_range_max: 53 }
      - { direction: ingress, ethertype: IPv6, protocol: udp }
      - { direction: ingress, protocol: icmp }
ports:
  - { name: vm1, instance: one, subnet: app, fixed_ips: [10.77.1.1, "fd00:77::1"], security_groups: [web], mac_address: fa:16:3e:00:00:01 }
  - { name: vm2, instance: two, subnet: app, fixed_ips: [10.77.1.2, "fd00:77::2"], security_groups: [web], mac_address: fa:16:3e:00:00:02 }
  - { name: vm3, subnet: app, fixed_ips: [10.77.1.3] }
"#;

/// What the guests send, a second apart.
const TALK: [(u8, &str); 6] = [
    (1, "udp 10.77.1.1:4000 > 10.77.1.2:53"),
    (2, "udp 10.77.1.2:53 > 10.77.1.1:4000"),
    (1, "tcp 10.77.1.1:4001 > 10.77.1.2:22 syn"),
    (1, "icmp 10.77.1.1 > 10.77.1.2 echo-request id=7"),
    (1, "udp [fd00:77::1]:1 > [fd00:77::2]:53"),
    (1, "udp 10.77.1.1:5353 > 224.0.0.251:5353"),
];

/// A capture with the talk, in the classic format with nanoseconds.
fn capture(directory: &Path) -> PathBuf {
    let mac = |last: u8| Mac([0xfa, 0x16, 0x3e, 0, 0, last]);
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (second, (from, text)) in (1..).zip(TALK) {
        let spec: PacketSpec = text.parse().unwrap();
        let frame = spec.build(mac(from), mac(3 - from));
        let len = u32::try_from(frame.len()).unwrap();
        for word in [START_S + second, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    let file = directory.join("talk.pcap");
    fs::write(&file, bytes).unwrap();
    file
}

/// The rows that a logger with these settings writes of the talk.
fn rows(logger: &str) -> Vec<Row> {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    let text = format!(
        "{NETWORK}state_dir: {at}/state\nflowlog_loggers:\n  - {{ name: l, resource_type: VPC, resource: lab, storage_url: {at}/logs, {logger} }}\n"
    );
    let (plan, _) = Config::parse(&text, "lab.yaml").unwrap();
    let file = capture(directory.path());
    let input = Input { file, port: None };
    let summary = replay(&plan, &[input], |_| {}).unwrap();
    assert!(summary.audit.holds(), "{:#?}", summary.audit);
    let read = |file: &PathBuf| read::open(file).unwrap().map(Result::unwrap);
    summary.files.iter().flat_map(read).collect()
}

/// The values of some fields of a row, as text.
fn texts(row: &Row, fields: &[Field]) -> String {
    let text = |field: &Field| row.get(*field).unwrap().to_string();
    fields.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_detail_of_a_packet_reaches_the_file_under_its_name() {
    let fields = "interface_name, instance_name, direction, src_addr, dst_port, filter, reason, rule_id, \
        security_group_id, is_reply, connections, icmp_type, icmp_code, tcp_flags_all, policy_epoch, mac_src, \
        mac_dst, first_ns, skipped_packets";
    let rows = rows(&format!(
        "log_format: PARQUET, compression_type: ZSTD, fields: [{fields}]"
    ));
    let of = |name: &str, direction: &str, src: &str, port: i64| {
        let is = |field, value: Value| move |row: &&Row| row.get(field) == Some(&value);
        rows.iter()
            .filter(is(Field::InterfaceName, Value::Word(name.into())))
            .filter(is(Field::Direction, Value::Word(direction.into())))
            .filter(is(Field::SrcAddr, Value::Address(src.parse().unwrap())))
            .find(is(Field::DstPort, Value::Number(port)))
            .unwrap()
    };
    let why = [Field::Filter, Field::Reason, Field::RuleId, Field::IsReply];
    let rule = "11111111-1111-4111-8111-111111111111";
    let asked = of("vm2", "ingress", "10.77.1.1", 53);
    assert_eq!(texts(asked, &why), format!("ACCEPT rule {rule} false"));
    let answered = of("vm2", "egress", "10.77.1.2", 4000);
    assert_eq!(texts(answered, &why), format!("ACCEPT reply {rule} true"));
    let refused = of("vm2", "ingress", "10.77.1.1", 22);
    assert_eq!(texts(refused, &why), "DROP default_deny  false");
    let who = [
        Field::InstanceName,
        Field::MacSrc,
        Field::MacDst,
        Field::Connections,
        Field::FirstNs,
    ];
    let first_ns = u64::from(START_S + 1) * 1_000_000_000;
    assert_eq!(
        texts(asked, &who),
        format!("two fa:16:3e:00:00:01 fa:16:3e:00:00:02 1 {first_ns}")
    );
    assert_eq!(
        texts(refused, &[Field::TcpFlagsAll, Field::SkippedPackets]),
        "2 0"
    );
    let pinged = of("vm2", "ingress", "10.77.1.1", 0);
    assert_eq!(texts(pinged, &[Field::IcmpType, Field::IcmpCode]), "8 0");
    assert!(
        rows.iter()
            .all(|row| !matches!(row.get(Field::PolicyEpoch), Some(Value::Empty)))
    );
}

#[test]
fn an_aws_profile_is_written_with_its_account_and_a_row_for_a_silent_port() {
    let rows = rows("fields: aws-v5, account_id: \"123456789012\"");
    let status = [Field::Filter, Field::Status, Field::TrafficPath];
    let mut seen: Vec<String> = rows.iter().map(|row| texts(row, &status)).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [" NODATA ", "ACCEPT OK ", "ACCEPT OK 1", "DROP OK "]);
}

#[test]
fn scope_all_adds_what_the_seed_leaves_out() {
    let of = |scope: &str| {
        let rows = rows(&format!("scope: {scope}, compression_type: GZIP"));
        let six =
            |row: &&Row| matches!(row.get(Field::SrcAddr), Some(Value::Address(a)) if a.is_ipv6());
        let group = "224.0.0.251".parse().unwrap();
        let multicast = |row: &&Row| row.get(Field::DstAddr) == Some(&Value::Address(group));
        (
            rows.iter().filter(six).count(),
            rows.iter().filter(multicast).count() > 0,
        )
    };
    assert_eq!(of("seed"), (0, false));
    assert_eq!(of("all"), (2, true));
}

#[test]
fn the_profile_lab_names_port_peer_reason_rule_and_group_and_counts_the_same_packets() {
    let (lab, seed) = (rows("fields: lab"), rows("fields: nhn-18"));
    let who = [
        Field::InterfaceName,
        Field::InstanceName,
        Field::PeerName,
        Field::Direction,
        Field::DstPort,
        Field::Filter,
        Field::Reason,
        Field::SecurityGroupName,
    ];
    let said: Vec<String> = lab.iter().map(|row| texts(row, &who)).collect();
    for wanted in [
        "vm2 two vm1 ingress 53 ACCEPT rule web",
        "vm1 one vm2 ingress 4000 ACCEPT reply web",
        "vm2 two vm1 ingress 22 DROP default_deny ",
    ] {
        assert!(said.iter().any(|row| row == wanted), "{wanted}: {said:#?}");
    }
    let rule = [Field::DstPort, Field::Direction, Field::RuleId];
    let named = "53 ingress 11111111-1111-4111-8111-111111111111";
    assert!(lab.iter().any(|row| texts(row, &rule) == named));
    let sums = |rows: &[Row]| {
        let mut sums = std::collections::BTreeMap::<String, i64>::new();
        for row in rows {
            let key = [Field::InterfaceId, Field::Direction, Field::Filter];
            if let Some(Value::Number(packets)) = row.get(Field::Packets) {
                *sums.entry(texts(row, &key)).or_default() += packets;
            }
        }
        sums
    };
    assert_eq!(sums(&lab), sums(&seed));
    assert_eq!(lab[0].fields()[..18], *Field::NHN_18);
}

#[test]
fn a_list_may_begin_with_a_profile_and_keeps_its_rows_for_silent_ports() {
    let rows = rows("fields: [nhn-24, reason]");
    let fields = rows[0].fields();
    assert_eq!(fields, [Field::NHN_24, &[Field::Reason]].concat());
    let is_silent = |row: &Row| row.get(Field::Status) == Some(&Value::Word("NODATA".into()));
    assert!(rows.iter().any(is_silent));
}
