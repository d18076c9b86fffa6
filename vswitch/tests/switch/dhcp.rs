//! D: DHCP, metadata, the gateway.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
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
    let to_all = "A> essential, >B default_deny, >C unfiltered, >U unfiltered";
    let mut discover = lab.send("A", "udp 0.0.0.0:68 > 255.255.255.255:67 len=240");
    discover.fate = discover.fate.replace(">B rule", ">B default_deny");
    assert_eq!(discover.fate, to_all);
    lab.all_see(&[
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
