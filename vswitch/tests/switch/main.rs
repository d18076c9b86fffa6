//! The switch in a laboratory: no TAPs, no threads, a clock turned by hand.
//!
//! `laboratory` sends packets and, at every step, holds what the switch did against what `trace` had
//! foretold and against the conservation identity; `ledger` and `notebook` hold the log against it too, and
//! `waiting` knows which fragments the switch holds.
//! `setup` writes configurations in a few words, `words` packets with guests by name, `talk` TCP.
//! The cases of `docs/behaviour-cases.md` follow, a module for each of its sections.
#![allow(
    clippy::unwrap_used,
    reason = "what a helper cannot build is a failed test"
)]

mod laboratory;
mod ledger;
mod notebook;
mod setup;
mod talk;
mod waiting;
mod words;

mod assembler;
mod change;
mod dhcp;
mod direct_return;
mod floods;
mod forget;
mod fragments;
mod frames;
mod groups;
mod icmp;
mod limits;
mod log;
mod model;
mod neighbours;
mod numbers;
mod peers;
mod protocols;
mod random;
mod reasons;
mod reassembly;
mod recording;
mod rules;
mod spoofing;
mod state;
mod tcp;
mod windows;
