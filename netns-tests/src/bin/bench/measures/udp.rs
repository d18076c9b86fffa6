//! Small packets as fast as they are sent.

use super::Figure;
use crate::{
    systems::System,
    wire::{Drain, Flows, Sender},
};
use anyhow::{Context, Result, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Packets of the system's flows, established before, from one guest by `senders` threads; each has
/// flows of its own.
pub(super) fn flood(system: &System, time: Duration, senders: u16) -> Result<Figure> {
    let [a, b] = system.pair();
    system.prepare(senders)?;
    let mut all = (0..senders)
        .map(|lane| Sender::new(a, b, Flows::new(system.flows).lane(lane)))
        .collect::<Result<Vec<_>>>()?;
    let drain = Drain::new(b)?;
    let (before, cpu_s, start) = (drain.read()?, system.cpu_s(), Instant::now());
    let offered = thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter_mut()
            .map(|sender| scope.spawn(|| sender.flood(|| start.elapsed() < time)))
            .collect();
        let mut offered = 0;
        for thread in threads {
            offered += thread.join().ok().context("a sender has panicked")??;
        }
        anyhow::Ok(offered)
    })?;
    let elapsed = start.elapsed().as_secs_f64();
    let delivered = (drain.read()? - before) as f64;
    ensure!(delivered > 0.0, "nothing arrived");
    let mut beside = vec![("offered Mpps", offered as f64 / elapsed / 1e6)];
    if !system.is_kernel() {
        let cpu_us = (system.cpu_s() - cpu_s) * 1e6 / delivered;
        beside.push(("its µs/packet", cpu_us));
    }
    beside.extend(system.remarks());
    Ok(Figure {
        value: delivered / elapsed / 1e6,
        beside,
    })
}
