//! Packets whole but for what tells flows apart.

use super::kinds::{Kind, Packet};
use super::lab::{DNS, HTTP, REFUSED, address, mac};
use packet::build::{TcpBuilder, frame};
use packet::{Mac, tcp_flags};

/// Of each data packet.
pub(crate) const PAYLOAD: [u8; 64] = [0; 64];
/// Sequence number of the sender's SYN.
pub(crate) const FIRST_SEQ: u32 = 1000;
/// Sequence number of the receiver's SYN.
const FIRST_SEQ_BACK: u32 = 5000;
/// Offered by both ends, in units of 2^14: a gigabyte, so that data may run ahead of its acknowledgements
/// for as long as it is measured.
const WINDOW: u16 = 65_535;
const WINDOW_SCALE: [u8; 3] = [3, 3, 14];

/// Seen from the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    There,
    Back,
}

/// How far a TCP connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Syn,
    SynAck,
    Ack,
    Established,
}

/// A packet of each of `spread` addresses of each sender, or to it.
pub(crate) fn templates(
    kind: Kind,
    senders: u32,
    spread: u32,
    way: Way,
    step: Step,
) -> Vec<Vec<u8>> {
    let places =
        (0..senders).flat_map(|sender| (0..spread).map(move |place| (2 * sender as u16, place)));
    places
        .map(|(port, place)| template(kind, port, place as u8, way, step))
        .collect()
}

fn template(kind: Kind, port: u16, place: u8, way: Way, step: Step) -> Vec<u8> {
    let sender = (mac(port), address(port, place, kind.family));
    let receiver = (mac(port + 1), address(port + 1, 0, kind.family));
    let (src, dst) = match way {
        Way::There => (sender, receiver),
        Way::Back => (receiver, sender),
    };
    let service = match kind.packet {
        Packet::Refused => REFUSED,
        Packet::Udp => DNS,
        _ => HTTP,
    };
    let (src_port, dst_port) = match way {
        Way::There => (0, service),
        Way::Back => (service, 0),
    };
    match (kind.packet, src.1, dst.1) {
        (Packet::Arp, std::net::IpAddr::V4(own), std::net::IpAddr::V4(other)) => {
            frame(src.0, Mac::BROADCAST).arp_request(own, other)
        }
        (Packet::Udp | Packet::Refused, own, other) => {
            let udp = frame(src.0, dst.0).ip(own, other).udp(src_port, dst_port);
            udp.payload(&PAYLOAD).build()
        }
        (_, own, other) => {
            let tcp = frame(src.0, dst.0).ip(own, other).tcp(src_port, dst_port);
            at_step(tcp.window(WINDOW), way, step).build()
        }
    }
}

fn at_step(tcp: TcpBuilder, way: Way, step: Step) -> TcpBuilder {
    let (seq, ack) = match way {
        Way::There => (FIRST_SEQ, FIRST_SEQ_BACK),
        Way::Back => (FIRST_SEQ_BACK, FIRST_SEQ),
    };
    match (step, way) {
        (Step::Syn, _) => tcp.seq(seq).flags(tcp_flags::SYN).option(&WINDOW_SCALE),
        (Step::SynAck, _) => tcp
            .seq(seq)
            .ack(ack + 1)
            .flags(tcp_flags::SYN | tcp_flags::ACK)
            .option(&WINDOW_SCALE),
        (Step::Established, Way::There) => {
            let flags = tcp_flags::PSH | tcp_flags::ACK;
            let tcp = tcp.seq(seq + 1).ack(ack + 1).flags(flags);
            tcp.payload(&PAYLOAD)
        }
        (Step::Ack | Step::Established, _) => tcp.seq(seq + 1).ack(ack + 1).flags(tcp_flags::ACK),
    }
}
