//! Records as IPFIX messages (RFC 7011) over UDP, sent when their interval ends.
//!
//! ```text
//!  records ─▶ Packer: sets, as many as a datagram holds ─▶ bounded queue ─▶ Sender: header, pace, socket
//!             (log thread)                                                  (a thread of its own)
//! ```
//!
//! Datagrams carry no promise: there is no spool, and nothing tells whether a collector is there. What
//! is known not to have been sent is counted. The **verdict** stands in `forwardingStatus` (64 for
//! ACCEPT, 128 and above for DROP, with the reason as far as RFC 7270 has one) and in
//! `firewallEvent` (5 and 3); the **direction** in `flowDirection`, seen from the instance; the
//! **port** in `ingressInterface` for what the instance sent and in `egressInterface` for what it
//! received, seen from the switch, by the switch's number, which an options record turns into the
//! port's name and id. A row without a flow (SKIPDATA alone) has no IPFIX record.
//!
//! **Limits**: a datagram keeps to the path's MTU and to [`PAYLOAD_MAX`](sender::PAYLOAD_MAX), the
//! queue to [`QUEUE_MAX`](exporter::QUEUE_MAX) datagrams.

mod exporter;
mod packer;
mod sender;
mod template;

pub(crate) use exporter::Exporter;
