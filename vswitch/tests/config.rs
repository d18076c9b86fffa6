//! Configurations that hold, and what they mean.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use vswitch::config::{Config, Kind, Plan, Role};

/// The example of the specification, section 4, word by word.
const NORMATIVE: &str = r#"
region: KR1
vpcs:
  - { name: lab, cidr: 10.77.0.0/16 }
subnets:
  - { name: app, vpc: lab, cidr: 10.77.1.0/24 }          # gateway_ip: optional
security_groups:
  - name: web
    description: HTTP from anywhere, ssh from the bastions
    rules:
      - { direction: ingress, protocol: tcp, port_range_min: 80, port_range_max: 80 }
      - { direction: ingress, protocol: tcp, port_range_min: 22, port_range_max: 22, remote_group: bastion }
      - { direction: ingress, ethertype: IPv4, protocol: icmp, icmp_type: 8, remote_ip_prefix: 10.77.0.0/16 }
  - name: bastion
    rules: []
ports:
  - name: vm1
    instance: vm1                      # name or UUID: vm_id / owner_id in the log
    subnet: app
    mac_address: fa:16:3e:00:00:01     # optional, derived when absent
    fixed_ips: [10.77.1.11]
    security_groups: [web]
    port_security_enabled: true        # default
    allowed_address_pairs: []          # { ip_address: CIDR, mac_address: optional }
    tap: { name: tap-vm1, netns: vm1, mtu: 1500 }   # netns optional: without it the TAP stays in the daemon's namespace
flowlog_loggers:
  - name: everything
    resource_type: VPC                 # VPC | SUBNET | PORT
    resource: lab
    filter: ALL                        # ALL | ACCEPT | DROP
    connection_setup_only: false
    aggregation_interval: 60s          # 1s … 15m
    fields: nhn-18                     # a profile of section 6, or a list of field names
    log_format: CSV                    # CSV | PARQUET
    compression_type: RAW              # RAW | GZIP | ZSTD
    storage_type: FILE                 # FILE | OBS
    storage_url: ./flowlogs            # FILE: a directory; OBS: s3://bucket/prefix
    partition_period: HOUR             # HOUR | DAY | a template
    admin_state_up: true
object_storage:                        # used by loggers with storage_type OBS
  endpoint: http://127.0.0.1:9000
  region: KR1
  path_style: true
  access_key_env: VSWITCH_S3_ACCESS_KEY
  secret_key_env: VSWITCH_S3_SECRET_KEY
"#;

#[test]
fn the_example_of_the_specification_means_what_it_says() {
    let (plan, notices) =
        Config::parse(NORMATIVE, "example.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert!(notices.is_empty(), "{notices:?}");
    let vm1 = &plan.ports[0];
    assert_eq!(vm1.id, Kind::Port.derive("vm1"));
    assert_eq!(vm1.instance_id, Kind::Instance.derive("vm1"));
    assert_eq!(
        (vm1.role, vm1.port_security, vm1.max_macs),
        (Role::Instance, true, 8)
    );
    assert_eq!(vm1.groups, [plan.groups[0].id]);
    assert_eq!(
        plan.groups[0].rules.len(),
        5,
        "three rules, and the two of egress"
    );
    assert_eq!(plan.loggers[0].interval_s, 60);
    assert_eq!(plan.conntrack.limit, 1_048_576);
}

#[test]
fn every_file_in_configs_loads_and_prints() {
    for path in configs() {
        let plan = load(&path);
        let summary = plan.to_string();
        assert!(
            plan.ports
                .iter()
                .all(|port| summary.contains(&port.tap.name)),
            "{summary}"
        );
        let view = serde_json::to_value(&plan).unwrap();
        assert_eq!(view["ports"].as_array().unwrap().len(), plan.ports.len());
    }
}

#[test]
fn the_summary_of_a_plan_is_a_page_that_can_be_read() {
    let plan = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/two-tier.yaml"));
    insta::assert_snapshot!(plan.to_string());
}

#[test]
fn the_full_configuration_shows_every_key_of_the_schema() {
    let schema = Config::schema();
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 90, "{keys:?}");
    let full =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/full.yaml"))
            .unwrap();
    let absent: Vec<_> = keys
        .iter()
        .filter(|key| !full.contains(key.as_str()))
        .collect();
    assert!(
        absent.is_empty(),
        "keys that configs/full.yaml does not show: {absent:?}"
    );
}

#[test]
fn a_port_without_the_key_has_the_default_group_of_its_vpc_and_an_empty_list_has_none() {
    let plan = parse(
        "region: r\nvpcs: [{name: a}, {name: b}]\n\
         subnets: [{name: sa, vpc: a, cidr: 10.0.0.0/24}, {name: sb, vpc: b, cidr: 10.0.0.0/24}]\n\
         ports:\n\
         - {name: p, subnet: sa, fixed_ips: [10.0.0.1]}\n\
         - {name: q, subnet: sb, fixed_ips: [10.0.0.1]}\n\
         - {name: none, subnet: sb, fixed_ips: [10.0.0.2], security_groups: []}\n\
         - {name: open, subnet: sb, fixed_ips: [10.0.0.3], port_security_enabled: false}\n",
    );
    assert_eq!(plan.ports[0].groups, [plan.vpcs[0].default_group]);
    assert_eq!(plan.ports[1].groups, [plan.vpcs[1].default_group]);
    assert_ne!(plan.vpcs[0].default_group, plan.vpcs[1].default_group);
    assert!(plan.ports[2].groups.is_empty() && plan.ports[3].groups.is_empty());
}

#[test]
fn a_group_gets_the_usual_egress_rules_only_where_it_lists_none_and_does_not_refuse_them() {
    let plan = parse(&with_groups(
        "- {name: bare}\n\
         - {name: closed, default_rules: false}\n\
         - {name: own, rules: [{direction: egress, protocol: tcp}]}\n",
    ));
    let rules = |name: &str| {
        plan.groups
            .iter()
            .find(|group| group.name == name)
            .unwrap()
            .rules
            .len()
    };
    assert_eq!((rules("bare"), rules("closed"), rules("own")), (2, 0, 1));
}

#[test]
fn duplicate_rules_are_merged_also_in_another_spelling_and_a_notice_says_so() {
    let text = with_groups(
        "- name: g\n\
         \x20 rules:\n\
         \x20   - {direction: ingress, protocol: tcp, remote_ip_prefix: 10.0.0.5/8}\n\
         \x20   - {direction: ingress, protocol: udp}\n\
         \x20   - {direction: ingress, ethertype: ipv4, protocol: 6, remote_ip_prefix: 10.0.0.0/8}\n",
    );
    let (plan, notices) = Config::parse(&text, "test.yaml").unwrap();
    assert_eq!(plan.groups[0].rules.len(), 4, "two and the two of egress");
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    let expected =
        "security_groups[0].rules[2]: allows the same as security_groups[0].rules[0]; merged";
    assert!(
        notices.len() == 1 && notices[0].ends_with(expected),
        "{notices:?}"
    );
}

#[test]
fn pairs_that_bear_a_siblings_mac_or_the_gateways_address_are_told() {
    let text = "region: KR1\nvpcs: [{ name: lab }]\n\
         subnets: [{ name: app, vpc: lab, cidr: 10.77.1.0/24, cidr6: 'fd00::/64', gateway_ip: [10.77.1.1, 'fd00::1'] }]\n\
         ports:\n\
         \x20 - { name: one, subnet: app, fixed_ips: [10.77.1.11], mac_address: 'fa:16:3e:00:00:01' }\n\
         \x20 - { name: two, subnet: app, fixed_ips: [10.77.1.12], allowed_address_pairs: [\
         { ip_address: 10.77.1.11, mac_address: 'fa:16:3e:00:00:01' }, { ip_address: 'fd00::1' }] }\n";
    let (_, notices) = Config::parse(text, "test.yaml").unwrap();
    let notices: Vec<String> = notices.iter().map(|notice| notice.text.clone()).collect();
    assert_eq!(
        notices,
        [
            "`fa:16:3e:00:00:01` is port `one`'s own MAC: frames for it go to whichever of the two sent with it last",
            "`fd00::1` is the gateway_ip of subnet `app`: the port may advertise routes and answer DHCPv6",
        ]
    );
}

#[test]
fn a_rule_whose_protocol_no_packet_of_its_family_has_is_told() {
    let text = with_groups(
        "- name: g\n\
         \x20 rules:\n\
         \x20   - {direction: ingress, ethertype: IPv6, protocol: ah}\n\
         \x20   - {direction: ingress, ethertype: IPv4, protocol: ah}\n\
         \x20   - {direction: ingress, ethertype: IPv4, protocol: 41}\n",
    );
    let (_, notices) = Config::parse(&text, "test.yaml").unwrap();
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    let place = "security_groups[0].rules[0].protocol: matches no packet: ";
    assert!(
        notices.len() == 1 && notices[0].contains(place),
        "{notices:?}"
    );
}

/// A pair of length 0 speaks for its MAC alone, so it opens nobody's rules.
#[test]
fn a_wide_pair_of_a_member_of_a_remote_group_is_told() {
    let notices = |remote: &str, pairs: &str| -> Vec<String> {
        let text = format!(
            "region: KR1\nvpcs: [{{ name: lab }}]\n\
             subnets: [{{ name: app, vpc: lab, cidr: 10.77.1.0/24 }}]\n\
             security_groups:\n\
             \x20 - {{ name: inside }}\n\
             \x20 - {{ name: web, rules: [{{ direction: ingress, {remote} }}] }}\n\
             ports: [{{ name: vm1, subnet: app, fixed_ips: [10.77.1.11], security_groups: [inside], \
             allowed_address_pairs: [{pairs}] }}]\n"
        );
        let (_, notices) = Config::parse(&text, "test.yaml").unwrap();
        notices.iter().map(|notice| notice.text.clone()).collect()
    };
    let halves =
        "{ ip_address: 0.0.0.0/1 }, { ip_address: 128.0.0.0/1 }, { ip_address: '2000::/3' }";
    let told = notices("remote_group: inside", halves);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].starts_with("`0.0.0.0/1` is shorter than /8:"),
        "{told:?}"
    );
    assert!(
        told[2].starts_with("`2000::/3` is shorter than /32:"),
        "{told:?}"
    );
    assert!(notices("remote_ip_prefix: 10.0.0.0/8", halves).is_empty());
    let narrow = "{ ip_address: 10.0.0.0/8 }, { ip_address: '2001:db8::/32' }";
    assert!(notices("remote_group: inside", narrow).is_empty());
    let all = notices("remote_group: inside", "{ ip_address: 0.0.0.0/0 }");
    assert_eq!(all, ["`0.0.0.0/0` lets the guest send from every address"]);
}

#[test]
fn a_partition_without_a_variable_may_be_meant_and_is_told() {
    let logger = "flowlog_loggers:\n  - { name: l, resource_type: VPC, resource: lab, storage_url: ./x, \
                  partition_period: flows }\n";
    let (lab, _) = NORMATIVE.split_once("flowlog_loggers:").unwrap();
    let (_, notices) = Config::parse(&format!("{lab}{logger}"), "test.yaml").unwrap();
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    let expected = "flowlog_loggers[0].partition_period: `flows` has no variable: all files go into one folder";
    assert!(
        notices.len() == 1 && notices[0].ends_with(expected),
        "{notices:?}"
    );
}

#[test]
fn names_that_readers_of_folders_leave_out_are_told() {
    let logger = "flowlog_loggers:\n  - { name: l, resource_type: VPC, resource: lab, storage_url: ./x, \
                  partition_period: \"_old/#{year}\", customized_file_name: \
                  \"_#{logger_id}-#{year}-#{month}-#{day}-#{hour}-#{minute}-#{second}\" }\n";
    let (lab, _) = NORMATIVE.split_once("flowlog_loggers:").unwrap();
    let (_, notices) = Config::parse(&format!("{lab}{logger}"), "test.yaml").unwrap();
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices.len(), 2, "{notices:?}");
    for told in ["the folder `_old` begins", "the file name `_#{logger_id}"] {
        assert!(
            notices.iter().any(|notice| notice.contains(told)),
            "{notices:?}"
        );
    }
}

#[test]
fn check_shows_the_columns_of_the_files_and_how_they_are_written() {
    let common = "resource_type: VPC, resource: lab, storage_url: ./x";
    let aws = "account_id: \"123456789012\"";
    let loggers = format!(
        "flowlog_loggers:\n  - {{ name: a, {common}, fields: aws-v2, {aws} }}\n  \
         - {{ name: b, {common}, fields: aws-v5, {aws}, partition_period: HOUR }}\n  \
         - {{ name: c, {common}, log_format: PARQUET, compression_type: ZSTD, scope: all, rows_per_file: 5 }}\n"
    );
    let (lab, _) = NORMATIVE.split_once("flowlog_loggers:").unwrap();
    let (plan, _) = Config::parse(&format!("{lab}{loggers}"), "test.yaml").unwrap();
    let text = plan.to_string();
    let (_, table) = text.split_once("\nloggers\n").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let told = |row: usize| rows[row][4..10].join(" ");
    assert_eq!(
        rows[0][3..9].join(" "),
        "scope every columns format partition rows"
    );
    assert_eq!(told(1), "seed 60s 14 AWS+GZIP DAY 20000");
    assert_eq!(told(2), "seed 60s 29 AWS+GZIP HOUR 20000");
    assert_eq!(told(3), "all 60s 18 PARQUET+ZSTD HOUR 5");
    let json = serde_json::to_value(&plan).unwrap();
    let logger = &json["flowlog_loggers"][1];
    assert_eq!(
        (&logger["columns"], &logger["partition_period"]),
        (&29.into(), &"HOUR".into())
    );
}

#[test]
fn references_go_by_name_and_by_id() {
    let id = Kind::Subnet.derive("s");
    let plan = parse(&format!(
        "region: r\nvpcs: [{{name: v}}]\nsubnets: [{{name: s, vpc: {}, cidr: 10.0.0.0/24}}]\n\
         ports: [{{name: p, subnet: {id}, fixed_ips: [10.0.0.1], security_groups: [default]}}]\n",
        Kind::Vpc.derive("v"),
    ));
    assert_eq!(plan.subnets[plan.ports[0].subnet].id, id);
    assert_eq!(plan.ports[0].groups, [plan.vpcs[0].default_group]);
}

#[test]
fn derived_values_are_the_same_however_often_and_wherever_the_file_is_read() {
    let (first, second) = (
        parse(&with_groups("- {name: g}\n")),
        parse(&with_groups("- {name: g}\n")),
    );
    assert_eq!(first.ports, second.ports);
    let port = &first.ports[0];
    assert!(port.mac.to_string().starts_with("fa:16:3e:"));
    assert_eq!(port.tap.name, format!("tap{}", &port.id.to_string()[..11]));
    assert_eq!(port.tap.mtu, 1500, "the subnet's");
}

#[test]
fn an_uplink_carries_the_gateway_and_a_guest_without_port_security_may_be_the_router() {
    let plan = parse(
        "region: r\nvpcs: [{name: v}]\n\
         subnets: [{name: s, vpc: v, cidr: 10.0.0.0/24, gateway_ip: 10.0.0.1}, {name: t, vpc: v, cidr: 10.0.1.0/24, gateway_ip: 10.0.1.1}]\n\
         ports:\n\
         - {name: up, role: uplink, subnet: s}\n\
         - {name: router, subnet: t, fixed_ips: [10.0.1.1], port_security_enabled: false}\n",
    );
    assert_eq!(plan.ports[0].role, Role::Uplink);
    assert!(plan.port_spec(0).uplink && plan.port_spec(0).is_unfiltered());
    assert!(plan.port_spec(1).is_unfiltered() && !plan.port_spec(1).uplink);
}

#[test]
fn a_long_file_of_noise_is_refused_and_never_a_panic() {
    for noise in [
        "[", "{a: ", "- ", "&a [*a, ", "? ", "!!x ", "\u{feff}", "\0", "'",
    ] {
        assert!(Config::parse(&noise.repeat(20_000), "noise.yaml").is_err());
    }
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nregion: *e\n";
    assert!(Config::parse(bomb, "bomb.yaml").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_file_with_any_piece_replaced_is_read_or_refused_and_never_a_panic(
        at in 0..NORMATIVE.len(),
        length in 0..24_usize,
        piece in r"(\PC|[\[\]{}:,#&*!|>' \-\n\t0-9]){0,6}|/0|::/0|65536|-1|\.\.|UTC|default",
    ) {
        let end = (at + length).min(NORMATIVE.len());
        let (Some(before), Some(behind)) = (NORMATIVE.get(..at), NORMATIVE.get(end..)) else {
            return Ok(());
        };
        if let Err(error) = Config::parse(&format!("{before}{piece}{behind}"), "test.yaml") {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn thousands_of_ports_are_read_and_none_shares_a_derived_mac() {
    let mut text =
        "region: r\nvpcs: [{name: v}]\nsubnets: [{name: s, vpc: v, cidr: 10.0.0.0/16}]\nports:\n"
            .to_owned();
    for i in 0..6_000 {
        text += &format!(
            "- {{name: p{i}, subnet: s, fixed_ips: [10.0.{}.{}]}}\n",
            i / 250,
            i % 250 + 1
        );
    }
    let plan = parse(&text);
    let macs: BTreeSet<_> = plan.ports.iter().map(|port| port.mac).collect();
    assert_eq!(macs.len(), 6_000);
}

fn configs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 3);
    files
}

fn load(path: &Path) -> Plan {
    Config::load(path)
        .unwrap_or_else(|error| panic!("{error}"))
        .0
}

fn parse(text: &str) -> Plan {
    Config::parse(text, "test.yaml")
        .unwrap_or_else(|error| panic!("{error}"))
        .0
}

/// A file with these groups and one port.
fn with_groups(groups: &str) -> String {
    format!(
        "region: r\nvpcs: [{{name: v}}]\nsubnets: [{{name: s, vpc: v, cidr: 10.0.0.0/24}}]\n\
         ports: [{{name: p, subnet: s, fixed_ips: [10.0.0.1]}}]\nsecurity_groups:\n{groups}"
    )
}

/// Every name under `properties`, wherever it stands in the schema.
fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    if let Some(object) = schema.as_object() {
        if let Some(properties) = object.get("properties").and_then(|of| of.as_object()) {
            keys.extend(properties.keys().cloned());
        }
        object.values().for_each(|value| collect_keys(value, keys));
    }
}

#[test]
fn a_custom_name_with_a_colon_is_noted_where_engines_read_the_files() {
    const COLONS: &str = "#{logger_id}_#{year}-#{month}-#{day}T#{hour}:#{minute}:#{second}";
    let notices = |name: &str, keys: &str| -> Vec<String> {
        let text = format!(
            "ports: [{{ name: vm1, fixed_ips: [10.77.1.11] }}]\n\
             flowlog_loggers:\n\
             \x20 - {{ name: l, storage_url: ./logs, customized_file_name: '{name}', {keys} }}\n"
        );
        let (_, notices) = Config::parse(&text, "test.yaml").unwrap();
        notices.iter().map(ToString::to_string).collect()
    };
    let portable = COLONS.replace(':', "");
    for keys in [
        "log_format: PARQUET",
        "partition_period: 'year=#{year}/month=#{month}'",
    ] {
        let noted = notices(COLONS, keys);
        let place = "flowlog_loggers[0].customized_file_name: the file name has a colon: Spark";
        assert!(
            noted.len() == 1 && noted[0].contains(place),
            "{keys}: {noted:?}"
        );
        assert!(notices(&portable, keys).is_empty(), "{keys}");
    }
    // The service's own name, in its own folders.
    for keys in ["log_format: CSV", "partition_period: HOUR"] {
        assert!(notices(COLONS, keys).is_empty(), "{keys}");
    }
}
