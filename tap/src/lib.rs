//! The edge to the kernel: TAP devices with virtio headers, network namespaces, and what a lab
//! sets on an interface. The only crate of the house with unsafe code; everything public is safe.
//!
//! ```text
//!              network namespace vm1              daemon's namespace
//!   guest's kernel ── vm1 (TAP) ══════════════ Queue: read, write ── vswitch
//!                      │                       any namespace, any thread
//!                     Links: MAC, MTU, addresses, routes
//! ```
//!
//! A [`Tap`] is made inside its namespace and used from outside: the descriptor knows its device,
//! not its caller. Limits: [`MAX_QUEUES`], [`TX_QUEUE_LEN`]. Every error says what was tried,
//! where, and what to do about it.

mod device;
mod error;
mod inherited;
mod ioctl;
pub mod link;
mod memory;
mod napi;
mod netlink;
mod netns;
mod packet_socket;
mod ring;
mod sched;

pub use device::{
    MAX_FRAME, MAX_QUEUES, Queue, THREAD_QUEUE_BYTES, TX_QUEUE_LEN, Tap, TapOptions,
    close_together, find_vanished, vanished,
};
pub use error::{Error, NoIpv6};
pub use inherited::inherited_file;
pub use link::{Link, LinkStats, Links, TapKind};
pub use memory::{advise_huge_pages, give_back_large_allocations, prefetch};
pub use netns::{Netns, NewNetns};
pub use packet_socket::{PacketMode, PacketSocket};
pub use ring::{Filled, MAX_RING_QUEUES, Ring, Written};
pub use sched::{preemptions, run_in_background, run_in_foreground};
