//! UDP at the packet layer: frames of many flows, sent as fast as one core can or at a pace, and
//! counted at the receiver's interface before any socket.

mod drain;
mod flows;
mod sender;

pub(crate) use drain::Drain;
pub(crate) use flows::Flows;
pub(crate) use sender::Sender;

use crate::systems::End;
use anyhow::{Result, ensure};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Flows that are on their way at once while connections are established: well below a TAP's queue.
const ABREAST: u32 = 1000;
/// How long each of those may take to arrive.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often some are sent again, should the machine have been away.
const ATTEMPTS: u32 = 3;

/// Has both ends send a packet of each flow to the other, `a` first, and waits until they are there.
pub(crate) fn establish([a, b]: [&End; 2], flows: Flows) -> Result<()> {
    let _drains = [Drain::new(a)?, Drain::new(b)?];
    let mut there = Sender::new(a, b, flows)?;
    let mut back = Sender::new(b, a, flows.reversed())?;
    let mut left = flows.count();
    while left > 0 {
        let part = left.min(ABREAST);
        deliver(&mut there, b, part)?;
        deliver(&mut back, a, part)?;
        left -= part;
    }
    Ok(())
}

/// Has `a` send a packet of each flow to `b`, and waits until they are there.
pub(crate) fn touch([a, b]: [&End; 2], flows: Flows) -> Result<()> {
    let _drain = Drain::new(b)?;
    let mut sender = Sender::new(a, b, flows)?;
    let mut left = flows.count();
    while left > 0 {
        let part = left.min(ABREAST);
        deliver(&mut sender, b, part)?;
        left -= part;
    }
    Ok(())
}

/// Sends the next `count` frames until `to` has received that many at one attempt.
fn deliver(sender: &mut Sender, to: &End, count: u32) -> Result<()> {
    let first = sender.position();
    for _ in 0..ATTEMPTS {
        sender.go_back_to(first);
        let before = to.stats()?.rx_packets;
        let sent = Instant::now();
        sender.send_exactly(count)?;
        while sent.elapsed() < PATIENCE {
            if to.stats()?.rx_packets - before >= count.into() {
                return Ok(());
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
    ensure!(false, "of {count} flows' packets some do not arrive");
    Ok(())
}
