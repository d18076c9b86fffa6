//! Ports by `io_uring`: one system call reads and writes the frames of many ports.

use super::share::{Slow, TimeShare};
use super::{Frame, Lease, PortGone, Ports, Sent};
use mio::{Events, Poll};
use packet::VNET_HDR_LEN;
use secgroup::PortId;
use std::{
    io, mem,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};
use tap::{Filled, Queue, Ring, vanished};

/// Errors in a row after which a port counts as gone, as with [`TapPort`](super::TapPort).
const RX_ERRORS_MAX: u32 = 64;

/// One submission in so many is timed.
const SAMPLE: u32 = 8;

/// Ports by `io_uring`.
#[derive(Debug)]
pub struct Uring {
    ring: Ring,
    /// The worker's waker; the ring watches it.
    poll: Poll,
    events: Events,
    /// By the ring's numbers.
    served: Vec<Option<Served>>,
    /// The ring's number by port number.
    places: Vec<Option<u16>>,
    /// Places that were sent to since the last flush.
    touched: Vec<u16>,
    unserved: Vec<(PortId, Sent)>,
    /// What the kernel said where no caller took it; the next flush has it.
    failed: Option<io::Error>,
    /// The place that is looked at next.
    looked_at: usize,
    /// Frames queued in the ring, and their bytes.
    queued: u32,
    queued_bytes: usize,
    /// How often the ring was submitted.
    settlements: u32,
}

#[derive(Debug)]
struct Served {
    number: PortId,
    name: String,
    sent: Sent,
    is_touched: bool,
    rx_errors: u32,
    share: TimeShare,
}

impl Uring {
    /// No ports yet. `poll` has the worker's waker. To be made on the thread that uses it.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn new(poll: Poll) -> io::Result<Self> {
        let mut ring = Ring::new()?;
        ring.watch(poll.as_raw_fd());
        Ok(Self {
            ring,
            poll,
            events: Events::with_capacity(1),
            served: Vec::new(),
            places: Vec::new(),
            touched: Vec::new(),
            unserved: Vec::new(),
            failed: None,
            looked_at: 0,
            queued: 0,
            queued_bytes: 0,
            settlements: 0,
        })
    }

    #[inline]
    fn place(&self, port: PortId) -> Option<u16> {
        self.places.get(usize::from(port.0)).copied().flatten()
    }

    /// Counts what has become of the frames that the ring has written; `took_long`: their receivers are
    /// to be watched.
    fn count_settled(&mut self, took_long: bool) {
        let Self {
            ring,
            served,
            touched,
            ..
        } = self;
        for written in ring.settled() {
            let served = served
                .get_mut(usize::from(written.queue))
                .and_then(Option::as_mut)
                .expect("what the ring writes to is served");
            if took_long {
                served.share.watch();
            }
            if served.count(written.mark, &written.result) {
                touched.push(written.queue);
            }
        }
    }

    /// Submits until nothing is under way. Once in a while that is timed: the writes run the stacks of
    /// their receivers meanwhile.
    fn settle(&mut self) -> io::Result<()> {
        let (writes, bytes) = (
            mem::take(&mut self.queued),
            mem::take(&mut self.queued_bytes),
        );
        self.settlements = self.settlements.wrapping_add(1);
        let start = (writes > 0 && self.settlements.is_multiple_of(SAMPLE)).then(Instant::now);
        self.ring.submit()?;
        let took = start.map(|start| start.elapsed() / writes);
        let is_long = took.is_some_and(|took| TimeShare::is_long(took, bytes / writes as usize));
        self.count_settled(is_long);
        self.failed.take().map_or(Ok(()), Err)
    }

    #[inline]
    fn served(&mut self, place: u16) -> &mut Served {
        let served = self.served.get_mut(usize::from(place));
        served.and_then(Option::as_mut).expect("a place is served")
    }

    /// Writes a frame by itself, behind what is queued: of writes that are handed over together, it is not
    /// known which took how long.
    #[cold]
    fn send_timed(&mut self, place: u16, lease: Lease, packets: u32) {
        self.settle_before();
        let Self { ring, served, .. } = self;
        let served = served[usize::from(place)].as_mut();
        let served = served.expect("a place is served");
        let bytes = ring.bytes(filled(lease));
        let write = || ring.queue(place).write(bytes);
        let result = served.share.write(bytes.len(), packets, write);
        if served.count(packets, &result) {
            self.touched.push(place);
        }
    }

    /// What is queued goes before a frame that is written by itself.
    fn settle_before(&mut self) {
        if let Err(error) = self.settle() {
            self.failed = Some(error);
        }
    }
}

impl Served {
    /// Counts a frame; whether it is the first since the last flush.
    #[inline]
    fn count(&mut self, packets: u32, result: &io::Result<()>) -> bool {
        self.sent.count(packets, result.is_ok());
        self.sent.gone |= result.as_ref().is_err_and(vanished);
        !mem::replace(&mut self.is_touched, true)
    }
}

impl Ports for Uring {
    const FLUSH_EACH_BATCH: bool = false;

    fn attach(&mut self, port: PortId, name: &str, queue: Queue) -> io::Result<()> {
        let place = self.ring.attach(queue)?;
        let index = usize::from(place);
        if self.served.len() <= index {
            self.served.resize_with(index + 1, || None);
        }
        self.served[index] = Some(Served {
            number: port,
            name: name.to_owned(),
            sent: Sent::default(),
            is_touched: false,
            rx_errors: 0,
            share: TimeShare::default(),
        });
        let index = usize::from(port.0);
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some(place);
        Ok(())
    }

    fn detach(&mut self, port: PortId) -> Option<Queue> {
        let place = self.places.get_mut(usize::from(port.0))?.take()?;
        self.served[usize::from(place)] = None;
        // Where it fails, its slots stay with the ring; nothing is sent to it any more.
        let failed = |error: &io::Error| tracing::warn!(%error, "a port's queue cannot be closed");
        self.ring.detach(place).inspect_err(failed).ok()
    }

    fn into_queues(mut self) -> Vec<Queue> {
        let ports = self.served.iter().flatten().map(|served| served.number);
        let ports: Vec<PortId> = ports.collect();
        let queues = ports.into_iter().filter_map(|port| self.detach(port));
        queues.collect()
    }

    #[inline]
    fn ready(&self) -> usize {
        self.ring.ready()
    }

    #[inline]
    fn next_ready(&mut self) -> Option<PortId> {
        let place = self.ring.next_ready()?;
        let served = self.served.get(usize::from(place))?;
        served.as_ref().map(|served| served.number)
    }

    fn read(
        &mut self,
        port: PortId,
        leases: &mut Vec<Lease>,
        most: usize,
    ) -> Result<bool, PortGone> {
        let Some(place) = self.place(port) else {
            return Ok(false);
        };
        let mut taken = 0;
        while taken < most {
            match self.ring.next(place) {
                Ok(Some(frame)) if (frame.len as usize) < VNET_HDR_LEN => {
                    self.ring.discard(frame);
                }
                Ok(Some(Filled { slot, len })) => {
                    taken += 1;
                    leases.push(Lease { slot, len });
                }
                Ok(None) => break,
                Err(error) => self.read_failed(place, &error)?,
            }
        }
        if taken > 0
            && let Some(served) = &mut self.served[usize::from(place)]
        {
            served.rx_errors = 0;
        }
        Ok(taken == most)
    }

    fn not_done(&mut self, port: PortId) {
        if let Some(place) = self.place(port) {
            self.ring.not_done(place);
        }
    }

    #[inline]
    fn get(&self, lease: Lease) -> (&[u8; VNET_HDR_LEN], &[u8]) {
        let bytes = self.ring.bytes(filled(lease));
        bytes
            .split_first_chunk()
            .expect("a lease holds at least a virtio header")
    }

    #[inline]
    fn send(&mut self, to: PortId, lease: Lease, packets: u32) {
        let Some(place) = self.place(to) else {
            return self.unserved.push((to, Sent::lost(packets)));
        };
        if !self.served(place).share.is_fast() {
            return self.send_timed(place, lease, packets);
        }
        self.queued += 1;
        self.queued_bytes += lease.len as usize;
        if let Err(error) = self.ring.write(place, filled(lease), packets) {
            self.failed = Some(error);
        }
    }

    fn send_bytes(&mut self, to: PortId, frame: Frame<'_>) {
        let Some(place) = self.place(to) else {
            return self.unserved.push((to, Sent::lost(frame.packets())));
        };
        self.settle_before();
        let Self { ring, served, .. } = self;
        let served = served[usize::from(place)].as_mut();
        let served = served.expect("a place is served");
        let (whole, packets) = (frame.whole(), frame.packets());
        let write = || ring.queue(place).write(whole);
        // Such frames alone decide when one of them is timed: those of a fast receiver's leases go together.
        let result = if served.share.is_fast() && served.share.is_untimed() {
            write()
        } else {
            served.share.write(whole.len(), packets, write)
        };
        if served.count(packets, &result) {
            self.touched.push(place);
        }
    }

    fn flush(&mut self, sent: &mut Vec<(PortId, Sent)>) -> io::Result<()> {
        sent.append(&mut self.unserved);
        self.settle()?;
        for place in self.touched.drain(..) {
            if let Some(served) = &mut self.served[usize::from(place)] {
                served.is_touched = false;
                let result = mem::take(&mut served.sent);
                sent.push((served.number, result));
                if result.gone {
                    self.ring.note_gone(place);
                }
            }
        }
        Ok(())
    }

    fn look_for_gone(&mut self, most: usize) {
        let places = super::in_turn(&mut self.looked_at, self.served.len(), most);
        let places: Vec<u16> = places
            .filter(|&place| self.served[place].is_some())
            .map(|place| place as u16)
            .collect();
        let queues = places.iter().map(|&place| self.ring.queue(place));
        // What cannot be looked at now is looked at the next time.
        let vanished = tap::find_vanished(queues).unwrap_or_default();
        for (place, _) in places.iter().zip(vanished).filter(|(_, gone)| *gone) {
            self.ring.note_gone(*place);
        }
    }

    fn take_slow(&mut self, slow: &mut Vec<(PortId, Slow)>) {
        let served = self.served.iter_mut().flatten();
        slow.extend(served.filter_map(|served| Some((served.number, served.share.take_slow()?))));
    }

    #[inline]
    fn give_back(&mut self, lease: Lease) {
        self.ring.give_back(filled(lease));
    }

    fn wait(&mut self, longest: Duration) -> io::Result<()> {
        if self.ring.ready() == 0 {
            self.ring.wait(longest)?;
        }
        if self.ring.fired() {
            // The waker has done what it is for; the next wait is to sleep again.
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    #[inline]
    fn stirs(&mut self) -> bool {
        self.ring.has_work()
    }
}

impl Uring {
    /// A read has ended; the ring begins it again where the device is there.
    #[cold]
    fn read_failed(&mut self, place: u16, error: &io::Error) -> Result<(), PortGone> {
        let served = self.served[usize::from(place)].as_mut();
        let served = served.expect("a place is served");
        served.rx_errors += 1;
        if !vanished(error) && served.rx_errors < RX_ERRORS_MAX {
            return Ok(());
        }
        Err(PortGone {
            port: served.name.clone(),
            cause: error.to_string(),
        })
    }
}

const fn filled(lease: Lease) -> Filled {
    Filled {
        slot: lease.slot,
        len: lease.len,
    }
}
