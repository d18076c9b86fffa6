//! The author of stories: chance, led to where things happen. Few addresses and ports, conversations that
//! go on, and changes that meet them.

mod changes;
mod noise;
mod segments;

use crate::dice::Dice;
use crate::packets::{Flaw, Packet};
use crate::story::{Event, Story};
use crate::world::{Actor, CAST, SHARED_MAC};
use packet::{Icmp, IpSpec, L4, Mac, PacketSpec, SpecBody, protocol};
use segments::Script;
use std::net::IpAddr;

/// Lines of a story.
const LINES: usize = 400;
/// Conversations that go on at a time.
const TALKS: usize = 5;
/// How long nothing may happen, milliseconds: around every timeout.
const PAUSES_MS: &[u64] = &[
    1,
    1,
    1,
    500,
    999,
    1_000,
    1_999,
    2_000,
    2_001,
    9_999,
    10_000,
    15_000,
    29_999,
    30_000,
    59_999,
    60_000,
    119_999,
    120_000,
    179_999,
    180_000,
    300_000,
    300_001,
    600_000,
    432_000_000,
];

/// One end of a conversation.
#[derive(Debug, Clone, Copy)]
struct Party {
    actor: &'static Actor,
    mac: Mac,
    ip: IpAddr,
    l4: u16,
}

/// Two who speak with each other.
#[derive(Debug, Clone)]
struct Talk {
    parties: [Party; 2],
    what: What,
    /// What was said last, newest last.
    said: Vec<(usize, PacketSpec)>,
    /// How often in a row the last was said again.
    repeats: usize,
}

#[derive(Debug, Clone)]
enum What {
    Tcp(Script),
    Udp,
    /// ICMP or ICMPv6: type of the request and the identifier.
    Query(u8, u16),
    /// UDP-Lite: ports and nothing else that is known.
    Lite,
    Other(u8),
}

/// Who writes.
#[derive(Debug)]
struct Author {
    dice: Dice,
    talks: Vec<Talk>,
}

/// Writes the story of a seed.
pub(crate) fn write(seed: u64) -> Story {
    let mut author = Author {
        dice: Dice(seed ^ 0x5eed_0f57_0a7e_11e5),
        talks: Vec::new(),
    };
    let mut events: Vec<Event> = changes::opening(&mut author.dice)
        .into_iter()
        .map(Event::Change)
        .collect();
    while events.len() < LINES {
        let line = author.line();
        events.push(line);
    }
    Story { seed, events }
}

impl Author {
    fn line(&mut self) -> Event {
        let dice = &mut self.dice;
        match dice.below(200) {
            0..=7 => Event::Change(changes::change(dice)),
            8..=19 => Event::Wait {
                ms: if dice.once_in(3) {
                    *dice.pick(PAUSES_MS)
                } else {
                    1 + dice.below(3_000) as u64
                },
                sweep: dice.once_in(3),
            },
            20..=25 => Event::Look,
            26 if dice.once_in(4) => Event::Clock {
                seconds: *dice.pick(&[-3_600, -61, -2, -1, 1, 59, 3_600]),
            },
            27 if dice.once_in(2) => Event::Link {
                port: dice.pick(CAST).name.to_owned(),
                up: !dice.once_in(3),
            },
            28..=47 => {
                let (from, packet) = noise::packet(dice);
                sent(from, packet)
            }
            _ => self.talk_on(),
        }
    }

    /// The next packet of a conversation, or of a new one.
    fn talk_on(&mut self) -> Event {
        let dice = &mut self.dice;
        if self.talks.len() < TALKS || dice.once_in(40) {
            let talk = Talk::begin(dice);
            if self.talks.len() < TALKS {
                self.talks.push(talk);
            } else {
                let at = dice.below(TALKS);
                self.talks[at] = talk;
            }
        }
        let at = dice.below(self.talks.len());
        let talk = &mut self.talks[at];
        let error = if dice.once_in(14) {
            talk.error(dice)
        } else {
            None
        };
        let (from, mut packet) = match error {
            Some(error) => error,
            None => {
                let (party, spec) = talk.next(dice);
                talk.said.push((party, spec));
                if talk.said.len() > 3 {
                    talk.said.remove(0);
                }
                (talk.parties[party].actor, Packet::of(spec))
            }
        };
        disturb(dice, &mut packet);
        sent(from, packet)
    }
}

fn sent(from: &Actor, packet: Packet) -> Event {
    Event::Send {
        from: from.name.to_owned(),
        packet: Box::new(packet),
    }
}

/// Now and then something is wrong with a packet.
fn disturb(dice: &mut Dice, packet: &mut Packet) {
    let SpecBody::Ip(ip) = &mut packet.spec.body else {
        return;
    };
    match dice.below(300) {
        0 if has_checksum(&ip.l4) => packet.flaw = Some(Flaw::Checksum),
        1 if ip.len > 0 && packet.about.is_none() => packet.flaw = Some(Flaw::Cut),
        2 => {
            packet.spec.src_mac =
                Some(*dice.pick(&[SHARED_MAC, Mac([2, 0, 0, 0, 0, 0x99]), Mac::BROADCAST]));
        }
        3 => ip.src = another(dice, ip.src),
        4 => packet.spec.dst_mac = Some(noise::mac(dice)),
        5 => packet.spec.vlan = Some(*dice.pick(&[0, 0, 5])),
        6 => packet.spec.dst_mac = packet.spec.src_mac,
        7 => ip.dst = another(dice, ip.dst),
        8 if packet.about.is_none() && packet.gso.is_none() => {
            ip.len = *dice.pick(&[0, 1_452, 1_460, 1_480]);
        }
        9 => match &mut ip.l4 {
            L4::Tcp(tcp) => tcp.dst_port = 0,
            L4::Udp { src_port, .. } => *src_port = 0,
            _ => {}
        },
        10..=12 if matches!(ip.l4, L4::Tcp(_)) && packet.flaw.is_none() => {
            ip.len = 1_501 + dice.below(2_000) as u16;
            packet.gso = Some(*dice.pick(&[536, 1_400, 1_448, 1_460]));
        }
        _ => {}
    }
}

/// Whether the switch verifies a checksum of it.
const fn has_checksum(l4: &L4) -> bool {
    matches!(l4, L4::Tcp(_) | L4::Udp { .. } | L4::Icmp(_))
}

/// Another address of the family.
fn another(dice: &mut Dice, than: IpAddr) -> IpAddr {
    let of = dice.pick(CAST);
    match than {
        IpAddr::V4(_) => *dice.pick(&[
            of.v4(),
            [10, 0, 0, 50].into(),
            [198, 51, 100, 9].into(),
            [169, 254, 169, 254].into(),
        ]),
        IpAddr::V6(_) => *dice.pick(&[
            of.v6(),
            of.mac().link_local().into(),
            std::net::Ipv6Addr::UNSPECIFIED.into(),
        ]),
    }
}

impl Talk {
    fn begin(dice: &mut Dice) -> Self {
        let is_v4 = !dice.once_in(3);
        let first = noise::speaker(dice);
        let mut second = noise::speaker(dice);
        while second.name == first.name || !second.is_on_stage_with(first) {
            second = noise::speaker(dice);
        }
        let parties = [party(dice, first, is_v4), party(dice, second, is_v4)];
        let what = match dice.below(20) {
            0..=10 => What::Tcp(Script::new(dice)),
            11..=14 => What::Udp,
            15..=17 if is_v4 => {
                What::Query(*dice.pick(&[8, 8, 8, 13, 15, 17]), dice.below(3) as u16)
            }
            15..=17 => What::Query(128, dice.below(3) as u16),
            18 => What::Lite,
            _ => What::Other(*dice.pick(&[protocol::GRE, 112, 50])),
        };
        Self {
            parties,
            what,
            said: Vec::new(),
            repeats: 0,
        }
    }

    /// What is said next, and by whom.
    fn next(&mut self, dice: &mut Dice) -> (usize, PacketSpec) {
        // The same once more; who repeats is likely to go on.
        let patience = if self.repeats > 0 { 2 } else { 9 };
        if dice.once_in(patience)
            && let Some(again) = self.said.last()
        {
            self.repeats += 1;
            return *again;
        }
        self.repeats = 0;
        let [src, dst] = self.parties.map(|party| party.l4);
        let party = if self.said.is_empty() && !dice.once_in(5) {
            0
        } else {
            dice.below(2)
        };
        let (src, dst) = if party == 0 { (src, dst) } else { (dst, src) };
        let number = self.number();
        let (party, l4, len) = match &mut self.what {
            What::Tcp(script) => {
                let (party, mut tcp, len) = script.next(dice);
                (tcp.src_port, tcp.dst_port) = (self.parties[party].l4, self.parties[1 - party].l4);
                (party, L4::Tcp(tcp), len)
            }
            What::Udp => (
                party,
                L4::Udp {
                    src_port: src,
                    dst_port: dst,
                },
                dice.below(20) as u16,
            ),
            What::Query(kind, id) => {
                let answer = match *kind {
                    8 => 0,
                    kind => kind + 1,
                };
                // Now and then the wrong side answers, or the other one asks.
                let answers = (party == 1) != dice.once_in(12);
                let kind = if answers { answer } else { *kind };
                (
                    party,
                    L4::Icmp(Icmp {
                        kind,
                        code: 0,
                        id: *id,
                    }),
                    8,
                )
            }
            What::Lite => (
                party,
                L4::Ports {
                    src_port: src,
                    dst_port: dst,
                },
                4,
            ),
            What::Other(_) => (party, L4::Opaque, 16),
        };
        let [from, to] = [self.parties[party], self.parties[1 - party]];
        (
            party,
            spec((from.mac, to.mac), (from.ip, to.ip), number, l4, len),
        )
    }

    fn number(&self) -> u8 {
        match self.what {
            What::Tcp(_) => protocol::TCP,
            What::Udp => protocol::UDP,
            What::Query(..) if self.parties[0].ip.is_ipv4() => protocol::ICMP,
            What::Query(..) => protocol::ICMPV6,
            What::Lite => protocol::UDPLITE,
            What::Other(number) => number,
        }
    }

    /// An error about what was said last, from its receiver or from a router on the way.
    fn error(&self, dice: &mut Dice) -> Option<(&'static Actor, Packet)> {
        let (party, about) = *self.said.last()?;
        let SpecBody::Ip(quoted) = about.body else {
            return None;
        };
        let [to, from] = [self.parties[party], self.parties[1 - party]];
        let is_v4 = quoted.src.is_ipv4();
        let kind = *dice.pick(if is_v4 {
            &[3, 3, 4, 11, 12]
        } else {
            &[1, 2, 2, 3, 4]
        });
        let (header, number) = if is_v4 {
            (20, protocol::ICMP)
        } else {
            (40, protocol::ICMPV6)
        };
        let cut = header + *dice.pick(&[8_u16, 8, 8, 12, 28, 7, 0]);
        let l4 = L4::Icmp(Icmp {
            kind,
            code: dice.below(5) as u8,
            id: 0,
        });
        let router = if from.actor.is_guest() || dice.once_in(2) {
            from.ip
        } else {
            another(dice, from.ip)
        };
        let to_ip = if dice.once_in(12) {
            another(dice, to.ip)
        } else {
            quoted.src
        };
        let mut packet = Packet::of(spec((from.mac, to.mac), (router, to_ip), number, l4, 0));
        packet.about = Some((about, cut));
        Some((from.actor, packet))
    }
}

/// Somebody's end of a conversation: mostly with the own address and MAC.
fn party(dice: &mut Dice, actor: &'static Actor, is_v4: bool) -> Party {
    let own = if is_v4 { actor.v4() } else { actor.v6() };
    let (mac, ip) = match dice.below(24) {
        0 if is_v4 => (actor.mac(), [10, 0, 0, 50].into()),
        1 if is_v4 => (SHARED_MAC, [10, 0, 0, 50].into()),
        2 if !is_v4 => (actor.mac(), actor.mac().link_local().into()),
        3..=9 if !actor.is_guest() => (
            noise::mac_behind(dice, actor),
            noise::address_behind(dice, is_v4),
        ),
        _ => (actor.mac(), own),
    };
    Party {
        actor,
        mac,
        ip,
        l4: 1 + dice.below(4) as u16,
    }
}

/// An IP packet of a story.
fn spec(
    (src_mac, dst_mac): (Mac, Mac),
    (src, dst): (IpAddr, IpAddr),
    protocol: u8,
    l4: L4,
    len: u16,
) -> PacketSpec {
    PacketSpec {
        src_mac: Some(src_mac),
        dst_mac: Some(dst_mac),
        vlan: None,
        body: SpecBody::Ip(IpSpec {
            src,
            dst,
            protocol,
            ttl: 64,
            fragment: None,
            l4,
            len,
            target: None,
            link_layer: None,
        }),
    }
}
