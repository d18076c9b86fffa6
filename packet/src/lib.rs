//! Bytes ⇄ meaning. A frame is parsed **once** into [`Headers`]; everything later in the house
//! reads that value and never the bytes of the fixed headers again.
//!
//! ```text
//!   bytes + Offload ──parse──▶ Headers ──▶ secgroup, flowlog, vswitch
//!                                 │
//!                      Display ◀──┴──▶ text form `tcp 10.77.1.11:40000 > 10.77.1.12:22 syn`
//! ```
//!
//! Beside the parse: [`quoted()`] and [`neighbour()`] read what ICMP messages carry, [`segment`] does
//! in software what a receiver's TAP does not take, [`build`] makes frames for tests.
//!
//! No I/O, no clock, no allocation on the way from bytes to [`Headers`]. Nothing panics on any
//! input: what lies about its length carries a [`Defect`].
#![forbid(unsafe_code)]

pub mod build;
mod capture;
pub mod checksum;
mod headers;
mod mac;
mod neighbour;
mod offload;
mod quoted;
pub mod segment;
pub mod text;
mod tuple;
mod verdict;

pub use capture::{captured_offload, has_all_headers};
pub(crate) use headers::IP_PACKET_MAX;
pub use headers::{
    Arp, Dccp, Defect, EXTENSION_BYTES_MAX, EXTENSION_HEADERS_MAX, Ethernet, Fragment, Headers,
    Icmp, Ip, L4, Net, Runt, Sctp, Tcp, Vlan, Wire, dccp_type, ethertype, protocol, sctp_chunk,
    tcp_flags,
};
pub use mac::{Mac, MacSyntax};
pub use neighbour::{ND_OPTIONS_MAX, Neighbour, is_neighbour, neighbour};
pub use offload::{Gso, GsoKind, Offload, VNET_HDR_LEN};
pub use quoted::{Quoted, is_error, quoted};
pub use text::{IpSpec, PAYLOAD_MAX, PacketSpec, SpecBody, SpecError};
pub use tuple::FiveTuple;
pub use verdict::{Basis, Direction, Reason, UnknownName, Verdict};
