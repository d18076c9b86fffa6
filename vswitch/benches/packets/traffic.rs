//! Packets of a kind, without end. They are made of a flow's number alone, so that the memory that many
//! flows take is the switch's own.

use super::kinds::{Flows, Kind, Packet};
use super::lab::{Batch, FIRST_RULE, Family, Lab};
use super::template::{FIRST_SEQ, PAYLOAD, Step, Way, templates};
use packet::build::vnet_header;
use packet::{Offload, VNET_HDR_LEN};
use vswitch::switch::BATCH;

/// Data packets that [`Packet::TcpAck`] has to acknowledge.
const AHEAD: usize = 16_384;
/// Source ports from here on; so many of each address.
const FIRST_PORT: u16 = 1024;
const PORTS: u32 = 60_000;
/// Addresses of the sender whose flows are ever new.
const NEW_SPREAD: u32 = 20;

/// Where TCP and UDP have what is written into a packet, from their own start.
const SRC_PORT: usize = 0;
const DST_PORT: usize = 2;
const TCP_SEQ: usize = 4;
const TCP_ACK: usize = 8;

/// Which packet: the flow's number at its sender, and the number of the data packet.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    flow: u32,
    data: u32,
}

/// Frames of one port.
#[derive(Default)]
struct Queued {
    from: u16,
    to: u16,
    frames: Vec<Vec<u8>>,
}

pub(crate) struct Traffic {
    kind: Kind,
    senders: u32,
    /// Addresses in use of each sender.
    spread: u32,
    /// For each of them a packet to and one fro, whole but for ports and numbers.
    there: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
    /// Ready to be sent; the first [`Self::queued`] of them.
    queue: Vec<Queued>,
    queued: usize,
    vnet: [u8; VNET_HDR_LEN],
    /// Where TCP or UDP begin.
    upper: usize,
    /// How far TCP's connections have come.
    step: Step,
    random: u32,
    /// Flows so far, where each is new.
    opened: u32,
    /// Data packets so far, and how many of them are acknowledged.
    sent: u32,
    acknowledged: u32,
}

impl Traffic {
    /// Opens the connections, and gets ready to send.
    pub(crate) fn new(kind: Kind, lab: &mut Lab) -> Self {
        let senders = u32::from(kind.spec.ports) / 2;
        let spread = match kind.flows {
            _ if kind.spec.addresses > 1 => kind.spec.addresses.into(),
            Flows::Known(count) => count.div_ceil(senders * PORTS),
            Flows::New => NEW_SPREAD,
        };
        let there = templates(kind, senders, spread, Way::There, Step::Established);
        // As a guest's kernel sends it: the checksum is left to the device.
        let offload = Offload {
            needs_checksum: kind.packet != Packet::Arp,
            ..Offload::default()
        };
        let mut traffic = Self {
            kind,
            senders,
            spread,
            vnet: vnet_header(&there[0], offload),
            there,
            back: templates(kind, senders, spread, Way::Back, Step::Established),
            queue: Vec::new(),
            queued: 0,
            upper: match kind.family {
                Family::V4 => 34,
                Family::V6 => 54,
            },
            step: Step::Established,
            random: 0x9e37_79b9,
            opened: 0,
            sent: 0,
            acknowledged: 0,
        };
        if matches!(kind.flows, Flows::Known(_)) {
            traffic.open(lab);
        }
        traffic
    }

    fn open(&mut self, lab: &mut Lab) {
        match self.kind.packet {
            Packet::Refused | Packet::Arp => return,
            Packet::TcpData | Packet::TcpAck | Packet::TcpBoth => self.connect(lab),
            Packet::Udp => self.each_flow(lab),
        }
        if self.kind.packet == Packet::TcpAck {
            self.kind.packet = Packet::TcpData;
            self.prepare(AHEAD);
            self.send(lab, AHEAD);
            self.kind.packet = Packet::TcpAck;
        }
    }

    /// A handshake, and the receiver's first scaled window; for all connections a step at a time.
    fn connect(&mut self, lab: &mut Lab) {
        for (way, step) in [
            (Way::There, Step::Syn),
            (Way::Back, Step::SynAck),
            (Way::There, Step::Ack),
            (Way::Back, Step::Ack),
        ] {
            self.step = step;
            let mut others = templates(self.kind, self.senders, self.spread, way, step);
            std::mem::swap(self.templates(way), &mut others);
            self.once(lab, way);
            std::mem::swap(self.templates(way), &mut others);
        }
        self.step = Step::Established;
    }

    /// A packet each way of each flow.
    pub(crate) fn each_flow(&mut self, lab: &mut Lab) {
        self.once(lab, Way::There);
        self.once(lab, Way::Back);
    }

    /// A packet of each flow.
    fn once(&mut self, lab: &mut Lab, way: Way) {
        let each = match self.kind.flows {
            Flows::Known(count) => count / self.senders,
            Flows::New => 0,
        };
        for sender in 0..self.senders {
            for first in (0..each).step_by(BATCH) {
                let end = each.min(first + BATCH as u32);
                let flows = first..end;
                let places: Vec<_> = flows.map(|flow| Place { flow, data: 0 }).collect();
                self.enqueue(sender, &places, way);
                self.send(lab, BATCH);
            }
        }
    }

    /// Writes so many packets, rounded up to whole batches, each of one port.
    pub(crate) fn prepare(&mut self, packets: usize) {
        while self.queued * BATCH < packets {
            let (sender, places) = self.pick();
            match self.kind.packet {
                Packet::TcpAck => self.enqueue(sender, &places, Way::Back),
                Packet::TcpBoth => {
                    self.enqueue(sender, &places, Way::There);
                    self.enqueue(sender, &places, Way::Back);
                }
                _ => self.enqueue(sender, &places, Way::There),
            }
        }
    }

    /// Sends so many of the packets that are prepared, rounded up to whole batches, and forgets the others.
    pub(crate) fn send(&mut self, lab: &mut Lab, packets: usize) {
        let copies = match self.kind.packet {
            Packet::Refused => 0,
            Packet::Arp => usize::from(lab.ports) - 1,
            _ => 1,
        };
        let batches = packets.div_ceil(BATCH);
        for queued in self.queue[..self.queued].iter().take(batches) {
            lab.forward(&Batch {
                from: queued.from,
                to: queued.to,
                vnet: &self.vnet,
                frames: &queued.frames,
                copies,
            });
        }
        self.queued = 0;
    }

    /// A sender, and a batch of its packets.
    fn pick(&mut self) -> (u32, [Place; BATCH]) {
        let mut places = [Place::default(); BATCH];
        let sender = match self.kind.flows {
            Flows::Known(_) => self.below(self.senders),
            Flows::New => self.opened / BATCH as u32 % self.senders,
        };
        for place in &mut places {
            place.flow = match self.kind.flows {
                Flows::Known(count) => self.below(count / self.senders),
                Flows::New => {
                    self.opened += 1;
                    self.opened - 1
                }
            };
            place.data = if self.kind.packet == Packet::TcpAck {
                self.acknowledged = (self.acknowledged + 1).min(self.sent);
                self.acknowledged - 1
            } else {
                self.sent += 1;
                self.sent - 1
            };
        }
        (sender, places)
    }

    /// A random number below `end`. Multiply and shift instead of a remainder (Lemire).
    fn below(&mut self, end: u32) -> u32 {
        let random = self.random.wrapping_mul(1_664_525);
        self.random = random.wrapping_add(1_013_904_223);
        ((u64::from(self.random) * u64::from(end)) >> 32) as u32
    }

    fn enqueue(&mut self, sender: u32, places: &[Place], way: Way) {
        if self.queued == self.queue.len() {
            self.queue.push(Queued::default());
        }
        let mut queued = std::mem::take(&mut self.queue[self.queued]);
        let (even, odd) = (2 * sender as u16, 2 * sender as u16 + 1);
        (queued.from, queued.to) = match way {
            Way::There => (even, odd),
            Way::Back => (odd, even),
        };
        queued.frames.resize_with(places.len(), Vec::new);
        for (frame, place) in queued.frames.iter_mut().zip(places) {
            self.write(frame, sender, *place, way);
        }
        self.queue[self.queued] = queued;
        self.queued += 1;
    }

    /// One packet: the template of its sender's address, with ports and numbers.
    fn write(&self, frame: &mut Vec<u8>, sender: u32, place: Place, way: Way) {
        let template = sender * self.spread + place.flow % self.spread;
        let (templates, own, other) = match way {
            Way::There => (&self.there, SRC_PORT, DST_PORT),
            Way::Back => (&self.back, DST_PORT, SRC_PORT),
        };
        frame.clear();
        frame.extend_from_slice(&templates[template as usize]);
        if self.kind.packet == Packet::Arp {
            return;
        }
        let upper = &mut frame[self.upper..];
        let port = FIRST_PORT + (place.flow / self.spread % PORTS) as u16;
        upper[own..own + 2].copy_from_slice(&port.to_be_bytes());
        match self.kind.packet {
            Packet::Udp if self.kind.spec.rules > 0 => {
                let rule = FIRST_RULE + (place.flow % u32::from(self.kind.spec.rules)) as u16;
                upper[other..other + 2].copy_from_slice(&rule.to_be_bytes());
            }
            Packet::TcpData | Packet::TcpAck | Packet::TcpBoth
                if self.step == Step::Established =>
            {
                let (at, packets) = match way {
                    Way::There => (TCP_SEQ, place.data),
                    Way::Back => (TCP_ACK, place.data + 1),
                };
                let number = FIRST_SEQ + 1 + packets * PAYLOAD.len() as u32;
                upper[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            _ => {}
        }
    }

    fn templates(&mut self, way: Way) -> &mut Vec<Vec<u8>> {
        match way {
            Way::There => &mut self.there,
            Way::Back => &mut self.back,
        }
    }
}
