//! A capture's frames in order of time.
//!
//! A device with several queues, and a capture of several devices, give frames out of order; a reply
//! then stands before what it answers. Frames wait until [`WAITING_BYTES_MAX`] of them do, and the
//! earliest goes first: a capture below that size is sorted whole, and of a greater one the frames that
//! are later than the window reaches are counted.

use super::{Captured, PcapError};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bytes of frames that wait at most, of all captures that are read together.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// What a frame takes besides its bytes.
const FRAME_OVERHEAD: usize = 96;

/// See [`sorted`].
#[derive(Debug)]
pub struct Sorted<I> {
    capture: I,
    has_ended: bool,
    waiting: BinaryHeap<Reverse<Waiting>>,
    waiting_bytes: usize,
    waiting_bytes_max: usize,
    /// Frames read.
    frames: u64,
    /// Time of the frame that went last.
    last_ns: u64,
    late: u64,
}

/// Frames of one capture by time, at the same time in the capture's order; `waiting_bytes_max` bounds
/// what waits. An error comes as soon as it is met; the frames before it that still wait follow.
pub fn sorted<I>(capture: I, waiting_bytes_max: usize) -> Sorted<I>
where
    I: Iterator<Item = Result<Captured, PcapError>>,
{
    Sorted {
        capture,
        has_ended: false,
        waiting: BinaryHeap::new(),
        waiting_bytes: 0,
        waiting_bytes_max,
        frames: 0,
        last_ns: 0,
        late: 0,
    }
}

impl<I> Sorted<I> {
    /// Frames read so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames that came too late to be sorted in: earlier than one that had gone.
    pub const fn late(&self) -> u64 {
        self.late
    }

    /// What is sorted.
    pub const fn capture(&self) -> &I {
        &self.capture
    }

    /// The earliest of what waits.
    fn release(&mut self) -> Option<Captured> {
        let Reverse(Waiting { captured, .. }) = self.waiting.pop()?;
        self.waiting_bytes -= cost(&captured);
        self.late += u64::from(captured.time_ns < self.last_ns);
        self.last_ns = captured.time_ns.max(self.last_ns);
        Some(captured)
    }
}

impl<I: Iterator<Item = Result<Captured, PcapError>>> Iterator for Sorted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_ended && self.waiting_bytes <= self.waiting_bytes_max {
            match self.capture.next() {
                Some(Ok(captured)) => {
                    self.frames += 1;
                    self.waiting_bytes += cost(&captured);
                    self.waiting.push(Reverse(Waiting {
                        number: self.frames,
                        captured,
                    }));
                }
                // A reader ends with its error: it is asked for again once nothing waits.
                Some(Err(error)) => return Some(Err(error)),
                None => self.has_ended = true,
            }
        }
        self.release().map(Ok)
    }
}

const fn cost(captured: &Captured) -> usize {
    captured.frame.len() + FRAME_OVERHEAD
}

/// Ordered by time and place in the capture.
#[derive(Debug)]
struct Waiting {
    number: u64,
    captured: Captured,
}

impl Waiting {
    const fn key(&self) -> (u64, u64) {
        (self.captured.time_ns, self.number)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::pcap::Macs;

    fn frames(times: &[u64]) -> impl Iterator<Item = Result<Captured, PcapError>> {
        times.iter().zip(0..).map(|(&time_ns, byte)| {
            Ok(Captured {
                time_ns,
                frame: vec![byte],
                wire_len: 1,
                macs: Macs::Both,
            })
        })
    }

    fn times<I: Iterator<Item = Result<Captured, PcapError>>>(sorted: &mut Sorted<I>) -> Vec<u64> {
        sorted.map(|captured| captured.unwrap().time_ns).collect()
    }

    #[test]
    fn frames_are_sorted_by_time_and_keep_their_order_at_one_time() {
        let mut sorted = sorted(frames(&[5, 3, 9, 3, 1]), 1 << 20);
        let order: Vec<_> = sorted
            .by_ref()
            .map(|captured| captured.unwrap().frame[0])
            .collect();
        assert_eq!(order, [4, 1, 3, 0, 2]);
        assert_eq!((sorted.frames(), sorted.late()), (5, 0));
    }

    #[test]
    fn what_is_later_than_the_window_reaches_is_counted_and_passes_as_it_comes() {
        let two = 2 * (FRAME_OVERHEAD + 1) - 1;
        let mut sorted = sorted(frames(&[1, 4, 3, 9, 2, 8]), two);
        assert_eq!(times(&mut sorted), [1, 3, 4, 2, 8, 9]);
        assert_eq!(sorted.late(), 1);
    }
}
