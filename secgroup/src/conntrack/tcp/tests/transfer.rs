//! Transfers between a small sender and a small receiver over a link that loses and reorders, on
//! either side of the switch: not one segment may be invalid.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A small generator, so that a failing seed replays.
struct Chance(u64);

impl Chance {
    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % limit
    }

    fn loses(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Takes the next segment, or one of the `reorder` that follow it.
    fn overtake(&mut self, queue: &mut Vec<Tcp>, reorder: u32) -> Option<Tcp> {
        let choice = (queue.len() as u32).min(1 + reorder);
        (choice > 0).then(|| queue.remove(self.below(choice) as usize))
    }
}

/// Most frames under way, so that a lost one does not cost the test thousands.
const IN_FLIGHT: usize = 200;

#[derive(Debug, Clone)]
struct Link {
    /// Lost before or behind the switch, percent each.
    loss: u32,
    /// How many segments may overtake one another.
    reorder: u32,
    scale: u8,
    /// Most payload in one frame.
    frame: u32,
    /// Initial sequence number.
    start: u32,
    seed: u64,
}

/// The receiver: how much arrived in order, and the pieces beyond, each from its start to its end.
/// Bytes are counted from `first`, the first sequence number of the data.
#[derive(Default)]
struct Receiver {
    first: u32,
    next: u32,
    pieces: BTreeMap<u32, u32>,
}

impl Receiver {
    fn take(&mut self, tcp: &Tcp) {
        let from = tcp.seq.wrapping_sub(self.first);
        let end = self.pieces.entry(from).or_default();
        *end = (*end).max(from + tcp.payload_len);
        while let Some(piece) = self.pieces.first_entry().filter(|p| *p.key() <= self.next) {
            self.next = self.next.max(piece.remove());
        }
    }

    fn ack(&self, window: u16, of_receiver: u32) -> Tcp {
        let absolute = |offset: u32| self.first.wrapping_add(offset);
        let sack = self.pieces.last_key_value().map(|(_, end)| absolute(*end));
        Tcp {
            window,
            sack,
            ..seg(ACK, of_receiver, absolute(self.next))
        }
    }
}

/// The sender: bytes acknowledged, sent, and allowed to be under way.
struct Sender {
    acked: u32,
    next: u32,
    granted: u32,
}

/// A transfer over a link, with the switch in the middle of it.
struct Transfer {
    link: Link,
    chance: Chance,
    total: u32,
    /// First sequence number of each side's data.
    first: [u32; 2],
    sender: Sender,
    receiver: Receiver,
    /// What is under way, in either direction.
    data: Vec<Tcp>,
    acks: Vec<Tcp>,
    flow: Flow,
}

impl Transfer {
    fn new(link: Link, total: u32) -> Self {
        let (start, other) = (link.start, link.start.wrapping_mul(31).wrapping_add(7));
        let first = [start.wrapping_add(1), other.wrapping_add(1)];
        let offering = |tcp| Tcp {
            window_scale: Some(link.scale),
            window: 65_535,
            ..tcp
        };
        let mut flow = Flow::open(offering(seg(SYN, start, 0)));
        flow.step(Way::Reply, offering(seg(SYN | ACK, other, first[0])))
            .unwrap();
        flow.step(Way::Original, seg(ACK, first[0], first[1]))
            .unwrap();
        Self {
            chance: Chance(link.seed | 1),
            link,
            total,
            first,
            sender: Sender {
                acked: 0,
                next: 0,
                granted: 60_000,
            },
            receiver: Receiver {
                first: first[0],
                ..Receiver::default()
            },
            data: Vec::new(),
            acks: Vec::new(),
            flow,
        }
    }

    /// Sends everything; how much was acknowledged in the end.
    fn run(mut self) -> u32 {
        while self.sender.acked < self.total {
            let is_stalled = !self.send();
            if is_stalled && self.data.is_empty() && self.acks.is_empty() {
                // Nothing is under way: what was lost is sent again.
                self.sender.next = self.sender.acked;
            }
            if is_stalled || self.chance.below(2) == 0 {
                self.carry_data();
            }
            if is_stalled || self.chance.below(2) == 0 {
                self.carry_ack();
            }
        }
        assert_eq!(self.flow.state, State::Established);
        self.sender.acked
    }

    /// Sends one frame if the window allows it.
    fn send(&mut self) -> bool {
        let Sender {
            acked,
            next,
            granted,
        } = self.sender;
        let limit = self.total.min(acked.saturating_add(granted));
        if next >= limit || self.data.len() >= IN_FLIGHT {
            return false;
        }
        let payload_len = (1 + self.chance.below(self.link.frame)).min(limit - next);
        let frame = seg(ACK, self.first[0].wrapping_add(next), self.first[1]);
        self.data.push(Tcp {
            payload_len,
            ..frame
        });
        self.sender.next += payload_len;
        true
    }

    fn carry_data(&mut self) {
        let Some(tcp) = self.chance.overtake(&mut self.data, self.link.reorder) else {
            return;
        };
        if self.chance.loses(self.link.loss) {
            return;
        }
        self.flow.step(Way::Original, tcp).unwrap();
        if !self.chance.loses(self.link.loss) {
            self.receiver.take(&tcp);
        }
        let window = 65_535 - self.chance.below(100) as u16;
        self.acks.push(self.receiver.ack(window, self.first[1]));
    }

    fn carry_ack(&mut self) {
        let Some(tcp) = self.chance.overtake(&mut self.acks, self.link.reorder) else {
            return;
        };
        if self.chance.loses(self.link.loss) {
            return;
        }
        self.flow.step(Way::Reply, tcp).unwrap();
        if !self.chance.loses(self.link.loss) {
            let sender = &mut self.sender;
            sender.acked = sender.acked.max(tcp.ack.wrapping_sub(self.first[0]));
            sender.next = sender.next.max(sender.acked);
            sender.granted = u32::from(tcp.window) << self.link.scale;
        }
    }
}

fn transfer(link: &Link, total: u32) -> u32 {
    Transfer::new(link.clone(), total).run()
}

#[test]
fn a_gigabyte_at_the_largest_scale_has_no_invalid_segment() {
    let link = Link {
        loss: 0,
        reorder: 0,
        scale: 14,
        frame: 65_000,
        start: 77,
        seed: 5,
    };
    assert_eq!(transfer(&link, 1 << 30), 1 << 30);
}

#[test]
fn ten_megabytes_across_the_wrap_have_no_invalid_segment() {
    let start = u32::MAX - 999;
    let link = Link {
        loss: 2,
        reorder: 5,
        scale: 7,
        frame: 1448,
        start,
        seed: 5,
    };
    assert_eq!(transfer(&link, 10_000_000), 10_000_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn loss_and_reordering_make_no_segment_invalid(
        loss in 0_u32..8,
        reorder in 0_u32..50,
        scale in 0_u8..=14,
        frame in prop_oneof![Just(1448_u32), 1_u32..65_000],
        start: u32,
        seed: u64,
    ) {
        let link = Link { loss, reorder, scale, frame, start, seed };
        let total = frame * 400;
        prop_assert_eq!(transfer(&link, total), total);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is sent, nothing overflows and the scales stay in range.
    #[test]
    fn no_sequence_of_segments_does_harm(
        start: u32,
        steps in prop::collection::vec(
            (any::<bool>(), any::<u8>(), -3000_i32..3000, any::<(u16, Option<u8>, Option<u32>)>(), any::<u32>()),
            0..60,
        ),
    ) {
        let mut flow = Flow::open(seg(SYN, start, 0));
        for (is_reply, flags, offset, (window, window_scale, sack), payload_len) in steps {
            let way = if is_reply { Way::Reply } else { Way::Original };
            let near = start.wrapping_add_signed(offset);
            // Legal flags half of the time, and numbers near those of the connection.
            let flags = if flags & 0x40 == 0 { flags } else { [SYN, SYN | ACK, ACK, FIN | ACK, RST][usize::from(flags % 5)] };
            let payload_len = payload_len >> (flags & 31);
            let tcp = Tcp { window, window_scale, sack, payload_len, ..seg(flags, near, near) };
            let before = (flow.state, flow.window);
            match flow.step(way, tcp) {
                Ok(_) => prop_assert!(flow.window.peers.iter().all(|peer| peer.scale & 0x0f <= 14)),
                Err(_) => prop_assert_eq!(before, (flow.state, flow.window)),
            }
        }
    }
}
