//! Packets that belong to no conversation: the link layer, who is who, and what is forged.

use super::spec;
use crate::dice::Dice;
use crate::packets::Packet;
use crate::world::{Actor, CAST, SHARED_MAC};
use packet::{Icmp, L4, Mac, PacketSpec, SpecBody, protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Somebody; mostly of the first segment.
pub(super) fn speaker(dice: &mut Dice) -> &'static Actor {
    let at = dice.weighed(&[(5, 0), (5, 1), (4, 2), (2, 3), (3, 4), (1, 6), (1, 7)]);
    &CAST[at]
}

/// A destination that somebody may or may not be behind.
pub(super) fn mac(dice: &mut Dice) -> Mac {
    let of = dice.pick(CAST).mac();
    *dice.pick(&[
        of,
        SHARED_MAC,
        Mac([2, 0, 0, 0, 0, 0x91]),
        Mac([2, 0, 0, 0, 0, 0x99]),
        Mac::BROADCAST,
        Mac([1, 0, 0x5e, 1, 1, 1]),
        Mac([0x33, 0x33, 0, 0, 0, 1]),
        Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e]),
    ])
}

/// A MAC behind a port that may have several: its own, or a further one.
pub(super) fn mac_behind(dice: &mut Dice, actor: &Actor) -> Mac {
    let further = 0x90 + dice.below(5) as u8;
    if dice.once_in(2) {
        actor.mac()
    } else {
        Mac([2, 0, 0, 0, 0, further])
    }
}

/// The address of a host somewhere else.
pub(super) fn address_behind(dice: &mut Dice, is_v4: bool) -> IpAddr {
    if is_v4 {
        *dice.pick(&[
            [198, 51, 100, 9].into(),
            [10, 0, 1, 13].into(),
            [10, 0, 0, 65].into(),
        ])
    } else {
        let text = *dice.pick(&["2001:db8:ffff::9", "2001:db8:1::13"]);
        text.parse().unwrap()
    }
}

/// A packet and who sends it.
pub(super) fn packet(dice: &mut Dice) -> (&'static Actor, Packet) {
    let from = speaker(dice);
    let spec = match dice.below(12) {
        0 | 1 => arp(dice, from),
        2..=4 => neighbour(dice, from),
        5 | 6 => dhcp(dice, from),
        7 | 8 => group(dice, from),
        9 => other(dice, from),
        10 => message(dice, from),
        _ => unicast(dice, from),
    };
    (from, Packet::of(spec))
}

fn own_mac(dice: &mut Dice, from: &Actor) -> Mac {
    if dice.once_in(10) {
        mac(dice)
    } else {
        from.mac()
    }
}

fn arp(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let v4 = |address| match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let (own, other) = (v4(from.v4()), v4(dice.pick(CAST).v4()));
    let forged = mac(dice);
    PacketSpec {
        src_mac: Some(own_mac(dice, from)),
        dst_mac: Some(if dice.once_in(3) {
            dice.pick(CAST).mac()
        } else {
            Mac::BROADCAST
        }),
        vlan: None,
        body: SpecBody::Arp {
            reverse: dice.once_in(10),
            operation: 1 + dice.below(2) as u16,
            sender_mac: if dice.once_in(6) {
                Some(forged)
            } else {
                Some(from.mac())
            },
            sender_ip: *dice.pick(&[
                own,
                own,
                own,
                other,
                Ipv4Addr::UNSPECIFIED,
                Ipv4Addr::new(10, 0, 0, 50),
            ]),
            target_ip: *dice.pick(&[other, other, own]),
        },
    }
}

fn neighbour(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let own: IpAddr = *dice.pick(&[from.v6(), from.mac().link_local().into()]);
    let other = dice.pick(CAST);
    let nameless = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let src = *dice.pick(&[own, own, own, nameless, other.v6()]);
    let kind = *dice.pick(&[
        133, 134, 135, 135, 135, 136, 136, 136, 137, 130, 131, 132, 143,
    ]);
    let to_group: IpAddr = "ff02::1".parse().unwrap();
    let (dst, dst_mac) = *dice.pick(&[
        (to_group, Mac([0x33, 0x33, 0, 0, 0, 1])),
        (to_group, Mac([0x33, 0x33, 0, 0, 0, 1])),
        (other.v6(), other.mac()),
    ]);
    let src_mac = own_mac(dice, from);
    let l4 = L4::Icmp(Icmp {
        kind,
        code: 0,
        id: 0,
    });
    let mut spec = spec((src_mac, dst_mac), (src, dst), protocol::ICMPV6, l4, 0);
    let SpecBody::Ip(ip) = &mut spec.body else {
        return spec;
    };
    let is_neighbour = (133..=137).contains(&kind);
    ip.ttl = if is_neighbour && !dice.once_in(15) {
        255
    } else {
        1
    };
    match kind {
        135 | 136 => {
            let target = *dice.pick(&[own, own, other.v6()]);
            ip.target = match target {
                IpAddr::V6(v6) => Some(v6),
                IpAddr::V4(_) => None,
            };
        }
        134 => ip.len = 8,
        137 => ip.len = 32,
        130 | 131 | 132 | 143 => ip.len = 16,
        _ => {}
    }
    if matches!(kind, 133 | 135 | 136) && dice.once_in(2) {
        ip.link_layer = Some(if dice.once_in(4) {
            other.mac()
        } else {
            src_mac
        });
    }
    spec
}

fn dhcp(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let to = dice.pick(CAST);
    let is_v4 = !dice.once_in(3);
    let (client, server) = if is_v4 { (68, 67) } else { (546, 547) };
    let (src_port, dst_port) = if dice.once_in(2) {
        (client, server)
    } else {
        (server, client)
    };
    let (src, dst, dst_mac): (IpAddr, IpAddr, Mac) = if is_v4 {
        let src = *dice.pick(&[from.v4(), [0; 4].into(), [10, 0, 0, 1].into()]);
        let dst = *dice.pick(&[[255; 4].into(), to.v4()]);
        (
            src,
            dst,
            if dst == to.v4() {
                to.mac()
            } else {
                Mac::BROADCAST
            },
        )
    } else {
        (
            from.mac().link_local().into(),
            to.mac().link_local().into(),
            to.mac(),
        )
    };
    let l4 = L4::Udp { src_port, dst_port };
    spec(
        (own_mac(dice, from), dst_mac),
        (src, dst),
        protocol::UDP,
        l4,
        8,
    )
}

/// Broadcast and multicast; now and then a unicast address behind a group MAC, or the other way round.
fn group(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let to = dice.pick(CAST);
    let (src, dst, dst_mac): (IpAddr, IpAddr, Mac) = match dice.below(8) {
        0 | 1 => (from.v4(), [255; 4].into(), Mac::BROADCAST),
        2 => (from.v4(), [10, 0, 0, 255].into(), Mac::BROADCAST),
        3 => (from.v4(), [239, 1, 1, 1].into(), Mac([1, 0, 0x5e, 1, 1, 1])),
        4 => (from.v4(), to.v4(), Mac::BROADCAST),
        5 => (from.v4(), [10, 0, 0, 255].into(), to.mac()),
        6 => (
            from.v6(),
            "ff02::fb".parse().unwrap(),
            Mac([0x33, 0x33, 0, 0, 0, 0xfb]),
        ),
        _ => ([239, 1, 1, 1].into(), to.v4(), to.mac()),
    };
    let (src_port, dst_port) = (1 + dice.below(4) as u16, 1 + dice.below(4) as u16);
    let l4 = L4::Udp { src_port, dst_port };
    spec(
        (own_mac(dice, from), dst_mac),
        (src, dst),
        protocol::UDP,
        l4,
        4,
    )
}

fn other(dice: &mut Dice, from: &Actor) -> PacketSpec {
    PacketSpec {
        src_mac: Some(own_mac(dice, from)),
        dst_mac: Some(mac(dice)),
        vlan: *dice.pick(&[None, None, Some(0), Some(7)]),
        body: SpecBody::Other {
            ethertype: *dice.pick(&[0x88cc, 0x88cc, 0x0026, 0x8847]),
            len: 46,
        },
    }
}

/// ICMP that asks nothing, or quotes nothing.
fn message(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let to = dice.pick(CAST);
    let is_v4 = !dice.once_in(3);
    let (ends, number) = if is_v4 {
        ((from.v4(), to.v4()), protocol::ICMP)
    } else {
        ((from.v6(), to.v6()), protocol::ICMPV6)
    };
    let kind = *dice.pick(if is_v4 {
        &[0, 5, 5, 9, 3, 40]
    } else {
        &[129, 138, 200, 1, 3, 100]
    });
    let l4 = L4::Icmp(Icmp {
        kind,
        code: dice.below(3) as u8,
        id: 0,
    });
    spec((from.mac(), to.mac()), ends, number, l4, 0)
}

/// To a MAC that may be behind any port, also behind the sender's.
fn unicast(dice: &mut Dice, from: &Actor) -> PacketSpec {
    let (to, dst_mac) = (dice.pick(CAST), mac(dice));
    let (src_port, dst_port) = (1 + dice.below(4) as u16, 1 + dice.below(4) as u16);
    let src_mac = if from.is_guest() {
        from.mac()
    } else {
        mac_behind(dice, from)
    };
    let l4 = L4::Udp { src_port, dst_port };
    let src = if from.is_guest() {
        from.v4()
    } else {
        address_behind(dice, true)
    };
    spec((src_mac, dst_mac), (src, to.v4()), protocol::UDP, l4, 4)
}
