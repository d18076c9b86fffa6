//! From verdicts to objects.
#![forbid(unsafe_code)]

mod tally;

pub use tally::{TICK_US, Tally, Tick, WINDOW_S_MAX};
