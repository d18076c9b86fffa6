//! The guests' interfaces follow the configuration, at the start and at every reload; what cannot be had is
//! told and does not keep the rest away.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]

use netns_tests::{
    Lab, Plan, eventually,
    rules::{any_in_v6, ping_in},
};
use serde_json::Value;
use tap::Links;

fn two_guests() -> Plan {
    let plan = Plan::new().group("ping", &[ping_in(), any_in_v6()]);
    plan.guest("a", &["out"]).guest("b", &["ping"])
}

/// What a port does without, as `show ports --json` has it.
fn missing(lab: &Lab, port: &str) -> Vec<Value> {
    let ports = lab.show("ports");
    let mut rows = ports.as_array().unwrap().iter();
    let row = rows.find(|row| row["name"] == port).unwrap();
    assert_eq!(row["up"], true);
    row["missing"].as_array().unwrap().clone()
}

#[test]
fn a_guest_whose_ipv6_is_off_has_its_ipv4_address_and_gets_the_other_when_it_is_on() {
    let mut lab = two_guests().prepare();
    let off = |value: &'static str| {
        move || {
            for of in ["all", "default"] {
                let file = format!("/proc/sys/net/ipv6/conf/{of}/disable_ipv6");
                std::fs::write(file, value).unwrap();
            }
        }
    };
    lab.guest("b").here(off("1"));
    lab.start_daemon();
    let (ip, ip6) = (lab.guest("b").ip(), lab.guest("b").port().ip6());
    assert!(lab.guest("a").pings(ip, 3, 56));
    let [lack] = &missing(&lab, "b")[..] else {
        panic!("{:?}", missing(&lab, "b"))
    };
    assert_eq!(lack["what"], format!("address {ip6}/64"));
    let why = lack["why"].as_str().unwrap();
    assert!(
        why.starts_with("IPv6 is disabled on interface `tap-b`"),
        "{why}"
    );
    assert!(missing(&lab, "a").is_empty());
    let log = lab.daemon().log();
    assert!(
        log.contains("port `b`: address") && log.contains("IPv6 is disabled"),
        "{log}"
    );
    let shown = lab.vswitch(&["show", "ports", "--socket", &socket(&lab)]);
    assert!(shown.stdout.contains("incomplete"), "{}", shown.stdout);
    assert!(shown.stderr.contains("port b: address"), "{}", shown.stderr);

    // A reload never calls done what is left behind, and does what it can.
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let said = lab.reload_text(&text);
    assert!(
        said.contains("WARN") && said.contains("except for 1 part"),
        "{said}"
    );
    lab.guest("b").here(off("0"));
    lab.reload(|plan| plan);
    assert!(missing(&lab, "b").is_empty());
    assert!(lab.guest("a").pings(ip6, 3, 56));
    let _ = lab.finish();
}

fn socket(lab: &Lab) -> String {
    lab.dir().join("control.sock").display().to_string()
}

#[test]
fn a_reload_changes_mac_mtu_and_addresses_of_a_guest_that_is_served() {
    let mut lab = two_guests().start();
    let (a, b) = lab.pair("a", "b");
    // Its neighbour knows the old MAC.
    assert!(a.pings(b.ip(), 1, 56));
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let (ip, mac) = (b.ip(), b.port().mac());
    let line = text.lines().find(|line| line.contains("name: b,")).unwrap();
    let changed = line
        .replace(&mac.to_string(), "fa:16:3e:00:00:cc")
        .replace("mtu: 1500", "mtu: 1400");
    let said = lab.reload_text(&text.replace(line, &changed));
    assert!(
        said.contains("INFO") && said.contains("changed=1"),
        "{said}"
    );
    let links = |lab: &Lab| Links::open(Some(lab.guest("b").netns())).unwrap();
    let link = links(&lab).get("tap-b").unwrap();
    assert_eq!(
        (link.mac.to_string().as_str(), link.mtu),
        ("fa:16:3e:00:00:cc", 1400)
    );
    // It announces its MAC: nothing is sent to the old one, which no port has any more.
    assert!(lab.guest("a").pings(ip, 1, 56));

    let moved = changed.replace(&ip.to_string(), "10.77.1.77");
    let said = lab.reload_text(&text.replace(line, &moved));
    assert!(
        said.contains("INFO") && said.contains("changed=1"),
        "{said}"
    );
    let has = |lab: &Lab, ip: &str| {
        let ip: std::net::IpAddr = ip.parse().unwrap();
        lab.guest("b")
            .here(|| std::net::UdpSocket::bind((ip, 0)).is_ok())
    };
    assert!(!has(&lab, &ip.to_string()) && has(&lab, "10.77.1.77"));
    let new: std::net::Ipv4Addr = "10.77.1.77".parse().unwrap();
    assert!(lab.guest("a").pings(new, 3, 56));
    lab.audit();
    let _ = lab.finish();
}

#[test]
fn reloads_that_follow_each_other_find_none_of_their_own_taps_in_use() {
    let mut lab = two_guests().start();
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let line = text.lines().find(|line| line.contains("name: b,")).unwrap();
    let without = text.replace(&format!("{line}\n"), "");
    // Another port on the same TAP, and the other segment: the TAP is opened anew each time.
    let renamed = text.replace(
        line,
        &line
            .replace("name: b,", "name: c,")
            .replace("-4000-", "-4001-"),
    );
    for _ in 0..5 {
        for text in [&without, &text, &renamed, &text] {
            let said = lab.reload_text(text);
            assert!(said.contains("INFO") && said.contains("reloaded"), "{said}");
        }
    }
    eventually("b answers", || {
        lab.guest("a").pings(lab.guest("b").ip(), 1, 56)
    });
    let _ = lab.finish();
}

#[test]
fn a_tap_that_waits_for_its_bridge_is_not_shown_as_complete() {
    let plan = two_guests().change("b", |port| port.at_home = true);
    let mut lab = plan.start();
    let [lack] = &missing(&lab, "b")[..] else {
        panic!("{:?}", missing(&lab, "b"))
    };
    let why = lack["why"].as_str().unwrap();
    assert!(why.contains("ip link set tap-b master"), "{why}");
    Links::open(Some(lab.guest("b").netns()))
        .unwrap()
        .set_up("tap-b", true)
        .unwrap();
    assert!(missing(&lab, "b").is_empty());
    lab.end();
}
