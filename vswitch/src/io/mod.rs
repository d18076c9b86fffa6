//! The seam between ports and core: frames are **leased**.
//!
//! ```text
//!   port.rx(pool) ──Lease──▶ worker: pool.get(lease) → judge ──▶ port'.send(frame) … flush() ─▶ Sent
//!                              └──────────── pool.give_back(lease) ◀── as soon as the last send returned
//! ```
//!
//! A received frame lies in a slot of the worker's [`Buffers`]; the [`Lease`] says which. Nobody
//! copies it on the way: the frame is judged where it was read and written from there. One
//! [`PortIo`] serves one queue of one port and belongs to one worker. The worker sees all of its ports
//! together, as [`Ports`]: by `read` and `write` ([`ReadWrite`], of [`TapPort`]s) or by `io_uring`
//! ([`Uring`]).
//!
//! The contract:
//! * `rx` takes a slot out of the pool, the worker gives it back. A worker that holds a whole batch
//!   flushes and gives back before it asks for more; an empty pool looks like an idle port.
//! * `send` has taken what it needs of the bytes by the time it returns. The result, though, is
//!   known only after `flush`, so that an implementation may send in batches.
//! * Frames leave a port in the order of `send`.
//! * A port whose device is gone says [`PortGone`] and goes on saying it. The worker then takes the
//!   port out of its round: a dead descriptor is always readable and would spin for ever.

mod buffers;
pub mod pcap;
mod ports;
mod read_write;
mod share;
mod software;
mod tap;
mod uring;

pub use buffers::{Buffers, Lease, SLOT_STRIDE};
pub use ports::Ports;
pub use read_write::ReadWrite;
pub use share::Slow;
pub use tap::TapPort;
pub use uring::Uring;

use packet::VNET_HDR_LEN;
use std::os::fd::RawFd;

/// One queue of a port, as its worker sees it. The module's text is the contract.
pub trait PortIo: Send {
    /// Lends the next waiting frame. `None`: nothing waits (or the pool is empty).
    ///
    /// # Errors
    /// [`PortGone`] once the device has gone for good.
    fn rx(&mut self, pool: &mut Buffers) -> Result<Option<Lease>, PortGone>;

    /// Takes a frame for transmission; may queue it until [`PortIo::flush`].
    fn send(&mut self, frame: Frame<'_>);

    /// Sends what is queued and tells what became of every frame since the last flush.
    fn flush(&mut self) -> Sent;

    /// What becomes readable when a frame waits, for the sleeper. `None`: there is nothing to wait for.
    fn source(&self) -> Option<RawFd>;

    /// Takes frames with unfinished checksums and segments. Otherwise the port finishes them in
    /// software, which [`Sent::finished_in_software`] counts.
    fn offloads(&self) -> bool;
}

/// The device behind a port is gone: removed, or gone with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("port `{port}` is down: its device is gone ({cause}); make it again and reload")]
pub struct PortGone {
    /// Name of the port.
    pub port: String,
    /// The kernel's answer.
    pub cause: String,
}

/// A frame on its way out: a virtio header and, right behind it, the Ethernet frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    whole: &'a [u8],
    packets: u32,
}

impl<'a> Frame<'a> {
    /// `whole` is the virtio header with the frame behind it; `packets` is what the frame counts for
    /// on a wire: its segments. `None` where `whole` has no room for a header.
    #[inline]
    #[must_use]
    pub fn new(whole: &'a [u8], packets: u32) -> Option<Self> {
        (whole.len() >= VNET_HDR_LEN).then_some(Self { whole, packets })
    }

    /// The virtio header.
    #[inline]
    #[must_use]
    pub fn vnet(&self) -> &'a [u8; VNET_HDR_LEN] {
        self.whole
            .first_chunk()
            .expect("the length was checked when the frame was made")
    }

    /// The Ethernet frame.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        &self.whole[VNET_HDR_LEN..]
    }

    /// Header and frame in one piece.
    #[inline]
    #[must_use]
    pub fn whole(&self) -> &'a [u8] {
        self.whole
    }

    /// Wire packets that the frame stands for.
    #[inline]
    #[must_use]
    pub fn packets(&self) -> u32 {
        self.packets
    }
}

/// What became of the frames sent, in wire packets as the caller counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Taken by the device.
    pub delivered: u64,
    /// Not taken: the interface is down, its thread is behind, its share of the worker's time is used up,
    /// the kernel has no memory, the device is gone.
    pub lost: u64,
    /// Frames (not wire packets) whose checksum or segmentation was done here, for want of the port's.
    pub finished_in_software: u64,
    /// The device is gone; `rx` says so too.
    pub gone: bool,
}

/// `most` of `all` places from `next` on, which moves on: each has its turn.
fn in_turn(next: &mut usize, all: usize, most: usize) -> impl Iterator<Item = usize> + use<> {
    let from = if *next < all { *next } else { 0 };
    let until = from.saturating_add(most).min(all);
    *next = until;
    from..until
}

impl Sent {
    /// A frame that nobody could take.
    #[inline]
    fn lost(packets: u32) -> Self {
        Self {
            lost: u64::from(packets),
            ..Self::default()
        }
    }

    /// Counts a frame as delivered or lost.
    #[inline]
    fn count(&mut self, packets: u32, delivered: bool) {
        let to = if delivered {
            &mut self.delivered
        } else {
            &mut self.lost
        };
        *to += u64::from(packets);
    }
}
