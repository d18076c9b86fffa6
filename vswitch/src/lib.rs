//! A userspace virtual switch for one Linux host, with stateful Security Groups and an inline flow log.
//!
//! ```text
//!   config ──▶ run ──▶ switch ◀── io (tap, pcap)
//!                │        └────▶ flowlog (log thread)
//!                └── control ◀── cli
//! ```
//! Read [`switch`] first: it is what a frame goes through. Everything else feeds it or shows it.
#![forbid(unsafe_code)]
// They panic where the stream cannot be written: data goes through `cli::Output`, the rest through `messages`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod io;
pub mod lab;
mod messages;
pub mod run;
pub mod switch;
pub mod trace;
