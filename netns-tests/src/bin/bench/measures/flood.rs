//! Fairness: one byte there and back between two guests, while a third one floods the first with small
//! packets, which the switch may pass on and the guest drops.

use super::{Figure, rr};
use crate::{
    systems::System,
    wire::{Drain, Flows, Sender, establish},
};
use anyhow::{Context, Result};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

pub(super) fn rr(system: &System, time: Duration, pinned: bool) -> Result<Figure> {
    let ([a, _], c) = (system.pair(), system.third()?);
    let mut sender = Sender::new(c, a, Flows::new(1))?;
    if system.is_switch() {
        // A pump sends what its first guest has to say to the second one alone.
        establish([c, a], Flows::new(1))?;
    }
    let drain = Drain::new(a)?;
    let (is_over, start) = (AtomicBool::new(false), Instant::now());
    let (figure, offered) = thread::scope(|scope| {
        let flood = scope.spawn(|| sender.flood(|| !is_over.load(Ordering::Relaxed)));
        let figure = rr::tcp(system, time, pinned);
        is_over.store(true, Ordering::Relaxed);
        let offered = flood.join().ok().context("the flood has panicked")??;
        anyhow::Ok((figure?, offered))
    })?;
    let elapsed = start.elapsed().as_secs_f64();
    let mut beside = figure.beside;
    beside.push(("flood offered Mpps", offered as f64 / elapsed / 1e6));
    beside.push(("flood passed Mpps", drain.read()? as f64 / elapsed / 1e6));
    Ok(Figure { beside, ..figure })
}
