//! The switch in a laboratory: no TAPs, no threads, a clock turned by hand.
//!
//! `laboratory` sends packets and, at every step, holds what the switch did against what `trace` had
//! foretold and against the conservation identity. `setup` writes configurations in a few words,
//! `ledger` says what the log must hold. The cases of `docs/behaviour-cases.md` follow, one module for
//! each of its sections.

mod laboratory;
mod ledger;
mod setup;
mod words;

mod change;
mod fragments;
mod frames;
mod groups;
mod icmp;
mod limits;
mod log;
mod model;
mod neighbours;
mod random;
mod recording;
mod rules;
mod spoofing;
mod state;
mod talk;
mod tcp;
mod windows;
