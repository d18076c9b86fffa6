//! The complete flow log from outside: the daemon, guests that talk, stores that are there, break and
//! return, and readers that others wrote. Everything is compared with what the switch counted apart from
//! its log.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by panicking"
)]
#![allow(unreachable_pub, reason = "the support is for other tests as well")]

mod formats;
mod kills;
mod moves;
mod outages;
mod states;
mod support;
mod swift;
