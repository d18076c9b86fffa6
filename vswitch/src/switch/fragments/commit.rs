//! What a fragment leaves behind: a verdict for those that follow it, or itself until its first comes.
//!
//! A fragment that waits has arrived (`rx`) and is `held`. When its wait is over it arrives once more, by
//! the books: the first arrival is taken back, and the one packet path does the rest.

use super::super::step::{Fate, FragmentStep, Step, Upper};
use super::super::{Frame, Now, Outbox, Released, Switch};
use super::book::{Datagram, DatagramKey, Held, Limits, Waiting, is_live};
use super::pieces::{Piece, Pieces};
use packet::{Fragment, Reason, VNET_HDR_LEN};
use secgroup::PortId;

/// What a refused fragment costs a sweep, in visited slots of 20 to 30 ns.
const REFUSAL_COST: u32 = 16;

impl Switch {
    /// Remembers what a step decided about a fragment, and sets free what waited for it. `copy` is the
    /// receiver of one copy of a flood.
    #[cold]
    pub(in super::super) fn commit_fragment(
        &mut self,
        now: Now,
        rx: PortId,
        frame: &Frame<'_>,
        copy: Option<PortId>,
        step: &Step,
        out: &mut Outbox,
    ) {
        let Some((ip, fragment)) = frame.headers.ip().zip(fragment_of(frame)) else {
            return;
        };
        let receiver = match (step.fragment, step.fate) {
            (FragmentStep::Waits { receiver }, _) => receiver,
            (_, Fate::To(to)) => Some(to),
            _ => None,
        };
        let key = DatagramKey::new(receiver, copy.is_some(), ip, fragment);
        match step.fragment {
            FragmentStep::None | FragmentStep::Refused(_) => {}
            FragmentStep::First => {
                self.remember(now, rx, key, frame, step, out);
            }
            FragmentStep::Waits { .. } => self.hold(now, rx, key, frame),
            FragmentStep::Follows(_) => self.complete(rx, &key, Piece::of(fragment)),
            FragmentStep::Overlaps(upper) => self.spoil(now, rx, key, step, upper),
        }
    }

    /// The verdict of a first fragment, for those that follow and those that have waited.
    fn remember(
        &mut self,
        now: Now,
        rx: PortId,
        key: DatagramKey,
        frame: &Frame<'_>,
        step: &Step,
        out: &mut Outbox,
    ) {
        let (Some(ip), Some(fragment)) = (frame.headers.ip(), fragment_of(frame)) else {
            return;
        };
        let waiting = if step.egress.is_some() {
            self.take_waiting(now, rx, key)
        } else {
            self.like_its_flood(now, rx, key)
        };
        let mut pieces = Pieces::default();
        pieces.add(Piece::of(fragment));
        let datagram = Datagram {
            egress: step.egress,
            ingress: step.ingress,
            upper: Upper::of(ip),
            overlapped: false,
            deadline_ms: waiting.deadline_ms,
            pieces,
        };
        if let Some(sender) = self.port_mut(rx) {
            let limits = Limits::of(sender);
            sender.reassembly.remember(limits, key, datagram);
        }
        for whole in waiting.frames {
            self.release(now, rx, whole, out);
        }
    }

    /// What waits for a datagram's first fragment, taken out; nothing, with a whole time before it, where
    /// nothing does or its time was over.
    fn take_waiting(&mut self, now: Now, rx: PortId, key: DatagramKey) -> Waiting {
        let removed = self
            .port_mut(rx)
            .and_then(|sender| sender.reassembly.waiting.remove(&key));
        let over = match removed {
            Some(waiting) if is_live(waiting.deadline_ms, now.ms) => return waiting,
            over => over.unwrap_or_default(),
        };
        self.time_out(now, rx, key, over);
        Waiting::until(self.frag_deadline_ms(now))
    }

    /// For a copy, for which nothing waits: the time that its flood has.
    fn like_its_flood(&self, now: Now, rx: PortId, key: DatagramKey) -> Waiting {
        let sender = self.port(rx);
        let flood = sender.and_then(|sender| sender.reassembly.waiting(now.ms, &key.of_flood()));
        Waiting::until(
            flood.map_or_else(|| self.frag_deadline_ms(now), |waiting| waiting.deadline_ms),
        )
    }

    fn frag_deadline_ms(&self, now: Now) -> u32 {
        let timeout_ms = self.settings.timeouts.frag.saturating_mul(1000);
        now.ms.wrapping_add(timeout_ms)
    }

    /// A fragment arrives ahead of its first and is kept.
    fn hold(&mut self, now: Now, rx: PortId, key: DatagramKey, frame: &Frame<'_>) {
        let Some(fragment) = fragment_of(frame) else {
            return;
        };
        let mut waiting = self.take_waiting(now, rx, key);
        let whole = [frame.vnet.as_slice(), frame.bytes].concat();
        let len = whole.len();
        let Some(sender) = self.port_mut(rx) else {
            return;
        };
        sender.reassembly.held.add(len);
        sender.counters.rx += u64::from(frame.headers.wire.packets);
        sender.counters.rx_bytes += u64::from(frame.headers.wire.bytes);
        waiting.pieces.add(Piece::of(fragment));
        waiting.frames.push(whole.into_boxed_slice());
        sender.reassembly.waiting.insert(key, waiting);
        self.held.add(len);
    }

    /// A fragment found its place; a datagram that is whole is forgotten.
    fn complete(&mut self, rx: PortId, key: &DatagramKey, piece: Piece) {
        let Some(sender) = self.port_mut(rx) else {
            return;
        };
        let judged = &mut sender.reassembly.judged;
        let Some(datagram) = judged.get_mut(key) else {
            return;
        };
        datagram.pieces.add(piece);
        if datagram.pieces.is_whole() {
            judged.remove(key);
        }
    }

    /// A fragment overlaps: nothing more of its datagram passes, and what waited for it is refused.
    fn spoil(&mut self, now: Now, rx: PortId, key: DatagramKey, step: &Step, upper: Upper) {
        let judged = self
            .port_mut(rx)
            .and_then(|sender| sender.reassembly.judged.get_mut(&key));
        if let Some(datagram) = judged
            && is_live(datagram.deadline_ms, now.ms)
        {
            datagram.overlapped = true;
            return;
        }
        let waiting = self.take_waiting(now, rx, key);
        let datagram = Datagram {
            egress: step.egress,
            ingress: step.ingress,
            upper,
            overlapped: true,
            deadline_ms: waiting.deadline_ms,
            pieces: Pieces::default(),
        };
        if let Some(sender) = self.port_mut(rx) {
            let limits = Limits::of(sender);
            sender.reassembly.remember(limits, key, datagram);
        }
        for whole in waiting.frames {
            let fragment = FragmentStep::Refused(upper);
            self.refuse(now, rx, key, &whole, Reason::FragOverlap, fragment);
        }
    }

    /// The wait of a fragment is over: it arrives again, behind its first.
    fn release(&mut self, now: Now, rx: PortId, whole: Box<[u8]>, out: &mut Outbox) {
        let frame = read(&whole);
        self.take_back(rx, &frame);
        let from = out.receivers.len();
        self.forward(now, rx, &frame, out);
        let to = out.receivers.split_off(from);
        if !to.is_empty() {
            let packets = frame.headers.wire.packets;
            out.released.push(Released { whole, packets, to });
        }
    }

    /// The wait of a fragment was in vain.
    fn refuse(
        &mut self,
        now: Now,
        rx: PortId,
        key: DatagramKey,
        whole: &[u8],
        reason: Reason,
        fragment: FragmentStep,
    ) {
        let frame = read(whole);
        self.take_back(rx, &frame);
        let Some(sender) = self.port(rx) else { return };
        let receiver = key.receiver().and_then(|to| self.port(to));
        let mut step = Step::refused(sender, receiver, reason);
        step.fragment = fragment;
        if let Some(receiver) = receiver {
            step.fate = Fate::To(receiver.number());
        }
        self.commit(now, rx, &frame, &step, &mut Outbox::default());
    }

    /// As if a fragment that waits had not arrived yet.
    fn take_back(&mut self, rx: PortId, frame: &Frame<'_>) {
        let held = Held {
            fragments: 1,
            bytes: (VNET_HDR_LEN + frame.bytes.len()) as u32,
        };
        self.held.sub(held);
        if let Some(sender) = self.port_mut(rx) {
            sender.reassembly.held.sub(held);
            sender.counters.rx -= u64::from(frame.headers.wire.packets);
            sender.counters.rx_bytes -= u64::from(frame.headers.wire.bytes);
        }
    }

    fn time_out(&mut self, now: Now, rx: PortId, key: DatagramKey, waiting: Waiting) {
        for whole in waiting.frames {
            self.refuse(
                now,
                rx,
                key,
                &whole,
                Reason::FragTimeout,
                FragmentStep::None,
            );
        }
    }

    /// Looks whether the time of the datagram in a slot of a port's is over; what that cost, in visited
    /// slots.
    pub(in super::super) fn expire_datagram(&mut self, now: Now, rx: PortId, slot: u32) -> u32 {
        let Some(sender) = self.port_mut(rx) else {
            return 1;
        };
        let book = &mut sender.reassembly;
        let over = |deadline_ms| !is_live(deadline_ms, now.ms);
        let Some(slot) = slot.checked_sub(book.judged.slots()) else {
            if let Some(&(key, ref datagram)) = book.judged.at(slot)
                && over(datagram.deadline_ms)
            {
                book.judged.remove(&key);
            }
            return 1;
        };
        let expired = book.waiting.at(slot);
        let expired = expired.filter(|(_, waiting)| over(waiting.deadline_ms));
        let Some(key) = expired.map(|&(key, _)| key) else {
            return 1;
        };
        let waiting = book.waiting.remove(&key).unwrap_or_default();
        let refusals = waiting.frames.len() as u32;
        self.time_out(now, rx, key, waiting);
        1 + refusals * REFUSAL_COST
    }
}

fn fragment_of(frame: &Frame<'_>) -> Option<Fragment> {
    frame.headers.ip()?.fragment
}

/// Reads a frame that waited.
fn read(whole: &[u8]) -> Frame<'_> {
    whole
        .split_first_chunk()
        .and_then(|(vnet, bytes)| Frame::parse(vnet, bytes).ok())
        .expect("it was a frame when it came")
}
