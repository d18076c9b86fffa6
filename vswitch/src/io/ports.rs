//! The ports of a worker, as it sees them.
//!
//! ```text
//!   next_ready() ─▶ read(port) ─leases─▶ get(lease) → judge → send(port', lease) … flush() ─▶ settled
//!                                          └─ give_back(leases) ◀── after the flush ──┘
//! ```
//!
//! Two implementations: [`ReadWrite`](super::ReadWrite), a system call for each frame, and
//! [`Uring`](super::Uring), a system call for many. The contract:
//!
//! * A lease is given back once, after the flush that followed its last `send`.
//! * Frames leave a port in the order of `send` and `send_bytes`.
//! * What `flush` tells is final: no frame sent before it is under way any more.
//! * A port that is ready has its turn, is read until `read` says that nothing more waits, or comes
//!   up again behind the others.
//! * A receiver whose writes take long has a share of the time, and loses what exceeds it.
//! * A port whose device is gone says [`PortGone`] and is to be detached.

use super::{Frame, Lease, PortGone, Sent, Slow};
use packet::VNET_HDR_LEN;
use secgroup::PortId;
use std::{io, time::Duration};
use tap::Queue;

/// The ports of one worker. The module's text is the contract.
pub trait Ports {
    /// Takes a queue in as port `port`; `name` is for messages.
    ///
    /// # Errors
    /// Where the queue cannot be watched.
    fn attach(&mut self, port: PortId, name: &str, queue: Queue) -> io::Result<()>;

    /// Gives a port up, if it is there. No lease is out. Its queue is the caller's to close: that takes
    /// longer than the other ports can wait.
    fn detach(&mut self, port: PortId) -> Option<Queue>;

    /// Gives all ports up.
    fn into_queues(self) -> Vec<Queue>;

    /// How many ports are ready.
    fn ready(&self) -> usize;

    /// The port whose turn it is.
    fn next_ready(&mut self) -> Option<PortId>;

    /// Adds up to `most` frames to `leases`, the last of which may be large: it is dealt with by
    /// itself, while it is hot in the cache. `false`: nothing more waits.
    ///
    /// # Errors
    /// [`PortGone`] once the device has gone for good; what was read before is in `leases`.
    fn read(
        &mut self,
        port: PortId,
        leases: &mut Vec<Lease>,
        most: usize,
    ) -> Result<bool, PortGone>;

    /// The port has more frames than its turn allowed: it comes up again, behind the others.
    fn not_done(&mut self, port: PortId);

    /// The virtio header and the frame of a lease.
    fn get(&self, lease: Lease) -> (&[u8; VNET_HDR_LEN], &[u8]);

    /// Sends the frame of a lease, standing for `packets` wire packets, out of `to`.
    fn send(&mut self, to: PortId, lease: Lease, packets: u32);

    /// Sends a frame that no port has lent.
    fn send_bytes(&mut self, to: PortId, frame: Frame<'_>);

    /// Whether to flush after each batch, so that a frame is written while it is hot, rather than after
    /// a turn, so that a system call serves many.
    const FLUSH_EACH_BATCH: bool;

    /// Sends what is queued, and adds what became of every frame since the last flush.
    ///
    /// # Errors
    /// What the kernel says to all of it: the worker cannot go on.
    fn flush(&mut self, sent: &mut Vec<(PortId, Sent)>) -> io::Result<()>;

    /// Looks at `most` ports, others each time: one whose device is gone and that did not say so by
    /// itself is ready then. A wake-up can be missed, and a port that nothing is sent to would stay up.
    fn look_for_gone(&mut self, most: usize);

    /// Adds the ports whose receivers are slow, or were since the last time.
    fn take_slow(&mut self, slow: &mut Vec<(PortId, Slow)>);

    /// Ends a lease.
    fn give_back(&mut self, lease: Lease);

    /// Looks which ports are ready. Where none is, sleeps until one is, or until the worker is woken,
    /// at most `longest`.
    ///
    /// # Errors
    /// What the kernel says.
    fn wait(&mut self, longest: Duration) -> io::Result<()>;

    /// Whether [`Ports::wait`] would find something: the question of a worker that spins.
    fn stirs(&mut self) -> bool;
}
