//! D: DHCP, metadata, the gateway.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup, v4, v6};
use flowlog::NotRecorded;

/// D01, D02, D05, D08.
#[test]
fn a_guest_without_rules_gets_its_address_and_is_no_server() {
    let mut lab = Lab::new(
        Setup::new()
            .group("A", NONE)
            .group("B", OPEN)
            .unfiltered("C"),
    );
    lab.all_see(&[
        (
            "A",
            "udp 0.0.0.0:68 > 255.255.255.255:67 len=240",
            "A> essential, >B rule, >C unfiltered, >U unfiltered",
        ),
        (
            "U",
            "udp 10.0.0.1:67 > A:68 len=240",
            "U> unfiltered, >A essential",
        ),
        (
            "A",
            "udp A:68 > 10.0.0.1:67 len=240",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "icmpv6 A.ll > U.ll router-solicitation",
            "A> essential, >U unfiltered",
        ),
        (
            "A",
            "udp [fe80::f816:3eff:fe00:a]:546 > [ff02::1:2]:547 len=60",
            "A> essential, >B rule, >C unfiltered, >U unfiltered",
        ),
        // A guest answers no DHCP, whatever its rules.
        ("B", "udp B:67 > A:68 len=240", "B> dhcp_server"),
        (
            "B",
            "udp B:67 > 255.255.255.255:68 len=240",
            "B> dhcp_server",
        ),
        ("B", "udp B6:547 > A6:546 len=60", "B> dhcp_server"),
        // A port without port security is trusted to.
        (
            "C",
            "udp 10.0.0.12:67 > A:68 len=240",
            "C> unfiltered, >A essential",
        ),
        (
            "A",
            "arp who-has 10.0.0.1 tell 10.0.0.10 to U.mac",
            "A> essential, >U unfiltered",
        ),
        ("A", "udp A:1 > 10.0.0.1:9", "A> default_deny"),
    ]);
    // DHCP is recorded like other UDP (D09 is another service's filter).
    assert!(
        lab.rows()
            .iter()
            .any(|row| row.to_string() == ">A essential 17 10.0.0.1:67 > 10.0.0.10:68 1p 268b f0")
    );
}

/// What a host asks of all servers is no refusal at those who are none, nor offered to them.
#[test]
fn requests_of_clients_pass_by_guests_that_have_no_rule_for_them() {
    let setup = Setup::new().group("B", "out, in udp 67, in6 udp 547");
    let mut lab = Lab::new(setup);
    let to_b = "A> essential, >B rule, >U unfiltered";
    lab.all_see(&[
        ("A", "udp 0.0.0.0:68 > 255.255.255.255:67 len=240", to_b),
        ("A", "udp A:68 > 255.255.255.255:67 len=240", to_b),
        (
            "A",
            "udp [fe80::f816:3eff:fe00:a]:546 > [ff02::1:2]:547 len=60",
            to_b,
        ),
        // The host behind the uplink asks as well.
        (
            "U",
            "udp 0.0.0.0:68 > 255.255.255.255:67 len=240",
            "U> unfiltered, >B rule",
        ),
        // To one of them alone it is a packet like any other, and so is other broadcast.
        (
            "A",
            "udp A:68 > C:67 len=240",
            "A> essential, >C default_deny",
        ),
        (
            "A",
            "udp A:68 > 255.255.255.255:5000",
            "A> rule, >B default_deny, >C default_deny, >U unfiltered",
        ),
    ]);
    let of_c = lab.of("C");
    assert_eq!(of_c.offered, 2);
    lab.logs("A> essential 3, A> rule 1, >B rule 3, >B default_deny 1, >C default_deny 2, >U unfiltered 3, U> unfiltered 1");
}

/// A renewal comes from a UDP socket, whose checksum the device is to finish; and a relay's requests and its
/// server's answers go from 67 to 67, which is a connection like any other.
#[test]
fn renewals_with_partial_checksums_and_relayed_messages_pass() {
    let setup = Setup::new().group("B", "out, in udp 67");
    let mut lab = Lab::new(setup.port("B", |port| port.spec.dhcp_servers = vec![v4(11)]));
    let partial = packet::Offload {
        needs_checksum: true,
        ..packet::Offload::default()
    };
    for (from, text, fate) in [
        ("A", "udp A:68 > B:67 len=240", "A> essential, >B rule"),
        ("B", "udp B:67 > A:68 len=240", "B> rule, >A dhcp_server"),
        ("A", "udp A:67 > B:67 len=240", "A> rule, >B rule"),
        ("B", "udp B:67 > A:67 len=240", "B> reply, >A reply"),
        ("U", "udp X:67 > B:67 len=240", "U> unfiltered, >B rule"),
        ("B", "udp B:67 > X:67 len=240", "B> reply, >U unfiltered"),
    ] {
        let mut frame = lab.frame(from, text);
        frame[40..42].copy_from_slice(&[0x12, 0x34]);
        assert_eq!(lab.send_offload(from, partial, &frame).fate, fate, "{text}");
    }
    // What holds for the subnet holds at every port of it.
    lab.reload(|setup| setup.port("A", |port| port.spec.dhcp_servers = vec![v4(11)]));
    lab.sees("B", "udp B:67 > A:68 len=240", "B> rule, >A essential");
}

#[test]
fn a_declared_dhcpv6_server_answers_from_its_link_local_address() {
    let declared = |port: &mut vswitch::switch::PortConfig| port.spec.dhcp_servers = vec![v6(11)];
    let setup = Setup::new().group("A", NONE).group("C", OPEN);
    let setup = ["A", "B", "C"]
        .into_iter()
        .fold(setup, |setup, name| setup.port(name, declared));
    let mut lab = Lab::new(setup);
    let answer = |host: &str| {
        format!(
            "udp [fe80::f816:3eff:fe00:{host}]:547 > [fe80::f816:3eff:fe00:a]:546 len=60 to fa:16:3e:00:00:0a"
        )
    };
    lab.sees("B", &answer("b"), "B> rule, >A essential");
    lab.sees("C", &answer("c"), "C> dhcp_server");
}

/// D06.
#[test]
fn metadata_is_ruled_like_anything_else_and_not_recorded() {
    let rules = "out4 tcp to 169.254.169.254, out udp 67, out icmp";
    let mut lab = Lab::new(Setup::new().group("A", rules).group("B", rules));
    lab.sees(
        "A",
        "tcp A:1 > 169.254.169.254:80",
        "A> rule, >U unfiltered",
    );
    lab.sees(
        "U",
        "tcp 169.254.169.254:80 > A:1 syn,ack ack=1",
        "U> unfiltered, >A reply",
    );
    lab.sees(
        "A",
        "icmp A > B echo-request id=1",
        "A> rule, >B default_deny",
    );
    let with_self = format!("{rules}, in from group S");
    lab.reload(|setup| {
        setup
            .group("S", &with_self)
            .groups_of("A", &["S"])
            .groups_of("B", &["S"])
    });
    lab.sees("A", "icmp A > B echo-request id=1", "A> rule, >B rule");
    assert_eq!(lab.not_recorded("A", NotRecorded::Metadata), 2);
    lab.logs("A> rule 2, >B default_deny 1, >B rule 1");
}
