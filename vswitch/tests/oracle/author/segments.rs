//! TCP as two ends would speak it, and what stirs it up: retransmissions, resets in and out of the window,
//! stray SYNs, both opening at once, numbers that wrap.

use crate::dice::Dice;
use packet::{Tcp, tcp_flags as bit};

const SYN_ACK: u8 = bit::SYN | bit::ACK;
const FIN_ACK: u8 = bit::FIN | bit::ACK;

/// Where the two ends are.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// The next sequence number of each.
    next: [u32; 2],
    /// The shift that each offers.
    scale: [Option<u8>; 2],
    scene: Scene,
    /// Who closes first.
    closer: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Opening,
    Answering,
    Completing,
    /// Both have opened: whose SYN, SYN|ACK or ACK comes next.
    Both(u8),
    Open,
    /// The first FIN, its ACK, the second FIN, its ACK.
    Closing(u8),
    /// A stray SYN was sent; the other side answers.
    Stray,
    /// A SYN was answered by another number: the RST.
    Challenged(u32),
}

impl Script {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let mut script = Self {
            next: [0; 2],
            scale: [None; 2],
            scene: Scene::Opening,
            closer: 0,
        };
        script.begin(dice);
        // Some began before the switch did.
        if dice.once_in(8) {
            script.scene = Scene::Open;
        }
        script
    }

    fn begin(&mut self, dice: &mut Dice) {
        self.next = [0, 1].map(|_| {
            *dice.pick(&[
                0,
                1_000,
                70_000,
                0x7fff_ff00,
                0x8000_0000,
                0xffff_ff00,
                0xffff_ffff,
            ])
        });
        self.scale =
            [0, 1].map(|_| *dice.pick(&[None, Some(0), Some(7), Some(7), Some(14), Some(15)]));
        self.scene = Scene::Opening;
        self.closer = dice.below(2);
    }

    /// The next segment: who sends it, the header, bytes of payload.
    pub(super) fn next(&mut self, dice: &mut Dice) -> (usize, Tcp, u16) {
        if dice.once_in(7) {
            return self.stir(dice);
        }
        let (me, flags, len) = match self.scene {
            Scene::Opening => {
                self.scene = if dice.once_in(6) {
                    Scene::Both(0)
                } else {
                    Scene::Answering
                };
                (0, bit::SYN, 0)
            }
            Scene::Answering if dice.once_in(12) => {
                // It holds an older connection and says what it expects.
                let old = self.next[0].wrapping_add(500);
                self.scene = Scene::Challenged(old);
                let mut tcp = self.header(1, bit::ACK, dice);
                tcp.ack = old;
                return (1, tcp, 0);
            }
            Scene::Answering if dice.once_in(15) => {
                self.scene = Scene::Opening;
                (1, bit::RST | bit::ACK, 0)
            }
            Scene::Answering => {
                self.scene = Scene::Completing;
                (1, SYN_ACK, 0)
            }
            Scene::Completing => {
                self.scene = Scene::Open;
                (0, bit::ACK, 0)
            }
            Scene::Both(step) => {
                self.scene = if step < 3 {
                    Scene::Both(step + 1)
                } else {
                    Scene::Open
                };
                match step {
                    0 => (1, bit::SYN, 0),
                    // The SYNs were sent before: their numbers are one lower.
                    1 | 2 => {
                        let me = usize::from(step) - 1;
                        let mut tcp = self.header(me, SYN_ACK, dice);
                        tcp.seq = tcp.seq.wrapping_sub(1);
                        return (me, tcp, 0);
                    }
                    _ => (1, bit::ACK, 0),
                }
            }
            Scene::Challenged(seq) => {
                self.begin_again();
                let mut tcp = self.header(0, bit::RST, dice);
                tcp.seq = seq;
                return (0, tcp, 0);
            }
            Scene::Stray => {
                self.scene = Scene::Open;
                *dice.pick(&[
                    (1, bit::ACK, 0),
                    (1, SYN_ACK, 0),
                    (1, bit::RST | bit::ACK, 0),
                ])
            }
            Scene::Open if dice.once_in(7) => {
                self.scene = Scene::Closing(1);
                (self.closer, FIN_ACK, 0)
            }
            Scene::Open => (
                dice.below(2),
                bit::ACK | bit::PSH,
                *dice.pick(&[0, 0, 1, 100, 1_000]),
            ),
            Scene::Closing(step) => {
                self.scene = if step < 3 {
                    Scene::Closing(step + 1)
                } else {
                    Scene::Opening
                };
                match step {
                    1 => (1 - self.closer, bit::ACK, 0),
                    2 => (1 - self.closer, FIN_ACK, 0),
                    _ => {
                        let last = (self.closer, self.header(self.closer, bit::ACK, dice), 0);
                        if !dice.once_in(3) {
                            self.begin(dice);
                        }
                        return last;
                    }
                }
            }
        };
        let tcp = self.header(me, flags, dice);
        self.advance(me, flags, len);
        (me, tcp, len)
    }

    fn begin_again(&mut self) {
        self.scene = Scene::Opening;
    }

    fn advance(&mut self, me: usize, flags: u8, len: u16) {
        let counted = u32::from(flags & bit::SYN != 0) + u32::from(flags & bit::FIN != 0);
        self.next[me] = self.next[me].wrapping_add(u32::from(len) + counted);
    }

    fn header(&self, me: usize, flags: u8, dice: &mut Dice) -> Tcp {
        let has_ack = flags & bit::ACK != 0;
        let is_syn = flags & bit::SYN != 0;
        let ack = if has_ack { self.next[1 - me] } else { 0 };
        let has_sack = has_ack && !is_syn && dice.once_in(12);
        Tcp {
            src_port: 0,
            dst_port: 0,
            seq: self.next[me],
            ack: if has_sack {
                ack.wrapping_sub(*dice.pick(&[100, 1_000]))
            } else {
                ack
            },
            flags,
            window: *dice.pick(&[0, 1, 500, 8_192, 65_535, 65_535, 65_535]),
            payload_len: 0,
            window_scale: self.scale[me].filter(|_| is_syn),
            sack: has_sack.then_some(ack),
        }
    }

    /// Something that does not follow.
    fn stir(&mut self, dice: &mut Dice) -> (usize, Tcp, u16) {
        const DISTANCES: &[u32] = &[
            0,
            0,
            0,
            1,
            10,
            500,
            1_500,
            60_000,
            66_000,
            66_001,
            131_072,
            1 << 30,
            u32::MAX,
            u32::MAX - 9,
            u32::MAX - 500,
            u32::MAX - 66_000,
            u32::MAX - 200_000,
        ];
        let me = dice.below(2);
        let flags = *dice.pick(&[
            bit::RST,
            bit::RST,
            bit::RST | bit::ACK,
            bit::SYN,
            bit::SYN,
            SYN_ACK,
            bit::ACK,
            bit::ACK,
            bit::ACK | bit::URG,
            FIN_ACK,
            FIN_ACK,
            bit::FIN,
            0,
            bit::SYN | bit::FIN,
            bit::SYN | bit::RST,
            bit::SYN | bit::ECE | bit::CWR,
            bit::FIN | bit::PSH | bit::URG,
        ]);
        let mut tcp = self.header(me, flags, dice);
        tcp.seq = tcp.seq.wrapping_add(*dice.pick(DISTANCES));
        if flags & bit::ACK != 0 && dice.once_in(2) {
            tcp.ack = tcp.ack.wrapping_add(*dice.pick(DISTANCES));
        }
        if flags & bit::SYN != 0 {
            tcp.window_scale = *dice.pick(&[None, Some(2), Some(7)]);
        }
        if self.scene == Scene::Open && flags == bit::SYN {
            self.scene = Scene::Stray;
        }
        (me, tcp, *dice.pick(&[0, 0, 0, 10, 1_000]))
    }
}
