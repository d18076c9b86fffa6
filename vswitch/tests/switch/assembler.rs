//! F: what a receiver can make of the fragments that it gets, in whatever order they were sent.

use crate::laboratory::{Lab, Sent};
use crate::setup::{Setup, mac};
use packet::{Headers, Offload, Reason, build};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The frames that a port got of what was sent, in order.
pub(crate) fn arrived(sent: &[(Vec<u8>, Sent)], port: &str) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (frame, sent) in sent {
        frames.extend(
            sent.got
                .iter()
                .filter(|to| *to == port)
                .map(|_| frame.clone()),
        );
        for (frame, to) in &sent.freed {
            frames.extend(to.iter().filter(|to| *to == port).map(|_| frame.clone()));
        }
    }
    frames
}

pub(crate) fn send(lab: &mut Lab, from: &str, frames: &[Vec<u8>]) -> Vec<(Vec<u8>, Sent)> {
    let send = |frame: &Vec<u8>| (frame.clone(), lab.send_frame(from, frame));
    frames.iter().map(send).collect()
}

/// Puts datagrams together the obvious way, octet by octet. Nothing that a switch lets through may
/// overlap.
#[derive(Default)]
pub(crate) struct Assembler {
    octets: BTreeMap<u16, u8>,
    end: Option<u16>,
    whole: Vec<Vec<u8>>,
}

impl Assembler {
    pub(crate) fn of(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut assembler = Self::default();
        frames.iter().for_each(|frame| assembler.take(frame));
        assembler.whole
    }

    fn take(&mut self, frame: &[u8]) {
        let headers = Headers::parse(frame, Offload::default()).unwrap();
        let ip = headers.ip().unwrap();
        let fragment = ip.fragment.unwrap();
        for (place, &octet) in (fragment.offset..).zip(ip.upper(frame)) {
            assert_eq!(
                self.octets.insert(place, octet),
                None,
                "octet {place} twice"
            );
        }
        if !fragment.more {
            self.end = Some(fragment.offset + fragment.len);
        }
        if self
            .end
            .is_some_and(|end| self.octets.len() == usize::from(end))
        {
            let whole = std::mem::take(self);
            self.whole = whole.whole;
            self.whole.push(whole.octets.into_values().collect());
        }
    }
}

/// What an IP packet carries.
pub(crate) fn payload(frame: &[u8]) -> Vec<u8> {
    let headers = Headers::parse(frame, Offload::default()).unwrap();
    headers.ip().unwrap().upper(frame).to_vec()
}

#[derive(Debug, Clone)]
struct Shuffled {
    /// Lengths of the pieces, in units of eight octets.
    cuts: Vec<usize>,
    /// What makes the order.
    weights: Vec<u32>,
    /// Pieces that come twice, and how much later.
    again: Vec<(usize, usize)>,
    /// Eight octets that come twice by another cut: where, and when.
    over: Option<(usize, usize)>,
}

fn shuffled() -> impl Strategy<Value = Shuffled> {
    (2..10_usize).prop_flat_map(|count| {
        (
            prop::collection::vec(4..9_usize, count),
            prop::collection::vec(any::<u32>(), count),
            prop::collection::vec((0..count, 0..4_usize), 0..3),
            prop::option::of((1..count, 0..count)),
        )
            .prop_map(|(cuts, weights, again, over)| Shuffled {
                cuts,
                weights,
                again,
                over,
            })
    })
}

/// The pieces of a packet, cut at these lengths.
fn cut(whole: &[u8], cuts: &[usize], id: u32) -> Vec<Vec<u8>> {
    let ip = *Headers::parse(whole, Offload::default())
        .unwrap()
        .ip()
        .unwrap();
    let upper = ip.upper(whole);
    let mut from = 0;
    let piece = |(place, &cut): (usize, &usize)| {
        let to = if place + 1 == cuts.len() {
            upper.len()
        } else {
            from + cut * 8
        };
        let frame = build::frame(mac(10), mac(11)).ip(ip.src, ip.dst);
        let frame = frame.fragment(id, from as u16, place + 1 < cuts.len());
        let bytes = frame.upper(ip.protocol, &upper[from..to]);
        from = to;
        bytes
    };
    cuts.iter().enumerate().map(piece).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order and whatever comes twice: whole at the receiver, once; nothing of it where the
    /// rules refuse it; never whole where something overlaps.
    #[test]
    fn a_datagram_arrives_whole_or_not_at_all(order in shuffled(), six in any::<bool>(), allowed in any::<bool>()) {
        let mut lab = Lab::new(Setup::of_b("out, in udp 1000"));
        let (family, port) = (if six { "6" } else { "" }, if allowed { 1000 } else { 1001 });
        let units: usize = order.cuts.iter().sum();
        let len = units * 8 - 8 - 3;
        let whole = lab.frame("A", &format!("udp A{family}:7 > B{family}:{port} len={len}"));
        let pieces = cut(&whole, &order.cuts, 5);
        let mut places: Vec<usize> = (0..pieces.len()).collect();
        places.sort_by_key(|&place| order.weights[place]);
        let mut frames: Vec<Vec<u8>> = places.iter().map(|&place| pieces[place].clone()).collect();
        for &(piece, later) in &order.again {
            let at = frames.iter().position(|frame| *frame == pieces[piece]).unwrap();
            // Before the last one: after it the datagram is forgotten.
            let at = (at + 1 + later).min(frames.len() - 1);
            if frames[..at].contains(&pieces[piece]) {
                frames.insert(at, pieces[piece].clone());
            }
        }
        if let Some((piece, when)) = order.over {
            // The last unit of one piece and what follows it.
            let start: usize = order.cuts[..piece].iter().sum::<usize>() * 8 - 8;
            let ip = *Headers::parse(&whole, Offload::default()).unwrap().ip().unwrap();
            let over = build::frame(mac(10), mac(11)).ip(ip.src, ip.dst);
            let over = over.fragment(5, start as u16, true).upper(ip.protocol, &[0xee; 16]);
            frames.insert(when.min(frames.len() - 1), over);
        }
        let sent = send(&mut lab, "A", &frames);
        let arrived = arrived(&sent, "B");
        let expected = if allowed && order.over.is_none() { vec![payload(&whole)] } else { vec![] };
        prop_assert_eq!(Assembler::of(&arrived), expected);
        prop_assert!(allowed || arrived.is_empty());
        if order.over.is_none() {
            prop_assert_eq!(lab.waiting("A"), 0);
        } else {
            prop_assert!(lab.refused("A", Reason::FragOverlap) > 0);
        }
        lab.tick(15_000);
        prop_assert_eq!(lab.waiting("A"), 0);
        lab.rows();
    }
}
