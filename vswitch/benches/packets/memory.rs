//! Memory of many flows, and what closing their interval takes.

use super::Effort;
use super::kinds::{Flows, Kind, Packet};
use super::lab::Lab;
use super::time::processor_ns;
use super::traffic::Traffic;
use std::process::Command;

const FLOWS: u32 = 1_000_000;
/// The default interval.
const INTERVAL_S: u32 = 60;

/// Of each family, in a process of its own: memory that another measure gave back would count as nothing.
pub(crate) fn flows(effort: Effort) {
    for family in ["ipv4", "ipv6"] {
        let this = std::env::current_exe().expect("it runs");
        let flows = effort.of(FLOWS).to_string();
        let status = Command::new(this)
            .args(["resident", family, &flows])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

/// What flows of a family make resident, and their log when nobody fetches it.
pub(crate) fn resident(family: &str, flows: u32) {
    let kind = Kind::new(Packet::TcpBoth, Flows::Known(flows));
    let kind = if family == "ipv6" { kind.ipv6() } else { kind };
    tap::give_back_large_allocations();
    let mut lab = Lab::new(kind.spec);
    let empty = resident_bytes();
    let mut traffic = Traffic::new(kind, &mut lab);
    traffic.each_flow(&mut lab);
    let each = |bytes: u64| bytes as f64 / f64::from(flows);
    let full = resident_bytes();
    lab.pass(INTERVAL_S);
    while lab.switch.sweep(lab.now) {}
    let logged = resident_bytes();
    drop(lab.switch.fetch_log());
    println!(
        "{flows} {family} connections, both ways counted: {:.1} bytes resident each; the log of their interval, unfetched: {:.1}, fetched and dropped: {:.1}",
        each(full.saturating_sub(empty)),
        each(logged.saturating_sub(full)),
        each(resident_bytes().saturating_sub(full)),
    );
}

/// Closing an interval in which every flow was active, slice by slice, the log fetched after each.
pub(crate) fn close(effort: Effort) {
    let kind = Kind::new(Packet::TcpBoth, Flows::Known(effort.of(FLOWS)));
    let mut lab = Lab::new(kind.spec);
    let mut traffic = Traffic::new(kind, &mut lab);
    for _ in 0..effort.rounds {
        traffic.each_flow(&mut lab);
        lab.pass(INTERVAL_S);
        let mut slices = Vec::new();
        let mut chunks = 0;
        loop {
            let start = processor_ns();
            let more = lab.switch.sweep(lab.now);
            let log = lab.switch.fetch_log();
            slices.push(processor_ns() - start);
            chunks += log.len();
            if !more {
                break;
            }
        }
        slices.sort_unstable();
        let us = |place: usize| slices[place.min(slices.len() - 1)] as f64 / 1e3;
        println!(
            "interval of {} flows closed in {:.1} ms: {} slices, median {:.1} us, 99 % within {:.1} us, longest {:.1} us; {chunks} chunks",
            effort.of(FLOWS),
            slices.iter().sum::<u64>() as f64 / 1e6,
            slices.len(),
            us(slices.len() / 2),
            us(slices.len() * 99 / 100),
            us(slices.len()),
        );
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("resident KiB")
        << 10
}
