//! Behaviour of rules, groups and anti-spoofing, without a switch. Names in comments such as
//! `R06` are the cases of the behaviour catalogue that a test stands for.
#![allow(
    clippy::unwrap_used,
    reason = "what a helper cannot build is a failed test"
)]

mod address_resolution;
mod defaults;
mod dhcp;
mod drafts;
mod link_layer;
mod matching;
mod models;
mod neighbour_discovery;
mod oracle;
mod ordinary;
mod remotes;
mod sources;
mod strategies;
mod support;
