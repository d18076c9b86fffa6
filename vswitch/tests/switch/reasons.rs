//! The closed list of refusals: each is produced here by one packet, in order of the list.

use crate::laboratory::Lab;
use crate::setup::{NONE, OPEN, Setup};
use packet::Reason;

/// Senders and what they send.
type Packets = &'static [(&'static str, &'static str)];

/// A reason, who is refused, and the packets that lead there; the last one is refused.
const WAYS: &[(Reason, &str, Packets)] = &[
    (Reason::DefaultDeny, "C", &[("A", "udp A:1 > C:9")]),
    (Reason::CtInvalid, "A", &[("A", "tcp A:1 > B:9 syn,ack")]),
    (
        Reason::SpoofMac,
        "A",
        &[("A", "udp A:1 > B:9 from fa:16:3e:00:00:77")],
    ),
    (Reason::SpoofIp, "A", &[("A", "udp 10.0.0.99:1 > B:9")]),
    (
        Reason::SpoofArp,
        "A",
        &[("A", "arp who-has 10.0.0.11 tell 10.0.0.12")],
    ),
    (
        Reason::SpoofNd,
        "A",
        &[("A", "icmpv6 A6 > B6 neighbour-advertisement target=B6")],
    ),
    (
        Reason::RaGuard,
        "A",
        &[("A", "icmpv6 A.ll > ff02::1 router-advertisement")],
    ),
    (Reason::DhcpServer, "B", &[("B", "udp B:67 > A:68")]),
    (
        Reason::Malformed,
        "A",
        &[("A", "tcp A:1 > 255.255.255.255:9")],
    ),
    (Reason::Mtu, "B", &[("A", "udp A:1 > B:9 len=1473")]),
    (Reason::Ethertype, "A", &[("A", "eth 0x88cc len=46")]),
    (
        Reason::L2Reserved,
        "A",
        &[("A", "eth 0x0026 len=46 to 01:80:c2:00:00:00")],
    ),
    (Reason::Vlan, "A", &[("A", "udp A:1 > B:9 vlan=5")]),
    (Reason::FragTiny, "A", &[("A", "tcp A > B frag=5:8:16")]),
    (
        Reason::FragOverlap,
        "A",
        &[
            ("A", "udp A:1 > B:9 frag=5:0:24:+"),
            ("A", "udp A > B frag=5:16:24"),
        ],
    ),
    (
        Reason::FragOrder,
        "A",
        &[
            ("A", "udp A > B frag=5:8:24"),
            ("A", "udp A > B frag=5:8:24"),
        ],
    ),
];

#[test]
fn every_reason_is_counted_where_it_is_told() {
    let mut produced = Vec::new();
    for (reason, port, packets) in WAYS {
        let mut lab = Lab::new(Setup::of_b(OPEN));
        for (from, text) in *packets {
            lab.send(from, text);
        }
        assert_eq!(lab.refused(port, *reason), 1, "{reason}");
        produced.push(*reason);
    }

    let mut lab = Lab::new(Setup::of_b(OPEN));
    lab.send("A", "udp A:1 > B:9");
    lab.group("B", NONE);
    lab.send("A", "udp A:1 > B:9");
    assert_eq!(lab.refused("B", Reason::Revoked), 1);
    produced.push(Reason::Revoked);

    let mut lab = Lab::new(Setup::of_b(OPEN).port("A", |port| port.conntrack_limit = Some(0)));
    lab.send("A", "udp A:1 > B:9");
    assert_eq!(lab.refused("A", Reason::CtFull), 1);
    produced.push(Reason::CtFull);

    let mut lab = Lab::new(Setup::of_b(OPEN));
    for id in 0..=512 {
        lab.send("A", &format!("udp A > B frag={id}:24:8"));
    }
    assert_eq!(lab.refused("A", Reason::FragLimit), 1);
    produced.push(Reason::FragLimit);

    lab.tick(15_000);
    assert_eq!(lab.refused("A", Reason::FragTimeout), 512);
    produced.push(Reason::FragTimeout);

    for reason in Reason::ALL {
        assert!(produced.contains(reason), "{reason} is produced");
    }
}
