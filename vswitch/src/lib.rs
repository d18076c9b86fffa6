//! To be written.
#![forbid(unsafe_code)]

pub mod io;
pub mod lab;
pub mod switch;
